"""A referee's checklist run by code: a study's specification, panel, estimates and printed figures in, findings out."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.audit import arithmetic, design, engines, evidence, plausibility, wording
from analysis.audit.finding import COLUMNS, ERROR, NOTE, SEVERITIES, WARNING, Audit, Finding
from analysis.audit.inputs import Inputs, NotAtHand
from analysis.audit.replication import Line, Replication, replicate
from analysis.audit.rule import Found, Rule
from analysis.results import CannotEstimate
from analysis.studies.referee import answers

#: Every rule, by what it reads.
RULES: tuple[Rule, ...] = (
    *arithmetic.RULES,
    *plausibility.RULES,
    *wording.RULES,
    *design.RULES,
    *evidence.RULES,
    *engines.RULES,
)


#: Rules that have nothing to look at where no paper stands behind a study.
OF_PRINTED = {
    *(rule.code for rule in (*arithmetic.RULES, *plausibility.RULES)),
    *(rule.code for rule in wording.RULES if rule.code not in ("share-above-one", "event-window")),
    *("anticipation-not-shown", "many-printed-outcomes"),
}


def audit(inputs: Inputs, rules: Iterable[Rule] = RULES) -> Audit:
    """Run every rule on a study.

    A rule that lacks what it reads, or whose estimator refuses the data, is listed in ``not_run`` with the reason; the
    others go on. The same inputs give the same findings in the same order.

    Returns
    -------
    Audit
    """
    findings: list[Finding] = []
    silent: list[str] = []
    not_run: dict[str, str] = {}
    for rule in rules:
        try:
            if rule.code in OF_PRINTED and inputs.printed.table.empty:
                raise NotAtHand("No paper stands behind this study, so there are no printed figures.")
            hits = list(rule.check(inputs))
        except (NotAtHand, CannotEstimate) as error:
            not_run[rule.code] = str(error)
            continue
        except Exception as error:
            raise RuntimeError(
                f"Rule {rule.code!r} failed on study {inputs.study.name!r}: {type(error).__name__}: {error}"
            ) from error
        findings += [_finding(rule, hit, inputs) for hit in hits]
        if not hits:
            silent.append(rule.code)
    order = [exhibit.published or exhibit.name for exhibit in inputs.study.exhibits]
    place = {name: index for index, name in reversed(list(enumerate(order)))}
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), place.get(f.exhibit, len(place))))
    return Audit(inputs.study.name, tuple(findings), tuple(silent), not_run, inputs.is_sample, answers(inputs.study))


def _finding(rule: Rule, hit: Found, inputs: Inputs) -> Finding:
    return Finding(
        code=rule.code,
        title=rule.title,
        title_zh=rule.title_zh,
        severity=hit.severity or rule.severity,
        exhibit=hit.exhibit,
        model=hit.model,
        variable=hit.variable,
        evidence=hit.evidence,
        advice=rule.advice,
        advice_zh=rule.advice_zh,
        sample_data=hit.from_data and inputs.is_sample,
    )


__all__ = [
    "COLUMNS",
    "ERROR",
    "NOTE",
    "RULES",
    "SEVERITIES",
    "WARNING",
    "Audit",
    "Finding",
    "Found",
    "Inputs",
    "Line",
    "NotAtHand",
    "Replication",
    "Rule",
    "audit",
    "replicate",
]

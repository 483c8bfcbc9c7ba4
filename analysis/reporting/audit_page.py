"""The page of a study's audit and replication report: what goes on it. Findings are made in `analysis.audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.audit import SEVERITIES, Audit, Finding, Line, Replication
from analysis.audit.replication import CANNOT, ESTIMATED, EXACT, MISSED
from analysis.printing.table import SAMPLE, display_name
from analysis.reporting.listing import Listing, listing
from analysis.reporting.tables import safe_csv
from analysis.studies.records import Study
from analysis.studies.referee import CHECKS, IMPOSSIBLE, MISSING, THERE, Answer

if TYPE_CHECKING:
    from analysis.audit import Rule

#: Headings of the findings, by severity.
_HEADINGS = {
    "error": "Errors: cannot be true as printed",
    "warning": "Warnings: the conclusion may not hold",
    "note": "Notes: a reader should know",
}


def page_name(study: Study) -> str:
    """The file of the page."""
    return f"audit_{study.name}.html"


def audit_page(
    study: Study, audit: Audit, replication: Replication, output: Path, exhibits: dict[str, str]
) -> dict[str, Any]:
    """Values of templates/audit.html; writes both tables as CSV into ``output``/files/<study>.

    Parameters
    ----------
    exhibits
        Exhibit as findings name it -> its anchor on the study's page.
    """
    folder = Path("files") / study.name
    (output / folder).mkdir(parents=True, exist_ok=True)
    files = {}
    columns = _MISSED if replication.of(MISSED) else _EXACT
    for name, frame in (("audit", audit.table), ("replication", replication.table)):
        # a table without rows carries the mark in its header
        marked = frame.assign(**{"data" if len(frame) else SAMPLE: SAMPLE}) if audit.is_sample else frame
        (output / folder / f"{name}.csv").write_text(safe_csv(marked), encoding="utf-8", newline="")
        files[name] = (folder / f"{name}.csv").as_posix()
    return {
        "template": "audit.html",
        "title": f"Audit: {study.title.en}",
        "labels": _labels(study, audit),
        "study": study,
        "counts": [(_HEADINGS[severity], len(audit.by_severity(severity)), severity) for severity in SEVERITIES],
        "groups": [
            (severity, _HEADINGS[severity], [_shown(finding, exhibits) for finding in audit.by_severity(severity)])
            for severity in SEVERITIES
            if audit.by_severity(severity)
        ],
        "contents": [
            *([("replication", "What is reproduced", 0)] if replication.lines else []),
            *((severity, _HEADINGS[severity], 0) for severity in SEVERITIES if audit.by_severity(severity)),
            ("silent", "Rules that found nothing", 0),
        ],
        "silent": [rule.title for rule in _rules(audit.silent)],
        "not_run": [(why, [rule.title for rule in _rules(codes)]) for why, codes in audit.why_not_run().items()],
        "exact": _listing(replication.of(EXACT, MISSED), "Follows from lists and timing, on any data", columns),
        "missed": len(replication.of(MISSED)),
        "estimated": _listing(replication.of(ESTIMATED), "Estimated on the data at hand", _ESTIMATED),
        "cannot": _listing(replication.of(CANNOT), "Cannot be reproduced, and why", _CANNOT),
        "asked": [_asked(answer) for answer in audit.expected],
        "states": [(state, len(audit.by_state(state))) for state in (THERE, MISSING, IMPOSSIBLE)],
        "files": files,
    }


def _asked(answer: Answer) -> dict[str, Any]:
    """An expected check as the page shows it: places are exhibits with their anchor, or rules of the audit without."""
    places = [(place, "") if ": " in place else (display_name(place), place) for place in answer.where]
    return {"check": answer.check, "state": answer.state, "where": places, "lines": answer.lines, "why": answer.why}


def _rules(codes: Any) -> list[Rule]:
    from analysis.audit import RULES

    return [rule for rule in RULES if rule.code in codes]


def _shown(finding: Finding, exhibits: dict[str, str]) -> dict[str, Any]:
    """A finding as the page shows it."""
    where = [part for part in (finding.model, finding.variable) if part]
    return {
        "title": finding.title,
        "code": finding.code,
        "exhibit": display_name(finding.exhibit) if finding.exhibit else "",
        "anchor": exhibits.get(finding.exhibit, ""),
        "where": ", ".join(where),
        "evidence": finding.evidence,
        "advice": finding.advice,
        "sample": finding.sample_data,
    }


#: Columns of the three tables: field of a line -> heading.
_EXACT = {
    "exhibit": "exhibit",
    "model": "column",
    "what": "number",
    "published": "published",
    "ours": "computed here",
    "rule": "rule",
}
_MISSED = {**_EXACT, "verdict": "verdict"}
_ESTIMATED = {
    "exhibit": "exhibit",
    "what": "number",
    "published": "printed",
    "ours": "computed here",
    "rule": "how near",
}
_CANNOT = {
    "exhibit": "exhibit",
    "model": "column",
    "what": "number",
    "published": "published",
    "ours": "computed here",
    "why": "why",
}


def _listing(lines: tuple[Line, ...], caption: str, columns: dict[str, str]) -> Listing | None:
    """The lines as a table of the site, or None where there are none."""
    if not lines:
        return None
    frame = pd.DataFrame([{heading: getattr(line, field) for field, heading in columns.items()} for line in lines])
    if "rule" in frame:  # an exact line may say more of its rule
        frame["rule"] = [f"{line.rule} {line.why if line.verdict == EXACT else ''}".strip() for line in lines]
    frame["exhibit"] = [display_name(name) if name else "" for name in frame["exhibit"]]
    return listing(frame, caption)


def _labels(study: Study, audit: Audit) -> dict[str, str]:
    """English -> Chinese of what the rules say."""
    from analysis.audit import RULES

    titles = {rule.title: rule.title_zh for rule in RULES}
    advice = {rule.advice: rule.advice_zh for rule in RULES}
    asked = {label.en: label.zh for check in CHECKS for label in (check.title, check.asks)}
    return {**asked, **titles, **advice, f"Audit: {study.title.en}": f"审阅：{study.title.zh}"}

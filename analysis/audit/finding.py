"""What a rule of the audit hands back, and all findings of a study together. No rule lives here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from analysis.studies.referee import IMPOSSIBLE, MISSING, THERE, Answer

#: From what cannot be true as printed, by what threatens the conclusion, to what a reader should know.
ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
COLUMNS = ("severity", "code", "title", "exhibit", "model", "variable", "evidence", "advice", "sample_data")


@dataclass(frozen=True)
class Finding:
    """One thing a referee would raise.

    Attributes
    ----------
    code : of the rule that found it.
    title, title_zh : the rule in a few words.
    severity : "error" (cannot be true as it stands), "warning" (the conclusion may not hold), "note".
    exhibit, model, variable : where; empty text where the finding is of no single one.
    evidence : one or two sentences with the numbers.
    advice, advice_zh : what to do about it.
    sample_data : whether a number of the evidence comes from simulated data, which says nothing about real cities.
    """

    code: str
    title: str
    title_zh: str
    severity: str
    exhibit: str
    model: str
    variable: str
    evidence: str
    advice: str
    advice_zh: str
    sample_data: bool = False


@dataclass(frozen=True)
class Audit:
    """Every finding of a study.

    Attributes
    ----------
    study : its name.
    findings : errors first, then warnings, then notes; within each as the study lists its exhibits.
    silent : codes of the rules that ran and found nothing.
    not_run : code -> why the rule could not run.
    is_sample : whether the panel came from the sample world.
    expected : how the study stands with each check that referees ask for.
    """

    study: str
    findings: tuple[Finding, ...]
    silent: tuple[str, ...]
    not_run: dict[str, str]
    is_sample: bool
    expected: tuple[Answer, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """One row a finding."""
        return pd.DataFrame([asdict(finding) for finding in self.findings], columns=list(COLUMNS))

    def as_dict(self) -> dict[str, Any]:
        """The audit as plain values, for JSON."""
        return {
            "study": self.study,
            "is_sample": self.is_sample,
            "findings": [asdict(finding) for finding in self.findings],
            "silent": list(self.silent),
            "not_run": dict(self.not_run),
            "expected": [
                {
                    "check": answer.check.code,
                    "title": answer.check.title.en,
                    "state": answer.state,
                    "where": list(answer.where),
                    "lines": answer.lines,
                    "why": answer.why,
                }
                for answer in self.expected
            ],
        }

    def why_not_run(self) -> dict[str, list[str]]:
        """Reason -> codes of the rules that it kept from running."""
        reasons: dict[str, list[str]] = {}
        for code, why in self.not_run.items():
            reasons.setdefault(why, []).append(code)
        return reasons

    def by_severity(self, severity: str) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def by_state(self, state: str) -> tuple[Answer, ...]:
        """The expected checks of one state."""
        return tuple(answer for answer in self.expected if answer.state == state)

    def _asked(self) -> list[str]:
        """What a referee will ask for and the study has not, as lines of text."""
        if not self.expected:
            return []
        counts = ", ".join(f"{len(self.by_state(state))} {state}" for state in (THERE, MISSING, IMPOSSIBLE))
        lines = ["", f"Of {len(self.expected)} checks that referees ask for: {counts}."]
        for answer in self.by_state(MISSING):
            lines += [
                "",
                f"A referee will ask for: {answer.check.title.en}. {answer.check.asks.en}",
                answer.lines.rstrip(),
            ]
        lines += [""] * bool(self.by_state(IMPOSSIBLE))
        lines += [f"Not possible: {answer.check.title.en}. {answer.why}" for answer in self.by_state(IMPOSSIBLE)]
        return lines

    def summary(self) -> str:
        """The audit as text, for people."""
        counts = [f"{len(self.by_severity(severity))} {severity}s" for severity in SEVERITIES]
        lines = [f"{self.study}: {', '.join(counts)}."]
        for finding in self.findings:
            where = ", ".join(part for part in (finding.exhibit, finding.model, finding.variable) if part)
            mark = " [on sample data]" if finding.sample_data else ""
            lines += [
                "",
                f"{finding.severity.upper()} {finding.code} ({where or 'study'}): {finding.title}{mark}",
                f"  {finding.evidence}",
                f"  To do: {finding.advice}",
            ]
        lines += ["", f"{len(self.silent)} further rules found nothing."]
        lines += [f"Not run: {', '.join(codes)}. {why}" for why, codes in self.why_not_run().items()]
        lines += self._asked()
        return "\n".join(lines)

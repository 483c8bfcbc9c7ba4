"""What a rule of the audit is. The rules themselves stand in the modules named after what they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from analysis.audit.inputs import Inputs


@dataclass(frozen=True)
class Found:
    """One hit of a rule, before it is a finding: where, with what numbers, and whether worse or milder than usual."""

    evidence: str
    exhibit: str = ""
    model: str = ""
    variable: str = ""
    severity: str | None = None
    from_data: bool = False


@dataclass(frozen=True)
class Rule:
    """A general rule: no rule names a table, a variable or a study.

    Attributes
    ----------
    code : a few words joined by dashes.
    title, title_zh : what is wrong when it finds something.
    severity : of its findings, unless one says otherwise.
    advice, advice_zh : what to do.
    check : inputs -> hits; raises `NotAtHand` where the inputs lack what it needs.
    """

    code: str
    title: str
    title_zh: str
    severity: str
    advice: str
    advice_zh: str
    check: Callable[[Inputs], Iterable[Found]]

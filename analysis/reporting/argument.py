"""The order in which a study argues: which part of its page an exhibit belongs to, and what it found in a sentence.

Nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.printing.table import number
from analysis.results import stars
from analysis.studies.kinds import KINDS
from analysis.studies.records import Exhibit, Model, Study
from analysis.studies.result import OK, ExhibitResult

#: Parts of the argument in order, by what `Kind.part` says -> heading.
PARTS = {
    "data": "The data",
    "baseline": "The effect",
    "trends": "Parallel trends",
    "robustness": "Robustness",
    "heterogeneity": "For whom",
    "mechanisms": "Mechanisms",
    "space": "Space and neighbours",
}
#: Half the width of a 95% interval in standard errors, where the estimator states none.
NORMAL = 1.959964


@dataclass(frozen=True)
class Effect:
    """What the baseline says of one outcome.

    Attributes
    ----------
    exhibit, model, term : where the number stands.
    outcome, unit : label of the outcome in English, and its unit ("" where there is none).
    estimate, se, p, low, high : with its 95% interval.
    """

    exhibit: str
    model: str
    term: str
    outcome: str
    unit: str
    estimate: float
    se: float
    p: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The effect with unit and interval, and whether it could be chance."""
        return f"{self.outcome}: {self.size} (95% interval {self.between}), {_verdict(self.p)}."

    @property
    def size(self) -> str:
        """The effect with its sign and unit; of a logarithm also in percent."""
        share = f" ({np.expm1(self.estimate):+.1%})" if self.unit.startswith("ln ") else ""
        unit = "log points" if share else self.unit
        return f"{_signed(self.estimate)} {unit}".rstrip() + share

    @property
    def between(self) -> str:
        """The interval."""
        return f"{_signed(self.low)} to {_signed(self.high)}"


def _signed(value: float) -> str:
    """A number with its sign, with a true minus."""
    return f"+{number(value)}" if value > 0 else number(value).replace("-", "\u2212", 1)


def _verdict(p: float) -> str:
    marks = stars(p)
    level = {"***": "1%", "**": "5%", "*": "10%"}.get(marks)
    return f"significant at {level} ({marks})" if level else "not significant: it may be chance"


def part(exhibit: Exhibit, study: Study, baseline: str | None) -> str:
    """The part that an exhibit belongs to; ``baseline`` is the name of the study's first regression table."""
    if exhibit.name == baseline:
        return "baseline"
    if exhibit.kind != "regression":
        return KINDS[exhibit.kind].part
    if exhibit.tests or any(model.interaction or model.sample.where for model in exhibit.models):
        return "heterogeneity"
    roles = {variable.name: variable.role for variable in study.variables}
    if exhibit.models and all(roles.get(model.outcome) == "mechanism" for model in exhibit.models):
        return "mechanisms"
    return "robustness"


def baseline(results: Mapping[str, ExhibitResult]) -> str | None:
    """The first regression table, or None."""
    return next((name for name, result in results.items() if result.kind == "regression"), None)


def effects(study: Study, results: Mapping[str, ExhibitResult]) -> list[Effect]:
    """The treatment's effect on each outcome of the baseline, from the column with the most controls."""
    name = baseline(results)
    if name is None:
        return []
    result = results[name]
    rows = result.estimates[result.estimates["status"].eq(OK) & result.estimates["term"].eq(study.treatment)]
    known = rows.set_index("model")
    chosen: dict[str, Model] = {}
    for model in result.specification.models:
        fuller = model.outcome not in chosen or len(model.controls) >= len(chosen[model.outcome].controls)
        if model.label in known.index and fuller:
            chosen[model.outcome] = model
    units = {variable.name: variable.unit for variable in study.variables}
    found = []
    for outcome, model in chosen.items():
        estimate, se, p = map(float, known.loc[[model.label], ["estimate", "se", "p"]].to_numpy()[0])
        low, high = _interval(result, model.label, study.treatment, estimate, se)
        label, unit = study.label(outcome).en, units.get(outcome, "").replace("_", " ")
        found.append(Effect(name, model.label, study.treatment, label, unit, estimate, se, p, low, high))
    return found


def _interval(result: ExhibitResult, label: str, term: str, estimate: float, se: float) -> tuple[float, float]:
    table = getattr(result.computed.get(label), "table", None)
    if table is not None and {"low", "high"} <= set(table.columns) and term in table.index:
        low, high = map(float, table.loc[[term], ["low", "high"]].to_numpy()[0])
        if np.isfinite([low, high]).all():
            return low, high
    return estimate - NORMAL * se, estimate + NORMAL * se

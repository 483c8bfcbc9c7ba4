"""Which exhibits of which study need what from raw files, by way of the declared formulas.

An exhibit names columns of its panel; each is drawn from a column of city_year or a score of such columns; formulas
lead from there to indicators and records, which contracts provide.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.lineage import formula
from analysis.studies.estimation_sample import columns_named, columns_used
from analysis.studies.records import Exhibit, Model, Study

NUMBERED = re.compile(r"(table|figure)_(\d+)")


@dataclass(frozen=True)
class Formulas:
    """The declared formulas: column of city_year, or name used in formulas -> (kind, formula)."""

    panel: Mapping[str, tuple[str, str]]
    intermediate: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[Any, Any]]) -> Formulas:
        """From rows with ``layer``, ``name``, ``kind`` and ``formula``."""
        layers: dict[str, dict[str, tuple[str, str]]] = {"panel": {}, "intermediate": {}}
        for row in rows:
            layers.setdefault(row["layer"], {})[row["name"]] = row["kind"], row["formula"]
        return cls(layers["panel"], layers["intermediate"])

    def behind(self, column: str) -> frozenset[str]:
        """Indicators and kinds of records (patents, cases) that a column of city_year is made of."""
        kind, text = self.panel.get(column, ("entropy", ""))
        if kind == "entropy":
            return frozenset(name for part in text.split(",") if part for name in self.behind(part.strip()))
        found: set[str] = set()
        seen: set[str] = set()
        open_ = list(formula.names(text))
        while open_:
            name = open_.pop()
            if name in seen:
                continue
            seen.add(name)
            kind, text = self.intermediate.get(name, ("indicator", ""))
            if kind == "formula":
                open_ += formula.names(text)
            else:
                found.add(text if kind == "records" else name)
        return frozenset(found)

    def stand_ins(self, name: str) -> frozenset[str]:
        """Names of which a formula takes one where another is missing: growth rates for a real series."""
        declared = (*self.panel.values(), *self.intermediate.values())
        texts = [text for kind, text in declared if kind == "formula"]
        return frozenset(other for text in texts for other in formula.alternatives(text).get(name, ()))


def needs(studies: Iterable[Study], formulas: Formulas) -> dict[str, dict[str, list[str]]]:
    """Indicator or kind of records -> study -> exhibits that cannot be computed without it, in the study's order."""
    found: dict[str, dict[str, list[str]]] = {}
    for study in studies:
        for exhibit in study.exhibits:
            wanted = {name for column in _columns(study, exhibit) for name in behind(study, column, formulas)}
            for name in sorted(wanted):
                found.setdefault(name, {}).setdefault(study.name, []).append(exhibit.name)
    return found


def said(exhibits: Collection[str]) -> str:
    """Exhibits in few words: tables 3-5 and 7; figure 2."""
    numbers: dict[str, set[int]] = {"table": set(), "figure": set()}
    others = []
    for name in exhibits:
        match = NUMBERED.match(name)
        if match:
            numbers[match[1]].add(int(match[2]))
        else:
            others.append(name)
    parts = [f"{kind}{'s' * (len(held) > 1)} {_ranges(held)}" for kind, held in numbers.items() if held]
    return ", ".join([*parts, *others])


def _columns(study: Study, exhibit: Exhibit) -> Iterator[str]:
    """Columns of the panel that an exhibit reads."""
    yield from exhibit.variables
    for model in (*exhibit.models, *exhibit.tests):
        yield from columns_used(model)
        yield from columns_named(model)
        yield from _sizes(model)


def _sizes(model: Model) -> Iterator[str]:
    return (matrix.variable for matrix in model.weights if matrix.variable)


def behind(study: Study, column: str, formulas: Formulas) -> set[str]:
    """Indicators and kinds of records that a column of a study's panel is made of."""
    group = next((group.column for group in study.groups if group.name == column), None)
    variable = next((v for v in study.variables if v.name in (column, group)), None)
    if variable is None:
        return set()
    scored = next((made for made in study.efficiency if variable.source in made.columns), None)
    drawn = scored.variables if scored else variable.uses or (variable.source,)
    return {name for source in drawn for name in formulas.behind(source)}


def _ranges(numbers: Collection[int]) -> str:
    runs: list[list[int]] = []
    for value in sorted(numbers):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)

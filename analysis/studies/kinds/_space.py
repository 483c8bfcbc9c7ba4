"""What exhibits of space have in common: how their columns are read, cells of their tables, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.documents import faults
from analysis.printing import maps
from analysis.printing.table import Line, Reasons, number
from analysis.studies.kinds._columns import full_name
from analysis.studies.kinds._reading import WrittenTable
from analysis.studies.methods.spatial import LAG, UNEXPLAINED
from analysis.studies.records import Exhibit, Model, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult

#: A panel with a map, in sizes of the usual one.
MAP: dict[str, Any] = {"wide": maps.WIDTH / 4.8, "tall": maps.HEIGHT / 3.1}


def of_space(method: str) -> type[WrittenTable]:
    """A spatial kind: each column names its matrix, or several where they stand side by side in one result."""
    return type("Spatial", (_OfSpace,), {"method_of_columns": method, "__module__": __name__})


class _OfSpace(WrittenTable):
    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        method, models = self.method_of_columns, self.models(study)
        for at, model in enumerate(models):
            if not model.weights or (len(model.weights) > 1 and method != "moran"):
                said = f"a {method} column needs {'its weights' if not model.weights else 'one matrix'}."
                raise faults({("columns", at): said})
        if method in UNEXPLAINED:
            return replace(common, models=tuple(replace(model, controls=()) for model in models))
        made = [name for model in models for name in model.treatments]
        shown = dict.fromkeys([*made, *(LAG + name for name in made), "rho", "lambda"])
        return replace(common, models=models, show=tuple(shown))


def figures_of(table: pd.DataFrame, model: str, key: str = "estimate") -> dict[str, float]:
    """Term -> number of one model."""
    rows = table[table["model"] == model]
    return dict(zip(rows["term"], rows[key].astype(float), strict=True))


def plain(value: float | None, decimals: int = 4) -> str:
    return "" if value is None else number(value, decimals)


def p_value(value: float | None) -> str:
    """A p value with three decimals, as papers print it."""
    if value is None or not np.isfinite(value):
        return ""
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def outcome_note(models: Sequence[Model], study: Study) -> list[str]:
    names = dict.fromkeys(model.outcome for model in models if model.outcome)
    return [f"Outcome. {'; '.join(full_name(study, name) for name in names)}."]


def said(result: ExhibitResult) -> list[str]:
    """What was left out and how matrices are made, each sentence with the models it is of unless all share it."""
    said: dict[str, list[str]] = {}
    for label in result.models:
        for note in result.facts(label).notes:
            said.setdefault(note, []).append(label)
    several = len(result.models) > 1
    shared = len(result.computed)
    return [
        note if not several or len(labels) == shared else f"{', '.join(labels)}: {note}"
        for note, labels in said.items()
    ]


def absent_cells(result: ExhibitResult, models: Sequence[Model], reasons: Reasons) -> list[Line]:
    """One line that says under which models there is nothing, and why."""
    cells = tuple(
        reasons.mark(NOT_COMPUTED, fitted) if isinstance(fitted := result.models[model.label], str) else ""
        for model in models
    )
    return [Line("All", cells)] if any(cells) else []

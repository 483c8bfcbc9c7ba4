"""Tests between spatial models, and the model that they point to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._space import absent_cells, figures_of, of_space, outcome_note, p_value, plain, said
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from analysis.studies.methods.spatial import ModelChoice


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Tests down, matrices across: statistic and p; the recommendation of each below."""
    reasons = Reasons()
    models = result.specification.models
    computed: list[ModelChoice] = list(result.computed.values())
    panels = [Panel(None, tuple(lines))] if (lines := absent_cells(result, _doubled(models), reasons)) else []
    if computed:
        tests = computed[0].table
        for structure in dict.fromkeys(tests["effects"]):
            lines = []
            for _, test in tests[tests["effects"] == structure].iterrows():
                term = f"{test['test']}, {structure}"
                cells: list[str] = []
                for model in models:
                    value, p = figures_of(table, model.label), figures_of(table, model.label, "p")
                    cells += [plain(value.get(term), 3), p_value(p.get(term))]
                freedom = ", ".join(dict.fromkeys(str(df) for df in _freedom(computed, test["test"], structure)))
                lines.append(Line(f"{test['test']}: {test['null']} (df {freedom})", tuple(cells)))
            panels.append(Panel(_STRUCTURES[structure], tuple(lines)))
    heads = tuple(cell for model in models for cell in (model.label, ""))
    across = ("Statistic", "p") * len(models)
    pointed = [f"{label}. {fitted.recommendation}" for label, fitted in result.computed.items()]
    notes = [
        *outcome_note(models, study),
        *pointed,
        "LM tests and likelihood ratios of the effects are of the panel regression without space; the others compare "
        "spatial Durbin (SDM), lag (SAR) and error (SEM) models, whose log-likelihoods are of the transformed panel.",
        *reasons.notes(),
        *said(result),
    ]
    return (heads, across), "Test of", tuple(panels), notes


def _freedom(computed: Sequence[ModelChoice], test: str, structure: str) -> list[int]:
    """Degrees of freedom of a test, model by model."""
    tables = [fitted.table for fitted in computed]
    return [int(t.loc[(t["test"] == test) & (t["effects"] == structure), "df"].iloc[0]) for t in tables]


def _doubled(models: Sequence[Model]) -> list[Model]:
    return [model for model in models for _ in range(2)]


_STRUCTURES = {
    "none": "Without effects",
    "unit": "City effects",
    "time": "Year effects",
    "two-way": "City and year effects",
}


KIND = Kind(written=of_space("spatial_choice"), layout=_layout, part="space")

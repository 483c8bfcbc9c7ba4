"""Clusters of local Moran's I in one year: a table of classes and a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing import maps
from analysis.printing.table import Content, Line, Panel, Reasons, count
from analysis.studies.kinds._kind import File, Kind, Picture
from analysis.studies.kinds._space import MAP, absent_cells, figures_of, of_space, outcome_note, said
from analysis.studies.methods.spatial import CLASSES
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.spatial import Clusters


#: Cities of a class up to which a note names them; the file of the table has them all.
LISTED = 30
_CALLED = {
    "high-high": "High among high (high-high)",
    "low-low": "Low among low (low-low)",
    "high-low": "High among low (high-low)",
    "low-high": "Low among high (low-high)",
    "not significant": "Not significant",
}


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Classes down with their number of cities, models across; the cities of each class below."""
    reasons = Reasons()
    models = result.specification.models
    computed: dict[str, Clusters] = result.computed
    lines: list[Line] = []
    notes: list[str] = []
    for name in CLASSES if computed else ():
        cells = tuple(count(figures_of(table, model.label).get(name, np.nan)) for model in models)
        lines.append(Line(_CALLED[name], cells))
    lines += absent_cells(result, models, reasons)
    for model in models:
        if model.label not in computed:
            continue
        fitted = computed[model.label]
        members = {name: fitted.table.loc[fitted.table["cluster"] == name, "name_en"] for name in CLASSES[:-1]}
        named = [
            f"{name}: {', '.join(cities) if len(cities) <= LISTED else f'{len(cities)} cities'}"
            for name, cities in members.items()
            if len(cities)
        ]
        notes.append(f"{model.label}, {fitted.year}. {'; '.join(named) or 'No city is significant'}.")
    headers = (tuple(model.label for model in models),)
    notes = [*outcome_note(models, study), *notes, *reasons.notes(), *said(result)]
    return headers, "Cities by class", (Panel(None, tuple(lines)),), notes


#: Class of local Moran's I -> its fill, told apart without colour.
_FILLS = {
    "high-high": maps.Fill("0.15"),
    "low-low": maps.Fill("0.55"),
    "high-low": maps.Fill("0.8", "/////"),
    "low-high": maps.Fill("0.95", "..."),
    "not significant": maps.Fill("0.9"),
}


def _panel(axis: Axes, fitted: Clusters, model: Model) -> None:
    """Cities by class of local Moran's I."""
    table = fitted.table.set_index("city_code")
    maps.categories(axis, table["cluster"], {name: _FILLS[name] for name in CLASSES})


def _words(fitted: Clusters) -> str:
    counts = fitted.table["cluster"].value_counts()
    return f"in {fitted.year} " + ", ".join(f"{int(counts.get(name, 0))} cities {name}" for name in CLASSES)


def _files(fitted: Clusters) -> list[File]:
    return [("clusters", "csv", fitted.table)]


KIND = Kind(
    written=of_space("local_moran"),
    layout=_layout,
    picture=Picture(_panel, "", _words, **MAP),
    files=_files,
    part="space",
)

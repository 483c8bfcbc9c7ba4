"""What each city receives from the pilots among the other cities: a table and a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing import maps
from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.studies.kinds._kind import File, Kind, Picture
from analysis.studies.kinds._space import MAP, absent_cells, figures_of, of_space, outcome_note, said
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.spatial import Spillovers


#: Cities that a note names as those that receive most.
MOST = 10


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """What cities without the policy receive, models across; those that receive most by name."""
    reasons = Reasons()
    models = result.specification.models
    found = [figures_of(table, model.label) for model in models]
    computed: dict[str, Spillovers] = result.computed
    terms = dict.fromkeys(term for label in computed for term in figures_of(table, label))
    lines = [
        Line(term.capitalize(), tuple(_amount(term, facts.get(term, np.nan)) for facts in found)) for term in terms
    ]
    lines += absent_cells(result, models, reasons)
    notes = [*outcome_note(models, study)]
    for label, fitted in computed.items():
        most = fitted.table.nlargest(MOST, "received")
        cities = ", ".join(f"{row.name_en} {row.received:.4f}" for row in most.itertuples())
        notes.append(f"{label}, {fitted.year}. Most is received by {cities}.")
    notes += ["What every city receives is among the files of this table.", *reasons.notes(), *said(result)]
    return (tuple(model.label for model in models),), "", (Panel(None, tuple(lines)),), notes


#: Terms of the table of spillovers that count cities.
_COUNTED = ("cities without the policy", "of them with a tenth of the direct effect or more")


def _amount(term: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    return count(value) if term in _COUNTED else number(value)


#: Share of the direct effect -> the fill of cities that receive up to it.
_SHARES = {
    "no more than a hundredth": (0.01, maps.Fill("0.95")),
    "up to a tenth": (0.1, maps.Fill("0.8")),
    "up to a quarter": (0.25, maps.Fill("0.6")),
    "more than a quarter": (np.inf, maps.Fill("0.3")),
    "pilot": (np.nan, maps.Fill("1.0", "/////")),
}


def _shares(fitted: Spillovers) -> pd.Series:
    """City -> which share of the direct effect it receives from others, in words."""
    table = fitted.table.set_index("city_code")
    names = list(_SHARES)
    share = table["received"].abs() / abs(fitted.direct)
    edges = [-np.inf, *(_SHARES[name][0] for name in names[:-1])]
    found = pd.cut(share, edges, labels=names[:-1]).astype(object)
    return found.mask(table["treated"] == 1, "pilot")


def _panel(axis: Axes, fitted: Spillovers, model: Model) -> None:
    """Cities by what they receive from the pilots among the others, as a share of the direct effect."""
    maps.categories(axis, _shares(fitted), {name: fill for name, (_, fill) in _SHARES.items()})
    axis.set_title(f"{model.label}, {fitted.year}: received from others, of the direct effect")


def _words(fitted: Spillovers) -> str:
    counts = _shares(fitted).value_counts()
    return f"in {fitted.year} " + ", ".join(f"{int(counts.get(name, 0))} cities {name}" for name in _SHARES)


def _files(fitted: Spillovers) -> list[File]:
    return [("received", "csv", fitted.table)]


KIND = Kind(
    written=of_space("spatial_spillovers"),
    layout=_layout,
    picture=Picture(_panel, "", _words, **MAP),
    files=_files,
    part="space",
)

"""Moran's I and Geary's C year by year, and the scatter of the last year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons
from analysis.results import stars
from analysis.studies.kinds._kind import File, Kind, Picture
from analysis.studies.kinds._space import figures_of, of_space, outcome_note, p_value, plain, said
from analysis.studies.records import Model, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.spatial import MoranByYear


_COLUMNS = ("I", "I, published", "z", "p", "p, published", "p, randomisation", "p, permutation", "Geary's C", "C, p")


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """A panel a matrix: years down; I, its three p values, the printed pair and Geary's C across."""
    reasons = Reasons()
    computed: dict[str, MoranByYear] = result.computed
    panels, notes = [], []
    models = result.specification.models
    for model in models:
        if model.label not in computed:
            continue
        fitted = computed[model.label]
        prefix = "" if len(models) == 1 else f"{model.label}, "
        for matrix in model.weights:
            lines = tuple(
                _line(table, f"{prefix}{year}", matrix.name, str(year)) for year in fitted.table["year"].unique()
            )
            panels.append(Panel(f"{prefix}{matrix.label.en} ({matrix.name})", lines))
        sided = {"greater": "one-sided, for positive autocorrelation", "two-sided": "two-sided"}[fitted.alternative]
        notes.append(f"p: {sided}, under {fitted.assumption}; {fitted.permutations} permutations of the cities.")
        cities = fitted.table["n"].iloc[0]
        notes.append(f"{cities} cities a year; the expected value of I is {-1 / (cities - 1):.4f}, of C it is 1.")
    absent = _absent(result, reasons, len(_COLUMNS))
    panels = [*([Panel(None, tuple(absent))] if absent else []), *panels]
    return (_COLUMNS,), "Year", tuple(panels), [*outcome_note(models, study), *notes, *reasons.notes(), *said(result)]


def _line(table: pd.DataFrame, model: str, matrix: str, year: str) -> Line:
    here, printed = figures_of(table, model), figures_of(table, model, "published_estimate")
    tested = figures_of(table, model, "p")
    paper = printed.get(matrix, np.nan)
    cells = (
        plain(here.get(matrix)) + stars(here.get(f"{matrix} p", np.nan)),
        f"{paper:.3f}" if np.isfinite(paper) else "",
        plain(here.get(f"{matrix} z"), 3),
        p_value(here.get(f"{matrix} p")),
        f"{printed[f'{matrix} p']:.3f}" if np.isfinite(paper) and f"{matrix} p" in printed else "",
        p_value(here.get(f"{matrix} p, randomisation")),
        p_value(here.get(f"{matrix} p, permutation")),
        plain(here.get(f"{matrix} Geary's C")),
        p_value(tested.get(f"{matrix} Geary's C")),
    )
    return Line(year, cells, "estimate")


def _absent(result: ExhibitResult, reasons: Reasons, width: int) -> list[Line]:
    """A line for each model that could not be computed."""
    return [
        Line(label, (reasons.mark(NOT_COMPUTED, fitted), *[""] * (width - 1)))
        for label, fitted in result.models.items()
        if isinstance(fitted, str)
    ]


@dataclass(frozen=True)
class _Scatter:
    """Points of one matrix in the last year: ``z`` and ``lag`` a city, and Moran's I with its p."""

    points: pd.DataFrame
    i: float
    p: float


def _scatters(fitted: MoranByYear) -> dict[str, _Scatter]:
    """A panel a matrix, by what its title says."""
    parts = {}
    last = fitted.table[fitted.table["year"] == fitted.year].set_index("matrix")
    for name, points in fitted.points.groupby("matrix", sort=False):
        i, p = float(last["i"][name]), float(last["p"][name])
        parts[f"{name}, {fitted.year}"] = _Scatter(points, i, p)
    return parts


def _panel(axis: Axes, part: _Scatter, model: Model) -> None:
    """Each city's standardised value against the weighted mean of its neighbours', and the line through them."""
    z, lag = part.points["z"].to_numpy(dtype=float), part.points["lag"].to_numpy(dtype=float)
    for draw in (axis.axhline, axis.axvline):
        draw(0, color="0.35", linewidth=0.8)
    axis.plot(z, lag, linestyle="", marker="o", markersize=3, markerfacecolor="0.75", markeredgecolor="0.35")
    ends = np.array([z.min(), z.max()])
    slope = float(z @ lag / (z @ z))  # z has mean zero; the lag need not, where some cities weigh more
    axis.plot(ends, lag.mean() + slope * ends, color="black", linewidth=1.4)
    told = f"I = {part.i:.3f}, p {_equals(part.p)}".replace("-", "\u2212")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axis.annotate(told, (0.98, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=9, bbox=box)
    axis.set_ylabel("Spatial lag")


def _equals(value: float) -> str:
    return "< 0.001" if value < 0.0005 else f"= {value:.3f}"


def _words(fitted: MoranByYear) -> str:
    parts = []
    for name, part in _scatters(fitted).items():
        inside = (part.points["z"] * part.points["lag"]).gt(0).mean()
        parts.append(
            f"{name}: Moran's I {part.i:.3f}, p {_equals(part.p)}, {inside:.0%} of cities like their neighbours"
        )
    return "; ".join(parts)


def _files(fitted: MoranByYear) -> list[File]:
    return [("scatter", "csv", fitted.points)]


KIND = Kind(
    written=of_space("moran"),
    layout=_layout,
    picture=Picture(_panel, "Standardised value", _words, split=_scatters),
    files=_files,
    part="space",
)

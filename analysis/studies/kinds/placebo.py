"""Estimates under treatment dealt at random, beside the true one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, number
from analysis.studies.kinds._columns import facts_of_models, headers, method_notes, outcome_notes, rows_of, term_lines
from analysis.studies.kinds._kind import Kind, Picture
from analysis.studies.kinds._reading import of_one_method
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.did.placebo import Placebo


_TERMS = {
    "placebo 2.5%": "Draws, 2.5% quantile",
    "placebo 97.5%": "Draws, 97.5% quantile",
    "share significant at 5%": "Draws significant at 5%, share",
    "draws": "Draws",
}


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """The true estimate, the p of the permutation, and where the draws lie; models across."""
    reasons = Reasons()
    models = result.specification.models
    frames = [rows_of(table, model.label) for model in models]

    def cells(term: str, key: str, decimals: int = 4) -> tuple[str, ...]:
        return tuple(number(rows[term][key], decimals) if term in rows else "" for rows in frames)

    lines = [
        *term_lines(models[0].treatment, study, frames, reasons),
        Line("Permutation p", cells("placebo", "p")),
        Line("Draws, mean", cells("placebo", "estimate")),
        Line("Draws, standard deviation", cells("placebo", "se")),
        *(Line(name, cells(term, "estimate", 0 if term == "draws" else 4)) for term, name in _TERMS.items()),
        *facts_of_models(result, study, frames),
    ]
    notes = [*outcome_notes(models, study), *reasons.notes(), *method_notes(result)]
    return headers(models), "", (Panel(None, tuple(lines)),), notes


def _panel(axis: Axes, fitted: Placebo, model: Model) -> None:
    """Density of the drawn estimates, their p values as dots on an axis of their own, and the true estimate."""
    from scipy.stats import gaussian_kde

    draws = fitted.draws.dropna(subset=["estimate"])
    estimate = draws["estimate"].to_numpy()
    ends = np.array([estimate.min(), estimate.max(), fitted.actual, 0.0])
    margin = 0.05 * np.ptp(ends)
    left, right = float(ends.min() - margin), float(ends.max() + margin)
    axis.set_xlim(left, right)
    dots = axis.twinx()
    dots.plot(estimate, draws["p"], linestyle="", marker="o", markersize=2.5, color="0.6", markeredgewidth=0)
    dots.axhline(0.1, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
    dots.set_ylim(0, 1)
    dots.set_ylabel("p value (dots; dotted line at 0.1)")
    dots.spines["right"].set_visible(True)
    if np.ptp(estimate) > 0:
        grid = np.linspace(left, right, 400)
        axis.plot(grid, gaussian_kde(estimate)(grid), color="black", linewidth=1.6)
    axis.set_zorder(dots.get_zorder() + 1)
    axis.patch.set_visible(False)
    axis.axvline(0, color="0.35", linewidth=0.8)
    axis.axvline(fitted.actual, color="black", linewidth=1.2, linestyle=(0, (5, 3)))
    above = fitted.actual > estimate.mean()
    axis.annotate(
        f"true estimate\np = {fitted.p_value:.3f}",
        (fitted.actual, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if above else 4, 0),
        textcoords="offset points",
        ha="right" if above else "left",
        va="top",
        fontsize=9,
    )
    axis.set_ylim(bottom=0)
    axis.set_ylabel("Density (line)")


def _words(fitted: Placebo) -> str:
    row = fitted.table.iloc[0]
    return (
        f"{row['draws']:.0f} draws lie around {row['mean']:.3f}, 95% of them between {row['low']:.3f} and "
        f"{row['high']:.3f}; the true estimate is {row['actual']:.3f}, p = {row['p_value']:.3f}"
    )


KIND = Kind(
    written=of_one_method("placebo"),
    layout=_layout,
    picture=Picture(_panel, "Estimate under treatment dealt at random", _words),
)

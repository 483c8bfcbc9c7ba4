"""What each kind of picture shows: one panel a model, in grey, and the same in words for those who cannot see it.

The canvas, the formats and the files are in `figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.reporting.picture import Picture
from analysis.reporting.spatial_figures import SPATIAL_PICTURES
from analysis.studies.records import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.did.event_study import EventStudy
    from analysis.did.placebo import Placebo
    from analysis.matching.result import Matching
    from analysis.studies.methods.diagnostics import Decomposition


def _event_study(axis: Axes, fitted: EventStudy, model: Model) -> None:
    """Estimates by period with 95% intervals, the base hollow, periods without a number crossed."""
    table = fitted.table
    periods = table.index.to_numpy(dtype=int)
    base = periods == fitted.base
    known = np.isfinite(table["estimate"].to_numpy(dtype=float)) & ~base
    axis.axhline(0, color="0.35", linewidth=0.8)
    axis.axvline(-0.5, color="0.55", linewidth=0.8, linestyle=(0, (4, 3)))
    estimate = table["estimate"].to_numpy(dtype=float)[known]
    low, high = (table[side].to_numpy(dtype=float)[known] for side in ("low", "high"))
    axis.vlines(periods[known], low, high, color="0.45", linewidth=1.6)
    for edge in (low, high):
        axis.plot(periods[known], edge, linestyle="", marker="_", markersize=7, color="0.45", markeredgewidth=1.6)
    axis.plot(periods[known], estimate, linestyle="", marker="o", markersize=5, color="black")
    axis.plot([fitted.base], [0], linestyle="", marker="o", markersize=6, color="black", markerfacecolor="white")
    axis.annotate("base", (fitted.base, 0), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9)
    missing = periods[~known & ~base]
    axis.plot(missing, np.zeros(len(missing)), linestyle="", marker="x", markersize=6, color="0.35")
    axis.set_xticks(periods)
    axis.set_xlim(periods.min() - 0.6, periods.max() + 0.6)
    axis.set_ylabel("Effect, 95% interval")
    if model.options.get("bin_ends", True):
        _mark_binned_ends(axis, fitted)


def _mark_binned_ends(axis: Axes, fitted: EventStudy) -> None:
    """Say on the axis that the first and the last period pool everything beyond them."""
    periods = fitted.table.index.to_list()
    labels = [f"{period}".replace("-", "\u2212") for period in periods]
    axis.set_xticks(periods, [f"\u2264{labels[0]}", *labels[1:-1], f"\u2265{labels[-1]}"])


def _event_study_words(fitted: EventStudy) -> str:
    table = fitted.table.drop(index=fitted.base).dropna(subset=["estimate"])
    before, after = table[table.index < 0], table[table.index >= 0]
    p = fitted.pretrend.p
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    test = f"joint test of the leads, {shown}" if np.isfinite(p) else ""
    parts = [_range(before, "before adoption"), _range(after, "from adoption on"), test]
    return "; ".join(part for part in parts if part)


def _range(table: pd.DataFrame, when: str) -> str:
    if table.empty:
        return ""
    significant = int((table["p"] < 0.05).sum())
    low, high = table["estimate"].min(), table["estimate"].max()
    return f"estimates {when} from {low:.3f} to {high:.3f}, {significant} of {len(table)} significant at 5%"


def _placebo(axis: Axes, fitted: Placebo, model: Model) -> None:
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


def _placebo_words(fitted: Placebo) -> str:
    row = fitted.table.iloc[0]
    return (
        f"{row['draws']:.0f} draws lie around {row['mean']:.3f}, 95% of them between {row['low']:.3f} and "
        f"{row['high']:.3f}; the true estimate is {row['actual']:.3f}, p = {row['p_value']:.3f}"
    )


#: Kind of comparison -> marker and fill, told apart without colour.
_MARKERS = {
    "Earlier vs Later Treated": ("^", "white"),
    "Later vs Earlier Treated": ("v", "0.6"),
    "Both Treated": ("D", "white"),
    "Later vs Always Treated": ("s", "0.6"),
    "Treated vs Untreated": ("o", "black"),
    "Always Treated vs Untreated": ("x", "black"),
}


def _bacon(axis: Axes, fitted: Decomposition, model: Model) -> None:
    """Weight and estimate of each comparison, and the two-way estimate they average to."""
    table = fitted.bacon.table
    axis.axhline(0, color="0.35", linewidth=0.8)
    axis.axhline(fitted.bacon.overall, color="0.35", linewidth=1.0, linestyle=(0, (5, 3)), label="two-way estimate")
    for kind, (marker, fill) in _MARKERS.items():
        rows = table[table["type"] == kind]
        if len(rows):
            style: dict[str, Any] = {"markerfacecolor": fill, "markeredgecolor": "black", "markersize": 6}
            axis.plot(rows["weight"], rows["estimate"], linestyle="", marker=marker, label=kind, **style)
    axis.set_xlim(left=0)
    axis.set_ylabel("Estimate")
    axis.legend(fontsize=8, frameon=False)


def _bacon_words(fitted: Decomposition) -> str:
    parts = [
        f"{name} have weight {row['weight']:.3f} and estimate {row['estimate']:.3f}"
        for name, row in fitted.shares.iterrows()
    ]
    return "; ".join(parts)


def _support(axis: Axes, fitted: Matching, model: Model) -> None:
    """Propensity scores of treated rows above the axis and of the others below; what found no match is hollow."""
    table = fitted.table.dropna(subset=["score"])
    edges = np.linspace(0, table["score"].max(), 31)
    widths = np.diff(edges)
    matched = table["weight"].gt(0)
    axis.axhline(0, color="0.35", linewidth=0.8)
    for treated, sign, fill, named in ((1, 1, "0.25", "treated"), (0, -1, "0.55", "others")):
        own = table["treated"].eq(treated)
        # Shares of each side: the untreated are many more.
        used = sign * np.histogram(table["score"][own & matched], edges)[0] / own.sum()
        left = sign * np.histogram(table["score"][own & ~matched], edges)[0] / own.sum()
        axis.bar(edges[:-1], used, widths, align="edge", color=fill, label=f"{named}, matched")
        hollow: dict[str, Any] = {"color": "white", "edgecolor": "0.25", "linewidth": 0.6}
        axis.bar(edges[:-1], left, widths, used, align="edge", label="not matched" if treated else None, **hollow)
    # Scores of the untreated crowd near zero: under a square root the others can be seen beside them.
    axis.set_yscale("function", functions=(lambda y: np.sign(y) * np.sqrt(np.abs(y)), lambda y: np.sign(y) * y**2))
    bound = max(abs(end) for end in axis.get_ylim())
    axis.set_ylim(-bound, bound)
    ticks = [tick for tick in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0) if tick <= bound]
    axis.set_yticks([-tick for tick in ticks[:0:-1]] + ticks)
    axis.yaxis.set_major_formatter(lambda value, place: f"{abs(value):g}")
    axis.set_ylabel("Share of rows (square-root scale)")
    axis.legend(fontsize=8, frameon=False)


def _support_words(fitted: Matching) -> str:
    treated, matched = fitted.table["treated"].eq(1), fitted.table["weight"].gt(0)
    return (
        f"{int((treated & matched).sum())} of {int(treated.sum())} treated rows are matched, with "
        f"{int((matched & ~treated).sum())} other rows"
    )


#: Kind of exhibit -> its picture; `records.DRAWN` lists the same kinds.
PICTURES: dict[str, Picture] = {
    "event_study": Picture(_event_study, "Years since adoption", _event_study_words),
    "placebo": Picture(_placebo, "Estimate under treatment dealt at random", _placebo_words),
    "bacon": Picture(_bacon, "Weight", _bacon_words),
    "balance": Picture(_support, "Propensity score", _support_words),
    **SPATIAL_PICTURES,
}

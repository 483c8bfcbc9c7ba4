"""Covariates before and after matching, and where the matched sample lies on the propensity score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.studies.kinds._columns import rows_of, said
from analysis.studies.kinds._kind import Kind, Picture
from analysis.studies.kinds._reading import of_one_method
from analysis.studies.records import Model, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.matching.result import Matching


_COLUMNS = ("mean_treated", "mean_control", "bias", "bias_reduction", "t", "p", "variance_ratio")


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """A panel a matching: each covariate before and after."""
    reasons = Reasons()
    computed: dict[str, Matching] = result.computed
    panels, notes = [], []
    for model in result.specification.models:
        rows = rows_of(table, model.label)
        if model.label not in computed:
            cells = (reasons.mark(NOT_COMPUTED, result.models[model.label]), *[""] * (len(_COLUMNS) - 1))
            panels.append(Panel(model.label, (Line("All", cells),)))
            continue
        balance = computed[model.label].balance[list(_COLUMNS)]
        lines = [
            Line(f"{covariate}, {sample}", tuple(number(value, 3) for value in values))
            for (covariate, sample), values in zip(balance.index, balance.to_numpy(dtype=float), strict=True)
        ]
        panels.append(Panel(model.label, tuple(lines)))
        sought, matched, used = (
            rows[term]["estimate"] for term in ("treated rows", "treated rows matched", "control rows used")
        )
        few = " Most found none: the matched sample speaks for a minority." if matched < sought / 2 else ""
        notes.append(
            f"{model.label}: {count(matched)} of {count(sought)} rows of pilot cities matched with {count(used)} rows "
            f"of other cities; mean bias {number(rows['mean bias, unmatched']['estimate'], 1)}% before and "
            f"{number(rows['mean bias, matched']['estimate'], 1)}% after.{few}"
        )
    across = ("Mean, treated", "Mean, control", "Bias, %", "Reduction, %", "t", "p", "Variance ratio")
    return (across,), "Covariate", tuple(panels), [*notes, *reasons.notes(), *said(result)]


def _panel(axis: Axes, fitted: Matching, model: Model) -> None:
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


def _words(fitted: Matching) -> str:
    treated, matched = fitted.table["treated"].eq(1), fitted.table["weight"].gt(0)
    return (
        f"{int((treated & matched).sum())} of {int(treated.sum())} treated rows are matched, with "
        f"{int((matched & ~treated).sum())} other rows"
    )


KIND = Kind(
    written=of_one_method("balance"),
    layout=_layout,
    picture=Picture(_panel, "Propensity score", _words),
)

"""Effects by year since adoption, a series for each outcome and base."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from analysis.documents import Between, faults
from analysis.printing.canvas import tell
from analysis.printing.table import Content, Line, number
from analysis.studies.kinds._columns import Rows, models_across, p_value
from analysis.studies.kinds._kind import Kind, Picture
from analysis.studies.kinds._reading import WrittenOutcomes, baseline_of
from analysis.studies.records import Exhibit, Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.did.event_study import EventStudy


#: Numbers for which an axis has room.
TICKS = 12

Period = Annotated[int, Between(-50, 50)]


class Written(WrittenOutcomes):
    """A series for each outcome and base: the base of the paper first, then those to show ``beside`` it."""

    base: Period = Field(description="The year that the others are compared with, in years since adoption.")
    leads: Annotated[int, Between(0, 50)] = Field(description="Years before adoption.")
    lags: Annotated[int, Between(0, 50)] = Field(description="Years after adoption.")
    beside: tuple[Period, ...] = Field(default=(), description="Further base years, each a series of its own.")

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        bases = [self.base, *self.beside]
        outside = [period for period in bases if not -self.leads <= period <= self.lags]
        if outside:
            raise faults({("base",): f"the base {outside[0]} lies outside -{self.leads}..{self.lags}."})
        base = replace(self.baseline.chosen(baseline_of(study), study), method="event_study")
        models = []
        for outcome in self.outcomes:
            for period in bases:
                label = outcome if len(bases) < 2 else f"{outcome}, base {period}"
                options = {"base": period, "leads": self.leads, "lags": self.lags}
                models.append(replace(base, label=label, outcome=outcome, options=options))
        return replace(common, models=tuple(models))


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Periods in order of time, and the joint test of the leads."""
    return models_across(result, study, table, terms=_periods, more=_pretrend)


def _periods(result: ExhibitResult, table: pd.DataFrame) -> list[str]:
    own = {model.label for model in result.specification.models}
    found = list(dict.fromkeys(table.loc[table["model"].isin(own), "term"]))
    periods = sorted((t for t in found if t.startswith("period ")), key=lambda t: int(t.split()[1]))
    return periods or found[:1]


def _pretrend(frames: list[Rows]) -> list[Line]:
    tests = tuple(p_value(rows["pretrend F"]["p"]) if "pretrend F" in rows else "" for rows in frames)
    return [Line("Leads jointly zero, p", tests)]


def _panel(axis: Axes, fitted: EventStudy, model: Model) -> None:
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
    (points,) = axis.plot(periods[known], estimate, linestyle="", marker="o", markersize=5, color="black")
    said = zip(periods[known], estimate, low, high, strict=True)
    tell(points, [f"{when}: {number(b)} ({number(least)} to {number(most)})" for when, b, least, most in said])
    axis.plot([fitted.base], [0], linestyle="", marker="o", markersize=6, color="black", markerfacecolor="white")
    axis.annotate("base", (fitted.base, 0), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9)
    missing = periods[~known & ~base]
    axis.plot(missing, np.zeros(len(missing)), linestyle="", marker="x", markersize=6, color="0.35")
    axis.set_xticks(_apart(periods))
    axis.set_xlim(periods.min() - 0.6, periods.max() + 0.6)
    axis.set_ylabel("Effect, 95% interval")
    if model.options.get("bin_ends", True):
        _mark_binned_ends(axis, fitted)


def _mark_binned_ends(axis: Axes, fitted: EventStudy) -> None:
    """Say on the axis that the first and the last period pool everything beyond them."""
    periods = _apart(fitted.table.index.to_numpy(dtype=int))
    labels = [f"{period}".replace("-", "\u2212") for period in periods]
    axis.set_xticks(periods, [f"\u2264{labels[0]}", *labels[1:-1], f"\u2265{labels[-1]}"])


def _apart(periods: np.ndarray) -> list[int]:
    """The periods that have a number on the axis: the ends, zero, and between them as many as there is room for."""
    step = -(-len(periods) // TICKS)
    first, last = int(periods[0]), int(periods[-1])
    inside = [int(t) for t in periods if t % step == 0 and t - first >= step and last - t >= step]
    return [first, *inside, last]


def _words(fitted: EventStudy) -> str:
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


KIND = Kind(
    written=Written,
    layout=_layout,
    picture=Picture(_panel, "Years since adoption", _words),
    part="trends",
)

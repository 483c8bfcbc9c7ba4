"""The two-way estimate taken apart into comparisons between cohorts (Goodman-Bacon 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, number
from analysis.studies.kinds._columns import outcome_notes, printed_cell, rows_of, said, why_not
from analysis.studies.kinds._kind import Kind, Picture
from analysis.studies.kinds._reading import of_one_method
from analysis.studies.records import Model, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.diagnostics import Decomposition

TOTAL = "all comparisons"


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Comparisons down; weight and estimate of each model across."""
    reasons = Reasons()
    models = result.specification.models
    computed: dict[str, Decomposition] = result.computed
    prefixes = [""] if len(models) == 1 else [f"{model.label}, " for model in models]
    compared: dict[str, None] = {}
    for model, prefix in zip(models, prefixes, strict=True):
        compared |= dict.fromkeys(map(str, computed[model.label].shares.index) if model.label in computed else ())
        if not prefix:
            compared |= dict.fromkeys(name for name in table["model"] if name != model.label)
    # The total last, whatever comparisons other models add.
    names = [name for name in compared if name != TOTAL] + [name for name in compared if name == TOTAL]
    lines, paper = [], []
    for name in names:
        rows = [rows_of(table, prefix + name) for prefix in prefixes]
        pairs = [(frame.get("weight"), frame.get("estimate")) for frame in rows]
        lines.append(Line(name.capitalize(), tuple(number(row["estimate"]) if row else "" for p in pairs for row in p)))
        cells = tuple(printed_cell(row) if row else "" for pair in pairs for row in pair)
        paper += [Line(name.capitalize(), cells)] if any(cells) else []
    failed = [(i, why_not(rows_of(table, model.label))) for i, model in enumerate(models)]
    for i, why in failed:
        if why:
            empty = [""] * (2 * len(models))
            empty[2 * i] = reasons.mark(NOT_COMPUTED, why)
            lines.append(Line("All", tuple(empty)))
    across = tuple(word for _ in models for word in ("Weight", "Estimate"))
    labels = tuple(label for model in models for label in (model.label, ""))
    panels = [Panel(None, tuple(lines))] + ([Panel("As published", tuple(paper))] if paper else [])
    notes = [*outcome_notes(models, study), *reasons.notes(), *said(result)]
    return ((across,) if len(models) == 1 else (labels, across)), "Comparison", tuple(panels), notes


#: Kind of comparison -> marker and fill, told apart without colour.
_MARKERS = {
    "Earlier vs Later Treated": ("^", "white"),
    "Later vs Earlier Treated": ("v", "0.6"),
    "Both Treated": ("D", "white"),
    "Later vs Always Treated": ("s", "0.6"),
    "Treated vs Untreated": ("o", "black"),
    "Always Treated vs Untreated": ("x", "black"),
}


def _panel(axis: Axes, fitted: Decomposition, model: Model) -> None:
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


def _words(fitted: Decomposition) -> str:
    parts = [
        f"{name} have weight {row['weight']:.3f} and estimate {row['estimate']:.3f}"
        for name, row in fitted.shares.iterrows()
    ]
    return "; ".join(parts)


KIND = Kind(
    written=of_one_method("bacon"),
    layout=_layout,
    picture=Picture(_panel, "Weight", _words),
)

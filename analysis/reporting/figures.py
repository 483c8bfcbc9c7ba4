"""Figures as journals print them: SVG and PNG with the same bytes for the same numbers, readable in grey.

Drawn without pyplot, so nothing here touches a display or state that other code shares. Labels are English: no font
for Chinese is needed.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.reporting.tables import SAMPLE, display_name
from analysis.studies.records import Study
from analysis.studies.run import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.did.event_study import EventStudy

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "pilotcity",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
WIDTH, HEIGHT = 4.8, 3.1


def event_study_figure(result: ExhibitResult, study: Study) -> dict[str, bytes]:
    """An event-study exhibit, one panel a model: estimates with 95% intervals, the base hollow.

    Returns
    -------
    dict
        "svg" and "png" -> contents; empty when no model of the exhibit could be computed.
    """
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    computed = {label: fitted for label, fitted in result.models.items() if not isinstance(fitted, str)}
    if not computed:
        return {}
    # The user's own matplotlib settings must not reach the page.
    with matplotlib.style.context("default", after_reset=True), matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT * len(computed)), layout="constrained")
        axes = figure.subplots(len(computed), 1, squeeze=False)[:, 0]
        models = {model.label: model for model in result.specification.models}
        for axis, (label, fitted) in zip(axes, computed.items(), strict=True):
            outcome = models[label].outcome
            base = label.removeprefix(outcome)
            _event_study_panel(axis, fitted, f"{study.label(outcome).en} ({outcome}){base}".replace(" -", " \u2212"))
            if models[label].options.get("bin_ends", True):
                _mark_binned_ends(axis, fitted)
        axes[-1].set_xlabel("Years since adoption")
        if result.is_sample:
            figure.suptitle(SAMPLE, x=0.99, ha="right", fontsize=10.5, fontweight="bold")
        return contents(figure, f"{display_name(result.exhibit)}. {result.title.en}")


def _event_study_panel(axis: Axes, fitted: EventStudy, title: str) -> None:
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
    axis.set_title(title)
    axis.set_xticks(periods)
    axis.set_xlim(periods.min() - 0.6, periods.max() + 0.6)
    axis.set_ylabel("Effect, 95% interval")


def _mark_binned_ends(axis: Axes, fitted: EventStudy) -> None:
    """Say on the axis that the first and the last period pool everything beyond them."""
    periods = fitted.table.index.to_list()
    labels = [f"{period}".replace("-", "\u2212") for period in periods]
    axis.set_xticks(periods, [f"\u2264{labels[0]}", *labels[1:-1], f"\u2265{labels[-1]}"])


def contents(figure: Figure, title: str) -> dict[str, bytes]:
    """The figure in both formats, without the date and the software's version."""
    written = {}
    for suffix, metadata in (("svg", {"Date": None, "Creator": "pilotcity", "Title": title}), ("png", _PNG)):
        file = io.BytesIO()
        figure.savefig(file, format=suffix, metadata=metadata)
        written[suffix] = file.getvalue()
    return written


_PNG = {"Software": None}


def describe_event_study(result: ExhibitResult) -> str:
    """What the figure shows, in words, for those who cannot see it."""
    sentences = []
    for label, fitted in result.models.items():
        if isinstance(fitted, str):
            sentences.append(f"{label} is not computed.")
            continue
        table = fitted.table.drop(index=fitted.base).dropna(subset=["estimate"])
        before, after = table[table.index < 0], table[table.index >= 0]
        p = fitted.pretrend.p
        shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        test = f"joint test of the leads, {shown}" if np.isfinite(p) else ""
        parts = [_range(before, "before adoption"), _range(after, "from adoption on"), test]
        sentences.append(f"{label}: {'; '.join(part for part in parts if part)}.")
    return " ".join(sentences)


def _range(table: pd.DataFrame, when: str) -> str:
    if table.empty:
        return ""
    significant = int((table["p"] < 0.05).sum())
    low, high = table["estimate"].min(), table["estimate"].max()
    return f"estimates {when} from {low:.3f} to {high:.3f}, {significant} of {len(table)} significant at 5%"


def write_figure(result: ExhibitResult, study: Study, folder: Path) -> dict[str, Path]:
    """Write <exhibit>.svg and .png of an exhibit that is a figure into ``folder``; returns format -> path."""
    contents = event_study_figure(result, study) if result.kind == "event_study" else {}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{result.exhibit}.{suffix}" for suffix in contents}
    for suffix, path in paths.items():
        path.write_bytes(contents[suffix])
    return paths

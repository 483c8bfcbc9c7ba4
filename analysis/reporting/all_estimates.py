"""Every estimate of a study's effect side by side: a curve over specifications, one panel an outcome, readable in grey.

Which estimates there are is decided by the study; nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.printing.canvas import STYLE, contents
from analysis.printing.table import SAMPLE, display_name
from analysis.studies.kinds import KINDS
from analysis.studies.methods import METHODS
from analysis.studies.published import Published
from analysis.studies.records import Model, Study
from analysis.studies.result import OK, ExhibitResult

COLUMNS = ["outcome", "name", "estimate", "low", "high", "published", "baseline"]
#: Half the width of a 95% interval in standard errors; inches of a row and of what stands around a panel.
NORMAL, ROW, AROUND = 1.959964, 0.19, 0.75


def gather(study: Study, results: Mapping[str, ExhibitResult], printed: Published) -> pd.DataFrame:
    """One row a specification that estimates the effect on one of the study's outcomes, sorted by outcome and estimate.

    Returns
    -------
    DataFrame
        ``outcome``, ``name`` (exhibit, column and what it is headed), ``estimate``, ``low`` and ``high`` (95%, normal),
        ``published`` (missing where nothing is printed), ``baseline`` (whether it is of the first regression table).
    """
    paper = printed.table[printed.table["term"] == study.treatment].set_index(["exhibit", "model"])["estimate"]
    baseline = next((name for name, result in results.items() if result.kind == "regression"), None)
    rows = []
    for name, result in results.items():
        for model in result.specification.models if KINDS[result.kind].is_effect else ():
            own = result.estimates[
                (result.estimates["model"] == model.label)
                & (result.estimates["term"] == study.treatment)
                & (result.estimates["status"] == OK)
            ]
            if len(own) and _is_an_effect(model, study):
                estimate, se = float(own["estimate"].iloc[0]), float(own["se"].iloc[0])
                stated = float(paper.get((name, model.label), np.nan))
                bounds = (estimate - NORMAL * se, estimate + NORMAL * se)
                rows.append((model.outcome, _called(name, model), estimate, *bounds, stated, name == baseline))
    table = pd.DataFrame(rows, columns=COLUMNS)
    place = {outcome: position for position, outcome in enumerate(study.outcomes)}
    return table.sort_values(["outcome", "estimate"], key=lambda c: c.map(place) if c.name == "outcome" else c)


def _is_an_effect(model: Model, study: Study) -> bool:
    return (
        model.outcome in study.outcomes
        and study.treatment in model.treatments
        and model.interaction is None
        and METHODS[model.method].repeats is None
    )


def _called(exhibit: str, model: Model) -> str:
    heading = model.heading.en if model.heading else ""
    if not model.label.startswith("("):
        return f"{display_name(exhibit)}: {heading or model.label}"
    return f"{display_name(exhibit)} {model.label}" + (f": {heading}" if heading else "")


def draw(table: pd.DataFrame, study: Study, *, is_sample: bool) -> dict[str, bytes]:
    """The curve as SVG and PNG; empty where fewer than three specifications estimate an effect."""
    import matplotlib
    import matplotlib.style
    from matplotlib.figure import Figure

    parts = [(str(outcome), rows) for outcome, rows in table.groupby("outcome", sort=False)]
    if len(table) < 3:
        return {}
    with matplotlib.style.context("default", after_reset=True), matplotlib.rc_context(STYLE):
        heights = [AROUND + ROW * len(rows) for _, rows in parts]
        figure = Figure(figsize=(6.4, sum(heights)), layout="constrained")
        axes = figure.subplots(len(parts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axis, (outcome, rows) in zip(axes, parts, strict=True):
            label = study.label(outcome).en
            axis.set_title(label if label == outcome else f"{label} ({outcome})")
            place = np.arange(len(rows))
            shades = np.where(rows["baseline"], "black", "0.5")
            axis.axvline(0, color="0.6", linewidth=0.8)
            axis.hlines(place, rows["low"], rows["high"], colors=list(shades), linewidth=1.6)
            for first, marker, words in ((True, "s", "baseline"), (False, "o", "other specification")):
                own = rows["baseline"].to_numpy() == first
                axis.scatter(
                    rows["estimate"][own], place[own], c=list(shades[own]), marker=marker, s=22, zorder=3, label=words
                )
            axis.scatter(
                rows["published"],
                place,
                marker="D",
                s=26,
                facecolors="white",
                edgecolors="black",
                zorder=4,
                label="published",
            )
            axis.set_yticks(place, list(rows["name"]), fontsize=8)
            axis.set_ylim(-0.8, len(rows) - 0.2)
        axes[-1].set_xlabel("Effect, 95% interval")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
        )
        if is_sample:
            figure.suptitle(SAMPLE, x=0.99, ha="right", fontsize=10.5, fontweight="bold")
        return contents(figure, "Every estimate side by side")


def describe(table: pd.DataFrame, study: Study) -> str:
    """What the picture shows, in words."""
    said = []
    for outcome, rows in table.groupby("outcome", sort=False):
        above, below = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
        said.append(
            f"{study.label(str(outcome)).en}: {len(rows)} estimates from {rows['estimate'].min():.4g} to "
            f"{rows['estimate'].max():.4g}; {above} intervals above zero, {below} below."
        )
    return " ".join(said)


def write(
    study: Study, results: Mapping[str, ExhibitResult], printed: Published, folder: Path, *, is_sample: bool
) -> tuple[dict[str, Path], str]:
    """Write all_estimates.svg and .png into ``folder``; returns format -> path, and the picture in words."""
    table = gather(study, results, printed)
    drawn = draw(table, study, is_sample=is_sample)
    paths = {suffix: folder / f"all_estimates.{suffix}" for suffix in drawn}
    for suffix, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn[suffix])
    return paths, describe(table, study) if drawn else ""

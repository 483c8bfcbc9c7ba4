"""Direct, indirect and total effects of a spatial model, and how far the indirect ones reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.results import stars
from analysis.studies.kinds._kind import File, Kind, Picture
from analysis.studies.kinds._space import absent_cells, of_space, outcome_note, said
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.methods.spatial import SpatialEffects


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Direct, indirect, total of the treatment with both errors; the reach by distance; the printed effects."""
    reasons = Reasons()
    models = result.specification.models
    frames = [table[table["model"] == model.label].set_index("term") for model in models]
    lines, paper, reach, truth = [], [], [], []
    for kind in ("direct", "indirect", "total"):
        lines += [
            Line(kind.capitalize(), tuple(_starred(frame, kind) for frame in frames), "estimate"),
            Line("", tuple(_error(frame, kind) for frame in frames), "se"),
            Line("", tuple(_error(frame, f"{kind}, simulated", "[]") for frame in frames), "se"),
        ]
        printed = tuple(_printed(frame, kind) for frame in frames)
        if any(printed):
            errors = tuple(_error(frame, kind, column="published_se") for frame in frames)
            paper += [Line(kind.capitalize(), printed, "estimate"), Line("", errors, "se")]
        known = tuple(number(_number(frame, kind, "truth")) for frame in frames)
        truth += [Line(kind.capitalize(), known)] if any(known) else []
    lines = [line for line in lines if any(line.cells)]
    for band in dict.fromkeys(term for frame in frames for term in frame.index if str(term).endswith(" km")):
        reach.append(Line(_band(str(band)), tuple(_starred(frame, band) for frame in frames), "estimate"))
        reach.append(Line("", tuple(_error(frame, band) for frame in frames), "se"))
    lines += absent_cells(result, models, reasons)
    lines.append(Line("N", tuple(count(frame["n"].iloc[0]) for frame in frames)))
    blocks = [
        (None, lines),
        (f"Indirect effect by distance of the other cities ({models[0].treatment})", reach),
        ("As published", paper),
        ("True effect in the sample world", truth),
    ]
    notes = [
        *outcome_note(models, study),
        f"Standard errors by the delta method in parentheses, from {_draws(result)} draws of the estimates in "
        "brackets; stars by the former. By distance: from draws; bands sum to the indirect effect.",
        "*** p < 0.01, ** p < 0.05, * p < 0.1.",
        *reasons.notes(),
        *said(result),
    ]
    panels = tuple(Panel(title, tuple(block)) for title, block in blocks if block)
    return (tuple(model.label for model in models),), f"Effect of {models[0].treatment}", panels, notes


def _draws(result: ExhibitResult) -> str:
    computed: dict[str, SpatialEffects] = result.computed
    found = {f"{fitted.draws:,}" for fitted in computed.values()}
    return " or ".join(sorted(found)) or "no"


def _band(term: str) -> str:
    low, high = term.removesuffix(" km").split("-")
    return f"Over {float(low):,.0f} to {float(high):,.0f} km" if float(low) else f"Up to {float(high):,.0f} km"


def _number(frame: pd.DataFrame, term: str, column: str) -> float:
    """A number of one term, missing where the model does not have it."""
    return float(frame[column].get(term, np.nan))


def _starred(frame: pd.DataFrame, term: str) -> str:
    value = _number(frame, term, "estimate")
    return number(value) + stars(_number(frame, term, "p")) if np.isfinite(value) else ""


def _printed(frame: pd.DataFrame, term: str) -> str:
    value, asterisks = (_number(frame, term, f"published_{key}") for key in ("estimate", "stars"))
    return number(value) + "*" * int(np.nan_to_num(asterisks)) if np.isfinite(value) else ""


def _error(frame: pd.DataFrame, term: str, marks: str = "()", column: str = "se") -> str:
    value = _number(frame, term, column)
    return f"{marks[0]}{number(value)}{marks[1]}" if np.isfinite(value) else ""


def _panel(axis: Axes, fitted: SpatialEffects, model: Model) -> None:
    """The treatment's indirect effect by band of distance with 95% intervals; below, how many cities a band holds."""
    bands = fitted.bands[fitted.bands["term"] == model.treatment]
    place = np.arange(len(bands))
    estimate, se = (bands[key].to_numpy(dtype=float) for key in ("estimate", "se"))
    axis.axhline(0, color="0.35", linewidth=0.8)
    axis.vlines(place, estimate - 1.96 * se, estimate + 1.96 * se, color="0.45", linewidth=1.6)
    axis.plot(place, estimate, linestyle="", marker="o", markersize=5, color="black")
    ends = [band.split("-") for band in bands["band"]]
    names = [f"{low}\u2013{high}" if last else f"> {low}" for low, high, last in _marked(ends)]
    labels = [f"{name}\n{cities:.0f}" for name, cities in zip(names, bands["cities"], strict=True)]
    axis.set_xticks(place, labels, fontsize=8)
    axis.set_ylabel("Indirect effect, 95%")


def _marked(ends: list[list[str]]) -> list[tuple[str, str, bool]]:
    """Edges of each band and whether others follow it: the last holds all that is farther."""
    return [(low, high, position + 1 < len(ends)) for position, (low, high) in enumerate(ends)]


def _words(fitted: SpatialEffects) -> str:
    term = fitted.bands["term"].iloc[0]
    bands = fitted.bands[fitted.bands["term"] == term]
    told = ", ".join(f"{row['estimate']:.3f} over {row['band']} km" for _, row in bands.iterrows())
    return f"indirect effect {told}"


def _files(fitted: SpatialEffects) -> list[File]:
    return [("effects", "csv", fitted.table), ("effects by distance", "csv", fitted.bands)]


KIND = Kind(
    written=of_space("spatial_effects"),
    layout=_layout,
    picture=Picture(_panel, "Kilometres between cities; below, other cities in the band", _words, wide=1.25),
    files=_files,
    part="space",
)

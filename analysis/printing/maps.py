"""Maps on prefecture borders, in grey: classes of a value, categories, and lines between cities.

The canvas and the formats are in `canvas`; where borders come from, in `analysis.spatial.geography`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.printing.canvas import STYLE, contents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 6.4, 4.8
#: Degrees within which a border may move when it is drawn: a line's width on paper.
TOLERANCE = 0.08
NO_VALUE = "#ffffff"
#: What the legend calls land without a value or outside the cities.
OUTSIDE = "not in the sample"


@dataclass(frozen=True)
class Fill:
    """How a class is drawn: a grey and, where greys alone would be hard to tell apart, hatching."""

    grey: str
    hatch: str = ""


def draw(values: pd.Series, *, title: str, classes: int = 5) -> dict[str, bytes]:
    """A map of one value a city, darker where it is larger, as SVG and PNG.

    Parameters
    ----------
    values
        Indexed by six-digit city code. Cities without a value, and prefectures outside the index, stay white.
    title
        Above the map.
    classes
        Classes of equal count; the legend gives their bounds.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    known = values.dropna()
    bounds = np.unique(np.quantile(known, np.linspace(0, 1, classes + 1))) if len(known) else np.array([])
    names = [f"{low:.2f} to {high:.2f}" for low, high in itertools.pairwise(bounds)] or [f"{b:.2f}" for b in bounds]
    greys = np.linspace(0.88, 0.12, max(len(names), 1))
    fills = {name: Fill(str(grey)) for name, grey in zip(names, greys, strict=False)}
    place = np.clip(np.searchsorted(bounds, known, side="right") - 1, 0, max(len(names) - 1, 0))
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axis = figure.add_subplot()
        axis.set_title(title)
        categories(axis, pd.Series([names[i] for i in place], index=known.index, dtype=object), fills)
        return contents(figure, title)


def categories(axis: Axes, category: pd.Series, fills: Mapping[str, Fill]) -> None:
    """Prefectures filled by category, with a legend in the order of ``fills``.

    ``category`` is indexed by six-digit city code; a prefecture outside it, or without a category, stays white.
    """
    from matplotlib.patches import Patch, PathPatch
    from matplotlib.path import Path

    of = category.dropna().to_dict()
    styles = {**fills, OUTSIDE: Fill(NO_VALUE)}
    rings: dict[str, list[np.ndarray]] = {name: [] for name in styles}
    for code, ring in _outlines():
        rings[of.get(code, OUTSIDE)].append(ring)
    for name, own in rings.items():
        if own:
            # One compound path a class: a style for each ring would double the file.
            shape = Path.make_compound_path(*(Path(ring, closed=True) for ring in own))
            look: dict[str, Any] = {"facecolor": styles[name].grey, "hatch": styles[name].hatch or None}
            axis.add_patch(PathPatch(shape, edgecolor="0.55", linewidth=0.25, **look))
    for line in _sea():
        axis.plot(line[:, 0], line[:, 1], color="0.55", linewidth=0.5)
    axis.autoscale()
    axis.set_aspect(1 / np.cos(np.radians(35)))
    axis.set_axis_off()
    legend = [Patch(facecolor=f.grey, edgecolor="0.4", hatch=f.hatch or None, label=n) for n, f in styles.items()]
    axis.legend(handles=legend, loc="lower left", frameon=False, fontsize=8)


def lines(axis: Axes, pairs: np.ndarray) -> None:
    """Straight lines between places on a map: ``pairs`` (lines, 2, 2) of longitude and latitude in degrees."""
    from matplotlib.collections import LineCollection

    axis.add_collection(LineCollection(list(pairs), colors="black", linewidths=0.5))


@cache
def _outlines() -> tuple[tuple[str, np.ndarray], ...]:
    """Code and outer ring (points, 2) of every part of all land, simplified to what print shows."""
    from analysis.spatial.geography import map_shapes

    outlines = []
    for code, shape in map_shapes():
        if code:
            simple = shape.simplify(TOLERANCE)
            parts = getattr(simple, "geoms", [simple])
            outlines += [(code, np.asarray(part.exterior.coords)) for part in parts if not part.is_empty]
    return tuple(outlines)


@cache
def _sea() -> tuple[np.ndarray, ...]:
    """Points of each dash in the sea."""
    from analysis.spatial.geography import map_shapes

    return tuple(
        np.asarray(part.simplify(TOLERANCE).coords)
        for code, shape in map_shapes()
        if not code
        for part in getattr(shape, "geoms", [shape])
    )

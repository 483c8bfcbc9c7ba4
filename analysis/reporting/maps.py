"""Maps of city values on prefecture borders, in grey, with the same bytes for the same numbers."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis.reporting import figures
from analysis.spatial.geography import prefecture_polygons

WIDTH, HEIGHT = 6.4, 4.8
#: Degrees within which a border may move when it is drawn: a line's width on paper.
TOLERANCE = 0.05
NO_VALUE = "#ffffff"


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
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    known = values.dropna()
    bounds = np.unique(np.quantile(known, np.linspace(0, 1, classes + 1))) if len(known) else np.array([])
    greys = [str(shade) for shade in np.linspace(0.88, 0.12, max(len(bounds) - 1, 1))]
    shade_of = {
        code: greys[min(max(int(np.searchsorted(bounds, value, side="right")) - 1, 0), len(greys) - 1)]
        for code, value in known.items()
    }
    rings, shades = [], []
    for code, ring in _outlines():
        rings.append(ring)
        shades.append(shade_of.get(code, NO_VALUE))
    with rc_context(figures.STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axis = figure.add_subplot()
        axis.add_collection(PolyCollection(rings, facecolors=shades, edgecolors="0.55", linewidths=0.25))
        axis.autoscale()
        axis.set_aspect(1 / np.cos(np.radians(35)))
        axis.set_axis_off()
        axis.set_title(title)
        pairs = itertools.pairwise(bounds)
        legend = [
            Patch(facecolor=grey, edgecolor="0.4", label=f"{low:.2f} to {high:.2f}")
            for grey, (low, high) in zip(greys, pairs, strict=True)
        ]
        legend.append(Patch(facecolor=NO_VALUE, edgecolor="0.4", label="not in the sample"))
        axis.legend(handles=legend, loc="lower left", frameon=False, fontsize=8)
        return figures.contents(figure, title)


@cache
def _outlines() -> tuple[tuple[str, Any], ...]:
    """Code and outer ring (points, 2) of every part of every prefecture, simplified to what print shows."""
    outlines = []
    for code, polygon in prefecture_polygons().items():
        simple = polygon.simplify(TOLERANCE)
        parts = getattr(simple, "geoms", [simple])
        outlines += [(str(code), np.asarray(part.exterior.coords)) for part in parts if not part.is_empty]
    return tuple(outlines)

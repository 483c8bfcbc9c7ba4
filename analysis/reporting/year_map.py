"""A study on the map, year by year: who is a pilot, and the first outcome, as SVG that a page can shade anew.

Borders come from `analysis.spatial.geography`; still maps of one value are in `maps`. The page works without scripts:
it then shows the pilots of the last year.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.printing.maps import TOLERANCE
from analysis.spatial.geography import map_shapes
from analysis.studies.records import Label, Study

#: Of the picture, in its own units; the middle parallel along which distances are true.
WIDTH, HEIGHT, PARALLEL = 620, 616, math.radians(35)
WEST, NORTH, SCALE = 73.0, 54.0, 12.1
#: Shades of a value, and significant digits of what a page says of a city.
CLASSES, DIGITS = 5, 4


@dataclass(frozen=True)
class YearMap:
    """What the page draws.

    Attributes
    ----------
    shapes : (code, outline as an SVG path, whether the city is in the study, first treated year or "").
    sea : outlines of the dashes in the sea.
    years : first and last.
    outcome : what the values are of; its column.
    data : for the page's script: ``names`` (code -> English, Chinese), ``adoption`` (code -> year), ``values`` (code ->
        one a year, missing as null), ``bounds`` of the classes, ``first`` year.
    """

    shapes: tuple[tuple[str, str, bool, str], ...]
    sea: tuple[str, ...]
    years: tuple[int, int]
    outcome: Label
    column: str
    data: dict[str, Any]


def year_map(study: Study, panel: pd.DataFrame, cities: pd.DataFrame) -> YearMap | None:
    """The map of a study, or None where no city of the panel has a border or no outcome has a value.

    Parameters
    ----------
    panel
        The study's panel.
    cities
        data/reference/cities.csv with ``city_code`` as text: names of the cities.
    """
    outcome = next((name for name in study.outcomes if name in panel and panel[name].notna().any()), None)
    drawn = {code for code, _ in outlines() if code}
    codes = sorted(set(panel[UNIT].astype(str)) & drawn)
    if not codes:
        return None
    first, last = int(panel[TIME].min()), int(panel[TIME].max())
    adoption = panel.groupby(panel[UNIT].astype(str))[ADOPTION].first().dropna().astype(int)
    named = cities.assign(**{UNIT: cities[UNIT].astype(str)}).set_index(UNIT)
    values = _values(panel, outcome, codes, range(first, last + 1)) if outcome else {}
    known = np.sort([value for own in values.values() for value in own if value is not None])
    bounds = np.quantile(known, np.linspace(0, 1, CLASSES + 1)) if len(known) else []
    return YearMap(
        shapes=tuple((code, path, code in codes, str(adoption.get(code, ""))) for code, path in outlines() if code),
        sea=tuple(path for code, path in outlines() if not code),
        years=(first, last),
        outcome=study.label(outcome) if outcome else Label("", ""),
        column=outcome or "",
        data={
            "names": {
                code: [str(named["name_en"].get(code, code)), str(named["name_zh"].get(code, ""))] for code in codes
            },
            "adoption": {code: int(year) for code, year in adoption.items() if code in drawn},
            "values": values,
            "bounds": [_short(bound) for bound in bounds],
            "first": first,
        },
    )


def _values(panel: pd.DataFrame, column: str, codes: list[str], years: range) -> dict[str, list[float | None]]:
    """City -> the column's value in each year, null where it is missing."""
    wide = panel.assign(**{UNIT: panel[UNIT].astype(str)}).pivot(index=UNIT, columns=TIME, values=column)
    wide = wide.reindex(index=codes, columns=list(years))
    return {
        str(code): [_short(v) if np.isfinite(v) else None for v in row]
        for code, row in zip(wide.index, wide.to_numpy(dtype=float), strict=True)
    }


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@cache
def outlines() -> tuple[tuple[str, str], ...]:
    """Code ("" in the sea) and SVG path of everything that a map of China shows, simplified to what a screen shows."""
    found = []
    for code, shape in map_shapes():
        simple = shape.simplify(TOLERANCE)
        parts = [part for part in getattr(simple, "geoms", [simple]) if not part.is_empty]
        rings = [part.exterior.coords if code else part.coords for part in parts]
        path = "".join(_path(ring, closed=bool(code)) for ring in rings)
        if path:
            found.append((code, path))
    return tuple(found)


def _path(points: Iterable[tuple[float, ...]], *, closed: bool) -> str:
    """A ring or line as a path of whole and tenth units, without points that fall on the one before."""
    placed = [
        (round((point[0] - WEST) * SCALE * math.cos(PARALLEL), 1), round((NORTH - point[1]) * SCALE, 1))
        for point in points
    ]
    kept = [place for index, place in enumerate(placed) if index == 0 or place != placed[index - 1]]
    if len(kept) < (3 if closed else 2):
        return ""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in kept) + ("Z" if closed else "")


def picture(shown: YearMap) -> str:
    """The map of the last year by itself, as an SVG: pilot cities dark, the others of the study light."""
    last = shown.years[1]
    paths: dict[str, list[str]] = {"#ffffff": [], "#ececea": [], "#a3a3a3": [], "#2b2b2b": []}
    for _, path, inside, since in shown.shapes:
        shade = "#2b2b2b" if since and int(since) <= last else "#a3a3a3" if since else "#ececea"
        paths[shade if inside else "#ffffff"].append(path)
    drawn = "".join(f'<path fill="{shade}" d="{"".join(own)}"/>' for shade, own in paths.items() if own)
    sea = "".join(f'<path fill="none" d="{path}"/>' for path in shown.sea)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<g stroke="#8c8c8c" stroke-width=".5">{drawn}{sea}</g></svg>'
    )

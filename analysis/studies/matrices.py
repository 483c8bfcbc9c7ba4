"""Spatial weights of a study: the matrix that an entry under `weights` means for the cities at hand.

What such an entry may say is in `written`, how a matrix is made from coordinates and borders in `analysis.spatial`;
models that use one are in `methods.spatial`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.names import TIME, UNIT
from analysis.studies.records import Matrix, Model

if TYPE_CHECKING:
    from analysis.spatial import Weights

#: Columns of data/reference/cities.csv that a matrix is built from: the seats of government, in degrees.
POSITION = ("longitude", "latitude")


def columns_needed(model: Model) -> tuple[str, ...]:
    """Columns of the panel that the matrices of a model are made from."""
    return tuple(dict.fromkeys(matrix.variable for matrix in model.weights if matrix.variable))


def build(matrix: Matrix, frame: pd.DataFrame, cities: Collection[str] | None = None) -> Weights:
    """The matrix over ``cities`` (by default all of the frame), in the order of their codes.

    Parameters
    ----------
    frame
        One row a city-year: ``city_code``, ``year``, ``longitude``, ``latitude``, and the variable of a nested matrix.

    Raises
    ------
    ValueError
        A city without coordinates, borders or a value of the variable, and whatever the builders refuse.
    """
    from analysis.spatial import economic_nested, inverse_distance

    rows = frame.sort_values([UNIT, TIME])
    places = rows.drop_duplicates(UNIT).set_index(UNIT)[list(POSITION)]
    places = places if cities is None else places.loc[sorted(cities)]
    normalise = None if matrix.normalise == "none" else matrix.normalise
    if matrix.kind == "contiguity":
        return _contiguity(tuple(places.index), normalise, matrix.islands)
    common = {
        "power": matrix.power,
        "cutoff": matrix.cutoff_km,
        "normalise": normalise,
        "isolated": matrix.islands,
    }
    if matrix.kind == "inverse_distance":
        return inverse_distance(places, **common)  # type: ignore[arg-type]
    return economic_nested(places, size(matrix, rows).reindex(places.index), **common)  # type: ignore[arg-type]


def size(matrix: Matrix, rows: pd.DataFrame) -> pd.Series:
    """City code -> the mean over the matrix's years of its variable, taken out of logs where the panel holds logs."""
    assert matrix.variable is not None
    assert matrix.years is not None
    inside = rows[rows[TIME].between(*matrix.years)]
    values = inside[matrix.variable].astype(float)
    if matrix.logged:
        values = pd.Series(np.exp(values), index=values.index)
    return values.groupby(inside[UNIT]).mean()


def size_note(matrix: Matrix) -> str:
    """Which number a nested matrix multiplies its columns with."""
    assert matrix.years is not None
    first, last = matrix.years
    level = f"exp({matrix.variable})" if matrix.logged else matrix.variable
    return f"Size: {level}, the city's mean over {first}-{last} in the panel."


@lru_cache(maxsize=8)
def _contiguity(codes: tuple[str, ...], normalise: str | None, islands: str) -> Weights:
    from analysis.spatial import contiguity, prefecture_polygons

    return contiguity(prefecture_polygons(list(codes)), normalise=normalise, isolated=islands)  # type: ignore[arg-type]


def described(matrix: Matrix, weights: Weights, names: Mapping[str, str] | None = None) -> str:
    """How the matrix is made, every choice stated, and which islands were linked with whom."""
    far = "" if matrix.cutoff_km is None else f", up to {matrix.cutoff_km:g} km"
    distance = f"great-circle kilometres between seats of government to the power -{matrix.power:g}{far}"
    how = {
        "inverse_distance": distance,
        "economic_nested": f"{distance}, times the size of the neighbour",
        "contiguity": "1 for prefectures whose borders share a point (queen)",
    }[matrix.kind]
    scale = {"row": "rows divided by their sums", "spectral": "over its largest eigenvalue", "none": "not normalised"}
    sentences = [f"W: {how}; {scale[matrix.normalise]}."]
    if matrix.variable:
        sentences.append(size_note(matrix))
    linked = [_pair(note, names or {}) for note in weights.notes if LINKED in note]
    if linked:
        sentences.append(f"Without a neighbour and linked with the nearest, both ways: {', '.join(linked)}.")
    return " ".join(sentences)


#: What the notes of a matrix say of an island.
LINKED = "is linked with the nearest, "


def _pair(note: str, names: Mapping[str, str]) -> str:
    island, nearest = note.split()[0], note.rsplit(LINKED, 1)[1].rstrip(".")
    return f"{names.get(island, island)} ({names.get(nearest, nearest)})"

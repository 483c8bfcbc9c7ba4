"""Files beside a table: weights and neighbours, clusters, and every effect, for those who want more than is printed.

Tables and pictures themselves are written in `tables` and `figures`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.reporting.table import SAMPLE
from analysis.studies.run import ExhibitResult


def attachments(result: ExhibitResult) -> dict[str, tuple[str, pd.DataFrame]]:
    """What the file holds, in a few words -> its name and its rows; empty for most kinds of exhibit.

    A name that ends in .parquet or .csv says how the rows are to be written. Files from sample data say so in a column.
    """
    files = {}
    for label, fitted in result.models.items():
        for what, suffix, frame in _FRAMES.get(result.kind, _none)(fitted) if not isinstance(fitted, str) else ():
            slug = re.sub(r"\W+", "_", f"{label} {what}").strip("_").lower()
            marked = frame.assign(data=SAMPLE) if result.is_sample else frame
            files[f"{what}, {label} ({suffix})"] = (f"{result.exhibit}_{slug}.{suffix}", marked)
    return files


def parquet(frame: pd.DataFrame) -> bytes:
    """The rows as Parquet, the same bytes for the same rows."""
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


_Frames = list[tuple[str, str, pd.DataFrame]]


def _none(fitted: Any) -> _Frames:
    return []


def _weights(fitted: Any) -> _Frames:
    """The matrix, one row a link, and a row a city with its neighbours by name."""
    links = fitted.weights.to_frame().rename(columns={"unit": "city_code"})
    return [("weights", "parquet", links), ("neighbours", "csv", fitted.neighbours)]


def _clusters(fitted: Any) -> _Frames:
    return [("clusters", "csv", fitted.table)]


def _effects(fitted: Any) -> _Frames:
    return [("effects", "csv", fitted.table), ("effects by distance", "csv", fitted.bands)]


def _received(fitted: Any) -> _Frames:
    return [("received", "csv", fitted.table)]


def _points(fitted: Any) -> _Frames:
    return [("scatter", "csv", fitted.points)]


_FRAMES: dict[str, Callable[[Any], _Frames]] = {
    "spatial_weights": _weights,
    "local_moran": _clusters,
    "spatial_effects": _effects,
    "spatial_spillovers": _received,
    "moran": _points,
}

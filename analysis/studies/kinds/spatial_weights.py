"""Facts of spatial weights matrices, and a map of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.printing import maps
from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.studies.kinds._kind import File, Kind, Picture
from analysis.studies.kinds._space import MAP, absent_cells, figures_of, of_space, said
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from scipy import sparse

    from analysis.studies.methods.spatial import CityWeights


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Facts of each matrix; the neighbours of every city are in the files beside the table."""
    reasons = Reasons()
    models = result.specification.models
    found = [figures_of(table, model.label) for model in models]
    computed = list(result.computed)
    terms = dict.fromkeys(term for label in computed for term in figures_of(table, label))
    lines = [Line(term.capitalize(), tuple(_fact(term, facts.get(term, np.nan)) for facts in found)) for term in terms]
    lines += absent_cells(result, models, reasons)
    notes = [
        "Each matrix (city_code, neighbour, weight) and each city's neighbours are among the files of this table.",
        *reasons.notes(),
        *said(result),
    ]
    return (tuple(model.label for model in models),), "", (Panel(None, tuple(lines)),), notes


def _fact(term: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    if term in ("symmetric", "neighbours both ways"):
        return "YES" if value else "NO"
    return number(value, 2) if "mean" in term or "share" in term or "sum" in term else count(value)


#: Mean number of neighbours above which a map of links shows each city's largest weight only.
DENSE = 12


def _panel(axis: Axes, fitted: CityWeights, model: Model) -> None:
    """Pilot cities dark, lines between neighbours; in a dense matrix, from each city to its largest weight."""
    category = fitted.places["adoption"].notna().map({True: "pilot", False: "no pilot"})
    maps.categories(axis, category, {"pilot": maps.Fill("0.5"), "no pilot": maps.Fill("0.88")})
    places = fitted.places[["longitude", "latitude"]].to_numpy(dtype=float)
    maps.lines(axis, np.stack([places[i] for i in _links(fitted.weights.matrix)], axis=1))
    what = "lines link neighbours" if not _is_dense(fitted.weights.matrix) else "lines lead to the largest weight"
    axis.set_title(f"{model.label}: {what}")


def _is_dense(matrix: sparse.csr_array) -> bool:
    return bool(matrix.nnz > DENSE * matrix.shape[0])


def _links(matrix: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the links to draw."""
    if not _is_dense(matrix):
        links = matrix.tocoo()
        return links.row, links.col
    return np.arange(matrix.shape[0]), np.asarray(matrix.toarray().argmax(axis=1))


def _words(fitted: CityWeights) -> str:
    count = fitted.neighbours["count"]
    return f"{len(count)} cities with {count.min()} to {count.max()} neighbours, {count.mean():.1f} on average"


def _files(fitted: CityWeights) -> list[File]:
    """The matrix, one row a link, and a row a city with its neighbours by name."""
    links = fitted.weights.to_frame().rename(columns={"unit": "city_code"})
    return [("weights", "parquet", links), ("neighbours", "csv", fitted.neighbours)]


KIND = Kind(
    written=of_space("spatial_weights"),
    layout=_layout,
    picture=Picture(_panel, "", _words, **MAP),
    files=_files,
    part="space",
)

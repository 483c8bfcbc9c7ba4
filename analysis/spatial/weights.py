"""Spatial weights matrices: who is whose neighbour, and how much.

Builders from coordinates, from gross domestic product and from borders, the two usual normalisations, and what can be
asked of a matrix (symmetry, neighbours). Where borders come from is in ``geography``; determinants are in
``determinant``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.results import CannotEstimate
from analysis.spatial.determinant import Spectrum

EARTH_RADIUS_KM = 6371.0088  # mean radius, International Union of Geodesy and Geophysics
Normalise = Literal["row", "spectral"] | None
Isolated = Literal["nearest", "keep", "error"]


@dataclass(frozen=True, eq=False)
class Weights:
    """A spatial weights matrix and the names of its rows.

    Used as given: nothing here or in the models normalises it again. Data are aligned to it by label.

    Attributes
    ----------
    matrix
        n x n; converted to scipy sparse (CSR) of floats. Row i holds the weights of the neighbours of unit i.
    labels
        One label a row, in the same type as the unit column of the data (six-digit codes are text).
    notes
        How the matrix was made (cutoff, islands joined to a neighbour, normalisation), one sentence each.

    Raises
    ------
    ValueError
        When the matrix is not square, holds negative or missing numbers or a diagonal other than zero, or the labels
        do not fit or repeat.
    """

    matrix: sparse.csr_array
    labels: Sequence[Any]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = self.matrix
        matrix = sparse.csr_array(given if sparse.issparse(given) else np.asarray(given, dtype=float), dtype=float)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "labels", tuple(self.labels))
        _check(matrix, self.index)

    @cached_property
    def index(self) -> pd.Index:
        """The labels as an index."""
        return pd.Index(list(self.labels), dtype=object)

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.labels)

    @cached_property
    def row_sums(self) -> np.ndarray:
        """Sum of each row, shape (n,)."""
        return np.asarray(self.matrix.sum(axis=1)).ravel()

    @cached_property
    def constant_row_sum(self) -> float | None:
        """The common row sum (1 after row normalisation), or None where rows sum to different numbers."""
        first = float(self.row_sums[0])
        return first if np.allclose(self.row_sums, first, rtol=1e-9, atol=1e-12) else None

    @cached_property
    def isolated(self) -> list[Any]:
        """Labels of the units without a neighbour."""
        return [self.labels[int(i)] for i in np.flatnonzero(np.diff(self.matrix.indptr) == 0)]

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the matrix equals its transpose (to 1e-12 of its largest entry)."""
        return _is_symmetric(self.matrix)

    @cached_property
    def has_symmetric_pattern(self) -> bool:
        """Whether j is a neighbour of i whenever i is a neighbour of j."""
        pattern = sparse.csr_array(
            (np.ones(self.matrix.nnz), self.matrix.indices, self.matrix.indptr), shape=(self.n, self.n)
        )
        return _is_symmetric(pattern)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues (computed once) or sparse factorisations, for log-determinants and traces."""
        return Spectrum(self.matrix)

    def row_normalised(self) -> Weights:
        """Each row divided by its sum; rows of isolated units stay zero."""
        sums = np.where(self.row_sums > 0, self.row_sums, 1.0)
        return Weights(
            sparse.diags_array(1 / sums) @ self.matrix, self.labels, (*self.notes, "Rows are divided by their sums.")
        )

    def spectral_normalised(self) -> Weights:
        """The matrix divided by its largest absolute eigenvalue (Kelejian and Prucha 2010), which keeps symmetry."""
        _ = self.spectrum.interval  # refuses a matrix without eigenvalues other than zero
        note = "The matrix is divided by its largest eigenvalue."
        return Weights(self.matrix / self.spectrum.radius(), self.labels, (*self.notes, note))

    def normalised(self, how: Normalise) -> Weights:
        """By ``"row"``, ``"spectral"`` or not at all (None)."""
        if how not in ("row", "spectral", None):
            raise ValueError(f'normalise is {how!r}: choose "row", "spectral" or None.')
        return self.row_normalised() if how == "row" else self.spectral_normalised() if how == "spectral" else self

    def subset(self, labels: Sequence[Any]) -> Weights:
        """The rows and columns of ``labels``, in that order; weights are kept as they are, so normalise afterwards."""
        position = self.index.get_indexer(pd.Index(list(labels), dtype=object))
        if (position < 0).any():
            unknown = [label for label, at in zip(labels, position, strict=True) if at < 0]
            raise CannotEstimate(
                f"The weights matrix has no row for {_some(unknown)}: leave them out or build it with them."
            )
        return Weights(self.matrix[position][:, position], list(labels), self.notes)

    def to_frame(self) -> pd.DataFrame:
        """One row a link, to save beside the panel: ``unit``, ``neighbour``, ``weight``, ordered as the labels are."""
        links = self.matrix.tocoo()
        order = np.lexsort((links.col, links.row))
        names = np.array(self.index, dtype=object)
        return pd.DataFrame(
            {"unit": names[links.row[order]], "neighbour": names[links.col[order]], "weight": links.data[order]}
        )

    @classmethod
    def from_frame(cls, links: pd.DataFrame, labels: Sequence[Any]) -> Weights:
        """The inverse of ``to_frame``; ``labels`` fixes the order and keeps units without links."""
        index = pd.Index(list(labels), dtype=object)
        rows, columns = index.get_indexer(links["unit"]), index.get_indexer(links["neighbour"])
        if (rows < 0).any() or (columns < 0).any():
            unknown = sorted({*links["unit"][rows < 0], *links["neighbour"][columns < 0]}, key=str)
            raise CannotEstimate(
                f"Links name units that are not among the labels: {_some(unknown)}. Add them or drop the links."
            )
        values = links["weight"].to_numpy(float)
        return cls(sparse.csr_array((values, (rows, columns)), shape=(len(index), len(index))), list(labels))

    def neighbours(self, names: Mapping[Any, str] | None = None) -> pd.DataFrame:
        """One row a unit: ``unit``, ``count``, ``neighbours`` (largest weight first, label order in ties), ``row_sum``.

        ``names`` maps labels to what should be printed.
        """
        rows = []
        for i, label in enumerate(self.labels):
            span = slice(self.matrix.indptr[i], self.matrix.indptr[i + 1])
            columns, values = self.matrix.indices[span], self.matrix.data[span]
            order = np.lexsort((columns, -values))
            printed = [str((names or {}).get(self.labels[j], self.labels[j])) for j in columns[order]]
            rows.append(
                {"unit": label, "count": len(printed), "neighbours": ", ".join(printed), "row_sum": values.sum()}
            )
        return pd.DataFrame(rows, columns=["unit", "count", "neighbours", "row_sum"])

    def save(self, path: str | Path) -> None:
        """As Parquet: one row a label (itself, weight 0) to keep their order, then one row a link."""
        rows = pd.DataFrame({"unit": list(self.labels), "neighbour": list(self.labels), "weight": 0.0})
        pd.concat([rows, self.to_frame()], ignore_index=True).to_parquet(path, index=False)

    @classmethod
    def load(cls, path: str | Path) -> Weights:
        """What ``save`` wrote."""
        links = pd.read_parquet(path)
        return cls.from_frame(links, links.loc[links["unit"] == links["neighbour"], "unit"].tolist())


def great_circle(coordinates: pd.DataFrame, *, longitude: str = "longitude", latitude: str = "latitude") -> np.ndarray:
    """Great-circle distances in kilometres, n x n, by the haversine formula on a sphere of radius 6371.0088 km.

    ``coordinates`` has one row a unit, in degrees.
    """
    missing = [column for column in (longitude, latitude) if column not in coordinates]
    if missing:
        raise ValueError(f"Coordinates lack the column {missing[0]!r}: give degrees as longitude and latitude.")
    east, north = (np.radians(coordinates[column].to_numpy(float)) for column in (longitude, latitude))
    bad = ~(np.isfinite(east) & np.isfinite(north)) | (np.abs(north) > np.pi / 2) | (np.abs(east) > 2 * np.pi)
    if bad.any():
        raise CannotEstimate(
            f"No valid longitude and latitude in degrees for {_some(list(coordinates.index[bad]))}: complete them "
            "first."
        )
    half_north = np.sin((north[:, None] - north[None, :]) / 2) ** 2
    half_east = np.sin((east[:, None] - east[None, :]) / 2) ** 2
    chord = half_north + np.cos(north)[:, None] * np.cos(north)[None, :] * half_east
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))


def inverse_distance(
    coordinates: pd.DataFrame,
    *,
    power: float = 1.0,
    cutoff: float | None = None,
    normalise: Normalise = "row",
    isolated: Isolated = "error",
    longitude: str = "longitude",
    latitude: str = "latitude",
) -> Weights:
    """Weights d_ij ** -power of the great-circle distance in kilometres.

    Parameters
    ----------
    coordinates
        Indexed by label, with ``longitude`` and ``latitude`` in degrees.
    power
        Positive; 1 and 2 are usual.
    cutoff
        Kilometres; pairs farther apart get weight zero. None keeps all pairs (a dense matrix, which identifies the
        spatial parameter badly).
    isolated
        What a unit without any other inside the cutoff gets: ``"error"``, its one ``"nearest"`` unit (both ways), or
        nothing (``"keep"``).

    Raises
    ------
    ValueError
        For missing coordinates, two units in one place, a power or cutoff that is not positive, isolated units.
    """
    if power <= 0 or (cutoff is not None and cutoff <= 0):
        raise ValueError(f"power ({power}) and cutoff ({cutoff}) must be positive numbers.")
    distance = great_circle(coordinates, longitude=longitude, latitude=latitude)
    labels = list(coordinates.index)
    weight, notes = _inverse(distance, labels, power, cutoff, isolated)
    return Weights(weight, labels, notes).normalised(normalise)


def economic_nested(
    coordinates: pd.DataFrame,
    gdp: pd.Series,
    *,
    power: float = 1.0,
    cutoff: float | None = None,
    normalise: Normalise = "row",
    isolated: Isolated = "error",
    longitude: str = "longitude",
    latitude: str = "latitude",
) -> Weights:
    """Economic-geographic nested weights, d_ij ** -power times GDP_j over mean GDP.

    The nested matrix of the Chinese literature, W = W_d diag(GDP_1/GDP, …, GDP_n/GDP): near and large cities weigh
    more. ``gdp`` is indexed by label and holds one number a unit: of one stated year, or the mean over years (give
    ``data.groupby(unit)[column].mean()``). Being fixed over time it is taken from before the policy, so that weights do
    not react to it. Other parameters as in ``inverse_distance``.

    Raises
    ------
    ValueError
        As ``inverse_distance``, and when a unit has no positive GDP or more than one.
    """
    if gdp.index.has_duplicates:
        raise CannotEstimate(
            f"GDP has more than one number for {_some(list(gdp.index[gdp.index.duplicated()].unique()))}: "
            "pass one year, or the mean over years."
        )
    size = gdp.reindex(coordinates.index).to_numpy(float)
    bad = ~(np.isfinite(size) & (size > 0))
    if bad.any():
        raise CannotEstimate(
            f"No positive GDP for {_some(list(coordinates.index[bad]))}: complete it or leave the units out."
        )
    distance = inverse_distance(
        coordinates,
        power=power,
        cutoff=cutoff,
        normalise=None,
        isolated=isolated,
        longitude=longitude,
        latitude=latitude,
    )
    notes = (*distance.notes, "Columns are multiplied by GDP over mean GDP.")
    return Weights(distance.matrix @ sparse.diags_array(size / size.mean()), distance.labels, notes).normalised(
        normalise
    )


def distance_bands(
    coordinates: pd.DataFrame,
    edges: Sequence[float],
    *,
    normalise: Normalise = "row",
    longitude: str = "longitude",
    latitude: str = "latitude",
) -> dict[str, Weights]:
    """One 0/1 matrix a band of kilometres, keyed ``"0-200"``, ``"200-400"``, …: how far does a spillover reach.

    A pair belongs to the band with lower edge < d <= upper edge. A unit with nobody in a band has a zero row: its lag
    there is zero, which is what "no neighbour at that distance" means in a regression on lags of several bands.
    """
    if len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise ValueError(f"edges {list(edges)} must rise and number at least two, in kilometres.")
    distance = great_circle(coordinates, longitude=longitude, latitude=latitude)
    np.fill_diagonal(distance, np.inf)
    bands = {}
    for low, high in itertools.pairwise(edges):
        inside = sparse.csr_array(((distance > low) & (distance <= high)).astype(float))
        note = f"Neighbours are {low:g} to {high:g} km apart."
        bands[f"{low:g}-{high:g}"] = Weights(inside, list(coordinates.index), (note,)).normalised(normalise)
    return bands


def contiguity(
    polygons: Mapping[Any, Any] | pd.Series, *, normalise: Normalise = "row", isolated: Isolated = "nearest"
) -> Weights:
    """Queen contiguity: units whose polygons share at least one point are neighbours.

    Parameters
    ----------
    polygons
        Label -> shapely geometry, such as ``geography.prefecture_polygons(codes)``.
    isolated
        What an island gets: a link both ways with the unit whose border is ``"nearest"`` (default; nearest in degrees
        scaled to the island's latitude, the first label where two tie), nothing (``"keep"``), or an ``"error"``. The
        notes of the result name the islands and their link.

    Raises
    ------
    ValueError
        For missing or empty geometries, and for islands under ``isolated="error"``.
    """
    from shapely import STRtree

    shapes = dict(polygons)
    labels = list(shapes)
    bad = [label for label, shape in shapes.items() if shape is None or shape.is_empty]
    if bad:
        raise CannotEstimate(f"No polygon for {_some(bad)}: leave these units out or add their borders.")
    geometry = np.array(list(shapes.values()), dtype=object)
    left, right = STRtree(geometry).query(geometry, predicate="intersects")
    apart = left != right
    links = sparse.coo_array((np.ones(apart.sum()), (left[apart], right[apart])), shape=(len(labels),) * 2).tolil()
    links, notes = _link_islands(links, geometry, labels, isolated)
    return Weights(links.tocsr(), labels, notes).normalised(normalise)


def _link_islands(
    links: Any, geometry: np.ndarray, labels: list[Any], isolated: Isolated
) -> tuple[Any, tuple[str, ...]]:
    islands = [i for i, row in enumerate(links.rows) if not row]
    _isolated_rule(isolated, [labels[i] for i in islands], "touches no other unit")
    notes = []
    for i in islands if isolated == "nearest" and len(labels) > 1 else ():
        distance = _border_distance(geometry[i], geometry)
        distance[i] = np.inf
        nearest = int(np.argmin(distance))
        links[i, nearest] = links[nearest, i] = 1.0
        notes.append(f"{labels[i]} touches no other unit and is linked with the nearest, {labels[nearest]}.")
    return links, tuple(notes)


def _border_distance(island: Any, geometry: np.ndarray) -> np.ndarray:
    from shapely import affinity, distance

    # A degree of longitude shrinks with latitude; scaling it makes planar distances near the island comparable.
    shrink = float(np.cos(np.radians(island.centroid.y)))
    scaled = [affinity.scale(shape, xfact=shrink, yfact=1, origin=(0, 0)) for shape in geometry]
    return np.asarray(distance(affinity.scale(island, xfact=shrink, yfact=1, origin=(0, 0)), scaled))


def _inverse(
    distance: np.ndarray, labels: list[Any], power: float, cutoff: float | None, isolated: Isolated
) -> tuple[np.ndarray, tuple[str, ...]]:
    np.fill_diagonal(distance, np.inf)
    if len(labels) > 1 and distance.min() < 1e-6:
        i, j = np.unravel_index(int(np.argmin(distance)), distance.shape)
        raise CannotEstimate(
            f"{labels[i]} and {labels[j]} lie in the same place, so their inverse distance is infinite: check them."
        )
    keep = np.isfinite(distance) if cutoff is None else distance <= cutoff
    alone = np.flatnonzero(~keep.any(axis=1))
    _isolated_rule(isolated, [labels[i] for i in alone], f"has no other unit within {cutoff} km")
    notes = [
        f"Weights are great-circle kilometres to the power -{power:g}" + (f", up to {cutoff:g} km." if cutoff else ".")
    ]
    for i in alone if isolated == "nearest" and len(labels) > 1 else ():
        nearest = int(np.argmin(distance[i]))
        keep[i, nearest] = keep[nearest, i] = True
        notes.append(
            f"{labels[i]} has no other unit within {cutoff:g} km and is linked with the nearest, {labels[nearest]}."
        )
    return np.where(keep, distance ** -float(power), 0.0), tuple(notes)


def _isolated_rule(isolated: str, labels: list[Any], why: str) -> None:
    if isolated not in ("nearest", "keep", "error"):
        raise ValueError(f'isolated is {isolated!r}: choose "nearest", "keep" or "error".')
    if labels and isolated == "error":
        raise CannotEstimate(f'{_some(labels)} {why}: choose isolated="nearest" or "keep", or leave them out.')


def _check(matrix: sparse.csr_array, index: pd.Index) -> None:
    n = matrix.shape[0]
    if matrix.shape != (n, n) or n != len(index) or n == 0:
        raise ValueError(
            f"The weights matrix is {matrix.shape[0]} x {matrix.shape[1]} with {len(index)} labels: it must be "
            "square, one label a row."
        )
    if index.has_duplicates:
        raise CannotEstimate(
            f"Labels of the weights matrix repeat: {_some(list(index[index.duplicated()].unique()))}. Give each unit "
            "one row."
        )
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        row = int(np.repeat(np.arange(n), np.diff(matrix.indptr))[~(np.isfinite(matrix.data) & (matrix.data >= 0))][0])
        raise CannotEstimate(
            f"The weights of {index[row]} hold a negative, missing or infinite number: weights are zero or more."
        )
    diagonal = matrix.diagonal()
    if diagonal.any():
        raise CannotEstimate(
            f"{index[int(np.flatnonzero(diagonal)[0])]} is its own neighbour: set the diagonal to zero."
        )


def _is_symmetric(matrix: sparse.csr_array) -> bool:
    gap = abs(matrix - matrix.T)
    return gap.nnz == 0 or gap.max() <= 1e-12 * abs(matrix).max()


def _some(labels: Sequence[Any], most: int = 5) -> str:
    shown = ", ".join(str(label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"

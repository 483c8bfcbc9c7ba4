"""Conley's (1999) variance for panels: whose scores count together, by distance within a period and by lag in a unit.

Distances come from coordinates; regressions are in `regression`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import cKDTree

from analysis.estimation_sample import codes_of, label
from analysis.results import CannotEstimate
from analysis.spatial.weights import EARTH_RADIUS_KM

#: Pairs of units held at once; beyond it the cutoff is refused.
MOST_PAIRS = 50_000_000


@dataclass(frozen=True)
class Conley:
    """Weights of pairs of rows.

    Attributes
    ----------
    unit, period : codes (n,) of each row.
    near : sparse (units, units), the spatial kernel of each pair at most the cutoff apart, 1 on the diagonal.
    serial : (periods, periods), the weight of two rows of one unit by their periods, 0 on the diagonal.
    """

    unit: np.ndarray
    period: np.ndarray
    near: sparse.csr_array
    serial: np.ndarray

    @property
    def units(self) -> int:
        return self.near.shape[0]

    def meat(self, scores: np.ndarray) -> np.ndarray:
        """Weighted sum (k, k) of products of scores (n, k) over pairs of rows."""
        cells = np.zeros((self.units, len(self.serial), scores.shape[1]))
        cells[self.unit, self.period] = scores
        flat = cells.reshape(self.units, -1)
        spatial = np.einsum("utk,utl->kl", cells, (self.near @ flat).reshape(cells.shape))
        return spatial + np.einsum("utk,ts,usl->kl", cells, self.serial, cells, optimize=True)


def conley(
    data: pd.DataFrame,
    unit: str,
    time: str,
    coordinates: Sequence[str],
    cutoff_km: float,
    lag_cutoff: int | None,
    kernel: str,
) -> Conley:
    """The pairs of a panel's rows (n,) that count, see `two_way`; ``coordinates`` are latitude and longitude.

    Raises
    ------
    ValueError
        A cutoff, lag or kernel that does not exist.
    CannotEstimate
        Coordinates that are missing, no degrees, or not one place a unit; too many pairs within the cutoff.
    """
    if not cutoff_km >= 0:
        raise ValueError(f"cutoff_km is a distance of 0 km or more, not {cutoff_km!r}.")
    if kernel not in ("uniform", "bartlett"):
        raise ValueError(f"kernel is 'uniform' or 'bartlett', not {kernel!r}.")
    if lag_cutoff is not None and (int(lag_cutoff) != lag_cutoff or lag_cutoff < 0):
        raise ValueError(f"lag_cutoff is a whole number of periods, 0 or more, not {lag_cutoff!r}.")
    latitude, longitude = coordinates
    units, periods = codes_of(data[unit]), codes_of(data[time])
    first = np.unique(units, return_index=True)[1]
    place = data[[latitude, longitude]].to_numpy(dtype=float)
    wrong = ~np.isfinite(place).all(axis=1) | (np.abs(place[:, 0]) > 90) | (np.abs(place[:, 1]) > 360)
    moved = (place != place[first][units]).any(axis=1)
    for rows, why in ((wrong, "is missing or no degrees"), (moved, "changes over time")):
        if rows.any():
            row = int(np.argmax(rows))
            raise CannotEstimate(
                f"The place of unit {label(data[unit].iloc[row])} ({latitude!r} {place[row, 0]:g}, {longitude!r} "
                f"{place[row, 1]:g}) {why}: give each unit one latitude and longitude in degrees."
            )
    return Conley(units, periods, _near(np.radians(place[first]), cutoff_km, kernel), _serial(data[time], lag_cutoff))


def _near(place: np.ndarray, cutoff: float, kernel: str) -> sparse.csr_array:
    """The spatial kernel (units, units) from latitude and longitude in radians (units, 2)."""
    north, east = place.T
    points = np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    chord = 2 * np.sin(min(cutoff / (2 * EARTH_RADIUS_KM), np.pi / 2))
    tree = cKDTree(points)
    # a trifle more than the cutoff, so that rounding loses no pair at it; distances decide below
    reach = chord + 1e-9
    if tree.count_neighbors(tree, reach) > MOST_PAIRS:
        raise CannotEstimate(
            f"More than {MOST_PAIRS:,} pairs of units lie within {cutoff:g} km of each other: choose a shorter cutoff."
        )
    pairs = tree.query_pairs(reach, output_type="ndarray")
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    distance = 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(apart / 2, 0, 1))
    weight = np.where(distance <= cutoff, 1.0, 0.0)
    if kernel == "bartlett":
        weight *= 1 - distance / cutoff if cutoff > 0 else 1.0
    one, other = pairs.T
    own = np.arange(len(place))
    rows, columns = np.concatenate([own, one, other]), np.concatenate([own, other, one])
    entries = np.concatenate([np.ones(len(place)), weight, weight])
    return sparse.csr_array((entries, (rows, columns)), shape=(len(place), len(place)))


def _serial(time: pd.Series, lag_cutoff: int | None) -> np.ndarray:
    """Weights (periods, periods) of one unit's rows: all 1, or falling to 0 one lag beyond the cutoff."""
    times = np.sort(time.unique())
    if lag_cutoff is None:
        weight = np.ones((len(times), len(times)))
    elif pd.api.types.is_numeric_dtype(time):
        lag = np.abs(times[:, None] - times[None, :]).astype(float)
        weight = np.clip(1 - lag / (lag_cutoff + 1), 0, None)
    else:
        raise CannotEstimate(f"Lags need times that are numbers, and {time.name!r} holds {label(times[0])}.")
    np.fill_diagonal(weight, 0.0)
    return weight

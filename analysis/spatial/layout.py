"""From a long data frame to balanced arrays in the order of a weights matrix, with the checks that needs.

Estimation does not belong here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.estimation_sample import as_key, as_number, require_columns
from analysis.results import CannotEstimate
from analysis.spatial.weights import Weights


@dataclass(frozen=True)
class Layout:
    """``values`` is units x periods x columns; units are in the order of the weights, periods rise."""

    values: np.ndarray
    units: tuple[Any, ...]
    periods: tuple[Any, ...]
    columns: tuple[str, ...]

    def column(self, name: str) -> np.ndarray:
        """One variable, units x periods."""
        return self.values[:, :, self.columns.index(name)]


def arrange(data: pd.DataFrame, columns: Sequence[str], weights: Weights, *, unit: str, time: str) -> Layout:
    """The columns as a balanced array.

    Raises
    ------
    ValueError
        For a column that is absent or not numeric, missing or infinite values, a unit-year twice or not at all, units
        that only one of data and weights knows, and units without neighbours.
    """
    if not isinstance(weights, Weights):
        raise ValueError(f"weights is a {type(weights).__name__}, and rows need labels: pass Weights(matrix, labels).")
    columns = tuple(dict.fromkeys(columns))
    require_columns(data, [unit, time, *columns])
    _check_units(data[unit], weights, unit)
    rows = weights.index.get_indexer(pd.Index(data[unit], dtype=object))
    if data[time].isna().any():
        raise CannotEstimate(
            f"Column {time!r} has {int(data[time].isna().sum())} missing values: every row needs its {time}."
        )
    periods, column_of = np.unique(as_key(data[time]).to_numpy(), return_inverse=True)
    cell = rows * len(periods) + column_of
    _check_balance(cell, weights, periods, unit, time)
    values = np.empty((len(data), len(columns)))
    for position, name in enumerate(columns):
        values[:, position] = _numbers(data, name, unit, time)
    arranged = np.empty_like(values)
    arranged[cell] = values
    return Layout(
        arranged.reshape(weights.n, len(periods), len(columns)), tuple(weights.labels), tuple(periods.tolist()), columns
    )


def _check_units(units: pd.Series, weights: Weights, unit: str) -> None:
    if units.isna().any():
        raise CannotEstimate(f"Column {unit!r} has {int(units.isna().sum())} missing values: every row needs its unit.")
    known, present = weights.index, pd.Index(units.unique(), dtype=object)
    strangers, unused = present.difference(known, sort=False), known.difference(present, sort=False)
    if len(strangers) or len(unused):
        hint = ""
        if len(strangers) == len(present) and set(map(str, present)) & set(map(str, known)):
            types = f"labels are {type(known[0]).__name__}, the column holds {type(present[0]).__name__}"
            hint = f" ({types}: make them the same type)"
        sides = [f"{_name(strangers)} without a row in the weights matrix"] * bool(len(strangers))
        sides += [f"{_name(unused)} in the weights matrix but not in the data"] * bool(len(unused))
        raise CannotEstimate(
            f"Data and weights do not match: {' and '.join(sides)}{hint}. Build the matrix for exactly the units of "
            "the panel "
            "(Weights.subset, then normalise), because it is used as given."
        )
    if weights.isolated:
        raise CannotEstimate(
            f"{_name(pd.Index(weights.isolated))} in the weights matrix without any neighbour: link the unit with the "
            "nearest "
            '(isolated="nearest" when building the matrix) or leave it out.'
        )


def _check_balance(cell: np.ndarray, weights: Weights, periods: np.ndarray, unit: str, time: str) -> None:
    counts = np.bincount(cell, minlength=weights.n * len(periods))

    def named(position: int) -> str:
        return f"{unit} {weights.labels[position // len(periods)]}, {time} {periods[position % len(periods)]}"

    if (counts > 1).any():
        raise CannotEstimate(
            f"{named(int(np.argmax(counts > 1)))} occurs {counts.max()} times: keep one row for each {unit} and {time}."
        )
    if (counts == 0).any():
        raise CannotEstimate(
            f"Spatial models need a balanced panel, and {int((counts == 0).sum())} of {len(counts)} rows are missing, "
            "the first "
            f"{named(int(np.argmax(counts == 0)))}: fill it, or leave the unit or the year out (and rebuild the "
            "weights)."
        )


def _numbers(data: pd.DataFrame, name: str, unit: str, time: str) -> np.ndarray:
    values = as_number(data[name]).to_numpy()
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise CannotEstimate(
            f"Spatial models need a balanced panel, and column {name!r} is missing or infinite in {int(bad.sum())} "
            "rows, the first "
            f"{unit} {data[unit].iloc[row]}, {time} {data[time].iloc[row]}: fill it, or leave the unit or the year out "
            "(and rebuild the weights)."
        )
    return values


def _name(labels: pd.Index, most: int = 5) -> str:
    shown = ", ".join(str(label) for label in labels[:most])
    rest = f" and {len(labels) - most} more" if len(labels) > most else ""
    return f"{shown}{rest} {'is' if len(labels) == 1 else 'are'}"

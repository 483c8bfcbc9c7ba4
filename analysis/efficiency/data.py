"""What comes in: columns and their roles, periods, and which units cannot be scored and why. No programmes here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.efficiency.programmes import Roles
from analysis.efficiency.simplex import Array

OK = "ok"
TWIN = "ok: same values as another unit of its frontier"


@dataclass(frozen=True)
class Measured:
    """The data of one call.

    Attributes
    ----------
    columns
        Names of inputs, good outputs and bad outputs, in this order.
    roles
        How many of each.
    values
        As given: units x columns.
    period
        Rank of the period, -1 where missing: (units,).
    periods
        The periods themselves, ascending.
    complaint
        Why a unit cannot be scored, or an empty string: (units,).
    order
        Positions of the usable units, in an order that depends on their data alone.
    """

    columns: list[Hashable]
    roles: Roles
    values: Array
    period: Array
    periods: pd.Index
    complaint: Array
    order: Array


def _as_list(names: Sequence[Hashable], role: str) -> list[Hashable]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(f"{role} must be a list of column names, not {names!r}: write [{names!r}].")
    return list(names)


def _check_names(data: pd.DataFrame, names: list[Hashable], period: Hashable) -> None:
    wanted = [*names, *([] if period is None else [period])]
    copies = [name for name in wanted if (data.columns == name).sum() > 1]
    if copies:
        raise ValueError(f"The data have more than one column named {copies[0]!r}: rename or drop the copies.")
    unknown = [name for name in wanted if name not in data.columns]
    if unknown:
        raise ValueError(f"The data have no column {unknown[0]!r}; the columns are {list(data.columns)!r}.")
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f"Column {twice[0]!r} is named in more than one place: give each column one role.")


def _numbers(data: pd.DataFrame, name: Hashable) -> Array:
    column = data[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise ValueError(f"Column {name!r} holds {column.dtype} values: inputs and outputs must be numbers.")
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(f"Column {name!r} holds complex values: inputs and outputs must be real numbers.")
    return column.to_numpy(dtype=float, na_value=np.nan)


def _complaints(values: Array, columns: list[Hashable], period: Array) -> Array:
    problems = {
        "missing value": np.isnan(values),
        "infinite value": np.isinf(values),
        "zero": values == 0,
        "negative value": np.isfinite(values) & (values < 0),
    }
    bad = np.logical_or.reduce(list(problems.values()))
    complaint = np.full(len(values), "", dtype=object)
    for unit in np.flatnonzero(bad.any(axis=1) | (period < 0)):
        found = [
            f"{what} in {', '.join(repr(columns[place]) for place in np.flatnonzero(where[unit]))}"
            for what, where in problems.items()
            if where[unit].any()
        ]
        found += ["missing period"] if period[unit] < 0 else []
        complaint[unit] = "no score: " + "; ".join(found)
    return complaint


def measure(
    data: pd.DataFrame,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable],
    period: Hashable,
) -> Measured:
    """Check the call, read the columns and say which units cannot be scored.

    Raises
    ------
    ValueError
        For what makes the whole call meaningless: no input or output, an unknown or repeated column, a column of text.
    """
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"data must be a pandas DataFrame, not {type(data).__name__}.")
    given = [_as_list(inputs, "inputs"), _as_list(outputs, "outputs"), _as_list(bad_outputs, "bad_outputs")]
    if not given[0] or not given[1]:
        raise ValueError("At least one input and one good output are needed to compare units.")
    columns = [name for names in given for name in names]
    _check_names(data, columns, period)
    values = np.column_stack([_numbers(data, name) for name in columns])
    if period is None:
        rank, periods = np.zeros(len(data), dtype=np.intp), pd.Index([0])
    else:
        rank, periods = pd.factorize(data[period], sort=True)
    complaint = _complaints(values, columns, rank)
    usable = np.flatnonzero(complaint == "")
    # Sorted by their data, so that neither row order nor labels can decide a tie.
    order = usable[np.lexsort([*values[usable].T[::-1], rank[usable]])]
    counts = Roles(*(len(names) for names in given))
    return Measured(columns, counts, values, rank, pd.Index(periods), complaint, order)


def choice(value: object, allowed: tuple[str, ...], name: str) -> None:
    """Raise a ValueError unless the value is one of the allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")


def whole_number(value: object, name: str, least: int) -> int:
    """The value as an int; raise a ValueError unless it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, not {value!r}.")
    return int(value)


def twins(values: Array, references: list[Array], evaluated: list[Array]) -> Array:
    """True where another unit of the reference set has exactly the same values: (units,)."""
    alike = np.zeros(len(values), dtype=bool)
    same = pd.DataFrame(values).groupby(list(range(values.shape[1])), sort=False).ngroup().to_numpy()
    for rows, reference in zip(evaluated, references, strict=True):
        counts = np.bincount(same[reference], minlength=same.max(initial=0) + 1)
        alike[rows] = counts[same[rows]] > 1
    return alike

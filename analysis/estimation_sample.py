"""What every panel estimator does first: check columns, drop what cannot be used and say so, number units and groups.

No estimator lives here; fixed effects are swept out in `fixed_effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Sample:
    """The rows an estimator uses, sorted by unit and time so that the order of the input cannot matter.

    Attributes
    ----------
    data
        The rows kept, indexed 0..n-1, sorted by unit and time; numeric columns as float64.
    positions
        Where each kept row stood in the caller's data, shape (n,).
    notes
        One sentence for each reason rows were left out.
    """

    data: pd.DataFrame
    positions: np.ndarray
    notes: tuple[str, ...]


def prepare(
    data: pd.DataFrame,
    *,
    unit: str,
    time: str,
    numeric: Sequence[str],
    keys: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Sample:
    """Rows of ``data`` with every ``numeric`` and ``keys`` column present; ``optional`` numeric columns may be missing.

    Raises ValueError for absent or non-numeric columns, infinite values, a missing unit or time, and a repeated
    unit-time pair.
    """
    wanted = list(dict.fromkeys([unit, time, *keys, *numeric, *optional]))
    absent = [column for column in wanted if column not in data.columns]
    if absent:
        raise ValueError(
            f"No column named {', '.join(map(repr, absent))}; the data has {', '.join(map(str, data.columns))}."
        )
    frame = data[wanted].reset_index(drop=True)
    for column in dict.fromkeys([*numeric, *optional]):
        frame[column] = as_float(frame[column])
    for column in (unit, time):
        if frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0])
            raise ValueError(f"Column {column!r} is missing in row {row}: every row needs a {unit!r} and a {time!r}.")
    repeated = frame.duplicated([unit, time])
    if repeated.any():
        first = frame.loc[repeated, [unit, time]].iloc[0]
        raise ValueError(
            f"{int(repeated.sum())} rows repeat a {unit!r} and {time!r} already present, "
            f"the first {first[unit]!r}, {first[time]!r}: keep one row for each."
        )
    notes = []
    needed = list(dict.fromkeys([*numeric, *keys]))
    keep = np.ones(len(frame), dtype=bool)
    for column in needed:
        missing = frame[column].isna().to_numpy() & keep
        if missing.any():
            notes.append(f"{int(missing.sum())} rows dropped: {column!r} is missing.")
            keep &= ~missing
    if not keep.any():
        raise ValueError(f"No row has a value in every one of {', '.join(map(repr, needed))}.")
    positions = np.flatnonzero(keep)
    order = (
        frame.loc[keep, [unit, time]].reset_index(drop=True).sort_values([unit, time], kind="stable").index.to_numpy()
    )
    positions = positions[order]
    return Sample(frame.iloc[positions].reset_index(drop=True), positions, tuple(notes))


def as_float(column: pd.Series) -> pd.Series:
    """A numeric or boolean column as float64; anything else is a ValueError that quotes the first offending value."""
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        parsed = pd.to_numeric(column, errors="coerce")
        wrong = parsed.isna() & column.notna()
        if wrong.any():
            raise ValueError(f"Column {column.name!r} must be numeric; it holds {column[wrong].iloc[0]!r}.")
        column = parsed
    values = column.astype("float64")
    if np.isinf(values.to_numpy()).any():
        raise ValueError(f"Column {column.name!r} holds an infinite value; replace or drop it first.")
    return values


def require_varying(frame: pd.DataFrame, y: str) -> None:
    """Raise ValueError when the outcome is the same number in every row: there is nothing to explain."""
    values = frame[y].to_numpy()
    if np.ptp(values) == 0:
        raise ValueError(f"Outcome {y!r} is {values[0]:g} in all {len(values)} rows used: there is nothing to explain.")


def unit_order(frame: pd.DataFrame, unit: str, columns: Sequence[str]) -> np.ndarray:
    """Codes (n,) of units, numbered by what their rows hold in ``columns`` rather than by their names.

    Random draws over units that are numbered this way do not change when units are renamed. Units that agree in every
    column are exchangeable: their order is no matter.
    """
    codes = codes_of(frame[unit])
    values = frame[list(columns)].to_numpy(dtype=float)
    order = np.lexsort([*values.T[::-1], codes])
    values, starts = values[order], np.flatnonzero(np.diff(codes[order], prepend=-1))
    content = [block.tobytes() for block in np.split(values, starts[1:])]
    rank = np.empty(len(content), dtype=np.int64)
    rank[sorted(range(len(content)), key=content.__getitem__)] = np.arange(len(content))
    return rank[codes]


def effect_columns(effects: str | Sequence[str] | None, *, unit: str, time: str) -> list[str]:
    """Column names behind a list of effects or clusters, where "unit" and "time" stand for the panel's own keys."""
    if effects is None:
        return []
    names = [effects] if isinstance(effects, str) else list(effects)
    return list(dict.fromkeys(unit if name == "unit" else time if name == "time" else name for name in names))


def codes_of(column: pd.Series) -> np.ndarray:
    """Integer codes 0..g-1 of a column's values, shape (n,), numbered by sorted value so that their order is stable."""
    codes, _ = pd.factorize(column, sort=True)
    return codes

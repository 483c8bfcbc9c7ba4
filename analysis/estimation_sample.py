"""What every panel estimator does first: check columns, drop what cannot be used and say so, number units and groups.

No estimator lives here; fixed effects are swept out in `fixed_effects`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.results import CannotEstimate


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

    Where ``time`` is among the numeric columns it is read by `as_time`.

    Raises ValueError for absent or non-numeric columns, infinite values, a missing unit or time, and a repeated
    unit-time pair.
    """
    wanted = list(dict.fromkeys([unit, time, *keys, *numeric, *optional]))
    require_columns(data, wanted)
    frame = data[wanted].reset_index(drop=True)
    for column in dict.fromkeys([*numeric, *optional]):
        frame[column] = as_time(frame[column]) if column == time else as_float(frame[column])
    for column in dict.fromkeys([unit, time, *keys]):
        frame[column] = as_key(frame[column])
    for column in (unit, time):
        if frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0])
            raise CannotEstimate(
                f"Column {column!r} is missing in row {row}: every row needs a {unit!r} and a {time!r}."
            )
    repeated = frame.duplicated([unit, time])
    if repeated.any():
        first = int(np.flatnonzero(repeated)[0])
        raise CannotEstimate(
            f"{int(repeated.sum())} rows repeat a {unit!r} and {time!r} already present, "
            f"the first {label(frame[unit].iloc[first])}, {label(frame[time].iloc[first])}: keep one row for each."
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
        raise CannotEstimate(f"No row has a value in every one of {', '.join(map(repr, needed))}.")
    positions = np.flatnonzero(keep)
    order = (
        frame.loc[keep, [unit, time]].reset_index(drop=True).sort_values([unit, time], kind="stable").index.to_numpy()
    )
    positions = positions[order]
    return Sample(frame.iloc[positions].reset_index(drop=True), positions, tuple(notes))


def require_columns(data: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Raise ValueError unless each name is one column of the data; a name that the index bears gets a hint."""
    absent = [name for name in dict.fromkeys(wanted) if name not in data.columns]
    if absent:
        indexed = [name for name in absent if name in data.index.names]
        hint = f"; {indexed[0]!r} is in the index, and data.reset_index() makes it a column" if indexed else ""
        raise ValueError(
            f"No column named {', '.join(map(repr, absent))}; the data has {', '.join(map(str, data.columns))}{hint}."
        )
    twice = [name for name in dict.fromkeys(wanted) if (data.columns == name).sum() > 1]
    if twice:
        raise ValueError(f"Several columns are named {twice[0]!r}: rename them or keep one.")


def label(value: object) -> str:
    """A key's value as messages quote it: 7 and not np.int64(7), a day and not a Timestamp."""
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d}" if value.time() == datetime.time() else str(value)
    return repr(value.item() if isinstance(value, np.generic) else value)


def as_float(column: pd.Series) -> pd.Series:
    """A numeric or boolean column as float64; anything else is a ValueError that quotes the first offending value."""
    values = as_number(column)
    if np.isinf(values.to_numpy()).any():
        raise CannotEstimate(f"Column {column.name!r} holds an infinite value; replace or drop it first.")
    return values


def as_time(column: pd.Series) -> pd.Series:
    """A column of times as float64: numbers as they are, dates that stand for years as years, NaT as missing.

    Dates stand for years when all fall on one day of the year, as 2013-01-01 and 2014-01-01 do.

    Raises
    ------
    ValueError
        As `as_float`; dates on several days of the year, which do not say by themselves what a period is.
    """
    values = time_numbers(column)
    if np.isinf(values.to_numpy()).any():
        raise CannotEstimate(f"Column {column.name!r} holds an infinite value; replace or drop it first.")
    return values


def time_numbers(column: pd.Series) -> pd.Series:
    """`as_time` where infinity is a value too."""
    dates = as_dates(column)
    if dates is None:
        return as_number(column)
    days = pd.DataFrame({"month": dates.dt.month, "day": dates.dt.day}).dropna().drop_duplicates()
    if len(days) > 1:
        raise CannotEstimate(
            f"Column {column.name!r} holds dates on several days of the year, such as "
            f"{label(dates.dropna().iloc[0])}: write whole periods instead, data[{column.name!r}].dt.year for years, "
            "or year * 4 + quarter, or year * 12 + month."
        )
    return dates.dt.year.astype("float64")


def as_dates(column: pd.Series) -> pd.Series | None:
    """The column as datetimes when it holds dates, times or periods, else None; numbers and text are no dates."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    known = column.dropna()
    if column.dtype == object and len(known) and known.map(lambda value: isinstance(value, _DATES)).all():
        return pd.to_datetime(known.map(_day)).reindex(column.index)
    return None


#: Single values that are dates; a Timestamp is a datetime, and a datetime a date.
_DATES = (datetime.date, np.datetime64, pd.Period)


def _day(value: datetime.date | np.datetime64 | pd.Period) -> pd.Timestamp:
    return value.to_timestamp() if isinstance(value, pd.Period) else pd.Timestamp(value)


def as_number(column: pd.Series) -> pd.Series:
    """A numeric or boolean column as float64, infinite values included."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if as_dates(column) is not None or pd.api.types.is_timedelta64_dtype(column):
        held = column.dropna()
        example = f", such as {label(held.iloc[0])}" if len(held) else ""
        raise CannotEstimate(f"Column {column.name!r} must be numeric; it holds dates or spans of time{example}.")
    if pd.api.types.is_complex_dtype(column):
        raise CannotEstimate(f"Column {column.name!r} must be numeric; it holds complex numbers.")
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        parsed = pd.to_numeric(column, errors="coerce")
        wrong = parsed.isna() & column.notna()
        if wrong.any():
            raise CannotEstimate(f"Column {column.name!r} must be numeric; it holds {column[wrong].iloc[0]!r}.")
        column = parsed
    return column.astype("float64")


def as_key(column: pd.Series) -> pd.Series:
    """A column that names units, times or groups, with values that can be compared and sorted.

    Categories become their values, and text beside numbers becomes numbers where all of it can be read so.

    Raises
    ------
    ValueError
        Infinite values, or values of kinds that cannot be compared with each other.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if pd.api.types.is_float_dtype(column):
        if np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
            raise CannotEstimate(f"Column {column.name!r} holds an infinite value; replace or drop it first.")
        return column
    kinds = column.dropna().map(type).unique() if column.dtype == object else ()
    if len(kinds) < 2:
        return column
    parsed = pd.to_numeric(column, errors="coerce")
    if parsed.notna().equals(column.notna()) and np.isfinite(parsed.dropna()).all():
        return parsed
    try:
        sorted(column.dropna().unique())
    except TypeError:
        examples = " and ".join(label(column[column.map(type) == kind].iloc[0]) for kind in kinds[:2])
        raise CannotEstimate(
            f"Column {column.name!r} holds values of several kinds, such as {examples}: write all of them as text, or "
            "all as numbers."
        ) from None
    return column


def require_varying(frame: pd.DataFrame, y: str) -> None:
    """Raise ValueError when the outcome is the same number in every row: there is nothing to explain."""
    values = frame[y].to_numpy()
    if np.ptp(values) == 0:
        raise CannotEstimate(
            f"Outcome {y!r} is {values[0]:g} in all {len(values)} rows used: there is nothing to explain."
        )


def unit_order(frame: pd.DataFrame, unit: str, columns: Sequence[str]) -> np.ndarray:
    """Codes (n,) of units, numbered by what their rows hold in ``columns`` rather than by their names.

    Random draws over units that are numbered this way do not change when units are renamed. Units that agree in every
    column are exchangeable: their order is no matter.
    """
    codes = codes_of(frame[unit])
    values = np.column_stack([_comparable(frame[column]) for column in columns])
    order = np.lexsort([*values.T[::-1], codes])
    values, starts = values[order], np.flatnonzero(np.diff(codes[order], prepend=-1))
    content = [block.tobytes() for block in np.split(values, starts[1:])]
    rank = np.empty(len(content), dtype=np.int64)
    rank[sorted(range(len(content)), key=content.__getitem__)] = np.arange(len(content))
    return rank[codes]


def _comparable(column: pd.Series) -> np.ndarray:
    """Numbers (n,) as they are, anything else by its place in sorted order."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return codes_of(column).astype(float)


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

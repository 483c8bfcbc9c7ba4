"""Two panels of the same grain, value by value: what was measured, filled in, set aside, and what only changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from analysis.names import IMPUTED

CHANGED, MEASURED, FILLED, SET_ASIDE, BACK, GONE = "changed", "measured", "filled", "set aside", "back", "gone"
NEW_ROW, NO_ROW = "new row", "row gone"
#: In the order in which they are told.
KINDS = (CHANGED, SET_ASIDE, GONE, BACK, MEASURED, FILLED)
#: A number that differs by less than this share is the same but for rounding.
ROUNDING = 1e-9


def changed_values(
    before: pd.DataFrame,
    now: pd.DataFrame,
    keys: Sequence[str],
    *,
    aside_before: Collection[tuple[str, int]] = (),
    aside_now: Collection[tuple[str, int]] = (),
) -> pd.DataFrame:
    """One row a value that is no longer what it was, in columns of numbers that both panels have.

    Parameters
    ----------
    keys
        Columns that name a row, two of them: unit and time.
    aside_before, aside_now
        Units and times of which the raw files hold a cell that was set aside before, and is now.

    Returns
    -------
    DataFrame
        The ``keys``, ``column``, ``change``, ``old``, ``new``, ``rounding``. ``change`` is "changed" (measured both
        times), "measured" (missing or filled in before), "filled" (missing or measured before, filled in now), "set
        aside" (a value before, missing now, and a cell of it is now set aside), "gone" (missing without one), "back"
        (missing or filled in before, when a cell was set aside, and measured now). Filled-in values that moved are
        "filled" too. ``rounding`` says that the two are the same but for the last digits.
    """
    old, new = before.set_index(list(keys)).sort_index(), now.set_index(list(keys)).sort_index()
    both = old.index.intersection(new.index)
    old, new = old.loc[both], new.loc[both]
    found = []
    for column in numbers(new):
        if column not in numbers(old):
            continue
        one, other = values(old[column]), values(new[column])
        moved = np.flatnonzero(~((one == other) | (np.isnan(one) & np.isnan(other))))
        was, is_now = _flag(old, column), _flag(new, column)
        # what became measured or filled in with the same value counts too
        moved = np.union1d(moved, np.flatnonzero((was != is_now) & ~np.isnan(one) & ~np.isnan(other)))
        if len(moved):
            rows = pd.DataFrame({"old": one[moved], "new": other[moved]}, index=both[moved])
            found.append(rows.assign(column=column, was_filled=was[moved], is_filled=is_now[moved]).reset_index())
    columns = [*keys, "column", "change", "old", "new", "rounding"]
    if not found:
        return pd.DataFrame(columns=columns)
    table = pd.concat(found, ignore_index=True)
    here = list(zip(table[keys[0]], table[keys[1]], strict=True))
    table["change"] = _kinds(table, np.array([key in aside_before for key in here]), [key in aside_now for key in here])
    size = table[["old", "new"]].abs().max(axis=1)
    table["rounding"] = ((table["old"] - table["new"]).abs() <= ROUNDING * size) & table["change"].isin(
        [CHANGED, FILLED]
    )
    return table[columns].sort_values([*keys, "column"], ignore_index=True)


def changed_rows(before: pd.DataFrame, now: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """One row a unit and time that only one of the panels has: the ``keys`` and ``change``."""
    old, new = pd.MultiIndex.from_frame(before[list(keys)]), pd.MultiIndex.from_frame(now[list(keys)])
    parts = [(new.difference(old), NEW_ROW), (old.difference(new), NO_ROW)]
    return pd.concat(
        [index.to_frame(index=False).assign(change=change) for index, change in parts if len(index)]
        or [pd.DataFrame(columns=[*keys, "change"])],
        ignore_index=True,
    )


def numbers(panel: pd.DataFrame) -> list[str]:
    """Columns of numbers, without the flags of what was filled in."""
    return [
        str(column)
        for column in panel.columns
        if not str(column).endswith(IMPUTED) and pd.api.types.is_numeric_dtype(panel[column])
    ]


def values(column: pd.Series) -> np.ndarray:
    """A column of numbers (n,) as floating point, missing as NaN."""
    return column.to_numpy(dtype=float, na_value=np.nan)


def _flag(panel: pd.DataFrame, column: str) -> np.ndarray:
    name = f"{column}{IMPUTED}"
    if name not in panel:
        return np.zeros(len(panel), dtype=bool)
    return panel[name].astype("boolean").fillna(False).to_numpy(dtype=bool)


def _kinds(table: pd.DataFrame, aside_before: np.ndarray, aside_now: Sequence[bool]) -> np.ndarray:
    missing, was_missing = table["new"].isna(), table["old"].isna()
    filled, was_filled = table["is_filled"], table["was_filled"]
    restored = (was_missing | was_filled) & ~missing & ~filled
    return np.select(
        [missing & np.array(aside_now), missing, filled, restored & aside_before, restored],
        [SET_ASIDE, GONE, FILLED, BACK, MEASURED],
        default=CHANGED,
    )

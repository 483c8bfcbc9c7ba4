"""How far a panel has moved since the last publication: rows, missing values, and the distribution of each column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from expectations.rules import between, key
from expectations.runner import Rule

COLUMN_KEYS = ("column",)
#: Largest distance between two distribution functions (Kolmogorov-Smirnov) that needs no look.
DISTANCE = 0.1


def compare(now: pd.DataFrame, last: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """One row a column of numbers that both panels have, keys left out.

    Columns: ``rows`` and ``rows_last``; ``missing`` and ``missing_last`` (shares) and ``more_missing``, their
    difference; ``median`` and ``median_last``; ``distance``, the largest difference of the two distribution functions
    (0 to 1); ``unchanged``, the share of rows with the same keys whose value is the same.
    """
    numbers = [
        name
        for name in now.columns
        if name in last.columns
        and name not in keys
        and pd.api.types.is_numeric_dtype(now[name])
        and pd.api.types.is_numeric_dtype(last[name])
    ]
    both = now[[*keys, *numbers]].merge(last[[*keys, *numbers]], on=list(keys), suffixes=("", "_last"))
    found = [_row(name, now[name], last[name], both) for name in numbers]
    columns = [
        *("column", "rows", "rows_last", "missing", "missing_last", "more_missing", "median", "median_last"),
        *("distance", "unchanged"),
    ]
    return pd.DataFrame(found, columns=columns)


def moved(compared: pd.DataFrame) -> bool:
    """Whether any column of `compare`'s frame is another than in the last publication."""
    same = compared["unchanged"].eq(1) & compared["rows"].eq(compared["rows_last"])
    return not bool(same.all())


def rules() -> list[Rule]:
    """Rules of `compare`; all of them warn, since new data may well be better data."""
    return [
        key("a column is compared once", COLUMN_KEYS),
        between(
            "no fewer rows than in the last publication",
            "times_rows",
            1,
            advice="Cities or years are gone: compare the sample and years of the study with the last publication's.",
            columns=("rows", "rows_last"),
        ),
        between(
            "at most two hundredths more values are missing than in the last publication",
            "more_missing",
            high=0.02,
            advice="A source has shrunk or a rule sets more aside: compare the rejects and files of both publications.",
            columns=("missing", "missing_last"),
        ),
        between(
            f"a column is distributed as in the last publication (distance at most {DISTANCE:g})",
            "distance",
            high=DISTANCE,
            advice="A unit, a definition or a source has changed: read the column's formula and trace a cell of each.",
            columns=("median", "median_last", "unchanged"),
        ),
    ]


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """`compare`'s frame with ``times_rows``, rows over those of the last publication."""
    return frame.assign(times_rows=frame["rows"] / frame["rows_last"].where(frame["rows_last"] > 0))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of two empirical distribution functions; missing where either has no value."""
    one, other = np.sort(one[~np.isnan(one)]), np.sort(other[~np.isnan(other)])
    if not len(one) or not len(other):
        return float("nan")
    at = np.concatenate([one, other])
    difference = np.searchsorted(one, at, side="right") / len(one) - np.searchsorted(other, at, side="right") / len(
        other
    )
    return float(np.abs(difference).max())


def _row(name: str, now: pd.Series, last: pd.Series, both: pd.DataFrame) -> dict[str, object]:
    one, other = now.to_numpy(dtype=float, na_value=np.nan), last.to_numpy(dtype=float, na_value=np.nan)
    pair = (
        both[name].to_numpy(dtype=float, na_value=np.nan),
        both[f"{name}_last"].to_numpy(dtype=float, na_value=np.nan),
    )
    missing, missing_last = float(np.isnan(one).mean()), float(np.isnan(other).mean())
    return {
        "column": name,
        "rows": len(one),
        "rows_last": len(other),
        "missing": missing,
        "missing_last": missing_last,
        "more_missing": missing - missing_last,
        "median": now.median(),
        "median_last": last.median(),
        "distance": distance(one, other),
        "unchanged": float(((pair[0] == pair[1]) | (np.isnan(pair[0]) & np.isnan(pair[1]))).mean())
        if len(both)
        else 0.0,
    }

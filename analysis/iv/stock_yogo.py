"""Critical values of Stock and Yogo (2005) for two-stage least squares, read from the table beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd


def critical_values(instruments: int, endogenous: int) -> pd.DataFrame:
    """What the first-stage statistic must exceed for a weak-instrument test at 5%.

    They are derived for the Cragg-Donald F under independent, homoskedastic errors; ivreg2 prints them beside the
    Kleibergen-Paap F as well, where they are a rough guide.

    Parameters
    ----------
    instruments, endogenous
        Excluded instruments (tabulated to 30) and endogenous regressors (to 3 for bias, 2 for size).

    Returns
    -------
    DataFrame
        Indexed by criterion: ``kind`` (bias of 2SLS relative to least squares, or size of a 5% Wald test),
        ``tolerated`` (share) and ``critical_value``. Criteria that are not tabulated for these numbers are left out.

    References
    ----------
    Stock and Yogo (2005), Testing for Weak Instruments in Linear IV Regression, tables 5.1 and 5.2.
    """
    table = _table()
    row = table[(table["endogenous"] == endogenous) & (table["instruments"] == instruments)]
    rows = {}
    for column in table.columns[2:]:
        value = row[column].iloc[0] if len(row) else float("nan")
        if pd.isna(value):
            continue
        kind, percent = column.split("_")
        label = f"{percent}% maximal IV {'size' if kind == 'size' else 'relative bias'}"
        rows[label] = (kind, int(percent) / 100, float(value))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["kind", "tolerated", "critical_value"]).rename_axis(
        "criterion"
    )


@cache
def _table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("stock_yogo.csv"))

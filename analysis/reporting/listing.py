"""A data frame as a plain table of a page: headings, classes of columns, and how a value is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.printing.table import number

#: Characters from which a column of a listing is given room to wrap in.
LONG = 28


@dataclass(frozen=True)
class Listing:
    """A plain table of a frame: headings, the class of each column ("number", "long" or ""), rows of text, and for
    each cell the page that it leads to ("" for none)."""

    caption: str
    headers: tuple[str, ...]
    classes: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: tuple[tuple[str, ...], ...]


#: (column, its value, the row's values by column) -> the page that a cell leads to, or "".
Leads = Callable[[str, Any, dict[str, Any]], str]


def _nowhere(column: str, value: Any, row: dict[str, Any]) -> str:
    return ""


def listing(frame: pd.DataFrame, caption: str, leads: Leads = _nowhere) -> Listing:
    """A data frame as it is shown: numbers with separators, hashes cut to 12 characters, nothing for missing."""
    headers = tuple(str(column).replace("_", " ").strip() for column in frame.columns)
    rows = tuple(
        tuple(show(str(column), value) for column, value in zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False, name=None)
    )
    classes = tuple(
        "number" if _is_number(frame[column]) else "long" if any(len(row[index]) > LONG for row in rows) else ""
        for index, column in enumerate(frame.columns)
    )
    links = tuple(
        tuple(leads(str(column), value, row) for column, value in row.items())
        for row in ({str(key): value for key, value in record.items()} for record in frame.to_dict("records"))
    )
    return Listing(caption, headers, classes, rows, links)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def show(column: str, value: Any) -> str:
    """A value of a column as it is shown."""
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(value) if "year" in column or column.lstrip("_") == "row" else f"{value:,}"
    if isinstance(value, (float, np.floating)):
        if column == "p" and 0 <= value < 0.001:
            return "< 0.001"
        return f"{value:,.0f}" if float(value).is_integer() else number(float(value))
    text = str(value)
    return text[:12] if column.endswith("sha256") else text

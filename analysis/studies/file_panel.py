"""The file that a study takes its panel from, as the study sees it: keys, periods, places and names of its columns.

How a file is read is in `table_file`, what a study may say of it in `file_study`; the panel itself is made in
`analysis.panel_from_file`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.names import TIME, UNIT
from analysis.studies.reading import nearest
from analysis.studies.records import Study
from analysis.studies.table_file import Table

#: Share of the units that must be Chinese cities for their attributes and the map to join.
CITIES = 0.8
#: Columns that a panel gets where its units are Chinese cities: the first that the file does not have itself.
PLACE = ("city_code", "gb2260_code", "roster_code")
#: Periods that a time column may hold: years, or numbers of periods.
EARLIEST, LATEST = -9999, 9999
_YEAR = re.compile(r"(\d{4})(?:\.0)?\s*(?:年|年度)?")


def places(reference: Path) -> dict[str, str]:
    """Every code and name that stands for one city of the roster -> its six-digit code, from data/reference."""
    roster = {row["city_code"]: row["name_zh"] for row in _rows(reference / "cities.csv")}
    found: dict[str, set[str]] = {}
    for code, name in roster.items():
        for text in (code, code[:4], f"{code}000000", name, name.removesuffix("市")):
            found.setdefault(text, set()).add(code)
    listed = reference / "city_names.csv"
    for row in _rows(listed) if listed.exists() else ():
        found.setdefault(row["name_or_code"], set()).add(row["city_code"])
    return {text: next(iter(codes)) for text, codes in found.items() if len(codes) == 1 and codes <= roster.keys()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def unit_places(table: Table, unit: str, known: Mapping[str, str]) -> tuple[dict[Any, str], str | None]:
    """Value of the unit column -> code of the Chinese city, and the column that told; nothing where most are no cities.

    The unit's own values are tried first, then their labels, then each column of words that names every unit once.
    """
    frame = table.frame
    units = frame[unit].dropna().drop_duplicates()
    texts = {value: unit_text(value) for value in units}
    tries: list[tuple[str, dict[Any, str]]] = [(unit, texts)]
    labels = table.values.get(unit, {})
    if labels:
        tries.append(
            (
                unit,
                {value: labels.get(float(value), "") for value in units if isinstance(value, (int, float, np.number))},
            )
        )
    for column in frame.columns:
        if column != unit and frame[column].dtype == object:
            named = frame[[unit, column]].dropna().drop_duplicates()
            if len(named) and not named[unit].duplicated().any() and not named[column].duplicated().any():
                tries.append((str(column), dict(zip(named[unit], named[column].astype(str), strict=True))))
    for column, said in tries:
        codes = {value: known[text.strip()] for value, text in said.items() if text.strip() in known}
        twice = pd.Series(list(codes.values()), dtype=object)
        shared = set(twice[twice.duplicated(keep=False)])
        codes = {value: code for value, code in codes.items() if code not in shared}
        if len(units) and len(codes) >= CITIES * len(units):
            return codes, column
    return {}, None


def unit_text(value: Any) -> str:
    """A unit as text: whole numbers without a point."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def quoted(value: Any) -> str:
    """A cell as a sentence names it."""
    return repr(value) if isinstance(value, str) else f"{value:.15g}" if isinstance(value, float) else str(value)


def periods(table: Table, column: str) -> pd.Series:
    """A time column as whole numbers, missing where it is blank.

    Years may be numbers, text such as 2008年, or dates; other whole numbers count periods.

    Raises
    ------
    ValueError
        Naming the first cell that is no period, or a column whose numbers are months.
    """
    held = table.frame[column]
    if pd.api.types.is_datetime64_any_dtype(held):
        return held.dt.year.astype("float64")
    if held.dtype == object:
        read = [None if value is None else _YEAR.fullmatch(str(value)) for value in held]
        values = pd.Series([np.nan if found is None else float(found[1]) for found in read])
    else:
        values = held.astype("float64")
    wrong = (values.isna() & held.notna()) | (values.notna() & (values != np.floor(values)))
    months = values.between(190_001, 210_012) & (values % 100).between(1, 12)
    if months.any() and months.sum() == values.notna().sum():
        raise ValueError(
            f"{table.path.name}, column {column!r}: {values.iloc[0]:.0f} and the others are months; event time needs "
            "periods one apart, so number the months 1, 2, 3 … in a column of their own."
        )
    wrong |= values.notna() & ~values.between(EARLIEST, LATEST)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{table.where(at, column)}: {quoted(held.iloc[at])} is no year, as in 2013.")
    return values


def column_of(table: Table, name: str, what: str) -> str:
    """A column of the file by its name; a ValueError names the nearest one."""
    names = [str(column) for column in table.frame.columns]
    if name not in names:
        near = nearest(name, names)
        listed = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
        hint = f"; the nearest is {near!r}" if near else f"; it has {listed}"
        raise ValueError(f"{name!r} is no column of {table.path.name}, which {what} should be{hint}.")
    return name


def keyed(study: Study, panel: pd.DataFrame) -> pd.DataFrame:
    """The panel under the names by which studies are estimated; a panel of the warehouse has them already.

    Units that are Chinese cities get their code, so that attributes and borders join; others are text as they are.
    """
    declared = study.panel
    if declared is None or declared.unit not in panel.columns:
        return panel
    units = pd.Series([unit_text(value) for value in panel[declared.unit]], index=panel.index, dtype=object)
    if declared.place and declared.place in panel.columns:
        units = panel[declared.place].where(panel[declared.place].notna(), units)
    renamed = panel.drop(columns=[c for c in (declared.unit, declared.place) if c in panel.columns])
    renamed = renamed.rename(columns={**declared.aliases, declared.time: TIME})
    renamed.insert(0, UNIT, units.astype(str))
    return renamed


def measurable(table: Table, without: Collection[str | None]) -> list[str]:
    """Columns of numbers, in the file's order: what `variables: all` stands for."""
    return [
        str(c)
        for c in table.frame.columns
        if c not in without and table.is_number(str(c)) and table.frame[c].notna().any()
    ]


def worded(table: Table, without: Collection[str | None]) -> list[str]:
    """Columns of words, in the file's order: they come along as what rows can be grouped and selected by."""
    return [
        str(c)
        for c in table.frame.columns
        if c not in without and table.frame[c].dtype == object and not table.is_number(str(c))
    ]

"""Tables whose rows are no places: cities as headers, or all of one city, which the title, sheet or file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from dagster_project.ingest import layout
from dagster_project.ingest.drafting.columns import Column, template, year_column, year_in
from dagster_project.ingest.drafting.finding import Found
from dagster_project.ingest.drafting.measures import (
    Draft,
    Said,
    by_rows,
    escaped,
    measure,
    subject_of,
    value_columns,
    year_from_names,
)
from dagster_project.ingest.drafting.words import INDICATOR_HEADERS, PLAIN, UNIT_HEADERS, Catalogue
from dagster_project.ingest.layout import Grid

#: Rows among which the header is looked for.
LOOK_AT = 8


def cities_across(
    sheet: str, grid: Grid, source: str, file: str, known: Catalogue, made: Draft, noted: str
) -> dict[str, Any] | None:
    """A table whose header names places and whose rows are years or indicators, or None."""
    for number, row in enumerate(grid[:LOOK_AT]):
        at = [index for index, cell in enumerate(row) if cell and not PLAIN.fullmatch(cell) and known.place(cell)]
        texts = [cell for cell in row if cell]
        if len(at) < 2 or not at[0] or len(at) < 0.8 * len([cell for cell in row[at[0] :] if cell]):
            continue
        if len(texts) - len(at) > 3:
            return None
        columns, said = _columns(sheet, grid, number, source, known, made, noted)
        left = [column for column in columns if column.index < at[0] and column.filled]
        values = [column for column in columns if column.index in at]
        keys: dict[str, Any] = {"city": {"from": "header"}}
        year = next((column for column in left if column.years >= 0.8 * column.filled), None)
        if year is not None:
            keys["year"] = key_of(year, columns)
        named, unit_column = _named(left, year)
        entry: dict[str, Any] = {"sheets": [escaped(sheet)], "keys": keys}
        if any(not column.header for column in (year, named) if column):
            entry["header_rows"] = [number + 1]
        if year is None and (named is None or named.years):
            return None
        if year is None:
            year_from_names(said.table, file, keys, made, said.place)
        if named is None:
            measured = measure("{city}", subject_of(said) or source, values, said)
            entry["columns"] = [{"header": "{city}", **measured}]
            return entry
        if sum(column.numbers for column in values) < 0.5 * sum(column.filled for column in values):
            return None
        keys["indicator"] = key_of(named, columns)
        by_rows(entry, named, unit_column, values, "{city}", said)
        return entry
    return None


def one_place(
    sheet: str, grid: Grid, source: str, file: str, known: Catalogue, made: Draft, noted: str
) -> dict[str, Any] | None:
    """A table of one place, years down or across; None where no place is named or no such table stands."""
    for number, row in enumerate(grid[:LOOK_AT]):
        if len([cell for cell in row if cell]) < 2:
            continue
        columns, said = _columns(sheet, grid, number, source, known, made, noted)
        filled = [column for column in columns if column.filled]
        year = year_column(filled) or next((c for c in filled[:1] if not c.header and c.years >= 0.9 * c.filled), None)
        across = [column for column in filled if year_in(column.header) and column.numbers >= 0.5 * column.filled]
        if year is None and len(across) < 2:
            continue
        key = _place_key(sheet, said.table.title, file, known)
        if not key:
            return None
        made.doubts.append(f"{said.place}: all of it is taken as that of {key[1]}; is it?")
        keys: dict[str, Any] = {"city": key[0]}
        entry: dict[str, Any] = {"sheets": [escaped(sheet)], "keys": keys}
        if year is not None:
            keys["year"] = key_of(year, columns)
            values = [c for c in filled if c is not year and c.header and c.numbers >= 0.5 * c.filled]
            if not year.header:
                entry["header_rows"] = [number + 1]
            if not values:
                return None
            entry["columns"] = value_columns(values, False, said)
            return entry
        named, unit_column = _named([column for column in filled if column.index < across[0].index], None)
        if named is None:
            return None
        keys |= {"year": {"from": "header"}, "indicator": key_of(named, columns)}
        if not named.header:
            entry["header_rows"] = [number + 1]
        by_rows(entry, named, unit_column, across, template(across[0].header), said)
        return entry
    return None


def _columns(
    sheet: str, grid: Grid, number: int, source: str, known: Catalogue, made: Draft, noted: str
) -> tuple[list[Column], Said]:
    units = frozenset(known.units)
    headers = layout.headers(grid, [number], ())
    # a lone cell is a note
    below = [line for line in grid[number + 1 :] if sum(map(bool, line)) > 1]
    columns = [
        Column.of(index, header, [line[index] if index < len(line) else "" for line in below], known, units)
        for index, header in enumerate(headers)
    ]
    table = Found(sheet, grid, [number], number + 1, len(grid), headers, layout.title(grid, [number]), 0)
    place = f"sheet {sheet!r}" if sheet else "the file"
    return columns, Said(source, place, table, known, made, units, noted, False)


def key_of(column: Column, columns: Sequence[Column]) -> dict[str, Any]:
    """How a contract finds a column: by its header or, without one, by its place among those without."""
    if column.header:
        return {"header": column.header}
    return {"header": "", "position": 1 + sum(not c.header for c in columns if c.index < column.index)}


def _named(columns: Sequence[Column], year: Column | None) -> tuple[Column | None, Column | None]:
    """Among columns left of the numbers, the one that names indicators and the one of their units."""
    texts = [column for column in columns if column is not year and column.numbers < 0.5 * column.filled]
    unit_column = next((column for column in texts if column.word in UNIT_HEADERS), None)
    texts = [column for column in texts if column is not unit_column]
    named = next((column for column in texts if column.word in INDICATOR_HEADERS), None)
    return named or (texts[0] if texts else None), unit_column


def _place_key(sheet: str, title: str, file: str, known: Catalogue) -> tuple[dict[str, Any], str] | None:
    """Where the name of the one place stands, as a key of a contract, and the name."""
    told = [
        (origin, name)
        for origin, text in (("title", title), ("sheet", sheet), ("file", PurePosixPath(file).stem))
        if (name := known.place_within(text))
    ]
    if not told or len({name for _, name in told}) > 1:
        return None
    origin, name = told[0]
    if origin == "sheet" and name == sheet.strip():
        return {"from": "sheet", "pattern": r"^\s*(.+?)\s*$"}, name
    return {"from": origin, "pattern": f"({re.escape(name)})"}, name

"""From a yearbook file to cells: every value that its contract names, as text, with the place it came from.

Nothing is parsed, converted or judged here; that is staging's work, in SQL. What the contract promises and the file
does not hold becomes a reject.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pandas as pd

from dagster_project.ingest.contracts import (
    UNIT_IN_HEADER,
    Column,
    Contract,
    FromColumn,
    FromText,
    Keys,
    Table,
    clean_header,
    split_unit,
)
from dagster_project.ingest.files import Sheet, UnreadableFile, open_sheets
from dagster_project.ingest.text import Row


@dataclass(frozen=True)
class Cell:
    """One value as published, and everything its row says about it; all text but the row's number."""

    source: str
    file: str
    sheet: str
    row: int
    column: str
    header: str
    indicator: str
    unit: str
    code: str
    city: str
    province: str
    year: str
    value: str


@dataclass(frozen=True)
class Reject:
    """Something that could not be used: which rule, where, which value, and a sentence for the person who can act."""

    rule: str
    source: str
    file: str
    sheet: str
    row: int | None
    column: str
    value: str
    message: str


@dataclass(frozen=True)
class Reading:
    """What one file gave: cells and rejects as frames (columns as `Cell` and `Reject`), and counts for the ledger."""

    cells: pd.DataFrame
    rejects: pd.DataFrame
    sheets: int
    rows: int


def read(path: Path, relative: str, contract: Contract, units: frozenset[str]) -> Reading:
    """Read one file by its contract; ``units`` are the unit texts that can be converted. Never raises for content."""
    cells: list[Cell] = []
    rejects: list[Reject] = []
    sheets = rows = 0

    def reject(rule: str, sheet: str, column: str, value: str, message: str, row: int | None = None) -> None:
        place = f"{relative}{f', sheet {sheet!r}' if sheet else ''}"
        rejects.append(Reject(rule, contract.source, relative, sheet, row, column, value, f"{place}: {message}"))

    try:
        opened = open_sheets(path, contract.encoding)
    except UnreadableFile as error:
        reject("unreadable_file", "", "", "", f"the file {error}.")
        opened = []
    for table in contract.tables if opened else ():
        matching = [sheet for sheet in opened if any(fnmatch.fnmatchcase(sheet.name, glob) for glob in table.sheets)]
        if not matching:
            names = ", ".join(repr(sheet.name) for sheet in opened)
            wanted = " or ".join(table.sheets)
            reject("missing_sheet", wanted, "", names, f"no sheet is named {wanted}; the file has {names}.")
        for sheet in matching:
            sheets += 1
            try:
                layout = _Layout.of(table, sheet, relative, units)
                for column in layout.missing:
                    what = " / ".join(column)
                    reject("missing_column", sheet.name, what, "", f"no column is headed {what}.")
                for key, text, pattern in layout.unmatched:
                    reject("missing_key", sheet.name, key, text, f"{text!r} tells no {key} (pattern {pattern}).")
                if layout.usable:
                    for row_cells in layout.read(contract.source, relative):
                        rows += 1
                        cells.extend(row_cells)
            except UnreadableFile as error:
                reject("unreadable_file", sheet.name, "", "", f"the file {error}; the rest of the sheet is missing.")
            for row in sheet.set_aside:
                begins = ",".join(row.cells)[:60]
                said = f"row {row.number} cannot be read: it {row.fault}. The row begins {begins!r}."
                reject("unreadable_row", sheet.name, "", begins, said, row.number)
    return Reading(_frame(cells, Cell), _frame(rejects, Reject), sheets, rows)


def _frame(records: Sequence[Cell] | Sequence[Reject], kind: type[Cell] | type[Reject]) -> pd.DataFrame:
    return pd.DataFrame([astuple(record) for record in records], columns=[field.name for field in fields(kind)])


@dataclass(frozen=True)
class _Layout:
    """A table's columns found in one sheet: positions of the keys and of the values, and what was not found."""

    table: Table
    sheet: Sheet
    headers: list[str]
    keys: dict[str, int]
    constants: dict[str, str]
    values: list[tuple[int, Column, str, int | None]]
    missing: list[list[str]]
    unmatched: list[tuple[str, str, str]]

    @classmethod
    def of(cls, table: Table, sheet: Sheet, relative: str, units: frozenset[str]) -> _Layout:
        headers = _headers(sheet, table.header_rows)
        position: dict[str, int] = {}
        with_any_unit: dict[str, int] = {}
        unit_of: dict[int, str] = {}
        for index, header in enumerate(headers):
            bare, unit_of[index] = split_unit(header, units)
            for name in (header, bare):
                if name:
                    position.setdefault(name, index)
            with_any_unit.setdefault(UNIT_IN_HEADER.sub("", header), index)

        def find(column: FromColumn) -> int | None:
            names = [clean_header(alias) for alias in column.aliases]
            at = next((position[name] for name in names if name in position), None)
            if at is None and isinstance(column, Column) and isinstance(column.unit, FromText):
                # a unit that nobody knows is no reason to miss the column: staging says which unit it is
                at = next((with_any_unit[name] for name in names if name in with_any_unit), None)
            return at

        keys, constants, missing, unmatched = _find_keys(table.keys, sheet.name, relative, find)
        values: list[tuple[int, Column, str, int | None]] = []
        for column in table.columns:
            at = find(column)
            if at is None:
                if not column.optional:
                    missing.append(column.aliases)
                continue
            if isinstance(column.unit, FromColumn):
                unit, unit_at = "", find(column.unit)
                if unit_at is None:
                    missing.append(column.unit.aliases)
            else:
                unit, unit_at = unit_of[at] if isinstance(column.unit, FromText) else column.unit, None
            values.append((at, column, unit, unit_at))
        return cls(table, sheet, headers, keys, constants, values, missing, unmatched)

    @property
    def usable(self) -> bool:
        """Whether city and year can be told; without them no value has a place."""
        found = self.keys.keys() | self.constants.keys()
        return {"city", "year"} <= found and bool(self.values)

    def read(self, source: str, relative: str) -> Iterator[list[Cell]]:
        """The cells of each row that holds anything."""
        skip = [re.compile(pattern) for pattern in self.table.skip]
        last_header = max(self.table.header_rows)
        for number, row in enumerate(self.sheet.rows(), start=1):
            if number <= last_header or not any(row):
                continue
            key = {name: row[index] if index < len(row) else "" for name, index in self.keys.items()} | self.constants
            if any(pattern.search(key["city"]) for pattern in skip):
                continue
            if any(row[len(self.headers) :]):
                fault = f"has {len(row)} cells, its header has {len(self.headers)}"
                self.sheet.set_aside.append(Row(number, number, row, fault))
                continue
            yield [
                Cell(
                    source=source,
                    file=relative,
                    sheet=self.sheet.name,
                    row=number,
                    column=_letter(index),
                    header=self.headers[index],
                    indicator=column.indicator,
                    unit=unit if unit_at is None else row[unit_at] if unit_at < len(row) else "",
                    code=key.get("code", ""),
                    city=key["city"],
                    province=key.get("province", ""),
                    year=key["year"],
                    value=row[index] if index < len(row) else "",
                )
                for index, column, unit, unit_at in self.values
            ]


def _find_keys(
    keys: Keys, sheet: str, relative: str, find: Callable[[FromColumn], int | None]
) -> tuple[dict[str, int], dict[str, str], list[list[str]], list[tuple[str, str, str]]]:
    """Positions, constants, headers not found, and texts that a pattern does not match (key, text, pattern)."""
    positions: dict[str, int] = {}
    constants: dict[str, str] = {}
    missing: list[list[str]] = []
    unmatched: list[tuple[str, str, str]] = []
    for name in ("year", "city", "code", "province"):
        key = getattr(keys, name)
        if isinstance(key, FromColumn):
            index = find(key)
            if index is None:
                missing.append(key.aliases)
            else:
                positions[name] = index
        elif isinstance(key, FromText):
            text = {"file": Path(relative).name, "sheet": sheet}.get(key.from_, key.value)
            found = re.search(key.pattern, text)
            if found:
                constants[name] = found.group(1)
            else:
                unmatched.append((name, text, key.pattern))
    return positions, constants, missing, unmatched


def _headers(sheet: Sheet, header_rows: Sequence[int]) -> list[str]:
    """Cleaned headers, one a column: merged cells repeated, then the levels joined by "/"."""
    wanted = set(header_rows)
    last = max(wanted)
    levels: dict[int, list[str]] = {}
    for number, row in enumerate(sheet.rows(), start=1):
        if number in wanted:
            levels[number] = [clean_header(cell) for cell in row]
        if number >= last:
            break
    width = max((len(row) for row in levels.values()), default=0)
    rows = {number: row + [""] * (width - len(row)) for number, row in levels.items()}
    for top, left, bottom, right in sheet.merged:
        if top + 1 in rows and left < width:
            for number in rows.keys() & range(top + 1, bottom + 2):
                rows[number][left : right + 1] = [rows[top + 1][left]] * (min(right, width - 1) - left + 1)
    return ["/".join(_distinct(rows[number][index] for number in sorted(rows))) for index in range(width)]


def _distinct(parts: Iterable[str]) -> list[str]:
    """Parts that say something, a part that repeats the one before it (a cell merged downwards) left out."""
    kept: list[str] = []
    for part in parts:
        if part and kept[-1:] != [part]:
            kept.append(part)
    return kept


def _letter(index: int) -> str:
    """The name a spreadsheet gives a column: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, remainder = divmod(index - 1, 26)
        letters = chr(65 + remainder) + letters
    return letters

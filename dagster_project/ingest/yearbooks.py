"""From a yearbook file to cells: every value that its contract names, as text, with the place it came from.

Nothing is parsed, converted or judged here; that is staging's work, in SQL. What the contract promises and the file
does not hold becomes a reject.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

import pandas as pd

from dagster_project.ingest import layout
from dagster_project.ingest.aggregation import aggregated
from dagster_project.ingest.cells import COLUMNS, Values
from dagster_project.ingest.contracts import Column, Contract, FromText, KeyColumn, Table, match_of, split_unit
from dagster_project.ingest.files import Sheet, UnreadableFile, open_sheets
from dagster_project.ingest.layout import Block, clean
from dagster_project.ingest.text import Row

#: Cells that are held at a time where they are handed over.
BATCH = 50_000


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


def read(
    path: Path,
    relative: str,
    contract: Contract,
    units: frozenset[str],
    keep: Callable[[list[Values]], None] | None = None,
) -> Reading:
    """Read one file by its contract; ``units`` are the unit texts that can be converted. Never raises for content.

    With ``keep`` its cells are handed over in batches as they are read, and the reading has none: the memory that a
    text file takes then does not grow with it.
    """
    cells: list[Values] = []
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
    grids: dict[str, list[list[str]]] = {}
    claimed: dict[str, list[Block]] = {}
    for table in contract.tables if opened else ():
        matching = [sheet for sheet in opened if any(fnmatch.fnmatchcase(sheet.name, glob) for glob in table.sheets)]
        if not matching:
            names = ", ".join(repr(sheet.name) for sheet in opened)
            wanted = " or ".join(table.sheets)
            reject("missing_sheet", wanted, "", names, f"no sheet is named {wanted}; the file has {names}.")
        for sheet in matching:
            sheets += 1
            if sheet.name not in grids:
                grids[sheet.name] = []
                try:
                    grids[sheet.name].extend(sheet.rows())
                except UnreadableFile as error:
                    reject(
                        "unreadable_file", sheet.name, "", "", f"the file {error}; the rest of the sheet is missing."
                    )
            grid = grids[sheet.name]
            for block in layout.blocks(table, grid, sheet.merged, sheet.name, relative, units):
                for column in block.missing:
                    what = " / ".join(column)
                    reject("missing_column", sheet.name, what, "", f"no column is headed {what}.")
                for key, text, pattern in block.unmatched:
                    reject("missing_key", sheet.name, key, text, f"{text!r} tells no {key} (pattern {pattern}).")
                if block.usable:
                    claimed.setdefault(sheet.name, []).append(block)
                    last = 0
                    made = _cells(block, table, sheet, grid, contract.source, relative, units)
                    for cell in aggregated(made, table.aggregate) if table.aggregate else made:
                        rows += cell[3] != last
                        last = cell[3]
                        cells.append(cell)
                        if keep and len(cells) >= BATCH:
                            keep(cells)
                            cells = []
    for name, blocks in claimed.items():
        for row, index, text in _unread(grids[name], blocks):
            place = f"{letter(index)}{row + 1}"
            message = f"another table begins under {text!r} in {place}, and nothing of the contract reads it."
            reject("unread_block", name, letter(index), text, message, row + 1)
    for sheet in opened:
        if sheet.doubt:
            reject("unsure_encoding", sheet.name, "", "", f"the file {sheet.doubt}.")
        for bad in sheet.set_aside:
            begins = ",".join(bad.cells)[:60]
            said = f"row {bad.number} cannot be read: it {bad.fault}. The row begins {begins!r}."
            reject("unreadable_row", sheet.name, "", begins, said, bad.number)
    if keep:
        keep(cells)
        cells = []
    return Reading(pd.DataFrame(cells, columns=COLUMNS), frame(rejects), sheets, rows)


def frame(rejects: Sequence[Reject]) -> pd.DataFrame:
    """Rejects as a table."""
    return pd.DataFrame([astuple(reject) for reject in rejects], columns=[field.name for field in fields(Reject)])


def _cells(
    block: Block, table: Table, sheet: Sheet, grid: layout.Grid, source: str, file: str, units: frozenset[str]
) -> Iterator[Values]:
    """The cells of each row that holds anything."""
    named = _by_name(table)
    place = f"{letter(block.anchor)}{block.head[-1] + 1}"
    spread = {
        (row, left): grid[top][left]
        for top, left, bottom, _ in sheet.merged
        if bottom > top and left in block.keys.values() and top < len(grid) and left < len(grid[top])
        for row in range(top + 1, bottom + 1)
    }
    named_in = {name: getattr(table.keys, name) for name in block.keys}
    patterns = {name: key for name, key in named_in.items() if isinstance(key, KeyColumn) and key.pattern}
    last: dict[str, str] = {}
    for number in range(block.head[-1] + 1, min(block.bottom, len(grid))):
        row = grid[number]
        width = len(row)
        if not any(row[block.left : block.right]):
            continue
        key = dict(block.constants)
        for name, index in block.keys.items():
            text = row[index] if index < width else ""
            if not text and spread:
                text = spread.get((number, index), "")
            if name in table.fill_down:
                text = last[name] = text or last.get(name, "")
            key[name] = patterns[name].of(text) if name in patterns else text
        if any(match_of(pattern, key.get("city", "")) for pattern in table.skip):
            continue
        if any((clean(row[index]) if index < width else "") not in kept for index, kept in block.where.items()):
            continue
        if any(row[len(block.headers) :]):
            fault = f"has {len(row)} cells, its header has {len(block.headers)}"
            sheet.set_aside.append(Row(number + 1, number + 1, list(row), fault))
            continue
        part = key.get("part", "")
        partial = ""
        if part and clean(part) not in WHOLE and block.keys["part"] not in block.where:
            partial = f"part_only:{block.headers[block.keys['part']]} {part}"
        for value in block.values:
            inside = dict(value.inside)
            column, unit = value.column, value.unit
            if column is None:
                column, unit = _named(key["indicator"], named, row, block, units)
                if column is None:
                    continue
            elif value.unit_index is not None:
                unit = row[value.unit_index] if value.unit_index < width else ""
            yield (
                source,
                file,
                sheet.name,
                number + 1,
                letter(value.index),
                block.headers[value.index],
                column.indicator,
                unit,
                key.get("code", ""),
                inside.get("city", key.get("city", "")),
                key.get("province", ""),
                inside.get("year", key.get("year", "")),
                row[value.index] if value.index < width else "",
                place,
                value.fault or partial,
            )


#: What stands in a column of parts where the row holds the whole.
WHOLE = frozenset(
    {"全年", "年度", "全市", "合计", "总计", "全部", "annual", "Annual", "year", "total", "Total", "all", "All"}
)


def _by_name(table: Table) -> dict[str, Column]:
    """Columns of a table whose rows name their indicator, by that name."""
    return {clean(alias): column for column in table.columns for alias in column.aliases} if table.value else {}


def _named(
    text: str, named: dict[str, Column], row: Sequence[str], block: Block, units: frozenset[str]
) -> tuple[Column | None, str]:
    """What the contract says of the indicator that a row names, and the row's unit."""
    name = clean(text)
    bare, unit = split_unit(name, units)
    column = named.get(name) or named.get(bare)
    if column is None:
        return None, ""
    if isinstance(column.unit, str):
        return column, column.unit
    if isinstance(column.unit, FromText):
        return column, unit
    wanted = {clean(alias) for alias in column.unit.aliases}
    index = next((i for i in range(block.left, block.right) if block.headers[i] in wanted), None)
    return column, row[index] if index is not None and index < len(row) else ""


def _unread(grid: layout.Grid, blocks: Sequence[Block]) -> Iterator[tuple[int, int, str]]:
    """Cells that head places, in the header rows of what was read or below it, and begin no block that was read."""
    anchors = {(row, block.anchor) for block in blocks for row in block.head}
    words = layout.PLACE_HEADERS | {block.headers[block.anchor] for block in blocks}
    for block in blocks:
        for row in {*block.head, block.bottom} - {len(grid)}:
            for index, cell in enumerate(grid[row]):
                if not cell or clean(cell) not in words or any((row, index) == anchor for anchor in anchors):
                    continue
                apart = (
                    index >= block.right
                    or row == block.bottom
                    or (
                        index
                        and not any(
                            line[index - 1] for line in grid[block.head[0] : block.bottom] if index - 1 < len(line)
                        )
                    )
                )
                if apart and not any(b.left <= index < b.right and row in b.head and b is not block for b in blocks):
                    anchors.add((row, index))
                    yield row, index, cell


@cache
def letter(index: int) -> str:
    """The name a spreadsheet gives a column: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, remainder = divmod(index - 1, 26)
        letters = chr(65 + remainder) + letters
    return letters

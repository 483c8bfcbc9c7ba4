"""Where the tables of a sheet stand: which column names the places, which rows are a header, where the next begins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dagster_project.ingest import layout
from dagster_project.ingest.drafting.words import CODE_HEADERS, NUMBER, PLAIN, YEAR, YEAR_CELL, Catalogue
from dagster_project.ingest.files import Sheet
from dagster_project.ingest.layout import PLACE_HEADERS, Grid, clean


@dataclass
class Found:
    """A table as it stands in a sheet, before it becomes part of a contract."""

    sheet: str
    grid: Grid
    head: list[int]
    first: int
    bottom: int
    headers: list[str]
    title: str
    anchor: int


def tables(sheet: Sheet, grid: Grid, anchor: int, known: Catalogue, notes: list[str]) -> list[Found]:
    """Tables of a sheet, from top to bottom; those beside each other are one, which the contract's reader splits."""
    place = f"sheet {sheet.name!r}" if sheet.name else "the file"
    spread = {
        (row, left): grid[top][left]
        for top, left, bottom, _ in sheet.merged
        if left == anchor and top < len(grid) and left < len(grid[top])
        for row in range(top + 1, bottom + 1)
    }

    def text(row: int) -> str:
        cells = grid[row]
        return (cells[anchor] if anchor < len(cells) else "") or spread.get((row, anchor), "")

    def is_place(row: int) -> bool:
        return bool(known.place(text(row)) or known.code(text(row)) or known.joined(text(row)))

    starts: list[tuple[list[int], int]] = []
    row = 0
    while row < len(grid):
        if is_place(row) and not starts:
            starts.append((_head(grid, row, anchor), row))
        elif (
            starts
            and clean(text(row))
            and (clean(text(row)) in PLACE_HEADERS or clean(text(row)) == _head_text(grid, starts[0][0], anchor))
        ):
            below = next((later for later in range(row + 1, min(row + 6, len(grid))) if is_place(later)), None)
            if below is not None:
                starts.append((_head(grid, below, anchor), below))
                row = below
        row += 1
    found = []
    for number, (head, first) in enumerate(starts):
        if not head:
            notes.append(f"{place}: places begin in row {first + 1} without a header above them; nothing is drafted.")
            continue
        bottom = starts[number + 1][0][0] if number + 1 < len(starts) and starts[number + 1][0] else len(grid)
        title = layout.title(grid, head)
        found.append(
            Found(sheet.name, grid, head, first, bottom, layout.headers(grid, head, sheet.merged), title, anchor)
        )
    # the same header again is the same table on a further page
    kept: list[Found] = []
    for table in found:
        if kept and kept[0].headers == table.headers and not (YEAR.search(table.title) or table.title != kept[0].title):
            continue
        kept.append(table)
    return kept


def _head_text(grid: Grid, head: Sequence[int], anchor: int) -> str:
    return next((clean(grid[row][anchor]) for row in head if anchor < len(grid[row]) and grid[row][anchor]), "")


def place_column(grid: Grid, known: Catalogue) -> int | None:
    """The column that names the places best: cities before provinces, names before codes, the leftmost of equals."""
    width = max(map(len, grid), default=0)
    rated: list[tuple[float, int]] = []
    for column in range(width):
        texts = [row[column] for row in grid if column < len(row) and row[column]]
        if not texts:
            continue
        plain_numbers = sum(bool(PLAIN.fullmatch(text)) for text in texts)
        kinds: Counter[str] = Counter()
        for text, times in Counter(texts).items():
            if not PLAIN.fullmatch(text):
                kinds[known.place(text) or ("city" if known.joined(text) else "")] += times
        named = kinds["city"] + kinds["province"]
        numbers = plain_numbers or sum(bool(NUMBER.fullmatch(text)) for text in texts)
        coded = sum(map(known.code, texts)) if plain_numbers or not named else 0
        header = next((clean(text) for text in texts if not PLAIN.fullmatch(text) and not known.place(text)), "")
        if named and named >= 0.15 * len(texts) and numbers < 0.5 * len(texts):
            # a column of cities has many names that are no province
            rated.append(
                (2 + kinds["city"] / len(texts) + (header in PLACE_HEADERS) * 0.5 + _chinese(texts) * 0.3, column)
            )
        elif coded >= 0.8 * max(1, len(texts) - 1) and coded and (CODE_HEADERS.search(header) or coded >= 3):
            rated.append((1, column))
    if not rated:
        return None
    best = max(score for score, _ in rated)
    return next(column for score, column in rated if score >= best - 1e-9)


def _chinese(texts: Sequence[str]) -> float:
    return sum(bool(re.search(r"[\u3400-\u9fff]", text)) for text in texts) / len(texts)


def _head(grid: Grid, first: int, anchor: int) -> list[int]:
    """Rows of the header above a first place: those of text or years, as far as a title, a blank row or numbers."""
    rows: list[int] = []
    row = first - 1
    while row >= 0 and not rows and not _is_header(grid[row], anchor):
        if first - row > 5:
            return []
        row -= 1  # totals, or a province without numbers, between header and first place
    while row >= 0 and _is_header(grid[row], anchor) and len(rows) < 4:
        rows.insert(0, row)
        row -= 1
    return rows


def _is_header(row: Sequence[str], anchor: int) -> bool:
    filled = [(index, cell) for index, cell in enumerate(row) if cell]
    if any(re.match(r"[（(]?(?:计量)?单位\s*[:：]", cell) for _, cell in filled) and len(filled) <= 2:
        return False  # the unit of a title
    if not filled or (len(filled) == 1 and filled[0][0] == 0 and clean(filled[0][1]) not in PLACE_HEADERS):
        return False  # blank, or a title
    if len({cell for _, cell in filled}) == 1 and len(filled) > 2:
        return False  # a title across all columns
    anchored = clean(row[anchor]) in PLACE_HEADERS if anchor < len(row) else False
    numbers = [cell for _, cell in filled if NUMBER.fullmatch(cell.strip()) and not YEAR_CELL.match(cell)]
    return not numbers and (anchored or len(filled) >= 2 or filled[0][0] > 0)


def segments(table: Found) -> list[tuple[int, int]]:
    """Columns of the blocks beside each other: each begins where the place's header does."""
    head = table.headers[table.anchor] if table.anchor < len(table.headers) else ""
    again = [index for index, header in enumerate(table.headers) if header and header == head]
    return layout.split(table.headers, again) if len(again) > 1 else [(0, len(table.headers))]

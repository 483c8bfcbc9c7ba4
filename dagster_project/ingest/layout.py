"""Where a contract's table stands in a sheet: its header rows, its blocks, and which column holds what.

Rows below the header are read elsewhere. Nothing is guessed: what a contract does not say is not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath

from dagster_project.ingest.contracts import (
    UNIT_IN_HEADER,
    Column,
    FromColumn,
    FromText,
    Table,
    clean_header,
    match_of,
    split_unit,
)

Grid = Sequence[Sequence[str]]
#: Top, left, bottom, right of merged cells, from 0.
Merged = Sequence[tuple[int, int, int, int]]
KEYS = ("year", "city", "code", "province", "indicator", "part")
#: What stands in a header in the place of a key: a year begins with its four digits.
IN_HEADER = {"year": r"(?P<year>(?:19|20)\d\d.*?)", "city": r"(?P<city>.+?)"}
#: Headers that columns of places bear: below a table, such a cell begins another one.
PLACE_HEADERS = frozenset(
    {
        "城市",
        "城市名",
        "城市名称",
        "城市City",
        "地区",
        "地区名",
        "地区名称",
        "地市",
        "地级市",
        "地级市名称",
        "市",
        "市名",
        "市州",
    }
    | {
        "行政区",
        "行政区划",
        "区域",
        "省份",
        "省市",
        "省",
        "省市区",
        "city",
        "cityname",
        "city_name",
        "City",
        "CITY",
        "name_city",
    }
    | {"region", "Region", "area", "prefecture", "Prefecture", "province", "Province", "prov"}
)

NUMBER = re.compile(r"[-+−]?[\d０-９.．,，]+")

clean = lru_cache(maxsize=200_000)(clean_header)


@dataclass(frozen=True)
class Value:
    """A column of values in a block: what the contract says of it (None where the row names the indicator), its unit or
    the column in which the unit stands, year or city if its header holds them, and what is wrong with it."""

    index: int
    column: Column | None
    unit: str = ""
    unit_index: int | None = None
    inside: tuple[tuple[str, str], ...] = ()
    fault: str = ""


@dataclass
class Block:
    """One place in a sheet where a table stands; rows and columns from 0, ``bottom`` and ``right`` not included.

    ``lost`` are keys without which no row says what it is about; ``unmatched`` are texts that a pattern does not fit
    (key, text, pattern).
    """

    head: list[int]
    bottom: int
    left: int
    right: int
    headers: list[str]
    keys: dict[str, int] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    where: dict[int, frozenset[str]] = field(default_factory=dict)
    missing: list[list[str]] = field(default_factory=list)
    unmatched: list[tuple[str, str, str]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    @property
    def anchor(self) -> int:
        """The column that names the places."""
        return self.keys.get("city", self.keys.get("code", self.left))

    @property
    def usable(self) -> bool:
        """Whether it can be told what each row is about; without that no value has a place."""
        return bool(self.values) and not self.lost


def headers(grid: Grid, head: Sequence[int], merged: Merged) -> list[str]:
    """Cleaned headers, one a column: merged cells repeated, then the levels joined by "/".

    Where nothing in these rows is merged across, as in a text file, a blank cell of an upper level repeats the one to
    its left if something stands below both.
    """
    rows = [row for row in head if row < len(grid)]
    width = max((len(grid[row]) for row in rows), default=0)
    levels = {row: [clean(cell) for cell in grid[row]] + [""] * (width - len(grid[row])) for row in rows}
    across = False
    for top, left, bottom, right in merged:
        if top in levels and left < width:
            across = across or right > left
            for row in levels.keys() & range(top, bottom + 1):
                levels[row][left : right + 1] = [levels[top][left]] * (min(right, width - 1) - left + 1)
    if not across:
        for place, (upper, lower) in reversed(list(enumerate(pairwise(rows)))):
            for index in range(1, width):
                begins = any(levels[above][index] for above in rows[: place + 1])
                if not begins and levels[lower][index] and levels[lower][index - 1]:
                    levels[upper][index] = levels[upper][index - 1]
    return ["/".join(_distinct(levels[row][index] for row in rows)) for index in range(width)]


def _distinct(parts: Iterable[str]) -> list[str]:
    """Parts that say something, a part that repeats the one before it (a cell merged downwards) left out."""
    kept: list[str] = []
    for part in parts:
        if part and kept[-1:] != [part]:
            kept.append(part)
    return kept


def blocks(table: Table, grid: Grid, merged: Merged, sheet: str, file: str, units: frozenset[str]) -> list[Block]:
    """Every place of a sheet where the table stands, each as far as the next header; one that lacks what it needs if
    there is no other."""
    found: list[Block] = []
    heads = list(_heads(table, grid, merged))
    for head in heads:
        spread = headers(grid, head, merged)
        for left, right in side_by_side(table, spread):
            found.append(_filled(Block(head, len(grid), left, right, spread), table, grid, sheet, file, units))
    useful = [
        block
        for block in found
        if block.values and re.search(table.title, title(grid, block.head, block.left, block.right))
    ]
    for block in useful:
        after = {later[0] for later in heads if later[0] > block.head[-1]}
        below = (row for row in range(block.head[-1] + 1, len(grid)) if row in after or _begins_table(grid, row, block))
        block.bottom = next(below, len(grid))
    return useful or found[:1]


def title(grid: Grid, head: Sequence[int], left: int = 0, right: int | None = None) -> str:
    """What stands above a header, in at most three rows of text, up to the numbers of another table; what stands alone
    in its row is above all blocks beside each other."""
    found: list[str] = []
    for row in range(min(head[0], len(grid)) - 1, max(-1, head[0] - 4), -1):
        filled = [cell for cell in grid[row] if cell]
        cells = filled if len(filled) == 1 else [cell for cell in grid[row][left:right] if cell]
        if any(NUMBER.fullmatch(cell.strip()) for cell in cells) or (not cells and found):
            break
        found = [*cells, *found]
    return " ".join(found)


def _begins_table(grid: Grid, row: int, block: Block) -> bool:
    """Whether a row below the header heads places again, and does not just repeat the header on a further page."""
    cells = grid[row]
    cell = clean(cells[block.anchor]) if block.anchor < len(cells) else ""
    if not cell or (cell not in PLACE_HEADERS and cell != block.headers[block.anchor].split("/")[0]):
        return False
    said = {clean(text) for text in cells[block.left : block.right]}
    return not said <= {clean(text) for head in block.head if head < len(grid) for text in ("", *grid[head])}


def _heads(table: Table, grid: Grid, merged: Merged) -> Iterator[list[int]]:
    """Rows of each header, by the text of what heads the places; the first rows where that is nowhere."""
    if table.header_rows is not None:
        yield [row - 1 for row in sorted(table.header_rows)]
        return
    places: list[FromColumn] = [one for one in (table.keys.city, table.keys.code) if isinstance(one, FromColumn)]
    if not places:  # cities across: any other key heads the rows
        keys = [getattr(table.keys, name) for name in KEYS]
        places = [place for place in keys if isinstance(place, FromColumn)]
    aliases = {clean(alias) for place in places for alias in place.aliases}
    anchors = aliases | {alias.split("/")[0] for alias in aliases}
    levels = table.header_levels
    found = False
    for row, cells in enumerate(grid):
        if not any(cell and clean(cell) in anchors for cell in cells):
            continue
        # the key may stand in any of the levels
        starts = [row, *(row - up for up in range(1, levels) if row >= up)]
        heads = [list(range(start, min(start + levels, len(grid)))) for start in starts]
        rated = [sum(bool(header) for header in headers(grid, head, merged) if _names(header, table)) for head in heads]
        if max(rated) > 0:
            found = True
            yield heads[rated.index(max(rated))]
    if not found:
        yield list(range(max(1, min(levels, len(grid)))))


def _names(header: str, table: Table) -> bool:
    """Whether a header is one that the contract names for a key or a value."""
    keys = [getattr(table.keys, name) for name in KEYS]
    places = [place for place in (*keys, table.value, *table.columns) if isinstance(place, FromColumn)]
    bare = UNIT_IN_HEADER.sub("", header)
    return any(
        _pattern(alias).fullmatch(text) for place in places for alias in place.aliases for text in (header, bare)
    )


@lru_cache(maxsize=10_000)
def _pattern(alias: str) -> re.Pattern[str]:
    """A header of a contract, in which {year} and {city} stand for what a column's header says."""
    text = re.escape(clean(alias))
    for name, pattern in IN_HEADER.items():
        text = text.replace(re.escape(f"{{{name}}}"), pattern, 1)
    return re.compile(text)


def side_by_side(table: Table, spread: Sequence[str]) -> list[tuple[int, int]]:
    """Columns of each block that a header holds beside each other: one begins anew where the place's header does."""
    for place in (table.keys.city, table.keys.code):
        if isinstance(place, FromColumn) and place.position is None:
            for alias in filter(None, map(clean, place.aliases)):
                at = [index for index, header in enumerate(spread) if header == alias]
                if len(at) > 1:
                    return split(spread, at)
                if at:
                    break
    return [(0, len(spread))]


def split(spread: Sequence[str], at: Sequence[int]) -> list[tuple[int, int]]:
    """Columns of blocks whose places stand in columns ``at``; what stands left of all of them alike belongs to each."""
    lead = 0
    while lead < at[0] and spread[at[0] - lead - 1] and len({spread[index - lead - 1] for index in at}) == 1:
        lead += 1
    starts = [0, *(index - lead for index in at[1:])]
    return list(zip(starts, [*starts[1:], len(spread)], strict=True))


def _filled(block: Block, table: Table, grid: Grid, sheet: str, file: str, units: frozenset[str]) -> Block:
    """The block with the keys, constants and values that are found in it, and what is not."""
    whole: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    loose: dict[str, list[int]] = {}
    unit_of: dict[int, str] = {}
    span = range(block.left, min(block.right, len(block.headers)))
    unheaded = [index for index in span if not block.headers[index]]
    for index in span:
        if header := block.headers[index]:
            stripped, unit_of[index] = split_unit(header, units)
            whole.setdefault(header, []).append(index)
            bare.setdefault(stripped, []).append(index)
            loose.setdefault(UNIT_IN_HEADER.sub("", header), []).append(index)

    def find(place: FromColumn) -> list[int]:
        """Columns under the first of the headers that stands anywhere: as printed, else without its unit."""
        for alias in map(clean, place.aliases):
            if not alias:
                return unheaded[(place.position or 1) - 1 :][:1]
            if at := whole.get(alias) or bare.get(alias):
                return at[place.position - 1 : place.position] if place.position else at
        if isinstance(place, Column) and isinstance(place.unit, FromText):
            # a unit that nobody knows is no reason to miss the column: staging says which unit it is
            return next((loose[alias] for alias in map(clean, place.aliases) if alias in loose), [])
        return []

    texts = {
        "file": PurePosixPath(file).name,
        "sheet": sheet,
        "title": title(grid, block.head, block.left, block.right),
    }
    needed = {"year", "city", "indicator"} | ({"code"} if table.keys.city is None else set())
    for name in KEYS:
        key = getattr(table.keys, name)
        if isinstance(key, FromColumn):
            if at := find(key):
                block.keys[name] = at[0]
                continue
            block.missing.append(key.aliases)
        elif isinstance(key, FromText) and key.from_ != "header":
            text = texts.get(key.from_, key.value)
            if matched := match_of(key.pattern, text):
                block.constants[name] = matched.group(1)
                continue
            block.unmatched.append((name, text, key.pattern))
        else:
            continue
        block.lost |= {name} & needed
    for header, kept in table.where.items():
        if at := find(FromColumn(header=header)):
            block.where[at[0]] = frozenset(map(clean, kept))
        else:
            block.missing.append([header])
            block.lost.add("where")
    if table.value:
        block.values = list(_found(table.value, None, table, block, find, unit_of, units))
        shared = [column for column in table.columns if isinstance(column.unit, FromColumn)]
        if shared and not find(shared[0].unit):  # type: ignore[arg-type]
            block.missing.append(shared[0].unit.aliases)  # type: ignore[union-attr]
        if not block.values:
            block.missing.append(table.value.aliases)
        return block
    for column in table.columns:
        values = list(_found(column, column, table, block, find, unit_of, units))
        if not values and not column.optional:
            block.missing.append(column.aliases)
        block.values.extend(values)
    return block


def _found(
    place: FromColumn,
    column: Column | None,
    table: Table,
    block: Block,
    find: Callable[[FromColumn], list[int]],
    unit_of: dict[int, str],
    units: frozenset[str],
) -> Iterator[Value]:
    """The columns of values that a place of the contract stands for."""
    unit_index = None
    if column and isinstance(column.unit, FromColumn):
        at = find(column.unit)
        unit_index = at[0] if at else None
        if not at:
            block.missing.append(column.unit.aliases)

    def value(index: int, inside: dict[str, str], fault: str) -> Value:
        stated = column.unit if column and isinstance(column.unit, str) else ""
        unit = unit_of[index] if column and isinstance(column.unit, FromText) else stated
        return Value(index, column, unit, unit_index, tuple(inside.items()), fault)

    if not table.keys.in_headers:
        at = find(place)
        for index in at:
            yield value(index, {}, "equal_headers" if len(at) > 1 else "")
        return
    taken = {*block.keys.values(), *block.where}
    said: dict[tuple[tuple[str, str], ...], list[Value]] = {}
    for index in range(block.left, block.right):
        header = block.headers[index]
        if index in taken or not header:
            continue
        texts = (header, split_unit(header, units)[0])
        matches = (_pattern(alias).fullmatch(text) for alias in place.aliases for text in texts)
        if matched := next((match for match in matches if match), None):
            found = value(index, matched.groupdict(), "")
            said.setdefault(found.inside, []).append(found)
    for alike in said.values():
        for found in alike:
            yield value(found.index, dict(found.inside), "equal_headers" if len(alike) > 1 else "")

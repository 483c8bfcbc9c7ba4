"""A draft of a contract from a file that nobody has described: where its tables stand, what their rows and columns are.

What the file does not say is left open and said: a draft may lack a year or a unit, it never makes one up. Whether a
cell is believed is not decided here but in staging, as with every contract.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from dagster_project.ingest import layout
from dagster_project.ingest.drafting.columns import (
    Column,
    counts_rows,
    is_attribute,
    municipal,
    year_column,
    year_in,
)
from dagster_project.ingest.drafting.finding import Found, segments, tables
from dagster_project.ingest.drafting.measures import Draft as Draft
from dagster_project.ingest.drafting.measures import Said, by_rows, measure, noted_unit, subject_of, value_columns
from dagster_project.ingest.drafting.words import (
    CODE_HEADERS,
    COORDINATES,
    EVENT,
    IDENTIFIERS,
    INDICATOR_HEADERS,
    PART_HEADERS,
    PLAIN,
    TREATMENTS,
    UNIT_HEADERS,
    YEAR,
    YEAR_CELL,
)
from dagster_project.ingest.drafting.words import Catalogue as Catalogue
from dagster_project.ingest.files import Sheet
from dagster_project.ingest.layout import Grid


def draft(source: str, file: str, sheets: Sequence[Sheet], known: Catalogue) -> Draft:
    """Draft the tables of a file. Raises UnreadableFile with the reader's sentence."""
    made = Draft()
    grids = [(sheet, [list(row) for row in sheet.rows()]) for sheet in sheets]
    unit = noted_unit([grid for _, grid in grids], known)
    for sheet, grid in grids:
        across = _cities_across(sheet.name, grid, source, known, made)
        if across is not None:
            _add(across, made)
            continue
        found = tables(sheet, grid, known, made.notes)
        titled = len(found) > 1
        for table in found:
            seen: set[tuple[str, ...]] = set()
            for left, right in segments(table):
                if (headers := tuple(header for header in table.headers[left:right] if header)) in seen:
                    continue  # of equal blocks beside each other one stands for all
                seen.add(headers)
                _add(_described(table, (left, right), sheet, source, file, known, made, unit, titled), made)
    return made


def _cities_across(sheet: str, grid: Grid, source: str, known: Catalogue, made: Draft) -> dict[str, Any] | None:
    """A table whose header names places and whose rows are years, or None."""
    units = frozenset(known.units)
    for number, row in enumerate(grid[:6]):
        texts = [cell for cell in row if cell]
        places = [cell for cell in texts if not PLAIN.fullmatch(cell) and known.place(cell)]
        if len(places) < 2 or len(places) < 0.8 * (len(texts) - 1):
            continue
        below = [line for line in grid[number + 1 :] if any(line)]
        first = next((index for index, cell in enumerate(row) if cell), 0)
        years = [line[first] for line in below if first < len(line) and line[first]]
        if not row[first] or known.place(row[first]) or not years:
            return None
        if sum(bool(YEAR_CELL.match(cell)) for cell in years) < 0.8 * len(years):
            return None
        headers = layout.headers(grid, [number], ())
        columns = [
            Column.of(index, header, [line[index] if index < len(line) else "" for line in below], known, units)
            for index, header in enumerate(headers)
            if header and index != first
        ]
        table = Found(sheet, grid, [number], number + 1, len(grid), headers, layout.title(grid, [number]), first)
        said = Said(source, f"sheet {sheet!r}" if sheet else "the file", table, known, made, units, "", False)
        measured = measure("{city}", subject_of(said) or source, columns, said)
        return {
            "sheets": [_escaped(sheet)],
            "keys": {"city": {"from": "header"}, "year": {"header": headers[first]}},
            "columns": [{"header": "{city}", **measured}],
        }
    return None


def _alike(table: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two tables to be described as one."""
    return {**table, "sheets": 0, "columns": [{**column, "range": 0} for column in table["columns"]]}


def _add(table: dict[str, Any] | None, made: Draft) -> None:
    """Put a table into the draft; sheets of one layout share an entry."""
    if table is None:
        return
    for other in made.tables:
        if _alike(other) == _alike(table):
            for one, same in zip(other["columns"], table["columns"], strict=True):
                one["range"] = [min(one["range"][0], same["range"][0]), max(one["range"][1], same["range"][1])]
            other["sheets"] += [name for name in table["sheets"] if name not in other["sheets"]]
            return
    made.tables.append(table)


def _described(
    table: Found,
    span: tuple[int, int],
    sheet: Sheet,
    source: str,
    file: str,
    known: Catalogue,
    made: Draft,
    noted: str,
    titled: bool,
) -> dict[str, Any] | None:
    """A table as an entry of a contract, or None where it has no column of values."""
    place = f"sheet {table.sheet!r}" if table.sheet else "the file"
    units = frozenset(known.units)
    rows = [row for row in table.grid[table.first : table.bottom] if any(row)]
    columns = [
        Column.of(index, header, [row[index] if index < len(row) else "" for row in rows], known, units)
        for index, header in enumerate(table.headers)
        if header or any(index < len(row) and row[index] for row in rows)
    ]
    columns = [column for column in columns if span[0] <= column.index < span[1]]
    name = table.headers[table.anchor] if table.anchor < len(table.headers) else ""
    head = next((column for column in columns if column.header == name), None)
    if head is None or not name:
        made.notes.append(f"{place}: the column of places has no header; nothing of it is drafted.")
        return None
    keys: dict[str, Any] = {}
    is_code = not head.names and head.codes
    keys["code" if is_code else "city"] = {"header": head.header}
    taken = {head.index}
    rest = [column for column in columns if column.index not in taken and column.filled]
    for column in rest:
        if not column.header:
            continue
        if "code" not in keys and column.codes >= 0.6 * column.filled and CODE_HEADERS.search(column.header):
            keys["code"] = {"header": column.header}
        elif (
            "province" not in keys
            and not is_code
            and column.provinces + municipal(column) >= 0.8 * column.filled
            and column.provinces
        ):
            keys["province"] = {"header": column.header}
        elif column.names >= 0.8 * column.filled or (
            column.codes >= 0.8 * column.filled and CODE_HEADERS.search(column.header)
        ):
            pass  # the place again
        else:
            continue
        taken.add(column.index)
    year = year_column(rest)
    if year is not None:
        keys["year"] = {"header": year.header}
        taken.add(year.index)
    named = next((c for c in rest if c.word in INDICATOR_HEADERS and not c.numbers), None)
    unit_column = next((c for c in rest if c.word in UNIT_HEADERS), None)
    taken |= {column.index for column in (named, unit_column) if column is not None}
    for column in rest:
        if column.index not in taken and column.word in PART_HEADERS and "part" not in keys:
            keys["part"] = {"header": column.header}
            taken.add(column.index)
            made.doubts.append(
                f"{place}: each row holds a part of a city's year ({column.header}); all are set aside until `where` "
                "or a yearly table says which counts."
            )
    values = []
    for column in rest:
        if column.index in taken:
            continue
        what = f"{place}, column {column.header or '(without a header)'}"
        if not column.header:
            made.notes.append(f"{what}: left out, as it has no header.")
        elif column.numbers < 0.5 * column.filled:
            made.notes.append(f"{what}: text, no value of a city and year; left out.")
        elif COORDINATES.match(column.word):
            made.notes.append(f"{what}: a coordinate, which has no year; left out.")
        elif TREATMENTS.match(column.header) or TREATMENTS.match(column.word):
            made.notes.append(
                f"{what}: a treatment or its date, no indicator; left out. Policy lists go into policies/."
            )
        elif IDENTIFIERS.match(column.header) or counts_rows(column):
            made.notes.append(f"{what}: a number of the row, no indicator; left out.")
        elif year is not None and is_attribute(column, head, units):
            made.notes.append(f"{what}: a code or kind that does not vary with the year; left out.")
        elif (
            year is not None
            and column.years >= 0.9 * column.filled
            and column.filled > 3
            and re.search(r"(?i)year|年", column.header)
        ):
            made.notes.append(f"{what}: years of an event, no indicator; left out.")
        else:
            values.append(column)
    if not values and year is None:
        made.pilots.extend(_pilots(table, rest, keys, known))
    if not values:
        made.notes.append(f"{place}: places, but no column of values; nothing of it is drafted.")
        return None
    entry: dict[str, Any] = {"sheets": [_escaped(table.sheet)]}
    if len(table.head) > 1:
        entry["header_levels"] = len(table.head)
    entry["keys"] = keys
    across = year is None and any(year_in(column.header) for column in values)
    if not across and year is None:
        _year_from_names(table, file, keys, made, place)
    if across:
        keys["year"] = {"from": "header"}
        dropped = [column.header for column in values if not year_in(column.header)]
        values = [column for column in values if year_in(column.header)]
        made.notes.extend(f"{place}, column {name}: no year stands in its header; left out." for name in dropped)
    if _blank_below(head, table, sheet) and not is_code:
        entry["fill_down"] = ["city"]
    said = Said(source, place, table, known, made, units, noted, titled)
    if named is not None:
        keys["indicator"] = {"header": named.header}
        by_rows(entry, named, unit_column, values, across, said, rows)
        return entry
    if year is not None and "part" not in keys:
        _undivided(head, year, columns, taken, values, keys, made, place)
    entry["columns"] = value_columns(values, across, said)
    if titled and table.title and across:
        entry["title"] = re.escape(table.title.strip())
    return entry


def _pilots(table: Found, columns: Sequence[Column], keys: Mapping[str, Any], known: Catalogue) -> list[dict[str, Any]]:
    """The rows of a list of pilots: places, each with the year of an event and perhaps its batch."""
    dated = next((c for c in columns if c.filled and c.years == c.filled and EVENT.search(c.header)), None)
    if dated is None:
        return []
    batch = next((c for c in columns if re.search(r"(?i)batch|批次", c.header)), None)
    places = {name: table.headers.index(key["header"]) for name, key in keys.items() if key.get("header")}
    found = []
    for number in range(table.first, table.bottom):
        row = table.grid[number]
        told = {name: row[index] if index < len(row) else "" for name, index in places.items()}
        if any(told.values()):
            year = row[dated.index] if dated.index < len(row) else ""
            said = row[batch.index] if batch and batch.index < len(row) else ""
            found.append({"sheet": table.sheet, "row": number + 1, "year": year, "batch": said, **told})
    return found


def _year_from_names(table: Found, file: str, keys: dict[str, Any], made: Draft, place: str) -> None:
    name = PurePosixPath(file).stem
    told = {
        origin: years
        for origin, text in (("title", table.title), ("sheet", table.sheet), ("file", name))
        if (years := sorted(set(YEAR.findall(text)) | _partial(text)))
    }
    distinct = {year for years in told.values() for year in years}
    if len(distinct) == 1 and next(iter(distinct)).isdigit():
        origin = next(iter(told))
        named = {"title": "the title", "sheet": "the sheet's name", "file": "the file's name"}[origin]
        keys["year"] = {"from": origin, "pattern": r"(?<!\d)((?:19|20)\d\d)(?!\d)"}
        made.doubts.append(f"{place}: the year, {distinct.pop()}, stands only in {named}; is it the year described?")
        return
    why = f"; {', '.join(sorted(distinct))} stand in names" if distinct else ""
    made.doubts.append(
        f"{place}: which year does it describe? Nothing says it{why}. Until `keys.year` does ({{from: constant, value: "
        "'2019'}), its cells are set aside."
    )


def _partial(text: str) -> set[str]:
    """Labels of parts of years in a name, as no year at all."""
    return set(
        re.findall(r"(?:19|20)\d\d年?(?:\d{1,2}[-—]\d{1,2}月|\d{1,2}月|[QqHh]\d|[一二三四上下]季?半?[季年]度?)", text)
    )


def _blank_below(head: Column, table: Found, sheet: Sheet) -> bool:
    """Whether places stand only in the first of their rows, without being merged downwards."""
    if any(left == head.index and bottom > top >= table.first for top, left, bottom, _ in sheet.merged):
        return False
    blank = sum(not cell for cell in head.cells)
    return 0.3 * len(head.cells) <= blank < len(head.cells) and bool(head.cells) and bool(head.cells[0])


def _undivided(
    head: Column, year: Column, columns: Sequence[Column], taken: set[int], values: Sequence[Column],
    keys: dict[str, Any], made: Draft, place: str,
) -> None:  # fmt: skip
    """Where a city and year stands in many rows, the text column that tells them apart holds parts."""
    pairs = Counter(zip(head.cells, year.cells, strict=True))
    repeated = sum(times - 1 for pair, times in pairs.items() if all(pair))
    if repeated < 0.3 * len(head.cells):
        return
    chosen = {column.index for column in values}
    for column in columns:
        if column.index in taken | chosen or not column.header or not column.filled:
            continue
        if len(set(zip(head.cells, year.cells, column.cells, strict=True))) > 0.95 * len(head.cells):
            keys["part"] = {"header": column.header}
            made.doubts.append(
                f"{place}: a city and year stands in several rows, told apart by {column.header}; all are set aside "
                "until `where` says which counts."
            )
            return


def _escaped(sheet: str) -> str:
    return re.sub(r"([\[\]*?])", lambda found: f"[{found[1]}]", sheet) or "*"

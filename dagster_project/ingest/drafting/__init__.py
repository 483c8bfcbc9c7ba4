"""A draft of a contract from a file that nobody has described: where its tables stand, what their rows and columns are.

What the file does not say is left open and said: a draft may lack a year or a unit, it never makes one up. Whether a
cell is believed is not decided here but in staging, as with every contract.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_project.ingest import layout
from dagster_project.ingest.drafting.across import cities_across, key_of, one_place
from dagster_project.ingest.drafting.columns import (
    Column,
    counts_rows,
    is_attribute,
    municipal,
    template,
    year_column,
    year_in,
)
from dagster_project.ingest.drafting.finding import Found, place_column, segments, tables
from dagster_project.ingest.drafting.measures import Draft as Draft
from dagster_project.ingest.drafting.measures import (
    Said,
    by_rows,
    escaped,
    name_of,
    noted_unit,
    value_columns,
    year_from_names,
)
from dagster_project.ingest.drafting.words import (
    CODE_HEADERS,
    COORDINATES,
    EVENT,
    IDENTIFIERS,
    INDICATOR_HEADERS,
    PART_HEADERS,
    TREATMENTS,
    UNIT_HEADERS,
    VALUE_HEADERS,
)
from dagster_project.ingest.drafting.words import Catalogue as Catalogue
from dagster_project.ingest.files import Sheet


def draft(source: str, file: str, sheets: Sequence[Sheet], known: Catalogue) -> Draft:
    """Draft the tables of a file. Raises UnreadableFile with the reader's sentence."""
    made = Draft()
    grids = [(sheet, [list(row) for row in sheet.rows()]) for sheet in sheets]
    unit = noted_unit([grid for _, grid in grids], known)
    made.doubts.extend(f"the file {sheet.doubt}." for sheet in sheets if sheet.doubt)
    for sheet, grid in grids:
        if not any(map(any, grid)):
            continue
        across = cities_across(sheet.name, grid, source, file, known, made, unit)
        if across is not None:
            _add(across, made)
            continue
        anchor = place_column(grid, known)
        if anchor is None:
            alone = one_place(sheet.name, grid, source, file, known, made, unit)
            if alone is None:
                place = f"sheet {sheet.name!r}" if sheet.name else "the file"
                made.notes.append(f"{place}: no column of places was found; nothing of it is drafted.")
            _add(alone, made)
            continue
        found = tables(sheet, grid, anchor, known, made.notes)
        titled = len(found) > 1
        for table in found:
            seen: set[tuple[str, ...]] = set()
            for left, right in segments(table):
                if (headers := tuple(header for header in table.headers[left:right] if header)) in seen:
                    continue  # of equal blocks beside each other one stands for all
                seen.add(headers)
                _add(_described(table, (left, right), sheet, source, file, known, made, unit, titled), made)
    return made


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
    head = next((c for c in columns if c.header == name and (name or c.index == table.anchor)), None)
    if head is None:
        return None
    keys: dict[str, Any] = {}
    is_code = not head.names and head.codes
    joined = {} if head.names or is_code else _joined(head, known)
    keys |= {key: {**key_of(head, columns), "pattern": pattern} for key, pattern in joined.items()}
    if not joined:
        keys["code" if is_code else "city"] = key_of(head, columns)
    province: Column | None = None
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
            province = column
        elif column.names >= 0.8 * column.filled or (
            column.codes >= 0.8 * column.filled and CODE_HEADERS.search(column.header)
        ):
            pass  # the place again
        else:
            continue
        taken.add(column.index)
    year = None if "year" in keys else year_column(rest) or _unnamed_year(rest, head, taken, made, place)
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
    if not values and "year" not in keys:
        made.pilots.extend(pilots := _pilots(table, rest, keys, known))
        if not pilots:
            made.attributes.extend(_attributes(table, [c for c in rest if c.index not in taken], keys))
    if not values:
        made.notes.append(f"{place}: places, but no column of values; nothing of it is drafted.")
        return None
    entry: dict[str, Any] = {"sheets": [escaped(table.sheet)]}
    if not head.header:
        entry["header_rows"] = [row + 1 for row in table.head]
    elif len(table.head) > 1:
        entry["header_levels"] = len(table.head)
    entry["keys"] = keys
    dated = "year" in keys
    across = not dated and any(year_in(column.header) for column in values)
    if not across and not dated:
        year_from_names(table, file, keys, made, place)
    if across:
        keys["year"] = {"from": "header"}
        dropped = [column.header for column in values if not year_in(column.header)]
        values = [column for column in values if year_in(column.header)]
        made.notes.extend(f"{place}, column {name}: no year stands in its header; left out." for name in dropped)
    down = [
        key
        for key, column in (("city", head), ("province", province), ("year", year))
        if column is not None and key in keys and _blank_below(column, table, sheet)
    ]
    if down:
        entry["fill_down"] = down
    labels = {layout.clean(name): said for name, said in sheet.labels.items()}
    said = Said(source, place, table, known, made, units, noted, titled, labels)
    if named is not None:
        keys["indicator"] = {"header": named.header}
        if not across:
            values = [next((column for column in values if column.word in VALUE_HEADERS), values[0])]
        value = template(values[0].header) if across else values[0].header
        by_rows(entry, named, unit_column, values, value, said)
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


def _attributes(table: Found, columns: Sequence[Column], keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What rows of places without a year say of each: text, a kind, a coordinate."""
    named = {name_of(c.header): c.index for c in columns if c.header and c.filled and not IDENTIFIERS.match(c.header)}
    places = {name: table.headers.index(key["header"]) for name, key in keys.items() if key.get("header")}
    found = []
    for number in range(table.first, table.bottom) if named else ():
        row = table.grid[number]
        told = {name: row[index] if index < len(row) else "" for name, index in (places | named).items()}
        if any(told[name] for name in places):
            found.append({"sheet": table.sheet, "row": number + 1, **told})
    return found


def _joined(head: Column, known: Catalogue) -> dict[str, str]:
    """The patterns that tell name and code or year apart in most cells of a column."""
    told = Counter(tuple(known.joined(cell).items()) for cell in head.cells if cell)
    most = max(told, key=lambda patterns: told[patterns], default=())
    return dict(most) if most and told[most] >= 0.5 * head.filled else {}


def _unnamed_year(columns: Sequence[Column], head: Column, taken: set[int], made: Draft, place: str) -> Column | None:
    """The only column that holds nothing but years, different ones of one place, under whatever header."""
    whole = [c for c in columns if c.index not in taken and c.header and c.filled > 1 and c.years == c.filled]
    whole = [c for c in whole if not (TREATMENTS.match(c.word) or EVENT.search(c.header) or year_in(c.header))]
    if len(whole) != 1 or len(set(zip(head.cells, whole[0].cells, strict=True))) < len(head.cells):
        return None
    times = Counter(cell for cell in head.cells if cell)
    if max(times.values(), default=0) < 2 and not re.fullmatch(r"(?i)y|t|yy|nian|n", whole[0].header):
        return None
    made.doubts.append(f"{place}: the column {whole[0].header} holds years; is it the year that each row describes?")
    return whole[0]


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

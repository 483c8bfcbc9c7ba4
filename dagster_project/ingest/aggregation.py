"""Rows that hold parts of a city's year, made into the year by what a contract says: mean, sum or the last of them.

A part that is missing or no number leaves the year without a value: what is made of too little is set aside, as is a
year with another number of parts than its neighbours have.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from dagster_project.ingest.cells import COLUMNS, Values
from dagster_project.ingest.contracts import FOOTNOTE_MARKS, Aggregate

NUMBER = re.compile(r"([-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].*)?")
ROW, COLUMN, VALUE, FAULT = (COLUMNS.index(name) for name in ("row", "column", "value", "fault"))
#: What the values of one year have in common.
ALIKE = [COLUMNS.index(name) for name in ("column", "indicator", "unit", "code", "city", "province", "year")]
#: Rows of a part bear this mark where nothing says that they count.
PART = "part_only:"


def aggregated(cells: Iterable[Values], how: Aggregate) -> Iterator[Values]:
    """The values of whole years, each in the row of its last part; whatever is no part of a year stays as it is."""
    years: dict[tuple[object, ...], list[Values]] = defaultdict(list)
    for cell in cells:
        if cell[FAULT] and not str(cell[FAULT]).startswith(PART):
            yield cell
        else:
            years[tuple(cell[index] for index in ALIKE)].append(cell)
    for alike, those in years.items():
        if any(cell[FAULT] for cell in those):
            # a row for the whole year stands beside those of its parts
            yield from (cell for cell in those if not cell[FAULT])
            years[alike] = [cell for cell in those if cell[FAULT]]
    counts = Counter(map(len, years.values()))
    usual = how.parts or max(counts, key=lambda parts: (counts[parts], parts), default=0)
    for parts in years.values():
        yield _year(parts, how, usual)


def _year(parts: list[Values], how: Aggregate, usual: int) -> Values:
    last = parts[-1]
    if len(parts) != usual:
        return _with(last, last[VALUE], f"incomplete:there are {len(parts)} of them where {usual} are expected")
    numbers: list[Decimal] = []
    units: set[str] = set()
    for part in parts:
        text = FOOTNOTE_MARKS.sub("", str(part[VALUE])).replace("−", "-")
        text = unicodedata.normalize("NFKC", text).strip()
        found = NUMBER.fullmatch(text)
        if not found:
            said = f"row {part[ROW]} holds {part[VALUE]!r}" if text else f"row {part[ROW]} is blank"
            return _with(last, part[VALUE] or last[VALUE] or "…", f"incomplete:{said}")
        numbers.append(Decimal(found[1].replace(",", "")))
        units.add((found[2] or "").strip())
    if len(units) > 1:
        return _with(last, last[VALUE], f"incomplete:their units differ ({', '.join(sorted(units))})")
    total = sum(numbers, Decimal(0))
    made = {"sum": total, "mean": total / len(numbers), "last": numbers[-1]}[how.by]
    return _with(last, f"{float(made)!r}{units.pop()}", "")


def _with(cell: Values, value: object, fault: str) -> Values:
    changed: list[object] = list(cell)
    changed[VALUE], changed[FAULT] = value, fault
    return tuple(changed)  # type: ignore[return-value]

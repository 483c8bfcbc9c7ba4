"""What a column of a table holds, told by its header and its cells together."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dagster_project.ingest.contracts import FOOTNOTE_MARKS
from dagster_project.ingest.drafting.words import (
    BASE_YEAR,
    EVENT,
    MISSING,
    MUNICIPALITIES,
    NUMBER,
    PLAIN,
    TREATMENTS,
    YEAR,
    YEAR_CELL,
    YEAR_HEADERS,
    YEAR_LABEL,
    Catalogue,
    plain,
    spelled,
)


@dataclass
class Column:
    """A column of a table: its header, its cells below, and what they are."""

    index: int
    header: str
    cells: list[str]
    numbers: int = 0
    years: int = 0
    percents: int = 0
    names: int = 0
    provinces: int = 0
    codes: int = 0
    filled: int = 0

    @classmethod
    def of(cls, index: int, header: str, cells: list[str], known: Catalogue, units: frozenset[str]) -> Column:
        made = cls(index, header, cells)
        for text, times in Counter(cells).items():
            if not text or MISSING.fullmatch(text.strip()):
                continue
            made.filled += times
            if PLAIN.fullmatch(text):  # most cells of most files
                made.numbers += times
                if len(text) <= 14 and text.removesuffix(".0").isdigit():
                    made.years += times * bool(YEAR_CELL.match(text))
                    made.codes += times * known.code(text)
                continue
            made.numbers += times * bool(number_in(text, units) is not None)
            made.years += times * bool(YEAR_CELL.match(text.strip()))
            made.percents += times * text.rstrip().endswith(("%", "％"))
            kind = known.place(text)
            made.names += times * (kind != "")
            made.provinces += times * (kind == "province")
            made.codes += times * known.code(text)
        return made

    @property
    def word(self) -> str:
        return plain(self.header.split("/")[-1])


def number_in(text: str, units: frozenset[str]) -> float | None:
    """The number that a cell begins with, marks and a known unit aside; tells what a column is, never a value."""
    text = unicodedata.normalize("NFKC", FOOTNOTE_MARKS.sub("", text.replace("−", "-"))).strip()
    text = re.sub(r"\s*\([a-zA-Z\d修订初步]{1,3}\)$", "", text)
    found = NUMBER.match(text)
    if not found:
        return 0.0 if text.startswith("=") else None
    rest = text[found.end() :].strip()
    if rest and rest not in units:
        return None
    try:
        return float(re.sub(r"[, ]", "", found.group()))
    except ValueError:
        return None


def year_column(columns: Sequence[Column]) -> Column | None:
    """The column of years: by its header alone, else by its header and its cells, unless it dates an event."""
    for column in columns:
        if column.word in YEAR_HEADERS and column.years >= 0.5 * column.filled:
            return column
    for column in columns:
        named = re.search(r"(?i)year|年", column.header) and not YEAR.search(column.header)
        if (
            named
            and column.years >= 0.9 * column.filled
            and not (TREATMENTS.match(column.word) or EVENT.search(column.header))
        ):
            return column
    return None


def municipal(column: Column) -> int:
    return sum(spelled(cell) in MUNICIPALITIES for cell in column.cells)


def counts_rows(column: Column) -> bool:
    numbers = [cell for cell in column.cells if cell]
    return (
        len(numbers) > 3
        and numbers[0] in ("0", "1")
        and numbers == [str(number) for number in range(int_or(numbers[0]), int_or(numbers[0]) + len(numbers))]
    )


def int_or(text: str) -> int:
    return int(text) if text.isdigit() else -10


def is_attribute(column: Column, head: Column, units: frozenset[str]) -> bool:
    """Whether a column holds few whole numbers, each city always the same: a kind, not a quantity."""
    by_city: dict[str, set[str]] = defaultdict(set)
    for city, cell in zip(head.cells, column.cells, strict=True):
        if cell:
            by_city[city].add(cell)
    distinct = set().union(*by_city.values()) if by_city else set()
    years = max(Counter(head.cells).values(), default=0)
    if years < 3 or len(by_city) < 3 or not all(re.fullmatch(r"\d{1,2}(\.0)?", cell) for cell in distinct):
        return False
    return len(distinct) <= 10 and sum(len(found) == 1 for found in by_city.values()) >= 0.95 * len(by_city)


def year_in(header: str) -> str:
    """The one year that a header names; none of a base year."""
    years = YEAR.findall(header)
    return years[0] if len(years) == 1 and not BASE_YEAR.search(header) else ""


def template(header: str) -> str:
    """A header with {year} in the place of its year, and of what says that only a part of the year is meant."""
    return YEAR_LABEL.sub("{year}", header, count=1)

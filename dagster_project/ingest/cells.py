"""A cell of a yearbook as it leaves its file: a value as published, and everything its row says about it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as published, and everything its row says about it; all text but the row's number.

    ``block`` is where the header of its places stands; ``fault`` is the rule by which its place in the sheet alone sets
    it aside, with what it is about behind a colon, or "".
    """

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
    block: str
    fault: str


COLUMNS = [field.name for field in fields(Cell)]
#: A cell as a tuple in the order of `Cell`, for there may be millions.
Values = tuple[str, str, str, int, *tuple[str, ...]]

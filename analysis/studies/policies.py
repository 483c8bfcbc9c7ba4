"""Lists of pilot cities as people write them: read, checked against the roster, every fault named by file and line."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from analysis.studies.reading import nearest

#: Columns that a list needs; others are kept as they are.
REQUIRED = ("city_code", "adoption", "scope", "source", "certainty")
CERTAINTY = ("printed in the paper", "public record", "to be checked")
EARLIEST, LATEST = 1949, 2100


def scopes(path: Path, cities: Mapping[str, str]) -> frozenset[str]:
    """The words in the ``scope`` column of a list, after the whole list has been checked.

    Parameters
    ----------
    path
        A CSV of data/policies, one row a city and scope.
    cities
        Code -> Chinese name of every city of data/reference/cities.csv.

    Raises
    ------
    ValueError
        Naming file, line and column: a missing column, a code that no city has, a year that is none, a certainty that
        is no known word, a city that stands twice in one scope.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or []
    except UnicodeDecodeError as error:
        raise ValueError(
            f"data/policies/{path.name} is not UTF-8 text (byte {error.start}); save it as 'CSV UTF-8'."
        ) from None
    absent = [column for column in REQUIRED if column not in columns]
    if absent:
        close = nearest(absent[0], columns)
        hint = f"; the nearest there is {close!r}" if close else ""
        raise ValueError(f"data/policies/{path.name}, line 1: the column {absent[0]!r} is missing{hint}.")
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        fault = _fault(row, cities)
        key = (row["city_code"], row["scope"] or "")
        if not fault and key in seen:
            fault = f"column 'city_code': {key[0]} stands in line {seen[key]} already with the scope {key[1]!r}."
        if fault:
            raise ValueError(f"data/policies/{path.name}, line {line}, {fault}")
        seen[key] = line
    return frozenset(scope for _, scope in seen)


def to_check(path: Path) -> dict[str, tuple[int, int]]:
    """Scope -> how many entries of a list that `scopes` has checked are still to be checked against the public record,
    and how many entries there are."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["scope"]: (0, 0) for row in rows}
    for row in rows:
        unchecked, entries = found[row["scope"]]
        found[row["scope"]] = (unchecked + (row["certainty"] == "to be checked"), entries + 1)
    return found


def _fault(row: Mapping[str, str | None], cities: Mapping[str, str]) -> str | None:
    """What is wrong with a row, or None."""
    code, adoption, certainty = (row[column] or "" for column in ("city_code", "adoption", "certainty"))
    if code not in cities:
        name = row.get("name_zh") or ""
        same = next((known for known, called in cities.items() if name and called == name), None)
        hint = same or nearest(code, cities)
        about = f"; the code of {name} is {hint}." if same else f"; the nearest is {hint}." if hint else "."
        return f"column 'city_code': {code!r} is no city of data/reference/cities.csv{about}"
    if not re.fullmatch(r"\d{4}", adoption) or not EARLIEST <= int(adoption) <= LATEST:
        return f"column 'adoption': {adoption!r} is not a year, as in 2013."
    if certainty not in CERTAINTY:
        return f"column 'certainty': {certainty!r} is not one of {', '.join(map(repr, CERTAINTY))}."
    if not row["source"]:
        return "column 'source': say who announced it and where, so that the row can be traced."
    return None

"""Lists of pilot cities as people write them: read, checked against the roster, every fault named by file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from analysis.studies.reading import nearest

#: Columns that a list needs; others are kept as they are.
REQUIRED = ("city_code", "adoption", "scope", "source", "certainty")
#: Columns of numbers that say no intensity.
NOT_INTENSITIES = ("city_code", "adoption", "adoption_alternative", "until", "batch")
CERTAINTY = ("printed in the paper", "public record", "to be checked")
REFERENCE = Path(__file__).parents[2] / "data" / "reference"
#: What lists of others call the columns of a list.
WORDS = (
    ("city_code", {"city_code", "code", "citycode", "adcode", "城市代码", "行政区划代码", "代码"}),
    ("name_zh", {"name_zh", "city", "cityname", "city_name", "name", "城市", "城市名称", "地级市", "地区", "试点城市"}),
    ("province_zh", {"province_zh", "province", "省份", "省", "所属省份"}),
    (
        "adoption",
        {
            "year",
            "pilot_year",
            "adoption_year",
            "first_year",
            "start_year",
            "年份",
            "试点年份",
            "获批年份",
            "批准年份",
            "时间",
        },
    ),
    ("batch", {"batch", "批次"}),
)
EARLIEST, LATEST = 1949, 2100
#: A year, a month or a date: 2013, 2013-07, 2013/7/15, 2013年7月15日, 2013-07-15 00:00:00.
WHEN = re.compile(r"(?P<year>[0-9]{4})(?:[-/.年](?P<month>[0-9]{1,2})(?:[-/.月](?:[0-9]{1,2}日?)?)?(?: 00:00:00)?)?")


def scopes(path: Path, cities: Mapping[str, str]) -> frozenset[str]:
    """The words in the ``scope`` column of a list, after the whole list has been checked.

    Parameters
    ----------
    path
        A CSV or workbook, one row a city and scope.
    cities
        Code -> Chinese name of every city of data/reference/cities.csv.

    Raises
    ------
    ValueError
        Naming file, line and column: a missing column, a code that no city has, a year that is none, a certainty that
        is no known word, a city that stands twice in one scope.
    """
    told = [
        f"{place(path)}, line {line}{f', column {column!r}' if line > 1 else ''}: {message}"
        for line, column, message in faults(path, cities)
    ]
    if told:
        raise ValueError("\n".join(told))
    return frozenset(row["scope"] or "" for row in rows(path))


def faults(path: Path, cities: Mapping[str, str]) -> list[tuple[int, str, str]]:
    """Line, column and sentence of everything that is wrong in a list; see `scopes`, which raises them all."""
    columns, entries = numbered(path)
    absent = [column for column in REQUIRED if column not in columns]
    found: list[tuple[int, str, str]] = []
    for column in absent:
        close = nearest(column, columns)
        hint = f"; the nearest there is {close!r}" if close else ""
        found.append((1, column, f"the column {column!r} is missing{hint}."))
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for line, row in entries if not absent else ():
        fault = _fault(row, cities)
        key = (row["city_code"], row["scope"] or "")
        earlier, ended = seen.get(key, (0, ""))
        # a city may come again in a scope once it has left it
        if not fault and earlier and not "" < ended < (row["adoption"] or ""):
            fault = "city_code", f"{key[0]} stands in line {earlier} already with the scope {key[1]!r}."
        if fault:
            found.append((line, *fault))
        if key not in seen or not fault:
            seen[key] = (line, row.get("until") or "")
    return found


def place(path: Path) -> str:
    """A list as a message names it: the project's own by their place in it, others by where they are."""
    return f"data/policies/{path.name}" if path.parent.parts[-2:] == ("data", "policies") else str(path)


def numbered(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a list, and its rows with the line of the file on which each stands; every cell is text.

    A list of names and years alone, as ministries print them, is brought into the project's columns: see `_by_names`.

    Raises
    ------
    ValueError
        A file that is no UTF-8 text or no workbook.
    """
    if path.suffix == ".csv":
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{place(path)} is not UTF-8 text (byte {error.start}); save it as 'CSV UTF-8'.") from None
        return _by_names(path, *_from_csv(text, path))
    from analysis.studies.table_file import read_table

    table = read_table(path)
    cells = table.frame.astype(object).where(table.frame.notna(), "")
    rows = [
        (at + table.first, {str(column): _as_text(value) for column, value in row.items()})
        for at, row in enumerate(cells.to_dict("records"))
    ]
    return _by_names(path, [str(column) for column in table.frame.columns], rows)


def _by_names(
    path: Path, columns: list[str], entries: list[tuple[int, dict[str, str]]]
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """A list that has none of the project's own columns but a city's name or code and a year: its columns under the
    project's names, cities by code, the file as source, still to be checked. A city that comes again has a further
    event, with a scope of its own. Any other list is as it was."""
    said = {name: next((column for column in columns if column.strip().lower() in words), "") for name, words in WORDS}
    if {*REQUIRED} & {*columns} - {"city_code"} or not said["adoption"] or not (said["name_zh"] or said["city_code"]):
        return columns, entries
    kept = [column for column in columns if column not in said.values()]
    events: dict[str, int] = {}
    found = []
    for line, row in sorted(entries, key=lambda entry: entry[1][said["adoption"]]):
        told = {name: row[column].strip() if column else "" for name, column in said.items()}
        code = told["city_code"] or code_of(told["name_zh"], told["province_zh"])
        events[code] = events.get(code, 0) + 1
        own = {
            "city_code": code,
            "adoption": re.sub(r"年$", "", told["adoption"]),
            "scope": "whole city" if events[code] == 1 or not code else f"event {events[code]}",
            "source": f"{path.name}, as listed",
            "certainty": "to be checked",
        }
        found.append((line, {**told, **own, **{column: row[column] for column in kept}}))
    return [*REQUIRED, "name_zh", "province_zh", "batch", *kept], sorted(found, key=lambda entry: entry[0])


@lru_cache(maxsize=10_000)
def code_of(name: str, province: str = "") -> str:
    """The code of a city of the roster by its name in Chinese or English, with or without 市, today's or a former one;
    "" where none has it, where several do, or where a province without its word (吉林) may be meant."""
    spelling = re.sub(r"\s+", "", name).lower().removesuffix("市")
    lies_in = re.sub(r"(省|市|维吾尔自治区|壮族自治区|回族自治区|自治区)$", "", province.strip()).lower()
    codes = {code for code, near in _names().get(spelling, ()) if not lies_in or lies_in in near}
    bare = any(spelling in near for those in _names().values() for _, near in those)
    whole = "市" in name or lies_in or spelling in ("北京", "天津", "上海", "重庆")
    return codes.pop() if len(codes) == 1 and (whole or not bare) else ""


@lru_cache(maxsize=1)
def _names() -> dict[str, set[tuple[str, tuple[str, str]]]]:
    """Spelling without 市 -> codes of the roster with their province in Chinese and English."""
    provinces: dict[str, tuple[str, str]] = {}
    with (REFERENCE / "cities.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            short = re.sub(r"(省|市|维吾尔自治区|壮族自治区|回族自治区|自治区)$", "", row["province_zh"])
            provinces[row["city_code"]] = short, row["province_en"].lower().removesuffix(" province")
    found: dict[str, set[tuple[str, tuple[str, str]]]] = {}
    with (REFERENCE / "city_names.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["city_code"] in provinces and "code" not in row["kind"]:
                spelling = re.sub(r"\s+", "", row["name_or_code"]).lower().removesuffix("市")
                found.setdefault(spelling, set()).add((row["city_code"], provinces[row["city_code"]]))
    return found


def _from_csv(text: str, path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a field may be as long as the list
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    columns: list[str] = []
    found = []
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            where = f"{place(path)}, line {line}"
            swallowed = max((cell.count(",") for cell in cells if "\n" in cell or "\r" in cell), default=0)
            if swallowed >= max(len(columns or cells) - 1, 1):
                raise ValueError(f'{where}: a quote (") opens here and closes only in line {begins - 1}; take it out.')
            if not columns:
                columns = [cell.strip() for cell in cells]
                named = [column for column in columns if column]
                if twice := next((column for column in named if named.count(column) > 1), None):
                    raise ValueError(f"{where}: the column {twice!r} stands twice; take one of the two out.")
                continue
            if any(cells[len(columns) :]):
                raise ValueError(f"{where}: the row has more cells than the list has columns.")
            if any(cells):
                cells += [""] * (len(columns) - len(cells))
                found.append((line, {column: cell for column, cell in zip(columns, cells, strict=False) if column}))
    except csv.Error as error:
        raise ValueError(f'{place(path)}, line {begins}: a quote (") does not pair ({error}).') from None
    return [column for column in columns if column], found


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a list that `scopes` has checked, with the year of approval, and its ``month`` or an empty text."""
    found = []
    for _, row in numbered(path)[1]:
        read = WHEN.fullmatch(row.get("adoption", ""))
        when = {"adoption": read["year"], "month": read["month"] or ""} if read else {"month": ""}
        found.append({**row, **when, "until": row.get("until") or ""})
    return found


def numbers(path: Path) -> frozenset[str]:
    """Columns of a list that `scopes` has checked in which every row has a number: intensities."""
    columns, entries = numbered(path)
    number = re.compile(r"-?[0-9]+(\.[0-9]+)?")
    own = (column for column in columns if column not in NOT_INTENSITIES)
    return frozenset(column for column in own if all(number.fullmatch(row[column] or "") for _, row in entries))


def to_check(path: Path) -> dict[str, tuple[int, int]]:
    """Scope -> how many entries of a list that `scopes` has checked are still to be checked against the public record,
    and how many entries there are."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows(path):
        unchecked, entries = found.get(row["scope"], (0, 0))
        found[row["scope"]] = (unchecked + (row["certainty"] == "to be checked"), entries + 1)
    return found


def doubts(path: Path) -> dict[str, dict[str, tuple[int | None, bool]]]:
    """Scope -> city -> the other year that a list that `scopes` has checked gives its entry, and whether that entry is
    still to be checked."""
    found: dict[str, dict[str, tuple[int | None, bool]]] = {}
    for row in rows(path):
        other = WHEN.fullmatch(row.get("adoption_alternative") or "")
        entry = (int(other["year"]) if other else None, row["certainty"] == "to be checked")
        found.setdefault(row["scope"], {}).setdefault(row["city_code"], entry)
    return found


def _fault(row: Mapping[str, str | None], cities: Mapping[str, str]) -> tuple[str, str] | None:
    """The column and the sentence of what is wrong with a row, or None."""
    code, adoption, certainty = (row[column] or "" for column in ("city_code", "adoption", "certainty"))
    name = row.get("name_zh") or ""
    if not code and name:
        return "city_code", f"{name!r} is no one city of data/reference/city_names.csv; write its code or its province."
    if code not in cities:
        same = next((known for known, called in cities.items() if name and called == name), None)
        hint = same or nearest(code, cities)
        about = f"; the code of {name} is {hint}." if same else f"; the nearest is {hint}." if hint else "."
        return "city_code", f"{code!r} is no city of data/reference/cities.csv{about}"
    if not (read := WHEN.fullmatch(adoption)) or not EARLIEST <= int(read["year"]) <= LATEST:
        return "adoption", f"{adoption!r} is not a year, as in 2013, or a month or date, as in 2013-07."
    until = row.get("until") or ""
    if until and not (re.fullmatch(r"\d{4}", until) and int(read["year"]) <= int(until) <= LATEST):
        return "until", f"{until!r} is no year from {read['year']} on, the last in which the policy was in force."
    if read["month"] and not 1 <= int(read["month"]) <= 12:
        return "adoption", f"{adoption!r} has no month from 1 to 12."
    if certainty not in CERTAINTY:
        return "certainty", f"{certainty!r} is not one of {', '.join(map(repr, CERTAINTY))}."
    if not row["source"]:
        return "source", "say who announced it and where, so that the row can be traced."
    return None

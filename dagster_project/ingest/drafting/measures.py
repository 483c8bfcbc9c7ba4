"""What a column of values measures: its indicator, its unit, its range; a new indicator where no list has it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from dagster_project.ingest.contracts import UNIT_IN_HEADER, split_unit
from dagster_project.ingest.drafting.columns import Column, number_in, template
from dagster_project.ingest.drafting.finding import Found
from dagster_project.ingest.drafting.words import NUMBERING, URBAN, VALUE_HEADERS, WHOLE_CITY, YEAR, Catalogue, plain
from dagster_project.ingest.layout import Grid, clean


@dataclass
class Draft:
    """What becomes of a file: tables of its contract, indicators that no list has, and what the file leaves open."""

    tables: list[dict[str, Any]] = field(default_factory=list)
    indicators: dict[str, dict[str, str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Rows of lists of pilots: sheet, row from 1, code, city, province, year and batch as written.
    pilots: list[dict[str, Any]] = field(default_factory=list)
    #: Rows of attributes that have no year: sheet, row from 1, code, city and province as written, then the attributes
    #: by the names of their columns.
    attributes: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Said:
    """What is needed to say what a column measures."""

    source: str
    place: str
    table: Found
    known: Catalogue
    made: Draft
    units: frozenset[str]
    noted: str
    titled: bool
    #: What the columns are, by their headers, where a file says so beside them.
    labels: Mapping[str, str] = field(default_factory=dict)


def value_columns(values: Sequence[Column], across: bool, said: Said) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    seen: dict[str, list[Column]] = defaultdict(list)
    for column in values:
        seen[template(column.header) if across else column.header].append(column)
    for header, alike in seen.items():
        if len(alike) > 1 and not across:
            said.made.doubts.append(
                f"{said.place}: {len(alike)} columns are headed {header} and nothing tells them apart; they are set "
                "aside until `position` says which is which."
            )
        bare = header.replace("{year}", "").strip("/_- ") if across else header
        title = subject_of(said)
        subject = (
            bare
            if re.search(r"[^\W\d_]", bare) and plain(bare) not in VALUE_HEADERS | {plain(w) for w in WHOLE_CITY}
            else title
        )
        label = clean(said.labels.get(header, ""))
        entries.append({"header": header, **measure(header, label or subject or bare or said.source, alike, said)})
    return entries


def subject_of(said: Said) -> str:
    """What a table without words for its columns is about: its title, else its sheet's name."""
    lines = said.table.title.split() if said.table.title else []
    for text in (said.table.title, *lines, said.table.sheet):
        bare = NUMBERING.sub("", re.sub(r"(?<!\d)(?:19|20)\d\d(?!\d)年?", "", text)).strip()
        bare = re.sub(r"[（(][^（()）]*[)）]|单位[:：].*$", "", bare).strip()
        if re.search(r"[^\W\d_]", bare) and not re.fullmatch(r"(?i)sheet\s?\d*|表\d*|table\s?\d*|data", bare):
            return bare
    return ""


def by_rows(
    entry: dict[str, Any],
    named: Column,
    unit_column: Column | None,
    values: Sequence[Column],
    value: str,
    said: Said,
) -> None:
    """Indicators named in rows: the columns of numbers, by the header that they bear, and what each name means."""
    entry["value"] = {"header": value}
    entry["columns"] = []
    for text in dict.fromkeys(cell for cell in named.cells if cell):
        at = [number for number, cell in enumerate(named.cells) if cell == text]
        cells = [column.cells[number] for column in values for number in at]
        part = Column.of(values[0].index, clean(text), cells, said.known, said.units)
        if not part.filled:
            continue
        units = [unit_column.cells[number] for number in at] if unit_column else []
        measured = measure(clean(text), clean(text), [part], said, unit_column.header if unit_column else "", units)
        entry["columns"].append({"header": text, **measured})


def measure(
    header: str,
    subject: str,
    alike: Sequence[Column],
    said: Said,
    unit_header: str = "",
    row_units: Sequence[str] = (),
) -> dict[str, Any]:
    """Indicator, unit and range of a column; new indicators go into the draft."""
    known = said.known
    bare, printed = split_unit(clean(said.labels.get(header, "")) or header, said.units)
    subject, _ = split_unit(clean(subject), said.units)
    subject = UNIT_IN_HEADER.sub(lambda found: "" if found["unit"] == printed else found.group(), subject).strip("/")
    unit, stated = _unit(header, printed, alike, said, unit_header, row_units)
    parts = [part for part in subject.split("/") if part not in WHOLE_CITY]
    urban = any(part in URBAN for part in parts)
    name = "".join(part for part in parts if part not in URBAN) or subject
    # the English beside the Chinese says the same
    chinese = re.sub(r"(?<=[\u3400-\u9fff]{3})\s*[A-Za-z][A-Za-z\s,.'-]{2,}(?:\([^()]*\))?$", "", name)
    indicator = known.indicator(name) or known.indicator(chinese) or known.indicator(parts[0] if parts else name)
    factor = known.units.get(unit, {}).get(known.canonical.get(indicator, ""))
    place = f"{said.place}, column {header}"
    if indicator and not urban and factor is not None:
        return {"indicator": indicator, "unit": stated, "range": _range(alike, factor, said)}
    canonical = next(iter(known.units.get(unit, {})), "as written")
    base = indicator or name_of(name)
    base = "value" if base == said.source else base
    new = f"{base}_urban_district" if urban else base
    if new in known.taken or canonical == "as written":
        new = f"{new}_{said.source}"
    while new in known.taken or said.made.indicators.get(new, {"unit": canonical})["unit"] != canonical:
        new += "_2"
    if canonical == "as written":
        like = f"; it may be {indicator}" if indicator else ""
        said.made.doubts.append(
            f"{place}: in which unit? Nothing says it{like}. Its numbers are kept as written, as indicator {new}, "
            "until `indicator` and `unit` are stated."
        )
        factor = 1.0
        stated = stated if unit else "as written"
    else:
        factor = known.units[unit][canonical]
        if not indicator or urban:
            said.made.notes.append(f"{place}: no list has this indicator; it is new, as {new} in {canonical}.")
        else:
            said.made.doubts.append(
                f"{place}: looks like {indicator}, but {unit} does not measure that; kept as {new}."
            )
    said.made.indicators[new] = {
        "indicator": new, "unit": canonical, "merge": "none", "jump": "", "whole": "",
        "label_en": new.replace("_", " "), "label_zh": name if re.search(r"[\u3400-\u9fff]", name) else "",
        "synonyms": bare.replace("{year}", "").strip("/_"),
    }  # fmt: skip
    return {"indicator": new, "unit": stated, "range": _range(alike, factor, said)}


def _unit(
    header: str, printed: str, alike: Sequence[Column], said: Said, unit_header: str, row_units: Sequence[str]
) -> tuple[str, Any]:
    """The unit's text, "" where nothing says it, and how a contract states it."""
    if unit_header:
        texts = {text for text in row_units if text}
        known = {text for text in texts if text in said.units}
        return (known.pop() if len(known) == 1 else next(iter(known), "")), {"header": unit_header}
    if printed in said.units:
        return printed, printed if header in said.labels else {"from": "header"}
    tail = re.search(r"(?i)(?:^|_)(pct|percent|yuan_per_sqm|10k_yuan|100m_yuan)$", header)
    if tail:
        unit = {"pct": "%", "percent": "%", "yuan_per_sqm": "元/平方米", "10k_yuan": "万元", "100m_yuan": "亿元"}[
            tail[1].lower()
        ]
        return unit, unit
    filled = sum(column.filled for column in alike)
    if filled and sum(column.percents for column in alike) == filled:
        return "%", "%"
    title = unicodedata.normalize("NFKC", said.table.title)
    told = re.search(r"单位\s*:\s*([^\s,;)]+)", title) or re.search(r"\(([^()]+)\)\s*$", title)
    if not printed and told and told[1] in said.units:
        return told[1], told[1]
    if not printed and said.noted:
        said.made.doubts.append(
            f"{said.place}, column {header}: the unit, {said.noted}, stands on another sheet; is it this column's?"
        )
        return said.noted, said.noted
    return "", ""


def noted_unit(grids: Sequence[Grid], known: Catalogue) -> str:
    """The one unit that a sheet of notes states for the file."""
    found: set[str] = set()
    for grid in grids:
        for row in grid[:60]:
            for cell, beside in pairwise(row):
                if re.fullmatch(r"(?i)(unit|单位|unit/单位|单位/unit|计量单位)s?[:：]?", cell.strip()):
                    texts = re.split(r"[\n/,;，；]|\s{2,}", beside)
                    found |= {text.strip() for text in texts if text.strip() in known.units}
    meant = {tuple(sorted(known.units[text].items())) for text in found}
    # the same unit in two languages is one
    return max(found, key=lambda text: (not text.isascii(), text)) if len(meant) == 1 else ""


def _range(alike: Sequence[Column], factor: float, said: Said) -> list[float]:
    """Up to ten times what the file holds, in the canonical unit: far enough for growth, near enough for a slip."""
    numbers = [
        abs(number) * factor
        for column in alike
        for cell in set(column.cells)
        if cell and (number := number_in(cell, said.units)) is not None
    ]
    negative = any(
        cell.strip().startswith(("-", "−")) and number_in(cell, said.units) for column in alike for cell in column.cells
    )
    high = float(f"{max(numbers, default=1.0) * 10 or 1.0:.0e}")
    return [-high if negative else 0, high]


def name_of(text: str) -> str:
    """A name for a new indicator: small letters, digits and single underscores, Chinese as it is."""
    name = re.sub(r"[^0-9a-z\u3400-\u9fff]+", "_", unicodedata.normalize("NFKC", text).lower()).strip("_")
    return name if name.isidentifier() else f"value_{name}".rstrip("_")


def year_from_names(table: Found, file: str, keys: dict[str, Any], made: Draft, place: str) -> None:
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


def escaped(sheet: str) -> str:
    return re.sub(r"([\[\]*?])", lambda found: f"[{found[1]}]", sheet) or "*"

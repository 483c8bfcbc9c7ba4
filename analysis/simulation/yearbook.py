"""City statistical yearbooks of the sample world: one workbook a year, laid out and worn as real ones are.

Layout and wear only (marks, text that should be numbers); headers and units stand in yearbook_columns.csv, names of the
time in former_names.csv. The numbers come from world.py, the planted errors from faults.py.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from analysis.simulation.draws import AI_YEARS, STUDY_YEARS, stream
from analysis.simulation.world import World

Value = float | int | str | None

SAMPLE_MARK = "【样本数据 SAMPLE DATA】"
#: Row of the sheet where the first city stands, 1-based: a title and a header of two rows come before.
FIRST_ROW = 4
FULL_WIDTH = str.maketrans("0123456789.-", "０１２３４５６７８９．－")
MISSING_MARKS = (None, "-", "…")
#: Chance of a gap in a column that states none.
MISSING = 0.004


@dataclass(frozen=True)
class Since:
    """A header text or a unit, and the first year it is used."""

    year: int
    text: str


@dataclass(frozen=True)
class Scale:
    """How a printed unit shows a canonical value: canonical units in one printed unit, and decimals."""

    factor: float
    decimals: int


#: By printed and canonical unit.
SCALES = {
    ("万元", "10k_yuan"): Scale(1, 0),
    ("亿元", "10k_yuan"): Scale(1e4, 4),
    ("万美元", "10k_usd"): Scale(1, 0),
    ("万人", "10k_persons"): Scale(1, 2),
    ("万人", "persons"): Scale(1e4, 2),
    ("人", "persons"): Scale(1, 0),
    ("平方公里", "km2"): Scale(1, 0),
    ("个", "count"): Scale(1, 0),
    ("部", "count"): Scale(1, 0),
    ("户", "count"): Scale(1, 0),
    ("万户", "count"): Scale(1e4, 2),
    ("%", "percent"): Scale(1, 2),
    ("元", "yuan"): Scale(1, 0),
    ("平方米", "m2"): Scale(1, 2),
    ("吨", "tonne"): Scale(1, 0),
    ("万吨", "tonne"): Scale(1e4, 2),
    ("万吨标准煤", "tonne_coal_equivalent"): Scale(1e4, 2),
    ("万千瓦时", "10k_kwh"): Scale(1, 0),
    ("亿千瓦时", "10k_kwh"): Scale(1e4, 4),
}
BOTH = ("全市", "市辖区")
DISTRICTS = ("市辖区",)


@dataclass(frozen=True)
class Column:
    """One indicator of a sheet: its header and unit by year, its canonical unit, and what stands below the header.

    ``parts`` is empty, BOTH (the whole city and its urban districts side by side) or DISTRICTS (printed for those
    only); ``district`` names an indicator that the second of BOTH holds. ``average`` marks what does not add up: rates,
    prices and figures per person. ``since`` is the first year with the column, ``decimals`` overrides the unit's;
    ``missing`` is the chance of a gap, where 0 means that no city of the usual sample has one.
    """

    indicator: str
    canonical: str
    headers: tuple[Since, ...]
    units: tuple[Since, ...]
    parts: tuple[str, ...] = ()
    district: str = ""
    average: bool = False
    since: int = 0
    decimals: int | None = None
    missing: float = MISSING

    def header(self, year: int) -> str:
        """Header without unit."""
        return _at(self.headers, year)

    def unit(self, year: int) -> str:
        """Unit printed in the header's parentheses."""
        return _at(self.units, year)

    def scale(self, year: int) -> Scale:
        """How that unit shows the indicator."""
        scale = SCALES[self.unit(year), self.canonical]
        return scale if self.decimals is None else replace(scale, decimals=self.decimals)

    @property
    def names(self) -> tuple[str, ...]:
        """Indicators by the column they stand in, without the others' names."""
        return (self.indicator, self.district) if self.district else (self.indicator,)


@dataclass(frozen=True)
class SheetPlan:
    """A sheet as designed: its name and title by year and its columns."""

    names: tuple[Since, ...]
    title: str
    columns: tuple[Column, ...]

    def name(self, year: int) -> str:
        """Name of the sheet in a year's workbook."""
        return _at(self.names, year)


def _at(choices: Sequence[Since], year: int) -> str:
    return [choice.text for choice in choices if choice.year <= year][-1]


def _read(file: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _texts(cell: str) -> tuple[Since, ...]:
    """A text of the table by year: "A; 2011: B" is A, and B from 2011 on."""
    first, *later = cell.split("; ")
    changes = (change.split(": ", 1) for change in later)
    return (Since(0, first), *(Since(int(year), text) for year, text in changes))


def _column(row: Mapping[str, str]) -> Column:
    return Column(
        row["indicator"],
        row["canonical_unit"],
        _texts(row["header"]),
        _texts(row["unit"]),
        tuple(row["parts"].split(" + ")) if row["parts"] else (),
        row["district_indicator"],
        average=row["average"] == "yes",
        since=int(row["since"] or 0),
        decimals=int(row["decimals"]) if row["decimals"] else None,
        missing=float(row["missing"] or MISSING),
    )


def _sheets() -> tuple[SheetPlan, ...]:
    """The sheets of yearbook_columns.csv, a row a column, in its order."""
    found = []
    for title, rows in groupby(_read("yearbook_columns.csv"), key=itemgetter("title")):
        own = list(rows)
        found.append(SheetPlan(_texts(own[0]["sheet"]), title, tuple(_column(row) for row in own)))
    return tuple(found)


SHEETS = _sheets()
#: Names of the time: code -> (last year, name), earliest first. Official names at the end of each year.
FORMER_NAMES: dict[str, tuple[tuple[int, str], ...]] = {
    code: tuple((int(row["last_year"]), row["name"]) for row in rows)
    for code, rows in groupby(_read("former_names.csv"), key=itemgetter("city_code"))
}
#: Cities that no yearbook lists before they were founded as such.
FOUNDED = {"451300": 2002, "451400": 2002, "460300": 2012, "460400": 2015, "640500": 2004}


def name_of(code: str, today: str, year: int) -> str:
    """What a city of today was called in a year."""
    return next((name for last, name in FORMER_NAMES.get(code, ()) if year <= last), today)


@dataclass(frozen=True)
class Apart:
    """A unit that had its own row for some years: the city its figures are modelled on, and their share of it.

    ``inside`` says that today's figures of that city hold them, so that the two rows add up to the city of today.
    Chaohu was split among three cities, so it is in nobody's figures here.
    """

    code: str
    name: str
    province: str
    last: int
    model: str
    share: float
    inside: bool


APART = (
    Apart("371200", "莱芜市", "山东省", 2018, "370100", 0.10, inside=True),
    Apart("341400", "巢湖市", "安徽省", 2010, "340800", 0.80, inside=False),
)
FOOTNOTES = {"110000": "①", "440300": "②", "500000": "③"}
NOTES = (
    f"注：{SAMPLE_MARK}本表全部数字由程序模拟生成，不是统计数据。",
    "①北京市市辖区数据为全部市辖区合计。",
    "②深圳市数据不含深汕特别合作区。",
    "③重庆市全市数据包括所辖区县。",
    "资料来源：模拟世界。“…”表示数据不足本表最小单位数，“-”表示无数据，空格表示未统计。",
)


@dataclass
class Page:
    """One sheet about to be written: its cells, and where each city and indicator stands.

    ``body[r]`` is row FIRST_ROW + r of the sheet; ``position`` gives an indicator's 0-based column;
    ``row_of`` a city's index into ``body``.
    """

    name: str
    title: str
    year: int
    columns: tuple[Column, ...]
    headers: list[tuple[str, list[str]]]
    body: list[list[Value]] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    position: dict[str, int] = field(default_factory=dict)

    def full_header(self, indicator: str) -> str:
        """The joined header of an indicator's column, units stripped: 地区生产总值/全市."""
        column = next(column for column in self.columns if indicator in column.names)
        part = column.parts[column.names.index(indicator)] if column.parts else ""
        return column.header(self.year) + (f"/{part}" if part else "")


def printed(value: float, scale: Scale) -> float | int:
    """A canonical value in a printed unit, rounded as the yearbook prints it."""
    scaled = round(float(value) / scale.factor, scale.decimals)
    return int(scaled) if scale.decimals == 0 else scaled


@dataclass(frozen=True)
class _Row:
    """A city as a year's yearbook knows it: which city's figures, what share of them, how many cells are missing."""

    code: str
    name: str
    province: str
    city: int
    share: float
    missing: float
    complete: bool


def _rows(world: World, year: int) -> list[_Row]:
    """The cities of a year under their names of the time, in order of code."""
    place = world.cities
    index = dict(zip(place.city_code, range(len(place)), strict=True))
    rows = []
    apart = [unit for unit in APART if year <= unit.last and unit.model in index]
    for city, (code, name, province, panel_286, sample) in enumerate(
        zip(place.city_code, place.name_zh, place.province_zh, place.panel_286, place["sample"], strict=True)
    ):
        if year < FOUNDED.get(code, 0):
            continue
        share = 1 - sum(unit.share for unit in apart if unit.inside and unit.model == code)
        missing = 0.0 if sample else 0.06 if int(panel_286) else 0.5
        # Gaps at the ends of a study cannot be filled and cost rows: pilot cities, being large, report there, and at
        # the ends of the AI study, whose panel has no gaps, every city of the usual yearbook sample does.
        pilot = not np.isnan([world.adoption[city], world.ai_adoption[city]]).all()
        complete = (year in STUDY_YEARS and pilot) or (year in AI_YEARS and bool(int(panel_286)))
        rows.append(_Row(code, name_of(code, name, year), province, city, share, missing, complete))
    rows += [_Row(unit.code, unit.name, unit.province, index[unit.model], unit.share, 0.0, False) for unit in apart]
    return sorted(rows, key=lambda row: row.code)


def build(world: World, year: int) -> list[Page]:
    """Every sheet of a year's workbook, before faults."""
    rows = _rows(world, year)
    return [_page(world, year, plan, rows) for plan in SHEETS]


def _page(world: World, year: int, plan: SheetPlan, rows: list[_Row]) -> Page:
    rng = stream(world.seed, f"yearbook {year} {plan.title}")
    columns = tuple(column for column in plan.columns if column.since <= year)
    page = Page(plan.name(year), plan.title, year, columns, [])
    cells: list[list[Value]] = [[] for _ in rows]
    totals: list[_Total] = []
    for column in columns:
        scale = column.scale(year)
        for offset, indicator in enumerate(column.names):
            page.position[indicator] = 1 + len(totals) + offset
        page.headers.append((f"{column.header(year)}{_unit_text(column.unit(year), year)}", list(column.parts)))
        whole = _values(world, column, column.indicator, year, rows)
        for values in [whole, _in_districts(world, column, year, rows, whole)][: max(1, len(column.parts))]:
            totals.append(_Total(values, scale, column.average))
            for line, cell in zip(cells, _worn(values, scale, column.missing, rows, rng), strict=True):
                line.append(cell)
    _fill(page, rows, cells, totals, rng)
    return page


@dataclass(frozen=True)
class _Total:
    """What stands in a printed column, for the lines of totals; averages are not added."""

    values: np.ndarray
    scale: Scale
    average: bool

    def over(self, keep: np.ndarray) -> Value:
        """The total or mean of some rows as printed."""
        part = self.values[keep]
        return printed(part.mean() if self.average else part.sum(), self.scale)


def _values(world: World, column: Column, indicator: str, year: int, rows: list[_Row]) -> np.ndarray:
    """Canonical values (rows,). A unit's share varies between indicators; shares of one city still add up to it."""
    at = int(np.flatnonzero(world.years == year)[0])
    city = np.array([row.city for row in rows])
    if column.average:
        return world.indicators[indicator][city, at]
    share = np.array([row.share for row in rows])
    tilt = 1 + 0.3 * (stream(world.seed, f"apart {indicator}").random() - 0.5)
    code = np.array([row.code for row in rows])
    models = [unit.model for unit in APART if unit.inside and year <= unit.last]
    apart = np.isin(code, [unit.code for unit in APART])
    inside = np.isin(code, models)
    share = np.where(apart, share * tilt, np.where(inside, 1 - (1 - share) * tilt, share))
    return world.indicators[indicator][city, at] * share


def _in_districts(world: World, column: Column, year: int, rows: list[_Row], whole: np.ndarray) -> np.ndarray:
    """The urban districts' part of an indicator (rows,); their own average is a little above the city's."""
    if column.district:
        return _values(world, column, column.district, year, rows)
    return whole * (1.03 if column.average else np.array([world.urban_share[row.city] for row in rows]))


def _unit_text(unit: str, year: int) -> str:
    """The unit in the brackets of the time; some years break the line before it."""
    if year <= 2010:
        return f"（{unit}）"
    return f"\n({unit})" if 2013 <= year <= 2016 else f"({unit})"


def _worn(values: np.ndarray, scale: Scale, missing: float, rows: list[_Row], rng: np.random.Generator) -> list[Value]:
    """Values as cells: some missing by one of the usual marks, some numbers as text, some in full-width digits."""
    chance, kind, mark = rng.random(len(rows)), rng.random(len(rows)), rng.integers(0, 3, len(rows))
    cells: list[Value] = []
    for i, row in enumerate(rows):
        value = printed(values[i], scale)
        if chance[i] < (max(missing, row.missing) if missing or row.missing > 0.1 else 0) and not row.complete:
            cells.append(MISSING_MARKS[mark[i]])
        elif kind[i] < 0.015:
            cells.append(f"{value:,.{scale.decimals}f}")
        elif kind[i] < 0.018:
            cells.append(f"{value:.{scale.decimals}f}".translate(FULL_WIDTH))
        else:
            cells.append(value)
    return cells


def _fill(
    page: Page,
    rows: list[_Row],
    cells: list[list[Value]],
    totals: list[_Total],
    rng: np.random.Generator,
) -> None:
    """Lay the rows out: the national total, each province's subtotal before its cities, a page break half way."""

    def line(label: str, keep: np.ndarray) -> list[Value]:
        return [label, *(total.over(keep) for total in totals)]

    province = np.array([row.province for row in rows])
    page.body.append(line("地级及以上城市合计", np.ones(len(rows), dtype=bool)))
    broken = False
    spaces = rng.random(len(rows))
    for i, row in enumerate(rows):
        if i and province[i] != province[i - 1]:
            page.body.append([])
            if not broken and i > len(rows) / 2:
                page.body += [["续表"], ["城市", *(text for text, _ in page.headers)]]
                broken = True
        if (i == 0 or province[i] != province[i - 1]) and re.search("省$|自治区$", row.province):
            page.body.append(line(row.province, province == row.province))
        name = f"{row.name}{FOOTNOTES.get(row.code, '')}"
        page.row_of[row.code] = len(page.body)
        page.body.append([f"　{name}" if spaces[i] < 0.6 else f"{name} " if spaces[i] < 0.65 else name, *cells[i]])


def write(pages: Sequence[Page], path: Path) -> None:
    """One workbook with a page of explanation before the sheets; its bytes depend on nothing but the pages."""
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"strings_to_numbers": False, "strings_to_formulas": False})
    year = pages[0].year
    book.set_properties(
        {"title": f"{year}年地级市统计年鉴（样本数据 SAMPLE DATA）", "author": "pilotcity sample world",
         "comments": "Simulated. Not statistics of any real city.", "created": datetime(2024, 1, 1)}
    )  # fmt: skip
    head = book.add_format({"bold": True, "align": "center", "valign": "vcenter", "border": 1, "text_wrap": True})
    title = book.add_format({"bold": True, "font_size": 14, "align": "center"})
    cover = book.add_worksheet("说明")
    for line, text in enumerate([f"{year}年地级市统计年鉴 {SAMPLE_MARK}", *NOTES]):
        cover.write_string(line, 0, text)
    for page in pages:
        _write_page(book.add_worksheet(page.name), page, head, title)
    book.close()


def _write_page(sheet, page: Page, head: object, title: object) -> None:  # type: ignore[no-untyped-def]
    width = 1 + sum(max(1, len(parts)) for _, parts in page.headers)
    sheet.merge_range(0, 0, 0, width - 1, f"{page.title}（{page.year}年）{SAMPLE_MARK}", title)
    sheet.merge_range(1, 0, 2, 0, "城市", head)
    sheet.set_column(0, 0, 16)
    at = 1
    for text, parts in page.headers:
        if parts:
            if len(parts) > 1:
                sheet.merge_range(1, at, 1, at + len(parts) - 1, text, head)
            else:
                sheet.write_string(1, at, text, head)
            for offset, part in enumerate(parts):
                sheet.write_string(2, at + offset, part, head)
        else:
            sheet.merge_range(1, at, 2, at, text, head)
        at += max(1, len(parts))
    for line, cells in enumerate(page.body, start=FIRST_ROW - 1):
        for place, cell in enumerate(cells):
            if isinstance(cell, str):
                sheet.write_string(line, place, cell)
            elif cell is not None:
                sheet.write_number(line, place, cell)
    for offset, text in enumerate(NOTES, start=FIRST_ROW + len(page.body)):
        sheet.write_string(offset, 0, text)

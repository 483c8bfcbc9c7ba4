"""A draft of a contract from a file that nobody has described: where its tables stand, what their rows and columns are.

What the file does not say is left open and said: a draft may lack a year or a unit, it never makes one up. Whether a
cell is believed is not decided here but in staging, as with every contract.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from analysis.catalogue import Catalogue as Indicators
from dagster_project.ingest import layout
from dagster_project.ingest.contracts import FOOTNOTE_MARKS, UNIT_IN_HEADER, split_unit
from dagster_project.ingest.files import Sheet
from dagster_project.ingest.layout import PLACE_HEADERS, Grid, clean

YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
#: A year in a header with what belongs to it: 年, or the part of the year, which staging must see.
YEAR_LABEL = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?!\d)(?:年度?)?"
    r"(?:\d{1,2}[-—–~至]\d{1,2}月|\d{1,2}月|[-./]\d{1,2}(?:[-./]\d{1,2}日?)?(?!\d)|第?[一二三四1-4]季度?|前[二三]季度|[上下]半年|[-_]?[QqHhMm]\d{1,2})?"
)
#: A cell that is a year or looks like one to its writer, parts of years among them: staging tells which it is.
YEAR_CELL = re.compile(r"(?:截至)?(?:19|20)\d\d(?:\.0+)?(?:$|\s*年|[-/.]\d|\s*[QqHhMm]\d|[-–—~至到](?:19|20)\d\d)")
NUMBER = re.compile(r"[-+−]?\s?(?:\d[\d, ]*)?\.?\d+(?:[eE][-+]?\d+)?")
PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
MISSING = re.compile(
    r"[-—–…·./\\－]+|‥+|#?n\.?/?a\.?|null|none|nan|缺失?|空缺|空白|无|无数据|暂无|暂无数据|暂缺|未公布|未统计|不详|#\w+[/!?]*",
    re.IGNORECASE,
)
YEAR_HEADERS = frozenset(
    {
        "year",
        "years",
        "yr",
        "年",
        "年份",
        "年度",
        "时间",
        "统计年份",
        "统计年度",
        "会计年度",
        "数据年份",
        "time",
        "date",
        "日期",
    }
)
PART_HEADERS = frozenset(
    {"month", "months", "月", "月份", "季度", "季", "quarter", "qtr", "period", "时期", "半年", "week", "周", "day"}
    | {
        "县",
        "区县",
        "县区",
        "县市",
        "县级市",
        "county",
        "district",
        "乡镇",
        "town",
        "行业",
        "industry",
        "sector",
        "性别",
        "sex",
    }
    | {"gender", "年龄", "age", "年龄组"}
)
INDICATOR_HEADERS = frozenset(
    {
        "指标",
        "指标名称",
        "指标名",
        "项目",
        "项目名称",
        "变量",
        "变量名",
        "indicator",
        "indicatorname",
        "variable",
        "item",
        "series",
    }
)
VALUE_HEADERS = frozenset({"数值", "值", "数据", "指标值", "value", "values", "val", "obs_value", "data"})
UNIT_HEADERS = frozenset({"单位", "计量单位", "unit", "units"})
CODE_HEADERS = re.compile(r"(?i)code|代码|编码|区划|adcode|(?:^|_)id$|^id|cityid")
IDENTIFIERS = re.compile(r"(?i)^(?:id|no\.|obs|序号|编号|行号|_merge|unnamed.*|[csp]id)$")
TREATMENTS = re.compile(
    r"(?i)^(?:did\d*|treat(?:ed|ment)?\d*|post\d*|policy\d*|event_?(?:year|time)?|pilot.*|adopt.*|first_?treat.*|gvar|cohort"
    r"|treat_?year|policy_?year|start_?year|试点.*|政策.*|批次|batch|获批.*|成立.*)$"
)
EVENT = re.compile(r"(?i)pilot|event|adopt|start|first|treat|试点|设立|成立|获批|政策")
MUNICIPALITIES = frozenset(
    {
        "北京",
        "天津",
        "上海",
        "重庆",
        "北京市",
        "天津市",
        "上海市",
        "重庆市",
        "beijing",
        "tianjin",
        "shanghai",
        "chongqing",
    }
)
COORDINATES = re.compile(r"(?i)^(?:longitude|latitude|lon|lat|lng|long|经度|纬度|x坐标|y坐标)$")
WHOLE_CITY = frozenset({"全市", "地区", "合计", "总计", "全部", "全市合计"})
URBAN = frozenset({"市辖区", "市区", "城区", "辖区"})
BASE_YEAR = re.compile(r"基期|不变价|可比价|价格|=100|＝100|base|prices", re.IGNORECASE)
NUMBERING = re.compile(r"^(?:[表附续]*\s*\d+(?:[-－—.]\d+)*|[一二三四五六七八九十]+、)\s*[-、.．]?\s*")


@dataclass(frozen=True)
class Catalogue:
    """What is known before a file is opened: spellings of places, indicators by their names, units."""

    cities: frozenset[str]
    provinces: frozenset[str]
    codes: frozenset[str]
    indicators: Mapping[str, str]
    canonical: Mapping[str, str]
    units: Mapping[str, Mapping[str, float]]
    taken: frozenset[str]

    @classmethod
    def of(
        cls,
        names: Iterable[Mapping[str, str]],
        places: Iterable[Mapping[str, str]],
        listed: Indicators,
        units: Iterable[Mapping[str, str]],
    ) -> Catalogue:
        """From the rows of the crosswalk, the units of geography, the indicators and the units of measurement."""
        provincial = {
            row["city_code"] for row in places if row["type"] in ("province", "special administrative region")
        }
        cities: set[str] = set()
        provinces: set[str] = set()
        codes: set[str] = set()
        for row in names:
            if "code" in row["kind"]:
                codes.add(row["name_or_code"])
            else:
                (provinces if row["city_code"] in provincial else cities).add(spelled(row["name_or_code"]))
        ending = re.compile("(省|维吾尔自治区|壮族自治区|回族自治区|自治区|特别行政区)$")
        provinces |= {ending.sub("", name) for name in provinces}
        indicators: dict[str, str] = {}
        canonical: dict[str, str] = {}
        for indicator in listed.indicators.values():
            canonical[indicator.name] = indicator.unit
            for name in (indicator.name, indicator.label_en, indicator.label_zh, *indicator.synonyms):
                indicators.setdefault(plain(name), indicator.name)
        factors: dict[str, dict[str, float]] = defaultdict(dict)
        for row in units:
            factors[row["unit"]][row["canonical"]] = float(row["factor"])
        spellings = (frozenset(cities), frozenset(provinces), frozenset(codes))
        return cls(*spellings, indicators, canonical, factors, listed.names)

    def place(self, text: str) -> str:
        """ "city", "province" or "" for a text that is neither's name; a name behind its province counts."""
        name = spelled(text)
        if not name or name.isdigit():
            return ""
        if name in self.cities:
            return "city"
        if name in self.provinces:
            return "province"
        behind = (name[:cut] in self.provinces and name[cut:] in self.cities for cut in range(2, len(name) - 1))
        return "city" if any(behind) else ""

    def code(self, text: str) -> bool:
        """Whether a text is a code of GB/T 2260, of four, six, nine or twelve digits."""
        digits = re.sub(r"\.0+$", "", unicodedata.normalize("NFKC", text).strip())
        if not re.fullmatch(r"\d{4}|\d{6}|\d{9}|\d{12}", digits):
            return False
        return (digits + "00" if len(digits) == 4 else digits[:6]) in self.codes


@lru_cache(maxsize=100_000)
def spelled(text: str) -> str:
    """A name as it is looked up: the Chinese of it alone, else its Latin letters."""
    text = FOOTNOTE_MARKS.sub("", unicodedata.normalize("NFKC", text))
    if re.search(r"[\u3400-\u9fff]", text):
        return re.sub(r"[\s\-–—·•/|,:;_'’.A-Za-zÀ-ɏ]+|\(\)", "", text).replace("()", "")
    text = "".join(letter for letter in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(letter))
    text = re.sub(r"[ -]+(city|shi|municipality|prefecture|province|sheng|autonomous region)$", "", text.strip())
    text = re.sub(r"[,(].*$", "", text)
    return re.sub(r"[^a-z0-9]+", "", text)


def plain(text: str) -> str:
    """A name of an indicator as it is compared."""
    text = unicodedata.normalize("NFKC", FOOTNOTE_MARKS.sub("", text)).lower()
    return re.sub(r"[\s_\-/·、,，:：()\[\]]+", "", text)


@dataclass
class Draft:
    """What becomes of a file: tables of its contract, indicators that no list has, and what the file leaves open."""

    tables: list[dict[str, Any]] = field(default_factory=list)
    indicators: dict[str, dict[str, str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Rows of lists of pilots: sheet, row from 1, code, city, province, year and batch as written.
    pilots: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Found:
    """A table as it stands in a sheet, before it becomes part of a contract."""

    sheet: str
    grid: Grid
    head: list[int]
    first: int
    bottom: int
    headers: list[str]
    title: str
    anchor: int


def draft(source: str, file: str, sheets: Sequence[Sheet], known: Catalogue) -> Draft:
    """Draft the tables of a file. Raises UnreadableFile with the reader's sentence."""
    made = Draft()
    grids = [(sheet, [list(row) for row in sheet.rows()]) for sheet in sheets]
    unit = _noted_unit([grid for _, grid in grids], known)
    for sheet, grid in grids:
        across = _cities_across(sheet.name, grid, source, known, made)
        if across is not None:
            _add(across, made)
            continue
        found = _tables(sheet, grid, known, made)
        titled = len(found) > 1
        for table in found:
            seen: set[tuple[str, ...]] = set()
            for left, right in _segments(table):
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
            _Column.of(index, header, [line[index] if index < len(line) else "" for line in below], known, units)
            for index, header in enumerate(headers)
            if header and index != first
        ]
        table = _Found(sheet, grid, [number], number + 1, len(grid), headers, layout.title(grid, [number]), first)
        said = _Said(source, f"sheet {sheet!r}" if sheet else "the file", table, known, made, units, "", False)
        measured = _measured("{city}", _subject(said) or source, columns, said)
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


# Where tables stand ---------------------------------------------------------------------------------------------------


def _tables(sheet: Sheet, grid: Grid, known: Catalogue, made: Draft) -> list[_Found]:
    """Tables of a sheet, from top to bottom; those beside each other are one, which the contract's reader splits."""
    place = f"sheet {sheet.name!r}" if sheet.name else "the file"
    anchor = _anchor(grid, known)
    if anchor is None:
        if any(any(row) for row in grid):
            made.notes.append(f"{place}: no column of places was found; nothing of it is drafted.")
        return []
    spread = {
        (row, left): grid[top][left]
        for top, left, bottom, _ in sheet.merged
        if left == anchor and top < len(grid) and left < len(grid[top])
        for row in range(top + 1, bottom + 1)
    }

    def text(row: int) -> str:
        cells = grid[row]
        return (cells[anchor] if anchor < len(cells) else "") or spread.get((row, anchor), "")

    def is_place(row: int) -> bool:
        return bool(known.place(text(row)) or known.code(text(row)))

    starts: list[tuple[list[int], int]] = []
    row = 0
    while row < len(grid):
        if is_place(row) and not starts:
            starts.append((_head(grid, row, anchor), row))
        elif (
            starts
            and clean(text(row))
            and (clean(text(row)) in PLACE_HEADERS or clean(text(row)) == _head_text(grid, starts[0][0], anchor))
        ):
            below = next((later for later in range(row + 1, min(row + 6, len(grid))) if is_place(later)), None)
            if below is not None:
                starts.append((_head(grid, below, anchor), below))
                row = below
        row += 1
    found = []
    for number, (head, first) in enumerate(starts):
        if not head:
            made.notes.append(
                f"{place}: places begin in row {first + 1} without a header above them; nothing is drafted."
            )
            continue
        bottom = starts[number + 1][0][0] if number + 1 < len(starts) and starts[number + 1][0] else len(grid)
        title = layout.title(grid, head)
        found.append(
            _Found(sheet.name, grid, head, first, bottom, layout.headers(grid, head, sheet.merged), title, anchor)
        )
    # the same header again is the same table on a further page
    kept: list[_Found] = []
    for table in found:
        if kept and kept[0].headers == table.headers and not (YEAR.search(table.title) or table.title != kept[0].title):
            continue
        kept.append(table)
    return kept


def _head_text(grid: Grid, head: Sequence[int], anchor: int) -> str:
    return next((clean(grid[row][anchor]) for row in head if anchor < len(grid[row]) and grid[row][anchor]), "")


def _anchor(grid: Grid, known: Catalogue) -> int | None:
    """The column that names the places best: cities before provinces, names before codes, the leftmost of equals."""
    width = max(map(len, grid), default=0)
    rated: list[tuple[float, int]] = []
    for column in range(width):
        texts = [row[column] for row in grid if column < len(row) and row[column]]
        if not texts:
            continue
        plain_numbers = sum(bool(PLAIN.fullmatch(text)) for text in texts)
        kinds = Counter(known.place(text) for text in texts if not PLAIN.fullmatch(text))
        named = kinds["city"] + kinds["province"]
        numbers = plain_numbers or sum(bool(NUMBER.fullmatch(text)) for text in texts)
        coded = sum(map(known.code, texts)) if plain_numbers or not named else 0
        header = next((clean(text) for text in texts if not PLAIN.fullmatch(text) and not known.place(text)), "")
        if named and named >= 0.15 * len(texts) and numbers < 0.5 * len(texts):
            # a column of cities has many names that are no province
            rated.append(
                (2 + kinds["city"] / len(texts) + (header in PLACE_HEADERS) * 0.5 + _chinese(texts) * 0.3, column)
            )
        elif coded >= 0.8 * max(1, len(texts) - 1) and coded and (CODE_HEADERS.search(header) or coded >= 3):
            rated.append((1, column))
    if not rated:
        return None
    best = max(score for score, _ in rated)
    return next(column for score, column in rated if score >= best - 1e-9)


def _chinese(texts: Sequence[str]) -> float:
    return sum(bool(re.search(r"[\u3400-\u9fff]", text)) for text in texts) / len(texts)


def _head(grid: Grid, first: int, anchor: int) -> list[int]:
    """Rows of the header above a first place: those of text or years, as far as a title, a blank row or numbers."""
    rows: list[int] = []
    row = first - 1
    while row >= 0 and not rows and not _is_header(grid[row], anchor):
        if first - row > 5:
            return []
        row -= 1  # totals, or a province without numbers, between header and first place
    while row >= 0 and _is_header(grid[row], anchor) and len(rows) < 4:
        rows.insert(0, row)
        row -= 1
    return rows


def _is_header(row: Sequence[str], anchor: int) -> bool:
    filled = [(index, cell) for index, cell in enumerate(row) if cell]
    if any(re.match(r"[（(]?(?:计量)?单位\s*[:：]", cell) for _, cell in filled) and len(filled) <= 2:
        return False  # the unit of a title
    if not filled or (len(filled) == 1 and filled[0][0] == 0 and clean(filled[0][1]) not in PLACE_HEADERS):
        return False  # blank, or a title
    if len({cell for _, cell in filled}) == 1 and len(filled) > 2:
        return False  # a title across all columns
    anchored = clean(row[anchor]) in PLACE_HEADERS if anchor < len(row) else False
    numbers = [cell for _, cell in filled if NUMBER.fullmatch(cell.strip()) and not YEAR_CELL.match(cell)]
    return not numbers and (anchored or len(filled) >= 2 or filled[0][0] > 0)


# What their columns are -----------------------------------------------------------------------------------------------


@dataclass
class _Column:
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
    def of(cls, index: int, header: str, cells: list[str], known: Catalogue, units: frozenset[str]) -> _Column:
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
            made.numbers += times * bool(_number(text, units) is not None)
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


def _number(text: str, units: frozenset[str]) -> float | None:
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


def _segments(table: _Found) -> list[tuple[int, int]]:
    """Columns of the blocks beside each other: each begins where the place's header does."""
    head = table.headers[table.anchor] if table.anchor < len(table.headers) else ""
    again = [index for index, header in enumerate(table.headers) if header and header == head]
    return layout.split(table.headers, again) if len(again) > 1 else [(0, len(table.headers))]


def _described(
    table: _Found,
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
        _Column.of(index, header, [row[index] if index < len(row) else "" for row in rows], known, units)
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
            and column.provinces + _municipal(column) >= 0.8 * column.filled
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
    year = _year_column(rest)
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
        elif IDENTIFIERS.match(column.header) or _counts_rows(column):
            made.notes.append(f"{what}: a number of the row, no indicator; left out.")
        elif year is not None and _attribute(column, head, units):
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
    across = year is None and any(_year_in(column.header) for column in values)
    if not across and year is None:
        _year_from_names(table, file, keys, made, place)
    if across:
        keys["year"] = {"from": "header"}
        dropped = [column.header for column in values if not _year_in(column.header)]
        values = [column for column in values if _year_in(column.header)]
        made.notes.extend(f"{place}, column {name}: no year stands in its header; left out." for name in dropped)
    if _blank_below(head, table, sheet) and not is_code:
        entry["fill_down"] = ["city"]
    said = _Said(source, place, table, known, made, units, noted, titled)
    if named is not None:
        keys["indicator"] = {"header": named.header}
        _by_rows(entry, named, unit_column, values, across, said, rows)
        return entry
    if year is not None and "part" not in keys:
        _undivided(head, year, columns, taken, values, keys, made, place)
    entry["columns"] = _value_columns(values, across, said)
    if titled and table.title and across:
        entry["title"] = re.escape(table.title.strip())
    return entry


@dataclass
class _Said:
    """What is needed to say what a column measures."""

    source: str
    place: str
    table: _Found
    known: Catalogue
    made: Draft
    units: frozenset[str]
    noted: str
    titled: bool


def _pilots(
    table: _Found, columns: Sequence[_Column], keys: Mapping[str, Any], known: Catalogue
) -> list[dict[str, Any]]:
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


def _year_column(columns: Sequence[_Column]) -> _Column | None:
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


def _municipal(column: _Column) -> int:
    return sum(spelled(cell) in MUNICIPALITIES for cell in column.cells)


def _counts_rows(column: _Column) -> bool:
    numbers = [cell for cell in column.cells if cell]
    return (
        len(numbers) > 3
        and numbers[0] in ("0", "1")
        and numbers == [str(number) for number in range(int_or(numbers[0]), int_or(numbers[0]) + len(numbers))]
    )


def int_or(text: str) -> int:
    return int(text) if text.isdigit() else -10


def _attribute(column: _Column, head: _Column, units: frozenset[str]) -> bool:
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


def _year_in(header: str) -> str:
    """The one year that a header names; none of a base year."""
    years = YEAR.findall(header)
    return years[0] if len(years) == 1 and not BASE_YEAR.search(header) else ""


def _template(header: str) -> str:
    """A header with {year} in the place of its year, and of what says that only a part of the year is meant."""
    return YEAR_LABEL.sub("{year}", header, count=1)


def _year_from_names(table: _Found, file: str, keys: dict[str, Any], made: Draft, place: str) -> None:
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


def _blank_below(head: _Column, table: _Found, sheet: Sheet) -> bool:
    """Whether places stand only in the first of their rows, without being merged downwards."""
    if any(left == head.index and bottom > top >= table.first for top, left, bottom, _ in sheet.merged):
        return False
    blank = sum(not cell for cell in head.cells)
    return 0.3 * len(head.cells) <= blank < len(head.cells) and bool(head.cells) and bool(head.cells[0])


def _undivided(
    head: _Column, year: _Column, columns: Sequence[_Column], taken: set[int], values: Sequence[_Column],
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


# What they measure ----------------------------------------------------------------------------------------------------


def _value_columns(values: Sequence[_Column], across: bool, said: _Said) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    seen: dict[str, list[_Column]] = defaultdict(list)
    for column in values:
        seen[_template(column.header) if across else column.header].append(column)
    for header, alike in seen.items():
        if len(alike) > 1 and not across:
            said.made.doubts.append(
                f"{said.place}: {len(alike)} columns are headed {header} and nothing tells them apart; they are set "
                "aside until `position` says which is which."
            )
        bare = header.replace("{year}", "").strip("/_- ") if across else header
        title = _subject(said)
        subject = (
            bare
            if re.search(r"[^\W\d_]", bare) and plain(bare) not in VALUE_HEADERS | {plain(w) for w in WHOLE_CITY}
            else title
        )
        entries.append({"header": header, **_measured(header, subject or bare or said.source, alike, said)})
    return entries


def _subject(said: _Said) -> str:
    """What a table without words for its columns is about: its title, else its sheet's name."""
    lines = said.table.title.split() if said.table.title else []
    for text in (said.table.title, *lines, said.table.sheet):
        bare = NUMBERING.sub("", re.sub(r"(?<!\d)(?:19|20)\d\d(?!\d)年?", "", text)).strip()
        bare = re.sub(r"[（(][^（()）]*[)）]|单位[:：].*$", "", bare).strip()
        if re.search(r"[^\W\d_]", bare) and not re.fullmatch(r"(?i)sheet\s?\d*|表\d*|table\s?\d*|data", bare):
            return bare
    return ""


def _by_rows(
    entry: dict[str, Any], named: _Column, unit_column: _Column | None, values: Sequence[_Column], across: bool,
    said: _Said, rows: Sequence[Sequence[str]],
) -> None:  # fmt: skip
    """Indicators named in rows: one column of numbers, and what each name means."""
    if across:
        entry["value"] = {"header": _template(values[0].header)}
    else:
        best = next((column for column in values if column.word in VALUE_HEADERS), values[0])
        entry["value"] = {"header": best.header}
        values = [best]
    entry["columns"] = []
    texts = dict.fromkeys(cell for cell in named.cells if cell)
    for text in texts:
        at = [number for number, cell in enumerate(named.cells) if cell == text]
        cells = [column.cells[number] for column in values for number in at]
        part = _Column.of(values[0].index, clean(text), cells, said.known, said.units)
        measured = _measured(clean(text), clean(text), [part], said, unit_column.header if unit_column else "",
                             [unit_column.cells[number] for number in at] if unit_column else [])  # fmt: skip
        entry["columns"].append({"header": text, **measured})


def _measured(
    header: str,
    subject: str,
    alike: Sequence[_Column],
    said: _Said,
    unit_header: str = "",
    row_units: Sequence[str] = (),
) -> dict[str, Any]:
    """Indicator, unit and range of a column; new indicators go into the draft."""
    known = said.known
    bare, printed = split_unit(header, said.units)
    subject, _ = split_unit(clean(subject), said.units)
    subject = UNIT_IN_HEADER.sub(lambda found: "" if found["unit"] == printed else found.group(), subject).strip("/")
    unit, stated = _unit(header, printed, alike, said, unit_header, row_units)
    parts = [part for part in subject.split("/") if part not in WHOLE_CITY]
    urban = any(part in URBAN for part in parts)
    name = "".join(part for part in parts if part not in URBAN) or subject
    # the English beside the Chinese says the same
    chinese = re.sub(r"(?<=[\u3400-\u9fff]{3})\s*[A-Za-z][A-Za-z\s,.'-]{2,}(?:\([^()]*\))?$", "", name)
    indicator = (
        known.indicators.get(plain(name), "")
        or known.indicators.get(plain(chinese), "")
        or known.indicators.get(plain(parts[0] if parts else name), "")
    )
    factor = known.units.get(unit, {}).get(known.canonical.get(indicator, ""))
    place = f"{said.place}, column {header}"
    if indicator and not urban and factor is not None:
        return {"indicator": indicator, "unit": stated, "range": _range(alike, factor, said)}
    canonical = next(iter(known.units.get(unit, {})), "as written")
    base = indicator or _name(name)
    base = "value" if base == said.source else base
    new = f"{base}_urban_district" if urban else base
    if new in known.taken or canonical == "as written":
        new = f"{new}_{said.source}"
    while new in said.made.indicators and said.made.indicators[new]["unit"] != canonical:
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
    header: str, printed: str, alike: Sequence[_Column], said: _Said, unit_header: str, row_units: Sequence[str]
) -> tuple[str, Any]:
    """The unit's text, "" where nothing says it, and how a contract states it."""
    if unit_header:
        texts = {text for text in row_units if text}
        known = {text for text in texts if text in said.units}
        return (known.pop() if len(known) == 1 else next(iter(known), "")), {"header": unit_header}
    if printed in said.units:
        return printed, {"from": "header"}
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


def _noted_unit(grids: Sequence[Grid], known: Catalogue) -> str:
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


def _range(alike: Sequence[_Column], factor: float, said: _Said) -> list[float]:
    """Up to ten times what the file holds, in the canonical unit: far enough for growth, near enough for a slip."""
    numbers = [
        abs(number) * factor
        for column in alike
        for cell in set(column.cells)
        if cell and (number := _number(cell, said.units)) is not None
    ]
    negative = any(
        cell.strip().startswith(("-", "−")) and _number(cell, said.units) for column in alike for cell in column.cells
    )
    high = float(f"{max(numbers, default=1.0) * 10 or 1.0:.0e}")
    return [-high if negative else 0, high]


def _name(text: str) -> str:
    """A name for a new indicator: small letters, digits and single underscores, Chinese as it is."""
    name = re.sub(r"[^0-9a-z\u3400-\u9fff]+", "_", unicodedata.normalize("NFKC", text).lower()).strip("_")
    return name if name.isidentifier() else f"value_{name}".rstrip("_")


def _escaped(sheet: str) -> str:
    return re.sub(r"([\[\]*?])", lambda found: f"[{found[1]}]", sheet) or "*"

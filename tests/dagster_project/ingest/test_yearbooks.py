"""From a yearbook file to cells: which values are found, where a person sees them, and what is said of the rest."""

from pathlib import Path

import pytest
import xlsxwriter

from dagster_project.ingest import contracts, yearbooks
from dagster_project.ingest.contracts import Contract

UNITS = frozenset({"万元", "亿元", "万人", "平方公里"})
HEAD = """\
source: {source}
kind: yearbook
title: {{en: t}}
publisher: p
covers: c
licence: l
obtain: o
files: ["**/*.xlsx"]
tables:
"""
MERGED = """\
  - sheets: ["综合*"]
    header_rows: [2, 3]
    keys: {year: {from: file, pattern: '(\\d{4})年'}, city: {header: 城市}}
    columns:
      - {header: 地区生产总值/全市, indicator: gdp, unit: {from: header}}
      - {header: 地区生产总值/市辖区, indicator: gdp_district, unit: {from: header}}
      - {header: [年末常住人口, 年末常住人口数], indicator: population, unit: {from: header}}
    skip: ['^注', '合计$', '^城市$']
"""
PLAIN = """\
  - sheets: ["Sheet1"]
    keys: {year: {header: 年份}, city: {header: 城市}, code: {header: 代码}, province: {header: 省份}}
    columns:
      - {header: 外资, indicator: fdi, unit: {header: 单位}}
      - {header: 公路, indicator: roads, unit: 万人, optional: true}
"""


@pytest.fixture
def contract(tmp_path):
    """Makes a contract from its tables."""

    def make(tables: str, source: str = "test") -> Contract:
        path = tmp_path / f"{source}.yaml"
        path.write_text(HEAD.format(source=source) + tables, encoding="utf-8")
        return contracts.load(path)

    return make


def write(path: Path, sheets: dict[str, list[list[object]]], merged: tuple[tuple[int, int, int, int, str], ...] = ()):
    """A workbook with sheets of rows; merged ranges go into every sheet."""
    book = xlsxwriter.Workbook(str(path))
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
        for area in merged:
            sheet.merge_range(*area)
    book.close()


MERGED_ROWS: list[list[object]] = [
    ["2-1 综合"],
    ["城市", "地区生产总值（万元）", "", "年末常住人口数（万人）"],
    ["", "全市", "市辖区", ""],
    ["北京市", 100.5, "９０①", 2000],
    [],
    ["合计", 1, 1, 1],
    ["上海市 ", "…", 80, "1,900"],
    ["注：本表为年末数"],
]
MERGED_AREAS = ((1, 1, 1, 2, "地区生产总值（万元）"), (1, 3, 2, 3, "年末常住人口数（万人）"), (1, 0, 2, 0, "城市"))


def read(path: Path, contract: Contract) -> yearbooks.Reading:
    return yearbooks.read(path, f"yearbook/{path.name}", contract, UNITS)


def test_cells_of_a_header_over_two_merged_rows_stand_where_the_spreadsheet_shows_them(tmp_path, contract):
    path = tmp_path / "2012年统计.xlsx"
    write(path, {"综合经济": MERGED_ROWS}, MERGED_AREAS)
    reading = read(path, contract(MERGED))
    assert reading.rejects.empty
    assert (reading.sheets, reading.rows) == (1, 2)
    place = ["city", "indicator", "row", "column", "header", "unit", "year", "value"]
    assert reading.cells[place].to_numpy().tolist() == [
        ["北京市", "gdp", 4, "B", "地区生产总值(万元)/全市", "万元", "2012", "100.5"],
        ["北京市", "gdp_district", 4, "C", "地区生产总值(万元)/市辖区", "万元", "2012", "９０①"],
        ["北京市", "population", 4, "D", "年末常住人口数(万人)", "万人", "2012", "2000"],
        ["上海市", "gdp", 7, "B", "地区生产总值(万元)/全市", "万元", "2012", "…"],
        ["上海市", "gdp_district", 7, "C", "地区生产总值(万元)/市辖区", "万元", "2012", "80"],
        ["上海市", "population", 7, "D", "年末常住人口数(万人)", "万人", "2012", "1,900"],
    ]
    assert set(reading.cells.file) == {"yearbook/2012年统计.xlsx"}
    assert set(reading.cells.sheet) == {"综合经济"}
    assert set(reading.cells.source) == {"test"}


def test_keys_and_units_of_a_row_may_stand_in_its_own_columns(tmp_path, contract):
    path = tmp_path / "a.xlsx"
    header = ["年份", "代码", "省份", "城市", "外资", "单位"]
    write(
        path, {"Sheet1": [header, [2010, 110000, "北京", "北京市", 5.25, "亿元"], ["2011", "310000", "", "上海市", 6]]}
    )
    cells = read(path, contract(PLAIN)).cells
    assert cells[["year", "code", "province", "city", "value", "unit", "row", "column"]].to_numpy().tolist() == [
        ["2010", "110000", "北京", "北京市", "5.25", "亿元", 2, "E"],
        ["2011", "310000", "", "上海市", "6", "", 3, "E"],
    ]


def test_columns_beyond_z_have_two_letters(tmp_path, contract):
    path = tmp_path / "a.xlsx"
    header = ["年份", "代码", "省份", "城市", *[f"其他{number}" for number in range(24)], "外资", "单位"]
    write(path, {"Sheet1": [header, [2010, "", "", "北京市", *[0] * 24, 5, "亿元"]]})
    assert list(read(path, contract(PLAIN)).cells.column) == ["AC"]


def test_a_unit_nobody_knows_goes_on_as_it_is_printed(tmp_path, contract):
    path = tmp_path / "2012年.xlsx"
    rows = [row.copy() for row in MERGED_ROWS]
    rows[1][3] = "年末常住人口（百户）"
    write(path, {"综合": rows}, (MERGED_AREAS[0], MERGED_AREAS[2]))
    reading = read(path, contract(MERGED))
    assert reading.rejects.empty
    assert set(reading.cells[reading.cells.indicator == "population"].unit) == {"百户"}


def test_a_fixed_unit_never_takes_a_column_that_says_something_else_in_parentheses(tmp_path, contract):
    path = tmp_path / "a.xlsx"
    write(
        path,
        {
            "Sheet1": [
                ["年份", "代码", "省份", "城市", "公路(农村)", "外资", "单位"],
                [2010, "", "", "北京市", 1, 2, "亿元"],
            ]
        },
    )
    assert set(read(path, contract(PLAIN)).cells.indicator) == {"fdi"}


@pytest.fixture
def rejected(tmp_path, contract):
    """The one reject of a workbook read by the merged-header contract."""

    def find(sheets: dict[str, list[list[object]]], name: str = "2012年统计.xlsx", merged=MERGED_AREAS, tables=MERGED):
        write(tmp_path / name, sheets, merged)
        reading = read(tmp_path / name, contract(tables))
        assert len(reading.rejects) == 1
        reject = reading.rejects.iloc[0]
        assert reject.message.startswith(f"yearbook/{name}")
        assert reject.message.endswith(".")
        return reject, reading

    return find


def test_a_missing_sheet_is_named_beside_the_sheets_there_are(rejected):
    reject, _ = rejected({"目录": [["x"]], "封面": [["y"]]}, merged=())
    assert reject.rule == "missing_sheet"
    assert reject.sheet == "综合*"
    assert "综合*" in reject.message
    assert "'目录', '封面'" in reject.message


def test_a_missing_column_is_named_with_every_header_it_may_have_and_the_others_are_read(rejected):
    rows = [row.copy() for row in MERGED_ROWS]
    rows[1][3] = "户籍人口（万人）"
    reject, reading = rejected({"综合": rows}, merged=(MERGED_AREAS[0], MERGED_AREAS[2]))
    assert (reject.rule, reject.sheet, reject.column) == ("missing_column", "综合", "年末常住人口 / 年末常住人口数")
    assert "sheet '综合'" in reject.message
    assert set(reading.cells.indicator) == {"gdp", "gdp_district"}


def test_a_file_name_without_the_year_is_said_and_nothing_of_it_is_used(rejected):
    reject, reading = rejected({"综合": MERGED_ROWS}, name="统计年鉴.xlsx")
    assert (reject.rule, reject.column, reject.value) == ("missing_key", "year", "统计年鉴.xlsx")
    assert "tells no year" in reject.message
    assert reading.cells.empty


def test_a_sheet_without_its_city_column_gives_no_cell(rejected):
    rows = [row.copy() for row in MERGED_ROWS]
    rows[1][0] = "地名"
    reject, reading = rejected({"综合": rows}, merged=MERGED_AREAS[:2])
    assert (reject.rule, reject.column) == ("missing_column", "城市")
    assert reading.cells.empty


def test_a_missing_unit_column_is_named(rejected):
    rows = [["年份", "代码", "省份", "城市", "外资"], [2010, "", "", "北京市", 5]]
    reject, _ = rejected({"Sheet1": rows}, name="a.xlsx", merged=(), tables=PLAIN)
    assert (reject.rule, reject.column) == ("missing_column", "单位")


def test_an_optional_column_may_be_absent_without_a_word(tmp_path, contract):
    path = tmp_path / "a.xlsx"
    write(path, {"Sheet1": [["年份", "代码", "省份", "城市", "外资", "单位"], [2010, "", "", "北京市", 5, "亿元"]]})
    assert read(path, contract(PLAIN)).rejects.empty


def test_a_file_that_cannot_be_read_is_one_reject_that_says_why(tmp_path, contract):
    path = tmp_path / "2012年统计.xlsx"
    path.write_bytes(b"no workbook")
    reading = read(path, contract(MERGED))
    assert list(reading.rejects.rule) == ["unreadable_file"]
    assert reading.rejects.message[0].startswith("yearbook/2012年统计.xlsx: the file cannot be read as xlsx")
    assert reading.cells.empty


def test_a_fault_in_the_middle_of_a_file_keeps_what_stands_before_it(tmp_path, contract):
    path = tmp_path / "a.csv"
    good = "年份,代码,省份,城市,外资,单位\n2010,,,北京市,5,亿元\n"
    path.write_text(good + "\n" * 300 + "2011,,,上海市," + "9" * (17 << 20) + ",亿元\n", encoding="utf-8")
    reading = read(
        path,
        contract(PLAIN.replace('    sheets: ["Sheet1"]\n', "").replace('- sheets: ["Sheet1"]\n    keys', "- keys")),
    )
    assert list(reading.cells.city) == ["北京市"]
    assert list(reading.rejects.rule) == ["unreadable_file"]
    assert "the rest of the sheet is missing" in reading.rejects.message[0]


def test_a_row_that_cannot_be_read_is_set_aside_with_its_place_and_the_others_are_read(tmp_path, contract):
    path = tmp_path / "a.csv"
    rows = [f"2010,,,城市{number}市,5,亿元" for number in range(300)]
    rows[4] = '"' + rows[4]
    rows[7] += ",多,出"
    path.write_text("\n".join(["年份,代码,省份,城市,外资,单位", *rows]), encoding="utf-8")
    reading = read(
        path,
        contract(PLAIN.replace('    sheets: ["Sheet1"]\n', "").replace('- sheets: ["Sheet1"]\n    keys', "- keys")),
    )
    assert reading.rows == 298
    assert list(reading.rejects[["rule", "row"]].itertuples(index=False, name=None)) == [
        ("unreadable_row", 6),
        ("unreadable_row", 9),
    ]
    assert 'row 6 cannot be read: it opens a quote (") in column 1 that nothing closes' in reading.rejects.message[0]
    assert "has 8 cells, its header has 6" in reading.rejects.message[1]

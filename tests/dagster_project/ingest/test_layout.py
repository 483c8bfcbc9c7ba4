"""Keys of a contract that choose among rows, columns and blocks."""

import pytest

from analysis import catalogue
from dagster_project.ingest import staging, tables, yearbooks
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import DBT_PROJECT

UNITS = frozenset({"亿元"})
VALUE = {"header": "gdp", "indicator": "gdp", "unit": "亿元"}


@pytest.fixture
def read(tmp_path):
    """Reads lines of a CSV by one table of a contract."""

    def make(lines: list[str], **table: object) -> yearbooks.Reading:
        path = tmp_path / "a.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        contract = Contract.model_validate({"source": "s", "files": ["a.csv"], "tables": [table]})
        return yearbooks.read(path, "a.csv", contract, UNITS)

    return make


def told(reading: yearbooks.Reading) -> list[tuple[str, ...]]:
    return list(reading.cells[["city", "year", "value", "fault"]].itertuples(index=False, name=None))


MONTHS = ["city,year,month,gdp", "甲,2019,1,5", "甲,2019,12,6", "甲,2019,全年,7"]
KEYS = {"city": {"header": "city"}, "year": {"header": "year"}, "part": {"header": "month"}}


def test_rows_of_a_part_are_marked_and_the_whole_is_not(read):
    assert told(read(MONTHS, keys=KEYS, columns=[VALUE])) == [
        ("甲", "2019", "5", "part_only:month 1"),
        ("甲", "2019", "6", "part_only:month 12"),
        ("甲", "2019", "7", ""),
    ]


def test_where_says_which_rows_count(read):
    reading = read(MONTHS, keys=KEYS, columns=[VALUE], where={"month": 12})
    assert told(reading) == [("甲", "2019", "6", "")]


HALVES = ["city,year,month,gdp", "甲,2018,1,5", '甲,2018,7,"1,006"', "乙,2018,1,1", "甲,2019,1,8", "甲,2019,7,-"]


@pytest.mark.parametrize(("by", "value"), [("sum", "1011.0"), ("mean", "505.5"), ("last", "1006.0")])
def test_aggregate_makes_the_year_of_its_parts_and_sets_aside_what_lacks_one(read, by, value):
    reading = read(HALVES, keys=KEYS, columns=[VALUE], aggregate=by)
    assert told(reading) == [
        ("甲", "2018", value, ""),
        ("乙", "2018", "1", "incomplete:there are 1 of them where 2 are expected"),
        ("甲", "2019", "-", "incomplete:row 6 holds '-'"),
    ]
    assert list(reading.cells.row) == [3, 4, 6]
    every = read(HALVES, keys=KEYS, columns=[VALUE], aggregate={"by": by, "parts": 12})
    assert [fault.split(":")[0] for *_, fault in told(every)] == ["incomplete"] * 3


def test_a_row_for_the_whole_year_stands_beside_what_is_made_of_its_parts(read):
    reading = read(MONTHS, keys=KEYS, columns=[VALUE], aggregate="sum")
    assert told(reading) == [("甲", "2019", "7", ""), ("甲", "2019", "11.0", "")]


def test_levels_set_aside_places_of_another_kind(read):
    lines = ["city,year,gdp", "河北省,2019,3", "石家庄市,2019,2", "正定县,2019,1", "北京市,2019,4"]
    keys = {"city": {"header": "city"}, "year": {"header": "year"}}
    table = {"keys": keys, "columns": [VALUE], "levels": ["city"]}
    cells = read(lines, **table).cells
    contract = Contract.model_validate({"source": "s", "files": ["a.csv"], "tables": [table]})
    found = staging.judged(DBT_PROJECT, cells, tables.of_staging(catalogue.load().indicators_table(), [contract]))
    assert list(found.rule.fillna("")) == ["other_level", "", "unknown_city", ""]
    assert "(`levels`)" in found.message[0]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("130100 石家庄", {"code": r"^(\d{6})", "city": r"^\d{6} (.+)$"}),
        ("石家庄2019", {"year": r"(\d{4})$", "city": r"^(\D+?)\d{4}$"}),
    ],
)
def test_a_pattern_takes_a_key_out_of_a_cell_that_holds_two(read, text, keys):
    keyed = {name: {"header": "id", "pattern": pattern} for name, pattern in keys.items()}
    reading = read(["id,gdp", f"{text},5", "甲乙,6"], keys=keyed, columns=[VALUE])
    assert reading.cells.city.tolist() == ["石家庄", "甲乙"]
    assert {*reading.cells.code, *reading.cells.year} - {"甲乙"} == {"", text[:6] if "code" in keys else "2019"}


def test_position_tells_equal_headers_apart(read):
    lines = ["city,year,gdp,gdp", "甲,2019,5,6"]
    keys = {"city": {"header": "city"}, "year": {"header": "year"}}
    assert [cell[3] for cell in told(read(lines, keys=keys, columns=[VALUE]))] == ["equal_headers"] * 2
    second = read(lines, keys=keys, columns=[{**VALUE, "position": 2}])
    assert told(second) == [("甲", "2019", "6", "")]


def test_cities_across_are_read_from_their_headers(read):
    reading = read(
        ["year,甲市,乙市", "2019,5,6"],
        keys={"city": {"from": "header"}, "year": {"header": "year"}},
        columns=[{**VALUE, "header": "{city}"}],
    )
    assert told(reading) == [("甲市", "2019", "5", ""), ("乙市", "2019", "6", "")]


def test_the_year_of_a_title_belongs_to_the_table_below_it(read):
    reading = read(
        ["2018年", "city,gdp", "甲,5", "2019年", "city,gdp", "甲,6"],
        keys={"city": {"header": "city"}, "year": {"from": "title", "pattern": r"(\d{4})年"}},
        columns=[VALUE],
    )
    assert [cell for cell in told(reading) if cell[2]] == [("甲", "2018", "5", ""), ("甲", "2019", "6", "")]


def test_a_second_table_that_nothing_reads_is_said(read):
    reading = read(
        ["city,year,gdp,,城市,人口", "甲,2019,5,,乙,7"],
        keys={"city": {"header": "city"}, "year": {"header": "year"}},
        columns=[VALUE],
    )
    assert told(reading) == [("甲", "2019", "5", "")]
    assert list(reading.rejects.rule) == ["unread_block"]
    assert "'城市' in E1" in reading.rejects.message[0]


def test_a_table_below_with_other_columns_is_not_read_as_the_one_above(read):
    reading = read(
        ["city,year,gdp", "甲,2019,5", "", "城市,年份,人口", "甲,2019,7"],
        keys={"city": {"header": "city"}, "year": {"header": "year"}},
        columns=[VALUE],
    )
    assert told(reading) == [("甲", "2019", "5", "")]
    assert list(reading.rejects.rule) == ["unread_block"]

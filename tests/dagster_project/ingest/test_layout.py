"""Keys of a contract that choose among rows, columns and blocks."""

import pytest

from dagster_project.ingest import yearbooks
from dagster_project.ingest.contracts import Contract

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

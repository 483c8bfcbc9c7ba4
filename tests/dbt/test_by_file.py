"""Records are judged file by file: what has not changed is not built again, with a full build's result."""

from __future__ import annotations

import pandas as pd
import pytest

from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS

#: Each test goes on from what the one before it left.
pytestmark = pytest.mark.xdist_group("by_file")
FOUND = {
    name: contracts.load(CONTRACTS / f"{name}.yaml") for name in ("patent_records", "court_cases", "city_yearbook")
}
HEADERS = {
    "patents": ",".join(FOUND["patent_records"].columns.values()),
    "cases": ",".join(FOUND["court_cases"].columns.values()),
}
MODELS = ("stg_patents", "stg_cases", "int_green_patents", "int_ip_cases")
TABLES = (
    *("staging.stg_patents", "staging.stg_cases"),
    *("intermediate.int_green_patents", "intermediate.int_ip_cases"),
)
YEARS = (2010, 2011, 2012, 2013)


def patent(number: str, granted: str = "", city: str = "北京市海淀区1号", ipc: str = "H01L31/04") -> str:
    year = number[2:6]
    return f"{number},发明专利,{year}-05-01,{granted},{ipc},甲公司,{city}"


def case(year: int, serial: int, *, concluded: str = "", cause: str = "著作权合同纠纷") -> str:
    concluded = concluded or f"{year}-06-01"
    return f"（{year}）海知初字第{serial}号,北京市海淀区人民法院,{cause},民事,一审,{year}-01-05,{concluded},判决书"


@pytest.fixture(scope="module")
def house(make_warehouse):
    """Four years of patents and cases; 2011 lists an application of 2010 again, 2012 a case of 2010 and one of 2011."""
    house = make_warehouse()
    for kind in HEADERS:
        (house.paths.raw / kind).mkdir()
    for year in YEARS:
        brown = [patent(f"CN{year}{serial}", ipc="A01B1/00") for serial in range(5, 9)]
        write(house, "patents", year, [*(patent(f"CN{year}{serial}") for serial in range(3)), *brown])
        loans = [case(year, serial, cause="民间借贷纠纷") for serial in range(5, 9)]
        write(house, "cases", year, [*(case(year, serial) for serial in range(3)), *loans])
    add(house, "patents", 2011, patent("CN20100", granted="2011-08-01"))
    add(house, "cases", 2012, case(2010, 0, concluded="2012-02-01"))
    add(house, "cases", 2012, case(2011, 1, concluded="2012-02-01"))
    house.load(FOUND)
    house.dbt("run", "--select", "stg_provinces", "int_geography", *MODELS)
    return house


def write(house, kind: str, year: int, rows: list[str]) -> None:
    (house.paths.raw / kind / f"{year}.csv").write_text("\n".join([HEADERS[kind], *rows, ""]), encoding="utf-8")


def add(house, kind: str, year: int, row: str) -> None:
    with (house.paths.raw / kind / f"{year}.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{row}\n")


def builds(house, kind: str) -> dict[int, str]:
    """Year -> the dbt run that built its rows."""
    found = house.query(f"select file, build from staging.stg_{kind}__files order by file")
    return {int(file[-8:-4]): build for file, build in zip(found.file, found.build, strict=True)}


def aside(house, kind: str) -> list[list]:
    found = house.query(f"select file, first_row from staging.stg_{kind} where rule is not null order by all")
    return [[int(file[-8:-4]), row] for file, row in zip(found.file, found.first_row, strict=True)]


def content(house) -> dict[str, pd.DataFrame]:
    return {table: house.query(f"select * from {table} order by all") for table in TABLES}


def unchanged(before: dict[int, str], after: dict[int, str]) -> set[int]:
    return {year for year in after if after[year] == before.get(year)}


def check_against_full_build(house) -> dict[str, pd.DataFrame]:
    """Build everything again; the tables must not differ from those built file by file."""
    by_file = content(house)
    before = builds(house, "patents"), builds(house, "cases")
    house.dbt("run", "--full-refresh", "--select", *MODELS)
    for kind, old in zip(HEADERS, before, strict=True):
        assert not unchanged(old, builds(house, kind))
    for table, frame in content(house).items():
        pd.testing.assert_frame_equal(frame, by_file[table])
    return by_file


def test_records_that_count_alike_share_a_row_and_those_of_interest_keep_theirs(house):
    patents = house.query("select * from staging.stg_patents where file like '%2011%' order by first_row")
    assert patents.records.tolist() == [1, 1, 1, 4, 1]
    assert patents[["first_row", "last_row"]].to_numpy().tolist() == [[2, 2], [3, 3], [4, 4], [5, 8], [9, 9]]
    cases = house.query("select * from staging.stg_cases where file like '%2012%' order by first_row")
    assert cases.records.tolist() == [1, 1, 1, 4, 1, 1]
    assert cases.case_number.isna().tolist() == [False, False, False, True, False, False]
    assert cases.counted_in.dropna().tolist() == ["cases/2010.csv", "cases/2011.csv"]


def test_what_changed_is_built_again_alone(house):
    before = builds(house, "patents"), builds(house, "cases")
    assert aside(house, "patents") == [[2010, 2]]
    assert aside(house, "cases") == [[2012, 9], [2012, 10]]
    # 2010's first application no longer stands in 2011 too, its second one now stands in 2014 too, with its grant
    write(house, "patents", 2011, [patent("CN20110", city="天津市和平区1号"), patent("CN20117"), patent("CN20118")])
    (house.paths.raw / "patents" / "2012.csv").unlink()
    write(house, "patents", 2014, [patent("CN20140"), patent("CN20101", granted="2014-01-01")])
    # 2010's first case is no longer there, so that its copy of 2012 counts; 2014 repeats a case of 2013
    write(house, "cases", 2010, [case(2010, 1), case(2010, 2)])
    write(house, "cases", 2014, [case(2014, 0), case(2013, 2, concluded="2014-02-01")])
    house.load(FOUND)
    house.dbt("run", "--select", *MODELS)
    assert set(builds(house, "patents")) == {2010, 2011, 2013, 2014}
    assert unchanged(before[0], builds(house, "patents")) == {2013}
    assert unchanged(before[1], builds(house, "cases")) == {2011}
    assert aside(house, "patents") == [[2010, 3]]
    assert aside(house, "cases") == [[2012, 10], [2014, 3]]


def test_a_copy_counts_again_where_the_file_that_held_its_case_is_gone_and_all_is_as_a_full_build_makes_it(house):
    (house.paths.raw / "cases" / "2011.csv").unlink()
    before = builds(house, "cases")
    house.load(FOUND)
    house.dbt("run", "--select", *MODELS)
    # 2012 held a copy of a case of 2011, whose only other record is gone
    assert unchanged(before, builds(house, "cases")) == {2010, 2013, 2014}
    assert aside(house, "cases") == [[2014, 3]]
    by_file = check_against_full_build(house)
    assert by_file["staging.stg_patents"].records.sum() == 7 + 3 + 7 + 2
    assert set(by_file["intermediate.int_green_patents"].year) == {2010, 2011, 2013, 2014}

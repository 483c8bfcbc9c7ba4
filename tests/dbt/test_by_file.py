"""Records are judged and counted file by file: what has not changed is not built again, with a full build's result."""

from __future__ import annotations

import pandas as pd
import pytest

from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS

FOUND = {
    name: contracts.load(CONTRACTS / f"{name}.yaml") for name in ("patent_records", "court_cases", "city_yearbook")
}
HEADER = ",".join(FOUND["patent_records"].columns.values())
PATENTS = ("stg_patents", "int_green_patents")
TABLES = ("staging.stg_patents", "intermediate.int_green_patents")


def record(number: str, granted: str = "", city: str = "北京市海淀区1号", ipc: str = "H01L31/04") -> str:
    year = number[2:6]
    return f"{number},发明专利,{year}-05-01,{granted},{ipc},甲公司,{city}"


@pytest.fixture(scope="module")
def house(make_warehouse):
    """Four years of patents, of which 2011 repeats an application of 2010."""
    house = make_warehouse()
    (house.paths.raw / "patents").mkdir()
    for year in (2010, 2011, 2012, 2013):
        write(house, year, [record(f"CN{year}{serial}") for serial in range(3)])
    add(house, 2011, record("CN20100", granted="2011-08-01"))
    house.load(FOUND)
    house.dbt("run", "--select", "stg_provinces", "int_geography", *PATENTS)
    return house


def write(house, year: int, rows: list[str]) -> None:
    (house.paths.raw / "patents" / f"{year}.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")


def add(house, year: int, row: str) -> None:
    with (house.paths.raw / "patents" / f"{year}.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{row}\n")


def builds(house, table: str) -> dict[str, str]:
    """File -> the dbt run that built its rows."""
    found = house.query(f"select file, build from {table}__files order by file")
    return {file[-8:-4]: build for file, build in zip(found.file, found.build, strict=True)}


def aside(house) -> list[list]:
    found = house.query("select file, first_row, fault from staging.stg_patents where rule is not null")
    return found.to_numpy().tolist()


def content(house) -> dict[str, pd.DataFrame]:
    return {table: house.query(f"select * from {table} order by all") for table in TABLES}


def test_what_changed_is_built_again_alone_and_the_result_is_that_of_a_full_build(house):
    before = builds(house, "staging.stg_patents")
    assert aside(house) == [["patents/2010.csv", 2, "CN20100"]]
    # 2010's first application no longer stands in 2011 too, its second one now stands in 2014 too, with its grant
    write(house, 2011, [record("CN20110", city="天津市和平区1号"), record("CN20117"), record("CN20118")])
    (house.paths.raw / "patents" / "2012.csv").unlink()
    write(house, 2014, [record("CN20140"), record("CN20101", granted="2014-01-01")])
    house.load(FOUND)
    house.dbt("run", "--select", *PATENTS)
    after = builds(house, "staging.stg_patents")
    assert set(after) == {"2010", "2011", "2013", "2014"}
    assert {year for year in after if after[year] == before.get(year)} == {"2013"}
    assert aside(house) == [["patents/2010.csv", 3, "CN20101"]]
    incremental = content(house)
    assert len(incremental["staging.stg_patents"]) == 11
    assert set(incremental["intermediate.int_green_patents"].year) == {2010, 2011, 2013, 2014}
    house.dbt("run", "--full-refresh", "--select", *PATENTS)
    assert set(builds(house, "staging.stg_patents").values()).isdisjoint(after.values())
    for table, frame in content(house).items():
        pd.testing.assert_frame_equal(frame, incremental[table])

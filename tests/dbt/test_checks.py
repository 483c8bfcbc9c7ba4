"""The frames of the expectations: each query of dbt/checks finds what it is there to find, on a few rows."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from dagster_project.ingest.records import FIELDS
from dagster_project.paths import DBT_PROJECT
from dagster_project.resources import TABLES


@pytest.fixture
def tables():
    """An empty warehouse in memory: fill a table, ask a query of dbt/checks."""
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        connection.execute("create schema staging; create schema intermediate")
        for kind, fields in FIELDS.items():
            columns = ", ".join(f"{name} varchar" for name in ("source", "file", *fields))
            connection.execute(f"create table raw.{kind} ({columns}, row bigint)")

        def ask(name: str, **frames: pd.DataFrame) -> pd.DataFrame:
            for table, frame in frames.items():
                connection.register("frame", frame)
                connection.execute(f"create or replace table {table.replace('__', '.', 1)} as select * from frame")
            return connection.execute((DBT_PROJECT / "checks" / f"{name}.sql").read_text(encoding="utf-8")).df()

        yield ask


def accepted(*rows: tuple[str, str, str, int, float], **more: object) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["source", "unit_code", "indicator", "year", "value"])
    return frame.assign(priority=frame.source.map({"a": 1, "b": 2}), **more)


def test_places_read_twice_and_files_alike_are_counted(tables):
    ledger = pd.DataFrame(
        {"source": "a", "file": [*"xyz"], "sha256": ["1", "2", "2"], "rows": 2, "cells": 2, "rejects": 0}
    )
    cells = pd.DataFrame({"source": "a", "file": [*"xxy"], "sheet": "s", "row": [3, 3, 3], "column": "B"})
    cells = cells.assign(indicator="gdp", unit="", value="1")
    found = tables("raw_files", raw__ledger=ledger, raw__yearbook_cells=cells).set_index("file")
    assert found.read_twice.to_dict() == {"x": 1, "y": 0, "z": 0}
    assert found.same_content.to_dict() == {"x": 0, "y": 1, "z": 1}


def test_columns_that_no_file_has_and_blank_ones_are_counted(tables):
    ledger = pd.DataFrame(
        {"source": [*"ab"], "file": [*"xy"], "sha256": [*"12"], "rows": 2, "cells": [2, 0], "rejects": 0}
    )
    cells = pd.DataFrame({"source": "a", "file": "x", "sheet": "s", "row": [3, 4], "column": "B", "indicator": "gdp"})
    cells = cells.assign(unit=["万元", ""], value=["1", "…"])
    columns = pd.DataFrame({"source": [*"aab"], "indicator": ["gdp", "trade", "gdp"]})
    found = tables("raw_columns", raw__ledger=ledger, raw__yearbook_cells=cells, raw__contract_columns=columns)
    assert found.indicator.tolist() == ["gdp", "trade"], "a source without values has nothing to keep"
    assert found.files_with_it.tolist() == [1, 0]
    assert found.share_blank.tolist()[0] == found.share_without_unit.tolist()[0] == 0.5


def test_blank_columns_of_records_are_counted(tables):
    names = ["application_number", "kind", "filing_date", "grant_date", "ipc", "applicant", "address"]
    records = pd.DataFrame({"source": "p", "file": "x", "row": range(4), **dict.fromkeys(names, "1")})
    records["address"] = ["1", "", None, "1"]
    found = tables("raw_records", raw__patents=records).set_index("column")
    assert found.share_blank.to_dict() == {
        **dict.fromkeys(["application_number", "kind", "filing_date", "ipc"], 0),
        "address": 0.5,
    }


def test_missing_years_thin_years_and_doubles_are_counted(tables):
    cities = [f"{n:06d}" for n in range(10)]
    years = {2010: 4, 2011: 10, 2012: 10, 2013: 8, 2015: 10, 2016: 5}
    rows = [("a", city, "gdp", year, 5.0) for year, number in years.items() for city in cities[:number]]
    rows.append(("a", cities[0], "gdp", 2012, 5.0))
    values = accepted(*rows)
    values.loc[values.year == 2015, "value"] = 11
    printed = values.assign(low=1.0, high=10.0)[["source", "indicator", "year", "low", "high"]]
    parsed = pd.concat([printed, printed[printed.year == 2016]])
    found = tables("staging_values", staging__stg_yearbook=values, staging__stg_yearbook_parsed=parsed).set_index(
        "year"
    )
    assert found.units.to_dict() == {2010: 4, 2011: 10, 2012: 10, 2013: 8, 2014: 0, 2015: 10, 2016: 5}
    assert found.repeated[2012] == 1
    assert found.coverage.round(2).fillna(-1).to_dict() == {
        2010: -1, 2011: 2.5, 2012: 1.25, 2013: 0.8, 2014: 0, 2015: 2, 2016: 0.5
    }  # fmt: skip
    assert found.in_range.to_dict() == {year: year != 2015 for year in found.index}
    assert found.share_set_aside[2016] == 0.5


def test_figures_carried_forward_are_counted(tables):
    rows = [("a", f"{n:06d}", "gdp", year, year + n * 0.1) for n in range(4) for year in (2010, 2011, 2013)]
    # one of four repeats 2010 in 2011; 2013 has no year before it; land and zeros may stay as they are
    values = accepted(
        *rows, *[("a", "000009", what, year, 0.0) for what in ("land_area", "fdi") for year in (2010, 2011)]
    )
    values.loc[(values.unit_code == "000001") & (values.year == 2011), "value"] = 2010.1
    parsed = values.assign(low=0.0, high=1e9)[["source", "indicator", "year", "low", "high"]]
    found = tables("staging_values", staging__stg_yearbook=values, staging__stg_yearbook_parsed=parsed)
    shares = found.set_index(["indicator", "year"]).share_unchanged
    assert shares["gdp", 2011] == 0.25
    assert shares.drop(index=("gdp", 2011)).isna().all()


def test_an_indicator_of_which_everything_is_set_aside_is_counted(tables):
    values = accepted(("a", "000001", "gdp", 2010, 5.0))
    printed = values.assign(low=1.0, high=10.0)[["source", "indicator", "year", "low", "high"]]
    lost = printed.assign(indicator="population_registered")
    found = tables(
        "staging_values", staging__stg_yearbook=values, staging__stg_yearbook_parsed=pd.concat([printed, lost])
    ).set_index("indicator")
    assert found.share_set_aside.to_dict() == {"gdp": 0, "population_registered": 1}
    assert found.in_range.all()


def test_two_sources_are_compared_where_both_have_a_value(tables):
    rows = [("a", f"{n:06d}", "gdp", 2010, 100.0) for n in range(4)]
    rows += [("b", f"{n:06d}", "gdp", 2010, 100.0 * times) for n, times in enumerate((1, 1, 1.02, 3))]
    units = pd.DataFrame({"city_code": [f"{n:06d}" for n in range(4)], "name": [*"甲乙丙丁"]})
    found = tables(
        "staging_agreement",
        staging__stg_yearbook=accepted(*rows, ("b", "000000", "gdp", 2011, 1.0)),
        raw__geographic_units=units,
    )
    assert found[["indicator", "trusted", "other", "year", "cities"]].to_numpy().tolist() == [
        ["gdp", "a", "b", 2010, 4]
    ]
    assert found.median_times[0] == pytest.approx(1.01)
    assert found.share_apart[0] == 0.25
    assert found.furthest_city[0] == "000003 丁"


def test_years_of_records_are_set_beside_their_neighbours(tables):
    years = [2010] * 4 + [2011] * 2 + [2012] * 4 + [2014]
    patents = pd.DataFrame({"application_year": years, "rule": None, "unit_code": "110000", "records": 1})
    patents = patents.astype({"rule": "object"})
    patents.loc[0, "rule"] = "unknown_city"
    cases = pd.DataFrame({"year": [2010], "rule": [None], "unit_code": ["110000"], "records": [1]}).astype(
        {"rule": "str"}
    )
    found = tables("staging_records", staging__stg_patents=patents, staging__stg_cases=cases)
    found = found[found.data == "patents"].set_index("year")
    assert found.share_set_aside[2010] == 0.25
    assert found.times_years_around[2011] == 0.5
    assert found.years_since_last.fillna(0).to_dict() == {2010: 0, 2011: 1, 2012: 1, 2014: 2}


def test_a_city_that_leaves_both_neighbouring_years_is_named(tables):
    values = pd.DataFrame(
        {"city_code": ["110000"] * 5 + ["120000"] * 5, "indicator": "gdp", "year": [*range(2010, 2015)] * 2}
    )
    # the first jumps and comes back; the second rises for good, which is growth
    values["value"] = [10.0, 10, 30, 10, 10, 10, 10, 30, 30, 30]
    cities = pd.DataFrame({"city_code": ["110000", "120000"], "name_zh": ["北京市", "天津市"]})
    indicators = pd.DataFrame({"indicator": ["gdp"], "jump": [2.0]})
    found = tables(
        "intermediate_indicators", intermediate__int_city_values=values, raw__cities=cities, raw__indicators=indicators
    ).set_index("year")
    assert found.jumps.to_dict() == {2010: 0, 2011: 0, 2012: 1, 2013: 0, 2014: 0}
    assert found.city_of_largest_jump[2012] == "110000 北京市"
    assert found.largest_jump[2012] == pytest.approx(3)

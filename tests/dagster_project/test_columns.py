"""What Dagster says of columns: meaning, unit, bounds and where they come from, as the catalogue and studies state."""

import json
import os
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project import resources
from dagster_project.assets.columns import CITY_YEAR, QUANTITIES, Columns, told
from dagster_project.ingest import records
from dagster_project.paths import Paths

pytestmark = pytest.mark.xdist_group("definitions")


@pytest.fixture(scope="module")
def columns(built) -> Columns:
    data = Path(os.environ["PILOTCITY_WAREHOUSE"]).parent.parent
    paths = Paths(data, data / "sample", is_sample=True)
    return Columns(paths, json.loads((paths.dbt_target / "manifest.json").read_text(encoding="utf-8")))


def test_a_column_has_its_meaning_unit_bounds_and_key(columns):
    names = [("city_code", "VARCHAR"), ("year", "BIGINT"), ("financial_depth", "DOUBLE"), ("urban_share", "DOUBLE")]
    schema = columns.metadata("panels", "city_year", names)["dagster/column_schema"]
    city, _, depth, urban = schema.columns
    assert not city.constraints.nullable
    assert "GB/T 2260" in city.description
    assert depth.type == "DOUBLE"
    assert "is at least 0 (blocks)" in depth.constraints.other
    assert "is a share between 0 and 1 (warns)" in urban.constraints.other
    assert any(said.startswith("unit: ") for said in urban.constraints.other)
    assert schema.constraints.other == ["city_code and year: no two rows alike"]


def test_columns_of_city_year_come_from_the_quantities_that_their_formulas_name(columns):
    found = columns.metadata("panels", "city_year", [("financial_depth", "DOUBLE")])["dagster/column_lineage"]
    assert set(found.deps_by_column) == {"financial_depth"}
    deps = {(dep.asset_key, dep.column_name) for dep in found.deps_by_column["financial_depth"]}
    assert {(QUANTITIES, "deposits"), (QUANTITIES, "loans")} <= deps


def test_columns_of_a_panel_come_from_city_year_and_from_scores(columns):
    behind = columns.behind("panels", "ai_pilot_zones")
    assert [dep.asset_key for dep in behind["ulgue"]] == [dg.AssetKey(["scores", "ai_pilot_zones__ulgue"])]
    assert {dep.asset_key for dep in behind["fe"]} == {CITY_YEAR}


def test_a_table_without_formulas_has_a_schema_and_no_lineage(columns):
    assert list(columns.metadata("quality", "files", [("file", "VARCHAR")])) == ["dagster/column_schema"]


@pytest.mark.parametrize("table", ["raw.yearbook_cells", "raw.patents", "raw.cases"])
def test_every_column_of_raw_text_says_what_it_holds(table, tmp_path):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(resources.TABLES)
        records.show_all(connection)
        columns = [(row[0], row[1]) for row in connection.execute(f"describe {table}").fetchall()]
    assert len(columns) > 9
    for column in told(table, columns)["dagster/column_schema"].columns:
        assert column.description, column.name


def test_a_table_that_dbt_does_not_make_has_meanings_key_and_what_its_columns_come_from():
    behind = {"score": [dg.TableColumnDep(CITY_YEAR, "population")], "nothing": [dg.TableColumnDep(CITY_YEAR, "year")]}
    found = told("scores.efficiency", [("study", "str"), ("score", "float64")], behind)
    study, score = found["dagster/column_schema"].columns
    assert not study.constraints.nullable and score.constraints.nullable
    assert score.description.startswith("Super-efficiency score")
    assert found["dagster/column_schema"].constraints.other == [
        "study and name and frontier and city_code and year: no two rows alike"
    ]
    assert set(found["dagster/column_lineage"].deps_by_column) == {"score"}

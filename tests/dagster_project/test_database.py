"""The published DuckDB file: that it explains itself, and names cities, in any client."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from analysis.reporting.panel_files import NAMES
from dagster_project import database, overlay, publication
from dagster_project.paths import REFERENCE


@pytest.fixture
def folder(candidate):
    """A candidate with two cities' names, a panel of a study, its dictionary and the tables of quality."""
    made = candidate(1)
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str, "province_code": str})
    cities.to_parquet(made / "data" / "panels" / "cities.parquet", index=False)
    study = pd.DataFrame(
        {"city_code": ["110000", "999999"], "year": [2010, 2010], "region": ["own", "own"], 'x"1': 1.0}
    )
    study.to_parquet(made / "data" / "panels" / "question.parquet", index=False)
    dictionary = pd.DataFrame(
        {
            "study": ["question", "city_year"],
            "column_name": ['x"1', "gdp"],
            "label_en": ["Owner's x", "GDP"],
            "label_zh": ["甲", "地区生产总值"],
            "unit": ["%", "10,000 yuan"],
            "definition": ["A share.", "At current prices."],
            "is_sample": [True, True],
        }
    )
    dictionary.to_parquet(made / "data" / "panels" / "data_dictionary.parquet", index=False)
    return made


def test_each_panel_has_a_view_with_the_names_of_city_province_and_region(folder, tmp_path):
    # the file may be called anything, and be attached under any name
    elsewhere = tmp_path / "copy of it.duckdb"
    elsewhere.write_bytes(database.write(folder).read_bytes())
    with duckdb.connect() as connection:
        connection.execute(f"attach '{elsewhere}' as other (read_only)")
        connection.execute("use other")
        rows = connection.execute("select * from panels.city_year_named order by city_code").df()
        own = connection.execute("select * from panels.question_named order by city_code").df()
    assert list(rows.columns) == [*("city_code", "year"), *NAMES, "gdp"]
    assert rows.loc[0, ["city_zh", "city_en", "province_en", "region"]].tolist() == [
        "北京市",
        "Beijing",
        "Beijing",
        "east",
    ]
    assert own["region"].tolist() == ["own", "own"], "a column of the panel is not replaced by one of the cities"
    assert own["city_en"].isna().tolist() == [False, True], "a row without a known city stays"


def test_comments_say_what_a_table_is_its_key_and_what_each_column_means(folder):
    about = {
        "panels.question": database.About("One row a city and year of the city's question.", ("city_code", "year"))
    }
    with duckdb.connect(str(database.write(folder, database.declared() | about)), read_only=True) as connection:
        tables = dict(connection.execute("select table_name, comment from duckdb_tables()").fetchall())
        columns = {
            (table, column): comment
            for table, column, comment in connection.execute(
                "select table_name, column_name, comment from duckdb_columns() where schema_name = 'panels'"
            ).fetchall()
        }
    assert tables["question"] == "SAMPLE DATA. One row a city and year of the city's question. Key: city_code, year."
    assert tables["cities"].endswith("Key: city_code.")
    meaning = "SAMPLE DATA. Owner's x / 甲 [%]. A share."
    assert columns["question", 'x"1'] == columns["question_named", 'x"1'] == meaning
    assert columns["city_year_named", "province_zh"] == columns["cities", "province_zh"] == "Province in Chinese."


def test_views_and_comments_leave_the_file_the_same_to_the_byte(folder):
    assert database.write(folder).read_bytes() == database.write(folder).read_bytes()


def test_every_published_panel_of_a_study_is_described_with_its_key(paths):
    said = database.described(paths, overlay.studies(paths))
    for study in overlay.studies(paths):
        for panel in (study.name, *study.other_panels):
            assert said[f"panels.{panel}"].key == ("city_code", "year")
            assert study.title.en.rstrip(".") in said[f"panels.{panel}"].description
    assert said["quality.rejects"].columns["rule"] and said["panels.city_year"].columns["trade_share"]


def test_a_table_of_cities_is_described_column_by_column(paths):
    publication.begin(paths)
    publication.write_cities(paths.candidate)
    held = pd.read_parquet(paths.candidate / "data" / "panels" / "cities.parquet")
    assert list(database.declared()["panels.cities"].columns) == list(held.columns)

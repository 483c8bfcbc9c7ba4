"""The SQL prompt and the files that answers are written to."""

from __future__ import annotations

import duckdb
import pandas as pd
import pyreadstat
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dagster_project import answers, database, prompt
from dagster_project.prompt import Left, Prompt


@pytest.fixture
def talking(candidate):
    """A prompt on a publication with a panel whose columns have meanings and units."""
    folder = candidate(1)
    pd.DataFrame(
        {
            "study": "city_year",
            "column_name": ["gdp", "year"],
            "label_en": ["GDP", "Year"],
            "label_zh": ["地区生产总值", "年份"],
            "unit": ["10,000 yuan", ""],
            "definition": ["At current prices.", "Year that the values describe."],
            "is_sample": True,
        }
    ).to_parquet(folder / "data" / "panels" / "data_dictionary.parquet", index=False)
    about = {"panels.city_year": database.About("One row a city and year. More of it.", ("city_code", "year"))}
    with duckdb.connect(str(database.write(folder, database.declared() | about)), read_only=True) as connection:
        yield Prompt(connection)


def test_tables_are_listed_with_what_a_row_is(talking):
    said = talking.answer(".tables")
    assert [line.split()[0] for line in said.splitlines()] == [
        *("panels.city_year", "panels.data_dictionary", "panels.publication")
    ]
    assert "One row a city and year." in said and "More of it" not in said


@pytest.mark.parametrize("text", [".describe city_year", "describe panels.city_year;", "DESC city_year ;"])
def test_a_table_is_described_with_units_and_meanings(talking, text):
    lines = talking.answer(text).splitlines()
    assert lines[0].startswith("panels.city_year: SAMPLE DATA. One row a city and year.")
    assert lines[-1].split(maxsplit=4) == ["gdp", "double", "10,000", "yuan", "GDP / 地区生产总值. At current prices."]


def test_a_statement_of_sql_that_begins_alike_is_left_to_the_database(talking):
    assert "column_name" in talking.answer("describe select 1 as one;")


def test_the_last_answer_is_exported_with_labels(talking, tmp_path):
    with pytest.raises(ValueError, match="There is no answer yet"):
        talking.answer(f".export {tmp_path / 'x.dta'}")
    talking.answer("select year, gdp from panels.city_year order by city_code;")
    assert talking.answer(f".export {tmp_path / 'x.dta'}") == f"2 rows in {tmp_path / 'x.dta'} (SAMPLE DATA)"
    frame, about = pyreadstat.read_dta(str(tmp_path / "x.dta"))
    assert frame["gdp"].tolist()[0] == 1.0
    assert about.column_names_to_labels["gdp"] == "GDP / 地区生产总值 [10,000 yuan]"
    with pytest.raises(ValueError, match=r"x\.doc: the name must end in \.csv"):
        talking.answer(f".export {tmp_path / 'x.doc'}")


@pytest.mark.parametrize("suffix", answers.FORMATS)
def test_an_answer_is_the_same_bytes_each_time_in_every_format(talking, tmp_path, suffix):
    talking.answer("select * from panels.city_year order by city_code;")
    written = []
    for name in "ab":
        talking.answer(f".export {tmp_path / (name + suffix)}")
        written.append((tmp_path / (name + suffix)).read_bytes())
    assert written[0] == written[1]


def test_what_is_wrong_is_said_and_the_nearest_table_named(talking):
    for text, said in {
        ".describe city_yaer": "the nearest is city_year",
        ".nothing": "write one of .tables",
        "select absent from panels.city_year;": "absent",
        ";": "The query is empty",
    }.items():
        with pytest.raises(ValueError, match=said):
            talking.answer(text)
    with pytest.raises(Left):
        talking.answer(".quit")


def test_the_statement_that_made_a_table_is_shown(talking):
    assert talking.answer(".schema city_year").startswith("CREATE TABLE panels.city_year(city_code VARCHAR")


def test_names_are_completed_with_their_meaning(talking):
    words = talking.words()
    assert words["gdp"].startswith("SAMPLE DATA. GDP / 地区生产总值 [10,000 yuan]")
    assert {"select", ".export", "panels.city_year"} <= set(words)


def test_a_terminal_reads_over_lines_up_to_the_semicolon_and_remembers(talking, tmp_path):
    history = tmp_path / "home" / "sql_history"
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        read = prompt._terminal(talking, history)
        keys.send_text("select 1\r from panels.publication;\r")
        assert read() == "select 1\n from panels.publication;"
        keys.send_text(".tables\r")
        assert read() == ".tables"
    assert "+.tables" in history.read_text()

"""Yearbooks by their contract beside the bare reader of workbooks, and `adopt` and `read` beside pandas and json on the
same 10,000 rows. Processor seconds, of child processes too: other work on the machine must not decide.
"""

import csv
import os
import subprocess
import sys

import pandas as pd
import pytest
from processor import ran, spent

from analysis.simulation.sample import write_yearbooks
from analysis.simulation.world import draw_world
from dagster_project.ingest import contracts, tables, workbook, yearbooks
from dagster_project.paths import CONTRACTS, POLICIES, REFERENCE, ROOT

pytestmark = pytest.mark.benchmark
PILOTCITY = [sys.executable, "-m", "dagster_project.cli"]
BARE = """
import pickle, sys
from python_calamine import CalamineWorkbook
for path in sys.argv[1:]:
    book = CalamineWorkbook.from_path(path)
    pickle.dumps([book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names])
"""
#: Cells of a file as text, with their place, as JSON, and nothing known of any of them.
PLAIN = """
import json, sys
import pandas
rows = pandas.read_csv(sys.argv[1], dtype=str)
for column, name in enumerate(rows):
    for row, text in enumerate(rows[name]):
        print(json.dumps({"row": row, "column": column, "header": name, "text": text}))
"""
#: Times the bare reader's time that reading by a contract may take, and times the plain one's that a command may.
LIMIT, PLAIN_LIMIT = 1.5, 5


def test_yearbooks_are_read_within_the_limit_of_the_bare_reader(tmp_path, measured):
    text = {"city_code": str}
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype=text)
    clusters = pd.read_csv(POLICIES / "innovative_clusters.csv", dtype=text)
    write_yearbooks(draw_world(cities, clusters), tmp_path, range(2018, 2021), lambda line: None)
    files = sorted(tmp_path.glob("*.xlsx"))
    contract, units = contracts.load(CONTRACTS / "city_yearbook.yaml"), tables.unit_texts()

    def by_contract():
        for path in files:
            assert len(yearbooks.read(path, path.name, contract, units).cells) > 5_000
        workbook.end()  # only then is its time known

    def plainly():
        for path in files:  # in a process of its own each, as ours are
            subprocess.run([sys.executable, "-c", BARE, str(path)], check=True)

    ours, bare = spent(by_contract), spent(plainly)
    measured("yearbooks by contract, three workbooks", ours, "bare calamine, x 1.5", LIMIT * bare)
    assert ours <= LIMIT * bare


def test_adopt_and_read_take_a_few_times_as_long_as_a_plain_script_for_ten_thousand_rows(tmp_path, measured):
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype=str)
    path = tmp_path / "panel.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["city", "year", "gdp", "x", "y"])
        writer.writerows(
            [name, year, year * 1.5, number, number / 3]
            for number, name in enumerate(cities.name_zh)
            for year in range(1988, 2022)
        )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    plain = ran([sys.executable, "-c", PLAIN, str(path)], environment).seconds
    for command, said in (["adopt", "--yes"], ""), (["read", "--json"], '"rule": null'):
        made = ran([*PILOTCITY, command[0], str(path), *command[1:], "--own", str(tmp_path / "own")], environment)
        name = f"pilotcity {command[0]}, 10,098 rows"
        measured(name, made.seconds, f"pandas and json, x {PLAIN_LIMIT}", PLAIN_LIMIT * plain)
        assert not said or made.out.count(said) == 3 * 10_098
        assert made.seconds <= PLAIN_LIMIT * plain

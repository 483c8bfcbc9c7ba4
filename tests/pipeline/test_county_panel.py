"""The worked example of docs/county_panel.md, run as it is written: commands, their output, and what they publish."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from dagster_project.paths import ROOT

GUIDE = (ROOT / "docs" / "county_panel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", GUIDE, flags=re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
SAID = [text for kind, text in BLOCKS if not kind]
(YAML,) = (text for kind, text in BLOCKS if kind == "yaml")


class Example:
    """The commands of the guide, in folders of their own."""

    def __init__(self, folder: Path) -> None:
        self.own, self.data = folder / "own", folder / "data"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILOTCITY_", "DAGSTER_"))}
        self.environment = {**kept, "PILOTCITY_OWN": str(self.own), "PILOTCITY_DATA": str(self.data)}

    def run(self, command: str) -> str:
        arguments = [sys.executable, "-m", "dagster_project.cli", *command.split()[1:]]
        ran = subprocess.run(
            arguments, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Example:
    """The example as the guide has it, up to its publication."""
    made = Example(tmp_path_factory.mktemp("example"))
    draft, check, run, _ = COMMANDS
    assert made.run(draft).startswith(SAID[0])
    drafted = (made.own / "studies" / "county_reform.yaml").read_text(encoding="utf-8")
    assert "\nvariables: all\n" in drafted
    (made.own / "studies" / "county_reform.yaml").write_text(YAML, encoding="utf-8")
    assert made.run(check) == "No faults in 1 studies.\n"
    assert "Published in" in made.run(run)
    return made


def test_the_panel_is_published_under_the_files_own_names_with_the_effect_that_was_put_in(example) -> None:
    with duckdb.connect(str(example.data / "published" / "pilotcity.duckdb"), read_only=True) as connection:
        panel = connection.execute("select * from panels.county_reform order by county_code, year").df()
        (row,) = connection.execute(
            "select estimate, se, n, status, is_sample from estimates.estimates "
            "where exhibit = 'table_2' and model = '(2)' and term = 'reform'"
        ).fetchall()
    file = pd.read_csv(ROOT / "docs" / "examples" / "counties.csv")
    columns = ["county_code", "year", "reform", "ln_spending", "agriculture", "population", "county", "city"]
    pd.testing.assert_frame_equal(panel[columns], file[columns], check_dtype=False)
    assert panel["adoption"].isna().sum() == 36 * 13
    estimate, error, rows, status, is_sample = row
    assert abs(estimate - 0.2) < 3 * error
    assert (rows, status, is_sample) == (780, "ok", False)


def test_the_report_has_a_page_of_the_study_its_files_and_nothing_marked_as_sample(example) -> None:
    site = example.data / "reports"
    page = (site / "county_reform.html").read_text(encoding="utf-8")
    assert "60 units, 2004-2016, 780 rows, 24 treated units" in page
    assert "SAMPLE" not in page
    assert {path.suffix for path in (site / "exports").iterdir()} >= {".dta", ".csv", ".parquet", ".zip"}
    assert (site / "audit_county_reform.html").exists()
    stata = pd.read_stata(site / "exports" / "county_reform.dta")
    assert stata["county_code"].nunique() == 60


def test_every_value_is_traced_to_its_cell_as_the_guide_shows(example) -> None:
    assert example.run(COMMANDS[-1]).startswith(SAID[1])
    tree = json.loads(example.run(f"{COMMANDS[-1]} --json"))
    (cell,) = tree["inputs"][0]["inputs"]
    file = pd.read_csv(ROOT / "docs" / "examples" / "counties.csv", header=None, dtype=str)
    assert file.iloc[cell["row"] - 1, cell["column"] - 1] == cell["text"]
    began = json.loads(example.run("pilotcity trace county_reform adoption 130121 2004 --json"))
    (first,) = began["inputs"][0]["inputs"]
    assert file.iloc[first["row"] - 1, 3] == "2009"


def test_the_zip_computes_again_and_a_second_run_has_nothing_to_do(example) -> None:
    said = example.run(f"pilotcity replicate {example.data / 'reports' / 'exports' / 'county_reform.zip'}")
    assert re.search(r"All [\d,]+ figures of 6 tables and figures came out again\.", said)
    assert example.run("pilotcity run --studies county_reform").startswith("Nothing has changed")

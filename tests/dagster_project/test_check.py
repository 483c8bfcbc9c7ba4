"""`pilotcity check`: every fault of every file at once, with its place, for people and editors; and nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.studies.spec import catalogue
from dagster_project import cli
from dagster_project.paths import CONTRACTS, ROOT


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """An own folder with a fault of each kind of file, and two in one study."""
    for folder in ("studies", "contracts", "policies", "panels"):
        (tmp_path / folder).mkdir()
    text = (
        catalogue()["low_carbon_cities"].read_text(encoding="utf-8").replace("study: low_carbon_cities", "study: mine")
    )
    text = text.replace("kind: event_study", "kind: evnt_study").replace("  - {label: ", "  - {lable: ")
    (tmp_path / "studies" / "mine.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "studies" / "panel.yaml").write_text(
        "study: panel\ntitle: Panel\npanel: {file: panels/p.csv, unit: id, time: year, treatment: did}\n"
        "variables: all\noutcomes: [y]\nexhibits: standard\n",
        encoding="utf-8",
    )
    (tmp_path / "panels" / "p.csv").write_text("id,year,did,y\n1,2010,0,1\n1,2011,1,2\n1,2011,1,3\n2,2010,0,1\n")
    contract = (CONTRACTS / "road_area.yaml").read_text(encoding="utf-8")
    contract = contract.replace("source: road_area", "source: roads")
    contract = contract.replace("indicator: road_area", "indicator: rode_area")
    (tmp_path / "contracts" / "roads.yaml").write_text(contract, encoding="utf-8")
    (tmp_path / "policies" / "pilots.csv").write_text(
        "city_code,adoption,scope,source,certainty\n13010,2014,a,b,public record\n130100,soon,a,b,public record\n"
    )
    monkeypatch.setenv("PILOTCITY_OWN", str(tmp_path))
    return tmp_path


def checked(capsys, *arguments: str) -> tuple[int, list[dict]]:
    code = cli.main(["check", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_the_built_in_parts_have_no_fault(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PILOTCITY_OWN", str(tmp_path))
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out.startswith("No faults in 3 studies, ")


def test_every_fault_of_every_file_is_told_with_its_place_and_the_nearest_word(own, capsys) -> None:
    code, faults = checked(capsys)
    assert code == 1
    found = {(Path(fault["file"]).name, fault["line"], fault["key"], fault["nearest"]) for fault in faults}
    expected = {
        ("pilots.csv", 2, "city_code", "130100"),
        ("pilots.csv", 3, "adoption", None),
        ("panel.yaml", 4, "", None),
    }
    assert expected <= found
    assert {(file, near) for file, _, _, near in found} >= {
        ("mine.yaml", "event_study"),
        ("mine.yaml", "label"),
    }
    assert any(file == "roads.yaml" and key.endswith(".indicator") for file, _, key, _ in found)
    assert all(fault["file"].startswith(str(own)) for fault in faults)
    (twice,) = (fault["message"] for fault in faults if fault["file"].endswith("panel.yaml"))
    assert twice.startswith("p.csv, row 4: id 1 and year 2011 stand in row 3 already")


def test_named_files_are_checked_alone_and_an_unknown_name_says_the_nearest(own, capsys) -> None:
    code, faults = checked(capsys, "panel")
    assert code == 1
    assert {Path(fault["file"]).name for fault in faults} == {"panel.yaml"}
    assert checked(capsys, "low_carbon_cities") == (0, [])
    assert cli.main(["check", "pannel"]) == 1
    assert "No study, contract or list is called 'pannel'; the nearest is 'panel'." in capsys.readouterr().err


def test_a_name_that_stands_twice_is_a_fault_and_the_rest_is_checked(own, capsys) -> None:
    (own / "policies" / "smart_city.csv").write_text("city_code\n")
    _, faults = checked(capsys)
    assert any("'smart_city' stands twice" in fault["message"] for fault in faults)
    assert any(fault["file"].endswith("mine.yaml") for fault in faults)


def test_nothing_is_imported_that_checking_does_not_need(own) -> None:
    program = (
        "import sys; from dagster_project import cli; cli.main(['check']); "
        "print([name for name in ('dagster', 'dbt', 'scipy', 'matplotlib', 'duckdb', 'great_expectations') "
        "if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"

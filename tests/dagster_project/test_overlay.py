"""A user's own folder over the built-in parts: both are found, a name that stands twice is said with both places."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import xlsxwriter

from analysis.studies.spec import catalogue
from dagster_project import overlay
from dagster_project.paths import CATALOGUE, CONTRACTS, POLICIES, Paths, names

ROWS = [
    ("city_code", "name_zh", "adoption", "scope", "source", "certainty"),
    (110000, "北京市", 2013, "whole city", "NDRC 2011", "public record"),
    (120000, "天津市", 2013, "whole city", "NDRC 2011", "to be checked"),
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    own = tmp_path / "own"
    for folder in ("contracts", "policies", "studies", "panels"):
        (own / folder).mkdir(parents=True)
    return Paths(tmp_path / "data", tmp_path / "raw", is_sample=False, own=own)


def own_study(paths: Paths, name: str, policy: str = "low_carbon_cities") -> Path:
    text = catalogue()["low_carbon_cities"].read_text(encoding="utf-8")
    text = text.replace("study: low_carbon_cities", f"study: {name}")
    text = text.replace("policy: low_carbon_cities", f"policy: {policy}")
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("policy_scope"))
    target = paths.own / "studies" / f"{name}.yaml"
    target.write_text(text, encoding="utf-8")
    return target


def workbook(path: Path) -> None:
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    for at, row in enumerate(ROWS):
        sheet.write_row(at, 0, row)
    book.close()


def test_without_an_own_folder_there_are_the_built_in_parts(tmp_path) -> None:
    plain = Paths(tmp_path, tmp_path, is_sample=False, own=tmp_path / "nowhere")
    assert set(overlay.study_files(plain)) == set(catalogue())
    assert set(overlay.policy_files(plain)) == {path.stem for path in POLICIES.glob("*.csv")}
    assert set(overlay.contract_files(plain)) == {path.stem for path in CONTRACTS.glob("*.yaml")}


def test_own_studies_lists_and_contracts_stand_beside_the_built_in_ones(paths) -> None:
    workbook(paths.own / "policies" / "carbon_market.xlsx")
    own_study(paths, "market", policy="carbon_market")
    text = (CONTRACTS / "road_area.yaml").read_text(encoding="utf-8").replace("source: road_area", "source: my_roads")
    (paths.own / "contracts" / "my_roads.yaml").write_text(text, encoding="utf-8")
    found = {study.name: study for study in overlay.studies(paths)}
    assert set(found) == {*catalogue(), "market"}
    assert found["market"].to_check == (1, 2)
    assert {"my_roads", "road_area"} <= set(overlay.contracts(paths))


@pytest.mark.parametrize("name", ["../studies/low_carbon_cities.yaml", "policies/smart_city.csv"])
def test_a_name_that_stands_twice_is_said_with_both_places(paths, name) -> None:
    shutil.copy(catalogue()["low_carbon_cities"], paths.own / "studies" / "low_carbon_cities.yaml")
    shutil.copy(POLICIES / "smart_city.csv", paths.own / "policies" / "smart_city.csv")
    read = overlay.study_files if "studies" in name else overlay.policy_files
    with pytest.raises(ValueError, match="stands twice") as error:
        read(paths)
    folder = "analysis/studies" if "studies" in name else "data/policies"
    assert f"{folder}/{Path(name).name}" in str(error.value)
    assert str(paths.own) in str(error.value)


def test_one_list_in_two_kinds_of_file_stands_twice(paths) -> None:
    workbook(paths.own / "policies" / "market.xlsx")
    (paths.own / "policies" / "market.csv").write_text("city_code\n")
    with pytest.raises(ValueError, match=r"'market' stands twice: .*market\.csv and .*market\.xlsx"):
        overlay.policy_files(paths)


def test_own_indicators_are_added_and_one_that_stands_twice_is_said_with_both_lines(paths) -> None:
    head = (CATALOGUE / "indicators.csv").read_text(encoding="utf-8").splitlines()
    own = paths.own / "indicators.csv"
    own.write_text(f"{head[0]}\n{head[1].replace('gdp,', 'house_price,', 1)}\n", encoding="utf-8")
    found = overlay.catalogue(paths)
    assert list(found.indicators)[-1] == "house_price"
    assert len(found.indicators) == len(head)
    assert found.drawn["house_price"] == ("10,000 yuan", "Gross regional product")
    own.write_text(f"{head[0]}\n{head[1]}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"indicators\.csv, line 2: .*'gdp' stands twice, first in .*, line 2"):
        overlay.catalogue(paths)


def test_only_the_studies_that_were_asked_for_are_computed(paths) -> None:
    own_study(paths, "market")
    assert [study.name for study in overlay.studies(replace(paths, studies=("market",)))] == ["market"]
    with pytest.raises(ValueError, match="There is no study 'markte' to compute; the nearest is 'market'"):
        overlay.studies(replace(paths, studies=("markte",)))


def test_names_are_taken_from_a_list_with_commas() -> None:
    assert names(" b, a,,b ") == ("a", "b")
    assert names("") == ()


def test_the_environment_names_the_own_folder_and_the_studies(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PILOTCITY_OWN", str(tmp_path))
    monkeypatch.setenv("PILOTCITY_STUDIES", "b,a")
    found = Paths.from_environment()
    assert (found.own, found.studies) == (tmp_path, ("a", "b"))


def test_an_indicator_that_a_formula_of_a_study_names_becomes_a_column(paths) -> None:
    assert "deposits" not in overlay.catalogue(paths).columns
    path = own_study(paths, "market")
    text = path.read_text(encoding="utf-8")
    changed = text.replace("from: financial_depth", "formula: deposits / loans")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    found = overlay.catalogue(paths)
    assert {"deposits", "loans"} <= set(found.drawn)
    assert found.columns["deposits"].unit == "10,000 yuan"
    (study,) = [study for study in overlay.studies(paths) if study.name == "market"]
    assert {"deposits", "loans"} <= {name for variable in study.variables for name in variable.uses}

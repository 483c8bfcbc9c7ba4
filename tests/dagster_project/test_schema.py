"""`pilotcity schema`: schemas stand where files of the own folder look for them, and contracts keep to theirs."""

from __future__ import annotations

import copy
import json

import pytest
from jsonschema import Draft202012Validator

from analysis.documents import read
from dagster_project import cli
from dagster_project.ingest.contracts import contract_schema
from dagster_project.overlay import catalogue
from dagster_project.paths import CONTRACTS

CONTRACT = {path.stem: read(path, aliases=True).value for path in CONTRACTS.glob("*.yaml")}


@pytest.fixture
def own(paths, tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTCITY_OWN", str(tmp_path / "own"))
    return tmp_path / "own"


def test_schemas_are_written_where_new_studies_point_to(own, capsys):
    assert cli.main(["schema"]) == 0
    assert {path.name for path in (own / "schema").iterdir()} == {"study.json", "contract.json"}
    assert cli.main(["new-study", "carbon_market"]) == 0
    study = own / "studies" / "carbon_market.yaml"
    first = study.read_text(encoding="utf-8").splitlines()[0]
    pointed = study.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert pointed.resolve() == (own / "schema" / "study.json").resolve()
    capsys.readouterr()
    assert cli.main(["schema", "--of", "study"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert "carbon_market" in json.dumps(printed), "lists of the own folder are completed too"
    assert Draft202012Validator(printed).is_valid(read(study).value)


@pytest.fixture(scope="module")
def contract():
    from dagster_project.paths import Paths

    made = contract_schema(catalogue(Paths.from_environment()).indicators)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def test_every_contract_of_the_project_is_valid(contract):
    assert len(CONTRACT) >= 13
    for name, value in CONTRACT.items():
        assert [error.message for error in contract.iter_errors(value)] == [], name


@pytest.mark.parametrize(
    ("key", "value"),
    [("licens", "x"), ("kind", "yearbok"), ("priority", "high"), ("files", []), ("path", "x"), ("sha256", "x")],
)
def test_a_wrong_key_or_value_of_a_contract_is_refused(contract, key, value):
    assert not contract.is_valid({**CONTRACT["city_yearbook"], key: value})


def test_a_wrong_indicator_is_refused(contract):
    wrong = copy.deepcopy(CONTRACT["city_yearbook"])
    wrong["tables"][0]["columns"][0]["indicator"] = "no_such_indicator"
    assert not contract.is_valid(wrong)

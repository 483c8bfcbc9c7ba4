"""Every model and column that a reader meets is described, and the descriptions name what there is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from analysis import catalogue
from analysis.studies import spec
from dagster_project import models
from dagster_project.paths import DBT_PROJECT

#: What follows from the specifications, and is written before dbt reads its project.
WRITTEN = models.files(catalogue.load(), [spec.load(path) for path in spec.catalogue().values()])
MODELS = sorted(
    [path.stem for path in (DBT_PROJECT / "models").rglob("*.sql")]
    + [Path(name).stem for name in WRITTEN if name.endswith(".sql")]
)


@cache
def described() -> dict[str, dict]:
    """Model -> its entry in a yml of dbt/models."""
    found: dict[str, dict] = {}
    texts = [path.read_text(encoding="utf-8") for path in sorted((DBT_PROJECT / "models").rglob("*.yml"))]
    for text in [*texts, *(text for name, text in WRITTEN.items() if name.endswith(".yml"))]:
        for entry in YAML(typ="safe").load(text).get("models") or []:
            assert entry["name"] not in found, f"{entry['name']} is described twice"
            found[entry["name"]] = entry
    return found


def columns(model: str) -> dict[str, str]:
    return {column["name"]: column.get("description", "") for column in described()[model].get("columns") or []}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_described_with_its_grain(model):
    description = described().get(model, {}).get("description", "")
    assert description.startswith("One row "), f"{model} has no description that says what one row is"
    assert description.strip().endswith(".")


def test_no_description_is_of_a_model_that_does_not_exist():
    assert set(described()) == set(MODELS)


def test_every_column_that_a_study_may_draw_on_is_described_with_its_unit():
    documented = columns("city_year")
    drawn = catalogue.load().drawn
    assert not set(drawn) - set(documented)
    for column, (unit, _) in drawn.items():
        assert documented[column].lower().startswith(f"{unit.lower()}. "), f"{column}: {documented[column]}"


@pytest.mark.parametrize("model", MODELS)
def test_every_described_column_has_a_unit_or_meaning(model):
    for column, description in columns(model).items():
        assert len(description.strip()) > 3, column
        assert description.strip().endswith("."), column


def test_every_table_that_dbt_reads_is_described():
    path = Path(DBT_PROJECT / "models" / "sources.yml")
    for source in YAML(typ="safe").load(path)["sources"]:
        for table in source["tables"]:
            assert table.get("description", "").endswith("."), table["name"]


#: Models whose rows have no key of their own: records that count alike share one, and a row may be set aside twice.
WITHOUT_KEY = {"stg_patents", "stg_cases", "rejects"}


@pytest.mark.parametrize("model", [model for model in MODELS if model not in WITHOUT_KEY])
def test_every_row_has_a_key_that_is_tested(model):
    tests = described()[model].get("data_tests") or []
    assert any("is_key" in test for test in tests)


def named_tests(entry: dict) -> list:
    own = [test for column in entry.get("columns") or [] for test in column.get("data_tests") or []]
    return [*own, *(entry.get("data_tests") or [])]


@pytest.mark.parametrize("model", MODELS)
def test_every_test_has_a_name_that_says_what_it_checks(model):
    for test in named_tests(described()[model]):
        assert isinstance(test, dict), f"{model}: {test} has no name"
        (settings,) = test.values()
        assert settings["name"].startswith(f"{model}_"), f"{model}: {test}"


def test_the_report_is_known_to_dbt_with_every_panel_that_it_shows():
    (report,) = YAML(typ="safe").load(WRITTEN["report.yml"])["exposures"]
    shown = {name.removeprefix("ref('").removesuffix("')") for name in report["depends_on"]}
    assert {"city_year", "innovative_clusters", "ai_pilot_zones_long", "data_dictionary"} <= shown <= set(MODELS)


def test_a_panel_has_a_contract_that_names_and_types_every_column():
    for name in ("city_year", "ai_pilot_zones"):
        entry = described()[name]
        assert entry["config"]["contract"] == {"enforced": True}
        assert all(column["data_type"] for column in entry["columns"])

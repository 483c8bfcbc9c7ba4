"""Every model and column that a reader meets is described, and the descriptions name what there is."""

from __future__ import annotations

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

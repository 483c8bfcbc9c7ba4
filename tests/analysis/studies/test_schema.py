"""The JSON Schema of studies says what the reader says, as far as a schema can."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from analysis.documents import DocumentError, read
from analysis.studies import spec
from analysis.studies.new import TEMPLATE
from analysis.studies.schema import study_schema

STUDIES = {name: read(path).value for name, path in spec.catalogue().items()}
STUDY = STUDIES["low_carbon_cities"]


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    made = study_schema(spec.known())
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The study of low-carbon cities with one value changed."""
    study = copy.deepcopy(STUDY)
    at: Any = study
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return study


def test_every_study_of_the_project_is_valid(schema) -> None:
    for name, study in STUDIES.items():
        assert [error.message for error in schema.iter_errors(study)] == [], name


def test_the_template_and_a_study_from_a_file_are_valid(schema) -> None:
    text = read(TEMPLATE / "study.yaml").value
    text["policy"] = "low_carbon_cities"
    assert [error.message for error in schema.iter_errors(text)] == []
    study = {
        "study": "thesis",
        "title": "A thesis",
        "panel": {"file": "panels/thesis.dta", "unit": "县", "time": "年份", "treatment": "did"},
        "variables": "all",
        "outcomes": ["log(pcap)"],
        "exhibits": "standard",
    }
    assert [error.message for error in schema.iter_errors(study)] == []
    assert not schema.is_valid({**study, "policies": []})
    assert not schema.is_valid({**study, "panel": {"file": "x.dta", "unit": "i"}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("titel",), "x"),
        (("policy",), "low_carbon_city"),
        (("sample", "cities"), "panel_285"),
        (("sample", "years"), [2006]),
        (("variables", 0, "rolle"), "control"),
        (("variables", 0, "role"), "contrl"),
        (("variables", 0, "lag"), -1),
        (("exhibits", "table_2", "kind"), "regresion"),
        (("exhibits", "table_2", "columns", 0, "method"), "two_ways"),
        (("exhibits", "table_2", "columns", 0, "options"), {"drws": 50}),
        (("exhibits", "table_2", "columns", 0), {"label": "x", "method": "wild_bootstrap", "options": {"draw": 50}}),
        (("exhibits", "table_2", "columns", 0, "sample"), {"exclude_cities": [110001]}),
        (("exhibits", "figure_1", "leads"), "three"),
        (("exhibits", "figure_2", "baseline", "options"), {"draws": 0}),
        (("exhibits", "figure_2", "columns", 0, "options"), {"drws": 5}),
        (("exhibits",), "usual"),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(schema, tmp_path, path, value) -> None:
    study = changed(*path, to=value)
    assert not schema.is_valid(study)
    file = tmp_path / "low_carbon_cities.yaml"
    file.write_text(json.dumps(study, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(DocumentError, match=f"(?s)line 1.*{path[-1] if isinstance(path[-1], str) else ''}"):
        spec.load(file)

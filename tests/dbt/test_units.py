"""dbt's own unit tests, which stand beside the models: a few rows in, the rows out by hand."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML

from dagster_project.paths import DBT_PROJECT

pytestmark = pytest.mark.xdist_group("dbt")


def declared() -> set[str]:
    """Every unit test beside a model."""
    files = (DBT_PROJECT / "models").rglob("*.yml")
    return {test["name"] for path in files for test in YAML(typ="safe").load(path).get("unit_tests") or []}


def test_every_model_makes_of_a_few_rows_what_was_worked_out_by_hand(without_files):
    _, said = without_files
    assert len(declared()) >= 6
    assert declared() <= set(re.findall(r"PASS (?:\S+::)?(\w+) ", said))

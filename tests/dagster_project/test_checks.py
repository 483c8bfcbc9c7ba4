"""A check reports on each asset what is about it, names the rows and says what to do; nothing is compared in vain."""

from __future__ import annotations

import json

import dagster as dg
import duckdb
import pandas as pd
import pytest

from dagster_project import checks
from dagster_project.paths import Paths
from dagster_project.resources import warehouse

SOURCES = {name: dg.AssetKey(["raw", name]) for name in ("one", "two", "three")}


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(tmp_path, tmp_path / "raw", is_sample=False)


def files(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Three good files of one source, two of another, of which one is empty and one was read twice."""
    frame = pd.DataFrame({"source": [*["one"] * 3, *["two"] * 2], "file": [*"abcde"], "cells": [9, 9, 9, 0, 9]})
    return frame.assign(not_as_promised=0, same_content=0, read_twice=[0, 0, 0, 0, 2])


def results(paths: Paths) -> dict[tuple[str, str], dg.AssetCheckResult]:
    """The check run as a step of its own, its results by source and name."""

    def rules(frame):
        from expectations import raw

        return raw.files()

    suite = checks.Suite("raw.files", "One row a file.", ("source", "file"), files, rules, "source")
    check = checks.definition(paths, "raw", SOURCES, [suite])
    with dg.DagsterInstance.ephemeral() as instance:
        assets = [dg.AssetSpec(key) for key in SOURCES.values()]
        jobs = [dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())]
        job = dg.Definitions(assets=assets, asset_checks=[check], jobs=jobs).resolve_job_def("checks")
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        events = done.get_asset_check_evaluations()
    return {(event.asset_key.path[-1], event.check_name): event for event in events}


def test_each_asset_gets_the_rows_that_are_its_own(paths):
    found = results(paths)
    assert {key for key, result in found.items() if not result.passed} == {("two", "must_hold"), ("two", "should_hold")}
    assert found["two", "must_hold"].severity == dg.AssetCheckSeverity.ERROR
    assert found["two", "should_hold"].severity == dg.AssetCheckSeverity.WARN
    assert found["three", "must_hold"].description.startswith("Nothing of this source was found")
    assert not found["one", "should_hold"].description


def test_a_failure_names_the_rule_the_row_and_what_to_do(paths):
    found = results(paths)["two", "must_hold"]
    assert found.description.startswith(
        "no place of a file is read twice: 1 of 2 rows (first: source two, file e, read_twice 2). Two tables"
    )
    shown = found.metadata["raw.files: no place of a file is read twice"].value
    assert "| two" in shown
    assert "narrow their sheets" in shown
    assert "| one" not in shown


def test_a_check_carries_numbers_that_can_be_drawn_over_time(paths):
    found = results(paths)
    numbers = {name: value.value for name, value in found["two", "must_hold"].metadata.items() if name != "rules"}
    assert (numbers["failing rules"], numbers["failing rows"], numbers["rows"]) == (1, 1, 2)
    assert numbers["share failing"] == 0.5
    assert found["one", "must_hold"].metadata["share failing"].value == 0.0


def test_outcomes_are_listed_for_the_report(paths):
    results(paths)
    table = checks.checks_table(paths).set_index("rule")
    assert table.holds.tolist() == ["NO", "no (warning)", "yes", "yes", "yes"]
    assert (table.table == "raw.files").all()
    assert table.holds["no place of a file is read twice"] == "NO"
    assert table.holds["a file holds values"] == "no (warning)"
    assert table.holds["a file is read once"] == "yes"


def publish(paths: Paths, is_sample: bool, frame: pd.DataFrame) -> None:
    folder = paths.published / "data" / "panels"
    folder.mkdir(parents=True)
    (paths.published / "publication.json").write_text(json.dumps({"is_sample": is_sample}))
    frame.to_parquet(folder / "p.parquet")


def panel() -> pd.DataFrame:
    return pd.DataFrame({"city_code": [*"aabb"], "year": [2010, 2011] * 2, "x": [1.0, 2.0, 3.0, 4.0]})


def drift(paths: Paths) -> pd.DataFrame | str:
    with warehouse(paths) as connection:
        connection.register("now", panel())
        connection.execute("create schema if not exists panels; create or replace table panels.p as select * from now")
        return checks.drift_suite(paths, "p", ("city_code", "year")).frame(connection)


def test_nothing_published_is_nothing_to_compare_with(paths):
    assert drift(paths) == "Nothing is published yet, so there is nothing to compare with."


def test_sample_data_are_not_compared_with_real_ones(paths):
    publish(paths, True, panel())
    assert "sample data" in drift(paths)


def test_a_panel_is_compared_with_the_last_publication(paths):
    publish(paths, False, panel().assign(x=lambda f: f.x * 2))
    compared = drift(paths)
    assert compared.column.tolist() == ["x"]
    assert compared.unchanged.tolist() == [0]


def test_a_panel_that_has_not_moved_says_the_same_whatever_was_published_before(paths):
    publish(paths, False, panel().sample(frac=1, random_state=1))
    assert drift(paths) == "Nothing in panels.p has moved since the last publication."

"""What every run shares: what is tried again and what is not, whose dead runs are buried, what the gate refuses."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from types import SimpleNamespace

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.test_utils import create_run_for_test

from dagster_project import executor
from dagster_project.assets import publish
from dagster_project.paths import ROOT
from dagster_project.resources import WarehouseBusy, retried, warehouse


def attempts(error: Exception, failures: int) -> tuple[bool, int]:
    """Whether a step succeeds that fails so many times, and how often it was tried."""
    tried = []

    @dg.asset
    def step() -> None:
        tried.append(1)
        with retried(attempts=3, first_wait=0.01):
            if len(tried) <= failures:
                raise error

    return dg.materialize([step], raise_on_error=False).success, len(tried)


def test_a_locked_warehouse_is_tried_again_and_bad_data_are_not():
    assert attempts(WarehouseBusy("another program has it open"), 2) == (True, 3)
    assert attempts(RuntimeError("dbt: IO Error: Could not set lock on file"), 1) == (True, 2)
    assert attempts(WarehouseBusy("for ever"), 99) == (False, 4)
    assert attempts(ValueError("a share above one"), 1) == (False, 1)


def test_outside_a_step_a_locked_warehouse_is_an_error_at_once():
    with pytest.raises(WarehouseBusy), retried():
        raise WarehouseBusy("another program has it open")


def test_runs_of_dead_processes_are_buried_and_of_living_ones_left_alone():
    with dg.DagsterInstance.ephemeral() as instance:
        mine = executor.this_process()
        reused = " ".join([str(os.getpid()), "1", *mine.split()[2:]])  # the number is in use again, by another process
        tags = {"mine": mine, "dead": "4194304 1 boot", "reused": reused}
        made = {
            name: create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags={executor.PID_TAG: process})
            for name, process in tags.items()
        }
        assert set(executor.bury_dead_runs(instance)) == {made["dead"].run_id, made["reused"].run_id}
        assert instance.get_run_by_id(made["mine"].run_id).status is dg.DagsterRunStatus.STARTED
        assert instance.get_run_by_id(made["dead"].run_id).status is dg.DagsterRunStatus.FAILURE


def test_only_a_run_of_the_job_of_everything_is_whole_and_sets_out_for_new_tables(paths, monkeypatch):
    """What a schedule starts has no selection either, but its job takes in a few sources: more must follow it."""
    began = []
    monkeypatch.setattr(executor, "prepare", lambda paths, instance: None)
    monkeypatch.setattr(executor.refresh, "set_out", lambda paths, run: began.append(run))
    monkeypatch.setattr(InProcessExecutor, "execute", lambda *context: iter(()))
    whole = {}
    with dg.DagsterInstance.ephemeral() as instance:
        selected = frozenset({dg.AssetKey("raw")})
        for job, selection in ((executor.REFRESH, None), (executor.REFRESH, selected), ("look_at_records", None)):
            run = create_run_for_test(instance, job_name=job, asset_selection=selection)
            context = SimpleNamespace(instance=instance, dagster_run=run)
            list(executor.OneAtATime(paths).execute(context, None))
            made = instance.get_run_by_id(run.run_id)
            whole[job, selection] = (executor.WHOLE.items() <= made.tags.items(), run.run_id in began)
    assert list(whole.values()) == [(True, True), (False, False), (False, False)]


def test_a_warehouse_that_is_whole_or_only_locked_is_left_in_its_place(paths):
    with warehouse(paths) as connection:
        connection.execute("create table kept as select 1 as x")
    assert executor.check_warehouse(paths) is None
    assert executor.set_aside_if_damaged(paths, "IO Error: Could not set lock on file") is None
    assert paths.warehouse.exists()


def test_a_damaged_warehouse_is_set_aside_with_its_journal(paths):
    paths.warehouse.parent.mkdir(parents=True)
    paths.warehouse.write_bytes(b"no database" * 1000)
    paths.warehouse.with_name("pilotcity.duckdb.wal").write_bytes(b"x")
    said = executor.check_warehouse(paths)
    assert "kept as pilotcity.damaged.duckdb" in said
    assert {path.name for path in paths.warehouse.parent.iterdir()} == {
        "pilotcity.damaged.duckdb",
        "pilotcity.damaged.duckdb.wal",
    }
    duckdb.connect(str(paths.warehouse)).close()


def test_the_gate_holds_where_the_candidate_is_materialised_alone(paths, monkeypatch):
    columns = ["table", "rule", "holds", "observed"]
    outcomes = [("panels.city_year", "one row a city and year", "NO", "3 rows"), ("panels.x", "few gaps", "NO", "many")]
    monkeypatch.setattr(publish, "checks_table", lambda paths: pd.DataFrame(outcomes[:1], columns=columns))
    with pytest.raises(ValueError, match="one row a city and year"):
        publish._refuse_what_failed(paths, {"panels.city_year"})
    # what was found of a table that is no longer published stops nothing
    monkeypatch.setattr(publish, "checks_table", lambda paths: pd.DataFrame(outcomes[1:], columns=columns))
    publish._refuse_what_failed(paths, {"panels.city_year"})


#: What of Dagster is not public stands in these two modules alone, and was tried with this version: an executor that
#: wraps the steps of another, and a question to the code server.
TRIED_WITH, PRIVATE = "1.13.27", {"executor.py", "serve.py"}


def test_what_is_private_to_dagster_stands_in_two_modules_and_was_tried_with_the_version_at_hand():
    found = {
        path.name
        for path in (ROOT / "dagster_project").rglob("*.py")
        if re.search(r"(?m)^\s*(?:from|import) dagster\._", path.read_text(encoding="utf-8"))
    }
    assert found == PRIVATE
    assert version("dagster") == TRIED_WITH, "try executor.py and serve.py with this version, then name it here"

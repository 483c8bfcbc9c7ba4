"""What kept tables bring with them."""

from __future__ import annotations

import pytest

from dagster_project import tables
from dagster_project.store import Store


@pytest.fixture
def found(paths):
    """Outcomes of checks on the warehouse, on a panel of it and on a panel from a file."""
    folder = paths.expectations_store / tables.OUTCOMES
    folder.mkdir(parents=True)
    for name in ("staging.stg_yearbook", "panels.zones", "panels.towns", "panels.towns_drift"):
        (folder / f"{name}.json").write_text("passed")
    return folder


def test_tables_bring_the_outcomes_of_their_own_checks_whatever_came_between(paths, found):
    store, data, candidate = Store(paths), paths.data / "given", paths.data / "candidate"
    data.mkdir()
    (data / "zones.parquet").write_bytes(b"rows")
    tables.keep(paths, store, "v", data, {"towns"})
    for name in ("staging.stg_yearbook", "panels.zones", "panels.towns"):
        (found / f"{name}.json").write_text("failed")
    (found / "panels.zones_drift.json").write_text("failed")
    assert tables.take(paths, store, "v", candidate, {"towns"})
    assert (candidate / "data" / "zones.parquet").read_bytes() == b"rows"
    assert {path.name.removesuffix(".json"): path.read_text() for path in found.iterdir()} == {
        "staging.stg_yearbook": "passed",
        "panels.zones": "passed",
        # a file's panel is checked in each run
        "panels.towns": "failed",
        "panels.towns_drift": "passed",
    }


def test_tables_of_other_inputs_are_not_taken(paths, found):
    assert not tables.take(paths, Store(paths), "v", paths.data / "candidate", ())
    assert len(list(found.iterdir())) == 4

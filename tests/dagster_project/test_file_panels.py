"""Panels from files beside a warehouse: in the candidate with files, rejects and notes, and not marked as sample."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dagster_project import downloads, file_panels, overlay
from dagster_project.exhibits import is_sample
from dagster_project.paths import Paths

YAML = """\
study: towns
title: Towns
panel: {file: panels/towns.csv, unit: town, time: year, treatment: did}
variables: all
outcomes: [y]
exhibits: standard
"""
ROWS = [
    (town, year, int(town == 1 and year > 2011), town + year / 10) for town in (1, 2, 3) for year in range(2010, 2014)
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A study from a file, one row of which has no treatment, beside a sample world."""
    own = tmp_path / "own"
    for folder in ("studies", "panels"):
        (own / folder).mkdir(parents=True)
    (own / "studies" / "towns.yaml").write_text(YAML)
    frame = pd.DataFrame([*ROWS, (4, 2010, None, 1.0)], columns=["town", "year", "did", "y"])
    frame.to_csv(own / "panels" / "towns.csv", index=False)
    return Paths(tmp_path / "data", tmp_path / "data" / "sample", is_sample=True, own=own, studies=("towns",))


def test_a_panel_reaches_the_candidate_with_the_places_of_its_rows(paths, tmp_path) -> None:
    (study,) = overlay.studies(paths)
    file_panels.make(paths, study)
    candidate = tmp_path / "candidate"
    assert file_panels.add(paths, candidate, [study]) == {"panels.towns": 12}
    panel = pd.read_parquet(candidate / "data" / "panels" / "towns.parquet")
    assert panel.columns.tolist() == ["town", "year", "adoption", "did", "y"]
    rows = pd.read_parquet(candidate / "data" / "lineage" / "panel_towns.parquet")
    assert rows["file_row"].tolist() == list(range(2, 14))
    (ledger,) = pd.read_parquet(candidate / "data" / "quality" / "files.parquet").to_dict("records")
    assert (ledger["file"], ledger["source"], ledger["rows"], ledger["reader_rejects"]) == (
        "panels/towns.csv",
        "towns",
        13,
        1,
    )
    (reject,) = pd.read_parquet(candidate / "data" / "quality" / "rejects.parquet").to_dict("records")
    assert (reject["rule"], reject["row"], reject["column"]) == ("no_treatment", 14, "did")
    assert "1 of 13 rows of towns.csv are set aside" in file_panels.described(candidate, study).note.en


def test_what_the_warehouse_has_of_files_and_rejects_stays(paths, tmp_path) -> None:
    (study,) = overlay.studies(paths)
    file_panels.make(paths, study)
    quality = tmp_path / "candidate" / "data" / "quality"
    quality.mkdir(parents=True)
    held = pd.DataFrame({"file": ["a.xlsx"], "source": ["yearbook"], "sha256": ["x"], "bytes": [1], "sheets": [1]})
    held.to_parquet(quality / "files.parquet", index=False)
    file_panels.add(paths, tmp_path / "candidate", [study])
    assert pd.read_parquet(quality / "files.parquet")["file"].tolist() == ["a.xlsx", "panels/towns.csv"]


def test_nothing_of_it_is_marked_as_sample_beside_a_sample_world(paths, tmp_path) -> None:
    (study,) = overlay.studies(paths)
    assert not is_sample(paths, study)
    file_panels.make(paths, study)
    candidate = tmp_path / "candidate"
    file_panels.add(paths, candidate, [study])
    (candidate / "publication.json").write_text(json.dumps({"is_sample": True}))
    dictionary = downloads.complete_dictionary(paths, candidate, [study])
    assert not dictionary["is_sample"].any()
    assert dictionary.set_index("column_name").loc["y", ["role", "sources"]].tolist() == ["outcome", "panels/towns.csv"]


def test_a_file_that_cannot_be_a_panel_any_more_leaves_what_was_made_before(paths) -> None:
    (study,) = overlay.studies(paths)
    file_panels.make(paths, study)
    before = file_panels.panel(paths, "towns")
    file = paths.own / "panels" / "towns.csv"
    file.write_text(file.read_text() + "1,2010,0,5\n")
    with pytest.raises(ValueError, match="stand in row 2 already"):
        file_panels.make(paths, study)
    pd.testing.assert_frame_equal(file_panels.panel(paths, "towns"), before)
    assert [path.name for path in file_panels.folder(paths, "towns").parent.iterdir()] == ["towns"]

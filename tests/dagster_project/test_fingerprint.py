"""What counts as a change: the content of anything that decides a result, and nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dagster_project import fingerprint as module
from dagster_project.fingerprint import changed, files_below, fingerprint
from dagster_project.paths import CODE, Paths

INPUTS = {
    "analysis/studies/innovative_clusters.yaml": "code",
    "analysis/did/regression.py": "code",
    "dagster_project/cli.py": "code",
    "dbt/macros/study_panel.sql": "code",
    "expectations/panels.py": "code",
    "data/catalogue/indicators.csv": "code",
    "data/contracts/city_yearbook.yaml": "code",
    "data/policies/innovative_clusters.csv": "code",
    "data/reference/cities.csv": "code",
    "docs/economist.md": "code",
    "requirements.lock": "lock",
    "own/studies/thesis.yaml": "own",
    "own/panels/thesis.dta": "own",
    "raw/yearbook/2012年地级市统计年鉴.xlsx": "raw",
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A small copy of the project's layout in the place of the project."""
    for name in INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    return tmp_path


@pytest.fixture
def published(root) -> Paths:
    """An installation whose publication was made from these inputs."""
    paths = Paths(root / "out", root / "raw", is_sample=False, own=root / "own")
    for folder in (paths.published, paths.reports):
        folder.mkdir(parents=True)
    (paths.reports / "index.html").touch()
    (paths.published / "fingerprint.json").write_text(json.dumps(fingerprint(paths)))
    return paths


def test_nothing_has_changed_after_a_publication(published):
    assert changed(published) == []


@pytest.mark.parametrize(("name", "kind"), INPUTS.items())
def test_a_changed_input_is_seen_and_said_to_be_of_its_kind(root, published, name, kind):
    (root / name).write_text("other")
    assert changed(published) == [kind]


@pytest.mark.parametrize(("name", "kind"), INPUTS.items())
def test_a_touched_input_is_no_change(root, published, name, kind):
    os.utime(root / name, (1, 1))
    assert changed(published) == []


def test_a_file_added_removed_or_renamed_is_a_change(root, published):
    raw = root / "raw" / "yearbook" / "2012年地级市统计年鉴.xlsx"
    (raw.parent / "new.csv").touch()
    assert changed(published) == ["raw"]
    (raw.parent / "new.csv").unlink()
    raw.rename(raw.with_name("2013年地级市统计年鉴.xlsx"))
    assert changed(published) == ["raw"]
    raw.with_name("2013年地级市统计年鉴.xlsx").unlink()
    assert changed(published) == ["raw"]


def test_what_programs_leave_behind_is_no_change(root, published):
    for name in (
        "analysis/__pycache__/x.pyc",
        "dbt/target/manifest.json",
        "dbt/logs/dbt.log",
        "dbt/.user.yml",
        "raw/.DS_Store",
        "raw/yearbook/~$2012年地级市统计年鉴.xlsx",  # Excel's lock beside a workbook that is open
        "raw/yearbook/._2012年地级市统计年鉴.xlsx",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("left behind")
    assert changed(published) == []


def test_another_raw_folder_is_a_change_even_with_the_same_files(root, published):
    (root / "raw").rename(root / "raw2")
    assert changed(replace(published, raw=root / "raw2")) == ["raw"]


def test_other_studies_to_compute_are_a_change(published):
    assert changed(replace(published, studies=("thesis",))) == ["own"]


def test_everything_has_changed_where_nothing_is_published_or_the_report_is_gone(published):
    (published.reports / "index.html").unlink()
    assert changed(published) == ["raw", "own", "code", "lock"]


def test_every_folder_that_decides_a_result_is_watched():
    assert set(CODE) == {
        name.rsplit("/", 1)[0] if name.startswith("data/") else name.split("/")[0] for name in INPUTS
    } - {
        "raw",
        "own",
        "requirements.lock",
    }


def test_files_come_in_order_and_a_missing_folder_has_none(root):
    (root / "raw" / "a.csv").touch()
    found = files_below(root / "raw")
    assert found == sorted(found)
    assert len(found) == 2
    assert files_below(root / "nowhere") == []

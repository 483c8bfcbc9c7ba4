"""What changed between publications on disk, and what is kept of those that are gone."""

import gzip
import json
import shutil
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest

from dagster_project import comparing, history, publication, state
from dagster_project.commands import diff
from dagster_project.paths import Paths

ESTIMATES = ["study", "exhibit", "model", "term", "estimate", "se", "p", "status", "reason"]


def make(paths: Paths, version: str, gdp: float, failing: int = 0) -> Path:
    """A candidate of a panel of two cities, with one rule that was checked, compared with what is published."""
    outcome = {"name": "panels.city_year", "about": "", "rows": 2}
    rule = {"rule": "a rule", "blocking": False, "passed": not failing, "observed": "", "broken": failing}
    moved = {"rule": "no fewer rows than in the last publication", "blocking": False, "passed": False, "broken": 0}
    store = paths.expectations_store / "outcomes"
    store.mkdir(parents=True, exist_ok=True)
    (store / "panels.city_year.json").write_text(json.dumps({**outcome, "rules": [rule, moved]}))
    folder = publication.begin(paths)
    about = {"version": version, "is_sample": True, "raw_sha256": version, "code_sha256": "c", "lock_sha256": "l"}
    state.write_json(folder / "publication.json", about)
    tables = {
        "panels/city_year": pd.DataFrame({"city_code": ["330500", "110000"], "year": 2016, "gdp": [gdp, 2.0]}),
        "quality/files": pd.DataFrame(
            [("a.xlsx", "s", f"{gdp}", 9, 4)], columns=["file", "source", "sha256", "rows", "cells"]
        ),
        "quality/rejects": pd.DataFrame([("tenfold", "330500", 2016)], columns=["rule", "city_code", "year"]),
        "estimates/estimates": pd.DataFrame(columns=ESTIMATES),
    }
    for name, table in tables.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / "data" / f"{name}.parquet", index=False)
    (folder / "site").mkdir()
    comparing.write(paths, folder, [])
    return folder


def publish(paths: Paths, version: str, gdp: float, failing: int = 0) -> Path:
    make(paths, version, gdp, failing)
    return paths.publications / str(publication.publish(paths))


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "data" / "quality" / f"{name}.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("history") / "data"
    paths = Paths(data, data / "sample", is_sample=True)
    publish(paths, "first", 1.0)
    publish(paths, "second", 1.5, failing=2)
    return data


@pytest.fixture
def two(made, paths) -> Paths:
    """An installation with two publications."""
    shutil.copytree(made, paths.data, symlinks=True)
    return paths


def test_the_first_publication_says_that_nothing_came_before(paths):
    found = table(publish(paths, "first", 1.0), "changes")
    assert found["part"].tolist() == ["note"]
    assert "first publication" in found["message"][0]


def test_a_publication_carries_what_changed_since_the_one_before(two):
    found = table(two.published, "changes")
    assert set(found["publication"]) == {"second"}
    assert set(found["before"]) == {"first"}
    value = found[found["part"] == "value"].iloc[0]
    assert (value["item"], value["city_code"], value["old"], value["new"]) == ("gdp", "330500", 1.0, 1.5)
    assert found.loc[found["part"] == "check", "change"].tolist() == ["newly broken"]


def test_checks_are_kept_of_every_publication_and_rules_about_the_last_one_are_none(two):
    checks = table(two.published, "checks")
    assert checks.columns.tolist() == list(history.CHECKS)
    assert checks["rule"].tolist() == ["a rule", "a rule"]
    assert checks["publication"].tolist() == ["first", "second"]
    assert checks["failing"].tolist() == [0, 2]
    assert checks["passed"].tolist() == [True, False]


def test_the_same_inputs_say_the_same_of_their_history_to_the_byte(two):
    before = {
        name: (two.published / "data" / "quality" / f"{name}.parquet").read_bytes() for name in ("changes", "checks")
    }
    again = publish(two, "second", 1.5, failing=2)
    assert again.name == "3"
    for name, content in before.items():
        assert (again / "data" / "quality" / f"{name}.parquet").read_bytes() == content
    assert [entry["version"] for entry in history.read(two)[0]] == ["first", "second"]


def test_history_outlives_the_publications(two):
    shutil.rmtree(two.publications)
    two.published.unlink()
    folder = publish(two, "third", 2.0)
    assert table(folder, "checks")["publication"].tolist() == ["first", "second", "third"]
    trends = json.loads((folder / history.FOLDER / history.TRENDS).read_text())
    assert [entry["failing"] for entry in trends["trends"]] == [0, 2, 0]
    assert sum(path.stat().st_size for path in history.folder(two).iterdir()) < 3 * 4096


def test_history_that_is_damaged_or_absent_is_made_again_from_the_publications(two):
    kept = sorted(history.folder(two).iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:-9])
    kept[1].unlink()
    entries, lost = history.read(two)
    assert [entry["version"] for entry in entries] == ["first", "second"]
    assert lost == []


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"[]", mtime=0), gzip.compress(b'{"order": 1}', mtime=0)], ids=repr
)
def test_history_that_is_damaged_and_gone_elsewhere_is_left_out_with_a_sentence(two, content):
    sorted(history.folder(two).iterdir())[0].write_bytes(content)
    shutil.rmtree(two.publications / "1")
    entries, lost = history.read(two)
    assert [entry["version"] for entry in entries] == ["second"]
    assert lost == ["The summary 000001-first.json.gz of an earlier publication is damaged and is left out."]
    assert json.loads((make(two, "third", 3.0) / history.FOLDER / history.TRENDS).read_text())["lost"] == lost


def test_nothing_is_compared_with_a_damaged_publication(two):
    (two.published / "data" / "panels" / "city_year.parquet").write_bytes(b"short")
    found = table(make(two, "third", 3.0), "changes")
    assert "Publication 2 is damaged (data/panels/city_year.parquet" in found["message"][0]


def test_diff_prints_two_publications_by_number_and_as_json(two, capsys, monkeypatch):
    monkeypatch.setattr("dagster_project.overlay.studies", lambda paths: [])
    assert diff.main(two, Namespace(old=None, new=None, json=False)) == 0
    said = capsys.readouterr().out
    assert said.startswith("SAMPLE DATA")
    assert "Publication 1 -> 2: 1 file changed; 1 value of panels; " in said
    assert "changed city_year, gdp, 330500, 2016: 1 -> 1.5" in said
    assert diff.main(two, Namespace(old=2, new=1, json=True)) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["old"], plain["new"]) == (2, 1)
    assert [(row["change"]) for row in plain["changes"] if row["part"] == "check"] == ["mended"]


def test_diff_says_which_publications_there_are(two):
    with pytest.raises(ValueError, match=r"There is no publication 7; there are 1, 2\."):
        diff.main(two, Namespace(old=1, new=7, json=False))
    with pytest.raises(ValueError, match="No publication before 1 is kept"):
        diff.main(two, Namespace(old=None, new=1, json=False))

"""Files that decide something: as before after a failed write, on the disk before they count, absent if torn."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from dagster_project import fingerprint, publication, state, tables, verification
from dagster_project.resources import prepare_instance


def test_a_file_is_written_beside_its_place_brought_to_the_disk_and_renamed(tmp_path, monkeypatch):
    steps: list[str] = []

    def noted(name: str, original):
        def step(*arguments):
            place = arguments[0]
            what = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(place)
            steps.append(f"{name} {'folder' if what.is_dir() else 'beside' if what.suffix == '.new' else what.name}")
            return original(*arguments)

        return step

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("replace", Path.replace))
    state.write(tmp_path / "x.json", "{}")
    assert steps == ["fsync beside", "replace beside", "fsync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside_it(tmp_path, monkeypatch):
    state.write(tmp_path / "x.json", "before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state.write(tmp_path / "x.json", "after")
    assert (tmp_path / "x.json").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b'{"a": 1', b"[1]", b'"text"', b"\xff\xfe{}", b"null"])
def test_what_is_torn_is_told_once_and_taken_as_absent(tmp_path, capsys, content):
    (tmp_path / "x.json").write_bytes(content)
    assert state.read_json(tmp_path / "x.json") == {}
    said = capsys.readouterr().err
    assert f"{tmp_path / 'x.json'} cannot be read" in said and said.endswith("It is taken as absent.\n")
    assert state.read_json(tmp_path / "x.json") == {}
    assert capsys.readouterr().err == ""


def test_what_is_absent_is_no_news(tmp_path, capsys):
    assert state.read_json(tmp_path / "x.json") == {}
    assert state.read_text(tmp_path / "stamp") == ""
    assert capsys.readouterr().err == ""


def test_a_whole_folder_is_brought_to_the_disk_or_the_reason_is_told(tmp_path):
    state.sync_all_below(tmp_path)
    with pytest.raises(OSError):
        state.sync_all_below(tmp_path / "nowhere")


@dg.asset
def one() -> None: ...


#: Every file that decides something, below the data folder.
STATE = (
    "publications/2/fingerprint.json",
    "publications/2/publication.json",
    "publications/2/checksums.json",
    "publications/candidate.json",
    "publications/candidate/publication.json",
    "publications/verified.json",
    "publications/2/versions.json",
    "warehouse/begun.json",
    "home/dagster.yaml",
)


@pytest.mark.parametrize("name", STATE)
def test_no_state_file_cut_at_any_length_stops_what_reads_it(paths, candidate, monkeypatch, name):
    inputs = {"raw": "there abc", "code": "d", "lock": "e"}
    for module in (publication, fingerprint):
        monkeypatch.setattr(module, "fingerprint", lambda paths: inputs)
    for number in (1, 2):
        folder = candidate(number)
        about = json.loads((folder / "publication.json").read_text())
        state.write_json(folder / "publication.json", about | {"version": publication.hash_of(inputs)})
        publication.record(folder, {"exhibits/a/b": "v"})
        publication.publish(paths)
    tables.begin(paths, "run", "v")
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_instance(paths)
    assert fingerprint.changed(paths) == []
    publication.open_candidate(paths, "run")
    whole = (paths.data / name).read_bytes()
    for length in sorted({0, 1, len(whole) // 2, len(whole) - 1}):
        (paths.data / name).write_bytes(whole[:length])
        damaged = bool(verification.verify(paths, 2).differences)
        assert damaged == name.startswith("publications/2/")
        assert fingerprint.changed(paths) == (["raw", "code", "lock"] if "fingerprint" in name else [])
        prepare_instance(paths)
        publication.settle(paths)
        assert tables.set_out_for(paths, "run") == (None if "begun" in name else "v")
        try:
            publication.open_candidate(paths, "another run")
        except ValueError as error:
            assert damaged and "Publication 2 is damaged" in str(error)
        # what a whole run does next
        candidate(3)
        number = publication.publish(paths)
        assert not verification.verify(paths, number).differences
        publication.point(paths, 2)
        (paths.data / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.data / name).write_bytes(whole)


LATER = [pytest.param(name, marks=pytest.mark.torture) for name in ("history/runs/index.db", "schedules/schedules.db")]


@pytest.mark.parametrize("name", ["history/runs.db", *LATER])
def test_a_torn_run_history_is_set_aside_and_begun_anew(paths, monkeypatch, capsys, name):
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_instance(paths)
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([one], instance=instance).success
    whole = (paths.home / name).read_bytes()
    for length in (1, len(whole) // 2):
        (paths.home / name).write_bytes(whole[:length])
        prepare_instance(paths)
        # of a single byte SQLite makes an empty database by itself
        assert f"{name} is damaged" in capsys.readouterr().out or length == 1
        with dg.DagsterInstance.get() as instance:
            assert dg.materialize([one], instance=instance).success
    prepare_instance(paths)
    assert capsys.readouterr().out == "", "a whole one is left alone"


def test_dagster_s_settings_are_written_anew_where_they_are_torn(paths, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_instance(paths)
    whole = (paths.home / "dagster.yaml").read_text()
    (paths.home / "dagster.yaml").write_bytes(whole.encode()[:25] + b"\xff")
    prepare_instance(paths)
    assert (paths.home / "dagster.yaml").read_text() == whole

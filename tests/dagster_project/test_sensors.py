"""The raw folder's sensor: what a changed file starts, and that a file is left alone until it is whole."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.test_utils import create_run_for_test

from dagster_project import executor, publication, sensors
from dagster_project.ingest import contracts
from dagster_project.ingest.files import sha256
from dagster_project.paths import CONTRACTS
from dagster_project.resources import exclusive
from dagster_project.sensors import Memory, look, whole

FOUND = contracts.load_all(CONTRACTS)


@pytest.fixture
def raw(tmp_path):
    """Two years of patents and one yearbook."""
    folder = tmp_path / "raw"
    (folder / "patents").mkdir(parents=True)
    (folder / "yearbook").mkdir()
    for year in (2010, 2011):
        (folder / "patents" / f"{year}.csv").write_text(f"{year}")
    book(folder / "yearbook" / "2012年地级市统计年鉴.xlsx")
    return folder


def book(path, text: str = "cells"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/sheet.xml", text * 100)


def publish(raw):
    """What the publication says it was made of, when it was made of this folder."""
    return {str(path.relative_to(raw)): sha256(path) for path in raw.rglob("*") if path.is_file()}


def looks(raw, published, memory, times: int):
    """The last of several looks; between two, the memory is text."""
    for _ in range(times):
        kept = Memory.load(memory.dump())
        seen = look(raw, FOUND, published, kept)
        memory.__dict__.update(kept.__dict__)
    return seen


def test_a_folder_that_is_published_starts_nothing(raw):
    assert not looks(raw, publish(raw), Memory(), 3).touched


def test_a_changed_file_is_touched_at_the_second_look_that_finds_it_the_same(raw):
    published, memory = publish(raw), Memory()
    looks(raw, published, memory, 2)
    (raw / "patents" / "2011.csv").write_text("2011 and more")
    first = looks(raw, published, memory, 1)
    assert (first.touched, first.waiting) == ({}, ["patents/2011.csv"])
    second = looks(raw, published, memory, 1)
    assert (list(second.touched), second.waiting) == (["patents/2011.csv"], [])


def test_a_file_that_was_only_touched_has_not_changed(raw):
    published, memory = publish(raw), Memory()
    looks(raw, published, memory, 2)
    os.utime(raw / "patents" / "2011.csv", (4e9, 4e9))
    assert not looks(raw, published, memory, 3).touched


def test_a_file_that_grows_is_waited_for_as_a_run_reads_all_there_are(raw):
    published, memory = publish(raw), Memory()
    looks(raw, published, memory, 2)
    book(raw / "yearbook" / "2012年地级市统计年鉴.xlsx", "corrected")
    for size in range(4):
        (raw / "patents" / "2012.csv").write_text("2012" * (size + 1))
        seen = looks(raw, published, memory, 1)
        assert not seen.touched
        assert "patents/2012.csv" in seen.waiting
    seen = looks(raw, published, memory, 1)
    assert set(seen.touched) == {"yearbook/2012年地级市统计年鉴.xlsx", "patents/2012.csv"}


def test_half_a_workbook_is_left_until_it_is_whole_however_long_the_copy_pauses(raw):
    published, memory = publish(raw), Memory()
    book(raw / "yearbook" / "new.xlsx", "many cells")
    content = (raw / "yearbook" / "new.xlsx").read_bytes()
    name = "2013年地级市统计年鉴.xlsx"
    (raw / "yearbook" / "new.xlsx").unlink()
    (raw / "yearbook" / name).write_bytes(content[: len(content) // 2])
    seen = looks(raw, published, memory, sensors.PATIENCE // 2)
    assert (seen.touched, seen.waiting) == ({}, [f"yearbook/{name}"])
    (raw / "yearbook" / name).write_bytes(content)
    assert list(looks(raw, published, memory, 2).touched) == [f"yearbook/{name}"]


def test_a_bad_workbook_is_handed_to_the_readers_in_the_end(raw):
    (raw / "yearbook" / "2013年地级市统计年鉴.xlsx").write_bytes(b"PK\x03\x04 and no end")
    published = {name: sha for name, sha in publish(raw).items() if "2013" not in name}
    assert len(looks(raw, published, Memory(), sensors.PATIENCE + 1).touched) == 1


def test_a_removed_file_is_noticed_at_the_second_look(raw):
    published, memory = publish(raw), Memory()
    looks(raw, published, memory, 2)
    (raw / "patents" / "2010.csv").unlink()
    assert looks(raw, published, memory, 1) == sensors.Look({}, ["patents/2010.csv"])
    assert looks(raw, published, memory, 1) == sensors.Look({"patents/2010.csv": ""}, [])


def test_a_file_that_no_contract_claims_starts_nothing(raw):
    published = publish(raw)
    (raw / "notes.docx").write_text("notes")
    assert not looks(raw, published, Memory(), 3).touched


def test_what_was_asked_for_is_not_asked_again_until_it_changes_again(raw):
    published, memory = publish(raw), Memory()
    file = raw / "patents" / "2010.csv"
    original = file.read_text()
    for content in ("bad", "bad again", "bad"):
        file.write_text(content)
        seen = looks(raw, published, memory, 2)
        assert seen.touched, content
        memory.asked |= seen.touched
        assert not looks(raw, published, memory, 2).touched
        file.write_text(original)
        assert not looks(raw, published, memory, 2).touched


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", True),
        ("a.xlsx", b"", False),
        ("a.xlsx", b"PK\x03\x04rest", False),
        ("a.xlsx", b"\xd0\xcf\x11\xe0 the old format", True),
        ("a.parquet", b"PAR1...", False),
        ("a.parquet", b"PAR1...PAR1", True),
    ],
)
def test_a_file_is_whole_when_it_has_the_end_of_its_kind(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert whole(tmp_path / name) is expected


def publish_as(here, number: int, raw: Path) -> None:
    folder = here.publications / str(number) / "data" / "quality"
    folder.mkdir(parents=True)
    pd.DataFrame(publish(raw).items(), columns=["file", "sha256"]).to_parquet(folder / "files.parquet")
    publication.point(here, number)


@pytest.fixture
def ticks(paths, raw):
    """Ticks of the sensor itself on that folder, published; the graph stands in for the real one."""

    @dg.asset(key=["raw", "patent_records"])
    def patents() -> None: ...

    job = dg.define_asset_job("refresh", dg.AssetSelection.all())
    here = replace(paths, raw=raw, is_sample=False)
    sensor = sensors.raw_folder(here, FOUND, job)
    defs = dg.Definitions(assets=[patents], jobs=[job], sensors=[sensor])
    publish_as(here, 1, raw)
    instance = dg.DagsterInstance.ephemeral()
    cursor = None

    def tick():
        nonlocal cursor
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=defs.get_repository_def(), sensor_name="raw_folder"
        )
        result = sensor.evaluate_tick(context)
        cursor = result.cursor or cursor
        return result

    tick.instance = instance
    return here, tick


def test_a_changed_file_starts_one_run_of_everything_and_each_look_says_one_thing(ticks, raw):
    _, tick = ticks
    assert "patents/2010.csv" in tick().skip_message, "nothing is known before the second look"
    assert tick().skip_message == "No file has changed."
    (raw / "patents" / "2010.csv").write_text("corrected")
    assert tick().skip_message == sensors.COPIED.format("patents/2010.csv")
    (request,) = tick().run_requests
    assert request.asset_selection is None, "lists, studies and code may have changed as well"
    assert request.tags["pilotcity/files"] == "patents/2010.csv"
    assert tick().skip_message == sensors.ASKED.format("patents/2010.csv")
    (raw / "patents" / "2011.csv").unlink()
    assert tick().skip_message == sensors.COPIED.format("patents/2011.csv")
    assert tick().run_requests


def test_while_a_run_goes_on_nothing_is_started(ticks, raw):
    here, tick = ticks
    (raw / "patents" / "2010.csv").write_text("corrected")
    tick()
    with exclusive(here.run_lock):
        assert tick().skip_message == executor.BUSY
    assert tick().run_requests


def test_a_rollback_is_not_undone_until_a_file_changes(ticks, raw):
    here, tick = ticks
    (raw / "patents" / "2010.csv").write_text("bad")
    publish_as(here, 2, raw)
    publication.point(here, 1)
    assert not any(tick().run_requests for _ in range(4))
    (raw / "patents" / "2010.csv").write_text("corrected")
    tick()
    assert tick().run_requests


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_file_that_another_run_may_be_about_to_publish_starts_no_second_run(ticks, raw, monkeypatch, status):
    _, tick = ticks
    (raw / "patents" / "2010.csv").write_text("corrected")
    run = create_run_for_test(tick.instance, status=status)
    tick()
    assert tick().skip_message == sensors.UNSETTLED.format("patents/2010.csv")
    tick.instance.report_run_failed(run)
    assert tick().skip_message == sensors.UNSETTLED.format("patents/2010.csv"), (
        "it has only just ended: something may follow it"
    )
    monkeypatch.setattr(sensors, "datetime", Later)
    assert tick().run_requests, "nothing published the file, so that it is asked for"


def test_what_follows_a_run_of_everything_is_not_waited_for_as_nothing_does(ticks, raw):
    _, tick = ticks
    (raw / "patents" / "2010.csv").write_text("corrected")
    run = create_run_for_test(tick.instance, status=dg.DagsterRunStatus.STARTED, tags=executor.WHOLE)
    tick()
    assert tick().skip_message == sensors.UNSETTLED.format("patents/2010.csv")
    tick.instance.report_run_failed(run)
    assert tick().run_requests


class Later(datetime):
    @classmethod
    def now(cls, zone):
        return datetime.now(zone) + timedelta(minutes=2)


def test_a_run_that_never_started_does_not_hold_up_files_for_ever(ticks, raw, monkeypatch):
    _, tick = ticks
    (raw / "patents" / "2010.csv").write_text("corrected")
    create_run_for_test(tick.instance, status=dg.DagsterRunStatus.NOT_STARTED)
    tick()
    assert tick().skip_message == sensors.UNSETTLED.format("patents/2010.csv")
    monkeypatch.setattr(Later, "now", lambda zone: datetime.now(zone) + timedelta(days=2))
    monkeypatch.setattr(sensors, "datetime", Later)
    assert tick().run_requests


def test_readers_are_told_the_first_failed_steps_words_or_that_a_process_just_ended():
    outside = "This run has been marked as failed from outside the execution context."
    assert sensors.why(["no such column", "later"], outside) == "no such column"
    assert "process ended before it was done" in sensors.why([], outside)
    assert "process ended before it was done" in sensors.why([], None)
    assert sensors.why([], "The disk is full.") == "The disk is full."

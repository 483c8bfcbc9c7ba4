"""Whose the candidate is: what a run goes on with, what it throws away, and what readers are told of a failure."""

from __future__ import annotations

import json

import pytest

from dagster_project import publication, status


@pytest.fixture(autouse=True)
def quick_fingerprint(monkeypatch):
    hashes = {"raw": "there abc", "code": "c", "lock": "l"}
    monkeypatch.setattr(publication, "fingerprint", lambda paths: hashes)
    return hashes


@pytest.fixture
def published(paths, candidate):
    candidate(1)
    publication.publish(paths)
    return paths


def page(folder) -> str:
    return (folder / "site" / "index.html").read_text()


def exhibit_alone(paths, run: str, text: str) -> None:
    """What a run of one exhibit does."""
    folder = publication.open_candidate(paths, run)
    (folder / "site" / "index.html").write_text(text)


def test_what_a_finished_run_left_is_published_by_the_next(published):
    exhibit_alone(published, "exhibit", "one exhibit anew")
    publication.settle(published)
    assert page(published.published) == "publication 1"
    assert page(publication.open_candidate(published, "rest")) == "one exhibit anew"
    publication.publish(published)
    assert page(published.published) == "one exhibit anew"


def test_what_a_failed_or_killed_run_left_is_thrown_away(published):
    exhibit_alone(published, "killed", "half an exhibit")
    assert page(publication.open_candidate(published, "next")) == "publication 1"


def test_steps_of_one_run_share_its_candidate(published):
    exhibit_alone(published, "run", "first step")
    assert page(publication.open_candidate(published, "run")) == "first step"


def test_a_whole_run_that_died_leaves_nothing_to_a_single_exhibit(published, candidate):
    folder = publication.begin(published, "whole run")
    (folder / "publication.json").write_text("{}")
    assert page(publication.open_candidate(published, "exhibit")) == "publication 1"


def test_a_run_repeated_from_its_failure_goes_on_with_its_candidate(published):
    folder = publication.begin(published, "root")
    (folder / "publication.json").write_text(json.dumps({"version": "new"}))
    assert (
        json.loads((publication.open_candidate(published, "root") / "publication.json").read_text())["version"] == "new"
    )


def test_what_was_left_before_a_rollback_is_thrown_away(published, candidate):
    candidate(2)
    publication.publish(published)
    exhibit_alone(published, "exhibit", "made from publication 2")
    publication.settle(published)
    publication.point(published, 1)
    assert page(publication.open_candidate(published, "next")) == "publication 1"


def test_a_candidate_of_the_same_inputs_and_results_is_no_new_publication(published, candidate):
    folder = candidate(1)
    assert publication.is_published(published, folder)
    publication.record(folder, {"exhibits/a/b": "other"})
    assert not publication.is_published(published, folder)
    publication.publish(published)
    assert publication.is_published(published, published.published)
    assert publication.kept_results(published) == {("exhibits/a/b", "other")}


def test_a_damaged_publication_is_replaced_though_the_inputs_are_the_same(published, candidate):
    (published.published / "site" / "index.html").write_text("somebody else's")
    assert not publication.is_published(published, candidate(1))


def test_what_brings_nothing_new_is_dropped_and_answers_an_earlier_failure(published, candidate):
    status.failed(published, "gdp is missing")
    candidate(1)
    publication.drop(published)
    assert not published.candidate.exists()
    assert not published.refresh_failed.exists()
    assert publication.numbers(published) == [1]


def test_a_failed_refresh_is_told_to_readers_until_the_next_publication(published, candidate):
    before = page(published.published)
    status.failed(published, "gdp <b>is</b>\n  missing")
    told = published.refresh_failed.read_text()
    assert "A later refresh failed" in told
    assert "publication 1" in told
    assert "SAMPLE DATA" in told
    assert "gdp &lt;b&gt;is&lt;/b&gt; missing" in told
    assert page(published.published) == before
    candidate(2)
    publication.publish(published)
    assert not published.refresh_failed.exists()


def test_before_the_first_publication_there_is_no_page_to_tell_it_on(paths):
    status.failed(paths, "no data")
    assert not paths.refresh_failed.exists()

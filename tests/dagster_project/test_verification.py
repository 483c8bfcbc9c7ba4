"""`pilotcity verify`: a changed byte anywhere in a publication is found and named, and nobody trusts a damaged one."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dagster_project import cli, database, fingerprint, publication, sensors, status, verification
from dagster_project.paths import Paths

#: One-byte changes: in CI, and in `make torture`.
FEW, MANY = 60, 1000


@pytest.fixture(autouse=True)
def quick_fingerprint(monkeypatch):
    hashes = {"raw": "there abc", "code": "d", "lock": "e"}
    for module in (publication, fingerprint):
        monkeypatch.setattr(module, "fingerprint", lambda paths: hashes)


@pytest.fixture
def published(paths: Paths, candidate, monkeypatch) -> Paths:
    """Three publications with every kind of file: data, database, exhibits, site, links."""
    for number in (1, 2, 3):
        folder = candidate(number)
        table = pd.DataFrame({"study": "a", "exhibit": ["one", "one", "two"], "estimate": [1.0, None, 3.0]})
        (folder / "data" / "estimates").mkdir()
        table.to_parquet(folder / "data" / "estimates" / "estimates.parquet", index=False)
        (folder / "exhibits" / "a").mkdir(parents=True)
        for exhibit, part in table.groupby("exhibit"):
            part.to_parquet(folder / "exhibits" / "a" / f"{exhibit}.estimates.parquet", index=False)
        table.iloc[:0].to_parquet(folder / "exhibits" / "a" / "none.estimates.parquet", index=False)
        (folder / "site" / "exports").mkdir()
        (folder / "site" / "exports" / "a.csv").write_text("x\n1\n")
        (folder / "exports").symlink_to("site/exports")
        database.write(folder)
        publication.publish(paths)
    monkeypatch.setenv("PILOTCITY_DATA", str(paths.data))
    monkeypatch.delenv("PILOTCITY_RAW", raising=False)
    return paths


def differing(paths: Paths, number: int = 3, **options: bool) -> set[str]:
    return {one.file for one in verification.verify(paths, number, **options).differences}


def test_a_publication_is_whole_after_it_was_made_and_the_report_says_when_that_was_verified(published, capsys):
    assert "has not been verified since" in published.verified.read_text()
    before = {path: path.read_bytes() for path in published.published.resolve().rglob("*") if path.is_file()}
    assert cli.main(["verify"]) == 0
    assert "Publication 3 is as it was published: 10 files by checksum" in capsys.readouterr().out
    assert "Publication 3 was last verified on" in published.verified.read_text()
    assert {path: path.read_bytes() for path in before} == before, "nothing of it is written into the publication"
    assert cli.main(["verify", "1"]) == 0
    assert cli.main(["verify", "7"]) == 1
    assert "There is no publication 7; kept are 1, 2, 3." in capsys.readouterr().err


def flip(path: Path, moments: random.Random) -> tuple[int, bytes]:
    """Change one byte of a file to another value; returns where, and what it was."""
    content = bytearray(path.read_bytes())
    place = moments.randrange(len(content))
    was = bytes(content[place : place + 1])
    content[place] ^= moments.randrange(1, 256)
    about = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as a bad disk does it
    return place, was


@pytest.mark.parametrize("times", [FEW, pytest.param(MANY, marks=pytest.mark.torture)])
def test_every_change_of_one_byte_is_found_in_its_file(published, times):
    folder, moments = published.publications / "3", random.Random(2024)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    missed = []
    for time in range(times):
        # every file in turn, the small ones too, then bytes at random over all of them
        path = files[time] if time < len(files) else moments.choices(files, [f.stat().st_size for f in files])[0]
        place, was = flip(path, moments)
        found = differing(published, thorough=False)
        if found != {path.relative_to(folder).as_posix()}:
            missed.append((path, place, found))
        with path.open("r+b") as stream:
            stream.seek(place)
            stream.write(was)
    assert not missed
    assert differing(published) == set()


def test_files_that_are_missing_added_cut_or_lead_elsewhere_are_named(published):
    folder = published.publications / "3"
    (folder / "site" / "index.html").unlink()
    (folder / "site" / "new.html").write_text("added")
    os.truncate(folder / "pilotcity.duckdb", 5000)
    (folder / "exports").unlink()
    (folder / "exports").symlink_to("/etc")
    (folder / "publication.json").rename(folder / "other")
    (folder / "publication.json").symlink_to("other")
    names = {"site/index.html", "site/new.html", "pilotcity.duckdb", "exports", "publication.json", "other"}
    assert differing(published) == names | {"pilotcity.duckdb"}
    assert {one.file for one in verification.damage(folder, quick=True)} == names


def test_what_a_file_browser_leaves_behind_is_no_damage_and_what_cannot_be_read_is(published, monkeypatch):
    folder = published.publications / "3"
    for name in (".DS_Store", "site/._index.html", "site/Thumbs.db"):
        (folder / name).write_text("left behind")
    assert differing(published) == set()
    original = verification._sha256

    def bad_disk(path: Path) -> str:
        if path.name == "index.html":
            raise OSError(5, "Input/output error")
        return original(path)

    monkeypatch.setattr(verification, "_sha256", bad_disk)
    found = verification.verify(published, 3, thorough=False)
    assert [(one.file, one.what) for one in found.differences] == [
        ("site/index.html", "cannot be read: Input/output error")
    ]


def test_whoever_may_only_read_verifies_too(published, monkeypatch):
    def refused(path: Path, content: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(verification.state, "write", refused)
    assert cli.main(["verify"]) == 0


def test_what_was_changed_together_with_its_checksums_is_found_too(published):
    folder = published.publications / "3"
    (folder / "site" / "index.html").write_text("other")
    verification.seal(folder)
    assert differing(published) == {"checksums.json"}
    (folder / "checksums.json").unlink()
    assert differing(published) == {"checksums.json"}


def test_a_database_that_is_not_its_parquet_and_an_exhibit_that_is_not_its_estimates_are_named(published):
    folder = published.publications / "2"
    panel = pd.read_parquet(folder / "data" / "panels" / "city_year.parquet")
    panel.assign(gdp=panel["gdp"] + 1e-9).to_parquet(folder / "data" / "panels" / "city_year.parquet", index=False)
    (folder / "data" / "panels" / "extra.parquet").write_bytes(
        (folder / "data" / "panels" / "city_year.parquet").read_bytes()
    )
    exhibit = folder / "exhibits" / "a" / "one.estimates.parquet"
    pd.read_parquet(exhibit).assign(estimate=2.0).to_parquet(exhibit, index=False)
    (folder / "exhibits" / "a" / "two.estimates.parquet").unlink()
    said = {one.file: one.what for one in verification.disagreement(folder)}
    assert said == {
        "pilotcity.duckdb, panels.city_year": "is not what the Parquet beside it holds",
        "pilotcity.duckdb, panels.extra": "stands in the Parquet alone",
        "exhibits/a/one.estimates.parquet": "is not what estimates.estimates holds of this exhibit",
        "a/two": "stands in estimates.estimates without an exhibit",
    }
    assert list(verification.disagreement(published.publications / "3")) == []


def test_a_difference_keeps_the_moment_at_which_it_was_first_seen(published, capsys, monkeypatch):
    moments = iter(["2026-01-01 00:00 UTC", "2026-01-02 00:00 UTC", "2026-01-03 00:00 UTC"])
    now = {"at": ""}
    monkeypatch.setattr(verification, "_moment", lambda seconds: now["at"])
    now["at"] = next(moments)
    assert cli.main(["verify"]) == 0
    now["at"] = next(moments)
    page = published.publications / "3" / "site" / "index.html"
    page.write_text("publication 4")
    assert cli.main(["verify"]) == 1
    now["at"] = next(moments)
    assert cli.main(["verify", "--json"]) == 1
    printed = capsys.readouterr().out
    sentence = (
        "site/index.html has another content, written 2026-01-02 00:00 UTC (first seen 2026-01-02 00:00 UTC; all "
    )
    assert f"{sentence}was whole on 2026-01-01 00:00 UTC)" in printed
    found = json.loads(printed[printed.index("{") :])
    assert found["whole"] is False
    assert found["differences"][0]["first_seen"] == "2026-01-02 00:00 UTC"
    assert "Publication 3 is damaged. Not as it was published: site/index.html." in published.verified.read_text()


def test_readers_are_not_taken_back_to_a_damaged_publication(published, capsys):
    (published.publications / "2" / "site" / "index.html").write_text("other")
    assert cli.main(["rollback"]) == 1
    assert "Publication 2 is damaged and readers are not taken there: site/index.html" in capsys.readouterr().err
    assert published.published.resolve().name == "3"
    assert cli.main(["rollback", "1"]) == 0
    assert "Publication 1" in published.verified.read_text()


def test_nothing_is_added_to_a_damaged_publication(published):
    (published.publications / "3" / "site" / "index.html").write_text("other")
    with pytest.raises(ValueError, match=r"Publication 3 is damaged, so that nothing can be added to it: site/index"):
        publication.open_candidate(published)


def test_a_damaged_publication_is_made_anew_though_no_input_has_changed(published, capsys, monkeypatch):
    from dagster_project.commands import run

    monkeypatch.setattr(run, "_run", lambda paths, screen, everything: print("the run", everything) or 0)
    published.raw.mkdir()
    inputs = {"raw": "there abc", "code": "d", "lock": "e"}
    (published.publications / "3" / "fingerprint.json").write_text(json.dumps(inputs))
    verification.seal(published.publications / "3")
    verification.published(published, 3)
    assert cli.main(["run"]) == 0
    assert "Nothing has changed" in capsys.readouterr().out
    (published.publications / "3" / "site" / "index.html").write_text("other")
    assert cli.main(["run"]) == 0
    printed = capsys.readouterr().out
    assert "Publication 3 is damaged (1 files; site/index.html" in printed
    assert "the run True" in printed


def test_the_sensor_reads_no_damaged_table_of_files(published):
    files = published.publications / "3" / "data" / "quality" / "files.parquet"
    files.parent.mkdir()
    pd.DataFrame({"file": ["a.csv"], "source": ["s"], "sha256": ["1"]}).to_parquet(files)
    verification.seal(published.publications / "3")
    assert sensors.published_files(published) == {"a.csv": "1"}
    pd.DataFrame({"file": ["a.csv"], "source": ["s"], "sha256": ["2"]}).to_parquet(files)
    assert sensors.published_files(published) == {}


def test_a_publication_of_an_earlier_version_is_compared_as_far_as_it_can_be(published, capsys):
    (published.publications / "3" / "checksums.json").unlink()
    (published.publications / "verified.json").unlink()
    assert cli.main(["verify"]) == 0
    assert "has no checksums (an earlier version of pilotcity made it)" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{", b'{"3": ', b"[]", b"\xff\xfe"])
def test_a_torn_record_of_what_was_verified_is_told_and_begun_anew(published, capsys, content):
    (published.publications / "verified.json").write_bytes(content)
    assert cli.main(["verify"]) == 0
    assert "verified.json cannot be read" in capsys.readouterr().err
    assert json.loads((published.publications / "verified.json").read_text())["3"]["verified"]


# links


def test_a_link_that_leads_nowhere_is_mended_by_a_rollback(published, capsys):
    shutil.rmtree(published.publications / "3")
    assert cli.main(["verify"]) == 1
    assert "The link that readers follow leads nowhere" in capsys.readouterr().err
    assert cli.main(["rollback", "1"]) == 0
    assert (published.reports / "index.html").read_text() == "publication 1"
    shutil.rmtree(published.publications / "1")
    assert cli.main(["rollback"]) == 0
    assert (published.reports / "index.html").read_text() == "publication 2"


def test_a_run_mends_a_link_that_leads_nowhere_to_the_newest_whole_publication(published):
    shutil.rmtree(published.publications / "3")
    (published.publications / "2" / "site" / "index.html").write_text("other")
    assert publication.repair(published) == (
        "Publication 3 is gone; readers see publication 1, the newest that is whole."
    )
    assert (published.reports / "index.html").read_text() == "publication 1"
    assert publication.repair(published) == ""
    for number in (1, 2):
        shutil.rmtree(published.publications / str(number))
    assert "everything is made anew" in publication.repair(published)
    status.failed(published, "nobody reads this")
    assert not published.published.is_symlink()

"""A publication: what the file holds, that readers see one whole or the other whole, and the way back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagster_project import database, publication
from dagster_project.commands import trace
from dagster_project.paths import ROOT, Paths


@pytest.fixture(autouse=True)
def quick_fingerprint(monkeypatch):
    monkeypatch.setattr(publication, "fingerprint", lambda paths: {"raw": "there abc", "code": "d", "lock": "e"})


def test_a_candidate_begins_empty(paths, candidate):
    folder = candidate(1)
    (folder / "left over").touch()
    assert list(publication.begin(paths).iterdir()) == []


def test_the_database_holds_every_parquet_file_in_its_schema_and_what_the_publication_says_of_itself(candidate):
    folder = candidate(7)
    with duckdb.connect(str(folder / "pilotcity.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        rows = connection.execute("select city_code, year, gdp from panels.city_year order by all").fetchall()
        about = connection.execute("select * from panels.publication").df()
        schemas = {
            row[0] for row in connection.execute("select schema_name from information_schema.schemata").fetchall()
        }
    assert tables == [("panels", "city_year"), ("panels", "publication")]
    assert rows == [("110000", 2010, 7.0), ("310000", 2010, None)]
    assert list(about.columns) == ["version", "is_sample", "raw_sha256", "code_sha256", "lock_sha256"]
    assert about.iloc[0].tolist() == ["0123456789ab", True, "r", "c", "l"]
    assert {"panels", "scores", "estimates", "quality"} <= schemas


def test_the_database_is_written_for_clients_from_1_0_on(candidate):
    header = (candidate(1) / "pilotcity.duckdb").read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # the number of the storage format of 0.10 to 1.1


def test_the_same_parquet_gives_the_same_database_to_the_byte(candidate):
    folder = candidate(1)
    first = (folder / "pilotcity.duckdb").read_bytes()
    assert database.write(folder).read_bytes() == first


def test_every_process_writes_the_same_database_to_the_byte(candidate):
    folder = candidate(1)
    rng = np.random.default_rng(0)
    panel = pd.DataFrame({f"x{n}": np.exp(rng.normal(size=6000)).round(n) for n in range(12)})
    # texts of many lengths: their blocks have gaps, which must not hold what the process had in that memory before
    texts = {f"text{n}": [f"城市{k:x}" * (k % (7 + n) + 1) for k in range(len(panel))] for n in range(12)}
    panel.mask(rng.random(panel.shape) < 0.1).assign(**texts).to_parquet(folder / "data" / "panels" / "big.parquet")
    program = "import sys, pathlib; from dagster_project import database; database.write(pathlib.Path(sys.argv[1]))"
    written = set()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=True)
        written.add((folder / "pilotcity.duckdb").read_bytes())
    assert len(written) == 1


def test_a_published_database_cannot_be_written_and_opens_no_other_file(paths, candidate):
    from dagster_project.publication import connect_published

    candidate(1)
    publication.publish(paths)
    with connect_published(paths) as connection:
        for statement in (
            "create table panels.x as select 1",
            "delete from panels.city_year",
            "select * from read_csv('/etc/hostname')",
            "attach '/tmp/other.duckdb'",
            "copy panels.city_year to '/tmp/stolen.csv'",
            "set enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)


def test_publications_are_numbered_and_the_links_follow(paths, candidate):
    for number in (1, 2):
        candidate(number)
        assert publication.publish(paths) == number
        assert paths.published.is_symlink()
        assert paths.published.resolve() == paths.publications / str(number)
        assert (paths.reports / "index.html").read_text() == f"publication {number}"
    assert not paths.candidate.exists()


def test_the_links_hold_when_the_folder_is_moved(paths, candidate, tmp_path):
    candidate(1)
    publication.publish(paths)
    paths.data.rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "reports" / "index.html").read_text() == "publication 1"


def test_five_publications_are_kept(paths, candidate):
    for number in range(1, 9):
        candidate(number)
        publication.publish(paths)
    assert publication.numbers(paths) == [4, 5, 6, 7, 8]


def test_an_input_that_changes_during_a_run_is_no_input_of_its_publication(paths, candidate, monkeypatch):
    hashes = {"raw": "there abc", "code": "d", "lock": "e"}
    for now, recorded in ((hashes, hashes), ({**hashes, "raw": "there abd"}, {})):
        about = json.loads((candidate(1) / "publication.json").read_text())
        (paths.candidate / "publication.json").write_text(json.dumps({**about, "version": publication.hash_of(hashes)}))
        monkeypatch.setattr(publication, "fingerprint", lambda paths, now=now: now)
        publication.publish(paths)
        assert json.loads((paths.published / "fingerprint.json").read_text()) == recorded


def test_a_reader_never_meets_a_moment_without_a_publication_or_half_of_one(paths, candidate):
    candidate(1)
    publication.publish(paths)
    seen: set[str] = set()
    failures: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                folder = paths.published.resolve(strict=True)
                page = (folder / "site" / "index.html").read_text()
                value = pd.read_parquet(folder / "data" / "panels" / "city_year.parquet").gdp[0]
                if page != f"publication {value:.0f}":
                    failures.append(f"{page} beside {value}")
                seen.add((paths.reports / "index.html").read_text())
            except OSError as error:
                failures.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 16):
        candidate(number)
        publication.publish(paths)
    done.set()
    reader.join()
    assert not failures
    assert len(seen) > 3


def test_both_links_lead_somewhere_after_every_single_step_of_a_swap(paths, candidate, monkeypatch):
    candidate(1)
    publication.publish(paths)
    candidate(2)
    steps = []

    def watched(name: str):
        original = getattr(Path, name)

        def step(self, *arguments, **options):
            result = original(self, *arguments, **options)
            assert (paths.published / "publication.json").exists(), f"no publication after {name} of {self.name}"
            assert (paths.reports / "index.html").exists(), f"no report after {name} of {self.name}"
            steps.append(name)
            return result

        return step

    for name in ("unlink", "rename", "replace", "symlink_to", "rmdir"):
        monkeypatch.setattr(Path, name, watched(name))
    publication.publish(paths)
    assert "replace" in steps


def test_an_open_reader_keeps_what_it_opened_while_others_see_the_new_one(paths, candidate):
    from dagster_project.publication import connect_published

    candidate(1)
    publication.publish(paths)
    with connect_published(paths) as early:
        candidate(2)
        publication.publish(paths)
        assert early.execute("select max(gdp) from panels.city_year").fetchall() == [(1.0,)]
        with connect_published(paths) as late:
            assert late.execute("select max(gdp) from panels.city_year").fetchall() == [(2.0,)]


def test_a_failed_run_leaves_a_candidate_that_nobody_reads_and_the_next_one_replaces(paths, candidate):
    candidate(1)
    publication.publish(paths)
    candidate(2)
    assert (paths.reports / "index.html").read_text() == "publication 1"
    candidate(3)
    publication.publish(paths)
    assert (paths.reports / "index.html").read_text() == "publication 3"


def test_after_a_rollback_the_next_publication_has_a_new_number_and_the_current_one_is_never_deleted(paths, candidate):
    for number in range(1, 7):
        candidate(number)
        publication.publish(paths)
    publication.point(paths, 2)
    assert (paths.reports / "index.html").read_text() == "publication 2"
    candidate(7)
    assert publication.publish(paths) == 7
    assert publication.numbers(paths) == [3, 4, 5, 6, 7]
    assert (paths.reports / "index.html").read_text() == "publication 7"


def test_a_folder_of_the_users_own_is_never_replaced_by_a_link(paths, candidate):
    paths.published.mkdir(parents=True)
    (paths.published / "mine").touch()
    candidate(1)
    with pytest.raises(FileExistsError, match="move it away"):
        publication.publish(paths)
    assert (paths.published / "mine").exists()


def test_one_exhibit_alone_starts_from_what_is_published(paths, candidate):
    with pytest.raises(FileNotFoundError, match="make run"):
        publication.open_candidate(paths)
    candidate(1)
    publication.publish(paths)
    folder = publication.open_candidate(paths)
    assert folder == paths.candidate
    assert (folder / "site" / "index.html").read_text() == "publication 1"
    assert (paths.reports / "index.html").read_text() == "publication 1"


def test_tables_are_copied_in_one_order_whatever_order_they_were_filled_in(paths, tmp_path):
    files = []
    for name, order in (("a", "asc"), ("b", "desc")):
        with duckdb.connect() as connection:
            for schema in ("panels", "scores", "quality", "staging"):
                connection.execute(f"create schema {schema}")
            connection.execute(f"create table panels.city_year as select * from range(5000) t(x) order by x {order}")
            connection.execute("create table staging.hidden as select 1 as x")
            rows = publication.write_tables(connection, tmp_path / name)
        assert rows == {"panels.city_year": 5000}
        files.append((tmp_path / name / "data" / "panels" / "city_year.parquet").read_bytes())
    assert files[0] == files[1]


def test_a_publication_is_named_by_its_inputs_not_by_where_they_lie(monkeypatch, tmp_path):
    def at(folder: str, digest: str) -> dict[str, object]:
        hashes = {"raw": f"{folder} {digest}", "code": "c", "lock": "l"}
        monkeypatch.setattr(publication, "fingerprint", lambda paths: hashes)
        return publication.describe(Paths(tmp_path, tmp_path / "raw", is_sample=False))

    assert at("/here", "abc") == at("/there", "abc")
    assert at("/here", "abc")["version"] != at("/here", "abd")["version"]
    assert at("/here", "abc")["raw_sha256"] == "abc"


def test_a_publication_of_an_earlier_version_is_named_when_trace_reads_it(tmp_path):
    with pytest.raises(ValueError, match=r"no table lineage\.units: an earlier version of pilotcity made it"):
        trace.reader(tmp_path)("lineage.units", None, None)


def test_cities_are_a_table_to_join_whose_columns_say_what_they_are(paths, candidate) -> None:
    folder = candidate(1)
    assert publication.write_cities(folder) == 297
    with duckdb.connect(str(database.write(folder)), read_only=True) as connection:
        joined = connection.execute(
            "select name_zh, province_en from panels.city_year join panels.cities using (city_code) order by city_code"
        ).fetchall()
        silent = connection.execute(
            "select column_name from duckdb_columns() where table_name = 'cities' and comment is null"
        ).fetchall()
    assert joined == [("北京市", "Beijing"), ("上海市", "Shanghai")]
    assert silent == []

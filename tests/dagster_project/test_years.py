"""Records by year: a backfill opens the files of its years, a whole look opens what has changed, and both agree."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dagster_project.assets import sources, years
from dagster_project.ingest import contracts, refresh
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.resources import warehouse

CONTRACT = contracts.load(CONTRACTS / "patent_records.yaml")
HEADER = ",".join(CONTRACT.columns.values())
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def paths(tmp_path) -> Paths:
    """Three years of patents and a file that names no year."""
    (tmp_path / "raw" / "patents").mkdir(parents=True)
    paths = Paths(tmp_path / "data", tmp_path / "raw", is_sample=False)
    for name in ("2010", "2011", "2012", "all"):
        write(paths, name, 2)
    return paths


def write(paths: Paths, name: str, count: int) -> None:
    rows = [f"CN{name}{number},发明专利,2010-01-02,,H01L31/04,甲公司,北京市海淀区1号" for number in range(count)]
    (paths.raw / "patents" / f"{name}.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")


def counts(paths: Paths) -> dict[str, int]:
    with warehouse(paths) as connection:
        found = connection.execute("select file, count(*) from raw.patents group by file order by file").fetchall()
    return {Path(file).stem: count for file, count in found}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def backfill(paths: Paths, instance: dg.DagsterInstance, first: str, last: str) -> dict[str, int]:
    """One run over a range of partitions, as a single-run backfill starts it; files read, unchanged and removed."""
    result = dg.materialize(
        [years.by_year(paths, CONTRACT)],
        instance=instance,
        run_config=QUIET,
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )
    event = result.asset_materializations_for_node("raw__patent_records_by_year")[0]
    return {name: event.metadata[name].value for name in ("files_read", "files_unchanged", "files_removed")}


def shown(instance: dg.DagsterInstance) -> set[str]:
    return instance.get_materialized_partitions(years.key_of(CONTRACT))


def test_a_backfill_of_one_year_opens_that_years_file_alone(paths, instance, monkeypatch):
    opened = []
    monkeypatch.setattr(refresh.files, "sha256", lambda path: opened.append(path.name) or "hash")
    assert backfill(paths, instance, "2011", "2011") == {"files_read": 1, "files_unchanged": 0, "files_removed": 0}
    assert opened == ["2011.csv"]
    assert counts(paths) == {"2011": 2}
    assert shown(instance) == {"2011"}


def test_a_whole_look_reads_what_no_backfill_has_read_and_shows_its_years(paths, instance):
    backfill(paths, instance, "2010", "2011")
    result = dg.materialize([sources.source(paths, CONTRACT)], instance=instance, run_config=QUIET)
    metadata = result.asset_materializations_for_node("raw__patent_records")[-1].metadata
    assert (metadata["files_read"].value, metadata["files_unchanged"].value) == (2, 2)
    assert counts(paths) == {"2010": 2, "2011": 2, "2012": 2, "all": 2}
    assert shown(instance) == {"2010", "2011", "2012"}


def test_a_year_has_one_version_however_it_was_read_and_another_when_its_file_changes(paths, instance):
    def version(year: str) -> str:
        record = instance.get_latest_data_version_record(years.key_of(CONTRACT), partition_key=year)
        return record.asset_materialization.tags["dagster/data_version"]

    dg.materialize([sources.source(paths, CONTRACT)], instance=instance, run_config=QUIET)
    before = version("2011"), version("2012")
    assert before[0] != before[1]
    backfill(paths, instance, "2011", "2011")
    assert (version("2011"), version("2012")) == before
    write(paths, "2011", 5)
    backfill(paths, instance, "2011", "2011")
    assert version("2011") != before[0]


def test_a_changed_year_is_read_again_and_the_files_of_the_others_stay_as_they_lie(paths, instance):
    backfill(paths, instance, "1985", "2012")
    store = paths.warehouse.parent / "records" / "patents"
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    write(paths, "2011", 5)
    (paths.raw / "patents" / "2012.csv").unlink()
    assert backfill(paths, instance, "2011", "2011") == {"files_read": 1, "files_unchanged": 0, "files_removed": 0}
    assert counts(paths) == {"2010": 2, "2011": 5, "2012": 2}
    assert backfill(paths, instance, "2010", "2012") == {"files_read": 0, "files_unchanged": 2, "files_removed": 1}
    assert counts(paths) == {"2010": 2, "2011": 5}
    after = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert len(after) == 2
    assert len(after.items() & before.items()) == 1


def test_a_stored_file_that_is_gone_is_written_again(paths, instance):
    backfill(paths, instance, "2010", "2012")
    next((paths.warehouse.parent / "records" / "patents").iterdir()).unlink()
    assert backfill(paths, instance, "2010", "2012")["files_read"] == 1
    assert counts(paths) == {"2010": 2, "2011": 2, "2012": 2}


def test_a_warehouse_that_was_moved_finds_its_records(paths, instance, tmp_path):
    backfill(paths, instance, "2010", "2012")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    moved = Paths(tmp_path / "elsewhere", tmp_path / "raw", is_sample=False)
    assert counts(moved) == {"2010": 2, "2011": 2, "2012": 2}


def test_a_warehouse_with_tables_of_records_is_brought_to_views(paths, instance):
    paths.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(paths.warehouse)) as connection:
        connection.execute("create schema raw; create table raw.patents (file varchar)")
    backfill(paths, instance, "2010", "2010")
    assert counts(paths) == {"2010": 2}


def test_a_backfill_of_many_years_is_one_run():
    asset = years.by_year(Paths(Path("data"), Path("raw"), is_sample=False), CONTRACT)
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert {"1985", "2023"} <= set(years.YEARS.get_partition_keys())

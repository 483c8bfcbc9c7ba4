"""What stands around Spark: which engine is asked for, what it is handed and when, what becomes of its results.

A program that copies takes Spark's place here; that Spark's own results equal DuckDB's is tested in
tests/dbt/test_spark.py.
"""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path

import duckdb
import pytest

from dagster_project import spark
from dagster_project.ingest import records
from dagster_project.paths import Paths
from dagster_project.resources import warehouse

MANIFEST = {
    "parent_map": {
        "model.pilotcity.stg_patents": [
            *("source.pilotcity.raw.patents", "source.pilotcity.raw.patents_files", "model.pilotcity.stg_provinces"),
        ],
        "model.pilotcity.stg_provinces": ["source.pilotcity.raw.geographic_units"],
        "model.pilotcity.stg_cases": ["source.pilotcity.raw.cases", "source.pilotcity.raw.cases_files"],
    }
}
#: In place of dbt and Spark: each model's result is its records' files and rows; every start adds a line to a file.
PROGRAM = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
import duckdb
lake = Path(os.environ["PILOTCITY_LAKE"])
models = sys.argv[sys.argv.index("--select") + 1 : sys.argv.index("--vars")]
places = json.loads(sys.argv[sys.argv.index("--vars") + 1])["spark_sources"]
with (lake / "starts.jsonl").open("a") as starts:
    starts.write(json.dumps([models, places]) + "\\n")
for model in models:
    (lake / model).mkdir(exist_ok=True)
    place = places[model.removeprefix("stg_")]
    files = place if place.endswith(".parquet") else place + "/*.parquet"
    query = f"select file, count(*) as first_row from read_parquet('{{files}}') group by file order by file desc"
    duckdb.execute(f"copy ({{query}}) to '{{lake / model}}/part-0.snappy.parquet'")
print("10:11:12  1 of 1 OK created", flush=True)
if os.environ.get("FAILS"):
    (lake / models[0] / "part-0.snappy.parquet").write_bytes(b"half a fi")
    print("Caused by: java.lang.OutOfMemoryError: Java heap space")
    os.kill(os.getpid(), 9) if os.environ["FAILS"] == "killed" else sys.exit(1)
"""


@pytest.fixture
def lake(paths, tmp_path, monkeypatch) -> Path:
    """A warehouse with two files of patents and none of cases, and the program in Spark's place."""
    program = tmp_path / "dbt"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(spark, "DBT", str(program))
    monkeypatch.setattr(spark, "require", lambda: None)
    with warehouse(paths) as connection:
        connection.execute("create table raw.geographic_units as select '110000' as city_code")
        connection.execute("create schema staging")
        connection.execute("create table staging.stg_patents as select 'before' as file, 7 as first_row")
        connection.execute("create table staging.stg_patents__files as select 'before' as file")
    for name in ("b", "a"):
        add(paths, name)
    return paths.lake


def add(paths: Paths, name: str, rows: int = 3) -> None:
    """Put a file of patents into the store and the ledger."""
    with warehouse(paths) as connection:
        stored = f"patents/{name}{rows}.parquet"
        target = records.store(connection) / stored
        target.parent.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(f"'x' as {field}" for field in records.FIELDS["patents"])
        made = f"select 's' as source, {columns}, '{name}.csv' as file, null::bigint as row from range({rows})"
        connection.execute(f"copy ({made}) to '{target}'")
        connection.execute(f"delete from raw.ledger where file = '{name}.csv'")
        connection.execute(
            "insert into raw.ledger by name select 's' as source, $1 as file, $2 as sha256, 'c' as contract_sha256, "
            "'r' as reader_sha256, $3 as stored",
            [f"{name}.csv", str(rows), stored],
        )
        records.show(connection, "patents", records.store(connection))


def run(paths: Paths, said: list[str] | None = None) -> dict[str, bool]:
    say = (said if said is not None else []).append
    return spark.run(paths, lambda: warehouse(paths), MANIFEST, spark.MODELS, say)


def table(paths: Paths, name: str = "stg_patents") -> list[tuple]:
    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        return connection.execute(f"select * from staging.{name}").fetchall()


def starts(lake: Path) -> list[list]:
    return [json.loads(line) for line in (lake / "starts.jsonl").read_text().splitlines()]


def test_results_come_into_the_warehouse_in_order_and_duckdb_will_build_its_own_again(paths, lake):
    said: list[str] = []
    assert run(paths, said) == {"stg_patents": True, "stg_cases": True}
    assert table(paths) == [("a.csv", 3), ("b.csv", 3)]
    assert table(paths, "stg_cases") == []
    assert said == ["Spark: 1 of 1 OK created"]
    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'staging'").fetchall()
    assert ("stg_patents__files",) not in names


def test_spark_is_handed_the_files_of_the_ledger_or_the_columns_alone_where_there_is_none(paths, lake):
    orphan = lake.parent / "records" / "patents" / "orphan.parquet"
    orphan.write_bytes(b"of a run that died")
    run(paths)
    ((models, places),) = starts(lake)
    assert models == list(spark.MODELS)
    assert places["patents"] == str(orphan.parent)
    assert not orphan.exists()
    assert places["cases"] == str(lake / "in" / "cases.parquet")
    assert set(places) == {"patents", "patents_files", "geographic_units", "cases", "cases_files"}
    assert duckdb.sql(f"select * from '{places['geographic_units']}'").fetchall() == [("110000",)]


def test_only_what_has_changed_is_computed_again(paths, lake):
    run(paths)
    assert run(paths) == {"stg_patents": False, "stg_cases": False}
    assert len(starts(lake)) == 1
    add(paths, "a", rows=5)
    assert run(paths) == {"stg_patents": True, "stg_cases": False}
    assert table(paths) == [("a.csv", 5), ("b.csv", 3)]
    with warehouse(paths) as connection:
        connection.execute("update raw.geographic_units set city_code = '110101'")
    assert run(paths) == {"stg_patents": True, "stg_cases": False}


@pytest.mark.parametrize("how", ["an error", "killed"])
def test_a_run_that_fails_leaves_the_tables_as_they_were_and_the_next_one_succeeds(paths, lake, monkeypatch, how):
    monkeypatch.setenv("FAILS", how)
    with pytest.raises(RuntimeError, match="Java heap space"):
        run(paths)
    assert table(paths) == [("before", 7)]
    monkeypatch.delenv("FAILS")
    assert run(paths)["stg_patents"]
    assert table(paths) == [("a.csv", 3), ("b.csv", 3)]


def test_a_result_that_cannot_be_read_changes_no_table_and_is_computed_again(paths, lake):
    run(paths)
    part = next((lake / "stg_patents").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(duckdb.Error):
        run(paths)
    assert table(paths) == [("a.csv", 3), ("b.csv", 3)]
    assert run(paths) == {"stg_patents": True, "stg_cases": True}


@pytest.mark.parametrize(("value", "asked"), [(None, False), ("", False), ("duckdb", False), ("spark", True)])
def test_the_engine_is_duckdb_unless_the_environment_says_spark(monkeypatch, value, asked):
    monkeypatch.delenv("DBT_TARGET", raising=False)
    if value is not None:
        monkeypatch.setenv("DBT_TARGET", value)
    assert spark.chosen() is asked


def test_an_engine_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "snowflake")
    with pytest.raises(ValueError, match="'snowflake'; models of records run on duckdb or spark"):
        spark.chosen()


def java(folder: Path, version: str) -> None:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    program.chmod(0o755)


@pytest.mark.parametrize(("version", "said"), [("11.0.2", "is 11"), ("1.8.0_292", "is 8"), (None, "no java is on")])
def test_a_java_that_is_missing_or_old_is_said_in_a_sentence(monkeypatch, tmp_path, version, said):
    monkeypatch.setattr(spark, "_installed", lambda name: True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if version:
        java(tmp_path, version)
    with pytest.raises(RuntimeError, match=rf"needs Java 17 or newer.*{said}.*DBT_TARGET=duckdb works without\.$"):
        spark.require()


def test_the_java_of_java_home_is_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(spark, "_installed", lambda name: True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java(tmp_path, "21.0.1")
    spark.require()


def test_a_missing_library_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(spark, "_installed", lambda name: False)
    with pytest.raises(RuntimeError, match=r"`make spark` installs; DBT_TARGET=duckdb works without\.$"):
        spark.require()


@pytest.mark.parametrize(
    ("limit", "megabytes"),
    [("4GB", "3814m"), ("1.5 GiB", "1536m"), ("800mb", "762m"), ("2g", "1907m"), ("1TiB", "1048576m")],
)
def test_memory_is_said_as_java_reads_it(limit, megabytes):
    assert spark.java_memory(limit) == megabytes


def test_memory_that_java_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="'80%'; for Spark it must be a size"):
        spark.java_memory("80%")


def test_nothing_listens_beyond_this_machine_unless_a_cluster_is_named(paths, monkeypatch):
    for name in ("PILOTCITY_SPARK_MASTER", "SPARK_LOCAL_IP"):
        monkeypatch.delenv(name, raising=False)
    assert spark.environment(paths)["SPARK_LOCAL_IP"] == "127.0.0.1"
    monkeypatch.setenv("PILOTCITY_SPARK_MASTER", "spark://node1:7077")
    assert "SPARK_LOCAL_IP" not in spark.environment(paths)


def test_of_all_that_spark_prints_the_models_and_now_and_then_the_stages_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(spark, "PACE", 0.0)
    printed = (
        b"WARN something\n10:11:12  1 of 2 START sql by_file model staging.stg_cases ... [RUN]\n"
        b"\r[Stage 3:==>      (1 + 2) / 4][Stage 4:>    (0 + 0) / 200]\r\n"
    )
    log = tmp_path / "printed"
    log.write_bytes(printed)
    kept = io.BytesIO()
    with log.open("rb", buffering=0) as stream:
        said = list(spark._lines(stream, kept))
    assert said == [
        "Spark: 1 of 2 START sql by_file model staging.stg_cases ... [RUN]",
        "Spark: stage 3 (1 of 4 tasks), 4 (0 of 200 tasks)",
    ]
    assert kept.getvalue() == printed

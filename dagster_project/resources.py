"""What assets share: the warehouse behind a lock, and the instance's settings. No query of data lives here."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterInvariantViolationError

from dagster_project import postgres, state
from dagster_project.fingerprint import digest, hash_folder
from dagster_project.ingest import records
from dagster_project.paths import DBT_PROJECT, LOCK, Paths

if TYPE_CHECKING:
    import duckdb

#: Assets that open the warehouse share this pool, whose limit in dagster.yaml is one.
WAREHOUSE_POOL = "warehouse"

DBT = str(Path(sys.executable).parent / "pilotcity-dbt")
#: Target of every dbt command but that of spark.py, said each time as dbt reads DBT_TARGET too.
DUCKDB_TARGET = "duckdb"


def memory_limit() -> str:
    """What DuckDB may take, PILOTCITY_MEMORY; what does not fit goes to disk beside the warehouse."""
    return os.environ.get("PILOTCITY_MEMORY") or "4GB"


#: A run with this tag computes everything once more, whatever is kept. The web page hides tags that begin so.
FORCED = {".dagster/pilotcity_forced": "yes"}

INSTANCE_SETTINGS = """\
# Written by pilotcity at every start; edit dagster_project/resources.py instead.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  pools: {default_limit: 1, granularity: op}
  runs: {max_concurrent_runs: 1}
run_monitoring: {enabled: true, start_timeout_seconds: 180, free_slots_after_run_end_seconds: 60}
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 1, failure: 90, success: -1}}
"""

TABLES = """
create schema if not exists raw;
create table if not exists raw.ledger (
    source varchar, file varchar, sha256 varchar, bytes bigint, contract_sha256 varchar, reader_sha256 varchar,
    sheets integer, rows bigint, cells bigint, rejects bigint, ingested_at timestamp, stored varchar
);
alter table raw.ledger add column if not exists stored varchar;
create table if not exists raw.yearbook_cells (
    source varchar, file varchar, sheet varchar, row bigint, "column" varchar, header varchar, indicator varchar,
    unit varchar, code varchar, city varchar, province varchar, year varchar, value varchar
);
alter table raw.yearbook_cells add column if not exists block varchar;
alter table raw.yearbook_cells add column if not exists fault varchar;
create table if not exists raw.reader_rejects (
    rule varchar, source varchar, file varchar, sheet varchar, row bigint, "column" varchar, value varchar,
    message varchar
);
"""


@contextmanager
def exclusive(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold an operating-system lock that dies with this process; wait for it, or raise RuntimeError(busy) at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise RuntimeError(busy) from None
        yield


class WarehouseBusy(RuntimeError):
    """Another program has the warehouse open: it may let go, so that a later attempt is worth while."""


def _open(path: Path, patience: float = 10.0) -> duckdb.DuckDBPyConnection:
    """Open the warehouse; another process that is just letting go of it (a dbt that ends, a reader) is waited for."""
    import duckdb

    deadline = time.monotonic() + patience
    while True:
        try:
            connection = duckdb.connect(str(path), config={"threads": 2, "memory_limit": memory_limit()})
            connection.execute("set enable_progress_bar = false")
            return connection
        except duckdb.IOException as error:
            said = str(error).splitlines()[0]
            if "lock" not in str(error):
                raise RuntimeError(
                    f"The warehouse {path} cannot be opened: {said} If it is damaged, the next run sets it aside and "
                    "builds it anew from the raw files."
                ) from error
            if time.monotonic() > deadline:
                raise WarehouseBusy(
                    f"The warehouse {path} cannot be opened: {said} Close it in the program that has it open."
                ) from error
            time.sleep(0.2)


@contextmanager
def retried(attempts: int = 4, first_wait: float = 5.0) -> Iterator[None]:
    """Within a step: ask for the step to be tried again while another program has the warehouse, each time later.

    Nothing else is tried again: data that fail a rule fail it the next time too.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, WarehouseBusy) and "Could not set lock on file" not in str(error):
            raise
        tried = _retry_number()
        if tried is None:
            raise
        raise dg.RetryRequested(max_retries=attempts, seconds_to_wait=first_wait * 2**tried) from error


def _retry_number() -> int | None:
    """How often the current step was tried again; None outside a step."""
    try:
        return dg.OpExecutionContext.get().retry_number
    except DagsterInvariantViolationError:
        return None


def forced() -> bool:
    """Whether the run of the current step takes nothing from what is kept."""
    return FORCED.items() <= dg.OpExecutionContext.get().run.tags.items()


@contextmanager
def warehouse(paths: Paths) -> Iterator[duckdb.DuckDBPyConnection]:
    """An open connection to the warehouse with its raw tables in place; one at a time on this machine."""
    with exclusive(paths.warehouse.with_suffix(".lock")):
        paths.warehouse.parent.mkdir(parents=True, exist_ok=True)
        with retried():
            connection = _open(paths.warehouse)
        try:
            connection.execute(TABLES)
            records.show_all(connection)
            yield connection
        finally:
            connection.close()


def set_aside_damaged_history(paths: Paths) -> None:
    """Move a run history in SQLite out of the way that is no database any more, and say so; runs need none before."""
    for name in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
        database = paths.home / name
        if not database.exists():
            continue
        try:
            with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
                said = str(connection.execute("pragma quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            said = str(error)
        if said == "ok" or "locked" in said or "busy" in said:
            continue
        folder = paths.home / name.partition("/")[0]
        kept = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(kept, ignore_errors=True)
        folder.rename(kept)
        print(
            f"pilotcity: {database} is damaged ({said}); it is kept in {kept.name}, and a new one is begun.", flush=True
        )


def prepare_instance(paths: Paths) -> None:
    """Make DAGSTER_HOME with the project's settings and point this process at it."""
    paths.home.mkdir(parents=True, exist_ok=True)
    if not postgres.chosen(paths):
        set_aside_damaged_history(paths)
    settings = paths.home / "dagster.yaml"
    content = INSTANCE_SETTINGS + postgres.settings(paths)
    if state.read_text(settings) != content:
        state.write(settings, content)
    server = postgres.given()
    if server:
        os.environ[postgres.VARIABLE] = postgres.with_driver(server)
    os.environ["DAGSTER_HOME"] = str(paths.home)
    os.environ["DO_NOT_TRACK"] = "1"


def dbt_environment(paths: Paths) -> dict[str, str]:
    """Variables that dbt and its profile read."""
    return {
        "PILOTCITY_WAREHOUSE": str(paths.warehouse),
        "DBT_TARGET_PATH": str(paths.dbt_target),
        "PILOTCITY_SQL": f"{hash_folder(DBT_PROJECT)} {digest(LOCK)}",
        # dbt joins it to the folder of its project
        "PILOTCITY_MODELS": os.path.relpath(paths.dbt_models, DBT_PROJECT),
        "PILOTCITY_MEMORY": memory_limit(),
        "DO_NOT_TRACK": "1",
    }


def forget_dbt_runs(paths: Paths, kept: int = 10) -> None:
    """Delete what dbt left of all but the latest runs; each leaves a folder of compiled SQL."""
    runs = sorted(paths.dbt_target.glob("dbt_*-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in runs[:-kept]:
        shutil.rmtree(folder, ignore_errors=True)

"""A source brought up to date in the warehouse by the ledger: only what changed is read, what is gone is taken out."""

import csv
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project.fingerprint import files_below, hash_files
from dagster_project.ingest import files, records, yearbooks
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import CATALOGUE, ROOT

if TYPE_CHECKING:
    import duckdb

READERS = sorted((ROOT / "dagster_project" / "ingest").glob("*.py"))


@dataclass(frozen=True)
class Refreshed:
    """Files of a source: read, left alone because nothing had changed, and taken out because they are gone."""

    read: list[str]
    unchanged: list[str]
    removed: list[str]


def refresh(
    connection: "duckdb.DuckDBPyConnection",
    raw: Path,
    contract: Contract,
    progress: Any,
    years: Collection[int] | None = None,
) -> Refreshed:
    """Bring one source up to date in the warehouse; with ``years``, only files whose name names one are opened."""

    def wanted(file: str) -> bool:
        return years is None or records.year_of(file) in years

    found = {
        str(PurePosixPath(path.relative_to(raw))): path
        for path in files_below(raw)
        if contract.matches(PurePosixPath(path.relative_to(raw)))
    }
    found = {file: path for file, path in found.items() if wanted(file)}
    reader = hash_files(READERS, ROOT)
    store = records.store(connection)
    known = {
        file: (sha, contract_sha, reader_sha)
        for file, sha, contract_sha, reader_sha, stored in connection.execute(
            "select file, sha256, contract_sha256, reader_sha256, stored from raw.ledger where source = ?",
            [contract.source],
        ).fetchall()
        if wanted(file) and (stored is None or (store / stored).exists())
    }
    with ThreadPoolExecutor(2) as pool:
        hashes = dict(zip(found, pool.map(files.sha256, found.values()), strict=True))
    stale = [file for file in found if known.get(file) != (hashes[file], contract.sha256, reader)]
    gone = [file for file in known if file not in found]
    tables = ["raw.reader_rejects", "raw.ledger", *([table_of(contract)] if contract.kind == "yearbook" else [])]
    units = frozenset(row["unit"] for row in _rows(CATALOGUE / "measurement_units.csv"))
    connection.execute("begin")
    for file in [*stale, *gone]:
        for name in tables:
            connection.execute(f"delete from {name} where source = ? and file = ?", [contract.source, file])
    for file in stale:
        progress(f"reading {file}")
        stored = None
        if contract.kind == "yearbook":
            reading = yearbooks.read(found[file], file, contract, units)
            _insert(connection, "raw.yearbook_cells", reading.cells)
            counts = reading.sheets, reading.rows, len(reading.cells), len(reading.rejects)
            _insert(connection, "raw.reader_rejects", reading.rejects)
        else:
            target = records.stored_name(contract, file, hashes[file], contract.sha256, reader)
            rows, rejects = records.load(connection, found[file], file, contract, store / target)
            _insert(connection, "raw.reader_rejects", rejects)
            counts = 1, rows, rows, len(rejects)
            stored = target if (store / target).exists() else None
        connection.execute(
            "insert into raw.ledger values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now()::timestamp, ?)",
            [contract.source, file, hashes[file], found[file].stat().st_size, contract.sha256, reader, *counts, stored],
        )
    if contract.kind != "yearbook" and (stale or gone):
        records.show(connection, contract.kind, store)
    connection.execute("commit")
    if contract.kind != "yearbook":
        records.sweep(connection, contract.kind, store)
    return Refreshed(stale, [file for file in found if file not in stale], gone)


def table_of(contract: Contract) -> str:
    """The table of schema raw that a source fills."""
    return "raw.yearbook_cells" if contract.kind == "yearbook" else f"raw.{contract.kind}"


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _insert(connection: "duckdb.DuckDBPyConnection", table: str, frame: pd.DataFrame) -> None:
    if len(frame):
        connection.register("loading", frame)
        connection.execute(f"insert into {table} by name select * from loading")
        connection.unregister("loading")

"""A source brought up to date in the warehouse by the ledger: only what changed is read, what is gone is taken out."""

import csv
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project.fingerprint import hash_files
from dagster_project.ingest import files, records, yearbooks
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import CATALOGUE, ROOT
from dagster_project.raw_folder import hash_of, look

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Files that are named as they are read, of those that a source has.
MANY = 50
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

    below = look(raw)
    found = {file: path for file, path in below.files.items() if contract.matches(PurePosixPath(file)) and wanted(file)}
    left_out = {
        file: why for file, why in below.left_out.items() if contract.matches(PurePosixPath(file)) and wanted(file)
    }
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
        hashes = dict(zip(found, pool.map(_hash, found.values()), strict=True))
    left_out |= {file: why for file, (_, why) in hashes.items() if why}
    content = {file: sha for file, (sha, why) in hashes.items() if not why}
    content |= {file: hash_of(why) for file, why in left_out.items()}
    stale = [file for file in sorted(content) if known.get(file) != (content[file], contract.sha256, reader)]
    gone = [file for file in known if file not in content]
    units = frozenset(row["unit"] for row in _rows(CATALOGUE / "measurement_units.csv"))
    connection.execute("begin")
    for name in ["raw.reader_rejects", "raw.ledger", *([table_of(contract)] if contract.kind == "yearbook" else [])]:
        connection.execute(
            f"delete from {name} where source = ? and file in (select unnest(?::varchar[]))",
            [contract.source, [*stale, *gone]],
        )
    loading = _Loading(connection, contract.source, contract.sha256, reader)
    for number, file in enumerate(stale):
        if number % max(len(stale) // MANY, 1) == 0:
            progress(f"reading {file}{f', {number + 1:,} of {len(stale):,} files' if len(stale) > 1 else ''}")
        if file in left_out:
            why = f"{file}: the file {left_out[file]}."
            rejects = [yearbooks.Reject("unreadable_file", contract.source, file, "", None, "", "", why)]
            loading.file(file, content[file], 0, (0, 0), yearbooks.frame(rejects))
            continue
        size = found[file].stat().st_size
        if contract.kind == "yearbook":
            reading = yearbooks.read(found[file], file, contract, units, loading.cells)
            loading.file(file, content[file], size, (reading.sheets, reading.rows), reading.rejects)
        else:
            target = records.stored_name(contract, file, content[file], contract.sha256, reader)
            rows, bad = records.load(connection, found[file], file, contract, store / target)
            stored = target if (store / target).exists() else None
            loading.file(file, content[file], size, (1, rows), bad, records=rows, stored=stored)
    loading.flush()
    if contract.kind != "yearbook" and (stale or gone):
        records.show(connection, contract.kind, store)
    connection.execute("commit")
    if contract.kind != "yearbook":
        records.sweep(connection, contract.kind, store)
    return Refreshed(stale, sorted(content.keys() - set(stale)), gone)


def table_of(contract: Contract) -> str:
    """The table of schema raw that a source fills."""
    return "raw.yearbook_cells" if contract.kind == "yearbook" else f"raw.{contract.kind}"


def _rows(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _hash(path: Path) -> tuple[str, str]:
    """Hash of a file's content, or why it cannot be read."""
    try:
        return files.sha256(path), ""
    except OSError as error:
        return "", f"cannot be read ({error.strerror})"


class _Loading:
    """Rows on their way into the warehouse: of many files at once, for an insert costs more than a small file."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", source: str, contract: str, reader: str) -> None:
        self._connection, self._made_by = connection, (source, contract, reader)
        self._cells: list[yearbooks.Values] = []
        self._rejects: list[pd.DataFrame] = []
        self._ledger: list[dict[str, Any]] = []
        self._of_file = 0

    def cells(self, cells: list[yearbooks.Values]) -> None:
        """Cells of the file that `file` will name."""
        self._cells += cells
        self._of_file += len(cells)
        if len(self._cells) >= yearbooks.BATCH:
            _insert(self._connection, "raw.yearbook_cells", self._table())
            self._cells = []

    def file(
        self,
        file: str,
        sha256: str,
        size: int,
        counts: tuple[int, int],
        rejects: pd.DataFrame,
        *,
        records: int = 0,
        stored: str | None = None,
    ) -> None:
        """A file's entry in the ledger; ``counts`` of its sheets and rows."""
        source, contract, reader = self._made_by
        self._rejects += [rejects] if len(rejects) else []
        entry = {"source": source, "file": file, "sha256": sha256, "bytes": size, "contract_sha256": contract}
        entry |= {"reader_sha256": reader, "sheets": counts[0], "rows": counts[1], "stored": stored}
        self._ledger.append(entry | {"cells": self._of_file + records, "rejects": len(rejects)})
        self._of_file = 0

    def _table(self) -> "pa.Table":
        import pyarrow as pa

        columns = zip(*self._cells, strict=True) if self._cells else ((),) * len(yearbooks.COLUMNS)
        return pa.table(dict(zip(yearbooks.COLUMNS, map(list, columns), strict=True)))

    def flush(self) -> None:
        """Insert what is left."""
        _insert(self._connection, "raw.yearbook_cells", self._table())
        if self._rejects:
            _insert(self._connection, "raw.reader_rejects", pd.concat(self._rejects, ignore_index=True))
        _insert(self._connection, "raw.ledger", pd.DataFrame(self._ledger), ", now()::timestamp as ingested_at")
        self._cells, self._rejects, self._ledger = [], [], []


def _insert(
    connection: "duckdb.DuckDBPyConnection", table: str, loading: "pd.DataFrame | pa.Table", more: str = ""
) -> None:
    # DuckDB finds the argument by its name; one that is registered would be held until the transaction ends
    if len(loading):
        connection.execute(f"insert into {table} by name select *{more} from loading")

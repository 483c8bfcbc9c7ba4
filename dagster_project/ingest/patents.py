"""Patent records from CSV into the warehouse as text, one row an application, at the speed of DuckDB's own reader.

Only loading: what a record means (green, which city, which year) is decided in dbt.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project.ingest.contracts import Contract
from dagster_project.ingest.yearbooks import Reject

if TYPE_CHECKING:
    import duckdb

FIELDS = ("application_number", "kind", "filing_date", "grant_date", "ipc", "applicant", "address")
BLOCK = 1 << 20


def load(
    connection: duckdb.DuckDBPyConnection, path: Path, relative: str, contract: Contract
) -> tuple[int, pd.DataFrame]:
    """Append a file to raw.patents; returns rows read and rejects (columns of `Reject`). Never raises for content."""
    import duckdb

    rejects: list[Reject] = []

    def reject(rule: str, column: str, value: str, message: str, row: int | None = None) -> None:
        rejects.append(Reject(rule, contract.source, relative, "", row, column, value, f"{relative}: {message}"))

    with tempfile.TemporaryDirectory() as folder:
        readable = _as_utf8(path, contract.encoding, Path(folder))
        try:
            headers = _headers(readable)
            missing = [name for field, name in contract.columns.items() if name not in headers]
            for name in missing:
                reject("missing_column", name, "", f"no column is headed {name}.")
            if {contract.columns[f] for f in ("kind", "filing_date", "ipc", "address")} & set(missing):
                return 0, _frame(rejects)
            before = _count(connection)
            connection.execute(_statement(contract, headers), [contract.source, relative, str(readable)])
            for line, column, text in connection.execute(
                "select line, column_name, error_message from reject_errors order by line"
            ).fetchall():
                reject("unreadable_row", column or "", "", f"row {line} cannot be read: {text.splitlines()[0]}", line)
            connection.execute("drop table if exists reject_errors; drop table if exists reject_scans")
            return _count(connection) - before, _frame(rejects)
        except (duckdb.Error, UnicodeDecodeError) as error:
            reject("unreadable_file", "", "", f"the file cannot be read as CSV: {str(error).splitlines()[0]}")
            return 0, _frame(rejects)


def _statement(contract: Contract, headers: list[str]) -> str:
    named = ", ".join(
        f'"{name.replace(chr(34), chr(34) * 2)}" as {field}' if name in headers else f"null as {field}"
        for field, name in ((field, contract.columns.get(field, "")) for field in FIELDS)
    )
    return (
        f"insert into raw.patents by name select $1 as source, {named}, $2 as file, row_number() over () + 1 as row "
        "from read_csv($3, all_varchar = true, header = true, delim = ',', quote = '\"', store_rejects = true)"
    )


def _headers(path: Path) -> list[str]:
    import csv

    with path.open(encoding="utf-8-sig", newline="") as stream:
        return next(csv.reader(stream), [])


def _as_utf8(path: Path, encoding: str | None, folder: Path) -> Path:
    """The file itself when it is UTF-8, else a copy that is, made block by block."""
    if not encoding or encoding.lower().replace("-", "") == "utf8":
        return path
    copy = folder / path.name
    with path.open(encoding=encoding, newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
        while block := source.read(BLOCK):
            target.write(block)
    return copy


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    return connection.execute("select count(*) from raw.patents").fetchall()[0][0]


def _frame(rejects: list[Reject]) -> pd.DataFrame:
    return pd.DataFrame(rejects, columns=list(Reject.__dataclass_fields__))

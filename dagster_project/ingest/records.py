"""Records (patents, court cases) from CSV into the warehouse as text, at the speed of DuckDB's own reader.

Only loading: what a record means (green, which city, which year) is decided in dbt.
"""

from __future__ import annotations

import codecs
import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project.ingest.contracts import Contract, clean_header
from dagster_project.ingest.files import UnreadableFile
from dagster_project.ingest.yearbooks import Reject

if TYPE_CHECKING:
    import duckdb

#: Kind of contract -> columns of its raw table, and those without which a file is of no use.
FIELDS = {
    "patents": ("application_number", "kind", "filing_date", "grant_date", "ipc", "applicant", "address"),
    "cases": ("case_number", "court", "cause", "type", "procedure", "filed", "concluded", "document"),
}
REQUIRED = {
    "patents": ("kind", "filing_date", "ipc", "address"),
    "cases": ("case_number", "court", "cause", "concluded", "document"),
}
BLOCK = 1 << 20


def load(
    connection: duckdb.DuckDBPyConnection, path: Path, relative: str, contract: Contract
) -> tuple[int, pd.DataFrame]:
    """Append a file to raw.<kind>; returns rows read and rejects (columns of `Reject`). Never raises for content.

    Rows are counted as a spreadsheet counts them (the header is row 1), blank lines left out.
    """
    import duckdb

    rejects: list[Reject] = []

    def reject(rule: str, column: str, value: str, message: str, row: int | None = None) -> None:
        rejects.append(Reject(rule, contract.source, relative, "", row, column, value, f"{relative}: {message}"))

    with tempfile.TemporaryDirectory() as folder:
        try:
            readable = _as_utf8(path, contract.encoding, Path(folder))
            headers = _headers(readable)
            missing = [name for name in contract.columns.values() if clean_header(name) not in headers]
            for name in missing:
                reject("missing_column", name, "", f"no column is headed {name}.")
            if {contract.columns[field] for field in REQUIRED[contract.kind]} & set(missing):
                return 0, _frame(rejects)
            table = f"raw.{contract.kind}"
            before = _count(connection, table)
            connection.execute(_statement(contract, headers), [contract.source, relative, str(readable)])
            for line, text, wrong in _bad_rows(connection, table, relative):
                reject("unreadable_row", "", text, f"row {line} cannot be read: {wrong} The row begins {text!r}.", line)
            return _count(connection, table) - before, _frame(rejects)
        except UnreadableFile as error:
            reject("unreadable_file", "", "", f"the file {error}.")
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            # the first sentence; what follows tells of options and of folders of this machine
            reject("unreadable_file", "", "", f"the file cannot be read as CSV: {str(error).splitlines()[0]}")
        return 0, _frame(rejects)


def _statement(contract: Contract, headers: list[str]) -> str:
    """Columns are given by name and nothing is guessed, so that one bad row cannot make the whole
    file unreadable."""
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(headers)))
    wanted = {field: clean_header(contract.columns.get(field, "")) for field in FIELDS[contract.kind]}
    named = ", ".join(
        f"c{headers.index(name)} as {field}" if name in headers else f"null as {field}"
        for field, name in wanted.items()
    )
    return (
        f"insert into raw.{contract.kind} by name select $1 as source, {named}, $2 as file, "
        "row_number() over () + 1 as row "
        f"from read_csv($3, auto_detect = false, columns = {{{columns}}}, header = true, delim = ',', quote = '\"', "
        "escape = '\"', store_rejects = true)"
    )


def _bad_rows(connection: duckdb.DuckDBPyConnection, table: str, relative: str) -> list[tuple[int, str, str]]:
    """Rows that were left out (row, how it begins, what is wrong); the rows after each are counted on past it."""
    bad = connection.execute(
        "select line, trim(any_value(csv_line), chr(10) || chr(13) || ' ')[:60], "
        "first(error_message order by column_idx) from reject_errors group by line order by line"
    ).fetchall()
    # the i-th bad row, at line l, has l - 1 - i good rows before it
    connection.execute(
        "with bad as (select line, row_number() over (order by line) as i "
        "from (select distinct line from reject_errors)), "
        "shifts as (select line - 1 - i as after, max(i) as shift from bad group by after) "
        f"update {table} as records set row = records.row + moved.shift from ("
        f"select loaded.rowid as id, shifts.shift from (select rowid, row from {table} where file = $1) as loaded "
        "asof join shifts on loaded.row - 1 > shifts.after) as moved where records.rowid = moved.id",
        [relative],
    )
    connection.execute("drop table reject_errors; drop table reject_scans")
    return [(line, text, f"{wrong.splitlines()[0].rstrip('.')}.") for line, text, wrong in bad]


def _headers(path: Path) -> list[str]:
    """The first line's columns as they are compared; its text decides whether the file is in UTF-8 at all."""
    with path.open("rb") as stream:
        first = stream.readline()
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("is not text in UTF-8; state its encoding in the contract") from error
    if not text.strip():
        raise UnreadableFile("is empty")
    return [clean_header(name) for name in next(csv.reader([text]))]


def _as_utf8(path: Path, encoding: str | None, folder: Path) -> Path:
    """The file itself when it is UTF-8 with lines that all end alike, else a copy that is, made block by block."""
    stated = codecs.lookup(encoding).name if encoding else "utf-8" if _decodes(path, "utf-8") else "gb18030"
    if stated == "utf-8" and not _mixes_line_ends(path):
        return path
    copy = folder / path.name
    try:
        with path.open(encoding=stated) as source, copy.open("w", encoding="utf-8", newline="") as target:
            while block := source.read(BLOCK):
                target.write(block)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"is not text in {encoding or 'UTF-8 or GB18030'}") from error
    return copy


def _mixes_line_ends(path: Path) -> bool:
    """Whether some lines end in CR LF and others in LF, at which DuckDB's reader gives up."""
    all_ends = with_return = 0
    before = b""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            all_ends += block.count(b"\n")
            with_return += (before + block).count(b"\r\n")
            before = block[-1:] if block.endswith(b"\r") else b""
    return 0 < with_return < all_ends


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as stream:
            while stream.read(BLOCK):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return connection.execute(f"select count(*) from {table}").fetchall()[0][0]


def _frame(rejects: list[Reject]) -> pd.DataFrame:
    return pd.DataFrame(rejects, columns=list(Reject.__dataclass_fields__))

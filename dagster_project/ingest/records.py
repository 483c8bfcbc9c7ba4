"""Records (patents, court cases) from CSV into a Parquet file a raw file, as text, at the speed of DuckDB's own reader.

The files lie beside the warehouse, which shows them as the views raw.patents and raw.cases: a changed year is written
anew without touching the others, and no record is stored twice. A file's name is the hash of what it was made of, and
only those that the ledger names are shown, so a run that dies leaves nothing half done.

Only loading: what a record means (green, which city, which year) is decided in dbt.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project.ingest.contracts import Contract, clean_header
from dagster_project.ingest.files import UnreadableFile, refuse_width
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
LONGEST_HEADER = 16 << 20
#: Numbers and addresses hardly repeat: long dictionaries would cost as much time as reading the file.
PARQUET = "format parquet, parquet_version v2, dictionary_size_limit 1000"
YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def year_of(relative: str) -> int | None:
    """The year that a raw file's name (not its folders) says it is of; None where it names none, or several."""
    named = {int(year) for year in YEAR.findall(relative.rpartition("/")[2])}
    return named.pop() if len(named) == 1 else None


def store(connection: duckdb.DuckDBPyConnection) -> Path:
    """The folder of record files, beside the warehouse that the connection has open."""
    path = connection.execute("select path from duckdb_databases() where database_name = current_database()").fetchall()
    return Path(path[0][0]).parent / "records"


def stored_name(contract: Contract, *made_of: str) -> str:
    """Where the records of a file are kept in the store, by what they are made of: path, content, contract, reader."""
    return f"{contract.kind}/{hashlib.sha256(' '.join(made_of).encode()).hexdigest()[:32]}.parquet"


def show(connection: duckdb.DuckDBPyConnection, kind: str, folder: Path) -> None:
    """Make raw.<kind> the view of the files that the ledger names, and raw.<kind>_files that of their entries."""
    connection.execute(
        f"create or replace view raw.{kind}_files as select source, file, sha256, contract_sha256, reader_sha256 "
        f"from raw.ledger where starts_with(stored, '{kind}/')"
    )
    names = connection.execute(
        "select stored from raw.ledger where starts_with(stored, $1) order by file", [f"{kind}/"]
    ).fetchall()
    fields = ", ".join(FIELDS[kind])
    if names:
        files = ", ".join(quoted(str(folder / name)) for (name,) in names)
        made = f"select source, {fields}, file, coalesce(row, file_row_number + 2) as row from read_parquet([{files}], "
        made += "file_row_number = true)"
    else:
        empty = ", ".join(f"''::varchar as {name}" for name in ("source", *FIELDS[kind], "file"))
        made = f"select {empty}, 0::bigint as row where false"
    connection.execute(f"create or replace view raw.{kind} as {made}")


def show_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views of a new, an older or a moved warehouse; leaves those alone that are in place."""
    folder = store(connection)
    tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
    views = dict(connection.execute("select view_name, sql from duckdb_views() where schema_name = 'raw'").fetchall())
    for kind in FIELDS:
        if (kind,) in tables:  # records were kept in tables once
            connection.execute(f"drop table raw.{kind}")
        elif f"{kind}_files" in views and ("read_parquet" not in views[kind] or str(folder) in views[kind]):
            continue
        show(connection, kind, folder)


def sweep(connection: duckdb.DuckDBPyConnection, kind: str, folder: Path) -> None:
    """Delete files of the store that the ledger does not name."""
    named = {name for (name,) in connection.execute("select stored from raw.ledger").fetchall()}
    for path in (folder / kind).glob("*"):
        if f"{kind}/{path.name}" not in named:
            path.unlink()


def load(
    connection: duckdb.DuckDBPyConnection, path: Path, relative: str, contract: Contract, target: Path
) -> tuple[int, pd.DataFrame]:
    """Write a file's records to the Parquet file ``target``; returns rows read and rejects (columns of `Reject`).

    Never raises for content: an unreadable file has no rows, one reject, and no target. Rows are counted as a
    spreadsheet counts them (the header is row 1), blank lines left out.
    """
    import duckdb

    rejects: list[Reject] = []

    def reject(rule: str, column: str, value: str, message: str, row: int | None = None) -> None:
        rejects.append(Reject(rule, contract.source, relative, "", row, column, value, f"{relative}: {message}"))

    with tempfile.TemporaryDirectory() as folder:
        try:
            readable = _plainly_named(_as_utf8(path, contract.encoding, Path(folder)), Path(folder))
            headers = _headers(readable)
            missing = [name for name in contract.columns.values() if clean_header(name) not in headers]
            for name in missing:
                reject("missing_column", name, "", f"no column is headed {name}.")
            if {contract.columns[field] for field in REQUIRED[contract.kind]} & set(missing):
                return 0, _frame(rejects)
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            read = _selection(contract, headers, relative, readable)
            rows = connection.execute(f"copy ({read}) to {quoted(str(fresh))} ({PARQUET})").fetchall()[0][0]
            for line, text, wrong in _bad_rows(connection, fresh):
                reject("unreadable_row", "", text, f"row {line} cannot be read: {wrong} The row begins {text!r}.", line)
            fresh.replace(target)
            return rows, _frame(rejects)
        except UnreadableFile as error:
            reject("unreadable_file", "", "", f"the file {error}.")
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            # the first sentence; what follows tells of options and of folders of this machine
            reject("unreadable_file", "", "", f"the file cannot be read as CSV: {str(error).splitlines()[0]}")
        return 0, _frame(rejects)


def _selection(contract: Contract, headers: list[str], relative: str, path: Path) -> str:
    """Columns are given by name and nothing is guessed, so that one bad row cannot make the whole
    file unreadable. A row's number is its place in the Parquet file, unless ``row`` says another."""
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(headers)))
    wanted = {field: clean_header(contract.columns.get(field, "")) for field in FIELDS[contract.kind]}
    named = ", ".join(
        f"c{headers.index(name)} as {field}" if name in headers else f"null::varchar as {field}"
        for field, name in wanted.items()
    )
    return (
        f"select {quoted(contract.source)} as source, {named}, {quoted(relative)} as file, null::bigint as row "
        f"from read_csv({quoted(str(path))}, auto_detect = false, columns = {{{columns}}}, header = true, "
        "delim = ',', quote = '\"', escape = '\"', store_rejects = true)"
    )


def _bad_rows(connection: duckdb.DuckDBPyConnection, written: Path) -> list[tuple[int, str, str]]:
    """Rows that were left out (row, how it begins, what is wrong); the rows after each are counted on past it."""
    bad = connection.execute(
        "select line, trim(any_value(csv_line), chr(10) || chr(13) || ' ')[:60], "
        "first(error_message order by column_idx) from reject_errors group by line order by line"
    ).fetchall()
    if bad:
        numbered = written.with_suffix(".numbered")
        # the i-th bad row, at line l, has l - 1 - i good rows before it
        connection.execute(
            "copy (with bad as (select line, row_number() over (order by line) as i "
            "from (select distinct line from reject_errors)), "
            "shifts as (select line - 1 - i as after, max(i) as shift from bad group by after) "
            "select records.* exclude (row, file_row_number), file_row_number + 2 + coalesce(shift, 0) as row "
            f"from read_parquet({quoted(str(written))}, file_row_number = true) as records "
            "asof left join shifts on file_row_number + 1 > shifts.after order by file_row_number) "
            f"to {quoted(str(numbered))} ({PARQUET})"
        )
        numbered.replace(written)
    connection.execute("drop table reject_errors; drop table reject_scans")
    return [(line, text, f"{wrong.splitlines()[0].rstrip('.')}.") for line, text, wrong in bad]


def quoted(text: str) -> str:
    """A text as SQL writes it; file names may hold anything."""
    return "'" + text.replace("'", "''") + "'"


def _headers(path: Path) -> list[str]:
    """The first line's columns as they are compared; its text decides whether the file is in UTF-8 at all."""
    with path.open("rb") as stream:
        first = stream.readline(LONGEST_HEADER + 1)
    if len(first) > LONGEST_HEADER:
        raise UnreadableFile(f"has a first line longer than {LONGEST_HEADER >> 20} MiB, so it is no table of records")
    refuse_width(first)
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("is not text in UTF-8; state its encoding in the contract") from error
    if not text.strip():
        raise UnreadableFile("is empty")
    try:
        return [clean_header(name) for name in next(csv.reader([text]))]
    except csv.Error as error:
        raise UnreadableFile(f"has a first line that cannot be read as CSV: {error}") from error


def _as_utf8(path: Path, encoding: str | None, folder: Path) -> Path:
    """The file itself when it is UTF-8 with lines that all end alike, else a copy that is, made block by block."""
    stated = codecs.lookup(encoding).name if encoding else "utf-8" if _decodes(path, "utf-8") else "gb18030"
    if stated == "utf-8" and not _mixes_line_ends(path):
        return path
    copy = folder / "utf8.csv"
    try:
        with path.open(encoding=stated) as source, copy.open("w", encoding="utf-8", newline="") as target:
            while block := source.read(BLOCK):
                target.write(block)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"is not text in {encoding or 'UTF-8 or GB18030'}") from error
    return copy


def _plainly_named(path: Path, folder: Path) -> Path:
    """The same file by a name without the characters that DuckDB reads as a pattern of names."""
    if not re.search(r"[*?\[\]{}]", str(path)):
        return path
    link = folder / "records.csv"
    link.symlink_to(path.resolve())
    return link


def _mixes_line_ends(path: Path) -> bool:
    """Whether some lines end in CR LF and others in LF, at which DuckDB's reader gives up."""
    all_ends = with_return = 0
    before = b""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            all_ends += block.count(b"\n")
            if before or b"\r" in block:
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


def _frame(rejects: list[Reject]) -> pd.DataFrame:
    return pd.DataFrame(rejects, columns=list(Reject.__dataclass_fields__))

"""Records (patents, court cases) from CSV into a Parquet file a raw file, as text, at the speed of DuckDB's own reader.

The files lie beside the warehouse, which shows them as the views raw.patents and raw.cases: a changed year is written
anew without touching the others, and no record is stored twice. A file's name is the hash of what it was made of, and
only those that the ledger names are shown, so a run that dies leaves nothing half done.

Only loading: what a record means (green, which city, which year) is decided in dbt.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from dagster_project import state
from dagster_project.ingest import text
from dagster_project.ingest.contracts import Contract, clean_header
from dagster_project.ingest.text import UnreadableFile
from dagster_project.ingest.yearbooks import Reject
from dagster_project.raw_folder import printable

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
#: Rows that are handed on at a time where a file is read row by row.
BATCH = 50_000
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
            plain, encoding = path, contract.encoding
            lines = _plain_lines(plain, encoding)
            if lines is None and (copy := _plain_copy(path, encoding, Path(folder))):
                plain, encoding = copy, "utf-8"
                lines = _plain_lines(plain, encoding)
            headers = _headers(plain, encoding if lines is None else "utf-8")
            missing = [name for name in contract.columns.values() if clean_header(name) not in headers]
            for name in missing:
                reject("missing_column", name, "", f"no column is headed {name}.")
            twice = [name for name in contract.columns.values() if headers.count(clean_header(name)) > 1]
            for name in twice:
                said = f"{headers.count(clean_header(name))} columns are headed {name} and nothing tells which is meant"
                reject("equal_headers", name, "", f"{said}; rename all but one.")
            missing += twice
            headers = [name if headers.count(name) == 1 else "" for name in headers]
            if {contract.columns[field] for field in REQUIRED[contract.kind]} & set(missing):
                return 0, _frame(rejects)
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            rows = None
            if lines is not None:
                try:
                    rows, bad = _read_fast(
                        connection, _plainly_named(plain, Path(folder)), relative, contract, headers, fresh, lines
                    )
                except duckdb.Error as error:
                    # what DuckDB's reader gives up on is read line by line; what is wrong elsewhere is not of the file
                    if not isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
                        raise
            if rows is None:
                rows, bad = _read_carefully(connection, path, relative, contract, headers, fresh)
            for row, begins, wrong in bad:
                said = f"row {row} cannot be read: {wrong} The row begins {begins!r}."
                reject("unreadable_row", "", begins, said, row)
            state.sync(fresh)
            fresh.replace(target)
            return rows, _frame(rejects)
        except UnreadableFile as error:
            reject("unreadable_file", "", "", f"the file {error}.")
        return 0, _frame(rejects)


#: Row, how it begins, and what is wrong with it, as a sentence.
Bad = tuple[int, str, str]


def _read_fast(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    relative: str,
    contract: Contract,
    headers: list[str],
    target: Path,
    lines: int,
) -> tuple[int | None, list[Bad]]:
    """Records by DuckDB's own reader, and rows that it left out; no number of rows where ``lines`` of the file, the
    blank ones at its end not counted, are not all accounted for: a stray quote loses it thousands without a word.

    Columns are given by name and nothing is guessed, so that one bad row cannot make the whole file unreadable. A row's
    number is its place in the Parquet file, unless ``row`` says another.
    """
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(headers)))
    scan = (
        f"read_csv({quoted(str(path))}, auto_detect = false, columns = {{{columns}}}, header = true, "
        "delim = ',', quote = '\"', escape = '\"', store_rejects = true)"
    )
    named = _named(contract, headers)
    try:
        rows = connection.execute(
            f"copy (select {quoted(contract.source)} as source, {named}, {quoted(relative)} as file, "
            f"null::bigint as row from {scan}) to {quoted(str(target))} ({PARQUET})"
        ).fetchall()[0][0]
        bad = _bad_rows(connection, target)
        if rows + len(bad) + 1 != lines and (bad or not _lines_are_in_cells(connection, scan, headers, rows, lines)):
            return None, []
        return rows, bad
    finally:
        connection.execute("drop table if exists reject_errors; drop table if exists reject_scans")


def _named(contract: Contract, headers: list[str]) -> str:
    """The fields of a kind as expressions over the columns c0, c1, ... of a file."""
    wanted = {field: clean_header(contract.columns.get(field, "")) for field in FIELDS[contract.kind]}
    return ", ".join(
        f"c{headers.index(name)} as {field}" if name in headers else f"null::varchar as {field}"
        for field, name in wanted.items()
    )


def _lines_are_in_cells(
    connection: duckdb.DuckDBPyConnection, scan: str, headers: list[str], rows: int, lines: int
) -> bool:
    """Whether the lines that are no rows stand in cells of several lines, none of which holds as many delimiters as a
    row does: such a cell is what a stray quote makes of the rows behind it."""
    cells = [f"coalesce(c{index}, '')" for index in range(len(headers))]
    breaks = " + ".join(f"length({cell}) - length(replace({cell}, chr(10), ''))" for cell in cells)
    swallowed = " or ".join(
        f"(contains({cell}, chr(10)) and length({cell}) - length(replace({cell}, ',', '')) >= {len(headers) - 1})"
        for cell in cells
    )
    seen = connection.execute(f"select sum({breaks}), bool_or({swallowed}) from {scan}").fetchall()[0]
    return rows + 1 + (seen[0] or 0) == lines and not seen[1]


def _read_carefully(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    relative: str,
    contract: Contract,
    headers: list[str],
    target: Path,
) -> tuple[int, list[Bad]]:
    """Records row by row, each line accounted for (`text.read`); slower than DuckDB's reader by an order."""
    import pyarrow as pa

    wanted = {field: clean_header(contract.columns.get(field, "")) for field in FIELDS[contract.kind]}
    at = {field: headers.index(name) for field, name in wanted.items() if name in headers}
    schema = pa.schema([*((field, pa.string()) for field in wanted), ("row", pa.int64())])
    bad: list[Bad] = []

    def good() -> Iterator[tuple[int, list[str]]]:
        with path.open("rb") as stream:
            for number, _, cells, fault in islice(text.read(stream, contract.encoding), 1, None):
                if len(cells) == len(headers) and not fault:
                    yield number, cells
                elif cells:
                    wrong = fault or f"has {len(cells)} cell{'s' * (len(cells) != 1)}, its header has {len(headers)}"
                    bad.append((number, ",".join(cells).strip()[:60], f"it {wrong}."))

    def batches() -> Iterator[pa.RecordBatch]:
        rows = good()
        while batch := list(islice(rows, BATCH)):
            columns = [
                pa.array([cells[at[field]] or None for _, cells in batch], pa.string())
                if field in at
                else pa.nulls(len(batch), pa.string())
                for field in wanted
            ]
            numbers = pa.array([number for number, _ in batch], pa.int64())
            yield pa.record_batch([*columns, numbers], schema=schema)

    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".arrow") as kept:
        with pa.ipc.new_stream(kept.name, schema) as writer:  # first, so that what is raised here is not DuckDB's
            for batch in batches():
                writer.write_batch(batch)
        with pa.ipc.open_stream(kept.name) as reader:
            connection.register("careful", reader)
            rows = connection.execute(
                f"copy (select {quoted(contract.source)} as source, * exclude (row), {quoted(relative)} as file, row "
                f"from careful) to {quoted(str(target))} ({PARQUET})"
            ).fetchall()[0][0]
            connection.unregister("careful")
    return rows, bad


def _bad_rows(connection: duckdb.DuckDBPyConnection, written: Path) -> list[Bad]:
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
    return [(line, begins, f"{wrong.splitlines()[0].rstrip('.')}.") for line, begins, wrong in bad]


def quoted(value: str) -> str:
    """A text as SQL writes it; file names may hold anything."""
    return "'" + value.replace("'", "''") + "'"


def _headers(path: Path, encoding: str | None) -> list[str]:
    """The first row's columns as they are compared."""
    with path.open("rb") as stream:
        first = next(text.read(stream, encoding) if encoding != "utf-8" else text.rows(_utf_8(stream)), None)
    if first is None or not any(first.cells):
        raise UnreadableFile("is empty" if first is None else "has a blank first row, where its header should be")
    if first.fault:
        raise UnreadableFile(f"has a header that cannot be read: it {first.fault}")
    return [clean_header(name) for name in first.cells]


def _utf_8(stream: BinaryIO) -> Iterator[text.Line]:
    """The lines of a UTF-8 file; only the first must be what it should."""
    for number, raw in enumerate(iter(lambda: stream.readline(text.LONGEST_LINE + 1), b"")):
        if len(raw) > text.LONGEST_LINE:
            raise UnreadableFile(f"has a line longer than {text.LONGEST_LINE >> 20} MiB, so it is no table")
        try:
            yield text.Line(raw.decode("utf-8" if number else "utf-8-sig", "replace" if number else "strict"))
        except UnicodeDecodeError as error:
            raise UnreadableFile("is not text in UTF-8; state its encoding in the contract") from error


def _plainly_named(path: Path, folder: Path) -> Path:
    """The same file by a name that is text, without the characters that DuckDB reads as a pattern of names."""
    if not re.search(r"[*?\[\]{}]", str(path)) and printable(str(path)) == str(path):
        return path
    link = folder / "records.csv"
    link.symlink_to(path.resolve())
    return link


def _plain_lines(path: Path, encoding: str | None) -> int | None:
    """How many lines a file has, blank ones at its end not counted, where DuckDB's reader can be given it: UTF-8 whose
    lines all end alike and that holds no NUL; None for any other."""
    if encoding and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    feeds = returns = both = at_end = 0
    before = b""
    try:
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                if not encoding:
                    decoder.decode(block)
                feeds += block.count(b"\n")
                if before or b"\r" in block:
                    returns += block.count(b"\r")
                    both += (before + block).count(b"\r\n")
                before = block[-1:] if block.endswith(b"\r") else b""
                kept = block.rstrip(b"\r\n")
                at_end = block.count(b"\n", len(kept)) + (0 if kept else at_end)
                if b"\0" in block:
                    return None
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return feeds - at_end + 1 if returns == both and both in (0, feeds) else None


def _plain_copy(path: Path, encoding: str | None, folder: Path) -> Path | None:
    """The file in UTF-8 with lines that all end alike, made block by block; None where not all of it is one text."""
    with path.open("rb") as stream:
        stated = codecs.lookup(encoding or ("utf-8" if text.is_wholly(stream, "utf-8") else "gb18030")).name
        stream.seek(0)
        if stated == "gb18030" and text.holds_utf_8(stream):
            return None
    copy = folder / "utf8.csv"
    try:
        with path.open(encoding=stated) as source, copy.open("w", encoding="utf-8", newline="") as target:
            while block := source.read(BLOCK):
                target.write(block)
    except UnicodeError:
        return None
    return copy


def _frame(rejects: list[Reject]) -> pd.DataFrame:
    return pd.DataFrame(rejects, columns=list(Reject.__dataclass_fields__))

"""Any tabular file as sheets of cells: xlsx, xls, csv (UTF-8 or GB18030), dta, parquet. Knows nothing of contracts."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from dagster_project.ingest import text, workbook
from dagster_project.ingest.text import UnreadableFile as UnreadableFile

#: A workbook that unpacks to more than this is refused unread; yearbooks unpack to a few megabytes. With it, reading
#: any file below it takes less than MEMORY_BOUND.
MAXIMUM_UNPACKED_BYTES = 256 * 1024**2
#: A yearbook's text file may not be larger, nor hold more cells; reading one then takes less than TEXT_MEMORY_BOUND
#: beside what Python and its libraries take, and one of 20 MB half of that.
MAXIMUM_TEXT_BYTES = 512 * 1024**2
MOST_TEXT_CELLS = 10_000_000
TEXT_MEMORY_BOUND = 1024**3
#: Rows of one table that are set aside one by one; where there are more, the table is refused.
MOST_SET_ASIDE = 10_000
MEMORY_BOUND = 4 * 1024**3
#: No more than so many bytes come of one: the bound of the format (RFC 1951).
DEFLATE_RATIO = 1032
SUFFIXES = {".xlsx", ".xlsm", ".xls", ".csv", ".dta", ".parquet"}


@dataclass(frozen=True)
class Sheet:
    """One sheet: ``rows()`` gives its cells as text, row by row, and may raise UnreadableFile; ``merged`` are
    (top, left, bottom, right), 0-based. A row whose cells cannot be told is blank, and in ``set_aside`` once it was
    passed."""

    name: str
    rows: Callable[[], Iterator[list[str]]]
    merged: tuple[tuple[int, int, int, int], ...] = ()
    set_aside: list[text.Row] = field(default_factory=list)


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_sheets(path: Path, encoding: str | None = None) -> list[Sheet]:
    """The sheets of a file. Raises UnreadableFile."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnreadableFile(f"has the suffix {suffix!r}, which no reader knows (xlsx, xls, csv, dta, parquet do)")
    with _refusing(suffix):
        if suffix == ".csv":
            sheets = [_csv(path, encoding)]
        elif suffix in {".dta", ".parquet"}:
            sheets = [_frame(path)]
        else:
            sheets = _workbook(path)
    return [replace(sheet, rows=partial(_guarded, sheet.rows, suffix)) for sheet in sheets]


@contextmanager
def _refusing(suffix: str) -> Iterator[None]:
    """The readers raise dozens of types; each means the same to the person who sent the file."""
    try:
        yield
    except (UnreadableFile, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a reader written in Rust is no Exception
        raise UnreadableFile(f"cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from error


def _guarded(rows: Callable[[], Iterator[list[str]]], suffix: str) -> Iterator[list[str]]:
    """Rows are read when they are asked for, so a fault may show only then."""
    with _refusing(suffix):
        yield from rows()


def as_text(value: object) -> str:
    """A cell as text: whole numbers without a decimal point, other numbers in their shortest exact form."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value is pd.NA or value != value:  # and NaN, NaT
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _csv(path: Path, encoding: str | None) -> Sheet:
    if path.stat().st_size > MAXIMUM_TEXT_BYTES:
        raise UnreadableFile(
            f"is larger than {MAXIMUM_TEXT_BYTES / 1024**2:.0f} MiB, more than a yearbook's table may be"
        )
    set_aside: list[text.Row] = []

    def rows() -> Iterator[list[str]]:
        set_aside.clear()
        cells = 0
        once: dict[str, str] = {}  # names and years that repeat are held once
        with path.open("rb") as stream:
            for row in text.read(stream, encoding):
                cells += len(row.cells)
                if cells > MOST_TEXT_CELLS:
                    raise UnreadableFile(f"has more than {MOST_TEXT_CELLS:,} cells, more than a yearbook's table may")
                if row.fault:
                    if len(set_aside) == MOST_SET_ASIDE:
                        first = f"row {set_aside[0].number}: it {set_aside[0].fault}"
                        raise UnreadableFile(
                            f"has more than {MOST_SET_ASIDE:,} rows that cannot be read, first {first}"
                        )
                    set_aside.append(row)
                    yield []
                    continue
                if len(once) > MOST_SET_ASIDE:
                    once.clear()
                yield [once.setdefault(cell, cell) for cell in row.cells]

    next(rows(), None)  # what is no text at all is said when the file is opened
    return Sheet("", rows, set_aside=set_aside)


def _refuse_bomb(path: Path) -> None:
    """Raise UnreadableFile for a workbook that unpacks to too much, whatever its table of contents says of it."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        stated = sum(entry.file_size for entry in entries)
        if stated > MAXIMUM_UNPACKED_BYTES:
            raise UnreadableFile(f"unpacks to {stated / 1024**3:.1f} GiB, more than a workbook may")
        at_most = path.stat().st_size * len(entries) * DEFLATE_RATIO
        if at_most > MAXIMUM_UNPACKED_BYTES and _unpacked(archive, entries) > MAXIMUM_UNPACKED_BYTES:
            limit = f"{MAXIMUM_UNPACKED_BYTES / 1024**2:.0f} MiB"
            raise UnreadableFile(f"unpacks to more than {limit}, more than a workbook may, and states less")


def _unpacked(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> int:
    """Count what really comes out, piece by piece, and stop at the limit."""
    total = 0
    for entry in entries:
        stated = entry.file_size
        entry.file_size = MAXIMUM_UNPACKED_BYTES + 1  # else what is stated is all that is unpacked
        with archive.open(entry) as stream:
            while total <= MAXIMUM_UNPACKED_BYTES and (piece := stream.read(1 << 20)):
                total += len(piece)
        entry.file_size = stated
        if total > MAXIMUM_UNPACKED_BYTES:
            break
    return total


def _workbook(path: Path) -> list[Sheet]:
    """By its content, whatever the suffix says: workbooks are often renamed from xlsx to xls."""
    if zipfile.is_zipfile(path):
        _refuse_bomb(path)
    try:
        found = workbook.sheets(path)
    except workbook.Unreadable as error:
        raise UnreadableFile(str(error)) from error

    def sheet(name: str, merged: list[tuple[tuple[int, int], tuple[int, int]]], rows: list[list[Any]]) -> Sheet:
        ranges = tuple((top, left, bottom, right) for (top, left), (bottom, right) in merged)
        return Sheet(name, lambda: ([as_text(cell) for cell in row] for row in rows), ranges)

    return [sheet(*one) for one in found]


def _frame(path: Path) -> Sheet:
    content = io.BytesIO(path.read_bytes())  # a path would turn up in error messages
    frame = pd.read_stata(content) if path.suffix.lower() == ".dta" else pd.read_parquet(content)

    def rows() -> Iterator[list[str]]:
        yield [str(column) for column in frame.columns]
        for row in frame.itertuples(index=False):
            yield [as_text(value) for value in row]

    return Sheet("", rows)

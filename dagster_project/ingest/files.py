"""Any tabular file as sheets of cells: xlsx, xls, csv (UTF-8 or GB18030), dta, parquet. Knows nothing of contracts."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

#: A workbook that unpacks to more than this is refused unread.
MAXIMUM_UNPACKED_BYTES = 2 * 1024**3
SUFFIXES = {".xlsx", ".xlsm", ".xls", ".csv", ".dta", ".parquet"}


class UnreadableFile(ValueError):
    """A file that cannot be opened as what its name says; the message says why."""


@dataclass(frozen=True)
class Sheet:
    """One sheet: ``rows()`` gives its cells as text, row by row, and may raise UnreadableFile; ``merged`` are
    (top, left, bottom, right), 0-based."""

    name: str
    rows: Callable[[], Iterator[list[str]]]
    merged: tuple[tuple[int, int, int, int], ...] = ()


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
    except UnreadableFile:
        raise
    except Exception as error:
        raise UnreadableFile(f"cannot be read as {suffix[1:]}: {' '.join(str(error).split())[:200]}") from error


def _guarded(rows: Callable[[], Iterator[list[str]]], suffix: str) -> Iterator[list[str]]:
    """Rows are read when they are asked for, so a fault may show only then."""
    with _refusing(suffix):
        yield from rows()


def decode(content: bytes, encoding: str | None = None) -> str:
    """Text of a file in UTF-8 (with or without a mark) or GB18030, or in the encoding its contract states."""
    for name in [encoding] if encoding else ["utf-8-sig", "gb18030"]:
        try:
            return content.decode("utf-8-sig" if name and name.lower() in ("utf-8", "utf8") else name or "utf-8-sig")
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(f"is not text in {encoding or 'UTF-8 or GB18030'}")


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
    text = decode(path.read_bytes(), encoding)
    return Sheet("", lambda: iter(csv.reader(io.StringIO(text, newline=""))))


def _workbook(path: Path) -> list[Sheet]:
    """By its content, whatever the suffix says: workbooks are often renamed from xlsx to xls."""
    import python_calamine

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAXIMUM_UNPACKED_BYTES:
            raise UnreadableFile(f"unpacks to {unpacked / 1024**3:.1f} GiB, more than a workbook may")
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))

    def sheet(name: str) -> Sheet:
        opened = book.get_sheet_by_name(name)
        ranges = tuple((top, left, bottom, right) for (top, left), (bottom, right) in opened.merged_cell_ranges or [])
        return Sheet(
            name,
            lambda: ([as_text(cell) for cell in row] for row in opened.to_python(skip_empty_area=False)),
            ranges,
        )

    return [sheet(name) for name in book.sheet_names]


def _frame(path: Path) -> Sheet:
    content = io.BytesIO(path.read_bytes())  # a path would turn up in error messages
    frame = pd.read_stata(content) if path.suffix.lower() == ".dta" else pd.read_parquet(content)

    def rows() -> Iterator[list[str]]:
        yield [str(column) for column in frame.columns]
        for row in frame.itertuples(index=False):
            yield [as_text(value) for value in row]

    return Sheet("", rows)

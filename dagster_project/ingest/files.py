"""Any tabular file as sheets of cells, by what is in it and not by its name: workbooks (xlsx, xls, ods), text with any
separator (UTF-8, GB18030, UTF-16), HTML tables, dta, sav, parquet, zip archives of these. Knows nothing of contracts.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from dagster_project.ingest import markup, text, workbook
from dagster_project.ingest.text import UnreadableFile as UnreadableFile
from dagster_project.raw_folder import printable

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
SUFFIXES = {
    ".xlsx",
    ".xlsm",
    ".xls",
    ".ods",
    ".csv",
    ".tsv",
    ".txt",
    ".html",
    ".htm",
    ".dta",
    ".sav",
    ".parquet",
    ".zip",
}
SEPARATORS = ",;\t|"
#: Patterns of what stands between cells that are aligned by spaces, the surer first.
SPACES = (r"[ \u3000]{2,}", r"[ \u3000]+")
TAB = "\t"
#: Files of an archive that are read; more is no bundle of tables.
MOST_MEMBERS = 200
#: Lines by which the separator is told.
LOOK_AT = 100


@dataclass(frozen=True)
class Sheet:
    """One sheet: ``rows()`` gives its cells as text, row by row, and may raise UnreadableFile; ``merged`` are
    (top, left, bottom, right), 0-based. A row whose cells cannot be told is blank, and in ``set_aside`` once it was
    passed. ``labels`` say what the columns of a statistical package's file are, by their names; ``doubt`` is what is
    unsure of how it was read, a sentence without subject."""

    name: str
    rows: Callable[[], Iterator[list[str]]]
    merged: tuple[tuple[int, int, int, int], ...] = ()
    set_aside: list[text.Row] = field(default_factory=list)
    labels: Mapping[str, str] = field(default_factory=dict)
    doubt: str = ""


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_sheets(path: Path, encoding: str | None = None) -> list[Sheet]:
    """The sheets of a file. Raises UnreadableFile."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(sorted(one[1:] for one in SUFFIXES))
        raise UnreadableFile(f"has the suffix {suffix!r}, which no reader knows ({known} do)")
    with _refusing(suffix):
        sheets = _reader(path, suffix)(path, encoding)
    return [replace(sheet, rows=partial(_guarded, sheet.rows, suffix)) for sheet in sheets]


def _reader(path: Path, suffix: str) -> Callable[[Path, str | None], list[Sheet]]:
    """Which reader a file's first bytes ask for: tables are often renamed, above all to xls."""
    with path.open("rb") as stream:
        start = stream.read(2048)
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
        return _workbook if names & {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} else _archive
    if start.startswith(b"PAR1"):
        return _parquet
    if start.startswith((b"$FL2", b"$FL3")):
        return _spss
    if start.startswith(b"<stata_dta>") or (suffix == ".dta" and start[:1] and 102 <= start[0] <= 115):
        return _stata
    if re.match(rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype html|<html|<table|<meta|<head|<body)", start, re.IGNORECASE):
        return _html
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<?xml") and b"office:spreadsheet" in start:
        return _xml
    if start.startswith(b"\xd0\xcf\x11\xe0") or suffix in {".xlsx", ".xlsm", ".ods"}:
        return _workbook
    # a damaged binary is no text, whatever it is named; UTF-16 is full of NUL
    if suffix in {".xls", ".dta", ".sav", ".parquet", ".zip"} and not _is_text(start):
        return {".xls": _workbook, ".dta": _stata, ".sav": _spss, ".parquet": _parquet, ".zip": _archive}[suffix]
    return _text


def _is_text(start: bytes) -> bool:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return bool(start) and not any(byte < 9 or 13 < byte < 32 for byte in start) and any(b in start for b in b",;\t|")


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


def _text(path: Path, encoding: str | None) -> list[Sheet]:
    if path.stat().st_size > MAXIMUM_TEXT_BYTES:
        raise UnreadableFile(
            f"is larger than {MAXIMUM_TEXT_BYTES / 1024**2:.0f} MiB, more than a yearbook's table may be"
        )
    name, doubt = encoding or _marked(path), ""
    if name is None:
        with path.open("rb") as stream:
            doubt = text.doubt(stream)
    separator, width = _separator(path, name)
    set_aside: list[text.Row] = []

    def read(stream: BinaryIO) -> Iterator[text.Row]:
        if separator in SEPARATORS:
            yield from text.read(stream, name, separator)
            return
        for row in text.rows(_aligned(text.lines(stream, name), separator), "\t"):
            wrong = f"has {len(row.cells)} cells where others have {width}, and only spaces tell them apart"
            yield row._replace(fault=row.fault or wrong) if 1 < len(row.cells) != width else row

    def rows() -> Iterator[list[str]]:
        set_aside.clear()
        cells = 0
        once: dict[str, str] = {}  # names and years that repeat are held once
        with path.open("rb") as stream:
            for row in read(stream):
                cells += max(1, len(row.cells))  # a blank row takes room too
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
    return [Sheet("", rows, set_aside=set_aside, doubt=doubt)]


def _aligned(lines: Iterator[text.Line], separator: str) -> Iterator[text.Line]:
    """Lines whose cells stand apart by spaces, with tabs in their place."""
    for line in lines:
        yield line._replace(text=f"{re.sub(separator, TAB, line.text.strip())}\n")


def _marked(path: Path) -> str | None:
    """UTF-16 where a mark says so, or where every second byte of the start is NUL."""
    with path.open("rb") as stream:
        start = stream.read(400)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    half = len(start) // 2
    if half > 8 and start[1::2].count(0) > half * 0.3 and not start[::2].count(0):
        return "utf-16-le"
    return "utf-16-be" if half > 8 and start[::2].count(0) > half * 0.3 and not start[1::2].count(0) else None


def _separator(path: Path, encoding: str | None) -> tuple[str, int]:
    """What separates the cells, and how many of them: the separator that stands equally often in most of the first
    lines; a pattern of spaces where there is no other and nearly all lines have equally many cells by it."""
    lines: list[str] = []
    # a fault further on is told when the rows are read
    with path.open("rb") as stream, suppress(UnreadableFile):
        for line in text.lines(stream, encoding):
            if line.text.strip():
                lines.append(re.sub(r'"[^"]*"', "", line.text))
            if len(lines) == LOOK_AT:
                break
    rated: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        counts = Counter(line.count(separator) for line in lines if separator in line)
        if counts:
            often, lines_alike = max(counts.items(), key=lambda found: (found[1], found[0]))
            rated[separator] = (lines_alike / len(lines), often)
    for spaces in () if rated else SPACES:
        widths = Counter(len(re.split(spaces, line.strip())) for line in lines)
        width, lines_alike = max(widths.items(), key=lambda found: found[1], default=(0, 0))
        if width > 1 and lines_alike >= 0.8 * len(lines):
            return spaces, width
    return max(rated, key=lambda separator: rated[separator], default=","), 0


def _html(path: Path, encoding: str | None) -> list[Sheet]:
    return [_of_rows(*table) for table in markup.html_tables(path.read_bytes(), encoding)]


def _xml(path: Path, encoding: str | None) -> list[Sheet]:
    return [_of_rows(*sheet) for sheet in markup.xml_sheets(path.read_bytes())]


def _of_rows(name: str, rows: list[list[str]], merged: tuple[tuple[int, int, int, int], ...]) -> Sheet:
    return Sheet(name, lambda: iter(rows), merged)


def _archive(path: Path, encoding: str | None) -> list[Sheet]:
    """The sheets of an archive's files, each behind its file's name."""
    _refuse_bomb(path)
    found: list[Sheet] = []
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not Path(member.filename).name.startswith((".", "~$"))
            and Path(member.filename).suffix.lower() in SUFFIXES - {".zip"}
        ]  # fmt: skip
        if not members:
            raise UnreadableFile("is an archive that holds no table")
        if len(members) > MOST_MEMBERS:
            raise UnreadableFile(f"is an archive of {len(members):,} files, more than {MOST_MEMBERS}")
        for number, member in enumerate(members):
            name = _member_name(member)
            inside = Path(folder) / f"{number}{Path(name).suffix.lower()}"
            inside.write_bytes(archive.read(member))
            for sheet in open_sheets(inside, encoding):
                rows = list(sheet.rows())  # before the folder goes
                label = f"{name}/{sheet.name}" if sheet.name else name
                if any(other.name == label for other in found):
                    raise UnreadableFile(f"is an archive that holds {printable(label)} twice; take one of the two out")
                found.append(replace(sheet, name=label, rows=partial(iter, rows)))
    return found


def _member_name(member: zipfile.ZipInfo) -> str:
    """A file's name in an archive: before UTF-8 was marked, archives from Chinese systems held GB18030."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return member.filename


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


def _workbook(path: Path, encoding: str | None) -> list[Sheet]:
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


def _stata(path: Path, encoding: str | None) -> list[Sheet]:
    """A Stata file of any release; a labelled value is its label, a date names its day, month or quarter."""
    import warnings

    from pandas.io.stata import StataReader

    from analysis.studies.table_file import stata_decoder

    opened: Any = StataReader(io.BytesIO(path.read_bytes()), convert_categoricals=False, convert_dates=False)
    with opened as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = reader.read()
        labels = reader.value_labels()
        held = dict(zip(reader._varlist, reader._lbllist, strict=True))
        formats = dict(zip(reader._varlist, reader._fmtlist, strict=True))
        said_of = reader.variable_labels()
    decode = stata_decoder(frame, said_of, labels)
    columns = []
    for name in frame.columns:
        said = {float(code): decode(str(label)) for code, label in labels.get(held.get(name, ""), {}).items()}
        dated = _stata_date(formats.get(name, ""))
        columns.append([
            decode(value).strip() if isinstance(value, str)
            else said[float(value)] if said and value == value and float(value) in said
            else dated(value) if dated and value == value
            else as_text(value)
            for value in frame[name].tolist()
        ])  # fmt: skip
    described = {decode(str(name)): decode(str(said)).strip() for name, said in said_of.items() if said}
    return [replace(_columns([decode(str(name)) for name in frame.columns], columns), labels=described)]


def _stata_date(form: str) -> Callable[[Any], str] | None:
    """How values of a Stata date format read; years are numbers already."""
    kind = form[2:3] if form.startswith("%t") else "d" if form.startswith("%d") else ""
    if kind in ("c", "C"):
        return lambda value: str((pd.Timestamp(1960, 1, 1) + pd.Timedelta(milliseconds=value)).date())
    if kind == "d":
        return lambda value: str((pd.Timestamp(1960, 1, 1) + pd.Timedelta(days=value)).date())
    parts = {"w": (52, "W"), "m": (12, "M"), "q": (4, "Q"), "h": (2, "H")}.get(kind)
    return (lambda value: f"{1960 + int(value) // parts[0]}{parts[1]}{int(value) % parts[0] + 1}") if parts else None


def _spss(path: Path, encoding: str | None) -> list[Sheet]:
    import pyreadstat

    frame, meta = pyreadstat.read_sav(path, apply_value_formats=True, formats_as_category=False, encoding=encoding)
    names = [str(name) for name in frame.columns]
    columns = [[as_text(value) for value in frame[name].tolist()] for name in frame.columns]
    described = {str(name): label.strip() for name, label in meta.column_names_to_labels.items() if label}
    return [replace(_columns(names, columns), labels=described)]


def _parquet(path: Path, encoding: str | None) -> list[Sheet]:
    frame = pd.read_parquet(io.BytesIO(path.read_bytes()))  # a path would turn up in error messages
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    return [_columns(names, [[as_text(value) for value in frame[name].tolist()] for name in frame.columns])]


def _columns(names: list[str], columns: list[list[str]]) -> Sheet:
    """A sheet whose first row names its columns."""

    def rows() -> Iterator[list[str]]:
        yield list(names)
        yield from map(list, zip(*columns, strict=True))

    return Sheet("", rows)

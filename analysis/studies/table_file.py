"""A table that somebody else assembled, as its file holds it: columns, labels, and where each row stands.

Stata of any version, SPSS, Excel, CSV and Parquet. What the columns mean for a study is decided in `file_panel`.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: Texts that stand for no value, as people and programs write them.
BLANK = frozenset(
    {"", ".", "..", "...", "…", "-", "--", "—", "——", "－", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"}
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
#: Share of a column's values that must read as numbers for the others to be faults and not words.
MOSTLY = 0.5
DELIMITERS = ",\t;|"


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes
    ----------
    path, sheet : where it stands; ``sheet`` is empty for kinds of file without sheets.
    frame : one row a row of the file, indexed from 0: numbers as numbers, dates as dates, other text without blanks at
        its ends; missing as NaN or None. Columns are named as in the file.
    labels : column -> what the file says of it (a variable label, a second header row); only where it does.
    values : column -> {number: the text it stands for}; only where the file has value labels.
    first : the row of the file, counted from 1, that holds the first row of ``frame``; names stand above it.
    sha256 : of the file's content.
    """

    path: Path
    sheet: str
    frame: pd.DataFrame
    labels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    first: int = 2
    sha256: str = ""

    def where(self, row: int, column: str | None = None) -> str:
        """A row of ``frame`` as a person finds it in the file."""
        sheet = f", sheet {self.sheet!r}" if self.sheet else ""
        named = "" if column is None else f", column {column!r}"
        return f"{self.path.name}{sheet}, row {row + self.first}{named}"

    def is_number(self, column: str) -> bool:
        """Whether a column holds numbers, a few faulty cells apart."""
        return _is_number(self.frame[column])

    def numbers(self, column: str) -> pd.Series:
        """A column as float64.

        Raises
        ------
        ValueError
            Naming the first cell that is neither a number nor blank.
        """
        held = self.frame[column]
        if not _is_text(held) and not pd.api.types.is_datetime64_any_dtype(held):
            values = held.astype("float64")
        else:
            values = pd.to_numeric(held, errors="coerce").astype("float64")
            wrong = values.isna() & held.notna()
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                others = f" and {int(wrong.sum()) - 1:,} more like it" if wrong.sum() > 1 else ""
                raise ValueError(
                    f"{self.where(at, column)}: {held.iloc[at]!r} is no number{others}; correct it or leave it blank."
                )
        endless = np.isinf(values)
        if endless.any():
            at = int(np.flatnonzero(endless)[0])
            raise ValueError(f"{self.where(at, column)}: the value is infinite; leave it blank.")
        return values


def read_table(path: Path, sheet: str | None = None) -> Table:
    """The table of a file.

    Parameters
    ----------
    sheet
        Of a workbook; by default the first that has a table.

    Raises
    ------
    ValueError
        In one sentence: no such file, a kind that is not read, content that cannot be read as its kind, a name that two
        columns share, no row.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    about = path.stat()
    return _read(path, sheet, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, sheet: str | None, changed: int, size: int) -> Table:
    kind = path.suffix.lower()
    if kind not in READERS:
        raise ValueError(f"{path.name}: files that end in {kind or 'nothing'} are not read; {', '.join(READERS)} are.")
    content = path.read_bytes()
    try:
        table = READERS[kind](path, content, sheet)
    except ValueError as error:
        if str(error).startswith(path.name):
            raise
        raise ValueError(f"{path.name} cannot be read as {kind[1:]}: {_short(error)}") from None
    except ImportError:
        raise
    except BaseException as error:  # readers raise dozens of types, one written in Rust no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise ValueError(f"{path.name} cannot be read as {kind[1:]}: {_short(error)}") from None
    names = [str(name) for name in table.frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{path.name}: {twice[0]!r} names two columns; give each a name of its own.")
    if table.frame.empty:
        raise ValueError(f"{path.name} holds no row below the names of its columns.")
    frame = pd.DataFrame({name: _tidy(table.frame.iloc[:, at]) for at, name in enumerate(names)})
    digest = hashlib.sha256(content).hexdigest()
    return Table(path, table.sheet, frame, _said(table.labels), table.values, table.first, digest)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") + "."


def _said(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: " ".join(text.split()) for name, text in labels.items() if text and text.strip()}


def _is_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def _is_number(column: pd.Series) -> bool:
    if not _is_text(column):
        return not pd.api.types.is_datetime64_any_dtype(column)
    known = column.dropna()
    return bool(len(known)) and float(pd.to_numeric(known, errors="coerce").notna().mean()) > MOSTLY


def _tidy(column: pd.Series) -> pd.Series:
    """Numbers where all of a column is numbers, text without blanks, dates; nothing where nothing stands."""
    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_bool_dtype(column):
        return column.astype("int64")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        plain = column.astype("float64") if column.hasnans else column.to_numpy()
        return pd.Series(np.asarray(plain))
    cells = [_cell(value) for value in column]
    found = {type(cell) for cell in cells if cell is not None}
    if found <= {datetime.datetime, datetime.date, pd.Timestamp} and found:
        return pd.to_datetime(pd.Series(cells), errors="coerce")
    if found <= {int, float} and found:
        return _numeric(cells)
    texts = [cell if cell is None or isinstance(cell, str) else _plain(cell) for cell in cells]
    stripped = [
        None if text is None else text.replace(",", "") if _THOUSANDS.fullmatch(text) else text for text in texts
    ]
    known = [text for text in stripped if text is not None]
    # a zero in front says that these are names: 000001 is no 1
    named = any(len(text) > 1 and text[0] == "0" and text.isdigit() for text in known)
    if known and not named and all(_NUMBER.fullmatch(text) for text in known):
        whole = all(re.fullmatch(r"[+-]?\d{1,15}", text) for text in known)
        return _numeric([None if text is None else int(text) if whole else float(text) for text in stripped])
    return pd.Series([texts[at] if named else stripped[at] for at in range(len(texts))], dtype=object)


def _numeric(cells: list[Any]) -> pd.Series:
    whole = all(cell is not None and float(cell).is_integer() and abs(cell) < 2**53 for cell in cells)
    if whole:
        return pd.Series([int(cell) for cell in cells], dtype="int64")
    return pd.Series([np.nan if cell is None else float(cell) for cell in cells], dtype="float64")


def _cell(value: Any) -> Any:
    """A cell: None where nothing stands, text without blanks at its ends, or the value."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        text = value.strip().strip("\u3000\ufeff\x00").strip()
        return None if text in BLANK else text
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return int(value) if isinstance(value, np.integer) else value


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


# Kinds of file -------------------------------------------------------------------------------------------------------


def _stata(path: Path, content: bytes, sheet: str | None) -> Table:
    """Numbers behind value labels are kept, so that neither a shared label nor a half-labelled column is in the way.

    Before release 118 nothing says how text is encoded: UTF-8 is tried, then GB18030, then Windows-1252.
    """
    import warnings

    from pandas.io.stata import StataReader

    opened: Any = StataReader(io.BytesIO(content), convert_categoricals=False)
    with opened as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = reader.read()
        told, values = reader.variable_labels(), reader.value_labels()
        held = dict(zip(reader._varlist, reader._lbllist, strict=True))
    decode = stata_decoder(frame, told, values)
    frame = frame.rename(columns=decode)
    for name in frame.columns:
        if _is_text(frame[name]):
            frame[name] = [decode(cell) if isinstance(cell, str) else cell for cell in frame[name]]
    return Table(
        path,
        "",
        frame,
        {decode(str(name)): decode(str(text)) for name, text in told.items()},
        {
            decode(str(name)): {float(code): decode(str(text)).strip() for code, text in values[labels].items()}
            for name, labels in held.items()
            if labels in values
        },
    )


def stata_decoder(
    frame: pd.DataFrame, told: Mapping[str, str], values: Mapping[str, Mapping[Any, str]]
) -> Callable[[str], str]:
    """What turns text that was read as Latin-1 into what it was, judged on all of the file's text."""
    texts = {
        *map(str, frame.columns),
        *map(str, told.values()),
        *(str(t) for held in values.values() for t in held.values()),
    }
    for name in frame.columns:
        if _is_text(frame[name]):
            texts.update(cell for cell in frame[name].unique() if isinstance(cell, str))
    foreign = [text for text in texts if not text.isascii()]
    if not foreign or any(ord(letter) > 255 for text in foreign for letter in text):
        return lambda text: text
    for encoding in ("utf-8", "gb18030", "cp1252"):
        try:
            for text in foreign:
                text.encode("latin-1").decode(encoding)
        except UnicodeDecodeError:
            continue
        return lambda text, encoding=encoding: text.encode("latin-1").decode(encoding)  # type: ignore[misc]
    return lambda text: text


def _spss(path: Path, content: bytes, sheet: str | None) -> Table:
    import pyreadstat

    frame, about = pyreadstat.read_sav(path)
    values = {
        str(name): {float(code): str(text) for code, text in held.items() if isinstance(code, (int, float))}
        for name, held in about.variable_value_labels.items()
    }
    labels = {str(name): str(text or "") for name, text in about.column_names_to_labels.items()}
    return Table(path, "", frame, labels, {name: held for name, held in values.items() if held})


def _parquet(path: Path, content: bytes, sheet: str | None) -> Table:
    frame = pd.read_parquet(io.BytesIO(content))
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    return Table(path, "", frame, first=1)


def _csv(path: Path, content: bytes, sheet: str | None) -> Table:
    text = _text(path, content)
    head = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[Any]] = []
    try:
        for row in reader:
            rows.append(list(row))
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {reader.line_num}: {error}; a quotation mark may be open.") from None
    return _sheet_table(path, "", rows)


def _text(path: Path, content: bytes) -> str:
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{path.name} is text in neither UTF-8 nor GB18030; save it as UTF-8.")


def _workbook(path: Path, content: bytes, sheet: str | None) -> Table:
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    if sheet is not None and sheet not in book.sheet_names:
        raise ValueError(f"{path.name} has no sheet {sheet!r}; it has {', '.join(map(repr, book.sheet_names))}.")
    for name in [sheet] if sheet else book.sheet_names:
        # the rows above and beside the first filled cell count: a reader finds cells by them
        rows = [list(row) for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
        filled = [sum(_cell(cell) is not None for cell in row) for row in rows]
        if sheet or (sum(count > 1 for count in filled) > 1):
            return _sheet_table(path, name, rows)
    raise ValueError(f"{path.name} has no sheet with a table.")


def _sheet_table(path: Path, sheet: str, rows: list[list[Any]]) -> Table:
    """The table of rows of cells: titles above it are passed over, texts right below the names are labels."""
    filled = [sum(_cell(cell) is not None for cell in row) for row in rows]
    widest = max(filled, default=0)
    top = next((at for at, count in enumerate(filled) if count and count >= 0.6 * widest), None)
    if top is None:
        raise ValueError(f"{path.name} holds no table.")
    names = [_name(cell, at) for at, cell in enumerate(rows[top])]
    width = max(at + 1 for at, cell in enumerate(rows[top]) if _cell(cell) is not None)
    long = next(
        (at for at, row in enumerate(rows) if at > top and any(_cell(c) is not None for c in row[width:])), None
    )
    if long is not None:
        raise ValueError(
            f"{path.name}, row {long + 1}: the row has more cells than the {width} names in row {top + 1}."
        )
    below = [row[:width] + [None] * (width - len(row)) for row in rows[top + 1 :]]
    labels: dict[str, list[str]] = {}
    first = 0
    while first < min(2, len(below) - 2) and _is_words(below[first]) and not _is_words(below[first + 1 + (first == 0)]):
        for name, cell in zip(names, below[first], strict=False):
            if _cell(cell) is not None:
                labels.setdefault(name, []).append(str(_cell(cell)))
        first += 1
    kept = len(below)
    while kept > first and not any(_cell(cell) is not None for cell in below[kept - 1]):
        kept -= 1
    frame = pd.DataFrame(below[first:kept], columns=names[:width], dtype=object)
    said = {name: ", ".join(texts) for name, texts in labels.items()}
    return Table(path, sheet, frame, said, first=top + 2 + first)


def _is_words(row: list[Any]) -> bool:
    """Whether a row has text and not one number or date."""
    cells = [cell for cell in map(_cell, row) if cell is not None]
    return len(cells) > 1 and all(isinstance(cell, str) and not re.search(r"\d{2}", cell) for cell in cells)


def _name(cell: Any, at: int) -> str:
    held = _cell(cell)
    return f"column {at + 1}" if held is None else " ".join(_plain(held).split())


READERS: dict[str, Callable[[Path, bytes, str | None], Table]] = {
    ".dta": _stata,
    ".xlsx": _workbook,
    ".xlsm": _workbook,
    ".xls": _workbook,
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".parquet": _parquet,
    ".sav": _spss,
}

"""Text tables (CSV and its kin): bytes to rows of cells, of which every line is accounted for.

Each line of the file is part of exactly one `Row`. A row whose cells cannot be told for sure carries a `fault`, a
sentence that says why, and the line as it stands; a reader sets it aside with that sentence. A quote that opens and
never closes, or closes many rows later, so costs the rows it stands in and no other. Knows nothing of contracts, and
decides neither delimiter nor header.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

MOST_COLUMNS = 16_384
LONGEST_LINE = 16 << 20
#: A cell of more lines than this is a quote that was never closed.
MOST_LINES = 10_000
#: Lines read again because a quote before them did not close; a file that needs more is refused.
PATIENCE = 2_000_000
#: Lines by which the usual number of delimiters is judged.
LOOK_AHEAD = 200
#: Bytes, and the share of characters of GB 2312 among them, by which text is surely in GB18030.
SAMPLE, SURE = 1 << 16, 0.8
#: No character from here on up is written by chance when text of one encoding is read in the other.
FIRST_OF_CHINESE = "\u2e80"
#: Bytes by what they are in UTF-8: ASCII, the first of such a character, one that follows, any other; and a run of
#: such characters, whole.
CLASSES = b"a" * 0x80 + b"f" * 0x40 + b"o" * 0x22 + b"l" * 0xE + b"o" * 0x10
LIKE_UTF_8 = re.compile(b"a(?:lff)+a")
#: Encodings in which a line ends at another byte than LF, or in which a line does not stand for itself.
WIDE = ("utf-16", "utf-32", "utf-7", "utf_16", "utf_32", "utf_7")

csv.field_size_limit(LONGEST_LINE)


class UnreadableFile(ValueError):
    """A file that cannot be opened as what its name says; the message says why."""


class Line(NamedTuple):
    """A line of the file with its end; ``fault`` where its bytes are not the text they should be."""

    text: str
    fault: str = ""


class Row(NamedTuple):
    """A row as a spreadsheet shows it.

    Attributes
    ----------
    number : counted from 1, blank rows too; a cell of several lines is in one row.
    line : the first of its lines, counted from 1.
    cells : as they stand, untrimmed; none of a blank row. Of a row with a fault: the whole line as one.
    fault : why the row is set aside, a sentence without subject; empty for a good row.
    """

    number: int
    line: int
    cells: list[str]
    fault: str = ""


def read(stream: BinaryIO, encoding: str | None = None, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a text table. ``encoding`` None is UTF-8 or GB18030, whichever most of its lines are in.

    Memory: the longest row. Raises UnreadableFile where most lines are no text, a line is longer than 16 MiB, a row has
    more columns than a spreadsheet, or quotes open in so many rows that no row can be trusted.
    """
    return rows(lines(stream, encoding), delimiter)


def lines(stream: BinaryIO, encoding: str | None = None) -> Iterator[Line]:
    """The lines of a text, ended by LF, CR LF or CR; those in another encoding than most have a fault."""
    start = stream.tell()
    name = encoding or detect(stream)
    stream.seek(start)
    if codecs.lookup(name).name.startswith(WIDE):
        yield from _wide_lines(stream, name)
        return
    if not is_wholly(stream, name):
        stream.seek(start)
        checked = [_is(raw, name) for raw in _raw_lines(stream) if not raw.isascii()]
        if checked.count(False) * 2 > len(checked):
            raise UnreadableFile(f"is not text in {encoding or 'UTF-8 or GB18030'}")
    stream.seek(start)
    for number, raw in enumerate(_raw_lines(stream)):
        text, fault = _decoded(raw, name)
        text = text if number else text.removeprefix("\ufeff")
        yield Line(text, fault or ("holds a NUL, which no text has" if "\0" in text else ""))


def detect(stream: BinaryIO) -> str:
    """``utf-8`` or ``gb18030``: what all of a text is in, else most of its lines (where equal, the first)."""
    start = stream.tell()
    if is_wholly(stream, "utf-8"):
        return "utf-8"
    stream.seek(start)
    if is_wholly(stream, "gb18030"):
        stream.seek(start)
        if not holds_utf_8(stream):
            return "gb18030"
    stream.seek(start)
    balance = first = 0
    for raw in _raw_lines(stream):
        if not raw.isascii():
            vote = 1 if _is(raw, "utf-8") else -1 if _is(raw, "gb18030") else 0
            balance += vote
            first = first or vote
    return "utf-8" if balance > 0 or (balance == 0 and first > 0) else "gb18030"


def doubt(stream: BinaryIO) -> str:
    """Why it is not sure that a text is in GB18030, as a sentence without subject; "" where it is, or in UTF-8.

    Nearly any bytes are text in GB18030, but hardly any other are made of the 7,000 characters of GB 2312.
    """
    if is_wholly(stream, "utf-8"):
        return ""
    stream.seek(0)
    sample = stream.read(SAMPLE)
    foreign = Counter(character for character in sample.decode("gb18030", "ignore") if not character.isascii())
    usual = sum(times for character, times in foreign.items() if character.encode("gb2312", "ignore"))
    if usual >= SURE * foreign.total():
        return ""
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    other = f", and may be in {best.encoding}" if best and best.encoding not in ("gb18030", "gbk", "gb2312") else ""
    return f"is taken as text in GB18030, though few of its characters are usual{other}; say `encoding` in the contract"


def holds_utf_8(stream: BinaryIO) -> bool:
    """Whether lines of a text in GB18030 are in UTF-8 and so, by `lines`, have a fault."""
    while block := stream.read(1 << 20) + stream.readline():
        likely = LIKE_UTF_8.search((b"\n" + block + b"\n").translate(CLASSES))
        if likely and any(_decoded(raw, "gb18030")[1] for raw in _raw_lines(io.BytesIO(block))):
            return True
    return False


def rows(lines: Iterable[Line], delimiter: str = ",") -> Iterator[Row]:
    """The rows of a table's lines. See the module's first paragraph for what becomes of quotes that do not pair."""
    ahead = _Lines(lines)
    usual = _usual_delimiters(ahead.peek(LOOK_AHEAD), delimiter)
    number = spent = 0
    #: Line in which a quote closes that was taken for a stray one -> the row that opens it.
    closing: dict[int, int] = {}
    while line := ahead.next():
        number += 1
        at = ahead.position
        text = line.text.rstrip("\r\n")
        fault = line.fault
        if at in closing:
            fault = fault or f'closes a quote (") that row {closing.pop(at)} opens'
        if not fault:
            if line.text.count(delimiter) >= MOST_COLUMNS:
                columns = line.text.count(delimiter) + 1
                raise UnreadableFile(f"has {columns:,} columns; a table may have {MOST_COLUMNS:,}")
            if '"' not in text:
                yield Row(number, at, text.split(delimiter) if text else [])
                continue
            cells, pulled, fault = _quoted(line, ahead, delimiter)
            if not fault and len(pulled) > 1 and _swallowed(pulled, cells, usual, delimiter):
                last = number + len(pulled) - 1
                fault = f"{_opens(text, delimiter)} that closes only in row {last}; the rows between are read as rows"
                closing[at + len(pulled) - 1] = number
            elif not fault and closing and (crossed := closing.keys() & set(range(at + 1, at + len(pulled)))):
                fault = f"{_opens(text, delimiter)} across the quote that closes what row {closing[min(crossed)]} opens"
            if not fault:
                yield Row(number, at, cells)
                continue
            ahead.give_back(pulled[1:])
            spent += len(pulled)
            if spent > PATIENCE:
                raise UnreadableFile(f'has quotes (") that do not pair in too many rows, the last of them row {number}')
        yield Row(number, at, [text], fault)


class _Lines:
    """Lines that can be given back; ``position`` is the number of the last one taken."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._rest = iter(lines)
        self._given_back: list[Line] = []
        self.position = 0

    def next(self) -> Line | None:
        line = self._given_back.pop() if self._given_back else next(self._rest, None)
        self.position += line is not None
        return line

    def give_back(self, lines: list[Line]) -> None:
        self._given_back.extend(reversed(lines))
        self.position -= len(lines)

    def peek(self, count: int) -> list[Line]:
        found = list(islice(self._rest, count))
        self._given_back.extend(reversed(found))
        return found


def _quoted(first: Line, ahead: _Lines, delimiter: str) -> tuple[list[str], list[Line], str]:
    """The cells of the row that begins with a line, all lines that were looked at for it, and what is wrong with it."""
    if first.text.count('"') % 2 == 0:  # most often a row by itself
        try:
            return next(csv.reader((first.text,), delimiter=delimiter, strict=True)), [first], ""
        except csv.Error:
            pass
    pulled: list[Line] = []

    def feed() -> Iterator[str]:
        line: Line | None = first
        size = 0
        while line and not line.fault and len(pulled) < MOST_LINES and size <= LONGEST_LINE:
            pulled.append(line)
            size += len(line.text)
            yield line.text
            line = ahead.next()
        if line:
            ahead.give_back([line])

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True)), pulled, ""
    except csv.Error as error:
        opens = _opens(first.text, delimiter)
        if "expected after" in str(error):
            where = "" if len(pulled) == 1 else f" in line {ahead.position}"
            return [], pulled, f"{opens}, and text follows the quote that closes it{where}"
        return [], pulled, f"{opens} that nothing closes"


def _opens(text: str, delimiter: str) -> str:
    """Where the first cell stands that a line opens with a quote and does not close."""
    whole = re.compile(rf'(?:"(?:[^"]|"")*"|(?!")[^{re.escape(delimiter)}]*){re.escape(delimiter)}')
    column, at = 1, 0
    while found := whole.match(text, at):
        column, at = column + 1, found.end()
    return f'opens a quote (") in column {column}'


def _swallowed(pulled: list[Line], cells: list[str], usual: int, delimiter: str) -> bool:
    """Whether a row of several lines has more cells than rows have, or lines of it look like rows themselves: then its
    quote is a stray one.

    Lines of a cell are prose: of a row of k cells none has k - 1 delimiters but the one that holds all its other cells,
    and that one none within a cell that goes on in another line.
    """
    width = len(cells)
    if width - 1 > usual > 0:
        return True
    enough = max(min(width - 1, usual or width - 1), 1)
    like_rows = sum(line.text.count(delimiter) >= enough for line in pulled)
    within = any(delimiter in cell and not {"\n", "\r"}.isdisjoint(cell) for cell in cells)
    return like_rows > 1 or (like_rows == 1 and enough > 1 and within)


def _usual_delimiters(sample: list[Line], delimiter: str) -> int:
    """How many delimiters most lines have that are rows by themselves, of more than one cell; 0 where none is."""
    counts: Counter[int] = Counter()
    for line in sample:
        if line.text.count(delimiter) >= MOST_COLUMNS:
            continue
        try:
            counts[len(next(csv.reader((line.text,), delimiter=delimiter, strict=True))) - 1] += not line.fault
        except csv.Error:
            continue
    return max((count for count in counts if count > 0), key=lambda count: (counts[count], count), default=0)


def _raw_lines(stream: BinaryIO) -> Iterator[bytes]:
    tail = b""
    while block := stream.read(1 << 20):
        parts = (tail + block).splitlines(keepends=True)
        tail = b"" if parts[-1].endswith(b"\n") else parts.pop()  # a CR at the end may be half of CR LF
        yield from parts
        if len(tail) > LONGEST_LINE:
            raise UnreadableFile(f"has a line longer than {LONGEST_LINE >> 20} MiB, so it is no table")
    yield from tail.splitlines(keepends=True)


def _wide_lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    """Lines of an encoding that is read from its start; one wrong byte there makes the rest unreadable."""
    with io.TextIOWrapper(stream, name, newline="") as text:
        try:
            while line := text.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise UnreadableFile(f"has a line longer than {LONGEST_LINE >> 20} MiB, so it is no table")
                yield Line(line.removeprefix("\ufeff"), "holds a NUL, which no text has" if "\0" in line else "")
        except UnicodeError as error:
            raise UnreadableFile(f"is not text in {name}") from error


def is_wholly(stream: BinaryIO, name: str) -> bool:
    """Whether all that follows in a stream is text in one encoding."""
    decoder = codecs.getincrementaldecoder(name)()
    try:
        while block := stream.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is(raw: bytes, name: str) -> bool:
    try:
        raw.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(raw: bytes, name: str) -> tuple[str, str]:
    """A line's text, and what is wrong with its encoding."""
    try:
        text = raw.decode(name)
    except UnicodeDecodeError:
        return raw.decode(name, "backslashreplace"), f"is not text in {name}, as the rows around it are"
    if name == "gb18030" and not raw.isascii():
        try:
            other = raw.decode("utf-8")
        except UnicodeDecodeError:
            return text, ""
        if all(character.isascii() or character >= FIRST_OF_CHINESE for character in other.removeprefix("\ufeff")):
            return other, "is text in UTF-8, while the rows around it are in gb18030"
    return text, ""

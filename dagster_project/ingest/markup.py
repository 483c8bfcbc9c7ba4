"""Tables of a page (HTML) and sheets of an XML spreadsheet, as both are saved under the suffix xls: rows of text.

Each is a name, its rows, and its merged cells (top, left, bottom, right), from 0.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

from dagster_project.ingest import text
from dagster_project.ingest.marks import as_shown
from dagster_project.ingest.workbook import MOST_CELLS, MOST_COLUMNS

Merged = tuple[tuple[int, int, int, int], ...]
Grid = tuple[str, list[list[str]], Merged]
#: No cell spans more; what says so is damaged.
MOST_SPANNED = 1000


def html_tables(content: bytes, encoding: str | None) -> Iterator[Grid]:
    """Each table of a page: rows as `<tr>` count them, cells that span others merged."""
    from lxml import html

    if not encoding and b"charset" not in content[:2048].lower():
        encoding = text.detect(io.BytesIO(content))
    page = html.document_fromstring(content, parser=html.HTMLParser(encoding=encoding, huge_tree=False))
    for number, table in enumerate(page.iter("table"), start=1):
        yield "" if number == 1 else f"table {number}", *_html_rows(table)


def _html_rows(table: Any) -> tuple[list[list[str]], Merged]:
    placing = _Placing()
    lines = [line for line in table.iter("tr") if next(line.iterancestors("table")) is table]
    for row, line in enumerate(lines):
        column = 0
        for cell in line.iterchildren("td", "th"):
            down, across = (int(cell.get(span) or 1) for span in ("rowspan", "colspan"))
            column = placing.put(row, column, " ".join(cell.text_content().split()), down, across)
    return placing.rows(len(lines))


def xml_sheets(content: bytes) -> Iterator[Grid]:
    """Each sheet of a spreadsheet in the XML of Excel 2003; rows and cells may say their number (ss:Index)."""
    from lxml import etree

    book = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
    percent = {
        _stated(style, "ID")
        for style in book.iter("{*}Style")
        if any(re.search(r"%|^Percent$", _stated(form, "Format")) for form in style.iter("{*}NumberFormat"))
    }
    for sheet in book.iter("{*}Worksheet"):
        placing = _Placing()
        styles: dict[int, str] = {}
        at = 0
        for column in sheet.iter("{*}Column"):
            at = int(_stated(column, "Index") or at + 1)
            last = at + int(_stated(column, "Span") or 0)
            styles |= dict.fromkeys(range(at, min(last, MOST_COLUMNS) + 1), _stated(column, "StyleID"))
            at = last
        row = 0
        for line in sheet.iter("{*}Row"):
            row = int(_stated(line, "Index") or row + 1)
            column = 0
            for cell in line.iterchildren("{*}Cell"):
                column = int(_stated(cell, "Index") or column + 1)
                style = _stated(cell, "StyleID") or _stated(line, "StyleID") or styles.get(column, "")
                down, across = (1 + int(_stated(cell, span) or 0) for span in ("MergeDown", "MergeAcross"))
                column = placing.put(row - 1, column - 1, _held(cell, style in percent), down, across)
        yield _stated(sheet, "Name"), *placing.rows(row)


def _held(cell: Any, percent: bool) -> str:
    data = cell.find("{*}Data")
    held = "".join(data.itertext()).strip() if data is not None else ""
    if not held and (formula := _stated(cell, "Formula")):
        return f"={formula.lstrip('=')}"
    return str(as_shown(float(held), "%")) if percent and held and _stated(data, "Type") == "Number" else held


def _stated(element: Any, name: str) -> str:
    return next((value for key, value in element.attrib.items() if key.rsplit("}", 1)[-1] == name), "")


class _Placing:
    """Cells that are put where none stands yet, each perhaps over several rows and columns."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], str] = {}
        self._merged: list[tuple[int, int, int, int]] = []

    def put(self, row: int, column: int, said: str, down: int, across: int) -> int:
        """Put a cell into the first free column from ``column`` on; the column behind it."""
        down, across = (min(max(span, 1), MOST_SPANNED) for span in (down, across))
        while (row, column) in self._cells:
            column += 1
        for more, further in itertools.product(range(down), range(across)):
            self._cells[row + more, column + further] = ""
        self._cells[row, column] = said
        if down * across > 1:
            self._merged.append((row, column, row + down - 1, column + across - 1))
        return column + across

    def rows(self, count: int) -> tuple[list[list[str]], Merged]:
        width = max((column + 1 for _, column in self._cells), default=0)
        if width > MOST_COLUMNS or count * width > MOST_CELLS:
            raise text.UnreadableFile(f"has a table of {count:,} x {width:,} cells, too large to read")
        cells = [[self._cells.get((row, column), "") for column in range(width)] for row in range(count)]
        return cells, tuple(self._merged)

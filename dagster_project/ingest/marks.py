"""What a workbook shows of a cell and its reader does not tell: percentages, errors, formulas without a result.

A share of 0.452 that the sheet shows as 45.2% becomes the text "45.2%", a formula without a result its own text.
"""

from __future__ import annotations

import io
import re
import zipfile
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import IO, Any

#: "%" for a number shown as a percentage, else the formula that has no stored result, or the error that it shows.
Mark = str
#: By sheet: (row, column), from 0.
Marks = dict[str, dict[tuple[int, int], Mark]]

OLE = b"\xd0\xcf\x11\xe0"
PERCENT_FORMATS = {9, 10}
QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


def as_shown(value: Any, mark: Mark) -> Any:
    """A cell as the sheet shows it."""
    if mark != "%":
        return mark
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    percent = (Decimal(repr(value)) * 100).normalize()
    return f"{percent:f}%"


def marks(path: Path) -> Marks:
    """The marks of a workbook; none for what is no workbook of these kinds."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == OLE:
        return _of_xls(path)
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if "xl/workbook.xml" in names:
            return _of_xlsx(archive, names)
        return _of_ods(archive) if "content.xml" in names else {}


def _is_percent(code: str) -> bool:
    return "%" in QUOTED.sub("", code)


def _of_xlsx(archive: zipfile.ZipFile, names: set[str]) -> Marks:
    styles = archive.read("xl/styles.xml") if "xl/styles.xml" in names else b""
    sheets = [name for name in names if name.startswith("xl/worksheets/")]
    # most workbooks have none of these, and looking for them takes less than parsing
    if not re.search(rb'numFmtId="(?:9|10)"|formatCode="[^"]*%', styles) and not any(
        b"<f" in content or b't="e"' in content for content in map(archive.read, sheets)
    ):
        return {}
    percent = _percent_styles(archive) if "xl/styles.xml" in names else set()
    book = _lxml().fromstring(archive.read("xl/workbook.xml"), _parser())
    relations = _lxml().fromstring(archive.read("xl/_rels/workbook.xml.rels"), _parser())
    target = {one.get("Id"): one.get("Target") for one in relations}
    unsure_of_zero = any(one.get("fullCalcOnLoad") in ("1", "true") for one in book.iter("{*}calcPr"))
    found: Marks = {}
    for sheet in book.iter("{*}sheet"):
        link = next((target.get(value) for key, value in sheet.attrib.items() if key.endswith("}id")), None)
        if not link:
            continue
        part = link.lstrip("/") if link.startswith("/") else str(PurePosixPath("xl") / link)
        if part not in names:
            continue
        content = archive.read(part)
        if (
            b"<f" not in content
            and b't="e"' not in content
            and not any(b' s="%d"' % style in content for style in percent)
        ):
            continue
        with archive.open(part) as stream:
            found[sheet.get("name", "")] = dict(_cells(stream, percent, unsure_of_zero))
    return found


def _percent_styles(archive: zipfile.ZipFile) -> set[int]:
    """Numbers of the cell styles that show a number as a percentage."""
    styles = _lxml().fromstring(archive.read("xl/styles.xml"), _parser())
    formats = {int(one.get("numFmtId")) for one in styles.iter("{*}numFmt") if _is_percent(one.get("formatCode", ""))}
    cell_styles = next(styles.iter("{*}cellXfs"), None)
    if cell_styles is None:
        return set()
    return {
        number for number, one in enumerate(cell_styles) if int(one.get("numFmtId", 0)) in formats | PERCENT_FORMATS
    }


def _cells(stream: IO[bytes], percent: set[int], unsure_of_zero: bool) -> Any:
    """Marks of one sheet; a zero that the program asks to be computed anew at opening was never computed."""
    row = -1
    column = -1
    for event, element in _lxml().iterparse(stream, events=("start", "end"), tag=("{*}row", "{*}c"), **SAFE):
        name = element.tag.rsplit("}", 1)[-1]
        if name == "row":
            if event == "start":
                row, column = int(element.get("r", row + 2)) - 1, -1
            else:
                element.clear()
            continue
        if event == "start":
            continue
        place = element.get("r")
        column = _column(place) if place else column + 1
        formula = element.find("{*}f")
        stored = element.findtext("{*}v") or ""
        if formula is not None and (stored == "" or (stored == "0" and unsure_of_zero)) and element.get("t") != "str":
            yield (row, column), f"={formula.text or ''}"
        elif element.get("t") == "e":
            yield (row, column), stored
        elif int(element.get("s", 0)) in percent and element.get("t", "n") == "n":
            yield (row, column), "%"


def _column(place: str) -> int:
    number = 0
    for character in place:
        if not character.isalpha():
            break
        number = number * 26 + ord(character.upper()) - 64
    return number - 1


def _of_ods(archive: zipfile.ZipFile) -> Marks:
    found: Marks = {}
    with archive.open("content.xml") as stream:
        for _, table in _lxml().iterparse(stream, tag="{*}table", **SAFE):
            marked = found.setdefault(_attribute(table, "name"), {})
            row = 0
            for line in table.iter("{*}table-row"):
                column = 0
                for cell in line:
                    repeated = int(_attribute(cell, "number-columns-repeated") or 1)
                    kind = _attribute(cell, "value-type")
                    if kind == "percentage":
                        marked.update({((row, column + more), "%") for more in range(repeated)})
                    elif not kind and (formula := _attribute(cell, "formula")):
                        marked[row, column] = f"={formula.split('=', 1)[-1]}"
                    column += repeated
                row += int(_attribute(line, "number-rows-repeated") or 1)
            table.clear()
    return found


def _attribute(element: Any, name: str) -> str:
    return next((value for key, value in element.attrib.items() if key.rsplit("}", 1)[-1] == name), "")


def _of_xls(path: Path) -> Marks:
    import xlrd

    try:
        book = xlrd.open_workbook(str(path), formatting_info=True, on_demand=True, logfile=io.StringIO())
    except Exception:  # xlrd gives up on files that the other reader reads
        return {}
    percent = {
        number
        for number, style in enumerate(book.xf_list)
        if (form := book.format_map.get(style.format_key)) and _is_percent(form.format_str)
    }
    found: Marks = {}
    for sheet in book.sheets():
        marked = found.setdefault(sheet.name, {})
        for row in range(sheet.nrows):
            for column in range(sheet.row_len(row)):
                kind = sheet.cell_type(row, column)
                if kind == xlrd.XL_CELL_NUMBER and sheet.cell_xf_index(row, column) in percent:
                    marked[row, column] = "%"
                elif kind == xlrd.XL_CELL_TEXT and not sheet.cell_value(row, column):
                    marked[row, column] = "="  # a formula that was never computed, or whose result is an empty text
                elif kind == xlrd.XL_CELL_ERROR:
                    marked[row, column] = xlrd.error_text_from_code.get(sheet.cell_value(row, column), "#ERROR!")
    return found


SAFE: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": True}


def _parser() -> Any:
    return _lxml().XMLParser(**SAFE)


def _lxml() -> Any:
    """Imported where a workbook asks for it: most do not."""
    from lxml import etree

    return etree

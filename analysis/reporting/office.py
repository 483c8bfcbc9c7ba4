"""A table as a file of a word processor (.docx) and of a spreadsheet (.xlsx), the same bytes for the same table.

What stands in a table is decided where it is made; text formats are in `tables` and `latex`.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from functools import cache
from typing import Any

from analysis.printing.table import SAMPLE, SAMPLE_NOTE, Table

#: A fixed time stamp, and the earliest that a zip can say: the file is to be the same for the same table.
STAMP = datetime.datetime(2000, 1, 1)
EPOCH = (1980, 1, 1, 0, 0, 0)
#: Columns beside the first from which a page of a document is turned.
WIDE = 7
#: Twentieths of a point of a page (A4) across and down, and of its margins.
PAGE, MARGIN = (11906, 16838), 1440
NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NUMBER = re.compile(r"^(-?[\d,]+(?:\.\d+)?(?:e-?\d+)?)(\*{0,3})(†?)$")


def docx(table: Table) -> bytes:
    """The table as a document with the three rules of a journal's table and its notes; a wide one lies on its side."""
    across, down = PAGE if len(table.headers[0]) < WIDE else PAGE[::-1]
    turned = ' w:orient="landscape"' if across > down else ""
    bold, small = "<w:b/>", '<w:sz w:val="16"/>'
    body = [
        *([_paragraph(SAMPLE, bold)] if table.is_sample else []),
        _paragraph(table.caption, bold, "<w:keepNext/>"),
        _rows(table, across - 2 * MARGIN),
        *(_paragraph(note, small, '<w:spacing w:after="40"/><w:jc w:val="left"/>') for note in table.notes),
        f'<w:sectPr><w:pgSz w:w="{across}" w:h="{down}"{turned}/><w:pgMar w:top="{MARGIN}" w:right="{MARGIN}" '
        f'w:bottom="{MARGIN}" w:left="{MARGIN}" w:header="720" w:footer="720" w:gutter="0"/></w:sectPr>',
    ]
    head, titled = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n',
        f"<dc:title>{_xml(table.caption)}</dc:title>",
    )
    made = {
        "word/document.xml": f'{head}<w:document xmlns:w="{NAMESPACE}"><w:body>{"".join(body)}</w:body></w:document>',
        "docProps/core.xml": re.sub("<dc:title>.*?</dc:title>|<dc:title/>", lambda _: titled, _template()[1]),
    }
    file = io.BytesIO(_template()[0])
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as book:
        for name, text in made.items():
            book.writestr(_entry(name), text)
    return file.getvalue()


@cache
def _template() -> tuple[bytes, str]:
    """An empty document in the type of a journal, without its text and its properties, and these properties.

    The library makes it once; it takes a hundred times as long as a string for each cell.
    """
    from docx import Document
    from docx.oxml.ns import qn
    from docx.shared import Pt

    document = Document()
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Times New Roman", Pt(9)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "SimSun")
    normal.paragraph_format.space_after = Pt(4)
    properties = document.core_properties
    properties.author, properties.title = "pilotcity", "-"
    properties.created = properties.modified = STAMP
    saved, file = io.BytesIO(), io.BytesIO()
    document.save(saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            if name not in ("word/document.xml", "docProps/core.xml"):
                new.writestr(_entry(name), old.read(name))
        core = old.read("docProps/core.xml").decode()
    return file.getvalue(), core


def _entry(name: str) -> zipfile.ZipInfo:
    """A file of a zip, without the time at which it was written."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
    return entry


def _paragraph(text: str, run: str, paragraph: str = "") -> str:
    return (
        f"<w:p><w:pPr>{paragraph}</w:pPr><w:r><w:rPr>{run}</w:rPr>"
        f'<w:t xml:space="preserve">{_xml(text)}</w:t></w:r></w:p>'
    )


def _rows(table: Table, twips: int) -> str:
    """The table's own element."""
    columns = len(table.headers[0])
    longest = max([len(line.label) for panel in table.panels for line in panel.lines] + [8])
    share = min(max(longest / (longest + 11 * columns), 0.18), 0.45)
    first, other = int(twips * share), int(twips * (1 - share) / max(columns, 1))
    rows = []
    for at, header in enumerate(table.headers):
        cells = [table.first_heading if at == 0 else "", *header]
        last = at == len(table.headers) - 1
        rows.append(_row(cells, head=True, top=at == 0, bottom=last))
    for at, panel in enumerate(table.panels):
        if panel.title:
            rows.append(_row([panel.title], italic=True, top=at > 0, span=columns + 1))
        for number, line in enumerate(panel.lines):
            last = at == len(table.panels) - 1 and number == len(panel.lines) - 1
            following = panel.lines[number + 1].kind if number + 1 < len(panel.lines) else ""
            # a label that takes two lines takes them beside the estimate and its error
            merged = "continue" if line.kind == "se" and number else "restart" if following == "se" else ""
            top = at > 0 and number == 0 and not panel.title
            rows.append(_row([line.label, *line.cells], top=top, bottom=last, merged=merged))
    grid = f'<w:gridCol w:w="{first}"/>' + f'<w:gridCol w:w="{other}"/>' * columns
    return (
        f'<w:tbl><w:tblPr><w:tblW w:w="{twips}" w:type="dxa"/><w:tblLayout w:type="fixed"/>'
        '<w:tblCellMar><w:left w:w="40" w:type="dxa"/><w:right w:w="40" w:type="dxa"/></w:tblCellMar></w:tblPr>'
        f"<w:tblGrid>{grid}</w:tblGrid>{''.join(rows)}</w:tbl>"
    )


def _row(
    cells: list[str],
    *,
    head: bool = False,
    italic: bool = False,
    top: bool = False,
    bottom: bool = False,
    span: int = 1,
    merged: str = "",
) -> str:
    """A row; ``merged`` says whether its label begins ("restart") or goes on with ("continue") a cell of two rows."""
    rules = "".join(
        f'<w:{side} w:val="single" w:sz="6" w:space="0" w:color="000000"/>'
        for side, there in (("top", top), ("bottom", bottom))
        if there
    )
    borders = f"<w:tcBorders>{rules}</w:tcBorders>" if rules else ""
    wide = f'<w:gridSpan w:val="{span}"/>' if span > 1 else ""
    made = []
    for at, cell in enumerate(cells):
        where = "left" if at == 0 else "center"
        joined = f'<w:vMerge w:val="{merged}"/>' if merged and at == 0 else ""
        keep = "<w:keepNext/>" if head else ""
        paragraph = f'<w:pPr>{keep}<w:spacing w:before="10" w:after="10"/><w:jc w:val="{where}"/></w:pPr>'
        form = f"<w:tcPr>{wide}{joined}{borders}</w:tcPr>"
        made.append(f"<w:tc>{form}<w:p>{paragraph}{_runs(cell, italic=italic)}</w:p></w:tc>")
    repeated = "<w:tblHeader/>" if head else ""
    return f"<w:tr><w:trPr><w:cantSplit/>{repeated}</w:trPr>{''.join(made)}</w:tr>"


def _runs(text: str, *, italic: bool) -> str:
    """A cell's text, with stars and daggers above the line."""
    found = _NUMBER.match(text)
    parts = [(text, False)]
    if found and (found[2] or found[3]):
        parts = [(found[1], False), (found[2] + found[3], True)]
    style, above = "<w:i/>" if italic else "", '<w:vertAlign w:val="superscript"/>'
    return "".join(
        f'<w:r><w:rPr>{style}{above if raised else ""}<w:sz w:val="17"/></w:rPr>'
        f'<w:t xml:space="preserve">{_xml(_minus(part))}</w:t></w:r>'
        for part, raised in parts
        if part
    )


def _minus(text: str) -> str:
    """A number with a minus in the place of a hyphen."""
    return re.sub(r"^(\(?)-(?=\d)", r"\1−", text)


def _xml(text: str) -> str:
    """Text as XML takes it: without marks of its own, and without what it forbids."""
    legal = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    return legal.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def xlsx(table: Table) -> bytes:
    """The table as a workbook: numbers are numbers, with their stars in the cell's format, so that they can be used.

    No text in it runs as a formula; sample data are named in the sheet and above the table.
    """
    import xlsxwriter

    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"title": table.caption, "author": "pilotcity", "created": STAMP})
        sheet = book.add_worksheet(SAMPLE if table.is_sample else "table")
        formats: dict[tuple[Any, ...], Any] = {}

        def look(**how: Any) -> Any:
            key = tuple(sorted(how.items()))
            if key not in formats:
                formats[key] = book.add_format({"font_name": "Times New Roman", "font_size": 10, **how})
            return formats[key]

        row = 0
        for text in [*([SAMPLE_NOTE] if table.is_sample else []), table.caption]:
            sheet.write_string(row, 0, text, look(bold=True))
            row += 1
        for at, header in enumerate(table.headers):
            rule = {"top": 2} if at == 0 else {}
            rule |= {"bottom": 1} if at == len(table.headers) - 1 else {}
            sheet.write_string(row, 0, table.first_heading if at == 0 else "", look(**rule))
            for column, cell in enumerate(header, start=1):
                sheet.write_string(row, column, cell, look(align="center", text_wrap=True, **rule))
            row += 1
        sheet.freeze_panes(row, 1)
        lines = [(panel, line) for panel in table.panels for line in (None, *panel.lines)]
        for at, (panel, line) in enumerate(lines):
            rule = {"bottom": 2} if at == len(lines) - 1 else {}
            if line is None:
                if panel.title:
                    sheet.write_string(row, 0, panel.title, look(italic=True, top=1))
                    row += 1
                continue
            sheet.write_string(row, 0, line.label, look(**rule))
            for column, cell in enumerate(line.cells, start=1):
                value, form = _spreadsheet(cell)
                if value is None:
                    sheet.write_string(row, column, cell, look(align="center", **rule))
                else:
                    sheet.write_number(row, column, value, look(align="center", num_format=form, **rule))
            row += 1
        for note in table.notes:
            sheet.write_string(row, 0, note, look(font_size=9))
            row += 1
        labels = [len(line.label) for panel in table.panels for line in panel.lines]
        sheet.set_column(0, 0, min(max([*labels, 10]), 60))
        sheet.set_column(1, len(table.headers[0]), 14)
    return file.getvalue()


def _spreadsheet(cell: str) -> tuple[float | None, str]:
    """A cell as a number and the format that shows it as it is printed: 0.5315***, (0.0321), 4,496."""
    bare = cell.strip("()")
    found = _NUMBER.match(bare)
    if not found or (cell != bare and cell != f"({bare})"):
        return None, ""
    digits, marks = found[1], found[2] + found[3]
    decimals = len(digits.partition(".")[2]) if "e" not in digits else 0
    form = (
        "0.0E+00" if "e" in digits else ("#,##0" if "," in digits else "0") + (f".{'0' * decimals}" if decimals else "")
    )
    quoted = f'"{marks}"' if marks else ""
    if cell != bare:
        return float(digits.replace(",", "")), f'"("{form}{quoted}")";"("-{form}{quoted}")"'
    return float(digits.replace(",", "")), form + quoted

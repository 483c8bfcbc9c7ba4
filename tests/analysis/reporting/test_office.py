"""Tables for a word processor and a spreadsheet: what another program reads from them."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile

import docx
import pytest
from python_calamine import CalamineWorkbook

from analysis.printing.table import Line, Panel, Table
from analysis.reporting import office
from analysis.reporting.tables import exhibit_table

TABLE = Table(
    caption="Table 4. Baseline <&>",
    headers=(("(1)", "(2)"), ("y", "y")),
    first_heading="",
    panels=(
        Panel(
            None,
            (
                Line("Pilot (did)", ("-0.5315***", "not identified [a]"), "estimate"),
                Line("", ("(0.0321)", ""), "se"),
                Line("N", ("4,496†", "")),
            ),
        ),
        Panel("As published", (Line("=1+1", ("1.2e-05", "0.50*")),)),
    ),
    notes=("[a] Why.",),
    is_sample=True,
)


def rows_of(content: bytes) -> list[list[str]]:
    table = docx.Document(io.BytesIO(content)).tables[0]
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_a_document_holds_caption_rows_and_notes_and_the_mark_of_sample_data():
    content = office.docx(TABLE)
    said = [paragraph.text for paragraph in docx.Document(io.BytesIO(content)).paragraphs]
    assert said == ["SAMPLE DATA", "Table 4. Baseline <&>", "[a] Why."]
    rows = rows_of(content)
    assert rows[:2] == [["", "(1)", "(2)"], ["", "y", "y"]]
    assert rows[2] == ["Pilot (did)", "−0.5315***", "not identified [a]"]
    # the label takes both rows, and a heading the whole width
    assert rows[3][1:] == ["(0.0321)", ""]
    assert rows[5] == ["As published"] * 3


def test_a_wide_table_lies_on_its_side():
    many = tuple(f"({number})" for number in range(office.WIDE))
    wide = Table("T", (many,), "", (Panel(None, (Line("a", many),)),), (), is_sample=False)
    for table, turned in ((wide, True), (TABLE, False)):
        section = docx.Document(io.BytesIO(office.docx(table))).sections[0]
        assert (section.page_width > section.page_height) == turned


def test_numbers_of_a_workbook_are_numbers_that_look_as_they_are_printed_and_no_text_runs():
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(office.xlsx(TABLE))).get_sheet_by_index(0)
    assert sheet.name == "SAMPLE DATA"
    cells = {row[0]: row[1:] for row in sheet.to_python() if row[0]}
    assert cells["Pilot (did)"] == [-0.5315, "not identified [a]"]
    assert cells["=1+1"] == [1.2e-05, 0.5]
    assert office._spreadsheet("-0.5315***") == (-0.5315, '0.0000"***"')
    assert office._spreadsheet("(0.0321)") == (0.0321, '"("0.0000")";"("-0.0000")"')
    assert office._spreadsheet("4,496†") == (4496.0, '#,##0"†"')
    assert office._spreadsheet("(p = 0.1)") == (None, "")


@pytest.mark.parametrize("write", [office.docx, office.xlsx])
def test_no_file_says_when_it_was_written(write):
    content = write(TABLE)
    assert content == write(TABLE)
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert {entry.date_time[:3] for entry in zipped.infolist()} == {(1980, 1, 1)}
        assert b"2000-01-01" in zipped.read("docProps/core.xml")


@pytest.mark.torture
def test_libreoffice_opens_the_document(results, study, printed, truth, tmp_path):
    program = shutil.which("soffice")
    if not program:
        pytest.skip("LibreOffice is not installed")
    (tmp_path / "t.docx").write_bytes(office.docx(exhibit_table(results["table_2"], study, printed=printed)))
    home = f"-env:UserInstallation=file://{tmp_path}/home"
    subprocess.run(
        [program, home, "--headless", "--convert-to", "txt:Text", "--outdir", str(tmp_path), str(tmp_path / "t.docx")],
        check=True,
        capture_output=True,
        timeout=120,
    )
    said = (tmp_path / "t.txt").read_text(encoding="utf-8-sig")
    assert "Table 2." in said and "Standard errors clustered by city in parentheses" in said

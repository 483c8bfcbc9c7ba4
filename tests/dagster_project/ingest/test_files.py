"""Any file as sheets of text: what each format gives, and what a file that cannot be read is said to be."""

import datetime
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xlsxwriter

from dagster_project.ingest import files
from dagster_project.ingest import workbook as reading
from dagster_project.ingest.files import UnreadableFile, as_text, open_sheets

#: Two rows below a header, saved by Excel's old format (made once with xlwt 1.3.0).
OLD_WORKBOOK = Path(__file__).parent / "two_cities.xls"


@pytest.fixture
def workbook(tmp_path) -> Path:
    """A workbook whose first cell stands in B3, below a merged title."""
    path = tmp_path / "book.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("综合")
    sheet.merge_range(0, 1, 0, 2, "标题")
    sheet.write_row(2, 1, ["城市", "值"])
    sheet.write_row(3, 1, ["北京市", 2000.0])
    sheet.write_row(4, 1, ["上海市", 666.12])
    sheet.write_row(5, 1, ["天津市①", "１２３．４①"])
    sheet.write_formula(6, 2, "=1+1", None, 2)
    sheet.write_datetime(7, 2, datetime.datetime(2012, 3, 4), book.add_format({"num_format": "yyyy-mm-dd"}))
    book.add_worksheet("空")
    book.close()
    return path


def only(path: Path, encoding: str | None = None) -> list[list[str]]:
    (sheet,) = open_sheets(path, encoding)
    return list(sheet.rows())


def test_a_workbook_keeps_rows_and_columns_where_a_person_sees_them(workbook):
    sheet, empty = open_sheets(workbook)
    assert (sheet.name, empty.name) == ("综合", "空")
    rows = list(sheet.rows())
    assert rows[2] == ["", "城市", "值"]
    assert rows[3] == ["", "北京市", "2000"]
    assert rows[4] == ["", "上海市", "666.12"]
    assert rows[6][2] == "2"
    assert rows[7][2] == "2012-03-04"
    assert sheet.merged == ((0, 1, 0, 2),)
    assert list(empty.rows()) == []


def test_footnotes_and_full_width_digits_survive_as_text(workbook):
    assert list(open_sheets(workbook)[0].rows())[5] == ["", "天津市①", "１２３．４①"]


def test_rows_can_be_read_twice(workbook):
    sheet = open_sheets(workbook)[0]
    assert list(sheet.rows()) == list(sheet.rows())


def test_the_old_format_of_excel_is_read_too():
    (sheet,) = open_sheets(OLD_WORKBOOK)
    assert sheet.name == "面板数据"
    assert list(sheet.rows()) == [
        ["城市", "年份", "土地面积(平方公里)"],
        ["北京市", "2010", "16410.5"],
        ["上海市", "2011", "６３４１①"],
    ]


def test_a_workbook_is_read_by_its_content_not_by_its_suffix(workbook, tmp_path):
    renamed = tmp_path / "book.xls"
    renamed.write_bytes(workbook.read_bytes())
    assert list(open_sheets(renamed)[0].rows()) == list(open_sheets(workbook)[0].rows())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_is_read_in_utf_8_and_gb18030_without_being_told(tmp_path, encoding):
    path = tmp_path / "cities.csv"
    path.write_bytes('城市,注\n㐂市,"两\n行"\n'.encode(encoding))
    assert only(path) == [["城市", "注"], ["㐂市", "两\n行"]]


def test_a_stated_encoding_is_kept_to(tmp_path):
    path = tmp_path / "cities.csv"
    path.write_bytes("城市\n北京市\n".encode("gb18030"))
    assert only(path, "gb18030") == [["城市"], ["北京市"]]
    with pytest.raises(UnreadableFile, match="is not text in utf-8"):
        open_sheets(path, "utf-8")


def test_stata_and_parquet_files_are_a_header_and_rows(tmp_path):
    frame = pd.DataFrame({"city": ["北京市", ""], "year": [2010, 2011], "gdp": [1.5, np.nan]})
    expected = [["city", "year", "gdp"], ["北京市", "2010", "1.5"], ["", "2011", ""]]
    frame.to_stata(tmp_path / "a.dta", version=118, write_index=False)
    assert only(tmp_path / "a.dta") == expected
    frame.to_parquet(tmp_path / "a.parquet")
    assert only(tmp_path / "a.parquet") == expected


def test_missing_values_of_every_kind_are_empty_text(tmp_path):
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, None], dtype="boolean"),
            "day": pd.to_datetime(["2020-01-01", None]),
            "count": pd.array([1, None], dtype="Int64"),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    assert only(tmp_path / "a.parquet")[2] == ["", "", ""]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2000.0, "2000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e20, "1e+20"),
        (-0.5, "-0.5"),
        (True, "TRUE"),
        (" x ", "x"),
    ],
)
def test_a_number_becomes_its_shortest_exact_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize("suffix", ["xlsx", "xls", "dta", "parquet"])
def test_a_damaged_file_is_unreadable_and_says_as_what(tmp_path, suffix):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(b"\x00\x01not what the suffix says")
    with pytest.raises(UnreadableFile, match=f"cannot be read as {suffix}"):
        open_sheets(path)


def test_a_truncated_workbook_is_unreadable(workbook):
    workbook.write_bytes(workbook.read_bytes()[:3000])
    with pytest.raises(UnreadableFile, match="cannot be read as xlsx"):
        open_sheets(workbook)


def test_a_message_names_no_folder_of_this_machine(tmp_path):
    for suffix in ("xlsx", "dta", "parquet"):
        path = tmp_path / f"broken.{suffix}"
        path.write_bytes(b"x")
        with pytest.raises(UnreadableFile) as caught:
            open_sheets(path)
        assert str(tmp_path) not in str(caught.value)


def test_bytes_that_are_no_text_and_unknown_suffixes_are_unreadable(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xff\x00")
    with pytest.raises(UnreadableFile, match="is not text in UTF-8 or GB18030"):
        open_sheets(path)
    with pytest.raises(UnreadableFile, match=r"'\.pdf', which no reader knows"):
        open_sheets(tmp_path / "a.pdf")


def test_a_fault_that_shows_only_while_reading_rows_is_unreadable_too(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("城市\n" * 300 + "x" * (17 << 20) + "\n", encoding="utf-8")
    (sheet,) = open_sheets(path)
    with pytest.raises(UnreadableFile, match="has a line longer than 16 MiB"):
        list(sheet.rows())


def test_a_workbook_that_claims_to_unpack_to_gigabytes_is_refused_unread(workbook, monkeypatch):
    import python_calamine

    content = bytearray(workbook.read_bytes())
    entry = content.index(b"PK\x01\x02")  # the first entry of the archive's directory; its size unpacked is at 24
    content[entry + 24 : entry + 28] = struct.pack("<I", 3 * 1024**3)
    workbook.write_bytes(bytes(content))
    monkeypatch.setattr(python_calamine, "CalamineWorkbook", None)
    with pytest.raises(UnreadableFile, match=r"unpacks to 3\.0 GiB"):
        open_sheets(workbook)


def test_one_process_forks_a_reader_for_each_workbook_and_outlives_what_a_file_does_to_it(workbook, tmp_path):
    reader = reading._reader
    sheets = reading.sheets(workbook)
    first = reader._process.pid
    huge = tmp_path / "huge.xlsx"
    with xlsxwriter.Workbook(str(huge), {"constant_memory": True}) as book:
        book.add_worksheet().write(1_000_000, 16_000, "far")
    with pytest.raises(reading.Unreadable):
        reading.sheets(huge)
    with pytest.raises(ValueError, match="Cannot detect file format"):
        reading.sheets(Path(__file__))
    assert reading.sheets(workbook) == sheets
    assert reader._process.pid == first
    reader._process.kill()
    assert reading.sheets(workbook) == sheets
    assert reader._process.pid != first
    reading.end()
    assert reading.sheets(workbook) == sheets


def test_a_hash_follows_the_content_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
    assert files.sha256(tmp_path / "a") == files.sha256(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"other")
    assert files.sha256(tmp_path / "a") != files.sha256(tmp_path / "b")


#: Percentages as shown, a formula without a result; made once with xlwt 1.3.0 and odfpy 1.4.1.
SHOWN = {
    "rates.xls": [
        ["太原市", "2018", "84.7%", "3.2", "3884.5"],
        ["大同市", "2018", "64%", "2.8", "="],
        ["阳泉市", "2018", "68.6%", "-", "733.7"],
    ],
    "rates.ods": [
        ["城市", "2018", "2019", "2020"],
        ["太原市", "84.7%", "85.1%", "89%"],
        ["大同市", "64", "65.2%", ""],
    ],
}


@pytest.mark.parametrize("name", SHOWN)
def test_percentages_and_formulas_are_read_as_the_sheet_shows_them(name):
    assert only(Path(__file__).parent / name)[1:] == SHOWN[name]


def test_the_files_of_an_archive_are_sheets_by_their_names(tmp_path):
    path = tmp_path / "a.zip"
    frame = pd.DataFrame({"城市": ["北京市"], "年份": [2010]})
    inside = tmp_path / "b.parquet"
    frame.to_parquet(inside)

    class Old(zipfile.ZipInfo):
        """As archives were made before UTF-8 was marked."""

        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            return "人口.csv".encode("gb18030"), 0

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(Old("a.csv"), "城市,年份\n北京市,2010\n".encode("gb18030"))
        archive.write(inside, "2010/b.parquet")
        archive.writestr("readme.doc", b"")
    assert {sheet.name: list(sheet.rows()) for sheet in open_sheets(path)} == {
        "人口.csv": [["城市", "年份"], ["北京市", "2010"]],
        "2010/b.parquet": [["城市", "年份"], ["北京市", "2010"]],
    }


XML = """<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Styles><Style ss:ID="p"><NumberFormat ss:Format="Percent"/>
</Style></Styles><Worksheet ss:Name="S"><Table><Row><Cell ss:MergeAcross="1">
<Data ss:Type="String">甲</Data></Cell></Row>
<Row ss:Index="3"><Cell ss:Index="2" ss:StyleID="p"><Data ss:Type="Number">0.452</Data></Cell>
<Cell ss:Formula="=R1C1"/></Row></Table></Worksheet></Workbook>"""


def test_a_spreadsheet_in_xml_is_read_as_it_is_shown(tmp_path):
    path = tmp_path / "a.xls"
    path.write_text(XML, encoding="utf-8")
    (sheet,) = open_sheets(path)
    assert list(sheet.rows()) == [["甲", "", ""], ["", "", ""], ["", "45.2%", "=R1C1"]]
    assert sheet.merged == ((0, 0, 0, 1),)


def test_columns_aligned_by_spaces_are_cells_and_a_line_that_lacks_one_is_set_aside(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("城市    年份  值\n甲市  2010  5\n乙市   2011\n丙市  2012  6\n丁市  2013  7\n戊市  2014  8\n")
    (sheet,) = open_sheets(path)
    assert list(sheet.rows())[:4] == [["城市", "年份", "值"], ["甲市", "2010", "5"], [], ["丙市", "2012", "6"]]
    assert "only spaces tell them apart" in sheet.set_aside[0].fault


@pytest.mark.parametrize(("encoding", "sure"), [("utf-8", True), ("gb18030", True), ("big5", False)])
def test_an_encoding_that_is_unsure_is_said(tmp_path, encoding, sure):
    path = tmp_path / "a.csv"
    path.write_bytes(("城市,年份\n" + "臺中市政府主計處統計年報,2010\n" * 20).encode(encoding))
    if encoding == "gb18030":
        path.write_bytes(("城市,年份\n" + "石家庄市统计年鉴,2010\n" * 20).encode(encoding))
    (sheet,) = open_sheets(path)
    assert (sheet.doubt == "") is sure
    assert sure or "say `encoding` in the contract" in sheet.doubt

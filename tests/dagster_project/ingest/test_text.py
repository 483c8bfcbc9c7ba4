"""Text tables of known content, damaged: every row that was written is read as it was, or set aside by name."""

from __future__ import annotations

import csv
import io
import random
from typing import NamedTuple

import pytest

from dagster_project.ingest import text
from dagster_project.ingest.text import Row, UnreadableFile

FEW, MANY = 1_000, 60_000
ENDS = ("\n", "\r\n", "\r")


def rows(content: str | bytes, encoding: str | None = None, delimiter: str = ",") -> list[Row]:
    return list(text.read(io.BytesIO(content.encode() if isinstance(content, str) else content), encoding, delimiter))


def cells(content: str | bytes) -> list[list[str]]:
    return [row.cells for row in rows(content)]


class Written(NamedTuple):
    """A table as written: its bytes; of each row its cells, the lines it takes (first, last), and whether damaged."""

    content: bytes
    rows: list[tuple[list[str], int, int, bool]]


def table(chance: random.Random, columns: int, count: int, header: list[str] | None = None) -> Written:
    """A random table of which one row in ten is damaged: a quote more or less, a NUL, another encoding, a delimiter
    more or less; lines may end in any way, cells hold delimiters, quotes and, where no header is given, line ends."""
    encoding, other = chance.choice([("utf-8", "gb18030"), ("gb18030", "utf-8")])
    mixed = chance.random() < 0.5
    end = chance.choice(ENDS)
    quoted_all = chance.random() < 0.3
    content = b""
    found = []
    line = 1
    for number in range(count):
        values = [f"城市{number}第{column}列" for column in range(columns)]
        for column in range(columns):
            match chance.randrange(14):
                case 0:
                    values[column] += ",余"
                case 1:
                    values[column] = f'"{values[column]}"'
                case 2 if header is None:
                    values[column] += "\n第二行"
                case 3 if column:
                    values[column] = ""
        if number == 0 and header:
            values = header
        row_end = chance.choice(ENDS) if mixed else end
        stream = io.StringIO(newline="")
        csv.writer(stream, quoting=csv.QUOTE_ALL if quoted_all else csv.QUOTE_MINIMAL).writerow(values)
        written = stream.getvalue().removesuffix("\r\n")
        damaged = chance.random() < 0.1 and not (header and number == 0)
        damage = chance.choice(["quote", "quote", "no quote", "nul", "encoding", "delimiter", "no delimiter"])
        at = chance.randrange(len(written) + 1)
        if damaged and damage == "quote":
            written = written[:at] + '"' + written[at:]
        elif damaged and damage == "no quote":
            written = written.replace('"', "", 1)
        elif damaged and damage == "nul":
            written = written[:at] + "\0" + written[at:]
        elif damaged and damage == "delimiter":
            written = written[:at] + "," + written[at:]
        elif damaged and damage == "no delimiter":
            written = written.replace(",", "", 1)
        content += (written + row_end).encode(other if damaged and damage == "encoding" else encoding)
        # a CR before an LF is one end: the row after must not begin with one
        lines = 1 + written.count("\n")
        found.append((values, line, line + lines - 1, damaged))
        line += lines
    return Written(content, found)


def check(written: Written) -> tuple[int, int]:
    """Assert that every row of a table is read as written or set aside; returns how many were, of each."""
    got = list(text.read(io.BytesIO(written.content)))
    total = written.rows[-1][2]
    ends = [row.line for row in got[1:]] + [total + 1]
    good = {row.line: (row, end - 1) for row, end in zip(got, ends, strict=True) if not row.fault}
    faults = {row.line for row in got if row.fault}
    assert [row.number for row in got] == list(range(1, len(got) + 1))
    assert got[0].line == 1
    read = aside = 0
    for values, first, last, damaged in written.rows:
        row, end = good.get(first, (None, 0))
        if not damaged and row and end == last and row.cells == values:
            read += 1
        elif faults & set(range(first, last + 1)):
            aside += 1
        else:
            assert damaged, (values, first, last, row)
            read += 1
        # no row holds lines of two
        assert not row or end <= last, (values, first, row)
        assert all(good[at][1] <= last for at in range(first, last + 1) if at in good)
    return read, aside


def tried(times: int, seed: int) -> tuple[int, int]:
    read = aside = 0
    for number in range(times):
        chance = random.Random(f"{seed} {number}")
        try:
            counts = check(table(chance, chance.randint(3, 6), chance.randint(12, 40)))
        except AssertionError as error:
            raise AssertionError(f"table {seed} {number}: {error}") from error
        read, aside = read + counts[0], aside + counts[1]
    return read, aside


def test_no_row_is_read_across_the_line_in_which_a_stray_quote_closes():
    lines = ["市,甲,乙", '石家庄,1,"2', '3","4', '5""', '唐山,""6""",7', "秦皇岛,8,9"]
    first, *_, last = got = rows("\n".join(lines))
    assert (first.cells, last.cells) == (["市", "甲", "乙"], ["秦皇岛", "8", "9"])
    assert not any("唐山" in "".join(row.cells) and not row.fault for row in got)


def test_rows_written_are_rows_read_and_rows_set_aside_whatever_the_damage():
    read, aside = tried(FEW, seed=14)
    assert aside > FEW
    assert read > 10 * aside


@pytest.mark.torture
def test_rows_written_are_rows_read_and_rows_set_aside_in_many_tables():
    read, aside = tried(MANY, seed=15)
    print(f"\ntext tables: {MANY} tried, {read} rows read, {aside} set aside with a sentence, 0 lost")


def test_a_quote_that_never_closes_costs_its_row_only():
    found = rows('城市,年份,值\n"邢台市,2004,5\n保定市,2004,6\n唐山市,2005,7\n')
    assert [row.cells for row in found if not row.fault] == [
        ["城市", "年份", "值"],
        ["保定市", "2004", "6"],
        ["唐山市", "2005", "7"],
    ]
    assert found[1] == Row(2, 2, ['"邢台市,2004,5'], 'opens a quote (") in column 1 that nothing closes')


@pytest.mark.parametrize("closing", ['保定市",2005,6', '"保定市",2005,6', '保定市,2005,6"', '保定市,"2005",6'])
def test_a_quote_that_closes_rows_later_costs_no_row_between(closing):
    between = [[f"唐山{number}市", "2004", "5"] for number in range(200)]
    inside = "".join(f"{','.join(row)}\n" for row in between)
    found = rows(f'城市,年份,值\n邢台市,"2004,5\n{inside}{closing}\n天津市,2006,7\n')
    assert [row.cells for row in found[2:202]] == between
    assert found[1].fault.startswith('opens a quote (") in column 2')
    assert found[-1].cells == ["天津市", "2006", "7"]
    assert found[-1].number == 204


def test_a_cell_of_several_lines_is_one_cell():
    assert cells('城市,"生产总值\n(亿元)","人口\n(万人)"\n北京市,"1,5",2\n') == [
        ["城市", "生产总值\n(亿元)", "人口\n(万人)"],
        ["北京市", "1,5", "2"],
    ]


def test_a_quote_inside_a_cell_is_a_character():
    assert cells('城市,注\n北京市,5" 管\n') == [["城市", "注"], ["北京市", '5" 管']]


def test_text_behind_a_closing_quote_sets_the_row_aside():
    found = rows('城市,注\n"北京"市,1\n上海市,2\n')
    assert [row.fault for row in found] == [
        "",
        'opens a quote (") in column 1, and text follows the quote that closes it',
        "",
    ]


def test_line_ends_of_every_kind_may_stand_in_one_file():
    assert cells("a,b\n1,2\r\n3,4\r5,6\n\n7,8") == [["a", "b"], ["1", "2"], ["3", "4"], ["5", "6"], [], ["7", "8"]]


@pytest.mark.parametrize("size", range(1, 9))
def test_a_line_end_across_two_blocks_is_one(monkeypatch, size):
    class Slow(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            return super().read(size)

    assert [row.cells for row in text.read(Slow("城\r\n市\r\r\n值".encode()))] == [["城"], ["市"], [], ["值"]]


@pytest.mark.parametrize(("most", "some"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_rows_in_another_encoding_than_most_are_set_aside(most, some):
    content = "城市,值\n北京市,1\n".encode(most) + "上海市,2\n".encode(some) + "天津市,3\n".encode(most)
    found = rows(content)
    assert [row.cells for row in found if not row.fault] == [["城市", "值"], ["北京市", "1"], ["天津市", "3"]]
    assert "rows around it" in found[2].fault


def test_a_nul_sets_its_row_aside_and_a_wide_encoding_is_read_where_it_is_stated():
    found = rows("a,b\n1\0,2\n3,4\n")
    assert [row.fault for row in found] == ["", "holds a NUL, which no text has", ""]
    assert [row.cells for row in rows("城市,值\r\n北京市,1\r\n".encode("utf-16"), "utf-16")] == [
        ["城市", "值"],
        ["北京市", "1"],
    ]
    with pytest.raises(UnreadableFile, match="is not text in utf-16"):
        rows("城市,值\n".encode("utf-16") + b"\xd8", "utf-16")


def test_quotes_that_pair_nowhere_are_refused_in_bounded_time(monkeypatch):
    monkeypatch.setattr(text, "PATIENCE", 50_000)
    with pytest.raises(UnreadableFile, match="do not pair in too many rows"):
        rows('a","b\n' * 20_000)


def test_a_long_field_is_read_and_a_line_without_an_end_is_refused():
    assert cells("a," + "x" * 1_000_000) == [["a", "x" * 1_000_000]]
    with pytest.raises(UnreadableFile, match="line longer than 16 MiB"):
        rows("x" * (17 << 20))
    with pytest.raises(UnreadableFile, match="has 20,001 columns"):
        rows("," * 20_000)


def test_a_quote_that_takes_in_a_row_whose_own_cell_has_several_lines_is_seen_by_the_cells_too_many():
    found = rows('a,b,c,d\n1,2,3,4\n1,2,3,"4\n5,6",7,"8\nx"\n9,9,9,9\n')
    assert found[2].cells == ['1,2,3,"4']
    assert found[2].fault
    assert found[-1].cells == ["9", "9", "9", "9"]

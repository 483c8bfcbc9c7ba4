"""Lists of pilot cities: every row is read in its own columns or named with its line, whatever the file is like."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import jinja2
import pytest

from analysis.studies import policies, spec

ROOT = Path(__file__).resolve().parents[3]
CITIES = {"130100": "石家庄市", "130200": "唐山市", "130300": "秦皇岛市"}
HEADER = ["city_code", "name_zh", "name_en", "adoption", "scope", "source", "certainty"]
FIRST = ["130100", "石家庄市", "Shijiazhuang", "2015", "whole city", "made up", "to be checked"]
SECOND = ["130200", "唐山市", "Tangshan", "2016", "whole city", "made up", "to be checked"]
FEW, MANY = 200, 1000


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "list.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def lines(*rows: list[str], end: str = "\n") -> str:
    return "".join(f"{','.join(row)}{end}" for row in rows)


def plain(row: dict[str, str]) -> dict[str, str]:
    """A row without what the list does not state: the month and the end of an event are then blank."""
    assert {row[name] for name in ("month", "until")} == {""}
    return {name: value for name, value in row.items() if name in HEADER}


def test_a_comma_behind_every_row_shifts_no_column(write):
    path = write(lines([*HEADER, ""], [*FIRST, ""], [*SECOND, ""]))
    assert policies.faults(path, CITIES) == []
    assert [plain(row) for row in policies.rows(path)] == [
        dict(zip(HEADER, row, strict=True)) for row in (FIRST, SECOND)
    ]
    path = write(lines(HEADER, [*FIRST, ""], [*SECOND, ""]))
    assert [plain(row) for row in policies.rows(path)] == [
        dict(zip(HEADER, row, strict=True)) for row in (FIRST, SECOND)
    ]


def test_a_cell_too_many_is_named_with_its_line(write):
    with pytest.raises(ValueError, match=r"line 3: the row has more cells than the list has columns"):
        policies.rows(write(lines(HEADER, FIRST, [*SECOND, "x"])))


def test_a_column_twice_is_named(write):
    with pytest.raises(ValueError, match="line 1: the column 'scope' stands twice"):
        policies.rows(write(lines([*HEADER, "scope"], [*FIRST, "x"])))


@pytest.mark.parametrize(("row", "column", "line"), [(FIRST, 5, 2), (FIRST, 0, 2), (SECOND, 3, 3)])
def test_a_stray_quote_is_named_with_its_line(write, row, column, line):
    rows = [list(FIRST), list(SECOND)]
    rows[line - 2][column] = '"' + rows[line - 2][column]
    with pytest.raises(ValueError, match=rf'line {line}: a quote \("\)'):
        policies.rows(write(lines(HEADER, *rows)))


def test_a_quote_that_closes_rows_later_takes_none_with_it(write):
    first, last = [*FIRST[:5], '"made up', FIRST[6]], [*SECOND[:5], 'made up"', SECOND[6]]
    with pytest.raises(ValueError, match=r'line 2: a quote \("\) opens here and closes only in line 3'):
        policies.rows(write(lines(HEADER, first, last)))


def test_a_field_of_a_million_characters_and_one_of_several_lines_are_read(write):
    long = [*FIRST[:5], "x" * 1_000_000, FIRST[6]]
    several = [*SECOND[:5], '"made up,\nsays who"', SECOND[6]]
    found = policies.numbered(write(lines(HEADER, long, several, FIRST)))[1]
    assert [line for line, _ in found] == [2, 3, 5]
    assert len(found[0][1]["source"]) == 1_000_000
    assert found[1][1]["source"] == "made up,\nsays who"


def test_a_year_in_full_width_is_no_year_as_it_would_fail_later(write):
    path = write(lines(HEADER, [*FIRST[:3], "２０１５", *FIRST[4:]]))
    assert policies.faults(path, CITIES) == [
        (2, "adoption", "'２０１５' is not a year, as in 2013, or a month or date, as in 2013-07.")
    ]


def damaged(chance: random.Random) -> str:
    """A list with one to three changes."""
    third = ["130300", "秦皇岛市", "Qinhuangdao", "2017", "city's core, old", "x", "public record"]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=chance.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    writer.writerows([HEADER, FIRST, SECOND, third])
    text = stream.getvalue()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        text = (
            text[:at]
            + chance.choice(['"', ",", "\n", "\r\n", "\0", "'", "；", "", " "])
            + text[at + chance.randint(0, 1) :]
        )
    return text


def fuzzed(write, times: int) -> tuple[int, int]:
    """Lists read, with no row that was not written so, and lists refused with a sentence."""
    chance = random.Random(14)
    read = refused = 0
    for number in range(times):
        text = damaged(chance)
        path = write("")
        path.write_bytes(text.encode())
        try:
            policies.scopes(path, CITIES)
        except ValueError as error:
            assert "list.csv" in str(error), (number, text)
            refused += 1
        else:
            read += 1
            for row in policies.rows(path):
                # a row that passes has its columns in their places
                assert row["city_code"] in CITIES, (number, text)
                assert row["adoption"].isascii() and row["adoption"].isdigit(), (number, text)
    return read, refused


def test_damaged_lists_are_read_or_refused_with_a_sentence(write):
    read, refused = fuzzed(write, FEW)
    assert read + refused == FEW
    assert min(read, refused) > FEW / 10


@pytest.mark.torture
def test_many_damaged_lists(write):
    read, refused = fuzzed(write, MANY)
    print(f"\npolicy lists: {MANY} tried, {read} read, {refused} refused with a sentence, nothing else")


def test_words_of_a_study_reach_sql_quoted():
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    source = (ROOT / "dbt" / "macros" / "study_panel.sql").read_text(encoding="utf-8")
    macros = environment.from_string(source[source.index("{# A value as SQL") :]).module
    words = spec.SEPARATOR.join(["city's core", "old, town"])
    assert macros.quoted_words(words) == "'city''s core', 'old, town'"
    assert macros.quoted("'; drop table raw.ledger; --") == "'''; drop table raw.ledger; --'"
    assert "'{{" not in source[: source.index("{# A value as SQL")].replace("'{{ study }}'", "")


@pytest.mark.parametrize("column", ["city_code", "name_zh"])
def test_a_roster_without_a_column_is_named(tmp_path, column):
    (tmp_path / "reference").mkdir()
    kept = [name for name in ("city_code", "name_zh", "panel_281") if name != column]
    (tmp_path / "reference" / "cities.csv").write_text(f"{','.join(kept)}\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"cities.csv: the column '{column}' is missing"):
        spec.known(tmp_path, {})


def test_a_list_of_names_and_years_is_read_by_code_with_an_event_for_each_time_a_city_comes(write):
    path = write("序号,城市,批次,试点年份\n1,石家庄,第一批,2012年\n2,唐山市,第一批,2012\n3,石家庄,第二批,2016\n")
    assert policies.faults(path, CITIES) == []
    kept = [(row["city_code"], row["adoption"], row["scope"], row["batch"]) for row in policies.rows(path)]
    assert kept == [
        ("130100", "2012", "whole city", "第一批"),
        ("130200", "2012", "whole city", "第一批"),
        ("130100", "2016", "event 2", "第二批"),
    ]


def test_every_fault_of_a_list_is_told_at_once_and_a_doubtful_name_is_one(write):
    path = write("city,province,year\nSuzhou,,2014\nSuzhou,Anhui,2014\n吉林,,2014\n唐山,,20\n")
    with pytest.raises(ValueError, match=r"line 2.*'Suzhou' is no one city") as told:
        policies.scopes(path, {**CITIES, "341300": "宿州市"})
    assert [fault.split(":")[0].rpartition(", line ")[2][:1] for fault in str(told.value).splitlines()] == [
        "2",
        "4",
        "5",
    ]

"""Patent records into the warehouse: every good row with its number, every bad one with what is wrong."""

import random
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import test_text

from dagster_project.ingest import contracts, records
from dagster_project.resources import TABLES

CONTRACT = contracts.load(Path(__file__).resolve().parents[3] / "data" / "contracts" / "patent_records.yaml")
HEADER = ",".join(CONTRACT.columns.values())
FEW, MANY = 100, 5_000


def record(number: int, applicant: str = "甲公司") -> str:
    return f"CN{number},发明专利,2010-01-02,,H01L31/04;F03D1/00,{applicant},北京市海淀区1号"


@pytest.fixture
def warehouse():
    """Raw tables in memory, within a transaction as a run has it."""
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        connection.execute("begin")
        yield connection


@pytest.fixture
def load(warehouse, tmp_path):
    """Loads a file given as lines or bytes; returns rows kept as (row, number), and the rejects."""

    def run(content: list[str] | bytes, encoding: str | None = "utf-8", name: str = "2010.csv"):
        text = content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode()
        (tmp_path / name).write_bytes(text)
        contract = CONTRACT.model_copy(update={"encoding": encoding})
        target = tmp_path / "patents" / f"{name}.parquet"
        target.unlink(missing_ok=True)
        count, rejects = records.load(warehouse, tmp_path / name, f"patents/{name}", contract, target)
        warehouse.execute("delete from raw.ledger where file = $1", [f"patents/{name}"])
        if target.exists():
            warehouse.execute(
                "insert into raw.ledger by name select $1 as file, $2 as stored",
                [f"patents/{name}", f"patents/{target.name}"],
            )
        records.show(warehouse, "patents", tmp_path)
        kept = warehouse.execute(
            "select row, application_number from raw.patents where file = ? order by row", [f"patents/{name}"]
        ).fetchall()
        assert count == len(kept)
        assert all(message.startswith(f"patents/{name}: ") for message in rejects.message)
        assert not rejects.message.str.contains(str(tmp_path), regex=False).any()
        return kept, rejects

    return run


def test_a_good_file_is_loaded_as_text_with_its_rows(load, warehouse):
    kept, rejects = load([HEADER, record(1), record(2)])
    assert kept == [(2, "CN1"), (3, "CN2")]
    assert rejects.empty
    row = warehouse.execute("select source, kind, filing_date, grant_date, ipc, address from raw.patents").fetchall()[0]
    assert row == ("patent_records", "发明专利", "2010-01-02", None, "H01L31/04;F03D1/00", "北京市海淀区1号")


@pytest.mark.parametrize(
    ("bad", "said"),
    [("CN9,发明专利", "Found: 2"), (record(9) + ",x,y", "Found: 8"), ("乱", "Found: 1")],
)
def test_a_row_of_another_width_is_set_aside_once_and_the_rows_after_it_keep_their_numbers(load, bad, said):
    kept, rejects = load([HEADER, record(1), bad, record(2), bad, bad, record(3)])
    assert kept == [(2, "CN1"), (4, "CN2"), (7, "CN3")]
    assert list(rejects.row) == [3, 5, 6]
    assert set(rejects.rule) == {"unreadable_row"}
    assert rejects.value[0] == bad[:60]
    assert "row 3" in rejects.message[0]
    assert said in rejects.message[0]


def test_a_byte_that_is_no_text_costs_its_row_only(load):
    lines = [HEADER.encode(), record(1).encode(), b"CN9,\xff\xfe,2010-01-01,,A,b,c", record(2).encode(), b""]
    kept, rejects = load(b"\n".join(lines))
    assert kept == [(2, "CN1"), (4, "CN2")]
    assert list(rejects.row) == [3]


def test_an_open_quote_is_a_bad_row_not_a_failed_file(load):
    kept, rejects = load([HEADER, record(1), record(2, applicant='"甲公司')])
    assert kept == [(2, "CN1")]
    assert list(rejects.rule) == ["unreadable_row"]


def test_quotes_line_breaks_and_either_end_of_line_are_read(load):
    lines = [HEADER, record(1, applicant='"甲,""乙""\n公司"') + "\r", record(2), record(3) + "\r"]
    kept, rejects = load(lines)
    assert [number for _, number in kept] == ["CN1", "CN2", "CN3"]
    assert rejects.empty


def test_the_columns_may_stand_in_any_order_with_marks_and_spaces(load):
    names = HEADER.split(",")
    kept, rejects = load(
        ["\ufeff" + ", ".join(reversed(names)) + ",备注", ",".join(reversed(record(1).split(","))) + ",x"]
    )
    assert kept == [(2, "CN1")]
    assert rejects.empty


def test_a_file_without_a_column_it_cannot_do_without_is_not_read(load):
    kept, rejects = load([HEADER.replace("IPC分类号", "分类"), record(1)])
    assert kept == []
    assert list(rejects.rule) == ["missing_column"]
    assert rejects.column[0] == "IPC分类号"
    assert "IPC分类号" in rejects.message[0]


def test_a_file_without_grant_dates_is_read_and_says_so(load):
    kept, rejects = load([HEADER.replace("授权公告日", "公告"), record(1)])
    assert kept == [(2, "CN1")]
    assert list(rejects.column) == ["授权公告日"]


def test_a_column_that_stands_twice_is_told_and_neither_is_taken(load):
    kept, rejects = load([f"{HEADER},IPC分类号", f"{record(1)},X"])
    assert kept == []
    assert list(rejects.rule) == ["equal_headers"]
    assert "2 columns are headed IPC分类号" in rejects.message[0]
    kept, rejects = load([f"{HEADER},授权公告日", f"{record(1)},X"])
    assert kept == [(2, "CN1")]
    assert list(rejects.column) == ["授权公告日"]


def test_gb18030_is_read_where_the_contract_states_it_or_states_nothing(load):
    content = "\n".join([HEADER, record(1), ""]).encode("gb18030")
    assert load(content, "gb18030", "a.csv")[0] == [(2, "CN1")]
    assert load(content, None, "b.csv")[0] == [(2, "CN1")]
    assert load("\n".join([HEADER, record(1), ""]).encode(), None, "c.csv")[0] == [(2, "CN1")]


def test_text_in_another_encoding_than_stated_is_an_unreadable_file_that_says_so(load):
    kept, rejects = load("\n".join([HEADER, record(1), ""]).encode("gb18030"), "utf-8")
    assert kept == []
    assert list(rejects.rule) == ["unreadable_file"]
    assert "is not text in UTF-8" in rejects.message[0]
    _, rejects = load("\n".join([HEADER, record(1), ""]).encode(), "gb18030")
    assert "is not text in gb18030" in rejects.message[0]


def test_an_empty_file_is_unreadable_and_a_header_alone_is_no_row(load):
    _, rejects = load(b"")
    assert rejects.message[0] == "patents/2010.csv: the file is empty."
    kept, rejects = load([HEADER], name="b.csv")
    assert kept == []
    assert rejects.empty


def test_faults_of_one_file_are_not_told_of_the_next(load):
    load([HEADER, "x"], name="a.csv")
    _, rejects = load([HEADER, record(1)], name="b.csv")
    assert rejects.empty


@pytest.mark.parametrize("size", [1, 2, 3, 1 << 20])
def test_lines_are_counted_and_unlike_ends_seen_wherever_a_block_ends(tmp_path, monkeypatch, size):
    monkeypatch.setattr(records, "BLOCK", size)
    for content, lines in (
        (b"a\nb\n", 2),
        (b"a\r\nb\r\n", 2),
        (b"a\nb\n\n\n", 2),
        (b"a\r\n\r\nb", 3),
        (b"a\r\nb\n", None),
        (b"a\nb\r\n", None),
        (b"a\rb", None),
        (b"a\nb\r", None),
        (b"a\0\n", None),
    ):
        (tmp_path / "a.csv").write_bytes(content)
        assert records._plain_lines(tmp_path / "a.csv", "utf-8") == lines
    (tmp_path / "a.csv").write_bytes("城市\n".encode("gb18030"))
    assert records._plain_lines(tmp_path / "a.csv", None) is None


@pytest.mark.parametrize("damage", ["opens", "closes later", "twice"])
def test_a_stray_quote_among_many_records_costs_its_row_only(load, damage):
    lines = [HEADER, *(record(number) for number in range(120_000))]
    lines[5] = '"' + lines[5]
    if damage == "closes later":
        lines[5] = record(4, applicant='"甲公司')
        lines[20_000] = record(19_999, applicant='甲公司"')
    if damage == "twice":
        lines[90_000] = record(89_999, applicant='"甲公司')
    kept, rejects = load(lines)
    assert len(kept) + len(rejects) == 120_000
    assert len(rejects) <= 2
    assert rejects.row[0] == 6
    assert kept[-1] == (120_001, "CN119999")
    assert "row 6 cannot be read: it opens a quote" in rejects.message[0]


def test_documents_of_many_lines_are_read_and_rows_behind_blank_lines_keep_their_numbers(load):
    long = "本院认为\n" * 50
    kept, rejects = load([HEADER, record(1, applicant=f'"{long}"'), record(2)])
    assert kept == [(2, "CN1"), (3, "CN2")]
    assert rejects.empty
    kept, rejects = load([HEADER, "", record(1, applicant=f'"{long}"'), "", record(2), "", ""], name="b.csv")
    assert kept == [(3, "CN1"), (5, "CN2")]
    assert rejects.empty


def test_a_line_that_is_longer_than_duckdb_reads_is_set_aside(load):
    kept, rejects = load([HEADER, record(1, applicant="甲" * 3_000_000), record(2)])
    assert kept == [(3, "CN2")]
    assert list(rejects.row) == [2]


def check(load, chance: random.Random) -> tuple[int, int]:
    """Assert that every row of a random damaged file is a record or a reject; returns how many were, of each."""
    written = test_text.table(chance, 7, chance.randint(12, 40), HEADER.split(","))
    kept, rejects = load(written.content, None, "damaged.csv")
    if "unreadable_file" in set(rejects.rule):
        return 0, len(written.rows) - 1
    found = {application for _, application in kept}
    read = aside = 0
    for row, (values, _, _, damaged) in enumerate(written.rows[1:], start=2):
        if not damaged and values[0] in found:
            assert (row, values[0]) in kept
            read += 1
        else:
            assert row in set(rejects.row) or (damaged and row in {at for at, _ in kept}), (row, values)
            aside += 1
    assert len(kept) + len(rejects) == len(written.rows) - 1
    return read, aside


def tried(load, times: int, seed: int) -> tuple[int, int]:
    counts = [check(load, random.Random(f"{seed} {number}")) for number in range(times)]
    return sum(read for read, _ in counts), sum(aside for _, aside in counts)


def test_rows_written_are_records_and_rejects_whatever_the_damage(load):
    read, aside = tried(load, FEW, seed=14)
    assert aside > FEW
    assert read > 5 * aside


@pytest.mark.torture
def test_rows_written_are_records_and_rejects_in_many_files(load):
    read, aside = tried(load, MANY, seed=15)
    print(f"\nfiles of records: {MANY} tried, {read} rows read, {aside} set aside with a sentence, 0 lost")


def test_a_year_is_taken_from_the_name_of_the_file_alone():
    assert records.year_of("2001/patents/2010.csv") == 2010
    assert records.year_of("patents/CN_2010_part2.csv") == 2010
    assert records.year_of("patents/2010_a_2010.csv") == 2010
    for unclear in ("patents/all.csv", "2010/patents/a.csv", "patents/2010-2012.csv", "patents/20101.csv"):
        assert records.year_of(unclear) is None

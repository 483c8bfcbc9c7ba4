"""Files made to do harm: nothing in them runs, nothing of this machine leaks, memory stays bounded, and a sentence says
what was wrong.

The bound on memory is files.MEMORY_BOUND of address space, set on a process of its own for each bomb.
"""

from __future__ import annotations

import io
import random
import resource
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import xlsxwriter

from dagster_project import raw_folder
from dagster_project.ingest import contracts, files, yearbooks
from dagster_project.ingest.contracts import ContractError
from dagster_project.ingest.files import UnreadableFile, open_sheets
from dagster_project.paths import CONTRACTS, ROOT

UNITS = frozenset({"万元", "人"})
#: Mutations of each kind of file here; `make torture` tries many more.
KINDS, FEW, MANY = 6, 16, 1000


def yearbook(**changes: object) -> contracts.Contract:
    """A contract of two columns."""
    stated = {
        "source": "book",
        "kind": "yearbook",
        "title": {"en": "A book"},
        "publisher": "nobody",
        "covers": "two cities",
        "licence": "none",
        "obtain": "by hand",
        "files": ["**/*"],
        "tables": [
            {
                "keys": {"year": {"from": "constant", "value": "2010"}, "city": {"header": "城市"}},
                "columns": [{"header": "生产总值", "indicator": "gdp", "unit": "万元"}],
            }
        ],
    }
    return contracts.Contract.model_validate(stated | changes)


def read(path: Path, contract: contracts.Contract | None = None) -> yearbooks.Reading:
    return yearbooks.read(path, path.name, contract or yearbook(), UNITS)


def said(reading: yearbooks.Reading) -> str:
    return " ".join(reading.rejects["message"])


def bounded(program: str, *arguments: str, seconds: int = 240) -> str:
    """What a program prints that may not take more than the bound of memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (files.MEMORY_BOUND, files.MEMORY_BOUND))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


OPEN = """
    import sys
    from pathlib import Path
    from dagster_project.ingest.files import UnreadableFile, open_sheets
    try:
        for sheet in open_sheets(Path(sys.argv[1])):
            for row in sheet.rows():
                pass
        print("read")
    except UnreadableFile as error:
        print(error)
"""


def test_a_formula_is_what_it_showed_last_and_is_never_evaluated(tmp_path):
    path, proof = tmp_path / "book.xlsx", tmp_path / "proof"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["城市", "生产总值"])
        sheet.write_row(1, 0, ["北京市"])
        sheet.write_formula(1, 1, f"=cmd|'/C touch {proof}'!A0", None, 7)
        sheet.write_row(2, 0, ["上海市"])
        sheet.write_formula(2, 1, '=WEBSERVICE("http://127.0.0.1:9/")', None, "")
        sheet.write_string(3, 0, '=HYPERLINK("http://127.0.0.1:9/")')
        sheet.write_number(3, 1, 1)
    reading = read(path)
    # one whose result was never stored is shown as it stands, and staging sets it aside
    assert list(reading.cells["value"]) == ["7", '=WEBSERVICE("http://127.0.0.1:9/")', "1"]
    assert reading.cells["city"].iloc[2].startswith("=HYPERLINK")
    assert not proof.exists()


def test_macros_and_links_of_a_workbook_are_left_alone(tmp_path):
    plain, path = tmp_path / "plain.xlsx", tmp_path / "book.xlsm"
    with xlsxwriter.Workbook(plain) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["城市", "生产总值"])
        sheet.write_row(1, 0, ["北京市", 5])
    link = (
        '<externalLink xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><externalBook '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:id="rId1"/></externalLink>'
    )
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, source.read(entry))
        target.writestr("xl/vbaProject.bin", b'Sub Auto_Open() Shell "touch /tmp/never" End Sub')
        target.writestr("xl/externalLinks/externalLink1.xml", link)
    assert list(read(path).cells["value"]) == ["5"]


def bomb(path: Path, megabytes: int, *, lie: bool) -> Path:
    """A workbook whose sheet unpacks to so much; with ``lie`` both its tables of contents say it is small."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=False) as sheet:
            for _ in range(megabytes):
                sheet.write(b" " * (1 << 20))
    if lie:
        content = bytearray(path.read_bytes())
        true = struct.pack("<I", megabytes << 20)
        assert content.count(true) >= 1
        path.write_bytes(content.replace(true, struct.pack("<I", 1000)))
    return path


def test_a_bomb_that_says_so_is_refused_unread(tmp_path):
    path = bomb(tmp_path / "book.xlsx", 300, lie=False)
    assert path.stat().st_size < 3 << 20
    assert "unpacks to 0.3 GiB, more than a workbook may" in said(read(path))


def test_a_bomb_that_lies_of_its_size_is_refused_at_the_limit(tmp_path):
    path = bomb(tmp_path / "book.xlsx", 600, lie=True)
    assert "more than a workbook may, and states less" in bounded(OPEN, str(path))


def test_xml_that_expands_itself_does_not(tmp_path):
    plain, path = tmp_path / "plain.xlsx", tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(plain) as book:
        book.add_worksheet().write_row(0, 0, ["城市", "生产总值"])
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(12))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "xl/sharedStrings.xml":
                head, _, rest = content.decode().partition("?>")
                content = f"{head}?><!DOCTYPE x [{entities}]>{rest.replace('城市', '&a11;')}".encode()
            target.writestr(entry.filename, content)
    assert len(bounded(OPEN, str(path))) < 1000


def test_a_sheet_whose_two_cells_span_seventeen_billion_is_refused(tmp_path):
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "城市")
        sheet.write(1_048_575, 16_383, 1)
    assert "cannot be read in 3 GiB of memory" in said(read(path)) or "too large to read" in said(read(path))


def test_ten_million_columns_are_refused_before_they_are_split(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("城市" + "," * 10_000_000 + "\n", encoding="utf-8")
    assert "has 10,000,001 columns; a table may have 16,384" in bounded(OPEN, str(path))
    records = contracts.load(CONTRACTS / "patent_records.yaml")
    assert "has 10,000,001 columns" in " ".join(load_records(path, path.name, records)["message"])


def test_a_first_line_without_an_end_is_no_table(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as stream:
        stream.write(b"x" * (17 << 20))
    records = contracts.load(CONTRACTS / "patent_records.yaml")
    assert "line longer than 16 MiB" in " ".join(load_records(path, path.name, records)["message"])


def load_records(path: Path, relative: str, contract: contracts.Contract) -> pd.DataFrame:
    """The rejects of a file of records, read into a warehouse of its own."""
    from dagster_project.ingest.refresh import refresh
    from dagster_project.resources import TABLES

    raw = path.parent
    warehouse = raw.parent / f"{raw.name}-warehouse"
    warehouse.mkdir(exist_ok=True)
    claiming = contract.model_copy(update={"files": ["**/*.csv", "*.csv"]})
    with duckdb.connect(str(warehouse / "pilotcity.duckdb")) as connection:
        connection.execute(TABLES)
        refresh(connection, raw, claiming, lambda text: None)
        assert connection.execute("select count(*) from raw.ledger").fetchall()[0][0] >= 1
        return connection.execute("select * from raw.reader_rejects where file = ?", [relative]).df()


HEADER = "申请号,专利类型,申请日,授权公告日,IPC分类号,申请人,地址\n"


@pytest.mark.parametrize(
    "name",
    ["a'; drop table raw.ledger; --.csv", "[20]*.csv", "a\nb.csv", "$(touch x).csv", "..csv", "{a,b}.csv", "%s{0}.csv"],
)
def test_a_file_name_is_a_name_and_nothing_else(tmp_path, name):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / name).write_text(HEADER + "CN1,发明,2010-01-01,,H02J3/38,某,北京市\n", encoding="utf-8")
    (raw / "20.csv").write_text(HEADER + "CN2,发明,2010-01-01,,H02J3/38,某,北京市\n", encoding="utf-8")
    records = contracts.load(CONTRACTS / "patent_records.yaml")
    shown = raw_folder.printable(name)
    assert not len(load_records(raw / name, shown, records))
    with duckdb.connect(str(tmp_path / "raw-warehouse" / "pilotcity.duckdb")) as connection:
        rows = dict(connection.execute("select file, rows from raw.ledger").fetchall())
    assert rows == {shown: 1, "20.csv": 1}


def test_sql_in_a_citys_name_is_a_name(tmp_path):
    path = tmp_path / "book.csv"
    name = "'); drop table raw.ledger; --"
    path.write_text(f'城市,生产总值\n"{name}",1\n', encoding="utf-8")
    reading = read(path)
    from dagster_project.ingest.refresh import _insert
    from dagster_project.resources import TABLES

    with duckdb.connect() as connection:
        connection.execute(TABLES)
        _insert(connection, "raw.yearbook_cells", reading.cells)
        assert connection.execute("select city from raw.yearbook_cells").fetchall() == [(name,)]
        assert connection.execute("select count(*) from raw.ledger").fetchall() == [(0,)]


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("source: !!python/object/apply:os.system ['touch {proof}']\n", "line 1: the tag"),
        ("source: !<tag:yaml.org,2002:python/name:os.system> x\n", "line 1: the tag"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
            "stand for",
        ),
        ("a: &a [*a]\n", "for itself"),
        ("[" * 100_000, "more than 50 deep"),
        ("source: [\n", "not valid YAML"),
        ("\x00\x01", "not valid YAML"),
        ("- a\n- b\n", "keys and values"),
    ],
)
def test_a_contract_made_to_do_harm_is_refused_with_file_and_line(tmp_path, text, sentence):
    proof = tmp_path / "proof"
    path = tmp_path / "evil.yaml"
    path.write_text(text.replace("{proof}", str(proof)), encoding="utf-8")
    with pytest.raises(ContractError, match=r"evil\.yaml") as caught:
        contracts.load(path)
    assert sentence in str(caught.value)
    assert not proof.exists()


def test_a_contract_that_lies_gives_rejects_not_values(tmp_path):
    path = tmp_path / "book.csv"
    path.write_text("城市,生产总值\n北京市,5\n", encoding="utf-8")
    table = {"keys": {"year": {"from": "constant", "value": "2010"}, "city": {"header": "城市"}}}
    column = {"header": "生产总值", "indicator": "gdp", "unit": "万元"}
    lies = {
        "a column that is not there": ({"columns": [column | {"header": "人口"}]}, "no column is headed 人口"),
        "a sheet that is not there": ({"columns": [column], "sheets": ["综合"]}, "no sheet is named 综合"),
        "a header that is not there": ({"columns": [column], "header_rows": [1_000_000]}, "no column is headed"),
    }
    for lie, (stated, sentence) in lies.items():
        reading = read(path, yearbook(tables=[table | stated]))
        assert sentence in said(reading), lie
        assert not len(reading.cells), lie
    (tmp_path / "utf16.csv").write_bytes("城市,生产总值\n".encode("utf-16"))
    assert "is not text in" in said(read(tmp_path / "utf16.csv", yearbook(encoding="utf-8")))


def test_an_archive_of_two_files_of_one_name_is_refused_for_one_would_hide_the_other(tmp_path):
    path = tmp_path / "book.zip"
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "城市,生产总值\n北京市,1\n")
        archive.writestr("a.csv", "城市,生产总值\n北京市,2\n")
    assert "is an archive that holds a.csv twice" in said(read(path))


def seeds(folder: Path) -> dict[str, bytes]:
    """A whole file of each kind."""
    frame = pd.DataFrame({"城市": ["北京市", "上海市"], "生产总值": [1.5, 2.5]})
    with xlsxwriter.Workbook(folder / "seed.xlsx") as book:
        sheet = book.add_worksheet("表")
        for row, values in enumerate([list(frame.columns), *frame.to_numpy().tolist()]):
            sheet.write_row(row, 0, values)
        sheet.merge_range(5, 0, 6, 1, "注")
    frame.to_parquet(folder / "seed.parquet")
    frame.set_axis(["city", "gdp"], axis=1).to_stata(folder / "seed.dta", version=118, write_index=False)
    frame.to_csv(folder / "seed.csv", index=False)
    found = {f".{path.suffix[1:]}": path.read_bytes() for path in sorted(folder.glob("seed.*"))}
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.write(folder / "seed.csv", "表/a.csv")
        archive.write(folder / "seed.parquet", "表/b.parquet")
    zipped = (folder / "all.zip").read_bytes()
    return found | {".xls": (Path(__file__).parent / "two_cities.xls").read_bytes(), ".zip": zipped}


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file with some bytes changed, cut out, repeated or replaced by numbers that break readers."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 200)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 200)]
            case 3:
                data[at : at + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\0\0\0\0"]
                )
            case 4:
                data = data[:at]
    return bytes(data)


def rewrapped(content: bytes, chance: random.Random) -> bytes:
    """A workbook whose parts are damaged inside a zip that is whole, so that the reader gets to them."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        chosen = chance.choice(source.namelist())
        for name in source.namelist():
            part = source.read(name)
            archive.writestr(name, mutated(part, chance) if name == chosen else part)
    return target.getvalue()


FUZZ = """
    import resource, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import test_hostile
    print(*test_hostile.fuzz(Path(sys.argv[2]), int(sys.argv[3])))
"""


def fuzz(folder: Path, times: int) -> tuple[int, int]:
    """Read so many damaged files of each kind; returns how many were read all the same, and how many were refused.

    Anything but rows or UnreadableFile ends it, as does memory beyond the bound.
    """
    chance = random.Random(8)
    readable = refused = 0
    for suffix, content in seeds(folder).items():
        for number in range(times):
            inside = suffix in (".xlsx", ".zip") and number % 2
            path = folder / f"case{suffix}"
            path.write_bytes(rewrapped(content, chance) if inside else mutated(content, chance))
            try:
                for sheet in open_sheets(path):
                    for row in sheet.rows():
                        assert all(isinstance(cell, str) for cell in row)
                readable += 1
            except UnreadableFile:
                refused += 1
    return readable, refused


def test_damaged_files_of_every_kind_are_read_or_refused_with_a_sentence(tmp_path):
    readable, refused = map(int, bounded(FUZZ, str(Path(__file__).parent), str(tmp_path), str(FEW)).split())
    assert readable + refused == KINDS * FEW
    assert min(readable, refused) > FEW / 2


@pytest.mark.torture
def test_thousands_of_damaged_files(tmp_path):
    printed = bounded(FUZZ, str(Path(__file__).parent), str(tmp_path), str(MANY), seconds=1800)
    readable, refused = map(int, printed.split())
    print(f"\nfuzzing: {KINDS * MANY} damaged files, {readable} read, {refused} refused, nothing else")
    assert readable + refused == KINDS * MANY

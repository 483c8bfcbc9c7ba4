"""The raw folder: one file that cannot be read is one sentence, and the others are read under names safe to print."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import duckdb
import pytest

from dagster_project import raw_folder
from dagster_project.fingerprint import hash_raw
from dagster_project.ingest import contracts, files
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import CONTRACTS
from dagster_project.resources import TABLES
from dagster_project.sensors import Memory, look

HEADER = "申请号,专利类型,申请日,授权公告日,IPC分类号,申请人,地址\n"
RECORD = HEADER + "CN1,发明,2010-01-01,,H02J3/38,某,北京市\n"
FEW, MANY = 100, 500


@pytest.fixture
def raw(tmp_path) -> Path:
    """A raw folder of one good file."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "good.csv").write_text(RECORD, encoding="utf-8")
    return tmp_path / "raw"


def loaded(raw: Path, times: int = 1) -> tuple[dict[str, int], dict[str, str]]:
    """Rows of each file that a contract for every CSV reads, and what is said of those it cannot."""
    contract = contracts.load(CONTRACTS / "patent_records.yaml").model_copy(update={"files": ["**/*.csv", "**/*.csv*"]})
    (raw.parent / "warehouse").mkdir(exist_ok=True)
    with duckdb.connect(str(raw.parent / "warehouse" / "pilotcity.duckdb")) as connection:
        connection.execute(TABLES)
        for _ in range(times):
            done = refresh(connection, raw, contract, lambda text: None)
        assert not (times > 1 and done.read)
        rows = dict(connection.execute("select file, rows from raw.ledger").fetchall())
        said = dict(connection.execute("select file, message from raw.reader_rejects").fetchall())
        return rows, said


def test_a_name_in_gb18030_is_read_under_the_name_that_was_meant(raw):
    (raw / os.fsdecode("专利2010.csv".encode("gb18030"))).write_text(RECORD, encoding="utf-8")
    assert loaded(raw)[0] == {"good.csv": 1, "专利2010.csv": 1}
    assert hash_raw(raw)


def test_a_name_in_no_encoding_is_escaped_and_one_that_comes_twice_is_left_out(raw):
    (raw / os.fsdecode(b"a\xff\n.csv")).write_text(RECORD, encoding="utf-8")
    (raw / "专利.csv").write_text(RECORD, encoding="utf-8")
    (raw / os.fsdecode("专利.csv".encode("gb18030"))).write_text(RECORD, encoding="utf-8")
    rows, said = loaded(raw)
    assert rows == {"good.csv": 1, r"a\xff\n.csv": 1, "专利.csv": 1, "专利.csv (again)": 0}
    assert said["专利.csv (again)"].endswith("has the same name as another file once both are written as text.")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\x1b[2J.csv", r"a\nb\x1b[2J.csv"),
        ("a\u202egpj.csv", r"a\u202egpj.csv"),
        ("表\u3000一 (2).csv", "表\u3000一 (2).csv"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_line_ends_and_controls_of_a_name_are_escaped(name, shown):
    assert raw_folder.printable(name) == shown


def test_links_stay_inside_unless_they_are_followed(raw, monkeypatch):
    outside = raw.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "far.csv").write_text(RECORD, encoding="utf-8")
    (outside / "deep" / "loop").symlink_to(outside)
    (raw / "file.csv").symlink_to(outside / "deep" / "far.csv")
    (raw / "folder.csv").symlink_to(outside)
    (raw / "inside.csv").symlink_to(raw / "good.csv")
    (raw / "itself").symlink_to(raw)
    (raw / "nowhere.csv").symlink_to(raw / "gone.csv")
    rows, said = loaded(raw)
    assert rows == {"good.csv": 1, "inside.csv": 1, "file.csv": 0, "folder.csv": 0, "nowhere.csv": 0}
    assert said["file.csv"].startswith(
        "file.csv: the file is a link that leads out of the raw folder: copy what it leads"
    )
    assert said["nowhere.csv"] == "nowhere.csv: the file is a link that leads nowhere."
    assert "itself is a link to a folder that is read already; it is left out." in raw_folder.look(raw).sentences
    before = hash_raw(raw)
    monkeypatch.setenv("PILOTCITY_LINKS", "follow")
    rows, said = loaded(raw)
    assert rows == {
        "good.csv": 1,
        "inside.csv": 1,
        "file.csv": 1,
        "folder.csv/deep/far.csv": 1,
        "nowhere.csv": 0,
    }
    assert set(said) == {"nowhere.csv"}
    assert hash_raw(raw) != before


def test_pipes_sockets_and_devices_are_sentences_and_nothing_waits_for_them(raw, monkeypatch):
    monkeypatch.setenv("PILOTCITY_LINKS", "follow")
    monkeypatch.chdir(raw)
    os.mkfifo("pipe.csv")
    (raw / "zero.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")
        rows, said = loaded(raw)
    assert rows == {"good.csv": 1, "pipe.csv": 0, "zero.csv": 0, "socket.csv": 0}
    assert {file: message.split("the file is ")[1] for file, message in said.items()} == {
        "pipe.csv": "a pipe, not a file.",
        "zero.csv": "a device, not a file.",
        "socket.csv": "a socket, not a file.",
    }


def test_a_file_that_may_not_be_read_is_a_sentence_until_it_may(raw, monkeypatch):
    secret = raw / "secret.csv"
    secret.write_text(RECORD, encoding="utf-8")
    secret.chmod(0)
    if os.geteuid() == 0:  # to whom nothing is forbidden
        monkeypatch.setattr(raw_folder.os, "access", lambda path, mode: Path(path).stat().st_mode & 0o400)
    rows, said = loaded(raw, times=2)
    assert rows == {"good.csv": 1, "secret.csv": 0}
    assert said["secret.csv"] == "secret.csv: the file cannot be read (Permission denied)."
    before = hash_raw(raw)
    secret.chmod(0o600)
    assert hash_raw(raw) != before
    assert loaded(raw) == ({"good.csv": 1, "secret.csv": 1}, {})


def test_a_file_that_fails_while_it_is_read_is_a_sentence_too(raw, monkeypatch):
    (raw / "broken.csv").write_text(RECORD, encoding="utf-8")
    true = files.sha256

    def sha256(path: Path) -> str:
        if path.name == "broken.csv":
            raise OSError(5, "Input/output error")
        return true(path)

    monkeypatch.setattr(files, "sha256", sha256)
    rows, said = loaded(raw)
    assert rows == {"good.csv": 1, "broken.csv": 0}
    assert said["broken.csv"] == "broken.csv: the file cannot be read (Input/output error)."


def test_the_sensor_asks_once_for_a_file_that_cannot_be_read(raw):
    (raw / "nowhere.csv").symlink_to(raw / "gone.csv")
    contract = contracts.load(CONTRACTS / "patent_records.yaml").model_copy(update={"files": ["*.csv"]})
    memory = Memory()
    published = {"good.csv": files.sha256(raw / "good.csv")}
    look(raw, {"patent_records": contract}, published, memory)
    found = look(raw, {"patent_records": contract}, published, memory)
    assert set(found.touched) == {"nowhere.csv"}
    published["nowhere.csv"] = found.touched["nowhere.csv"]
    assert loaded(raw)[0]["nowhere.csv"] == 0
    with duckdb.connect(str(raw.parent / "warehouse" / "pilotcity.duckdb")) as connection:
        kept = connection.execute("select sha256 from raw.ledger where file = 'nowhere.csv'").fetchall()
    assert kept == [(found.touched["nowhere.csv"],)]
    for _ in range(3):
        assert not look(raw, {"patent_records": contract}, published, memory).touched


def names(chance: random.Random) -> bytes:
    """A file name of random bytes, text or both."""
    length = chance.randint(1, 40)
    match chance.randrange(4):
        case 0:
            name = bytes(chance.randrange(1, 256) for _ in range(length))
        case 1:
            name = "".join(
                chr(chance.choice([chance.randrange(1, 0xD800), chance.randrange(0x4E00, 0x9FA5)]))
                for _ in range(length)
            ).encode()
        case 2:
            name = "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(length)).encode("gb18030")
        case _:
            name = b"".join(
                chance.choice([b"\n", b"\r", b"\x1b[31m", b"'", b'"', b"$(x)", b"[a]*?", b"{", b"%s", b"..", b" "])
                for _ in range(length)
            )
    return name.replace(b"/", b"")[:200] + b".csv"


def fuzzed(raw: Path, times: int) -> int:
    """Files under so many random names; all that can be read are read, and names are safe to print."""
    chance = random.Random(14)
    written: set[bytes] = set()
    while len(written) < times:
        name = names(chance)
        if not name.startswith((b"~$", b"._")):
            (raw / os.fsdecode(name)).write_text(RECORD, encoding="utf-8")
            written.add(name)
    rows, said = loaded(raw)
    assert len(rows) == times + 1
    assert all(name.isprintable() or not set("\n\r\x1b") & set(name) for name in rows)
    assert all(name.encode() for name in rows)
    assert all(rows[name] == 1 for name in rows.keys() - said.keys())
    assert hash_raw(raw)
    return len(said)


def test_files_of_any_name_are_read(raw):
    assert fuzzed(raw, FEW) < 3


@pytest.mark.torture
def test_files_of_many_names_are_read(raw):
    print(
        f"\nnames of files: {MANY} tried, {fuzzed(raw, MANY)} left out with a sentence, the others read, nothing else"
    )

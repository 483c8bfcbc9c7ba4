"""What happens to a run, and what readers and the next run make of it.

After each fault: readers see a whole publication, the next run succeeds unaided, and what it publishes equals an
undisturbed run's byte for byte. The faults happen to a graph of a few steps (tiny.py); one kill, in the middle of dbt,
happens to the whole pipeline, and the forced run of test_sample.py, which comes after it, is the run that must succeed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from pipeline.tiny_installation import Tiny

from dagster_project import verification

tiny = pytest.mark.xdist_group("tiny")
#: Kills at random moments: in CI, and in `make torture`.
FEW, MANY = 1, 30


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """An installation, what its first run published, and how long a run takes."""
    installation = Tiny(tmp_path_factory.mktemp("tiny"))
    code, said = installation.run()
    assert code == 0, said
    first = installation.seen()
    started = time.monotonic()
    code, said = installation.run()
    assert code == 0, said
    assert installation.seen() == first
    return installation, first, time.monotonic() - started


def kill_at(installation: Tiny, after: float) -> str:
    """Start a run and kill it -9 after so many seconds; returns how far it came."""
    process = installation.start()
    try:
        process.communicate(timeout=after)
        return "finished"
    except subprocess.TimeoutExpired:
        process.kill()
    out, _ = process.communicate()
    return f"killed after {out.count(' s' + chr(10))} steps"


def kills(
    installation: Tiny, first: dict[str, str], seconds: float, times: int, between: tuple[float, float] = (0.4, 1.0)
) -> list[str]:
    moments = random.Random(2024)
    found = []
    for _ in range(times):
        found.append(kill_at(installation, moments.uniform(*between) * seconds))
        started = time.monotonic()
        installation.recovers(first)
        # how long a run takes changes with what else the machine does
        seconds = time.monotonic() - started
    return found


@tiny
def test_a_run_killed_at_a_random_moment_costs_nothing_but_itself(undisturbed):
    found = kills(*undisturbed, times=FEW)
    assert any(text.startswith("killed") for text in found), found


@pytest.mark.torture
@tiny
def test_thirty_runs_killed_at_random_moments(undisturbed):
    found = kills(*undisturbed, times=MANY)
    print(f"\nkill -9: {len(found)} times, survived {len(found)}: {', '.join(sorted(set(found)))}")
    assert sum(text.startswith("killed") for text in found) > MANY / 2


@tiny
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.torture)])
def test_a_run_of_a_parent_that_ignores_ctrl_c_stops_after_any_step(undisturbed, number):
    installation, first, _ = undisturbed
    process = installation.start(deaf=True)
    assert process.stdout
    for line in process.stdout:
        if "[  2/" in line:
            break
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Stopped after" in said
    assert installation.seen() == first


@pytest.mark.torture
@tiny
def test_thirty_runs_killed_late(undisturbed):
    """While the publication is written, sealed, brought to the disk and swapped in."""
    found = kills(*undisturbed, times=MANY, between=(0.8, 1.05))
    print(f"\nkill -9 late: {len(found)} times, survived {len(found)}: {', '.join(sorted(set(found)))}")
    assert any(text.startswith("killed") for text in found)


#: Files that decide what a run does, below the data folder; the last publication's number stands for {}.
STATE = (
    "publications/{}/fingerprint.json",
    "publications/{}/publication.json",
    "publications/{}/checksums.json",
    "publications/verified.json",
    "home/dagster.yaml",
    "home/history/runs.db",
    "home/history/runs/index.db",
    "home/schedules/schedules.db",
)


@pytest.mark.torture
@tiny
@pytest.mark.parametrize("name", STATE)
def test_no_file_that_a_loss_of_power_cut_stops_the_next_run(undisturbed, name):
    installation, first, _ = undisturbed
    for part in (0.0, 0.01, 0.5, 0.99):
        number = installation.paths.published.resolve().name
        path = installation.paths.data / name.format(number)
        os.truncate(path, int(path.stat().st_size * part))
        code, said = installation.run("run")
        assert code == 0, said
        assert "Traceback" not in said
        assert installation.seen() == first
        assert not verification.verify(
            installation.paths, int(installation.paths.published.resolve().name), thorough=False
        ).differences


def garbage(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(os.urandom(length))


def spoil_blocks(path: Path) -> None:
    for start in range(3 * 4096 + 1000, path.stat().st_size, 262144):
        garbage(path, start, 4000)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "the header overwritten": lambda path: garbage(path, 0, 3 * 4096),
    "every block overwritten in part": spoil_blocks,
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
}


@tiny
def test_a_damaged_warehouse_is_set_aside_and_built_anew_unaided(undisturbed):
    damaged(*undisturbed[:2], "every block overwritten in part")


@pytest.mark.torture
@tiny
@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_each_kind_of_damaged_warehouse(undisturbed, damage):
    damaged(*undisturbed[:2], damage)


def damaged(installation: Tiny, first: dict[str, str], damage: str) -> None:
    DAMAGES[damage](installation.paths.warehouse)
    bad = installation.paths.warehouse.read_bytes()
    code, said = installation.run()
    assert code == 0, said
    assert "The warehouse was damaged" in said
    kept = installation.paths.warehouse.with_suffix(".damaged.duckdb")
    assert kept.name in said
    assert len(kept.read_bytes()) == len(bad)
    assert installation.seen() == first


@tiny
def test_damaged_records_beside_the_warehouse_are_set_aside_and_read_again(undisturbed):
    installation, first, _ = undisturbed
    one, other, *_ = sorted((installation.paths.warehouse.parent / "records").rglob("*.parquet"))
    os.truncate(one, one.stat().st_size // 2)
    garbage(other, 0, other.stat().st_size)
    code, said = installation.run()
    assert code == 0, said
    assert "2 files of records beside the warehouse were damaged" in said
    assert len(list((installation.paths.warehouse.parent / "damaged_records").iterdir())) == 2
    assert installation.seen() == first


@tiny
@pytest.mark.parametrize("limit", [pytest.param(40_000, marks=pytest.mark.torture), 600_000])
def test_a_full_disk_ends_a_run_with_a_sentence(undisturbed, limit):
    installation, first, _ = undisturbed
    installation.paths.warehouse.unlink(missing_ok=True)
    code, said = installation.run(limit=limit)
    assert code == 1, said
    assert "Traceback" not in said
    assert "too large" in said.lower() or "disk" in said.lower(), said
    installation.recovers(first)


@pytest.mark.torture
@tiny
def test_a_disk_that_is_really_full(tmp_path, undisturbed):
    _, first, _ = undisturbed
    installation = Tiny(tmp_path / "tiny")
    data = installation.paths.data
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(data)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here; the limit on a file's size stands in for it")
    try:
        code, said = installation.run()
        assert code == 0, said
        assert installation.seen() == first
        fill = data / "fill"
        failed = 0
        for free in (50_000, 1_000_000, 4_000_000):
            room = os.statvfs(data)
            fill.write_bytes(b"\0" * max(0, room.f_bavail * room.f_frsize - free))
            code, said = installation.run()
            failed += code != 0
            assert "Traceback" not in said, said
            fill.unlink()
            installation.recovers(first)
        assert failed, "the disk was never full"
    finally:
        subprocess.run(["umount", str(data)], check=True)


@tiny
def test_a_file_that_vanishes_while_it_is_read_is_named(undisturbed):
    installation, first, _ = undisturbed
    path = installation.paths.raw / "patents" / "2012.csv"
    content = path.read_bytes()
    path.write_bytes(content + b"CN1,,2012-01-01,,,,x\n")
    # gone between the hash and the reader
    vanish = (
        "from dagster_project.ingest import files\n"
        "true = files.sha256\n"
        "def sha256(path):\n    found = true(path)\n    path.name == '2012.csv' and path.unlink()\n    return found\n"
        "files.sha256 = sha256"
    )
    code, said = installation.run(before=vanish)
    assert code == 1, said
    assert "2012.csv" in said
    assert "Traceback" not in said
    path.write_bytes(content)
    installation.recovers(first)


@pytest.mark.torture
@tiny
def test_of_two_runs_at_once_one_publishes_and_the_other_says_so(undisturbed):
    installation, first, _ = undisturbed
    before = int(installation.paths.published.resolve().name)
    processes = [installation.start() for _ in range(2)]
    ended = [(*process.communicate(), process.returncode) for process in processes]
    assert sorted(code for *_, code in ended) == [0, 1], ended
    refused = next(err for _, err, code in ended if code)
    assert "Another run is going on" in refused
    assert int(installation.paths.published.resolve().name) == before + 1
    assert installation.seen() == first


@pytest.mark.torture
@tiny
def test_ten_readers_see_one_publication_whole_or_the_other(undisturbed):
    installation, first, _ = undisturbed
    done = threading.Event()
    answers: list[int] = []
    refused: list[str] = []

    def read() -> None:
        while not done.is_set():
            try:
                with duckdb.connect(
                    str(installation.paths.published.resolve() / "pilotcity.duckdb"), read_only=True
                ) as db:
                    answers.append(db.execute("select sum(patents) from panels.city_year").fetchall()[0][0])
                assert (installation.paths.reports / "index.html").read_text() == "the report"
            except Exception as error:
                refused.append(repr(error))
            time.sleep(0.3)

    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    code, said = installation.run()
    done.set()
    for reader in readers:
        reader.join()
    assert code == 0, said
    assert refused == []
    assert set(answers) == {12000}
    assert len(answers) > 50
    assert installation.seen() == first


BACKWARDS = "import time\ntrue = time.time\ntime.time = lambda: true() - 400 * 86400"


@tiny
def test_a_clock_that_went_backwards_changes_nothing(undisturbed):
    installation, first, _ = undisturbed
    future = time.time() + 10 * 365 * 86400
    for path in (*installation.paths.raw.rglob("*"), installation.paths.warehouse):
        os.utime(path, (future, future))
    code, said = installation.run(before=BACKWARDS)
    assert code == 0, said
    assert installation.seen() == first
    installation.recovers(first)


@pytest.mark.torture
@pytest.mark.xdist_group("sample")
def test_a_run_killed_in_the_middle_of_dbt_leaves_no_dbt_behind_and_readers_what_they_had(sample):
    """The next run on this installation is the forced one of test_sample.py: it must succeed, with the same bytes."""
    before = sample.paths.published.resolve()
    process = sample.start("run", "--force")
    child = None
    try:
        deadline = time.monotonic() + 300
        while child is None and process.poll() is None and time.monotonic() < deadline:
            child = next((pid for pid in children(process.pid) if "pilotcity-dbt" in command_of(pid)), None)
            time.sleep(0.2)
        assert child, "the run never came to dbt"
        time.sleep(2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "pilotcity-dbt" in command_of(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "pilotcity-dbt" not in command_of(child)
    assert sample.paths.published.resolve() == before
    assert len(sample.query("from panels.publication")) == 1


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in listed.read_text().split()] if listed.exists() else []


def command_of(pid: int | None) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""

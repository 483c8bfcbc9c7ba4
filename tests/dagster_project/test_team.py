"""`pilotcity team`: where the run history is kept, what is started and how, and that all of it ends again.

Tests that need a server make one with the PostgreSQL of this machine, and skip where there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project import postgres, publication, serve, services
from dagster_project.commands import run, team, ui
from dagster_project.paths import ROOT, Paths
from dagster_project.resources import exclusive, prepare_instance
from tests.dagster_project.raw_request import WEBSOCKET
from tests.dagster_project.raw_request import status as request_status

pytestmark = pytest.mark.xdist_group("team")

SECRET = "a-password-that-nobody-may-see"
ADDRESS = f"postgresql://jane:{SECRET}@127.0.0.1:9/history"
POLICIES = {"path": ["raw", "policies"]}
LAUNCH = """
mutation ($location: String!, $assets: [AssetKeyInput!]!) {
  launchRun(executionParams: {mode: "default", runConfigData: {}, selector: {jobName: "__ASSET_JOB",
    repositoryName: "__repository__", repositoryLocationName: $location, assetSelection: $assets}})
  { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server named, and whatever a test sets is undone."""
    for name in ("DAGSTER_HOME", "DO_NOT_TRACK", "PILOTCITY_DATA", "PILOTCITY_RAW", postgres.VARIABLE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def data() -> Iterator[Paths]:
    """An installation where PostgreSQL's user may come, which a folder of pytest's is not for root."""
    if not (shutil.which("initdb") or list(postgres.DEBIAN.glob("*/bin/initdb"))):
        pytest.skip("PostgreSQL is not installed on this machine (Debian: apt-get install postgresql)")
    try:
        postgres.owner()
    except RuntimeError as error:
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="pilotcity-team-"))
    folder.chmod(0o755)
    yield Paths(folder / "data", folder / "data" / "sample", is_sample=True)
    shutil.rmtree(folder)


def yaml_of(paths: Paths) -> str:
    prepare_instance(paths)
    return (paths.home / "dagster.yaml").read_text()


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for something to be true and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)
    return found


# where the history is kept


def test_the_history_is_in_sqlite_until_there_is_a_server(paths):
    assert "storage:" not in yaml_of(paths)
    assert postgres.chosen(paths) is None


def test_the_address_of_a_given_server_stays_in_the_environment(paths, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, ADDRESS)
    assert f"postgres_url: {{env: {postgres.VARIABLE}}}" in yaml_of(paths)
    assert SECRET not in yaml_of(paths)
    # SQLAlchemy takes another driver than Dagster brings unless the address names it
    assert os.environ[postgres.VARIABLE].startswith("postgresql+psycopg2://jane:")
    assert postgres.given() == ADDRESS


def test_a_history_on_a_server_is_not_split_by_a_run_that_does_not_name_it(paths, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, ADDRESS)
    before = yaml_of(paths)
    monkeypatch.delenv(postgres.VARIABLE)
    with pytest.raises(RuntimeError, match=r"set PILOTCITY_POSTGRES to its address, or delete .*dagster\.yaml"):
        prepare_instance(paths)
    assert (paths.home / "dagster.yaml").read_text() == before


def test_a_server_below_the_data_folder_keeps_the_history_of_every_command(paths):
    (paths.data / "postgres" / "cluster").mkdir(parents=True)
    written = yaml_of(paths)
    assert "postgresql+psycopg2://pilotcity@/pilotcity?host=" in written
    assert "passfile=" in written


@pytest.mark.parametrize("user", [f"jane:{SECRET}@x", f"jane:x/{SECRET}", f"jane:{SECRET}%zz", f"jane:x@{SECRET}/y"])
def test_a_password_that_would_have_to_be_encoded_is_refused_without_repeating_it(user, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, f"postgresql://{user}@127.0.0.1:9/history")
    with pytest.raises(ValueError, match="@ is written %40") as error:
        postgres.given()
    assert SECRET not in str(error.value)


def test_an_encoded_password_is_an_address(monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, "postgres://jane:p%40ss%2F%25@127.0.0.1:9/history?passfile=/a@b")
    assert postgres.given() == "postgresql://jane:p%40ss%2F%25@127.0.0.1:9/history?passfile=/a@b"


@pytest.mark.parametrize("address", ["mysql://there/history", "localhost:5432", "secret"])
def test_an_address_that_is_none_is_refused_without_repeating_it(address, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, address)
    with pytest.raises(ValueError, match="must be an address: postgresql://") as error:
        postgres.given()
    assert address not in str(error.value)


@pytest.mark.parametrize("address", [ADDRESS, f"postgresql://jane@127.0.0.1:9/history?password={SECRET}"])
def test_a_server_that_does_not_answer_is_named_without_its_password(address):
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:9, database history, user jane .*refused") as error:
        postgres.ping(address)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("address", [f"postgresql://jane:{SECRET}@there:port/x", f"postgresql://there/x?word={SECRET}"])
def test_an_address_that_only_postgresql_can_refuse_is_not_repeated_either(address):
    with pytest.raises(RuntimeError, match="no address that PostgreSQL understands") as error:
        postgres.ping(address)
    assert SECRET not in str(error.value)


def test_without_postgresql_on_the_machine_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="PostgreSQL is not installed: install it"):
        postgres.binaries()
    with pytest.raises(RuntimeError, match="PostgreSQL 9, which made this database, is not installed"):
        postgres.binaries("9")


def test_root_without_a_user_to_run_postgresql_as_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "SYSTEM_USER", "nobody-of-that-name")
    with pytest.raises(RuntimeError, match="refuses to run as root, and there is no user 'nobody-of-that-name'"):
        postgres.owner()


def test_a_folder_too_deep_for_a_socket_is_refused_before_anything_is_made(tmp_path):
    server = postgres.Server(tmp_path / ("d" * 100) / "postgres")
    with pytest.raises(ValueError, match="the path of a socket holds 107: choose a shorter folder"):
        server.create()
    assert not server.folder.exists()


# what is started


def test_every_process_is_bound_to_this_machine_and_no_command_holds_a_secret(paths, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, ADDRESS)
    commands = {service.name: " ".join(service.command) for service, _ in serve.services(paths, 3111)}
    assert list(commands) == ["code server", "daemon", "webserver"]
    assert f"-s {serve.code_socket(paths)} " in commands["code server"]
    assert "-h 127.0.0.1 -p 3111" in commands["webserver"]
    assert SECRET not in str(commands)


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ValueError, match=r"is taken .* --port"):
        serve.port_is_free(other.getsockname()[1])


def test_the_team_starts_once_for_a_data_folder(paths):
    with (
        exclusive(serve.lock(paths)),
        pytest.raises(RuntimeError, match="up for this data folder already"),
    ):
        team.main(paths, argparse.Namespace(port=3000))


def test_ui_is_the_team_where_the_history_is_in_postgresql(paths, monkeypatch):
    monkeypatch.setenv(postgres.VARIABLE, ADDRESS)
    monkeypatch.setattr(team, "main", lambda paths, options: 42)
    assert ui.main(paths, argparse.Namespace(port=3000)) == 42


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_sigterm_and_a_closed_terminal_all_ask_for_an_end(number):
    original = signal.signal(number, signal.SIG_DFL)
    try:
        with serve.stopping_by_signal() as stopping:
            os.kill(os.getpid(), number)
            assert stopping.wait(60)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, original)


def test_a_closed_terminal_is_nothing_to_what_nohup_started():
    original = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with serve.stopping_by_signal() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.wait(0.2)
    finally:
        signal.signal(signal.SIGHUP, original)


# watched, and ended


def watched(tmp_path: Path, code: str) -> tuple[services.Supervisor, list[str], services.Service]:
    said: list[str] = []
    supervisor = services.Supervisor(tmp_path, said.append, threading.Event())
    service = services.Service("sleeper", [sys.executable, "-S", "-c", code])
    supervisor.start(service, lambda: True)
    return supervisor, said, service


def test_a_process_that_dies_is_started_again_and_said_to_be(tmp_path):
    supervisor, said, _ = watched(tmp_path, "import time; time.sleep(600)")
    first = supervisor.running["sleeper"][1]
    watcher = threading.Thread(target=supervisor.watch)
    watcher.start()
    first.kill()
    try:
        second = until(lambda: said and (now := supervisor.running["sleeper"][1]) is not first and now)
        assert said == ["The sleeper was ended by SIGKILL; it is started again."]
        assert second.poll() is None
    finally:
        supervisor.stopping.set()
        watcher.join()
        supervisor.stop()
    assert second.poll() == -signal.SIGTERM


def test_a_process_that_keeps_ending_stops_everything_with_its_last_words(tmp_path):
    supervisor, said, _ = watched(tmp_path, "print('no such folder'); raise SystemExit(3)")
    with pytest.raises(RuntimeError, match=r"exit code 3 for the 4th time within 60 s: no such folder Everything"):
        supervisor.watch()
    assert len(said) == 3
    supervisor.stop()


def test_what_a_process_prints_does_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "LARGEST_LOG", 1000)
    supervisor, _, service = watched(tmp_path, "print('x' * 5000, flush=True); import time; time.sleep(60)")
    until(lambda: supervisor.log(service).stat().st_size > 1000)
    deadline = time.monotonic() + 60

    def until_small() -> None:
        if supervisor.log(service).stat().st_size == 0 or time.monotonic() > deadline:
            supervisor.stopping.set()

    supervisor.watch(until_small)
    assert supervisor.log(service).stat().st_size == 0
    supervisor.stop()


def test_a_server_that_goes_and_comes_back_is_told_once_each(monkeypatch):
    said: list[str] = []
    reachable = services.Reachable(ADDRESS, said.append)

    def ask() -> None:
        reachable.next = 0.0
        reachable()

    ask()
    ask()
    assert len(said) == 1 and "127.0.0.1:9" in said[0] and SECRET not in said[0]
    monkeypatch.setattr(postgres, "ping", lambda address: None)
    ask()
    ask()
    assert said[1:] == ["PostgreSQL answers again; a run that failed meanwhile can be started again."]
    monkeypatch.undo()
    reachable()
    assert len(said) == 2, "not asked again at once"


def test_a_process_that_ends_before_it_is_ready_is_an_error_at_once(tmp_path):
    supervisor = services.Supervisor(tmp_path, print, threading.Event())
    service = services.Service("sleeper", [sys.executable, "-S", "-c", "print('port taken')"])
    with pytest.raises(RuntimeError, match="The sleeper ended at once: port taken"):
        supervisor.start(service, lambda: False)


def test_what_a_process_leaves_behind_ends_with_it(tmp_path):
    child = (
        "import subprocess, sys, time; sleep = [sys.executable, '-S', '-c', 'import time; time.sleep(60)'];"
        "print(subprocess.Popen(sleep).pid, flush=True); time.sleep(60)"
    )
    supervisor, _, service = watched(tmp_path, child)
    left = int(until(lambda: supervisor.log(service).read_text().strip()))
    supervisor.stop()
    until(lambda: gone(left))


@pytest.mark.skipif(sys.platform != "linux", reason="the signal at a parent's death is Linux's")
def test_a_killed_parent_takes_its_processes_along(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from dagster_project.services import Service, start;"
        "service = Service('x', [sys.executable, '-S', '-c', 'import time; time.sleep(60)']);"
        f"print(start(service, Path({str(tmp_path)!r}) / 'x.log').pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout:
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
        parent.wait()
    until(lambda: gone(child))


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


# with a server


def test_a_run_of_the_command_line_starts_the_server_records_there_and_ends_it(data):
    server = postgres.own(data)
    assert server.create() and not server.create()
    assert server.passfile.stat().st_mode & 0o777 == 0o600
    assert server.folder.stat().st_mode & 0o777 == 0o700
    password = server.passfile.read_text().strip().rpartition(":")[2]
    assert len(password) > 20

    @dg.asset
    def one() -> None: ...

    with services.history(data):
        with pytest.raises(RuntimeError, match=r"does not answer: .*no password"):
            postgres.ping(server.url.replace(str(server.passfile.name), "no-such-file"))
        with services.history(data):  # somebody else's: used as it is, and left running
            pass
        prepare_instance(data)
        with dg.DagsterInstance.get() as instance:
            run = dg.materialize([one], instance=instance).run_id
        assert rows(server.url, "select status from runs where run_id = %s", run) == [("SUCCESS",)]
        held = Path("/proc", (server.cluster / "postmaster.pid").read_text().split()[0], "cmdline").read_bytes()
        assert b"listen_addresses=" in held and password.encode() not in held
    with pytest.raises(RuntimeError, match="does not answer"):
        postgres.ping(server.url)
    assert not (server.cluster / "postmaster.pid").exists(), "ended cleanly"
    for path in [*data.home.rglob("*.yaml"), *data.home.rglob("*.log")]:
        assert password not in path.read_text(), path


def test_a_given_server_is_asked_first_whether_it_can_keep_the_history(data, monkeypatch):
    server = postgres.own(data)
    server.create()
    for statement in (
        f"create role jane login password '{SECRET}'",
        f"create role reader login password '{SECRET}'",
        "create database history owner jane",
        "create database latin owner jane encoding 'LATIN1' template template0",
    ):
        server._as_owner(["postgres", "--single", "-D", str(server.cluster), "postgres"], f"{statement}\n")
    access = server.cluster / "pg_hba.conf"
    access.write_text(access.read_text().replace("local all all peer", "local all all scram-sha-256"))

    def address(user: str, database: str = "history", password: str = SECRET, more: str = "") -> str:
        return f"postgresql://{user}:{password}@/{database}?host={server.folder}{more}"

    def refusal(address: str) -> str:
        with pytest.raises(RuntimeError, match="PostgreSQL at") as error:
            postgres.check_given(address)
        assert SECRET not in str(error.value)
        return str(error.value)

    with services.history(data):
        assert "password authentication failed" in refusal(address("jane", password=f"{SECRET}x"))
        assert "createdb --owner=USER DATABASE" in refusal(address("jane", "none"))
        assert "keeps text as LATIN1" in refusal(address("jane", "latin"))
        assert "lets reader read but not write" in refusal(address("reader"))
        assert "takes no writes" in refusal(address("jane", more="&options=-c%20default_transaction_read_only%3Don"))
        monkeypatch.setenv(postgres.VARIABLE, address("jane"))
        with services.history(data):
            prepare_instance(data)
            with dg.DagsterInstance.get() as instance:
                assert instance.get_runs() == []
        assert "whose history jane began" in refusal(address("reader"))
        assert rows(address("jane"), "select count(*) from runs") == [(0,)]
        granted = "grant select, insert, update, delete on all tables in schema public to reader"
        rows(address("jane"), f"{granted}; commit; select 1")
        postgres.check_given(address("reader"))
        assert SECRET not in (data.home / "dagster.yaml").read_text()


def test_a_run_whose_server_goes_says_so_at_the_prompt_and_to_readers_what_they_see(data, monkeypatch):
    from dagster_postgres.utils import DagsterPostgresException

    monkeypatch.setenv(postgres.VARIABLE, ADDRESS)
    (data.publications / "7").mkdir(parents=True)
    publication.point(data, 7)
    with (
        pytest.raises(
            RuntimeError, match=r"127\.0\.0\.1:9, .* refused\. Nothing was published .* run again\."
        ) as error,
        run._said_plainly(data),
    ):
        raise DagsterPostgresException("too many retries") from OSError("refused")
    assert SECRET not in str(error.value)
    banner = data.refresh_failed.read_text()
    assert "The run history in PostgreSQL could not be written" in banner and "127.0.0.1" not in banner
    with pytest.raises(RuntimeError, match="was published before that"), run._said_plainly(data):
        (data.publications / "8").mkdir()
        publication.point(data, 8)
        raise DagsterPostgresException("too many retries")
    with pytest.raises(ZeroDivisionError), run._said_plainly(data):
        raise ZeroDivisionError


def rows(url: str, query: str, *values: str) -> list[tuple[Any, ...]]:
    import psycopg2

    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()
    finally:
        connection.close()


class Page:
    """What is asked of the web page."""

    port: int

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]


class Command(Page):
    """`pilotcity team` as people start it, ended by SIGTERM."""

    location = serve.LOCATION

    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.port = free_port()
        self.file = paths.data.parent / "printed.txt"
        with self.file.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagster_project.cli", "team", "--port", str(self.port)],
                cwd=ROOT,
                env=os.environ | {"PILOTCITY_DATA": str(paths.data)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def printed(self) -> str:
        return self.file.read_text()

    def over(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


class Quick(Page):
    """The same in a thread of this process and on a location of one asset, which spares several long imports."""

    location = "tests.dagster_project.tiny_team"

    def __init__(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        self.port, self.stopping = free_port(), threading.Event()
        self.said: list[str] = []
        self.code = -1
        monkeypatch.setattr(serve, "LOCATION", self.location)
        monkeypatch.setattr(serve, "say", self.said.append)
        monkeypatch.setattr(serve, "stopping_by_signal", lambda: contextlib.nullcontext(self.stopping))
        self.thread = threading.Thread(target=self.run, args=[paths])
        self.thread.start()

    def run(self, paths: Paths) -> None:
        try:
            self.code = team.main(paths, argparse.Namespace(port=self.port))
        except RuntimeError as error:
            self.said.append(str(error))

    def printed(self) -> str:
        return "\n".join(self.said)

    def over(self) -> bool:
        return not self.thread.is_alive()

    def end(self) -> int:
        self.stopping.set()
        self.thread.join(120)
        return self.code


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def of_folder(folder: Path) -> dict[int, str]:
    """Processes that name a folder in their arguments or have it in their environment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if (
                int(process.name) != os.getpid()
                and str(folder).encode() in command + (process / "environ").read_bytes()
            ):
                found[int(process.name)] = command.replace(b"\0", b" ").decode()
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("start", [Quick, pytest.param(Command, marks=pytest.mark.torture)])
def test_a_run_asked_for_on_the_page_goes_through_daemon_and_code_server_into_postgresql(data, start, monkeypatch):
    began = start(data, monkeypatch)
    try:
        until(lambda: "Ready at" in began.printed() or began.over(), 240)
        assert not began.over(), began.printed()
        about = began.ask(
            "{ version repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } }"
            " instance { info } }"
        )
        assert about["version"] == dg.__version__
        assert about["repositoriesOrError"]["nodes"] == [{"location": {"name": began.location}}]
        assert "PostgresRunStorage" in about["instance"]["info"]
        for foreign in ([("Host", "rebound.example.org")], [("Host", "localhost"), ("Origin", "http://example.org")]):
            for more in ([], list(WEBSOCKET.items())):
                assert request_status(began.port, "/graphql?query={version}", [*foreign, *more]) == 403
        assert request_status(began.port, "/graphql", [("Host", "localhost"), *WEBSOCKET.items()]) == 101
        launched = began.ask(LAUNCH, location=began.location, assets=[POLICIES])["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run, url = launched["run"]["runId"], postgres.own(data).url

        def status() -> str:
            found = rows(url, "select status from runs where run_id = %s", run)[0][0]
            return found if found in ("SUCCESS", "FAILURE", "CANCELED") else ""

        assert until(status, 180) == "SUCCESS"
        kept = "select count(*) from event_logs where run_id = %s and dagster_event_type = 'ASSET_MATERIALIZATION'"
        assert rows(url, kept, run) == [(1,)]
        assert not list(data.home.rglob("*.db")), "nothing of the history is in SQLite"
        password = postgres.own(data).passfile.read_text().strip().rpartition(":")[2]
        running = of_folder(data.data)
        assert len(running) >= 5
        assert password not in str(running)
    finally:
        code = began.end()
    printed = began.printed()
    assert code == 0, printed
    assert printed.splitlines()[-1] == "Everything has ended."
    assert "started again" not in printed
    assert password not in printed
    assert until(lambda: not of_folder(data.data), 10)
    assert not (postgres.own(data).cluster / "postmaster.pid").exists(), "PostgreSQL ended cleanly"

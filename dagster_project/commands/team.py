"""`pilotcity team`: webserver, daemon and code server as processes of their own, with the run history in PostgreSQL."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.paths import Paths, shown

if TYPE_CHECKING:
    from dagster_project.services import Service, Supervisor

HELP = "webserver, daemon and code server with the run history in PostgreSQL; on this machine only"
HOST = "127.0.0.1"
#: The same name as `pilotcity ui` gives it, so that sensors and schedules go on where they were.
LOCATION = "dagster_project.definitions"
UP = "The team's processes are up for this data folder already."
BUSY = "PostgreSQL of this data folder is up for a run; start the team when that is done."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=3000)


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Everything up until Ctrl-C, SIGTERM or a process that keeps ending; then everything down, PostgreSQL last."""
    from dagster_project import postgres
    from dagster_project.resources import exclusive
    from dagster_project.services import Reachable, Supervisor, logs

    postgres.require_driver()
    postgres.socket_fits(code_socket(paths))
    given = postgres.given()
    if given:
        postgres.check_given(given)
    with ExitStack() as stack, stopping_by_signal() as stopping:
        stack.enter_context(exclusive(lock(paths), busy=UP))
        port_is_free(options.port)
        supervisor = Supervisor(logs(paths), say, stopping)
        stack.callback(lambda: say("Everything has ended."))
        stack.callback(supervisor.stop)
        if given:
            say(f"The run history is in PostgreSQL at {postgres.place(given)}.")
        else:
            stack.enter_context(exclusive(postgres.own(paths).lock, busy=BUSY))
            start_postgres(paths, supervisor)
        open_instance(paths)
        for service, ready in services(paths, options.port):
            if not stopping.is_set():
                supervisor.start(service, ready)
                say(f"  {service.name:<17} process {supervisor.running[service.name][1].pid}")
        if not stopping.is_set():
            say(f"Ready at http://{HOST}:{options.port} (Ctrl-C ends it). Output: {shown(logs(paths))}")
        supervisor.watch(Reachable(given, say) if given else lambda: None)
        say(f"Ending: webserver, daemon, code server{'' if given else ', then PostgreSQL'}.")
    return 0


def lock(paths: Paths) -> Path:
    """Held while the team's processes are up."""
    return paths.home / "team.lock"


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def stopping_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, also where a script made the process deaf to Ctrl-C."""
    stopping = threading.Event()
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in caught}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start_postgres(paths: Paths, supervisor: Supervisor) -> None:
    """A server of our own, made at the first start."""
    from dagster_project import postgres
    from dagster_project.services import answers, postgres_service

    server = postgres.own(paths)
    if server.create():
        say(f"A PostgreSQL server of its own was made in {shown(server.folder)}; earlier runs stay in SQLite.")
    user = postgres.owner()
    if user:
        say(f"PostgreSQL refuses to run as root; it runs as user {user.pw_name}.")
    server.wait_for_the_last_one()
    service = postgres_service(server)
    supervisor.start(service, lambda: answers(server.url))
    say(f"  {service.name:<17} process {supervisor.running[service.name][1].pid}, {server.url}")


def open_instance(paths: Paths) -> None:
    """Settings, tables in PostgreSQL, and an end to the runs that died, before three processes look at them."""
    import dagster as dg

    from dagster_project import executor
    from dagster_project.resources import prepare_instance

    prepare_instance(paths)
    os.environ["PILOTCITY_DATA"] = str(paths.data)
    if not paths.is_sample:
        os.environ["PILOTCITY_RAW"] = str(paths.raw)
    workspace(paths).write_text(
        f"load_from:\n- grpc_server: {{socket: {code_socket(paths)}, location_name: {LOCATION}}}\n"
    )
    with dg.DagsterInstance.get() as instance:
        executor.bury_dead_runs(instance)


def services(paths: Paths, port: int) -> list[tuple[Service, Callable[[], bool]]]:
    """The three processes in the order of their start, each with what says that it is ready; no secret in a command."""
    from dagster_project.services import Service

    found = ["-w", str(workspace(paths))]
    code = ["code-server", "start", "-m", LOCATION, "-s", str(code_socket(paths)), "--location-name", LOCATION]
    return [
        (Service("code server", [program("dagster"), *code]), lambda: code_answers(paths)),
        (Service("daemon", [program("dagster-daemon"), "run", *found]), lambda: True),
        (
            Service("webserver", [program("dagster-webserver"), "-h", HOST, "-p", str(port), *found]),
            lambda: page_answers(port),
        ),
    ]


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def workspace(paths: Paths) -> Path:
    """Where webserver and daemon find the code server."""
    return paths.home / "workspace.yaml"


def code_socket(paths: Paths) -> Path:
    """A socket, as whoever reaches a code server may run anything there."""
    return paths.home / "code.sock"


def code_answers(paths: Paths) -> bool:
    """Whether the code server has loaded the definitions."""
    from dagster._grpc.client import DagsterGrpcClient

    if not code_socket(paths).exists():
        return False
    return DagsterGrpcClient(socket=str(code_socket(paths))).health_check_query() == "SERVING"


def page_answers(port: int) -> bool:
    """Whether the webserver serves."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def port_is_free(port: int) -> None:
    """ValueError where something else listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ValueError(f"Port {port} is taken by another program: choose one with --port.") from None

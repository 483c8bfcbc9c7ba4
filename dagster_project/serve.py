"""The web page's processes: webserver, daemon and code server, started in order, watched and ended together.

`pilotcity ui` keeps the run history in SQLite, `pilotcity team` in PostgreSQL. How a process is watched stands in
services, who may ask the page in web_page.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project import state
from dagster_project.paths import Paths, shown

if TYPE_CHECKING:
    from dagster_project.services import Service, Supervisor

HOST = "127.0.0.1"
#: One name for ever, so that sensors and schedules go on where they were.
LOCATION = "dagster_project.definitions"
UP = "The web page's processes are up for this data folder already."

#: Starts what keeps the run history, if that is a process too, and returns what is to be watched beside the processes.
History = Callable[["Supervisor", ExitStack], Callable[[], None]]


def serve(paths: Paths, port: int, history: History) -> int:
    """Everything up until Ctrl-C, SIGTERM or a process that keeps ending; then all down, the last one first."""
    from dagster_project.resources import exclusive
    from dagster_project.services import Supervisor, logs

    with ExitStack() as stack, stopping_by_signal() as stopping:
        stack.enter_context(exclusive(lock(paths), busy=UP))
        port_is_free(port)
        supervisor = Supervisor(logs(paths), say, stopping)
        stack.callback(lambda: say("Everything has ended."))
        stack.callback(supervisor.stop)
        watched = history(supervisor, stack)
        open_instance(paths)
        for service, ready in services(paths, port):
            if not stopping.is_set():
                supervisor.start(service, ready)
                say(f"  {service.name:<17} process {supervisor.running[service.name][1].pid}")
        if not stopping.is_set():
            page = f"http://{HOST}:{port}"
            say(f"Ready at {page} (Ctrl-C ends it). Output: {shown(logs(paths))}")
            say(f"Look first at {page}/asset-groups, the way from files to the publication from left to right;")
            say(f"  then at {page}/assets/publication/changes, what the last run changed, and {page}/runs.")
        supervisor.watch(watched)
        say(f"Ending: {', '.join(reversed(supervisor.running))}.")
    return 0


def lock(paths: Paths) -> Path:
    """Held while the processes are up."""
    return paths.home / "team.lock"


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def stopping_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and, without nohup, a closed terminal set, whatever the parent ignores."""
    stopping = threading.Event()
    caught = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        caught.add(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in caught}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_instance(paths: Paths) -> None:
    """Settings, tables of the history, and an end to the runs that died, before three processes look at them."""
    import dagster as dg

    from dagster_project import executor
    from dagster_project.resources import prepare_instance

    prepare_instance(paths)
    os.environ["PILOTCITY_DATA"] = str(paths.data)
    if not paths.is_sample:
        os.environ["PILOTCITY_RAW"] = str(paths.raw)
    state.write(
        workspace(paths),
        f"load_from:\n- grpc_server: {{socket: {json.dumps(str(code_socket(paths)))}, location_name: {LOCATION}}}\n",
    )
    with dg.DagsterInstance.get() as instance:
        executor.bury_dead_runs(instance)


def services(paths: Paths, port: int) -> list[tuple[Service, Callable[[], bool]]]:
    """The three processes in the order of their start, each with what says that it is ready; no secret in a command."""
    from dagster_project.services import Service

    found = ["-w", str(workspace(paths))]
    code = ["code-server", "start", "-m", LOCATION, "-s", str(code_socket(paths)), "--location-name", LOCATION]
    page = [sys.executable, "-m", "dagster_project.web_page", "-h", HOST, "-p", str(port)]
    return [
        (Service("code server", [program("dagster"), *code]), lambda: code_answers(paths)),
        (Service("daemon", [program("dagster-daemon"), "run", *found]), lambda: True),
        (Service("webserver", [*page, *found]), lambda: page_answers(port)),
    ]


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def workspace(paths: Paths) -> Path:
    """Where webserver and daemon find the code server."""
    return paths.home / "workspace.yaml"


def code_socket(paths: Paths) -> Path:
    """A socket that only its owner reaches, as whoever reaches a code server may run anything there.

    It lies in DAGSTER_HOME, or in a folder of its own among temporary files where that path is too long for a socket.
    """
    from dagster_project.postgres import LONGEST_SOCKET

    inside = paths.home / "code.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET:
        return inside
    name = hashlib.sha256(os.fsencode(paths.home)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"pilotcity-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder} belongs to somebody else: remove it, or choose a shorter PILOTCITY_DATA.")
    return folder / "code.sock"


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

"""Child processes that are watched and end with the process that started them; commands/team says which there are."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster_project import postgres, signals
from dagster_project.paths import ROOT, Paths

#: Seconds that a process gets to end by itself before it is killed.
PATIENCE = 30.0
#: Bytes of a process's output that are kept; what grows past them is begun anew.
LARGEST_LOG = 20_000_000
#: A process that ended this often within so many seconds is not started again.
TOO_OFTEN, WITHIN = 3, 60.0


@dataclass(frozen=True)
class Service:
    """One process: its name for people, its command, the signal that ends it cleanly, and whose it is if not ours."""

    name: str
    command: Sequence[str]
    stop: signal.Signals = signal.SIGTERM
    user: pwd.struct_passwd | None = None


def start(service: Service, log: Path) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, its output in a file; on Linux it ends when this process does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(service.command),
            **postgres.as_user(service.user),
            cwd="/" if service.user else ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=signals.in_child(service.stop),
        )


def end(service: Service, process: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """End a service, and whatever it leaves behind in its session."""
    if process.poll() is None:
        process.send_signal(service.stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Supervisor:
    """Starts services in order, starts one again that ends, and ends all in the order turned round.

    ``say`` gets a sentence for the person at the terminal; what a service prints is in ``logs``.
    """

    def __init__(self, logs: Path, say: Callable[[str], None], stopping: threading.Event) -> None:
        self.logs, self.say, self.stopping = logs, say, stopping
        self.running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}
        self.ended: dict[str, list[float]] = {}

    def log(self, service: Service) -> Path:
        return self.logs / f"{service.name.replace(' ', '_')}.log"

    def start(self, service: Service, ready: Callable[[], bool], patience: float = 180.0) -> None:
        """Start a service and wait until it is ready; RuntimeError where it ends instead, or takes too long."""
        self.log(service).unlink(missing_ok=True)
        self.running[service.name] = service, start(service, self.log(service))
        deadline = time.monotonic() + patience
        while not self.stopping.is_set() and not ready():
            if self.running[service.name][1].poll() is not None:
                raise RuntimeError(f"The {service.name} ended at once: {self.last_words(service)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"The {service.name} is not ready after {patience:.0f} s; see {self.log(service)}.")
            self.stopping.wait(0.2)

    def watch(self, also: Callable[[], None] = lambda: None) -> None:
        """Until told to stop: start again what ends; RuntimeError where something ends again and again.

        ``also`` is called a few times a second, for what else is to be watched.
        """
        while not self.stopping.wait(0.3):
            also()
            for service, process in list(self.running.values()):
                if process.poll() is not None:
                    self._again(service, process)
                elif self.log(service).stat().st_size > LARGEST_LOG:
                    os.truncate(self.log(service), 0)

    def _again(self, service: Service, process: subprocess.Popen[bytes]) -> None:
        end(service, process)
        now = time.monotonic()
        recent = [moment for moment in self.ended.get(service.name, []) if now - moment < WITHIN]
        self.ended[service.name] = [*recent, now]
        code = process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if len(self.ended[service.name]) > TOO_OFTEN:
            raise RuntimeError(
                f"The {service.name} {how} for the {len(self.ended[service.name])}th time within {WITHIN:.0f} s: "
                f"{self.last_words(service)} Everything is stopped; its output is in {self.log(service)}."
            )
        self.say(f"The {service.name} {how}; it is started again.")
        self.running[service.name] = service, start(service, self.log(service))

    def last_words(self, service: Service) -> str:
        lines = self.log(service).read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing."

    def stop(self) -> None:
        """End every service, the last one started first."""
        for service, process in reversed(self.running.values()):
            end(service, process)
        self.running.clear()


class Reachable:
    """Says once that PostgreSQL does not answer any more, and once that it does again; asks every ten seconds."""

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self.address, self.say = address, say
        self.lost = False
        self.next = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self.next:
            return
        try:
            postgres.ping(self.address)
        except RuntimeError as error:
            if not self.lost:
                self.say(
                    f"{error} A run that goes on fails; readers keep the publication. It is asked again and again."
                )
            self.lost = True
        else:
            if self.lost:
                self.say("PostgreSQL answers again; a run that failed meanwhile can be started again.")
            self.lost = False
        self.next = time.monotonic() + 10


def postgres_service(server: postgres.Server) -> Service:
    """PostgreSQL; SIGINT ends it without waiting for its clients to go, and without losing what they wrote."""
    return Service("PostgreSQL server", server.command(), signal.SIGINT, postgres.owner())


def answers(address: str) -> bool:
    """Whether PostgreSQL takes connections."""
    try:
        postgres.ping(address)
    except RuntimeError:
        return False
    return True


@contextmanager
def history(paths: Paths) -> Iterator[None]:
    """The run history can be written while this lasts: a PostgreSQL of our own is started unless it is up."""
    server = postgres.own(paths)
    address = postgres.chosen(paths)
    if address is None:
        yield
        return
    from dagster_project.resources import exclusive

    postgres.require_driver()
    if postgres.given():
        postgres.check_given(address)
        yield
        return
    with ExitStack() as stack:
        supervisor = Supervisor(logs(paths), print, threading.Event())
        try:
            stack.enter_context(exclusive(server.lock, busy="somebody else started it"))
        except RuntimeError:
            wait_for(address)
        else:
            stack.callback(supervisor.stop)
            server.wait_for_the_last_one()
            supervisor.start(postgres_service(server), lambda: answers(address))
        yield


def wait_for(address: str, patience: float = 60.0) -> None:
    """Wait until PostgreSQL answers; RuntimeError with its reason where it does not."""
    deadline = time.monotonic() + patience
    while not answers(address) and time.monotonic() < deadline:
        time.sleep(0.3)
    postgres.ping(address)


def logs(paths: Paths) -> Path:
    """What each process last printed."""
    return paths.home / "processes"

"""A second process that computes exhibits, or asks for second opinions, from the end of a run's list, while the run
itself begins at its start.

Each of them is computed by one of the two. What the second process cannot compute, or leaves undone as it dies, the run
computes itself, so that a fault is told where it always was. On Linux it dies with the run, however that ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from dagster_project import signals
from dagster_project.paths import ROOT, Paths

#: A study and one of its exhibits.
Exhibit = tuple[str, str]
#: To start a process is worth while for so many exhibits that are not kept.
WORTH_WHILE = 6


class SecondProcess:
    """Computes ``exhibits`` from the last on; ``mine`` says of each whether it is left to the caller.

    ``work`` is what is made of each: "exhibits", or the "agreement" of other engines with them.
    """

    def __init__(
        self, paths: Paths, candidate: Path, exhibits: Sequence[Exhibit], afresh: bool, work: str = "exhibits"
    ) -> None:
        self._left = list(exhibits)
        self._taken: dict[Exhibit, threading.Event] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dagster_project.side_by_side"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=signals.in_child(signal.SIGKILL),
        )
        told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(paths).items()}
        self._say({"paths": told, "candidate": str(candidate), "afresh": afresh, "work": work})
        threading.Thread(target=self._feed, name="second process", daemon=True).start()

    def mine(self, exhibit: Exhibit) -> bool:
        """Whether the caller computes an exhibit; where the second process does, it is waited for."""
        with self._lock:
            if exhibit in self._left:
                self._left.remove(exhibit)
                return True
        taken = self._taken.get(exhibit)
        if taken is None:
            return True
        taken.wait()
        return False

    def end(self) -> None:
        """End the process, whatever it is at."""
        with self._lock:
            self._left.clear()
        self._process.kill()
        self._process.wait()

    def _say(self, said: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(said) + "\n")
            self._process.stdin.flush()

    def _feed(self) -> None:
        assert self._process.stdout
        while True:
            with self._lock:
                if not self._left:
                    break
                exhibit = self._left.pop()
                done = self._taken[exhibit] = threading.Event()
            self._say(exhibit)
            answer = self._process.stdout.readline()
            done.set()
            if not answer:  # it has died
                with self._lock:
                    self._left.clear()
        with suppress(BrokenPipeError, ValueError):
            assert self._process.stdin
            self._process.stdin.close()


_of_run: dict[str, SecondProcess | None] = {}


def of_run(run: str, begin: Callable[[], SecondProcess | None]) -> SecondProcess | None:
    """The second process of a run, begun when it is first asked for; None where it is not worth while."""
    if run not in _of_run:
        _of_run[run] = begin()
    return _of_run[run]


def end(run: str) -> None:
    """A run is over: nothing may go on computing for it."""
    second = _of_run.pop(run, None)
    if second:
        second.end()


def main() -> None:
    """Compute what each line of the standard input names, and answer with a line each."""
    signals.begin_child()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from dagster_project import agreement, exhibits, overlay
    from dagster_project.store import Store

    about = json.loads(sys.stdin.readline())
    told = about["paths"]
    paths = Paths(
        Path(told["data"]), Path(told["raw"]), told["is_sample"], Path(told["own"]), studies=tuple(told["studies"])
    )
    store = Store(paths, about["afresh"])
    candidate, studies = Path(about["candidate"]), {study.name: study for study in overlay.studies(paths)}

    @cache
    def questions(study: str) -> dict[str, agreement.Question]:
        return {question.name: question for question in agreement.questions(paths, candidate, studies[study])}

    for line in sys.stdin:
        study, name = json.loads(line)
        try:
            if about["work"] == "agreement":
                agreement.answer(paths, questions(study)[name])
            else:
                store.keep(exhibits.computation(paths, candidate, studies[study], name))
        except Exception:  # the run computes it again and says what is wrong
            print("left", file=answers, flush=True)
        else:
            print("made", file=answers, flush=True)


if __name__ == "__main__":
    main()

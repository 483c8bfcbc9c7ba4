"""What long work shows: a line a finished step, what goes on and how much is left, never silence for ten seconds.

A terminal gets colours and one line that moves; a file, a pipe or CI gets plain lines. What is run is decided by the
command that shows it.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from dagster_project import state

#: Seconds without a line before it is said what goes on: the first time, and from then on.
FIRST, SILENCE = 4.0, 8.0
#: Seconds of steps on the sample world, by the end of their name, for the first run of a folder; any other takes two.
USUAL = {
    "raw__sample_world": 25.0,
    "raw__patent_records": 5.0,
    "raw__city_yearbook": 5.0,
    "dbt_models": 25.0,
    "dbt_study_panels": 5.0,
    "_honest": 8.0,
    "_estimators": 5.0,
    "__audit": 8.0,
    "__ulgue": 5.0,
    "report__data_docs": 4.0,
    "report__site": 8.0,
    "publication__published": 4.0,
}
OTHER = 2.0
#: Seconds of finished steps from which they say how fast this run is.
ENOUGH = 10.0
#: Where the seconds of the latest run's steps are kept, below the run history's folder.
REMEMBERED = "seconds.json"
#: A step's message that it takes up a file, as the readers of raw files write it.
_READING = re.compile(r"^reading (.+?)(?:, [\d,]+ of ([\d,]+) files)?$")
_OF_DBT = re.compile(r"^(\d+) of (\d+) (?!START)\S+ .*?(\S+) \.*\s*\[")
_STYLES = {"good": "bold green", "bad": "bold red", "warning": "yellow", "quiet": "dim", "": ""}


class Screen:
    """Lines that stay, and one that says what goes on; everything printed within passes through here.

    Parameters
    ----------
    verbose
        Show also what is only detail: dbt's own lines, the files of a step.
    aside
        Write to standard error and leave standard output to the command's answer, which another program may read.
    """

    def __init__(self, *, verbose: bool = False, aside: bool = False) -> None:
        self.verbose, self._aside = verbose, aside
        self._stream = sys.stderr if aside else sys.stdout
        self._live: Any = None
        self._what, self._left = "", ""
        self._since = self._said = self._begun = time.monotonic()
        self._wait = FIRST
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open = contextlib.ExitStack()
        #: What becomes of a line that something else prints.
        self.take: Callable[[str], None] = self.say

    def __enter__(self) -> Screen:
        if self._stream.isatty():
            self._live = self._moving_line()
        if not self._aside:
            lines: Any = _Lines(self)
            self._open.enter_context(contextlib.redirect_stdout(lines))
        if self._live is None:
            watch = threading.Thread(target=self._watch, name="progress", daemon=True)
            watch.start()
            self._open.callback(watch.join)
        self._open.callback(self._ended.set)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def say(self, text: str, style: str = "") -> None:
        """Print a line that stays; styles are good, bad, warning and quiet."""
        with self._lock:
            self._print(text, style)
            self._wait = SILENCE

    def detail(self, text: str) -> None:
        """What only a verbose run prints, and any run shows while it lasts."""
        if self.verbose:
            self.say(f"          {text}", "quiet")

    def doing(self, what: str, left: str = "") -> None:
        """Say what goes on from now, as it is shown when nothing else is; ``left`` is what remains after it."""
        if what != self._what:
            self._since = time.monotonic()
        self._what, self._left = what, left

    def part(self, what: str, number: int, of: int) -> None:
        """Say that ``what`` goes on from now, with ``number`` of ``of`` parts done, and how long the rest takes."""
        now = time.monotonic()
        if not number:
            self._begun = now
        left = f", about {duration((now - self._begun) * (of / number - 1))} left" if number else ""
        self.doing(what, f"{number} of {of} done{left}")

    def _print(self, text: str, style: str) -> None:
        self._said = time.monotonic()
        if self._live is None:
            print(text, file=self._stream, flush=True)
            return
        from rich.text import Text

        self._live.console.print(Text(text, style=_STYLES[style]), soft_wrap=True)

    def _now(self) -> str:
        seconds = f"{time.monotonic() - self._since:.0f} s"
        return ", ".join(part for part in (f"{self._what} ({seconds})", self._left) if part)

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            with self._lock:
                if self._what and time.monotonic() - self._said >= self._wait:
                    self._print(f"          … {self._now()}", "quiet")
                    self._wait = SILENCE

    def _moving_line(self) -> Any:
        """The terminal's last line, drawn anew four times a second; None where the terminal cannot do that."""
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        console = Console(file=self._stream, highlight=False)
        if not console.is_terminal or console.is_dumb_terminal:
            return None
        spinner = Spinner("dots")

        def drawn() -> Any:
            text = Text(self._now() if self._what else "", style="cyan", no_wrap=True, overflow="ellipsis")
            spinner.update(text=text)
            return spinner if self._what else Text("")

        live = Live(get_renderable=drawn, console=console, transient=True, redirect_stdout=False)
        return self._open.enter_context(live)


class _Lines(io.TextIOBase):
    """Standard output while a screen is open: whole lines go to the screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self._rest = screen, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._screen.take(line)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._screen._stream.fileno()


class Progress:
    """A listener to Dagster's events that shows each finished step, collects what failed and warns, and estimates.

    Parameters
    ----------
    steps
        Keys of the steps that the run has.
    memory
        Folder that keeps the seconds of the latest run, or None.
    """

    def __init__(self, screen: Screen, steps: Collection[str], memory: Path | None = None) -> None:
        self.screen, self.steps, self.done, self.success = screen, len(steps), 0, False
        self.stopped = False
        self.failures: list[str] = []
        self.warnings: list[str] = []
        self.since: dict[str, float] = {}
        self.part: dict[str, str] = {}
        self._read: dict[str, str] = {}
        self._left = dict.fromkeys(steps, 0.0)
        self._memory = memory / REMEMBERED if memory else None
        remembered = state.read_json(self._memory) if self._memory else {}
        self._expected = _expected(steps, remembered)
        self._took: dict[str, float] = {}
        screen.take = self._line

    def __call__(self, entry: Any) -> None:
        event = entry.dagster_event
        if event is None:
            self._message(entry)
            return
        name, step = event.event_type_value, event.step_key
        if name == "STEP_START":
            self.since[step] = time.monotonic()
        elif name in ("STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED"):
            self._finished(name, event)
        elif name == "ASSET_CHECK_EVALUATION":
            check = event.event_specific_data
            if not check.passed:
                text = f"{'/'.join(check.asset_key.path)}, {check.check_name}: {check.description or 'does not hold'}"
                (self.failures if check.severity.value == "ERROR" else self.warnings).append(text)
        self._show()

    def remember(self) -> None:
        """Keep how long each step took for the estimate of the next run."""
        if self._memory and self._memory.parent.is_dir():
            kept = {**state.read_json(self._memory), **{step: round(took, 2) for step, took in self._took.items()}}
            state.write_json(self._memory, kept)

    def left(self) -> float:
        """Seconds that the remaining steps take, as far as earlier runs or the sample world tell."""
        now = time.monotonic()
        spent = {step: now - self.since[step] for step in self._left if step in self.since}
        return self._pace() * sum(max(self._expected[step] - spent.get(step, 0.0), 0.0) for step in self._left)

    def _pace(self) -> float:
        """How much slower or faster this run is than what was expected of the steps that it has done."""
        expected = sum(self._expected[step] for step in self._took)
        return min(max(sum(self._took.values()) / expected, 0.3), 20.0) if expected > ENOUGH else 1.0

    def _finished(self, name: str, event: Any) -> None:
        step = event.step_key
        seconds = time.monotonic() - self.since.get(step, time.monotonic())
        self.done += 1
        self._left.pop(step, None)
        self.part.pop(step, None)
        if name == "STEP_SUCCESS":
            self._took[step] = seconds
        verdict, style = {
            "STEP_SUCCESS": ("", ""),
            "STEP_FAILURE": ("  FAILED", "bad"),
            "STEP_SKIPPED": ("  skipped", "quiet"),
        }[name]
        told = f"  {self._read.pop(step)}" if step in self._read else ""
        self.screen.say(f"  [{self.done:>3}/{self.steps}] {step:<52} {seconds:6.1f} s{told}{verdict}", style)
        if name == "STEP_FAILURE":
            error = event.event_specific_data.error
            cause = (error.cause or error) if error else None
            self.stopped |= cause is not None and cause.cls_name == "DagsterExecutionInterruptedError"
            self.failures.append(f"{step}: {cause.message.strip() if cause else 'unknown error'}")

    def _message(self, entry: Any) -> None:
        """What a step says of itself: that a raw file is read is told at its end, all is shown while the step lasts."""
        step = entry.step_key or ""
        if not 20 <= entry.level < 40 or not entry.user_message or "\n" in entry.user_message:
            return
        found = _READING.match(entry.user_message)
        if found:
            self._read[step] = f"read {f'{found[2]} files' if found[2] else found[1]}"
        if step in self._left and not step.startswith("dbt_"):
            self.part[step] = entry.user_message
            self.screen.detail(entry.user_message)
        self._show()

    def _line(self, text: str) -> None:
        """A line that something printed: within a step of dbt's it is dbt's."""
        step = next((step for step in self._left if step in self.since and step.startswith("dbt_")), "")
        if not step:
            self.screen.say(text)
            return
        found = _OF_DBT.search(text)
        if found:
            self.part[step] = f"{found[1]} of {found[2]} models and checks"
            self._show()
        self.screen.detail(text)

    def _show(self) -> None:
        running = [step for step in self._left if step in self.since]
        if not running:
            self.screen.doing("between two steps", self._rest())
            return
        step = running[-1]
        self.screen.doing(step + (f": {self.part[step]}" if step in self.part else ""), self._rest())

    def _rest(self) -> str:
        return f"{self.done} of {self.steps} steps done, about {duration(self.left())} left"


def _expected(steps: Collection[str], remembered: Mapping[str, Any]) -> dict[str, float]:
    """Seconds a step: of the latest run, else on the sample world."""
    known = {step: took for step, took in remembered.items() if isinstance(took, int | float)}
    return {step: float(known.get(step, _usual(step))) for step in steps}


def _usual(step: str) -> float:
    return next((seconds for ending, seconds in USUAL.items() if step.endswith(ending)), OTHER)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 12 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

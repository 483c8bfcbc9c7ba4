"""One table of every benchmark, with peak memory, and a history that flags a ratio that has become worse.

A benchmark calls ``measured(name, ours, against, theirs)``, both in processor seconds of the same session, so that no
verdict moves with what else the machine does (see processor). ``against`` is a peer, or a yardstick times a limit or
target. The ratio is theirs to ours: how many times faster than the peer, or how far below the limit. history.csv holds
one row a name and session; `make benchmark` adds to it, so it is committed with the change that moved it.
"""

from __future__ import annotations

import csv
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest

HISTORY = Path(__file__).with_name("history.csv")
#: A ratio this far below the usual one is flagged.
WORSE = 0.8
#: The usual ratio is the median of so many last ones: a single slow session does not move it, and slow decay shows.
USUAL = 5


@dataclass(frozen=True)
class Figure:
    """One line of the table: processor seconds, ratio (theirs to ours) and peak memory in megabytes."""

    date: str
    commit: str
    machine: str
    name: str
    ours: float
    against: str
    theirs: float
    ratio: float
    memory: float


FIGURES = pytest.StashKey[list[Figure]]()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Records a figure; its peak memory is that of the test, or of a child where ``memory`` says so."""
    _forget_peak()

    def record(name: str, ours: float, against: str, theirs: float, *, memory: float | None = None) -> None:
        stash = request.config.stash
        figures = stash.setdefault(FIGURES, [])
        peak = _peak() if memory is None else memory
        today = datetime.date.today().isoformat()
        figures.append(Figure(today, _commit(), _machine(), name, ours, against, theirs, theirs / ours, peak))

    yield record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, and the rows added to the history."""
    figures = config.stash.get(FIGURES, [])
    if not figures:
        return
    usual = _usual()
    terminalreporter.section("benchmarks")
    head = f"{'':<52} {'ours':>9} {'against':>26} {'theirs':>9} {'ratio':>7} {'memory':>8}"
    terminalreporter.write_line(head)
    for figure in figures:
        before = usual.get((figure.machine, figure.name, figure.against))
        flag = f"  WORSE: was {before:.3g}" if before and figure.ratio < WORSE * before else ""
        terminalreporter.write_line(
            f"{figure.name:<52} {figure.ours:>7.3g} s {figure.against:>26} {figure.theirs:>7.3g} s"
            f" {figure.ratio:>7.3g} {figure.memory:>5.0f} MB{flag}"
        )
    if not config.getoption("collectonly") and os.environ.get("PILOTCITY_BENCHMARK_HISTORY", "1") != "0":
        _append(figures)
        terminalreporter.write_line(f"added to {HISTORY.name}")


def _append(figures: list[Figure]) -> None:
    fresh = not HISTORY.exists()
    with HISTORY.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Figure)], lineterminator="\n")
        if fresh:
            writer.writeheader()
        for figure in figures:
            row = asdict(figure)
            writer.writerow(row | {key: f"{row[key]:.4g}" for key in ("ours", "theirs", "ratio", "memory")})


def _usual() -> dict[tuple[str, str, str], float]:
    """Machine, name and peer -> the usual ratio there; another machine's ratio would compare processors."""
    if not HISTORY.exists():
        return {}
    found: dict[tuple[str, str, str], list[float]] = {}
    with HISTORY.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault((row["machine"], row["name"], row["against"]), []).append(float(row["ratio"]))
    return {which: statistics.median(ratios[-USUAL:]) for which, ratios in found.items()}


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HISTORY.parent)
    return found.stdout.strip()


def _machine() -> str:
    """Processor and cores, enough to tell whether two figures can be compared."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.*)", info.read_text()) if info.exists() else None
    name = model[1].strip() if model else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {sys.version_info[0]}.{sys.version_info[1]}"


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> float:
    """Peak resident memory of this process in megabytes since it was last forgotten."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

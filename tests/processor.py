"""Processor seconds of this process or of a command, with all that they start: other work on the machine hardly moves
them. Beside them yardsticks: fixed pieces of work of one kind, measured in the same session.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dagster_project.paths import ROOT

#: Tables, arrays and text as a run handles them: DuckDB, pandas, BLAS, and Python itself.
MIXED = """
import duckdb, numpy, pandas
table = duckdb.sql(
    "select i % 3000 as city, i // 3000 as year, hash(i) % 1000 as x, 'text ' || i % 977 as words "
    "from range(3000000) as numbers(i)"
).df()
duckdb.sql("select city, words, sum(x), count(*) from table group by all order by all").df()
wide = table.pivot_table(index="city", columns="year", values="x", aggfunc="sum")
square = wide.to_numpy(float)[:800, :800]
for _ in range(10):
    numpy.linalg.svd(square)
sum(len("\\t".join(str(value) for value in row)) for row in table[:300000].itertuples())
"""


@dataclass(frozen=True)
class Ran:
    """A command that has ended: what it printed, processor seconds of its tree, megabytes of its largest process."""

    out: str
    seconds: float
    memory: float


def seconds_so_far() -> float:
    """Processor seconds of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def spent(work: Callable[[], object], repeats: int = 3) -> float:
    """The least of several runs, after one to warm up where there are several."""
    if repeats > 1:
        work()
    found = []
    for _ in range(repeats):
        before = seconds_so_far()
        work()
        found.append(seconds_so_far() - before)
    return min(found)


def ran(command: list[str], environment: Mapping[str, str], given: str = "") -> Ran:
    """Run a command to its end, which must be a good one; what it says goes into the error otherwise."""
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        assert process.stdin and process.stdout
        process.stdin.write(given)
        process.stdin.close()
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, out + said.read()
    return Ran(out, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def program(text: str, repeats: int = 3) -> float:
    """Processor seconds of a fresh interpreter; the least of several, as the first may compile."""
    environment = {**os.environ, "PILOTCITY_OWN": "no own folder", "PYTHONPATH": str(ROOT)}
    return min(ran([sys.executable, "-c", text], environment).seconds for _ in range(repeats))


def eigenvalues(size: int, repeats: int = 3) -> float:
    """All eigenvalues of a symmetric matrix, by LAPACK."""
    drawn = np.random.default_rng(0).normal(size=(size, size))
    return spent(lambda: np.linalg.eigvalsh(drawn + drawn.T), repeats)

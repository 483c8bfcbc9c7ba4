"""A whole run on the sample world, cold, warm and unchanged, and the layers inside it, each beside its limit.

Wall clock: a run is several processes. The peer of the readers is DuckDB reading the same files as text.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from dagster_project.paths import ROOT

#: Layer -> the steps of a run that belong to it, and seconds they may take on two cores.
LAYERS = {
    "expectations and their pages": (r"expectations_.*|report__data_docs", 20),
    "dbt, models and tests": (r"dbt_.*", 60),
    "efficiency scores": (r"scores__.*", 20),
    "tables and figures": (r"(innovative_clusters|ai_pilot_zones|low_carbon_cities)__.*", 60),
    "site": (r"report__site", 30),
}
STEP = re.compile(r"^ *\[ *\d+/\d+\] (\S+) +([\d.]+) s", re.MULTILINE)


def run(data: Path, *arguments: str) -> tuple[float, str, float]:
    """Seconds, output and peak memory (megabytes, of the largest process) of a run."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PILOTCITY_", "DAGSTER_"))}
    command = [sys.executable, "-m", "dagster_project.cli", "run", *arguments]
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=kept | {"PILOTCITY_DATA": str(data), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, out
    return time.monotonic() - started, out, usage.ru_maxrss / 1024


def bare_read(raw: Path) -> float:
    """Seconds DuckDB takes to read every cell of the record files as text."""
    started = time.monotonic()
    with duckdb.connect(config={"threads": 2}) as connection:
        for source in ("patents", "cases"):
            pattern = str(raw / source / "*.csv")
            connection.execute(
                f"create table {source} as from read_csv(?, all_varchar=true, union_by_name=true)", [pattern]
            )
    return time.monotonic() - started


@pytest.fixture(scope="module")
def cold(tmp_path_factory):
    """A data folder after its first run, and what that took."""
    data = tmp_path_factory.mktemp("installation")
    yield data, *run(data)
    shutil.rmtree(data, ignore_errors=True)


def steps(out: str) -> dict[str, float]:
    return {name: float(seconds) for name, seconds in STEP.findall(out)}


@pytest.mark.benchmark
def test_the_first_run_reads_records_within_five_times_a_bare_read(cold, measured):
    data, seconds, out, memory = cold
    measured("whole run, cold, sample world written too", seconds, "limit", 240, memory=memory)
    ours = steps(out)["raw__patent_records"] + steps(out)["raw__court_cases"]
    theirs = bare_read(data / "sample")
    measured("reading patents and cases", ours, "DuckDB, text only", theirs, memory=memory)
    assert seconds < 240
    assert ours < 5 * theirs


@pytest.mark.benchmark
def test_the_next_run_and_its_layers_keep_their_limits(cold, measured):
    data = cold[0]
    warm, out, memory = run(data, "--force")
    measured("whole run, warm, forced", warm, "limit", 180, memory=memory)
    spent = {
        layer: sum(seconds for name, seconds in steps(out).items() if re.fullmatch(pattern, name))
        for layer, (pattern, _) in LAYERS.items()
    }
    # every line of the table first: a limit that is broken hides no other
    for layer, (_, limit) in LAYERS.items():
        measured(layer, spent[layer], "limit", limit, memory=memory)
    unchanged, said, memory = run(data)
    measured("run with nothing changed", unchanged, "limit", 15, memory=memory)
    assert said.startswith("Nothing has changed")
    assert {layer: seconds for layer, seconds in spent.items() if not 0 < seconds < LAYERS[layer][1]} == {}
    assert warm < 180
    assert unchanged < 15

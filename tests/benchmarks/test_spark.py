"""Patents judged on Spark and on DuckDB: the same records, the same SQL, equal tables; processor seconds and memory.

PILOTCITY_BENCHMARK_PATENTS sets the number of records (1 million here), PILOTCITY_SPARK_MASTER where Spark runs,
PILOTCITY_MEMORY what either engine may take. Spark's memory is that of every process on this machine that the run
starts, the Java machine first of all; what workers of a cluster take is not in it.
"""

from __future__ import annotations

import json
import os
import sys

import duckdb
import pytest
from national import nation, write_patents
from processor import ran

from dagster_project import spark

RECORDS = int(os.environ.get("PILOTCITY_BENCHMARK_PATENTS", "1000000"))
MODEL = "stg_patents"

#: Judges the patents as a run does, and looks at what the processes below it take, five times a second.
ON_SPARK = f"""
import json, sys, threading, time
from pathlib import Path
from analysis import catalogue
from dagster_project import spark
from dagster_project.dbt_runs import dbt_project
from dagster_project.paths import Paths
from dagster_project.resources import warehouse

peak, used, page = 0, 0.0, 4096

def look():
    global peak, used
    while True:
        parent, taken, worked = {{}}, {{}}, {{}}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            number = int(path.parent.name)
            parent[number], taken[number] = int(fields[1]), int(fields[21]) * page
            worked[number] = sum(int(ticks) for ticks in fields[11:15]) / os.sysconf('SC_CLK_TCK')
        mine = {{number for number in parent if is_mine(number, parent)}}
        peak = max(peak, sum(taken[number] for number in mine))
        used = max(used, sum(worked[number] for number in mine))
        time.sleep(0.2)

def is_mine(number, parent):
    while number in parent and number != me:
        number = parent[number]
    return number == me

import os
me = os.getpid()
paths = Paths.from_environment()
manifest = json.loads(dbt_project(paths, catalogue.load(), []).manifest_path.read_text(encoding="utf-8"))
threading.Thread(target=look, daemon=True).start()
started = time.perf_counter()
say = lambda line: print(f"{{time.perf_counter() - started:7.1f}} s  {{line}}", file=sys.stderr)
spark.run(paths, lambda: warehouse(paths), manifest, ["{MODEL}"], say)
print(json.dumps({{"seconds": time.perf_counter() - started, "memory": peak / 1e6, "processor": used}}))
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The raw files of every year, read, and a warehouse with the reference tables."""
    try:
        spark.require()
    except RuntimeError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("national")
    write_patents(folder / "raw" / "patents", RECORDS)
    made = nation(folder)
    made.read("patent_records")
    return made


@pytest.mark.benchmark
def test_spark_and_duckdb_judge_a_nations_patents_alike(records, measured):
    on_duckdb = records.dbt(MODEL)
    with duckdb.connect(str(records.paths.warehouse)) as connection:
        connection.execute(f"create table staging.before as from staging.{MODEL}")
    passed_on = {key: os.environ[key] for key in ("PILOTCITY_SPARK_MASTER",) if key in os.environ}
    whole = json.loads(ran([sys.executable, "-c", ON_SPARK], {**records.environment, **passed_on}).out.splitlines()[-1])

    rows, differing = records.query(
        f"select (select count(*) from staging.{MODEL}), (select count(*) from "
        f"((from staging.{MODEL} except all from staging.before) union all "
        f"(from staging.before except all from staging.{MODEL})))"
    ).iloc[0]
    print(
        f"{RECORDS:,} patents: DuckDB {on_duckdb.seconds:.1f} s ({on_duckdb.memory:.0f} MB), Spark with its start and "
        f"the way back {whole['processor']:.1f} s in {whole['seconds']:.1f} s ({whole['memory']:.0f} MB); "
        f"{rows:,} rows, equal"
    )
    name = f"{RECORDS / 1e6:g}M patents judged on Spark"
    measured(name, whole["processor"], "DuckDB", on_duckdb.seconds, memory=whole["memory"])
    assert rows > RECORDS // 100
    assert differing == 0

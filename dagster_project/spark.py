"""Models of records on Apache Spark instead of DuckDB: what it needs, what it is handed, what is taken back.

DBT_TARGET names the engine of the models that judge single records; every other model is DuckDB's. Both engines read
the same Parquet files of records and run the same SQL (dbt/macros/spark.sql says how), so their tables are equal.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dagster_project import state
from dagster_project.ingest import records
from dagster_project.paths import DBT_PROJECT, Paths
from dagster_project.resources import DBT, dbt_environment, memory_limit

if TYPE_CHECKING:
    import duckdb

ENGINES = ("duckdb", "spark")
#: Models that judge single records, all that Spark ever runs.
MODELS = ("stg_patents", "stg_cases")
JAVA = 17
WITHOUT = "DBT_TARGET=duckdb works without."
#: Seconds between two lines on how far Spark has come.
PACE = 15.0
#: What Spark draws on a terminal: [Stage 7:=======>      (120 + 2) / 200]
STAGE = re.compile(r"\[Stage (\d+):[^\]]*?\((\d+) \+ \d+\) / (\d+)\]")
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def chosen() -> bool:
    """Whether DBT_TARGET names Spark; ValueError where it names neither engine."""
    engine = os.environ.get("DBT_TARGET") or "duckdb"
    if engine not in ENGINES:
        raise ValueError(f"DBT_TARGET is {engine!r}; models of records run on {' or '.join(ENGINES)}.")
    return engine == "spark"


def require() -> None:
    """RuntimeError with what to install where Spark cannot run here."""
    if not (_installed("pyspark") and _installed("dbt-spark")):
        raise RuntimeError(f"DBT_TARGET=spark needs pyspark and dbt-spark, which `make spark` installs; {WITHOUT}")
    java = _java_version()
    if java is None or java < JAVA:
        found = "no java is on the PATH" if java is None else f"the one on the PATH is {java}"
        raise RuntimeError(
            f"DBT_TARGET=spark needs Java {JAVA} or newer, and {found}: install it (Debian: apt-get install "
            f"openjdk-{JAVA}-jre-headless) or name it in JAVA_HOME; {WITHOUT}"
        )


def _installed(package: str) -> bool:
    """Whether a package is there for a child process; `expectations` hides pyspark from this one."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _java_version() -> int | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    try:
        said = subprocess.run([java or "java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def sources_of(manifest: Mapping[str, Any], model: str) -> list[str]:
    """Tables of schema raw that a model reads, itself or through another model."""
    found: set[str] = set()
    open_ = [f"model.pilotcity.{model}"]
    while open_:
        parents = manifest["parent_map"][open_.pop()]
        found.update(parent.rpartition(".")[2] for parent in parents if parent.startswith("source."))
        open_ += [parent for parent in parents if parent.startswith("model.")]
    return sorted(found)


def run(
    paths: Paths,
    connect: Callable[[], Any],
    manifest: Mapping[str, Any],
    models: Sequence[str],
    say: Callable[[str], None],
) -> dict[str, bool]:
    """Bring the tables of ``models`` in schema staging up to date by way of Spark.

    Returns whether each was computed; where what it is made of has not changed, its last result is taken. A run that
    fails or is killed leaves the tables as they were.

    Parameters
    ----------
    connect : opens the warehouse, for a with statement; closed while Spark computes.
    manifest : dbt's, for what each model reads.
    say : takes a sentence on how far it has come.
    """
    reads = {model: sources_of(manifest, model) for model in models}
    with connect() as connection:
        places = hand_over(paths, connection, sorted({name for names in reads.values() for name in names}))
    stamps = {model: _stamp(paths, names) for model, names in reads.items()}
    due = [model for model in models if _kept_stamp(paths, model) != stamps[model]]
    if due:
        require()
        for model in due:
            _stamp_file(paths, model).unlink(missing_ok=True)
        _compute(paths, due, {name: places[name] for model in due for name in reads[model]}, say)
        for model in due:
            state.write(_stamp_file(paths, model), stamps[model])
    with connect() as connection:
        take_back(paths, connection, models)
    return {model: model in due for model in models}


def hand_over(paths: Paths, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, Path]:
    """Write tables of schema raw as Parquet; returns where each lies: a file, or the folder of a kind's records."""
    given = paths.lake / "in"
    shutil.rmtree(given, ignore_errors=True)
    given.mkdir(parents=True)
    places = {}
    for name in names:
        places[name] = given / f"{name}.parquet"
        # of records nothing is written but their columns, for the case that there is no file
        rows = "limit 0" if name in records.FIELDS else "order by all"
        connection.execute(
            f"copy (select * from raw.{name} {rows}) to {records.quoted(str(places[name]))} (format parquet)"
        )
    store = records.store(connection)
    for kind in set(records.FIELDS) & set(names):
        records.sweep(connection, kind, store)
        if any((store / kind).glob("*.parquet")):
            places[kind] = store / kind
    return places


def take_back(paths: Paths, connection: duckdb.DuckDBPyConnection, models: Sequence[str]) -> None:
    """Put Spark's results in the place of the warehouse's tables, in their order, all or none.

    What DuckDB remembers of the files it built its tables from is dropped: it would build from them again.
    """
    import duckdb

    connection.execute("begin")
    try:
        connection.execute("create schema if not exists staging")
        for model in models:
            files = records.quoted(str(paths.lake / model / "*.parquet"))
            connection.execute(
                f"create or replace table staging.{model} as select * from read_parquet({files}) order by all"
            )
            connection.execute(f"drop table if exists staging.{model}__files")
        connection.execute("commit")
    except duckdb.Error:
        connection.execute("rollback")
        for model in models:
            _stamp_file(paths, model).unlink(missing_ok=True)
        raise


def _compute(paths: Paths, models: Sequence[str], places: Mapping[str, Path], say: Callable[[str], None]) -> None:
    """Run the models by dbt on Spark in a child; RuntimeError with its last words where it fails."""
    scratch, log = paths.lake / "scratch", paths.lake / "spark.log"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = [
        *(DBT, "run", "--target", "spark", "--select", *models),
        *("--vars", json.dumps({"spark_sources": {name: str(place) for name, place in sorted(places.items())}})),
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target-path", str(paths.lake / "dbt"), "--log-path", str(paths.lake / "dbt" / "logs")),
    ]
    child = subprocess.Popen(
        command,
        cwd=scratch,
        env=environment(paths),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout
    try:
        with log.open("wb") as kept:
            for line in _lines(child.stdout, kept):
                say(line)
        code = child.wait()
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    if code:
        raise RuntimeError(f"Spark did not come to its end: {_reason(log)} All it said is in {log}.")


def environment(paths: Paths) -> dict[str, str]:
    """Variables of a dbt process on Spark; without a cluster nothing listens beyond this machine."""
    alone = os.environ.get("PILOTCITY_SPARK_MASTER", "local").startswith("local")
    return {
        **({"SPARK_LOCAL_IP": "127.0.0.1"} if alone else {}),
        **os.environ,
        **dbt_environment(paths),
        "PILOTCITY_LAKE": str(paths.lake),
        "PILOTCITY_SPARK_MEMORY": java_memory(memory_limit()),
    }


def java_memory(limit: str) -> str:
    """DuckDB's way of writing memory (4GB, 1.5 GiB) as Java's, in whole mebibytes."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?)(i?)b?\s*", limit.lower())
    if not found:
        raise ValueError(f"PILOTCITY_MEMORY is {limit!r}; for Spark it must be a size such as 4GB.")
    number, unit, binary = found.groups()
    size = float(number) * (UNITS[unit] if not binary else 1024 ** (list(UNITS).index(unit)))
    return f"{max(int(size / 2**20), 1)}m"


def _lines(stream: IO[bytes], kept: IO[bytes]) -> Iterator[str]:
    """What is worth a line of what dbt and Spark print, which is kept whole: models, and stages now and then."""
    last, rest = time.monotonic(), b""
    while block := os.read(stream.fileno(), 1 << 16):
        kept.write(block)
        kept.flush()
        *parts, rest = re.split(rb"[\r\n]", rest + block)
        for part in (*parts, rest):
            text = part.decode(errors="replace")
            stages = STAGE.findall(text)
            if re.match(r"\d\d:\d\d:\d\d .* (START|OK|ERROR) ", text) and part is not rest:
                yield f"Spark: {text[10:]}"
            elif stages and time.monotonic() - last >= PACE:
                last = time.monotonic()
                done = ", ".join(f"{stage} ({done} of {tasks} tasks)" for stage, done, tasks in stages)
                yield f"Spark: stage {done}"


def _reason(log: Path) -> str:
    """The line that says most of why a run failed."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", log.read_text(errors="replace")) if line.strip()]
    telling = [line for line in lines if re.search(r"Error|Exception|\[[A-Z_.]{6,}\]|Killed", line)]
    return (telling or lines or ["it said nothing."])[0][:500]


def _stamp(paths: Paths, names: Sequence[str]) -> str:
    """What a model's result depends on: the files of records by name and hash, the small tables, the SQL."""
    total = hashlib.sha256(dbt_environment(paths)["PILOTCITY_SQL"].encode())
    for name in names:
        total.update((paths.lake / "in" / f"{name}.parquet").read_bytes())
    return total.hexdigest()


def _stamp_file(paths: Paths, model: str) -> Path:
    return paths.lake / f"{model}.stamp"


def _kept_stamp(paths: Paths, model: str) -> str | None:
    return state.read_text(_stamp_file(paths, model)) or None

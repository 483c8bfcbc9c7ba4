"""The command line: run, ui, sql, query, sources, rollback. Each imports heavy libraries only when it needs them."""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import ROOT, Paths

if TYPE_CHECKING:
    import duckdb

PID_TAG = "pilotcity/pid"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when it did what it says."""
    parser = argparse.ArgumentParser(prog="pilotcity", description="City pilot policies in China: raw files to report.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="raw files to report; says so when nothing has changed")
    run.add_argument("--force", action="store_true", help="run even when nothing has changed")
    ui = commands.add_parser("ui", help="Dagster's web page, on this machine only")
    ui.add_argument("--port", type=int, default=3000)
    commands.add_parser("sql", help="a SQL prompt on the published data")
    query = commands.add_parser("query", help="one SQL query on the published data")
    query.add_argument("sql")
    query.add_argument("--csv", action="store_true", help="print comma-separated values")
    commands.add_parser("sources", help="what each contract found in the raw folder, and what nothing claims")
    rollback = commands.add_parser("rollback", help="go back to an earlier publication")
    rollback.add_argument("number", type=int, nargs="?", help="which one; the one before the current by default")
    options = parser.parse_args(arguments)
    # the matrices are small: threads of the linear algebra library cost more than they save, and one gives one answer
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    paths = Paths.from_environment()
    try:
        return {
            "run": lambda: run_all(paths, options.force),
            "ui": lambda: serve(paths, options.port),
            "sql": lambda: prompt(paths),
            "query": lambda: ask(paths, options.sql, options.csv),
            "sources": lambda: list_sources(paths),
            "rollback": lambda: go_back(paths, options.number),
        }[options.command]()
    except (RuntimeError, FileNotFoundError, ValueError) as error:
        print(f"pilotcity: {error}", file=sys.stderr)
        return 1


def run_all(paths: Paths, force: bool) -> int:
    """Everything from raw files to the published report, with one line a step."""
    from dagster_project.fingerprint import changed

    if not paths.is_sample and not paths.raw.is_dir():
        raise FileNotFoundError(f"The raw folder {paths.raw} does not exist; PILOTCITY_RAW names it.")
    what = changed(paths)
    if not what and not force:
        print(f"Nothing has changed since the last publication: {_shown(paths.reports / 'index.html')}")
        print("Run anyway with: pilotcity run --force")
        return 0
    from dagster_project.resources import exclusive

    with exclusive(
        paths.run_lock, busy="Another run is going on for this data folder; it will publish when it is done."
    ):
        return _run(paths)


def _run(paths: Paths) -> int:
    started = time.monotonic()
    kind = "sample data" if paths.is_sample else f"raw files in {_shown(paths.raw)}"
    print(f"pilotcity: {kind} -> {_shown(paths.reports)}", flush=True)
    import dagster as dg

    from dagster_project.resources import forget_dbt_runs, prepare_instance

    prepare_instance(paths)
    forget_dbt_runs(paths)
    from dagster_project.definitions import REFRESH, build

    definitions = build(paths)
    job = definitions.resolve_job_def(REFRESH)
    with dg.DagsterInstance.get() as instance:
        bury_dead_runs(instance)
        run_id = str(uuid.uuid4())
        steps = len(list(job.nodes))
        progress = Progress(steps)
        instance.add_event_listener(run_id, progress)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={PID_TAG: str(os.getpid())},
        )
    seconds = time.monotonic() - started
    if not result.success:
        print(
            f"\nThe run failed after {seconds:.0f} s; nothing was published and readers keep what they had.",
            file=sys.stderr,
        )
        for message in progress.failures:
            print(f"  {message}", file=sys.stderr)
        return 1
    for message in progress.warnings:
        print(f"  warning: {message}")
    print(f"Published in {seconds:.0f} s. Report: {_shown(paths.reports / 'index.html')}")
    return 0


class Progress:
    """Prints one line a finished step; collects what failed and what warns."""

    def __init__(self, steps: int) -> None:
        self.steps, self.done = steps, 0
        self.failures: list[str] = []
        self.warnings: list[str] = []
        self.since: dict[str, float] = {}

    def __call__(self, entry: Any) -> None:
        event = entry.dagster_event
        if event is None:
            # what sources say of their files; dbt prints its own progress
            if 20 <= entry.level < 40 and entry.user_message and (entry.step_key or "").startswith("raw__"):
                self.say(f"          {entry.user_message}")
            return
        name = event.event_type_value
        if name == "STEP_START":
            self.since[event.step_key] = time.monotonic()
        elif name in ("STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED"):
            self.done += 1
            seconds = time.monotonic() - self.since.get(event.step_key, time.monotonic())
            verdict = {"STEP_SUCCESS": "", "STEP_FAILURE": "  FAILED", "STEP_SKIPPED": "  skipped"}[name]
            self.say(f"  [{self.done:>3}/{self.steps}] {event.step_key:<52} {seconds:6.1f} s{verdict}")
            if name == "STEP_FAILURE":
                error = event.event_specific_data.error
                cause = (error.cause or error) if error else None
                self.failures.append(f"{event.step_key}: {cause.message.strip() if cause else 'unknown error'}")
        elif name == "ASSET_CHECK_EVALUATION":
            check = event.event_specific_data
            if not check.passed:
                text = f"{'/'.join(check.asset_key.path)}, {check.check_name}: {check.description or 'does not hold'}"
                (self.failures if check.severity.value == "ERROR" else self.warnings).append(text)

    def say(self, text: str) -> None:
        print(text, flush=True)


def bury_dead_runs(instance: Any) -> None:
    """Report runs of dead processes as failed and free their pool slots, which nobody else would ever release."""
    import dagster as dg

    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
        pid = run.tags.get(PID_TAG)
        if pid and not Path(f"/proc/{pid}").exists() and not _alive(int(pid)):
            instance.report_run_failed(run, "The process of this run died before it was done.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def serve(paths: Paths, port: int) -> int:
    """Webserver and daemon on the instance that `run` uses, bound to loopback; ends with the process."""
    from dagster_project.resources import prepare_instance

    prepare_instance(paths)
    os.environ.setdefault("PILOTCITY_DATA", str(paths.data))
    if not paths.is_sample:
        os.environ["PILOTCITY_RAW"] = str(paths.raw)
    os.chdir(ROOT)
    dagster = Path(sys.executable).parent / "dagster"
    print(f"Dagster opens at http://127.0.0.1:{port} (Ctrl-C ends it).", flush=True)
    os.execv(
        dagster,
        [str(dagster), "dev", "-m", "dagster_project.definitions", "-h", "127.0.0.1", "-p", str(port)],
    )


def connect_published(paths: Paths) -> duckdb.DuckDBPyConnection:
    """The published database, read-only, without access to anything else; a refresh does not disturb it."""
    import duckdb

    database = paths.published / "pilotcity.duckdb"
    if not database.exists():
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    return duckdb.connect(str(database.resolve()), read_only=True, config={"enable_external_access": "false"})


def ask(paths: Paths, sql: str, as_csv: bool) -> int:
    """Print the answer to one query."""
    import duckdb

    with connect_published(paths) as connection:
        try:
            executed = connection.execute(sql)
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
        if executed is None:
            raise ValueError("The query is empty: write one SQL statement, for example from panels.publication.")
        answer = executed.df()
    if as_csv:
        print(answer.to_csv(index=False), end="")
    else:
        print(answer.to_string(index=False, max_colwidth=60))
    return 0


def prompt(paths: Paths) -> int:
    """Read queries until Ctrl-D; each ends with a semicolon."""
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  line editing for input()
    with connect_published(paths) as connection:
        about = connection.execute("select version, is_sample from panels.publication").fetchall()[0]
        print(
            f"Publication {about[0]}{' - SAMPLE DATA' if about[1] else ''}. End a query with ; and leave with Ctrl-D."
        )
        print(
            "Tables: "
            + ", ".join(
                f"{s}.{t}"
                for s, t in connection.execute(
                    "select table_schema, table_name from information_schema.tables order by all"
                ).fetchall()
            )
        )
        lines: list[str] = []
        while True:
            try:
                lines.append(input("sql> " if not lines else "...> "))
            except (EOFError, KeyboardInterrupt):
                print()
                return 0
            if lines[-1].rstrip().endswith(";"):
                text, lines = "\n".join(lines), []
                try:
                    print(connection.execute(text).df().to_string(index=False, max_rows=60, max_colwidth=60))
                except Exception as error:  # whatever the query did wrong, the prompt stays
                    print(error)


def list_sources(paths: Paths) -> int:
    """Print what each contract found in the raw folder, what is missing, and the files that no contract claims."""
    from pathlib import PurePosixPath

    from dagster_project.fingerprint import files_below
    from dagster_project.ingest import contracts
    from dagster_project.paths import CONTRACTS

    below = {PurePosixPath(path.relative_to(paths.raw)) for path in files_below(paths.raw)}
    claimed: set[PurePosixPath] = set()
    for contract in contracts.load_all(CONTRACTS).values():
        mine = sorted(path for path in below if contract.matches(path))
        claimed.update(mine)
        print(f"{contract.source:<24} {f'{len(mine)} files' if mine else 'MISSING':<10} {contract.title.en}")
        if not mine:
            print(f"{'':<24} {'':<10} to get it: {contract.obtain}")
    for path in sorted(below - claimed):
        print(f"no contract claims {path}")
    return 0


def go_back(paths: Paths, number: int | None) -> int:
    """Point readers at an earlier publication."""
    from dagster_project import publication

    kept = publication.numbers(paths)
    if not paths.published.exists():
        raise FileNotFoundError("Nothing is published yet.")
    current = int(paths.published.resolve().name)
    earlier = [candidate for candidate in kept if candidate < current]
    wanted = number if number is not None else (earlier[-1] if earlier else None)
    if wanted is None or wanted not in kept:
        raise ValueError(f"There is no such publication; kept are {', '.join(map(str, kept))}, current is {current}.")
    publication.point(paths, wanted)
    print(f"Readers now see publication {wanted} (was {current}).")
    return 0


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    raise SystemExit(main())

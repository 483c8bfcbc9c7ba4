"""How every run begins and ends, whoever starts it: the command line, the web page, a schedule or a sensor.

One run at a time for a data folder, with dead runs buried, a warehouse that can be opened, and a candidate that only a
run which came to its end hands on. What is in a run stands in assets; when one starts, in schedules and sensors.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from dagster_project import publication, refresh, side_by_side, signals
from dagster_project.paths import Paths
from dagster_project.resources import exclusive, forget_dbt_runs

#: The job of everything; others, as those of the schedules, take in some sources alone.
REFRESH = "refresh"
#: Runs with this tag take in everything, so nothing has to follow them. The web page hides tags that begin so.
WHOLE = {".dagster/pilotcity_whole": "yes"}
PID_TAG = ".dagster/pilotcity_pid"
BUSY = "Another run is going on for this data folder; it will publish when it is done."
#: What DuckDB says of a file that no later attempt will read.
DAMAGE = re.compile(
    r"not a valid DuckDB database file|Corrupt database file|Could not read enough bytes|Failure while replaying WAL"
)


def this_process(pid: int | None = None) -> str:
    """A process by number and start, since numbers are given out again (in a container, the same one every time)."""
    pid = pid or os.getpid()
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux, or no such process
        return str(pid)
    return f"{pid} {started} {boot}"


def _alive(process: str) -> bool:
    pid = int(process.split()[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return this_process(pid) == process or " " not in process


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs of dead processes as failed and free their pool slots, which nobody else would ever release."""
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    buried = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[*unfinished, dg.DagsterRunStatus.CANCELING])):
        process = run.tags.get(PID_TAG)
        if process and not _alive(process):
            instance.report_run_failed(run, "The process of this run died before it was done.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            buried.append(run.run_id)
    return buried


def prepare(paths: Paths, instance: dg.DagsterInstance) -> str | None:
    """What a run needs before its first step, once it is alone; returns a sentence if the warehouse was damaged."""
    bury_dead_runs(instance)
    forget_dbt_runs(paths)
    return check_warehouse(paths)


def check_warehouse(paths: Paths) -> str | None:
    """Open the warehouse once; set it aside when it is no database any more, and say so."""
    import duckdb

    if not paths.warehouse.exists():
        return None
    try:
        duckdb.connect(str(paths.warehouse)).close()
    except duckdb.Error as error:
        return set_aside_if_damaged(paths, str(error))
    return None


def set_aside_if_damaged(paths: Paths, message: str) -> str | None:
    """Move the warehouse out of the way when ``message`` says that it is damaged; the next run builds it anew."""
    found = DAMAGE.search(message)
    if not found or not paths.warehouse.exists():
        return _set_aside_records(paths) if "parquet" in message.lower() else None
    kept = paths.warehouse.with_suffix(".damaged.duckdb")
    paths.warehouse.replace(kept)
    journal = paths.warehouse.with_name(f"{paths.warehouse.name}.wal")
    if journal.exists():
        journal.replace(kept.with_name(f"{kept.name}.wal"))
    return (
        f"The warehouse was damaged ({found.group()}). It is kept as {kept.name} beside its place, "
        "and a new one is built from the raw files."
    )


def _set_aside_records(paths: Paths) -> str | None:
    """The same for files of records beside the warehouse: each is read whole, and those that cannot be are moved."""
    import duckdb

    damaged = []
    for path in sorted((paths.warehouse.parent / "records").rglob("*.parquet")):
        try:
            with duckdb.connect() as connection:
                connection.execute("select max(hash(records)) from read_parquet($1) as records", [str(path)]).fetchall()
        except duckdb.Error:
            kept = paths.warehouse.parent / "damaged_records" / path.name
            kept.parent.mkdir(exist_ok=True)
            damaged.append(path.replace(kept))
    if not damaged:
        return None
    return (
        f"{len(damaged)} files of records beside the warehouse were damaged. They are kept in {damaged[0].parent.name} "
        "there, and the raw files behind them are read again."
    )


def _is_whole(run: dg.DagsterRun) -> bool:
    return run.job_name == REFRESH and run.asset_selection is None


class OneAtATime(InProcessExecutor):
    """All steps in one process, as imports cost more than most steps; waits until no other run is going on."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(retries=RetryMode.ENABLED)
        self.paths = paths

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        signals.end_with_parent()
        instance, run = plan_context.instance, plan_context.dagster_run
        instance.add_run_tags(run.run_id, {PID_TAG: this_process()} | (WHOLE if _is_whole(run) else {}))
        waited = False
        while True:
            try:
                with exclusive(self.paths.run_lock, busy=BUSY):
                    yield from self._alone(plan_context, execution_plan)
                return
            except RuntimeError as error:
                if str(error) != BUSY:
                    raise
            if not waited:
                yield dg.DagsterEvent.engine_event(plan_context, f"Waiting: {BUSY}")
                waited = True
            # Dagster holds a request to end back until a step: there is none while this waits
            with dg.raise_execution_interrupts():
                time.sleep(1)

    def _alone(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        said = prepare(self.paths, plan_context.instance)
        if said:
            yield dg.DagsterEvent.engine_event(plan_context, said)
        run = plan_context.dagster_run
        if _is_whole(run):
            refresh.set_out(self.paths, run.root_run_id or run.run_id)
        failed = False
        try:
            for event in super().execute(plan_context, execution_plan):
                if event.is_step_failure:
                    failed = True
                    error = event.step_failure_data.error
                    said = set_aside_if_damaged(self.paths, error.to_string() if error else "")
                    if said:
                        yield dg.DagsterEvent.engine_event(plan_context, said)
                yield event
        finally:
            side_by_side.end(run.run_id)
        if not failed:
            publication.settle(self.paths)


def one_at_a_time(paths: Paths) -> dg.ExecutorDefinition:
    """The executor of every run that the web page or the daemon starts."""

    @dg.executor(name="one_at_a_time", requirements=[])
    def executor(context: dg.InitExecutorContext) -> OneAtATime:
        return OneAtATime(paths)

    return executor

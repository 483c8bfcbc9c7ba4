"""`pilotcity run`: everything from raw files to the published report."""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from dagster_project.paths import Paths, shown

HELP = "raw files to report; says so when nothing has changed"
PID_TAG = "pilotcity/pid"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="run even when nothing has changed")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Everything from raw files to the published report, with one line a step."""
    from dagster_project.fingerprint import changed

    if not paths.is_sample and not paths.raw.is_dir():
        raise FileNotFoundError(f"The raw folder {paths.raw} does not exist; PILOTCITY_RAW names it.")
    what = changed(paths)
    if not what and not options.force:
        print(f"Nothing has changed since the last publication: {shown(paths.reports / 'index.html')}")
        print("Run anyway with: pilotcity run --force")
        return 0
    from dagster_project.resources import exclusive

    with exclusive(
        paths.run_lock, busy="Another run is going on for this data folder; it will publish when it is done."
    ):
        return _run(paths)


def _run(paths: Paths) -> int:
    started = time.monotonic()
    kind = "sample data" if paths.is_sample else f"raw files in {shown(paths.raw)}"
    print(f"pilotcity: {kind} -> {shown(paths.reports)}", flush=True)
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
    print(f"Published in {seconds:.0f} s. Report: {shown(paths.reports / 'index.html')}")
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

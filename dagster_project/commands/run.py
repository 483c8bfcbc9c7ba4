"""`pilotcity run`: everything from raw files to the published report."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from dagster_project.paths import Paths, names, shown
from dagster_project.progress import Progress, Screen
from dagster_project.raw_folder import look

#: The exit code of a command that Ctrl-C ended.
STOPPED = 130
HELP = "raw files to report; says so when nothing has changed"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="run even when nothing has changed")
    parser.add_argument("--studies", metavar="A,B", help="compute these alone; PILOTCITY_STUDIES for good")
    parser.add_argument("--verbose", action="store_true", help="print dbt's own lines and every detail")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Everything from raw files to the published report, with one line a step."""
    if options.studies is not None:
        paths = replace(paths, studies=names(options.studies))
    if not paths.is_sample and not paths.raw.is_dir():
        raise FileNotFoundError(f"The raw folder {paths.raw} does not exist; PILOTCITY_RAW names it.")
    with Screen(verbose=options.verbose) as screen:
        screen.doing("comparing files, code and lists with the last publication")
        return _refreshed(paths, options, screen)


def _refreshed(paths: Paths, options: argparse.Namespace, screen: Screen) -> int:
    from dagster_project.fingerprint import changed

    damage = _damage(paths)
    if damage:
        print(damage, flush=True)
    elif not changed(paths) and not options.force:
        print(f"Nothing has changed since the last publication: {shown(paths.reports / 'index.html')}")
        print("Run anyway with: pilotcity run --force")
        return 0
    _announce(paths)
    screen.doing("loading Dagster")
    from dagster_project import publication, spark
    from dagster_project.executor import BUSY
    from dagster_project.resources import exclusive
    from dagster_project.services import history

    if spark.chosen():
        spark.require()

    with exclusive(paths.run_lock, busy=BUSY), _said_plainly(paths), history(paths):
        repaired = publication.repair(paths)
        if repaired:
            print(repaired, flush=True)
        return _run(paths, screen, options.force or bool(damage))


def _damage(paths: Paths) -> str:
    """How what readers see differs from what was published, in a sentence; empty where it does not."""
    from dagster_project import verification

    if not paths.published.exists():
        return ""
    verdict = verification.verify(paths, int(paths.published.resolve().name), thorough=False)
    if not verdict.differences:
        return ""
    first = verdict.sentences()[0]
    return f"Publication {verdict.number} is damaged ({len(verdict.differences)} files; {first}); it is made anew."


@contextmanager
def _said_plainly(paths: Paths) -> Iterator[None]:
    """A disk that takes no more or a PostgreSQL that is gone, in one sentence: the history of runs is written too."""
    before = paths.published.resolve()
    sys.unraisablehook = _unraisable
    try:
        yield
    except Exception as error:
        what, details = _not_written(paths, error)
        if not what:
            raise
        from dagster_project import status

        outcome = (
            "Nothing was published and readers keep what they had"
            if paths.published.resolve() == before
            else "What the run had made was published before that"
        )
        with suppress(OSError):
            # a report may be public: where the server is stays here
            status.failed(paths, f"{what}. {outcome}.")
        raise RuntimeError(f"{what}: {details} {outcome}; put that right and run again.") from error


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    """Python's own report, but for a generator of Dagster's that cannot write its last event as it is closed."""
    if "generator ignored GeneratorExit" not in str(found.exc_value):
        sys.__unraisablehook__(found)


def _not_written(paths: Paths, error: Exception) -> tuple[str, str]:
    """What the operating system or PostgreSQL would not write, and why; empty where the error is another one."""
    from dagster_project import postgres

    cause = error.__cause__ or error
    reason = f"{str(cause).splitlines()[0].rstrip('.') if str(cause) else type(cause).__name__}."
    of_history = type(error).__module__.startswith(("sqlalchemy", "dagster_postgres", "psycopg2"))
    address = postgres.chosen(paths)
    if of_history and address:
        return "The run history in PostgreSQL could not be written", f"{postgres.place(address)}. {reason}"
    if of_history or isinstance(error, OSError):
        return f"{shown(paths.data)} could not be written", f"{reason} Is the disk full?"
    return "", ""


def _announce(paths: Paths) -> None:
    """Say at once what is read and where it goes, before anything heavy is imported."""
    from dagster_project import overlay

    if paths.studies and all(study.panel for study in overlay.studies(paths)):
        kind = f"panels in {shown(paths.own)}"
    else:
        kind = "sample data" if paths.is_sample else f"raw files in {shown(paths.raw)}"
    print(f"pilotcity: {kind} -> {shown(paths.reports)}", flush=True)
    for sentence in look(paths.raw).sentences:
        print(f"  {sentence}", flush=True)


def _run(paths: Paths, screen: Screen, everything: bool) -> int:
    started = time.monotonic()
    import dagster as dg

    from dagster_project import executor, outcome, status
    from dagster_project.resources import prepare_instance

    screen.doing("opening the history of runs")
    prepare_instance(paths)
    with dg.DagsterInstance.get() as instance:
        said = executor.prepare(paths, instance)
        if said:
            print(f"  {said}", flush=True)
        progress = _execute(paths, instance, screen, everything)
        # a damage that shows only when a table is read: the rest of a warehouse can be read, so it was opened
        said = executor.set_aside_if_damaged(paths, "\n".join(progress.failures))
        if said:
            print(f"  {said}", flush=True)
            progress = _execute(paths, instance, screen, everything=True)
    seconds = time.monotonic() - started
    if progress.stopped:
        print(
            f"\nStopped after {seconds:.0f} s; nothing was published and readers keep what they had.", file=sys.stderr
        )
        return STOPPED
    if not progress.success:
        status.failed(paths, progress.failures[0] if progress.failures else "The run ended without a reason.")
        print(
            f"\nThe run failed after {seconds:.0f} s; nothing was published and readers keep what they had.",
            file=sys.stderr,
        )
        for message in progress.failures:
            print(f"  {message}", file=sys.stderr)
        return 1
    for message in progress.warnings:
        screen.say(f"  warning: {message}", "warning")
    screen.say(f"Published in {seconds:.0f} s. Report: {shown(paths.reports / 'index.html')}", "good")
    for line, style in outcome.lines(paths, len(progress.warnings)):
        screen.say(line, style)
    return 0


def _execute(paths: Paths, instance: Any, screen: Screen, everything: bool) -> Progress:
    screen.doing("comparing what is kept with files, studies and code")
    from dagster_project import refresh, side_by_side
    from dagster_project.definitions import REFRESH, build
    from dagster_project.executor import PID_TAG, WHOLE, this_process
    from dagster_project.resources import FORCED

    plan = refresh.EVERYTHING if everything else refresh.plan(paths)
    screen.doing("reading contracts and studies" if plan.light else "reading contracts, studies and dbt's models")
    job = build(paths, plan).resolve_job_def(REFRESH)
    run_id = str(uuid.uuid4())
    progress = Progress(screen, [node.name for node in job.nodes], paths.home)
    if not plan.light:
        refresh.set_out(paths, run_id)
    instance.add_event_listener(run_id, progress)
    try:
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags=WHOLE | {PID_TAG: this_process()} | (FORCED if everything else {}),
        )
    finally:
        side_by_side.end(run_id)
    progress.success = result.success
    progress.remember()
    return progress

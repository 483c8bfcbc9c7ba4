"""What a parent started that ignores Ctrl-C (nohup, cron, CI) ends when it is asked to, with all its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_project import signals
from dagster_project.paths import ROOT

SLEEP = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]


def deaf() -> None:
    """What a parent leaves to its child at worst: signals that end a process ignored, and held back."""
    for number in signals.ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)


def python(code: str) -> subprocess.Popen[str]:
    """A program of a deaf parent; returns once it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=deaf,
    )
    assert process.stdout
    assert process.stdout.readline().strip() == "up"
    return process


def signals_of(pid: int, field: str) -> set[int]:
    """Signals that a process ignores (SigIgn), holds back (SigBlk) or catches (SigCgt)."""
    text = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{field}:")), 16)
    return {int(number) for number in signals.ENDING if mask >> (number - 1) & 1}


linux = pytest.mark.skipif(sys.platform != "linux", reason="a process's signals are looked up in /proc")

COMMAND = """
import sys, time, types
from dagster_project import cli
def main(paths, options):
    print("up", flush=True)
    time.sleep(600)
    return 0
module = types.ModuleType("dagster_project.commands.wait")
module.__dict__.update(HELP="", arguments=lambda parser: None, main=main)
sys.modules["dagster_project.commands.wait"] = module
cli.COMMANDS = ("wait",)
sys.exit(cli.main(["wait"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_of_a_parent_that_ignores_ctrl_c_stops_when_it_is_asked_to(number):
    process = python(COMMAND)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "pilotcity: stopped."


@linux
def test_a_command_of_nohup_goes_on_after_its_terminal():
    process = python(COMMAND)
    assert signals_of(process.pid, "SigIgn") == {signal.SIGHUP, signal.SIGQUIT}
    os.killpg(process.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    process.communicate(timeout=60)


def test_handlers_are_as_before_when_a_command_has_ended_and_other_threads_set_none():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with signals.known():
        assert {signal.getsignal(number) for number in before} == {signal.default_int_handler}
    assert {number: signal.getsignal(number) for number in before} == before
    failed: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with signals.known():
                assert {number: signal.getsignal(number) for number in before} == before
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not failed


STEPS = """
import dagster as dg, sys, time
from dagster_project import signals
@dg.op
def first(): ...
@dg.op(ins={"start": dg.In(dg.Nothing)})
def second():
    print("up", flush=True)
    time.sleep(600)
@dg.job
def job():
    second(first())
with signals.known():
    result = job.execute_in_process(raise_on_error=False)
sys.exit(0 if result.success else 9)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.torture)])
def test_a_run_stops_in_its_second_step_though_dagster_copies_what_ctrl_c_does_at_the_first(number):
    process = python(STEPS)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 9, said
    assert "DagsterExecutionInterruptedError" in said


@linux
def test_a_child_has_default_signals_whatever_its_parent_had(tmp_path):
    starts = f"""
    import sys, time
    from pathlib import Path
    from dagster_project.services import Service, start
    process = start(Service("x", {SLEEP!r}), Path({str(tmp_path)!r}) / "x.log")
    print("up", flush=True)
    print(process.pid, flush=True)
    time.sleep(600)
    """
    parent = python(starts)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert signals_of(parent.pid, "SigIgn") == set(signals.ENDING), "the parent is one that ignores them"
    assert signals_of(child, "SigIgn") == set()
    assert signals_of(child, "SigBlk") == set()
    parent.kill()
    parent.communicate()
    until(lambda: gone(child))


@linux
def test_dbt_stops_at_ctrl_c_and_ends_with_its_parent(tmp_path):
    package = tmp_path / "dbt" / "cli"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "main.py").write_text("import time\ndef cli():\n    print('up', flush=True)\n    time.sleep(600)\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from dagster_project.dbt_child import main; main()"
    process = python(program)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    parent = python(
        f"import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', {program!r}],"
        " stdout=subprocess.PIPE); child.stdout.readline(); print('up', flush=True); print(child.pid, flush=True);"
        " time.sleep(600)"
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.communicate()
    until(lambda: gone(child))


RUN = """
import multiprocessing, sys, time
def run():
    from dagster_project import signals
    signals.end_with_parent()
    time.sleep(600)
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    process = context.Process(target=run)
    process.start()
    print("up", flush=True)
    print(process.pid, flush=True)
    time.sleep(600)
"""


@linux
def test_a_run_of_the_code_server_ends_with_it(tmp_path):
    (tmp_path / "server.py").write_text(RUN)
    server = subprocess.Popen(
        [sys.executable, str(tmp_path / "server.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    server.stdout.readline()
    run = int(server.stdout.readline())
    assert not gone(run)
    server.kill()
    server.communicate()
    until(lambda: gone(run))


def test_a_process_that_no_other_python_made_is_not_ended_with_its_parent():
    before = threading.active_count()
    signals.end_with_parent()
    assert threading.active_count() == before


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)

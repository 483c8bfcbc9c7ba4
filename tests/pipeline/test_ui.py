"""The web page and its daemon on the tiny graph: one asset materialised ends in a publication, a changed file starts
what it touches, a failed run is told to readers, and a killed daemon costs nothing.

In `make torture`, as it takes minutes: sensors look at things every so often.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pipeline.tiny_installation import HERE, Tiny

from dagster_project import publication, tables
from dagster_project.paths import ROOT
from dagster_project.resources import prepare_instance

pytestmark = [pytest.mark.torture, pytest.mark.xdist_group("ui")]

LAUNCH = """
mutation ($assets: [AssetKeyInput!]!) {
  launchRun(executionParams: {mode: "default", runConfigData: {}, selector: {
    jobName: "__ASSET_JOB", repositoryName: "__repository__", repositoryLocationName: "tiny", assetSelection: $assets
  }}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
#: The command line, on the tiny graph.
PROGRAM = """
import sys
from dagster_project import serve
from dagster_project.cli import main
serve.LOCATION = "tiny"
sys.exit(main())
"""
BACKFILL = """
mutation ($asset: AssetKeyInput!, $years: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: [$asset], partitionNames: $years}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""


class Ui:
    """`pilotcity ui` on an installation, asked through its web page's interface.

    Whoever starts it ignores Ctrl-C, as nohup, cron and CI do.
    """

    def __init__(self, installation: Tiny) -> None:
        self.installation = installation
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = installation.environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
        self.log = (installation.paths.data / "ui.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "ui", "--port", str(self.port)],
            cwd=ROOT,
            env=environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
        eventually(self.answers, 120, "the web page does not answer")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def answers(self) -> bool:
        try:
            return bool(self.ask("{ version }"))
        except OSError:
            return False

    def materialize(self, *path: str) -> str:
        launched = self.ask(LAUNCH, assets=[{"path": list(path)}])["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def backfill(self, asset: str, *years: str) -> str:
        launched = self.ask(BACKFILL, asset={"path": asset.split("/")}, years=years)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"]

    def done(self, backfill: str) -> bool:
        query = (
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
        )
        return self.ask(query, id=backfill)["partitionBackfillOrError"]["status"] == "COMPLETED_SUCCESS"

    def status(self, run: str) -> str:
        return self.ask("query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }", run=run)[
            "runOrError"
        ]["status"]

    def kill(self) -> None:
        """Kill the command alone, as the system does where memory ends; what it started must end by itself."""
        self.process.kill()
        self.process.wait()
        eventually(lambda: not self.left(), 90, "processes outlived the command")
        self.log.close()

    def end(self, how: signal.Signals) -> str:
        """Ask the command to end, or everybody in its session by Ctrl-C; returns what it printed last."""
        (os.killpg if how == signal.SIGINT else os.kill)(self.process.pid, how)
        self.process.wait(timeout=120)
        eventually(lambda: not self.left(), 30, "processes outlived the command")
        self.log.close()
        return (self.installation.paths.data / "ui.log").read_text().splitlines()[-1]

    def left(self) -> list[str]:
        """Commands of the processes that work in this data folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                of_data = (
                    f"PILOTCITY_DATA={self.installation.paths.data}".encode() in (process / "environ").read_bytes()
                )
                if of_data and "\nState:\tZ" not in (process / "status").read_text():
                    found.append((process / "cmdline").read_bytes().decode())
        return found


def eventually(holds: Callable[[], Any], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)


def number(installation: Tiny) -> int:
    return int(installation.paths.published.resolve().name)


def patents(installation: Tiny) -> int:
    with duckdb.connect(str(installation.paths.published.resolve() / "pilotcity.duckdb"), read_only=True) as connection:
        return connection.execute("select sum(patents) from panels.city_year").fetchall()[0][0]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    made = Tiny(tmp_path_factory.mktemp("ui"))
    code, said = made.run()
    assert code == 0, said
    prepare_instance(made.paths)
    return made


@pytest.fixture(scope="module")
def ui(installation):
    """Running, and with its sensors past the looks at which they only take note."""
    started = Ui(installation)
    time.sleep(40)
    yield started
    if started.process.poll() is None:
        started.kill()


def test_one_asset_materialised_in_the_page_ends_in_a_publication(ui, installation):
    before, seen = number(installation), installation.seen()
    run = ui.materialize("tiny", "table")
    eventually(lambda: ui.status(run) in {"SUCCESS", "FAILURE"}, 90, "the run never ended")
    assert ui.status(run) == "SUCCESS"
    eventually(lambda: number(installation) > before, 150, "nothing was published after it")
    assert installation.seen() == seen


def test_the_page_of_an_asset_shows_in_a_browser(ui):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no browser here")
    page = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"),
            f"http://127.0.0.1:{ui.port}/assets/publication/published",
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    ).stdout
    assert "published" in page
    assert "What readers see" in page


def test_a_changed_file_starts_what_it_touches_up_to_the_publication(ui, installation):
    before = number(installation)
    installation.write_patents(2012, 5000)
    eventually(lambda: number(installation) > before, 240, "the changed file started nothing")
    assert patents(installation) == 13_000
    _, said = installation.run("run")
    assert "Nothing has changed" in said, "`make run` has nothing left to do"
    published = installation.paths.published.resolve()
    assert (installation.paths.results / tables.NAME / publication.versions(published)[tables.NAME]).is_dir()
    time.sleep(45)
    assert number(installation) == before + 1  # nothing is published twice


def test_a_year_that_is_backfilled_is_published_once_and_not_again_when_it_is_the_same(ui, installation):
    """The raw folder's sensor sees the changed file as well: whichever comes first, nothing is done twice."""
    before, years = number(installation), ("raw/patent_records_by_year", "2010")
    installation.write_patents(2010, 6000)
    first = ui.backfill(*years)
    eventually(lambda: number(installation) > before, 240, "the backfilled year was not published")
    eventually(lambda: ui.done(first), 120, "the backfill never ended")
    assert patents(installation) == 15_000
    second = ui.backfill(*years)
    eventually(lambda: ui.done(second), 120, "the second backfill never ended")
    time.sleep(100)
    assert number(installation) == before + 1


def test_a_run_that_fails_is_told_to_readers_who_keep_what_they_had(ui, installation):
    before, seen = number(installation), installation.seen()
    path = installation.write_patents(2011, 4000)
    path.write_text(path.read_text(encoding="utf-8").replace("某公司", "stop"), encoding="utf-8")
    told = installation.paths.refresh_failed
    eventually(told.exists, 240, "nobody was told")
    assert "An applicant is called stop" in told.read_text(encoding="utf-8")
    assert (number(installation), installation.seen()) == (before, seen)
    installation.write_patents(2011, 4000)
    code, said = installation.run()
    assert code == 0, said
    assert not told.exists()


def test_a_killed_command_takes_a_run_with_it_and_costs_nothing_else(ui, installation):
    seen = installation.seen()
    run = ui.materialize("publication", "candidate")
    eventually(lambda: ui.status(run) == "STARTED", 60, "the run never started")
    ui.kill()
    assert installation.seen() == seen
    code, said = installation.run()
    assert code == 0, said
    assert installation.seen() == seen


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_when_it_is_asked_to_and_a_run_that_goes_on_with_it(installation, how):
    started, seen = Ui(installation), installation.seen()
    run = started.materialize("publication", "candidate")
    eventually(lambda: started.status(run) == "STARTED", 60, "the run never started")
    assert started.end(how) == "Everything has ended."
    assert started.process.returncode == 0
    assert installation.seen() == seen
    code, said = installation.run()
    assert code == 0, said
    assert installation.seen() == seen

"""`pilotcity ui`: Dagster's web page and daemon on the instance that `run` uses."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from dagster_project.paths import ROOT, Paths

HELP = "Dagster's web page, on this machine only"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=3000)


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Webserver and daemon on the instance that `run` uses, bound to loopback; ends with the process."""
    from dagster_project import postgres
    from dagster_project.commands import team

    if not postgres.chosen(paths):
        _replace_this_process(paths, options.port)
    print("The run history of this data folder is in PostgreSQL, so this is `pilotcity team`.", flush=True)
    return team.main(paths, options)


def _replace_this_process(paths: Paths, port: int) -> NoReturn:
    from dagster_project.resources import prepare_instance

    prepare_instance(paths)
    os.environ["PILOTCITY_DATA"] = str(paths.data)
    if not paths.is_sample:
        os.environ["PILOTCITY_RAW"] = str(paths.raw)
    os.chdir(ROOT)
    dagster = Path(sys.executable).parent / "dagster"
    print(f"Dagster opens at http://127.0.0.1:{port} (Ctrl-C ends it).", flush=True)
    os.execv(
        dagster,
        [str(dagster), "dev", "-m", "dagster_project.definitions", "-h", "127.0.0.1", "-p", str(port)],
    )

"""`pilotcity ui`: Dagster's web page and daemon on the instance that `run` uses."""

from __future__ import annotations

import argparse

from dagster_project.paths import Paths

HELP = "Dagster's web page, on this machine only"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=3000)


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Webserver and daemon on the instance that `run` uses, bound to loopback; ends with the process."""
    from dagster_project import postgres
    from dagster_project.commands import team
    from dagster_project.serve import serve

    if postgres.chosen(paths):
        print("The run history of this data folder is in PostgreSQL, so this is `pilotcity team`.", flush=True)
        return team.main(paths, options)
    return serve(paths, options.port, lambda supervisor, stack: lambda: None)

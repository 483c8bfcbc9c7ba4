"""`pilotcity sql`: a prompt on the published data."""

from __future__ import annotations

import argparse

from dagster_project import answers
from dagster_project.paths import Paths
from dagster_project.publication import connect_published

HELP = "a SQL prompt on the published data, with .tables, .describe and .export"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Read queries until Ctrl-D; each ends with a semicolon."""
    from dagster_project.prompt import Prompt, talk

    with connect_published(paths) as connection:
        (version,) = answers.ask(connection, "select version from panels.publication")["version"]
        sample = " - SAMPLE DATA" if answers.is_sample(connection) else ""
        print(
            f"Publication {version}{sample}. End a query with ; and leave with Ctrl-D; .help says what else there is."
        )
        print(f"Tables: {', '.join(answers.tables(connection))}")
        talk(Prompt(connection), paths.home / "sql_history")
    return 0

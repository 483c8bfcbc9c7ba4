"""`pilotcity query`: one SQL query on the published data."""

from __future__ import annotations

import argparse

from dagster_project.paths import Paths
from dagster_project.publication import connect_published

HELP = "one SQL query on the published data"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the answer to one query."""
    import duckdb

    with connect_published(paths) as connection:
        try:
            executed = connection.execute(options.sql)
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
        if executed is None:
            raise ValueError("The query is empty: write one SQL statement, for example from panels.publication.")
        answer = executed.df()
    if options.csv:
        from analysis.reporting.tables import safe_csv

        print(safe_csv(answer).replace("\r\n", "\n"), end="")
    else:
        print(answer.to_string(index=False, max_colwidth=60))
    return 0

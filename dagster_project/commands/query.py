"""`pilotcity query`: one SQL query on the published data."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagster_project import answers
from dagster_project.paths import Paths
from dagster_project.publication import connect_published

HELP = "one SQL query on the published data"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the answer to FILE.csv, .parquet, .xlsx, .dta or .json"
    )


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the answer to one query, or write it to a file."""
    if options.output is not None:
        answers.check(options.output)
    with connect_published(paths) as connection:
        answer = answers.ask(connection, options.sql)
        if options.output is not None:
            print(answers.write(connection, answer, options.output, options.sql))
            return 0
    if options.csv:
        from analysis.reporting.tables import safe_csv

        print(safe_csv(answer).replace("\r\n", "\n"), end="")
    else:
        print(answer.to_string(index=False, max_colwidth=60))
    return 0

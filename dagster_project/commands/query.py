"""`pilotcity query`: one SQL query on the published data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.paths import Paths
from dagster_project.publication import connect_published

if TYPE_CHECKING:
    import pandas as pd

HELP = "one SQL query on the published data"


FORMATS = (".csv", ".parquet", ".xlsx", ".dta", ".json")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the answer to FILE.csv, .parquet, .xlsx, .dta or .json"
    )


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the answer to one query, or write it to a file."""
    import duckdb

    if options.output is not None and options.output.suffix not in FORMATS:
        raise ValueError(f"{options.output.name}: the name must end in {', '.join(FORMATS)}.")
    with connect_published(paths) as connection:
        try:
            executed = connection.execute(options.sql)
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
        if executed is None:
            raise ValueError("The query is empty: write one SQL statement, for example from panels.publication.")
        answer = executed.df()
        is_sample = bool(connection.execute("select any_value(is_sample) from panels.publication").fetchall()[0][0])
    if options.output is not None:
        options.output.write_bytes(_file(answer, options.output.suffix, options.sql, is_sample))
        print(f"{len(answer):,} rows in {options.output}{' (SAMPLE DATA)' if is_sample else ''}")
    elif options.csv:
        from analysis.reporting.tables import safe_csv

        print(safe_csv(answer).replace("\r\n", "\n"), end="")
    else:
        print(answer.to_string(index=False, max_colwidth=60))
    return 0


def _file(answer: pd.DataFrame, suffix: str, sql: str, is_sample: bool) -> bytes:
    """The answer in the format of a file's suffix, marked where it is sample data."""
    from analysis.reporting import panel_files

    match suffix:
        case ".parquet":
            return panel_files.parquet(answer, is_sample=is_sample)
        case ".xlsx":
            return panel_files.excel(answer, is_sample=is_sample)
        case ".dta":
            return panel_files.stata(answer, {}, " ".join(sql.split()), is_sample=is_sample)
        case ".json":
            return panel_files.json(answer, is_sample=is_sample).encode()
    return panel_files.csv(answer, is_sample=is_sample).encode()

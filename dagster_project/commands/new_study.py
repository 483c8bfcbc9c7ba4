"""`pilotcity new-study`: a study of one's own, as a YAML to edit and a list of cities to fill in."""

from __future__ import annotations

import argparse

from dagster_project.paths import ROOT, Paths, shown

HELP = "begin a study of your own: a YAML to edit and a list of cities to fill in"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="lower-case words joined by underscores, such as carbon_market")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Write the files of a new study and say what to do with them."""
    import duckdb

    from analysis.studies.new import new_study

    with duckdb.connect() as connection:
        rows = connection.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'")
        words = {word for (word,) in rows.fetchall()}
    specification, cities = new_study(options.name, ROOT, reserved=words)
    print(f"1. Put your cities into {shown(cities)}, one row a city, in place of the example row.")
    print(f"2. Say in {shown(specification)} what is estimated; every line is explained there.")
    print("3. make run: tables, figures and a page of their own appear in the report.")
    return 0

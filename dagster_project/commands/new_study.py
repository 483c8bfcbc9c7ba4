"""`pilotcity new-study`: a study of one's own, as a YAML to edit and a list of cities, or from an assembled panel."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagster_project.paths import DBT_PROJECT, Paths, shown

HELP = "begin a study of your own: a YAML to edit and a list of cities, or a draft from the file of a panel"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="lower-case words joined by underscores, such as carbon_market")
    parser.add_argument(
        "--panel", type=Path, metavar="FILE", help="an assembled panel: .dta, .xlsx, .csv, .parquet, .sav"
    )


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Write the files of a new study and say what to do with them."""
    import duckdb

    from analysis.studies.new import new_study, study_of_file
    from dagster_project import overlay
    from dagster_project.commands import schema

    with duckdb.connect() as connection:
        rows = connection.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'")
        words = {word for (word,) in rows.fetchall()}
    models = {path.stem: f"the dbt model {path.stem}" for path in (DBT_PROJECT / "models").rglob("*.sql")}
    files = {**overlay.policy_files(paths), **overlay.study_files(paths)}
    taken = models | {name: shown(path) for name, path in files.items()}
    if options.panel:
        names = overlay.known(paths)
        path, draft = study_of_file(options.name, paths.own, options.panel, names, reserved=words, taken=taken)
        treated = draft.treatment or draft.adoption
        schema.write(paths)
        print(f"{options.panel.name}: {draft.facts}.")
        print(f"unit {draft.unit!r}, time {draft.time!r}, treatment {treated!r}, outcome {draft.outcome!r}.")
        for sentence in draft.unsure:
            print(f"unsure: {sentence}")
        for column, why in draft.left_out.items():
            print(f"left out: {column!r}, {why}")
        print(f"1. Look through {shown(path)}; every guess is marked there.")
        print(f"2. pilotcity run --studies {options.name}: tables, figures and a page of their own.")
        return 0
    specification, cities = new_study(options.name, paths.own, reserved=words, taken=taken)
    schema.write(paths)
    print(f"1. Put your cities into {shown(cities)}, one row a city, in place of the example row.")
    print(f"2. Say in {shown(specification)} what is estimated; every line is explained there.")
    print("3. make run: tables, figures and a page of their own appear in the report.")
    return 0

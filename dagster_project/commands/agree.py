"""`pilotcity agree`: which other engines get the published numbers of a study, and where they part."""

from __future__ import annotations

import argparse
import itertools

from dagster_project.paths import Paths

HELP = "ask other engines for every published number of a study, and print who agrees"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study, as its YAML is called")
    parser.add_argument("exhibit", nargs="?", help="one of its tables or figures; every number is then printed")
    parser.add_argument("--json", action="store_true", help="print the rows of estimates.agreement as JSON")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print a line an exhibit, or a line a number; the exit code is 1 where engines part without a convention."""
    from analysis.agreement import DIFFERS, lines
    from analysis.studies import spec
    from dagster_project import agreement, overlay
    from dagster_project.progress import Screen

    study = spec.load(overlay.study_file(paths, options.study), overlay.known(paths))
    if options.exhibit is not None:
        study.exhibit(options.exhibit)
    folder = paths.published
    if not (folder / "data" / "panels" / f"{study.name}.parquet").exists():
        raise FileNotFoundError(f"Nothing is published of {study.name!r} yet: run `make run` first.")

    with Screen(aside=True) as screen:
        parts = 1 if options.exhibit is not None else len(study.exhibits) + len(study.efficiency)
        told = itertools.count()
        table = agreement.of_study(
            paths,
            folder,
            study,
            options.exhibit,
            lambda name: screen.part(f"asking other engines about {name}", next(told), parts),
        )
    if options.json:
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    else:
        if paths.is_sample and study.panel is None:
            print("SAMPLE DATA: no number here says anything about real cities.\n")
        if options.exhibit is not None:
            shown = table.drop(columns=["study", "exhibit"])
            print(shown.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.6g}"))
            print()
        for name, rows in table.groupby("exhibit", sort=False):
            print(f"{name}: {' '.join(lines(rows))}")
        print(f"\n{_sum(table)}")
    return 1 if table["verdict"].eq(DIFFERS).any() else 0


def _sum(table: object) -> str:
    """All exhibits in a sentence."""
    import pandas as pd

    from analysis.agreement.line import by_number

    assert isinstance(table, pd.DataFrame)
    if table.empty:
        return "No number is published."
    counts = by_number(table).value_counts()
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    return f"{int(counts.sum()):,} numbers: {told}."

"""`pilotcity submit`: a study as the package that a journal's data editor asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagster_project.paths import Paths, shown

HELP = "a study as the package that a journal's data editor asks for, checked and run once"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="name of a study of the last publication")
    parser.add_argument("--to", required=True, choices=("aea", "worldbank", "cie"), help="whose lists it has to pass")
    parser.add_argument("--from-raw", action="store_true", help="compute it in the package from the raw files on, too")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="a new folder; by default STUDY_TO here")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Write the package and say what an editor would send back; 0 where that is nothing."""
    from dagster_project.progress import Screen
    from dagster_project.submission import build

    folder = options.out or Path(f"{options.study}_{options.to}")
    with Screen() as screen:
        faults = build(paths, options.study, options.to, folder, from_raw=options.from_raw, tell=screen.doing)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{shown(folder)}: {size / 1e6:.0f} MB, every number came out again (logs/run.log).")
    for fault in faults:
        print(f"  to mend: {fault}")
    print("Yours to confirm: authors and affiliations, the statement about rights in README.md, LICENSE.txt.")
    return 1 if faults else 0

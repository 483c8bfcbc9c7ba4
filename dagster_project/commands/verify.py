"""`pilotcity verify`: whether a publication is still what was published."""

from __future__ import annotations

import argparse
import json

from dagster_project.paths import Paths

HELP = "compare a publication with its checksums, and its parts with each other"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=int, nargs="?", help="which one; what readers see by default")
    parser.add_argument("--json", action="store_true", help="print the result for machines")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Name every file that differs and since when; the exit code is 1 where one does."""
    from dagster_project import publication, verification
    from dagster_project.progress import Screen

    kept = publication.numbers(paths)
    if not kept:
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    if options.number is None and not paths.published.exists():
        raise ValueError(
            "The link that readers follow leads nowhere: `pilotcity run` or `pilotcity rollback` mends it."
        )
    number = options.number if options.number is not None else int(paths.published.resolve().name)
    if number not in kept:
        raise ValueError(f"There is no publication {number}; kept are {', '.join(map(str, kept))}.")
    with Screen(aside=True) as screen:
        screen.doing(f"comparing publication {number} with its checksums, and its parts with each other")
        verdict = verification.verify(paths, number)
    if options.json:
        print(json.dumps(verdict.as_dict(), indent=1, ensure_ascii=False))
    elif verdict.differences:
        print(f"Publication {number} is damaged ({verdict.seconds:.1f} s):")
        for sentence in verdict.sentences():
            print(f"  {sentence}")
        print("Make it anew with `pilotcity run`, or go back to a whole one with `pilotcity rollback`.")
    elif not verdict.sealed:
        print(
            f"Publication {number} has no checksums (an earlier version of pilotcity made it): its DuckDB file is what "
            f"its Parquet holds, and its exhibits are what its estimates say ({verdict.seconds:.1f} s)."
        )
    else:
        print(
            f"Publication {number} is as it was published: {verdict.files:,} files by checksum, its DuckDB file "
            f"against its Parquet, its exhibits against its estimates ({verdict.seconds:.1f} s)."
        )
    return 1 if verdict.differences else 0

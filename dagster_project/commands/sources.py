"""`pilotcity sources`: what each contract found in the raw folder, and what nothing claims."""

from __future__ import annotations

import argparse

from dagster_project.paths import Paths

HELP = "what each contract found in the raw folder, and what nothing claims"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print what each contract found in the raw folder, what is missing, and the files that no contract claims."""
    from pathlib import PurePosixPath

    from dagster_project.fingerprint import files_below
    from dagster_project.ingest import contracts
    from dagster_project.paths import CONTRACTS

    below = {PurePosixPath(path.relative_to(paths.raw)) for path in files_below(paths.raw)}
    claimed: set[PurePosixPath] = set()
    for contract in contracts.load_all(CONTRACTS).values():
        mine = sorted(path for path in below if contract.matches(path))
        claimed.update(mine)
        print(f"{contract.source:<24} {f'{len(mine)} files' if mine else 'MISSING':<10} {contract.title.en}")
        if not mine:
            print(f"{'':<24} {'':<10} to get it: {contract.obtain}")
    for path in sorted(below - claimed):
        print(f"no contract claims {path}")
    return 0

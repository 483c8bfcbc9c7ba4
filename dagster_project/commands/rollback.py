"""`pilotcity rollback`: point readers at an earlier publication."""

from __future__ import annotations

import argparse

from dagster_project.paths import Paths

HELP = "go back to an earlier publication"

BUSY = "A run is going on for this data folder and will publish when it is done: go back after that."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=int, nargs="?", help="which one; the one before the current by default")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Point readers at an earlier publication; not while a run goes on, which publishes and clears away old ones."""
    from dagster_project.resources import exclusive

    with exclusive(paths.run_lock, busy=BUSY):
        return _roll_back(paths, options)


def _roll_back(paths: Paths, options: argparse.Namespace) -> int:
    from dagster_project import publication, verification

    kept = publication.numbers(paths)
    if not kept:
        raise FileNotFoundError("Nothing is published yet.")
    # where the link leads nowhere, every publication that is kept is an earlier one
    current = int(paths.published.resolve().name) if paths.published.exists() else None
    earlier = [candidate for candidate in kept if current is None or candidate < current]
    wanted = options.number if options.number is not None else (earlier[-1] if earlier else None)
    if wanted is None or wanted not in kept:
        now = f"current is {current}" if current is not None else "none is current"
        raise ValueError(f"There is no such publication; kept are {', '.join(map(str, kept))}, {now}.")
    verdict = verification.verify(paths, wanted, thorough=False)
    if verdict.differences:
        raise ValueError(f"Publication {wanted} is damaged and readers are not taken there: {verdict.sentences()[0]}.")
    publication.point(paths, wanted)
    print(
        f"Readers now see publication {wanted} ({'was ' + str(current) if current is not None else 'there was none'})."
    )
    return 0

"""`pilotcity sources`: what each contract found in the raw folder, what is missing, and what it is needed for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dagster_project.paths import Paths

if TYPE_CHECKING:
    from dagster_project.ingest.contracts import Contract

HELP = "what each contract found in the raw folder, what is missing, and which tables need it"
YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
MARGIN = " " * 25


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print what each contract found, what is missing, who needs it, and the files that no contract claims."""
    from analysis.lineage.needs import Formulas, needs
    from dagster_project import overlay
    from dagster_project.raw_folder import look

    raw = look(paths.raw)
    below = {PurePosixPath(name) for name in raw.files}
    found = overlay.contracts(paths)
    formulas = Formulas.of(overlay.catalogue(paths).formulas_table().to_dict("records"))
    needed = needs(overlay.studies(paths), formulas)
    given = {source: _gives(contract) for source, contract in found.items()}
    known = _published_years(paths)
    claimed: set[PurePosixPath] = set()
    present = {source for source, contract in found.items() if any(contract.matches(path) for path in below)}
    for source, contract in found.items():
        mine = sorted(path for path in below if contract.matches(path))
        claimed.update(mine)
        state = f"{len(mine)} file{'s' * (len(mine) != 1)}" if mine else "MISSING"
        print(f"{source:<24} {state:<10} {contract.title.en}{_covered(contract, mine, known)}")
        if not mine:
            print(f"{MARGIN}to get it: {contract.obtain}")
        others = {name for other in present - {source} for name in given[other]}
        print(f"{MARGIN}{_needed(given[source], needed)}")
        if not mine and any(name in needed for name in given[source]):
            alone = [name for name in given[source] if name in needed and name not in others]
            print(f"{MARGIN}{_lost(alone, {name: formulas.stand_ins(name) & others for name in alone})}")
    for path in sorted(below - claimed):
        if "_truth" not in path.parts and path.name != "SAMPLE_DATA.txt":
            print(f"no contract claims {path}")
    for sentence in raw.sentences:
        print(sentence)
    return 0


def _gives(contract: Contract) -> list[str]:
    """Indicators of a contract, or the kind of its records."""
    from dagster_project.ingest.contracts import indicators_of

    if contract.kind != "yearbook":
        return [contract.kind]
    return list(dict.fromkeys(indicator for indicator, _ in indicators_of(contract)))


def _needed(given: Collection[str], needed: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Which exhibits read something that a contract gives."""
    from analysis.lineage.needs import said

    users: dict[str, list[str]] = {}
    for name in given:
        for study, exhibits in needed.get(name, {}).items():
            users.setdefault(study, []).extend(exhibits)
    listed = "; ".join(f"{study} {said(exhibits)}" for study, exhibits in users.items())
    return f"needed by {listed}" if listed else "no table or figure needs it"


def _lost(alone: Collection[str], stand_ins: Mapping[str, Collection[str]]) -> str:
    """What no other file of the folder has."""
    if not alone:
        return "other files here have the same: nothing is lost"
    named = [f"{name} ({', '.join(sorted(stand_ins[name]))} stands in)" if stand_ins[name] else name for name in alone]
    return f"nothing else here has {', '.join(named)}"


def _covered(contract: Contract, files: Collection[PurePosixPath], known: Mapping[str, tuple[int, int]]) -> str:
    """The years that files describe: as published last, else as their names say; and the gaps between."""
    years: set[int] = set()
    for file in files:
        named = YEAR.findall(file.name)
        if str(file) in known:
            first, last = known[str(file)]
            years.update(range(first, last + 1))
        elif len(named) == 1:
            years.add(int(named[0]))
    if not years:
        return ""
    gaps = sorted(set(range(min(years), max(years))) - years)
    span = f"{min(years)}-{max(years)}" if len(years) > 1 else str(min(years))
    return f", {span}" + (f", without {', '.join(map(str, gaps))}" if gaps else "")


def _published_years(paths: Paths) -> dict[str, tuple[int, int]]:
    """File -> first and last year in it, of the files of the last publication."""
    import pandas as pd

    kept = paths.published / "data" / "lineage" / "file_years.parquet"
    if not kept.exists():
        return {}
    rows = pd.read_parquet(kept).dropna()
    return {
        str(file): (int(first), int(last))
        for file, first, last in zip(rows["file"], rows["first_year"], rows["last_year"], strict=True)
    }

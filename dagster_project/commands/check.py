"""`pilotcity check`: specifications, contracts, lists and formulas, without a run; every fault with file, line and key.

What may stand in each kind of file is decided where it is read; here faults are gathered, none in the way of another.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import CATALOGUE, REFERENCE, Paths, shown

if TYPE_CHECKING:
    from analysis.catalogue import Catalogue
    from analysis.studies.records import Known

HELP = "every fault of studies, contracts and lists, without a run"
NEAREST = re.compile(r"nearest(?: there)? is '?([^';]+?)'?(?:[.;]|$)")


@dataclass(frozen=True)
class Found:
    """A fault: the file as a person types it, the line (0: nowhere in it), the key or column, and what is wrong."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        key = f", key {self.key!r}" if self.key else ""
        return f"{self.file}{line}{key}: {self.message}"

    def plain(self) -> dict[str, Any]:
        """For editors."""
        near = NEAREST.search(self.message)
        about = {"file": self.file, "line": self.line, "column": None, "key": self.key, "message": self.message}
        return {**about, "nearest": near[1] if near else None}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies, contracts or lists; all when none is named")
    parser.add_argument("--json", action="store_true", help="a list of objects: file, line, key, message, nearest")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print every fault; 1 where there is one."""
    faults: list[Found] = []
    files = {kind: _listed(find, paths, faults) for kind, find in _kinds().items()}
    _refuse_unknown(options.names, files)
    chosen = {
        kind: {name: path for name, path in those.items() if not options.names or name in options.names}
        for kind, those in files.items()
    }
    whole = not options.names
    faults += _lists(chosen["lists"]) if whole or chosen["lists"] else []
    needed = whole or chosen["contracts"] or chosen["studies"]
    catalogue = _catalogue(paths, faults) if needed else None
    faults += _contracts(catalogue, chosen["contracts"]) if catalogue else []
    roster = _roster(paths, faults) if catalogue else None
    faults += _studies(catalogue, files["lists"], chosen["studies"], roster) if catalogue else []
    faults = list(dict.fromkeys(faults))
    if options.json:
        print(json.dumps([fault.plain() for fault in faults], ensure_ascii=False, indent=1))
    else:
        counts = ", ".join(f"{len(those)} {kind}" for kind, those in chosen.items() if those)
        print("\n".join([*map(str, faults), f"{len(faults) or 'No'} fault{'s' * (len(faults) != 1)} in {counts}."]))
    return 1 if faults else 0


def _kinds() -> dict[str, Callable[[Paths], Mapping[str, Path]]]:
    from dagster_project import overlay

    return {"studies": overlay.study_files, "contracts": overlay.contract_files, "lists": overlay.policy_files}


def _listed(find: Callable[[Paths], Mapping[str, Path]], paths: Paths, faults: list[Found]) -> Mapping[str, Path]:
    """Files of a kind by name; where a name stands twice that is a fault, and the built-in ones are checked."""
    try:
        return find(paths)
    except ValueError as error:
        own = re.search(r" and (\S+)\. Rename one\.$", str(error))
        faults.append(Found(own[1] if own else shown(paths.own), 0, "", str(error)))
        return find(replace(paths, own=paths.own / "none"))


def _refuse_unknown(names: Collection[str], files: Mapping[str, Mapping[str, Path]]) -> None:
    from analysis.documents import nearest

    known = {name for those in files.values() for name in those}
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"; the nearest is {near!r}" if near else ""
            raise ValueError(f"No study, contract or list is called {name!r}{hint}.")


def _told(path: Path, error: Exception) -> Iterator[Found]:
    """The faults that an error carries, or the error itself as one."""
    from analysis.documents import DocumentError

    if isinstance(error, DocumentError):
        for fault in error.faults:
            yield Found(shown(path), fault.line, fault.key, fault.message)
        return
    text = str(error)
    at = re.search(r"(?:, |^)(?:line|row) (\d+)", text)
    column = re.search(r"column '([^']+)'", text)
    yield Found(shown(path), int(at[1]) if at else 0, column[1] if column else "", text)


def _lists(files: Mapping[str, Path]) -> list[Found]:
    from analysis.studies import policies

    cities = _cities()
    found: list[Found] = []
    for path in files.values():
        try:
            faults = policies.faults(path, cities)
        except ValueError as error:
            found += _told(path, error)
            continue
        found += [Found(shown(path), line, column, message) for line, column, message in faults]
    return found


def _cities() -> dict[str, str]:
    from analysis.studies.policies import numbered

    return {row["city_code"]: row["name_zh"] for _, row in numbered(REFERENCE / "cities.csv")[1]}


def _catalogue(paths: Paths, faults: list[Found]) -> Catalogue:
    """Indicators and variables with their formulas; the built-in ones alone where the own ones have a fault."""
    from analysis import catalogue as reading
    from dagster_project import overlay

    try:
        return overlay.catalogue(paths)
    except ValueError as error:
        named = reading.INDICATORS if reading.INDICATORS in str(error) else reading.VARIABLES
        own = paths.own / named
        faults += _told(own if own.exists() else CATALOGUE / named, error)
    return reading.load()


def _contracts(catalogue: Catalogue, files: Mapping[str, Path]) -> list[Found]:
    """Contracts, and that the indicators and units which they name exist."""
    from analysis.documents import Location, hint, read
    from analysis.studies.policies import rows
    from dagster_project.ingest import contracts

    found: list[Found] = []
    indicators = catalogue.indicators
    units = {row["unit"] for row in rows(CATALOGUE / "measurement_units.csv")}
    for name, path in files.items():
        try:
            contract = contracts.load(path)
        except ValueError as error:
            found += _told(path, error)
            continue
        wrong: dict[Location, str] = {}
        if contract.source != name:
            wrong["source",] = f"`source: {contract.source}` must be the file's name, {name}."
        for at, table in enumerate(contract.tables):
            for number, column in enumerate(table.columns):
                place: Location = ("tables", at, "columns", number)
                if column.indicator not in indicators:
                    said = f"{column.indicator!r} is no indicator{hint(column.indicator, indicators)}"
                    wrong[*place, "indicator"] = said
                if isinstance(column.unit, str) and column.unit not in units:
                    wrong[*place, "unit"] = f"{column.unit!r} is no measurement unit{hint(column.unit, units)}"
        if wrong:
            document = read(path, aliases=True, kind="contracts")
            faults = [document.fault(place, said) for place, said in wrong.items()]
            found += [Found(shown(path), fault.line, fault.key, fault.message) for fault in faults]
    return found


def _roster(paths: Paths, faults: list[Found]) -> bytes | None:
    """The cities with the attributes of the own folder; without these where they have faults."""
    from dagster_project import overlay

    try:
        return overlay.cities_csv(paths)
    except ValueError as error:
        for line in str(error).splitlines():
            faults += _told(paths.own / overlay.CITIES, ValueError(line))
        return None


def _studies(
    catalogue: Catalogue, lists: Mapping[str, Path], files: Mapping[str, Path], roster: bytes | None
) -> list[Found]:
    """Specifications, and the panels of those that name a file."""
    from analysis.studies import spec

    names = _known(catalogue, lists, roster)
    found: list[Found] = []
    for path in files.values():
        try:
            study = spec.load(path, names)
            if study.panel is not None:
                from analysis.panel_from_file import assemble

                assemble(study, names.places)
        except ValueError as error:
            found += _told(path, error)
    return found


def _known(catalogue: Catalogue, lists: Mapping[str, Path], roster: bytes | None) -> Known:
    """The names that studies may refer to; a list with faults, told elsewhere, is known by its name and scopes."""
    from analysis.studies import policies, spec

    cities = _cities()
    sound, scopes = {}, {}
    for name, path in lists.items():
        try:
            if not policies.faults(path, cities):
                sound[name] = path
                continue
            scopes[name] = frozenset(row.get("scope") or "" for row in policies.rows(path))
        except ValueError:
            scopes[name] = frozenset()
    names = spec.known(REFERENCE.parent, sound, catalogue.drawn, roster)
    return replace(names, policies={**names.policies, **scopes})

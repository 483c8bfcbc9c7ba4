"""Results kept by content: what was computed once from the same inputs by the same code is not computed again.

A result is a folder of files below <data>/warehouse/results/<name>/<version>, written whole or not at all. Its version
is a hash of everything that decides it: its part of the specification, the content of what it reads, the code that it
runs (`code_version`) and the locked libraries. No time and no place of a file is in it, so a clock that is set and a
folder that is moved make nothing stale. A result whose files are not what was kept is thrown away with a sentence and
made anew. docs/developer.md shows how a computation is wrapped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from dagster_project import state
from dagster_project.code_version import Code
from dagster_project.fingerprint import digest
from dagster_project.paths import LOCK, Paths

#: Beside the files of a result: their hashes.
SEAL = ".sha256.json"
#: Among the results: name -> version of those that the last site was made of.
LAST_SITE = "last_site.json"


@dataclasses.dataclass(frozen=True)
class Content:
    """What a file holds, as an input; a file that is not there is an input too."""

    path: Path


def canonical(value: Any) -> Any:
    """A value as JSON can hold it, the same for equal values: records by field, sets in order, paths by their name.

    Raises
    ------
    TypeError
        A value whose text need not be the same in the next process.
    """
    if isinstance(value, Content):
        return digest(value.path) if value.path.exists() else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"record": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return [[canonical(key), canonical(item)] for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(item) for item in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, PurePath):
        return value.name
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} {value!r} has no canonical form.")


@dataclasses.dataclass(frozen=True)
class Computation:
    """A deterministic computation that writes files.

    Attributes
    ----------
    name : what is computed, as a path: a result lies below it.
    inputs : everything that decides the result besides code: text, numbers, records, files as `Content`.
    modules : the modules that compute it; what they import counts by itself.
    without : as in `code_version.Code.version`.
    make : writes the result's files into an empty folder.
    """

    name: str
    inputs: Mapping[str, Any]
    modules: tuple[str, ...]
    make: Callable[[Path], object]
    without: tuple[str, ...] = ()


class Store:
    """The results of one installation; ``afresh`` computes everything again, whatever is there."""

    def __init__(self, paths: Paths, afresh: bool = False) -> None:
        self.folder, self.afresh = paths.results, afresh
        self.code = code(self.folder / "imports.json")
        self._made: set[tuple[str, str]] = set()

    def version(self, computation: Computation) -> str:
        """The content version of a result, known before it is computed."""
        said = {
            "name": computation.name,
            "inputs": canonical(computation.inputs),
            "code": self.code.version(computation.modules, computation.without),
            "libraries": libraries(),
        }
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, allow_nan=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, name: str, version: str) -> Path | None:
        """The folder of a result, if it is there and is what was kept."""
        folder = self.folder / name / version
        if not folder.is_dir():
            return None
        seal = state.read_json(folder / SEAL)
        if seal and _files(folder) == set(seal) and all(digest(folder / file) == sha for file, sha in seal.items()):
            return folder
        print(f"pilotcity: the kept result {name} is damaged; it is made anew.", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def keep(self, computation: Computation) -> tuple[str, Path]:
        """The version and the folder of a result, computed unless it is there."""
        version = self.version(computation)
        found = None if self.due(computation, version) else self.get(computation.name, version)

        def make(folder: Path) -> None:
            computation.make(folder)
            self.code.forget()
            if self.version(computation) != version:
                raise RuntimeError(f"What {computation.name} is made of has changed while it was made; run again.")

        return version, found or self.put(computation.name, version, make)

    def is_missing(self, computation: Computation) -> bool:
        """Whether a result has yet to be computed."""
        version = self.version(computation)
        return self.due(computation, version) or self.get(computation.name, version) is None

    def due(self, computation: Computation, version: str) -> bool:
        """Whether a result is to be computed in any case: in a run that computes all of them once more."""
        return self.afresh and (computation.name, version) not in self._made

    def put(self, name: str, version: str, make: Callable[[Path], object]) -> Path:
        """Keep what ``make`` writes into an empty folder; returns where it is now."""
        target = self.folder / name / version
        fresh = target.with_name(f".{version[:12]}.{os.getpid()}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            make(fresh)
            seal = {file: digest(fresh / file) for file in sorted(_files(fresh))}
            (fresh / SEAL).write_text(json.dumps(seal, indent=1), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self.was_made(name, version)
        return target

    def was_made(self, name: str, version: str) -> None:
        """Another process of this run has made a result."""
        self._made.add((name, version))

    def sweep(self, wanted: Collection[tuple[str, str]]) -> None:
        """Take away what none of these results (name and version) is, and what a killed process left.

        Pieces of the last site stay: what a page looks like is no part of a publication's versions.
        """
        kept = {self.folder / name / version for name, version in (*wanted, *self._last_site().items())}
        for seal in sorted(self.folder.rglob(SEAL)):
            if seal.parent not in kept:
                shutil.rmtree(seal.parent, ignore_errors=True)
        for left in sorted(self.folder.rglob(".*.new")):
            shutil.rmtree(left, ignore_errors=True)
        self.code.remember()

    def remember_site(self, versions: Mapping[str, str]) -> None:
        """Name -> version of the pieces that a site was made of, which the next one may have again."""
        state.write_json(self.folder / LAST_SITE, dict(versions))

    def _last_site(self) -> dict[str, str]:
        return {name: str(version) for name, version in state.read_json(self.folder / LAST_SITE).items()}


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SEAL}


@cache
def of_run(paths: Paths, run: str, afresh: bool) -> Store:
    """One store for all steps of a run."""
    return Store(paths, afresh)


@cache
def code(memory: Path) -> Code:
    """The modules as this process runs them: a file that is edited meanwhile counts for the next process."""
    return Code(memory)


@cache
def libraries() -> str:
    """One hash of the locked libraries, the version of Python and the kind of processor."""
    said = [digest(LOCK), platform.python_version(), platform.machine(), sys.platform]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()

"""A publication on disk: the candidate a run builds, and the swap that makes it what readers see.

Readers follow data/published, one symlink; it is replaced by rename, so they see the old publication whole or the new
one whole.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project import history, state, status, verification
from dagster_project.fingerprint import fingerprint
from dagster_project.paths import REFERENCE, Paths
from dagster_project.verification import DATABASE

if TYPE_CHECKING:
    import duckdb

KEPT = 5
#: File of a publication: name -> version of every result that it holds (see `store`).
VERSIONS = "versions.json"


def begin(paths: Paths, run: str = "") -> Path:
    """An empty candidate folder that belongs to a run."""
    _owner(paths).unlink(missing_ok=True)
    shutil.rmtree(paths.candidate, ignore_errors=True)
    paths.candidate.mkdir(parents=True)
    _claim(paths, run)
    return paths.candidate


def open_candidate(paths: Paths, run: str = "") -> Path:
    """The candidate to go on with: this run's own, or what a run that came to its end left to be published.

    Anything else (a run that failed or was killed, a publication since then) is thrown away, and work goes on with a
    copy of what is published.
    """
    owner = state.read_json(_owner(paths))
    whole = bool(state.read_json(paths.candidate / "publication.json"))
    mine = owner.get("run") == run
    handed_on = bool(owner.get("settled")) and owner.get("after") == _current(paths)
    if whole and (mine or handed_on):
        _claim(paths, run)
        return paths.candidate
    if not paths.published.exists():
        raise FileNotFoundError("Nothing is published yet: materialise everything once (make run).")
    hurt = verification.damage(paths.published.resolve())
    if hurt:
        raise ValueError(
            f"Publication {_current(paths)} is damaged, so that nothing can be added to it: {hurt[0].file} "
            f"{hurt[0].what}. Make all of it anew: pilotcity run."
        )
    _owner(paths).unlink(missing_ok=True)
    shutil.rmtree(paths.candidate, ignore_errors=True)
    shutil.copytree(paths.published.resolve(), paths.candidate)
    _claim(paths, run)
    return paths.candidate


def settle(paths: Paths) -> None:
    """A run has come to its end: what it left unpublished may be gone on with."""
    owner = state.read_json(_owner(paths))
    if owner:
        state.write_json(_owner(paths), owner | {"settled": True})


def _claim(paths: Paths, run: str) -> None:
    state.write_json(_owner(paths), {"run": run, "settled": False, "after": _current(paths)})


def _current(paths: Paths) -> str:
    return paths.published.resolve().name if paths.published.exists() else ""


def _owner(paths: Paths) -> Path:
    """Whose the candidate is; beside it, as it is no part of what is published."""
    return paths.publications / "candidate.json"


def record(candidate: Path, versions: dict[str, str]) -> None:
    """Write down which results a candidate holds: their names, and versions by content."""
    known = state.read_json(candidate / VERSIONS) | versions
    (candidate / VERSIONS).write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def versions(folder: Path) -> dict[str, str]:
    """Name -> version of every result that a publication or a candidate holds, as far as they are known."""
    return {name: str(version) for name, version in state.read_json(folder / VERSIONS).items()}


def kept_results(paths: Paths) -> set[tuple[str, str]]:
    """Every result that a publication on the disk holds."""
    folders = [paths.publications / str(number) for number in numbers(paths)]
    return {result for folder in folders for result in versions(folder).items()}


def is_published(paths: Paths, candidate: Path) -> bool:
    """Whether a candidate was made of nothing but what readers see already, whole."""
    if not paths.published.exists():
        return False
    now, last = (state.read_json(folder / "publication.json") for folder in (candidate, paths.published))
    same = now == last and versions(candidate) == versions(paths.published)
    return same and not verification.damage(paths.published.resolve())


def drop(paths: Paths) -> None:
    """Throw a candidate away that brings nothing new, and say that the publication is up to date."""
    _owner(paths).unlink(missing_ok=True)
    shutil.rmtree(paths.candidate, ignore_errors=True)
    status.published(paths)


def describe(paths: Paths) -> dict[str, object]:
    """What a publication says of itself; the same inputs give the same description."""
    hashes = fingerprint(paths)
    return {
        "version": hash_of(hashes),
        "is_sample": paths.is_sample,
        "raw_sha256": hashes["raw"].split()[-1],
        "code_sha256": hashes["code"],
        "lock_sha256": hashes["lock"],
    }


def hash_of(hashes: dict[str, str]) -> str:
    """Twelve hex digits that name the inputs; the raw folder's place does not count, its content does."""
    import hashlib

    text = "\n".join(f"{kind} {value.split()[-1]}" for kind, value in sorted(hashes.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_tables(
    connection: duckdb.DuckDBPyConnection, candidate: Path, studies: Collection[str] | None = None
) -> dict[str, int]:
    """Copy what readers get from the warehouse to Parquet, ordered by all columns; returns rows by table.

    ``studies`` are the panels of the studies that are computed (None: all that there are): what is left in the
    warehouse of others is not published.
    """
    connection.execute("set threads = 1")
    published = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema in ('panels', 'scores', 'quality', 'lineage') order by all"
    ).fetchall()
    of_studies = connection.execute(
        "select table_name from information_schema.columns where table_schema = 'panels' and column_name = 'adoption'"
    ).fetchall()
    left = {name for (name,) in of_studies if studies is not None and name not in studies}
    published = [(schema, table) for schema, table in published if schema != "panels" or table not in left]
    rows = {}
    for schema, table in published:
        folder = candidate / "data" / schema
        folder.mkdir(parents=True, exist_ok=True)
        connection.execute(
            f"copy (select * from {schema}.{table} order by all) to '{folder / table}.parquet' (format parquet)"
        )
        rows[f"{schema}.{table}"] = connection.execute(f"select count(*) from {schema}.{table}").fetchall()[0][0]
    return rows


def write_cities(candidate: Path) -> int:
    """Names, province, region and place of every city as panels.cities, to join by city_code; returns its rows."""
    import pandas as pd

    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str, "province_code": str})
    target = candidate / "data" / "panels" / "cities.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    cities.to_parquet(target, index=False)
    return len(cities)


def connect_published(paths: Paths) -> duckdb.DuckDBPyConnection:
    """The published database, read-only, without access to anything else; a refresh does not disturb it."""
    import duckdb

    database = paths.published / DATABASE
    if not database.exists():
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    # a setting could name a file to write to, so none can be changed any more
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "lock_configuration": True,
    }
    return duckdb.connect(str(database.resolve()), read_only=True, config=settings)


def numbers(paths: Paths) -> list[int]:
    """Numbers of the publications on disk, oldest first."""
    if not paths.publications.is_dir():
        return []
    return sorted(int(path.name) for path in paths.publications.iterdir() if re.fullmatch(r"\d+", path.name))


def publish(paths: Paths) -> int:
    """Make the candidate the publication that readers see; returns its number. The last five are kept.

    Where an input has changed since the candidate was begun, no fingerprint is recorded: the next run has work to do.
    """
    number = max(numbers(paths), default=0) + 1
    hashes = fingerprint(paths)
    begun = json.loads((paths.candidate / "publication.json").read_text())["version"]
    recorded = hashes if hash_of(hashes) == begun else {}
    state.write_json(paths.candidate / "fingerprint.json", recorded)
    verification.seal(paths.candidate)
    # a loss of power after the swap must find every file of it on the disk
    state.sync_all_below(paths.candidate)
    _owner(paths).unlink(missing_ok=True)
    paths.candidate.rename(paths.publications / str(number))
    state.sync(paths.publications)
    point(paths, number)
    history.keep(paths, paths.publications / str(number))
    verification.published(paths, number)
    status.published(paths)
    current = paths.published.resolve()
    for old in numbers(paths)[:-KEPT]:
        if paths.publications / str(old) != current:
            shutil.rmtree(paths.publications / str(old), ignore_errors=True)
    return number


def point(paths: Paths, number: int) -> None:
    """Point data/published and data/reports at a publication, each by one rename."""
    state.link(paths.published, Path("publications") / str(number))
    state.link(paths.reports, Path("published") / "site")
    verification.tell(paths)


def repair(paths: Paths) -> str:
    """Where the link that readers follow leads nowhere: let it lead to the newest whole publication, and say so."""
    if not paths.published.is_symlink() or paths.published.exists():
        return ""
    missing = paths.published.readlink().name
    for number in reversed(numbers(paths)):
        if not verification.verify(paths, number, thorough=False).differences:
            point(paths, number)
            return f"Publication {missing} is gone; readers see publication {number}, the newest that is whole."
    paths.published.unlink()
    paths.reports.unlink(missing_ok=True)
    return f"Publication {missing} is gone, and no other one is whole: everything is made anew."

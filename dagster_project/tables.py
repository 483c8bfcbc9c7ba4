"""The tables that the warehouse hands to a candidate, kept by content: Parquet, and the outcomes of their checks.

Their version is known before anything is read: files, contracts, catalogue, lists, what of the studies reaches the
warehouse, and the code from readers to checks. While it is the published one, raw files, dbt and expectations have
nothing to do, and a candidate begins from what is kept here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project import overlay, state
from dagster_project.fingerprint import hash_folder, hash_raw
from dagster_project.paths import CATALOGUE, CONTRACTS, DBT_PROJECT, POLICIES, REFERENCE, Paths
from dagster_project.store import Content, Store, canonical, libraries

if TYPE_CHECKING:
    from analysis.studies.records import Study

NAME = "tables"
#: What makes the tables, and what checks them.
MODULES = (
    "dagster_project.assets.efficiency",
    "dagster_project.assets.sources",
    "dagster_project.assets.warehouse",
    "dagster_project.publication",
    "dagster_project.tables",
)
OUTCOMES = "outcomes"


def part_of(study: Study) -> Study:
    """A study without what the warehouse is not told: its exhibits, what they have in common, and its citation."""
    return replace(
        study,
        exhibits=(),
        controls=(),
        fixed_effects=(),
        cluster=(),
        groups=(),
        outcomes=(),
        weights={},
        citation=None,
        doi=None,
        note=None,
        file=Path(study.file.name),
    )


def version(paths: Paths, store: Store, studies: Sequence[Study]) -> str:
    """The version of the tables that the present inputs lead to; ``studies`` are all that are computed."""
    own = paths.own
    said = {
        "raw": hash_raw(paths.raw),
        "is_sample": paths.is_sample,
        "committed": [hash_folder(folder) for folder in (CATALOGUE, CONTRACTS, DBT_PROJECT, POLICIES, REFERENCE)],
        "own": [hash_folder(own / name) for name in ("contracts", "policies")],
        "own catalogue": [
            canonical(Content(own / name)) for name in ("cities.csv", "indicators.csv", "variables.yaml")
        ],
        "formulas": sorted(overlay.names_in_formulas(paths)),
        "studies": [canonical(part_of(study)) for study in studies if study.panel is None],
        "engine": os.environ.get("DBT_TARGET") or "duckdb",
        "code": store.code.version(MODULES),
        "libraries": libraries(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def begin(paths: Paths, run: str, version: str) -> None:
    """Remember which version a run sets out for, before it reads anything."""
    _begun(paths).parent.mkdir(parents=True, exist_ok=True)
    state.write_json(_begun(paths), {"run": run, "version": version})


def set_out_for(paths: Paths, run: str) -> str | None:
    """The version that a run set out for; None for one that takes in only some of what leads to the tables."""
    begun = state.read_json(_begun(paths))
    return str(begun["version"]) if begun.get("run") == run else None


def keep(paths: Paths, store: Store, version: str, data: Path, from_files: Collection[str]) -> None:
    """Keep a candidate's tables as the warehouse gave them, and the outcomes of the checks that they passed.

    The checks on panels ``from_files`` are not of the warehouse.
    """

    def copy(folder: Path) -> None:
        shutil.copytree(data, folder / "data")
        (folder / OUTCOMES).mkdir()
        for outcome in _outcomes(paths, from_files):
            shutil.copyfile(outcome, folder / OUTCOMES / outcome.name)

    store.put(NAME, version, copy)


def _outcomes(paths: Paths, from_files: Collection[str]) -> list[Path]:
    """What the checks on the warehouse's tables found last."""
    others = {f"panels.{study}{drift}.json" for study in from_files for drift in ("", "_drift")}
    return [path for path in sorted((paths.expectations_store / OUTCOMES).glob("*.json")) if path.name not in others]


def take(paths: Paths, store: Store, version: str, candidate: Path, from_files: Collection[str]) -> bool:
    """Put kept tables into a candidate, and the outcomes of their checks in place; whether there are any."""
    kept = store.get(NAME, version)
    if kept is None:
        return False
    shutil.copytree(kept / "data", candidate / "data", dirs_exist_ok=True)
    for outcome in _outcomes(paths, from_files):
        outcome.unlink()
    shutil.copytree(kept / OUTCOMES, paths.expectations_store / OUTCOMES, dirs_exist_ok=True)
    return True


def _begun(paths: Paths) -> Path:
    return paths.data / "warehouse" / "begun.json"

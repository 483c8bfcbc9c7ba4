"""What a run has to do: which tables, exhibits and audits are not those that the present inputs lead to.

Decided by content alone, before anything heavy is imported. What is left out of a run is kept from an earlier one, so
that a run of a few steps ends in the same bytes as a run of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project import exhibits, overlay, publication, tables
from dagster_project.paths import Paths
from dagster_project.store import Store

if TYPE_CHECKING:
    from analysis.studies.records import Study


@dataclass(frozen=True)
class Plan:
    """What a run takes in.

    Attributes
    ----------
    light : whether the warehouse's tables are kept as they are, so that nothing before the candidate is needed.
    exhibits : study and name of each exhibit that is to be computed; None for all of them.
    """

    light: bool
    exhibits: tuple[tuple[str, str], ...] | None = None

    def takes(self, study: str, exhibit: str) -> bool:
        """Whether an exhibit is to be computed."""
        return self.exhibits is None or (study, exhibit) in self.exhibits


EVERYTHING = Plan(light=False)


def set_out(paths: Paths, run: str) -> None:
    """A run of everything is about to begin: remember what it reads, as it is now."""
    studies = overlay.studies(paths)
    tables.begin(paths, run, tables.version(paths, Store(paths), studies))


def plan(paths: Paths) -> Plan:
    """What the present inputs ask for beside what is kept; everything where that cannot be told."""
    if not paths.published.exists():
        return EVERYTHING
    store = Store(paths)
    studies = overlay.studies(paths)
    version = tables.version(paths, store, studies)
    kept = store.get(tables.NAME, version)
    if kept is None or publication.versions(paths.published).get(tables.NAME) != version:
        return EVERYTHING
    return Plan(light=True, exhibits=tuple(_missing(paths, store, kept, studies)))


def _missing(paths: Paths, store: Store, kept: Path, studies: Sequence[Study]) -> list[tuple[str, str]]:
    """What is not kept; of a study from a file, whose panel is only made in the run, everything is asked for."""
    every = [(study, exhibit.name) for study in studies for exhibit in study.exhibits]
    return [
        (study.name, name)
        for study, name in every
        if study.panel or store.is_missing(exhibits.computation(paths, kept, study, name))
    ]

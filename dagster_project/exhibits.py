"""An exhibit as a computation by content: its own panel and part of the specification in, its files out.

What is computed stands in `analysis`; here is what it depends on, and where its files go in a candidate.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project import drawn, overlay
from dagster_project.paths import Paths
from dagster_project.store import SEAL, Computation, Content, Store

if TYPE_CHECKING:
    from analysis.studies.records import Study

MAKER = "analysis.reporting.exhibit_files"
TRUTH = "analysis.studies.truth"
#: Entries of these count where an exhibit names them.
ENTRIES = ("analysis.studies.kinds", "analysis.studies.methods")
#: Kinds whose tables look at every method there is.
LOOKS_AT_ALL = {"estimators"}


def is_sample(paths: Paths, study: Study) -> bool:
    """Whether a study's panel comes from the sample world; one from a file never does."""
    return paths.is_sample and study.panel is None


def read_panel(candidate: Path, study: str) -> pd.DataFrame:
    """A study's panel from the candidate."""
    return pd.read_parquet(panel_file(candidate, study))


def panel_file(candidate: Path, study: str) -> Path:
    """Where the candidate has the panel of a study."""
    return candidate / "data" / "panels" / f"{study}.parquet"


def panels_of(study: Study, exhibit: str) -> list[str]:
    """The study's own panel, and those over other years that the exhibit's models name."""
    return [study.name, *sorted({model.panel for model in study.exhibit(exhibit).models if model.panel})]


def ledger_of(paths: Paths, study: Study) -> Path | None:
    """The true effects of the sample world, for a study whose panel comes from it."""
    return paths.raw / "_truth" / "truth.parquet" if is_sample(paths, study) else None


def computation(paths: Paths, candidate: Path, study: Study, name: str) -> Computation:
    """An exhibit: everything of the study but its other exhibits, and the panels that its models name."""
    from analysis.studies.methods import MODULES

    exhibit = study.exhibit(name)
    alone = replace(study, exhibits=(exhibit,), citation=None, doi=None, note=None)
    ledger = ledger_of(paths, study)
    methods = {MODULES[model.method] for model in (*exhibit.models, *exhibit.tests)}
    every = ENTRIES if exhibit.kind not in LOOKS_AT_ALL else ENTRIES[:1]
    return Computation(
        name=f"exhibits/{study.name}/{name}",
        inputs={
            "study": alone,
            "city_year": _drawn(candidate, study, name),
            "panels": {panel: Content(panel_file(candidate, panel)) for panel in panels_of(study, name)},
            "cities": hashlib.sha256(overlay.cities_csv(paths)).hexdigest(),
            "printed": Content(study.file.parent / "published" / f"{study.name}.yaml"),
            "truth": Content(ledger) if ledger else None,
            "is_sample": is_sample(paths, study),
        },
        modules=(
            MAKER,
            "dagster_project.drawn",
            f"analysis.studies.kinds.{exhibit.kind}",
            *(f"analysis.studies.methods.{module}" for module in sorted(methods)),
        ),
        without=(*every, *(() if ledger else (TRUTH,))),
        make=lambda folder: _make(paths, candidate, alone, name, folder),
    )


def _drawn(candidate: Path, study: Study, name: str) -> str | None:
    """One hash of the columns of city_year that an exhibit reads behind its panel; None for one that reads none."""
    found = drawn.city_year(candidate, study) if drawn.reads(study, [name]) else {}
    return hashlib.sha256(found["city_year"].to_csv(index=False).encode()).hexdigest() if found else None


def _make(paths: Paths, candidate: Path, study: Study, name: str, folder: Path) -> None:
    from analysis.reporting.exhibit_files import write_exhibit
    from analysis.studies.kinds import KINDS

    ledger, exhibit = ledger_of(paths, study), study.exhibit(name)
    listed = KINDS[exhibit.kind].listed
    if listed:
        # before the panel, and with it any outcome, is read
        listed(exhibit).to_csv(folder / f"{name}.specifications.csv", index=False, lineterminator="\n")
    # a panel that the candidate does not have is a reason why a model is not computed
    others = [panel for panel in panels_of(study, name)[1:] if panel_file(candidate, panel).exists()]
    write_exhibit(
        folder,
        study,
        name,
        read_panel(candidate, study.name),
        is_sample=is_sample(paths, study),
        cities=overlay.cities(paths, dtype={"city_code": str}),
        panels={panel: read_panel(candidate, panel) for panel in others}
        | (drawn.city_year(candidate, study) if drawn.reads(study, [name]) else {}),
        printed=study.file.parent / "published",
        ledger=pd.read_parquet(ledger) if ledger and ledger.exists() else None,
    )


def assemble(paths: Paths, store: Store, candidate: Path, studies: Sequence[Study]) -> dict[str, str]:
    """Put the files of every exhibit into the candidate, and all estimates into one table; name -> version.

    What is not kept is computed here, so that a candidate is whole whichever exhibits a run was asked for.
    """
    from analysis.reporting.exhibit_files import RESULT

    shutil.rmtree(candidate / "exhibits", ignore_errors=True)
    versions, parts = {}, []
    for study in studies:
        target = candidate / "exhibits" / study.name
        target.mkdir(parents=True)
        for exhibit in study.exhibits:
            made = computation(paths, candidate, study, exhibit.name)
            versions[made.name], folder = store.keep(made)
            for file in sorted(folder.iterdir()):
                if file.name not in (SEAL, RESULT):
                    shutil.copyfile(file, target / file.name)
            parts.append(pd.read_parquet(folder / f"{exhibit.name}.estimates.parquet"))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    estimates = candidate / "data" / "estimates" / "estimates.parquet"
    estimates.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(estimates, index=False)
    return versions

"""What the audit of a study reads, from a publication's folder. Rules and findings live in `analysis.audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project import agreement, overlay
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.audit import Inputs
    from analysis.studies.records import Study


def audit_inputs(paths: Paths, folder: Path, study: Study) -> Inputs:
    """Panel, estimates, city_year, lists and printed figures of a study, from a publication or a candidate."""
    from analysis.audit import Inputs
    from analysis.studies.file_panel import keyed
    from analysis.studies.published import published

    panels = folder / "data" / "panels"
    city_year = panels / "city_year.parquet"
    sample = bool(json.loads((folder / "publication.json").read_text())["is_sample"])
    estimates = pd.read_parquet(folder / "data" / "estimates" / "estimates.parquet")
    named = sorted({study.policy, *(policy.policy for policy in study.policies)} - {""})
    lists = overlay.policy_files(paths)
    others = [name for name in sorted(study.other_panels) if (panels / f"{name}.parquet").exists()]
    return Inputs(
        study=study,
        printed=published(study.name, study.file.parent / "published"),
        panel=keyed(study, pd.read_parquet(panels / f"{study.name}.parquet")),
        panels={name: pd.read_parquet(panels / f"{name}.parquet") for name in others},
        estimates=estimates[estimates["study"].eq(study.name)],
        city_year=pd.read_parquet(city_year) if study.panel is None else None,
        cities=overlay.cities(paths, dtype={"city_code": str}),
        pilots={name: _pilots(lists[name], study.last_month) for name in named},
        is_sample=sample and study.panel is None,
        agreement=agreement.read(folder, study.name),
    )


def _pilots(path: Path, last_month: int) -> pd.DataFrame:
    """A policy list; first treated years are numbers, what is blank is missing."""
    from analysis.studies import policies

    table = pd.DataFrame(policies.rows(path)).replace("", None)
    late = pd.to_numeric(table["month"]) > last_month
    return table.assign(adoption=pd.to_numeric(table["adoption"]) + late)

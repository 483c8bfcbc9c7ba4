"""What the audit of a study reads, from a publication's folder. Rules and findings live in `analysis.audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dagster_project.paths import POLICIES, REFERENCE

if TYPE_CHECKING:
    from analysis.audit import Material
    from analysis.studies.records import Study


def material(folder: Path, study: Study, *, is_sample: bool) -> Material:
    """Panel, estimates, city_year, lists and printed figures of a study, from a publication or a candidate."""
    from analysis.audit import Material
    from analysis.studies.published import published

    panels = folder / "data" / "panels"
    estimates = pd.read_parquet(folder / "data" / "estimates" / "estimates.parquet")
    lists = {study.policy, *(policy.policy for policy in study.policies)}
    others = [name for name in sorted(study.other_panels) if (panels / f"{name}.parquet").exists()]
    return Material(
        study=study,
        printed=published(study.name, study.file.parent / "published"),
        panel=pd.read_parquet(panels / f"{study.name}.parquet"),
        panels={name: pd.read_parquet(panels / f"{name}.parquet") for name in others},
        estimates=estimates[estimates["study"].eq(study.name)],
        city_year=pd.read_parquet(panels / "city_year.parquet"),
        cities=pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str}),
        pilots={name: pd.read_csv(POLICIES / f"{name}.csv", dtype={"city_code": str}) for name in sorted(lists)},
        is_sample=is_sample,
    )

"""Panels of the package's own studies with their real cities and pilots, made here, for tests of the studies."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.studies.records import Study

DATA = Path(__file__).resolve().parents[1] / "data"
CITIES = pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})


def make_panel(study: Study, seed: int = 0) -> pd.DataFrame:
    """A panel of the study's cities, years, real pilots and other policies, with noise for variables and an effect of
    0.5 on outcomes."""
    rng = np.random.default_rng(seed)
    codes = CITIES.loc[study.takes(CITIES), "city_code"]
    years = range(study.years[0], study.years[1] + 1)
    panel = pd.MultiIndex.from_product([codes, years], names=["city_code", "year"]).to_frame(index=False)
    panel["adoption"] = panel["city_code"].map(_first_years(study.policy))
    panel[study.treatment] = (panel["year"] >= panel["adoption"]).astype(float)
    for policy in study.policies:
        panel[policy.name] = (panel["year"] >= panel["city_code"].map(_first_years(policy.policy))).astype(int)
    for variable in study.variables:
        level = np.repeat(rng.normal(size=len(codes)), len(years))
        effect = 0.5 * (variable.role == "outcome")
        panel[variable.name] = level + rng.normal(size=len(panel)) / 3 + effect * panel[study.treatment]
    return panel


def _first_years(policy: str) -> pd.Series:
    pilots = pd.read_csv(DATA / "policies" / f"{policy}.csv", dtype={"city_code": str})
    return pilots.groupby("city_code")["adoption"].min().astype(float)

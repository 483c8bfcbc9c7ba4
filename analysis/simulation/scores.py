"""The two efficiency scores of the studies, computed on the world's exact figures.

Which inputs and outputs a score has is fixed here as the papers state it; how large the policies' effects on them are
is decided in policy.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.efficiency import super_sbm
from analysis.simulation.draws import AI_YEARS, STUDY_YEARS, YEARS
from analysis.simulation.resources import BASE_YEAR


@dataclass(frozen=True)
class Score:
    """A super-SBM score, constant returns, one frontier a year: its variables, its sample of cities and its years."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bad_outputs: tuple[str, ...]
    cities: str
    years: tuple[int, int]


POLLUTANTS = ("so2_industrial", "soot_industrial", "wastewater_industrial")
SCORES = {
    "eff": Score(("employees", "capital", "energy_use"), ("real_gdp",), POLLUTANTS, "panel_281", STUDY_YEARS),
    "ulgue": Score(
        ("built_up_area", "employees_modern", "capital", "electricity"),
        ("real_modern", "resident_income", "park_green_area_per_person"),
        POLLUTANTS,
        "panel_286",
        (BASE_YEAR, AI_YEARS[1]),
    ),
}


def measures(indicators: Mapping[str, np.ndarray], deflator: np.ndarray, capital: np.ndarray) -> dict[str, np.ndarray]:
    """What the scores are made of, (n, t) each: indicators, and capital, real GDP and the two modern sectors."""
    modern = indicators["gdp_secondary"] + indicators["gdp_tertiary"]
    return {
        **indicators,
        "capital": capital,
        "real_gdp": indicators["gdp"] / deflator,
        "real_modern": modern / deflator,
        "employees_modern": indicators["employees_secondary"] + indicators["employees_tertiary"],
    }


def score(name: str, cities: pd.DataFrame, values: Mapping[str, np.ndarray], first: int | None = None) -> np.ndarray:
    """A score (n, t), missing outside its sample and years; from year ``first`` on where that is given."""
    about = SCORES[name]
    start = about.years[0] if first is None else max(first, about.years[0])
    inside = np.outer(cities[about.cities].astype(int).astype(bool), (start <= YEARS) & (about.years[1] >= YEARS))
    found = np.full(inside.shape, np.nan)
    if inside.any():
        columns = [*about.inputs, *about.outputs, *about.bad_outputs]
        frame = pd.DataFrame({column: values[column][inside] for column in columns})
        frame["year"] = np.broadcast_to(YEARS, inside.shape)[inside]
        result = super_sbm(
            frame, inputs=about.inputs, outputs=about.outputs, bad_outputs=about.bad_outputs, period="year"
        )
        found[inside] = result.table.score
    return found

"""What must hold once every source is in one geography: keys, coverage by year, parts and wholes, jumps in time.

The frames are those of dbt/checks/intermediate_*.sql.
"""

from __future__ import annotations

import pandas as pd

from expectations.rules import between, key, one_of, rows
from expectations.runner import Rule

KEYS = ("city_code", "year")
INDICATOR_KEYS = ("indicator", "year")
#: The three sectors add up to GDP within this share of it.
TOLERANCE = 0.01
#: Whole -> its parts, which together cannot exceed it.
PARTS = {
    "gdp_secondary": ("industrial_value_added",),
    "population_resident": ("population_urban",),
    "employees": ("employees_secondary", "employees_tertiary"),
    "employees_tertiary": ("employees_information",),
    "fiscal_expenditure": ("science_expenditure", "education_expenditure"),
    "land_area": ("built_up_area",),
}
#: Parts of a whole that has others in PARTS.
MORE_PARTS = {"population_resident": ("population_urban_district",), "employees": ("degree_holders",)}


def with_sums(frame: pd.DataFrame) -> pd.DataFrame:
    """City-years with ``sector_gap`` ((sectors - GDP) / GDP), ``<parts>_of_<whole>`` and ``cities_of_year``."""
    sectors = frame[["gdp_primary", "gdp_secondary", "gdp_tertiary"]].sum(axis=1, min_count=3)
    shares = {
        _share(whole, parts): frame[list(parts)].sum(axis=1, min_count=len(parts)) / frame[whole]
        for whole, parts in _wholes()
    }
    return frame.assign(
        sectors=sectors,
        sector_gap=sectors / frame["gdp"] - 1,
        cities_of_year=frame.groupby("year")["city_code"].transform("size"),
        **shares,
    )


def city_wide(*, cities: int, years: tuple[int, int]) -> list[Rule]:
    """Rules of intermediate_city_wide as `with_sums` completes it: one row a city and year."""
    found = [
        key("one row a city and year", KEYS),
        rows(cities * (years[1] - years[0] + 1)),
        one_of(f"{cities} cities in every year", "cities_of_year", [cities], blocking=True),
        between(
            "the three sectors are within a tenth of GDP in 19 of 20 rows",
            "sector_gap",
            -0.1,
            0.1,
            blocking=True,
            mostly=0.95,
            advice="GDP and its sectors come from sources of different caliber: check the priorities of contracts.",
            columns=("gdp", "sectors"),
        ),
        between(
            f"the three sectors add up to GDP within {TOLERANCE:.0%}",
            "sector_gap",
            -TOLERANCE,
            TOLERANCE,
            advice="GDP and a sector come from different vintages, or one of them is misprinted: compare their cells.",
            columns=("gdp", "sectors"),
        ),
    ]
    for whole, parts in _wholes():
        name = " and ".join(parts).replace("_", " ")
        found.append(
            between(
                f"{name} {'is' if len(parts) == 1 else 'together are'} at most {whole.replace('_', ' ')}",
                _share(whole, parts),
                0,
                1,
                advice="A part is larger than its whole, or negative: one of them has another caliber or year.",
                columns=(*parts, whole),
            )
        )
    return found


def indicators() -> list[Rule]:
    """Rules of intermediate_indicators: one row an indicator and year."""
    return [
        key("an indicator and year is counted once", INDICATOR_KEYS),
        between(
            "a year has at least nine tenths of the cities that the years around it have",
            "coverage",
            0.9,
            advice="Panels are thin in this year; a file that fills it may be missing.",
            columns=("cities", "cities_expected"),
        ),
        between(
            "no city leaves the years before and after it in the same direction by more than its indicator's factor",
            "jumps",
            high=0,
            advice="Each source passed on its own: the series changes its source or its borders in this year. Compare "
            "the cells of the city named.",
            columns=("city_of_largest_jump", "largest_jump"),
        ),
    ]


def _wholes() -> list[tuple[str, tuple[str, ...]]]:
    return [*PARTS.items(), *MORE_PARTS.items()]


def _share(whole: str, parts: tuple[str, ...]) -> str:
    return f"{'_and_'.join(parts)}_of_{whole}"

"""Parts and wholes, coverage and jumps: each rule fails on the row that breaks it, and on no other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations import intermediate

YEARS = (2010, 2013)


def city_years() -> pd.DataFrame:
    """Forty cities and four years in which every part fits its whole."""
    cities = [f"{code}00" for code in range(1101, 1141)]
    index = pd.MultiIndex.from_product([cities, range(YEARS[0], YEARS[1] + 1)], names=intermediate.KEYS)
    frame = index.to_frame(index=False)
    values = {"gdp": 100, "gdp_primary": 10, "gdp_secondary": 40, "gdp_tertiary": 50, "industrial_value_added": 30}
    values |= {"population_resident": 100, "population_urban": 60, "population_urban_district": 40, "employees": 20}
    values |= {"employees_secondary": 9, "employees_tertiary": 10, "employees_information": 1, "degree_holders": 5}
    values |= {"fiscal_expenditure": 10, "science_expenditure": 1, "education_expenditure": 2}
    return frame.assign(**{name: float(value) for name, value in values.items()}, land_area=9000.0, built_up_area=90.0)


def test_each_part_that_does_not_fit_breaks_its_own_rule(broken):
    rules = intermediate.city_wide(cities=40, years=YEARS)
    frame = city_years()
    assert broken(intermediate.with_sums(frame), rules, intermediate.KEYS) == {}
    changes = {"gdp": 102, "industrial_value_added": 41, "population_urban": 101, "population_urban_district": 101}
    changes |= {"employees_secondary": 11, "employees_information": 11, "degree_holders": 21}
    changes |= {"education_expenditure": 9.5, "built_up_area": 9001}
    for row, (column, value) in enumerate(changes.items(), start=4):
        frame.loc[row, column] = value
    # a missing part says nothing
    frame.loc[60, ["gdp_tertiary", "science_expenditure"]] = np.nan
    found = broken(intermediate.with_sums(frame), rules, intermediate.KEYS)
    assert found == {
        "the three sectors add up to GDP within 1%": [4],
        "industrial value added is at most gdp secondary": [5],
        "population urban is at most population resident": [6],
        "population urban district is at most population resident": [7],
        "employees secondary and employees tertiary together are at most employees": [8],
        "employees information is at most employees tertiary": [9],
        "degree holders is at most employees": [10],
        "science expenditure and education expenditure together are at most fiscal expenditure": [11],
        "built up area is at most land area": [12],
    }


def test_sectors_of_another_caliber_block(broken):
    frame = city_years()
    frame.loc[:10, "gdp"] = 150
    found = broken(intermediate.with_sums(frame), intermediate.city_wide(cities=40, years=YEARS), intermediate.KEYS)
    assert found["the three sectors are within a tenth of GDP in 19 of 20 rows"] == [*range(11)]
    blocking = {rule.name for rule in intermediate.city_wide(cities=40, years=YEARS) if rule.blocking}
    assert blocking == {
        *("one row a city and year", "160 rows", "40 cities in every year"),
        "the three sectors are within a tenth of GDP in 19 of 20 rows",
    }


def test_a_city_that_lacks_a_year_and_one_that_has_it_twice_break_the_keys(broken):
    frame = pd.concat([city_years().drop(index=3), city_years().iloc[[5]]])
    found = broken(intermediate.with_sums(frame), intermediate.city_wide(cities=40, years=YEARS), intermediate.KEYS)
    assert set(found) == {"one row a city and year", "40 cities in every year"}


def test_thin_years_and_jumps_are_seen(broken):
    frame = pd.DataFrame({"indicator": "gdp", "year": range(2010, 2014), "cities": [290, 250, 290, 290]})
    frame = frame.assign(cities_expected=290, coverage=[np.nan, 0.86, 1, 1], jumps=[0, 0, 2, 0])
    frame = frame.assign(city_of_largest_jump=[None, None, "110000", None], largest_jump=[np.nan, np.nan, 2.5, np.nan])
    assert list(broken(frame, intermediate.indicators(), intermediate.INDICATOR_KEYS).values()) == [[1], [2]]

"""A study on the map by year: which cities, which shades, which values; small enough for a page."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.reporting.year_map import HEIGHT, WIDTH, YearMap, outlines, year_map
from analysis.studies.spec import DATA


@pytest.fixture(scope="module")
def cities() -> pd.DataFrame:
    return pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})


@pytest.fixture(scope="module")
def drawn(study, panel, cities) -> YearMap:
    found = year_map(study, panel, cities)
    assert found
    return found


def test_every_city_of_the_roster_has_an_outline_that_lies_in_the_picture(cities) -> None:
    codes = {code for code, _ in outlines()}
    roster = set(cities["city_code"])
    assert len(roster - codes) <= 2, roster - codes
    numbers = np.array(
        [[float(x), float(y)] for _, path in outlines() for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path)]
    )
    assert numbers.min() > 0
    assert (numbers.max(axis=0) < (WIDTH, HEIGHT)).all()
    assert sum(len(path) for _, path in outlines()) < 150_000


def test_pilots_names_and_values_are_those_of_the_panel(drawn, panel) -> None:
    assert drawn.years == (2001, 2008)
    inside = {code: since for code, _, own, since in drawn.shapes if own}
    assert inside["110000"] == "2005"
    assert drawn.data["names"]["110000"] == ["Beijing", "北京市"]
    assert drawn.data["adoption"]["110000"] == 2005
    assert "220000" not in inside  # a province is no city
    values = panel[panel["city_code"] == "110000"].sort_values("year")["y"]
    assert drawn.data["values"]["110000"] == pytest.approx(values.tolist(), rel=1e-3)
    assert drawn.column == "y"


def test_classes_hold_as_many_values_each(drawn) -> None:
    bounds = drawn.data["bounds"]
    values = [value for own in drawn.data["values"].values() for value in own]
    assert len(bounds) == 6
    assert bounds == sorted(bounds)
    counts, _ = np.histogram(values, bounds[:1] + bounds[1:-1] + [np.inf])
    assert counts.min() >= len(values) // 5 - 2


def test_a_missing_value_is_null_and_an_outcome_without_values_is_left_out(study, panel, cities) -> None:
    gap = panel.assign(y=panel["y"].mask((panel["city_code"] == "110000") & (panel["year"] == 2003)))
    found = year_map(study, gap, cities)
    assert found
    assert found.data["values"]["110000"][2] is None
    without = year_map(study, panel.assign(y=np.nan), cities)
    assert without
    assert (without.column, without.data["values"], without.data["bounds"]) == ("", {}, [])


def test_a_panel_of_places_without_borders_has_no_map(study, panel, cities) -> None:
    assert year_map(study, panel.assign(city_code="999999" + panel["city_code"]), cities) is None

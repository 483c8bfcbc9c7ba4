"""The published values of the sample world beside those it was drawn with: no wear, unit or twin column misled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.simulation import draw_world
from analysis.simulation.yearbook import BOTH, SHEETS
from dagster_project.paths import POLICIES, REFERENCE

pytestmark = pytest.mark.xdist_group("sample")


@pytest.fixture(scope="module")
def world():
    text = {"city_code": str}
    clusters, zones = (
        pd.read_csv(POLICIES / f"{name}.csv", dtype=text) for name in ("innovative_clusters", "ai_pilot_zones")
    )
    return draw_world(pd.read_csv(REFERENCE / "cities.csv", dtype=text), clusters, 0, zones)


@pytest.fixture(scope="module")
def counted(sample, world):
    """One row a city, year and indicator: the cells that count, added, and the value drawn with its printed step."""
    folder = sample.paths.published / "data" / "lineage"
    cells = pd.read_parquet(folder / "cells.parquet").query("used and city_code != '100000'")
    found = cells.groupby(["city_code", "year", "indicator"]).agg(value=("value", "sum"), parts=("value", "size"))
    true = world.long(world.indicators).drop(columns="adoption")
    true = true.melt(["city_code", "year"], var_name="indicator", value_name="drawn")
    return true.merge(found.reset_index(), on=["city_code", "year", "indicator"], how="left")


def test_every_published_value_of_a_yearbook_is_the_one_drawn_to_the_last_printed_digit(counted):
    columns = {name: column for sheet in SHEETS for column in sheet.columns for name in column.names}
    assert set(columns) == set(counted.indicator)
    steps = {
        (name, year): (scale := column.scale(year)).factor * 10.0**-scale.decimals
        for name, column in columns.items()
        for year in counted.year.unique()
    }
    step = np.array([steps[key] for key in zip(counted.indicator, counted.year, strict=True)])
    there = counted.value.notna()
    apart = (counted.value - counted.drawn).abs() / step
    # a printed figure is rounded, each part of a merged city on its own
    wrong = counted[there & (apart > 0.5 * counted.parts.fillna(1) + 1e-6)]
    assert wrong.empty, wrong.head(20).to_string()
    assert {column.parts for column in columns.values()} >= {(), BOTH}


def test_hardly_a_value_is_lost_on_the_way(counted):
    usual = pd.read_csv(REFERENCE / "cities.csv", dtype=str).query("panel_281 == '1'").city_code
    mine = counted[counted.city_code.isin(usual) & (counted.year >= 2006)]
    there = mine.value.notna().groupby(mine.indicator).mean()
    assert there.min() > 0.94, there.sort_values().head()
    assert there.median() > 0.99

"""What has moved since the last publication is seen; what has not, or only grew, is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from expectations import drift

KEYS = ("city_code", "year")


def panel(cities: int = 100) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([[f"{n:06d}" for n in range(cities)], range(2010, 2014)], names=KEYS)
    frame = index.to_frame(index=False)
    rng = np.random.default_rng(0)
    return frame.assign(name="x", a=rng.normal(size=len(frame)), b=rng.normal(size=len(frame)), flag=False)


def moved(broken, now: pd.DataFrame, last: pd.DataFrame) -> dict[str, list[str]]:
    frame = drift.with_times(drift.compare(now, last, KEYS))
    return {
        rule.split(" than ")[0].split(" as ")[0]: frame.column[rows].tolist()
        for rule, rows in broken(frame, drift.rules(), drift.COLUMN_KEYS).items()
    }


def test_the_same_panel_has_not_moved(broken):
    assert moved(broken, panel(), panel()) == {}
    compared = drift.compare(panel().sample(frac=1, random_state=0), panel(), KEYS).set_index("column")
    assert compared.index.tolist() == ["a", "b", "flag"]
    assert (compared.unchanged == 1).all()
    assert (compared.distance == 0).all()


def test_another_unit_is_another_distribution(broken):
    assert moved(broken, panel().assign(a=lambda f: f.a * 10), panel()) == {"a column is distributed": ["a"]}


def test_values_that_went_missing_are_seen(broken):
    thin = panel().assign(b=lambda f: f.b.where(f.index % 20 > 0))
    assert moved(broken, thin, panel()) == {"at most two hundredths more values are missing": ["b"]}
    assert moved(broken, panel(), thin) == {}


def test_rows_that_went_are_seen_and_new_ones_are_not(broken):
    fewer = moved(broken, panel().iloc[:-4], panel())
    assert fewer == {"no fewer rows": ["a", "b", "flag"]}
    assert moved(broken, panel(), panel().iloc[:-4]) == {}


def test_columns_that_only_one_panel_has_are_left_out():
    assert drift.compare(panel().assign(new=1.0), panel(), KEYS).column.tolist() == ["a", "b", "flag"]


@pytest.mark.parametrize("sizes", [(50, 70), (1, 9), (400, 400)])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(sizes):
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=sizes[0]).round(1), rng.normal(0.3, 2, sizes[1]).round(1)
    gaps = np.append(one, np.nan), np.append(np.nan, other)
    assert drift.distance(*gaps) == pytest.approx(ks_2samp(one, other).statistic, abs=1e-12)
    assert np.isnan(drift.distance(np.array([np.nan]), other))

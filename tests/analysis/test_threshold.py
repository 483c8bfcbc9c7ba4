"""Hansen's panel threshold: the brute-force minimum, known thresholds, and the size of the bootstrap test."""

import numpy as np
import pandas as pd
import pytest

from analysis.did import two_way
from analysis.threshold import panel_threshold

KEYS = {"unit": "firm", "time": "year"}


def panel(
    seed: int = 0, units: int = 60, times: int = 10, low: float = 1.0, high: float = 2.0, at: float = 0.3
) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    firm, year = np.repeat(np.arange(units), times), np.tile(np.arange(2000, 2000 + times), units)
    x, q = generator.normal(size=len(firm)), generator.normal(size=len(firm))
    z = generator.normal(size=len(firm))
    y = np.where(q <= at, low, high) * x + 0.5 * z + generator.normal(size=units)[firm]
    y = y + 0.5 * generator.normal(size=len(firm))
    return pd.DataFrame({"firm": firm, "year": year, "x": x, "门槛": q, "z": z, "y": y})


def estimate(frame: pd.DataFrame, **options):
    return panel_threshold(frame, "y", "x", "门槛", ["z"], **KEYS, **options)


def test_the_threshold_has_the_least_sum_of_squares_of_all_values_tried():
    frame = panel(units=20, times=6)
    result = estimate(frame, draws=9)
    left = {}
    for value in np.unique(np.quantile(frame["门槛"], np.linspace(0.01, 0.99, 400), method="inverted_cdf")):
        split = frame.assign(a=frame["x"] * (frame["门槛"] <= value), b=frame["x"] * (frame["门槛"] > value))
        kept = min((frame["门槛"] <= value).sum(), (frame["门槛"] > value).sum())
        if kept >= np.ceil(0.01 * len(frame)):
            fit = two_way(split, "y", ["a", "b"], ["z"], **KEYS, fixed_effects="unit")
            left[value] = 1 - fit.r2
    assert result.thresholds.loc[1, "threshold"] == pytest.approx(min(left, key=left.get))
    best = min(left.values()) * ((frame["y"] - frame["y"].mean()) ** 2).sum()
    assert result.sum_of_squares[1] == pytest.approx(best, rel=1e-8)
    n, groups = len(frame), 20
    assert result.f[0] == pytest.approx((result.sum_of_squares[0] - best) / (best / (n - groups)), rel=1e-8)


def test_a_known_threshold_and_both_slopes_are_found():
    result = estimate(panel(seed=1, units=150), draws=99)
    row = result.thresholds.loc[1]
    assert row["low"] <= 0.3 <= row["high"] or abs(row["threshold"] - 0.3) < 0.05
    assert result.table.loc["x [1]", "estimate"] == pytest.approx(1, abs=0.1)
    assert result.table.loc["x [2]", "estimate"] == pytest.approx(2, abs=0.1)
    assert result.p_values[0] == pytest.approx(1 / 100)


def test_two_thresholds_are_told_from_one():
    frame = panel(seed=2, units=150)
    q = frame["门槛"].to_numpy()
    frame["y"] += np.where(q > 1.0, 1.5, 0.0) * frame["x"]
    result = estimate(frame, thresholds=2, draws=99)
    assert result.thresholds["threshold"].to_numpy() == pytest.approx([0.3, 1.0], abs=0.1)
    assert result.p_values == pytest.approx((0.01, 0.01))
    assert list(result.table.index) == ["x [1]", "x [2]", "x [3]", "z"]


def test_without_a_threshold_the_test_rejects_about_as_often_as_it_says():
    p = [estimate(panel(seed=seed, units=25, times=5, high=1.0), draws=59, seed=seed).p_values[0] for seed in range(60)]
    assert np.mean(np.array(p) <= 0.1) <= 0.22  # 3 Monte Carlo errors above 0.1
    assert np.mean(p) == pytest.approx(0.5, abs=0.15)


def test_rows_in_another_order_give_the_same():
    frame = panel(units=20)
    one, other = estimate(frame, draws=19), estimate(frame.sample(frac=1, random_state=2), draws=19)
    assert one.p_values == other.p_values
    pd.testing.assert_frame_equal(one.thresholds, other.thresholds)


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ValueError, match="does not vary"):
        estimate(panel().assign(x=lambda f: f["firm"] * 1.0))
    with pytest.raises(ValueError, match="thresholds is 1, 2 or 3"):
        estimate(panel(), thresholds=4)
    with pytest.raises(ValueError, match="too few different values"):
        estimate(panel().assign(门槛=1.0))

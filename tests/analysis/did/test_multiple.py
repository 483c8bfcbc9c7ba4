"""Step-down p values: against the regression, the definition of the step-down, and their size on noise."""

import numpy as np
import pandas as pd
import pytest
from staggered_panel import staggered_panel

from analysis.did import two_way
from analysis.did.multiple import _step_down, romano_wolf


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    panel = staggered_panel(units=60)
    rng = np.random.default_rng(3)
    for name in ("a", "b", "c"):
        panel[name] = rng.normal(size=len(panel))
    return panel


def test_estimates_and_errors_are_those_of_the_regression(panel) -> None:
    panel = panel.assign(z=np.random.default_rng(0).normal(size=len(panel)))
    result = romano_wolf(panel, {"y": ["z"]}, "treated", unit="unit", time="time", draws=99)
    direct = two_way(panel, "y", "treated", ["z"], unit="unit", time="time").table.loc["treated"]
    assert result.table.loc["y", "estimate"] == pytest.approx(direct["estimate"], rel=1e-10)
    # the same scores, without the factor for small samples
    assert 0.9 < result.table.loc["y", "se"] / direct["se"] < 1
    assert result.table.loc["y", "p"] == 0.01
    assert result.table.loc["y", "p_adjusted"] == 0.01


def test_the_step_down_takes_the_largest_of_those_not_yet_rejected() -> None:
    actual = np.array([1.0, 3.0])
    null = np.array([[0.5, 2.0], [1.5, 0.1], [0.2, 3.5]])
    # 3.0 first, against the larger of both: 2.0, 1.5, 3.5; then 1.0 against its own: 0.5, 1.5, 0.2
    assert _step_down(actual, null).tolist() == [(1 + 1) / 4, (1 + 1) / 4]
    assert _step_down(np.array([1.0, 9.0]), null).tolist() == [0.5, 0.25]


def test_copies_of_one_outcome_cost_nothing_and_independent_ones_do(panel) -> None:
    outcomes = {"a": [], "b": [], "c": []}
    several = romano_wolf(panel, outcomes, "treated", unit="unit", time="time").table
    assert (several["p_adjusted"] >= several["p"]).all()
    smallest = several["p"].idxmin()
    assert several.loc[smallest, "p_adjusted"] > 1.5 * several.loc[smallest, "p"]
    copies = romano_wolf(panel.assign(a2=panel["a"]), {"a": [], "a2": []}, "treated", unit="unit", time="time").table
    assert copies["p_adjusted"].tolist() == [copies["p"]["a"]] * 2


def test_noise_is_rejected_no_more_often_than_the_level() -> None:
    rejected = 0
    for seed in range(60):
        panel = staggered_panel(seed, units=30, times=5)
        rng = np.random.default_rng(seed)
        panel = panel.assign(**{name: rng.normal(size=len(panel)) for name in "abcde"})
        table = romano_wolf(panel, {name: [] for name in "abcde"}, "treated", unit="unit", time="time", draws=199).table
        rejected += bool((table["p_adjusted"] < 0.05).any())
    # 3 of 60 are expected; each outcome alone would reject in about 14
    assert rejected <= 8


def test_the_order_of_rows_does_not_matter_and_faults_are_said(panel) -> None:
    straight = romano_wolf(panel, {"a": []}, "treated", unit="unit", time="time", draws=99).table
    mixed = romano_wolf(panel.sample(frac=1, random_state=1), {"a": []}, "treated", unit="unit", time="time", draws=99)
    pd.testing.assert_frame_equal(straight, mixed.table)
    with pytest.raises(ValueError, match="no outcome"):
        romano_wolf(panel, {}, "treated", unit="unit", time="time")
    with pytest.raises(ValueError, match="'never'"):
        romano_wolf(panel.assign(never=0.0), {"a": []}, "never", unit="unit", time="time")

"""Synthetic difference-in-differences: what must hold whatever the data, and other software that is installed."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from staggered_panel import shuffled_and_renamed

from analysis.did import synthetic

KEYS = {"unit": "unit", "time": "time"}


def factor_panel(seed=0, units=40, times=10, treated=((4, 6),), effect=1.0, noise=0.1):
    """Units with two latent factors; the first ones treated, in groups of (size, position of the first time)."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(times, 2)).cumsum(axis=0)
    loadings = generator.normal(size=(units, 2))
    d = np.zeros((units, times))
    first = 0
    for size, start in treated:
        d[first : first + size, start:] = 1
        loadings[first : first + size] += 0.5  # the treated are on other trends, so plain differences are biased
        first += size
    y = loadings @ factors.T + generator.normal(size=(units, 1)) + noise * generator.normal(size=d.shape) + effect * d
    index = pd.MultiIndex.from_product([[f"城市 {i:02d}" for i in range(units)], 2010 + np.arange(times)])
    return pd.DataFrame({"y": y.ravel(), "d": d.ravel()}, index=index).rename_axis(["unit", "time"]).reset_index()


def test_the_effect_is_recovered_where_plain_differences_are_biased():
    estimates, plain = [], []
    for seed in range(5):
        panel = factor_panel(seed, units=50, times=20, treated=((8, 16),))
        estimates.append(synthetic(panel, "y", "d", **KEYS, draws=0).att)
        treated = panel.groupby("unit")["d"].transform("max") == 1
        late = panel["time"] >= 2026
        mean = panel["y"].groupby([treated, late]).mean()
        plain.append(mean[(True, True)] - mean[(True, False)] - mean[(False, True)] + mean[(False, False)])
    assert np.sqrt(np.mean((np.array(estimates) - 1) ** 2)) < 0.3
    assert np.sqrt(np.mean((np.array(plain) - 1) ** 2)) > 1


def test_the_estimate_is_the_weighted_difference_in_differences_of_its_weights():
    panel = factor_panel()
    result = synthetic(panel, "y", "d", **KEYS, draws=0)
    wide = panel.pivot(index="unit", columns="time", values="y")
    omega = result.unit_weights.set_index("unit")["weight"]
    lam = result.time_weights.set_index("time")["weight"]
    gap = wide.iloc[:4].mean() - omega @ wide.loc[omega.index]
    assert_allclose(result.att, gap.loc[2016:].mean() - lam @ gap[lam.index])
    after = result.paths.query("time >= 2016")["effect"]
    assert_allclose(after.mean(), result.att)
    for weights in (omega, lam):
        assert_allclose(weights.sum(), 1)
        assert (weights >= 0).all()


def test_row_order_labels_and_index_do_not_matter_to_the_last_bit():
    panel = factor_panel(treated=((3, 4), (2, 6)))
    before = panel.copy()
    one = synthetic(panel, "y", "d", **KEYS, draws=20)
    other = synthetic(shuffled_and_renamed(panel), "y", "d", **KEYS, draws=20)
    assert (one.att, one.se) == (other.att, other.se)
    pd.testing.assert_frame_equal(one.standard_errors, other.standard_errors)
    pd.testing.assert_frame_equal(panel, before)


def test_levels_and_units_of_the_outcome_do_not_matter():
    panel = factor_panel()
    level = panel["unit"].map({name: i for i, name in enumerate(panel["unit"].unique())})
    one = synthetic(panel, "y", "d", **KEYS, draws=0)
    other = synthetic(panel.assign(y=1000 * (panel["y"] + level)), "y", "d", **KEYS, draws=0)
    assert_allclose([other.att, other.se], [1000 * one.att, 1000 * one.se], rtol=1e-6)


def test_staggered_cohorts_are_estimated_one_by_one_and_averaged_by_treated_cells():
    panel = factor_panel(treated=((3, 4), (2, 7)))
    result = synthetic(panel, "y", "d", **KEYS, draws=0)
    never = panel.groupby("unit")["d"].transform("max") == 0
    starts = panel[panel["d"] == 1].groupby("unit")["time"].min()
    alone = [
        synthetic(panel[never | (panel["unit"].map(starts) == start)], "y", "d", **KEYS, draws=0).att
        for start in (2014, 2017)
    ]
    assert_allclose(result.table["estimate"], alone)
    assert_allclose(result.att, (18 * alone[0] + 6 * alone[1]) / 24)


def test_the_jackknife_leaves_out_each_unit_with_weights_fixed():
    panel = factor_panel(units=15, treated=((3, 4), (2, 7)))
    result = synthetic(panel, "y", "d", **KEYS, draws=0)
    wide = panel.pivot(index="unit", columns="time", values="y")
    starts = panel[panel["d"] == 1].groupby("unit")["time"].min()
    omega = {g: part.set_index("unit")["weight"] for g, part in result.unit_weights.groupby("cohort")}
    lam = {g: part.set_index("time")["weight"] for g, part in result.time_weights.groupby("cohort")}
    estimates = []
    for gone in wide.index:
        total, cells = 0.0, 0
        for cohort in (2014, 2017):
            own = starts.index[(starts == cohort) & (starts.index != gone)]
            weights = omega[cohort].drop(gone, errors="ignore")
            gap = wide.loc[own].mean() - (weights / weights.sum()) @ wide.loc[weights.index]
            times = 2020 - cohort
            total += len(own) * times * (gap.loc[cohort:].mean() - lam[cohort] @ gap[lam[cohort].index])
            cells += len(own) * times
        estimates.append(total / cells)
    n = len(estimates)
    assert_allclose(
        result.standard_errors.loc["jackknife", "se"], np.sqrt((n - 1) ** 2 / n * np.var(estimates, ddof=1))
    )


def test_estimate_weights_and_jackknife_equal_diff_diff():
    diff_diff = pytest.importorskip("diff_diff")
    panel = factor_panel(3, units=50, times=14, treated=((6, 9),))
    result = synthetic(panel, "y", "d", **KEYS, draws=0)
    ever = panel.groupby("unit")["d"].transform("max")
    other = diff_diff.SyntheticDiD(variance_method="jackknife").fit(
        panel.assign(ever=ever), "y", "ever", "unit", "time", post_periods=list(range(2019, 2024))
    )
    assert_allclose([result.att, result.se], [other.att, other.se], rtol=1e-6)
    assert_allclose(
        result.unit_weights.set_index("unit")["weight"], pd.Series(other.unit_weights).sort_index(), atol=1e-6
    )


def test_placebo_errors_are_about_as_large_as_the_spread_of_estimates():
    found = [synthetic(factor_panel(seed, units=25, noise=0.5), "y", "d", **KEYS, draws=30) for seed in range(10)]
    spread = np.std([result.att for result in found])
    assert 0.6 < np.mean([result.se for result in found]) / spread < 1.6
    assert np.mean([result.low <= 1 <= result.high for result in found]) > 0.8


def test_what_is_not_available_says_why():
    one = synthetic(factor_panel(treated=((1, 6),)), "y", "d", **KEYS, draws=10)
    assert "two treated units" in one.standard_errors.loc["jackknife", "reason"]
    assert one.se == one.standard_errors.loc["placebo", "se"] > 0
    many = synthetic(factor_panel(units=10, treated=((6, 6),)), "y", "d", **KEYS, draws=10)
    assert "more controls than treated" in many.standard_errors.loc["placebo", "reason"]
    assert many.se == many.standard_errors.loc["jackknife", "se"]
    assert "No placebo standard error" in many.summary()


def test_a_control_variable_is_taken_out_of_the_outcome_first():
    panel = factor_panel()
    w = np.random.default_rng(2).normal(size=len(panel))
    one = synthetic(panel, "y", "d", **KEYS, draws=0)
    other = synthetic(panel.assign(y=panel["y"] + 5 * w, **{"log(w)": w}), "y", "d", ["log(w)"], **KEYS, draws=0)
    assert_allclose(one.att, other.att, atol=0.15)


def test_units_not_observed_at_every_time_are_dropped_with_a_note():
    panel = factor_panel()
    gone = panel.drop(index=[5, 205])
    result = synthetic(gone, "y", "d", **KEYS, draws=0)
    whole = panel[~panel["unit"].isin(["城市 00", "城市 20"])]
    assert result.att == synthetic(whole, "y", "d", **KEYS, draws=0).att
    assert any("2 units dropped" in note for note in result.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.assign(d=p["d"] * (p["time"] != 2018)), "leaves treatment"),
        (lambda p: p.assign(d=0.0), "No unit is treated"),
        (lambda p: p[p["unit"] <= "城市 03"], "never treated"),
        (lambda p: p.assign(d=(p.groupby("unit")["d"].transform("max") > 0) * 1.0), "two or more times before"),
    ],
)
def test_what_cannot_be_estimated_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        synthetic(change(factor_panel()), "y", "d", **KEYS, draws=0)

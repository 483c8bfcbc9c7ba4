"""Callaway-Sant'Anna: what must hold whatever the data; numbers of R's did are in tests/reference."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from staggered_panel import cell_truth, shuffled_and_renamed, staggered_panel

from analysis.agreement import staggered as engines
from analysis.did import callaway_santanna, imputation
from analysis.studies.records import Model

KEYS = {"unit": "unit", "time": "time"}


def test_a_cell_is_the_difference_of_two_mean_changes():
    panel = staggered_panel()
    result = callaway_santanna(panel, "y", "first", **KEYS)
    wide = panel.pivot(index="unit", columns="time", values="y")
    first = panel.groupby("unit")["first"].first()
    change = wide[2006] - wide[2003]
    by_hand = change[first == 2004].mean() - change[first.isna()].mean()
    assert_allclose(result.table.query("cohort == 2004 and time == 2006")["estimate"].item(), by_hand)


def test_the_error_of_a_cell_is_that_of_a_difference_of_means():
    panel = staggered_panel(cohorts=(2004, 2006, np.nan, np.nan))
    result = callaway_santanna(panel, "y", "first", **KEYS)
    wide = panel.pivot(index="unit", columns="time", values="y")
    first = panel.groupby("unit")["first"].first()
    change = wide[2006] - wide[2003]
    own, others = change[first == 2004], change[first.isna()]
    by_hand = np.sqrt(own.var(ddof=0) / len(own) + others.var(ddof=0) / len(others))
    assert_allclose(result.table.query("cohort == 2004 and time == 2006")["se"].item(), by_hand)


def test_errors_of_averages_equal_a_jackknife_that_also_estimates_cohort_shares():
    panel = staggered_panel(noise=0.1)
    full = callaway_santanna(panel, "y", "first", **KEYS).overall
    left_out = [
        callaway_santanna(panel[panel["unit"] != name], "y", "first", **KEYS).overall["estimate"]
        for name in panel["unit"].unique()
    ]
    jackknife = np.sqrt(len(left_out) - 1) * np.std(np.array(left_out), axis=0)
    assert_allclose(full["se"], jackknife, rtol=0.03)


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_effects_that_differ_by_cohort_and_time_are_recovered_without_noise(method):
    panel = staggered_panel(noise=0.0)
    for control in ("never", "not_yet"):
        table = callaway_santanna(panel, "y", "first", **KEYS, control=control, method=method).table
        after = table[table["time"] >= table["cohort"]].set_index(["cohort", "time"])["estimate"]
        assert_allclose(after, cell_truth(panel).reindex(after.index), atol=1e-10)
        assert_allclose(table[table["time"] < table["cohort"]]["estimate"], 0, atol=1e-10)


@pytest.mark.parametrize("method", ["reg", "dr"])
def test_trends_that_depend_on_a_covariate_are_removed_by_it(method):
    panel = staggered_panel(noise=0.0, trend=0.4)
    plain = callaway_santanna(panel, "y", "first", **KEYS)
    given = callaway_santanna(panel, "y", "first", ["x"], **KEYS, method=method)
    truth = cell_truth(panel)
    after = given.table[given.table["time"] >= given.table["cohort"]].set_index(["cohort", "time"])["estimate"]
    assert_allclose(after, truth.reindex(after.index), atol=1e-9)
    bias = plain.table.set_index(["cohort", "time"])["estimate"].reindex(truth.index) - truth
    assert bias.abs().max() > 0.1


def test_row_order_labels_and_index_do_not_matter():
    panel = staggered_panel(trend=0.1)
    before = panel.copy()
    one = callaway_santanna(panel, "y", "first", ["x"], **KEYS, draws=0)
    other = callaway_santanna(shuffled_and_renamed(panel), "y", "first", ["x"], **KEYS)
    assert_allclose(one.table.to_numpy(), other.table.to_numpy(), rtol=1e-8)
    assert_allclose(one.event.to_numpy(), other.event.to_numpy(), rtol=1e-8)
    pd.testing.assert_frame_equal(panel, before)


def test_units_of_a_covariate_do_not_matter():
    panel = staggered_panel(trend=0.1)
    one = callaway_santanna(panel, "y", "first", ["x"], **KEYS)
    other = callaway_santanna(panel.assign(x=panel["x"] * 1e9 + 5e9), "y", "first", ["x"], **KEYS)
    assert_allclose([one.att, one.se], [other.att, other.se], rtol=1e-6)


def test_without_never_treated_units_the_error_says_what_to_do():
    panel = staggered_panel(cohorts=(2003, 2005, 2006))
    with pytest.raises(ValueError, match=r"No unit is never treated.*control='not_yet'"):
        callaway_santanna(panel, "y", "first", **KEYS)


def test_not_yet_treated_controls_identify_what_they_can_without_never_treated_units():
    panel = staggered_panel(cohorts=(2003, 2005, 2006), noise=0.0)
    result = callaway_santanna(panel, "y", "first", **KEYS, control="not_yet")
    known = result.table.dropna(subset="estimate").set_index(["cohort", "time"])["estimate"]
    last = {2003: 2005, 2005: 2005, 2006: 2004}  # from 2006 on, and for 2006 from 2005 on, nobody is left to compare
    assert set(known.index) == {(g, t) for g in last for t in range(2001, last[g] + 1)}
    truth = cell_truth(panel)
    after = known[[t >= g for g, t in known.index]]
    assert_allclose(after, truth.reindex(after.index), atol=1e-10)
    assert result.not_identified[(2003.0, 2007.0)].startswith("no control")
    assert any("without an effect" in note for note in result.notes)


def test_a_universal_base_makes_every_cell_a_long_difference_and_leaves_its_base_out():
    panel = staggered_panel()
    table = callaway_santanna(panel, "y", "first", **KEYS, base_period="universal").table
    wide = panel.pivot(index="unit", columns="time", values="y")
    first = panel.groupby("unit")["first"].first()
    change = wide[2001] - wide[2005]
    by_hand = change[first == 2006].mean() - change[first.isna()].mean()
    assert_allclose(table.query("cohort == 2006 and time == 2001")["estimate"].item(), by_hand)
    assert table.query("cohort == 2006 and time == 2005").empty


def test_covariates_count_at_the_base_time_only():
    panel = staggered_panel(trend=0.2)
    generator = np.random.default_rng(8)
    other = panel["time"] != 2003  # the base of cohort 2004
    moved = panel.assign(x=panel["x"].where(~other, generator.normal(size=len(panel))))
    for method in ("reg", "ipw", "dr"):
        one = callaway_santanna(panel, "y", "first", ["x"], **KEYS, method=method, base_period="universal").table
        two = callaway_santanna(moved, "y", "first", ["x"], **KEYS, method=method, base_period="universal").table
        assert_allclose(one[one["cohort"] == 2004].to_numpy(), two[two["cohort"] == 2004].to_numpy())
        assert (one["estimate"] - two["estimate"])[one["cohort"] == 2006].abs().max() > 1e-3


def test_controls_not_yet_treated_must_stay_untreated_through_the_anticipation():
    panel = staggered_panel()
    result = callaway_santanna(panel, "y", "first", **KEYS, control="not_yet", anticipation=1)
    wide = panel.pivot(index="unit", columns="time", values="y")
    first = panel.groupby("unit")["first"].first().fillna(np.inf)
    cells = result.table.set_index(["cohort", "time"])["estimate"]
    for when, least in ((2004, 2005), (2005, 2006)):
        change = wide[when] - wide[2002]
        assert_allclose(cells[(2004, when)], change[first == 2004].mean() - change[(first > least)].mean())


def test_anticipation_moves_the_base_before_the_effect_begins():
    panel = staggered_panel(noise=0.0)
    early = (panel["first"] - panel["time"]) == 1
    panel.loc[early, "y"] += 0.7
    plain = callaway_santanna(panel, "y", "first", **KEYS)
    allowed = callaway_santanna(panel, "y", "first", **KEYS, anticipation=1)
    truth = cell_truth(panel)
    cells = allowed.table.set_index(["cohort", "time"])["estimate"]
    assert_allclose(cells.reindex(truth.index), truth, atol=1e-10)
    assert_allclose(cells[(2004, 2003)], 0.7)
    assert_allclose(plain.table.set_index(["cohort", "time"])["estimate"].reindex(truth.index), truth - 0.7, atol=1e-10)


def test_an_unbalanced_panel_uses_in_each_cell_the_units_seen_at_both_times():
    panel = staggered_panel()
    gone = panel[~((panel["unit"] == "城市 000") & (panel["time"] == 2005))]
    first = panel.groupby("unit")["first"].first()
    result = callaway_santanna(gone, "y", "first", **KEYS)
    cells = result.table.set_index(["cohort", "time"])["estimate"]
    wide = gone.pivot(index="unit", columns="time", values="y")
    for when, expected in ((2005, 39), (2006, 40)):
        change = (wide[when] - wide[2003]).dropna()
        own = change[first.reindex(change.index) == 2004]
        assert len(own) == expected
        assert_allclose(cells[(2004, when)], own.mean() - change[first.reindex(change.index).isna()].mean())


def test_gaps_leave_cohort_shares_to_all_units_as_rs_did_and_so_does_the_other_engine():
    panel = staggered_panel(units=60)
    gone = panel[~((panel["first"] == 2004) & (panel["time"] >= 2006) & panel["unit"].str[-1].isin(list("02468")))]
    result = callaway_santanna(gone, "y", "first", **KEYS, control="not_yet")
    after = result.table[result.table["time"] >= result.table["cohort"]]
    size = gone.groupby("first")["unit"].nunique().reindex(after["cohort"]).to_numpy()
    assert_allclose(result.att, np.average(after["estimate"], weights=size))
    columns = {"city_code": gone["unit"], "year": gone["time"], "adoption": gone["first"]}
    model = Model("y", "y", "policy", (), ("unit", "time"), ("unit",), options={"control": "not_yet"})
    (other,) = engines.callaway_santanna(gone.assign(**columns), model)
    assert_allclose([other.estimate, other.se], [result.att, result.se], rtol=1e-10)
    always = gone.assign(**columns, first=gone["first"].where(gone["unit"] != "城市 000", 2000.0))
    level = pd.factorize(gone["unit"])[0]
    drift = gone["time"] * (level % 3) * 0.3 + np.random.default_rng(0).normal(size=len(gone))
    always = always.assign(adoption=always["first"], w=5 * level + drift)
    (other,) = engines.imputation(always, replace(model, controls=("w",)))
    result = imputation(always, "y", "first", ["w"], **KEYS)
    assert_allclose([other.estimate, other.se], [result.att, result.se], rtol=1e-8)


def test_units_treated_from_the_first_time_are_dropped_with_a_note():
    panel = staggered_panel(cohorts=(2000, 2004, np.nan))
    result = callaway_santanna(panel, "y", "first", **KEYS)
    assert set(result.table["cohort"]) == {2004}
    assert any("no time before adoption" in note for note in result.notes)


def test_adoption_after_the_last_time_counts_as_never_treated():
    panel = staggered_panel()
    late = callaway_santanna(panel.fillna({"first": 2050}), "y", "first", **KEYS)
    assert_allclose(late.table["se"], callaway_santanna(panel, "y", "first", **KEYS).table["se"])
    assert any("counted as never treated" in note for note in late.notes)


def test_covariates_that_separate_the_treated_leave_the_cell_without_numbers():
    panel = staggered_panel(cohorts=(2004, np.nan))
    panel["x"] = panel["first"].notna() + 0.001 * panel["x"]
    with pytest.raises(ValueError, match="overlap"):
        callaway_santanna(panel, "y", "first", ["x"], **KEYS, method="ipw")


def test_bootstrap_bands_are_wider_than_pointwise_ones_and_agree_with_the_analytic_errors():
    result = callaway_santanna(staggered_panel(), "y", "first", **KEYS, draws=4000, seed=3)
    assert_allclose(result.event["se_bootstrap"], result.event["se"], rtol=0.12)
    assert result.critical_value > 1.96
    assert (result.event["low_uniform"] < result.event["low"] + 0.05 * result.event["se"]).all()
    again = callaway_santanna(staggered_panel(), "y", "first", **KEYS, draws=4000, seed=3)
    assert again.critical_value == result.critical_value


def test_intervals_cover_the_true_average():
    covered = []
    for seed in range(100):
        panel = staggered_panel(seed, units=90)
        truth = panel.loc[panel["treated"] == 1, "effect"].mean()
        result = callaway_santanna(panel, "y", "first", **KEYS)
        covered.append(abs(result.att - truth) < 1.96 * result.se)
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"control": "none"}, "control is 'never' or 'not_yet'"),
        ({"method": "ols"}, "method is"),
        ({"anticipation": -1}, "anticipation is a whole number"),
    ],
)
def test_a_wrong_option_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        callaway_santanna(staggered_panel(), "y", "first", **KEYS, **change)


def test_without_a_treated_unit_the_error_says_so():
    panel = staggered_panel().assign(first=np.nan)
    with pytest.raises(ValueError, match="No unit is treated"):
        callaway_santanna(panel, "y", "first", **KEYS)

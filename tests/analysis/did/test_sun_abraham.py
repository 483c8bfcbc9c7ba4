"""Sun-Abraham: what must hold whatever the data; numbers of R's fixest are in tests/reference."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from staggered_panel import cell_truth, shuffled_and_renamed, staggered_panel

from analysis.did import callaway_santanna, sun_abraham

KEYS = {"unit": "unit", "time": "time"}


def test_effects_that_differ_by_cohort_and_time_are_recovered_without_noise():
    panel = staggered_panel(noise=0.0)
    result = sun_abraham(panel, "y", "first", **KEYS)
    cells = result.table.set_index(["cohort", "time"])["estimate"]
    truth = cell_truth(panel)
    assert_allclose(cells.reindex(truth.index), truth, atol=1e-9)
    assert_allclose(result.att, panel.loc[panel["treated"] == 1, "effect"].mean(), atol=1e-9)


def test_every_cohort_time_but_period_minus_one_has_a_row():
    result = sun_abraham(staggered_panel(), "y", "first", **KEYS)
    cells = set(zip(result.table["cohort"], result.table["time"], strict=True))
    assert cells == {(g, t) for g in (2004, 2006) for t in range(2000, 2008) if t - g != -1}
    assert -1 not in result.event["period"].tolist()


def test_in_a_balanced_panel_cells_equal_long_differences_from_never_treated_units():
    panel = staggered_panel()
    cells = sun_abraham(panel, "y", "first", **KEYS).table.set_index(["cohort", "time"])["estimate"]
    other = callaway_santanna(panel, "y", "first", **KEYS, base_period="universal").table
    assert_allclose(cells, other.set_index(["cohort", "time"])["estimate"].reindex(cells.index), atol=1e-10)


def test_row_order_labels_and_index_do_not_matter():
    panel = staggered_panel().drop(index=[3, 77, 400])
    before = panel.copy()
    one = sun_abraham(panel, "y", "first", ["x"], **KEYS)
    other = sun_abraham(shuffled_and_renamed(panel), "y", "first", ["x"], **KEYS)
    assert_allclose(one.table.to_numpy(), other.table.to_numpy(), rtol=1e-8)
    pd.testing.assert_frame_equal(panel, before)


def test_a_control_that_drives_the_outcome_is_estimated_and_removed():
    panel = staggered_panel(noise=0.0)
    w = np.random.default_rng(5).normal(size=len(panel))
    panel["log(pcap)"] = w
    panel["y"] += 3 * w
    result = sun_abraham(panel, "y", "first", ["log(pcap)"], **KEYS)
    assert_allclose(result.controls.loc["log(pcap)", "estimate"], 3)
    truth = cell_truth(panel)
    assert_allclose(result.table.set_index(["cohort", "time"])["estimate"].reindex(truth.index), truth, atol=1e-9)


def test_without_never_treated_units_the_error_says_what_to_do():
    with pytest.raises(ValueError, match=r"No unit is never treated.*imputation"):
        sun_abraham(staggered_panel(cohorts=(2003, 2005)), "y", "first", **KEYS)


def test_a_cohort_unseen_in_period_minus_one_is_measured_against_its_last_time_before():
    panel = staggered_panel()
    panel = panel[~((panel["first"] == 2004) & (panel["time"] == 2003))]
    result = sun_abraham(panel, "y", "first", **KEYS)
    times = result.table.loc[result.table["cohort"] == 2004, "time"].tolist()
    assert times == [2000, 2001, 2004, 2005, 2006, 2007]
    assert any("measured against -2" in note for note in result.notes)


def test_cohorts_without_a_time_before_adoption_are_dropped_with_a_note():
    result = sun_abraham(staggered_panel(cohorts=(2000, 2004, np.nan)), "y", "first", **KEYS)
    assert set(result.table["cohort"]) == {2004}
    assert any("no time before adoption" in note for note in result.notes)


def test_clusters_may_be_another_column():
    panel = staggered_panel()
    panel["省"] = panel["unit"].str[-3:].astype(int) // 4
    by_unit = sun_abraham(panel, "y", "first", **KEYS)
    by_province = sun_abraham(panel, "y", "first", **KEYS, cluster="省")
    assert by_province.regression.clusters == 30
    assert by_province.att == pytest.approx(by_unit.att)
    assert by_province.se != pytest.approx(by_unit.se, rel=1e-3)


def test_covariance_is_that_of_the_event_rows():
    result = sun_abraham(staggered_panel(), "y", "first", **KEYS)
    assert result.covariance.index.tolist() == result.event["period"].tolist()
    assert_allclose(np.sqrt(np.diag(result.covariance)), result.event["se"])


def test_intervals_cover_the_true_average():
    covered = []
    for seed in range(60):
        panel = staggered_panel(seed, units=90)
        truth = panel.loc[panel["treated"] == 1, "effect"].mean()
        result = sun_abraham(panel, "y", "first", **KEYS)
        covered.append(abs(result.att - truth) < 1.96 * result.se)
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)

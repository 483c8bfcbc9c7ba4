"""Imputation: what must hold whatever the data; numbers of R's didimputation are in tests/reference."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from staggered_panel import cell_truth, shuffled_and_renamed, staggered_panel

from analysis.did import imputation

KEYS = {"unit": "unit", "time": "time"}


def test_effects_that_differ_by_cohort_and_time_are_recovered_without_noise():
    panel = staggered_panel(noise=0.0)
    result = imputation(panel, "y", "first", **KEYS)
    cells = result.table.set_index(["cohort", "time"])["estimate"]
    truth = cell_truth(panel)
    assert_allclose(cells, truth.reindex(cells.index), atol=1e-9)
    assert len(cells) == len(truth)


def test_imputed_outcomes_are_predictions_of_a_dummy_regression_on_untreated_rows():
    panel = staggered_panel(units=24).drop(index=[5, 40, 41, 100])
    w = np.random.default_rng(4).normal(size=len(panel))
    panel["人均 GDP"] = w
    result = imputation(panel, "y", "first", ["人均 GDP"], **KEYS)
    z = np.column_stack([pd.get_dummies(panel["unit"]), pd.get_dummies(panel["time"]), w]).astype(float)
    rows = (panel["treated"] == 0).to_numpy()
    beta = np.linalg.lstsq(z[rows], panel.loc[rows, "y"].to_numpy(), rcond=None)[0]
    assert_allclose(result.effects["imputed"], (z @ beta)[~rows], atol=1e-9)
    assert_allclose(result.att, (panel["y"] - z @ beta)[~rows].mean(), atol=1e-9)


def test_the_standard_error_is_that_of_its_definition_with_all_dummies_written_out():
    panel = staggered_panel(units=24).drop(index=[5, 40, 41, 100]).reset_index(drop=True)
    result = imputation(panel, "y", "first", **KEYS)
    z = np.column_stack([pd.get_dummies(panel["unit"]), pd.get_dummies(panel["time"])]).astype(float)
    treated = (panel["treated"] == 1).to_numpy()
    weight = treated / treated.sum()
    v = -z @ np.linalg.pinv(z[~treated].T @ z[~treated]) @ z[treated].T @ weight[treated]
    v[treated] = weight[treated]
    beta = np.linalg.lstsq(z[~treated], panel.loc[~treated, "y"].to_numpy(), rcond=None)[0]
    residual = panel["y"] - z @ beta
    around = residual.where(~treated, residual - residual.groupby([panel["first"], panel["time"]]).transform("mean"))
    by_unit = (v * around).groupby(panel["unit"]).sum()
    assert_allclose(result.se, np.sqrt((by_unit**2).sum()), rtol=1e-8)


def test_row_order_labels_and_index_do_not_matter():
    panel = staggered_panel().drop(index=[3, 77, 400])
    before = panel.copy()
    one = imputation(panel, "y", "first", **KEYS)
    other = imputation(shuffled_and_renamed(panel), "y", "first", **KEYS)
    assert_allclose(one.table.to_numpy(), other.table.to_numpy(), rtol=1e-8)
    assert_allclose(one.event.to_numpy(), other.event.to_numpy(), rtol=1e-7)
    pd.testing.assert_frame_equal(panel, before)


def test_without_never_treated_units_times_after_the_last_adoption_are_left_out_with_a_count():
    panel = staggered_panel(cohorts=(2003, 2005, 2006), noise=0.0)
    result = imputation(panel, "y", "first", **KEYS)
    assert result.table["time"].max() == 2005
    truth = cell_truth(panel)
    cells = result.table.set_index(["cohort", "time"])["estimate"]
    assert_allclose(cells, truth.reindex(cells.index), atol=1e-9)
    dropped = int((panel["time"] >= 2006).sum())
    assert any(f"{dropped} treated rows left out" in note for note in result.notes)


def test_units_without_an_untreated_row_are_left_out():
    panel = staggered_panel(cohorts=(2000, 2004, np.nan))
    result = imputation(panel, "y", "first", **KEYS)
    assert set(result.table["cohort"]) == {2004}


def test_when_nothing_can_be_imputed_the_error_says_so():
    with pytest.raises(ValueError, match="No treated row can be imputed"):
        imputation(staggered_panel(cohorts=(2004,)), "y", "first", **KEYS)


def test_leads_see_a_trend_before_adoption_and_are_near_zero_without_one():
    panel = staggered_panel(noise=0.05)
    flat = imputation(panel, "y", "first", **KEYS)
    assert (flat.event.loc[flat.event["period"] < 0, "estimate"].abs() < 0.05).all()
    drifting = panel.assign(y=panel["y"] + 0.3 * (panel["time"] - 2004) * panel["first"].notna())
    leads = imputation(drifting, "y", "first", **KEYS, leads=[-3, -2]).event.query("period < 0")
    assert leads["period"].tolist() == [-3, -2]
    assert imputation(drifting, "y", "first", **KEYS).event.loc[-4, "estimate"] == pytest.approx(-0.9, abs=0.1)
    assert imputation(panel, "y", "first", **KEYS, leads=()).event["period"].min() == 0
    with pytest.raises(ValueError, match="period -20"):
        imputation(panel, "y", "first", **KEYS, leads=[-20])


def test_intervals_cover_the_true_average():
    covered = []
    for seed in range(150):
        panel = staggered_panel(seed, units=90)
        truth = panel.loc[panel["treated"] == 1, "effect"].mean()
        result = imputation(panel, "y", "first", **KEYS, leads=())
        covered.append(abs(result.att - truth) < 1.96 * result.se)
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)

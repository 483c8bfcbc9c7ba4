"""The event study equals a regression on dummies built by hand, and says which periods have no value of their own."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, TREATED, UNIT, X1, YEAR, Y, random_panel, shuffled_and_renamed

from analysis.did import event_study, two_way


def study(panel: pd.DataFrame, controls: list[str] = CONTROLS, **options: object):
    window = {"leads": 3, "lags": 3, **options}
    return event_study(panel, Y, FIRST, controls, unit=UNIT, time=YEAR, **window)


def by_hand(panel: pd.DataFrame, periods: list[int], leads: int, lags: int):
    """Dummies of binned periods, never-treated units all zero, handed to the two-way regression."""
    relative = (panel[YEAR] - panel[FIRST]).clip(-leads, lags)
    names = [f"d{k}" for k in periods]
    frame = panel.assign(**{f"d{k}": (relative == k).astype(float) for k in periods})
    return two_way(frame, Y, names, CONTROLS, unit=UNIT, time=YEAR), names


@pytest.mark.parametrize("base", [-1, 0, -3, 2])
def test_it_is_the_regression_on_binned_dummies_whatever_the_base(base: int) -> None:
    panel = random_panel(1)
    periods = [k for k in range(-3, 4) if k != base]
    expected, names = by_hand(panel, periods, 3, 3)
    result = study(panel, base=base)
    columns = ["estimate", "se", "t", "p", "low", "high"]
    assert result.table.index.tolist() == list(range(-3, 4)) and result.table.index.name == "period"
    assert np.allclose(result.table.loc[periods, columns], expected.table.loc[names, columns], rtol=1e-12)
    assert np.allclose(result.covariance, expected.covariance.loc[names, names])
    assert result.base == base


def test_the_base_row_is_zero_by_construction() -> None:
    row = study(random_panel(1)).table.loc[-1]
    assert row[["estimate", "se", "low", "high"]].tolist() == [0, 0, 0, 0]
    assert row[["t", "p"]].isna().all() and row["rows"] > 0


def test_changing_the_base_moves_every_estimate_by_the_same_amount() -> None:
    panel = random_panel(2)
    first, second = study(panel, base=-1).table["estimate"], study(panel, base=0).table["estimate"]
    assert np.allclose(first - second, first.loc[0])
    assert any("base, period 0, is treated" in note for note in study(panel, base=0).notes)


def test_the_pretrend_test_is_the_joint_wald_test_of_the_leads() -> None:
    from scipy import stats

    result = study(random_panel(3))
    leads = [-3, -2]
    beta, v = result.table.loc[leads, "estimate"].to_numpy(), result.covariance.loc[leads, leads].to_numpy()
    f = beta @ np.linalg.solve(v, beta) / 2
    assert result.pretrend.f == pytest.approx(f)
    assert (result.pretrend.df, result.pretrend.df_denominator) == (2, 39)
    assert result.pretrend.p == pytest.approx(stats.f.sf(f, 2, 39))
    with_base_zero = study(random_panel(3), base=0).pretrend
    assert with_base_zero.terms == (-3, -2, -1) and with_base_zero.df == 3


def test_one_lead_under_base_minus_one_leaves_nothing_to_test() -> None:
    result = study(random_panel(3), leads=1)
    assert np.isnan(result.pretrend.p) and "no coefficient to test" in result.pretrend.summary()


def test_a_period_that_no_unit_reaches_is_not_identified_and_costs_the_others_nothing() -> None:
    """The AI paper draws five lags, adoption from 2019 and data to 2023 give four."""
    panel = random_panel(4)
    far = int((panel[YEAR] - panel[FIRST]).max())
    wide, narrow = study(panel, lags=far + 2), study(panel, lags=far)
    assert set(wide.not_identified) == {far + 1, far + 2}
    assert wide.not_identified[far + 2] == f"No treated unit is observed in period +{far + 2} or later."
    assert wide.table.loc[far + 1 :, "estimate"].isna().all() and (wide.table.loc[far + 1 :, "rows"] == 0).all()
    pd.testing.assert_frame_equal(wide.table.loc[:far], narrow.table)


def test_ends_that_are_not_binned_leave_rows_out_and_say_so() -> None:
    panel = random_panel(5)
    relative = panel[YEAR] - panel[FIRST]
    inside = panel[~((relative < -2) | (relative > 2))]
    result = study(panel, leads=2, lags=2, bin_ends=False)
    expected, names = by_hand(inside, [-2, 0, 1, 2], 2, 2)
    assert np.allclose(result.table.loc[[-2, 0, 1, 2], "estimate"], expected.table.loc[names, "estimate"])
    assert f"{len(panel) - len(inside)} rows dropped: outside periods -2 to 2." in result.notes
    assert result.n == expected.n


def test_without_never_treated_units_a_full_path_is_set_only_up_to_a_trend() -> None:
    panel = random_panel(6)
    panel = panel[panel[FIRST].notna()]
    full = study(panel, leads=8, lags=8)
    known = full.table.drop(index=-1)["estimate"]
    assert known.isna().all()
    reached = [k for k in known.index if full.table.loc[k, "rows"] > 0]
    assert all("has no value of its own" in full.not_identified[k] for k in reached)
    assert "No unit is never treated: the reference is units not yet treated." in full.notes


def test_binned_ends_identify_the_path_without_never_treated_units() -> None:
    panel = random_panel(6, share=1.0)
    panel = panel[panel[FIRST].notna()]
    expected, names = by_hand(panel, [-2, 0, 1, 2], 2, 2)
    result = study(panel, leads=2, lags=2)
    assert result.not_identified == {}
    assert np.allclose(result.table.loc[[-2, 0, 1, 2], "estimate"], expected.table.loc[names, "estimate"])


def test_one_cohort_alone_identifies_nothing() -> None:
    panel = random_panel(7)
    result = study(panel[panel[FIRST] == 2014])
    assert result.table.drop(index=-1)["estimate"].isna().all()


def test_a_sample_without_treated_units_has_a_reason_in_every_row() -> None:
    panel = random_panel(7)
    result = study(panel[panel[FIRST].isna()])
    assert set(result.not_identified) == {-3, -2, 0, 1, 2, 3}
    assert all("No treated unit is observed" in why for why in result.not_identified.values())


def test_always_treated_units_are_kept_or_dropped_by_name() -> None:
    panel = random_panel(8)
    unit = panel[UNIT].iloc[0]
    panel.loc[panel[UNIT] == unit, FIRST] = 2005
    rows = int((panel[UNIT] == unit).sum())
    kept, dropped = study(panel), study(panel, always_treated="drop")
    assert kept.n == len(panel) and any("1 unit is treated from the first row on; kept" in note for note in kept.notes)
    assert dropped.n == len(panel) - rows
    assert f"{rows} rows dropped: 1 unit is treated from the first row on." in dropped.notes
    pd.testing.assert_frame_equal(dropped.table, study(panel[panel[UNIT] != unit]).table)


def test_counts_are_of_the_rows_used() -> None:
    panel = random_panel(9)
    panel.loc[panel.index[:20], X1] = np.nan
    used = panel.dropna(subset=[X1, FIRST])
    relative = (used[YEAR] - used[FIRST]).clip(-3, 3)
    result = study(panel)
    assert result.table["rows"].tolist() == relative.value_counts().sort_index().tolist()
    assert result.table["units"].tolist() == used[UNIT].groupby(relative).nunique().tolist()


def test_row_order_and_labels_do_not_matter_and_the_data_stay_as_they_were() -> None:
    panel = random_panel(10)
    before = panel.copy(deep=True)
    first, second = study(panel), study(shuffled_and_renamed(panel))
    pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-9)
    assert first.pretrend.p == pytest.approx(second.pretrend.p, rel=1e-8)
    pd.testing.assert_frame_equal(panel, before)


def test_a_column_that_is_called_like_a_period_does_no_harm() -> None:
    panel = random_panel(11)
    named = panel.rename(columns={X1: "period +0"})
    first, second = study(panel), study(named, ["period +0", CONTROLS[1]])
    pd.testing.assert_frame_equal(first.table, second.table)
    assert second.regression.table.loc["period +0", "estimate"] == first.regression.table.loc[X1, "estimate"]


def test_one_lag_of_everything_is_the_two_way_estimate() -> None:
    panel = random_panel(12)
    result = study(panel, leads=1, lags=0)
    assert result.table.loc[0, "estimate"] == pytest.approx(
        two_way(panel, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR).table.loc[TREATED, "estimate"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leads": 0}, "leads must be a whole number, at least 1"),
        ({"lags": 1.5}, "lags must be a whole number"),
        ({"base": 4}, "base must be a whole period between -3 and 3"),
        ({"always_treated": "maybe"}, "always_treated is 'keep' or 'drop'"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(random_panel(1), **options)


def test_adoption_between_two_years_is_refused() -> None:
    panel = random_panel(1)
    with pytest.raises(ValueError, match="must be whole periods apart"):
        study(panel.assign(**{FIRST: panel[FIRST] + 0.5}))

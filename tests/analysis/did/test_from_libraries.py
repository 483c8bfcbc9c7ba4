"""Estimators that wrap a library: equal to other software or to arithmetic by hand, and right on known effects."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, UNIT, YEAR, Y, random_panel
from staggered_panel import shuffled_and_renamed, staggered_panel

from analysis import did
from analysis.did._library import heard
from analysis.results import CannotEstimate

KEYS = {"unit": "unit", "time": "time"}
ARGUMENTS = ("y", "first")


@pytest.fixture(scope="module")
def panel():
    return staggered_panel(units=90, times=8)


def test_stacked_is_that_of_the_papers_weights_in_another_engine(panel):
    import diff_diff

    ours = did.stacked(panel, *ARGUMENTS, **KEYS, before=3, after=1)
    plain = panel.assign(unit=panel["unit"].astype("category").cat.codes, first=panel["first"].fillna(0))
    theirs = diff_diff.StackedDiD(kappa_pre=3, kappa_post=1).fit(plain, "y", "unit", "time", "first")
    assert ours.att == pytest.approx(theirs.overall_att, rel=1e-9)
    assert ours.se == pytest.approx(theirs.overall_se, rel=1e-9)
    for period, row in theirs.event_study_effects.items():
        assert ours.event.loc[period, "estimate"] == pytest.approx(row["effect"], abs=1e-9)
        assert ours.event.loc[period, "se"] == pytest.approx(row["se"], rel=1e-8, abs=1e-12)


def test_stacked_takes_the_window_that_all_cohorts_have_and_names_whom_a_longer_one_leaves_out(panel):
    assert list(did.stacked(panel, *ARGUMENTS, **KEYS).event["period"]) == [-4, -3, -2, -1, 0, 1]
    longer = did.stacked(panel, *ARGUMENTS, **KEYS, before=3, after=3)
    assert "adoption in 2006" in longer.notes[-1]
    with pytest.raises(CannotEstimate, match="shorter window"):
        did.stacked(panel, *ARGUMENTS, **KEYS, before=3, after=7)


def test_stacked_controls_enter_as_regressors():
    panel = random_panel(units=60, share=1.0).assign(z=lambda f: 5 * f[CONTROLS[0]])
    options = {"unit": UNIT, "time": YEAR, "before": 2, "after": 1}
    held = did.stacked(panel, Y, FIRST, ["z"], **options)
    moved = did.stacked(panel.assign(**{Y: panel[Y] + panel["z"]}), Y, FIRST, ["z"], **options)
    assert moved.att == pytest.approx(held.att, rel=1e-8)
    assert moved.se == pytest.approx(held.se, rel=1e-8)
    assert did.stacked(panel, Y, FIRST, **options).att != pytest.approx(held.att, rel=1e-3)


def test_long_differences_of_the_local_projections_are_those_by_hand(panel):
    result = did.local_projections(panel, *ARGUMENTS, **KEYS)
    wide = panel.pivot(index="unit", columns="time", values="y")
    first = panel.groupby("unit")["first"].first()
    for horizon in (0, 1):
        effect, size = 0.0, 0
        for cohort in (2004, 2006):
            change = wide[cohort + horizon] - wide[cohort - 1]
            clean = first.isna() | (first > cohort + horizon)
            number = (first == cohort).sum()
            effect += number * (change[first == cohort].mean() - change[clean].mean())
            size += number
        assert result.event.loc[horizon, "estimate"] == pytest.approx(effect / size, rel=1e-9)


def test_local_projections_without_weights_are_those_of_pyfixest(panel):
    import pyfixest

    ours = did.local_projections(panel, *ARGUMENTS, **KEYS, reweight=False, before=3, after=1)
    plain = panel.assign(unit=panel["unit"].astype("category").cat.codes, first=panel["first"].fillna(0))
    theirs = pyfixest.lpdid(
        plain, "y", "unit", "time", "first", pre_window=-3, post_window=1, never_treated=0, att=False
    ).tidy()
    for period in (-3, -2, 0, 1):
        assert ours.event.loc[period, "estimate"] == pytest.approx(
            theirs.loc[f"time_to_treatment::{period}", "Estimate"], rel=1e-7
        )


def test_linear_extended_cells_are_those_of_imputation_in_a_balanced_panel(panel):
    """Wooldridge (2025), proposition 5.2: the two are the same numbers."""
    ours, other = did.extended_two_way(panel, *ARGUMENTS, **KEYS), did.imputation(panel, *ARGUMENTS, **KEYS)
    keys = ["cohort", "time"]
    both = ours.table.merge(other.table, on=keys, suffixes=("", "_other"))
    assert len(both) == len(ours.table) == 6
    np.testing.assert_allclose(both["estimate"], both["estimate_other"], rtol=1e-8)
    assert ours.att == pytest.approx(other.att, rel=1e-8)


def counts(seed: int = 0, units: int = 150) -> pd.DataFrame:
    frame = staggered_panel(seed, units=units)
    generator = np.random.default_rng(seed + 1)
    level = np.exp(1.2 + 0.1 * (frame["time"] - 2000) + 0.3 * frame["first"].eq(2004))
    without, with_ = level, level * np.exp(0.4 * frame["treated"])
    return frame.assign(y=generator.poisson(with_), gain=with_ - without)


def test_poisson_extended_effects_are_differences_of_predictions_in_counts():
    import statsmodels.api as sm

    frame = counts()
    ours = did.extended_two_way(frame, *ARGUMENTS, **KEYS, family="poisson")
    cohort = frame["first"].fillna(0)
    cells = pd.get_dummies(
        (cohort.astype(int).astype(str) + "-" + frame["time"].astype(str)).where(frame["treated"] == 1)
    )
    parts = [pd.get_dummies(cohort, drop_first=True), pd.get_dummies(frame["time"], drop_first=True), cells]
    design = sm.add_constant(np.column_stack([part.to_numpy(float) for part in parts]))
    fitted = sm.GLM(frame["y"], design, family=sm.families.Poisson()).fit()
    without = design.copy()
    without[:, -cells.shape[1] :] = 0
    gain = fitted.predict(design) - fitted.predict(without)
    treated = frame["treated"].to_numpy() == 1
    assert ours.att == pytest.approx(gain[treated].mean(), rel=1e-6)
    assert abs(ours.att - frame.loc[treated, "gain"].mean()) < 3 * ours.se


@pytest.mark.parametrize("estimator", [did.stacked, did.local_projections, did.extended_two_way])
def test_known_effects_by_period_are_found_and_rows_may_come_in_any_order(panel, estimator):
    result = estimator(panel, *ARGUMENTS, **KEYS)
    truth = (
        panel[panel["treated"] == 1].assign(period=lambda f: f["time"] - f["first"]).groupby("period")["effect"].mean()
    )
    for period in (0, 1):
        row = result.event.loc[period]
        assert abs(row["estimate"] - truth[period]) < 4 * row["se"]
    again = estimator(shuffled_and_renamed(panel), *ARGUMENTS, **KEYS)
    assert again.att == pytest.approx(result.att, rel=1e-8)
    assert again.se == pytest.approx(result.se, rel=1e-6)
    assert (result.event["period"] == result.event.index).all()


def switches(seed: int = 0, units: int = 120) -> pd.DataFrame:
    """Units that get a treatment in 2003 and lose it in 2006, others in 2004 for good, others never."""
    generator = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), 8), np.tile(np.arange(2000, 2008), units)
    kind = unit % 3
    treated = ((kind == 0) & (time >= 2003) & (time < 2006)) | ((kind == 1) & (time >= 2004))
    y = generator.normal(size=units)[unit] + 0.2 * time + 1.5 * treated + 0.3 * generator.normal(size=len(unit))
    return pd.DataFrame({"unit": unit, "time": time, "d": treated.astype(int), "y": y})


def test_first_effects_of_a_switch_are_differences_in_differences_by_hand():
    frame = switches()
    result = did.switching(frame, "y", "d", **KEYS)
    wide = frame.pivot(index="unit", columns="time", values="y")
    kind = wide.index % 3
    total, size = 0.0, 0
    for group, first in ((0, 2003), (1, 2004)):
        change = wide[first] - wide[first - 1]
        clean = (kind == 2) | ((kind == 1) & (first < 2004))
        total += (kind == group).sum() * (change[kind == group].mean() - change[clean].mean())
        size += (kind == group).sum()
    assert result.event.loc[0, "estimate"] == pytest.approx(total / size, rel=1e-9)
    assert abs(result.event.loc[0, "estimate"] - 1.5) < 4 * result.event.loc[0, "se"]
    assert abs(result.event.loc[-2, "estimate"]) < 4 * result.event.loc[-2, "se"]
    # three years after its change the first group has left treatment again
    assert result.event.loc[3, "estimate"] < 1.2
    assert "change more than once" in result.notes[-1]


def test_leaving_a_treatment_has_the_effect_of_its_absence():
    frame = switches().assign(d=lambda f: 1 - f["d"])  # all start treated
    assert did.switching(frame, "y", "d", **KEYS, horizons=1).att == pytest.approx(-1.5, abs=0.2)


def test_poisson_coefficients_and_errors_are_those_of_the_dummy_regression():
    import statsmodels.api as sm

    frame = counts(units=40).assign(x=lambda f: np.random.default_rng(5).normal(size=len(f)))
    ours = did.poisson(frame, "y", "treated", ["x"], **KEYS)
    dummies = pd.get_dummies(frame[["unit", "time"]].astype(str), drop_first=True).to_numpy(float)
    design = sm.add_constant(np.column_stack([frame[["treated", "x"]], dummies]))
    fitted = sm.GLM(frame["y"], design, family=sm.families.Poisson()).fit(tol=1e-12)
    assert ours.table["estimate"].to_numpy() == pytest.approx(fitted.params[1:3].to_numpy(), rel=1e-6)
    mean = fitted.mu
    scores = design * (frame["y"] - mean).to_numpy()[:, None]
    sums = pd.DataFrame(scores).groupby(frame["unit"].to_numpy()).sum().to_numpy()
    bread = np.linalg.inv((design * np.asarray(mean)[:, None]).T @ design)
    variance = 40 / 39 * bread @ (sums.T @ sums) @ bread
    assert ours.table["se"].to_numpy() == pytest.approx(np.sqrt(np.diag(variance))[1:3], rel=1e-5)
    assert ours.clusters == 40
    assert abs(ours.table.loc["treated", "estimate"] - 0.4) < 4 * ours.table.loc["treated", "se"]


def test_poisson_drops_what_is_separated_and_says_so():
    frame = counts(units=30)
    silent = frame["unit"].isin(frame["unit"].unique()[:3])
    frame.loc[silent, "y"] = 0
    result = did.poisson(frame, "y", "treated", **KEYS)
    alone = did.poisson(frame[~silent], "y", "treated", **KEYS)
    assert result.n == (~silent).sum()
    assert f"{silent.sum()} rows dropped" in result.notes[0]
    assert result.table.loc["treated", "estimate"] == pytest.approx(alone.table.loc["treated", "estimate"], rel=1e-7)
    with pytest.raises(ValueError, match="outcome of 0 or more"):
        did.poisson(frame.assign(y=-1.0), "y", "treated", **KEYS)
    absorbed = did.poisson(frame.assign(size=frame["x"]), "y", "treated", ["size"], **KEYS)
    assert "fixed effects" in absorbed.not_identified["size"]


def doses(seed: int = 0, units: int = 200) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), 6), np.tile(np.arange(2000, 2006), units)
    strength = np.where(np.arange(units) % 2 == 0, 0.0, generator.uniform(1, 3, size=units))[unit]
    active = strength * (time >= 2003)
    y = generator.normal(size=units)[unit] + 0.1 * time + 0.8 * active + 0.3 * generator.normal(size=len(unit))
    return pd.DataFrame({"unit": unit, "time": time, "dose": active, "y": y})


def test_a_known_response_to_the_dose_is_found():
    result = did.dose(doses(), "y", "dose", **KEYS, at=[1.5, 2.5])
    assert list(result.table["dose"]) == [1.5, 2.5]
    assert abs(result.slope - 0.8) < 4 * result.slope_se
    for row in result.table.itertuples():
        assert abs(row.estimate - 0.8 * row.dose) < 4 * row.se
    changing = doses().assign(dose=lambda f: f["dose"] * (1 + (f["time"] == 2005)))
    with pytest.raises(ValueError, match="changes: this estimator"):
        did.dose(changing, "y", "dose", **KEYS)
    with pytest.raises(CannotEstimate, match="different doses"):
        did.dose(doses().assign(dose=lambda f: (f["dose"] > 0) * 1.0), "y", "dose", **KEYS)


def confounded(seed: int = 0, units: int = 150) -> pd.DataFrame:
    """A treatment that units take up where a control is far from zero on either side, which also moves the outcome."""
    generator = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), 8), np.tile(np.arange(2000, 2008), units)
    x = 1.5 * generator.normal(size=len(unit))
    treated = (generator.uniform(size=len(unit)) < 1 / (1 + np.exp(2 - x**2))).astype(float)
    y = generator.normal(size=units)[unit] + 0.1 * time + 1.0 * treated + x**2 + generator.normal(size=len(unit))
    return pd.DataFrame({"unit": unit, "time": time, "d": treated, "x": x, "y": y})


def test_learned_controls_take_out_what_straight_lines_cannot():
    frame = confounded()
    linear = did.two_way(frame, "y", "d", ["x"], **KEYS).table.loc["d", "estimate"]
    assert linear > 1.8
    result = did.double_machine_learning(frame, "y", "d", ["x"], **KEYS, learner=["lasso", "boosting"])
    assert abs(result.att - 1) < 3 * result.se
    assert result.att == result.table.loc["lasso", "estimate"]
    assert (result.table["r2_outcome"] > 0.5).all()


def test_the_linear_learner_without_use_is_the_regression_in_differences():
    frame = confounded(units=60).assign(z=lambda f: np.random.default_rng(3).normal(size=len(f)))
    result = did.double_machine_learning(frame, "y", "d", ["z"], **KEYS, learner="linear", folds=2)
    ordered = frame.sort_values(["unit", "time"])
    change = ordered.groupby("unit")[["y", "d"]].diff().dropna()
    change = change - change.groupby(ordered.loc[change.index, "time"]).transform("mean")
    slope = (change["d"] * change["y"]).sum() / (change["d"] ** 2).sum()
    assert result.att == pytest.approx(slope, rel=0.02)
    again = did.double_machine_learning(
        frame.sample(frac=1, random_state=1), "y", "d", ["z"], **KEYS, learner="linear", folds=2
    )
    assert again.att == pytest.approx(result.att, rel=1e-9)
    with pytest.raises(ValueError, match="learner is one of"):
        did.double_machine_learning(frame, "y", "d", ["z"], **KEYS, learner="magic")


@pytest.mark.parametrize("estimator", [did.stacked, did.local_projections, did.extended_two_way])
def test_a_panel_without_treatment_is_refused(panel, estimator):
    with pytest.raises(ValueError, match="No unit is treated"):
        estimator(panel.assign(first=np.nan), *ARGUMENTS, **KEYS)


def test_a_treatment_that_never_changes_is_refused():
    with pytest.raises(CannotEstimate, match="No unit changes"):
        did.switching(switches().assign(d=0), "y", "d", **KEYS)


def test_a_refusal_of_the_data_is_told_from_a_call_that_is_wrong(panel):
    def refused(said):
        raise ValueError(said)

    with pytest.raises(CannotEstimate, match="post horizons"):
        heard(lambda: refused("unidentified pooled post horizons: [3]"))
    with pytest.raises(RuntimeError, match="called wrongly"):
        heard(lambda: refused("Missing columns: ['y']"))
    with pytest.raises(CannotEstimate, match="two periods before"):
        did.local_projections(panel[panel["time"] > 2004].query("first != 2004"), *ARGUMENTS, **KEYS)
    few = panel[panel["unit"].isin(panel["unit"].unique()[[0, 2]]) & panel["time"].between(2003, 2004)]
    with pytest.raises(CannotEstimate, match="rows for"):
        did.stacked(few, *ARGUMENTS, **KEYS)


def test_units_whose_controls_have_no_slope_are_left_out_of_switching_by_name(panel):
    held = panel.assign(treated=(panel["time"] >= panel["first"]).astype(int))
    leaver = held[held["unit"] == held["unit"].iloc[0]].assign(unit="leaver")
    leaver["treated"] = (leaver["time"] == leaver["time"].min()).astype(int)
    result = did.switching(pd.concat([held, leaver]), "y", "treated", ["x"], **KEYS, horizons=1)
    assert any("1 units left out" in note for note in result.notes)
    assert result.att == pytest.approx(did.switching(held, "y", "treated", ["x"], **KEYS, horizons=1).att)

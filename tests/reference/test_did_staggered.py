"""Staggered estimators against R: did, DRDID, fixest's sunab, didimputation, HonestDiD."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from analysis.did import (
    EventPath,
    callaway_santanna,
    dose,
    double_machine_learning,
    extended_two_way,
    honest,
    imputation,
    local_projections,
    stacked,
    sun_abraham,
    switching,
    triple_difference,
)

KEYS = {"unit": "countyreal", "time": "year"}


@pytest.fixture(scope="module")
def mpdta(reference):
    data = pd.read_csv(reference("mpdta/mpdta.csv")).rename(columns={"first.treat": "first"})
    return data.assign(first=data["first"].replace(0, np.nan))


@pytest.fixture(scope="module")
def expected(reference):
    return json.loads(reference("mpdta/expected_R.json").read_text())


@pytest.fixture(scope="module")
def base_stagg(reference):
    return pd.read_csv(reference("base_stagg/base_stagg.csv"))


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("covariates", ["none", "lpop"])
@pytest.mark.parametrize(("control", "name"), [("never", "nevertreated"), ("not_yet", "notyettreated")])
def test_group_time_effects_and_every_average_equal_r_did(mpdta, expected, control, name, covariates, method):
    answer = expected[f"{name}|{covariates}|{method}"]
    controls = [] if covariates == "none" else [covariates]
    result = callaway_santanna(mpdta, "lemp", "first", controls, **KEYS, control=control, method=method)
    cells = result.table.set_index(["cohort", "time"])
    assert len(cells) == len(answer["attgt"])
    for row in answer["attgt"]:
        assert_allclose(cells.loc[(row["g"], row["t"]), ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)
    tables = {"dynamic": result.event, "group": result.group, "calendar": result.calendar}
    for average in ("simple", *tables):
        row = answer[average]
        assert_allclose(result.overall.loc[average, ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)
    for average, table in tables.items():
        assert len(table) == len(answer[average]["by"])
        for row in answer[average]["by"]:
            assert_allclose(table.loc[row["e"], ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)


def test_published_averages_of_the_minimum_wage_panel(mpdta):
    simple = callaway_santanna(mpdta, "lemp", "first", **KEYS)
    dynamic = callaway_santanna(mpdta, "lemp", "first", **KEYS, aggregation="dynamic")
    robust = callaway_santanna(mpdta, "lemp", "first", ["lpop"], **KEYS, method="dr")
    assert_allclose([simple.att, simple.se], [-0.03995127516, 0.01203401277], rtol=1e-6)
    assert_allclose([dynamic.att, dynamic.se], [-0.07723982146, 0.01996498906], rtol=1e-6)
    assert_allclose(callaway_santanna(mpdta, "lemp", "first", **KEYS, control="not_yet").att, -0.03976362562, rtol=1e-6)
    assert_allclose(robust.att, -0.04175177, rtol=1e-6)


def test_sun_abraham_equals_fixest_sunab(mpdta, expected):
    result = sun_abraham(mpdta, "lemp", "first", **KEYS)
    answer = dict(expected["sunab"])
    overall = answer.pop("ATT")
    assert_allclose([result.att, result.se], [overall["b"], overall["se"]], rtol=1e-6)
    assert len(result.event) == len(answer)
    for name, row in answer.items():
        period = int(name.removeprefix("year::"))
        assert_allclose(result.event.loc[period, ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)


def test_sun_abraham_with_a_control_equals_fixest_sunab(base_stagg, reference):
    result = sun_abraham(base_stagg, "y", "year_treated", ["x1"], unit="id", time="year")
    assert_allclose([result.att, result.se], [-1.133749449, 0.2050704938], rtol=1e-6)
    assert_allclose(result.controls.loc["x1", ["estimate", "se"]], [0.9946783109, 0.0183781320], rtol=1e-6)
    answer = json.loads(reference("base_stagg/expected_fixest.json").read_text())["es"]
    for name, row in answer.items():
        if name.startswith("year::"):
            period = int(name.removeprefix("year::"))
            assert_allclose(result.event.loc[period, ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)


def test_imputation_equals_didimputation(mpdta, expected):
    result = imputation(mpdta, "lemp", "first", **KEYS)
    assert_allclose([result.att, result.se], [expected["bjs"]["b"], expected["bjs"]["se"]], rtol=1e-6)
    assert len(result.event) == len(expected["bjs_es"])
    for row in expected["bjs_es"]:
        assert_allclose(result.event.loc[int(row["term"]), ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)


def numbers(text):
    return np.array(text.split(), dtype=float)


# Benzarti and Carloni (2019), as shipped with HonestDiD: 2004-2007 and 2009-2012, base 2008.
CARLONI = EventPath(
    np.array([-5, -4, -3, -2, 0, 1, 2, 3]),
    numbers(
        """0.006696351804 0.02934503369 -0.006472972222 0.0730149895
        0.1959611177 0.3120639026 0.2395415455 0.1260425001"""
    ),
    numbers(
        """8.428358124e-4 4.768686777e-4 2.618051047e-4 2.354220342e-4
        1.676371467e-4 1.128707663e-4 1.992816215e-5 -1.368265366e-4
        4.768686777e-4 6.425420288e-4 3.987425007e-4 2.435515198e-4
        2.201960306e-4 1.804591157e-4 3.84376508e-5 -2.960421989e-5
        2.618051047e-4 3.987425007e-4 5.229949602e-4 2.11768609e-4
        1.840722252e-4 1.45852784e-4 7.005197403e-5 5.952994979e-5
        2.354220342e-4 2.435515198e-4 2.11768609e-4 3.089595411e-4
        1.197866077e-4 1.334081317e-4 1.016335009e-4 1.079051726e-4
        1.676371467e-4 2.201960306e-4 1.840722252e-4 1.197866077e-4
        3.59970436e-4 2.478818642e-4 1.749579242e-4 1.654256921e-4
        1.128707663e-4 1.804591157e-4 1.45852784e-4 1.334081317e-4
        2.478818642e-4 4.263949813e-4 2.171437809e-4 2.892747871e-4
        1.992816215e-5 3.84376508e-5 7.005197403e-5 1.016335009e-4
        1.749579242e-4 2.171437809e-4 4.886697861e-4 3.805322049e-4
        -1.368265366e-4 -2.960421989e-5 5.952994979e-5 1.079051726e-4
        1.654256921e-4 2.892747871e-4 3.805322049e-4 7.61739444e-4"""
    ).reshape(8, 8),
)
# The worked example of HonestDiD.jl, which computes critical values of the smoothness interval exactly.
ERRORS = np.array([0.060, 0.050, 0.055, 0.050, 0.052, 0.060, 0.065, 0.070])
JULIA = EventPath(
    np.array([-4, -3, -2, 0, 1, 2, 3, 4]),
    np.array([0.02, -0.01, 0.03, 0.15, 0.20, 0.25, 0.22, 0.18]),
    np.outer(ERRORS, ERRORS) * 0.6 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8))),
)


def test_smoothness_intervals_equal_honestdid_up_to_its_simulated_critical_value():
    result = honest(CARLONI, restriction="smoothness", bounds=[0, 0.1, 0.2])
    assert_allclose(result.original, [0.15877494280765, 0.233147292681241], atol=1e-9)
    published = [[0.131411316, 0.2161696482], [0.1194440001, 0.4185082143], [0.01944400015, 0.5185082143]]
    assert_allclose(result.table[["low", "high"]], published, atol=1e-4)


def test_smoothness_intervals_equal_honestdid_jl_to_its_printed_digits():
    result = honest(JULIA, restriction="smoothness", bounds=[0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    published = [
        [0.03849, 0.23376],
        [0.027367, 0.2422],
        [0.0061132, 0.25851],
        [-0.01481, 0.27416],
        [-0.028729, 0.294],
        [-0.041775, 0.31396],
        [-0.054089, 0.33366],
    ]
    assert_allclose(result.table[["low", "high"]], published, atol=1e-5)


@pytest.mark.parametrize("bound", [0.0, 0.005, 0.05, 0.5])
@pytest.mark.parametrize("effect", [[1, 0, 0, 0, 0], [0.2] * 5])
def test_smoothness_intervals_equal_diff_diff(bound, effect):
    from diff_diff.honest_did import _compute_optimal_flci

    weights = dict(enumerate(effect))
    mine = honest(JULIA, restriction="smoothness", bounds=[bound], weights=weights).table.loc[0, ["low", "high"]]
    before, after = JULIA.estimate[:3], JULIA.estimate[3:]
    assert_allclose(
        mine, _compute_optimal_flci(before, after, JULIA.covariance, np.array(effect), 3, 5, bound), atol=1e-5
    )


def test_conditional_relative_magnitudes_lie_within_one_grid_step_of_honestdid():
    """R reports the outermost accepted points of 200 between -20 and 20 standard errors: a step is 0.0038."""
    se = float(np.sqrt(CARLONI.covariance[4, 4]))
    step = 40 * se / 199
    effect = np.array([1.0, 0, 0, 0])
    low, high = sys.modules[honest.__module__]._relative_interval(
        CARLONI.estimate / se, CARLONI.covariance / se**2, 4, effect, 1.0, 0.05, first_stage=0.0
    )
    assert 0.07055244362 - step < low * se <= 0.07055244362 + 1e-9
    assert 0.3184394077 - 1e-9 <= high * se < 0.3184394077 + step


def test_hybrid_relative_magnitudes_equal_honestdid_up_to_its_grid_and_simulated_first_stage():
    """The published intervals rest on 1,000 draws for a 99.5% quantile and on a grid with a step of 0.002."""
    table = honest(JULIA, bounds=[0.5, 1, 1.5, 2]).table
    published = [[0.031031, 0.28328], [-0.003003, 0.33734], [-0.053053, 0.39339], [-0.10511, 0.45345]]
    assert_allclose(table[["low", "high"]], published, atol=0.0025)


# The minimum wage panel in R 4.2.2: lm of the written-out regression, sandwich 3.0-2's vcovCL by county (HC1, cadjust).


def test_the_stack_is_rs_weighted_regression(mpdta):
    result = stacked(mpdta, "lemp", "first", **KEYS, before=1, after=0)
    assert_allclose([result.att, result.se], [-0.0189221990834, 0.0122032172168], rtol=1e-10)


def test_local_projections_are_rs_regressions_of_long_differences(mpdta):
    result = local_projections(mpdta, "lemp", "first", **KEYS, before=2, after=0, reweight=False)
    assert_allclose([result.att, result.se], [-0.0175701335971, 0.0113981175732], rtol=1e-10)
    assert_allclose(result.event.loc[-2, ["estimate", "se"]], [0.0227805839032, 0.0139845628775], rtol=1e-10)


def test_the_first_effect_of_a_change_is_that_of_did_multiplegts_formula_and_of_rs_cells(mpdta, expected):
    held = mpdta.assign(treated=(mpdta["year"] >= mpdta["first"]).astype(int))
    result = switching(held, "lemp", "treated", **KEYS, horizons=1)
    cells = {row["g"]: row["att"] for row in expected["notyettreated|none|reg"]["attgt"] if row["g"] == row["t"]}
    size = mpdta.groupby("first")["countyreal"].nunique()
    assert_allclose(result.att, np.average([cells[g] for g in size.index], weights=size), rtol=1e-6)
    assert_allclose(result.att, -0.0189221990834, rtol=1e-10)


def test_extended_two_way_without_covariates_has_didimputations_average(mpdta, expected):
    assert_allclose(extended_two_way(mpdta, "lemp", "first", **KEYS).att, expected["bjs"]["b"], rtol=1e-6)


@pytest.fixture(scope="module")
def last_cohort(mpdta):
    """Counties of 2007 and those never treated; the large are eligible, and the dose is ln population."""
    held = mpdta[mpdta["first"].isna() | (mpdta["first"] == 2007)]
    held = held.assign(
        large=(held["lpop"] > held["lpop"].median()).astype(int), post=(held["year"] >= 2007).astype(int)
    )
    return held.assign(
        policy=held["first"].notna().astype(int), dose=held["lpop"] * held["first"].notna() * held["post"]
    )


def test_a_triple_difference_is_rs_regression_with_the_effects_that_no_county_holds_counted(last_cohort):
    result = triple_difference(last_cohort, "lemp", "policy", "large", "post", **KEYS)
    # R counts 13 parameters once counties are swept out; the convention here 16: effects of years by group in full
    counted = np.sqrt((2200 - 13) / (2200 - 16))
    assert_allclose([result.att, result.se], [-0.0404509028738, 0.0401487865197 * counted], rtol=1e-10)


def test_one_more_unit_of_the_dose_is_rs_slope_among_the_treated(last_cohort):
    result = dose(last_cohort[last_cohort["year"] >= 2006], "lemp", "dose", **KEYS)
    assert_allclose(result.att, -0.0260544107192, rtol=1e-10)
    assert_allclose([result.slope, result.slope_se], [-0.0104254836737, 0.01338081519], rtol=1e-10)


def test_double_machine_learning_by_least_squares_is_rs_lm_cross_fitted_in_the_same_folds(mpdta):
    held = mpdta.assign(treated=(mpdta["year"] >= mpdta["first"]).astype(int))
    result = double_machine_learning(held, "lemp", "treated", ["lpop"], **KEYS, learner="linear")
    assert_allclose([result.att, result.se], [-0.017679316507, 0.0113948955698], rtol=1e-10)

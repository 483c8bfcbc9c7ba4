"""Propensity-score matching against brute force, statsmodels and the formulas written out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.matching import match
from analysis.matching.estimator import _order
from analysis.matching.neighbours import KERNELS, kernel_weights, nearest, nearest_once

COVARIATES = ["log(pcap)", "产业", "x"]


def simulate(seed: int = 0, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    treated = (rng.random(n) < 1 / (1 + np.exp(1.2 - x @ [0.6, -0.4, 0.3]))).astype(float)
    data = pd.DataFrame(x, columns=COVARIATES)
    return data.assign(
        treated=treated, y=x @ [1, 1, 1] + 2 * treated + rng.normal(size=n), year=2010 + np.arange(n) % 3
    )


def test_scores_and_coefficients_equal_statsmodels():
    import statsmodels.api as sm

    data = simulate()
    peer = sm.Logit(data["treated"], sm.add_constant(data[COVARIATES])).fit(disp=0)
    result = match(data, "treated", COVARIATES)
    np.testing.assert_allclose(result.logit["estimate"], peer.params, rtol=1e-8)
    np.testing.assert_allclose(result.logit["se"], peer.bse, rtol=1e-6)
    np.testing.assert_allclose(result.scores, peer.predict(), rtol=1e-8)


@pytest.mark.parametrize("neighbours", [1, 3])
@pytest.mark.parametrize("ties", ["all", "first"])
@pytest.mark.parametrize("caliper", [np.inf, 0.03])
def test_nearest_neighbours_equal_a_search_over_all_pairs(neighbours, ties, caliper):
    rng = np.random.default_rng(5)
    focal, pool = rng.integers(0, 60, 40) / 100, rng.integers(0, 60, 70) / 100  # a grid: many exact ties
    expected = np.zeros((40, 70))
    for i, score in enumerate(focal):
        distance = np.abs(pool - score)
        ranked = np.argsort(distance, kind="stable")
        if ties == "all":
            chosen = np.flatnonzero(distance**2 <= distance[ranked[neighbours - 1]] ** 2 + 1e-9)
        else:
            chosen = ranked[:neighbours]
        chosen = chosen[distance[chosen] <= caliper]
        if len(chosen):
            expected[i, chosen] = 1 / len(chosen)
    result = nearest(focal, pool, neighbours, caliper, ties, 1e-9)
    np.testing.assert_allclose(result.toarray(), expected, atol=1e-15)


@pytest.mark.parametrize("order", ["largest", "smallest", "data"])
@pytest.mark.parametrize("caliper", [np.inf, 0.002])
def test_matching_without_replacement_equals_greedy_search(order, caliper):
    rng = np.random.default_rng(6)
    focal, pool = rng.random(80) ** 2, rng.random(90)
    free, expected = pool.copy(), {}
    for i in {"largest": np.argsort(-focal), "smallest": np.argsort(focal), "data": range(80)}[order]:
        j = int(np.abs(free - focal[i]).argmin())
        if abs(free[j] - focal[i]) <= caliper:
            expected[int(i)], free[j] = j, np.inf
    result = nearest_once(focal, pool, caliper, order).tocoo()
    assert dict(zip(result.row.tolist(), result.col.tolist(), strict=True)) == expected


def test_without_replacement_equal_distances_go_to_the_lower_score_and_equal_scores_to_the_nearer_rank():
    assert nearest_once(np.array([0.5]), np.array([0.75, 0.25]), 0.25, "data").tocoo().col.tolist() == [1]
    assert nearest_once(np.array([0.5]), np.array([0.25, 0.25]), np.inf, "data").tocoo().col.tolist() == [1]
    assert nearest_once(np.array([0.5]), np.array([0.75, 0.75]), np.inf, "data").tocoo().col.tolist() == [0]


def test_without_replacement_a_small_pool_is_used_up_and_no_further():
    result = nearest_once(np.array([0.9, 0.1, 0.5]), np.array([0.2, 0.8]), np.inf, "largest")
    assert result.toarray().tolist() == [[0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_kernel_weights_equal_the_formula_over_all_pairs(kernel):
    rng = np.random.default_rng(7)
    focal, pool = rng.random(30), rng.random(50) * 0.7
    u = np.abs(focal[:, None] - pool[None, :]) / 0.06
    inside = {
        "epanechnikov": np.where(u <= 1, 1 - u**2, 0),
        "normal": stats.norm.pdf(u),
        "biweight": np.where(u <= 1, (1 - u**2) ** 2, 0),
        "uniform": np.where(u <= 1, 1.0, 0),
        "tricube": np.where(u <= 1, (1 - u**3) ** 3, 0),
    }[kernel]
    total = inside.sum(axis=1, keepdims=True)
    expected = np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)
    np.testing.assert_allclose(kernel_weights(focal, pool, 0.06, kernel).toarray(), expected, atol=1e-14)


OPTIONS = [
    {},
    {"replace": True},
    {"replace": True, "neighbours": 3, "caliper": 0.2, "caliper_unit": "sd"},
    {"method": "radius", "caliper": 0.02},
    {"method": "kernel"},
    {"method": "kernel", "kernel": "normal", "scale": "logit"},
    {"replace": True, "by": "year"},
    {"replace": True, "estimand": "ate"},
    {"support": "common", "estimand": "atu", "replace": True},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_effect_is_the_weighted_difference_and_weights_keep_the_index(options):
    data = simulate().set_index(pd.Index([f"市{i}" for i in range(300)]))
    result = match(data, "treated", COVARIATES, **options)
    weights, effect = result.weights, result.effect("y")
    assert weights.index.equals(data.index)
    assert result.support.index.equals(data.index)
    treated = data["treated"] == 1
    means = [np.average(data.loc[side, "y"], weights=weights[side]) for side in (treated, ~treated)]
    assert effect.estimate == pytest.approx(means[0] - means[1], rel=1e-10)
    assert weights[treated].sum() == pytest.approx(effect.matched)
    assert result.pairs.groupby(
        ["seeks", result.pairs["treated"].where(result.pairs["seeks"] == "treated", result.pairs["control"])]
    )["weight"].sum().to_numpy() == pytest.approx(1)
    assert float(effect) == effect.table["estimate"].iloc[0]


@pytest.mark.parametrize("options", OPTIONS)
def test_shuffled_rows_give_the_same_matching_and_the_input_is_untouched(options):
    data = simulate()
    data[COVARIATES] = data[COVARIATES].round(0)  # ties
    before = data.copy(deep=True)
    one, other = (match(d, "treated", COVARIATES, **options) for d in (data, data.sample(frac=1, random_state=3)))
    pd.testing.assert_series_equal(one.weights, other.weights.sort_index(), rtol=1e-12)
    assert one.effect("y").se == pytest.approx(other.effect("y").se, rel=1e-10)
    pd.testing.assert_frame_equal(data, before)
    if options.get("order") == "data":
        return
    named = data.assign(name=[f"城市 {number}" for number in data.index])
    for frame in (data, named, named.set_index("name")):
        shuffled = frame.sample(frac=1, random_state=4)
        again = shuffled if frame.index.name else shuffled.reset_index(drop=True)
        first, second = (match(f, "treated", COVARIATES, **options).effect("y") for f in (frame, again))
        assert first.estimate == pytest.approx(second.estimate, rel=1e-10)
        assert first.se == pytest.approx(second.se, rel=1e-10)


def test_rows_with_numbered_names_count_in_the_order_of_the_numbers():
    index = pd.Index(["NSW10", "NSW9", "PSID1", "NSW1"])
    assert _order(pd.DataFrame({"x": 1.0}, index=index), False).tolist() == [3, 1, 0, 2]
    assert _order(pd.DataFrame({"x": 1.0, "id": index}), False).tolist() == [3, 1, 0, 2]
    assert _order(pd.DataFrame({"x": [2.0, 1.0, np.nan]}), False).tolist() == [2, 1, 0]


def test_groups_are_matched_as_if_alone():
    data = simulate()
    whole = match(data, "treated", COVARIATES, by="year", replace=True)
    for year, part in data.groupby("year"):
        alone = match(part, "treated", COVARIATES, replace=True)
        np.testing.assert_allclose(whole.weights[part.index], alone.weights, rtol=1e-12)
        np.testing.assert_allclose(whole.logit.loc[year, "estimate"], alone.logit["estimate"], rtol=1e-9)
    pairs = whole.pairs
    assert (data["year"].to_numpy()[pairs["treated"]] == data["year"].to_numpy()[pairs["control"]]).all()


def test_common_support_leaves_out_treated_scores_beyond_the_controls():
    data = simulate().assign(x=lambda d: d["x"] + 2 * d["treated"])
    result = match(data, "treated", COVARIATES, replace=True, support="common")
    control = result.scores[data["treated"] == 0]
    outside = (data["treated"] == 1) & ~result.scores.between(control.min(), control.max())
    assert outside.sum() > 0
    assert (result.support == ~outside).all()
    assert result.att("y").dropped == outside.sum()


def test_balance_is_that_of_pstest():
    data = simulate()
    result = match(data, "treated", COVARIATES, replace=True)
    treated, w = data["treated"] == 1, result.weights
    x = data["产业"]
    spread = np.sqrt((x[treated].var() + x[~treated].var()) / 2)
    before, after = result.balance.loc[("产业", "unmatched")], result.balance.loc[("产业", "matched")]
    test = stats.ttest_ind(x[treated], x[~treated])
    assert before["bias"] == pytest.approx(100 * (x[treated].mean() - x[~treated].mean()) / spread)
    assert (before["t"], before["p"]) == pytest.approx((test.statistic, test.pvalue))
    assert before["variance_ratio"] == pytest.approx(x[treated].var() / x[~treated].var())
    mean = np.average(x[~treated], weights=w[~treated])
    assert after["mean_control"] == pytest.approx(mean)
    assert after["bias"] == pytest.approx(100 * (x[treated].mean() - mean) / spread)
    assert after["bias_reduction"] == pytest.approx(100 * (1 - abs(after["bias"] / before["bias"])))
    # Weights as frequencies: repeat each control row as often as it was used (times 60, to make it whole).
    times = (w * 60).round().astype(int)
    frequency = np.repeat(x[~treated].to_numpy(), times[~treated])
    assert (w * 60).sub(times).abs().max() < 1e-9
    total = treated.sum()
    variance = ((frequency - mean) ** 2).sum() / 60 / (total - 1)
    assert after["variance_ratio"] == pytest.approx(x[treated].var() / variance)
    pooled = (x[treated].var() + variance) / 2
    assert after["t"] == pytest.approx((x[treated].mean() - mean) / np.sqrt(pooled * 2 / total))
    assert result.quality.loc["matched", "mean_bias"] < result.quality.loc["unmatched", "mean_bias"]


def test_quality_equals_a_logit_refitted_on_the_matched_pairs():
    import statsmodels.api as sm

    data = simulate()
    result = match(data, "treated", COVARIATES)
    kept = data[result.weights > 0]
    fit = sm.Logit(kept["treated"], sm.add_constant(kept[COVARIATES])).fit(disp=0)
    line = result.quality.loc["matched"]
    assert line["pseudo_r2"] == pytest.approx(fit.prsquared, rel=1e-6)
    assert (line["lr_chi2"], line["p"]) == pytest.approx((fit.llr, fit.llr_pvalue), rel=1e-6)
    index = fit.fittedvalues
    one, zero = index[kept["treated"] == 1], index[kept["treated"] == 0]
    assert line["rubin_r"] == pytest.approx(one.var() / zero.var(), rel=1e-6)
    assert line["rubin_b"] == pytest.approx(
        100 * (one.mean() - zero.mean()) / np.sqrt((one.var() + zero.var()) / 2), rel=1e-6
    )


@pytest.mark.parametrize("estimand", ["att", "ate"])
def test_the_conditional_variance_follows_abadie_and_imbens(estimand):
    """Theorem 7 and equation 14 of their 2006 paper, by loops, two neighbours within the arm."""
    data = simulate(n=120)
    result = match(data, "treated", COVARIATES, replace=True, estimand=estimand)
    p, t, y = result.scores.to_numpy(), data["treated"].to_numpy(), data["y"].to_numpy()
    links = result.matches.toarray()
    noise = np.zeros(120)
    for j in range(120):
        arm = [k for k in range(120) if t[k] == t[j] and k != j]
        near = sorted(arm, key=lambda k: abs(p[k] - p[j]))[:2]
        noise[j] = 2 / 3 * (y[j] - y[near].mean()) ** 2
    seeks = t == 1 if estimand == "att" else t >= 0
    effects = np.where(t == 1, 1, -1) * (y - links @ y)
    k, squares = links.sum(axis=0), (links**2).sum(axis=0)
    total = ((effects - effects[seeks].mean()) ** 2)[seeks].sum() + (noise * (k**2 + 2 * k * seeks - squares))[
        k > 0
    ].sum()
    effect = result.effect("y", variance_neighbours=2)
    assert effect.se == pytest.approx(np.sqrt(total) / seeks.sum(), rel=1e-9)


def test_the_standard_error_of_a_kernel_match_is_that_of_psmatch2():
    data = simulate()
    result = match(data, "treated", COVARIATES, method="kernel")
    treated = data["treated"] == 1
    kept, w = treated & result.support, result.weights[~treated]
    n = kept.sum()
    expected = np.sqrt(data.loc[kept, "y"].var() / n + data.loc[~treated, "y"].var() * (w**2).sum() / n**2)
    assert result.att("y").se == pytest.approx(expected, rel=1e-10)


def test_missing_rows_are_left_out_and_stated():
    data = simulate()
    data.loc[5, "x"] = np.nan
    result = match(data, "treated", COVARIATES)
    assert np.isnan(result.scores[5])
    assert result.weights[5] == 0
    assert not result.support[5]
    assert "1 rows left out: 'x' is missing." in result.notes


def test_separation_is_refused_by_name():
    data = simulate().assign(marker=lambda d: d["treated"] * 3 + 1)
    with pytest.raises(ValueError, match=r"separate treated from untreated rows \('marker'\)"):
        match(data, "treated", [*COVARIATES, "marker"])
    partly = simulate().assign(capital=lambda d: ((d["treated"] == 1) & (d["x"] > 0)) * 1.0)
    with pytest.raises(ValueError, match=r"rows \('capital'\)"):
        match(partly, "treated", [*COVARIATES, "capital"])


def test_extreme_but_overlapping_covariates_are_not_mistaken_for_separation():
    data = simulate()
    data["x"] = 10 * data["x"] + 60 * data["treated"] * (np.arange(300) % 10 != 0)
    assert match(data, "treated", COVARIATES).scores.notna().all()


def test_a_dependent_covariate_and_a_group_with_one_side_are_set_aside_in_a_sentence():
    data = simulate().assign(twice=lambda d: 2 * d["x"])
    data.loc[data["year"] == 2011, "treated"] = 0
    result = match(data, "treated", [*COVARIATES, "twice"], by="year")
    assert any("'twice' does not enter" in note for note in result.notes)
    assert any("one side" in note and "2011" in note for note in result.notes)
    assert (result.weights[data["year"] == 2011] == 0).all()


def test_losing_most_treated_units_is_said():
    result = match(simulate(), "treated", COVARIATES, caliper=1e-5)
    assert any("minority" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mahalanobis"}, "method is one of"),
        ({"method": "radius"}, "needs caliper"),
        ({"neighbours": 2}, "need replace=True"),
        ({"caliper": -1.0}, "above zero"),
        ({"caliper": 1e-12}, "Nobody found a match"),
        ({"by": "province"}, "'province'"),
        ({"scale": "odds"}, "'odds'"),
    ],
)
def test_an_impossible_request_is_refused_in_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        match(simulate(), "treated", COVARIATES, **options)


def test_a_treatment_that_is_not_zero_and_one_and_a_missing_outcome_are_refused():
    data = simulate()
    with pytest.raises(ValueError, match="must hold 0 and 1"):
        match(data.assign(treated=data["treated"] + 1), "treated", COVARIATES)
    with pytest.raises(ValueError, match="both treated"):
        match(data.assign(treated=1), "treated", COVARIATES)
    result = match(data, "treated", COVARIATES)
    data.loc[result.weights.idxmax(), "y"] = np.nan
    with pytest.raises(ValueError, match="missing in 1 matched"):
        match(data, "treated", COVARIATES).att("y")

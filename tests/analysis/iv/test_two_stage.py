"""Two-stage least squares on simulated panels: against linearmodels, explicit dummies and the formulas written out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.iv import critical_values, two_stage
from analysis.iv.identification import Setting, anderson_rubin, rank_tests


def simulate(seed: int = 0, units: int = 60, years: int = 8, strength: float = 0.6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = units * years
    unit, year = np.repeat(np.arange(units), years), np.tile(np.arange(2010, 2010 + years), units)
    z1, z2, x = rng.normal(size=(3, n))
    shock = rng.normal(size=n) + 0.5 * rng.normal(size=units)[unit]
    treated = strength * (z1 + 0.5 * z2) + 0.3 * x + shock + 0.2 * year
    y = 1.5 * treated + 0.8 * x - shock + rng.normal(size=n) + rng.normal(size=units)[unit]
    return pd.DataFrame(
        {"city": unit, "year": year, "产出": y, "log(d)": treated, "x": x, "z1": z1, "z2": z2, "province": unit // 4}
    )


def fit(data: pd.DataFrame, instruments=("z1", "z2"), **options):
    return two_stage(data, "产出", ["log(d)"], list(instruments), ["x"], unit="city", time="year", **options)


def dummies(data: pd.DataFrame, *columns: str) -> pd.DataFrame:
    parts = [pd.get_dummies(data[c], prefix=c, drop_first=True, dtype=float) for c in columns]
    return pd.concat([data, *parts], axis=1)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # two-way variances of the peer's dummies
@pytest.mark.parametrize("covariance", ["clustered", "two-way", "robust", "unadjusted"])
def test_estimates_and_errors_equal_linearmodels(covariance):
    from linearmodels.iv import IV2SLS

    data = simulate().sample(frac=0.9, random_state=1)
    wide = dummies(data, "city", "year").assign(const=1.0)
    exogenous = wide[["const", "x", *(c for c in wide if str(c).startswith(("city_", "year_")))]]
    ways = {"clustered": ["city"], "two-way": ["city", "year"]}.get(covariance, [])
    options = {"cov_type": "clustered", "clusters": data[ways]} if ways else {"cov_type": covariance}
    peer = IV2SLS(data["产出"], exogenous, data[["log(d)"]], data[["z1", "z2"]]).fit(**options)
    ours = fit(
        data,
        cluster=ways,
        covariance="robust" if covariance == "robust" else "classical",
    )
    # ivreg2 counts absorbed effects in the homoskedastic and robust variances, linearmodels does not without debiasing.
    absorbed = data["city"].nunique() + data["year"].nunique() - 1
    factor = 1.0 if ways else np.sqrt(len(data) / (len(data) - absorbed))
    np.testing.assert_allclose(ours.table["estimate"], peer.params[["log(d)", "x"]], rtol=1e-9)
    np.testing.assert_allclose(ours.table["se"], peer.std_errors[["log(d)", "x"]] * factor, rtol=1e-8)


def test_absorbing_effects_equals_dummies_but_for_the_effects_nested_in_clusters():
    data = simulate()
    wide = dummies(data, "city", "year")
    controls = ["x", *(c for c in wide if str(c).startswith(("city_", "year_")))]
    explicit = two_stage(
        wide, "产出", "log(d)", ["z1", "z2"], controls, unit="city", time="year", fixed_effects=(), cluster="unit"
    )
    ours = fit(data)
    assert ours.kp_rk_lm == pytest.approx(explicit.kp_rk_lm, rel=1e-9)
    assert ours.j == pytest.approx(explicit.j, rel=1e-8)
    assert ours.cragg_donald_f == pytest.approx(explicit.cragg_donald_f, rel=1e-9)
    np.testing.assert_allclose(ours.table["estimate"], explicit.table.loc[["log(d)", "x"], "estimate"], rtol=1e-9)
    # xtivreg2 with cluster(city) and year dummies: 7 years, x and two instruments count; 60 cities do not.
    n = len(data)
    ratio = (n - 7 - 1 - 2) / (n - 60 - 7 - 1 - 2)
    assert ours.kp_rk_wald_f / explicit.kp_rk_wald_f == pytest.approx(ratio, rel=1e-9)


def test_one_strong_instrument_makes_the_wald_f_the_square_of_the_first_stage_t():
    result = fit(simulate(), instruments=["z1"])
    first = result.first_stage["log(d)"]
    assert result.kp_rk_wald_f == pytest.approx(first.f, rel=1e-10)
    assert first.table.loc["z1", "t"] ** 2 == pytest.approx(first.f, rel=1e-10)
    assert first.table.index.tolist() == ["z1", "x"]
    assert result.j == 0
    assert np.isnan(result.j_p)


def test_rank_statistics_with_two_endogenous_equal_the_kronecker_formula():
    rng = np.random.default_rng(3)
    n, clusters = 400, np.repeat(np.arange(50), 8)
    z = rng.normal(size=(n, 4))
    x = z @ np.array([[0.5, 0.3], [0.2, 0.2], [0, 0.1], [0.1, 0]]) + rng.normal(size=(n, 2))
    setting = Setting("clustered", [clusters], n=n, exogenous=0, dofminus=0, sdofminus=0)
    # Kleibergen and Paap (2006), equations 6-12, with Cholesky factors and the full Kronecker covariance.
    rz, rx = np.linalg.cholesky(z.T @ z / n).T, np.linalg.cholesky(x.T @ x / n).T
    pi = np.linalg.solve(z.T @ z, z.T @ x)
    theta = rz @ pi @ np.linalg.inv(rx)
    u, _, vt = np.linalg.svd(theta)
    a, b = u[:, 1:], vt[1:]
    statistics = []
    for residual in (x, x - z @ pi):
        scores = np.einsum("ni,nj->nij", residual, z).reshape(n, -1)
        sums = np.add.reduceat(scores, np.arange(0, n, 8))
        turn = np.kron(np.linalg.inv(rx).T, np.linalg.inv(rz).T)
        covariance = turn @ (sums.T @ sums / n) @ turn.T
        select = np.kron(b, a.T)
        distance = select @ theta.flatten(order="F")
        statistics.append(n * distance @ np.linalg.solve(select @ covariance @ select.T, distance))
    result = rank_tests(x, z, setting)
    assert result.rk_lm == pytest.approx(statistics[0], rel=1e-9)
    assert result.rk_lm_p == pytest.approx(stats.chi2.sf(statistics[0], 3), rel=1e-8)
    assert result.rk_wald_f == pytest.approx(statistics[1] / (n - 1) * (n - 4) * 49 / 50 / 4, rel=1e-9)


@pytest.mark.parametrize("instruments", [["z1"], ["z1", "z2"]])
@pytest.mark.parametrize("options", [{}, {"cluster": (), "covariance": "classical"}, {"small": True}])
def test_ends_of_the_anderson_rubin_set_are_the_values_just_rejected(instruments, options):
    data = simulate()
    result = fit(data, instruments, **options).anderson_rubin
    ((low, high),) = result.intervals
    true_effect = 1.5
    assert low < true_effect < high
    assert true_effect in result
    assert low - 1e-6 not in result
    assert high + 1e-6 not in result
    assert result.bounded
    for end in (low, high):
        moved = data.assign(产出=data["产出"] - end * data["log(d)"])
        test = fit(moved, instruments, **options).anderson_rubin
        assert (test.f_p if options.get("small") else test.chi2_p) == pytest.approx(0.05, abs=1e-7)


@pytest.mark.parametrize("covariance", ["clustered", "classical"])
def test_the_anderson_rubin_set_agrees_with_a_grid_when_instruments_are_weak(covariance):
    """Strengths near nothing: the set is unbounded, in one or two pieces, or the whole line."""
    shapes = set()
    for seed in range(12):
        data = simulate(seed, units=20, years=6, strength=0.08)
        y, x, z = (data[c].to_numpy() for c in ("产出", ["log(d)"], ["z1", "z2"]))
        clusters = [data["city"].to_numpy()] if covariance == "clustered" else []
        setting = Setting(covariance, clusters, n=len(data), exogenous=0, dofminus=0, sdofminus=0)
        result = anderson_rubin(y, x, z, setting, around=(0.0, 1.0))
        shapes.add((len(result.intervals), result.bounded))
        for value in [-1e4, -30, -3, 0, 0.5, 1.5, 2.5, 6, 40, 1e4]:
            test = anderson_rubin(y - value * x[:, 0], x, z, setting, around=(0.0, 1.0))
            assert (value in result) == (test.chi2_p >= 0.05)
    assert any(not bounded for _, bounded in shapes)
    assert len(shapes) > 1


def test_the_anderson_rubin_set_is_empty_when_no_value_fits_all_instruments():
    data = simulate(strength=3.0)
    data["产出"] += 10 * data["z2"] - 20 * data["z1"]
    result = fit(data)
    assert result.anderson_rubin.intervals == ()
    assert "empty" in result.anderson_rubin.describe()
    assert result.j_p < 1e-6


def test_results_do_not_depend_on_row_order_labels_or_index_and_the_input_is_untouched():
    data = simulate()
    before = data.copy(deep=True)
    shuffled = data.sample(frac=1, random_state=4)
    shuffled["city"] = shuffled["city"].map(lambda code: f"市{code:03d}")
    one, other = fit(data), fit(shuffled)
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    assert one.kp_rk_wald_f == other.kp_rk_wald_f
    pd.testing.assert_frame_equal(data, before)


def test_effects_without_controls_and_missing_rows_are_handled_and_stated():
    data = simulate()
    data.loc[3, "z1"] = np.nan
    result = two_stage(data, "产出", "log(d)", "z1", unit="city", time="year")
    assert result.table.index.tolist() == ["log(d)"]
    assert result.n == len(data) - 1
    assert "'z1' is missing" in result.notes[0]
    assert "Kleibergen-Paap" in result.summary()


def test_a_redundant_instrument_and_control_are_set_aside_with_a_sentence():
    data = simulate().assign(twice=lambda d: 2 * d["z1"], same=lambda d: d["province"].astype(float))
    result = two_stage(data, "产出", "log(d)", ["z1", "twice"], ["x", "same"], unit="city", time="year")
    assert set(result.not_identified) == {"twice", "same"}
    assert result.table.index.tolist() == ["log(d)", "x", "same"]
    assert np.isnan(result.table.loc["same", "estimate"])
    assert result.stock_yogo.equals(critical_values(1, 1))


def test_few_clusters_leave_what_cannot_be_inverted_missing():
    data = simulate().assign(half=lambda d: d["city"] % 2)
    result = fit(data, cluster="half")
    assert np.isnan(result.kp_rk_wald_f)
    assert "2 clusters cannot carry 2 instruments" in " ".join(result.notes)
    assert result.anderson_rubin.intervals is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: two_stage(d, "产出", ["log(d)", "x"], ["z1"], unit="city", time="year"), "1 can be used"),
        (lambda d: two_stage(d, "产出", "log(d)", "z1", ["z1"], unit="city", time="year"), "'z1' is named under"),
        (lambda d: two_stage(d, "产出", "province", "z1", unit="city", time="year"), "fixed effects"),
        (lambda d: two_stage(d, "产出", "log(d)", "province", unit="city", time="year"), "0 can be used"),
        (lambda d: two_stage(d, "产出", "log(d)", [], unit="city", time="year"), "instruments"),
        (lambda d: two_stage(d, "产出", "log(d)", "z9", unit="city", time="year"), "'z9'"),
        (lambda d: two_stage(d, "产出", "log(d)", "z1", unit="city", time="year", covariance="hc3"), "'hc3'"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        call(simulate())

"""Two-stage least squares on Card's (1995) returns to schooling against Stata's ivreg2."""

from pathlib import Path

import linearmodels
import numpy as np
import pandas as pd
import pytest
from linearmodels.datasets import card as returns_to_schooling

from analysis.iv import critical_values, two_stage
from analysis.iv.identification import Setting, anderson_rubin, overidentification, rank_tests

CONTROLS = ["exper", "expersq", "black", "south"]
MODELS = {"just_id": ["nearc4"], "overid": ["nearc2", "nearc4"]}
COVARIANCES = {"iid": "classical", "hc1": "robust"}
#: What ivreg2 printed, one number a row: output (model, table, covariance), row and statistic.
PRINTED = pd.read_csv(Path(__file__).with_name("ivreg2_card.csv"))


def card() -> pd.DataFrame:
    """Card's data as linearmodels ships them; Stata keeps the logarithm of the wage in single precision."""
    data = returns_to_schooling.load()
    return data.assign(lwage=data["lwage"].astype("float32").astype(float), id=np.arange(len(data)), year=1976)


def printed(output: str) -> pd.DataFrame:
    return PRINTED[PRINTED["output"] == output].pivot(index="row", columns="statistic", values="value")


def fit(data: pd.DataFrame, model: str, **options: object):
    settings = {"fixed_effects": (), "cluster": (), **options}
    return two_stage(data, "lwage", ["educ"], MODELS[model], CONTROLS, unit="id", time="year", **settings)


def stata(name: str) -> pd.Series:
    return printed(name).loc["model"].reindex(PRINTED["statistic"].unique())


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("model", MODELS)
def test_coefficients_and_standard_errors_are_those_of_ivreg2(model, covariance, small):
    suffix = f"{covariance}_small" if small else covariance
    expected = printed(f"{model}_coef_{suffix}")
    expected = expected.rename({"_cons": "const"})
    table = fit(card(), model, covariance=COVARIANCES[covariance], small=small).table
    np.testing.assert_allclose(table["estimate"], expected["estimate"].reindex(table.index), rtol=1e-6)
    np.testing.assert_allclose(table["se"], expected["std_error"].reindex(table.index), rtol=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("model", MODELS)
def test_diagnostics_are_those_of_ivreg2(model, covariance):
    expected = stata(f"{model}_diagnostics_{covariance}")
    result = fit(card(), model, covariance=COVARIANCES[covariance])
    robust = result.anderson_rubin
    assert result.kp_rk_lm == pytest.approx(expected.idstat, rel=1e-12)
    assert result.kp_rk_lm_p == pytest.approx(expected.idp, rel=1e-6)
    assert result.kp_rk_wald_f == pytest.approx(expected.widstat, rel=1e-12)
    assert result.cragg_donald_f == pytest.approx(expected.cdf, rel=1e-12)
    assert result.j == pytest.approx(expected.j, rel=1e-6)
    assert result.j_p == pytest.approx(expected.jp, rel=1e-6, nan_ok=True)
    assert result.j_degrees == expected.jdf
    assert robust.chi2 == pytest.approx(expected.archi2, rel=1e-6)
    assert robust.f == pytest.approx(expected.arf, rel=1e-6)
    assert (robust.chi2_p, robust.f_p) == pytest.approx((expected.archi2p, expected.arfp), rel=1e-5)
    assert result.r2 == pytest.approx(expected.r2, rel=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("model", MODELS)
def test_first_stage_is_that_of_ivreg2(model, covariance):
    expected = printed(f"{model}_firststage_{covariance}")
    first = fit(card(), model, covariance=COVARIANCES[covariance]).first_stage["educ"]
    assert first.f == pytest.approx(expected.loc["F", "educ"], rel=1e-9)
    assert first.f_p == pytest.approx(expected.loc["pvalue", "educ"], rel=1e-9)
    assert first.partial_r2 == pytest.approx(expected.loc["pr2", "educ"], rel=1e-9)
    if len(MODELS[model]) == 1:
        assert first.table.loc["nearc4", "t"] ** 2 == pytest.approx(first.f, rel=1e-10)


@pytest.mark.parametrize("covariance", ["iid", "hc1", "cl"])
@pytest.mark.parametrize("model", MODELS)
def test_absorbed_effects_change_the_diagnostics_as_in_ivreg2(model, covariance):
    """ivreg2 with dofminus(1) sdofminus(1); clusters are smsa66, two of them, too few to invert two moments."""
    data, expected = card(), stata(f"{model}_dofminus_diagnostics_{covariance}")
    controls = np.column_stack([np.ones(len(data)), data[CONTROLS]])
    y, x, z = (
        block - controls @ np.linalg.lstsq(controls, block, rcond=None)[0]
        for block in (data["lwage"].to_numpy(), data[["educ"]].to_numpy(float), data[MODELS[model]].to_numpy(float))
    )
    kind = {"iid": "classical", "hc1": "robust", "cl": "clustered"}[covariance]
    clusters = [data["smsa66"].to_numpy()] if covariance == "cl" else []
    setting = Setting(kind, clusters, n=len(data), exogenous=5, dofminus=1, sdofminus=1)
    beta = (
        (z.T @ x).T @ np.linalg.solve(z.T @ z, z.T @ y) / float(((z.T @ x).T @ np.linalg.solve(z.T @ z, z.T @ x))[0, 0])
    )
    rank = rank_tests(x, z, setting)
    validity = overidentification(y, x, z, y - x[:, 0] * beta[0], setting)
    robust = anderson_rubin(y, x, z, setting, around=(beta[0], 0.04))
    assert rank.rk_lm == pytest.approx(expected.idstat, rel=1e-9)
    assert rank.rk_wald_f == pytest.approx(expected.widstat, rel=1e-8, nan_ok=True)
    assert rank.cragg_donald_f == pytest.approx(expected.cdf, rel=1e-9)
    if covariance != "cl":
        assert validity.statistic == pytest.approx(expected.j, rel=1e-6)
    if covariance != "cl" or model == "just_id":
        assert robust.chi2 == pytest.approx(expected.archi2, rel=1e-6)
        assert (robust.f, robust.f_p) == pytest.approx((expected.arf, expected.arfp), rel=1e-5)


def test_a_cluster_for_each_row_gives_the_robust_statistics():
    data = card()
    clustered, robust = fit(data, "overid", cluster="unit"), fit(data, "overid")
    for name in ("kp_rk_lm", "kp_rk_wald_f", "cragg_donald_f", "j"):
        assert getattr(clustered, name) == pytest.approx(getattr(robust, name), rel=1e-10)


def test_critical_values_are_the_tables_of_stock_and_yogo(reference):
    assert critical_values(1, 1).loc["10% maximal IV size", "critical_value"] == 16.38
    for kind in ("bias", "size"):
        for percent in (5, 10, 20, 30) if kind == "bias" else (10, 15, 20, 25):
            expected = pd.read_csv(reference(f"kp_ivreg2/sy_iv{kind}{percent}.csv"), index_col=0)
            label = f"{percent}% maximal IV {'size' if kind == 'size' else 'relative bias'}"
            for instruments in (1, 2, 3, 7, 18, 30):
                for endogenous in range(1, expected.shape[1] + 1):
                    value = expected.iloc[instruments - 1, endogenous - 1]
                    table = critical_values(instruments, endogenous)
                    assert table["critical_value"].get(label, np.nan) == pytest.approx(value, nan_ok=True)


HOUSING = Path(linearmodels.__file__).parent / "tests" / "iv" / "results"
#: ``ivregress liml rent pcturban (hsngval = faminc i.region)`` in Stata, the last with ``vce(cluster division)``:
#: hsngval, pcturban and the constant as they stand in linearmodels' own results of Stata (stata-iv-housing-results.txt
#: in its tests).
STATA_LIML = {
    ("robust", ()): ([0.00266862318, -0.18273906839, 117.6086951], [3.3551916565, -0.36977655959, 6.2293112858]),
    ("robust", "division"): ([0.00266862318, -0.18273906839, 117.6086951], [6.3993551579, -0.32748122864, 5.453572617]),
}


@pytest.mark.parametrize("case", STATA_LIML)
def test_limited_information_maximum_likelihood_is_that_of_stata(case):
    covariance, cluster = case
    data = pd.read_csv(HOUSING / "housing.csv", index_col=0)
    regions = pd.get_dummies(data["region"], drop_first=True, dtype=float)
    data = data.join(regions).assign(id=np.arange(len(data)), year=1980)
    found = two_stage(
        data, "rent", ["hsngval"], ["faminc", *regions], ["pcturban"],
        unit="id", time="year", fixed_effects=(), cluster=cluster, covariance=covariance,
    )  # fmt: skip
    estimate, t = STATA_LIML[case]
    assert found.liml.index.tolist() == ["hsngval", "pcturban", "const"]
    np.testing.assert_allclose(found.liml["estimate"], estimate, rtol=1e-6)
    np.testing.assert_allclose(found.liml["t"], t, rtol=1e-6)
    assert found.liml_kappa == pytest.approx(1.256906483, rel=1e-7)


def test_just_identified_maximum_likelihood_is_two_stage_least_squares():
    found = fit(card(), "just_id", covariance="robust")
    assert found.liml_kappa == pytest.approx(1, abs=1e-9)
    pd.testing.assert_frame_equal(found.liml, found.table.loc[found.liml.index], rtol=1e-7)


def test_critical_values_of_the_effective_f_are_those_that_weakivtest_prints_for_one_instrument():
    """37.418, 23.109, 15.062 and 12.039 for 5, 10, 20 and 30% (Pflueger and Wang 2015, Stata Journal 15, 216-225)."""
    found = fit(card(), "just_id", covariance="robust")
    assert found.effective_f.f == pytest.approx(found.kp_rk_wald_f, rel=1e-10)  # one instrument: the robust F
    critical = found.effective_f.critical
    np.testing.assert_allclose(
        list(critical.values()), [37.418, 23.109, 15.062, 12.039], rtol=6e-4
    )  # theirs for 30% is at b = 3.33
    assert list(critical) == [0.05, 0.1, 0.2, 0.3]


def test_the_effective_f_weighs_instruments_by_their_variance():
    """From its definition, with instruments that are not orthonormal (Montiel Olea and Pflueger 2013, equation 1.3)."""
    data = card()
    found = fit(data, "overid", covariance="robust")
    controls = np.column_stack([np.ones(len(data)), data[CONTROLS]])
    x, z = (
        block - controls @ np.linalg.lstsq(controls, block, rcond=None)[0]
        for block in (data[["educ"]].to_numpy(float), data[MODELS["overid"]].to_numpy(float))
    )
    values, vectors = np.linalg.eigh(z.T @ z)
    z = z @ vectors @ np.diag(values**-0.5) @ vectors.T
    residual = x[:, 0] - z @ (z.T @ x[:, 0])
    f = float(x[:, 0] @ z @ z.T @ x[:, 0]) / np.trace((z * residual[:, None]).T @ (z * residual[:, None]))
    n = len(data)
    assert found.effective_f.f == pytest.approx(f * (n - 7) / n, rel=1e-9)
    several = two_stage(
        data, "lwage", ["educ", "exper"], ["nearc2", "nearc4"], CONTROLS[2:],
        unit="id", time="year", fixed_effects=(), cluster=(),
    )  # fmt: skip
    assert several.effective_f is None

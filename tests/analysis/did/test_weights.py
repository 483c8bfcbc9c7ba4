"""Weights in regressions: precisions as statsmodels' weighted least squares has them, frequencies as repeated rows."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, TREATED, UNIT, YEAR, Y, plain, random_panel

from analysis.did import event_study, two_way
from analysis.results import CannotEstimate

KEYS = {"unit": UNIT, "time": YEAR}


def weighted_panel(seed: int = 3) -> pd.DataFrame:
    panel, generator = random_panel(seed), np.random.default_rng(seed)
    n = len(panel)
    return panel.assign(precision=generator.uniform(0.1, 4, n), rows=generator.integers(1, 5, n))


def dummy_regression(panel: pd.DataFrame, weight: np.ndarray | None, **how) -> tuple[np.ndarray, np.ndarray, float]:
    """Treatment and controls by statsmodels on dummies: coefficients, standard errors, R2."""
    import statsmodels.api as sm

    dummies = [pd.get_dummies(panel[UNIT]), pd.get_dummies(panel[YEAR]).iloc[:, 1:]]
    x = pd.concat([panel[[TREATED, *CONTROLS]], *dummies], axis=1).astype(float).to_numpy()
    fitted = sm.WLS(panel[Y].to_numpy(), x, weights=1.0 if weight is None else weight).fit(**how)
    return fitted.params[:3], fitted.bse[:3], fitted.rsquared


@pytest.mark.parametrize("cluster", ["unit", None])
def test_analytic_weights_equal_statsmodels_weighted_least_squares(cluster) -> None:
    panel = weighted_panel()
    options = {**KEYS, "weights": "precision", "cluster": cluster, "count_nested": True}
    ours = two_way(panel, Y, TREATED, CONTROLS, **options)
    how = {"cov_type": "cluster", "cov_kwds": {"groups": pd.factorize(panel[UNIT])[0]}} if cluster else {}
    beta, se, r2 = dummy_regression(panel, panel["precision"].to_numpy(), **how)
    assert np.allclose(ours.table["estimate"], beta, rtol=1e-9)
    assert np.allclose(ours.table["se"], se, rtol=1e-9)
    assert ours.r2 == pytest.approx(r2, rel=1e-9)
    equal = two_way(panel, Y, TREATED, CONTROLS, **KEYS)
    assert not np.allclose(ours.table["estimate"], equal.table["estimate"], rtol=1e-3)
    doubled = two_way(panel.assign(precision=2 * panel["precision"]), Y, TREATED, CONTROLS, **options)
    assert np.allclose(doubled.table, ours.table, rtol=1e-10)
    assert doubled.n == ours.n == len(panel)


@pytest.mark.parametrize(("cluster", "covariance"), [("unit", "classical"), (None, "classical"), (None, "robust")])
def test_frequency_weights_equal_rows_that_are_repeated(cluster, covariance: str) -> None:
    panel = weighted_panel()
    weights = {"weights": "rows", "weights_type": "frequency", "count_nested": True}
    ours = two_way(panel, Y, TREATED, CONTROLS, **KEYS, **weights, cluster=cluster, covariance=covariance)
    repeated = panel.loc[panel.index.repeat(panel["rows"])].reset_index(drop=True)
    how = {"cov_type": "cluster", "cov_kwds": {"groups": pd.factorize(repeated[UNIT])[0]}} if cluster else {}
    beta, se, r2 = dummy_regression(repeated, None, **(how or ({"cov_type": "HC1"} if covariance == "robust" else {})))
    assert ours.n == len(repeated)
    assert np.allclose(ours.table["estimate"], beta, rtol=1e-9)
    assert np.allclose(ours.table["se"], se, rtol=1e-9)
    assert ours.r2 == pytest.approx(r2, rel=1e-9)


def test_weighted_absorbed_regressions_equal_pyfixest_where_conventions_agree() -> None:
    """One effect, nested in the cluster: there pyfixest counts parameters as reghdfe does."""
    import pyfixest

    panel = weighted_panel()
    for weight, ours, theirs in (("precision", "analytic", "aweights"), ("rows", "frequency", "fweights")):
        one = two_way(panel, Y, TREATED, CONTROLS, **KEYS, fixed_effects="unit", weights=weight, weights_type=ours)
        other = pyfixest.feols(
            "y ~ treated + x1 + x2 | unit",
            plain(panel),
            vcov={"CRV1": "unit"},
            weights=weight,
            weights_type=theirs,
            ssc=pyfixest.ssc(k_fixef="nonnested"),
        )
        assert np.allclose(one.table["estimate"], other.coef().to_numpy(), rtol=1e-8)
        assert np.allclose(one.table["se"], other.se().to_numpy(), rtol=1e-8)


def test_equal_weights_change_nothing_and_zero_weights_leave_rows_out() -> None:
    panel = weighted_panel()
    same = two_way(panel.assign(w=7.0), Y, TREATED, CONTROLS, **KEYS, weights="w")
    plainly = two_way(panel, Y, TREATED, CONTROLS, **KEYS)
    assert np.allclose(same.table, plainly.table, rtol=1e-9)
    assert same.constant_se == pytest.approx(plainly.constant_se, rel=1e-9)
    some = panel.assign(w=(panel[YEAR] < 2016) * 1.0)
    left = two_way(some, Y, TREATED, CONTROLS, **KEYS, weights="w")
    assert np.allclose(left.table, two_way(panel[panel[YEAR] < 2016], Y, TREATED, CONTROLS, **KEYS).table, rtol=1e-9)
    assert f"{int((some['w'] == 0).sum())} rows dropped: weight 'w' is zero." in left.notes


def test_an_event_study_takes_weights_as_the_regression_on_its_dummies_does() -> None:
    panel = weighted_panel()
    study = event_study(panel, Y, FIRST, CONTROLS, **KEYS, leads=2, lags=2, weights="precision")
    relative = (panel[YEAR] - panel[FIRST]).clip(-2, 2)
    names = {k: f"d{k}" for k in (-2, 0, 1, 2)}
    dummies = panel.assign(**{name: (relative == k).astype(float) for k, name in names.items()})
    direct = two_way(dummies, Y, list(names.values()), CONTROLS, **KEYS, weights="precision")
    for k, name in names.items():
        for number in ("estimate", "se"):
            assert study.table.loc[k, number] == pytest.approx(direct.table.loc[name, number], rel=1e-9)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda p: p.assign(w=-1.0), "analytic", "Weight 'w' is -1 in a row"),
        (lambda p: p.assign(w=0.0), "analytic", "Every weight 'w' is zero"),
        (lambda p: p.assign(w=0.5), "frequency", "Frequency weight 'w' is 0.5 in a row"),
    ],
)
def test_weights_that_are_none_are_refused(change, kind: str, message: str) -> None:
    with pytest.raises(CannotEstimate, match=message):
        two_way(change(random_panel(1)), Y, TREATED, **KEYS, weights="w", weights_type=kind)
    with pytest.raises(ValueError, match="weights_type is 'analytic' or 'frequency'"):
        two_way(weighted_panel(), Y, TREATED, **KEYS, weights="rows", weights_type="sampling")

"""Effects of spatial models against the matrices they are averages of."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from analysis.spatial import Weights, great_circle, panel

X = ["a", "b"]
PANEL = {"unit": "city", "time": "year"}


def ring(n: int, *, even: bool = True) -> np.ndarray:
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    matrix = (np.minimum(gap, n - gap) == 1).astype(float)
    if not even:
        matrix[: n // 2, : n // 2] += (gap[: n // 2, : n // 2] == 2).astype(float)
        return matrix / np.abs(np.linalg.eigvalsh(matrix)).max()
    return matrix / 2


def world(matrix: np.ndarray, periods: int = 6, seed: int = 0) -> tuple[pd.DataFrame, Weights]:
    generator = np.random.default_rng(seed)
    n = len(matrix)
    x = generator.standard_normal((n, periods, 2))
    mean = x @ [1.0, -0.5] + np.einsum("ij,jt->it", matrix, x[:, :, 0]) * 0.4
    y = np.linalg.solve(np.eye(n) - 0.5 * matrix, mean + generator.standard_normal((n, periods)))
    frame = pd.DataFrame({"city": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(periods), n)})
    frame = frame.assign(y=y.ravel(), a=x[:, :, 0].ravel(), b=x[:, :, 1].ravel())
    return frame, Weights(sparse.csr_array(matrix), range(n))


def effect_matrix(fit, term: str, matrix: np.ndarray, estimate=None) -> np.ndarray:
    estimate = fit.table["estimate"] if estimate is None else estimate
    rho = estimate.get("rho", 0.0)
    own = estimate[term] * np.eye(len(matrix)) + estimate.get(f"W:{term}", 0.0) * matrix
    return np.linalg.solve(np.eye(len(matrix)) - rho * matrix, own)


@pytest.mark.parametrize("model", ["sar", "sem", "sdm", "slx", "sac"])
@pytest.mark.parametrize("even", [True, False], ids=["row-normalised", "irregular"])
def test_effects_are_averages_of_the_effect_matrix(model, even):
    matrix = ring(24, even=even)
    frame, weights = world(matrix)
    correction = None if model == "sac" and not even else "transformation"
    fit = panel(frame, "y", X, weights, model=model, bias_correction=correction, **PANEL)
    effects = fit.effects(draws=20)
    for term in X:
        dense = effect_matrix(fit, term, matrix)
        assert effects.direct.loc[term, "estimate"] == pytest.approx(np.trace(dense) / 24, rel=1e-9)
        assert effects.total.loc[term, "estimate"] == pytest.approx(dense.sum() / 24, rel=1e-9)
        gap = effects.total.loc[term, "estimate"] - effects.direct.loc[term, "estimate"]
        assert effects.indirect.loc[term, "estimate"] == pytest.approx(gap, abs=1e-12)


@pytest.mark.parametrize("even", [True, False], ids=["row-normalised", "irregular"])
def test_standard_errors_equal_a_dense_simulation_and_a_dense_delta_method(even):
    matrix = ring(24, even=even)
    frame, weights = world(matrix)
    fit = panel(frame, "y", X, weights, model="sdm", **PANEL)
    terms = list(fit.covariance.index)

    def total(theta: np.ndarray) -> np.ndarray:
        dense = effect_matrix(fit, "a", matrix, pd.Series(theta, index=terms))
        return np.array([np.trace(dense), dense.sum() - np.trace(dense), dense.sum()]) / 24

    at, spread = fit.table.loc[terms, "estimate"].to_numpy(), fit.covariance.to_numpy()
    step = 1e-6
    jacobian = np.array([(total(at + s) - total(at - s)) / (2 * step) for s in step * np.eye(len(at))])
    delta = np.sqrt(np.einsum("pf,pq,qf->f", jacobian, spread, jacobian))
    found = fit.effects(draws=4000, seed=1).table.set_index(["term", "effect"]).loc["a"]
    np.testing.assert_allclose(found["se_delta"], delta, rtol=1e-5)
    draws = np.random.default_rng(5).multivariate_normal(at, spread, 4000)
    simulated = np.std([total(theta) for theta in draws], axis=0)
    np.testing.assert_allclose(found["se"], simulated, rtol=0.08)
    np.testing.assert_allclose(found["se"], found["se_delta"], rtol=0.15)


def test_the_same_seed_gives_the_same_errors_and_another_gives_others():
    frame, weights = world(ring(24))
    fit = panel(frame, "y", X, weights, model="sdm", **PANEL)
    assert fit.effects(seed=3).table.equals(fit.effects(seed=3).table)
    assert (fit.effects(seed=3).indirect["se"] != fit.effects(seed=4).indirect["se"]).all()


def test_an_error_model_has_no_spillovers():
    frame, weights = world(ring(24))
    fit = panel(frame, "y", X, weights, model="sem", **PANEL)
    effects = fit.effects(draws=10)
    assert (effects.indirect["estimate"] == 0).all()
    np.testing.assert_allclose(effects.direct["se_delta"], fit.table.loc[X, "se"], rtol=1e-6)


@pytest.mark.parametrize("even", [True, False], ids=["row-normalised", "irregular"])
def test_indirect_effects_by_distance_sum_to_the_indirect_effect(even):
    matrix = ring(24, even=even)
    frame, weights = world(matrix)
    fit = panel(frame, "y", X, weights, model="sdm", **PANEL)
    angle = np.arange(24)
    places = pd.DataFrame({"longitude": 110 + 5 * np.cos(angle / 4), "latitude": 30 + 5 * np.sin(angle / 4)})
    distance = great_circle(places)
    bands = fit.effects_by_distance(distance, [0, 200, 600, 5000], draws=200)
    sums = bands.groupby("term")["estimate"].sum()
    np.testing.assert_allclose(sums[X], fit.effects(draws=10).indirect.loc[X, "estimate"], rtol=1e-8)
    dense = effect_matrix(fit, "a", matrix)
    near = dense[(distance > 0) & (distance <= 200)].sum() / 24
    assert bands.loc[0, "estimate"] == pytest.approx(near, rel=1e-8)
    assert bands.loc[0, "band"] == "0-200"
    one = fit.effects_by_distance(distance, [0, 5000], draws=2000, seed=0).set_index("term")
    np.testing.assert_allclose(one.loc[X, "se"], fit.effects(draws=2000).indirect.loc[X, "se"], rtol=1e-4)

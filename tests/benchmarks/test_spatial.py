"""How fast spatial panel models are: against spreg where both have the model, against the eigenvalues of a matrix of
that size where only we do. Processor seconds, not wall clock: other work on the machine must not decide.
"""

import numpy as np
import pandas as pd
import pytest
from processor import eigenvalues
from processor import spent as seconds
from scipy import sparse

from analysis.spatial import Weights, inverse_distance, panel, prefecture_coordinates
from analysis.spatial.geography import prefecture_codes

X = [f"x{j}" for j in range(6)]
PANEL = {"unit": "city", "time": "year"}


def world(weights: Weights, periods: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    n = weights.n
    x = generator.standard_normal((n, periods, len(X)))
    noise = (
        generator.standard_normal((n, periods)) + generator.standard_normal((n, 1)) + generator.standard_normal(periods)
    )
    y = np.linalg.solve(np.eye(n) - 0.4 * weights.matrix.toarray(), x.sum(axis=2) * 0.5 + noise)
    frame = pd.DataFrame({"city": np.repeat(list(weights.labels), periods), "year": np.tile(np.arange(periods), n)})
    return frame.assign(y=y.ravel(), **{name: x[:, :, j].ravel() for j, name in enumerate(X)})


@pytest.fixture(scope="module")
def cities() -> tuple[pd.DataFrame, Weights]:
    weights = inverse_distance(prefecture_coordinates(prefecture_codes()[:286]), cutoff=500, isolated="nearest")
    return world(weights, 9), weights


@pytest.mark.benchmark
def test_two_way_durbin_with_effects_takes_a_few_eigenvalue_problems_of_its_size(cities, measured):
    data, weights = cities

    def work() -> None:
        fresh = Weights(weights.matrix, weights.labels)  # eigenvalues are kept with a matrix: count them too
        panel(data, "y", X, fresh, model="sdm", **PANEL).effects()

    took, limit = seconds(work, 5), 30 * eigenvalues(286)
    measured("two-way SDM with effects, 286 x 9", took, "30 x eigenvalues, 286", limit)
    assert took < limit


@pytest.mark.benchmark
@pytest.mark.parametrize(("model", "estimator"), [("sar", "Panel_FE_Lag"), ("sem", "Panel_FE_Error")])
def test_unit_effects_are_faster_than_spreg(cities, model, estimator, measured):
    libpysal, spreg = pytest.importorskip("libpysal"), pytest.importorskip("spreg")
    data, weights = cities
    stacked = data.sort_values(["year", "city"])
    theirs_w = libpysal.weights.WSP(sparse.csr_matrix(weights.matrix)).to_W(silence_warnings=True)
    theirs_w.transform = "r"
    y, x = stacked[["y"]].to_numpy(), stacked[X].to_numpy()
    fitted = {}

    def theirs() -> None:
        fitted["theirs"] = getattr(spreg, estimator)(y, x, theirs_w)

    def ours() -> None:
        fresh = Weights(weights.matrix, weights.labels)
        fitted["ours"] = panel(data, "y", X, fresh, model=model, effects="unit", bias_correction=None, **PANEL)

    them, us = seconds(theirs, 1), seconds(ours, 3)
    measured(f"{model.upper()} with unit effects, 286 x 9", us, "spreg", them)
    np.testing.assert_allclose(fitted["ours"].table["estimate"], np.ravel(fitted["theirs"].betas), atol=1e-5)
    assert us < them


@pytest.mark.benchmark
def test_2800_units_and_20_years_take_a_few_eigenvalue_problems_of_their_size(measured):
    n = 2800
    place = np.random.default_rng(1).uniform(0, 100, (n, 2))
    near = np.argsort(((place[:, None, :] - place[None, :, :]) ** 2).sum(axis=2), axis=1)[:, 1:7]
    links = sparse.csr_array((np.ones(6 * n), (np.repeat(np.arange(n), 6), near.ravel())), shape=(n, n))
    weights = Weights(links.maximum(links.T), range(n)).row_normalised()
    data = world(weights, 20)
    took = seconds(lambda: panel(data, "y", X, weights, model="sdm", **PANEL).effects(), 1)
    limit = 3 * eigenvalues(n, 1)
    measured("two-way SDM with effects, 2,800 x 20", took, "3 x eigenvalues, 2,800", limit)
    assert took < limit

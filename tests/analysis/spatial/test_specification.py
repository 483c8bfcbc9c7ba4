"""Whether the tests find the model that made the data."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from analysis.spatial import Weights, choose, hausman, lagrange_multiplier, panel

X = ["a", "b"]
PANEL = {"unit": "city", "time": "year"}


def ring(n: int) -> np.ndarray:
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return ((np.minimum(gap, n - gap) % n <= 2) & (gap > 0)).astype(float) / 4


def world(*, n=150, periods=6, rho=0.0, lam=0.0, theta=0.0, known=False, seed=0):
    generator = np.random.default_rng(seed)
    matrix = ring(n)
    x = generator.standard_normal((n, periods, 2))
    unit_effect, time_effect = 2 * generator.standard_normal((n, 1)), generator.standard_normal((1, periods))
    if known:
        x[:, :, 0] += unit_effect
    u = np.linalg.solve(np.eye(n) - lam * matrix, generator.standard_normal((n, periods)))
    mean = x @ [1.0, -0.5] + theta * np.einsum("ij,jt->it", matrix, x[:, :, 0]) + unit_effect + time_effect
    y = np.linalg.solve(np.eye(n) - rho * matrix, mean + u)
    frame = pd.DataFrame({"city": np.repeat(np.arange(n), periods), "year": np.tile(np.arange(periods), n)})
    frame = frame.assign(y=y.ravel(), a=x[:, :, 0].ravel(), b=x[:, :, 1].ravel())
    return frame, Weights(sparse.csr_array(matrix), range(n))


@pytest.mark.parametrize(
    ("truth", "model"),
    [({"rho": 0.4}, "sar"), ({"lam": 0.5}, "sem"), ({"rho": 0.4, "theta": 0.8}, "sdm"), ({}, "none")],
)
def test_the_model_that_made_the_data_is_chosen(truth, model):
    frame, weights = world(**truth, seed=1)
    choice = choose(frame, "y", X, weights, **PANEL)
    assert choice.model == model
    assert choice.effects_structure == "two-way"
    assert choice.recommendation.startswith(model.upper() if model != "none" else "Neither")


def test_the_table_holds_every_test_once_under_its_structure():
    frame, weights = world(rho=0.4)
    table = choose(frame, "y", X, weights, **PANEL).table
    assert table.groupby("test").size()[["LM lag", "robust LM lag", "LM error", "robust LM error"]].eq(4).all()
    rest = {
        "LR unit effects",
        "LR time effects",
        "LR SDM to SAR",
        "LR SDM to SEM",
        "Wald SDM to SAR",
        "Wald SDM to SEM",
    }
    assert rest | {"Hausman"} <= set(table["test"])


def test_wald_and_likelihood_ratio_agree():
    frame, weights = world(rho=0.3, theta=0.3)
    tests = choose(frame, "y", X, weights, **PANEL).table.set_index("test")["statistic"]
    assert tests["Wald SDM to SAR"] == pytest.approx(tests["LR SDM to SAR"], rel=0.1)
    assert tests["Wald SDM to SEM"] == pytest.approx(tests["LR SDM to SEM"], rel=0.2)


def test_corrected_lm_tests_keep_their_level_in_short_panels():
    found = []
    for seed in range(200):
        frame, weights = world(n=60, periods=4, seed=seed)
        table = lagrange_multiplier(frame, "y", X, weights, corrected=True, **PANEL)
        found.append(table["p"] < 0.05)
    share = np.mean(found, axis=0)
    assert (np.abs(share - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 200)).all()


def test_the_correction_of_lm_tests_vanishes_in_large_panels():
    frame, weights = world(n=1500, periods=20, rho=0.02)
    usual, corrected = (lagrange_multiplier(frame, "y", X, weights, corrected=c, **PANEL) for c in (False, True))
    np.testing.assert_allclose(np.sqrt(corrected["statistic"]), np.sqrt(usual["statistic"]), atol=0.25)


@pytest.mark.parametrize("known", [True, False])
def test_hausman_rejects_random_effects_only_where_x_knows_them(known):
    frame, weights = world(rho=0.4, known=known, seed=2)
    fixed, random = (panel(frame, "y", X, weights, effects=e, **PANEL) for e in ("two-way", "random-time"))
    row = hausman(fixed, random)
    assert (row["p"] < 0.01) == known


def test_options_are_checked():
    frame, weights = world(n=20)
    with pytest.raises(ValueError, match="x is empty"):
        choose(frame, "y", [], weights, **PANEL)
    with pytest.raises(ValueError, match="effects is 'random'"):
        choose(frame, "y", X, weights, effects="random", **PANEL)

"""Entropy balancing: moments reached exactly, by the nearest weights of all, and what cannot be reached."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from analysis.matching import entropy_balance


def sample(n: int = 300, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    flag = (generator.uniform(size=n) < 0.4).astype(float)
    treated = generator.uniform(size=n) < 1 / (1 + np.exp(1 - x[:, 0] + 0.5 * x[:, 1] - flag))
    return pd.DataFrame({"d": treated.astype(int), "log(收入)": x[:, 0], "b": x[:, 1], "flag": flag})


COVARIATES = ["log(收入)", "b", "flag"]


@pytest.mark.parametrize("moments", [1, 2, 3])
def test_weighted_moments_of_the_untreated_are_those_of_the_treated(moments):
    frame = sample(600)
    result = entropy_balance(frame, "d", COVARIATES, moments=moments)
    treated, weight = frame["d"] == 1, result.weights
    assert (weight[treated] == 1).all()
    assert (weight[~treated] > 0).all()
    assert weight[~treated].sum() == pytest.approx(treated.sum(), rel=1e-9)
    for name in COVARIATES:
        centre = frame.loc[treated, name].mean()
        for power in range(1, (1 if name == "flag" else moments) + 1):
            wanted = ((frame.loc[treated, name] - centre) ** power).mean()
            got = np.average((frame.loc[~treated, name] - centre) ** power, weights=weight[~treated])
            assert got == pytest.approx(wanted, abs=1e-7)


def test_the_weights_are_the_nearest_to_equal_ones_of_all_that_balance():
    """The primal problem of Hainmueller (2012), solved without its dual."""
    frame = sample(60, seed=2)
    result = entropy_balance(frame, "d", ["b"])
    pool = frame.loc[frame["d"] == 0, "b"].to_numpy()
    target = frame.loc[frame["d"] == 1, "b"].mean()
    constraints = [
        {"type": "eq", "fun": lambda w: w.sum() - 1},
        {"type": "eq", "fun": lambda w: w @ pool - target},
    ]
    start = np.full(len(pool), 1 / len(pool))
    found = optimize.minimize(
        lambda w: (w * np.log(w * len(w))).sum(),
        start,
        bounds=[(1e-9, 1)] * len(pool),
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    ours = result.weights[frame["d"] == 0] / (frame["d"] == 1).sum()
    np.testing.assert_allclose(ours, found.x, atol=2e-5)


def test_rows_keep_their_place_and_missing_covariates_have_no_weight():
    frame = sample()
    frame.loc[5, "b"] = np.nan
    moved = frame.sample(frac=1, random_state=1)
    result, again = entropy_balance(frame, "d", COVARIATES), entropy_balance(moved, "d", COVARIATES)
    assert np.isnan(result.weights[5])
    assert "1 rows have no weight" in result.notes[0]
    np.testing.assert_allclose(again.weights.reindex(frame.index), result.weights, rtol=1e-6)


def test_moments_out_of_reach_are_named():
    frame = sample()
    frame["far"] = np.where(frame["d"] == 1, 5.0, -1.0) + 0.1 * frame["b"]
    with pytest.raises(ValueError, match="'far': they lie outside the untreated range"):
        entropy_balance(frame, "d", ["b", "far"])
    with pytest.raises(ValueError, match="is 1 in every usable row"):
        entropy_balance(frame[frame["d"] == 1], "d", ["b"])
    with pytest.raises(ValueError, match="must be 0 or 1; it holds 2"):
        entropy_balance(frame.assign(d=frame["d"] * 2), "d", ["b"])

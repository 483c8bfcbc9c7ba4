"""The simulation table: its truth, its reproducibility, and what it says about sparse and dense weights."""

import numpy as np
import pytest
from scipy import sparse

from analysis.spatial import Weights, monte_carlo


def ring(n: int) -> Weights:
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return Weights(sparse.csr_array((np.minimum(gap, n - gap) == 1) / 2.0), range(n))


@pytest.mark.parametrize("model", ["sar", "sem", "sdm", "slx"])
def test_every_model_recovers_its_own_truth(model):
    found = monte_carlo(ring(80), periods=5, model=model, panels=15)
    table = found.table.set_index("quantity")
    assert found.failed == 0
    assert (table["bias"].abs() < 4.5 * table["bias_error"] + 0.01).all()
    assert ("rho" in table.index) == (model in ("sar", "sdm"))
    if model == "sem":
        assert table.loc["indirect", "truth"] == 0


def test_the_true_effects_are_those_of_the_dense_matrix():
    weights = ring(10)
    truth = monte_carlo(weights, periods=4, panels=2).table.set_index("quantity")["truth"]
    dense = np.linalg.solve(np.eye(10) - 0.4 * weights.matrix.toarray(), np.eye(10) + 0.3 * weights.matrix.toarray())
    assert truth["direct"] == pytest.approx(np.trace(dense) / 10)
    assert truth["total"] == pytest.approx(dense.sum() / 10) == pytest.approx(1.3 / 0.6)


def test_dense_weights_identify_rho_worse_than_sparse_ones():
    place = np.random.default_rng(0).uniform(size=(60, 2))
    distance = np.sqrt(((place[:, None] - place[None, :]) ** 2).sum(axis=2))
    np.fill_diagonal(distance, np.inf)
    dense = Weights(sparse.csr_array(1 / distance), range(60)).row_normalised()
    errors = [
        monte_carlo(w, periods=5, panels=10).table.set_index("quantity").loc["rho", "mean_se"]
        for w in (ring(60), dense)
    ]
    assert errors[1] > 3 * errors[0]


def test_rho_outside_its_interval_is_refused():
    with pytest.raises(ValueError, match="outside"):
        monte_carlo(ring(10), periods=4, rho=1.2)

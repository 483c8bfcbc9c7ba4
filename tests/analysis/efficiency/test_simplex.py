"""The batched simplex on its own: bases checked without rounding, infeasibility, and data that defeat rounding."""

from fractions import Fraction

import numpy as np
import pytest

from analysis.efficiency import programmes
from analysis.efficiency.fallback import solve_failed
from analysis.efficiency.frontier import make_batch, observe
from analysis.efficiency.programmes import Roles
from analysis.efficiency.simplex import INFEASIBLE, OPTIMAL, solve

ROLES = Roles(2, 1, 2)


def rational_solution(matrix, right_hand_side):
    """Gauss-Jordan elimination without rounding."""
    rows = [[*row, value] for row, value in zip(matrix, right_hand_side, strict=True)]
    for place in range(len(rows)):
        pivot = max(range(place, len(rows)), key=lambda row: abs(rows[row][place]))
        rows[place], rows[pivot] = rows[pivot], rows[place]
        rows[place] = [value / rows[place][place] for value in rows[place]]
        for other in range(len(rows)):
            if other != place and rows[other][place]:
                factor = rows[other][place]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    return [row[-1] for row in rows]


def exact(values):
    return [Fraction(float(value)) for value in values]


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def exact_optimum(batch, unit):
    """Objective, least basic value and least reduced cost of a unit's basis, without rounding."""
    programme, observations, row = batch.programme, batch.observations, batch.rows[unit]
    own = programme.own.shape[1]
    factor = exact(observations.factor[row])
    structural = [[a * b for a, b in zip(exact(column), factor, strict=True)] for column in observations.columns]
    columns = [exact(column) for column in programme.own.T] + structural
    costs = exact(programme.cost) + [Fraction(0)] * len(structural)
    basis = batch.basis[unit]
    transposed = [columns[entry] for entry in basis]
    values = rational_solution(list(zip(*transposed, strict=True)), exact(programme.right_hand_side))
    prices = rational_solution(transposed, [costs[entry] for entry in basis])
    left_out = own + row if batch.excluded else -1
    allowed = [
        entry for entry in range(len(columns)) if entry != left_out and not programme.first_artificial <= entry < own
    ]
    reduced = min(costs[entry] - dot(prices, columns[entry]) for entry in allowed)
    return float(dot([costs[entry] for entry in basis], values)), float(min(values)), float(reduced)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
@pytest.mark.parametrize("model", [programmes.sbm, programmes.super_sbm])
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_every_basis_is_optimal_in_rational_arithmetic(returns, model, spread):
    values = np.random.default_rng(0).lognormal(0, spread, (25, 5))
    everyone = [np.arange(25)]
    batch = make_batch(
        model(ROLES, returns, "none"),
        observe(values * ROLES.signs, returns),
        everyone,
        model is programmes.super_sbm,
    )
    solve(batch, np.arange(25), everyone)
    solved = np.flatnonzero(batch.state == OPTIMAL)
    assert len(solved) >= 15
    for unit in solved:
        objective, value, reduced = exact_optimum(batch, unit)
        assert batch.objective[unit] == pytest.approx(objective, rel=1e-11)
        assert value > -1e-10 and reduced > -1e-10


def test_an_infeasible_programme_is_told_from_one_that_is_hard():
    values = np.array([[1.0, 1, 1, 1, 1], [1, 1, 2, 9, 9], [2, 1, 2, 9, 9]])
    everyone = [np.arange(3)]
    model = programmes.super_sbm(ROLES, "crs", "input")
    batch = make_batch(model, observe(values * ROLES.signs, "crs"), everyone, True)
    solve(batch, np.arange(3), everyone)
    assert batch.state.tolist() == [INFEASIBLE, OPTIMAL, OPTIMAL]


def test_nearly_equal_units_get_the_score_of_equal_ones():
    random = np.random.default_rng(1)
    values = np.repeat(random.lognormal(0, 0.5, (10, 5)), 4, axis=0)
    everyone = [np.arange(40)]
    model = programmes.sbm(ROLES, "crs", "none")

    def objectives(data):
        batch = make_batch(model, observe(data * ROLES.signs, "crs"), everyone, False)
        solve(batch, np.arange(40), everyone)
        solve_failed(batch, everyone)
        return np.where(batch.state == OPTIMAL, batch.objective, np.nan)

    shaken = objectives(values * (1 + 1e-7 * random.standard_normal(values.shape)))
    assert shaken == pytest.approx(objectives(values), abs=1e-5)

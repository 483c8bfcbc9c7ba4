"""HiGHS for the few programmes that the batched simplex could not certify: one at a time, slow and sure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.efficiency.simplex import FAILED, INFEASIBLE, OPTIMAL, Array, Batch, Groups

# What the error bound of a score may be here: observations alike to seven digits and more allow no better.
ACCURACY = 1e-8


def _dense(batch: Batch, unit: int, candidates: Array) -> tuple[Array, Array, Array]:
    """Matrix, costs and the basis entries that the columns stand for; artificial variables are left out."""
    programme, row = batch.programme, batch.rows[unit]
    reference = candidates[candidates != row] if batch.excluded else candidates
    live = programme.first_artificial
    structural = (batch.observations.columns[reference] * batch.observations.factor[row]).T
    matrix = np.hstack([programme.own[:, :live], structural])
    costs = np.concatenate([programme.cost[:live], np.zeros(len(reference))])
    entries = np.concatenate([np.arange(live), programme.own.shape[1] + reference])
    return matrix, costs, entries


def _linear_programme(matrix: Array, costs: Array, right_hand_side: Array) -> Any:
    import highspy

    rows, columns = matrix.shape
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns, rows
    model.col_cost_ = costs
    model.col_lower_, model.col_upper_ = np.zeros(columns), np.full(columns, highspy.kHighsInf)
    model.row_lower_ = model.row_upper_ = right_hand_side
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.arange(rows + 1) * columns
    model.a_matrix_.index_ = np.tile(np.arange(columns), rows)
    model.a_matrix_.value_ = matrix.ravel()
    return model


def _attempts() -> Iterator[Any]:
    """Solvers to try in turn: each can misjudge programmes with nearly equal columns that another one solves."""
    import highspy

    for presolve, tolerance in (("on", 1e-10), ("off", 1e-10), ("off", 1e-9)):
        solver = highspy.Highs()
        solver.silent()
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            solver.setOptionValue(option, tolerance)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("presolve", presolve)
        yield solver


def _is_sound(matrix: Array, costs: Array, right_hand_side: Array, solution: Array, duals: Array) -> bool:
    """Whether feasibility, duality gap and reduced costs bound the error of the objective."""
    objective = costs @ solution
    residual = np.abs(duals) @ np.abs(matrix @ solution - right_hand_side)
    gap = abs(objective - duals @ right_hand_side)
    reduced = -(costs - duals @ matrix).min() * max(1.0, solution.max())
    return bool(max(residual, gap, reduced) <= ACCURACY * max(1.0, abs(objective)))


def solve_one(batch: Batch, unit: int, candidates: Array) -> None:
    """Solve one unit's programme over its candidates and store the solution in the batch; sets its state."""
    import highspy

    matrix, costs, entries = _dense(batch, unit, candidates)
    right_hand_side = batch.programme.right_hand_side
    batch.state[unit] = FAILED
    for solver in _attempts():
        solver.passModel(_linear_programme(matrix, costs, right_hand_side))
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            batch.state[unit] = INFEASIBLE
            return
        if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kUnknown):
            continue
        # Whatever the solver says of its own answer, it counts if it is sound.
        solution = np.maximum(solver.getSolution().col_value, 0.0)
        duals = np.asarray(solver.getSolution().row_dual)
        if _is_sound(matrix, costs, right_hand_side, solution, duals):
            # A vertex has at most one positive variable a row: the largest values are all of them.
            chosen = np.argsort(-solution, kind="stable")[: matrix.shape[0]]
            batch.basis[unit], batch.phase[unit], batch.state[unit] = entries[chosen], 1, OPTIMAL
            batch.values[unit], batch.duals[unit] = solution[chosen], duals
            return


def solve_failed(batch: Batch, references: Groups) -> Array:
    """Give every FAILED unit to HiGHS, over its whole reference set; returns the units settled by it."""
    failed = np.flatnonzero(batch.state == FAILED)
    for unit in failed:
        solve_one(batch, int(unit), references[batch.group[unit]])
    return failed

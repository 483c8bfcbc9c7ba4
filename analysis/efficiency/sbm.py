"""The slacks-based measure and its super-efficiency, with and without bad outputs: the public call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from analysis.efficiency import programmes
from analysis.efficiency.data import OK, TWIN, Measured, choice, measure, twins, whole_number
from analysis.efficiency.frontier import (
    EFFICIENT,
    FRONTIERS,
    Problem,
    efficient,
    make_batch,
    pose,
    solve_plain,
    solve_with_generation,
)
from analysis.efficiency.programmes import ORIENTATIONS, RETURNS, Roles
from analysis.efficiency.reading import Reading, Scores, read, tidy
from analysis.efficiency.result import Efficiency
from analysis.efficiency.simplex import INFEASIBLE, Array, Batch, Groups

OBJECTIVES = ("slack", "bad_as_input")
ALONE = "no score: no other unit on its frontier to compare with"
UNSOLVED = "no score: the linear programme could not be solved to the accuracy promised"


def super_sbm(
    data: pd.DataFrame,
    *,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable] = (),
    period: Hashable = None,
    frontier: str = "contemporaneous",
    returns: str = "crs",
    orientation: str = "none",
    super_efficiency: bool = True,
    objective: str = "slack",
    window: int = 3,
) -> Efficiency:
    """Score units by the slacks-based measure (SBM); units it finds efficient get their super-efficiency.

    SBM of unit k, with m inputs x, q1 good outputs y, q2 bad outputs b (Tone 2001, 2004): minimise over lambda, s >= 0

        (1 - mean_i s_i / x_ik) / (1 + (sum_r s_r / y_rk + sum_t s_t / b_tk) / (q1 + q2))

    subject to sum_j lambda_j x_ij + s_i = x_ik, sum_j lambda_j y_rj - s_r = y_rk, sum_j lambda_j b_tj + s_t = b_tk.
    A unit whose SBM is one (to 1e-9) is then scored against the others alone (Tone 2002): minimise

        (1 + mean_i s_i / x_ik) / (1 - (sum_r s_r / y_rk + sum_t s_t / b_tk) / (q1 + q2))

    subject to sum_{j != k} lambda_j x_ij - s_i <= x_ik, sum_{j != k} lambda_j y_rj + s_r >= y_rk,
    sum_{j != k} lambda_j b_tj - s_t <= b_tk. The other units keep their SBM. Left out is the observation k itself: on a
    frontier of several periods the same city's other years stay.

    Both are linear programmes after Charnes and Cooper (1962). Under constant returns with bad outputs and the slack
    objective the score cannot exceed (q1 + q2) / q2.

    Parameters
    ----------
    data
        One row a unit (and period). Never changed. Values are used as they are; scores do not depend on units of
        measurement.
    inputs, outputs, bad_outputs
        Lists of column names. All values must be positive.
    period
        Column with the period, or None to pool all rows, whatever the frontier.
    frontier
        ``contemporaneous``: units of the same period. ``global``: all periods. ``sequential``: this and earlier
        periods. ``window``: this and the ``window`` - 1 preceding periods that occur in the data, fewer at the start
        (one score a unit; not the average over windows of Charnes et al. 1985).
    returns
        ``crs``, ``vrs`` (intensities sum to one), ``nirs`` (to at most one), ``ndrs`` (to at least one).
    orientation
        ``none``; ``input`` penalises slacks of inputs only (the numerator; the others must reach the unit's good
        outputs with no more of its bad ones); ``output`` penalises slacks of good and bad outputs (the denominator; no
        more of the inputs).
    super_efficiency
        False leaves efficient units at one.
    objective
        ``slack`` as above. ``bad_as_input`` treats bad outputs as inputs: means over m + q2 above and q1 below.
    window
        Periods in a window.

    Returns
    -------
    Efficiency
        ``.table`` is indexed like ``data``: ``score``; ``efficient`` (score above 1 - 1e-9, so not a unit without
        score); ``sbm``, the score before super-efficiency; ``slack_<column>`` in the column's units, never negative
        (what an inefficient unit has too much or too little; for a super-efficient one the distance by which the others
        miss it); ``status``. Also ``.peers``, ``.projection``, ``.prices``. Scores are unique; slacks, peers and prices
        need not be. ``status`` begins with ``ok`` where there is a score. A unit with a missing, infinite, zero or
        negative value gets none and serves in nobody's reference set, as if it were not in the data. A super-efficiency
        that no combination of the others defines (variable returns, or input orientation with bad outputs) is
        ``infeasible``, with a missing score; such a unit's ``sbm`` is one.

    Raises
    ------
    ValueError
        Unknown or repeated columns, columns of text, an option that does not exist, no input or no output.
    """
    for value, allowed, name in (
        (frontier, FRONTIERS, "frontier"),
        (returns, RETURNS, "returns"),
        (orientation, ORIENTATIONS, "orientation"),
        (objective, OBJECTIVES, "objective"),
    ):
        choice(value, allowed, name)
    window = whole_number(window, "window", 1)
    measured = measure(data, inputs, outputs, bad_outputs, period)
    roles, column_order = _programme_roles(measured.roles, objective)
    problem = pose(measured, roles, column_order, frontier, window, returns)
    scores = _score(measured, problem, np.argsort(column_order), orientation, super_efficiency)
    options = {
        "model": "super-SBM" if super_efficiency else "SBM",
        "frontier": "pooled" if period is None else frontier,
        "returns": returns,
        "orientation": orientation,
        "objective": objective,
    }
    return tidy(data.index, measured, scores, options)


def _programme_roles(roles: Roles, objective: str) -> tuple[Roles, Array]:
    """Roles in the programme and the order of columns: bad outputs become inputs where the objective says so."""
    order = np.arange(len(roles.signs))
    if objective == "slack":
        return roles, order
    inputs, goods, bads = np.split(order, [roles.inputs, roles.inputs + roles.outputs])
    return Roles(roles.inputs + roles.bad_outputs, roles.outputs, 0), np.concatenate([inputs, bads, goods])


def _score(measured: Measured, problem: Problem, place: Array, orientation: str, super_efficiency: bool) -> Scores:
    """Scores of every usable unit; ``place`` puts the programme's columns back into the caller's order."""
    model = programmes.sbm(problem.roles, problem.returns, orientation)
    batch, candidates = solve_plain(model, problem)
    plain = read(batch, model)
    values = measured.values[measured.order]
    sbm = np.minimum(plain.objective, 1.0)
    score, slack, prices, peers = sbm.copy(), plain.slack, plain.prices, plain.peers
    status = np.full(len(sbm), OK, dtype=object)
    status[twins(values, problem.comparison.references, problem.comparison.evaluated)] = TWIN
    movement = -problem.roles.signs * slack
    if super_efficiency:
        strict, lead = _lead(problem, batch, candidates, orientation)
        rows = strict.rows
        score[rows] = np.maximum(lead.objective[rows], 1.0)
        slack[rows], prices[rows] = lead.slack[rows], lead.prices[rows]
        movement[rows] = problem.roles.signs * lead.slack[rows]
        peers = pd.concat([peers[~peers["unit"].isin(rows)], lead.peers], ignore_index=True)
        status[rows[strict.state == INFEASIBLE]] = _infeasible(problem.returns, orientation)
        alone = [rows for rows in problem.comparison.references if len(rows) == 1]
        for row in alone:
            status[row], score[row] = ALONE, np.nan
    unscored = np.isnan(score)
    status[unscored & np.char.startswith(status.astype(str), OK)] = UNSOLVED
    slack[unscored], prices[unscored], movement[unscored] = np.nan, np.nan, np.nan
    return Scores(
        first={"score": score, "efficient": score > 1.0 - EFFICIENT, "sbm": sbm},
        last={"status": status},
        slack=slack[:, place],
        movement=movement[:, place],
        prices=prices[:, place],
        peers=peers[~unscored[peers["unit"]]],
    )


def _lead(problem: Problem, plain: Batch, candidates: Groups, orientation: str) -> tuple[Batch, Reading]:
    """Super-efficiency of the units whose SBM is one, each compared with the others alone."""
    chosen = efficient(plain)
    evaluated = [plain.rows[chosen & (plain.group == group)] for group in range(len(candidates))]
    model = programmes.super_sbm(problem.roles, problem.returns, orientation)
    batch = make_batch(model, problem.observations, evaluated, excluded=True)
    solve_with_generation(batch, candidates, problem.comparison.references)
    return batch, read(batch, model)


def _infeasible(returns: str, orientation: str) -> str:
    side = "" if orientation == "none" else f", {orientation}-oriented"
    return f"infeasible: efficient, but no combination of the other units defines a super-efficiency ({returns}{side})"

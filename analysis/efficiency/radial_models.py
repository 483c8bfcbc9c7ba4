"""Radial models (CCR, BCC), returns to scale and bootstrap intervals: the public calls. For SBM see `sbm`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from analysis.efficiency import programmes
from analysis.efficiency.data import OK, TWIN, Measured, choice, measure, twins, whole_number
from analysis.efficiency.fallback import solve_failed
from analysis.efficiency.frontier import EFFICIENT, FRONTIERS, Problem, make_batch, observe, pose, solve_model
from analysis.efficiency.programmes import RETURNS
from analysis.efficiency.reading import Scores, read, tidy
from analysis.efficiency.result import Efficiency
from analysis.efficiency.simplex import INFEASIBLE, OPTIMAL, Array, solve

INFEASIBLE_RADIAL = "infeasible: no combination of the other units reaches this one"
UNSOLVED = "no score: the linear programme could not be solved to the accuracy promised"
DRAWS_AT_ONCE = 16


def radial(
    data: pd.DataFrame,
    *,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable] = (),
    period: Hashable = None,
    frontier: str = "contemporaneous",
    returns: str = "crs",
    orientation: str = "input",
    super_efficiency: bool = False,
    window: int = 3,
) -> Efficiency:
    """Score units by the radial measure: CCR (Charnes, Cooper and Rhodes 1978) or, with ``vrs``, BCC (Banker et al.
    1984).

    Input orientation: the least theta for which theta x is enough to make the unit's outputs. Output orientation:
    1/phi, with phi the most by which all good outputs can grow. Bad outputs stay where they are: the point compared
    with has no more of them. With ``super_efficiency`` each unit is left out of its own frontier (Andersen and Petersen
    1993).

    Parameters
    ----------
    data, inputs, outputs, bad_outputs, period, frontier, returns, window
        As in `super_sbm`.
    orientation
        ``input`` or ``output``.
    super_efficiency
        Whether efficient units may score above one.

    Returns
    -------
    Efficiency
        ``.table``: ``score`` (at most one without super-efficiency), ``efficient`` (a radial score of one: slacks may
        remain), ``status``. ``.projection`` is the radial point.

    Raises
    ------
    ValueError
        As `super_sbm`.
    """
    choice(orientation, ("input", "output"), "orientation")
    measured, problem = _pose(data, inputs, outputs, bad_outputs, period, frontier, returns, window)
    model = programmes.radial(problem.roles, returns, orientation)
    batch = solve_model(model, problem, excluded=super_efficiency, whole=False)
    reading = read(batch, model)
    theta = reading.objective if orientation == "input" else -1.0 / reading.objective
    score = theta if super_efficiency else np.minimum(theta, 1.0)
    status = describe(measured, problem)
    status[batch.rows[batch.state == INFEASIBLE]] = INFEASIBLE_RADIAL
    status[batch.rows[(batch.state != INFEASIBLE) & (batch.state != OPTIMAL)]] = UNSOLVED
    moving = problem.roles.mask(inputs=orientation == "input", outputs=orientation == "output")
    step = (theta if orientation == "input" else 1.0 / theta) - 1.0
    scores = Scores(
        first={"score": score, "efficient": score > 1.0 - EFFICIENT},
        last={"status": status},
        slack=None,
        movement=np.where(moving, step[:, None], np.where(np.isnan(step)[:, None], np.nan, 0.0)),
        prices=reading.prices,
        peers=reading.peers,
    )
    options = {"model": "radial", "frontier": "pooled" if period is None else frontier, "returns": returns}
    return tidy(data.index, measured, scores, options | {"orientation": orientation})


def _pose(
    data: pd.DataFrame,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable],
    period: Hashable,
    frontier: str,
    returns: str,
    window: int,
) -> tuple[Measured, Problem]:
    choice(frontier, FRONTIERS, "frontier")
    choice(returns, RETURNS, "returns")
    window = whole_number(window, "window", 1)
    measured = measure(data, inputs, outputs, bad_outputs, period)
    return measured, pose(measured, measured.roles, np.arange(len(measured.columns)), frontier, window, returns)


def describe(measured: Measured, problem: Problem) -> Array:
    """The status of units that are scored: ``ok``, or that another unit has the same values."""
    status = np.full(len(measured.order), OK, dtype=object)
    comparison = problem.comparison
    status[twins(measured.values[measured.order], comparison.references, comparison.evaluated)] = TWIN
    return status


def returns_to_scale(
    data: pd.DataFrame,
    *,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable] = (),
    period: Hashable = None,
    frontier: str = "contemporaneous",
    orientation: str = "input",
    window: int = 3,
) -> pd.DataFrame:
    """Scale efficiency and the returns to scale where each unit is projected (Färe, Grosskopf and Lovell 1985).

    The radial score is computed under constant, variable and non-increasing returns. Equal under the first two:
    ``constant``. Otherwise ``increasing`` where non-increasing returns change nothing against constant ones, else
    ``decreasing``. Equal means to 1e-8.

    Parameters
    ----------
    data, inputs, outputs, bad_outputs, period, frontier, orientation, window
        As in `radial`.

    Returns
    -------
    DataFrame
        Indexed like ``data``: ``crs``, ``vrs``, ``nirs``, ``scale`` (crs / vrs), ``returns`` (missing without a score),
        ``status``.

    Raises
    ------
    ValueError
        As `super_sbm`.
    """
    tables = {
        returns: radial(
            data,
            inputs=inputs,
            outputs=outputs,
            bad_outputs=bad_outputs,
            period=period,
            frontier=frontier,
            returns=returns,
            orientation=orientation,
            window=window,
        ).table
        for returns in ("crs", "vrs", "nirs")
    }
    table = pd.DataFrame({returns: found["score"] for returns, found in tables.items()}, index=data.index)
    table["scale"] = table["crs"] / table["vrs"]
    constant = (table["vrs"] - table["crs"]).abs() <= 1e-8
    increasing = (table["nirs"] - table["crs"]).abs() <= 1e-8
    kind = np.where(constant, "constant", np.where(increasing, "increasing", "decreasing"))
    table["returns"] = pd.Series(kind, index=table.index).where(table["scale"].notna())
    table["status"] = tables["vrs"]["status"]
    return table


def radial_intervals(
    data: pd.DataFrame,
    *,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    returns: str = "vrs",
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Bias-corrected input-oriented radial scores with intervals, by the smoothed bootstrap of Simar and Wilson (1998,
    2008).

    All rows are pooled on one frontier. Distances 1/theta are resampled from a kernel density reflected at one (normal
    kernel; bandwidth by the normal reference rule, 1.06 min(s, IQR/1.34) n^(-1/5), corrected for reflection), inputs
    become x theta / theta*, and the original units are scored against that frontier. The method assumes that
    inefficiency does not depend on where a unit is (homogeneity) and covers radial scores only: there is no such result
    for slacks-based ones. In small samples intervals hold the truth somewhat less often than their level (about 0.90
    for 0.95 with 100 units).

    Parameters
    ----------
    data, inputs, outputs, returns
        As in `radial`; there are no bad outputs.
    draws
        Bootstrap samples; 2,000 for a table to print.
    level
        Of the interval.
    seed
        Of the random numbers. They are drawn in the order of the units' data, so row order does not matter.

    Returns
    -------
    DataFrame
        Indexed like ``data``: ``score``, ``bias``, ``corrected`` (score - bias), ``low``, ``high`` (basic bootstrap
        interval on the distance 1/theta, Simar and Wilson 2000), ``status``.

    Raises
    ------
    ValueError
        As `super_sbm`, and for draws below 100 or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}.")
    draws = whole_number(draws, "draws", 100)
    result = radial(data, inputs=inputs, outputs=outputs, returns=returns)
    measured, problem = _pose(data, inputs, outputs, (), None, "global", returns, 1)
    score = result.table["score"].to_numpy()[measured.order]
    found = np.full((len(data), 4), np.nan)
    if len(score) > 1:
        drawn = _bootstrap(measured, problem, score, draws, seed)
        bias = np.nanmean(drawn, axis=0) - score
        error = np.nanquantile(1.0 / drawn - 1.0 / score, [(1 - level) / 2, (1 + level) / 2], axis=0)
        interval = 1.0 / (1.0 / score - error)
        found[measured.order] = np.column_stack([bias, score - bias, interval[0], interval[1]])
    intervals = pd.DataFrame(found, index=data.index, columns=["bias", "corrected", "low", "high"])
    intervals.insert(0, "score", result.table["score"])
    return intervals.assign(status=result.table["status"])


def _smoothed(score: Array, random: np.random.Generator) -> Array:
    """Scores drawn from the reflected kernel density of the distances 1/theta (Simar and Wilson 2008, section 4.3).

    Units on the estimated frontier are left out of the density: their ones are an artefact of the estimate. Reflection
    about one comes after the variance is put right, so that the drawn frontier stays where it is.
    """
    distance = 1.0 / score
    inside = distance[distance > 1.0 + EFFICIENT]
    if len(inside) < 2:
        return np.ones(len(score))
    reflected = np.concatenate([inside, 2.0 - inside])
    quartiles = np.quantile(reflected, [0.25, 0.75])
    spread = min(reflected.std(ddof=1), (quartiles[1] - quartiles[0]) / 1.34)
    bandwidth = 1.06 * spread * len(score) ** -0.2 * distance.std(ddof=1) / reflected.std(ddof=1)
    drawn = reflected[random.integers(len(reflected), size=len(score))]
    drawn = drawn + bandwidth * random.standard_normal(len(score))
    drawn = 1.0 + (drawn - 1.0) / np.sqrt(1.0 + bandwidth**2 / reflected.var())
    return 1.0 / np.where(drawn < 1.0, 2.0 - drawn, drawn)


def _bootstrap(measured: Measured, problem: Problem, score: Array, draws: int, seed: int) -> Array:
    """Scores of the original units against each drawn frontier: draws x units."""
    values = measured.values[measured.order]
    roles, returns = problem.roles, problem.returns
    model = programmes.radial(roles, returns, "input")
    n = len(values)
    random = np.random.default_rng(seed)
    found = np.full((draws, n), np.nan)
    for first in range(0, draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, draws - first)
        pseudo = np.tile(values, (count, 1))
        theta = np.concatenate([_smoothed(score, random) for _ in range(count)])
        pseudo[:, : roles.inputs] *= (np.tile(score, count) / theta)[:, None]
        observations = observe(np.vstack([values, pseudo]) * roles.signs, returns)
        references = [np.arange(n) + n * (draw + 1) for draw in range(count)]
        batch = make_batch(model, observations, [np.arange(n)] * count, excluded=False)
        solve(batch, np.arange(len(batch.rows)), references)
        solve_failed(batch, references)
        objective = np.where(batch.state == OPTIMAL, batch.objective, np.nan)
        found[first : first + count] = objective.reshape(count, n)
    return found

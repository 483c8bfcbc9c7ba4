"""The directional distance function and Malmquist-Luenberger productivity change: the public calls."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.efficiency import programmes
from analysis.efficiency.data import Measured, choice, measure, whole_number
from analysis.efficiency.frontier import EFFICIENT, FRONTIERS, Comparison, Problem, compare, pose, solve_model
from analysis.efficiency.programmes import RETURNS, Roles
from analysis.efficiency.radial_models import UNSOLVED, describe
from analysis.efficiency.reading import Scores, read, tidy
from analysis.efficiency.result import Efficiency
from analysis.efficiency.simplex import INFEASIBLE, OPTIMAL, Array

DIRECTIONS = ("outputs", "inputs", "all")
DISPOSABILITIES = ("strong", "weak")
UNREACHABLE = "infeasible: the unit's direction does not meet the frontier"


def directional_distance(
    data: pd.DataFrame,
    *,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable] = (),
    period: Hashable = None,
    frontier: str = "contemporaneous",
    returns: str = "crs",
    direction: str = "outputs",
    disposability: str = "strong",
    window: int = 3,
) -> Efficiency:
    """Directional distance function: the most by which a unit can move along its own data before it meets the frontier.

    Maximise beta subject to sum_j lambda_j x_j <= (1 - beta) x_k, sum_j lambda_j y_j >= (1 + beta) y_k,
    sum_j lambda_j b_j <= (1 - beta) b_k (an equation under weak disposability), where data that do not move stand
    without beta (Chambers, Chung and Färe 1996; Chung, Färe and Grosskopf 1997).

    Parameters
    ----------
    data, inputs, outputs, bad_outputs, period, frontier, returns, window
        As in `super_sbm`.
    direction
        ``outputs``: good outputs up and bad ones down. ``inputs``: inputs down. ``all``: all three.
    disposability
        Of bad outputs: ``strong`` (as freely as inputs) or ``weak`` (only together with good outputs; constant returns
        only).

    Returns
    -------
    Efficiency
        ``.table``: ``score`` = 1 / (1 + beta), ``efficient`` (beta at most 1e-9), ``distance`` (beta), ``status``.
        Under weak disposability a price of a bad output may be negative.

    Raises
    ------
    ValueError
        As `super_sbm`, and for weak disposability without constant returns, which needs another technology (Kuosmanen
        2005).
    """
    choice(frontier, FRONTIERS, "frontier")
    _check(returns, direction, disposability)
    window = whole_number(window, "window", 1)
    measured = measure(data, inputs, outputs, bad_outputs, period)
    problem = pose(measured, measured.roles, np.arange(len(measured.columns)), frontier, window, returns)
    moving = _moving(problem.roles, direction)
    model = programmes.directional(problem.roles, returns, moving, disposability == "weak")
    batch = solve_model(model, problem, excluded=False, whole=disposability == "weak")
    reading = read(batch, model)
    distance = np.where(np.abs(reading.objective) < EFFICIENT, 0.0, -reading.objective)
    status = describe(measured, problem)
    status[batch.rows[batch.state != OPTIMAL]] = UNSOLVED
    scores = Scores(
        first={"score": 1.0 / (1.0 + distance), "efficient": distance <= EFFICIENT, "distance": distance},
        last={"status": status},
        slack=None,
        movement=-problem.roles.signs * moving * distance[:, None],
        prices=reading.prices,
        peers=reading.peers,
    )
    options = {"model": "directional distance", "frontier": "pooled" if period is None else frontier}
    options |= {"returns": returns, "direction": direction, "disposability": disposability}
    return tidy(data.index, measured, scores, options)


def _check(returns: str, direction: str, disposability: str) -> None:
    choice(returns, RETURNS, "returns")
    choice(direction, DIRECTIONS, "direction")
    choice(disposability, DISPOSABILITIES, "disposability")
    if disposability == "weak" and returns != "crs":
        raise ValueError(
            "Weak disposability is offered under constant returns only; elsewhere it needs an abatement factor a unit. "
            "Use returns='crs' or disposability='strong'."
        )


def _moving(roles: Roles, direction: str) -> Array:
    outward = direction != "inputs"
    return roles.mask(inputs=direction != "outputs", outputs=outward, bad_outputs=outward).astype(float)


@dataclass(frozen=True)
class ProductivityChange:
    """Productivity change of each unit between neighbouring periods.

    Attributes
    ----------
    table
        One row a unit and pair of periods: ``unit``, ``period`` (the later), ``base`` (the earlier), ``change`` (above
        one: productivity rose), ``efficiency`` (catching up with the own period's frontier), ``technology`` (shift of
        the frontier), ``status``. change = efficiency x technology.
    options
        What was computed.
    """

    table: pd.DataFrame
    options: Mapping[str, object]

    def summary(self) -> str:
        """Geometric means by period."""
        parts = ["change", "efficiency", "technology"]
        logs = self.table[parts].map(np.log)
        means = logs.groupby(self.table["period"]).mean().map(np.exp)
        return ", ".join(f"{name}: {value}" for name, value in self.options.items()) + "\n" + means.to_string()


def malmquist_luenberger(
    data: pd.DataFrame,
    *,
    unit: Hashable,
    period: Hashable,
    inputs: Sequence[Hashable],
    outputs: Sequence[Hashable],
    bad_outputs: Sequence[Hashable] = (),
    reference: str = "global",
    returns: str = "crs",
    direction: str = "outputs",
    disposability: str = "strong",
) -> ProductivityChange:
    """Malmquist-Luenberger productivity change with its efficiency and technology parts.

    With D the directional distance: ``efficiency`` = (1 + D_s(s)) / (1 + D_t(t)) from period s to the next period t,
    each unit on its own period's frontier. ``global`` (Oh 2010): ``change`` = (1 + D_G(s)) / (1 + D_G(t)) on the
    frontier of all periods, never infeasible. ``adjacent`` (Chung, Färe and Grosskopf 1997): the geometric mean of the
    change on both periods' frontiers; a unit that the other period's frontier cannot reach has a status instead.
    ``technology`` = change / efficiency.

    Parameters
    ----------
    data, inputs, outputs, bad_outputs, returns, direction, disposability
        As in `directional_distance`.
    unit, period
        Columns; a unit is compared between neighbouring periods of the data, where it has both.
    reference
        ``global`` or ``adjacent``.

    Returns
    -------
    ProductivityChange

    Raises
    ------
    ValueError
        As `directional_distance`, and where a unit has two rows in a period.
    """
    choice(reference, ("global", "adjacent"), "reference")
    _check(returns, direction, disposability)
    measured = measure(data, inputs, outputs, bad_outputs, period)
    if unit not in data.columns:
        raise ValueError(f"The data have no column {unit!r}; the columns are {list(data.columns)!r}.")
    repeated = data.duplicated([unit, period]).to_numpy()
    if repeated.any():
        first = data.loc[repeated, [unit, period]].iloc[0].tolist()
        raise ValueError(f"Unit {first[0]!r} has more than one row in period {first[1]!r}: keep one.")
    problem = pose(measured, measured.roles, np.arange(len(measured.columns)), "contemporaneous", 1, returns)
    model = programmes.directional(problem.roles, returns, _moving(problem.roles, direction), disposability == "weak")
    own, status = _distances(model, problem, problem.comparison, disposability)
    pairs = _pairs(data, unit, period, measured)
    base, later = pairs["base_row"].to_numpy(), pairs["row"].to_numpy()
    efficiency = (1.0 + own[base]) / (1.0 + own[later])
    if reference == "global":
        wide, wide_status = _distances(model, problem, compare(problem.period, "global", 1), disposability)
        change = (1.0 + wide[base]) / (1.0 + wide[later])
        reason = _first_of(status[base], status[later], wide_status[base], wide_status[later])
    else:
        change, reason = _adjacent(model, problem, disposability, own, base, later)
    table = pairs[["unit", "period", "base"]].assign(
        change=change, efficiency=efficiency, technology=change / efficiency, status=reason
    )
    options = {"reference": reference, "returns": returns, "direction": direction, "disposability": disposability}
    return ProductivityChange(table, options)


def _distances(
    model: programmes.Model, problem: Problem, comparison: Comparison, disposability: str
) -> tuple[Array, Array]:
    """beta of each usable unit on the frontiers of the comparison, and a status where there is none."""
    batch = solve_model(model, replace(problem, comparison=comparison), excluded=False, whole=disposability == "weak")
    distance = np.full(len(problem.period), np.nan)
    status = np.full(len(problem.period), "ok", dtype=object)
    solved = batch.state == OPTIMAL
    distance[batch.rows[solved]] = -batch.objective[solved]
    status[batch.rows[batch.state == INFEASIBLE]] = UNREACHABLE
    status[batch.rows[~solved & (batch.state != INFEASIBLE)]] = UNSOLVED
    return distance, status


def _pairs(data: pd.DataFrame, unit: Hashable, period: Hashable, measured: Measured) -> pd.DataFrame:
    """Usable units with a usable row in two neighbouring periods, in the order of unit and period."""
    frame = pd.DataFrame(
        {
            "unit": data[unit].to_numpy()[measured.order],
            "period": data[period].to_numpy()[measured.order],
            "rank": measured.period[measured.order],
            "row": np.arange(len(measured.order)),
        }
    )
    earlier = frame.rename(columns={"period": "base", "row": "base_row"}).assign(rank=frame["rank"] + 1)
    return frame.merge(earlier, on=["unit", "rank"]).sort_values(["unit", "rank"], ignore_index=True)


def _first_of(*statuses: Array) -> Array:
    reason = np.full(len(statuses[0]), "ok", dtype=object)
    for status in reversed(statuses):
        reason = np.where(status != "ok", status, reason)
    return reason


def _adjacent(
    model: programmes.Model, problem: Problem, disposability: str, own: Array, base: Array, later: Array
) -> tuple[Array, Array]:
    periods = [np.flatnonzero(problem.period == now) for now in np.unique(problem.period)]
    forward, forward_status = _distances(model, problem, Comparison(periods[:-1], periods[1:]), disposability)
    backward, backward_status = _distances(model, problem, Comparison(periods[1:], periods[:-1]), disposability)
    on_base = (1.0 + own[base]) / (1.0 + backward[later])
    on_later = (1.0 + forward[base]) / (1.0 + own[later])
    with np.errstate(invalid="ignore"):
        change = np.sqrt(on_base * on_later)
    return change, _first_of(forward_status[base], backward_status[later])

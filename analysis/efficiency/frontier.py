"""Who is compared with whom, and the search for the few observations that span a frontier.

Most observations are never in a reference set: those inside the hull of others change no programme. The search finds
columns that span the hull by column generation and ends with a proof, so programmes over the shorter list are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.efficiency.data import Measured
from analysis.efficiency.fallback import solve_failed
from analysis.efficiency.programmes import Model, Roles, sbm
from analysis.efficiency.simplex import (
    OPTIMAL,
    Array,
    Batch,
    Groups,
    Observations,
    dual_tolerance,
    price,
    solve,
)

FRONTIERS = ("contemporaneous", "global", "sequential", "window")
EFFICIENT = 1e-9
# Below this many observations the whole reference set goes into the programmes: searching costs more than it saves.
SEARCH_ABOVE = 400
DIRECTIONS = 600


@dataclass(frozen=True)
class Comparison:
    """For each group the observations to be scored and those they are compared with, both ascending."""

    evaluated: Groups
    references: Groups


@dataclass(frozen=True)
class Problem:
    """Usable units and their frontiers: what every model needs before it is solved."""

    roles: Roles
    returns: str
    observations: Observations
    period: Array
    comparison: Comparison


def compare(period: Array, frontier: str, window: int) -> Comparison:
    """Groups of observations that share a frontier.

    Parameters
    ----------
    period
        Rank of each observation's period, 0, 1, ...: (observations,).
    frontier
        ``contemporaneous``: the same period. ``global``: all periods. ``sequential``: this and all earlier periods.
        ``window``: this and the ``window`` - 1 periods before it (the first periods have fewer).
    window
        Length of the window in periods that occur in the data.
    """
    everyone = np.arange(len(period))
    if frontier == "global":
        return Comparison([everyone], [everyone])
    periods = np.unique(period)
    evaluated = [np.flatnonzero(period == now) for now in periods]
    first = {"contemporaneous": periods, "sequential": np.zeros_like(periods), "window": periods - window + 1}[frontier]
    references = [
        np.flatnonzero((period >= since) & (period <= now)) for since, now in zip(first, periods, strict=True)
    ]
    return Comparison(evaluated, references)


def observe(signed: Array, returns: str) -> Observations:
    """Structural columns and the row factors of each observation, from signed data (observations x data rows).

    A column is divided by its size (the geometric mean of its data relative to the sample's), which changes the unit of
    its intensity only, and multiplied back for the evaluated unit, so that intensities are near one for any size of
    city.
    """
    level = np.exp(np.log(np.abs(signed)).sum(axis=0) / max(1, len(signed)))
    relative = signed / level
    size = np.exp(np.log(np.abs(relative)).mean(axis=1))
    observations, data_rows = signed.shape
    scale_row = int(returns != "crs")
    columns = np.zeros((observations, data_rows + scale_row + 1))
    factor = np.zeros_like(columns)
    columns[:, :data_rows] = relative / size[:, None]
    factor[:, :data_rows] = size[:, None] / np.abs(relative)
    if scale_row:
        columns[:, -2] = 1.0 / size
        factor[:, -2] = size
    return Observations(columns, factor, size)


def _promising(observations: Observations, rows: Array, roles: Roles, returns: str) -> Array:
    """Observations that are best for some unit's own prices: on the frontier, found without a programme."""
    data_rows = len(roles.signs)
    signs = roles.signs
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, DIRECTIONS).astype(np.intp))]
    prices = observations.factor[sample, :data_rows]
    if returns != "crs":
        # Prices per unit of data: under variable returns sizes matter, so columns go back to their own size.
        prices = prices / observations.factor[sample, -2][:, None]
    data = observations.columns[rows][:, :data_rows]
    if returns != "crs":
        data = data * observations.factor[rows, -2][:, None]
    found = []
    for first in range(0, len(sample), 64):
        some = prices[first : first + 64]
        worse = np.einsum("sr,nr->sn", some[:, signs > 0], data[:, signs > 0])
        better = -np.einsum("sr,nr->sn", some[:, signs < 0], data[:, signs < 0])
        found.append((better / worse).argmax(axis=1))
        if returns != "crs":
            found.append((better / roles.outputs - worse / (data_rows - roles.outputs)).argmax(axis=1))
    return rows[np.unique(np.concatenate(found))]


def _violators(batch: Batch, units: Array, references: Groups) -> tuple[Array, Array]:
    """Units for which some observation outside their candidates would lower the objective, and that observation."""
    least, entering = price(batch, units, batch.duals[units], references)
    violated = least < -10 * dual_tolerance(batch.duals[units])
    return units[violated], entering[violated]


def _extend(batch: Batch, candidates: Groups, units: Array, entering: Array) -> Groups:
    return [np.union1d(candidate, entering[batch.group[units] == group]) for group, candidate in enumerate(candidates)]


def efficient(batch: Batch) -> Array:
    """True where the objective of the SBM programme is one."""
    return (batch.state == OPTIMAL) & (batch.objective > 1.0 - EFFICIENT)


def solve_with_search(batch: Batch, references: Groups, roles: Roles, returns: str) -> Groups:
    """Solve the SBM of every observation of every reference set and return columns that span each frontier.

    A unit whose score over the candidates is below one is inside their hull (its own column, which is always in its
    programme, has dropped out). A unit with a score of one is priced against the whole reference set: either an
    observation that beats it joins the candidates, or the unit is efficient and joins itself. When nobody is left, the
    candidates span the frontier, and the last pass is over all of them.

    Parameters
    ----------
    batch
        Holds every observation of every reference set, each in the group it belongs to.
    references
        For each group its observations.
    roles, returns
        As in the programme.
    """
    candidates = [
        rows if len(rows) <= SEARCH_ABOVE else _promising(batch.observations, rows, roles, returns)
        for rows in references
    ]
    searched = np.array([len(rows) > SEARCH_ABOVE for rows in references], dtype=bool)[batch.group]
    pending = np.arange(len(batch.rows))
    while len(pending):
        solve(batch, pending, candidates)
        settled = solve_failed(batch, references)
        top = pending[efficient(batch)[pending] & searched[pending]]
        beaten, better = _violators(batch, np.setdiff1d(top, settled), references)
        good = np.setdiff1d(top, beaten)
        joining = np.concatenate([better, batch.rows[good]])
        candidates = _extend(batch, candidates, np.concatenate([beaten, good]), joining)
        pending = beaten
    solve(batch, np.flatnonzero(~efficient(batch) & searched), candidates)
    solve_failed(batch, references)
    return candidates


def solve_with_generation(batch: Batch, candidates: Groups, references: Groups) -> None:
    """Solve every programme over its whole reference set, starting from a few columns and adding those that price out.

    An infeasible programme is priced with the duals of phase one: a column that would help it has a negative price.
    """
    pending = np.arange(len(batch.rows))
    while len(pending):
        solve(batch, pending, candidates)
        settled = solve_failed(batch, references)
        beaten, better = _violators(batch, np.setdiff1d(pending, settled), references)
        candidates = _extend(batch, candidates, beaten, better)
        pending = beaten


def make_batch(model: Model, observations: Observations, evaluated: Groups, excluded: bool) -> Batch:
    """A batch over groups of evaluated observations."""
    group = np.repeat(np.arange(len(evaluated)), [len(rows) for rows in evaluated])
    rows = np.concatenate([np.empty(0, dtype=np.intp), *evaluated])
    return Batch(model.programme, observations, rows, group, excluded)


def pose(measured: Measured, roles: Roles, columns: Array, frontier: str, window: int, returns: str) -> Problem:
    """The usable units in their fixed order; ``columns`` puts the data into the order of ``roles``."""
    values = measured.values[measured.order][:, columns]
    period = measured.period[measured.order]
    return Problem(roles, returns, observe(values * roles.signs, returns), period, compare(period, frontier, window))


def _is_closed(comparison: Comparison) -> bool:
    """Whether every observation of a reference set is evaluated on it."""
    return all(map(np.array_equal, comparison.evaluated, comparison.references))


def solve_plain(model: Model, problem: Problem) -> tuple[Batch, Groups]:
    """The SBM of every unit, and for each frontier columns that span it."""
    comparison, roles, returns = problem.comparison, problem.roles, problem.returns
    batch = make_batch(model, problem.observations, comparison.evaluated, excluded=False)
    if _is_closed(comparison):
        return batch, solve_with_search(batch, comparison.references, roles, returns)
    candidates = _union_of_periods(model, problem)
    solve(batch, np.arange(len(batch.rows)), candidates)
    solve_failed(batch, comparison.references)
    return batch, candidates


def solve_model(model: Model, problem: Problem, excluded: bool, whole: bool) -> Batch:
    """Any other model for every unit.

    Parameters
    ----------
    model, problem
        What to solve and for whom.
    excluded
        Whether each unit leaves itself out.
    whole
        Whether columns inside the frontier can matter (they can where some output is not freely disposable).
    """
    references = problem.comparison.references
    candidates = references
    if max((len(rows) for rows in references), default=0) > SEARCH_ABOVE:
        plain = sbm(problem.roles, problem.returns, "none")
        candidates = (
            solve_plain(plain, problem)[1] if _is_closed(problem.comparison) else _union_of_periods(plain, problem)
        )
    batch = make_batch(model, problem.observations, problem.comparison.evaluated, excluded)
    if excluded or whole:
        solve_with_generation(batch, candidates, references)
    else:
        solve(batch, np.arange(len(batch.rows)), candidates)
        solve_failed(batch, references)
    return batch


def _union_of_periods(model: Model, problem: Problem) -> Groups:
    """Columns that span frontiers of several periods: those efficient in their own period (Barr and Durchholz 1997)."""
    references = problem.comparison.references
    if max((len(rows) for rows in references), default=0) <= SEARCH_ABOVE:
        return references
    single = compare(problem.period, "contemporaneous", 1)
    batch = make_batch(model, problem.observations, single.evaluated, excluded=False)
    solve_with_search(batch, single.references, problem.roles, problem.returns)
    spans = np.zeros(len(problem.period), dtype=bool)
    spans[batch.rows] = efficient(batch)
    return [rows[spans[rows]] for rows in references]

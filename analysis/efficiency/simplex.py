"""Many small linear programmes at once: a two-phase revised simplex in numpy, all programmes one pivot a step.

Nothing here knows about efficiency. All programmes of a batch share their own columns, costs and right-hand side; they
differ by the scaling of the rows of the structural columns (one an observation, cost zero) and by which of those they
may use. With fewer than twenty rows and thousands of programmes a call to a solver costs more than the pivots, so the
pivots are done for all programmes together, and each pricing step is one matrix product. What this file cannot certify
is left to `fallback`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Groups = list[Array]

OPTIMAL, INFEASIBLE, FAILED, RUNNING = 0, 1, 2, 3
# Relative to the largest dual price, and what an imperfect basis may move the objective by.
DUAL_TOLERANCE = 1e-12
OBJECTIVE_TOLERANCE = 1e-9
PRIMAL_TOLERANCE = 1e-10
PIVOT_TOLERANCE = 1e-9
INFEASIBLE_ABOVE = 1e-6
# Tried in turn: the later ones are for data so alike that the first would mix them up.
PERTURBATIONS = (1e-7, 1e-12, 0.0)
REFACTOR_EVERY = 30
# Multiplications in one product: few enough to stay in the cache, and below the size at which OpenBLAS starts threads,
# which cost more than they bring for matrices this thin.
PRICE_BLOCK = 1 << 18


@dataclass(frozen=True)
class Programme:
    """minimise cost'z subject to (own columns, structural columns) z = right_hand_side, z >= 0.

    Attributes
    ----------
    own
        Columns that every unit has, rows x own; the last ``artificial`` of them are artificial variables.
    cost
        Of the own columns in phase two; structural columns cost nothing.
    start
        Own columns that form a feasible basis of phase one, one a row.
    artificial
        Number of artificial variables.
    right_hand_side
        (rows,), not negative.
    """

    own: Array
    cost: Array
    start: Array
    artificial: int
    right_hand_side: Array

    @property
    def first_artificial(self) -> int:
        """Index of the first artificial column."""
        return self.own.shape[1] - self.artificial

    @property
    def phase_costs(self) -> Array:
        """Costs of phase one and two, (2, own + 1); the last entry stands for every structural column."""
        costs = np.zeros((2, self.own.shape[1] + 1))
        costs[0, self.first_artificial : -1] = 1.0
        costs[1, : self.first_artificial] = self.cost[: self.first_artificial]
        return costs


@dataclass(frozen=True)
class Observations:
    """The structural columns.

    Attributes
    ----------
    columns
        One an observation, scaled to a size near one: observations x rows.
    factor
        What multiplies the rows of a structural column in the programme of each observation: observations x rows.
    size
        What the columns were divided by: (observations,).
    """

    columns: Array
    factor: Array
    size: Array


@dataclass
class Batch:
    """The programmes of a batch and where each stands.

    A basis entry below ``own`` is an own column, one above it is observation ``entry - own``. ``rows`` are the
    observations whose programmes these are, sorted by ``group``; ``excluded`` says whether a unit must leave itself
    out.
    """

    programme: Programme
    observations: Observations
    rows: Array
    group: Array
    excluded: bool
    basis: Array = field(init=False)
    phase: Array = field(init=False)
    state: Array = field(init=False)
    values: Array = field(init=False)
    duals: Array = field(init=False)

    def __post_init__(self) -> None:
        """Every programme starts from the basis of phase one."""
        units, rows = len(self.rows), self.programme.own.shape[0]
        self.basis = np.tile(self.programme.start, (units, 1))
        self.phase = np.zeros(units, dtype=np.intp)
        self.state = np.full(units, RUNNING)
        self.values = np.zeros((units, rows))
        self.duals = np.zeros((units, rows))

    @property
    def objective(self) -> Array:
        """cost'z at the basis of each unit."""
        return np.einsum("ur,ur->u", self.basic_costs(np.arange(len(self.rows))), self.values)

    def basic_costs(self, units: Array) -> Array:
        """Costs of the basic variables of some units in the phase each is in, units x rows."""
        costs = self.programme.phase_costs
        return costs[self.phase[units][:, None], np.minimum(self.basis[units], costs.shape[1] - 1)]

    def basis_matrices(self, units: Array) -> Array:
        """Basis matrices of some units, units x rows x rows."""
        own = self.programme.own.shape[1]
        basis = self.basis[units]
        structural = basis >= own
        picked = self.programme.own.T[np.where(structural, 0, basis)]
        position = np.where(structural, basis - own, 0)
        scaled = self.observations.columns[position] * self.observations.factor[self.rows[units]][:, None, :]
        return np.where(structural[:, :, None], scaled, picked).transpose(0, 2, 1)


def _perturbed(programme: Programme, perturbation: float) -> Array:
    """A little more on each row, so that no two ratios tie; the golden ratio keeps the amounts apart.

    Rows that start with an artificial variable are equations with no slack to take the change up: they stay.
    """
    steps = 1.0 + np.modf(0.6180339887498949 * np.arange(1, len(programme.right_hand_side) + 1))[0]
    return programme.right_hand_side + perturbation * np.where(programme.start < programme.first_artificial, steps, 0.0)


def price(batch: Batch, units: Array, duals: Array, candidates: Groups) -> tuple[Array, Array]:
    """The least reduced cost among each unit's candidates and the observation that has it.

    Parameters
    ----------
    batch, units
        The programmes, and positions in the batch, ascending (so that groups are contiguous).
    duals
        One row a unit in ``units``: units x rows.
    candidates
        For each group the observations that may enter, ascending.

    Returns
    -------
    tuple
        Reduced costs (units,) and observations (units,); +inf and -1 where a group has no candidate.
    """
    rows = batch.rows[units]
    weights = -duals * batch.observations.factor[rows]
    least = np.full(len(units), np.inf)
    entering = np.full(len(units), -1)
    bounds = np.searchsorted(batch.group[units], np.arange(len(candidates) + 1))
    for group, candidate in enumerate(candidates):
        low, high = bounds[group], bounds[group + 1]
        if low == high or len(candidate) == 0:
            continue
        columns = np.ascontiguousarray(batch.observations.columns[candidate].T)
        step = max(1, PRICE_BLOCK // columns.size)
        for first in range(low, high, step):
            block = slice(first, min(first + step, high))
            reduced = weights[block] @ columns
            if batch.excluded:
                place = np.minimum(np.searchsorted(candidate, rows[block]), len(candidate) - 1)
                own = np.flatnonzero(candidate[place] == rows[block])
                reduced[own, place[own]] = np.inf
            best = reduced.argmin(axis=1)
            least[block] = reduced[np.arange(len(best)), best]
            entering[block] = candidate[best]
    return least, entering


def dual_tolerance(duals: Array) -> Array:
    """How negative a reduced cost may be by rounding alone: (units,)."""
    return DUAL_TOLERANCE * np.maximum(1.0, np.abs(duals).max(axis=1, initial=0.0))


def _entering_column(batch: Batch, units: Array, entering: Array) -> Array:
    own = batch.programme.own.shape[1]
    structural = entering >= own
    scaled = (
        batch.observations.columns[np.where(structural, entering - own, 0)]
        * batch.observations.factor[batch.rows[units]]
    )
    return np.where(structural[:, None], scaled, batch.programme.own.T[np.where(structural, 0, entering)])


def _choose_entering(batch: Batch, units: Array, duals: Array, candidates: Groups) -> tuple[Array, Array]:
    """The column with the least reduced cost, own or structural; artificial variables never come back."""
    programme = batch.programme
    least, observation = price(batch, units, duals, candidates)
    entering = observation + programme.own.shape[1]
    live = programme.first_artificial
    reduced = programme.phase_costs[batch.phase[units], :live] - np.einsum("ur,rk->uk", duals, programme.own[:, :live])
    best = reduced.argmin(axis=1)
    value = reduced[np.arange(len(best)), best]
    own_wins = value <= least
    return np.where(own_wins, value, least), np.where(own_wins, best, entering)


def _leaving_row(values: Array, direction: Array) -> tuple[Array, Array]:
    """Ratio test after Harris (1973): among rows within a hair of the least ratio, the largest pivot."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(direction > PIVOT_TOLERANCE, values / direction, np.inf)
        relaxed = np.where(direction > PIVOT_TOLERANCE, (values + 1e-12) / direction, np.inf).min(axis=1)
    pivot = np.where(ratio <= relaxed[:, None], direction, -np.inf).argmax(axis=1)
    return pivot, ratio[np.arange(len(pivot)), pivot]


def _factorise(batch: Batch, units: Array) -> Array:
    matrices = batch.basis_matrices(units)
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        inverse = np.full_like(matrices, np.nan)
        for position, matrix in enumerate(matrices):
            if np.linalg.matrix_rank(matrix) == len(matrix):
                inverse[position] = np.linalg.inv(matrix)
        return inverse


def _pivot(inverse: Array, values: Array, direction: Array, row: Array) -> None:
    """Exchange one basic variable in every unit, in place."""
    every = np.arange(len(row))
    pivot = direction[every, row]
    scaled_row = inverse[every, row] / pivot[:, None]
    step = np.maximum(values[every, row] / pivot, 0.0)
    inverse -= direction[:, :, None] * scaled_row[:, None, :]
    inverse[every, row] = scaled_row
    values -= direction * step[:, None]
    np.maximum(values, 0.0, out=values)
    values[every, row] = step


def _run(batch: Batch, units: Array, candidates: Groups, limit: int, perturbation: float) -> None:
    """Pivot the given units until each is optimal over its candidates, infeasible, or out of patience."""
    programme = batch.programme
    right_hand_side = _perturbed(programme, perturbation)
    own = programme.own.shape[1]
    active = units
    inverse = _factorise(batch, active)
    values = np.maximum(inverse @ right_hand_side, 0.0)
    for iteration in range(limit):
        if len(active) == 0:
            return
        if iteration and iteration % REFACTOR_EVERY == 0:
            inverse = _factorise(batch, active)
            values = np.maximum(inverse @ right_hand_side, 0.0)
        basis = batch.basis[active]
        artificial = (basis >= programme.first_artificial) & (basis < own)
        batch.phase[active[~artificial.any(axis=1)]] = 1
        duals = np.einsum("ur,urs->us", batch.basic_costs(active), inverse)
        least, entering = _choose_entering(batch, active, duals, candidates)
        direction = np.einsum("urs,us->ur", inverse, _entering_column(batch, active, entering))
        row, ratio = _leaving_row(values, direction)
        optimal = ~(least < -dual_tolerance(duals))
        broken = ~np.isfinite(duals).all(axis=1) | (~optimal & ~np.isfinite(ratio))
        batch.state[active[optimal]] = OPTIMAL
        batch.state[active[broken]] = FAILED
        go = ~(optimal | broken)
        if not go.all():
            active, inverse, values = active[go], inverse[go], values[go]
            direction, row, entering = direction[go], row[go], entering[go]
        _pivot(inverse, values, direction, row)
        batch.basis[active, row] = entering
    batch.state[active] = FAILED


def _is_sound(batch: Batch, units: Array, values: Array, duals: Array) -> Array:
    """Basic solutions that are not negative and solve their equations, up to what cannot move the objective."""
    matrices = batch.basis_matrices(units)
    residual = np.abs(np.einsum("urs,us->ur", matrices, values) - batch.programme.right_hand_side)
    negative = np.maximum(-values, 0.0)
    violation = residual + np.einsum("urs,us->ur", np.abs(matrices), negative)
    moved = np.einsum("ur,ur->u", np.abs(duals), violation)
    size = np.maximum(1.0, np.abs(values).max(axis=1))
    objective = np.einsum("ur,ur->u", batch.basic_costs(units), values)
    small = (negative.max(axis=1) <= PRIMAL_TOLERANCE * size) & (residual.max(axis=1) <= PRIMAL_TOLERANCE * size)
    return small & (moved <= OBJECTIVE_TOLERANCE * np.maximum(1.0, np.abs(objective)))


def certify(batch: Batch, units: Array, candidates: Groups) -> Array:
    """Solve each unit's basis afresh, without the perturbation, and check it; returns the units that need more pivots.

    Sets ``values`` and ``duals``. A unit stays OPTIMAL only if its basic solution is not negative, solves its equations
    and no candidate has a negative reduced cost, all of it up to what can move the objective by 1e-9; a phase one that
    ends clearly above zero is INFEASIBLE; all else is FAILED.
    """
    if len(units) == 0:
        return units
    inverse = _factorise(batch, units)
    values = inverse @ batch.programme.right_hand_side
    duals = np.einsum("ur,urs->us", batch.basic_costs(units), inverse)
    batch.values[units], batch.duals[units] = np.maximum(values, 0.0), duals
    sound = _is_sound(batch, units, values, duals)
    batch.state[units[~sound]] = FAILED
    units, duals = units[sound], duals[sound]
    least, _ = _choose_entering(batch, units, duals, candidates)
    done = least >= -10 * dual_tolerance(duals)
    reach = np.maximum(1.0, batch.values[units].max(axis=1, initial=0.0))
    objective = batch.objective[units]
    close = -least * reach <= OBJECTIVE_TOLERANCE * np.maximum(1.0, np.abs(objective))
    first_phase = batch.phase[units] == 0
    batch.state[units[done & close]] = OPTIMAL
    batch.state[units[done & first_phase & (objective > INFEASIBLE_ABOVE)]] = INFEASIBLE
    batch.state[units[done & first_phase & (objective <= INFEASIBLE_ABOVE)]] = FAILED
    batch.state[units[done & ~close]] = FAILED
    return units[~done]


def solve(batch: Batch, units: Array, candidates: Groups, limit: int | None = None) -> None:
    """Bring some units of the batch to optimality over their candidates, from wherever their bases stand.

    Parameters
    ----------
    batch
        Changed in place: ``basis``, ``phase``, ``state``, ``values`` (of the basic variables) and ``duals``.
    units
        Positions in the batch, ascending.
    candidates
        For each group the observations that may enter, ascending.
    limit
        Pivots a unit may take before it is left to the solver; by default 60 a row.
    """
    limit = 60 * batch.programme.own.shape[0] if limit is None else limit
    for perturbation in PERTURBATIONS:
        todo = units
        for _ in range(3):
            _run(batch, todo, candidates, limit, perturbation)
            todo = certify(batch, todo[batch.state[todo] != FAILED], candidates)
        batch.state[todo] = FAILED
        units = units[batch.state[units] == FAILED]
        if len(units) == 0:
            return
        batch.basis[units], batch.phase[units] = batch.programme.start, 0

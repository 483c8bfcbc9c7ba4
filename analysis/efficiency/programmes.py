"""The linear programme of each model, for one unit whose own data have been scaled to one. No data and no solving here.

Rows: one an input, good output and bad output, then one for returns to scale (unless constant), last the normalisation.
The row of a good output is multiplied by -1, so that in every row less is better. A structural column is an
observation's data divided by the evaluated unit's. With t and Lambda = t lambda, S = t s of Charnes and Cooper (1962)
every model is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.efficiency.simplex import Array, Programme

RETURNS = ("crs", "vrs", "nirs", "ndrs")
ORIENTATIONS = ("none", "input", "output")


@dataclass(frozen=True)
class Roles:
    """How many inputs, good outputs and bad outputs there are, in the order of the rows."""

    inputs: int
    outputs: int
    bad_outputs: int

    @property
    def signs(self) -> Array:
        """+1 where less is better, -1 for good outputs: (data rows,)."""
        return np.repeat([1.0, -1.0, 1.0], [self.inputs, self.outputs, self.bad_outputs])

    def mask(self, *, inputs: bool = False, outputs: bool = False, bad_outputs: bool = False) -> Array:
        """True on the rows of the roles asked for: (data rows,)."""
        return np.repeat([inputs, outputs, bad_outputs], [self.inputs, self.outputs, self.bad_outputs])


@dataclass(frozen=True)
class Model:
    """A programme with what is needed to read its solution.

    Attributes
    ----------
    programme
        What is solved.
    scaling
        Own column of t, by which slacks and intensities are divided.
    itself
        Own column that stands for the evaluated unit's own observation, or -1.
    slacks
        Own column of the slack of each data row, -1 where the model has none: (data rows,).
    """

    programme: Programme
    scaling: int
    itself: int
    slacks: Array


class _Columns:
    """Collects own columns by name, and closes with the artificial variables."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: list[Array] = []
        self.costs: list[float] = []

    def add(self, column: Array, cost: float = 0.0) -> int:
        self.columns.append(column)
        self.costs.append(cost)
        return len(self.columns) - 1

    def unit(self, row: int | np.integer, value: float = 1.0) -> Array:
        column = np.zeros(self.rows)
        column[row] = value
        return column

    def close(self, start: Array) -> Programme:
        """Rows without a starting column (-1) get an artificial variable."""
        start = start.copy()
        missing = np.flatnonzero(start < 0)
        for row in missing:
            start[row] = self.add(self.unit(row))
        normalisation = self.unit(self.rows - 1)
        return Programme(np.array(self.columns).T, np.array(self.costs), start, len(missing), normalisation)


def sbm_weights(roles: Roles, orientation: str) -> tuple[Array, Array]:
    """What a relative slack of each data row adds to the mean in the numerator and in the denominator of the score.

    Non-oriented: 1/m on inputs above, 1/(q1+q2) on good and bad outputs below. Input orientation keeps only the
    numerator, output orientation only the denominator.
    """
    above = roles.mask(inputs=True) / roles.inputs
    below = roles.mask(outputs=True, bad_outputs=True) / (roles.outputs + roles.bad_outputs)
    return above * (orientation != "output"), below * (orientation != "input")


def _returns_row(columns: _Columns, returns: str) -> int:
    """The slack of the returns-to-scale row that can start a basis, or -1; adds the slack of ndrs on the way."""
    row = columns.rows - 2
    if returns == "nirs":
        return columns.add(columns.unit(row))
    if returns == "ndrs":
        columns.add(columns.unit(row, -1.0))
    return -1


def _row_count(roles: Roles, returns: str) -> int:
    return roles.inputs + roles.outputs + roles.bad_outputs + (returns != "crs") + 1


def _scaling_column(columns: _Columns, on_data: Array, returns: str) -> Array:
    """Column of t: what the evaluated unit's own data are multiplied by."""
    column = np.zeros(columns.rows)
    column[: len(on_data)] = on_data
    if returns != "crs":
        column[-2] = -1.0
    column[-1] = 1.0
    return column


def sbm(roles: Roles, returns: str, orientation: str) -> Model:
    """Slacks-based measure: minimise t - sum above_i S_i subject to t + sum below_i S_i = 1, data rows X Lambda + S = t
    x.

    Tone (2001), equations 6 to 12; with bad outputs Tone (2004). The unit's own observation is an own column as well,
    so that a frontier of any other observations leaves the programme feasible.
    """
    above, below = sbm_weights(roles, orientation)
    columns = _Columns(_row_count(roles, returns))
    data_rows = len(roles.signs)
    slacks = np.empty(data_rows, dtype=np.intp)
    for row in range(data_rows):
        slack = columns.unit(row)
        slack[-1] = below[row]
        slacks[row] = columns.add(slack, -above[row])
    scaling = columns.add(_scaling_column(columns, -roles.signs, returns), 1.0)
    own = -columns.columns[scaling]
    own[-1] = 0.0
    itself = columns.add(own)
    start = np.full(columns.rows, -1)
    start[:data_rows] = slacks
    if returns != "crs":
        start[-2] = _returns_row(columns, returns)
    return Model(columns.close(start), scaling, itself, slacks)


def super_sbm(roles: Roles, returns: str, orientation: str) -> Model:
    """Super-efficiency SBM: minimise t + sum above_i S_i subject to t - sum below_i S_i = 1, data rows X Lambda - S <=
    t x.

    Tone (2002), equations 15 to 17, with bad outputs as in the public function's docstring. Rows that the orientation
    does not penalise have no slack: the others must reach them.
    """
    above, below = sbm_weights(roles, orientation)
    columns = _Columns(_row_count(roles, returns))
    data_rows = len(roles.signs)
    slacks = np.full(data_rows, -1)
    for row in np.flatnonzero(above + below > 0):
        slack = columns.unit(row, -1.0)
        slack[-1] = -below[row]
        slacks[row] = columns.add(slack, above[row])
    start = np.full(columns.rows, -1)
    start[:data_rows] = [columns.add(columns.unit(row)) for row in range(data_rows)]
    scaling = columns.add(_scaling_column(columns, -roles.signs, returns), 1.0)
    if returns != "crs":
        start[-2] = _returns_row(columns, returns)
    return Model(columns.close(start), scaling, -1, slacks)


def radial(roles: Roles, returns: str, orientation: str) -> Model:
    """CCR (Charnes, Cooper and Rhodes 1978) and BCC (Banker, Charnes and Cooper 1984).

    Input: minimise theta, inputs shrink together. Output: maximise phi, good outputs grow together (the objective is
    -phi). Bad outputs stay where they are: the reference point has no more of them.
    """
    signs = roles.signs
    moving = roles.mask(inputs=True) if orientation == "input" else roles.mask(outputs=True)
    columns = _Columns(_row_count(roles, returns))
    factor = np.zeros(columns.rows)
    factor[: len(signs)] = np.where(moving, -signs, 0.0)
    columns.add(factor, 1.0 if orientation == "input" else -1.0)
    start = np.full(columns.rows, -1)
    start[: len(signs)] = [columns.add(columns.unit(row)) for row in range(len(signs))]
    scaling = columns.add(_scaling_column(columns, np.where(moving, 0.0, -signs), returns))
    if returns != "crs":
        start[-2] = _returns_row(columns, returns)
    return Model(columns.close(start), scaling, -1, np.full(len(signs), -1))


def directional(roles: Roles, returns: str, moving: Array, weak: bool) -> Model:
    """Directional distance function: maximise beta along the unit's own data (the objective is -beta; beta may be
    negative).

    Chambers, Chung and Färe (1996); with bad outputs Chung, Färe and Grosskopf (1997). ``moving`` marks the data rows
    that move; ``weak`` makes the rows of bad outputs equations (weak disposability).
    """
    signs = roles.signs
    columns = _Columns(_row_count(roles, returns))
    step = np.zeros(columns.rows)
    step[: len(signs)] = moving
    columns.add(step, -1.0)
    columns.add(-step, 1.0)
    disposable = ~(roles.mask(bad_outputs=True) & weak)
    start = np.full(columns.rows, -1)
    start[: len(signs)] = [columns.add(columns.unit(row)) if disposable[row] else -1 for row in range(len(signs))]
    scaling = columns.add(_scaling_column(columns, -signs, returns))
    if returns != "crs":
        start[-2] = _returns_row(columns, returns)
    return Model(columns.close(start), scaling, -1, np.full(len(signs), -1))

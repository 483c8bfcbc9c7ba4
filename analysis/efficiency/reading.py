"""From a solved batch back to economics: slacks, dual prices, peers, and the frozen result. No solving here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.efficiency.data import Measured
from analysis.efficiency.programmes import Model
from analysis.efficiency.result import Efficiency
from analysis.efficiency.simplex import OPTIMAL, Array, Batch

POSITIVE = 1e-12


@dataclass(frozen=True)
class Reading:
    """The solution of a batch, one row an observation in the programme's order of columns; missing where it has none.

    Attributes
    ----------
    objective
        Of the programme: (observations,).
    slack
        Relative to the unit's own data: observations x data rows.
    prices
        Dual prices per unit of the data divided by the unit's own data: observations x data rows; negative only for a
        bad output that is weakly disposable.
    peers
        Columns ``unit``, ``peer`` (observations) and ``weight`` (lambda).
    """

    objective: Array
    slack: Array
    prices: Array
    peers: pd.DataFrame


def read(batch: Batch, model: Model) -> Reading:
    """Undo the Charnes-Cooper change of variables (Lambda = t lambda, S = t s) for every unit that was solved."""
    observations, data_rows = len(batch.observations.columns), len(model.slacks)
    held = np.flatnonzero(batch.state == OPTIMAL)
    level = _own_values(batch, held)
    # Where t vanishes by rounding (data many orders of magnitude apart), slacks and peers cannot be told: no score.
    held, level = held[level[:, model.scaling] > POSITIVE], level[level[:, model.scaling] > POSITIVE]
    rows, scaling = batch.rows[held], level[:, model.scaling]
    relative = np.where(model.slacks >= 0, level[:, model.slacks], 0.0) / scaling[:, None]
    slack = np.full((observations, data_rows), np.nan)
    slack[rows] = np.where(relative > POSITIVE, relative, 0.0)
    objective = np.full(observations, np.nan)
    objective[rows] = batch.objective[held]
    prices = np.full((observations, data_rows), np.nan)
    # A row with free disposal has a dual that is not positive, because less is better in every row.
    prices[rows] = 0.0 - batch.duals[held, :data_rows]
    return Reading(objective, slack, prices, _peers(batch, model, held, level))


def _own_values(batch: Batch, units: Array) -> Array:
    """Values of the own columns of some units, zero where they are not basic: units x own."""
    own = batch.programme.own.shape[1]
    basis = batch.basis[units]
    level = np.zeros((len(units), own))
    unit, slot = np.nonzero(basis < own)
    level[unit, basis[unit, slot]] = batch.values[units][unit, slot]
    return level


def _peers(batch: Batch, model: Model, held: Array, level: Array) -> pd.DataFrame:
    own = batch.programme.own.shape[1]
    rows, basis, values = batch.rows[held], batch.basis[held], batch.values[held]
    unit, slot = np.nonzero((basis >= own) & (values > POSITIVE))
    peer = basis[unit, slot] - own
    # The intensity of a structural column is measured against the sizes of the peer and of the unit.
    size = batch.observations.size
    weight = values[unit, slot] * size[rows[unit]] / size[peer] / level[unit, model.scaling]
    units, peers, weights = rows[unit], peer, weight
    if model.itself >= 0:
        itself = level[:, model.itself] / level[:, model.scaling]
        present = itself > POSITIVE
        units = np.concatenate([units, rows[present]])
        peers = np.concatenate([peers, rows[present]])
        weights = np.concatenate([weights, itself[present]])
    table = pd.DataFrame({"unit": units, "peer": peers, "weight": weights})
    return table.groupby(["unit", "peer"], sort=True)["weight"].sum().reset_index()


@dataclass(frozen=True)
class Scores:
    """What a model found, one row a usable unit in the order of ``Measured.order``, columns as in ``Measured.columns``.

    ``first`` and ``last`` are columns of the table before and after the slacks; ``movement`` is the projection less the
    data, relative to the unit's own data.
    """

    first: Mapping[str, Array]
    last: Mapping[str, Array]
    slack: Array | None
    movement: Array
    prices: Array
    peers: pd.DataFrame


def _placed(measured: Measured, values: Array, empty: object, dtype: Any) -> Array:
    placed = np.full((len(measured.complaint), *values.shape[1:]), empty, dtype=dtype)
    placed[measured.order] = values
    return placed


def _notes(measured: Measured) -> tuple[str, ...]:
    notes = []
    complaints = int((measured.complaint != "").sum())
    if complaints:
        notes.append(f"{complaints} units have no score and serve in no reference set; their status says why.")
    if len(measured.order) > 1:
        values = measured.values[measured.order]
        constant = np.flatnonzero((values == values[0]).all(axis=0))
        notes += [f"Column {measured.columns[place]!r} is the same for every unit." for place in constant]
    return tuple(notes)


def tidy(index: pd.Index, measured: Measured, scores: Scores, options: Mapping[str, object]) -> Efficiency:
    """The frozen result, indexed like the data."""
    columns = measured.columns
    table = pd.DataFrame(index=index)
    for name, values in scores.first.items():
        table[name] = _placed(measured, values, False if values.dtype == bool else np.nan, values.dtype)
    if scores.slack is not None:
        slack = _placed(measured, scores.slack, np.nan, float) * measured.values
        table[[f"slack_{column}" for column in columns]] = slack
    for name, text in scores.last.items():
        placed = _placed(measured, text, "", object)
        table[name] = np.where(measured.complaint == "", placed, measured.complaint)
    projection = measured.values * (1.0 + _placed(measured, scores.movement, np.nan, float))
    price = _placed(measured, scores.prices, np.nan, float) / np.where(measured.values > 0, measured.values, np.nan)
    prices = pd.DataFrame(price, index=index, columns=pd.Index([f"price_{name}" for name in columns]))
    with np.errstate(divide="ignore", invalid="ignore"):
        for place in range(measured.roles.inputs + measured.roles.outputs, len(columns)):
            ratio = price[:, place] / price[:, measured.roles.inputs]
            prices[f"shadow_{columns[place]}"] = np.where(np.isfinite(ratio), ratio, np.nan)
    unit = measured.order[scores.peers["unit"].to_numpy()]
    peer = measured.order[scores.peers["peer"].to_numpy()]
    peers = pd.DataFrame(
        {"unit": index[unit], "peer": index[peer], "weight": scores.peers["weight"].to_numpy()}
    ).assign(unit_row=unit, peer_row=peer)
    peers = peers.sort_values(["unit_row", "weight", "peer_row"], ascending=[True, False, True], ignore_index=True)
    frame = pd.DataFrame(projection, index=index, columns=pd.Index(columns))
    return Efficiency(table, peers, frame, prices, dict(options), _notes(measured))

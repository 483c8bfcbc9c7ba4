"""Several outcomes, one treatment: p values that allow for having looked more than once (Romano and Wolf 2005)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did.regression import design_matrix
from analysis.estimation_sample import as_key
from analysis.fixed_effects import FixedEffects
from analysis.results import CannotEstimate


@dataclass(frozen=True)
class StepDown:
    """Adjusted p values of one treatment's effects on several outcomes.

    Attributes
    ----------
    table
        Indexed by outcome, in the order asked for: ``estimate``, ``se``, ``t`` (by unit, without small-sample
        factors), ``p`` (bootstrap, of the outcome alone), ``p_adjusted`` (step-down, of all outcomes together).
    draws : bootstrap samples.
    """

    table: pd.DataFrame
    draws: int

    def summary(self) -> str:
        """The table as text, for people."""
        return f"{self.table.to_string()}\n{self.draws} draws"


def romano_wolf(
    data: pd.DataFrame,
    outcomes: Mapping[str, Sequence[str]],
    treatment: str,
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    draws: int = 999,
    seed: int = 0,
) -> StepDown:
    """Step-down p values that control the chance of any false finding among the outcomes.

    Each regression is the two-way one. The bootstrap is the score wild cluster bootstrap with the null imposed (Kline
    and Santos 2012): a unit's score, the sum over its rows of residualised treatment x residual under no effect, is
    multiplied by one Rademacher sign a unit and draw, the same for all outcomes, so the joint distribution of the
    statistics is kept. The step-down is Romano and Wolf's (2005, algorithm 4.1; 2016 for the p values).

    Parameters
    ----------
    outcomes : outcome -> its controls.
    treatment : a 0/1 column.
    draws, seed : of the bootstrap.

    Raises
    ------
    ValueError
        No outcome; a treatment that the effects or controls of a regression absorb.
    """
    if not outcomes:
        raise ValueError("There is no outcome to test.")
    scores, rows = [], []
    for outcome, controls in outcomes.items():
        score, estimate, se = _scores(data, outcome, treatment, controls, unit, time, fixed_effects)
        scores.append(score)
        rows.append((estimate, se))
    units = pd.Index(as_key(data[unit]).unique()).sort_values()
    matrix = pd.concat(scores, axis=1).reindex(units).fillna(0.0).to_numpy()  # (units, outcomes)
    length = np.sqrt((matrix**2).sum(axis=0))
    signs = np.random.default_rng(seed).integers(0, 2, (draws, len(matrix))) * 2.0 - 1.0
    null = np.abs(signs @ matrix) / length
    actual = np.abs(matrix.sum(axis=0)) / length
    alone = (1 + (null >= actual * (1 - 1e-9)).sum(axis=0)) / (1 + draws)
    table = pd.DataFrame(rows, columns=["estimate", "se"], index=pd.Index(list(outcomes), name="outcome"))
    table["t"] = table["estimate"] / table["se"]
    table["p"], table["p_adjusted"] = alone, _step_down(actual, null)
    return StepDown(table, draws)


def _scores(
    data: pd.DataFrame,
    outcome: str,
    treatment: str,
    controls: Sequence[str],
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str],
) -> tuple[pd.Series, float, float]:
    """Scores under no effect, indexed by unit; the estimate and its clustered error."""
    design = design_matrix(
        data, outcome, [treatment, *controls], unit=unit, time=time, fixed_effects=fixed_effects, cluster=unit
    )
    if treatment in design.not_identified:
        raise CannotEstimate(f"The effect of {treatment!r} on {outcome!r}: {design.not_identified[treatment]}")
    place = design.terms.index(treatment)
    effects = design.effects if isinstance(design.effects, FixedEffects) else FixedEffects([], len(design.raw_y))
    projection = effects.extended(np.delete(design.raw_x, place, axis=1))
    d, y = projection.residualise(design.raw_x[:, place]), projection.residualise(design.raw_y)
    estimate = float(d @ y / (d @ d))
    units = design.data[unit]
    score = pd.Series(d * y).groupby(units).sum()
    left = pd.Series(d * (y - estimate * d)).groupby(units).sum().to_numpy()
    return score, estimate, float(np.sqrt((left**2).sum()) / (d @ d))


def _step_down(actual: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Adjusted p values (outcomes,) from statistics (outcomes,) and their draws (draws, outcomes)."""
    order = np.argsort(-actual, kind="stable")
    adjusted, largest = np.empty(len(actual)), 0.0
    for step, place in enumerate(order):
        rest = null[:, order[step:]].max(axis=1)
        p = (1 + (rest >= actual[place] * (1 - 1e-9)).sum()) / (1 + len(null))
        largest = max(largest, float(p))
        adjusted[place] = largest
    return adjusted

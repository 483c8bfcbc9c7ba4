"""How much of an effect goes through a mediator: the product of coefficients with a cluster bootstrap.

Every draw solves the same normal equations with other weights on the units, so that a thousand draws cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.did.regression import design_matrix, fit
from analysis.estimation_sample import codes_of, effect_columns, unit_order
from analysis.results import CannotEstimate, Estimate

#: Columns of dummies that the normal equations of one unit may hold.
WIDEST = 400


@dataclass(frozen=True)
class Mediation:
    """Direct, indirect and total effect.

    Attributes
    ----------
    table
        Indexed by ``direct``, ``indirect``, ``total`` and ``share`` (indirect over total): ``estimate``, ``se``
        (standard deviation of the draws), ``p`` (two-sided, from the draws) and the percentile interval ``low``,
        ``high``.
    draws
        One row a draw: ``direct``, ``indirect``, ``total``.
    first, second
        The regression of the mediator on treatment, and of the outcome on treatment and mediator.
    notes
        What was done on the way, one sentence each.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    first: Estimate
    second: Estimate
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The effects as text, for people."""
        return "\n".join([self.table.to_string(float_format=lambda value: f"{value:.6g}"), *self.notes])


def mediation(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    mediator: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    draws: int = 999,
    seed: int = 0,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    level: float = 0.95,
) -> Mediation:
    """Split the effect of ``treatment`` on ``y`` into what goes through ``mediator`` and the rest.

    mediator = a treatment + controls + effects; y = c' treatment + b mediator + controls + effects. The indirect effect
    is a b, the direct one c', the total their sum, which is the coefficient of y on treatment alone (Baron and Kenny
    1986; MacKinnon, Lockwood and Williams 2004 for the interval). Units are drawn with all their rows, with
    replacement; p is twice the smaller share of draws on either side of zero, with the add-one rule. The split is
    causal only if nothing moves mediator and outcome together that the controls and effects leave; a note says so.

    Raises
    ------
    ValueError
        As `two_way`; fixed effects without "unit", or with more than a few hundred levels beside it; a treatment or
        mediator that cannot be identified; fewer than 99 draws.
    """
    if draws < 99:
        raise ValueError(f"A percentile interval needs at least 99 draws; {draws} were asked for.")
    effects = effect_columns(fixed_effects, unit=unit, time=time)
    if unit not in effects:
        raise CannotEstimate("The bootstrap draws units and sweeps out their means: fixed_effects must hold 'unit'.")
    options: dict[str, Any] = {"unit": unit, "time": time, "fixed_effects": fixed_effects, "cluster": "unit"}
    # the mediator's missing rows leave both equations, so that the total is the sum of its parts
    whole = design_matrix(data, y, [treatment, mediator, *controls], **options)
    for name in (treatment, mediator):
        if name in whole.not_identified:
            raise CannotEstimate(f"{name!r} has no estimate: {whole.not_identified[name]}")
    frame, second = whole.data, fit(whole)
    first = fit(design_matrix(frame, mediator, [treatment, *controls], **options))
    kept = [name for name in controls if name in whole.terms]
    units = unit_order(frame, unit, [time, treatment, y, mediator, *kept])
    others = [column for column in effects if column != unit]
    dummies = [np.eye(int(codes.max()) + 1)[codes][:, 1:] for codes in (codes_of(frame[name]) for name in others)]
    width = sum(block.shape[1] for block in dummies)
    if width > WIDEST:
        raise CannotEstimate(f"The effects beside 'unit' have {width} levels; the bootstrap takes {WIDEST} at most.")
    columns = np.column_stack([frame[[treatment, mediator, y, *kept]].to_numpy(float), *dummies])
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300) * (scale := np.sqrt(len(columns)))
    length = np.linalg.norm(frame[[treatment, mediator, y]].to_numpy(float), axis=0) / scale
    moments = _moments(columns, units)
    generator = np.random.default_rng(seed)
    number = len(moments)
    weights = np.vstack([np.ones(number), generator.multinomial(number, np.full(number, 1 / number), size=draws)])
    paths = _paths(weights, moments)
    # back from scaled columns: a and b are in units of mediator over treatment and outcome over mediator
    into, out, direct = (
        paths[:, 0] * length[1] / length[0],
        paths[:, 1] * length[2] / length[1],
        paths[:, 2] * length[2] / length[0],
    )
    effect = pd.DataFrame({"direct": direct, "indirect": into * out, "total": direct + into * out})
    actual, drawn = effect.iloc[0], effect.iloc[1:].reset_index(drop=True).rename_axis("draw")
    usable = drawn.dropna()
    notes = [
        *whole.notes,
        "The indirect effect is causal only if nothing unobserved moves both mediator and outcome; no test shows that.",
    ]
    if len(usable) < draws:
        notes.append(f"{draws - len(usable)} draws do not count: no treated unit, or no variation, was drawn.")
    shares = usable["indirect"] / usable["total"]
    all_draws = usable.assign(share=shares)
    values = {**actual, "share": actual["indirect"] / actual["total"]}
    table = pd.DataFrame(
        {
            name: {
                "estimate": value,
                "se": all_draws[name].std(),
                "p": _p(all_draws[name].to_numpy()),
                "low": all_draws[name].quantile(0.5 - level / 2),
                "high": all_draws[name].quantile(0.5 + level / 2),
            }
            for name, value in values.items()
        }
    ).T.rename_axis("effect")
    return Mediation(table, drawn, first, second, tuple(notes))


def _moments(columns: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Cross-products (units, p, p) of the columns (n, p), each less its mean within the unit."""
    order = np.argsort(units, kind="stable")
    bounds = np.flatnonzero(np.diff(units[order])) + 1
    blocks = np.split(columns[order], bounds)
    return np.stack([(block - block.mean(axis=0)).T @ (block - block.mean(axis=0)) for block in blocks])


def _paths(weights: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Treatment -> mediator, mediator -> outcome, treatment -> outcome beside it, (draws, 3); nan where singular.

    Columns are treatment, mediator, outcome, then everything held constant.
    """
    p = moments.shape[1]
    flat = moments.reshape(len(moments), -1)
    found = np.full((len(weights), 3), np.nan)
    for draw, weight in enumerate(weights):
        m = (weight @ flat).reshape(p, p)
        left = _partialled(m)
        if left is None:
            continue
        treated, spread = left[0, 0], left[1, 1] - left[0, 1] ** 2 / left[0, 0]
        if spread <= 1e-12 * max(left[1, 1], 1e-300):
            continue
        into = left[0, 1] / treated
        out = (left[1, 2] - left[0, 1] * left[0, 2] / treated) / spread
        found[draw] = into, out, (left[0, 2] - out * left[0, 1]) / treated
    return found


def _partialled(m: np.ndarray) -> np.ndarray | None:
    """Cross-products (3, 3) of the first three columns less what the others explain; None without a treatment."""
    held = m[3:, 3:]
    left = m[:3, :3]
    if len(held):
        # dummies of a level that was not drawn are zero: the pseudo-inverse leaves them out
        left = left - m[:3, 3:] @ np.linalg.lstsq(held, m[3:, :3], rcond=1e-11)[0]
    return left if left[0, 0] > 1e-10 * max(m[0, 0], 1e-300) else None


def _p(values: np.ndarray) -> float:
    below, above = (1 + (values <= 0).sum()) / (1 + len(values)), (1 + (values >= 0).sum()) / (1 + len(values))
    return float(min(1.0, 2 * min(below, above)))

"""Treatments of different strength: the effect at each dose, and what one more unit of it adds.

diff-diff computes it; conventions and checks stand here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did._library import TIME, UNIT, Y, heard
from analysis.estimation_sample import codes_of, label, prepare
from analysis.results import CannotEstimate, inference_table


@dataclass(frozen=True)
class DoseEffects:
    """Effects by dose.

    Attributes
    ----------
    att, se
        The average effect on the treated, over the doses they have.
    slope, slope_se
        The average causal response: what one more unit of the dose adds, averaged over the treated.
    table
        One row a dose: ``dose``, ``estimate`` (effect at it), ``se``, ``t``, ``p``, ``low``, ``high``, ``slope``,
        ``slope_se``.
    n, units, treated_units
        Rows and units used.
    notes
        What the numbers rest on, one sentence each.
    """

    att: float
    se: float
    slope: float
    slope_se: float
    table: pd.DataFrame
    n: int
    units: int
    treated_units: int
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The effects as text, for people."""
        lines = [
            f"Average effect on the treated {self.att:.6g} ({self.se:.6g}); one more unit of the dose adds "
            f"{self.slope:.6g} ({self.slope_se:.6g})",
            self.table.to_string(index=False, float_format=lambda value: f"{value:.6g}"),
            f"n = {self.n}, {self.units} units, {self.treated_units} treated",
        ]
        return "\n".join([*lines, *self.notes])


def dose(
    data: pd.DataFrame,
    y: str,
    dose: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    degree: int = 1,
    at: Sequence[float] | None = None,
) -> DoseEffects:
    """Effects of a treatment whose strength differs between units, by Callaway, Goodman-Bacon and Sant'Anna (2024).

    ``dose`` is 0 until a unit is treated and its strength from then on; a unit's strength may not change. Treated units
    are compared with never treated ones; the effect at a dose is a spline of ``degree`` in it (1: a straight line),
    averaged over cohorts and times as the paper's event aggregation. The effect at a dose is causal under parallel
    trends; its slope needs the stronger form, that units of other doses would have moved alike with this one.

    Parameters
    ----------
    at
        Doses of the table, by default the deciles of those of the treated.

    Raises
    ------
    CannotEstimate
        No never-treated unit, or fewer different doses than the spline needs.
    ValueError
        A negative dose, a strength that changes or ends, bad columns or keys.
    """
    from diff_diff import ContinuousDiD

    sample = prepare(data, unit=unit, time=time, numeric=[y, dose, *controls, time])
    frame = sample.data
    value = frame[dose].to_numpy(float)
    if (value < 0).any():
        raise CannotEstimate(f"A dose is 0 or more; {dose!r} holds {value.min():g}.")
    positive = frame[value > 0]
    if positive.empty:
        raise CannotEstimate(f"No unit is treated: {dose!r} is 0 in all rows.")
    strength, first = positive.groupby(unit)[dose].agg(["min", "max"]), positive.groupby(unit)[time].min()
    start = frame[unit].map(first)
    constant = np.isclose(strength["min"].to_numpy(), strength["max"].to_numpy())
    changed = strength.index[~constant]
    ended = frame.loc[(frame[time] >= start) & (value == 0), unit]
    if len(changed) or len(ended):
        who = changed[0] if len(changed) else ended.iloc[0]
        raise CannotEstimate(
            f"{dose!r} of unit {label(who)} {'changes' if len(changed) else 'ends'}: this estimator takes a strength "
            "that a unit keeps once it is treated. Use two_way for one that changes."
        )
    size = frame[unit].map(strength["max"]).fillna(0.0)
    if (size > 0).all():
        raise CannotEstimate("Every unit is treated at some time: doses are compared with units never treated.")
    different = strength["max"].nunique()
    if different < degree + 1:
        raise CannotEstimate(f"The treated have {different} different doses; a spline of degree {degree} needs more.")
    names = [f"x{number}" for number in range(len(controls))]
    plain = pd.DataFrame(
        {
            Y: frame[y],
            UNIT: codes_of(frame[unit]),
            TIME: frame[time],
            "first": start.fillna(0.0),
            "dose": size,
            **{name: frame[control] for name, control in zip(names, controls, strict=True)},
        }
    )
    doses = np.quantile(strength["max"], np.linspace(0.1, 0.9, 9)) if at is None else np.asarray(at, dtype=float)
    estimator = ContinuousDiD(degree=degree, dvals=np.unique(doses))
    found, said = heard(lambda: estimator.fit(plain, Y, UNIT, TIME, "first", "dose", covariates=names or None))
    effect, response = found.dose_response_att, found.dose_response_acrt
    numbers = inference_table(
        [""] * len(effect.effects), np.asarray(effect.effects), np.diag(np.asarray(effect.se) ** 2), np.inf
    ).reset_index(drop=True)
    table = pd.concat([pd.DataFrame({"dose": effect.dose_grid}), numbers], axis=1)
    table = table.assign(slope=np.asarray(response.effects), slope_se=np.asarray(response.se))
    notes = (
        *sample.notes,
        *said,
        "The slope is causal only if units of different doses would have moved alike with the same dose.",
    )
    return DoseEffects(
        float(found.overall_att),
        float(found.overall_att_se),
        float(found.overall_acrt),
        float(found.overall_acrt_se),
        table,
        len(frame),
        int(frame[unit].nunique()),
        len(strength),
        notes,
    )

"""Randomisation inference for the estimators of staggered adoption: the same estimate under treatment dealt at random.

The two-way regression has its own, with one projection for all draws, in `placebo`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.did._staggered import StaggeredEffects
from analysis.did.adoption import prepare_adoption
from analysis.did.callaway_santanna import callaway_santanna
from analysis.did.extended_two_way import extended_two_way
from analysis.did.imputation import imputation
from analysis.did.local_projections import local_projections
from analysis.did.placebo import brought_forward, other_times
from analysis.did.stacked import stacked
from analysis.did.sun_abraham import sun_abraham
from analysis.estimation_sample import unit_order
from analysis.results import CannotEstimate

#: Estimators whose ``.att`` can be drawn again.
ESTIMATORS: dict[str, Callable[..., StaggeredEffects]] = {
    "callaway_santanna": callaway_santanna,
    "sun_abraham": sun_abraham,
    "imputation": imputation,
    "extended_two_way": extended_two_way,
    "stacked": stacked,
    "local_projections": local_projections,
}


@dataclass(frozen=True)
class Randomization:
    """An average effect, and where it lies among those of treatments dealt at random.

    Attributes
    ----------
    draws
        One row a draw, or in time a period: ``estimate``, ``se``, ``t`` (missing where there was no estimate).
    actual
        The result under the true treatment.
    p_value
        (1 + draws with |estimate| >= |actual|) / (1 + draws): exact if units were equally likely to adopt when.
    p_value_t
        The same with t statistics, which also holds approximately where only the average effect is zero.
    notes
        What was done on the way, one sentence each.
    """

    draws: pd.DataFrame
    actual: StaggeredEffects
    p_value: float
    p_value_t: float
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Rows of the estimate."""
        return self.actual.n

    @property
    def table(self) -> pd.DataFrame:
        """The test in one row."""
        estimate = self.draws["estimate"].dropna()
        row = {
            "actual": self.actual.att,
            "p_value": self.p_value,
            "p_value_t": self.p_value_t,
            "draws": len(estimate),
            "mean": estimate.mean(),
            "sd": estimate.std(),
        }
        return pd.DataFrame([row], index=pd.Index(["randomization"], name="test"))

    def summary(self) -> str:
        """The test as text, for people."""
        return "\n".join([self.table.to_string(float_format=lambda value: f"{value:.6g}"), *self.notes])


def randomization(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    estimator: str,
    draws: int = 199,
    seed: int = 0,
    kind: str = "space",
    **options: Any,
) -> Randomization:
    """Estimate again under adoption that did not happen: in space, in time or mixed, as `placebo` says.

    Every draw keeps how many units adopt when. The null is that treatment does nothing to any unit, and that any unit
    could have had any other's adoption (Fisher 1935; MacKinnon and Webb 2020 for differences-in-differences); p has the
    add-one rule. Draws depend on ``seed`` and the data, not on the order of rows or on what units are called. Each draw
    is a whole estimate: 199 of them take 199 times as long.

    Parameters
    ----------
    estimator
        One of "callaway_santanna", "sun_abraham", "imputation", "extended_two_way", "stacked", "local_projections".
    draws, seed
        How many times, and the seed of numpy's default generator; not used in time, where nothing is drawn.
    kind
        "space" deals the adoption times to the units, "mixed" deals them and draws each cohort's time, "time" brings
        adoption forward on rows before it.
    options
        Passed on to the estimator, such as ``control="not_yet"``.

    Raises
    ------
    ValueError
        An unknown estimator; and whatever the estimator raises on the true treatment.
    CannotEstimate
        No draw has an estimate; in time, no treated unit is seen for two periods before adoption.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is one of {', '.join(ESTIMATORS)}, not {estimator!r}.")
    if int(draws) != draws or draws < 1:
        raise ValueError(f"draws must be a whole number, at least 1; it is {draws!r}.")
    if kind not in ("space", "time", "mixed"):
        raise ValueError(f"kind is 'space', 'time' or 'mixed', not {kind!r}.")
    call = ESTIMATORS[estimator]
    keys: dict[str, Any] = {"unit": unit, "time": time, **options}
    actual = call(data, y, adoption, controls, **keys)
    extra = [options[name] for name in ("weights",) if options.get(name)]
    held = [options["cluster"]] if options.get("cluster", "unit") not in ("unit", unit) else []
    sample = prepare_adoption(data, adoption, unit=unit, time=time, numeric=[y, *controls, *extra], keys=held)
    frame = sample.data
    codes = unit_order(frame, unit, [time, adoption, y, *controls])
    if kind == "time":
        held_back = brought_forward(frame, adoption, unit, time)
        label = "period"
    else:
        true = np.full(int(codes.max()) + 1, np.inf)
        true[codes] = frame[adoption].fillna(np.inf).to_numpy()
        generator = np.random.default_rng(seed)
        dealt = np.column_stack([generator.permutation(true) for _ in range(int(draws))])
        if kind == "mixed":
            dealt = other_times(dealt, np.unique(frame[time].to_numpy())[1:], seed)
        held_back = (
            (draw, frame.assign(**{adoption: np.where(np.isinf(times[codes]), np.nan, times[codes])}))
            for draw, times in enumerate(dealt.T)
        )
        label = "draw"
    rows: dict[int, tuple[float, float]] = {}
    for number, moved in held_back:
        try:
            found = call(moved, y, adoption, controls, **keys)
            rows[number] = (found.att, found.se)
        except CannotEstimate:
            rows[number] = (np.nan, np.nan)
    if not rows:
        raise CannotEstimate("No treated unit is seen for two periods before adoption: nothing can be brought forward.")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se"]).rename_axis(label)
    table["t"] = table["estimate"] / table["se"].where(table["se"] > 0)
    known = table["estimate"].dropna()
    if known.empty:
        raise CannotEstimate(f"{estimator} has no estimate under any of {len(table)} treatments that did not happen.")
    notes = list(actual.notes)
    if len(known) < len(table):
        notes.append(f"{len(table) - len(known)} draws do not count: {estimator} has no estimate under them.")
    return Randomization(
        table, actual, _p_value(known, actual.att), _p_value(table["t"].dropna(), actual.att / actual.se), tuple(notes)
    )


def _p_value(drawn: pd.Series, actual: float) -> float:
    """(1 + draws at least as far from zero) / (1 + draws); a draw that repeats the true treatment counts as a tie."""
    return (1 + int((drawn.abs() >= abs(actual) * (1 - 1e-9)).sum())) / (1 + len(drawn))

"""The Goodman-Bacon decomposition: the two-way estimate as a weighted mean of comparisons of two cohorts.

Which comparisons carry the estimate, and how many of them use units already treated as controls. Estimators that avoid
those comparisons live elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.did.adoption import prepare_adoption, treatment_from_adoption
from analysis.estimation_sample import codes_of, label, require_varying
from analysis.fixed_effects import FixedEffects
from analysis.results import ROUNDING, CannotEstimate

EARLIER = "Earlier vs Later Treated"
LATER = "Later vs Earlier Treated"
UNTREATED = "Treated vs Untreated"
ALWAYS = "Later vs Always Treated"
BOTH = "Both Treated"
CONSTANT = "Always Treated vs Untreated"


@dataclass(frozen=True)
class Bacon:
    """A two-way estimate taken apart.

    Attributes
    ----------
    table
        One row a comparison: ``cohort`` (first treated time), ``control`` (first treated time, "never" or "always"),
        ``type``, ``weight`` and ``estimate``. Weights sum to one.
    by_type
        Indexed by ``type``: ``weight`` (sum) and ``estimate`` (weighted mean).
    overall
        The two-way estimate. Without controls it is the sum of weight x estimate; with controls it is
        omega x within + (1 - omega) x between.
    between
        The sum of weight x estimate over the table.
    omega, within
        With controls: the share of the treatment's residual variance that lies within cohorts, because controls differ
        between units of one cohort, and the estimate from that part. Without controls 0 and missing.
    """

    table: pd.DataFrame
    by_type: pd.DataFrame
    overall: float
    between: float
    omega: float
    within: float
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The decomposition as text, for people."""
        lines = [self.by_type.to_string(float_format=lambda value: f"{value:.6g}"), f"two-way {self.overall:.6g}"]
        if self.omega:
            lines.append(f"within cohorts {self.within:.6g} (weight {self.omega:.4g}), between {self.between:.6g}")
        return "\n".join([*lines, *self.notes])


def bacon(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
) -> Bacon:
    """Decompose the two-way estimate into comparisons of two cohorts (Goodman-Bacon 2021).

    Without controls every pair of treated cohorts gives two comparisons: the earlier with the later one before that
    adopts, and the later with the earlier one after that adopted (theorem 1, equations 7 and 10). With controls the
    residual of the treatment is first split into its cohort-by-time mean and the rest ("within"), and the mean into one
    comparison a pair (section V.B); such a comparison cannot be split in two. Type names are those of R's bacondecomp.

    Parameters
    ----------
    adoption
        First treated time, one value a unit, missing for never treated. Units that adopt after the last time are never
        treated here, those that adopt by the first are always treated and serve only as controls.

    Returns
    -------
    Bacon

    Raises
    ------
    ValueError
        Bad columns or keys, a unit with several adoption times, an unbalanced panel after missing values are dropped,
        a treatment that the unit and time effects absorb.
    """
    sample = prepare_adoption(data, adoption, unit=unit, time=time, numeric=[y, *controls])
    frame = sample.data
    _require_balanced(frame, unit, time, sample.notes)
    require_varying(frame, y)
    times = np.sort(frame[time].unique())
    units = frame[unit].nunique()
    cohort = _cohorts(frame[adoption].to_numpy().reshape(units, -1)[:, 0], times)
    treatment = treatment_from_adoption(frame[adoption], frame[time]).to_numpy()
    effects = FixedEffects([codes_of(frame[unit]), codes_of(frame[time])], len(frame))
    if not treatment.any():
        raise CannotEstimate(
            f"No unit is treated by {adoption!r} between {times[0]:g} and {times[-1]:g}: nothing to compare."
        )
    with_controls = effects.extended(frame[list(controls)].to_numpy(dtype=float).reshape(len(frame), -1))
    residual = with_controls.residualise(treatment)
    if residual @ residual <= ROUNDING * (treatment @ treatment):
        raise CannotEstimate(
            f"Unit and time effects{' and controls' if controls else ''} absorb the treatment of {adoption!r}: all "
            "units change at the same time, so no comparison is left."
        )
    outcome = frame[y].to_numpy()
    overall = float(residual @ outcome / (residual @ residual))
    share, means = _cohort_means(cohort, outcome.reshape(units, -1))
    notes = (*sample.notes, *_cohort_notes(cohort, frame[adoption].to_numpy().reshape(units, -1)[:, 0], times))
    if controls:
        table, omega, within = _with_controls(cohort, share, means, residual.reshape(units, -1), outcome)
    else:
        table, omega, within = _without_controls(times, share, means), 0.0, np.nan
    between = float((table["weight"] * table["estimate"]).sum())
    by_type = _by_type(table)
    return Bacon(table, by_type, overall, between, omega, within, notes)


def _require_balanced(frame: pd.DataFrame, unit: str, time: str, notes: Sequence[str]) -> None:
    counts = frame.groupby(unit, sort=True).size()
    times = frame[time].nunique()
    short = counts[counts < times]
    if len(short):
        raise CannotEstimate(
            f"The Bacon decomposition needs a balanced panel: {len(short)} of {len(counts)} units lack some of the "
            f"{times} values of {time!r}, the first {label(short.index[0])} with {short.iloc[0]}. Drop those units, or "
            f"fill the gaps. {' '.join(notes)}".rstrip()
        )


def _cohorts(adoption: np.ndarray, times: np.ndarray) -> np.ndarray:
    """First treated time of each unit (units,) as seen in the sample: inf for never, -inf for always."""
    cohort = np.where(np.isnan(adoption) | (adoption > times[-1]), np.inf, adoption)
    cohort = np.where(cohort <= times[0], -np.inf, cohort)
    inside = np.isfinite(cohort)
    # An adoption between two observed times shows from the next observed one on.
    cohort[inside] = times[np.searchsorted(times, cohort[inside])]
    return cohort


def _cohort_notes(cohort: np.ndarray, adoption: np.ndarray, times: np.ndarray) -> tuple[str, ...]:
    notes = []
    if (always := int((cohort == -np.inf).sum())) > 0:
        notes.append(f"{always} units are treated from {times[0]:g} or before: they serve as controls only.")
    if (late := int((adoption > times[-1]).sum())) > 0:
        notes.append(f"{late} units adopt after {times[-1]:g}: never treated within the sample.")
    return tuple(notes)


def _cohort_means(cohort: np.ndarray, values: np.ndarray) -> tuple[dict[float, float], dict[float, np.ndarray]]:
    """Share of units in each cohort, and its mean by time (times,), in order of adoption."""
    names = np.unique(cohort)
    share = {float(name): float((cohort == name).mean()) for name in names}
    return share, {float(name): values[cohort == name].mean(axis=0) for name in names}


def _without_controls(times: np.ndarray, share: dict[float, float], means: dict[float, np.ndarray]) -> pd.DataFrame:
    """Theorem 1: weights n_k n_l x (variance of treatment within the window), and differences of differences."""
    treated = {k: float((times >= k).mean()) for k in share}  # D-bar, the share of time under treatment
    rows = []
    for early, late in combinations(sorted(share), 2):
        before, after = treated[early], treated[late]
        size = share[early] * share[late]
        if early == -np.inf and late == np.inf:
            continue
        if early == -np.inf or late == np.inf:
            k, control = (late, early) if early == -np.inf else (early, late)
            weight = size * treated[k] * (1 - treated[k])
            kind = ALWAYS if early == -np.inf else UNTREATED
            rows.append((k, control, kind, weight, _difference(means[k], means[control], times >= k, times < k)))
            continue
        window = times < late
        estimate = _difference(means[early], means[late], window & (times >= early), times < early)
        rows.append((early, late, EARLIER, size * (before - after) * (1 - before), estimate))
        window = times >= early
        estimate = _difference(means[late], means[early], times >= late, window & (times < late))
        rows.append((late, early, LATER, size * after * (before - after), estimate))
    return _table(rows)


def _difference(cohort: np.ndarray, control: np.ndarray, after: np.ndarray, before: np.ndarray) -> float:
    gap = cohort - control
    return float(gap[after].mean() - gap[before].mean())


def _with_controls(
    cohort: np.ndarray,
    share: dict[float, float],
    means: dict[float, np.ndarray],
    residual: np.ndarray,
    outcome: np.ndarray,
) -> tuple[pd.DataFrame, float, float]:
    """Comparisons, omega and the within estimate from the treatment's residual (units, times).

    A covariance between cohort means is a sum over pairs, cov(d, y) = sum_{k<l} n_k n_l cov(d_k - d_l, y_k - y_l),
    because the residual is zero in the mean of every time; each pair's share of the variance is its weight.
    """
    _, left = _cohort_means(cohort, residual)
    within = residual - np.stack([left[float(name)] for name in cohort])
    omega = float((within**2).sum() / (residual**2).sum())
    rows = []
    for early, late in combinations(sorted(share), 2):
        gap = left[early] - left[late]
        length = float(gap @ gap)
        if length <= ROUNDING * len(cohort):
            continue
        estimate = float(gap @ (means[early] - means[late])) / length
        k, control = (late, early) if early == -np.inf and late != np.inf else (early, late)
        rows.append((k, control, _kind(early, late), share[early] * share[late] * length, estimate))
    flat = within.ravel()
    known = omega > ROUNDING
    return _table(rows), omega if known else 0.0, float(flat @ outcome / (flat @ flat)) if known else np.nan


def _kind(early: float, late: float) -> str:
    if early == -np.inf:
        return CONSTANT if late == np.inf else ALWAYS
    return UNTREATED if late == np.inf else BOTH


def _table(rows: list[tuple[float, float, str, float, float]]) -> pd.DataFrame:
    columns = ["cohort", "control", "type", "weight", "estimate"]
    table = pd.DataFrame(rows, columns=columns)
    table["weight"] /= table["weight"].sum()
    return table.assign(cohort=table["cohort"].map(_shown), control=table["control"].map(_shown))


def _shown(cohort: float) -> object:
    if np.isinf(cohort):
        return "never" if cohort > 0 else "always"
    return int(cohort) if cohort == int(cohort) else cohort


def _by_type(table: pd.DataFrame) -> pd.DataFrame:
    product = table.assign(product=table["weight"] * table["estimate"]).groupby("type")[["weight", "product"]].sum()
    by_type = pd.DataFrame({"weight": product["weight"], "estimate": product["product"] / product["weight"]})
    by_type.insert(0, "type", by_type.index)
    return by_type.rename_axis(None)

"""What a test for pre-trends could have seen: Roth (2022). Takes an event study's estimates, never data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results import CannotEstimate

#: Draws of the estimated leads behind each power, with a fixed seed, so that power rises smoothly with the slope.
DRAWS, SEED = 20_000, 0


@dataclass(frozen=True)
class PretestPower:
    """The linear trends that a pre-test would find as often as asked, and what they would do to the effect.

    Attributes
    ----------
    table
        One row a power: ``power``, ``slope`` (units of y a period), ``bias`` (of the mean effect after adoption, if
        that trend went on), ``share`` (the bias over the estimated mean effect, in absolute value).
    effect, effect_se
        Mean of the estimated periods from 0 on, and its standard error.
    periods : the leads tested.
    """

    table: pd.DataFrame
    effect: float
    effect_se: float
    periods: tuple[int, ...]

    def summary(self) -> str:
        """The powers as text, for people."""
        return f"mean effect {self.effect:.6g} ({self.effect_se:.6g})\n{self.table.to_string(index=False)}"


def pretest_power(
    periods: np.ndarray,
    estimate: np.ndarray,
    covariance: np.ndarray,
    *,
    base: int = -1,
    powers: tuple[float, ...] = (0.5, 0.8),
    size: float = 0.05,
) -> PretestPower:
    """Slopes of a linear difference in trends that the usual pre-test detects with given power.

    The test is the one that papers use: a trend is "seen" when any lead is significant on its own at ``size``. Under
    a slope g the leads are normal with mean g (k - base) and the estimated covariance (Roth 2022, section I); power
    is found by simulation with fixed draws.

    Parameters
    ----------
    periods, estimate, covariance
        Periods relative to adoption without the base, shape (p,), their estimates (p,), and covariance (p, p).

    Raises
    ------
    ValueError
        No lead or no period after adoption; a variance that is not positive.
    """
    periods = np.asarray(periods, dtype=int)
    before, after = periods < min(base, 0), periods >= 0
    if not before.any() or not after.any():
        raise CannotEstimate(
            f"A pre-test needs leads before the base {base} and periods from 0 on; these are {periods}."
        )
    variance = np.diag(covariance)
    if not (variance > 0).all():
        raise CannotEstimate("Every period needs a positive variance.")
    se = np.sqrt(variance[before])
    values, vectors = np.linalg.eigh(covariance[np.ix_(before, before)] / np.outer(se, se))
    noise = np.random.default_rng(SEED).standard_normal((DRAWS, before.sum()))
    noise = noise @ (vectors * np.sqrt(np.clip(values, 0, None))).T
    line = (periods[before] - base) / se
    critical = float(stats.norm.isf(size / 2))

    def power(slope: float) -> float:
        return float((np.abs(noise + slope * line) > critical).any(axis=1).mean())

    weights = after / after.sum()
    effect, reach = float(weights @ estimate), float(weights @ (periods - base))
    rows = []
    for wanted in powers:
        slope = _slope(power, wanted, 1 / float(np.abs(line).max()))
        bias = slope * reach
        rows.append((wanted, slope, bias, abs(bias / effect) if effect else np.inf))
    table = pd.DataFrame(rows, columns=["power", "slope", "bias", "share"])
    tested = tuple(int(period) for period in periods[before])
    return PretestPower(table, effect, float(np.sqrt(weights @ covariance @ weights)), tested)


def _slope(power: Callable[[float], float], wanted: float, step: float) -> float:
    """Where power, which rises with the slope, reaches what is wanted."""
    low, high = 0.0, step
    if power(0.0) >= wanted:
        return 0.0
    while power(high) < wanted:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < wanted else (low, middle)
    return high

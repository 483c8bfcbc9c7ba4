"""Intervals that stay honest when trends are not parallel: Rambachan and Roth (2023), from an event study's estimates.

Takes coefficients and their covariance, never data. The event studies themselves live in `event_study`, `sun_abraham`
and `callaway_santanna`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize
from scipy.special import log_ndtr, ndtr, ndtri

from analysis.results import CannotEstimate

#: Draws behind the least-favourable critical value, and points at which a confidence set is first looked for.
DRAWS, POINTS = 50_000, 400
#: Share of the test's size spent on the first stage of the hybrid, as Andrews, Roth and Pakes (2023) recommend.
FIRST_STAGE = 0.1


@dataclass(frozen=True)
class EventPath:
    """Event-study estimates as arrays, for `honest`.

    Attributes
    ----------
    periods : time since adoption, shape (p,), the base period left out.
    estimate : coefficients, shape (p,).
    covariance : their covariance, shape (p, p).
    base : the period whose coefficient is zero.
    """

    periods: np.ndarray
    estimate: np.ndarray
    covariance: np.ndarray
    base: int = -1


@dataclass(frozen=True)
class HonestIntervals:
    """Confidence intervals by how far trends may depart from parallel.

    Attributes
    ----------
    table
        ``bound`` (Mbar, or M in units of y per period squared), ``low``, ``high``.
    estimate, se
        Of the effect the intervals are for, as estimated.
    original
        (low, high) under exactly parallel trends.
    weights
        The effect as weights on periods from 0 on, indexed by period.
    restriction, level, notes
        As asked for; what was done to the event study on the way.
    """

    table: pd.DataFrame
    estimate: float
    se: float
    original: tuple[float, float]
    weights: pd.Series
    restriction: str
    level: float
    notes: tuple[str, ...]

    @property
    def breakdown(self) -> float:
        """The largest of the bounds up to which every interval leaves out zero; missing if none does."""
        table = self.table.sort_values("bound")
        excludes = ((table["low"] > 0) | (table["high"] < 0)).cummin()
        return float(table.loc[excludes, "bound"].max()) if excludes.any() else np.nan

    def summary(self) -> str:
        """The intervals as text, for people."""
        low, high = self.original
        lines = [
            f"Estimate {self.estimate:.6g} (standard error {self.se:.6g}), parallel trends [{low:.6g}, {high:.6g}]",
            self.table.to_string(index=False, float_format=lambda value: f"{value:.6g}"),
            f"Zero is left out up to a bound of {self.breakdown:g}.",
        ]
        return "\n".join([*lines, *self.notes])


def honest(
    event_study: Any,
    *,
    restriction: str = "relative",
    bounds: Sequence[float] | None = None,
    weights: str | Mapping[int, float] | None = None,
    level: float = 0.95,
) -> HonestIntervals:
    """Confidence intervals for an effect when the difference in trends may depart from zero by no more than ``bounds``.

    With delta the bias of each coefficient (zero at -1), "relative" allows |delta_t - delta_(t-1)| after adoption up to
    Mbar times the largest such step before it; the interval is the conditional least-favourable hybrid of Andrews, Roth
    and Pakes (2023), united over which step is largest, as Rambachan and Roth (2023) propose. "smoothness" allows
    changes of slope |(delta_(t+1) - delta_t) - (delta_t - delta_(t-1))| up to M; the interval is the shortest one of
    fixed length around an affine estimator (Donoho 1994). The R package HonestDiD has the same defaults; here critical
    values are exact or simulated with 50,000 fixed draws (1,000 there), and end points are solved for, not read off a
    grid.

    Parameters
    ----------
    event_study
        Result of `event_study`, `sun_abraham`, or `callaway_santanna` with ``base_period="universal"``; or an
        `EventPath`. Needs periods next to each other around -1; others are left out with a note.
    restriction
        "relative" or "smoothness".
    bounds
        Values of Mbar or M. None: 0.5, 1, 1.5, 2 for "relative"; 0, 0.25, 0.5, 1 standard errors of the effect for
        "smoothness".
    weights
        The effect wanted: None for period 0, "average" over periods from 0 on, or a weight for each period named.
    level
        Coverage.

    Raises
    ------
    ValueError
        Leads and lags measured against different things, no period before -1 or none after, unknown periods or options.
    """
    if restriction not in ("relative", "smoothness"):
        raise ValueError(f"restriction is 'relative' or 'smoothness', not {restriction!r}.")
    if not 0.5 <= level < 1:
        raise ValueError(f"level is a coverage between 0.5 and 1, not {level!r}.")
    path, notes = _around_the_base(_rebased(_path(event_study)))
    before = int((path.periods < 0).sum())
    effect = _effect_weights(path.periods[before:], weights)
    after = path.covariance[before:, before:]
    _check_rank(path.covariance)
    estimate, se = float(effect @ path.estimate[before:]), float(np.sqrt(effect @ after @ effect))
    if bounds is None:
        bounds = (0.5, 1.0, 1.5, 2.0) if restriction == "relative" else (0.0, 0.25 * se, 0.5 * se, se)
    if not len(bounds) or min(bounds) < 0 or not np.isfinite(bounds).all():
        raise ValueError(f"bounds are finite numbers, 0 or more; they are {list(bounds)!r}.")
    interval = _relative_interval if restriction == "relative" else _smoothness_interval
    # In units of the standard error every number below is of order one, whatever the units of y.
    unit_bound = 1.0 if restriction == "relative" else se
    ends = [
        interval(path.estimate / se, path.covariance / se**2, before, effect, bound / unit_bound, 1 - level)
        for bound in bounds
    ]
    table = pd.DataFrame({"bound": bounds, "low": [e[0] * se for e in ends], "high": [e[1] * se for e in ends]})
    margin = float(ndtri(0.5 + level / 2)) * se
    return HonestIntervals(
        table=table,
        estimate=estimate,
        se=se,
        original=(estimate - margin, estimate + margin),
        weights=pd.Series(effect, index=pd.Index(path.periods[before:], name="period"), name="weight"),
        restriction=restriction,
        level=level,
        notes=notes,
    )


def _path(event_study: Any) -> EventPath:
    """Identified periods, estimates and covariance of whatever was given, sorted by period."""
    if isinstance(event_study, EventPath):
        path = event_study
    else:
        base = getattr(event_study, "base", -1)
        if base is None:
            raise ValueError(
                f"{type(event_study).__name__} measures leads and lags against different things, so its leads say "
                "nothing about the bias of its lags. Use event_study, sun_abraham, or callaway_santanna with "
                "base_period='universal'."
            )
        covariance = event_study.covariance
        table = event_study.event if hasattr(event_study, "event") else event_study.table
        numbers = table["estimate"]
        if "period" in table.columns:
            numbers = pd.Series(numbers.to_numpy(), index=table["period"].to_numpy())
        numbers = numbers.loc[[period for period in covariance.index if period != base]].dropna()
        path = EventPath(
            numbers.index.to_numpy(),
            numbers.to_numpy(dtype=float),
            covariance.loc[numbers.index, numbers.index].to_numpy(dtype=float),
            int(base),
        )
    periods = np.asarray(path.periods)
    estimate, covariance = np.asarray(path.estimate, dtype=float), np.asarray(path.covariance, dtype=float)
    if estimate.shape != periods.shape or covariance.shape != (len(periods), len(periods)):
        raise ValueError(
            f"{len(periods)} periods need as many estimates and a square covariance; there are {estimate.shape} and "
            f"{covariance.shape}."
        )
    if path.base in periods or len(np.unique(periods)) < len(periods):
        raise ValueError(f"Periods must differ, and leave out the base {path.base}: {periods.tolist()}.")
    if not (np.isfinite(estimate).all() and np.isfinite(covariance).all()):
        raise CannotEstimate("Estimates and covariance must be finite; leave out periods that are not identified.")
    order = np.argsort(periods)
    return EventPath(periods[order].astype(int), estimate[order], covariance[np.ix_(order, order)], path.base)


def _check_rank(covariance: np.ndarray) -> None:
    sd = np.sqrt(np.clip(np.diag(covariance), 0, None))
    rank = int((np.linalg.eigvalsh(covariance / np.outer(sd, sd)) > 1e-10).sum()) if (sd > 0).all() else 0
    if rank < len(sd):
        raise CannotEstimate(
            f"The covariance of the {len(sd)} periods has rank {rank}, so a combination of them is known without "
            "error; use fewer periods, or more clusters than periods."
        )


def _rebased(path: EventPath) -> EventPath:
    """The same path measured against period -1."""
    if path.base == -1:
        return path
    if -1 not in path.periods:
        raise CannotEstimate(f"The event study has base {path.base} and no estimate of period -1 to measure against.")
    periods = np.sort(np.append(path.periods[path.periods != -1], path.base))
    change = (periods[:, None] == path.periods).astype(float) - (path.periods == -1)
    return EventPath(periods, change @ path.estimate, change @ path.covariance @ change.T)


def _around_the_base(path: EventPath) -> tuple[EventPath, tuple[str, ...]]:
    """Only the unbroken run of periods around -1: the restrictions are about neighbouring periods."""
    present = set(path.periods.tolist())
    first, last = -1, -1
    while first - 1 in present:
        first -= 1
    while last + 1 in present:
        last += 1
    if first == -1 or last == -1:
        missing = "-2, before adoption" if first == -1 else "0, after adoption"
        raise CannotEstimate(f"The event study has no estimate of period {missing}; its periods are {sorted(present)}.")
    keep = (path.periods >= first) & (path.periods <= last)
    notes: tuple[str, ...] = ()
    if not keep.all():
        notes = (f"Periods {path.periods[~keep].tolist()} left out: they do not adjoin {first} to {last}.",)
    return EventPath(path.periods[keep], path.estimate[keep], path.covariance[np.ix_(keep, keep)]), notes


def _effect_weights(periods: np.ndarray, weights: str | Mapping[int, float] | None) -> np.ndarray:
    if weights is None:
        return (periods == 0).astype(float)
    if isinstance(weights, str):
        if weights != "average":
            raise ValueError(f"weights is None, 'average' or a weight for each period, not {weights!r}.")
        return np.full(len(periods), 1 / len(periods))
    unknown = [period for period in weights if period not in periods]
    if unknown or not any(weights.values()):
        raise ValueError(f"weights must name periods among {periods.tolist()} and not all be zero: {dict(weights)!r}.")
    return np.array([float(weights.get(int(period), 0.0)) for period in periods])


def _relative_interval(
    estimate: np.ndarray,
    covariance: np.ndarray,
    before: int,
    effect: np.ndarray,
    bound: float,
    size: float,
    first_stage: float = FIRST_STAGE,
) -> tuple[float, float]:
    """Hull of the sets accepted for each step before adoption being the largest, with either sign."""
    steps = np.diff(np.insert(np.eye(len(estimate)), before, 0.0, axis=0), axis=0)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    noise = np.random.default_rng(0).standard_normal((DRAWS, len(estimate))) @ root
    ends = []
    for step in range(before):
        for sign in (1.0, -1.0):
            moments, slope = _moments(steps, step, sign, before, effect, bound, covariance)
            accepted = _accepted(moments, slope, estimate, covariance, noise, size, first_stage)
            if accepted is not None:
                ends.append(accepted)
    if not ends:
        return np.nan, np.nan
    return min(low for low, _ in ends), max(high for _, high in ends)


def _moments(
    steps: np.ndarray,
    step: int,
    sign: float,
    before: int,
    effect: np.ndarray,
    bound: float,
    covariance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Functionals (k, p) of the coefficients and slopes (k,) in the effect whose largest value is the test statistic.

    The test statistic is the least, over the other effects, of the largest studentised moment. Its moments only bound
    the steps x_t of the bias after adoption one by one, and the effect fixes one sum w'x of them, so eliminating x
    leaves each pair of bounds on an x_t, and the bounds on w'x from above and from below. Moments about steps before
    adoption only are not used: the union over the largest step implies them. With one period after adoption there is
    nothing to eliminate and they are kept, as in HonestDiD.
    """
    largest = sign * steps[step]
    rows = np.stack([steps[before:] - bound * largest, -steps[before:] - bound * largest])  # (2, after, p)
    sd = np.sqrt(np.clip(np.einsum("iap,pq,iaq->ia", rows, covariance, rows), 0, None))
    weight = np.cumsum(effect[::-1])[::-1]
    side = (weight < 0).astype(int)
    every = np.arange(len(weight))
    upper, lower = rows[side, every], rows[1 - side, every]
    upper_scale, lower_scale = np.abs(weight) @ sd[side, every], np.abs(weight) @ sd[1 - side, every]
    bounds_on_sum = [np.abs(weight) @ upper / upper_scale, np.abs(weight) @ lower / lower_scale]
    slope = [1 / upper_scale, -1 / lower_scale]
    if len(weight) > 1:
        others = rows.sum(axis=0) / sd.sum(axis=0)[:, None]
    else:
        pre = np.concatenate([steps[:before] - largest, -steps[:before] - largest])
        scale = np.sqrt(np.clip(np.einsum("rp,pq,rq->r", pre, covariance, pre), 0, None))
        others = pre[scale > 1e-9] / scale[scale > 1e-9, None]
    return np.vstack([*bounds_on_sum, others]), np.array([*slope, *np.zeros(len(others))])


def _accepted(
    moments: np.ndarray,
    slope: np.ndarray,
    estimate: np.ndarray,
    covariance: np.ndarray,
    noise: np.ndarray,
    size: float,
    first_stage: float,
) -> tuple[float, float] | None:
    """Smallest and largest effect that the hybrid test accepts, or None."""
    spread = moments @ covariance @ moments.T
    at_zero = moments @ estimate
    kappa = first_stage * size
    critical = float(np.quantile((noise @ moments.T).max(axis=1), 1 - kappa)) if kappa > 0 else 20.0
    if (at_zero[2:] > critical).any():
        return None
    # The first stage alone rejects outside these two effects.
    low, high = (at_zero[0] - critical) / slope[0], (at_zero[1] - critical) / slope[1]
    if low > high:
        return None

    def accept(effect: np.ndarray) -> np.ndarray:
        return _not_rejected(at_zero[:, None] - np.outer(slope, effect), spread, critical, size, kappa)

    grid = np.linspace(low, high, POINTS)
    inside = np.flatnonzero(accept(grid))
    if not len(inside):
        return None
    first, last = inside[0], inside[-1]
    left = grid[0] if first == 0 else _edge(accept, grid[first], grid[first - 1])
    right = grid[-1] if last == POINTS - 1 else _edge(accept, grid[last], grid[last + 1])
    return left, right


def _edge(accept: Any, inside: float, outside: float) -> float:
    """Where acceptance ends between two effects, by bisection."""
    for _ in range(40):
        middle = (inside + outside) / 2
        if accept(np.array([middle]))[0]:
            inside = middle
        else:
            outside = middle
    return inside


def _not_rejected(value: np.ndarray, spread: np.ndarray, critical: float, size: float, kappa: float) -> np.ndarray:
    """Acceptance (effects,) by the conditional test, from moments' values (k, effects) and their covariance (k, k).

    Given which moment is largest and the part of the data independent of it, the statistic is a truncated normal
    (Andrews, Roth and Pakes 2023); the hybrid also truncates at the first stage's critical value.
    """
    columns = np.arange(value.shape[1])
    best = value.argmax(axis=0)
    largest, variance = value[best, columns], spread[best, best]
    random = variance > 1e-16
    share = spread[:, best] / np.where(random, variance, 1.0)
    rest = value - share * largest
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = rest / (1 - share)
    low = np.where(share < 1 - 1e-9, crossing, -np.inf).max(axis=0)
    high = np.minimum(np.where(share > 1 + 1e-9, crossing, np.inf).min(axis=0), critical)
    sd = np.sqrt(np.where(random, variance, 1.0))
    high = np.maximum(high, largest)
    log_p = _log_mass(largest / sd, high / sd) - _log_mass(np.minimum(low, largest) / sd, high / sd)
    conditional = (largest <= 0) | (log_p >= np.log((size - kappa) / (1 - kappa)))
    return (largest <= critical) & np.where(random, conditional, largest <= 1e-12)


def _log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Log of P(low < N(0, 1) < high), without cancellation in the upper tail."""
    tail, beyond = log_ndtr(-low), log_ndtr(-high)
    with np.errstate(divide="ignore"):
        return tail + np.log(-np.expm1(np.minimum(beyond - tail, 0.0)))


def _smoothness_interval(
    estimate: np.ndarray, covariance: np.ndarray, before: int, effect: np.ndarray, bound: float, size: float
) -> tuple[float, float]:
    """Shortest interval of fixed length around an affine estimator, under changes of slope up to ``bound``.

    The estimator is effect'b_after + v'b_before. Its bias is finite only if it is blind to straight lines, and then at
    most ``bound`` times the sum of |bends'(v, effect)|, ``bends`` being the paths of one unit change of slope each.
    """
    positions = np.concatenate([np.arange(-before, 0), np.arange(1, len(effect) + 1)]).astype(float)
    bends = _bends(before, len(effect))
    fixed = np.concatenate([np.zeros(before), effect])
    # v = start + null @ u keeps the estimator blind to lines.
    line = positions[:before]
    start = fixed.copy()
    start[:before] = -line * (fixed @ positions) / (line @ line)
    null = np.vstack([np.linalg.svd(line[None])[2][1:].T, np.zeros((len(effect), before - 1))])
    estimator = _shortest(start, null, bends, covariance, bound, size)
    half = _length(estimator, bends, covariance, bound, size)
    center = float(estimator @ estimate)
    return center - half, center + half


def _bends(before: int, after: int) -> np.ndarray:
    """Paths (periods, changes of slope): delta with delta_0 = 0 and slope zero just after 0, bent once by one."""
    columns = []
    for place in range(-before + 1, after):
        positions = np.concatenate([np.arange(-before, 0), np.arange(1, after + 1)])
        bent = np.maximum(positions - place, 0) if place > 0 else np.maximum(place - positions, 0)
        columns.append(bent.astype(float))
    return np.stack(columns, axis=1)


def _length(estimator: np.ndarray, bends: np.ndarray, covariance: np.ndarray, bound: float, size: float) -> float:
    """Half length of the interval around an estimator blind to lines."""
    sd = float(np.sqrt(estimator @ covariance @ estimator))
    return _half_length(bound * float(np.abs(bends.T @ estimator).sum()), sd, size)[0]


def _half_length(bias: float, sd: float, size: float) -> tuple[float, float, float]:
    """Half length sd * cv(bias / sd) and its derivatives in bias and sd; cv is the quantile of |N(bias / sd, 1)|."""
    t = bias / sd
    high = t - float(ndtri(size / 2)) + 1.0
    cv = optimize.brentq(lambda c: ndtr(c - t) - ndtr(-c - t) - (1 - size), 0.0, high, xtol=1e-14, rtol=1e-14)
    near, far = np.exp(-((cv - t) ** 2) / 2), np.exp(-((cv + t) ** 2) / 2)
    slope = (near - far) / (near + far)
    return sd * cv, slope, cv - t * slope


def _shortest(
    start: np.ndarray, null: np.ndarray, bends: np.ndarray, covariance: np.ndarray, bound: float, size: float
) -> np.ndarray:
    """Weights (p,) of the affine estimator with the shortest interval: convex in u, with |bends'a| split in two."""
    free = null.shape[1]
    least_variance = start.copy()
    if free:
        inner = null.T @ covariance @ null
        least_variance = start - null @ np.linalg.lstsq(inner, null.T @ covariance @ start, rcond=None)[0]
    if not free or bound == 0:
        return least_variance
    bent, moved = bends.T @ start, bends.T @ null
    places = len(bent)

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        a = start + null @ z[:free]
        sd = float(np.sqrt(a @ covariance @ a))
        half, by_bias, by_sd = _half_length(bound * z[free:].sum(), sd, size)
        gradient = np.concatenate([by_sd * (null.T @ covariance @ a) / sd, np.full(2 * places, by_bias * bound)])
        return half, gradient

    split = np.hstack([-moved, np.eye(places), -np.eye(places)])
    constraint = {"type": "eq", "fun": lambda z: split @ z - bent, "jac": lambda z: split}
    limits = [(None, None)] * free + [(0, None)] * (2 * places)
    least_bias = optimize.linprog(np.r_[np.zeros(free), np.ones(2 * places)], A_eq=split, b_eq=bent, bounds=limits).x
    first = null.T @ (least_variance - start)
    turn = bent + moved @ first
    starts = [np.concatenate([first, np.maximum(turn, 0), np.maximum(-turn, 0)]), least_bias]
    best, shortest = least_variance, np.inf
    for z in starts:
        found = optimize.minimize(
            objective,
            z,
            jac=True,
            bounds=limits,
            constraints=[constraint],
            method="SLSQP",
            options={"maxiter": 1000, "ftol": 1e-14},
        )
        for candidate in (z, found.x):
            a = start + null @ candidate[:free]
            half = _length(a, bends, covariance, bound, size)
            if half < shortest:
                best, shortest = a, half
    return best

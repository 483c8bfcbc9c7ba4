"""A second engine for intervals under relative magnitudes (Rambachan and Roth 2023): the linear programme of the hybrid
test with all its vertices (Andrews, Roth and Pakes 2023). The event study is an array here; no engine of regressions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy import linalg, special

from analysis.agreement.opinion import NoOpinion

#: Draws behind the first stage's critical value, and its share of the test's size.
DRAWS, FIRST_STAGE, SIZE = 20_000, 0.1, 0.05
#: More periods after adoption than this have too many vertices to list.
MOST = 6


def relative_interval(
    path: np.ndarray, covariance: np.ndarray, before: int, effect: np.ndarray, bound: float
) -> tuple[float, float]:
    """Ends of the union, over steps before adoption and their signs, of the effects that the hybrid test accepts.

    Parameters
    ----------
    path, covariance : estimates (p,) by period but the base, those before first; (p, p).
    before : how many of them lie before the base.
    effect : weights (p - before,) of the effect.
    bound : how much larger a step after adoption may be than the largest before.
    """
    after = len(path) - before
    if not 1 < after <= MOST:
        raise NoOpinion("Too many periods after adoption: the test's vertices are not listed.")
    steps = np.diff(np.insert(np.eye(len(path)), before, 0.0, axis=0), axis=0)
    noise = np.random.default_rng(20_240_229).multivariate_normal(
        np.zeros(len(path)), covariance, size=DRAWS, method="eigh"
    )
    ends = []
    for step in range(before):
        for sign in (1.0, -1.0):
            allowed = bound * sign * steps[step]
            moments = np.concatenate([steps[before:] - allowed, -steps[before:] - allowed])
            accepted = _accepted(moments, path, covariance, noise, before, effect)
            ends += [accepted] if accepted else []
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (np.nan, np.nan)


def _accepted(
    moments: np.ndarray, path: np.ndarray, covariance: np.ndarray, noise: np.ndarray, before: int, effect: np.ndarray
) -> tuple[float, float] | None:
    """Least and greatest effect that is accepted where moments (k, p) of the bias are at most zero; None for none."""
    sd = np.sqrt(np.diag(moments @ covariance @ moments.T))
    others = linalg.null_space(effect[None])
    vertices = _vertices(np.vstack([sd, (moments[:, before:] @ others).T]))
    functional = vertices @ moments
    level = functional @ path
    slope = functional[:, before:] @ effect / (effect @ effect)
    spread = functional @ covariance @ functional.T
    critical = float(np.quantile((noise @ functional.T).max(axis=1), 1 - FIRST_STAGE * SIZE))
    rises, falls = slope > 1e-12, slope < -1e-12
    low = max((level[rises] - critical) / slope[rises], default=-np.inf)
    high = min((level[falls] - critical) / slope[falls], default=np.inf)
    if low > high or (level[~rises & ~falls] > critical).any():
        return None

    def holds(theta: float) -> bool:
        return _holds(level - slope * theta, spread, critical)

    grid = np.linspace(low, high, 41)
    inside = np.flatnonzero([holds(theta) for theta in grid])
    if not len(inside):
        return None
    first, last = int(inside[0]), int(inside[-1])
    left = grid[first] if first == 0 else _edge(holds, grid[first], grid[first - 1])
    right = grid[last] if last == len(grid) - 1 else _edge(holds, grid[last], grid[last + 1])
    return float(left), float(right)


def _vertices(constraints: np.ndarray) -> np.ndarray:
    """Every vertex (v, k) of {g >= 0: first row of the constraints times g = 1, the others 0}."""
    rows, k = constraints.shape
    chosen = np.array(list(combinations(range(k), rows)))
    blocks = constraints[:, chosen].transpose(1, 0, 2)
    known = np.linalg.cond(blocks) <= 1e12
    chosen, blocks = chosen[known], blocks[known]
    solved = np.linalg.solve(blocks, np.eye(rows)[:, :1])[..., 0]
    inside = (solved >= -1e-10).all(axis=1)
    found = np.zeros((int(inside.sum()), k))
    np.put_along_axis(found, chosen[inside], np.clip(solved[inside], 0, None), axis=1)
    return np.unique(np.round(found, 12), axis=0)


def _holds(value: np.ndarray, spread: np.ndarray, critical: float) -> bool:
    """Whether the largest value is one that the conditional test, truncated at the first stage, accepts."""
    best = int(np.argmax(value))
    largest, variance = float(value[best]), float(spread[best, best])
    if largest > critical:
        return False
    if largest <= 0:
        return True
    share = spread[:, best] / variance
    rest = value - share * largest
    below, above = share < 1 - 1e-9, share > 1 + 1e-9
    low = max((rest[below] / (1 - share[below])), default=-np.inf)
    high = min([*(rest[above] / (1 - share[above])), critical])
    sd = np.sqrt(variance)
    kappa = FIRST_STAGE * SIZE
    above_high = special.ndtr(-high / sd)
    tail = special.ndtr(-largest / sd) - above_high
    whole = special.ndtr(-min(low, largest) / sd) - above_high
    return bool(tail / whole >= (SIZE - kappa) / (1 - kappa))


def _edge(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(24):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside

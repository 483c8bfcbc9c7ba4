"""The wild cluster bootstrap of a treatment's t statistic, for when clusters, or treated clusters, are few.

Permutation of the treatment lives in placebo; no other resampling belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.did.regression import Design, cluster_factor, design_matrix, few_treated, fit, leaves_treatment
from analysis.estimation_sample import effect_columns, unit_order
from analysis.fixed_effects import FixedEffects
from analysis.results import CannotEstimate, Estimate

#: Numbers held at once while clusters are projected.
BLOCK = 1_000_000
WEBB = np.sqrt([1.5, 1.0, 0.5, 0.5, 1.0, 1.5]) * [-1, -1, -1, 1, 1, 1]


@dataclass(frozen=True)
class WildBootstrap:
    """A treatment's bootstrap p-value and interval.

    Attributes
    ----------
    table
        One row, indexed by term: ``estimate``, ``se`` (clustered), ``t``, ``p`` (bootstrap), ``low``, ``high`` (ends of
        the values that the bootstrap does not reject at 5%; infinite where it rejects none), ``p_clustered``.
    p_value
        Two-sided and symmetric.
    draws
        The bootstrap's t statistics under the null, indexed by ``draw``.
    enumerated
        Whether every one of the 2^G sign vectors was used instead of random ones.
    regression
        The whole regression.
    """

    table: pd.DataFrame
    p_value: float
    draws: pd.Series
    enumerated: bool
    regression: Estimate
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The bootstrap as text, for people."""
        lines = [self.table.to_string(float_format=lambda value: f"{value:.6g}")]
        lines.append(f"{len(self.draws)} draws, {self.regression.clusters} clusters")
        return "\n".join([*lines, *self.notes])


def wild_bootstrap(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    draws: int = 999,
    seed: int = 0,
    weights: str = "rademacher",
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str = "unit",
) -> WildBootstrap:
    """Test that the treatment has no effect by a wild cluster bootstrap with the null imposed (WCR).

    The outcome is rebuilt from the regression without the treatment, its residuals multiplied by one random weight a
    cluster, and the clustered t statistic is recomputed exactly (Cameron, Gelbach and Miller 2008; Roodman, MacKinnon,
    Nielsen and Webb 2019). The p-value is (1 + number of draws with |t*| >= |t|) / (1 + draws), or the plain share when
    every sign vector is enumerated. The interval inverts the test. Draws depend on ``seed`` and the data, not on the
    order of rows or on labels.

    Parameters
    ----------
    treatment
        One column; it need not be 0/1 nor last.
    draws
        At most this many; with Rademacher weights and 2^G <= draws + 1 all 2^G sign vectors are used instead.
    weights
        "rademacher" (-1 or 1), or "webb" (six points, for about ten clusters or fewer; Webb 2023).
    fixed_effects, cluster
        "unit", "time" or any column; one way of clustering.

    Raises
    ------
    ValueError
        Bad columns or keys, a treatment that is not identified, fewer than two clusters, unknown weights.
    """
    if int(draws) != draws or draws < 1:
        raise ValueError(f"draws must be a whole number, at least 1; it is {draws!r}.")
    if weights not in ("rademacher", "webb"):
        raise ValueError(f"weights is 'rademacher' or 'webb', not {weights!r}.")
    groups = effect_columns(cluster, unit=unit, time=time)
    if len(groups) != 1:
        raise CannotEstimate(f"The wild cluster bootstrap needs one way of clustering, not {len(groups)}.")
    design = design_matrix(
        data,
        y,
        [treatment, *controls],
        unit=unit,
        time=time,
        fixed_effects=fixed_effects,
        cluster=cluster,
    )
    if treatment in design.not_identified:
        raise CannotEstimate(f"The effect of {treatment!r} is not identified: {design.not_identified[treatment]}")
    regression = fit(design)
    codes = unit_order(design.data, groups[0], [time, treatment, y, *controls])
    multipliers, enumerated = _multipliers(int(codes.max()) + 1, draws, seed, weights)
    parts = _Parts.of(design, treatment, codes, multipliers)
    estimate, se, t, p = map(float, regression.table.loc[treatment, ["estimate", "se", "t", "p"]].to_numpy(dtype=float))

    def p_value(value: float) -> float:
        return _p(parts.actual(value), parts.under(value), enumerated)

    low, high = (_bound(p_value, estimate, side * se) for side in (-1, 1))
    table = pd.DataFrame(
        [[estimate, se, t, p_value(0.0), low, high, p]],
        columns=["estimate", "se", "t", "p", "low", "high", "p_clustered"],
        index=pd.Index([treatment], name="term"),
    )
    factor = cluster_factor(len(codes), [codes], len(design.terms) + design.absorbed)
    statistics = pd.Series(parts.under(0.0) / np.sqrt(factor), index=pd.RangeIndex(multipliers.shape[1], name="draw"))
    notes = (*regression.notes, *leaves_treatment(design, treatment, unit, time), *few_treated(design, treatment))
    return WildBootstrap(table, p_value(0.0), statistics.rename("t"), enumerated, regression, notes)


@dataclass(frozen=True)
class _Parts:
    """Sums by cluster from which the statistic under any null follows; d and v are treatment and outcome after effects
    and controls are swept out, M that projection, w a cluster's multiplier.

    Attributes
    ----------
    outcome, treatment : sums by cluster of d M(w v) and of d M(w d), each (clusters, draws).
    squares : sums of d squared, (clusters,).
    estimate : the coefficient.
    length : root of the sum over clusters of squared scores d (v - estimate d).
    """

    outcome: np.ndarray
    treatment: np.ndarray
    squares: np.ndarray
    estimate: float
    length: float

    @classmethod
    def of(cls, design: Design, treatment: str, codes: np.ndarray, multipliers: np.ndarray) -> _Parts:
        """The sums for one regression, cluster codes (n,) and multipliers (clusters, draws)."""
        raw = design.raw_x[:, design.terms.index(treatment)]
        others = [j for j, term in enumerate(design.terms) if term not in (treatment, "const")]
        effects = design.effects if isinstance(design.effects, FixedEffects) else FixedEffects([], len(raw))
        projection = effects.extended(design.raw_x[:, others])
        d, v = projection.residualise(raw), projection.residualise(design.raw_y)
        estimate = float(d @ v / (d @ d))
        scores = np.bincount(codes, d * (v - estimate * d))
        outcome, own = (_sums(projection, d, u, codes, multipliers) for u in (v, d))
        return cls(outcome, own, np.bincount(codes, d * d), estimate, float(np.linalg.norm(scores)))

    def actual(self, value: float) -> float:
        """The sample's t statistic, before its small-sample factor, that the coefficient is ``value``."""
        return (self.estimate - value) * float(self.squares.sum()) / self.length

    def under(self, value: float) -> np.ndarray:
        """The same statistic in each bootstrap sample (draws,), drawn with the coefficient at ``value``."""
        scores = self.outcome - value * self.treatment
        total = scores.sum(axis=0)
        scores -= self.squares[:, None] * (total / self.squares.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            t = total / np.linalg.norm(scores, axis=0)
        return np.where(np.isnan(t), np.inf, t)  # nothing varies: never evidence against the null


def _sums(
    projection: FixedEffects, d: np.ndarray, u: np.ndarray, codes: np.ndarray, multipliers: np.ndarray
) -> np.ndarray:
    """Sums by cluster of d M(w u), (clusters, draws); linear in w: with few clusters one projection a cluster does."""
    clusters, draws = multipliers.shape
    columns = np.eye(clusters) if clusters < draws else multipliers
    adds = sparse.csr_array((d, (codes, np.arange(len(d)))), shape=(clusters, len(d)))
    width = max(1, BLOCK // len(d))
    blocks = [
        adds @ projection.residualise(u[:, None] * columns[codes, start : start + width])
        for start in range(0, columns.shape[1], width)
    ]
    sums = np.concatenate(blocks, axis=1)
    return sums @ multipliers if clusters < draws else sums


def _multipliers(clusters: int, draws: int, seed: int, weights: str) -> tuple[np.ndarray, bool]:
    """Random weights (clusters, draws), or all sign vectors when there are no more than draws + 1 of them."""
    if weights == "rademacher" and clusters < 31 and 2**clusters <= draws + 1:
        signs = (np.arange(2**clusters) >> np.arange(clusters)[:, None]) & 1
        return 2.0 * signs - 1.0, True
    generator = np.random.default_rng(seed)
    points = WEBB if weights == "webb" else np.array([-1.0, 1.0])
    return points[generator.integers(0, len(points), (draws, clusters))].T, False


def _p(actual: float, under_null: np.ndarray, enumerated: bool) -> float:
    """Symmetric two-sided p; the sample itself is one of the enumerated vectors, and is added to random ones."""
    extreme = int((np.abs(under_null) >= abs(actual) * (1 - 1e-9)).sum())
    return extreme / len(under_null) if enumerated else (1 + extreme) / (1 + len(under_null))


def _bound(p_value: Callable[[float], float], estimate: float, step: float, level: float = 0.05) -> float:
    """The end of the interval towards ``step``: where p falls to the level; infinite where it never does."""
    inside, outside = estimate, estimate + step
    for _ in range(12):
        if p_value(outside) < level:
            break
        inside, outside = outside, estimate + 2 * (outside - estimate)
    else:
        return float(np.copysign(np.inf, step))
    for _ in range(40):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if p_value(middle) >= level else (inside, middle)
    return (inside + outside) / 2

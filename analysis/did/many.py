"""Many two-way regressions at once: every set of controls, outcome and cluster on the same rows, for many treatments.

One projection off the fixed effects serves all of them; what controls take away besides follows from cross products.
Which regressions are worth running is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import linalg, sparse

from analysis.did.regression import cluster_factor
from analysis.fixed_effects import COLLINEAR, FixedEffects, dummies_rank, identified, is_nested, lengths

#: Treatments swept at once: their sums by cluster then fit into a processor's cache.
AT_ONCE = 64
#: Smallest eigenvalue of the controls' correlations below which their cross products have too few digits.
WELL_CONDITIONED = 1e-7
#: A treatment is identified when effects and controls leave this share of its squared length.
IDENTIFIED = 1e-10


class Projection(Protocol):
    """What takes effects out of columns."""

    def residualise(self, values: np.ndarray) -> np.ndarray: ...


class OwnTrends:
    """The projection off effects of units and times and a linear trend of each unit's own.

    Attributes
    ----------
    rank : dimension of all that is removed.
    """

    def __init__(self, units: np.ndarray, times: np.ndarray, trend: np.ndarray) -> None:
        n, count = len(units), int(units.max()) + 1
        self._group = sparse.csr_array((np.ones(n), units, np.arange(n + 1)), shape=(n, count))
        self._sums = self._group.T.tocsr()
        self._size = np.maximum(np.bincount(units, minlength=count), 1)[:, None]
        slope = trend - (self._sums @ trend / self._size[:, 0])[units]
        length = self._sums @ slope**2
        self._slope, self._length = slope[:, None], np.where(length > 0, length, 1.0)[:, None]
        dummies = (times[:, None] == np.arange(1, int(times.max()) + 1)).astype(float)
        swept = self._sweep(dummies)
        q, r, _ = linalg.qr(swept, mode="economic", pivoting=True)
        diagonal = np.abs(np.diag(r))
        self._basis = q[:, diagonal > COLLINEAR * max(diagonal.max(initial=0.0), 1e-300)]
        self.rank = int(np.count_nonzero(np.bincount(units))) + int((length > 0).sum()) + self._basis.shape[1]

    def _sweep(self, values: np.ndarray) -> np.ndarray:
        values = values - self._group @ ((self._sums @ values) / self._size)
        return values - self._slope * (self._group @ ((self._sums @ (values * self._slope)) / self._length))

    def residualise(self, values: np.ndarray) -> np.ndarray:
        """What is left of each column; values (n,) or (n, k), same shape back."""
        columns = values[:, None] if values.ndim == 1 else values
        left = self._sweep(columns)
        left -= self._basis @ (self._basis.T @ left)
        return left[:, 0] if values.ndim == 1 else left


@dataclass(frozen=True)
class Effects:
    """Effects over some rows: the projection off them, and how many parameters they count beside each cluster."""

    projection: Projection
    absorbed: Mapping[str, int]

    @classmethod
    def of(
        cls,
        codes: Sequence[np.ndarray],
        clusters: Mapping[str, np.ndarray],
        trend: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    ) -> Effects:
        """Of group effects (codes (n,) each), or of units and times with ``trend``: units, times and the trend itself.

        Effects nested in the cluster are not counted, as reghdfe does; own trends are, as regressors are.
        """
        n = len(codes[0])
        plain = FixedEffects(codes, n)
        absorbed = {}
        for name, cluster in clusters.items():
            counted = [each for each in codes if not is_nested(each, cluster)]
            absorbed[name] = plain.rank if len(counted) == len(codes) else dummies_rank(counted)
        if trend is None:
            return cls(plain, absorbed)
        own = OwnTrends(*trend)
        return cls(own, {name: held + own.rank - plain.rank for name, held in absorbed.items()})


@dataclass(frozen=True)
class Fits:
    """Coefficients of the treatments.

    Attributes
    ----------
    estimate : (sets of controls, outcomes, treatments); missing where effects and controls leave no treatment.
    se : cluster -> the same shape.
    degrees_of_freedom : cluster -> clusters less one.
    """

    estimate: np.ndarray
    se: Mapping[str, np.ndarray]
    degrees_of_freedom: Mapping[str, int]


def fit_many(
    outcomes: np.ndarray,
    controls: np.ndarray,
    sets: Sequence[Sequence[int]],
    first: np.ndarray,
    units: np.ndarray,
    time: np.ndarray,
    effects: Effects,
    clusters: Mapping[str, np.ndarray],
) -> Fits:
    """Regress every outcome on every treatment and every set of controls.

    By Frisch and Waugh (1933), with d and y what the effects leave of treatment and outcome and X of all controls, the
    coefficient beside the controls S is (d'y - d'X_S g_y) / (d'd - d'X_S g_d), g = (X_S'X_S)^-1 X_S'(y or d), and the
    score of a cluster is a sum of products of d, y and the columns of X within it. Those sums are made once. A control
    that those before it in its set and the effects determine is left out, as `two_way` leaves it out.

    Parameters
    ----------
    outcomes, controls : (n, outcomes) and (n, controls), without gaps.
    sets : positions of the controls of each set.
    first : (units, treatments), each unit's first treated time under each treatment; infinite for never.
    units, time : (n,), positions in ``first`` and times.
    effects : over these rows and clusters.
    clusters : name -> codes (n,).
    """
    n, many = len(time), outcomes.shape[1]
    y = effects.projection.residualise(outcomes)
    scale = np.linalg.norm(controls, axis=0)
    x = effects.projection.residualise(controls / np.where(scale > 0, scale, 1.0))
    norm = np.linalg.norm(x, axis=0)
    x = x / np.where(norm > 0, norm, 1.0)
    gram, xy = x.T @ x, x.T @ y
    before = lengths(controls / np.where(scale > 0, scale, 1.0)) / np.where(norm > 0, norm, 1.0)
    solved = [_solve(x, gram, list(chosen), before) for chosen in sets]
    adds = {name: _Sums.of(codes, x, y) for name, codes in clusters.items()}
    shape = (len(sets), many, first.shape[1])
    estimate = np.full(shape, np.nan)
    se = {name: np.full(shape, np.nan) for name in clusters}
    for start in range(0, first.shape[1], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        raw = (time[:, None] >= first[units, part]).astype(float)
        d = effects.projection.residualise(raw)
        xd, dy = x.T @ d, y.T @ d
        dd, whole = np.einsum("nb,nb->b", d, d), raw.sum(axis=0)
        sums = {name: each.with_treatment(d) for name, each in adds.items()}
        for at, (s, inverse) in enumerate(solved):
            on_d, on_y = inverse @ xd[s], inverse @ xy[s]
            length = dd - (on_d * xd[s]).sum(axis=0)
            length = np.where(length > IDENTIFIED * np.maximum(whole, 1e-300), length, np.nan)
            estimate[at, :, part] = (dy - on_y.T @ xd[s]) / length
            for name, each in sums.items():
                meat = each.meat(s, on_d, on_y, estimate[at, :, part])
                parameters = 1 + len(s) + effects.absorbed[name]
                factor = cluster_factor(n, [clusters[name]], parameters) if n > parameters else np.nan
                se[name][at, :, part] = np.sqrt(factor * meat) / length
    freedom = {name: int(codes.max()) for name, codes in clusters.items()}
    return Fits(estimate, se, freedom)


def _solve(x: np.ndarray, gram: np.ndarray, chosen: list[int], before: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Of the chosen controls those that are independent, and the inverse of their cross products.

    ``before`` (controls,) are the columns' lengths before effects were taken out, in that of the columns x.
    """
    own = gram[np.ix_(chosen, chosen)]
    if not chosen or (before[chosen].max() * COLLINEAR < 1e-4 and np.linalg.eigvalsh(own)[0] > WELL_CONDITIONED):
        return chosen, np.linalg.inv(own)
    known = identified(x[:, chosen], before[chosen])
    kept = [k for k, holds in zip(chosen, known, strict=True) if holds]
    if not kept:
        return kept, np.empty((0, 0))
    r = np.linalg.qr(x[:, kept], mode="r")
    inverse = linalg.solve_triangular(r, np.eye(len(kept)))
    return kept, inverse @ inverse.T


@dataclass(frozen=True)
class _Sums:
    """Sums by cluster of products of what effects leave of controls x and outcomes y.

    ``add`` (clusters, n) adds up rows, ``load`` ((controls + outcomes) clusters, n) adds them up times a column.
    """

    add: sparse.csr_array
    load: sparse.csr_array
    xx: np.ndarray  # (clusters, controls, controls)
    xy: np.ndarray  # (clusters, controls, outcomes)

    @classmethod
    def of(cls, codes: np.ndarray, x: np.ndarray, y: np.ndarray) -> _Sums:
        n, groups = len(codes), int(codes.max()) + 1
        add = sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(groups, n))
        scaled = [sparse.csr_array((column, (codes, np.arange(n))), shape=(groups, n)) for column in (*x.T, *y.T)]
        load = sparse.csr_array(sparse.vstack(scaled)) if scaled else sparse.csr_array((0, n))
        xx = (add @ (x[:, :, None] * x[:, None, :]).reshape(n, -1)).reshape(groups, x.shape[1], x.shape[1])
        xy = (add @ (x[:, :, None] * y[:, None, :]).reshape(n, -1)).reshape(groups, x.shape[1], y.shape[1])
        return cls(add, load, xx, xy)

    def with_treatment(self, d: np.ndarray) -> _Crossed:
        """The sums of products with treatments d (n, b) as well."""
        groups, width = self.xx.shape[:2]
        crossed = (self.load @ d).reshape(-1, groups, d.shape[1])
        return _Crossed(self, self.add @ (d * d), crossed[:width], crossed[width:])


@dataclass(frozen=True)
class _Crossed:
    """Sums by cluster with treatments: dd (clusters, b), xd (controls, clusters, b), yd (outcomes, clusters, b)."""

    sums: _Sums
    dd: np.ndarray
    xd: np.ndarray
    yd: np.ndarray

    def meat(self, chosen: list[int], on_d: np.ndarray, on_y: np.ndarray, estimate: np.ndarray) -> np.ndarray:
        """Sum over clusters of squared scores, (outcomes, b).

        With u the residual of d and e that of y, the score is the sum of u (e - estimate u) over the cluster; ``on_d``
        (k, b) and ``on_y`` (k, outcomes) are the coefficients of d and y on the chosen controls.
        """
        xd = self.xd[chosen]
        xx = self.sums.xx[:, chosen][:, :, chosen]
        square = self.dd.copy()
        for k in range(len(chosen)):
            square -= (2 * on_d[k]) * xd[k]
        upper, lower = np.triu_indices(len(chosen))
        twice = np.where(upper == lower, 1.0, 2.0)
        square += xx[:, upper, lower] @ (twice[:, None] * on_d[upper] * on_d[lower])
        found = np.empty_like(estimate)
        flat = xd.reshape(len(chosen), square.size)
        for j in range(estimate.shape[0]):
            score = self.yd[j] - (on_y[:, j] @ flat).reshape(square.shape)
            score -= (self.sums.xy[:, chosen, j] - xx @ on_y[:, j]) @ on_d
            score -= estimate[j] * square
            found[j] = np.einsum("gb,gb->b", score, score)
        return found

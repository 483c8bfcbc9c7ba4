"""Do the instruments serve: tests of rank, of strength, of overidentification, and inference that weakness cannot hurt.

Everything takes arrays from which effects and controls are already partialled out (Frisch and Waugh 1933), and follows
ivreg2 (Baum, Schaffer and Stillman 2007) without its ``small`` option. Coefficients of the second stage live in
`regression`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from scipy import linalg, stats

from analysis.results import CannotEstimate

#: A covariance whose smallest eigenvalue is below this share of its largest has no usable inverse.
SINGULAR = 1e-10


@dataclass(frozen=True)
class Setting:
    """What the variance estimators need to know beside the data.

    Attributes
    ----------
    covariance : "classical", "robust" or "clustered".
    clusters : codes (n,) for each way of clustering; empty unless clustered.
    n : observations.
    exogenous : controls, the constant included where there are no effects.
    dofminus : absorbed effects that large-sample formulas subtract from n (all of them, or those nested in a cluster).
    sdofminus : absorbed effects that only small-sample factors subtract (those not nested in a cluster).
    """

    covariance: str
    clusters: Sequence[np.ndarray]
    n: int
    exogenous: int
    dofminus: int
    sdofminus: int

    @property
    def smallest(self) -> int | None:
        """Number of clusters, the smaller with two ways; None without."""
        return min(int(codes.max()) + 1 for codes in self.clusters) if self.clusters else None

    def large(self, chi2: float) -> float:
        """A statistic on n observations with ivreg2's large-sample correction, none under clusters."""
        return chi2 if self.clusters else chi2 * (self.n - self.dofminus) / self.n

    def freedom(self, instruments: int) -> float:
        """Denominator degrees of freedom of an F over the first stage with that many excluded instruments."""
        if self.smallest is not None:
            return float(self.smallest - 1)
        return float(self.n - self.exogenous - instruments - self.dofminus - self.sdofminus)

    def as_f(self, chi2: float, instruments: int) -> float:
        """A Wald statistic on n observations as the F that ivreg2 reports."""
        left = self.n - self.exogenous - instruments - self.sdofminus
        if self.smallest is None:
            return chi2 / self.n * (left - self.dofminus) / instruments
        return chi2 / (self.n - 1) * left * (self.smallest - 1) / self.smallest / instruments

    def from_f(self, f: float, instruments: int) -> float:
        """The inverse of `as_f`."""
        return f / self.as_f(1.0, instruments)

    def score_covariance(self, regressors: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Covariance of regressors' residual, summed over the sample, shape (k, k); no small-sample factor."""
        if self.covariance == "classical":
            return (regressors.T @ regressors) * float(residual @ residual) / self.n
        return cross_scores(regressors * residual[:, None], regressors * residual[:, None], self.clusters)


def cross_scores(left: np.ndarray, right: np.ndarray, clusters: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over clusters of (sum of left)'(sum of right), shape (k, m); each row its own cluster without clusters.

    With two ways of clustering: first + second - intersection (Cameron, Gelbach and Miller 2011, equation 2.13).
    """
    if not clusters:
        return left.T @ right
    ways = [(1.0, codes) for codes in clusters]
    if len(clusters) == 2:
        both = clusters[0].astype(np.int64) * (int(clusters[1].max()) + 1) + clusters[1]
        ways.append((-1.0, np.unique(both, return_inverse=True)[1]))
    elif len(clusters) > 2:
        raise CannotEstimate(f"Clusters can be one or two columns, not {len(clusters)}.")
    return sum(sign * (_sums(left, codes).T @ _sums(right, codes)) for sign, codes in ways)


def _sums(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(codes, weights=column) for column in values.T], axis=1)


@dataclass(frozen=True)
class Rank:
    """Tests that the instruments identify the endogenous regressors.

    ``rk_lm`` and its ``rk_lm_p``: chi-squared with instruments - endogenous + 1 degrees of freedom, null of
    underidentification. ``rk_wald_f`` and ``cragg_donald_f``: strength, to compare with Stock and Yogo. With classical
    errors ``rk_lm`` is Anderson's canonical-correlation statistic and ``rk_wald_f`` the Cragg-Donald F, which is what
    the Kleibergen-Paap statistics become then. Missing where the covariance of the scores is singular (few clusters).
    """

    rk_lm: float
    rk_lm_p: float
    rk_wald_f: float
    cragg_donald_f: float


def rank_tests(x: np.ndarray, z: np.ndarray, setting: Setting) -> Rank:
    """Kleibergen and Paap's (2006) rk statistics and Cragg and Donald's (1993), as ranktest and ivreg2 compute them.

    With orthonormal bases of x (n, k) and z (n, m), the canonical correlations are the singular values of theta = z'x;
    the null says that the smallest is zero. lambda = U2' theta V2 (their equation 9), where U2 (m, m - k + 1) and V2
    (k, 1) span the complement of the first k - 1 singular vectors. The LM form takes scores under the null, the Wald
    form from the residuals of the first stage.
    """
    n, instruments = z.shape
    endogenous = x.shape[1]
    x, z = np.linalg.qr(x)[0], np.linalg.qr(z)[0]
    theta = z.T @ x
    left, correlations, right = np.linalg.svd(theta, full_matrices=True)
    smallest = float(min(correlations[-1], 1.0))
    directions, weakest = left[:, endogenous - 1 :], right[-1]
    restricted = z @ directions
    distance = directions.T @ theta @ weakest
    null, alternative = x @ weakest, (x - z @ theta) @ weakest
    degrees = instruments - endogenous + 1
    freedom = n - setting.exogenous - instruments - setting.dofminus - setting.sdofminus
    with np.errstate(divide="ignore"):
        cragg_donald = float(np.divide(smallest**2, 1 - smallest**2)) * freedom / instruments
    if setting.covariance == "classical":
        lm, wald_f = setting.large(n * smallest**2), cragg_donald
    else:
        lm = setting.large(quadratic_form(distance, setting.score_covariance(restricted, null)))
        wald = quadratic_form(distance, setting.score_covariance(restricted, alternative))
        wald_f = setting.as_f(wald, instruments)
    return Rank(lm, float(stats.chi2.sf(lm, degrees)), wald_f, cragg_donald)


#: Shares of the worst-case bias for which `effective_f` has critical values.
TOLERATED = (0.05, 0.10, 0.20, 0.30)


@dataclass(frozen=True)
class EffectiveF:
    """Strength of the instruments of one endogenous regressor under any errors.

    ``f``: the statistic. ``critical``: tolerated bias, as a share of the worst case -> what ``f`` must exceed, at 5%.
    """

    f: float
    critical: dict[float, float]


def effective_f(x: np.ndarray, z: np.ndarray, setting: Setting) -> EffectiveF | None:
    """Montiel Olea and Pflueger's (2013) effective F; None unless x (n, 1) is one endogenous regressor.

    F = x'Pz x / tr(W2), W2 the covariance of z'x for orthonormal z with the robust or clustered errors of the first
    stage and the factors of its F (so that with one instrument it is that F, as in Stata's weakivtest). Critical values
    are those of the simplified procedure of their section 3.1 (bias bounded for every value of the other nuisance
    parameters, hence valid for two-stage least squares and LIML): the upper 5% point of a noncentral chi-squared with
    effective degrees of freedom K (1 + 2 b) (their theorem 1.2) and noncentrality K b, over K, b one over the tolerated
    share.
    """
    if x.shape[1] != 1:
        return None
    z = np.linalg.qr(z)[0]
    slope = z.T @ x[:, 0]
    middle = setting.score_covariance(z, x[:, 0] - z @ slope)
    trace = float(np.trace(middle))
    if trace <= 0:
        return EffectiveF(np.nan, {})
    instruments = z.shape[1]
    f = setting.as_f(float(slope @ slope) / trace * instruments, instruments)
    largest, square = float(np.linalg.eigvalsh(middle)[-1]), float(np.sum(middle**2))
    critical = {}
    for share in TOLERATED:
        b = 1 / share
        effective = trace**2 * (1 + 2 * b) / (square + 2 * b * trace * largest)
        critical[share] = float(stats.ncx2.ppf(0.95, effective, effective * b)) / effective
    return EffectiveF(f, critical)


def quadratic_form(vector: np.ndarray, covariance: np.ndarray) -> float:
    """vector' covariance^-1 vector, missing where the covariance is singular."""
    values = np.linalg.eigvalsh(covariance)
    if not np.isfinite(values).all() or values[0] <= SINGULAR * max(values[-1], 1e-300):
        return float("nan")
    return float(vector @ np.linalg.solve(covariance, vector))


@dataclass(frozen=True)
class Overidentification:
    """Sargan's (1958) or Hansen's (1982) J: chi-squared with ``degrees`` = instruments - endogenous, null of validity.

    Zero with p missing when just identified; missing where the covariance of the moments is singular.
    """

    statistic: float
    p: float
    degrees: int
    name: str


def overidentification(
    y: np.ndarray, x: np.ndarray, z: np.ndarray, residual: np.ndarray, setting: Setting
) -> Overidentification:
    """Sargan's statistic with classical errors, otherwise Hansen's J of two-step GMM, as ivreg2 gives after 2SLS.

    By linearmodels, but for two ways of clustering, which its GMM does not have.
    """
    from linearmodels.iv import IV2SLS, IVGMM
    from linearmodels.iv.results import IVGMMResults, IVResults

    name = "Sargan" if setting.covariance == "classical" else "Hansen J"
    degrees = z.shape[1] - x.shape[1]
    if degrees == 0:
        return Overidentification(0.0, float("nan"), 0, name)
    z, x = np.linalg.qr(z)[0], np.linalg.qr(x)[0]
    moments = setting.score_covariance(z, residual)
    zx, zy = z.T @ x, z.T @ y
    if setting.covariance == "classical":
        found = float(cast(IVResults, IV2SLS(y, None, x, z).fit(cov_type="unadjusted")).sargan.stat)
    elif np.isnan(quadratic_form(zy, moments)):
        return Overidentification(float("nan"), float("nan"), degrees, name)
    elif len(setting.clusters) < 2:
        options: dict[str, Any] = {}
        if setting.clusters:
            options = {"weight_type": "clustered", "clusters": setting.clusters[0]}
        found = float(cast(IVGMMResults, IVGMM(y, None, x, z, **options).fit(iter_limit=2)).j_stat.stat)
    else:
        weighted = np.linalg.solve(moments, zx)
        distance = zy - zx @ np.linalg.solve(weighted.T @ zx, weighted.T @ zy)
        found = quadratic_form(distance, moments)
    statistic = setting.large(found)
    return Overidentification(statistic, float(stats.chi2.sf(statistic, degrees)), degrees, name)


@dataclass(frozen=True)
class AndersonRubin:
    """Inference on the endogenous coefficients that holds however weak the instruments are (Anderson and Rubin 1949).

    Attributes
    ----------
    chi2, chi2_p, f, f_p
        Wald test that the instruments do not enter the reduced form, i.e. that every endogenous coefficient is zero.
    degrees
        Excluded instruments.
    intervals
        The confidence set of the coefficient as closed intervals in ascending order, ends -inf and inf where it is
        unbounded, ``()`` where it is empty (overidentification rejected at every value); None with several endogenous
        regressors or with too few clusters to invert the covariance.
    level
        Of the set, 0.95.
    """

    chi2: float
    chi2_p: float
    f: float
    f_p: float
    degrees: int
    intervals: tuple[tuple[float, float], ...] | None
    level: float

    @property
    def bounded(self) -> bool | None:
        """Whether the set has both ends; None where there is no set."""
        return None if self.intervals is None else all(np.isfinite(ends).all() for ends in self.intervals)

    def __contains__(self, value: float) -> bool:
        return any(low <= value <= high for low, high in self.intervals or ())

    def describe(self) -> str:
        """The set in words and brackets."""
        if self.intervals is None:
            return "not computed (several endogenous regressors, or too few clusters)"
        if not self.intervals:
            return "empty: no value is compatible with all instruments"
        if self.intervals == ((-np.inf, np.inf),):
            return "the whole line: the instruments say nothing about the coefficient"
        return " and ".join(
            f"{'(' if np.isinf(low) else '['}{low:.6g}, {high:.6g}{')' if np.isinf(high) else ']'}"
            for low, high in self.intervals
        )


def anderson_rubin(
    y: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    setting: Setting,
    *,
    around: tuple[float, float],
    small: bool = False,
    level: float = 0.95,
) -> AndersonRubin:
    """The test at zero and, for one endogenous regressor, the set of values that it does not reject.

    Reject b where g(b)' V(b)^-1 g(b) > c, with g(b) the reduced-form coefficients of y - x b on z and V(b) their
    covariance, a quadratic in b. The ends of the set are the real b at which det(V(b) - g(b) g(b)' / c) = 0, a
    quadratic eigenvalue problem, so they are exact, with any number of instruments and any covariance.

    Parameters
    ----------
    around
        A centre and a scale for the coefficient (the 2SLS estimate and its standard error): numerical conditioning
        only.
    small
        Take c from F with small-sample factors instead of chi-squared.
    """
    instruments = z.shape[1]
    z = np.linalg.qr(z)[0]
    freedom = setting.freedom(instruments)
    wald = quadratic_form(z.T @ y, setting.score_covariance(z, y - z @ (z.T @ y)))
    chi2, f = setting.large(wald), setting.as_f(wald, instruments)
    limit = (
        setting.from_f(float(stats.f.ppf(level, instruments, freedom)), instruments)
        if small
        else float(stats.chi2.ppf(level, instruments)) / setting.large(1.0)
    )
    return AndersonRubin(
        chi2=chi2,
        chi2_p=float(stats.chi2.sf(chi2, instruments)),
        f=f,
        f_p=float(stats.f.sf(f, instruments, freedom)),
        degrees=instruments,
        intervals=_set(y, x[:, 0], z, setting, limit, around) if x.shape[1] == 1 else None,
        level=level,
    )


def _set(
    y: np.ndarray, x: np.ndarray, z: np.ndarray, setting: Setting, limit: float, around: tuple[float, float]
) -> tuple[tuple[float, float], ...] | None:
    """Intervals of b = centre + scale t that the test does not reject."""
    centre, scale = around
    y, x = y - x * centre, x * scale
    g0, g1 = z.T @ y, -(z.T @ x)
    r0, r1 = y - z @ g0, -(x + z @ g1)
    v00, v01, v11 = (_cross(z, a, b, setting) for a, b in ((r0, r0), (r0, r1), (r1, r1)))
    if np.isnan(quadratic_form(g0, v00)):
        return None
    m0 = v00 - np.outer(g0, g0) / limit
    m1 = v01 + v01.T - (np.outer(g0, g1) + np.outer(g1, g0)) / limit
    m2 = v11 - np.outer(g1, g1) / limit

    def accepted(t: float) -> bool:
        covariance = v00 + t * (v01 + v01.T) + t * t * v11
        statistic = quadratic_form(g0 + t * g1, covariance)
        return bool(statistic <= limit)

    ends = _real_eigenvalues(m0, m1, m2)
    inner = [(a + b) / 2 for a, b in pairwise(ends)]
    width = max(1.0, float(np.ptp(ends)) if len(ends) else 1.0)
    points = [ends[0] - width, *inner, ends[-1] + width] if len(ends) else [0.0]
    edges = [-np.inf, *(centre + scale * end for end in ends), np.inf]
    found: list[tuple[float, float]] = []
    for (low, high), point in zip(pairwise(edges), points, strict=True):
        if not accepted(point):
            continue
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple((float(low), float(high)) for low, high in found)


def _cross(z: np.ndarray, a: np.ndarray, b: np.ndarray, setting: Setting) -> np.ndarray:
    if setting.covariance == "classical":
        return np.eye(z.shape[1]) * float(a @ b) / setting.n
    return cross_scores(z * a[:, None], z * b[:, None], setting.clusters)


def _real_eigenvalues(m0: np.ndarray, m1: np.ndarray, m2: np.ndarray) -> list[float]:
    """Real t, ascending, with det(m0 + t m1 + t^2 m2) = 0."""
    size = len(m0)
    zero, one = np.zeros((size, size)), np.eye(size)
    scale = max(np.abs(m0).max(), np.abs(m1).max(), np.abs(m2).max(), 1e-300)
    left = np.block([[zero, one], [-m0 / scale, -m1 / scale]])
    right = np.block([[one, zero], [zero, m2 / scale]])
    values = linalg.eigvals(left, right)
    finite = values[np.isfinite(values) & (np.abs(values) < 1e12)]
    return sorted(float(value.real) for value in finite if abs(value.imag) <= 1e-7 * (1 + abs(value.real)))

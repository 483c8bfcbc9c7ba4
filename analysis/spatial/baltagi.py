"""The error model with random unit effects beside its spatial filter, by maximum likelihood.

Baltagi, Song and Koh (2003). Kapoor, Kelejian and Prucha's effects, which pass through the filter, are in
``likelihood`` with every other model. Arrays in, numbers out; ``models`` names and reports them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from analysis.results import CannotEstimate
from analysis.spatial.determinant import DENSE_LIMIT
from analysis.spatial.likelihood import Problem, least_squares, spatial_lag


@dataclass(frozen=True)
class ErrorComponents:
    """The maximum: beta (k,), lambda, variances of innovations and of units, log-likelihood, and the covariance of
    (beta, lambda) from the expected information, variances included.
    """

    beta: np.ndarray
    lam: float
    sigma2: float
    unit_variance: float
    loglik: float
    covariance: np.ndarray
    residual_sum: float


def error_components(problem: Problem) -> ErrorComponents:
    """y = X b + u, u_t = mu + e_t, e_t = lambda W e_t + v_t, with mu independent of x and v.

    Deviations from unit means have the covariance s2 (B'B)^-1 a period (T - 1 of them), sqrt(T) times the means
    s2 (B'B)^-1 + T s2_mu I, with B = I - lambda W (Baltagi, Song and Koh 2003, equation 2.8).

    Raises
    ------
    CannotEstimate
        More than 4,000 units, or a likelihood that rises up to the border of lambda's interval.
    """
    assert problem.error is not None
    n, periods = problem.y.shape
    if n > DENSE_LIMIT:
        raise CannotEstimate(f"Baltagi's random effects need dense matrices: {n} units are more than {DENSE_LIMIT}.")
    matrix = problem.error.matrix
    columns = np.concatenate([problem.y[:, :, None], problem.x], axis=2)
    mean = columns.mean(axis=1)
    within = columns - mean[:, None, :]
    lagged = spatial_lag(matrix, within)
    flat, lag_flat = (part.reshape(n * periods, -1) for part in (within, lagged))
    raw, mixed, twice = flat.T @ flat, flat.T @ lag_flat, lag_flat.T @ lag_flat
    dense = matrix.toarray()
    low, high = problem.error.spectrum.interval

    def at(lam: float) -> _Profile:
        filter_ = np.eye(n) - lam * dense
        values, vectors = linalg.eigh(filter_.T @ filter_)
        between = np.sqrt(periods) * (vectors.T @ mean)
        cross = raw - lam * (mixed + mixed.T) + lam**2 * twice
        return _Profile(lam, values, vectors, between, cross, n, periods)

    grid = low + (high - low) * (1 - np.cos(np.pi * (np.arange(16) + 0.5) / 16)) / 2
    heights = [at(lam).best()[1] for lam in grid]
    best = int(np.argmax(heights))
    if best in (0, len(grid) - 1):
        raise CannotEstimate(
            f"The likelihood rises up to the border of the interval ({low:.4g}, {high:.4g}) of lambda: the data do not "
            "bound it. Use another weights matrix, or a model without this parameter."
        )
    found = optimize.minimize_scalar(
        lambda lam: -at(lam).best()[1],
        bounds=(grid[best - 1], grid[best + 1]),
        method="bounded",
        options={"xatol": 1e-9},
    )
    profile = at(float(found.x))
    ratio, loglik = profile.best()
    beta, sigma2, gram = profile.solve(ratio)
    unit_variance = ratio * sigma2
    inverse = np.linalg.inv(profile.information(dense, sigma2, unit_variance))
    k = len(beta)
    covariance = np.zeros((k + 1, k + 1))
    covariance[:k, :k] = sigma2 * np.linalg.inv(gram)
    covariance[k, k] = inverse[0, 0]
    return ErrorComponents(beta, profile.lam, sigma2, unit_variance, loglik, covariance, sigma2 * n * periods)


@dataclass(frozen=True)
class _Profile:
    """The likelihood at one lambda: eigenvalues (n,) and vectors of B'B, means of (y, X) in that basis (n, 1 + k), and
    cross-products of what is within units, filtered.
    """

    lam: float
    values: np.ndarray
    vectors: np.ndarray
    between: np.ndarray
    cross: np.ndarray
    n: int
    periods: int

    def solve(self, ratio: float) -> tuple[np.ndarray, float, np.ndarray]:
        """beta, sigma2 and X'S^-1 X with the unit variance ``ratio`` times sigma2."""
        weight = 1 / (1 / self.values + self.periods * ratio)
        total = self.cross + self.between.T @ (weight[:, None] * self.between)
        beta = least_squares(total[1:, 1:], total[1:, 0])
        contrast = np.array([1.0, *-beta])
        return beta, float(contrast @ total @ contrast) / (self.n * self.periods), total[1:, 1:]

    def loglik(self, ratio: float) -> float:
        """The log-likelihood with beta and sigma2 concentrated out."""
        size = self.n * self.periods
        _, sigma2, _ = self.solve(ratio)
        determinant = (self.periods - 1) * np.log(self.values).sum()
        determinant -= np.log(1 / self.values + self.periods * ratio).sum()
        return float(determinant / 2 - size / 2 * (np.log(2 * np.pi * sigma2) + 1))

    def best(self) -> tuple[float, float]:
        """The ratio of variances, zero or more, at which the likelihood is largest, and its value there."""
        found = optimize.minimize_scalar(
            lambda log: -self.loglik(float(np.exp(log))), bounds=(-18.0, 9.0), method="bounded", options={"xatol": 1e-9}
        )
        none = self.loglik(0.0)
        return (0.0, none) if none >= -found.fun else (float(np.exp(found.x)), float(-found.fun))

    def information(self, matrix: np.ndarray, sigma2: float, unit_variance: float) -> np.ndarray:
        """Expected information (3, 3) of lambda, sigma2 and the unit variance, which beta's is orthogonal to."""
        filter_ = np.eye(self.n) - self.lam * matrix
        inner = self.vectors.T @ (matrix.T @ filter_ + filter_.T @ matrix) @ self.vectors
        spread = 1 / self.values
        slope = sigma2 * spread[:, None] * inner * spread[None, :]  # of s2 (B'B)^-1 in lambda
        own = (slope, np.diag(spread), np.zeros((self.n, self.n)))
        result = np.zeros((3, 3))
        for times, variance, slopes in (
            (self.periods - 1, sigma2 * spread, own),
            (1, sigma2 * spread + self.periods * unit_variance, (*own[:2], self.periods * np.eye(self.n))),
        ):
            scaled = [part / np.sqrt(np.outer(variance, variance)) for part in slopes]
            result += times / 2 * np.array([[np.sum(a * b) for b in scaled] for a in scaled])
        return result

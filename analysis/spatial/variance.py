"""Variance of the estimates of a spatial panel model, and Lee and Yu's direct bias correction, which needs it.

Arrays only, as in ``likelihood``. Parameters are ordered beta (k), rho, lambda (those that the model has), sigma2, phi.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from analysis.results import CannotEstimate
from analysis.spatial.determinant import DENSE_LIMIT
from analysis.spatial.likelihood import Likelihood, Point, spatial_lag


@dataclass(frozen=True)
class Local:
    """The model at one point of its parameters: what both information matrices and scores are made of."""

    likelihood: Likelihood
    point: Point

    @property
    def spatial(self) -> list[int]:
        """0 for rho, 1 for lambda: the spatial parameters that the model has."""
        problem = self.likelihood.problem
        return [which for which, matrix in enumerate((problem.lag, problem.error)) if matrix]

    @cached_property
    def _direction(self) -> np.ndarray:
        """q = S_lambda 1, the direction that time effects take in a period."""
        error = self.likelihood.problem.error
        ones = np.ones(self.likelihood.problem.n)
        return ones - self.point.lam * error.row_sums if error else ones

    def project(self, values: np.ndarray) -> np.ndarray:
        """Values n x … with the direction of the time effects taken out of each period."""
        q = self._direction
        return values - np.multiply.outer(q, np.tensordot(q, values, axes=1) / (q @ q))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Values n x T x … less the effects; random effects append the weighted unit means as one more period."""
        problem = self.likelihood.problem
        if problem.units != "none":
            mean = values.mean(axis=1, keepdims=True)
            between = [self.point.phi * np.sqrt(values.shape[1]) * mean] if problem.units == "random" else []
            values = np.concatenate([values - mean, *between], axis=1)
        return self.project(values) if problem.time else values

    def filtered(self, values: np.ndarray) -> np.ndarray:
        """S_lambda applied to values n x T x …."""
        error = self.likelihood.problem.error
        return values - self.point.lam * spatial_lag(error.matrix, values) if error else values

    @cached_property
    def regressors(self) -> np.ndarray:
        """S_lambda X without effects, n x T x k."""
        return self.transform(self.filtered(self.likelihood.problem.x))

    @cached_property
    def _unexplained(self) -> np.ndarray:
        """S_lambda (S_rho y - X b), effects still in, n x T."""
        problem = self.likelihood.problem
        values = problem.y - problem.x @ self.point.beta
        if problem.lag:
            values = values - self.point.rho * spatial_lag(problem.lag.matrix, problem.y)
        return self.filtered(values)

    @cached_property
    def residuals(self) -> np.ndarray:
        """Innovations without effects, n x T."""
        return self.transform(self._unexplained)

    @cached_property
    def multipliers(self) -> dict[int, np.ndarray]:
        """Q of each spatial parameter, n x n: the slope of the residuals in it is minus Q v minus a mean.

        Q = S_lambda W S_rho^-1 S_lambda^-1 for rho and M S_lambda^-1 for lambda.
        """
        problem, dense = self.likelihood.problem, {}
        if problem.error:
            dense[1] = _times_inverse(problem.error.matrix.toarray(), problem.error.matrix, self.point.lam)
        if problem.lag:
            q = _times_inverse(problem.lag.matrix.toarray(), problem.lag.matrix, self.point.rho)
            if problem.error and problem.error.matrix is not problem.lag.matrix:
                q = _times_inverse(self.filtered(q), problem.error.matrix, self.point.lam)
            dense[0] = q
        if not problem.recentres:
            return dense
        return {which: self.project(self.project(q).T).T for which, q in dense.items()}

    @cached_property
    def lag_mean(self) -> np.ndarray:
        """The non-random part of S_lambda W y, effects removed, n x T: S_lambda G (X b + a 1)."""
        problem = self.likelihood.problem
        assert problem.lag
        mean = problem.x @ self.point.beta
        if problem.time and problem.lag.constant_row_sum is None:
            q = self._direction
            mean = mean + (q @ self._unexplained / (q @ q))[None, :]
        system = sparse.eye_array(problem.n) - self.point.rho * problem.lag.matrix
        solved = sparse.linalg.splu(sparse.csc_array(system)).solve(np.ascontiguousarray(mean))
        return self.transform(self.filtered(spatial_lag(problem.lag.matrix, solved)))

    def means(self, which: int) -> np.ndarray:
        """The non-random slope of the residuals in rho; zero in lambda."""
        return self.lag_mean if which == 0 else np.zeros_like(self.residuals)


def _times_inverse(dense: np.ndarray, matrix: sparse.csr_array, parameter: float) -> np.ndarray:
    """dense (I - parameter matrix)^-1."""
    system = np.eye(matrix.shape[0]) - parameter * matrix.toarray()
    return linalg.solve(system.T, dense.T, overwrite_a=True, check_finite=False).T


def information(likelihood: Likelihood, point: Point) -> np.ndarray:
    """Expected information of beta, the spatial parameters, sigma2 and (random effects) phi.

    Lee and Yu (2010, equations 15 and 35); Elhorst (2014, section 3.3). Above 4,000 units, where dense inverses do not
    fit, the observed information stands in.
    """
    if likelihood.problem.n > DENSE_LIMIT:
        return observed_information(likelihood, point)
    local, k, sigma2 = Local(likelihood, point), likelihood.k, point.sigma2
    spatial, periods = local.spatial, likelihood.problem_periods
    size = k + len(spatial) + 1 + (likelihood.problem.units == "random")
    result = np.zeros((size, size))
    x = local.regressors.reshape(local.residuals.size, k)
    result[:k, :k] = x.T @ x / sigma2
    at_sigma, q = k + len(spatial), local.multipliers
    for a, first in enumerate(spatial, start=k):
        mean = local.means(first).ravel()
        result[:k, a] = result[a, :k] = x.T @ mean / sigma2
        result[a, at_sigma] = result[at_sigma, a] = periods * np.trace(q[first]) / sigma2
        for b, second in enumerate(spatial, start=k):
            traces = np.sum(q[first] * q[second].T) + np.sum(q[first] * q[second])
            result[a, b] = periods * traces + mean @ local.means(second).ravel() / sigma2
    result[at_sigma, at_sigma] = likelihood.observations / (2 * sigma2**2)
    if likelihood.problem.units == "random":
        units, phi = likelihood.problem.cross_section, point.phi
        cross = (
            [0.0] * k
            + [-2 * np.trace(q[which]) / phi for which in spatial]
            + [-units / (phi * sigma2), 2 * units / phi**2]
        )
        result[-1, :] = result[:, -1] = cross
    return result


def observed_information(likelihood: Likelihood, point: Point) -> np.ndarray:
    """Minus the second derivatives of the log-likelihood in beta, the spatial parameters and sigma2 (no random
    effects).
    """
    if likelihood.problem.units == "random":
        raise CannotEstimate("Random effects with more than 4,000 units are not offered: use fixed unit effects.")
    parts, cross = likelihood.combinations(point.rho, point.lam), likelihood.cross(point.lam)
    beta, sigma2, k = point.beta, point.sigma2, likelihood.k
    residual = parts["y"] - parts["x"] @ beta
    spatial = Local(likelihood, point).spatial
    slopes = {0: parts["rho"], 1: parts["lambda"] - parts["lambda_x"] @ beta}
    jacobian = np.column_stack([parts["x"], *(slopes[which] for which in spatial)])
    size = k + len(spatial) + 1
    result = np.zeros((size, size))
    result[:-1, :-1] = jacobian.T @ cross @ jacobian / sigma2
    result[:-1, -1] = result[-1, :-1] = jacobian.T @ cross @ residual / sigma2**2
    step = 1e-5
    for a, which in enumerate(spatial, start=k):
        above, below = (
            likelihood.traces(point.rho + s * step * (which == 0), point.lam + s * step * (which == 1))[which]
            for s in (1.0, -1.0)
        )
        result[a, a] += likelihood.problem_periods * (above - below) / (2 * step)
    if 1 in spatial:
        shared = parts["lambda_x"].T @ cross @ residual / sigma2
        result[:k, -2] += shared
        result[-2, :k] += shared
    if len(spatial) == 2:
        ahead, behind = (likelihood.combinations(point.rho, point.lam + s)["rho"] for s in (0.5, -0.5))
        mixed = -(ahead - behind) @ cross @ residual / sigma2
        result[-3, -2] += mixed
        result[-2, -3] += mixed
    result[-1, -1] = likelihood.observations / (2 * sigma2**2)
    return result


def sandwich(likelihood: Likelihood, point: Point, groups: np.ndarray) -> np.ndarray:
    """Cluster-robust covariance of beta and the spatial parameters (and sigma2, phi fixed), groups numbered (n,).

    The score in rho holds the quadratic form v'Qv, whose parts i, j are not independent across units, so that a sum of
    outer products of unit scores would miss the products v_i v_j. Those are uncorrelated with each other and with what
    is linear in one unit, hence their squares are added pair by pair (Kelejian and Prucha 2001, lemma A.1, for panels).
    Errors may then be correlated and heteroskedastic in any way within a cluster. The factor is G / (G - 1).

    The estimate itself stays consistent only where the error variance is unrelated to the diagonal of Q (Lin and Lee
    2010).
    """
    local, k, sigma2 = Local(likelihood, point), likelihood.k, point.sigma2
    count = int(groups.max()) + 1
    member = sparse.csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(count, len(groups)))
    v, spatial = local.residuals, local.spatial
    products = v @ v.T
    linear = [np.einsum("itk,it->ik", local.regressors, v) / sigma2]
    linear += [np.einsum("it,it->i", local.means(which), v)[:, None] / sigma2 for which in spatial]
    own = np.diag(products)
    per_unit = likelihood.observations / len(groups)
    scores = np.asarray(member @ np.hstack([*linear, (own / (2 * sigma2**2) - per_unit / (2 * sigma2))[:, None]]))
    pairs = {}
    for a, which in enumerate(spatial, start=k):
        q = local.multipliers[which]
        pairs[a] = np.asarray(member @ ((q + q.T) * products / sigma2) @ member.T)
        centre = likelihood.problem_periods * np.asarray(member @ np.diag(q))
        scores[:, a] += np.diag(pairs[a]) / 2 - centre
    middle = scores.T @ scores
    for a, first in pairs.items():
        for b, second in pairs.items():
            middle[a, b] += np.sum(np.triu(first * second, 1))
    size = k + len(spatial) + 1
    bread = np.linalg.inv(information(likelihood, point)[:size, :size])
    return bread @ middle @ bread * count / (count - 1)


def direct_correction(likelihood: Likelihood, point: Point) -> Point:
    """The maximum-likelihood estimates less their bias from the estimated effects (Lee and Yu 2010, section 3.3).

    Unit effects: sigma2 times T / (T - 1). Time effects: plus I^-1 T (0, r, 1 / (2 sigma2)), where r = 1 / (1 - rho)
    for a row-normalised matrix and q'Qq / q'q in general (and -1 / (T phi) for phi of random effects). The
    log-likelihood stays that of the uncorrected maximum.
    """
    problem, k = likelihood.problem, likelihood.k
    periods = problem.y.shape[1]
    if problem.time:
        shifts = likelihood.recentring(point.rho, point.lam)
        spatial = Local(likelihood, point).spatial
        bias = np.array([0.0] * k + [shifts[which] for which in spatial] + [1 / (2 * point.sigma2)])
        if problem.units == "random":
            bias = np.append(bias, -1 / (periods * point.phi))
        step = np.linalg.solve(information(likelihood, point), periods * bias)
        moved = dict(zip(spatial, step[k:], strict=False))
        point = replace(
            point,
            beta=point.beta + step[:k],
            rho=point.rho + moved.get(0, 0.0),
            lam=point.lam + moved.get(1, 0.0),
            sigma2=point.sigma2 + step[k + len(spatial)],
            phi=min(1.0, point.phi + step[-1]) if problem.units == "random" else 1.0,
        )
    if problem.units == "fixed":
        point = replace(point, sigma2=point.sigma2 * periods / (periods - 1))
    return point

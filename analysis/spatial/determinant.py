"""Log-determinants and traces of I - rho W, and the interval of rho on which it can be inverted.

Arrays only: nothing here knows about data or panels.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import eigs, splu

from analysis.results import CannotEstimate

DENSE_LIMIT = 4000  # units; above it eigenvalues of the dense matrix cost more than sparse factorisations
Method = Literal["auto", "eigenvalues", "lu"]


class Spectrum:
    """What the likelihood needs of one spatial matrix W, n x n.

    ``"eigenvalues"`` (Ord 1975) is exact and makes every later evaluation cheap; ``"lu"`` factorises the sparse I - rho
    W anew for every rho and differentiates numerically, for matrices too large for the first. ``"auto"`` takes the
    eigenvalues up to 4,000 units.
    """

    def __init__(self, matrix: sparse.csr_array, method: Method = "auto") -> None:
        if method not in ("auto", "eigenvalues", "lu"):
            raise ValueError(f'log_determinant is {method!r}: choose "auto", "eigenvalues" or "lu".')
        self.matrix = matrix
        self.n = matrix.shape[0]
        self.exact = method == "eigenvalues" or (method == "auto" and self.n <= DENSE_LIMIT)
        self._logdets: dict[float, float] = {}

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """All eigenvalues, shape (n,); real where W is similar to a symmetric matrix."""
        scale = symmetrising_scale(self.matrix)
        if scale is None:
            return linalg.eigvals(self.matrix.toarray(), overwrite_a=True, check_finite=False)
        similar = sparse.diags_array(scale) @ self.matrix @ sparse.diags_array(1 / scale)
        dense = similar.toarray()
        return linalg.eigvalsh((dense + dense.T) / 2, overwrite_a=True, check_finite=False)

    @cached_property
    def ones_measure(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Eigenvalues and masses with 1'f(W)1 / n = sum of masses times f(eigenvalues), for any smooth f.

        None where there are too many units, or where eigenvectors are too nearly dependent to be trusted.
        """
        if not self.exact:
            return None
        scale = symmetrising_scale(self.matrix)
        if scale is not None:
            similar = (sparse.diags_array(scale) @ self.matrix @ sparse.diags_array(1 / scale)).toarray()
            values, vectors = linalg.eigh((similar + similar.T) / 2, overwrite_a=True, check_finite=False)
            return values, (vectors.T @ (1 / scale)) * (vectors.T @ scale) / self.n
        values, vectors = linalg.eig(self.matrix.toarray(), check_finite=False)
        masses = vectors.sum(axis=0) * linalg.lstsq(vectors, np.ones(self.n))[0] / self.n
        moments = [float((masses * values**k).sum().real) for k in range(4)]
        power, exact = np.ones(self.n), []
        for _ in range(4):
            exact.append(float(power.mean()))
            power = np.asarray(self.matrix @ power)
        trusted = np.abs(masses).sum() < 1e4 and np.allclose(moments, exact, rtol=1e-9)
        return (values, masses) if trusted else None

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Open interval around zero on which I - rho W is invertible: (1 / smallest, 1 / largest real eigenvalue).

        Without a negative (positive) real eigenvalue the side is bounded by the spectral radius.
        """
        # Without a loop of links W is nilpotent; rounding would give it small eigenvalues, so the graph is asked.
        if csgraph.connected_components(self.matrix, connection="strong")[0] == self.n:
            raise CannotEstimate(
                "The weights matrix has no eigenvalue other than zero (its links never form a loop), so the likelihood "
                "does not bound the spatial parameter: use links that go both ways."
            )
        low, high = self._real_extremes()
        radius = self.radius()
        tiny = 1e-10 * radius
        return (1 / low if low < -tiny else -1 / radius, 1 / high if high > tiny else 1 / radius)

    def radius(self) -> float:
        """Largest absolute eigenvalue."""
        if self.exact:
            return float(np.abs(self.eigenvalues).max())
        return float(np.abs(self._largest("LM")))

    def logdet(self, rho: float) -> float:
        """ln |I - rho W|."""
        if self.exact:
            return float(np.log(np.abs(1 - rho * self.eigenvalues)).sum())
        if rho not in self._logdets:
            system = sparse.csc_array(sparse.eye_array(self.n) - rho * self.matrix)
            # The determinant is positive inside the interval, so row exchanges may be ignored.
            self._logdets[rho] = float(np.log(np.abs(splu(system).U.diagonal())).sum())
        return self._logdets[rho]

    def trace(self, rho: float) -> float:
        """tr G with G = W (I - rho W)^-1, which is minus the slope of the log-determinant."""
        if self.exact:
            return float((self.eigenvalues / (1 - rho * self.eigenvalues)).sum().real)
        near = [self.logdet(rho + k * self._step(rho)) for k in (-2, -1, 1, 2)]
        return -(near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * self._step(rho))

    def trace_of_square(self, rho: float) -> float:
        """tr GG, minus the curvature of the log-determinant."""
        if self.exact:
            return float(((self.eigenvalues / (1 - rho * self.eigenvalues)) ** 2).sum().real)
        near = [self.logdet(rho + k * self._step(rho)) for k in (-2, -1, 0, 1, 2)]
        curvature = -near[0] + 16 * near[1] - 30 * near[2] + 16 * near[3] - near[4]
        return -curvature / (12 * self._step(rho) ** 2)

    def mean_diagonals(self, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean diagonals of (I - rho W)^-1 and of (I - rho W)^-1 W for each rho, each of the shape of rho."""
        if self.exact:
            inverse = 1 / (1 - np.multiply.outer(rho, self.eigenvalues))
            return inverse.mean(axis=-1).real, (inverse @ self.eigenvalues).real / self.n
        lagged = interpolate(lambda r: np.array([self.trace(r)]), rho)[:, 0] / self.n
        return 1 + rho * lagged, lagged

    def _step(self, rho: float) -> float:
        low, high = self.interval
        return min(2e-3, 0.1 * (high - rho), 0.1 * (rho - low))

    def _real_extremes(self) -> tuple[float, float]:
        if self.exact:
            values = self.eigenvalues
            real = values.real[np.abs(values.imag) < 1e-8 * np.abs(values).max()] if np.iscomplexobj(values) else values
            return float(real.min()), float(real.max())
        return float(self._largest("SR").real), float(self._largest("LR").real)

    def _largest(self, which: str) -> complex:
        start = np.random.default_rng(0).standard_normal(self.n)
        return complex(eigs(self.matrix, k=1, which=which, v0=start, return_eigenvectors=False, tol=1e-8)[0])


def symmetrising_scale(matrix: sparse.csr_array) -> np.ndarray | None:
    """s > 0 with diag(s) W diag(1/s) symmetric, or None where there is none.

    Row-normalised symmetric matrices have one; their eigenvalues are real and come from the cheaper symmetric problem.
    """
    n = matrix.shape[0]
    links = matrix.tocoo()
    log_squared = np.zeros(n)
    seen = np.zeros(n, dtype=bool)
    for start in range(n):
        if seen[start]:
            continue
        order, parents = csgraph.breadth_first_order(matrix, start, directed=True, return_predecessors=True)
        if len(order) > 1:
            children, fathers = order[1:], parents[order[1:]]
            forward = np.asarray(matrix[fathers, children]).ravel()
            backward = np.asarray(matrix[children, fathers]).ravel()
            if seen[order].any() or (backward <= 0).any():
                return None  # a link without a way back
            for child, father, step in zip(children, fathers, np.log(forward / backward), strict=True):
                log_squared[child] = log_squared[father] + step
        seen[order] = True
    # s_i w_ij / s_j = s_j w_ji / s_i  <=>  s_i^2 w_ij = s_j^2 w_ji
    scale = np.exp(log_squared / 2)
    there = scale[links.row] * links.data / scale[links.col]
    similar = sparse.csr_array((there, (links.row, links.col)), shape=(n, n))
    gap = abs(similar - similar.T)
    return scale if gap.nnz == 0 or gap.max() <= 1e-10 * there.max() else None


def interpolate(function: object, points: np.ndarray, nodes: int = 24) -> np.ndarray:
    """Values of a smooth vector function at many points from a Chebyshev interpolant on their range; (points, m)."""
    low, high = float(points.min()), float(points.max())
    if high - low < 1e-9:
        return np.repeat(np.asarray(function(low))[None, :], len(points), axis=0)  # type: ignore[operator]
    unit = np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)
    at = (low + high) / 2 + (high - low) / 2 * unit
    values = np.array([function(r) for r in at])  # type: ignore[operator]
    coefficients = np.polynomial.chebyshev.chebfit(unit, values, nodes - 1)
    scaled = (2 * points - low - high) / (high - low)
    return np.polynomial.chebyshev.chebval(scaled, coefficients).T

"""The Gaussian likelihood of spatial panel models, concentrated on the spatial parameters.

Arrays in, numbers out: no labels, no tables. One engine serves every model, because each is a special case of

    S_rho y_t = X_t b + c + a_t 1 + u_t,   S_lambda u_t = v_t,   S_r = I - r W,   v ~ N(0, s2 I),

with rho = 0 in SEM, lambda = 0 in SAR and SDM (whose X holds W x), both zero in SLX. Variances are in ``variance``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg, optimize, sparse
from scipy.sparse.linalg import splu

from analysis.results import CannotEstimate
from analysis.spatial.determinant import Spectrum

Units = Literal["none", "fixed", "random"]
Correction = Literal["transformation", "direct"] | None


@dataclass(frozen=True)
class SpatialMatrix:
    """A matrix with what the likelihood asks of it: its spectrum, row sums (n,), and their common value if there is
    one.
    """

    matrix: sparse.csr_array
    spectrum: Spectrum
    row_sums: np.ndarray
    constant_row_sum: float | None


@dataclass(frozen=True)
class Problem:
    """A balanced panel and a model.

    ``y`` is n x T, ``x`` n x T x k (W x among them). ``lag`` and ``error`` are the matrices of rho and lambda, or None.
    """

    y: np.ndarray
    x: np.ndarray
    lag: SpatialMatrix | None
    error: SpatialMatrix | None
    units: Units
    time: bool
    correction: Correction

    @property
    def n(self) -> int:
        """Units."""
        return self.y.shape[0]

    @property
    def periods(self) -> int:
        """Independent periods of the likelihood: T - 1 once the unit effects are transformed away."""
        return self.y.shape[1] - (self.units == "fixed" and self.correction == "transformation")

    @property
    def cross_section(self) -> int:
        """Independent units of a period: n - 1 once the time effects are transformed away."""
        return self.n - (self.time and self.correction == "transformation")

    @property
    def recentres(self) -> bool:
        """Whether the log-determinant is that of the transformed cross-section."""
        return self.time and self.correction == "transformation"


@dataclass(frozen=True)
class Point:
    """Parameters with the others concentrated out: beta (k,), sigma2, log-likelihood and its two slopes."""

    rho: float
    lam: float
    phi: float
    beta: np.ndarray
    sigma2: float
    loglik: float
    slope: np.ndarray


class Likelihood:
    """The log-likelihood as a function of (rho, lambda, phi), from cross-products computed once.

    Fixed unit effects: deviations from unit means over time, with T - 1 periods under ``"transformation"`` (Lee and Yu
    2010). Time effects: a_t is projected out. Under ``"transformation"`` the log-determinant is that of the n - 1
    transformed units: where every row of W sums to c this is exact, ln|S_rho| - ln(1 - c rho), Lee and Yu's term at c =
    1. Where rows sum to different numbers no transformation separates a_t from rho; the slope of the log-likelihood is
    then recentred by its exact expectation, 1'G1/n per period (G = W S_rho^-1), which is the same term when sums are
    constant. For lambda the marginal likelihood exists for any matrix: ln|S_lambda| - ln(1'S_lambda'S_lambda 1 / n) /
    2.

    Random unit effects (Elhorst 2003; in the error model those of Kapoor, Kelejian and Prucha 2007, which pass through
    the spatial filter): between deviations are weighted by phi**2 = s2 / (s2 + T s2_unit).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.k = problem.x.shape[2]
        blocks = self._blocks()
        self.columns = np.concatenate(blocks, axis=2)
        fixed = problem.units == "fixed"
        mean = self.columns.mean(axis=1, keepdims=True)
        within = self.columns if problem.units == "none" else self.columns - mean
        self.parts = [_Moments(within, problem)]
        if problem.units == "random":
            self.parts.append(_Moments(mean * np.sqrt(problem.y.shape[1]), problem))
        self.observations = problem.cross_section * (problem.periods if fixed else problem.y.shape[1])
        if problem.recentres and problem.lag and problem.error and problem.lag.constant_row_sum is None:
            raise CannotEstimate(
                "SAC with time effects and a lag matrix whose rows sum to different numbers has no exact "
                "transformation: "
                'row-normalise the matrix, or choose bias_correction="direct" or None.'
            )

    def _blocks(self) -> list[np.ndarray]:
        """y, W y, M y, M W y, x, M x; each n x T x something, absent ones left out."""
        problem = self.problem
        y = problem.y[:, :, None]
        lags = [y] + ([spatial_lag(problem.lag.matrix, y)] if problem.lag else [])
        errors = [spatial_lag(problem.error.matrix, column) for column in lags] if problem.error else []
        x = [problem.x] + ([spatial_lag(problem.error.matrix, problem.x)] if problem.error else [])
        return [*lags, *errors, *x]

    def combinations(self, rho: float, lam: float) -> dict[str, np.ndarray]:
        """Filtered variables as combinations of the stored columns.

        ``y``: S_lambda S_rho y; ``rho``: S_lambda W y; ``lambda``: M S_rho y; ``x``: S_lambda X; ``lambda_x``: M X.
        """
        lags, errors, k = 1 + bool(self.problem.lag), 1 + bool(self.problem.error), self.k
        # Entry [e, l] belongs to M^e W^l y, entry [e] of the x blocks to M^e X.
        y_filter, w_filter = np.array([1.0, -rho])[:lags], np.array([0.0, lags - 1.0])[:lags]
        e_filter, m_filter = np.array([1.0, -lam])[:errors], np.array([0.0, errors - 1.0])[:errors]
        found = {"x": np.zeros((lags * errors + k * errors, k)), "lambda_x": np.zeros((lags * errors + k * errors, k))}
        for block in range(errors):
            rows = np.arange(k) + lags * errors + block * k
            found["x"][rows, np.arange(k)] = e_filter[block]
            found["lambda_x"][rows, np.arange(k)] = m_filter[block]
        for name, across, along in (
            ("y", e_filter, y_filter),
            ("rho", e_filter, w_filter),
            ("lambda", m_filter, y_filter),
        ):
            found[name] = np.zeros(len(found["x"]))
            found[name][: lags * errors] = np.outer(across, along).ravel()
        return found

    def cross(self, lam: float, phi: float = 1.0) -> np.ndarray:
        """Cross-products of the columns after the effects are removed, m x m."""
        return sum((w * part.cross(lam) for w, part in zip((1.0, phi**2), self.parts, strict=False)), start=np.zeros(1))

    def at(self, rho: float, lam: float, phi: float = 1.0, *, value: bool = True) -> Point:
        """The concentrated likelihood at (rho, lambda, phi); ``value=False`` leaves the log-likelihood out."""
        parts, cross = self.combinations(rho, lam), self.cross(lam, phi)
        beta = least_squares(parts["x"].T @ cross @ parts["x"], parts["x"].T @ cross @ parts["y"])
        residual = parts["y"] - parts["x"] @ beta
        sigma2 = float(residual @ cross @ residual) / self.observations
        slope = np.array([parts["rho"], parts["lambda"] - parts["lambda_x"] @ beta]) @ cross @ residual
        slope[1] -= sum(w * p.drift(residual, lam) for w, p in zip((1.0, phi**2), self.parts, strict=False))
        slope = slope / sigma2 - self.problem_periods * np.array(self.traces(rho, lam))
        loglik = np.nan
        if value:
            determinant = self.logdets(rho, lam) * self.problem_periods + self.problem.cross_section * np.log(phi)
            loglik = determinant - self.observations / 2 * (np.log(2 * np.pi * sigma2) + 1)
        return Point(rho, lam, phi, beta, sigma2, float(loglik), slope)

    @property
    def problem_periods(self) -> int:
        """Periods that carry a log-determinant."""
        return self.problem.periods if self.problem.units == "fixed" else self.problem.y.shape[1]

    def logdets(self, rho: float, lam: float) -> float:
        """Both log-determinants of one period, of the transformed cross-section where time effects are transformed."""
        lag, error = self.problem.lag, self.problem.error
        total = (lag.spectrum.logdet(rho) if lag else 0.0) + (error.spectrum.logdet(lam) if error else 0.0)
        if self.problem.recentres and lag:
            total += self._lag_recentring_integral(rho)
        if self.problem.recentres and error:
            total -= np.log(self.parts[0].size(lam) / self.problem.n) / 2
        return float(total)

    def traces(self, rho: float, lam: float) -> tuple[float, float]:
        """tr G of both matrices, less the recentring terms where the time effects are transformed."""
        lag, error = self.problem.lag, self.problem.error
        first = lag.spectrum.trace(rho) if lag else 0.0
        second = error.spectrum.trace(lam) if error else 0.0
        if self.problem.recentres:
            shift = self.recentring(rho, lam)
            return first - shift[0], second - shift[1]
        return first, second

    def recentring(self, rho: float, lam: float) -> tuple[float, float]:
        """What one time effect takes from tr G of rho and of lambda: q'Qq / q'q with q = S_lambda 1."""
        lag = self.problem.lag
        first = 0.0
        if lag and lag.constant_row_sum is not None:
            first = lag.constant_row_sum / (1 - lag.constant_row_sum * rho)
        elif lag and lag.spectrum.ones_measure is not None:
            values, masses = lag.spectrum.ones_measure
            first = float((masses * values / (1 - rho * values)).sum().real)
        elif lag:
            first = float((lag.matrix @ self._inverse_times_ones(rho)).mean())
        moments = self.parts[0]
        second = (moments.ones_m - lam * moments.m_m) / moments.size(lam) if self.problem.error else 0.0
        return first, second

    def _inverse_times_ones(self, rho: float) -> np.ndarray:
        assert self.problem.lag
        system = sparse.eye_array(self.problem.n) - rho * self.problem.lag.matrix
        return np.asarray(splu(sparse.csc_array(system)).solve(np.ones(self.problem.n)))

    def _lag_recentring_integral(self, rho: float) -> float:
        assert self.problem.lag
        total = self.problem.lag.constant_row_sum
        if total is not None:
            return -float(np.log(1 - total * rho))
        if self.problem.lag.spectrum.ones_measure is not None:
            values, masses = self.problem.lag.spectrum.ones_measure
            return -float((masses * np.log(1 - rho * values)).sum().real)
        node, weight = np.polynomial.legendre.leggauss(24)
        at = rho * (node + 1) / 2
        return float(rho / 2 * sum(w * self.recentring(r, 0.0)[0] for w, r in zip(weight, at, strict=True)))


class _Moments:
    """Cross-products of columns (n x T x m), with what projecting a_t S_lambda 1 off each period takes from them."""

    def __init__(self, columns: np.ndarray, problem: Problem) -> None:
        n, periods, m = columns.shape
        self.time = problem.time
        self.row_sums = problem.error.row_sums if problem.error else np.zeros(n)
        constant = problem.error is None or problem.error.constant_row_sum is not None
        if problem.time and constant:
            columns = columns - columns.mean(axis=0, keepdims=True)
        self.projects = problem.time and not constant
        flat = columns.reshape(n * periods, m)
        self.raw = flat.T @ flat
        self.n = n
        self.ones_m = float(self.row_sums.sum())
        self.m_m = float(self.row_sums @ self.row_sums)
        self.by_ones = columns.sum(axis=0)
        self.by_m = np.tensordot(self.row_sums, columns, axes=1)

    def size(self, lam: float) -> float:
        """1'S_lambda'S_lambda 1."""
        return self.n - 2 * lam * self.ones_m + lam**2 * self.m_m

    def cross(self, lam: float) -> np.ndarray:
        if not self.projects:
            return self.raw
        along = self.by_ones - lam * self.by_m
        return self.raw - along.T @ along / self.size(lam)

    def drift(self, residual: np.ndarray, lam: float) -> float:
        """The part of the slope for lambda that comes from the estimated time effects; zero with constant row sums."""
        if not self.projects:
            return 0.0
        along = (self.by_ones - lam * self.by_m) @ residual
        effect = along / self.size(lam)
        return float(effect @ (self.by_m @ residual - (self.ones_m - lam * self.m_m) * effect))


def spatial_lag(matrix: sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """W applied to each period of an array n x T x … (or n x T)."""
    columns = int(np.prod(values.shape[1:]))
    return np.asarray(matrix @ values.reshape(values.shape[0], columns)).reshape(values.shape)


def least_squares(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve normal equations after scaling columns to unit length, so that units of measurement do not matter."""
    if not len(gram):
        return np.zeros(0)
    scale = 1 / np.sqrt(np.diag(gram))
    return scale * linalg.cho_solve(linalg.cho_factor(gram * np.outer(scale, scale)), scale * target)


def maximise(likelihood: Likelihood) -> Point:
    """The maximum over the spatial parameters, and over phi with random effects.

    Raises
    ------
    ValueError
        When the likelihood rises up to the border of the interval on which I - rho W is invertible.
    """
    if likelihood.problem.units != "random":
        return _maximise_spatial(likelihood, 1.0)

    def profile(log_phi: float) -> float:
        return -_maximise_spatial(likelihood, float(np.exp(log_phi))).loglik

    found = optimize.minimize_scalar(profile, bounds=(np.log(1e-4), 0.0), method="bounded", options={"xatol": 1e-10})
    edge = _maximise_spatial(likelihood, 1.0)
    return edge if edge.loglik >= -found.fun else _maximise_spatial(likelihood, float(np.exp(found.x)))


def _maximise_spatial(likelihood: Likelihood, phi: float) -> Point:
    lag, error = likelihood.problem.lag, likelihood.problem.error
    if lag and error:
        return _maximise_two(likelihood, phi, lag.spectrum.interval, error.spectrum.interval)
    if lag:
        return _maximise_one(lambda r, value: likelihood.at(r, 0.0, phi, value=value), 0, lag.spectrum.interval)
    if error:
        return _maximise_one(lambda r, value: likelihood.at(0.0, r, phi, value=value), 1, error.spectrum.interval)
    return likelihood.at(0.0, 0.0, phi)


def _inside(interval: tuple[float, float], count: int) -> np.ndarray:
    # Denser towards the borders, where the log-determinant bends.
    low, high = interval
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _maximise_one(at: Callable[[float, bool], Point], which: int, interval: tuple[float, float]) -> Point:
    grid = _inside(interval, 40)
    best = int(np.argmax([at(r, True).loglik for r in grid]))
    # Nearer the border the difference of two logarithms, which the transformation leaves, is rounding error.
    margin = 1e-6 * (interval[1] - interval[0])
    left = grid[best - 1] if best else interval[0] + margin
    right = grid[best + 1] if best + 1 < len(grid) else interval[1] - margin

    def slope(r: float) -> float:
        return float(at(r, False).slope[which])

    if slope(left) <= 0 or slope(right) >= 0:
        name = ("rho", "lambda")[which]
        raise CannotEstimate(
            f"The likelihood rises up to the border of the interval ({interval[0]:.4g}, {interval[1]:.4g}) of {name}: "
            "the data "
            "do not bound it. Use a sparser or another weights matrix, or a model without this parameter."
        )
    root = optimize.brentq(slope, left, right, xtol=1e-14, rtol=1e-14)
    return at(float(root), True)


def _maximise_two(likelihood: Likelihood, phi: float, lag: tuple[float, float], error: tuple[float, float]) -> Point:
    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        point = likelihood.at(theta[0], theta[1], phi)
        return -point.loglik, -point.slope

    # The likelihood of SAC often has two peaks, so the climb starts from several points of a grid.
    grid = [np.array([r, s]) for r in _inside(lag, 12) for s in _inside(error, 12)]
    starts = sorted(grid, key=lambda theta: objective(theta)[0])[:4]
    bounds = [(low + 1e-6 * (high - low), high - 1e-6 * (high - low)) for low, high in (lag, error)]
    climbs = [optimize.minimize(objective, s, jac=True, bounds=bounds, method="L-BFGS-B") for s in starts]
    best = min(climbs, key=lambda climb: climb.fun).x
    polished = optimize.root(lambda theta: likelihood.at(theta[0], theta[1], phi, value=False).slope, best, tol=1e-12)
    inside = all(low < v < high for v, (low, high) in zip(polished.x, bounds, strict=True))
    if not inside or np.abs(polished.x - best).max() > 1e-2:
        raise CannotEstimate(
            f"The likelihood has no maximum inside the intervals of rho {lag} and lambda {error}: the data do not "
            "tell the two "
            "parameters apart. Fit SAR or SEM, or use different matrices for lag and error."
        )
    return likelihood.at(float(polished.x[0]), float(polished.x[1]), phi)

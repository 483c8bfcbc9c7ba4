"""Direct, indirect and total effects of a spatial model, and their standard errors.

Everything is a function of (b, theta, rho) and of a few scalar functions of rho, which are computed on a handful of
points and interpolated, so that a thousand draws cost as much as one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, sparse, stats
from scipy.sparse.linalg import splu

from analysis.results import CannotEstimate
from analysis.spatial.determinant import Spectrum, interpolate
from analysis.spatial.weights import Weights

KINDS = ("direct", "indirect", "total")


@dataclass(frozen=True)
class Effects:
    """Average effects of each x.

    Attributes
    ----------
    table
        One row a term and kind: ``term``, ``effect`` ("direct", "indirect", "total"), ``estimate``, ``se`` (simulated),
        ``se_delta``, ``t``, ``p``, ``low``, ``high`` (normal theory, delta method).
    draws
        Draws used.
    rejected
        Draws replaced because I - rho W was not invertible there.
    """

    table: pd.DataFrame
    draws: int
    rejected: int

    def _kind(self, kind: str) -> pd.DataFrame:
        return self.table.loc[self.table["effect"] == kind].drop(columns="effect").set_index("term")

    @property
    def direct(self) -> pd.DataFrame:
        """Direct effects, indexed by term."""
        return self._kind("direct")

    @property
    def indirect(self) -> pd.DataFrame:
        """Indirect effects (spillovers), indexed by term."""
        return self._kind("indirect")

    @property
    def total(self) -> pd.DataFrame:
        """Total effects, indexed by term."""
        return self._kind("total")

    def summary(self) -> str:
        """The effects as text."""
        text = self.table.to_string(index=False, float_format=lambda value: f"{value:.6g}")
        rejected = f", {self.rejected} draws replaced" if self.rejected else ""
        return f"{text}\nstandard errors: se from {self.draws} draws{rejected}, se_delta by the delta method"


class Multiplier:
    """Means of (I - rho W)^-1 and (I - rho W)^-1 W over the diagonal and over all entries of a row, for many rho at
    once.
    """

    def __init__(self, weights: Weights, spectrum: Spectrum | None = None) -> None:
        self.weights = weights
        self.spectrum = spectrum or weights.spectrum

    def means(self, rho: np.ndarray) -> np.ndarray:
        """Shape (points, 4): diagonal of the inverse, of the inverse times W, row sums of both."""
        plain, lagged = self.spectrum.mean_diagonals(rho)
        total = self.weights.constant_row_sum
        if total is not None:
            sums = np.stack([1 / (1 - total * rho), total / (1 - total * rho)], axis=1)
        else:
            sums = interpolate(self._row_sums, rho)
        return np.column_stack([plain, lagged, sums])

    def _row_sums(self, rho: float) -> np.ndarray:
        n = self.weights.n
        system = sparse.csc_array(sparse.eye_array(n) - rho * self.weights.matrix)
        right = np.column_stack([np.ones(n), self.weights.row_sums])
        return np.asarray(splu(system).solve(right)).mean(axis=0)

    def bands(self, rho: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
        """Sums over pairs (flat positions per band) of both inverses over n; (points, 2 x bands)."""
        n, dense = self.weights.n, self.weights.matrix.toarray()

        def sums(r: float) -> np.ndarray:
            inverse = linalg.inv(np.eye(n) - r * dense, check_finite=False)
            lagged = inverse @ dense
            return np.array([matrix.ravel()[at].sum() / n for at in members for matrix in (inverse, lagged)])

        return interpolate(sums, rho, nodes=16)


def summarise_effects(
    x: Sequence[str], parameters: pd.Series, covariance: pd.DataFrame, multiplier: Multiplier, draws: int, seed: int
) -> Effects:
    """Effects with simulated and delta-method standard errors.

    ``parameters`` holds x, W:x where they exist, and ``rho`` last where it exists.
    """
    if not len(x):
        raise ValueError("The model has no x, so there are no effects to report: fit it with x.")
    if draws < 2:
        raise ValueError(f"draws is {draws}: simulated standard errors need at least two.")
    known = parameters.notna().to_numpy()
    estimate, spread = parameters.to_numpy()[known], covariance.to_numpy()[np.ix_(known, known)]
    names = list(parameters.index[known])

    def evaluate(theta: np.ndarray) -> np.ndarray:
        rho, beta, lagged = _split(theta, names, x)
        return _effects(beta, lagged, multiplier.means(rho))

    simulated, rejected = _draw(estimate, spread, names, multiplier, draws, seed)
    at = evaluate(estimate[None, :])[0]
    se = evaluate(simulated).std(axis=0, ddof=1)
    jacobian = _jacobian(evaluate, estimate, spread)
    se_delta = np.sqrt(np.clip(np.einsum("fp,pq,fq->f", jacobian, spread, jacobian), 0, None))
    return Effects(_tabulate(x, parameters, at, se, se_delta), draws, rejected)


def band_effects(
    x: Sequence[str],
    parameters: pd.Series,
    covariance: pd.DataFrame,
    multiplier: Multiplier,
    distance: np.ndarray,
    edges: list[float],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Indirect effects by band of distance, with simulated standard errors."""
    n = multiplier.weights.n
    if distance.shape != (n, n):
        raise ValueError(
            f"distance is {distance.shape[0]} x {distance.shape[-1]} and the weights have {n} units: they must match."
        )
    if len(edges) < 2 or edges != sorted(set(edges)):
        raise ValueError(f"edges {edges} must rise and number at least two.")
    apart = ~np.eye(n, dtype=bool)
    pairs = list(itertools.pairwise(edges))
    members = [np.flatnonzero((apart & (distance > low) & (distance <= high)).ravel()) for low, high in pairs]
    known = parameters.notna().to_numpy()
    estimate, spread = parameters.to_numpy()[known], covariance.to_numpy()[np.ix_(known, known)]
    names = list(parameters.index[known])

    def evaluate(theta: np.ndarray) -> np.ndarray:
        rho, beta, lagged = _split(theta, names, x)
        parts = multiplier.bands(rho, members).reshape(len(theta), len(members), 2)
        return beta[:, :, None] * parts[:, None, :, 0] + lagged[:, :, None] * parts[:, None, :, 1]

    simulated, _ = _draw(estimate, spread, names, multiplier, draws, seed)
    at, se = evaluate(estimate[None, :])[0], evaluate(simulated).std(axis=0, ddof=1)
    rows = [
        {"term": term, "band": f"{low:g}-{high:g}", "estimate": at[i, b], "se": se[i, b]}
        for i, term in enumerate(x)
        for b, (low, high) in enumerate(pairs)
    ]
    return pd.DataFrame(rows, columns=["term", "band", "estimate", "se"])


def _split(theta: np.ndarray, names: list[str], x: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rho (draws,), b and theta (draws, len(x)); what the model does not have is zero."""
    columns = dict(zip(names, theta.T, strict=True))
    zero = np.zeros(len(theta))
    beta = np.stack([columns.get(name, zero) for name in x], axis=1)
    lagged = np.stack([columns.get(f"W:{name}", zero) for name in x], axis=1)
    return columns.get("rho", zero), beta, lagged


def _effects(beta: np.ndarray, lagged: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Direct, indirect, total of each x, flattened: (draws, 3 x len(x))."""
    direct = beta * means[:, [0]] + lagged * means[:, [1]]
    total = beta * means[:, [2]] + lagged * means[:, [3]]
    return np.stack([direct, total - direct, total], axis=2).reshape(len(beta), -1)


def _draw(
    estimate: np.ndarray, spread: np.ndarray, names: list[str], multiplier: Multiplier, draws: int, seed: int
) -> tuple[np.ndarray, int]:
    """Draws from the normal distribution of the estimates; those with rho outside its interval are drawn again."""
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    # The sign of an eigenvector is arbitrary; fixing it keeps draws the same on every machine.
    root = root * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))] < 0, -1.0, 1.0)
    generator = np.random.default_rng(seed)
    kept, rejected = np.empty((0, len(estimate))), 0
    for _ in range(100):
        new = estimate + generator.standard_normal((draws, len(estimate))) @ root.T
        if "rho" in names:
            low, high = multiplier.spectrum.interval
            rho = new[:, names.index("rho")]
            inside = (rho > low) & (rho < high)
            rejected += int((~inside[: draws - len(kept)]).sum())
            new = new[inside]
        kept = np.vstack([kept, new])
        if len(kept) >= draws:
            return kept[:draws], rejected
    raise CannotEstimate(
        "Nearly all draws of rho fall outside its interval: rho lies at the border, so effects cannot be simulated."
    )


def _jacobian(evaluate: object, estimate: np.ndarray, spread: np.ndarray) -> np.ndarray:
    step = 1e-4 * np.sqrt(np.clip(np.diag(spread), 1e-300, None))
    shifts = np.diag(step)
    ahead, behind = (evaluate(estimate + sign * shifts) for sign in (1, -1))  # type: ignore[operator]
    return ((ahead - behind) / (2 * step[:, None])).T


def _tabulate(
    x: Sequence[str], parameters: pd.Series, at: np.ndarray, se: np.ndarray, se_delta: np.ndarray
) -> pd.DataFrame:
    frame = pd.DataFrame({"term": np.repeat(list(x), 3), "effect": list(KINDS) * len(x), "estimate": at, "se": se})
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se_delta > 0, at / se_delta, np.nan)
    margin = stats.norm.ppf(0.975) * se_delta
    frame = frame.assign(se_delta=se_delta, t=t, p=2 * stats.norm.sf(np.abs(t)), low=at - margin, high=at + margin)
    unknown = [name for name in x if pd.isna(parameters[name]) or pd.isna(parameters.get(f"W:{name}", 0.0))]
    frame.loc[frame["term"].isin(unknown), ["estimate", "se", "se_delta", "t", "p", "low", "high"]] = np.nan
    return frame

"""Simulated panels with known parameters: how far the estimates of a given weights matrix can be believed.

For the reader of a spatial table: dense matrices (inverse distance without cutoff) identify rho badly, and this shows
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import splu

from analysis.results import CannotEstimate
from analysis.spatial.likelihood import Correction, spatial_lag
from analysis.spatial.models import Model, panel
from analysis.spatial.weights import Weights


@dataclass(frozen=True)
class MonteCarlo:
    """What many simulated panels say about an estimator.

    Attributes
    ----------
    table
        One row a quantity (terms, ``rho``, and ``direct``, ``indirect``, ``total`` of x): ``truth``, ``mean``,
        ``bias``, ``bias_error`` (Monte Carlo standard error), ``sd``, ``mean_se``, ``coverage`` of 95% intervals,
        ``coverage_error``.
    panels
        Panels simulated.
    failed
        Panels whose likelihood had no maximum inside the admissible interval.
    """

    table: pd.DataFrame
    panels: int
    failed: int

    def summary(self) -> str:
        """The table as text."""
        text = self.table.to_string(index=False, float_format=lambda value: f"{value:.4f}")
        return f"{text}\n{self.panels} panels, {self.failed} without an estimate"


def monte_carlo(
    weights: Weights,
    *,
    periods: int,
    model: Model = "sdm",
    rho: float = 0.4,
    beta: float = 1.0,
    theta: float = 0.3,
    bias_correction: Correction = "transformation",
    autocorrelation: float = 0.0,
    cluster: str | None = None,
    panels: int = 2000,
    seed: int = 0,
) -> MonteCarlo:
    """Fit ``model`` with two-way effects to simulated panels y = rho W y + beta x + theta W x + c_i + a_t + v.

    x is standard normal plus the unit effect, v standard normal; panel k uses seed ``seed + k``. In SEM ``rho`` is the
    parameter of the error instead, and ``theta`` acts in SDM and SLX only. ``autocorrelation`` is that of x and v over
    the times of a unit, their variances staying one; ``cluster`` is "unit", or None for the information matrix.

    Raises
    ------
    ValueError
        For a model other than SAR, SEM, SDM, SLX, rho outside its interval, an autocorrelation that is no share, and
        weights as in ``panel``.
    """
    if model not in ("sar", "sem", "sdm", "slx"):
        raise ValueError(f'model is {model!r}: simulate "sar", "sem", "sdm" or "slx".')
    low, high = weights.spectrum.interval
    if not low < rho < high:
        raise ValueError(
            f"rho is {rho}, outside ({low:.4g}, {high:.4g}) where I - rho W is invertible: choose one inside."
        )
    if not 0 <= autocorrelation < 1:
        raise ValueError(f"autocorrelation is {autocorrelation}: choose 0 or more, and less than 1.")
    truth = _truth(weights, model, rho, beta, theta)
    solve = splu(sparse.csc_array(sparse.eye_array(weights.n) - rho * weights.matrix)).solve
    found, errors = [], []
    for run in range(panels):
        generator = np.random.default_rng(seed + run)
        data = _world(weights, periods, model, solve, beta, theta, autocorrelation, generator)
        try:
            fit = panel(
                data,
                "y",
                ["x"],
                weights,
                model=model,
                bias_correction=bias_correction,
                unit="unit",
                time="time",
                cluster=cluster,
            )
        except CannotEstimate as error:
            if "border" not in str(error):
                raise
            continue
        effects = fit.effects(draws=2).table
        found.append([*fit.table["estimate"], *effects["estimate"]])
        errors.append([*fit.table["se"], *effects["se_delta"]])
    return MonteCarlo(_tabulate(truth, np.array(found), np.array(errors)), panels, panels - len(found))


def _truth(weights: Weights, model: str, rho: float, beta: float, theta: float) -> pd.Series:
    n = weights.n
    lag, theta = rho if model in ("sar", "sdm") else 0.0, theta if model in ("sdm", "slx") else 0.0
    own = beta * sparse.eye_array(n) + theta * weights.matrix
    matrix = splu(sparse.csc_array(sparse.eye_array(n) - lag * weights.matrix)).solve(own.toarray())
    direct, total = np.trace(matrix) / n, matrix.sum() / n
    terms = {"x": beta} | ({"W:x": theta} if model in ("sdm", "slx") else {})
    terms |= {"rho": rho} if model in ("sar", "sdm") else {"lambda": rho} if model == "sem" else {}
    return pd.Series(terms | {"direct": direct, "indirect": total - direct, "total": total})


def _world(
    weights: Weights,
    periods: int,
    model: str,
    solve: object,
    beta: float,
    theta: float,
    autocorrelation: float,
    generator: np.random.Generator,
) -> pd.DataFrame:
    n = weights.n
    x, noise = generator.standard_normal((n, periods)), generator.standard_normal((n, periods))
    for series in (x, noise):
        for at in range(1, periods):
            series[:, at] *= np.sqrt(1 - autocorrelation**2)
            series[:, at] += autocorrelation * series[:, at - 1]
    unit_effect, time_effect = generator.standard_normal((n, 1)), generator.standard_normal((1, periods))
    x = x + unit_effect
    mean = beta * x + unit_effect + time_effect
    if model in ("sdm", "slx"):
        mean = mean + theta * spatial_lag(weights.matrix, x)
    error = solve(noise) if model == "sem" else noise  # type: ignore[operator]
    y = solve(mean + error) if model in ("sar", "sdm") else mean + error  # type: ignore[operator]
    labels = pd.Series(list(weights.labels), dtype=object).repeat(periods).to_numpy()
    return pd.DataFrame({"unit": labels, "time": np.tile(np.arange(periods), n), "y": y.ravel(), "x": x.ravel()})


def _tabulate(truth: pd.Series, found: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    count = len(found)
    spread = found.std(axis=0, ddof=1)
    covered = (np.abs(found - truth.to_numpy()) <= 1.959964 * errors).mean(axis=0)
    return pd.DataFrame(
        {
            "quantity": truth.index,
            "truth": truth.to_numpy(),
            "mean": found.mean(axis=0),
            "bias": found.mean(axis=0) - truth.to_numpy(),
            "bias_error": spread / np.sqrt(count),
            "sd": spread,
            "mean_se": errors.mean(axis=0),
            "coverage": covered,
            "coverage_error": np.sqrt(0.95 * 0.05 / count),
        }
    )

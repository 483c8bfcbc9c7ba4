"""One comparison of Callaway and Sant'Anna: an effect and the influence of every observation on it.

Sant'Anna and Zhao (2020), for changes of the same units (panels) and for rows of which each is seen once (repeated
cross-sections). Which rows are compared is decided in `callaway_santanna`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.fixed_effects import COLLINEAR

#: Above this propensity no control resembles the treated unit; the cell is refused, as the R package did refuses it.
HIGHEST_PROPENSITY = 0.999
#: Controls above this propensity get no weight, as in the R package DRDID.
TRIM_CONTROLS = 0.995


class NotIdentifiedError(Exception):
    """A cell that has no effect; the message says why."""


def change_of_units(
    change: np.ndarray, treated: np.ndarray, x: np.ndarray, weights: np.ndarray, method: str
) -> tuple[float, np.ndarray]:
    """Effect of one cell and its influence (n,), from changes (n,), a mask (n,), covariates (n, k), weights (n,)."""
    if not treated.any():
        raise NotIdentifiedError("no unit of the cohort is observed at both times.")
    if treated.all():
        raise NotIdentifiedError("no control is observed, untreated, at both times.")
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / spread])  # units of covariates cannot matter
    d = treated.astype(float)
    weight, score = (1 - d, None) if method == "reg" else _odds(design, d, weights)
    residual, regression = (change, None) if method == "ipw" else _controls_regression(design, change, d, weights)
    return _normalised_difference(residual, weights * d, weights * weight, design, score, regression)


def _odds(design: np.ndarray, d: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n,) of controls, propensity odds by logit, and the logit's asymptotic representation (n, k)."""
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
        hessian = design.T @ (design * (weights * p * (1 - p))[:, None])
        if np.linalg.cond(hessian) > 1e14:
            break
        step = np.linalg.solve(hessian, design.T @ (weights * (d - p)))
        beta += step
        if np.abs(step).max() < 1e-12 * (1 + np.abs(beta).max()):
            break
    p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
    hessian = design.T @ (design * (weights * p * (1 - p))[:, None])
    if p.max() >= HIGHEST_PROPENSITY or np.linalg.cond(hessian) > 1e14:
        raise NotIdentifiedError("the covariates tell treated units from controls almost perfectly (no overlap).")
    p = np.minimum(p, 1 - 1e-6)
    weight = np.where(p < TRIM_CONTROLS, p * (1 - d) / (1 - p), 0.0)
    representation = ((weights * (d - p))[:, None] * design) @ np.linalg.inv(hessian) * len(d)
    return weight, representation


def _controls_regression(
    design: np.ndarray, change: np.ndarray, d: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Change less what controls' regression predicts (n,), and that regression's asymptotic representation (n, k)."""
    kept, given = design[d == 0], weights[d == 0][:, None]
    if np.linalg.matrix_rank(kept, tol=COLLINEAR * np.sqrt(len(kept))) < design.shape[1]:
        raise NotIdentifiedError("the covariates are collinear, or more than the controls, among the controls.")
    inverse = np.linalg.inv(kept.T @ (given * kept))
    residual = change - design @ (inverse @ (kept.T @ (weights * change)[d == 0]))
    representation = (weights * (1 - d) * residual)[:, None] * design @ inverse * len(d)
    return residual, representation


def _normalised_difference(
    residual: np.ndarray,
    d: np.ndarray,
    weight: np.ndarray,
    design: np.ndarray,
    score: np.ndarray | None,
    regression: np.ndarray | None,
) -> tuple[float, np.ndarray]:
    """Mean of the treated (weights ``d``) less that of controls (``weight``), and its influence, nuisances included.

    Without a propensity (outcome regression) controls' residuals have mean zero and only the regression matters.
    """
    mean_treated = (d * residual).mean() / d.mean()
    influence = d * (residual - mean_treated) / d.mean()
    mean_control = 0.0
    if score is not None:
        mean_control = (weight * residual).mean() / weight.mean()
        own = weight * (residual - mean_control)
        influence = influence - (own + score @ (own[:, None] * design).mean(axis=0)) / weight.mean()
    if regression is not None:
        slope = (d[:, None] * design).mean(axis=0) / d.mean()
        if score is not None:
            slope = slope - (weight[:, None] * design).mean(axis=0) / weight.mean()
        influence = influence - regression @ slope
    return float(mean_treated - mean_control), influence


@dataclass(frozen=True)
class _Mean:
    """A weighted mean of y (``level`` times it) plus fitted values: sign x sum(w v) / sum(w).

    ``fitted`` holds regression -> how often its prediction enters v; ``odds`` says whether weights hold the propensity.
    """

    sign: float
    weight: np.ndarray
    level: float
    fitted: dict[tuple[bool, bool], float]
    odds: bool = False


def change_of_sections(
    y: np.ndarray, after: np.ndarray, treated: np.ndarray, x: np.ndarray, weights: np.ndarray, method: str
) -> tuple[float, np.ndarray]:
    """Effect of one cell of repeated cross-sections and its influence (n,); masks (n,) say when and who a row is.

    "reg" predicts what treated rows would have been from regressions of controls before and after, "ipw" weighs
    controls by normalised odds, "dr" is the locally efficient estimator of Sant'Anna and Zhao (2020, equation 3.4), as
    ``drdid_rc`` of DRDID. The influence allows for estimated regressions and propensity.
    """
    for who, group in ((True, "cohort"), (False, "controls")):
        for when, moment in ((False, "base"), (True, "cell's")):
            if not (keep := (treated == who) & (after == when)).any():
                raise NotIdentifiedError(f"no row of the {group} is observed at the {moment} time.")
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / spread])
    d, t = treated.astype(float), after.astype(float)
    if not x.shape[1]:
        method = "ipw"  # all three are the difference of four means
    odds, score = (1 - d, None) if method == "reg" or not x.shape[1] else _odds(design, d, weights)
    predicted, representation = {}, {}
    sides = {"reg": [False], "dr": [False, True], "ipw": []}[method]
    for who in sides:
        for when in (False, True):
            keep = (treated == who) & (after == when)
            predicted[who, when], representation[who, when] = _section_regression(design, y, keep, weights)
    means = []
    for when, sign in ((True, 1.0), (False, -1.0)):
        seen = t if when else 1 - t
        if method == "reg":
            means += [_Mean(sign, weights * d * seen, 1.0, {}), _Mean(-sign, weights * d, 0.0, {(False, when): 1.0})]
            continue
        residual = {(False, when): -1.0} if method == "dr" else {}
        means += [
            _Mean(sign, weights * d * seen, 1.0, residual),
            _Mean(-sign, weights * odds * seen, 1.0, residual, odds=True),
        ]
        if method == "dr":
            gap = {(True, when): 1.0, (False, when): -1.0}
            means += [_Mean(sign, weights * d, 0.0, gap), _Mean(-sign, weights * d * seen, 0.0, gap)]
    effect, influence = 0.0, np.zeros(len(y))
    slopes = {key: np.zeros(design.shape[1]) for key in predicted}
    of_score = np.zeros(design.shape[1])
    for mean in means:
        share = mean.weight / mean.weight.mean()
        value = mean.level * y + sum((often * predicted[key] for key, often in mean.fitted.items()), np.zeros(len(y)))
        centre = float((share * value).mean())
        own = share * (value - centre)
        effect += mean.sign * centre
        influence += mean.sign * own
        for key, often in mean.fitted.items():
            slopes[key] += mean.sign * often * (share[:, None] * design).mean(axis=0)
        if mean.odds:
            of_score += mean.sign * (own[:, None] * design).mean(axis=0)
    for key, slope in slopes.items():
        influence += representation[key] @ slope
    if score is not None:
        influence += score @ of_score
    return effect, influence


def _section_regression(
    design: np.ndarray, y: np.ndarray, keep: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (n,) of the regression on the rows kept, and its asymptotic representation (n, k)."""
    given = weights * keep
    if np.linalg.matrix_rank(design[keep], tol=COLLINEAR * np.sqrt(keep.sum())) < design.shape[1]:
        raise NotIdentifiedError("the covariates are collinear, or more than the rows, in one group at one time.")
    inverse = np.linalg.inv(design.T @ (given[:, None] * design))
    predicted = design @ (inverse @ (design.T @ (given * y)))
    return predicted, (given * (y - predicted))[:, None] * design @ inverse * len(y)

"""The propensity score: statsmodels' logit, refused where covariates separate the sides. Matching is not done here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from analysis.results import CannotEstimate

#: Linear predictors beyond this (odds of three million) or slow convergence make us look for separation.
SUSPICIOUS = 15.0
ITERATIONS = 50


@dataclass(frozen=True)
class Logit:
    """A fitted logit.

    Attributes
    ----------
    coefficients : (k,), in the order of the columns given.
    covariance : (k, k), inverse of the observed information.
    linear : linear predictor (n,).
    scores : fitted probabilities (n,).
    loglikelihood : at the estimate.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    linear: np.ndarray
    scores: np.ndarray
    loglikelihood: float


def logit(treatment: np.ndarray, x: np.ndarray, names: Sequence[str], weights: np.ndarray | None = None) -> Logit:
    """Maximum likelihood of P(treatment = 1) = 1 / (1 + exp(-x'b)).

    Parameters
    ----------
    treatment : (n,) of zeros and ones.
    x : (n, k), of full column rank, the constant among them.
    names : of the columns, for messages.
    weights : (n,) frequency weights, or None.

    Raises
    ------
    ValueError
        When the columns separate treated from untreated, completely or partly, so that no estimate exists (Albert and
        Anderson 1984), or when the iterations do not converge.
    """
    scale = np.linalg.norm(x, axis=0) / np.sqrt(len(x))
    columns = x / scale
    beta, covariance = _fit(treatment, columns, weights)
    used = np.ones(len(x)) if weights is None else weights
    linear = None if beta is None else (columns * beta).sum(axis=1)
    if linear is None or np.abs(linear).max() > SUSPICIOUS:
        _refuse_separation(treatment, columns, names, used)
    if beta is None or linear is None or covariance is None:
        raise CannotEstimate(
            f"The logit did not converge in {ITERATIONS} iterations; rescale or drop covariates with extreme values."
        )
    signed = np.where(treatment == 1, linear, -linear)
    return Logit(
        coefficients=beta / scale,
        covariance=covariance / np.outer(scale, scale),
        linear=linear,
        scores=_probability(columns, beta),
        loglikelihood=float(-(used * np.logaddexp(0, -signed)).sum()),
    )


def _fit(
    treatment: np.ndarray, columns: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Coefficients (k,) and covariance (k, k) from statsmodels; None where it does not converge."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    model = GLM(treatment, columns, family=Binomial(), freq_weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation and slow convergence are judged by the caller
        try:
            result = model.fit(maxiter=ITERATIONS, tol=1e-11, tol_criterion="params")
            covariance = np.asarray(result.cov_params())
        except (np.linalg.LinAlgError, FloatingPointError):
            return None, None
    beta = np.asarray(result.params)
    if not result.converged or not np.isfinite(beta).all() or not np.isfinite(covariance).all():
        return None, None
    return beta, covariance


def _probability(columns: np.ndarray, beta: np.ndarray) -> np.ndarray:
    # Row sums, not a matrix product: rows with equal covariates must get equal scores to the last bit.
    return 1 / (1 + np.exp(-np.clip((columns * beta).sum(axis=1), -500, 500)))


def _refuse_separation(treatment: np.ndarray, columns: np.ndarray, names: Sequence[str], weights: np.ndarray) -> None:
    """Raise if some combination of columns never contradicts the treatment and sometimes predicts it (Konis 2007)."""
    used = weights > 0
    signed = columns[used] * np.where(treatment[used] == 1, 1.0, -1.0)[:, None]
    found = optimize.linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs"
    )
    if found.status == 0 and -found.fun > 1e-6 * len(signed) ** 0.5:
        slopes = [j for j, name in enumerate(names) if name != "const"]
        alone = [names[j] for j in slopes if _separates(columns[used, j], treatment[used] == 1)]
        guilty = alone or [names[j] for j in slopes if abs(found.x[j]) > 1e-6]
        raise CannotEstimate(
            f"The covariates separate treated from untreated rows ({', '.join(map(repr, guilty)) or 'the constant'}): "
            "some rows are predicted with certainty, so the propensity score has no estimate. Drop or coarsen these "
            "covariates."
        )


def _separates(column: np.ndarray, treated: np.ndarray) -> bool:
    """Whether no treated value lies strictly among the untreated ones."""
    one, zero = column[treated], column[~treated]
    return bool(one.min() >= zero.max() or one.max() <= zero.min())

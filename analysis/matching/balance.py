"""Are matched groups alike: the balance table and its summary, as pstest prints them. No matching, no outcomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.matching.propensity import logit
from analysis.results import CannotEstimate


def balance_table(x: np.ndarray, names: Sequence[str], treated: np.ndarray, weights: np.ndarray) -> pd.DataFrame:
    """Means, standardised bias, t test and variance ratio of each covariate, before and after matching.

    Conventions of pstest (Leuven and Sianesi): bias = 100 (mean treated - mean control) / sqrt((v1 + v0) / 2) with v1
    and v0 the variances before matching in both lines; t from a regression on the treatment, after matching with the
    matching weights as frequencies; the variance ratio (treated to control) only for covariates that are not 0/1.

    Parameters
    ----------
    x : (n, k).
    treated : (n,) of booleans.
    weights : (n,), zero for rows that are not matched.

    Returns
    -------
    DataFrame
        Indexed by covariate and sample ("unmatched", "matched"): ``mean_treated``, ``mean_control``, ``bias`` and
        ``bias_reduction`` (percent), ``t``, ``p``, ``variance_ratio``.
    """
    rows = []
    for column in x.T:
        ones = np.ones(len(column))
        spread = np.sqrt((_variance(column, ones * treated) + _variance(column, ones * ~treated)) / 2)
        lines = [_line(column, treated, use, spread) for use in (ones, weights)]
        before, after = abs(lines[0]["bias"]), abs(lines[1]["bias"])
        lines[1]["bias_reduction"] = 100 * (1 - after / before) if before > 0 else np.nan
        rows += lines
    index = pd.MultiIndex.from_product([list(names), ["unmatched", "matched"]], names=["covariate", "sample"])
    columns = ["mean_treated", "mean_control", "bias", "bias_reduction", "t", "p", "variance_ratio"]
    return pd.DataFrame(rows, index=index, columns=columns)


def _line(column: np.ndarray, treated: np.ndarray, weights: np.ndarray, spread: float) -> dict[str, float]:
    one, zero = weights * treated, weights * ~treated
    n1, n0 = one.sum(), zero.sum()
    m1, m0 = (column * one).sum() / n1, (column * zero).sum() / n0
    v1, v0 = _variance(column, one), _variance(column, zero)
    freedom = n1 + n0 - 2
    pooled = (v1 * (n1 - 1) + v0 * (n0 - 1)) / freedom if freedom > 0 else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (m1 - m0) / np.sqrt(pooled * (1 / n1 + 1 / n0))
        bias = 100 * (m1 - m0) / spread
        ratio = v1 / v0 if not np.isin(column, (0, 1)).all() else np.nan
    return {
        "mean_treated": m1,
        "mean_control": m0,
        "bias": bias,
        "t": t,
        "p": float(2 * stats.t.sf(abs(t), freedom)),
        "variance_ratio": ratio,
    }


def _variance(column: np.ndarray, weights: np.ndarray) -> float:
    """Variance with frequency weights, sum of weights - 1 in the denominator."""
    total = weights.sum()
    mean = (column * weights).sum() / total
    return float((weights * (column - mean) ** 2).sum() / (total - 1)) if total > 1 else float("nan")


def quality_table(
    x: np.ndarray, names: Sequence[str], treated: np.ndarray, weights: np.ndarray, balance: pd.DataFrame
) -> pd.DataFrame:
    """One line before and one after matching on how well the covariates still tell treated from controls.

    ``pseudo_r2``, ``lr_chi2`` and ``p`` of a logit refitted with the matching weights (pstest uses a probit);
    ``mean_bias`` and ``median_bias`` of the absolute standardised biases; ``rubin_b`` and ``rubin_r``, the standardised
    difference and the variance ratio of the refitted index (Rubin 2001: below 25 and within 0.5 to 2). Missing where
    the refit is separated.
    """
    rows = []
    for sample, use in (("unmatched", np.ones(len(x))), ("matched", weights)):
        bias = balance.xs(sample, level="sample")["bias"].abs()
        row = {"mean_bias": bias.mean(), "median_bias": bias.median()}
        kept = use > 0
        share = float((use * treated).sum() / use.sum())
        empty = float(use.sum()) * (share * np.log(share) + (1 - share) * np.log(1 - share))
        columns = np.column_stack([np.ones(int(kept.sum())), x[kept]])
        try:
            fit = logit(treated[kept].astype(float), columns, ["const", *names], use[kept])
        except CannotEstimate:
            rows.append(row)
            continue
        one, zero = use[kept] * treated[kept], use[kept] * ~treated[kept]
        v1, v0 = _variance(fit.linear, one), _variance(fit.linear, zero)
        gap = (fit.linear * one).sum() / one.sum() - (fit.linear * zero).sum() / zero.sum()
        chi2 = 2 * (fit.loglikelihood - empty)
        row |= {
            "pseudo_r2": 1 - fit.loglikelihood / empty,
            "lr_chi2": chi2,
            "p": float(stats.chi2.sf(chi2, x.shape[1])),
            "rubin_b": 100 * gap / np.sqrt((v1 + v0) / 2),
            "rubin_r": v1 / v0,
        }
        rows.append(row)
    columns_out = ["pseudo_r2", "lr_chi2", "p", "mean_bias", "median_bias", "rubin_b", "rubin_r"]
    return pd.DataFrame(rows, index=pd.Index(["unmatched", "matched"], name="sample"), columns=columns_out)

"""The frozen result every regression returns, how a result prints, and the error where there is none.

What an estimator needs beyond these fields (first stage, effects, weights) lives in a subclass next to the estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

#: A sum of squares below this share of its whole is rounding error, not variation.
ROUNDING = 1e-18

COLUMNS = ["estimate", "se", "t", "p", "low", "high"]


class CannotEstimate(ValueError):
    """The data, or the design asked of them, do not allow a number; the message says why, and what to change.

    A call that is wrong whatever the data hold (an unknown option, an absent column) is a plain ValueError.
    """


@dataclass(frozen=True)
class Estimate:
    """One fitted regression.

    Attributes
    ----------
    table
        Indexed by term (column names as the caller gave them, plus ``const`` where there are no fixed effects):
        ``estimate``, ``se``, ``t``, ``p`` (two-sided), ``low`` and ``high`` (95% interval). A term that cannot be
        identified keeps its row with missing numbers; ``not_identified`` says why.
    n
        Observations used, after missing values and singletons are dropped.
    clusters
        Clusters of the variance estimator, or None.
    r2, r2_within
        Share of variance explained, overall and after the fixed effects are swept out.
    degrees_of_freedom
        Of the t distribution: clusters - 1, or n - parameters without clusters.
    constant, constant_se
        mean(y) - mean(x)'b, the constant that Stata reports with absorbed effects, and its standard error.
    covariance
        Of the identified terms, terms x terms.
    not_identified
        Term -> one sentence.
    notes
        What was done to the data on the way (rows dropped and why), one sentence each.
    """

    table: pd.DataFrame
    n: int
    clusters: int | None
    r2: float
    r2_within: float
    degrees_of_freedom: float
    constant: float
    covariance: pd.DataFrame
    not_identified: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    constant_se: float = float("nan")

    def summary(self) -> str:
        """The estimate as text, for people."""
        lines = [self.table.to_string(float_format=lambda value: f"{value:.6g}")]
        clusters = "" if self.clusters is None else f", {self.clusters} clusters"
        lines.append(f"n = {self.n}{clusters}, R2 = {self.r2:.4f}, within R2 = {self.r2_within:.4f}")
        lines += [f"{term}: {why}" for term, why in self.not_identified.items()]
        lines += list(self.notes)
        return "\n".join(lines)


@dataclass(frozen=True)
class WaldTest:
    """A joint test that several coefficients are zero.

    Attributes
    ----------
    f, p
        F statistic (Wald chi-squared over ``df``) and its p; missing where nothing can be tested, as ``reason`` says.
    df, df_denominator
        Restrictions, and the denominator's degrees of freedom (inf: the chi-squared limit).
    terms
        The coefficients tested.
    """

    f: float
    p: float
    df: int
    df_denominator: float
    terms: tuple[object, ...] = ()
    reason: str = ""

    def summary(self) -> str:
        """The test as one line of text."""
        return self.reason or f"F({self.df}, {self.df_denominator:g}) = {self.f:.4g}, p = {self.p:.4g}"


def wald_test(
    estimate: np.ndarray, covariance: np.ndarray, degrees_of_freedom: float, terms: Sequence[object] = ()
) -> WaldTest:
    """Joint test that estimates (k,) with covariance (k, k) are all zero, as Stata's ``test`` after a clustered fit.

    With fewer clusters than restrictions the covariance loses rank; then only its rank is tested, and ``df`` says so.
    """
    from scipy import stats  # slow to import, and no part of reading a study

    if len(estimate) == 0:
        return WaldTest(np.nan, np.nan, 0, degrees_of_freedom, (), "There is no coefficient to test.")
    scale = np.sqrt(np.clip(np.diag(covariance), 0, None))
    if not np.all(scale > 0):
        return WaldTest(
            np.nan,
            np.nan,
            0,
            degrees_of_freedom,
            tuple(terms),
            "A coefficient has no variance, so no test is possible.",
        )
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    known = values > 1e-10 * values.max()
    projected = vectors[:, known].T @ (estimate / scale)
    df = int(known.sum())
    chi2 = float((projected**2 / values[known]).sum())
    # scipy's F has no limit
    p = stats.chi2.sf(chi2, df) if np.isinf(degrees_of_freedom) else stats.f.sf(chi2 / df, df, degrees_of_freedom)
    return WaldTest(chi2 / df, float(p), df, degrees_of_freedom, tuple(terms))


def inference_table(
    terms: list[str],
    estimate: np.ndarray,
    covariance: np.ndarray,
    degrees_of_freedom: float,
    level: float = 0.95,
) -> pd.DataFrame:
    """Estimates (k,) and their covariance (k, k) as a tidy table; normal theory where degrees_of_freedom is inf."""
    from scipy import stats

    se = np.sqrt(np.clip(np.diag(covariance), 0, None))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, estimate / se, np.nan)
    p = 2 * stats.t.sf(np.abs(t), degrees_of_freedom)
    margin = stats.t.ppf(0.5 + level / 2, degrees_of_freedom) * se
    table = pd.DataFrame(
        {"estimate": estimate, "se": se, "t": t, "p": p, "low": estimate - margin, "high": estimate + margin},
        index=pd.Index(terms, name="term"),
    )
    return table[COLUMNS]


def stars(p: float) -> str:
    """The asterisks that economists print: 1%, 5%, 10%."""
    return "" if np.isnan(p) else "***" if p < 0.01 else "**" if p < 0.05 else "*" if p < 0.1 else ""

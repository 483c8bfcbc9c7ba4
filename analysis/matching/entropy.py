"""Entropy balancing: weights on the untreated that give them the moments of the treated. No model of treatment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from analysis.estimation_sample import as_float, require_columns
from analysis.results import CannotEstimate

#: Largest gap between weighted and wanted moments, in standard deviations, that counts as balanced.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class EntropyBalance:
    """Weights that balance.

    Attributes
    ----------
    weights
        One a row of the input, with its index: 1 for treated rows, for untreated ones a positive weight, together as
        many as the treated; missing where a covariate is missing.
    balance
        One row a covariate and moment: mean of the treated, of the untreated before and after, standardised gaps.
    effective_n
        (sum of w)^2 / sum of w^2 of the untreated: how many equally weighted rows they are worth (Kish 1965).
    notes
        Rows left out, and weights that rest on few rows.
    """

    weights: pd.Series
    balance: pd.DataFrame
    effective_n: float
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """The balance."""
        return self.balance

    def summary(self) -> str:
        """Balance and effective number of untreated rows as text, for people."""
        shown = self.balance.to_string(float_format=lambda value: f"{value:.6g}")
        return "\n".join([shown, f"effective number of untreated rows {self.effective_n:.1f}", *self.notes])


def entropy_balance(
    data: pd.DataFrame, treatment: str, covariates: Sequence[str], *, moments: int = 1
) -> EntropyBalance:
    """Weights nearest to equal (in entropy) under which untreated rows have the moments of the treated.

    Hainmueller (2012), equations 4-8: Newton on the convex dual, as Stata's ``ebalance`` and R's ``ebal``; untreated
    weights sum to the number of treated rows. ``moments`` 1 balances means, 2 variances too, 3 skewness too; of a 0/1
    covariate only the mean. Weights depend on the rows alone, not on their order.

    Raises
    ------
    ValueError
        Absent columns, a treatment that is not 0/1, no treated or untreated row, and moments that no positive weights
        reach: the covariates that lie outside the untreated rows' range are named.
    """
    if moments not in (1, 2, 3):
        raise ValueError(f"moments is 1, 2 or 3; it is {moments!r}.")
    require_columns(data, [treatment, *covariates])
    if not covariates:
        raise ValueError("Name at least one covariate to balance.")
    frame = pd.DataFrame({name: as_float(data[name]) for name in [treatment, *covariates]})
    complete = frame.notna().all(axis=1).to_numpy()
    used = frame[complete]
    treated = used[treatment].to_numpy() == 1
    other = ~used[treatment].isin((0.0, 1.0)).to_numpy()
    if other.any():
        raise CannotEstimate(
            f"Treatment {treatment!r} must be 0 or 1; it holds {used[treatment].to_numpy()[other][0]:g}."
        )
    if not treated.any() or treated.all():
        raise CannotEstimate(f"{treatment!r} is {'1' if treated.any() else '0'} in every usable row: both are needed.")
    names, columns = _moments(used, treated, covariates, moments)
    target, pool = columns[treated].mean(axis=0), columns[~treated]
    spread = np.where(columns[treated].std(axis=0) > 0, columns[treated].std(axis=0), columns.std(axis=0))
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (pool - target) / spread
    weight = _solve(scaled, names)
    number = int(treated.sum())
    values = np.full(len(data), np.nan)
    inside = np.ones(len(used))
    inside[~treated] = weight * number
    values[complete] = inside
    before, after = pool.mean(axis=0), weight @ pool
    balance = pd.DataFrame(
        {
            "treated": target,
            "untreated": before,
            "weighted": after,
            "gap": (target - before) / spread,
            "gap_weighted": (target - after) / spread,
        },
        index=pd.Index(names, name="moment"),
    )
    effective = float(1 / (weight**2).sum())
    notes = []
    if not complete.all():
        notes.append(f"{int((~complete).sum())} rows have no weight: a covariate or the treatment is missing.")
    if effective < number / 2:
        notes.append(
            f"The untreated rows are worth {effective:.1f} equal ones for {number} treated: few rows carry the weight."
        )
    return EntropyBalance(pd.Series(values, index=data.index, name="weight"), balance, effective, tuple(notes))


def _moments(
    used: pd.DataFrame, treated: np.ndarray, covariates: Sequence[str], moments: int
) -> tuple[list[str], np.ndarray]:
    """Names and columns (n, k) whose means are balanced: powers of each covariate around the treated mean."""
    names, columns = [], []
    for covariate in covariates:
        value = used[covariate].to_numpy()
        centred = value - value[treated].mean()
        binary = len(np.unique(value)) <= 2
        for power in range(1, 2 if binary else moments + 1):
            names.append(covariate if power == 1 else f"{covariate}, {('variance', 'skewness')[power - 2]}")
            columns.append(value if power == 1 else centred**power)
    return names, np.column_stack(columns)


def _solve(columns: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Weights (m,), positive and summing to one, with weighted means of zero in every column (m, k)."""

    def weights(multiplier: np.ndarray) -> np.ndarray:
        power = columns @ multiplier
        raw = np.exp(power - power.max())
        return raw / raw.sum()

    def dual(multiplier: np.ndarray) -> tuple[float, np.ndarray]:
        power = columns @ multiplier
        top = power.max()
        return float(top + np.log(np.exp(power - top).sum())), weights(multiplier) @ columns

    def curvature(multiplier: np.ndarray) -> np.ndarray:
        weight = weights(multiplier)
        mean = weight @ columns
        return (columns * weight[:, None]).T @ columns - np.outer(mean, mean)

    start = np.zeros(columns.shape[1])
    found = optimize.minimize(
        dual, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-11, "maxiter": 1000}
    )
    weight = weights(found.x)
    gap = np.abs(weight @ columns)
    if gap.max() > TOLERANCE:
        outside = [name for name, column in zip(names, columns.T, strict=True) if column.min() > 0 or column.max() < 0]
        which = outside or [name for name, far in zip(names, gap > TOLERANCE, strict=True) if far]
        raise CannotEstimate(
            f"No weights on the untreated rows reach the treated moments of {', '.join(map(repr, which))}"
            f"{': they lie outside the untreated range' if outside else ' together'}. Drop or coarsen covariates, ask "
            "for fewer moments, or leave out treated rows without a like among the untreated."
        )
    return weight

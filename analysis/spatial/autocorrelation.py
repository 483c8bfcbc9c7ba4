"""Spatial autocorrelation of one variable: Moran's I, local Moran, the Moran scatter and Geary's C.

Nothing here fits a model; tests on residuals of a regression are in ``specification``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse, stats

from analysis.results import CannotEstimate
from analysis.spatial.layout import Layout, arrange
from analysis.spatial.weights import Weights

Alternative = Literal["greater", "two-sided"]
Assumption = Literal["normality", "randomisation", "permutation"]
CLASSES = ("high-high", "low-high", "low-low", "high-low")


@dataclass(frozen=True)
class Autocorrelation:
    """A statistic by period: see the function that made it for the columns of ``.table``."""

    table: pd.DataFrame
    statistic: str
    alternative: str
    assumption: str

    def summary(self) -> str:
        """The table as text, with the convention of p."""
        text = self.table.to_string(index=False, float_format=lambda value: f"{value:.6g}")
        return f"{self.statistic}, z and p under {self.assumption}, alternative: {self.alternative}\n{text}"


@dataclass(frozen=True)
class LocalMoran:
    """Local Moran's I: ``.table`` with unit, period, ``z``, ``lag``, ``i``, ``p``, ``quadrant``, ``cluster``."""

    table: pd.DataFrame
    level: float

    def summary(self) -> str:
        """How many units of each class there are by period."""
        time = self.table.columns[1]
        counts = pd.crosstab(self.table[time], self.table["cluster"])
        return f"Local Moran, units by class (p < {self.level:g})\n{counts.to_string()}"


@dataclass(frozen=True)
class MoranScatter:
    """``.table``: unit, period, standardised value ``z``, its spatial lag ``lag``, ``quadrant``; ``.slope`` by period.

    With row-normalised weights the slope of ``lag`` on ``z`` is Moran's I.
    """

    table: pd.DataFrame
    slope: pd.Series

    def summary(self) -> str:
        """The slopes as text."""
        return "Slope of the spatial lag on the value\n" + self.slope.to_string()


def moran(
    data: pd.DataFrame,
    y: str,
    weights: Weights,
    *,
    unit: str,
    time: str | None = None,
    assumption: Assumption = "normality",
    alternative: Alternative = "greater",
    permutations: int = 999,
    seed: int = 0,
) -> Autocorrelation:
    """Moran's I by period (Cliff and Ord 1981, section 1.5).

    Parameters
    ----------
    assumption
        Which moments ``z`` and ``p`` come from: ``"normality"`` (default), ``"randomisation"``, or ``"permutation"`` (z
        from the permutations' mean and deviation, p their share). All three are in the table.
    alternative
        ``"greater"`` (default: one-sided, positive autocorrelation, as Stata's spatgsa) or ``"two-sided"``.
    permutations
        Permutations for ``p_permutation`` = (1 + #{as extreme}) / (permutations + 1); 0 leaves it missing.

    Returns
    -------
    ``.table`` with the time column, ``n``, ``i``, ``expected``, ``variance``, ``z``, ``p``, and ``variance_``, ``z_``,
    ``p_`` of ``normality`` and ``randomisation``, ``z_permutation``, ``p_permutation``.

    Raises
    ------
    ValueError
        Where data and weights do not match, a unit lacks neighbours or a period is incomplete, or y is constant.
    """
    return _global(
        "Moran's I", _moran_moments, data, y, weights, unit, time, assumption, alternative, permutations, seed
    )


def geary(
    data: pd.DataFrame,
    y: str,
    weights: Weights,
    *,
    unit: str,
    time: str | None = None,
    assumption: Assumption = "normality",
    alternative: Alternative = "greater",
    permutations: int = 999,
    seed: int = 0,
) -> Autocorrelation:
    """Geary's C by period (Cliff and Ord 1981, section 1.5); below one means positive autocorrelation.

    As ``moran``, with the statistic in ``c``. z is (1 - C) / sd, so that it rises with positive autocorrelation as
    Moran's does.
    """
    return _global(
        "Geary's C", _geary_moments, data, y, weights, unit, time, assumption, alternative, permutations, seed
    )


def local_moran(
    data: pd.DataFrame,
    y: str,
    weights: Weights,
    *,
    unit: str,
    time: str | None = None,
    level: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
) -> LocalMoran:
    """Local Moran's I and clusters (Anselin 1995).

    I_i = (n - 1) z_i sum_j w_ij z_j / sum z^2. p is pseudo and one-sided in the direction observed: each unit keeps its
    value, the others' values are dealt anew among its neighbours. ``cluster`` is the quadrant where p < ``level``, else
    "not significant".

    Raises
    ------
    ValueError
        As ``moran``.
    """
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}: local Moran needs at least one to judge significance.")
    layout, name, frame = _by_period(data, y, weights, unit, time)
    values = []
    for t in range(len(layout.periods)):
        z = _standardise(layout, y, t, name)
        lag = weights.matrix @ z
        i = (weights.n - 1) * z * lag / (z @ z)
        values.append(np.column_stack([z, lag, i, _conditional_p(z, lag, weights.matrix, permutations, seed)]))
    stacked = np.concatenate(values)
    frame = frame.assign(z=stacked[:, 0], lag=stacked[:, 1], i=stacked[:, 2], p=stacked[:, 3])
    frame["quadrant"] = _quadrant(stacked[:, 0], stacked[:, 1])
    frame["cluster"] = frame["quadrant"].where(frame["p"] < level, "not significant")
    return LocalMoran(frame, level)


def moran_scatter(data: pd.DataFrame, y: str, weights: Weights, *, unit: str, time: str | None = None) -> MoranScatter:
    """The points of a Moran scatter plot: standardised values (divided by the standard deviation over n) and their
    lags.
    """
    layout, name, frame = _by_period(data, y, weights, unit, time)
    z = np.concatenate([_standardise(layout, y, t, name) for t in range(len(layout.periods))])
    blocks = z.reshape(len(layout.periods), weights.n)
    lag = (weights.matrix @ blocks.T).T
    slope = pd.Series(
        (blocks * lag).sum(axis=1) / (blocks**2).sum(axis=1), index=pd.Index(layout.periods, name=name), name="slope"
    )
    return MoranScatter(frame.assign(z=z, lag=lag.ravel(), quadrant=_quadrant(z, lag.ravel())), slope)


def _global(
    title: str,
    moments: object,
    data: pd.DataFrame,
    y: str,
    weights: Weights,
    unit: str,
    time: str | None,
    assumption: str,
    alternative: str,
    permutations: int,
    seed: int,
) -> Autocorrelation:
    if assumption not in ("normality", "randomisation", "permutation"):
        raise ValueError(f'assumption is {assumption!r}: choose "normality", "randomisation" or "permutation".')
    if alternative not in ("greater", "two-sided"):
        raise ValueError(f'alternative is {alternative!r}: choose "greater" or "two-sided".')
    if assumption == "permutation" and permutations < 1:
        raise ValueError("assumption is permutation, and permutations is 0: ask for 999, say.")
    if weights.n < 4:
        raise CannotEstimate(f"The weights have {weights.n} units: the moments need at least four.")
    layout, name, _ = _by_period(data, y, weights, unit, time)
    rows = []
    for t, period in enumerate(layout.periods):
        z = _standardise(layout, y, t, name)
        row = {name: period, "n": weights.n, **_one_period(z, weights.matrix, moments, alternative, permutations, seed)}
        rows.append(row | {key: row[f"{key}_{assumption}"] for key in ("variance", "z", "p")})
    table = pd.DataFrame(rows)
    first = [name, "n", title[-1].lower(), "expected", "variance", "z", "p"]
    return Autocorrelation(table[[*first, *(c for c in table if c not in first)]], title, alternative, assumption)


def _one_period(
    z: np.ndarray, matrix: sparse.csr_array, moments: object, alternative: str, permutations: int, seed: int
) -> dict[str, float]:
    found = moments(z, matrix)  # type: ignore[operator]
    sign, value, expected = found.pop("sign"), found["value"], found["expected"]
    result = {found.pop("letter"): found.pop("value"), **found}
    for kind in ("normality", "randomisation"):
        score = sign * (value - expected) / np.sqrt(found[f"variance_{kind}"])
        result |= {f"z_{kind}": score, f"p_{kind}": _normal_p(score, alternative)}
    result |= {"variance_permutation": np.nan, "z_permutation": np.nan, "p_permutation": np.nan}
    if permutations:
        generator = np.random.default_rng(seed)
        shuffled = generator.permuted(np.tile(z, (permutations, 1)), axis=1)
        drawn = sign * _statistics(shuffled.T, matrix, found_letter(result))
        centre, spread = (drawn.mean(), drawn.std(ddof=1)) if permutations > 1 else (np.nan, np.nan)
        observed = sign * value
        # Sums of permuted numbers differ in the last digits; a tie counts as as extreme.
        slack = 1e-12 * max(1.0, abs(observed))
        if alternative == "greater":
            extreme = drawn >= observed - slack
        else:
            extreme = np.abs(drawn - sign * expected) >= abs(observed - sign * expected) - slack
        result["variance_permutation"] = spread**2
        result["z_permutation"] = (observed - centre) / spread
        result["p_permutation"] = (1 + extreme.sum()) / (permutations + 1)
    return result


def found_letter(result: dict[str, float]) -> str:
    """Which statistic a result holds: i or c."""
    return "i" if "i" in result else "c"


def _statistics(columns: np.ndarray, matrix: sparse.csr_array, letter: str) -> np.ndarray:
    """I or C of each column of demeaned values, n x m."""
    n, total = columns.shape[0], matrix.sum()
    square = (columns**2).sum(axis=0)
    cross = (columns * (matrix @ columns)).sum(axis=0)
    if letter == "i":
        return np.asarray(n / total * cross / square)
    sums = np.asarray(matrix.sum(axis=1)).ravel() + np.asarray(matrix.sum(axis=0)).ravel()
    gaps = sums @ columns**2 - 2 * cross
    return np.asarray((n - 1) * gaps / (2 * total * square))


def _sums(matrix: sparse.csr_array) -> tuple[float, float, float]:
    """S0, S1, S2 of Cliff and Ord."""
    both = matrix + matrix.T
    margins = np.asarray(matrix.sum(axis=1)).ravel() + np.asarray(matrix.sum(axis=0)).ravel()
    return float(matrix.sum()), float((both.data**2).sum() / 2), float((margins**2).sum())


def _moran_moments(z: np.ndarray, matrix: sparse.csr_array) -> dict[str, float | str]:
    n, (s0, s1, s2) = len(z), _sums(matrix)
    expected = -1 / (n - 1)
    kurtosis = float(n * (z**4).sum() / (z**2).sum() ** 2)
    normality = (n**2 * s1 - n * s2 + 3 * s0**2) / ((n**2 - 1) * s0**2) - expected**2
    top = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * s0**2) - kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * s0**2)
    randomisation = top / ((n - 1) * (n - 2) * (n - 3) * s0**2) - expected**2
    value = float(_statistics(z[:, None], matrix, "i")[0])
    return {
        "letter": "i",
        "sign": 1.0,
        "value": value,
        "expected": expected,
        "variance_normality": normality,
        "variance_randomisation": randomisation,
    }


def _geary_moments(z: np.ndarray, matrix: sparse.csr_array) -> dict[str, float | str]:
    n, (s0, s1, s2) = len(z), _sums(matrix)
    kurtosis = float(n * (z**4).sum() / (z**2).sum() ** 2)
    normality = ((2 * s1 + s2) * (n - 1) - 4 * s0**2) / (2 * (n + 1) * s0**2)
    top = (n - 1) * s1 * (n**2 - 3 * n + 3 - (n - 1) * kurtosis)
    top -= (n - 1) * s2 * (n**2 + 3 * n - 6 - (n**2 - n + 2) * kurtosis) / 4
    top += s0**2 * (n**2 - 3 - (n - 1) ** 2 * kurtosis)
    randomisation = top / (n * (n - 2) * (n - 3) * s0**2)
    value = float(_statistics(z[:, None], matrix, "c")[0])
    return {
        "letter": "c",
        "sign": -1.0,
        "value": value,
        "expected": 1.0,
        "variance_normality": normality,
        "variance_randomisation": randomisation,
    }


def _normal_p(score: float, alternative: str) -> float:
    return float(stats.norm.sf(score) if alternative == "greater" else 2 * stats.norm.sf(abs(score)))


def _by_period(
    data: pd.DataFrame, y: str, weights: Weights, unit: str, time: str | None
) -> tuple[Layout, str, pd.DataFrame]:
    """The variable as an array, the name of the period, and the unit and period of each row of a stacked result."""
    if time is None:
        time = "period"
        data = data[[c for c in (unit, y) if c in data.columns]].assign(period=0)
    layout = arrange(data, [y], weights, unit=unit, time=time)
    frame = pd.DataFrame({unit: list(layout.units) * len(layout.periods), time: np.repeat(layout.periods, weights.n)})
    return layout, time, frame


def _standardise(layout: Layout, y: str, t: int, time: str) -> np.ndarray:
    values = layout.column(y)[:, t]
    spread = values.std()
    if spread <= 1e-12 * max(1.0, np.abs(values).max()):
        raise CannotEstimate(
            f"{y!r} is the same for every unit in {time} {layout.periods[t]}: its autocorrelation is not defined."
        )
    return (values - values.mean()) / spread


def _quadrant(z: np.ndarray, lag: np.ndarray) -> np.ndarray:
    return np.where(z > 0, np.where(lag > 0, CLASSES[0], CLASSES[3]), np.where(lag > 0, CLASSES[1], CLASSES[2]))


def _conditional_p(
    z: np.ndarray, lag: np.ndarray, matrix: sparse.csr_array, permutations: int, seed: int
) -> np.ndarray:
    """Share of conditional permutations at least as extreme, (larger + 1) / (permutations + 1), shape (n,)."""
    n, widest = len(z), int(np.diff(matrix.indptr).max())
    generator = np.random.default_rng(seed)
    deals = np.argsort(generator.random((permutations, n - 1)), axis=1)[:, :widest]
    result = np.empty(n)
    for i in range(n):
        weight = matrix.data[matrix.indptr[i] : matrix.indptr[i + 1]]
        others = np.delete(z, i)
        dealt = others[deals[:, : len(weight)]] @ weight
        larger = int((dealt >= lag[i] - 1e-12).sum())
        result[i] = (min(larger, permutations - larger) + 1) / (permutations + 1)
    return result

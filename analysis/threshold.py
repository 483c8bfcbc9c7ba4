"""Hansen's (1999) panel threshold: an effect that changes where another variable passes a value to be estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.did.regression import two_way
from analysis.estimation_sample import codes_of, effect_columns, prepare, require_varying, unit_order
from analysis.fixed_effects import FixedEffects
from analysis.results import CannotEstimate, Estimate

#: Quantiles of the threshold variable that are tried, and the share of rows each regime must keep, as xthreg.
GRID, TRIM = 400, 0.01
#: 95% critical value of the likelihood ratio: -2 ln(1 - sqrt(0.95)).
CRITICAL = -2 * np.log(1 - np.sqrt(0.95))


@dataclass(frozen=True)
class PanelThreshold:
    """Thresholds and what holds on either side of them.

    Attributes
    ----------
    thresholds
        Indexed by number, in rising order: ``threshold``, ``low``, ``high`` (95%, by inverting the likelihood ratio).
    p_values, f
        Of one threshold against none, two against one, ...: bootstrap p with the add-one rule, and its F statistic.
    table
        Regression with the regimes: ``x`` in each of them (named ``x [1]``, ``x [2]``, ...), then the controls.
    regression
        The whole of it; its standard errors take the thresholds as known, which is right in large samples.
    sum_of_squares
        Without a threshold, with one, two, ...
    likelihood_ratio
        Of the first threshold by value tried: ``threshold``, ``ratio``, for a figure.
    notes
        What was done on the way, one sentence each.
    """

    thresholds: pd.DataFrame
    p_values: tuple[float, ...]
    f: tuple[float, ...]
    regression: Estimate
    sum_of_squares: tuple[float, ...]
    likelihood_ratio: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """Coefficients by regime and of the controls."""
        return self.regression.table

    def summary(self) -> str:
        """Thresholds, their tests and the coefficients as text, for people."""
        tests = [
            f"{number} against {number - 1}: F = {f:.4g}, bootstrap p = {p:.4g}"
            for number, (f, p) in enumerate(zip(self.f, self.p_values, strict=True), start=1)
        ]
        shown = self.thresholds.to_string(float_format=lambda value: f"{value:.6g}")
        return "\n".join([shown, *tests, self.regression.summary(), *self.notes])


def panel_threshold(
    data: pd.DataFrame,
    y: str,
    x: str,
    threshold: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    thresholds: int = 1,
    draws: int = 300,
    seed: int = 0,
    fixed_effects: str | Sequence[str] = ("unit",),
    cluster: str | Sequence[str] | None = "unit",
) -> PanelThreshold:
    """Estimate where the effect of ``x`` on ``y`` changes with ``threshold``, and test how many such places there are.

    y = sum over regimes of b_r x 1{g_(r-1) < threshold <= g_r} + controls + effects. Thresholds minimise the sum of
    squares over 400 quantiles of the threshold variable, each regime keeping 1% of the rows; further ones are sought
    with the earlier fixed, then the earlier anew (Hansen 1999, section 5; Stata's ``xthreg``). F = (S_0 - S_1) over
    S_1 / (n - units), where n - units is n (T - 1) / T in Hansen's balanced panel. The bootstrap draws the residual
    series of whole units with replacement and holds the regressors fixed, as Hansen, and p has the add-one rule.

    Parameters
    ----------
    x
        The column whose effect changes; ``threshold`` the column that decides; both may be the same.
    fixed_effects
        "unit" as in Hansen; ("unit", "time") is often asked for and is exact too.

    Raises
    ------
    ValueError
        Bad columns; thresholds not 1, 2 or 3; a threshold variable with too few values; ``x`` without variation.
    """
    if thresholds not in (1, 2, 3):
        raise ValueError(f"thresholds is 1, 2 or 3; it is {thresholds!r}.")
    effects = effect_columns(fixed_effects, unit=unit, time=time)
    if unit not in effects:
        raise CannotEstimate("The bootstrap draws units and sweeps out their means: fixed_effects must hold 'unit'.")
    names = [y, *dict.fromkeys([x, threshold, *controls])]
    keys = [column for column in effects if column not in (unit, time)]
    sample = prepare(data, unit=unit, time=time, numeric=names, keys=keys)
    frame, notes = sample.data, list(sample.notes)
    require_varying(frame, y)
    counts = frame.groupby(unit).size()
    if counts.nunique() > 1:
        notes.append(f"The panel is unbalanced ({counts.min()} to {counts.max()} rows a unit); Hansen assumes balance.")
    problem = _Problem.of(frame, y, x, threshold, list(controls), effects)
    grid = problem.grid()
    if len(grid) < 2:
        raise CannotEstimate(f"{threshold!r} has too few different values to seek a threshold in.")
    generator = np.random.default_rng(seed)
    units = unit_order(frame, unit, [time, y, x, threshold, *controls])
    sums, fs, ps = [problem.sum_of_squares(problem.y, [])], [], []
    chosen: list[float] = []
    for _ in range(thresholds):
        found = problem.best(problem.y, grid, chosen)
        if found is None:
            notes.append(f"No room for threshold {len(chosen) + 1}: each regime must keep {TRIM:.0%} of the rows.")
            break
        before = list(chosen)
        chosen = sorted([*chosen, found])
        if len(chosen) > 1:  # the earlier ones once more, given the new one
            for earlier in before:
                rest = [value for value in chosen if value != earlier]
                again = problem.best(problem.y, grid, rest)
                chosen = sorted([*rest, earlier if again is None else again])
        sums.append(problem.sum_of_squares(problem.y, chosen))
        f = problem.f(sums[-2], sums[-1])
        fs.append(f)
        ps.append(problem.bootstrap(before, grid, f, units, draws, generator))
    rows = []
    for value in chosen:
        low, high, _ = problem.interval(grid, [other for other in chosen if other != value])
        rows.append({"threshold": value, "low": low, "high": high})
    table = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="number"))
    ratio = problem.interval(grid, [])[2]
    terms = [f"{x} [{number}]" for number in range(1, len(chosen) + 2)]
    regimes = pd.DataFrame(problem.regimes(chosen), columns=terms)
    split = pd.concat([frame.drop(columns=[c for c in terms if c in frame]), regimes], axis=1)
    others = [name for name in controls if name != x]
    options: dict[str, Any] = {"unit": unit, "time": time, "fixed_effects": fixed_effects, "cluster": cluster}
    regression = two_way(split, y, terms, others, **options)
    return PanelThreshold(table, tuple(ps), tuple(fs), regression, tuple(sums), ratio, tuple(notes))


@dataclass(frozen=True)
class _Problem:
    """Arrays of one panel: residuals of outcome (n,) and controls (n, k), raw x and threshold variable (n,)."""

    y: np.ndarray
    x: np.ndarray
    q: np.ndarray
    effects: FixedEffects
    freedom: float

    @classmethod
    def of(
        cls, frame: pd.DataFrame, y: str, x: str, threshold: str, controls: list[str], effects: list[str]
    ) -> _Problem:
        projection = FixedEffects([codes_of(frame[column]) for column in effects], len(frame))
        others = [name for name in controls if name != x]
        freedom = float(len(frame) - projection.rank)
        if others:
            projection = projection.extended(frame[others].to_numpy(float))
        value = frame[x].to_numpy(float)
        if np.linalg.norm(projection.residualise(value)) <= 1e-9 * max(float(np.linalg.norm(value)), 1e-300):
            raise CannotEstimate(
                f"{x!r} does not vary beside the fixed effects and controls, so no threshold is identified."
            )
        outcome = projection.residualise(frame[y].to_numpy(float))
        return cls(outcome, value, frame[threshold].to_numpy(float), projection, freedom)

    def grid(self) -> np.ndarray:
        """Values tried: quantiles between the trimmed ends, each a value that the data hold."""
        quantiles = np.quantile(self.q, np.linspace(TRIM, 1 - TRIM, GRID), method="inverted_cdf")
        return np.unique(quantiles[quantiles < self.q.max()])

    def regimes(self, thresholds: Sequence[float]) -> np.ndarray:
        """x in its regime, 0 elsewhere (n, regimes)."""
        regime = np.searchsorted(np.asarray(sorted(thresholds)), self.q, side="left")
        return np.where(regime[:, None] == np.arange(len(thresholds) + 1), self.x[:, None], 0.0)

    def sum_of_squares(self, y: np.ndarray, thresholds: Sequence[float]) -> float:
        """Of the regression of y (n,), effects and controls swept out, on x by regime."""
        design = self.effects.residualise(self.regimes(thresholds))
        residual = y - design @ np.linalg.lstsq(design, y, rcond=1e-10)[0]
        return float(residual @ residual)

    def residual(self, thresholds: Sequence[float]) -> np.ndarray:
        """Residuals (n,) of the data's own outcome."""
        design = self.effects.residualise(self.regimes(thresholds))
        return self.y - design @ np.linalg.lstsq(design, self.y, rcond=1e-10)[0]

    def splits(self, grid: np.ndarray, given: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What each further threshold adds beside the given ones: values, their columns' residuals (n, g), the rest's.

        Splitting one regime adds the column x 1{regime, q <= value}; by Frisch and Waugh only its residual matters.
        """
        least = max(1, int(np.ceil(TRIM * len(self.q))))
        bounds = np.concatenate([[-np.inf], np.sort(np.asarray(given, dtype=float)), [np.inf]])
        kept, columns = [], []
        for value in grid:
            at = int(np.searchsorted(bounds, value, side="left"))
            inside = (self.q > bounds[at - 1]) & (self.q <= bounds[at])
            below = inside & (self.q <= value)
            if min(int(below.sum()), int(inside.sum() - below.sum())) < least:
                continue
            kept.append(value)
            columns.append(np.where(below, self.x, 0.0))
        base = self.effects.residualise(self.regimes(given))
        basis = np.linalg.qr(base)[0] if base.size else base
        if not columns:
            return np.array([]), np.empty((len(self.q), 0)), basis
        left = self.effects.residualise(np.column_stack(columns))
        return np.asarray(kept), left - basis @ (basis.T @ left), basis

    def best(self, y: np.ndarray, grid: np.ndarray, given: Sequence[float]) -> float | None:
        """The further threshold with the least sum of squares, or None where none fits."""
        values, columns, _ = self.splits(grid, given)
        if not len(values):
            return None
        return float(values[int(np.argmax(_explained(columns, y)))])

    def f(self, before: float, after: float) -> float:
        """(S_0 - S_1) / (S_1 / (n - rank of the effects))."""
        return (before - after) / (after / self.freedom)

    def bootstrap(
        self,
        given: Sequence[float],
        grid: np.ndarray,
        actual: float,
        units: np.ndarray,
        draws: int,
        generator: np.random.Generator,
    ) -> float:
        """Share of samples under the given thresholds alone whose best further one has an F of at least the actual."""
        _, columns, basis = self.splits(grid, given)
        residual = self.residual(given)
        rows = [np.flatnonzero(units == number) for number in range(int(units.max()) + 1)]
        exceed = 0
        for _ in range(draws):
            drawn = np.empty_like(residual)
            for own, other in zip(rows, generator.integers(0, len(rows), len(rows)), strict=True):
                source = rows[other]
                drawn[own] = residual[source[np.arange(len(own)) % len(source)]]
            y = self.effects.residualise(drawn)
            y = y - basis @ (basis.T @ y)
            total = float(y @ y)
            most = float(_explained(columns, y).max())
            exceed += self.f(total, total - most) >= actual * (1 - 1e-9)
        return (1 + exceed) / (1 + draws)

    def interval(self, grid: np.ndarray, given: Sequence[float]) -> tuple[float, float, pd.DataFrame]:
        """Ends of the 95% region of a threshold beside the given ones, and the likelihood ratio by value."""
        values, columns, basis = self.splits(grid, given)
        y = self.y - basis @ (basis.T @ self.y)
        left = float(y @ y) - _explained(columns, y)
        ratio = (left - left.min()) / (left.min() / self.freedom)
        inside = values[ratio <= CRITICAL]
        return float(inside.min()), float(inside.max()), pd.DataFrame({"threshold": values, "ratio": ratio})


def _explained(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of the sum of squares of y (n,) each column (n, g) explains by itself."""
    length = (columns**2).sum(axis=0)
    known = length > 1e-12 * max(float(length.max(initial=0.0)), 1e-300)
    return np.where(known, (columns.T @ y) ** 2 / np.where(known, length, 1.0), 0.0)

"""Simulated panels as arrays: staggered adoption, an instrument, or a cross-section to match, with every effect known.

For studies of coverage and bias, where thousands are drawn. The sample world with its raw files is in `world`, the
estimand of a two-way regression on real columns in `truth`. Nothing here writes files or estimates anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

#: The year before the first one in a panel.
ORIGIN = 2000


@dataclass(frozen=True)
class Cohort:
    """Units that adopt together.

    Attributes
    ----------
    time : first treated time, counted from 1.
    share : of all units, before selection.
    effect, growth : the mean effect on the cohort is effect + growth x (periods since adoption).
    """

    time: int
    share: float
    effect: float = 1.0
    growth: float = 0.0


@dataclass(frozen=True)
class PanelDesign:
    """A balanced panel with staggered adoption; units outside every cohort are never treated.

    y = unit level + common shock + trend x time + drift (ever treated) time + effect + error, with error an
    autoregression of first order in its stationary state, standard deviation one.

    Attributes
    ----------
    units, times : size of the panel.
    cohorts : in order of adoption.
    exact : whether shares are counts fixed in advance, or the chances of independent draws.
    spread : standard deviation of a unit's effect around its cohort's mean.
    persistence : autocorrelation of the error.
    selection : log odds of adoption gained by one unit of x, the same for every cohort.
    trend : slope over time that one unit of x adds to y.
    drift : slope over time that ever-treated units have on top, a violation of parallel trends.
    group_effect : what units of group 1 (half of all, at random) gain on top of the effect of their cohort.
    """

    units: int = 200
    times: int = 10
    cohorts: tuple[Cohort, ...] = (Cohort(4, 0.2), Cohort(6, 0.2), Cohort(8, 0.2))
    exact: bool = False
    spread: float = 0.0
    persistence: float = 0.5
    selection: float = 0.0
    trend: float = 0.0
    drift: float = 0.0
    group_effect: float = 0.0

    @cached_property
    def shares(self) -> np.ndarray:
        """Of the cohorts, the never treated last, without selection (cohorts + 1,)."""
        share = np.array([cohort.share for cohort in self.cohorts])
        if (share < 0).any() or share.sum() >= 1:
            raise ValueError(f"Shares of cohorts must be 0 or more and leave never-treated units: {share.tolist()}.")
        return np.append(share, 1 - share.sum())

    @cached_property
    def adoption(self) -> np.ndarray:
        """First treated time of the cohorts, inf for the never treated (cohorts + 1,)."""
        return np.array([*(cohort.time for cohort in self.cohorts), np.inf])

    @cached_property
    def treated(self) -> np.ndarray:
        """Treatment by cohort and time (cohorts + 1, times)."""
        return (np.arange(1, self.times + 1) >= self.adoption[:, None]).astype(float)

    @cached_property
    def effects(self) -> np.ndarray:
        """Mean effect by cohort and time (cohorts + 1, times), zero where untreated; group 0 where groups differ."""
        level = np.array([*(cohort.effect for cohort in self.cohorts), 0.0])
        growth = np.array([*(cohort.growth for cohort in self.cohorts), 0.0])
        since = np.arange(1, self.times + 1) - np.where(np.isinf(self.adoption), 0, self.adoption)[:, None]
        return self.treated * (level[:, None] + growth[:, None] * since)


@dataclass(frozen=True)
class SimulatedPanel:
    """One draw of a `PanelDesign`.

    Attributes
    ----------
    design : what it was drawn from.
    cohort : place in ``design.shares`` of each unit (units,).
    y, y0 : outcome with and without the policy (units, times).
    effect : their difference, the unit's own effect (units, times).
    x, group : of each unit (units,).
    """

    design: PanelDesign
    cohort: np.ndarray
    y: np.ndarray
    y0: np.ndarray
    effect: np.ndarray
    x: np.ndarray
    group: np.ndarray

    @property
    def treated(self) -> np.ndarray:
        """Treatment (units, times)."""
        return self.design.treated[self.cohort]

    @property
    def relative(self) -> np.ndarray:
        """Time since adoption (units, times), -inf for the never treated."""
        return np.arange(1, self.design.times + 1) - self.design.adoption[self.cohort][:, None]

    @property
    def att(self) -> float:
        """Average effect over the treated unit-times of this panel."""
        return float(self.effect[self.treated == 1].mean())

    @property
    def frame(self) -> pd.DataFrame:
        """Long form: ``unit``, ``time``, ``y``, ``y0``, ``treated``, ``adoption``, ``x``, ``x_time``, ``group``."""
        units, times = self.y.shape
        when = np.arange(1, times + 1)
        adoption = self.design.adoption[self.cohort]
        return pd.DataFrame(
            {
                "unit": np.repeat(np.arange(units), times),
                "time": np.tile(ORIGIN + when, units),
                "y": self.y.ravel(),
                "y0": self.y0.ravel(),
                "treated": self.treated.ravel(),
                "adoption": np.repeat(np.where(np.isinf(adoption), np.nan, ORIGIN + adoption), times),
                "x": np.repeat(self.x, times),
                "x_time": np.outer(self.x, when).ravel(),
                "group": np.repeat(self.group, times),
            }
        )


def simulate_panel(design: PanelDesign, seed: int | list[int]) -> SimulatedPanel:
    """Draw units, their cohorts, effects and errors; ``seed`` is of numpy's default generator."""
    generator = np.random.default_rng(seed)
    n = design.units
    x = generator.normal(size=n)
    cohort = _cohorts(design, x, generator)
    group = generator.integers(0, 2, n)
    ever = cohort < len(design.cohorts)
    level = generator.normal(size=n) + 0.5 * x + ever
    shock = generator.normal(size=design.times)
    slope = design.trend * x + design.drift * ever
    own = design.spread * generator.normal(size=n) + design.group_effect * group
    effect = design.effects[cohort] + design.treated[cohort] * own[:, None]
    error = autoregression(generator, n, design.times, design.persistence)
    y0 = level[:, None] + shock + np.outer(slope, np.arange(1, design.times + 1)) + error
    return SimulatedPanel(design, cohort, y0 + effect, y0, effect, x, group)


def _cohorts(design: PanelDesign, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Place in ``design.shares`` of each unit, by fixed counts in random order or by a multinomial logit in x."""
    if design.exact:
        if design.selection:
            raise ValueError("Selection on x needs exact=False: fixed counts leave adoption no chance to depend on x.")
        count = np.round(design.shares * design.units).astype(int)
        count[-1] = design.units - count[:-1].sum()
        return generator.permutation(np.repeat(np.arange(len(count)), count))
    ever = np.arange(len(design.shares)) < len(design.cohorts)
    odds = design.shares * np.exp(design.selection * np.outer(x, ever))
    upper = np.cumsum(odds, axis=1)
    return (generator.random(len(x))[:, None] * upper[:, -1:] >= upper).sum(axis=1)


def autoregression(generator: np.random.Generator, units: int, times: int, persistence: float) -> np.ndarray:
    """Stationary errors (units, times) with variance one and first autocorrelation ``persistence``."""
    if not -1 < persistence < 1:
        raise ValueError(f"persistence must lie between -1 and 1; it is {persistence}.")
    error = generator.normal(size=(units, times))
    for t in range(1, times):
        error[:, t] = persistence * error[:, t - 1] + np.sqrt(1 - persistence**2) * error[:, t]
    return error


def projection(values: np.ndarray, regressors: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Coefficients (k,) that a two-way regression on ``regressors`` (k, rows, times) gives ``values`` (rows, times).

    Least squares is linear in the outcome, so with ``values`` the effects this is the regression's own estimand, the
    sum of w tau (de Chaisemartin and D'Haultfoeuille 2020, theorem 1). Rows are units or, weighted by their shares in
    ``weight`` (rows,), cohorts: then it is the estimand in the population.
    """
    weight = np.full(len(values), 1 / len(values)) if weight is None else weight / weight.sum()

    def residual(array: np.ndarray) -> np.ndarray:
        own = array - array.mean(axis=-1, keepdims=True)
        return (own - (weight[:, None] * own).sum(axis=-2, keepdims=True)).reshape(*array.shape[:-2], -1)

    each = np.repeat(weight, values.shape[1])
    left = residual(regressors)
    return np.linalg.solve((left * each) @ left.T, (left * each) @ residual(values))


@dataclass(frozen=True)
class InstrumentDesign:
    """A panel whose units choose treatment at one time, for reasons that also move the outcome.

    A unit is treated from ``post`` on when strength (z + z2 / 2) + v > 0; y = effect x treated + levels and shocks +
    error + endogeneity v from ``post`` on. z and z2, standard normal as is v, act on y through treatment alone.
    """

    units: int = 200
    times: int = 10
    post: int = 6
    effect: float = 1.0
    strength: float = 1.0
    endogeneity: float = 0.5
    persistence: float = 0.5


def simulate_instrument(design: InstrumentDesign, seed: int | list[int]) -> pd.DataFrame:
    """Long form: ``unit``, ``time``, ``y``, ``treated``, and the instruments ``z_post`` and ``z2_post``."""
    generator = np.random.default_rng(seed)
    n, times = design.units, design.times
    z, z2, v, level = generator.normal(size=(4, n))
    after = (np.arange(1, times + 1) >= design.post).astype(float)
    treated = np.outer(design.strength * (z + z2 / 2) + v > 0, after)
    y = level[:, None] + generator.normal(size=times) + design.effect * treated
    y = y + design.endogeneity * np.outer(v, after) + autoregression(generator, n, times, design.persistence)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), times),
            "time": np.tile(ORIGIN + np.arange(1, times + 1), n),
            "y": y.ravel(),
            "treated": treated.ravel(),
            "z_post": np.outer(z, after).ravel(),
            "z2_post": np.outer(z2, after).ravel(),
        }
    )


@dataclass(frozen=True)
class CrossSectionDesign:
    """Units treated with probability logistic(intercept + slopes'x), x standard normal.

    y = x1 + x1^2 / 2 + x2 / 2 + effect x treated + error, the effect 1 + interaction x1, the error standard normal.
    """

    units: int = 600
    intercept: float = -1.0
    slopes: tuple[float, ...] = (0.7, 0.5)
    interaction: float = 0.0

    @property
    def att(self) -> float:
        """Average effect on the treated in the population, by quadrature.

        Given the index u = s'x with variance s's, the mean of x1 is s1 u / s's.
        """
        node, weight = np.polynomial.hermite_e.hermegauss(80)
        length = float(np.linalg.norm(self.slopes))
        chance = weight / (1 + np.exp(-self.intercept - length * node))
        return 1 + self.interaction * self.slopes[0] / length * float(chance @ node) / float(chance.sum())


def simulate_cross_section(design: CrossSectionDesign, seed: int | list[int]) -> pd.DataFrame:
    """Columns ``treated``, ``x1``, ``x2``, …, ``effect`` (each unit's own) and ``y``."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(design.units, max(2, len(design.slopes))))
    index = design.intercept + x[:, : len(design.slopes)] @ np.array(design.slopes)
    treated = (generator.random(design.units) < 1 / (1 + np.exp(-index))).astype(float)
    effect = 1 + design.interaction * x[:, 0]
    y = x[:, 0] + x[:, 0] ** 2 / 2 + x[:, 1] / 2 + effect * treated + generator.normal(size=design.units)
    columns = {f"x{j + 1}": x[:, j] for j in range(x.shape[1])}
    return pd.DataFrame({"treated": treated, **columns, "effect": effect, "y": y})

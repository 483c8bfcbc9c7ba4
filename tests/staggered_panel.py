"""A simulated panel with staggered adoption whose true effects are known, for the tests of several estimators."""

import numpy as np
import pandas as pd


def staggered_panel(
    seed: int = 0,
    *,
    units: int = 120,
    times: int = 8,
    cohorts: tuple[float, ...] = (2004, 2006, np.nan),
    noise: float = 0.3,
    trend: float = 0.0,
) -> pd.DataFrame:
    """Columns unit, time, first, y, x, effect and treated; effects grow with time since adoption and differ by cohort.

    x is constant within units; ``trend`` is the slope that x adds to untreated outcomes, so parallel trends then hold
    only given x, and later cohorts have larger x.
    """
    generator = np.random.default_rng(seed)
    cohort = np.resize(np.array(cohorts, dtype=float), units)
    x = generator.normal(size=units) + 0.5 * np.isnan(cohort)
    level = generator.normal(size=units)
    year = 2000 + np.arange(times)
    shock = generator.normal(size=times)
    since = year[None, :] - cohort[:, None]
    effect = np.where(since >= 0, 1 + 0.5 * since + 0.2 * (cohort[:, None] - 2004), 0.0)
    y = level[:, None] + shock + trend * x[:, None] * np.arange(times) + effect
    y = y + noise * generator.normal(size=y.shape)
    return pd.DataFrame(
        {
            "unit": np.repeat([f"城市 {i:03d}" for i in range(units)], times),
            "time": np.tile(year, units),
            "first": np.repeat(cohort, times),
            "y": y.ravel(),
            "x": np.repeat(x, times),
            "effect": effect.ravel(),
            "treated": (since >= 0).ravel().astype(float),
        }
    )


def cell_truth(panel: pd.DataFrame) -> pd.Series:
    """Average true effect of the treated cells, indexed by (cohort, time)."""
    treated = panel[panel["treated"] == 1]
    return treated.groupby(["first", "time"])["effect"].mean()


def shuffled_and_renamed(panel: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """The same panel with rows in another order, other unit labels in another order, and another index."""
    generator = np.random.default_rng(seed)
    labels = panel["unit"].unique()
    names = dict(zip(labels, generator.permutation(len(labels)), strict=True))
    shuffled = panel.assign(unit=panel["unit"].map(names)).sample(frac=1, random_state=seed)
    return shuffled.set_index(pd.Index([f"row {i}" for i in range(len(shuffled))]))

"""A small unbalanced panel with awkward column names, for comparing regressions with other software."""

import numpy as np
import pandas as pd

Y, X1, X2, UNIT, YEAR, FIRST, TREATED = "log(专利)", "x 1", "x:2", "城市 code", "year.", "first treated", "did*"
CONTROLS = [X1, X2]


def random_panel(seed: int = 0, *, units: int = 40, years: int = 9, share: float = 0.85) -> pd.DataFrame:
    """Columns as named above; units adopt in year 4, 5 or 7 or never; ``share`` of the rows, in any order."""
    generator = np.random.default_rng(seed)
    n = units * years
    unit = np.repeat(np.arange(units), years)
    year = np.tile(2010 + np.arange(years), units)
    first = np.resize([2013.0, np.nan, 2014.0, np.nan, 2016.0, np.nan], units)[unit]
    x1 = generator.normal(size=n) + 0.1 * unit
    x2 = generator.uniform(size=n)
    noise = generator.normal(size=n) + generator.normal(size=units)[unit] * (year - 2010) / 5
    treated = (year >= first).astype(float)
    frame = pd.DataFrame(
        {
            UNIT: [f"市{u:03d}" for u in unit],
            YEAR: year,
            Y: 0.5 * treated + 0.3 * x1 - x2 + 0.05 * unit + 0.1 * (year - 2010) + noise,
            X1: x1,
            X2: x2,
            FIRST: first,
            TREATED: treated,
            "province": unit % 5,
        }
    )
    return frame.sample(frac=share, random_state=seed) if share < 1 else frame


def plain(panel: pd.DataFrame) -> pd.DataFrame:
    """The same columns under names that formulas can hold: y, x1, x2, unit, year, first, treated."""
    names = {Y: "y", X1: "x1", X2: "x2", UNIT: "unit", YEAR: "year", FIRST: "first", TREATED: "treated"}
    return panel.rename(columns=names)


def shuffled_and_renamed(panel: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """The same panel with rows in another order, units under other names in another order, and another index."""
    generator = np.random.default_rng(seed)
    labels = panel[UNIT].unique()
    names = dict(zip(labels, generator.permutation(len(labels)), strict=True))
    shuffled = panel.assign(**{UNIT: panel[UNIT].map(names)}).sample(frac=1, random_state=seed)
    return shuffled.set_index(pd.Index([f"row {i}" for i in range(len(shuffled))]))

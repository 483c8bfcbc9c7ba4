"""The placebo against a loop of pyfixest over the same draws, and diagnostics against single fits, in the same run.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from processor import spent as seconds

from analysis.did import bacon, event_study, group_difference, placebo, two_way, wild_bootstrap

CONTROLS = ["fin", "open", "industry", "ln_pgdp"]
KEYS = {"unit": "city_code", "time": "year"}
LOOP = 20


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    """As large as the cluster study: 281 cities, 2006-2021, 55 pilots in three waves, four controls."""
    generator = np.random.default_rng(0)
    adoption = np.repeat([2013, 2014, 2017, np.nan], [10, 19, 26, 226])
    panel = pd.DataFrame({"city_code": np.repeat(np.arange(281), 16), "year": np.tile(np.arange(2006, 2022), 281)})
    panel["adoption"] = adoption[panel["city_code"]]
    panel["did"] = (panel["year"] >= panel["adoption"]).astype(float)
    panel["region"] = panel["city_code"] % 3
    panel[CONTROLS] = generator.normal(size=(len(panel), 4))
    panel["gti1"] = 0.3 * panel["did"] + panel[CONTROLS].sum(axis=1) + generator.normal(size=len(panel))
    return panel


@pytest.mark.benchmark
def test_500_placebo_draws_take_a_twentieth_of_a_pyfixest_loop(
    study: pd.DataFrame, measured: Callable[..., None]
) -> None:
    import pyfixest

    ours = seconds(lambda: placebo(study, "gti1", "adoption", CONTROLS, **KEYS, draws=500))
    generator = np.random.default_rng(1)
    first = study.groupby("city_code")["adoption"].first().to_numpy()
    formula = f"gti1 ~ pretend + {' + '.join(CONTROLS)} | city_code + year"

    def loop() -> None:
        for _ in range(LOOP):
            pretend = (study["year"] >= generator.permutation(first)[study["city_code"]]).astype(float)
            pyfixest.feols(formula, study.assign(pretend=pretend), vcov={"CRV1": "city_code"})

    theirs = seconds(loop, repeats=2) / LOOP * 500
    measured("placebo, 281 x 16, 4 controls, 500 draws", ours, "pyfixest loop", theirs)
    assert theirs / ours >= 20


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("name", "fits"),
    [("event_study", 5), ("bacon", 2), ("bacon with controls", 2), ("groups", 60), ("wild_bootstrap", 15)],
)
def test_the_diagnostics_of_a_study_take_as_long_as_a_few_fits(
    study: pd.DataFrame, name: str, fits: int, measured: Callable[..., None]
) -> None:
    """Fits of the baseline by pyfixest; groups refits 500 times, and the bootstrap draws 999 times."""
    import pyfixest

    formula = f"gti1 ~ did + {' + '.join(CONTROLS)} | city_code + year"
    fit = seconds(lambda: pyfixest.feols(formula, study, vcov={"CRV1": "city_code"}))
    work: dict[str, Callable[[], object]] = {
        "event_study": lambda: event_study(study, "gti1", "adoption", CONTROLS, **KEYS, leads=3, lags=3),
        "bacon": lambda: bacon(study, "gti1", "adoption", **KEYS),
        "bacon with controls": lambda: bacon(study, "gti1", "adoption", CONTROLS, **KEYS),
        "groups": lambda: group_difference(study, "gti1", "did", CONTROLS, group="region", **KEYS, permutations=500),
        "wild_bootstrap": lambda: wild_bootstrap(study, "gti1", "did", CONTROLS, **KEYS),
    }
    used = seconds(work[name])
    measured(f"{name}, 281 x 16", used, f"pyfixest, {fits} fits", fits * fit)
    assert used < fits * fit


@pytest.mark.benchmark
@pytest.mark.parametrize(("firms", "years", "industries", "times"), [(4_000, 15, 285, 1.5), (300_000, 10, 200, 1.2)])
def test_thousands_of_levels_take_about_as_long_as_in_pyfixest(
    firms: int, years: int, industries: int, times: float, measured: Callable[..., None]
) -> None:
    """Effects of firm and of industry and year; the smaller takes a twentieth of a second, half of it pandas."""
    import pyfixest

    generator = np.random.default_rng(0)
    firm, year = np.repeat(np.arange(firms), years), np.tile(np.arange(years), firms)
    industry = generator.integers(0, industries, firms)[firm]
    panel = pd.DataFrame({"firm": firm, "year": year, "industry_year": industry * years + year})
    panel["d"] = ((year >= years // 2) & (generator.random(firms) < 0.4)[firm]).astype(float)
    panel["x"] = generator.normal(size=len(panel)) + 0.1 * industry
    panel["y"] = 0.5 * panel["d"] + panel["x"] + generator.normal(size=len(panel))
    panel = panel.sample(frac=1, random_state=1)
    effects = ["unit", "industry_year"]
    repeats = 5 if firms < 10_000 else 1
    ours = seconds(lambda: two_way(panel, "y", "d", ["x"], unit="firm", time="year", fixed_effects=effects), repeats)
    formula = "y ~ d + x | firm + industry_year"
    theirs = seconds(lambda: pyfixest.feols(formula, panel, vcov={"CRV1": "firm"}), repeats)
    measured(f"two_way, {len(panel):,} rows x {firms + industries * years:,} levels", ours, "pyfixest", theirs)
    assert ours < times * theirs

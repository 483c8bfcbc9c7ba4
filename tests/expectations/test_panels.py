"""Each rule of the panels holds on a good panel and fails on one broken in its way, and says which rows broke it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from expectations import panels, runner

YEARS = (2010, 2013)
CITIES = [f"{code}00" for code in range(1101, 1111)]


@dataclass(frozen=True)
class Bounds:
    """What the catalogue says of a column's values."""

    low: float | None = None
    above: float | None = None
    high: float | None = None
    blocking: bool = True
    said: str = ""


SHARE = Bounds(low=0, high=1, blocking=False, said="is a share between 0 and 1")
POSITIVE = Bounds(above=0, said="is above 0")
#: Column of panels.city_year -> bounds, as there are in the catalogue.
BOUNDS = {
    **dict.fromkeys(("industry_share", "education_share_of_gdp"), SHARE),
    **dict.fromkeys(("gdp_10k_yuan", "gdp_per_capita_yuan"), POSITIVE),
    "green_patents_granted": Bounds(low=0, said="is at least 0"),
    "land_area_km2": Bounds(above=0, high=500_000, said="is above 0 and at most 500000"),
}


def study_frame() -> pd.DataFrame:
    """Ten cities and four years; three cities treated, in 2011 and 2012."""
    frame = pd.MultiIndex.from_product([CITIES, range(YEARS[0], YEARS[1] + 1)], names=panels.KEYS).to_frame(index=False)
    adoption = {CITIES[0]: 2011, CITIES[1]: 2012, CITIES[2]: 2012}
    frame["adoption"] = frame.city_code.map(adoption)
    frame["did"] = (frame.year >= frame.adoption).astype(int)
    rng = np.random.default_rng(0)
    frame["y"], frame["share"], frame["never"] = rng.normal(size=len(frame)), rng.random(len(frame)), np.nan
    return frame


def with_checks(frame: pd.DataFrame) -> pd.DataFrame:
    return panels.with_checks(panels.with_years(frame), "did")


def study_rules() -> list[runner.Rule]:
    return panels.study_panel(
        cities=10,
        years=YEARS,
        treatment="did",
        treated=3,
        measured=["y", "share"],
        bounds={"share": SHARE, "y": Bounds(low=-9, high=9, said="lies between -9 and 9")},
    )


def city_year_frame() -> pd.DataFrame:
    frame = study_frame()[list(panels.KEYS)]
    rng = np.random.default_rng(1)
    frame["green_patents_granted"] = rng.integers(0, 50, len(frame)).astype(float)
    for column in ("industry_share", "education_share_of_gdp"):
        frame[column] = rng.random(len(frame))
    for column in ("gdp_10k_yuan", "land_area_km2", "gdp_per_capita_yuan"):
        frame[column] = np.exp(rng.normal(size=len(frame)))
    return frame


def outcomes(frame: pd.DataFrame, rules: list[runner.Rule], store) -> dict[str, runner.Outcome]:
    found = runner.validate("panels.test", frame, rules, keys=panels.KEYS, store=store)
    return {outcome.rule: outcome for outcome in found}


@pytest.fixture
def broken(tmp_path):
    """Names of the rules that fail on a panel."""

    def failing(frame: pd.DataFrame, rules: list[runner.Rule] | None = None) -> set[str]:
        if rules is None:
            frame, rules = with_checks(frame), study_rules()
        else:
            frame = panels.with_years(frame)
        return {name for name, outcome in outcomes(frame, rules, tmp_path).items() if not outcome.passed}

    return failing


def test_a_good_panel_passes_every_rule(broken):
    assert broken(study_frame()) == set()
    assert broken(study_frame().sample(frac=1, random_state=0)) == set()
    assert broken(city_year_frame(), panels.city_year(cities=10, years=YEARS, bounds=BOUNDS)) == set()


def change(column: str, row: int, value: object):
    def apply(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object}) if isinstance(value, str) else frame
        frame.loc[row, column] = value
        return frame

    return apply


@pytest.mark.parametrize(
    ("breaking", "rules"),
    [
        (lambda f: pd.concat([f, f.iloc[[5]]]), {"one row a city and year", "40 rows", "10 cities in every year"}),
        (lambda f: f.drop(index=39), {"40 rows", "10 cities in every year"}),
        (change("city_code", 39, "11010"), {"city codes are six digits"}),
        (change("city_code", 39, "011000"), {"city codes are six digits"}),
        (change("year", 39, 2014), {"years are 2010 to 2013", "10 cities in every year"}),
        (change("did", 39, 2), {"did is 0 or 1"}),
        (change("did", 39, np.nan), {"did is never missing"}),
        (lambda f: f.assign(adoption=f.adoption.where(f.city_code != CITIES[0])), {"3 cities are ever treated"}),
        (change("did", 3, 0), {"did never ends once it began"}),
        (change("share", 0, 1.2), {"share is a share between 0 and 1"}),
        (change("share", 0, -0.1), {"share is a share between 0 and 1"}),
        (change("y", 0, 10.0), {"y lies between -9 and 9"}),
        (lambda f: f.assign(y=f.y.where(f.index > 8)), {"y is missing in at most a fifth of the rows"}),
    ],
)
def test_a_broken_study_panel_fails_the_rule_it_breaks_and_no_other(broken, breaking, rules):
    assert broken(breaking(study_frame())) == rules


def test_a_fifth_may_be_missing(broken):
    assert broken(study_frame().assign(y=lambda f: f.y.where(f.index >= 8))) == set()


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("green_patents_granted", -1, "green_patents_granted is at least 0"),
        ("gdp_10k_yuan", 0, "gdp_10k_yuan is above 0"),
        ("land_area_km2", 0, "land_area_km2 is above 0 and at most 500000"),
        ("land_area_km2", 600_000, "land_area_km2 is above 0 and at most 500000"),
        ("gdp_per_capita_yuan", 0, "gdp_per_capita_yuan is above 0"),
        ("industry_share", 1.01, "industry_share is a share between 0 and 1"),
        ("education_share_of_gdp", -0.01, "education_share_of_gdp is a share between 0 and 1"),
    ],
)
def test_a_broken_city_year_fails_the_rule_it_breaks_and_no_other(broken, column, value, rule):
    frame = city_year_frame()
    frame.loc[7, column] = value
    assert broken(frame, panels.city_year(cities=10, years=YEARS, bounds=BOUNDS)) == {rule}


def test_missing_values_break_no_range(broken):
    frame = city_year_frame()
    frame.loc[3, ["gdp_10k_yuan", "industry_share", "green_patents_granted"]] = np.nan
    assert broken(frame, panels.city_year(cities=10, years=YEARS, bounds=BOUNDS)) == set()


def test_shares_and_gaps_warn_and_everything_else_blocks():
    for rules in (study_rules(), panels.city_year(cities=10, years=YEARS, bounds=BOUNDS)):
        warning = {rule.name for rule in rules if not rule.blocking}
        assert warning == {r.name for r in rules if "is a share" in r.name or "at most a fifth" in r.name}
        assert len({rule.name for rule in rules}) == len(rules)


def test_a_failure_quotes_the_rows_with_their_keys(tmp_path):
    frame = with_checks(study_frame())
    frame.loc[frame.index[[4, 9]], "share"] = [1.5, 1.6]
    outcome = outcomes(frame, study_rules(), tmp_path)["share is a share between 0 and 1"]
    assert outcome.observed == "2 of 40 rows"
    assert (
        outcome.failing.to_numpy().tolist()
        == frame.loc[frame.index[[4, 9]], [*panels.KEYS, "share"]].to_numpy().tolist()
    )


def test_whole_panel_counts_stand_on_the_first_row_of_a_city():
    checked = panels.with_checks(study_frame().sample(frac=1, random_state=1), "did")
    assert checked.ever_treated_cities.sum() == 3
    assert (checked[checked.ever_treated_cities == 1].year == YEARS[0]).all()
    assert checked.treatment_ended.sum() == 0

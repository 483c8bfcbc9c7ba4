"""Adoption times and treatments say the same thing, and what cannot be said so is refused."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from random_panel import FIRST, TREATED, UNIT, YEAR, random_panel
from staggered_panel import staggered_panel

from analysis.did import (
    adoption_from_treatment,
    bacon,
    callaway_santanna,
    event_study,
    imputation,
    placebo,
    sun_abraham,
    synthetic,
    treatment_from_adoption,
    two_way,
    wild_bootstrap,
)
from analysis.did.adoption import one_adoption
from analysis.did.multiple import romano_wolf

KEYS = {"unit": "unit", "time": "time"}
ESTIMATORS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "event_study": lambda p: event_study(p, "y", "first", **KEYS, leads=3, lags=3).table,
    "event_study, ends not binned": lambda p: (
        event_study(p, "y", "first", **KEYS, leads=2, lags=1, bin_ends=False).table
    ),
    "callaway_santanna": lambda p: callaway_santanna(p, "y", "first", **KEYS).table,
    "sun_abraham": lambda p: sun_abraham(p, "y", "first", **KEYS).table,
    "imputation": lambda p: imputation(p, "y", "first", **KEYS).table,
    "bacon": lambda p: bacon(p, "y", "first", **KEYS).table,
    "placebo": lambda p: placebo(p, "y", "first", **KEYS, draws=9).draws,
}


def _dates(years: pd.Series) -> pd.Series:
    return pd.to_datetime(years.map("{:.0f}-01-01".format).where(years.notna()))


#: Ways of writing when a unit was first treated, never treated included, and the notes that go with them.
WRITINGS: dict[str, tuple[Callable[[pd.Series], pd.Series], str]] = {
    "dates": (_dates, ""),
    "days": (lambda s: _dates(s).map(lambda day: None if pd.isna(day) else day.date()).astype(object), ""),
    "last days of years": (lambda s: pd.to_datetime(s.map("{:.0f}-12-31".format).where(s.notna())), ""),
    "periods": (lambda s: _dates(s).dt.to_period("Y"), ""),
    "text": (lambda s: s.map("{:.0f}".format).where(s.notna()), ""),
    "nullable integers": (lambda s: s.astype("Int64"), ""),
    "categories": (lambda s: s.astype("category"), ""),
    "0 for never": (lambda s: s.fillna(0).astype(int), "'first' is 0 in 320 rows: read as never treated."),
    "inf for never": (lambda s: s.fillna(np.inf), "'first' is inf in 320 rows: read as never treated."),
    "9999 for never": (lambda s: s.fillna(9999), "'first' is 9999 in 320 rows: read as never treated."),
}


@cache
def plain(name: str) -> pd.DataFrame:
    """What an estimator makes of years as numbers, missing for never."""
    return ESTIMATORS[name](staggered_panel(1))


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_adoption_means_the_same_however_it_is_written(name: str, writing: str) -> None:
    panel = staggered_panel(1)
    other = panel.assign(first=WRITINGS[writing][0](panel["first"]))
    pd.testing.assert_frame_equal(ESTIMATORS[name](other), plain(name), check_exact=True)


@pytest.mark.parametrize("writing", [writing for writing, (_, note) in WRITINGS.items() if note])
def test_how_never_was_written_is_noted(writing: str) -> None:
    write, note = WRITINGS[writing]
    other = staggered_panel(1).assign(first=lambda panel: write(panel["first"]))
    assert note in imputation(other, "y", "first", **KEYS).notes
    assert note in placebo(other, "y", "first", **KEYS, draws=1).notes
    assert note in event_study(other, "y", "first", **KEYS, leads=3, lags=3).notes


@pytest.mark.parametrize("writing", ["dates", "days", "periods", "text", "nullable integers", "categories"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_time_means_the_same_however_it_is_written(name: str, writing: str) -> None:
    panel = staggered_panel(1)
    write, _ = WRITINGS[writing]
    other = panel.assign(time=write(panel["time"].astype(float)))
    pd.testing.assert_frame_equal(ESTIMATORS[name](other), plain(name), check_exact=True)
    both = other.assign(first=_dates(panel["first"]))
    pd.testing.assert_frame_equal(ESTIMATORS[name](both), plain(name), check_exact=True)


@pytest.mark.parametrize("writing", ["dates", "days", "periods", "text", "categories"])
def test_estimators_of_a_treatment_column_take_any_writing_of_time(writing: str) -> None:
    panel = staggered_panel(1).assign(d=lambda p: p["treated"])
    other = panel.assign(time=WRITINGS[writing][0](panel["time"].astype(float)))
    assert synthetic(other, "y", "d", **KEYS, draws=2).att == synthetic(panel, "y", "d", **KEYS, draws=2).att
    assert two_way(other, "y", "d", **KEYS).table.equals(two_way(panel, "y", "d", **KEYS).table)
    for run in (
        lambda p: wild_bootstrap(p, "y", "d", **KEYS, draws=99).p_value,
        lambda p: romano_wolf(p, {"y": ["x"]}, "d", **KEYS, draws=9).table["p"].iloc[0],
    ):
        assert run(other) == run(panel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.fillna(0).where(s.index >= 24), "'first' is 0 in 312 rows and missing in 24"),
        (lambda s: s.fillna(-1), "'first' holds -1 in 320 rows, which is no time like those of 'time'"),
        (lambda s: s.where(s != 2004, 4), "'first' holds 4 in 320 rows, which is no time"),
        (lambda s: s.fillna(-np.inf), "'first' holds -inf in 320 rows"),
        (lambda s: s.astype(object).fillna("never"), "'first' must be numeric; it holds 'never'"),
        (lambda s: _dates(s).mask(s == 2006, pd.Timestamp(2006, 7, 10)), "dates on several days of the year"),
        (lambda s: s + 1j, "'first' must be numeric; it holds complex numbers"),
        (lambda s: pd.to_timedelta(s, unit="D"), "'first' must be numeric; it holds dates or spans of time"),
    ],
)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_adoption_that_says_nothing_certain_is_refused(name: str, change, message: str) -> None:
    panel = staggered_panel(1)
    with pytest.raises(ValueError, match=message):
        ESTIMATORS[name](panel.assign(first=change(panel["first"])))


def test_zero_is_a_time_where_times_reach_zero() -> None:
    panel = staggered_panel(1).assign(time=lambda p: p["time"] - 2004, first=lambda p: p["first"] - 2004)
    assert 0 in callaway_santanna(panel, "y", "first", **KEYS).table["cohort"].to_numpy()


def test_dates_beside_times_that_are_no_years_are_refused() -> None:
    panel = staggered_panel(1)
    panel = panel.assign(first=_dates(panel["first"]), time=panel["time"] - 1999)
    with pytest.raises(ValueError, match="'first' holds dates, and 'time' runs from 1 to 8, which are no years"):
        event_study(panel, "y", "first", **KEYS, leads=3, lags=3)


def test_treatment_and_adoption_give_each_other_back() -> None:
    panel = random_panel(1, share=1.0).sample(frac=1, random_state=3).set_index(YEAR, drop=False)
    treatment = treatment_from_adoption(panel[FIRST], panel[YEAR])
    assert np.array_equal(treatment, panel[TREATED]) and treatment.index.equals(panel.index)
    first = adoption_from_treatment(panel, TREATED, unit=UNIT, time=YEAR)
    assert np.array_equal(first, panel[FIRST], equal_nan=True) and first.index.equals(panel.index)


def test_missing_adoption_is_never_treated_whatever_its_type() -> None:
    time = pd.Series([2000, 2001])
    for adoption in (pd.Series([pd.NA, pd.NA], dtype="Int64"), pd.Series([None, None]), pd.Series([np.nan, np.nan])):
        assert treatment_from_adoption(adoption, time).tolist() == [0.0, 0.0]


def test_a_unit_that_leaves_treatment_is_named() -> None:
    panel = pd.DataFrame({"u": list("aaabbb"), "t": [1, 2, 3] * 2, "d": [0, 1, 1, 0, 1, 0]})
    with pytest.raises(ValueError, match=r"Unit 'b' leaves treatment 'd' in 3 \(one of 1 such units\)"):
        adoption_from_treatment(panel, "d", unit="u", time="t")


def test_a_treatment_other_than_zero_or_one_is_refused() -> None:
    panel = pd.DataFrame({"u": list("aab"), "t": [1, 2, 1], "d": [0, 0.5, 0]})
    with pytest.raises(ValueError, match=r"must be 0 or 1; it holds 0\.5"):
        adoption_from_treatment(panel, "d", unit="u", time="t")


@pytest.mark.parametrize("second", [2004, np.nan])
def test_two_adoption_times_in_one_unit_are_refused(second: float) -> None:
    panel = pd.DataFrame({"u": list("aabb"), "t": [1, 2, 1, 2], "first": [np.nan, np.nan, 2003, second]})
    with pytest.raises(ValueError, match=r"Unit 'b' has several values of 'first' \(2003, (2004|missing)\)"):
        one_adoption(panel, "first", unit="u", time="t")

"""The steps into a panel on a few rows: gaps that may not be filled, an index of which nothing is known."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.lineage.steps import Steps, neighbours, weighted

ROWS = pd.DataFrame(
    {
        "city_code": ["1"] * 6,
        "year": range(2010, 2016),
        "x": [1.0, None, 3.0, None, None, 9.0],
        "a": [math.nan] * 6,
        "b": [1.0] * 6,
    }
)


def variable(**changes: object) -> dict[str, object]:
    return {"interpolate": "linear", "max_gap": None, "log": False, "winsorize_low": None, **changes}


@pytest.mark.parametrize(("max_gap", "filled"), [(None, [1, 2, 3, 5, 7, 9]), (math.nan, [1, 2, 3, 5, 7, 9])])
def test_every_gap_is_filled_where_no_limit_is_set(max_gap, filled):
    assert Steps.of(ROWS, "x", variable(max_gap=max_gap)).final.tolist() == filled


def test_a_gap_longer_than_the_limit_stays_a_gap():
    steps = Steps.of(ROWS, "x", variable(max_gap=1.0))
    assert steps.final.fillna(0).tolist() == [1, 2, 3, 0, 0, 9]
    assert [steps.imputed(at) for at in range(6)] == [False, True, False, False, False, False]
    known = [2010, 2012, 2015]
    assert neighbours(known, 2011, 1) == [2010, 2012]
    assert neighbours(known, 2013, 1) == []
    assert neighbours(known, 2013) == [2012, 2015]


@pytest.mark.parametrize(
    ("parts", "why"),
    [(["a", "b"], "No row has a value in every indicator"), (["b"], "None of the indicators 'b' varies")],
)
def test_an_index_of_parts_that_say_nothing_is_missing_and_says_why(parts, why):
    steps = Steps.of(ROWS.assign(index=math.nan), "index", variable(interpolate="none"), parts)
    assert steps.final.isna().all()
    assert weighted(ROWS, parts).startswith(f"no entropy index over 6 rows: {why}")


def test_each_step_is_taken_in_its_order_and_told_with_the_years_behind_it():
    rows = pd.DataFrame(
        {"city_code": ["1"] * 4 + ["2"] * 3, "year": [*range(2010, 2014), 2010, 2011, 2013], "x": [0, 1, 3, 7, 1, 3, 9]}
    ).astype({"x": float})
    how = variable(interpolate="none", scale="log1p", change="difference", lag=1, standardise=True)
    steps = Steps.of(rows, "x", how)
    growth = [math.nan, math.nan, math.log(2 / 1), math.log(4 / 2), math.nan, math.nan, math.nan]
    assert steps.lagged.tolist() == pytest.approx(growth, nan_ok=True), "a year that is not there gives no value"
    assert steps.lines(3) == [
        "logged, one added of 2012: ln(1 + 3) = 1.38629",
        "logged, one added of 2011: ln(1 + 1) = 0.693147",
        "difference: 1.38629 of 2012 less 0.693147 of 2011 = 0.693147",
        "lagged: the value of 1 year before, 2012",
        "standardised over all rows: (0.693147 - 0.693147) / 0 = no value",
    ]
    assert steps.behind(3) == [2, 1]


def test_a_change_is_filled_in_where_either_year_was():
    steps = Steps.of(ROWS, "x", variable(change="growth"))
    assert steps.final.tolist() == pytest.approx([math.nan, 1, 0.5, 2 / 3, 0.4, 2 / 7], nan_ok=True)
    assert [steps.imputed(at) for at in range(6)] == [False, True, True, True, True, True]
    assert Steps.of(ROWS.assign(x=[0.0, 1, 2, 3, 4, 5]), "x", variable(change="growth")).final.isna().tolist()[:2] == [
        True,
        True,
    ], "growth from zero is missing, never infinite"

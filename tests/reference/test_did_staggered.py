"""Staggered estimators against R: did, DRDID, fixest's sunab, didimputation, HonestDiD."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from analysis.did import callaway_santanna, imputation, sun_abraham

KEYS = {"unit": "countyreal", "time": "year"}


@pytest.fixture(scope="module")
def mpdta(reference):
    data = pd.read_csv(reference("mpdta/mpdta.csv")).rename(columns={"first.treat": "first"})
    return data.assign(first=data["first"].replace(0, np.nan))


@pytest.fixture(scope="module")
def expected(reference):
    return json.loads(reference("mpdta/expected_R.json").read_text())


@pytest.fixture(scope="module")
def base_stagg(reference):
    return pd.read_csv(reference("base_stagg/base_stagg.csv"))


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("covariates", ["none", "lpop"])
@pytest.mark.parametrize(("control", "name"), [("never", "nevertreated"), ("not_yet", "notyettreated")])
def test_group_time_effects_and_every_average_equal_r_did(mpdta, expected, control, name, covariates, method):
    answer = expected[f"{name}|{covariates}|{method}"]
    controls = [] if covariates == "none" else [covariates]
    result = callaway_santanna(mpdta, "lemp", "first", controls, **KEYS, control=control, method=method)
    cells = result.table.set_index(["cohort", "time"])
    assert len(cells) == len(answer["attgt"])
    for row in answer["attgt"]:
        assert_allclose(cells.loc[(row["g"], row["t"]), ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)
    tables = {"dynamic": result.event, "group": result.group, "calendar": result.calendar}
    for average in ("simple", *tables):
        row = answer[average]
        assert_allclose(result.overall.loc[average, ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)
    for average, table in tables.items():
        assert len(table) == len(answer[average]["by"])
        for row in answer[average]["by"]:
            assert_allclose(table.loc[row["e"], ["estimate", "se"]], [row["att"], row["se"]], rtol=1e-6)


def test_published_averages_of_the_minimum_wage_panel(mpdta):
    simple = callaway_santanna(mpdta, "lemp", "first", **KEYS)
    dynamic = callaway_santanna(mpdta, "lemp", "first", **KEYS, aggregation="dynamic")
    robust = callaway_santanna(mpdta, "lemp", "first", ["lpop"], **KEYS, method="dr")
    assert_allclose([simple.att, simple.se], [-0.03995127516, 0.01203401277], rtol=1e-6)
    assert_allclose([dynamic.att, dynamic.se], [-0.07723982146, 0.01996498906], rtol=1e-6)
    assert_allclose(callaway_santanna(mpdta, "lemp", "first", **KEYS, control="not_yet").att, -0.03976362562, rtol=1e-6)
    assert_allclose(robust.att, -0.04175177, rtol=1e-6)


def test_sun_abraham_equals_fixest_sunab(mpdta, expected):
    result = sun_abraham(mpdta, "lemp", "first", **KEYS)
    answer = dict(expected["sunab"])
    overall = answer.pop("ATT")
    assert_allclose([result.att, result.se], [overall["b"], overall["se"]], rtol=1e-6)
    assert len(result.event) == len(answer)
    for name, row in answer.items():
        period = int(name.removeprefix("year::"))
        assert_allclose(result.event.loc[period, ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)


def test_sun_abraham_with_a_control_equals_fixest_sunab(base_stagg, reference):
    result = sun_abraham(base_stagg, "y", "year_treated", ["x1"], unit="id", time="year")
    assert_allclose([result.att, result.se], [-1.133749449, 0.2050704938], rtol=1e-6)
    assert_allclose(result.controls.loc["x1", ["estimate", "se"]], [0.9946783109, 0.0183781320], rtol=1e-6)
    answer = json.loads(reference("base_stagg/expected_fixest.json").read_text())["es"]
    for name, row in answer.items():
        if name.startswith("year::"):
            period = int(name.removeprefix("year::"))
            assert_allclose(result.event.loc[period, ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)


def test_imputation_equals_didimputation(mpdta, expected):
    result = imputation(mpdta, "lemp", "first", **KEYS)
    assert_allclose([result.att, result.se], [expected["bjs"]["b"], expected["bjs"]["se"]], rtol=1e-6)
    assert len(result.event) == len(expected["bjs_es"])
    for row in expected["bjs_es"]:
        assert_allclose(result.event.loc[int(row["term"]), ["estimate", "se"]], [row["b"], row["se"]], rtol=1e-6)

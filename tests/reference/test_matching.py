"""Propensity-score matching on LaLonde's data against R's MatchIt and Matching."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.matching import match

Reference = Callable[[str], Path]
MATCHIT = {
    "const": -1.66328159482,
    "age": 0.0157770709858,
    "educ": 0.161306877011,
    "hispan": -2.08173411896,
    "white": -3.06536772923,
    "married": -0.832113271326,
    "nodegree": 0.707296880080,
    "re74": -7.17766856808e-05,
    "re75": 5.34464463884e-05,
}


def psid(reference: Reference) -> tuple[pd.DataFrame, list[str]]:
    data = pd.read_csv(reference("lalonde_matching/lalonde.csv"))
    data = data.assign(hispan=(data["race"] == "hispan") * 1.0, white=(data["race"] == "white") * 1.0)
    return data, list(MATCHIT)[1:]


def experiment(reference: Reference) -> tuple[pd.DataFrame, list[str]]:
    data = pd.read_csv(reference("lalonde_matching/lalonde_Matching.csv"))
    for name in ("age", "educ"):
        data[name + "2"] = data[name] ** 2
    for name in ("re74", "re75"):
        data[name + "sq"] = data[name] ** 2
    names = "age age2 educ educ2 black hisp married nodegr re74 re74sq re75 re75sq u74 u75"
    return data, names.split()


def test_the_logit_and_its_scores_are_those_of_r(reference):
    data, covariates = psid(reference)
    result = match(data, "treat", covariates)
    np.testing.assert_allclose(result.logit["estimate"], pd.Series(MATCHIT)[result.logit.index], rtol=1e-6)
    # glm stops at a relative change of 1e-8 in the deviance, so its scores are off by a few 1e-9.
    expected = pd.read_csv(reference("lalonde_matching/matchit_ps.csv"))["ps"]
    np.testing.assert_allclose(result.scores, expected, atol=5e-9)


def test_pairs_without_replacement_are_those_of_matchit(reference):
    data, covariates = psid(reference)
    expected = pd.read_csv(reference("lalonde_matching/matchit_pairs_caliper001_noreplace.csv"))
    expected = expected.dropna().set_index("treated")["control"]
    for frame in (data, data.set_index("id")):
        result = match(frame, "treat", covariates, caliper=0.01)
        pairs = (
            result.pairs
            if frame is not data
            else result.pairs.assign(
                treated=lambda p: data["id"].to_numpy()[p["treated"]],
                control=lambda p: data["id"].to_numpy()[p["control"]],
            )
        )
        assert len(pairs) == 107
        assert pairs.set_index("treated")["control"].to_dict() == expected.to_dict()
        assert result.att("re78").estimate == pytest.approx(1277.023387, rel=1e-9)
        assert result.weights.sum() == 214


def test_the_effect_and_its_standard_error_are_those_of_abadie_and_imbens_in_r(reference):
    data, covariates = experiment(reference)
    effect = match(data, "treat", covariates, replace=True).att("re78")
    assert effect.estimate == pytest.approx(2153.306019691, rel=1e-9)
    assert effect.se == pytest.approx(825.398067988, rel=1e-9)
    assert (effect.matched, effect.dropped) == (185, 0)


def test_a_caliper_drops_the_treated_that_r_drops_and_its_standard_error_counts_them_as_r_does(reference):
    data, covariates = experiment(reference)
    result = match(data, "treat", covariates, replace=True, caliper=0.01)
    effect = result.att("re78")
    assert effect.estimate == pytest.approx(2189.728615971, rel=1e-9)
    assert effect.se == pytest.approx(799.726663357, rel=1e-9)
    assert (effect.matched, effect.dropped) == (178, 7)
    assert result.att("re78", dropped="excluded").se == effect.se_kept > effect.se

"""Asterisks at their thresholds, and the table of a result against numbers of other software."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.results import Estimate, inference_table, stars, wald_test


@pytest.mark.parametrize(
    ("p", "printed"),
    [
        *((0.0, "***"), (0.0099, "***"), (0.01, "**"), (0.0101, "**"), (0.0499, "**"), (0.05, "*"), (0.0501, "*")),
        *((0.0999, "*"), (0.1, ""), (0.1001, ""), (1.0, ""), (np.nan, "")),
    ],
)
def test_asterisks_stand_for_less_than_1_5_and_10_percent(p: float, printed: str) -> None:
    assert stars(p) == printed


def test_intervals_and_p_values_follow_the_t_distribution_with_its_degrees_of_freedom() -> None:
    table = inference_table(["a", "b"], np.array([2.0, -1.0]), np.diag([1.0, 0.0]), 10)
    # t with 10 degrees: 97.5% quantile 2.228139, two-sided p of 2 is 0.073388 (R: qt, pt)
    assert table.loc["a", ["se", "t"]].tolist() == [1.0, 2.0]
    assert table.loc["a", "p"] == pytest.approx(0.073388, abs=1e-6)
    assert table.loc["a", ["low", "high"]].tolist() == pytest.approx([-0.228139, 4.228139], abs=1e-6)
    # without a standard error there is nothing to test
    assert table.loc["b", ["t", "p"]].isna().all()
    normal = inference_table(["a"], np.array([2.0]), np.eye(1), np.inf)
    assert normal.loc["a", "p"] == pytest.approx(0.045500, abs=1e-6)
    narrow = inference_table(["a"], np.array([2.0]), np.eye(1), np.inf, level=0.9)
    assert narrow.loc["a", "high"] == pytest.approx(3.644854, abs=1e-6)


def test_a_joint_test_is_the_quadratic_form_over_its_restrictions() -> None:
    estimate, covariance = np.array([1.0, 2.0]), np.array([[2.0, 1.0], [1.0, 3.0]])
    found = wald_test(estimate, covariance, 20, ("a", "b"))
    assert found.f == pytest.approx(estimate @ np.linalg.inv(covariance) @ estimate / 2)
    assert found.p == pytest.approx(stats.f.sf(found.f, 2, 20))
    assert (found.df, found.df_denominator, found.terms) == (2, 20, ("a", "b"))
    # one coefficient: the square of t
    one = wald_test(np.array([2.0]), np.array([[4.0]]), 9)
    assert one.f == pytest.approx(1.0)
    assert one.p == pytest.approx(2 * stats.t.sf(1.0, 9))


def test_a_covariance_without_full_rank_is_tested_for_its_rank() -> None:
    twice = np.array([[1.0, 1.0], [1.0, 1.0]])
    found = wald_test(np.array([1.5, 1.5]), twice, 30)
    assert found.df == 1
    assert found.f == pytest.approx(1.5**2)


def test_nothing_to_test_is_said() -> None:
    empty = wald_test(np.array([]), np.empty((0, 0)), 5)
    assert empty.summary() == "There is no coefficient to test."
    assert (empty.df, empty.df_denominator, empty.terms) == (0, 5, ())
    flat = wald_test(np.array([1.0, 2.0]), np.diag([1.0, 0.0]), 5, ("a", "b"))
    assert flat.summary() == "A coefficient has no variance, so no test is possible."
    assert (flat.df, flat.df_denominator, flat.terms) == (0, 5, ("a", "b"))
    for test in (empty, flat):
        assert np.isnan([test.f, test.p]).all()


def test_a_joint_test_is_told_in_a_line() -> None:
    assert wald_test(np.array([2.0]), np.array([[1.0]]), 10).summary() == "F(1, 10) = 4, p = 0.07339"
    assert wald_test(np.array([2.0]), np.array([[1.0]]), np.inf).summary() == "F(1, inf) = 4, p = 0.0455"


def test_an_estimate_is_told_with_its_size_its_fit_and_everything_that_was_done() -> None:
    table = inference_table(["x"], np.array([1.23456789]), np.array([[0.25]]), 10)
    common = {"table": table, "n": 40, "r2": 0.51239, "r2_within": 0.1, "degrees_of_freedom": 10.0, "constant": 1.0}
    covariance = pd.DataFrame([[0.25]], ["x"], ["x"])
    estimate = Estimate(**common, clusters=None, covariance=covariance)
    head, body, _, last = estimate.summary().split("\n")
    assert head.split() == ["estimate", "se", "t", "p", "low", "high"]
    assert body.split() == ["term"]
    assert last == "n = 40, R2 = 0.5124, within R2 = 0.1000"
    told = Estimate(
        **common,
        clusters=11,
        covariance=covariance,
        not_identified={"z": "It repeats x."},
        notes=("Two rows dropped.",),
    )
    lines = told.summary().split("\n")
    assert lines[2].split()[:3] == ["x", "1.23457", "0.5"]
    assert lines[3:] == [
        "n = 40, 11 clusters, R2 = 0.5124, within R2 = 0.1000",
        "z: It repeats x.",
        "Two rows dropped.",
    ]


def test_a_table_of_estimates_has_its_terms_for_rows_and_six_columns() -> None:
    table = inference_table(["a", "b"], np.array([1.0, -3.0]), np.array([[4.0, 1.0], [1.0, 9.0]]), 7)
    assert table.index.tolist() == ["a", "b"]
    assert table.index.name == "term"
    assert table.columns.tolist() == ["estimate", "se", "t", "p", "low", "high"]
    assert table["se"].tolist() == [2.0, 3.0]
    assert table["t"].tolist() == [0.5, -1.0]
    # with 7 degrees the 97.5% quantile is 2.364624 (R: qt)
    assert table["high"].tolist() == pytest.approx([1 + 2 * 2.364624, -3 + 3 * 2.364624], abs=1e-5)


def test_a_variance_that_rounding_left_below_zero_is_none_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = inference_table(["a", "b"], np.array([1.0, 0.0]), np.diag([-1e-20, 0.0]), 7)
        assert table[["t", "p"]].isna().all(axis=None)
        assert table["se"].tolist() == [0.0, 0.0]
        assert "no variance" in wald_test(np.array([1.0]), np.array([[-1e-20]]), 7).reason

"""Honest intervals: what must hold whatever the estimates; numbers of R's HonestDiD are in tests/reference."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog
from scipy.stats import norm, truncnorm
from staggered_panel import staggered_panel

from analysis.did import EventPath, callaway_santanna, event_study, honest, imputation, sun_abraham

MODULE = sys.modules[honest.__module__]
KEYS = {"unit": "unit", "time": "time"}


def random_path(seed=0, before=3, after=4, pretrend=0.3):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(before + after, before + after + 3))
    estimate = np.concatenate([pretrend * generator.normal(size=before), 2 + generator.normal(size=after)])
    periods = np.concatenate([np.arange(-before - 1, -1), np.arange(after)])
    return EventPath(periods, estimate, 0.02 * root @ root.T / (before + after))


def constraints(before, after, step, sign, bound):
    """Rows A of A delta <= 0 that mention a period after adoption (all rows when only one), plainly written."""
    size = before + 1 + after
    steps = np.diff(np.eye(size), axis=0)
    largest = sign * steps[step]
    allowed = np.array([1.0] * before + [bound] * after)[:, None] * largest
    rows = np.vstack([steps - allowed, -steps - allowed])
    rows = rows[np.abs(rows).sum(axis=1) > 1e-12]
    rows = np.delete(rows, before, axis=1)
    return rows if after == 1 else rows[np.abs(rows[:, before:]).sum(axis=1) > 0]


@pytest.mark.parametrize(("after", "weights"), [(1, [1.0]), (4, [1, 0, 0, 0]), (4, [0.25] * 4), (3, [0, 1, -2])])
def test_the_test_statistic_is_the_value_of_its_linear_programme(after, weights):
    before, step, sign, bound, effect = 3, 1, -1.0, 0.8, np.array(weights, dtype=float)
    path = random_path(after=after)
    steps = np.diff(np.insert(np.eye(before + after), before, 0.0, axis=0), axis=0)
    moments, slope = MODULE._moments(steps, step, sign, before, effect, bound, path.covariance)
    rows = constraints(before, after, step, sign, bound)
    sd = np.sqrt(np.diag(rows @ path.covariance @ rows.T))
    for theta in (-1.0, 0.5, 3.0):
        programme = linprog(
            np.r_[1.0, np.zeros(after)],
            A_ub=np.column_stack([-sd, -rows[:, before:]]),
            b_ub=-rows @ path.estimate,
            A_eq=np.r_[0.0, effect][None],
            b_eq=[theta],
            bounds=[(None, None)] * (1 + after),
        )
        assert_allclose((moments @ path.estimate - slope * theta).max(), programme.fun, atol=1e-8)


def test_the_conditional_test_rejects_as_its_truncated_normal_does():
    generator = np.random.default_rng(3)
    outcomes = set()
    for _ in range(500):
        root = generator.normal(size=(3, 3)) * generator.uniform(0.3, 2, size=(3, 1))
        value, spread = 1.5 * generator.normal(size=3), root @ root.T
        best = value.argmax()
        sd = np.sqrt(spread[best, best])
        # Walk along the direction of the largest moment: over which levels does it stay the largest?
        levels = np.linspace(value[best] - 30, value[best] + 30, 6001)
        walked = value + np.outer(levels - value[best], spread[:, best] / sd**2)
        stay = levels[walked.argmax(axis=1) == best]
        low = stay.min() if stay.min() > levels[0] else -np.inf
        high = stay.max() if stay.max() < levels[-1] else np.inf
        cut = max(truncnorm.ppf(0.95, low / sd, high / sd), 0)
        if abs(value[best] / sd - cut) < 0.05:
            continue
        accepted = bool(MODULE._not_rejected(value[:, None], spread, np.inf, 0.05, 0.0)[0])
        assert accepted == (value[best] / sd <= cut)
        outcomes.add((accepted, np.isfinite(low), np.isfinite(high)))
    assert len(outcomes) >= 5  # both verdicts, with truncation from below, from above, and both


def test_no_departure_allowed_gives_nearly_the_usual_interval():
    result = honest(random_path(), bounds=[0.0])
    low, high = result.original
    assert_allclose(result.table.loc[0, ["low", "high"]], [low, high], atol=0.01 * (high - low))


@pytest.mark.parametrize("restriction", ["relative", "smoothness"])
@pytest.mark.parametrize("weights", [None, "average", {1: 1.0, 2: -1.0}])
def test_intervals_widen_with_the_bound_and_hold_the_estimate_when_leads_are_flat(restriction, weights):
    path = random_path(1)
    path = EventPath(path.periods, np.where(path.periods < 0, 0.0, path.estimate), path.covariance)
    table = honest(path, restriction=restriction, bounds=[0, 0.1, 0.5, 1, 3], weights=weights).table
    assert (np.diff(table["low"]) < 1e-9).all()
    assert (np.diff(table["high"]) > -1e-9).all()
    assert table["low"].iloc[-1] < table["low"].iloc[0] - 0.1


@pytest.mark.parametrize("restriction", ["relative", "smoothness"])
def test_units_of_the_outcome_only_rescale_the_intervals(restriction):
    path = random_path(2)
    scaled = EventPath(path.periods, 1e6 * path.estimate, 1e12 * path.covariance)
    one = honest(path, restriction=restriction, bounds=[0.5, 1.0]).table
    factor = 1 if restriction == "relative" else 1e6
    other = honest(scaled, restriction=restriction, bounds=[0.5 * factor, 1.0 * factor]).table
    assert_allclose(other[["low", "high"]], 1e6 * one[["low", "high"]], rtol=1e-5)


def test_a_straight_pretrend_is_extrapolated_when_slopes_may_not_change():
    periods = np.array([-4, -3, -2, 0, 1])
    estimate = 0.5 * (periods + 1) + np.where(periods >= 0, 2.0, 0.0)
    result = honest(
        EventPath(periods, estimate, 1e-6 * np.eye(5)), restriction="smoothness", bounds=[0], weights={1: 1}
    )
    assert_allclose(result.table[["low", "high"]].mean(axis=1), 2.0, atol=1e-9)


def test_the_smoothness_interval_beats_every_other_affine_estimator():
    path = random_path(5)
    effect = np.array([0.25] * 4)
    bends = MODULE._bends(3, 4)
    positions = np.array([-3, -2, -1, 1, 2, 3, 4.0])
    generator = np.random.default_rng(0)
    for bound in (0.01, 0.1, 1.0):
        low, high = MODULE._smoothness_interval(path.estimate, path.covariance, 3, effect, bound, 0.05)
        for _ in range(300):
            v = generator.normal(size=3)
            v -= positions[:3] * (v @ positions[:3] + effect @ positions[3:]) / (positions[:3] @ positions[:3])
            a = np.concatenate([v, effect])
            sd, bias = np.sqrt(a @ path.covariance @ a), bound * np.abs(bends.T @ a).sum()
            half = (high - low) / 2
            assert norm.cdf((half - bias) / sd) - norm.cdf((-half - bias) / sd) <= 0.95 + 1e-7


@pytest.mark.parametrize("restriction", ["relative", "smoothness"])
def test_intervals_cover_an_effect_when_trends_depart_as_far_as_allowed(restriction, monkeypatch):
    monkeypatch.setattr(MODULE, "DRAWS", 2000)
    generator = np.random.default_rng(11)
    covariance = random_path(4, before=2, after=2).covariance
    root = np.linalg.cholesky(covariance)
    # Steps before: 0.05, 0.3; after: 0.3 and 0.3. Changes of slope: 0.25, 0, 0.
    bias = np.array([-0.35, -0.3, 0.3, 0.6])
    bound = 1.0 if restriction == "relative" else 0.25
    covered = []
    for _ in range(200):
        estimate = bias + np.array([0, 0, 1.0, 1.0]) + root @ generator.standard_normal(4)
        path = EventPath(np.array([-3, -2, 0, 1]), estimate, covariance)
        low, high = honest(path, restriction=restriction, bounds=[bound]).table.loc[0, ["low", "high"]]
        covered.append(low <= 1.0 <= high)
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


def test_results_of_event_study_and_sun_abraham_and_universal_callaway_santanna_are_taken_as_they_are():
    panel = staggered_panel()
    study = event_study(panel, "y", "first", **KEYS, leads=4, lags=3)
    cohorts = sun_abraham(panel, "y", "first", **KEYS)
    cells = callaway_santanna(panel, "y", "first", **KEYS, base_period="universal")
    for result, table in ((study, study.table), (cohorts, cohorts.event), (cells, cells.event)):
        intervals = honest(result)
        assert_allclose(intervals.estimate, table.loc[0, "estimate"])
        assert_allclose(intervals.se, table.loc[0, "se"])
        assert (intervals.table["low"] < intervals.estimate).all()


def test_another_base_is_measured_against_minus_one_first():
    panel = staggered_panel(cohorts=(2004, np.nan))
    one = honest(event_study(panel, "y", "first", **KEYS, leads=4, lags=3))
    other = honest(event_study(panel, "y", "first", **KEYS, leads=4, lags=3, base=-2))
    assert_allclose(one.table, other.table, rtol=1e-4)


@pytest.mark.parametrize("estimator", [imputation, callaway_santanna])
def test_leads_measured_against_something_else_are_refused(estimator):
    with pytest.raises(ValueError, match="against different things"):
        honest(estimator(staggered_panel(), "y", "first", **KEYS))


def test_periods_beyond_a_gap_are_left_out_with_a_note():
    periods = np.array([-6, -3, -2, 0, 1, 4])
    result = honest(EventPath(periods, np.ones(6), 0.1 * np.eye(6)))
    assert result.weights.index.tolist() == [0, 1]
    assert "[-6, 4] left out" in result.notes[0]


def test_breakdown_is_the_last_bound_before_zero_enters():
    path = EventPath(np.array([-3, -2, 0]), np.array([0.1, 0.3, 1.0]), 0.01 * np.eye(3))
    result = honest(path, bounds=[2.0, 0.0, 0.5, 4.0])
    entered = (result.table["low"] <= 0) & (result.table["high"] >= 0)
    assert result.breakdown == result.table.loc[~entered, "bound"].max()
    assert "left out up to a bound" in result.summary()


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        (EventPath(np.array([0, 1]), np.ones(2), np.eye(2)), {}, "no estimate of period -2"),
        (EventPath(np.array([-2, -1]), np.ones(2), np.eye(2)), {}, "leave out the base"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.eye(3)), {}, "square covariance"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.ones((2, 2))), {}, "has rank 1"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.diag([1.0, 0.0])), {}, "has rank 0"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.eye(2)), {"bounds": [-1]}, "0 or more"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.eye(2)), {"restriction": "flat"}, "restriction is"),
        (EventPath(np.array([-2, 0]), np.ones(2), np.eye(2)), {"weights": {7: 1}}, "weights must name"),
    ],
)
def test_what_cannot_be_used_is_named(path, options, words):
    with pytest.raises(ValueError, match=words):
        honest(path, **options)

"""Power of the usual pre-test: against its definition, a closed form and the size of the test."""

import numpy as np
import pytest
from scipy import stats

from analysis.did.pretest import pretest_power

PERIODS = np.array([-2, 0, 1])


def test_with_one_lead_the_slope_has_a_closed_form() -> None:
    covariance = np.diag([0.04, 0.01, 0.01])
    result = pretest_power(PERIODS, np.array([0.0, 1.0, 2.0]), covariance, powers=(0.5, 0.8))
    slopes = result.table.set_index("power")["slope"]
    for power in (0.5, 0.8):
        # P(|N(slope / se, 1)| > 1.96), whose far tail is below 1e-4 here
        mean = slopes[power] / 0.2
        assert stats.norm.sf(1.96 - mean) + stats.norm.cdf(-1.96 - mean) == pytest.approx(power, abs=0.01)
    assert result.effect == pytest.approx(1.5)
    # periods 0 and 1 are one and two periods from the base: the trend adds 1.5 slopes to their mean
    assert result.table["bias"].to_numpy() == pytest.approx(1.5 * slopes.to_numpy())
    assert result.table["share"].to_numpy() == pytest.approx(slopes.to_numpy())
    assert result.effect_se == pytest.approx(np.sqrt(0.02) / 2)


def test_power_of_several_correlated_leads_is_what_simulated_pretests_find() -> None:
    periods = np.array([-4, -3, -2, 0])
    factor = np.random.default_rng(1).normal(size=(4, 4))
    covariance = (factor @ factor.T + np.eye(4)) / 100
    slope = pretest_power(periods, np.ones(4), covariance, powers=(0.8,)).table["slope"][0]
    draws = np.random.default_rng(2).multivariate_normal(slope * (periods[:3] + 1), covariance[:3, :3], 40_000)
    found = (np.abs(draws) > 1.96 * np.sqrt(np.diag(covariance)[:3])).any(axis=1).mean()
    assert found == pytest.approx(0.8, abs=0.01)


def test_smaller_errors_detect_smaller_slopes() -> None:
    wide, narrow = (
        pretest_power(PERIODS, np.ones(3), np.eye(3) * v, powers=(0.5,)).table["slope"][0] for v in (1, 0.01)
    )
    assert narrow == pytest.approx(wide / 10, rel=1e-6)


def test_what_cannot_be_tested_is_said() -> None:
    with pytest.raises(ValueError, match="leads before the base -1"):
        pretest_power(np.array([0, 1]), np.ones(2), np.eye(2))
    with pytest.raises(ValueError, match="positive variance"):
        pretest_power(PERIODS, np.ones(3), np.diag([0.0, 1, 1]))

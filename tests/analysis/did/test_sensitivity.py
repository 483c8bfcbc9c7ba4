"""Omitted variables: sensemakr's printed numbers, the algebra by adding the variable, and Oster's exact case."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, TREATED, UNIT, YEAR, Y, random_panel

from analysis.did import sensitivity, two_way
from analysis.results import Estimate, inference_table

KEYS = {"unit": UNIT, "time": YEAR}


def test_the_robustness_values_are_those_that_sensemakr_prints_for_darfur():
    """Cinelli and Hazlett (2020), table 1: estimate .097, error .023, 783 degrees: RV 13.9%, RV at 5% 7.6%, R2 2.2%."""
    table = inference_table(["directlyharmed"], np.array([0.09731582]), np.array([[0.02325654**2]]), 783)
    estimate = Estimate(table, 1276, None, 0.5, 0.5, 783.0, 0.0, pd.DataFrame())
    found = sensitivity(estimate)
    assert found.robustness_value == pytest.approx(0.13878, abs=5e-5)
    assert found.robustness_value_significance == pytest.approx(0.07626, abs=5e-5)
    assert found.partial_r2 == pytest.approx(0.02187, abs=5e-5)


def test_a_variable_as_strong_as_the_robustness_value_brings_the_estimate_to_zero():
    panel = random_panel(share=1.0)
    found = sensitivity(panel, Y, TREATED, CONTROLS, **KEYS)
    result = two_way(panel, Y, TREATED, CONTROLS, **KEYS)
    assert found.estimate == pytest.approx(result.table.loc[TREATED, "estimate"], rel=1e-12)
    assert found.se == pytest.approx(result.table.loc[TREATED, "se"], rel=1e-12)
    # z with partial R2 r with the treatment and with the outcome beside it, in the direction that takes the effect away
    dummies = pd.get_dummies(panel[[UNIT, YEAR]].astype(str), dtype=float)
    held = np.column_stack([dummies, panel[CONTROLS]])

    def left(values, columns):
        return values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]

    d, y = left(panel[TREATED].to_numpy(), held), left(panel[Y].to_numpy(), held)
    e = left(y, d[:, None])
    free = left(left(np.random.default_rng(99).normal(size=len(y)), held), np.column_stack([d, e]))
    d, e, free = (vector / np.linalg.norm(vector) for vector in (d, e, free))
    r = found.robustness_value
    rest = np.sqrt(r) * e + np.sqrt(1 - r) * free
    z = np.sqrt(r) * d * np.sign(found.estimate) + np.sqrt(1 - r) * rest
    with_z = two_way(panel.assign(z=z), Y, TREATED, [*CONTROLS, "z"], **KEYS)
    assert with_z.table.loc[TREATED, "estimate"] == pytest.approx(0, abs=1e-8 * abs(found.estimate) + 1e-9)


def exact(delta: float, seed: int = 0, n: int = 400) -> tuple[pd.DataFrame, float]:
    """y = 2 x + w + u without error, u related to x ``delta`` times as strongly as w, exactly in the sample."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(n, 3))
    q = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(n)
    w, u, noise = q.T
    x = 0.5 * w + delta * 0.5 * u + noise
    return pd.DataFrame({"id": range(n), "t": 1, "x": x, "w": w, "y": 2 * x + w + u}), 2.0


def test_osters_bound_is_the_truth_where_selection_is_equal():
    frame, truth = exact(1.0)
    options = {"unit": "id", "time": "t", "fixed_effects": (), "cluster": None}
    found = sensitivity(frame, "y", "x", ["w"], **options, r2_max=1.0)
    assert found.bound == pytest.approx(truth, rel=1e-8)
    assert found.estimate > truth


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.5])
def test_osters_delta_is_the_ratio_that_makes_the_effect_zero(delta):
    frame, truth = exact(delta)
    shifted = frame.assign(y=frame["y"] - truth * frame["x"])  # a true effect of zero
    options = {"unit": "id", "time": "t", "fixed_effects": (), "cluster": None}
    assert sensitivity(shifted, "y", "x", ["w"], **options, r2_max=1.0).delta == pytest.approx(delta, rel=1e-8)


def test_benchmarks_say_what_a_variable_like_a_control_would_do():
    panel = random_panel(share=1.0)
    found = sensitivity(panel, Y, TREATED, CONTROLS, **KEYS)
    assert list(found.benchmarks.index) == CONTROLS
    assert (found.benchmarks["bias"] >= 0).all()
    assert found.robustness_value > found.robustness_value_significance


def test_what_has_no_meaning_is_refused():
    panel = random_panel(share=1.0)
    with pytest.raises(ValueError, match="r2_max must lie above"):
        sensitivity(panel, Y, TREATED, CONTROLS, **KEYS, r2_max=0.0)
    with pytest.raises(ValueError, match="hand in the data"):
        sensitivity(two_way(panel, Y, TREATED, **KEYS))
    assert np.isnan(sensitivity(panel, Y, TREATED, **KEYS).delta)

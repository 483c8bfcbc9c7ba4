import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from analysis.did import treatment_from_adoption, two_way
from analysis.iv import two_stage
from analysis.simulation.panels import (
    Cohort,
    CrossSectionDesign,
    InstrumentDesign,
    PanelDesign,
    autoregression,
    projection,
    simulate_cross_section,
    simulate_instrument,
    simulate_panel,
)
from analysis.simulation.truth import residual_weights

COHORTS = (Cohort(3, 0.25, 1.0, 0.5), Cohort(5, 0.25, 0.4, -0.1))
KEYS = {"unit": "unit", "time": "time"}


def test_the_two_worlds_differ_by_the_effect_and_only_after_adoption() -> None:
    panel = simulate_panel(PanelDesign(60, 7, COHORTS, spread=0.3, group_effect=0.2), 1)
    np.testing.assert_allclose(panel.y - panel.y0, panel.effect, atol=1e-12)
    assert (panel.effect[panel.relative < 0] == 0).all()
    assert (panel.effect[panel.relative >= 0] != 0).all()


def test_effects_without_spread_are_the_level_plus_the_growth_of_the_cohort() -> None:
    panel = simulate_panel(PanelDesign(60, 7, COHORTS), 2)
    late = panel.cohort == 1
    np.testing.assert_allclose(panel.effect[late], np.tile([0, 0, 0, 0, 0.4, 0.3, 0.2], (late.sum(), 1)))
    early = panel.cohort == 0
    assert panel.att == pytest.approx(
        (early.sum() * (1 + 1.5 + 2 + 2.5 + 3) + late.sum() * 0.9) / (5 * early.sum() + 3 * late.sum())
    )


def test_the_frame_says_what_the_arrays_say() -> None:
    panel = simulate_panel(PanelDesign(40, 7, COHORTS, trend=0.1), 3)
    frame = panel.frame
    np.testing.assert_array_equal(frame["y"].to_numpy().reshape(40, 7), panel.y)
    expected = treatment_from_adoption(frame["adoption"], frame["time"])
    np.testing.assert_array_equal(frame["treated"], expected)
    np.testing.assert_allclose(frame["x_time"], frame["x"] * (frame["time"] - 2000))


def test_exact_shares_are_counts_and_others_chances() -> None:
    counts = [np.bincount(simulate_panel(PanelDesign(40, 6, COHORTS, exact=True), k).cohort) for k in range(5)]
    assert all((count == [10, 10, 20]).all() for count in counts)
    drawn = simulate_panel(PanelDesign(20_000, 6, COHORTS), 0).cohort
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, [0.25, 0.25, 0.5], atol=0.015)


def test_selection_is_the_logit_slope_of_adoption_in_x() -> None:
    panel = simulate_panel(PanelDesign(40_000, 6, COHORTS, selection=0.6), 4)
    for cohort in (0, 1):
        rows = np.isin(panel.cohort, (cohort, 2))
        x, d = panel.x[rows], panel.cohort[rows] == cohort

        def loss(b: np.ndarray, x: np.ndarray = x, d: np.ndarray = d) -> float:
            return float(np.logaddexp(0, b[0] + b[1] * x).sum() - (b[0] + b[1] * x)[d].sum())

        assert optimize.minimize(loss, np.zeros(2)).x[1] == pytest.approx(0.6, abs=0.06)


def test_errors_are_stationary_with_the_autocorrelation_asked_for() -> None:
    error = autoregression(np.random.default_rng(0), 50_000, 5, 0.5)
    np.testing.assert_allclose(error.var(axis=0), 1, atol=0.03)
    assert np.corrcoef(error[:, 1], error[:, 2])[0, 1] == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(error[:, 0], error[:, 3])[0, 1] == pytest.approx(0.125, abs=0.02)


def test_the_projection_of_effects_is_what_two_way_finds_without_noise() -> None:
    panel = simulate_panel(PanelDesign(80, 7, COHORTS, spread=0.5), 5)
    frame = panel.frame.assign(effect=panel.effect.ravel())
    truth = float(projection(panel.effect, panel.treated[None])[0])
    assert truth == pytest.approx(two_way(frame, "effect", "treated", **KEYS).table.loc["treated", "estimate"])
    weights = residual_weights(frame, "treated", **KEYS)
    assert truth == pytest.approx(float(weights.to_numpy() @ frame["effect"].to_numpy()))


def test_weighted_cohorts_project_as_their_units_do() -> None:
    design = PanelDesign(40, 7, COHORTS, exact=True)
    panel = simulate_panel(design, 6)
    by_unit = projection(panel.effect, np.stack([panel.treated, (panel.relative == 1).astype(float)]))
    since = np.arange(1, 8) - design.adoption[:, None]
    by_cohort = projection(design.effects, np.stack([design.treated, (since == 1).astype(float)]), design.shares)
    np.testing.assert_allclose(by_unit, by_cohort, rtol=1e-10)


def test_drift_breaks_parallel_trends_by_its_slope() -> None:
    straight, bent = (simulate_panel(PanelDesign(40, 6, COHORTS, drift=drift), 7) for drift in (0.0, 0.2))
    ever = np.isfinite(straight.relative[:, 0])
    np.testing.assert_allclose(bent.y - straight.y, np.outer(ever, 0.2 * np.arange(1, 7)), atol=1e-12)


def test_the_instrument_finds_the_effect_and_least_squares_does_not() -> None:
    frame = simulate_instrument(InstrumentDesign(5_000, 6, 4, effect=0.7), 8)
    fit = two_stage(frame, "y", ["treated"], ["z_post", "z2_post"], **KEYS)
    estimate, se = fit.table.loc["treated", ["estimate", "se"]]
    assert abs(estimate - 0.7) < 4 * se
    assert fit.j_p > 0.001
    bare = two_way(frame, "y", "treated", **KEYS).table.loc["treated"]
    assert bare["estimate"] - 0.7 > 10 * bare["se"]


def test_the_population_effect_on_the_treated_is_the_mean_of_many_units() -> None:
    design = CrossSectionDesign(400_000, interaction=0.5)
    frame = simulate_cross_section(design, 9)
    effects = frame.loc[frame["treated"] == 1, "effect"]
    assert design.att == pytest.approx(effects.mean(), abs=4 * effects.std() / np.sqrt(len(effects)))
    assert design.att > 1.1


def test_one_seed_gives_one_panel() -> None:
    design = PanelDesign(30, 5, (Cohort(3, 0.5),))
    pd.testing.assert_frame_equal(simulate_panel(design, [1, 2]).frame, simulate_panel(design, [1, 2]).frame)
    assert not np.allclose(simulate_panel(design, [1, 2]).y, simulate_panel(design, [1, 3]).y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cohorts": (Cohort(3, 1.0),)}, "never-treated"),
        ({"exact": True, "selection": 0.5}, "exact=False"),
        ({"persistence": 1.0}, "persistence"),
    ],
)
def test_impossible_designs_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_panel(PanelDesign(20, 5, **{"cohorts": (Cohort(3, 0.5),), **options}), 0)

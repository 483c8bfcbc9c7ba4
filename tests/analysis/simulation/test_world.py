"""The draws behind the sample world: moments, identities, the known effect. No files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.did import two_way
from analysis.simulation.sample import truth_of
from analysis.simulation.truth import residual_weights, true_effect
from analysis.simulation.world import CONTROLS, MOMENTS, OUTCOMES, draw_world

ROOT = Path(__file__).resolve().parents[3]
KEYS = {"unit": "city_code", "time": "year"}


def cities():
    return pd.read_csv(ROOT / "data/reference/cities.csv", dtype={"city_code": str})


def clusters():
    return pd.read_csv(ROOT / "data/policies/innovative_clusters.csv", dtype={"city_code": str})


@pytest.fixture(scope="module")
def world():
    return draw_world(cities(), clusters(), seed=0)


@pytest.fixture(scope="module")
def truth(world):
    return truth_of(world, pd.DataFrame({"rule": []}))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_two_way_estimand_is_the_published_coefficient(seed):
    effects = truth_of(draw_world(cities(), clusters(), seed=seed), pd.DataFrame({"rule": []})).effects
    assert effects["gti1"] == pytest.approx(0.5315, abs=0.005)
    assert effects["gti2"] == pytest.approx(0.5256, abs=0.005)


@pytest.mark.parametrize("outcome", ["gti1", "gti2"])
def test_the_estimate_is_within_two_standard_errors_of_the_truth(truth, outcome):
    row = two_way(truth.panel, outcome, "did", CONTROLS, **KEYS).table.loc["did"]
    assert abs(row.estimate - truth.effects[outcome]) < 2 * row.se


@pytest.mark.parametrize("controls", [(), CONTROLS, ("fin",)])
def test_the_true_effect_is_the_coefficient_less_that_of_the_twin_world(truth, controls):
    panel = truth.panel.merge(truth.table[["city_code", "year", "gti1_y0"]], on=["city_code", "year"])
    with_policy = two_way(panel, "gti1", "did", controls, **KEYS).table.loc["did", "estimate"]
    without = two_way(panel, "gti1_y0", "did", controls, **KEYS).table.loc["did", "estimate"]
    assert true_effect(panel, truth.table, "gti1", controls) == pytest.approx(with_policy - without, abs=1e-10)


def test_the_true_effect_leaves_out_the_rows_that_the_regression_leaves_out(truth):
    holes = truth.panel.copy()
    holes.loc[holes.index[::7], "fin"] = np.nan
    holes.loc[holes.index[::11], "gti1"] = np.nan
    kept = holes.dropna(subset=["fin", "gti1"])
    assert true_effect(holes, truth.table, "gti1", CONTROLS) == true_effect(kept, truth.table, "gti1", CONTROLS)
    assert true_effect(holes, truth.table, "gti1", CONTROLS) != truth.effects["gti1"]


def test_the_true_effect_does_not_depend_on_row_order_or_the_type_of_the_keys(truth):
    shuffled = truth.panel.sample(frac=1, random_state=1).astype({"city_code": "int64", "year": "float64"})
    assert true_effect(shuffled, truth.table, "gti1", CONTROLS) == pytest.approx(truth.effects["gti1"], abs=1e-12)


def test_weights_sum_to_one_over_treated_rows_and_to_zero_over_all(truth):
    weights = residual_weights(truth.panel, "did", CONTROLS)
    treated = truth.panel.set_index(["city_code", "year"]).did.reindex(weights.index) == 1
    assert weights.sum() == pytest.approx(0, abs=1e-12)
    assert weights[treated].sum() == pytest.approx(1, abs=1e-9)


def test_a_city_that_the_truth_does_not_know_is_an_error(truth):
    with pytest.raises(ValueError, match=r"no row for city 999999 in 2006"):
        true_effect(truth.panel.replace({"city_code": {"110000": "999999"}}), truth.table, "gti1")


def test_the_panel_is_the_studys_sample(truth):
    assert len(truth.panel) == 4496
    assert truth.panel.did.mean() == pytest.approx(0.0827, abs=5e-5)
    assert truth.panel.did.std() == pytest.approx(0.2755, abs=5e-5)


def test_means_and_spreads_are_near_table_3(truth):
    described = truth.panel.describe().T
    for name, outcome in OUTCOMES.items():
        assert described.loc[name, "mean"] == pytest.approx(outcome.mean, rel=0.01)
        assert described.loc[name, "std"] == pytest.approx(outcome.sd, rel=0.01)
    for name, (mean, sd) in {**MOMENTS, "ln_pgdp": (10.4804, 0.6999)}.items():
        assert described.loc[name, "mean"] == pytest.approx(mean, rel=0.01)
        assert described.loc[name, "std"] == pytest.approx(sd, rel=0.02)
    assert described.loc["industry", "mean"] == pytest.approx(0.3771, abs=0.005)


def test_shares_are_shares_and_ranges_plausible(world):
    assert world.ratios["industry"].min() > 0
    assert world.ratios["industry"].max() < 1
    assert world.ratios["fintech"].max() < 0.5
    assert world.ratios["techhum"].max() < 50
    assert world.indicators["population_resident"].max() <= 3200
    assert world.indicators["gdp"].max() < 8e8
    for name, values in world.indicators.items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name


def test_the_ratios_are_what_the_indicators_imply(world):
    have, ratio = world.indicators, world.ratios
    people = have["population_resident"]
    np.testing.assert_allclose((have["deposits"] + have["loans"]) / have["gdp"], ratio["fin"])
    np.testing.assert_allclose(have["trade"] / have["gdp"], ratio["open"])
    np.testing.assert_allclose(have["industrial_value_added"] / have["gdp"], ratio["industry"])
    np.testing.assert_allclose(np.log(have["gdp"] / people), ratio["ln_pgdp"])
    np.testing.assert_allclose(have["new_firms"] / (people * 100), ratio["eship"])
    np.testing.assert_allclose(100 * have["employees_information"] / have["employees"], ratio["techhum"])
    np.testing.assert_allclose(have["science_expenditure"] / have["fiscal_expenditure"], ratio["fintech"])
    sectors = have["gdp_primary"] + have["gdp_secondary"] + have["gdp_tertiary"]
    np.testing.assert_allclose(sectors, have["gdp"])
    assert (have["industrial_value_added"] < have["gdp_secondary"]).all()


def test_no_figure_jumps_between_years(world):
    """Otherwise a rule for jumps would have to reject what is right."""
    for name in ("gdp", "population_resident", "fiscal_expenditure", "deposits", "loans", "employees", "new_firms"):
        change = world.indicators[name][:, 1:] / world.indicators[name][:, :-1]
        assert change.max() < 2.5, name
        assert change.min() > 0.4, name


def test_counts_are_whole_and_the_policy_adds_only_after_adoption(world):
    for name in OUTCOMES:
        assert world.without_policy[name].dtype.kind == "i"
        assert world.without_policy[name].min() >= 0
        assert (world.effects[name][~world.treated] == 0).all()
        assert (world.effects[name][world.treated] > 0).mean() > 0.9


def test_effects_differ_between_cities_and_grow_with_time(world):
    first = world.cities.index[world.adoption == 2013]
    effect = world.effects["gti1"][first][:, world.years >= 2013]
    assert (np.diff(effect.sum(axis=0)) > 0).all()
    assert effect[:, -1].max() > 3 * np.median(effect[:, -1])


@pytest.mark.parametrize("seed", range(6))
def test_pilot_cities_are_larger_but_on_no_other_trend(seed):
    world = draw_world(cities(), clusters(), seed=seed)
    truth = truth_of(world, pd.DataFrame({"rule": []}))
    panel = truth.panel.merge(truth.table[["city_code", "year", "gti1_y0"]], on=["city_code", "year"])
    pilot = panel.adoption.notna()
    assert panel.gti1_y0[pilot].mean() > 3 * panel.gti1_y0[~pilot].mean()
    row = two_way(panel, "gti1_y0", "did", CONTROLS, **KEYS).table.loc["did"]
    assert abs(row.estimate) < 3 * row.se


def test_the_policy_touches_no_control(world):
    earlier = clusters().assign(adoption=2008)
    other = draw_world(cities(), earlier, seed=0)
    for name, values in world.ratios.items():
        np.testing.assert_array_equal(values, other.ratios[name])
    for name, values in world.indicators.items():
        np.testing.assert_array_equal(values, other.indicators[name])


def test_the_order_of_the_lists_does_not_matter(world):
    other = draw_world(cities().sample(frac=1, random_state=3), clusters().iloc[::-1], seed=0)
    for name in OUTCOMES:
        np.testing.assert_array_equal(world.applications(name), other.applications(name))


def test_another_seed_is_another_world(world):
    other = draw_world(cities(), clusters(), seed=1)
    assert (world.applications("gti1") != other.applications("gti1")).mean() > 0.9


def test_some_of_the_cities_make_a_smaller_world():
    few = cities().iloc[::5]
    world = draw_world(few, clusters(), seed=0)
    assert truth_of(world, pd.DataFrame({"rule": []})).effects["gti1"] == pytest.approx(0.5315, abs=0.005)


def test_lists_that_cannot_be_used_are_refused():
    with pytest.raises(ValueError, match="no column 'level'"):
        draw_world(cities().drop(columns="level"), clusters())
    with pytest.raises(ValueError, match="repeats code 110000"):
        draw_world(pd.concat([cities(), cities().head(1)]), clusters())
    with pytest.raises(ValueError, match="policy list repeats code"):
        draw_world(cities(), clusters().assign(city_code="110000"))
    with pytest.raises(ValueError, match="No city of the policy list"):
        draw_world(cities(), clusters().assign(city_code="x" + clusters().city_code))
    with pytest.raises(ValueError, match="`panel_281` is 0 throughout"):
        draw_world(cities().assign(panel_281=0), clusters())

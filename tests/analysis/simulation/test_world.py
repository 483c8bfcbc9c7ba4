"""The draws behind the sample world: moments, identities, the known effect. No files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.did import two_way
from analysis.simulation.policy import AI_CONTROLS, ENERGY_CONTROLS
from analysis.simulation.resources import MOMENTS as AI_MOMENTS
from analysis.simulation.resources import capital_stock
from analysis.simulation.sample import truth_of
from analysis.simulation.scores import measures, score
from analysis.simulation.truth import residual_weights, true_effect
from analysis.simulation.world import CONTROLS, MOMENTS, OUTCOMES, draw_world

ROOT = Path(__file__).resolve().parents[3]
KEYS = {"unit": "city_code", "time": "year"}


def cities():
    return pd.read_csv(ROOT / "data/reference/cities.csv", dtype={"city_code": str})


def clusters():
    return pd.read_csv(ROOT / "data/policies/innovative_clusters.csv", dtype={"city_code": str})


def ai_zones():
    return pd.read_csv(ROOT / "data/policies/ai_pilot_zones.csv", dtype={"city_code": str})


@pytest.fixture(scope="module")
def world():
    return draw_world(cities(), clusters(), seed=0, ai_zones=ai_zones())


@pytest.fixture(scope="module")
def truth(world):
    return truth_of(world, pd.DataFrame({"rule": []}))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_two_way_estimand_is_the_published_coefficient(seed):
    effects = truth_of(draw_world(cities(), clusters(), seed=seed), pd.DataFrame({"rule": []})).effects
    assert effects["gti1"] == pytest.approx(0.5315, abs=0.005)
    assert effects["gti2"] == pytest.approx(0.5256, abs=0.005)


def test_the_scores_estimands_are_the_published_coefficients(truth):
    assert truth.effects["ulgue"] == pytest.approx(0.0638, abs=0.002)
    assert truth.effects["eff"] == pytest.approx(0.0366, abs=0.002)
    assert truth.effects["eship"] == pytest.approx(0.3688, abs=0.001)
    assert truth.effects["fintech"] == pytest.approx(0.0043, abs=0.0001)
    assert truth.effects["lso"] == pytest.approx(0.1076, abs=0.001)
    assert truth.ai_panel.ulgue.mean() == pytest.approx(0.5640, rel=0.1)
    assert truth.ai_panel.ulgue.std() == pytest.approx(0.2883, rel=0.2)


def test_another_seed_brings_the_scores_within_a_hundredth_too():
    effects = truth_of(
        draw_world(cities(), clusters(), seed=1, ai_zones=ai_zones()), pd.DataFrame({"rule": []})
    ).effects
    assert effects["ulgue"] == pytest.approx(0.0638, abs=0.01)
    assert effects["eff"] == pytest.approx(0.0366, abs=0.01)


@pytest.mark.parametrize("name", ["eff", "ulgue"])
def test_a_score_is_what_the_files_figures_give_with_and_without_the_policy(world, name):
    """The twin's score comes from the twin's figures, the observed one from those that the yearbooks print."""
    policy = {"eff": "clusters", "ulgue": "ai"}[name]
    for figures, expected in zip(
        (world.indicators | world.twins[policy], world.indicators), world.outcomes[name], strict=True
    ):
        values = measures(figures, world.deflator, capital_stock(figures["fixed_investment"], world.deflator))
        found = score(name, world.cities, values, first=2019)
        late = np.flatnonzero(world.years >= 2019)
        np.testing.assert_allclose(found[:, late], expected[:, late], rtol=1e-9)


def test_the_deflator_is_what_gdp_and_its_printed_growth_imply(world):
    growth, gdp = world.indicators["gdp_growth"], world.indicators["gdp"]
    np.testing.assert_array_equal(growth, np.round(growth, 2))
    change = world.deflator[:, 1:] / world.deflator[:, :-1]
    np.testing.assert_allclose(change, gdp[:, 1:] / gdp[:, :-1] / (1 + growth[:, 1:] / 100))
    np.testing.assert_allclose(world.deflator[:, world.years == 2006], 1)
    assert np.isnan(world.capital[:, world.years < 2006]).all()
    assert (world.capital[:, world.years >= 2006] > 0).all()


def test_scores_are_neither_all_efficient_nor_all_small(truth):
    for scores, bound in ((truth.panel.eff, 4 / 3), (truth.ai_panel.ulgue, 2)):
        assert scores.notna().all()
        assert 0.02 < (scores > 1 - 1e-9).mean() < 0.3
        assert 0.3 < scores.mean() < 0.65
        assert scores.std() > 0.14
        assert scores.max() <= bound


def test_few_controls_scores_move_with_the_frontier(truth):
    for name, panel, share in (("ulgue", truth.ai_panel, 0.05), ("eff", truth.panel, 0.25)):
        known = panel.merge(truth.table[["city_code", "year", f"{name}_tau"]], on=["city_code", "year"])
        moved = known[f"{name}_tau"][known.adoption.isna()].abs()
        assert moved.mean() < 0.01
        assert (moved > 0.01).mean() < share


@pytest.mark.parametrize(
    ("outcome", "treatment", "controls"),
    [
        ("gti1", "did", CONTROLS),
        ("gti2", "did", CONTROLS),
        ("eff", "did", ENERGY_CONTROLS),
        ("ulgue", "ai", AI_CONTROLS),
    ],
)
def test_the_estimate_is_within_two_standard_errors_of_the_truth(truth, outcome, treatment, controls):
    panel = truth.panel if treatment == "did" else truth.ai_panel
    row = two_way(panel, outcome, treatment, controls, **KEYS).table.loc[treatment]
    assert abs(row.estimate - truth.effects[outcome]) < 2 * row.se
    assert row.p < 0.05


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


def test_means_and_spreads_are_near_table_2_of_the_ai_study(truth):
    described = truth.ai_panel.describe().T
    assert len(truth.ai_panel) == 2574
    assert truth.ai_panel.ai.mean() == pytest.approx(0.0287, abs=5e-5)
    assert truth.ai_panel.ai.std() == pytest.approx(0.1671, abs=5e-5)
    for name, (mean, sd) in {**AI_MOMENTS, "eco": (10.9347, 0.5236), "fe": (17.7909, 1.0764)}.items():
        assert described.loc[name, "mean"] == pytest.approx(mean, rel=0.02)
        assert described.loc[name, "std"] == pytest.approx(sd, rel=0.05)


def test_the_twins_of_the_scores_are_on_no_other_trend(truth):
    for name, panel, treatment, controls in (
        ("ulgue", truth.ai_panel, "ai", AI_CONTROLS),
        ("lso", truth.ai_panel, "ai", AI_CONTROLS),
        ("eff", truth.panel, "did", ENERGY_CONTROLS),
        ("eship", truth.panel, "did", CONTROLS),
        ("fintech", truth.panel, "did", CONTROLS),
    ):
        known = panel.merge(truth.table[["city_code", "year", f"{name}_y0"]], on=["city_code", "year"])
        row = two_way(known, f"{name}_y0", treatment, controls, **KEYS).table.loc[treatment]
        assert abs(row.estimate) < 2.5 * row.se, name


def test_without_ai_zones_nothing_is_known_of_their_outcomes():
    world = draw_world(cities().iloc[::4], clusters(), seed=0)
    assert "ulgue" not in world.outcomes
    assert not world.ai_treated.any()


def test_shares_are_shares_and_ranges_plausible(world):
    assert world.ratios["industry"].min() > 0
    assert world.ratios["industry"].max() < 1
    assert world.ratios["fintech"].max() < 0.5
    assert world.ratios["techhum"].max() < 50
    assert world.indicators["population_resident"].max() <= 3200
    assert world.indicators["gdp"].max() < 8e8
    for name, values in world.indicators.items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all() or name == "gdp_growth", name
    assert -10 < world.indicators["gdp_growth"].min() < world.indicators["gdp_growth"].max() < 35
    assert 0.1 < world.ratios["ur"].min() < world.ratios["ur"].max() < 1
    assert (world.indicators["education_expenditure"] < 0.6 * world.indicators["fiscal_expenditure"]).all()
    staff = world.indicators["employees_secondary"] + world.indicators["employees_tertiary"]
    assert (staff <= world.indicators["employees"]).all()
    assert (world.indicators["degree_holders"] < world.indicators["employees"]).all()
    people = world.indicators["population_resident"]
    assert (world.indicators["population_urban_district"] <= people).all()
    assert (world.indicators["population_urban_district"][~np.isnan(world.ai_adoption)] > 100).all()


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
    jump = pd.read_csv(ROOT / "data/catalogue/indicators.csv").set_index("indicator").jump
    for name, values in world.indicators.items():
        if not np.isnan(jump[name]):
            change = np.abs(np.diff(np.log(values), axis=1))
            assert change.max() < np.log(jump[name]), name


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


MOVED = {
    "clusters": {"energy_use", "employees_information", "new_firms", "science_expenditure"},
    "ai": {"built_up_area", "electricity", "degree_holders"},
}


def test_the_policies_touch_no_control_and_move_different_figures(world):
    other = draw_world(cities(), clusters().assign(adoption=2008), seed=0, ai_zones=ai_zones().assign(adoption=2017))
    for name in (*CONTROLS, "ais", "lndensity", *AI_CONTROLS):
        np.testing.assert_array_equal(world.ratios[name], other.ratios[name])
    for policy, names in MOVED.items():
        assert set(world.twins[policy]) == names
        treated = world.treated if policy == "clusters" else world.ai_treated
        for name in names:
            np.testing.assert_array_equal(
                world.indicators[name][~treated], world.twins[policy][name][~treated], err_msg=name
            )
            assert (world.indicators[name][treated] != world.twins[policy][name][treated]).mean() > 0.9
    for name in set(world.indicators) - MOVED["clusters"] - MOVED["ai"]:
        np.testing.assert_array_equal(world.indicators[name], other.indicators[name])


def test_the_order_of_the_lists_does_not_matter(world):
    other = draw_world(
        cities().sample(frac=1, random_state=3), clusters().iloc[::-1], seed=0, ai_zones=ai_zones().iloc[::-1]
    )
    for name, values in world.indicators.items():
        np.testing.assert_array_equal(values, other.indicators[name])
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

"""What each method of a study computes, and what it says where there is nothing to compute."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis import did
from analysis.did import bacon, group_difference, placebo, two_way, wild_bootstrap
from analysis.iv import two_stage
from analysis.studies.estimation_sample import city_groups
from analysis.studies.kinds import KINDS
from analysis.studies.methods import METHODS
from analysis.studies.published import published
from analysis.studies.records import Exhibit, Interaction, Label, Model, Study, Subsample
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load
from analysis.studies.truth import true_effects

KEYS = {"unit": "city_code", "time": "year"}


@pytest.fixture(scope="module")
def study() -> Study:
    return load(catalogue()["ai_pilot_zones"])


@pytest.fixture(scope="module")
def panel(study: Study) -> pd.DataFrame:
    """As `make_panel`, with every city large and a telephone density of 1984 that is higher in pilot cities."""
    panel = make_panel(study)
    panel["urban_population"] = 300.0
    density = np.abs(np.random.default_rng(1).normal(size=286))[pd.factorize(panel["city_code"])[0]]
    panel["landlines_1984"] = density + panel["adoption"].notna()
    return panel


def exhibit(study: Study, *models: Model, kind: str = "regression", **changes: object) -> Study:
    """The study with one exhibit of these models."""
    own = Exhibit("table_1", kind, Label("t", "t"), None, None, models=models, show=(study.treatment,))
    return replace(study, exhibits=(replace(own, **changes),))


def model(study: Study, label: str = "(1)", **changes: object) -> Model:
    base = Model(label, "ulgue", study.treatment, study.controls, study.fixed_effects, study.cluster)
    return replace(base, **changes)


def rows(study: Study, panel: pd.DataFrame, *models: Model, **changes: object) -> pd.DataFrame:
    """Estimates of an exhibit of these models, by model and term."""
    found = run_exhibit(exhibit(study, *models, **changes), "table_1", panel, is_sample=True, cities=CITIES).estimates
    return found.set_index(["model", "term"])


def test_the_weights_of_the_decomposition_follow_from_the_list_of_pilots(study, panel) -> None:
    result = run_exhibit(study, "table_6", panel, is_sample=True)
    found = result.estimates.set_index(["model", "term"])["estimate"]
    printed = published(study.name).table
    exact = printed[(printed["exhibit"] == "table_6") & printed["exact"]]
    assert len(exact) == 3
    for row in exact.itertuples():
        assert round(found[row.model, row.term], 3) == row.estimate
    comparisons = result.estimates["model"].unique()[:-1]
    weight, estimate = ([found[name, term] for name in comparisons] for term in ("weight", "estimate"))
    assert sum(weight) == pytest.approx(1)
    assert np.dot(weight, estimate) == pytest.approx(found["all comparisons", "estimate"])


def test_with_controls_the_parts_of_the_decomposition_still_add_up_to_the_two_way_estimate(study, panel) -> None:
    found = run_exhibit(study, "table_6_controls", panel, is_sample=True).estimates.set_index(["model", "term"])
    parts = found.drop(index="all comparisons", level="model")["estimate"].unstack()
    assert parts["weight"].sum() == pytest.approx(1)
    direct = two_way(panel, "ulgue", "ai", study.controls, **KEYS).table.loc["ai", "estimate"]
    assert (parts["weight"] * parts["estimate"]).sum() == pytest.approx(direct)
    assert "within cohorts" in parts.index


def test_the_decomposition_leaves_out_cities_with_gaps_and_counts_them(study, panel) -> None:
    holes = panel.assign(ulgue=panel["ulgue"].where(~((panel["city_code"] == "110000") & (panel["year"] == 2016))))
    result = run_exhibit(study, "table_6", holes, is_sample=True)
    assert (
        "1 of 286 cities left out: a year is missing, and the panel must be balanced." in result.models["ulgue"].notes
    )
    rest = panel[panel["city_code"] != "110000"]
    assert result.models["ulgue"].bacon.overall == bacon(rest, "ulgue", "adoption", **KEYS).overall
    none = run_exhibit(study, "table_6", panel[panel["year"] != 2016].assign(ulgue=np.nan), is_sample=True).estimates
    assert set(none["status"]) == {"not computed"}


def test_a_placebo_reports_the_permutation_and_keeps_its_draws(study, panel) -> None:
    result = run_exhibit(study, "figure_4", panel, is_sample=True)
    direct = placebo(panel, "ulgue", "adoption", study.controls, draws=500, seed=0, **KEYS)
    found = result.estimates.set_index("term")
    assert found.loc["placebo", "p"] == direct.p_value
    assert found.loc["ai", "estimate"] == direct.actual
    assert found.loc["draws", "estimate"] == 500
    assert len(result.models["ulgue"].draws) == 500


def test_three_conventions_give_one_coefficient_and_two_standard_errors(study, panel) -> None:
    found = rows(
        study,
        panel,
        *(model(study, word, options={"convention": word}) for word in ("dummies", "within", "absorbed")),
    )
    ai = found.xs("ai", level="term")
    assert ai["estimate"].to_numpy() == pytest.approx(ai["estimate"].iloc[0], rel=1e-9)
    n, k = 2574, 7 + 285 + 8 + 1
    assert ai.loc["within", "se"] == pytest.approx(ai.loc["absorbed", "se"], rel=1e-9)
    assert ai.loc["dummies", "se"] / ai.loc["absorbed", "se"] == pytest.approx(np.sqrt((n - k + 285) / (n - k)))
    assert ai.loc["dummies", "r2"] == pytest.approx(ai.loc["absorbed", "r2"])
    absorbed = two_way(panel, "ulgue", "ai", study.controls, **KEYS)
    assert ai.loc["within", "r2"] < ai.loc["absorbed", "r2"]
    assert found.loc[("absorbed", "const"), ["estimate", "se"]].tolist() == [absorbed.constant, absorbed.constant_se]
    assert set(found.index.get_level_values("term")) == {"ai", *study.controls, "const"}


def test_an_interaction_that_repeats_the_treatment_is_not_identified_in_either_form(study, panel) -> None:
    found = run_exhibit(study, "table_8", panel, is_sample=True, cities=CITIES).estimates.set_index(["model", "term"])
    for label in ("(2)", "(2t)"):
        row = found.loc[(label, "ai_x_scale")]
        assert row["status"] == "not identified"
        assert np.isnan(row["estimate"])
        assert "equals 'ai' in all 2574 rows used, 74 of them not zero" in row["reason"]
        assert "Treated cities: 18 with 'large_city' = 1, 0 with 'large_city' = 0." in row["reason"]
    assert ("(2)", "ai") not in found.index
    assert found.loc[("(2t)", "ai"), "status"] == "ok"


def test_an_interaction_without_any_treated_city_in_the_group_is_not_identified(study, panel) -> None:
    treated = panel["adoption"].notna()
    small = panel.assign(urban_population=np.where(treated, 50.0, 300.0))
    found = run_exhibit(study, "table_8", small, is_sample=True, cities=CITIES).estimates.set_index(["model", "term"])
    assert found.loc[("(2)", "ai_x_scale"), "status"] == "not identified"
    assert "0 with 'large_city' = 1, 18 with" in found.loc[("(2)", "ai_x_scale"), "reason"]


def test_both_forms_of_an_interaction_are_the_regressions_they_claim_to_be(study, panel) -> None:
    found = run_exhibit(study, "table_8", panel, is_sample=True, cities=CITIES).estimates.set_index(["model", "term"])
    capital = CITIES["level"].eq("municipality") | CITIES["provincial_capital"].eq(1)
    inside = panel["city_code"].isin(CITIES.loc[capital, "city_code"])
    frame = panel.assign(product=panel["ai"] * inside)
    alone = two_way(frame, "ulgue", "product", study.controls, **KEYS).table.loc["product"]
    assert found.loc[("(1)", "ai_x_level"), ["estimate", "se"]].tolist() == alone[["estimate", "se"]].tolist()
    both = two_way(frame, "ulgue", ["ai", "product"], study.controls, **KEYS).table.loc["product"]
    assert found.loc[("(1t)", "ai_x_level"), "estimate"] == both["estimate"]
    assert found.loc[("(1t)", "ai_x_level"), "estimate"] != alone["estimate"]


def test_anticipation_puts_earlier_treatments_beside_the_true_one(study, panel) -> None:
    found = rows(study, panel, model(study, leads=(1, 2)))
    years = panel["year"] - panel["adoption"]
    frame = panel.assign(one=(years >= -1).astype(float), two=(years >= -2).astype(float))
    direct = two_way(frame, "ulgue", ["ai", "one", "two"], study.controls, **KEYS).table
    for term, column in (("ai", "ai"), ("ai_lead_1", "one"), ("ai_lead_2", "two")):
        assert found.loc[("(1)", term), "estimate"] == direct.loc[column, "estimate"]


def test_another_policy_enters_as_a_regressor_of_its_own(study, panel) -> None:
    found = run_exhibit(study, "table_5", panel, is_sample=True).estimates.set_index(["model", "term"])
    controls = [*study.controls, "made_in_china_2025"]
    direct = two_way(panel, "ulgue", "ai", controls, **KEYS).table
    assert found.loc[("(1)", "made_in_china_2025"), "estimate"] == direct.loc["made_in_china_2025", "estimate"]
    assert found.loc[("(1)", "ai"), "se"] == direct.loc["ai", "se"]


def test_a_longer_panel_that_is_not_there_is_said_and_one_that_is_is_used(study, panel) -> None:
    without = run_exhibit(study, "table_5", panel, is_sample=True).estimates.set_index("model")
    assert without.loc["(5)", "status"] == "not computed"
    assert "2011-2023" in without.loc["(5)", "reason"]
    earlier = panel[panel["year"] < 2019].assign(year=lambda rows: rows["year"] - 4)
    longer = pd.concat([panel, earlier.assign(ai=0)], ignore_index=True)
    panels = {"ai_pilot_zones_long": longer}
    found = run_exhibit(study, "table_5", panel, is_sample=True, panels=panels).estimates.set_index(["model", "term"])
    longer["z"] = longer["landlines_1984"] * (longer["year"] >= 2019)
    direct = two_stage(longer, "ulgue", ["ai"], ["z"], study.controls, **KEYS)
    assert found.loc[("(5)", "ai"), ["estimate", "n"]].tolist() == [direct.table.loc["ai", "estimate"], 286 * 13]
    assert found.loc[("(5)", "kp_rk_wald_f"), "estimate"] == direct.kp_rk_wald_f
    assert found.loc[("(5)", "kp_rk_lm"), "p"] == direct.kp_rk_lm_p
    assert found.loc[("(5)", "stock_yogo_10pct"), "estimate"] == 16.38
    assert found.loc[("(4)", "iv"), "estimate"] == direct.first_stage["ai"].table.loc["z", "estimate"]
    own = longer["landlines_1984"] * (longer["year"] >= longer["adoption"])
    other = two_stage(longer.assign(z=own), "ulgue", ["ai"], ["z"], study.controls, **KEYS)
    assert found.loc[("(5o)", "ai"), "estimate"] == other.table.loc["ai", "estimate"]


def test_matching_estimates_on_matched_rows_only_and_counts_both_sides(study, panel) -> None:
    options = {"matching": "nearest", "caliper": 0.05}
    result = run_exhibit(
        exhibit(study, model(study, method="psm_did", options=options)), "table_1", panel, is_sample=True
    )
    fitted = result.models["(1)"]
    assert fitted.treated_rows == 162
    assert fitted.n <= fitted.matched_rows + fitted.control_rows < len(panel)
    assert fitted.control_rows <= fitted.matched_rows
    assert any("of 162 rows of pilot cities" in note for note in fitted.notes)


def test_a_matched_sample_that_lost_most_treated_rows_says_so_beside_its_number(study, panel) -> None:
    rng = np.random.default_rng(0)
    apart = panel.assign(eco=panel["eco"] + 2 * panel["adoption"].notna() + rng.normal(size=len(panel)) / 10)
    options = {"matching": "radius", "caliper": 1e-4}
    row = rows(study, apart, model(study, method="psm_did", options=options)).loc[("(1)", "ai")]
    assert row["status"] == "ok"
    assert "of 162 treated rows found no match: the estimate is of a minority." in row["reason"]


def test_few_treated_cities_are_said_beside_the_number_unless_the_method_is_made_for_them(study, panel) -> None:
    two, wild = model(study, "two"), model(study, "wild", method="wild_bootstrap", options={"draws": 99})
    found = rows(study, panel, two, wild)
    assert found.loc[("two", "ai"), "reason"].startswith("18 treated cities among 286 clusters are too few to trust")
    assert found.loc[("wild", "ai"), "reason"] is None or pd.isna(found.loc[("wild", "ai"), "reason"])
    direct = wild_bootstrap(panel, "ulgue", "ai", study.controls, draws=99, **KEYS)
    assert found.loc[("wild", "ai"), "p"] == direct.p_value


def test_a_subsample_without_treated_cities_is_not_identified(study, panel) -> None:
    pilots = tuple(panel.loc[panel["adoption"].notna(), "city_code"].unique())
    row = rows(study, panel, model(study, sample=Subsample(exclude_cities=pilots))).loc[("(1)", "ai")]
    assert row["status"] == "not identified"
    assert "is 0 in all 2412 rows used" in row["reason"]


def test_a_collinear_control_is_not_identified_and_the_rest_stands(study, panel) -> None:
    twice = panel.assign(gov=2 * panel["op"] + 1)
    found = rows(study, twice, model(study))
    assert found.loc[("(1)", "op"), "status"] == "not identified"
    assert found.loc[("(1)", "ai"), "status"] == "ok"


def test_groups_hold_each_city_once_and_split_at_what_they_name(study, panel) -> None:
    groups = {group.name: group for group in study.groups}
    infra = city_groups(groups["high_infra"], panel, CITIES)
    means = panel.groupby("city_code")["digital"].mean()
    assert infra.to_dict() == (means > panel["digital"].mean()).astype(float).to_dict()
    level = city_groups(groups["high_level"], panel, CITIES)
    assert level[level == 1].index.isin(["110000", "120000", "310000", "500000"]).sum() == 4
    assert level.sum() == 4 + CITIES["provincial_capital"].sum()
    assert level["440300"] == 0
    one = panel.assign(urban_population=np.where(panel["city_code"] == "110000", 99.9, np.nan))
    large = city_groups(groups["large_city"], one, CITIES)
    assert large["110000"] == 0
    assert large.drop("110000").isna().all()


def test_a_group_without_its_column_names_the_source_that_is_missing(study, panel) -> None:
    estimates = run_exhibit(study, "table_8", panel.assign(digital=np.nan), is_sample=True, cities=CITIES).estimates
    row = estimates[estimates["model"] == "(3)"].iloc[0]
    assert row["status"] == "not computed"
    assert "digital_infrastructure of panels.city_year" in row["reason"]
    assert estimates.loc[estimates["model"] == "(1)", "status"].eq("ok").all()


def test_the_test_between_groups_is_the_clustered_chow_test(study, panel) -> None:
    east, rest = ({"where": {"high_level": (value,)}} for value in (1, 0))
    columns = [model(study, label, sample=Subsample(**own)) for label, own in (("(1)", east), ("(2)", rest))]
    test = model(study, "equal", method="group_difference", options={"by": "high_level", "permutations": 19})
    found = rows(study, panel, *columns, tests=(test,))
    level = city_groups(next(g for g in study.groups if g.name == "high_level"), panel, CITIES)
    frame = panel.assign(level=panel["city_code"].map(level))
    direct = group_difference(frame, "ulgue", "ai", study.controls, group="level", permutations=19, **KEYS)
    assert found.loc[("equal", "chow F"), ["estimate", "p"]].tolist() == [direct.chow.f, direct.chow.p]
    assert found.loc[("equal", "permutation"), "p"] == direct.permutation_p
    assert found.loc[("(1)", "ai"), "estimate"] == direct.table.loc[1.0, "estimate"]


@pytest.fixture(scope="module")
def estimators(study, panel) -> pd.DataFrame:
    return run_exhibit(study, "table_3_estimators", panel, is_sample=True, cities=CITIES).estimates.set_index(
        ["model", "term"]
    )


def test_every_estimator_finds_the_effect_within_four_standard_errors(estimators) -> None:
    effects = estimators.xs("ai", level="term")
    assert len(effects) == 8
    assert set(effects["status"]) == {"ok"}
    assert ((effects["estimate"] - 0.5).abs() < 4 * effects["se"]).all()


def test_the_truth_of_an_estimator_is_its_own_estimand(study, panel) -> None:
    growing = np.where(panel["ai"] == 1, panel["year"] - panel["adoption"].fillna(0) + 1, 0.0)
    ledger = panel[["city_code", "year"]].assign(ulgue_tau=growing)
    truth = true_effects(study, study.exhibit("table_3_estimators"), panel, ledger).set_index("model")["truth"]
    assert truth["ulgue, imputation"] == pytest.approx(growing[panel["ai"] == 1].mean())
    assert truth["ulgue, two_way"] == truth["ulgue, wild_bootstrap"] != truth["ulgue, imputation"]
    interactions = true_effects(study, study.exhibit("table_8"), panel, ledger, CITIES)
    assert interactions.empty


def test_honest_intervals_widen_with_the_bound_and_stop_where_zero_enters(study, panel) -> None:
    found = run_exhibit(study, "table_3_honest", panel, is_sample=True).estimates.set_index(["model", "term"])
    own = found.loc["ulgue", "estimate"]
    width = [own[f"relative {bound}, high"] - own[f"relative {bound}, low"] for bound in ("0.5", "1", "1.5", "2")]
    assert width == sorted(width)
    holds = own["relative breakdown"]
    bounds = {bound: own[f"relative {bound:g}, low"] > 0 for bound in (0.5, 1.0, 1.5, 2.0)}
    assert np.isnan(holds) or (bounds[holds] and not any(bounds[b] for b in bounds if b > holds))


def test_results_do_not_depend_on_the_order_of_rows(study, panel) -> None:
    shuffled = panel.sample(frac=1, random_state=1)
    for name in ("figure_4", "table_4", "table_4_balance", "table_6_controls", "table_8"):
        left = run_exhibit(study, name, panel, is_sample=True, cities=CITIES).estimates
        right = run_exhibit(study, name, shuffled, is_sample=True, cities=CITIES).estimates
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_an_interaction_stands_beside_or_in_place_of_the_treatment() -> None:
    base = Model("(1)", "y", "ai", (), ("unit",), ("unit",))
    inside = replace(base, interaction=Interaction("ai_x", "g", True))
    assert inside.treatments == ("ai", "ai_x")
    assert replace(base, interaction=Interaction("ai_x", "g", False)).treatments == ("ai_x",)


def test_further_designs_are_the_estimators_they_name(study, panel) -> None:
    counts = panel.assign(ulgue=np.exp(panel["ulgue"] / 4))
    two_ways = {name: model(study, name, method=name) for name in ("poisson", "sensitivity", "leave_out")}
    mediated = model(study, "mediation", method="mediation", options={"mediator": "gtt", "draws": 99})
    averages = ("extended_two_way", "stacked", "local_projections")
    staggered = [model(study, name, method=name, controls=()) for name in averages]
    found = rows(study, counts, *two_ways.values(), mediated, *staggered)
    assert (found["status"] == "ok").all(), found["reason"].dropna().tolist()

    def number(name: str, term: str = "ai", what: str = "estimate") -> float:
        return float(found.loc[(name, term), what])

    whole = did.two_way(counts, "ulgue", "ai", study.controls, **KEYS).table.loc["ai", "estimate"]
    assert number("sensitivity") == pytest.approx(whole)
    assert number("leave_out") == pytest.approx(whole)
    assert number("leave_out", "least without one") < whole < number("leave_out", "greatest without one")
    direct = did.poisson(counts, "ulgue", "ai", study.controls, **KEYS)
    assert number("poisson") == pytest.approx(direct.table.loc["ai", "estimate"])
    parts = number("mediation", "direct") + number("mediation", "indirect")
    assert parts == pytest.approx(number("mediation"))
    for name in averages:
        assert number(name) == pytest.approx(getattr(did, name)(counts, "ulgue", "adoption", **KEYS).att)


def test_a_mediation_without_a_mediator_says_what_to_write(study, panel) -> None:
    found = rows(study, panel, model(study, method="mediation"))
    assert "options: {mediator" in found["reason"].iloc[0]


def test_lines_that_are_not_standard_stand_in_a_table_of_estimators_only_where_named() -> None:
    lines = {line.word: line for method in METHODS.values() for line in method.estimators}
    assert lines["imputation"].standard and not lines["stacked"].standard
    shown = KINDS["estimators"].written.model_fields["methods"].default
    assert "imputation" in shown and "stacked" not in shown


def test_designs_of_other_questions_are_the_estimators_they_name(study, panel) -> None:
    from analysis.threshold import panel_threshold

    generator = np.random.default_rng(5)
    codes = pd.factorize(panel["city_code"])[0]
    frame = panel.assign(
        resource=(generator.random(286) < 0.5)[codes].astype(float),
        strength=np.where(panel["adoption"].notna(), 1 + codes % 5, 0) * (panel["year"] >= 2019),
    )
    asked = [
        model(study, "triple", method="triple_difference", options={"eligible": "resource"}),
        model(study, "dose", method="dose", treatment="strength", controls=()),
        model(
            study, "threshold", method="panel_threshold", treatment="op",
            controls=("fe",), options={"threshold": "eco", "draws": 2},
        ),
        model(study, "dealt", method="randomization", controls=(), options={"estimator": "stacked", "draws": 19}),
    ]  # fmt: skip
    runs = {given.label: METHODS[given.method] for given in asked}
    found = {given.label: runs[given.label].run(frame, given) for given in asked}
    lines = {
        given.label: {row.term: row for row in runs[given.label].rows(found[given.label], given)} for given in asked
    }
    policy = frame.assign(policy=frame["adoption"].notna().astype(float))
    triple = did.triple_difference(policy, "ulgue", "policy", "resource", "ai", study.controls, **KEYS)
    assert (lines["triple"]["ai"].estimate, lines["triple"]["ai"].se) == (triple.att, triple.se)
    dose = did.dose(frame, "ulgue", "strength", **KEYS)
    assert lines["dose"]["strength"].estimate == dose.att
    assert lines["dose"]["one more unit of the dose"].estimate == dose.slope
    threshold = panel_threshold(
        frame, "ulgue", "op", "eco", ["fe"], **KEYS, draws=2, fixed_effects=study.fixed_effects, cluster=study.cluster
    )
    assert lines["threshold"]["regime [1]"].estimate == threshold.table["estimate"].iloc[0]
    assert lines["threshold"]["threshold 1"].estimate == threshold.thresholds["threshold"].iloc[0]
    assert lines["threshold"]["threshold 1"].p == threshold.p_values[0]
    assert lines["dealt"]["ai"].p == found["dealt"].p_value
    with pytest.raises(ValueError, match="eligible"):
        runs["triple"].run(frame, replace(asked[0], options={}))


def test_robust_estimators_cluster_as_the_study_says(study, panel) -> None:
    """The case of firms under a city's policy: clusters above the unit reach every estimator."""
    frame = panel.assign(province=panel["city_code"].str[:2])
    for method in ("callaway_santanna", "imputation", "stacked"):
        by_unit, above = (
            METHODS[method].rows(METHODS[method].run(frame, given), given)[0]
            for given in (model(study, method=method, controls=(), cluster=way) for way in (("unit",), ("province",)))
        )
        assert by_unit.estimate == above.estimate
        assert by_unit.se != above.se
    direct = did.imputation(frame, "ulgue", "adoption", **KEYS, cluster="province", leads=())
    given = model(study, method="imputation", controls=(), cluster=("province",))
    assert METHODS["imputation"].rows(METHODS["imputation"].run(frame, given), given)[0].se == direct.se
    with pytest.raises(ValueError, match="takes one way of clustering, and the model has 2"):
        METHODS["stacked"].run(frame, model(study, method="stacked", cluster=("unit", "province")))

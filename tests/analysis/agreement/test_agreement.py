"""Second opinions: sound numbers are confirmed, planted errors are found and told for what they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.agreement import CONFIRMED, CONVENTION, DIFFERS, NONE, Opinion, engines, lines, second_opinions
from analysis.agreement.line import by_number
from analysis.agreement.opinion import SIGN, STARS, is_turned, judge
from analysis.agreement.scores import second_scores
from analysis.efficiency import super_sbm
from analysis.studies.records import EfficiencySpecification, Known, Label, Model, Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit, run_study
from analysis.studies.spec import catalogue, load

NAMES = Known(
    columns={"trade_share": ("ratio", ""), "financial_depth": ("ratio", "")},
    city_columns=("city_code",),
    flags=("all",),
    cities=frozenset(),
    policies={"pilots": frozenset({"whole city"})},
)
STUDY = """\
study: trial
title: {en: A trial, zh: 试验}
policy: pilots
treatment: did
sample: {cities: all, years: [2001, 2008]}
variables:
  - {name: y, from: trade_share, role: outcome}
  - {name: x, from: financial_depth, role: control}
  - {name: z, from: financial_depth, role: instrument}
groups: [{name: large, at_least: {x: 0}}]
outcomes: [y]
controls: [x]
cluster: unit
fixed_effects: [unit, time]
exhibits:
  table_1: {kind: descriptive, variables: [y, did, x]}
  table_2:
    kind: regression
    show: all
    columns:
      - {label: "(1)", outcome: y, fixed_effects: []}
      - {label: "(2)", outcome: y}
      - {label: "(3)", outcome: y, options: {convention: within}, method: two_way}
      - {label: "(4)", outcome: y, options: {convention: dummies}, method: two_way}
      - {label: "(5)", outcome: y, interaction: {name: did_x_large, with: large, main_effect: false}}
      - {label: "(6)", outcome: y, method: psm_did, options: {matching: kernel}}
      - {label: "(7)", outcome: y, method: two_stage, options: {instrument: z, since: 2004, stage: second}}
    compare: {by: large}
  table_2_alone: {kind: regression, show: all, columns: [{label: "(2)", outcome: y}]}
  figure_1: {kind: event_study, outcomes: [y], base: -1, leads: 2, lags: 2}
  figure_2: {kind: placebo, baseline: {options: {draws: 30}}, columns: [{label: y, outcome: y}]}
  table_3: {kind: bacon, columns: [{label: y, outcome: y, drop: all controls}, {label: "y, x", outcome: y}]}
  table_4: {kind: estimators, outcomes: [y], methods: [two_way, sun_abraham, callaway_santanna, imputation, synthetic]}
  table_5: {kind: balance, columns: [{label: nearest, options: {matching: nearest, caliper: 0.2, covariates: [x]}}]}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path: Path = tmp_path_factory.mktemp("studies") / "trial.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return load(path, NAMES)


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """40 cities, 8 years, two cohorts of ten, a missing value; rows in no order."""
    rng = np.random.default_rng(0)
    codes = [f"{code}0000" for code in range(11, 51)]
    frame = pd.MultiIndex.from_product([codes, range(2001, 2009)], names=["city_code", "year"]).to_frame(index=False)
    place = np.repeat(np.arange(40), 8)
    frame["adoption"] = np.select([place < 10, place < 20], [2004.0, 2006.0], np.nan)
    frame["did"] = (frame["year"] >= frame["adoption"]).astype(float)
    frame["x"] = rng.normal(size=len(frame)) + np.where(place % 3, 0.5, -1.0)
    frame["z"] = np.repeat(rng.normal(size=40) + 2.0 * (np.arange(40) < 20), 8)
    level = np.repeat(rng.normal(size=40), 8)
    frame["y"] = level + 0.5 * frame["did"] + 0.1 * frame["x"] + rng.normal(size=len(frame)) / 5
    return frame.sample(frac=1.0, random_state=1)


@pytest.fixture(scope="module")
def results(study: Study, panel: pd.DataFrame) -> dict[str, ExhibitResult]:
    return run_study(study, panel, is_sample=False)


def opinions(study: Study, panel: pd.DataFrame, result: ExhibitResult, **planted: float) -> pd.DataFrame:
    """Second opinions on an exhibit whose treatment's numbers in (2) have been replaced."""
    estimates = result.estimates.copy()
    at = estimates["model"].eq("(2)") & estimates["term"].eq("did")
    for name, value in planted.items():
        estimates.loc[at, name] = value
    return second_opinions(study, result.exhibit, panel, estimates)


def test_what_is_sound_is_confirmed_by_two_engines_or_one_and_the_rest_says_why(study, panel, results) -> None:
    found = pd.concat([opinions(study, panel, result) for result in results.values()], ignore_index=True)
    published = pd.concat([result.estimates for result in results.values()])
    published = published[published["status"].eq("ok") & published["estimate"].notna()]
    state = by_number(found)
    assert len(state) == len(published)
    assert set(state) == {CONFIRMED, NONE}
    none = found[found["verdict"].eq(NONE)]
    assert (none["engine"] == "").all() and none["reason"].str.endswith(".").all()
    assert set(none["term"]) == {"period -1", "stock_yogo_10pct", "effective_f_10pct"}
    asked = found[found["exhibit"].eq("table_2") & found["model"].eq("(2)")]
    assert set(asked["engine"]) == {"pyfixest", "linearmodels"} and (asked["version"] != "").all()


def test_a_wrong_estimate_is_found_and_both_engines_give_the_right_one(study, panel, results) -> None:
    right = results["table_2_alone"].estimates.set_index(["model", "term"]).loc[("(2)", "did")]
    found = opinions(study, panel, results["table_2_alone"], estimate=1.01 * right["estimate"])
    wrong = found[found["verdict"].eq(DIFFERS)]
    assert set(zip(wrong["model"], wrong["term"], strict=True)) == {("(2)", "did")}
    assert len(wrong) == 2 and wrong["estimate"].to_numpy() == pytest.approx(right["estimate"], rel=1e-9)
    assert wrong["difference"].to_numpy() == pytest.approx(0.01 / 1.01, rel=0.05)


def test_a_standard_error_of_twice_the_size_is_found(study, panel, results) -> None:
    right = results["table_2_alone"].estimates.set_index(["model", "term"]).loc[("(2)", "did")]
    found = opinions(study, panel, results["table_2_alone"], se=2 * right["se"])
    wrong = found[found["verdict"].eq(DIFFERS)]
    assert set(wrong["term"]) == {"did"} and wrong["difference"].to_numpy() == pytest.approx(0.5, rel=1e-6)


def test_a_turned_sign_and_turned_stars_are_told(study, panel, results) -> None:
    right = results["table_2_alone"].estimates.set_index(["model", "term"]).loc[("(2)", "did")]
    turned = opinions(study, panel, results["table_2_alone"], estimate=-right["estimate"])
    assert turned.loc[turned["verdict"].eq(DIFFERS), "reason"].str.startswith(SIGN).all()
    weaker = opinions(study, panel, results["table_2_alone"], se=8 * right["se"], p=0.12)
    reasons = weaker.loc[weaker["verdict"].eq(DIFFERS), "reason"]
    assert len(reasons) == 2 and reasons.str.startswith(STARS).all() and all(map(is_turned, reasons))
    assert "Engines part: " in " ".join(lines(weaker))


def row(**numbers: float) -> pd.Series:
    return pd.Series({"estimate": 2.0, "se": 0.5, "p": 0.0001} | numbers)


@pytest.mark.parametrize(
    ("opinion", "verdict", "difference"),
    [
        (Opinion("t", "e", 2.0, 0.5), CONFIRMED, 0.0),
        (Opinion("t", "e", 2.0 + 1e-7, 0.5), CONFIRMED, 5e-8),
        (Opinion("t", "e", 2.002, 0.5), DIFFERS, 1e-3),
        (Opinion("t", "e", 2.002, 0.5, convention="Other draws.", within=2e-3), CONVENTION, 1e-3),
        (Opinion("t", "e", 2.02, 0.5, convention="Other draws.", within=2e-3), DIFFERS, 1e-2),
        (Opinion("t", "e", 2.0, 0.25), DIFFERS, 0.5),
        (Opinion("t", "e", 2.0), CONFIRMED, 0.0),
        (Opinion("t", "e", np.inf), DIFFERS, np.inf),
    ],
)
def test_a_convention_excuses_what_it_explains_and_no_more(opinion, verdict, difference) -> None:
    found, judged, reason = judge(row(), opinion)
    assert judged == verdict
    assert found == pytest.approx(difference, rel=1e-6)
    assert bool(reason) == (verdict != CONFIRMED or np.isnan(opinion.se))


def test_an_estimate_near_zero_is_measured_by_its_error() -> None:
    assert judge(row(estimate=1e-12), Opinion("t", "e", -1e-12, 0.5))[1] == CONFIRMED
    assert judge(row(estimate=1e-12, se=np.nan), Opinion("t", "e", -1e-12))[1] == DIFFERS


def test_an_engine_that_fails_is_told_and_ends_nothing(study, panel, results, monkeypatch) -> None:
    def broken(frame, model):
        raise ZeroDivisionError("no such thing")

    monkeypatch.setattr("analysis.agreement.exhibit.ENGINES", {**engines.ENGINES, "two_way": (broken,)})
    found = opinions(study, panel, results["table_2"])
    own = found[found["model"].eq("(2)")]
    assert set(own["verdict"]) == {NONE} and own["reason"].str.contains("ZeroDivisionError: no such thing").all()
    assert (found.loc[found["model"].eq("(6)"), "verdict"] == CONFIRMED).all()


def test_a_mistake_of_ours_is_no_engine_that_failed(study, panel, results, monkeypatch) -> None:
    own: dict = {"__name__": "analysis.agreement.own"}
    exec("def asked(frame, model):\n    return frame['no such thing']\n", own)
    monkeypatch.setattr("analysis.agreement.exhibit.ENGINES", {**engines.ENGINES, "two_way": (own["asked"],)})
    monkeypatch.setattr("analysis.agreement.exhibit.model_frame", lambda *_, **__: pd.DataFrame())
    with pytest.raises(RuntimeError, match=r"could not be put to asked, and not because of what the data hold: KeyErr"):
        opinions(study, panel, results["table_2"])


def test_lines_count_numbers_name_engines_and_give_the_digits(study, panel, results) -> None:
    (said,) = lines(opinions(study, panel, results["table_1"]))
    assert said.startswith("All 15 numbers confirmed by scipy ") and " to 1e-" in said
    first, none = lines(opinions(study, panel, results["figure_1"]))
    assert first.startswith("5 of 6 numbers confirmed by pyfixest ") and " and linearmodels " in first
    assert none == "1 without a second engine: The base period is zero by definition."
    assert lines(pd.DataFrame()) == []


def test_the_order_of_rows_changes_nothing(study, panel, results) -> None:
    one = opinions(study, panel, results["figure_2"])
    other = opinions(study, panel.sample(frac=1.0, random_state=2), results["figure_2"])
    pd.testing.assert_frame_equal(one, other)


def test_relative_magnitudes_by_all_vertices_meet_those_of_the_published_engine_within_their_draws() -> None:
    from analysis.agreement.bounds import relative_interval
    from analysis.did.honest import EventPath, honest

    path, covariance = np.array([-0.02, 0.03, 0.4, 0.5, 0.6]), 0.01 * (0.7 * np.eye(5) + 0.3)
    periods = np.array([-3, -2, 0, 1, 2])
    ours = honest(EventPath(periods, path, covariance), bounds=(0.5, 1.0), weights=dict.fromkeys((0, 1, 2), 1 / 3))
    for bound, low, high in ours.table[["bound", "low", "high"]].to_numpy():
        found = relative_interval(path, covariance, 2, np.full(3, 1 / 3), bound)
        assert np.abs(np.array(found) - (low, high)).max() < 0.01 * ours.se
        assert found[0] < 0.5 < found[1]


def test_bounds_on_bends_meet_those_of_the_published_engine_to_five_digits_of_an_error() -> None:
    from analysis.agreement.staggered import _shortest
    from analysis.did.honest import EventPath, honest

    path, covariance = np.array([-0.02, 0.03, 0.4, 0.5, 0.6]), 0.01 * (0.7 * np.eye(5) + 0.3)
    periods = np.array([-3, -2, 0, 1, 2])
    about = {"restriction": "smoothness", "weights": dict.fromkeys((0, 1, 2), 1 / 3)}
    ours = honest(EventPath(periods, path, covariance), bounds=(0.0, 0.01, 0.05), **about)
    for bound, low, high in ours.table[["bound", "low", "high"]].to_numpy():
        found = _shortest(path[:2], path[2:], covariance, np.full(3, 1 / 3), bound)
        assert np.abs(np.array(found) - (low, high)).max() < 1e-5 * ours.se


def test_poisson_is_confirmed_by_a_likelihood_with_a_dummy_for_every_effect(panel) -> None:
    from analysis.agreement.regressions import poisson_by_statsmodels
    from analysis.did import poisson

    counts = np.random.default_rng(3).poisson(np.exp(panel["y"].clip(-2, 3)))
    frame = panel.assign(y=counts).sort_values(["city_code", "year"])
    model = Model("counts", "y", "did", ("x",), ("unit", "time"), ("unit",), method="poisson")
    table = poisson(frame, "y", ["did"], ("x",), unit="city_code", time="year").table
    found = {opinion.term: opinion for opinion in poisson_by_statsmodels(frame, model)}
    for term in ("did", "x"):
        assert judge(table.loc[term], found[term])[1] == CONFIRMED
        assert judge(table.loc[term] * [1, 0.5, 1, 1, 1, 1], found[term])[1] == DIFFERS


# Scores ---------------------------------------------------------------------------------------------------------------

LABEL = Label("Efficiency", "效率")
SCORED = EfficiencySpecification(
    "eff", LABEL, ("x1", "x2"), ("good",), ("bad",), "contemporaneous", "crs", "none", "slack", "none"
)


@pytest.fixture(scope="module")
def scored() -> tuple[pd.DataFrame, pd.DataFrame]:
    """60 cities in two years, and their scores under both frontiers."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"city_code": [f"{c}" for c in range(60) for _ in range(2)], "year": [2001, 2002] * 60})
    frame[["x1", "x2", "good", "bad"]] = np.exp(rng.normal(scale=0.4, size=(120, 4)))
    roles = {"inputs": ("x1", "x2"), "outputs": ("good",), "bad_outputs": ("bad",), "period": "year"}
    parts = [
        frame[["city_code", "year"]].assign(
            frontier=frontier, score=super_sbm(frame, **roles, frontier=frontier).table["score"]
        )
        for frontier in ("contemporaneous", "global")
    ]
    return frame, pd.concat(parts, ignore_index=True)


def test_a_fifth_of_the_scores_is_confirmed_and_a_wrong_one_among_them_found(study, scored) -> None:
    frame, scores = scored
    sound = second_scores(study, SCORED, frame, scores)
    assert list(sound["model"]) == ["eff, contemporaneous", "eff, global"] and set(sound["verdict"]) == {CONFIRMED}
    assert " of 120 scores, drawn at random." in sound["reason"].iloc[0]
    wrong = second_scores(study, SCORED, frame, scores.assign(score=scores["score"] * 1.001))
    assert set(wrong["verdict"]) == {DIFFERS} and (wrong["difference"] > 9e-4).all()


def test_scores_of_another_model_say_that_they_have_no_second_engine(study, scored) -> None:
    frame, scores = scored
    (other,) = second_scores(study, replace(SCORED, returns="vrs"), frame, scores)["verdict"].unique()
    assert other == NONE


# Space ----------------------------------------------------------------------------------------------------------------


def test_models_of_space_are_confirmed_by_a_dense_likelihood_and_a_wrong_rho_is_found() -> None:
    study = load(catalogue()["ai_pilot_zones"])
    panel = make_panel(study)
    for name in ("table_10", "table_10_choice", "table_11_weights"):
        found, kept = study.exhibit(name), ("contiguity, sdm", "distance, sar", "distance")
        own = replace(found, models=tuple(model for model in found.models if model.label in kept))
        one = replace(study, exhibits=(own,))
        estimates = run_exhibit(one, name, panel, is_sample=True, cities=CITIES).estimates
        state = by_number(second_opinions(one, name, panel, estimates, cities=CITIES))
        none = state.index[state == NONE].get_level_values("term")
        assert set(state) <= {CONFIRMED, NONE}
        assert set(none) <= {"Hausman, two-way", "cities linked with the nearest"}, list(none)
        if name == "table_10":
            wrong = estimates.assign(estimate=estimates["estimate"].where(estimates["term"].ne("rho"), 0.05))
            state = by_number(second_opinions(one, name, panel, wrong, cities=CITIES))
            assert set(state.index[state == DIFFERS].get_level_values("term")) == {"rho"}


def test_autocorrelation_is_confirmed_by_esda_but_for_what_is_drawn() -> None:
    study = load(catalogue()["ai_pilot_zones"])
    panel = make_panel(study)
    panel = panel[panel["year"].isin([2015, 2018, 2023])]
    estimates = run_exhibit(study, "table_9", panel, is_sample=True, cities=CITIES).estimates
    state = by_number(second_opinions(study, "table_9", panel, estimates, cities=CITIES))
    drawn = state.index.get_level_values("term").str.endswith("permutation")
    assert set(state[~drawn]) == {CONFIRMED}
    assert set(state[drawn]) <= {CONFIRMED, CONVENTION}

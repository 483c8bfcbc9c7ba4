"""The spatial exhibits of a study: weights by name, Moran's I, spatial models, effects, and the rule for gaps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import spatial
from analysis.studies.matrices import build
from analysis.studies.published import published
from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load

DATA = Path(__file__).resolve().parents[3] / "data"
KEYS = {"unit": "city_code", "time": "year"}
#: Shandong, Jiangsu, Zhejiang, Anhui, Henan, Hubei: enough neighbours, quick to estimate.
PROVINCES = ("37", "32", "33", "34", "41", "42")
RHO, DIRECT, LAGGED = 0.4, 0.3, 0.5


@pytest.fixture(scope="module")
def study() -> Study:
    return load(catalogue()["ai_pilot_zones"])


@pytest.fixture(scope="module")
def cities() -> pd.DataFrame:
    return pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})


@pytest.fixture(scope="module")
def everywhere(study: Study, cities: pd.DataFrame) -> pd.DataFrame:
    """286 cities in which the outcome follows a spatial Durbin model over the true borders."""
    rng = np.random.default_rng(3)
    policy = pd.read_csv(DATA / "policies" / f"{study.policy}.csv", dtype={"city_code": str})
    codes = sorted(cities.loc[cities["panel_286"] == 1, "city_code"])
    weights = spatial.contiguity(spatial.prefecture_polygons(codes))
    years = range(study.years[0], study.years[1] + 1)
    adoption = pd.Series(codes, index=codes).map(policy.groupby("city_code")["adoption"].min()).astype(float)
    level = rng.normal(size=len(codes))
    frames = []
    for year in years:
        frame = pd.DataFrame({"city_code": codes, "year": year, "adoption": adoption.to_numpy()})
        frame[study.treatment] = (frame["adoption"] <= year).astype(float)
        for control in study.controls:
            frame[control] = level + rng.normal(size=len(codes))
        ai = frame[study.treatment].to_numpy()
        cause = DIRECT * ai + LAGGED * (weights.matrix @ ai) + 0.1 * frame["eco"] + level + rng.normal(size=len(ai)) / 5
        frame["ulgue"] = np.linalg.solve(np.eye(len(codes)) - RHO * weights.matrix.toarray(), cause)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True).sort_values(["city_code", "year"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def panel(everywhere: pd.DataFrame) -> pd.DataFrame:
    return everywhere[everywhere["city_code"].str[:2].isin(PROVINCES)].reset_index(drop=True)


@pytest.fixture(scope="module")
def quiet(panel: pd.DataFrame) -> pd.DataFrame:
    """The same cities without any spillover, where dense matrices are identified too."""
    noise = np.random.default_rng(4).normal(size=len(panel))
    return panel.assign(ulgue=DIRECT * panel["ai"] + noise)


def run(study: Study, name: str, panel: pd.DataFrame, cities: pd.DataFrame | None) -> ExhibitResult:
    return run_exhibit(study, name, panel, is_sample=True, cities=cities)


def placed(panel: pd.DataFrame, cities: pd.DataFrame) -> pd.DataFrame:
    """Places of the panel's cities by code."""
    return cities.set_index("city_code").loc[sorted(panel["city_code"].unique()), ["longitude", "latitude"]]


def contiguity(panel: pd.DataFrame) -> spatial.Weights:
    return spatial.contiguity(spatial.prefecture_polygons(sorted(panel["city_code"].unique())))


def test_every_printed_figure_of_tables_9_to_11_has_an_estimate_under_its_key(study, quiet, cities) -> None:
    printed = published(study.name).table
    for name in ("table_9", "table_10", "table_11"):
        own = printed.loc[printed["exhibit"] == name, ["model", "term"]]
        found = run(study, name, quiet, cities).estimates
        assert set(map(tuple, own.to_numpy())) <= set(map(tuple, found[["model", "term"]].to_numpy()))
        assert len(own) == {"table_9": 54, "table_10": 7, "table_11": 3}[name]


def test_table_9_is_morans_i_and_gearys_c_of_each_year_with_all_three_p_values(study, panel, cities) -> None:
    weights = spatial.inverse_distance(placed(panel, cities))
    direct = spatial.moran(panel, "ulgue", weights, **KEYS).table.set_index("year").loc[2019]
    rows = run(study, "table_9", panel, cities).estimates.query("model == '2019'").set_index("term")["estimate"]
    assert rows["distance"] == direct["i"]
    assert rows["distance p"] == direct["p_normality"] == rows["distance p, normality"]
    assert rows["distance p, randomisation"] == direct["p_randomisation"]
    assert rows["distance p, permutation"] == direct["p_permutation"]
    beside = spatial.geary(panel, "ulgue", weights, permutations=0, **KEYS).table.set_index("year").loc[2019, "c"]
    assert rows["distance Geary's C"] == beside


def test_the_printed_p_values_under_contiguity_are_impossible_for_queen_contiguity(study, everywhere, cities) -> None:
    weights = contiguity(everywhere)
    deviation = np.sqrt(
        spatial.moran(everywhere, "ulgue", weights, permutations=0, **KEYS).table["variance_normality"].iloc[0]
    )
    assert deviation == pytest.approx(0.040, abs=0.0005)
    assert "standard deviation of 0.040" in study.exhibit("table_9").note.en
    printed = published(study.name).table.query("exhibit == 'table_9'").set_index(["model", "term"])["estimate"]
    z = (printed["2015", "contiguity"] + 1 / 285) / deviation
    assert printed["2015", "contiguity p"] == 0.0
    assert z < 0.5


def test_a_column_of_table_10_is_the_spatial_model_called_with_the_columns_choices(study, quiet, cities) -> None:
    result = run(study, "table_10", quiet, cities)
    x = ["ai", *study.controls]
    direct = spatial.panel(quiet, "ulgue", x, contiguity(quiet), model="sdm", **KEYS)
    rows = result.estimates[result.estimates["model"] == "contiguity, sdm"].set_index("term")
    for ours, theirs in (("ai", "ai"), ("w ai", "W:ai"), ("rho", "rho"), ("w op", "W:op")):
        assert rows.loc[ours, "estimate"] == direct.table.loc[theirs, "estimate"]
        assert rows.loc[ours, "se"] == direct.table.loc[theirs, "se"]
    assert rows.loc["r2_within", "estimate"] == direct.r2_within
    assert (rows["n"] == len(quiet)).all()
    assert (rows["r2"] == direct.r2).all()
    assert result.models["contiguity, sdm"].bias_correction == "transformation"
    assert result.models["distance, sar"].model == "sar"


def test_a_spatial_durbin_world_is_recovered_and_chosen(study, everywhere, cities) -> None:
    rows = run(study, "table_10", everywhere, cities).estimates.query("model == 'contiguity, sdm'").set_index("term")
    for term, truth in (("rho", RHO), ("ai", DIRECT), ("w ai", LAGGED)):
        assert abs(rows.loc[term, "estimate"] - truth) < 3 * rows.loc[term, "se"]
    chosen = run(study, "table_10_choice", everywhere, cities).models["contiguity"]
    assert chosen.model == "sdm"
    assert chosen.recommendation.startswith("SDM")


def test_the_bands_of_distance_sum_to_the_indirect_effect_and_both_errors_are_given(study, panel, cities) -> None:
    estimates = run(study, "table_11", panel, cities).estimates.query("status == 'ok'")
    assert "contiguity, sdm" in set(estimates["model"])
    for _, rows in estimates.groupby("model"):
        value = rows.set_index("term")["estimate"]
        bands = value[[term for term in value.index if term.endswith(" km")]]
        assert bands.sum() == pytest.approx(value["indirect"], rel=1e-9)
        assert value["direct"] + value["indirect"] == pytest.approx(value["total"], rel=1e-9)
        error = rows.set_index("term")["se"]
        assert error["total, simulated"] == pytest.approx(error["total"], rel=0.4)
        assert error["total, simulated"] != error["total"]


def test_a_rho_that_the_data_do_not_bound_is_not_computed_and_says_so(study, panel, cities) -> None:
    # Six provinces among which the outcome spreads by borders: a dense matrix cannot tell rho from one.
    estimates = run(study, "table_11", panel, cities).estimates
    dense = estimates[estimates["model"].isin(["distance, sar", "nested, sar"])]
    assert set(dense["status"]) == {"not computed"}
    assert dense["reason"].str.contains("rises up to the border").all()


def test_a_city_with_a_gap_is_left_out_and_the_weights_are_those_among_the_others(study, panel, cities) -> None:
    gone = panel["city_code"].iloc[0]
    gap = panel.assign(op=panel["op"].where((panel["city_code"] != gone) | (panel["year"] != 2023)))
    rest = panel[panel["city_code"] != gone]
    result = run(study, "table_10", gap, cities)
    rows = result.estimates.query("model == 'contiguity, sar' and term == 'rho'").iloc[0]
    direct = spatial.panel(rest, "ulgue", ["ai", *study.controls], contiguity(rest), **KEYS)
    assert rows["estimate"] == direct.rho
    assert rows["n"] == len(rest)
    total = panel["city_code"].nunique()
    assert f"1 of {total} cities left out" in result.models["contiguity, sar"].notes[0]
    # Moran's I needs the outcome only, so there the city stays.
    assert set(run(study, "table_9", gap, cities).estimates["n"]) == {float(total)}


def test_a_year_without_any_value_is_left_out_rather_than_every_city(study, panel, cities) -> None:
    gap = panel.assign(op=panel["op"].where(panel["year"] != 2023))
    result = run(study, "table_10", gap, cities)
    assert set(result.estimates["n"].dropna()) == {len(panel) * 8 / 9}
    assert "op in 2023" in result.models["contiguity, sdm"].notes[0]


def test_when_no_city_is_complete_the_reason_names_the_column_to_blame(study, panel, cities) -> None:
    holes = panel.assign(edu=panel["edu"].where((panel["year"] + panel.groupby("city_code").ngroup()) % 2 == 0))
    estimates = run(study, "table_10", holes, cities).estimates
    assert set(estimates["status"]) == {"not computed"}
    assert "most cities miss 'edu'" in estimates["reason"].iloc[0]


@pytest.mark.parametrize("name", ["table_9", "table_9_clusters", "table_10", "table_10_choice", "table_11"])
def test_without_the_outcome_nothing_is_computed_and_the_reason_is_its_source(study, panel, cities, name) -> None:
    estimates = run(study, name, panel.assign(ulgue=np.nan), cities).estimates
    assert set(estimates["status"]) == {"not computed"}
    assert estimates["reason"].str.startswith("'ulgue' is scored from").all()


def test_without_places_a_spatial_exhibit_is_not_computed(study, panel) -> None:
    estimates = run(study, "table_11_weights", panel, None).estimates
    assert set(estimates["status"]) == {"not computed"}
    assert "longitude" in estimates["reason"].iloc[0]


def test_results_do_not_depend_on_row_order_and_leave_the_panel_alone(study, panel, cities) -> None:
    before = panel.copy()
    shuffled = panel.sample(frac=1, random_state=1)
    for name in ("table_9", "table_9_clusters", "table_10", "table_11", "table_11_weights"):
        left, right = (run(study, name, rows, cities).estimates for rows in (panel, shuffled))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    pd.testing.assert_frame_equal(panel, before)


def test_the_size_in_the_nested_matrix_is_the_level_of_a_logged_column_before_the_policy(study, panel, cities) -> None:
    frame = panel.merge(cities[["city_code", "longitude", "latitude"]], on="city_code")
    made = build(study.weights["nested"], frame)
    early = frame[frame["year"].between(2015, 2018)]
    level = np.exp(early["eco"]).groupby(early["city_code"]).mean()
    direct = spatial.economic_nested(placed(panel, cities), level)
    np.testing.assert_allclose(made.matrix.toarray(), direct.matrix.toarray(), rtol=1e-12)
    late = frame.assign(eco=frame["eco"].where(frame["year"] < 2019, 99.0))
    np.testing.assert_array_equal(build(study.weights["nested"], late).matrix.toarray(), made.matrix.toarray())


def test_clusters_count_every_city_once(study, panel, cities) -> None:
    result = run(study, "table_9_clusters", panel, cities)
    assert set(result.estimates.groupby("model")["estimate"].sum()) == {float(panel["city_code"].nunique())}
    assert result.models["ulgue, contiguity"].year == 2023


def test_the_weights_table_counts_neighbours_and_names_the_islands(study, everywhere, cities) -> None:
    result = run(study, "table_11_weights", everywhere, cities)
    rows = result.estimates.set_index(["model", "term"])["estimate"]
    assert rows["contiguity", "cities"] == 286
    assert rows["distance", "share of pairs linked"] == 1
    assert rows["contiguity", "cities linked with the nearest"] == 6
    assert "Zhoushan (Ningbo)" in result.models["contiguity"].notes[0]
    neighbours = result.models["contiguity"].neighbours.set_index("city_code")
    assert neighbours.loc["330900", "neighbours"] == "Ningbo"
    assert neighbours["count"].sum() == rows["contiguity", "links"]


WEIGHTS = "  contiguity: {kind: contiguity, islands: nearest, label: {en: Contiguity (queen), zh: 邻接矩阵}}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weights: [distance, nested, contiguity]", "weights: [distanse]", "'distanse' is not one of"),
        (WEIGHTS, "  contiguity: {kind: contiguity, power: 2}", "'power' is not a key"),
        (WEIGHTS, "  contiguity: {kind: queen}", "'queen' is not a kind of spatial weights"),
        ("    years: [2015, 2018]\n", "", "the key 'years' is missing"),
        ("    years: [2015, 2018]\n", "    years: [2010, 2018]\n", "the panel holds the years 2015 to 2023"),
        (
            '{label: "nested, sar", weights: nested, ',
            '{label: "nested, sar", ',
            "a spatial_panel column needs its weights",
        ),
        ("outcome: ulgue, weights: nested}", "outcome: ulgue, weights: [nested, distance]}", "needs one matrix"),
        ("options: {model: sdm}", "options: {model: durbin}", "'durbin' is not a choice here"),
    ],
)
def test_a_mistake_in_the_yaml_is_named_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    source = catalogue()["ai_pilot_zones"]
    text = source.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "published").mkdir()
    printed = (source.parent / "published" / source.name).read_text(encoding="utf-8")
    (tmp_path / "published" / source.name).write_text(printed, encoding="utf-8")
    (tmp_path / source.name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d+") as caught:
        load(tmp_path / source.name)
    assert words in str(caught.value)


def test_what_a_city_receives_is_what_the_effects_pass_on_from_the_pilots_among_the_others(
    study, panel, cities
) -> None:
    result = run(study, "table_11_spillovers", panel, cities)
    fitted = result.models["contiguity, sdm"]
    table = fitted.table.set_index("city_code")
    weights = spatial.contiguity(spatial.prefecture_polygons(list(table.index)))
    estimate = fitted.estimate.table["estimate"]
    dense = weights.matrix.toarray()
    inside = estimate["ai"] * np.eye(len(table)) + estimate["W:ai"] * dense
    effects = np.linalg.inv(np.eye(len(table)) - estimate["rho"] * dense) @ inside
    expected = (effects - np.diag(np.diag(effects))) @ table["treated"].to_numpy()
    np.testing.assert_allclose(table["received"], expected, atol=1e-10)
    last = panel[panel["year"] == 2023].set_index("city_code")["ai"]
    assert (table["treated"] == last.loc[table.index]).all()
    terms = result.estimates.set_index("term")["estimate"]
    assert terms["direct effect"] == pytest.approx(np.diag(effects).mean())
    others = table.loc[table["treated"] == 0, "received"]
    assert terms["received by cities without the policy, largest"] == pytest.approx(others.max())
    assert terms["of them with a tenth of the direct effect or more"] == (others >= 0.1 * terms["direct effect"]).sum()


def test_nothing_is_received_where_nobody_is_a_pilot(study, panel, cities) -> None:
    fitted = run(study, "table_11_spillovers", panel, cities).models["contiguity, sdm"].estimate
    nobody = pd.Series(0.0, index=fitted.weights.labels)
    assert (fitted.received(nobody) == 0).all()
    with pytest.raises(ValueError, match="no value for"):
        fitted.received(nobody.iloc[1:])
    with pytest.raises(ValueError, match="'gdp' is no regressor"):
        fitted.received(nobody, "gdp")

"""The surface of specifications: its list, its cells against runs one by one, and its test over all of them."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.did import imputation, two_way
from analysis.indices import interpolate, winsorize
from analysis.reporting import tables
from analysis.reporting.attachments import attachments
from analysis.reporting.figures import describe, draw
from analysis.reporting.language import Chinese, study_labels
from analysis.studies import spec
from analysis.studies.kinds.surface import Written, _shades
from analysis.studies.published import published
from analysis.studies.records import Exhibit, Label
from analysis.studies.run import run_exhibit
from analysis.studies.surface.data import Data
from analysis.studies.surface.plan import COLUMNS, DIMENSIONS, TWO_WAY, sha256, specifications
from analysis.studies.surface.result import joint_test

SOME = 200


def surface_of(written: Written, study, **changes):
    exhibit = written.exhibit(Exhibit("figure_9", "surface", Label("All", "全部"), None, None, is_drawn=True), study)
    return replace(study, exhibits=(exhibit,), **changes)


@pytest.fixture(scope="module")
def study():
    """The low-carbon study on few cities and years, one outcome, three controls."""
    whole = spec.load(spec.catalogue()["low_carbon_cities"])
    few = tuple(CITIES.loc[CITIES["panel_286"].eq(1), "city_code"].iloc[::6])
    written = Written(
        outcomes=("co2_per_gdp",),
        draws=19,
        estimators=("imputation",),
        scales=("log1p",),
        measures={"co2_per_gdp": ("co2_per_gdp_edgar",)},
    )
    base = replace(whole, city_codes=few, years=(2009, 2015), controls=("secondary", "fin"))
    return surface_of(written, base)


@pytest.fixture(scope="module")
def panel(study):
    rng = np.random.default_rng(1)
    panel = make_panel(study)
    outcomes = ["co2_per_gdp", "co2_per_gdp_edgar"]
    panel[outcomes] = np.exp(panel[outcomes])
    panel["borders_changed"] = panel["city_code"].isin(list(study.city_codes[::9]))
    gaps = rng.random(len(panel)) < 0.1
    panel["fin__imputed"] = gaps & panel["year"].between(2010, 2014)
    return panel[rng.random(len(panel)) < 0.97].reset_index(drop=True)


@pytest.fixture(scope="module")
def result(study, panel):
    return run_exhibit(study, "figure_9", panel, is_sample=True, cities=CITIES)


@pytest.fixture(scope="module")
def surface(result):
    return result.models["co2_per_gdp"]


def test_the_list_follows_from_the_studys_words_alone_and_its_hash_from_the_list(study, surface) -> None:
    listed = specifications(study.exhibits[0].plan)
    assert sha256(listed) == surface.sha256
    pd.testing.assert_frame_equal(listed, surface.table[list(COLUMNS)])
    assert not listed.duplicated(list(COLUMNS[1:])).any()
    assert sha256(listed.iloc[1:]) != surface.sha256


@pytest.mark.parametrize(("name", "least"), [("innovative_clusters", 10_000), ("ai_pilot_zones", 10_000)])
def test_the_large_studies_have_at_least_ten_thousand_specifications(name: str, least: int) -> None:
    own = spec.load(spec.catalogue()[name])
    (exhibit,) = [exhibit for exhibit in own.exhibits if exhibit.kind == "surface"]
    assert len(specifications(exhibit.plan)) >= least


def test_random_cells_equal_regressions_run_one_by_one(study, panel, surface) -> None:
    """Each specification is made here anew, from its words, and given to `did.two_way`."""
    rows = surface.table[surface.table["status"].eq("ok") & surface.table["estimator"].eq(TWO_WAY)]
    assert len(rows) > 1000
    slow = rows["effects"].eq("own trends")  # a column for each unit
    drawn = [rows[slow].sample(SOME // 10, random_state=0), rows[~slow].sample(SOME - SOME // 10, random_state=0)]
    for _, row in pd.concat(drawn).iterrows():
        own = one_by_one(study, panel, row)
        at = own.table.index.get_loc(study.treatment)
        estimate, se, p = own.table[["estimate", "se", "p"]].to_numpy()[at]
        assert abs(row["estimate"] - estimate) <= 1e-10 * max(abs(estimate), se), row
        assert abs(row["se"] - se) <= 1e-10 * se, row
        assert abs(row["p"] - p) <= 1e-10, row
        assert row["n"] == own.n, row


def one_by_one(study, panel, row):
    frame = panel.sort_values(["city_code", "year"]).reset_index(drop=True)
    frame = frame.merge(CITIES[["city_code", "province_code", "level", "provincial_capital"]], on="city_code")
    controls = [name for name in row["controls"].split(" + ") if name != "none"]
    every = list(study.controls)
    column = "co2_per_gdp" if row["measure"] == "stated" else "co2_per_gdp_edgar"
    if row["filling"] in ("measured", "gaps up to 1"):
        filled = frame["fin__imputed"].to_numpy()
        follows = frame["city_code"].eq(frame["city_code"].shift()).to_numpy()
        lone = filled & ~(np.roll(filled, 1) & follows) & ~np.roll(filled & follows, -1)
        frame.loc[filled & (~lone if row["filling"] != "measured" else True), "fin"] = np.nan
    if row["filling"] == "neighbour_mean":
        measured = frame.assign(fin=frame["fin"].where(~frame["fin__imputed"]))
        frame["fin"] = interpolate(measured, "fin", unit="city_code", time="year", method="neighbour_mean")["fin"]
    if row["winsorising"] not in ("stated", "none"):
        low, high = (float(word.rstrip("%")) for word in row["winsorising"].split(" and "))
        frame = winsorize(frame, [column, *every], low=low, high=high)
    frame["y"] = np.log1p(frame[column]) if row["scale"] == "log1p" else frame[column]
    for name in every:
        by = frame.groupby("city_code")[name]
        if row["timing"] == "year before":
            follows = frame.groupby("city_code")["year"].diff().eq(1)
            frame[name] = by.shift().where(follows)
        elif row["timing"] == "first year x trend":
            frame[f"{name}_"] = by.transform("first") * (frame["year"] - 2009)
    moved = {name: f"{name}_" if row["timing"] == "first year x trend" else name for name in every}
    shift = {"1 year later": 1, "1 year earlier": -1}.get(row["dating"], 0)
    first = frame["adoption"] + shift
    if row["dating"] == "other year":
        first = frame["city_code"].map({c: y for c, (y, _) in study.doubts.items()}).where(first.notna()).fillna(first)
    if row["dating"] == "checked entries":
        first = first.where(~frame["city_code"].isin([c for c, (_, doubtful) in study.doubts.items() if doubtful]))
    frame[study.treatment] = (frame["year"] >= first).astype(float)
    frame = frame[
        {
            "stated": lambda f: f["year"] > 0,
            "balanced": lambda f: f["year"] > 0,
            "municipalities": lambda f: f["level"].ne("municipality"),
            "capitals": lambda f: f["level"].ne("municipality") & f["provincial_capital"].ne(1),
            "sub provincial": lambda f: ~f["level"].isin(["municipality", "sub-provincial"]),
            "changed borders": lambda f: ~f["borders_changed"],
            "first years": lambda f: f["year"] >= 2010,
            "last years": lambda f: f["year"] <= 2014,
        }[row["sample"]](frame)
    ]
    frame = frame[frame[["y", *every]].notna().all(axis=1)].reset_index(drop=True)
    if row["sample"] == "balanced":
        years = frame.groupby("city_code")["year"].transform("count")
        frame = frame[years.eq(frame["year"].nunique())].reset_index(drop=True)
    effects = ["unit", "time"]
    frame["province_year"] = frame["province_code"] * 10_000 + frame["year"]
    used = [moved[name] for name in controls]
    if row["effects"].endswith("x time"):
        effects = ["unit", "province_year"]
    elif row["effects"] == "own trends":
        trends = pd.get_dummies(frame["city_code"], dtype=float).mul(frame["year"] - 2011, axis=0)
        frame = pd.concat([frame, trends], axis=1)
        used += list(trends.columns)
    keys = {"unit": "city_code", "time": "year", "engine": "own"}
    return two_way(frame, "y", study.treatment, used, **keys, fixed_effects=effects, cluster=row["cluster"])


def test_the_studys_own_specification_is_its_baseline(study, panel, surface) -> None:
    own = two_way(panel, "co2_per_gdp", study.treatment, study.controls, unit="city_code", time="year")
    estimate, se = own.table.loc[study.treatment, ["estimate", "se"]]
    assert [surface.own["estimate"], surface.own["se"]] == pytest.approx([estimate, se], rel=1e-10)
    assert surface.own["specification"] == 1


def test_an_estimator_of_the_surface_is_the_studys_own_method(study, panel, surface) -> None:
    word = "imputation"
    row = surface.table[surface.table["estimator"].eq(word) & surface.table["sample"].eq("municipalities")].iloc[0]
    frame = panel[~panel["city_code"].isin(CITIES.loc[CITIES["level"].eq("municipality"), "city_code"])]
    frame = frame[frame[["co2_per_gdp", *study.controls]].notna().all(axis=1)]
    found = imputation(frame, "co2_per_gdp", "adoption", study.controls, unit="city_code", time="year", leads=())
    assert [row["estimate"], row["se"]] == pytest.approx([found.att, found.se], rel=1e-9)


def test_choices_that_cannot_be_made_say_why(study, panel) -> None:
    own = run_exhibit(study, "figure_9", panel.drop(columns="borders_changed"), is_sample=True, cities=CITIES)
    table = own.models["co2_per_gdp"].table
    refused = table[table["status"].eq("not computed")]
    assert set(refused["sample"]) == {"changed borders"}
    assert refused["reason"].str.contains("no 'borders_changed'").all()


def test_a_study_that_fills_nothing_may_have_its_controls_filled_and_its_outcome_not(study, panel) -> None:
    bare = tuple(replace(variable, interpolate="none") for variable in study.variables)
    plan = surface_of(Written(longest_gap=(1,)), replace(study, variables=bare)).exhibits[0].plan
    options = {option.key: option for option in plan.options["filling"]}
    assert list(options) == ["stated", "linear", "gaps up to 1"]
    held = panel.sort_values(["city_code", "year"]).reset_index(drop=True).drop(columns="fin__imputed")
    held["year"] = held.groupby("city_code").cumcount() + 2009
    two = held["year"].isin([2011, 2012]) & held.index.isin(held.index[held["city_code"].eq(held["city_code"].iloc[0])])
    one = held["year"].eq(2011) & held["city_code"].eq(held["city_code"].iloc[-1])
    gaps = held.assign(**{name: held[name].where(~(one | two)) for name in ("fin", "co2_per_gdp")})
    data, stated = Data(replace(study, variables=bare), gaps), plan.options["winsorising"][0]
    found = {key: data.column("fin", option, stated).isna() for key, option in options.items()}
    assert found["stated"].sum() == 3 and not found["linear"].any() and list(found["gaps up to 1"]) == list(two)
    filled = data.column("fin", options["linear"], stated)[one].item()
    at = int(np.flatnonzero(one)[0])
    assert filled == pytest.approx(held["fin"].iloc[[at - 1, at + 1]].mean())
    assert data.column("co2_per_gdp", options["linear"], stated).isna().sum() == 3


def test_an_effect_that_is_there_is_found_whatever_is_chosen(surface) -> None:
    assert surface.shares()["positive"] > 0.8
    assert surface.joint.sign == 1
    assert surface.joint.p == pytest.approx(1 / 20)
    assert surface.variance()["share"].between(0, 1).all()
    assert set(surface.variance()["choice"]) <= set(DIMENSIONS)


def test_single_departures_differ_from_the_baseline_in_one_choice_and_those_that_turn_it_come_first(surface) -> None:
    moving = surface.turning(1000)
    assert len(moving) > 20
    assert moving["turns"].is_monotonic_decreasing
    words = surface.plan.own
    for row in moving.to_dict("records"):
        assert row["option"] != words[row["choice"]]
    assert len(surface.turning()) == 10


def test_the_draws_are_those_of_the_seed_and_no_matter_of_the_order_of_rows(study, panel, surface) -> None:
    again = run_exhibit(study, "figure_9", panel.iloc[::-1], is_sample=True, cities=CITIES).models["co2_per_gdp"]
    assert again.joint == surface.joint
    pd.testing.assert_frame_equal(again.table, surface.table)


def test_the_joint_test_counts_the_true_treatment_among_the_draws() -> None:
    standard = np.array([[0.3, 0.1, -0.3, 0.2], [0.5, 0.1, -0.5, 0.2]])
    test = joint_test(standard, np.array([2, 0, 0, 1]), np.array([0, 0, 1, 0]), np.array([2, 2, 2, 2]))
    assert (test.median, test.median_p) == (pytest.approx(0.4), 0.5)  # -0.4 is as far from zero
    assert (test.share, test.share_p, test.sign) == (1.0, 0.25, 1)
    assert test.p == 0.25


def test_the_table_and_the_picture_say_what_was_done_and_that_the_data_are_a_sample(result, study, tmp_path) -> None:
    text = tables.markdown(tables.exhibit_table(result, study, printed=published("none", tmp_path / "none")))
    assert "SAMPLE DATA" in text
    assert result.models["co2_per_gdp"].sha256 in text
    assert "19 draws" in text
    assert set(draw(result, study)) == {"svg", "png", "pdf"}
    assert "specifications" in describe(result)
    ((name, rows),) = attachments(result).values()
    assert name == "figure_9_co2_per_gdp_surface.parquet"
    assert len(rows) == len(result.models["co2_per_gdp"].table)


def test_every_word_of_the_table_has_its_chinese(result, study, tmp_path) -> None:
    table = tables.exhibit_table(result, study, printed=published("none", tmp_path / "none"))
    chinese = Chinese(study_labels(study))
    lines = [line for block in table.panels for line in block.lines]
    texts = [*table.notes, *(block.title or "" for block in table.panels), *(line.label for line in lines)]
    left = [text for text in texts if re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", chinese(text))]
    assert not left
    surface = result.models["co2_per_gdp"]
    labels, shades = _shades(surface, surface.computed)
    assert len(labels) == len(shades) > 20
    assert not [label for label in labels if not chinese.knows(label) and label != "ln(1 + x)"]

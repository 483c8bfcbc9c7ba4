"""What a study YAML may say, what it becomes, and how its faults are named."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.studies.estimation_sample import model_frame
from analysis.studies.published import published
from analysis.studies.records import Known, Subsample
from analysis.studies.spec import catalogue, known, load, studies_table, variables_table

NAMES = Known(
    columns={"gdp_per_capita_yuan": ("yuan", ""), "trade_share": ("ratio", "")},
    city_columns=("city_code", "region", "panel_286"),
    flags=("panel_286",),
    cities=frozenset({"110000", "310000"}),
    policies={"pilots": frozenset({"whole city", "province"})},
    policy_numbers={"pilots": frozenset({"dose"})},
)
STUDY = """\
study: trial
title: {en: A trial, zh: 试验}
policy: pilots
policy_scope: [whole city]
treatment: pilot
sample: {cities: panel_286, years: [2006, 2019]}
interpolate: linear
winsorize: [0.01, 0.99]
variables:
  - {name: ln_pgdp, from: gdp_per_capita_yuan, log: true, role: outcome, interpolate: none, winsorize: null}
  - {name: open, from: trade_share, role: control, label: {en: Openness, zh: 对外开放}}
outcomes: [ln_pgdp]
controls: [open]
cluster: unit
fixed_effects: [unit, time]
exhibits:
  table_1:
    kind: regression
    columns:
      - {label: "(1)", outcome: ln_pgdp, drop: all controls}
      - {label: "(2)", outcome: ln_pgdp, sample: {exclude_cities: [110000], where: {region: east}}}
  figure_1: {kind: event_study, outcomes: [ln_pgdp], base: 0, beside: [-1], leads: 3, lags: 2}
"""
FROM = "from: trade_share"
CITIES = "cities: panel_286"


@pytest.fixture
def write(tmp_path: Path):
    def _write(old: str = "", new: str = "", text: str = STUDY) -> Path:
        assert old in text
        path = tmp_path / "trial.yaml"
        path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
        return path

    return _write


#: Tables of spatial models, which have a home of their own.
SPATIAL = {"table_9", "table_10", "table_11"}


def test_every_printed_number_that_is_not_spatial_has_an_exhibit_and_a_column_of_its_own() -> None:
    studies = {name: load(path) for name, path in catalogue().items()}
    assert {"innovative_clusters", "ai_pilot_zones", "low_carbon_cities"} <= set(studies)
    for name, study in studies.items():
        exhibits = {exhibit.published: exhibit for exhibit in study.exhibits if exhibit.published}
        printed = published(name)
        expected = set(printed.notes) - (SPATIAL if name == "ai_pilot_zones" else set())
        assert expected <= set(exhibits), name
        for exhibit, rows in printed.table[printed.table["exhibit"].isin(expected)].groupby("exhibit"):
            own = exhibits[exhibit]
            assert own.name == exhibit
            if own.kind != "bacon":  # its rows are comparisons, which the list of pilots decides
                labels = {*own.variables, *(model.label for model in own.models)}
                assert set(rows["model"]) <= labels, (name, exhibit)


def test_columns_of_a_table_differ_from_the_baseline_by_what_they_state(write) -> None:
    first, second = load(write(), NAMES).exhibit("table_1").models
    assert (first.controls, second.controls) == ((), ("open",))
    assert second.sample.exclude_cities == ("110000",)
    assert second.sample.where == {"region": ("east",)}
    assert (first.fixed_effects, first.cluster, first.method) == (("unit", "time"), ("unit",), "two_way")


def test_an_event_study_is_one_series_for_each_outcome_and_base(write) -> None:
    models = load(write(), NAMES).exhibit("figure_1").models
    assert [(model.label, model.options["base"]) for model in models] == [
        ("ln_pgdp, base 0", 0),
        ("ln_pgdp, base -1", -1),
    ]


def test_the_warehouse_gets_one_row_a_variable_with_defaults_filled_in(write) -> None:
    study = load(write(), NAMES)
    table = variables_table([study]).set_index("name")
    assert list(table["position"]) == [1, 2]
    assert list(table["interpolate"]) == ["none", "linear"]
    assert list(table["unit"]) == ["ln yuan", "ratio"]
    assert pd.isna(table.loc["ln_pgdp", "winsorize_low"])
    assert table.loc["open", "winsorize_high"] == 0.99
    assert table.loc["open", "label_zh"] == "对外开放"
    assert studies_table([study]).iloc[0].replace({float("nan"): None}).to_dict() == {
        "study": "trial",
        "policy": "pilots",
        "treatment": "pilot",
        "cities": "panel_286",
        "first_year": 2006,
        "last_year": 2019,
        "policy_scope": "whole city",
        "city_codes": None,
        "last_month": 12,
        "intensity": None,
    }


def test_gaps_that_may_be_filled_are_limited_for_all_variables_or_for_one(write) -> None:
    assert load(write(), NAMES).variables[1].max_gap is None
    both = load(write("interpolate: linear", "interpolate: linear\nmax_gap: 3"), NAMES)
    assert [variable.max_gap for variable in both.variables] == [3, 3]
    assert list(variables_table([both])["max_gap"]) == [3, 3]
    text = STUDY.replace("interpolate: linear", "interpolate: linear\nmax_gap: 3").replace(
        "role: control,", "role: control, max_gap: null,"
    )
    assert [variable.max_gap for variable in load(write(text=text), NAMES).variables] == [3, None]


def test_a_variable_is_made_by_a_formula_and_by_steps_that_the_warehouse_is_told_of(write) -> None:
    new = "formula: trade_share / gdp_per_capita_yuan, log1p: true, difference: true, lag: 2, standardise: true"
    study = load(write(FROM, new), NAMES)
    made = study.variables[1]
    assert made.uses == ("trade_share", "gdp_per_capita_yuan")
    assert made.written == "difference of ln(1 + trade_share / gdp_per_capita_yuan), 2 years before, standardised"
    assert made.unit == "standard deviations"
    row = variables_table([study]).set_index("name").loc["open"]
    assert row[["scale", "change", "lag", "standardise"]].tolist() == ["log1p", "difference", 2, True]
    assert row["formula_sql"] == '"trade_share" / NULLIF("gdp_per_capita_yuan", 0)'
    index = load(write(FROM, "formula: 'entropy_index(trade_share, gdp_per_capita_yuan)'"), NAMES)
    row = variables_table([index]).set_index("name").loc["open"]
    assert pd.isna(row["formula_sql"])
    assert row["uses"] == "trade_share,gdp_per_capita_yuan"


def test_a_sample_is_a_list_of_cities_all_of_them_or_those_that_are_somewhere(write) -> None:
    roster = {
        "110000": {"region": "east", "panel_286": "1"},
        "310000": {"region": "east", "panel_286": "0"},
        "500000": {"region": "west", "panel_286": "1"},
    }
    names = replace(NAMES, roster=roster, cities=frozenset(roster))

    def codes(sample: str) -> tuple[str, ...]:
        study = load(write(CITIES, sample), names)
        assert study.cities == ("panel_286" if sample == CITIES else "")
        return study.city_codes

    assert codes(CITIES) == ()
    assert codes("cities: all") == ("110000", "310000", "500000")
    assert codes("cities: [500000, 110000]") == ("110000", "500000")
    assert codes("where: {region: east}") == ("110000", "310000")
    assert codes(f"{CITIES}, where: {{region: [east, north]}}") == ("110000",)
    study = load(write(CITIES, "where: {region: east}"), names)
    assert studies_table([study])["city_codes"].tolist() == ["110000,310000"]
    assert study.takes(pd.DataFrame({"city_code": ["110000", "500000"]})).tolist() == [True, False]


def test_a_column_may_leave_out_years_or_cities_whose_borders_moved(write) -> None:
    text = STUDY.replace("where: {region: east}", "where: {borders_changed: false, moved: 0}")
    groups = "groups:\n  - {name: moved, ever: borders_changed}\n"
    study = load(write(text=text.replace("outcomes: [ln_pgdp]\nc", f"{groups}outcomes: [ln_pgdp]\nc")), NAMES)
    assert study.exhibit("table_1").models[1].sample.where == {"borders_changed": (False,), "moved": (0,)}
    rows = [("110000", 2010, False), ("110000", 2011, True), ("310000", 2010, False), ("310000", 2011, False)]
    panel = pd.DataFrame(rows, columns=["city_code", "year", "borders_changed"])
    panel = panel.assign(adoption=float("nan"), ln_pgdp=1.0, open=1.0, pilot=0)
    model = replace(study.exhibit("table_1").models[1], sample=Subsample(where={"borders_changed": (False,)}))
    assert len(model_frame(study, model, panel, None)) == 3
    model = replace(model, sample=Subsample(where={"moved": (0,)}))
    assert model_frame(study, model, panel, None)["city_code"].tolist() == ["310000", "310000"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "policy: pilots",
            "policy: pilot",
            "line 3, key 'policy': 'pilot' is not a list in data/policies; .* 'pilots'",
        ),
        ("title:", "titel:", "line 2, key 'titel': 'titel' is not a key that is known here; the nearest is 'title'"),
        ("role: control", "rolle: control", "line 11, key 'variables.2..rolle'.* 'role'"),
        (
            "from: trade_share",
            "from: trade_shares",
            "line 11.*'trade_shares' is not a column of panels.city_year.*'trade_share'",
        ),
        ("role: control", "role: contrl", "line 11.*'contrl' is not a role; the nearest is 'control'"),
        ("controls: [open]", "controls: [opem]", "line 13, key 'controls.1.'.*'opem'.*nearest is 'open'"),
        ("[whole city]", "[hole city]", "line 4.*'hole city' is not a scope.*'whole city'"),
        ("panel_286", "panel_268", "line 6, key 'sample.cities'.*'panel_286'"),
        ("[2006, 2019]", "[2019, 2006]", "line 6, key 'sample.years'.*2019, comes after"),
        ("[2006, 2019]", "[2006]", "line 6, key 'sample.years'.*first and the last year"),
        ("[0.01, 0.99]", "[0.99, 0.01]", "line 8, key 'winsorize'.*below the upper"),
        ("[0.01, 0.99]", "[-1, 2]", "line 8, key 'winsorize.1.'.*from 0 to 1, found -1"),
        ("interpolate: linear", "interpolate: linaer", "line 7.*'linear'"),
        ("interpolate: linear", "interpolate: linear\nmax_gap: 0", "line 8, key 'max_gap'.*from 1 to 200, found 0"),
        ("role: control,", "role: control, max_gap: two,", "line 11, key 'variables.2..max_gap'.*found 'two'"),
        ("where: {region: east}", "where: {borders_changed: 1}", "line 21.*expected true or false, found 1"),
        ("log: true", "log: yes", "line 10, key 'variables.1..log': expected true or false, found 'yes'"),
        ("name: open", "name: year", "line 11.*'year' is the name of something the warehouse makes"),
        ("name: open", "name: ln_pgdp", "line 11.*'ln_pgdp' stands above already"),
        ("name: open", "name: 'x; drop'", "line 11.*must be a lower-case word"),
        ("[110000]", "[110001]", "line 21.*'110001' is not a city.*"),
        ("region: east", "regoin: east", "line 21.*'regoin'.*'region'"),
        ("drop: all controls", "drop: [opne]", "line 20.*'opne' is not a control of the baseline.*'open'"),
        ('label: "(2)"', 'label: "(1)"', "line 21.*stands in this table already"),
        ('{label: "(1)", outcome: ln_pgdp,', '{label: "(1)",', "line 20.*no outcome"),
        (
            "outcome: ln_pgdp, drop",
            "method: two_ways, outcome: ln_pgdp, drop",
            "line 20.*'two_ways' is not a method.*'two_way'",
        ),
        ("kind: regression", "kind: regresion", "line 18.*'regression'"),
        ("base: 0", "base: 7", "line 22, key 'exhibits.figure_1.base'.*outside -3..2"),
        ("leads: 3", "leds: 3", "line 22.*'leds'.*'leads'"),
        (
            "kind: event_study,",
            "kind: event_study, published: figure_1,",
            "line 22.*'figure_1' is not an exhibit of published",
        ),
        ("outcomes: [ln_pgdp]\ncontrols", "outcome: [ln_pgdp]\ncontrols", "line 12.*'outcome'.*'outcomes'"),
        ("cluster: unit\n", "", "line 1: the key 'cluster' is missing"),
        ("policy: pilots", "policy: pilots\npolicy: pilots", "line 4: the key 'policy' stands twice, first in line 3"),
        ("policy: pilots", "policy: !!str pilots", "line 3: the tag .* is not used in studies"),
        ("policy: pilots", "policy: !!python/name:os.system pilots", "line 3: the tag"),
        ("policy: pilots", "policy: &a pilots", "line 3: anchors"),
        ("controls: [open]", "controls: [open", "not valid YAML"),
        ("controls: [open]", "controls: [open, open]", "line 13.*twice"),
        ("study: trial", "study: other", "line 1, key 'study'.*must agree"),
        (f"{FROM}, ", "", "line 11, key 'variables.2.': a variable has one of `from` and `formula`"),
        (FROM, f"{FROM}, formula: trade_share * 2", "line 11.*one of `from` and `formula`"),
        (FROM, "formula: trade_shar * 2", "line 11, key 'variables.2..formula'.*'trade_shar' is not.*'trade_share'"),
        (FROM, "formula: trade_share; drop table x", "line 11, key 'variables.2..formula'.*';'"),
        (FROM, "formula: open * 2", "line 11.*formula of 'open' refers to itself"),
        (FROM, f"{FROM}, log1p: true, asinh: true", "line 11.*at most one of log, log1p, asinh"),
        (FROM, f"{FROM}, log: true, growth: true", "line 11.*growth of a logarithm means nothing"),
        (
            "treatment: pilot",
            "treatment: pilot\nintensity: dos",
            "line 6, key 'intensity': 'dos' is not 'count' or a column .*'dose'",
        ),
        (CITIES, "cities: [110001]", "line 6, key 'sample.cities'.*'110001' is not a city"),
        (CITIES, "cities: al", "line 6, key 'sample.cities'.*nearest is 'all'"),
        (CITIES, "where: {regoin: east}", "line 6, key 'sample.where.regoin'.*'region'"),
        (CITIES + ", ", "", "line 6, key 'sample': say which cities"),
        (FROM, f"{FROM}, lag: -1", "line 11, key 'variables.2..lag'.*from 0 to 50, found -1"),
    ],
)
def test_a_fault_names_file_line_key_and_the_nearest_word(write, old: str, new: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^trial.yaml, .*{expected}"):
        load(write(old, new), NAMES)


def test_a_missing_or_undecodable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*absent\.yaml"):
        load(tmp_path / "absent.yaml", NAMES)
    (tmp_path / "gbk.yaml").write_bytes("title: 试验".encode("gbk"))
    with pytest.raises(ValueError, match=r"gbk\.yaml: this is not UTF-8"):
        load(tmp_path / "gbk.yaml", NAMES)


def test_names_come_from_the_reference_data() -> None:
    names = known()
    assert {"panel_281", "panel_286"} <= set(names.flags)
    assert "region" not in names.flags
    assert "110000" in names.cities


def test_printed_figures_are_keyed_as_the_estimates_are() -> None:
    table = published("innovative_clusters").table.set_index(["exhibit", "model", "term"])
    row = table.loc[("table_4", "(2)", "did")]
    assert (row["estimate"], row["se"], row["stars"], row["n"], row["r2"]) == (0.5315, 0.1526, 3, 4458, 0.6962)
    assert table.loc[("table_3", "did", "mean"), "exact"]
    assert not table.loc[("table_3", "gti1", "mean"), "exact"]
    assert published("no_such_study").table.empty


def test_a_fault_in_the_printed_figures_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text("study: trial\nexhibits:\n  t:\n    models:\n      a: {terms: {b: [1, -2]}}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"trial\.yaml, line 5, key 'exhibits\.t\.models\.a\.terms\.b\[2\]'"):
        published("trial", tmp_path)


def test_reading_a_study_imports_no_estimator_and_no_printer() -> None:
    """`pilotcity check` answers while somebody types."""
    code = (
        "import sys; from analysis.studies.spec import catalogue, load; [load(path) for path in catalogue().values()]"
    )
    heavy = {"scipy", "statsmodels", "linearmodels", "highspy", "matplotlib", "shapely", "duckdb", "dagster"}
    done = subprocess.run([sys.executable, "-c", f"{code}; print(*sys.modules)"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not heavy & {name.partition(".")[0] for name in done.stdout.split()}

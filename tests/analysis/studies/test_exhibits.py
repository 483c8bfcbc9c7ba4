"""What a study may say beyond its baseline: other policies, groups, other panels, and every kind of exhibit."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.studies.records import Known
from analysis.studies.spec import catalogue, load, studies_table, study_policies_table, variables_table

NAMES = Known(
    columns={"gdp_per_capita_yuan": ("yuan", ""), "trade_share": ("ratio", "")},
    city_columns=("city_code", "region", "level"),
    flags=("level",),
    cities=frozenset({"110000"}),
    policies={"pilots": frozenset({"whole city"}), "others": frozenset({"whole city", "county"})},
)
STUDY = """\
study: trial
title: A trial
policy: pilots
treatment: pilot
sample: {cities: level, years: [2006, 2019]}
variables:
  - {name: y, from: gdp_per_capita_yuan, role: outcome}
  - {name: open, from: trade_share, role: control}
outcomes: [y]
controls: [open]
cluster: unit
fixed_effects: [unit, time]
other_panels: {trial_long: [2001, 2019]}
policies:
  - {name: other, policy: others, scope: [whole city], label: {en: Another policy, zh: 其他政策}}
  - {name: third, policy: others}
groups:
  - {name: rich, above_mean: y, label: Rich city}
  - {name: large, at_least: {open: 0.5}}
  - {name: touched, ever: other}
  - {name: high, any_of: {level: [municipality, 1], region: east}}
exhibits:
  table_1:
    kind: regression
    show: [pilot, other]
    columns:
      - {label: "(1)", outcome: y, add: [other]}
      - {label: "(2)", outcome: y, anticipation: [1, 2]}
      - {label: "(3)", outcome: y, interaction: {name: pilot_x_rich, with: rich, main_effect: false}}
      - {label: "(4)", outcome: y, panel: trial_long, sample: {where: {high: 1}}}
    compare: {by: region, permutations: 9}
  table_2: {kind: placebo, baseline: {options: {draws: 50}}, columns: [{label: y, outcome: y}]}
  table_3: {kind: balance, columns: [{label: near, options: {matching: nearest, covariates: [open]}}]}
  table_4: {kind: estimators, outcomes: [y], methods: [two_way, synthetic]}
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(old: str = "", new: str = "") -> Path:
        assert old in STUDY
        path = tmp_path / "trial.yaml"
        path.write_text(STUDY.replace(old, new, 1) if old else STUDY, encoding="utf-8")
        return path

    return _write


def test_other_policies_are_columns_and_one_row_each_for_the_warehouse(write) -> None:
    study = load(write(), NAMES)
    assert study.columns == ("y", "open", "other", "third")
    table = study_policies_table([study])
    assert table["position"].dtype == "int64"
    own = table[table["study"] == "trial"].to_dict("records")
    first = {"position": 1, "name": "other", "policy": "others", "label_en": "Another policy", "label_zh": "其他政策"}
    assert own[0] == {"study": "trial", "scopes": "whole city", **first}
    assert own[1]["name"] == "third"
    assert pd.isna(own[1]["scopes"])
    assert study_policies_table([]).empty


def test_a_panel_over_other_years_has_the_same_columns_under_its_own_name(write) -> None:
    study = load(write(), NAMES)
    studies = studies_table([study]).set_index("study")
    assert studies.loc["trial_long", ["first_year", "last_year"]].tolist() == [2001, 2019]
    assert studies.loc["trial", ["first_year", "last_year"]].tolist() == [2006, 2019]
    for table in (variables_table([study]), study_policies_table([study])):
        own, longer = (table[table["study"] == name].drop(columns="study") for name in ("trial", "trial_long"))
        pd.testing.assert_frame_equal(own.reset_index(drop=True), longer.reset_index(drop=True))


def test_groups_state_one_rule_each(write) -> None:
    groups = {group.name: group for group in load(write(), NAMES).groups}
    assert (groups["rich"].rule, groups["rich"].column) == ("above_mean", "y")
    assert (groups["large"].column, groups["large"].threshold) == ("open", 0.5)
    assert (groups["touched"].rule, groups["touched"].column) == ("ever", "other")
    assert groups["high"].attributes == {"level": ("municipality", 1), "region": ("east",)}


def test_a_column_may_add_policies_leads_an_interaction_or_take_another_panel(write) -> None:
    one, two, three, four = load(write(), NAMES).exhibit("table_1").models
    assert one.controls == ("open", "other")
    assert two.treatments == ("pilot", "pilot_lead_1", "pilot_lead_2")
    assert three.treatments == ("pilot_x_rich",)
    assert (four.panel, four.sample.where) == ("trial_long", {"high": (1,)})


def test_a_comparison_is_one_test_an_outcome(write) -> None:
    (test,) = load(write(), NAMES).exhibit("table_1").tests
    assert (test.label, test.method) == ("equal effects, y", "group_difference")
    assert test.options == {"by": "region", "permutations": 9}
    assert test.sample.where == {}


def test_a_kind_brings_its_method_and_a_table_of_estimators_its_rows(write) -> None:
    study = load(write(), NAMES)
    assert study.exhibit("table_2").models[0].options == {"draws": 50}
    assert study.exhibit("table_3").models[0].outcome == ""
    rows = study.exhibit("table_4").models
    assert [(row.label, row.method) for row in rows] == [("y, two_way", "two_way"), ("y, synthetic", "synthetic")]
    assert [study.exhibit(name).is_drawn for name in ("table_1", "table_2", "table_3", "table_4")] == [
        *(False, True, True, False)
    ]


def test_what_models_make_has_labels_to_print(write) -> None:
    study = load(write(), NAMES)
    assert study.label("pilot_lead_2").en == "pilot, 2 years early"
    assert study.label("pilot_x_rich").en == "pilot × Rich city"
    assert study.label("other").zh == "其他政策"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("policy: others, scope", "policy: othrs, scope", "'othrs' is not a list in data/policies.*'others'"),
        ("scope: [whole city]", "scope: [town]", "'town' is not a scope in data/policies/others.csv"),
        ("name: third", "name: open", "'open' stands above already"),
        ("ever: other", "ever: otter", "'otter' is not a variable of this study.*'other'"),
        ("above_mean: y,", "above_mean: y, ever: other,", "exactly one of above_mean, at_least, ever, any_of"),
        ("above_mean: y, ", "", "exactly one of"),
        ("{open: 0.5}", "{open: 0.5, y: 1}", "one column and its threshold"),
        ("name: high", "name: region", "'region' is the name of something"),
        ("trial_long: [2001, 2019]", "long: [2001, 2019]", "must be trial_ and lower-case letters"),
        ("panel: trial_long", "panel: trial_lang", "'trial_lang' is not one of the study's other_panels.*'trial_long'"),
        ("with: rich", "with: reach", "'reach' is not a group of this study.*'rich'"),
        ("name: pilot_x_rich", "name: open", "'open' is a column of the panel"),
        ("by: region", "by: regio", "'regio' is not a group or a column of cities.csv.*'region'"),
        ("anticipation: [1, 2]", "anticipation: [0]", "expected a whole number from 1 to 50"),
        ("covariates: [open]", "covariates: [opne]", "'opne' is not a variable of this study.*'open'"),
        ("matching: nearest", "matching: closest", "'closest' is not a choice here"),
        ("options: {draws: 50}", "options: {drws: 50}", "'drws' is not a key.*'draws'"),
        ("{label: y, outcome: y}", "{label: y}", "no outcome"),
        ("[two_way, synthetic]", "[two_way, synthetik]", "'synthetik' is not an estimator.*'synthetic'"),
    ],
)
def test_a_fault_names_its_line_and_the_nearest_word(write, old: str, new: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^trial.yaml, line [0-9]+.*{expected}"):
        load(write(old, new), NAMES)


def test_the_studies_of_the_package_name_their_long_panel_and_policies() -> None:
    studies = [load(path) for path in catalogue().values()]
    assert "ai_pilot_zones_long" in set(studies_table(studies)["study"])
    assert {"smart_city", "made_in_china_2025"} <= set(study_policies_table(studies)["name"])

"""Which exhibits need what, by the formulas that the dbt models declare."""

from __future__ import annotations

import pytest

from analysis import catalogue
from analysis.lineage import formula
from analysis.lineage.needs import Formulas, needs, said
from analysis.studies import spec


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return catalogue.load().formulas_table().to_dict("records")


@pytest.fixture(scope="module")
def formulas(rows) -> Formulas:
    return Formulas.of(rows)


@pytest.fixture(scope="module")
def needed(formulas) -> dict[str, dict[str, list[str]]]:
    return needs([spec.load(path) for path in spec.catalogue().values()], formulas)


def indicators() -> set[str]:
    return set(catalogue.load().indicators)


def test_every_name_in_a_formula_is_declared_or_an_indicator(rows, formulas):
    for row in rows:
        if row["kind"] == "formula":
            unknown = set(formula.names(row["formula"])) - set(formulas.intermediate) - indicators()
            assert not unknown, row["name"]


def test_a_name_that_formulas_use_means_one_thing(formulas):
    both = {name for name, (kind, _) in formulas.intermediate.items() if kind == "formula"} & indicators()
    assert not both


def test_a_column_is_followed_to_what_files_hold(formulas):
    assert formulas.behind("industry_share") == {"industrial_value_added", "gdp"}
    assert formulas.behind("green_patents_granted") == {"patents"}
    assert formulas.behind("ipp_index") == {"cases", "gdp", "national_gdp"}
    assert {"employees_information", "internet_users"} < formulas.behind("digital_infrastructure")
    assert formulas.behind("capital_stock_10k_yuan") == {"fixed_investment", "gdp", "gdp_real", "gdp_growth"}


def test_exhibits_need_what_their_columns_are_made_of(needed):
    assert "table_4" in needed["patents"]["innovative_clusters"]
    assert "ai_pilot_zones" in needed["soot_industrial"]
    assert needed["cases"].keys() == {"innovative_clusters"}
    assert needed["landlines_1984"] == {"ai_pilot_zones": ["table_5"]}
    assert needed["co2_edgar"].keys() == {"low_carbon_cities"}
    assert "road_area_per_person" not in needed


def test_growth_stands_in_for_a_real_series(formulas):
    assert formulas.stand_ins("gdp_real") == {"gdp_growth"}
    assert formulas.stand_ins("gdp") == set()


def test_exhibits_are_said_in_few_words():
    names = ["table_3", "table_4_balance", "table_4", "table_6", "figure_2", "coverage"]
    assert said(names) == "tables 3-4, 6, figure 2, coverage"

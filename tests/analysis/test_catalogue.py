"""The catalogue: what follows from it, what a user's own folder adds, and every fault told where it stands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis import catalogue
from analysis.catalogue import Bounds, load
from analysis.documents import DocumentError

HEAD = "indicator,unit,merge,jump,whole,label_en,label_zh\n"
HOUSE = "house_price,yuan_per_m2,none,3,,House price,商品住宅平均销售价格\n"
MODEL = """\
models:
  - name: m
    columns:
      - name: %s
        description: 10,000 yuan. GDP at current prices.
        config: {meta: {%s}}
      - {name: said, description: Nothing is declared.}
"""


@pytest.fixture
def own(tmp_path) -> Path:
    (tmp_path / "indicators.csv").write_text(HEAD + HOUSE, encoding="utf-8")
    return tmp_path


def written(own: Path, text: str) -> catalogue.Catalogue:
    (own / "variables.yaml").write_text(text, encoding="utf-8")
    return load(own)


def test_every_column_says_what_it_is():
    found = load()
    assert list(found.columns)[:2] == ["city_code", "year"]
    assert list(found.columns)[-1] == "caliber_change"
    for name, column in found.columns.items():
        for text in (column.unit, column.label_en, column.label_zh):
            assert text.strip(), name
        assert column.description.endswith("."), name
        assert any("\u4e00" <= letter <= "\u9fff" for letter in column.label_zh), name
    assert all(column.merge for column in found.variables.values())


def test_a_variable_is_read_whole():
    column = load().columns["population_resident_10k"]
    assert column.formula is not None
    assert column.formula.text == "population_resident"
    assert (column.unit, column.merge, column.type) == ("10,000 people", "sum", "double")
    assert column.bounds == Bounds(above=0, high=4000)
    assert column.documentation == "10,000 people. Resident population at the end of the year."
    assert load().columns["industry_share"].bounds == Bounds(low=0, high=1, blocking=False)
    assert load().columns["green_patents_granted"].type == "bigint"
    assert load().columns["name_zh"].source == "data/reference/cities.csv"
    assert "name_zh" not in load().drawn


def test_an_indicator_that_nothing_is_made_of_is_a_column_by_itself():
    found = load()
    assert {"gdp_deflator", "road_area_per_person"} <= set(found.drawn)
    assert found.columns["road_area_per_person"].unit == "m2"
    assert found.columns["road_area_per_person"].label_zh == "人均道路面积"
    # the real series is used by way of the capital stock, the deposits directly
    assert not {"gdp_real", "deposits", "exchange_rate"} & set(found.drawn)


def test_an_own_indicator_is_a_column_until_a_variable_is_made_of_it(own):
    assert load(own).drawn["house_price"] == ("yuan per m2", "House price")
    assert "house_price" not in load().drawn
    found = written(own, "house_price_to_income:\n  formula: house_price * 100 / resident_income_yuan\n  unit: years\n")
    assert "house_price" not in found.drawn
    column = found.columns["house_price_to_income"]
    assert (column.unit, column.label_en, column.merge) == ("years", "house_price_to_income", "none")
    assert list(found.columns).index("house_price_to_income") < list(found.columns).index("borders_merged")


def test_variables_are_made_of_variables_in_order(own):
    text = "b:\n  formula: a / gdp\n  unit: ratio\na:\n  formula: growth(gdp_10k_yuan)\n  unit: ratio\n"
    found = written(own, text)
    order = [name for step in found.steps for name in step]
    assert order.index("gdp_10k_yuan") < order.index("a") < order.index("b")


FAULTS = {
    "x:\n  formula: gdpp / gdp\n  unit: ratio\n": r"line 2, key 'x.formula': 'gdpp' is not .*; the nearest is 'gdp'\.",
    "x:\n  formula: growht(gdp)\n  unit: ratio\n": r"line 2, .*'growht' is no function of formulas; .* 'growth'\.",
    "x:\n  formula: x / gdp\n  unit: ratio\n": r"line 2, key 'x.formula': the formula of 'x' refers to itself\.",
    "x: {formula: y, unit: a}\ny: {formula: z + gdp, unit: a}\nz: {formula: x, unit: a}\n": (
        r"key 'x.formula': formulas refer to each other in a circle: x → y → z → x\."
    ),
    "x:\n  formula: gdp / 0\n  unit: ratio\n": r"line 2, .*'gdp / 0' divides by zero\.",
    "x:\n  formula: gdp; drop table gdp\n  unit: ratio\n": r"line 2, .*a formula holds ';'",
    "gdp_10k_yuan:\n  formula: gdp\n  unit: a\n": (
        r"line 1: the variable 'gdp_10k_yuan' stands twice, first in data/catalogue/variables.yaml, line \d+\."
    ),
    "house_price:\n  formula: gdp\n  unit: a\n": r"line 1, .*'house_price' is an indicator already",
    "capital_stock:\n  formula: gdp\n  unit: a\n": r"line 1, .*'capital_stock' is an indicator already \(int_capital",
    "X:\n  formula: gdp\n  unit: a\n": r"line 1, key 'X': 'X' must be a lower-case word",
    "adoption:\n  formula: gdp\n  unit: a\n": r"line 1, .*'adoption' is the name of something",
    "x:\n  formula: gdp\n": r"line 1, key 'x': the key 'unit' is missing\.",
    "x:\n  unit: a\n": r"line 1, key 'x': the key 'formula' is missing: 'x' is no indicator",
    "x:\n  formul: gdp\n  unit: a\n": r"line 2, .*'formul' is not a key that is known here; the nearest is 'formula'\.",
    "x:\n  formula: gdp\n  unit: a\n  bounds: shares\n": r"line 4, .*'shares' are no bounds; the nearest is 'share'",
    "x:\n  formula: gdp\n  unit: a\n  bounds: {low: 2, high: 1}\n": r"line 4, .*start at 2, not below their end, 1\.",
    "x:\n  formula: gdp / trade\n  unit: a\n  merge: sum\n": r"line 4, key 'x.merge': 'x' cannot add up",
    "x:\n  formula: house_price * gdp\n  unit: a\n  merge: ratio\n": r"line 4, .*'house_price' does not add up",
    "x:\n  formula: [gdp]\n  unit: a\n": r"line 2, ",
    "- x\n": r"expected keys and values",
}


@pytest.mark.parametrize(("text", "said"), FAULTS.items(), ids=[str(n) for n in range(len(FAULTS))])
def test_a_fault_is_told_with_file_line_key_and_nearest_name(own, text, said):
    with pytest.raises(ValueError, match=said) as error:
        written(own, text)
    assert "variables.yaml" in str(error.value)


def test_every_fault_of_form_is_told_at_once(own):
    with pytest.raises(DocumentError) as error:
        written(own, "x: {formul: gdp, unit: a}\ny: {formula: gdp}\n")
    assert len(error.value.faults) == 2


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (HOUSE + HOUSE, r"indicators\.csv, line 3: the indicator 'house_price' stands twice, first in .*line 2\."),
        (
            "gdp,10k_yuan,sum,,,,\n",
            r"line 2: the indicator 'gdp' stands twice, first in data/catalogue/indi",
        ),
        ("House price,yuan,,,,,\n", r"line 2, column 'indicator': 'House price' must be a lower-case word"),
        ("house,,,,,,\n", r"line 2, column 'unit': the unit of 'house' is missing\."),
        ("house,yuan,mean,,,,\n", r"line 2, column 'merge': expected sum or none, found 'mean'\."),
        ("house,yuan,,x,,,\n", r"line 2, column 'jump': expected a number, found 'x'\."),
        ("house,yuan,,,gpd,,\n", r"line 2, column 'whole': 'gpd' is no indicator; the nearest is 'gdp'\."),
    ],
)
def test_a_fault_in_the_list_of_indicators_is_told_with_its_line(own, rows, said):
    (own / "indicators.csv").write_text(HEAD + rows, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load(own)


def test_a_list_of_indicators_needs_names_and_units_alone(own):
    (own / "indicators.csv").write_text("indicator,unit\nhouse_price,yuan_per_m2\n", encoding="utf-8")
    found = load(own).indicators["house_price"]
    assert (found.merge, found.label_en, found.jump) == ("none", "house_price", None)
    (own / "indicators.csv").write_text("indicator,units\nhouse_price,yuan_per_m2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: the column 'unit' is missing"):
        load(own)


def test_what_has_changed_is_read_again(own):
    assert "house_price" in load(own).indicators
    (own / "indicators.csv").write_text(HEAD, encoding="utf-8")
    assert "house_price" not in load(own).indicators


def declared(tmp_path: Path, *models: tuple[str, str]) -> list[catalogue.Quantity]:
    for number, (name, meta) in enumerate(models):
        (tmp_path / f"int_{number}.yml").write_text(MODEL % (name, meta), encoding="utf-8")
    return catalogue.quantities_table(tmp_path)


def test_what_a_dbt_model_declares_is_read_with_its_unit(tmp_path):
    (found,) = declared(tmp_path, ("real_gdp", "formula: gdp / 2"))
    assert (found.name, found.kind, found.formula) == ("real_gdp", "formula", "gdp / 2")
    assert (found.unit, found.description) == ("10,000 yuan", "GDP at current prices.")


def test_a_column_of_a_dbt_model_comes_from_one_thing_and_is_declared_once(tmp_path):
    with pytest.raises(ValueError, match=r"int_0\.yml: a declares formula and records\."):
        declared(tmp_path, ("a", "formula: gdp, records: patents"))
    with pytest.raises(ValueError, match="Two columns of dbt/models/intermediate declare a"):
        declared(tmp_path, ("a", "records: patents"), ("a", "formula: gdp"))


def test_the_tables_that_the_warehouse_loads_say_the_same():
    found = load()
    rows = found.formulas_table().set_index(["layer", "name"])
    assert rows.loc[("panel", "fdi_share"), "formula"] == "fdi * exchange_rate / gdp"
    assert rows.loc[("panel", "digital_infrastructure"), "kind"] == "entropy"
    assert rows.loc[("intermediate", "ip_cases")].tolist()[:2] == ["records", "cases"]
    table = found.indicators_table().set_index("indicator")
    assert table.loc["gdp_secondary", "whole"] == "gdp"
    assert pd.isna(table.loc["gdp", "whole"])
    assert table.jump.dtype == "float64"


def test_a_unit_text_is_one_number_of_canonical_units():
    units = pd.read_csv(catalogue.FOLDER / "measurement_units.csv")
    assert not units.duplicated(["unit", "canonical"]).any(), units[units.duplicated(["unit", "canonical"])]
    assert units.factor.gt(0).all()

"""The constructed variables against hand calculations of their definitions."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.indices import (
    entropy_index,
    entropy_weights,
    industrial_structure_angle,
    interpolate,
    percentile,
    perpetual_inventory,
    revealed_comparative_advantage,
    winsorize,
)


def panel(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_entropy_index_equals_the_formula_written_out():
    data = panel(a=[1.0, 2.0, 4.0, 5.0], b=[10.0, 30.0, 20.0, 10.0])
    z = {"a": [0, 0.25, 0.75, 1.0], "b": [0, 1.0, 0.5, 0.0]}
    information = {}
    for name, values in z.items():
        shares = [v / sum(values) for v in values]
        information[name] = 1 + sum(s * math.log(s) for s in shares if s > 0) / math.log(4)
    total = sum(information.values())
    expected = [sum(information[name] / total * z[name][i] for name in z) for i in range(4)]
    assert entropy_index(data, ["a", "b"]).tolist() == pytest.approx(expected, rel=1e-12)
    assert entropy_weights(data, ["a", "b"]).sum() == pytest.approx(1)


def test_a_negative_indicator_counts_as_its_mirror_image():
    data = panel(a=[1.0, 2.0, 4.0], b=[3.0, 1.0, 7.0])
    mirrored = data.assign(b=-data["b"])
    assert entropy_index(data, "a", "b").tolist() == pytest.approx(entropy_index(mirrored, ["a", "b"]).tolist())


def test_rows_lacking_an_indicator_count_in_nothing():
    data = panel(a=[1.0, 2.0, 4.0, 900.0, 5.0], b=[3.0, 1.0, 7.0, np.nan, 2.0])
    whole = entropy_index(data, ["a", "b"])
    assert math.isnan(whole[3])
    assert whole.dropna().tolist() == entropy_index(data.dropna(), ["a", "b"]).tolist()


def test_a_constant_indicator_weighs_nothing_and_only_constant_ones_are_refused():
    data = panel(a=[1.0, 2.0, 4.0], b=[3.0, 3.0, 3.0])
    assert entropy_weights(data, ["a", "b"]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="varies"):
        entropy_index(data, "b")


def test_entropy_index_does_not_depend_on_row_order_to_the_last_bit():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.lognormal(size=(500, 3)), columns=["x", "y", "专利"])
    shuffled = data.sample(frac=1, random_state=2)
    pd.testing.assert_series_equal(
        entropy_index(shuffled, list(data)).sort_index(), entropy_index(data, list(data)), check_exact=True
    )


def test_capital_follows_the_recursion_from_the_first_investment():
    data = panel(city=["b", "a", "a", "a", "a"], year=[2006, 2008, 2006, 2005, 2007], invest=[5.0, 30, 20, np.nan, 25])
    capital = perpetual_inventory(data, "invest", unit="city", time="year")
    first = 20 / 0.10
    second = (1 - 0.096) * first + 25
    assert capital.tolist() == pytest.approx([50, (1 - 0.096) * second + 30, first, np.nan, second], nan_ok=True)


def test_capital_is_missing_after_a_year_without_investment():
    data = panel(city=["a"] * 4, year=[2006, 2007, 2009, 2010], invest=[20.0, 25, 30, 30])
    assert perpetual_inventory(data, "invest", unit="city", time="year").isna().tolist() == [False, False, True, True]
    assert perpetual_inventory(data, "invest", unit="city", time="year", start=2009).tolist() == pytest.approx(
        [np.nan, np.nan, 300, 300 * 0.904 + 30], nan_ok=True
    )


def test_capital_deflates_investment():
    data = panel(city=["a", "a"], year=[2006, 2007], invest=[20.0, 33.0], price=[1.0, 1.1])
    capital = perpetual_inventory(data, "invest", unit="city", time="year", deflator="price")
    assert capital.tolist() == pytest.approx([200, 200 * 0.904 + 30])
    with pytest.raises(ValueError, match="above zero"):
        perpetual_inventory(data.assign(price=0.0), "invest", unit="city", time="year", deflator="price")


def test_comparative_advantage_uses_the_national_columns_as_given():
    data = panel(cases=[6, 0, 3, 3], gdp=[2.0, 2, 0, np.nan], all_cases=[100] * 4, all_gdp=[50.0] * 4)
    rca = revealed_comparative_advantage(data, "cases", "gdp", national_cases="all_cases", national_gdp="all_gdp")
    assert rca.tolist() == pytest.approx([1.5, 0, np.nan, np.nan], nan_ok=True)


def test_angle_index_of_the_pure_structures_and_of_equal_thirds():
    data = panel(p=[1.0, 0, 0, 1, 0, np.nan], s=[0.0, 1, 0, 1, 0, 1], t=[0.0, 0, 1, 1, 0, 1])
    index = industrial_structure_angle(data, ["p", "s", "t"])
    third = math.acos(1 / math.sqrt(3))
    expected = [1.5 * math.pi, 2 * math.pi, 2.5 * math.pi, 6 * third, np.nan, np.nan]
    assert index.tolist() == pytest.approx(expected, nan_ok=True)
    assert industrial_structure_angle(data, ["p", "s", "t"], weights=(1, 1, 1))[3] == pytest.approx(3 * third)


def test_angle_index_is_the_nested_sum_of_angles_and_ignores_scale():
    data = panel(p=[12.0], s=[46.0], t=[42.0])
    length = math.sqrt(12**2 + 46**2 + 42**2)
    angles = [math.acos(v / length) for v in (12, 46, 42)]
    nested = sum(sum(angles[: k + 1]) for k in range(3))
    assert industrial_structure_angle(data, ["p", "s", "t"])[0] == pytest.approx(nested, rel=1e-14)
    assert industrial_structure_angle(data / 100, ["p", "s", "t"])[0] == pytest.approx(nested, rel=1e-14)


def test_percentile_follows_the_rule_of_stata():
    # Stata: n = 200, p1 is the mean of the 2nd and 3rd value; n = 150, p1 is the 2nd value.
    assert percentile(np.arange(1.0, 201), 1) == 2.5
    assert percentile(np.arange(1.0, 201), 99) == 198.5
    assert percentile(np.arange(1.0, 151), 1) == 2
    assert percentile(np.arange(1.0, 151), 99) == 149
    assert percentile(np.array([3.0, np.nan, 1.0]), 50) == 2


def test_winsorising_bounds_the_named_columns_and_leaves_missing_values():
    data = panel(x=[*np.arange(1.0, 201), np.nan], y=range(201), name=["城市"] * 201)
    result = winsorize(data, "x")
    assert (result["x"].min(), result["x"].max()) == (2.5, 198.5)
    assert result["x"].isna().sum() == 1
    pd.testing.assert_frame_equal(result[["y", "name"]], data[["y", "name"]])
    assert data["x"].min() == 1


@pytest.mark.parametrize(("method", "expected"), [("linear", [14.0, 16.0]), ("neighbour_mean", [15.0, 15.0])])
def test_gaps_are_filled_from_the_nearest_years_and_never_past_the_ends(method, expected):
    data = panel(
        city=["a", "a", "a", "a", "a", "b", "b"],
        year=[2009, 2012, 2010, 2015, 2013, 2010, 2011],
        x=[np.nan, np.nan, 10.0, 20.0, np.nan, 7.0, np.nan],
    ).set_index(pd.Index(list("ABCDEFG")))
    result = interpolate(data, "x", unit="city", time="year", method=method)
    assert result.loc[["B", "E"], "x"].tolist() == expected
    assert result.index[result["x__imputed"]].tolist() == ["B", "E"]
    assert result.loc[["A", "G"], "x"].isna().all()
    assert result.loc[["C", "D", "F"], "x"].tolist() == [10, 20, 7]


def test_gaps_longer_than_allowed_stay():
    data = panel(city=["a"] * 6, year=range(2010, 2016), x=[1.0, np.nan, 3.0, np.nan, np.nan, 6.0])
    result = interpolate(data, ["x"], unit="city", time="year", max_gap=1)
    assert result["x"].isna().tolist() == [False, False, False, True, True, False]


def test_an_absent_column_is_named_in_the_error():
    with pytest.raises(ValueError, match="'gdpp'"):
        winsorize(panel(x=[1.0]), "gdpp")
    with pytest.raises(ValueError, match="'x2'"):
        interpolate(panel(c=["a"], y=[2010], x=[1.0]), "x2", unit="c", time="y")

"""Formulas: what is read, what is refused and in which words, and that SQL and evaluation give the same values."""

from __future__ import annotations

import itertools
import math

import duckdb
import numpy as np
import pandas as pd
import pytest

from analysis import formulas, indices
from analysis.formulas import FormulaError, in_order, parse
from analysis.lineage import formula as evaluation

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Three cities over seven years, one year left out, with zeros, negative values and gaps."""
    generator = np.random.default_rng(0)
    rows = [(city, year) for city, year in itertools.product("xyz", range(2004, 2011)) if (city, year) != ("y", 2007)]
    frame = pd.DataFrame(rows, columns=["city_code", "year"])
    for name in NAMES:
        values = generator.choice([-2.0, 0.0, 0.5, 1.0, 3.0, 7.25], size=len(frame))
        frame[name] = np.where(generator.random(len(frame)) < 0.15, np.nan, values)
    return frame


def computed(table: pd.DataFrame, text: str) -> list[float]:
    """The values that DuckDB gives, by city and year."""
    with duckdb.connect() as connection:
        connection.register("pandas_table", table)
        columns = ", ".join(f'case when isnan("{name}") then null else "{name}" end as "{name}"' for name in NAMES)
        rows = f"(select city_code, year, {columns} from pandas_table)"
        found = connection.execute(f"select {parse(text, NAMES).sql()} from {rows} order by city_code, year")
        return [math.nan if value is None else float(value) for (value,) in found.fetchall()]


def evaluated(table: pd.DataFrame, text: str) -> list[float]:
    """The values that the trace finds, one by one."""
    cells = table.set_index(["city_code", "year"])

    def look_up(city: str):
        return lambda name, year, _: float(cells[name].get((city, year), math.nan))

    return [evaluation.evaluate(text, int(year), look_up(city)).value for city, year in cells.index]


@pytest.mark.parametrize(
    "text",
    [
        *("a / b", "a - (b - c)", "a / (b * c)", "-a - -(b + c)", "a * 10000 / b", "year - 2000", "lag(year)"),
        *("lag(a)", "lag(a, 2)", "a[-1]", "a[-3] + a", "a[2006] / a", "lag(a[2006])", "lag(a / b)", "lag(lag(a) + b)"),
        *("growth(a)", "growth(a + b) * 2", "difference(a)", "difference(lag(growth(a)))", "2 * difference(a) / b"),
        *("ln(a)", "ln(a * b) - ln(c)", "coalesce(a, b, 0)", "coalesce(a / b, ln(c), -1)"),
        *("least(a, b)", "greatest(a, b + c, 1)", "least(a, 1) / greatest(b, 0)", "greatest(1, 2)"),
        *("case when a > 0 then b when c <= 1 then -d else 0 end", "case when a = 0 then 1 end", "1 / a[-1]"),
        *("case when a > b and not c is null then 1 else 2 end", "case when a <> 1 or b < 0 then 1 else 2 end"),
        *("case when a is null then b else a end", "case when not (a > 0 or b > 0) then 1 else 0 end"),
        *("case when year >= 2007 then a else lag(a) end", "lag(case when a >= 1 then b else c end)"),
        *("industrial_structure_angle(a, b, c)", "revealed_comparative_advantage(a, b, c, d)"),
        "lag(revealed_comparative_advantage(a + 1, b, c, d)) / growth(least(a, b))",
    ],
)
def test_sql_and_evaluation_give_the_same_values(table, text):
    left, right = computed(table, text), evaluated(table, text)
    assert left == pytest.approx(right, rel=1e-12, nan_ok=True)
    assert not any(math.isinf(value) for value in left)
    assert any(not math.isnan(value) for value in left)


def test_a_ratio_over_zero_is_missing_and_says_why(table):
    values = {"a": 3.0, "b": 0.0}
    reading = evaluation.evaluate("1 + a / b", 2006, lambda name, *_: values[name])
    assert math.isnan(reading.value)
    assert reading.reasons == ("b is 0, and nothing can be divided by it",)
    zero = (table["c"] == 0) & table["a"].notna()
    assert np.isnan(np.array(computed(table, "a / c"))[zero]).all()
    assert zero.sum() > 1


def test_a_logarithm_of_zero_is_missing_and_says_why():
    reading = evaluation.evaluate("ln(a)", 2006, lambda *_: 0.0)
    assert math.isnan(reading.value)
    assert reading.reasons == ("a is 0, which has no logarithm",)


def test_a_missing_input_is_no_reason():
    assert evaluation.evaluate("a / b", 2006, lambda name, *_: math.nan if name == "a" else 0.0).reasons == ()


def test_a_year_that_is_not_there_has_no_value_to_go_back_to(table):
    at = table.index[(table["city_code"] == "y") & (table["year"] == 2008)][0]
    assert math.isnan(computed(table, "lag(a)")[at])


def test_a_missing_value_makes_a_cap_and_a_condition_missing(table):
    missing = table["a"].isna().to_numpy()
    assert missing.any()
    for text in ("least(a, 1)", "case when a > 0 then 1 else 0 end"):
        assert (np.isnan(computed(table, text)) == missing).all()


def test_the_indices_are_those_of_analysis(table):
    clipped = table.assign(**{name: table[name].clip(lower=0) for name in NAMES})
    angle = indices.industrial_structure_angle(clipped, ["a", "b", "c"])
    assert computed(clipped, "industrial_structure_angle(a, b, c)") == pytest.approx(angle.tolist(), nan_ok=True)
    index = indices.revealed_comparative_advantage(table, "a", "b", national_cases="c", national_gdp="d")
    found = computed(table, "revealed_comparative_advantage(a, b, c, d)")
    assert found == pytest.approx(index.tolist(), nan_ok=True)


def test_one_reading_gives_the_sql_of_both_engines():
    read = parse("case when gdp > 0 then lag(trade) / gdp else x[2006] end")
    assert '"gdp" > 0' in read.sql("duckdb")
    spark = read.sql("spark")
    assert "`gdp` > 0" in spark
    assert "RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING" in spark
    assert "NULLIF(`gdp`, 0)" in spark
    assert read.names == ("gdp", "trade", "x")
    assert 'PARTITION BY "unit 1" ORDER BY "Jahr"' in read.sql(unit="unit 1", time="Jahr")


def test_names_may_be_of_any_script_and_words_of_sql():
    assert parse("房价 / \"my column\" + 'x'".replace(" + 'x'", "")).names == ("房价", "my column")
    assert parse("group / order").sql() == '"group" / NULLIF("order", 0)'


def test_what_is_divided_by_is_listed():
    divided = parse("a / (b - c) + d / 100 + growth(a)").denominators
    assert {part.text for part in divided} == {"b - c", "lag(a, 1)"}


def test_whole_numbers_stay_whole_only_where_the_database_keeps_them():
    assert parse("a + b * 2 - lag(a)").is_whole({"a", "b"})
    for text in ("a / b", "a + c", "a * 0.5", "ln(a)"):
        assert not parse(text).is_whole({"a", "b"}), text


def test_an_entropy_index_is_of_names_and_has_no_sql_of_one_row():
    read = parse("entropy_index(a, b, c)")
    assert read.parts == ("a", "b", "c")
    assert parse("a + b").parts == ()
    with pytest.raises(FormulaError, match="no SQL of one row"):
        read.sql()


REFUSED = {
    "sqrt(a)": "'sqrt' is no function of formulas",
    "growht(a)": "'growht' is no function of formulas; the nearest is 'growth'",
    "__import__('os')": "no function",
    '"sqrt"(a)': "no function",
    "max(a) over (order by b)": "no function",
    "a; drop table x": "a formula holds ';'",
    "(select 1)": "SELECT 1",
    "exists(select 1)": "no function",
    "'text'": "a formula holds 'text'",
    "a -- b": "no comment",
    "/* b */ a": "no comment",
    "a b": "a formula holds",
    "a.b": "has a dot",
    "a::int": "a formula holds",
    "a ** 2": "cannot be read",
    "a % b": "a formula holds",
    "a +": "cannot be read",
    "{{ a }}": "a formula holds",
    "a in (1, 2)": "a formula holds",
    "a > b": "is a condition",
    "case when a then 1 end": "is no condition",
    "case a when 1 then 2 end": "followed by `when`",
    "null": "only behind `is`",
    "1 / 0": "divides by zero",
    "a / (0.0)": "divides by zero",
    "lag(a, 0)": "goes back 1 to 50",
    "lag(a, 1.5)": "goes back 1 to 50",
    "lag(a, b)": "goes back 1 to 50",
    "lag(a, 1, 0)": "nothing else",
    "a[3]": "brackets hold a year",
    "a[1:2]": "brackets hold a year",
    "(a + b)[-1]": "write lag",
    "least(a)": "takes 2 or more values, not 1",
    "industrial_structure_angle(a, b)": "takes 3 values, not 2",
    "entropy_index(a, b) * 2": "the whole formula",
    "entropy_index(a, a)": "two or more different columns",
    "entropy_index(a, b + c)": "names of columns alone",
    "interpolated(a)": "no function",
    "1e400": "too large",
    "": "empty",
    "(" * 60 + "a" + ")" * 60: "more than 40",
    "+".join(["aaaa"] * 600): "2000 are the most",
}


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=[str(n) for n in range(len(REFUSED))])
def test_anything_else_is_refused_in_a_sentence(text, said):
    with pytest.raises(FormulaError) as error:
        parse(text)
    assert said in str(error.value)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_a_name_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(FormulaError, match=r"'gdpp' is not an indicator or a column of panels\.city_year; .* 'gdp'\."):
        parse("a / gdpp", ["a", "gdp", "trade"])
    with pytest.raises(FormulaError, match="the formula of 'x' refers to itself"):
        parse("x + a", ["a"], itself="x")


def test_formulas_are_put_in_order_and_circles_named():
    made = {"x": parse("y / z"), "y": parse("gdp"), "z": parse("y + trade"), "gdp": parse("gdp")}
    assert in_order(made) == (("gdp",), ("y",), ("z",), ("x",))
    with pytest.raises(FormulaError, match="in a circle: p → q → r → p"):
        in_order({"p": parse("q"), "q": parse("r + gdp"), "r": parse("p")})


def test_the_language_is_written_down():
    for function in formulas.FUNCTIONS:
        assert f"{function}(" in formulas.__doc__ or f"``{function}" in formulas.__doc__, function

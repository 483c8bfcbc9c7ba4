"""Formulas in names: what they give, how they are written out, what they use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.lineage import formula
from analysis.lineage.formula import Input

VALUES = {("a", 2010): 6.0, ("a", 2009): 5.0, ("a", 2006): 2.0, ("b", 2010): 4.0, ("c", 2010): 0.0, ("k", 2009): 100.0}


def look_up(name: str, year: int, interpolated: bool) -> float:
    return VALUES.get((name, year), 9.0 if interpolated else math.nan)


def read(text: str) -> formula.Reading:
    return formula.evaluate(text, 2010, look_up)


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("a / b", 1.5, "6 / 4"),
        ("(a + b) / a", 10 / 6, "(6 + 4) / 6"),
        ("a - (b - a)", 8, "6 - (4 - 6)"),
        ("a / (b * 100)", 0.015, "6 / (4 × 100)"),
        ("a * b / 100", 0.24, "6 × 4 / 100"),
        ("a[-1] + a[2006]", 7, "5 + 2"),
        ("interpolated(d) + a", 15, "9 + 6"),
        ("coalesce(d, a, b)", 6, "6"),
        ("coalesce(d / a, 1 + b / 100)", 1.04, "1 + 4 / 100"),
        ("coalesce(0.904 * k[-1] + a, since(2006, a / 0.10))", 96.4, "0.904 × 100 + 6"),
        ("coalesce(0.904 * d[-1] + a, since(2006, a / 0.10))", 60, "6 / 0.1"),
        ("since(2010, a)", 6, "6"),
        ("at(2010, a)", 6, "6"),
    ],
)
def test_a_formula_gives_a_value_and_is_written_with_numbers(text, value, numbers):
    reading = read(text)
    assert reading.value == pytest.approx(value, rel=1e-15)
    assert reading.numbers == numbers


@pytest.mark.parametrize("text", ["a / d", "a / c", "d + 1", "at(2009, a)", "since(2011, a)", "coalesce(d, d)"])
def test_what_cannot_be_computed_is_missing(text):
    assert math.isnan(read(text).value)


def test_only_what_counted_is_an_input():
    assert read("coalesce(d, a)").inputs == (Input("a", 2010),)
    assert read("a[-1] / interpolated(b)").inputs == (Input("a", 2009), Input("b", 2010, interpolated=True))


def test_indices_are_those_of_analysis():
    angle = read("industrial_structure_angle(c, a, c)")
    assert angle.value == pytest.approx(2 * np.pi, rel=1e-12)
    assert angle.numbers == "industrial_structure_angle(0, 6, 0)"
    assert read("revealed_comparative_advantage(a, b, a, a)").value == pytest.approx(1.5, rel=1e-15)
    assert math.isnan(read("industrial_structure_angle(c, d, c)").value)


def test_names_are_those_of_values_not_of_functions():
    assert formula.names("coalesce(a, interpolated(b)) / a[-1]") == ("a", "b")


def test_an_alternative_stands_in_and_a_start_does_not():
    text = "coalesce(at(2006, a), b[-1] * coalesce(c / c[-1], 1 + interpolated(d) / 100))"
    assert formula.alternatives(text) == {"c": ("d",), "d": ("c",)}


@pytest.mark.parametrize("text", ["a ** 2", "a if b else c", "__import__('os')", "sqrt(a)", "a +", "'text'"])
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(ValueError, match=r"[Ff]ormula"):
        read(text)


def test_numbers_are_short_and_whole_where_they_are_large():
    assert [formula.number(x) for x in (12836661.0, 0.18181818, 1234.5678, math.nan, 123456.78)] == [
        *("12,836,661", "0.181818", "1,234.57", "no value", "123,456.8")
    ]

"""Cities by code and name, and what is said of words that there are not."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.lineage.request import find_city, word
from dagster_project.paths import REFERENCE

UNITS = pd.DataFrame(
    [
        ("330500", "湖州市", "330500", "own", None),
        ("420600", "襄阳市", "420600", "own", None),
        ("371200", "莱芜市", "370100", "sum", 2019.0),
    ],
    columns=["unit_code", "name", "city_code", "treatment", "changed_in"],
)


@pytest.fixture(scope="module")
def find():
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype=str)
    names = pd.read_csv(REFERENCE / "city_names.csv", dtype=str, keep_default_na=False)
    return lambda given: find_city(given, cities, UNITS, names)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("330500", "330500"),
        ("湖州市", "330500"),
        ("湖州", "330500"),
        ("Huzhou", "330500"),
        ("huzhou", "330500"),
        ("苏州", "320500"),
        ("吉林", "220200"),
        ("襄樊市", "420600"),
    ],
)
def test_a_city_is_found_by_code_and_by_every_name_that_means_one(find, given, code):
    assert find(given) == code


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Suzhou", r"苏州市 Suzhou \(320500, 江苏省\) or 宿州市 Suzhou \(341300, 安徽省\): give the Chinese name"),
        ("莱芜市", "莱芜市 joined 济南市 Jinan .* in 2019, whose values hold it: ask for that city"),
        ("371200", "371200 joined 济南市"),
        ("巢湖市", "no city of the roster"),
        ("湖洲市", "No city is called '湖洲市'; the nearest: .*湖州市"),
        ("Hangzou", "the nearest: Hangzhou"),
        ("330501", "the nearest: 330500"),
    ],
)
def test_a_place_that_is_no_city_gets_a_sentence(find, given, said):
    with pytest.raises(ValueError, match=said):
        find(given)


def test_an_unknown_word_is_answered_with_the_nearest():
    assert word("eco", ["eco", "fe"], "column") == "eco"
    with pytest.raises(ValueError, match="no column 'ulgu'; the nearest: ulgue"):
        word("ulgu", ["ulgue", "eco"], "column")
    with pytest.raises(ValueError, match="there are eco, fe"):
        word("xyzzy", ["eco", "fe"], "column")

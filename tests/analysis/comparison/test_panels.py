"""Two panels value by value: what each difference is called."""

import numpy as np
import pandas as pd

from analysis.comparison.panels import changed_rows, changed_values

KEYS = ["city_code", "year"]


def panel(**columns) -> pd.DataFrame:
    cities = ["a", "b", "c", "d", "e", "f", "g"]
    return pd.DataFrame({"city_code": cities, "year": 2010, **columns})


def test_every_kind_of_change_has_its_name():
    nan = np.nan
    before = panel(x=[1.0, 2.0, nan, 4.0, nan, 6.0, 7.0], x__imputed=[False, False, False, True, False, False, False])
    now = panel(x=[1.5, nan, 3.0, 4.0, 5.0, nan, 7.0], x__imputed=[False, False, False, False, True, False, False])
    found = changed_values(before, now, KEYS, aside_before=[("c", 2010)], aside_now=[("b", 2010)])
    kinds = dict(zip(found["city_code"], found["change"], strict=True))
    assert kinds == {"a": "changed", "b": "set aside", "c": "back", "d": "measured", "e": "filled", "f": "gone"}
    assert set(found["column"]) == {"x"}


def test_the_last_digits_are_marked_as_rounding():
    found = changed_values(panel(x=1 / 3), panel(x=1 / 3 + 1e-15), KEYS)
    assert found["rounding"].all()
    assert len(found) == 7
    assert changed_values(panel(x=1.0), panel(x=1.0), KEYS).empty


def test_columns_of_words_and_columns_that_only_one_has_are_left_alone():
    assert changed_values(panel(x=1.0, word="a"), panel(y=2.0, word="b"), KEYS).empty


def test_rows_that_one_of_them_has_are_told():
    found = changed_rows(panel(x=1.0).iloc[1:], panel(x=1.0).iloc[:-1], KEYS)
    assert dict(zip(found["city_code"], found["change"], strict=True)) == {"a": "new row", "g": "row gone"}

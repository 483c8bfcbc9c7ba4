"""Preparation of panels: what is refused, and what is dropped and said."""

import numpy as np
import pandas as pd
import pytest
from random_panel import FIRST, UNIT, X1, YEAR, Y, random_panel, shuffled_and_renamed

from analysis.estimation_sample import prepare, require_varying, unit_order


def test_rows_come_sorted_and_know_where_they_stood() -> None:
    panel = random_panel(1)
    sample = prepare(panel, unit=UNIT, time=YEAR, numeric=[Y])
    assert sample.data[[UNIT, YEAR]].equals(sample.data[[UNIT, YEAR]].sort_values([UNIT, YEAR]))
    assert np.array_equal(sample.data[Y], panel[Y].to_numpy()[sample.positions])


def test_the_callers_data_are_never_changed() -> None:
    panel = random_panel(1)
    panel[X1] = panel[X1].astype(object)
    before = panel.copy(deep=True)
    prepare(panel, unit=UNIT, time=YEAR, numeric=[Y, X1])
    pd.testing.assert_frame_equal(panel, before)


def test_each_missing_column_is_named_with_the_rows_it_cost() -> None:
    panel = random_panel(1)
    panel.iloc[:4, panel.columns.get_loc(X1)] = np.nan
    panel.iloc[3:5, panel.columns.get_loc(Y)] = np.nan
    sample = prepare(panel, unit=UNIT, time=YEAR, numeric=[X1, Y], optional=[FIRST])
    assert sample.notes == (f"4 rows dropped: {X1!r} is missing.", f"1 rows dropped: {Y!r} is missing.")
    assert len(sample.data) == len(panel) - 5
    assert sample.data[FIRST].isna().any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.drop(columns=X1), "No column named 'x 1'"),
        (lambda p: p.assign(**{X1: "many"}), "'x 1' must be numeric; it holds 'many'"),
        (lambda p: p.assign(**{X1: np.inf}), "'x 1' holds an infinite value"),
        (lambda p: p.assign(**{X1: np.nan}), "No row has a value in every one of"),
        (lambda p: pd.concat([p, p.iloc[:1]]), "1 rows repeat a '城市 code' and 'year.'"),
        (lambda p: p.assign(**{UNIT: p[UNIT].where(p[YEAR] > 2012)}), "'城市 code' is missing in row"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(change(random_panel(1)), unit=UNIT, time=YEAR, numeric=[Y, X1])


def test_numbers_kept_as_text_booleans_and_nullable_integers_are_numbers() -> None:
    panel = random_panel(1)
    panel["text"] = [str(value) for value in panel[X1]]
    panel["flag"] = panel[X1] > 0
    panel["nullable"] = panel[YEAR].astype("Int64")
    sample = prepare(panel, unit=UNIT, time=YEAR, numeric=["text", "flag", "nullable", X1])
    assert np.allclose(sample.data["text"], sample.data[X1])
    assert (sample.data.dtypes[["text", "flag", "nullable"]] == "float64").all()


def test_an_outcome_that_never_varies_is_refused() -> None:
    with pytest.raises(ValueError, match="'y' is 3 in all 2 rows used"):
        require_varying(pd.DataFrame({"y": [3.0, 3.0]}), "y")


def test_units_are_numbered_by_content_not_by_name_or_place() -> None:
    panel = random_panel(2)
    columns = [YEAR, Y, FIRST]
    number = dict(zip(panel[Y], unit_order(panel, UNIT, columns), strict=True))
    other = shuffled_and_renamed(panel)
    assert number == dict(zip(other[Y], unit_order(other, UNIT, columns), strict=True))
    assert len(set(number.values())) == panel[UNIT].nunique()

"""Preparation of panels: what is refused, what is dropped and said, and the projection off fixed effects."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, UNIT, X1, YEAR, Y, random_panel, shuffled_and_renamed

from analysis.panel import (
    FixedEffects,
    codes_of,
    drop_singletons,
    identified,
    is_nested,
    prepare,
    require_varying,
    unit_order,
)


def dummies(*columns: pd.Series) -> np.ndarray:
    return np.column_stack([pd.get_dummies(column).to_numpy(float) for column in columns])


def off(span: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values - span @ np.linalg.lstsq(span, values, rcond=None)[0]


@pytest.mark.parametrize("effects", [[UNIT], [UNIT, YEAR], [YEAR], [UNIT, YEAR, "province"], ["province", YEAR]])
def test_the_projection_equals_least_squares_on_dummies(effects: list[str]) -> None:
    panel = random_panel(3)
    values = panel[[Y, *CONTROLS]].to_numpy()
    span = dummies(*(panel[name] for name in effects))
    projection = FixedEffects([codes_of(panel[name]) for name in effects], len(panel))
    assert np.allclose(projection.residualise(values), off(span, values), atol=1e-10)
    assert np.allclose(projection.residualise(values[:, 0]), off(span, values[:, 0]), atol=1e-10)
    assert projection.rank == np.linalg.matrix_rank(span)


def test_an_extended_projection_sweeps_out_the_controls_too() -> None:
    panel = random_panel(4)
    span = np.column_stack([dummies(panel[UNIT], panel[YEAR]), panel[CONTROLS]])
    projection = FixedEffects([codes_of(panel[UNIT]), codes_of(panel[YEAR])], len(panel))
    wider = projection.extended(panel[CONTROLS].to_numpy())
    assert np.allclose(wider.residualise(panel[Y].to_numpy()), off(span, panel[Y].to_numpy()), atol=1e-10)
    assert wider.rank == projection.rank + 2
    assert not np.allclose(projection.residualise(panel[Y].to_numpy()), wider.residualise(panel[Y].to_numpy()))


def test_two_disconnected_sets_of_units_and_years_have_one_rank_less() -> None:
    unit = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    year = np.array([0, 1, 0, 1, 2, 3, 2, 3])
    assert FixedEffects([unit, year], 8).rank == 4 + 4 - 2


def test_singletons_are_dropped_until_none_is_left() -> None:
    unit = np.array([0, 0, 1, 1, 2])
    year = np.array([0, 1, 0, 2, 0])  # unit 2 and years 1, 2 are alone; dropping those rows leaves units 0, 1 alone
    assert not drop_singletons([unit, year]).any()
    assert drop_singletons([unit]).tolist() == [True, True, True, True, False]


def test_nesting_is_of_whole_groups() -> None:
    assert is_nested(np.array([0, 0, 1, 2]), np.array([5, 5, 5, 6]))
    assert not is_nested(np.array([0, 0, 1, 2]), np.array([5, 6, 5, 6]))


def test_a_combination_of_earlier_columns_is_not_identified() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    columns = np.column_stack([x[:, 0], x[:, 1], 1e6 * (x[:, 0] - x[:, 1]), 1e-8 * x[:, 2]])
    assert identified(columns, np.linalg.norm(columns, axis=0)).tolist() == [True, True, False, True]


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

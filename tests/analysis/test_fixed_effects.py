"""The projection off fixed effects against least squares on dummies; singletons, nesting, collinearity."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, UNIT, YEAR, Y, random_panel

from analysis.estimation_sample import codes_of
from analysis.fixed_effects import FixedEffects, drop_singletons, identified, is_nested


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

"""The projection off fixed effects against least squares on dummies; singletons, nesting, collinearity."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, UNIT, YEAR, Y, random_panel

from analysis import fixed_effects
from analysis.estimation_sample import codes_of
from analysis.fixed_effects import FixedEffects, drop_singletons, dummies_rank, identified, is_nested
from analysis.results import CannotEstimate


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


def _firms(seed: int, firms: int, years: int, industries: int) -> list[np.ndarray]:
    """Codes of firm and of industry and year, industries changing now and then, a tenth of the rows missing."""
    generator = np.random.default_rng(seed)
    firm, year = np.repeat(np.arange(firms), years), np.tile(np.arange(years), firms)
    industry = (generator.integers(0, industries, firms)[firm] + (generator.random(len(firm)) < 0.05)) % industries
    keep = generator.random(len(firm)) < 0.9
    codes = [firm[keep], industry[keep] * years + year[keep], year[keep]]
    return [np.unique(code, return_inverse=True)[1] for code in codes]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("factored", [0, 10_000], ids=["conjugate gradients", "factored"])
@pytest.mark.parametrize("effects", [[0, 1], [0, 1, 2]])
def test_many_levels_are_swept_out_as_by_least_squares_on_dummies(monkeypatch, effects, factored, weighted) -> None:
    monkeypatch.setattr(fixed_effects, "FACTORED", factored)
    codes = [_firms(1, 120, 6, 20)[k] for k in effects]
    n, generator = len(codes[0]), np.random.default_rng(2)
    root = np.sqrt(generator.uniform(0.2, 3, n)) if weighted else np.ones(n)
    values = (generator.normal(size=(n, 3)) + codes[0][:, None]) * np.array([1, 1e6, 1e-6])
    span = root[:, None] * dummies(*map(pd.Series, codes))
    expected = off(span, root[:, None] * values)
    projection = FixedEffects(codes, n, root if weighted else None)
    assert not projection.explicit
    length = np.linalg.norm(expected, axis=0)
    assert np.allclose(projection.residualise(values) / length, expected / length, atol=1e-11)
    if factored or len(effects) == 2:
        assert projection.rank == np.linalg.matrix_rank(span)
    else:  # a lower bound, as reghdfe's
        assert np.linalg.matrix_rank(span) - 6 <= projection.rank <= np.linalg.matrix_rank(span)
    wider = projection.extended(values[:, :1])
    both = np.column_stack([span, root * values[:, 0]])
    left = off(both, root * values[:, 1]) / length[1]
    assert np.allclose(wider.residualise(values[:, 1]) / length[1], left, atol=1e-10)


def test_firms_that_never_meet_lose_one_level_for_each_island() -> None:
    one, other = _firms(3, 60, 5, 8)[:2]
    firm = np.concatenate([one, one + one.max() + 1])
    group = np.concatenate([other, other + other.max() + 1])
    span = dummies(pd.Series(firm), pd.Series(group))
    assert dummies_rank([firm, group]) == np.linalg.matrix_rank(span) == 2 * dummies_rank([one, other])


def test_effects_too_weakly_connected_are_refused_not_approximated(monkeypatch) -> None:
    monkeypatch.setattr(fixed_effects, "FACTORED", 0)
    monkeypatch.setattr(fixed_effects, "STEPS", 3)
    codes = _firms(1, 120, 6, 20)[:2]
    with pytest.raises(CannotEstimate, match="too weakly connected"):
        FixedEffects(codes, len(codes[0])).residualise(np.random.default_rng(0).normal(size=len(codes[0])))

"""Mediation: the parts add up to the total, known paths are found, and the interval covers them."""

import numpy as np
import pandas as pd
import pytest

from analysis.did import mediation, two_way

KEYS = {"unit": "city", "time": "year"}


def panel(seed: int = 0, into: float = 1.0, out: float = 0.6, direct: float = 0.4, units: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    city, year = np.repeat(np.arange(units), 8), np.tile(np.arange(2008, 2016), units)
    treated = ((city % 3 == 0) & (year >= 2011 + city % 2)).astype(float)
    x = generator.normal(size=len(city))
    m = into * treated + 0.5 * x + generator.normal(size=units)[city] + 0.1 * year + generator.normal(size=len(city))
    y = direct * treated + out * m + x + generator.normal(size=units)[city] + 0.5 * generator.normal(size=len(city))
    return pd.DataFrame({"city": city, "year": year, "t": treated, "中介": m, "x": x, "y": y})


def estimate(frame: pd.DataFrame, **options):
    return mediation(frame, "y", "t", "中介", ["x"], **KEYS, **options)


def test_the_parts_are_the_coefficients_and_add_up_to_the_total():
    frame = panel().sample(frac=0.9, random_state=1)
    result = estimate(frame, draws=99)
    into = two_way(frame, "中介", "t", ["x"], **KEYS).table.loc["t", "estimate"]
    both = two_way(frame, "y", ["t", "中介"], ["x"], **KEYS).table["estimate"]
    total = two_way(frame, "y", "t", ["x"], **KEYS).table.loc["t", "estimate"]
    found = result.table["estimate"]
    assert found["indirect"] == pytest.approx(into * both["中介"], rel=1e-8)
    assert found["direct"] == pytest.approx(both["t"], rel=1e-8)
    assert found["total"] == pytest.approx(total, rel=1e-8)
    assert found["share"] == pytest.approx(found["indirect"] / found["total"])


def test_a_draw_is_the_regression_on_the_units_drawn():
    frame = panel(units=15)
    result = estimate(frame, draws=99, seed=4)
    from analysis.estimation_sample import unit_order

    ordered = frame.sort_values(["city", "year"]).reset_index(drop=True)
    order = unit_order(ordered, "city", ["year", "t", "y", "中介", "x"])
    weights = np.random.default_rng(4).multinomial(15, np.full(15, 1 / 15), size=99)[0]
    rows = [
        ordered[order == number].assign(city=f"{number}.{copy}")
        for number in range(15)
        for copy in range(weights[number])
    ]
    both = two_way(pd.concat(rows), "y", ["t", "中介"], ["x"], **KEYS).table["estimate"]
    assert result.draws.loc[0, "direct"] == pytest.approx(both["t"], rel=1e-7)


def test_known_paths_are_found_and_their_absence_too():
    result = estimate(panel(seed=2, units=150), draws=199)
    assert result.table.loc["indirect", "low"] < 0.6 < result.table.loc["indirect", "high"]
    assert result.table.loc["direct", "low"] < 0.4 < result.table.loc["direct", "high"]
    assert result.table.loc["indirect", "p"] <= 0.02
    nothing = estimate(panel(seed=2, into=0.0, units=150), draws=199)
    assert nothing.table.loc["indirect", "p"] > 0.05


def test_draws_do_not_depend_on_the_order_of_rows():
    frame = panel(units=20)
    first, again = estimate(frame, draws=99), estimate(frame.sample(frac=1, random_state=3), draws=99)
    np.testing.assert_allclose(first.draws, again.draws, rtol=1e-7)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="must hold 'unit'"):
        estimate(panel(), fixed_effects=("time",))
    with pytest.raises(ValueError, match="at least 99"):
        estimate(panel(), draws=10)
    with pytest.raises(ValueError, match="'中介' has no estimate"):
        estimate(panel().assign(中介=lambda f: f["city"] * 1.0))

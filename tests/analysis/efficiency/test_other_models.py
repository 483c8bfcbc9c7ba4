"""Radial and directional models, productivity change and intervals against dense programmes and known cases."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from analysis.efficiency import (
    directional_distance,
    frontier,
    malmquist_luenberger,
    radial,
    radial_intervals,
    returns_to_scale,
    super_sbm,
)

INPUTS, OUTPUTS, BADS = ["k", "l"], ["y"], ["b1", "b2"]
ROLES = {"inputs": INPUTS, "outputs": OUTPUTS, "bad_outputs": BADS}


def panel(cities=15, years=3, seed=0):
    random = np.random.default_rng(seed)
    values = random.lognormal(0, 1, (cities * years, 1)) * random.lognormal(0, 0.6, (cities * years, 5))
    data = pd.DataFrame(values, columns=INPUTS + OUTPUTS + BADS)
    return data.assign(city=np.repeat(np.arange(cities), years), year=np.tile(np.arange(years) + 2000, cities))


def dense(data, peers, k, returns, direction, equal_bads=False):
    """The least step such that the peers reach the unit's signed data (less is better) plus step * direction * data."""
    signs = np.array([1, 1, -1, 1, 1])
    columns = INPUTS + OUTPUTS + BADS
    own, others = data.loc[k, columns].to_numpy(float), data.loc[peers, columns].to_numpy(float)
    rows = np.hstack([-(direction * own)[:, None], signs[:, None] * others.T])
    limit = signs * own
    equal = np.array([False, False, False, equal_bads, equal_bads])
    ones = np.concatenate([[0.0], np.ones(len(peers))])
    matrix, bound = rows[~equal], limit[~equal]
    equations, right = rows[equal], limit[equal]
    if returns == "vrs":
        equations, right = np.vstack([equations, ones]), np.append(right, 1.0)
    if returns == "nirs":
        matrix, bound = np.vstack([matrix, ones]), np.append(bound, 1.0)
    answer = linprog(
        np.eye(len(peers) + 1)[0],
        A_ub=matrix,
        b_ub=bound,
        A_eq=equations if len(equations) else None,
        b_eq=right if len(right) else None,
        bounds=[(None, None)] + [(0, None)] * len(peers),
    )
    return answer.fun if answer.status == 0 else None


def own_year(data, k):
    return data.index[data["year"] == data.loc[k, "year"]]


@pytest.mark.parametrize("returns", ["crs", "vrs", "nirs"])
@pytest.mark.parametrize("strict", [False, True])
def test_radial_scores_equal_a_dense_programme(returns, strict):
    data = panel(seed=1)
    input_side = radial(data, **ROLES, period="year", returns=returns, super_efficiency=strict).table
    output_side = radial(
        data, **ROLES, period="year", returns=returns, orientation="output", super_efficiency=strict
    ).table
    for k in data.index[::4]:
        peers = own_year(data, k)
        peers = peers.drop(k) if strict else peers
        step = dense(data, peers, k, returns, np.array([1, 1, 0, 0, 0.0]))
        if step is None:
            assert np.isnan(input_side["score"][k]) and input_side["status"][k].startswith("infeasible")
        else:
            assert input_side["score"][k] == pytest.approx(1 + step, rel=1e-8)
        step = dense(data, peers, k, returns, np.array([0, 0, 1, 0, 0.0]))
        if step is None:
            assert np.isnan(output_side["score"][k]) and output_side["status"][k].startswith("infeasible")
        else:
            assert output_side["score"][k] == pytest.approx(1 / (1 - step), rel=1e-8)


@pytest.mark.parametrize(
    ("direction", "moving"),
    [("outputs", [0, 0, 1, 1, 1.0]), ("inputs", [1, 1, 0, 0, 0.0]), ("all", [1, 1, 1, 1, 1.0])],
)
@pytest.mark.parametrize(("returns", "disposability"), [("crs", "strong"), ("vrs", "strong"), ("crs", "weak")])
def test_directional_distances_equal_a_dense_programme(direction, moving, returns, disposability):
    data = panel(seed=2)
    table = directional_distance(
        data, **ROLES, period="year", returns=returns, direction=direction, disposability=disposability
    ).table
    for k in data.index[::4]:
        step = dense(data, own_year(data, k), k, returns, np.array(moving), equal_bads=disposability == "weak")
        assert table["distance"][k] == pytest.approx(-step, abs=1e-8)
        assert table["score"][k] == pytest.approx(1 / (1 - step), rel=1e-8)


def test_searching_for_spanning_columns_changes_no_score(monkeypatch):
    data = panel(cities=30, seed=3)

    def everything():
        yield radial(data, **ROLES).table["score"]
        yield radial(data, **ROLES, returns="vrs", super_efficiency=True).table["score"]
        yield directional_distance(data, **ROLES, period="year", frontier="sequential").table["distance"]
        yield directional_distance(data, **ROLES, disposability="weak").table["distance"]
        for reference in ("global", "adjacent"):
            yield malmquist_luenberger(data, unit="city", period="year", **ROLES, reference=reference).table["change"]

    full = list(everything())
    monkeypatch.setattr(frontier, "SEARCH_ABOVE", 5)
    for before, after in zip(full, everything(), strict=True):
        assert after.to_numpy() == pytest.approx(before.to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True)


def test_radial_scores_bound_input_oriented_sbm_scores():
    data = panel(seed=4)
    assert (
        radial(data, **ROLES).table["score"] >= super_sbm(data, **ROLES, orientation="input").table["sbm"] - 1e-9
    ).all()


def test_returns_to_scale_of_a_textbook_frontier():
    # One input, one output: output rises more, as much, then less than the input.
    data = pd.DataFrame({"x": [1.0, 2, 4, 6, 5], "y": [1.0, 4, 8, 9, 0]}, index=list("abcde"))
    table = returns_to_scale(data, inputs=["x"], outputs=["y"])
    assert table["returns"].tolist()[:4] == ["increasing", "constant", "constant", "decreasing"]
    assert table["scale"].tolist()[:4] == pytest.approx([0.5, 1, 1, 0.75])
    assert pd.isna(table.loc["e", "returns"]) and "zero in 'y'" in table.loc["e", "status"]


def test_weak_disposability_without_constant_returns_is_refused():
    with pytest.raises(ValueError, match="constant returns only"):
        directional_distance(panel(), **ROLES, returns="vrs", disposability="weak")


@pytest.mark.parametrize("reference", ["global", "adjacent"])
def test_productivity_change_is_the_product_of_its_parts_and_one_where_nothing_changes(reference):
    data = panel(years=4, seed=5)
    options = {"unit": "city", "period": "year", **ROLES, "reference": reference}
    table = malmquist_luenberger(data, **options).table
    assert len(table) == 15 * 3 and (table["status"] == "ok").all()
    assert (table["efficiency"] * table["technology"]).to_numpy() == pytest.approx(table["change"].to_numpy())
    still = pd.concat([data[data["year"] == 2000].assign(year=year) for year in (1, 2)], ignore_index=True)
    same = malmquist_luenberger(still, **options).table
    assert same[["change", "efficiency", "technology"]].to_numpy() == pytest.approx(1)


def test_a_frontier_that_moves_out_is_technology_and_not_efficiency():
    before = panel(years=1, seed=6).assign(year=1)
    after = before.assign(y=before["y"] * 1.2, b1=before["b1"] * 0.8, b2=before["b2"] * 0.8, year=2)
    data = pd.concat([before, after], ignore_index=True)
    table = malmquist_luenberger(data, unit="city", period="year", **ROLES).table
    best = directional_distance(before, **ROLES).table["efficient"].to_numpy()
    assert table["efficiency"][best].to_numpy() == pytest.approx(1)
    assert (table["technology"][best] > 1).all()


def test_adjacent_productivity_change_equals_four_dense_programmes():
    data = panel(years=2, seed=7)
    table = malmquist_luenberger(data, unit="city", period="year", **ROLES, reference="adjacent").table
    move = np.array([0, 0, 1, 1, 1.0])
    years = [data.index[data["year"] == year] for year in (2000, 2001)]
    for city in (0, 5, 11):
        now, then = data.index[data["city"] == city]
        d = [[1 - dense(data, peers, k, "crs", move) for k in (now, then)] for peers in years]
        expected = np.sqrt(d[0][0] / d[0][1] * d[1][0] / d[1][1])
        assert table["change"][city] == pytest.approx(expected, rel=1e-8)
        assert table["efficiency"][city] == pytest.approx(d[0][0] / d[1][1], rel=1e-8)


def test_productivity_change_needs_one_row_a_unit_and_period():
    data = pd.concat([panel(), panel().iloc[[0]]])
    with pytest.raises(ValueError, match="more than one row"):
        malmquist_luenberger(data, unit="city", period="year", **ROLES)


def test_bootstrap_intervals_lie_below_the_score_and_hold_the_true_one():
    covered = []
    for seed in range(4):
        random = np.random.default_rng(seed)
        x = random.uniform(1, 10, 100)
        truth = np.exp(-np.abs(random.normal(0, 0.3, 100)))
        data = pd.DataFrame({"x": x, "y": np.sqrt(x * truth)})
        table = radial_intervals(data, inputs=["x"], outputs=["y"], draws=200, seed=1)
        covered.append(((table["low"] <= truth) & (truth <= table["high"])).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.07)
    assert (table["bias"] > 0).all() and (table["corrected"] < table["score"]).all()
    assert (table["low"] < table["high"]).all() and (table["high"] <= table["score"] + 1e-9).all()
    again = radial_intervals(data.iloc[::-1], inputs=["x"], outputs=["y"], draws=200, seed=1)
    pd.testing.assert_frame_equal(again.loc[data.index], table, check_exact=True)

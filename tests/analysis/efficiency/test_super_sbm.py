"""What super-SBM promises: reductions, invariances, bounds, statuses, and results that explain the scores."""

import numpy as np
import pandas as pd
import pytest

from analysis.efficiency import frontier as frontiers
from analysis.efficiency import simplex, super_sbm

ROLES = {"inputs": ["劳动", "capital", "energy"], "outputs": ["log(gdp)"], "bad_outputs": ["so2", "soot", "water"]}
COLUMNS = [*ROLES["inputs"], *ROLES["outputs"], *ROLES["bad_outputs"]]


def panel(cities=30, years=3, seed=0, columns=COLUMNS):
    random = np.random.default_rng(seed)
    size = random.lognormal(0, 1, (cities, 1)).repeat(years, axis=0)
    values = size * random.lognormal(0, 0.7, (cities * years, len(columns))) * 10.0 ** np.arange(len(columns))
    index = pd.Index([f"{city}-{year}" for city in range(cities) for year in range(years)], name="row")
    return pd.DataFrame(values, columns=columns, index=index).assign(
        year=np.tile(np.arange(2010, 2010 + years), cities)
    )


def scores(data, **options):
    return super_sbm(data, **{**ROLES, "period": "year", **options}).table["score"]


def test_the_table_is_indexed_like_the_data_and_the_data_are_not_changed():
    data = panel().sample(frac=1, random_state=1)
    before = data.copy(deep=True)
    table = super_sbm(data, **ROLES, period="year").table
    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_index_equal(table.index, data.index)
    assert list(table.columns) == ["score", "efficient", "sbm", *[f"slack_{name}" for name in COLUMNS], "status"]


@pytest.mark.parametrize("frontier", ["contemporaneous", "global", "sequential", "window"])
@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_scores_do_not_change_with_units_row_order_or_labels(frontier, returns):
    data = panel(seed=2)
    first = scores(data, frontier=frontier, returns=returns)
    other = data.copy()
    other[COLUMNS] *= [1e-6, 1e4, 3, 1e9, 0.1, 7, 1e-3]
    other = other.sample(frac=1, random_state=3)
    second = scores(other, frontier=frontier, returns=returns).reindex(first.index)
    assert second.to_numpy() == pytest.approx(first.to_numpy(), rel=1e-10, nan_ok=True)


def test_row_order_changes_not_one_bit():
    data = panel(seed=4)
    shuffled = data.sample(frac=1, random_state=5)
    first, second = super_sbm(data, **ROLES), super_sbm(shuffled, **ROLES)
    pd.testing.assert_frame_equal(first.table, second.table.loc[data.index], check_exact=True)
    pd.testing.assert_frame_equal(first.projection, second.projection.loc[data.index], check_exact=True)


def test_a_dominated_unit_scores_below_one_and_an_efficient_one_at_least_one():
    data = panel(seed=6)
    worse = data.iloc[[0]].copy()
    worse[ROLES["inputs"] + ROLES["bad_outputs"]] *= 1.05
    worse[ROLES["outputs"]] *= 0.95
    worse.index = ["worse"]
    table = super_sbm(pd.concat([data, worse]), **ROLES).table
    assert table.loc["worse", "score"] < 1 and not table.loc["worse", "efficient"]
    assert (table.loc[table["sbm"] > 1 - 1e-9, "score"] >= 1).all()
    inefficient = table["sbm"] <= 1 - 1e-9
    pd.testing.assert_series_equal(table.loc[inefficient, "score"], table.loc[inefficient, "sbm"], check_names=False)


def test_removing_a_unit_that_is_nobodys_peer_changes_no_score():
    data = panel(seed=7)
    result = super_sbm(data, **ROLES)
    others = result.peers.loc[result.peers["unit"] != result.peers["peer"], "peer"]
    lonely = data.index[~data.index.isin(others) & ~result.table["efficient"]][:10]
    assert len(lonely) == 10
    rest = super_sbm(data.drop(index=lonely), **ROLES).table["score"]
    assert rest.to_numpy() == pytest.approx(result.table["score"].drop(index=lonely).to_numpy(), rel=1e-10)


@pytest.mark.parametrize(("goods", "bads"), [(1, 1), (1, 3), (2, 1)])
def test_under_constant_returns_no_score_exceeds_the_bound(goods, bads):
    names = ["x", *[f"y{place}" for place in range(goods)], *[f"b{place}" for place in range(bads)]]
    random = np.random.default_rng(8)
    data = pd.DataFrame(random.lognormal(0, 3, (60, len(names))), columns=names)
    table = super_sbm(data, inputs=["x"], outputs=names[1 : 1 + goods], bad_outputs=names[1 + goods :]).table
    assert table["score"].max() <= (goods + bads) / bads + 1e-12
    alone = pd.DataFrame([[1, *[1e9] * goods, *[1] * bads], [1, *[1] * goods, *[1e9] * bads]], columns=names)
    extreme = super_sbm(alone, inputs=["x"], outputs=names[1 : 1 + goods], bad_outputs=names[1 + goods :]).table
    assert extreme["score"].iloc[0] == pytest.approx((goods + bads) / bads, rel=1e-8)


def test_without_periods_all_rows_are_pooled_whatever_the_frontier():
    data = panel(seed=9)
    pooled = scores(data, frontier="global")
    for frontier in ("contemporaneous", "global", "sequential", "window"):
        assert scores(data, period=None, frontier=frontier).to_numpy() == pytest.approx(pooled.to_numpy(), rel=1e-12)


def test_frontiers_compare_with_the_periods_they_name():
    data = panel(seed=10, years=4)

    def alone(first, last, now):
        some = data[data["year"].between(first, last)]
        return super_sbm(some, **ROLES).table["score"][some["year"] == now]

    for frontier, window, since in (("contemporaneous", 3, 2012), ("sequential", 3, 2010), ("window", 2, 2011)):
        now = scores(data, frontier=frontier, window=window)[data["year"] == 2012]
        pd.testing.assert_series_equal(now, alone(since, 2012, 2012), check_names=False)


def test_bad_as_input_is_super_sbm_with_bad_outputs_among_the_inputs():
    data = panel(seed=11)
    renamed = super_sbm(data, inputs=ROLES["inputs"] + ROLES["bad_outputs"], outputs=ROLES["outputs"]).table["score"]
    assert scores(data, period=None, objective="bad_as_input").to_numpy() == pytest.approx(
        renamed.to_numpy(), rel=1e-12
    )


def test_input_orientation_ignores_bad_slacks_that_output_orientation_counts():
    data = pd.DataFrame({"x": [1.0, 1.0], "y": [1.0, 1.0], "b": [1.0, 2.0]})
    roles = {"inputs": ["x"], "outputs": ["y"], "bad_outputs": ["b"], "super_efficiency": False}
    assert super_sbm(data, **roles, orientation="input").table["score"].tolist() == [1, 1]
    # The second could emit half as much: a slack of 1/2, averaged over two outputs.
    assert super_sbm(data, **roles, orientation="output").table["score"].iloc[1] == pytest.approx(1 / 1.25)


def test_super_efficiency_can_be_switched_off():
    data = panel(seed=12)
    plain = super_sbm(data, **ROLES, super_efficiency=False).table
    full = super_sbm(data, **ROLES).table
    assert plain["score"].max() == 1
    pd.testing.assert_series_equal(plain["efficient"], full["efficient"])
    pd.testing.assert_series_equal(plain["score"], full["sbm"], check_names=False)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_slacks_explain_the_score_and_the_projection_is_reached_by_the_peers(returns):
    data = panel(seed=13)
    result = super_sbm(data, **ROLES, returns=returns)
    table, peers = result.table, result.peers
    relative = table[[f"slack_{name}" for name in COLUMNS]].to_numpy() / data[COLUMNS].to_numpy()
    sign = np.where(table["sbm"] > 1 - 1e-9, 1, -1)
    rebuilt = (1 + sign * relative[:, :3].mean(axis=1)) / (1 - sign * relative[:, 3:].mean(axis=1))
    scored = table["score"].notna()
    assert scored.sum() > 60
    assert rebuilt[scored] == pytest.approx(table["score"][scored].to_numpy(), rel=1e-9)
    weights = np.zeros((len(data), len(data)))
    weights[peers["unit_row"], peers["peer_row"]] = peers["weight"]
    reached = (weights @ data[COLUMNS].to_numpy())[scored]
    target = result.projection.to_numpy()[scored]
    good = 3
    assert (np.delete(reached, good, axis=1) <= np.delete(target, good, axis=1) * (1 + 1e-9)).all()
    assert (reached[:, good] >= target[:, good] * (1 - 1e-9)).all()
    if returns == "vrs":
        assert weights.sum(axis=1)[scored] == pytest.approx(1)


def test_at_its_own_prices_a_unit_loses_what_its_score_lacks_and_nobody_gains():
    data = panel(seed=14)
    result = super_sbm(data, **ROLES, super_efficiency=False)
    prices = result.prices[[f"price_{name}" for name in COLUMNS]].to_numpy()
    signs = np.array([1, 1, 1, -1, 1, 1, 1])
    profit = prices * signs @ data[COLUMNS].to_numpy().T
    inefficient = ~result.table["efficient"].to_numpy()
    # At a unit's prices nobody makes a profit, its peers break even, and its own loss is one minus its score.
    assert (profit > -1e-9 * np.abs(prices * data[COLUMNS].to_numpy()).sum(axis=1)[:, None].max()).all()
    assert np.diag(profit)[inefficient] == pytest.approx(1 - result.table["score"].to_numpy()[inefficient], rel=1e-7)
    shadow = result.prices["shadow_so2"] * result.prices["price_log(gdp)"]
    assert shadow.to_numpy() == pytest.approx(result.prices["price_so2"].to_numpy())


def test_bad_data_get_a_status_and_serve_in_no_reference_set():
    data = panel(seed=15)
    clean = scores(data.iloc[7:])
    data.iloc[0, 0] = 0
    data.iloc[1, 1] = -1
    data.iloc[2, 2] = np.nan
    data.iloc[3, 3] = np.inf
    data.iloc[4, [0, 4]] = [0, np.nan]
    data["year"] = data["year"].astype(float)
    data.iloc[5, 7] = np.nan
    data.iloc[6, :7] = 0
    result = super_sbm(data, **ROLES, period="year")
    table = result.table
    assert table["score"].iloc[:7].isna().all() and not table["efficient"].iloc[:7].any()
    assert table["status"].iloc[:6].tolist() == [
        "no score: zero in '劳动'",
        "no score: negative value in 'capital'",
        "no score: missing value in 'energy'",
        "no score: infinite value in 'log(gdp)'",
        "no score: missing value in 'so2'; zero in '劳动'",
        "no score: missing period",
    ]
    pd.testing.assert_series_equal(table["score"].iloc[7:], clean)
    assert "7 units have no score" in result.summary()


def test_an_infeasible_super_efficiency_is_a_status_not_a_number():
    data = pd.DataFrame({"x": [1.0, 2, 3], "y": [1.0, 3, 4], "b": [0.01, 5, 6]})
    roles = {"inputs": ["x"], "outputs": ["y"], "bad_outputs": ["b"]}
    table = super_sbm(data, **roles, returns="vrs").table
    assert np.isnan(table["score"].iloc[0]) and table["sbm"].iloc[0] == 1
    assert table["status"].iloc[0].startswith("infeasible") and "vrs" in table["status"].iloc[0]
    assert table.filter(like="slack").iloc[0].isna().all()
    crs = super_sbm(data, **roles, orientation="input").table
    assert crs["status"].iloc[0].startswith("infeasible") and "input" in crs["status"].iloc[0]


def test_duplicates_are_named_and_an_efficient_twin_scores_exactly_one():
    data = panel(seed=16)
    best = super_sbm(data, **ROLES).table["score"].idxmax()
    twins = pd.concat([data, data.loc[[best]]])
    table = super_sbm(twins, **ROLES).table
    assert (table.loc[best, "score"] == 1).all()
    assert table.loc[best, "status"].str.contains("same values").all()
    assert table["status"].str.contains("same values").sum() == 2


def test_a_unit_alone_on_its_frontier_has_no_super_efficiency():
    data = panel(seed=17)
    data.iloc[0, 7] = 1999
    table = super_sbm(data, **ROLES, period="year").table
    assert np.isnan(table["score"].iloc[0]) and table["status"].iloc[0].startswith("no score: no other unit")
    assert super_sbm(data, **ROLES, period="year", super_efficiency=False).table["score"].iloc[0] == 1


def test_a_constant_column_is_noted_and_scored():
    result = super_sbm(panel(seed=18).assign(energy=5.0), **ROLES)
    assert result.table["score"].notna().all()
    assert any("'energy' is the same" in note for note in result.notes)


def test_an_empty_table_and_one_without_a_usable_row_give_no_score():
    data = panel()
    assert super_sbm(data.iloc[:0], **ROLES, period="year").table.empty
    assert super_sbm(data * 0, **ROLES).table["score"].isna().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": ["nowhere"]}, "no column 'nowhere'"),
        ({"inputs": []}, "At least one input"),
        ({"inputs": "capital"}, "list of column names"),
        ({"outputs": ["so2"]}, "more than one place"),
        ({"frontier": "local"}, "frontier must be one of"),
        ({"returns": "irs"}, "returns must be one of"),
        ({"orientation": "both"}, "orientation must be one of"),
        ({"objective": "other"}, "objective must be one of"),
        ({"window": 0}, "window must be"),
        ({"period": "month"}, "no column 'month'"),
        ({"inputs": ["name"]}, "must be numbers"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(options, words):
    data = panel().assign(name="a")
    with pytest.raises(ValueError, match=words):
        super_sbm(data, **{**ROLES, "period": "year", **options})


@pytest.mark.parametrize("returns", ["crs", "vrs"])
@pytest.mark.parametrize("frontier", ["global", "sequential"])
def test_the_search_for_spanning_columns_changes_no_score(monkeypatch, returns, frontier):
    data = panel(cities=40, years=6, seed=19)
    full = super_sbm(data, **ROLES, period="year", frontier=frontier, returns=returns).table
    monkeypatch.setattr(frontiers, "SEARCH_ABOVE", 10)
    monkeypatch.setattr(frontiers, "DIRECTIONS", 3)
    short = super_sbm(data, **ROLES, period="year", frontier=frontier, returns=returns).table
    assert short["score"].to_numpy() == pytest.approx(full["score"].to_numpy(), rel=1e-10, nan_ok=True)
    assert (short["status"] == full["status"]).all()


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_the_solver_takes_over_what_the_simplex_gives_up_and_agrees(monkeypatch, returns):
    data = panel(seed=20)
    ours = super_sbm(data, **ROLES, period="year", returns=returns).table
    run = simplex._run
    monkeypatch.setattr(
        simplex, "_run", lambda batch, units, candidates, limit, by: run(batch, units, candidates, 1, by)
    )
    highs = super_sbm(data, **ROLES, period="year", returns=returns).table
    assert highs["score"].to_numpy() == pytest.approx(ours["score"].to_numpy(), rel=1e-8, nan_ok=True)
    assert (highs["status"] == ours["status"]).all()

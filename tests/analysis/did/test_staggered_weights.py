"""Weights and clusters above the unit in estimators of staggered adoption: units that stand for several."""

import numpy as np
import pandas as pd
import pytest
from staggered_panel import staggered_panel

from analysis.did import callaway_santanna, imputation, two_way
from analysis.results import CannotEstimate

KEYS = {"unit": "unit", "time": "time"}
ESTIMATORS = {
    "reg": lambda p, **how: callaway_santanna(p, "y", "first", ["x"], **KEYS, method="reg", **how),
    "ipw": lambda p, **how: callaway_santanna(p, "y", "first", ["x"], **KEYS, method="ipw", **how),
    "dr": lambda p, **how: callaway_santanna(p, "y", "first", ["x"], **KEYS, method="dr", **how),
    "not_yet": lambda p, **how: callaway_santanna(p, "y", "first", **KEYS, control="not_yet", **how),
    "imputation": lambda p, **how: imputation(p, "y", "first", **KEYS, **how),
}


def counted(seed: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A panel with a number for each unit, and the panel in which each unit stands that many times."""
    panel = staggered_panel(seed, units=60, trend=0.2).sample(frac=0.95, random_state=seed)
    names = panel["unit"].unique()
    number = pd.Series(np.random.default_rng(seed).integers(1, 5, len(names)), index=names)
    panel = panel.assign(number=panel["unit"].map(number), region=panel["unit"].str[-1])
    spelled = panel.loc[panel.index.repeat(panel["number"])].copy()
    spelled["original"] = spelled["unit"]
    spelled["unit"] = spelled["unit"] + "/" + spelled.groupby(["unit", "time"]).cumcount().astype(str)
    return panel, spelled


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_unit_of_weight_three_is_three_units_of_one_cluster(name: str) -> None:
    panel, spelled = counted()
    ours = ESTIMATORS[name](panel, weights="number", weights_type="frequency")
    theirs = ESTIMATORS[name](spelled, cluster="original")
    for table in ("table", "event"):
        one, other = getattr(ours, table), getattr(theirs, table)
        assert np.allclose(one["estimate"], other["estimate"], rtol=1e-8, equal_nan=True)
        assert np.allclose(one["se"], other["se"], rtol=1e-8, equal_nan=True)
    assert ours.att == pytest.approx(theirs.att, rel=1e-9)
    assert ours.se == pytest.approx(theirs.se, rel=1e-9)
    assert ours.n == theirs.n == len(spelled)
    assert abs(ESTIMATORS[name](panel).att / ours.att - 1) > 1e-3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_equal_weights_and_clusters_by_unit_change_nothing(name: str) -> None:
    panel, _ = counted()
    plainly = ESTIMATORS[name](panel)
    weighted = ESTIMATORS[name](panel.assign(w=3.0, same=panel["unit"]), weights="w", cluster="same")
    assert np.allclose(weighted.table[["estimate", "se"]], plainly.table[["estimate", "se"]], rtol=1e-9, equal_nan=True)
    assert weighted.n == plainly.n


@pytest.mark.parametrize("name", ["not_yet", "imputation"])
def test_clusters_above_the_unit_see_shocks_that_units_share(name: str) -> None:
    """Firms in cities, the policy a city's: clusters by firm promise too much, clusters by city cover."""
    inside = {"unit": [], "city": []}
    for seed in range(40):
        cities = staggered_panel(seed, units=45, noise=0.5)
        firms = cities.loc[cities.index.repeat(6)].reset_index(drop=True)
        firms = firms.assign(city=firms["unit"], unit=firms["unit"] + "/" + (firms.index % 6).astype(str))
        firms["y"] += 0.3 * np.random.default_rng(seed).normal(size=len(firms))
        truth = firms.loc[firms["treated"] == 1, "effect"].mean()
        for cluster in inside:
            found = ESTIMATORS[name](firms, cluster=cluster)
            inside[cluster].append(abs(found.att - truth) < 1.96 * found.se)
    assert np.mean(inside["unit"]) < 0.8
    assert np.mean(inside["city"]) > 0.85


def test_the_band_of_the_bootstrap_is_wider_with_few_clusters() -> None:
    panel, _ = counted()
    plainly = callaway_santanna(panel, "y", "first", **KEYS, draws=500)
    regions = callaway_santanna(panel, "y", "first", **KEYS, draws=500, cluster="region")
    assert not np.allclose(regions.event["se_bootstrap"], plainly.event["se_bootstrap"], rtol=0.02)
    assert any("Only 10 clusters by 'region'" in note for note in regions.notes)


def test_leads_of_an_imputation_are_weighted_and_clustered_as_the_regression_is() -> None:
    panel, _ = counted()
    event = imputation(panel, "y", "first", **KEYS, leads=[-2], weights="number", cluster="region").event
    untreated = panel[~(panel["time"] >= panel["first"])].assign(lead=lambda p: (p["time"] - p["first"] == -2) * 1.0)
    direct = two_way(untreated, "y", "lead", **KEYS, weights="number", cluster="region").table.loc["lead"]
    assert event.loc[-2, "estimate"] == pytest.approx(direct["estimate"], rel=1e-9)
    assert event.loc[-2, "se"] == pytest.approx(direct["se"], rel=2e-2)


def test_what_a_unit_cannot_have_two_of_is_refused() -> None:
    panel, _ = counted()
    moving = panel.assign(w=panel["time"] - 1999, city=panel["time"] % 3)
    with pytest.raises(CannotEstimate, match=r"has several values of 'w'.* callaway_santanna needs one"):
        callaway_santanna(moving, "y", "first", **KEYS, weights="w")
    for estimate in (ESTIMATORS["not_yet"], ESTIMATORS["imputation"]):
        with pytest.raises(CannotEstimate, match="several values of 'city'"):
            estimate(moving, cluster="city")
        with pytest.raises(CannotEstimate, match="has one value only"):
            estimate(panel.assign(city=1), cluster="city")
        with pytest.raises(CannotEstimate, match="Weight 'w' is -1"):
            estimate(panel.assign(w=-1.0), weights="w")

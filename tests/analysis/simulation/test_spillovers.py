"""The second sample world: effects of the AI zones reach the neighbours, and the truth says how far."""

import numpy as np
import pandas as pd
import pytest

from analysis.simulation.sample import truth_of
from analysis.simulation.world import draw_world
from analysis.studies import spec
from analysis.studies.truth import true_effects
from dagster_project.paths import POLICIES, REFERENCE, Paths


@pytest.fixture(scope="module")
def lists():
    return [
        pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in (REFERENCE / "cities.csv", POLICIES / "innovative_clusters.csv", POLICIES / "ai_pilot_zones.csv")
    ]


@pytest.fixture(scope="module")
def worlds(lists):
    cities, clusters, zones = lists
    return {share: draw_world(cities, clusters, 0, zones, share) for share in (0.0, 0.5)}


def test_the_base_world_spills_nothing(worlds):
    assert worlds[0.0].spilled == {}
    assert not any("spilled" in name for name in truth_of(worlds[0.0], pd.DataFrame({"rule": []})).table)


def test_only_the_savings_of_zones_and_their_neighbours_differ_between_the_worlds(worlds):
    base, spilled = worlds[0.0], worlds[0.5]
    assert {name for name in base.indicators if (base.indicators[name] != spilled.indicators[name]).any()} == {
        "built_up_area",
        "electricity",
    }
    zone = ~np.isnan(base.ai_adoption)
    more = (spilled.indicators["electricity"] < base.indicators["electricity"]).any(axis=1)
    assert (more & ~zone).sum() >= 10
    assert (~more).sum() >= 10
    first = int(np.nanmin(base.ai_adoption))
    assert (spilled.indicators["electricity"] == base.indicators["electricity"])[:, base.years < first].all()


def test_what_spills_over_lies_where_neighbours_are_zones(worlds):
    world = worlds[0.5]
    amount = np.nan_to_num(world.spilled["ulgue"])
    passed = (world.indicators["electricity"] < worlds[0.0].indicators["electricity"]).any(axis=1)
    gain = amount[:, world.years == 2023].ravel()
    # through the frontier others change too, by far less and on average not upwards
    assert gain[passed].mean() > 0.005
    assert gain[passed].mean() > 5 * abs(gain[~passed].mean())


def test_the_durbin_models_truth_is_known_there_and_nowhere_else(worlds, lists):
    study = spec.load(spec.catalogue()["ai_pilot_zones"])
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
    found = {}
    for share, world in worlds.items():
        truth = truth_of(world, pd.DataFrame({"rule": []}))
        found[share] = true_effects(study, study.exhibit("table_11"), truth.ai_panel, truth.table, cities)
    assert found[0.0].empty
    values = found[0.5].set_index("term")["truth"]
    assert set(found[0.5]["model"]) == {"contiguity, sdm"}
    assert 0.02 < values["direct"] < 0.15
    assert 0.02 < values["indirect"] < 0.30
    assert values["total"] == pytest.approx(values["direct"] + values["indirect"])


def test_a_world_that_does_not_exist_is_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("PILOTCITY_DATA", str(tmp_path))
    monkeypatch.delenv("PILOTCITY_RAW", raising=False)
    monkeypatch.setenv("PILOTCITY_SAMPLE", "spillovers")
    assert Paths.from_environment() == Paths(tmp_path, tmp_path / "sample_spillovers", is_sample=True)
    monkeypatch.setenv("PILOTCITY_SAMPLE", "spilovers")
    with pytest.raises(ValueError, match="'spilovers'; the sample worlds are base and spillovers"):
        Paths.from_environment()

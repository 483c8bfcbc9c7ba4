"""The graph as the web page shows it: a change of any key, group, dependency or check shows in review.

Write the snapshot anew with PILOTCITY_SNAPSHOT=write.
"""

from __future__ import annotations

import json
import os
from graphlib import TopologicalSorter
from pathlib import Path

import dagster as dg
import pytest

from dagster_project import definitions, spark
from dagster_project.paths import Paths

pytestmark = pytest.mark.xdist_group("definitions")

SNAPSHOT = Path(__file__).parent / "assets.json"


@pytest.fixture(scope="module")
def graph(built) -> dg.AssetGraph:
    return built.resolve_asset_graph()


def test_groups_stand_one_after_the_other(graph):
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    feeds: dict[str, set[str]] = {}
    for node in nodes:
        parents = {graph.get(parent).group_name for parent in node.parent_keys} - {node.group_name}
        feeds.setdefault(node.group_name, set()).update(parents)
    order = [*TopologicalSorter(feeds).static_order()]  # raises where they stand in a circle
    ours = ["raw", "staging", "intermediate", "city_year", "scores", "panels", "candidate", "estimates", "published"]
    assert [group for group in order if group in ours] == ours


def described(graph: dg.AssetGraph) -> dict[str, dict]:
    found = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        checks = [graph.get(check) for check in sorted(node.check_keys, key=str)]
        found[key.to_user_string()] = {
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "owners": sorted(node.owners),
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "checks": sorted(f"{check.key.name}{' (blocking)' if check.blocking else ''}" for check in checks),
        }
    return found


def test_the_graph_is_the_one_that_was_reviewed(graph):
    found = described(graph)
    if os.environ.get("PILOTCITY_SNAPSHOT") == "write":
        SNAPSHOT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_on_spark_the_graph_is_the_same_but_for_the_engine_of_two_models(built, monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "spark")
    data = Path(os.environ["PILOTCITY_WAREHOUSE"]).parent.parent
    found = described(definitions.build(Paths(data, data / "sample", is_sample=True)).resolve_asset_graph())
    expected = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    for model in spark.MODELS:
        expected[f"staging/{model}"]["kinds"] = ["dbt", "spark"]
    assert found == expected


def test_every_asset_says_what_it_is_who_keeps_it_and_where_it_belongs(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        assert node.description and len(node.description) > 20, name
        assert node.owners, name
        assert node.kinds, name
        assert node.group_name not in (None, "default"), name
        assert node.metadata["dagster/code_references"].code_references, name


def test_every_asset_made_from_the_sample_world_says_so_first_and_committed_lists_do_not(graph):
    unmarked = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if not graph.get(key).description.startswith("SAMPLE DATA")
    }
    assert all(name.startswith("raw/") for name in unmarked)
    assert {"raw/cities", "raw/policies", "raw/studies"} <= unmarked
    assert unmarked.isdisjoint({"raw/patent_records", "raw/patent_records_by_year", "raw/city_yearbook"})


def test_assets_made_from_real_files_carry_no_mark(tmp_path):
    real = Paths(tmp_path / "data", tmp_path / "raw", is_sample=False)
    spec = dg.AssetSpec(["panels", "city_year"], description="One row a city and year.")
    assert definitions._marked(spec, real, {}).description == "One row a city and year."


def test_every_panel_has_a_check_that_blocks_and_one_that_warns(graph):
    tables = ("data_dictionary", "caliber_changes")
    studies = [key for key in graph.get_all_asset_keys() if key.path[0] == "panels" and key.path[1] not in tables]
    assert len(studies) >= 4
    for key in studies:
        blocking = {check.name: graph.get(check).blocking for check in graph.get(key).check_keys}
        assert blocking["must_hold"] is True, key
        assert blocking["should_hold"] is False, key


def test_nothing_is_published_before_every_check_and_every_exhibit(graph):
    published = dg.AssetKey(["publication", "published"])
    before = graph.get_ancestor_asset_keys(published) if hasattr(graph, "get_ancestor_asset_keys") else None
    if before is None:
        before, open_ = set(), [published]
        while open_:
            for parent in graph.get(open_.pop()).parent_keys:
                if parent not in before:
                    before.add(parent)
                    open_.append(parent)
    everything = set(graph.get_all_asset_keys()) - {published}
    assert everything - before == set()


def test_an_exhibit_depends_on_its_own_panels_behind_their_gate_and_on_nothing_else(graph):
    from analysis.studies import spec
    from analysis.studies.kinds import KINDS

    for name, path in spec.catalogue().items():
        study = spec.load(path)
        for exhibit in study.exhibits:
            parents = {key.to_user_string() for key in graph.get(dg.AssetKey([name, exhibit.name])).parent_keys}
            panels = {name} | {model.panel for model in exhibit.models if model.panel}
            behind = (
                {"panels/city_year", "publication/candidate"} if "city_year" in KINDS[exhibit.kind].reads else set()
            )
            assert parents == {f"{layer}/{panel}" for layer in ("panels", "candidate") for panel in panels} | behind
        # the audit reads the candidate once every estimate is in it
        after = {dg.AssetKey(["publication", part]) for part in ("estimates", "agreement")}
        assert graph.get(dg.AssetKey([name, "audit"])).parent_keys == after


def test_every_study_and_every_contract_is_in_the_graph(graph):
    from analysis.studies import spec
    from dagster_project.ingest import contracts
    from dagster_project.paths import CONTRACTS

    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    for name, path in spec.catalogue().items():
        assert f"panels/{name}" in keys
        assert {f"{name}/{exhibit.name}" for exhibit in spec.load(path).exhibits} <= keys
    assert {f"raw/{source}" for source in contracts.load_all(CONTRACTS)} <= keys

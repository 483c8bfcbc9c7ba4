"""What follows what by itself: the conditions and schedules of the real graph, looked at tick by tick; nothing runs."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.test_utils import create_run_for_test

from dagster_project import executor, schedules

pytestmark = pytest.mark.xdist_group("definitions")

PUBLISHED = "publication/published"


def key(text: str) -> dg.AssetKey:
    return dg.AssetKey(text.split("/"))


class Daemon:
    """The automation sensor, tick by tick, on an instance where everything was materialised once."""

    def __init__(self, definitions: dg.Definitions) -> None:
        self.definitions = definitions
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None
        self.version = 0
        self.run({asset.to_user_string() for asset in definitions.resolve_asset_graph().get_all_asset_keys()})
        self.tick()

    def run(self, assets, *, selected=None, content: str | None = None, tags=None, partition=None) -> None:
        """A run that was to materialise ``selected`` and came as far as ``assets``."""
        selection = frozenset(key(name) for name in selected or assets)
        made = create_run_for_test(
            self.instance, asset_selection=selection, status=dg.DagsterRunStatus.SUCCESS, tags=tags
        )
        self.version += 1
        for name in sorted(assets):
            version = {"dagster/data_version": content or str(self.version)}
            self.report(
                made, StepMaterializationData(dg.AssetMaterialization(key(name), tags=version, partition=partition))
            )

    def report(self, run, data) -> None:
        kind = DagsterEventType.ASSET_MATERIALIZATION.value
        self.instance.report_dagster_event(DagsterEvent(kind, run.job_name, event_specific_data=data), run.run_id)

    def check(self, check: dg.AssetCheckKey, passed: bool) -> None:
        """The outcome of a check on what was materialised last."""
        (last,) = self.instance.fetch_materializations(check.asset_key, limit=1).records
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=last.storage_id, run_id=last.run_id, timestamp=last.timestamp
        )
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=passed,
                metadata={},
                severity=dg.AssetCheckSeverity.ERROR,
                target_materialization_data=target,
            )
        )

    def tick(self) -> set[str]:
        """Assets that this tick starts."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {found.key.to_user_string() for found in result.results if found.true_subset.size}


@pytest.fixture(scope="module")
def daemon(built):
    return Daemon(built)


def below(daemon: Daemon, name: str) -> set[str]:
    """Everything that an asset feeds."""
    graph = daemon.definitions.resolve_asset_graph()
    found = dg.AssetSelection.assets(name).downstream(include_self=False).resolve(graph)
    return {asset.to_user_string() for asset in found}


def test_one_exhibit_alone_is_followed_by_what_publishes_it_and_by_nothing_else(daemon):
    daemon.run({"innovative_clusters/table_4"})
    started = daemon.tick()
    assert started == below(daemon, "innovative_clusters/table_4")
    assert {"publication/estimates", "report/site", PUBLISHED} <= started
    assert not any(name.startswith(("raw/", "staging/", "panels/")) for name in started)
    assert daemon.tick() == set()


def test_a_source_with_new_content_is_followed_by_all_it_feeds_up_to_the_publication(daemon):
    daemon.run({"raw/patent_records"})
    started = daemon.tick()
    assert started == below(daemon, "raw/patent_records")
    assert PUBLISHED in started
    assert "scores/tables" not in started
    assert daemon.tick() == set()


def test_a_year_that_was_read_alone_is_followed_by_its_source_and_all_that_feeds(daemon):
    daemon.run({"raw/patent_records_by_year"}, partition="2012")
    assert daemon.tick() == below(daemon, "raw/patent_records_by_year")
    assert daemon.tick() == set()


def test_a_year_that_was_read_alone_and_has_not_changed_is_followed_by_nothing(daemon):
    daemon.run({"raw/patent_records_by_year"}, partition="2013", content="the same files")
    daemon.tick()
    daemon.run({"raw/patent_records_by_year"}, partition="2013", content="the same files")
    assert daemon.tick() == set()


def test_a_source_that_was_looked_at_and_has_not_changed_is_followed_by_nothing(daemon):
    daemon.run({"raw/patent_records"}, content="the same files")
    daemon.tick()
    daemon.run({"raw/patent_records"}, content="the same files")
    assert daemon.tick() == set()


def test_a_whole_refresh_is_followed_by_nothing_even_when_it_failed_on_its_way(daemon):
    graph = daemon.definitions.resolve_asset_graph()
    everything = {asset.to_user_string() for asset in graph.get_all_asset_keys()}
    daemon.run(everything, tags=executor.WHOLE)
    assert daemon.tick() == set()
    half = {name for name in everything if name.startswith(("raw/", "staging/"))}
    daemon.run(half, selected=everything)
    assert daemon.tick() == set()


def test_what_a_condition_starts_takes_the_checks_with_it(built):
    """A run of assets alone has all their checks: the gate holds in a partial run too."""
    job = built.resolve_job_def("refresh").get_subset(asset_selection={key("panels/innovative_clusters")})
    assert (
        dg.AssetCheckKey(key("panels/innovative_clusters"), "must_hold") in job.asset_layer.asset_graph.asset_check_keys
    )


def test_what_runs_by_itself_is_on_when_the_daemon_runs(built):
    repository = built.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {"raw_folder", "failed_refresh", "after_what_it_reads"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)
    found = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {name: schedule.cron_schedule for name, schedule in found.items()} == {
        "yearbooks": schedules.YEARLY,
        "records": schedules.MONTHLY,
    }
    assert all(schedule.default_status is dg.DefaultScheduleStatus.RUNNING for schedule in found.values())


def test_the_schedules_look_at_every_source_and_at_nothing_else(built):
    from dagster_project.ingest import contracts
    from dagster_project.paths import CONTRACTS

    looked = set()
    for name in ("look_at_yearbooks", "look_at_records"):
        job = built.resolve_job_def(name)
        looked |= {asset.to_user_string() for asset in job.asset_layer.executable_asset_keys}
    assert looked == {f"raw/{source}" for source in contracts.load_all(CONTRACTS)}


def test_sources_and_the_publication_promise_how_old_they_get(built):
    graph = built.resolve_asset_graph()
    assert graph.get(key("raw/patent_records")).freshness_policy == schedules.RECORDS_AT_LATEST
    assert graph.get(key("raw/court_cases")).freshness_policy == schedules.RECORDS_AT_LATEST
    assert graph.get(key("raw/city_yearbook")).freshness_policy == schedules.YEARBOOKS_AT_LATEST
    assert graph.get(key(PUBLISHED)).freshness_policy == schedules.PUBLISHED_AT_LATEST


def test_nothing_follows_a_panel_whose_blocking_check_failed(daemon):
    check = dg.AssetCheckKey(key("panels/innovative_clusters"), "must_hold")
    daemon.run({"panels/innovative_clusters"})
    daemon.check(check, passed=False)
    assert daemon.tick() == set()
    daemon.run({"scores/tables"})
    assert "publication/candidate" in daemon.tick()  # the panels are made anew, and checked again on the way

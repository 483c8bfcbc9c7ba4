"""When things run by themselves, and how old they may grow: two schedules, one condition for all that comes after.

On whenever the daemon runs (`pilotcity ui`). Sources are looked at by the clock; whatever a changed source feeds
follows in one run, up to a publication. What a changed file starts stands in sensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg
from dagster import AutomationCondition as Condition

from dagster_project.executor import WHOLE
from dagster_project.ingest.contracts import Contract

PUBLISHED = dg.AssetKey(["publication", "published"])

#: Yearbooks come out from autumn on: looked for on the first of November, at three.
YEARLY = "0 3 1 11 *"
#: Patents and court cases: on the second of every month, at three.
MONTHLY = "0 3 2 * *"

#: What each freshness policy promises: how long ago the asset was last brought up to date, at the latest.
YEARBOOKS_AT_LATEST = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=400), warn_window=timedelta(days=370))
RECORDS_AT_LATEST = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=45), warn_window=timedelta(days=35))
PUBLISHED_AT_LATEST = YEARBOOKS_AT_LATEST


def after_what_it_reads() -> Condition:
    """Run when something it reads has new content and no run is already on its way to do so.

    Not when the run that brought the new content takes in this asset too (a whole refresh, a run of the raw folder's
    sensor): that run ends in a publication of its own, or leaves the last one alone.
    """
    new = (
        Condition.newly_updated()
        & Condition.data_version_changed()
        & ~Condition.executed_with_root_target()
        & ~Condition.executed_with_tags(tag_values=WHOLE)
    ).with_label("new content from a run without this")
    moved = Condition.any_deps_match(new | Condition.will_be_requested()).since_last_handled()
    broken = Condition.any_checks_match(Condition.check_failed(), blocking_only=True) & ~Condition.will_be_requested()
    return (
        moved
        & ~Condition.any_deps_match(broken)
        & ~Condition.any_deps_missing()
        & ~Condition.any_deps_in_progress()
        & ~Condition.in_progress()
    ).with_label("after what it reads")


def after_a_backfill() -> Condition:
    """Run when years of a source of records came out otherwise than before, in a run without the source itself.

    Most years have no file and were never read, so that missing partitions are no reason to wait.
    """
    new = (
        Condition.newly_updated()
        & Condition.data_version_changed()
        & ~Condition.executed_with_root_target()
        & ~Condition.executed_with_tags(tag_values=WHOLE)
    ).with_label("years read in a run without this")
    moved = Condition.any_deps_match(new).since_last_handled()
    return (moved & ~Condition.any_deps_in_progress() & ~Condition.in_progress()).with_label("after a backfill")


def by_itself(spec: dg.AssetSpec, found: dict[str, Contract]) -> dg.AssetSpec:
    """An asset with its condition and its freshness policy: raw ones by the clock, others after what they read."""
    layer, name = spec.key.path[0], spec.key.path[-1]
    if layer == "raw":
        if name not in found:
            return spec
        if found[name].kind == "yearbook":
            return spec.replace_attributes(freshness_policy=YEARBOOKS_AT_LATEST)
        return spec.replace_attributes(freshness_policy=RECORDS_AT_LATEST, automation_condition=after_a_backfill())
    fresh = PUBLISHED_AT_LATEST if spec.key == PUBLISHED else None
    return spec.replace_attributes(automation_condition=after_what_it_reads(), freshness_policy=fresh)


def automation() -> dg.AutomationConditionSensorDefinition:
    """The sensor that looks at the conditions, on by default."""
    return dg.AutomationConditionSensorDefinition(
        "after_what_it_reads",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Starts, in one run, whatever is fed by an asset that has new content, up to the publication.",
    )


def timezone() -> str:
    """The zone whose clock schedules go by: PILOTCITY_TIMEZONE, else this machine's, else UTC.

    Raises
    ------
    ValueError
        PILOTCITY_TIMEZONE names no zone, such as Asia/Shanghai.
    """
    asked = os.environ.get("PILOTCITY_TIMEZONE")
    if asked:
        if not _is_zone(asked):
            raise ValueError(f"PILOTCITY_TIMEZONE is {asked!r}, which is no time zone; write one as Asia/Shanghai.")
        return asked
    stated = Path("/etc/timezone")
    found = [os.environ.get("TZ", "").removeprefix(":"), stated.read_text().strip() if stated.is_file() else ""]
    found.append(str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2])
    return next((name for name in found if name and _is_zone(name)), "UTC")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def schedules(found: dict[str, Contract]) -> list[dg.ScheduleDefinition]:
    """Yearbooks once a year, records every month."""
    yearbooks = [contract.source for contract in found.values() if contract.kind == "yearbook"]
    records = [contract.source for contract in found.values() if contract.kind != "yearbook"]
    return [
        _schedule("yearbooks", yearbooks, YEARLY, "Looks at every yearbook file once a year; what changed is read."),
        _schedule("records", records, MONTHLY, "Looks at patents and court cases every month; what changed is read."),
    ]


def _schedule(name: str, sources: Iterable[str], cron: str, description: str) -> dg.ScheduleDefinition:
    keys = [dg.AssetKey(["raw", source]) for source in sources]
    return dg.ScheduleDefinition(
        name=name,
        job=dg.define_asset_job(f"look_at_{name}", dg.AssetSelection.assets(*keys), description=description),
        cron_schedule=cron,
        execution_timezone=timezone(),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )

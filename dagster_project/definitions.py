"""Everything Dagster is told about the project, assembled in one place; tests assemble it for other folders."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from dagster_project import checks, executor, overlay, schedules, sensors
from dagster_project.assets import audits, efficiency, exports, publish, reports, sources, studies, warehouse, years
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import Paths
from dagster_project.resources import dbt_project, dbt_resource

REFRESH = "refresh"


def build(paths: Paths) -> dg.Definitions:
    """Assets, checks, jobs and resources for one set of folders."""
    found, loaded = overlay.contracts(paths), overlay.studies(paths)
    project = dbt_project(paths, loaded)
    assets = [
        *sources.source_assets(paths, found),
        *warehouse.dbt_models(paths, project, found, efficiency.score_keys(loaded)),
        *efficiency.score_assets(paths, loaded),
        publish.candidate(paths, loaded),
        *studies.study_assets(paths, loaded),
        publish.estimates(paths, loaded),
        *audits.audit_assets(paths, loaded),
        *exports.export_assets(paths, loaded),
        reports.data_docs(paths, loaded),
        reports.site(paths, loaded),
        publish.published(paths),
    ]
    refresh = dg.define_asset_job(
        REFRESH,
        # years can be backfilled one by one; raw/<source> takes in all of them (see assets/years)
        dg.AssetSelection.all() - dg.AssetSelection.assets(*years.keys(found)),
        description="Raw files to report: everything, in order.",
    )
    return dg.Definitions(
        assets=_with_links(
            dg.map_asset_specs(lambda spec: _marked(schedules.by_itself(spec, found), paths, found), assets)
        ),
        asset_checks=[*checks.layer_checks(paths, found), *warehouse.panel_checks(paths, loaded)],
        jobs=[refresh],
        schedules=schedules.schedules(found),
        sensors=[
            sensors.raw_folder(paths, found, refresh),
            sensors.failed_refresh(paths),
            schedules.automation(),
        ],
        executor=executor.one_at_a_time(paths),
        resources={"dbt": dbt_resource(project)},
    )


def _marked(spec: dg.AssetSpec, paths: Paths, found: Mapping[str, Contract]) -> dg.AssetSpec:
    """An asset made from the sample world says so before anything else on its page; committed lists hold no sample."""
    committed = spec.key.path[0] == "raw" and spec.key.path[-1].removesuffix("_by_year") not in found
    if not paths.is_sample or committed:
        return spec
    return spec.replace_attributes(description=f"SAMPLE DATA, simulated: no finding. {spec.description or ''}".strip())


def _with_links(assets: Sequence[dg.AssetsDefinition]) -> Sequence[Any]:
    """Assets with the file and line that they are defined at; the function is marked beta, which is no news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.with_source_code_references(assets)


@dg.definitions
def defs() -> dg.Definitions:
    """The project as the environment sets it; what the web page and the daemon load."""
    return build(Paths.from_environment())

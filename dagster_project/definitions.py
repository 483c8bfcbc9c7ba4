"""Everything Dagster is told about the project, assembled in one place; tests assemble it for other folders."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project import checks, executor, overlay, schedules, sensors
from dagster_project.assets import agreement, audits, changes, exports, file_panels, publish, reports, studies
from dagster_project.assets.common import domain
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import Paths
from dagster_project.refresh import EVERYTHING, Plan

if TYPE_CHECKING:
    from analysis.studies.records import Study

REFRESH = executor.REFRESH


def build(paths: Paths, plan: Plan = EVERYTHING) -> dg.Definitions:
    """Assets, checks, jobs and resources for one set of folders; of a ``plan`` only what it asks for."""
    loaded = overlay.studies(paths)
    drawn = [study for study in loaded if study.panel is None]
    if not drawn and loaded:
        return _without_warehouse(replace(paths, is_sample=False), loaded)
    if plan.light:
        return _without_warehouse(paths, loaded, plan)
    from dagster_project.assets import efficiency, sources, warehouse, years
    from dagster_project.dbt_runs import dbt_project, dbt_resource

    found, catalogue = overlay.contracts(paths), overlay.catalogue(paths)
    project = dbt_project(paths, catalogue, drawn)
    assets = [
        *sources.source_assets(paths, found),
        *warehouse.dbt_models(paths, project, found, efficiency.score_keys(drawn)),
        *efficiency.score_assets(paths, drawn),
        *_from_panels_on(paths, loaded),
    ]
    refresh = dg.define_asset_job(
        REFRESH,
        # years can be backfilled one by one; raw/<source> takes in all of them (see assets/years)
        dg.AssetSelection.all() - dg.AssetSelection.assets(*years.keys(found)),
        description="Raw files to report: everything, in order.",
    )
    panel_checks = [*warehouse.panel_checks(paths, catalogue, drawn), *file_panels.panel_checks(paths, loaded)]
    return dg.Definitions(
        assets=_with_links(
            dg.map_asset_specs(
                lambda spec: _tagged(_marked(schedules.by_itself(spec, found), paths, found, loaded), loaded), assets
            )
        ),
        asset_checks=[*checks.layer_checks(paths, found), *panel_checks],
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


def _without_warehouse(paths: Paths, loaded: list[Study], plan: Plan = EVERYTHING) -> dg.Definitions:
    """The graph where no raw file is read and nothing is built: studies with files of their own, or kept tables."""
    return dg.Definitions(
        assets=_with_links(_from_panels_on(paths, loaded, plan)),
        asset_checks=file_panels.panel_checks(paths, loaded),
        jobs=[dg.define_asset_job(REFRESH, dg.AssetSelection.all(), description="Files to report, in order.")],
        sensors=[sensors.failed_refresh(paths)],
        executor=executor.one_at_a_time(paths),
    )


def _from_panels_on(paths: Paths, loaded: list[Study], plan: Plan = EVERYTHING) -> list[dg.AssetsDefinition]:
    """Panels that come from files, and what follows from all panels."""
    return [
        *file_panels.panel_assets(paths, loaded),
        publish.candidate(paths, loaded),
        *studies.study_assets(paths, loaded, plan.takes),
        publish.estimates(paths, loaded),
        agreement.agreement_asset(paths, loaded),
        *audits.audit_assets(paths, loaded),
        changes.changes(paths, loaded),
        *exports.export_assets(paths, loaded),
        reports.data_docs(paths, loaded),
        reports.site(paths, loaded),
        publish.published(paths, loaded),
    ]


def _tagged(spec: dg.AssetSpec, loaded: Sequence[Study]) -> dg.AssetSpec:
    """An asset with what it is about, which the web page searches by: tag:domain=patents."""
    return spec.merge_attributes(tags={"domain": domain(spec.key, [study.name for study in loaded])})


def _marked(
    spec: dg.AssetSpec, paths: Paths, found: Mapping[str, Contract], loaded: Sequence[Study] = ()
) -> dg.AssetSpec:
    """An asset made from the sample world says so before anything else on its page; lists and files hold no sample."""
    committed = spec.key.path[0] == "raw" and spec.key.path[-1].removesuffix("_by_year") not in found
    own = {study.name for study in loaded if study.panel} & {spec.key.path[0], spec.key.path[-1]}
    if not paths.is_sample or committed or own:
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

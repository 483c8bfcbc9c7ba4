"""Everything Dagster is told about the project, assembled in one place; tests assemble it for other folders."""

from __future__ import annotations

import dagster as dg

from analysis.studies import spec
from dagster_project.assets import efficiency, exports, publish, reports, sources, studies, warehouse
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.resources import dbt_project, dbt_resource

REFRESH = "refresh"


def build(paths: Paths) -> dg.Definitions:
    """Assets, checks, jobs and resources for one set of folders."""
    found = contracts.load_all(CONTRACTS)
    loaded = [spec.load(path) for path in spec.catalogue().values()]
    project = dbt_project(paths)
    exhibits = studies.study_assets(paths, loaded)
    return dg.Definitions(
        assets=[
            *sources.source_assets(paths, found),
            *warehouse.dbt_models(paths, project, found, efficiency.score_keys(loaded)),
            *efficiency.score_assets(paths, loaded),
            publish.candidate(paths, loaded),
            *exhibits,
            publish.estimates(paths, loaded),
        *exports.export_assets(paths, loaded),
            reports.data_docs(paths, loaded),
            reports.site(paths, loaded),
            publish.published(paths),
        ],
        asset_checks=warehouse.panel_checks(paths, loaded),
        jobs=[
            dg.define_asset_job(
                REFRESH, dg.AssetSelection.all(), description="Raw files to report: everything, in order."
            )
        ],
        resources={"dbt": dbt_resource(project)},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The project as the environment sets it; what the web page and the daemon load."""
    return build(Paths.from_environment())

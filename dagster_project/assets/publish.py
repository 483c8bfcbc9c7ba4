"""Write, audit, publish: the candidate behind the gate, what is added to it, and the swap at the end."""

import json
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import publication
from dagster_project.assets.studies import CANDIDATE, exhibit_key
from dagster_project.paths import Paths
from dagster_project.resources import WAREHOUSE_POOL, warehouse

if TYPE_CHECKING:
    from analysis.studies.spec import Study

GROUP = "published"
OWNERS = ["team:pilotcity"]
#: Tables that say what a published value was made of, for `pilotcity trace`.
LINEAGE = ("cells", "headers", "records", "committed", "formulas", "units", "contracts", "treatments", "file_years")
ESTIMATES = dg.AssetKey(["publication", "estimates"])
SITE = dg.AssetKey(["report", "site"])


def candidate(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    panels = [dg.AssetKey(["panels", name]) for study in studies for name in (study.name, *study.other_panels)]
    others = [dg.AssetKey(["panels", name]) for name in ("city_year", "data_dictionary", "caliber_changes")]

    @dg.asset(
        key=CANDIDATE,
        deps=[
            *panels,
            *others,
            dg.AssetKey(["quality", "rejects"]),
            dg.AssetKey(["quality", "files"]),
            dg.AssetKey(["quality", "layers"]),
            *(dg.AssetKey(["lineage", name]) for name in LINEAGE),
        ],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description=(
            "Parquet of every panel that passed its blocking checks: the only thing that studies read. "
            "A check that fails stops the run before this, and readers keep the last publication."
        ),
    )
    def asset() -> dg.MaterializeResult:
        folder = publication.begin(paths)
        with warehouse(paths) as connection:
            rows = publication.write_tables(connection, folder)
        about = publication.describe(paths)
        (folder / "publication.json").write_text(json.dumps(about, indent=1))
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.md(_counts(rows)),
                "version": str(about["version"]),
                "is_sample": paths.is_sample,
            }
        )

    return asset


def estimates(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    exhibits = [(study.name, exhibit.name) for study in studies for exhibit in study.exhibits]

    @dg.asset(
        key=ESTIMATES,
        deps=[exhibit_key(study, exhibit) for study, exhibit in exhibits],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        description="Every estimate of every study in one table, with its status and, where there is none, why.",
    )
    def asset() -> dg.MaterializeResult:
        folder = publication.open_candidate(paths)
        parts = [
            pd.read_parquet(folder / "exhibits" / study / f"{exhibit}.estimates.parquet") for study, exhibit in exhibits
        ]
        table = pd.concat([part for part in parts if len(part)], ignore_index=True)
        target = folder / "data" / "estimates" / "estimates.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(target, index=False)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(table),
                "by study and status": dg.MetadataValue.md(
                    table.groupby(["study", "status"]).size().rename("terms").reset_index().to_markdown(index=False)
                ),
            }
        )

    return asset


def published(paths: Paths) -> dg.AssetsDefinition:
    @dg.asset(
        key=["publication", "published"],
        deps=[ESTIMATES, SITE],
        group_name=GROUP,
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=(
            "What readers see: data/published (Parquet, pilotcity.duckdb) and data/reports (the site), swapped in by "
            "one rename. The last five publications are kept."
        ),
    )
    def asset() -> dg.MaterializeResult:
        folder = publication.open_candidate(paths)
        database = publication.write_database(folder)
        size = database.stat().st_size
        number = publication.publish(paths)
        return dg.MaterializeResult(
            metadata={
                "publication": number,
                "kept": str(publication.numbers(paths)),
                "megabytes": round(size / 1e6, 1),
                "report": dg.MetadataValue.path(str(paths.reports / "index.html")),
            }
        )

    return asset


def _counts(rows: dict[str, int]) -> str:
    return "\n".join(["| table | rows |", "|---|---:|", *(f"| {name} | {count:,} |" for name, count in rows.items())])

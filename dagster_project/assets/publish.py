"""Write, audit, publish: the candidate behind the gate, what is added to it, and the swap at the end."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import database, file_panels, publication, state
from dagster_project.assets.common import OWNERS
from dagster_project.assets.studies import CANDIDATE, candidate_of_this_run, exhibit_key, this_run
from dagster_project.checks import checks_table
from dagster_project.paths import Paths
from dagster_project.resources import WAREHOUSE_POOL, warehouse

if TYPE_CHECKING:
    from analysis.studies.spec import Study

#: Tables that say what a published value was made of, for `pilotcity trace`.
LINEAGE = ("cells", "headers", "records", "committed", "formulas", "units", "contracts", "treatments", "file_years")
ESTIMATES = dg.AssetKey(["publication", "estimates"])
SITE = dg.AssetKey(["report", "site"])


def candidate(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    panels = [dg.AssetKey(["panels", name]) for study in studies for name in (study.name, *study.other_panels)]
    from_files = [study for study in studies if study.panel]
    # without a study the warehouse alone is published
    whole = not studies or len(from_files) < len(studies)
    warehouse_tables = [
        *(dg.AssetKey(["panels", name]) for name in ("city_year", "data_dictionary", "caliber_changes")),
        *(dg.AssetKey(["quality", name]) for name in ("rejects", "files", "layers")),
        *(dg.AssetKey(["lineage", name]) for name in LINEAGE),
        # what is checked before the panels are made blocks here, since dbt makes all of it in one step
        *(dg.AssetKey(["staging", name]) for name in ("stg_yearbook", "stg_patents", "stg_cases")),
        dg.AssetKey(["intermediate", "int_city_wide"]),
    ]

    @dg.asset(
        key=CANDIDATE,
        deps=[*panels, *(warehouse_tables if whole else ())],
        group_name="candidate",
        kinds={"parquet"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description=(
            "Parquet of every panel that passed its blocking checks: the only thing that studies read. "
            "A check that fails stops the run before this, and readers keep the last publication."
        ),
    )
    def asset() -> dg.MaterializeResult:
        _refuse_what_failed(paths, {f"panels.{key.path[-1]}" for key in panels} | {"panels.city_year"})
        folder = publication.begin(paths, this_run())
        rows = {}
        if whole:
            with warehouse(paths) as connection:
                rows = publication.write_tables(connection, folder, {key.path[-1] for key in panels})
        rows |= file_panels.add(paths, folder, from_files)
        rows["panels.cities"] = publication.write_cities(folder)
        about = publication.describe(paths)
        state.write_json(folder / "publication.json", about)
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
        group_name="estimates",
        kinds={"parquet"},
        owners=OWNERS,
        description="Every estimate of every study in one table, with its status and, where there is none, why.",
    )
    def asset() -> dg.MaterializeResult:
        folder = candidate_of_this_run(paths)
        parts = [
            pd.read_parquet(folder / "exhibits" / study / f"{exhibit}.estimates.parquet") for study, exhibit in exhibits
        ]
        table = pd.concat([part for part in parts if len(part)], ignore_index=True)
        target = folder / "data" / "estimates" / "estimates.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(target, index=False)
        for name, rows in further_tables(folder, exhibits).items():
            rows.to_parquet(target.with_name(f"{name}.parquet"), index=False)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(table),
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(str(column), str(kind)) for column, kind in table.dtypes.items()]
                ),
                "preview": dg.MetadataValue.md(table.head(10).to_markdown(index=False)),
                "by study and status": dg.MetadataValue.md(
                    table.groupby(["study", "status"]).size().rename("terms").reset_index().to_markdown(index=False)
                ),
            }
        )

    return asset


def further_tables(folder: Path, exhibits: list[tuple[str, str]]) -> dict[str, pd.DataFrame]:
    """What kinds of exhibit fill beside the estimates: table -> its rows over all exhibits, none where no kind does."""
    from analysis.studies.kinds import KINDS

    found = {}
    for name, rows in (kind.fills for kind in KINDS.values() if kind.fills):
        files = [folder / "exhibits" / study / f"{exhibit}.{name}.parquet" for study, exhibit in exhibits]
        parts = [pd.read_parquet(file) for file in files if file.exists()]
        found[name] = pd.concat(parts, ignore_index=True) if parts else rows(None)
    return found


def published(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    @dg.asset(
        key=["publication", "published"],
        deps=[ESTIMATES, SITE],
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=(
            "What readers see: data/published (Parquet, pilotcity.duckdb) and data/reports (the site), swapped in by "
            "one rename. The last five publications are kept."
        ),
    )
    def asset() -> dg.MaterializeResult:
        folder = candidate_of_this_run(paths)
        written = database.write(folder, database.described(paths, studies))
        size = written.stat().st_size
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


def _refuse_what_failed(paths: Paths, tables: set[str]) -> None:
    """Hold the gate also where this asset is materialised alone, without the checks before it."""
    outcomes = checks_table(paths)
    if len(outcomes):
        earlier = ~outcomes["table"].str.startswith("panels.")
        broken = outcomes[(outcomes["table"].isin(tables) | earlier) & (outcomes["holds"] == "NO")]
        if len(broken):
            first = broken.iloc[0]
            raise ValueError(
                f"{len(broken)} blocking rules do not hold, the first on {first['table']}: {first['rule']} "
                f"({first['observed']}). Materialise what they are about again, with its checks."
            )


def _counts(rows: dict[str, int]) -> str:
    return "\n".join(["| table | rows |", "|---|---:|", *(f"| {name} | {count:,} |" for name, count in rows.items())])

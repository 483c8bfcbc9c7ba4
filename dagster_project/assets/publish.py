"""Write, audit, publish: the candidate behind the gate, what is added to it, and the swap at the end."""

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from dagster_project import database, exhibits, file_panels, publication, state, tables, verification
from dagster_project.assets.columns import told
from dagster_project.assets.common import OWNERS
from dagster_project.assets.studies import (
    CANDIDATE,
    candidate_of_this_run,
    exhibit_key,
    gate_key,
    store_of_this_run,
    this_run,
)
from dagster_project.checks import checks_table
from dagster_project.fingerprint import digest
from dagster_project.paths import Paths
from dagster_project.resources import WAREHOUSE_POOL, forced, warehouse

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

    gates = {gate_key(key.path[-1]): key for key in panels}
    about_gate = "The panel as every check that blocks let it through: what exhibits read."

    @dg.multi_asset(
        name="publication__candidate",
        specs=[
            dg.AssetSpec(
                CANDIDATE,
                deps=[*panels, *(warehouse_tables if whole else ())],
                group_name="candidate",
                kinds={"parquet"},
                owners=OWNERS,
                description=(
                    "Parquet of every panel that passed its blocking checks: the only thing that studies read. "
                    "A check that fails stops the run before this, and readers keep the last publication."
                ),
            ),
            *(
                dg.AssetSpec(
                    gate, deps=[panel], group_name="candidate", kinds={"parquet"}, owners=OWNERS, description=about_gate
                )
                for gate, panel in gates.items()
            ),
        ],
        pool=WAREHOUSE_POOL,
        can_subset=True,
    )
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        folder = publication.begin(paths, this_run())
        store, versions = store_of_this_run(paths), {}
        files = {study.name for study in from_files}
        version = tables.version(paths, store, studies) if whole else ""
        kept = whole and _leaves_the_warehouse(context, files)
        if kept:
            if not tables.take(paths, store, version, folder, files):
                raise ValueError("The tables of these inputs are not kept: materialise everything (make run).")
            versions[tables.NAME] = version
        # kept tables have brought the outcomes of their own checks, whatever a run that failed has left
        _refuse_what_failed(paths, {f"panels.{key.path[-1]}" for key in panels} | {"panels.city_year"})
        if whole and not kept:
            with warehouse(paths) as connection:
                publication.write_tables(connection, folder, {key.path[-1] for key in panels})
            # what was read is known to be what is there now only where the run knew it before it read anything
            if tables.set_out_for(paths, this_run()) == version:
                tables.keep(paths, store, version, folder / "data", files)
                versions[tables.NAME] = version
        file_panels.add(paths, folder, from_files)
        publication.write_cities(folder)
        about = publication.describe(paths)
        state.write_json(folder / "publication.json", about)
        publication.record(folder, versions)
        data = folder / "data"
        hashes = {path.relative_to(data).as_posix(): digest(path) for path in sorted(data.rglob("*.parquet"))}
        for key in sorted(context.selected_asset_keys):
            if key == CANDIDATE:
                text = json.dumps(hashes, sort_keys=True)
                yield dg.MaterializeResult(
                    asset_key=key,
                    data_version=dg.DataVersion(hashlib.sha256(text.encode()).hexdigest()),
                    metadata={
                        "tables": dg.MetadataValue.md(_counts(data)),
                        "version": str(about["version"]),
                        "is_sample": paths.is_sample,
                    },
                )
            else:
                yield dg.MaterializeResult(
                    asset_key=key, data_version=dg.DataVersion(str(hashes.get(f"panels/{key.path[-1]}.parquet")))
                )

    return asset


def _leaves_the_warehouse(context: dg.AssetExecutionContext, from_files: Collection[str]) -> bool:
    """Whether the run leaves the warehouse as it is, so that kept tables stand for it."""
    layers = ("raw", "staging", "intermediate", "panels", "quality", "lineage", "scores")
    selected = context.job_def.asset_layer.selected_asset_keys
    return not any(key.path[0] in layers and key.path[-1] not in from_files for key in selected)


def estimates(paths: Paths, studies: list["Study"]) -> dg.AssetsDefinition:
    listed = [(study.name, exhibit.name) for study in studies for exhibit in study.exhibits]

    @dg.asset(
        key=ESTIMATES,
        deps=[exhibit_key(study, exhibit) for study, exhibit in listed],
        group_name="estimates",
        kinds={"parquet"},
        owners=OWNERS,
        description="Every estimate of every study in one table, with its status and, where there is none, why.",
    )
    def asset() -> dg.MaterializeResult:
        folder = candidate_of_this_run(paths)
        versions = exhibits.assemble(paths, store_of_this_run(paths), folder, studies)
        publication.record(folder, versions)
        target = folder / "data" / "estimates" / "estimates.parquet"
        for name, rows in further_tables(folder, listed).items():
            rows.to_parquet(target.with_name(f"{name}.parquet"), index=False)
        table = pd.read_parquet(target)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(digest(target))),
            metadata={
                "dagster/row_count": len(table),
                **told("estimates.estimates", [(str(column), str(kind)) for column, kind in table.dtypes.items()]),
                "preview": dg.MetadataValue.md(table.head(10).to_markdown(index=False)),
                "by study and status": dg.MetadataValue.md(
                    table.groupby(["study", "status"]).size().rename("terms").reset_index().to_markdown(index=False)
                ),
            },
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
            "one rename. The last five publications are kept; a candidate made of the same inputs is none."
        ),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        folder = candidate_of_this_run(paths)
        about = state.read_json(folder / "publication.json")
        if not forced() and publication.is_published(paths, folder):
            publication.drop(paths)
            number, said = int(paths.published.resolve().name), "the inputs are those of the publication: nothing new"
        else:
            database.write(folder, database.described(paths, studies))
            number, said = publication.publish(paths), "new"
            store_of_this_run(paths).sweep(publication.kept_results(paths))
        # a person counts publications; what they are made of stands behind the number
        named = f"{number} ({about['version']})"
        context.instance.add_run_tags(context.run_id, {"pilotcity/publication": named})
        size = (paths.published / verification.DATABASE).stat().st_size
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(about["version"])),
            metadata={
                "publication": number,
                "what": said,
                "kept": str(publication.numbers(paths)),
                "megabytes": round(size / 1e6, 1),
                "report": dg.MetadataValue.path(str(paths.reports / "index.html")),
            },
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


def _counts(data: Path) -> str:
    """Rows of every table, as Markdown."""
    import pyarrow.parquet as pq

    files = {f"{path.parent.name}.{path.stem}": path for path in sorted(data.rglob("*.parquet"))}
    rows = [f"| {name} | {pq.read_metadata(path).num_rows:,} |" for name, path in files.items()]
    return "\n".join(["| table | rows |", "|---|---:|", *rows])

"""Raw files, reference data and study specifications into schema raw: an asset a source; only what changed is read."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from dagster_project import overlay, signals, state
from dagster_project import refresh as refresh_plan
from dagster_project.assets import years
from dagster_project.assets.columns import told
from dagster_project.assets.common import OWNERS, RAW, SAMPLE_WORLD
from dagster_project.fingerprint import files_below, hash_files
from dagster_project.ingest import contracts
from dagster_project.ingest import tables as raw_tables
from dagster_project.ingest.contracts import Contract
from dagster_project.ingest.refresh import refresh, table_of
from dagster_project.paths import CATALOGUE, POLICIES, REFERENCE, ROOT, SAMPLES, Paths
from dagster_project.resources import WAREHOUSE_POOL, warehouse

if TYPE_CHECKING:
    import duckdb

#: Share of what AI zones save that their neighbours save too, in the second sample world.
SPILLOVER = 0.5

#: Committed tables: name in schema raw -> file.
REFERENCE_TABLES = {
    "cities": REFERENCE / "cities.csv",
    "city_names": REFERENCE / "city_names.csv",
    "geographic_units": REFERENCE / "units.csv",
    "code_history": REFERENCE / "code_history.csv",
    "green_ipc": REFERENCE / "green_ipc.csv",
    "recorded_exchange_rate": REFERENCE / "exchange_rate.csv",
    "recorded_national_gdp": REFERENCE / "national_gdp.csv",
    "courts": REFERENCE / "courts.csv",
    "ip_causes": REFERENCE / "ip_causes.csv",
    "indicators": CATALOGUE / "indicators.csv",
    "measurement_units": CATALOGUE / "measurement_units.csv",
}
#: Columns of those that are numbers; everything else stays text.
NUMBERS = {
    "green_ipc": ["group_from", "group_to"],
    "recorded_exchange_rate": ["year", "yuan_per_usd"],
    "recorded_national_gdp": ["year", "gdp_10k_yuan"],
    "indicators": ["jump"],
    "measurement_units": ["factor"],
}


def source_assets(paths: Paths, found: dict[str, Contract]) -> list[dg.AssetsDefinition]:
    """Every asset of the raw layer."""
    return [
        sample_world(paths),
        reference(paths, found),
        policies(paths),
        studies(paths),
        *(source(paths, contract) for contract in found.values()),
        *(years.by_year(paths, contract) for contract in found.values() if contract.kind != "yearbook"),
    ]


def sample_world(paths: Paths) -> dg.AssetsDefinition:
    @dg.asset(
        key=SAMPLE_WORLD,
        group_name=RAW,
        kinds={"python"},
        owners=OWNERS,
        description=(
            "The sample world: raw files as ugly as real ones, for the real cities and pilots, with a known true "
            "effect. Written only while the raw folder is empty; never mixed with real files."
        ),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if not paths.is_sample:
            return dg.MaterializeResult(metadata={"used": False, "raw_folder": paths.raw.name})
        from analysis import simulation

        stamp = paths.raw / "_truth" / "made_by.sha256"
        makers = files_below(ROOT / "analysis" / "simulation")
        committed = {
            "cities": REFERENCE / "cities.csv",
            "clusters": POLICIES / "innovative_clusters.csv",
            "ai_zones": POLICIES / "ai_pilot_zones.csv",
            "courts": REFERENCE / "courts.csv",
        }
        made_by = hash_files([*makers, *committed.values()], ROOT)
        if state.read_text(stamp) != made_by:
            frames = {name: pd.read_csv(path, dtype=str, keep_default_na=False) for name, path in committed.items()}
            # not forked: this process has threads
            with ProcessPoolExecutor(min(4, os.cpu_count() or 1), get_context("spawn"), signals.begin_child) as pool:
                simulation.write_sample(
                    paths.raw,
                    cities=frames["cities"],
                    clusters=frames["clusters"],
                    ai_zones=frames["ai_zones"],
                    courts=frames["courts"],
                    spillover=SPILLOVER if paths.raw.name == SAMPLES["spillovers"] else 0.0,
                    seed=0,
                    progress=context.log.info,
                    spread=pool.map,
                )
            state.sync_all_below(paths.raw)
            state.write(stamp, made_by)
            # the files are there now, and nothing has read them yet
            refresh_plan.set_out(paths, context.run.root_run_id or context.run_id)
        written = files_below(paths.raw)
        return dg.MaterializeResult(
            metadata={
                "used": True,
                "SAMPLE DATA": "numbers made from this are no findings",
                "files": len(written),
                "megabytes": round(sum(path.stat().st_size for path in written) / 1e6, 1),
            }
        )

    return asset


def source(paths: Paths, contract: Contract) -> dg.AssetsDefinition:
    """The asset of one contract: files by its patterns, unchanged ones left alone, removed ones taken out."""
    dated = contract.kind != "yearbook"

    @dg.asset(
        key=["raw", contract.source],
        deps=[SAMPLE_WORLD, *([years.key_of(contract)] if dated else [])],
        group_name=RAW,
        kinds={"duckdb", "excel" if contract.kind == "yearbook" else "csv"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description=f"{contract.title.en} ({contract.title.zh}). {contract.publisher}. {contract.covers}.",
        metadata={"licence": contract.licence, "how to get it": contract.obtain, "patterns": contract.files},
        code_version=contract.sha256[:12],
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with warehouse(paths) as connection:
            done = refresh(connection, paths.raw, contract, context.log.info)
            ledger = connection.execute(
                "select file, sheets, rows, cells, rejects, sha256, contract_sha256, reader_sha256 from raw.ledger "
                "where source = ? order by file",
                [contract.source],
            ).df()
            shown = _look(connection, table_of(contract), contract.source)
        hashes = ["sha256", "contract_sha256", "reader_sha256"]
        read = ledger[["file", *hashes]]
        if dated:
            for event in years.materialised(contract, done.read, read):
                context.log_event(event)
        content = read.to_csv(index=False)
        ledger = ledger.drop(columns=hashes)
        return dg.MaterializeResult(
            # the same files, read by the same rules, are no news to what comes after
            data_version=dg.DataVersion(hashlib.sha256(content.encode()).hexdigest()),
            metadata={
                **shown,
                "files": dg.MetadataValue.md(ledger.to_markdown(index=False) if len(ledger) else "no file found"),
                "dagster/row_count": int(ledger["rows"].sum()),
                "files_found": len(ledger),
                "files_read": len(done.read),
                "files_unchanged": len(done.unchanged),
                "files_removed": len(done.removed),
                "rejects_of_the_reader": int(ledger["rejects"].sum()),
            },
        )

    return asset


def reference(paths: Paths, found: dict[str, Contract]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="reference",
        specs=[
            dg.AssetSpec(["raw", name], group_name=RAW, kinds={"duckdb", "csv"}, owners=OWNERS, description=text)
            for name, text in {
                "cities": "The 297 cities of 2021 with codes, names, coordinates and the samples they belong to.",
                "city_names": "Every name and code a file may use for a unit, with the years it was valid.",
                "geographic_units": "Every unit a name can stand for, inside or outside the roster of cities.",
                "code_history": "Dated merges, renames and splits, and how each is treated.",
                "green_ipc": "Symbols and ranges of the IPC Green Inventory.",
                "recorded_exchange_rate": "Yuan per US dollar for years that raw files do not cover.",
                "recorded_national_gdp": "GDP of the nation, the denominator of the protection index.",
                "courts": "Courts and the city each belongs to, with the years they sat.",
                "ip_causes": "Causes of action, and which of them are intellectual property.",
                "indicators": "Canonical unit, merge rule and jump threshold of each indicator.",
                "measurement_units": "Unit texts and their factor to the canonical unit.",
                "contract_columns": "One row a source and indicator: priority among sources, range, levels.",
                "contract_headers": "Headers under which an indicator has a definition of its own, as contracts say.",
                "contract_titles": "One row a source: title, publisher, licence, priority.",
                "declared_formulas": "The formulas that dbt models declare for their columns.",
                "patent_kinds": "How patent files name inventions, utility models and designs.",
            }.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def assets() -> Iterator[dg.MaterializeResult]:
        tables = {name: raw_tables.committed(path, NUMBERS.get(name, [])) for name, path in REFERENCE_TABLES.items()}
        tables["cities"] = overlay.cities(paths, dtype=str, keep_default_na=False).replace("", None)
        catalogue = overlay.catalogue(paths)
        tables["indicators"] = catalogue.indicators_table()
        tables["contract_columns"] = raw_tables.contract_columns(found.values())
        tables["patent_kinds"] = pd.DataFrame(
            [
                (contract.source, text, kind)
                for contract in found.values()
                for kind, texts in contract.kinds.items()
                for text in texts
            ],
            columns=["source", "text", "kind"],
        )
        tables |= {
            "contract_headers": contracts.headers_table(found.values()),
            "contract_titles": contracts.titles_table(found.values()),
            "declared_formulas": catalogue.formulas_table(),
        }
        with warehouse(paths) as connection:
            for name, frame in tables.items():
                yield _replace(connection, name, frame)

    return assets


def policies(paths: Paths) -> dg.AssetsDefinition:
    @dg.asset(
        key=["raw", "policies"],
        group_name=RAW,
        kinds={"duckdb", "csv"},
        owners=OWNERS,
        pool=WAREHOUSE_POOL,
        description="Pilot lists: one row a policy and city, with first treated year, source and certainty.",
    )
    def asset() -> dg.MaterializeResult:
        from analysis.studies import policies as reading

        lists = [
            pd.DataFrame(reading.rows(path)).replace("", None).assign(policy=name)
            for name, path in overlay.policy_files(paths).items()
        ]
        with warehouse(paths) as connection:
            return _replace(connection, "policies", pd.concat(lists, ignore_index=True), keyed=False)

    return asset


def studies(paths: Paths) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="study_specifications",
        specs=[
            dg.AssetSpec(["raw", name], group_name=RAW, kinds={"duckdb", "yaml"}, owners=OWNERS, description=text)
            for name, text in {
                "studies": "One row a study: policy, treatment, sample of cities, years.",
                "study_variables": "One row a study and panel column: its source column and transformations.",
                "study_policies": "One row a study and policy beside the studied one.",
                "study_efficiency": "One row a study and column of scores: the score and its frontier.",
            }.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def assets() -> Iterator[dg.MaterializeResult]:
        from analysis.studies import spec

        loaded = [study for study in overlay.studies(paths) if study.panel is None]
        with warehouse(paths) as connection:
            yield _replace(connection, "studies", spec.studies_table(loaded))
            yield _replace(connection, "study_variables", spec.variables_table(loaded))
            yield _replace(connection, "study_policies", spec.study_policies_table(loaded))
            yield _replace(connection, "study_efficiency", spec.study_efficiency_table(loaded))

    return assets


def _look(connection: "duckdb.DuckDBPyConnection", table: str, source: str) -> dict[str, Any]:
    """Columns of a raw table and the first rows of a source, for its page in the web UI."""
    head = connection.execute(f"select * exclude (source) from {table} where source = ? limit 5", [source]).df()
    columns = connection.execute(f"describe {table}").fetchall()
    return {
        **told(table, [(column[0], column[1]) for column in columns]),
        "preview": dg.MetadataValue.md(head.to_markdown(index=False) if len(head) else "no row yet"),
    }


def _replace(
    connection: "duckdb.DuckDBPyConnection", name: str, frame: pd.DataFrame, keyed: bool = True
) -> dg.MaterializeResult:
    connection.register("loading", frame)
    connection.execute(f"create or replace table raw.{name} as select * from loading")
    connection.unregister("loading")
    return dg.MaterializeResult(
        asset_key=["raw", name] if keyed else None,
        metadata={
            "dagster/row_count": len(frame),
            **told(f"raw.{name}", [(str(column), str(kind)) for column, kind in frame.dtypes.items()]),
            "preview": dg.MetadataValue.md(frame.head(10).to_markdown(index=False)),
        },
    )

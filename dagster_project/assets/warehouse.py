"""The dbt models as assets, and the gate behind them: expectations on the panels that block what follows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from dagster_project import checks, overlay, spark
from dagster_project.assets.columns import Columns
from dagster_project.assets.common import OWNERS
from dagster_project.dbt_runs import TRANSLATOR_SETTINGS
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import REFERENCE, Paths
from dagster_project.resources import WAREHOUSE_POOL, forced, retried, warehouse

if TYPE_CHECKING:
    import duckdb

    from analysis.catalogue import Catalogue
    from analysis.studies.spec import Study
    from expectations.runner import Rule


#: Tables whose group is not their schema: what scores read comes before the panels that hold them.
GROUPS = {"panels.city_year": "city_year", "panels.caliber_changes": "city_year", "quality.layers": "panels"}


class Translator(DagsterDbtTranslator):
    """Keys are schema and table, groups are layers; a raw table that several sources fill depends on each of them."""

    def __init__(self, filled_by: Mapping[str, Sequence[dg.AssetKey]], engine: str = "duckdb") -> None:
        super().__init__(TRANSLATOR_SETTINGS)
        self.filled_by, self.engine = filled_by, engine

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        schema = dbt_resource_props["schema"]
        return GROUPS.get(f"{schema}.{dbt_resource_props['name']}", schema)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What a row is; the SQL is a click away, and would push the columns out of sight."""
        return dbt_resource_props.get("description") or f"dbt {dbt_resource_props['resource_type']}"

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps = [key for dep in spec.deps for key in self.filled_by.get("/".join(dep.asset_key.path), [dep.asset_key])]
        return spec.replace_attributes(
            deps=list(dict.fromkeys(deps)),
            owners=OWNERS,
            kinds={"dbt", self.engine} | ({"sql"} if not spec.kinds else set()),
        )


def dbt_models(
    paths: Paths, project: DbtProject, found: dict[str, Contract], scores: Sequence[dg.AssetKey]
) -> list[dg.AssetsDefinition]:
    """Every dbt model in two dbt runs: up to panels.city_year, and from the scores to the studies' panels.

    With DBT_TARGET=spark the models of records are an asset definition of their own, on Spark, under the same keys.
    """
    yearbooks = [dg.AssetKey(["raw", c.source]) for c in found.values() if c.kind == "yearbook"]
    patents = [dg.AssetKey(["raw", c.source]) for c in found.values() if c.kind == "patents"]
    cases = [dg.AssetKey(["raw", c.source]) for c in found.values() if c.kind == "cases"]
    records = [*patents, *cases]
    filled_by = {
        "raw/yearbook_cells": yearbooks,
        "raw/patents": patents,
        "raw/cases": cases,
        "raw/patents_files": patents,
        "raw/cases_files": cases,
        "raw/reader_rejects": [*yearbooks, *records],
        "raw/ledger": [*yearbooks, *records],
        "scores/efficiency": [dg.AssetKey(["scores", "tables"]), *scores],
    }
    translator = Translator(filled_by)
    on_spark = spark.MODELS if spark.chosen() else ()
    later = " ".join(["source:scores+", *on_spark])
    return [
        _dbt_run(paths, project, translator, "dbt_models", select="fqn:*", exclude=later),
        _dbt_run(paths, project, translator, "dbt_study_panels", select="source:scores+", exclude=None),
        *([_spark_run(paths, project, Translator(filled_by, "spark"))] if on_spark else []),
    ]


def _dbt_run(
    paths: Paths, project: DbtProject, translator: Translator, name: str, *, select: str, exclude: str | None
) -> dg.AssetsDefinition:

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        dagster_dbt_translator=translator,
        pool=WAREHOUSE_POOL,
        name=name,
        select=select,
        exclude=exclude,
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        # dbt has closed the file once its events are all in; only then can rows be counted and shown
        afresh = ["--full-refresh"] if forced() else []
        with retried():
            events = list(dbt.cli(["build", *afresh], context=context).stream())
        known = Columns(paths, json.loads(project.manifest_path.read_text(encoding="utf-8")))
        with warehouse(paths) as connection:
            for event in events:
                if isinstance(event, dg.Output):
                    schema, table = context.asset_key_for_output(event.output_name).path
                    event = event.with_metadata({**event.metadata, **_look(connection, known, schema, table)})
                yield event

    return models


def _spark_run(paths: Paths, project: DbtProject, translator: Translator) -> dg.AssetsDefinition:
    """The models of records on Spark, their tables taken into the warehouse, and dbt's tests on those."""

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        dagster_dbt_translator=translator,
        pool=WAREHOUSE_POOL,
        name="dbt_records",
        select=" ".join(spark.MODELS),
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        chosen = [model for model in spark.MODELS if dg.AssetKey(["staging", model]) in context.selected_asset_keys]
        manifest = json.loads(project.manifest_path.read_text(encoding="utf-8"))
        known = Columns(paths, manifest)
        computed = spark.run(paths, lambda: warehouse(paths), manifest, chosen, context.log.info)
        with warehouse(paths) as connection:
            for model, afresh in computed.items():
                metadata = {"computed": afresh, **_look(connection, known, "staging", model)}
                yield dg.Output(None, context.output_for_asset_key(dg.AssetKey(["staging", model])), metadata=metadata)
        with retried():
            yield from list(dbt.cli(["test"], context=context).stream())

    return models


def _look(connection: "duckdb.DuckDBPyConnection", known: Columns, schema: str, table: str) -> dict[str, Any]:
    """Rows, columns and the first rows of a table, for its page in the web UI."""
    name = f'{schema}."{table}"'
    columns = connection.execute(f"describe {name}").fetchall()
    head = connection.execute(f"select * from {name} limit 5").df()
    return {
        "dagster/row_count": connection.execute(f"select count(*) from {name}").fetchall()[0][0],
        **known.metadata(schema, table, [(column[0], column[1]) for column in columns]),
        "preview": dg.MetadataValue.md(head.iloc[:, :12].to_markdown(index=False)),
    }


def panel_checks(paths: Paths, catalogue: "Catalogue", studies: Sequence["Study"]) -> list[dg.AssetChecksDefinition]:
    """A blocking and a warning check on each panel of each study and on city_year, and one of what has moved."""
    panels = [
        _study_check(paths, catalogue, study, panel, years)
        for study in studies
        for panel, years in {study.name: study.years, **study.other_panels}.items()
    ]
    return [_city_year_check(paths, catalogue), *panels]


def _city_year_check(paths: Paths, catalogue: "Catalogue") -> dg.AssetChecksDefinition:
    def rules(frame: Any) -> "list[Rule]":
        from expectations import panels

        years = int(frame["year"].min()), int(frame["year"].max())
        bounds = {name: column.bounds for name, column in catalogue.variables.items() if column.bounds}
        return panels.city_year(cities=len(pd.read_csv(REFERENCE / "cities.csv")), years=years, bounds=bounds)

    def prepare(frame: Any) -> Any:
        from expectations import panels

        return panels.with_years(frame)

    about = "One row a city of the roster and year: every variable, as measured."
    return _checks(paths, "city_year", about, prepare, rules)


def _study_check(
    paths: Paths, catalogue: "Catalogue", study: "Study", panel: str, years: tuple[int, int]
) -> dg.AssetChecksDefinition:
    def prepare(frame: Any) -> Any:
        from expectations import panels

        return panels.with_checks(panels.with_years(frame), study.treatment)

    def rules(frame: Any) -> "list[Rule]":
        from expectations import panels

        cities, treated = promised(paths, study)
        measured = [v.name for v in study.variables if v.name in frame and frame[v.name].notna().any()]
        # what is filled in, lagged or winsorised stays between the values that were measured; nothing else does
        drawn = {
            v.name: catalogue.columns[v.source]
            for v in study.variables
            if v.source in catalogue.columns and v.keeps_values
        }
        bounds = {name: column.bounds for name, column in drawn.items() if name in measured and column.bounds}
        return panels.study_panel(
            cities=cities,
            years=years,
            treatment=study.treatment,
            treated=treated,
            measured=measured,
            bounds=bounds,
        )

    about = f"One row a city and year of the study {study.name}: {study.title.en}."
    return _checks(paths, panel, about, prepare, rules)


def promised(paths: Paths, study: "Study") -> tuple[int, int]:
    """How many cities a study's panel must have, and how many of them are pilots, from the lists alone."""
    from analysis.studies import policies

    cities = overlay.cities(paths, dtype=str, keep_default_na=False)
    sample = set(cities.loc[study.takes(cities), "city_code"])
    pilots = pd.DataFrame(policies.rows(overlay.policy_files(paths)[study.policy]))
    if study.policy_scope:
        pilots = pilots[pilots["scope"].isin(study.policy_scope)]
    return len(sample), len(sample & set(pilots["city_code"]))


def _checks(paths: Paths, table: str, about: str, prepare: Any, rules: Any) -> dg.AssetChecksDefinition:
    keys = ("city_code", "year")

    def frame(connection: "duckdb.DuckDBPyConnection") -> pd.DataFrame:
        return prepare(connection.execute(f"select * from panels.{table} order by city_code, year").df())

    return checks.definition(
        paths,
        table,
        {"": dg.AssetKey(["panels", table])},
        [checks.Suite(f"panels.{table}", about, keys, frame, rules)],
        drift=[checks.drift_suite(paths, table, keys)],
    )

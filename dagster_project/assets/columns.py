"""What Dagster's page of an asset says of its columns: type, meaning, unit, bounds, and the columns they come from.

Meanings are those that dbt's manifest, the catalogue and the studies state; nothing is described here a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project import database, overlay
from dagster_project.paths import DBT_PROJECT

if TYPE_CHECKING:
    from analysis.catalogue import Catalogue
    from analysis.studies.records import Study
    from dagster_project.paths import Paths

CITY_YEAR = dg.AssetKey(["panels", "city_year"])
QUANTITIES = dg.AssetKey(["intermediate", "int_quantities"])


def told(
    table: str, columns: Iterable[tuple[str, str]], behind: Mapping[str, Sequence[dg.TableColumnDep]] | None = None
) -> dict[str, Any]:
    """The same as `Columns.metadata` for a table that no dbt model makes, such as raw.patents."""
    about = _declared().get(table, database.About(""))
    listed = [
        dg.TableColumn(
            name,
            kind,
            about.columns.get(name),
            dg.TableColumnConstraints(nullable=name not in about.key, unique=about.key == (name,)),
        )
        for name, kind in columns
    ]
    return _metadata(listed, about.key, behind or {})


@cache
def _declared() -> dict[str, database.About]:
    """What is committed about tables: raw ones among dbt's sources, cities as they are published, the rest there."""
    from ruamel.yaml import YAML

    found = database.declared()
    (raw,) = (
        source
        for source in YAML(typ="safe").load(DBT_PROJECT / "models" / "sources.yml")["sources"]
        if source["name"] == "raw"
    )
    return (
        {f"raw.{table['name']}": database.of_model(table) for table in raw["tables"]}
        | found
        | {"raw.cities": found["panels.cities"]}
    )


def _metadata(
    listed: Sequence[dg.TableColumn], key: Sequence[str], behind: Mapping[str, Sequence[dg.TableColumnDep]]
) -> dict[str, Any]:
    constraints = dg.TableConstraints([f"{' and '.join(key)}: no two rows alike"] if key else [])
    found: dict[str, Any] = {"dagster/column_schema": dg.TableSchema(listed, constraints)}
    own = {column.name for column in listed}
    deps = {name: those for name, those in behind.items() if name in own and those}
    if deps:
        found["dagster/column_lineage"] = dg.TableColumnLineage(deps_by_column=deps)
    return found


class Columns:
    """What is known of the columns of dbt's models; read once a run."""

    def __init__(self, paths: Paths, manifest: Mapping[str, Any]) -> None:
        self._catalogue: Catalogue = overlay.catalogue(paths)
        self._studies: list[Study] = [study for study in overlay.studies(paths) if study.panel is None]
        models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
        self._means = {
            (node["schema"], node["name"]): {name: about["description"] for name, about in node["columns"].items()}
            for node in models
        }
        tables = {node["unique_id"]: (node["schema"], node["name"]) for node in models}
        self._keys = {
            tables[node["attached_node"]]: tuple(node["test_metadata"]["kwargs"]["columns"])
            for node in manifest["nodes"].values()
            if (node.get("test_metadata") or {}).get("name") == "is_key" and node.get("attached_node") in tables
        }

    def metadata(self, schema: str, table: str, columns: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Schema and, where formulas say it, lineage of a table's ``columns``, each with its type."""
        listed = [self._column(schema, table, name, kind) for name, kind in columns]
        return _metadata(listed, self._keys.get((schema, table), ()), self.behind(schema, table))

    def _column(self, schema: str, table: str, name: str, kind: str) -> dg.TableColumn:
        key = self._keys.get((schema, table), ())
        other = [said for said in (self._unit(schema, table, name), self._bounds(schema, table, name)) if said]
        constraints = dg.TableColumnConstraints(nullable=name not in key, unique=key == (name,), other=other)
        return dg.TableColumn(name, kind, self._means.get((schema, table), {}).get(name), constraints)

    def _unit(self, schema: str, table: str, name: str) -> str:
        if (schema, table) == ("panels", "city_year") and name in self._catalogue.columns:
            return f"unit: {self._catalogue.columns[name].unit}"
        if schema == "intermediate" and name in self._catalogue.indicators:
            return f"unit: {self._catalogue.indicators[name].unit}"
        variables = {variable.name: variable.unit for study in self._of(schema, table) for variable in study.variables}
        return f"unit: {variables[name]}" if variables.get(name) else ""

    def _bounds(self, schema: str, table: str, name: str) -> str:
        column = self._catalogue.columns.get(name) if (schema, table) == ("panels", "city_year") else None
        if column is None or column.bounds is None:
            return ""
        return f"{column.bounds.said} ({'blocks' if column.bounds.blocking else 'warns'})"

    def _of(self, schema: str, table: str) -> list[Study]:
        """The study whose panel a table is, if it is one."""
        own = [study for study in self._studies if table in (study.name, *study.other_panels)]
        return own if schema == "panels" else []

    def behind(self, schema: str, table: str) -> dict[str, list[dg.TableColumnDep]]:
        """Column -> the columns of other assets that its formula names."""
        if (schema, table) == ("panels", "city_year"):
            known = {*self._catalogue.indicators, *self._catalogue.quantities}
            return {
                name: [
                    dg.TableColumnDep(QUANTITIES if used in known else CITY_YEAR, used)
                    for used in (column.formula.names if column.formula else ())
                ]
                for name, column in self._catalogue.variables.items()
            }
        found: dict[str, list[dg.TableColumnDep]] = {}
        for study in self._of(schema, table):
            scores = {
                column: dg.AssetKey(["scores", f"{study.name}__{made.name}"])
                for made in study.efficiency
                for column in made.columns
            }
            for variable in study.variables:
                if variable.source in scores:
                    found[variable.name] = [dg.TableColumnDep(scores[variable.source], "score")]
                else:
                    uses = variable.uses or (variable.source,)
                    found[variable.name] = [dg.TableColumnDep(CITY_YEAR, name) for name in uses]
        return found

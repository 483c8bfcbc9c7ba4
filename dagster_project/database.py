"""The published DuckDB file: every table of a candidate's Parquet, with comments, keys and views that join names.

What tables mean is said by the dbt descriptions, the data dictionary and data/catalogue/published_tables.yaml; when the
file is written, by `assets.publish`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import CATALOGUE, DBT_PROJECT, Paths
from dagster_project.verification import DATABASE, DATABASE_SCHEMAS

if TYPE_CHECKING:
    import duckdb

    from analysis.studies.records import Study

#: Version of the storage format that 1.x clients of DuckDB read too.
STORAGE = "v1.0.0"
#: What the names of such views end in.
NAMED = "_named"
PUBLICATION = ("version", "is_sample", "raw_sha256", "code_sha256", "lock_sha256")


@dataclass(frozen=True)
class About:
    """What a table is.

    Attributes
    ----------
    description : what a row is, in a sentence or two.
    key : columns that no two rows share.
    columns : column -> what it means, with its unit.
    """

    description: str
    key: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


def declared() -> dict[str, About]:
    """Schema and table -> what is said of it under data/catalogue and dbt/models, whatever the studies are."""
    from ruamel.yaml import YAML

    reader = YAML(typ="safe")
    found: dict[str, About] = {}
    for schema in ("panels", "quality"):
        for path in sorted((DBT_PROJECT / "models" / schema).glob("*.yml")):
            found |= {
                f"{schema}.{model['name']}": of_model(model)
                for model in reader.load(path).get("models", ())
                if "description" in model
            }
    written = reader.load(CATALOGUE / "published_tables.yaml")
    return found | {name: About(one["description"], tuple(one["key"]), one["columns"]) for name, one in written.items()}


def described(paths: Paths, studies: Sequence[Study]) -> dict[str, About]:
    """The same with the panels of the studies."""
    from dagster_project import models, overlay

    found = declared()
    generated = models.files(overlay.catalogue(paths), [study for study in studies if study.panel is None])
    for name, text in generated.items():
        if name.startswith("panels/") and name.endswith(".yml"):
            (model,) = json.loads(text)["models"]
            found[f"panels.{model['name']}"] = of_model(model)
    for study in studies:
        if study.panel is not None:
            about = f"One row a unit and period of the study {study.name}, from a file: {study.title.en.rstrip('.')}."
            found[f"panels.{study.name}"] = About(about, (study.panel.unit, study.panel.time))
    return found


def of_model(model: Mapping[str, Any]) -> About:
    """A model or source of dbt's as its properties state it; its key is what the test `is_key` takes."""
    tests = [test["is_key"] for test in model.get("data_tests", ()) if isinstance(test, dict) and "is_key" in test]
    key = tuple(tests[0]["arguments"]["columns"]) if tests else ()
    columns = {column["name"]: column["description"] for column in model.get("columns", ())}
    return About(" ".join(model["description"].split()), key, columns)


def write(candidate: Path, about: Mapping[str, About] | None = None) -> Path:
    """A fresh DuckDB file from the candidate's Parquet, readable by clients from 1.0 on; the same bytes for the same
    tables.

    ``about`` says what tables are, as `described` returns it; without it only what needs no study is said.
    """
    import duckdb

    path = candidate / DATABASE
    path.unlink(missing_ok=True)
    publication = json.loads((candidate / "publication.json").read_text())
    # blocks from memory of their own start as zeros, so the gaps inside a block hold nothing of this process
    with duckdb.connect(config={"threads": 1, "block_allocator_memory": "1GB"}) as connection:
        # what DuckDB's compression of numbers writes differs from process to process
        connection.execute("set force_compression = 'uncompressed'")
        connection.execute(f"attach '{path}' as published (storage_version '{STORAGE}')")
        # a view keeps the names that it was made with: none of them may say what the file is called here
        connection.execute("use published")
        for schema in DATABASE_SCHEMAS:
            connection.execute(f"create schema {schema}")
            for parquet in sorted((candidate / "data" / schema).glob("*.parquet")):
                connection.execute(f"create table {schema}.{_name(parquet.stem)} as from read_parquet('{parquet}')")
        connection.execute(
            "create table panels.publication as select * from (values "
            "($version, $is_sample::boolean, $raw_sha256, $code_sha256, $lock_sha256)) "
            f"t({', '.join(PUBLICATION)})",
            {key: publication[key] for key in PUBLICATION},
        )
        said = declared() if about is None else about
        connection.execute("begin")
        _comment(connection, candidate, said, sample=bool(publication["is_sample"]))
        _name_cities(connection)
        connection.execute("commit")
        connection.execute("use memory")
        connection.execute("detach published")
    return path


def _comment(
    connection: duckdb.DuckDBPyConnection, candidate: Path, about: Mapping[str, About], *, sample: bool
) -> None:
    """Say in the database itself what a row of each table is, its key, and what each column means."""
    dictionary = _dictionary(candidate)
    from_files = {panel for (panel, _), text in dictionary.items() if not text.startswith("SAMPLE DATA")}
    for schema, table, columns in _tables(connection):
        told = about.get(f"{schema}.{table}")
        if told is not None:
            mark = "SAMPLE DATA. " if sample and not (schema == "panels" and table in from_files) else ""
            key = f" Key: {', '.join(told.key)}." if told.key else ""
            connection.execute(f"comment on table {schema}.{_name(table)} is {_text(mark + told.description + key)}")
        for column in columns:
            text = dictionary.get((table, column)) if schema == "panels" else None
            text = text or (told.columns.get(column) if told else None)
            if text:
                connection.execute(
                    f"comment on column {schema}.{_name(table)}.{_name(column)} is {_text(' '.join(text.split()))}"
                )


def _name_cities(connection: duckdb.DuckDBPyConnection) -> None:
    """Beside each panel of cities and years a view that has the names of city, province and region as well."""
    from analysis.reporting.panel_files import NAMES

    tables = {(schema, table): columns for schema, table, columns in _tables(connection)}
    if ("panels", "cities") not in tables:
        return
    comments = {
        (table, column): text
        for table, column, text in connection.execute(
            "select table_name, column_name, comment from duckdb_columns() where schema_name = 'panels'"
        ).fetchall()
    }
    for (schema, table), columns in tables.items():
        if schema != "panels" or not {"city_code", "year"} <= set(columns) or table == "caliber_changes":
            continue
        names = {name: source for name, source in NAMES.items() if name not in columns}
        rest = [column for column in columns if column not in ("city_code", "year")]
        view = f"panels.{_name(table + NAMED)}"
        listed = ", ".join(
            [
                *("panel.city_code", "panel.year"),
                *(f"cities.{source} as {name}" for name, source in names.items()),
                *(f"panel.{_name(column)}" for column in rest),
            ]
        )
        connection.execute(
            f"create view {view} as select {listed} from panels.{_name(table)} as panel "
            "left join panels.cities as cities on cities.city_code = panel.city_code"
        )
        about = f"panels.{table} with the names of city, province and region. Key: city_code, year."
        connection.execute(f"comment on view {view} is {_text(about)}")
        of = {name: comments.get(("cities", source)) for name, source in names.items()}
        of |= {column: comments.get((table, column)) for column in ("city_code", "year", *rest)}
        for column, text in of.items():
            if text:
                connection.execute(f"comment on column {view}.{_name(column)} is {_text(text)}")


def _tables(connection: duckdb.DuckDBPyConnection) -> Iterable[tuple[str, str, list[str]]]:
    """Schema, name and columns of each table of the file that is being written, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    listed = connection.execute(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where database_name = 'published' and not internal order by schema_name, table_name, column_index"
    ).fetchall()
    for schema, table, column in listed:
        found.setdefault((schema, table), []).append(column)
    return [(schema, table, columns) for (schema, table), columns in found.items()]


def _dictionary(candidate: Path) -> dict[tuple[str, str], str]:
    """(Panel, column) -> what the data dictionary says of it."""
    import pandas as pd

    from analysis.reporting.dictionary import comments

    path = candidate / "data" / "panels" / "data_dictionary.parquet"
    dictionary = pd.read_parquet(path) if path.exists() else pd.DataFrame()
    return comments(dictionary) if "definition" in dictionary else {}


def _name(name: str) -> str:
    """An identifier; a column of a file may be called anything."""
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    """A text; a comment takes no parameter, so quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"

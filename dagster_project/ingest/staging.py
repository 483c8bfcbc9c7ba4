"""What the staging models make of cells, without dbt or a warehouse: their own SQL, rendered and run in memory.

The rules by which a cell is believed or set aside stand in dbt/models/staging alone; here is only what Jinja needs to
render them: `ref`, `source` and the macros of text. Models that need more of dbt than that do not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2

if TYPE_CHECKING:
    import pandas as pd

#: In the order in which they are built; all they read is raw.
MODELS = ("stg_provinces", "stg_yearbook_places", "stg_yearbook_parsed")
MACROS = ("text", "portable")


@cache
def rendered(project: Path, query: str) -> str:
    """A model or analysis as SQL for DuckDB, as dbt would run it; ``project`` is the folder of the dbt project."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined)
    macros = "".join((project / "macros" / f"{name}.sql").read_text(encoding="utf-8") for name in MACROS)
    names: dict[str, Any] = {
        "ref": lambda model: f"staging.{model}",
        "source": lambda schema, table: f"{schema}.{table}",
        "config": lambda **settings: "",
        "target": SimpleNamespace(type="duckdb", name="duckdb"),
    }
    return environment.from_string(macros + (project / query).read_text(encoding="utf-8"), globals=names).render()


def judged(project: Path, cells: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every cell as staging reads it, one row each (dbt/analyses/cells_as_read.sql); ``tables`` are those of schema raw
    that staging reads, by name."""
    import duckdb

    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("create schema raw; create schema staging")
        for name, frame in {**tables, "yearbook_cells": cells}.items():
            connection.register("loading", frame)
            connection.execute(f"create table raw.{name} as select * from loading")
            connection.unregister("loading")
        for name in MODELS:
            connection.execute(f"create table staging.{name} as {rendered(project, f'models/staging/{name}.sql')}")
        return connection.execute(rendered(project, "analyses/cells_as_read.sql")).df()

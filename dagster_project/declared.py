"""What dbt models declare of their columns: the formula, the parts of an index, or the records or file behind them.

Each stands once, under `config: meta:` of the column in dbt/models; the warehouse gets them as a table, and
`pilotcity sources` reads them as they are.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from dagster_project.paths import DBT_PROJECT

#: Keys of a column's meta that say where its values come from.
KINDS = ("formula", "entropy", "records", "committed")
COLUMNS = ["layer", "name", "kind", "formula", "unit", "description"]


def formulas(project: Path = DBT_PROJECT) -> pd.DataFrame:
    """One row a declaring column: layer (panel or intermediate), name, kind, formula, unit, description.

    Raises
    ------
    ValueError
        A column that declares two kinds, or two intermediate columns of one name.
    """
    rows = []
    for path in [project / "models" / "panels" / "city_year.yml", *sorted(project.glob("models/intermediate/*.yml"))]:
        layer = "panel" if path.parent.name == "panels" else "intermediate"
        for model in YAML(typ="safe").load(path)["models"]:
            for column in model.get("columns") or []:
                meta = column.get("config", {}).get("meta", {})
                declared = [(kind, str(meta[kind])) for kind in KINDS if kind in meta]
                if len(declared) > 1:
                    raise ValueError(f"{path.name}: {column['name']} declares {' and '.join(k for k, _ in declared)}.")
                unit, _, rest = column["description"].partition(". ")
                rows += [(layer, column["name"], *found, unit if rest else "", rest or unit) for found in declared]
    table = pd.DataFrame(rows, columns=COLUMNS, dtype="str")
    repeated = table[table.duplicated(["layer", "name"])]
    if len(repeated):
        raise ValueError(f"Two columns of dbt/models/intermediate declare {repeated['name'].iloc[0]}: rename one.")
    return table

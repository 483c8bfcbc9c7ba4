"""`pilotcity trace`: everything behind one published value, back to the cells of the raw files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import REFERENCE, Paths

if TYPE_CHECKING:
    import pandas as pd

    from analysis.lineage.evidence import Read
    from analysis.lineage.tree import Node

HELP = "everything behind one published value, back to the cells of the raw files"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a study or other panel, or city_year")
    parser.add_argument("column", help="a column of its panel")
    parser.add_argument("city", help="six-digit code or name (romanised ones may stand for two), or a unit of a file")
    parser.add_argument("year", type=int)
    parser.add_argument("--json", action="store_true", help="print the tree as JSON")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the tree behind one value; it reads the publication alone, so also while a run goes on."""
    import json

    import pandas as pd

    from analysis.lineage.request import explain
    from dagster_project import file_panels

    if not paths.published.exists():
        raise FileNotFoundError("Nothing is published yet: run `make run` first.")
    folder = paths.published.resolve()
    if not (folder / "data" / "lineage").is_dir():
        raise ValueError("The publication was made before lineage was kept: run `make run` once.")
    kept = folder / "data" / "lineage" / f"{file_panels.ROWS.format(options.study)}.json"
    if kept.exists():
        tree = _of_file(folder, options, json.loads(kept.read_text(encoding="utf-8")))
        print(
            json.dumps({"is_sample": False, **tree.plain()}, ensure_ascii=False, indent=1)
            if options.json
            else tree.text()
        )
        return 0
    names = pd.read_csv(REFERENCE / "city_names.csv", dtype=str, keep_default_na=False)
    panels = panels_of(folder)
    tree = explain(reader(folder), panels, names, (options.study, options.column, options.city, options.year))
    sample = json.loads((folder / "publication.json").read_text())["is_sample"]
    if options.json:
        print(json.dumps({"is_sample": sample, **tree.plain()}, ensure_ascii=False, indent=1))
        return 0
    if sample:
        print("SAMPLE DATA: no number below is a finding.")
    print(tree.text())
    return 0


def _of_file(folder: Path, options: argparse.Namespace, about: dict[str, Any]) -> Node:
    """The tree behind a value of a panel that comes from a file."""
    import pandas as pd

    from analysis.lineage.file_cells import FilePanel
    from analysis.studies.file_panel import places
    from dagster_project import file_panels

    panel = pd.read_parquet(folder / "data" / "panels" / f"{options.study}.parquet")
    rows = pd.read_parquet(folder / "data" / "lineage" / f"{file_panels.ROWS.format(options.study)}.parquet")
    explained = FilePanel(options.study, panel, rows, about)
    return explained.explain(options.column, options.city, options.year, places(REFERENCE))


def panels_of(folder: Path) -> list[str]:
    """The panels of a publication, city_year among them."""
    import pandas as pd

    dictionary = pd.read_parquet(folder / "data" / "panels" / "data_dictionary.parquet", columns=["study"])
    return sorted({"city_year", *dictionary["study"]})


def reader(folder: Path) -> Read:
    """Reads tables of a publication, each query once."""
    import pandas as pd

    kept: dict[tuple[object, ...], pd.DataFrame] = {}

    def read(table: str, columns: Sequence[str] | None, cities: Sequence[str] | None) -> pd.DataFrame:
        key = (table, *(tuple(part) if part else None for part in (columns, cities)))
        if key not in kept:
            path = folder / "data" / f"{table.replace('.', '/')}.parquet"
            if not path.exists():
                raise ValueError(
                    f"The publication has no table {table}: an earlier version of pilotcity made it. "
                    "Run `make run` once."
                )
            wanted = [("city_code", "in", list(cities))] if cities else None
            kept[key] = pd.read_parquet(path, columns=list(columns) if columns else None, filters=wanted)
        return kept[key]

    return read

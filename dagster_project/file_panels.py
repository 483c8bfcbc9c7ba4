"""Panels that come from files, on their way from the own folder into a candidate. How one is made is in `analysis`.

Each waits in a folder of its own beside the warehouse: the panel, where each of its rows stands in the file, what was
set aside, and what there is to say of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dagster_project import overlay
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.panel_from_file import Assembled
    from analysis.studies.records import Study

#: What of a study's rows says where they stand in the file: a table of schema lineage.
ROWS = "panel_{}"
LEDGER = ["file", "source", "sha256", "bytes", "sheets", "rows", "cells", "reader_rejects"]
REJECTS = ["rule", "source", "file", "sheet", "row", "column", "value", "message", "city_code", "year", "indicator"]


def folder(paths: Paths, study: str) -> Path:
    """Where a study's panel waits for the candidate."""
    return paths.data / "warehouse" / "file_panels" / study


def make(paths: Paths, study: Study) -> Assembled:
    """Make a study's panel from its file and put it where the candidate finds it, whole or not at all."""
    from analysis import panel_from_file
    from analysis.studies.table_file import read_table

    assert study.panel is not None
    made = panel_from_file.assemble(study, overlay.known(paths).places)
    table = read_table(study.panel.path, study.panel.sheet)
    target = folder(paths, study.name)
    fresh = target.with_name(f"{study.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    made.panel.to_parquet(fresh / "panel.parquet", index=False)
    made.rows.to_parquet(fresh / "rows.parquet", index=False)
    about = {
        "file": f"panels/{study.panel.path.name}" if study.panel.file.startswith("panels/") else study.panel.file,
        "source": study.name,
        "sha256": table.sha256,
        "bytes": study.panel.path.stat().st_size,
        "sheets": 1,
        "rows": len(table.frame),
        "cells": int(table.frame.notna().to_numpy().sum()),
        "reader_rejects": len(made.aside),
    }
    aside = made.aside.assign(source=study.name, file=str(about["file"])).reindex(columns=REJECTS)
    aside.astype({"row": "int64"}).to_parquet(fresh / "aside.parquet", index=False)
    columns = {str(column): at for at, column in enumerate(table.frame.columns, start=1)}
    declared = study.panel
    said: dict[str, Any] = {
        **about,
        "sheet": table.sheet,
        "notes": made.notes,
        "columns": columns,
        "made": study.treatment,
        **{key: getattr(declared, key) for key in ("unit", "time", "treatment", "adoption", "place")},
        "variables": _done(study),
    }
    (fresh / "about.json").write_text(json.dumps(said, ensure_ascii=False))
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return made


def described(candidate: Path, study: Study) -> Study:
    """The study with a note on where its panel comes from and what a reader must know of it, for its page."""
    from analysis.studies.records import Label

    kept = candidate / "data" / "lineage" / f"{ROWS.format(study.name)}.json"
    if not kept.exists():
        return study
    about = json.loads(kept.read_text(encoding="utf-8"))
    said = [*([study.note.en] if study.note else []), f"The panel is {about['file']}, {about['rows']:,} rows."]
    note = " ".join([*said, *about["notes"]])
    return replace(study, note=Label(note, note))


def _done(study: Study) -> dict[str, dict[str, Any]]:
    """Column of the panel -> what was done to its values, as `pilotcity trace` takes the steps again."""
    from analysis.panel_from_file import told

    assert study.panel is not None
    own = {inside: name for name, inside in study.panel.aliases.items()}
    return {
        own.get(variable.name, variable.name): {
            **told(variable),
            "source": variable.source,
            "label": variable.label.en,
            "unit": variable.unit,
        }
        for variable in study.variables
    }


def panel(paths: Paths, study: str) -> pd.DataFrame:
    """A study's panel as its file gave it last."""
    return pd.read_parquet(folder(paths, study) / "panel.parquet")


def add(paths: Paths, candidate: Path, studies: Sequence[Study]) -> dict[str, int]:
    """Put the panels of files into a candidate, with their rows' places, and name files and rejects; rows by table."""
    counts = {}
    data = candidate / "data"
    for study in studies:
        source = folder(paths, study.name)
        for schema, name, made in (("panels", study.name, "panel"), ("lineage", ROWS.format(study.name), "rows")):
            (data / schema).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / f"{made}.parquet", data / schema / f"{name}.parquet")
        shutil.copyfile(source / "about.json", data / "lineage" / f"{ROWS.format(study.name)}.json")
        counts[f"panels.{study.name}"] = len(pd.read_parquet(source / "panel.parquet", columns=["adoption"]))
    about = [json.loads((folder(paths, study.name) / "about.json").read_text()) for study in studies]
    ledger = pd.DataFrame(about).reindex(columns=LEDGER)
    aside = [pd.read_parquet(folder(paths, study.name) / "aside.parquet") for study in studies]
    _append(data / "quality" / "files.parquet", ledger)
    _append(data / "quality" / "rejects.parquet", pd.concat(aside, ignore_index=True) if aside else None)
    return counts


def _append(path: Path, rows: pd.DataFrame | None) -> None:
    """Rows after those that the warehouse has, or alone."""
    if rows is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        held = pd.read_parquet(path)
        if rows.empty:
            return
        rows = pd.concat([held, rows.reindex(columns=held.columns)], ignore_index=True)
    rows.to_parquet(path, index=False)

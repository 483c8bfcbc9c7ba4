"""`pilotcity schema`: what studies and contracts may say, as JSON Schema, for an editor to complete and check."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster_project.paths import Paths, shown

HELP = "write what studies and contracts may say, for an editor to complete and check"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where to; by default the folder schema/ of the own folder"
    )
    parser.add_argument("--of", choices=tuple(SCHEMAS), help="print this one instead of writing all")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print one schema, or write all of them."""
    if options.of:
        print(_text(SCHEMAS[options.of](paths)))
        return 0
    for path in write(paths, options.folder):
        print(shown(path))
    return 0


def write(paths: Paths, folder: Path | None = None) -> list[Path]:
    """The schemas in a folder, by default where files of the own folder look for them; returns what was written."""
    folder = folder or paths.own / "schema"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in SCHEMAS.items():
        path = folder / f"{name}.json"
        path.write_text(_text(schema(paths)) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=1)


def _study(paths: Paths) -> dict[str, Any]:
    from analysis.studies.schema import study_schema
    from dagster_project import overlay

    return study_schema(overlay.known(paths))


def _contract(paths: Paths) -> dict[str, Any]:
    from dagster_project import overlay
    from dagster_project.ingest.contracts import contract_schema

    return contract_schema(overlay.catalogue(paths).indicators)


#: What there is a schema of; files point to it by this name.
SCHEMAS: dict[str, Callable[[Paths], dict[str, Any]]] = {"study": _study, "contract": _contract}

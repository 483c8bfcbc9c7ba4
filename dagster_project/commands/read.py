"""`pilotcity read`: what contracts make of one file, cell by cell, without a run."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dagster_project.paths import DBT_PROJECT, Paths

if TYPE_CHECKING:
    import pandas as pd

    from dagster_project.ingest.contracts import Contract

HELP = "what contracts make of one file, cell by cell, without a run"
SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--own", type=Path, metavar="FOLDER", help="your own contracts; else PILOTCITY_OWN or data/own")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each cell")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the cells of one file, and to the error output what of its contracts the file does not hold."""
    from dagster_project import overlay

    if not options.file.is_file():
        raise FileNotFoundError(f"There is no file {options.file}.")
    paths = replace(paths, own=options.own.resolve()) if options.own else paths
    relative = relative_name(paths, options.file)
    claims = [c for c in overlay.contracts(paths).values() if c.kind == "yearbook" and c.matches(relative)]
    if not claims:
        print(f"No contract claims {relative}. `pilotcity adopt {options.file}` drafts one.", file=sys.stderr)
        return 0
    found, rejects = cells(paths, options.file, relative, claims)
    if options.json:
        columns = found.columns.tolist()
        for row in found.itertuples(index=False, name=None):
            print(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
    else:
        _show(found)
    for message in rejects["message"]:
        print(message, file=sys.stderr)
    return 0


def relative_name(paths: Paths, file: Path) -> PurePosixPath:
    """A file as contracts name it: by its place in the raw folder, or elsewhere by its name."""
    whole = file.resolve()
    return PurePosixPath(whole.relative_to(paths.raw) if whole.is_relative_to(paths.raw) else whole.name)


def cells(
    paths: Paths, file: Path, relative: PurePosixPath, claims: list[Contract]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every cell that contracts claim, in the order of the file, with None for what is missing; and what they miss."""
    import pandas as pd

    from dagster_project import overlay
    from dagster_project.ingest import staging, tables, yearbooks

    units = tables.unit_texts()
    readings = [yearbooks.read(file, str(relative), contract, units) for contract in claims]
    raw = pd.concat([reading.cells for reading in readings], ignore_index=True)
    rejects = pd.concat([reading.rejects for reading in readings], ignore_index=True)
    found = staging.judged(DBT_PROJECT, raw, tables.of_staging(overlay.catalogue(paths).indicators_table(), claims))
    found["column"] = found["column"].map(number_of)
    return found.astype(object).where(found.notna(), None), rejects


def number_of(letters: str) -> int:
    """A column's number, from 1, by its letters."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _show(found: pd.DataFrame) -> None:
    accepted = found[found["rule"].isna() & found["value"].notna()]
    blank = int((found["rule"].isna() & found["value"].isna()).sum())
    for row in found.head(SHOWN).to_dict("records"):
        said = (
            row["message"]
            or f"{row['city_code']} {row['year']} {row['indicator']} = {row['value']} {row['unit'] or ''}"
        )
        print(f"{row['sheet']} row {row['row']}, column {row['column']} ({row['header']}): {said}")
    if len(found) > SHOWN:
        print(f"... {len(found) - SHOWN:,} more; --json prints all")
    aside = len(found) - len(accepted) - blank
    print(f"{len(accepted):,} values accepted, {blank:,} cells without a value, {aside:,} set aside")
    for rule, count in Counter(found["rule"].dropna()).most_common():
        example = found.loc[found["rule"] == rule, "message"].iloc[0]
        print(f"  {rule}: {count:,}, such as {example}")

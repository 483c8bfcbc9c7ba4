"""`pilotcity adopt`: a draft of a contract for files that none describes, into the own folder."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.commands.read import relative_name
from dagster_project.ingest.cells import COLUMNS
from dagster_project.paths import CATALOGUE, DBT_PROJECT, REFERENCE, Paths, shown

if TYPE_CHECKING:
    import pandas as pd

    from dagster_project.ingest.drafting import Catalogue, Draft

#: Places of attributes are those of the roster, which is that of this year.
LAST_YEAR = "2021"
HELP = "draft a contract for files that none describes, into your own folder"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--own", type=Path, metavar="FOLDER", help="where to; else PILOTCITY_OWN or data/own")
    parser.add_argument("--yes", action="store_true", help="take the draft as it is, without a question")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Write a draft for each file; what the file leaves open is asked in a terminal, and said in any case."""
    from dagster_project import overlay
    from dagster_project.ingest import drafting, files
    from dagster_project.progress import Screen

    paths = replace(paths, own=options.own.resolve()) if options.own else paths
    missing = [file for file in options.files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"There is no file {missing[0]}.")
    failed = 0
    for number, file in enumerate(options.files):
        relative = relative_name(paths, file)
        contracts = overlay.contracts(paths)
        claimed = [contract.source for contract in contracts.values() if contract.matches(relative)]
        if claimed:
            print(f"{file.name}: the contract {', '.join(claimed)} claims it already; `pilotcity read` shows how.")
            continue
        source = _source(file, contracts)
        try:
            with Screen(aside=True) as screen:
                screen.part(f"reading {file.name}", number, len(options.files))
                made = drafting.draft(source, str(relative), files.open_sheets(file), catalogue(paths))
        except files.UnreadableFile as error:
            print(f"{file.name}: the file {error}.", file=sys.stderr)
            failed = 1
            continue
        if not options.yes and sys.stdin.isatty():
            _ask(made)
        _say(file, made)
        if made.tables:
            _write(paths.own, source, file, made)
        if made.pilots:
            _write_pilots(paths, source, file, made.pilots)
        if made.attributes:
            _write_attributes(paths, source, file, made.attributes)
    return failed


def catalogue(paths: Paths) -> Catalogue:
    """What is known of places, indicators and units."""
    from dagster_project import overlay
    from dagster_project.ingest.drafting import Catalogue

    def rows(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    return Catalogue.of(
        rows(REFERENCE / "city_names.csv"),
        rows(REFERENCE / "units.csv"),
        overlay.catalogue(paths),
        rows(CATALOGUE / "measurement_units.csv"),
    )


def _source(file: Path, taken: Mapping[str, object]) -> str:
    """A name for the source: the file's, in the letters that names may have."""
    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    if not file.stem.isascii():
        name = f"{name}_{hashlib.sha256(file.name.encode()).hexdigest()[:6]}".strip("_")
    name = name if name[:1].isalpha() else f"file_{name}"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _ask(made: Draft) -> None:
    """Ask for what the file leaves open; an empty answer leaves it open."""
    for table in made.tables:
        if "year" not in table["keys"] and (
            answer := input("Which year does the file describe (Enter: later)? ").strip()
        ):
            table["keys"]["year"] = {"from": "constant", "value": answer}
        for column in table["columns"]:
            if column["unit"] == "as written" and (
                answer := input(f"In which unit is {column['header']} (亿元, 万人, %, ...; Enter: later)? ").strip()
            ):
                column["unit"] = answer
                indicator = input("Which indicator of the catalogue is it (Enter: a new one)? ").strip()
                column["indicator"] = indicator or column["indicator"]


def _say(file: Path, made: Draft) -> None:
    columns = sum(len(table["columns"]) for table in made.tables)
    print(f"{file.name}: {len(made.tables)} table{'s' * (len(made.tables) != 1)}, {columns} columns of values.")
    for line in made.notes:
        print(f"  {line}")
    for line in dict.fromkeys(made.doubts):
        print(f"  UNSURE {line}")


def _write(own: Path, source: str, file: Path, made: Draft) -> None:
    from ruamel.yaml import YAML

    folder = own / "contracts"
    folder.mkdir(parents=True, exist_ok=True)
    pattern = re.sub(r"[?*\[\]]", "?", file.name)
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 140
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(
        {
            "source": source,
            "kind": "yearbook",
            "files": [f"**/{pattern}"],
            "tables": [_ordered(table) for table in made.tables],
        },
        stream,
    )
    doubts = "".join(f"# UNSURE {line}\n" for line in dict.fromkeys(made.doubts))
    head = "# yaml-language-server: $schema=../schema/contract.json\n"
    head += f"# Drafted by `pilotcity adopt` from {file.name}; what is wrong here may be corrected.\n"
    path = folder / f"{source}.yaml"
    path.write_text(f"{head}{doubts}{stream.getvalue()}", encoding="utf-8")
    print(f"  written: {shown(path)}")
    used = {column["indicator"] for table in made.tables for column in table["columns"]}
    _add_indicators(own / "indicators.csv", {name: row for name, row in made.indicators.items() if name in used})


def _placed(paths: Paths, source: str, file: Path, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows that name places of the roster, with city_code and the year in ``year_y``; says which rows do not."""
    import pandas as pd

    from dagster_project import overlay
    from dagster_project.ingest import staging, tables

    texts = ["code", "city", "province", "year", "sheet"]
    cells = pd.DataFrame(rows, dtype=object)
    cells = (
        cells.reindex(columns=list(dict.fromkeys(["row", "batch", *texts, *cells.columns]))).astype(object).fillna("")
    )
    fixed = {"source": source, "file": file.name, "column": "A", "header": "", "block": "A1", "fault": ""}
    cells = cells.assign(**fixed, indicator="pilot", unit="as written", value="1").astype({"row": int})
    listed = overlay.catalogue(paths).indicators_table()
    listed.loc[len(listed), ["indicator", "unit"]] = ["pilot", "as written"]
    judged = staging.judged(DBT_PROJECT, cells[[*COLUMNS]], tables.of_staging(listed, []))
    found = cells.merge(judged[["sheet", "row", "city_code", "year", "rule", "message"]], on=["sheet", "row"])
    for message in found["message"].dropna():
        print(f"  {message}")
    roster = tables.committed(REFERENCE / "cities.csv").set_index("city_code")["name_zh"]
    good = found[found["rule"].isna()]
    for row in good[~good["city_code"].isin(roster.index)].itertuples():
        print(f"  row {row.row}: {row.city} ({row.city_code}) is no city of the roster; left out of the list.")
    good = good[good["city_code"].isin(roster.index)]
    return good.assign(name_zh=good["city_code"].map(roster))


def _write_pilots(paths: Paths, source: str, file: Path, pilots: list[dict[str, Any]]) -> None:
    """A policy list of the cities that a list of pilots names, by code; whatever is wrong with it is said at once."""
    import pandas as pd

    path = paths.own / "policies" / f"{source}.csv"
    if path.exists():
        print(f"  {shown(path)} is there already and was left alone.")
        return
    good = _placed(paths, source, file, pilots).sort_values(["city_code", "year_y", "row"], kind="stable")
    event = good.groupby("city_code").cumcount()
    rows = pd.DataFrame(
        {
            "city_code": good["city_code"],
            "name_zh": good["name_zh"],
            "adoption": good["year_y"],
            "batch": good["batch"],
            "scope": ["whole city" if number == 0 else f"event {number + 1}" for number in event],
            "source": f"{file.name}, as adopted",
            "certainty": "to be checked",
            "note": "",
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    print(f"  a policy list of {rows['city_code'].nunique()} cities: {shown(path)}")


def _write_attributes(paths: Paths, source: str, file: Path, rows: list[dict[str, Any]]) -> None:
    """Columns of the own cities.csv from what a file says of places without a year; what is there already stays."""
    import pandas as pd

    from dagster_project import overlay

    path = paths.own / overlay.CITIES
    there = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame({"city_code": []})
    taken = {*pd.read_csv(REFERENCE / "cities.csv", nrows=0).columns, *there.columns}
    names = [name for name in rows[0] if name not in ("sheet", "row", "code", "city", "province")]
    for name in names:
        if name in taken:
            print(f"  column {name}: the cities have one of that name already; it was left alone.")
    names = [name for name in names if name not in taken]
    if not names:
        return
    good = _placed(paths, source, file, [{**row, "year": LAST_YEAR} for row in rows])
    twice = good[good.duplicated("city_code", keep=False)]
    for row in twice.itertuples():
        print(f"  row {row.row}: {row.city} stands in several rows; left out.")
    good = good[~good["row"].isin(twice["row"])]
    merged = there.merge(good[["city_code", *names]], on="city_code", how="outer").sort_values("city_code").fillna("")
    path.parent.mkdir(parents=True, exist_ok=True)
    merged.to_csv(path, index=False)
    print(f"  {', '.join(names)} of {len(good)} cities, for samples and groups of studies: {shown(path)}")


def _ordered(table: dict[str, Any]) -> dict[str, Any]:
    order = ("sheets", "title", "header_rows", "header_levels", "keys", "value", "fill_down", "columns")
    return {key: table[key] for key in order if key in table}


def _add_indicators(path: Path, new: Mapping[str, Mapping[str, str]]) -> None:
    """Put new indicators behind those that are there."""
    if not new:
        return
    with (CATALOGUE / "indicators.csv").open(encoding="utf-8", newline="") as stream:
        columns = next(csv.reader(stream))
    before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    if before:
        columns = next(csv.reader(io.StringIO(before)))
    there = {row["indicator"] for row in csv.DictReader(io.StringIO(before))}
    added = io.StringIO()
    writer = csv.DictWriter(added, columns, extrasaction="ignore", restval="", lineterminator="\n")
    if not before:
        writer.writeheader()
    writer.writerows(row for name, row in new.items() if name not in there)
    end = "" if not before or before.endswith("\n") else "\n"
    path.write_text(before + end + added.getvalue(), encoding="utf-8")
    print(f"  {len(new)} new indicator{'s' * (len(new) != 1)} in {shown(path)}")

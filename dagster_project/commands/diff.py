"""`pilotcity diff`: what changed from one publication to another, and why estimates moved."""

from __future__ import annotations

import argparse
import json
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

HELP = "what changed from one publication to another, and why estimates moved"
#: Rows of a part that are printed; --json has them all.
SHOWN = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", nargs="?", type=int, help="number of a publication; the one before NEW unless named")
    parser.add_argument(
        "new", nargs="?", type=int, help="number of a publication; the one that readers see unless named"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object: the line, and a list of changes")


def main(paths: Paths, options: argparse.Namespace) -> int:
    """Print the comparison; it reads two publications and writes nothing."""
    from analysis.comparison import wording
    from dagster_project import comparing, overlay, state

    old, new = _chosen(paths, options.old, options.new)
    found = comparing.compared(old, new, overlay.studies(paths))
    line = wording.overview(found.table)
    is_sample = bool(state.read_json(new / "publication.json").get("is_sample"))
    if options.json:
        rows = json.loads(found.table.to_json(orient="records", force_ascii=False))
        plain = [{key: value for key, value in row.items() if value is not None} for row in rows]
        said = {"old": int(old.name), "new": int(new.name), "line": line.en, "line_zh": line.zh, "changes": plain}
        print(json.dumps(said | {"is_sample": is_sample}, ensure_ascii=False, indent=1))
        return 0
    if is_sample:
        print("SAMPLE DATA: no number below is a finding.")
    print(f"Publication {old.name} -> {new.name}: {line.en}")
    print("\n".join(_lines(found.table)))
    return 0


def _chosen(paths: Paths, old: int | None, new: int | None) -> tuple[Path, Path]:
    """The folders of two publications; ValueError with the numbers that there are."""
    from dagster_project import publication

    there = publication.numbers(paths)
    said = f"there are {', '.join(map(str, there))}." if there else "there is none: run `make run` first."
    if new is None:
        new = int(paths.published.resolve().name) if paths.published.exists() else max(there, default=0)
    if old is None:
        old = max((number for number in there if number < new), default=0)
        if not old:
            raise ValueError(f"No publication before {new} is kept, so that there is nothing to compare with; {said}")
    for number in (old, new):
        if number not in there:
            raise ValueError(f"There is no publication {number}; {said}")
    return paths.publications / str(old), paths.publications / str(new)


def _lines(table: pd.DataFrame) -> list[str]:
    """Every part in a few lines."""
    lines = _reasons(table)
    for part, heading in (
        ("file", "Files"),
        ("cell", "Cells"),
        ("value", "Values of panels"),
        ("estimate", "Estimates"),
        ("finding", "Findings of the audits"),
        ("check", "Checks"),
        ("note", "Notes"),
    ):
        rows = table[table["part"].eq(part)]
        if rows.empty:
            continue
        lines += ["", f"{heading}: {len(rows):,}"]
        lines += [f"  {_row(part, row)}" for row in rows.head(SHOWN).astype(object).to_dict("records")]
        if len(rows) > SHOWN:
            lines.append(f"  ... and {len(rows) - SHOWN:,} more (quality.changes, or --json)")
    return lines


def _reasons(table: pd.DataFrame) -> list[str]:
    from analysis.comparison import wording
    from analysis.studies.records import Label

    lines: list[str] = []
    rows = table[table["part"].eq("reason")]
    for (study, exhibit, model, term), those in rows.groupby(["study", "item", "model", "term"], sort=False):
        causes = those[those["change"].eq("cause") & those["contribution"].ne(0)]
        order = causes["contribution"].abs().sort_values(ascending=False, kind="stable").index
        parts = [
            (float(row["contribution"]), Label(str(row["message"]), str(row["message_zh"])))
            for row in causes.loc[order].to_dict("records")
        ]
        before, now = float(those["old"].iloc[0]), float(those["new"].iloc[0])
        why = wording.sentence(before, now, parts).en if parts else str(those["message"].iloc[0])
        lines.append(f"  {study}, {exhibit}, {model}, {term}: {why}")
    return ["", "Why estimates moved:", *lines] if lines else []


def _row(part: str, row: dict[Hashable, Any]) -> str:
    known = {str(key): value for key, value in row.items() if _there(value)}
    change = known.get("change", "")
    old, new = (known.get(f"{side}_text", known.get(side, "-")) for side in ("old", "new"))
    where = ", ".join(str(known[key]) for key in _WHERE[part] if key in known)
    if part in ("finding", "note"):
        return f"{change} {where}: {known.get('message', '')}".strip(" :")
    return f"{change} {where}: {_number(old)} -> {_number(new)}"


def _there(value: Any) -> bool:
    import pandas as pd

    return not pd.isna(value)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_WHERE: dict[str, tuple[str, ...]] = {
    "file": ("file",),
    "cell": ("file", "sheet", "row", "column", "item", "city_code", "year"),
    "value": ("study", "item", "city_code", "year"),
    "estimate": ("study", "item", "model", "term"),
    "finding": ("study", "item"),
    "check": ("study", "item"),
    "note": (),
}

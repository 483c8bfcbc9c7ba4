"""What is kept of earlier publications, and which parts of a publication depend on it.

A publication follows from its inputs alone, but for what compares it with the ones before: that lies in the places that
`DEPENDENT` and `TABLES` name and nowhere else, so that whole and partial runs can be compared byte for byte without it.

Of each publication a summary of a few kB outlives it in <data>/history. Its place in the order is a number, no clock.
What is damaged there is made again from the publication while that is on disk, else left out with a sentence.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project import state
from dagster_project.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

#: Files and folders of a publication, besides the pages of its site, that depend on the publications before it.
#: checksums.json, datapackage.json and pilotcity.duckdb hold what the others hold.
DEPENDENT = (
    *("changes", "data/quality/changes.parquet", "data/quality/checks.parquet", "data/datapackage.json"),
    *("pilotcity.duckdb", "checksums.json", "site/changes.html", "site/index.html", "site/files/changes"),
    *("site/data_docs", "site/files/warehouse/checks.csv"),
)
#: Tables of its DuckDB file that do.
TABLES = ("quality.changes", "quality.checks")
#: What the asset of changes leaves in a candidate for its page, and for this folder once it is published.
FOLDER = "changes"
SUMMARY, TRENDS = "summary.json", "trends.json"
KEYS = ("version", "order", "is_sample", "files", "rejects", "checks", "headlines")
#: Summaries that are kept.
KEPT = 200
CHECKS = ("publication", "layer", "table_name", "rule", "blocking", "passed", "failing", "rows")


def folder(paths: Paths) -> Path:
    """Where summaries outlive their publications."""
    return paths.data / "history"


def read(paths: Paths) -> tuple[list[dict[str, Any]], list[str]]:
    """Summaries of every publication that anything is known of, oldest first, and a sentence for each that is lost."""
    found: dict[int, dict[str, Any]] = {}
    lost: dict[str, str] = {}
    for path in sorted(folder(paths).glob("*.json.gz")):
        try:
            summary = json.loads(gzip.decompress(path.read_bytes()))
            found[int(summary["order"])] = {key: summary[key] for key in KEYS}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            lost[path.name] = f"The summary {path.name} of an earlier publication is damaged"
    known = {summary["version"] for summary in found.values()}
    for publication in _on_disk(paths):
        summary = state.read_json(publication / FOLDER / SUMMARY)
        if summary and summary["version"] not in known:
            # one that was cleared of history, or never got there: a run was ended just before
            found.setdefault(int(summary["order"]), summary)
            lost = {name: said for name, said in lost.items() if summary["version"] not in name}
    return [found[order] for order in sorted(found)], [f"{said} and is left out." for said in lost.values()]


def keep(paths: Paths, publication: Path) -> None:
    """Keep the summary of a publication that was just made, in the place of a damaged one."""
    summary = state.read_json(publication / FOLDER / SUMMARY)
    if not summary:
        return
    place = folder(paths)
    place.mkdir(parents=True, exist_ok=True)
    content = gzip.compress(json.dumps(summary, ensure_ascii=False, sort_keys=True).encode(), mtime=0)
    fresh = place / f".{summary['version']}.new"
    fresh.write_bytes(content)
    fresh.replace(place / f"{int(summary['order']):06d}-{summary['version']}.json.gz")
    state.sync(place)
    for old in sorted(place.glob("*.json.gz"))[:-KEPT]:
        old.unlink()


def next_order(entries: list[dict[str, Any]]) -> int:
    """The place in the order of a publication that follows these."""
    return max((int(entry["order"]) for entry in entries), default=0) + 1


def checks_table(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """quality.checks: every rule of every publication that a summary is kept of; of one made twice, the later time."""
    import pandas as pd

    latest = {entry["version"]: entry for entry in entries}
    rows = [
        (entry["version"], *row) for entry in entries if latest[entry["version"]] is entry for row in entry["checks"]
    ]
    table = pd.DataFrame(rows, columns=list(CHECKS))
    return table.astype({"blocking": "bool", "passed": "bool", "failing": "int64", "rows": "int64"})


def trends(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What of each summary is drawn: rejects, warnings, failing rows, headline estimates."""
    return [
        {
            "version": entry["version"],
            "is_sample": entry["is_sample"],
            "files": entry["files"],
            "rejects": sum(entry["rejects"].values()),
            "warnings": sum(not row[4] for row in entry["checks"]),
            "failing": sum(row[5] for row in entry["checks"]),
            "headlines": entry["headlines"],
        }
        for entry in entries
    ]


def _on_disk(paths: Paths) -> list[Path]:
    if not paths.publications.is_dir():
        return []
    numbers = sorted(int(path.name) for path in paths.publications.iterdir() if re.fullmatch(r"\d+", path.name))
    return [paths.publications / str(number) for number in numbers]

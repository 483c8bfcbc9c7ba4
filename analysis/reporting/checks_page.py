"""The page of the data checks: what was tested of each layer before it was published, and on which rows it failed.

Rules are checked in `expectations`; here their outcomes are shown, each failing row with the place of its cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.names import TIME, UNIT
from analysis.reporting.explorer import Tables
from analysis.reporting.listing import Listing, listing

#: Layers in the order in which the data flow -> heading.
LAYERS = {
    "raw": "Raw files",
    "staging": "Staging: text made into numbers, dates and places",
    "intermediate": "One geography over time",
    "panels": "Panels",
}
#: Places in raw files that a failing row names.
PLACES = 3

Outcomes = Sequence[Mapping[str, Any]]


def checks_page(outcomes: Outcomes, tables: Tables | None, explored: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Values of templates/checks.html.

    Parameters
    ----------
    outcomes
        One a suite: ``name``, ``about``, ``rows`` and ``rules``, each with ``rule``, ``blocking``, ``passed``,
        ``observed``, ``advice``, ``broken`` (rows) and ``failing`` (``columns`` and ``data`` of those quoted).
    tables, explored
        Of the publication, and panel -> its columns that have a page: where failing rows lead.
    """
    layers = [*LAYERS, *sorted({_layer(suite) for suite in outcomes} - set(LAYERS))]
    suites = sorted(outcomes, key=lambda suite: layers.index(_layer(suite)))
    rules = [(suite, rule) for suite in suites for rule in suite["rules"]]
    broken = [(suite, rule) for suite, rule in rules if not rule["passed"]]
    broken.sort(key=lambda found: not found[1]["blocking"])
    failed = sum(rule["blocking"] for _, rule in broken)
    frame = pd.DataFrame(
        [
            (suite["name"], rule["rule"], _verdict(rule), "blocks" if rule["blocking"] else "warns", rule["observed"])
            for suite, rule in rules
        ],
        columns=["table", "rule", "holds", "if it fails it", "observed"],
    )
    about = pd.DataFrame(
        [
            (
                LAYERS.get(_layer(suite), _layer(suite)),
                suite["name"],
                suite["about"],
                suite["rows"],
                len(suite["rules"]),
            )
            for suite in suites
        ],
        columns=["layer", "table", "what a row is", "rows", "rules"],
    )
    return {
        "title": "Data checks",
        "rules": len(rules),
        "suites": len(suites),
        "held": len(rules) - len(broken),
        "warned": len(broken) - failed,
        "failed": failed,
        "broken": [_broken(suite, rule, tables, explored, at) for at, (suite, rule) in enumerate(broken)],
        "every": listing(frame, "Every rule"),
        "about": listing(about, "What was checked"),
        "contents": [
            *([("broken", "What does not hold", 0)] if broken else []),
            *((f"broken-{at}", rule["rule"], 1) for at, (_, rule) in enumerate(broken)),
            ("every", "Every rule", 0),
            ("about", "What was checked", 0),
            ("docs", "Data Docs", 0),
        ],
    }


def _verdict(rule: Mapping[str, Any]) -> str:
    return "yes" if rule["passed"] else "NO" if rule["blocking"] else "no (warning)"


def _layer(suite: Mapping[str, Any]) -> str:
    return str(suite["name"].split(".")[0])


def _broken(
    suite: Mapping[str, Any],
    rule: Mapping[str, Any],
    tables: Tables | None,
    explored: Mapping[str, Sequence[str]],
    at: int,
) -> dict[str, Any]:
    """A rule that does not hold, with its quoted rows: each leads to its value, and names the cells behind it."""
    failing = pd.DataFrame(rule["failing"]["data"], columns=rule["failing"]["columns"])
    shown: Listing | None = None
    if len(failing):
        panel = suite["name"].removesuffix("_drift").partition(".")[2]
        columns = explored.get(panel, ()) if _layer(suite) == "panels" else ()
        rows = [{str(key): value for key, value in row.items()} for row in failing.to_dict("records")]
        places = [_places(row, tables) for row in rows]
        if any(places):
            failing = failing.assign(**{"where it stands": places})

        def leads(column: str, value: Any, row: dict[str, Any]) -> str:
            return _door(panel if columns else "city_year", column, row, columns)

        shown = listing(failing, rule["rule"], leads)
    return {
        "id": f"broken-{at}",
        "suite": suite["name"],
        "rule": rule["rule"],
        "blocking": rule["blocking"],
        "observed": rule["observed"],
        "advice": rule["advice"],
        "rows": shown,
        "shown": len(failing),
        "broken": rule["broken"],
    }


def _door(panel: str, column: str, row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Where a cell of a failing row leads: a value to its trace, a city to its page, a file to the ledger."""
    if column == "file":
        return "warehouse.html#files"
    code, year = row.get(UNIT), row.get(TIME)
    if code is None or pd.isna(code):
        return f"variable.html#{panel}.{row[column]}" if column == "column" and row[column] in columns else ""
    if column in columns and year is not None and not pd.isna(year):
        return f"city.html#{code}/{panel}.{column}/{int(year)}"
    return f"city.html#{code}" if column in (UNIT, "name_zh") else ""


def _places(row: Mapping[str, Any], tables: Tables | None) -> str:
    """File, sheet, row and column of the first cells behind a failing row that names an indicator."""
    if tables is None or not isinstance(row.get("indicator"), str):
        return ""
    cells, headers = tables["lineage.cells"], tables["lineage.headers"]
    wanted = cells["indicator"].eq(row["indicator"])
    for key in (TIME, UNIT):
        value = row.get(key)
        if value is not None and not pd.isna(value):
            wanted &= cells[{UNIT: "city_code"}.get(key, key)].eq(value)
    found = cells[wanted].merge(headers, on=["header_id", "indicator"])
    if isinstance(row.get("source"), str):
        found = found[found["source"] == row["source"]]
    found = found.sort_values(["file", "sheet", "row", "column"])
    first = found.head(PLACES)[["file", "sheet", "row", "column", "text"]].astype(str)
    told = [
        f"{file}, {sheet}, row {row}, column {column}: {text}"
        for file, sheet, row, column, text in first.itertuples(index=False, name=None)
    ]
    more = [f"and {len(found) - PLACES:,} more cells"] if len(found) > PLACES else []
    return "; ".join([*told, *more])

"""The page *What changed*: what goes on it, from the table of changes. Changes are found in `analysis.comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.comparison import wording
from analysis.printing.table import SAMPLE, display_name
from analysis.reporting.listing import Listing, listing
from analysis.reporting.tables import safe_csv
from analysis.studies.records import Label

PAGE = "changes.html"
#: Rows of a listing on the page; the file has them all.
SHOWN = 50
WIDTH, HEIGHT, MARGIN = 260, 56, 6


@dataclass(frozen=True)
class ChangesReport:
    """What the page is made from.

    Attributes
    ----------
    table : as `analysis.comparison.Comparison.table`.
    trends : one a publication, oldest first, the last one this: ``version``, ``files``, ``rejects``, ``warnings``,
        ``failing`` and ``headlines``, rows of study, exhibit, model, term, estimate and standard error.
    lost : a sentence for each publication of which nothing is known any more.
    """

    table: pd.DataFrame
    trends: Sequence[Mapping[str, Any]] = ()
    lost: Sequence[str] = field(default_factory=tuple)

    @property
    def news(self) -> Label:
        """The line of the overview."""
        return wording.overview(self.table)


def changes_page(report: ChangesReport, titles: Mapping[str, str], output: Path, *, is_sample: bool) -> dict[str, Any]:
    """Values of templates/changes.html; writes the table as CSV into ``output``/files/changes.

    ``titles`` are those of the studies.
    """
    table = report.table
    folder = Path("files") / "changes"
    (output / folder).mkdir(parents=True, exist_ok=True)
    marked = table.assign(data=SAMPLE) if is_sample else table
    (output / folder / "changes.csv").write_text(safe_csv(marked), encoding="utf-8", newline="")
    told = table.dropna(subset=["message", "message_zh"])
    labels = dict(zip(told["message"].astype(str), told["message_zh"].astype(str), strict=True))
    news = report.news
    reasons, said = _reasons(_part(table, "reason"), titles)
    before = table["before"].dropna()
    sections = _sections(table)
    contents = [("reasons", "Why estimates moved", 0)] * bool(reasons)
    contents += [(anchor, title, 0) for anchor, title, _ in sections]
    return {
        "template": "changes.html",
        "title": "What changed",
        "labels": labels | said | {news.en: news.zh},
        "news": news.en,
        "before": str(before.iloc[0]) if len(before) else None,
        "notes": _part(table, "note")["message"].tolist() if len(before) else [],
        "reasons": reasons,
        "sections": sections,
        "trends": _trends(report.trends),
        "publications": _publications(report.trends),
        "lost": list(report.lost),
        "contents": [*contents, ("trends", "Over the publications", 0)],
        "file": (folder / "changes.csv").as_posix(),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _part(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["part"].eq(name)]


_KEYS = ["study", "item", "model", "term"]


def _reasons(rows: pd.DataFrame, titles: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Each headline estimate that moved with its causes, and the Chinese of the sentences."""
    found, said = [], {}
    for key, those in rows.groupby(_KEYS, sort=False):
        study, exhibit, model, term = map(str, key)
        causes = those[those["change"].eq("cause")]
        causes = causes.reindex(causes["contribution"].abs().sort_values(ascending=False, kind="stable").index)
        before, now = float(those["old"].iloc[0]), float(those["new"].iloc[0])
        parts = [
            (float(row["contribution"]), Label(str(row["message"]), str(row["message_zh"])))
            for row in causes.to_dict("records")
            if row["contribution"]
        ]
        sentence = wording.sentence(before, now, parts) if parts else None
        if sentence:
            said[sentence.en] = sentence.zh
        not_split = those[those["change"].eq("not split")]
        found.append(
            {
                "study": titles.get(study, study),
                "page": f"{study}.html#{exhibit}" if study in titles else None,
                "where": f"{display_name(exhibit)}, {model}",
                "term": term,
                "sentence": sentence.en if sentence else f"{wording.number(before)} → {wording.number(now)}",
                "note": str(not_split["message"].iloc[0]) if len(not_split) else None,
                "causes": [_cause(row, those) for row in causes.to_dict("records") if row["contribution"]],
            }
        )
    return found, said


def _cause(row: Mapping[Any, Any], those: pd.DataFrame) -> dict[str, Any]:
    """A cause with its cities, years and single values, where it has several of them."""
    own = those[those["of"].eq(str(row["old_text"]))]
    places = wording.decimals(those["contribution"])
    levels = []
    for level, heading in (("city", "By city"), ("year", "By year"), ("value", "Single values, to first order")):
        members = own[own["change"].eq(level)]
        if len(members) > 1:
            parts = [wording.signed(part, places) for part in members["contribution"]]
            frame = pd.DataFrame({level: members["message"], "part": parts})
            levels.append(listing(frame.reset_index(drop=True), heading))
    return {"name": str(row["message"]), "part": wording.signed(float(row["contribution"]), places), "levels": levels}


#: Part -> heading, columns by what they are called on the page.
_SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "estimate": (
        "Estimates",
        {
            "study": "study",
            "item": "exhibit",
            "model": "column",
            "term": "term",
            "change": "change",
            "old_text": "before",
            "new_text": "now",
            "contribution": "in standard errors",
        },
    ),
    "file": (
        "Files",
        {
            "file": "file",
            "change": "change",
            "study": "source",
            "old": "cells before",
            "new": "cells now",
            "old_text": "rows before",
            "new_text": "rows now",
        },
    ),
    "cell": (
        "Cells",
        {
            "file": "file",
            "sheet": "sheet",
            "row": "row",
            "column": "column",
            "item": "indicator",
            "city_code": "city code",
            "year": "year",
            "change": "change",
            "old_text": "before",
            "new_text": "now",
        },
    ),
    "value": (
        "Values of panels",
        {
            "study": "panel",
            "item": "column",
            "city_code": "city code",
            "year": "year",
            "change": "change",
            "old": "before",
            "new": "now",
        },
    ),
    "finding": (
        "Findings of the audits",
        {"study": "study", "change": "change", "message": "finding", "model": "where", "item": "code"},
    ),
    "check": (
        "Checks",
        {"study": "table", "item": "rule", "change": "change", "old": "failing before", "new": "failing now"},
    ),
}


def _sections(table: pd.DataFrame) -> list[tuple[str, str, Listing]]:
    """Anchor, heading and listing of each part that has rows."""
    sections = []
    for part, (heading, columns) in _SECTIONS.items():
        rows = _part(table, part)
        if rows.empty:
            continue
        # what has no cell of its own, such as a count of records, shows its numbers
        rows = rows.assign(
            **{f"{side}_text": rows[f"{side}_text"].fillna(_text(rows[side])) for side in ("old", "new")}
        )
        caption = heading if len(rows) <= SHOWN else f"{heading}: the first {SHOWN} of {len(rows):,}"
        shown = rows.head(SHOWN)[list(columns)].rename(columns=columns)
        if "exhibit" in shown:
            shown["exhibit"] = [display_name(str(name)) for name in shown["exhibit"]]
        sections.append((part, heading, listing(shown.reset_index(drop=True), caption)))
    return sections


def _text(numbers: pd.Series) -> pd.Series:
    return numbers.map(lambda value: f"{value:g}", na_action="ignore").astype("string")


def _trends(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A small plot a series: its name, its first and last value, and the points of its line."""
    if len(entries) < 2:
        return []
    series: dict[str, list[float | None]] = {
        "Cells and rows set aside": [entry["rejects"] for entry in entries],
        "Warnings": [entry["warnings"] for entry in entries],
        "Failing rows": [entry["failing"] for entry in entries],
    }
    effects = [{tuple(row[:4]): row[4] for row in entry["headlines"]} for entry in entries]
    for key in dict.fromkeys(key for held in effects for key in held):
        study, exhibit, model, term = key
        series[f"{study}, {display_name(exhibit)}, {model}: {term}"] = [held.get(key) for held in effects]
    return [
        {"name": name, "first": _number(known[0]), "last": _number(known[-1]), "points": _points(values)}
        for name, values in series.items()
        if len(known := [value for value in values if value is not None]) > 1
    ]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else wording.number(value)


def _points(values: Sequence[float | None]) -> list[tuple[float, float]]:
    """Places of the values in a picture of `WIDTH` by `HEIGHT`; a series that never moves lies in the middle."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    return [
        (
            round(MARGIN + at * step, 1),
            round(
                HEIGHT / 2 if high == low else HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2 * MARGIN), 1
            ),
        )
        for at, value in enumerate(values)
        if value is not None
    ]


def _publications(entries: Sequence[Mapping[str, Any]]) -> Listing | None:
    if not entries:
        return None
    frame = pd.DataFrame(
        {
            "version": [entry["version"] for entry in entries],
            "files": [entry["files"] for entry in entries],
            "set aside": [entry["rejects"] for entry in entries],
            "warnings": [entry["warnings"] for entry in entries],
            "failing rows": [entry["failing"] for entry in entries],
        }
    )
    return listing(frame.iloc[::-1].reset_index(drop=True), "Publications, the newest first")

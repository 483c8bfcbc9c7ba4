"""The first page: each study in a sentence and a picture, whether data and audit stand, and what this publication is.

Studies are estimated elsewhere; what cannot be computed takes one line that says what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.printing.table import display_name
from analysis.reporting.argument import Effect, effects
from analysis.reporting.audit_page import page_name
from analysis.reporting.listing import show
from analysis.reporting.report import StudyReport, WarehouseReport
from analysis.studies.result import NOT_COMPUTED, OK

#: Pixels of a picture of an interval.
WIDTH, HEIGHT, EDGE = 260, 26, 8
#: What of `publication` stands elsewhere.
ELSEWHERE = ("version", "refreshed", "data_version")


@dataclass(frozen=True)
class Light:
    """Whether something stands: "good", "look" or "bad", in words, and the page that says more ("" for none)."""

    state: str
    words: str
    page: str


def overview(
    cards: Sequence[Mapping[str, Any]], warehouse: WarehouseReport, publication: Mapping[str, Any], checks: str
) -> dict[str, Any]:
    """Values of templates/index.html; ``cards`` as `card` makes them, ``checks`` is the page of the data checks."""
    rules = warehouse.rejects["rule"].nunique() if len(warehouse.rejects) else 0
    details = {
        key: value
        for key, value in publication.items()
        if key not in ELSEWHERE and not key.endswith("sha256") and isinstance(value, (str, int, float, bool))
    }
    data = {own["name"]: _data(own["name"], warehouse.checks, checks) for own in cards if "effects" in own}
    return {
        "title": "City pilot policies: results",
        "cards": [{**own, "lights": [data[own["name"]], *own["lights"]]} for own in cards if "effects" in own],
        "waiting": [own for own in cards if "effects" not in own],
        "files": len(warehouse.files),
        "rejects": f"{len(warehouse.rejects):,}",
        "rules": rules,
        "checks": len(warehouse.checks),
        "details": {str(key).replace("_", " ").capitalize(): show(str(key), value) for key, value in details.items()},
        "contents": [],
    }


def card(report: StudyReport) -> dict[str, Any]:
    """A study on the first page: its effects, or where it has no number yet, what it needs."""
    return _card(report, effects(report.study, report.results)) if _any(report) else _waiting(report)


def _any(report: StudyReport) -> bool:
    """Whether any exhibit of a study that estimates something has a number."""
    estimating = [result for result in report.results.values() if result.specification.models]
    return any(result.estimates["status"].eq(OK).any() for result in estimating)


def _waiting(report: StudyReport) -> dict[str, Any]:
    """A study that has no number yet, and the first reason why."""
    frames = [result.estimates for result in report.results.values()]
    reasons = [reason for frame in frames for reason in frame.loc[frame["status"] == NOT_COMPUTED, "reason"]]
    page = f"{report.study.name}.html"
    return {
        "name": report.study.name,
        "page": page,
        "title": report.study.title.en,
        "needs": reasons[0] if reasons else "",
    }


def _card(report: StudyReport, found: Sequence[Effect]) -> dict[str, Any]:
    study = report.study
    complete = sum(result.estimates["status"].eq(OK).all() for result in report.results.values())
    trends = next((name for name, result in report.results.items() if result.kind == "event_study"), None)
    ends = [end for effect in found for end in (effect.low, effect.high)]
    return {
        "name": study.name,
        "page": f"{study.name}.html",
        "title": study.title.en,
        "treatment": study.treatment_label.en,
        "where": display_name(found[0].exhibit) if found else "",
        "anchor": found[0].exhibit if found else "",
        "effects": [(effect, _interval(effect, *_range(effect))) for effect in found],
        "ends": ends,
        "trends": trends if trends and report.results[trends].computed else None,
        "complete": complete,
        "exhibits": len(report.results),
        "lights": [_audit(report)] if report.audit is not None else [],
        "map": {"years": report.map.years} if report.map is not None else None,
    }


def _range(effect: Effect) -> tuple[float, float]:
    """What the picture of an interval spans: zero and the interval, with some air."""
    low, high = min(effect.low, 0.0), max(effect.high, 0.0)
    air = 0.06 * (high - low) or 1.0
    return low - air, high + air


def _interval(effect: Effect, low: float, high: float) -> dict[str, str]:
    """Places of zero, the interval's ends and the estimate across the picture."""
    span = high - low

    def place(value: float) -> str:
        return f"{EDGE + (value - low) / span * (WIDTH - 2 * EDGE):.1f}"

    return {
        "zero": place(0.0),
        "low": place(effect.low),
        "high": place(effect.high),
        "estimate": place(effect.estimate),
    }


def _data(study: str, checks: pd.DataFrame, page: str) -> Light:
    """The checks on what a study's panel is made of and on the panel itself."""
    if "holds" not in checks.columns or "table" not in checks.columns:
        return Light("good", f"{len(checks)} checks were run on the data.", page)
    table = checks["table"].astype(str)
    own = ("panels.city_year", f"panels.{study}")
    mine = checks[~table.str.startswith("panels.") | table.str.removesuffix("_drift").isin(own)]
    failed = int(mine["holds"].eq("NO").sum())
    warned = int(mine["holds"].eq("no (warning)").sum())
    if failed:
        return Light("bad", f"Data: {failed} of {len(mine)} checks failed.", page)
    if warned:
        return Light("look", f"Data: {warned} of {len(mine)} checks warn, none failed.", page)
    return Light("good", f"Data: all {len(mine)} checks hold.", page)


def _audit(report: StudyReport) -> Light:
    assert report.audit is not None
    count = {severity: len(report.audit.by_severity(severity)) for severity in ("error", "warning")}
    page = page_name(report.study)
    if count["error"]:
        return Light("bad", f"Audit: {count['error']} errors and {count['warning']} warnings of a referee.", page)
    if count["warning"]:
        return Light("look", f"Audit: {count['warning']} warnings of a referee, no error.", page)
    return Light("good", "Audit: a referee would raise nothing.", page)

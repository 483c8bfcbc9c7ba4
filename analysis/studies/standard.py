"""The usual tables and figures of a study, for a YAML that says `exhibits: standard`.

What each kind of exhibit takes is decided in `exhibits`; a study that wants another choice writes its exhibits out.
"""

from __future__ import annotations

from typing import Any

from analysis.documents import Document, Location
from analysis.studies.records import TIMES, Study

STANDARD, REFEREE = "standard", "referee"
#: Years before and after adoption that an event study shows, where the panel has them.
WINDOW = 4


def standard(study: Study) -> dict[str, Any]:
    """Descriptive statistics, baseline, event study, placebo, decomposition and robust estimators of every outcome."""
    first, last = study.years
    window = max(1, min(WINDOW, last - first - 1))
    outcomes = list(study.outcomes)
    alone = {"drop": "all controls"} if study.controls else {}
    versions = [alone, {}] if study.controls else [{}]
    columns = [{"outcome": outcome, **version} for outcome in outcomes for version in versions]
    return {
        "table_1": {
            "kind": "descriptive",
            "title": {"en": "Descriptive statistics", "zh": "描述性统计"},
            "variables": [*outcomes, study.treatment, *(name for name in study.controls if TIMES not in name)],
        },
        "table_2": {
            "kind": "regression",
            "title": {"en": "Baseline regression", "zh": "基准回归"},
            "show": "all",
            "columns": [{"label": f"({at})", **column} for at, column in enumerate(columns, start=1)],
        },
        "figure_1": {
            "kind": "event_study",
            "title": {"en": "Parallel trends", "zh": "平行趋势检验"},
            "outcomes": outcomes,
            "base": -1,
            "leads": window,
            "lags": window,
        },
        "figure_2": {
            "kind": "placebo",
            "title": {"en": "Placebo test", "zh": "安慰剂检验"},
            "baseline": {"options": {"draws": 500, "seed": 0}},
            "columns": [{"label": outcome, "outcome": outcome} for outcome in outcomes],
        },
        "table_3": {
            "kind": "bacon",
            "title": {
                "en": "Baseline taken apart: Goodman-Bacon decomposition",
                "zh": "基准回归的Goodman-Bacon分解",
            },
            "columns": [{"label": outcome, "outcome": outcome, **alone} for outcome in outcomes],
        },
        "table_4": {
            "kind": "estimators",
            "title": {
                "en": "Baseline by estimators robust to staggered adoption",
                "zh": "基准回归的稳健估计量",
            },
            "outcomes": outcomes,
        },
    }


def expanded(document: Document, exhibits: dict[str, Any]) -> Document:
    """The document with exhibits in the place of the word for them; each stands on the line of the word."""
    lines = dict(document.lines)
    line = lines[("exhibits",)]

    def place(value: Any, here: Location) -> None:
        lines[here] = line
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            place(part, (*here, key))

    place(exhibits, ("exhibits",))
    return Document(document.path, {**document.value, "exhibits": exhibits}, lines)

"""Intervals of the average effect when trends may part (Rambachan and Roth 2023)."""

from __future__ import annotations

import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.studies.kinds._columns import Rows, estimate_cell, headers, outcome_notes, rows_of, said, why_not
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._reading import of_one_method
from analysis.studies.records import Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Bounds down; the interval of each model across."""
    reasons = Reasons()
    models = result.specification.models
    frames = [rows_of(table, model.label) for model in models]
    effect = tuple(estimate_cell("average effect", rows, reasons) for rows in frames)
    failed = tuple(reasons.mark(NOT_COMPUTED, why) if (why := why_not(rows)) else "" for rows in frames)
    first = tuple(cell or gap for (cell, _), gap in zip(effect, failed, strict=True))
    lines = [Line("Average effect after adoption", first, "estimate")]
    lines += [Line("", tuple(error for _, error in effect), "se")] if any(error for _, error in effect) else []
    blocks = []
    for word, title, unit in (
        ("relative", "Trends part by at most this multiple of the largest step before adoption", ""),
        ("smoothness", "Slopes change by at most this share of the effect's standard error", " SE"),
    ):
        bounds = dict.fromkeys(
            term.split()[1].rstrip(",") for rows in frames for term in rows if term.startswith(f"{word} ")
        )
        found = [
            Line(bound + unit, tuple(_interval(rows, f"{word} {bound}") for rows in frames))
            for bound in bounds
            if bound != "breakdown"
        ]
        holds = tuple(
            (number(rows[f"{word} breakdown"]["estimate"], 2) or "none") if f"{word} breakdown" in rows else ""
            for rows in frames
        )
        if found:
            blocks.append(Panel(title, (*found, Line("Largest of these that leaves out zero", holds))))
    notes = [
        *outcome_notes(models, study),
        "95% intervals of Rambachan and Roth (2023).",
        *reasons.notes(),
        *said(result),
    ]
    sizes = Line("N", tuple(count(next(iter(rows.values()))["n"]) for rows in frames))
    return headers(models), "Bound", (Panel(None, (*lines, sizes)), *blocks), notes


def _interval(rows: Rows, name: str) -> str:
    low, high = rows.get(f"{name}, low"), rows.get(f"{name}, high")
    return f"[{_end(low['estimate'])}, {_end(high['estimate'])}]" if low and high else ""


def _end(value: float) -> str:
    return number(value) or ("∞" if value > 0 else "-∞" if value < 0 else "")


KIND = Kind(written=of_one_method("honest"), layout=_layout, part="trends")

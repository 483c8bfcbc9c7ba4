"""What tables with models across have in common: cells, terms, how each model is made, the published block, notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.printing.table import Content, Line, Panel, Reasons, count, number, style_now
from analysis.results import stars
from analysis.studies.methods import METHODS
from analysis.studies.methods.spatial import LAG
from analysis.studies.records import Model, Study
from analysis.studies.result import NOT_COMPUTED, NOT_IDENTIFIED, OK, ExhibitResult

#: How many standard errors a 95% interval reaches from an estimate by the normal distribution.
NORMAL = 1.959963984540054
_BELOW = {
    "se": "Standard errors{by} in parentheses",
    "t": "t statistics from standard errors{by} in parentheses",
    "p": "p values from standard errors{by} in brackets",
    "interval": "95% confidence intervals from standard errors{by} in brackets",
    "bootstrap": "p values of the wild cluster bootstrap in brackets",
    "none": "Stars from standard errors{by}",
}
#: Term -> what `compare` says about it.
Rows = dict[str, dict[str, Any]]


def rows_of(table: pd.DataFrame, model: str) -> Rows:
    rows = table[table["model"] == model].set_index("term", drop=False)
    return {str(term): {str(key): value for key, value in row.items()} for term, row in rows.iterrows()}


def why_not(rows: Rows) -> str | None:
    """Why a model has no numbers at all, or None."""
    return next((row["reason"] for row in rows.values() if row["status"] == NOT_COMPUTED), None)


def dagger(row: dict[str, Any]) -> str:
    return "†" if row["exact"] else ""


def models_across(
    result: ExhibitResult,
    study: Study,
    table: pd.DataFrame,
    *,
    terms: Callable[[ExhibitResult, pd.DataFrame], list[str]] | None = None,
    more: Callable[[list[Rows]], list[Line]] = lambda frames: [],
    left: Callable[[ExhibitResult, list[str]], list[str]] = lambda result, terms: [],
) -> Content:
    """Terms down, models across; then how each model is made, its size and fit, and the published block.

    ``terms`` chooses those that are printed one by one (by default those that the study shows), ``more`` adds lines
    above the number of observations, and ``left`` notes on what is not printed.
    """
    reasons = Reasons()
    models = result.specification.models
    frames = [rows_of(table, model.label) for model in models]
    shown = (terms or terms_shown)(result, table)
    lines = [line for term in shown for line in term_lines(term, study, frames, reasons)]
    tests = _test_lines(result, study, table, reasons)
    panels = [
        Panel(None, (*lines, *_statistics(models, frames), *facts_of_models(result, study, frames, more), *tests)),
        *_published_panels(study, shown, frames),
    ]
    notes = [*outcome_notes(models, study), *reasons.notes(), *left(result, shown), *method_notes(result)]
    return headers(models), "", tuple(panels), notes


def headers(models: Sequence[Model]) -> tuple[tuple[str, ...], ...]:
    """Labels, then headings where there are any, then outcomes unless the labels name them."""
    labels = tuple(model.label for model in models)
    headings = tuple(model.heading.en if model.heading else "" for model in models)
    outcomes = tuple(model.outcome for model in models)
    plain = all(outcome in label for outcome, label in zip(outcomes, labels, strict=True))
    return (labels, *((headings,) if any(headings) else ()), *(() if plain else (outcomes,)))


def outcome_notes(models: Sequence[Model], study: Study) -> list[str]:
    called = {model.outcome: study.label(model.outcome).en for model in models if model.outcome}
    meaning = "; ".join(f"{code}: {label}" for code, label in called.items() if code != label)
    return [f"Outcomes. {meaning}."] if meaning else []


def terms_shown(result: ExhibitResult, table: pd.DataFrame) -> list[str]:
    """The terms to print one by one, in the order the study shows them."""
    own = {model.label for model in result.specification.models}
    found = list(dict.fromkeys(table.loc[table["model"].isin(own), "term"]))
    show = result.specification.show
    constant = ["const"] if result.specification.constant and "const" in found else []
    return [*(term for term in show if term in found), *constant]


def term_lines(term: str, study: Study, frames: list[Rows], reasons: Reasons) -> list[Line]:
    cells = [estimate_cell(term, rows, reasons) for rows in frames]
    lines = [Line(_term_name(term, study), tuple(estimate for estimate, _ in cells), "estimate")]
    errors = tuple(error for _, error in cells)
    return [*lines, Line("", errors, "se")] if any(errors) else lines


def estimate_cell(term: str, rows: Rows, reasons: Reasons) -> tuple[str, str]:
    """A term's estimate with its stars, or why there is none, and its standard error in parentheses."""
    why = why_not(rows)
    if why and (term in rows or term.startswith("period ")):
        return reasons.mark(NOT_COMPUTED, why), ""
    row = rows.get(term)
    if row is None or row["status"] not in (OK, NOT_IDENTIFIED):
        return "", ""
    if row["status"] == NOT_IDENTIFIED:
        return reasons.mark(NOT_IDENTIFIED, row["reason"]), ""
    if row["estimate"] == 0 and row["se"] == 0:
        return "base", ""
    return number(row["estimate"]) + stars(row["p"]), below(row)


def below(row: Mapping[str, Any]) -> str:
    """What stands below an estimate in the style of the table; an interval is the estimator's, else a normal one."""
    estimate, se, p = (float(row[name]) for name in ("estimate", "se", "p"))
    match style_now().below:
        case "se" if np.isfinite(se):
            return f"({number(se)})"
        case "t" if np.isfinite(se) and se > 0:
            return f"({number(estimate / se, 2)})"
        case "p" if np.isfinite(p):
            return f"[{p:.3f}]"
        case "bootstrap" if row.get("bootstrapped") in (True,) and np.isfinite(p):
            return f"[{p:.3f}]"
        case "interval" if np.isfinite(se):
            low, high = (float(row.get(name, np.nan)) for name in ("low", "high"))
            if not (np.isfinite(low) and np.isfinite(high)):
                low, high = estimate - NORMAL * se, estimate + NORMAL * se
            return f"[{number(low)}, {number(high)}]"
    return ""


#: Terms that methods name themselves.
_NAMED = {name: heading for method in METHODS.values() for name, heading in method.statistics.items()} | {
    "iv": "Instrument (iv)",
    "rho": "Spatial lag of the outcome (rho)",
    "lambda": "Spatial lag of the error (lambda)",
}


def _term_name(term: str, study: Study) -> str:
    if term == "const":
        return "Constant"
    if term in _NAMED:
        return _NAMED[term]
    if term.startswith(LAG):
        return f"Spatial lag of {full_name(study, term.removeprefix(LAG))}"
    return term.capitalize() if term.startswith("period ") else full_name(study, term)


def _statistics(models: Sequence[Model], frames: list[Rows]) -> list[Line]:
    """What a method prints below its coefficients, each with its p in parentheses where it has one."""
    named = {term: name for model in models for term, name in METHODS[model.method].statistics.items()}
    lines = []
    for term, name in named.items():
        rows = [frame.get(term) for frame in frames]
        if not any(row is not None and row["status"] == OK for row in rows):
            continue
        lines.append(Line(name, tuple(number(row["estimate"], 3) if row else "" for row in rows), "estimate"))
        tested = tuple(_tested(row["p"]) if row and np.isfinite(row["p"]) else "" for row in rows)
        lines += [Line("", tested, "se")] if any(tested) else []
    return lines


def _test_lines(result: ExhibitResult, study: Study, table: pd.DataFrame, reasons: Reasons) -> list[Line]:
    """Whether groups differ: p of each outcome's test below every column of that outcome."""
    tests = {test.outcome: rows_of(table, test.label) for test in result.specification.tests}
    if not tests:
        return []
    by = study.label(result.specification.tests[0].options["by"]).en.lower()
    lines = []
    for term, name in (("chow F", f"Equal effects by {by}, p"), ("permutation", "by permutation, p")):
        cells = []
        for model in result.specification.models:
            rows = tests[model.outcome]
            row, why = rows.get(term), why_not(rows)
            if why or (row is not None and row["status"] != OK):
                cells.append(reasons.mark(NOT_COMPUTED, why or str(row and row["reason"])))
            else:
                cells.append(p_value(row["p"]) if row else "")
        lines += [Line(name, tuple(cells))] if any(cells) else []
    return lines


def facts_of_models(
    result: ExhibitResult,
    study: Study,
    frames: list[Rows],
    more: Callable[[list[Rows]], list[Line]] = lambda frames: [],
) -> list[Line]:
    """Which controls and effects each model has, lines that a kind adds, observations and R2."""
    models = result.specification.models
    shown = set(result.specification.show)
    lines = []
    if any(set(model.controls) - shown for model in models):
        lines.append(_yes("Control variables", [bool(set(model.controls) - shown) for model in models]))
    others = [e for e in dict.fromkeys(e for m in models for e in m.fixed_effects) if e not in ("unit", "time")]
    for effect in ("unit", "time", *others):
        name = {"unit": "City", "time": "Year"}.get(effect, full_name(study, effect))
        lines.append(_yes(f"{name} fixed effects", [effect in model.fixed_effects for model in models]))
    lines += more(frames)
    lines.append(Line("N", tuple(count(next(iter(rows.values()))["n"]) for rows in frames)))
    fits = tuple(number(next(iter(rows.values()))["r2"]) for rows in frames)
    return [*lines, Line("R²", fits)] if any(fits) else lines


def _tested(p: float) -> str:
    """A p value as it stands under a statistic."""
    return "(p < 0.001)" if p < 0.001 else f"(p = {p:.4f})"


def p_value(value: float) -> str:
    """A p value with four decimals; below 0.001 only that."""
    return "< 0.001" if value < 0.001 else number(value)


def _yes(label: str, has: Sequence[bool]) -> Line:
    return Line(label, tuple("YES" if yes else "NO" for yes in has))


def _published_panels(study: Study, terms: list[str], frames: list[Rows]) -> list[Panel]:
    """The printed figures in the same columns, the distance from them, and the truth of the sample world."""
    nothing = {"published_estimate": np.nan, "published_se": np.nan, "difference": np.nan, "truth": np.nan}
    paper: list[Line] = []
    distance: list[Line] = []
    truth: list[Line] = []
    printed = [term for rows in frames for term, row in rows.items() if np.isfinite(row["published_estimate"])]
    for term in dict.fromkeys((*terms, *(term for term in printed if term != "n"))):
        rows = [frame.get(term, nothing) for frame in frames]
        name = _term_name(term, study)
        if any(np.isfinite(row["published_estimate"]) for row in rows):
            paper.append(Line(name, tuple(printed_cell(row) for row in rows), "estimate"))
            errors = tuple(number(row["published_se"]) for row in rows)
            if any(errors):
                paper.append(Line("", tuple(f"({error})" if error else "" for error in errors), "se"))
        for key, lines, decimals in (("difference", distance, 2), ("truth", truth, 4)):
            cells = tuple(number(row[key], decimals) for row in rows)
            if any(cells):
                lines.append(Line(name, cells))
    if paper:
        heads = [[row for row in rows.values() if np.isfinite(row["published_estimate"])] for rows in frames]
        sizes = [count(rows[0]["published_n"]) if rows else "" for rows in heads]
        marks = [dagger(rows["n"]) if "n" in rows else "" for rows in frames]
        fits = tuple(number(rows[0]["published_r2"]) if rows else "" for rows in heads)
        facts = (
            Line("N", tuple(size + mark for size, mark in zip(sizes, marks, strict=True))),
            Line("R²", fits),
        )
        paper += [line for line in facts if any(line.cells)]
    blocks = [
        ("As published", paper),
        ("Difference from published, in published standard errors", distance),
        ("True effect in the sample world", truth),
    ]
    return [Panel(title, tuple(lines)) for title, lines in blocks if lines]


def printed_cell(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["published_estimate"]):
        return ""
    asterisks = "*" * int(row["published_stars"]) if np.isfinite(row["published_stars"]) else ""
    return number(row["published_estimate"]) + asterisks + ("†" if row["exact"] else "")


def method_notes(result: ExhibitResult) -> list[str]:
    """How standard errors are made, and what each estimator did to the data on the way."""
    clusters = {model.cluster for model in result.specification.models}
    by = ""
    if len(clusters) == 1:
        by = " and ".join({"unit": "city", "time": "year"}.get(name, name) for name in next(iter(clusters)))
    made = _BELOW[style_now().below].format(by=f" clustered by {by}" if by else "")
    return [f"{made}; *** p < 0.01, ** p < 0.05, * p < 0.1.", *said(result)]


def said(result: ExhibitResult, names: Mapping[str, str] | None = None) -> list[str]:
    """What each estimator did to the data on the way, and what speaks against its number; one line a set of models.

    ``names`` says what to call the models; by default their labels.
    """
    names = names or {model.label: model.label for model in result.specification.models}
    against = result.estimates[result.estimates["status"].eq(OK) & result.estimates["reason"].notna()]
    by_note: dict[str, dict[str, None]] = {}
    for label, name in names.items():
        # Few clusters are said once, by the study's own sentence.
        notes = [note for note in result.facts(label).notes if not note.startswith("Only ")]
        for note in (*notes, *dict.fromkeys(against.loc[against["model"] == label, "reason"])):
            by_note.setdefault(note, {})[name] = None
    by_models: dict[tuple[str, ...], list[str]] = {}
    for note, who in by_note.items():
        by_models.setdefault(tuple(who), []).append(note)
    everyone = tuple(dict.fromkeys(names.values()))
    return [
        " ".join(notes) if who == everyone else f"{'; '.join(who)}: {' '.join(notes)}"
        for who, notes in by_models.items()
    ]


def full_name(study: Study, column: str) -> str:
    """A column's label with the column behind it."""
    label = study.label(column).en
    return column if label == column else f"{label} ({column})"

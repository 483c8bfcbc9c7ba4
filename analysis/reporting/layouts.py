"""What stands where in a table of each kind: rows, columns, panels, notes; estimates beside the printed figures.

How a table is written in a format is decided in `tables`. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.reporting.spatial_layouts import SPATIAL_LAYOUTS
from analysis.reporting.table import Content, Line, Panel, Reasons, count, full_name, number
from analysis.results import stars
from analysis.studies.methods import METHODS
from analysis.studies.methods.spatial import LAG
from analysis.studies.records import Model, Study
from analysis.studies.run import DESCRIPTIVE, NOT_COMPUTED, NOT_IDENTIFIED, OK, ExhibitResult

#: Term -> what `compare` says about it.
_Rows = dict[str, dict[str, Any]]


def content(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """The parts of an exhibit's table; ``table`` is what `compare` returns."""
    return _LAYOUTS[result.kind](result, study, table)


def _rows_of(table: pd.DataFrame, model: str) -> _Rows:
    rows = table[table["model"] == model].set_index("term", drop=False)
    return {str(term): {str(key): value for key, value in row.items()} for term, row in rows.iterrows()}


def _descriptive(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    reasons = Reasons()
    here, paper = [], []
    for variable in result.specification.variables:
        rows = _rows_of(table, variable)
        name = full_name(study, variable)
        why = _why_not(rows)
        if why:
            here.append(Line(name, (reasons.mark(NOT_COMPUTED, why), "", "", "", "")))
        else:
            here.append(Line(name, tuple(_statistic(t, rows[t]["estimate"]) for t in DESCRIPTIVE)))
        if any(np.isfinite(row["published_estimate"]) for row in rows.values()):
            cells = (_statistic(t, rows[t]["published_estimate"]) + _dagger(rows[t]) for t in DESCRIPTIVE)
            paper.append(Line(name, tuple(cells)))
    panels = [Panel(None, tuple(here))] + ([Panel("As published", tuple(paper))] if paper else [])
    headers = (("Observations", "Mean", "SD", "Minimum", "Maximum"),)
    return headers, "Variable", tuple(panels), reasons.notes()


def _why_not(rows: _Rows) -> str | None:
    """Why a model has no numbers at all, or None."""
    return next((row["reason"] for row in rows.values() if row["status"] == NOT_COMPUTED), None)


def _dagger(row: dict[str, Any]) -> str:
    return "†" if row["exact"] else ""


def _statistic(term: str, value: float) -> str:
    return f"{value:,.0f}" if term == "obs" and np.isfinite(value) else number(value)


def _models(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Terms down, models across; then how each model is made, its size and fit, and the published block."""
    reasons = Reasons()
    models = result.specification.models
    frames = [_rows_of(table, model.label) for model in models]
    terms = _terms(result, table)
    lines = [line for term in terms for line in _term_lines(term, study, frames, reasons)]
    tests = _test_lines(result, study, table, reasons)
    panels = [
        Panel(None, (*lines, *_statistics(models, frames), *_facts(result, study, frames), *tests)),
        *_published_panels(study, terms, frames),
    ]
    notes = [*_outcomes(models, study), *reasons.notes(), *_unshown(result, terms), *_method_notes(result)]
    return _headers(models), "", tuple(panels), notes


def _headers(models: Sequence[Model]) -> tuple[tuple[str, ...], ...]:
    """Labels, then headings where there are any, then outcomes unless the labels name them."""
    labels = tuple(model.label for model in models)
    headings = tuple(model.heading.en if model.heading else "" for model in models)
    outcomes = tuple(model.outcome for model in models)
    plain = all(outcome in label for outcome, label in zip(outcomes, labels, strict=True))
    return (labels, *((headings,) if any(headings) else ()), *(() if plain else (outcomes,)))


def _outcomes(models: Sequence[Model], study: Study) -> list[str]:
    called = {model.outcome: study.label(model.outcome).en for model in models if model.outcome}
    meaning = "; ".join(f"{code}: {label}" for code, label in called.items() if code != label)
    return [f"Outcomes. {meaning}."] if meaning else []


def _terms(result: ExhibitResult, table: pd.DataFrame) -> list[str]:
    """The terms to print one by one, in the order the study shows them; periods in order of time."""
    own = {model.label for model in result.specification.models}
    found = list(dict.fromkeys(table.loc[table["model"].isin(own), "term"]))
    if result.kind == "event_study":
        periods = sorted((t for t in found if t.startswith("period ")), key=lambda t: int(t.split()[1]))
        return periods or found[:1]
    show = result.specification.show
    constant = ["const"] if result.specification.constant and "const" in found else []
    return [*(term for term in show if term in found), *constant]


def _term_lines(term: str, study: Study, frames: list[_Rows], reasons: Reasons) -> list[Line]:
    cells = [_cell(term, rows, reasons) for rows in frames]
    lines = [Line(_term_name(term, study), tuple(estimate for estimate, _ in cells), "estimate")]
    errors = tuple(error for _, error in cells)
    return [*lines, Line("", errors, "se")] if any(errors) else lines


def _cell(term: str, rows: _Rows, reasons: Reasons) -> tuple[str, str]:
    """A term's estimate with its stars, or why there is none, and its standard error in parentheses."""
    why = _why_not(rows)
    if why and (term in rows or term.startswith("period ")):
        return reasons.mark(NOT_COMPUTED, why), ""
    row = rows.get(term)
    if row is None or row["status"] not in (OK, NOT_IDENTIFIED):
        return "", ""
    if row["status"] == NOT_IDENTIFIED:
        return reasons.mark(NOT_IDENTIFIED, row["reason"]), ""
    if row["estimate"] == 0 and row["se"] == 0:
        return "base", ""
    error = f"({number(row['se'])})" if np.isfinite(row["se"]) else ""
    return number(row["estimate"]) + stars(row["p"]), error


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


def _statistics(models: Sequence[Model], frames: list[_Rows]) -> list[Line]:
    """What a method prints below its coefficients, each with its p in parentheses where it has one."""
    named = {term: name for model in models for term, name in METHODS[model.method].statistics.items()}
    lines = []
    for term, name in named.items():
        rows = [frame.get(term) for frame in frames]
        if not any(row is not None and row["status"] == OK for row in rows):
            continue
        lines.append(Line(name, tuple(number(row["estimate"], 3) if row else "" for row in rows), "estimate"))
        tested = tuple(f"(p = {row['p']:.4f})" if row and np.isfinite(row["p"]) else "" for row in rows)
        lines += [Line("", tested, "se")] if any(tested) else []
    return lines


def _test_lines(result: ExhibitResult, study: Study, table: pd.DataFrame, reasons: Reasons) -> list[Line]:
    """Whether groups differ: p of each outcome's test below every column of that outcome."""
    tests = {test.outcome: _rows_of(table, test.label) for test in result.specification.tests}
    if not tests:
        return []
    by = study.label(result.specification.tests[0].options["by"]).en.lower()
    lines = []
    for term, name in (("chow F", f"Equal effects by {by}, p"), ("permutation", "by permutation, p")):
        cells = []
        for model in result.specification.models:
            rows = tests[model.outcome]
            row, why = rows.get(term), _why_not(rows)
            if why or (row is not None and row["status"] != OK):
                cells.append(reasons.mark(NOT_COMPUTED, why or str(row and row["reason"])))
            else:
                cells.append(_p(row["p"]) if row else "")
        lines += [Line(name, tuple(cells))] if any(cells) else []
    return lines


def _facts(result: ExhibitResult, study: Study, frames: list[_Rows]) -> list[Line]:
    """Which controls and effects each model has, its observations and R2, and what belongs to a figure only."""
    models = result.specification.models
    shown = set(result.specification.show)
    lines = []
    if any(set(model.controls) - shown for model in models):
        lines.append(_yes("Control variables", [bool(set(model.controls) - shown) for model in models]))
    others = [e for e in dict.fromkeys(e for m in models for e in m.fixed_effects) if e not in ("unit", "time")]
    for effect in ("unit", "time", *others):
        name = {"unit": "City", "time": "Year"}.get(effect, full_name(study, effect))
        lines.append(_yes(f"{name} fixed effects", [effect in model.fixed_effects for model in models]))
    if result.kind == "event_study":
        tests = tuple(number(rows["pretrend F"]["p"]) if "pretrend F" in rows else "" for rows in frames)
        lines.append(Line("Leads jointly zero, p", tests))
    lines.append(Line("N", tuple(count(next(iter(rows.values()))["n"]) for rows in frames)))
    fits = tuple(number(next(iter(rows.values()))["r2"]) for rows in frames)
    return [*lines, Line("R²", fits)] if any(fits) else lines


def _p(value: float) -> str:
    """A p value with four decimals."""
    return "< 0.0001" if value < 0.0001 else number(value)


def _yes(label: str, has: Sequence[bool]) -> Line:
    return Line(label, tuple("YES" if yes else "NO" for yes in has))


def _published_panels(study: Study, terms: list[str], frames: list[_Rows]) -> list[Panel]:
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
            paper.append(Line(name, tuple(_printed(row) for row in rows), "estimate"))
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
        marks = [_dagger(rows["n"]) if "n" in rows else "" for rows in frames]
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


def _printed(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["published_estimate"]):
        return ""
    asterisks = "*" * int(row["published_stars"]) if np.isfinite(row["published_stars"]) else ""
    return number(row["published_estimate"]) + asterisks + ("†" if row["exact"] else "")


def _unshown(result: ExhibitResult, terms: Sequence[str]) -> list[str]:
    """A sentence for each regressor that is not printed and was left out because nothing identifies it."""
    said = []
    for label, fitted in result.models.items():
        left: Mapping[str, str] = getattr(getattr(fitted, "regression", fitted), "not_identified", {})
        said += [f"{label}: not identified: {why}" for term, why in left.items() if term not in terms]
    return said if result.kind == "regression" else []


def _method_notes(result: ExhibitResult) -> list[str]:
    """How standard errors are made, and what each estimator did to the data on the way."""
    clusters = {model.cluster for model in result.specification.models}
    by = ""
    if len(clusters) == 1:
        by = " and ".join({"unit": "city", "time": "year"}.get(name, name) for name in next(iter(clusters)))
    made = f"Standard errors clustered by {by} in parentheses" if by else "Standard errors in parentheses"
    return [f"{made}; *** p < 0.01, ** p < 0.05, * p < 0.1.", *_said(result)]


def _said(result: ExhibitResult) -> list[str]:
    """What each estimator did to the data on the way, and what speaks against its number; one line a set of models."""
    models = result.specification.models
    names = {m.label: m.heading.en if result.kind == "estimators" and m.heading else m.label for m in models}
    against = result.estimates[result.estimates["status"].eq(OK) & result.estimates["reason"].notna()]
    by_note: dict[str, dict[str, None]] = {}
    for label, name in names.items():
        # Few clusters are said once, by the study's own sentence.
        notes = [note for note in getattr(result.models[label], "notes", ()) if not note.startswith("Only ")]
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


_PLACEBO = {
    "placebo 2.5%": "Draws, 2.5% quantile",
    "placebo 97.5%": "Draws, 97.5% quantile",
    "share significant at 5%": "Draws significant at 5%, share",
    "draws": "Draws",
}


def _placebo(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """The true estimate, the p of the permutation, and where the draws lie; models across."""
    reasons = Reasons()
    models = result.specification.models
    frames = [_rows_of(table, model.label) for model in models]

    def cells(term: str, key: str, decimals: int = 4) -> tuple[str, ...]:
        return tuple(number(rows[term][key], decimals) if term in rows else "" for rows in frames)

    lines = [
        *_term_lines(models[0].treatment, study, frames, reasons),
        Line("Permutation p", cells("placebo", "p")),
        Line("Draws, mean", cells("placebo", "estimate")),
        Line("Draws, standard deviation", cells("placebo", "se")),
        *(Line(name, cells(term, "estimate", 0 if term == "draws" else 4)) for term, name in _PLACEBO.items()),
        *_facts(result, study, frames),
    ]
    notes = [*_outcomes(models, study), *reasons.notes(), *_method_notes(result)]
    return _headers(models), "", (Panel(None, tuple(lines)),), notes


def _bacon(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Comparisons down; weight and estimate of each model across."""
    reasons = Reasons()
    models = result.specification.models
    prefixes = [""] if len(models) == 1 else [f"{model.label}, " for model in models]
    compared: dict[str, None] = {}
    for model, prefix in zip(models, prefixes, strict=True):
        fitted = result.models[model.label]
        compared |= dict.fromkeys([] if isinstance(fitted, str) else map(str, fitted.shares.index))
        if not prefix:
            compared |= dict.fromkeys(name for name in table["model"] if name != model.label)
    # The total last, whatever comparisons other models add.
    names = [name for name in compared if name != TOTAL] + [name for name in compared if name == TOTAL]
    lines, paper = [], []
    for name in names:
        rows = [_rows_of(table, prefix + name) for prefix in prefixes]
        pairs = [(frame.get("weight"), frame.get("estimate")) for frame in rows]
        lines.append(Line(name.capitalize(), tuple(number(row["estimate"]) if row else "" for p in pairs for row in p)))
        cells = tuple(_printed(row) if row else "" for pair in pairs for row in pair)
        paper += [Line(name.capitalize(), cells)] if any(cells) else []
    failed = [(i, _why_not(_rows_of(table, model.label))) for i, model in enumerate(models)]
    for i, why in failed:
        if why:
            empty = [""] * (2 * len(models))
            empty[2 * i] = reasons.mark(NOT_COMPUTED, why)
            lines.append(Line("All", tuple(empty)))
    across = tuple(word for _ in models for word in ("Weight", "Estimate"))
    labels = tuple(label for model in models for label in (model.label, ""))
    panels = [Panel(None, tuple(lines))] + ([Panel("As published", tuple(paper))] if paper else [])
    notes = [*_outcomes(models, study), *reasons.notes(), *_said(result)]
    return ((across,) if len(models) == 1 else (labels, across)), "Comparison", tuple(panels), notes


TOTAL = "all comparisons"


def _estimators(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Estimators down; effect, standard error, p and observations of each outcome across."""
    reasons = Reasons()
    models = result.specification.models
    outcomes = list(dict.fromkeys(model.outcome for model in models))
    lines, truths = [], []
    for heading in dict.fromkeys(model.heading.en for model in models if model.heading):
        own = {m.outcome: m for m in models if m.heading and m.heading.en == heading}
        cells: list[str] = []
        truth: list[str] = []
        for outcome in outcomes:
            frame = _rows_of(table, own[outcome].label)
            row = frame[own[outcome].treatment]
            if row["status"] == OK:
                numbers = (number(row["se"]), _p(row["p"]), count(row["n"]))
                cells += [number(row["estimate"]) + stars(row["p"]), *numbers]
            else:
                cells += [reasons.mark(row["status"], row["reason"]), "", "", ""]
            truth += [number(row["truth"]), "", "", ""]
        lines.append(Line(heading, tuple(cells)))
        truths += [Line(heading, tuple(truth))] if any(truth) else []
    across = ("Effect", "SE", "p", "N") * len(outcomes)
    named = tuple(cell for outcome in outcomes for cell in (outcome, "", "", ""))
    panels = [Panel(None, tuple(lines))] + ([Panel("True effect in the sample world", tuple(truths))] if truths else [])
    notes = [
        *_outcomes(models, study),
        "Callaway-Sant'Anna: against cities not yet treated, averaged over treated cells by cohort share.",
        "The bootstrap's row repeats the clustered standard error; its p is that of the bootstrap.",
        "*** p < 0.01, ** p < 0.05, * p < 0.1.",
        *reasons.notes(),
        *_said(result),
    ]
    return (named, across), "Estimator", tuple(panels), notes


def _honest(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Bounds down; the interval of each model across."""
    reasons = Reasons()
    models = result.specification.models
    frames = [_rows_of(table, model.label) for model in models]
    effect = tuple(_cell("average effect", rows, reasons) for rows in frames)
    failed = tuple(reasons.mark(NOT_COMPUTED, why) if (why := _why_not(rows)) else "" for rows in frames)
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
        *_outcomes(models, study),
        "95% intervals of Rambachan and Roth (2023).",
        *reasons.notes(),
        *_said(result),
    ]
    sizes = Line("N", tuple(count(next(iter(rows.values()))["n"]) for rows in frames))
    return _headers(models), "Bound", (Panel(None, (*lines, sizes)), *blocks), notes


def _interval(rows: _Rows, name: str) -> str:
    low, high = rows.get(f"{name}, low"), rows.get(f"{name}, high")
    return f"[{_end(low['estimate'])}, {_end(high['estimate'])}]" if low and high else ""


def _end(value: float) -> str:
    return number(value) or ("∞" if value > 0 else "-∞" if value < 0 else "")


_BALANCE = ("mean_treated", "mean_control", "bias", "bias_reduction", "t", "p", "variance_ratio")


def _balance(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """A panel a matching: each covariate before and after."""
    reasons = Reasons()
    panels, notes = [], []
    for model in result.specification.models:
        rows, fitted = _rows_of(table, model.label), result.models[model.label]
        if isinstance(fitted, str):
            cells = (reasons.mark(NOT_COMPUTED, fitted), *[""] * (len(_BALANCE) - 1))
            panels.append(Panel(model.label, (Line("All", cells),)))
            continue
        lines = [
            Line(f"{covariate}, {sample}", tuple(number(row[key], 3) for key in _BALANCE))
            for (covariate, sample), row in fitted.balance.iterrows()
        ]
        panels.append(Panel(model.label, tuple(lines)))
        sought, matched, used = (
            rows[term]["estimate"] for term in ("treated rows", "treated rows matched", "control rows used")
        )
        few = " Most found none: the matched sample speaks for a minority." if matched < sought / 2 else ""
        notes.append(
            f"{model.label}: {count(matched)} of {count(sought)} rows of pilot cities matched with {count(used)} rows "
            f"of other cities; mean bias {number(rows['mean bias, unmatched']['estimate'], 1)}% before and "
            f"{number(rows['mean bias, matched']['estimate'], 1)}% after.{few}"
        )
    across = ("Mean, treated", "Mean, control", "Bias, %", "Reduction, %", "t", "p", "Variance ratio")
    return (across,), "Covariate", tuple(panels), [*notes, *reasons.notes(), *_said(result)]


_LAYOUTS: dict[str, Callable[[ExhibitResult, Study, pd.DataFrame], Content]] = {
    "descriptive": _descriptive,
    "regression": _models,
    "event_study": _models,
    "placebo": _placebo,
    "bacon": _bacon,
    "estimators": _estimators,
    "honest": _honest,
    "balance": _balance,
    "spatial_panel": _models,
    **SPATIAL_LAYOUTS,
}

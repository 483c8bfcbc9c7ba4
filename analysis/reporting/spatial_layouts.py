"""What stands where in the tables of space: weights, autocorrelation by year, clusters, effects, tests between models.

The other tables, and how a column of a spatial panel model is laid out, are in `layouts`. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.reporting.table import Content, Line, Panel, Reasons, count, full_name, number
from analysis.results import stars
from analysis.studies.methods.spatial import CLASSES
from analysis.studies.records import Model, Study
from analysis.studies.run import NOT_COMPUTED, ExhibitResult


def _figures(table: pd.DataFrame, model: str, key: str = "estimate") -> dict[str, float]:
    """Term -> number of one model."""
    rows = table[table["model"] == model]
    return dict(zip(rows["term"], rows[key].astype(float), strict=True))


def _p(value: float | None) -> str:
    """A p value with three decimals, as papers print it."""
    if value is None or not np.isfinite(value):
        return ""
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def _plain(value: float | None, decimals: int = 4) -> str:
    return "" if value is None else number(value, decimals)


def _outcome_note(models: Sequence[Model], study: Study) -> list[str]:
    names = dict.fromkeys(model.outcome for model in models if model.outcome)
    return [f"Outcome. {'; '.join(full_name(study, name) for name in names)}."]


def _said(result: ExhibitResult) -> list[str]:
    """What was left out and how matrices are made, each sentence with the models it is of unless all share it."""
    said: dict[str, list[str]] = {}
    for label, fitted in result.models.items():
        for note in getattr(fitted, "notes", ()):
            said.setdefault(note, []).append(label)
    several = len(result.models) > 1
    shared = len([fitted for fitted in result.models.values() if not isinstance(fitted, str)])
    return [
        note if not several or len(labels) == shared else f"{', '.join(labels)}: {note}"
        for note, labels in said.items()
    ]


def _absent(result: ExhibitResult, reasons: Reasons, width: int) -> list[Line]:
    """A line for each model that could not be computed."""
    return [
        Line(label, (reasons.mark(NOT_COMPUTED, fitted), *[""] * (width - 1)))
        for label, fitted in result.models.items()
        if isinstance(fitted, str)
    ]


_MORAN = ("I", "I, published", "z", "p", "p, published", "p, randomisation", "p, permutation", "Geary's C", "C, p")


def _moran(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """A panel a matrix: years down; I, its three p values, the printed pair and Geary's C across."""
    reasons = Reasons()
    panels, notes = [], []
    models = result.specification.models
    for model in models:
        fitted = result.models[model.label]
        if isinstance(fitted, str):
            continue
        prefix = "" if len(models) == 1 else f"{model.label}, "
        for matrix in model.weights:
            lines = tuple(
                _moran_line(table, f"{prefix}{year}", matrix.name, str(year)) for year in fitted.table["year"].unique()
            )
            panels.append(Panel(f"{prefix}{matrix.label.en} ({matrix.name})", lines))
        sided = {"greater": "one-sided, for positive autocorrelation", "two-sided": "two-sided"}[fitted.alternative]
        notes.append(f"p: {sided}, under {fitted.assumption}; {fitted.permutations} permutations of the cities.")
        cities = fitted.table["n"].iloc[0]
        notes.append(f"{cities} cities a year; the expected value of I is {-1 / (cities - 1):.4f}, of C it is 1.")
    absent = _absent(result, reasons, len(_MORAN))
    panels = [*([Panel(None, tuple(absent))] if absent else []), *panels]
    return (_MORAN,), "Year", tuple(panels), [*_outcome_note(models, study), *notes, *reasons.notes(), *_said(result)]


def _moran_line(table: pd.DataFrame, model: str, matrix: str, year: str) -> Line:
    here, printed = _figures(table, model), _figures(table, model, "published_estimate")
    tested = _figures(table, model, "p")
    paper = printed.get(matrix, np.nan)
    cells = (
        _plain(here.get(matrix)) + stars(here.get(f"{matrix} p", np.nan)),
        f"{paper:.3f}" if np.isfinite(paper) else "",
        _plain(here.get(f"{matrix} z"), 3),
        _p(here.get(f"{matrix} p")),
        f"{printed[f'{matrix} p']:.3f}" if np.isfinite(paper) and f"{matrix} p" in printed else "",
        _p(here.get(f"{matrix} p, randomisation")),
        _p(here.get(f"{matrix} p, permutation")),
        _plain(here.get(f"{matrix} Geary's C")),
        _p(tested.get(f"{matrix} Geary's C")),
    )
    return Line(year, cells, "estimate")


def _clusters(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Classes down with their number of cities, models across; the cities of each class below."""
    reasons = Reasons()
    models = result.specification.models
    lines: list[Line] = []
    notes: list[str] = []
    for name in CLASSES if any(not isinstance(fitted, str) for fitted in result.models.values()) else ():
        cells = tuple(count(_figures(table, model.label).get(name, np.nan)) for model in models)
        lines.append(Line(_KINDS[name], cells))
    lines += _absent_cells(result, models, reasons)
    for model in models:
        fitted = result.models[model.label]
        if isinstance(fitted, str):
            continue
        members = {name: fitted.table.loc[fitted.table["cluster"] == name, "name_en"] for name in CLASSES[:-1]}
        named = [
            f"{name}: {', '.join(cities) if len(cities) <= LISTED else f'{len(cities)} cities'}"
            for name, cities in members.items()
            if len(cities)
        ]
        notes.append(f"{model.label}, {fitted.year}. {'; '.join(named) or 'No city is significant'}.")
    headers = (tuple(model.label for model in models),)
    notes = [*_outcome_note(models, study), *notes, *reasons.notes(), *_said(result)]
    return headers, "Cities by class", (Panel(None, tuple(lines)),), notes


#: Cities of a class up to which a note names them; the file of the table has them all.
LISTED = 30
_KINDS = {
    "high-high": "High among high (high-high)",
    "low-low": "Low among low (low-low)",
    "high-low": "High among low (high-low)",
    "low-high": "Low among high (low-high)",
    "not significant": "Not significant",
}


def _effects(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Direct, indirect, total of the treatment with both errors; the reach by distance; the printed effects."""
    reasons = Reasons()
    models = result.specification.models
    frames = [table[table["model"] == model.label].set_index("term") for model in models]
    lines, paper, reach, truth = [], [], [], []
    for kind in ("direct", "indirect", "total"):
        lines += [
            Line(kind.capitalize(), tuple(_starred(frame, kind) for frame in frames), "estimate"),
            Line("", tuple(_error(frame, kind) for frame in frames), "se"),
            Line("", tuple(_error(frame, f"{kind}, simulated", "[]") for frame in frames), "se"),
        ]
        printed = tuple(_printed(frame, kind) for frame in frames)
        if any(printed):
            errors = tuple(_error(frame, kind, column="published_se") for frame in frames)
            paper += [Line(kind.capitalize(), printed, "estimate"), Line("", errors, "se")]
        known = tuple(number(_number(frame, kind, "truth")) for frame in frames)
        truth += [Line(kind.capitalize(), known)] if any(known) else []
    lines = [line for line in lines if any(line.cells)]
    for band in dict.fromkeys(term for frame in frames for term in frame.index if str(term).endswith(" km")):
        reach.append(Line(_band(str(band)), tuple(_starred(frame, band) for frame in frames), "estimate"))
        reach.append(Line("", tuple(_error(frame, band) for frame in frames), "se"))
    lines += _absent_cells(result, models, reasons)
    lines.append(Line("N", tuple(count(frame["n"].iloc[0]) for frame in frames)))
    blocks = [
        (None, lines),
        (f"Indirect effect by distance of the other cities ({models[0].treatment})", reach),
        ("As published", paper),
        ("True effect in the sample world", truth),
    ]
    notes = [
        *_outcome_note(models, study),
        f"Standard errors by the delta method in parentheses, from {_draws(result)} draws of the estimates in "
        "brackets; stars by the former. By distance: from draws; bands sum to the indirect effect.",
        "*** p < 0.01, ** p < 0.05, * p < 0.1.",
        *reasons.notes(),
        *_said(result),
    ]
    panels = tuple(Panel(title, tuple(block)) for title, block in blocks if block)
    return (tuple(model.label for model in models),), f"Effect of {models[0].treatment}", panels, notes


def _draws(result: ExhibitResult) -> str:
    found = {f"{fitted.draws:,}" for fitted in result.models.values() if not isinstance(fitted, str)}
    return " or ".join(sorted(found)) or "no"


def _band(term: str) -> str:
    low, high = term.removesuffix(" km").split("-")
    return f"Over {float(low):,.0f} to {float(high):,.0f} km" if float(low) else f"Up to {float(high):,.0f} km"


def _number(frame: pd.DataFrame, term: str, column: str) -> float:
    """A number of one term, missing where the model does not have it."""
    return float(frame[column].get(term, np.nan))


def _starred(frame: pd.DataFrame, term: str) -> str:
    value = _number(frame, term, "estimate")
    return number(value) + stars(_number(frame, term, "p")) if np.isfinite(value) else ""


def _printed(frame: pd.DataFrame, term: str) -> str:
    value, asterisks = (_number(frame, term, f"published_{key}") for key in ("estimate", "stars"))
    return number(value) + "*" * int(np.nan_to_num(asterisks)) if np.isfinite(value) else ""


def _error(frame: pd.DataFrame, term: str, marks: str = "()", column: str = "se") -> str:
    value = _number(frame, term, column)
    return f"{marks[0]}{number(value)}{marks[1]}" if np.isfinite(value) else ""


def _absent_cells(result: ExhibitResult, models: Sequence[Model], reasons: Reasons) -> list[Line]:
    """One line that says under which models there is nothing, and why."""
    cells = tuple(
        reasons.mark(NOT_COMPUTED, fitted) if isinstance(fitted := result.models[model.label], str) else ""
        for model in models
    )
    return [Line("All", cells)] if any(cells) else []


def _choice(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Tests down, matrices across: statistic and p; the recommendation of each below."""
    reasons = Reasons()
    models = result.specification.models
    computed = [fitted for fitted in result.models.values() if not isinstance(fitted, str)]
    panels = [Panel(None, tuple(lines))] if (lines := _absent_cells(result, _doubled(models), reasons)) else []
    if computed:
        tests = computed[0].table
        for structure in dict.fromkeys(tests["effects"]):
            lines = []
            for _, test in tests[tests["effects"] == structure].iterrows():
                term = f"{test['test']}, {structure}"
                cells: list[str] = []
                for model in models:
                    value, p = _figures(table, model.label), _figures(table, model.label, "p")
                    cells += [_plain(value.get(term), 3), _p(p.get(term))]
                freedom = ", ".join(dict.fromkeys(str(df) for df in _freedom(computed, test["test"], structure)))
                lines.append(Line(f"{test['test']}: {test['null']} (df {freedom})", tuple(cells)))
            panels.append(Panel(_STRUCTURES[structure], tuple(lines)))
    heads = tuple(cell for model in models for cell in (model.label, ""))
    across = ("Statistic", "p") * len(models)
    pointed = [
        f"{label}. {fitted.recommendation}" for label, fitted in result.models.items() if not isinstance(fitted, str)
    ]
    notes = [
        *_outcome_note(models, study),
        *pointed,
        "LM tests and likelihood ratios of the effects are of the panel regression without space; the others compare "
        "spatial Durbin (SDM), lag (SAR) and error (SEM) models, whose log-likelihoods are of the transformed panel.",
        *reasons.notes(),
        *_said(result),
    ]
    return (heads, across), "Test of", tuple(panels), notes


def _freedom(computed: Sequence[Any], test: str, structure: str) -> list[int]:
    """Degrees of freedom of a test, model by model."""
    tables = [fitted.table for fitted in computed]
    return [int(t.loc[(t["test"] == test) & (t["effects"] == structure), "df"].iloc[0]) for t in tables]


def _doubled(models: Sequence[Model]) -> list[Model]:
    return [model for model in models for _ in range(2)]


_STRUCTURES = {
    "none": "Without effects",
    "unit": "City effects",
    "time": "Year effects",
    "two-way": "City and year effects",
}


def _weights(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """Facts of each matrix; the neighbours of every city are in the files beside the table."""
    reasons = Reasons()
    models = result.specification.models
    found = [_figures(table, model.label) for model in models]
    computed = [model.label for model in models if not isinstance(result.models[model.label], str)]
    terms = dict.fromkeys(term for label in computed for term in _figures(table, label))
    lines = [Line(term.capitalize(), tuple(_fact(term, facts.get(term, np.nan)) for facts in found)) for term in terms]
    lines += _absent_cells(result, models, reasons)
    notes = [
        "Each matrix (city_code, neighbour, weight) and each city's neighbours are among the files of this table.",
        *reasons.notes(),
        *_said(result),
    ]
    return (tuple(model.label for model in models),), "", (Panel(None, tuple(lines)),), notes


#: Cities that a note names as those that receive most.
MOST = 10


def _spillovers(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """What cities without the policy receive, models across; those that receive most by name."""
    reasons = Reasons()
    models = result.specification.models
    found = [_figures(table, model.label) for model in models]
    computed = [model.label for model in models if not isinstance(result.models[model.label], str)]
    terms = dict.fromkeys(term for label in computed for term in _figures(table, label))
    lines = [
        Line(term.capitalize(), tuple(_amount(term, facts.get(term, np.nan)) for facts in found)) for term in terms
    ]
    lines += _absent_cells(result, models, reasons)
    notes = [*_outcome_note(models, study)]
    for label in computed:
        fitted = result.models[label]
        most = fitted.table.nlargest(MOST, "received")
        cities = ", ".join(f"{row.name_en} {row.received:.4f}" for row in most.itertuples())
        notes.append(f"{label}, {fitted.year}. Most is received by {cities}.")
    notes += ["What every city receives is among the files of this table.", *reasons.notes(), *_said(result)]
    return (tuple(model.label for model in models),), "", (Panel(None, tuple(lines)),), notes


#: Terms of the table of spillovers that count cities.
_COUNTED = ("cities without the policy", "of them with a tenth of the direct effect or more")


def _amount(term: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    return count(value) if term in _COUNTED else number(value)


def _fact(term: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    if term in ("symmetric", "neighbours both ways"):
        return "YES" if value else "NO"
    return number(value, 2) if "mean" in term or "share" in term or "sum" in term else count(value)


SPATIAL_LAYOUTS: dict[str, Callable[[ExhibitResult, Study, pd.DataFrame], Any]] = {
    "moran": _moran,
    "local_moran": _clusters,
    "spatial_effects": _effects,
    "spatial_choice": _choice,
    "spatial_spillovers": _spillovers,
    "spatial_weights": _weights,
}

"""Tables as journals print them: built once as `Table`, rendered to Markdown, LaTeX, HTML and CSV.

Numbers come from the estimates and the printed figures; nothing is computed here beyond their difference.
"""

from __future__ import annotations

import csv as csv_module
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.reporting.compare import compare
from analysis.reporting.page import render
from analysis.results import stars
from analysis.studies.published import Published
from analysis.studies.records import Study
from analysis.studies.run import DESCRIPTIVE, NOT_COMPUTED, NOT_IDENTIFIED, OK, ExhibitResult

SAMPLE = "SAMPLE DATA"
SAMPLE_NOTE = "SAMPLE DATA: made by simulation, not observed. No number here says anything about a real city."


@dataclass(frozen=True)
class Line:
    """A row of a table; ``kind`` is "estimate", "se" (belongs to the row above) or "fact"."""

    label: str
    cells: tuple[str, ...]
    kind: str = "fact"


@dataclass(frozen=True)
class Panel:
    """A block of rows under a heading (None for the first)."""

    title: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table ready to be written in any format; every cell is text, an empty one has nothing to show.

    Attributes
    ----------
    caption : number and title.
    headers : one or two rows of column headings, without the stub.
    stub : heading of the first column.
    panels : blocks of rows.
    notes : sentences below.
    is_sample : whether the numbers come from the sample world; every format then says so.
    """

    caption: str
    headers: tuple[tuple[str, ...], ...]
    stub: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    is_sample: bool


class _Reasons:
    """Footnote letters for the sentences behind cells that hold no number."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, status: str, reason: str) -> str:
        letter = self._letters.setdefault(reason, _letter(len(self._letters)))
        return f"{status} [{letter}]"

    def notes(self) -> list[str]:
        return [f"[{letter}] {reason}" for reason, letter in self._letters.items()]


def _letter(index: int) -> str:
    head, last = divmod(index, 26)
    return ("" if head == 0 else _letter(head - 1)) + chr(ord("a") + last)


def exhibit_table(
    result: ExhibitResult, study: Study, *, printed: Published, truth: pd.DataFrame | None = None
) -> Table:
    """The table of an exhibit, with what the paper prints and the true effects of the sample world below.

    A figure has a table too: its periods, estimates and standard errors.

    Parameters
    ----------
    printed
        As `analysis.studies.published.published` returns it for the study.
    truth
        True values in the sample world, as `compare` takes them; shown only when the result is from sample data.
    """
    table = compare(result.estimates, printed.table, truth if result.is_sample else None)
    build = _descriptive if result.kind == "descriptive" else _models
    headers, stub, panels, notes = build(result, study, table)
    note = result.specification.note
    about = [note.en] if note else []
    paper = printed.notes.get(result.specification.published or "", ())
    marks = ["Published figures marked † follow from the list of pilots alone, so any data must reproduce them."]
    missed = table[table["reproduced"].eq(False)]
    wrong = [
        f"Not reproduced though it must be: {model}, {term}."
        for model, term in zip(missed["model"], missed["term"], strict=True)
    ]
    return Table(
        caption=f"{display_name(result.exhibit)}. {result.title.en}",
        headers=headers,
        stub=stub,
        panels=panels,
        notes=(
            *([SAMPLE_NOTE] if result.is_sample else []),
            *about,
            *notes,
            *(marks if table["exact"].any() else []),
            *wrong,
            *(f"Of the paper: {sentence}" for sentence in paper),
        ),
        is_sample=result.is_sample,
    )


def display_name(exhibit: str) -> str:
    """table_3 -> Table 3."""
    return exhibit.replace("_", " ").capitalize()


def number(value: float, decimals: int = 4) -> str:
    """A number with four decimals, fewer where it is large, in scientific form where it would print as zero."""
    if not np.isfinite(value):
        return ""
    if value != 0 and abs(value) < 0.5 * 10.0**-decimals:
        return f"{value:.1e}"
    return f"{value:,.{decimals if abs(value) < 1e5 else 0}f}"


def _name(study: Study, column: str) -> str:
    label = study.label(column).en
    return column if label == column else f"{label} ({column})"


#: Column headings, stub, panels and notes of a table.
_Content = tuple[tuple[tuple[str, ...], ...], str, tuple[Panel, ...], list[str]]
#: Term -> what `compare` says about it.
_Rows = dict[str, dict[str, Any]]


def _rows_of(table: pd.DataFrame, model: str) -> _Rows:
    rows = table[table["model"] == model].set_index("term", drop=False)
    return {str(term): {str(key): value for key, value in row.items()} for term, row in rows.iterrows()}


def _descriptive(result: ExhibitResult, study: Study, table: pd.DataFrame) -> _Content:
    reasons = _Reasons()
    here, paper = [], []
    for variable in result.specification.variables:
        rows = _rows_of(table, variable)
        name = _name(study, variable)
        why = next((row["reason"] for row in rows.values() if row["status"] == NOT_COMPUTED), None)
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


def _dagger(row: dict[str, Any]) -> str:
    return "†" if row["exact"] else ""


def _statistic(term: str, value: float) -> str:
    return f"{value:,.0f}" if term == "obs" and np.isfinite(value) else number(value)


def _models(result: ExhibitResult, study: Study, table: pd.DataFrame) -> _Content:
    """Terms down, models across; then how each model is made, its size and fit, and the published block."""
    reasons = _Reasons()
    models = result.specification.models
    frames = [_rows_of(table, model.label) for model in models]
    terms = _terms(result, table)
    lines = [line for term in terms for line in _term_lines(term, study, frames, reasons)]
    panels = [Panel(None, (*lines, *_facts(result, study, frames))), *_published_panels(study, terms, frames)]
    labels = tuple(model.label for model in models)
    outcomes = tuple(model.outcome for model in models)
    plain = all(outcome in label for outcome, label in zip(outcomes, labels, strict=True))
    called = {code: study.label(code).en for code in outcomes}
    meaning = "; ".join(f"{code}: {label}" for code, label in called.items() if code != label)
    notes = [*([f"Outcomes. {meaning}."] if meaning else []), *reasons.notes(), *_method_notes(result)]
    return ((labels,) if plain else (labels, outcomes)), "", tuple(panels), notes


def _terms(result: ExhibitResult, table: pd.DataFrame) -> list[str]:
    """The terms to print one by one, in the order of the estimates; a model's only row may say why there is none."""
    found = list(dict.fromkeys(table["term"]))
    if result.kind == "event_study":
        periods = sorted((t for t in found if t.startswith("period ")), key=lambda t: int(t.split()[1]))
        return periods or found[:1]
    show = result.specification.show
    constant = ["const"] if result.specification.constant and "const" in found else []
    return [term for term in found if term in show] + constant


def _term_lines(term: str, study: Study, frames: list[_Rows], reasons: _Reasons) -> list[Line]:
    cells = [_cell(term, rows, reasons) for rows in frames]
    lines = [Line(_term_name(term, study), tuple(estimate for estimate, _ in cells), "estimate")]
    errors = tuple(error for _, error in cells)
    return [*lines, Line("", errors, "se")] if any(errors) else lines


def _cell(term: str, rows: _Rows, reasons: _Reasons) -> tuple[str, str]:
    """A term's estimate with its stars, or why there is none, and its standard error in parentheses."""
    why = next((row["reason"] for row in rows.values() if row["status"] == NOT_COMPUTED), None)
    if why:
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


def _term_name(term: str, study: Study) -> str:
    if term == "const":
        return "Constant"
    return term.capitalize() if term.startswith("period ") else _name(study, term)


def _facts(result: ExhibitResult, study: Study, frames: list[_Rows]) -> list[Line]:
    """Which controls and effects each model has, its observations and R2, and what belongs to a figure only."""
    models = result.specification.models
    shown = set(result.specification.show)
    lines = []
    if any(set(model.controls) - shown for model in models):
        lines.append(_yes("Control variables", [bool(model.controls) for model in models]))
    others = [e for e in dict.fromkeys(e for m in models for e in m.fixed_effects) if e not in ("unit", "time")]
    for effect in ("unit", "time", *others):
        name = {"unit": "City", "time": "Year"}.get(effect, _name(study, effect))
        lines.append(_yes(f"{name} fixed effects", [effect in model.fixed_effects for model in models]))
    if result.kind == "event_study":
        tests = tuple(number(rows["pretrend F"]["p"]) if "pretrend F" in rows else "" for rows in frames)
        lines.append(Line("Leads jointly zero, p", tests))
    lines.append(Line("N", tuple(_count(next(iter(rows.values()))["n"]) for rows in frames)))
    lines.append(Line("R²", tuple(number(next(iter(rows.values()))["r2"]) for rows in frames)))
    return lines


def _count(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else ""


def _yes(label: str, has: Sequence[bool]) -> Line:
    return Line(label, tuple("YES" if yes else "NO" for yes in has))


def _published_panels(study: Study, terms: list[str], frames: list[_Rows]) -> list[Panel]:
    """The printed figures in the same columns, the distance from them, and the truth of the sample world."""
    nothing = {"published_estimate": np.nan, "published_se": np.nan, "difference": np.nan, "truth": np.nan}
    paper: list[Line] = []
    distance: list[Line] = []
    truth: list[Line] = []
    for term in terms:
        rows = [frame.get(term, nothing) for frame in frames]
        name = _term_name(term, study)
        if any(np.isfinite(row["published_estimate"]) for row in rows):
            paper.append(Line(name, tuple(_printed(row) for row in rows), "estimate"))
            errors = (number(row["published_se"]) for row in rows)
            paper.append(Line("", tuple(f"({error})" if error else "" for error in errors), "se"))
        for key, lines, decimals in (("difference", distance, 2), ("truth", truth, 4)):
            cells = tuple(number(row[key], decimals) for row in rows)
            if any(cells):
                lines.append(Line(name, cells))
    if paper:
        heads = [[row for row in rows.values() if np.isfinite(row["published_estimate"])] for rows in frames]
        sizes = [_count(rows[0]["published_n"]) if rows else "" for rows in heads]
        marks = [_dagger(rows["n"]) if "n" in rows else "" for rows in frames]
        paper.append(Line("N", tuple(size + mark for size, mark in zip(sizes, marks, strict=True))))
        paper.append(Line("R²", tuple(number(rows[0]["published_r2"]) if rows else "" for rows in heads)))
    blocks = [
        ("As published", paper),
        ("Difference from published, in published standard errors", distance),
        ("True effect in the sample world", truth),
    ]
    return [Panel(title, tuple(lines)) for title, lines in blocks if lines]


def _printed(row: dict[str, Any]) -> str:
    if not np.isfinite(row["published_estimate"]):
        return ""
    asterisks = "*" * int(row["published_stars"]) if np.isfinite(row["published_stars"]) else ""
    return number(row["published_estimate"]) + asterisks + _dagger(row)


def _method_notes(result: ExhibitResult) -> list[str]:
    """How standard errors are made, and what each estimator did to the data on the way."""
    clusters = {model.cluster for model in result.specification.models}
    by = ""
    if len(clusters) == 1:
        by = " and ".join({"unit": "city", "time": "year"}.get(name, name) for name in next(iter(clusters)))
    made = f"Standard errors clustered by {by} in parentheses" if by else "Standard errors in parentheses"
    said: dict[str, list[str]] = {}
    for label, fitted in result.models.items():
        for note in getattr(fitted, "notes", ()):
            said.setdefault(note, []).append(label)
    legend = f"{made}; *** p < 0.01, ** p < 0.05, * p < 0.1."
    return [legend, *(f"{', '.join(labels)}: {note}" for note, labels in said.items())]


def markdown(table: Table) -> str:
    """The table as a Markdown pipe table, its caption above and its notes below."""
    heads = [" / ".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*table.headers, strict=True)]
    lines = [f"**{_md(table.caption)}**", ""]
    if table.is_sample:
        lines += [f"**{SAMPLE}**", ""]
    lines.append("| " + " | ".join(_md(cell) for cell in (table.stub, *heads)) + " |")
    lines.append("|:--" + "|--:" * len(heads) + "|")
    for panel in table.panels:
        if panel.title:
            lines.append(f"| *{_md(panel.title)}* |" + " |" * len(heads))
        lines += ["| " + " | ".join(_md(cell) for cell in (line.label, *line.cells)) + " |" for line in panel.lines]
    return "\n".join([*lines, "", *(f"{_md(note)}  " for note in table.notes)]) + "\n"


def _md(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", _one_line(text)).replace("&", "&amp;").replace("<", "&lt;")


def latex(table: Table) -> str:
    """The table as a LaTeX float for the booktabs package, plain enough for any class."""
    width = len(table.headers[0])
    rows = [f"\\caption{{{_tex(table.caption)}}}", f"\\begin{{tabular}}{{l*{{{width}}}{{c}}}}", "\\toprule"]
    for index, header in enumerate(table.headers):
        rows.append(_tex_row((table.stub if index == 0 else "", *header)))
    for panel in table.panels:
        rows.append("\\midrule")
        if panel.title:
            rows.append(f"\\multicolumn{{{width + 1}}}{{l}}{{\\textit{{{_tex(panel.title)}}}}} \\\\")
        rows += [_tex_row((line.label, *line.cells)) for line in panel.lines]
    notes = [f"{_tex(note)}\\par" for note in table.notes]
    sample = [f"\\textbf{{{SAMPLE}}}\\par"] if table.is_sample else []
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            *([f"% {SAMPLE}"] if table.is_sample else []),
            "\\begin{table}[htbp]",
            "\\centering",
            *sample,
            *rows,
            "\\bottomrule",
            "\\end{tabular}",
            "\\par\\medskip\\begin{minipage}{\\linewidth}\\footnotesize",
            *notes,
            "\\end{minipage}",
            "\\end{table}",
            "",
        ]
    )


_TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "²": "$^2$",
    "†": "$^\\dagger$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in _one_line(text))


def _tex_row(cells: Iterable[str]) -> str:
    shown = []
    for cell in cells:
        found = re.fullmatch(r"(-?[\d.,]+(?:e-?\d+)?)(\**)(†?)", cell)
        if found:
            value, asterisks, dagger = found.groups()
            # The comma of thousands would be spaced as punctuation in math mode.
            cell = value.replace("-", "$-$", 1) if value.startswith("-") else value
            above = asterisks + ("\\dagger" if dagger else "")
            shown.append(cell + (f"$^{{{above}}}$" if above else ""))
        else:
            # A bracket after \\ would be read as its optional argument.
            shown.append(_tex(cell).replace("[", "{[}").replace("]", "{]}"))
    return " & ".join(shown) + " \\\\"


def html(table: Table) -> str:
    """The table as an HTML fragment with a caption, scoped headers and its notes."""
    return render("table.html", table=table)


def html_document(table: Table) -> str:
    """The table as a page of its own, to be opened in a browser or pasted into a word processor."""
    return render("table_page.html", table=table)


def csv(result: ExhibitResult, *, printed: Published, truth: pd.DataFrame | None = None) -> str:
    """The exhibit as tidy rows: estimate, published figure, difference and truth, one row a model and term."""
    table = compare(result.estimates, printed.table, truth if result.is_sample else None)
    table.insert(0, "data", SAMPLE if result.is_sample else "observed")
    return safe_csv(table)


def safe_csv(table: pd.DataFrame) -> str:
    """A data frame as CSV (RFC 4180) in which no text can run as a formula when a spreadsheet opens it."""
    file = io.StringIO(newline="")
    writer = csv_module.writer(file, lineterminator="\r\n")
    writer.writerow([_csv_cell(str(column)) for column in table.columns])
    for row in table.itertuples(index=False):
        writer.writerow([_csv_cell(value) for value in row])
    return file.getvalue()


def _csv_cell(value: object) -> object:
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        exact = float(value)
        return repr(int(exact)) if exact.is_integer() and abs(exact) < 1e15 else repr(exact)
    if not isinstance(value, str):
        return value
    # A leading quote is what OWASP advises; it also follows blanks, which spreadsheets skip.
    return f"'{value}" if value.lstrip()[:1] in {"=", "+", "-", "@"} or value[:1] in {"\t", "\r", "\n"} else value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def write_table(
    result: ExhibitResult,
    study: Study,
    folder: Path,
    *,
    printed: Published,
    truth: pd.DataFrame | None = None,
) -> dict[str, Path]:
    """Write <exhibit>.md, .tex, .html and .csv into ``folder``; returns format -> path."""
    table = exhibit_table(result, study, printed=printed, truth=truth)
    contents = {
        "csv": csv(result, printed=printed, truth=truth),
        "md": markdown(table),
        "tex": latex(table),
        "html": html_document(table),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{result.exhibit}.{suffix}" for suffix in contents}
    for suffix, path in paths.items():
        path.write_text(contents[suffix], encoding="utf-8", newline="")
    return paths


__all__ = [
    *("Line", "Panel", "Table", "csv", "display_name", "exhibit_table", "html", "html_document"),
    *("latex", "markdown", "number", "safe_csv", "write_table"),
]

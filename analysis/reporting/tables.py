"""Tables as journals print them: built once as `Table`, rendered to Markdown, HTML and CSV; other formats are in
`latex` and `office`.

Numbers come from the estimates and the printed figures; nothing is computed here beyond their difference.
"""

from __future__ import annotations

import csv as csv_module
import io
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.agreement.line import lines
from analysis.printing.table import SAMPLE, SAMPLE_NOTE, Line, Panel, Style, Table, display_name, styled
from analysis.reporting import scripts
from analysis.reporting.attachments import attachments, parquet
from analysis.reporting.language import Chinese, study_labels, translate
from analysis.reporting.latex import latex
from analysis.reporting.office import docx, xlsx
from analysis.reporting.page import render
from analysis.studies.compare import compare
from analysis.studies.estimation_sample import columns_named, columns_used
from analysis.studies.kinds import KINDS
from analysis.studies.published import Published
from analysis.studies.records import Exhibit, Shown, Study
from analysis.studies.result import ExhibitResult


def exhibit_table(
    result: ExhibitResult,
    study: Study,
    *,
    printed: Published,
    truth: pd.DataFrame | None = None,
    shown: Shown | None = None,
    agreement: pd.DataFrame | None = None,
) -> Table:
    """The table of an exhibit, with what the paper prints and the true effects of the sample world below.

    A figure has a table too: its periods, estimates and standard errors.

    Parameters
    ----------
    printed
        As `analysis.studies.published.published` returns it for the study.
    truth
        True values in the sample world, as `compare` takes them; shown only when the result is from sample data.
    shown
        What of it is shown and how; by default what the study says.

    agreement
        What other engines make of the study's numbers, as `analysis.agreement.second_opinions` returns it.

    Raises
    ------
    ValueError
        A row that is to be shown and that the table does not have.
    """
    second = [] if agreement is None else lines(agreement[agreement["exhibit"].eq(result.exhibit)])
    shown = shown or result.specification.shown
    beside = printed.table if shown.published else printed.table.iloc[:0]
    table = compare(result.estimates, beside, truth if result.is_sample and shown.truth else None)
    with styled(Style(shown.decimals, shown.errors)):
        held = _with_intervals(table, result) if shown.errors == "interval" else table
        headers, first_heading, panels, notes = KINDS[result.kind].layout(result, study, held)
    if shown.rows:
        panels = _chosen(panels, shown.rows, result)
    note = result.specification.note
    about = [note.en] if note else []
    paper = printed.notes.get(result.specification.published or "", ()) if shown.published else ()
    marks = ["Published figures marked † follow from the list of pilots alone, so any data must reproduce them."]
    missed = table[table["reproduced"].eq(False)]
    wrong = [
        f"Not reproduced though it must be: {model}, {term}."
        for model, term in zip(missed["model"], missed["term"], strict=True)
    ]
    below = (
        *about,
        *notes,
        *unverified(result.specification, study),
        *(marks if table["exact"].any() else []),
        *wrong,
        *second,
        *(f"Of the paper: {sentence}" for sentence in paper),
    )
    return Table(
        caption=f"{display_name(result.exhibit)}. {result.title.en}",
        headers=headers,
        first_heading=first_heading,
        panels=panels,
        notes=(*([SAMPLE_NOTE] if result.is_sample else []), *(below if shown.notes else ())),
        is_sample=result.is_sample,
        title=result.title.en,
        name=f"{result.study}:{result.exhibit}",
    )


def _with_intervals(table: pd.DataFrame, result: ExhibitResult) -> pd.DataFrame:
    """The ends of 95% intervals as the estimators state them, beside each estimate that has one."""
    ends: dict[tuple[str, str], tuple[float, float]] = {}
    for label, fitted in result.computed.items():
        stated = getattr(fitted, "table", None)
        if isinstance(stated, pd.DataFrame) and {"low", "high"} <= set(stated.columns):
            for term, low, high in zip(stated.index, stated["low"], stated["high"], strict=True):
                ends[label, str(term)] = (low, high)
    found = [ends.get(key, (np.nan, np.nan)) for key in zip(table["model"], table["term"], strict=True)]
    return table.assign(low=[low for low, _ in found], high=[high for _, high in found])


def _chosen(panels: Iterable[Panel], rows: Iterable[str], result: ExhibitResult) -> tuple[Panel, ...]:
    """The lines that are asked for, in that order, each with what stands below it; panels without any are left out."""
    kept = []
    names: dict[str, None] = {}
    found = set()
    for panel in panels:
        groups: list[list[Line]] = []
        for line in panel.lines:
            if line.kind == "se" and groups:
                groups[-1].append(line)
            else:
                groups.append([line])
                names[line.label] = None
        lines: list[Line] = []
        for row in rows:
            for group in groups:
                if _is_called(group[0].label, row):
                    found.add(row)
                    lines += group
        if lines:
            kept.append(Panel(panel.title, tuple(lines)))
    absent = [row for row in rows if row not in found]
    if absent:
        raise ValueError(
            f"{result.exhibit} has no row {absent[0]!r}; it has {'; '.join(name for name in names if name)}."
        )
    return tuple(kept)


def _is_called(label: str, name: str) -> bool:
    """Whether a line is the one that is meant: by its label, or by the column in parentheses at its end."""
    return name.casefold() in (label.casefold(), *(match.casefold() for match in re.findall(r"\(([^()]*)\)$", label)))


def unverified(exhibit: Exhibit, study: Study) -> list[str]:
    """A sentence for each policy list behind a table of which entries are still to be checked."""
    models = (*exhibit.models, *exhibit.tests)
    used = {*exhibit.variables, *(name for model in models for name in (*columns_used(model), *columns_named(model)))}
    used |= {group.column for group in study.groups if group.name in used and group.column}
    lists = [(study.treatment, study.treatment_label, study.policy, study.to_check)]
    lists += [(policy.name, policy.label, policy.policy, policy.to_check) for policy in study.policies]
    return [
        f"{label.en}: {unchecked} of {entries} entries of data/policies/{policy}.csv are still to be checked."
        for name, label, policy, (unchecked, entries) in lists
        if name in used and unchecked
    ]


def markdown(table: Table) -> str:
    """The table as a Markdown pipe table, its caption above and its notes below."""
    heads = [" / ".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*table.headers, strict=True)]
    lines = [f"**{_md(table.caption)}**", ""]
    if table.is_sample:
        lines += [f"**{SAMPLE}**", ""]
    lines.append("| " + " | ".join(_md(cell) for cell in (table.first_heading, *heads)) + " |")
    lines.append("|:--" + "|--:" * len(heads) + "|")
    for panel in table.panels:
        if panel.title:
            lines.append(f"| *{_md(panel.title)}* |" + " |" * len(heads))
        lines += ["| " + " | ".join(_md(cell) for cell in (line.label, *line.cells)) + " |" for line in panel.lines]
    return "\n".join([*lines, "", *(f"{_md(note)}  " for note in table.notes)]) + "\n"


def text(table: Table) -> str:
    """The table for a terminal: columns of equal width, its caption above and its notes below."""
    rows = [("", *header) for header in table.headers]
    rows[0] = (table.first_heading, *table.headers[0])
    body = [(panel.title, [(line.label, *line.cells) for line in panel.lines]) for panel in table.panels]
    every = [*rows, *(row for _, lines in body for row in lines)]
    widths = [max(_width(row[at]) for row in every) for at in range(len(every[0]))]

    def line(row: tuple[str, ...]) -> str:
        first = row[0] + " " * (widths[0] - _width(row[0]))
        others = (" " * (width - _width(cell)) + cell for cell, width in zip(row[1:], widths[1:], strict=True))
        return "  ".join([first, *others]).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [f"{SAMPLE}. {table.caption}" if table.is_sample else table.caption, rule, *map(line, rows), rule]
    for title, those in body:
        lines += [*([title] if title else []), *map(line, those)]
    return "\n".join([*lines, rule, *map(_one_line, table.notes)]) + "\n"


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character, none for a mark above one."""
    return sum(0 if unicodedata.combining(mark) else 1 + (unicodedata.east_asian_width(mark) in "WF") for mark in text)


def _md(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", _one_line(text)).replace("&", "&amp;").replace("<", "&lt;")


def html(table: Table) -> str:
    """The table as an HTML fragment with a caption, scoped headers and its notes."""
    return render("table.html", table=table)


def html_document(table: Table, language: str = "en") -> str:
    """The table as a page of its own, to be opened in a browser or pasted into a word processor."""
    return render("table_page.html", table=table, language=language)


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
    writer.writerows(zip(*(_csv_column(table.iloc[:, at]) for at in range(table.shape[1])), strict=True))
    return file.getvalue()


def _csv_column(values: pd.Series) -> list[object]:
    """The cells of a column; most are plain numbers, which need no look at each."""
    if values.dtype == np.float64:
        return [_csv_number(value) for value in values.tolist()]
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        return values.tolist()
    return [_csv_cell(value) for value in values]


def _csv_number(value: float) -> str:
    if value != value:
        return ""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _csv_cell(value: object) -> object:
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        return _csv_number(float(value))
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
    agreement: pd.DataFrame | None = None,
    table: Table | None = None,
) -> dict[str, Path]:
    """Write <exhibit>.md, .tex, .html, .csv, .docx and .xlsx and what belongs beside them; returns format -> path.

    All but Markdown and CSV are written in Chinese too, as <exhibit>.zh.tex and so on under "tex Chinese". ``table`` is
    what `exhibit_table` makes of the same, where it is at hand.
    """
    table = table or exhibit_table(result, study, printed=printed, truth=truth, agreement=agreement)
    chinese = translate(table, Chinese(study_labels(study)))
    contents: dict[str, Callable[[], str | bytes]] = {
        "csv": lambda: csv(result, printed=printed, truth=truth),
        "md": lambda: markdown(table),
        "tex": lambda: latex(table),
        "html": lambda: html_document(table),
        "docx": lambda: docx(table),
        "xlsx": lambda: xlsx(table),
        "tex Chinese": lambda: latex(chinese, chinese=True),
        "html Chinese": lambda: html_document(chinese, language="zh-Hans"),
        "docx Chinese": lambda: docx(chinese),
        "xlsx Chinese": lambda: xlsx(chinese),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for key, content in contents.items():
        suffix, _, language = key.partition(" ")
        paths[key] = folder / f"{result.exhibit}.{'zh.' if language else ''}{suffix}"
        written = content()
        paths[key].write_bytes(written.encode() if isinstance(written, str) else written)
    if any(model.method in scripts.NEEDS and not model.panel for model in result.specification.models):
        for what, suffix, script in (("R script", "R", scripts.r), ("Stata do-file", "do", scripts.stata)):
            paths[what] = folder / f"{result.exhibit}.{suffix}"
            made_by = script(study, result.specification, is_sample=result.is_sample)
            paths[what].write_text(made_by, encoding="utf-8", newline="")
    for what, (name, frame) in attachments(result).items():
        paths[what] = folder / name
        paths[what].write_bytes(parquet(frame) if name.endswith(".parquet") else safe_csv(frame).encode())
    return paths

"""Every estimator of the same effect below each other, for each outcome; `Method.estimators` says which there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pandas as pd
from pydantic import Field

from analysis.documents import Different, Word
from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.results import stars
from analysis.studies.kinds._columns import outcome_notes, p_value, rows_of, said
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._reading import WrittenOutcomes, baseline_of
from analysis.studies.methods import METHODS, EstimatorLine
from analysis.studies.records import Exhibit, Study
from analysis.studies.result import OK, ExhibitResult


def _known() -> dict[str, tuple[str, EstimatorLine]]:
    """Word -> method and its line in a table of estimators."""
    return {line.word: (name, line) for name, method in METHODS.items() for line in method.estimators}


class Written(WrittenOutcomes):
    """Every estimator of the same effect, for each outcome."""

    methods: Annotated[
        tuple[Annotated[str, Word("an estimator", tuple(_known()))], ...],
        Different(),
        Field(description="Lines of the table, in order; the usual ones when this is off."),
    ] = tuple(word for word, (_, line) in _known().items() if line.standard)

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        base = self.baseline.chosen(baseline_of(study), study)
        models = []
        for outcome in self.outcomes:
            for word in self.methods:
                method, line = _known()[word]
                controls = base.controls if line.controlled else ()
                own = replace(base, outcome=outcome, method=method, controls=controls, heading=line.heading)
                models.append(replace(own, label=f"{outcome}, {word}"))
        return replace(common, models=tuple(models))


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
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
            frame = rows_of(table, own[outcome].label)
            row = frame[own[outcome].treatment]
            if row["status"] == OK:
                numbers = (number(row["se"]), p_value(row["p"]), count(row["n"]))
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
        *outcome_notes(models, study),
        *sorted({METHODS[model.method].explained for model in models} - {""}),
        "*** p < 0.01, ** p < 0.05, * p < 0.1.",
        *reasons.notes(),
        *said(result, {model.label: model.heading.en for model in models if model.heading}),
    ]
    return (named, across), "Estimator", tuple(panels), notes


KIND = Kind(written=Written, layout=_layout, is_effect=True)

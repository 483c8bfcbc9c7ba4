"""Descriptive statistics of variables; needs no model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from analysis.documents import Different, Word
from analysis.printing.table import Content, Line, Panel, Reasons, number
from analysis.studies.estimation_sample import missing
from analysis.studies.kinds._columns import dagger, full_name, rows_of, why_not
from analysis.studies.kinds._kind import Given, Kind
from analysis.studies.kinds._reading import WrittenExhibit
from analysis.studies.methods import Row
from analysis.studies.records import Exhibit, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult, estimate_row
from analysis.studies.written import VARIABLE

STATISTICS = ("obs", "mean", "sd", "min", "max")


class Written(WrittenExhibit):
    """Descriptive statistics."""

    variables: Annotated[tuple[Annotated[str, Word(VARIABLE, of=("described",))], ...], Different()] = Field(
        description="In order; the treatment too."
    )

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        return replace(common, variables=self.variables)


def _compute(study: Study, exhibit: Exhibit, panel: pd.DataFrame, given: Given) -> tuple[dict[str, Any], list[dict]]:
    """Observations, mean, standard deviation (n - 1), minimum and maximum of each variable."""
    models: dict[str, Any] = {}
    rows: list[dict] = []
    for name in exhibit.variables:
        why = missing(study, [name], panel)
        if why:
            models[name] = why
            rows += [estimate_row(name, Row(statistic, reason=why), status=NOT_COMPUTED) for statistic in STATISTICS]
            continue
        # Sorted, so that the sums behind mean and deviation do not depend on the order of the rows.
        values = np.sort(panel[name].dropna().to_numpy(dtype=float))
        deviation = values.std(ddof=1) if len(values) > 1 else np.nan
        numbers = (float(len(values)), values.mean(), deviation, values[0], values[-1])
        models[name] = pd.Series(numbers, index=list(STATISTICS), name=name)
        rows += [
            estimate_row(name, Row(statistic, value), n=len(values))
            for statistic, value in zip(STATISTICS, numbers, strict=True)
        ]
    return models, rows


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    reasons = Reasons()
    here, paper = [], []
    for variable in result.specification.variables:
        rows = rows_of(table, variable)
        name = full_name(study, variable)
        why = why_not(rows)
        if why:
            here.append(Line(name, (reasons.mark(NOT_COMPUTED, why), "", "", "", "")))
        else:
            here.append(Line(name, tuple(_statistic(t, rows[t]["estimate"]) for t in STATISTICS)))
        if any(np.isfinite(row["published_estimate"]) for row in rows.values()):
            cells = (_statistic(t, rows[t]["published_estimate"]) + dagger(rows[t]) for t in STATISTICS)
            paper.append(Line(name, tuple(cells)))
    panels = [Panel(None, tuple(here))] + ([Panel("As published", tuple(paper))] if paper else [])
    headers = (("Observations", "Mean", "SD", "Minimum", "Maximum"),)
    return headers, "Variable", tuple(panels), reasons.notes()


def _statistic(term: str, value: float) -> str:
    return f"{value:,.0f}" if term == "obs" and np.isfinite(value) else number(value)


KIND = Kind(written=Written, layout=_layout, compute=_compute, part="data")

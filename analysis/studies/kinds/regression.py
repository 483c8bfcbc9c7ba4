"""Columns of estimates, with tests of equal effects between groups below where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.printing.table import Content
from analysis.studies.kinds._columns import models_across
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._reading import TABLE, columns_of, table_baseline
from analysis.studies.methods import METHODS
from analysis.studies.reading import VARIABLE, Mark
from analysis.studies.records import Exhibit, Known, Model, Study
from analysis.studies.result import ExhibitResult


def _read(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    """A column an estimate; ``compare`` adds a test of equal effects between groups for each outcome."""
    parts = mark.mapping(None, ("columns",))
    base = table_baseline(parts, study, names)
    models = columns_of(parts["columns"], base, study, names)
    tests = _comparisons(parts["compare"], base, models, study, names) if "compare" in parts else ()
    constant = parts["constant"].boolean() if "constant" in parts else False
    return replace(common, models=models, tests=tests, show=_shown(parts.get("show"), study, models), constant=constant)


def _comparisons(mark: Mark, base: Model, models: tuple[Model, ...], study: Study, names: Known) -> tuple[Model, ...]:
    parts = mark.mapping({"by", "permutations"}, ("by",))
    by = parts["by"].word([*(g.name for g in study.groups), *names.city_columns], "a group or a column of cities.csv")
    draws = parts["permutations"].integer(0, 100_000) if "permutations" in parts else 0
    test = replace(base, method="group_difference", options={"by": by, "permutations": draws})
    outcomes = dict.fromkeys(model.outcome for model in models)
    return tuple(replace(test, label=f"equal effects, {outcome}", outcome=outcome) for outcome in outcomes)


def _shown(mark: Mark | None, study: Study, models: tuple[Model, ...]) -> tuple[str, ...]:
    made = dict.fromkeys(name for model in models for name in (*model.treatments, *METHODS[model.method].terms))
    columns = tuple(dict.fromkeys((study.treatment, *made, *study.columns)))
    if mark is None or mark.value == "treatment":
        return tuple(made)
    return columns if mark.value == "all" else mark.words(columns, VARIABLE)


def _unshown(result: ExhibitResult, terms: Sequence[str]) -> list[str]:
    """A sentence for each regressor that is not printed and was left out because nothing identifies it."""
    said = []
    for label in result.models:
        left = result.facts(label).not_identified
        said += [f"{label}: not identified: {why}" for term, why in left.items() if term not in terms]
    return said


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    return models_across(result, study, table, left=_unshown)


KIND = Kind(keys=(*TABLE, "show", "constant", "compare"), read=_read, layout=_layout, is_effect=True)

"""Columns of estimates, with tests of equal effects between groups below where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import pandas as pd
from pydantic import BeforeValidator, Field, WithJsonSchema

from analysis.documents import Between, Location, Strict, Word, describe, fault, faults, hint
from analysis.printing.table import Content
from analysis.studies.kinds._columns import models_across
from analysis.studies.kinds._kind import Kind
from analysis.studies.kinds._reading import AnyMethodChoices, Column, WrittenTable
from analysis.studies.methods import METHODS
from analysis.studies.records import Exhibit, Model, Study
from analysis.studies.result import ExhibitResult
from analysis.studies.written import VARIABLE, Flag


class Comparison(Strict):
    """A test of equal effects between groups, for each outcome of the table."""

    by: Annotated[str, Word("a group or a column of cities.csv", of=("groups", "city_columns"))] = Field(
        description="What tells the groups apart."
    )
    permutations: Annotated[int, Between(0, 100_000)] = Field(
        default=0, description="Draws of a permutation test beside the clustered one."
    )


def _shown(value: Any) -> Any:
    if value in ("treatment", "all") or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return value
    raise fault(f"expected a list of variables, 'treatment' or 'all', found {describe(value)}.")


_SHOWN = {"anyOf": [{"enum": ["treatment", "all"]}, {"type": "array", "items": {"type": "string"}}]}


class Written(WrittenTable):
    """A column an estimate."""

    baseline: AnyMethodChoices = Field(description="What all columns share.", default_factory=AnyMethodChoices)
    columns: tuple[Column, ...] = Field(description="One a model.")
    show: Annotated[Any, BeforeValidator(_shown), WithJsonSchema(_SHOWN)] = Field(
        default="treatment", description="Terms printed one by one: the treatment's, all, or those listed."
    )
    constant: Flag = Field(default=False, description="Whether the constant is printed.")
    compare: Comparison | None = Field(
        default=None, description="A test of equal effects between groups, below the table."
    )

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        models = self.models(study)
        tests: tuple[Model, ...] = ()
        if self.compare:
            options = {"by": self.compare.by, "permutations": self.compare.permutations}
            test = replace(self.base(study), method="group_difference", options=options)
            outcomes = dict.fromkeys(model.outcome for model in models)
            tests = tuple(replace(test, label=f"equal effects, {name}", outcome=name) for name in outcomes)
        return replace(common, models=models, tests=tests, show=self.terms(models, study), constant=self.constant)

    def terms(self, models: Sequence[Model], study: Study) -> tuple[str, ...]:
        """What the table prints one by one."""
        made = dict.fromkeys(name for model in models for name in (*model.treatments, *METHODS[model.method].terms))
        columns = tuple(dict.fromkeys((study.treatment, *made, *study.columns)))
        if self.show == "treatment":
            return tuple(made)
        if self.show == "all":
            return columns
        said = "{!r} is not {}{}"
        strange: dict[Location, str] = {
            ("show", at): said.format(name, VARIABLE, hint(name, columns))
            for at, name in enumerate(self.show)
            if name not in columns
        }
        if strange:
            raise faults(strange)
        return tuple(self.show)


def _unshown(result: ExhibitResult, terms: Sequence[str]) -> list[str]:
    """A sentence for each regressor that is not printed and was left out because nothing identifies it."""
    said = []
    for label in result.models:
        left = result.facts(label).not_identified
        said += [f"{label}: not identified: {why}" for term, why in left.items() if term not in terms]
    return said


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    return models_across(result, study, table, left=_unshown)


KIND = Kind(written=Written, layout=_layout, is_effect=True)

"""What makes an estimator a method of a study: how to call it, and its rows in the estimates. None stands here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import pandas as pd

from analysis.documents import Between, Word
from analysis.names import UNIT
from analysis.results import CannotEstimate, Estimate
from analysis.studies.records import Label, Model
from analysis.studies.written import Flag, StudyColumn, StudyColumns


@dataclass(frozen=True)
class Row:
    """One term of a model as it enters the estimates.

    ``reason`` says why numbers are missing; ``model`` names what the row belongs to where an estimator returns several
    things under one label, such as the comparisons of a decomposition; ``n`` replaces the model's own.
    """

    term: str
    estimate: float = np.nan
    se: float = np.nan
    p: float = np.nan
    reason: str | None = None
    model: str | None = None
    n: float | None = None


@dataclass(frozen=True)
class Facts:
    """What an exhibit may say of a result, whatever its estimator.

    Attributes
    ----------
    n, r2 : observations and fit, missing where the rows state their own or there is none.
    clusters : of the variance, or None.
    notes : what was done to the data, one sentence each.
    cautions : what speaks against the number, one sentence each.
    not_identified : term -> the sentence that says why it has no number.
    """

    n: float = np.nan
    r2: float = np.nan
    clusters: int | None = None
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    not_identified: Mapping[Any, str] = field(default_factory=dict)


class Noted(Protocol):
    """A result that says what was done to the data."""

    @property
    def notes(self) -> tuple[str, ...]: ...


class Counted(Noted, Protocol):
    """A result with a number of observations."""

    @property
    def n(self) -> int: ...


class Regressed(Noted, Protocol):
    """A result that rests on one regression."""

    @property
    def regression(self) -> Estimate: ...


def estimate_facts(result: Estimate) -> Facts:
    """Of a regression."""
    return Facts(result.n, result.r2, result.clusters, result.notes, not_identified=result.not_identified)


def regression_facts(result: Regressed) -> Facts:
    """Of a result that rests on a regression, with notes of its own."""
    own = result.regression
    return Facts(own.n, own.r2, own.clusters, result.notes, not_identified=own.not_identified)


def sample_facts(result: Counted) -> Facts:
    """Of a result that knows its observations."""
    return Facts(result.n, notes=result.notes)


def notes_facts(result: Noted) -> Facts:
    """Of a result whose rows state their own observations."""
    return Facts(notes=result.notes)


@dataclass(frozen=True)
class EstimatorLine:
    """A line of a table of estimators: the word by which studies choose it, its heading, with or without controls.

    A line that is not ``standard`` stands in a table only where the study names it.
    """

    word: str
    heading: Label
    controlled: bool = True
    standard: bool = True


#: What a method estimates where the effect differs: the two-way regression's weighted mean, the mean effect on treated
#: rows, or something else that the sample world knows no truth of.
Estimand = Literal["two-way", "treated", "other"]

#: The type of an option, as pydantic reads it.
Option = Any


@dataclass(frozen=True)
class Method:
    """An estimator that a study can name.

    Attributes
    ----------
    run : (panel, model) -> the estimator's own frozen result.
    rows : (that result, model) -> its terms, in order.
    facts : that result -> what an exhibit may say of it.
    options : name of an option in the YAML -> its type, which checks and reads it.
    needs : model -> columns it uses beside outcome, treatment, controls, effects and clusters.
    has_outcome : whether a model needs an outcome.
    terms : coefficients that the method names itself, such as the instrument's.
    statistics : terms that a table prints below the coefficients, by their headings.
    clustered : whether its p values rest on the clustered variance of many treated clusters.
    city_columns : columns of data/reference/cities.csv that it reads.
    estimand : what it estimates of the treatment's effect.
    is_regression : whether it ends in one regression of the outcome on the treatment.
    whole_sample : whether it uses every complete row, so that its number of rows follows from the sample.
    stays : whether it needs a treatment that is 0 before a first year and 1 from it on.
    repeats : the method whose estimate it repeats with another inference, or None.
    estimators : its lines in a table of estimators, and ``explained``, a sentence below it.
    """

    run: Callable[[pd.DataFrame, Model], Any]
    rows: Callable[[Any, Model], list[Row]]
    facts: Callable[[Any], Facts]
    options: Mapping[str, Option] = field(default_factory=dict)
    needs: Callable[[Model], tuple[str, ...]] = lambda model: ()
    has_outcome: bool = True
    terms: tuple[str, ...] = ()
    statistics: Mapping[str, str] = field(default_factory=dict)
    clustered: bool = True
    city_columns: tuple[str, ...] = ()
    estimand: Estimand = "other"
    is_regression: bool = False
    whole_sample: bool = False
    stays: bool = False
    repeats: str | None = None
    estimators: tuple[EstimatorLine, ...] = ()
    explained: str = ""


def one_cluster(model: Model) -> str:
    """The one way of clustering of a model, for estimators that take one that holds whole units.

    Raises
    ------
    CannotEstimate
        Several ways, or none.
    """
    ways = ["unit" if name in ("unit", UNIT) else name for name in model.cluster]
    if len(ways) != 1:
        raise CannotEstimate(f"{model.method!r} takes one way of clustering, and the model has {len(ways)}.")
    return ways[0]


def number(low: float, high: float) -> Option:
    """An option that is a number in a range."""
    return Annotated[float, Between(low, high)]


def integer(low: int, high: int) -> Option:
    """An option that is a whole number in a range."""
    return Annotated[int, Between(low, high)]


def word(*valid: str) -> Option:
    """An option that is one of a few words."""
    return Annotated[str, Word("a choice here", valid)]


def numbers(low: float, high: float) -> Option:
    """An option that is a list of numbers in a range."""
    return tuple[Annotated[float, Between(low, high)], ...]


#: An option that is true or false, one that is a column of the study, and one that is a list of them.
boolean: Option = Flag
column: Option = StudyColumn
several_columns: Option = StudyColumns


def estimate_rows(result: Estimate, model: Model | None = None) -> list[Row]:
    """Every term of a regression, and the constant that Stata reports where effects are absorbed."""
    rows = [
        Row(str(term), row["estimate"], row["se"], row["p"], result.not_identified.get(str(term)))
        for term, row in result.table.iterrows()
    ]
    if "const" not in result.table.index:
        rows.append(effect_row("const", result.constant, result.constant_se, result.degrees_of_freedom))
    return rows


def effect_row(term: str, estimate: float, se: float, degrees_of_freedom: float = np.inf) -> Row:
    """An average effect as a row, with the two-sided p of its t statistic."""
    from scipy import stats

    p = float(2 * stats.t.sf(abs(estimate / se), degrees_of_freedom)) if se > 0 else np.nan
    return Row(term, float(estimate), float(se), p)

"""The estimators a study may name, one entry each: how to call it, what it takes, and its rows in the estimates.

Adding a method is adding an entry to `METHODS`. The estimators themselves are imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.results import Estimate
from analysis.studies.reading import Mark

if TYPE_CHECKING:
    from analysis.did.event_study import EventStudy
    from analysis.studies.spec import Model

UNIT, TIME, ADOPTION = "city_code", "year", "adoption"


@dataclass(frozen=True)
class Row:
    """One term of a model as it enters the estimates; ``reason`` says why numbers are missing."""

    term: str
    estimate: float = np.nan
    se: float = np.nan
    p: float = np.nan
    reason: str | None = None


@dataclass(frozen=True)
class Method:
    """An estimator that a study can name.

    Attributes
    ----------
    run : (panel, model) -> the estimator's own frozen result.
    rows : that result -> its terms, in order.
    options : name of an option in the YAML -> what checks and reads it.
    """

    run: Callable[[pd.DataFrame, Model], Any]
    rows: Callable[[Any], list[Row]]
    options: Mapping[str, Callable[[Mark], Any]] = field(default_factory=dict)


def _two_way(panel: pd.DataFrame, model: Model) -> Estimate:
    from analysis.did import two_way

    return two_way(
        panel,
        model.outcome,
        model.treatment,
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
    )


def estimate_rows(result: Estimate) -> list[Row]:
    """Every term of a regression, and the constant that Stata reports where effects are absorbed (it has no SE)."""
    rows = [
        Row(str(term), row["estimate"], row["se"], row["p"], result.not_identified.get(str(term)))
        for term, row in result.table.iterrows()
    ]
    if "const" not in result.table.index:
        rows.append(Row("const", result.constant))
    return rows


def _event_study(panel: pd.DataFrame, model: Model) -> EventStudy:
    from analysis.did import event_study

    return event_study(
        panel,
        model.outcome,
        ADOPTION,
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
        **model.options,
    )


def _event_study_rows(result: EventStudy) -> list[Row]:
    """A row a period, and the joint test of the leads: its F statistic stands under ``estimate``."""
    rows = [
        Row(f"period {period}", row["estimate"], row["se"], row["p"], result.not_identified.get(int(str(period))))
        for period, row in result.table.iterrows()
    ]
    test = result.pretrend
    return [*rows, Row("pretrend F", test.f, np.nan, test.p, test.reason or None)]


METHODS: dict[str, Method] = {
    "two_way": Method(_two_way, estimate_rows),
    "event_study": Method(
        _event_study,
        _event_study_rows,
        {
            "base": lambda mark: mark.integer(-50, 50),
            "leads": lambda mark: mark.integer(0, 50),
            "lags": lambda mark: mark.integer(0, 50),
            "bin_ends": lambda mark: mark.boolean(),
        },
    ),
}

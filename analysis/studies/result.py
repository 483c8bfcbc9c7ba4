"""What a computed exhibit is: the estimators' own results and one tidy table of estimates. It is computed in `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.studies.methods import METHODS, Facts, Row
from analysis.studies.records import Exhibit, Label

COLUMNS = [
    *("study", "exhibit", "model", "term", "estimate", "se", "p", "n", "r2", "status", "reason", "is_sample"),
]
OK, NOT_COMPUTED, NOT_IDENTIFIED = "ok", "not computed", "not identified"


@dataclass(frozen=True)
class ExhibitResult:
    """One table or figure, computed.

    Attributes
    ----------
    study, exhibit, kind : names.
    title
        In English and Chinese.
    specification
        The exhibit as the study states it.
    models
        Label -> the estimator's result, a descriptive row (Series), or the sentence that says why there is none.
    estimates
        One row a model and term: ``study``, ``exhibit``, ``model``, ``term``, ``estimate``, ``se``, ``p``, ``n``,
        ``r2``, ``status`` ("ok", "not computed", "not identified"), ``reason``, ``is_sample``. A treatment that is
        "ok" can have a reason too: what to hold against the number.
    is_sample
        Whether the panel came from the sample world.
    """

    study: str
    exhibit: str
    kind: str
    title: Label
    specification: Exhibit
    models: Mapping[str, Any]
    estimates: pd.DataFrame
    is_sample: bool

    @property
    def computed(self) -> dict[str, Any]:
        """Label -> the result of each model that has one."""
        return {label: fitted for label, fitted in self.models.items() if not isinstance(fitted, str)}

    def facts(self, label: str) -> Facts:
        """What is known of a model's data, whatever its estimator; empty where it could not be computed."""
        methods = {model.label: model.method for model in (*self.specification.models, *self.specification.tests)}
        fitted = self.computed.get(label)
        return Facts() if fitted is None else METHODS[methods[label]].facts(fitted)

    @property
    def table(self) -> pd.DataFrame:
        """The estimates."""
        return self.estimates

    def summary(self) -> str:
        """The exhibit as text, for people."""
        shown = self.estimates[["model", "term", "estimate", "se", "p", "n", "r2", "status"]]
        lines = [f"{self.study}, {self.exhibit}: {self.title.en}", shown.to_string(index=False)]
        return "\n".join([*lines, *dict.fromkeys(self.estimates["reason"].dropna())])


def row_label(model: str, part: str | None, alone: bool) -> str:
    """The model that a row is published under: what an estimator returns several of keeps the label of its model,
    unless there is no other."""
    return model if part is None else part if alone else f"{model}, {part}"


def estimate_row(model: str, row: Row, n: float = np.nan, r2: float = np.nan, status: str | None = None) -> dict:
    """A term of a model as it enters the estimates; what has a reason and no status is not identified."""
    numbers = {"estimate": row.estimate, "se": row.se, "p": row.p, "n": n, "r2": r2}
    status = status or (NOT_IDENTIFIED if row.reason else OK)
    return {"model": model, "term": row.term, **numbers, "status": status, "reason": row.reason}

"""The engine: one exhibit of a study computed from its panel, as tidy estimates and the estimators' own results.

What cannot be computed is a row with a reason, never an exception: a run must end with every other number in place.
How an exhibit looks in print is decided in `analysis.reporting`; which estimators exist, in `methods`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.studies.methods import ADOPTION, METHODS, TIME, UNIT, Row
from analysis.studies.spec import Exhibit, Label, Model, Study, Subsample

COLUMNS = [
    *("study", "exhibit", "model", "term", "estimate", "se", "p", "n", "r2", "status", "reason", "is_sample"),
]
OK, NOT_COMPUTED, NOT_IDENTIFIED = "ok", "not computed", "not identified"
DESCRIPTIVE = ("obs", "mean", "sd", "min", "max")


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
        ``r2``, ``status`` ("ok", "not computed", "not identified"), ``reason``, ``is_sample``.
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
    def table(self) -> pd.DataFrame:
        """The estimates."""
        return self.estimates

    def summary(self) -> str:
        """The exhibit as text, for people."""
        shown = self.estimates[["model", "term", "estimate", "se", "p", "n", "r2", "status"]]
        lines = [f"{self.study}, {self.exhibit}: {self.title.en}", shown.to_string(index=False)]
        return "\n".join([*lines, *dict.fromkeys(self.estimates["reason"].dropna())])


def run_study(
    study: Study, panel: pd.DataFrame, *, is_sample: bool, cities: pd.DataFrame | None = None
) -> dict[str, ExhibitResult]:
    """Every exhibit of a study, by name, in the order of its YAML; see `run_exhibit`."""
    names = [exhibit.name for exhibit in study.exhibits]
    return {name: run_exhibit(study, name, panel, is_sample=is_sample, cities=cities) for name in names}


def run_exhibit(
    study: Study, name: str, panel: pd.DataFrame, *, is_sample: bool, cities: pd.DataFrame | None = None
) -> ExhibitResult:
    """Compute one exhibit.

    Parameters
    ----------
    study
        As `spec.load` returns it.
    name
        Of the exhibit.
    panel
        One row a city-year: ``city_code``, ``year``, ``adoption`` (first treated year, missing for never), the 0/1
        treatment and the study's variables. A variable may be absent or empty.
    is_sample
        Whether the panel comes from the sample world; carried into every row.
    cities
        data/reference/cities.csv, needed only where the exhibit selects or groups by its columns.

    Raises
    ------
    ValueError
        No such exhibit, or a panel without its keys.
    """
    exhibit = study.exhibit(name)
    absent = [column for column in (UNIT, TIME, ADOPTION, study.treatment) if column not in panel.columns]
    if absent:
        raise ValueError(f"The panel of {study.name!r} has no column {absent[0]!r}; every panel must carry it.")
    if exhibit.kind == "descriptive":
        models, rows = _describe(study, exhibit, panel)
    else:
        frame = _with_cities(panel, exhibit, cities)
        computed = {model.label: _compute(study, model, frame) for model in exhibit.models}
        models = {label: result for label, (result, _) in computed.items()}
        rows = [row for _, found in computed.values() for row in found]
    for row in rows:
        row |= {"study": study.name, "exhibit": exhibit.name, "is_sample": bool(is_sample)}
    estimates = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(["estimate", "se", "p", "n", "r2"], "float64"))
    return ExhibitResult(
        study.name, exhibit.name, exhibit.kind, exhibit.title, exhibit, models, estimates, bool(is_sample)
    )


def missing_columns(study: Study, panel: pd.DataFrame) -> dict[str, str]:
    """Variable -> one sentence, for each variable of the study that the panel lacks or holds without a value."""
    found = {variable.name: _missing(study, [variable.name], panel) for variable in study.variables}
    return {name: why for name, why in found.items() if why}


def _missing(study: Study, columns: list[str], panel: pd.DataFrame) -> str | None:
    """Why the columns needed cannot all be used, or None."""
    for column in dict.fromkeys(columns):
        if column in panel.columns and panel[column].notna().any():
            continue
        source = next((variable.source for variable in study.variables if variable.name == column), None)
        if source is None:
            return f"The panel has no value of {column!r}."
        return f"{column!r} is {source} of panels.city_year, and no raw source provides {source}."
    return None


def _describe(study: Study, exhibit: Exhibit, panel: pd.DataFrame) -> tuple[dict[str, Any], list[dict]]:
    """Observations, mean, standard deviation (n - 1), minimum and maximum of each variable."""
    models: dict[str, Any] = {}
    rows: list[dict] = []
    for name in exhibit.variables:
        why = _missing(study, [name], panel)
        if why:
            models[name] = why
            rows += [_row(name, Row(statistic, reason=why), status=NOT_COMPUTED) for statistic in DESCRIPTIVE]
            continue
        # Sorted, so that the sums behind mean and deviation do not depend on the order of the rows.
        values = np.sort(panel[name].dropna().to_numpy(dtype=float))
        deviation = values.std(ddof=1) if len(values) > 1 else np.nan
        numbers = (float(len(values)), values.mean(), deviation, values[0], values[-1])
        models[name] = pd.Series(numbers, index=list(DESCRIPTIVE), name=name)
        rows += [
            _row(name, Row(statistic, value), n=len(values))
            for statistic, value in zip(DESCRIPTIVE, numbers, strict=True)
        ]
    return models, rows


def _compute(study: Study, model: Model, panel: pd.DataFrame) -> tuple[Any, list[dict]]:
    """A model's result and rows, or the sentence that says why it has none and one row that carries it."""
    frame = _select(panel, model.sample)
    grouping = [name for name in (*model.fixed_effects, *model.cluster) if name not in ("unit", "time")]
    needed = [model.outcome, model.treatment, *model.controls, *grouping]
    why = _missing(study, needed, panel)
    if why is None and frame.empty:
        why = "The panel has no row in the sample this column asks for."
    if why is None:
        empty = [column for column in needed if frame[column].isna().all()]
        why = f"{empty[0]!r} has no value in the sample this column asks for." if empty else None
    if why is None:
        try:
            method = METHODS[model.method]
            result = method.run(frame, model)
            regression = getattr(result, "regression", result)
            n, r2 = getattr(result, "n", np.nan), getattr(regression, "r2", np.nan)
            return result, [_row(model.label, row, n, r2) for row in method.rows(result)]
        except ValueError as error:
            why = str(error)
    return why, [_row(model.label, Row(model.treatment, reason=why), status=NOT_COMPUTED)]


def _row(model: str, row: Row, n: float = np.nan, r2: float = np.nan, status: str | None = None) -> dict:
    numbers = {"estimate": row.estimate, "se": row.se, "p": row.p, "n": n, "r2": r2}
    status = status or (NOT_IDENTIFIED if row.reason else OK)
    return {"model": model, "term": row.term, **numbers, "status": status, "reason": row.reason}


def _select(panel: pd.DataFrame, sample: Subsample) -> pd.DataFrame:
    keep = pd.Series(True, index=panel.index)
    if sample.years:
        keep &= panel[TIME].between(*sample.years)
    if sample.exclude_cities:
        keep &= ~panel[UNIT].astype(str).isin(sample.exclude_cities)
    for column, values in sample.where.items():
        keep &= panel[column].isin(list(values)) if column in panel.columns else False
    return panel[keep.to_numpy()]


def _with_cities(panel: pd.DataFrame, exhibit: Exhibit, cities: pd.DataFrame | None) -> pd.DataFrame:
    """The panel with the columns of cities.csv that the exhibit's models use and the panel lacks."""
    used = [
        column
        for model in exhibit.models
        for column in (*model.sample.where, *model.fixed_effects, *model.cluster)
        if column not in panel.columns and column not in ("unit", "time")
    ]
    if not used or cities is None:
        return panel
    wanted = [column for column in dict.fromkeys(used) if column in cities.columns]
    attributes = cities.assign(**{UNIT: cities[UNIT].astype(str)}).set_index(UNIT)[wanted]
    joined = attributes.reindex(panel[UNIT].astype(str)).set_index(panel.index)
    return pd.concat([panel, joined], axis=1)

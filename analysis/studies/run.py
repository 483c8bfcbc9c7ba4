"""The engine: one exhibit of a study computed from its panel, as tidy estimates and the estimators' own results.

What the data do not allow (`CannotEstimate`) is a row with a reason: a run ends with every other number in place. Any
other error is a fault of code or specification and ends the exhibit with the place where it happened.
How an exhibit looks in print is decided in `analysis.reporting`; which estimators exist, in `methods`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.estimation_sample import columns_used, missing, model_frame
from analysis.studies.file_panel import keyed
from analysis.studies.kinds import KINDS, Given
from analysis.studies.methods import METHODS, Facts, Method, Row
from analysis.studies.records import Model, Study
from analysis.studies.result import COLUMNS, NOT_COMPUTED, OK, ExhibitResult, estimate_row, row_label


def run_study(
    study: Study,
    panel: pd.DataFrame,
    *,
    is_sample: bool,
    cities: pd.DataFrame | None = None,
    panels: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, ExhibitResult]:
    """Every exhibit of a study, by name, in the order of its YAML; see `run_exhibit`."""
    names = [exhibit.name for exhibit in study.exhibits]
    return {name: run_exhibit(study, name, panel, is_sample=is_sample, cities=cities, panels=panels) for name in names}


def run_exhibit(
    study: Study,
    name: str,
    panel: pd.DataFrame,
    *,
    is_sample: bool,
    cities: pd.DataFrame | None = None,
    panels: Mapping[str, pd.DataFrame] | None = None,
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
    panels
        The study's panels over other years, by name; a model that needs one that is not here is not computed. Also
        what an exhibit's kind reads beside them, such as ``city_year``.

    Raises
    ------
    ValueError
        No such exhibit, or a panel without its keys.
    RuntimeError
        A model that fails for another reason than its data; names study, exhibit and model.
    """
    exhibit = study.exhibit(name)
    panel = keyed(study, panel)
    others = {name: frame for name, frame in (panels or {}).items() if name in study.other_panels}
    for key, frame in {study.name: panel, **others}.items():
        absent = [column for column in (UNIT, TIME, ADOPTION, study.treatment) if column not in frame.columns]
        if absent:
            raise ValueError(f"The panel of {key!r} has no column {absent[0]!r}; every panel must carry it.")
    models: dict[str, Any] = {}
    rows: list[dict] = []
    if compute := KINDS[exhibit.kind].compute:
        models, rows = compute(study, exhibit, panel, Given(cities, panels or {}))
    for model in (*exhibit.models, *exhibit.tests) if not compute else ():
        own = panel if model.panel is None else others.get(model.panel)
        try:
            models[model.label], found = _compute(study, model, own, cities, alone=len(exhibit.models) == 1)
        except Exception as error:
            raise RuntimeError(
                f"Study {study.name!r}, exhibit {exhibit.name!r}, model {model.label!r} ({model.method}) failed, and "
                f"not because of what the data hold: {type(error).__name__}: {error}"
            ) from error
        rows += found
    for row in rows:
        row |= {"study": study.name, "exhibit": exhibit.name, "is_sample": bool(is_sample)}
    estimates = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(["estimate", "se", "p", "n", "r2"], "float64"))
    return ExhibitResult(
        study.name, exhibit.name, exhibit.kind, exhibit.title, exhibit, models, estimates, bool(is_sample)
    )


def missing_columns(study: Study, panel: pd.DataFrame) -> dict[str, str]:
    """Variable -> one sentence, for each variable of the study that the panel lacks or holds without a value."""
    found = {variable.name: missing(study, [variable.name], panel) for variable in study.variables}
    return {name: why for name, why in found.items() if why}


def _compute(
    study: Study, model: Model, panel: pd.DataFrame | None, cities: pd.DataFrame | None, *, alone: bool
) -> tuple[Any, list[dict]]:
    """A model's result and rows, or the sentence that says why it has none and one row that carries it."""
    if panel is None:
        first, last = study.other_panels[str(model.panel)]
        frame: pd.DataFrame | str = f"This needs the years {first}-{last}, and the publication has no {model.panel}."
    else:
        frame = model_frame(study, model, panel, cities)
    if not isinstance(frame, str):
        try:
            method = METHODS[model.method]
            result = method.run(frame, model)
            return result, _rows(study, result, model, method, frame, alone)
        except CannotEstimate as error:
            frame = str(error)
    return frame, [estimate_row(model.label, Row(model.treatments[0], reason=frame), status=NOT_COMPUTED)]


def _rows(study: Study, result: Any, model: Model, method: Method, frame: pd.DataFrame, alone: bool) -> list[dict]:
    """The rows of a result, those of the policy with what speaks against them."""
    facts = method.facts(result)
    cautions = [*facts.cautions, *(_few(study, facts, model, frame) if method.clustered else ())]
    rows = []
    for row in method.rows(result, model):
        line = estimate_row(
            row_label(model.label, row.model, alone), row, facts.n if row.n is None else row.n, facts.r2
        )
        if row.term in model.treatments and line["status"] == OK:
            line["reason"] = " ".join(cautions) or None
        rows.append(line)
    return rows


def _few(study: Study, facts: Facts, model: Model, frame: pd.DataFrame) -> list[str]:
    """A sentence when clusters, or treated ones, are too few for the variance that assumes many."""
    from analysis.did.regression import FEW_CLUSTERS, FEW_TREATED

    used = frame[frame[list(columns_used(model))].notna().all(axis=1)]
    treated = used.loc[used[model.treatment].eq(1), UNIT].nunique()
    clusters = facts.clusters or used[UNIT].nunique()
    if treated >= FEW_TREATED and clusters >= FEW_CLUSTERS:
        return []
    return [
        f"{treated} treated {study.units.en} among {clusters} clusters are too few to trust a clustered standard "
        "error; read the placebo test and the wild cluster bootstrap beside it."
    ]

"""The interaction-weighted estimator of Sun and Abraham (2021): one regression with a dummy for each cohort and time.

Estimators that compare two times at once, or impute, live next door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did._staggered import (
    NO_NEVER_TREATED,
    CohortPanel,
    StaggeredEffects,
    cell_table,
    cohort_panel,
    labelled_covariance,
    labelled_table,
    reasons_in_short,
)
from analysis.did.regression import design_matrix, fit
from analysis.estimation_sample import effect_columns
from analysis.results import CannotEstimate, Estimate


@dataclass(frozen=True)
class InteractionWeighted(StaggeredEffects):
    """`StaggeredEffects` of Sun and Abraham.

    Attributes
    ----------
    controls
        Coefficients of the control variables, indexed by term.
    regression
        The whole regression.
    """

    controls: pd.DataFrame
    regression: Estimate


def sun_abraham(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    cluster: str | Sequence[str] | None = "unit",
) -> InteractionWeighted:
    """Effects by cohort and time from one two-way regression, never-treated units as the reference.

    The regressors are dummies of cohort times relative period, -1 left out (Sun and Abraham 2021, section 4.1);
    averages weight cells by their rows and take the weights as given, as fixest's ``sunab`` does. The conventions of
    inference are those of `two_way`.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; may be unbalanced; never changed.
    adoption
        First treated time, one value a unit, missing for never treated. Cohorts with no time before adoption in the
        data are dropped: they have nothing to be measured against.
    controls
        Regressors beside the dummies.
    cluster
        "unit", "time" or any column, one or two; None for none.

    Returns
    -------
    InteractionWeighted
        ``.att`` averages all cells from period 0 on. A cohort not observed in period -1 is measured against its last
        time before adoption, and a note says so.

    Raises
    ------
    ValueError
        Bad columns or keys, no treated or no never-treated unit, no cohort observed before adoption.
    """
    keys = [name for name in effect_columns(cluster, unit=unit, time=time) if name not in (unit, time)]
    panel = cohort_panel(data, y, adoption, controls, unit=unit, time=time, keys=keys)
    if np.isfinite(panel.cohort).all():
        raise CannotEstimate(
            NO_NEVER_TREATED.format(
                adoption=adoption,
                estimator="sun_abraham",
                instead="use callaway_santanna(control='not_yet') or imputation, which also use units not yet treated",
            )
        )
    panel = _with_a_time_before(panel)
    base, notes = _base_periods(panel)
    names = _dummy_names(panel, base)
    dummies = pd.DataFrame(
        {name: ((panel.cohort == g) & (panel.time == t)).astype(float) for (g, t), name in names.items()}
    )
    frame = pd.concat([panel.data, dummies], axis=1)
    design = design_matrix(frame, y, [*names.values(), *controls], unit=unit, time=time, cluster=cluster)
    estimate = fit(design)
    rows = design.data[list(names.values())].sum().to_numpy()
    reasons = {key: design.not_identified[name] for key, name in names.items() if name in design.not_identified}
    units = int(design.data[unit].nunique())
    return _result(estimate, names, rows, reasons, controls, units, (*panel.notes, *notes, *design.notes))


def _with_a_time_before(panel: CohortPanel) -> CohortPanel:
    """Without cohorts never observed before their adoption."""
    first = pd.Series(panel.relative).groupby(panel.cohort).transform("min").to_numpy()
    always = first >= 0
    if not always.any():
        return panel
    note = f"{int(always.sum())} rows dropped: their cohort has no time before adoption in the data."
    if np.isfinite(panel.cohort[~always]).any():
        return panel.keep(~always, note)
    raise CannotEstimate("Every treated cohort is treated from its first time in the data on: there is nothing before.")


def _base_periods(panel: CohortPanel) -> tuple[dict[float, float], list[str]]:
    """Cohort -> the relative period it is measured against."""
    base, notes = {}, []
    for cohort in np.unique(panel.cohort[np.isfinite(panel.cohort)]):
        relative = panel.relative[panel.cohort == cohort]
        base[float(cohort)] = float(relative[relative < 0].max())
        if base[float(cohort)] != -1:
            notes.append(f"Cohort {cohort:g} has no row in period -1; it is measured against {base[float(cohort)]:g}.")
    return base, notes


def _dummy_names(panel: CohortPanel, base: dict[float, float]) -> dict[tuple[float, float], str]:
    """(cohort, time) of every observed cell but the base -> a column name that the data do not use."""
    taken, names = set(map(str, panel.data.columns)), {}
    treated = np.isfinite(panel.cohort)
    for cohort, time in np.unique(np.stack([panel.cohort[treated], panel.time[treated]], axis=1), axis=0):
        if time - cohort == base[float(cohort)]:
            continue
        name = f"cohort {cohort:g} at {time:g}"
        while name in taken:
            name += "_"
        names[(float(cohort), float(time))] = name
    return names


def _result(
    estimate: Estimate,
    names: dict[tuple[float, float], str],
    rows: np.ndarray,
    reasons: dict[tuple[float, float], str],
    controls: Sequence[str],
    units: int,
    notes: tuple[str, ...],
) -> InteractionWeighted:
    cohort, time = np.array(list(names)).T
    terms = list(names.values())
    effect = estimate.table.loc[terms, "estimate"].to_numpy()
    covariance = estimate.covariance.reindex(index=terms, columns=terms).to_numpy()
    known, relative = np.isfinite(effect), time - cohort
    periods = np.unique(relative[known])
    weight = np.stack([_row_weights(known & (relative == period), rows) for period in periods])
    overall = _row_weights(known & (relative >= 0), rows)
    if not overall.any():
        raise CannotEstimate("No treated cohort-time is identified: controls and fixed effects determine every dummy.")
    averages = np.vstack([weight, overall])[:, known]
    by_period = averages @ effect[known]
    spread = averages @ covariance[np.ix_(known, known)] @ averages.T
    freedom = estimate.degrees_of_freedom
    return InteractionWeighted(
        att=float(by_period[-1]),
        se=float(np.sqrt(spread[-1, -1])),
        table=cell_table(cohort, time, effect, covariance, freedom),
        event=labelled_table("period", periods, by_period[:-1], spread[:-1, :-1], freedom),
        covariance=labelled_covariance(periods, spread[:-1, :-1]),
        n=estimate.n,
        units=units,
        degrees_of_freedom=freedom,
        base=-1,
        not_identified=reasons,
        notes=(*notes, *reasons_in_short(reasons)),
        controls=estimate.table.loc[list(controls)],
        regression=estimate,
    )


def _row_weights(cells: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights (cells,) in proportion to rows, zero outside the mask."""
    weight = np.where(cells, rows, 0.0)
    return weight / max(weight.sum(), 1.0)

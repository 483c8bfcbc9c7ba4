"""The imputation estimator of Borusyak, Jaravel and Spiess (2024): untreated outcomes predicted, effects averaged.

Averages and their conservative variance are here; regressions with cohort dummies are in `sun_abraham`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.did._staggered import (
    CohortPanel,
    StaggeredEffects,
    cell_table,
    cohort_panel,
    few_clusters,
    labelled_covariance,
    labelled_table,
    unit_clusters,
)
from analysis.did.regression import ANALYTIC, FREQUENCY, design_matrix, fit, group_sums
from analysis.estimation_sample import codes_of
from analysis.results import COLUMNS, CannotEstimate

#: A treated row is imputed when what the untreated rows leave of its regressors is below this share of their length.
SPANNED = 1e-7


@dataclass(frozen=True)
class Imputed(StaggeredEffects):
    """`StaggeredEffects` by imputation.

    Attributes
    ----------
    effects
        One row a treated row that could be imputed: the unit and time under their own names, ``cohort``, ``period``,
        ``imputed`` (untreated outcome) and ``effect`` (y less imputed).
    """

    effects: pd.DataFrame


@dataclass(frozen=True)
class _Untreated:
    """The regression of untreated rows on unit, time and controls, solved by sweeping units out.

    Attributes
    ----------
    unit : codes of all rows (n,).
    x : time dummies and controls of all rows (n, k), less their means over the unit's untreated rows.
    rows : mask (n,) of untreated rows.
    inverse : generalised inverse of x'x over untreated rows (k, k).
    size : untreated rows of each unit (units,), or their weight.
    weight : of all rows (n,).
    """

    unit: np.ndarray
    x: np.ndarray
    rows: np.ndarray
    inverse: np.ndarray
    size: np.ndarray
    weight: np.ndarray


def imputation(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    leads: Sequence[int] | None = None,
    cluster: str = "unit",
    weights: str | None = None,
    weights_type: str = ANALYTIC,
) -> Imputed:
    """Impute untreated outcomes of treated rows from unit and time effects and controls, and average the differences.

    The fit uses untreated rows only: never treated, or before adoption (Borusyak, Jaravel and Spiess 2024, theorem 2).
    Standard errors are their conservative ones, clustered by unit: treated residuals are taken around the average
    effect of cohort and period (theorem 3; as in the R package didimputation, without leaving the unit out).

    Parameters
    ----------
    data
        Long panel, one row a unit and time; may be unbalanced; never changed.
    adoption
        First treated time, one value a unit, missing for never treated. Never-treated units are not required; treated
        rows that untreated rows cannot predict (a unit without an untreated row, a time without one) are left out, with
        a note.
    controls
        Time-varying regressors of the untreated outcome.
    leads
        Relative periods whose pre-trend coefficients are wanted. They come from a separate regression on untreated
        rows, with the conventions of `two_way`, and the periods not named are its reference. None: all but -1 (and all
        but the first too without never-treated units, where only departures from a line are identified). ``()``: none.
    cluster
        "unit", or a column that holds whole units, such as the city of firms.
    weights, weights_type
        Column of weights, of the regression on untreated rows and of the averages. "analytic": treated residuals are
        taken around averages by squared weight (theorem 3). "frequency": whole numbers of equal rows that share a unit;
        ``n`` counts them.

    Returns
    -------
    Imputed
        ``.event`` holds leads (regression) and periods from 0 on (imputation); they are measured against different
        things, so the two must not be read as one path (Roth 2024), and ``.covariance`` covers periods from 0 on.

    Raises
    ------
    ValueError
        Bad columns or keys, no treated unit, no treated row that can be imputed.
    """
    keys = [] if cluster in ("unit", unit) else [cluster]
    panel = cohort_panel(
        data, y, adoption, controls, unit=unit, time=time, keys=keys, weights=weights, weights_type=weights_type
    )
    panel = _imputable_rows(panel, unit, controls, weights)
    treated = panel.relative >= 0
    fitted = _untreated_fit(panel, unit, controls, weights)
    groups = unit_clusters(panel, cluster, unit)
    outcome = panel.data[y].to_numpy()
    residual = _residual(fitted, outcome)
    cells, cell = np.unique(np.stack([panel.cohort[treated], panel.time[treated]], axis=1), axis=0, return_inverse=True)
    cell = cell.ravel()
    periods, period = np.unique(panel.relative[treated], return_inverse=True)
    shares = np.zeros((int(treated.sum()), 1 + len(cells) + len(periods)))
    shares[:, 0] = 1
    shares[np.arange(len(cell)), 1 + cell] = 1
    shares[np.arange(len(cell)), 1 + len(cells) + period] = 1
    shares *= fitted.weight[treated][:, None]
    shares /= shares.sum(axis=0)
    estimate = shares.T @ residual[treated]
    around = fitted.weight[treated] ** (1 if weights_type == FREQUENCY else 2)
    by_cluster = group_sums(groups, _unit_influence(fitted, shares, residual, cell, around))
    covariance = by_cluster.T @ by_cluster
    inside, later = slice(1, 1 + len(cells)), slice(1 + len(cells), None)
    event = labelled_table("period", periods, estimate[later], covariance[later, later], np.inf)
    before, notes = _pretrends(panel, y, controls, unit, time, leads, cluster, weights, weights_type)
    return Imputed(
        att=float(estimate[0]),
        se=float(np.sqrt(covariance[0, 0])),
        table=cell_table(cells[:, 0], cells[:, 1], estimate[inside], covariance[inside, inside], np.inf),
        event=pd.concat([before, event]) if len(before) else event,
        covariance=labelled_covariance(periods, covariance[later, later]),
        n=int(fitted.weight.sum()) if weights_type == FREQUENCY else len(panel.data),
        units=int(fitted.unit.max()) + 1,
        degrees_of_freedom=np.inf,
        base=None,
        not_identified={},
        notes=(*panel.notes, *few_clusters(groups, cluster), *notes),
        effects=_effects_table(panel, unit, time, treated, outcome - residual, residual),
    )


def _design(panel: CohortPanel, unit: str, controls: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Unit codes (n,), and time dummies with scaled controls (n, k)."""
    _, when = np.unique(panel.time, return_inverse=True)
    x = panel.data[list(controls)].to_numpy(dtype=float)
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    return codes_of(panel.data[unit]), np.column_stack(
        [np.eye(int(when.max()) + 1)[when], (x - x.mean(axis=0)) / spread]
    )


def _untreated_fit(panel: CohortPanel, unit: str, controls: Sequence[str], weights: str | None) -> _Untreated:
    units, x = _design(panel, unit, controls)
    rows = panel.relative < 0
    weight = np.ones(len(units)) if weights is None else panel.data[weights].to_numpy()
    size = np.bincount(units, weights=rows * weight)
    means = group_sums(units, (rows * weight)[:, None] * x) / np.where(size > 0, size, 1)[:, None]
    x = x - means[units]
    kept = x[rows]
    inverse = np.linalg.pinv(kept.T @ (weight[rows][:, None] * kept), rcond=1e-11, hermitian=True)
    return _Untreated(units, x, rows, inverse, size, weight)


def _imputable_rows(panel: CohortPanel, unit: str, controls: Sequence[str], weights: str | None) -> CohortPanel:
    """Without treated rows whose untreated outcome the untreated rows do not determine."""
    while True:
        fitted = _untreated_fit(panel, unit, controls, weights)
        treated = ~fitted.rows
        kept = fitted.x[fitted.rows]
        span = fitted.inverse @ (kept.T @ (fitted.weight[fitted.rows][:, None] * kept))
        left = np.linalg.norm(fitted.x - fitted.x @ span, axis=1)
        loose = treated & ((fitted.size[fitted.unit] == 0) | (left > SPANNED * (1 + np.linalg.norm(fitted.x, axis=1))))
        if not loose.any():
            return panel
        if loose.sum() == treated.sum():
            raise CannotEstimate(
                "No treated row can be imputed: no untreated row shares its unit, or none its time. Add never-treated "
                "units or earlier times."
            )
        panel = panel.keep(
            ~loose,
            f"{int(loose.sum())} treated rows left out: untreated rows do not determine their unit, time or controls.",
        )


def _residual(fitted: _Untreated, outcome: np.ndarray) -> np.ndarray:
    """Outcome less imputed untreated outcome, all rows (n,)."""
    used = np.where(fitted.rows, fitted.weight, 0.0)
    level = np.bincount(fitted.unit, weights=used * outcome) / np.where(fitted.size > 0, fitted.size, 1)
    demeaned = outcome - level[fitted.unit]
    kept = fitted.x[fitted.rows]
    return demeaned - fitted.x @ (fitted.inverse @ (kept.T @ (used * demeaned)[fitted.rows]))


def _unit_influence(
    fitted: _Untreated, weights: np.ndarray, residual: np.ndarray, cell: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """Contribution of each unit to each average, shape (units, averages); its cross-product is the variance.

    ``weights`` (treated, averages) are w, ``v`` the weights of every outcome in the average, so that an untreated row
    has v = -a z (Z0'A Z0)^-1 Z1'w, with z the row's regressors, a its weight, A those of all untreated rows, Z0 and Z1
    the regressors of untreated and treated rows. Treated residuals are taken around the average of their cohort and
    time, weighted by ``around`` (treated,).
    """
    treated = ~fitted.rows
    units = len(fitted.size)
    of_treated = sparse.csr_array(
        (np.ones(int(treated.sum())), (fitted.unit[treated], np.arange(int(treated.sum())))),
        shape=(units, int(treated.sum())),
    )
    by_unit = (of_treated @ weights) / np.where(fitted.size > 0, fitted.size, 1)[:, None]
    slopes = fitted.inverse @ (fitted.x[treated].T @ weights)
    v = -(by_unit[fitted.unit[fitted.rows]] + fitted.x[fitted.rows] @ slopes) * fitted.weight[fitted.rows][:, None]
    influence = np.zeros((units, weights.shape[1]))
    np.add.at(influence, fitted.unit[fitted.rows], v * residual[fitted.rows][:, None])
    mean = np.bincount(cell, weights=around * residual[treated]) / np.bincount(cell, weights=around)
    deviation = residual[treated] - mean[cell]
    return influence + of_treated @ (weights * deviation[:, None])


def _pretrends(
    panel: CohortPanel,
    y: str,
    controls: Sequence[str],
    unit: str,
    time: str,
    leads: Sequence[int] | None,
    cluster: str,
    weights: str | None,
    weights_type: str,
) -> tuple[pd.DataFrame, list[str]]:
    """Coefficients of the leads in a regression on untreated rows."""
    rows = panel.relative < 0
    relative = panel.relative[rows]
    observed = np.unique(relative[np.isfinite(relative)])
    wanted = observed[observed != -1] if leads is None else np.unique(np.asarray(leads, dtype=float))
    notes: list[str] = []
    if leads is None and np.isfinite(panel.cohort).all():
        wanted = wanted[1:]
    unknown = np.setdiff1d(wanted, observed)
    if len(unknown):
        raise CannotEstimate(f"No untreated row of a treated unit lies in period {unknown[0]:g}; leads cannot name it.")
    if not len(wanted):
        return pd.DataFrame(columns=["period", *COLUMNS]), notes
    frame = panel.data[rows].reset_index(drop=True)
    names = {}
    for lead in wanted:
        name = f"lead {lead:g}"
        while name in frame.columns:
            name += "_"
        names[lead] = name
    frame = pd.concat([frame, pd.DataFrame({name: (relative == k).astype(float) for k, name in names.items()})], axis=1)
    design = design_matrix(
        frame,
        y,
        [*names.values(), *controls],
        unit=unit,
        time=time,
        cluster=cluster,
        weights=weights,
        weights_type=weights_type,
    )
    estimate = fit(design)
    # didimputation counts units with one untreated row, which the fit rightly drops, in the small-sample factor.
    parameters = len(design.terms) + design.absorbed
    clusters = frame[unit if cluster == "unit" else cluster].nunique()
    n = int(frame[weights].sum()) if weights is not None and weights_type == FREQUENCY else len(frame)
    factor = _small_sample(n, parameters, clusters) / _small_sample(estimate.n, parameters, int(estimate.clusters or 0))
    notes += [f"Lead {k:g}: {estimate.not_identified[n]}" for k, n in names.items() if n in estimate.not_identified]
    terms = list(names.values())
    covariance = estimate.covariance.reindex(index=terms, columns=terms).to_numpy() * factor
    effects = estimate.table.loc[terms, "estimate"].to_numpy()
    return labelled_table("period", wanted, effects, covariance, clusters - 1.0), notes


def _small_sample(rows: int, parameters: int, clusters: int) -> float:
    return (rows - 1) / (rows - parameters) * clusters / (clusters - 1)


def _effects_table(
    panel: CohortPanel, unit: str, time: str, treated: np.ndarray, imputed: np.ndarray, effect: np.ndarray
) -> pd.DataFrame:
    keys = panel.data.loc[treated, [unit, time]].reset_index(drop=True)
    columns = {
        "cohort": panel.cohort[treated],
        "period": panel.relative[treated],
        "imputed": imputed[treated],
        "effect": effect[treated],
    }
    return pd.concat([keys, pd.DataFrame(columns)], axis=1)

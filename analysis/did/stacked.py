"""Stacked difference-in-differences: a clean experiment for each cohort, stacked with the weights that make it right.

The experiments and their weights are made here; the regression is weighted least squares with clustered variance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.did._library import by_period, window
from analysis.did._staggered import StaggeredEffects, cohort_panel
from analysis.did.regression import cluster_covariance, least_squares
from analysis.estimation_sample import codes_of
from analysis.fixed_effects import identified
from analysis.results import CannotEstimate


def stacked(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    before: int | None = None,
    after: int | None = None,
    cluster: str = "unit",
) -> StaggeredEffects:
    """The trimmed average effect on the treated by Wing, Freedman and Hollingsworth (2024).

    Each cohort with the whole window of ``before`` and ``after`` periods around its adoption (by default the longest
    that all cohorts have) is one experiment, compared with units not treated until the window's end. There are no
    effects of units, so a unit counts in an experiment if it has a row in every period of the window. The stack is
    regressed on period dummies and their products with treatment, with the paper's corrective weights (its equation 9,
    the aggregate target), so that each effect weighs cohorts by their treated units. Controls enter linearly. Standard
    errors are clustered by the original unit, with Stata's factors G / (G - 1) (n - 1) / (n - k); p uses n - k.
    Period dummies leave shocks of calendar years in the residuals, though not in the estimate, so errors can be too
    large (by two fifths in `tests/coverage/designs.csv`).

    Returns
    -------
    StaggeredEffects
        ``.att`` is the mean of the periods from 0 on; ``.table`` and ``.event`` have one row a period, -1 the base.

    Raises
    ------
    CannotEstimate
        No cohort has the whole window, or none has clean controls.
    ValueError
        As the other staggered estimators.
    """
    panel = cohort_panel(data, y, adoption, controls, unit=unit, time=time, keys=[] if cluster == "unit" else [cluster])
    early, late = window(panel, before, after)
    frame, cohort, when = panel.data, panel.cohort, panel.time
    pieces, notes, trimmed, gaps = [], [], [], 0
    for first in np.unique(cohort[np.isfinite(cohort)]):
        inside = (when >= first - early) & (when <= first + late)
        clean = (cohort == first) | (cohort > first + late)
        piece = frame[inside & clean].assign(
            _cohort=first, _treated=(cohort[inside & clean] == first) * 1.0, _period=when[inside & clean] - first
        )
        seen = piece.groupby(unit)[unit].transform("size") == early + late + 1
        gaps += int(piece.loc[~seen, unit].nunique())
        piece = piece[seen]
        whole = piece["_period"].nunique() == early + late + 1
        if not whole or piece["_treated"].nunique() < 2:
            trimmed.append(first)
            continue
        pieces.append(piece)
    if not pieces:
        raise CannotEstimate(
            f"No cohort has {early} periods before and {late} after adoption with units untreated throughout: "
            "ask for a shorter window."
        )
    if gaps:
        notes.append(f"{gaps} times a unit was left out of an experiment: it lacks a row in the window.")
    if trimmed:
        named = ", ".join(f"{first:g}" for first in trimmed)
        notes.append(f"Left out for want of the whole window or of clean controls: adoption in {named}.")
    stack = pd.concat(pieces, ignore_index=True)
    weights = _corrective_weights(stack, unit)
    periods = np.array([p for p in range(-early, late + 1) if p != -1], dtype=float)
    treated, period = stack["_treated"].to_numpy(), stack["_period"].to_numpy()
    dummies = (period[:, None] == periods).astype(float)
    design = np.column_stack(
        [np.ones(len(stack)), treated, dummies, dummies * treated[:, None], stack[list(controls)].to_numpy(float)]
    )
    root = np.sqrt(weights)
    x, outcome = design * root[:, None], stack[y].to_numpy(float) * root
    known = identified(x, np.linalg.norm(x, axis=0))
    at = np.arange(2 + len(periods), 2 + 2 * len(periods))
    if not known[at].all():
        raise CannotEstimate("The stacked regression cannot tell the periods apart: too few rows in some of them.")
    place = np.cumsum(known) - 1
    beta, bread = least_squares(x[:, known], outcome)
    residual = outcome - x[:, known] @ beta
    groups = codes_of(stack[unit if cluster == "unit" else cluster])
    parameters = int(known.sum())
    if len(stack) <= parameters:
        raise CannotEstimate(f"The stack has {len(stack)} rows for {parameters} parameters: no error can be estimated.")
    variance = cluster_covariance(x[:, known], residual, bread, [groups], parameters)
    rows = place[at]
    effect, spread = beta[rows], variance[np.ix_(rows, rows)]
    post = periods >= 0
    share = post / post.sum()
    effects = {-1: {"effect": 0.0, "se": 0.0}} | {
        int(p): {"effect": effect[j], "se": float(np.sqrt(spread[j, j]))} for j, p in enumerate(periods)
    }
    order = np.argsort([*periods, -1.0])
    full = np.pad(spread, (0, 1))[np.ix_(order, order)]
    return by_period(
        effects,
        att=float(share @ effect),
        se=float(np.sqrt(share @ spread @ share)),
        panel=panel,
        unit=unit,
        base=-1,
        freedom=float(len(stack) - parameters),
        notes=notes,
        covariance=full,
    )


def _corrective_weights(stack: pd.DataFrame, unit: str) -> np.ndarray:
    """1 for treated rows; for clean controls the experiment's share of treated units over its share of controls."""
    counts = stack.groupby(["_cohort", "_treated"])[unit].nunique().unstack()
    treated, control = counts[1.0] / counts[1.0].sum(), counts[0.0] / counts[0.0].sum()
    ratio = (treated / control).reindex(stack["_cohort"]).to_numpy()
    return np.where(stack["_treated"] == 1, 1.0, ratio)

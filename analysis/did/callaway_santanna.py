"""Group-time average treatment effects of Callaway and Sant'Anna (2021), their averages, and their inference.

Each cell compares one cohort with its controls over two times; nothing is pooled. Regressions with cohort-time dummies
are in `sun_abraham`, imputation in `imputation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from analysis.did._staggered import (
    NO_NEVER_TREATED,
    CohortPanel,
    StaggeredEffects,
    cell_table,
    cohort_panel,
    few_clusters,
    labelled_covariance,
    labelled_table,
    one_a_unit,
    reasons_in_short,
    unit_clusters,
)
from analysis.did.regression import ANALYTIC, FREQUENCY, group_sums
from analysis.estimation_sample import codes_of
from analysis.fixed_effects import COLLINEAR
from analysis.results import CannotEstimate, inference_table

#: Above this propensity no control resembles the treated unit; the cell is refused, as the R package did refuses it.
HIGHEST_PROPENSITY = 0.999
#: Controls above this propensity get no weight, as in the R package DRDID.
TRIM_CONTROLS = 0.995


@dataclass(frozen=True)
class GroupTimeEffects(StaggeredEffects):
    """`StaggeredEffects` of Callaway and Sant'Anna, with every average of the paper's section 3.

    Attributes
    ----------
    overall
        Indexed by aggregation (``simple``, ``dynamic``, ``group``, ``calendar``): the four overall averages.
    group, calendar
        Averages by ``cohort`` and by calendar ``time``.
    influence
        Influence function of each cell of ``table``, units x cells, in the order of sorted units; its covariance
        over units squared is the covariance of the cells.
    critical_value
        Of the uniform 95% band over ``event`` (multiplier bootstrap), or None.
    """

    overall: pd.DataFrame
    group: pd.DataFrame
    calendar: pd.DataFrame
    influence: np.ndarray
    critical_value: float | None


@dataclass(frozen=True)
class _Wide:
    """A panel as arrays: y (units, times) and x (units, times, controls), missing where not observed; weights (units,),
    one on average.
    """

    y: np.ndarray
    x: np.ndarray
    cohort: np.ndarray
    times: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Cells:
    """Effects (cells,) with influence functions (units, cells); missing where not identified."""

    cohort: np.ndarray
    time: np.ndarray
    effect: np.ndarray
    influence: np.ndarray
    reasons: dict[tuple[float, float], str]


def callaway_santanna(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    control: str = "never",
    method: str = "dr",
    base_period: str = "varying",
    anticipation: int = 0,
    aggregation: str = "simple",
    draws: int = 0,
    seed: int = 0,
    cluster: str = "unit",
    weights: str | None = None,
    weights_type: str = ANALYTIC,
) -> GroupTimeEffects:
    """Effects of each cohort at each time against units not treated, and their averages (Callaway and Sant'Anna 2021).

    A cell (g, t) compares the change of y from the base time to t between cohort g and its controls. The base is the
    last time before g - ``anticipation``; for earlier t it is the time before t ("varying") or stays ("universal",
    whose base cell is zero by construction and has no row). Conventions are those of the R package did: standard errors
    are sqrt(sum of squared influence) / units without small-sample factors, so clustered by unit, and averages account
    for estimated cohort shares.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; never changed. Unbalanced panels: each cell uses the units observed at both
        of its times; cohort shares count every unit with a row. (did would drop such units, or treat the panel as
        repeated cross-sections.)
    adoption
        First treated time, one value a unit, missing for never treated. Units treated by the first time are dropped.
    controls
        Covariates of the conditional parallel trend, at their value in the cell's base time.
    control
        "never": never-treated units only. "not_yet": also units whose adoption is later than both times of the cell,
        plus ``anticipation``.
    method
        "reg" outcome regression, "ipw" weighting by the odds of a logit propensity, normalised, or "dr" doubly robust
        (Sant'Anna and Zhao 2020, equations 2.2 to 2.6). The same without covariates.
    anticipation
        Periods before adoption in which the effect may already show.
    aggregation
        Which average is ``.att``: "simple" (all treated cells by cohort share), "dynamic" (mean over periods >= 0),
        "group" or "calendar". All four are in ``.overall``.
    cluster
        "unit", or a column that holds whole units, such as the city of firms: a cluster's influence is the sum of its
        units', without small-sample factors.
    weights, weights_type
        Column with one weight a unit, as ``weightsname`` of did: cells, propensities, regressions and cohort shares are
        weighted. "frequency" weights are whole numbers of units that share one cluster; only ``n`` differs.
    draws, seed
        Multiplier bootstrap draws with Mammen weights by cluster; above 0 adds ``se_bootstrap``, ``low_uniform`` and
        ``high_uniform`` (95% simultaneous) to ``table`` and ``event``.

    Raises
    ------
    ValueError
        Bad columns, keys or options; no treated unit; ``control="never"`` without never-treated units; no cell with an
        effect.
    """
    _check_options(control, method, base_period, anticipation, aggregation)
    keys = [] if cluster in ("unit", unit) else [cluster]
    panel = cohort_panel(
        data, y, adoption, controls, unit=unit, time=time, keys=keys, weights=weights, weights_type=weights_type
    )
    if control == "never" and np.isfinite(panel.cohort).all():
        raise CannotEstimate(
            NO_NEVER_TREATED.format(
                adoption=adoption, estimator="control='never'", instead="use control='not_yet', or add such units"
            )
        )
    panel = _without_always_treated(panel, unit, anticipation)
    wide = _wide(panel, y, controls, unit, weights)
    groups = unit_clusters(panel, cluster, unit)
    covariance = partial(_clustered, groups=groups)
    cells = _group_time(wide, control, method, base_period, anticipation)
    if not np.isfinite(cells.effect[cells.time >= cells.cohort]).any():
        reasons = [why for (cohort, when), why in cells.reasons.items() if when >= cohort]
        raise CannotEstimate(f"No treated cohort-time has an effect; the first: {reasons[0]}")
    averages = {name: _average(name, cells, wide) for name in ("simple", "dynamic", "group", "calendar")}
    tables = {"table": cell_table(cells.cohort, cells.time, cells.effect, covariance(cells.influence), np.inf)}
    for name, label in (("dynamic", "period"), ("group", "cohort"), ("calendar", "time")):
        labels, effects, influence, _, _ = averages[name]
        tables[name] = labelled_table(label, labels, effects, covariance(influence), np.inf)
    critical = None
    if draws:
        tables["table"], _ = _with_bands(tables["table"], cells.influence, groups, draws, seed)
        tables["dynamic"], critical = _with_bands(tables["dynamic"], averages["dynamic"][2], groups, draws, seed)
    totals = np.array([averages[name][3] for name in averages])
    total_influence = np.stack([averages[name][4] for name in averages], axis=1)
    overall = inference_table(list(averages), totals, covariance(total_influence), np.inf)
    overall.index.name = "aggregation"
    return GroupTimeEffects(
        att=float(overall["estimate"][aggregation]),
        se=float(overall["se"][aggregation]),
        table=tables["table"],
        event=tables["dynamic"],
        covariance=labelled_covariance(averages["dynamic"][0], covariance(averages["dynamic"][2])),
        n=int(panel.data[weights].sum()) if weights_type == FREQUENCY and weights else len(panel.data),
        units=len(wide.y),
        degrees_of_freedom=np.inf,
        base=-1 - anticipation if base_period == "universal" else None,
        not_identified=cells.reasons,
        notes=(*panel.notes, *few_clusters(groups, cluster), *reasons_in_short(cells.reasons)),
        overall=overall,
        group=tables["group"],
        calendar=tables["calendar"],
        influence=cells.influence,
        critical_value=critical,
    )


def _check_options(control: str, method: str, base_period: str, anticipation: int, aggregation: str) -> None:
    choices = {
        "control": (control, ("never", "not_yet")),
        "method": (method, ("reg", "ipw", "dr")),
        "base_period": (base_period, ("varying", "universal")),
        "aggregation": (aggregation, ("simple", "dynamic", "group", "calendar")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f"{name} is {' or '.join(map(repr, allowed))}, not {value!r}.")
    if int(anticipation) != anticipation or anticipation < 0:
        raise ValueError(f"anticipation is a whole number of periods, 0 or more, not {anticipation!r}.")


def _without_always_treated(panel: CohortPanel, unit: str, anticipation: int) -> CohortPanel:
    always = panel.cohort - anticipation <= panel.time.min()
    if not always.any():
        return panel
    number = panel.data.loc[always, unit].nunique()
    note = f"{int(always.sum())} rows dropped: {number} units have no time before adoption in the data."
    if np.isfinite(panel.cohort[~always]).any():
        return panel.keep(~always, note)
    raise CannotEstimate(
        "Every treated unit is treated from the first time in the data on, so there is no change to see."
    )


def _wide(panel: CohortPanel, y: str, controls: Sequence[str], unit: str, weights: str | None) -> _Wide:
    rows = codes_of(panel.data[unit])
    times, columns = np.unique(panel.time, return_inverse=True)
    outcome = np.full((int(rows.max()) + 1, len(times)), np.nan)
    outcome[rows, columns] = panel.data[y].to_numpy()
    x = np.full((*outcome.shape, len(controls)), np.nan)
    x[rows, columns] = panel.data[list(controls)].to_numpy(dtype=float)
    cohort = np.empty(len(outcome))
    cohort[rows] = panel.cohort
    weight = np.ones(len(outcome)) if weights is None else one_a_unit(panel, weights, unit, "callaway_santanna")
    return _Wide(outcome, x, cohort, times, weight / weight.mean())


def _group_time(wide: _Wide, control: str, method: str, base_period: str, anticipation: int) -> _Cells:
    keys, effects, influences, reasons = [], [], [], {}
    units = len(wide.y)
    for cohort in np.unique(wide.cohort[np.isfinite(wide.cohort)]):
        base = int(np.flatnonzero(wide.times < cohort - anticipation)[-1])
        for now in range(len(wide.times)):
            if base_period == "varying" and now == 0:
                continue
            before = base if base_period == "universal" or wide.times[now] >= cohort - anticipation else now - 1
            if now == before:
                continue
            latest = wide.times[max(now, before)] + anticipation
            others = np.isinf(wide.cohort) if control == "never" else wide.cohort > latest
            treated, untreated = wide.cohort == cohort, others & (wide.cohort != cohort)
            change = wide.y[:, now] - wide.y[:, before]
            use = (treated | untreated) & np.isfinite(change)
            key = (float(cohort), float(wide.times[now]))
            keys.append(key)
            influence = np.zeros(units)
            try:
                effect, influence[use] = _cell(change[use], treated[use], wide.x[use, before], wide.weight[use], method)
                influence *= units / use.sum()
            except _NotIdentifiedError as reason:
                effect, reasons[key] = np.nan, str(reason)
                influence[:] = np.nan
            effects.append(effect)
            influences.append(influence)
    cohorts, times = np.array(keys).T
    return _Cells(cohorts, times, np.array(effects), np.stack(influences, axis=1), reasons)


class _NotIdentifiedError(Exception):
    """A cell that has no effect; the message says why."""


def _cell(
    change: np.ndarray, treated: np.ndarray, x: np.ndarray, weights: np.ndarray, method: str
) -> tuple[float, np.ndarray]:
    """Effect of one cell and its influence (n,), from changes (n,), a mask (n,), covariates (n, k), weights (n,)."""
    if not treated.any():
        raise _NotIdentifiedError("no unit of the cohort is observed at both times.")
    if treated.all():
        raise _NotIdentifiedError("no control is observed, untreated, at both times.")
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / spread])  # units of covariates cannot matter
    d = treated.astype(float)
    weight, score = (1 - d, None) if method == "reg" else _odds(design, d, weights)
    residual, regression = (change, None) if method == "ipw" else _controls_regression(design, change, d, weights)
    return _normalised_difference(residual, weights * d, weights * weight, design, score, regression)


def _odds(design: np.ndarray, d: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n,) of controls, propensity odds by logit, and the logit's asymptotic representation (n, k)."""
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
        hessian = design.T @ (design * (weights * p * (1 - p))[:, None])
        if np.linalg.cond(hessian) > 1e14:
            break
        step = np.linalg.solve(hessian, design.T @ (weights * (d - p)))
        beta += step
        if np.abs(step).max() < 1e-12 * (1 + np.abs(beta).max()):
            break
    p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
    hessian = design.T @ (design * (weights * p * (1 - p))[:, None])
    if p.max() >= HIGHEST_PROPENSITY or np.linalg.cond(hessian) > 1e14:
        raise _NotIdentifiedError("the covariates tell treated units from controls almost perfectly (no overlap).")
    p = np.minimum(p, 1 - 1e-6)
    weight = np.where(p < TRIM_CONTROLS, p * (1 - d) / (1 - p), 0.0)
    representation = ((weights * (d - p))[:, None] * design) @ np.linalg.inv(hessian) * len(d)
    return weight, representation


def _controls_regression(
    design: np.ndarray, change: np.ndarray, d: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Change less what controls' regression predicts (n,), and that regression's asymptotic representation (n, k)."""
    kept, given = design[d == 0], weights[d == 0][:, None]
    if np.linalg.matrix_rank(kept, tol=COLLINEAR * np.sqrt(len(kept))) < design.shape[1]:
        raise _NotIdentifiedError("the covariates are collinear, or more than the controls, among the controls.")
    inverse = np.linalg.inv(kept.T @ (given * kept))
    residual = change - design @ (inverse @ (kept.T @ (weights * change)[d == 0]))
    representation = (weights * (1 - d) * residual)[:, None] * design @ inverse * len(d)
    return residual, representation


def _normalised_difference(
    residual: np.ndarray,
    d: np.ndarray,
    weight: np.ndarray,
    design: np.ndarray,
    score: np.ndarray | None,
    regression: np.ndarray | None,
) -> tuple[float, np.ndarray]:
    """Mean of the treated (weights ``d``) less that of controls (``weight``), and its influence, nuisances included.

    Without a propensity (outcome regression) controls' residuals have mean zero and only the regression matters.
    """
    mean_treated = (d * residual).mean() / d.mean()
    influence = d * (residual - mean_treated) / d.mean()
    mean_control = 0.0
    if score is not None:
        mean_control = (weight * residual).mean() / weight.mean()
        own = weight * (residual - mean_control)
        influence = influence - (own + score @ (own[:, None] * design).mean(axis=0)) / weight.mean()
    if regression is not None:
        slope = (d[:, None] * design).mean(axis=0) / d.mean()
        if score is not None:
            slope = slope - (weight[:, None] * design).mean(axis=0) / weight.mean()
        influence = influence - regression @ slope
    return float(mean_treated - mean_control), influence


def _average(name: str, cells: _Cells, wide: _Wide) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
    """Labels, effects (labels,) and influence (units, labels) of an aggregation, then its overall effect and influence.

    Callaway and Sant'Anna (2021), table 1: within a label cells are weighted by cohort share; across labels equally for
    periods and times, by cohort share for cohorts.
    """
    known, after, units = np.isfinite(cells.effect), cells.time >= cells.cohort, len(wide.cohort)
    if name == "simple":
        effect, influence = _share_weighted(cells, known & after, wide)
        return np.array([]), np.array([]), np.empty((units, 0)), effect, influence
    label = {"dynamic": cells.time - cells.cohort, "group": cells.cohort, "calendar": cells.time}[name]
    rows = known if name == "dynamic" else known & after
    labels = np.unique(label[rows])
    if name == "group":
        pairs = [_mean(cells, rows & (label == value)) for value in labels]
    else:
        pairs = [_share_weighted(cells, rows & (label == value), wide) for value in labels]
    effects = np.array([effect for effect, _ in pairs])
    influence = np.stack([value for _, value in pairs], axis=1) if len(pairs) else np.empty((units, 0))
    averaged = labels >= 0 if name == "dynamic" else np.ones(len(labels), dtype=bool)
    if name == "group":
        by_cohort = _Cells(labels, labels, effects, influence, {})
        return labels, effects, influence, *_share_weighted(by_cohort, averaged, wide)
    if not averaged.any():
        return labels, effects, influence, np.nan, np.full(units, np.nan)
    return labels, effects, influence, float(effects[averaged].mean()), influence[:, averaged].mean(axis=1)


def _mean(cells: _Cells, rows: np.ndarray) -> tuple[float, np.ndarray]:
    return float(cells.effect[rows].mean()), cells.influence[:, rows].mean(axis=1)


def _share_weighted(cells: _Cells, rows: np.ndarray, wide: _Wide) -> tuple[float, np.ndarray]:
    """Mean of cells by cohort share, with the influence of estimating the shares."""
    if not rows.any():
        return np.nan, np.full(len(wide.cohort), np.nan)
    member = wide.weight[:, None] * (wide.cohort[:, None] == cells.cohort[rows])
    share = member.mean(axis=0)
    effect, total = cells.effect[rows], share.sum()
    of_shares = (member - share) / total - np.outer((member - share).sum(axis=1), share) / total**2
    weight = share / total
    return float(weight @ effect), cells.influence[:, rows] @ weight + of_shares @ effect


def _clustered(influence: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Covariance of averages from the influence of each unit (units, averages), clusters (units,) independent."""
    sums = group_sums(groups, influence)
    return sums.T @ sums / len(influence) ** 2


def _with_bands(
    table: pd.DataFrame, influence: np.ndarray, groups: np.ndarray, draws: int, seed: int
) -> tuple[pd.DataFrame, float]:
    """The table with bootstrap standard errors and a uniform 95% band (Callaway and Sant'Anna 2021, algorithm 1)."""
    generator = np.random.default_rng(seed)
    root = np.sqrt(5)
    low, high, probability = (1 - root) / 2, (1 + root) / 2, (1 + root) / (2 * root)
    sums = group_sums(groups, influence)
    multiplier = np.where(generator.random((draws, len(sums))) < probability, low, high)
    drawn = multiplier @ sums / len(influence)
    quarter, three_quarters = np.quantile(drawn, [0.25, 0.75], axis=0)
    se = (three_quarters - quarter) / 1.3489795003921634  # the same range of a standard normal
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.nanmax(np.where(se > 0, np.abs(drawn) / se, np.nan), axis=1)
    critical = float(np.quantile(largest, 0.95))
    return table.assign(
        se_bootstrap=se,
        low_uniform=table["estimate"] - critical * se,
        high_uniform=table["estimate"] + critical * se,
    ), critical

"""Group-time average treatment effects of Callaway and Sant'Anna (2021), their averages, and their inference.

Each cell compares one cohort with its controls over two times; nothing is pooled. Regressions with cohort-time dummies
are in `sun_abraham`, imputation in `imputation`.
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
from analysis.estimation_sample import codes_of
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
    """A panel as arrays: y (units, times) and x (units, times, controls), missing where not observed."""

    y: np.ndarray
    x: np.ndarray
    cohort: np.ndarray
    times: np.ndarray


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
    draws, seed
        Multiplier bootstrap draws with Mammen weights by unit; above 0 adds ``se_bootstrap``, ``low_uniform`` and
        ``high_uniform`` (95% simultaneous) to ``table`` and ``event``.

    Raises
    ------
    ValueError
        Bad columns, keys or options; no treated unit; ``control="never"`` without never-treated units; no cell with an
        effect.
    """
    _check_options(control, method, base_period, anticipation, aggregation)
    panel = cohort_panel(data, y, adoption, controls, unit=unit, time=time)
    if control == "never" and np.isfinite(panel.cohort).all():
        raise CannotEstimate(
            NO_NEVER_TREATED.format(
                adoption=adoption, estimator="control='never'", instead="use control='not_yet', or add such units"
            )
        )
    panel = _without_always_treated(panel, unit, anticipation)
    wide = _wide(panel, y, controls, unit)
    cells = _group_time(wide, control, method, base_period, anticipation)
    if not np.isfinite(cells.effect[cells.time >= cells.cohort]).any():
        reasons = [why for (cohort, when), why in cells.reasons.items() if when >= cohort]
        raise CannotEstimate(f"No treated cohort-time has an effect; the first: {reasons[0]}")
    averages = {name: _average(name, cells, wide.cohort) for name in ("simple", "dynamic", "group", "calendar")}
    tables = {"table": cell_table(cells.cohort, cells.time, cells.effect, _covariance(cells.influence), np.inf)}
    for name, label in (("dynamic", "period"), ("group", "cohort"), ("calendar", "time")):
        labels, effects, influence, _, _ = averages[name]
        tables[name] = labelled_table(label, labels, effects, _covariance(influence), np.inf)
    critical = None
    if draws:
        tables["table"], _ = _with_bands(tables["table"], cells.influence, draws, seed)
        tables["dynamic"], critical = _with_bands(tables["dynamic"], averages["dynamic"][2], draws, seed)
    totals = np.array([averages[name][3] for name in averages])
    total_influence = np.stack([averages[name][4] for name in averages], axis=1)
    overall = inference_table(list(averages), totals, _covariance(total_influence), np.inf)
    overall.index.name = "aggregation"
    return GroupTimeEffects(
        att=float(overall["estimate"][aggregation]),
        se=float(overall["se"][aggregation]),
        table=tables["table"],
        event=tables["dynamic"],
        covariance=labelled_covariance(averages["dynamic"][0], _covariance(averages["dynamic"][2])),
        n=len(panel.data),
        units=len(wide.y),
        degrees_of_freedom=np.inf,
        base=-1 - anticipation if base_period == "universal" else None,
        not_identified=cells.reasons,
        notes=(*panel.notes, *reasons_in_short(cells.reasons)),
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


def _wide(panel: CohortPanel, y: str, controls: Sequence[str], unit: str) -> _Wide:
    rows = codes_of(panel.data[unit])
    times, columns = np.unique(panel.time, return_inverse=True)
    outcome = np.full((int(rows.max()) + 1, len(times)), np.nan)
    outcome[rows, columns] = panel.data[y].to_numpy()
    x = np.full((*outcome.shape, len(controls)), np.nan)
    x[rows, columns] = panel.data[list(controls)].to_numpy(dtype=float)
    cohort = np.empty(len(outcome))
    cohort[rows] = panel.cohort
    return _Wide(outcome, x, cohort, times)


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
                effect, influence[use] = _cell(change[use], treated[use], wide.x[use, before], method)
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


def _cell(change: np.ndarray, treated: np.ndarray, x: np.ndarray, method: str) -> tuple[float, np.ndarray]:
    """Effect of one cell and its influence function (n,), from changes (n,), a mask (n,) and covariates (n, k)."""
    if not treated.any():
        raise _NotIdentifiedError("no unit of the cohort is observed at both times.")
    if treated.all():
        raise _NotIdentifiedError("no control is observed, untreated, at both times.")
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / spread])  # units of covariates cannot matter
    d = treated.astype(float)
    weight, score = (1 - d, None) if method == "reg" else _odds(design, d)
    residual, regression = (change, None) if method == "ipw" else _controls_regression(design, change, d)
    return _normalised_difference(residual, d, weight, design, score, regression)


def _odds(design: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n,) of controls, propensity odds by logit, and the logit's asymptotic representation (n, k)."""
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
        hessian = design.T @ (design * (p * (1 - p))[:, None])
        if np.linalg.cond(hessian) > 1e14:
            break
        step = np.linalg.solve(hessian, design.T @ (d - p))
        beta += step
        if np.abs(step).max() < 1e-12 * (1 + np.abs(beta).max()):
            break
    p = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
    hessian = design.T @ (design * (p * (1 - p))[:, None])
    if p.max() >= HIGHEST_PROPENSITY or np.linalg.cond(hessian) > 1e14:
        raise _NotIdentifiedError("the covariates tell treated units from controls almost perfectly (no overlap).")
    p = np.minimum(p, 1 - 1e-6)
    weight = np.where(p < TRIM_CONTROLS, p * (1 - d) / (1 - p), 0.0)
    representation = ((d - p)[:, None] * design) @ np.linalg.inv(hessian) * len(d)
    return weight, representation


def _controls_regression(design: np.ndarray, change: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Change less what controls' regression predicts (n,), and that regression's asymptotic representation (n, k)."""
    kept = design[d == 0]
    if np.linalg.matrix_rank(kept, tol=1e-9 * np.sqrt(len(kept))) < design.shape[1]:
        raise _NotIdentifiedError("the covariates are collinear, or more than the controls, among the controls.")
    inverse = np.linalg.inv(kept.T @ kept)
    residual = change - design @ (inverse @ (kept.T @ change[d == 0]))
    representation = ((1 - d) * residual)[:, None] * design @ inverse * len(d)
    return residual, representation


def _normalised_difference(
    residual: np.ndarray,
    d: np.ndarray,
    weight: np.ndarray,
    design: np.ndarray,
    score: np.ndarray | None,
    regression: np.ndarray | None,
) -> tuple[float, np.ndarray]:
    """Weighted mean of the treated less that of controls, with what estimating the nuisances adds to its influence.

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


def _average(
    name: str, cells: _Cells, cohort: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
    """Labels, effects (labels,) and influence (units, labels) of an aggregation, then its overall effect and influence.

    Callaway and Sant'Anna (2021), table 1: within a label cells are weighted by cohort share; across labels equally for
    periods and times, by cohort share for cohorts.
    """
    known, after = np.isfinite(cells.effect), cells.time >= cells.cohort
    if name == "simple":
        effect, influence = _share_weighted(cells, known & after, cohort)
        return np.array([]), np.array([]), np.empty((len(cohort), 0)), effect, influence
    label = {"dynamic": cells.time - cells.cohort, "group": cells.cohort, "calendar": cells.time}[name]
    rows = known if name == "dynamic" else known & after
    labels = np.unique(label[rows])
    if name == "group":
        pairs = [_mean(cells, rows & (label == value)) for value in labels]
    else:
        pairs = [_share_weighted(cells, rows & (label == value), cohort) for value in labels]
    effects = np.array([effect for effect, _ in pairs])
    influence = np.stack([value for _, value in pairs], axis=1) if len(pairs) else np.empty((len(cohort), 0))
    averaged = labels >= 0 if name == "dynamic" else np.ones(len(labels), dtype=bool)
    if name == "group":
        by_cohort = _Cells(labels, labels, effects, influence, {})
        return labels, effects, influence, *_share_weighted(by_cohort, averaged, cohort)
    if not averaged.any():
        return labels, effects, influence, np.nan, np.full(len(cohort), np.nan)
    return labels, effects, influence, float(effects[averaged].mean()), influence[:, averaged].mean(axis=1)


def _mean(cells: _Cells, rows: np.ndarray) -> tuple[float, np.ndarray]:
    return float(cells.effect[rows].mean()), cells.influence[:, rows].mean(axis=1)


def _share_weighted(cells: _Cells, rows: np.ndarray, cohort: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of cells by cohort share, with the influence of estimating the shares."""
    if not rows.any():
        return np.nan, np.full(len(cohort), np.nan)
    member = (cohort[:, None] == cells.cohort[rows]).astype(float)
    share = member.mean(axis=0)
    effect, total = cells.effect[rows], share.sum()
    of_shares = (member - share) / total - np.outer((member - share).sum(axis=1), share) / total**2
    weight = share / total
    return float(weight @ effect), cells.influence[:, rows] @ weight + of_shares @ effect


def _covariance(influence: np.ndarray) -> np.ndarray:
    return influence.T @ influence / len(influence) ** 2


def _with_bands(table: pd.DataFrame, influence: np.ndarray, draws: int, seed: int) -> tuple[pd.DataFrame, float]:
    """The table with bootstrap standard errors and a uniform 95% band (Callaway and Sant'Anna 2021, algorithm 1)."""
    generator = np.random.default_rng(seed)
    root = np.sqrt(5)
    low, high, probability = (1 - root) / 2, (1 + root) / 2, (1 + root) / (2 * root)
    multiplier = np.where(generator.random((draws, len(influence))) < probability, low, high)
    drawn = multiplier @ influence / len(influence)
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

"""Group-time average treatment effects of Callaway and Sant'Anna (2021), their averages, and their inference.

Each cell compares one cohort with its controls over two times (`_comparison`); nothing is pooled. Regressions with
cohort-time dummies are in `sun_abraham`, imputation in `imputation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from analysis.did._comparison import NotIdentifiedError, change_of_sections, change_of_units
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
from analysis.did.adoption import one_adoption
from analysis.did.regression import ANALYTIC, FREQUENCY, group_sums
from analysis.estimation_sample import codes_of
from analysis.results import CannotEstimate, inference_table


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

    def compare(
        self, now: int, before: int, cohort: np.ndarray, others: np.ndarray, method: str
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """Who is compared (units,), the effect, and the influence of those on it."""
        change = self.y[:, now] - self.y[:, before]
        use = (cohort | others) & np.isfinite(change)
        return use, *change_of_units(change[use], cohort[use], self.x[use, before], self.weight[use], method)


@dataclass(frozen=True)
class _Sections:
    """Repeated cross-sections: y (rows,), x (rows, controls), the place of each row's time in ``times``; and weights,
    one on average.
    """

    y: np.ndarray
    x: np.ndarray
    when: np.ndarray
    cohort: np.ndarray
    times: np.ndarray
    weight: np.ndarray

    def compare(
        self, now: int, before: int, cohort: np.ndarray, others: np.ndarray, method: str
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """As that of `_Wide`, where the rows are the units."""
        use = (cohort | others) & ((self.when == now) | (self.when == before))
        after = self.when[use] == now
        return use, *change_of_sections(self.y[use], after, cohort[use], self.x[use], self.weight[use], method)


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
    cluster: str | None = "unit",
    weights: str | None = None,
    weights_type: str = ANALYTIC,
    panel: bool = True,
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
        of its times, as Stata's csdid (did drops a unit with a gap, or takes the panel as repeated cross-sections);
        cohort shares count every unit with a row, as did (csdid and diff-diff count those of the cell).
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
        units', without small-sample factors. In repeated cross-sections also None: rows are independent, did's default.
    panel
        False: repeated cross-sections, in which each row is seen once, such as persons or transactions. ``unit`` is
        then where adoption is decided (a city), may have many rows a time, and clusters by default. A cell compares
        four groups of rows, with covariates at each row's own values; shares of cohorts are shares of rows.
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
    member = unit
    if not panel:
        one_adoption(data, adoption, unit=unit, time=time)
        member = "row"
        while member in data.columns:
            member += "_"
        data = data.assign(**{member: np.arange(len(data))})
    elif cluster is None:
        raise ValueError("cluster=None is for repeated cross-sections: rows of one unit are not independent.")
    keys = list(dict.fromkeys(([] if panel else [unit]) + ([] if cluster in (None, "unit", unit) else [str(cluster)])))
    sample = cohort_panel(
        data, y, adoption, controls, unit=member, time=time, keys=keys, weights=weights, weights_type=weights_type
    )
    if control == "never" and np.isfinite(sample.cohort).all():
        raise CannotEstimate(
            NO_NEVER_TREATED.format(
                adoption=adoption, estimator="control='never'", instead="use control='not_yet', or add such units"
            )
        )
    sample = _without_always_treated(sample, unit, anticipation)
    wide = _wide(sample, y, controls, unit, weights) if panel else _sections(sample, y, controls, weights)
    above = unit if cluster == "unit" else cluster or member
    if panel or above not in (unit, member):
        groups = unit_clusters(sample, above, member)
    else:
        groups = codes_of(sample.data[above])
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
        n=int(sample.data[weights].sum()) if weights_type == FREQUENCY and weights else len(sample.data),
        units=int(sample.data[unit].nunique()),
        degrees_of_freedom=np.inf,
        base=-1 - anticipation if base_period == "universal" else None,
        not_identified=cells.reasons,
        notes=(*sample.notes, *few_clusters(groups, str(above)), *reasons_in_short(cells.reasons)),
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


def _sections(panel: CohortPanel, y: str, controls: Sequence[str], weights: str | None) -> _Sections:
    times, when = np.unique(panel.time, return_inverse=True)
    weight = np.ones(len(when)) if weights is None else panel.data[weights].to_numpy()
    x = panel.data[list(controls)].to_numpy(dtype=float)
    return _Sections(panel.data[y].to_numpy(), x, when, panel.cohort, times, weight / weight.mean())


def _group_time(wide: _Wide | _Sections, control: str, method: str, base_period: str, anticipation: int) -> _Cells:
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
            key = (float(cohort), float(wide.times[now]))
            keys.append(key)
            influence = np.zeros(units)
            try:
                use, effect, moved = wide.compare(now, before, treated, untreated, method)
                influence[use] = moved * (units / use.sum())
            except NotIdentifiedError as reason:
                effect, reasons[key] = np.nan, str(reason)
                influence[:] = np.nan
            effects.append(effect)
            influences.append(influence)
    cohorts, times = np.array(keys).T
    return _Cells(cohorts, times, np.array(effects), np.stack(influences, axis=1), reasons)


def _average(
    name: str, cells: _Cells, wide: _Wide | _Sections
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
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


def _share_weighted(cells: _Cells, rows: np.ndarray, wide: _Wide | _Sections) -> tuple[float, np.ndarray]:
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

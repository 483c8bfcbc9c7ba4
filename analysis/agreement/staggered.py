"""Second engines for staggered adoption: diff-diff, and regressions of pyfixest, from rows and the model's words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.agreement.bounds import relative_interval
from analysis.agreement.opinion import NoOpinion, Opinion
from analysis.agreement.regressions import (
    PYFIXEST,
    Plain,
    event_regression,
    numbers_of,
    plain,
    pyfixest_fit,
)
from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.records import Model

DIFF_DIFF, SCIPY = "diff-diff", "scipy"
FIRST_STAGE_DRAWS = "The first stage's critical value rests on random draws, and these are others."
#: Conventions of diff-diff's Callaway-Sant'Anna with covariates.
DOUBLY_ROBUST = (
    "diff-diff's doubly robust cells with covariates part from R's did, which the published ones equal, in the fourth "
    "digit."
)
NO_OVERLAP = (
    "Covariates tell some treated cities from all others: R's did, and the published number, leave such cells out; "
    "diff-diff keeps them."
)


def cohorts(frame: pd.DataFrame, model: Model) -> tuple[pd.DataFrame, list[str]]:
    """Rows as diff-diff takes them, ``first`` 0 for never treated, and the names of the controls there."""
    rows = frame.dropna(subset=[model.outcome, *model.controls]).sort_values([UNIT, TIME]).reset_index(drop=True)
    first = rows[ADOPTION].astype(float)
    first = first.where(first <= rows[TIME].max(), 0).fillna(0)
    names = [f"x{place}" for place in range(len(model.controls))]
    table = pd.DataFrame(
        {
            "unit": pd.factorize(rows[UNIT].astype(str), sort=True)[0],
            "time": rows[TIME].astype(int),
            "first": first.astype(int),
            "y": rows[model.outcome].astype(float),
            **{name: rows[own].astype(float) for name, own in zip(names, model.controls, strict=True)},
        }
    )
    table["treated"] = ((table["first"] > 0) & (table["time"] >= table["first"])).astype(int)
    return table, names


def quietly(call: Callable[[], Any]) -> Any:
    """What a library returns; what it warns of is said of the published number already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def callaway_santanna(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """The mean of treated cells by cohort share, doubly robust where there are controls.

    Where units have gaps diff-diff, as Stata's csdid, weighs a cell by its treated units seen in both years, and R's
    did and the published number a cohort by all its units; a survey weight of one asks diff-diff for the latter.
    """
    from diff_diff import CallawaySantAnna, SurveyDesign

    rows, names = cohorts(frame, model)
    against = {"never": "never_treated", "not_yet": "not_yet_treated"}[model.options.get("control", "not_yet")]
    # the published one refuses propensities near one, as R's did, and trims those of controls only
    engine = CallawaySantAnna(control_group=against, estimation_method="dr", pscore_trim=1e-9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = engine.fit(
            rows.assign(one=1.0), "y", "unit", "time", "first", names or None, survey_design=SurveyDesign(weights="one")
        )
    apart: dict[str, Any] = {"convention": DOUBLY_ROBUST, "within": 5e-3} if names else {}
    if any("will be trimmed" in str(warning.message) for warning in caught):
        apart = {"convention": NO_OVERLAP, "within": 0.5}
    return [Opinion(model.treatment, DIFF_DIFF, float(fit.overall_att), _by_unit(fit, model), **apart)]


def _by_unit(fit: Any, model: Model) -> float:
    """The standard error, where the study clusters by city as this one does."""
    return float(fit.overall_se) if tuple(model.cluster) == ("unit",) else np.nan


def imputation(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """The mean difference from imputed outcomes, with the variance around averages by cohort and period.

    Cities never seen untreated have no imputed outcome and are left out of both; with them diff-diff's equations are
    singular, and it solves them by iteration, to six digits.
    """
    from diff_diff import ImputationDiD

    rows, names = cohorts(frame, model)
    rows = rows[rows.groupby("unit")["treated"].transform("min") == 0]
    fit = quietly(lambda: ImputationDiD().fit(rows, "y", "unit", "time", "first", names or None))
    return [Opinion(model.treatment, DIFF_DIFF, float(fit.overall_att), _by_unit(fit, model))]


def saturated(frame: pd.DataFrame, model: Model) -> tuple[Plain, pd.DataFrame]:
    """The regression on a dummy for each cohort and time but the last before adoption, and each dummy's cell."""
    rows = frame.dropna(subset=[model.outcome, *model.controls])
    first = rows[ADOPTION].astype(float).where(rows[ADOPTION].astype(float) <= rows[TIME].max())
    since = rows[TIME] - first
    seen = since.groupby(first).min()
    rows = rows[first.isna() | first.map(seen).lt(0)]
    first, since = first.loc[rows.index], since.loc[rows.index]
    dummies, cells = {}, []
    for cohort in sorted(first.dropna().unique()):
        own = since[first == cohort]
        base = own[own < 0].max()
        for period in sorted(own.unique()):
            if period != base:
                name = f"cohort {cohort:g} period {period:g}"
                dummies[name] = ((first == cohort) & (since == period)).astype(float)
                cells.append({"name": name, "period": period, "rows": float(dummies[name].sum())})
    wide = pd.concat([rows, pd.DataFrame(dummies)], axis=1)
    x = [*dummies, *model.controls]
    return plain(wide, model.outcome, x, ("unit", "time"), model.cluster), pd.DataFrame(cells)


def sun_abraham(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """The saturated regression, its cells averaged by their rows."""
    regression, cells = saturated(frame, model)
    beta, covariance = numbers_of(pyfixest_fit(regression), regression.terms)
    after = cells[cells["period"].ge(0) & cells["name"].isin(beta.index)]
    share = (after["rows"] / after["rows"].sum()).to_numpy()
    names = list(after["name"])
    block = covariance.loc[names, names].to_numpy()
    se = np.sqrt(share @ block @ share)
    return [Opinion(model.treatment, PYFIXEST, float(share @ beta[names].to_numpy()), float(se))]


def synthetic(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Each cohort against cities never treated by diff-diff, averaged by treated unit-times; jackknife of the average.

    What controls explain in a two-way regression of untreated rows is taken out first.
    """
    from diff_diff import SyntheticDiD

    rows, names = cohorts(frame, model)
    if names:
        untreated = rows[rows["treated"] == 0].rename(columns={"unit": UNIT, "time": TIME})
        regression = plain(untreated, "y", names, ("unit", "time"), ("unit",))
        beta, _ = numbers_of(pyfixest_fit(regression), regression.terms)
        x = rows[list(beta.index)].to_numpy()
        rows["y"] -= x @ beta.to_numpy()
    full = rows.groupby("unit")["time"].transform("size") == rows["time"].nunique()
    rows = rows[full].reset_index(drop=True)
    wide = rows.pivot(index="unit", columns="time", values="y")
    first = rows.groupby("unit")["first"].first()
    never = first.index[first == 0]
    parts = []
    for cohort in sorted(first[first > 0].unique()):
        treated = first.index[first == cohort]
        own = rows[rows["unit"].isin([*never, *treated])]
        own = own.assign(ever=own["unit"].isin(treated).astype(int))
        after = [int(time) for time in wide.columns if time >= cohort]
        if len(after) == len(wide.columns):
            raise NoOpinion("A cohort is treated from the first year on, and diff-diff needs years before.")
        call = partial(SyntheticDiD(variance_method="jackknife").fit, own, "y", "ever", "unit", "time")
        fit = quietly(partial(call, post_periods=after))
        omega = pd.Series(fit.unit_weights).reindex(never).fillna(0.0)
        lam = pd.Series(fit.time_weights).reindex([t for t in wide.columns if t < cohort]).fillna(0.0)
        change = wide[after].mean(axis=1) - wide[lam.index] @ lam
        parts.append((change, treated, omega, len(after), float(fit.att)))
    size = sum(len(treated) * times for _, treated, _, times, _ in parts)
    att = sum(len(treated) * times * effect for _, treated, _, times, effect in parts) / size
    return [Opinion(model.treatment, DIFF_DIFF, att, _jackknife(parts, list(wide.index)))]


def _jackknife(parts: list[tuple[pd.Series, Any, pd.Series, int, float]], units: list[int]) -> float:
    """Error of the average over cohorts when each unit is left out in turn, weights kept (algorithm 3)."""
    if any(len(treated) < 2 for _, treated, _, _, _ in parts):
        return np.nan
    total, size = np.zeros(len(units)), np.zeros(len(units))
    for change, treated, omega, times, _ in parts:
        among = pd.Index(units).isin(treated)
        own, held = change[units].to_numpy(), omega.reindex(units).fillna(0.0).to_numpy()
        count = among.sum() - among
        mean = ((own[among]).sum() - np.where(among, own, 0.0)) / count
        synthetic = (held @ np.nan_to_num(own) - held * np.nan_to_num(own)) / (held.sum() - held)
        total, size = total + count * times * (mean - synthetic), size + count * times
    found = total / size
    n = len(found)
    return float(np.sqrt((n - 1) ** 2 / n * np.var(found, ddof=1)))


# Decomposition and bounds ---------------------------------------------------------------------------------------------


def bacon(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Weights and estimates by kind of comparison: without controls by diff-diff."""
    complete = frame[[model.outcome, *model.controls]].notna().all(axis=1)
    years = complete.groupby(frame[UNIT]).transform("sum")
    rows = frame[years == frame[TIME].nunique()]
    if model.controls:
        return _bacon_with_controls(rows, model)
    from diff_diff import BaconDecomposition

    table, _ = cohorts(rows, model)
    fit = quietly(lambda: BaconDecomposition(weights="exact").fit(table, "y", "unit", "time", "first"))
    if (table["first"].gt(0) & table["first"].le(table["time"].min())).any():
        raise NoOpinion("Some cities are treated in every year, which diff-diff counts as never treated.")
    called = {
        "earlier_vs_later": "earlier treated against later",
        "later_vs_earlier": "later treated against earlier",
        "treated_vs_never": "treated against never treated",
    }
    sums: dict[str, list[float]] = {}
    for pair in fit.comparisons:
        name = called[pair.comparison_type]
        held = sums.setdefault(name, [0.0, 0.0])
        held[0] += pair.weight
        held[1] += pair.weight * pair.estimate
    found = [Opinion("estimate", DIFF_DIFF, float(fit.twfe_estimate), part="all comparisons")]
    found.append(Opinion("weight", DIFF_DIFF, sum(w for w, _ in sums.values()), part="all comparisons"))
    for name, (weight, product) in sums.items():
        found.append(Opinion("weight", DIFF_DIFF, weight, part=name))
        found.append(Opinion("estimate", DIFF_DIFF, product / weight, part=name))
    return found


def _bacon_with_controls(rows: pd.DataFrame, model: Model) -> list[Opinion]:
    """The same with controls (Goodman-Bacon 2021, section 5): pyfixest's residual of the treatment, cohort by cohort.

    Between two cohorts the regression of the gap of their mean outcomes on the gap of their mean residuals, weighted by
    the product of their sizes; within cohorts that on what is left of the residual.
    """
    table, names = cohorts(rows, model)
    if (table["first"].gt(0) & table["first"].le(table["time"].min())).any():
        raise NoOpinion("Some cities are treated in every year, which is not taken apart again.")
    wide = table.rename(columns={"unit": UNIT, "time": TIME})
    regression = plain(wide, "treated", names)
    left = pd.Series(pyfixest_fit(regression).resid(), index=regression.frame.index)
    held = regression.frame.assign(left=left)[["unit", "time", "left"]]
    held["unit"] = held["unit"].astype(int)
    table = table.merge(held, on=["unit", "time"], validate="one_to_one")
    residual, outcome = table["left"].to_numpy(dtype=float), table["y"].to_numpy(dtype=float)
    total = float(residual @ residual)
    means = table.groupby(["first", "time"])[["left", "y"]].mean()
    sizes = table.groupby("first")["unit"].nunique()
    inside = residual - means["left"].reindex(pd.MultiIndex.from_frame(table[["first", "time"]])).to_numpy()
    within = float(inside @ inside)
    sums: dict[str, list[float]] = {}
    for one, other in combinations(sizes.index, 2):
        gap = means.loc[one] - means.loc[other]
        weight = float(sizes[one] * sizes[other] / sizes.sum() * (gap["left"] @ gap["left"]))
        name = "treated against never treated" if 0 in (one, other) else "treated cohorts against each other"
        pair = sums.setdefault(name, [0.0, 0.0])
        pair[0] += weight
        pair[1] += float(sizes[one] * sizes[other] / sizes.sum() * (gap["left"] @ gap["y"]))
    sums["within cohorts"] = [within, float(inside @ outcome)]
    sums["all comparisons"] = [total, float(residual @ outcome)]
    found = []
    for name, (weight, product) in sums.items():
        found.append(Opinion("weight", PYFIXEST, weight / total, part=name))
        found.append(Opinion("estimate", PYFIXEST, product / weight, part=name))
    return found


def path_of(frame: pd.DataFrame, model: Model) -> tuple[pd.Series, pd.DataFrame]:
    """Effects by period but the base, and their covariance, by pyfixest."""
    if model.options.get("path", "event_study") == "sun_abraham":
        regression, cells = saturated(frame, model)
        beta, covariance = numbers_of(pyfixest_fit(regression), regression.terms)
        cells = cells[cells["name"].isin(beta.index)]
        periods = sorted(cells["period"].unique())
        share = np.zeros((len(periods), len(cells)))
        for row, period in enumerate(periods):
            own = cells["period"].eq(period).to_numpy()
            share[row, own] = cells["rows"][own] / cells["rows"][own].sum()
        names = list(cells["name"])
        times = [int(period) for period in periods]
        block = covariance.loc[names, names].to_numpy()
        spread = share @ block @ share.T
        return pd.Series(share @ beta[names].to_numpy(), times), pd.DataFrame(spread, times, times)
    options = {key: value for key, value in model.options.items() if key in ("leads", "lags", "bin_ends")}
    event = replace(model, options={"base": -1, **options})
    regression, dummies = event_regression(frame, event)
    beta, covariance = numbers_of(pyfixest_fit(regression), regression.terms)
    names = [name for name in dummies if name in beta.index]
    labels = [dummies[name] for name in names]
    chosen = covariance.loc[names, names].to_numpy()
    return pd.Series(beta[names].to_numpy(), labels), pd.DataFrame(chosen, labels, labels)


def honest(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """The mean effect and its error by pyfixest, the intervals of bounded bends by diff-diff."""
    from analysis.studies.methods.diagnostics import SMOOTHNESS

    beta, covariance = path_of(frame, model)
    after = [k for k in beta.index if k >= 0]
    mean = np.array([float(k <= model.options["lags"]) for k in after])
    mean /= mean.sum()
    effect = float(mean @ beta[after])
    block = covariance.loc[after, after].to_numpy()
    se = float(np.sqrt(mean @ block @ mean))
    found = [Opinion("average effect", PYFIXEST, effect, se)]
    before = [k for k in beta.index if k < -1]
    order = [*before, *after]
    sigma = covariance.loc[order, order].to_numpy()
    start, path = beta[before].to_numpy(), beta[after].to_numpy()
    apart: dict[str, Any] = {
        "convention": "diff-diff finds the least bias of an interval numerically, to about 1e-5 of a standard error.",
        "within": 1e-4,
        "scale": se,
    }
    holds = np.nan
    for step in model.options.get("smoothness", SMOOTHNESS):
        low, high = quietly(partial(_shortest, start, path, sigma, mean, step * se))
        found.append(Opinion(f"smoothness {step:g}, low", DIFF_DIFF, float(low), **apart))
        found.append(Opinion(f"smoothness {step:g}, high", DIFF_DIFF, float(high), **apart))
        holds = float(step) if low > 0 or high < 0 else holds
    found.append(Opinion("smoothness breakdown", DIFF_DIFF, holds))
    return [*found, *_relative(np.concatenate([start, path]), sigma, len(before), mean, model, se)]


def _shortest(
    start: np.ndarray, path: np.ndarray, sigma: np.ndarray, mean: np.ndarray, bend: float
) -> tuple[float, float]:
    """Ends of diff-diff's shortest interval of fixed length under bends of at most ``bend``.

    Its programme for the least bias at a given error and its critical value, searched over the error by scipy's Brent
    in some twenty steps; its own search tries 280 points of a grid.

    Parameters
    ----------
    start, path : effects by period before the base, and from adoption on.
    sigma : their covariance, in that order.
    mean : weights of ``path``.
    """
    from diff_diff import honest_did
    from scipy.optimize import minimize_scalar

    own = honest_did._flci_precompute(sigma, mean, len(start), len(path))
    least, most, _ = honest_did._flci_h_bounds(own)
    if bend == 0 or most - least < 1e-12 or least <= 0:
        low, high = honest_did._compute_optimal_flci(start, path, sigma, mean, len(start), len(path), bend)
        return float(low), float(high)

    def half(error: float) -> float:
        _, bias, holds = honest_did._flci_min_bias_given_h(own, error)
        return honest_did._cv_alpha(bend * bias / error, 0.05) * error if holds else np.inf

    found = minimize_scalar(half, bounds=(least, most), method="bounded", options={"xatol": 1e-6 * (most - least)})
    # at an end of the range the bounded search only comes near to it
    error = min((float(found.x), least, most), key=half)
    weights, _, _ = honest_did._flci_min_bias_given_h(own, error)
    centre = float(honest_did._w_to_v(weights, mean, len(start)) @ np.concatenate([start, path]))
    return centre - half(error), centre + half(error)


def _relative(
    path: np.ndarray, sigma: np.ndarray, before: int, mean: np.ndarray, model: Model, se: float
) -> list[Opinion]:
    """Intervals by how much larger steps after adoption may be than before; none where vertices are too many."""
    from analysis.studies.methods.diagnostics import RELATIVE

    apart: dict[str, Any] = {"convention": FIRST_STAGE_DRAWS, "within": 0.02, "scale": se}
    found, holds = [], np.nan
    for bound in model.options.get("relative", RELATIVE):
        try:
            low, high = relative_interval(path, sigma, before, mean, bound)
        except NoOpinion:
            return []
        found.append(Opinion(f"relative {bound:g}, low", SCIPY, low, **apart))
        found.append(Opinion(f"relative {bound:g}, high", SCIPY, high, **apart))
        holds = float(bound) if low > 0 or high < 0 else holds
    return [*found, Opinion("relative breakdown", SCIPY, holds)]

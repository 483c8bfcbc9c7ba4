"""Second engines for what describes or chooses rows: descriptive statistics, matching and balance, placebo draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, stats

from analysis.agreement.opinion import NoOpinion, Opinion
from analysis.agreement.regressions import two_way_by_pyfixest
from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.records import Model

SCIPY, SKLEARN = "scipy", "sklearn"


def descriptive(panel: pd.DataFrame, variables: Sequence[str]) -> list[tuple[str, Opinion]]:
    """Observations, mean, deviation and extremes of each variable that the panel has."""
    found = []
    for name in variables:
        values = panel[name].dropna().to_numpy(dtype=float) if name in panel.columns else np.empty(0)
        if not len(values):
            continue
        told = stats.describe(values, ddof=1)
        numbers = (told.nobs, told.mean, np.sqrt(told.variance), *told.minmax)
        for term, value in zip(("obs", "mean", "sd", "min", "max"), numbers, strict=True):
            found.append((name, Opinion(term, SCIPY, float(value))))
    return found


# Matching -------------------------------------------------------------------------------------------------------------


def _scores(treated: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Propensities (n,) by scikit-learn's logit without a penalty."""
    from sklearn.linear_model import LogisticRegression

    z = (x - x.mean(axis=0)) / x.std(axis=0)
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(z, treated)
    return fit.predict_proba(z)[:, 1]


def matched(frame: pd.DataFrame, model: Model) -> pd.DataFrame:
    """Rows sorted by city and year with ``ever`` (treated within the panel) and ``weight`` of the matching."""
    options: dict[str, Any] = {"matching": "nearest", "replace": True, "neighbours": 1} | dict(model.options)
    names = list(options.get("covariates", model.controls))
    rows = frame.sort_values([UNIT, TIME]).reset_index(drop=True)
    rows["ever"] = rows[ADOPTION].astype(float).le(rows[TIME].max())
    rows["weight"] = np.nan
    known = rows[names].notna().all(axis=1)
    groups = [part for _, part in rows[known].groupby(TIME)] if options.get("by_year") else [rows[known]]
    for part in groups:
        ever = part["ever"].to_numpy()
        if ever.all() or not ever.any():
            continue
        score = _scores(ever, part[names].to_numpy(dtype=float))
        rows.loc[part.index, "weight"] = _weights(score, ever, options)
    return rows


def _weights(score: np.ndarray, ever: np.ndarray, options: dict) -> np.ndarray:
    """Weight (n,): one for each treated row with a match, which shares one among its controls."""
    pool = np.flatnonzero(~ever)
    inside = ever & (score >= score[pool].min()) & (score <= score[pool].max())
    focal = np.flatnonzero(inside)
    weight = np.zeros(len(score))
    gap = np.abs(score[focal][:, None] - score[pool][None, :])
    caliper = options.get("caliper", np.inf)
    if options["matching"] == "nearest" and not options["replace"]:
        free = np.ones(len(pool), dtype=bool)
        # the highest score chooses first, as the published matching has it
        for row in np.argsort(-score[focal], kind="stable"):
            near = np.where(free, gap[row], np.inf)
            best = int(np.argmin(near))
            if near[best] <= caliper:
                free[best] = False
                weight[focal[row]] += 1
                weight[pool[best]] += 1
        return weight
    if options["matching"] == "nearest":
        count = int(options["neighbours"])
        if options.get("ties", "first") != "first":
            raise NoOpinion("Matching with all ties has no second engine here.")
        order = np.argsort(gap, axis=1, kind="stable")[:, :count]
        shares = np.zeros_like(gap)
        np.put_along_axis(shares, order, 1.0, axis=1)
        shares *= gap <= caliper
    elif options["matching"] == "radius":
        shares = (gap <= caliper).astype(float)
    else:
        shares = np.clip(1 - (gap / options.get("bandwidth", 0.06)) ** 2, 0, None)
    total = shares.sum(axis=1)
    served = total > 0
    weight[focal[served]] += 1
    weight[pool] += (shares[served] / total[served][:, None]).sum(axis=0)
    return weight


def matched_regression(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """pyfixest's regression on the rows that scikit-learn's propensities match."""
    rows = matched(frame, model)
    return two_way_by_pyfixest(rows[rows["weight"].gt(0)], replace(model, options={}))


def balance(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Standardised bias before and after matching, its mean, and how many rows were matched."""
    rows = matched(frame, model)
    names = list(model.options.get("covariates", model.controls))
    rows = rows[rows["weight"].notna()]
    ever = rows["ever"].to_numpy()
    found: list[Opinion] = []
    sizes: dict[str, list[float]] = {"unmatched": [], "matched": []}
    for name in names:
        values = rows[name].to_numpy(dtype=float)
        spread = np.sqrt((np.var(values[ever], ddof=1) + np.var(values[~ever], ddof=1)) / 2)
        for sample, weight in (("unmatched", np.ones(len(rows))), ("matched", rows["weight"].to_numpy())):
            means = [np.average(values[side], weights=weight[side]) for side in (ever, ~ever)]
            bias = 100 * (means[0] - means[1]) / spread
            sizes[sample].append(abs(bias))
            found.append(Opinion(f"{name}, {sample}", SKLEARN, float(bias)))
    found += [Opinion(f"mean bias, {sample}", SKLEARN, float(np.mean(held))) for sample, held in sizes.items()]
    kept = rows["weight"].gt(0).to_numpy()
    counts = {"treated rows": ever, "treated rows matched": ever & kept, "control rows used": kept & ~ever}
    return [*found, *(Opinion(term, SKLEARN, float(held.sum())) for term, held in counts.items())]


# Placebo --------------------------------------------------------------------------------------------------------------


def placebo(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Every draw again by one dense QR decomposition of all dummies and controls; draws are dealt by the same seed.

    Who adopts when in a draw is design and no computation, so it is taken from where it is dealt.
    """
    from analysis.did.placebo import _deal
    from analysis.estimation_sample import unit_order

    if tuple(model.fixed_effects) != ("unit", "time") or tuple(model.cluster) != ("unit",):
        raise NoOpinion("Placebo draws are computed again with city and year effects, clustered by city, only.")
    rows = frame.dropna(subset=[model.outcome, *model.controls]).sort_values([UNIT, TIME]).reset_index(drop=True)
    if rows.groupby(UNIT)[UNIT].transform("size").min() < 2:
        raise NoOpinion("Placebo draws are computed again where no city is seen in one year alone.")
    numbers = rows.assign(**{name: rows[name].astype(float) for name in (ADOPTION, model.outcome, *model.controls)})
    numbers[TIME] = numbers[TIME].astype(float)
    order = unit_order(numbers, UNIT, [TIME, ADOPTION, model.outcome, *model.controls])
    draws, seed = int(model.options.get("draws", 500)), int(model.options.get("seed", 0))
    dealt = _deal(numbers[ADOPTION].to_numpy(), order, draws, seed)
    treated = (numbers[TIME].to_numpy()[:, None] >= dealt[order]).astype(float)
    cities, years = pd.factorize(rows[UNIT])[0], pd.factorize(rows[TIME])[0]
    dummies = np.column_stack([np.eye(cities.max() + 1)[cities], np.eye(years.max() + 1)[years][:, 1:]])
    design = np.column_stack([dummies, numbers[list(model.controls)].to_numpy(dtype=float)])
    q = linalg.qr(design, mode="economic")[0]
    swept = treated - q @ (q.T @ treated)
    outcome = numbers[model.outcome].to_numpy()
    outcome = outcome - q @ (q.T @ outcome)
    length = (swept**2).sum(axis=0)
    beta = swept.T @ outcome / length
    scores = swept * (outcome[:, None] - swept * beta)
    starts = np.flatnonzero(np.diff(cities, prepend=-1))
    sums = np.add.reduceat(scores, starts, axis=0)
    groups, n = len(starts), len(rows)
    counted = 1 + len(model.controls) + years.max() + 1
    se = np.sqrt((sums**2).sum(axis=0) * groups / (groups - 1) * (n - 1) / (n - counted)) / length
    p = 2 * stats.t.sf(np.abs(beta / se), groups - 1)
    low, high = np.quantile(beta, [0.025, 0.975])
    own = [o for o in two_way_by_pyfixest(frame, model) if o.term == model.treatment]
    return [
        *own,
        Opinion("placebo", SCIPY, float(beta.mean()), float(beta.std(ddof=1))),
        Opinion("placebo 2.5%", SCIPY, float(low)),
        Opinion("placebo 97.5%", SCIPY, float(high)),
        Opinion("share significant at 5%", SCIPY, float((p < 0.05).mean())),
        Opinion("draws", SCIPY, float(draws)),
    ]

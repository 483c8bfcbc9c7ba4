"""Methods that ask whether a two-way estimate can be believed: leads, placebo, decomposition, balance, bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.methods.base import (
    Method,
    Row,
    boolean,
    effect_row,
    integer,
    notes_facts,
    numbers,
    regression_facts,
    sample_facts,
    word,
)
from analysis.studies.methods.regressions import MATCHING_OPTIONS, matched
from analysis.studies.records import Model

if TYPE_CHECKING:
    from analysis.did import Bacon, EventStudy, Placebo
    from analysis.did.honest import HonestIntervals
    from analysis.matching.result import Matching


def _event_study(panel: pd.DataFrame, model: Model) -> EventStudy:
    from analysis.did import event_study

    return event_study(
        panel,
        model.outcome,
        ADOPTION,
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
        **model.options,
    )


def _event_study_rows(result: EventStudy, model: Model) -> list[Row]:
    """A row a period, and the joint test of the leads: its F statistic stands under ``estimate``."""
    rows = [
        Row(f"period {period}", row["estimate"], row["se"], row["p"], result.not_identified.get(int(str(period))))
        for period, row in result.table.iterrows()
    ]
    test = result.pretrend
    return [*rows, Row("pretrend F", test.f, np.nan, test.p, test.reason or None)]


def _placebo(panel: pd.DataFrame, model: Model) -> Placebo:
    from analysis.did import placebo

    return placebo(
        panel,
        model.outcome,
        ADOPTION,
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
        **model.options,
    )


def _placebo_rows(result: Placebo, model: Model) -> list[Row]:
    """The true estimate, then the draws: their mean with their standard deviation and the permutation p, and spread."""
    actual, test = result.regression.table.iloc[0], result.table.iloc[0]
    n = float(result.regression.n)
    return [
        Row(model.treatment, actual["estimate"], actual["se"], actual["p"], n=n),
        Row("placebo", test["mean"], test["sd"], test["p_value"], n=n),
        Row("placebo 2.5%", test["low"], n=n),
        Row("placebo 97.5%", test["high"], n=n),
        Row("share significant at 5%", test["share_significant_5pct"], n=n),
        Row("draws", test["draws"], n=n),
    ]


@dataclass(frozen=True)
class Decomposition:
    """A Bacon decomposition, and what it is of.

    ``shares`` is indexed by comparison: ``weight`` in the two-way estimate, all of which sum to one, and ``estimate``.
    """

    bacon: Bacon
    shares: pd.DataFrame
    n: int
    notes: tuple[str, ...]


def _bacon(panel: pd.DataFrame, model: Model) -> Decomposition:
    """The decomposition over cities with every year complete: it is defined for balanced panels only."""
    from analysis.did import bacon

    complete = panel[[model.outcome, *model.controls]].notna().all(axis=1)
    years = complete.groupby(panel[UNIT]).sum()
    short = years.index[years < panel[TIME].nunique()]
    rows = panel[~panel[UNIT].isin(short)]
    if rows.empty:
        raise CannotEstimate("No city has every year complete, and the Bacon decomposition needs a balanced panel.")
    result = bacon(rows, model.outcome, ADOPTION, model.controls, unit=UNIT, time=TIME)
    left = [f"{len(short)} of {len(years)} cities left out: a year is missing, and the panel must be balanced."]
    return Decomposition(result, _shares(result), len(rows), (*(left if len(short) else []), *result.notes))


def _shares(result: Bacon) -> pd.DataFrame:
    from analysis.did.bacon import ALWAYS, BOTH, CONSTANT, EARLIER, LATER, UNTREATED

    called = {
        EARLIER: "earlier treated against later",
        LATER: "later treated against earlier",
        BOTH: "treated cohorts against each other",
        ALWAYS: "later treated against always treated",
        UNTREATED: "treated against never treated",
        CONSTANT: "always treated against never treated",
    }
    kinds = [kind for kind in called if kind in result.by_type.index]
    by_type = result.by_type.loc[kinds, ["weight", "estimate"]]
    shares = by_type.assign(weight=by_type["weight"] * (1 - result.omega)).rename(index=called)
    if result.omega:
        shares.loc["within cohorts"] = [result.omega, result.within]
    shares.loc["all comparisons"] = [1.0, result.overall]
    return shares


def _bacon_rows(result: Decomposition, model: Model) -> list[Row]:
    return [
        Row(term, row[term], model=str(comparison))
        for comparison, row in result.shares.iterrows()
        for term in ("weight", "estimate")
    ]


def _balance(panel: pd.DataFrame, model: Model) -> Matching:
    return matched(panel, model)[1]


def _balance_rows(result: Matching, model: Model) -> list[Row]:
    """The standardised bias of each covariate in percent, with the p of its t test, before and after matching."""
    seeks, kept = result.table["treated"].eq(1), result.weights.gt(0)
    rows = [
        Row(f"{covariate}, {sample}", bias, np.nan, p)
        for (covariate, sample), bias, p in zip(
            result.balance.index, result.balance["bias"], result.balance["p"], strict=True
        )
    ]
    counts = {
        "treated rows": int(seeks.sum()),
        "treated rows matched": int((seeks & kept).sum()),
        "control rows used": int((kept & ~seeks).sum()),
    }
    bias = result.quality["mean_bias"]
    means = [Row(f"mean bias, {sample}", bias[sample]) for sample in ("unmatched", "matched")]
    n = float(result.table["treated"].notna().sum())
    return [replace(row, n=n) for row in (*rows, *means, *(Row(term, float(k)) for term, k in counts.items()))]


@dataclass(frozen=True)
class Honest:
    """Honest intervals of the mean effect from adoption to the last lag asked for, under both restrictions.

    ``smoothness_steps`` are the bounds of the second in standard errors of the effect.
    """

    relative: HonestIntervals
    smoothness: HonestIntervals
    smoothness_steps: tuple[float, ...]
    n: int
    notes: tuple[str, ...]


def _honest(panel: pd.DataFrame, model: Model) -> Honest:
    from analysis.did import honest, sun_abraham

    options = dict(model.options)
    relative, steps = options.pop("relative", RELATIVE), options.pop("smoothness", SMOOTHNESS)
    path: Any
    if options.pop("path", "event_study") == "sun_abraham":
        path = sun_abraham(panel, model.outcome, ADOPTION, model.controls, unit=UNIT, time=TIME, cluster=model.cluster)
    else:
        path = _event_study(panel, replace(model, options=options))
    periods = [period for period in path.covariance.index if 0 <= period <= model.options["lags"]]
    weights = dict.fromkeys(periods, 1 / max(len(periods), 1))
    first = honest(path, bounds=relative, weights=weights)
    bounds = tuple(step * first.se for step in steps)
    second = honest(path, restriction="smoothness", bounds=bounds, weights=weights)
    said = f"The effect is the mean over periods {min(periods)} to {max(periods)}."
    return Honest(first, second, tuple(steps), path.n, (said, *dict.fromkeys((*path.notes, *first.notes))))


#: Bounds on how far trends may part: multiples of the largest step before adoption, and changes of slope in
#: standard errors of the effect.
RELATIVE = (0.5, 1.0, 1.5, 2.0)
SMOOTHNESS = (0.0, 0.25, 0.5, 1.0)


def _honest_rows(result: Honest, model: Model) -> list[Row]:
    """The average effect, then the ends of each interval, then the largest bound at which zero is left out."""
    rows = [effect_row("average effect", result.relative.estimate, result.relative.se)]
    for name, found, bounds in (
        ("relative", result.relative, result.relative.table["bound"]),
        ("smoothness", result.smoothness, result.smoothness_steps),
    ):
        for bound, low, high in zip(bounds, found.table["low"], found.table["high"], strict=True):
            rows += [Row(f"{name} {bound:g}, low", low), Row(f"{name} {bound:g}, high", high)]
        holds = found.breakdown
        known = not np.isnan(holds)
        step = dict(zip(found.table["bound"], bounds, strict=True)).get(holds, np.nan) if known else np.nan
        why = None if known else "No interval leaves out zero, not even at the smallest bound."
        rows.append(Row(f"{name} breakdown", float(step), reason=why))
    return rows


DIAGNOSTICS: dict[str, Method] = {
    "event_study": Method(
        _event_study,
        _event_study_rows,
        regression_facts,
        {
            "base": integer(-50, 50),
            "leads": integer(0, 50),
            "lags": integer(0, 50),
            "bin_ends": boolean,
        },
        stays=True,
    ),
    "placebo": Method(
        _placebo,
        _placebo_rows,
        regression_facts,
        {"draws": integer(1, 100_000), "seed": integer(0, 2**31), "kind": word("space", "time", "mixed")},
        clustered=False,
    ),
    "bacon": Method(_bacon, _bacon_rows, sample_facts, clustered=False, stays=True),
    "balance": Method(
        _balance,
        _balance_rows,
        notes_facts,
        MATCHING_OPTIONS,
        needs=lambda model: tuple(model.options.get("covariates", model.controls)),
        has_outcome=False,
        clustered=False,
    ),
    "honest": Method(
        _honest,
        _honest_rows,
        sample_facts,
        {
            "path": word("event_study", "sun_abraham"),
            "leads": integer(0, 50),
            "lags": integer(0, 50),
            "relative": numbers(0, 100),
            "smoothness": numbers(0, 100),
        },
        stays=True,
    ),
}

"""Methods that answer for staggered adoption or few treated cities: one average effect each, beside the two-way one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.methods.base import (
    EstimatorLine,
    Facts,
    Method,
    Row,
    effect_row,
    integer,
    one_cluster,
    regression_facts,
    sample_facts,
    word,
)
from analysis.studies.records import Label, Model

if TYPE_CHECKING:
    from analysis.did import WildBootstrap
    from analysis.did._staggered import StaggeredEffects
    from analysis.did.synthetic import Synthetic


def _callaway_santanna(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import callaway_santanna

    control = model.options.get("control", "not_yet")
    keys: dict[str, Any] = {"unit": UNIT, "time": TIME, "cluster": one_cluster(model)}
    return callaway_santanna(panel, model.outcome, ADOPTION, model.controls, **keys, control=control)


def _sun_abraham(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import sun_abraham

    return sun_abraham(panel, model.outcome, ADOPTION, model.controls, unit=UNIT, time=TIME, cluster=model.cluster)


def _imputation(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import imputation

    keys: dict[str, Any] = {"unit": UNIT, "time": TIME, "cluster": one_cluster(model)}
    return imputation(panel, model.outcome, ADOPTION, model.controls, **keys, leads=())


def _staggered_rows(result: StaggeredEffects, model: Model) -> list[Row]:
    return [effect_row(model.treatment, result.att, result.se, result.degrees_of_freedom)]


def _synthetic(panel: pd.DataFrame, model: Model) -> Synthetic:
    """With the jackknife's standard error where there is one, else with that of placebo draws.

    Placebo draws take the spread of untreated cities for that of the treated (Arkhangelsky et al. 2021, section 5),
    which pilot cities, larger and more unlike each other, do not bear out.
    """
    from scipy import stats

    from analysis.did import synthetic

    def run(draws: int) -> Synthetic:
        return synthetic(panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, draws=draws)

    wanted = model.options.get("draws", 200)
    quick = run(2)  # draws cost nearly all the time and may not be needed
    if quick.standard_errors["reason"]["jackknife"] or "draws" in model.options:
        return run(wanted)
    row = effect_row(model.treatment, quick.att, float(quick.standard_errors["se"]["jackknife"]))
    margin = float(stats.norm.ppf(0.975)) * row.se
    return replace(
        quick,
        se=row.se,
        p=row.p,
        low=quick.att - margin,
        high=quick.att + margin,
        standard_errors=quick.standard_errors.drop(index="placebo"),
        notes=(*(note for note in quick.notes if "placebo" not in note), "Standard error by jackknife."),
    )


def _wild_bootstrap(panel: pd.DataFrame, model: Model) -> WildBootstrap:
    from analysis.did import wild_bootstrap

    return wild_bootstrap(
        panel,
        model.outcome,
        model.treatment,
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster[0] if len(model.cluster) == 1 else list(model.cluster),  # type: ignore[arg-type]
        draws=model.options.get("draws", 999),
    )


def _wild_bootstrap_rows(result: WildBootstrap, model: Model) -> list[Row]:
    """The two-way estimate and clustered error with the bootstrap's p, and the ends of its 95% interval."""
    row = result.table.iloc[0]
    n = float(result.regression.n)
    return [
        Row(model.treatment, row["estimate"], row["se"], row["p"], n=n),
        Row("bootstrap low", row["low"], n=n),
        Row("bootstrap high", row["high"], n=n),
    ]


def _staggered_facts(result: StaggeredEffects) -> Facts:
    return Facts(result.n, notes=result.notes, not_identified=result.not_identified)


ROBUST: dict[str, Method] = {
    "wild_bootstrap": Method(
        _wild_bootstrap,
        _wild_bootstrap_rows,
        regression_facts,
        {"draws": integer(1, 1_000_000)},
        clustered=False,
        estimand="two-way",
        is_regression=True,
        whole_sample=True,
        repeats="two_way",
        estimators=(
            EstimatorLine("wild_bootstrap", Label("Two-way, wild cluster bootstrap", "双向固定效应（野聚类自助法）")),
        ),
        explained="The bootstrap's row repeats the clustered standard error; its p is that of the bootstrap.",
    ),
    "callaway_santanna": Method(
        _callaway_santanna,
        _staggered_rows,
        _staggered_facts,
        {"control": word("never", "not_yet")},
        estimand="treated",
        estimators=(
            EstimatorLine("callaway_santanna", Label("Callaway-Sant'Anna", "Callaway-Sant'Anna"), False),
            EstimatorLine(
                "callaway_santanna_controls",
                Label("Callaway-Sant'Anna, doubly robust", "Callaway-Sant'Anna（双重稳健）"),
            ),
        ),
        explained="Callaway-Sant'Anna: against cities not yet treated, averaged over treated cells by cohort share.",
        stays=True,
    ),
    "sun_abraham": Method(
        _sun_abraham,
        _staggered_rows,
        regression_facts,
        estimand="treated",
        estimators=(EstimatorLine("sun_abraham", Label("Sun-Abraham", "Sun-Abraham")),),
        stays=True,
    ),
    "imputation": Method(
        _imputation,
        _staggered_rows,
        _staggered_facts,
        estimand="treated",
        estimators=(EstimatorLine("imputation", Label("Imputation (Borusyak-Jaravel-Spiess)", "插补法")),),
        stays=True,
    ),
    "synthetic": Method(
        _synthetic,
        lambda result, model: [Row(model.treatment, result.att, result.se, result.p)],
        sample_facts,
        {"draws": integer(1, 100_000)},
        clustered=False,
        estimand="treated",
        estimators=(EstimatorLine("synthetic", Label("Synthetic difference-in-differences", "合成双重差分")),),
        stays=True,
    ),
}

"""Methods for outcomes that are counts, treatments that end, effects that go through a mediator, and other referees'
questions. A table names them; the default table of estimators does not hold them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import pandas as pd

from analysis.documents import Word
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.methods.base import (
    EstimatorLine,
    Facts,
    Method,
    Row,
    column,
    effect_row,
    estimate_facts,
    estimate_rows,
    integer,
    notes_facts,
    one_cluster,
    sample_facts,
    word,
)
from analysis.studies.records import Label, Model

if TYPE_CHECKING:
    from analysis.did import (
        DoseEffects,
        DoubleMachineLearning,
        LeaveOut,
        Mediation,
        Randomization,
        Sensitivity,
        TripleDifference,
    )
    from analysis.did._staggered import StaggeredEffects
    from analysis.results import Estimate
    from analysis.threshold import PanelThreshold


def _poisson(panel: pd.DataFrame, model: Model) -> Estimate:
    from analysis.did import poisson

    effects: dict[str, Any] = {"fixed_effects": model.fixed_effects, "cluster": model.cluster}
    return poisson(panel, model.outcome, list(model.treatments), model.controls, unit=UNIT, time=TIME, **effects)


def _extended(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import extended_two_way

    family = model.options.get("family", "linear")
    keys: dict[str, Any] = {"unit": UNIT, "time": TIME, "cluster": one_cluster(model)}
    return extended_two_way(panel, model.outcome, ADOPTION, model.controls, **keys, family=family)


def _stacked(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import stacked

    window: dict[str, Any] = {key: model.options.get(key) for key in ("before", "after")}
    window["cluster"] = one_cluster(model)
    return stacked(panel, model.outcome, ADOPTION, model.controls, unit=UNIT, time=TIME, **window)


def _local_projections(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import local_projections

    window: dict[str, Any] = {key: model.options.get(key) for key in ("before", "after")}
    window["cluster"] = one_cluster(model)
    return local_projections(panel, model.outcome, ADOPTION, model.controls, unit=UNIT, time=TIME, **window)


def _switching(panel: pd.DataFrame, model: Model) -> StaggeredEffects:
    from analysis.did import switching

    horizons = model.options.get("horizons")
    return switching(panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, horizons=horizons)


def _average_row(result: StaggeredEffects, model: Model) -> list[Row]:
    return [effect_row(model.treatment, result.att, result.se, result.degrees_of_freedom)]


def _average_facts(result: StaggeredEffects) -> Facts:
    return Facts(result.n, notes=result.notes, not_identified=result.not_identified)


def _learned(panel: pd.DataFrame, model: Model) -> DoubleMachineLearning:
    from analysis.did import double_machine_learning

    learner = model.options.get("learner", "lasso")
    return double_machine_learning(
        panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, learner=learner
    )


def _learned_rows(result: DoubleMachineLearning, model: Model) -> list[Row]:
    return [effect_row(model.treatment, result.att, result.se, result.units - 1)]


def _mediation(panel: pd.DataFrame, model: Model) -> Mediation:
    from analysis.did import mediation

    draws = model.options.get("draws", 999)
    mediator = model.options.get("mediator")
    if mediator is None:
        raise CannotEstimate("Mediation needs to know what the effect goes through: options: {mediator: a variable}.")
    controls = [control for control in model.controls if control != mediator]
    return mediation(panel, model.outcome, model.treatment, mediator, controls, unit=UNIT, time=TIME, draws=draws)


def _mediation_rows(result: Mediation, model: Model) -> list[Row]:
    """The total under the treatment's name, then its parts."""
    names = {"total": model.treatment, "direct": "direct", "indirect": "indirect", "share": "indirect / total"}
    parts = result.table[["estimate", "se", "p"]].astype(float)
    n = result.second.n
    return [
        Row(name, float(estimate), float(se), float(p), n=n)
        for name, (estimate, se, p) in zip(names.values(), parts.loc[list(names)].to_numpy(), strict=True)
    ]


def _sensitivity(panel: pd.DataFrame, model: Model) -> Sensitivity:
    from analysis.did import sensitivity

    effects: dict[str, Any] = {"fixed_effects": model.fixed_effects, "cluster": model.cluster}
    return sensitivity(panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, **effects)


def _sensitivity_rows(result: Sensitivity, model: Model) -> list[Row]:
    return [
        Row(model.treatment, result.estimate, result.se),
        Row("robustness value", result.robustness_value),
        Row("robustness value (5%)", result.robustness_value_significance),
        Row("Oster's delta", result.delta),
        Row("Oster's bound", result.bound),
    ]


_Group = Annotated[str, Word("'unit', 'time' or a variable of this study", ("unit", "time"), ("variables",))]


def _leave_out(panel: pd.DataFrame, model: Model) -> LeaveOut:
    from analysis.did import leave_out

    effects: dict[str, Any] = {"fixed_effects": model.fixed_effects, "cluster": model.cluster}
    by = model.options.get("by", "unit")
    return leave_out(panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, by=by, **effects)


def _leave_out_rows(result: LeaveOut, model: Model) -> list[Row]:
    """The whole regression, then the least and the greatest estimate without one group."""
    numbers = ["estimate", "se", "p", "n"]
    actual = cast("Estimate", result.actual)
    at = actual.table.index.get_loc(model.treatment)
    whole = actual.table.assign(n=actual.n)[numbers].to_numpy(float)[at]
    known = result.table.dropna(subset=["estimate"]).sort_values("estimate")[numbers].to_numpy(float)
    rows = {model.treatment: whole}
    if len(known):
        rows |= {"least without one": known[0], "greatest without one": known[-1]}
    return [Row(name, float(row[0]), float(row[1]), float(row[2]), n=float(row[3])) for name, row in rows.items()]


def _triple(panel: pd.DataFrame, model: Model) -> TripleDifference:
    from analysis.did import triple_difference

    eligible = model.options.get("eligible")
    if eligible is None:
        raise CannotEstimate(
            "A triple difference needs to know whom the policy is for: options: {eligible: a 0/1 variable}."
        )
    policy = "_policy"
    frame = panel.assign(**{policy: panel[ADOPTION].notna().astype(float)})
    controls = [control for control in model.controls if control != eligible]
    return triple_difference(
        frame, model.outcome, policy, eligible, model.treatment, controls, unit=UNIT, time=TIME, cluster=model.cluster
    )


def _triple_rows(result: TripleDifference, model: Model) -> list[Row]:
    return [effect_row(model.treatment, result.att, result.se, result.regression.degrees_of_freedom)]


def _dose(panel: pd.DataFrame, model: Model) -> DoseEffects:
    from analysis.did import dose

    degree = model.options.get("degree", 1)
    return dose(panel, model.outcome, model.treatment, model.controls, unit=UNIT, time=TIME, degree=degree)


def _dose_rows(result: DoseEffects, model: Model) -> list[Row]:
    """The average effect under the treatment's name, then what one more unit of the dose adds."""
    return [
        effect_row(model.treatment, result.att, result.se),
        effect_row("one more unit of the dose", result.slope, result.slope_se),
    ]


def _threshold(panel: pd.DataFrame, model: Model) -> PanelThreshold:
    from analysis.threshold import panel_threshold

    decides = model.options.get("threshold")
    if decides is None:
        raise CannotEstimate("A panel threshold needs what decides: options: {threshold: a variable}.")
    return panel_threshold(
        panel,
        model.outcome,
        model.treatment,
        decides,
        [control for control in model.controls if control != decides],
        unit=UNIT,
        time=TIME,
        thresholds=model.options.get("thresholds", 1),
        draws=model.options.get("draws", 300),
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
    )


def _threshold_rows(result: PanelThreshold, model: Model) -> list[Row]:
    """The effect in each regime, then the thresholds with the bootstrap's p of one more."""
    regression = result.regression
    rows = [
        effect_row(
            str(term).replace(model.treatment, "regime", 1)
            if str(term).startswith(f"{model.treatment} [")
            else str(term),
            float(line["estimate"]),
            float(line["se"]),
            regression.degrees_of_freedom,
        )
        for term, line in regression.table.iterrows()
    ]
    places = result.thresholds["threshold"].to_numpy(float)
    return rows + [
        Row(f"threshold {number}", float(place), p=float(p))
        for number, (place, p) in enumerate(zip(places, result.p_values, strict=True), start=1)
    ]


def _randomization(panel: pd.DataFrame, model: Model) -> Randomization:
    from analysis.did import randomization

    estimator, draws = model.options.get("estimator", "callaway_santanna"), model.options.get("draws", 199)
    options: dict[str, Any] = {"control": "not_yet"} if estimator == "callaway_santanna" else {}
    options["cluster"] = one_cluster(model)
    return randomization(
        panel,
        model.outcome,
        ADOPTION,
        model.controls,
        unit=UNIT,
        time=TIME,
        estimator=estimator,
        draws=draws,
        kind=model.options.get("kind", "space"),
        **options,
    )


def _randomization_rows(result: Randomization, model: Model) -> list[Row]:
    """The estimate and its own error, with the p of treatments dealt at random."""
    return [Row(model.treatment, result.actual.att, result.actual.se, result.p_value)]


def _line(word: str, english: str, chinese: str) -> EstimatorLine:
    return EstimatorLine(word, Label(english, chinese), standard=False)


_WINDOW = {"before": integer(1, 100), "after": integer(0, 100)}

DESIGNS: dict[str, Method] = {
    "poisson": Method(_poisson, estimate_rows, estimate_facts, is_regression=True),
    "extended_two_way": Method(
        _extended,
        _average_row,
        _average_facts,
        {"family": word("linear", "poisson")},
        estimand="treated",
        estimators=(_line("extended_two_way", "Extended two-way (Wooldridge)", "扩展双向固定效应"),),
        explained="Extended two-way: an effect for each cohort and year, averaged over treated rows.",
        stays=True,
    ),
    "stacked": Method(
        _stacked,
        _average_row,
        _average_facts,
        _WINDOW,
        estimators=(_line("stacked", "Stacked", "堆叠双重差分"),),
        explained="Stacked: the mean of the years that every cohort has after its start.",
        stays=True,
    ),
    "local_projections": Method(
        _local_projections,
        _average_row,
        _average_facts,
        _WINDOW,
        estimators=(_line("local_projections", "Local projections", "局部投影双重差分"),),
        explained="Local projections: the mean of the years that every cohort has after its start.",
        stays=True,
    ),
    "switching": Method(_switching, _average_row, _average_facts, {"horizons": integer(1, 100)}),
    "double_machine_learning": Method(
        _learned,
        _learned_rows,
        sample_facts,
        {"learner": word("lasso", "forest", "boosting", "linear")},
        estimators=(_line("double_machine_learning", "Double machine learning", "双重机器学习"),),
        explained="Double machine learning: from first differences, which see the first year of an effect alone.",
    ),
    "mediation": Method(
        _mediation,
        _mediation_rows,
        notes_facts,
        {"mediator": column, "draws": integer(99, 100_000)},
        needs=lambda model: tuple(filter(None, [model.options.get("mediator")])),
        terms=("direct", "indirect", "indirect / total"),
        clustered=False,
    ),
    "sensitivity": Method(
        _sensitivity,
        _sensitivity_rows,
        notes_facts,
        statistics={
            name: name for name in ("robustness value", "robustness value (5%)", "Oster's delta", "Oster's bound")
        },
    ),
    "triple_difference": Method(
        _triple,
        _triple_rows,
        lambda result: estimate_facts(result.regression),
        {"eligible": column},
        needs=lambda model: tuple(filter(None, [model.options.get("eligible")])),
        stays=True,
    ),
    "dose": Method(
        _dose,
        _dose_rows,
        sample_facts,
        {"degree": integer(1, 5)},
        terms=("one more unit of the dose",),
    ),
    "panel_threshold": Method(
        _threshold,
        _threshold_rows,
        lambda result: estimate_facts(result.regression),
        {"threshold": column, "thresholds": integer(1, 3), "draws": integer(1, 10_000)},
        needs=lambda model: tuple(filter(None, [model.options.get("threshold")])),
        terms=("regime [1]", "regime [2]", "regime [3]", "regime [4]"),
        statistics={f"threshold {number}": f"Threshold {number}" for number in (1, 2, 3)},
    ),
    "randomization": Method(
        _randomization,
        _randomization_rows,
        lambda result: Facts(result.n, notes=result.notes, not_identified=result.actual.not_identified),
        {
            "estimator": word(
                "callaway_santanna", "sun_abraham", "imputation", "extended_two_way", "stacked", "local_projections"
            ),
            "draws": integer(19, 100_000),
            "kind": word("space", "time", "mixed"),
        },
        clustered=False,
        stays=True,
    ),
    "leave_out": Method(
        _leave_out,
        _leave_out_rows,
        lambda result: estimate_facts(cast("Estimate", result.actual)),
        {"by": _Group},
        terms=("least without one", "greatest without one"),
    ),
}

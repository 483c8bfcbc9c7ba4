"""Rules that estimate: what the panel says of trends, controls, neighbours and many outcomes behind the headline."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from analysis.audit.finding import NOTE, WARNING
from analysis.audit.inputs import Inputs, NotAtHand, said, worded
from analysis.audit.rule import Found, Rule
from analysis.did.event_study import EventStudy, event_study
from analysis.did.multiple import romano_wolf
from analysis.did.pretest import pretest_power
from analysis.did.regression import Design, design_matrix, fit
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import Estimate
from analysis.studies.records import EfficiencySpecification, Model

SIZE = 0.05
#: Share of the effect that an unseen trend must be able to explain, at the power that planners of trials ask for.
UNSEEN, POWER = 0.5, 0.8
#: Share of the estimate, or of its standard error, by which leaving out a control must move it to matter.
MOVED, MOVED_ERRORS = 0.1, 0.5
#: Nearest cities whose treatment may spill over.
NEIGHBOURS = 5
#: Longest run of periods of the event study behind the pre-test.
LEADS, LAGS = 6, 5
DRAWS = 999
#: Cities whose scores are computed twice, and the change of a score that is rounding.
SCORED, TIE = 60, 1e-6


def pretrend(inputs: Inputs) -> Iterator[Found]:
    """Leads that are jointly not zero, by Holm over the outcomes."""
    studies = {model.outcome: study for model, study in _event_studies(inputs)}
    adjusted = _holm({outcome: float(study.pretrend.p) for outcome, study in studies.items()})
    for outcome, study in studies.items():
        if adjusted[outcome] < SIZE:
            yield Found(
                f"{outcome}: the test that leads {', '.join(map(str, study.pretrend.terms))} are all zero has "
                f"{_p(adjusted[outcome])} (F = {study.pretrend.f:.2f}; by Holm over {len(studies)} outcomes): treated "
                "cities were on another path before.",
                variable=outcome,
                from_data=True,
            )


def pretrend_power(inputs: Inputs) -> Iterator[Found]:
    """A pre-test that would miss a trend large enough to make half of an effect that is significant."""
    for model, study in _event_studies(inputs):
        known = study.table.loc[study.covariance.index, "estimate"].to_numpy(dtype=float)
        result = pretest_power(
            study.covariance.index.to_numpy(), known, study.covariance.to_numpy(), base=study.base, powers=(0.5, POWER)
        )
        half, likely = result.table.iloc[0], result.table.iloc[1]
        if likely["share"] > UNSEEN and abs(result.effect) > 1.96 * result.effect_se:
            yield Found(
                f"{model.outcome}: leads {result.periods[0]} to {result.periods[-1]} would show a trend of "
                f"{said(half['slope'])} a year in half of all samples and one of {said(likely['slope'])} in "
                f"{POWER:.0%}. Going on after adoption, these make {half['share']:.0%} and {likely['share']:.0%} of "
                f"the mean effect of {said(result.effect)}: insignificant leads do not rule them out.",
                variable=model.outcome,
                from_data=True,
            )


def _event_studies(inputs: Inputs) -> list[tuple[Model, EventStudy]]:
    """The event study of each baseline with base -1, in a window that the data have; none where nothing is treated."""
    if "event studies" not in inputs.memory:
        inputs.memory["event studies"] = list(_run_event_studies(inputs))
    return inputs.memory["event studies"]


def _run_event_studies(inputs: Inputs) -> Iterator[tuple[Model, EventStudy]]:
    rows = inputs.rows
    adopted = inputs.adoption.dropna()
    adopted = adopted[adopted.between(rows[TIME].min() + 1, rows[TIME].max())]
    if adopted.empty:
        return
    # ends that only few cohorts reach are binned into the last period that most treated cities have
    leads = int(min(LEADS, adopted.quantile(0.5) - rows[TIME].min()))
    lags = int(min(LAGS, rows[TIME].max() - adopted.quantile(0.5)))
    for model, frame in inputs.estimable if leads >= 2 else ():
        effects = model.fixed_effects
        window = {"unit": UNIT, "time": TIME, "leads": leads, "lags": max(lags, 0), "fixed_effects": effects}
        study = event_study(frame, model.outcome, ADOPTION, model.controls, **window)  # type: ignore[arg-type]
        periods = study.covariance.index
        if (periods < -1).any() and (periods >= 0).any():
            yield model, study


def bad_control(inputs: Inputs) -> Iterator[Found]:
    """A control that the policy moves, where leaving it out moves the effect (Angrist and Pischke 2009, 3.2.3)."""
    for model, frame in inputs.estimable:
        if not model.controls:
            continue
        design = _design(frame, model, model.controls)
        controls = [term for term in design.terms if term != model.treatment]
        effects = {control: _on_treatment(design, control, model.treatment) for control in controls}
        adjusted = _holm({control: p for control, (_, p) in effects.items()})
        own, own_error = _effect(fit(design), model)
        words, names = [], []
        for control, p in adjusted.items():
            without = _without(design, control, model.treatment)
            change = abs(without - own)
            if p < SIZE and (change > MOVED * abs(own) or change > MOVED_ERRORS * own_error):
                moved = said(effects[control][0])
                words.append(
                    f"{control} moves by {moved} with the policy ({_p(p)}), without it the effect is {said(without)}"
                )
                names.append(control)
        if words:
            yield Found(
                f"{model.outcome}: the effect is {said(own)}. {'; '.join(words)} (by Holm over {len(controls)} "
                "controls).",
                model=model.label,
                variable=", ".join(names),
                from_data=True,
            )


def spillover(inputs: Inputs) -> Iterator[Found]:
    """Untreated cities that change when their neighbours are treated (SUTVA), by Holm over the outcomes."""
    if inputs.cities is None or not {"longitude", "latitude"} <= set(inputs.cities.columns):
        raise NotAtHand("Cities have no coordinates, so nobody's neighbours are known.")
    rows = inputs.rows.assign(exposure_=_exposure(inputs))
    touched = rows[rows[inputs.study.treatment].eq(0) & rows["exposure_"].gt(0)]
    if touched.empty or inputs.treated_cities == 0:
        return
    fits: dict[str, tuple[Model, float, Estimate]] = {}
    for model, frame in inputs.estimable:
        exposed = frame.merge(rows[[UNIT, TIME, "exposure_"]], on=[UNIT, TIME], how="left", validate="one_to_one")
        design = _design(exposed, model, ("exposure_", *model.controls))
        if "exposure_" in design.terms:
            fits[model.outcome] = (model, _without(design, "exposure_", model.treatment), fit(design))
    adjusted = _holm({outcome: float(both.table["p"]["exposure_"]) for outcome, (_, _, both) in fits.items()})
    for outcome, (model, alone, both) in fits.items():
        if not adjusted[outcome] < SIZE:
            continue
        slope, error = (said(float(both.table[column]["exposure_"])) for column in ("estimate", "se"))
        yield Found(
            f"{outcome}: an untreated city all of whose {NEIGHBOURS} nearest cities are treated differs by {slope} "
            f"(standard error {error}, {_p(adjusted[outcome])} by Holm over {len(fits)} outcomes); "
            f"{touched[UNIT].nunique()} control cities have a treated one among them. With this exposure in the "
            f"regression the effect is {said(_effect(both, model)[0])} in place of {said(alone)}.",
            model=model.label,
            variable=outcome,
            from_data=True,
        )


def _exposure(inputs: Inputs) -> np.ndarray:
    """Share of each row's nearest cities that are treated in that year, zero for rows that are treated themselves."""
    from analysis.spatial.weights import great_circle

    assert inputs.cities is not None
    rows = inputs.rows
    codes = pd.Index(inputs.adoption.index)
    places = inputs.cities.assign(code=inputs.cities[UNIT].astype(str)).set_index("code").reindex(codes)
    if places[["longitude", "latitude"]].isna().any().any():
        raise NotAtHand("Some cities of the panel have no coordinates, so their neighbours are not known.")
    distance = great_circle(places[["longitude", "latitude"]].astype(float))
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    first = inputs.adoption.fillna(np.inf).to_numpy()[nearest]  # (cities, neighbours)
    place = codes.get_indexer(pd.Index(rows[UNIT]))
    share = (rows[TIME].to_numpy()[:, None] >= first[place]).mean(axis=1)
    return np.where(rows[inputs.study.treatment].to_numpy(dtype=float) == 1, 0.0, share)


def many_outcomes(inputs: Inputs) -> Iterator[Found]:
    """Outcomes that are significant alone, and not once all outcomes of the study are tested together."""
    controls = {model.outcome: model.controls for model, _ in inputs.estimable}
    if len(controls) < 2:
        return
    table = romano_wolf(inputs.rows, controls, inputs.study.treatment, unit=UNIT, time=TIME, draws=DRAWS).table
    lost = table[(table["p"] < SIZE) & (table["p_adjusted"] >= SIZE)]
    if len(lost):
        words = "; ".join(
            f"{y}: p = {row['p']:.3f} alone, {row['p_adjusted']:.3f} together" for y, row in lost.iterrows()
        )
        yield Found(
            f"The study tests {len(table)} outcomes ({', '.join(table.index)}). By Romano and Wolf's step-down over "
            f"them, {words}.",
            variable=", ".join(map(str, lost.index)),
            from_data=True,
        )


def many_printed_outcomes(inputs: Inputs) -> Iterator[Found]:
    """The same question of the printed effects, whose joint distribution is unknown: Holm's bound over outcomes."""
    first = {
        outcome: (item.exhibit, item.label, float(2 * stats.norm.sf(abs(item.estimate) / item.se)))
        for outcome, item in inputs.headlines.items()
        if item.se > 0
    }
    if len(first) < 2:
        return
    adjusted = _holm({outcome: held[2] for outcome, held in first.items()})
    lost = {y: held for y, held in first.items() if held[2] < SIZE <= adjusted[y]}
    if lost:
        words = "; ".join(
            f"{y} ({worded(held[0])} {held[1]}): p = {held[2]:.3f} alone, {adjusted[y]:.3f} by Holm"
            for y, held in lost.items()
        )
        yield Found(
            f"The paper tests {len(first)} outcomes ({', '.join(first)}); {words}.",
            next(iter(lost.values()))[0],
            variable=", ".join(lost),
        )


def _holm(p: dict[str, float]) -> dict[str, float]:
    """Holm's (1979) adjusted p values."""
    order = sorted((name for name in p if np.isfinite(p[name])), key=lambda name: p[name])
    adjusted, largest = dict.fromkeys(p, float("nan")), 0.0
    for place, name in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p[name]))
        adjusted[name] = largest
    return adjusted


def _design(frame: pd.DataFrame, model: Model, controls: tuple[str, ...]) -> Design:
    """The baseline's regression with the given controls, effects swept out, clustered by city."""
    return design_matrix(
        frame, model.outcome, [model.treatment, *controls], unit=UNIT, time=TIME, fixed_effects=model.fixed_effects
    )


def _on_treatment(design: Design, column: str, treatment: str) -> tuple[float, float]:
    """Slope of a regressor on the treatment alone, effects swept out, and its p by cluster."""
    d, c = (design.x[:, design.terms.index(term)] for term in (treatment, column))
    slope = float(d @ c / (d @ d))
    scores = np.bincount(design.clusters[0], d * (c - slope * d))
    groups = len(scores)
    se = float(np.sqrt((scores @ scores) * groups / (groups - 1)) / (d @ d))
    return slope, float(2 * stats.t.sf(abs(slope) / se, groups - 1)) if se > 0 else float("nan")


def _without(design: Design, column: str, treatment: str) -> float:
    """The treatment's coefficient on the same rows when a regressor is left out."""
    kept = [place for place, term in enumerate(design.terms) if term != column]
    slopes = np.linalg.lstsq(design.x[:, kept], design.y, rcond=None)[0]
    return float(slopes[kept.index(design.terms.index(treatment))])


def _effect(estimate: Estimate, model: Model) -> tuple[float, float]:
    """Estimate and standard error of the treatment."""
    return float(estimate.table["estimate"][model.treatment]), float(estimate.table["se"][model.treatment])


def _p(value: float) -> str:
    """A p value as a sentence quotes it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def mixed_units(inputs: Inputs) -> Iterator[Found]:
    """Bad outputs of an efficiency score in several multiples of one unit, and whether scores change with them."""
    for scored in inputs.study.efficiency:
        stated = {name: inputs.text.units[name] for name in scored.bad_outputs if name in inputs.text.units}
        sizes = {name: _multiple(unit) for name, unit in stated.items()}
        if len(set(sizes.values())) < 2:
            continue
        change, cities, year = _change_of_scores(inputs, scored, sizes)
        words = ", ".join(f"{name} in {unit}" for name, unit in stated.items())
        matters = "so for this model the mixture does not matter" if change < TIE else "so the mixture matters"
        yield Found(
            f"Bad outputs of {scored.name} are stated in different multiples: {words}. Scores of {cities} cities in "
            f"{year} change by at most {change:.0e} when each is put into its stated unit, {matters}.",
            variable=", ".join(stated),
            severity=None if change < TIE else WARNING,
            from_data=True,
        )


def _multiple(unit: str) -> float:
    """The number before a unit: 10,000 of "10,000 t", 1 of "t"."""
    number = re.match(r"[\d,]+", unit)
    return float(number[0].replace(",", "")) if number else 1.0


def _change_of_scores(
    inputs: Inputs, scored: EfficiencySpecification, sizes: dict[str, float]
) -> tuple[float, int, int]:
    """Largest change of a score when bad outputs are divided by their multiples, on some cities of the first year."""
    from analysis.efficiency import super_sbm

    if inputs.city_year is None or not set(scored.variables) <= set(inputs.city_year.columns):
        raise NotAtHand(f"The columns behind {scored.name} are not at hand.")
    years = inputs.city_year[TIME].isin(set(inputs.rows[TIME]))
    complete = inputs.city_year[years].dropna(subset=list(scored.variables)).sort_values([TIME, UNIT])
    if complete.empty:
        raise NotAtHand(f"No city has all that {scored.name} is scored from.")
    year = complete[TIME].iloc[0]
    some = complete[complete[TIME] == year].head(SCORED).reset_index(drop=True)
    rescaled = some.assign(**{name: some[name] / size for name, size in sizes.items()})
    roles = {"inputs": scored.inputs, "outputs": scored.outputs, "bad_outputs": scored.bad_outputs}
    choices = {"returns": scored.returns, "orientation": scored.orientation, "objective": scored.objective}
    before, after = (super_sbm(rows, **roles, **choices).table["score"] for rows in (some, rescaled))  # type: ignore[arg-type]
    return float((before - after).abs().max()), len(some), int(year)


RULES = (
    Rule(
        "pretrend",
        "Trends differ before the policy",
        "政策前趋势不平行",
        WARNING,
        "Do not read the baseline as an effect; bound it by how far trends may depart (Rambachan and Roth 2023).",
        "不宜将基准结果解读为政策效应；按Rambachan与Roth（2023）给出区间。",
        pretrend,
    ),
    Rule(
        "pretrend-power",
        "The test of pre-trends has little power",
        "平行趋势检验功效不足",
        WARNING,
        "Report the trend that the test could have seen and the bounds of Rambachan and Roth (2023).",
        "报告检验所能发现的趋势，并给出Rambachan与Roth（2023）的区间。",
        pretrend_power,
    ),
    Rule(
        "mixed-units",
        "Bad outputs in mixed units",
        "非期望产出单位不一",
        NOTE,
        "State one unit; with a model that depends on units, scores would have to be computed again.",
        "统一单位；若所用模型依赖单位，则须重新计算得分。",
        mixed_units,
    ),
    Rule(
        "bad-control",
        "Control that the policy itself moves",
        "控制变量受政策影响",
        WARNING,
        "Use the control's value before adoption, times year effects, or leave it out and show both.",
        "改用政策前的取值乘以年份效应，或剔除该变量并同时列出两种结果。",
        bad_control,
    ),
    Rule(
        "spillover",
        "Controls react to treated neighbours",
        "对照组受邻近处理城市影响",
        WARNING,
        "Leave out controls near treated cities, or estimate direct and indirect effects together.",
        "剔除邻近处理城市的对照，或同时估计直接与间接效应。",
        spillover,
    ),
    Rule(
        "many-outcomes",
        "Significant alone, not together",
        "多重检验后不再显著（面板）",
        WARNING,
        "Report step-down p values over all outcomes.",
        "报告对全部结果变量逐步调整的p值。",
        many_outcomes,
    ),
    Rule(
        "many-printed-outcomes",
        "Printed effects that many outcomes weaken",
        "多重检验后不再显著（原文）",
        NOTE,
        "Ask for adjusted p values over all outcomes of the paper.",
        "请作者提供对全部结果变量调整后的p值。",
        many_printed_outcomes,
    ),
)

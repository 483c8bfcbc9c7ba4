"""Rules on the specification, the policy list and its timing: what the design compares, before any outcome is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.audit.finding import ERROR, NOTE, WARNING
from analysis.audit.inputs import Inputs
from analysis.audit.rule import Found, Rule
from analysis.did.bacon import ALWAYS, LATER, bacon
from analysis.did.regression import FEW_TREATED, design_matrix
from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.estimation_sample import city_groups
from analysis.studies.methods import METHODS
from analysis.studies.records import Interaction, Model, lead_name

#: Treated cities below which a group's own effect is a few cities' story, and below which it is an anecdote.
SMALL_GROUP, TINY_GROUP = 10, 3
#: Words in the scope column of a policy list for pilots that are less than a city.
PART = ("county", "district")
#: Weight of comparisons with already treated cities from which they are told, and from which they matter.
FORBIDDEN_NOTE, FORBIDDEN = 0.01, 0.10


def interaction_is_treatment(inputs: Inputs) -> Iterator[Found]:
    """A group to which every treated city, or none, belongs: its interaction is the treatment itself, or nothing."""
    hits: dict[tuple[str, str], tuple[list[str], Interaction, int, int]] = {}
    for key, model, inside, outside in _interactions(inputs):
        if model.interaction and not (inside and outside) and inside + outside:
            labels, *_ = hits.setdefault((key, model.interaction.name), ([], model.interaction, inside, outside))
            labels.append(model.label)
    for (key, name), (labels, interaction, inside, outside) in hits.items():
        equals = "equals the treatment" if inside else "is zero everywhere"
        yield Found(
            f"All {inside + outside} treated cities have {interaction.group} = {int(bool(inside))}: {name} {equals} "
            "and tells nothing of differences between groups.",
            key,
            ", ".join(labels),
            name,
        )


def interaction_alone(inputs: Inputs) -> Iterator[Found]:
    """An interaction that enters without the treatment itself."""
    hits: dict[str, list[tuple[Model, int]]] = {}
    for key, model, _, outside in _interactions(inputs):
        if model.interaction and not model.interaction.main_effect:
            hits.setdefault(key, []).append((model, outside))
    for key, models in hits.items():
        words = "; ".join(
            f"{model.label}: {outside} treated cities of the other group count as controls" for model, outside in models
        )
        yield Found(
            f"The interaction stands without the treatment itself. {words}. Its coefficient is the effect in one "
            "group, not the difference between groups.",
            key,
            ", ".join(model.label for model, _ in models),
        )


def _interactions(inputs: Inputs) -> Iterator[tuple[str, Model, int, int]]:
    """Exhibit, model, and the treated cities inside and outside its group."""
    groups = {group.name: group for group in inputs.study.groups}
    treated = set(inputs.adoption[inputs.adoption.le(inputs.rows[TIME].max())].index)
    for exhibit in inputs.study.exhibits:
        for model in exhibit.models:
            if model.interaction is None:
                continue
            values = city_groups(groups[model.interaction.group], inputs.rows, inputs.cities)
            if isinstance(values, str):
                continue
            own = values[values.index.isin(treated)]
            yield exhibit.published or exhibit.name, model, int((own == 1).sum()), int((own == 0).sum())


def undersized_group(inputs: Inputs) -> Iterator[Found]:
    """A group, of a split or an interaction, with a handful of treated cities."""
    told: dict[tuple[str, str], tuple[str, int, int]] = {}
    for key, _, models in inputs.partitions():
        for model in models:
            frame = inputs.frame(_cells_only(model))
            if isinstance(frame, str):
                continue
            treated = frame.loc[frame[inputs.study.treatment].eq(1), UNIT].nunique()
            where = ", ".join(f"{c} = {'/'.join(map(str, v))}" for c, v in model.sample.where.items())
            label, count, cities = told.get((key, where), ("", treated, frame[UNIT].nunique()))
            told[key, where] = (", ".join(filter(None, (label, model.label))), count, cities)
    for key, model, inside, outside in _interactions(inputs):
        assert model.interaction is not None
        for value, count in ((1, inside), (0, outside)):
            if inside and outside:
                where = f"{model.interaction.group} = {value}"
                told.setdefault((key, where), (model.label, count, inputs.grid[0]))
    for (key, where), (labels, treated, cities) in told.items():
        if treated < SMALL_GROUP:
            yield Found(
                f"{treated} treated cities of {cities} have {where}: the group's effect is that of these cities, and "
                "a clustered standard error from so few is far too small.",
                key,
                labels,
                where,
                severity=ERROR if treated < TINY_GROUP else None,
            )


def _cells_only(model: Model) -> Model:
    """The model without anything but its sample, so that only that selects rows."""
    return replace(model, outcome="", controls=(), method="two_way", options={}, interaction=None, leads=())


def few_treated_clusters(inputs: Inputs) -> Iterator[Found]:
    """Fewer treated cities than clustered inference needs, with the p values that do not rest on many."""
    treated = inputs.treated_cities
    if not 0 < treated < FEW_TREATED:
        return
    beside = []
    if inputs.estimates is not None:
        models = [model for exhibit in inputs.study.exhibits for model in exhibit.models]
        repeated = [model.label for model in models if METHODS[model.method].repeats]
        rows = inputs.estimates
        bootstrap = rows[rows["model"].isin(repeated) & rows["term"].eq(inputs.study.treatment)]
        beside += [
            f"{m}: p = {p:.3f}" for m, p in zip(bootstrap["model"], bootstrap["p"], strict=True) if np.isfinite(p)
        ]
    words = f" Here: {'; '.join(beside)}." if beside else ""
    yield Found(
        f"{treated} of {inputs.grid[0]} cities are ever treated. Normal theory by cluster needs about "
        f"{FEW_TREATED} treated ones and tends to reject too often with fewer (MacKinnon and Webb 2017).{words}",
        variable=inputs.study.treatment,
        from_data=bool(beside),
    )


def partly_treated_city(inputs: Inputs) -> Iterator[Found]:
    """Cities coded as treated although only a part of them is a pilot."""
    rows = inputs.pilots.get(inputs.study.policy)
    if rows is None or "scope" not in rows:
        return
    counted = rows[rows["scope"].isin(inputs.study.policy_scope)] if inputs.study.policy_scope else rows
    inside = counted[counted[UNIT].astype(str).isin(inputs.adoption.dropna().index)]
    whole = set(inside.loc[~inside["scope"].isin(PART), UNIT])
    part = inside[inside["scope"].isin(PART) & ~inside[UNIT].isin(whole)]
    if len(part):
        names = part["name_en"] if "name_en" in part else part[UNIT]
        yield Found(
            f"{part[UNIT].nunique()} of {inside[UNIT].nunique()} treated cities are pilots in a part only "
            f"({', '.join(names.astype(str))}, {', '.join(sorted(set(part['scope'])))}), but the whole prefecture is "
            "coded as treated.",
            variable=inputs.study.treatment,
        )


def anticipation_not_shown(inputs: Inputs) -> Iterator[Found]:
    """A test of anticipation that prints the treatment and not the leads."""
    for key, exhibit in inputs.exhibits.items():
        for model in exhibit.models:
            printed = {i.term for i in inputs.coefficients if (i.exhibit, i.label) == (key, model.label)}
            leads = [lead_name(model.treatment, years) for years in model.leads]
            if leads and printed and not printed & set(leads):
                yield Found(
                    f"{model.label} adds leads of {', '.join(map(str, model.leads))} years and prints only the "
                    "treatment. Anticipation is a matter of the leads' coefficients; the treatment's says nothing "
                    "of it.",
                    key,
                    model.label,
                    ", ".join(leads),
                )


def forbidden_comparisons(inputs: Inputs) -> Iterator[Found]:
    """Weight of comparisons that use already treated cities as controls (Goodman-Bacon 2021), from timing alone."""
    weights = timing_weights(inputs)
    forbidden = float(weights[weights["type"].isin([LATER, ALWAYS])]["weight"].sum())
    if forbidden < FORBIDDEN_NOTE:
        return
    pairs = weights[weights["type"].isin([LATER, ALWAYS])].sort_values("weight", ascending=False, kind="stable")
    first = pairs.iloc[0]
    yield Found(
        f"{forbidden:.1%} of the two-way estimate compares cities with ones treated before them, most of it "
        f"({first['weight']:.1%}) cohort {first['cohort']} with cohort {first['control']}; if effects grow, that "
        "part has the wrong sign.",
        variable=inputs.study.treatment,
        severity=WARNING if forbidden >= FORBIDDEN else None,
    )


def timing_weights(inputs: Inputs) -> pd.DataFrame:
    """Goodman-Bacon's weights of every comparison, which follow from adoption and years alone.

    Raises the ValueError of `bacon` where no city is treated, or all are at once.
    """
    frame = inputs.rows[[UNIT, TIME, ADOPTION]].assign(
        treated=(inputs.rows[TIME] >= inputs.rows[ADOPTION]).astype(float)
    )
    return bacon(frame, "treated", ADOPTION, unit=UNIT, time=TIME).table


def negative_weights(inputs: Inputs) -> Iterator[Found]:
    """Treated cells that enter the two-way estimate with a negative weight (de Chaisemartin and D'Haultfoeuille
    2020)."""
    hits = []
    for model, frame in inputs.estimable:
        weights = treated_weights(frame, model)
        negative = weights[weights < 0]
        if len(negative):
            hits.append((model.outcome, len(negative), len(weights), float(-negative.sum())))
    if hits:
        words = "; ".join(f"{y}: {few} of {all_} treated rows, {total:.1%} in sum" for y, few, all_, total in hits)
        largest = max(total for *_, total in hits)
        yield Found(
            f"Weights of the treated rows sum to one; negative are {words}. Where effects differ between cities and "
            "years, these rows push the estimate the wrong way.",
            variable=inputs.study.treatment,
            severity=WARNING if largest >= FORBIDDEN else None,
            from_data=True,
        )


def treated_weights(frame: pd.DataFrame, model: Model) -> np.ndarray:
    """Weights of the treated rows in the two-way coefficient: the residualised treatment there, summing to one."""
    design = design_matrix(
        frame,
        model.outcome,
        [model.treatment, *model.controls],
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
    )
    place = design.terms.index(model.treatment)
    others = np.delete(design.x, place, axis=1)
    left = design.x[:, place]
    if others.shape[1]:
        left = left - others @ np.linalg.lstsq(others, left, rcond=None)[0]
    own = left[design.raw_x[:, place] == 1]
    return own / own.sum()


RULES = (
    Rule(
        "interaction-is-treatment",
        "Interaction equal to the treatment",
        "交互项等于政策变量本身",
        ERROR,
        "Drop the column, or split by a variable on which treated cities differ.",
        "删去该列，或按处理城市之间确有差异的变量分组。",
        interaction_is_treatment,
    ),
    Rule(
        "interaction-alone",
        "Interaction without its main effect",
        "仅有交互项而无主效应",
        WARNING,
        "Enter the treatment and the interaction together and read the interaction.",
        "同时放入政策变量与交互项，并解读交互项。",
        interaction_alone,
    ),
    Rule(
        "undersized-group",
        "Group with too few treated cities",
        "分组内处理城市过少",
        WARNING,
        "Report the number of treated cities beside the effect; use permutation p values, or do not split.",
        "在效应旁报告处理城市数；使用置换检验，或不分组。",
        undersized_group,
    ),
    Rule(
        "few-treated-clusters",
        "Few treated clusters",
        "处理组聚类数过少",
        WARNING,
        "Report wild cluster bootstrap and permutation p values beside the clustered ones.",
        "同时报告野聚类自助法与置换检验的p值。",
        few_treated_clusters,
    ),
    Rule(
        "partly-treated-city",
        "City coded as treated for a part of it",
        "仅部分辖区为试点却视为全市处理",
        NOTE,
        "Estimate without these cities, or with the county's own data.",
        "剔除这些城市，或使用县级数据。",
        partly_treated_city,
    ),
    Rule(
        "anticipation-not-shown",
        "Anticipation judged from the wrong coefficient",
        "预期效应检验未报告提前项",
        WARNING,
        "Print the leads and test them jointly.",
        "列出提前项并做联合检验。",
        anticipation_not_shown,
    ),
    Rule(
        "forbidden-comparisons",
        "Comparisons with already treated cities",
        "以已处理城市作为对照",
        NOTE,
        "Report an estimator that avoids them (Callaway-Sant'Anna, Sun-Abraham, imputation) beside the two-way one.",
        "同时报告避免此类比较的估计量（Callaway-Sant'Anna、Sun-Abraham、插补法）。",
        forbidden_comparisons,
    ),
    Rule(
        "negative-weights",
        "Negative weights",
        "负权重",
        NOTE,
        "Report an estimator with weights of one's own choosing beside the two-way one.",
        "同时报告可自行设定权重的估计量。",
        negative_weights,
    ),
)

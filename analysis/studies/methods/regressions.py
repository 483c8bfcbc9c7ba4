"""Methods that end in one regression: two-way in three conventions, on a matched sample, by two stages, and by groups.

The regressions themselves are in `analysis.did`, `analysis.matching` and `analysis.iv`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BeforeValidator

from analysis.documents import describe, fault
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate, Estimate
from analysis.studies.methods.base import (
    EstimatorLine,
    Method,
    Row,
    boolean,
    column,
    estimate_facts,
    estimate_rows,
    integer,
    notes_facts,
    number,
    regression_facts,
    several_columns,
    word,
)
from analysis.studies.records import Label, Model

if TYPE_CHECKING:
    from analysis.did import GroupDifference
    from analysis.iv.regression import FirstStage, TwoStage
    from analysis.matching.result import Matching


def _regress(panel: pd.DataFrame, model: Model, **changes: Any) -> Estimate:
    from analysis.did import two_way

    own = {
        "treatment": list(model.treatments),
        "controls": model.controls,
        "fixed_effects": model.fixed_effects,
        "cluster": model.cluster,
    }
    return two_way(panel, model.outcome, unit=UNIT, time=TIME, **(own | changes))


def _two_way(panel: pd.DataFrame, model: Model) -> Estimate:
    """The regression in the convention asked for; an interaction that repeats the treatment is not identified."""
    convention = model.options.get("convention", "absorbed")
    if model.interaction:
        return _interacted(panel, model)
    if convention == "absorbed":
        return _regress(panel, model)
    return _with_dummies(panel, model, within=convention == "within")


def _conley(panel: pd.DataFrame, model: Model) -> Estimate:
    """The regression with Conley's errors by distance between seats of government, in the place of clusters."""
    reach: dict[str, Any] = {key: model.options.get(key) for key in ("cutoff_km", "lag_cutoff")}
    if reach["cutoff_km"] is None:
        raise CannotEstimate("Conley's errors need to know how far cities move together: options: {cutoff_km: 300}.")
    place = {"covariance": "conley", "coordinates": ("latitude", "longitude"), "cluster": None}
    return _regress(panel, model, **place, **reach)


def _with_dummies(panel: pd.DataFrame, model: Model, *, within: bool) -> Estimate:
    """The same coefficient by dummies: for all effects, as ``regress``, or for all but the first, as ``xtreg, fe``.

    ``regress`` counts every dummy as a parameter, ``xtreg`` none of the effects it sweeps out, hence two standard
    errors. Constants differ too: that of ``regress`` is for the first city and year. R2 is the one each prints.
    """
    swept, rest = (model.fixed_effects[:1], model.fixed_effects[1:]) if within else ((), model.fixed_effects)
    columns = [{"unit": UNIT, "time": TIME}.get(name, name) for name in rest]
    rows = panel.dropna(subset=[model.outcome, *model.treatments, *model.controls, *columns])
    dummies = [pd.get_dummies(rows[name], prefix=f"{name} =", dtype=float).iloc[:, 1:] for name in columns]
    wide = pd.concat([rows, *dummies], axis=1)
    names = [str(name) for block in dummies for name in block.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # hundreds of columns are the point here
        result = _regress(wide, model, controls=[*model.controls, *names], fixed_effects=swept)
    lost = len(panel) - len(rows)
    return replace(
        result,
        table=result.table.drop(index=names),
        r2=result.r2_within if within else result.r2,
        not_identified={term: why for term, why in result.not_identified.items() if term not in names},
        notes=(*([f"{lost} rows dropped: a value is missing."] if lost else []), *result.notes),
    )


def _interacted(panel: pd.DataFrame, model: Model) -> Estimate:
    """Treatment times group, with or without the treatment itself, and how many treated cities each group has."""
    assert model.interaction is not None
    name, group = model.interaction.name, model.interaction.group
    treated = panel[panel[model.treatment].eq(1) & panel[group].notna()].groupby(UNIT)[group].first()
    inside, outside = int((treated == 1).sum()), int((treated == 0).sum())
    count = f"Treated cities: {inside} with {group!r} = 1, {outside} with {group!r} = 0."
    # Both terms first: only beside the treatment does a regression show that the interaction repeats it.
    both = _regress(panel, replace(model, interaction=replace(model.interaction, main_effect=True)))
    if model.interaction.main_effect or name in both.not_identified:
        why = {name: f"{both.not_identified[name]} {count}"} if name in both.not_identified else {}
        keep = both.table if model.interaction.main_effect else both.table.drop(index=model.treatment)
        result = replace(both, table=keep, not_identified=both.not_identified | why)
    else:
        result = _regress(panel, model)
    return replace(result, notes=(*result.notes, count))


@dataclass(frozen=True)
class MatchedRegression:
    """A two-way regression on a matched sample.

    ``treated_rows`` of pilot cities sought a match, ``matched_rows`` of them found one, with ``control_rows``.
    """

    regression: Estimate
    treated_rows: int
    matched_rows: int
    control_rows: int
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Observations of the regression."""
        return self.regression.n

    @property
    def cautions(self) -> tuple[str, ...]:
        """A sentence when most treated rows found no match."""
        lost = self.treated_rows - self.matched_rows
        if lost <= self.treated_rows / 2:
            return ()
        return (f"{lost:,} of {self.treated_rows:,} treated rows found no match: the estimate is of a minority.",)


def matched(panel: pd.DataFrame, model: Model) -> tuple[pd.DataFrame, Matching]:
    """The panel sorted, and its matching on ever being treated, as psmatch2 does it on a pooled panel."""
    from analysis.matching import match

    options = dict(model.options)
    covariates = options.pop("covariates", model.controls)
    frame = panel.sort_values([UNIT, TIME]).reset_index(drop=True)
    treated = frame[ADOPTION].notna() & frame[ADOPTION].le(frame[TIME].max())
    frame = frame.assign(**{EVER: treated.astype(float)})
    options.setdefault("ties", "first" if options.get("replace", True) else "all")
    by = TIME if options.pop("by_year", False) else None
    matching = options.pop("matching", "nearest")
    replaced = options.pop("replace", True)
    return frame, match(frame, EVER, covariates, method=matching, replace=replaced, support="common", by=by, **options)


#: The column a matching is about: whether a city is ever treated within the panel.
EVER = "ever treated"


def _matched_regression(panel: pd.DataFrame, model: Model) -> MatchedRegression:
    frame, matching = matched(panel, model)
    kept = matching.weights.gt(0)
    seeks = matching.table["treated"].eq(1)
    counts = (int(seeks.sum()), int((kept & seeks).sum()), int((kept & ~seeks).sum()))
    regression = _regress(frame[kept], model)
    said = (
        f"Matched: {counts[1]:,} of {counts[0]:,} rows of pilot cities with {counts[2]:,} rows of other cities; the "
        "regression counts each matched row once."
    )
    return MatchedRegression(regression, *counts, (*matching.notes, said, *regression.notes))


MATCHING_OPTIONS = {
    "matching": word("nearest", "radius", "kernel"),
    "covariates": several_columns,
    "caliper": number(1e-9, 1e9),
    "bandwidth": number(1e-9, 1e9),
    "neighbours": integer(1, 100),
    "replace": boolean,
    "by_year": boolean,
    "ties": word("all", "first"),
}


def _covariates(model: Model) -> tuple[str, ...]:
    return tuple(model.options.get("covariates", ()))


def _two_stage(panel: pd.DataFrame, model: Model) -> TwoStage | FirstStage:
    """Two-stage least squares with one instrument: a fixed attribute of the city times the years from ``since`` on.

    The second stage's R2 is that within the effects, as xtivreg2 prints it.
    """
    from analysis.iv import two_stage

    since = model.options["since"]
    after = panel[TIME] >= (panel[ADOPTION] if since == "adoption" else since)
    frame = panel.assign(**{INSTRUMENT: panel[model.options["instrument"]] * after.astype(float)})
    result = two_stage(
        frame,
        model.outcome,
        [model.treatment],
        [INSTRUMENT],
        model.controls,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
    )
    if model.options.get("stage") == "first":
        return replace(result.first_stage[model.treatment], notes=result.notes)
    return replace(result, r2=result.r2_within)


INSTRUMENT = "iv"


def _year_or_adoption(value: object) -> object:
    if value == "adoption" or (isinstance(value, int) and not isinstance(value, bool) and 1949 <= value <= 2100):
        return value
    raise fault(f"expected a whole number from 1949 to 2100 or 'adoption', found {describe(value)}.")


_Since = Annotated[int | str, BeforeValidator(_year_or_adoption)]


def _two_stage_rows(result: TwoStage | FirstStage, model: Model) -> list[Row]:
    """The coefficients, and what tells whether the instrument is strong: statistics stand under ``estimate``."""
    from analysis.iv.regression import FirstStage

    rows = estimate_rows(result)
    if isinstance(result, FirstStage):
        return [*rows, Row("first_stage_f", result.f, np.nan, result.f_p)]
    size = result.stock_yogo["critical_value"].get("10% maximal IV size", np.nan)
    maximum = result.liml[["estimate", "se", "p"]].astype(float).loc[model.treatment]
    strength = []
    if result.effective_f is not None:
        strength = [
            Row("effective_f", result.effective_f.f),
            Row("effective_f_10pct", result.effective_f.critical.get(0.1, np.nan)),
        ]
    return [
        *rows,
        Row("kp_rk_lm", result.kp_rk_lm, np.nan, result.kp_rk_lm_p),
        Row("kp_rk_wald_f", result.kp_rk_wald_f),
        Row("cragg_donald_f", result.cragg_donald_f),
        Row("stock_yogo_10pct", float(size)),
        *strength,
        Row("anderson_rubin", result.anderson_rubin.chi2, np.nan, result.anderson_rubin.chi2_p),
        Row("liml", *maximum),
    ]


def _group_difference(panel: pd.DataFrame, model: Model) -> GroupDifference:
    from analysis.did import group_difference

    return group_difference(
        panel,
        model.outcome,
        model.treatment,
        model.controls,
        group=model.options["by"],
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
        permutations=model.options.get("permutations", 0),
    )


def _group_difference_rows(result: GroupDifference, model: Model) -> list[Row]:
    """The clustered Chow test, its F under ``estimate``, and where asked for the permutation p of the same F."""
    n = float(result.table["n"].sum())
    rows = [Row("chow F", result.chow.f, np.nan, result.chow.p, result.chow.reason or None, n=n)]
    if model.options.get("permutations"):
        rows.append(Row("permutation", result.chow.f, np.nan, result.permutation_p, result.chow.reason or None, n=n))
    return rows


REGRESSIONS: dict[str, Method] = {
    "two_way": Method(
        _two_way,
        estimate_rows,
        estimate_facts,
        {"convention": word("absorbed", "within", "dummies")},
        estimand="two-way",
        is_regression=True,
        whole_sample=True,
        estimators=(
            EstimatorLine("two_way_alone", Label("Two-way, without controls", "双向固定效应（无控制变量）"), False),
            EstimatorLine("two_way", Label("Two-way", "双向固定效应")),
        ),
    ),
    "conley": Method(
        _conley,
        estimate_rows,
        estimate_facts,
        {"cutoff_km": number(1, 20_000), "lag_cutoff": integer(0, 100)},
        clustered=False,
        city_columns=("latitude", "longitude"),
        estimand="two-way",
        is_regression=True,
        whole_sample=True,
    ),
    "psm_did": Method(
        _matched_regression,
        lambda result, model: estimate_rows(result.regression),
        lambda result: replace(regression_facts(result), cautions=result.cautions),
        MATCHING_OPTIONS,
        needs=_covariates,
        is_regression=True,
    ),
    "two_stage": Method(
        _two_stage,
        _two_stage_rows,
        estimate_facts,
        {"instrument": column, "since": _Since, "stage": word("first", "second")},
        needs=lambda model: (model.options["instrument"],),
        terms=(INSTRUMENT,),
        statistics={
            "first_stage_f": "F of the instrument",
            "kp_rk_lm": "Kleibergen-Paap rk LM",
            "kp_rk_wald_f": "Kleibergen-Paap rk Wald F",
            "cragg_donald_f": "Cragg-Donald F",
            "stock_yogo_10pct": "Stock-Yogo, 10% size",
            "effective_f": "Effective F (Montiel Olea-Pflueger)",
            "effective_f_10pct": "its critical value, 10% bias",
            "anderson_rubin": "Anderson-Rubin chi²",
            "liml": "LIML",
        },
        is_regression=True,
        whole_sample=True,
    ),
    "group_difference": Method(
        _group_difference,
        _group_difference_rows,
        notes_facts,
        {"by": column, "permutations": integer(0, 100_000)},
        needs=lambda model: (model.options["by"],),
    ),
}

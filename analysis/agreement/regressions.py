"""Second engines for regressions: pyfixest, linearmodels and statsmodels, each from the rows and the model's words.

Conventions of the published numbers: `analysis.did.two_way`. Columns are renamed first, since formulas take no name as
it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.agreement.opinion import NoOpinion, Opinion
from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.records import Model

PYFIXEST, LINEARMODELS, STATSMODELS = "pyfixest", "linearmodels", "statsmodels"


@dataclass(frozen=True)
class Plain:
    """A regression under plain column names, rows with a missing value left out.

    Attributes
    ----------
    frame : ``y``, ``x0``, …, ``effect0``, …, ``cluster0``, …, ``unit``, ``time``.
    terms : plain name of each regressor -> its own.
    effects, clusters : plain names.
    """

    frame: pd.DataFrame
    terms: dict[str, str]
    effects: list[str]
    clusters: list[str]

    @property
    def right(self) -> str:
        """The right side of a formula."""
        return " + ".join(self.terms) or "1"


def plain(
    frame: pd.DataFrame,
    y: str,
    x: Sequence[str],
    effects: Sequence[str] = ("unit", "time"),
    cluster: Sequence[str] = ("unit",),
) -> Plain:
    """The columns of a regression, sorted by unit and time so that the order of rows is no matter."""
    own = {"unit": UNIT, "time": TIME}
    x = list(dict.fromkeys(x))
    held: dict[str, Any] = {"unit": frame[UNIT].astype(str), "time": frame[TIME], "y": frame[y].astype(float)}
    held |= {f"x{place}": frame[name].astype(float) for place, name in enumerate(x)}
    for kind, names in (("effect", effects), ("cluster", cluster)):
        held |= {f"{kind}{place}": frame[own.get(name, name)] for place, name in enumerate(names)}
    rows = pd.DataFrame(held).dropna().sort_values(["unit", "time"]).reset_index(drop=True)
    for name in rows.columns:
        if name.startswith(("effect", "cluster")):
            rows[name] = pd.factorize(rows[name], sort=True)[0]
    return Plain(
        rows,
        {f"x{place}": name for place, name in enumerate(x)},
        [f"effect{place}" for place in range(len(effects))],
        [f"cluster{place}" for place in range(len(cluster))],
    )


def of_model(frame: pd.DataFrame, model: Model, extra: Sequence[str] = ()) -> Plain:
    """The regression that a model's words ask for."""
    x = [*(extra or _treatments(frame, model)), *model.controls]
    return plain(frame, model.outcome, x, model.fixed_effects, model.cluster)


def _treatments(frame: pd.DataFrame, model: Model) -> list[str]:
    """The policy's regressors; an interaction that is the treatment, or zero, in every row is left out."""
    named = list(model.treatments)
    if model.interaction is None:
        return named
    product, treated = frame[[model.interaction.name, model.treatment]].dropna().to_numpy(dtype=float).T
    if product.any() and not (product == treated).all():
        return named
    # beside the treatment itself the published regression finds nothing to tell of it, and prints that regression
    return [model.treatment, *(name for name in named if name not in (model.treatment, model.interaction.name))]


def pyfixest_fit(regression: Plain, formula: str = "", *, poisson: bool = False, adjusted: bool = True) -> Any:
    """pyfixest's fit with the small-sample factors of reghdfe, or with none (of none for the parameters in Poisson)."""
    import pyfixest

    absorbed = f" | {' + '.join(regression.effects)}" if regression.effects else ""
    clustered = {"CRV1": " + ".join(regression.clusters)} if regression.clusters else "iid"
    call = pyfixest.fepois if poisson else pyfixest.feols
    options: dict[str, Any] = {"iwls_tol": 1e-12, "iwls_maxiter": 100} if poisson else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(
            formula or f"y ~ {regression.right}{absorbed}",
            regression.frame,
            vcov=clustered,
            ssc=pyfixest.ssc(k_adj=adjusted and not poisson, k_fixef="nonnested", G_adj=adjusted, G_df="min"),
            fixef_tol=1e-12,
            fixef_maxiter=100_000,
            **options,
        )


def numbers_of(fit: Any, terms: dict[str, str]) -> tuple[pd.Series, pd.DataFrame]:
    """Coefficients and covariance of a pyfixest fit under the terms' own names."""
    called = terms | {"Intercept": "const"}
    names = [called.get(name, name) for name in fit._coefnames]
    return pd.Series(fit._beta_hat, index=names), pd.DataFrame(fit._vcov, index=names, columns=names)


def opinions_of(beta: pd.Series, covariance: pd.DataFrame, engine: str) -> list[Opinion]:
    """An opinion on each coefficient."""
    spread = np.sqrt(np.diag(covariance))
    return [Opinion(str(t), engine, float(b), float(s)) for t, b, s in zip(beta.index, beta, spread, strict=True)]


def two_way_by_pyfixest(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Coefficients and clustered errors; the constant is mean(y) - mean(x)'b, without an error."""
    if model.options.get("convention") == "dummies":
        raise NoOpinion("pyfixest counts no absorbed effect that is nested in the cluster; statsmodels has dummies.")
    regression = of_model(frame, model)
    fit = pyfixest_fit(regression)
    beta, covariance = numbers_of(fit, regression.terms)
    found = opinions_of(beta, covariance, PYFIXEST)
    if regression.effects and model.options.get("convention", "absorbed") == "absorbed":
        found.append(Opinion("const", PYFIXEST, _constant(regression, _without_singletons(regression), "y", beta)))
    return found


def _without_singletons(regression: Plain) -> pd.DataFrame:
    """The rows that are not alone in an effect, step by step."""
    rows = regression.frame
    while True:
        keep = np.ones(len(rows), dtype=bool)
        for effect in regression.effects:
            keep &= rows.groupby(effect)[effect].transform("size").to_numpy() > 1
        if keep.all():
            return rows
        rows = rows[keep]


def two_way_by_linearmodels(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """PanelOLS; its factor counts effects nested in the cluster, which is taken back by the two degrees of freedom."""
    convention = model.options.get("convention", "absorbed")
    if convention == "dummies":
        raise NoOpinion("statsmodels has the dummies.")
    if convention == "within":
        first, *rest = model.fixed_effects
        dummies = [_dummies(frame, name) for name in rest]
        names = [str(name) for block in dummies for name in block.columns]
        wide = pd.concat([frame, *dummies], axis=1)
        within = replace(model, fixed_effects=(first,), controls=(*model.controls, *names))
        return [o for o in panel_ols(of_model(wide, within)) if o.term not in names]
    return panel_ols(of_model(frame, model))


def _dummies(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return pd.get_dummies(frame[{"unit": UNIT, "time": TIME}.get(name, name)], prefix=f"{name} =", dtype=float).iloc[
        :, 1:
    ]


def panel_ols(regression: Plain) -> list[Opinion]:
    """Coefficients, constant included, and clustered errors of linearmodels' PanelOLS in reghdfe's convention."""
    from linearmodels.panel import PanelOLS

    rows = _without_singletons(regression)
    known = {"unit": "entity_effects", "time": "time_effects"}
    options: dict[str, Any] = {}
    others = []
    for effect in regression.effects:
        same = next((key for key in known if _same(rows[effect], rows[key])), None)
        if same:
            options[known[same]] = True
        else:
            others.append(effect)
    if others:
        options["other_effects"] = rows.set_index(["unit", "time"])[others]
    if len(options) + len(others) - bool(others) > 2:
        raise NoOpinion("PanelOLS takes two effects at most.")
    data = rows.set_index(["unit", "time"])
    model = PanelOLS(data["y"], data[list(regression.terms)].assign(const=1.0), drop_absorbed=True, **options)
    clusters = data[regression.clusters] if regression.clusters else None
    kind: dict[str, Any] = (
        {"cov_type": "clustered", "clusters": clusters} if regression.clusters else {"cov_type": "unadjusted"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(debiased=True, group_debias=bool(regression.clusters), auto_df=False, **kind)
    counted = [rows[effect].nunique() - 1 for effect in _counted(regression, rows)]
    scale = np.sqrt(fit.df_resid / (len(rows) - len(fit.params) - sum(counted)))
    called = {**regression.terms, "const": "const"}
    return [
        Opinion(called[str(name)], LINEARMODELS, float(value), float(se * scale))
        for name, value, se in zip(fit.params.index, fit.params, fit.std_errors, strict=True)
    ]


def _counted(regression: Plain, rows: pd.DataFrame) -> list[str]:
    """The effects that are not nested in a cluster."""
    return [
        effect
        for effect in regression.effects
        if not any(rows.groupby(effect)[group].nunique().eq(1).all() for group in regression.clusters)
    ]


def _same(one: pd.Series, other: pd.Series) -> bool:
    return bool((pd.factorize(one)[0] == pd.factorize(other)[0]).all())


def dummies_by_statsmodels(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """``regress`` with a dummy for every effect but the first, each counted as a parameter."""
    import statsmodels.api as sm

    if model.options.get("convention") != "dummies":
        raise NoOpinion("pyfixest and linearmodels have this regression.")
    regression = of_model(frame, model)
    rows = regression.frame
    blocks = [pd.get_dummies(rows[name], prefix=name, dtype=float).iloc[:, 1:] for name in regression.effects]
    design = pd.concat([rows[list(regression.terms)], *blocks], axis=1).assign(const=1.0)
    fit = sm.OLS(rows["y"], design).fit(
        method="qr", cov_type="cluster", cov_kwds={"groups": rows[regression.clusters[0]], "use_correction": True}
    )
    return [
        Opinion(own, STATSMODELS, float(fit.params[name]), float(fit.bse[name]))
        for name, own in {**regression.terms, "const": "const"}.items()
    ]


def poisson_by_statsmodels(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """A Poisson likelihood with a dummy for every effect, errors clustered with G / (G - 1)."""
    import statsmodels.api as sm

    regression = of_model(frame, model)
    rows = regression.frame
    for effect in regression.effects:  # a group without a count above zero says nothing, and has no finite effect
        rows = rows[rows.groupby(effect)["y"].transform("sum") > 0]
    blocks = [pd.get_dummies(rows[name], prefix=name, dtype=float).iloc[:, 1:] for name in regression.effects]
    design = pd.concat([rows[list(regression.terms)], *blocks], axis=1).assign(const=1.0)
    fit = sm.GLM(rows["y"], design, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-13)
    columns, mean = design.to_numpy(), np.asarray(fit.mu)
    inverse = np.linalg.inv(columns.T @ (columns * mean[:, None]))
    scores = pd.DataFrame(columns * (rows["y"].to_numpy() - mean)[:, None])
    sums = scores.groupby(rows[regression.clusters[0]].to_numpy()).sum().to_numpy()
    groups = len(sums)
    spread = np.sqrt(np.diag(inverse @ sums.T @ sums @ inverse) * groups / (groups - 1))
    place = {name: i for i, name in enumerate(design.columns)}
    return [
        Opinion(own, STATSMODELS, float(fit.params[name]), float(spread[place[name]]))
        for name, own in regression.terms.items()
    ]


# Event studies and groups ---------------------------------------------------------------------------------------------


def event_regression(frame: pd.DataFrame, model: Model) -> tuple[Plain, dict[str, int]]:
    """The regression on one dummy a period since adoption, and the period of each dummy."""
    leads, lags, base = (int(model.options[key]) for key in ("leads", "lags", "base"))
    since = frame[TIME] - frame[ADOPTION].astype(float)
    binned = model.options.get("bin_ends", True)
    rows = frame if binned else frame[since.isna() | since.between(-leads, lags)]
    period = since.loc[rows.index].clip(-leads, lags)
    names = {f"period {k}": k for k in range(-leads, lags + 1) if k != base}
    dummies = {name: period.eq(k).astype(float) for name, k in names.items()}
    dummies = {name: column for name, column in dummies.items() if column.any()}
    wide = rows.assign(**dummies)
    return of_model(wide, model, list(dummies)), {name: names[name] for name in dummies}


def event_study_by_pyfixest(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Every period, and the joint F of those before adoption."""
    regression, periods = event_regression(frame, model)
    beta, covariance = numbers_of(pyfixest_fit(regression), regression.terms)
    found = [o for o in opinions_of(beta, covariance, PYFIXEST) if o.term in periods]
    before = [name for name, k in periods.items() if k < 0 and name in beta.index]
    if before:
        found.append(Opinion("pretrend F", PYFIXEST, wald(beta[before], covariance.loc[before, before])))
    return found


def wald(estimate: pd.Series, covariance: pd.DataFrame) -> float:
    """Joint F statistic that estimates are zero."""
    value = estimate.to_numpy()
    return float(value @ np.linalg.solve(covariance.to_numpy(), value) / len(value))


def event_study_by_linearmodels(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Every period."""
    regression, periods = event_regression(frame, model)
    return [o for o in panel_ols(regression) if o.term in periods]


def group_difference_by_pyfixest(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """The clustered Wald test that a regression with everything interacted with the group has one effect."""
    by = model.options["by"]
    rows = frame.dropna(subset=[by, model.outcome, model.treatment, *model.controls])
    group = pd.factorize(rows[by], sort=True)[0]
    columns: dict[str, Any] = {}
    for name in (model.treatment, *model.controls):
        columns |= {f"{name} in {g}": rows[name].astype(float) * (group == g) for g in range(group.max() + 1)}
    effects = {}
    for name in model.fixed_effects:
        own = rows[{"unit": UNIT, "time": TIME}.get(name, name)].astype(str)
        effects[f"{name} by group"] = own + "/" + pd.Series(group, index=rows.index).astype(str)
    wide = rows.assign(**columns, **effects)
    regression = plain(wide, model.outcome, list(columns), list(effects), model.cluster)
    beta, covariance = numbers_of(pyfixest_fit(regression), regression.terms)
    slopes = [f"{model.treatment} in {g}" for g in range(group.max() + 1)]
    slopes = [name for name in slopes if name in beta.index]
    contrast = np.column_stack([-np.ones(len(slopes) - 1), np.eye(len(slopes) - 1)])
    gap = contrast @ beta[slopes].to_numpy()
    block = covariance.loc[slopes, slopes].to_numpy()
    spread = contrast @ block @ contrast.T
    f = wald(pd.Series(gap), pd.DataFrame(spread))
    return [Opinion("chow F", PYFIXEST, f), Opinion("permutation", PYFIXEST, f)]


# Instruments ----------------------------------------------------------------------------------------------------------


def _instrumented(frame: pd.DataFrame, model: Model) -> Plain:
    """x0 the treatment, x1 the instrument, then controls."""
    since = model.options["since"]
    after = frame[TIME] >= (frame[ADOPTION] if since == "adoption" else since)
    wide = frame.assign(iv=frame[model.options["instrument"]] * after.astype(float))
    return plain(wide, model.outcome, [model.treatment, "iv", *model.controls], model.fixed_effects, model.cluster)


def two_stage_by_pyfixest(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Both stages, and the tests that one clustered regression gives: of the instrument, and of the reduced form."""
    regression = _instrumented(frame, model)
    effects = f" | {' + '.join(regression.effects)}" if regression.effects else ""
    controls = " + ".join(name for name in regression.terms if name not in ("x0", "x1"))
    first = pyfixest_fit(regression, f"x0 ~ x1{f' + {controls}' if controls else ''}{effects}")
    beta, covariance = numbers_of(first, regression.terms)
    rows = _without_singletons(regression)
    # xtivreg2 counts no constant beside the effects, where reghdfe and pyfixest count one
    counted = len(beta) + sum(rows[effect].nunique() - 1 for effect in _counted(regression, rows))
    covariance *= (len(rows) - counted - 1) / (len(rows) - counted)
    f = float(beta["iv"] ** 2 / covariance.loc["iv", "iv"])
    if model.options.get("stage") == "first":
        const = Opinion("const", PYFIXEST, _constant(regression, rows, "x0", beta))
        return [*opinions_of(beta, covariance, PYFIXEST), const, Opinion("first_stage_f", PYFIXEST, f)]
    second = pyfixest_fit(regression, f"y ~ {controls or '1'}{effects} | x0 ~ x1", adjusted=False)
    effect, error = numbers_of(second, regression.terms)
    found = opinions_of(effect, error, PYFIXEST)
    found.append(Opinion("const", PYFIXEST, _constant(regression, rows, "y", effect)))
    # with one instrument the effective F is the first stage's, and limited information is two stages
    found += [Opinion("kp_rk_wald_f", PYFIXEST, f), Opinion("effective_f", PYFIXEST, f)]
    own = next(opinion for opinion in found if opinion.term == model.treatment)
    found.append(replace(own, term="liml"))
    left = [pyfixest_fit(regression, f"{name} ~ {controls or '1'}{effects}").resid() for name in ("x0", "x1")]
    scores = pd.Series(left[0] * left[1]).groupby(rows[regression.clusters[0]].to_numpy()).sum()
    found.append(Opinion("kp_rk_lm", PYFIXEST, float(scores.sum() ** 2 / (scores**2).sum())))
    plain_first = pyfixest_fit(
        replace(regression, clusters=[]), f"x0 ~ x1{f' + {controls}' if controls else ''}{effects}"
    )
    simple, spread = numbers_of(plain_first, regression.terms)
    found.append(Opinion("cragg_donald_f", PYFIXEST, float(simple["iv"] ** 2 / spread.loc["iv", "iv"])))
    reduced = pyfixest_fit(regression, f"y ~ x1{f' + {controls}' if controls else ''}{effects}", adjusted=False)
    effect, error = numbers_of(reduced, regression.terms)
    found.append(Opinion("anderson_rubin", PYFIXEST, float(effect["iv"] ** 2 / error.loc["iv", "iv"])))
    return found


def _constant(regression: Plain, rows: pd.DataFrame, outcome: str, beta: pd.Series) -> float:
    """mean(y) - mean(x)'b over the rows used."""
    back = {own: name for name, own in regression.terms.items()}
    means = rows[[back[term] for term in beta.index]].mean().to_numpy()
    return float(rows[outcome].mean() - means @ beta.to_numpy())


def repeated_by(engines: Iterable[Any]) -> Any:
    """The same engines for a method whose estimate and error are the two-way regression's."""

    def again(frame: pd.DataFrame, model: Model) -> Iterator[Opinion]:
        for engine in engines:
            for opinion in engine(frame, replace(model, options={})):
                if opinion.term == model.treatment:
                    yield opinion

    return again

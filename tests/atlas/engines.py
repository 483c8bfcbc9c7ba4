"""Every public estimator of `analysis` on a world, and every other engine here that offers the same.

An adapter returns what its estimator says: one number, or effects by period. It writes what a user of that engine would
write; raw columns go in as they are, except where the engine cannot take them by its own documentation (never treated
as 0 for pyfixest and diff-diff).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from worlds import RHO, World, circle

Answer = float | dict[int, float] | None
KEYS = {"unit": "city", "time": "year"}
OWN = "pilotcity"


@dataclass(frozen=True)
class Cell:
    """One estimator of one engine: on which kind of world it runs, and whether it takes weights and controls."""

    engine: str
    estimator: str
    kind: str
    run: Callable[[World], Answer]
    weights: bool = False
    controls: bool = True
    treatment: bool = False
    adoption: bool = False


def _path(table: pd.DataFrame, period: str = "period", value: str = "estimate") -> dict[int, float]:
    known = table.dropna(subset=[value])
    return {int(k): float(v) for k, v in zip(known[period], known[value], strict=True)}


def _first_term(table: pd.DataFrame, scale: float) -> float:
    return float(table["estimate"].iloc[0]) / scale


def _given(world: World, weights: bool = False) -> dict[str, Any]:
    options: dict[str, Any] = {"controls": list(world.controls), **KEYS}
    return options | ({"weights": world.weights} if weights and world.weights else {})


def _adoption(world: World) -> str:
    """The adoption column; where treatments end it is made from the treatment, as the guide says."""
    from analysis.did import adoption_from_treatment

    if world.frame["did"].notna().all() and not isinstance(world.frame["year"].iloc[0], (str, pd.Timestamp)):
        ends = (
            world.frame.sort_values("year")
            .groupby("_index")["did"]
            .apply(lambda d: (np.diff(d.astype(float)) < 0).any())
        )
        if ends.any():
            adoption_from_treatment(world.frame, "did", **KEYS)
    return "first"


def _staggered(name: str, weights: bool = False, **options: Any) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        from analysis import did

        fit = getattr(did, name)(world.frame, "y", _adoption(world), **_given(world, weights), **options)
        return {k: v / world.scale for k, v in _path(fit.event).items()}

    return run


def _event_study(world: World) -> Answer:
    from analysis.did import event_study

    fit = event_study(world.frame, "y", _adoption(world), **_given(world, True), leads=5, lags=4)
    return {k: v / world.scale for k, v in _path(fit.table.reset_index(drop="period" in fit.table)).items()}


def _switching(world: World) -> Answer:
    from analysis.did import switching

    return {k: v / world.scale for k, v in _path(switching(world.frame, "y", "did", **_given(world)).event).items()}


def _regression(name: str, **options: Any) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        from analysis import did

        given = _given(world, name == "two_way") | options
        return _first_term(
            getattr(did, name)(world.frame, "y", "did", **given).table, 1 if name == "poisson" else world.scale
        )

    return run


def _own(call: Callable[[World], float], scaled: bool = True) -> Callable[[World], Answer]:
    return lambda world: call(world) / (world.scale if scaled else 1.0)


def _did(name: str, **options: Any) -> Callable[..., Any]:
    def call(world: World, *columns: str, **more: Any) -> Any:
        from analysis import did

        return getattr(did, name)(world.frame, "y", *columns, **_given(world) | options | more)

    return call


def _learned(world: World) -> float:
    from analysis.did import double_machine_learning

    controls = list(world.controls) or ["x"]
    return double_machine_learning(world.frame, "y", "did", controls, **KEYS, learner="linear").att


def _matched(world: World) -> float:
    from analysis.matching import match

    found = match(world.frame, "did", list(world.controls) or ["x"], replace=True)
    return float(
        found.att("y").table["estimate"].iloc[0] if hasattr(found.att("y"), "table") else found.att("y").estimate
    )


def _balanced(world: World) -> float:
    from analysis.matching import entropy_balance

    frame = world.frame
    weights = entropy_balance(frame, "did", list(world.controls) or ["x"]).weights
    treated = frame["did"].to_numpy(dtype=float, na_value=np.nan) == 1
    weight, y = weights.to_numpy(dtype=float), frame["y"].to_numpy(dtype=float)
    use = np.isfinite(weight)  # rows that the estimator set aside
    return float(
        np.average(y[treated & use], weights=weight[treated & use])
        - np.average(y[~treated & use], weights=weight[~treated & use])
    )


def _two_stage(world: World) -> float:
    from analysis.iv import two_stage

    return float(two_stage(world.frame, "y", ["endogenous"], ["z"], **_given(world)).table["estimate"].iloc[0])


def _spatial(world: World) -> Answer:
    from scipy import sparse

    from analysis.spatial import Weights, panel

    weights = Weights(sparse.csr_array(circle(len(world.labels))), world.labels)
    fit = panel(world.frame, "y", ["x", "did"], weights, model="sar", **KEYS)
    if abs(fit.rho - RHO) > 0.1:
        return float(fit.rho)
    return float(fit.table["estimate"]["x"]) / world.scale


def _threshold(world: World) -> float:
    from analysis.threshold import panel_threshold

    return float(
        panel_threshold(world.frame, "y", "x", "q", **KEYS, draws=1, fixed_effects=("unit", "time"))
        .thresholds["threshold"]
        .iloc[0]
    )


def _scores(world: World) -> float:
    """The largest distance from the true score, plus one."""
    from analysis.efficiency import super_sbm

    frame = world.frame
    table = super_sbm(
        frame, inputs=["x"], outputs=["y"], period="year", frontier="contemporaneous", super_efficiency=False
    ).table
    away = table["score"].to_numpy(dtype=float) - frame["_effect"].to_numpy()
    return 1 + float(np.nanmax(np.abs(away))) if np.isfinite(away).any() else np.nan


def own() -> list[Cell]:
    """The estimators of `analysis`."""
    regression = {"treatment": True}
    adoption = {"adoption": True}
    return [
        Cell(OWN, "two_way", "static", _regression("two_way"), weights=True, **regression),
        Cell(OWN, "event_study", "dynamic", _event_study, weights=True, **adoption),
        Cell(OWN, "callaway_santanna", "dynamic", _staggered("callaway_santanna", True), weights=True, **adoption),
        Cell(
            OWN,
            "callaway_santanna, not yet",
            "dynamic",
            _staggered("callaway_santanna", True, control="not_yet"),
            weights=True,
            **adoption,
        ),
        Cell(OWN, "sun_abraham", "dynamic", _staggered("sun_abraham"), **adoption),
        Cell(OWN, "imputation", "dynamic", _staggered("imputation", True), weights=True, **adoption),
        Cell(OWN, "extended_two_way", "dynamic", _staggered("extended_two_way"), **adoption),
        Cell(OWN, "stacked", "dynamic", _staggered("stacked"), **adoption),
        Cell(OWN, "local_projections", "dynamic", _staggered("local_projections"), **adoption),
        Cell(OWN, "switching", "dynamic", _switching, **regression),
        Cell(OWN, "synthetic", "static", _own(lambda w: _did("synthetic", draws=2)(w, "did").att), **regression),
        Cell(OWN, "bacon", "static", _own(lambda w: _did("bacon")(w, _adoption(w)).overall), **adoption),
        Cell(OWN, "placebo", "static", _own(lambda w: _did("placebo", draws=9)(w, _adoption(w)).actual), **adoption),
        Cell(
            OWN,
            "leave_out",
            "static",
            _own(lambda w: float(_did("leave_out")(w, "did").table["estimate"].median())),
            **regression,
        ),
        Cell(
            OWN,
            "wild_bootstrap",
            "static",
            _own(lambda w: float(_did("wild_bootstrap", draws=99)(w, "did").regression.table["estimate"].iloc[0])),
            **regression,
        ),
        Cell(OWN, "sensitivity", "static", _own(lambda w: _did("sensitivity")(w, "did").estimate), **regression),
        Cell(
            OWN,
            "group_difference",
            "static",
            _own(
                lambda w: float(
                    _did("group_difference", group="_group")(replace_group(w), "did").table["estimate"].mean()
                )
            ),
            **regression,
        ),
        Cell(OWN, "double_machine_learning", "static", _own(_learned), **regression),
        Cell(OWN, "poisson", "counts", _regression("poisson"), **regression),
        Cell(OWN, "dose", "dose", _own(lambda w: _did("dose")(w, "dose").slope)),
        Cell(
            OWN,
            "triple_difference",
            "triple",
            _own(lambda w: _did("triple_difference")(w, "policy", "eligible", "post").att),
        ),
        Cell(
            OWN,
            "mediation",
            "mediated",
            _own(lambda w: float(_did("mediation", draws=99)(w, "did", "mediator").table["estimate"]["total"])),
            **regression,
        ),
        Cell(OWN, "match", "matched", _own(_matched), **regression),
        Cell(OWN, "entropy_balance", "matched", _own(_balanced), **regression),
        Cell(OWN, "two_stage", "instrument", _own(_two_stage)),
        Cell(OWN, "panel_threshold", "threshold", _own(_threshold, scaled=False), controls=False),
        Cell(OWN, "spatial.panel", "spatial", _spatial, controls=False, **regression),
        Cell(OWN, "super_sbm", "scores", _own(_scores, scaled=False), controls=False),
    ]


def replace_group(world: World) -> World:
    """Two groups of cities by their numbers."""
    return world.with_frame(world.frame.assign(_group=world.frame["_index"] % 2))


def _zero(world: World) -> pd.DataFrame:
    """Never treated as 0, which pyfixest and diff-diff ask for, where adoption is numeric."""
    frame = world.frame.drop(columns=["_index", "_effect"])
    if pd.api.types.is_numeric_dtype(frame["first"]):
        frame["first"] = frame["first"].fillna(0)
    return frame


def _formula(world: World, y: str = "y", treatment: str = "did") -> str:
    return f"{y} ~ " + " + ".join([treatment, *world.controls])


def _pyfixest(model: str) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        import pyfixest

        call = pyfixest.fepois if model == "fepois" else pyfixest.feols
        options = {"weights": world.weights} if world.weights else {}
        formula = f"{_formula(world)} | city + year"
        name = "did"
        if model == "iv":
            formula = " + ".join(["y ~ 1", *world.controls]) + " | city + year | endogenous ~ z"
            name = "endogenous"
        fit = call(formula, world.frame, vcov={"CRV1": "city"}, **options)
        coefficients = fit.coef()
        found = [term for term in coefficients.index if term.startswith(name)]
        if not found:
            return None
        return float(coefficients[found[0]]) / (1 if model == "fepois" else world.scale)

    return run


def _pyfixest_event(estimator: str) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        import pyfixest

        keys = {"yname": "y", "idname": "city", "tname": "year", "gname": "first"}
        if estimator == "lpdid":
            table = pyfixest.lpdid(_zero(world), **keys, att=False).tidy()
            periods = [int(float(str(term).split("::")[-1].strip("]"))) for term in table.index]
        else:
            fit = pyfixest.event_study(_zero(world), **keys, estimator=estimator, att=False)
            if estimator != "saturated":  # one average effect, whatever att says
                return float(fit.tidy()["Estimate"].iloc[0]) / world.scale
            table = fit.aggregate().reset_index()
            periods = [int(float(term)) for term in table[table.columns[0]]]
        values = table["Estimate"].astype(float).to_numpy()
        return {k: v / world.scale for k, v in zip(periods, values, strict=True) if np.isfinite(v)}

    return run


def _linearmodels(world: World) -> Answer:
    from linearmodels.panel import PanelOLS

    columns = ["did", *world.controls]
    data = world.frame.set_index(["city", "year"])
    options = {"weights": data[world.weights]} if world.weights else {}
    model = PanelOLS(data["y"], data[columns], entity_effects=True, time_effects=True, **options)
    return float(model.fit(cov_type="clustered", cluster_entity=True).params["did"]) / world.scale


def _linearmodels_iv(world: World) -> Answer:
    from linearmodels.iv import IV2SLS

    exogenous = " + ".join(["1", *world.controls, "C(city)", "C(year)"])
    return (
        float(IV2SLS.from_formula(f"y ~ {exogenous} + [endogenous ~ z]", world.frame).fit().params["endogenous"])
        / world.scale
    )


def _statsmodels(family: str) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        import statsmodels.api as sm
        import statsmodels.formula.api as smf

        formula = f"{_formula(world)} + C(city) + C(year)"
        if family == "poisson":
            fit = smf.glm(formula, world.frame, family=sm.families.Poisson()).fit()
        elif world.weights:
            fit = smf.wls(formula, world.frame, weights=world.frame[world.weights]).fit()
        else:
            fit = smf.ols(formula, world.frame).fit()
        name = next(term for term in fit.params.index if term.startswith("did"))
        return float(fit.params[name]) / (1 if family == "poisson" else world.scale)

    return run


def _diff_diff(name: str, **options: Any) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        import diff_diff

        estimator = getattr(diff_diff, name)(**options)
        frame = _zero(world)
        controls = list(world.controls) or None
        if name in ("LPDiD",):
            found = estimator.fit(frame, "y", "city", "year", "did", covariates=controls)
            table = found.event_study.dropna(subset=["coefficient"])
            return {k: v / world.scale for k, v in _path(table, "horizon", "coefficient").items()}
        if name == "ChaisemartinDHaultfoeuille":
            found = estimator.fit(frame, "y", unit="city", time="year", treatment="did", L_max=2, covariates=controls)
            effects = {int(k) - 1: v for k, v in found.event_study_effects.items() if k >= 1}
        elif name == "WooldridgeDiD":
            found = estimator.fit(frame, "y", "city", "year", "first", xtvar=controls)
            effects = {k: v for k, v in found.aggregate("event_study").event_study_effects.items() if k >= 0}
        else:
            found = estimator.fit(frame, "y", "city", "year", "first", covariates=controls)
            effects = getattr(found, "event_study_effects", None)
            if not effects:
                table = found.aggregate("event_study").to_dataframe()
                return {k: v / world.scale for k, v in _path(table, "event_time", "att").items()}
        values = {int(k): v.get("effect", v.get("att")) for k, v in effects.items()}
        return {k: float(v) / world.scale for k, v in values.items() if v is not None and np.isfinite(v)}

    return run


def _diff_diff_one(name: str) -> Callable[[World], Answer]:
    def run(world: World) -> Answer:
        import diff_diff

        frame = _zero(world)
        if name == "BaconDecomposition":
            return (
                float(diff_diff.BaconDecomposition().fit(frame, "y", "city", "year", "first").twfe_estimate)
                / world.scale
            )
        if name == "TripleDifference":
            found = diff_diff.TripleDifference().fit(frame, "y", "policy", "eligible", post="post")
            return float(found.att) / world.scale
        frame["dose"] = frame.groupby("city")["dose"].transform("max")
        found = diff_diff.ContinuousDiD(degree=1).fit(frame, "y", "city", "year", "first", "dose")
        return float(found.overall_acrt) / world.scale

    return run


def _spreg(world: World) -> Answer:
    import libpysal
    import spreg

    frame = world.frame.sort_values(["year", "city"])
    weights = libpysal.weights.util.full2W(circle(len(world.labels)))
    y, x = frame[["y"]].to_numpy(), frame[["x", "did"]].to_numpy()
    fit = spreg.Panel_FE_Lag(y, x, weights)  # unit effects alone; years enter below
    dummies = pd.get_dummies(frame["year"], drop_first=True).to_numpy(float)
    fit = spreg.Panel_FE_Lag(y, np.column_stack([x, dummies]), weights)
    if abs(float(fit.rho) - RHO) > 0.1:
        return float(fit.rho)
    return float(np.ravel(fit.betas)[0]) / world.scale


def others() -> list[Cell]:
    """Other engines, as their own documentation calls them."""
    regression, adoption = {"treatment": True}, {"adoption": True}
    cells = [
        Cell("pyfixest", "feols", "static", _pyfixest("feols"), weights=True, **regression),
        Cell("linearmodels", "PanelOLS", "static", _linearmodels, weights=True, **regression),
        Cell("statsmodels", "OLS with dummies", "static", _statsmodels("linear"), weights=True, **regression),
        Cell("pyfixest", "fepois", "counts", _pyfixest("fepois"), **regression),
        Cell("statsmodels", "Poisson GLM with dummies", "counts", _statsmodels("poisson"), **regression),
        Cell("pyfixest", "feols, instrument", "instrument", _pyfixest("iv")),
        Cell("linearmodels", "IV2SLS with dummies", "instrument", _linearmodels_iv),
    ]
    cells += [
        Cell(
            "pyfixest",
            f"event_study, {name}" if name != "lpdid" else name,
            "static" if name in ("twfe", "did2s") else "dynamic",
            _pyfixest_event(name),
            controls=False,
            **adoption,
        )
        for name in ("twfe", "did2s", "saturated", "lpdid")
    ]
    cells += [
        Cell(
            "diff-diff",
            name,
            "dynamic",
            _diff_diff(name, **options),
            **(regression if name in ("LPDiD", "ChaisemartinDHaultfoeuille") else adoption),
        )
        for name, options in {
            "CallawaySantAnna": {},
            "SunAbraham": {},
            "ImputationDiD": {},
            "TwoStageDiD": {},
            "WooldridgeDiD": {},
            "StackedDiD": {},
            "LPDiD": {"post_window": 2, "reweight": True},
            "ChaisemartinDHaultfoeuille": {},
            "EfficientDiD": {},
        }.items()
    ]
    cells += [
        Cell(
            "diff-diff",
            "BaconDecomposition",
            "static",
            _diff_diff_one("BaconDecomposition"),
            controls=False,
            **adoption,
        ),
        Cell("diff-diff", "TripleDifference", "triple", _diff_diff_one("TripleDifference"), controls=False),
        Cell("diff-diff", "ContinuousDiD", "dose", _diff_diff_one("ContinuousDiD"), controls=False, **adoption),
        Cell("spreg", "Panel_FE_Lag", "spatial", _spreg, controls=False, **regression),
    ]
    return cells

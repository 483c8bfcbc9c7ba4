"""The cells of the coverage study: which panels are drawn, what each estimator does with them, and what is true.

How cells are run and tabulated is in study.py, how tables are written in report.py, the panels themselves in
`analysis.simulation.panels`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import did
from analysis.did.callaway_santanna import GroupTimeEffects
from analysis.did.honest import HonestIntervals
from analysis.iv import two_stage
from analysis.matching import match
from analysis.simulation.panels import (
    Cohort,
    CrossSectionDesign,
    InstrumentDesign,
    PanelDesign,
    SimulatedPanel,
    projection,
    simulate_cross_section,
    simulate_instrument,
    simulate_panel,
)

SEED = 20240501
KEYS: dict[str, Any] = {"unit": "unit", "time": "time"}
#: The event window; ends are binned in `event_study`.
LEADS, LAGS = 3, 4
PERIODS = [k for k in range(-LEADS, LAGS + 1) if k != -1]

#: What is asserted of a coverage: 95% within three Monte Carlo errors, at least 94%, or nothing.
EXACT, CONSERVATIVE, REPORTED = "exact", "conservative", "reported"
#: A number without an interval.
DESCRIPTION = "description"
#: Estimands: with the effects and the shares of cohorts that units are drawn from; with the effects that the units of
#: the panel have; with the mean effects of their cohorts, weighted by the cohorts' sizes in the panel.
POPULATION, SAMPLE, COHORTS = "population", "these units", "these cohorts"
EFFECT, NULL = "the effect", "true null"

Label = tuple[str, str, str, str]


class Row(NamedTuple):
    """One number of one panel: estimator, quantity, estimand and rule, then the estimate, whether its interval covers.

    ``att`` is the average effect on the treated units of the panel, for the table of biases.
    """

    estimator: str
    quantity: str
    estimand: str
    rule: str
    estimate: float
    se: float
    covered: bool
    truth: float
    att: float = float("nan")


def from_table(label: Label, line: pd.Series, truth: float, att: float = float("nan")) -> Row:
    """A row from a line with ``estimate``, ``se``, ``low`` and ``high``."""
    return from_ends(label, line["estimate"], line["se"], line["low"], line["high"], truth, att)


def from_ends(
    label: Label, estimate: float, se: float, low: float, high: float, truth: float, att: float = float("nan")
) -> Row:
    """A row from an estimate, its standard error and its interval."""
    return Row(*label, float(estimate), float(se), bool(low <= truth <= high), float(truth), float(att))


def from_se(label: Label, estimate: float, se: float, truth: float, att: float, freedom: float = np.inf) -> Row:
    """A row from an estimate and its standard error, for results without an interval."""
    margin = float(stats.t.ppf(0.975, freedom)) * se
    return from_ends(label, estimate, se, estimate - margin, estimate + margin, truth, att)


def from_test(label: Label, p: float) -> Row:
    """A row for a test of a null that is true: it covers when it does not reject at 5%."""
    return Row(*label, float("nan"), float("nan"), bool(p > 0.05), float("nan"))


def described(estimator: str, quantity: str, value: float) -> Row:
    """A row for a number that has no interval."""
    return Row(estimator, quantity, "", DESCRIPTION, float(value), float("nan"), False, float("nan"))


@dataclass(frozen=True)
class Truths:
    """Every estimand of one panel, from the effects alone."""

    panel: SimulatedPanel

    @property
    def since(self) -> np.ndarray:
        """Time since adoption by cohort (cohorts + 1, times), -inf for the never treated."""
        design = self.panel.design
        return np.arange(1, design.times + 1) - design.adoption[:, None]

    def two_way(self, estimand: str) -> float:
        """The sum of w tau with the residualised treatment as weights."""
        panel, design = self.panel, self.panel.design
        if estimand == SAMPLE:
            return float(projection(panel.effect, panel.treated[None])[0])
        return float(projection(design.effects, design.treated[None], design.shares)[0])

    def event_study(self, estimand: str) -> dict[int, float]:
        """The coefficients that the regression on period dummies gives the effects themselves."""
        panel, design = self.panel, self.panel.design
        if estimand == SAMPLE:
            values = projection(panel.effect, _dummies(panel.relative))
        else:
            values = projection(design.effects, _dummies(self.since), design.shares)
        return dict(zip(PERIODS, values, strict=True))

    def cells(self, estimand: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean effect and weight by cohort and time, each (cohorts + 1, times); no weight where untreated."""
        panel, design = self.panel, self.panel.design
        if estimand == POPULATION:
            return design.effects, design.shares[:, None] * design.treated
        count = np.bincount(panel.cohort, minlength=len(design.shares)).astype(float)
        if estimand == COHORTS:
            return design.effects, count[:, None] * design.treated
        sums = np.zeros_like(design.effects)
        np.add.at(sums, panel.cohort, panel.effect)
        return sums / np.maximum(count, 1)[:, None], count[:, None] * design.treated

    def average(self, estimand: str) -> float:
        """Average over treated cells by weight."""
        return _mean(*self.cells(estimand))

    def periods(self, estimand: str, periods: Sequence[int] = PERIODS) -> dict[int, float]:
        """Average by time since adoption, zero before."""
        effect, weight = self.cells(estimand)
        return {k: 0.0 if k < 0 else _mean(effect, weight * (self.since == k)) for k in periods}

    def callaway_santanna(self) -> dict[str, float]:
        """The four overall averages of Callaway and Sant'Anna (2021, table 1), in the population."""
        effect, weight = self.cells(POPULATION)
        last = int(self.since.max())
        by_cohort = [_mean(e, w) for e, w in zip(effect[:-1], weight[:-1], strict=True)]
        by_time = [_mean(effect[:, t], weight[:, t]) for t in range(weight.shape[1]) if weight[:, t].any()]
        return {
            "simple": _mean(effect, weight),
            "dynamic": float(np.mean(list(self.periods(POPULATION, range(last + 1)).values()))),
            "group": float(np.average(by_cohort, weights=self.panel.design.shares[:-1])),
            "calendar": float(np.mean(by_time)),
        }


def _mean(effect: np.ndarray, weight: np.ndarray) -> float:
    return float((effect * weight).sum() / weight.sum())


def _dummies(relative: np.ndarray) -> np.ndarray:
    """Period dummies (periods, rows, times), ends binned; zero for the never treated."""
    period = np.where(np.isfinite(relative), np.clip(relative, -LEADS, LAGS), np.inf)
    return np.stack([(period == k).astype(float) for k in PERIODS])


def homogeneous(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """All effects are one, so that all estimands coincide."""
    panel = simulate_panel(design, seed)
    frame, att = panel.frame, panel.att
    fit = did.two_way(frame, "y", "treated", **KEYS)
    yield from_table(("two_way", "treated", EFFECT, EXACT), fit.table.loc["treated"], 1.0, att)
    bare = did.two_way(frame, "y", "treated", **KEYS, cluster=None)
    yield from_table(
        ("two_way, errors taken as independent", "treated", EFFECT, REPORTED), bare.table.loc["treated"], 1
    )
    study = did.event_study(frame, "y", "adoption", **KEYS, leads=LEADS, lags=LAGS)
    for k in PERIODS:
        yield from_table(("event_study", f"period {k:+d}", EFFECT, EXACT), study.table.loc[k], float(k >= 0))
    yield from_test(("event_study", "leads jointly zero", NULL, EXACT), study.pretrend.p)
    yield from _staggered(panel, frame, [(SAMPLE, EXACT)])
    permuted = did.placebo(frame, "y0", "adoption", **KEYS, draws=199, seed=seed[-1])
    yield from_test(("placebo", "no effect", NULL, EXACT), permuted.p_value)


def heterogeneous(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Effects grow, differ by cohort and vary between units."""
    panel = simulate_panel(design, seed)
    frame, truths, att = panel.frame, Truths(panel), panel.att
    fit = did.two_way(frame, "y", "treated", **KEYS)
    study = did.event_study(frame, "y", "adoption", **KEYS, leads=LEADS, lags=LAGS)
    for estimand, rule in ((POPULATION, EXACT), (SAMPLE, CONSERVATIVE)):
        truth, path = truths.two_way(estimand), truths.event_study(estimand)
        yield from_table(("two_way", "treated", estimand, rule), fit.table.loc["treated"], truth, att)
        for k in PERIODS:
            yield from_table(("event_study", f"period {k:+d}", estimand, rule), study.table.loc[k], path[k])
    yield from _staggered(panel, frame, [(COHORTS, EXACT), (SAMPLE, CONSERVATIVE)])
    other = did.callaway_santanna(frame, "y", "adoption", **KEYS, control="not_yet")
    truth = truths.average(POPULATION)
    label = ("callaway_santanna, not yet treated", "simple", POPULATION, EXACT)
    yield from_table(label, other.overall.loc["simple"], truth, att)
    parts = did.bacon(frame, "y", "adoption", **KEYS).by_type
    for kind, line in parts.iterrows():
        yield described("bacon", f"{kind}: weight", line["weight"])
        yield described("bacon", f"{kind}: estimate", line["estimate"])


def _staggered(panel: SimulatedPanel, frame: pd.DataFrame, ours: list[tuple[str, str]]) -> Iterator[Row]:
    """The estimators robust to staggered adoption; ``ours`` holds estimand and rule of those that take sizes as given.

    Leads measure zero whatever the estimand and have one row.
    """
    truths, att = Truths(panel), panel.att
    cs = did.callaway_santanna(frame, "y", "adoption", **KEYS, draws=499, seed=panel.design.units)
    for name, truth in truths.callaway_santanna().items():
        aim = att if name == "simple" else float("nan")
        yield from_table(("callaway_santanna", name, POPULATION, EXACT), cs.overall.loc[name], truth, aim)
    path = truths.periods(POPULATION)
    for k in PERIODS:
        yield from_table(("callaway_santanna", f"period {k:+d}", POPULATION, EXACT), cs.event.loc[k], path[k])
    yield _uniform_band(cs, truths, REPORTED)
    for name, estimator in (("sun_abraham", did.sun_abraham), ("imputation", did.imputation)):
        fit = estimator(frame, "y", "adoption", **KEYS)
        for place, (estimand, rule) in enumerate(ours):
            truth, path = truths.average(estimand), truths.periods(estimand)
            yield from_se((name, "att", estimand, rule), fit.att, fit.se, truth, att, fit.degrees_of_freedom)
            for k in PERIODS:
                if place == 0 or k >= 0:
                    yield from_table((name, f"period {k:+d}", estimand, rule), fit.event.loc[k], path[k])


def _uniform_band(fit: GroupTimeEffects, truths: Truths, rule: str) -> Row:
    """Whether the simultaneous band holds the whole path."""
    path = pd.Series(truths.periods(POPULATION, [int(k) for k in fit.event.index]))
    inside = (fit.event["low_uniform"] <= path) & (path <= fit.event["high_uniform"])
    label = ("callaway_santanna", "uniform band, all periods", POPULATION, rule)
    return Row(*label, float("nan"), float("nan"), bool(inside.all()), float("nan"))


def many_units(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """The simultaneous band where units are many enough for it."""
    panel = simulate_panel(design, seed)
    fit = did.callaway_santanna(panel.frame, "y", "adoption", **KEYS, draws=499, seed=panel.design.units)
    yield _uniform_band(fit, Truths(panel), EXACT)


def conditional(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Adoption depends on x and so do trends: parallel only given x, which estimators are told. Effects are one."""
    panel = simulate_panel(design, seed)
    frame = panel.frame
    promise = EXACT if design.units >= 400 else REPORTED
    bare = did.two_way(frame, "y", "treated", **KEYS)
    yield from_table(("two_way, x ignored", "treated", EFFECT, REPORTED), bare.table.loc["treated"], 1.0)
    fit = did.two_way(frame, "y", "treated", ["x_time"], **KEYS)
    yield from_table(("two_way", "treated", EFFECT, EXACT), fit.table.loc["treated"], 1.0)
    yield from_table(("two_way", "slope of the control", EFFECT, EXACT), fit.table.loc["x_time"], design.trend)
    study = did.event_study(frame, "y", "adoption", ["x_time"], **KEYS, leads=LEADS, lags=LAGS)
    for k in PERIODS:
        yield from_table(("event_study", f"period {k:+d}", EFFECT, EXACT), study.table.loc[k], float(k >= 0))
    for method in ("dr", "reg", "ipw"):
        cs = did.callaway_santanna(frame, "y", "adoption", ["x"], **KEYS, method=method)
        for name in ("simple", "dynamic", "group", "calendar"):
            yield from_table((f"callaway_santanna, {method}", name, EFFECT, promise), cs.overall.loc[name], 1.0)
    for name, estimator in (("sun_abraham", did.sun_abraham), ("imputation", did.imputation)):
        result = estimator(frame, "y", "adoption", ["x_time"], **KEYS)
        yield from_se((name, "att", EFFECT, EXACT), result.att, result.se, 1.0, np.nan, result.degrees_of_freedom)


def groups(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Two groups of units whose effects are equal: each group's interval, and the test that they are equal."""
    frame = simulate_panel(design, seed).frame
    result = did.group_difference(frame, "y", "treated", [], group="group", **KEYS)
    for name in (0, 1):
        yield from_table(("group_difference", f"group {name}", EFFECT, EXACT), result.table.loc[name], 1.0)
    yield from_test(("group_difference", "groups equal", NULL, EXACT), result.chow.p)


def many_treated(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """What resamples, where treated clusters are many: the wild cluster bootstrap and the permutation of groups."""
    yield from _bootstrap(design, seed, EXACT)
    frame = simulate_panel(design, seed).frame
    result = did.group_difference(frame, "y", "treated", [], group="group", **KEYS, permutations=99, seed=seed[-1])
    yield from_test(("group_difference", "groups equal, by permutation", NULL, EXACT), result.permutation_p)


def few_treated(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Few treated clusters, where only the permutation test promises its size."""
    yield from _bootstrap(design, seed, REPORTED)


def _bootstrap(design: PanelDesign, seed: list[int], rule: str) -> Iterator[Row]:
    frame = simulate_panel(design, seed).frame
    wild = did.wild_bootstrap(frame, "y", "treated", **KEYS, draws=399, seed=seed[-1])
    yield from_table(("two_way", "treated", EFFECT, rule), wild.regression.table.loc["treated"], 1.0)
    yield from_table(("wild_bootstrap", "treated", EFFECT, rule), wild.table.loc["treated"], 1.0)
    permuted = did.placebo(frame, "y0", "adoption", **KEYS, draws=199, seed=seed[-1])
    yield from_test(("placebo", "no effect", NULL, EXACT), permuted.p_value)


def drifting(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Treated units drift away on a straight line: an interval that ignores it, and two that allow for it."""
    study = _study_of_one_cohort(design, seed)
    yield from_table(("event_study", "period +0", EFFECT, REPORTED), study.table.loc[0], 1.0)
    smooth = did.honest(study, restriction="smoothness", bounds=(0.0, design.drift))
    yield _honest(smooth, 0, "M = 0", EXACT)
    yield _honest(smooth, 1, f"M = {design.drift:g}", CONSERVATIVE)


def drifting_relative(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """The same drift, allowed for as no larger than before adoption."""
    relative = did.honest(_study_of_one_cohort(design, seed), restriction="relative", bounds=(1.0,))
    yield _honest(relative, 0, "Mbar = 1", CONSERVATIVE)


def _study_of_one_cohort(design: PanelDesign, seed: list[int]) -> did.EventStudy:
    frame, first = simulate_panel(design, seed).frame, design.cohorts[0].time
    leads, lags = first - 1, design.times - first
    return did.event_study(frame, "y", "adoption", **KEYS, leads=leads, lags=lags, bin_ends=False)


def _honest(result: HonestIntervals, place: int, bound: str, rule: str) -> Row:
    low, high = result.table.loc[place, ["low", "high"]].to_numpy(dtype=float)
    label = (f"honest, {result.restriction}", f"period +0, {bound}", EFFECT, rule)
    return from_ends(label, (low + high) / 2, np.nan, low, high, 1.0)


def instrument(design: InstrumentDesign, seed: list[int]) -> Iterator[Row]:
    """An endogenous treatment and valid instruments; where they are weak only the Anderson-Rubin set promises 95%."""
    frame = simulate_instrument(design, seed)
    rule = EXACT if design.strength >= 0.5 else REPORTED
    bare = did.two_way(frame, "y", "treated", **KEYS)
    yield from_table(("two_way", "treated", EFFECT, REPORTED), bare.table.loc["treated"], design.effect)
    for name, columns in (("one instrument", ["z_post"]), ("two instruments", ["z_post", "z2_post"])):
        fit = two_stage(frame, "y", ["treated"], columns, **KEYS)
        label = f"two_stage, {name}"
        yield from_table((label, "treated", EFFECT, rule), fit.table.loc["treated"], design.effect)
        small = two_stage(frame, "y", ["treated"], columns, **KEYS, small=True)
        for which, found, promise in (("", small, EXACT), (", chi-squared", fit, REPORTED)):
            inside = design.effect in found.anderson_rubin
            yield Row(label, f"Anderson-Rubin set{which}", EFFECT, promise, np.nan, np.nan, inside, np.nan)
        if len(columns) > 1:
            yield from_test((label, "Hansen's J", NULL, rule), fit.j_p)
        yield described(label, "Kleibergen-Paap F", fit.kp_rk_wald_f)


def matching(design: CrossSectionDesign, seed: list[int]) -> Iterator[Row]:
    """Matching on an estimated propensity score.

    The linear score of one covariate is a monotone function of it and orders units as if it were known, so the variance
    of Abadie and Imbens (2006) is exact; of several covariates it is an approximation (Abadie and Imbens 2016).
    """
    frame = simulate_cross_section(design, seed)
    names = [f"x{j + 1}" for j in range(len(design.slopes))]
    own = float(frame.loc[frame["treated"] == 1, "effect"].mean())
    theory = (EXACT, CONSERVATIVE) if len(names) == 1 else (REPORTED, REPORTED)
    nearest: dict[str, Any] = {"replace": True, "ties": "first", "scale": "logit"}
    kinds: list[tuple[str, dict[str, Any], int, tuple[str, str]]] = [
        ("nearest", nearest, 0, theory),
        ("nearest, variance by 4 neighbours", nearest, 4, theory),
        ("4 nearest", {**nearest, "neighbours": 4}, 0, theory),
        ("nearest, without replacement", {"replace": False, "scale": "logit"}, 0, (REPORTED, REPORTED)),
        ("radius", {"method": "radius", "caliper": 0.02}, 0, (CONSERVATIVE, CONSERVATIVE)),
        ("kernel", {"method": "kernel", "bandwidth": 0.03}, 0, (CONSERVATIVE, CONSERVATIVE)),
    ]
    for name, options, neighbours, rules in kinds:
        effect = match(frame, "treated", names, **options).att("y", variance_neighbours=neighbours)
        ends = (effect.estimate, effect.se, effect.low, effect.high)
        yield from_ends((f"match, {name}", "att", POPULATION, rules[0]), *ends, design.att)
        yield from_ends((f"match, {name}", "att", SAMPLE, rules[1]), *ends, own)


def synthetic(design: PanelDesign, seed: list[int]) -> Iterator[Row]:
    """Synthetic difference-in-differences with both of its standard errors, and the two-way regression beside it.

    Cohorts are of fixed size and units of a cohort have one effect, so the average effect is the same in every panel.
    """
    panel = simulate_panel(design, seed)
    frame, truths, att = panel.frame, Truths(panel), panel.att
    result = did.synthetic(frame, "y", "treated", **KEYS, draws=100, seed=seed[-1])
    for method, rule in (("placebo", EXACT), ("jackknife", CONSERVATIVE)):
        se = float(result.standard_errors["se"][method])
        yield from_se((f"synthetic, {method}", "att", SAMPLE, rule), result.att, se, att, att)
    fit = did.two_way(frame, "y", "treated", **KEYS)
    label = ("two_way", "treated", SAMPLE, CONSERVATIVE)
    yield from_table(label, fit.table.loc["treated"], truths.two_way(SAMPLE), att)


@dataclass(frozen=True)
class Cell:
    """Panels of one design and what is done with each."""

    name: str
    design: Any
    panels: int
    run: Callable[[Any, list[int]], Iterator[Row]]


#: Early adopters gain more, and gains grow: what a two-way regression gets wrong.
GROWING = (Cohort(4, 0.2, 1.0, 0.3), Cohort(6, 0.2, 0.7, 0.2), Cohort(8, 0.2, 0.4, 0.1))
GROWING_50_OF_250 = (Cohort(5, 0.12, 1.0, 0.3), Cohort(7, 0.08, 0.4, 0.1))
EIGHTEEN = (Cohort(5, 8 / 286), Cohort(6, 7 / 286), Cohort(7, 3 / 286))

DRIFTING = PanelDesign(times=8, cohorts=(Cohort(5, 0.5),), drift=0.1)

CELLS = (
    Cell("homogeneous", PanelDesign(), 2000, homogeneous),
    Cell("heterogeneous", PanelDesign(cohorts=GROWING, spread=0.5), 2000, heterogeneous),
    Cell("groups", PanelDesign(), 2000, groups),
    Cell("instrument", InstrumentDesign(), 2000, instrument),
    Cell("matching on one covariate", CrossSectionDesign(1000, -1.2, (0.5,), 0.5), 2000, matching),
    Cell("drifting", DRIFTING, 2000, drifting),
    Cell("drifting, relative bounds", DRIFTING, 500, drifting_relative),
    Cell("many treated", PanelDesign(), 500, many_treated),
    Cell("18 of 286 treated", PanelDesign(286, 9, EIGHTEEN, exact=True), 500, few_treated),
    Cell("5 of 286 treated", PanelDesign(286, 9, (Cohort(5, 5 / 286),), exact=True), 500, few_treated),
    Cell("weak instrument", InstrumentDesign(strength=0.08), 2000, instrument),
    Cell("matching on two covariates", CrossSectionDesign(1000, -1.2, (0.5, 0.4), 0.5), 500, matching),
    Cell("synthetic", PanelDesign(250, 10, GROWING_50_OF_250, exact=True), 200, synthetic),
    Cell("conditional", PanelDesign(units=400, selection=0.5, trend=0.1), 1000, conditional),
    Cell("1,000 units", PanelDesign(units=1000), 500, many_units),
    Cell("conditional, 200 units", PanelDesign(selection=0.5, trend=0.1), 1000, conditional),
)


def run_panel(cell: Cell, panel: int) -> pd.DataFrame:
    """Every row of one panel; its seed depends on the study's, the cell's name and the panel's number only."""
    seed = [SEED, zlib.crc32(cell.name.encode()), panel]
    return pd.DataFrame(cell.run(cell.design, seed), columns=list(Row._fields)).assign(cell=cell.name, panel=panel)


def design_hash() -> str:
    """Of the constants that define the study; what estimators make of them shows in slice.csv."""
    cells = [(cell.name, repr(cell.design), cell.panels, cell.run.__name__) for cell in CELLS]
    return hashlib.sha256(repr((SEED, LEADS, LAGS, cells)).encode()).hexdigest()[:16]

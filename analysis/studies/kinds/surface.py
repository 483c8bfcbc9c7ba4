"""Every defensible specification of the same question, listed and hashed before an outcome is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from analysis.documents import Between, Different, Word, faults
from analysis.names import FLAGS
from analysis.printing.table import Content, Line, Panel, Reasons, count, number
from analysis.results import stars
from analysis.studies.kinds._columns import outcome_notes, p_value
from analysis.studies.kinds._kind import File, Given, Kind, Picture
from analysis.studies.kinds._reading import Choices, WrittenExhibit, WrittenSubsample, baseline_of
from analysis.studies.methods import METHODS, Row
from analysis.studies.records import TIMES, Exhibit, Label, Model, Study
from analysis.studies.result import NOT_COMPUTED, ExhibitResult, estimate_row
from analysis.studies.surface.plan import (
    DIMENSIONS,
    FIRST_YEAR,
    SAME_YEAR,
    TWO_WAY,
    YEAR_BEFORE,
    Option,
    Plan,
    specifications,
)
from analysis.studies.written import BothLanguages, Effects, Flag, Quantiles, StudyColumn, StudyColumns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.studies.surface.result import Surface

#: Draws of the joint test where nothing else is said: what a run can afford.
DRAWS = 99
#: Up to so many controls every subset is a set of its own; beyond, those that leave out or keep at most `FEW`.
ALL_SUBSETS, FEW = 5, 2
#: Years of the epidemic.
EPIDEMIC = (2020, 2022)
#: Province, rank and capital in data/reference/cities.csv.
PROVINCE, RANK, CAPITAL = "province_code", "level", "provincial_capital"

_SAMPLES = {
    "municipalities": (
        ("Without the municipalities", "剔除直辖市"),
        ("Their rank and size have no like among other cities.", "其行政级别与规模在其他城市中没有可比对象。"),
    ),
    "capitals": (
        ("Without municipalities and provincial capitals", "剔除直辖市与省会"),
        ("Seats of government get pilots and funds for other reasons too.", "政府所在地获得试点与资金另有原因。"),
    ),
    "sub_provincial": (
        ("Without municipalities and sub-provincial cities", "剔除直辖市与副省级城市"),
        ("They decide on more themselves than a prefecture does.", "其自主权限大于一般地级市。"),
    ),
    "changed_borders": (
        ("Without cities whose borders changed", "剔除区划调整的城市"),
        ("Their figures before and after are of different areas.", "其前后数据口径对应不同的区域。"),
    ),
    "epidemic": (
        ("Without 2020 to 2022", "剔除2020至2022年"),
        ("The epidemic hit cities at different times.", "疫情对各城市冲击的时点不同。"),
    ),
    "first_years": (
        ("Without the first years", "剔除最初年份"),
        ("Early figures are the least complete.", "早期数据最不完整。"),
    ),
    "last_years": (
        ("Without the last years", "剔除最后年份"),
        ("Late figures are revised and patents still pending.", "末期数据会修订，专利尚在审查。"),
    ),
    "balanced": (
        ("Units with every year", "仅保留各年齐全的个体"),
        ("Who reports may depend on the policy.", "是否有数据可能与政策有关。"),
    ),
}
_FILLINGS = {
    "measured": (
        ("Measured values alone", "仅用实测值"),
        ("A filled value is no observation.", "插补值并非观测值。"),
    ),
    "neighbour_mean": (
        ("Mean of the neighbouring years", "相邻年份均值"),
        ("The usual alternative to a straight line.", "线性插补之外的常用做法。"),
    ),
    "linear": (
        ("Straight line between neighbouring years", "线性插值"),
        ("The usual alternative to the neighbours' mean.", "相邻均值之外的常用做法。"),
    ),
}
_SCALES = {
    "level": (("Level", "水平值"), ("What the policy changes is a quantity.", "政策改变的是数量。")),
    "log": (("Logarithm", "自然对数"), ("Effects in percent do not hang on size.", "百分比效应不依赖规模。")),
    "log1p": (("ln(1 + x)", "ln(1 + x)"), ("Logarithm that keeps zeros.", "保留零值的对数。")),
    "asinh": (("Inverse hyperbolic sine", "反双曲正弦"), ("Logarithm that keeps zeros.", "保留零值的对数。")),
}
_TIMINGS = {
    SAME_YEAR: Label("Same year", "当年"),
    YEAR_BEFORE: Label("Year before", "滞后一年"),
    FIRST_YEAR: Label("First year's value × trend", "首年值×时间趋势"),
}
_OWN = Label("As stated", "同基准")
_OWN_REASON = Label("The study's own choice.", "研究本身的选择。")
OWN_TRENDS = "own trends"


def _known(words: dict[str, Any], what: str) -> Any:
    return Annotated[tuple[Annotated[str, Word(what, tuple(words))], ...], Different()]


def _robust() -> dict[str, str]:
    """Word -> method of the estimators of the mean effect on treated rows that need no draws."""
    return {
        line.word: name
        for name, method in METHODS.items()
        for line in method.estimators
        if method.estimand == "treated" and method.clustered and line.standard and line.controlled
    }


class OwnSample(WrittenSubsample):
    """A sample of the study's own."""

    label: BothLanguages = Field(description="What the list calls it.")
    reason: BothLanguages | None = Field(default=None, description="Why it keeps the question.")


class Written(WrittenExhibit):
    """Every defensible specification; a key that is off means the choices that the study's own words allow."""

    outcomes: StudyColumns | None = Field(default=None, description="A surface each; the study's when this is off.")
    baseline: Choices = Field(description="The specification from which the others depart.", default_factory=Choices)
    measures: dict[StudyColumn, StudyColumns] = Field(
        default_factory=dict, description="Outcome: other variables that measure the same, as another inventory does."
    )
    scales: _known(_SCALES, "a scale") | None = Field(  # type: ignore[valid-type]
        default=None, description="Scales of the outcome beside the study's own."
    )
    filling: _known(_FILLINGS, "a way to fill gaps") | None = Field(  # type: ignore[valid-type]
        default=None, description="Ways to fill gaps beside the study's own; `measured` uses no filled value."
    )
    longest_gap: Annotated[tuple[Annotated[int, Between(1, 50)], ...], Different()] | None = Field(
        default=None, description="Longest gaps, in years, whose filled values are used."
    )
    winsorising: tuple[Quantiles | None, ...] | None = Field(
        default=None, description="Quantiles to which tails are pulled in, beside the study's own; null: none."
    )
    dates: Annotated[tuple[Annotated[int, Between(-10, 10)], ...], Different()] = Field(
        default=(-1, 1), description="Years by which the first treated year is moved."
    )
    listed: Flag = Field(
        default=True,
        description="Whether the policy list's other years count, and only its checked entries, each as a choice.",
    )
    leave_out: _known(_SAMPLES, "a part of the sample") | None = Field(  # type: ignore[valid-type]
        default=None, description="Parts of the sample, each left out in turn."
    )
    samples: tuple[OwnSample, ...] = Field(default=(), description="Further samples.")
    controls: tuple[StudyColumns, ...] | None = Field(
        default=None, description="Sets of controls; every subset of the baseline's when this is off."
    )
    timing: _known(_TIMINGS, "a time of the controls") | None = Field(  # type: ignore[valid-type]
        default=None, description="When controls are taken."
    )
    effects: tuple[Effects, ...] | None = Field(default=None, description="Fixed effects beside the baseline's.")
    own_trends: Flag = Field(default=True, description="Whether a linear trend of each unit is a choice.")
    clusters: tuple[Effects, ...] | None = Field(default=None, description="Clusters beside the baseline's.")
    estimators: _known(_robust(), "an estimator") | None = Field(  # type: ignore[valid-type]
        default=None, description="Estimators beside the two-way regression, on the subset that the note states."
    )
    draws: Annotated[int, Between(1, 100_000)] = Field(default=DRAWS, description="Of the joint test.")
    seed: Annotated[int, Between(0, 2**32 - 1)] = Field(default=0, description="Of the draws.")

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        outcomes = self.outcomes or study.outcomes
        base = self.baseline.chosen(baseline_of(study), study)
        if len(base.cluster) != 1:
            raise faults({("baseline",): "a surface clusters by one column at a time; name it under `cluster`."})
        models = tuple(replace(base, label=outcome, outcome=outcome) for outcome in outcomes)
        return replace(common, models=models, plan=self.plan(outcomes, base, study))

    def plan(self, outcomes: Sequence[str], base: Model, study: Study) -> Plan:
        """The surface of a study."""
        cities = study.panel is None or study.panel.cities
        estimators = _robust()
        return Plan(
            outcomes=tuple(outcomes),
            baseline=base,
            options={
                "filling": tuple(self._fillings(study, outcomes, base)),
                "winsorising": tuple(self._winsorisings(study, outcomes, base)),
                "dating": tuple(self._datings(study)),
                "sample": tuple(self._samples(study, base)),
                "effects": tuple(self._effects(base, cities=cities)),
                "cluster": tuple(self._clusters(base, cities=cities)),
            },
            measures={outcome: tuple(self._measures(outcome, study)) for outcome in outcomes},
            scales={outcome: tuple(self._scales(outcome, study)) for outcome in outcomes},
            controls=tuple(self._controls(base)),
            estimators={
                word: estimators[word] for word in (self.estimators if self.estimators is not None else estimators)
            },
            draws=self.draws,
            seed=self.seed,
        )

    def _measures(self, outcome: str, study: Study) -> Iterator[Option]:
        yield _stated(outcome)
        others = self.measures.get(outcome)
        if others is None:
            source = {variable.name: variable.source for variable in study.variables}
            frontiers = [score.columns for score in study.efficiency if source.get(outcome) in score.columns]
            others = tuple(
                name
                for columns in frontiers
                for name, drawn in source.items()
                if drawn in columns and drawn != source[outcome]
            )
        for name in others:
            why = Label("Measures the same by another method or source.", "以另一方法或来源度量同一对象。")
            yield Option(name, study.label(name), why, name)

    def _scales(self, outcome: str, study: Study) -> Iterator[Option]:
        yield _stated()
        variable = next((each for each in study.variables if each.name == outcome), None)
        own = "level" if variable is None or variable.scale == "none" else variable.scale
        changed = variable is not None and (variable.change != "none" or variable.standardise)
        scored = variable is not None and any(variable.source in score.columns for score in study.efficiency)
        usual = ("log",) if scored else ("log1p", "asinh") if own == "level" else ("asinh",)
        for word in self.scales if self.scales is not None else () if changed else usual:
            if word != own:
                yield _option(word, _SCALES[word], word)

    def _fillings(self, study: Study, outcomes: Sequence[str], base: Model) -> Iterator[Option]:
        yield _stated(("stated", 0))
        used = {*outcomes, *base.controls}
        own = {variable.interpolate for variable in study.variables if variable.name in used} - {"none"}
        # where the study fills nothing, a filling is of its controls: outcomes stay as measured
        way = "method" if own else "fill"
        usual = tuple(word for word in _FILLINGS if word not in own) if own else ("linear",)
        for word in self.filling if self.filling is not None else usual:
            value = ("measured", 0) if word == "measured" else (way, word)
            yield _option(word, _FILLINGS[word], value)
        for years in self.longest_gap if self.longest_gap is not None else (1,) if own else ():
            many = "s" * (years > 1)
            name = (f"Gaps of at most {years} year{many} filled", f"仅填补不超过{years}年的缺口")
            why = ("Neighbours far away say little of a year.", "相距较远的年份参考价值有限。")
            yield _option(f"gaps up to {years}", (name, why), ("gap" if own else "fill", years))

    def _winsorisings(self, study: Study, outcomes: Sequence[str], base: Model) -> Iterator[Option]:
        yield _stated("stated")
        used = {*outcomes, *base.controls}
        own = {variable.winsorize for variable in study.variables if variable.name in used}
        usual = [None, (0.01, 0.99), (0.05, 0.95)]
        for quantiles in self.winsorising if self.winsorising is not None else usual:
            if own == {quantiles}:
                continue
            if quantiles is None:
                why = ("Extreme values may be true.", "极端值可能真实。")
                yield _option("none", (("Not winsorised", "不缩尾"), why), None)
                continue
            low, high = (f"{100 * q:g}%" for q in quantiles)
            why = ("A few extreme values must not carry the result.", "结果不应由少数极端值决定。")
            yield _option(f"{low} and {high}", ((f"Winsorised at {low}, {high}", f"{low}与{high}缩尾"), why), quantiles)

    def _datings(self, study: Study) -> Iterator[Option]:
        yield _stated(("stated", None))
        for years in self.dates:
            if not years:
                continue
            late, size = years > 0, abs(years)
            many = "s" * (size > 1)
            name = (f"{size} year{many} {'later' if late else 'earlier'}", f"{'推后' if late else '提前'}{size}年")
            why = (
                ("What is approved late in a year works in the next.", "年末获批者次年方见效。")
                if late
                else ("Cities prepare once they apply.", "城市自申报起即着手准备。")
            )
            yield _option(name[0], (name, why), ("shift", years))
        other = {code: year for code, (year, _) in study.doubts.items() if year is not None}
        unchecked = tuple(code for code, (_, doubtful) in study.doubts.items() if doubtful)
        if self.listed and other:
            name = ("The list's other year", "名单所列另一年份")
            why = ("Sources date the same approval differently.", "不同来源对同一批复所记年份不同。")
            yield _option("other year", (name, why), ("alternative", tuple(sorted(other.items()))))
        if self.listed and unchecked and len(unchecked) < len(study.doubts):
            name = ("Checked entries of the list alone", "仅计已核实的试点")
            why = ("An entry that nobody has checked may be no pilot.", "未经核实的条目可能并非试点。")
            yield _option("checked entries", (name, why), ("without", unchecked))

    def _samples(self, study: Study, base: Model) -> Iterator[Option]:
        yield _stated(("stated", None))
        first, last = base.sample.years or study.years
        cut = 2 if last - first >= 8 else 1
        cities = study.panel is None or study.panel.cities
        usual = [
            *(("municipalities", "capitals", "sub_provincial") if cities else ()),
            *(("changed_borders",) if study.panel is None else ()),
            *(("epidemic",) if first < EPIDEMIC[0] <= last else ()),
            *(("first_years", "last_years") if last - first >= 4 else ()),
            "balanced",
        ]
        rank = ("without", (RANK, ("municipality",)))
        values = {
            "municipalities": rank,
            "capitals": ("own", (_part(*rank), _part("without", (CAPITAL, (1,))))),
            "sub_provincial": ("without", (RANK, ("municipality", "sub-provincial"))),
            "changed_borders": ("without", (FLAGS[1], (True,))),
            "epidemic": ("skip", EPIDEMIC),
            "first_years": ("years", (first + cut, last)),
            "last_years": ("years", (first, last - cut)),
            "balanced": ("balanced", None),
        }
        for word in self.leave_out if self.leave_out is not None else usual:
            yield _option(word.replace("_", " "), _SAMPLES[word], values[word])
        for own in self.samples:
            parts = [_part("among", (column, tuple(held))) for column, held in own.where.items()]
            parts += [_part("years", own.years)] if own.years else []
            parts += [_part("without", ("city_code", tuple(own.exclude_cities)))] if own.exclude_cities else []
            reason = own.reason.label if own.reason else Label("Stated by the study.", "由研究指定。")
            yield Option(own.label.en, own.label.label, reason, ("own", tuple(parts)))

    def _controls(self, base: Model) -> Iterator[tuple[tuple[str, ...], str]]:
        """(set, timing): every set in the same year; at other times all controls and all but one."""
        every = base.controls
        yield every, SAME_YEAR
        if self.controls is not None:
            sets = [tuple(names) for names in self.controls]
        else:
            sizes = list(range(len(every), -1, -1))
            if len(every) > ALL_SUBSETS:
                sizes = [size for size in sizes if size < FEW or len(every) - size <= FEW]
            sets = [names for size in sizes for names in combinations(every, size)]
        yield from ((names, SAME_YEAR) for names in dict.fromkeys(sets) if names != every)
        plain = tuple(name for name in every if TIMES not in name)
        for timing in self.timing if self.timing is not None else _TIMINGS:
            if timing == SAME_YEAR or not plain:
                continue
            yield every, timing
            for left in plain if len(plain) > 1 else ():
                yield tuple(name for name in every if name != left), timing

    def _effects(self, base: Model, *, cities: bool) -> Iterator[Option]:
        own = base.fixed_effects
        yield Option(" + ".join(own), Label(" + ".join(map(_word, own)), " + ".join(map(_zh, own))), _OWN_REASON, own)
        province = f"{PROVINCE}{TIMES}time"
        usual = [("unit", province)] if cities and set(own) == {"unit", "time"} else []
        for effects in self.effects if self.effects is not None else usual:
            if effects != own:
                why = ("Compares with cities of the same province and year.", "与同省同年的城市相比。")
                name = (" + ".join(map(_word, effects)), " + ".join(map(_zh, effects)))
                yield _option(" + ".join(effects), (name, why), tuple(effects))
        if self.own_trends and set(own) == {"unit", "time"}:
            why = ("Units may be on paths of their own.", "各个体可能各有趋势。")
            yield _option(OWN_TRENDS, (("unit + year + own trends", "个体+年份+各自趋势"), why), OWN_TRENDS)

    def _clusters(self, base: Model, *, cities: bool) -> Iterator[Option]:
        yield Option(base.cluster[0], Label(_word(base.cluster[0]), _zh(base.cluster[0])), _OWN_REASON, base.cluster)
        usual = [(PROVINCE,)] if cities and base.cluster == ("unit",) else []
        for cluster in self.clusters if self.clusters is not None else usual:
            if cluster != base.cluster:
                why = ("Cities of a province share shocks and officials.", "同省城市共受冲击、共有官员。")
                yield _option(cluster[0], ((_word(cluster[0]), _zh(cluster[0])), why), tuple(cluster[:1]))


def _stated(value: Any = None) -> Option:
    return Option("stated", _OWN, _OWN_REASON, None if isinstance(value, str) and value != "stated" else value)


def _option(key: str, words: tuple[tuple[str, str], tuple[str, str]], value: Any) -> Option:
    return Option(key, Label(*words[0]), Label(*words[1]), value)


def _part(kind: str, value: Any) -> Option:
    return Option(kind, _OWN, _OWN_REASON, (kind, value))


_EFFECT_WORDS = {"unit": ("unit", "个体"), "time": ("year", "年份"), PROVINCE: ("province", "省份")}


def _word(effect: str) -> str:
    return " × ".join(_EFFECT_WORDS.get(name, (name, name))[0] for name in effect.split(TIMES))


def _zh(effect: str) -> str:
    return "×".join(_EFFECT_WORDS.get(name, (name, name))[1] for name in effect.split(TIMES))


def _compute(study: Study, exhibit: Exhibit, panel: pd.DataFrame, given: Given) -> tuple[dict[str, Any], list[dict]]:
    """A surface for each outcome; its own specification, its size, and what stands in the table, as rows."""
    from analysis.studies.surface.run import compute

    found = compute(study, exhibit.plan, panel, given.cities, given.panels.get("city_year"))
    rows: list[dict] = []
    for outcome, surface in found.items():
        if isinstance(surface, str):
            rows.append(estimate_row(outcome, Row(study.treatment, reason=surface), status=NOT_COMPUTED))
        else:
            rows += _rows(surface, study)
    return found, rows


def _rows(surface: Surface, study: Study) -> list[dict]:
    outcome, own, joint = surface.outcome, surface.own, surface.joint
    if own is None:
        why = str(surface.table["reason"].dropna().iloc[0])
        rows = [estimate_row(outcome, Row(study.treatment, reason=why), status=NOT_COMPUTED)]
    else:
        row = Row(study.treatment, float(own["estimate"]), float(own["se"]), float(own["p"]))
        rows = [estimate_row(outcome, row, n=float(own["n"]))]
    terms = [
        Row("specifications", float(len(surface.table))),
        Row("without an estimate", float(surface.not_computed)),
        *(Row(f"share {what}", value) for what, value in surface.shares().items()),
        Row("median, in standard deviations", joint.median, np.nan, joint.median_p),
        Row("share significant of one sign", joint.share, np.nan, joint.share_p),
        # its statistic is the smaller of the two p values
        Row("joint test", min(joint.median_p, joint.share_p), np.nan, joint.p),
        Row("draws", float(joint.draws)),
    ]
    return [*rows, *(estimate_row(outcome, term) for term in terms)]


def _layout(result: ExhibitResult, study: Study, table: pd.DataFrame) -> Content:
    """What the surface says of each outcome, then its choices, and the single ones that matter most."""
    reasons = Reasons()
    plan: Plan = result.specification.plan
    models = result.specification.models
    surfaces = [result.computed.get(model.label) for model in models]

    def cells(value: Any) -> tuple[str, ...]:
        return tuple(value(surface) if surface is not None else "" for surface in surfaces)

    failed = [reasons.mark(NOT_COMPUTED, str(result.models[m.label])) for m in models if m.label not in result.computed]
    gaps = iter(failed)
    own = tuple(next(gaps) if surface is None else _own_cell(surface) for surface in surfaces)
    lines = [
        Line("The study's own specification", own, "estimate"),
        Line("Specifications", cells(lambda s: count(len(s.table)))),
        Line("without an estimate", cells(lambda s: count(s.not_computed))),
        Line("Median, in standard deviations of the outcome", cells(lambda s: number(s.joint.median))),
        Line("p of the median", cells(lambda s: p_value(s.joint.median_p))),
        Line("Share significant at 5% of one sign", cells(lambda s: number(s.joint.share))),
        Line("p of that share", cells(lambda s: p_value(s.joint.share_p))),
        Line("p of both together", cells(lambda s: p_value(s.joint.p))),
        Line("Draws", cells(lambda s: count(s.joint.draws))),
    ]
    shares = [Line(what.capitalize(), cells(lambda s, what=what: number(s.shares()[what]))) for what in _SHARES]
    held = [surface for surface in surfaces if surface is not None]
    panels = [Panel(None, tuple(line for line in lines if any(line.cells)))]
    if held:
        panels += [Panel("Shares of the estimates", tuple(shares))]
        panels += [_variances(surfaces), *_turnings(surfaces, plan, study), *_choices(plan, study)]
    notes = [*outcome_notes(models, study), *_notes(held, plan), *reasons.notes()]
    return (tuple(model.label for model in models),), "", tuple(panels), notes


_SHARES = (
    *("positive", "positive, p < 0.1", "positive, p < 0.05", "positive, p < 0.01"),
    *("negative", "negative, p < 0.1", "negative, p < 0.05", "negative, p < 0.01"),
)


def _own_cell(surface: Surface) -> str:
    own = surface.own
    return "" if own is None else f"{number(own['estimate'])}{stars(own['p'])} ({number(own['se'])})"


def _variances(surfaces: Sequence[Surface | None]) -> Panel:
    """Share of the variance between the options of each choice."""
    tables = [None if s is None else s.variance() for s in surfaces]
    by = [{} if t is None else dict(zip(t["choice"].astype(str), t["share"], strict=True)) for t in tables]
    order = sorted({choice for each in by for choice in each}, key=lambda c: -max(each.get(c, 0) for each in by))
    lines = [
        Line(DIMENSIONS[choice].en, tuple(number(each[choice]) if choice in each else "" for each in by))
        for choice in order
    ]
    return Panel("Share of the variance of estimates that lies between the options", tuple(lines))


def _turnings(surfaces: Sequence[Surface | None], plan: Plan, study: Study) -> Iterator[Panel]:
    """The single departures that change the conclusion, or move it most."""
    for at, surface in enumerate(surfaces):
        if surface is None or surface.own is None:
            continue
        lines = []
        for row in surface.turning().to_dict("records"):
            cell = f"{number(row['estimate'])}{stars(row['p'])} ({number(row['se'])})"
            cell += ", turns" if row["turns"] else ""
            choice = str(row["choice"])
            name = f"{DIMENSIONS[choice].en}: {_called(plan, choice, row['option'], surface.outcome)}"
            lines.append(Line(name, tuple(cell if at == j else "" for j in range(len(surfaces)))))
        turning = surface.departures()
        yield Panel(
            f"Single choices that move {surface.outcome} most; {turning} turn its conclusion"
            if turning
            else f"Single choices that move {surface.outcome} most; none turns its conclusion",
            tuple(lines),
        )


def _called(plan: Plan, dimension: str, word: str, outcome: str) -> str:
    """An option by its label; sets of controls and estimators by their word."""
    if dimension == "timing":
        return _TIMINGS[word].en
    if dimension == "controls":
        return word
    if dimension == "estimator":
        return _headings()[word].en
    return plan.option(dimension, word, outcome).label.en


@cache
def _headings() -> dict[str, Label]:
    """Word of an estimator -> what tables call it."""
    return {line.word: line.heading for method in METHODS.values() for line in method.estimators}


def _choices(plan: Plan, study: Study) -> Iterator[Panel]:
    """Every option and its reason."""
    blank = ("",) * len(plan.outcomes)
    for dimension, label in DIMENSIONS.items():
        options: dict[tuple[str, str], None] = {}
        held = [
            *plan.options.get(dimension, ()),
            *(
                each
                for outcome in plan.outcomes
                for each in {"measure": plan.measures, "scale": plan.scales}.get(dimension, {}).get(outcome, ())
            ),
        ]
        for option in held:
            options[(option.label.en, option.reason.en)] = None
        if dimension == "controls":
            sets = len({names for names, timing in plan.controls if timing == SAME_YEAR})
            options[
                (f"{sets} sets of {', '.join(plan.baseline.controls) or 'none'}", "Each may be caused by the policy.")
            ] = None
        if dimension == "timing":
            for timing in dict.fromkeys(timing for _, timing in plan.controls):
                options[(_TIMINGS[timing].en, _TIMING_REASONS[timing])] = None
        if dimension == "estimator":
            options[(_headings()[TWO_WAY].en, _OWN_REASON.en)] = None
            for word in plan.estimators:
                options[(_headings()[word].en, "Compares no unit with one treated before it.")] = None
        if options:
            yield Panel(f"Choice: {label.en}", tuple(Line(f"{name}: {why}", blank) for name, why in options))


_TIMING_REASONS = {
    SAME_YEAR: "The study's own choice.",
    YEAR_BEFORE: "What was before cannot be moved by the year's policy.",
    FIRST_YEAR: "What was at the beginning cannot be moved by the policy.",
}


def _notes(surfaces: Sequence[Surface], plan: Plan) -> list[str]:
    found = []
    if surfaces:
        found += [
            f"The list of {sum(len(s.table) for s in surfaces):,} specifications was made from the study's words alone "
            f"and hashed before any outcome was read: SHA-256 {surfaces[0].sha256}.",
            "Filling, winsorising, first treated year and sample depart from the study one at a time; all other "
            "choices are crossed with each other and with these.",
            "Robust estimators stand once for each sample, with the study's own choices otherwise.",
            f"Joint test: {plan.draws} draws deal the list's records to cities drawn from all, over the two-way "
            "specifications at once; p by the add-one rule (Simonsohn, Simmons and Nelson 2020).",
            "All sets of controls of one time are estimated on the rows that have every control.",
        ]
    return [*found, "*** p < 0.01, ** p < 0.05, * p < 0.1."]


def _panel(axis: Axes, fitted: Surface, model: Model) -> None:
    """The sorted estimates with their intervals above; below, how often each option stands at each place."""
    rows = fitted.computed.sort_values(["standard", "specification"], kind="stable").reset_index(drop=True)
    place = (np.arange(len(rows)) + 0.5) / max(len(rows), 1)
    labels, shades = _shades(fitted, rows)
    height = max(len(labels) * 0.55, 4.0)  # of the curve, in lines of options
    low, high = rows["standard"] - 1.96 * rows["standard_se"], rows["standard"] + 1.96 * rows["standard_se"]
    bottom = min(float(np.nanquantile(low, 0.01)), 0.0)
    top = max(float(np.nanquantile(high, 0.99)), 0.0)
    span = (top - bottom) or 1.0

    def up(values: Any) -> Any:
        return 1.0 + (np.clip(values, bottom, top) - bottom) / span * height

    axis.vlines(place, up(low.to_numpy()), up(high.to_numpy()), color="0.85", linewidth=0.4, rasterized=True)
    significant = rows["p"].to_numpy() < 0.05
    for mask, shade in ((~significant, "0.55"), (significant, "black")):
        axis.plot(
            place[mask],
            up(rows["standard"].to_numpy()[mask]),
            linestyle="",
            marker=".",
            markersize=1.6,
            markeredgewidth=0,
            color=shade,
            rasterized=True,
        )
    axis.axhline(up(0.0), color="0.35", linewidth=0.8)
    own = fitted.own
    if own is not None:
        at = int(np.flatnonzero(rows["specification"].to_numpy() == own["specification"])[0])
        axis.plot(
            [place[at]],
            [up(rows["standard"][at])],
            marker="D",
            markersize=6,
            color="white",
            markeredgecolor="black",
            linestyle="",
        )
    if len(shades):
        axis.imshow(
            1 - shades[::-1],
            extent=(0, 1, -len(labels), 0),
            origin="lower",
            aspect="auto",
            cmap="gray",
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
    ticks = np.linspace(bottom, top, 5)
    axis.set_yticks([*(-0.5 - np.arange(len(labels))), *(up(t) for t in ticks)])
    axis.set_yticklabels([*labels, *(f"{t:.2f}" for t in ticks)], fontsize=6.5)
    axis.set_xlim(0, 1)
    axis.set_ylim(-len(labels), height + 1.5)
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axis.set_xticklabels(["0%", "25%", "50%", "75%", "100%"])


#: Places along the curve at which options are counted.
BINS = 100


def _shades(fitted: Surface, rows: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Labels of the options, and how often each stands at each place, its most frequent place being 1."""
    bins = np.minimum((np.arange(len(rows)) * BINS) // max(len(rows), 1), BINS - 1)
    labels, lines = [], []

    def add(label: str, has: np.ndarray) -> None:
        if not has.any() or has.all():
            return
        share = np.bincount(bins, weights=has, minlength=BINS) / np.maximum(np.bincount(bins, minlength=BINS), 1)
        labels.append(label)
        lines.append(share / max(share.max(), 1e-12))

    for dimension in DIMENSIONS:
        if dimension == "controls":
            members = rows["controls"].str.split(" + ", regex=False)
            for name in fitted.plan.baseline.controls:
                add(f"control: {name}", np.array([name in each for each in members], dtype=float))
            continue
        for word in rows[dimension].drop_duplicates().sort_values(key=lambda s: s.map(_order(fitted, dimension))):
            label = _called(fitted.plan, dimension, word, fitted.outcome)
            stated = f"{DIMENSIONS[dimension].en}: as stated" if label == _OWN.en else label
            add(stated, rows[dimension].eq(word).to_numpy(dtype=float))
    return labels, np.array(lines)


def _order(fitted: Surface, dimension: str) -> dict[str, int]:
    return {word: at for at, word in enumerate(dict.fromkeys(fitted.table[dimension]))}


def _words(fitted: Surface) -> str:
    shares = fitted.shares()
    return (
        f"{len(fitted.computed):,} specifications, {shares['positive']:.0%} of them positive, "
        f"{shares['positive, p < 0.05']:.0%} positive and {shares['negative, p < 0.05']:.0%} negative at 5%; "
        f"the median is {fitted.joint.median:.3f} standard deviations, p of the whole surface {fitted.joint.p:.3f}"
    )


def _files(fitted: Surface) -> list[File]:
    return [("surface", "parquet", fitted.table)]


def _listed(exhibit: Exhibit) -> pd.DataFrame:
    return specifications(exhibit.plan)


#: Columns of estimates.surface: words, then numbers.
_WORDS = ("study", "exhibit", "outcome", *DIMENSIONS, "status", "reason", "sha256")
_NUMBERS = ("estimate", "se", "p", "n", "sd")


def _published(result: ExhibitResult | None) -> pd.DataFrame:
    """One row a specification as estimates.surface has it; no row without a result."""
    rows = [each.table.assign(sha256=each.sha256) for each in (result.computed.values() if result else ())]
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    if result is not None:
        table = table.assign(study=result.study, exhibit=result.exhibit, is_sample=result.is_sample)
    columns = ["study", "exhibit", "specification", "outcome", *DIMENSIONS, *_NUMBERS, "status", "reason", "sha256"]
    types: dict[str, str] = {"specification": "int64", **dict.fromkeys(_NUMBERS, "float64"), "is_sample": "bool"}
    return table.reindex(columns=[*columns, "is_sample"]).astype(types | dict.fromkeys(_WORDS, "str"))


KIND = Kind(
    written=Written,
    layout=_layout,
    picture=Picture(_panel, "Specifications by estimate, in standard deviations", _words, wide=1.35, tall=2.6),
    files=_files,
    compute=_compute,
    reads=("city_year",),
    listed=_listed,
    fills=("surface", _published),
)

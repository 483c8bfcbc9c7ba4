"""Rules that hold what the text says against what is printed: claims, definitions, processing and windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis import catalogue
from analysis.audit.finding import ERROR, NOTE, WARNING
from analysis.audit.inputs import Inputs, NotAtHand, Printed, said, worded
from analysis.audit.rule import Found, Rule
from analysis.names import TIME, UNIT
from analysis.results import stars
from analysis.studies.published.text import ABSENT, NOT_STATED, Claim, Definition
from analysis.studies.records import Variable

#: Standard deviations between a share's mean and its largest value from which that is a single odd row.
ODD = 10.0
#: Standard deviations between mean and extreme beyond which a variable cut at its outer percents hardly reaches: in
#: logs (a normal has 2.4, a Laplace 3.0) and in levels (a log-normal with a log variance of one has 5).
CUT_LOG, CUT_LEVEL = 3.5, 6.0
#: Distance from which printed moments fit a column, in printed standard deviations and log ratios of them.
FIT = 0.25


def claim_and_table(inputs: Inputs) -> Iterator[Found]:
    """A sentence that the printed numbers do not bear out."""
    cities, _ = inputs.grid
    for claim in inputs.text.claims:
        items = [
            item
            for item in inputs.coefficients
            if item.exhibit == claim.exhibit
            and item.term in claim.terms
            and (not claim.models or item.label in claim.models)
        ]
        faults: list[str] = []
        severity = WARNING
        if not items:
            faults.append(f"{worded(claim.exhibit)} prints no such number")
        if claim.columns and 0 < len(items) < claim.columns:
            faults.append(f"it speaks of {claim.columns} columns, {worded(claim.exhibit)} prints {len(items)}")
        wrong = _wrong_values(inputs, claim, items)
        if wrong:
            severity = ERROR
        faults += [*wrong, *_wrong_levels(claim, items, cities), *_wrong_ranges(claim, items)]
        faults += _wrong_comparisons(inputs, claim, items)
        if faults:
            yield Found(
                f"The text: {claim.says}. But {'; '.join(faults)}.",
                claim.exhibit,
                _labels(items),
                ", ".join(claim.terms),
                severity=severity,
            )


def _labels(items: list[Printed]) -> str:
    """The columns a claim speaks of, shortened where they are many."""
    labels = list(dict.fromkeys(item.label for item in items))
    return ", ".join(labels) if len(labels) <= 6 else f"{labels[0]} to {labels[-1]}"


def _wrong_values(inputs: Inputs, claim: Claim, items: list[Printed]) -> list[str]:
    """Quoted estimates other than the printed ones, and where the quoted one does stand."""
    if claim.estimate is None:
        return []
    half = 0.5 * 10.0 ** -len(f"{claim.estimate:.10f}".rstrip("0").partition(".")[2])
    wrong = [item for item in items if abs(item.estimate - claim.estimate) > half + 1e-12]
    faults = [f"{item.label} prints {said(item.estimate)}" for item in wrong]
    if wrong:
        elsewhere = [
            item.label
            for item in inputs.coefficients
            if item.exhibit == claim.exhibit and item.estimate == claim.estimate and item not in items
        ]
        if elsewhere:
            faults.append(f"{said(claim.estimate)} is the coefficient of {', '.join(elsewhere)}")
    return faults


def _wrong_levels(claim: Claim, items: list[Printed], cities: int) -> list[str]:
    """Claimed significance or sign that coefficient and standard error do not have."""
    faults = []
    for item in items:
        if claim.sign and np.sign(item.estimate) != claim.sign:
            faults.append(f"{item.label} has the other sign, {said(item.estimate)}")
        if claim.level is None or not np.isfinite(item.se):
            continue
        least, _ = item.p_range(cities)
        if least > claim.level:
            t = abs(item.estimate) / item.se
            shown = f", {item.stars:.0f} stars printed" if np.isfinite(item.stars) else ""
            faults.append(
                f"{item.label} has t = {t:.2f}, p = {item.p_range(cities)[1]:.3f}, not below {claim.level:g} "
                f"({len(stars(least))} stars{shown})"
            )
    return faults


def _wrong_ranges(claim: Claim, items: list[Printed]) -> list[str]:
    """Values outside a claimed range, by term."""
    if claim.within is None:
        return []
    low, high = claim.within
    outside = [item for item in items if not low - item.half <= item.estimate <= high + item.half]
    faults = []
    for term in dict.fromkeys(item.term for item in outside):
        values = [item.estimate for item in outside if item.term == term]
        faults.append(
            f"{len(values)} values of {term} lie outside {said(low)} to {said(high)}, from {said(min(values))} to "
            f"{said(max(values))}"
        )
    return faults


def _wrong_comparisons(inputs: Inputs, claim: Claim, items: list[Printed]) -> list[str]:
    """Effects said to be larger than, or close to, a number that they are not."""
    faults = []
    for item in items:
        if claim.larger_than:
            reference = claim.larger_than
            other = inputs.value(reference.exhibit, reference.model, reference.term)
            if other and item.estimate <= other.estimate:
                how = "equal to" if item.estimate == other.estimate else "below"
                faults.append(f"{said(item.estimate)} is {how} the {said(other.estimate)} of {other.where}")
        if claim.close_to:
            reference = claim.close_to
            other = inputs.value(reference.exhibit, reference.model, reference.term)
            if other and abs(item.estimate - other.estimate) > 1.96 * other.se:
                gap = abs(item.estimate - other.estimate) / other.se
                faults.append(
                    f"{said(item.estimate)} is {gap:.1f} standard errors from the {said(other.estimate)} of "
                    f"{other.where}"
                )
    return faults


def share_above_one(inputs: Inputs) -> Iterator[Found]:
    """A part of a whole that is printed, or found in the panel, above the whole."""
    exhibit = inputs.table_of_moments()
    for name, definition in inputs.text.definitions.items():
        moments = inputs.moments.get(name)
        if moments is None or definition.scale not in ("share", "percent"):
            continue
        whole = 100.0 if definition.scale == "percent" and not _is_fraction(inputs, definition) else 1.0
        if moments["max"] > whole + inputs.moment_half(name, "max"):
            mean = moments["mean"]
            also = f", and its mean is {said(mean)}: the words describe another variable" if mean > whole else ""
            yield Found(
                f"The text: {definition.says}. A part cannot exceed its whole; the largest value is "
                f"{said(moments['max'])}{also}.",
                exhibit,
                variable=name,
            )
    if inputs.panel is None:
        return
    columns = catalogue.load().columns
    shares = {name for name, column in columns.items() if column.bounds and column.bounds.is_share}
    for variable in inputs.study.variables:
        if variable.source not in shares or variable.log or variable.name not in inputs.rows:
            continue
        values = inputs.rows[variable.name].astype(float)
        above = int((values > 1).sum())
        if above:
            yield Found(
                f"{above} rows of the panel have {variable.name} above one, up to {said(float(values.max()))}.",
                variable=variable.name,
                from_data=True,
            )


def _is_fraction(inputs: Inputs, definition: Definition) -> bool:
    """Whether a variable called a percentage is printed as a fraction: its column is one, and so is its mean."""
    unit = catalogue.load().drawn.get(definition.source or "", ("", ""))[0]
    return unit == "ratio" and inputs.moments[definition.variable]["mean"] < 1


def percentage_or_share(inputs: Inputs) -> Iterator[Found]:
    """A variable that the text calls a percentage and the table prints as a share."""
    for name, definition in inputs.text.definitions.items():
        if definition.scale == "percent" and name in inputs.moments and _is_fraction(inputs, definition):
            mean = inputs.moments[name]["mean"]
            yield Found(
                f"The text: {definition.says}. A mean of {said(mean)} is a share of {mean:.2%}, not {said(mean)}%; "
                "coefficients are a hundred times smaller than the words suggest.",
                inputs.table_of_moments(),
                variable=name,
            )


def odd_extreme(inputs: Inputs) -> Iterator[Found]:
    """Shares with one value far beyond all that their mean and standard deviation suggest."""
    odd = {}
    for name, definition in inputs.text.definitions.items():
        moments = inputs.moments.get(name)
        if moments is None or definition.scale not in ("share", "percent") or not moments.get("sd"):
            continue
        distance = (moments["max"] - moments["mean"]) / moments["sd"]
        if distance > ODD:
            odd[name] = (moments, distance)
    if odd:
        words = "; ".join(
            f"{name}: mean {said(m['mean'])}, SD {said(m['sd'])}, maximum {said(m['max'])}, {d:.0f} SD away"
            for name, (m, d) in odd.items()
        )
        yield Found(f"{words}.", inputs.table_of_moments(), variable=", ".join(odd))


def not_winsorized(inputs: Inputs) -> Iterator[Found]:
    """Extremes that a variable cut at its outer percents does not have."""
    if inputs.text.winsorized is None:
        return
    low, high = inputs.text.winsorized
    impossible = np.sqrt((1 - (1 - high)) / (1 - high)) if high < 1 else np.inf
    variables = {variable.name: variable for variable in inputs.study.variables}
    words, names, worst = [], [], 0.0
    for name, moments in inputs.moments.items():
        variable = variables.get(name)
        if variable is None or not moments.get("sd") or (moments["min"], moments["max"]) == (0, 1):
            continue
        up = (moments["max"] - moments["mean"]) / moments["sd"]
        down = (moments["mean"] - moments["min"]) / moments["sd"]
        if max(up, down) > (CUT_LOG if variable.log else CUT_LEVEL):
            end, distance = ("maximum", up) if up >= down else ("minimum", down)
            value = moments["max"] if up >= down else moments["min"]
            words.append(f"{name}: {end} {said(value)}, {distance:.1f} SD from the mean")
            names.append(name)
            worst = max(worst, distance)
    if words:
        yield Found(
            f"The text cuts continuous variables at {low:.0%} and {high:.0%}; then {1 - high:.0%} of the rows share "
            f"the largest value. {'; '.join(words)}. These look like single raw values.",
            inputs.table_of_moments(),
            variable=", ".join(names),
            severity=ERROR if worst > impossible else None,
        )


def other_definition(inputs: Inputs) -> Iterator[Found]:
    """Printed moments that fit the column the study draws from, not the one that the words describe."""
    for variable, definition in _defined(inputs):
        stated = definition.source
        if stated is None or (stated == variable.source and definition.over is None):
            continue
        moments = inputs.moments[variable.name]
        own = _distance(_drawn(inputs, variable.source, None, variable.log), moments, any_unit=False)
        meaning = catalogue.load().drawn.get(variable.source, ("", variable.source))[1]
        if stated == ABSENT:
            if own <= FIT:
                yield Found(
                    f"The text: {definition.says}. The printed mean {said(moments['mean'])} and SD "
                    f"{said(moments['sd'])} fit {meaning} ({variable.source}, distance {own:.2f}).",
                    inputs.table_of_moments(),
                    variable=variable.name,
                    from_data=True,
                )
            continue
        described = _drawn(inputs, stated, definition.over, variable.log)
        theirs = _distance(described, moments, any_unit=definition.unit == NOT_STATED)
        if own + FIT / 2 < theirs:
            over = f" / {definition.over}" if definition.over else ""
            unit = " in any power of ten of its unit" if definition.unit == NOT_STATED else ""
            yield Found(
                f"The text: {definition.says}. The printed mean {said(moments['mean'])} and SD {said(moments['sd'])} "
                f"fit {meaning} ({variable.source}, distance {own:.2f}), not {stated}{over}{unit} (distance "
                f"{theirs:.2f}; its mean is {said(float(described.mean()))}, its SD {said(float(described.std()))}).",
                inputs.table_of_moments(),
                variable=variable.name,
                from_data=True,
            )


def _unit(column: str) -> str:
    return catalogue.load().drawn.get(column, ("its unit", ""))[0]


def unit_not_stated(inputs: Inputs) -> Iterator[Found]:
    """A variable whose unit the text leaves open, and the one that the printed moments fit."""
    for variable, definition in _defined(inputs):
        if definition.unit != NOT_STATED or definition.over is not None or definition.source != variable.source:
            continue
        moments = inputs.moments[variable.name]
        values = _drawn(inputs, variable.source, None, variable.log)
        if _distance(values, moments, any_unit=False) <= 2 * FIT:
            yield Found(
                f"The text: {definition.says}, in no unit. A printed mean of {said(moments['mean'])} and a maximum "
                f"of {said(moments['max'])} fit {_unit(variable.source)} (mean {said(float(values.mean()))}, "
                f"maximum {said(float(values.max()))}).",
                inputs.table_of_moments(),
                variable=variable.name,
                from_data=True,
            )


def _defined(inputs: Inputs) -> Iterator[tuple[Variable, Definition]]:
    """Variables with printed moments and a definition in words."""
    if not inputs.text.definitions:
        return
    if inputs.city_year is None:
        raise NotAtHand("panels.city_year is not at hand, from which definitions are tried.")
    for variable in inputs.study.variables:
        definition = inputs.text.definitions.get(variable.name)
        if definition is not None and variable.name in inputs.moments and variable.source in inputs.city_year:
            yield variable, definition


def _drawn(inputs: Inputs, source: str, over: str | None, log: bool) -> pd.Series:
    """A column of panels.city_year, or a ratio of two, on the study's cities and years; logs where the study takes
    them."""
    assert inputs.city_year is not None
    table = inputs.city_year
    inside = table[UNIT].astype(str).isin(set(inputs.rows[UNIT])) & table[TIME].isin(set(inputs.rows[TIME]))
    values = table.loc[inside, source].astype(float)
    if over:
        values = values / table.loc[inside, over].astype(float)
    if log:
        values = pd.Series(np.log(values.where(values > 0)), index=values.index)
    return values.dropna()


def _distance(values: pd.Series, moments: dict[str, float], *, any_unit: bool) -> float:
    """How far a column's mean and standard deviation are from printed ones; of a log, up to a power of ten."""
    if len(values) < 2 or not values.std() > 0 or not moments.get("sd"):
        return float("inf")
    gap = float(values.mean()) - moments["mean"]
    if any_unit:
        gap -= np.log(10) * round(gap / np.log(10))
    return abs(gap) / moments["sd"] + abs(float(np.log(values.std() / moments["sd"])))


def event_window(inputs: Inputs) -> Iterator[Found]:
    """A window that no treated city reaches, or a base in which the policy already works."""
    windows = [(key, w.base, w.leads, w.lags) for key, w in inputs.text.event_studies.items()]
    told = set(inputs.text.event_studies)
    for exhibit in inputs.study.exhibits:
        if exhibit.kind == "event_study" and (exhibit.published or exhibit.name) not in told:
            for options in [model.options for model in exhibit.models][:1]:
                window = (options["base"], options["leads"], options["lags"])
                windows.append((exhibit.published or exhibit.name, *window))
    adopted = inputs.adoption.dropna()
    adopted = adopted[adopted <= inputs.rows[TIME].max()]
    if adopted.empty:
        return
    first, last = inputs.rows[TIME].min(), inputs.rows[TIME].max()
    earliest, latest = int(first - adopted.max()), int(last - adopted.min())
    for key, base, leads, lags in windows:
        faults = []
        if lags > latest:
            faults.append(f"no city is observed after period {latest}, yet the window ends at {lags}")
        if -leads < earliest:
            faults.append(f"no city is observed before period {earliest}, yet the window begins at {-leads}")
        if not earliest <= base <= latest:
            faults.append(f"the base period {base} is never observed")
        if faults:
            beyond = f"; data exist back to period {earliest}" if -leads > earliest else ""
            yield Found(
                f"Adoption from {adopted.min():.0f} to {adopted.max():.0f} and data from {first} to {last} give "
                f"periods {earliest} to {latest}: {'; '.join(faults)}{beyond}.",
                key,
                variable=f"periods {-leads} to {lags}",
            )
        if base >= 0:
            yield Found(
                f"The base is period {base}, in which the policy is in force: an immediate effect is set to zero, "
                "and leads are measured against a treated year.",
                key,
                variable=f"base {base}",
            )


RULES = (
    Rule(
        "claim-and-table",
        "Text against table",
        "正文与表格不一致",
        WARNING,
        "Quote the table, and ask the authors to correct the sentence.",
        "以表格为准，并请作者更正该句。",
        claim_and_table,
    ),
    Rule(
        "share-above-one",
        "A share above one",
        "占比大于1",
        ERROR,
        "Find the rows; the definition, the unit or a raw value is wrong.",
        "查找相应观测；定义、单位或原始数据有误。",
        share_above_one,
    ),
    Rule(
        "percentage-or-share",
        "Called a percentage, printed as a share",
        "称为百分比而实为比例",
        WARNING,
        "State the unit before the coefficient is read.",
        "解读系数之前先说明单位。",
        percentage_or_share,
    ),
    Rule(
        "odd-extreme",
        "One value far from all others",
        "个别极端值",
        WARNING,
        "Find the row; estimate with and without it, or in ranks.",
        "查找该观测，分别在含与不含它的样本上估计，或改用秩。",
        odd_extreme,
    ),
    Rule(
        "not-winsorized",
        "Extremes that winsorised variables do not have",
        "最大值与所称缩尾处理不符",
        WARNING,
        "Ask which variables were cut, before or after logs.",
        "询问哪些变量做了缩尾，在取对数之前还是之后。",
        not_winsorized,
    ),
    Rule(
        "other-definition",
        "Moments fit another definition",
        "均值符合另一种定义",
        WARNING,
        "Use the definition that fits, record the contradiction, and show the other one beside it.",
        "采用与数据相符的定义，记录矛盾，并列出另一种定义的结果。",
        other_definition,
    ),
    Rule(
        "unit-not-stated",
        "Unit not stated",
        "未说明单位",
        NOTE,
        "State the unit; the constant and the descriptive table depend on it.",
        "说明单位；常数项与描述统计均依赖于它。",
        unit_not_stated,
    ),
    Rule(
        "event-window",
        "Event study with a window or base that the data cannot have",
        "事件研究的窗口或基期不成立",
        WARNING,
        "Use the year before adoption as the base and a window that treated cities reach; say what the ends pool.",
        "以政策前一年为基期，窗口限于处理城市可及的时期，并说明两端如何归并。",
        event_window,
    ),
)

"""Rules on printed figures alone: numbers that, as printed, cannot all be true. Rounding is always given its due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from analysis.audit.finding import ERROR, NOTE, WARNING
from analysis.audit.inputs import Inputs, Printed, said
from analysis.audit.rule import Found, Rule
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import stars
from analysis.studies.methods import METHODS
from analysis.studies.records import Model

#: A sample smaller than this share of the study's is cut, not merely short of some rows.
CUT = 0.5
#: A regression short of more than this share of the rows is told on its own.
MANY_LOST = 0.1


def impossible_moments(inputs: Inputs) -> Iterator[Found]:
    """A mean outside minimum and maximum, or a standard deviation larger than they allow (Bhatia and Davis 2000);
    of a variable of zeros and ones, one that its mean does not imply."""
    exhibit = inputs.table_of_moments()
    for variable, moments in inputs.moments.items():
        n, mean, sd, low, high = (moments.get(term, np.nan) for term in ("obs", "mean", "sd", "min", "max"))
        if not np.isfinite([n, mean, sd, low, high]).all() or n < 2:
            continue
        half = max(inputs.moment_half(variable, term) for term in ("mean", "sd", "min", "max"))
        if not low - half <= mean <= high + half:
            yield Found(
                f"The mean {said(mean)} is outside the range from {said(low)} to {said(high)}.",
                exhibit,
                variable=variable,
            )
            continue
        most = np.sqrt(max((high - mean + 2 * half) * (mean - low + 2 * half), 0.0) * n / (n - 1))
        if sd > most + half:
            yield Found(
                f"A standard deviation of {said(sd)} exceeds {said(most)}, the largest that a mean of {said(mean)} "
                f"between {said(low)} and {said(high)} allows.",
                exhibit,
                variable=variable,
            )
        if variable == inputs.study.treatment and (low, high) == (0, 1):
            ends = np.clip([mean - half, mean + half], 0.0, 1.0)
            implied = np.sqrt(ends * (1 - ends) * n / (n - 1))
            if not implied.min() - half <= sd <= implied.max() + half:
                yield Found(
                    f"Zeros and ones with mean {said(mean)} have a standard deviation of {said(implied.mean())}; "
                    f"printed is {said(sd)}.",
                    exhibit,
                    variable=variable,
                )


def outside_interval(inputs: Inputs) -> Iterator[Found]:
    """An estimate outside its own printed interval (terms "<term> low" and "<term> high")."""
    for item in inputs.coefficients:
        ends = [inputs.value(item.exhibit, item.label, f"{item.term} {end}") for end in ("low", "high")]
        low, high = ends
        if low and high and not low.estimate - item.half <= item.estimate <= high.estimate + item.half:
            yield Found(
                f"{item.term} = {said(item.estimate)} is outside its interval from {said(low.estimate)} to "
                f"{said(high.estimate)}.",
                item.exhibit,
                item.label,
                item.term,
            )


def wrong_stars(inputs: Inputs) -> Iterator[Found]:
    """Asterisks that estimate and standard error do not give, at 10, 5 and 1%."""
    cities, _ = inputs.grid
    for item in inputs.coefficients:
        if not np.isfinite(item.se) or not np.isfinite(item.stars):
            continue
        least, most = item.p_range(cities)
        if not len(stars(most)) <= item.stars <= len(stars(least)):
            t = abs(item.estimate) / item.se
            yield Found(
                f"{said(item.estimate)} with standard error {said(item.se)} has t = {t:.2f} and so "
                f"{len(stars(most))} stars; printed are {item.stars:.0f}.",
                item.exhibit,
                item.label,
                item.term,
            )


def parts_and_total(inputs: Inputs) -> Iterator[Found]:
    """Weights of a decomposition that do not sum to one; a direct and an indirect effect that do not sum to the
    total."""
    for key, exhibit in inputs.exhibits.items():
        weights = [i for i in inputs.coefficients if i.exhibit == key and i.term == "weight"]
        weights = [i for i in weights if not i.label.endswith("all comparisons")]
        if exhibit.kind == "bacon" and weights:
            total, slack = sum(i.estimate for i in weights), sum(i.half for i in weights)
            if abs(total - 1) > slack + 1e-9:
                yield Found(f"The {len(weights)} printed weights sum to {said(total)}, not to 1.", key)
    for total_effect in inputs.coefficients:
        direct = inputs.value(total_effect.exhibit, total_effect.label, "direct")
        indirect = inputs.value(total_effect.exhibit, total_effect.label, "indirect")
        if total_effect.term != "total" or direct is None or indirect is None:
            continue
        gap = direct.estimate + indirect.estimate - total_effect.estimate
        if abs(gap) > direct.half + indirect.half + total_effect.half + 1e-9:
            yield Found(
                f"Direct {said(direct.estimate)} and indirect {said(indirect.estimate)} sum to "
                f"{said(direct.estimate + indirect.estimate)}; the total is printed as {said(total_effect.estimate)}.",
                total_effect.exhibit,
                total_effect.label,
            )


def implied_constant(inputs: Inputs, item: Printed) -> tuple[float, float] | None:
    """The constant that printed means and slopes give, mean(y) - mean(x)'b, and how far rounding may move it.

    None where a slope or a mean is not printed, or the means are of other rows.
    """
    model = item.model
    if model is None or model.outcome not in inputs.moments or not inputs.is_full(model):
        return None
    if model.options.get("convention", "absorbed") != "absorbed":
        return None  # regress and xtreg print the constant of a reference city or year
    outcome = inputs.moments[model.outcome]
    slopes = [inputs.value(item.exhibit, item.label, term) for term in (*model.treatments, *model.controls)]
    names = [slope.term for slope in slopes if slope is not None]
    if len(names) < len(slopes) or any(name not in inputs.moments for name in names):
        return None
    if any(inputs.moments[name].get("obs") != item.n for name in (model.outcome, *names)):
        return None
    value, slack = outcome["mean"], inputs.moment_half(model.outcome, "mean")
    for slope in slopes:
        assert slope is not None
        mean, half = inputs.moments[slope.term]["mean"], inputs.moment_half(slope.term, "mean")
        value -= slope.estimate * mean
        slack += abs(slope.estimate) * half + slope.half * abs(mean)
    return value, slack


def constant(inputs: Inputs) -> Iterator[Found]:
    """A constant other than mean(y) - mean(x)'b, where every slope and mean is printed."""
    for item in inputs.coefficients:
        implied = implied_constant(inputs, item) if item.term == "const" else None
        if implied and abs(item.estimate - implied[0]) > implied[1] + item.half + 1e-9:
            yield Found(
                f"Printed means and slopes imply a constant of {said(implied[0])}; printed is {said(item.estimate)}.",
                item.exhibit,
                item.label,
                "const",
            )


def first_stage(inputs: Inputs) -> Iterator[Found]:
    """With one instrument the first-stage F is the square of its t; both are printed and disagree."""
    for item in inputs.coefficients:
        if item.model is None or item.term != "iv" or not np.isfinite(item.se):
            continue
        strengths = [
            other
            for other in inputs.coefficients
            if other.exhibit == item.exhibit
            and other.term == "kp_rk_wald_f"
            and other.model is not None
            and other.model.options.get("since") == item.model.options.get("since")
        ]
        for strength in strengths:
            low, high = (t**2 for t in item.t_range)
            if not 0.95 * low <= strength.estimate <= 1.05 * high:
                yield Found(
                    f"The instrument's t of {abs(item.estimate) / item.se:.1f} has a square of "
                    f"{said((item.estimate / item.se) ** 2, 1)} ({said(low, 1)} to {said(high, 1)} by rounding); the "
                    f"first-stage F is printed as {said(strength.estimate, 1)}.",
                    item.exhibit,
                    item.label,
                    "iv",
                )


def nested_fit(inputs: Inputs) -> Iterator[Found]:
    """R² that falls when a regressor is added to the same regression on the same rows."""
    rows: dict[tuple[str, str], Printed] = {}
    for item in inputs.effects:
        if np.isfinite(item.r2):
            rows.setdefault((item.exhibit, item.label), item)
    for small in rows.values():
        for large in rows.values():
            a, b = small.model, large.model
            assert a is not None
            assert b is not None
            same = (a.outcome, a.fixed_effects, a.sample, a.method, a.panel, a.options, small.n)
            if same != (b.outcome, b.fixed_effects, b.sample, b.method, b.panel, b.options, large.n):
                continue
            before, after = {*a.treatments, *a.controls}, {*b.treatments, *b.controls}
            if before < after and large.r2 < small.r2 - 1e-4:
                added = ", ".join(sorted(after - before))
                yield Found(
                    f"With {added} added R² falls from {said(small.r2)} ({small.where}) to {said(large.r2)} on the "
                    f"same {said(large.n)} rows; it cannot fall.",
                    large.exhibit,
                    large.label,
                )


def group_sizes(inputs: Inputs) -> Iterator[Found]:
    """Groups that split the panel but whose rows do not add up, or that have more rows than their cities have years."""
    told: set[tuple[str, str]] = set()
    for key, column, models in inputs.partitions():
        printed = [next((i for i in inputs.effects if i.model is model), None) for model in models]
        sizes = [item for item in printed if item is not None and np.isfinite(item.n)]
        if len(sizes) < len(models):
            continue
        whole = inputs.baseline(models[0], same_controls=True)
        total = sum(item.n for item in sizes)
        if whole is not None and np.isfinite(whole.n) and total != whole.n:
            parts = " + ".join(said(item.n) for item in sizes)
            if (key, parts) in told:
                continue
            told.add((key, parts))
            yield Found(
                f"By {column} the groups have {parts} = {said(total)} rows; the whole has {said(whole.n)} "
                f"({whole.where}).",
                key,
                variable=column,
            )
    seen = set()
    for item in inputs.effects:
        limit = _rows_of_listed_cities(inputs, item)
        if limit is not None and item.n > limit[0] and (item.exhibit, limit[1]) not in seen:
            seen.add((item.exhibit, limit[1]))
            yield Found(
                f"{said(item.n)} rows are printed for {limit[1]}; {said(limit[2])} cities of the lists and "
                f"{said(limit[0] / limit[2])} years give at most {said(limit[0])}.",
                item.exhibit,
                item.label,
            )


def _rows_of_listed_cities(inputs: Inputs, item: Printed) -> tuple[float, str, int] | None:
    """Most rows that a group of cities given by lists or attributes can have, its name, and its cities."""
    model = item.model
    if model is None or inputs.panel is None or not model.sample.where or not np.isfinite(item.n):
        return None
    data_driven = {group.name for group in inputs.study.groups if group.rule in ("above_mean", "at_least")}
    if data_driven & set(model.sample.where):
        return None
    frame = inputs.frame(_alone(model))
    if isinstance(frame, str):
        return None
    named = ", ".join(f"{name} = {'/'.join(map(str, values))}" for name, values in model.sample.where.items())
    return float(len(frame)), named, frame[UNIT].nunique()


def _alone(model: Model) -> Model:
    """The model without outcome and controls, so that only its sample selects rows."""
    return replace(model, outcome="", controls=(), method="two_way", options={})


def sample_years(inputs: Inputs) -> Iterator[Found]:
    """Rows that are whole years of all cities, but another number of years than the study's; or more rows than it
    has."""
    cities, years = inputs.grid
    said_already = set()
    for item in inputs.coefficients:
        n = item.n
        regression = item.model is not None and METHODS[item.model.method].is_regression
        if not regression or not np.isfinite(n) or n <= cities * years or (item.exhibit, n) in said_already:
            continue
        said_already.add((item.exhibit, n))
        whole = n % cities == 0
        spans = (
            f"{said(n)} = {cities} x {said(n / cities)}" if whole else f"{said(n)} is no multiple of {cities} cities"
        )
        columns = dict.fromkeys(i.label for i in inputs.coefficients if i.exhibit == item.exhibit and i.n == n)
        yield Found(
            f"The study has {cities} cities in {years} years, {said(cities * years)} rows; "
            f"{spans}{', so these columns rest on other years' if whole else ''}.",
            item.exhibit,
            ", ".join(columns),
            severity=None if whole else ERROR,
        )


def rows_lost(inputs: Inputs) -> Iterator[Found]:
    """A regression on the whole panel with fewer rows than the descriptive table counts of each of its variables."""
    some: dict[tuple[float, float], list[str]] = {}
    for item in inputs.effects:
        model = item.model
        if not inputs.is_full(model) or model is None or not np.isfinite(item.n):
            continue
        counted = [inputs.moments[v]["obs"] for v in (model.outcome, *model.controls) if v in inputs.moments]
        if not counted or item.n >= min(counted):
            continue
        if item.n < (1 - MANY_LOST) * min(counted):
            yield Found(
                f"{said(item.n)} rows, while the descriptive table counts {said(min(counted))} of "
                f"{', '.join((model.outcome, *model.controls))}: {1 - item.n / min(counted):.0%} are gone.",
                item.exhibit,
                item.label,
                model.outcome,
                severity=WARNING,
            )
        else:
            some.setdefault((item.n, min(counted)), []).append(item.where)
    if some:
        words = "; ".join(f"{said(n)} of {said(obs)} in {', '.join(places)}" for (n, obs), places in some.items())
        yield Found(f"The descriptive table counts every variable in full, the regressions have fewer rows: {words}.")


def sample_cut(inputs: Inputs) -> Iterator[Found]:
    """Columns on the whole panel's question that keep less than half of its rows, by exhibit."""
    hits: dict[str, list[tuple[Printed, Printed]]] = {}
    for item in inputs.effects:
        model = item.model
        if model is None or model.sample.where or model.sample.years or item.term != inputs.study.treatment:
            continue
        whole = inputs.baseline(model)
        if whole is not None and np.isfinite([item.n, whole.n]).all() and item.n < CUT * whole.n:
            hits.setdefault(item.exhibit, []).append((item, whole))
    for exhibit, pairs in hits.items():
        words = "; ".join(
            f"{item.label} keeps {said(item.n)} of {said(whole.n)} rows ({item.n / whole.n:.0%}), with an effect of "
            f"{said(item.estimate)} beside {said(whole.estimate)} on all ({whole.where})"
            for item, whole in pairs
        )
        yield Found(f"{words}.", exhibit, ", ".join(item.label for item, _ in pairs))


def same_estimate_other_error(inputs: Inputs) -> Iterator[Found]:
    """One coefficient, several standard errors: with the parameters each convention counts, which ratio to expect."""
    for a, b in convention_pairs(inputs):
        ratio, expected = error_ratio(inputs, a, b)
        low, high = (a.se - a.half) / (b.se + b.half), (a.se + a.half) / (b.se - b.half)
        fits = low <= expected <= high
        yield Found(
            f"{a.label} and {b.label} print {said(a.estimate)} with standard errors {said(a.se)} and {said(b.se)}, "
            f"ratio {ratio:.3f}; counting or not counting the city effects as parameters gives {expected:.3f}, which "
            f"{'explains it' if fits else 'does not explain it'}.",
            a.exhibit,
            f"{a.label}, {b.label}",
            a.term,
            severity=None if fits else WARNING,
        )


def convention_pairs(inputs: Inputs) -> Iterator[tuple[Printed, Printed]]:
    """Printed pairs of one coefficient on the same rows, of one regression under two conventions, each ratio once."""
    seen = set()
    for a, b in combinations(inputs.effects, 2):
        first, second = a.model, b.model
        if first is None or second is None or (a.exhibit, a.estimate, a.n) != (b.exhibit, b.estimate, b.n):
            continue
        if first.outcome != second.outcome or first.controls != second.controls or first.options == second.options:
            continue
        if abs(a.se - b.se) > a.half + b.half and (a.exhibit, a.se, b.se) not in seen:
            seen.add((a.exhibit, a.se, b.se))
            yield a, b


def error_ratio(inputs: Inputs, a: Printed, b: Printed) -> tuple[float, float]:
    """Ratio of two standard errors of one coefficient, as printed and as degrees of freedom make it.

    The larger counts the city effects as parameters, as ``regress`` with dummies does: with k slopes and T years,
    sqrt((n - k - T) / (n - k - T - (cities - 1))).
    """
    cities, years = inputs.grid
    assert a.model is not None
    slopes = len(a.model.treatments) + len(a.model.controls)
    few = a.n - slopes - years
    expected = float(np.sqrt(few / (few - (cities - 1))))
    return a.se / b.se, expected if a.se > b.se else 1 / expected


def list_and_table(inputs: Inputs) -> Iterator[Found]:
    """A treated share that the policy list and the years do not give."""
    treatment = inputs.study.treatment
    if treatment not in inputs.moments:
        return
    rows = inputs.rows
    first, last = inputs.study.years
    rows = rows[rows[TIME].between(first, last)]
    share = float((rows[TIME] >= rows[ADOPTION]).mean())
    mean, half = inputs.moments[treatment].get("mean", np.nan), inputs.moment_half(treatment, "mean")
    if abs(mean - share) > half + 1e-12:
        yield Found(
            f"{inputs.treated_cities} cities of the list, {len(rows):,} rows: {said(share)} of them are treated; "
            f"the printed mean of the treatment is {said(mean)}.",
            inputs.table_of_moments(),
            variable=treatment,
        )
    said_cities = inputs.text.treated_cities
    if said_cities and said_cities != inputs.treated_cities:
        yield Found(
            f"The text speaks of {said_cities} treated cities; the list has {inputs.treated_cities}.",
            variable=treatment,
        )


RULES = (
    Rule(
        "impossible-moments",
        "Moments that no data can have",
        "描述统计自相矛盾",
        ERROR,
        "Recompute the descriptive table; a variable may have been taken from another column.",
        "重新计算描述统计；某变量可能取自其他列。",
        impossible_moments,
    ),
    Rule(
        "outside-interval",
        "Estimate outside its own interval",
        "估计值在其置信区间之外",
        ERROR,
        "Check which of the three numbers is misprinted.",
        "核对三个数字中何者有误。",
        outside_interval,
    ),
    Rule(
        "wrong-stars",
        "Stars do not follow from coefficient and standard error",
        "显著性星号与系数、标准误不符",
        WARNING,
        "Trust coefficient and standard error; ask the authors which of the three is misprinted.",
        "以系数与标准误为准，并请作者确认何者有误。",
        wrong_stars,
    ),
    Rule(
        "parts-and-total",
        "Parts do not add up to their total",
        "分项之和不等于总数",
        ERROR,
        "Ask for unrounded parts; one of the printed numbers is wrong.",
        "索取未四舍五入的分项；必有一个数字有误。",
        parts_and_total,
    ),
    Rule(
        "constant",
        "Constant does not follow from the means",
        "常数项与均值不符",
        ERROR,
        "The regression and the descriptive table rest on different rows or variables: ask which.",
        "回归与描述统计的样本或变量不同，请作者说明。",
        constant,
    ),
    Rule(
        "first-stage",
        "First-stage F is not the square of the instrument's t",
        "一阶段F值不等于工具变量t值平方",
        WARNING,
        "Ask which covariance each of the two uses.",
        "请说明两者各用何种协方差。",
        first_stage,
    ),
    Rule(
        "nested-fit",
        "R² falls when a regressor is added",
        "增加变量后R²下降",
        ERROR,
        "One of the columns has other rows, other effects or a misprint.",
        "某列的样本、固定效应不同，或印刷有误。",
        nested_fit,
    ),
    Rule(
        "group-sizes",
        "Sizes of groups do not fit the sample",
        "分组样本量与总样本不符",
        ERROR,
        "Ask for the list of cities in each group; a city changes group between years or a group is another one.",
        "索取各组城市名单；可能有城市跨年换组，或分组并非所述。",
        group_sizes,
    ),
    Rule(
        "sample-years",
        "Sample size is not the study's cities times its years",
        "样本量不等于城市数乘年份数",
        WARNING,
        "State the years of these columns and estimate the baseline on the same years beside them.",
        "说明这些列的年份，并在相同年份上给出基准回归。",
        sample_years,
    ),
    Rule(
        "rows-lost",
        "Regressions have fewer rows than the descriptive table counts",
        "回归样本少于描述统计样本",
        NOTE,
        "Ask which rows are left out and why; estimate all columns on one sample.",
        "询问剔除了哪些观测及原因；各列应使用同一样本。",
        rows_lost,
    ),
    Rule(
        "sample-cut",
        "Most of the sample is gone",
        "样本大幅减少",
        WARNING,
        "Compare the kept with the dropped rows, and estimate the baseline without matching on the kept ones.",
        "比较保留与剔除的观测，并在保留样本上给出未匹配的基准回归。",
        sample_cut,
    ),
    Rule(
        "same-estimate-other-error",
        "One coefficient, several standard errors",
        "同一系数对应不同标准误",
        NOTE,
        "Read the columns as one regression under several conventions, not as a robustness test.",
        "这些列是同一回归的不同口径，不是稳健性检验。",
        same_estimate_other_error,
    ),
    Rule(
        "list-and-table",
        "Treated share does not follow from the policy list",
        "处理组占比与政策名单不符",
        ERROR,
        "Compare list and adoption years with the authors'.",
        "与作者核对名单与政策年份。",
        list_and_table,
    ),
)

"""Rules on printed figures beside each other: a number that is out of line with the others that bound or resemble
it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy import stats

from analysis.audit.finding import ERROR, NOTE, WARNING
from analysis.audit.inputs import Inputs, Printed, said
from analysis.audit.rule import Found, Rule
from analysis.studies.methods import METHODS
from analysis.studies.records import Model

#: A standard error so many times larger or smaller than its neighbours', scaled by the root of n, is out of line.
OUT_OF_LINE = 3.0
#: Digits that estimate and standard error must have together before their repetition is no coincidence.
SIGNIFICANT = 5
#: Difference in R² of the same outcome and effects from which the two are different statistics.
FIT = 0.3
#: Standard deviations of the outcome by which a constant may move between samples.
CONSTANT = 5.0
#: A planar map has fewer than six neighbours a place on average (Euler); this leaves room for corners that touch.
PLANAR = 7.0


def _is_same_regression(a: Model, b: Model) -> bool:
    """Whether two columns are one regression, whatever its conventions of inference."""
    keys = ("outcome", "treatments", "fixed_effects", "sample", "panel", "method", "leads", "interaction")
    return all(getattr(a, key) == getattr(b, key) for key in keys) and set(a.controls) == set(b.controls)


def repeated_estimate(inputs: Inputs) -> Iterator[Found]:
    """The same coefficient and standard error, to the last digit, in columns that are different regressions."""
    places: dict[tuple[float, float, bool], list[Printed]] = {}
    for item in inputs.coefficients:
        digits = _significant(item.estimate) + _significant(item.se)
        if item.model is not None and np.isfinite(item.se) and item.estimate and digits >= SIGNIFICANT:
            places.setdefault((item.estimate, item.se, item.term == "const"), []).append(item)
    for (estimate, se, _), items in places.items():
        distinct: list[Printed] = []
        for item in items:
            if not any(_is_same_regression(item.model, held.model) for held in distinct if item.model and held.model):
                distinct.append(item)
        if len(distinct) < 2:
            continue
        fits = {item.r2 for item in distinct if np.isfinite(item.r2)}
        also = f", with the same R² {said(fits.pop())}" if len(fits) == 1 else ""
        named = "; ".join(f"{item.where} {item.term}" for item in distinct)
        own = [item for item in distinct if item.model and item.model.interaction]
        why = " An interaction that equals the treatment gives exactly that." if own and also else ""
        last = distinct[-1]
        yield Found(
            f"{said(estimate)} ({said(se)}) is printed for {len(distinct)} different regressions{also}: {named}.{why}",
            last.exhibit,
            ", ".join(i.label for i in distinct if i.exhibit == last.exhibit),
            last.term,
        )


def _significant(value: float) -> int:
    """Significant digits of a printed number."""
    return 0 if not np.isfinite(value) else len(f"{abs(value):.10f}".rstrip("0").replace(".", "").lstrip("0"))


def standard_error_out_of_line(inputs: Inputs) -> Iterator[Found]:
    """A standard error far from the median of those printed for the same outcome, each scaled to a common n."""
    split = {id(model) for _, _, models in inputs.partitions() for model in models}
    by_outcome: dict[str, list[Printed]] = {}
    for item in inputs.effects:
        model = item.model
        if (
            model
            and METHODS[model.method].is_regression
            and id(model) not in split
            and np.isfinite(item.n)
            and item.se > 0
        ):
            by_outcome.setdefault(model.outcome, []).append(item)
    for outcome, items in by_outcome.items():
        whole = [item for item in items if inputs.is_full(item.model)]
        if len(whole) < 3:
            continue
        scaled = float(np.median([item.se * np.sqrt(item.n) for item in whole]))
        for item in items:
            ratio = item.se * np.sqrt(item.n) / scaled
            if 1 / OUT_OF_LINE < ratio < OUT_OF_LINE:
                continue
            expected = scaled / np.sqrt(item.n)
            yield Found(
                f"{said(item.se)} on {said(item.n)} rows (t = {abs(item.estimate) / item.se:.1f}); the other columns "
                f"for {outcome} have {', '.join(said(other.se) for other in whole if other is not item)}, which at "
                f"this n would be about {said(expected)}.",
                item.exhibit,
                item.label,
                outcome,
            )


def group_standard_errors(inputs: Inputs) -> Iterator[Found]:
    """Every group of a split has a smaller standard error than the whole sample, which has more rows."""
    hits: dict[tuple[str, str], list[tuple[list[Printed], Printed]]] = {}
    for key, column, items, whole in _split(inputs):
        largest = max(items, key=lambda item: item.se)
        if np.isfinite(whole.se) and largest.se + largest.half < whole.se - whole.half:
            hits.setdefault((key, column), []).append((items, whole))
    for (key, column), splits in hits.items():
        words = []
        for items, whole in splits:
            groups = ", ".join(f"{said(i.se)} (t = {abs(i.estimate) / i.se:.1f})" for i in items)
            words.append(f"{groups} in {', '.join(i.label for i in items)} and {said(whole.se)} in {whole.where}")
        yield Found(
            f"By {column}, standard errors are {'; '.join(words)}. No part of the rows can tell the effect more "
            "sharply than all of them, unless the variance is computed in another way.",
            key,
            ", ".join(item.label for items, _ in splits for item in items),
            column,
        )


def group_fit(inputs: Inputs) -> Iterator[Found]:
    """R² of the groups too low beside R² of the whole.

    Groups of their own fit at least as well as one regression for all, so SSR >= sum of SSR_g, and
    sum of SST_g / SST <= (1 - R²) / min(1 - R²_g): what is missing to one must be variance between groups.
    """
    hits: dict[tuple[str, str], list[tuple[list[Printed], Printed, float, float | None]]] = {}
    for key, column, items, whole in _split(inputs):
        fits = [item.r2 for item in items]
        if np.isfinite([*fits, whole.r2]).all() and max(fits) < whole.r2:
            between = 1 - (1 - whole.r2) / (1 - max(fits))
            ours = _between(inputs, items)
            if between >= FIT and (ours is None or ours < between):
                hits.setdefault((key, column), []).append((items, whole, between, ours))
    for (key, column), splits in hits.items():
        words = []
        for items, whole, between, ours in splits:
            beside = "" if ours is None else f", here {ours:.0%}"
            words.append(
                f"{', '.join(said(i.r2) for i in items)} in {', '.join(i.label for i in items)} and {said(whole.r2)} "
                f"in {whole.where}, so at least {between:.0%} of the variance would lie between groups{beside}"
            )
        yield Found(
            f"By {column}, R² is {'; '.join(words)}. R² within cities beside R² that counts city effects would "
            "explain it.",
            key,
            ", ".join(item.label for items, *_ in splits for item in items),
            column,
            from_data=any(ours is not None for *_, ours in splits),
        )


def _between(inputs: Inputs, items: list[Printed]) -> float | None:
    """Share of the outcome's variance that lies between the groups, in the panel at hand."""
    if inputs.panel is None:
        return None
    values = []
    for item in items:
        frame = inputs.frame(item.model) if item.model else ""
        if isinstance(frame, str) or item.model is None:
            return None
        values.append(frame[item.model.outcome].dropna().to_numpy(dtype=float))
    pooled = np.concatenate(values)
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in values)
    total = float(((pooled - pooled.mean()) ** 2).sum())
    return 1 - within / total if total > 0 else None


def _split(inputs: Inputs) -> Iterator[tuple[str, str, list[Printed], Printed]]:
    """Printed effects of the groups of each split, with that of the whole."""
    for key, column, models in inputs.partitions():
        items = [item for model in models for item in inputs.effects if item.model is model]
        whole = inputs.baseline(models[0], same_controls=True)
        if whole is not None and len(items) == len(models):
            yield key, column, items, whole


def omitted_variable(inputs: Inputs) -> Iterator[Found]:
    """Another policy's dummy moves the treatment's coefficient by more than the omitted-variable formula allows.

    b_short - b_long = gamma x delta, with gamma the dummy's coefficient and delta that of the dummy on the treatment,
    given the other regressors: the same for every outcome on the same rows, and of a 0/1 dummy hardly beyond one.
    """
    moved: dict[str, list[tuple[Printed, Printed, Printed, tuple[float, float]]]] = {}
    policies = {policy.name for policy in inputs.study.policies}
    for item in inputs.effects:
        model = item.model
        added = sorted(policies & set(model.controls)) if model else []
        if model is None or len(added) != 1 or not inputs.is_full(model):
            continue
        short = inputs.baseline(model, same_controls=True)
        other = inputs.value(item.exhibit, item.label, added[0])
        if short is None or other is None or short.n != item.n or abs(other.estimate) <= other.half:
            continue
        moved.setdefault(added[0], []).append((item, short, other, _delta(item, short, other)))
    for policy, cases in moved.items():
        for item, short, other, (low, high) in cases:
            if low <= 1 and high >= -1:
                continue
            siblings = [case for case in cases if case[0] is not item and case[3][0] <= 1 and case[3][1] >= -1]
            hint = ""
            if siblings:
                delta = float(np.mean(siblings[0][3]))
                hint = (
                    f" {siblings[0][0].label} gives delta = {delta:.2f} on the same rows; with it the coefficient "
                    f"would be {said(short.estimate - delta * other.estimate)}."
                )
            yield Found(
                f"Adding {policy} ({said(other.estimate)}) moves the effect from {said(short.estimate)} to "
                f"{said(item.estimate)}, so {policy} on the treatment would have a coefficient of "
                f"{(low + high) / 2:.2f}, outside -1 to 1 for a 0/1 variable.{hint}",
                item.exhibit,
                item.label,
                item.term,
            )
        sound = [case for case in cases if case[3][0] <= 1 and case[3][1] >= -1]
        for (a, _, _, one), (b, _, _, two) in combinations(sound, 2):
            if a.n == b.n and (one[1] < two[0] or two[1] < one[0]):
                yield Found(
                    f"{policy} on the treatment has one coefficient for all outcomes on the same rows, but {a.label} "
                    f"implies {one[0]:.3f} to {one[1]:.3f} and {b.label} {two[0]:.3f} to {two[1]:.3f}.",
                    a.exhibit,
                    f"{a.label}, {b.label}",
                    a.term,
                )


def _delta(item: Printed, short: Printed, other: Printed) -> tuple[float, float]:
    """Smallest and largest delta that rounding allows."""
    gap, slack = short.estimate - item.estimate, short.half + item.half
    ends = [(gap + side * slack) / (other.estimate + tilt * other.half) for side in (-1, 1) for tilt in (-1, 1)]
    return min(ends), max(ends)


def fit_of_another_kind(inputs: Inputs) -> Iterator[Found]:
    """Two columns with one outcome, the same effects and about the same rows whose R² cannot be the same statistic."""
    split = {id(model) for _, _, models in inputs.partitions() for model in models}
    hits: dict[tuple[str, str], dict[str, Printed]] = {}
    reference: dict[tuple[str, str], Printed] = {}
    for item in inputs.effects:
        model = item.model
        if model is None or id(model) in split or not np.isfinite(item.r2):
            continue
        peers = [
            other
            for other in inputs.effects
            if other.model is not None
            and inputs.is_full(other.model)
            and other.model.outcome == model.outcome
            and tuple(other.model.fixed_effects) == tuple(model.fixed_effects)
            and other.r2 > item.r2 + FIT
        ]
        if peers:
            hits.setdefault((item.exhibit, model.outcome), {})[item.label] = item
            reference[item.exhibit, model.outcome] = peers[0]
    for (exhibit, outcome), items in hits.items():
        best = reference[exhibit, outcome]
        yield Found(
            f"R² is {', '.join(f'{said(i.r2)} in {label}' for label, i in items.items())} and {said(best.r2)} in "
            f"{best.where}, with the same outcome and effects: one counts what the effects explain, the other not.",
            exhibit,
            ", ".join(items),
            outcome,
        )


def constant_moved(inputs: Inputs) -> Iterator[Found]:
    """Constants that move by many standard deviations of the outcome when only the sample changes, by exhibit."""
    hits: dict[str, dict[str, str]] = {}
    for item in inputs.coefficients:
        model = item.model
        if item.term != "const" or model is None or model.outcome not in inputs.moments or inputs.is_full(model):
            continue
        whole = inputs.baseline(model, same_controls=True)
        base = inputs.value(whole.exhibit, whole.label, "const") if whole else None
        sd = inputs.moments[model.outcome].get("sd", np.nan)
        if base is not None and np.isfinite(sd) and abs(item.estimate - base.estimate) > CONSTANT * sd:
            hits.setdefault(item.exhibit, {})[item.label] = (
                f"{said(item.estimate)} in {item.label} and {said(base.estimate)} in {base.where}, "
                f"{abs(item.estimate - base.estimate) / sd:.1f} standard deviations of {model.outcome} apart"
            )
    for exhibit, columns in hits.items():
        yield Found(
            f"The constant is {'; '.join(columns.values())}: the controls do not have the coefficients of the whole "
            "sample.",
            exhibit,
            ", ".join(columns),
            "const",
        )


def decomposition_mean(inputs: Inputs) -> Iterator[Found]:
    """The weighted mean of a printed Goodman-Bacon decomposition is not the estimate that it decomposes."""
    for key, exhibit in inputs.exhibits.items():
        if exhibit.kind != "bacon":
            continue
        labels = dict.fromkeys(i.label for i in inputs.coefficients if i.exhibit == key)
        parts = [(inputs.value(key, label, "weight"), inputs.value(key, label, "estimate")) for label in labels]
        pairs = [
            (w, e) for w, e in parts if w is not None and e is not None and not w.label.endswith("all comparisons")
        ]
        if not pairs:
            continue
        mean = sum(w.estimate * e.estimate for w, e in pairs)
        slack = sum(w.half * abs(e.estimate) + w.estimate * e.half for w, e in pairs)
        outcome = exhibit.models[0].outcome
        whole = [i for i in inputs.effects if i.model and inputs.is_full(i.model) and i.model.outcome == outcome]
        alone = [item for item in whole if item.model and not item.model.controls]
        for item in alone[:1]:
            if abs(item.estimate - mean) > slack + item.half:
                yield Found(
                    f"The printed comparisons have the weighted mean {said(mean)}; the regression without controls "
                    f"is {said(item.estimate)} ({item.where}), and the two are equal by construction.",
                    key,
                    variable=outcome,
                    severity=ERROR,
                )
        if alone or not whole:
            continue
        base = inputs.headlines.get(outcome, whole[0])
        gap = abs(base.estimate - mean)
        if gap > slack + base.half and gap > 0.25 * base.se:
            yield Found(
                f"The printed comparisons have the weighted mean {said(mean)}; the baseline is {said(base.estimate)} "
                f"({base.where}), {gap / base.se:.1f} standard errors away. A decomposition without controls "
                f"explains the effect without controls: the controls account for {gap / abs(base.estimate):.0%} of "
                "the baseline.",
                key,
                variable=outcome,
            )


def autocorrelation_precision(inputs: Inputs) -> Iterator[Found]:
    """Moran's I or rho printed with a precision that a contiguity matrix cannot have.

    With d neighbours a place and rows that sum to one, I has a standard deviation near sqrt(2 / (n d)) and rho one
    near sqrt(d / (2 n T)); a map gives fewer than six neighbours a place.
    """
    cities, years = inputs.grid
    for key, exhibit in inputs.exhibits.items():
        contiguous = {m.name for model in exhibit.models for m in model.weights if m.kind == "contiguity"}
        if exhibit.kind == "moran":
            for name in sorted(contiguous):
                yield from _moran_precision(inputs, key, name, cities)
        for item in inputs.coefficients:
            model = item.model
            if item.exhibit != key or item.term != "rho" or model is None or not np.isfinite(item.se):
                continue
            if not any(matrix.kind == "contiguity" for matrix in model.weights):
                continue
            neighbours = 2 * cities * years * (item.se - item.half) ** 2
            if neighbours > 2 * PLANAR:
                yield Found(
                    f"rho has a standard error of {said(item.se)}; that of a matrix of neighbours over {cities} "
                    f"cities and {years} years is near {said(np.sqrt(6 / (2 * cities * years)))}. The printed one "
                    f"fits a matrix with about {neighbours:.0f} neighbours a city.",
                    key,
                    item.label,
                    "rho",
                )


def _moran_precision(inputs: Inputs, key: str, name: str, cities: int) -> Iterator[Found]:
    """The largest standard deviation that each printed pair of I and p allows, beside the smallest a map can have."""
    least = np.sqrt(2 / (cities * PLANAR))
    hits = []
    for item in inputs.coefficients:
        p = inputs.value(key, item.label, f"{name} p")
        if item.exhibit != key or item.term != name or p is None:
            continue
        z = float(stats.norm.isf(p.estimate + p.half))
        if z <= 0.5:
            continue
        largest = (item.estimate + item.half + 1 / (cities - 1)) / z
        if 0 < largest < 0.8 * least:
            hits.append((largest, item, p))
    if hits:
        largest, item, p = max(hits, key=lambda hit: hit[0])
        yield Found(
            f"In {len(hits)} of the printed rows I and p need a standard deviation of at most {said(largest)} (for "
            f"example {item.label}: I = {said(item.estimate, 3)}, p = {p.estimate:.3f}); over {cities} cities a "
            f"matrix of neighbours has one near {said(np.sqrt(2 / (6 * cities)))}, so such a p needs about "
            f"{2 / (cities * largest**2):.0f} neighbours a city.",
            key,
            variable=name,
            severity=ERROR,
        )


def instrument_strength(inputs: Inputs) -> Iterator[Found]:
    """A first-stage F out of all proportion to the LM statistic of the same first stage.

    The clustered LM is a sum over clusters studentised by itself, so it cannot exceed the number of clusters that carry
    it (Cauchy and Schwarz); the Wald F has no such bound when the instrument fits those clusters exactly.
    """
    for item in inputs.coefficients:
        lm = inputs.value(item.exhibit, item.label, "kp_rk_lm")
        if item.term != "kp_rk_wald_f" or lm is None or item.estimate <= 20 * lm.estimate:
            continue
        treated = "" if inputs.panel is None else f", close to the {inputs.treated_cities} treated cities"
        yield Found(
            f"The first-stage F is {said(item.estimate, 1)} and the LM statistic {said(lm.estimate, 1)}. A clustered "
            f"LM is bounded by the clusters that carry it{treated}: the instrument moves with the treatment in those "
            "cities almost by construction, for example because its time dummy is each city's own adoption.",
            item.exhibit,
            item.label,
            "iv",
        )


RULES = (
    Rule(
        "repeated-estimate",
        "Different regressions, the same numbers",
        "不同回归出现完全相同的结果",
        ERROR,
        "Ask for the log; an interaction may equal the treatment, or a column was copied.",
        "索取运行日志；交互项可能等于政策变量，或该列为复制。",
        repeated_estimate,
    ),
    Rule(
        "standard-error-out-of-line",
        "Standard error out of line with its neighbours",
        "标准误与相邻结果明显不一致",
        WARNING,
        "Check for a misprint or another variance estimator; do not read the stars.",
        "核对是否印刷错误或使用了其他方差估计；勿据此解读显著性。",
        standard_error_out_of_line,
    ),
    Rule(
        "group-standard-errors",
        "Every group is estimated more sharply than the whole",
        "各分组标准误均小于全样本",
        WARNING,
        "Ask whether the groups are clustered as the baseline is; estimate them with one variance.",
        "询问分组回归是否与基准同样聚类；以同一方差重新估计。",
        group_standard_errors,
    ),
    Rule(
        "group-fit",
        "R² of the groups does not fit that of the whole",
        "分组R²与全样本R²不相容",
        WARNING,
        "Ask for the command: the groups seem to have another specification than the baseline.",
        "索取命令：分组回归的设定似与基准不同。",
        group_fit,
    ),
    Rule(
        "omitted-variable",
        "Coefficient moves more than the added policy can move it",
        "系数变动超出遗漏变量公式所允许的范围",
        ERROR,
        "Treat the coefficient as a misprint until the log is seen.",
        "在见到日志之前，视该系数为印刷错误。",
        omitted_variable,
    ),
    Rule(
        "fit-of-another-kind",
        "R² of another kind",
        "R²口径不同",
        NOTE,
        "Say which R² each column prints; do not compare them.",
        "说明各列R²的口径，勿相互比较。",
        fit_of_another_kind,
    ),
    Rule(
        "constant-moved",
        "Constant of another sample",
        "常数项大幅变动",
        WARNING,
        "Show the controls' coefficients of both columns and the balance of the kept rows.",
        "列出两列控制变量的系数及保留样本的平衡性。",
        constant_moved,
    ),
    Rule(
        "decomposition-mean",
        "Decomposition is not one of the baseline",
        "Bacon分解与基准估计不符",
        WARNING,
        "Decompose the estimate that the paper reports, controls included.",
        "对文中报告的估计（含控制变量）进行分解。",
        decomposition_mean,
    ),
    Rule(
        "autocorrelation-precision",
        "Spatial statistic too sharp or too loose for its matrix",
        "空间统计量的精度与权重矩阵不符",
        WARNING,
        "Ask for the matrix: it is not one of neighbours.",
        "索取权重矩阵：它不是邻接矩阵。",
        autocorrelation_precision,
    ),
    Rule(
        "instrument-strength",
        "First-stage F out of proportion to the LM statistic",
        "一阶段F值与LM统计量不成比例",
        WARNING,
        "Let the instrument start at one date for all cities and report that F.",
        "令工具变量对所有城市从同一年份开始，并报告该F值。",
        instrument_strength,
    ),
)

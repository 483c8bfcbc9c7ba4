"""What a referee will ask of a study: each check of the field, where a study has it, and the YAML lines that add it.

No data are read: everything is told from the study's own words. The usual exhibits are in `standard`, rules in
`analysis.audit`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.studies.methods import METHODS
from analysis.studies.records import TIMES, TREND, Exhibit, Label, Model, Study, factors
from analysis.studies.standard import WINDOW, standard

THERE, MISSING, IMPOSSIBLE = "there", "missing", "not possible"
#: Four municipalities, which have the rank of a province.
MUNICIPALITIES = [110000, 120000, 310000, 500000]
SURFACE = "figure_surface"
#: Exhibits by name, as a YAML has them; or the sentence that says why the study's data do not allow the check.
Lines = Mapping[str, Mapping[str, Any]] | str


@dataclass(frozen=True)
class Check:
    """One thing that referees ask for.

    Attributes
    ----------
    code, title : a word, and what it is.
    asks : what a referee will ask for, in a sentence.
    found : study -> where it has the check: exhibits, or a rule of the audit; nothing where it has not.
    add : study -> the exhibits that add it, or why there can be none.
    """

    code: str
    title: Label
    asks: Label
    found: Callable[[Study], Sequence[str]]
    add: Callable[[Study], Lines]

    def __reduce__(self) -> tuple[Callable[[str], Check], tuple[str]]:
        # what an audit finds is kept between two steps of a run; functions are not
        return _by_code, (self.code,)


def _by_code(code: str) -> Check:
    return next(check for check in CHECKS if check.code == code)


@dataclass(frozen=True)
class Answer:
    """How a study stands with a check: there (where), missing (with the lines that add it) or not possible (why)."""

    check: Check
    state: str
    where: tuple[str, ...] = ()
    lines: str = ""
    why: str = ""


def answers(study: Study) -> tuple[Answer, ...]:
    """Every check in the order of the list."""
    made = []
    for check in CHECKS:
        where = tuple(check.found(study))
        if where:
            made.append(Answer(check, THERE, where))
            continue
        added = check.add(study)
        if isinstance(added, str):
            made.append(Answer(check, IMPOSSIBLE, why=added))
        else:
            made.append(Answer(check, MISSING, lines=as_yaml(added)))
    return tuple(made)


def referee(study: Study) -> dict[str, Any]:
    """The usual exhibits, and every check that the study's words allow."""
    exhibits = dict(standard(study))
    for check in CHECKS:
        added = check.add(study)
        if not isinstance(added, str) and check.code not in USUAL:
            exhibits |= {name: exhibit for name, exhibit in added.items() if name not in exhibits}
    return exhibits


def as_yaml(exhibits: Mapping[str, Any]) -> str:
    """Exhibits as lines that stand below ``exhibits:``."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = None
    writer.allow_unicode = True
    writer.width = 110
    file = io.StringIO()
    writer.dump({name: _plain(exhibit) for name, exhibit in exhibits.items()}, file)
    return "".join(f"  {line}\n" for line in file.getvalue().splitlines())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


# What a study has.


def _models(study: Study) -> list[tuple[Exhibit, Model]]:
    return [(e, model) for e in study.exhibits if e.kind != "surface" for model in (*e.models, *e.tests)]


def _kinds(*kinds: str) -> Callable[[Study], list[str]]:
    return lambda study: [e.name for e in study.exhibits if e.kind in kinds]


def _where(holds: Callable[[Study, Model], Any]) -> Callable[[Study], list[str]]:
    return lambda study: list(dict.fromkeys(e.name for e, model in _models(study) if holds(study, model)))


def _methods(*names: str) -> Callable[[Study], list[str]]:
    return _where(lambda study, model: model.method in names)


def _surface(study: Study, *choices: tuple[str, str]) -> list[str]:
    """Surfaces that have an option: (choice, word), or (choice, "") for any beside the study's own."""
    found = []
    for exhibit in study.exhibits:
        if exhibit.plan is None:
            continue
        options = dict(exhibit.plan.options)
        timings = dict.fromkeys(timing for _, timing in exhibit.plan.controls)
        words = {name: [option.key for option in held] for name, held in options.items()}
        words["timing"] = list(timings)
        words["scale"] = list({s.key: None for held in exhibit.plan.scales.values() for s in held})
        words["measure"] = list({m.key: None for held in exhibit.plan.measures.values() for m in held})
        if any(word in words[name] if word else len(words[name]) > 1 for name, word in choices):
            found.append(exhibit.name)
    return found


def _or_surface(found: Callable[[Study], list[str]], *choices: tuple[str, str]) -> Callable[[Study], list[str]]:
    return lambda study: list(dict.fromkeys([*found(study), *_surface(study, *choices)]))


def _rule(code: str, holds: Callable[[Study], bool] = lambda study: True) -> Callable[[Study], list[str]]:
    return lambda study: [f"audit: {code}"] if holds(study) else []


def _of_cities(study: Study) -> bool:
    return study.panel is None or study.panel.cities


# What would add it.


def _title(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh": zh}


def _columns(study: Study, *changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A column for each outcome and change."""
    made = [{"outcome": outcome, **change} for change in changes for outcome in study.outcomes]
    return [{"label": f"({at})", **column} for at, column in enumerate(made, start=1)]


def _regression(
    code: str, title: tuple[str, str], *changes: Callable[[Study], Mapping[str, Any]]
) -> Callable[[Study], Lines]:
    """A table of regressions whose columns change one thing."""

    def add(study: Study) -> Lines:
        columns = _columns(study, *(change(study) for change in changes))
        return {f"table_{code}": {"kind": "regression", "title": _title(*title), "columns": columns}}

    return add


def _needs(condition: Callable[[Study], Any], why: str, add: Callable[[Study], Lines]) -> Callable[[Study], Lines]:
    return lambda study: add(study) if condition(study) else why


def _stays(study: Study) -> bool:
    return not study.intensity


CONTROLS = "The study has no controls."
CITIES = "Its units are no Chinese cities, so that nothing is known of their province, rank or place."
STAYING = "Its treatment has an intensity, and this needs one that is 0 before a first year and 1 from it on."


def _usual(name: str) -> Callable[[Study], Lines]:
    return lambda study: {f"{name}_standard": standard(study)[name]}


def _honest(study: Study) -> Lines:
    first, last = study.years
    window = max(2, min(WINDOW, (last - first) // 2))
    return {
        "table_honest": {
            "kind": "honest",
            "title": _title("When trends are not parallel", "平行趋势偏离下的稳健区间"),
            "baseline": {"options": {"leads": window, "lags": max(1, window - 2)}},
            "columns": [{"label": outcome, "outcome": outcome} for outcome in study.outcomes],
        }
    }


def _placebos(study: Study) -> Lines:
    return {
        f"figure_placebo_{kind}": {
            "kind": "placebo",
            "title": _title(f"Placebo test {words[0]}", f"安慰剂检验：{words[1]}"),
            "baseline": {"options": {"kind": kind}},
            "columns": [{"label": outcome, "outcome": outcome} for outcome in study.outcomes],
        }
        for kind, words in (("time", ("in time", "时间")), ("mixed", ("in time and space", "时间与空间")))
    }


def _matched(study: Study) -> Lines:
    options = {"matching": "kernel", "bandwidth": 0.06}
    columns = _columns(study, {"method": _MATCHED, "options": options})
    title = _title("Matched sample", "倾向得分匹配")
    balance = _title("Balance of the matched sample", "匹配平衡性")
    return {
        "table_matching": {"kind": "regression", "title": title, "columns": columns},
        "table_balance": {
            "kind": "balance",
            "title": balance,
            "columns": [{"label": "kernel, 0.06", "options": options}],
        },
    }


#: The methods that estimate under treatment that did not happen.
_DEALT = ("placebo", "randomization")
#: The methods that match before they regress, and that draw errors by cluster.
_MATCHED = next(name for name, method in METHODS.items() if "matching" in method.options and method.is_regression)
_BOOTSTRAP = next(name for name, method in METHODS.items() if method.repeats)


def _instrument(study: Study) -> Lines:
    names = [variable.name for variable in study.variables if variable.role == "instrument"]
    if not names:
        return (
            "No variable has the role instrument: one that moves the pilot and the outcome by no other way is needed."
        )
    since = sum(study.years) // 2
    columns = [
        {**column, "method": "two_stage", "options": {"instrument": names[0], "since": since, "stage": stage}}
        for stage in ("first", "second")
        for column in _columns(study, {})
    ]
    columns = [{**column, "label": f"({at})"} for at, column in enumerate(columns, start=1)]
    note = _title("`since` should be the year of the first batch.", "since应为首批试点年份。")
    title = _title("Instrument", "工具变量")
    return {"table_instrument": {"kind": "regression", "title": title, "note": note, "columns": columns}}


def _other_policies(study: Study) -> Lines:
    if not study.policies:
        return "The study names no other policy; lists at hand stand in data/policies, and go under `policies`."
    columns = [{**column, "add": [policy.name]} for policy in study.policies for column in _columns(study, {})]
    columns = [{**column, "label": f"({at})"} for at, column in enumerate(columns, start=1)]
    show = [study.treatment, *(policy.name for policy in study.policies)]
    title = _title("Other policies", "排除其他政策干扰")
    return {"table_policies": {"kind": "regression", "title": title, "show": show, "columns": columns}}


def _window(study: Study) -> Lines:
    first, last = study.years
    if last - first < 4:
        return "The panel has too few years to leave some out."
    changes = ({"sample": {"years": [first + 1, last]}}, {"sample": {"years": [first, last - 1]}})
    title = _title("Other windows", "更换样本区间")
    return {"table_window": {"kind": "regression", "title": title, "columns": _columns(study, *changes)}}


def _counts(study: Study) -> Lines:
    plain = [v.name for v in study.variables if v.name in study.outcomes and v.scale == v.change == "none"]
    if not plain:
        return "Its outcomes are in logarithms or changes; a count or level would have to be a variable too."
    columns = [{"label": f"({at})", "outcome": name, "method": "poisson"} for at, name in enumerate(plain, start=1)]
    title = _title("Poisson regression", "泊松回归")
    return {"table_poisson": {"kind": "regression", "title": title, "columns": columns}}


def _dose(study: Study) -> Lines:
    if "dose" not in METHODS or not study.intensity:
        return "Its list says who, not how much: `intensity:` names a column of numbers of the policy list."
    title = _title("Intensity of the policy", "政策强度")
    return {"table_dose": {"kind": "regression", "title": title, "columns": _columns(study, {"method": "dose"})}}


def _triple(study: Study) -> Lines:
    """Units within a policy's region, some of them of the group that it is for."""
    if _of_cities(study):
        return (
            "Nobody within a treated unit is left out by the policy: that needs firms or industries, a panel of their "
            "own."
        )
    groups = [variable.name for variable in study.variables if variable.role == "group"]
    if not groups:
        return "No variable has the role group: a 0/1 column that says which units of a region the policy is for."
    method = {"method": "triple_difference", "options": {"eligible": groups[0]}}
    title = _title("Triple difference", "三重差分")
    return {"table_triple": {"kind": "regression", "title": title, "columns": _columns(study, method)}}


def _mechanisms(study: Study) -> Lines:
    names = [variable.name for variable in study.variables if variable.role == "mechanism"]
    if not names:
        return "No variable has the role mechanism."
    direct = [{"label": f"({at})", "outcome": name} for at, name in enumerate(names, start=1)]
    through = [
        {"outcome": outcome, "method": "mediation", "options": {"mediator": name}}
        for name in names
        for outcome in study.outcomes
    ]
    mediated = [{"label": f"({at})", **column} for at, column in enumerate(through, start=1)]
    return {
        "table_mechanisms": {"kind": "regression", "title": _title("Mechanisms", "机制检验"), "columns": direct},
        "table_mediation": {
            "kind": "regression",
            "title": _title("Indirect effects", "间接效应"),
            "columns": mediated,
        },
    }


def _groups(study: Study) -> Lines:
    title = _title("Heterogeneity, with a test of the difference", "异质性及组间差异检验")
    by, values = "", list[Any]()
    if study.groups:
        by, values = study.groups[0].name, [0, 1]
    elif _of_cities(study):
        by, values = "region", ["east", "central", "west"]
    else:
        return "No group is stated: `groups:` splits units by a variable of the study."
    columns = _columns(study, *({"sample": {"where": {by: value}}} for value in values))
    return {
        "table_groups": {
            "kind": "regression",
            "title": title,
            "columns": columns,
            "compare": {"by": by, "permutations": 499},
        }
    }


def _spillovers(study: Study) -> Lines:
    if not study.weights:
        return CITIES if not _of_cities(study) else "The study states no matrix of neighbours: see `weights:`."
    columns = _columns(study, {"weights": next(iter(study.weights)), "options": {"model": "sdm"}})
    title = _title("Spatial difference-in-differences", "空间双重差分")
    return {"table_spatial": {"kind": "spatial_panel", "title": title, "columns": columns}}


def _whole_surface(study: Study) -> Lines:
    if len(study.cluster) != 1:
        return "Its errors are clustered by two columns, and a surface by one at a time."
    title = _title("Every defensible specification", "全部合理设定")
    return {SURFACE: {"kind": "surface", "title": title}}


def _check(code: str, title: tuple[str, str], asks: tuple[str, str], found: Any, add: Any) -> Check:
    return Check(code, Label(*title), Label(*asks), found, add)


_on_surface = _needs(_stays, STAYING, _whole_surface)
#: Checks of which the usual exhibits hold one.
USUAL = ("descriptive", "controls", "event_study", "bacon", "staggered", "placebo")

CHECKS: tuple[Check, ...] = (
    _check(
        "descriptive",
        ("Descriptive statistics", "描述性统计"),
        ("What the variables look like, and how many values there are.", "各变量的分布与观测数。"),
        _kinds("descriptive"),
        _usual("table_1"),
    ),
    _check(
        "missing",
        ("Missing and filled values", "缺失值与插补"),
        ("Whether the result rests on filled values or on who reports.", "结果是否依赖插补值或样本缺失。"),
        lambda study: _surface(study, ("filling", ""), ("sample", "balanced")),
        _on_surface,
    ),
    _check(
        "controls",
        ("With and without controls", "加入与不加入控制变量"),
        ("Whether the effect hangs on the controls.", "效应是否依赖控制变量。"),
        lambda study: _without_controls(study) or _surface(study, ("timing", "same year")),
        _needs(
            lambda study: study.controls,
            CONTROLS,
            _regression("controls", ("Without controls", "不加控制变量"), lambda study: {"drop": "all controls"}),
        ),
    ),
    _check(
        "event_study",
        ("Parallel trends", "平行趋势检验"),
        ("An event study with its leads.", "事件研究及政策前各期系数。"),
        _kinds("event_study"),
        _needs(_stays, STAYING, _usual("figure_1")),
    ),
    _check(
        "power",
        ("Power of the test of trends", "平行趋势检验的功效"),
        ("Which trend the leads would have missed.", "政策前系数可能遗漏多大的趋势。"),
        _rule("pretrend-power"),
        lambda study: "The audit's own rule.",
    ),
    _check(
        "honest",
        ("Trends that may part", "平行趋势偏离"),
        ("Honest intervals (Rambachan and Roth 2023).", "Rambachan与Roth（2023）稳健区间。"),
        _kinds("honest"),
        _needs(_stays, STAYING, _honest),
    ),
    _check(
        "anticipation",
        ("Anticipation", "预期效应"),
        ("Whether the effect begins before the policy.", "效应是否先于政策出现。"),
        _where(lambda study, model: model.leads),
        _needs(
            _stays,
            STAYING,
            _regression("anticipation", ("Anticipation", "预期效应"), lambda study: {"anticipation": [1, 2]}),
        ),
    ),
    _check(
        "bacon",
        ("Goodman-Bacon decomposition", "Goodman-Bacon分解"),
        ("Which comparisons make the estimate.", "估计值由哪些比较构成。"),
        _kinds("bacon"),
        _needs(_stays, STAYING, _usual("table_3")),
    ),
    _check(
        "staggered",
        ("Estimators for staggered adoption", "交错处理的稳健估计量"),
        ("Estimators that compare no city with one treated before it.", "不以更早处理的城市作对照的估计量。"),
        _kinds("estimators"),
        _needs(_stays, STAYING, _usual("table_4")),
    ),
    _check(
        "placebo",
        ("Placebo in space", "空间安慰剂检验"),
        ("Randomisation inference: treatment dealt at random.", "随机化推断：随机分配处理。"),
        _where(lambda study, model: model.method in _DEALT and model.options.get("kind", "space") == "space"),
        _needs(_stays, STAYING, _usual("figure_2")),
    ),
    _check(
        "placebo_time",
        ("Placebo in time, and in both", "时间与混合安慰剂检验"),
        (
            "The same before the policy was there, and with dates drawn too.",
            "政策前的虚假时点，以及时点与城市同时随机。",
        ),
        _where(lambda study, model: model.method in _DEALT and model.options.get("kind", "space") != "space"),
        _needs(_stays, STAYING, _placebos),
    ),
    _check(
        "placebo_outcome",
        ("Placebo outcome", "安慰剂结果变量"),
        ("An outcome that the policy cannot move.", "政策不应影响的结果变量。"),
        _where(lambda study, model: any(v.name == model.outcome and v.role == "other" for v in study.variables)),
        lambda study: _placebo_outcome(study),
    ),
    _check(
        "leave_out",
        ("Leaving one out", "逐一剔除"),
        ("Whether one unit or one year makes the result.", "结果是否由个别城市或年份决定。"),
        _methods("leave_out"),
        _regression(
            "leave_out",
            ("Leaving one unit or one year out", "逐一剔除城市或年份"),
            lambda study: {"method": "leave_out", "options": {"by": "unit"}},
            lambda study: {"method": "leave_out", "options": {"by": "time"}},
        ),
    ),
    _check(
        "matching",
        ("Matched sample, with its balance", "倾向得分匹配及平衡性"),
        ("Whether treated and other cities are alike.", "处理组与对照组是否可比。"),
        _methods(_MATCHED),
        _needs(lambda study: study.controls and _stays(study), f"{CONTROLS} Matching needs covariates.", _matched),
    ),
    _check(
        "machine_learning",
        ("Double machine learning", "双重机器学习"),
        ("Controls of any form.", "控制变量以任意函数形式进入。"),
        _methods("double_machine_learning"),
        _needs(
            lambda study: study.controls,
            CONTROLS,
            _regression(
                "machine_learning",
                ("Double machine learning", "双重机器学习"),
                lambda study: {"method": "double_machine_learning"},
            ),
        ),
    ),
    _check(
        "instrument",
        ("Instrument, with the effective F", "工具变量及有效F值"),
        ("What if cities were chosen for their prospects.", "试点城市若因前景而入选。"),
        _methods("two_stage"),
        _instrument,
    ),
    _check(
        "sensitivity",
        ("What is not observed", "遗漏变量敏感性"),
        ("Oster's delta and the robustness value.", "Oster的delta与稳健值。"),
        _methods("sensitivity"),
        _needs(
            lambda study: study.controls,
            CONTROLS,
            _regression(
                "sensitivity", ("Unobserved confounders", "遗漏变量敏感性"), lambda study: {"method": "sensitivity"}
            ),
        ),
    ),
    _check(
        "policies",
        ("Other policies", "其他政策"),
        ("Whether another policy of these years did it.", "同期其他政策的影响。"),
        _where(lambda study, model: set(model.controls) & {policy.name for policy in study.policies}),
        _other_policies,
    ),
    _check(
        "municipalities",
        ("Without municipalities and capitals", "剔除直辖市与省会"),
        ("Whether cities of another rank make the result.", "结果是否由行政级别较高的城市决定。"),
        _or_surface(
            _where(lambda study, model: {str(code) for code in MUNICIPALITIES} <= set(model.sample.exclude_cities)),
            ("sample", "municipalities"),
        ),
        _needs(
            _of_cities,
            CITIES,
            _regression(
                "municipalities",
                ("Without municipalities; without capitals", "剔除直辖市；剔除省会"),
                lambda study: {"sample": {"exclude_cities": MUNICIPALITIES}},
                lambda study: {"sample": {"exclude_cities": MUNICIPALITIES, "where": {"provincial_capital": 0}}},
            ),
        ),
    ),
    _check(
        "window",
        ("Other windows", "更换样本区间"),
        ("Whether some years make the result.", "结果是否由部分年份决定。"),
        _or_surface(_where(lambda study, model: model.sample.years), ("sample", "first years"), ("sample", "epidemic")),
        _window,
    ),
    _check(
        "winsorising",
        ("Winsorised and not", "缩尾与不缩尾"),
        ("Whether extreme values make the result.", "结果是否由极端值决定。"),
        lambda study: _surface(study, ("winsorising", "")),
        _on_surface,
    ),
    _check(
        "timing",
        ("Controls before the policy", "前定控制变量"),
        ("Controls that the policy cannot have moved.", "不受政策影响的控制变量。"),
        _or_surface(
            _where(lambda study, model: any(TREND in name.split(TIMES) or "_lag_" in name for name in model.controls)),
            ("timing", "year before"),
        ),
        _needs(lambda study: study.controls, CONTROLS, _on_surface),
    ),
    _check(
        "province_year",
        ("Province by year effects", "省份×年份固定效应"),
        ("A comparison within province and year.", "同省同年内的比较。"),
        _or_surface(
            _where(lambda study, model: any("province_code" in factors(e) and TIMES in e for e in model.fixed_effects)),
            ("effects", "unit + province_code x time"),
        ),
        _needs(
            _of_cities,
            CITIES,
            _regression(
                "province_year",
                ("Province by year effects", "省份×年份固定效应"),
                lambda study: {"fixed_effects": ["unit", "province x year"]},
            ),
        ),
    ),
    _check(
        "own_trends",
        ("A trend of each city's own", "各城市自身趋势"),
        ("Whether the effect is more than paths that differ.", "效应是否只是各城市趋势不同。"),
        lambda study: _surface(study, ("effects", "own trends")),
        _on_surface,
    ),
    _check(
        "cluster",
        ("Clusters above the city", "更高层级聚类"),
        ("Errors clustered by province.", "按省份聚类的标准误。"),
        _or_surface(
            _where(lambda study, model: model.cluster != study.cluster and model.cluster), ("cluster", "province_code")
        ),
        _needs(
            _of_cities,
            CITIES,
            _regression("cluster", ("Clustered by province", "按省份聚类"), lambda study: {"cluster": "province"}),
        ),
    ),
    _check(
        "conley",
        ("Errors correlated over space", "Conley空间标准误"),
        ("Conley's errors by distance.", "按距离计算的Conley标准误。"),
        _methods("conley"),
        _needs(
            _of_cities,
            CITIES,
            _regression(
                "conley",
                ("Conley's errors, 300 km", "Conley标准误（300公里）"),
                lambda study: {"method": "conley", "options": {"cutoff_km": 300}},
            ),
        ),
    ),
    _check(
        "bootstrap",
        ("Wild cluster bootstrap", "野聚类自助法"),
        ("p values that do not need many clusters.", "不依赖大量聚类的p值。"),
        lambda study: [*_methods(_BOOTSTRAP)(study)],
        _regression("bootstrap", ("Wild cluster bootstrap", "野聚类自助法"), lambda study: {"method": _BOOTSTRAP}),
    ),
    _check(
        "form",
        ("Another form or measure of the outcome", "更换被解释变量的形式或度量"),
        ("Counts as counts, and another measure of the same.", "计数模型，以及另一种度量。"),
        _or_surface(
            _where(
                lambda study, model: (
                    model.method == "poisson"
                    or (
                        any(v.name == model.outcome and v.role == "outcome" for v in study.variables)
                        and model.outcome not in study.outcomes
                    )
                )
            ),
            ("scale", ""),
            ("measure", ""),
        ),
        _counts,
    ),
    _check(
        "dose",
        ("Intensity of the policy", "政策强度"),
        ("Whether more of it does more.", "强度越大效应是否越大。"),
        _methods("dose"),
        _dose,
    ),
    _check(
        "triple",
        ("Triple difference", "三重差分"),
        ("A group within the city that the policy is not for.", "城市内部不受政策影响的群体。"),
        _methods("triple_difference"),
        _triple,
    ),
    _check(
        "mechanisms",
        ("Mechanisms", "机制检验"),
        ("By what way it works, with the indirect effect.", "作用路径及间接效应。"),
        _where(
            lambda study, model: (
                model.method == "mediation"
                or any(v.name == model.outcome and v.role == "mechanism" for v in study.variables)
            )
        ),
        _mechanisms,
    ),
    _check(
        "groups",
        ("Heterogeneity, tested", "异质性及其检验"),
        ("For whom, with a test of the difference.", "对谁有效，并检验组间差异。"),
        _where(lambda study, model: model.method == "group_difference" or model.interaction),
        _groups,
    ),
    _check(
        "spillovers",
        ("Spillovers", "溢出效应"),
        ("Whether neighbours of pilots are good controls.", "试点的邻近城市能否作为对照。"),
        lambda study: [
            *_kinds("spatial_panel", "spatial_effects", "spatial_spillovers")(study),
            *_rule("spillover", _of_cities)(study),
        ],
        _spillovers,
    ),
    _check(
        "outcomes",
        ("Many outcomes", "多重检验"),
        ("p values over all outcomes together.", "对全部结果变量同时调整的p值。"),
        _rule("many-outcomes", lambda study: len(study.outcomes) > 1),
        lambda study: "The study has one outcome.",
    ),
    _check(
        "surface",
        ("Every defensible specification", "全部合理设定"),
        ("The whole surface, fixed before a result is seen.", "在看到结果之前确定的全部设定。"),
        _kinds("surface"),
        _on_surface,
    ),
)


def _without_controls(study: Study) -> list[str]:
    """Exhibits with the same outcome beside and without controls."""
    found = []
    for exhibit in study.exhibits:
        models = [model for model in exhibit.models if exhibit.kind == "regression"]
        bare = {model.outcome for model in models if not model.controls}
        if study.controls and bare & {model.outcome for model in models if model.controls}:
            found.append(exhibit.name)
    return found


def _placebo_outcome(study: Study) -> Lines:
    names = [variable.name for variable in study.variables if variable.role == "other"]
    if not names:
        return "No variable is one that the policy cannot move; give such a one the role other."
    columns = [{"label": f"({at})", "outcome": name} for at, name in enumerate(names[:4], start=1)]
    title = _title("Placebo outcomes", "安慰剂结果变量")
    return {"table_placebo_outcome": {"kind": "regression", "title": title, "columns": columns}}

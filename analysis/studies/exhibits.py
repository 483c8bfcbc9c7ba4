"""What a study YAML may say under `exhibits`: each kind of table and figure, turned into models to estimate.

The rest of a study is read in `spec`; which estimators exist is decided in `methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from analysis.studies.matrices import chosen
from analysis.studies.methods import METHODS
from analysis.studies.methods.spatial import LAG, SPATIAL, UNEXPLAINED
from analysis.studies.reading import VARIABLE, Mark, read_effects, read_label, read_values, read_years
from analysis.studies.records import FLAGS, Exhibit, Interaction, Known, Label, Model, Study, Subsample

_COMMON = ("kind", "title", "note", "published")
_CHOICES = ("outcome", "controls", "fixed_effects", "cluster", "sample", "method", "options", "panel", "weights")
_CHANGES = ("add", "drop", "replace_outcome", "anticipation", "interaction", "heading")


def read_exhibit(key: str, mark: Mark, study: Study, names: Known) -> Exhibit:
    """One exhibit: what every kind has, then what its kind adds."""
    keys = mark.mapping(None, ("kind",))
    own, build = _KINDS[keys["kind"].word(_KINDS, "a kind of exhibit")]
    parts = mark.mapping({*_COMMON, *own})
    common = Exhibit(
        name=key,
        kind=str(keys["kind"].value),
        title=read_label(parts["title"]) if "title" in parts else Label(key.replace("_", " "), key.replace("_", " ")),
        note=read_label(parts["note"]) if "note" in parts else None,
        published=parts["published"].word(names.published, f"an exhibit of published/{study.file.name}")
        if "published" in parts
        else None,
    )
    if not key.isidentifier():
        mark.fail(f"{key!r} must be a word of letters, digits and underscores, as in table_4.")
    return build(common, mark, study, names)


def _descriptive(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    parts = mark.mapping(None, ("variables",))
    return replace(common, variables=parts["variables"].words((study.treatment, *study.columns), VARIABLE))


def _regression(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    """A column an estimate; ``compare`` adds a test of equal effects between groups for each outcome."""
    parts = mark.mapping(None, ("columns",))
    base = _table_baseline(parts, study, names)
    models = _columns(parts["columns"], base, study, names)
    tests = _comparisons(parts["compare"], base, models, study, names) if "compare" in parts else ()
    constant = parts["constant"].boolean() if "constant" in parts else False
    return replace(common, models=models, tests=tests, show=_shown(parts.get("show"), study, models), constant=constant)


def _of_one_method(method: str) -> _Build:
    """A kind whose columns all use one method, so that the YAML need not name it."""

    def build(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
        parts = mark.mapping(None, ("columns",))
        base = _table_baseline(parts, study, names, method)
        return replace(common, models=_columns(parts["columns"], base, study, names))

    return build


def _spatial(method: str) -> _Build:
    """A spatial kind: each column names its matrix, or several where they stand side by side in one result."""
    read = _of_one_method(method)

    def build(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
        exhibit = read(common, mark, study, names)
        for model, column in zip(exhibit.models, mark.mapping()["columns"].items(), strict=True):
            if not model.weights or (len(model.weights) > 1 and method != "moran"):
                column.fail(f"a {method} column needs {'its weights' if not model.weights else 'one matrix'}.")
        if method in UNEXPLAINED:
            return replace(exhibit, models=tuple(replace(model, controls=()) for model in exhibit.models))
        made = [name for model in exhibit.models for name in model.treatments]
        return replace(exhibit, show=tuple(dict.fromkeys([*made, *(LAG + name for name in made), "rho", "lambda"])))

    return build


def _table_baseline(parts: Mapping[str, Mark], study: Study, names: Known, method: str = "two_way") -> Model:
    base = replace(_baseline(study), method=method)
    if "baseline" not in parts:
        return base
    allowed = _CHOICES if method == "two_way" else tuple(choice for choice in _CHOICES if choice != "method")
    return _choose(base, parts["baseline"].mapping(allowed), study, names)


def _columns(mark: Mark, base: Model, study: Study, names: Known) -> tuple[Model, ...]:
    models: list[Model] = []
    for column in mark.items():
        changes = column.mapping({"label", *_CHOICES, *_CHANGES}, ("label",))
        label = changes["label"].text()
        if label in [model.label for model in models]:
            changes["label"].fail(f"a column {label!r} stands in this table already.")
        model = _change(_choose(base, changes, study, names), changes, study)
        if not model.outcome and METHODS[model.method].has_outcome:
            column.fail("no outcome: name one here or in the table's baseline.")
        models.append(replace(model, label=label))
    return tuple(models)


def _comparisons(mark: Mark, base: Model, models: tuple[Model, ...], study: Study, names: Known) -> tuple[Model, ...]:
    parts = mark.mapping({"by", "permutations"}, ("by",))
    by = parts["by"].word([*(g.name for g in study.groups), *names.city_columns], "a group or a column of cities.csv")
    draws = parts["permutations"].integer(0, 100_000) if "permutations" in parts else 0
    test = replace(base, method="group_difference", options={"by": by, "permutations": draws})
    outcomes = dict.fromkeys(model.outcome for model in models)
    return tuple(replace(test, label=f"equal effects, {outcome}", outcome=outcome) for outcome in outcomes)


def _shown(mark: Mark | None, study: Study, models: tuple[Model, ...]) -> tuple[str, ...]:
    made = dict.fromkeys(name for model in models for name in (*model.treatments, *METHODS[model.method].terms))
    columns = tuple(dict.fromkeys((study.treatment, *made, *study.columns)))
    if mark is None or mark.value == "treatment":
        return tuple(made)
    return columns if mark.value == "all" else mark.words(columns, VARIABLE)


def _event_study(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    """A series for each outcome and base: the base of the paper first, then those to show ``beside`` it."""
    parts = mark.mapping(None, ("outcomes", "base", "leads", "lags"))
    readers = METHODS["event_study"].options
    window = {key: readers[key](parts[key], study.columns) for key in ("base", "leads", "lags")}
    bases = [window["base"], *(base.integer(-50, 50) for base in parts["beside"].items())] if "beside" in parts else []
    base = _outcomes_baseline(parts, study, names)
    models = []
    for outcome in parts["outcomes"].words(study.columns, VARIABLE):
        for period in bases or [window["base"]]:
            if not -window["leads"] <= period <= window["lags"]:
                parts["base"].fail(f"the base {period} lies outside -{window['leads']}..{window['lags']}.")
            label = outcome if len(bases) < 2 else f"{outcome}, base {period}"
            options = {**window, "base": period}
            models.append(replace(base, label=label, outcome=outcome, method="event_study", options=options))
    return replace(common, models=tuple(models))


#: Rows of a table of estimators: word -> heading, method, options, and whether the study's controls enter.
_ESTIMATORS: dict[str, tuple[Label, str, dict[str, Any], bool]] = {
    "two_way_alone": (Label("Two-way, without controls", "双向固定效应（无控制变量）"), "two_way", {}, False),
    "two_way": (Label("Two-way", "双向固定效应"), "two_way", {}, True),
    "wild_bootstrap": (
        Label("Two-way, wild cluster bootstrap", "双向固定效应（野聚类自助法）"),
        "wild_bootstrap",
        {},
        True,
    ),
    "callaway_santanna": (Label("Callaway-Sant'Anna", "Callaway-Sant'Anna"), "callaway_santanna", {}, False),
    "callaway_santanna_controls": (
        Label("Callaway-Sant'Anna, doubly robust", "Callaway-Sant'Anna（双重稳健）"),
        "callaway_santanna",
        {},
        True,
    ),
    "sun_abraham": (Label("Sun-Abraham", "Sun-Abraham"), "sun_abraham", {}, True),
    "imputation": (Label("Imputation (Borusyak-Jaravel-Spiess)", "插补法"), "imputation", {}, True),
    "synthetic": (Label("Synthetic difference-in-differences", "合成双重差分"), "synthetic", {}, True),
}


def _estimators(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    """Every estimator of the same effect, for each outcome."""
    parts = mark.mapping(None, ("outcomes",))
    base = _outcomes_baseline(parts, study, names)
    chosen = parts["methods"].words(_ESTIMATORS, "an estimator") if "methods" in parts else tuple(_ESTIMATORS)
    models = []
    for outcome in parts["outcomes"].words(study.columns, VARIABLE):
        for word in chosen:
            heading, method, options, controlled = _ESTIMATORS[word]
            controls = base.controls if controlled else ()
            own = replace(base, outcome=outcome, method=method, options=options, controls=controls, heading=heading)
            models.append(replace(own, label=f"{outcome}, {word}"))
    return replace(common, models=tuple(models))


def _outcomes_baseline(parts: Mapping[str, Mark], study: Study, names: Known) -> Model:
    base = _baseline(study)
    if "baseline" not in parts:
        return base
    return _choose(base, parts["baseline"].mapping({*_CHOICES} - {"outcome", "method", "options"}), study, names)


_Build = Callable[[Exhibit, Mark, Study, Known], Exhibit]
_TABLE = ("baseline", "columns")
#: Kind of exhibit -> the keys it adds and what turns them into variables or models.
_KINDS: dict[str, tuple[tuple[str, ...], _Build]] = {
    "descriptive": (("variables",), _descriptive),
    "regression": ((*_TABLE, "show", "constant", "compare"), _regression),
    "event_study": (("baseline", "outcomes", "base", "beside", "leads", "lags"), _event_study),
    "placebo": (_TABLE, _of_one_method("placebo")),
    "bacon": (_TABLE, _of_one_method("bacon")),
    "balance": (_TABLE, _of_one_method("balance")),
    "honest": (_TABLE, _of_one_method("honest")),
    "estimators": (("baseline", "outcomes", "methods"), _estimators),
    **{method: (_TABLE, _spatial(method)) for method in SPATIAL},
}


def _baseline(study: Study) -> Model:
    return Model("", "", study.treatment, study.controls, study.fixed_effects, study.cluster)


def _choose(model: Model, parts: Mapping[str, Mark], study: Study, names: Known) -> Model:
    """The model with every choice that is stated replaced."""
    changed: dict[str, Any] = {}
    if "outcome" in parts:
        changed["outcome"] = parts["outcome"].word(study.columns, VARIABLE)
    if "controls" in parts:
        changed["controls"] = parts["controls"].words(study.columns, VARIABLE)
    for key in ("fixed_effects", "cluster"):
        if key in parts:
            changed[key] = read_effects(parts[key], [*study.columns, *names.city_columns])
    if "sample" in parts:
        changed["sample"] = _subsample(parts["sample"], study, names)
    if "panel" in parts:
        changed["panel"] = parts["panel"].word(study.other_panels, "one of the study's other_panels")
    if "weights" in parts:
        changed["weights"] = chosen(parts["weights"], study)
    if "method" in parts:
        changed["method"] = parts["method"].word(METHODS, "a method")
    method = changed.get("method", model.method)
    if "options" in parts:
        readers = METHODS[method].options
        marks = parts["options"].mapping(readers)
        own = model.options if method == model.method else {}
        changed["options"] = {**own, **{key: readers[key](value, study.columns) for key, value in marks.items()}}
    elif method != model.method:
        changed["options"] = {}
    return replace(model, **changed)


def _change(model: Model, parts: Mapping[str, Mark], study: Study) -> Model:
    """The model with controls dropped and added, the outcome replaced, and regressors made from the treatment."""
    controls = list(model.controls)
    if "drop" in parts:
        everything = parts["drop"].value == "all controls"
        gone = controls if everything else parts["drop"].words(controls, "a control of the baseline")
        controls = [control for control in controls if control not in gone]
    if "add" in parts:
        controls += parts["add"].words(study.columns, VARIABLE)
    outcome = model.outcome
    if "replace_outcome" in parts:
        outcome = parts["replace_outcome"].word(study.columns, VARIABLE)
    return replace(
        model,
        controls=tuple(dict.fromkeys(controls)),
        outcome=outcome,
        leads=tuple(mark.integer(1, 50) for mark in parts["anticipation"].items()) if "anticipation" in parts else (),
        interaction=_interaction(parts["interaction"], study) if "interaction" in parts else None,
        heading=read_label(parts["heading"]) if "heading" in parts else None,
    )


def _interaction(mark: Mark, study: Study) -> Interaction:
    parts = mark.mapping({"name", "with", "main_effect"}, ("name", "with"))
    name = parts["name"].text()
    if name in (study.treatment, *study.columns):
        parts["name"].fail(f"{name!r} is a column of the panel; choose another name for the interaction.")
    return Interaction(
        name=name,
        group=parts["with"].word([group.name for group in study.groups], "a group of this study"),
        main_effect=parts["main_effect"].boolean() if "main_effect" in parts else True,
    )


def _subsample(mark: Mark, study: Study, names: Known) -> Subsample:
    parts = mark.mapping({"years", "exclude_cities", "where"})
    columns = [*study.columns, *(group.name for group in study.groups), *FLAGS, *names.city_columns]
    where = parts["where"].mapping(columns) if "where" in parts else {}
    return Subsample(
        years=read_years(parts["years"]) if "years" in parts else None,
        exclude_cities=parts["exclude_cities"].words(names.cities, "a city of data/reference/cities.csv")
        if "exclude_cities" in parts
        else (),
        where={
            column: (value.boolean(),) if column in FLAGS else read_values(value, names.city_values.get(column, ()))
            for column, value in where.items()
        },
    )

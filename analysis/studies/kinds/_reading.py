"""What several kinds of exhibit read alike from the YAML: a baseline, and columns that state what they change of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.names import FLAGS
from analysis.studies.kinds._kind import Read
from analysis.studies.matrices import chosen
from analysis.studies.methods import METHODS
from analysis.studies.reading import VARIABLE, Mark, read_effects, read_label, read_values, read_years
from analysis.studies.records import Exhibit, Interaction, Known, Model, Study, Subsample

#: Keys of a kind that has a baseline and columns.
TABLE = ("baseline", "columns")


_CHOICES = ("outcome", "controls", "fixed_effects", "cluster", "sample", "method", "options", "panel", "weights")
_CHANGES = ("add", "drop", "replace_outcome", "anticipation", "interaction", "heading")


def of_one_method(method: str) -> Read:
    """A kind whose columns all use one method, so that the YAML need not name it."""

    def build(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
        parts = mark.mapping(None, ("columns",))
        base = table_baseline(parts, study, names, method)
        return replace(common, models=columns_of(parts["columns"], base, study, names))

    return build


def table_baseline(parts: Mapping[str, Mark], study: Study, names: Known, method: str = "two_way") -> Model:
    base = replace(_baseline(study), method=method)
    if "baseline" not in parts:
        return base
    allowed = _CHOICES if method == "two_way" else tuple(choice for choice in _CHOICES if choice != "method")
    return _choose(base, parts["baseline"].mapping(allowed), study, names)


def columns_of(mark: Mark, base: Model, study: Study, names: Known) -> tuple[Model, ...]:
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


def outcomes_baseline(parts: Mapping[str, Mark], study: Study, names: Known) -> Model:
    base = _baseline(study)
    if "baseline" not in parts:
        return base
    return _choose(base, parts["baseline"].mapping({*_CHOICES} - {"outcome", "method", "options"}), study, names)


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

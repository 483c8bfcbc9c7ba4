"""What several kinds of exhibit say alike: a baseline, and columns that state what they change of it.

The models here and in the modules of the kinds are both what is read and what an editor is told; each turns itself into
the models to estimate once the study above it is known.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from analysis.documents import (
    Between,
    Different,
    Location,
    OneOrMore,
    Strict,
    Text,
    Word,
    below,
    describe,
    fault,
    faults,
    hint,
)
from analysis.names import FLAGS
from analysis.studies.methods import METHODS
from analysis.studies.records import Exhibit, Interaction, Model, Shown, Study, Subsample, by_year
from analysis.studies.written import (
    BothLanguages,
    Controls,
    Effects,
    Flag,
    StudyColumn,
    StudyColumns,
    Values,
    Years,
    values_not_held,
)


class WrittenShown(Strict):
    """What of an exhibit its table shows, in every format."""

    rows: tuple[str, ...] = Field(
        default=(), description="Terms and lines in their order, by name or label, as in [did, N, R²]; all by default."
    )
    decimals: Annotated[int, Between(0, 8)] = Field(default=4, description="Of estimates and their errors.")
    errors: Literal["se", "t", "p", "interval", "none"] = Field(
        default="se",
        description="What stands below an estimate: its standard error, t, p, a 95% interval or nothing.",
    )
    published: Flag = Field(default=True, description="Whether printed figures stand below.")
    truth: Flag = Field(default=True, description="Whether true effects stand below, on sample data.")
    notes: Flag = Field(default=True, description="Whether notes stand below; that of sample data always does.")

    @property
    def shown(self) -> Shown:
        return Shown(**self.model_dump())


class WrittenExhibit(Strict):
    """What every exhibit may say; a kind adds its own keys.

    ``kind`` is declared by `exhibits`, from the name of the kind's module.
    """

    #: The method of columns that name none, and whether they may.
    method_of_columns: ClassVar[str] = "two_way"

    title: BothLanguages | None = Field(default=None, description="Shown above it.")
    note: BothLanguages | None = Field(default=None, description="Shown below it.")
    published: Annotated[str, Word("an exhibit of published/<study>.yaml", of=("published",))] | None = Field(
        default=None, description="The exhibit of the paper, whose printed figures stand beside those estimated."
    )
    table: WrittenShown = Field(default_factory=WrittenShown, description="What its table shows, in every format.")

    @model_validator(mode="before")
    @classmethod
    def _methods_of_columns(cls, value: Any, info: ValidationInfo) -> Any:
        """What the options of columns belong to, unless they or the baseline name a method."""
        if info.context is not None and isinstance(value, dict):
            baseline = value.get("baseline")
            stated = baseline.get("method") if isinstance(baseline, dict) else None
            info.context["method"] = stated if isinstance(stated, str) else cls.method_of_columns
        return value

    @abstractmethod
    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        """What every exhibit has, with what this one adds.

        Raises
        ------
        ValidationError
            Of `documents.faults`: what only the whole study shows to be wrong, by location in the exhibit.
        """


Condition = Annotated[
    str, Word("a variable or group of this study or a column of data/reference/cities.csv", FLAGS, of=("conditions",))
]


class WrittenSubsample(Strict):
    """Rows that an estimate keeps."""

    years: Years | None = Field(default=None, description="First and last.")
    exclude_cities: Annotated[
        tuple[Annotated[str, Word("a city of data/reference/cities.csv", of=("cities",))], ...], Different()
    ] = Field(default=(), description="Six-digit codes.")
    where: dict[Condition, Values] = Field(default_factory=dict, description="Column: a value, or a list of values.")

    @field_validator("where")
    @classmethod
    def _values_exist(cls, where: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        wrong: dict[Location, str] = {}
        for column, values in where.items():
            if column in FLAGS:
                if not isinstance(values[0], bool) or len(values) > 1:
                    wrong[(column,)] = f"expected true or false, found {', '.join(map(repr, values))}."
                continue
            wrong |= {(column, at): said for at, said in values_not_held(column, values, info).items()}
        if wrong:
            raise faults(wrong)
        return where

    @property
    def record(self) -> Subsample:
        return Subsample(self.years, self.exclude_cities, self.where)


class Choices(Strict):
    """What a column or a baseline may choose in the place of the study's choice."""

    controls: Controls | None = Field(default=None, description="In the place of the study's.")
    fixed_effects: Effects | None = Field(default=None, description="In the place of the study's.")
    cluster: Effects | None = Field(default=None, description="In the place of the study's.")
    sample: WrittenSubsample | None = Field(default=None, description="Rows that are kept.")
    panel: Annotated[str, Word("one of the study's other_panels", of=("other_panels",))] | None = Field(
        default=None, description="Another panel of the study."
    )
    weights: (
        Annotated[tuple[Annotated[str, Word("one of the study's weights", of=("weights",))], ...], OneOrMore()] | None
    ) = Field(default=None, description="Spatial weights; several stand side by side in `moran`.")

    def chosen(self, model: Model, study: Study) -> Model:
        """The model with every choice that is stated replaced."""
        changed: dict[str, Any] = {}
        for key in ("outcome", "fixed_effects", "cluster", "panel"):
            if getattr(self, key, None) is not None:
                changed[key] = getattr(self, key)
        if self.controls is not None:
            changed["controls"] = by_year(self.controls, study.years)
        if self.sample is not None:
            changed["sample"] = self.sample.record
        if self.weights is not None:
            changed["weights"] = tuple(study.weights[name] for name in self.weights)
        return replace(model, **changed)


@cache
def options_of(method: str) -> type[Strict]:
    """What may stand under ``options`` of a method."""
    fields: Any = {name: (kind | None, None) for name, kind in METHODS[method].options.items()}
    return create_model(f"Options of {method}", __base__=Strict, **fields)


class MethodChoices(Choices):
    """Choices where the method is that of the kind."""

    outcome: StudyColumn | None = Field(default=None, description="What is explained.")
    options: dict[str, Any] = Field(default_factory=dict, description="Of the method.")

    @model_validator(mode="before")
    @classmethod
    def _method_here(cls, value: Any, info: ValidationInfo) -> Any:
        if info.context is not None:
            stated = value.get("method") if isinstance(value, dict) else None
            info.context["method here"] = stated or info.context.get("method")
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _options_are_the_methods(cls, value: Any, info: ValidationInfo) -> Any:
        method = (info.context or {}).get("method here")
        if not isinstance(method, str) or method not in METHODS:
            return value
        read = options_of(method).model_validate(value, context=info.context)
        return {key: getattr(read, key) for key in value}

    def chosen(self, model: Model, study: Study) -> Model:
        model = super().chosen(model, study)
        method = getattr(self, "method", None) or model.method
        own = model.options if method == model.method else {}
        return replace(model, method=method, options={**own, **self.options})


class AnyMethodChoices(MethodChoices):
    """Choices where the method is one of them."""

    method: Annotated[str, Word("a method", tuple(METHODS))] | None = Field(
        default=None, description="How it is estimated."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Each method with its own options, which an editor then completes."""
        plain = handler.resolve_ref_schema(handler(schema))
        names = sorted({name for method in METHODS.values() for name in method.options})
        plain["allOf"] = [
            {"properties": {"options": {"propertyNames": {"enum": names}}}},
            *(
                {
                    "if": {"properties": {"method": {"const": method}}, "required": ["method"]},
                    "then": {"properties": {"options": options_of(method).model_json_schema()}},
                }
                for method in METHODS
            ),
        ]
        return plain


class WrittenInteraction(Strict):
    """Treatment times a group, under a name of its own."""

    name: Text = Field(description="Name of the product.")
    group: Annotated[str, Word("a group of this study", of=("groups",))] = Field(alias="with")
    main_effect: Flag = Field(default=True, description="Whether the treatment itself stands beside it.")


def _dropped(value: Any) -> Any:
    if value == "all controls" or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return value
    raise fault(f"expected a list of controls or 'all controls', found {describe(value)}.")


_DROPPED = {"anyOf": [{"const": "all controls"}, {"type": "array", "items": {"type": "string"}}]}


class Changes(Strict):
    """What a column changes of the baseline."""

    label: Text = Field(description="Name of the column, as the paper prints it.")
    heading: BothLanguages | None = Field(default=None, description="What a table prints above it.")
    drop: Annotated[Any, BeforeValidator(_dropped), WithJsonSchema(_DROPPED)] = Field(
        default=(), description="Controls that are left out, or `all controls`."
    )
    add: StudyColumns = Field(default=(), description="Variables added to the controls.")
    replace_outcome: StudyColumn | None = Field(
        default=None, description="Another outcome in the place of the one named."
    )
    anticipation: tuple[Annotated[int, Between(1, 50)], ...] = Field(
        default=(), description="Years by which the treatment is advanced, each a regressor of its own beside it."
    )
    interaction: WrittenInteraction | None = Field(default=None, description="The treatment times a group.")

    def changed(self, model: Model, study: Study) -> Model:
        """The model with controls dropped and added, the outcome replaced, and regressors made from the treatment."""
        controls = list(model.controls)
        gone = controls if self.drop == "all controls" else self.drop
        said = "{!r} is not a control of the baseline{}"
        strange: dict[Location, str] = {
            ("drop", at): said.format(name, hint(name, controls))
            for at, name in enumerate(gone)
            if name not in controls
        }
        if strange:
            raise faults(strange)
        if self.interaction and self.interaction.name in (study.treatment, *study.columns):
            said = "{!r} is a column of the panel; choose another name for the interaction."
            raise faults({("interaction", "name"): said.format(self.interaction.name)})
        kept = [control for control in controls if control not in gone]
        return replace(
            model,
            label=self.label,
            controls=tuple(dict.fromkeys([*kept, *self.add])),
            outcome=self.replace_outcome or model.outcome,
            leads=self.anticipation,
            interaction=Interaction(self.interaction.name, self.interaction.group, self.interaction.main_effect)
            if self.interaction
            else None,
            heading=self.heading.label if self.heading else None,
        )


class MethodColumn(MethodChoices, Changes):
    """A column of a kind that has one method."""


class Column(AnyMethodChoices, MethodColumn):
    """A column of a table of regressions."""


class WrittenTable(WrittenExhibit):
    """A baseline, and columns that differ from it by what they state."""

    baseline: MethodChoices = Field(description="What all columns share.", default_factory=MethodChoices)
    columns: tuple[MethodColumn, ...] = Field(description="One a model.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Of a kind with a method of its own, the options of that method."""
        plain = handler.resolve_ref_schema(handler(schema))
        if isinstance(cls.model_fields["baseline"].get_default(call_default_factory=True), AnyMethodChoices):
            return plain
        options = {"properties": {"options": options_of(cls.method_of_columns).model_json_schema()}}
        return {**plain, "allOf": [{"properties": {"baseline": options, "columns": {"items": options}}}]}

    def models(self, study: Study) -> tuple[Model, ...]:
        """A model for each column."""
        base = self.base(study)
        models: list[Model] = []
        for at, column in enumerate(self.columns):
            try:
                model = column.changed(column.chosen(base, study), study)
            except ValidationError as error:
                raise below(("columns", at), error) from None
            if model.label in [other.label for other in models]:
                raise faults({("columns", at, "label"): f"a column {model.label!r} stands in this table already."})
            if not model.outcome and METHODS[model.method].has_outcome:
                raise faults({("columns", at): "no outcome: name one here or in the table's baseline."})
            models.append(model)
        return tuple(models)

    def base(self, study: Study) -> Model:
        """The study's choices, with those of the baseline in their place."""
        return self.baseline.chosen(replace(baseline_of(study), method=self.method_of_columns), study)

    def exhibit(self, common: Exhibit, study: Study) -> Exhibit:
        return replace(common, models=self.models(study))


class WrittenOutcomes(WrittenExhibit):
    """The same for each of several outcomes."""

    baseline: Choices = Field(description="What all outcomes share.", default_factory=Choices)
    outcomes: StudyColumns = Field(description="One series or row a variable.")


def of_one_method(method: str) -> type[WrittenTable]:
    """A table whose columns all use one method, so that the YAML need not name it."""
    return type(f"TableOf{method.title()}", (WrittenTable,), {"method_of_columns": method, "__module__": __name__})


def baseline_of(study: Study) -> Model:
    """What a model is where nothing else is said."""
    return Model("", "", study.treatment, study.controls, study.fixed_effects, study.cluster)

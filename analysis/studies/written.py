"""What a study YAML may say above its exhibits, each key with its meaning: the models that read and check it.

Names that depend on the data at hand (columns, cities, policies) and on the study itself (its variables, its scores)
are looked up in the validation's context, which `spec.load` begins and the study's own parts add to. What a study is
once it has been read stands in `records`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from analysis.documents import (
    NAMES,
    Between,
    Different,
    Kind,
    Location,
    OneOrMore,
    OrText,
    Strict,
    Text,
    Word,
    describe,
    fault,
    faults,
    hint,
)
from analysis.names import ADOPTION, FLAGS, TIME, UNIT
from analysis.studies.records import (
    TIMES,
    EfficiencySpecification,
    Group,
    Label,
    Matrix,
    OtherPolicy,
    Variable,
)

if TYPE_CHECKING:
    from analysis.formulas import Formula

#: Columns every study panel has, and tables that stand beside study panels: no variable or study may take their names.
PANEL_COLUMNS = (UNIT, TIME, ADOPTION, "name_zh", "name_en", *FLAGS)
PANEL_TABLES = ("city_year", "cities", "data_dictionary", "caliber_changes", "publication")
#: The intensity that is the number of entries in force.
COUNT = "count"
VARIABLE = "a variable of this study"
TAKEN = "{!r} is the name of something the warehouse makes itself; choose another."

Interpolate = Annotated[str, Word("a way to fill gaps", ("none", "neighbour_mean", "linear"))]
#: A gap of more years than any panel has is 200.
MaximumGap = Annotated[int, Between(1, 200)]
Role = Annotated[str, Word("a role", ("outcome", "control", "mechanism", "group", "instrument", "other"))]
CityYearColumn = Annotated[str, Word("a column of panels.city_year", of=("columns",))]
CityYearColumns = Annotated[tuple[CityYearColumn, ...], Different()]
StudyColumn = Annotated[str, Word(VARIABLE, of=("variables",))]
StudyColumns = Annotated[tuple[StudyColumn, ...], Different()]
Policy = Annotated[str, Word("a list in data/policies", of=("policies",))]


@dataclass(frozen=True)
class Product:
    """Of a text: a word by itself, or several ``factors`` with " x " between them, as in "province x year"."""

    word: Word
    factors: Word

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        alone = self.word.__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [alone, {"type": "string", "pattern": r"\S+( [x×] \S+)+"}]}

    def _read(self, value: Any, info: ValidationInfo) -> str:
        named = re.split(r"\s+[x×]\s+", value.strip()) if isinstance(value, str) else [value]
        context = info.context or {}
        columns = {name for key in (*self.word.of, *self.factors.of) for name in context.get(key, ())}
        meant = [name if name in columns else SYNONYMS.get(name, name) for name in named]
        check = self.word if len(meant) == 1 else self.factors
        return TIMES.join(check.read(name, info) for name in meant)


#: Words for effects and factors that no column of that name takes precedence over.
SYNONYMS = {"city": "unit", "year": "time", "province": "province_code"}
EFFECT = "'unit', 'time', a variable of this study or a column of data/reference/cities.csv"
_EFFECT = Word(EFFECT, ("unit", "time"), ("variables", "city_columns"))
Effects = Annotated[tuple[Annotated[str, Product(_EFFECT, _EFFECT)], ...], OneOrMore()]
FACTOR = "'trend', 'year', a variable or group of this study or a number of data/reference/cities.csv"
_FACTOR = Word(FACTOR, ("trend", "time"), ("variables", "groups", "city_numbers"))
Controls = Annotated[tuple[Annotated[str, Product(Word(VARIABLE, of=("variables",)), _FACTOR)], ...], Different()]
Flag = Annotated[bool, Field(strict=True)]


def _is_name(name: str) -> str:
    """A name that becomes a column or a table."""
    if not name.isidentifier() or name != name.lower() or "__" in name:
        raise ValueError(
            f"{name!r} must be a lower-case word of letters, digits and single underscores, no digit first"
        )
    return name


def _is_free(taken: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name in taken:
            raise ValueError(TAKEN.format(name))
        return name

    return check


Name = Annotated[Text, AfterValidator(_is_name)]
ColumnName = Annotated[Name, AfterValidator(_is_free(PANEL_COLUMNS))]


def _ordered(years: tuple[int, int]) -> tuple[int, int]:
    first, last = years
    if first > last:
        raise ValueError(f"the first year, {first}, comes after the last, {last}")
    return years


def _two(example: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) != 2:
            raise ValueError(f"expected {example}")
        return value

    return check


Years = Annotated[
    tuple[Annotated[int, Between(1949, 2100)], Annotated[int, Between(1949, 2100)]],
    BeforeValidator(_two("the first and the last year, as in [2006, 2021]")),
    AfterValidator(_ordered),
]


def _apart(quantiles: tuple[float, float]) -> tuple[float, float]:
    low, high = quantiles
    if low >= high:
        raise ValueError(f"the lower quantile, {low:g}, must be below the upper, {high:g}")
    return quantiles


Quantiles = Annotated[
    tuple[Annotated[float, Between(0, 1)], Annotated[float, Between(0, 1)]],
    BeforeValidator(_two("two quantiles, as in [0.01, 0.99], or null")),
    AfterValidator(_apart),
]


def _is_value(value: Any) -> Any:
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError(f"expected a text or a number, found {describe(value)}")


#: Values that a column may hold, as conditions name them: one, or a list.
Values = Annotated[tuple[Annotated[str | int | float | bool, BeforeValidator(_is_value)], ...], OneOrMore()]


def values_not_held(column: str, values: Collection[str | float], info: ValidationInfo) -> dict[int, str]:
    """Position of a value -> the sentence that says which text the city column should hold, where that is known."""
    held = (info.context or {}).get("city_values", {}).get(column, ())
    what = "a value of this column of data/reference/cities.csv"
    wrong = {at: str(value) for at, value in enumerate(values) if held and str(value) not in held}
    return {at: f"{value!r} is not {what}{hint(value, held)}" for at, value in wrong.items()}


def values_held(conditions: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """The conditions, each of whose values a city column holds; a fault for every other."""
    wrong: dict[Location, str] = {
        (column, at): sentence
        for column, values in conditions.items()
        for at, sentence in values_not_held(column, values, info).items()
    }
    if wrong:
        raise faults(wrong)
    return conditions


CityColumn = Annotated[str, Word("a column of data/reference/cities.csv", of=("city_columns",))]


class BothLanguages(OrText):
    """A text in English and Chinese; a plain text stands for both."""

    plain_key = "en"
    en: Text = Field(description="English.")
    zh: Text | None = Field(default=None, description="Chinese; the English text when this is off.")

    @property
    def label(self) -> Label:
        return Label(self.en, self.zh or self.en)


def label_of(written: BothLanguages | None, name: str) -> Label:
    """The label that is written, or the name itself."""
    return written.label if written else Label(name, name)


class Paper(Strict):
    """The paper that stands behind a study."""

    citation: Text = Field(description="As in a list of references.")
    doi: Text | None = Field(default=None, description="Without https://doi.org/.")


def _flag_all_or_codes(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, list):
        code = Word("a city of data/reference/cities.csv", of=("cities",))
        return tuple(code.read(each, info) for each in value)
    return Word("'all', a list of codes or a 0/1 column of data/reference/cities.csv", ("all",), ("flags",)).read(
        value, info
    )


_CITIES = {
    "anyOf": [
        {"type": "string", "enum": ["all"], NAMES: ["flags"]},
        {"type": "array", "items": {"type": ["string", "integer"], "enum": [], NAMES: ["cities"]}},
    ]
}


class Sample(Strict):
    """Which rows the panel has."""

    cities: Annotated[str | tuple[str, ...], BeforeValidator(_flag_all_or_codes), WithJsonSchema(_CITIES)] = Field(
        default="all", description="A 0/1 column of data/reference/cities.csv, a list of six-digit codes, or `all`."
    )
    where: dict[CityColumn, Values] = Field(
        default_factory=dict, description="Of these, cities whose columns of cities.csv have one of the values."
    )
    years: Years = Field(description="First and last.")

    @field_validator("where")
    @classmethod
    def _values_exist(cls, where: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        return values_held(where, info)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not self.model_fields_set & {"cities", "where"}:
            raise ValueError("say which cities the panel has: `cities: all`, `cities: panel_286`, a list, or `where`")
        return self

    def codes(self, roster: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
        """The cities that it names; none where a column alone decides."""
        if isinstance(self.cities, str) and self.cities != "all" and not self.where:
            return ()
        listed = set(roster) if self.cities == "all" else set(self.cities)
        if isinstance(self.cities, str) and self.cities != "all":
            listed = {code for code, row in roster.items() if row[self.cities] == "1"}
        held = {column: {str(value) for value in values} for column, values in self.where.items()}
        return tuple(sorted(c for c in listed if all(roster[c][column] in values for column, values in held.items())))


class WrittenEfficiency(Strict):
    """A score of efficiency: columns of panels.city_year and options of `analysis.efficiency.super_sbm`."""

    inputs: CityYearColumns = Field(description="What is used.")
    outputs: CityYearColumns = Field(description="What is made.")
    bad_outputs: CityYearColumns = Field(default=(), description="What is made and not wanted.")
    label: BothLanguages | None = Field(default=None, description="What tables call it.")
    frontier: Annotated[str, Word("one of contemporaneous, global", ("contemporaneous", "global"))] = Field(
        default="contemporaneous",
        description="Of each year, or of all years together; the other one is kept as `<name>_<frontier>`.",
    )
    returns: Annotated[str, Word("one of crs, vrs", ("crs", "vrs"))] = Field(
        default="crs", description="Constant or variable returns to scale."
    )
    orientation: Annotated[str, Word("one of none, input, output", ("none", "input", "output"))] = Field(
        default="none", description="Which slacks count."
    )
    objective: Annotated[str, Word("one of slack, bad_as_input", ("slack", "bad_as_input"))] = Field(
        default="slack", description="How bad outputs enter."
    )
    interpolate: Interpolate = Field(
        default="linear", description="How gaps of inputs and outputs are filled before scoring."
    )
    max_gap: MaximumGap | None = Field(default=None, description="Longest gap in years that is filled; null: any.")

    def record(self, name: str) -> EfficiencySpecification:
        """What the study calls ``name``."""
        stated = {key: getattr(self, key) for key in type(self).model_fields if key != "label"}
        return EfficiencySpecification(name=name, label=label_of(self.label, name), **stated)


class WrittenVariable(Strict):
    """A column of the panel. What is done to its values is done in the order of the keys below."""

    name: ColumnName = Field(description="Its name in the panel and in the rest of the file.")
    role: Role = Field(description="What it is for.")
    label: BothLanguages | None = Field(default=None, description="What tables call it.")
    unit: Text | None = Field(default=None, description="That of its source, logged or not, when this is off.")
    source: Annotated[
        str | None, Word("a column of panels.city_year or a score of the study", of=("columns", "scores"))
    ] = Field(default=None, alias="from", description="Column of panels.city_year or score that it is drawn from.")
    formula: Text | None = Field(
        default=None,
        description="In its place: arithmetic over columns of panels.city_year, as in x / (y - z).",
    )
    interpolate: Interpolate = Field(default="none", description="How gaps inside a city's series are filled.")
    max_gap: MaximumGap | None = Field(default=None, description="Longest gap in years that is filled; null: any.")
    log: Flag = Field(default=False, description="Natural logarithm; missing where the value is not positive.")
    log1p: Flag = Field(default=False, description="ln(1 + x).")
    asinh: Flag = Field(default=False, description="Inverse hyperbolic sine.")
    difference: Flag = Field(default=False, description="Less the value of the year before.")
    growth: Flag = Field(default=False, description="Over the value of the year before, less 1.")
    lag: Annotated[int, Between(0, 50)] = Field(default=0, description="The value of so many years before.")
    winsorize: Quantiles | None = Field(default=None, description="Quantiles of all rows to which tails are pulled in.")
    standardise: Flag = Field(default=False, description="Less the mean, over the standard deviation of all rows.")

    @field_validator("formula")
    @classmethod
    def _can_be_read(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None:
            _formula(text, _context(info).get("columns"), info.data.get("name", ""))
        return text

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.source is None) == (self.formula is None):
            raise ValueError("a variable has one of `from` and `formula`")
        for keys in (("log", "log1p", "asinh"), ("difference", "growth")):
            if sum(getattr(self, key) for key in keys) > 1:
                raise ValueError(f"a variable has at most one of {', '.join(keys)}")
        if self.growth and self._one_of("log", "log1p", "asinh") != "none":
            raise ValueError("the growth of a logarithm means nothing; `difference` of a log is growth")
        return self

    def _one_of(self, *keys: str) -> str:
        return next((key for key in keys if getattr(self, key)), "none")

    def record(self, defaults: Mapping[str, Any], units: Mapping[str, str]) -> Variable:
        """The variable, with what is said of all variables where it says nothing, and the unit of its source."""
        said = {key: getattr(self, key) if key in self.model_fields_set else value for key, value in defaults.items()}
        made = Variable(
            name=self.name,
            source=self.source or self.name,
            role=self.role,
            label=label_of(self.label, self.name),
            unit=self.unit or "",
            scale=self._one_of("log", "log1p", "asinh"),
            change=self._one_of("difference", "growth"),
            lag=self.lag,
            standardise=self.standardise,
            formula=self.formula,
            uses=_formula(self.formula).names if self.formula else (),
            **said,
        )
        return made if self.unit else replace(made, unit=_unit(made, units.get(made.source, "by its formula")))


def _formula(text: str, names: Collection[str] | None = None, itself: str = "") -> Formula:
    # the parser takes a moment to import, and few studies need it
    from analysis.formulas import parse

    return parse(text, names, itself=itself, what="a column of panels.city_year")


def _unit(variable: Variable, unit: str) -> str:
    """The unit of a variable from that of what it is made of."""
    unit = {"log": f"ln {unit}", "log1p": f"ln(1 + {unit})", "asinh": f"asinh {unit}"}.get(variable.scale, unit)
    unit = {"difference": f"change, {unit}", "growth": "ratio"}.get(variable.change, unit)
    return "standard deviations" if variable.standardise else unit


def _scopes_exist(scopes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Each scope is a word of the policy list that the model names."""
    policy = info.data.get("policy")
    valid = (info.context or {}).get("policies", {}).get(policy)
    wrong = {(at,): word for at, word in enumerate(scopes) if valid is not None and word not in valid}
    if wrong:
        what = f"a scope in data/policies/{policy}.csv"
        raise faults({at: f"{word!r} is not {what}{hint(word, valid)}" for at, word in wrong.items()})
    return scopes


Scopes = Annotated[tuple[Text, ...], Different(), AfterValidator(_scopes_exist)]


class WrittenPolicy(Strict):
    """A policy beside the studied one: a 0/1 column of the panel, 1 from a city's year of adoption on."""

    name: ColumnName = Field(description="Name of the 0/1 column.")
    policy: Policy = Field(description="List of its cities.")
    scope: Scopes = Field(
        default=(), description="Words of the list's column `scope` that count; all of them when this is off."
    )
    label: BothLanguages | None = Field(default=None, description="What tables call it.")

    def record(self, to_check: tuple[int, int]) -> OtherPolicy:
        """The policy, and how many entries of its list are still to be checked of how many."""
        return OtherPolicy(self.name, self.policy, self.scope, label_of(self.label, self.name), to_check)


GroupColumn = Annotated[str, Word(VARIABLE, of=("group_columns",))]


class WrittenGroup(Strict):
    """A split of the cities in two by exactly one of the rules."""

    name: ColumnName = Field(description="Name of the 0/1 column.")
    label: BothLanguages | None = Field(default=None, description="What tables call it.")
    above_mean: GroupColumn | None = Field(
        default=None, description="1 where the city's mean of this column is above the panel's."
    )
    at_least: dict[GroupColumn, Annotated[float, Between(-1e15, 1e15)]] | None = Field(
        default=None, description="1 where the city's mean of a column is so much or more, as in {population: 100}."
    )
    ever: GroupColumn | None = Field(default=None, description="1 where this column is not zero in some year.")
    any_of: dict[CityColumn, Values] | None = Field(
        default=(None), description="1 where a column of cities.csv has one of these values."
    )

    @model_validator(mode="after")
    def _one_rule(self) -> WrittenGroup:
        if len(self.model_fields_set & set(_RULES)) != 1:
            raise ValueError(f"a group needs exactly one of {', '.join(_RULES)}")
        if self.at_least is not None and len(self.at_least) != 1:
            raise ValueError("`at_least` has one column and its threshold, as in {population: 100}")
        return self

    @field_validator("any_of")
    @classmethod
    def _values_exist(cls, conditions: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        return values_held(conditions or {}, info) if conditions is not None else None

    @property
    def record(self) -> Group:
        """The group, by the one rule that is written."""
        (rule,) = self.model_fields_set & set(_RULES)
        group = Group(self.name, label_of(self.label, self.name), rule)
        if self.any_of is not None:
            return replace(group, attributes=self.any_of)
        if self.at_least is not None:
            ((column, threshold),) = self.at_least.items()
            return replace(group, column=column, threshold=threshold)
        return replace(group, column=self.above_mean or self.ever)


_RULES = ("above_mean", "at_least", "ever", "any_of")


class _WrittenMatrix(Strict):
    label: BothLanguages | None = Field(default=None, description="What tables call it.")
    normalise: Annotated[str, Word("a way to normalise", ("row", "spectral", "none"))] = Field(
        default="row", description="Rows divided by their sums, all by the largest eigenvalue, or left."
    )
    islands: Annotated[str, Word("a rule for islands", ("nearest", "error"))] = Field(
        default="nearest", description="What a city without a neighbour gets: a link with the nearest one, or an error."
    )

    def record(self, name: str, variables: Collection[Variable]) -> Matrix:
        """What the study calls ``name``; of a nested matrix, whether its sizes are in logs."""
        stated = {key: getattr(self, key) for key in type(self).model_fields if key != "label"}
        logged = any(each.log for each in variables if each.name == stated.get("variable"))
        return Matrix(name=name, label=label_of(self.label, name), logged=logged, **stated)


class Contiguity(_WrittenMatrix):
    """1 for prefectures whose borders share a point."""

    kind: Literal["contiguity"]


class InverseDistance(_WrittenMatrix):
    """Distance between seats of government to the power of minus ``power``, zero beyond ``cutoff_km``."""

    kind: Literal["inverse_distance"]
    power: Annotated[float, Between(1e-3, 10)] = Field(default=1.0, description="Of the distance.")
    cutoff_km: Annotated[float, Between(1, 20_000)] | None = Field(
        default=None, description="Beyond which weights are zero; null: none."
    )


class EconomicNested(_WrittenMatrix):
    """Inverse distance times the neighbour's size: the mean of ``variable`` over ``years``."""

    kind: Literal["economic_nested"]
    power: Annotated[float, Between(1e-3, 10)] = Field(default=1.0, description="Of the distance.")
    cutoff_km: Annotated[float, Between(1, 20_000)] | None = Field(
        default=None, description="Beyond which weights are zero; null: none."
    )
    variable: Annotated[str, Word(VARIABLE, of=("measured",))] = Field(description="Size of a city.")
    years: Years = Field(description="Over which sizes are averaged.")

    @field_validator("years")
    @classmethod
    def _inside(cls, span: tuple[int, int], info: ValidationInfo) -> tuple[int, int]:
        first, last = info.context["years"] if info.context and "years" in info.context else span
        if span[0] < first or span[1] > last:
            raise ValueError(f"the panel holds the years {first} to {last}; choose among them")
        return span


WrittenMatrix = Annotated[
    Contiguity | InverseDistance | EconomicNested, Field(discriminator="kind"), Kind("a kind of spatial weights")
]


def _standard(value: Any) -> Any:
    """A word for the usual exhibits, which `spec.load` writes out."""
    if isinstance(value, str) and value not in ("standard", "referee"):
        raise ValueError(f"expected the study's tables and figures, 'standard' or 'referee', found {value!r}")
    return {} if isinstance(value, str) else value


class WrittenStudy(Strict):
    """A study. Keys are read in this order, so that a part may name what stands above it."""

    study: Annotated[Name, AfterValidator(_is_free(PANEL_TABLES))] = Field(
        description="Name of the file; it becomes a table, a page and a group of assets."
    )
    title: BothLanguages = Field(description="Shown on every page.")
    paper: Paper | None = Field(default=None, description="The paper that stands behind the study.")
    note: BothLanguages | None = Field(default=None, description="Shown below the title.")
    policy: Policy = Field(
        description="List of pilot cities: a file of data/policies or of policies/ in the own folder."
    )
    policy_scope: Scopes = Field(
        default=(), description="Words of the list's column `scope` that count; all of them when this is off."
    )
    last_month: Annotated[int, Between(1, 12)] = Field(
        default=12,
        description="An approval after this month counts from the next year; the list then holds months or dates.",
    )
    treatment: ColumnName = Field(description="Name of the 0/1 column: 1 from a city's year of adoption on.")
    intensity: Text | None = Field(
        default=None,
        description="In the place of 0 and 1, over entries in force: the sum of a column of the list, or `count`.",
    )
    treatment_label: BothLanguages | None = Field(default=None, description="What tables call it.")
    sample: Sample = Field(description="Cities and years of the panel.")
    other_panels: dict[str, Years] = Field(
        description="Panels of the same study over other years: `<study>_<word>`: [first, last].", default_factory=dict
    )
    interpolate: Interpolate = Field(
        default="none",
        description="How gaps inside a city's series are filled, of every variable that does not say otherwise.",
    )
    max_gap: MaximumGap | None = Field(default=None, description="Longest gap in years that is filled; null: any.")
    winsorize: Quantiles | None = Field(
        default=None, description="Quantiles to which tails are pulled in; null: they are left."
    )
    efficiency: dict[Name, WrittenEfficiency] = Field(
        description="Scores by name, which variables may be drawn from.", default_factory=dict, validate_default=True
    )
    variables: tuple[WrittenVariable, ...] = Field(description="Columns of the panel.")
    policies: tuple[WrittenPolicy, ...] = Field(
        description="Policies beside the studied one, as 0/1 columns.", default=(), validate_default=True
    )
    groups: tuple[WrittenGroup, ...] = Field(
        description="Splits of the cities in two, for interactions, comparisons and conditions.",
        default=(),
        validate_default=True,
    )
    weights: dict[str, WrittenMatrix] = Field(description="Spatial weights by name.", default_factory=dict)
    outcomes: StudyColumns = Field(description="Variables that the study is about.")
    controls: Controls = Field(
        description="On the right of every equation; `slope x trend` and `slope x year` multiply a trait by time."
    )
    controls_lag: Annotated[int, Between(0, 50)] = Field(
        default=0, description="Every control that is a variable enters with its value of so many years before."
    )
    fixed_effects: Effects = Field(description="`unit` is the city, `time` the year; `province x year` interacts two.")
    cluster: Effects = Field(description="What standard errors are clustered by.")
    exhibits: Annotated[dict[str, Any], BeforeValidator(_standard)] = Field(
        description="Every table and figure by name, in the order of the page; `standard` or `referee`: the usual ones."
    )

    @field_validator("other_panels")
    @classmethod
    def _panels_are_the_studys(cls, panels: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        study = info.data.get("study")
        wrong = [name for name in panels if not re.fullmatch(f"{study}_[a-z0-9_]+", name)]
        if study and wrong:
            said = f"the panel's name must be {study}_ and lower-case letters, as in {study}_long"
            raise faults({(name,): said for name in wrong})
        return panels

    @field_validator("intensity")
    @classmethod
    def _list_has_it(cls, column: str | None, info: ValidationInfo) -> str | None:
        held = _context(info).get("policy_numbers", {}).get(info.data.get("policy"))
        if column is not None and column != COUNT and held is not None and column not in held:
            where = f"'count' or a column of numbers of data/policies/{info.data['policy']}.csv"
            raise fault(f"{column!r} is not {where}{hint(column, [COUNT, *held])}")
        return column

    @field_validator("efficiency")
    @classmethod
    def _scores_may_be_drawn(cls, scores: dict[str, WrittenEfficiency], info: ValidationInfo) -> Any:
        _context(info)["scores"] = [column for name, score in scores.items() for column in score.record(name).columns]
        return scores

    @field_validator("variables", "policies", "groups")
    @classmethod
    def _names_differ(cls, parts: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        above = [part.name for key in ("variables", "policies") for part in info.data.get(key, ())]
        above.append(info.data.get("treatment"))
        taken = _context(info).get("city_columns", ()) if info.field_name == "groups" else ()
        wrong: dict[Location, str] = {}
        for at, part in enumerate(parts):
            if part.name in above:
                wrong[at, "name"] = f"a column {part.name!r} stands above already."
            elif part.name in taken:
                wrong[at, "name"] = TAKEN.format(part.name)
            above.append(part.name)
        if wrong:
            raise faults(wrong)
        return parts

    @field_validator("controls_lag")
    @classmethod
    def _lagged_names_are_free(cls, years: int, info: ValidationInfo) -> int:
        taken = [f"{name}_lag_{years}" for name in info.data.get("controls", ())]
        taken = [name for name in taken if name in _context(info).get("variables", ())]
        if years and taken:
            raise ValueError(f"the lagged control would be called {taken[0]!r}, as a variable is already; rename that")
        return years

    @field_validator("sample", "other_panels", "variables", "policies", "groups", "weights")
    @classmethod
    def _may_be_named_below(cls, part: Any, info: ValidationInfo) -> Any:
        context = _context(info)
        match info.field_name:
            case "sample":
                context["years"] = part.years
            case "variables":
                context["measured"] = [variable.name for variable in part]
            case "policies" if "measured" in context:
                context["variables"] = [*context["measured"], *(policy.name for policy in part)]
                context["group_columns"] = [info.data.get("treatment"), *context["variables"], *FLAGS]
            case "groups":
                context["groups"] = [group.name for group in part]
            case name:
                context[str(name)] = list(part)
        return part


def _context(info: ValidationInfo) -> dict[str, Any]:
    return info.context if info.context is not None else {}

"""What a study is once it has been read: frozen records, and nothing that reads or estimates.

`spec` fills them from a YAML, `run` computes from them, `analysis.reporting` prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Label:
    """A text in English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Variable:
    """A column of the study's panel, made in this order over the panel's years, each step on what the one before gave.

    Attributes
    ----------
    source : the column of panels.city_year (or score of the study) that it is drawn from; with a ``formula``, its name.
    formula : arithmetic over columns of panels.city_year, in all of its years, or None; ``uses`` are its columns.
    interpolate, max_gap : how gaps inside a city's series are filled, and the longest that is, None for any.
    scale : "log" (natural, missing where the value is not positive), "log1p" (ln(1 + x)), "asinh" or "none".
    change : "difference" (less the year before), "growth" (over the year before, less 1) or "none".
    lag : by how many years the value is that of an earlier year; the panel's first years are then missing.
    winsorize : the two pooled quantiles to which tails are pulled in, or None.
    standardise : less the mean and over the standard deviation (n - 1) of all rows of the panel.
    """

    name: str
    source: str
    role: str
    label: Label
    unit: str
    interpolate: str
    winsorize: tuple[float, float] | None
    max_gap: int | None = None
    scale: str = "none"
    change: str = "none"
    lag: int = 0
    standardise: bool = False
    formula: str | None = None
    uses: tuple[str, ...] = ()

    @property
    def log(self) -> bool:
        """Whether it is in natural logarithms."""
        return self.scale == "log"

    @property
    def keeps_values(self) -> bool:
        """Whether its values are among those of its column, or between them."""
        return self.scale == self.change == "none" and not self.standardise and self.formula is None

    @property
    def written(self) -> str:
        """What it is made of, with what is done to its values in symbols."""
        text = self.formula or self.source
        text = {"log": f"ln {text}", "log1p": f"ln(1 + {text})", "asinh": f"asinh {text}"}.get(self.scale, text)
        text = text if self.change == "none" else f"{self.change} of {text}"
        text = f"{text}, {self.lag} year{'s' * (self.lag > 1)} before" if self.lag else text
        return f"{text}, standardised" if self.standardise else text


@dataclass(frozen=True)
class EfficiencySpecification:
    """How a variable of efficiency scores is made: columns of panels.city_year and options of `super_sbm`.

    ``interpolate`` fills gaps of the inputs and outputs before scoring, none longer than ``max_gap`` years (None: any);
    ``frontier`` is the one whose score enters the panel, the other one is kept beside it.
    """

    name: str
    label: Label
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bad_outputs: tuple[str, ...]
    frontier: str
    returns: str
    orientation: str
    objective: str
    interpolate: str
    max_gap: int | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """Every column it reads."""
        return (*self.inputs, *self.outputs, *self.bad_outputs)

    @property
    def columns(self) -> dict[str, str]:
        """What a variable may be drawn from -> its frontier: the score by its name, and beside it by the other one."""
        other = "contemporaneous" if self.frontier == "global" else "global"
        return {self.name: self.frontier, f"{self.name}_{other}": other}


@dataclass(frozen=True)
class OtherPolicy:
    """A policy beside the studied one, as a 0/1 column of the panel: 1 from a city's year of adoption on.

    ``policy`` is a list in data/policies, ``scope`` the words of its scope column that count (none: all of them);
    ``to_check`` is how many of the entries that count are still to be checked, and how many count.
    """

    name: str
    policy: str
    scope: tuple[str, ...]
    label: Label
    to_check: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Group:
    """A split of the cities in two, 1 and 0, each city in one group for all years.

    ``rule`` is one of

    - "above_mean": the city's mean of ``column`` over its years is above the mean of all rows of the panel;
    - "at_least": the city's mean of ``column`` over its years is ``threshold`` or more;
    - "ever": ``column`` is not zero in some year (a flag of borders: true);
    - "any_of": one of ``attributes``, columns of data/reference/cities.csv, has one of its values.
    """

    name: str
    label: Label
    rule: str
    column: str | None = None
    threshold: float | None = None
    attributes: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Matrix:
    """A spatial weights matrix by name; `matrices` reads and builds it.

    Attributes
    ----------
    kind : "inverse_distance", "economic_nested" (distance times the neighbour's size) or "contiguity" (queen).
    power, cutoff_km : of the distance; a cutoff of None keeps all pairs.
    normalise : "row", "spectral" or "none".
    islands : what a city without a neighbour gets: a link with the "nearest", or an "error".
    variable, logged, years : of a nested matrix, the column of sizes, whether it is in logs, and the years averaged.
    """

    name: str
    label: Label
    kind: str
    power: float = 1.0
    cutoff_km: float | None = None
    normalise: str = "row"
    islands: str = "nearest"
    variable: str | None = None
    logged: bool = False
    years: tuple[int, int] | None = None


@dataclass(frozen=True)
class Subsample:
    """Rows an estimate keeps: years (first, last), all but some cities, and columns equal to one of given values."""

    years: tuple[int, int] | None = None
    exclude_cities: tuple[str, ...] = ()
    where: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Interaction:
    """Treatment times a 0/1 group, under a name of its own, beside the treatment or in its place."""

    name: str
    group: str
    main_effect: bool


@dataclass(frozen=True)
class Model:
    """One estimate: a column of a table or a series of a figure, with the baseline's choices already filled in.

    Attributes
    ----------
    heading : what a table prints above the column, beside its label and outcome.
    panel : another panel of the study (a longer span of years), or None for its own.
    leads : years by which the treatment is advanced, each a regressor of its own beside it.
    interaction : of the treatment with a group, or None.
    weights : spatial weights matrices, of a spatial method only.
    """

    label: str
    outcome: str
    treatment: str
    controls: tuple[str, ...]
    fixed_effects: tuple[str, ...]
    cluster: tuple[str, ...]
    method: str = "two_way"
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: Subsample = Subsample()
    heading: Label | None = None
    panel: str | None = None
    leads: tuple[int, ...] = ()
    interaction: Interaction | None = None
    weights: tuple[Matrix, ...] = ()

    @property
    def treatments(self) -> tuple[str, ...]:
        """The regressors that carry the policy, in the order of the estimates."""
        advanced = tuple(lead_name(self.treatment, years) for years in self.leads)
        if self.interaction is None:
            return (self.treatment, *advanced)
        main = (self.treatment,) if self.interaction.main_effect else ()
        return (*main, self.interaction.name, *advanced)


def lead_name(treatment: str, years: int) -> str:
    """The column of a treatment that starts some years before the true one."""
    return f"{treatment}_lead_{years}"


#: Between the factors of an interacted effect or control, as in "province_code x time" or "slope x trend".
TIMES = " x "
#: The factor that counts the years since the study's first.
TREND = "trend"


def factors(column: str) -> tuple[str, ...]:
    """The columns behind an interacted effect or control; of any other column, the column itself."""
    if TIMES not in column:
        return (column,)
    return tuple(name for name in column.split(TIMES) if name not in ("unit", "time", TREND) and not name.isdigit())


def by_year(controls: Iterable[str], years: tuple[int, int]) -> tuple[str, ...]:
    """The controls with one for each year but the first in the place of "slope x time"."""
    spelled: list[str] = []
    for control in controls:
        names = control.split(TIMES)
        later = range(years[0] + 1, years[1] + 1) if "time" in names else [0]
        spelled += [TIMES.join(str(year) if name == "time" else name for name in names) for year in later]
    return tuple(spelled)


def lagged(
    variables: tuple[Variable, ...], controls: tuple[str, ...], years: int
) -> tuple[tuple[Variable, ...], tuple[str, ...]]:
    """The variables with each control of some years before, and the controls by these names; as they are for none."""
    if not years:
        return variables, controls
    many = "s" * (years > 1)
    late = {
        variable.name: replace(
            variable,
            name=f"{variable.name}_lag_{years}",
            label=Label(f"{variable.label.en}, {years} year{many} before", f"{variable.label.zh}（滞后{years}期）"),
            lag=variable.lag + years,
        )
        for variable in variables
        if variable.name in controls
    }
    return (*variables, *late.values()), tuple(late[name].name if name in late else name for name in controls)


@dataclass(frozen=True)
class Shown:
    """What of an exhibit its table shows.

    Attributes
    ----------
    rows : terms and lines in their order, by name or label; none: all.
    decimals : of estimates and their errors.
    errors : what stands below an estimate, a word of `printing.table.BELOW`.
    published, truth, notes : whether printed figures, the sample world's true effects and notes stand below.
    """

    rows: tuple[str, ...] = ()
    decimals: int = 4
    errors: str = "se"
    published: bool = True
    truth: bool = True
    notes: bool = True


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the paper.

    Attributes
    ----------
    name, kind, title, note : as in the YAML; ``note`` may be None.
    published : key of the exhibit's figures in published/<study>.yaml, or None.
    variables : of a descriptive table, in order.
    models : of every other kind, in order.
    tests : models that compare the columns of a regression table; their p values stand below it.
    show : terms a table prints one by one; the others are a YES/NO row.
    constant : whether a table prints the constant.
    is_drawn : whether the exhibit has a picture.
    plan : what its kind has read beside all this, or None.
    shown : what of it the table shows.
    """

    name: str
    kind: str
    title: Label
    note: Label | None
    published: str | None
    variables: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()
    tests: tuple[Model, ...] = ()
    show: tuple[str, ...] = ()
    constant: bool = False
    is_drawn: bool = False
    plan: Any = None
    shown: Shown = Shown()


@dataclass(frozen=True)
class FilePanel:
    """The file that the panel of a study comes from.

    Attributes
    ----------
    file, path, sheet : as the YAML names it, where it is, and the sheet of a workbook (None: the first with a table).
    unit, time : its key columns.
    treatment, adoption : the 0/1 column or the one with the first treated year; the other is None.
    place : column of the published panel with the code of the Chinese city that a unit is, or None where the unit's own
        values are the codes or units are no such cities.
    cities : whether units are Chinese cities, so that their attributes and borders join.
    aliases : column -> its name in estimations, where its own is that of a key there.
    words : columns of text, which come along.
    exclude : units left out.
    """

    file: str
    path: Path
    sheet: str | None
    unit: str
    time: str
    treatment: str | None
    adoption: str | None
    place: str | None = None
    cities: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """A study as its YAML states it; `spec.load` says what each part means.

    ``to_check`` is how many entries of its own policy list that count are still to be checked, and how many count.
    ``panel`` is the file that its panel comes from, None for one from the warehouse; with it there is no ``policy`` and
    no sample of ``cities``. ``cities`` is a 0/1 column of cities.csv, empty where ``city_codes`` lists the sample.
    Approvals after ``last_month`` count from the next year. ``intensity`` is the column of the policy list that is
    summed over the entries in force, "count" for their number, or empty: 1 while any is in force. ``doubts`` has for
    each city of the list its other year of adoption, or None, and whether no entry of it has been checked.
    """

    name: str
    title: Label
    citation: str | None
    doi: str | None
    policy: str
    policy_scope: tuple[str, ...]
    treatment: str
    treatment_label: Label
    cities: str
    years: tuple[int, int]
    other_panels: Mapping[str, tuple[int, int]]
    variables: tuple[Variable, ...]
    efficiency: tuple[EfficiencySpecification, ...]
    policies: tuple[OtherPolicy, ...]
    groups: tuple[Group, ...]
    outcomes: tuple[str, ...]
    controls: tuple[str, ...]
    fixed_effects: tuple[str, ...]
    cluster: tuple[str, ...]
    exhibits: tuple[Exhibit, ...]
    note: Label | None
    file: Path
    weights: Mapping[str, Matrix] = field(default_factory=dict)
    to_check: tuple[int, int] = (0, 0)
    panel: FilePanel | None = None
    city_codes: tuple[str, ...] = ()
    last_month: int = 12
    intensity: str = ""
    doubts: Mapping[str, tuple[int | None, bool]] = field(default_factory=dict)

    def takes(self, cities: pd.DataFrame) -> pd.Series:
        """Which rows of cities.csv are in the sample."""
        if self.city_codes:
            return cities["city_code"].astype(str).isin(self.city_codes)
        return cities[self.cities].astype(int) == 1

    @property
    def units(self) -> Label:
        """What its units are called."""
        cities = self.panel is None or self.panel.cities
        return Label("cities", "城市") if cities else Label("units", "个体")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the panel that may stand on the right of an equation, the treatment apart."""
        return (*(variable.name for variable in self.variables), *(policy.name for policy in self.policies))

    def exhibit(self, name: str) -> Exhibit:
        """The exhibit of that name; a ValueError names the ones there are."""
        for exhibit in self.exhibits:
            if exhibit.name == name:
                return exhibit
        raise ValueError(
            f"Study {self.name!r} has no exhibit {name!r}; it has {', '.join(e.name for e in self.exhibits)}."
        )

    def label(self, column: str) -> Label:
        """What to call a column in print: its label, or the name itself."""
        if column == self.treatment:
            return self.treatment_label
        if TIMES in column:
            named = [_FACTORS.get(name) or self.label(name) for name in column.split(TIMES)]
            return Label(" × ".join(label.en for label in named), "×".join(label.zh for label in named))
        parts: tuple[Variable | OtherPolicy | Group, ...] = (*self.variables, *self.policies, *self.groups)
        labelled = {part.name: part.label for part in parts}
        return labelled.get(column) or self._made(column) or Label(column, column)

    def _made(self, column: str) -> Label | None:
        """The label of a regressor that models make from the treatment."""
        own = self.treatment_label
        for model in (model for exhibit in self.exhibits for model in exhibit.models):
            for years in model.leads:
                if column == lead_name(model.treatment, years):
                    plural = "year" if years == 1 else "years"
                    return Label(f"{own.en}, {years} {plural} early", f"{own.zh}（提前{years}年）")
            if model.interaction and model.interaction.name == column:
                group = self.label(model.interaction.group)
                return Label(f"{own.en} × {group.en}", f"{own.zh}×{group.zh}")
        return None


_FACTORS = {"unit": Label("city", "城市"), "time": Label("year", "年份"), TREND: Label("trend", "时间趋势")}


@dataclass(frozen=True)
class Known:
    """The names a study may refer to.

    Attributes
    ----------
    columns : column of panels.city_year -> (unit, meaning).
    city_columns : columns of data/reference/cities.csv, usable in ``where``; ``flags`` are those holding only 0 and 1.
    cities : six-digit codes.
    policies : list in data/policies -> the words in its ``scope`` column.
    published : exhibits whose printed figures are kept; `spec.load` fills this in.
    city_values : column of cities.csv -> the texts it holds, where conditions name them.
    to_check : list in data/policies -> scope -> entries still to be checked, and all entries.
    places : code or name -> code of the city that it stands for.
    roster : city code -> its row of cities.csv.
    policy_numbers : list in data/policies -> its columns of numbers, which may be intensities.
    doubts : list in data/policies -> scope -> city -> its other year, and whether it is still to be checked.
    """

    columns: Mapping[str, tuple[str, str]]
    city_columns: tuple[str, ...]
    flags: tuple[str, ...]
    cities: frozenset[str]
    policies: Mapping[str, frozenset[str]]
    published: tuple[str, ...] = ()
    city_values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    to_check: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    roster: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    policy_numbers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    doubts: Mapping[str, Mapping[str, Mapping[str, tuple[int | None, bool]]]] = field(default_factory=dict)

    @property
    def city_numbers(self) -> tuple[str, ...]:
        """Columns of cities.csv that hold numbers which are not codes."""
        numbers = re.compile(r"-?[0-9]+(\.[0-9]+)?")
        measured = {name: held for name, held in self.city_values.items() if not name.endswith("_code")}
        return tuple(name for name, held in measured.items() if all(map(numbers.fullmatch, held)))

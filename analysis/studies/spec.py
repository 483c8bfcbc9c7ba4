"""What a study YAML may say: read, checked against what exists, and turned into frozen records.

Every complaint names file, line, key and the nearest valid word. Nothing is estimated here, and no data are read beyond
the names that a study may refer to (columns of data/reference/cities.csv, lists in data/policies).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.studies.columns import CITY_YEAR
from analysis.studies.methods import METHODS
from analysis.studies.reading import Mark, read

FOLDER = Path(__file__).parent
DATA = FOLDER.parent.parent / "data"
INTERPOLATE = ("none", "neighbour_mean", "linear")
ROLES = ("outcome", "control", "mechanism", "group", "instrument", "other")
#: Columns every study panel has, and tables that stand beside study panels: no variable or study may take their names.
PANEL_COLUMNS = ("city_code", "year", "adoption", "name_zh", "name_en")
PANEL_TABLES = ("city_year", "data_dictionary", "publication")


@dataclass(frozen=True)
class Label:
    """A text in English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Variable:
    """A column of the study's panel: ``source`` of panels.city_year, interpolated, logged, winsorised, in that order.

    ``log`` is the natural logarithm, missing where the value is not positive; ``winsorize`` holds the two pooled
    quantiles, or None.
    """

    name: str
    source: str
    role: str
    label: Label
    unit: str
    log: bool
    interpolate: str
    winsorize: tuple[float, float] | None


@dataclass(frozen=True)
class Subsample:
    """Rows an estimate keeps: years (first, last), all but some cities, and columns equal to one of given values."""

    years: tuple[int, int] | None = None
    exclude_cities: tuple[str, ...] = ()
    where: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """One estimate: a column of a table or a series of a figure, with the baseline's choices already filled in."""

    label: str
    outcome: str
    treatment: str
    controls: tuple[str, ...]
    fixed_effects: tuple[str, ...]
    cluster: tuple[str, ...]
    method: str = "two_way"
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: Subsample = Subsample()


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the paper.

    Attributes
    ----------
    name, kind, title, note : as in the YAML; ``note`` may be None.
    published : key of the exhibit's figures in published/<study>.yaml, or None.
    variables : of a descriptive table, in order.
    models : of every other kind, in order.
    show : terms a table prints one by one; the others are a YES/NO row.
    constant : whether a table prints the constant.
    """

    name: str
    kind: str
    title: Label
    note: Label | None
    published: str | None
    variables: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()
    show: tuple[str, ...] = ()
    constant: bool = False


@dataclass(frozen=True)
class Study:
    """A study as its YAML states it; `load` says what each part means."""

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
    variables: tuple[Variable, ...]
    outcomes: tuple[str, ...]
    controls: tuple[str, ...]
    fixed_effects: tuple[str, ...]
    cluster: tuple[str, ...]
    exhibits: tuple[Exhibit, ...]
    note: Label | None
    file: Path

    def exhibit(self, name: str) -> Exhibit:
        """The exhibit of that name; a ValueError names the ones there are."""
        for exhibit in self.exhibits:
            if exhibit.name == name:
                return exhibit
        raise ValueError(
            f"Study {self.name!r} has no exhibit {name!r}; it has {', '.join(e.name for e in self.exhibits)}."
        )

    def label(self, column: str) -> Label:
        """What to call a column of the panel in print: its label, or the name itself."""
        if column == self.treatment:
            return self.treatment_label
        return next((v.label for v in self.variables if v.name == column), Label(column, column))


@dataclass(frozen=True)
class Known:
    """The names a study may refer to.

    Attributes
    ----------
    columns : column of panels.city_year -> (unit, meaning).
    city_columns : columns of data/reference/cities.csv, usable in ``where``; ``flags`` are those holding only 0 and 1.
    cities : six-digit codes.
    policies : list in data/policies -> the words in its ``scope`` column.
    published : exhibits whose printed figures are kept; `load` fills this in.
    """

    columns: Mapping[str, tuple[str, str]]
    city_columns: tuple[str, ...]
    flags: tuple[str, ...]
    cities: frozenset[str]
    policies: Mapping[str, frozenset[str]]
    published: tuple[str, ...] = ()


def known(data: Path = DATA) -> Known:
    """Names found in ``data``/reference/cities.csv and ``data``/policies, and the columns of panels.city_year."""
    rows = _rows(data / "reference" / "cities.csv")
    columns = tuple(rows[0]) if rows else ()
    flags = tuple(column for column in columns if {row[column] for row in rows} <= {"0", "1"})
    policies = {
        path.stem: frozenset(row.get("scope") or "" for row in _rows(path))
        for path in sorted((data / "policies").glob("*.csv"))
    }
    return Known(CITY_YEAR, columns, flags, frozenset(row["city_code"] for row in rows), policies)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def catalogue(folder: Path | None = None) -> dict[str, Path]:
    """Study name -> its YAML, for every study in ``folder`` (by default the ones of this package), sorted by name."""
    return {path.stem: path for path in sorted((folder or FOLDER).glob("*.yaml"))}


def load(path: Path, names: Known | None = None) -> Study:
    """Read and check one study.

    Parameters
    ----------
    path
        The YAML; its stem is the study's name.
    names
        What the study may refer to, by default what `known` finds.

    Raises
    ------
    ValueError
        Naming file, line, key and the nearest valid word: an unknown or missing key, column, variable, policy, city or
        method, a value of the wrong sort, a repeated key, a tag.
    """
    path = Path(path)
    names = names or known()
    top = read(path)
    marks = top.mapping(
        {*_REQUIRED, "paper", "policy_scope", "treatment_label", "interpolate", "winsorize", "note"}, _REQUIRED
    )
    name = _name(marks["study"], PANEL_TABLES)
    if name != path.stem:
        marks["study"].fail(f"the study is called {name!r} but its file {path.name!r}; they must agree.")
    treatment = _name(marks["treatment"], PANEL_COLUMNS)
    policy = marks["policy"].word(names.policies, "a list in data/policies")
    variables = _variables(marks, names, treatment)
    regressors = [variable.name for variable in variables]
    sample = marks["sample"].mapping({"cities", "years"}, ("cities", "years"))
    citation, doi = _paper(marks.get("paper"))
    study = Study(
        name=name,
        title=_label(marks["title"]),
        citation=citation,
        doi=doi,
        policy=policy,
        policy_scope=marks["policy_scope"].words(names.policies[policy], f"a scope in data/policies/{policy}.csv")
        if "policy_scope" in marks
        else (),
        treatment=treatment,
        treatment_label=_label(marks["treatment_label"]) if "treatment_label" in marks else Label(treatment, treatment),
        cities=sample["cities"].word(names.flags, "a 0/1 column of data/reference/cities.csv"),
        years=_years(sample["years"]),
        variables=variables,
        outcomes=marks["outcomes"].words(regressors, "a variable of this study"),
        controls=marks["controls"].words(regressors, "a variable of this study"),
        fixed_effects=_effects(marks["fixed_effects"], [*regressors, *names.city_columns]),
        cluster=_effects(marks["cluster"], [*regressors, *names.city_columns]),
        exhibits=(),
        note=_label(marks["note"]) if "note" in marks else None,
        file=path,
    )
    printed = path.parent / "published" / path.name
    if printed.exists():
        names = replace(names, published=tuple(read(printed).mapping()["exhibits"].mapping()))
    exhibits = marks["exhibits"].mapping()
    return replace(study, exhibits=tuple(_exhibit(key, mark, study, names) for key, mark in exhibits.items()))


_REQUIRED = (
    *("study", "title", "policy", "treatment", "sample", "variables", "outcomes", "controls"),
    *("cluster", "fixed_effects", "exhibits"),
)


def variables_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a variable, in the order of the YAML (``position`` from 1), as the warehouse loads it."""
    columns = (
        *("study", "position", "name", "source_column", "role", "log", "interpolate"),
        *("winsorize_low", "winsorize_high", "label_en", "label_zh", "unit"),
    )
    rows = []
    for study in studies:
        for position, v in enumerate(study.variables, start=1):
            low, high = v.winsorize or (None, None)
            label = (v.label.en, v.label.zh, v.unit)
            rows.append((study.name, position, v.name, v.source, v.role, v.log, v.interpolate, low, high, *label))
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({"position": "int64", "log": "bool", "winsorize_low": "float64", "winsorize_high": "float64"})


def studies_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a study, as the warehouse loads it; ``policy_scope`` joins its words with commas, None for all."""
    columns = ["study", "policy", "treatment", "cities", "first_year", "last_year", "policy_scope"]
    rows = [(s.name, s.policy, s.treatment, s.cities, *s.years, ",".join(s.policy_scope) or None) for s in studies]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"first_year": "int64", "last_year": "int64"})


def _name(mark: Mark, taken: Collection[str]) -> str:
    name = mark.text()
    if not name.isidentifier() or name != name.lower() or "__" in name:
        mark.fail(f"{name!r} must be a lower-case word of letters, digits and single underscores, no digit first.")
    if name in taken:
        mark.fail(f"{name!r} is the name of something the warehouse makes itself; choose another.")
    return name


def _label(mark: Mark) -> Label:
    if isinstance(mark.value, str):
        return Label(mark.text(), mark.text())
    parts = mark.mapping({"en", "zh"}, ("en",))
    english = parts["en"].text()
    return Label(english, parts["zh"].text() if "zh" in parts else english)


def _paper(mark: Mark | None) -> tuple[str | None, str | None]:
    if mark is None:
        return None, None
    parts = mark.mapping({"citation", "doi"}, ("citation",))
    return parts["citation"].text(), parts["doi"].text() if "doi" in parts else None


def _years(mark: Mark) -> tuple[int, int]:
    marks = mark.items()
    if len(marks) != 2:
        mark.fail("expected the first and the last year, as in [2006, 2021].")
    first, last = (year.integer(1949, 2100) for year in marks)
    if first > last:
        mark.fail(f"the first year, {first}, comes after the last, {last}.")
    return first, last


def _winsorize(mark: Mark | None) -> tuple[float, float] | None:
    if mark is None or mark.value is None:
        return None
    marks = mark.items()
    if len(marks) != 2:
        mark.fail("expected two quantiles, as in [0.01, 0.99], or null.")
    low, high = (quantile.number(0, 1) for quantile in marks)
    if low >= high:
        mark.fail(f"the lower quantile, {low:g}, must be below the upper, {high:g}.")
    return low, high


def _effects(mark: Mark, columns: Collection[str]) -> tuple[str, ...]:
    valid = ("unit", "time", *columns)
    what = "'unit', 'time', a variable of this study or a column of data/reference/cities.csv"
    return mark.words(valid, what) if isinstance(mark.value, list) else (mark.word(valid, what),)


def _variables(marks: Mapping[str, Mark], names: Known, treatment: str) -> tuple[Variable, ...]:
    fill = marks["interpolate"].word(INTERPOLATE, "a way to fill gaps") if "interpolate" in marks else "none"
    trim = _winsorize(marks.get("winsorize"))
    variables: list[Variable] = []
    for mark in marks["variables"].items():
        parts = mark.mapping(
            {"name", "from", "role", "label", "unit", "log", "interpolate", "winsorize"}, ("name", "from", "role")
        )
        taken = [*PANEL_COLUMNS, treatment]
        name = _name(parts["name"], taken)
        if name in [variable.name for variable in variables]:
            parts["name"].fail(f"a variable {name!r} stands above already.")
        source = parts["from"].word(names.columns, "a column of panels.city_year")
        log = parts["log"].boolean() if "log" in parts else False
        unit = parts["unit"].text() if "unit" in parts else names.columns[source][0]
        variables.append(
            Variable(
                name=name,
                source=source,
                role=parts["role"].word(ROLES, "a role"),
                label=_label(parts["label"]) if "label" in parts else Label(name, name),
                unit=f"ln {unit}" if log and "unit" not in parts else unit,
                log=log,
                interpolate=parts["interpolate"].word(INTERPOLATE, "a way to fill gaps")
                if "interpolate" in parts
                else fill,
                winsorize=_winsorize(parts["winsorize"]) if "winsorize" in parts else trim,
            )
        )
    return tuple(variables)


_COMMON = ("kind", "title", "note", "published")
_CHOICES = ("outcome", "controls", "fixed_effects", "cluster", "sample", "method", "options")
_CHANGES = ("add", "drop", "replace_outcome")


def _exhibit(key: str, mark: Mark, study: Study, names: Known) -> Exhibit:
    """One exhibit: what every kind has, then what its kind adds."""
    keys = mark.mapping(None, ("kind",))
    own, build = _KINDS[keys["kind"].word(_KINDS, "a kind of exhibit")]
    parts = mark.mapping({*_COMMON, *own})
    common = Exhibit(
        name=key,
        kind=str(keys["kind"].value),
        title=_label(parts["title"]) if "title" in parts else Label(key.replace("_", " "), key.replace("_", " ")),
        note=_label(parts["note"]) if "note" in parts else None,
        published=parts["published"].word(names.published, f"an exhibit of published/{study.file.name}")
        if "published" in parts
        else None,
    )
    if not key.isidentifier():
        mark.fail(f"{key!r} must be a word of letters, digits and underscores, as in table_4.")
    return build(common, mark, study, names)


def _descriptive(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    parts = mark.mapping(None, ("variables",))
    columns = [study.treatment, *(variable.name for variable in study.variables)]
    return replace(common, variables=parts["variables"].words(columns, "a variable of this study"))


def _regression(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    parts = mark.mapping(None, ("columns",))
    base = _baseline(study)
    if "baseline" in parts:
        base = _choose(base, parts["baseline"].mapping(_CHOICES), study, names)
    models: list[Model] = []
    for column in parts["columns"].items():
        changes = column.mapping({"label", *_CHOICES, *_CHANGES}, ("label",))
        label = changes["label"].text()
        if label in [model.label for model in models]:
            changes["label"].fail(f"a column {label!r} stands in this table already.")
        model = _change(_choose(base, changes, study, names), changes, study)
        if not model.outcome:
            column.fail("no outcome: name one here or in the table's baseline.")
        models.append(replace(model, label=label))
    return replace(common, models=tuple(models), show=_shown(parts.get("show"), study), constant=_flag(parts))


def _flag(parts: Mapping[str, Mark]) -> bool:
    return parts["constant"].boolean() if "constant" in parts else False


def _shown(mark: Mark | None, study: Study) -> tuple[str, ...]:
    columns = (study.treatment, *(variable.name for variable in study.variables))
    if mark is None or mark.value == "treatment":
        return (study.treatment,)
    if mark.value == "all":
        return columns
    return mark.words(columns, "a variable of this study")


def _event_study(common: Exhibit, mark: Mark, study: Study, names: Known) -> Exhibit:
    """A series for each outcome and base: the base of the paper first, then those to show ``beside`` it."""
    parts = mark.mapping(None, ("outcomes", "base", "leads", "lags"))
    window = {key: METHODS["event_study"].options[key](parts[key]) for key in ("base", "leads", "lags")}
    bases = [window["base"], *(base.integer(-50, 50) for base in parts["beside"].items())] if "beside" in parts else []
    base = _baseline(study)
    if "baseline" in parts:
        base = _choose(base, parts["baseline"].mapping({*_CHOICES} - {"method", "options"}), study, names)
    models = []
    for outcome in parts["outcomes"].words([v.name for v in study.variables], "a variable of this study"):
        for period in bases or [window["base"]]:
            if not -window["leads"] <= period <= window["lags"]:
                parts["base"].fail(f"the base {period} lies outside -{window['leads']}..{window['lags']}.")
            label = outcome if len(bases) < 2 else f"{outcome}, base {period}"
            options = {**window, "base": period}
            models.append(replace(base, label=label, outcome=outcome, method="event_study", options=options))
    return replace(common, models=tuple(models))


_Build = Callable[[Exhibit, Mark, Study, Known], Exhibit]
#: Kind of exhibit -> the keys it adds and what turns them into variables or models.
_KINDS: dict[str, tuple[tuple[str, ...], _Build]] = {
    "descriptive": (("variables",), _descriptive),
    "regression": (("baseline", "columns", "show", "constant"), _regression),
    "event_study": (("baseline", "outcomes", "base", "beside", "leads", "lags"), _event_study),
}


def _baseline(study: Study) -> Model:
    return Model("", "", study.treatment, study.controls, study.fixed_effects, study.cluster)


def _choose(model: Model, parts: Mapping[str, Mark], study: Study, names: Known) -> Model:
    """The model with every choice that is stated replaced."""
    columns = [variable.name for variable in study.variables]
    what = "a variable of this study"
    changed: dict[str, Any] = {}
    if "outcome" in parts:
        changed["outcome"] = parts["outcome"].word(columns, what)
    if "controls" in parts:
        changed["controls"] = parts["controls"].words(columns, what)
    for key in ("fixed_effects", "cluster"):
        if key in parts:
            changed[key] = _effects(parts[key], [*columns, *names.city_columns])
    if "sample" in parts:
        changed["sample"] = _subsample(parts["sample"], study, names)
    if "method" in parts:
        changed["method"] = parts["method"].word(METHODS, "a method")
    if "options" in parts or "method" in parts:
        changed["options"] = _options(changed.get("method", model.method), parts.get("options"))
    return replace(model, **changed)


def _options(method: str, mark: Mark | None) -> dict[str, Any]:
    readers = METHODS[method].options
    marks = mark.mapping(readers) if mark else {}
    return {key: readers[key](value) for key, value in marks.items()}


def _change(model: Model, parts: Mapping[str, Mark], study: Study) -> Model:
    """The model with controls dropped and added and the outcome replaced."""
    controls = list(model.controls)
    if "drop" in parts:
        everything = parts["drop"].value == "all controls"
        gone = controls if everything else parts["drop"].words(controls, "a control of the baseline")
        controls = [control for control in controls if control not in gone]
    if "add" in parts:
        controls += parts["add"].words([variable.name for variable in study.variables], "a variable of this study")
    outcome = model.outcome
    if "replace_outcome" in parts:
        outcome = parts["replace_outcome"].word([v.name for v in study.variables], "a variable of this study")
    return replace(model, controls=tuple(dict.fromkeys(controls)), outcome=outcome)


def _subsample(mark: Mark, study: Study, names: Known) -> Subsample:
    parts = mark.mapping({"years", "exclude_cities", "where"})
    columns = [*(variable.name for variable in study.variables), *names.city_columns]
    where: dict[str, tuple[str | float, ...]] = {}
    for column, value in parts["where"].mapping(columns).items() if "where" in parts else ():
        marks = value.items() if isinstance(value.value, list) else [value]
        where[column] = tuple(m.value if isinstance(m.value, (int, float)) else m.text() for m in marks)
    return Subsample(
        years=_years(parts["years"]) if "years" in parts else None,
        exclude_cities=parts["exclude_cities"].words(names.cities, "a city of data/reference/cities.csv")
        if "exclude_cities" in parts
        else (),
        where=where,
    )

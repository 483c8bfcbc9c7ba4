"""What a paper says in words of its sample, variables and results, so that its words can be held against its tables.

Facts read from the paper stand under ``text`` in the YAML files of this folder; what to make of them is decided in
`analysis.audit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis import catalogue
from analysis.studies.reading import Mark

#: A part of a whole between 0 and 1, the same times 100, a natural logarithm, or any other number.
SCALES = ("share", "percent", "log", "other")
#: A definition whose numerator no column of panels.city_year holds.
ABSENT = "absent"
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Definition:
    """How the text defines a variable.

    Attributes
    ----------
    variable, says : the name in the tables, and the words.
    scale : what the words make of its range, one of `SCALES`.
    source, over : columns of panels.city_year whose ratio (``over`` None: whose value) the words describe; ``source``
        is "absent" where the warehouse holds no such column, None where nothing is said.
    unit : as stated, "not stated" where the reader must guess it, None where it does not matter.
    """

    variable: str
    says: str
    scale: str
    source: str | None = None
    over: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Reference:
    """A printed number: exhibit, model and term."""

    exhibit: str
    model: str
    term: str


@dataclass(frozen=True)
class Claim:
    """A sentence of the text about printed numbers, taken apart.

    Attributes
    ----------
    says : the sentence.
    exhibit, models, terms : the numbers it speaks of; no models means all that print one of the terms.
    estimate : the value it quotes, as printed, or None.
    level : the significance it claims (0.01 for 1%), or None.
    sign : 1 or -1 where it claims one, else 0.
    within : the range it claims, or None.
    columns : how many columns it speaks of, or None.
    larger_than, close_to : the number it compares with, or None.
    """

    says: str
    exhibit: str
    models: tuple[str, ...]
    terms: tuple[str, ...]
    estimate: float | None = None
    level: float | None = None
    sign: int = 0
    within: tuple[float, float] | None = None
    columns: int | None = None
    larger_than: Reference | None = None
    close_to: Reference | None = None


@dataclass(frozen=True)
class Window:
    """An event study as described: the period left out, and the first and last period as positive numbers."""

    base: int
    leads: int
    lags: int


@dataclass(frozen=True)
class Text:
    """What the text states; everything may be absent.

    Attributes
    ----------
    cities, years, treated_cities : of the sample.
    winsorized : the quantiles at which continuous variables are said to be cut, or None.
    event_studies : exhibit -> its window.
    definitions : variable -> definition.
    units : column of panels.city_year that goes into an efficiency score -> its unit as printed, such as "10,000 t".
    claims : sentences about numbers, in the order of the text.
    """

    cities: int | None = None
    years: tuple[int, int] | None = None
    treated_cities: int | None = None
    winsorized: tuple[float, float] | None = None
    event_studies: Mapping[str, Window] = field(default_factory=dict)
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()


def read_text(mark: Mark) -> Text:
    """The ``text`` of a published file.

    Raises
    ------
    ValueError
        Naming file, line and key.
    """
    keys = ("cities", "years", "treated_cities", "winsorized", "event_studies", "definitions", "units", "claims")
    parts = mark.mapping(keys)
    definitions = [_definition(item) for item in parts["definitions"].items()] if "definitions" in parts else []
    windows = parts["event_studies"].mapping() if "event_studies" in parts else {}
    units = parts["units"].mapping(catalogue.load().drawn) if "units" in parts else {}
    years = _pair(parts["years"]) if "years" in parts else None
    return Text(
        cities=parts["cities"].integer(1, 100_000) if "cities" in parts else None,
        years=(int(years[0]), int(years[1])) if years else None,
        treated_cities=parts["treated_cities"].integer(1, 100_000) if "treated_cities" in parts else None,
        winsorized=_pair(parts["winsorized"]) if "winsorized" in parts else None,
        event_studies={exhibit: _window(window) for exhibit, window in windows.items()},
        definitions={definition.variable: definition for definition in definitions},
        units={column: unit.text() for column, unit in units.items()},
        claims=tuple(_claim(item) for item in parts["claims"].items()) if "claims" in parts else (),
    )


def _definition(mark: Mark) -> Definition:
    parts = mark.mapping(("variable", "says", "scale", "from", "over", "unit"), ("variable", "says", "scale"))
    columns, drawn = "a column of panels.city_year", catalogue.load().drawn
    return Definition(
        variable=parts["variable"].text(),
        says=parts["says"].text(),
        scale=parts["scale"].word(SCALES, "a scale"),
        source=parts["from"].word((*drawn, ABSENT), f"{columns} or 'absent'") if "from" in parts else None,
        over=parts["over"].word(drawn, columns) if "over" in parts else None,
        unit=parts["unit"].text() if "unit" in parts else None,
    )


def _window(mark: Mark) -> Window:
    parts = mark.mapping(("base", "leads", "lags"), ("base", "leads", "lags"))
    return Window(parts["base"].integer(-50, 50), parts["leads"].integer(0, 50), parts["lags"].integer(0, 50))


def _claim(mark: Mark) -> Claim:
    optional = ("models", "estimate", "level", "sign", "within", "columns", "larger_than", "close_to")
    parts = mark.mapping(("says", "exhibit", "terms", *optional), ("says", "exhibit", "terms"))
    return Claim(
        says=parts["says"].text(),
        exhibit=parts["exhibit"].text(),
        models=tuple(item.text() for item in parts["models"].items()) if "models" in parts else (),
        terms=tuple(item.text() for item in parts["terms"].items()),
        estimate=parts["estimate"].number(-1e12, 1e12) if "estimate" in parts else None,
        level=parts["level"].number(0, 1) if "level" in parts else None,
        sign=parts["sign"].integer(-1, 1) if "sign" in parts else 0,
        within=_pair(parts["within"]) if "within" in parts else None,
        columns=parts["columns"].integer(1, 1000) if "columns" in parts else None,
        larger_than=_reference(parts["larger_than"]) if "larger_than" in parts else None,
        close_to=_reference(parts["close_to"]) if "close_to" in parts else None,
    )


def _reference(mark: Mark) -> Reference:
    parts = mark.mapping(("exhibit", "model", "term"), ("exhibit", "model", "term"))
    return Reference(parts["exhibit"].text(), parts["model"].text(), parts["term"].text())


def _pair(mark: Mark) -> tuple[float, float]:
    marks = mark.items()
    if len(marks) != 2:
        mark.fail("expected two numbers, the lower first.")
    low, high = (item.number(-1e12, 1e12) for item in marks)
    if low > high:
        mark.fail(f"the lower number, {low:g}, comes after the higher, {high:g}.")
    return low, high

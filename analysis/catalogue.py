"""The catalogue: what a panel can hold. Indicators, and every column of panels.city_year with formula, unit and bounds.

Read from data/catalogue and laid over by the files of the same names in a user's own folder; a name that stands twice
is an error that names both places. The SQL of panels.city_year, its documentation, tests and contract, the data
dictionary, the trace, the checks and the names that a study may draw on all follow from what `load` returns. How a
formula is written is decided in `analysis.formulas`; nothing here opens a database.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, RootModel, model_validator
from ruamel.yaml import YAML

from analysis.documents import Document, DocumentError, Strict, Text, hint, read, validate
from analysis.formulas import YEAR, Formula, FormulaError, in_order, parse

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "data" / "catalogue"
#: The dbt models whose columns formulas may name beside indicators, and what their descriptions declare.
INTERMEDIATE = ROOT / "dbt" / "models" / "intermediate"
INDICATORS, VARIABLES = "indicators.csv", "variables.yaml"
#: Columns of indicators.csv, of which one of one's own needs the first two; `synonyms` may stand behind them.
INDICATOR_COLUMNS = ("indicator", "unit", "merge", "jump", "whole", "label_en", "label_zh")
#: Keys of a column's meta in dbt/models that say where its values come from.
KINDS = ("formula", "entropy", "records", "committed")
#: What a panel has beside variables, and SQL or dbt need for themselves.
RESERVED = ("city_code", YEAR, "adoption", "merged")
#: Word of `type` -> type in the warehouse.
TYPES = {"text": "varchar", "integer": "bigint", "boolean": "boolean"}


@dataclass(frozen=True)
class Indicator:
    """What a source measures: canonical ``unit``, ``merge`` ("sum" where parts of a merged city add up, or "none"),
    ``jump`` (the factor between neighbouring years that is worth a question), the ``whole`` that it is a part of.
    """

    name: str
    unit: str
    merge: str
    jump: float | None
    whole: str | None
    label_en: str
    label_zh: str
    place: str
    #: Other names under which files hold it.
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """A column of dbt/models/intermediate that formulas may name: a formula of its own, counted records, a figure."""

    name: str
    kind: str
    formula: str
    unit: str
    description: str
    place: str


@dataclass(frozen=True)
class Bounds:
    """Which values are possible; ``above`` is a bound that is not reached itself. Outside: blocking, or a warning."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    blocking: bool = True

    @property
    def is_share(self) -> bool:
        """Whether they are those of a part of a whole."""
        return (self.low, self.high, self.above) == (0, 1, None)

    @property
    def said(self) -> str:
        """As a sentence ends: "lies between 0 and 1"."""
        if self.is_share:
            return "is a share between 0 and 1"
        if self.high is None:
            return f"is above {self.above:g}" if self.above is not None else f"is at least {self.low:g}"
        if self.above is not None:
            return f"is above {self.above:g} and at most {self.high:g}"
        return f"lies between {self.low:g} and {self.high:g}" if self.low is not None else f"is at most {self.high:g}"


@dataclass(frozen=True)
class Column:
    """A column of panels.city_year.

    Attributes
    ----------
    formula : None for what is no variable (keys, names, borders).
    type : in the warehouse.
    merge : how it adds up where cities merged later: "sum", "ratio" (made of sums) or "none"; empty for no variable.
    source : the committed file that it stands in; empty for variables.
    place : file and line.
    """

    name: str
    formula: Formula | None
    type: str
    unit: str
    label_en: str
    label_zh: str
    description: str
    place: str
    bounds: Bounds | None = None
    merge: str = ""
    source: str = ""

    @property
    def documentation(self) -> str:
        """The description as tables carry it: the unit first."""
        return f"{self.unit[:1].upper()}{self.unit[1:]}. {self.description}"


@dataclass(frozen=True)
class Catalogue:
    """Everything that is known of indicators, of what is made of them on the way, and of the columns of city_year."""

    indicators: Mapping[str, Indicator]
    quantities: Mapping[str, Quantity]
    columns: Mapping[str, Column]

    @cached_property
    def variables(self) -> dict[str, Column]:
        """The columns that a study may draw on, in the order of the table."""
        return {name: column for name, column in self.columns.items() if column.formula is not None}

    @cached_property
    def drawn(self) -> dict[str, tuple[str, str]]:
        """Column that a study may draw on -> its unit, and what it is."""
        return {name: (column.unit, column.label_en) for name, column in self.variables.items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """What a formula may name: indicators, quantities and variables."""
        return frozenset({*self.indicators, *self.quantities, *self.variables})

    @cached_property
    def steps(self) -> tuple[tuple[str, ...], ...]:
        """The variables in the order in which they can be computed: each uses nothing of its own or a later step."""
        return in_order({name: column.formula for name, column in self.variables.items() if column.formula})

    @cached_property
    def indices(self) -> dict[str, tuple[str, ...]]:
        """The variables that are entropy indices, which a panel builds anew over its own rows, with their parts."""
        return {name: c.formula.parts for name, c in self.variables.items() if c.formula and c.formula.parts}

    def parse(self, text: str, itself: str = "") -> Formula:
        """A formula over indicators and columns of panels.city_year.

        Raises
        ------
        FormulaError
            One sentence, to be put behind file, line and key.
        """
        return parse(text, self.names, itself=itself)

    def with_indicators(self, names: Iterable[str]) -> Catalogue:
        """The catalogue with further indicators as columns by themselves, for formulas of studies that name them."""
        new = {name: _lone(self.indicators[name]) for name in sorted({*names} & {*self.indicators} - {*self.columns})}
        every = list(self.columns.items())
        last = max(at for at, (_, column) in enumerate(every) if column.formula) + 1
        return replace(self, columns=dict([*every[:last], *new.items(), *every[last:]])) if new else self

    def indicators_table(self) -> pd.DataFrame:
        """One row an indicator, as the warehouse loads it; what is not stated is missing."""
        rows = [(i.name, i.unit, i.merge, i.jump, i.whole, i.label_en, i.label_zh) for i in self.indicators.values()]
        return pd.DataFrame(rows, columns=list(INDICATOR_COLUMNS)).astype({"jump": "float64"})

    def formulas_table(self) -> pd.DataFrame:
        """One row a column of city_year or of what it is made of: layer, name, kind, formula, unit, description."""
        rows = []
        for name, column in self.variables.items():
            assert column.formula is not None
            kind, text = ("entropy", ", ".join(column.formula.parts)) if column.formula.parts else (None, None)
            rows.append(
                ("panel", name, kind or "formula", text or column.formula.text, column.unit, column.description)
            )
        for name, quantity in self.quantities.items():
            rows.append(("intermediate", name, quantity.kind, quantity.formula, quantity.unit, quantity.description))
        columns = ["layer", "name", "kind", "formula", "unit", "description"]
        return pd.DataFrame(rows, columns=columns, dtype="str")


class WrittenBounds(Strict):
    """Which values are possible: a word, or limits."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    severity: Literal["blocking", "warning"] = "blocking"

    @model_validator(mode="after")
    def _bounds_something(self) -> WrittenBounds:
        if self.low is None and self.high is None and self.above is None:
            raise ValueError("bounds need at least one of low, high and above")
        if self.low is not None and self.above is not None:
            raise ValueError("bounds have either low or above, not both")
        least = self.low if self.low is not None else self.above
        if self.high is not None and least is not None and least >= self.high:
            raise ValueError(f"the bounds start at {least:g}, not below their end, {self.high:g}")
        return self


#: Words for the usual bounds.
USUAL: dict[str, dict[str, Any]] = {
    "share": {"low": 0, "high": 1, "severity": "warning"},
    "count": {"low": 0},
    "positive": {"above": 0},
}


def _usual(value: Any) -> Any:
    if isinstance(value, str):
        if value not in USUAL:
            raise ValueError(f"{value!r} are no bounds{hint(value, USUAL)}".rstrip("."))
        return USUAL[value]
    return value


class WrittenLabel(Strict):
    """A text in English and Chinese; a plain text stands for both."""

    en: Text
    zh: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"en": value} if isinstance(value, str) else value


class WrittenColumn(Strict):
    """An entry of variables.yaml."""

    formula: str | int | float | None = None
    type: Literal["text", "integer", "boolean"] | None = None
    source: Text | None = None
    unit: Text
    label: WrittenLabel | None = None
    description: Text | None = None
    bounds: Annotated[WrittenBounds | None, BeforeValidator(_usual)] = None
    merge: Literal["sum", "ratio", "none"] | None = None

    @model_validator(mode="after")
    def _is_a_variable_or_not(self) -> WrittenColumn:
        if self.type and (self.formula is not None or self.bounds or self.merge):
            raise ValueError("a column with a type is no variable: it has no formula, bounds or merge")
        return self


class WrittenVariables(RootModel[dict[str, WrittenColumn]]):
    """variables.yaml: a name and its entry."""


def load(own: Path | None = None, folder: Path = FOLDER, intermediate: Path = INTERMEDIATE) -> Catalogue:
    """The catalogue, with what a user's own folder adds.

    Parameters
    ----------
    own
        The folder whose indicators.csv and variables.yaml are laid over; it need not exist.
    folder, intermediate
        The built-in files, and the dbt models that declare what is made of indicators on the way.

    Raises
    ------
    ValueError
        Naming file, line, key and the nearest valid word: an unknown name or function, a formula that refers to itself
        or to others in a circle, a name that stands twice, a unit, bound or key that cannot be.
    """
    files = [path / name for path in (folder, own) if path for name in (INDICATORS, VARIABLES)]
    files += sorted(intermediate.glob("*.yml"))
    stamps = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists())
    return _load(own, folder, intermediate, stamps)


@lru_cache(maxsize=8)
def _load(own: Path | None, folder: Path, intermediate: Path, stamps: tuple[tuple[Path, int, int], ...]) -> Catalogue:
    layers = [folder, *([own] if own else [])]
    indicators = _indicators([layer / INDICATORS for layer in layers if (layer / INDICATORS).exists()])
    quantities = _quantities(intermediate, indicators)
    files = [layer / VARIABLES for layer in layers if (layer / VARIABLES).exists()]
    written = [(document, entry) for file in files for document in [read(file)] for entry in [_entries(document)]]
    columns = _columns(written, indicators, quantities)
    return Catalogue(indicators, quantities, columns)


def quantities_table(intermediate: Path = INTERMEDIATE) -> list[Quantity]:
    """What the descriptions of dbt/models/intermediate declare of their columns.

    Raises
    ------
    ValueError
        A column that declares two kinds, or two columns of one name.
    """
    found: dict[str, Quantity] = {}
    for path in sorted(intermediate.glob("*.yml")):
        for model in YAML(typ="safe").load(path)["models"]:
            for column in model.get("columns") or []:
                meta = column.get("config", {}).get("meta", {})
                declared = [(kind, str(meta[kind])) for kind in KINDS if kind in meta]
                if len(declared) > 1:
                    raise ValueError(f"{path.name}: {column['name']} declares {' and '.join(k for k, _ in declared)}.")
                unit, _, rest = column["description"].partition(". ")
                for kind, text in declared:
                    name = column["name"]
                    if name in found:
                        raise ValueError(f"Two columns of dbt/models/intermediate declare {name}: rename one.")
                    found[name] = Quantity(name, kind, text, unit if rest else "", rest or unit, path.name)
    return list(found.values())


def _quantities(intermediate: Path, indicators: Mapping[str, Indicator]) -> dict[str, Quantity]:
    found = {quantity.name: quantity for quantity in quantities_table(intermediate)}
    for name, quantity in found.items():
        # the exchange rate is measured, and a committed table stands in for it
        if name in indicators and quantity.kind != "committed":
            raise ValueError(f"{indicators[name].place}: {name!r} stands twice, also in dbt/models/{quantity.place}.")
        if quantity.kind == "formula":
            for used in parse(quantity.formula, declaring=True).names:
                if used not in indicators and used not in found:
                    raise ValueError(
                        f"{quantity.place}: the formula of {name!r} names {used!r}, which is no indicator."
                    )
    return found


def _indicators(files: Collection[Path]) -> dict[str, Indicator]:
    found: dict[str, Indicator] = {}
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            lacking = [column for column in INDICATOR_COLUMNS[:2] if column not in (rows.fieldnames or ())]
            if lacking:
                columns = ", ".join(INDICATOR_COLUMNS)
                raise ValueError(
                    f"{_shown(path)}, line 1: the column {lacking[0]!r} is missing; the columns are {columns}."
                )
            for row in rows:
                indicator = _indicator(row, f"{_shown(path)}, line {rows.line_num}")
                before = found.get(indicator.name)
                if before:
                    raise ValueError(
                        f"{indicator.place}: the indicator {indicator.name!r} stands twice, first in {before.place}. "
                        "Rename one."
                    )
                found[indicator.name] = indicator
    for indicator in found.values():
        if indicator.whole and indicator.whole not in found:
            raise ValueError(
                f"{indicator.place}, column 'whole': {indicator.whole!r} is no indicator{hint(indicator.whole, found)}"
            )
    return found


def _indicator(row: Mapping[str | Any, str | Any], place: str) -> Indicator:
    cells = {column: (row.get(column) or "").strip() for column in INDICATOR_COLUMNS}
    name, unit = cells["indicator"], cells["unit"]
    fault = _name_fault(name, RESERVED)
    if fault:
        raise ValueError(f"{place}, column 'indicator': {fault}")
    if not unit:
        raise ValueError(f"{place}, column 'unit': the unit of {name!r} is missing.")
    if cells["merge"] not in ("", "sum", "none"):
        raise ValueError(f"{place}, column 'merge': expected sum or none, found {cells['merge']!r}.")
    try:
        jump = float(cells["jump"]) if cells["jump"] else None
    except ValueError:
        raise ValueError(f"{place}, column 'jump': expected a number, found {cells['jump']!r}.") from None
    label = cells["label_en"] or name
    whole = cells["whole"] or None
    synonyms = tuple(one.strip() for one in (row.get("synonyms") or "").split("|") if one.strip())
    return Indicator(
        name, unit, cells["merge"] or "none", jump, whole, label, cells["label_zh"] or label, place, synonyms
    )


def _shown(path: Path) -> str:
    """A path as it is told: from the project's folder, or whole."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def _name_fault(name: str, taken: Collection[str]) -> str:
    if not name.isidentifier() or name != name.lower() or "__" in name:
        return f"{name!r} must be a lower-case word of letters, digits and single underscores, no digit first."
    return f"{name!r} is the name of something the warehouse makes itself; choose another." if name in taken else ""


def _entries(document: Document) -> dict[str, WrittenColumn]:
    return validate(WrittenVariables, document).root if document.value is not None else {}


@dataclass
class _Reading:
    """The entries of all layers on their way to columns."""

    indicators: Mapping[str, Indicator]
    quantities: Mapping[str, Quantity]
    entries: dict[str, tuple[Document, WrittenColumn]] = field(default_factory=dict)

    def fault(self, name: str, message: str, *keys: str) -> DocumentError:
        return DocumentError(self.entries[name][0].fault((name, *keys), message))

    def place(self, name: str) -> str:
        document = self.entries[name][0]
        return f"{_shown(document.path)}, line {document.lines[(name,)]}"


def _columns(
    written: Collection[tuple[Document, Mapping[str, WrittenColumn]]],
    indicators: Mapping[str, Indicator],
    quantities: Mapping[str, Quantity],
) -> dict[str, Column]:
    reading = _Reading(indicators, quantities)
    built_in = 0
    for document, entries in written:
        built_in = built_in or len(entries)
        for name, entry in entries.items():
            if name in reading.entries:
                line = document.lines[(name,)]
                raise ValueError(
                    f"{_shown(document.path)}, line {line}: the variable {name!r} stands twice, first in "
                    f"{reading.place(name)}. Rename one."
                )
            reading.entries[name] = document, entry
            fault = _name_fault(name, () if entry.type else RESERVED)
            if fault:
                raise reading.fault(name, fault)
    variables = {name: entry for name, (_, entry) in reading.entries.items() if not entry.type}
    known = {*indicators, *quantities, *variables}
    formulas = {name: _formula(reading, name, entry, known) for name, entry in variables.items()}
    try:
        in_order(formulas)
    except FormulaError as error:
        first = next(name for name in formulas if f" {name} →" in f" {str(error).split(': ')[-1]}")
        raise reading.fault(first, str(error), "formula") from None
    whole = {name for name, quantity in quantities.items() if quantity.kind == "records"}
    made: dict[str, Column] = {}
    for name, (_, entry) in reading.entries.items():
        made[name] = _column(reading, name, entry, formulas.get(name))
    for step in in_order(formulas):
        for name in step:
            if formulas[name].is_whole(whole):
                made[name] = replace(made[name], type="bigint")
                whole.add(name)
    _check_merges(reading, made)
    lone = {name: _lone(indicators[name]) for name in _unused(indicators, quantities, formulas)}
    # own variables and indicators by themselves follow the built-in variables; what is no variable stands around them
    every = list(made.items())
    last = max((at for at, (_, column) in enumerate(every[:built_in]) if column.formula), default=built_in - 1) + 1
    return dict([*every[:last], *every[built_in:], *lone.items(), *every[last:built_in]])


def _formula(reading: _Reading, name: str, entry: WrittenColumn, known: Collection[str]) -> Formula:
    given = {*reading.indicators, *reading.quantities}
    if entry.formula is None:
        if name not in given:
            raise reading.fault(name, f"the key 'formula' is missing: {name!r} is no indicator{hint(name, given)}")
        return parse(name)
    if name in given:
        place = reading.indicators[name].place if name in reading.indicators else reading.quantities[name].place
        raise reading.fault(name, f"{name!r} is an indicator already ({place}); leave its formula out, or rename it.")
    try:
        return parse(str(entry.formula), {*known} - {name}, itself=name)
    except FormulaError as error:
        raise reading.fault(name, str(error), "formula") from None


def _column(reading: _Reading, name: str, entry: WrittenColumn, formula: Formula | None) -> Column:
    bounds = entry.bounds
    label = entry.label or WrittenLabel(en=name)
    if entry.description is None and formula is not None:
        description = f"{label.en[:1].upper()}{label.en[1:]}: {formula.text}."
    else:
        description = entry.description or label.en
    return Column(
        name=name,
        formula=formula,
        type=TYPES[entry.type] if entry.type else "double",
        unit=entry.unit,
        label_en=label.en,
        label_zh=label.zh or label.en,
        description=description,
        place=reading.place(name),
        bounds=Bounds(bounds.low, bounds.high, bounds.above, bounds.severity == "blocking") if bounds else None,
        merge=entry.merge or "",
        source=entry.source or "",
    )


def _check_merges(reading: _Reading, made: dict[str, Column]) -> None:
    """What is said of merged cities must be possible; what is not said follows from the formula."""
    formulas = {name: column.formula for name, column in made.items() if column.formula}
    merges = {name: indicator.merge for name, indicator in reading.indicators.items()}
    # counts of records are placed in today's borders one by one; figures of the nation are the same for every part
    merges |= {n: "nation" if q.kind == "committed" else "sum" for n, q in reading.quantities.items()}
    nation = {name for name, merge in merges.items() if merge == "nation"}
    for step in in_order(formulas):
        for name in step:
            formula, said = formulas[name], made[name].merge
            used = {merges[other] for other in formula.names}
            follows = (
                "none" if "none" in used else "sum" if used <= {"sum", "nation"} and formula.is_sum(nation) else "ratio"
            )
            if said == "sum" and follows != "sum":
                why = "a rate of its own enters it" if "none" in used else "it is no sum of what its formula names"
                raise reading.fault(name, f"{name!r} cannot add up over merged cities: {why}.", "merge")
            if said == "ratio" and follows == "none":
                rate = next(other for other in formula.names if merges[other] == "none")
                raise reading.fault(
                    name, f"{rate!r} does not add up over merged cities, so {name!r} does not.", "merge"
                )
            merges[name] = said or follows
            made[name] = replace(made[name], merge=said or follows)


def _unused(
    indicators: Mapping[str, Indicator], quantities: Mapping[str, Quantity], formulas: Mapping[str, Formula]
) -> Iterator[str]:
    """Indicators that no variable is made of, also not by way of a quantity or another variable."""
    used: set[str] = set()
    waiting = [name for formula in formulas.values() for name in formula.names]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            quantity = quantities.get(name)
            if quantity and quantity.kind == "formula":
                waiting += parse(quantity.formula, declaring=True).names
    return (name for name in indicators if name not in used)


def _lone(indicator: Indicator) -> Column:
    """An indicator as a column by itself, in its canonical unit."""
    unit = indicator.unit.replace("10k_", "10,000 ").replace("_", " ")
    about = f"{indicator.label_en.rstrip('.')}, as measured."
    merge = "sum" if indicator.merge == "sum" else "none"
    return Column(
        *(indicator.name, parse(indicator.name), "double", unit, indicator.label_en, indicator.label_zh, about),
        *(indicator.place, None, merge),
    )

"""What columns of city_year are made of, in one city: intermediate columns, indicators and counts, down to raw files.

Values are computed from the published cells by the declared formulas; what was set aside is told beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from analysis.lineage import formula
from analysis.lineage.evidence import NATION, Declared, Published, Row
from analysis.lineage.formula import Input, Reading, number
from analysis.lineage.steps import between, filled_in, neighbours
from analysis.lineage.tree import Node

#: Kind of records -> the measure of lineage.records that says which years its files cover, and what it counts.
COVERAGE = {
    "patents": ("patent_applications", "applications filed"),
    "cases": ("concluded_cases", "judgments concluded"),
}
#: What tells where a cell stands and what it says.
PLACE = (
    *("source", "file", "sheet", "row", "column", "header", "text", "unit_text", "factor"),
    *("place", "unit_code", "rule"),
)


class Quantities:
    """Values of one city by name and year; each is told in full where it first appears, and referred to after that."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.values: dict[Input, float] = {}
        self.shown: set[Input] = set()
        self.told: set[str] = set()

    def declared(self, name: str) -> Declared:
        """What is declared of a name that formulas use."""
        for layer in ("intermediate", "indicator"):
            found = self.published.formulas.get((layer, name))
            if found:
                return found
        raise ValueError(f"A formula names {name!r}, which is neither an indicator nor declared in dbt/models.")

    def value(self, name: str, year: int, interpolated: bool = False) -> float:
        """A value; NaN where there is none."""
        key = Input(name, year, interpolated)
        if key not in self.values:
            self.values[key] = self._interpolated(name, year) if interpolated else self._value(name, year)
        return self.values[key]

    def _value(self, name: str, year: int) -> float:
        if year < self.published.years[0]:
            return math.nan
        declared = self.declared(name)
        if declared.kind == "formula":
            return formula.evaluate(declared.formula, year, self.value).value
        if declared.kind == "records":
            covered = self._records(COVERAGE[declared.formula][0], year)
            counted = sum(row["records"] for row in self._records(name, year) if not row["rule"])
            return float(counted) if covered else math.nan
        used = [cell["value"] for cell in self._cells(declared, year) if cell["used"]]
        if used:
            return float(sum(used))
        held = self.published.committed.get((name, year)) if declared.kind == "committed" else None
        return float(held["value"]) if held else math.nan

    def _interpolated(self, name: str, year: int) -> float:
        known = self.value(name, year)
        around = self._around(name, year)
        if not math.isnan(known) or not around:
            return known
        return between("linear", year, around, [self.value(name, t) for t in around])

    def _around(self, name: str, year: int) -> list[int]:
        return neighbours([t for t in self.published.years if not math.isnan(self.value(name, t))], year)

    def _cells(self, declared: Declared, year: int) -> list[Row]:
        city = NATION if declared.kind == "committed" else self.published.city
        return self.published.cells.get((city, declared.name, year), [])

    def _records(self, measure: str, year: int) -> list[Row]:
        national = measure.startswith("national") or measure in [covering for covering, _ in COVERAGE.values()]
        return self.published.records.get((NATION if national else self.published.city, measure, year), [])

    def nodes(self, inputs: Iterable[Input]) -> tuple[Node, ...]:
        """What a formula has used, each once."""
        return tuple(self.node(found) for found in dict.fromkeys(inputs))

    def node(self, wanted: Input) -> Node:
        """A value with everything behind it."""
        name, year = wanted.name, wanted.year
        declared, value = self.declared(name), self.value(name, year, wanted.interpolated)
        title = f"{name} = {with_unit(value, declared.unit)}, {year}"
        if wanted.interpolated and math.isnan(self.value(name, year)) and not math.isnan(value):
            return self._filled(declared, year, title, value)
        if Input(name, year) in self.shown:
            return Node("quantity", name, f"{title} (above)", year, value, declared.unit)
        self.shown.add(Input(name, year))
        make = {"formula": self._made, "records": self._counted}.get(declared.kind, self._measured)
        about = self.about(declared)
        lines, details, inputs = make(declared, year)
        return Node("quantity", name, title, year, value, declared.unit, (*about, *lines), details, inputs)

    def about(self, declared: Declared) -> list[str]:
        """What a quantity is, said where it first appears."""
        first = declared.name not in self.told
        self.told.add(declared.name)
        return [declared.description] if first else []

    def _filled(self, declared: Declared, year: int, title: str, value: float) -> Node:
        around = self._around(declared.name, year)
        aside = [cell["message"] for cell in self._cells(declared, year) if cell["rule"]]
        lines = (*self.about(declared), filled_in(declared.name, year, around, "linear"), *aside)
        inputs = self.nodes(Input(declared.name, t) for t in around)
        title = f"{title} (filled in)"
        return Node("quantity", declared.name, title, year, value, declared.unit, lines, {"imputed": True}, inputs)

    def _made(self, declared: Declared, year: int) -> tuple[list[str], Row, tuple[Node, ...]]:
        """An intermediate column; a series that builds on its own year before is told from its beginning."""
        reading = formula.evaluate(declared.formula, year, self.value)
        lines = [*written(reading), *reading.reasons]
        before = Input(declared.name, year - 1)
        chain: tuple[Node, ...] = ()
        if before in reading.inputs and math.isnan(self.value(declared.name, year - 1)):
            broken = self._broken(declared.name, year)
            lines.append(f"no value since {broken}" if broken else "no earlier year has a value")
            chain = (self.node(Input(declared.name, broken)),) if broken and broken < year else ()
        elif before in reading.inputs:
            chain = _unrolled(self.node(before))
        rest = self.nodes(found for found in reading.inputs if found != before)
        return lines, {"formula": declared.formula}, (*chain, *rest)

    def _broken(self, name: str, year: int) -> int | None:
        """The first year of the gap that reaches up to ``year``; None where the series never began."""
        known = [t for t in self.published.years if t < year and not math.isnan(self.value(name, t))]
        return max(known) + 1 if known else None

    def _measured(self, declared: Declared, year: int) -> tuple[list[str], Row, tuple[Node, ...]]:
        """An indicator: the cells it is made of, then those that did not count."""
        cells = self._cells(declared, year)
        used = [cell for cell in cells if cell["used"]]
        inputs = [self._cell(cell, declared.unit, self._why_not(cell, year, used)) for cell in cells]
        held = self.published.committed.get((declared.name, year)) if declared.kind == "committed" else None
        lines = []
        if len(used) > 1:
            lines.append("the sum of units that were apart in that year")
        elif not used and held:
            title = f"{held['file']}: {number(held['value'])}; {held['source']} ({held['certainty']})"
            inputs.append(Node("committed", declared.name, title, year, held["value"], declared.unit))
        elif not used:
            lines.append("nothing counts of what the files have" if cells else "no file has it")
        lines += self._without(declared, year, used)
        lines += [
            f"change of caliber: {change['what']}"
            for change in self.published.changes
            if change["indicator"] == declared.name and change["year"] == year
        ]
        return lines, {"cells": len(used)}, tuple(inputs)

    def _without(self, declared: Declared, year: int, used: list[Row]) -> list[str]:
        """Parts that joined later and are counted apart, but are not in this value: a rate cannot be added."""
        inside = {cell["unit_code"] for cell in used}
        apart = {
            cell["unit_code"]
            for (city, indicator, _), cells in self.published.cells.items()
            if city == self.published.city and indicator == declared.name
            for cell in cells
        }
        return [
            f"without {part['name']} ({part['unit_code']}), which joined the city in {part['changed_in']:.0f}"
            for part in self.published.parts
            if used and part["changed_in"] > year and part["unit_code"] in apart - inside
        ]

    def _why_not(self, cell: Row, year: int, used: list[Row]) -> list[str]:
        """Why a cell does not count, in one line; nothing for a cell that does."""
        if cell["used"]:
            return []
        if cell["rule"]:
            return [f"set aside ({cell['rule']}): {cell['message']}"]
        if cell["unit_code"] in [other["unit_code"] for other in used]:
            return ["not counted: a more trusted source has it"]
        if used:
            return ["not counted: rates are not added, or the city's own value holds it already"]
        apart = [part["name"] for part in self.published.parts if part["changed_in"] > year]
        return [f"not counted: in the borders of today the city needs every part, with {' and '.join(apart)}"]

    def _cell(self, cell: Row, unit: str, why_not: list[str]) -> Node:
        """A cell of a raw file: where it stands, what is printed there, what it became."""
        sheet = f", sheet {cell['sheet']}" if cell["sheet"] else ""
        place = f"{cell['place']}: " if cell["unit_code"] not in (self.published.city, NATION) else ""
        title = f"{place}{cell['file']}{sheet}, row {cell['row']}, column {cell['column']} ({cell['header']})"
        title += f": '{cell['text']}' {cell['unit_text']}".rstrip()
        if not cell["rule"]:
            factor = "" if cell["factor"] == 1 else f" × {number(cell['factor'])}"
            title += f"{factor} = {with_unit(cell['value'], unit)}"
        lines = [*why_not, *([f"under this header: {cell['definition']}"] if cell["definition"] else [])]
        details = {key: cell[key] for key in PLACE}
        kind = "cell" if cell["used"] else "set_aside"
        return Node(kind, "", f"{title} [{cell['source']}]", None, cell["value"], unit, tuple(lines), details)

    def _counted(self, declared: Declared, year: int) -> tuple[list[str], Row, tuple[Node, ...]]:
        """A count: files and first rows of the records, then those that did not count."""
        covering, what = COVERAGE[declared.formula]
        covered = sum(row["records"] for row in self._records(covering, year))
        lines = [
            f"of {covered:,.0f} {what} in {year} in the files"
            if covered
            else f"no file of {declared.formula} covers {year}"
        ]
        return lines, {}, tuple(self._file(row) for row in self._records(declared.name, year))

    def _file(self, row: Row) -> Node:
        more = f" … {row['last_row']}" if row["records"] > 5 else ""
        unit = f" of {row['unit_code']}" if row["unit_code"] not in (self.published.city, NATION) else ""
        source = self.published.sources.get(row["file"], "")
        title = f"{row['file']}: {row['records']:,} records{unit}, rows {row['first_rows']}{more} [{source}]"
        if row["rule"]:
            title = f"set aside ({row['rule']}): {title}"
        details = {key: row[key] for key in ("file", "records", "first_rows", "last_row", "rule")} | {"source": source}
        kind = "set_aside" if row["rule"] else "records"
        return Node(kind, "", title, None, float(row["records"]), "", (), details)


def with_unit(value: float, unit: str) -> str:
    """A number with its unit, as a reader sees it."""
    return f"{number(value)} {unit}".rstrip()


def written(reading: Reading) -> list[str]:
    """A formula in names and in numbers; nothing where it is a name alone, whose value stands below."""
    return [] if reading.symbols.isidentifier() else [f"= {reading.symbols} = {reading.numbers}"]


def _unrolled(node: Node) -> tuple[Node, ...]:
    """A year of a series behind the years before it, as one list."""
    earlier = tuple(found for found in node.inputs if found.name == node.name)
    rest = tuple(found for found in node.inputs if found.name != node.name)
    return (*earlier, node.replace(inputs=rest))

"""The tables of a publication that explain one city's values, each read once and only as far as the city needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

#: (table such as panels.city_year, columns or None for all, cities or None for all) -> rows.
Read = Callable[[str, Sequence[str] | None, Sequence[str] | None], pd.DataFrame]
#: One row of a table; what is missing is None.
Row = dict[str, Any]

#: The code under which rates and counts of the nation stand.
NATION = "100000"


@dataclass(frozen=True)
class Declared:
    """A quantity as its description declares it.

    ``formula`` is what its kind needs: a formula, the parts of an entropy index, the kind of records, or a file.
    """

    name: str
    kind: str
    formula: str
    unit: str
    description: str

    @property
    def parts(self) -> list[str]:
        """The columns of city_year that an entropy index is made of; none for other kinds."""
        return [part.strip() for part in self.formula.split(",")] if self.kind == "entropy" else []


@dataclass(frozen=True)
class Published:
    """What lies behind the values of one city."""

    read: Read
    city: str

    @cached_property
    def city_year(self) -> pd.DataFrame:
        """The city's rows of panels.city_year, indexed by year."""
        return self.read("panels.city_year", None, [self.city]).set_index("year").sort_index()

    @cached_property
    def years(self) -> list[int]:
        """The years of panels.city_year, in order."""
        return [int(year) for year in self.city_year.index]

    @cached_property
    def formulas(self) -> dict[tuple[str, str], Declared]:
        """What is declared of each (layer, name)."""
        return {
            (row["layer"], row["name"]): Declared(
                row["name"],
                row["kind"],
                row["formula"] or "",
                _unit(row["unit"] or ""),
                row["description"],
            )
            for row in self.rows("lineage.formulas")
        }

    @cached_property
    def cells(self) -> dict[tuple[str, str, int], list[Row]]:
        """Cells of the city and the nation with where they stand, by (city, indicator, year); what counts first."""
        cells = self.read("lineage.cells", None, [self.city, NATION])
        units = self.read("lineage.units", ["unit_code", "name", "treatment"], None)
        cells = cells.merge(self.read("lineage.headers", None, None), on=["header_id", "indicator"])
        cells = cells.merge(units, on="unit_code", how="left")
        order = ["used", "unit_code", "source", "file", "row"]
        cells = cells.sort_values(order, ascending=[False, *[True] * 4])
        return _grouped(_rows(cells), ("city_code", "indicator", "year"))

    @cached_property
    def records(self) -> dict[tuple[str, str, int], list[Row]]:
        """Files of patents and cases of the city and the nation, by (city, measure, year); those that count first."""
        records = self.read("lineage.records", None, [self.city, NATION]).sort_values(["rule", "file", "unit_code"])
        return _grouped(_rows(records), ("city_code", "measure", "year"))

    @cached_property
    def committed(self) -> dict[tuple[str, int], Row]:
        """Committed figures by (name, year)."""
        return {(row["name"], row["year"]): row for row in self.rows("lineage.committed")}

    @cached_property
    def contracts(self) -> dict[str, Row]:
        """Title, publisher and licence by source."""
        return {row["source"]: row for row in self.rows("lineage.contracts")}

    @cached_property
    def sources(self) -> dict[str, str]:
        """File -> the contract that claims it."""
        return {row["file"]: row["source"] for row in self.rows("quality.files")}

    @cached_property
    def parts(self) -> list[Row]:
        """Units that joined the city, with the first year reported together."""
        units = self.rows("lineage.units")
        return [row for row in units if row["city_code"] == self.city and row["treatment"] == "sum"]

    @cached_property
    def changes(self) -> list[Row]:
        """The city's changes of caliber, by year."""
        changes = self.read("panels.caliber_changes", None, [self.city])
        return _rows(changes.sort_values(["year", "kind", "what"]))

    @cached_property
    def treatments(self) -> list[Row]:
        """What the policy lists say of the city, by panel and column."""
        return _rows(self.read("lineage.treatments", None, [self.city]))

    @cached_property
    def scored(self) -> list[Row]:
        """How each score was made, by panel, score, frontier and period."""
        return self.rows("scores.provenance")

    @cached_property
    def variables(self) -> dict[tuple[str, str], Row]:
        """The data dictionary's row of each (panel, variable); keys, policies and flags are none."""
        rows = self.rows("panels.data_dictionary")
        return {(row["study"], row["column_name"]): row for row in rows if row["position"] is not None}

    def rows(self, table: str) -> list[Row]:
        """Every row of a small table."""
        return _rows(self.read(table, None, None))


def _unit(text: str) -> str:
    """A unit as it stands in the middle of a line."""
    return (text[:1].lower() + text[1:]).replace("10k_", "10,000 ").replace("_", " ")


def _rows(frame: pd.DataFrame) -> list[Row]:
    objects = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in objects.to_dict("records")]


def _grouped(rows: list[Row], keys: Sequence[str]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups

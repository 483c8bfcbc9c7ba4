"""Everything behind one value of a panel: what was done to it, its formula with the numbers put in, the raw cells.

Each step is computed anew from the step below it, by the definitions of `analysis.indices` and the declared formulas;
where the result is not the published value, the tree says so.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from analysis import indices
from analysis.lineage import formula
from analysis.lineage.evidence import Declared, Published, Row
from analysis.lineage.formula import Input, number
from analysis.lineage.quantities import Quantities, with_unit, written
from analysis.lineage.steps import Steps, between, differs, entropy, filled_in, longest, neighbours, weighted
from analysis.lineage.tree import Node
from analysis.names import FLAGS

ATTRIBUTES = ("name_zh", "name_en", "province_zh", "region")
BORDERS = (*FLAGS, "caliber_change")
#: Part of an efficiency specification -> what its columns are.
ROLES = {"inputs": "input", "outputs": "output", "bad_outputs": "bad output"}


class Trace:
    """Values of one city, each explained."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.quantities = Quantities(published)

    def panel(self, panel: str, column: str, year: int) -> Node:
        """A value of a study's panel; ``column`` is one of its columns."""
        own = self.published.read(f"panels.{panel}", None, [self.published.city]).set_index("year").loc[year]
        base = column.removesuffix(indices.IMPUTED)
        variable = self.published.variables.get((panel, base))
        if variable is None:
            return self._other(panel, column, year, own[column])
        node = self._variable(panel, variable, year, _number(own[base]))
        if column == base:
            return node
        flag = bool(own[column])
        return Node("panel", column, f"{column} = {flag}, {year}", year, flag, inputs=(node,))

    def _variable(self, panel: str, variable: Row, year: int, published: float) -> Node:
        name, text = variable["column_name"], _formula(variable)
        source = name if text else variable["city_year_column"]
        parts = list(formula.read(text).parts) if text else self._parts(source)
        rows = self._rows(panel, source, parts, text)
        steps = Steps.of(rows, source, variable, parts)
        own = rows["city_code"] == self.published.city
        at = int(np.flatnonzero(own & (rows["year"] == year))[0])
        lines = [f"{variable['label_en']}; {variable['role']}; {'made of' if text else 'drawn from'} {text or source}"]
        inputs: list[Node] = []
        how = variable["interpolate"], longest(variable)
        if parts:
            lines.append(weighted(rows, parts, *how))
        known = rows[own & rows[source].notna()]["year"].tolist()
        for row in steps.behind(at):
            of = int(rows["year"].iloc[row])
            if parts:
                inputs += [self._within(panel, part, of, *how) for part in parts]
                continue
            filled = pd.isna(steps.measured.iloc[row]) and pd.notna(steps.filled.iloc[row])
            years = neighbours(known, of) if filled else [of]
            if filled:
                lines.append(filled_in(source, of, years, variable["interpolate"]))
            inputs += [self._made(name, text, t) if text else self._source(panel, source, t) for t in years]
        lines += [*steps.lines(at), *differs(published, float(steps.final.iloc[at]))]
        imputed = steps.imputed(at)
        details = {
            **{key: variable[key] for key in ("interpolate", "log", "winsorize_low", "winsorize_high")},
            **{key: variable[key] for key in ("scale", "change", "lag", "standardise") if key in variable},
            "max_gap": longest(variable),
            "panel": panel,
            "imputed": imputed,
            "winsorised": steps.winsorised(at),
        }
        title = f"{name} = {with_unit(published, variable['unit'])}, {year}{' (filled in)' if imputed else ''}"
        return Node("panel", name, title, year, published, variable["unit"], tuple(lines), details, tuple(inputs))

    def _made(self, name: str, text: str, year: int) -> Node:
        """The value that a study's own formula gives."""

        def look_up(column: str, at: int, interpolated: bool) -> float:
            held = self.published.city_year
            return _number(held.at[at, column]) if at in held.index else math.nan

        reading = formula.evaluate(text, year, look_up)
        inputs = tuple(
            self.column(each.name, each.year) for each in reading.inputs if each.year in self.published.years
        )
        title = f"{name} = {number(reading.value)}, {year}: {text}"
        lines = (*written(reading), *reading.reasons)
        return Node("formula", name, title, year, reading.value, "", lines, {"formula": text}, inputs)

    def _parts(self, column: str) -> list[str]:
        """The columns that a column of city_year is an entropy index of."""
        declared = self.published.formulas.get(("panel", column))
        return declared.parts if declared else []

    def _rows(self, panel: str, source: str, parts: list[str], text: str = "") -> pd.DataFrame:
        """City, year, source (or what a formula gives) and its parts for every row of the panel: what is pooled."""
        rows = self.published.read(f"panels.{panel}", ["city_code", "year"], None)
        how = None if text else self._specification(panel, source)
        if text:
            names = list(formula.names(text))
            found = self.published.read("panels.city_year", ["city_code", "year", *names], None)
            made = found[names].notna().all(axis=1).map({True: 0.0, False: math.nan}) if parts else _every(text, found)
            found = found[["city_code", "year", *parts]].assign(**{source: made})
        elif how:
            scores = self.published.read("scores.efficiency", None, None)
            mine = scores[["study", "name", "frontier"]].eq([panel, how["name"], how["frontier"]]).all(axis=1)
            found = scores.loc[mine, ["city_code", "year", "score"]].rename(columns={"score": source})
        else:
            found = self.published.read("panels.city_year", ["city_code", "year", source, *parts], None)
        return rows.merge(found, on=["city_code", "year"], how="left").astype({source: float})

    def _specification(self, panel: str, source: str) -> dict[str, Any] | None:
        """How a score was made, with the frontier that ``source`` names, or None for what is no score."""
        for row in self.published.scored:
            if row["study"] == panel and source in (row["name"], f"{row['name']}_{row['frontier']}"):
                how = dict(json.loads(row["specification"]))
                return how if source == row["name"] else {**how, "frontier": row["frontier"]}
        return None

    def _source(self, panel: str, source: str, year: int) -> Node:
        how = self._specification(panel, source)
        return self._score(panel, how, year) if how else self.column(source, year)

    def _other(self, panel: str, column: str, year: int, value: object) -> Node:
        """A treatment, another policy, the first treated year, or a flag of borders."""
        if column in BORDERS:
            return self.column(column, year)
        title = f"{column} = {_printed(value)}, {year}"
        mine = [row for row in self.published.treatments if row["study"] == panel]
        if column == "adoption":
            lines = ["first treated year"]
            mine = [row for row in mine if row["is_treatment"]]
        else:
            lines = [
                "of entries in force, from the first treated year to the last where the list says one: 1, or their sum"
            ]
            mine = [row for row in mine if row["column_name"] == column]
        if not mine:
            lines.append("the policy's list in data/policies does not have this city")
        inputs = tuple(_entry(row) for row in mine)
        return Node("policy", column, title, year, _plain(value), "", tuple(lines), {"panel": panel}, inputs)

    def _score(self, panel: str, how: dict[str, Any], year: int) -> Node:
        """An efficiency score of a panel: its specification, and every input and output."""
        name = how["name"]
        key = {"study": panel, "name": name, "frontier": how["frontier"]}
        found = self._one("scores.efficiency", {**key, "year": year})
        if found is None:
            return Node("score", name, f"{name} = no value, {year}: not scored", year, math.nan, "score")
        period = str(year) if how["frontier"] == "contemporaneous" else "all"
        made = next(row for row in self.published.scored if {**key, "period": period}.items() <= row.items())
        verdict = "efficient" if found["efficient"] else "not efficient"
        lines = (
            f"super-efficiency SBM with bad outputs: returns {how['returns']}, orientation {how['orientation']}, "
            f"objective {how['objective']}",
            f"frontier {how['frontier']}, from {made['rows']} rows of {'all years' if period == 'all' else period}; "
            f"SBM score {number(found['sbm'])}, {verdict}; status {found['status']}",
        )
        inputs = tuple(
            self._scored(key, how, role, column, year) for part, role in ROLES.items() for column in how[part]
        )
        details = {"panel": panel, "specification": how, "status": found["status"], "imputed": found["imputed"]}
        value = _number(found["score"])
        return Node("score", name, f"{name} = {number(value)}, {year}", year, value, "score", lines, details, inputs)

    def _scored(self, key: Row, how: dict[str, Any], role: str, column: str, year: int) -> Node:
        """One variable of a score, filled within the panel's years as the specification says."""
        slack = self._one("scores.slacks", {**key, "year": year, "variable": column})
        held = f"; slack {number(slack['slack'])}" if slack else ""
        node = self._within(key["study"], column, year, how["interpolate"], longest(how))
        return node.replace(title=f"{role} {node.title}{held}", details={**node.details, "role": role})

    def _within(self, panel: str, column: str, year: int, method: str, max_gap: int | None = None) -> Node:
        """A value of city_year, filled within the panel's years where it is missing and the gap is not too long."""
        span = self.published.read(f"panels.{panel}", ["year"], [self.published.city])["year"]
        values = self.published.city_year[column].loc[span.min() : span.max()].dropna()
        around = [] if year in values.index else neighbours([int(t) for t in values.index], year, max_gap)
        if not around or method == "none":
            return self.column(column, year)
        value = between(method, year, around, [float(values[t]) for t in around])
        unit = self.published.formulas["panel", column].unit
        title = f"{column} = {with_unit(value, unit)}, {year} (filled in)"
        lines = (filled_in(column, year, around, method),)
        inputs = tuple(self.column(column, t) for t in around)
        return Node("column", column, title, year, value, unit, lines, {"imputed": True}, inputs)

    def _one(self, table: str, wanted: Row) -> Row | None:
        """The city's row of a table with these values."""
        rows = self.published.read(table, None, [self.published.city])
        found = rows[rows[list(wanted)].eq(list(wanted.values())).all(axis=1)]
        return {str(name): value for name, value in found.iloc[0].items()} if len(found) else None

    def column(self, column: str, year: int) -> Node:
        """A value of panels.city_year: its formula with the numbers put in."""
        held = self.published.city_year.at[year, column]
        declared = self.published.formulas.get(("panel", column))
        if declared is None:
            lines = self._borders(column, year) if column in BORDERS else [_undeclared(column)]
            title = f"{column} = {_printed(held)}, {year}"
            return Node("column", column, title, year, _plain(held), lines=tuple(lines))
        published = _number(held)
        title = f"{column} = {with_unit(published, declared.unit)}, {year}"
        details = {"description": declared.description, "formula": declared.formula}
        own = Input(f"panels.city_year.{column}", year)
        if own in self.quantities.shown:
            return Node("column", column, f"{title} (above)", year, published, declared.unit, details=details)
        self.quantities.shown.add(own)
        about = self.quantities.about(declared)
        if declared.kind == "entropy":
            lines, inputs = self._index(declared, year, published)
        else:
            reading = formula.evaluate(declared.formula, year, self.quantities.value)
            lines = [*written(reading), *reading.reasons, *differs(published, reading.value)]
            inputs = self.quantities.nodes(reading.inputs)
        return Node("column", column, title, year, published, declared.unit, (*about, *lines), details, inputs)

    def _index(self, declared: Declared, year: int, published: float) -> tuple[list[str], tuple[Node, ...]]:
        """An entropy index over every row of city_year."""
        rows = self.published.read("panels.city_year", ["city_code", "year", *declared.parts], None)
        values = entropy(rows, declared.parts)
        own = (rows["city_code"] == self.published.city) & (rows["year"] == year)
        lines = [weighted(rows, declared.parts), *differs(published, float(values[own].iloc[0]))]
        return lines, tuple(self.column(part, year) for part in declared.parts)

    def _borders(self, column: str, year: int) -> list[str]:
        if column == "borders_merged":
            behind = [change for change in self.published.changes if change["kind"] == "merger"]
        else:
            behind = [change for change in self.published.changes if change["year"] == year]
        return [f"{change['year']}: {change['what']}" for change in behind] or ["nothing has changed"]


def _formula(variable: Row) -> str:
    """The formula by which a study makes a variable; empty for one that is drawn from a column."""
    drawn = variable["city_year_column"]
    return "" if isinstance(drawn, str) and drawn else str(variable["formula"])


def _every(text: str, rows: pd.DataFrame) -> pd.Series:
    """A formula in every row: city_code, year and the columns that it uses."""
    cities = {city: own.set_index("year").to_dict() for city, own in rows.groupby("city_code")}

    def value(city: str, year: int) -> float:
        held = cities[city]
        return formula.evaluate(text, year, lambda name, at, _: _number(held[name].get(at, math.nan))).value

    return pd.Series([value(*key) for key in zip(rows["city_code"], rows["year"], strict=True)], rows.index, float)


def _entry(row: Row) -> Node:
    """A city's entry in a policy list."""
    note = f"; {row['note']}" if row["note"] else ""
    counts = "" if row["counts"] else "; the study does not count this scope"
    said = f"first treated {row['adoption']}, {row['scope']}; {row['source']} ({row['certainty']}){note}{counts}"
    keys = ("adoption", "adoption_alternative", "batch", "scope", "certainty", "note", "counts")
    details = {"published_in": row["source"], **{key: row[key] for key in keys}}
    title = f"data/policies/{row['policy']}.csv: {said}"
    return Node("policy", row["policy"], title, value=row["adoption"], details=details)


def _undeclared(column: str) -> str:
    return "data/reference/cities.csv" if column in ATTRIBUTES else "no formula is declared for it"


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def _printed(value: Any) -> str:
    if pd.isna(value):
        return "no value"
    return number(value) if isinstance(value, float) else str(value)

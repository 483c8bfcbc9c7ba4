"""A value of a panel that comes from a file, down to the file's cell: what was done to it, row, column and text.

Panels of the warehouse are explained in `trace`; how a panel from a file is made is in `analysis.panel_from_file`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import indices
from analysis.lineage.formula import number
from analysis.lineage.request import word
from analysis.lineage.steps import Steps, differs, filled_in, longest, neighbours
from analysis.lineage.tree import Node
from analysis.names import TIME, UNIT


@dataclass(frozen=True)
class FilePanel:
    """A published panel and what is kept of its file.

    Attributes
    ----------
    study : name of the study and its panel.
    panel : as published.
    rows : as long as the panel, in its order: ``file_row`` and the text of each cell that something was drawn from.
    about : ``file``, ``sheet``, ``sha256``, ``unit``, ``time``, ``treatment`` (its column, or None), ``adoption``,
        ``made`` (the treatment's name in the panel), ``place``, ``columns`` (header -> number from 1), ``variables``
        (name -> what was done).
    """

    study: str
    panel: pd.DataFrame
    rows: pd.DataFrame
    about: Mapping[str, Any]

    def explain(self, column: str, unit: str, time: int, places: Mapping[str, str]) -> Node:
        """The tree behind one value.

        Parameters
        ----------
        unit
            As the file has it; of a city also its code or name.
        places
            Code or name -> code of the city.

        Raises
        ------
        ValueError
            A column, unit or period that the panel does not have.
        """
        word(column, list(self.panel.columns), f"column of panels.{self.study}")
        at = self._row(unit, time, places)
        name = str(self.panel[self.about["unit"]].iloc[at])
        file = f"{self.about['file']}, sha256 {self.about['sha256'][:12]}"
        node = self._value(column, at, time)
        source = Node("source", self.study, file, details={"file": self.about["file"], "sha256": self.about["sha256"]})
        return Node("value", column, f"{self.study}, {name}, {time}", time, inputs=(node, source))

    def _row(self, unit: str, time: int, places: Mapping[str, str]) -> int:
        units = self.panel[self.about["unit"]].map(_text)
        mine = units == unit
        code = places.get(unit)
        if not mine.any() and code:
            mine = units == code
            if self.about["place"]:
                mine |= self.panel[self.about["place"]] == code
        if not mine.any():
            word(unit, sorted(set(units)), f"{self.about['unit']} in panels.{self.study}")
        times = self.panel[self.about["time"]]
        here = np.flatnonzero(mine & (times == time))
        if not len(here):
            held = ", ".join(map(str, sorted(times[mine])))
            raise ValueError(f"panels.{self.study} has {unit} in {held}, not in {time}.")
        return int(here[0])

    def _value(self, column: str, at: int, time: int) -> Node:
        held = self.panel[column].iloc[at]
        title = f"{column} = {_printed(held)}, {time}"
        base = column.removesuffix(indices.IMPUTED)
        if base in self.about["variables"]:
            node = self._variable(base, at, time)
            return node if base == column else Node("panel", column, title, time, bool(held), inputs=(node,))
        if column == "adoption":
            title = title if pd.isna(held) else f"{column} = {held:.0f}, {time}"
            return Node(
                "panel", column, title, time, _plain(held), lines=("first treated period",), inputs=self._began(at)
            )
        if column == self.about["made"] and self.about["adoption"]:
            lines = ("1 from the first treated period on, else 0",)
            return Node("panel", column, title, time, _plain(held), lines=lines, inputs=self._began(at))
        if column == self.about["place"]:
            lines = ("six-digit code of the city of the roster of 2021 that the unit is",)
            return Node("panel", column, title, time, held, lines=lines, inputs=(self._cell(self.about["unit"], at),))
        return Node("panel", column, title, time, _plain(held), inputs=(self._cell(column, at),))

    def _began(self, at: int) -> tuple[Node, ...]:
        """The cell that says when the row's unit was first treated."""
        if self.about["adoption"]:
            return (self._cell(self.about["adoption"], at),)
        unit, treatment = self.panel[self.about["unit"]], self.panel[self.about["treatment"]]
        treated = np.flatnonzero((unit == unit.iloc[at]) & (treatment == 1))
        return (self._cell(self.about["treatment"], int(treated[0])),) if len(treated) else ()

    def _variable(self, name: str, at: int, time: int) -> Node:
        done = self.about["variables"][name]
        source = done["source"]
        times = self.panel[self.about["time"]]
        rows = pd.DataFrame({UNIT: self.panel[self.about["unit"]], TIME: times})
        rows[source] = pd.to_numeric(self.rows[source], errors="coerce").astype(float)
        steps = Steps.of(rows, source, done)
        own = rows[UNIT] == rows[UNIT].iloc[at]
        known = rows.loc[own & rows[source].notna(), TIME].tolist()
        lines, inputs = [f"{done['label']}; drawn from {source!r}"], []
        for row in steps.behind(at):
            of = int(times.iloc[row])
            filled = pd.isna(steps.measured.iloc[row]) and pd.notna(steps.filled.iloc[row])
            around = neighbours(known, of, longest(done)) if filled else [of]
            if filled:
                lines.append(filled_in(source, of, around, done["interpolate"]))
            inputs += [self._cell(source, int(np.flatnonzero(own & (times == when))[0])) for when in around]
        published = self.panel[name].iloc[at]
        value = math.nan if pd.isna(published) else float(published)
        lines += [*steps.lines(at), *differs(value, float(steps.final.iloc[at]))]
        mark = " (filled in)" if steps.imputed(at) else ""
        details = {key: done[key] for key in ("interpolate", "scale", "change", "lag", "standardise")}
        details |= {"imputed": steps.imputed(at), "winsorised": steps.winsorised(at)}
        title = f"{name} = {_printed(value)}, {time}{mark}"
        return Node("panel", name, title, time, value, done["unit"], tuple(lines), details, tuple(inputs))

    def _cell(self, column: str, at: int) -> Node:
        """A cell of the file."""
        row, number_of = int(self.rows["file_row"].iloc[at]), self.about["columns"].get(column)
        text = self.rows[column].iloc[at] if column in self.rows else self.panel[column].iloc[at]
        said = "blank" if pd.isna(text) else repr(_text(text))
        sheet = f", sheet {self.about['sheet']}" if self.about["sheet"] else ""
        when = int(self.panel[self.about["time"]].iloc[at])
        details = {
            "file": self.about["file"],
            "sheet": self.about["sheet"],
            "row": row,
            "column": number_of,
            "header": column,
            "text": None if pd.isna(text) else _text(text),
            "source": self.study,
        }
        title = f"{self.about['file']}{sheet}, row {row}, column {number_of} {column!r}: {said}"
        return Node("cell", "", title, when, details=details)


def _text(value: Any) -> str:
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def _printed(value: Any) -> str:
    if pd.isna(value):
        return "no value"
    return number(float(value)) if isinstance(value, (float, np.floating)) else str(value)

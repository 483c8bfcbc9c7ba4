"""The panel of a study that names a file: its keys, treatment and variables checked, and every row's place kept.

Faults that would make numbers wrong are refused in a sentence; rows that cannot take part are set aside with one. What
a study may say of its file is in `analysis.studies`, what is done to a variable's values in `analysis.lineage.steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import indices
from analysis.lineage.steps import Steps
from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.file_panel import periods, unit_places, unit_text
from analysis.studies.records import FilePanel, Study, Variable
from analysis.studies.table_file import Table, read_table

ASIDE = ["rule", "sheet", "row", "column", "value", "message"]


@dataclass(frozen=True)
class Assembled:
    """A panel from a file.

    Attributes
    ----------
    panel : one row a unit and period: the file's unit and time columns under their own names, ``adoption``, the
        treatment, variables with their flags, columns of words, and the code of the Chinese city where units are such.
    rows : as long as ``panel``: ``row`` of the file, and each column that something was drawn from, as text.
    aside : rows that take no part: ``rule``, ``sheet``, ``row``, ``column``, ``value``, ``message``.
    notes : what a reader must know of how the panel was made, one sentence each.
    """

    panel: pd.DataFrame
    rows: pd.DataFrame
    aside: pd.DataFrame
    notes: tuple[str, ...]


def assemble(study: Study, known: Mapping[str, str]) -> Assembled:
    """The panel of a study from its file.

    Parameters
    ----------
    study
        With ``panel``, as `spec.load` returns it.
    known
        As `places` returns it.

    Raises
    ------
    ValueError
        In one sentence, naming file, row, column and value: a key column that is not there, a period that is none, a
        unit and period twice, a treatment that is neither 0 nor 1 or ends once it began, a year of adoption that is
        none or differs within a unit, a variable that is text, nothing left.
    """
    declared = study.panel
    assert declared is not None
    table = read_table(declared.path, declared.sheet)
    unit, time = declared.unit, declared.time
    frame = table.frame
    when = periods(table, time)
    keyless = frame[unit].isna() | when.isna()
    taking_part = ~keyless & ~frame[unit].map(unit_text).isin(declared.exclude)
    aside = [
        _aside(table, int(at), "no_key", unit if pd.isna(frame[unit].iloc[at]) else time)
        for at in np.flatnonzero(keyless)
    ]
    if keyless.all():
        raise ValueError(f"{table.path.name}: no row has both {unit!r} and {time!r}.")
    _refuse_twice(table, unit, time, when, keyless)
    notes: list[str] = []
    if declared.treatment is not None:
        treated = table.numbers(declared.treatment)
        _refuse_unless_binary(table, declared.treatment, treated, taking_part)
        silent = treated.isna() & taking_part
        aside += [_aside(table, int(at), "no_treatment", declared.treatment) for at in np.flatnonzero(silent)]
        kept = taking_part & ~silent
        adoption = _adoption_of_treatment(table, declared, when[kept], treated[kept])
        early = _treated_at_first(frame.loc[kept, unit], when[kept], treated[kept])
        if early:
            notes.append(
                f"{early} units are treated in their first period already; when that began is not in the file, and "
                "their first period stands for it."
            )
    else:
        assert declared.adoption is not None
        kept = taking_part
        adoption = _adoption_as_stated(table, declared, kept)
        treated = pd.Series((when >= adoption.reindex(when.index)).astype(float), index=when.index)
    if aside:
        notes.append(
            f"{len(aside):,} of {len(frame):,} rows of {table.path.name} are set aside: no key or no treatment."
        )
    inside = kept & when.between(*study.years)
    if not inside.any():
        raise ValueError(f"{table.path.name} holds no row in the years {study.years[0]}-{study.years[1]}.")
    adoption = adoption.reindex(frame.index).where(lambda years: years <= study.years[1])
    order = _in_order(frame.loc[inside, unit], when[inside])
    panel = pd.DataFrame({unit: frame.loc[order, unit], time: when[order].astype("int64")})
    panel[ADOPTION] = adoption[order].astype("Int64").astype("float64")
    panel[study.treatment] = treated[order].astype("int64")
    panel, sources = _with_variables(panel, study, table, order)
    for column in declared.words:
        panel[column] = frame.loc[order, column].to_numpy()
    if declared.place:
        codes, told = unit_places(table, unit, known)
        panel[declared.place] = [codes.get(value) for value in panel[unit]]
        cities = panel.loc[panel[declared.place].notna(), unit].nunique()
        notes.append(f"{cities:,} of {panel[unit].nunique():,} units are cities of the roster of 2021, by {told!r}.")
    if not panel[study.treatment].any():
        raise ValueError(
            f"{table.path.name}: no row in the sample is treated by {(declared.treatment or declared.adoption)!r}; "
            "nothing can be estimated."
        )
    drawn = list(dict.fromkeys([unit, time, declared.treatment or declared.adoption, *sources, *declared.words]))
    rows = pd.DataFrame({unit: panel[unit], time: panel[time], "file_row": order + table.first})
    for column in filter(None, drawn):
        if column not in (unit, time):
            rows[column] = [None if pd.isna(value) else unit_text(value) for value in frame.loc[order, column]]
    set_aside = pd.DataFrame(aside, columns=ASIDE)
    return Assembled(panel.reset_index(drop=True), rows.reset_index(drop=True), set_aside, tuple(notes))


def _aside(table: Table, at: int, rule: str, column: str) -> tuple[Any, ...]:
    reason = {"no_key": "the row does not say which unit and period it is", "no_treatment": "the treatment is blank"}[
        rule
    ]
    message = f"{table.where(at, column)}: {reason}; the row is set aside."
    return (rule, table.sheet, at + table.first, column, "", message)


def _refuse_twice(table: Table, unit: str, time: str, when: pd.Series, keyless: pd.Series) -> None:
    keys = pd.DataFrame({"unit": table.frame[unit], "time": when})[~keyless]
    twice = keys.duplicated(keep=False)
    if not twice.any():
        return
    first = keys[twice].index[0]
    same = keys.index[(keys["unit"] == keys["unit"][first]) & (keys["time"] == keys["time"][first])]
    count = int(keys.duplicated().sum())
    raise ValueError(
        f"{table.where(int(same[1]))}: {unit} {unit_text(keys['unit'][first])} and {time} {keys['time'][first]:.0f} "
        f"stand in row {int(same[0]) + table.first} already ({count:,} such rows); a panel has one row for each."
    )


def _refuse_unless_binary(table: Table, column: str, values: pd.Series, kept: pd.Series) -> None:
    wrong = values.notna() & ~values.isin([0.0, 1.0]) & kept
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        years = bool(values[wrong].between(1949, 2100).all())
        hint = "it looks like a year of adoption: say `adoption:` instead" if years else "give 0 or 1"
        raise ValueError(f"{table.where(at, column)}: the treatment is {values.iloc[at]:g}, neither 0 nor 1; {hint}.")


def _adoption_of_treatment(table: Table, declared: FilePanel, when: pd.Series, treated: pd.Series) -> pd.Series:
    """The first treated period of each row's unit; a treatment that ends is refused."""
    units = table.frame[declared.unit].reindex(when.index)
    began = when.where(treated == 1).groupby(units).transform("min")
    ended = (treated == 0) & (when > began)
    if ended.any():
        first = int(when[ended].index[0])
        count = units[ended].nunique()
        raise ValueError(
            f"{table.where(first, declared.treatment)}: the treatment of {declared.unit} {unit_text(units[first])} "
            f"began in {began[first]:.0f} and is 0 again in {when[first]:.0f} ({count:,} units end so); the estimators "
            "here need one that stays. Leave such units out with `sample: {exclude: […]}`, or name the year it began "
            "as `adoption`."
        )
    return began


def _treated_at_first(units: pd.Series, when: pd.Series, treated: pd.Series) -> int:
    first = when == when.groupby(units).transform("min")
    return int(units[first & (treated == 1)].nunique())


def _adoption_as_stated(table: Table, declared: FilePanel, kept: pd.Series) -> pd.Series:
    """The year that the file states for each row's unit, missing for never: blank or 0."""
    column = str(declared.adoption)
    stated = periods(table, column)[kept]
    stated = stated.where(stated != 0)
    units = table.frame[declared.unit][kept]
    low, high = stated.groupby(units).transform("min"), stated.groupby(units).transform("max")
    some = stated.notna().groupby(units).transform("any") & stated.isna()
    wrong = (low != high) & low.notna() | some
    if wrong.any():
        at = int(wrong[wrong].index[0])
        said = "a blank" if pd.isna(stated[at]) else f"{stated[at]:.0f}"
        others = f"{low[at]:.0f}" if some.get(at, False) or stated[at] != low[at] else f"{high[at]:.0f}"
        raise ValueError(
            f"{table.where(at, column)}: {declared.unit} {unit_text(units[at])} has {said} here and {others} in "
            "another row; the year of adoption is one for all rows of a unit (0 or blank: never)."
        )
    times = periods(table, declared.time)[kept]
    if stated.notna().any() and stated.max() < times.min() - 200:
        at = int(stated.index[stated.notna()][0])
        raise ValueError(f"{table.where(at, column)}: {stated[at]:g} is no year of adoption.")
    return stated


def _in_order(units: pd.Series, when: pd.Series) -> pd.Index:
    """Rows by unit and period; numbers by size, text by letters."""
    by = units if units.dtype != object else units.map(unit_text)
    return pd.DataFrame({"unit": by, "time": when}).sort_values(["unit", "time"], kind="stable").index


def _with_variables(panel: pd.DataFrame, study: Study, table: Table, order: pd.Index) -> tuple[pd.DataFrame, list[str]]:
    """The panel with each variable filled, logged and winsorised in this order, and the columns they are drawn from."""
    assert study.panel is not None
    made: dict[str, Any] = {}
    _refuse_alike(table, [*panel.columns, *study.panel.words], [variable.name for variable in study.variables])
    back = {inside: own for own, inside in study.panel.aliases.items()}
    for variable in study.variables:
        name = back.get(variable.name, variable.name)
        measured = table.numbers(variable.source)[order].set_axis(panel.index)
        values = steps(panel, study.panel, measured, variable).final
        made[name] = values
        if variable.interpolate != "none":
            made[f"{name}{indices.IMPUTED}"] = measured.isna() & values.notna()
    sources = list(dict.fromkeys(variable.source for variable in study.variables))
    return pd.concat([panel, pd.DataFrame(made, index=panel.index)], axis=1), sources


def _refuse_alike(table: Table, kept: list[str], variables: list[str]) -> None:
    """Names that differ in capitals alone are one column to a database."""
    seen: dict[str, str] = {}
    for name in [*kept, *variables]:
        if seen.setdefault(name.casefold(), name) != name:
            raise ValueError(
                f"{table.path.name}: the columns {seen[name.casefold()]!r} and {name!r} differ in capitals alone, "
                "which databases take for one; list the variables and give one another name, as in "
                f"{{name: {name}_2, from: {name}}}."
            )


def steps(panel: pd.DataFrame, declared: FilePanel, measured: pd.Series, variable: Variable) -> Steps:
    """What is done to the values of a variable, in its order; ``measured`` stands on the rows of the panel."""
    rows = pd.DataFrame({UNIT: panel[declared.unit], TIME: panel[declared.time], "measured": measured})
    done = told(variable)
    if not measured.notna().any():
        done |= {"interpolate": "none", "winsorize_low": None, "winsorize_high": None}
    return Steps.of(rows, "measured", done)


def told(variable: Variable) -> dict[str, Any]:
    """A variable as the data dictionary has it, for `Steps`."""
    low, high = variable.winsorize or (None, None)
    return {
        **{key: getattr(variable, key) for key in ("interpolate", "max_gap", "scale", "change", "lag", "standardise")},
        "log": variable.log,
        "winsorize_low": low,
        "winsorize_high": high,
    }

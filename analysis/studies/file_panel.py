"""The panel of a study that names a file: its keys, treatment and variables checked, and every row's place kept.

How a file is read is in `table_file`; what a study may say of it, in `spec`. Faults that would make numbers wrong are
refused in a sentence; rows that cannot take part are set aside with one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import indices
from analysis.studies.methods.base import ADOPTION, TIME, UNIT
from analysis.studies.reading import nearest
from analysis.studies.records import FilePanel, Study, Variable
from analysis.studies.table_file import Table, read_table

#: Share of the units that must be Chinese cities for their attributes and the map to join.
CITIES = 0.8
#: Columns that a panel gets where its units are Chinese cities: the first that the file does not have itself.
PLACE = ("city_code", "gb2260_code", "roster_code")
#: Periods that a time column may hold: years, or numbers of periods.
EARLIEST, LATEST = -9999, 9999
_YEAR = re.compile(r"(\d{4})(?:\.0)?\s*(?:年|年度)?")
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


def places(reference: Path) -> dict[str, str]:
    """Every code and name that stands for one city of the roster -> its six-digit code, from data/reference."""
    roster = {row["city_code"]: row["name_zh"] for row in _rows(reference / "cities.csv")}
    found: dict[str, set[str]] = {}
    for code, name in roster.items():
        for text in (code, code[:4], f"{code}000000", name, name.removesuffix("市")):
            found.setdefault(text, set()).add(code)
    listed = reference / "city_names.csv"
    for row in _rows(listed) if listed.exists() else ():
        found.setdefault(row["name_or_code"], set()).add(row["city_code"])
    return {text: next(iter(codes)) for text, codes in found.items() if len(codes) == 1 and codes <= roster.keys()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def unit_places(table: Table, unit: str, known: Mapping[str, str]) -> tuple[dict[Any, str], str | None]:
    """Value of the unit column -> code of the Chinese city, and the column that told; nothing where most are no cities.

    The unit's own values are tried first, then their labels, then each column of words that names every unit once.
    """
    frame = table.frame
    units = frame[unit].dropna().drop_duplicates()
    texts = {value: unit_text(value) for value in units}
    tries: list[tuple[str, dict[Any, str]]] = [(unit, texts)]
    labels = table.values.get(unit, {})
    if labels:
        tries.append(
            (
                unit,
                {value: labels.get(float(value), "") for value in units if isinstance(value, (int, float, np.number))},
            )
        )
    for column in frame.columns:
        if column != unit and frame[column].dtype == object:
            named = frame[[unit, column]].dropna().drop_duplicates()
            if len(named) and not named[unit].duplicated().any() and not named[column].duplicated().any():
                tries.append((str(column), dict(zip(named[unit], named[column].astype(str), strict=True))))
    for column, said in tries:
        codes = {value: known[text.strip()] for value, text in said.items() if text.strip() in known}
        twice = pd.Series(list(codes.values()), dtype=object)
        shared = set(twice[twice.duplicated(keep=False)])
        codes = {value: code for value, code in codes.items() if code not in shared}
        if len(units) and len(codes) >= CITIES * len(units):
            return codes, column
    return {}, None


def unit_text(value: Any) -> str:
    """A unit as text: whole numbers without a point."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def quoted(value: Any) -> str:
    """A cell as a sentence names it."""
    return repr(value) if isinstance(value, str) else f"{value:.15g}" if isinstance(value, float) else str(value)


def periods(table: Table, column: str) -> pd.Series:
    """A time column as whole numbers, missing where it is blank.

    Years may be numbers, text such as 2008年, or dates; other whole numbers count periods.

    Raises
    ------
    ValueError
        Naming the first cell that is no period, or a column whose numbers are months.
    """
    held = table.frame[column]
    if pd.api.types.is_datetime64_any_dtype(held):
        return held.dt.year.astype("float64")
    if held.dtype == object:
        read = [None if value is None else _YEAR.fullmatch(str(value)) for value in held]
        values = pd.Series([np.nan if found is None else float(found[1]) for found in read])
    else:
        values = held.astype("float64")
    wrong = (values.isna() & held.notna()) | (values.notna() & (values != np.floor(values)))
    months = values.between(190_001, 210_012) & (values % 100).between(1, 12)
    if months.any() and months.sum() == values.notna().sum():
        raise ValueError(
            f"{table.path.name}, column {column!r}: {values.iloc[0]:.0f} and the others are months; event time needs "
            "periods one apart, so number the months 1, 2, 3 … in a column of their own."
        )
    wrong |= values.notna() & ~values.between(EARLIEST, LATEST)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{table.where(at, column)}: {quoted(held.iloc[at])} is no year, as in 2013.")
    return values


def column_of(table: Table, name: str, what: str) -> str:
    """A column of the file by its name; a ValueError names the nearest one."""
    names = [str(column) for column in table.frame.columns]
    if name not in names:
        near = nearest(name, names)
        listed = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
        hint = f"; the nearest is {near!r}" if near else f"; it has {listed}"
        raise ValueError(f"{name!r} is no column of {table.path.name}, which {what} should be{hint}.")
    return name


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


def keyed(study: Study, panel: pd.DataFrame) -> pd.DataFrame:
    """The panel under the names by which studies are estimated; a panel of the warehouse has them already.

    Units that are Chinese cities get their code, so that attributes and borders join; others are text as they are.
    """
    declared = study.panel
    if declared is None or declared.unit not in panel.columns:
        return panel
    units = pd.Series([unit_text(value) for value in panel[declared.unit]], index=panel.index, dtype=object)
    if declared.place and declared.place in panel.columns:
        units = panel[declared.place].where(panel[declared.place].notna(), units)
    renamed = panel.drop(columns=[c for c in (declared.unit, declared.place) if c in panel.columns])
    renamed = renamed.rename(columns={**declared.aliases, declared.time: TIME})
    renamed.insert(0, UNIT, units.astype(str))
    return renamed


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
        filled = _filled(panel, study.panel, measured, variable)
        values = np.log(filled.where(filled > 0)) if variable.log else filled
        if variable.winsorize and values.notna().any():
            held = values.to_numpy()
            low, high = (indices.percentile(held, round(share * 100, 9)) for share in variable.winsorize)
            values = values.clip(low, high)
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


def _filled(panel: pd.DataFrame, declared: FilePanel, measured: pd.Series, variable: Variable) -> pd.Series:
    if variable.interpolate == "none" or not measured.notna().any():
        return measured
    rows = panel[[declared.unit, declared.time]].assign(**{"": measured})
    options: dict[str, Any] = {"method": variable.interpolate, "max_gap": variable.max_gap}
    return indices.interpolate(rows, [""], unit=declared.unit, time=declared.time, **options)[""]


def measurable(table: Table, without: Collection[str | None]) -> list[str]:
    """Columns of numbers, in the file's order: what `variables: all` stands for."""
    return [
        str(c)
        for c in table.frame.columns
        if c not in without and table.is_number(str(c)) and table.frame[c].notna().any()
    ]


def worded(table: Table, without: Collection[str | None]) -> list[str]:
    """Columns of words, in the file's order: they come along as what rows can be grouped and selected by."""
    return [
        str(c)
        for c in table.frame.columns
        if c not in without and table.frame[c].dtype == object and not table.is_number(str(c))
    ]

"""A first draft of a study from the file of an assembled panel: which columns are keys, treatment and outcome.

A guess that could be another is said, beside what was chosen; what a study may say is decided in `spec`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.studies.file_panel import measurable, periods, unit_places, unit_text
from analysis.studies.table_file import Table

#: What columns are often called, the surest first.
TIME = (r"^(year|years|yr|年份|年度|年)$", r"year|年|time|date|period|时间|日期|期", r"^t$")
UNIT = (
    r"(city|county|prov|firm|stock|region|area|unit|panel|comp).*(id|code|cd)|^(id|code|stkcd|symbol|cityid)$|代码|编码|证券",
    r"city|county|prov|firm|region|area|unit|bank|school|城市|地区|区县|县|省|市|企业|公司|个体|单位",
    r"id|code|序号",
)
TREATMENT = (
    r"^(did|treated|treatment|treat_?post|treat_?x_?post|policy|政策变量|处理变量|双重差分)$",
    r"did|双重差分",
    r"treat|policy|pilot|reform|试点|政策|处理|改革",
    r"post|event|dummy|^d$",
)
ADOPTION = (
    r"(adopt|treat|event|pilot|policy|reform|first).*(year|yr|time|date)|(year|yr).*(adopt|treat|event|pilot|policy)",
    r"adopt|first_?treat|gvar|^g$|cohort|试点年|政策年|首次|实施年|批复|设立年",
)
OUTCOME = (r"^(y|lny|ln_?y|outcome|depvar|dep_var|被解释变量|因变量|结果变量)$", r"^y[_0-9]|outcome|被解释|因变量")
#: How many columns a sentence lists.
LISTED = 8


@dataclass(frozen=True)
class Draft:
    """What a file seems to be.

    Attributes
    ----------
    unit, time : its keys.
    treatment, adoption : its 0/1 column, or the one with the first treated year; the other is None.
    outcome : what the study is about.
    candidates : columns from which controls may be chosen.
    left_out : column -> why it cannot be a variable.
    unsure : what was chosen where something else could be meant, one sentence each.
    facts : units and periods, in words.
    """

    unit: str
    time: str
    treatment: str | None
    adoption: str | None
    outcome: str
    candidates: tuple[str, ...]
    left_out: Mapping[str, str]
    unsure: tuple[str, ...]
    facts: str


def guess(table: Table, places: Mapping[str, str]) -> Draft:
    """Read a panel's keys, treatment and outcome off its columns.

    Parameters
    ----------
    places
        Code or name -> code of the Chinese city, as `file_panel.places` returns it.

    Raises
    ------
    ValueError
        In one sentence: no column of periods, none that tells the rows of one period apart, none that can be the
        treatment, none that can be the outcome.
    """
    unsure: list[str] = []
    unit, time, when = _keys(table, places, unsure)
    treatment, adoption = _treatment(table, unit, when, {unit, time}, unsure)
    measured, left_out = _measured(table, {unit, time, treatment, adoption})
    candidates = _varying(table, unit, when, measured, adoption)
    if not candidates:
        raise ValueError(f"{table.path.name}: no column of numbers that change over time is left to be the outcome.")
    outcome = _outcome(table, candidates, unsure)
    if "adoption" in table.frame.columns and adoption != "adoption":
        left_out["adoption"] = "the panel's own column of first treated years takes its name"
    units = table.frame[unit].nunique()
    codes, told = unit_places(table, unit, places)
    facts = f"{units:,} units, {int(when.min())}-{int(when.max())}, {len(table.frame):,} rows"
    if codes:
        facts += f"; {len(codes):,} units are cities of China, by {told!r}"
    others = tuple(name for name in candidates if name != outcome)
    return Draft(unit, time, treatment, adoption, outcome, others, left_out, tuple(unsure), facts)


def written(name: str, title: str, file: str, draft: Draft, table: Table) -> str:
    """The YAML of a draft, with a comment wherever something else could be meant."""
    panel = {"file": file, "unit": draft.unit, "time": draft.time}
    panel |= {"treatment": draft.treatment} if draft.treatment else {"adoption": draft.adoption or ""}
    variables = "all"
    if draft.left_out:
        kept = [name for name in _numbers(table, draft) if name not in draft.left_out]
        variables = f"[{', '.join(map(_quoted, kept))}]"
    lines = [
        "# yaml-language-server: $schema=../schema/study.json",
        f"# A draft from {file}: {draft.facts}.",
        f"# Check what it guessed, then: pilotcity check {name}, pilotcity run --studies {name}",
        *(f"# Unsure: {sentence}" for sentence in draft.unsure),
        "",
        f"study: {name}",
        f"title: {{en: {_quoted(title)}, zh: {_quoted(title)}}}   # shown on every page: what was done to whom",
        "",
        "# The file lies in the own folder. `treatment` is a column of 0 and 1; `adoption` in its place would be the",
        "# one with the first treated year (blank or 0: never).",
        f"panel: {{{', '.join(f'{key}: {_quoted(value)}' for key, value in panel.items())}}}",
        "# sample: {years: [2006, 2020], exclude: []}     # fewer years; units to leave out",
        "",
        "# all columns of numbers, or a list of them: plain names, or {name: ln_x, from: x, log: true}",
        *(f"# Left out: {column!r}, {why}" for column, why in draft.left_out.items()),
        f"variables: {variables}",
        "",
        f"outcomes: [{_quoted(draft.outcome)}]",
        "# Controls are the researcher's choice. Columns that change over time:",
        *(f"#   {line}" for line in _wrapped(draft.candidates)),
        "controls: []",
        "fixed_effects: [unit, time]",
        "cluster: unit",
        "",
        "# Descriptive statistics, baseline, event study, placebo, decomposition, robust estimators. Written out, each",
        "# of them can be changed, and others added.",
        "exhibits: standard",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_\u4e00-\u9fff][\w./\u4e00-\u9fff-]*", text) is not None
    words = {"y", "n", "yes", "no", "true", "false", "on", "off", "null", "all", "standard"}
    return text if plain and text.lower() not in words else json.dumps(text, ensure_ascii=False)


def _wrapped(names: tuple[str, ...], width: int = 100) -> list[str]:
    lines, line = [], ""
    for name in names:
        if line and len(line) + len(name) > width:
            lines.append(line)
            line = ""
        line += f"{', ' if line else ''}{name}"
    return [*lines, line] if line else lines


def _numbers(table: Table, draft: Draft) -> list[str]:
    return measurable(table, (draft.unit, draft.time, draft.treatment, draft.adoption, "adoption"))


def _rank(name: str, patterns: tuple[str, ...], label: str = "") -> int:
    """How early a name or label is among the usual ones."""
    texts = [name.lower(), label.lower()]
    found = [at for at, pattern in enumerate(patterns) if any(re.search(pattern, text) for text in texts if text)]
    return found[0] if found else len(patterns)


def _ranked(table: Table, columns: list[str], patterns: tuple[str, ...]) -> list[str]:
    """Columns by how usual their names are; the first of the file first."""
    return sorted(columns, key=lambda name: _rank(name, patterns, table.labels.get(name, "")))


def _keys(table: Table, places: Mapping[str, str], unsure: list[str]) -> tuple[str, str, pd.Series]:
    """The unit's and the time's column, and the periods."""
    times = {}
    for column in map(str, table.frame.columns):
        when = _periods(table, column)
        if when is not None:
            times[column] = when
    if not times:
        raise ValueError(
            f"{table.path.name}: no column holds years (whole numbers such as 2013, text such as 2013年, or dates), so "
            "that it is no panel; name or add one."
        )
    ordered = _ranked(table, list(times), TIME)
    for time in ordered:
        units = _units(table, time, times[time], places)
        if units:
            others = [name for name in units[1:] if not _same(table, units[0], name)]
            if others:
                unsure.append(f"the unit is {units[0]!r}; {_listed(others)} would tell the rows of a year apart too.")
            if len(table.frame) and [name for name in ordered if _rank(name, TIME) == _rank(time, TIME)][1:]:
                alike = [n for n in ordered if n != time and _rank(n, TIME) == _rank(time, TIME)]
                unsure.append(f"the time is {time!r}; {_listed(alike)} holds years as well.")
            return units[0], time, times[time]
    time = ordered[0]
    raise ValueError(f"{table.path.name}: no column tells the rows of one {time!r} apart{_nearly(table, times[time])}")


def _periods(table: Table, column: str) -> pd.Series | None:
    """A column as periods, or None where it is none: too few, or no whole numbers of a plausible size."""
    try:
        when = periods(table, column)
    except ValueError:
        return None
    known = when.dropna()
    named = _rank(column, TIME) < len(TIME)
    years = len(known) > 0 and bool(known.between(1900, 2100).all())
    counted = named and len(known) > 0 and bool(known.between(0, 500).all())
    enough = known.nunique() > 1 and len(known) >= 0.9 * len(when) and known.nunique() < len(known)
    return when if (years or counted) and enough else None


def _units(table: Table, time: str, when: pd.Series, places: Mapping[str, str]) -> list[str]:
    """Columns that with the time tell all rows apart, the likeliest first."""
    found = []
    for column in map(str, table.frame.columns):
        held = table.frame[column]
        count = held.nunique()
        whole = (
            held.dtype == object or bool((held.dropna() == np.floor(held.dropna().astype(float))).all())
            if (held.dtype == object or pd.api.types.is_numeric_dtype(held))
            else False
        )
        if column == time or not whole or count < 2 or count > len(held) / 1.5 or held.isna().mean() > 0.1:
            continue
        rows = pd.DataFrame({"unit": held, "time": when}).dropna()
        if not rows.duplicated().any() and rows.groupby("unit")["time"].nunique().median() > 1:
            found.append(column)
    place = {column: unit_places(table, column, places) for column in found}

    def order(column: str) -> tuple[bool, bool, int]:
        by_itself = place[column][1] == column
        return not by_itself, table.frame[column].dtype == object, _rank(column, UNIT, table.labels.get(column, ""))

    return sorted(found, key=order)


def _nearly(table: Table, when: pd.Series) -> str:
    """Which column comes closest to telling rows apart, and where it does not."""
    best: tuple[int, str, int] | None = None
    for column in map(str, table.frame.columns):
        if _rank(column, UNIT) == len(UNIT) or table.frame[column].nunique() < 2:
            continue
        twice = pd.DataFrame({"unit": table.frame[column], "time": when}).dropna().duplicated()
        if twice.any() and (best is None or int(twice.sum()) < best[0]):
            best = int(twice.sum()), column, int(np.flatnonzero(twice.reindex(table.frame.index, fill_value=False))[0])
    if best is None:
        return "; a panel needs a column that names the unit."
    count, column, at = best
    value = unit_text(table.frame[column].iloc[at])
    where = f"stands twice in one period ({count:,} such rows), first in row {at + table.first}"
    return f"; {column!r} comes closest, but {value} {where}."


def _same(table: Table, one: str, other: str) -> bool:
    """Whether two columns name the same units."""
    pairs = table.frame[[one, other]].dropna().drop_duplicates()
    return not pairs[one].duplicated().any() and not pairs[other].duplicated().any()


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:LISTED]))
    return f"{shown} and others" if len(names) > LISTED else shown


def _treatment(
    table: Table, unit: str, when: pd.Series, keys: set[str], unsure: list[str]
) -> tuple[str | None, str | None]:
    """The 0/1 column, or else the one with the first treated year."""
    binary, ending = _binary(table, unit, when, keys)
    ordered = _ranked(table, binary, TREATMENT)
    stated = _ranked(table, _stated(table, unit, when, keys), ADOPTION)
    named = [name for name in stated if _rank(name, ADOPTION, table.labels.get(name, "")) < len(ADOPTION)]
    usual = [name for name in ordered if _rank(name, TREATMENT, table.labels.get(name, "")) < len(TREATMENT)]
    if usual or (ordered and not named):
        best = ordered[0]
        if len(ordered) > 1:
            unsure.append(f"the treatment is {best!r}; {_listed(ordered[1:])} could be one as well.")
        elif not usual:
            unsure.append(
                f"the treatment is {best!r}, the only column of 0 and 1 that begins at some time in some units."
            )
        return best, None
    if named:
        if len(named) > 1:
            unsure.append(f"the first treated year is {named[0]!r}; {_listed(named[1:])} could be it as well.")
        return None, named[0]
    ends = f" {_listed(ending)} begins and ends again, which estimators here do not take." if ending else ""
    raise ValueError(
        f"{table.path.name}: no column can be the treatment: 0 and 1, beginning at some time in some units and not in "
        f"all, or the first treated year of each unit.{ends} Add such a column."
    )


def _binary(table: Table, unit: str, when: pd.Series, keys: set[str]) -> tuple[list[str], list[str]]:
    """Columns of 0 and 1 that begin in some units while others are 0, and those of them that end again."""
    found: list[str] = []
    ending: list[str] = []
    units = table.frame[unit]
    for column in map(str, table.frame.columns):
        if column in keys or not table.is_number(column):
            continue
        values = pd.to_numeric(table.frame[column], errors="coerce")
        known = values.dropna()
        if set(known.unique()) != {0.0, 1.0} or len(known) < 0.9 * len(values):
            continue
        varies = values.groupby(units).nunique().gt(1).any()
        differs = values.groupby(when).nunique().gt(1).any()
        if not (varies and differs):
            continue
        began = when.where(values == 1).groupby(units).transform("min")
        (ending if bool(((values == 0) & (when > began)).any()) else found).append(column)
    return found, ending


def _stated(table: Table, unit: str, when: pd.Series, keys: set[str]) -> list[str]:
    """Columns that do not change within a unit and hold years of the sample, for some units none."""
    found = []
    units = table.frame[unit]
    for column in map(str, table.frame.columns):
        if column in keys:
            continue
        try:
            years = periods(table, column)
        except ValueError:
            continue
        years = years.where(years != 0)
        inside = years.between(when.min() + 1, when.max())
        constant = years.fillna(-1).groupby(units).nunique().le(1).all()
        if constant and inside.any() and not inside.all() and years.dropna().between(1900, 2100).all():
            found.append(column)
    return found


def _measured(table: Table, without: set[str | None]) -> tuple[list[str], dict[str, str]]:
    """Columns of numbers, and those that cannot be variables, with why."""
    kept: list[str] = []
    left: dict[str, str] = {}
    seen = {str(name).casefold(): str(name) for name in without if name}
    for column in measurable(table, [*without, "adoption"]):
        try:
            table.numbers(column)
        except ValueError as error:
            left[column] = str(error)
            continue
        if seen.setdefault(column.casefold(), column) != column:
            left[column] = f"{seen[column.casefold()]!r} is the same name but for capitals"
            continue
        kept.append(column)
    return kept, left


def _varying(table: Table, unit: str, when: pd.Series, columns: list[str], adoption: str | None) -> list[str]:
    """Columns with more than two values that change over time within units and are no periods or numbers of rows."""
    found = []
    for column in columns:
        values = table.numbers(column)
        if values.nunique() < 3 or not values.groupby(table.frame[unit]).nunique().gt(1).any():
            continue
        if values.nunique() == len(values) and bool((values.diff().dropna() == 1).all()):
            continue  # numbers of rows
        if not values.groupby(when).nunique().gt(1).any():
            continue  # the same in all units of a period
        found.append(column)
    return found


def _outcome(table: Table, candidates: list[str], unsure: list[str]) -> str:
    ordered = _ranked(table, candidates, OUTCOME)
    best = ordered[0]
    if _rank(best, OUTCOME, table.labels.get(best, "")) == len(OUTCOME) and len(ordered) > 1:
        said = "the first column of numbers that change over time"
        unsure.append(f"the outcome is {best!r}, {said}; name the one the study is about.")
    return best

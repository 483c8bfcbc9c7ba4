"""The steps from a column of city_year to a variable of a panel, as `analysis.indices` takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import indices
from analysis.lineage.evidence import Row
from analysis.lineage.formula import number
from analysis.results import CannotEstimate


@dataclass(frozen=True)
class Steps:
    """A whole variable on its way into a panel, the steps in their order.

    Attributes
    ----------
    variable : its row of the data dictionary.
    rows : city_code and year of the panel's rows; the others hold a value for each.
    measured, filled, scaled, changed, lagged, cut, final : its values after each step.
    limits : the two values between which it is winsorised, or None.
    """

    variable: Row
    rows: pd.DataFrame
    measured: pd.Series
    filled: pd.Series
    scaled: pd.Series
    changed: pd.Series
    lagged: pd.Series
    cut: pd.Series
    final: pd.Series
    limits: tuple[float, float] | None

    @classmethod
    def of(cls, rows: pd.DataFrame, source: str, variable: Row, parts: Sequence[str] = ()) -> Steps:
        """The steps that the data dictionary states.

        ``rows`` are the panel's, with city_code, year and ``source``; an entropy index is built anew from ``parts``.
        """
        measured = rows[source]
        columns = _filled(rows, list(parts) or [source], variable["interpolate"], longest(variable))
        filled: pd.Series = entropy(columns, parts) if parts else columns[source]
        scaled = SCALES[scale(variable)](filled)
        before = earlier(rows, scaled, 1)
        match variable.get("change") or "none":
            case "difference":
                changed = scaled - before
            case "growth":
                changed = scaled / before.where(before != 0) - 1
            case _:
                changed = scaled
        lagged = earlier(rows, changed, lag(variable)) if lag(variable) else changed
        limits, cut = None, lagged
        if variable["winsorize_low"] is not None:
            shares = variable["winsorize_low"], variable["winsorize_high"]
            low, high = (indices.percentile(lagged.to_numpy(), round(share * 100, 9)) for share in shares)
            limits, cut = (low, high), lagged.clip(low, high)
        final = (cut - cut.mean()) / cut.std() if variable.get("standardise") else cut
        keys = rows[["city_code", "year"]]
        return cls(variable, keys, measured, filled, scaled, changed, lagged, cut, final, limits)

    def behind(self, at: int) -> list[int]:
        """The rows whose measured values make the value of one: another year where it is lagged, two of a change."""
        changes = (self.variable.get("change") or "none") != "none"
        return [row for back in range(1 + changes) for row in self._earlier(at, lag(self.variable) + back)]

    def imputed(self, at: int) -> bool:
        """Whether a value behind a row's was filled in."""
        gap = any(pd.isna(self.measured.iloc[row]) for row in self.behind(at))
        return bool(gap and pd.notna(self.lagged.iloc[at]))

    def winsorised(self, at: int) -> bool:
        """Whether a row's value was moved to a limit."""
        return bool(pd.notna(self.lagged.iloc[at]) and self.cut.iloc[at] != self.lagged.iloc[at])

    def lines(self, at: int) -> list[str]:
        """What was done to one row's value, once it was there."""
        done = []
        rows, year = self.behind(at), int(self.rows["year"].iloc[at])
        years = [int(self.rows["year"].iloc[row]) for row in rows]
        values = [number(self.scaled.iloc[row]) for row in rows]
        if scale(self.variable) in SYMBOLS:
            name, symbol = SYMBOLS[scale(self.variable)]
            for row, when, value in zip(rows, years, values, strict=True):
                of = "" if when == year else f" of {when}"
                done.append(f"{name}{of}: {symbol.format(number(self.filled.iloc[row]))} = {value}")
        change = self.variable.get("change") or "none"
        if change != "none" and len(rows) == 2:
            steps = {"difference": "{} of {} less {} of {}", "growth": "{} of {} over {} of {}, less 1"}[change]
            said = steps.format(values[0], years[0], values[1], years[1])
            done.append(f"{change}: {said} = {number(self.changed.iloc[rows[0]])}")
        if lag(self.variable):
            back = lag(self.variable)
            done.append(f"lagged: the value of {back} year{'s' * (back > 1)} before, {year - back}")
        if self.limits:
            shares = " and ".join(f"{self.variable[f'winsorize_{end}'] * 100:g}%" for end in ("low", "high"))
            between = " and ".join(number(limit) for limit in self.limits)
            moved = f"moved from {number(self.lagged.iloc[at])}" if self.winsorised(at) else "unchanged"
            done.append(f"winsorised at {shares} of all rows, {between}: {moved}")
        if self.variable.get("standardise"):
            mean, deviation = number(self.cut.mean()), number(self.cut.std())
            said = f"({number(self.cut.iloc[at])} - {mean}) / {deviation} = {number(self.final.iloc[at])}"
            done.append(f"standardised over all rows: {said}")
        return done

    def _earlier(self, at: int, years: int) -> list[int]:
        city, year = self.rows.iloc[at]
        there = self.rows["city_code"].eq(city) & self.rows["year"].eq(year - years)
        return [int(row) for row in np.flatnonzero(there)]


#: How a variable is scaled -> its values then.
SCALES: dict[str, Callable[[pd.Series], pd.Series]] = {
    "none": lambda x: x,
    "log": lambda x: np.log(x.where(x > 0)),
    "log1p": lambda x: np.log1p(x.where(x > -1)),
    "asinh": np.arcsinh,
}
#: How a variable is scaled -> what that is called, and how it is written.
SYMBOLS = {
    "log": ("logged", "ln {}"),
    "log1p": ("logged, one added", "ln(1 + {})"),
    "asinh": ("inverse hyperbolic sine", "asinh {}"),
}


def scale(variable: Row) -> str:
    """How a variable is scaled; publications of earlier versions say only whether it is logged."""
    return variable.get("scale") or ("log" if variable["log"] else "none")


def lag(variable: Row) -> int:
    """By how many years a variable is lagged."""
    return int(variable.get("lag") or 0)


def earlier(rows: pd.DataFrame, values: pd.Series, years: int) -> pd.Series:
    """For each row the value of the same city so many years before, missing where there is no such row."""
    held = values.set_axis(pd.MultiIndex.from_arrays([rows["city_code"], rows["year"]]))
    wanted = pd.MultiIndex.from_arrays([rows["city_code"], rows["year"] - years])
    return pd.Series(held.reindex(wanted).to_numpy(), index=values.index)


def longest(variable: Row) -> int | None:
    """The longest gap in years that is filled; None for any."""
    held = variable.get("max_gap")
    return None if held is None or pd.isna(held) else int(held)


def _filled(rows: pd.DataFrame, columns: list[str], method: str, max_gap: int | None) -> pd.DataFrame:
    if method == "none":
        return rows[columns]
    return indices.interpolate(rows, columns, unit="city_code", time="year", method=method, max_gap=max_gap)[columns]


def entropy(columns: pd.DataFrame, parts: Sequence[str]) -> pd.Series:
    """The entropy index of some columns; missing where they give none, as the warehouse has it."""
    try:
        return indices.entropy_index(columns, parts)
    except CannotEstimate:
        return pd.Series(math.nan, index=columns.index)


def weighted(rows: pd.DataFrame, parts: Sequence[str], method: str = "none", max_gap: int | None = None) -> str:
    """A line that says how an entropy index weighs its parts over some rows."""
    try:
        weights = indices.entropy_weights(_filled(rows, list(parts), method, max_gap), parts)
    except CannotEstimate as error:
        return f"no entropy index over {len(rows):,} rows: {error}"
    told = ", ".join(f"{part} {number(weight)}" for part, weight in weights.items())
    return f"entropy index over {len(rows):,} rows, weights {told}"


def neighbours(known: Sequence[int], year: int, max_gap: int | None = None) -> list[int]:
    """The nearest years with a value before and after; none unless both are there, and near enough."""
    before = [t for t in known if t < year]
    after = [t for t in known if t > year]
    if not before or not after or (max_gap is not None and min(after) - max(before) - 1 > max_gap):
        return []
    return [max(before), min(after)]


def between(method: str, year: int, around: Sequence[int], values: Sequence[float]) -> float:
    """What fills a gap, from the two values around it: on the line between them, or their mean."""
    (t0, t1), (x0, x1) = around, values
    return x0 + (x1 - x0) * (year - t0) / (t1 - t0) if method == "linear" else (x0 + x1) / 2


def filled_in(name: str, year: int, around: Sequence[int], method: str) -> str:
    """A line that says how a gap was filled."""
    how = "on the line between" if method == "linear" else "the mean of"
    return f"filled in: {name} has no value in {year}; {how} {around[0]} and {around[1]}"


def differs(published: float, computed: float, tolerance: float = 1e-9) -> list[str]:
    """A line where a value cannot be reproduced."""
    same = math.isnan(published) and math.isnan(computed)
    if same or abs(published - computed) <= tolerance * max(abs(published), abs(computed)):
        return []
    return [f"NOT REPRODUCED: these steps give {computed!r}, published is {published!r}"]

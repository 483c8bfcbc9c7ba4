"""The steps from a column of city_year to a variable of a panel, as `analysis.indices` takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import indices
from analysis.lineage.evidence import Row
from analysis.lineage.formula import number
from analysis.results import CannotEstimate


@dataclass(frozen=True)
class Steps:
    """A whole variable on its way into a panel.

    Attributes
    ----------
    variable : its row of the data dictionary.
    measured, filled, logged, final : its values after each step, one a row of the panel.
    limits : the two values between which it is winsorised, or None.
    """

    variable: Row
    measured: pd.Series
    filled: pd.Series
    logged: pd.Series
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
        logged = np.log(filled.where(filled > 0)) if variable["log"] else filled
        limits, final = None, logged
        if variable["winsorize_low"] is not None:
            shares = variable["winsorize_low"], variable["winsorize_high"]
            low, high = (indices.percentile(logged.to_numpy(), round(share * 100, 9)) for share in shares)
            limits, final = (low, high), logged.clip(low, high)
        return cls(variable, measured, filled, logged, final, limits)

    def imputed(self, at: int) -> bool:
        """Whether a row's value was filled in."""
        return bool(pd.isna(self.measured.iloc[at]) and pd.notna(self.logged.iloc[at]))

    def winsorised(self, at: int) -> bool:
        """Whether a row's value was moved to a limit."""
        return bool(pd.notna(self.logged.iloc[at]) and self.final.iloc[at] != self.logged.iloc[at])

    def lines(self, at: int) -> list[str]:
        """What was done to one row's value, once it was there."""
        done = []
        logged = number(self.logged.iloc[at])
        if self.variable["log"]:
            done.append(f"logged: ln {number(self.filled.iloc[at])} = {logged}")
        if self.limits:
            shares = " and ".join(f"{self.variable[f'winsorize_{end}'] * 100:g}%" for end in ("low", "high"))
            between = " and ".join(number(limit) for limit in self.limits)
            moved = f"moved from {logged}" if self.winsorised(at) else "unchanged"
            done.append(f"winsorised at {shares} of all rows, {between}: {moved}")
        return done


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

"""What the panel of a study is under each choice: values filled, winsorised and scaled otherwise, other first years and
other samples. Nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.names import ADOPTION, IMPUTED, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.records import Study, Variable
from analysis.studies.surface.plan import FIRST_YEAR, SAME_YEAR, YEAR_BEFORE, Option

SCALES = ("level", "log", "log1p", "asinh")


@dataclass(frozen=True)
class Data:
    """A study's panel sorted by unit and time, with the attributes of its cities, and what it was made from.

    Attributes
    ----------
    panel : one row a unit and time.
    city_year : panels.city_year, or None where it is not at hand.
    """

    study: Study
    panel: pd.DataFrame
    city_year: pd.DataFrame | None = None

    def column(self, name: str, filling: Option, winsorising: Option) -> pd.Series:
        """A variable, filled and winsorised as the options say.

        Raises
        ------
        CannotEstimate
            Where the panel does not have it, or what it would have to be made from is not at hand.
        """
        if name not in self.panel.columns or self.panel[name].isna().all():
            raise CannotEstimate(f"The panel has no value of {name!r}.")
        variable = next((each for each in self.study.variables if each.name == name), None)
        values = self.panel[name].astype(float)
        if variable is None or variable.role == "group":
            return values
        own = variable.winsorize
        wanted = own if winsorising.value == "stated" else winsorising.value
        bare = own is not None and wanted is None
        if filling.value[0] == "method" and variable.interpolate not in ("none", filling.value[1]):
            values = self._refilled(variable, str(filling.value[1]))
        elif filling.value[0] == "fill" and name not in self.study.outcomes and variable.role != "outcome":
            # a word is a method, a number the longest gap that a straight line may cross
            years = filling.value[1] if isinstance(filling.value[1], int) else variable.max_gap
            method = "linear" if isinstance(filling.value[1], int) else filling.value[1]
            values = self._refilled(replace(variable, max_gap=years), method)
        elif bare:
            values = self._refilled(variable, variable.interpolate)
        elif filling.value[0] in ("measured", "gap"):
            values = values.where(~self._far(name, filling.value[1]))
        if wanted is not None and (wanted != own or filling.value[0] in ("method", "fill")):
            values = winsorised(values, *wanted)
        return values

    def _far(self, name: str, longest: int) -> pd.Series:
        """Rows whose value was filled in over a gap of more than ``longest`` years."""
        flag = f"{name}{IMPUTED}"
        if flag not in self.panel.columns:
            return pd.Series(False, index=self.panel.index)
        filled = self.panel[flag].fillna(0).astype(bool)
        starts = (filled != filled.groupby(self.panel[UNIT]).shift(fill_value=False)) | (
            self.panel[UNIT] != self.panel[UNIT].shift()
        )
        length = filled.groupby(starts.cumsum()).transform("sum")
        return filled & (length > longest)

    def _refilled(self, variable: Variable, method: str) -> pd.Series:
        """The variable from panels.city_year again, its gaps filled by ``method``, tails as they are.

        Where there is no such panel, from the values of this one that were measured.
        """
        from analysis.indices import interpolate

        if variable.formula or variable.change != "none" or variable.lag or variable.standardise:
            raise CannotEstimate(f"{variable.name!r} is made in several steps, which cannot be done otherwise here.")
        keys = self.panel[[UNIT, TIME]]
        if self.city_year is not None and variable.source in self.city_year.columns:
            drawn = self.city_year[[UNIT, TIME, variable.source]].assign(**{UNIT: self.city_year[UNIT].astype(str)})
            level = keys.merge(drawn, on=[UNIT, TIME], how="left", validate="one_to_one")[variable.source].astype(float)
        elif variable.winsorize is None and variable.scale in ("none", "log"):
            measured = (
                self.panel[variable.name].where(~self._far(variable.name, 0)).astype(float).reset_index(drop=True)
            )
            level = pd.Series(np.exp(measured)) if variable.scale == "log" else measured
        else:
            raise CannotEstimate(
                f"{variable.name!r} is winsorised, and panels.city_year is not at hand to make it anew."
            )
        frame = keys.reset_index(drop=True).assign(value=level.to_numpy())
        if method != "none":
            frame["value"] = interpolate(frame, "value", unit=UNIT, time=TIME, method=method, max_gap=variable.max_gap)[
                "value"
            ]
        made = pd.Series(frame["value"].to_numpy(), index=self.panel.index)
        return made if variable.scale == "none" else scaled(made, "level", variable.scale, variable.name)

    def outcome(self, name: str, scale: str, filling: Option, winsorising: Option) -> pd.Series:
        """An outcome in another scale than the study's."""
        values = self.column(name, filling, winsorising)
        if scale == "stated":
            return values
        variable = next((each for each in self.study.variables if each.name == name), None)
        own = "level" if variable is None or variable.scale == "none" else variable.scale
        return scaled(values, own, scale, name)

    def controls(self, names: Collection[str], timing: str, made: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
        """The controls at another time: the value of the year before, or that of a unit's first year times a trend."""
        panel = self.panel
        if timing == SAME_YEAR:
            return {name: made[name] for name in names}
        if timing == YEAR_BEFORE:
            follows = panel[UNIT].eq(panel[UNIT].shift()) & panel[TIME].eq(panel[TIME].shift() + 1)
            return {name: made[name].shift().where(follows) for name in names}
        assert timing == FIRST_YEAR
        trend = panel[TIME] - self.study.years[0]
        return {name: made[name].groupby(panel[UNIT]).transform("first") * trend for name in names}

    def first_years(self, dating: Option) -> pd.Series:
        """Unit -> first treated year under a dating, infinite for never."""
        first = self.panel.groupby(UNIT)[ADOPTION].first().astype(float).fillna(np.inf)
        kind, value = dating.value
        if kind == "shift":
            return first + value
        if kind == "alternative":
            other = pd.Series(dict(value), dtype=float).reindex(first.index)
            return first.where(other.isna() | np.isinf(first), other)
        if kind == "without":
            return first.where(~first.index.isin(list(value)), np.inf)
        return first

    def rows(self, sample: Option) -> np.ndarray:
        """Rows (n,) of the panel that a sample keeps; a balanced one is found once complete rows are known."""
        keep = np.ones(len(self.panel), dtype=bool)
        kind, value = sample.value
        if kind == "without":  # (column, values)
            column, values = value
            if column not in self.panel.columns:
                raise CannotEstimate(f"Units have no {column!r}, so the sample cannot be told.")
            keep = ~self.panel[column].isin(list(values)).to_numpy()
        elif kind == "years":
            keep = self.panel[TIME].between(*value).to_numpy()
        elif kind == "skip":
            keep = ~self.panel[TIME].between(*value).to_numpy()
        elif kind == "own":
            for part in value:
                keep &= self.rows(part)
        elif kind == "among":
            column, values = value
            keep = self.panel[column].isin(list(values)).to_numpy()
        return keep


def winsorised(values: pd.Series, low: float, high: float) -> pd.Series:
    """Values pulled in to two quantiles of all rows; a variable of two values stays as it is."""
    from analysis.indices import percentile

    held = values.to_numpy(dtype=float)
    if values.nunique() <= 2:
        return values
    return values.clip(percentile(held, 100 * low), percentile(held, 100 * high))


def scaled(values: pd.Series, own: str, scale: str, name: str) -> pd.Series:
    """Values in ``own`` scale put into another: both of "level", "log", "log1p", "asinh"."""
    inverse: dict[str, Callable[[pd.Series], pd.Series]] = {
        "level": lambda v: v,
        "log": np.exp,
        "log1p": np.expm1,
        "asinh": np.sinh,
    }
    level = inverse[own](values)
    lowest = float(level.min())
    if scale == "log" and lowest <= 0:
        raise CannotEstimate(f"{name!r} has values of zero or less, which have no logarithm.")
    if scale == "log1p" and lowest <= -1:
        raise CannotEstimate(f"{name!r} has values of -1 or less, of which ln(1 + x) cannot be taken.")
    forward: dict[str, Callable[[pd.Series], pd.Series]] = {"level": lambda v: v, "log": np.log, "log1p": np.log1p}
    return forward.get(scale, np.arcsinh)(level)

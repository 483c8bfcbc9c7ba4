"""What must hold of the panels: keys, coverage, treatment, ranges, adding-up. Blocking rules first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pandas as pd

from expectations.rules import one_of
from expectations.runner import Rule

KEYS = ("city_code", "year")


class Bounds(Protocol):
    """Which values are possible, as the catalogue says; ``said`` is how a sentence on it ends."""

    @property
    def low(self) -> float | None: ...
    @property
    def above(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def blocking(self) -> bool: ...
    @property
    def said(self) -> str: ...


def study_panel(
    *,
    cities: int,
    years: tuple[int, int],
    treatment: str,
    treated: int,
    measured: Sequence[str],
    bounds: Mapping[str, Bounds] | None = None,
) -> list[Rule]:
    """Rules of a study's panel.

    Parameters
    ----------
    cities, years, treated
        How many cities, from which year to which, and how many of them are ever treated.
    treatment
        The 0/1 column.
    measured
        Variables that some source provides: more than a fifth missing is worth a warning.
    bounds
        Variable -> the values that are possible.
    """
    import great_expectations.expectations as gxe

    rules = [
        *_keys(cities, years),
        Rule(f"{treatment} is 0 or 1", gxe.ExpectColumnValuesToBeInSet(column=treatment, value_set=[0, 1])),
        Rule(f"{treatment} is never missing", gxe.ExpectColumnValuesToNotBeNull(column=treatment)),
        Rule(
            f"{treated} cities are ever treated",
            gxe.ExpectColumnSumToBeBetween(column="ever_treated_cities", min_value=treated, max_value=treated),
        ),
        Rule(
            f"{treatment} never ends once it began",
            gxe.ExpectColumnSumToBeBetween(column="treatment_ended", min_value=0, max_value=0),
        ),
    ]
    rules += [_within(column, limits) for column, limits in (bounds or {}).items()]
    for column in measured:
        rules.append(
            Rule(
                f"{column} is missing in at most a fifth of the rows",
                gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=0.8),
                blocking=False,
                advice="Some source covers few of its cities or years; estimates rest on the rows that are left.",
            )
        )
    return rules


def file_panel(*, keys: tuple[str, str], treatment: str, measured: Sequence[str]) -> list[Rule]:
    """Rules of a panel from a file, whose units are whatever the file has.

    Parameters
    ----------
    keys
        The unit's and the time's column.
    treatment
        The 0/1 column.
    measured
        Outcomes and controls: more than a fifth missing is worth a warning.
    """
    import great_expectations.expectations as gxe

    unit, time = keys
    once = gxe.ExpectCompoundColumnsToBeUnique(column_list=list(keys))
    rules = [
        Rule(f"one row for each {unit} and {time}", once),
        Rule(f"{treatment} is 0 or 1", gxe.ExpectColumnValuesToBeInSet(column=treatment, value_set=[0, 1])),
        Rule(f"{treatment} is never missing", gxe.ExpectColumnValuesToNotBeNull(column=treatment)),
        Rule(
            f"{treatment} never ends once it began",
            gxe.ExpectColumnSumToBeBetween(column="treatment_ended", min_value=0, max_value=0),
        ),
        Rule(
            "some unit is treated and some row is not",
            gxe.ExpectColumnMeanToBeBetween(
                column=treatment, min_value=0, max_value=1, strict_min=True, strict_max=True
            ),
        ),
    ]
    return rules + [
        Rule(
            f"{column} is missing in at most a fifth of the rows",
            gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=0.8),
            blocking=False,
            advice="The file has no value there; estimates rest on the rows that are left.",
        )
        for column in measured
    ]


def with_checks(panel: pd.DataFrame, treatment: str, keys: tuple[str, str] = KEYS) -> pd.DataFrame:
    """The panel with the columns that whole-panel rules read: one count a unit, on its first row."""
    unit, _ = keys
    ordered = panel.sort_values(list(keys))
    first = ~ordered[unit].duplicated()
    before = ordered.groupby(unit)[treatment].shift()
    return ordered.assign(
        ever_treated_cities=(first & ordered["adoption"].notna()).astype(int),
        treatment_ended=((before == 1) & (ordered[treatment] == 0)).astype(int),
    )


def with_years(panel: pd.DataFrame) -> pd.DataFrame:
    """The panel with ``cities_of_year``, the rows of each row's year."""
    return panel.assign(cities_of_year=panel.groupby("year")["city_code"].transform("size"))


def city_year(*, cities: int, years: tuple[int, int], bounds: Mapping[str, Bounds]) -> list[Rule]:
    """Rules of panels.city_year."""
    return [*_keys(cities, years), *(_within(column, limits) for column, limits in bounds.items())]


def _keys(cities: int, years: tuple[int, int]) -> list[Rule]:
    import great_expectations.expectations as gxe

    rows = cities * (years[1] - years[0] + 1)
    return [
        Rule("one row a city and year", gxe.ExpectCompoundColumnsToBeUnique(column_list=list(KEYS))),
        Rule(f"{rows} rows", gxe.ExpectTableRowCountToEqual(value=rows)),
        one_of(f"{cities} cities in every year", "cities_of_year", [cities], blocking=True),
        Rule(
            "city codes are six digits",
            gxe.ExpectColumnValuesToMatchRegex(column="city_code", regex=r"^[1-9]\d{5}$"),
        ),
        Rule(
            f"years are {years[0]} to {years[1]}",
            gxe.ExpectColumnValuesToBeBetween(column="year", min_value=years[0], max_value=years[1]),
        ),
    ]


def _within(column: str, bounds: Bounds) -> Rule:
    import great_expectations.expectations as gxe

    least = bounds.low if bounds.above is None else bounds.above
    expected = gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=least, max_value=bounds.high, strict_min=bounds.above is not None
    )
    advice = (
        "" if bounds.blocking else "The whole and the part come from different sources or years: compare their cells."
    )
    return Rule(f"{column} {bounds.said}", expected, blocking=bounds.blocking, advice=advice)

"""What must hold of the panels: keys, coverage, treatment, ranges, adding-up. Blocking rules first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from expectations.rules import one_of
from expectations.runner import Rule

KEYS = ("city_code", "year")
#: Columns of city_year that are shares of a whole.
SHARES = (
    *("industry_share", "secondary_share", "science_share_of_spending", "education_share_of_gdp", "urban_share"),
    "digital_infrastructure",
)


def study_panel(
    *,
    cities: int,
    years: tuple[int, int],
    treatment: str,
    treated: int,
    measured: Sequence[str],
    shares: Sequence[str] = (),
    ranges: Mapping[str, tuple[float, float]] | None = None,
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
    shares
        Variables that are shares of a whole.
    ranges
        Variable -> (low, high) that no true value leaves.
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
    for column in shares:
        rules.append(_between(column, 0, 1, "is a share between 0 and 1", blocking=False))
    for column, (low, high) in (ranges or {}).items():
        rules.append(_between(column, low, high, f"lies between {low:g} and {high:g}"))
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


def city_year(*, cities: int, years: tuple[int, int]) -> list[Rule]:
    """Rules of panels.city_year."""
    import great_expectations.expectations as gxe

    rules = _keys(cities, years)
    rules.append(
        Rule(
            "green patents are counts",
            gxe.ExpectColumnValuesToBeBetween(column="green_patents_granted", min_value=0),
        )
    )
    for column in SHARES:
        rules.append(_between(column, 0, 1, "is a share between 0 and 1", blocking=False))
    for column in ("gdp_10k_yuan", "population_resident_10k", "land_area_km2", "gdp_per_capita_yuan"):
        rules.append(
            Rule(
                f"{column} is above zero",
                gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, strict_min=True),
            )
        )
    return rules


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


def _between(column: str, low: float, high: float, text: str, blocking: bool = True) -> Rule:
    import great_expectations.expectations as gxe

    return Rule(
        f"{column} {text}",
        gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high),
        blocking=blocking,
        advice="" if blocking else "The whole and the part come from different sources or years: compare their cells.",
    )

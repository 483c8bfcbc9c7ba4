"""Errors planted in the sample world's yearbooks, each for one rule, and the ledger that lists them.

Ordinary wear (marks for missing values, numbers as text, former names) is no fault and lives in yearbook.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import pandas as pd

from analysis.simulation.draws import STUDY_YEARS, stream
from analysis.simulation.world import World
from analysis.simulation.yearbook import FIRST_ROW, Page, Value, printed

#: Names that no city of China has had.
UNKNOWN_CITIES = ("云岭新市", "北江口市", "海阔市")
UNREADABLE = ("见附表", "待核实", "1.2.3", "约五百", "12 34a")


@dataclass(frozen=True)
class Fault:
    """One planted fault: where it stands, which rule must catch it, what is written and what should be.

    ``row`` is 1-based; ``column`` A and no ``indicator`` mean the whole row.
    """

    file: str
    sheet: str
    row: int
    column: str
    header: str
    city_code: str
    city: str
    year: int
    indicator: str
    rule: str
    kind: str
    value: str
    true_value: str


@dataclass(frozen=True)
class Planned:
    """A fault before its page exists: kind, city (position), year, indicator, and a number to vary it by."""

    kind: str
    city: int
    year: int
    indicator: str
    variant: int


RULES = {
    "lost_digit": "jump",
    "tenfold": "tenfold",
    "tenth": "tenfold",
    "unknown_city": "unknown_city",
    "unreadable": "not_a_number",
    "copied_row": "duplicate_key",
    "second_version": "conflicting_duplicate",
    "impossible": "out_of_range",
    "district_figure": "jump",
    "other_unit": "out_of_range",
}
#: kind, indicators it is planted in, how many.
PLAN: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("lost_digit", ("population_resident",), 4),
    ("tenfold", ("gdp", "population_resident"), 2),
    ("tenth", ("gdp", "population_resident"), 2),
    ("unknown_city", ("gdp", "deposits", "employees"), 3),
    ("unreadable", ("gdp", "science_expenditure", "trade", "new_firms", "loans"), 5),
    ("copied_row", ("gdp", "fiscal_expenditure"), 2),
    ("second_version", ("employees",), 1),
    ("impossible", ("industrial_value_added", "population_resident", "trade", "deposits"), 4),
    ("district_figure", ("population_resident",), 2),
    ("other_unit", ("gdp", "deposits"), 2),
)


def plan(world: World) -> list[Planned]:
    """Choose a city and a year for every fault: distinct study cities, years with neighbours on both sides."""
    rng = stream(world.seed, "faults")
    free = np.flatnonzero(world.cities["sample"].to_numpy() & np.isnan(world.adoption))
    free = rng.permutation(free)
    people, districts = (world.indicators[f"population_{which}"] for which in ("resident", "urban_district"))
    planned = []
    for kind, indicators, count in PLAN:
        for i in range(count):
            year = int(rng.integers(STUDY_YEARS[0] + 1, STUDY_YEARS[1] - 1))
            fits = np.ones(len(free), dtype=bool)
            whole, district = (values[free, year - int(world.years[0])] for values in (people, districts))
            if kind == "lost_digit":
                # Without its first digit the figure must be far from the years around it, as 666 is from 1,666.
                fits = np.array([float(f"{value:.2f}"[1:]) for value in whole]) < 0.5 * whole
            elif kind == "district_figure":
                fits = (0.2 * whole < district) & (district < 0.5 * whole)
            if not fits.any():
                continue
            city = int(free[np.flatnonzero(fits)[0]])
            free = free[free != city]
            planned.append(Planned(kind, city, year, indicators[i % len(indicators)], i))
    return planned


def plant(world: World, pages: Sequence[Page], file: str, planned: Sequence[Planned]) -> list[Fault]:
    """Put a year's faults into its pages (changed in place) and list them."""
    found = []
    for fault in planned:
        page = next(page for page in pages if fault.indicator in page.position)
        code = str(world.cities.city_code.iloc[fault.city])
        first = page.row_of[code]
        if fault.kind in ("unknown_city", "copied_row", "second_version"):
            added = _extra_row(page, page.body[first], fault)
            found.append(_entry(page, file, fault, added, 0, "" if fault.kind == "unknown_city" else code, ""))
            if fault.kind == "second_version":
                # Nobody can tell which of two versions is right, so the first one stands in the ledger too.
                found.append(_entry(page, file, fault, first, 0, code, ""))
        else:
            meant, at = _meant(world, page, fault), page.position[fault.indicator]
            if fault.kind == "district_figure":
                page.body[first][at] = float(_meant(world, page, replace(fault, indicator="population_urban_district")))
            else:
                page.body[first][at] = _wrong(fault, float(meant))
            found.append(_entry(page, file, fault, first, at, code, meant))
    return found


def _entry(page: Page, file: str, fault: Planned, row: int, at: int, code: str, meant: str) -> Fault:
    """The ledger's line for the cell in row ``row`` of the body and column ``at`` (0: the whole row)."""
    return Fault(
        file=file,
        sheet=page.name,
        row=FIRST_ROW + row,
        column=chr(ord("A") + at),
        header=page.full_header(fault.indicator) if at else "城市",
        city_code=code,
        city=_text(page.body[row][0]),
        year=fault.year,
        indicator=fault.indicator if at else "",
        rule=RULES[fault.kind],
        kind=fault.kind,
        value=_text(page.body[row][at]),
        true_value=meant,
    )


def ledger(faults: Sequence[Fault]) -> pd.DataFrame:
    """All faults as a frame, in order of place; columns as `Fault`."""
    frame = pd.DataFrame([asdict(fault) for fault in faults], columns=[field.name for field in fields(Fault)])
    return frame.sort_values(["file", "sheet", "row", "column"], ignore_index=True)


def by_year(planned: Sequence[Planned]) -> Mapping[int, list[Planned]]:
    """Planned faults by year."""
    years = sorted({fault.year for fault in planned})
    return {year: [fault for fault in planned if fault.year == year] for year in years}


def _meant(world: World, page: Page, fault: Planned) -> str:
    """The right figure in the printed unit."""
    scale = next(column for column in page.columns if fault.indicator in column.names).scale(fault.year)
    value = printed(world.indicators[fault.indicator][fault.city, fault.year - int(world.years[0])], scale)
    return f"{value:.{scale.decimals}f}"


def _text(value: Value) -> str:
    """A cell as a reader shows it: no spaces around, whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _wrong(fault: Planned, value: float) -> Value:
    if fault.kind == "lost_digit":
        return float(f"{value:.2f}"[1:])
    if fault.kind == "other_unit":
        # yuan under a header of 10,000 yuan, or 10,000 yuan under one of 100 million
        return round(value * 1e4, 4)
    if fault.kind == "tenfold":
        return value * 10
    if fault.kind == "tenth":
        return round(value / 10, 4)
    if fault.kind == "unreadable":
        return UNREADABLE[fault.variant % len(UNREADABLE)]
    return -round(value, 2) if fault.variant % 2 == 0 else 9.9e12


def _extra_row(page: Page, row: list[Value], fault: Planned) -> int:
    """Add a row after the last city: an unknown city, a copy, or other figures for the same city; its index."""
    page.body.append(list(row))
    added = page.body[-1]
    if fault.kind == "unknown_city":
        added[0] = UNKNOWN_CITIES[fault.variant % len(UNKNOWN_CITIES)]
    change = {"unknown_city": 0.9, "second_version": 1.015}.get(fault.kind)
    if change:
        added[1:] = [round(cell * change, 4) if isinstance(cell, int | float) else cell for cell in added[1:]]
    return len(page.body) - 1

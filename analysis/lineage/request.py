"""The words of a request to explain a value, checked against what there is; complaints name the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.lineage.evidence import NATION, Published, Read
from analysis.lineage.trace import Trace
from analysis.lineage.tree import Node
from analysis.names import TIME, UNIT


def explain(read: Read, panels: Collection[str], names: pd.DataFrame, request: tuple[str, str, str, int]) -> Node:
    """The tree behind one value.

    Parameters
    ----------
    read
        Reads tables of a publication.
    panels
        The panels that it has, city_year among them.
    names
        data/reference/city_names.csv: ``name_or_code`` and ``city_code``.
    request
        Panel, column, city (code or name) and year.

    Raises
    ------
    ValueError
        A word that there is not, or a name that stands for several cities.
    """
    panel, column, place, year = request
    word(panel, panels, "study")
    rows = read(f"panels.{panel}", [UNIT, TIME], None)
    columns = list(read(f"panels.{panel}", None, [NATION]).columns)
    word(column, [name for name in columns if name not in (UNIT, TIME)], f"column of panels.{panel}")
    cities = read("panels.city_year", ["city_code", "name_zh", "name_en", "province_zh"], None).drop_duplicates()
    city = find_city(place, cities, read("lineage.units", None, None), names)
    label = described(cities[cities["city_code"] == city].to_dict("records")[0], city)
    if city not in set(rows["city_code"]):
        raise ValueError(f"{label} is none of the {rows['city_code'].nunique()} cities of panels.{panel}.")
    if year not in set(rows["year"]):
        raise ValueError(f"panels.{panel} holds the years {rows['year'].min()} to {rows['year'].max()}, not {year}.")
    published = Published(read, city)
    trace = Trace(published)
    node = trace.column(column, year) if panel == "city_year" else trace.panel(panel, column, year)
    lines = tuple(
        f"borders changed in {change['year']}: {change['what']}"
        for change in published.changes
        if change["kind"] in ("borders", "merger") and rows["year"].min() <= change["year"] <= rows["year"].max()
    )
    inputs = (node, *_sources(published, node))
    return Node("value", column, f"{panel}, {label}, {year}", year, lines=lines, inputs=inputs)


def word(given: str, valid: Iterable[str], what: str) -> str:
    """A word that must be one of the valid ones."""
    known = list(valid)
    if given in known:
        return given
    near = difflib.get_close_matches(given, known, n=3, cutoff=0.4)
    hint = f"the nearest: {', '.join(near)}" if near else f"there are {', '.join(known)}"
    raise ValueError(f"There is no {what} {given!r}; {hint}.")


def find_city(given: str, cities: pd.DataFrame, units: pd.DataFrame, names: pd.DataFrame) -> str:
    """The code of the city that a code or name stands for.

    Parameters
    ----------
    cities
        ``city_code``, ``name_zh``, ``name_en``, ``province_zh`` of the roster.
    units
        lineage.units: which other units belong to one of them.
    names
        Every other name and code in use.
    """
    roster = {str(row["city_code"]): row for row in cities.to_dict("records")}
    known = {
        code
        for code, row in roster.items()
        if given in (code, row["name_zh"], row["name_zh"].removesuffix("市")) or given.lower() == row["name_en"].lower()
    }
    if len(known) > 1:
        candidates = " or ".join(described(roster[code], code) for code in sorted(known))
        raise ValueError(f"{given} may be {candidates}: give the Chinese name or the code.")
    if known:
        return known.pop()
    belongs = {str(row["unit_code"]): row for row in units.to_dict("records")}
    others = [str(code) for code in names.loc[names["name_or_code"] == given, "city_code"].unique()]
    for unit in (belongs[code] for code in others if code in belongs):
        code = str(unit["city_code"])
        if unit["treatment"] != "sum":
            return code
        raise ValueError(
            f"{given} joined {described(roster[code], code)} in {unit['changed_in']:.0f}, whose values hold it: "
            "ask for that city."
        )
    if others:
        raise ValueError(f"{given} is no city of the roster of 2021 (297 cities of prefecture level and above).")
    words = [*roster, *cities["name_zh"], *cities["name_en"]]
    near = difflib.get_close_matches(given, words, n=3, cutoff=0.4)
    hint = f"; the nearest: {', '.join(dict.fromkeys(near))}" if near else ""
    raise ValueError(f"No city is called {given!r}{hint}. Give a six-digit code or the Chinese name.")


def described(city: Mapping[Hashable, Any], code: str) -> str:
    """A city as a reader knows it."""
    return f"{city['name_zh']} {city['name_en']} ({code}, {city['province_zh']})"


def _sources(published: Published, node: Node) -> tuple[Node, ...]:
    """The contracts of every file in a tree."""
    used = {str(found.details["source"]) for found in node.walk() if found.details.get("source")}
    rows = []
    for source in sorted(used & published.contracts.keys()):
        row = published.contracts[source]
        title = f"{source}: {row['title_en']} ({row['title_zh']}), {row['publisher']}; data/contracts/{source}.yaml"
        rows.append(Node("source", source, title, details={key: row[key] for key in ("publisher", "licence")}))
    return (Node("sources", "", "sources", inputs=tuple(rows)),) if rows else ()

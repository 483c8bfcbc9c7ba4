"""A publication small enough to read: two cities, a study, cells, records and a gap. No test here."""

from __future__ import annotations

import numpy as np
import pandas as pd

YEARS = range(2006, 2011)
CITIES = {"110000": ("Beijing", "北京市", "east"), "330500": ("Huzhou", "湖州市", "east")}


def _dictionary() -> pd.DataFrame:
    columns = {
        "study": "trial",
        "role": "control",
        "interpolate": "linear",
        "max_gap": None,
        "log": False,
        "scale": "none",
        "change": "none",
        "lag": 0,
        "winsorize_low": None,
        "winsorize_high": None,
        "standardise": False,
        "sources": "city_yearbook",
    }
    made = [
        {
            "column_name": "x",
            "position": 1,
            "label_en": "GDP per head, ln",
            "label_zh": "人均GDP对数",
            "unit": "ln yuan",
        }
        | {"city_year_column": "gdp_per_head", "formula": "gdp / people", "log": True, "scale": "log"},
        {"column_name": "y", "position": 2, "label_en": "Patents", "label_zh": "专利", "unit": "patents"}
        | {"city_year_column": "patents", "formula": "applications", "interpolate": "none"},
        {"study": "city_year", "column_name": "gdp_per_head", "label_en": "GDP per head", "label_zh": "人均GDP"}
        | {"unit": "yuan"},
    ]
    frame = pd.DataFrame([columns | row for row in made])
    return frame.assign(definition="What it is.", position=frame["position"].astype("Int64"))


def tables() -> dict[str, pd.DataFrame]:
    """The tables of the publication by name; GDP of Huzhou has no cell in 2008, and one of its cells was set aside."""
    rows = [(code, year) for code in CITIES for year in YEARS]
    gdp = {key: 1000.0 + 100 * place for place, key in enumerate(rows)}
    people = {key: 10.0 + place for place, key in enumerate(rows)}
    gap = ("330500", 2008)
    head = {key: None if key == gap else gdp[key] / people[key] for key in rows}
    names = {code: dict(zip(("name_en", "name_zh", "region"), own, strict=True)) for code, own in CITIES.items()}
    city_year = pd.DataFrame(
        [
            {"city_code": code, "year": year, **names[code], "province_zh": "省"}
            | {"gdp_per_head": head[code, year], "patents": float(year - 2000)}
            for code, year in rows
        ]
    )
    filled = (head["330500", 2007] + head["330500", 2009]) / 2
    panel = city_year[["city_code", "year"]].assign(adoption=0.0, did=0)
    panel["adoption"] = panel["city_code"].map({"330500": 2009.0})
    panel["did"] = (panel["year"] >= panel["adoption"]).astype(int)
    panel["x"] = np.log(city_year["gdp_per_head"].fillna(filled).astype(float))
    panel["x__imputed"] = city_year["gdp_per_head"].isna()
    panel["y"] = city_year["patents"]
    files = ["yearbook/2006.xlsx", "patents.csv"]
    header = {"source": "city_yearbook", "file": files[0], "sheet": "综合", "unit": "yuan", "definition": None}
    headers = pd.DataFrame(
        [
            {**header, "header_id": 1, "column": "B", "header": "GDP(亿元)", "indicator": "gdp"}
            | {"unit_text": "亿元", "factor": 100.0},
            {**header, "header_id": 2, "column": "C", "header": "人口", "indicator": "people"}
            | {"unit_text": "人", "factor": 1.0},
        ]
    )
    cells = []
    for place, (code, year) in enumerate(rows):
        shared = {"city_code": code, "year": year, "unit_code": code, "row": place + 2, "place": CITIES[code][1]}
        out = (code, year) == gap
        told = (
            {"rule": "jump", "message": "1e9 is ten times its neighbours."} if out else {"rule": None, "message": None}
        )
        value = None if out else gdp[code, year]
        text = "1e9" if out else f"{gdp[code, year] / 100:g}"
        cells += [
            {**shared, **told, "indicator": "gdp", "header_id": 1, "text": text, "value": value, "used": not out},
            {**shared, "rule": None, "message": None, "indicator": "people", "header_id": 2}
            | {"text": f"{people[code, year]:g}", "value": people[code, year], "used": True},
        ]
    nation = [
        {"measure": "patent_applications", "city_code": "100000", "unit_code": "100000", "year": year, "records": 99}
        for year in YEARS
    ]
    own = [
        {"measure": "applications", "city_code": code, "unit_code": code, "year": year, "records": year - 2000}
        for code, year in rows
    ]
    records = pd.DataFrame(nation + own).assign(file=files[1], rule="", first_rows="2, 3", last_row=9)
    formulas = [
        ("indicator", "gdp", "indicator", None, "yuan", "GDP (生产总值)."),
        ("indicator", "people", "indicator", None, "people", "People (人口)."),
        ("intermediate", "applications", "records", "patents", "", "Applications filed."),
        ("panel", "gdp_per_head", "formula", "gdp / people", "yuan", "GDP per head."),
        ("panel", "patents", "formula", "applications", "patents", "Patents."),
    ]
    treated = {"study": "trial", "column_name": "did", "is_treatment": True, "policy": "pilots", "city_code": "330500"}
    treated |= {"adoption": 2009, "adoption_alternative": None, "batch": 1, "scope": "whole city", "counts": True}
    treated |= {"source": "a list", "certainty": "public record", "note": None}
    contract = {"source": "city_yearbook", "kind": "yearbook", "title_en": "Yearbook", "title_zh": "年鉴"}
    scored = pd.DataFrame(columns=["study", "name", "frontier", "specification"])
    return {
        "panels.city_year": city_year,
        "panels.trial": panel,
        "panels.data_dictionary": _dictionary(),
        "panels.caliber_changes": pd.DataFrame(columns=["city_code", "year", "kind", "indicator", "what"]),
        "lineage.cells": pd.DataFrame(cells),
        "lineage.headers": headers,
        "lineage.records": records,
        "lineage.formulas": pd.DataFrame(formulas, columns=["layer", "name", "kind", "formula", "unit", "description"]),
        "lineage.units": pd.DataFrame(
            {"unit_code": list(CITIES), "name": [own[1] for own in CITIES.values()], "city_code": list(CITIES)}
        ).assign(treatment="own", changed_in=None),
        "lineage.committed": pd.DataFrame(columns=["name", "year", "value", "file", "source", "certainty"]),
        "lineage.treatments": pd.DataFrame([treated]),
        "lineage.contracts": pd.DataFrame([contract | {"publisher": "Bureau", "licence": "none", "priority": 1}]),
        "scores.provenance": scored,
        "quality.files": pd.DataFrame({"file": files, "source": ["city_yearbook", "patents"]}),
    }


OUTCOMES = [
    {
        "name": "panels.trial",
        "about": "One row a city and year.",
        "rows": 10,
        "rules": [
            {"rule": "x is at least 4.5", "blocking": False, "passed": False, "observed": "1 of 10 rows"}
            | {"advice": "Look at it.", "broken": 1}
            | {"failing": {"columns": ["city_code", "year", "x"], "data": [["330500", 2008, 4.6]]}},
            {"rule": "one row a city and year", "blocking": True, "passed": True, "observed": "0 of 10 rows"}
            | {"advice": "", "broken": 0, "failing": {"columns": [], "data": []}},
        ],
    },
    {
        "name": "staging.values",
        "about": "One row a source, indicator and year.",
        "rows": 10,
        "rules": [
            {"rule": "at most one value in twenty is set aside", "blocking": True, "passed": False}
            | {"observed": "1 of 10 rows", "advice": "Correct the file.", "broken": 1}
            | {
                "failing": {
                    "columns": ["source", "indicator", "year"],
                    "data": [["city_yearbook", "gdp", 2008]],
                }
            }
        ],
    },
]


def read(found: dict[str, pd.DataFrame]):
    """What `analysis.lineage` reads the same tables with."""

    def rows(table: str, columns, cities) -> pd.DataFrame:
        frame = found[table]
        frame = frame if cities is None else frame[frame["city_code"].isin(list(cities))]
        return frame if columns is None else frame[list(columns)]

    return rows

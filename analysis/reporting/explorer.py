"""What the pages of a city and of a variable are made from: the publication's values and the cells behind them, as
scripts that open from the disk.

One file a city holds its values and cells, one a column its values in every city, and one what all of them share.
The walk from a value to its cells is done by `templates/explore.js`, as `analysis.lineage` does it.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.lineage import formula
from analysis.lineage.evidence import NATION, Row
from analysis.lineage.plain_formula import plain
from analysis.lineage.steps import Steps, longest, weighted
from analysis.names import ADOPTION, IMPUTED, TIME, UNIT
from analysis.reporting.language import Chinese

#: Digits of a value in the pages; the files to take away have all of them.
DIGITS = 9
#: Columns of a city or of a panel's keys, which are no series.
KEYS = (UNIT, TIME, "name_zh", "name_en", "province_zh", "region", "province_code", "province_en")
FOLDER = "trace"

#: Tables of a publication by name, such as ``lineage.cells``.
Tables = Mapping[str, pd.DataFrame]


def write(output: Path, tables: Tables, words: Chinese, *, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Write trace/shared.js, trace/cities/<code>.js and trace/columns/<panel>.<column>.js into ``output``.

    ``without`` are panels that come from files: no cell of the warehouse is behind them.

    Returns
    -------
    dict
        Panel -> its columns that have a page.
    """
    folder = output / FOLDER
    (folder / "cities").mkdir(parents=True, exist_ok=True)
    (folder / "columns").mkdir(exist_ok=True)
    panels = {name: _ordered(tables[f"panels.{name}"]) for name in _panels(tables, without)}
    columns = {name: _series(frame) for name, frame in panels.items()}
    files = sorted({*tables["lineage.headers"]["file"], *tables["lineage.records"]["file"]})
    placed = {file: place for place, file in enumerate(files)}
    script(folder / "shared.js", "shared", _shared(tables, panels, columns, files, words))
    for name, frame in panels.items():
        for column in columns[name]:
            _packed(folder / "columns" / f"{name}.{column}.js", "column", f"{name}.{column}", _column(frame, column))
    cities = _by_city(tables, panels, columns, placed)
    for code, values in cities.items():
        _packed(folder / "cities" / f"{code}.js", "city", code, values)
    return columns


def _series(frame: pd.DataFrame) -> list[str]:
    """The columns of a panel that have a page."""
    return [name for name in map(str, frame.columns) if name not in KEYS and not name.endswith(IMPUTED)]


def _panels(tables: Tables, without: Collection[str]) -> list[str]:
    """The panels with a row a city and year, city_year first."""
    named = [name.removeprefix("panels.") for name, frame in tables.items() if {UNIT, TIME} <= set(frame.columns)]
    own = (set(tables["panels.data_dictionary"]["study"]) | {"city_year"}) - set(without)
    return sorted((name for name in named if name in own), key=lambda name: (name != "city_year", name))


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{UNIT: frame[UNIT].astype(str)}).sort_values([UNIT, TIME]).reset_index(drop=True)


def script(path: Path, function: str, *values: Any) -> None:
    """Write a script that hands ``values`` to ``pilotcity.<function>`` of the page that loads it."""
    said = ",".join(map(_json, values))
    # a text may not end the script that holds it
    path.write_text(f"pilotcity.{function}({said});\n".replace("</", "<\\/"), encoding="utf-8", newline="")


def _packed(path: Path, function: str, name: str, values: Any) -> None:
    """The same for what is large: a third of its size, for the page to unpack."""
    packed = gzip.compress(_json(values).encode(), compresslevel=6, mtime=0)
    path.write_text(
        f'pilotcity.packed("{function}",{_json(name)},"{base64.b64encode(packed).decode()}");\n', newline=""
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _numbers(values: pd.Series) -> list[Any]:
    """Values with as many digits as a page needs; null where there is none."""
    found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=math.nan)
    return [_short(value) for value in found.tolist()]


def _short(value: float) -> float | int | None:
    if value != value:
        return None
    return int(value) if value.is_integer() else float(f"{value:.{DIGITS}g}")


def _blocks(frame: pd.DataFrame) -> list[tuple[str, int, int]]:
    """City, first row and the row after its last, of a frame in order."""
    starts = np.flatnonzero(frame[UNIT].ne(frame[UNIT].shift()).to_numpy()).tolist()
    return list(zip(frame[UNIT].iloc[starts], starts, [*starts[1:], len(frame)], strict=True))


def _flag(frame: pd.DataFrame, column: str) -> np.ndarray | None:
    """Whether each value was filled in; None where nothing says so."""
    name = f"{column}{IMPUTED}"
    return frame[name].eq(True).to_numpy(dtype=bool) if name in frame else None


def _column(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """Years, and for each city its values and the places of those that were filled in; empty ends are cut off."""
    known = frame.loc[frame[column].notna(), TIME]
    first, last = (int(known.min()), int(known.max())) if len(known) else (int(frame[TIME].min()),) * 2
    inside = frame[frame[TIME].between(first, last)]
    values, flag = _numbers(inside[column]), _flag(inside, column)
    made = {}
    for code, start, end in _blocks(inside):
        marks = [] if flag is None else np.flatnonzero(flag[start:end]).tolist()
        made[code] = [values[start:end], *([marks] if marks else [])]
    adoption = frame.groupby(UNIT)[ADOPTION].first().dropna() if ADOPTION in frame else pd.Series(dtype=float)
    return {
        "years": [int(year) for year in sorted(inside[TIME].unique())],
        "cities": made,
        "adoption": {str(code): int(year) for code, year in adoption.items()},
    }


def _rows(frame: pd.DataFrame) -> list[Row]:
    """Rows as plain values; what is missing is None, whole numbers are whole."""
    names = [str(name) for name in frame.columns]
    columns = [_values(frame[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pd.Series) -> list[Any]:
    held, missing = column.tolist(), column.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return [None if gone else _plain(value) for value, gone in zip(held, missing.tolist(), strict=True)]
    return [None if gone else value for value, gone in zip(held, missing.tolist(), strict=True)]


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shared(
    tables: Tables,
    panels: Mapping[str, pd.DataFrame],
    columns: Mapping[str, Sequence[str]],
    files: Sequence[str],
    words: Chinese,
) -> dict[str, Any]:
    headers = _rows(tables["lineage.headers"])
    keys = ("sheet", "column", "header", "unit_text", "factor", "source", "definition", "indicator")
    place = {file: at for at, file in enumerate(files)}
    formulas: dict[str, dict[str, Any]] = {}
    for row in _rows(tables["lineage.formulas"]):
        kind, text = row["kind"], row["formula"] or ""
        own = {"kind": kind, "text": text, "unit": row["unit"] or "", "en": row["description"]}
        own["zh"] = words(row["description"] or "")
        own |= {"tree": plain(text)} if kind == "formula" else {}
        own |= {"parts": [part.strip() for part in text.split(",")]} if kind == "entropy" else {}
        formulas.setdefault(row["layer"], {})[row["name"]] = own
    committed: dict[str, dict[str, Any]] = {}
    for row in _rows(tables["lineage.committed"]):
        told = [row["value"], row["file"], row["source"], row["certainty"]]
        committed.setdefault(row["name"], {})[str(row["year"])] = told
    cities = tables["panels.city_year"][[UNIT, "name_en", "name_zh", "province_zh", "region"]].drop_duplicates(UNIT)
    return {
        "cities": {str(row[0]): list(row[1:]) for row in cities.astype(str).itertuples(index=False, name=None)},
        "files": list(files),
        "sources": {row["file"]: row["source"] for row in _rows(tables["quality.files"]) if row["source"]},
        "headers": {row["header_id"]: [place[row["file"]], *(row[key] for key in keys)] for row in headers},
        "units": {row["unit_code"]: [row["name"], row["city_code"]] for row in _rows(tables["lineage.units"])},
        "formulas": formulas,
        "committed": committed,
        "contracts": {
            row["source"]: [row["title_en"], row["title_zh"], row["publisher"], row["licence"]]
            for row in _rows(tables["lineage.contracts"])
        },
        "panels": {name: _described(tables, name, frame, columns[name]) for name, frame in panels.items()},
        "scores": _scores(tables),
    }


def _described(tables: Tables, panel: str, frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Years and columns of a panel: labels, unit, and what was done to make it, with the numbers of all rows."""
    dictionary = tables["panels.data_dictionary"]
    mine = {row["column_name"]: row for row in _rows(dictionary[dictionary["study"] == panel])}
    found = {}
    for column in columns:
        row = mine.get(column, {})
        own = {
            "en": row.get("label_en") or column,
            "zh": row.get("label_zh") or row.get("label_en") or column,
            "unit": row.get("unit") or "",
            "role": row.get("role") or "",
            "definition": row.get("definition") or "",
            "sources": row.get("sources") or "",
        }
        if panel != "city_year" and row.get("position") is not None:
            own |= _steps(tables, panel, frame, row)
        found[column] = own
    return {"years": [int(frame[TIME].min()), int(frame[TIME].max())], "columns": found}


def _steps(tables: Tables, panel: str, frame: pd.DataFrame, row: Row) -> dict[str, Any]:
    """What `Steps` says of a variable, with what is computed over all rows: limits, mean and deviation, weights."""
    drawn = row.get("city_year_column") or ""
    text = "" if drawn else str(row.get("formula") or "")
    source = row["column_name"] if text else drawn
    held = tables["panels.city_year"]
    declared = {r["name"]: r for r in _rows(tables["lineage.formulas"]) if r["layer"] == "panel"}
    entropy = declared.get(source, {}).get("kind") == "entropy"
    parts = [part.strip() for part in declared[source]["formula"].split(",")] if entropy else []
    parts = list(formula.read(text).parts) if text else parts
    own = {"from": source, "formula": text, "parts": parts, "max_gap": longest(row)}
    own |= {"tree": plain(text)} if text and not parts else {}
    own |= {key: row.get(key) for key in ("interpolate", "change", "standardise")}
    own |= {"scale": row.get("scale") or ("log" if row.get("log") else "none"), "lag": int(row.get("lag") or 0)}
    needs = [source, *parts]
    if text or not set(needs) <= set(held.columns):
        score = _score_of(tables, panel, source)
        if score is None:
            return own
        rows = frame[[UNIT, TIME]].merge(score, on=[UNIT, TIME], how="left").rename(columns={"score": source})
    else:
        rows = frame[[UNIT, TIME]].merge(held[[UNIT, TIME, *needs]], on=[UNIT, TIME], how="left")
    rows = rows.astype({source: float})
    # what nobody has measured has no limits, mean or weights
    if not rows[rows.columns.intersection(needs)].notna().any().all():
        return own
    try:
        steps = Steps.of(rows, source, row, parts)
    except ValueError as why:
        # the page says that it cannot take the steps, and why
        return own | {"lacks": str(why)}
    if steps.limits:
        shares = [row["winsorize_low"], row["winsorize_high"]]
        own |= {"limits": list(steps.limits), "shares": shares}
    if row.get("standardise"):
        own |= {"mean": float(steps.cut.mean()), "deviation": float(steps.cut.std())}
    own |= {"weights": weighted(rows, parts, row["interpolate"], longest(row))} if parts else {}
    return own


def _score_of(tables: Tables, panel: str, source: str) -> pd.DataFrame | None:
    """City, year and score of the specification that a panel's column is drawn from."""
    for row in _specifications(tables):
        if row["study"] == panel and source in row["columns"]:
            scores = tables["scores.efficiency"]
            wanted = [panel, row["name"], row["columns"][source]]
            mine = scores[["study", "name", "frontier"]].eq(wanted).all(axis=1)
            return scores.loc[mine, [UNIT, TIME, "score"]]
    return None


def _specifications(tables: Tables) -> list[dict[str, Any]]:
    """Each score once: study, name, specification, and column that it may be drawn as -> frontier."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if "scores.provenance" not in tables:
        return []
    for row in _rows(tables["scores.provenance"]):
        how = json.loads(row["specification"])
        own = found.setdefault(
            (row["study"], row["name"]),
            {"study": row["study"], "name": row["name"], "how": how, "columns": {row["name"]: how["frontier"]}},
        )
        own["columns"][f"{row['name']}_{row['frontier']}"] = row["frontier"]
    return list(found.values())


def _scores(tables: Tables) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for row in _specifications(tables):
        made.setdefault(row["study"], []).append({key: row[key] for key in ("name", "how", "columns")})
    return made


def _by_city(
    tables: Tables,
    panels: Mapping[str, pd.DataFrame],
    columns: Mapping[str, Sequence[str]],
    placed: Mapping[str, int],
) -> dict[str, dict[str, Any]]:
    cities: dict[str, dict[str, Any]] = {
        str(code): {"panels": {}, "cells": {}, "records": {}, "policies": [], "changes": [], "scores": {}}
        for code in [*panels["city_year"][UNIT].unique(), NATION]
    }
    for name, frame in panels.items():
        every = {column: _numbers(frame[column]) for column in columns[name]}
        flags = {column: flag for column in columns[name] if (flag := _flag(frame, column)) is not None}
        years = frame[TIME].tolist()
        for code, start, end in _blocks(frame):
            held = {column: _trimmed(values[start:end]) for column, values in every.items()}
            filled = {column: np.flatnonzero(flag[start:end]).tolist() for column, flag in flags.items()}
            cities[code]["panels"][name] = {
                "first": int(years[start]),
                "values": {column: values for column, values in held.items() if values},
                "filled": {column: marks for column, marks in filled.items() if marks},
            }
    _add_cells(tables, cities)
    _add_records(tables, cities, placed)
    for row in _rows(tables["lineage.treatments"]):
        code = row.pop("city_code")
        if code in cities:
            cities[code]["policies"].append(row)
    for row in _rows(tables["panels.caliber_changes"].sort_values([UNIT, TIME, "kind", "what"])):
        cities[row["city_code"]]["changes"].append([row["year"], row["kind"], row["indicator"], row["what"]])
    if "scores.efficiency" in tables:
        _add_scores(tables, cities)
    return cities


def _trimmed(values: list[Any]) -> list[Any]:
    """How many years have no value at first, and the values from there on; nothing where there is none."""
    known = [place for place, value in enumerate(values) if value is not None]
    return [known[0], *values[known[0] : known[-1] + 1]] if known else []


def _add_cells(tables: Tables, cities: dict[str, dict[str, Any]]) -> None:
    """Year, header, row, text, value and whether it counts; then unit, rule and message where there are any."""
    order = ["city_code", "indicator", "year", "used", "unit_code", "header_id", "row"]
    cells = tables["lineage.cells"].sort_values(order, ascending=[True, True, True, False, True, True, True])
    names = ["city_code", "indicator", "year", "header_id", "row", "text", "value", "used"]
    columns = [_values(cells[name]) for name in (*names, "unit_code", "place", "rule", "message")]
    for city, indicator, year, header, row, text, value, used, unit, place, rule, message in zip(*columns, strict=True):
        told = [year, header, row, text, value, int(used)]
        more = [None if unit in (city, NATION) else [unit, place], rule, message]
        while more and more[-1] is None:
            more.pop()
        cities[city]["cells"].setdefault(indicator, []).append([*told, *more])


def _add_records(tables: Tables, cities: dict[str, dict[str, Any]], placed: Mapping[str, int]) -> None:
    """Year, file, records, first rows and last row; then rule and unit where there are any."""
    records = tables["lineage.records"].sort_values(["measure", "year", "rule", "file", "unit_code"])
    names = ["city_code", "measure", "year", "file", "records", "first_rows", "last_row", "rule", "unit_code"]
    columns = [_values(records[name]) for name in names]
    for city, measure, year, file, count, first, last, rule, unit in zip(*columns, strict=True):
        other = None if unit in (city, NATION) else unit
        told = [year, placed[file], count, first, last, *([rule, other] if rule or other else [])]
        cities[city]["records"].setdefault(measure, []).append(told)


def _add_scores(tables: Tables, cities: dict[str, dict[str, Any]]) -> None:
    """Score and slacks of every year, by study, name and frontier."""
    scores = tables["scores.efficiency"].sort_values(["study", "name", "frontier", UNIT, TIME])
    columns = [_values(scores[name]) for name in ("study", "name", "frontier", UNIT, TIME, "efficient", "status")]
    both = zip(_numbers(scores["score"]), _numbers(scores["sbm"]), strict=True)
    for (study, name, frontier, city, year, efficient, status), (score, sbm) in zip(
        zip(*columns, strict=True), both, strict=True
    ):
        own = cities[str(city)]["scores"].setdefault(f"{study}|{name}|{frontier}", {})
        own[str(year)] = [score, sbm, int(bool(efficient)), status]

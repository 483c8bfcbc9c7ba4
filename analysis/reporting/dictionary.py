"""The data dictionary: every column of every panel with its meaning, source, share of filled-in values and range.

Made from what the studies, the dbt descriptions and the contracts already say, and counted on the panels themselves;
how it is shown is decided in `site`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalogue import Column
from analysis.names import IMPUTED
from analysis.studies.records import EfficiencySpecification, FilePanel, Label, Study, Variable

#: What every panel holds beside its variables: label in both languages, unit, definition.
KEYS: dict[str, tuple[str, str, str, str]] = {
    "adoption": (
        "First treated year",
        "首次处理年份",
        "year",
        "First year of the city's pilot; missing for never.",
    ),
}
#: Columns that `complete` adds to those of the dbt model.
ADDED = (
    *(
        "label_en",
        "label_zh",
        "unit",
        "city_year_column",
        "role",
        "definition",
        "merge",
        "sources",
        "publishers",
        "rows",
        "values",
        "imputed",
        "share_imputed",
    ),
    *("minimum", "mean", "maximum", "is_sample"),
)


@dataclass(frozen=True)
class Origin:
    """Where values come from.

    Attributes
    ----------
    formulas : one row a declared column: ``layer``, ``name``, ``kind`` ("formula", "records", "committed",
        "indicator"), ``formula``; may be empty, and then no source is named.
    sources : indicator, or kind of records ("patents", "cases") -> names of the contracts that provide it.
    publishers : contract -> who publishes it.
    columns : the columns of panels.city_year, as the catalogue has them.
    """

    formulas: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["layer", "name", "kind", "formula"]))
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    publishers: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)

    @cached_property
    def _declared(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Layer and name -> kind and formula; the first row stands where there are several."""
        rows = self.formulas.drop_duplicates(["layer", "name"])
        keys = zip(rows["layer"], rows["name"], strict=True)
        return dict(zip(keys, zip(rows["kind"], rows["formula"].astype(str), strict=True), strict=True))

    def of(self, column: str) -> tuple[str, ...]:
        """Contracts and committed files behind a column of panels.city_year, sorted."""
        return tuple(sorted(self._behind(column, "panel", set())))

    def _behind(self, name: str, layer: str, seen: set[tuple[str, str]]) -> set[str]:
        if (layer, name) in seen:  # a stock is made from its own past
            return set()
        seen.add((layer, name))
        if (layer, name) not in self._declared:
            return set(self.sources.get(name, ()))
        kind, formula = self._declared[layer, name]
        if kind == "records":
            return set(self.sources.get(formula, ()))
        if kind == "committed":
            return {formula} | set(self.sources.get(name, ()))
        words = re.findall(r"[a-z_][a-z0-9_]*", formula) if kind in ("formula", "entropy") else []
        # an index is made of columns of city_year themselves
        below = "panel" if kind == "entropy" else "intermediate"
        return set(self.sources.get(name, ())).union(*(self._behind(word, below, seen) for word in words))


def complete(
    base: pd.DataFrame,
    panels: Mapping[str, pd.DataFrame],
    studies: Sequence[Study],
    origin: Origin,
    *,
    is_sample: bool,
) -> pd.DataFrame:
    """The dictionary of all panels.

    Parameters
    ----------
    base
        The dbt model panels.data_dictionary: a row a study and variable. Its columns and rows are kept.
    panels
        Name -> panel as published; ``city_year`` is one of them.

    Returns
    -------
    DataFrame
        One row a panel and column, in the order of ``panels`` and their columns: the columns of ``base``, then
        ``definition``, ``sources`` and ``publishers`` (joined by "; "), ``rows``, ``values`` (not missing), ``imputed``
        (filled in; missing where nothing is), ``share_imputed`` (of the values), ``minimum``, ``mean`` and ``maximum``
        (numbers only), ``is_sample``.
    """
    known = {(row["study"], row["column_name"]): row for row in base.to_dict("records")}
    owners = {panel: study for study in studies for panel in (study.name, *study.other_panels)}
    rows = []
    for name, panel in panels.items():
        for column in panel.columns:
            told = _told(name, str(column), owners.get(name), origin)
            kept: dict[Any, Any] = known.get((name, str(column)), {})
            stated = {key: value for key, value in kept.items() if not _absent(value)}
            study = owners.get(name)
            from_file = study is not None and study.panel is not None
            counted = {**_counted(panel, str(column)), "is_sample": is_sample and not from_file}
            rows.append({"study": name, "column_name": str(column), **told, **stated, **counted})
    columns = [*base.columns, *(column for column in ADDED if column not in base.columns)]
    table = pd.DataFrame(rows, columns=columns)
    whole = {column: "Int64" for column in ("position", "rows", "values", "imputed") if column in table}
    texts = [c for c in ("label_en", "label_zh", "unit", "definition", "merge", "sources", "publishers") if c in table]
    return table.astype({**whole, **dict.fromkeys(texts, "str")})


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _counted(panel: pd.DataFrame, column: str) -> dict[str, Any]:
    """How many values there are, how many were filled in, and between which limits they lie."""
    values = panel[column]
    flag = f"{column}{IMPUTED}"
    filled = int(panel[flag].fillna(False).astype(bool).sum()) if flag in panel.columns else None
    there = int(values.notna().sum())
    counted: dict[str, Any] = {"rows": len(panel), "values": there, "imputed": filled}
    counted |= {"share_imputed": filled / there if filled is not None and there else np.nan}
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)) or not there:
        return counted | dict.fromkeys(("minimum", "mean", "maximum"), np.nan)
    numbers = np.sort(values.dropna().to_numpy(dtype=float))
    return counted | {"minimum": numbers[0], "mean": numbers.mean(), "maximum": numbers[-1]}


def _told(panel: str, column: str, study: Study | None, origin: Origin) -> dict[str, Any]:
    """Labels, unit, definition and source of a column, by what kind of column it is."""
    if study is not None and study.panel is not None and not column.endswith(IMPUTED):
        return _of_file(column, study, study.panel, origin)
    if column in KEYS:
        english, chinese, unit, definition = KEYS[column]
        lists = f"data/policies/{study.policy}.csv" if study and column == "adoption" else ""
        return _row(english, chinese, unit, definition, (lists,), origin) | {"role": "key"}
    if column in ("city_code", "year"):
        return _of_city_year(column, origin) | {"role": "key"}
    if column.endswith(IMPUTED):
        of = column.removesuffix(IMPUTED)
        told = _told(panel, of, study, origin)
        labels = f"{told['label_en']}: filled in", f"{told['label_zh']}：是否插补"
        return _row(*labels, "true or false", f"Whether {of} was filled in.", (), origin) | {"role": "flag"}
    if study is None:
        return _of_city_year(column, origin)
    if column == study.treatment:
        label = study.treatment_label
        made = "1 from the first treated year on (to the last, where the list says one), else 0."
        return _row(label.en, label.zh, "0 or 1", made, (f"data/policies/{study.policy}.csv",), origin) | {
            "role": "treatment"
        }
    other = next((policy for policy in study.policies if policy.name == column), None)
    if other:
        made, where = (
            "1 from the city's year of adoption of this policy on, else 0.",
            f"data/policies/{other.policy}.csv",
        )
        return _row(other.label.en, other.label.zh, "0 or 1", made, (where,), origin) | {"role": "policy"}
    variable = next((variable for variable in study.variables if variable.name == column), None)
    return _of_variable(variable, study, origin) if variable else _of_city_year(column, origin)


def _row(
    english: str, chinese: str, unit: str, definition: str, sources: Collection[str], origin: Origin
) -> dict[str, Any]:
    named = [source for source in sources if source]
    publishers = dict.fromkeys(origin.publishers[source] for source in named if source in origin.publishers)
    return {
        "label_en": english,
        "label_zh": chinese,
        "unit": unit,
        "definition": definition,
        "sources": "; ".join(named),
        "publishers": "; ".join(publishers),
    }


def _of_city_year(column: str, origin: Origin) -> dict[str, Any]:
    told = origin.columns.get(column)
    if told is None:
        return _row(column, column, "", "", origin.of(column), origin) | {"city_year_column": column}
    english = told.label_en[:1].upper() + told.label_en[1:]
    sources = (told.source,) if told.source else origin.of(column)
    row = _row(english, told.label_zh, told.unit, told.description, sources, origin)
    return row | {"city_year_column": column, "merge": told.merge}


def _of_file(column: str, study: Study, panel: FilePanel, origin: Origin) -> dict[str, Any]:
    """A column of a panel that comes from a file."""
    source = (panel.file,)
    label, role, made = study.label(column), "group", f"Column {column!r} of the file."
    if column == panel.unit or column == panel.time:
        role = "key"
    elif column == "adoption":
        label, role = Label(*KEYS[column][:2]), "key"
        made = f"First period in which {panel.treatment!r} is 1; missing for never."
        if panel.adoption:
            made = f"{panel.adoption!r} of the file; missing for never: blank, 0 or after the sample."
    elif column == study.treatment:
        role = "treatment"
        made = f"Column {column!r} of the file." if panel.treatment else "1 from the first treated period on, else 0."
    elif column == panel.place:
        label, role = Label("City code", "城市代码"), "key"
        made = "Six-digit GB/T 2260 code as of 2021 of the city that the unit is."
    else:
        inside = panel.aliases.get(column, column)
        variable = next((variable for variable in study.variables if variable.name == inside), None)
        if variable:
            role = variable.role
            drawn = f"Column {variable.source!r} of the file."
            unit, steps = variable.unit, " ".join([drawn, *_steps(variable)])
            return _row(variable.label.en, variable.label.zh, unit, steps, source, origin) | {"role": role}
    return _row(label.en, label.zh, "", made, source, origin) | {"role": role}


def _of_variable(variable: Variable, study: Study, origin: Origin) -> dict[str, Any]:
    scored = next((score for score in study.efficiency if variable.source in score.columns), None)
    drawn = scored.variables if scored else variable.uses or (variable.source,)
    sources = sorted({source for column in drawn for source in origin.of(column)})
    definition = (
        _score(scored, scored.columns[variable.source])
        if scored
        else f"{variable.formula}."
        if variable.formula
        else _told("city_year", variable.source, None, origin)["definition"]
    )
    steps = " ".join([definition or f"{variable.source} of panels.city_year.", *_steps(variable)])
    return _row(variable.label.en, variable.label.zh, variable.unit, steps, sources, origin) | {"role": variable.role}


def _score(scored: EfficiencySpecification, frontier: str) -> str:
    bad = f", bad outputs {', '.join(scored.bad_outputs)}" if scored.bad_outputs else ""
    return (
        f"Super-SBM efficiency, {frontier} frontier, {scored.returns.upper()}: "
        f"inputs {', '.join(scored.inputs)}, outputs {', '.join(scored.outputs)}{bad}."
    )


def _steps(variable: Variable) -> list[str]:
    """What was done to the values, in order, one sentence each."""
    gaps = f"Gaps of up to {variable.max_gap} years" if variable.max_gap else "Gaps"
    filled = {
        "linear": f"{gaps} filled linearly.",
        "neighbour_mean": f"{gaps} filled with the mean of the years around.",
    }
    steps = [filled[variable.interpolate]] if variable.interpolate in filled else []
    scales = {"log": "Natural logarithm.", "log1p": "Natural logarithm of 1 + x.", "asinh": "Inverse hyperbolic sine."}
    steps += [scales[variable.scale]] if variable.scale in scales else []
    changes = {"difference": "Less the year before.", "growth": "Over the year before, less 1."}
    steps += [changes[variable.change]] if variable.change in changes else []
    steps += [f"The value of {variable.lag} year{'s' * (variable.lag > 1)} before."] if variable.lag else []
    if variable.winsorize:
        low, high = variable.winsorize
        steps.append(f"Winsorised at {low:.0%} and {high:.0%}.")
    steps += ["Standardised over all rows."] if variable.standardise else []
    return steps


def comments(dictionary: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(Panel, column) -> one line for the column's comment in a database: label in both languages, unit, definition."""
    found = {}
    for row in dictionary.to_dict("records"):
        label = row["label_en"] if row["label_en"] == row["label_zh"] else f"{row['label_en']} / {row['label_zh']}"
        unit = f" [{row['unit']}]" if row["unit"] else ""
        mark = "SAMPLE DATA. " if row["is_sample"] else ""
        found[str(row["study"]), str(row["column_name"])] = f"{mark}{label}{unit}. {row['definition']}".strip()
    return found


def descriptor(
    dictionary: pd.DataFrame, tables: Mapping[str, tuple[Sequence[tuple[str, str]], int, str]], about: Mapping[str, Any]
) -> dict[str, Any]:
    """A Frictionless data package descriptor of the published Parquet.

    Parameters
    ----------
    tables
        Path below the descriptor -> ((column, Frictionless type), …), bytes, sha256.
    about
        What the publication says of itself: ``version``, ``is_sample``.

    Notes
    -----
    Data Package v1 of the Frictionless standards (specs.frictionlessdata.io).
    """
    told: dict[tuple[str, str], dict[str, Any]] = {
        (str(row["study"]), str(row["column_name"])): {str(key): value for key, value in row.items()}
        for row in dictionary.to_dict("records")
    }
    resources = []
    for path, (columns, size, digest) in sorted(tables.items()):
        stem = path.rsplit("/", 1)[-1].removesuffix(".parquet")
        schema, name = path.split("/")[-2], stem.lower()
        keys = {"primaryKey": ["city_code", "year"]} if {"city_code", "year"} <= {c for c, _ in columns} else {}
        known = told if schema == "panels" else {}
        fields = [_field(column, kind, known.get((stem, column))) for column, kind in columns]
        resources.append(
            {
                "name": f"{schema}.{name}",
                "path": path,
                "format": "parquet",
                "mediatype": "application/vnd.apache.parquet",
                "bytes": size,
                "hash": f"sha256:{digest}",
                "schema": {"fields": fields, **(keys if schema == "panels" else {})},
            }
        )
    sample = bool(about.get("is_sample"))
    return {
        "name": "pilotcity",
        "title": "City pilot policies in China: panels, scores and estimates" + (" (SAMPLE DATA)" if sample else ""),
        "description": "Simulated: no number says anything about a real city. " * sample
        + "Tables of one publication of pilotcity; column definitions as in panels.data_dictionary.",
        "version": str(about.get("version", "")),
        "profile": "data-package",
        "resources": resources,
    }


def _field(column: str, kind: str, told: Mapping[str, Any] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column, "type": kind}
    if told:
        entry |= {"title": told["label_en"], "title:zh": told["label_zh"], "description": told["definition"]}
        entry |= {"unit": told["unit"]} if told["unit"] else {}
    return entry

"""What a study YAML may say: read, checked against what exists, and turned into frozen records.

Every complaint names file, line, key and the nearest valid word. Nothing is estimated here, and no data are read beyond
the names that a study may refer to (columns of data/reference/cities.csv, lists in data/policies).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.studies.columns import CITY_YEAR
from analysis.studies.exhibits import VARIABLE, read_effects, read_exhibit, read_label, read_values, read_years
from analysis.studies.matrices import read_matrices
from analysis.studies.policies import scopes, to_check
from analysis.studies.reading import Mark, read
from analysis.studies.records import (
    FLAGS,
    EfficiencySpecification,
    Group,
    Known,
    Label,
    OtherPolicy,
    Study,
    Variable,
)

FOLDER = Path(__file__).parent
DATA = FOLDER.parent.parent / "data"
INTERPOLATE = ("none", "neighbour_mean", "linear")
ROLES = ("outcome", "control", "mechanism", "group", "instrument", "other")
#: Columns every study panel has, and tables that stand beside study panels: no variable or study may take their names.
PANEL_COLUMNS = ("city_code", "year", "adoption", "name_zh", "name_en", *FLAGS)
PANEL_TABLES = ("city_year", "data_dictionary", "caliber_changes", "publication")


def known(data: Path = DATA) -> Known:
    """Names found in ``data``/reference/cities.csv and ``data``/policies, and the columns of panels.city_year."""
    rows = _rows(data / "reference" / "cities.csv")
    columns = tuple(rows[0]) if rows else ()
    flags = tuple(column for column in columns if {row[column] for row in rows} <= {"0", "1"})
    cities = {row["city_code"]: row["name_zh"] for row in rows}
    lists = sorted((data / "policies").glob("*.csv"))
    policies = {path.stem: scopes(path, cities) for path in lists}
    unchecked = {path.stem: to_check(path) for path in lists}
    values = {column: frozenset(row[column] for row in rows) for column in columns}
    return Known(CITY_YEAR, columns, flags, frozenset(cities), policies, city_values=values, to_check=unchecked)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def catalogue(folder: Path | None = None) -> dict[str, Path]:
    """Study name -> its YAML, for every study in ``folder`` (by default the ones of this package), sorted by name."""
    return {path.stem: path for path in sorted((folder or FOLDER).glob("*.yaml"))}


def load(path: Path, names: Known | None = None) -> Study:
    """Read and check one study.

    Parameters
    ----------
    path
        The YAML; its stem is the study's name.
    names
        What the study may refer to, by default what `known` finds.

    Raises
    ------
    ValueError
        Naming file, line, key and the nearest valid word: an unknown or missing key, column, variable, policy, city or
        method, a value of the wrong sort, a repeated key, a tag.
    """
    path = Path(path)
    names = names or known()
    top = read(path)
    marks = top.mapping({*_REQUIRED, *_OPTIONAL}, _REQUIRED)
    name = _name(marks["study"], PANEL_TABLES)
    if name != path.stem:
        marks["study"].fail(f"the study is called {name!r} but its file {path.name!r}; they must agree.")
    treatment = _name(marks["treatment"], PANEL_COLUMNS)
    policy = marks["policy"].word(names.policies, "a list in data/policies")
    efficiency = _efficiency(marks.get("efficiency"), names)
    variables = _variables(marks, names, treatment, efficiency)
    policies = _policies(marks.get("policies"), names, [treatment, *(v.name for v in variables)])
    regressors = [*(variable.name for variable in variables), *(policy.name for policy in policies)]
    sample = marks["sample"].mapping({"cities", "years"}, ("cities", "years"))
    years = read_years(sample["years"])
    citation, doi = _paper(marks.get("paper"))
    study = Study(
        name=name,
        title=read_label(marks["title"]),
        citation=citation,
        doi=doi,
        policy=policy,
        policy_scope=_scope(marks.get("policy_scope"), policy, names),
        treatment=treatment,
        treatment_label=read_label(marks["treatment_label"])
        if "treatment_label" in marks
        else Label(treatment, treatment),
        cities=sample["cities"].word(names.flags, "a 0/1 column of data/reference/cities.csv"),
        years=years,
        other_panels=_other_panels(marks.get("other_panels"), name),
        variables=variables,
        efficiency=efficiency,
        policies=policies,
        groups=_groups(marks.get("groups"), names, [treatment, *regressors, *FLAGS]),
        outcomes=marks["outcomes"].words(regressors, VARIABLE),
        controls=marks["controls"].words(regressors, VARIABLE),
        fixed_effects=read_effects(marks["fixed_effects"], [*regressors, *names.city_columns]),
        cluster=read_effects(marks["cluster"], [*regressors, *names.city_columns]),
        exhibits=(),
        note=read_label(marks["note"]) if "note" in marks else None,
        file=path,
        weights=read_matrices(marks.get("weights"), variables, years),
        to_check=_to_check(policy, _scope(marks.get("policy_scope"), policy, names), names),
    )
    printed = path.parent / "published" / path.name
    if printed.exists():
        names = replace(names, published=tuple(read(printed).mapping()["exhibits"].mapping()))
    exhibits = marks["exhibits"].mapping()
    return replace(study, exhibits=tuple(read_exhibit(key, mark, study, names) for key, mark in exhibits.items()))


#: Options of an efficiency specification, the default first.
EFFICIENCY = {
    "frontier": ("contemporaneous", "global"),
    "returns": ("crs", "vrs"),
    "orientation": ("none", "input", "output"),
    "objective": ("slack", "bad_as_input"),
    "interpolate": ("linear", "neighbour_mean", "none"),
}

_REQUIRED = (
    *("study", "title", "policy", "treatment", "sample", "variables", "outcomes", "controls"),
    *("cluster", "fixed_effects", "exhibits"),
)
_OPTIONAL = (
    *("paper", "policy_scope", "treatment_label", "interpolate", "max_gap", "winsorize", "note"),
    *("efficiency", "policies", "groups", "other_panels", "weights"),
)


def variables_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a variable, in the order of the YAML (``position`` from 1), as the warehouse loads it."""
    columns = (
        *("study", "position", "name", "source_column", "role", "log", "interpolate", "max_gap"),
        *("winsorize_low", "winsorize_high", "label_en", "label_zh", "unit"),
    )
    rows = []
    for study, panel in _panels(studies):
        for position, v in enumerate(study.variables, start=1):
            low, high = v.winsorize or (None, None)
            label = (v.label.en, v.label.zh, v.unit)
            fill = (v.interpolate, v.max_gap)
            rows.append((panel, position, v.name, v.source, v.role, v.log, *fill, low, high, *label))
    table = pd.DataFrame(rows, columns=list(columns))
    floats = {"winsorize_low": "float64", "winsorize_high": "float64"}
    return table.astype({"position": "int64", "log": "bool", "max_gap": "Int64", **floats})


def studies_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a panel of a study, as the warehouse loads it; ``policy_scope`` joins words with commas, None for all."""
    columns = ["study", "policy", "treatment", "cities", "first_year", "last_year", "policy_scope"]
    rows = [
        (panel, s.policy, s.treatment, s.cities, *s.other_panels.get(panel, s.years), ",".join(s.policy_scope) or None)
        for s, panel in _panels(studies)
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"first_year": "int64", "last_year": "int64"})


def study_efficiency_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a panel and column that variables may be drawn from: the score's name and its frontier."""
    rows = [
        (panel, column, scored.name, frontier)
        for study, panel in _panels(studies)
        for scored in study.efficiency
        for column, frontier in scored.columns.items()
    ]
    return pd.DataFrame(rows, columns=["study", "name", "score", "frontier"], dtype="str")


def study_policies_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a panel and policy beside the studied one, as the warehouse loads it; ``scopes`` as ``policy_scope``."""
    columns = ["study", "position", "name", "policy", "scopes", "label_en", "label_zh"]
    rows = [
        (panel, position, p.name, p.policy, ",".join(p.scope) or None, p.label.en, p.label.zh)
        for study, panel in _panels(studies)
        for position, p in enumerate(study.policies, start=1)
    ]
    return pd.DataFrame(rows, columns=columns).astype({"position": "int64"})


def _panels(studies: Collection[Study]) -> list[tuple[Study, str]]:
    """Every panel: a study's own under its name, then those over other years."""
    return [(study, panel) for study in studies for panel in (study.name, *study.other_panels)]


def _name(mark: Mark, taken: Collection[str]) -> str:
    name = mark.text()
    if not name.isidentifier() or name != name.lower() or "__" in name:
        mark.fail(f"{name!r} must be a lower-case word of letters, digits and single underscores, no digit first.")
    if name in taken:
        mark.fail(f"{name!r} is the name of something the warehouse makes itself; choose another.")
    return name


def _paper(mark: Mark | None) -> tuple[str | None, str | None]:
    if mark is None:
        return None, None
    parts = mark.mapping({"citation", "doi"}, ("citation",))
    return parts["citation"].text(), parts["doi"].text() if "doi" in parts else None


def _winsorize(mark: Mark | None) -> tuple[float, float] | None:
    if mark is None or mark.value is None:
        return None
    marks = mark.items()
    if len(marks) != 2:
        mark.fail("expected two quantiles, as in [0.01, 0.99], or null.")
    low, high = (quantile.number(0, 1) for quantile in marks)
    if low >= high:
        mark.fail(f"the lower quantile, {low:g}, must be below the upper, {high:g}.")
    return low, high


#: A gap of more years than any panel has.
LONGEST = 200


def _max_gap(marks: Mapping[str, Mark], default: int | None = None) -> int | None:
    """The longest gap in years that is filled, None for any."""
    mark = marks.get("max_gap")
    if mark is None:
        return default
    return None if mark.value is None else mark.integer(1, LONGEST)


def _efficiency(mark: Mark | None, names: Known) -> tuple[EfficiencySpecification, ...]:
    required = ("inputs", "outputs")
    options = ("label", "bad_outputs", "frontier", "returns", "orientation", "objective", "interpolate", "max_gap")
    found = []
    for key, entry in mark.mapping().items() if mark else ():
        parts = entry.mapping({*required, *options}, required)

        def columns(part: str, parts: Mapping[str, Mark] = parts) -> tuple[str, ...]:
            return parts[part].words(names.columns, "a column of panels.city_year") if part in parts else ()

        def option(part: str, parts: Mapping[str, Mark] = parts) -> str:
            valid = EFFICIENCY[part]
            return parts[part].word(valid, f"one of {', '.join(valid)}") if part in parts else valid[0]

        label = read_label(parts["label"]) if "label" in parts else Label(key, key)
        found.append(
            EfficiencySpecification(
                name=key,
                label=label,
                inputs=columns("inputs"),
                outputs=columns("outputs"),
                bad_outputs=columns("bad_outputs"),
                frontier=option("frontier"),
                returns=option("returns"),
                orientation=option("orientation"),
                objective=option("objective"),
                interpolate=option("interpolate"),
                max_gap=_max_gap(parts),
            )
        )
    return tuple(found)


def _variables(
    marks: Mapping[str, Mark], names: Known, treatment: str, efficiency: tuple[EfficiencySpecification, ...]
) -> tuple[Variable, ...]:
    scores = {column: ("score", scored.label.en) for scored in efficiency for column in scored.columns}
    columns = {**names.columns, **scores}
    fill = marks["interpolate"].word(INTERPOLATE, "a way to fill gaps") if "interpolate" in marks else "none"
    trim, longest = _winsorize(marks.get("winsorize")), _max_gap(marks)
    variables: list[Variable] = []
    for mark in marks["variables"].items():
        parts = mark.mapping(
            {"name", "from", "role", "label", "unit", "log", "interpolate", "max_gap", "winsorize"},
            ("name", "from", "role"),
        )
        taken = [*PANEL_COLUMNS, treatment]
        name = _name(parts["name"], taken)
        if name in [variable.name for variable in variables]:
            parts["name"].fail(f"a variable {name!r} stands above already.")
        source = parts["from"].word(columns, "a column of panels.city_year or a score of the study")
        log = parts["log"].boolean() if "log" in parts else False
        unit = parts["unit"].text() if "unit" in parts else columns[source][0]
        variables.append(
            Variable(
                name=name,
                source=source,
                role=parts["role"].word(ROLES, "a role"),
                label=read_label(parts["label"]) if "label" in parts else Label(name, name),
                unit=f"ln {unit}" if log and "unit" not in parts else unit,
                log=log,
                interpolate=parts["interpolate"].word(INTERPOLATE, "a way to fill gaps")
                if "interpolate" in parts
                else fill,
                winsorize=_winsorize(parts["winsorize"]) if "winsorize" in parts else trim,
                max_gap=_max_gap(parts, longest),
            )
        )
    return tuple(variables)


def _policies(mark: Mark | None, names: Known, taken: list[str]) -> tuple[OtherPolicy, ...]:
    policies: list[OtherPolicy] = []
    for item in mark.items() if mark else ():
        parts = item.mapping({"name", "policy", "scope", "label"}, ("name", "policy"))
        name = _name(parts["name"], [*PANEL_COLUMNS, *taken, *(policy.name for policy in policies)])
        policy = parts["policy"].word(names.policies, "a list in data/policies")
        label = read_label(parts["label"]) if "label" in parts else Label(name, name)
        scope = _scope(parts.get("scope"), policy, names)
        policies.append(OtherPolicy(name, policy, scope, label, _to_check(policy, scope, names)))
    return tuple(policies)


def _scope(mark: Mark | None, policy: str, names: Known) -> tuple[str, ...]:
    return mark.words(names.policies[policy], f"a scope in data/policies/{policy}.csv") if mark else ()


def _to_check(policy: str, scope: tuple[str, ...], names: Known) -> tuple[int, int]:
    """Entries of a list that count and are still to be checked, and all that count."""
    counts = [count for word, count in names.to_check.get(policy, {}).items() if word in scope or not scope]
    return sum(unchecked for unchecked, _ in counts), sum(entries for _, entries in counts)


def _groups(mark: Mark | None, names: Known, columns: list[str]) -> tuple[Group, ...]:
    """Splits of cities; each states exactly one rule."""
    groups: list[Group] = []
    for item in mark.items() if mark else ():
        parts = item.mapping({"name", "label", *_RULES}, ("name",))
        taken = [*PANEL_COLUMNS, *names.city_columns, *columns, *(group.name for group in groups)]
        name = _name(parts["name"], taken)
        label = read_label(parts["label"]) if "label" in parts else Label(name, name)
        stated = [rule for rule in _RULES if rule in parts]
        if len(stated) != 1:
            item.fail(f"a group needs exactly one of {', '.join(_RULES)}.")
        rule, value = stated[0], parts[stated[0]]
        if rule == "any_of":
            attributes = {
                key: read_values(held, names.city_values.get(key, ()))
                for key, held in value.mapping(names.city_columns).items()
            }
            groups.append(Group(name, label, rule, attributes=attributes))
        elif rule == "at_least":
            bounds = value.mapping(columns)
            if len(bounds) != 1:
                value.fail("expected one column and its threshold, as in {population: 100}.")
            column, bound = next(iter(bounds.items()))
            groups.append(Group(name, label, rule, column, bound.number(-1e15, 1e15)))
        else:
            groups.append(Group(name, label, rule, value.word(columns, VARIABLE)))
    return tuple(groups)


_RULES = ("above_mean", "at_least", "ever", "any_of")


def _other_panels(mark: Mark | None, study: str) -> dict[str, tuple[int, int]]:
    """Panels of the same study over other years, each with a name of its own in the warehouse."""
    panels = mark.mapping() if mark else {}
    for name, years in panels.items():
        if not name.startswith(f"{study}_") or not name.isidentifier() or name != name.lower():
            years.fail(f"the panel's name must be {study}_ and lower-case letters, as in {study}_long.")
    return {name: read_years(years) for name, years in panels.items()}

"""What a study YAML may say: read, checked against what exists, and turned into frozen records.

Every complaint names file, line, key and the nearest valid word. Nothing is estimated here, and no data are read beyond
the names that a study may refer to (columns of data/reference/cities.csv, lists in data/policies).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis import catalogue as variables
from analysis.documents import Document, DocumentError, read, validate
from analysis.studies import file_panel, file_study
from analysis.studies.exhibits import read_exhibits
from analysis.studies.policies import doubts, numbers, scopes, to_check
from analysis.studies.records import Known, Study, by_year, lagged
from analysis.studies.standard import REFEREE, STANDARD, expanded, standard
from analysis.studies.written import PANEL_TABLES, WrittenStudy, label_of

__all__ = ["DATA", "FOLDER", "PANEL_TABLES", "catalogue", "known", "load"]
FOLDER = Path(__file__).parent
#: Between words that the warehouse keeps in one text: the unit separator, which no word holds.
SEPARATOR = "\x1f"
DATA = FOLDER.parent.parent / "data"


def known(
    data: Path = DATA,
    lists: Mapping[str, Path] | None = None,
    columns_drawn: Mapping[str, tuple[str, str]] | None = None,
    roster: bytes | None = None,
) -> Known:
    """Names found in ``data``/reference/cities.csv and in lists of cities, and the columns of panels.city_year.

    ``lists`` are the policy lists by name, by default those of ``data``/policies; ``columns_drawn`` the columns of
    panels.city_year with unit and meaning, by default those of the built-in catalogue; ``roster`` is the content of
    cities.csv where that of ``data`` is not meant.
    """
    content = (data / "reference" / "cities.csv").read_bytes() if roster is None else roster
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    columns = tuple(rows[0]) if rows else ()
    for column in ("city_code", "name_zh"):
        if column not in columns:
            raise ValueError(f"{data / 'reference' / 'cities.csv'}: the column {column!r} is missing; put it back.")
    flags = tuple(column for column in columns if {row[column] for row in rows} <= {"0", "1"})
    cities = {row["city_code"]: row["name_zh"] for row in rows}
    if lists is None:
        lists = {path.stem: path for path in sorted((data / "policies").glob("*.[cx]*"))}
    policies = {name: scopes(path, cities) for name, path in lists.items()}
    unchecked = {name: to_check(path) for name, path in lists.items()}
    values = {column: frozenset(row[column] for row in rows) for column in columns}
    return Known(
        variables.load().drawn if columns_drawn is None else columns_drawn,
        columns,
        flags,
        frozenset(cities),
        policies,
        city_values=values,
        to_check=unchecked,
        places=file_panel.places(data / "reference"),
        roster={row["city_code"]: row for row in rows},
        policy_numbers={name: numbers(path) for name, path in lists.items()},
        doubts={name: doubts(path) for name, path in lists.items()},
    )


def catalogue(folder: Path | None = None) -> dict[str, Path]:
    """Study name -> its YAML, for every study in ``folder`` (by default the ones of this package), sorted by name."""
    return {path.stem: path for path in sorted((folder or FOLDER).glob("*.yaml"))}


def load(path: Path, names: Known | None = None, source: Path | None = None) -> Study:
    """Read and check one study.

    Parameters
    ----------
    path
        The YAML; its stem is the study's name.
    names
        What the study may refer to, by default what `known` finds.
    source
        The file of a study that names one, where it lies elsewhere than the YAML says: in an archive.

    Raises
    ------
    ValueError
        Naming file, line, key and the nearest valid word: an unknown or missing key, column, variable, policy, city or
        method, a value of the wrong sort, a repeated key, a tag.
    """
    path = Path(path)
    names = names or known()
    document = read(path)
    written: WrittenStudy
    if file_study.is_file_study(document):
        document, written, study, names = file_study.load(document, names, source)
    else:
        written, study = _from_warehouse(document, path, names)
    if written.study != path.stem:
        said = f"the study is called {written.study!r} but its file {path.name!r}; they must agree."
        raise DocumentError(document.fault(("study",), said))
    printed = path.parent / "published" / path.name
    published = tuple(read(printed).value["exhibits"]) if printed.exists() else names.published
    if document.value["exhibits"] in (STANDARD, REFEREE):
        from analysis.studies.referee import referee

        usual = standard if document.value["exhibits"] == STANDARD else referee
        document = expanded(document, usual(study))
    return replace(study, exhibits=read_exhibits(document, study, names, published))


def _from_warehouse(document: Document, path: Path, names: Known) -> tuple[WrittenStudy, Study]:
    """A study whose panel the warehouse makes, as it is written and as a record without its exhibits."""
    own = ("columns", "city_columns", "flags", "cities", "policies", "city_values", "city_numbers", "policy_numbers")
    context = {key: getattr(names, key) for key in own}
    written = validate(WrittenStudy, document, context)
    return written, _study(written, path, names)


def _study(written: WrittenStudy, path: Path, names: Known) -> Study:
    """The record of what is written, without its exhibits."""
    efficiency = tuple(score.record(name) for name, score in written.efficiency.items())
    units = {column: unit for column, (unit, _) in names.columns.items()}
    units |= {column: "score" for scored in efficiency for column in scored.columns}
    defaults = {key: getattr(written, key) for key in ("interpolate", "max_gap", "winsorize")}
    variables = tuple(variable.record(defaults, units) for variable in written.variables)
    variables, controls = lagged(variables, by_year(written.controls, written.sample.years), written.controls_lag)
    codes = written.sample.codes(names.roster)
    return Study(
        name=written.study,
        title=written.title.label,
        citation=written.paper.citation if written.paper else None,
        doi=written.paper.doi if written.paper else None,
        policy=written.policy,
        policy_scope=written.policy_scope,
        treatment=written.treatment,
        treatment_label=label_of(written.treatment_label, written.treatment),
        cities="" if codes else str(written.sample.cities),
        years=written.sample.years,
        other_panels=written.other_panels,
        variables=variables,
        efficiency=efficiency,
        policies=tuple(other.record(_to_check(other.policy, other.scope, names)) for other in written.policies),
        groups=tuple(group.record for group in written.groups),
        outcomes=written.outcomes,
        controls=controls,
        fixed_effects=written.fixed_effects,
        cluster=written.cluster,
        exhibits=(),
        note=written.note.label if written.note else None,
        file=path,
        weights={name: matrix.record(name, variables) for name, matrix in written.weights.items()},
        to_check=_to_check(written.policy, written.policy_scope, names),
        city_codes=codes,
        last_month=written.last_month,
        intensity=written.intensity or "",
        doubts=_doubts(written.policy, written.policy_scope, names),
    )


def _to_check(policy: str, scope: tuple[str, ...], names: Known) -> tuple[int, int]:
    """Entries of a list that count and are still to be checked, and all that count."""
    counts = [count for word, count in names.to_check.get(policy, {}).items() if word in scope or not scope]
    return sum(unchecked for unchecked, _ in counts), sum(entries for _, entries in counts)


def _doubts(policy: str, scope: tuple[str, ...], names: Known) -> dict[str, tuple[int | None, bool]]:
    """City -> the other year of its entries that count, and whether none of them has been checked."""
    found: dict[str, tuple[int | None, bool]] = {}
    for word, cities in names.doubts.get(policy, {}).items():
        for code, (year, doubtful) in cities.items() if word in scope or not scope else ():
            before = found.get(code, (year, doubtful))
            found[code] = (before[0] if before[0] is not None else year, before[1] and doubtful)
    return found


def variables_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a variable, in the order of the YAML (``position`` from 1), as the warehouse loads it.

    ``formula_sql`` is missing where the formula is an entropy index, which is made of all rows; ``uses`` joins the
    columns of a formula with commas.
    """
    columns = (
        *("study", "position", "name", "source_column", "formula", "formula_sql", "uses", "role", "interpolate"),
        *("max_gap", "scale", "change", "lag", "winsorize_low", "winsorize_high", "standardise"),
        *("label_en", "label_zh", "unit"),
    )
    rows = []
    for study, panel in _panels(studies):
        for position, v in enumerate(study.variables, start=1):
            low, high = v.winsorize or (None, None)
            made = (v.formula, _sql(v.formula), ",".join(v.uses) or None)
            steps = (v.interpolate, v.max_gap, v.scale, v.change, v.lag, low, high, v.standardise)
            rows.append((panel, position, v.name, v.source, *made, v.role, *steps, v.label.en, v.label.zh, v.unit))
    table = pd.DataFrame(rows, columns=list(columns))
    texts = dict.fromkeys(("formula", "formula_sql", "uses"), "str")
    floats = {"winsorize_low": "float64", "winsorize_high": "float64"}
    whole = {"position": "int64", "lag": "int64", "max_gap": "Int64"}
    return table.astype({**whole, "standardise": "bool", **texts, **floats})


def _sql(formula: str | None) -> str | None:
    if formula is None:
        return None
    from analysis.formulas import parse

    parsed = parse(formula)
    return None if parsed.parts else parsed.sql()


def studies_table(studies: Collection[Study]) -> pd.DataFrame:
    """One row a panel of a study, as the warehouse loads it; ``policy_scope``: words by SEPARATOR, missing for all.

    The sample is a column of cities.csv (``cities``) or, where that is missing, ``city_codes`` joined with commas.
    """
    columns = ["study", "policy", "treatment", "cities", "first_year", "last_year", "policy_scope"]
    rows = []
    for s, panel in _panels(studies):
        own = (panel, s.policy, s.treatment, s.cities or None, *s.other_panels.get(panel, s.years))
        rows.append(
            (
                *own,
                SEPARATOR.join(s.policy_scope) or None,
                ",".join(s.city_codes) or None,
                s.last_month,
                s.intensity or None,
            )
        )
    table = pd.DataFrame(rows, columns=[*columns, "city_codes", "last_month", "intensity"])
    texts = dict.fromkeys(("cities", "policy_scope", "city_codes", "intensity"), "str")
    return table.astype({"first_year": "int64", "last_year": "int64", "last_month": "int64", **texts})


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
        (panel, position, p.name, p.policy, SEPARATOR.join(p.scope) or None, p.label.en, p.label.zh)
        for study, panel in _panels(studies)
        for position, p in enumerate(study.policies, start=1)
    ]
    return pd.DataFrame(rows, columns=columns).astype({"position": "int64"})


def _panels(studies: Collection[Study]) -> list[tuple[Study, str]]:
    """Every panel: a study's own under its name, then those over other years."""
    return [(study, panel) for study in studies for panel in (study.name, *study.other_panels)]

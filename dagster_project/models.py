"""dbt models that follow from what is declared elsewhere, written beside the warehouse before dbt reads its project.

panels.city_year follows from the catalogue, a study's panel from its specification. How such a model computes stands in
dbt/macros; here are only the calls of those macros, with the SQL that formulas give, and each column's type,
description and bounds. Neither a new variable nor a new study therefore needs a file in dbt/.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.names import IMPUTED
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.catalogue import Catalogue
    from analysis.studies.records import Study

#: Models beside the panels that the report shows.
REPORTED = ("data_dictionary", "caliber_changes", "files", "layers", "rejects", "formulas")
#: Column of a panel: name, type in the warehouse, description.
Column = tuple[str, str, str]


def files(catalogue: Catalogue, studies: Collection[Study]) -> dict[str, str]:
    """Path below ``Paths.dbt_models`` -> text of every model, and of its properties."""
    found = {"panels/city_year.sql": _city_year(catalogue), "panels/city_year.yml": _city_year_described(catalogue)}
    for study in studies:
        for panel, years in {study.name: study.years, **study.other_panels}.items():
            drawn = {variable.source for variable in study.variables}
            indices = {name: parts for name, parts in catalogue.indices.items() if name in drawn}
            found[f"panels/{panel}.sql"] = _call("study_panel", panel, indices=indices)
            found[f"panels/{panel}.yml"] = _described(panel, _about(study, years), _panel_columns(study))
    panels = [Path(name).stem for name in found if name.endswith(".sql")]
    return found | {"report.yml": _exposure([*panels, *REPORTED])}


def write(paths: Paths, catalogue: Catalogue, studies: Collection[Study]) -> None:
    """Write these models to ``paths.dbt_models``, and take away those that are none any more."""
    wanted = files(catalogue, studies)
    for path in paths.dbt_models.rglob("*"):
        if path.is_file() and path.relative_to(paths.dbt_models).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = paths.dbt_models / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _call(macro: str, *arguments: object, **named: object) -> str:
    """The call of a dbt macro; what it is given is plain text and lists, which JSON writes as Jinja reads them."""
    given = [json.dumps(argument, ensure_ascii=False, indent=4) for argument in arguments]
    given += [f"{name}={json.dumps(value, ensure_ascii=False, indent=4)}" for name, value in named.items()]
    return f"{{{{ {macro}({', '.join(given)}) }}}}\n"


def _city_year(catalogue: Catalogue) -> str:
    steps = []
    for step in catalogue.steps:
        made = {name: catalogue.variables[name].formula for name in step}
        # a variable that is an indicator under its own name stands there already
        new = {name: formula for name, formula in made.items() if formula and formula.text != name}
        steps.append({name: "" if formula.parts else formula.sql() for name, formula in new.items()})
    used = [step for step in steps if step]
    return _call("city_year", steps=used, indices=catalogue.indices, columns=list(catalogue.columns))


def _city_year_described(catalogue: Catalogue) -> str:
    about = (
        "One row a city of the roster of 2021 and year: every variable a study may draw on, as measured. Nothing is "
        "filled in, logged or winsorised. Each description opens with the unit; borders are those of 2021. Columns "
        "follow from data/catalogue/variables.yaml."
    )
    columns = [(column.name, column.type, column.documentation) for column in catalogue.columns.values()]
    tests = []
    for blocking, severity in ((True, "error"), (False, "warn")):
        bounds = {
            name: [column.bounds.low, column.bounds.above, column.bounds.high]
            for name, column in catalogue.variables.items()
            if column.bounds and column.bounds.blocking == blocking
        }
        name = f"city_year_is_within_its_{'bounds' if blocking else 'usual_bounds'}"
        arguments = {"bounds": bounds}
        tests.append({"is_within": {"name": name, "arguments": arguments, "config": {"severity": severity}}})
    return _described("city_year", about, columns, tests)


def _exposure(models: Collection[str]) -> str:
    """The report, as dbt's documentation shows what is made of its models."""
    report = {
        "name": "report",
        "label": "Report of the studies",
        "type": "dashboard",
        "maturity": "high",
        "description": "Tables, figures, data checks and the data dictionary of every study, data/reports/index.html.",
        "owner": {"name": "pilotcity"},
        "depends_on": [f"ref('{model}')" for model in models],
    }
    return json.dumps({"version": 2, "exposures": [report]}, ensure_ascii=False, indent=1) + "\n"


def _about(study: Study, years: tuple[int, int]) -> str:
    span = f"{years[0]} to {years[1]}"
    return (
        f"One row a city and year of the study {study.name}, {span}: {study.title.en.rstrip('.')}. Variables and what "
        "was done to them stand in panels.data_dictionary, <name>__imputed says which values were filled in."
    )


def _panel_columns(study: Study) -> Iterable[Column]:
    """The columns that the macro study_panel makes, in its order."""
    yield "city_code", "varchar", "Six-digit GB/T 2260 code as of 2021."
    yield "year", "integer", "Year that the values describe."
    yield "adoption", "integer", "First year of the city's pilot; missing for never."
    treated = "1 from the first treated year on (to the last, where the list says one), else 0."
    intense = f"{study.intensity} of the policy's entries that are in force, else 0."
    kind, means = ("double", intense) if study.intensity else ("integer", treated)
    yield study.treatment, kind, f"{study.treatment_label.en}: {means}"
    for policy in study.policies:
        yield (
            policy.name,
            "integer",
            f"{policy.label.en}: 1 from the city's year of adoption on, else 0.",
        )
    yield "borders_merged", "boolean", "Whether any value of the row is a sum of units that were apart in that year."
    yield "borders_changed", "boolean", "Whether this is the first year of other borders."
    for variable in study.variables:
        yield (
            variable.name,
            "double",
            f"{variable.unit}. {variable.label.en.rstrip('.')}; made of {variable.written}."
            if variable.formula
            else f"{variable.unit}. {variable.label.en.rstrip('.')}; drawn from {variable.source}.",
        )
        if variable.interpolate != "none":
            yield f"{variable.name}{IMPUTED}", "boolean", f"Whether {variable.name} was filled in."


def _described(model: str, about: str, columns: Iterable[Column], tests: Collection[dict[str, Any]] = ()) -> str:
    """The properties of a model: its contract, the description of each column, its key as a test beside others."""
    listed: list[dict[str, Any]] = [
        {"name": name, "data_type": kind, "quote": True, "description": text} for name, kind, text in columns
    ]
    properties = {
        "name": model,
        "description": about,
        "config": {"contract": {"enforced": True}},
        "columns": listed,
        "data_tests": [
            {"is_key": {"name": f"{model}_has_a_key", "arguments": {"columns": ["city_code", "year"]}}},
            *tests,
        ],
    }
    # JSON is YAML
    return json.dumps({"version": 2, "models": [properties]}, ensure_ascii=False, indent=1) + "\n"

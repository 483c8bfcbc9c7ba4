"""dbt models that follow from what is declared elsewhere, written beside the warehouse before dbt reads its project.

A panel follows from its study's specification. How such a model computes stands in dbt/macros; here are only the calls
of those macros, and each column's type and description. A study therefore needs no file in dbt/.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from analysis.names import IMPUTED
from dagster_project.paths import Paths

if TYPE_CHECKING:
    from analysis.studies.records import Study

#: Column of a panel: name, type in the warehouse, description.
Column = tuple[str, str, str]


def files(studies: Collection[Study]) -> dict[str, str]:
    """Path below ``Paths.dbt_models`` -> text of every model, and of its properties."""
    found: dict[str, str] = {}
    for study in studies:
        for panel, years in {study.name: study.years, **study.other_panels}.items():
            found[f"panels/{panel}.sql"] = f"{{{{ study_panel('{panel}') }}}}\n"
            found[f"panels/{panel}.yml"] = _described(panel, _about(study, years), _panel_columns(study))
    return found


def write(paths: Paths, studies: Collection[Study]) -> None:
    """Write these models to ``paths.dbt_models``, and take away those that are none any more."""
    wanted = files(studies)
    for path in paths.dbt_models.rglob("*"):
        if path.is_file() and path.relative_to(paths.dbt_models).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = paths.dbt_models / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


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
    yield study.treatment, "integer", f"{study.treatment_label.en}: 1 from the first treated year on, else 0."
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


def _described(model: str, about: str, columns: Iterable[Column], key: Collection[str] = ("city_code", "year")) -> str:
    """The properties of a model: its contract, the description of each column, its key as a test."""
    listed: list[dict[str, Any]] = [
        {"name": name, "data_type": kind, "quote": True, "description": text} for name, kind, text in columns
    ]
    properties = {
        "name": model,
        "description": about,
        "config": {"contract": {"enforced": True}},
        "columns": listed,
        "data_tests": [{"is_key": {"name": f"{model}_has_a_key", "arguments": {"columns": list(key)}}}],
    }
    # JSON is YAML
    return json.dumps({"version": 2, "models": [properties]}, ensure_ascii=False, indent=1) + "\n"

"""docs/study.md: every key of a study, from the models that read it, so that the page cannot be out of date.

``python -m analysis.studies.keys`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from analysis.documents import NAMES
from analysis.studies import written
from analysis.studies.exhibits import exhibit_type
from analysis.studies.file_study import FileSample, WrittenFileStudy, WrittenPanel
from analysis.studies.kinds import KINDS, _reading
from analysis.studies.kinds.regression import Comparison
from analysis.studies.methods import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "study.md"
#: Vocabulary that a text is drawn from -> how the page calls it.
VOCABULARIES = {
    "columns": "a column of `panels.city_year`",
    "scores": "a score of the study",
    "variables": "a variable of the study",
    "measured": "a variable of the study",
    "described": "a variable or the treatment",
    "group_columns": "a variable, the treatment or a flag of borders",
    "groups": "a group of the study",
    "conditions": "a variable, a group or a column of `cities.csv`",
    "city_columns": "a column of `cities.csv`",
    "city_numbers": "a number of `cities.csv`",
    "flags": "a 0/1 column of `cities.csv`",
    "cities": "a city's code",
    "policies": "a policy list",
    "other_panels": "one of `other_panels`",
    "weights": "one of `weights`",
    "published": "an exhibit of the paper",
    "units": "a unit of the file",
}
HEAD = """# Every key of a study

A study is one YAML in `studies/` of the own folder (or in `analysis/studies/`). `pilotcity new-study NAME` begins one,
`pilotcity check NAME` tells every fault with its line, `pilotcity schema` writes what an editor completes. This page is
written by `python -m analysis.studies.keys` from the models that read studies. A key without a default has to be there.
A text in two languages is `{en: …, zh: …}`, or one text for both.

```yaml
study: carbon_market
title: Carbon markets and income
policy: carbon_market
treatment: treated
sample: {cities: panel_286, years: [2006, 2021]}
interpolate: linear
fixed_effects: [unit, province x year]
cluster: unit
variables:
  - {name: ln_pgdp, from: gdp_per_capita_yuan, log: true, role: outcome, interpolate: none}
  - {name: fiscal, formula: fiscal_expenditure_to_revenue - 1, role: control}
  - {name: fdi, from: fdi_share, role: control, winsorize: [0.01, 0.99], standardise: true}
outcomes: [ln_pgdp]
controls: [fiscal, fdi, longitude x trend]
controls_lag: 1
exhibits: standard
```
"""
STEPS = """What is done to a variable's values is done in the order of this table, over the years of the study's panel:
`from` or `formula`, gaps, one of the scales, one of the changes, `lag`, `winsorize`, `standardise`. `pilotcity trace`
shows each step with its numbers. A formula sees all years of `panels.city_year`: `lag(x)`, `difference(x)`,
`growth(x)`, `x[2006]`, `ln`, `coalesce`, `least`, `greatest`, `case when … then … else … end`; divided by zero is
missing. Where a difference, growth or lag reaches before the panel's first year, the value is missing; one made of a
value that was filled in counts as filled in."""
EFFECTS = """Effects may be interacted (`province x year`; `city` and `year` are other words for `unit` and `time`,
`province` for `province_code`). A control may be a variable, group or number of `cities.csv` times `trend` (years since
the study's first) or `year` (one slope for each year but the first)."""
FROM_FILE = """## A study from a file

The keys of a study, with these in the place of `policy`, `policies`, `efficiency` and `other_panels`; `variables` is
`all` or a list, in which a plain text is a column under its own name.
"""
EXHIBITS = """## Exhibits

`exhibits: standard` is descriptive statistics, baseline, event study, placebo, decomposition and robust estimators of
every outcome; `exhibits: referee` adds every check that referees ask for and the study allows; `pilotcity audit` lists
them.
"""


def markdown() -> str:
    """The page."""
    union = exhibit_type().__origin__.__args__
    kinds = {model.model_fields["kind"].annotation.__args__[0]: model for model in union}
    common = set(_reading.WrittenExhibit.model_fields)
    parts = [
        HEAD,
        *_section("The study", written.WrittenStudy, EFFECTS),
        *_section("paper", written.Paper),
        *_section("sample", written.Sample),
        *_section("variables, each", written.WrittenVariable, STEPS),
        *_section("efficiency, each", written.WrittenEfficiency),
        *_section("policies, each", written.WrittenPolicy),
        *_section("groups, each", written.WrittenGroup, "Exactly one of the last four."),
        *_section("weights: contiguity", written.Contiguity),
        *_section("weights: inverse_distance", written.InverseDistance),
        *_section("weights: economic_nested", written.EconomicNested),
        FROM_FILE,
        *_section("panel", WrittenPanel, level=3),
        *_section("sample of a file", FileSample, level=3),
        EXHIBITS,
        *_section("Every exhibit", _reading.WrittenExhibit, level=3),
        *_section("table", _reading.WrittenShown, level=3),
        *(line for name, model in kinds.items() for line in _kind(name, model, common)),
        *_section("compare", Comparison, level=3),
        *_section("baseline and columns: choices", _reading.AnyMethodChoices, level=3),
        *_section("columns: changes", _reading.Changes, level=3),
        *_section("sample of a column", _reading.WrittenSubsample, level=3),
        *_section("interaction", _reading.WrittenInteraction, level=3),
        "## Methods and their options\n",
        "| method | option | takes |",
        "| --- | --- | --- |",
        *(line for name in METHODS for line in _options(name)),
    ]
    assert set(KINDS) == set(kinds)
    assert WrittenFileStudy.model_fields["panel"].annotation is WrittenPanel
    return "\n".join(parts) + "\n"


def _kind(name: str, model: type[BaseModel], common: Iterable[str]) -> Iterator[str]:
    yield f"### kind: {name}\n"
    yield f"{' '.join((model.__doc__ or '').split())}\n"
    yield from _table(model, skip={*common, "kind"})


def _section(title: str, model: type[BaseModel], more: str = "", level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    yield f"{' '.join((model.__doc__ or '').split())}\n"
    yield from _table(model)
    if more:
        yield f"{more}\n"


def _table(model: type[BaseModel], skip: Iterable[str] = ()) -> Iterator[str]:
    schema = model.model_json_schema()
    yield "| key | takes | default | |"
    yield "| --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        key = field.alias or name
        takes = _takes(schema["properties"][key], schema.get("$defs", {}))
        default = "" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {takes} | {default} | {field.description or ''} |"
    yield ""


def _options(method: str) -> Iterator[str]:
    schema = _reading.options_of(method).model_json_schema()
    options = schema.get("properties", {})
    if not options:
        yield f"| `{method}` | | |"
    for at, (name, part) in enumerate(options.items()):
        takes = _takes(part, schema.get("$defs", {}))
        yield f"| {'' if at else f'`{method}`'} | `{name}` | {takes} |"


def _default(value: Any) -> str:
    if value is None or isinstance(value, BaseModel) or (not value and not isinstance(value, (bool, int))):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _takes(part: dict[str, Any], models: dict[str, Any]) -> str:
    """A part of a schema in a few words."""
    if "$ref" in part:
        inside = models[part["$ref"].rpartition("/")[2]]
        return _takes(inside, models) if "anyOf" in inside else "keys, see below"
    if NAMES in part or "enum" in part:
        named = [VOCABULARIES[name] for name in part.get(NAMES, ())]
        return " or ".join(dict.fromkeys([*(f"`{word}`" for word in part.get("enum", ())), *named]))
    if "const" in part:
        return f"`{part['const']}`"
    if "anyOf" in part or "oneOf" in part:
        kinds = [_takes(each, models) for each in part.get("anyOf") or part["oneOf"] if each.get("type") != "null"]
        if kinds == ["text", "keys"]:
            return "text, or {en, zh}"
        if len(kinds) == 2 and kinds[1] == f"list of: {kinds[0]}":
            return f"{kinds[0]}; or a list of such"
        return " or ".join(dict.fromkeys(kinds))
    match part.get("type"):
        case "array":
            if "prefixItems" in part:
                return f"two of: {_takes(part['prefixItems'][0], models)}"
            return f"list of: {_takes(part.get('items', {}), models)}"
        case "integer" | "number":
            kind = "whole number" if part["type"] == "integer" else "number"
            return f"{kind}, {part['minimum']:.15g} to {part['maximum']:.15g}" if "minimum" in part else kind
        case "boolean":
            return "true or false"
        case "object":
            return "keys" if "properties" in part else "a value for each name"
    if "pattern" in part:
        return "a product, as in `x x y`"
    return "text" if part.get("type") == "string" else "see the options of the method" if not part else "keys"


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")

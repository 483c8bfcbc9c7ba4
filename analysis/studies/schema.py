"""JSON Schema of study files, from the models that read them, so that an editor completes and checks as one types.

What only the whole study shows to be wrong (a control that is dropped and was none) an editor does not see.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from analysis.documents import NAMES
from analysis.studies.exhibits import exhibit_type
from analysis.studies.file_study import WrittenFileStudy
from analysis.studies.records import Known
from analysis.studies.standard import REFEREE, STANDARD
from analysis.studies.written import WrittenStudy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema(names: Known) -> dict[str, Any]:
    """The schema of a study; what ``names`` holds (columns, policies, cities) is listed where it may stand.

    A study with the key ``panel`` takes its panel from a file, any other from the warehouse.
    """
    word: Any = Literal["standard", "referee"]
    assert (STANDARD, REFEREE) == ("standard", "referee")
    exhibits: Any = GenericAlias(dict, (str, exhibit_type())) | word
    about = Field(
        description="Every table and figure, in the order of the page; `standard` or `referee`: the usual ones."
    )
    whole: list[type[BaseModel]] = [
        create_model(name, __base__=base, __doc__=base.__doc__, exhibits=(exhibits, about))
        for name, base in (("Study", WrittenStudy), ("StudyFromFile", WrittenFileStudy))
    ]
    both = create_model("Both", warehouse=(whole[0], ...), file=(whole[1], ...))
    made = both.model_json_schema(by_alias=True)
    known = {
        **{key: sorted(getattr(names, key)) for key in ("columns", "city_columns", "flags", "cities", "policies")},
        "city_numbers": sorted(names.city_numbers),
    }
    return {
        "$schema": DIALECT,
        "title": "A study of pilotcity",
        "if": {"required": ["panel"]},
        "then": made["properties"]["file"],
        "else": made["properties"]["warehouse"],
        "$defs": {name: _named(part, {} if name == "StudyFromFile" else known) for name, part in made["$defs"].items()},
    }


def _named(part: Any, known: dict[str, list[str]]) -> Any:
    """A part of the schema in which texts drawn from known names list them."""
    if isinstance(part, list):
        return [_named(each, known) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: _named(value, known) for key, value in part.items() if key != NAMES}
    if NAMES in part:
        words = [*part["enum"], *(word for name in part[NAMES] for word in known.get(name, ()))]
        words += [int(word) for word in words if word.isdigit()]
        del found["enum"]
        found["enum" if all(name in known for name in part[NAMES]) else "examples"] = words
    return found

"""What a study YAML may say under `exhibits`; what each kind adds is stated in its own module of `kinds`.

Exhibits are read after the rest of the study, whose names they use.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, create_model

from analysis.documents import Document, below, document_error, validate
from analysis.documents import Kind as Kinds
from analysis.studies.kinds import KINDS, Kind
from analysis.studies.kinds import __name__ as PACKAGE
from analysis.studies.records import Exhibit, Known, Study
from analysis.studies.written import label_of


def read_exhibits(document: Document, study: Study, names: Known, published: Collection[str]) -> tuple[Exhibit, ...]:
    """The exhibits of a study whose other parts have been read, in the order of its YAML.

    Parameters
    ----------
    published
        Exhibits of the paper whose printed figures are kept.

    Raises
    ------
    DocumentError
        With every fault of every exhibit.
    """
    groups = [group.name for group in study.groups]
    context: dict[str, Any] = {
        **{key: getattr(names, key) for key in ("city_columns", "cities", "city_values", "city_numbers")},
        "variables": study.columns,
        "described": [study.treatment, *study.columns],
        "groups": groups,
        "conditions": [*study.columns, *groups, *names.city_columns],
        "other_panels": study.other_panels,
        "weights": study.weights,
        "published": published,
    }
    written: Any = validate(_model(tuple(KINDS.items())), document, context)
    made = []
    for name, each in written.exhibits.items():
        common = Exhibit(
            name=name,
            kind=each.kind,
            title=label_of(each.title, name.replace("_", " ")),
            note=each.note.label if each.note else None,
            published=each.published,
            is_drawn=KINDS[each.kind].picture is not None,
            shown=each.table.shown,
        )
        try:
            made.append(each.exhibit(common, study))
        except ValidationError as error:
            raise document_error(document, below(("exhibits", name), error)) from None
    return tuple(made)


def exhibit_type() -> Any:
    """The type of one exhibit: a union of the kinds, told apart by ``kind``."""
    return _exhibit_type(tuple(KINDS.items()))


@lru_cache(maxsize=4)
def _exhibit_type(kinds: tuple[tuple[str, Kind], ...]) -> Any:
    models = []
    for name, kind in kinds:
        tag: Any = Literal[name]
        # what it is for is said at the top of the kind's module
        about = getattr(sys.modules.get(f"{PACKAGE}.{name}"), "__doc__", "") or kind.written.__doc__
        models.append(create_model(f"{name} exhibit", __base__=kind.written, __doc__=about, kind=(tag, ...)))
    union: Any = models[0]
    for model in models[1:]:
        union |= model
    return Annotated[union, Field(discriminator="kind"), Kinds("a kind of exhibit")]


@lru_cache(maxsize=4)
def _model(kinds: tuple[tuple[str, Kind], ...]) -> type[BaseModel]:
    name = Annotated[str, AfterValidator(_is_word)]
    exhibits: Any = GenericAlias(dict, (name, _exhibit_type(kinds)))
    return create_model("Exhibits", exhibits=(exhibits, ...))


def _is_word(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} must be a word of letters, digits and underscores, as in table_4")
    return name

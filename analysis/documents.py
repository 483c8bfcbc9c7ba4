"""YAML that people write: read strictly, checked by a pydantic model, every fault told where it stands.

Plain values only, each with its line; what a study or a contract may say is stated by models built on `Strict`. A fault
is a sentence that names file, line, key and, for a word, the nearest valid one. Nothing here knows a study or a source.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import ScalarNode

#: Keys and positions (from 0) that lead to a value.
Location = tuple[str | int, ...]
DEEPEST = 50
#: More values than any document states, aliases written out.
MOST_VALUES = 100_000
#: Nearest words are looked for by this; a text longer than any name is like none of them.
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Fault:
    """What is wrong in a file: ``line`` from 1 (0: nowhere in it), ``key`` as in ``variables[2].role`` or empty."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        line, key = f", line {self.line}" if self.line else "", f", key {self.key!r}" if self.key else ""
        return f"{self.file}{line}{key}: {self.message}"


class DocumentError(ValueError):
    """A document that cannot be used. Its sentence is that of the first of ``faults``."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(str(faults[0]))
        self.faults = faults


@dataclass(frozen=True)
class Document:
    """A file's plain values, and the line (from 1) on which each of them stands."""

    path: Path
    value: Any
    lines: Mapping[Location, int]

    def fault(self, location: Iterable[str | int], message: str) -> Fault:
        """The fault of the value at ``location``, or of the deepest value on the way to it that the file has.

        Steps that lead nowhere in the file are passed over: pydantic names the form of a union between keys.
        """
        here: Location = ()
        for step in location:
            if (*here, step) in self.lines:
                here = (*here, step)
        return Fault(self.path.name, self.lines[here], written_path(here), message)


def written_path(location: Location) -> str:
    """A location as a person writes it: keys joined by dots, positions in brackets from 1."""
    parts = [f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in location]
    return "".join(parts).removeprefix(".")


def read(
    path: Path, *, aliases: bool = False, kind: str = "studies", error: type[DocumentError] = DocumentError
) -> Document:
    """The values of a YAML file.

    Parameters
    ----------
    aliases
        Whether anchors and aliases may stand in it; merge keys never may.
    kind
        What such files are called, for the sentences.

    Raises
    ------
    DocumentError
        Or its subclass ``error``: the file is missing, is no UTF-8 YAML, holds a tag, a repeated key or more than one
        document, or is deeper or larger than any document is.
    """
    try:
        once = _read(path, path.read_text(encoding="utf-8"), aliases, kind)
        return Document(path, copy.deepcopy(once.value), once.lines)
    except FileNotFoundError:
        raise error(Fault(path.name, 0, "", f"there is no file {path}.")) from None
    except UnicodeDecodeError as broken:
        sentence = f"this is not UTF-8 text (byte {broken.start}); save it as UTF-8."
        raise error(Fault(path.name, 0, "", sentence)) from None
    except YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        sentence = f"not valid YAML: {getattr(broken, 'problem', broken)}."
        raise error(Fault(path.name, mark.line + 1 if mark else 0, "", sentence)) from None
    except DocumentError as refused:
        raise error(*refused.faults) from None


@lru_cache(maxsize=64)
def _read(path: Path, text: str, aliases: bool, kind: str) -> Document:
    """A text once read: a command reads its studies several times, and YAML is slow to read."""
    return _Reader(path, text, aliases, kind).document()


class _Reader:
    """One pass over the events of a YAML text, which never builds more than the text's plain values."""

    def __init__(self, path: Path, text: str, aliases: bool, kind: str) -> None:
        self.path, self.aliases, self.kind = path, aliases, kind
        yaml = YAML(typ="safe", pure=True)
        self.events: Iterator[Event] = iter(yaml.parse(text))
        self.scalars = YAML(typ="safe", pure=True)
        self.lines: dict[Location, int] = {}
        self.order: list[Location] = []
        #: Anchor -> value and the lines in it; None while the anchor is still open and would hold itself.
        self.anchors: dict[str, tuple[Any, dict[Location, int]] | None] = {}
        self.depth = 0

    def fail(self, event: Event, message: str) -> DocumentError:
        return DocumentError(Fault(self.path.name, event.start_mark.line + 1, "", message))

    def document(self) -> Document:
        value, started = None, False
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if started:
                    raise self.fail(event, "a second document begins here; a file holds one.")
                started, first = True, next(self.events)
                value = self.value(first, (), first.start_mark.line + 1)
        if not started:
            raise DocumentError(Fault(self.path.name, 0, "", "the file is empty."))
        return Document(self.path, value, self.lines)

    def value(self, event: Event, here: Location, line: int) -> Any:
        self.check(event)
        if isinstance(event, AliasEvent):
            return self.alias(event, here, line)
        before = len(self.order)
        self.place(here, line)
        if before >= MOST_VALUES:
            raise self.fail(event, f"more than {MOST_VALUES:,} values stand here.")
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        value = self.collection(event, here) if isinstance(event, CollectionStartEvent) else self.scalar(event)
        if anchor:
            inside = {at[len(here) :]: self.lines[at] for at in self.order[before:]}
            self.anchors[anchor] = value, inside
        return value

    def place(self, here: Location, line: int) -> None:
        self.lines[here] = line
        self.order.append(here)

    def check(self, event: Event) -> None:
        if not self.aliases and (isinstance(event, AliasEvent) or getattr(event, "anchor", None)):
            sentence = f"anchors (&) and aliases (*) are not used in {self.kind}; write the values out."
            raise self.fail(event, sentence)
        # Quoted text carries the tag "!" in some versions of the parser; only a tag somebody wrote is longer.
        tag = getattr(event, "tag", None)
        if tag and str(tag) != "!" and not (isinstance(event, ScalarEvent) and event.implicit[0]):
            raise self.fail(event, f"the tag {str(tag)!r} is not used in {self.kind}; write the plain value.")

    def alias(self, event: AliasEvent, here: Location, line: int) -> Any:
        meant = self.anchors.get(event.anchor)
        if meant is None:
            raise self.fail(event, f"the alias *{event.anchor} stands for nothing above it, or for itself.")
        value, inside = meant
        if len(self.lines) + len(inside) > MOST_VALUES:
            raise self.fail(event, f"aliases (*) stand for more than {MOST_VALUES:,} values; write them out.")
        for at, on in (inside | {(): line}).items():
            self.place((*here, *at), on)
        return value

    def collection(self, event: CollectionStartEvent, here: Location) -> dict[str, Any] | list[Any]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(event, f"lists and keys stand more than {DEEPEST} deep in each other.")
        value = self.mapping(here) if isinstance(event, MappingStartEvent) else self.sequence(here)
        self.depth -= 1
        return value

    def mapping(self, here: Location) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := next(self.events), CollectionEndEvent):
            self.check(event)
            if not isinstance(event, ScalarEvent):
                raise self.fail(event, "a key must be plain text.")
            key, line = str(event.value), event.start_mark.line + 1
            if key in value:
                raise self.fail(event, f"the key {key!r} stands twice, first in line {self.lines[(*here, key)]}.")
            value[key] = self.value(next(self.events), (*here, key), line)
        return value

    def sequence(self, here: Location) -> list[Any]:
        value: list[Any] = []
        while not isinstance(event := next(self.events), CollectionEndEvent):
            value.append(self.value(event, (*here, len(value)), event.start_mark.line + 1))
        return value

    def scalar(self, event: Event) -> Any:
        assert isinstance(event, ScalarEvent)
        tag = self.scalars.resolver.resolve(ScalarNode, event.value, event.implicit)
        node = ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)
        try:
            return self.scalars.constructor.construct_object(node, deep=True)
        except (ValueError, OverflowError):
            raise self.fail(event, f"{event.value!r} looks like a date or a number and is none; quote it.") from None


def describe(value: Any) -> str:
    """A value as a sentence names it."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "keys and values"
    return repr(value)


def nearest(word: str, valid: Collection[str]) -> str | None:
    """The valid word most like ``word``, or None when none is like it."""
    matches = difflib.get_close_matches(word[:_LONGEST_NAME], sorted(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def hint(word: str, valid: Collection[str]) -> str:
    """The end of a sentence on a wrong word: the nearest valid one, or what is valid."""
    best = nearest(word, valid)
    if best:
        return f"; the nearest is {best!r}."
    some = ", ".join(map(repr, sorted(valid)[:12])) + (", …" if len(valid) > 12 else "")
    return f"; valid here: {some}." if valid else "; nothing is valid here."


def faults(found: Mapping[Location, str]) -> ValidationError:
    """What a validator raises to name values inside its own: location from there -> sentence."""
    lines = [InitErrorDetails(type=fault(sentence), loc=location, input=None) for location, sentence in found.items()]
    return ValidationError.from_exception_data("document", lines)


def fault(sentence: str) -> PydanticCustomError:
    """What a validator raises of its own value."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def below(location: Location, error: ValidationError) -> ValidationError:
    """The same faults, of a part that stands at ``location``."""
    told = [_told(each) for each in error.errors(include_url=False)]
    return faults({(*location, *inside): sentence for inside, sentence in told})


class Strict(BaseModel):
    """Keys and values of a document. A key that is not known is a fault that names the nearest one."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, value: Any) -> Any:
        if isinstance(value, dict):
            valid = {field.alias or name for name, field in cls.model_fields.items()}
            strange = [key for key in value if key not in valid]
            if strange:
                unknown = "{!r} is not a key that is known here{}"
                raise faults({(key,): unknown.format(key, hint(key, valid)) for key in strange})
        return value


class OrText(Strict):
    """A document that may be written as a text by itself, which is then the value of its key ``plain_key``."""

    plain_key: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {cls.plain_key: value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = handler(schema)
        plain = handler.resolve_ref_schema(whole)["properties"][cls.plain_key]
        alone = {key: value for key, value in plain.items() if key not in ("title", "description")}
        return {"anyOf": [alone, whole]}


@dataclass(frozen=True)
class Word:
    """Of a text: one of ``words``, or of the names that the validation's context holds under each of ``of``.

    ``what`` ends the sentence "... is not ...". Names that the context lacks are not checked: a fault above, which is
    told, kept them from being read. A whole number is taken for its digits.
    """

    what: str
    words: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        plain = handler(schema)
        if self.of:
            kinds = {"type": ["string", "integer"]} if plain.get("type") == "string" else {}
            return {**plain, **kinds, "enum": list(self.words), NAMES: list(self.of)}
        return {**plain, "enum": list(self.words)} if self.words else plain

    def read(self, value: Any, info: core_schema.ValidationInfo) -> str:
        """The word that a value is; raises a fault where it is none."""
        word = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(word, str) or not word.strip():
            raise fault(f"expected a text, found {describe(value)}.")
        context = info.context or {}
        if (self.words or self.of) and all(name in context for name in self.of):
            valid = [*self.words, *(word for name in self.of for word in context[name])]
            if word not in valid:
                raise fault(f"{word!r} is not {self.what}{hint(word, valid)}")
        return word


#: Key of a JSON schema that holds the names of the context's vocabularies a text is drawn from.
NAMES = "x-names-of"


@dataclass(frozen=True)
class Between:
    """Of a number: from ``low`` to ``high``, a whole one where the type is int; infinity and no number are refused."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        valid, kind = ((int,), "whole number") if source is int else ((int, float), "number")

        def check(value: Any) -> Any:
            if isinstance(value, bool) or not isinstance(value, valid) or not self.low <= value <= self.high:
                limits = f"from {self.low:.15g} to {self.high:.15g}"
                raise fault(f"expected a {kind} {limits}, found {describe(value)}.")
            return value

        return core_schema.no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Kind:
    """Of a union told apart by ``key``: its value is one of the kinds there are; ``what`` as of `Word`."""

    what: str
    key: str = "kind"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        union = handler(source)
        assert union["type"] == "tagged-union"
        valid = [str(tag) for tag in union["choices"]]

        def check(value: Any) -> Any:
            kind = value.get(self.key) if isinstance(value, dict) else None
            if isinstance(value, dict) and self.key not in value:
                raise fault(f"the key {self.key!r} is missing.")
            if isinstance(value, dict) and kind not in valid:
                raise faults({(self.key,): f"{kind!r} is not {self.what}{hint(str(kind), valid)}"})
            return value

        return core_schema.no_info_before_validator_function(check, union)


class Different:
    """Of a list: no value stands in it twice."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    @staticmethod
    def _check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        twice: dict[Location, str] = {
            (at,): f"{value!r} stands in the list twice." for at, value in enumerate(values) if value in values[:at]
        }
        if twice:
            raise faults(twice)
        return values


class OneOrMore:
    """Of a list: a value by itself stands for a list of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        listed = core_schema.no_info_before_validator_function(self._list, handler(source))
        return core_schema.no_info_after_validator_function(Different._check, listed)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}

    @staticmethod
    def _list(value: Any) -> Any:
        return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise fault(f"expected a text, found {describe(value)}.")
    return value


#: A text that says something.
Text = Annotated[str, BeforeValidator(_text)]
Model = TypeVar("Model", bound=BaseModel)

#: pydantic's kind of error -> what was expected.
_EXPECTED: dict[str, str] = {
    **dict.fromkeys(
        ("model_type", "dict_type", "model_attributes_type", "mapping_type", "union_tag_not_found"), "keys and values"
    ),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    "string_type": "a text",
    "string_too_short": "a text",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
}


def validate(
    model: type[Model],
    document: Document,
    context: dict[str, Any] | None = None,
    error: type[DocumentError] = DocumentError,
) -> Model:
    """The document as ``model`` reads it; ``context`` holds the names that `Word` looks up.

    Raises
    ------
    DocumentError
        Or its subclass ``error``: with every fault, in the order of the file's lines.
    """
    try:
        return model.model_validate(document.value, context=context)
    except ValidationError as found:
        raise document_error(document, found, error) from None


def document_error(
    document: Document, found: ValidationError, error: type[DocumentError] = DocumentError
) -> DocumentError:
    """The faults that a model has found, each with its place in the document, in the order of its lines."""
    told = [document.fault(*_told(each)) for each in found.errors(include_url=False)]
    return error(*sorted(dict.fromkeys(told), key=lambda one: one.line))


def _told(error: Any) -> tuple[Location, str]:
    """Where one of pydantic's errors lies, and its sentence."""
    kind, where = error["type"], error["loc"]
    if kind == "missing":
        last = where[-1]
        return where, "the list is too short." if isinstance(last, int) else f"the key {last!r} is missing."
    if kind == "literal_error":
        return where, f"{error['input']!r} is not a word that is known here; expected {error['ctx']['expected']}."
    if kind in _EXPECTED:
        return where, f"expected {_EXPECTED[kind]}, found {describe(error['input'])}."
    return where, error["msg"].removeprefix("Value error, ").rstrip(".") + "."

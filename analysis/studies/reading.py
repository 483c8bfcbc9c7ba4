"""Strict YAML with line numbers: what a person wrote, and where, so that every complaint can name the line.

Plain values only: tags, anchors, aliases and repeated keys are errors. What a study may say is decided in `spec`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

_DEEPEST = 50
_SCALARS = YAML(typ="safe", pure=True).constructor


class Mark:
    """A value of the file with its place: `value`, its `path` of keys and its `line` (from 1).

    Mappings hold marks under plain text keys, lists hold marks; everything else is text, a number, a boolean or None.
    The methods take the value apart and raise a ValueError that names file, line, key and, for a word, the nearest
    valid one.
    """

    def __init__(self, value: Any, file: Path, line: int, path: str) -> None:
        self.value, self.file, self.line, self.path = value, file, line, path

    def fail(self, message: str) -> NoReturn:
        """Raise a ValueError that says where this value stands."""
        place = f", key {self.path!r}" if self.path else ""
        raise ValueError(f"{self.file.name}, line {self.line}{place}: {message}")

    def mapping(self, allowed: Collection[str] | None = None, required: Collection[str] = ()) -> dict[str, Mark]:
        """The keys and values of a mapping whose keys are all ``allowed`` (any, when None)."""
        if not isinstance(self.value, dict):
            self.fail(f"expected keys and values, found {_describe(self.value)}.")
        for key, mark in self.value.items():
            if allowed is not None and key not in allowed:
                mark.fail(f"{key!r} is not a key that is known here{_nearest(key, allowed)}")
        for key in required:
            if key not in self.value:
                self.fail(f"the key {key!r} is missing.")
        return dict(self.value)

    def items(self) -> list[Mark]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, found {_describe(self.value)}.")
        return list(self.value)

    def text(self) -> str:
        """A non-empty text."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.fail(f"expected a text, found {_describe(self.value)}.")
        return self.value

    def word(self, valid: Collection[str], what: str) -> str:
        """A text that is one of ``valid``; ``what`` ends the sentence "... is not ..."."""
        value = str(self.value) if isinstance(self.value, int) and not isinstance(self.value, bool) else self.text()
        if value not in valid:
            self.fail(f"{value!r} is not {what}{_nearest(value, valid)}")
        return value

    def words(self, valid: Collection[str], what: str) -> tuple[str, ...]:
        """A list of different words, each one of ``valid``."""
        found: list[str] = []
        for mark in self.items():
            word = mark.word(valid, what)
            if word in found:
                mark.fail(f"{word!r} stands in the list twice.")
            found.append(word)
        return tuple(found)

    def boolean(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            self.fail(f"expected true or false, found {_describe(self.value)}.")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """A whole number between ``low`` and ``high``."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.fail(f"expected a whole number from {low} to {high}, found {_describe(self.value)}.")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``; not a number and infinity are refused."""
        numeric = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not numeric or not low <= self.value <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, found {_describe(self.value)}.")
        return float(self.value)


def read(path: Path) -> Mark:
    """The contents of a YAML file as marks.

    Raises
    ------
    ValueError
        The file is missing, is not UTF-8 YAML, or holds a tag, an anchor, an alias or a repeated key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    try:
        _refuse_tags(text, path)
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path.name}{place}: not valid YAML: {getattr(error, 'problem', error)}.") from None
    if node is None:
        raise ValueError(f"{path.name} is empty.")
    return _mark(node, path, "", node.start_mark.line + 1)


def _refuse_tags(text: str, path: Path) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        place = f"{path.name}, line {event.start_mark.line + 1}"
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"{place}: lists and keys stand more than {_DEEPEST} deep in each other.")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"{place}: anchors (&) and aliases (*) are not used in studies; write the values out.")
        # Quoted text carries the tag "!" in some versions of the parser; only a tag somebody wrote is longer.
        tag = getattr(event, "tag", None)
        if tag and str(tag) != "!" and not (isinstance(event, ScalarEvent) and event.implicit[0]):
            raise ValueError(f"{place}: the tag {str(tag)!r} is not used in studies; write the plain value.")


def _mark(node: Node, path: Path, key: str, line: int) -> Mark:
    if isinstance(node, MappingNode):
        return Mark(dict(_pairs(node, path, key)), path, line, key)
    if isinstance(node, SequenceNode):
        elements = [
            _mark(element, path, f"{key}[{index}]", element.start_mark.line + 1)
            for index, element in enumerate(node.value, start=1)
        ]
        return Mark(elements, path, line, key)
    return Mark(_SCALARS.construct_object(node, deep=True), path, line, key)


def _pairs(node: MappingNode, path: Path, key: str) -> Iterator[tuple[str, Mark]]:
    seen: dict[str, int] = {}
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name.value, str):
            raise ValueError(f"{path.name}, line {line}: a key must be plain text.")
        if name.value in seen:
            raise ValueError(
                f"{path.name}, line {line}: the key {name.value!r} stands twice, first in line {seen[name.value]}."
            )
        seen[name.value] = line
        yield name.value, _mark(value, path, f"{key}.{name.value}" if key else name.value, line)


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "keys and values"
    return repr(value)


def nearest(word: str, valid: Collection[str]) -> str | None:
    """The valid word most like ``word``, or None when none is like it."""
    matches = difflib.get_close_matches(word, sorted(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def _nearest(word: str, valid: Collection[str]) -> str:
    best = nearest(word, valid)
    if best:
        return f"; the nearest is {best!r}."
    some = ", ".join(map(repr, sorted(valid)[:12])) + (", …" if len(valid) > 12 else "")
    return f"; valid here: {some}." if valid else "; nothing is valid here."


def plain(mark: Mark) -> Any:
    """The value without its marks, for files that are only looked up."""
    if isinstance(mark.value, Mapping):
        return {key: plain(value) for key, value in mark.value.items()}
    if isinstance(mark.value, list):
        return [plain(value) for value in mark.value]
    return mark.value

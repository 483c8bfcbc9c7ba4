"""Strict YAML with line numbers: what a person wrote, and where, so that every complaint can name the line.

Plain values only: tags, anchors, aliases and repeated keys are errors. What a study may say is decided in `spec`; the
values that several of its parts hold, such as labels and spans of years, are read here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from analysis import documents
from analysis.documents import Document, DocumentError, Fault, Location, describe, hint, nearest

__all__ = ["Mark", "marked", "nearest", "plain", "read"]


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
        raise DocumentError(Fault(self.file.name, self.line, self.path, message))

    def mapping(self, allowed: Collection[str] | None = None, required: Collection[str] = ()) -> dict[str, Mark]:
        """The keys and values of a mapping whose keys are all ``allowed`` (any, when None)."""
        if not isinstance(self.value, dict):
            self.fail(f"expected keys and values, found {describe(self.value)}.")
        for key, mark in self.value.items():
            if allowed is not None and key not in allowed:
                mark.fail(f"{key!r} is not a key that is known here{hint(key, allowed)}")
        for key in required:
            if key not in self.value:
                self.fail(f"the key {key!r} is missing.")
        return dict(self.value)

    def items(self) -> list[Mark]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, found {describe(self.value)}.")
        return list(self.value)

    def text(self) -> str:
        """A non-empty text."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.fail(f"expected a text, found {describe(self.value)}.")
        return self.value

    def word(self, valid: Collection[str], what: str) -> str:
        """A text that is one of ``valid``; ``what`` ends the sentence "... is not ..."."""
        value = str(self.value) if isinstance(self.value, int) and not isinstance(self.value, bool) else self.text()
        if value not in valid:
            self.fail(f"{value!r} is not {what}{hint(value, valid)}")
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
            self.fail(f"expected true or false, found {describe(self.value)}.")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """A whole number between ``low`` and ``high``."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.fail(f"expected a whole number from {low} to {high}, found {describe(self.value)}.")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``; not a number and infinity are refused."""
        numeric = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not numeric or not low <= self.value <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, found {describe(self.value)}.")
        return float(self.value)


def read(path: Path) -> Mark:
    """The contents of a YAML file as marks; `documents.read` says what is refused."""
    return marked(documents.read(path))


def marked(document: Document, here: Location = ()) -> Mark:
    """The value of a document at a location, with its marks."""
    value = document.value
    for step in here:
        value = value[step]
    if isinstance(value, dict):
        value = {key: marked(document, (*here, key)) for key in value}
    elif isinstance(value, list):
        value = [marked(document, (*here, at)) for at in range(len(value))]
    return Mark(value, document.path, document.lines[here], documents.written_path(here))


def plain(mark: Mark) -> Any:
    """The value without its marks, for files that are only looked up."""
    if isinstance(mark.value, Mapping):
        return {key: plain(value) for key, value in mark.value.items()}
    if isinstance(mark.value, list):
        return [plain(value) for value in mark.value]
    return mark.value

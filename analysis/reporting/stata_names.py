"""Names of columns as Stata takes them. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Collection

from analysis.reporting.dictionary import IMPUTED

#: Longest name of a variable that Stata takes.
NAME = 32
_RESERVED = frozenset(
    {"_all", "_b", "_coef", "_cons", "_n", "_N", "_pi", "_pred", "_rc", "_skip", "byte", "double", "float", "if", "in"}
    | {"int", "long", "strL", "using", "with"}
)


def stata_names(columns: Collection[str]) -> dict[str, str]:
    """Column -> a name that Stata takes: letters, digits and underscores, 32 at most, no reserved word, each once."""
    names: dict[str, str] = {}
    for column in map(str, columns):
        name = re.sub(r"\W", "_", column)
        name = f"_{name}" if name[:1].isdigit() or not name else name
        name = f"{name}_" if name in _RESERVED or re.fullmatch(r"str\d+", name) else name
        name = _shorter(name) if len(name) > NAME else name
        number = 2
        while name in names.values():
            suffix = f"_{number}"
            name, number = _shorter(name, NAME - len(suffix)) + suffix, number + 1
        names[column] = name
    return names


def _shorter(name: str, longest: int = NAME) -> str:
    """A name cut in its middle where it says what was filled in, else at its end."""
    if name.endswith(IMPUTED):
        return name.removesuffix(IMPUTED)[: longest - len("__imp")] + "__imp"
    return name[:longest]

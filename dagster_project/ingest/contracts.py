"""What a source promises: which files, which sheets, which columns mean what, in which unit.

Contracts are YAML in data/contracts; this module reads and checks them. Nothing here opens a raw file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

FOOTNOTE_MARKS = re.compile("[\u2460-\u2473\u24ea\u2776-\u277f*＊†‡]")
UNIT_IN_HEADER = re.compile(r"[(\[](?P<unit>[^()\[\]]+)[)\]]")


class ContractError(ValueError):
    """A contract that cannot be used; the message names file, line and key."""


class Strict(BaseModel):
    """A part of a contract: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(Strict):
    """A text in both languages of the project."""

    en: str
    zh: str = ""


class FromText(Strict):
    """A value taken from the file's or sheet's name by a pattern with one group, or the same for every row."""

    from_: Literal["file", "sheet", "constant", "header"] = Field(alias="from")
    pattern: str = "(.*)"
    value: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if re.compile(pattern).groups < 1:
            raise ValueError("the pattern needs a group in parentheses")
        return pattern


class FromColumn(Strict):
    """A value taken from a column of the row, by one of its headers."""

    header: str | list[str]

    @property
    def aliases(self) -> list[str]:
        return [self.header] if isinstance(self.header, str) else list(self.header)


class Keys(Strict):
    """Where a row's city and year stand; code and province help where a name alone is ambiguous."""

    year: FromText | FromColumn
    city: FromText | FromColumn
    code: FromColumn | None = None
    province: FromColumn | None = None


class Column(FromColumn):
    """One column of values.

    ``unit`` is a text, ``{from: header}`` for the text in the header's parentheses, or ``{header: …}`` for another
    column of the row.
    ``range`` is in the indicator's canonical unit. ``optional`` columns may be absent without a word.
    """

    indicator: str
    unit: str | FromText | FromColumn
    range: tuple[float, float] | None = None
    optional: bool = False
    note: str = ""


class Table(Strict):
    """A layout of sheet: which sheets have it, where the header is, what its columns mean."""

    sheets: list[str] = ["*"]
    header_rows: list[int] = Field(default=[1], min_length=1)
    keys: Keys
    columns: list[Column] = Field(min_length=1)
    skip: list[str] = []


class Contract(Strict):
    """A source, as data/contracts/<source>.yaml states it."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["yearbook", "patents"]
    title: Label
    publisher: str
    covers: str
    licence: str
    obtain: str
    files: list[str] = Field(min_length=1)
    priority: int = 50
    encoding: str | None = None
    tables: list[Table] = []
    columns: dict[str, str] = {}
    kinds: dict[str, list[str]] = {}
    path: Path = Path()
    sha256: str = ""

    def matches(self, relative: PurePosixPath) -> bool:
        """Whether a file of the raw folder, by its relative path, belongs to this source."""
        return any(glob_match(relative, pattern) for pattern in self.files)


def glob_match(relative: PurePosixPath, pattern: str) -> bool:
    """Glob with ``**/`` for any depth including none."""
    return relative.match(pattern) or (pattern.startswith("**/") and relative.match(pattern[3:]))


def clean_header(text: str) -> str:
    """A header as it is compared: full width to half width, no spaces, no footnote marks."""
    plain = unicodedata.normalize("NFKC", FOOTNOTE_MARKS.sub("", text))
    return re.sub(r"\s+", "", plain)


def split_unit(header: str, units: frozenset[str]) -> tuple[str, str]:
    """A cleaned header without its unit, and the unit: a known unit in parentheses, wherever it stands."""
    for found in UNIT_IN_HEADER.finditer(header):
        if found["unit"] in units:
            return header[: found.start()] + header[found.end() :], found["unit"]
    unknown = [found["unit"] for found in UNIT_IN_HEADER.finditer(header)]
    return header, unknown[-1] if unknown else ""


def load(path: Path) -> Contract:
    """Read and check one contract. Raises ContractError naming file, line and key."""
    text = path.read_bytes()
    try:
        tree = YAML(typ="rt").load(text.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{path.name}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, CommentedMap):
        raise ContractError(f"{path.name}: a contract is a mapping of keys to values.")
    try:
        contract = Contract.model_validate(plain_values(tree))
    except ValidationError as error:
        first = error.errors()[0]
        keys = [key for key in first["loc"] if not (isinstance(key, str) and key.startswith("From"))]
        where = ".".join(map(str, keys))
        raise ContractError(f"{path.name}, line {line_of(tree, keys)}, {where}: {first['msg']}.") from error
    if contract.kind == "yearbook" and not contract.tables:
        raise ContractError(f"{path.name}: a yearbook contract needs `tables`.")
    return contract.model_copy(update={"path": path, "sha256": hashlib.sha256(text).hexdigest()})


def load_all(folder: Path) -> dict[str, Contract]:
    """Every contract of a folder by source name, in order of name."""
    contracts: dict[str, Contract] = {}
    for path in sorted(folder.glob("*.yaml")):
        contract = load(path)
        if contract.source != path.stem:
            raise ContractError(f"{path.name}: `source: {contract.source}` must be the file's name, {path.stem}.")
        contracts[contract.source] = contract
    return contracts


def plain_values(node: object) -> object:
    """A ruamel tree as plain dicts, lists and scalars."""
    if isinstance(node, CommentedMap):
        return {str(key): plain_values(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [plain_values(value) for value in node]
    return node


def line_of(tree: object, keys: list[int | str]) -> int:
    """The 1-based line of the deepest of ``keys`` that the tree still has."""
    line = 1
    node = tree
    for key in keys:
        try:
            if isinstance(node, CommentedMap) and key in node:
                line = node.lc.key(key)[0] + 1
                node = node[key]
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
                node = node[key]
            else:
                break
        except (KeyError, TypeError):
            break
    return line


def indicators_of(contract: Contract) -> Iterator[tuple[str, Column]]:
    """Each indicator a contract provides, with its column."""
    for table in contract.tables:
        for column in table.columns:
            yield column.indicator, column

"""What a source promises: which files, which sheets, which columns mean what, in which unit.

Contracts are YAML in data/contracts; this module reads and checks them. Nothing here opens a raw file.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import re
import re._parser as sre  # type: ignore[import-not-found]
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from analysis.documents import DocumentError, Fault, OrText, Strict, read, validate

REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
FOOTNOTE_MARKS = re.compile("[\u2460-\u2473\u24ea\u2776-\u277f*＊†‡]")
UNIT_IN_HEADER = re.compile(r"[(\[](?P<unit>[^()\[\]]+)[)\]]")
UNIT_BEHIND = re.compile(r"(?P<bare>.+)[/,，:：;_](?:单位[:：]?)?(?P<unit>[^/,，:：;_]+)")


class ContractError(DocumentError):
    """A contract that cannot be used; the message names file, line and key."""


class Label(Strict):
    """A text in both languages of the project."""

    en: str
    zh: str = ""


#: A pattern is matched against so many characters of a text at most, and may be tried on each in so many ways: more
#: would let one contract hold up a run for hours.
LONGEST_MATCHED = 255
MOST_WAYS = 20_000_000


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
        ways = _ways(sre.parse(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text[:200]!r} is no regular expression: {error}") from error
    if ways > MOST_WAYS:
        raise ValueError(
            f"{text[:200]!r} may take very long to match: it repeats what repeats or varies, or repeats too often"
        )
    return pattern


def _ways(parsed: Iterable[tuple[Any, Any]], repeated: bool = False) -> float:
    """In how many ways a pattern may be tried at one place of a text at most; infinite where a repeat has a choice."""
    ways = 1.0
    for kind, value in parsed:
        choices = 1.0
        if kind in REPEATS:
            least, most, body = value
            inner = _ways(body, repeated or most > 1)
            choices = inner * (min(int(most), LONGEST_MATCHED) - int(least) + 1 if least < LONGEST_MATCHED else 1)
        elif kind is sre.BRANCH:
            choices = sum(_ways(branch, repeated) for branch in value[1])
        elif kind in (sre.ASSERT, sre.ASSERT_NOT):
            choices = _ways(value[1], repeated)
        elif kind is sre.SUBPATTERN or kind is sre.ATOMIC_GROUP:
            choices = _ways(value[-1] if kind is sre.SUBPATTERN else value, repeated)
        elif kind is sre.GROUPREF_EXISTS:
            choices = sum(_ways(branch or (), repeated) for branch in value[1:])
        if repeated and choices > 1:
            return math.inf
        ways *= choices
    return ways


@lru_cache(maxsize=10_000)
def match_of(pattern: str, text: str) -> re.Match[str] | None:
    """Where a contract's pattern matches a text, of which a very long one is looked at in its beginning only."""
    return re.search(pattern, text if len(text) <= LONGEST_MATCHED else f"{text[: LONGEST_MATCHED - 1]}\0")


class FromText(Strict):
    """A value taken by a pattern with one group from the file's or sheet's name or the title above the table, or the
    same for every row; ``from: header``: what a column's header says in the place of ``{year}`` or ``{city}``."""

    from_: Literal["file", "sheet", "title", "constant", "header"] = Field(alias="from")
    pattern: str = "(.*)"
    value: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if _pattern(pattern).groups < 1:
            raise ValueError("the pattern needs a group in parentheses")
        return pattern


class FromColumn(Strict):
    """A value taken from a column of the row, by one of its headers; ``position`` names one of equal ones, from 1. The
    header "" is that of a column without one."""

    header: str | list[str]
    position: int | None = Field(default=None, ge=1)

    @property
    def aliases(self) -> list[str]:
        return [self.header] if isinstance(self.header, str) else list(self.header)


class KeyColumn(FromColumn):
    """A key taken from a column of the row, or from what the group of a pattern finds there, as where name and year, or
    code and name, run together; a text that the pattern does not fit is taken whole."""

    pattern: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        if pattern and _pattern(pattern).groups < 1:
            raise ValueError("the pattern needs a group in parentheses")
        return pattern

    def of(self, text: str) -> str:
        """The key in a cell's text."""
        found = match_of(self.pattern, text) if self.pattern else None
        return found.group(1) if found else text


def _form(value: object) -> str:
    """Which of the forms a value has, so that a mistake in one is not reported as a mistake in the others."""
    if isinstance(value, str):
        return "Text"
    return "FromText" if isinstance(value, FromText) or (isinstance(value, dict) and "from" in value) else "FromColumn"


Place = Annotated[
    Annotated[FromText, Tag("FromText")] | Annotated[KeyColumn, Tag("FromColumn")],
    Discriminator(_form, custom_error_type="form", custom_error_message="expected {header: …} or {from: …}"),
]
Unit = Annotated[
    Annotated[str, Tag("Text")] | Annotated[FromText, Tag("FromText")] | Annotated[FromColumn, Tag("FromColumn")],
    Discriminator(_form),
]


class Keys(Strict):
    """Where a row's city and year stand; code and province help where a name alone is ambiguous.

    ``indicator`` is a column that names what the row's value measures; ``part`` is one that says which part of the city
    and year a row holds (a month, a county, an industry): such rows count only where ``where`` chooses among them.
    A year that nothing in the file says may be left out: the cells are then set aside until somebody says it.
    """

    year: Place | None = None
    city: Place | None = None
    code: KeyColumn | None = None
    province: KeyColumn | None = None
    indicator: KeyColumn | None = None
    part: KeyColumn | None = None

    @model_validator(mode="after")
    def _names_a_place(self) -> Self:
        if self.city is None and self.code is None:
            raise ValueError("a table needs a `city` or a `code`")
        return self

    @property
    def in_headers(self) -> set[str]:
        """Keys that stand in the headers of columns."""
        return {name for name in ("year", "city") if getattr(getattr(self, name), "from_", "") == "header"}


class Definition(OrText):
    """What an indicator means under a header, and how sure that is; a plain text is one still to be checked."""

    plain_key = "says"
    says: str
    certainty: Literal["public record", "to be checked"] = "to be checked"
    source: str = ""

    @model_validator(mode="after")
    def _names_its_record(self) -> Self:
        if self.certainty == "public record" and not self.source:
            raise ValueError("a definition that is public record needs its `source`: who published it, and where")
        return self

    @property
    def marked(self) -> str:
        """The definition as it is quoted, with the mark of what is uncertain."""
        return self.says if self.certainty == "public record" else f"{self.says} ({self.certainty})"


class Column(FromColumn):
    """One column of values.

    ``unit`` is a text, ``{from: header}`` for the text in the header's parentheses, or ``{header: …}`` for another
    column of the row.
    ``range`` is in the indicator's canonical unit. ``optional`` columns may be absent without a word. ``definitions``
    says, for headers under which the indicator means something else than before or after, what it means.
    """

    indicator: str
    unit: Unit
    range: tuple[float, float] | None = None
    optional: bool = False
    note: str = ""
    definitions: dict[str, Definition] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _defines_its_headers(self) -> Self:
        strange = [header for header in self.definitions if header not in self.aliases]
        if strange:
            raise ValueError(f"`definitions` names {strange[0]!r}, which is no header of this column")
        return self

    @field_validator("unit")
    @classmethod
    def _stands_in_header(cls, unit: str | FromText | FromColumn) -> str | FromText | FromColumn:
        if isinstance(unit, FromText) and unit.from_ != "header":
            raise ValueError("a unit is a text, {from: header} or {header: …}")
        return unit

    @field_validator("range")
    @classmethod
    def _ordered(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits and limits[0] > limits[1]:
            raise ValueError(f"the range starts at {limits[0]:g}, above its end, {limits[1]:g}")
        return limits


class Aggregate(OrText):
    """How rows that hold parts of a city's year, such as months, make the year: their mean, their sum or the last.

    A year of fewer or more than ``parts`` rows is set aside; unsaid, it is as many as most years have.
    """

    plain_key = "by"
    by: Literal["mean", "sum", "last"]
    parts: int | None = Field(default=None, ge=2)


class Table(Strict):
    """A layout of sheet: which sheets have it, where the header is, what its columns mean.

    ``title`` is a pattern that must fit the text above the header, where tables of one sheet differ in that alone.
    Without ``header_rows`` the header is found by its text, wherever it stands and as often as it stands there, over
    ``header_levels`` rows. Where ``keys.indicator`` names the indicator in the row, the ``header`` of a column is what
    stands there, and ``value`` is the column of numbers. ``where`` keeps rows by what stands under a header, and
    ``aggregate`` makes one value of those that are left of a city and year. Rows about a place of another level than
    ``levels`` are set aside. ``fill_down`` names keys whose blank cells repeat the one above.
    """

    sheets: list[str] = Field(default=["*"])
    title: str = ""
    header_rows: list[int] | None = Field(default=None, min_length=1)
    header_levels: int = Field(default=1, ge=1, le=4)
    keys: Keys
    columns: list[Column] = Field(min_length=1)
    value: FromColumn | None = None
    where: dict[str, list[str]] = Field(default={})
    aggregate: Aggregate | None = None
    levels: list[Literal["country", "province", "city", "prefecture", "county"]] = Field(default=[])
    fill_down: list[Literal["year", "city", "code", "province", "indicator"]] = Field(default=[])
    skip: list[str] = Field(default=[])

    @field_validator("where", mode="before")
    @classmethod
    def _as_texts(cls, where: object) -> object:
        if not isinstance(where, dict):
            return where
        return {
            header: [str(one) for one in (kept if isinstance(kept, list) else [kept])] for header, kept in where.items()
        }

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.keys.indicator is None) != (self.value is None):
            raise ValueError("`keys.indicator` and `value` belong together: one names, the other holds the number")
        places = [self.value] if self.value else self.columns
        for name in self.keys.in_headers:
            for place in places:
                if any(f"{{{name}}}" not in alias for alias in place.aliases):
                    raise ValueError(f"the {name} comes from headers: each header here needs {{{name}}} in its place")
        return self

    @field_validator("title")
    @classmethod
    def _is_pattern(cls, title: str) -> str:
        return _pattern(title).pattern

    @field_validator("skip")
    @classmethod
    def _compile(cls, patterns: list[str]) -> list[str]:
        return [_pattern(pattern).pattern for pattern in patterns]


class Contract(Strict):
    """A source, as data/contracts/<source>.yaml states it."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["yearbook", "patents", "cases"] = "yearbook"
    title: Label = Label(en="")
    publisher: str = ""
    covers: str = ""
    licence: str = ""
    obtain: str = ""
    files: list[str] = Field(min_length=1)
    priority: int = 50
    encoding: str | None = None
    tables: list[Table] = Field(default=[])
    columns: dict[str, str] = Field(default_factory=dict)
    kinds: dict[str, list[str]] = Field(default_factory=dict)
    path: Path = Path()
    sha256: str = ""

    @field_validator("files")
    @classmethod
    def _name_files(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                PurePosixPath("x").match(pattern.removeprefix("**/"))
            except ValueError:
                raise ValueError(f"{pattern!r} names no file; a pattern is like '**/roads*.xlsx'") from None
        return patterns

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ValueError(f"no encoding is called {encoding!r}; files here are utf-8 or gb18030") from None
        return encoding

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


@lru_cache(maxsize=8)
def _cleaned(units: frozenset[str]) -> dict[str, str]:
    return {clean_header(unit): unit for unit in sorted(units)}


def split_unit(header: str, units: frozenset[str]) -> tuple[str, str]:
    """A cleaned header without its unit, and the unit: a known one in parentheses, wherever it stands, or behind the
    last slash, comma or colon."""
    known = _cleaned(units)
    for found in UNIT_IN_HEADER.finditer(header):
        if found["unit"] in known:
            return header[: found.start()] + header[found.end() :], known[found["unit"]]
    behind = UNIT_BEHIND.fullmatch(header)
    if behind and behind["unit"] in known:
        return behind["bare"], known[behind["unit"]]
    unknown = [found["unit"] for found in UNIT_IN_HEADER.finditer(header)]
    return header, unknown[-1] if unknown else ""


def load(path: Path) -> Contract:
    """Read and check one contract. Raises ContractError naming file, line and key."""
    # Aliases of plain values are fine: contracts say once how all their tables are keyed.
    document = read(path, aliases=True, kind="contracts", error=ContractError)
    contract = validate(Contract, document, error=ContractError)
    if contract.kind == "yearbook" and not contract.tables:
        raise ContractError(Fault(path.name, 0, "", "a yearbook contract needs `tables`."))
    title = contract.title if contract.title.en else Label(en=contract.source)
    return contract.model_copy(
        update={"title": title, "path": path, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    )


def contract_schema(indicators: Collection[str]) -> dict[str, Any]:
    """JSON Schema of a contract; ``indicators`` are listed where one may stand."""
    schema = Contract.model_json_schema(by_alias=True)
    for name in ("path", "sha256"):  # what is read of the file itself
        del schema["properties"][name]
    schema["$defs"]["Column"]["properties"]["indicator"]["enum"] = sorted(indicators)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A contract of pilotcity"}


def load_all(folder: Path) -> dict[str, Contract]:
    """Every contract of a folder by source name, in order of name."""
    contracts: dict[str, Contract] = {}
    for path in sorted(folder.glob("*.yaml")):
        contract = load(path)
        if contract.source != path.stem:
            said = f"`source: {contract.source}` must be the file's name, {path.stem}."
            raise ContractError(Fault(path.name, 0, "source", said))
        contracts[contract.source] = contract
    return contracts


def indicators_of(contract: Contract) -> Iterator[tuple[str, Column]]:
    """Each indicator a contract provides, with its column."""
    for table in contract.tables:
        for column in table.columns:
            yield column.indicator, column


def headers_table(contracts: Iterable[Contract]) -> pd.DataFrame:
    """One row a header that has a definition of its own: source, indicator, header as it is compared, definition.

    A definition that is not public record ends in "(to be checked)".
    """
    rows = [
        (contract.source, indicator, clean_header(header), definition.marked)
        for contract in contracts
        for indicator, column in indicators_of(contract)
        for header, definition in column.definitions.items()
    ]
    return pd.DataFrame(rows, columns=["source", "indicator", "header", "definition"], dtype="str").drop_duplicates()


def titles_table(contracts: Iterable[Contract]) -> pd.DataFrame:
    """One row a source: what a reader wants to know of where a value comes from."""
    columns = ["source", "kind", "title_en", "title_zh", "publisher", "licence", "priority"]
    rows = [(c.source, c.kind, c.title.en, c.title.zh, c.publisher, c.licence, c.priority) for c in contracts]
    return pd.DataFrame(rows, columns=columns)

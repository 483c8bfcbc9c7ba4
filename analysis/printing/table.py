"""A table before it has a format: its parts, and how a number is written. What goes in is each kind's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

SAMPLE = "SAMPLE DATA"
SAMPLE_NOTE = "SAMPLE DATA: made by simulation, not observed. No number here says anything about a real city."


@dataclass(frozen=True)
class Line:
    """A row of a table; ``kind`` is "estimate", "se" (belongs to the row above) or "fact"."""

    label: str
    cells: tuple[str, ...]
    kind: str = "fact"


@dataclass(frozen=True)
class Panel:
    """A block of rows under a heading (None for the first)."""

    title: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table ready to be written in any format; every cell is text, an empty one has nothing to show.

    Attributes
    ----------
    caption : number and title.
    headers : one or two rows of column headings, without the first column's.
    first_heading : heading of the first column.
    panels : blocks of rows.
    notes : sentences below.
    is_sample : whether the numbers come from the sample world; every format then says so.
    title : the caption without its number, where a document numbers its tables itself.
    name : study and exhibit, as a text may refer to the table: innovative_clusters:table_4.
    """

    caption: str
    headers: tuple[tuple[str, ...], ...]
    first_heading: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    is_sample: bool
    title: str = ""
    name: str = ""


@dataclass(frozen=True)
class Style:
    """How the numbers of a table are written.

    Attributes
    ----------
    decimals : of estimates and their errors.
    below : what stands below an estimate: "se", "t", "p", "interval" (95%), "bootstrap" (p of the wild cluster
        bootstrap) or "none".
    """

    decimals: int = 4
    below: str = "se"


BELOW = ("se", "t", "p", "interval", "bootstrap", "none")
_USUAL = Style()
_style: ContextVar[Style] = ContextVar("style", default=_USUAL)


@contextmanager
def styled(style: Style) -> Iterator[None]:
    """Within: tables are made in another style than the usual one."""
    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)


def style_now() -> Style:
    """The style in which tables are made now."""
    return _style.get()


#: Column headings, heading of the first column, panels and notes of a table.
Content = tuple[tuple[tuple[str, ...], ...], str, tuple[Panel, ...], list[str]]


class Reasons:
    """Footnote letters for the sentences behind cells that hold no number."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, status: str, reason: str) -> str:
        """The status with the letter of its reason."""
        letter = self._letters.setdefault(reason, _letter(len(self._letters)))
        return f"{status} [{letter}]"

    def notes(self) -> list[str]:
        """A line for each letter."""
        return [f"[{letter}] {reason}" for reason, letter in self._letters.items()]


def _letter(index: int) -> str:
    head, last = divmod(index, 26)
    return ("" if head == 0 else _letter(head - 1)) + chr(ord("a") + last)


def display_name(exhibit: str) -> str:
    """table_3 -> Table 3; table_3_balance -> Table 3 (balance)."""
    words = exhibit.capitalize().split("_")
    return " ".join(words[:2]) + (f" ({' '.join(words[2:])})" if len(words) > 2 else "")


def number(value: float, decimals: int | None = None) -> str:
    """A number with four decimals or those of the style, fewer where it is large, in scientific form where it would
    print as zero."""
    decimals = _style.get().decimals if decimals is None else decimals
    if not np.isfinite(value):
        return ""
    if value != 0 and abs(value) < 0.5 * 10.0**-decimals:
        return f"{value:.1e}"
    return f"{value:,.{decimals if abs(value) < 1e5 else 0}f}"


def count(value: float) -> str:
    """A whole number with separators; nothing for a missing one."""
    return f"{value:,.0f}" if np.isfinite(value) else ""

"""The tree that explains a value: its nodes, as lines for a reader and as plain values for a machine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Node:
    """One value, or one thing that was set aside, with what it was made of.

    Attributes
    ----------
    kind : panel, score, column, quantity, cell, records, committed, policy, set_aside or note.
    name : what a machine finds it by: column, indicator or measure; empty for cells.
    title : the first line for a reader.
    value : NaN or None where there is none.
    lines : further lines for a reader: formula with numbers, units, flags.
    details : the same for a machine, and where a cell stands.
    inputs : what it was made of, then what was set aside on the way.
    """

    kind: str
    name: str
    title: str
    year: int | None = None
    value: Any = None
    unit: str = ""
    lines: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Node, ...] = ()

    def replace(self, **changes: Any) -> Node:
        """The same node with other values in some of its fields."""
        return dataclasses.replace(self, **changes)

    def text(self) -> str:
        """The whole tree, one thing a line."""
        return "\n".join(_lines(self, "", ""))

    def plain(self) -> dict[str, Any]:
        """The whole tree as plain values; what is missing is None."""
        made = {
            "kind": self.kind,
            "name": self.name,
            "year": self.year,
            "value": _plain(self.value),
            "unit": self.unit,
            "text": [self.title, *self.lines],
            **{key: _plain(value) for key, value in self.details.items()},
            "inputs": [node.plain() for node in self.inputs],
        }
        return {key: value for key, value in made.items() if value not in ("", []) or key == "inputs"}

    def walk(self) -> Iterator[Node]:
        """This node and every one below it, in order."""
        yield self
        for node in self.inputs:
            yield from node.walk()


def _lines(node: Node, first: str, rest: str) -> Iterator[str]:
    yield first + node.title
    # a line that goes on below the title keeps the bar of what follows it
    bar = "│ " if node.inputs else "  "
    for line in node.lines:
        yield rest + bar + line
    for child in node.inputs:
        last = child is node.inputs[-1]
        yield from _lines(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value

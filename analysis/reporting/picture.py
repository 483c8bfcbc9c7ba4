"""A picture before it has a canvas: how one kind of exhibit is drawn. The kinds are in `pictures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.studies.records import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Picture:
    """How a kind of exhibit is drawn: one panel, the name of its horizontal axis, and a panel in words.

    ``split`` takes a result apart into several panels, by what their titles add; ``wide`` and ``tall`` are the size of
    a panel in that of the usual one.
    """

    panel: Callable[[Axes, Any, Model], None]
    across: str
    words: Callable[[Any], str]
    split: Callable[[Any], Mapping[str, Any]] = lambda fitted: {"": fitted}
    wide: float = 1.0
    tall: float = 1.0

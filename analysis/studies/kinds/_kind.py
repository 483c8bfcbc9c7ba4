"""What makes a kind of exhibit: what its YAML may say, its table, its picture and its files. None stands here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.printing.table import Content
from analysis.studies.kinds._reading import WrittenExhibit
from analysis.studies.records import Exhibit, Model, Study
from analysis.studies.result import ExhibitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: (result, study, its estimates as `compare` returns them) -> what stands where in the table.
Layout = Callable[[ExhibitResult, Study, pd.DataFrame], Content]
#: What a file beside the table holds in a few words, "parquet" or "csv", and its rows.
File = tuple[str, str, pd.DataFrame]


@dataclass(frozen=True)
class Given:
    """What an exhibit may read beside its study's panel: data/reference/cities.csv, and further panels by name."""

    cities: pd.DataFrame | None = None
    panels: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """How an exhibit is drawn: one panel, the name of its horizontal axis, and a panel in words.

    ``split`` takes a result apart into several panels, by what their titles add; ``wide`` and ``tall`` are the size of
    a panel in that of the usual one.
    """

    panel: Callable[[Axes, Any, Model], None]
    across: str
    words: Callable[[Any], str]
    split: Callable[[Any], Mapping[str, Any]] = lambda fitted: {"": fitted}
    wide: float = 1.0
    tall: float = 1.0


def _no_files(fitted: Any) -> list[File]:
    return []


@dataclass(frozen=True)
class Kind:
    """A kind of exhibit; the module that holds it is named as studies name the kind.

    Attributes
    ----------
    written : what the YAML may say, and what turns that into variables or models.
    layout : what stands where in its table.
    picture : how a model's result is drawn, or None.
    files : a model's result -> files beside the table.
    compute : (study, exhibit, panel, what else is given) -> results and rows of what is not computed model by model.
    is_effect : whether its columns estimate the study's effect, and so stand among all estimates side by side.
    part : which part of a study's argument it belongs to, one of `analysis.reporting.argument.PARTS`.
    reads : panels beside the study's own that it reads where they are at hand.
    listed : what is written as CSV before any of the study's data are read, or None.
    fills : a further table of the schema ``estimates``, by name, and a result's rows in it; or None.
    """

    written: type[WrittenExhibit]
    layout: Layout
    picture: Picture | None = None
    files: Callable[[Any], list[File]] = _no_files
    compute: Callable[[Study, Exhibit, pd.DataFrame, Given], tuple[dict[str, Any], list[dict]]] | None = None
    is_effect: bool = False
    part: str = "robustness"
    reads: tuple[str, ...] = ()
    listed: Callable[[Exhibit], pd.DataFrame] | None = None
    fills: tuple[str, Callable[[ExhibitResult | None], pd.DataFrame]] | None = None

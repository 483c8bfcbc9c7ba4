"""The figures that papers print, as a tidy table that estimates can stand beside.

Facts typed from the papers live in the YAML files of this folder; nothing here compares or judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.studies.published.text import Text, read_text
from analysis.studies.reading import Mark, read

FOLDER = Path(__file__).parent
COLUMNS = ["study", "exhibit", "model", "term", "estimate", "se", "stars", "n", "r2", "exact"]
_MODEL_KEYS = ("outcome", "n", "r2", "exact", "terms")


@dataclass(frozen=True)
class Published:
    """The printed numbers of a study.

    Attributes
    ----------
    table
        One row a term: ``study``, ``exhibit``, ``model``, ``term`` (the keys of the estimates), ``estimate``, ``se``,
        ``stars`` (0-3, missing where none were read), ``n`` and ``r2`` of the model, and ``exact``: whether the number
        follows from the list of pilot cities alone, so that any data must reproduce it. A model's exact n has a row of
        its own, with term ``n``.
    notes
        Exhibit -> what a reader of the printed exhibit should know, one sentence each.
    text
        What the paper says in words, as far as it was read.
    """

    table: pd.DataFrame
    notes: Mapping[str, tuple[str, ...]]
    text: Text = field(default_factory=Text)


def published(study: str, folder: Path | None = None) -> Published:
    """Every printed number of a study; empty where no paper stands behind it.

    Raises
    ------
    ValueError
        Naming file, line and key.
    """
    path = (folder or FOLDER) / f"{study}.yaml"
    found = _read(study, path, path.read_bytes() if path.exists() else None)
    return replace(found, table=found.table.copy())


@lru_cache(maxsize=8)
def _read(study: str, path: Path, content: bytes | None) -> Published:
    """What the file says, read once for the same content: each exhibit asks for it."""
    rows: list[tuple] = []
    notes: dict[str, tuple[str, ...]] = {}
    text = Text()
    if content is not None:
        file = read(path).mapping({"study", "exhibits", "text"}, ("exhibits",))
        text = read_text(file["text"]) if "text" in file else text
        for exhibit, written in file["exhibits"].mapping().items():
            parts = written.mapping({"notes", "models"})
            notes[exhibit] = tuple(note.text() for note in parts["notes"].items()) if "notes" in parts else ()
            for model, mark in parts["models"].mapping().items() if "models" in parts else ():
                rows += [(study, exhibit, model, *row) for row in _model_rows(mark)]
    numbers = dict.fromkeys(["estimate", "se", "stars", "n", "r2"], "float64")
    return Published(pd.DataFrame(rows, columns=COLUMNS).astype({**numbers, "exact": "bool"}), notes, text)


def _model_rows(mark: Mark) -> list[tuple]:
    parts = mark.mapping(_MODEL_KEYS, ("terms",))
    terms = parts["terms"].mapping()
    exact = parts["exact"].words(("n", *terms), "a term of this model or 'n'") if "exact" in parts else ()
    n = parts["n"].number(1, 1e9) if "n" in parts else np.nan
    r2 = parts["r2"].number(0, 1) if "r2" in parts else np.nan
    rows = [(term, *_numbers(value), n, r2, term in exact) for term, value in terms.items()]
    if "n" in exact:
        rows.append(("n", n, np.nan, np.nan, n, r2, True))
    return rows


def _numbers(mark: Mark) -> tuple[float, float, float]:
    """A term's estimate, standard error and stars; the latter two may be absent."""
    marks = mark.items() if isinstance(mark.value, list) else [mark]
    if not 1 <= len(marks) <= 3:
        mark.fail("expected an estimate, or [estimate, standard error, number of stars].")
    estimate = marks[0].number(-1e12, 1e12)
    se = marks[1].number(0, 1e12) if len(marks) > 1 else np.nan
    return estimate, se, marks[2].integer(0, 3) if len(marks) > 2 else np.nan

"""The figures that papers print, as a tidy table that estimates can stand beside.

Facts typed from the papers live in the YAML files of this folder; nothing here compares or judges them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.studies.reading import Mark, read

FOLDER = Path(__file__).parent
COLUMNS = ["study", "exhibit", "model", "term", "estimate", "se", "stars", "n", "r2", "exact"]
_MODEL_KEYS = ("outcome", "n", "r2", "exact", "terms")


def published(study: str, folder: Path | None = None) -> pd.DataFrame:
    """Every printed number of a study, one row a term; empty where no paper stands behind the study.

    Returns
    -------
    DataFrame
        ``study``, ``exhibit``, ``model``, ``term`` (the keys of the estimates), ``estimate``, ``se``, ``stars`` (0-3,
        missing where none were read), ``n`` and ``r2`` of the model, and ``exact``: whether the number follows from the
        list of pilot cities alone, so that any data must reproduce it. A model's exact n has a row of its own, with
        term ``n``.

    Raises
    ------
    ValueError
        Naming file, line and key.
    """
    path = (folder or FOLDER) / f"{study}.yaml"
    rows = []
    if path.exists():
        for exhibit, content in read(path).mapping({"study", "exhibits"}, ("exhibits",))["exhibits"].mapping().items():
            models = content.mapping({"notes", "models"}).get("models")
            for model, mark in models.mapping().items() if models else ():
                rows += [(study, exhibit, model, *row) for row in _model_rows(mark)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    numbers = dict.fromkeys(["estimate", "se", "stars", "n", "r2"], "float64")
    return table.astype({**numbers, "exact": "bool"})


def published_notes(study: str, exhibit: str, folder: Path | None = None) -> tuple[str, ...]:
    """What a reader of the printed exhibit should know, one sentence each."""
    path = (folder or FOLDER) / f"{study}.yaml"
    if not path.exists():
        return ()
    exhibits = read(path).mapping()["exhibits"].mapping()
    notes = exhibits[exhibit].mapping().get("notes") if exhibit in exhibits else None
    return tuple(note.text() for note in notes.items()) if notes else ()


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

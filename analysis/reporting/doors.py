"""What is behind every number of a study's tables: its estimate, the model, its sample and its variables.

The page's script opens it; from a variable its page leads on to values, and from a value to its cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.studies.compare import compare
from analysis.studies.kinds import KINDS
from analysis.studies.methods import METHODS
from analysis.studies.published import Published
from analysis.studies.records import Model, Study
from analysis.studies.result import ExhibitResult

#: Significant digits of a number behind a table; the CSV has all of them.
DIGITS = 9


def doors(
    study: Study,
    results: Mapping[str, ExhibitResult],
    printed: Published,
    words: Callable[[str], str],
    explored: Sequence[str],
) -> dict[str, Any]:
    """Exhibit -> its models and estimates, as plain values.

    Parameters
    ----------
    words
        What a text is in Chinese.
    explored
        Columns of the study's panel that have a page.
    """

    def named(column: str) -> list[str]:
        label = study.label(column)
        page = f"variable.html#{study.name}.{column}" if column in explored else ""
        return [column, label.en, label.zh, page]

    found = {}
    for name, result in results.items():
        table = compare(result.estimates, printed.table)
        columns = ("model", "term", "estimate", "se", "p", "n", "r2", "published_estimate", "published_se", "reason")
        rows = [[_plain(value) for value in row] for row in table[list(columns)].itertuples(index=False, name=None)]
        models = [*result.specification.models, *result.specification.tests]
        found[name] = {
            "effect": KINDS[result.kind].is_effect,
            "models": {model.label: _model(study, model, named, words) for model in models},
            "variables": [named(column) for column in result.specification.variables],
            "estimates": rows,
        }
    return {"name": study.name, "treatment": named(study.treatment), "exhibits": found}


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and not np.isfinite(value)):
        return None
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else float(f"{value:.{DIGITS}g}")
    return value.item() if hasattr(value, "item") else value


def _model(
    study: Study, model: Model, named: Callable[[str], list[str]], words: Callable[[str], str]
) -> dict[str, Any]:
    """How a model is made: what stands on both sides of the equation, its effects, errors and sample."""
    explained = METHODS[model.method].explained
    called = {"unit": "city" if study.panel is None else "unit", "time": "year"}
    effects = [called.get(effect, effect) for effect in model.fixed_effects]
    first, last = model.sample.years or study.years
    sample = [f"{first}-{last}"]
    sample += [f"{column} = {', '.join(map(str, values))}" for column, values in model.sample.where.items()]
    without = len(model.sample.exclude_cities)
    return {
        "heading": model.heading.en if model.heading else "",
        "outcome": named(model.outcome) if model.outcome else None,
        "treatments": [named(name) for name in model.treatments],
        "controls": [named(name) for name in model.controls],
        "method": [model.method.replace("_", " "), explained, words(explained) if explained else ""],
        "effects": effects,
        "cluster": [called.get(name, name) for name in model.cluster],
        "sample": sample,
        "without": without,
        "panel": model.panel or study.name,
        "weights": [[matrix.label.en, matrix.label.zh] for matrix in model.weights],
        "options": {key: _option(value) for key, value in model.options.items()},
    }


def _option(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

"""What stands under a table of how far other engines get its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.agreement.opinion import CONFIRMED, CONVENTION, DIFFERS, NONE, ROUNDING

KEYS = ["exhibit", "model", "term"]


def lines(agreement: pd.DataFrame) -> list[str]:
    """Sentences on one exhibit's rows of agreement; none where nothing is published.

    First what is confirmed, by whom and to how many digits; then each convention by which numbers part, each number
    that differs without one, and each reason why numbers have no second engine.
    """
    if agreement.empty:
        return []
    state = by_number(agreement)
    total, confirmed = len(state), int((state == CONFIRMED).sum())
    said = []
    if confirmed:
        rows = agreement[agreement["verdict"] == CONFIRMED]
        count = f"All {total}" if confirmed == total else f"{confirmed} of {total}"
        said.append(f"{count} numbers confirmed by {_listed(_engines(rows))} to {_digits(rows['difference'].max())}.")
    parted = agreement[agreement["verdict"] == CONVENTION]
    parted = parted[pd.MultiIndex.from_frame(parted[KEYS]).isin(state.index[state == CONVENTION])]
    for reason, rows in parted.groupby("reason", sort=False):
        count = f"{len(rows.drop_duplicates(KEYS))} differ from {_listed(_engines(rows))} by convention"
        said.append(f"{count}, by {rows['difference'].max():.0e} at most: {reason}")
    for row in agreement[agreement["verdict"] == DIFFERS].to_dict("records"):
        error = f" ({row['se']:.4g})" if np.isfinite(row["se"]) else ""
        said.append(
            f"Engines part: {row['engine']} {row['version']} finds {row['estimate']:.4g}{error} for {row['term']} in "
            f"{row['model']}."
        )
    for reason, rows in agreement[agreement["verdict"] == NONE].groupby("reason", sort=False):
        said.append(f"{len(rows)} without a second engine: {reason}")
    return said


def by_number(agreement: pd.DataFrame) -> pd.Series:
    """(exhibit, model, term) -> the verdict of all its engines: differing counts first, then confirming."""
    order = {DIFFERS: 0, CONFIRMED: 1, CONVENTION: 2, NONE: 3}
    first = agreement.assign(order=agreement["verdict"].map(order)).sort_values("order", kind="stable")
    return first.drop_duplicates(KEYS).set_index(KEYS)["verdict"]


def _engines(rows: pd.DataFrame) -> list[str]:
    """Engines with their versions, those of most numbers first."""
    counts = rows.groupby(["engine", "version"]).size().sort_values(ascending=False, kind="stable")
    return [f"{engine} {version}".strip() for engine, version in counts.index]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _digits(difference: float) -> str:
    """The power of ten that a difference stays below."""
    return f"1e-{int(np.floor(-np.log10(max(difference, ROUNDING)) + 1e-9)):02d}"

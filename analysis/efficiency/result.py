"""What a scoring returns, and how it prints. No computation of scores here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Efficiency:
    """Scores of one model.

    Attributes
    ----------
    table
        Indexed like the data: ``score``, ``efficient``, then what the model adds (``sbm``, ``slack_<column>``),
        ``status``.
    peers
        One row a unit and peer: ``unit`` and ``peer`` (labels of the data's index), ``weight`` (the intensity lambda)
        and ``unit_row``, ``peer_row`` (row numbers from zero, for an index with repeated labels).
    projection
        The point of the frontier each unit is measured against, in the data's units: indexed like the data, the same
        columns.
    prices
        Multipliers of the dual programme, per unit of each column and indexed like the data. At a unit's prices no
        observation of its frontier makes a profit (good outputs less inputs and bad outputs; constant returns) and its
        peers break even; a unit that the SBM finds inefficient loses one less its score. Their ratios have a meaning:
        ``shadow_<column>`` of a bad output is how many units of the first good output one unit of it is worth.
    options
        The model and the options it was run with.
    notes
        What a reader should know about the data, one sentence each.
    """

    table: pd.DataFrame
    peers: pd.DataFrame
    projection: pd.DataFrame
    prices: pd.DataFrame
    options: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Options, the distribution of scores, and how many units have which status."""
        score = self.table["score"]
        lines = [", ".join(f"{name}: {value}" for name, value in self.options.items())]
        lines.append(
            f"{score.notna().sum()} of {len(score)} units scored, {int(self.table['efficient'].sum())} efficient"
        )
        if score.notna().any():
            lines.append(score.describe().drop("count").to_string(float_format=lambda value: f"{value:.6g}"))
        lines += [f"{count} x {status}" for status, count in self.table["status"].value_counts().items()]
        return "\n".join([*lines, *self.notes])

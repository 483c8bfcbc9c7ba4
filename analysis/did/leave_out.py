"""The two-way estimate with each unit, province or batch left out in turn: whether one of them makes the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.did.regression import two_way
from analysis.estimation_sample import as_key, require_columns
from analysis.results import COLUMNS, CannotEstimate, Estimate


@dataclass(frozen=True)
class LeaveOut:
    """Estimates without one group each.

    Attributes
    ----------
    actual
        The regression on all rows.
    table
        Indexed by what was left out: ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high``, ``n``, and ``change``,
        the estimate less the actual one over the actual standard error. Without numbers where nothing is identified.
    reasons
        What was left out -> why there is no number.
    """

    actual: Estimate
    table: pd.DataFrame
    reasons: dict[object, str]

    def summary(self) -> str:
        """The range of the estimates and the most influential groups as text, for people."""
        estimate = self.table["estimate"]
        most = self.table.reindex(self.table["change"].abs().sort_values(ascending=False).index).head(5)
        return "\n".join(
            [
                f"{len(estimate.dropna())} estimates between {estimate.min():.6g} and {estimate.max():.6g}",
                most.to_string(float_format=lambda value: f"{value:.6g}"),
            ]
        )


def leave_out(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    by: str = "unit",
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
) -> LeaveOut:
    """Run `two_way` once for each value of ``by`` ("unit", "time" or any column), without its rows.

    Each run is the whole regression on the rows that are left (singletons dropped anew, its own clusters), so every
    row equals that regression run by itself.

    Raises
    ------
    ValueError
        As `two_way` on all rows; a ``by`` with fewer than two values.
    """
    column = {"unit": unit, "time": time}.get(by, by)
    require_columns(data, [column])
    keys = as_key(data[column])
    values = list(pd.unique(keys.dropna()))
    if len(values) < 2:
        raise CannotEstimate(f"{column!r} has {len(values)} values: two are needed to leave one out.")
    options: dict[str, Any] = {"unit": unit, "time": time, "fixed_effects": fixed_effects, "cluster": cluster}
    actual = two_way(data, y, treatment, controls, **options)
    at = actual.table.index.get_loc(treatment)
    centre, scale = actual.table[["estimate", "se"]].to_numpy()[at]
    rows: list[dict[str, float]] = []
    reasons: dict[object, str] = {}
    for value in values:
        kept = data[(keys != value).to_numpy()]
        try:
            result = two_way(kept, y, treatment, controls, **options, engine="own")
        except CannotEstimate as error:
            reasons[value] = str(error)
            rows.append({})
            continue
        if treatment in result.not_identified:
            reasons[value] = result.not_identified[treatment]
        row = dict(zip(COLUMNS, result.table[COLUMNS].to_numpy()[result.table.index.get_loc(treatment)], strict=True))
        rows.append({**row, "n": result.n, "change": (row["estimate"] - centre) / scale})
    table = pd.DataFrame(rows, index=pd.Index(values, name=column), columns=[*COLUMNS, "n", "change"])
    return LeaveOut(actual, table, reasons)

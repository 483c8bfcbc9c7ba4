"""An estimate with each unit, province or batch left out in turn: whether one of them makes the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.did._staggered import StaggeredEffects
from analysis.did.adoption import adoption_from_treatment
from analysis.did.randomization import ESTIMATORS
from analysis.did.regression import two_way
from analysis.did.synthetic import Synthetic, synthetic
from analysis.estimation_sample import as_key, require_columns
from analysis.results import COLUMNS, CannotEstimate, Estimate, inference_table


@dataclass(frozen=True)
class LeaveOut:
    """Estimates without one group each.

    Attributes
    ----------
    actual
        The estimate on all rows.
    table
        Indexed by what was left out: ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high``, ``n``, and ``change``,
        the estimate less the actual one over the actual standard error. Without numbers where nothing is identified.
    reasons
        What was left out -> why there is no number.
    """

    actual: Estimate | Synthetic | StaggeredEffects
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
    estimator: str = "two_way",
    **options: Any,
) -> LeaveOut:
    """Estimate once for each value of ``by`` ("unit", "time" or any column), without its rows.

    Each run is the whole estimate on the rows that are left (singletons dropped anew, its own clusters), so every
    row equals that estimate by itself. ``estimator`` is "two_way", "synthetic" (errors by jackknife where there is one)
    or a robust one of `randomization`, whose adoption is made from the treatment; ``options`` go on to it, while
    ``fixed_effects`` and ``cluster`` are those of `two_way` alone.

    Raises
    ------
    ValueError
        As the estimator on all rows; a ``by`` with fewer than two values; an unknown estimator.
    """
    if estimator not in ESTIMATORS_LEFT:
        raise ValueError(f"estimator is one of {', '.join(ESTIMATORS_LEFT)}, not {estimator!r}.")
    column = {"unit": unit, "time": time}.get(by, by)
    require_columns(data, [column])
    keys = as_key(data[column])
    values = list(pd.unique(keys.dropna()))
    if len(values) < 2:
        raise CannotEstimate(f"{column!r} has {len(values)} values: two are needed to leave one out.")
    held: dict[str, Any] = {"unit": unit, "time": time, **options}
    if estimator == "two_way":
        held |= {"fixed_effects": fixed_effects, "cluster": cluster}
    run = _of(estimator, y, treatment, controls, held)
    actual, whole = run(data, None)
    centre, scale = whole["estimate"], whole["se"]
    rows: list[dict[str, float]] = []
    reasons: dict[object, str] = {}
    for value in values:
        try:
            result, row = run(data[(keys != value).to_numpy()], "own")
        except CannotEstimate as error:
            reasons[value] = str(error)
            rows.append({})
            continue
        if isinstance(result, Estimate) and treatment in result.not_identified:
            reasons[value] = result.not_identified[treatment]
        rows.append({**row, "n": result.n, "change": (row["estimate"] - centre) / scale})
    table = pd.DataFrame(rows, index=pd.Index(values, name=column), columns=[*COLUMNS, "n", "change"])
    return LeaveOut(actual, table, reasons)


#: Whose estimate can be repeated without a group.
ESTIMATORS_LEFT = ("two_way", "synthetic", *ESTIMATORS)


def _of(
    estimator: str, y: str, treatment: str, controls: Sequence[str], options: dict[str, Any]
) -> Callable[[pd.DataFrame, str | None], tuple[Estimate | Synthetic | StaggeredEffects, dict[str, float]]]:
    """(rows, engine) -> an estimator's result and the numbers of the treatment in it."""

    def regression(data: pd.DataFrame, engine: str | None) -> tuple[Estimate, dict[str, float]]:
        found = two_way(data, y, treatment, controls, **options, engine=engine)
        line = found.table[COLUMNS].to_numpy()[found.table.index.get_loc(treatment)]
        return found, dict(zip(COLUMNS, line, strict=True))

    def average(data: pd.DataFrame, engine: str | None) -> tuple[Synthetic | StaggeredEffects, dict[str, float]]:
        if estimator == "synthetic":
            weighted = synthetic(data, y, treatment, controls, **{"draws": 2, **options})
            quick = weighted.standard_errors["se"].get("jackknife", np.nan)
            return weighted, _line(weighted.att, float(quick), np.inf)
        first = "_adoption"
        while first in data.columns:
            first += "_"
        adopted = adoption_from_treatment(data, treatment, unit=options["unit"], time=options["time"])
        found = ESTIMATORS[estimator](data.assign(**{first: adopted}), y, first, controls, **options)
        return found, _line(found.att, found.se, found.degrees_of_freedom)

    return regression if estimator == "two_way" else average


def _line(estimate: float, se: float, freedom: float) -> dict[str, float]:
    table = inference_table([""], np.array([estimate]), np.array([[se**2]]), freedom)
    return dict(zip(COLUMNS, table[COLUMNS].to_numpy(float)[0].tolist(), strict=True))

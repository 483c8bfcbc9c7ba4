"""What the estimators that diff-diff computes share: our checks before it, our form of result after it.

Which of its estimators is called, and by which convention, stands with each of ours. It reports warnings by Python's
`warnings`; they become notes of the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.did._staggered import CohortPanel, StaggeredEffects, cell_table, labelled_covariance, labelled_table
from analysis.estimation_sample import codes_of
from analysis.results import CannotEstimate

#: What the libraries say, in lower case, when it is the data that do not allow a number. Any other refusal is of a call
#: that we should not have made.
OF_DATA = (
    # Wooldridge's regression
    "not identified",
    "no treatment effect is identified",
    "no cohort-time cell contributes",
    "the overall att is undefined",
    "leaves no treated cohort",
    "leaves a single treated",
    "no untreated comparison",
    "no eligible comparison group",
    "no estimable post-treatment cells",
    # local projections
    "unidentified pooled",
    "numeric `time` column",
    "integer-valued `time`",
    "integer-spaced `time`",
    # switching
    "no switching cells found",
    "observation at the first global period",
    "after dropping groups with interior period gaps",
    # doses
    "unbalanced panel detected",
    "no valid (g,t) cells",
    # Poisson
    "did not converge",
    "demeaning failed",
    # linear algebra of any of them
    "fewer observations",
    "singular matrix",
)
#: The library's names for columns, whatever the caller's are.
Y, UNIT, TIME, FIRST, TREATED, CLUSTER = "y", "unit", "time", "first", "treated", "cluster"


def renamed(
    panel: CohortPanel, y: str, controls: Sequence[str], *, unit: str, time: str, cluster: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The panel under plain names, units as numbers, ``first`` infinite for never treated; and the controls' names."""
    frame = panel.data
    named = [f"x{number}" for number in range(len(controls))]
    columns: dict[str, Any] = {
        Y: frame[y].to_numpy(float),
        UNIT: codes_of(frame[unit]),
        TIME: panel.time.astype(np.int64) if (panel.time == np.round(panel.time)).all() else panel.time,
        FIRST: panel.cohort,
        TREATED: (panel.relative >= 0).astype(int),
        **{name: frame[control].to_numpy(float) for name, control in zip(named, controls, strict=True)},
    }
    if cluster is not None:
        columns[CLUSTER] = codes_of(frame[unit if cluster == "unit" else cluster])
    return pd.DataFrame(columns), named


def heard(call: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
    """What the library returns, and what it warned of, one sentence each.

    Raises
    ------
    CannotEstimate
        Where the library refuses the data, which its message says (`OF_DATA`).
    RuntimeError
        Any other refusal: the call was wrong, whatever the data hold.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            said = " ".join(str(error).split())
            if any(words in said.lower() for words in OF_DATA):
                raise CannotEstimate(said) from error
            raise RuntimeError(
                f"A library was called wrongly, and it is not the data's fault: {type(error).__name__}: {said}"
            ) from error
    own = [w for w in caught if issubclass(w.category, (UserWarning, RuntimeWarning))]
    return result, tuple(dict.fromkeys(" ".join(str(warning.message).split()) for warning in own))


def window(panel: CohortPanel, before: int | None, after: int | None) -> tuple[int, int]:
    """Periods before and after adoption that every cohort has, unless stated; at least one before and none after.

    Raises
    ------
    CannotEstimate
        No cohort has a period before its adoption.
    ValueError
        A stated number below 1 (before) or 0 (after).
    """
    cohorts = np.unique(panel.cohort[np.isfinite(panel.cohort)])
    early, late = cohorts - panel.time.min(), panel.time.max() - cohorts
    if not (early >= 1).any():
        raise CannotEstimate("Every treated unit is treated from the first period on: nothing was seen before.")
    if before is not None and before < 1:
        raise ValueError(f"before must be at least 1 period; it is {before}.")
    if after is not None and after < 0:
        raise ValueError(f"after must be at least 0 periods; it is {after}.")
    return (
        int(early[early >= 1].min()) if before is None else int(before),
        int(late.min()) if after is None else int(after),
    )


def by_period(
    effects: Mapping[int, Mapping[str, Any]],
    *,
    att: float,
    se: float,
    panel: CohortPanel,
    unit: str,
    base: int | None,
    freedom: float,
    notes: Sequence[str],
    covariance: np.ndarray | None = None,
    cells: Mapping[tuple[float, float], Mapping[str, Any]] | None = None,
    cell_covariance: np.ndarray | None = None,
) -> StaggeredEffects:
    """The form that all staggered estimators have, from effects by period (``effect`` or ``att``, and ``se``).

    Without cells by cohort and time the table holds the periods. A covariance that the library does not give has its
    diagonal only; the rest is missing.
    """
    periods = sorted(effects)
    value = np.array([effects[p].get("effect", effects[p].get("att")) for p in periods], dtype=float)
    spread = np.array([effects[p]["se"] for p in periods], dtype=float)
    if covariance is None:
        covariance = np.full((len(periods), len(periods)), np.nan)
    covariance = np.array(covariance, dtype=float)
    np.fill_diagonal(covariance, spread**2)
    labels = np.array(periods, dtype=float)
    event = labelled_table("period", labels, value, covariance, freedom)
    table = event.reset_index(drop=True)
    if cells is not None:
        keys = sorted(cells)
        held = np.array([cells[key]["att"] for key in keys], dtype=float)
        own = np.diag(np.array([cells[key]["se"] for key in keys], dtype=float) ** 2)
        cohorts, times = (np.array([key[side] for key in keys], dtype=float) for side in (0, 1))
        table = cell_table(cohorts, times, held, own if cell_covariance is None else cell_covariance, freedom)
    return StaggeredEffects(
        att=float(att),
        se=float(se),
        table=table,
        event=event,
        covariance=labelled_covariance(labels, covariance),
        n=len(panel.data),
        units=int(panel.data[unit].nunique()),
        degrees_of_freedom=float(freedom),
        base=base,
        not_identified={},
        notes=(*panel.notes, *notes),
    )

"""Wooldridge's extended two-way regression, linear or Poisson: an effect for every cohort and treated period.

diff-diff computes it; conventions and checks stand here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.did._library import CLUSTER, FIRST, TIME, UNIT, Y, by_period, heard, renamed
from analysis.did._staggered import StaggeredEffects, cohort_panel
from analysis.results import CannotEstimate

FAMILIES = {"linear": "ols", "poisson": "poisson"}


def extended_two_way(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    family: str = "linear",
    cluster: str = "unit",
) -> StaggeredEffects:
    """Effects by cohort and time from one saturated regression (Wooldridge 2025; Poisson: Wooldridge 2023).

    Comparison units are those not yet treated, as in ``jwdid``. Linear: unit and time effects, the effect of a cell is
    its coefficient. Poisson: a pooled Poisson regression with cohort and time dummies; the effect of a cell is the mean
    difference between the predicted outcome with treatment and without it, in units of y (counts), with the delta
    method. Controls enter with their interactions by cohort and time, around cohort means. Errors are clustered by
    unit.

    Returns
    -------
    StaggeredEffects
        ``.att`` weighs cells by their treated rows; ``.event`` has the periods from 0 on.

    Raises
    ------
    CannotEstimate
        Cells that cannot be told apart, a Poisson regression that does not converge, what the library refuses.
    ValueError
        An unknown family, a negative outcome under Poisson, and what the other staggered estimators raise.
    """
    from diff_diff import WooldridgeDiD

    if family not in FAMILIES:
        raise ValueError(f"family is 'linear' or 'poisson', not {family!r}.")
    keys = [] if cluster == "unit" else [cluster]
    panel = cohort_panel(data, y, adoption, controls, unit=unit, time=time, keys=keys)
    frame, names = renamed(panel, y, controls, unit=unit, time=time, cluster=cluster)
    if family == "poisson" and (frame[Y] < 0).any():
        raise CannotEstimate(f"A Poisson regression needs counts or other values of 0 or more; {y!r} is negative.")
    frame[FIRST] = frame[FIRST].where(np.isfinite(frame[FIRST]), 0)
    estimator = WooldridgeDiD(method=FAMILIES[family], cluster=CLUSTER, df_convention="cluster")
    found, said = heard(lambda: estimator.fit(frame, Y, UNIT, TIME, FIRST, xtvar=names or None))
    if not np.isfinite(found.att):
        raise CannotEstimate("No cohort and period has an effect that the regression can tell from the others.")
    cells = {key: value for key, value in found.group_time_effects.items() if key[1] >= key[0]}
    events, more = heard(lambda: found.aggregate("event_study"))
    effects = {int(period): value for period, value in events.event_study_effects.items() if period >= 0}
    freedom = float(frame[CLUSTER].nunique() - 1)
    return by_period(
        effects,
        att=found.att,
        se=found.se,
        panel=panel,
        unit=unit,
        base=None,
        freedom=freedom,
        notes=(*said, *more),
        cells=cells,
    )

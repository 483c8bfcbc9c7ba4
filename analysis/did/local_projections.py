"""Local-projections difference-in-differences: long differences of newly treated units against clean controls.

diff-diff computes it; conventions and checks stand here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.did._library import CLUSTER, TIME, TREATED, UNIT, Y, by_period, heard, renamed, window
from analysis.did._staggered import StaggeredEffects, cohort_panel
from analysis.results import CannotEstimate


def local_projections(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    before: int | None = None,
    after: int | None = None,
    reweight: bool = True,
    cluster: str = "unit",
) -> StaggeredEffects:
    """Effects by period from regressions of y(t + h) - y(t - 1) on entry into treatment, by Dube and others (2025).

    For each h the sample is units that enter treatment at t and units not treated until t + h; time effects, and
    controls as of t - 1. ``reweight`` weighs cohorts by their treated units, so that the effect is the average on the
    treated; False leaves the regression's own weights (the default of Stata's ``lpdid``). Errors are clustered by unit,
    t with G - 1 degrees of freedom. ``before`` and ``after`` default to what all cohorts have.

    Returns
    -------
    StaggeredEffects
        ``.att`` is the pooled effect over the periods from 0 to ``after``; ``.table`` and ``.event`` have a row a
        period, -1 the base. Covariances between periods are missing: each period is a regression of its own.

    Raises
    ------
    CannotEstimate
        No cohort has two periods before adoption, no entry a clean control, or the library refuses the data.
    ValueError
        As the other staggered estimators.
    """
    from diff_diff import LPDiD

    keys = [] if cluster == "unit" else [cluster]
    panel = cohort_panel(data, y, adoption, controls, unit=unit, time=time, keys=keys)
    early, late = window(panel, before, after)
    if (panel.cohort[np.isfinite(panel.cohort)] - panel.time.min()).max() < 2:
        raise CannotEstimate("Local projections need a cohort with two periods before its adoption; none has them.")
    frame, names = renamed(panel, y, controls, unit=unit, time=time, cluster=cluster)
    estimator = LPDiD(pre_window=max(early, 2), post_window=late, reweight=reweight, cluster=CLUSTER)
    options = {"covariates": names or None, "post_pooled": (0, late)}
    found, said = heard(lambda: estimator.fit(frame, Y, UNIT, TIME, TREATED, **options))
    rows = found.event_study.dropna(subset=["coefficient"])
    effects = {
        int(row.horizon): {"effect": row.coefficient, "se": 0.0 if row.horizon == -1 else row.se}
        for row in rows.itertuples()
    }
    freedom = float(frame[CLUSTER].nunique() - 1)
    return by_period(effects, att=found.att, se=found.se, panel=panel, unit=unit, base=-1, freedom=freedom, notes=said)

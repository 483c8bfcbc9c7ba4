"""Which engines are asked for which method, and why the rest of its numbers has none."""

from __future__ import annotations

import re
from collections.abc import Mapping

from analysis.agreement import regressions, samples, space, staggered
from analysis.agreement.opinion import Engine

_TWO_WAY: tuple[Engine, ...] = (
    regressions.two_way_by_pyfixest,
    regressions.two_way_by_linearmodels,
    regressions.dummies_by_statsmodels,
)

ENGINES: Mapping[str, tuple[Engine, ...]] = {
    "two_way": _TWO_WAY,
    "wild_bootstrap": (regressions.repeated_by(_TWO_WAY[:2]),),
    "psm_did": (samples.matched_regression,),
    "balance": (samples.balance,),
    "two_stage": (regressions.two_stage_by_pyfixest,),
    "group_difference": (regressions.group_difference_by_pyfixest,),
    "poisson": (regressions.poisson_by_statsmodels,),
    "event_study": (regressions.event_study_by_pyfixest, regressions.event_study_by_linearmodels),
    "placebo": (samples.placebo,),
    "callaway_santanna": (staggered.callaway_santanna,),
    "sun_abraham": (staggered.sun_abraham,),
    "imputation": (staggered.imputation,),
    "synthetic": (staggered.synthetic,),
    "bacon": (staggered.bacon,),
    "honest": (staggered.honest,),
    "sensitivity": (regressions.repeated_by(_TWO_WAY[:2]),),
    "leave_out": (regressions.repeated_by(_TWO_WAY[:2]),),
    "moran": (space.moran_by_esda,),
    "local_moran": (space.local_moran_by_esda,),
    "spatial_panel": (space.spatial_panel,),
    "spatial_effects": (space.spatial_effects,),
    "spatial_spillovers": (space.spatial_spillovers,),
    "spatial_choice": (space.spatial_choice,),
    "spatial_weights": (space.spatial_weights,),
}

#: Method -> (pattern of terms, why they have no second engine), the first that fits.
UNOPPOSED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "event_study": ((r"period .*", "The base period is zero by definition."),),
    "wild_bootstrap": ((r"bootstrap .*", "No package at hand draws this bootstrap."),),
    "two_stage": ((r"stock_yogo.*|effective_f_.*", "A critical value is no estimate."),),
    "honest": ((r"relative .*", "The test has too many vertices here to list them all."),),
}
NO_ENGINE = "No other package at hand has this method."


def why_none(method: str, term: str) -> str:
    """Why a number of a method has no second engine."""
    for pattern, reason in UNOPPOSED.get(method, ()):
        if re.fullmatch(pattern, term):
            return reason
    return NO_ENGINE

"""Treatments that begin and end: effects of a first change against units that have not changed yet.

diff-diff computes it; conventions and checks stand here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.did._library import TIME, UNIT, Y, by_period, heard
from analysis.did._staggered import CohortPanel, StaggeredEffects
from analysis.estimation_sample import Sample, codes_of, label, prepare
from analysis.results import CannotEstimate


def switching(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    horizons: int | None = None,
) -> StaggeredEffects:
    """Effects of first changes in a 0/1 treatment that may end, by de Chaisemartin and D'Haultfoeuille (2024).

    A unit that changes (0 to 1, or 1 to 0) is compared, before and after, with units of the same earlier treatment that
    have not changed yet; effects of leaving enter with the opposite sign. A unit that changes back counts with what
    followed its first change, as in ``did_multiplegt_dyn``. ``horizons`` is the number of periods from the change on,
    by default all that have a comparison. Errors are analytic, clustered by unit; p is normal.

    Returns
    -------
    StaggeredEffects
        ``.event`` by period, 0 the first of a change, placebos from -2 down (-1 is the base); ``.table`` the same.
        ``.att`` is the average total effect, horizons weighed by the units that reach them.

    Raises
    ------
    CannotEstimate
        No unit changes, or none has a comparison.
    ValueError
        A treatment that is not 0/1, bad columns or keys.
    """
    from diff_diff import ChaisemartinDHaultfoeuille

    sample = prepare(data, unit=unit, time=time, numeric=[y, treatment, *controls, time])
    frame = sample.data
    value = frame[treatment].to_numpy()
    other = ~np.isin(value, (0.0, 1.0))
    if other.any():
        raise CannotEstimate(f"Treatment {treatment!r} must be 0 or 1; it holds {value[other][0]:g}.")
    step = _step(frame[time].to_numpy(), time)
    if controls:
        sample = _with_slopes(sample, treatment, len(controls), unit, time)
        frame, value = sample.data, sample.data[treatment].to_numpy()
    longest = _horizons(frame, treatment, unit, time)
    if longest < 1:
        raise CannotEstimate(
            f"No unit changes {treatment!r} while another of the same earlier treatment has not changed yet."
        )
    asked = longest if horizons is None else int(horizons)
    if not 1 <= asked <= longest:
        raise CannotEstimate(f"horizons lies between 1 and {longest}, the longest with a comparison; it is {horizons}.")
    names = [f"x{number}" for number in range(len(controls))]
    columns = {
        Y: frame[y],
        UNIT: codes_of(frame[unit]),
        TIME: frame[time],
        "treatment": value.astype(int),
        **{name: frame[control] for name, control in zip(names, controls, strict=True)},
    }
    options = {"L_max": asked, "covariates": names} if names else {"L_max": asked}
    estimator = ChaisemartinDHaultfoeuille(twfe_diagnostic=False, drop_larger_lower=False)
    found, said = heard(
        lambda: estimator.fit(pd.DataFrame(columns), Y, unit=UNIT, time=TIME, treatment="treatment", **options)
    )
    effects = {-step: {"effect": 0.0, "se": 0.0}}
    effects |= {(int(ahead) - 1) * step: row for ahead, row in (found.event_study_effects or {}).items() if ahead >= 1}
    placebos = found.placebo_event_study or {}
    effects |= {(int(behind) - 1) * step: row for behind, row in placebos.items() if np.isfinite(row["effect"])}
    panel = CohortPanel(frame, np.full(len(frame), np.inf), frame[time].to_numpy(), sample.notes)
    result = by_period(
        effects, att=found.att, se=found.se, panel=panel, unit=unit, base=-step, freedom=np.inf, notes=said
    )
    back = _return(frame, treatment, unit)
    return replace(result, notes=(*result.notes, back)) if back else result


def _step(time: np.ndarray, name: str) -> int:
    """The distance between periods, which must be the same all along: horizons are counted in periods."""
    steps = np.unique(np.diff(np.unique(time)))
    if len(steps) > 1:
        raise CannotEstimate(
            f"Periods of {name!r} lie {steps.min():g} to {steps.max():g} apart, and effects are counted from period to "
            "period: keep a span of evenly spaced ones."
        )
    return int(steps[0]) if len(steps) and steps[0] == int(steps[0]) else 1


def _with_slopes(sample: Sample, treatment: str, controls: int, unit: str, time: str) -> Sample:
    """Without units of an earlier treatment of which too few changes are seen to learn the slopes of controls from."""
    frame = sample.data
    start = frame.groupby(unit, sort=False)[treatment].transform("first").to_numpy()
    waiting = (frame[treatment] == start).astype(int).groupby(frame[unit], sort=False).cummin().to_numpy(bool)
    place = np.unique(frame[time], return_inverse=True)[1]
    same = (frame[unit] == frame[unit].shift()).to_numpy() & (np.diff(place, prepend=-1) == 1)
    seen = waiting & same
    taught = [d for d in (0.0, 1.0) if (own := place[seen & (start == d)]).size >= controls + max(len(set(own)), 1)]
    lost = ~np.isin(start, taught)
    if not lost.any():
        return sample
    number = frame.loc[lost, unit].nunique()
    said = f"{number} units left out: too few of their earlier treatment ({start[lost][0]:g}) show what controls do."
    if lost.all():
        raise CannotEstimate(f"Too few changes before {treatment!r} does teach what the controls do.")
    kept = frame[~lost].reset_index(drop=True)
    return replace(sample, data=kept, positions=sample.positions[~lost], notes=(*sample.notes, said))


def _horizons(frame: pd.DataFrame, treatment: str, unit: str, time: str) -> int:
    """The longest horizon at which some changed unit has a comparison of the same first treatment."""
    groups = frame.groupby(unit, sort=False)
    start = groups[treatment].first()
    change = frame[treatment].to_numpy() != start.reindex(frame[unit]).to_numpy()
    first = frame[change].groupby(unit)[time].min().reindex(start.index)
    periods = np.sort(frame[time].unique())
    longest = 0
    for level in start.unique():
        own = first[start == level]
        last = periods[-1] if own.isna().any() else own.max()
        changed = own.dropna()
        end = periods[periods <= last] if own.isna().any() else periods[periods < last]
        for when in changed:
            longest = max(longest, int((end >= when).sum()))
    return longest


def _return(frame: pd.DataFrame, treatment: str, unit: str) -> str:
    """A sentence where units change more than once."""
    changes = (frame.groupby(unit, sort=False)[treatment].diff().fillna(0) != 0).groupby(frame[unit], sort=False).sum()
    many = changes[changes > 1]
    if many.empty:
        return ""
    return (
        f"{len(many)} units change more than once (one is {label(many.index[0])}): effects are those of the first "
        "change and whatever followed it."
    )

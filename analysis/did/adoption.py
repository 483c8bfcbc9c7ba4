"""When each unit is first treated: the ways of writing it, and the checks every estimator of adoption starts from.

A treatment column (0/1 by row) and an adoption column (first treated time by unit, missing for never) hold the same
facts as long as no unit leaves treatment. No estimation here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.estimation_sample import Sample, as_dates, as_time, label, prepare, require_columns, time_numbers
from analysis.results import CannotEstimate

#: An adoption this many periods outside the data is no time: a code for never treated (9999), or a slip (13 for 2013).
FAR = 1000
#: Times within these bounds can be calendar years.
YEARS = (1000, 3000)


def treatment_from_adoption(adoption: pd.Series, time: pd.Series) -> pd.Series:
    """One from the first treated time on, else zero.

    Parameters
    ----------
    adoption, time
        Same length and index, in the same unit of time (years). Never treated is missing or infinite, or 0 where every
        time is above 0 (as csdid and R's did write it). Dates that all fall on one day of the year stand for years.

    Returns
    -------
    Series of 0.0 and 1.0 with the index of ``time``.

    Raises
    ------
    ValueError
        Values that are no times, and 0 beside missing ones: one of them must mean something else.
    """
    if len(adoption) != len(time):
        raise ValueError(f"Adoption has {len(adoption)} rows, time has {len(time)}: they must describe the same rows.")
    when = as_time(time)
    first, _ = read_adoption(adoption, when)
    treated = when.to_numpy() >= first.to_numpy()  # a comparison with a missing value is False: never treated
    return pd.Series(treated.astype(float), index=time.index, name="treatment")


def read_adoption(adoption: pd.Series, time: pd.Series) -> tuple[pd.Series, list[str]]:
    """First treated times as numbers, missing for never treated, and a sentence on each other way it was written.

    ``time`` (as `as_time` gives it) decides what an adoption can mean: 0 is never treated where all times are above 0,
    and a time like any other where they are not; what lies `FAR` periods after the last time is never treated.

    Raises
    ------
    ValueError
        Dates beside times that are no years; times far before the first, negative ones where no time is; and two ways
        of writing never treated of which one is a missing value, since that may as well mean not known.
    """
    values = time_numbers(adoption)
    low, high = float(time.min()), float(time.max())
    if as_dates(adoption) is not None and not (YEARS[0] <= low and high <= YEARS[1]):
        raise CannotEstimate(
            f"Column {adoption.name!r} holds dates, and {time.name!r} runs from {low:g} to {high:g}, which are no "
            f"years: write the first treated {time.name!r} in the same numbers."
        )
    infinite = values == np.inf
    zero = (values == 0) & (low > 0)
    late = values.gt(high + FAR) & ~infinite
    wrong = values.notna() & ~zero & (values.lt(low - FAR) | (values.lt(0) & (low > 0)))
    if wrong.any():
        raise CannotEstimate(
            f"Column {adoption.name!r} holds {values[wrong].iloc[0]:g} in {int(wrong.sum())} rows, which is no time "
            f"like those of {time.name!r} ({low:g} to {high:g}): write the first treated {time.name!r}, and leave it "
            "missing for units never treated."
        )
    notes = []
    for mask, text in ((zero, "0"), (infinite, "inf"), (late, f"{values[late].min():g}")):
        if not mask.any():
            continue
        if values.isna().any():
            raise CannotEstimate(
                f"Column {adoption.name!r} is {text} in {int(mask.sum())} rows and missing in "
                f"{int(values.isna().sum())}: both are ways to write never treated, so one of them must mean something "
                "else. Leave it missing for units never treated, and drop units whose adoption is not known."
            )
        notes.append(f"{adoption.name!r} is {text} in {int(mask.sum())} rows: read as never treated.")
    return values.mask(zero | infinite | late), notes


def adoption_from_treatment(data: pd.DataFrame, treatment: str, *, unit: str, time: str) -> pd.Series:
    """First treated time of each row's unit, missing for units never treated, with the index of ``data``.

    Rows whose treatment is missing say nothing about adoption.

    Raises
    ------
    ValueError
        A treatment other than 0 or 1, or a unit that leaves treatment, for which no adoption time tells the story.
    """
    sample = prepare(data, unit=unit, time=time, numeric=[treatment, time])
    frame = sample.data
    value = frame[treatment].to_numpy()
    other = ~np.isin(value, (0.0, 1.0))
    if other.any():
        raise CannotEstimate(f"Treatment {treatment!r} must be 0 or 1; it holds {value[other][0]:g}.")
    left = (frame.groupby(unit, sort=False)[treatment].diff() < 0).to_numpy()
    if left.any():
        row = int(np.flatnonzero(left)[0])
        name, when = frame[unit].iloc[row], frame[time].iloc[row]
        raise CannotEstimate(
            f"Unit {label(name)} leaves treatment {treatment!r} in {when:g} (one of "
            f"{frame.loc[left, unit].nunique()} such units): adoption is for treatments that last. "
            "Drop those units, or use two_way, which takes treatments that end."
        )
    first = frame[value == 1].groupby(unit)[time].min()
    return data[unit].map(first).astype(float).rename("adoption")


def prepare_adoption(
    data: pd.DataFrame,
    adoption: str,
    *,
    unit: str,
    time: str,
    numeric: Sequence[str],
    keys: Sequence[str] = (),
) -> Sample:
    """`prepare` with a numeric time and one adoption time a unit; adoption may be missing (never treated).

    Raises
    ------
    ValueError
        As `prepare` and `read_adoption`; also when a unit has two adoption times.
    """
    first, notes = one_adoption(data, adoption, unit=unit, time=time)
    read = data.assign(**{adoption: first})
    sample = prepare(read, unit=unit, time=time, numeric=[*numeric, time], keys=keys, optional=[adoption])
    return replace(sample, notes=(*notes, *sample.notes))


def one_adoption(data: pd.DataFrame, adoption: str, *, unit: str, time: str) -> tuple[pd.Series, list[str]]:
    """The adoption column as `read_adoption` reads it, with the index of ``data``, and its notes.

    Raises
    ------
    ValueError
        An absent column, values that are no times, or a unit with two adoption times, missing beside a time included.
    """
    require_columns(data, [adoption, unit, time])
    written = time_numbers(data[adoption])
    value, _ = pd.factorize(written, use_na_sentinel=False)
    codes, names = pd.factorize(data[unit])
    first = np.zeros(len(names) + 1, dtype=np.int64)  # the last place: rows without a unit, which `prepare` refuses
    first[codes] = value
    different = (value != first[codes]) & (codes >= 0)
    if different.any():
        units = np.unique(codes[different])
        held = pd.unique(written[codes == units[0]])
        raise CannotEstimate(
            f"Unit {label(names[units[0]])} has several values of {adoption!r} ({', '.join(map(_shown, held))}), one "
            f"of {len(units)} such units: give each unit one first treated {time!r}, on all its rows, missing for "
            "never."
        )
    return read_adoption(data[adoption], as_time(data[time]))


def _shown(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:g}"

"""When each unit is first treated: the two ways of writing it, and the checks every estimator of adoption starts from.

A treatment column (0/1 by row) and an adoption column (first treated time by unit, missing for never) hold the same
facts as long as no unit leaves treatment. No estimation here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.estimation_sample import Sample, as_float, prepare


def treatment_from_adoption(adoption: pd.Series, time: pd.Series) -> pd.Series:
    """One from the first treated time on, else zero; missing adoption is never treated.

    Parameters
    ----------
    adoption, time
        Same length and index, in the same unit of time (years).

    Returns
    -------
    Series of 0.0 and 1.0 with the index of ``time``.
    """
    if len(adoption) != len(time):
        raise ValueError(f"Adoption has {len(adoption)} rows, time has {len(time)}: they must describe the same rows.")
    first = as_float(adoption).to_numpy()
    treated = as_float(time).to_numpy() >= first  # a comparison with a missing value is False: never treated
    return pd.Series(treated.astype(float), index=time.index, name="treatment")


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
        raise ValueError(f"Treatment {treatment!r} must be 0 or 1; it holds {value[other][0]:g}.")
    left = (frame.groupby(unit, sort=False)[treatment].diff() < 0).to_numpy()
    if left.any():
        row = frame.loc[left].iloc[0]
        raise ValueError(
            f"Unit {row[unit]!r} leaves treatment {treatment!r} in {row[time]:g} (one of "
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
        As `prepare`; also when a unit has two adoption times.
    """
    sample = prepare(data, unit=unit, time=time, numeric=[*numeric, time], keys=keys, optional=[adoption])
    one_adoption(data, adoption, unit=unit, time=time)
    return sample


def one_adoption(data: pd.DataFrame, adoption: str, *, unit: str, time: str) -> pd.Series:
    """The adoption column as numbers, with the index of ``data``.

    Raises
    ------
    ValueError
        An absent or non-numeric column, or a unit with two adoption times, missing beside a time included.
    """
    absent = [column for column in (adoption, unit, time) if column not in data.columns]
    if absent:
        raise ValueError(f"No column named {', '.join(map(repr, absent))} in the data.")
    value = as_float(data[adoption])
    filled = np.where(value.isna(), np.inf, value)
    codes, names = pd.factorize(data[unit])
    first = np.full(len(names) + 1, np.inf)  # the last place takes rows without a unit, which `prepare` refuses
    first[codes] = filled
    different = (filled != first[codes]) & (codes >= 0)
    if different.any():
        units = np.unique(codes[different])
        held = pd.unique(value[codes == units[0]])
        raise ValueError(
            f"Unit {names[units[0]]!r} has several values of {adoption!r} ({', '.join(map(_shown, held))}), one of "
            f"{len(units)} such units: give each unit one first treated {time!r}, on all its rows, missing for never."
        )
    return value


def _shown(value: float) -> str:
    return "missing" if np.isnan(value) else f"{value:g}"

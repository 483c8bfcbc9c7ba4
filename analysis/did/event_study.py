"""The event study: effects by time since adoption, from one two-way regression, and the joint test of the leads.

Estimators that average cohort by cohort (Sun and Abraham, imputation) and bounds on violated trends live elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.did.adoption import prepare_adoption
from analysis.did.regression import ANALYTIC, Design, design_matrix, fit
from analysis.estimation_sample import effect_columns, label
from analysis.results import COLUMNS, CannotEstimate, Estimate, WaldTest, wald_test


@dataclass(frozen=True)
class EventStudy:
    """Effects by period relative to adoption.

    Attributes
    ----------
    table
        One row a ``period`` (-leads..lags), also the label of its row: ``estimate``, ``se``, ``t``, ``p``, ``low``,
        ``high`` (95%), and the treated ``rows`` and ``units`` behind it. The base period has estimate, se, low and high
        0 and no t or p.
    pretrend
        Joint test of every estimated period before adoption (negative, other than the base).
    base
        The period whose effect is set to zero.
    covariance
        Of the estimated periods, periods x periods, in the order of the table.
    not_identified
        Period -> one sentence, for rows with missing numbers.
    regression
        The whole regression, controls included, under its column names.
    """

    table: pd.DataFrame
    pretrend: WaldTest
    base: int
    covariance: pd.DataFrame
    not_identified: dict[int, str]
    regression: Estimate
    notes: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        """Observations used."""
        return self.regression.n

    @property
    def clusters(self) -> int | None:
        """Clusters of the variance, or None."""
        return self.regression.clusters

    @property
    def degrees_of_freedom(self) -> float:
        """Of the t distribution behind each row."""
        return self.regression.degrees_of_freedom

    def summary(self) -> str:
        """The event study as text, for people."""
        lines = [self.table.to_string(float_format=lambda value: f"{value:.6g}")]
        lines.append(f"Leads jointly zero: {self.pretrend.summary()}")
        lines.append(f"n = {self.n}, within R2 = {self.regression.r2_within:.4f}, base period {self.base}")
        lines += [f"{period}: {why}" for period, why in self.not_identified.items()]
        lines += list(self.notes)
        return "\n".join(lines)


def event_study(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    leads: int,
    lags: int,
    base: int = -1,
    bin_ends: bool = True,
    always_treated: str = "keep",
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    weights: str | None = None,
    weights_type: str = ANALYTIC,
) -> EventStudy:
    """Effects by period relative to adoption, from a two-way regression on one dummy a period.

    Never-treated units have every dummy zero and are the reference. Conventions of inference are those of `two_way`.
    The coefficients are variance-weighted and mix cohorts (Sun and Abraham 2021): read them beside `sun_abraham`.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; may be unbalanced; never changed.
    adoption
        First treated time, one value a unit, missing for never treated.
    leads, lags
        First and last period, both as positive numbers: ``leads=3, lags=3`` gives -3..3.
    base
        The period left out, -1 by default. With base 0 every effect is relative to that of the year of adoption.
    bin_ends
        True: the first dummy pools all earlier periods and the last all later ones (Schmidheiny and Siegloch 2023).
        False: rows of treated units outside -leads..lags are left out, never added to the reference.
    always_treated
        "keep" or "drop" units treated from their first row on. Kept, they enter as any regression enters them: with no
        period before adoption they only help to tell lags and times apart.
    weights, weights_type
        As in `two_way`.

    Returns
    -------
    EventStudy
        A period that no treated unit reaches, or that the others and the fixed effects determine, has a row without
        numbers and a reason. (Without never-treated units and binned ends the whole path is set only up to a linear
        trend, Borusyak, Jaravel and Spiess 2024: then no period has numbers.)

    Raises
    ------
    ValueError
        Bad columns or keys, a unit with several adoption times, adoption not a whole number of periods from time, a
        base outside -leads..lags.
    """
    _check_window(leads, lags, base)
    if always_treated not in ("keep", "drop"):
        raise ValueError(f"always_treated is 'keep' or 'drop', not {always_treated!r}.")
    grouped = [*effect_columns(fixed_effects, unit=unit, time=time), *effect_columns(cluster, unit=unit, time=time)]
    keys = [column for column in grouped if column not in (unit, time)]
    weight = [] if weights is None else [weights]
    sample = prepare_adoption(data, adoption, unit=unit, time=time, numeric=[y, *controls, *weight], keys=keys)
    relative = _relative_period(sample.data, adoption, unit=unit, time=time)
    keep, notes = _rows_kept(relative, sample.data[unit], leads, lags, bin_ends, always_treated == "drop")
    frame = sample.data[keep]
    if frame.empty:
        raise CannotEstimate("No row is left after units and periods outside the event window are dropped.")
    period = relative[keep].clip(-leads, lags)
    names = _labels(leads, lags, base, taken=list(frame.columns))
    dummies = pd.DataFrame({name: (period == k).astype(float) for k, name in names.items()})
    design = design_matrix(
        pd.concat([frame, dummies], axis=1),
        y,
        [*names.values(), *controls],
        unit=unit,
        time=time,
        fixed_effects=fixed_effects,
        cluster=cluster,
        carry=[adoption],
        weights=weights,
        weights_type=weights_type,
    )
    missing = _never_reached(design, names, leads, lags, bin_ends)
    missing |= _set_only_together(design, {k: name for k, name in names.items() if k not in missing}, base)
    words = {names[k]: why for k, why in missing.items()}
    known = {name: words.get(name, why) for name, why in design.not_identified.items()}
    estimate = fit(replace(design, not_identified=known))
    counts = _treated_counts(design.data[unit], (design.data[time] - design.data[adoption]).clip(-leads, lags))
    return _result(estimate, names, missing, counts, base, (*sample.notes, *notes, *estimate.notes, *_base_notes(base)))


def _check_window(leads: int, lags: int, base: int) -> None:
    for name, value, least in (("leads", leads, 1), ("lags", lags, 0)):
        if int(value) != value or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}; it is {value!r}.")
    if int(base) != base or not -leads <= base <= lags:
        raise ValueError(f"base must be a whole period between {-leads} and {lags}; it is {base!r}.")


def _relative_period(frame: pd.DataFrame, adoption: str, *, unit: str, time: str) -> pd.Series:
    """Time less adoption, missing for never-treated units."""
    relative = frame[time] - frame[adoption]
    fraction = relative.notna() & (relative != relative.round())
    if fraction.any():
        raise CannotEstimate(
            f"{adoption!r} and {time!r} must be whole periods apart; unit {label(frame.loc[fraction, unit].iloc[0])} "
            f"has {relative[fraction].iloc[0]:g}."
        )
    return relative


def _rows_kept(
    relative: pd.Series, units: pd.Series, leads: int, lags: int, bin_ends: bool, drop_always: bool
) -> tuple[np.ndarray, list[str]]:
    """Rows (n,) that enter, and a sentence for each rule that touched the sample."""
    keep, notes = np.ones(len(relative), dtype=bool), []
    always = (relative.groupby(units).transform("min") >= 0).to_numpy()
    if always.any() and drop_always:
        keep &= ~always
        notes.append(f"{int(always.sum())} rows dropped: {_units(always, units)} treated from the first row on.")
    elif always.any():
        notes.append(f"{_units(always, units)} treated from the first row on; kept, without leads of their own.")
    outside = ((relative < -leads) | (relative > lags)).to_numpy() & keep
    if not bin_ends and outside.any():
        keep &= ~outside
        notes.append(f"{int(outside.sum())} rows dropped: outside periods {-leads} to {lags}.")
    if not relative.isna().any():
        notes.append("No unit is never treated: the reference is units not yet treated.")
    return keep, notes


def _units(rows: np.ndarray, units: pd.Series) -> str:
    number = units[rows].nunique()
    return "1 unit is" if number == 1 else f"{number} units are"


def _labels(leads: int, lags: int, base: int, taken: Sequence[str]) -> dict[int, str]:
    """Period -> a column name that the data do not use yet."""
    names = {}
    for k in range(-leads, lags + 1):
        if k == base:
            continue
        name = f"period {k:+d}"
        while name in taken:
            name += "_"
        names[k] = name
    return names


def _never_reached(design: Design, names: dict[int, str], leads: int, lags: int, bin_ends: bool) -> dict[int, str]:
    """Periods in which no treated unit is observed, each with a sentence."""
    beyond = {-leads: " or earlier", lags: " or later"} if bin_ends else {}
    return {
        k: f"No treated unit is observed in period {k:+d}{beyond.get(k, '')}."
        for k, name in names.items()
        if not design.data[name].any()
    }


def _set_only_together(design: Design, names: dict[int, str], base: int) -> dict[int, str]:
    """Periods whose coefficient is not unique because some combination of dummies is swept out by the effects.

    Dropping one dummy would give the others numbers that rest on an arbitrary second normalisation, so every period
    with weight in the null space is set aside.
    """
    if not any(name in design.not_identified for name in names.values()):
        return {}
    raw = design.data[list(names.values())].to_numpy(dtype=float)
    scale = np.linalg.norm(raw, axis=0)
    left = design.effects.residualise(raw) / scale
    _, values, vectors = np.linalg.svd(left, full_matrices=len(left) < left.shape[1])
    values = np.pad(values, (0, left.shape[1] - len(values)))
    null = vectors[values <= 1e-9 * np.sqrt(left.shape[1])]
    loose = np.abs(null).max(axis=0, initial=0.0) > 1e-7
    together = ", ".join(f"{k:+d}" for k, bad in zip(names, loose, strict=True) if bad)
    return {
        k: f"Period {k:+d} has no value of its own: with base {base:+d} the fixed effects absorb a combination of "
        f"periods {together}. Add never-treated units, or bin the ends."
        for k, bad in zip(names, loose, strict=True)
        if bad
    }


def _base_notes(base: int) -> tuple[str, ...]:
    if base < 0:
        return ()
    return (f"The base, period {base}, is treated: every estimate is relative to the effect in that period.",)


def _treated_counts(units: pd.Series, period: pd.Series) -> pd.DataFrame:
    """Rows and units observed in each period, indexed by period."""
    by_period = units.groupby(period.to_numpy())
    return pd.DataFrame({"rows": by_period.size(), "units": by_period.nunique()})


def _result(
    estimate: Estimate,
    names: dict[int, str],
    missing: dict[int, str],
    counts: pd.DataFrame,
    base: int,
    notes: tuple[str, ...],
) -> EventStudy:
    back = {name: k for k, name in names.items()}
    index = pd.Index(sorted([*names, base]), name="period")
    table = estimate.table[estimate.table.index.isin(back)].rename(index=back).reindex(index)
    table.loc[list(missing), COLUMNS] = np.nan
    table.loc[base, COLUMNS] = [0.0, 0.0, np.nan, np.nan, 0.0, 0.0]
    table = table.join(counts.reindex(index, fill_value=0))
    # both as the label of its row and as a column, so that either way of asking finds it
    table.insert(0, "period", index)
    table.index = pd.Index(index, name=None)
    known = [k for k in index if k != base and k not in missing]
    labels = [names[k] for k in known]
    covariance = estimate.covariance.loc[labels, labels].set_axis(known, axis=0).set_axis(known, axis=1)
    before = [k for k in known if k < 0]
    pretrend = wald_test(
        table.loc[before, "estimate"].to_numpy(),
        covariance.loc[before, before].to_numpy(),
        estimate.degrees_of_freedom,
        before,
    )
    return EventStudy(table, pretrend, base, covariance, dict(sorted(missing.items())), estimate, notes)

"""What the estimators of staggered adoption share: the panel by cohort, and the frozen result by cohort and period.

No estimator lives here; the checks of an adoption column are in `adoption`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did.adoption import prepare_adoption
from analysis.did.regression import ANALYTIC, FEW_CLUSTERS, FREQUENCY, weighted_rows
from analysis.estimation_sample import codes_of, label
from analysis.results import COLUMNS, CannotEstimate, inference_table

NO_NEVER_TREATED = (
    "No unit is never treated: every value of {adoption!r} is a time the data reach. {estimator} compares with "
    "never-treated units; {instead}."
)


@dataclass(frozen=True)
class CohortPanel:
    """Rows of a panel with the cohort of their unit, sorted by unit and time.

    Attributes
    ----------
    data : the rows used.
    cohort : first treated time of each row's unit, shape (n,); inf for units the data never see treated.
    time : shape (n,).
    relative : time - cohort, shape (n,); -inf where the cohort is inf.
    notes : what was done to the data, one sentence each.
    """

    data: pd.DataFrame
    cohort: np.ndarray
    time: np.ndarray
    notes: tuple[str, ...]

    @property
    def relative(self) -> np.ndarray:
        return self.time - self.cohort

    def keep(self, rows: np.ndarray, note: str) -> CohortPanel:
        """The same panel with only the rows where ``rows`` (n,) is true, and one more note."""
        return CohortPanel(
            self.data[rows].reset_index(drop=True), self.cohort[rows], self.time[rows], (*self.notes, note)
        )


def cohort_panel(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str],
    *,
    unit: str,
    time: str,
    keys: Sequence[str] = (),
    weights: str | None = None,
    weights_type: str = ANALYTIC,
) -> CohortPanel:
    """Check the columns, drop what is missing, and read each unit's cohort.

    Adoption later than the last time in the data counts as never treated: the data hold no treated row of such a unit.

    Raises
    ------
    ValueError
        As `prepare_adoption`; also when no unit is treated, adoption lies a fraction of a period from time, or a weight
        is negative.
    """
    if weights_type not in (ANALYTIC, FREQUENCY):
        raise ValueError(f"weights_type is {ANALYTIC!r} or {FREQUENCY!r}, not {weights_type!r}.")
    numeric = [y, *controls, *([weights] if weights is not None else [])]
    sample = prepare_adoption(data, adoption, unit=unit, time=time, numeric=numeric, keys=keys)
    frame, notes = sample.data, list(sample.notes)
    if weights is not None:
        frame, said = weighted_rows(frame, weights, whole=weights_type == FREQUENCY)
        notes += said
    when = frame[time].to_numpy()
    cohort = frame[adoption].fillna(np.inf).to_numpy()
    beyond = np.isfinite(cohort) & (cohort > when.max())
    if beyond.any():
        number = frame.loc[beyond, unit].nunique()
        notes.append(f"Adoption of {_plural(number, 'unit')} lies after the last {time!r}: counted as never treated.")
        cohort = np.where(beyond, np.inf, cohort)
    treated = np.isfinite(cohort)
    if not treated.any():
        raise CannotEstimate(
            f"No unit is treated: every {adoption!r} is missing or after the last {time!r} in the data."
        )
    relative = when[treated] - cohort[treated]
    if (relative != np.round(relative)).any():
        row = int(np.flatnonzero(treated)[np.flatnonzero(relative != np.round(relative))[0]])
        raise CannotEstimate(
            f"{adoption!r} and {time!r} must be whole periods apart; unit {label(frame[unit].iloc[row])} has "
            f"{when[row] - cohort[row]:g}."
        )
    return CohortPanel(frame, cohort, when, tuple(notes))


def one_a_unit(panel: CohortPanel, column: str, unit: str, what: str) -> np.ndarray:
    """The value of a column for each unit (units,), in the order of sorted units.

    Raises
    ------
    CannotEstimate
        A unit with several values; ``what`` names what needs one.
    """
    by_unit = panel.data.groupby(unit)[column]
    several = by_unit.nunique() > 1
    if several.any():
        name = several.index[several.to_numpy()][0]
        raise CannotEstimate(
            f"Unit {label(name)} has several values of {column!r}, one of {int(several.sum())} such units: {what} "
            "needs one for each unit."
        )
    return by_unit.first().to_numpy()


def unit_clusters(panel: CohortPanel, cluster: str, unit: str) -> np.ndarray:
    """Cluster codes (units,) of sorted units; ``cluster`` is "unit" or a column that holds whole units.

    Raises
    ------
    CannotEstimate
        A unit in several clusters, or fewer than two clusters.
    """
    if cluster in ("unit", unit):
        return np.arange(panel.data[unit].nunique())
    codes = codes_of(pd.Series(one_a_unit(panel, cluster, unit, "a variance clustered above the unit")))
    if codes.max() < 1:
        raise CannotEstimate(
            f"Column {cluster!r} has one value only: a clustered variance needs at least two clusters."
        )
    return codes


def few_clusters(codes: np.ndarray, cluster: str) -> tuple[str, ...]:
    """A sentence when clusters above the unit are too few for their variance."""
    number = int(codes.max()) + 1
    if number >= FEW_CLUSTERS or number == len(codes):
        return ()
    return (f"Only {number} clusters by {cluster!r}: their variance is reliable from about {FEW_CLUSTERS}.",)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class StaggeredEffects:
    """Treatment effects by cohort and time, and their averages.

    Attributes
    ----------
    att, se
        The overall average effect on the treated and its standard error.
    table
        One row a cohort and time: ``cohort``, ``time``, ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high`` (95%).
        A cell without numbers is not identified; ``not_identified`` says why.
    event
        Averages by ``period`` (time since adoption): a column, and also the row label; then the same columns.
    covariance
        Of the estimates in ``event``, periods x periods (for some estimators, of the periods from 0 on only).
    n, units
        Rows and units used.
    degrees_of_freedom
        Of the t distribution behind p, low and high; inf for the normal.
    base
        The period that every row of ``event`` is measured against, or None when leads and lags are measured
        against different things (then the leads must not be read as the start of the same path).
    not_identified
        (cohort, time) -> one sentence.
    notes
        What was done to the data on the way, one sentence each.
    """

    att: float
    se: float
    table: pd.DataFrame
    event: pd.DataFrame
    covariance: pd.DataFrame
    n: int
    units: int
    degrees_of_freedom: float
    base: int | None
    not_identified: dict[tuple[float, float], str]
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The effects as text, for people."""
        lines = [f"Average effect on the treated {self.att:.6g} (standard error {self.se:.6g})"]
        lines.append(self.event.to_string(index=False, float_format=lambda value: f"{value:.6g}"))
        lines.append(f"n = {self.n}, {self.units} units, {len(self.table)} cohort-times")
        lines += list(self.notes)
        return "\n".join(lines)


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Times as integers where all are whole, so that tables read 2005 and not 2005.0."""
    values = np.asarray(values, dtype=float)
    return values.astype(np.int64) if np.all(values == np.round(values)) else values


def cell_table(
    cohorts: np.ndarray, times: np.ndarray, estimate: np.ndarray, covariance: np.ndarray, freedom: float
) -> pd.DataFrame:
    """Tidy table of cohort-time cells; all arrays (cells,), the covariance (cells, cells)."""
    numbers = inference_table([""] * len(estimate), estimate, covariance, freedom).reset_index(drop=True)
    keys = pd.DataFrame({"cohort": whole_numbers(cohorts), "time": whole_numbers(times)})
    return pd.concat([keys, numbers], axis=1)


def labelled_table(
    name: str, labels: np.ndarray, estimate: np.ndarray, covariance: np.ndarray, freedom: float
) -> pd.DataFrame:
    """Tidy table of averages by one label, which is both the first column and the row label."""
    labels = whole_numbers(labels)
    numbers = inference_table([""] * len(estimate), estimate, covariance, freedom).reset_index(drop=True)
    table = pd.concat([pd.DataFrame({name: labels}), numbers], axis=1)
    return table.set_axis(pd.Index(labels), axis=0)[[name, *COLUMNS]]


def labelled_covariance(labels: np.ndarray, covariance: np.ndarray) -> pd.DataFrame:
    """Square covariance with the same labels on both sides."""
    labels = whole_numbers(labels)
    return pd.DataFrame(covariance, index=pd.Index(labels), columns=pd.Index(labels))


def reasons_in_short(reasons: dict[tuple[float, float], str]) -> list[str]:
    """One sentence for each different reason, with the number of cells it left out."""
    counts: dict[str, int] = {}
    for reason in reasons.values():
        counts[reason] = counts.get(reason, 0) + 1
    return [f"{_plural(number, 'cohort-time')} without an effect: {reason}" for reason, number in counts.items()]

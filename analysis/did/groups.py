"""Does the effect differ between groups of units: a regression in each group and tests that the effects are equal.

Which unit belongs to which group is decided elsewhere (a study's splits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.did.regression import Design, design_matrix, fit, two_way
from analysis.estimation_sample import codes_of, effect_columns, label, prepare, unit_order
from analysis.fixed_effects import FixedEffects
from analysis.results import COLUMNS, CannotEstimate, Estimate, WaldTest, wald_test


@dataclass(frozen=True)
class GroupDifference:
    """Effects by group and whether they differ.

    Attributes
    ----------
    table
        Indexed by group: ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high`` of the group's own regression, ``n``,
        ``units``, ``treated_units``, and ``status`` ("estimated" or "not identified") with its ``reason``. With several
        treatments, indexed by group and term.
    chow
        The Chow-type test that the treatment terms are equal in every group where they are identified: one regression
        with everything interacted with the group, effects included, and a joint clustered Wald test.
    permutation_p
        p of the same statistic when groups are dealt to units at random, or missing when not asked for.
    estimates
        Group -> its regression.
    """

    table: pd.DataFrame
    chow: WaldTest
    permutation_p: float
    estimates: dict[object, Estimate]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The comparison as text, for people."""
        lines = [self.table.to_string(float_format=lambda value: f"{value:.6g}")]
        lines.append(f"Equal effects: {self.chow.summary()}")
        if not np.isnan(self.permutation_p):
            lines.append(f"Permutation p = {self.permutation_p:.4g}")
        return "\n".join([*lines, *self.notes])


def group_difference(
    data: pd.DataFrame,
    y: str,
    treatment: str | Sequence[str],
    controls: Sequence[str],
    *,
    group: str,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    permutations: int = 0,
    seed: int = 0,
) -> GroupDifference:
    """Estimate the effect in each group and test whether the groups differ.

    The test is Chow's (1960) in its clustered form: outcome on treatment and controls, each with a slope a group, and
    each fixed effect by group; then a Wald test that the treatment slopes are equal, F with G - 1 degrees of freedom
    below, G the clusters of all groups together.

    The permutation test deals the group labels to units at random ``permutations`` times, separately among units ever
    treated and never treated, so that each group keeps its number of both, and compares the Wald statistic itself
    (studentised, hence valid when groups differ in variance; Chung and Romano 2013): p = (1 + #{W* >= W}) / (B + 1).

    Parameters
    ----------
    group
        Column of any type, one value a unit; rows where it is missing are left out.
    permutations
        0 for none. Needs unit and time effects, clusters by unit, and a 0/1 treatment in one column.

    Raises
    ------
    ValueError
        Bad columns or keys, a unit in two groups, fewer than two groups, permutations that the design does not allow.
    """
    names = _Columns(
        y=y,
        treatments=(treatment,) if isinstance(treatment, str) else tuple(treatment),
        controls=tuple(controls),
        group=group,
        unit=unit,
        time=time,
        effects=tuple(effect_columns(fixed_effects, unit=unit, time=time)),
        clusters=tuple(effect_columns(cluster, unit=unit, time=time)),
    )
    if permutations:
        _can_permute(names)
    keys = [column for column in (group, *names.effects, *names.clusters) if column not in (unit, time)]
    sample = prepare(data, unit=unit, time=time, numeric=[y, *names.treatments, *controls], keys=keys)
    _one_group_a_unit(sample.data, group, unit)
    labels: list[object] = list(sample.data[group].sort_values().unique())
    rows = {name: sample.data[sample.data[group] == name] for name in labels}
    if len(rows) < 2:
        raise CannotEstimate(
            f"{group!r} has the one value {label(next(iter(rows)))} in the rows used: nothing to compare."
        )
    results = {name: _in_group(frame, names) for name, frame in rows.items()}
    reasons = {name: _reason(rows[name], names, results[name], f"{group} {name}") for name in rows}
    compared = [name for name in rows if not reasons[name]]
    chow, p = WaldTest(np.nan, np.nan, 0, np.nan, (), _nothing(group, compared)), float("nan")
    if len(compared) > 1:
        design = _interacted(pd.concat([rows[name] for name in compared], ignore_index=True), names)
        chow = _equal_slopes(fit(design), len(names.treatments), compared)
        if permutations:
            p = _permutation_p(design, len(names.controls), permutations, seed)
    fitted = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    notes = [f"{group} {name}: {note}" for name, result in fitted.items() for note in result.notes]
    return GroupDifference(_table(rows, names, results, reasons), chow, p, fitted, (*sample.notes, *notes))


@dataclass(frozen=True)
class _Columns:
    """The caller's column names, by what they are."""

    y: str
    treatments: tuple[str, ...]
    controls: tuple[str, ...]
    group: str
    unit: str
    time: str
    effects: tuple[str, ...]
    clusters: tuple[str, ...]


def _can_permute(names: _Columns) -> None:
    if set(names.effects) != {names.unit, names.time} or names.clusters != (names.unit,) or len(names.treatments) > 1:
        raise CannotEstimate(
            "The permutation test of groups needs one treatment, unit and time effects, and clusters by unit; "
            "set permutations=0 for other designs."
        )


def _one_group_a_unit(frame: pd.DataFrame, group: str, unit: str) -> None:
    held = frame.groupby(unit)[group].nunique()
    if (held > 1).any():
        name = held.index[held > 1][0]
        values = ", ".join(map(label, pd.unique(frame.loc[frame[unit] == name, group])[:3]))
        raise CannotEstimate(
            f"Unit {label(name)} is in several groups of {group!r} ({values}), one of {int((held > 1).sum())} such "
            "units: give each unit one group, for example by its mean over the sample."
        )


def _in_group(rows: pd.DataFrame, names: _Columns) -> Estimate | str:
    """The group's own regression, or the sentence that says why there is none."""
    try:
        return two_way(
            rows,
            names.y,
            names.treatments,
            names.controls,
            unit=names.unit,
            time=names.time,
            fixed_effects=names.effects,
            cluster=names.clusters,
        )
    except CannotEstimate as error:
        return str(error)


def _reason(rows: pd.DataFrame, names: _Columns, result: Estimate | str, label: str) -> str:
    """Why the group has no effect to compare; empty when it has."""
    if not rows[list(names.treatments)].to_numpy().any():
        return f"None of the {rows[names.unit].nunique()} units of {label} is treated."
    if isinstance(result, str):
        return result
    return " ".join(result.not_identified[name] for name in names.treatments if name in result.not_identified)


def _nothing(group: str, compared: list[object]) -> str:
    which = f"only {label(compared[0])}" if compared else "no group"
    return f"Of the groups by {group!r} {which} has an effect that is identified: nothing to compare."


def _table(
    rows: dict[object, pd.DataFrame],
    names: _Columns,
    results: dict[object, Estimate | str],
    reasons: dict[object, str],
) -> pd.DataFrame:
    lines = []
    for name, frame in rows.items():
        result = results[name]
        for term in names.treatments:
            numbers = dict.fromkeys(COLUMNS, np.nan)
            if isinstance(result, Estimate):
                row = result.table.loc[term, COLUMNS]
                numbers = dict(zip(COLUMNS, row.to_numpy(dtype=float), strict=True))
            lines.append(
                {
                    "group": name,
                    "term": term,
                    **numbers,
                    "n": result.n if isinstance(result, Estimate) else 0,
                    "units": frame[names.unit].nunique(),
                    "treated_units": frame.loc[frame[term] != 0, names.unit].nunique(),
                    "status": "not identified" if reasons[name] else "estimated",
                    "reason": reasons[name],
                }
            )
    table = pd.DataFrame(lines)
    if len(names.treatments) > 1:
        return table.set_index(["group", "term"])
    return table.drop(columns="term").set_index("group", drop=False).rename_axis(None)


def _interacted(frame: pd.DataFrame, names: _Columns) -> Design:
    """One regression with a slope a group for every column, and every fixed effect by group; treatments come first."""
    codes = codes_of(frame[names.group])
    groups = int(codes.max()) + 1
    # Our own names for all columns, so that none of the caller's can collide with the new ones.
    roles = {names.unit: "unit", names.time: "time", names.y: "outcome"}
    plain = {name: roles.get(name, f"column {j}") for j, name in enumerate(frame.columns)}
    slopes = {
        f"slope {j} in group {g}": frame[name].to_numpy() * (codes == g)
        for j, name in enumerate([*names.treatments, *names.controls])
        for g in range(groups)
    }
    by_group = {
        f"effect {j} by group": codes_of(frame[name]) * groups + codes
        for j, name in enumerate(names.effects or (names.group,))
    }
    added = pd.DataFrame({**slopes, **by_group, "group": codes}, index=frame.index)
    return design_matrix(
        pd.concat([frame.rename(columns=plain), added], axis=1),
        plain[names.y],
        list(slopes),
        unit=plain[names.unit],
        time=plain[names.time],
        fixed_effects=list(by_group),
        cluster=[plain[name] for name in names.clusters],
        carry=["group"],
    )


def _equal_slopes(estimate: Estimate, treatments: int, groups: list[object]) -> WaldTest:
    """Joint test that each treatment has the same slope in every group: the others less the first."""
    first = [f"slope {j} in group 0" for j in range(treatments)]
    others = [[f"slope {j} in group {g}" for g in range(1, len(groups))] for j in range(treatments)]
    terms = [*first, *(name for names in others for name in names)]
    contrasts = [(terms.index(name), j) for j, names in enumerate(others) for name in names]
    matrix = np.zeros((len(contrasts), len(terms)))
    for row, (column, j) in enumerate(contrasts):
        matrix[row, [column, j]] = 1.0, -1.0
    beta = estimate.table.loc[terms, "estimate"].to_numpy()
    covariance = estimate.covariance.loc[terms, terms].to_numpy()
    return wald_test(matrix @ beta, matrix @ covariance @ matrix.T, estimate.degrees_of_freedom, tuple(groups))


def _permutation_p(design: Design, controls: int, permutations: int, seed: int) -> float:
    """The share of random groupings whose statistic is at least that of the true one."""
    products = _Products.of(design, controls)
    actual = products.statistic(products.group)
    generator = np.random.default_rng(seed)
    valid = extreme = 0
    for _ in range(permutations):
        statistic = products.statistic(_deal(products.group, products.treated, generator))
        valid += not np.isnan(statistic)
        extreme += statistic >= actual * (1 - 1e-9)
    return (1 + extreme) / (1 + valid)


def _deal(group: np.ndarray, treated: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Groups (units,) in random order, among treated and among untreated units: both numbers stay in every group."""
    dealt = group.copy()
    for stratum in (treated, ~treated):
        dealt[stratum] = generator.permutation(group[stratum])
    return dealt


@dataclass(frozen=True)
class _Products:
    """Cross-products by unit, from which any grouping's regressions follow without touching the rows again.

    Attributes
    ----------
    sums : (units, m, m), of treatment, controls, time dummies and outcome, each less its unit mean.
    group : codes (units,).
    treated : whether each unit is ever treated (units,).
    """

    sums: np.ndarray
    group: np.ndarray
    treated: np.ndarray

    @classmethod
    def of(cls, design: Design, controls: int) -> _Products:
        """The cross-products of an interacted design with unit and time effects, units numbered by content."""
        group = design.data["group"].to_numpy().astype(int)
        by_group = [[f"slope {j} in group {g}" for g in range(group.max() + 1)] for j in range(1 + controls)]
        regressors = {f"slope {j}": design.data[names].sum(axis=1) for j, names in enumerate(by_group)}
        frame = pd.DataFrame({**regressors, **{name: design.data[name] for name in ("unit", "time", "outcome")}})
        order = unit_order(frame, "unit", ["time", *regressors, "outcome"])
        dummies = np.eye(int(codes_of(frame["time"]).max()) + 1)[codes_of(frame["time"])][:, 1:]
        columns = np.column_stack([frame[list(regressors)], dummies, frame["outcome"]])
        left = FixedEffects([order], len(frame)).residualise(columns)
        left /= np.linalg.norm(left, axis=0)
        rows = [np.flatnonzero(order == unit) for unit in range(int(order.max()) + 1)]
        sums = np.stack([left[at].T @ left[at] for at in rows])
        first = np.array([at[0] for at in rows])
        return cls(sums, group[first], np.array([bool(frame["slope 0"].to_numpy()[at].any()) for at in rows]))

    def statistic(self, group: np.ndarray) -> float:
        """Wald statistic, before its small-sample factor, that the groups (units,) have one effect; groups are
        independent when clusters are units, so it is the precision-weighted spread of their effects."""
        effects = [self._effect(self.sums[group == g]) for g in range(int(group.max()) + 1)]
        estimate, variance = np.array(effects).T
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = 1 / variance
            mean = (precision * estimate).sum() / precision.sum()
            return float((precision * (estimate - mean) ** 2).sum())

    @staticmethod
    def _effect(sums: np.ndarray) -> tuple[float, float]:
        """Treatment's coefficient and clustered variance from one group's cross-products (units, m, m)."""
        whole = sums.sum(axis=0)
        inverse = np.linalg.pinv(whole[1:-1, 1:-1], rcond=1e-12, hermitian=True)
        residual = np.concatenate([[1.0], -inverse @ whole[1:-1, 0], [0.0]])  # of the treatment on all others
        length = float(residual @ whole @ residual)
        if length <= 1e-12 * whole[0, 0]:
            return np.nan, np.nan
        estimate = float(residual @ whole[:, -1]) / length
        others = inverse @ (whole[1:-1, -1] - whole[1:-1, 0] * estimate)
        scores = sums @ np.concatenate([[-estimate], -others, [1.0]]) @ residual
        return estimate, float(scores @ scores) / length**2

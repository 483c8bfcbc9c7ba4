"""Synthetic difference-in-differences (Arkhangelsky et al. 2021), cohort by cohort where adoption is staggered.

Weights, the estimate, placebo and jackknife errors. Estimators without weights on control units live next door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.did._staggered import cohort_panel, whole_numbers
from analysis.did.adoption import adoption_from_treatment
from analysis.did.regression import design_matrix, fit
from analysis.results import CannotEstimate

#: Steps before and after small weights are set to zero, and the decrease (in noise levels) at which steps end.
STEPS_BEFORE, STEPS_AFTER, LEAST_DECREASE = 100, 10_000, 1e-5
#: Steps after, in placebo draws: ten times faster, and the standard error moves by less than its simulation error.
STEPS_PLACEBO = 1_000
#: Ridge on time weights, in noise levels: only to make them unique.
TIME_RIDGE = 1e-6
#: Numbers held at once while placebo draws are solved together.
BATCH = 20_000_000


@dataclass(frozen=True)
class Synthetic:
    """A synthetic difference-in-differences estimate.

    Attributes
    ----------
    att, se, p, low, high
        Average effect on treated unit-times, its standard error, and normal inference (95%). ``se`` is by placebo where
        that is available, else by jackknife, else missing.
    standard_errors
        Indexed by method (``placebo``, ``jackknife``): ``se`` and, where it is not available, the ``reason``.
    table
        One row a cohort: ``cohort``, ``units``, ``times`` (treated), ``estimate``, ``share`` in the att.
    unit_weights
        ``cohort``, ``unit``, ``weight`` of every control unit; sum to one within a cohort.
    time_weights
        ``cohort``, ``time``, ``weight`` of every time before adoption; sum to one within a cohort.
    paths
        ``cohort``, ``time``, mean of the ``treated``, ``synthetic`` mean, and ``effect``: their difference less its
        weighted mean before adoption.
    n, units, controls
        Rows, units and control units used.
    notes
        What was done to the data on the way, one sentence each.
    """

    att: float
    se: float
    p: float
    low: float
    high: float
    standard_errors: pd.DataFrame
    table: pd.DataFrame
    unit_weights: pd.DataFrame
    time_weights: pd.DataFrame
    paths: pd.DataFrame
    n: int
    units: int
    controls: int
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The estimate as text, for people."""
        lines = [f"Average effect on the treated {self.att:.6g} (standard error {self.se:.6g}, p = {self.p:.4g})"]
        lines.append(self.table.to_string(index=False, float_format=lambda value: f"{value:.6g}"))
        lines += [
            f"No {method} standard error: {row.reason}" for method, row in self.standard_errors.iterrows() if row.reason
        ]
        lines.append(f"n = {self.n}, {self.units} units of which {self.controls} controls")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class _Block:
    """Outcomes of controls (controls, times) and of each cohort's units, with the number of times before adoption."""

    controls: np.ndarray
    treated: list[np.ndarray]
    before: list[int]


@dataclass(frozen=True)
class _Tuning:
    """Ridges and stopping rule of one cohort: zeta of units and times, and the least decrease of the objective."""

    unit_ridge: float
    time_ridge: float
    decrease: float


def synthetic(
    data: pd.DataFrame,
    y: str,
    treatment: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    draws: int = 200,
    seed: int = 0,
) -> Synthetic:
    """Difference-in-differences against controls weighted to share the treated's past, over times weighted as well.

    Weights solve equations 4 and 6 of Arkhangelsky et al. (2021) by the Frank-Wolfe steps of their R package synthdid,
    with its regularisation and its rule for small weights, so that numbers agree with it. With staggered adoption each
    cohort is estimated against units never treated and cohorts are averaged by treated unit-times (their appendix A).
    Control units are put in the order of their outcomes first, so labels cannot matter.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; never changed. Must be balanced: units not observed at every time are
        dropped, with a note.
    treatment
        0/1, never going back to 0.
    controls
        Their effect is estimated by a two-way regression on untreated rows and taken out of y first.
    draws, seed
        Placebo draws: treated status is given to random controls, in cohorts of the sizes observed (algorithm 4). Needs
        more controls than treated units. The jackknife (algorithm 3, weights fixed) needs two treated units in every
        cohort and two weighted controls.

    Raises
    ------
    ValueError
        Bad columns or keys, a treatment that ends, no treated or no never-treated unit, no balanced unit, no cohort
        with two times before adoption.
    """
    adoption = "adoption"
    while adoption in data.columns:
        adoption += "_"
    first = adoption_from_treatment(data, treatment, unit=unit, time=time)
    panel = cohort_panel(data.assign(**{adoption: first}), y, adoption, controls, unit=unit, time=time)
    rows, notes = panel.data.assign(cohort=panel.cohort), list(panel.notes)
    outcome = _without_controls(panel.data, y, controls, panel.relative < 0, unit=unit, time=time)
    wide = pd.Series(outcome, index=pd.MultiIndex.from_frame(rows[[unit, time]])).unstack()
    complete = wide.notna().all(axis=1)
    if not complete.all():
        notes.append(f"{int((~complete).sum())} units dropped: not observed at every {time!r}.")
        wide = wide[complete]
    cohort = rows.groupby(unit)["cohort"].first().reindex(wide.index).to_numpy()
    wide, cohort, dropped = _usable_cohorts(wide, cohort)
    order = np.lexsort([*wide.to_numpy().T[::-1], cohort])
    wide, cohort = wide.iloc[order], cohort[order]
    block, cohorts = _block(wide, cohort)
    return _estimate(wide, cohort, cohorts, block, draws, seed, (*notes, *dropped))


def _without_controls(
    frame: pd.DataFrame, y: str, controls: Sequence[str], untreated: np.ndarray, *, unit: str, time: str
) -> np.ndarray:
    """Outcome less controls times their coefficients in the untreated rows (n,)."""
    outcome = frame[y].to_numpy(dtype=float)
    if not len(controls):
        return outcome
    estimate = fit(design_matrix(frame[untreated], y, controls, unit=unit, time=time)).table["estimate"]
    return outcome - frame[list(controls)].to_numpy(dtype=float) @ estimate.reindex(list(controls)).fillna(0).to_numpy()


def _usable_cohorts(wide: pd.DataFrame, cohort: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Without cohorts that have fewer than two times before adoption, the least that shows any noise."""
    times = wide.columns.to_numpy()
    early = np.array([(times < value).sum() < 2 for value in cohort], dtype=bool)
    notes = [f"{int(early.sum())} units dropped: fewer than two times before adoption."] if early.any() else []
    wide, cohort = wide[~early], cohort[~early]
    if not np.isfinite(cohort).any():
        raise CannotEstimate("No treated unit is observed at every time and at two or more times before adoption.")
    if not np.isinf(cohort).any():
        raise CannotEstimate(
            "No unit is observed at every time and never treated: nothing can make a synthetic control."
        )
    return wide, cohort, notes


def _block(wide: pd.DataFrame, cohort: np.ndarray) -> tuple[_Block, np.ndarray]:
    values, times = wide.to_numpy(), wide.columns.to_numpy()
    cohorts = np.unique(cohort[np.isfinite(cohort)])
    treated = [values[cohort == value] for value in cohorts]
    return _Block(values[np.isinf(cohort)], treated, [int((times < value).sum()) for value in cohorts]), cohorts


def _estimate(
    wide: pd.DataFrame,
    cohort: np.ndarray,
    cohorts: np.ndarray,
    block: _Block,
    draws: int,
    seed: int,
    notes: tuple[str, ...],
) -> Synthetic:
    tuning = [_tuning(block, g) for g in range(len(cohorts))]
    unit_weights, time_weights, effects = [], [], []
    for g, (treated, before) in enumerate(zip(block.treated, block.before, strict=True)):
        omega, lam = _weights(block.controls[None], treated.mean(axis=0)[None], before, tuning[g])
        unit_weights.append(omega[0])
        time_weights.append(lam[0])
        effects.append(float(_effect(block.controls[None], treated.mean(axis=0)[None], before, omega, lam)[0]))
    cells = np.array([len(t) * (wide.shape[1] - before) for t, before in zip(block.treated, block.before, strict=True)])
    share = cells / cells.sum()
    att = float(share @ effects)
    placebo, no_placebo = _placebo(block, tuning, unit_weights, time_weights, share, draws, seed)
    jackknife, no_jackknife = _jackknife(block, unit_weights, time_weights)
    errors = pd.DataFrame(
        {"se": [placebo, jackknife], "reason": [no_placebo, no_jackknife]},
        index=pd.Index(["placebo", "jackknife"], name="method"),
    )
    se = placebo if not no_placebo else jackknife
    used = "placebo" if not no_placebo else "jackknife" if not no_jackknife else ""
    z = att / se if se > 0 else np.nan
    margin = float(stats.norm.ppf(0.975)) * se
    names, times = wide.index[np.isinf(cohort)].to_numpy(), whole_numbers(wide.columns.to_numpy())
    labels = whole_numbers(cohorts)
    return Synthetic(
        att=att,
        se=se,
        p=float(2 * stats.norm.sf(abs(z))),
        low=att - margin,
        high=att + margin,
        standard_errors=errors,
        table=pd.DataFrame(
            {
                "cohort": labels,
                "units": [len(t) for t in block.treated],
                "times": [len(times) - b for b in block.before],
                "estimate": effects,
                "share": share,
            }
        ),
        unit_weights=_stacked(labels, "unit", [names] * len(cohorts), unit_weights),
        time_weights=_stacked(labels, "time", [times[:before] for before in block.before], time_weights),
        paths=_paths(block, labels, times, unit_weights, time_weights),
        n=wide.size,
        units=len(wide),
        controls=len(block.controls),
        notes=(*notes, f"Standard error by {used}." if used else "No standard error is available."),
    )


def _tuning(block: _Block, g: int) -> _Tuning:
    """Regularisation of Arkhangelsky et al. (2021), equation 5: zeta = (treated cells)^(1/4) times the noise level."""
    before, treated = block.before[g], block.treated[g]
    noise = (
        float(np.diff(block.controls[:, :before], axis=1).std(ddof=1)) if block.controls[:, :before].size > 2 else 0.0
    )
    cells = len(treated) * (treated.shape[1] - before)
    return _Tuning(cells**0.25 * noise, TIME_RIDGE * noise, LEAST_DECREASE * noise)


def _weights(
    controls: np.ndarray,
    treated: np.ndarray,
    before: int,
    tuning: _Tuning,
    omega: np.ndarray | None = None,
    lam: np.ndarray | None = None,
    steps: int = STEPS_AFTER,
) -> tuple[np.ndarray, np.ndarray]:
    """Unit weights (draws, controls) and time weights (draws, before) of several problems of one shape.

    ``controls`` (draws, controls, times), ``treated`` (draws, times); ``omega`` and ``lam`` are where steps start.
    """
    past = controls[:, :, :before]
    units = _solve(past, treated[:, :before], tuning.unit_ridge, tuning.decrease, omega, steps)
    times = _solve(
        past.transpose(0, 2, 1), controls[:, :, before:].mean(axis=2), tuning.time_ridge, tuning.decrease, lam, steps
    )
    return units, times


def _solve(
    columns: np.ndarray, target: np.ndarray, ridge: float, decrease: float, start: np.ndarray | None, steps: int
) -> np.ndarray:
    """Weights on the simplex (draws, k) whose mix of ``columns`` (draws, k, m), up to a constant, is near ``target``.

    Minimises the mean squared error plus ridge^2 times the sum of squared weights; small weights are set to zero after
    the first steps, as in synthdid.
    """
    columns = columns - columns.mean(axis=2, keepdims=True)
    target = target - target.mean(axis=1, keepdims=True)
    if start is None:
        start = np.full(columns.shape[:2], 1 / columns.shape[1])
    weights = _frank_wolfe(columns, target, ridge, decrease, start, STEPS_BEFORE)
    weights = np.where(weights <= weights.max(axis=1, keepdims=True) / 4, 0.0, weights)
    return _frank_wolfe(columns, target, ridge, decrease, weights / weights.sum(axis=1, keepdims=True), steps)


def _frank_wolfe(
    columns: np.ndarray, target: np.ndarray, ridge: float, decrease: float, start: np.ndarray, steps: int
) -> np.ndarray:
    """Frank-Wolfe with exact line search, all draws at once; a draw stops when a step gains too little."""
    rows = columns.shape[2]
    eta = rows * ridge**2
    result = start.copy()
    active = np.arange(len(start))
    x, a, b = start.copy(), columns, target
    residual = np.matmul(x[:, None, :], a)[:, 0] - b
    squared, last = (x**2).sum(axis=1), np.full(len(x), np.inf)
    for step in range(1, steps + 1):
        gradient = np.matmul(a, residual[:, :, None])[:, :, 0]
        gradient += eta * x
        best, each = gradient.argmin(axis=1), np.arange(len(x))
        # Every other product with x is had from its mix and length, which are carried along.
        toward, own = a[each, best] - (residual + b), x[each, best]
        slope = gradient[each, best] - (residual * (residual + b)).sum(axis=1) - eta * squared
        length = (toward**2).sum(axis=1) + eta * (1 - 2 * own + squared)
        move = np.clip(np.divide(-slope, length, out=np.zeros_like(slope), where=length > 0), 0, 1)
        x *= (1 - move)[:, None]
        x[each, best] += move
        residual = residual + move[:, None] * toward
        squared = (1 - move) ** 2 * squared + 2 * move * (1 - move) * own + move**2
        value = ridge**2 * squared + (residual**2).sum(axis=1) / rows
        going = np.full(len(x), step < 2) | (last - value > decrease**2)
        last = value
        if not going.all():
            result[active[~going]] = x[~going]
            active, x, a, b = active[going], x[going], a[going], b[going]
            residual, squared, last = residual[going], squared[going], last[going]
            if not len(active):
                return result
    result[active] = x
    return result


def _effect(controls: np.ndarray, treated: np.ndarray, before: int, omega: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """Effects (draws,) from outcomes, (draws, controls, times) and (draws, times), and weights."""
    gap = treated - np.matmul(omega[:, None, :], controls)[:, 0]
    return gap[:, before:].mean(axis=1) - (gap[:, :before] * lam).sum(axis=1)


def _placebo(
    block: _Block,
    tuning: list[_Tuning],
    unit_weights: list[np.ndarray],
    time_weights: list[np.ndarray],
    share: np.ndarray,
    draws: int,
    seed: int,
) -> tuple[float, str]:
    """Spread of the estimate over random treated groups of controls, or why there is none (algorithm 4)."""
    sizes = [len(treated) for treated in block.treated]
    total, available = sum(sizes), len(block.controls)
    if draws < 2:
        return np.nan, "fewer than two placebo draws were asked for."
    if available <= total:
        return np.nan, f"it needs more controls than treated units; there are {available} and {total}."
    generator = np.random.default_rng(seed)
    orders = np.stack([generator.permutation(available) for _ in range(draws)])
    chunk = max(1, BATCH // block.controls.size)
    estimates = []
    for first in range(0, draws, chunk):
        order = orders[first : first + chunk]
        kept, given = order[:, : available - total], order[:, available - total :]
        controls = block.controls[kept]
        estimate, start = np.zeros(len(order)), 0
        for g, size in enumerate(sizes):
            treated = block.controls[given[:, start : start + size]].mean(axis=1)
            start += size
            omega = unit_weights[g][kept]
            sums = omega.sum(axis=1, keepdims=True)
            omega = np.where(sums > 0, omega / np.where(sums > 0, sums, 1), 1 / omega.shape[1])
            lam = np.tile(time_weights[g], (len(order), 1))
            omega, lam = _weights(controls, treated, block.before[g], tuning[g], omega, lam, STEPS_PLACEBO)
            estimate += share[g] * _effect(controls, treated, block.before[g], omega, lam)
        estimates.append(estimate)
    return float(np.concatenate(estimates).std()), ""


def _jackknife(block: _Block, unit_weights: list[np.ndarray], time_weights: list[np.ndarray]) -> tuple[float, str]:
    """Jackknife over units with weights fixed, renormalised without the unit, or why there is none (algorithm 3)."""
    if min(len(treated) for treated in block.treated) < 2:
        return np.nan, "it needs two treated units in every cohort."
    if min(int((weights > 0).sum()) for weights in unit_weights) < 2:
        return np.nan, "it needs two controls with weight in every cohort."
    times = block.controls.shape[1]
    contrasts = [
        np.concatenate([-lam, np.full(times - before, 1 / (times - before))])
        for lam, before in zip(time_weights, block.before, strict=True)
    ]
    change = [block.controls @ contrast for contrast in contrasts]
    own = [treated @ contrast for treated, contrast in zip(block.treated, contrasts, strict=True)]
    size = np.array([len(treated) for treated in block.treated])
    length = np.array([times - before for before in block.before])
    effects = np.array([o.mean() - w @ c for o, w, c in zip(own, unit_weights, change, strict=True)])
    left_out = []
    without = np.stack([(w @ c - w * c) / (1 - w) for w, c in zip(unit_weights, change, strict=True)])
    by_control = np.array([o.mean() for o in own])[:, None] - without
    left_out.append((size * length) @ by_control / (size @ length))
    for g, values in enumerate(own):
        cells = length * (size - (np.arange(len(size)) == g))
        shifted = effects[g] + (values.mean() - values) / (size[g] - 1)
        left_out.append((cells @ effects + cells[g] * (shifted - effects[g])) / cells.sum())
    estimates = np.concatenate(left_out)
    units = len(estimates)
    return float(np.sqrt((units - 1) / units * ((estimates - estimates.mean()) ** 2).sum())), ""


def _stacked(cohorts: np.ndarray, name: str, labels: list[np.ndarray], weights: list[np.ndarray]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"cohort": cohort, name: label, "weight": weight})
        for cohort, label, weight in zip(cohorts, labels, weights, strict=True)
    ]
    return pd.concat(parts, ignore_index=True).sort_values(["cohort", name], ignore_index=True)


def _paths(
    block: _Block,
    cohorts: np.ndarray,
    times: np.ndarray,
    unit_weights: list[np.ndarray],
    time_weights: list[np.ndarray],
) -> pd.DataFrame:
    parts = []
    for g, treated in enumerate(block.treated):
        mean, mix = treated.mean(axis=0), unit_weights[g] @ block.controls
        gap = mean - mix
        effect = gap - gap[: block.before[g]] @ time_weights[g]
        parts.append(
            pd.DataFrame({"cohort": cohorts[g], "time": times, "treated": mean, "synthetic": mix, "effect": effect})
        )
    return pd.concat(parts, ignore_index=True)

"""Placebo tests: the same regression after the treatment has been handed to other units, to earlier times, or both.

One projection serves every draw over units. The p-value is that of a permutation test and needs no standard error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse, stats

from analysis.did.adoption import one_adoption, treatment_from_adoption
from analysis.did.regression import Design, cluster_factor, cluster_ways, design_matrix, few_treated, fit
from analysis.estimation_sample import unit_order
from analysis.fixed_effects import FixedEffects, is_nested
from analysis.results import CannotEstimate, Estimate

#: Numbers held at once where draws need rows: small enough for a processor's cache, the same on every machine.
BLOCK = 262_144


@dataclass(frozen=True)
class Placebo:
    """Estimates under treatments drawn at random.

    Attributes
    ----------
    draws
        One row a draw, indexed by ``draw``: ``estimate``, ``se``, ``p`` (clustered, as `two_way`). A draw whose
        treatment the fixed effects absorb has no numbers and does not count. In time, the index is the number of
        periods by which adoption is brought forward.
    actual
        The estimate under the true treatment.
    p_value
        (1 + number of draws with |estimate| >= |actual|) / (1 + number of draws).
    regression
        The whole regression under the true treatment.
    """

    draws: pd.DataFrame
    actual: float
    p_value: float
    regression: Estimate
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """The test in one row: actual estimate, permutation p, and where the draws lie."""
        estimate = self.draws["estimate"].dropna()
        row = {
            "actual": self.actual,
            "p_value": self.p_value,
            "draws": len(estimate),
            "mean": estimate.mean(),
            "sd": estimate.std(),
            "low": estimate.quantile(0.025),
            "high": estimate.quantile(0.975),
            "share_significant_5pct": float((self.draws["p"].dropna() < 0.05).mean()),
        }
        return pd.DataFrame([row], index=pd.Index(["placebo"], name="test"))

    def summary(self) -> str:
        """The test as text, for people."""
        row = self.table.iloc[0]
        return "\n".join(
            [
                f"actual {self.actual:.6g}, permutation p = {self.p_value:.4g} over {row['draws']:.0f} draws",
                f"placebo estimates: mean {row['mean']:.4g}, sd {row['sd']:.4g}, 95% between {row['low']:.4g} and "
                f"{row['high']:.4g}; {row['share_significant_5pct']:.1%} significant at 5%",
                *self.notes,
            ]
        )


def placebo(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    draws: int = 500,
    seed: int = 0,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    kind: str = "space",
) -> Placebo:
    """Re-estimate the two-way regression with adoption that did not happen.

    In space (the default), every draw keeps the number of units that adopt at each time and deals those times to units
    drawn from all units in the sample, treated or not. In time, treated rows are left out and adoption is brought
    forward by 1, 2, ... periods, one regression each, as far back as some unit has been seen before it; nothing is
    drawn. Mixed, each cohort keeps its size, its units are drawn from all and its time from all times but the first,
    as in Stata's ``didplacebo`` (Chen, Qi and Yan 2023). The clustered variance is exact for each draw. Draws depend on
    ``seed`` and the data, not on the order of rows or on what units are called.

    Parameters
    ----------
    adoption
        First treated time, one value a unit, missing for never treated.
    draws, seed
        How many times, and the seed of numpy's default generator; not used in time.
    kind
        "space", "time" or "mixed".

    Returns
    -------
    Placebo

    Raises
    ------
    ValueError
        Bad columns or keys, a unit with several adoption times, no treated unit, a treatment the effects absorb.
    """
    if int(draws) != draws or draws < 1:
        raise ValueError(f"draws must be a whole number, at least 1; it is {draws!r}.")
    if kind not in ("space", "time", "mixed"):
        raise ValueError(f"kind is 'space', 'time' or 'mixed', not {kind!r}.")
    design, treatment = _treated_design(
        data, y, adoption, controls, unit=unit, time=time, fixed_effects=fixed_effects, cluster=cluster
    )
    regression = fit(replace(design, notes=(*design.notes, *few_treated(design, treatment))))
    notes = list(regression.notes)
    frame = design.data
    if kind == "time":
        table, said = _earlier(
            frame, y, adoption, controls, unit=unit, time=time, effects=fixed_effects, cluster=cluster
        )
        notes += said
    else:
        order = unit_order(frame, unit, [time, adoption, y, *controls])
        dealt = _deal(frame[adoption].to_numpy(), order, draws, seed)
        if kind == "mixed":
            dealt = other_times(dealt, np.unique(frame[time].to_numpy())[1:], seed)
        table = _regress_draws(design, treatment, frame[time].to_numpy(), order, dealt)
    actual = float(regression.table["estimate"].to_numpy()[regression.table.index.get_loc(treatment)])
    estimate = table["estimate"].dropna().to_numpy()
    if len(estimate) < len(table):
        notes.append(f"{len(table) - len(estimate)} draws do not count: fixed effects absorb their treatment.")
    # A draw that repeats the true assignment differs from it by rounding only and must count as a tie.
    extreme = int((np.abs(estimate) >= abs(actual) * (1 - 1e-9)).sum())
    return Placebo(table, actual, (1 + extreme) / (1 + len(estimate)), regression, tuple(notes))


def _treated_design(
    data: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str],
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str],
    cluster: str | Sequence[str] | None,
) -> tuple[Design, str]:
    """The regression under the true treatment, and the name of its treatment column."""
    first, said = one_adoption(data, adoption, unit=unit, time=time)
    treatment = "treatment"
    while treatment in data.columns:
        treatment += "_"
    design = design_matrix(
        data.assign(**{adoption: first, treatment: treatment_from_adoption(first, data[time])}),
        y,
        [treatment, *controls],
        unit=unit,
        time=time,
        fixed_effects=fixed_effects,
        cluster=cluster,
        carry=[adoption, time],
    )
    if treatment in design.not_identified:
        raise CannotEstimate(
            f"The treatment that {adoption!r} gives has no effect to estimate, so nothing can be permuted: "
            f"{design.not_identified[treatment]}"
        )
    return replace(design, notes=(*said, *design.notes)), treatment


def _deal(adoption: np.ndarray, units: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Adoption times (units, draws), each column the true ones in random order; infinite for never."""
    true = np.full(int(units.max()) + 1, np.inf)
    true[units] = np.where(np.isnan(adoption), np.inf, adoption)
    generator = np.random.default_rng(seed)
    return generator.permuted(np.broadcast_to(true, (draws, len(true))), axis=1).T


def other_times(dealt: np.ndarray, times: np.ndarray, seed: int) -> np.ndarray:
    """The dealt adoption times (units, draws), each cohort's replaced by one drawn from ``times``, draw by draw."""
    generator = np.random.default_rng([seed, 1])
    cohorts = np.unique(dealt[np.isfinite(dealt)])
    drawn = generator.choice(times, size=(len(cohorts), dealt.shape[1]))
    place = np.clip(np.searchsorted(cohorts, dealt), 0, len(cohorts) - 1)
    return np.where(np.isfinite(dealt), drawn[place, np.arange(dealt.shape[1])], np.inf)


def _earlier(
    frame: pd.DataFrame,
    y: str,
    adoption: str,
    controls: Sequence[str],
    *,
    unit: str,
    time: str,
    effects: str | Sequence[str],
    cluster: str | Sequence[str] | None,
) -> tuple[pd.DataFrame, list[str]]:
    """The regression on rows before adoption, once for each number of periods that adoption is brought forward."""
    rows: dict[int, list[float]] = {}
    number = 0
    for periods, moved in brought_forward(frame, adoption, unit, time):
        number = len(moved)
        try:
            design, treatment = _treated_design(
                moved, y, adoption, controls, unit=unit, time=time, fixed_effects=effects, cluster=cluster
            )
        except CannotEstimate:
            rows[periods] = [np.nan] * 3
            continue
        table = fit(design, engine="own").table
        rows[periods] = list(table[["estimate", "se", "p"]].to_numpy()[table.index.get_loc(treatment)])
    if not rows:
        raise CannotEstimate("No treated unit is seen for two periods before adoption: nothing can be brought forward.")
    drawn = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se", "p"]).rename_axis("draw")
    said = [f"In time: {number} rows before adoption; the smallest p there can be is {1 / (1 + len(rows)):.2g}."]
    return drawn, said


def brought_forward(frame: pd.DataFrame, adoption: str, unit: str, time: str) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows before adoption, with adoption brought forward by 1, 2, ... periods as far as some unit was seen before."""
    first = frame[adoption].fillna(np.inf).to_numpy()
    untreated = frame[frame[time].to_numpy() < first]
    ahead = untreated[adoption].notna() & (untreated[adoption] <= frame[time].max())
    seen = untreated[ahead].groupby(unit)[time].min()
    reach = (untreated[ahead].groupby(unit)[adoption].first() - seen).max() if ahead.any() else 0
    for periods in range(1, int(reach)):
        yield periods, untreated.assign(**{adoption: untreated[adoption].where(ahead) - periods})


def _regress_draws(
    design: Design, treatment: str, time: np.ndarray, units: np.ndarray, dealt: np.ndarray
) -> pd.DataFrame:
    """Estimate, standard error and p of the treatment under each column of adoption times (units, draws).

    By Frisch and Waugh (1933) the coefficient is d'y / d'd with d and y the residuals of treatment and outcome from
    effects and controls, and its clustered variance is the sum over clusters of (sum of d_i e_i)^2 / (d'd)^2.
    """
    n, k = design.x.shape
    parameters = k + design.absorbed
    others = [j for j, term in enumerate(design.terms) if term not in (treatment, "const")]
    effects = design.effects if isinstance(design.effects, FixedEffects) else FixedEffects([], n)  # the constant alone
    projection = effects.extended(design.raw_x[:, others])
    outcome = projection.residualise(design.raw_y)
    if design.clusters and _sums_by_unit_suffice(projection, units, design.clusters):
        estimate, variance = _by_unit(projection, time, units, dealt, outcome, design.clusters[0])
    else:
        estimate, variance = _by_row(projection, time, units, dealt, outcome, design.clusters)
    if design.clusters:
        factor = cluster_factor(n, design.clusters, parameters)
        freedom = min(int(codes.max()) + 1 for codes in design.clusters) - 1
    else:
        factor, freedom = 1 / (n - parameters), n - parameters
    se = np.sqrt(factor * np.clip(variance, 0, None))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(np.where(se > 0, estimate / se, np.nan)), freedom)
    index = pd.RangeIndex(len(estimate), name="draw")
    return pd.DataFrame({"estimate": estimate, "se": se, "p": p}, index=index)


def _sums(codes: np.ndarray) -> sparse.csr_array:
    """The matrix (groups, n) that adds up rows by group."""
    n = len(codes)
    return sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(int(codes.max()) + 1, n))


def _sums_by_unit_suffice(projection: FixedEffects, units: np.ndarray, clusters: Sequence[np.ndarray]) -> bool:
    """Whether unit means are swept out, clusters are made of units, and little else is projected off."""
    width = projection.basis.shape[1]
    return (
        len(clusters) == 1
        and projection.explicit
        and is_nested(units, projection.swept)
        and is_nested(projection.swept, units)
        and is_nested(units, clusters[0])
        and (int(units.max()) + 1) * width * width < 100_000_000
    )


def _by_unit(
    projection: FixedEffects,
    time: np.ndarray,
    units: np.ndarray,
    dealt: np.ndarray,
    outcome: np.ndarray,
    cluster: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and variances (draws,) from sums by unit alone, without a column of n rows a draw.

    A unit's treatment is one of a few columns w_c, one an adoption time c. With Q the projection's basis (unit means
    apart) and z = Q'w summed over units, its residual treatment is w_c - Q z, so within the unit its square is
    w'w - 2 (Q'w)'z + z'(Q'Q)z and its product with the outcome's residual y is w'y - (Q'y)'z.
    """
    adds = _sums(units)
    basis = projection.basis
    width = basis.shape[1]
    times, which = np.unique(dealt, return_inverse=True)
    which = which.reshape(dealt.shape)
    raw = (time[:, None] >= times).astype(float)
    demeaned = projection.demean(raw)
    own_square, own_product = adds @ (demeaned * demeaned), adds @ (raw * outcome[:, None])  # (units, times)
    loads = [adds @ (basis * demeaned[:, [c]]) for c in range(len(times))]  # Q'w, (units, width) a time
    chosen = [(which == c).astype(float) for c in range(len(times))]
    z = sum(load.T @ choice for load, choice in zip(loads, chosen, strict=True))
    upper, lower = np.triu_indices(width)
    twice = np.where(upper == lower, 1.0, 2.0)
    square = (adds @ (basis[:, upper] * basis[:, lower])) @ (twice[:, None] * z[upper] * z[lower])
    product = -(adds @ (basis * outcome[:, None])) @ z
    for c, choice in enumerate(chosen):
        square += choice * (own_square[:, [c]] - 2 * (loads[c] @ z))
        product += choice * own_product[:, [c]]
    estimate, length = _coefficient(product, square, sum(own_square[:, c] @ choice for c, choice in enumerate(chosen)))
    of_unit = np.empty(len(square), dtype=np.int64)
    of_unit[units] = cluster
    scores = _sums(of_unit) @ (product - estimate * square)
    return estimate, (scores**2).sum(axis=0) / length**2


def _by_row(
    projection: FixedEffects,
    time: np.ndarray,
    units: np.ndarray,
    dealt: np.ndarray,
    outcome: np.ndarray,
    clusters: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and variances (draws,) for any effects and clusters, a block of treatment columns at a time."""
    ways = [(sign, _sums(codes)) for sign, codes in cluster_ways(clusters)]
    width = max(1, BLOCK // len(time))
    estimates, variances = [], []
    for start in range(0, dealt.shape[1], width):
        raw = (time[:, None] >= dealt[units, start : start + width]).astype(float)
        left = projection.residualise(raw)
        square, product = left * left, left * outcome[:, None]
        estimate, length = _coefficient(product, square, raw.sum(axis=0))
        if ways:
            meat = sum(sign * ((sums @ product - estimate * (sums @ square)) ** 2).sum(axis=0) for sign, sums in ways)
        else:
            meat = (outcome @ outcome - estimate**2 * length) * length
        estimates.append(estimate)
        variances.append(meat / length**2)
    return np.concatenate(estimates), np.concatenate(variances)


def _coefficient(product: np.ndarray, square: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d'y / d'd and d'd (draws,); missing where the projection leaves nothing of a treatment of length ``whole``."""
    length = square.sum(axis=0)
    length = np.where(length > 1e-10 * np.maximum(whole, 1e-300), length, np.nan)
    return product.sum(axis=0) / length, length

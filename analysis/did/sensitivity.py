"""How strong an omitted variable must be to undo an estimate: Oster's delta and bound, Cinelli and Hazlett's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.did.regression import design_matrix, fit, least_squares
from analysis.results import CannotEstimate, Estimate


@dataclass(frozen=True)
class Sensitivity:
    """Strength of omitted variables that would undo an estimate.

    Attributes
    ----------
    estimate, se, partial_r2
        Of the treatment; the share of the outcome's residual variance that it explains.
    robustness_value
        An omitted variable that explains this share of the residual variance of both treatment and outcome brings
        the estimate to (1 - q) times itself; any weaker one does not (Cinelli and Hazlett 2020, equation 18).
    robustness_value_significance
        The same for the end of the interval at level ``alpha``; 0 where the estimate is not significant.
    delta
        Oster's (2019) ratio: how much more than the controls the unobserved would have to be related to treatment for
        an effect of zero. Negative: it would have to work against the controls. Missing without controls.
    bound
        The effect if selection on unobserved equals that on observed (delta 1), by the root that leaves the direction
        of the bias; ``roots`` has all. ``r2_max`` is the R2 of a regression with the unobserved.
    benchmarks
        One row a control: the bias of an omitted variable as strong as it, and the estimate that would be left.
    notes
        Conventions that were used, one sentence each.
    """

    estimate: float
    se: float
    partial_r2: float
    robustness_value: float
    robustness_value_significance: float
    delta: float
    bound: float
    roots: tuple[float, ...]
    r2_max: float
    benchmarks: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """Every number in one column, by name."""
        names = ("estimate", "se", "partial_r2", "robustness_value", "robustness_value_significance")
        rows = {name: getattr(self, name) for name in (*names, "delta", "bound", "r2_max")}
        return pd.DataFrame({"value": rows}).rename_axis("statistic")

    def summary(self) -> str:
        """The numbers as text, for people."""
        lines = [self.table.to_string(float_format=lambda value: f"{value:.6g}")]
        if len(self.benchmarks):
            lines.append(self.benchmarks.to_string(float_format=lambda value: f"{value:.6g}"))
        return "\n".join([*lines, *self.notes])


def sensitivity(
    data: pd.DataFrame | Estimate,
    y: str | None = None,
    treatment: str | None = None,
    controls: Sequence[str] = (),
    *,
    unit: str = "",
    time: str = "",
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    r2_max: float | None = None,
    q: float = 1.0,
    alpha: float = 0.05,
) -> Sensitivity:
    """Robustness value, Oster's delta and bound of the two-way regression, or the robustness value of an estimate.

    Conventions. Fixed effects belong to both of Oster's regressions: all moments and R2 are within them, as psacalc
    has it after ``xtreg, fe``. ``r2_max`` is the lesser of 1 and 1.3 times the R2 with controls unless stated. The
    robustness value rests on the partial R2, which no way of clustering changes; for the interval the clustered
    standard error is taken to grow with an omitted variable in the proportion in which the classical one does, so that
    without clusters it is sensemakr's.

    Parameters
    ----------
    data
        The panel; or an `Estimate`, whose t and degrees of freedom then give the robustness values alone (``treatment``
        says which term, by default the first).
    q
        Share of the estimate that the omitted variable takes away.

    Raises
    ------
    ValueError
        As `two_way`; a treatment without a number; r2_max not above the R2 with controls, or above 1.
    """
    if not q > 0:
        raise ValueError(f"q must be above 0; it is {q:g}.")
    if isinstance(data, Estimate):
        term = treatment if treatment is not None else data.table.index[0]
        return _of_estimate(data, term, q, alpha)
    if y is None or treatment is None:
        raise ValueError("Say which columns are the outcome and the treatment.")
    options: dict[str, Any] = {"unit": unit, "time": time, "fixed_effects": fixed_effects, "cluster": cluster}
    design = design_matrix(data, y, [treatment, *controls], **options)
    if treatment in design.not_identified:
        raise CannotEstimate(f"{treatment!r} has no estimate: {design.not_identified[treatment]}")
    result = fit(design)
    outcome, x = design.y - design.y.mean(), design.x - design.x.mean(axis=0)
    at = design.terms.index(treatment)
    named = [j for j, term in enumerate(design.terms) if term != "const"]
    x, terms = x[:, named], [design.terms[j] for j in named]
    at = terms.index(treatment)
    others = np.delete(x, at, axis=1)
    beta, bread = least_squares(x, outcome)
    residual = outcome - x @ beta
    freedom = len(outcome) - x.shape[1] - max(design.effects.rank, 1)
    classical = float(np.sqrt(bread[at, at] * (residual @ residual) / freedom))
    t = float(beta[at]) / classical
    partial = t**2 / (t**2 + freedom)
    clustered = float(result.table["se"].to_numpy()[result.table.index.get_loc(treatment)])
    value = _value(q * abs(t) / np.sqrt(freedom))
    critical = float(stats.t.ppf(1 - alpha / 2, result.degrees_of_freedom))
    left = q * abs(beta[at]) - critical * clustered * np.sqrt(freedom / (freedom - 1))
    significant = _value(max(left, 0) / (classical * np.sqrt(freedom)))
    delta, bound, most = np.nan, np.nan, np.nan
    roots: tuple[float, ...] = ()
    notes = list(result.notes)
    if others.shape[1]:
        delta, bound, roots, most, said = _oster(outcome, x[:, at], others, float(beta[at]), residual, r2_max)
        notes += said
    else:
        notes.append("Without controls there is nothing to compare the unobserved with: no delta and no bound.")
    rows = {}
    for name in (term for term in terms if term != treatment):
        j = terms.index(name)
        strength = _bias_of(x, at, j, outcome, classical, freedom)
        rows[name] = {**strength, "estimate_left": beta[at] - np.sign(beta[at]) * strength["bias"]}
    benchmarks = pd.DataFrame.from_dict(rows, orient="index").rename_axis("control")
    return Sensitivity(
        float(beta[at]), clustered, partial, value, significant, delta, bound, roots, most, benchmarks, tuple(notes)
    )


def _of_estimate(estimate: Estimate, term: str, q: float, alpha: float) -> Sensitivity:
    value, se, t = estimate.table[["estimate", "se", "t"]].to_numpy()[estimate.table.index.get_loc(term)]
    freedom = estimate.degrees_of_freedom
    if not np.isfinite(t):
        raise CannotEstimate(f"{term!r} has no estimate: {estimate.not_identified.get(term, 'no standard error')}")
    if estimate.clusters is not None or not np.isfinite(freedom):
        raise CannotEstimate(
            "The robustness value rests on the classical t and its residual degrees of freedom, which a clustered "
            "estimate does not hold: hand in the data instead."
        )
    t = abs(float(t))
    critical = float(stats.t.ppf(1 - alpha / 2, freedom - 1)) / np.sqrt(freedom - 1)
    significant = _value(max(q * t / np.sqrt(freedom) - critical, 0))
    robust = _value(q * t / np.sqrt(freedom))
    partial = t**2 / (t**2 + freedom)
    numbers = (float(value), float(se), partial, robust, significant)
    return Sensitivity(*numbers, np.nan, np.nan, (), np.nan, pd.DataFrame(), ("From the estimate alone.",))


def _value(f: float) -> float:
    """The share r with r / sqrt(1 - r) = f."""
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def _bias_of(x: np.ndarray, at: int, j: int, outcome: np.ndarray, classical: float, freedom: float) -> dict[str, float]:
    """Bias of an omitted variable as strong as column j of x (n, k) (Cinelli and Hazlett 2020, section 4.4)."""
    rest = [i for i in range(x.shape[1]) if i not in (at, j)]
    treatment, control = _residual(x[:, at], x[:, rest]), _residual(x[:, j], x[:, rest])
    with_treatment = float((treatment @ control) ** 2 / ((treatment @ treatment) * (control @ control)))
    below = np.append(x[:, rest], x[:, [at]], axis=1)
    answer, alone = _residual(outcome, below), _residual(x[:, j], below)
    with_outcome = float((answer @ alone) ** 2 / ((answer @ answer) * (alone @ alone)))
    # the bounds of one omitted variable as strong as the control (k = 1)
    odds = with_treatment / (1 - with_treatment)
    if odds >= 1:
        return {"r2_treatment": 1.0, "r2_outcome": np.nan, "bias": np.inf}
    second = with_treatment**2 / ((1 - with_treatment) * (1 - with_treatment))
    eta = (1 + np.sqrt(second)) / np.sqrt(1 - second)
    r2_outcome = min(1.0, float(eta**2 * with_outcome / (1 - with_outcome)))
    bias = classical * np.sqrt(freedom * r2_outcome * odds / (1 - odds))
    return {"r2_treatment": float(odds), "r2_outcome": r2_outcome, "bias": float(bias)}


def _residual(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return values - columns @ least_squares(columns, values)[0] if columns.shape[1] else values


def _oster(
    y: np.ndarray, x: np.ndarray, controls: np.ndarray, beta: float, residual: np.ndarray, r2_max: float | None
) -> tuple[float, float, tuple[float, ...], float, list[str]]:
    """Delta for an effect of zero, the bound at delta 1, its roots, R2 max (Oster 2019, propositions 2 and 3).

    ``y``, ``x`` (n,) and ``controls`` (n, k) are centred residuals from the fixed effects, ``beta`` and ``residual``
    of the regression with controls.
    """
    total, spread = float(y @ y) / len(y), float(x @ x) / len(x)
    alone = float(x @ y) / float(x @ x)
    r2_alone = alone**2 * spread / total
    r2 = 1 - float(residual @ residual) / len(y) / total
    most = min(1.0, 1.3 * r2) if r2_max is None else float(r2_max)
    if not r2 < most <= 1:
        raise CannotEstimate(f"r2_max must lie above the R2 with controls, {r2:.4g}, and not above 1; it is {most:g}.")
    free = _residual(x, controls)
    left = float(free @ free) / len(free)
    moved = alone - beta
    if abs(moved) <= 1e-12 * max(abs(alone), abs(beta)):
        return np.nan, beta, (beta,), most, ["The controls do not move the estimate, so delta is not defined."]
    # both polynomials in v = beta - effect, constant first
    above = [
        0.0,
        (r2 - r2_alone) * total * left + spread * left * moved**2,
        2 * left * moved * spread,
        left * spread - left**2,
    ]
    room = (most - r2) * total
    below = [room * moved * spread, room * (spread - left), left * moved * spread, left * spread - left**2]
    delta = float(np.polyval(above[::-1], beta) / np.polyval(below[::-1], beta))
    # at delta 1 the cubic terms cancel
    found = np.roots([b - a for a, b in zip(above[2::-1], below[2::-1], strict=True)])
    roots = tuple(sorted(float(beta - root.real) for root in found if abs(root.imag) <= 1e-9 * max(abs(root), 1e-300)))
    same = [root for root in roots if np.sign(beta - root) == np.sign(alone - beta)]
    bound = min(same or roots, key=lambda root: abs(root - beta), default=np.nan)
    said = [] if same else ["No root leaves the direction of the bias; the one nearest to the estimate is taken."]
    return delta, float(bound), roots, most, said

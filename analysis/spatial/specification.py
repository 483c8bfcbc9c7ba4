"""Which spatial model: Lagrange multiplier, likelihood ratio, Wald and Hausman tests, and what they point to in words.

Estimation is in ``models``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.spatial.layout import Layout, arrange
from analysis.spatial.likelihood import Correction, spatial_lag
from analysis.spatial.models import STRUCTURES, SpatialEstimate, panel
from analysis.spatial.weights import Weights

FIXED = ("none", "unit", "time", "two-way")
Fixed = Literal["none", "unit", "time", "two-way"]


@dataclass(frozen=True)
class Choice:
    """Tests and the model they point to.

    Attributes
    ----------
    table
        One row a test: ``test``, ``effects``, ``null``, ``statistic``, ``df``, ``p``, ``note``.
    model
        "sar", "sem", "sdm" or "none" (no spatial dependence found).
    effects_structure
        "none", "unit", "time" or "two-way", by the tests of the effects.
    recommendation
        The path to the model, in sentences.
    """

    table: pd.DataFrame
    model: str
    effects_structure: str
    recommendation: str

    def summary(self) -> str:
        """Tests and recommendation as text."""
        return f"{self.table.to_string(index=False, float_format=lambda v: f'{v:.4f}')}\n{self.recommendation}"


def lagrange_multiplier(
    data: pd.DataFrame,
    y: str,
    x: Sequence[str],
    weights: Weights,
    *,
    effects: Fixed = "two-way",
    unit: str,
    time: str,
    corrected: bool = False,
) -> pd.DataFrame:
    """Lagrange multiplier tests of a panel regression for a spatial lag and a spatial error, and their robust versions.

    Anselin, Le Gallo and Jayet (2008); Elhorst (2014, equations 3.9 to 3.11): residuals after the effects, variance e'e
    / nT. Each is chi-squared with one degree of freedom. Removed effects shrink e'e and shift the scores, so that in
    short panels the usual statistics reject too often (9% to 12% at a nominal 5% with 60 units and 4 years).
    ``corrected`` counts T - 1 periods and n - 1 units, as Lee and Yu's transformation does, and centres the scores.

    Returns ``test``, ``effects``, ``null``, ``statistic``, ``df``, ``p``.

    Raises
    ------
    ValueError
        As ``panel``.
    """
    x = [x] if isinstance(x, str) else list(x)
    layout = arrange(data, [y, *x], weights, unit=unit, time=time)
    return _lm_table(layout, y, x, weights, effects, corrected)


def _lm_table(
    layout: Layout, y: str, x: list[str], weights: Weights, effects: str, corrected: bool = False
) -> pd.DataFrame:
    lag, robust_lag, error, robust_error = _lm_statistics(layout, y, x, weights, effects, corrected)
    rows = [
        ("LM lag", "no spatial lag", lag),
        ("robust LM lag", "no spatial lag, whatever the error", robust_lag),
        ("LM error", "no spatial error", error),
        ("robust LM error", "no spatial error, whatever the lag", robust_error),
    ]
    return pd.DataFrame([_row(name, effects, null, value, 1) for name, null, value in rows])


def _lm_statistics(
    layout: Layout, y: str, x: list[str], weights: Weights, effects: str, corrected: bool
) -> tuple[float, ...]:
    outcome, regressors = _swept(layout, y, x, effects)
    units, time = (STRUCTURES[effects][0] == "fixed", STRUCTURES[effects][1]) if corrected else (False, False)
    n, periods = weights.n, outcome.shape[1] - units
    fitted, residuals = _regress(outcome, regressors)
    sigma2 = float(np.sum(residuals**2)) / ((n - time) * periods)
    matrix = weights.matrix
    trace, centre = _lm_moments(weights, time)
    trace, centre = periods * trace, periods * centre
    by_lag = float(np.sum(residuals * spatial_lag(matrix, outcome))) / sigma2 - centre
    by_error = float(np.sum(residuals * spatial_lag(matrix, residuals))) / sigma2 - centre
    _, unexplained = _regress(_sweep(spatial_lag(matrix, fitted), effects if corrected else "none"), regressors)
    spread = float(np.sum(unexplained**2)) / sigma2 + trace
    robust_error = (by_error - trace / spread * by_lag) ** 2 / (trace * (1 - trace / spread))
    return by_lag**2 / spread, (by_lag - by_error) ** 2 / (spread - trace), by_error**2 / trace, robust_error


def _lm_moments(weights: Weights, time: bool) -> tuple[float, float]:
    """tr(WW + W'W) and tr W of one period, of JWJ with J = I - 11'/n where time effects are transformed away."""
    matrix = weights.matrix
    trace = float((matrix * matrix.T).sum() + (matrix * matrix).sum())
    if not time:
        return trace, 0.0
    rows, columns = weights.row_sums, np.asarray(matrix.sum(axis=0)).ravel()
    mean = float(rows.sum()) / weights.n
    trace += 2 * mean**2 - float(2 * columns @ rows + rows @ rows + columns @ columns) / weights.n
    return trace, -mean


def _swept(layout: Layout, y: str, x: list[str], effects: str) -> tuple[np.ndarray, np.ndarray]:
    if effects not in FIXED:
        raise ValueError(f"effects is {effects!r}: choose one of {', '.join(FIXED)}.")
    values = _sweep(np.stack([layout.column(name) for name in [y, *x]], axis=2), effects)
    ones = [np.ones((*values.shape[:2], 1))] if effects == "none" else []
    return values[:, :, 0], np.concatenate([values[:, :, 1:], *ones], axis=2)


def _sweep(values: np.ndarray, effects: str) -> np.ndarray:
    """Values n x T x … less unit means, period means or both."""
    units, time = STRUCTURES[effects]
    if units == "fixed":
        values = values - values.mean(axis=1, keepdims=True)
    return values - values.mean(axis=0, keepdims=True) if time else values


def _regress(outcome: np.ndarray, regressors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fitted values and residuals, n x T; columns without variation fall out."""
    flat = regressors.reshape(outcome.size, -1)
    scale = np.linalg.norm(flat, axis=0)
    flat = flat[:, scale > 0] / scale[scale > 0]
    coefficients, *_ = np.linalg.lstsq(flat, outcome.ravel(), rcond=1e-10)
    fitted = (flat @ coefficients).reshape(outcome.shape)
    return fitted, outcome - fitted


def hausman(fixed: SpatialEstimate, random: SpatialEstimate) -> dict[Any, Any]:
    """Hausman test of random against fixed unit effects on the terms both estimate, spatial parameters included.

    d' (V_fixed - V_random)^-1 d (Mutl and Pfaffermayr 2011). Where the difference of variances is not positive
    definite, as happens in finite samples, directions without positive variance are left out of both statistic and
    degrees of freedom and ``note`` says so.
    """
    terms = [term for term in fixed.covariance.index if term in random.covariance.index and term != "const"]
    gap = (fixed.table.loc[terms, "estimate"] - random.table.loc[terms, "estimate"]).to_numpy()
    spread = (fixed.covariance.loc[terms, terms] - random.covariance.loc[terms, terms]).to_numpy()
    block = fixed.covariance.loc[terms, terms].to_numpy()
    scale = 1 / np.sqrt(np.diag(block))
    values, vectors = np.linalg.eigh(spread * np.outer(scale, scale))
    usable = values > 1e-8
    parts = (vectors.T @ (gap * scale))[usable] ** 2 / values[usable]
    row = _row("Hausman", fixed.effects_structure, "unit effects unrelated to x", float(parts.sum()), int(usable.sum()))
    if not usable.all():
        row["note"] = f"{int((~usable).sum())} of {len(terms)} directions have no positive variance and are left out"
    return row


def choose(
    data: pd.DataFrame,
    y: str,
    x: Sequence[str],
    weights: Weights,
    *,
    effects: Fixed = "two-way",
    bias_correction: Correction = "transformation",
    unit: str,
    time: str,
    cluster: str | None = None,
    level: float = 0.05,
) -> Choice:
    """The tests that lead to a spatial model (Elhorst 2014, section 3.5; LeSage and Pace 2009), and where they lead.

    LM tests under each structure of effects; likelihood ratios of the unit effects and of the time effects in the model
    without space (degrees of freedom n and T as Elhorst counts them, one more than the restrictions); under
    ``effects``: likelihood ratio and Wald tests of SDM against SAR (theta = 0) and SEM (theta + rho b = 0), and Hausman
    on the SDM.

    The rule, at ``level``: no LM test rejects → no spatial model. SDM where likelihood ratio and Wald both reject SAR
    and both reject SEM. SAR where neither rejects SAR and the robust LM lag statistic is the larger; SEM likewise with
    error. Otherwise SDM, which nests both.

    Raises
    ------
    ValueError
        As ``panel``; and for an empty x.
    """
    x = [x] if isinstance(x, str) else list(x)
    if not x:
        raise ValueError("x is empty: the tests compare models with lags of x.")
    if effects not in FIXED:
        raise ValueError(f"effects is {effects!r}: choose one of {', '.join(FIXED)}.")
    layout = arrange(data, [y, *x], weights, unit=unit, time=time)

    def fit(model: Any, structure: Any = effects) -> SpatialEstimate:
        return panel(
            data,
            y,
            x,
            weights,
            model=model,
            effects=structure,
            bias_correction=bias_correction,
            unit=unit,
            time=time,
            cluster=cluster,
        )

    durbin, lag, error = fit("sdm"), fit("sar"), fit("sem")
    rows: list[dict[Any, Any]] = []
    for structure in FIXED:
        rows += _lm_table(layout, y, x, weights, structure).to_dict("records")
    rows += _effect_tests(layout, y, x)
    rows += _durbin_tests(durbin, lag, error)
    if effects in ("unit", "two-way"):
        rows.append(hausman(durbin, fit("sdm", "random" if effects == "unit" else "random-time")))
    table = pd.DataFrame(rows, columns=["test", "effects", "null", "statistic", "df", "p", "note"])
    model, words = _decide(table, effects, level)
    chosen, why = _decide_effects(table, level)
    return Choice(table, model, chosen, f"{words} {why}")


def _row(test: str, effects: str, null: str, statistic: float, df: int) -> dict[Any, Any]:
    p = float(stats.chi2.sf(statistic, df)) if df else np.nan
    return {"test": test, "effects": effects, "null": null, "statistic": statistic, "df": df, "p": p, "note": ""}


def _effect_tests(layout: Layout, y: str, x: list[str]) -> list[dict[Any, Any]]:
    def loglik(structure: str) -> float:
        _, residuals = _regress(*_swept(layout, y, x, structure))
        return -residuals.size / 2 * (np.log(2 * np.pi * np.mean(residuals**2)) + 1)

    both = loglik("two-way")
    units, periods = len(layout.units), len(layout.periods)
    return [
        _row("LR unit effects", "two-way", "no unit effects beside time effects", 2 * (both - loglik("time")), units),
        _row("LR time effects", "two-way", "no time effects beside unit effects", 2 * (both - loglik("unit")), periods),
    ]


def _durbin_tests(durbin: SpatialEstimate, lag: SpatialEstimate, error: SpatialEstimate) -> list[dict[Any, Any]]:
    pairs = [(name, f"W:{name}") for name in durbin.x if {name, f"W:{name}"} <= set(durbin.covariance.index)]
    lagged = [term for term in durbin.covariance.index if term.startswith("W:") and term[2:] in durbin.x]
    estimate, covariance = durbin.table["estimate"], durbin.covariance
    to_lag = pd.DataFrame(0.0, index=lagged, columns=covariance.index)
    for term in lagged:
        to_lag.loc[term, term] = 1.0
    to_error = pd.DataFrame(0.0, index=[theta for _, theta in pairs], columns=covariance.index)
    for name, theta in pairs:
        to_error.loc[theta, [name, theta, "rho"]] = [durbin.rho, 1.0, estimate[name]]
    common = np.array([estimate[theta] + durbin.rho * estimate[name] for name, theta in pairs])
    structure = durbin.effects_structure
    return [
        _row("LR SDM to SAR", structure, "theta = 0", 2 * (durbin.loglik - lag.loglik), len(lagged)),
        _row("LR SDM to SEM", structure, "theta + rho b = 0", 2 * (durbin.loglik - error.loglik), len(pairs)),
        _wald("Wald SDM to SAR", structure, "theta = 0", estimate[lagged].to_numpy(), to_lag, covariance),
        _wald("Wald SDM to SEM", structure, "theta + rho b = 0", common, to_error, covariance),
    ]


def _wald(
    test: str, effects: str, null: str, value: np.ndarray, jacobian: pd.DataFrame, covariance: pd.DataFrame
) -> dict[Any, Any]:
    spread = jacobian.to_numpy() @ covariance.to_numpy() @ jacobian.to_numpy().T
    return _row(
        test, effects, null, float(value @ np.linalg.solve(spread, value)) if len(value) else np.nan, len(value)
    )


def _decide(table: pd.DataFrame, effects: str, level: float) -> tuple[str, str]:
    here = table.loc[table["effects"] == effects].set_index("test")

    p, statistic = here["p"].astype(float).to_dict(), here["statistic"].astype(float).to_dict()

    def rejects(test: str) -> bool:
        return p[test] < level

    def shown(test: str) -> str:
        return f"{test} {statistic[test]:.2f} (p = {p[test]:.3f})"

    if not (rejects("LM lag") or rejects("LM error")):
        return "none", f"Neither {shown('LM lag')} nor {shown('LM error')} rejects: no spatial model is called for."
    from_lag = [rejects("LR SDM to SAR"), rejects("Wald SDM to SAR")]
    from_error = [rejects("LR SDM to SEM"), rejects("Wald SDM to SEM")]
    lag_leads = statistic["robust LM lag"] > statistic["robust LM error"]
    robust = f"{shown('robust LM lag')} and {shown('robust LM error')}"
    if all(from_lag) and all(from_error):
        return (
            "sdm",
            f"SDM: {shown('LR SDM to SAR')} rejects SAR and {shown('LR SDM to SEM')} rejects SEM, and so do the Wald "
            "tests.",
        )
    if not any(from_lag) and lag_leads:
        return "sar", f"SAR: {shown('LR SDM to SAR')} does not reject it, and the lag leads in {robust}."
    if not any(from_error) and not lag_leads:
        return "sem", f"SEM: {shown('LR SDM to SEM')} does not reject it, and the error leads in {robust}."
    return (
        "sdm",
        f"SDM, which nests both: the tests disagree ({shown('LR SDM to SAR')}, {shown('LR SDM to SEM')}, {robust}).",
    )


def _decide_effects(table: pd.DataFrame, level: float) -> tuple[str, str]:
    tests = table.loc[~table["test"].duplicated(keep="last")].set_index("test")
    p = tests["p"].astype(float).to_dict()
    units, times = (p[f"LR {kind} effects"] < level for kind in ("unit", "time"))
    structure = {(True, True): "two-way", (True, False): "unit", (False, True): "time", (False, False): "none"}[
        units, times
    ]
    words = f"Likelihood ratios of the effects point to effects: {structure}."
    if "Hausman" in p:
        verdict = "rejects random unit effects" if p["Hausman"] < level else "does not reject random unit effects"
        words += f" Hausman {float(tests['statistic']['Hausman']):.2f} (p = {p['Hausman']:.3f}) {verdict}."
    return structure, words

"""Poisson regression with absorbed effects, for counts such as patents. pyfixest solves it; conventions stand here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.did._library import heard
from analysis.estimation_sample import codes_of, effect_columns, prepare, require_varying
from analysis.fixed_effects import FixedEffects, drop_singletons, identified
from analysis.results import CannotEstimate, Estimate, inference_table


def poisson(
    data: pd.DataFrame,
    y: str,
    treatment: str | Sequence[str],
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
) -> Estimate:
    """Poisson pseudo-maximum likelihood of E[y] = exp(treatment b + controls c + effects).

    Conventions are ppmlhdfe's (Correia, Guimaraes and Zylkin 2020): singletons and separated rows (a fixed effect with
    no outcome above zero, or a regressor that fits zeros perfectly) are dropped and counted in the notes; the variance
    is clustered with G / (G - 1), without clusters robust with n / (n - 1); z is normal. A coefficient b is a change of
    exp(b) - 1 in the outcome. ``.r2`` is McFadden's pseudo R2, within R2 and the constant are missing.

    Parameters
    ----------
    y
        Zero or more, not necessarily whole numbers; the variance need not be the mean's (Gourieroux and others 1984).
    cluster
        One or two columns, or None.

    Raises
    ------
    CannotEstimate
        No row is left, the outcome is zero throughout, or the iterations do not converge.
    ValueError
        A negative outcome, bad columns or keys.
    """
    import pyfixest

    treatments = [treatment] if isinstance(treatment, str) else list(treatment)
    x = list(dict.fromkeys([*treatments, *controls]))
    effects = effect_columns(fixed_effects, unit=unit, time=time)
    clusters = effect_columns(cluster, unit=unit, time=time)
    keys = [column for column in [*effects, *clusters] if column not in (unit, time)]
    sample = prepare(data, unit=unit, time=time, numeric=[y, *x], keys=keys)
    frame, notes = sample.data, list(sample.notes)
    if (frame[y] < 0).any():
        raise CannotEstimate(f"A Poisson regression needs an outcome of 0 or more; {y!r} holds {frame[y].min():g}.")
    frame, dropped = _separated_effects(frame, y, effects)
    if dropped:
        notes.append(f"{dropped} rows dropped: alone in a fixed effect, or in one without an outcome above 0.")
    if frame.empty:
        raise CannotEstimate("No row is left: every fixed effect has one row or only zeros.")
    require_varying(frame, y)
    raw = frame[x].to_numpy(float)
    codes = [codes_of(frame[column]) for column in effects]
    left = FixedEffects(codes, len(frame)).residualise(raw)
    known = identified(left, np.linalg.norm(raw - raw.mean(axis=0), axis=0) + 1e-12 * np.linalg.norm(raw, axis=0))
    missing = {
        name: f"{name!r} is a combination of the fixed effects and the regressors before it."
        for name, fine in zip(x, known, strict=True)
        if not fine
    }
    terms = [name for name, fine in zip(x, known, strict=True) if fine]
    if not terms:
        raise CannotEstimate(f"{', '.join(map(repr, x))}: the fixed effects leave nothing to estimate.")
    plain = pd.DataFrame({f"x{number}": frame[name].to_numpy(float) for number, name in enumerate(terms)})
    plain = plain.assign(y=frame[y].to_numpy(float))
    for prefix, columns in (("f", effects), ("g", clusters)):
        for number, column in enumerate(columns):
            plain[f"{prefix}{number}"] = codes_of(frame[column])
    formula = "y ~ " + " + ".join(f"x{number}" for number in range(len(terms)))
    formula += (" | " + " + ".join(f"f{number}" for number in range(len(effects)))) if effects else ""
    groups = " + ".join(f"g{number}" for number in range(len(clusters)))
    fitted, said = heard(
        lambda: pyfixest.fepois(
            formula,
            plain,
            vcov={"CRV1": groups} if clusters else "hetero",
            ssc=pyfixest.ssc(k_adj=False, G_adj=True, G_df="min"),
            iwls_tol=1e-10,
            fixef_tol=1e-10,
            iwls_maxiter=100,
        )
    )
    if not fitted.convergence:
        raise CannotEstimate("The Poisson regression did not converge; look for extreme regressors or near-separation.")
    names = {f"x{number}": name for number, name in enumerate(terms)}
    order = [name for name in fitted._coefnames if name in names]
    estimate = fitted.coef()[order].to_numpy(float)
    place = [fitted._coefnames.index(name) for name in order]
    variance = np.asarray(fitted._vcov, dtype=float)[np.ix_(place, place)]
    n = int(fitted._N)
    if not clusters:
        variance = variance * n / (n - 1)
    gone = [name for name in terms if name not in [names[key] for key in order]]
    missing |= {name: f"{name!r} is collinear once separated rows are dropped." for name in gone}
    if len(frame) > n:
        notes.append(f"{len(frame) - n} rows dropped: separated, a combination of regressors fits their zeros exactly.")
    held = [names[key] for key in order]
    table = inference_table(held, estimate, variance, np.inf).reindex(pd.Index(x, name="term"))
    smallest = min((int(codes_of(frame[column]).max()) + 1 for column in clusters), default=None)
    return Estimate(
        table=table,
        n=n,
        clusters=smallest,
        r2=float(1 - fitted.deviance / _null_deviance(frame[y].to_numpy(float))),
        r2_within=np.nan,
        degrees_of_freedom=np.inf,
        constant=np.nan,
        covariance=pd.DataFrame(variance, index=held, columns=held),
        not_identified=missing,
        notes=(*notes, *said),
    )


def _separated_effects(frame: pd.DataFrame, y: str, effects: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Rows outside singletons and effects of zeros alone, and how many were dropped; repeated until none is."""
    before = len(frame)
    while effects and len(frame):
        keep = drop_singletons([codes_of(frame[column]) for column in effects])
        for column in effects:
            codes = codes_of(frame[column])
            keep &= np.bincount(codes, weights=frame[y].to_numpy(float))[codes] > 0
        if keep.all():
            break
        frame = frame[keep].reset_index(drop=True)
    return frame, before - len(frame)


def _null_deviance(y: np.ndarray) -> float:
    """Twice the log-likelihood of the saturated model less that of the mean alone."""
    positive = y[y > 0]
    return float(2 * (positive * np.log(positive / y.mean())).sum())

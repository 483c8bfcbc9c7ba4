"""Least squares with absorbed effects and clustered variance: what every difference-in-differences table rests on.

Designs (event studies, interactions, decompositions) live in their own modules and call `fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import linalg

from analysis.estimation_sample import codes_of, effect_columns, label, prepare, require_varying
from analysis.fixed_effects import FixedEffects, NoEffects, drop_singletons, identified, is_nested
from analysis.results import CannotEstimate, Estimate, inference_table

#: Below these numbers of clusters, and of treated clusters, results say that a clustered variance is not to be trusted.
FEW_CLUSTERS = 40
FEW_TREATED = 20


@dataclass(frozen=True)
class Design:
    """A regression ready to be solved: effects already swept out of ``y`` and ``x``.

    Attributes
    ----------
    y, x : residualised outcome (n,) and regressors (n, k), identified columns only.
    raw_y, raw_x : the same before projection.
    terms : names of the k columns.
    not_identified : name -> sentence, for the columns left out.
    effects : the projection (`NoEffects` where there are none; then ``const`` is the last term).
    clusters : codes (n,) for each way of clustering; empty for none.
    absorbed : effects counted as parameters, those nested in a cluster left out, the constant included.
    data : the rows used, sorted by unit and time.
    notes : rows left out and why.
    """

    y: np.ndarray
    x: np.ndarray
    raw_y: np.ndarray
    raw_x: np.ndarray
    terms: list[str]
    not_identified: dict[str, str]
    effects: FixedEffects | NoEffects
    clusters: list[np.ndarray]
    absorbed: int
    data: pd.DataFrame
    notes: tuple[str, ...]


def two_way(
    data: pd.DataFrame,
    y: str,
    treatment: str | Sequence[str],
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    covariance: str = "classical",
    count_nested: bool = False,
) -> Estimate:
    """Regress ``y`` on a treatment and controls with fixed effects and clustered standard errors.

    Conventions are reghdfe's (Correia 2016): singletons are dropped, iteratively; effects nested in the cluster do not
    count as parameters; the variance is scaled by (n - 1) / (n - k) times G / (G - 1); t has G - 1 degrees of freedom,
    the smaller G with two-way clusters (Cameron, Gelbach and Miller 2011). The constant is mean(y) - mean(x)'b.

    Parameters
    ----------
    data
        Long panel, one row a unit and time; may be unbalanced; never changed.
    y, treatment, controls
        Columns, by any name. ``treatment`` may be several columns; units may leave treatment, which a note then says.
    fixed_effects, cluster
        "unit", "time" or any column, one or several; ``()`` or None for none.
    covariance
        Without clusters: "classical" (homoskedastic) or "robust" (HC1).
    count_nested
        True counts effects nested in the cluster as parameters too, as ``regress`` with dummies does.

    Returns
    -------
    Estimate
        Rows of ``.table``: treatments, controls, and ``const`` where there are no fixed effects. A treatment that does
        not vary, or that effects and earlier columns determine, has a row without numbers and a reason.

    Raises
    ------
    ValueError
        Absent or non-numeric columns, repeated unit-time pairs, no row left, a constant outcome.
    """
    treatments = [treatment] if isinstance(treatment, str) else list(treatment)
    design = design_matrix(
        data,
        y,
        [*treatments, *controls],
        unit=unit,
        time=time,
        fixed_effects=fixed_effects,
        cluster=cluster,
        count_nested=count_nested,
    )
    notes = [note for name in treatments if name in design.terms for note in few_treated(design, name)]
    left = leaves_treatment(design, treatments[0], unit, time)
    return fit(replace(design, notes=(*design.notes, *left, *notes)), covariance=covariance)


def leaves_treatment(design: Design, treatment: str, unit: str, time: str) -> list[str]:
    """A sentence when units go from 1 back to 0 in a 0/1 treatment: a regression may take that, adoption may not."""
    if treatment not in design.terms:
        return []
    value = design.raw_x[:, design.terms.index(treatment)]
    if not np.isin(value, (0.0, 1.0)).all():
        return []
    units = design.data[unit].to_numpy()
    off = np.flatnonzero((value[1:] < value[:-1]) & (units[1:] == units[:-1])) + 1
    if not len(off):
        return []
    when = design.data[time].iloc[off[0]]
    return [
        f"{len(pd.unique(units[off]))} units leave treatment {treatment!r}, the first {label(units[off[0]])} in "
        f"{label(when)}: the column is used as it is, and the estimate compares years with and without treatment."
    ]


def few_treated(design: Design, treatment: str) -> list[str]:
    """A sentence when a 0/1 treatment reaches so few clusters that their variance cannot be trusted."""
    value = design.raw_x[:, design.terms.index(treatment)]
    if not design.clusters or not np.isin(value, (0.0, 1.0)).all():
        return []
    number, treated = min((int(codes.max()) + 1, len(np.unique(codes[value == 1]))) for codes in design.clusters)
    if treated >= FEW_TREATED or treated == number:
        return []
    return [
        f"Only {treated} of {number} clusters are ever treated in {treatment!r}: clustered standard errors tend to be "
        "too small (MacKinnon and Webb 2017); read placebo and wild_bootstrap beside them."
    ]


def design_matrix(
    data: pd.DataFrame,
    y: str,
    x: Sequence[str],
    *,
    unit: str,
    time: str,
    fixed_effects: str | Sequence[str] = ("unit", "time"),
    cluster: str | Sequence[str] | None = "unit",
    count_nested: bool = False,
    carry: Sequence[str] = (),
) -> Design:
    """Sweep the effects out of ``y`` and ``x`` and set aside columns that cannot be identified.

    ``carry`` names numeric columns, missing values allowed, that the caller wants to find in ``Design.data``.
    """
    x = list(dict.fromkeys(x))
    effects = effect_columns(fixed_effects, unit=unit, time=time)
    clusters = effect_columns(cluster, unit=unit, time=time)
    sample = prepare(
        data,
        unit=unit,
        time=time,
        numeric=[y, *x],
        keys=[c for c in [*effects, *clusters] if c not in (unit, time)],
        optional=carry,
    )
    frame, notes = sample.data, list(sample.notes)
    if effects:
        keep = drop_singletons([codes_of(frame[column]) for column in effects])
        if not keep.all():
            notes.append(f"{int((~keep).sum())} rows dropped: alone in a fixed effect (singletons).")
            frame = frame[keep].reset_index(drop=True)
        if frame.empty:
            raise CannotEstimate("Every row is alone in one of its fixed effects, so nothing can be estimated.")
    require_varying(frame, y)
    effect_codes = [codes_of(frame[column]) for column in effects]
    cluster_codes = [codes_of(frame[column]) for column in clusters]
    if not effects:
        if "const" in x:
            raise ValueError(
                "'const' is the name of the intercept that is added without fixed effects; rename the column."
            )
        x = ["const", *x]
        frame = frame.assign(const=1.0)
    projection = FixedEffects(effect_codes, len(frame)) if effects else NoEffects()
    raw_y = frame[y].to_numpy()
    raw_x = frame[x].to_numpy(dtype=float).reshape(len(frame), len(x))
    residual_x = projection.residualise(raw_x)
    known = identified(
        residual_x, np.linalg.norm(raw_x - raw_x.mean(axis=0), axis=0) + 1e-12 * np.linalg.norm(raw_x, axis=0)
    )
    missing = {name: _why_not_identified(raw_x, residual_x, j, x, effects) for j, name in enumerate(x) if not known[j]}
    counted = [
        codes for codes in effect_codes if count_nested or not any(is_nested(codes, group) for group in cluster_codes)
    ]
    absorbed = projection.rank if len(counted) == len(effect_codes) else FixedEffects(counted, len(frame)).rank
    return Design(
        y=projection.residualise(raw_y),
        x=residual_x[:, known],
        raw_y=raw_y,
        raw_x=raw_x[:, known],
        terms=[name for j, name in enumerate(x) if known[j]],
        not_identified=missing,
        effects=projection,
        clusters=cluster_codes,
        absorbed=absorbed,
        data=frame,
        notes=tuple(notes),
    )


def _why_not_identified(
    raw: np.ndarray, residual: np.ndarray, j: int, names: Sequence[str], effects: Sequence[str]
) -> str:
    name, value = names[j], raw[:, j]
    if np.ptp(value) == 0:
        return f"{name!r} is {value[0]:g} in all {len(raw)} rows used."
    same = next((names[i] for i in range(j) if np.array_equal(raw[:, i], value)), None)
    if same is not None:
        return f"{name!r} equals {same!r} in all {len(raw)} rows used, {int((value != 0).sum())} of them not zero."
    if np.linalg.norm(residual[:, j]) <= 1e-8 * np.linalg.norm(raw[:, j]):
        return f"{name!r} is a combination of the fixed effects {', '.join(effects)}."
    return f"{name!r} is a combination of the regressors before it and the fixed effects."


def fit(design: Design, covariance: str = "classical") -> Estimate:
    """Solve a design by least squares and attach the variance its clusters ask for."""
    if covariance not in ("classical", "robust"):
        raise ValueError(f"covariance is 'classical' or 'robust', not {covariance!r}.")
    y, x = design.y, design.x
    n, k = x.shape
    parameters = k + design.absorbed
    if n <= parameters:
        raise CannotEstimate(f"{n} rows cannot identify {parameters} parameters.")
    beta, bread = least_squares(x, y)
    residual = y - x @ beta
    clusters = min((int(codes.max()) + 1 for codes in design.clusters), default=None)
    if clusters is not None and clusters < 2:
        raise CannotEstimate("A clustered variance needs at least two clusters.")
    freedom = float(n - parameters if clusters is None else clusters - 1)

    def sandwich(x: np.ndarray, bread: np.ndarray) -> np.ndarray:
        if design.clusters:
            return cluster_covariance(x, residual, bread, design.clusters, parameters)
        scores = x * residual[:, None]
        if covariance == "robust":
            return bread @ (scores.T @ scores) @ bread * n / freedom
        return bread * float(residual @ residual) / freedom

    variance = sandwich(x, bread)
    notes = design.notes
    if clusters is not None and clusters < FEW_CLUSTERS:
        notes = (
            *notes,
            f"Only {clusters} clusters: their variance is reliable from about {FEW_CLUSTERS} (Angrist and Pischke "
            "2009); read wild_bootstrap beside it.",
        )
    slopes = [j for j, term in enumerate(design.terms) if term != "const"]
    constant = float(design.raw_y.mean() - design.raw_x.mean(axis=0)[slopes] @ beta[slopes])
    # as reghdfe and xtreg: the constant is the intercept of the swept variables put back around their means
    around = np.column_stack([np.ones(n), x[:, slopes] - x[:, slopes].mean(axis=0) + design.raw_x.mean(axis=0)[slopes]])
    constant_se = float(np.sqrt(sandwich(around, least_squares(around, y)[1])[0, 0]))
    total = float(((design.raw_y - design.raw_y.mean()) ** 2).sum())
    within = total if isinstance(design.effects, NoEffects) else float(y @ y)
    left = float(residual @ residual)
    table = inference_table(design.terms, beta, variance, freedom)
    terms = sorted([*design.terms, *design.not_identified], key=lambda term: term == "const")
    return Estimate(
        table=table.reindex(pd.Index(terms, name="term")),
        n=n,
        clusters=clusters,
        r2=1 - left / total if total > 0 else np.nan,
        r2_within=1 - left / within if within > 1e-12 * max(total, 1e-300) else np.nan,
        degrees_of_freedom=freedom,
        constant=constant,
        constant_se=constant_se,
        covariance=pd.DataFrame(variance, index=design.terms, columns=design.terms),
        not_identified=design.not_identified,
        notes=notes,
    )


def least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (k,) or (k, m) and the inverse of x'x (k, k); columns are scaled first: units cannot cost digits."""
    scale = np.linalg.norm(x, axis=0)
    q, r = np.linalg.qr(x / scale)
    inverse = linalg.solve_triangular(r, np.eye(len(scale))) / scale[:, None]
    return inverse @ (q.T @ y), inverse @ inverse.T


def cluster_covariance(
    x: np.ndarray, residual: np.ndarray, bread: np.ndarray, clusters: Sequence[np.ndarray], parameters: int
) -> np.ndarray:
    """Sandwich (k, k) over one or two ways of clustering, with Stata's small-sample factor for each."""
    scores = x * residual[:, None]
    meat = np.zeros_like(bread)
    for sign, codes in cluster_ways(clusters):
        sums = np.zeros((int(codes.max()) + 1, x.shape[1]))
        np.add.at(sums, codes, scores)
        meat += sign * (sums.T @ sums)
    return cluster_factor(len(x), clusters, parameters) * bread @ meat @ bread


def cluster_ways(clusters: Sequence[np.ndarray]) -> list[tuple[float, np.ndarray]]:
    """Sign and codes (n,) of each sum of squares in a clustered variance (Cameron, Gelbach and Miller 2011)."""
    if len(clusters) > 2:
        raise CannotEstimate(f"Clusters can be one or two columns, not {len(clusters)}.")
    ways = [(1.0, codes) for codes in clusters]
    if len(clusters) == 2:
        both = clusters[0].astype(np.int64) * (int(clusters[1].max()) + 1) + clusters[1]
        ways.append((-1.0, np.unique(both, return_inverse=True)[1]))
    return ways


def cluster_factor(n: int, clusters: Sequence[np.ndarray], parameters: int) -> float:
    """(n - 1) / (n - k) times G / (G - 1); G is the smaller number with two ways, as reghdfe and ivreg2 have it."""
    smallest = min(int(codes.max()) + 1 for codes in clusters)
    return (n - 1) / (n - parameters) * smallest / max(smallest - 1, 1)

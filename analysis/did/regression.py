"""Least squares with absorbed effects and clustered variance: what every difference-in-differences table rests on.

Effects are swept out here; linearmodels then solves the regression and gives its variance. Designs (event studies,
interactions, decompositions) live in their own modules and call `fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, sparse

from analysis.did.conley import Conley, conley
from analysis.estimation_sample import codes_of, effect_columns, label, prepare, require_varying
from analysis.fixed_effects import (
    COLLINEAR,
    FixedEffects,
    NoEffects,
    drop_singletons,
    dummies_rank,
    identified,
    is_nested,
    lengths,
)
from analysis.results import CannotEstimate, Estimate, inference_table

#: Below these numbers of clusters, and of treated clusters, results say that a clustered variance is not to be trusted.
FEW_CLUSTERS = 40
FEW_TREATED = 20
#: Above this many rows the regression is solved here and not by linearmodels, whose sums by cluster are a loop.
LIBRARY_ROWS = 20_000
#: Kinds of weights: precision of a row (Stata's aweights), or how many equal rows it stands for (fweights).
ANALYTIC, FREQUENCY = "analytic", "frequency"


@dataclass(frozen=True)
class Design:
    """A regression ready to be solved: effects already swept out of ``y`` and ``x``.

    Attributes
    ----------
    y, x : residualised outcome (n,) and regressors (n, k), identified columns only; times the root of the weights.
    raw_y, raw_x : the same before projection, without weights.
    terms : names of the k columns.
    not_identified : name -> sentence, for the columns left out.
    effects : the projection (`NoEffects` where there are none; then ``const`` is the last term).
    clusters : codes (n,) for each way of clustering; empty for none.
    absorbed : effects counted as parameters, those nested in a cluster left out, the constant included.
    data : the rows used, sorted by unit and time.
    notes : rows left out and why.
    weights : (n,), or None for equal ones.
    counted : whether weights are frequencies, so that n counts them.
    conley : who is near whom, for Conley's variance; None for any other.
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
    weights: np.ndarray | None = None
    counted: bool = False
    conley: Conley | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        """Observations: rows, or what the rows stand for under frequency weights."""
        return int(self.weights.sum()) if self.counted and self.weights is not None else len(self.y)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted means of columns (n,) or (n, k)."""
        return values.mean(axis=0) if self.weights is None else self.weights @ values / self.weights.sum()


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
    weights: str | None = None,
    weights_type: str = ANALYTIC,
    coordinates: tuple[str, str] | None = None,
    cutoff_km: float | None = None,
    lag_cutoff: int | None = None,
    kernel: str = "uniform",
    engine: str | None = None,
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
        Without clusters: "classical" (homoskedastic) or "robust" (HC1). "conley" takes the place of clusters.
    count_nested
        True counts effects nested in the cluster as parameters too, as ``regress`` with dummies does.
    weights, weights_type
        Column of weights, zero or more; rows of weight zero or without one are left out. "analytic": precision, as
        Stata's aweights (their scale does not matter). "frequency": whole numbers of equal rows that a row stands for,
        as fweights; ``n`` counts them.
    coordinates, cutoff_km, lag_cutoff, kernel
        For Conley's (1999) variance: columns of latitude and longitude in degrees, one place a unit. Scores of units at
        most ``cutoff_km`` apart (great circle) count in the same period, "uniform" or falling with distance
        ("bartlett"), and those of one unit at different times: all of them alike by default, so that a cutoff of 0
        gives clusters by unit; with ``lag_cutoff`` L with Bartlett weight 1 - lag / (L + 1), 0 for none (Hsiang 2010,
        ols_spatial_HAC; R's conleyreg). The factor is (n - 1) / (n - k), effects nested in units counted only with a
        ``lag_cutoff``; t has units - 1 degrees of freedom.
    engine
        "linearmodels" solves the swept regression, "own" does so by hand for loops and for many rows; None chooses.

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
    spatial = covariance == "conley"
    if spatial and cluster not in (None, (), "unit", unit):
        raise ValueError(f"covariance='conley' takes the place of clusters, and cluster is {cluster!r}: leave it out.")
    if spatial != (coordinates is not None) or spatial != (cutoff_km is not None):
        raise ValueError("covariance='conley' needs coordinates and cutoff_km, and nothing else takes them.")
    design = design_matrix(
        data,
        y,
        [*treatments, *controls],
        unit=unit,
        time=time,
        fixed_effects=fixed_effects,
        cluster=(None if lag_cutoff is not None else "unit") if spatial else cluster,
        count_nested=count_nested,
        weights=weights,
        weights_type=weights_type,
        carry=[*(coordinates or ())],
    )
    if coordinates is not None and cutoff_km is not None:
        near = conley(design.data, unit, time, coordinates, cutoff_km, lag_cutoff, kernel)
        design = replace(design, clusters=[], conley=near)
    notes = [note for name in treatments if name in design.terms for note in few_treated(design, name)]
    left = leaves_treatment(design, treatments[0], unit, time)
    return fit(replace(design, notes=(*design.notes, *left, *notes)), covariance=covariance, engine=engine)


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
    number, treated = min(
        (int(codes.max()) + 1, int(np.count_nonzero(np.bincount(codes[value == 1])))) for codes in design.clusters
    )
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
    weights: str | None = None,
    weights_type: str = ANALYTIC,
) -> Design:
    """Sweep the effects out of ``y`` and ``x`` and set aside columns that cannot be identified.

    ``carry`` names numeric columns, missing values allowed, that the caller wants to find in ``Design.data``.
    """
    if weights_type not in (ANALYTIC, FREQUENCY):
        raise ValueError(f"weights_type is {ANALYTIC!r} or {FREQUENCY!r}, not {weights_type!r}.")
    x = list(dict.fromkeys(x))
    effects = effect_columns(fixed_effects, unit=unit, time=time)
    clusters = effect_columns(cluster, unit=unit, time=time)
    sample = prepare(
        data,
        unit=unit,
        time=time,
        numeric=[y, *x, *([weights] if weights is not None else [])],
        keys=[c for c in [*effects, *clusters] if c not in (unit, time)],
        optional=carry,
    )
    frame, notes = sample.data, list(sample.notes)
    if weights is not None:
        frame, said = weighted_rows(frame, weights, whole=weights_type == FREQUENCY)
        notes += said
    codes = {column: codes_of(frame[column]) for column in dict.fromkeys([*effects, *clusters])}
    if effects:
        several = frame[weights].to_numpy() > 1 if weights is not None and weights_type == FREQUENCY else None
        keep = drop_singletons([codes[column] for column in effects], several)
        if not keep.all():
            notes.append(f"{int((~keep).sum())} rows dropped: alone in a fixed effect (singletons).")
            frame = frame[keep].reset_index(drop=True)
            codes = {column: codes_of(frame[column]) for column in codes}
        if frame.empty:
            raise CannotEstimate("Every row is alone in one of its fixed effects, so nothing can be estimated.")
    require_varying(frame, y)
    effect_codes, cluster_codes = [codes[name] for name in effects], [codes[name] for name in clusters]
    if not effects:
        if "const" in x:
            raise ValueError(
                "'const' is the name of the intercept that is added without fixed effects; rename the column."
            )
        x = ["const", *x]
        frame = frame.assign(const=1.0)
    weight = None if weights is None else frame[weights].to_numpy()
    root = None if weight is None else np.sqrt(weight)
    projection = FixedEffects(effect_codes, len(frame), root) if effects else NoEffects(root)
    raw_y = frame[y].to_numpy()
    raw_x = frame[x].to_numpy(dtype=float).reshape(len(frame), len(x))
    swept = projection.residualise(np.column_stack([raw_y, raw_x]))
    residual_x = swept[:, 1:]
    known = identified(residual_x, lengths(raw_x, weight))
    missing = {name: _why_not_identified(raw_x, residual_x, j, x, effects) for j, name in enumerate(x) if not known[j]}
    counted = [
        codes for codes in effect_codes if count_nested or not any(is_nested(codes, group) for group in cluster_codes)
    ]
    absorbed = projection.rank if len(counted) == len(effect_codes) else dummies_rank(counted)
    return Design(
        y=swept[:, 0],
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
        weights=weight,
        counted=weights_type == FREQUENCY,
    )


def weighted_rows(frame: pd.DataFrame, weights: str, *, whole: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """The rows whose weight is above zero, and a sentence on the others; ``whole`` demands whole numbers.

    Raises
    ------
    CannotEstimate
        A negative weight, a fraction where whole numbers are wanted, or no weight above zero.
    """
    weight = frame[weights].to_numpy()
    if (weight < 0).any():
        raise CannotEstimate(f"Weight {weights!r} is {weight.min():g} in a row: weights are zero or more.")
    if whole and (weight != np.round(weight)).any():
        raise CannotEstimate(
            f"Frequency weight {weights!r} is {weight[weight != np.round(weight)][0]:g} in a row: it counts rows, so "
            "it must be whole. Precisions and shares are weights_type='analytic'."
        )
    used = weight > 0
    if not used.any():
        raise CannotEstimate(f"Every weight {weights!r} is zero: no row is left.")
    if used.all():
        return frame, []
    return frame[used].reset_index(drop=True), [f"{int((~used).sum())} rows dropped: weight {weights!r} is zero."]


def _why_not_identified(
    raw: np.ndarray, residual: np.ndarray, j: int, names: Sequence[str], effects: Sequence[str]
) -> str:
    name, value = names[j], raw[:, j]
    if np.ptp(value) == 0:
        return f"{name!r} is {value[0]:g} in all {len(raw)} rows used."
    same = next((names[i] for i in range(j) if np.array_equal(raw[:, i], value)), None)
    if same is not None:
        return f"{name!r} equals {same!r} in all {len(raw)} rows used, {int((value != 0).sum())} of them not zero."
    if np.linalg.norm(residual[:, j]) <= 10 * COLLINEAR * np.linalg.norm(raw[:, j]):
        return f"{name!r} is a combination of the fixed effects {', '.join(effects)}."
    return f"{name!r} is a combination of the regressors before it and the fixed effects."


def fit(design: Design, covariance: str = "classical", engine: str | None = None) -> Estimate:
    """Solve a design by least squares and attach the variance its clusters ask for.

    ``engine`` is "linearmodels" or "own"; None takes linearmodels up to `LIBRARY_ROWS` rows. Both give the same numbers
    to rounding.
    """
    if covariance not in ("classical", "robust", "conley"):
        raise ValueError(f"covariance is 'classical', 'robust' or 'conley', not {covariance!r}.")
    if engine not in (None, "linearmodels", "own"):
        raise ValueError(f"engine is 'linearmodels' or 'own', not {engine!r}.")
    n, parameters = design.n, design.x.shape[1] + design.absorbed
    if n <= parameters:
        raise CannotEstimate(f"{n} rows cannot identify {parameters} parameters.")
    groups = [int(codes.max()) + 1 for codes in design.clusters] + ([design.conley.units] if design.conley else [])
    clusters = min(groups, default=None)
    if clusters is not None and clusters < 2:
        raise CannotEstimate("A clustered variance needs at least two clusters.")
    freedom = float(n - parameters if clusters is None else clusters - 1)
    if design.conley:
        factor = (n - 1) / (n - parameters)
    elif design.clusters:
        factor = cluster_factor(n, design.clusters, parameters)
    else:
        factor = (n if covariance == "robust" else 1) / freedom
    # Swept columns have mean zero, so a constant beside them changes nothing and shows what its error would be.
    absorbed = not isinstance(design.effects, NoEffects)
    ones = np.ones(len(design.y)) if design.weights is None else np.sqrt(design.weights)
    columns = np.column_stack([ones, design.x]) if absorbed else design.x
    library = engine == "linearmodels" or (engine is None and len(design.y) <= LIBRARY_ROWS)
    beta, variance = (_by_linearmodels if library and design.conley is None else _by_hand)(design, columns, covariance)
    variance *= factor
    left = float(((design.y - columns @ beta) ** 2).sum())
    constant, constant_se = _constant(design, beta, variance, absorbed)
    if absorbed:
        beta, variance = beta[1:], variance[1:, 1:]
    notes = design.notes
    if clusters is not None and clusters < FEW_CLUSTERS:
        notes = (
            *notes,
            f"Only {clusters} clusters: their variance is reliable from about {FEW_CLUSTERS} (Angrist and Pischke "
            "2009); read wild_bootstrap beside it.",
        )
    if (np.diag(variance) <= 0).any() and design.conley:
        notes = (*notes, "Conley's variance is not positive for a term: it has no standard error (take 'bartlett').")
    deviation = (design.raw_y - design.mean(design.raw_y)) ** 2
    total = float(deviation.sum() if design.weights is None else (design.weights * deviation).sum())
    within = float(design.y @ design.y) if absorbed else total
    table = inference_table(design.terms, beta, variance, freedom)
    if design.conley:
        table.loc[np.diag(variance) <= 0, ["se", "low", "high"]] = np.nan
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


def _constant(design: Design, beta: np.ndarray, variance: np.ndarray, absorbed: bool) -> tuple[float, float]:
    """The intercept of the swept variables put back around their means, as reghdfe and xtreg, and its error."""
    slopes = [j for j, term in enumerate(design.terms) if term != "const"]
    means = design.mean(design.raw_x)[slopes]
    if not absorbed:
        place = design.terms.index("const") if "const" in design.terms else None
        error = np.nan if place is None else float(np.sqrt(max(variance[place, place], 0.0)))
        return float(design.mean(design.raw_y) - means @ beta[slopes]), error
    contrast = np.concatenate([[1.0], -means])
    constant = float(design.mean(design.raw_y) - means @ beta[1:])
    return constant, float(np.sqrt(max(float(contrast @ variance @ contrast), 0.0)))


def _by_linearmodels(design: Design, columns: np.ndarray, covariance: str) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (k,) and their sandwich (k, k) without small-sample factors, from linearmodels' least squares.

    It is given an orthonormal basis of the columns, so that neither their units nor their correlation costs digits.
    """
    from linearmodels.iv import IV2SLS

    scale = np.linalg.norm(columns, axis=0)
    q, r = np.linalg.qr(columns / scale)
    back = linalg.solve_triangular(r, np.eye(len(scale))) / scale[:, None]
    if design.counted and not design.clusters and covariance == "robust":
        return _by_hand(design, columns, covariance)
    options: dict[str, Any] = {"cov_type": "robust" if covariance == "robust" else "unadjusted"}
    if design.clusters:
        cluster_ways(design.clusters)
        options = {"cov_type": "clustered", "clusters": np.column_stack(design.clusters)}
    result = IV2SLS(design.y, q, None, None).fit(debiased=False, **options)
    rows = len(design.y) if options["cov_type"] == "unadjusted" else 1  # there the sum of squares over n
    return back @ result.params.to_numpy(), rows * back @ result.cov.to_numpy() @ back.T


def _by_hand(design: Design, columns: np.ndarray, covariance: str) -> tuple[np.ndarray, np.ndarray]:
    """The same as `_by_linearmodels`, for what it does not have, and for more rows than it is quick with."""
    beta, bread = least_squares(columns, design.y)
    residual = design.y - columns @ beta
    scores = columns * residual[:, None]
    if design.conley:
        return beta, bread @ design.conley.meat(scores) @ bread
    if design.clusters:
        return beta, bread @ _cluster_meat(scores, design.clusters) @ bread
    if covariance == "robust":
        if design.counted and design.weights is not None:  # a row is as many equal ones, each with its own square
            scores = scores / np.sqrt(design.weights)[:, None]
        return beta, bread @ (scores.T @ scores) @ bread
    return beta, bread * float(residual @ residual)


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
    meat = _cluster_meat(x * residual[:, None], clusters)
    return cluster_factor(len(x), clusters, parameters) * bread @ meat @ bread


def _cluster_meat(scores: np.ndarray, clusters: Sequence[np.ndarray]) -> np.ndarray:
    meat = np.zeros((scores.shape[1], scores.shape[1]))
    for sign, codes in cluster_ways(clusters):
        sums = group_sums(codes, scores)
        meat += sign * (sums.T @ sums)
    return meat


def group_sums(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of columns (n, k) by group, shape (groups, k)."""
    n = len(codes)
    return sparse.csr_array((np.ones(n), codes, np.arange(n + 1)), shape=(n, int(codes.max()) + 1)).T @ values


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

"""Spatial panel models: the call, its conventions and its result.

Numbers happen in ``likelihood`` and ``variance``, effects in ``effects``; here terms are named, identified and
reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from analysis.estimation_sample import label
from analysis.results import CannotEstimate, Estimate, inference_table
from analysis.spatial.baltagi import error_components
from analysis.spatial.determinant import Method, Spectrum
from analysis.spatial.effects import Effects, Multiplier, band_effects, summarise_effects
from analysis.spatial.layout import Layout, arrange
from analysis.spatial.likelihood import (
    Correction,
    Likelihood,
    Point,
    Problem,
    SpatialMatrix,
    least_squares,
    maximise,
    spatial_lag,
)
from analysis.spatial.variance import Local, direct_correction, information, sandwich
from analysis.spatial.weights import Weights

Model = Literal["sar", "sem", "sdm", "slx", "sac"]
EffectsStructure = Literal["none", "unit", "time", "two-way", "random", "random-time"]
STRUCTURES: dict[str, tuple[Literal["none", "fixed", "random"], bool]] = {
    "none": ("none", False),
    "unit": ("fixed", False),
    "time": ("none", True),
    "two-way": ("fixed", True),
    "random": ("random", False),
    "random-time": ("random", True),
}
RandomEffects = Literal["kkp", "baltagi"]
LAG_MODELS, ERROR_MODELS, DURBIN_MODELS = ("sar", "sdm", "sac"), ("sem", "sac"), ("sdm", "slx")


@dataclass(frozen=True)
class SpatialEstimate(Estimate):
    """A fitted spatial panel model.

    ``.table`` holds x under its own names, spatial lags as ``W:<name>``, the spatial parameter of the lag as ``rho``
    and of the error as ``lambda``, and ``const`` without effects.

    Attributes
    ----------
    model, effects_structure, bias_correction
        As asked for.
    rho
        The model's spatial parameter: of the lag in SAR, SDM and SAC, of the error in SEM; missing in SLX.
    error_parameter
        lambda of SAC and SEM; missing otherwise.
    sigma2
        Variance of the innovations.
    loglik
        Log-likelihood at its maximum: of the transformed panel under ``"transformation"`` (fewer observations, so not
        to be compared with another convention's), of the panel as it is otherwise.
    unit_variance
        Variance of random unit effects, or None.
    r2, r2_within
        1 - residual / total variation, effects counted as explained; and the squared correlation of y with its
        reduced-form prediction, effects removed from both (Elhorst 2014, section 3.4).
    """

    model: str = ""
    effects_structure: str = ""
    bias_correction: str | None = None
    rho: float = np.nan
    error_parameter: float = np.nan
    sigma2: float = np.nan
    loglik: float = np.nan
    unit_variance: float | None = None
    x: tuple[str, ...] = ()
    weights: Weights | None = field(default=None, repr=False)
    spectrum: Spectrum | None = field(default=None, repr=False)

    @cached_property
    def _multiplier(self) -> Multiplier:
        assert self.weights is not None
        return Multiplier(self.weights, self.spectrum)

    def effects(self, draws: int = 1000, seed: int = 0) -> Effects:
        """Direct, indirect and total effects of each x (LeSage and Pace 2009, section 2.7), averaged over units.

        The matrix of effects is (I - rho W)^-1 (b I + theta W), with theta = 0 in SAR and SAC, rho = 0 in SLX, both in
        SEM. Standard errors come from ``draws`` of the estimates' normal distribution (``se``; draws with rho outside
        the interval on which I - rho W is invertible are replaced) and by the delta method (``se_delta``, with t, p and
        interval from it).
        """
        return summarise_effects(self.x, self._parameters, self._covariance, self._multiplier, draws, seed)

    def effects_by_distance(
        self, distance: np.ndarray | pd.DataFrame, edges: Sequence[float], draws: int = 1000, seed: int = 0
    ) -> pd.DataFrame:
        """The indirect effects by band of distance: how far the spillover reaches.

        Parameters
        ----------
        distance
            Units x units, such as ``great_circle(coordinates)``, in the order of the weights (a DataFrame is aligned by
            label).
        edges
            Rising; band k holds pairs with edges[k] < distance <= edges[k + 1].

        Returns
        -------
        ``term``, ``band``, ``estimate``, ``se``: the effect on a unit of a change of x by one in all units of the band,
        averaged over units; over bands that hold every pair they sum to the indirect effect.
        """
        assert self.weights is not None
        if isinstance(distance, pd.DataFrame):
            distance = distance.loc[list(self.weights.labels), list(self.weights.labels)].to_numpy(float)
        return band_effects(
            self.x, self._parameters, self._covariance, self._multiplier, np.asarray(distance), list(edges), draws, seed
        )

    def received(self, values: pd.Series, term: str | None = None) -> pd.Series:
        """What each unit receives from the others' values of one x: the off-diagonal part of the effects times them.

        Parameters
        ----------
        values
            One number a unit, indexed by the labels of the weights, such as who is treated in a year.
        term
            One of x; the first when None.

        Returns
        -------
        Series (units,), in the outcome's unit.

        Raises
        ------
        ValueError
            A term that is no x of the model, or a label without a value.
        """
        name = self.x[0] if term is None else term
        if name not in self.x:
            raise ValueError(f"{name!r} is no regressor of this model: choose one of {', '.join(map(repr, self.x))}.")
        assert self.weights is not None
        labels = list(self.weights.labels)
        given = values.reindex(labels)
        if given.isna().any():
            raise CannotEstimate(
                f"There is no value for {label(given.index[given.isna()][0])}: give one for every unit."
            )
        dense = self.weights.matrix.toarray()
        own, lagged = float(self._parameters[name]), float(self._parameters.get(f"W:{name}", 0.0))
        matrix = own * np.eye(len(labels)) + lagged * dense
        if self.model in LAG_MODELS:
            matrix = np.linalg.solve(np.eye(len(labels)) - self.rho * dense, matrix)
        np.fill_diagonal(matrix, 0.0)
        return pd.Series(matrix @ given.to_numpy(dtype=float), index=given.index, name="received")

    @property
    def _terms(self) -> list[str]:
        lags = [f"W:{name}" for name in self.x]
        return [
            *self.x,
            *(lag for lag in lags if lag in self.table.index),
            *(["rho"] if self.model in LAG_MODELS else []),
        ]

    @property
    def _parameters(self) -> pd.Series:
        return self.table["estimate"].reindex(self._terms)

    @property
    def _covariance(self) -> pd.DataFrame:
        return self.covariance.reindex(index=self._terms, columns=self._terms)

    def summary(self) -> str:
        """The estimate as text."""
        head = f"{self.model.upper()}, effects: {self.effects_structure}, bias correction: {self.bias_correction}"
        return f"{head}\n{super().summary()}\nlog-likelihood = {self.loglik:.6f}, sigma2 = {self.sigma2:.6g}"


def panel(
    data: pd.DataFrame,
    y: str,
    x: Sequence[str],
    weights: Weights,
    *,
    model: Model = "sar",
    effects: EffectsStructure = "two-way",
    bias_correction: Correction = "transformation",
    unit: str,
    time: str,
    cluster: str | None = None,
    lagged: Sequence[str] | None = None,
    error_weights: Weights | None = None,
    log_determinant: Method = "auto",
    random_effects: RandomEffects = "kkp",
) -> SpatialEstimate:
    """Fit a spatial panel model by maximum likelihood with the exact log-determinant.

    Conventions. W acts on the data before effects are removed. ``bias_correction="transformation"`` (default) is the
    exact one of Lee and Yu (2010): T - 1 periods after unit effects, n - 1 units after time effects, and the
    log-determinant less ln(1 - rho). That term holds for a row-normalised W (less ln(1 - c rho) where all rows sum to
    c). Where rows sum to different numbers no transformation removes time effects from a lag model; the score of rho is
    then recentred by its exact expectation, which coincides with the former when sums are constant (a note says so).
    ``"direct"`` is maximum likelihood plus their analytic correction, None is maximum likelihood with the effects
    estimated (as R's splm for unit effects). Standard errors come from the expected information at the estimates and
    normal theory; SLX is least squares with t and n - k degrees of freedom whatever the correction, as lmSLX of R's
    spatialreg.

    Random unit effects in a model of the error are Kapoor, Kelejian and Prucha's (2007): they pass through the spatial
    filter as the innovations do (splm's ``spatial.error="kkp"``). ``random_effects="baltagi"`` puts them beside it
    (Baltagi, Song and Koh 2003; splm's ``"b"``), for SEM with ``effects="random"``. Errors of slopes and constant allow
    for the estimated spatial parameter, with random effects too: those of generalised least squares at that parameter
    are too small (half of the true spread for a constant in SAR).

    Parameters
    ----------
    data
        Long and balanced, one row a unit-year. Not changed; row order does not matter.
    y, x
        Columns. SDM and SLX add ``W:<name>`` for each of x, or for those in ``lagged``.
    weights
        Used as given, aligned by label.
    model
        ``"sar"``: y = rho W y + x b. ``"sem"``: u = lambda W u + v. ``"sdm"``: SAR with W x. ``"slx"``: x and W x.
        ``"sac"``: lag and error, whose matrix is ``error_weights`` or the same.
    effects
        ``"none"``, ``"unit"``, ``"time"``, ``"two-way"``; ``"random"`` (unit effects random) and ``"random-time"`` (the
        same with fixed time effects).
    cluster
        None, ``"unit"``, or a column constant within units (such as a province): cluster-robust variance, t with
        clusters - 1 degrees of freedom.
    log_determinant
        ``"eigenvalues"``, ``"lu"`` (sparse) or ``"auto"``: the first up to 4,000 units.
    random_effects
        ``"kkp"`` or ``"baltagi"``, as said above.

    Raises
    ------
    ValueError
        For panels that are not balanced, weights that do not match, unknown options, constant y, and a likelihood that
        rises up to the border of the admissible interval.
    """
    x = [x] if isinstance(x, str) else list(x)
    _check_options(model, effects, bias_correction, y, x, lagged)
    _check_random_effects(random_effects, model, effects, cluster)
    columns = [y, *x]
    layout = arrange(data, columns, weights, unit=unit, time=time)
    if error_weights is not None and error_weights.index.tolist() != weights.index.tolist():
        error_weights = error_weights.subset(list(weights.labels))
    terms, design = _design(layout, x, weights, model, effects, lagged)
    outcome = layout.column(y)
    kept, why = _identified(terms, design, effects)
    problem = _problem(
        outcome, design[:, :, kept], weights, error_weights, model, effects, bias_correction, log_determinant
    )
    likelihood = Likelihood(problem)
    _check_outcome(likelihood, y)
    _check_spatial(likelihood, y)
    if random_effects == "baltagi":
        return _report_components(problem, [terms[i] for i in kept], terms, why, x, weights)
    point = maximise(likelihood)
    if bias_correction == "direct":
        point = direct_correction(likelihood, point)
    names = [terms[i] for i in kept]
    groups, count = _clusters(data, cluster, layout, weights, unit)
    return _report(_Fit(likelihood, point, names, terms, why, groups, count, x, y, model, effects, weights))


@dataclass(frozen=True)
class _Fit:
    """What a report is written from."""

    likelihood: Likelihood
    point: Point
    names: list[str]
    terms: list[str]
    why: dict[str, str]
    groups: np.ndarray | None
    clusters: int | None
    x: list[str]
    y: str
    model: str
    effects: str
    weights: Weights


def _check_options(
    model: str, effects: str, correction: str | None, y: str, x: list[str], lagged: Sequence[str] | None
) -> None:
    if model not in ("sar", "sem", "sdm", "slx", "sac"):
        raise ValueError(f'model is {model!r}: choose "sar", "sem", "sdm", "slx" or "sac".')
    if effects not in STRUCTURES:
        raise ValueError(f"effects is {effects!r}: choose one of {', '.join(STRUCTURES)}.")
    if correction not in ("transformation", "direct", None):
        raise ValueError(f'bias_correction is {correction!r}: choose "transformation", "direct" or None.')
    if len(set(x)) != len(x) or y in x:
        raise ValueError(f"x names a column twice or holds the outcome {y!r}: {x}.")
    reserved = {"rho", "lambda", "const", *(f"W:{name}" for name in x)} & set(x)
    if reserved:
        raise ValueError(
            f"A column of x is called {sorted(reserved)[0]!r}, which is a term of the model itself: rename it."
        )
    strangers = [name for name in lagged or () if name not in x]
    if strangers:
        raise ValueError(f"lagged names {strangers[0]!r}, which is not in x: add it to x.")


def _check_random_effects(kind: str, model: str, effects: str, cluster: str | None) -> None:
    if kind not in ("kkp", "baltagi"):
        raise ValueError(f'random_effects is {kind!r}: choose "kkp" or "baltagi".')
    if kind == "baltagi" and (model != "sem" or effects != "random" or cluster is not None):
        raise ValueError(
            'random_effects="baltagi" is offered for model="sem" with effects="random" and without clusters; write '
            "time effects as columns of x."
        )


def _design(
    layout: Layout, x: list[str], weights: Weights, model: str, effects: str, lagged: Sequence[str] | None
) -> tuple[list[str], np.ndarray]:
    values = np.stack([layout.column(name) for name in x], axis=2) if x else np.empty((*layout.values.shape[:2], 0))
    terms, parts = list(x), [values]
    if model in DURBIN_MODELS:
        chosen = [name for name in x if lagged is None or name in lagged]
        parts.append(spatial_lag(weights.matrix, values[:, :, [x.index(name) for name in chosen]]))
        terms += [f"W:{name}" for name in chosen]
    if effects in ("none", "random"):
        parts.append(np.ones((*layout.values.shape[:2], 1)))
        terms.append("const")
    return terms, np.concatenate(parts, axis=2)


def _identified(terms: list[str], design: np.ndarray, effects: str) -> tuple[list[int], dict[str, str]]:
    """Positions of the terms that vary after the effects are removed and are not combinations of earlier ones."""
    units, time = STRUCTURES[effects]
    swept = design - design.mean(axis=1, keepdims=True) if units == "fixed" else design
    swept = swept - swept.mean(axis=0, keepdims=True) if time else swept
    size = np.sqrt(np.einsum("itk,itk->k", design, design))
    flat = swept.reshape(design.shape[0] * design.shape[1], len(terms))
    kept: list[int] = []
    why: dict[str, str] = {}
    basis = np.empty((flat.shape[0], 0))
    # The constant goes first, so that a constant column of x is the one to leave.
    for position in sorted(range(len(terms)), key=lambda i: terms[i] != "const"):
        column = flat[:, position]
        remainder = column - basis @ (basis.T @ column)
        remainder = remainder - basis @ (basis.T @ remainder)
        left = np.linalg.norm(remainder)
        if np.linalg.norm(column) <= 1e-10 * max(size[position], 1e-300):
            why[terms[position]] = f"It does not vary once the {effects} effects are removed."
        elif left <= 1e-8 * np.linalg.norm(column):
            why[terms[position]] = "It is a linear combination of the other terms and the effects."
        else:
            kept.append(position)
            basis = np.column_stack([basis, remainder / left])
    return sorted(kept), why


def _problem(
    y: np.ndarray,
    x: np.ndarray,
    weights: Weights,
    error_weights: Weights | None,
    model: str,
    effects: str,
    correction: Correction,
    log_determinant: Method,
) -> Problem:
    units, time = STRUCTURES[effects]
    lag = _spatial_matrix(weights, log_determinant) if model in LAG_MODELS else None
    error = None
    if model in ERROR_MODELS:
        same = error_weights is None and lag is not None
        error = lag if same else _spatial_matrix(error_weights or weights, log_determinant)
    if y.shape[1] < 2 and units != "none":
        raise CannotEstimate(
            f"Unit effects need at least two periods, and the panel has {y.shape[1]}: choose effects without units."
        )
    return Problem(y, x, lag, error, units, time, correction)


def _spatial_matrix(weights: Weights, method: Method) -> SpatialMatrix:
    automatic = method == "auto"
    spectrum = weights.spectrum if automatic else Spectrum(weights.matrix, method)
    return SpatialMatrix(weights.matrix, spectrum, weights.row_sums, weights.constant_row_sum)


def _check_outcome(likelihood: Likelihood, y: str) -> None:
    variation = likelihood.parts[0].raw[0, 0]
    if variation <= 1e-20 * float(np.sum(likelihood.problem.y**2)):
        raise CannotEstimate(
            f"The outcome {y!r} does not vary once the effects are removed: there is nothing to explain."
        )
    if likelihood.observations <= likelihood.k + 2:
        raise CannotEstimate(
            f"{likelihood.observations} observations are too few for {likelihood.k} terms: drop some of x."
        )


def _check_spatial(likelihood: Likelihood, y: str) -> None:
    """Refuse a W y that says no more than y and x, as where all units weigh the same in a two-way model."""
    problem, cross = likelihood.problem, likelihood.cross(0.0)
    parts = likelihood.combinations(0.0, 0.0)
    for name, matrix, other in (("rho", problem.lag, parts["x"]), ("lambda", problem.error, parts["x"][:, :0])):
        if matrix is None:
            continue
        lag = parts["rho"] if name == "rho" else parts["lambda"]
        known = np.column_stack([parts["y"], other])
        size = float(lag @ cross @ lag)
        fitted = least_squares(known.T @ cross @ known, known.T @ cross @ lag)
        left = lag - known @ fitted
        if size <= 0 or float(left @ cross @ left) <= 1e-12 * size:
            raise CannotEstimate(
                f"After the effects are removed the spatial lag of {y!r} is a combination of {y!r} and x, so {name} "
                "is not "
                "identified: all units are each other's equal neighbours, or the panel is too small. Use another "
                "weights matrix."
            )


def _clusters(
    data: pd.DataFrame, cluster: str | None, layout: Layout, weights: Weights, unit: str
) -> tuple[np.ndarray | None, int | None]:
    if cluster is None:
        return None, None
    if cluster in ("unit", unit):
        return np.arange(weights.n), weights.n
    if cluster not in data.columns:
        raise ValueError(
            f'cluster is {cluster!r}, which is no column: choose "unit" or a column constant within units.'
        )
    by_unit = data.groupby(unit, sort=False)[cluster]
    varying = by_unit.nunique(dropna=False)
    if (varying > 1).any() or data[cluster].isna().any():
        where = varying.index[int(np.argmax(varying.to_numpy() > 1))]
        raise CannotEstimate(
            f"Column {cluster!r} is missing or changes over time (as in {unit} {where}): a cluster must hold whole "
            "units."
        )
    codes, _ = pd.factorize(by_unit.first().reindex(list(layout.units)))
    if codes.max() < 1:
        raise CannotEstimate(
            f"Column {cluster!r} has one value only: cluster-robust variance needs at least two clusters."
        )
    return codes, int(codes.max()) + 1


def _report(fit: _Fit) -> SpatialEstimate:
    likelihood, point = fit.likelihood, fit.point
    problem = likelihood.problem
    spatial = Local(likelihood, point).spatial
    values = [*point.beta, *((point.rho, point.lam)[which] for which in spatial)]
    names = [*fit.names, *(("rho", "lambda")[which] for which in spatial)]
    degrees = np.inf if fit.clusters is None else fit.clusters - 1.0
    n_parameters = len(values)
    if fit.model == "slx":
        point = _least_squares_variance(likelihood, point)
        degrees = point_degrees(likelihood) if fit.clusters is None else degrees
    if fit.groups is None:
        covariance = np.linalg.inv(information(likelihood, point))[:n_parameters, :n_parameters]
    else:
        covariance = sandwich(likelihood, point, fit.groups)[:n_parameters, :n_parameters]
    table = inference_table(names, np.array(values), covariance, degrees)
    table = table.reindex(pd.Index([*fit.terms, *names[len(fit.names) :]], name="term"))
    overall, within = _fit_shares(likelihood, point)
    return SpatialEstimate(
        table=table,
        n=problem.y.size,
        clusters=fit.clusters,
        r2=overall,
        r2_within=within,
        degrees_of_freedom=degrees,
        constant=_constant(problem, point),
        covariance=pd.DataFrame(covariance, index=pd.Index(names, name="term"), columns=names),
        not_identified=fit.why,
        notes=_notes(fit),
        model=fit.model,
        effects_structure=fit.effects,
        bias_correction=problem.correction,
        rho=point.rho if problem.lag else point.lam if problem.error else np.nan,
        error_parameter=point.lam if problem.error else np.nan,
        sigma2=point.sigma2,
        loglik=point.loglik,
        unit_variance=_unit_variance(problem, point),
        x=tuple(fit.x),
        weights=fit.weights,
        spectrum=problem.lag.spectrum if problem.lag else None,
    )


def _report_components(
    problem: Problem, names: list[str], terms: list[str], why: dict[str, str], x: list[str], weights: Weights
) -> SpatialEstimate:
    """A fit with random effects beside the filter of the error."""
    fit = error_components(problem)
    named = pd.Index([*names, "lambda"], name="term")
    table = inference_table(list(named), np.array([*fit.beta, fit.lam]), fit.covariance, np.inf)
    predicted = problem.x @ fit.beta
    total = float(np.sum((problem.y - problem.y.mean()) ** 2))
    y, fitted = (part - part.mean(axis=1, keepdims=True) for part in (problem.y, predicted))
    size = float(np.sum(y**2) * np.sum(fitted**2))
    return SpatialEstimate(
        table=table.reindex(pd.Index([*terms, "lambda"], name="term")),
        n=problem.y.size,
        clusters=None,
        r2=1 - fit.residual_sum / total,
        r2_within=float(np.sum(y * fitted)) ** 2 / size if size > 0 else 0.0,
        degrees_of_freedom=np.inf,
        constant=float((problem.y - predicted).mean()),
        covariance=pd.DataFrame(fit.covariance, index=named, columns=list(named)),
        not_identified=why,
        notes=(
            *weights.notes,
            "Random unit effects stand beside the spatial filter of the error (Baltagi, Song and Koh 2003).",
        ),
        model="sem",
        effects_structure="random",
        bias_correction=None,
        rho=fit.lam,
        error_parameter=fit.lam,
        sigma2=fit.sigma2,
        loglik=fit.loglik,
        unit_variance=fit.unit_variance,
        x=tuple(x),
        weights=weights,
    )


def point_degrees(likelihood: Likelihood) -> float:
    """Residual degrees of freedom of least squares after the effects."""
    problem = likelihood.problem
    units = problem.y.shape[1] - (problem.units == "fixed")
    return float((problem.n - problem.time) * units - likelihood.k)


def _least_squares_variance(likelihood: Likelihood, point: Point) -> Point:
    residuals = Local(likelihood, point).residuals
    return replace(point, sigma2=float(np.sum(residuals**2)) / point_degrees(likelihood))


def _unit_variance(problem: Problem, point: Point) -> float | None:
    if problem.units != "random":
        return None
    return point.sigma2 * (1 / point.phi**2 - 1) / problem.y.shape[1]


def _constant(problem: Problem, point: Point) -> float:
    lagged = point.rho * spatial_lag(problem.lag.matrix, problem.y).mean() if problem.lag else 0.0
    return float(problem.y.mean() - lagged - (problem.x @ point.beta).mean())


def _fit_shares(likelihood: Likelihood, point: Point) -> tuple[float, float]:
    """1 - residual / total variation, and the squared correlation of y and its reduced-form prediction without effects.

    Elhorst (2014, section 3.4): the second leaves the contribution of the effects out.
    """
    problem, local = likelihood.problem, Local(likelihood, point)
    total = float(np.sum((problem.y - problem.y.mean()) ** 2))
    overall = 1 - float(np.sum(local.residuals**2)) / total
    # Random effects are left out as fixed ones are: deviations from unit means, and the filter of the error undone.
    swept = replace(
        problem, x=problem.x[:, :, :0], lag=None, error=None, units="none" if problem.units == "none" else "fixed"
    )
    flat = Local(Likelihood(swept), replace(point, rho=0.0, lam=0.0, phi=1.0))
    y = flat.transform(problem.y)
    predicted = problem.x @ point.beta
    if problem.lag:
        from scipy import sparse

        system = sparse.csc_array(sparse.eye_array(problem.n) - point.rho * problem.lag.matrix)
        predicted = sparse.linalg.splu(system).solve(np.ascontiguousarray(predicted))
    predicted = flat.transform(predicted)
    y, predicted = (v - v.mean() for v in (y, predicted))
    size = np.sum(predicted**2) * np.sum(y**2)
    return overall, float(np.sum(y * predicted) ** 2 / size) if size > 0 else 0.0


def _notes(fit: _Fit) -> tuple[str, ...]:
    problem, point, notes = fit.likelihood.problem, fit.point, list(fit.weights.notes)
    if problem.recentres and problem.lag and problem.lag.constant_row_sum is None:
        notes.append(
            "The rows of the weights matrix sum to different numbers, so no transformation separates time effects "
            "from the "
            "spatial lag: the score of rho is recentred by its expectation instead."
        )
    if problem.units == "random" and problem.error:
        notes.append(
            "Random unit effects pass through the spatial filter of the error (Kapoor, Kelejian and Prucha 2007), not "
            "beside it as in Baltagi, Song and Koh (2003), which random_effects='baltagi' gives."
        )
    for name, matrix, value in (("rho", problem.lag, point.rho), ("lambda", problem.error, point.lam)):
        if matrix is None:
            continue
        low, high = matrix.spectrum.interval
        if not low < value < high:
            notes.append(
                f"The corrected {name} lies outside the interval ({low:.4g}, {high:.4g}) on which I - {name} W is "
                "invertible."
            )
        elif min(value - low, high - value) < 0.01 * min(high, -low):
            notes.append(
                f"{name} is within 1% of the border of its interval ({low:.4g}, {high:.4g}): read its standard error "
                "with care."
            )
    if fit.clusters is not None and fit.clusters < 30:
        notes.append(f"{fit.clusters} clusters are few for cluster-robust inference.")
    return tuple(notes)

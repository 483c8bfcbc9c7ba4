"""Second engines for models of space: esda for autocorrelation, a dense likelihood by scipy for panel models.

The likelihood is that of the panel after an orthonormal transformation (Lee and Yu 2010), written out with dense
matrices and eigenvalues; it shares no code with `analysis.spatial`. Distances are scikit-learn's; borders have one
source.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, optimize

from analysis.agreement.opinion import NoOpinion, Opinion
from analysis.names import TIME, UNIT
from analysis.studies.matrices import POSITION, build
from analysis.studies.methods.spatial import BANDS, CLASSES, LAG, balanced
from analysis.studies.records import Matrix, Model

ESDA, SCIPY, SKLEARN = "esda", "scipy", "sklearn"
#: Kilometres, mean radius of the earth.
RADIUS = 6371.0088
OTHER_DRAWS = "Both rest on random draws, and these are others."


def dense_weights(frame: pd.DataFrame, matrix: Matrix, cities: Sequence[str]) -> np.ndarray:
    """The matrix over the cities in their order, made again where it follows from places and sizes."""
    if matrix.kind == "contiguity":
        return build(matrix, frame, cities).matrix.toarray()
    distance = distances(frame, cities)
    if matrix.normalise not in ("row", "none"):
        raise NoOpinion("Spectrally normalised matrices are not made again.")
    with np.errstate(divide="ignore"):
        weight = 1 / distance**matrix.power
    np.fill_diagonal(weight, 0.0)
    if matrix.cutoff_km is not None:
        far = distance > matrix.cutoff_km
        linked = np.zeros_like(far)
        for city in np.flatnonzero((far | np.eye(len(far), dtype=bool)).all(axis=1)):
            if matrix.islands != "nearest":
                raise NoOpinion("A city has no neighbour.")
            nearest = np.argmin(np.where(np.eye(len(far), dtype=bool)[city], np.inf, distance[city]))
            linked[city, nearest] = linked[nearest, city] = True
        weight[far & ~linked] = 0.0
    if matrix.kind == "economic_nested":
        assert matrix.variable is not None and matrix.years is not None
        rows = frame[frame[TIME].between(*matrix.years)]
        values = rows[matrix.variable].to_numpy(dtype=float)
        size = pd.Series(np.exp(values) if matrix.logged else values).groupby(rows[UNIT].astype(str).to_numpy())
        weight = weight * size.mean().loc[list(cities)].to_numpy()
    return weight / weight.sum(axis=1, keepdims=True) if matrix.normalise == "row" else weight


def distances(frame: pd.DataFrame, cities: Sequence[str]) -> np.ndarray:
    """Great circles between cities in kilometres."""
    from sklearn.metrics.pairwise import haversine_distances

    places = frame.drop_duplicates(UNIT).set_index(UNIT).loc[list(cities), list(POSITION)].astype(float)
    return haversine_distances(np.radians(places[["latitude", "longitude"]].to_numpy())) * RADIUS


def _cities(frame: pd.DataFrame) -> list[str]:
    return sorted(frame[UNIT].unique())


def _by_year(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as cities x years."""
    return frame.pivot(index=UNIT, columns=TIME, values=name).sort_index().to_numpy(dtype=float)


# Autocorrelation ------------------------------------------------------------------------------------------------------


def _pysal(weights: np.ndarray, cities: Sequence[str]) -> Any:
    try:
        from libpysal.weights import WSP
    except ImportError:
        raise NoOpinion("esda and libpysal are not installed.") from None
    from scipy import sparse

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WSP(sparse.csr_array(weights), id_order=list(cities)).to_W(silence_warnings=True)


def moran_by_esda(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """I, z and p of each year by esda, one- or two-sided as the study says; p of permutations from other draws."""
    options = {"assumption": "normality", "alternative": "greater", "permutations": 999} | dict(model.options)
    frame, _ = balanced(frame, model, [model.outcome])
    cities = _cities(frame)
    found = []
    for matrix in model.weights:
        weights = dense_weights(frame, matrix, cities)
        pysal = _pysal(weights, cities)
        for year, rows in frame.sort_values(UNIT).groupby(TIME):
            values = rows[model.outcome].to_numpy(dtype=float)
            found += _moran_of(values, weights, pysal, matrix.name, str(year), options)
    return found


def _moran_of(
    values: np.ndarray, weights: np.ndarray, pysal: Any, name: str, year: str, options: dict[str, Any]
) -> list[Opinion]:
    from esda import Geary, Moran

    sided = options["alternative"] != "greater"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = Moran(values, pysal, transformation="o", permutations=0, two_tailed=sided)
        other = Geary(values, pysal, transformation="o", permutations=0)
    # esda's one-sided p is of the tail in which I lies, the published one of the upper tail
    p = {
        kind: float(value if sided or z >= 0 else 1 - value)
        for kind, value, z in (
            ("normality", own.p_norm, own.z_norm),
            ("randomisation", own.p_rand, own.z_rand),
        )
    }
    found = [
        Opinion(name, ESDA, float(own.I), part=year),
        Opinion(f"{name} Geary's C", ESDA, float(other.C), part=year),
    ]
    found += [Opinion(f"{name} p, {kind}", ESDA, value, part=year) for kind, value in p.items()]
    if options["permutations"]:
        share = _permuted(values, weights, float(own.I), int(options["permutations"]), sided)
        spread = 6 * np.sqrt(2 * max(share * (1 - share), 1e-3) / options["permutations"])
        apart: dict[str, Any] = {"convention": OTHER_DRAWS, "within": float(spread), "scale": 1.0}
        found.append(Opinion(f"{name} p, permutation", SCIPY, share, part=year, **apart))
    if options["assumption"] in p:
        z = own.z_norm if options["assumption"] == "normality" else own.z_rand
        found.append(Opinion(f"{name} p", ESDA, p[options["assumption"]], part=year))
        found.append(Opinion(f"{name} z", ESDA, float(z), part=year))
    return found


def _permuted(values: np.ndarray, weights: np.ndarray, actual: float, draws: int, sided: bool) -> float:
    """The share of permutations with an I as large as the actual one, by a generator of its own."""
    z = values - values.mean()
    dealt = np.random.default_rng(20_240_229).permuted(np.broadcast_to(z, (draws, len(z))), axis=1)
    statistic = ((dealt @ weights.T) * dealt).sum(axis=1) / (z @ z) * len(z) / weights.sum()
    centre = statistic.mean() if sided else 0.0
    extreme = np.abs(statistic - centre) >= abs(actual - centre) if sided else statistic >= actual
    return float((1 + extreme.sum()) / (1 + draws))


def local_moran_by_esda(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Cities of each class by esda's conditional permutations, which are other draws."""
    level = model.options.get("level", 0.05)
    year = int(model.options.get("year", frame.loc[frame[model.outcome].notna(), TIME].max()))
    rows, _ = balanced(frame[frame[TIME] == year], replace(model, weights=()), [model.outcome])
    cities = _cities(rows)
    whole = frame.assign(**{UNIT: frame[UNIT].astype(str)})
    pysal = _pysal(dense_weights(whole, model.weights[0], cities), cities)
    from esda import Moran_Local

    values = rows.sort_values(UNIT)[model.outcome].to_numpy(dtype=float)
    draws = int(model.options.get("permutations", 999))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = Moran_Local(values, pysal, transformation="o", permutations=draws, seed=20_240_229, n_jobs=1)
    quadrant = np.where(told.p_sim < level, told.q, 0)
    called = {1: "high-high", 2: "low-high", 3: "low-low", 4: "high-low", 0: "not significant"}
    counts = {name: float((quadrant == code).sum()) for code, name in called.items()}
    apart: dict[str, Any] = {"convention": OTHER_DRAWS, "within": 0.05, "scale": float(len(cities))}
    return [Opinion(name, ESDA, counts[name], **apart) for name in CLASSES]


# Models ---------------------------------------------------------------------------------------------------------------


def _contrasts(n: int) -> np.ndarray:
    """n x (n - 1), orthonormal and orthogonal to ones: what is left when a mean is taken out."""
    return linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0][:, 1:]


@dataclass(frozen=True)
class Dense:
    """A panel after the transformation that removes its effects.

    Attributes
    ----------
    y, x : cities x years, and cities x years x terms with spatial lags among them, as observed.
    terms : of x.
    weights : cities x cities.
    left, right : what cities and years are multiplied with; identities where there are no effects of theirs.
    """

    y: np.ndarray
    x: np.ndarray
    terms: tuple[str, ...]
    weights: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def moved(self, values: np.ndarray) -> np.ndarray:
        """Values cities x years (x terms) transformed, flattened to rows (x terms)."""
        values = np.einsum("im,it...,ts->ms...", self.left, values, self.right, optimize=True)
        return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])

    @cached_property
    def inner(self) -> np.ndarray:
        """The matrix between transformed cities."""
        return self.left.T @ self.weights @ self.left

    @cached_property
    def values(self) -> np.ndarray:
        """Eigenvalues of ``inner``."""
        return linalg.eigvals(self.inner)

    @cached_property
    def outcome(self) -> np.ndarray:
        return self.moved(self.y)

    @cached_property
    def lagged(self) -> np.ndarray:
        return self.moved(np.einsum("ij,jt->it", self.weights, self.y))

    @cached_property
    def regressors(self) -> np.ndarray:
        return self.moved(self.x)

    @property
    def periods(self) -> int:
        return self.right.shape[1]

    def across(self, values: np.ndarray) -> np.ndarray:
        """``inner`` times transformed values (rows, …), year by year."""
        shape = values.shape
        return (self.inner @ values.reshape(len(self.inner), -1)).reshape(shape)

    def interval(self) -> tuple[float, float]:
        real = self.values[np.abs(self.values.imag) < 1e-9].real
        return 1 / min(real.min(), -1e-9) if real.min() < 0 else -5.0, 1 / max(real.max(), 1e-9)


@dataclass(frozen=True)
class Fit:
    """Estimates of a dense model: terms of x, then rho or lambda where there is one; their covariance; the fit."""

    beta: pd.Series
    covariance: pd.DataFrame
    sigma2: float
    loglik: float


def dense(frame: pd.DataFrame, model: Model, kind: str, effects: str, weights: np.ndarray) -> Dense:
    """The panel of a model: ``kind`` "sdm" and "slx" add spatial lags; ``effects`` as the spatial models call them."""
    names = [*model.treatments, *model.controls]
    x = np.stack([_by_year(frame, name) for name in names], axis=2)
    terms = list(names)
    if kind in ("sdm", "slx"):
        chosen = list(model.treatments) if model.options.get("lagged") == "treatment" else names
        places = [names.index(name) for name in chosen]
        x = np.concatenate([x, np.einsum("ij,jtk->itk", weights, x[:, :, places])], axis=2)
        terms += [f"{LAG}{name}" for name in chosen]
    if effects == "none":
        x, terms = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2), [*terms, "const"]
    n, periods = x.shape[:2]
    left = _contrasts(n) if effects in ("time", "two-way") else np.eye(n)
    right = _contrasts(periods) if effects in ("unit", "two-way") else np.eye(periods)
    if effects in ("time", "two-way") and not np.allclose(weights.sum(axis=1), weights[0].sum()):
        raise NoOpinion("No transformation removes time effects where rows of the matrix sum to different numbers.")
    return Dense(_by_year(frame, model.outcome), x, tuple(terms), weights, left, right)


def fit(panel: Dense, kind: str) -> Fit:
    """Maximum likelihood of "sar", "sdm" and "sem" with the expected information; least squares of "slx"."""
    x, y, n = panel.regressors, panel.outcome, len(panel.outcome)
    if kind == "slx":
        beta, _, _, _ = linalg.lstsq(x, y)
        rest = float(((y - x @ beta) ** 2).sum())
        spread = linalg.inv(x.T @ x) * rest / (n - x.shape[1])
        loglik = -n / 2 * (np.log(2 * np.pi * rest / n) + 1)
        names = list(panel.terms)
        return Fit(pd.Series(beta, names), pd.DataFrame(spread, names, names), rest / n, loglik)
    return _lag(panel, x, y, n) if kind in ("sar", "sdm") else _error(panel, x, y, n)


def _lag(panel: Dense, x: np.ndarray, y: np.ndarray, n: int) -> Fit:
    wy, values, periods = panel.lagged, panel.values, panel.periods
    q = linalg.qr(x, mode="economic")[0]
    own, lag = y - q @ (q.T @ y), wy - q @ (q.T @ wy)

    def slope(rho: float) -> float:
        rest = own - rho * lag
        return float(n * (lag @ rest) / (rest @ rest) - periods * (values / (1 - rho * values)).sum().real)

    rho = _root(slope, panel.interval())
    beta = linalg.lstsq(x, y - rho * wy)[0]
    rest = y - rho * wy - x @ beta
    sigma2 = float(rest @ rest) / n
    loglik = -n / 2 * (np.log(2 * np.pi * sigma2) + 1) + periods * float(np.log(np.abs(1 - rho * values)).sum())
    g = linalg.solve((np.eye(len(panel.inner)) - rho * panel.inner).T, panel.inner.T).T
    mean = (g @ (x @ beta).reshape(len(g), -1)).ravel()
    k = x.shape[1]
    information = np.zeros((k + 2, k + 2))
    information[:k, :k] = x.T @ x / sigma2
    information[:k, k] = information[k, :k] = x.T @ mean / sigma2
    information[k, k] = periods * ((g * g.T).sum() + (g * g).sum()) + mean @ mean / sigma2
    information[k, k + 1] = information[k + 1, k] = periods * np.trace(g) / sigma2
    information[k + 1, k + 1] = n / (2 * sigma2**2)
    return _told(panel, beta, rho, "rho", information, sigma2, loglik)


def _error(panel: Dense, x: np.ndarray, y: np.ndarray, n: int) -> Fit:
    values, periods = panel.values, panel.periods
    wx, wy = panel.across(x), panel.across(y)

    def solved(lam: float) -> tuple[np.ndarray, np.ndarray]:
        a, b = x - lam * wx, y - lam * wy
        beta = linalg.lstsq(a, b)[0]
        return beta, b - a @ beta

    def slope(lam: float) -> float:
        beta, rest = solved(lam)
        return float(n * ((wy - wx @ beta) @ rest) / (rest @ rest) - periods * (values / (1 - lam * values)).sum().real)

    lam = _root(slope, panel.interval())
    beta, rest = solved(lam)
    sigma2 = float(rest @ rest) / n
    loglik = -n / 2 * (np.log(2 * np.pi * sigma2) + 1) + periods * float(np.log(np.abs(1 - lam * values)).sum())
    g = linalg.solve((np.eye(len(panel.inner)) - lam * panel.inner).T, panel.inner.T).T
    k = x.shape[1]
    a = x - lam * wx
    information = np.zeros((k + 2, k + 2))
    information[:k, :k] = a.T @ a / sigma2
    information[k, k] = periods * ((g * g.T).sum() + (g * g).sum())
    information[k, k + 1] = information[k + 1, k] = periods * np.trace(g) / sigma2
    information[k + 1, k + 1] = n / (2 * sigma2**2)
    return _told(panel, beta, lam, "lambda", information, sigma2, loglik)


def _root(slope: Any, interval: tuple[float, float]) -> float:
    """Where the concentrated likelihood is flat: the crossing from above nearest to zero."""
    low, high = interval
    grid = np.linspace(low + 1e-4 * (high - low), high - 1e-4 * (high - low), 81)
    value = np.array([slope(point) for point in grid])
    falls = [i for i in range(80) if value[i] > 0 >= value[i + 1]]
    if not falls:
        raise NoOpinion("The dense likelihood has no maximum inside its interval.")
    best = min(falls, key=lambda i: abs(grid[i]))
    return float(optimize.brentq(slope, grid[best], grid[best + 1], xtol=1e-14, rtol=1e-13))


def _told(
    panel: Dense, beta: np.ndarray, spatial: float, name: str, information: np.ndarray, sigma2: float, loglik: float
) -> Fit:
    names = [*panel.terms, name]
    scale = np.sqrt(np.diag(information))
    spread = (linalg.inv(information / np.outer(scale, scale)) / np.outer(scale, scale))[:-1, :-1]
    return Fit(pd.Series([*beta, spatial], names), pd.DataFrame(spread, names, names), sigma2, loglik)


def _structure(model: Model) -> str:
    known = {(): "none", ("unit",): "unit", ("time",): "time", ("time", "unit"): "two-way"}
    effects = known.get(tuple(sorted(model.fixed_effects)))
    if effects is None:
        raise NoOpinion("The dense likelihood takes city and year effects only.")
    return effects


def _prepared(frame: pd.DataFrame, model: Model) -> tuple[pd.DataFrame, str, str, np.ndarray]:
    kind = model.options.get("model", "sar")
    if kind == "sac":
        raise NoOpinion("The dense likelihood has no model with both a lag and an error.")
    if model.options.get("bias_correction", "transformation") != "transformation":
        raise NoOpinion("The dense likelihood is of the transformed panel only.")
    rows, _ = balanced(frame, model, [model.outcome, *model.treatments, *model.controls])
    return rows, kind, _structure(model), dense_weights(rows, model.weights[0], _cities(rows))


def spatial_panel(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Coefficients with the errors of the information matrix, and the fit."""
    rows, kind, effects, weights = _prepared(frame, model)
    panel = dense(rows, model, kind, effects, weights)
    told = fit(panel, kind)
    spread = np.sqrt(np.diag(told.covariance))
    spread = np.full(len(spread), np.nan) if model.cluster else spread
    found = [
        Opinion(str(t), SCIPY, float(b), float(s)) for t, b, s in zip(told.beta.index, told.beta, spread, strict=True)
    ]
    found += [Opinion("loglik", SCIPY, told.loglik), Opinion("sigma2", SCIPY, told.sigma2)]
    return [*found, Opinion("r2_within", SCIPY, _r2_within(panel, told, effects))]


def _r2_within(panel: Dense, told: Fit, effects: str) -> float:
    """Squared correlation of y with its reduced form, effects out of both."""
    mean = panel.x @ told.beta[list(panel.terms)].to_numpy()
    rho = float(told.beta.get("rho", 0.0))
    mean = linalg.solve(np.eye(len(panel.weights)) - rho * panel.weights, mean)
    swept = []
    for values in (panel.y, mean):
        values = values - values.mean(axis=1, keepdims=True) if effects in ("unit", "two-way") else values
        swept.append(values - values.mean(axis=0, keepdims=True) if effects in ("time", "two-way") else values)
    return float(np.corrcoef(swept[0].ravel(), swept[1].ravel())[0, 1] ** 2)


def spatial_effects(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Direct, indirect and total effects with analytic slopes for their errors; other draws; bands by distance."""
    rows, kind, effects, weights = _prepared(frame, model)
    if model.cluster or kind == "sem":
        raise NoOpinion("Effects are computed again for models of a lag with the information matrix only.")
    told = fit(dense(rows, model, kind, effects, weights), kind)
    n = len(weights)
    rho = float(told.beta.get("rho", 0.0))
    inverse = linalg.inv(np.eye(n) - rho * weights)
    found = []
    for term in model.treatments:
        which = "" if term == model.treatment else f", {term}"
        names = [name for name in (term, f"{LAG}{term}", "rho") if name in told.beta.index]
        own, lag = float(told.beta[term]), float(told.beta.get(f"{LAG}{term}", 0.0))
        whole = inverse @ (own * np.eye(n) + lag * weights)
        slopes = {term: inverse, f"{LAG}{term}": inverse @ weights, "rho": inverse @ weights @ whole}
        spread = told.covariance.loc[names, names].to_numpy()
        draws = _drawn(told.beta[names].to_numpy(), spread, names, term, weights)
        for place, label in enumerate(("direct", "indirect", "total")):
            at = _kinds(whole)[place]
            slope = np.array([_kinds(slopes[name])[place] for name in names])
            found.append(Opinion(f"{label}{which}", SCIPY, at, float(np.sqrt(slope @ spread @ slope))))
            apart: dict[str, Any] = {"convention": OTHER_DRAWS, "within": 0.2}
            error = float(draws[:, place].std(ddof=1))
            found.append(Opinion(f"{label}{which}, simulated", SCIPY, at, error, **apart))
        distance = distances(rows, _cities(rows))
        np.fill_diagonal(distance, -1.0)
        for low, high in pairwise(model.options.get("bands", BANDS)):
            held = float(whole[(distance > low) & (distance <= high)].sum() / n)
            found.append(Opinion(f"{low:g}-{high:g} km{which}", SCIPY, held))
    return found


def _kinds(matrix: np.ndarray) -> tuple[float, float, float]:
    direct, total = float(np.trace(matrix)) / len(matrix), float(matrix.sum()) / len(matrix)
    return direct, total - direct, total


def _drawn(at: np.ndarray, spread: np.ndarray, names: list[str], term: str, weights: np.ndarray) -> np.ndarray:
    """Direct, indirect and total effects (draws, 3) under draws of the estimates by a generator of its own."""
    drawn = np.random.default_rng(20_240_229).multivariate_normal(at, spread, size=1000, method="cholesky")
    column = dict(zip(names, drawn.T, strict=True))
    zero = np.zeros(len(drawn))
    rho, own, lag = column.get("rho", zero), column[term], column.get(f"{LAG}{term}", zero)
    values = linalg.eigvals(weights)
    low = 1 / values.real.min() if values.real.min() < 0 else -np.inf
    inside = (rho > low) & (rho < 1 / np.abs(values).max())
    rho, own, lag = rho[inside], own[inside], lag[inside]
    powers = 1 / (1 - np.outer(rho, values))
    first, second = powers.mean(axis=1).real, (powers * values).mean(axis=1).real
    sums = weights.sum(axis=1)
    if not np.allclose(sums, sums[0]):
        raise NoOpinion("Draws of effects are repeated for matrices whose rows sum to one number only.")
    direct, total = own * first + lag * second, (own + lag * sums[0]) / (1 - rho * sums[0])
    return np.column_stack([direct, total - direct, total])


def spatial_spillovers(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """What cities receive from the pilots among the others."""
    rows, kind, effects, weights = _prepared(frame, model)
    if kind == "sem":
        raise NoOpinion("A model of the error has no effects on others.")
    told = fit(dense(rows, model, kind, effects, weights), kind)
    own, lag = float(told.beta[model.treatment]), float(told.beta.get(f"{LAG}{model.treatment}", 0.0))
    rho = float(told.beta.get("rho", 0.0))
    n = len(weights)
    whole = linalg.solve(np.eye(n) - rho * weights, own * np.eye(n) + lag * weights)
    direct = _kinds(whole)[0]
    year = int(model.options.get("year", rows[TIME].max()))
    treated = rows[rows[TIME] == year].sort_values(UNIT)[model.treatment].to_numpy(dtype=float)
    received = ((whole - np.diag(np.diag(whole))) @ treated)[treated == 0]
    numbers = {
        "direct effect": direct,
        "received by cities without the policy, mean": received.mean(),
        "received by cities without the policy, largest": received.max(),
        "cities without the policy": len(received),
        "of them with a tenth of the direct effect or more": (received >= 0.1 * abs(direct)).sum(),
    }
    return [Opinion(term, SCIPY, float(value), scale=abs(direct)) for term, value in numbers.items()]


def spatial_choice(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Lagrange multiplier tests under each structure of effects, and likelihood ratio and Wald tests of the models."""
    rows, _ = balanced(frame, model, [model.outcome, *model.treatments, *model.controls])
    weights = dense_weights(rows, model.weights[0], _cities(rows))
    effects = _structure(model)
    found = []
    logliks = {}
    for structure in ("none", "unit", "time", "two-way"):
        tests, logliks[structure] = _multipliers(rows, model, structure, weights)
        found += [Opinion(f"{test}, {structure}", SCIPY, value) for test, value in tests.items()]
    both = logliks["two-way"]
    for name, other in (("unit", "time"), ("time", "unit")):
        found.append(Opinion(f"LR {name} effects, two-way", SCIPY, 2 * (both - logliks[other])))
    durbin, lag, error = (fit(dense(rows, model, kind, effects, weights), kind) for kind in ("sdm", "sar", "sem"))
    names = [name for name in durbin.beta.index if f"{LAG}{name}" in durbin.beta.index]
    lags = [f"{LAG}{name}" for name in names]
    rho = float(durbin.beta["rho"])
    common = durbin.beta[lags].to_numpy() + rho * durbin.beta[names].to_numpy()
    slope = pd.DataFrame(0.0, lags, durbin.beta.index)
    for name, lagged in zip(names, lags, strict=True):
        slope.loc[lagged, [name, lagged, "rho"]] = rho, 1.0, durbin.beta[name]
    for test, gap, jacobian in (
        (
            "SAR",
            durbin.beta[lags].to_numpy(),
            pd.DataFrame(np.eye(len(durbin.beta)), durbin.beta.index).loc[lags].to_numpy(),
        ),
        ("SEM", common, slope.to_numpy()),
    ):
        spread = jacobian @ durbin.covariance.to_numpy() @ jacobian.T
        found.append(Opinion(f"Wald SDM to {test}, {effects}", SCIPY, float(gap @ linalg.solve(spread, gap))))
    for test, nested in (("SAR", lag), ("SEM", error)):
        found.append(Opinion(f"LR SDM to {test}, {effects}", SCIPY, 2 * (durbin.loglik - nested.loglik)))
    return found


def _multipliers(rows: pd.DataFrame, model: Model, effects: str, weights: np.ndarray) -> tuple[dict[str, float], float]:
    """Lag and error tests of Anselin, Le Gallo and Jayet (2008), and the log-likelihood without space.

    The panel is stacked year by year, effects are dummies, and least squares is one dense decomposition.
    """
    periods, n = rows[TIME].nunique(), len(weights)
    names = [*model.treatments, *model.controls]
    stacked = rows.sort_values([TIME, UNIT])
    dummies = [np.ones((n * periods, 1))]
    dummies += [np.tile(np.eye(n)[:, 1:], (periods, 1))] * (effects in ("unit", "two-way"))
    dummies += [np.repeat(np.eye(periods)[:, 1:], n, axis=0)] * (effects in ("time", "two-way"))
    within = linalg.qr(np.column_stack(dummies), mode="economic")[0]

    def swept(values: np.ndarray) -> np.ndarray:
        return values - within @ (within.T @ values)

    def space(values: np.ndarray) -> np.ndarray:
        return (values.reshape(periods, n) @ weights.T).ravel()

    keep = (lambda values: values) if effects == "none" else swept
    y = keep(stacked[model.outcome].to_numpy(dtype=float))
    x = keep(stacked[names].to_numpy(dtype=float))
    x = np.column_stack([x, np.ones(len(y))]) if effects == "none" else x
    q = linalg.qr(x, mode="economic")[0]
    fitted = q @ (q.T @ y)
    rest = y - fitted
    sigma2 = float(rest @ rest) / len(y)
    trace = periods * float((weights * weights).sum() + (weights * weights.T).sum())
    by_lag, by_error = float(rest @ space(y)) / sigma2, float(rest @ space(rest)) / sigma2
    moved = space(fitted)
    moved = moved - q @ (q.T @ moved)
    spread = float(moved @ moved) / sigma2 + trace
    tests = {
        "LM lag": by_lag**2 / spread,
        "robust LM lag": (by_lag - by_error) ** 2 / (spread - trace),
        "LM error": by_error**2 / trace,
        "robust LM error": (by_error - trace / spread * by_lag) ** 2 / (trace * (1 - trace / spread)),
    }
    return tests, -len(y) / 2 * (np.log(2 * np.pi * sigma2) + 1)


def spatial_weights(frame: pd.DataFrame, model: Model) -> list[Opinion]:
    """Facts of a matrix that follows from places."""
    matrix = model.weights[0]
    if matrix.kind == "contiguity":
        raise NoOpinion("Borders have one source only.")
    rows = frame.assign(**{UNIT: frame[UNIT].astype(str)})
    cities = _cities(rows)
    weights = dense_weights(rows, matrix, cities)
    linked = weights > 0
    count, sums, n = linked.sum(axis=1), weights.sum(axis=1), len(cities)
    numbers = {
        "cities": n,
        "links": linked.sum(),
        "share of pairs linked": linked.sum() / (n * (n - 1)),
        "neighbours, mean": count.mean(),
        "neighbours, fewest": count.min(),
        "neighbours, most": count.max(),
        "symmetric": float(np.allclose(weights, weights.T, rtol=0, atol=1e-12 * weights.max())),
        "neighbours both ways": float((linked == linked.T).all()),
        "row sum, smallest": sums.min(),
        "row sum, largest": sums.max(),
    }
    return [Opinion(term, SKLEARN, float(value)) for term, value in numbers.items()]

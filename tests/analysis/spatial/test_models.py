"""Spatial panel models against brute force, and what they promise about order, options and bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from scipy.linalg import null_space

from analysis.spatial import Weights, panel
from analysis.spatial.determinant import Spectrum
from analysis.spatial.likelihood import Likelihood, Problem, SpatialMatrix, maximise, spatial_lag
from analysis.spatial.variance import direct_correction, information, observed_information

PANEL = {"unit": "city", "time": "year"}


def ring(n: int, reach: int = 2) -> np.ndarray:
    """Binary neighbours on a circle."""
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    gap = np.minimum(gap, n - gap)
    return ((gap > 0) & (gap <= reach)).astype(float)


def irregular(n: int, seed: int = 3) -> np.ndarray:
    """Symmetric binary links of very different number, divided by the largest eigenvalue: rows do not sum to one."""
    generator = np.random.default_rng(seed)
    links = ring(n, 1)
    hubs = generator.random((n, n)) < np.linspace(0.02, 0.35, n)[:, None]
    links = np.maximum(links, np.triu(hubs, 1))
    links = np.maximum(links, links.T)
    return links / np.abs(np.linalg.eigvalsh(links)).max()


def world(matrix: np.ndarray, periods: int, *, rho=0.4, lam=0.0, b=(1.0, -0.5), theta=(0.0, 0.0), seed=0, noise=None):
    """A panel with unit and time effects; SAR, SDM, SEM or SAC by the parameters."""
    generator = np.random.default_rng(seed)
    n = len(matrix)
    x = generator.standard_normal((n, periods, 2))
    unit_effect, time_effect = generator.standard_normal((n, 1)), generator.standard_normal((1, periods))
    x[:, :, 0] += unit_effect  # effects that x knows of
    v = generator.standard_normal((n, periods)) if noise is None else noise(generator, n, periods)
    u = np.linalg.solve(np.eye(n) - lam * matrix, v)
    mean = x @ np.array(b) + np.einsum("ij,jtk->itk", matrix, x) @ np.array(theta) + unit_effect + time_effect
    y = np.linalg.solve(np.eye(n) - rho * matrix, mean + u)
    frame = pd.DataFrame(
        {
            "city": np.repeat([f"{110000 + 100 * i}" for i in range(n)], periods),
            "year": np.tile(np.arange(2010, 2010 + periods), n),
            "y": y.ravel(),
            "log(x)": x[:, :, 0].ravel(),
            "人口": x[:, :, 1].ravel(),
        }
    )
    return frame, Weights(sparse.csr_array(matrix), frame["city"].unique().tolist())


def row_normalised(matrix: np.ndarray) -> np.ndarray:
    return matrix / matrix.sum(axis=1, keepdims=True)


X = ["log(x)", "人口"]


def spatial_matrix(matrix: np.ndarray) -> SpatialMatrix:
    held = Weights(sparse.csr_array(matrix), range(len(matrix)))
    return SpatialMatrix(held.matrix, held.spectrum, held.row_sums, held.constant_row_sum)


def problem(matrix: np.ndarray, model: str, units: str, time: bool, correction: str | None, seed: int = 0) -> Problem:
    generator = np.random.default_rng(seed)
    n, periods = len(matrix), 4
    y, x = generator.standard_normal((n, periods)), generator.standard_normal((n, periods, 2))
    held = spatial_matrix(matrix)
    lag, error = (held if model in kinds else None for kinds in (("sar", "sac"), ("sem", "sac")))
    return Problem(y, x, lag, error, units, time, correction)


def orthonormal_complement(n: int) -> np.ndarray:
    return null_space(np.ones((1, n)))


@pytest.mark.parametrize("model", ["sar", "sem", "sac"])
@pytest.mark.parametrize(("units", "time"), [("none", False), ("fixed", False), ("none", True), ("fixed", True)])
def test_the_transformed_likelihood_is_the_density_of_the_transformed_data(model, units, time):
    matrix = row_normalised(ring(9) + 0.5 * ring(9, 1))
    given = problem(matrix, model, units, time, "transformation")
    rho, lam = 0.35 * (model != "sem"), -0.4 * (model != "sar")
    point = Likelihood(given).at(rho, lam)
    across = orthonormal_complement(9) if time else np.eye(9)
    along = orthonormal_complement(4) if units == "fixed" else np.eye(4)
    filters = (np.eye(9) - lam * matrix) @ (np.eye(9) - rho * matrix)
    small = across.T @ filters @ across  # F'W = F'W F F' for a row-normalised W
    inverse = np.linalg.inv(small)
    y = across.T @ given.y @ along
    mean = inverse @ (across.T @ (np.eye(9) - lam * matrix) @ (given.x @ point.beta) @ along)
    density = stats.multivariate_normal(np.zeros(len(small)), point.sigma2 * inverse @ inverse.T)
    assert point.loglik == pytest.approx(density.logpdf((y - mean).T).sum(), rel=1e-10)


def test_the_error_model_transforms_time_effects_exactly_for_any_matrix():
    matrix = irregular(9)
    given = problem(matrix, "sem", "none", True, "transformation")
    likelihood = Likelihood(given)
    point = likelihood.at(0.0, 0.6)
    across = orthonormal_complement(9)
    root = np.linalg.inv(np.eye(9) - 0.6 * matrix)
    covariance = point.sigma2 * across.T @ root @ root.T @ across
    residual = across.T @ (given.y - given.x @ point.beta)
    density = stats.multivariate_normal(np.zeros(8), covariance)
    assert point.loglik == pytest.approx(density.logpdf(residual.T).sum(), rel=1e-10)


@pytest.mark.parametrize("model", ["sar", "sem"])
@pytest.mark.parametrize("matrix", [row_normalised(ring(9)), irregular(9)], ids=["row-normalised", "irregular"])
def test_without_correction_the_likelihood_is_that_of_the_data_with_every_effect_a_dummy(model, matrix):
    given = problem(matrix, model, "fixed", True, None)
    r = 0.3
    point = Likelihood(given).at(r * (model == "sar"), r * (model == "sem"))
    filters = np.eye(9) - r * matrix
    error = filters if model == "sem" else np.eye(9)
    dummies = [np.kron(np.eye(9), np.ones((4, 1))), np.kron(np.ones((9, 1)), np.eye(4))[:, 1:]]
    regressors = np.hstack([given.x.reshape(36, 2), *dummies])
    big = np.kron(error, np.eye(4))
    outcome = np.kron(filters, np.eye(4)) @ given.y.ravel()
    coefficients, *_ = np.linalg.lstsq(big @ regressors, outcome, rcond=None)
    residual = outcome - big @ regressors @ coefficients
    sigma2 = residual @ residual / 36
    loglik = 4 * np.linalg.slogdet(filters)[1] - 18 * (np.log(2 * np.pi * sigma2) + 1)
    assert point.loglik == pytest.approx(loglik, rel=1e-10)
    np.testing.assert_allclose(point.beta, coefficients[:2], rtol=1e-9)


@pytest.mark.parametrize("model", ["sar", "sem", "sac"])
def test_the_random_effects_likelihood_is_the_density_of_the_data(model):
    matrix = row_normalised(ring(7))
    given = problem(matrix, model, "random", False, None)
    rho, lam, phi = 0.3 * (model != "sem"), 0.45 * (model != "sar"), 0.6
    point = Likelihood(given).at(rho, lam, phi)
    unit_variance = point.sigma2 * (1 / phi**2 - 1) / 4
    within_unit = point.sigma2 * np.eye(4) + unit_variance
    inverse = np.linalg.inv((np.eye(7) - lam * matrix) @ (np.eye(7) - rho * matrix))
    covariance = np.kron(inverse @ inverse.T, within_unit)
    mean = np.linalg.inv(np.eye(7) - rho * matrix) @ (given.x @ point.beta)
    density = stats.multivariate_normal(np.zeros(28), covariance)
    assert point.loglik == pytest.approx(density.logpdf((given.y - mean).ravel()), rel=1e-10)


@pytest.mark.parametrize("correction", ["transformation", None])
@pytest.mark.parametrize("matrix", [row_normalised(ring(12)), irregular(12)], ids=["row-normalised", "irregular"])
@pytest.mark.parametrize("model", ["sar", "sem", "sac"])
def test_slopes_are_the_derivatives_of_the_log_likelihood(model, matrix, correction):
    if model == "sac" and matrix.sum(axis=1).std() > 0.01 and correction:
        with pytest.raises(ValueError, match="no exact transformation"):
            Likelihood(problem(matrix, model, "fixed", True, correction))
        return
    likelihood = Likelihood(problem(matrix, model, "fixed", True, correction))
    rho, lam = 0.3 * (model != "sem"), 0.25 * (model != "sar")
    step = 1e-5
    numeric = [
        (likelihood.at(rho + step * a, lam + step * b).loglik - likelihood.at(rho - step * a, lam - step * b).loglik)
        / (2 * step)
        for a, b in ((1, 0), (0, 1))
    ]
    present = [model != "sem", model != "sar"]
    slope = likelihood.at(rho, lam).slope
    np.testing.assert_allclose(slope[present], np.array(numeric)[present], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("correction", ["transformation", None])
@pytest.mark.parametrize("model", ["sar", "sem", "sac"])
def test_observed_information_is_minus_the_curvature_and_near_the_expected_one(model, correction):
    matrix = row_normalised(ring(200))
    frame, _ = world(matrix, 6, rho=0.4 * (model != "sem"), lam=0.3 * (model != "sar"))
    y = frame["y"].to_numpy().reshape(200, 6)
    x = frame[X].to_numpy().reshape(200, 6, 2)
    held = spatial_matrix(matrix)
    lag, error = (held if model in kinds else None for kinds in (("sar", "sac"), ("sem", "sac")))
    likelihood = Likelihood(Problem(y, x, lag, error, "fixed", True, correction))
    point = maximise(likelihood)
    observed, expected = observed_information(likelihood, point), information(likelihood, point)
    # Concentrating beta and sigma2 out leaves the curvature of the concentrated likelihood.
    spatial = np.arange(2, len(observed) - 1)
    block = np.linalg.inv(np.linalg.inv(observed)[np.ix_(spatial, spatial)])
    step = 1e-5
    moves = [(1, 0)] * (model != "sem") + [(0, 1)] * (model != "sar")
    present = [0] * (model != "sem") + [1] * (model != "sar")
    numeric = np.array(
        [
            likelihood.at(point.rho - step * a, point.lam - step * b).slope[present]
            - likelihood.at(point.rho + step * a, point.lam + step * b).slope[present]
            for a, b in moves
        ]
    ) / (2 * step)
    np.testing.assert_allclose(block, numeric, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(np.diag(np.linalg.inv(observed)), np.diag(np.linalg.inv(expected)), rtol=0.15)


def test_recentring_the_score_removes_the_bias_where_rows_sum_to_different_numbers():
    matrix = irregular(25)
    drift: dict[str | None, list[float]] = {"transformation": [], None: []}
    for seed in range(80):
        frame, weights = world(matrix, 4, rho=0.5, b=(0.3, 0.3), seed=seed)
        for how, found in drift.items():
            found.append(panel(frame, "y", X, weights, bias_correction=how, **PANEL).rho - 0.5)
    error = np.std(drift["transformation"]) / np.sqrt(80)
    assert abs(np.mean(drift["transformation"])) < 3.5 * error
    assert np.mean(drift[None]) < -5 * error


@pytest.mark.parametrize(("how", "runs"), [("transformation", 100), ("direct", 60)])
def test_durbin_estimates_are_unbiased_and_their_intervals_cover_on_sparse_weights(how, runs):
    matrix = row_normalised(ring(150))
    held = spatial_matrix(matrix)
    truth = np.array([1.0, -0.5, 0.3, 0.2, 0.4])
    multiplier = np.linalg.inv(np.eye(150) - 0.4 * matrix)
    direct = np.trace(multiplier @ (np.eye(150) + 0.3 * matrix)) / 150
    estimates, errors, effects = np.empty((runs, 5)), np.empty((runs, 5)), np.empty(runs)
    for run in range(runs):
        frame, _ = world(matrix, 6, theta=(0.3, 0.2), seed=10_000 + run)
        y, x = frame["y"].to_numpy().reshape(150, 6), frame[X].to_numpy().reshape(150, 6, 2)
        x = np.concatenate([x, spatial_lag(held.matrix, x)], axis=2)
        likelihood = Likelihood(Problem(y, x, held, None, "fixed", True, how))
        point = maximise(likelihood)
        if how == "direct":
            point = direct_correction(likelihood, point)
        estimates[run] = [*point.beta, point.rho]
        errors[run] = np.sqrt(np.diag(np.linalg.inv(information(likelihood, point))))[:5]
        plain, lagged = held.spectrum.mean_diagonals(np.array([point.rho]))
        effects[run] = point.beta[0] * plain[0] + point.beta[2] * lagged[0]
    inside = np.mean(np.abs(estimates - truth) < 1.96 * errors, axis=0)
    assert abs(estimates[:, 4].mean() - 0.4) < 0.01
    assert abs(effects.mean() / direct - 1) < 0.02
    assert (np.abs(inside - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / runs)).all()


def test_random_effects_find_the_unit_variance_and_refuse_effects_that_x_knows():
    matrix = row_normalised(ring(300))
    frame, weights = world(matrix, 6, seed=5)
    noisy = frame.assign(**{"log(x)": np.random.default_rng(1).standard_normal(len(frame))})
    x = noisy["log(x)"].to_numpy().reshape(300, 6)
    generator = np.random.default_rng(2)
    mean = x + 1.5 * generator.standard_normal((300, 1)) + generator.standard_normal((300, 6))
    noisy["y"] = np.linalg.solve(np.eye(300) - 0.4 * matrix, mean).ravel()
    fit = panel(noisy, "y", ["log(x)"], weights, effects="random", **PANEL)
    assert fit.unit_variance == pytest.approx(2.25, rel=0.2)
    assert fit.rho == pytest.approx(0.4, abs=4 * fit.table.loc["rho", "se"])
    fixed = panel(noisy, "y", ["log(x)"], weights, effects="unit", **PANEL)
    assert fit.table.loc["log(x)", "se"] < fixed.table.loc["log(x)", "se"]


def test_errors_under_random_effects_are_the_spread_of_the_estimates_and_the_curvature_of_the_likelihood():
    """The constant's error at a known rho would be .11: half of what it is."""
    matrix, found = row_normalised(ring(46)), []
    inverse = np.linalg.inv(np.eye(46) - 0.4 * matrix)
    frame, weights = world(matrix, 8, seed=0)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(46, 8)) + generator.normal(size=(46, 1))
        y = inverse @ (2 + x + 0.7 * generator.normal(size=(46, 1)) + generator.normal(size=(46, 8)))
        drawn = frame.assign(**{"log(x)": x.ravel(), "y": y.ravel()})
        found.append(panel(drawn, "y", ["log(x)"], weights, effects="random", bias_correction=None, **PANEL).table)
    spread = np.std([table["estimate"] for table in found], axis=0, ddof=1)
    errors = np.mean([table["se"] for table in found], axis=0)
    assert found[0].index.tolist() == ["log(x)", "const", "rho"]
    np.testing.assert_allclose(errors, spread, rtol=0.3)
    assert errors[1] > 0.15

    design = np.stack([x, np.ones_like(x)], axis=2)
    given = replace(problem(matrix, "sar", "random", False, None), y=y, x=design)
    likelihood = Likelihood(given)
    point = maximise(likelihood)

    def loglik(theta: np.ndarray) -> float:
        beta, (rho, sigma2, phi) = theta[:-3], theta[-3:]
        parts, cross = likelihood.combinations(rho, 0.0), likelihood.cross(0.0, phi)
        left = parts["y"] - parts["x"] @ beta
        terms = likelihood.logdets(rho, 0.0) * likelihood.problem_periods + given.cross_section * np.log(phi)
        return terms - likelihood.observations / 2 * np.log(2 * np.pi * sigma2) - left @ cross @ left / (2 * sigma2)

    at = np.array([*point.beta, point.rho, point.sigma2, point.phi])
    assert loglik(at) == pytest.approx(point.loglik, rel=1e-12)
    steps = np.diag(1e-4 * np.abs(at))
    curvature = np.array(
        [[sum(s * r * loglik(at + s * a + r * b) for s in (1, -1) for r in (1, -1)) for b in steps] for a in steps]
    ) / (4 * np.outer(np.diag(steps), np.diag(steps)))
    numeric = np.sqrt(np.diag(np.linalg.inv(-curvature)))
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(information(likelihood, point)))), numeric, rtol=0.2)


def test_random_effects_in_the_error_say_which_model_they_are():
    frame, weights = world(row_normalised(ring(30)), 5)
    for model, said in (("sem", True), ("sac", True), ("sar", False)):
        notes = panel(frame, "y", X, weights, model=model, effects="random", **PANEL).notes
        assert any("Kapoor, Kelejian and Prucha" in note for note in notes) == said


def test_random_effects_beside_the_filter_are_the_maximum_of_the_density_of_the_data():
    """Covariance J x s2_mu I + I x s2 (B'B)^-1, written out; and its curvature gives the standard errors."""
    matrix, generator = row_normalised(ring(40)), np.random.default_rng(3)
    x = generator.normal(size=(40, 5)) + generator.normal(size=(40, 1))
    filtered = np.linalg.solve(np.eye(40) - 0.4 * matrix, generator.normal(size=(40, 5)))
    y = 1 + x + 1.2 * generator.normal(size=(40, 1)) + filtered
    frame, weights = world(matrix, 5)
    frame = frame.assign(**{"log(x)": x.ravel(), "y": y.ravel()})
    asked = {"model": "sem", "effects": "random", "bias_correction": None, **PANEL}
    fit = panel(frame, "y", ["log(x)"], weights, random_effects="baltagi", **asked)

    def loglik(theta: np.ndarray) -> float:
        slope, constant, lam, sigma2, unit_variance = theta
        inverse = np.linalg.inv(np.eye(40) - lam * matrix)
        covariance = np.kron(np.eye(5), sigma2 * inverse @ inverse.T) + np.kron(
            np.ones((5, 5)), unit_variance * np.eye(40)
        )
        residual = (y - constant - slope * x).T.ravel()
        _, logdet = np.linalg.slogdet(covariance)
        return float(-(logdet + residual @ np.linalg.solve(covariance, residual) + 200 * np.log(2 * np.pi)) / 2)

    at = np.array([*fit.table["estimate"], fit.sigma2, fit.unit_variance])
    assert loglik(at) == pytest.approx(fit.loglik, rel=1e-10)
    steps = np.diag(1e-3 * np.abs(at))
    for step in steps:
        assert max(loglik(at + step), loglik(at - step)) < fit.loglik
    curvature = np.array(
        [[sum(s * r * loglik(at + s * a + r * b) for s in (1, -1) for r in (1, -1)) for b in steps] for a in steps]
    ) / (4 * np.outer(np.diag(steps), np.diag(steps)))
    numeric = np.sqrt(np.diag(np.linalg.inv(-curvature)))[:3]
    np.testing.assert_allclose(fit.table["se"], numeric, rtol=0.1)
    through = panel(frame, "y", ["log(x)"], weights, **asked)
    assert fit.loglik > through.loglik  # data drawn beside the filter
    assert any("Baltagi" in note for note in fit.notes)


@pytest.mark.parametrize("asked", [{"model": "sar"}, {"effects": "random-time"}, {"cluster": "unit"}])
def test_random_effects_beside_the_filter_refuse_what_they_are_not_made_for(asked):
    frame, weights = world(row_normalised(ring(12)), 3)
    options = {"model": "sem", "effects": "random"} | asked
    with pytest.raises(ValueError, match="baltagi"):
        panel(frame, "y", X, weights, random_effects="baltagi", **options, **PANEL)


@pytest.mark.parametrize("correction", ["transformation", None])
def test_slx_divides_by_the_degrees_of_freedom_of_least_squares(correction):
    import statsmodels.api as sm

    frame, weights = world(row_normalised(ring(30)), 5, rho=0.0)
    fit = panel(frame, "y", X, weights, model="slx", effects="none", bias_correction=correction, **PANEL)
    lags = spatial_lag(weights.matrix, frame[X].to_numpy().reshape(30, 5, 2)).reshape(-1, 2)
    theirs = sm.OLS(frame["y"].to_numpy(), np.column_stack([frame[X], lags, np.ones(150)])).fit()
    np.testing.assert_allclose(fit.table["estimate"], theirs.params, rtol=1e-9)
    np.testing.assert_allclose(fit.table["se"], theirs.bse, rtol=1e-9)
    np.testing.assert_allclose(fit.table["p"], theirs.pvalues, rtol=1e-7)


def test_slx_is_least_squares_on_x_and_its_lags():
    from linearmodels.panel import PanelOLS

    matrix = row_normalised(ring(30))
    frame, weights = world(matrix, 5, rho=0.0, theta=(0.5, 0.0))
    fit = panel(frame, "y", X, weights, model="slx", **PANEL)
    design = frame.set_index(["city", "year"])[X]
    lags = spatial_lag(weights.matrix, frame[X].to_numpy().reshape(30, 5, 2)).reshape(-1, 2)
    design = design.assign(a=lags[:, 0], b=lags[:, 1])
    theirs = PanelOLS(frame.set_index(["city", "year"])["y"], design, entity_effects=True, time_effects=True).fit()
    np.testing.assert_allclose(fit.table["estimate"], theirs.params, rtol=1e-9)
    np.testing.assert_allclose(fit.table["se"], theirs.std_errors, rtol=1e-9)
    assert fit.degrees_of_freedom == theirs.df_resid


def test_cluster_errors_cover_what_serial_correlation_hides_from_the_model():
    def persistent(generator, n, periods):
        scale = np.exp(0.3 * generator.standard_normal((n, 1)))
        shock = generator.standard_normal((n, periods)) * scale
        for t in range(1, periods):
            shock[:, t] += 0.8 * shock[:, t - 1]
        return shock

    matrix = row_normalised(ring(100))
    found, model_se, cluster_se = [], [], []
    for seed in range(60):
        frame, weights = world(matrix, 6, seed=seed, noise=persistent)
        slow = frame.groupby("city")["人口"].cumsum()
        y = frame["y"].to_numpy().reshape(100, 6) + np.linalg.solve(
            np.eye(100) - 0.4 * matrix, -0.5 * (slow - frame["人口"]).to_numpy().reshape(100, 6)
        )
        frame = frame.assign(人口=slow, y=y.ravel())
        fits = [panel(frame, "y", X, weights, cluster=cluster, **PANEL) for cluster in (None, "unit")]
        found.append(fits[0].table["estimate"])
        model_se.append(fits[0].table["se"])
        cluster_se.append(fits[1].table["se"])
    spread = np.std(found, axis=0, ddof=1)
    ratio = np.mean(cluster_se, axis=0) / spread
    # The deviation of 60 estimates is itself known to 9%.
    assert (np.abs(ratio - 1) < 0.28).all()
    assert (np.mean(model_se, axis=0) / spread)[1] < 0.8


def test_cluster_errors_without_a_spatial_parameter_are_those_of_a_linear_panel():
    from linearmodels.panel import PanelOLS

    matrix = row_normalised(ring(30))
    frame, weights = world(matrix, 5, rho=0.0, theta=(0.5, 0.0))
    fit = panel(frame, "y", X, weights, model="slx", cluster="unit", **PANEL)
    design = frame.set_index(["city", "year"])[X]
    lags = spatial_lag(weights.matrix, frame[X].to_numpy().reshape(30, 5, 2)).reshape(-1, 2)
    linear = PanelOLS(
        frame.set_index(["city", "year"])["y"],
        design.assign(a=lags[:, 0], b=lags[:, 1]),
        entity_effects=True,
        time_effects=True,
    ).fit(cov_type="clustered", cluster_entity=True, group_debias=True, debiased=False)
    # linearmodels' factor is G / (G - 1) x (n - 1) / (n - effects), with 30 + 4 effects; ours G / (G - 1)
    np.testing.assert_allclose(fit.table["se"], linear.std_errors * np.sqrt((150 - 34) / 149), rtol=1e-9)


@pytest.mark.parametrize("province", [1, 4])
def test_cluster_errors_are_the_sandwich_of_scores_written_out(province: int):
    """SAR without effects: information of Anselin (1988), scores by hand, products of two clusters one by one."""
    matrix = row_normalised(irregular(24))
    frame, weights = world(matrix, 4, rho=0.3, seed=5)
    frame = frame.assign(province=frame["city"].str[:6].map({c: i // province for i, c in enumerate(weights.labels)}))
    fit = panel(frame, "y", X, weights, model="sar", effects="none", cluster="province", **PANEL)
    b, rho = fit.table.loc[["const", *X], "estimate"].to_numpy(), fit.rho
    # times below each other: row t * 24 + i
    stacked = frame.sort_values(["year", "city"])
    x, y = np.column_stack([np.ones(96), stacked[X]]), stacked["y"].to_numpy()
    group = stacked["province"].to_numpy()
    lag, identity = np.kron(np.eye(4), matrix), np.eye(96)
    v = y - rho * lag @ y - x @ b
    s2 = v @ v / 96
    g = lag @ np.linalg.inv(identity - rho * lag)
    gxb = g @ x @ b
    information_ = np.zeros((5, 5))
    information_[:3, :3] = x.T @ x / s2
    information_[:3, 3] = information_[3, :3] = x.T @ gxb / s2
    information_[3, 3] = np.trace(g @ g) + np.trace(g.T @ g) + gxb @ gxb / s2
    information_[3, 4] = information_[4, 3] = np.trace(g) / s2
    information_[4, 4] = 96 / (2 * s2**2)
    clusters = np.unique(group)
    middle = np.zeros((5, 5))
    for one in clusters:
        own = group == one
        quadratic = v[own] @ g[np.ix_(own, own)] @ v[own] / s2 - np.trace(g[np.ix_(own, own)])
        score = [*(x[own].T @ v[own] / s2), gxb[own] @ v[own] / s2 + quadratic]
        score = np.array([*score, v[own] @ v[own] / (2 * s2**2) - own.sum() / (2 * s2)])
        middle += np.outer(score, score)
        for other in clusters[clusters > one]:
            far = group == other
            cross = v[own] @ g[np.ix_(own, far)] @ v[far] + v[far] @ g[np.ix_(far, own)] @ v[own]
            middle[3, 3] += (cross / s2) ** 2
    bread = np.linalg.inv(information_)
    covariance = bread @ middle @ bread * len(clusters) / (len(clusters) - 1)
    expected = dict(zip(["const", *X, "rho"], np.sqrt(np.diag(covariance)), strict=False))
    np.testing.assert_allclose(fit.table["se"], [expected[str(term)] for term in fit.table.index], rtol=1e-5)


@pytest.mark.parametrize("model", ["sar", "sem", "sac"])
def test_cluster_errors_agree_with_the_model_where_errors_are_independent(model):
    matrix = row_normalised(ring(500))
    frame, weights = world(matrix, 4, rho=0.4 * (model != "sem"), lam=0.3 * (model != "sar"))
    plain, by_unit = (
        panel(frame, "y", X, weights, model=model, cluster=c, **PANEL).table["se"] for c in (None, "unit")
    )
    frame = frame.assign(province=frame["city"].str[:4])
    by_province = panel(frame, "y", X, weights, model=model, cluster="province", **PANEL)
    np.testing.assert_allclose(by_unit, plain, rtol=0.15)
    np.testing.assert_allclose(by_province.table["se"], plain, rtol=0.4)
    assert by_province.clusters == frame["province"].nunique()


def test_sparse_factorisations_give_what_eigenvalues_give():
    frame, weights = world(row_normalised(ring(60)), 5, theta=(0.3, 0.1))
    exact, sparse_fit = (
        panel(frame, "y", X, weights, model="sdm", log_determinant=how, **PANEL) for how in ("eigenvalues", "lu")
    )
    np.testing.assert_allclose(sparse_fit.table["estimate"], exact.table["estimate"], rtol=1e-7)
    assert sparse_fit.loglik == pytest.approx(exact.loglik, rel=1e-10)
    np.testing.assert_allclose(sparse_fit.effects().table["se"], exact.effects().table["se"], rtol=1e-5)


@pytest.mark.parametrize(
    "matrix",
    [row_normalised(ring(20)), irregular(20), np.triu(irregular(20)) + 0.3 * np.tril(irregular(20))],
    ids=["row-normalised", "symmetric", "asymmetric"],
)
def test_log_determinant_and_trace_are_those_of_the_dense_matrix(matrix):
    spectrum = Spectrum(sparse.csr_array(matrix))
    low, high = spectrum.interval
    for rho in (0.9 * low, 0.3 * high, 0.9 * high):
        system = np.eye(20) - rho * matrix
        assert spectrum.logdet(rho) == pytest.approx(np.linalg.slogdet(system)[1], rel=1e-9)
        multiplier = matrix @ np.linalg.inv(system)
        assert spectrum.trace(rho) == pytest.approx(np.trace(multiplier), rel=1e-8)
        assert spectrum.trace_of_square(rho) == pytest.approx(np.trace(multiplier @ multiplier), rel=1e-8)
    assert np.linalg.slogdet(np.eye(20) - 0.999999 * high * matrix)[0] == 1


@pytest.mark.parametrize("model", ["sar", "sem", "sdm", "slx", "sac"])
def test_order_of_rows_and_of_weights_does_not_matter(model):
    frame, weights = world(row_normalised(ring(25) + ring(25, 1)), 5, theta=(0.3, 0.1), lam=0.2)
    usual = panel(frame, "y", X, weights, model=model, cluster="unit", **PANEL)
    order = np.random.default_rng(4).permutation(25)
    turned = weights.subset([weights.labels[i] for i in order])
    before = frame.copy()
    shuffled = frame.sample(frac=1, random_state=3)
    again = panel(shuffled, "y", X, turned, model=model, cluster="unit", **PANEL)
    np.testing.assert_allclose(again.table, usual.table, rtol=1e-6)
    pd.testing.assert_frame_equal(frame, before)


def test_units_of_measurement_do_not_matter():
    frame, weights = world(row_normalised(ring(25)), 5, theta=(0.3, 0.1))
    usual = panel(frame, "y", X, weights, model="sdm", **PANEL)
    scaled = frame.assign(y=frame["y"] * 1e6, **{"log(x)": frame["log(x)"] * 1e-5 + 3e3})
    again = panel(scaled, "y", X, weights, model="sdm", **PANEL)
    assert again.rho == pytest.approx(usual.rho, rel=1e-6)
    assert again.table.loc["log(x)", "t"] == pytest.approx(usual.table.loc["log(x)", "t"], rel=1e-6)


def test_weights_are_used_as_given():
    frame, weights = world(row_normalised(ring(30)), 5)
    doubled = Weights(2 * weights.matrix, weights.labels)
    once, twice = (panel(frame, "y", X, w, **PANEL) for w in (weights, doubled))
    assert twice.rho == pytest.approx(once.rho / 2, rel=1e-8)
    assert twice.loglik == pytest.approx(once.loglik, rel=1e-10)


def test_terms_carry_the_names_of_columns_and_absorbed_ones_say_so():
    frame, weights = world(row_normalised(ring(20)), 5)
    frame = frame.assign(fixed=frame.groupby("city")["log(x)"].transform("first"), twice=2 * frame["人口"])
    fit = panel(frame, "y", [*X, "fixed", "twice"], weights, model="sdm", **PANEL)
    assert list(fit.table.index) == [*X, "fixed", "twice", *(f"W:{c}" for c in [*X, "fixed", "twice"]), "rho"]
    assert set(fit.not_identified) == {"fixed", "twice", "W:fixed", "W:twice"}
    assert fit.table.loc["fixed"].isna().all()
    assert fit.effects(draws=10).direct.loc[["fixed", "twice"], "estimate"].isna().all()
    assert "const" in panel(frame, "y", X, weights, effects="none", **PANEL).table.index
    assert "lambda" in panel(frame, "y", X, weights, model="sem", **PANEL).table.index


def test_only_the_chosen_columns_are_lagged():
    frame, weights = world(row_normalised(ring(20)), 5)
    fit = panel(frame, "y", X, weights, model="sdm", lagged=["人口"], **PANEL)
    assert list(fit.table.index) == [*X, "W:人口", "rho"]


def _refused(frame, weights, words, **options):
    with pytest.raises(ValueError, match=words) as caught:
        panel(frame, "y", X, weights, **(PANEL | options))
    assert str(caught.value).rstrip().endswith(".")


def test_bad_input_is_refused_in_a_sentence_that_names_it():
    frame, weights = world(row_normalised(ring(12)), 4)
    _refused(frame.drop(index=5), weights, "balanced panel.*city 110100, year 2011")
    _refused(frame.assign(y=frame["y"].mask(frame.index == 7)), weights, "'y' is missing.*city 110100, year 2013")
    _refused(pd.concat([frame, frame.iloc[[3]]]), weights, "occurs 2 times")
    _refused(frame.loc[frame["city"] != "110300"], weights, "110300 is in the weights matrix but not in the data")
    stranger = frame.assign(city=frame["city"].replace("110300", "999999"))
    _refused(stranger, weights, "999999 is without a row")
    _refused(frame.assign(city=frame["city"].astype(int)), weights, "same type")
    lonely = ring(12, 1)
    lonely[4, :] = lonely[:, 4] = 0
    _refused(frame, Weights(sparse.csr_array(lonely), weights.labels), "110400 is in the weights matrix without any")
    _refused(frame.assign(y=1.0), weights, "does not vary")
    _refused(frame.drop(columns="人口"), weights, "No column named '人口'")
    _refused(frame.assign(人口="many"), weights, "must be numeric")
    _refused(frame.assign(人口=pd.Timestamp(2013, 1, 1)), weights, "must be numeric; it holds dates")
    _refused(frame, weights, "model is 'lag'", model="lag")
    _refused(frame, weights, "effects is 'both'", effects="both")
    _refused(frame, weights, "bias_correction is 'yes'", bias_correction="yes")
    _refused(frame, weights, "cluster is 'province'", cluster="province")
    _refused(frame, weights, "changes over time", cluster="year")
    _refused(frame, weights.matrix, "pass Weights")
    _refused(frame.loc[frame["year"] == 2010], weights, "at least two periods")
    with pytest.raises(ValueError, match="called 'rho'"):
        panel(frame.rename(columns={"人口": "rho"}), "y", ["rho"], weights, **PANEL)


def test_a_model_without_x_has_a_spatial_parameter_only():
    frame, weights = world(row_normalised(ring(40)), 5)
    fit = panel(frame, "y", [], weights, **PANEL)
    assert list(fit.table.index) == ["rho"]
    with pytest.raises(ValueError, match="no x"):
        fit.effects()


def test_one_cross_section_can_be_fitted_without_unit_effects():
    frame, weights = world(row_normalised(ring(200)), 2)
    fit = panel(frame.loc[frame["year"] == 2010], "y", X, weights, effects="none", **PANEL)
    assert fit.n == 200
    assert fit.rho == pytest.approx(0.4, abs=4 * fit.table.loc["rho", "se"])


def test_direct_and_exact_corrections_agree_with_random_units_too():
    frame, weights = world(row_normalised(ring(100)), 6)
    none, direct, exact = (
        panel(frame, "y", X, weights, effects="random-time", bias_correction=how, **PANEL)
        for how in (None, "direct", "transformation")
    )
    assert abs(direct.rho - exact.rho) < 0.2 * abs(none.rho - exact.rho)
    assert abs(direct.unit_variance / exact.unit_variance - 1) < abs(none.unit_variance / exact.unit_variance - 1)


def test_weights_that_do_not_identify_rho_are_refused():
    frame, weights = world(row_normalised(ring(12)), 4)
    equal = row_normalised(np.ones((12, 12)) - np.eye(12))
    _refused(frame, Weights(sparse.csr_array(equal), weights.labels), "not identified")
    circle_free = Weights(sparse.csr_array(np.diag(np.ones(11), 1)), weights.labels)
    assert circle_free.isolated == [weights.labels[-1]]
    with pytest.raises(ValueError, match="no eigenvalue other than zero"):
        _ = circle_free.spectrum.interval


def test_a_likelihood_that_rises_to_the_border_is_refused():
    n, periods = 40, 4
    matrix = row_normalised(ring(n, 1))
    frame, weights = world(matrix, periods)
    # A wave along the circle: its lag is 0.9877 times itself, so that rho would have to be 1 / 0.9877.
    wave = np.cos(2 * np.pi * np.arange(n) / n)
    generator = np.random.default_rng(0)
    y = np.outer(wave, generator.standard_normal(periods)) + 1e-3 * generator.standard_normal((n, periods))
    _refused(frame.assign(y=y.ravel()), weights, "rises up to the border")

"""Spatial models and tests against what splm, SDPDmod, Elhorst's code, spreg and GeoDa-era references give."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from analysis.spatial import Weights, choose, geary, lagrange_multiplier, local_moran, moran, panel

Locate = Callable[[str], Path]
X = ["logp", "logy"]
PANEL = {"unit": "state", "time": "year"}


@pytest.fixture(scope="module")
def cigarettes(reference: Locate) -> tuple[pd.DataFrame, Weights]:
    data = pd.read_csv(reference("cigar_elhorst/Cigar.csv"))
    data = data.assign(
        logc=np.log(data["sales"]), logp=np.log(data["price"] / data["cpi"]), logy=np.log(data["ndi"] / data["cpi"])
    )
    binary = pd.read_csv(reference("cigar_elhorst/W_usa46_binary.csv"), index_col=0)
    return data, Weights(sparse.csr_array(binary.to_numpy(float)), sorted(data["state"].unique())).row_normalised()


@pytest.fixture(scope="module")
def expected(reference: Locate) -> dict:
    return json.loads(reference("cigar_elhorst/expected_splm_SDPDmod.json").read_text())


@pytest.mark.parametrize("model", ["sar", "sdm", "sem"])
def test_state_effects_without_correction_give_splm_coefficients_errors_and_variance(cigarettes, expected, model):
    data, weights = cigarettes
    fit = panel(data, "logc", X, weights, model=model, effects="unit", bias_correction=None, **PANEL)
    theirs = expected[f"{model.upper()}_individual"]
    names = {"logp": "logp", "logy": "logy", "wlogp": "W:logp", "wlogy": "W:logy", "lambda": "rho", "rho": "lambda"}
    for term in theirs.keys() - {"loglik", "sigma2"}:
        row = fit.table.loc[names[term]]
        assert row["estimate"] == pytest.approx(theirs[term]["b"], rel=1e-5, abs=1e-8)
        assert row["se"] == pytest.approx(theirs[term]["se"], rel=1e-5)
    assert fit.sigma2 == pytest.approx(theirs["sigma2"], rel=1e-6)


@pytest.mark.parametrize(
    ("model", "rho", "loglik"),
    [("sar", 0.2981550504, 1482.599086), ("sdm", 0.4570770734, 1598.715264), ("sem", 0.4695592521, 1538.957965)],
)
def test_state_effects_without_correction_give_the_known_rho_and_likelihood(cigarettes, model, rho, loglik):
    data, weights = cigarettes
    fit = panel(data, "logc", X, weights, model=model, effects="unit", bias_correction=None, **PANEL)
    assert fit.rho == pytest.approx(rho, abs=1e-7)
    assert fit.loglik == pytest.approx(loglik, abs=1e-6)


def test_the_transformation_of_unit_effects_moves_the_variance_only(cigarettes):
    data, weights = cigarettes
    plain, exact = (
        panel(data, "logc", X, weights, model="sdm", effects="unit", bias_correction=how, **PANEL)
        for how in (None, "transformation")
    )
    np.testing.assert_allclose(exact.table["estimate"], plain.table["estimate"], rtol=1e-9)
    assert exact.sigma2 == pytest.approx(plain.sigma2 * 30 / 29, rel=1e-9)
    np.testing.assert_allclose(exact.table["se"], plain.table["se"] * np.sqrt(30 / 29), rtol=1e-9)


def test_two_way_durbin_with_lags_taken_before_demeaning_gives_the_uncorrected_figures(cigarettes):
    data, weights = cigarettes
    fit = panel(data, "logc", X, weights, model="sdm", bias_correction=None, **PANEL)
    assert fit.rho == pytest.approx(0.2292003, abs=5e-8)
    assert fit.loglik == pytest.approx(1691.5383, abs=5e-5)
    np.testing.assert_allclose(
        fit.table["estimate"].iloc[:4], [-1.0024510, 0.6006527, 0.0564624, -0.2949953], atol=5e-7
    )


def test_two_way_durbin_by_the_exact_transformation_gives_lee_and_yu(cigarettes):
    data, weights = cigarettes
    fit = panel(data, "logc", X, weights, model="sdm", **PANEL)
    assert fit.rho == pytest.approx(0.2711783, abs=5e-8)
    assert fit.loglik == pytest.approx(1571.2485, abs=5e-5)
    np.testing.assert_allclose(fit.table["estimate"].iloc[:4], [-0.999737, 0.599235, 0.107092, -0.308974], atol=5e-7)


@pytest.mark.parametrize("model", ["sar", "sdm"])
def test_the_direct_correction_moves_rho_as_much_as_sdpdmod_does(cigarettes, expected, model):
    data, weights = cigarettes
    before, after = (
        panel(data, "logc", X, weights, model=model, bias_correction=how, **PANEL) for how in (None, "direct")
    )
    theirs_before, theirs_after = (expected[f"SDPDmod_{model}_twoways_LY{flag}"] for flag in ("FALSE", "TRUE"))
    assert after.rho - before.rho == pytest.approx(theirs_after["rho"] - theirs_before["rho"], rel=0.02)
    assert after.sigma2 / before.sigma2 == pytest.approx(theirs_after["sige"] / theirs_before["sige"], rel=1e-3)
    np.testing.assert_allclose(after.table["se"].iloc[:-1], theirs_after["se"][:-2], rtol=3e-3)


@pytest.mark.parametrize(
    ("effects", "figures"),
    [
        ("none", [66.4656733689521, 58.263622585278, 153.040071235923, 144.838020452249]),
        ("unit", [136.429225757932, 29.5127070963429, 255.714999220637, 148.798480559048]),
        ("time", [44.0402208466262, 0.330240032548341, 62.8646223004591, 19.1546414863812]),
        ("two-way", [46.900519520076, 1.1563318968373, 54.654806852238, 8.91061922899928]),
    ],
)
def test_lagrange_multiplier_tests_equal_splm_under_every_structure_of_effects(cigarettes, effects, figures):
    data, weights = cigarettes
    tests = lagrange_multiplier(data, "logc", X, weights, effects=effects, **PANEL)
    np.testing.assert_allclose(tests["statistic"], figures, rtol=1e-6)


def test_likelihood_ratios_of_the_effects_equal_elhorst(cigarettes):
    data, weights = cigarettes
    tests = choose(data, "logc", X, weights, **PANEL).table.set_index("test")
    assert tests.loc["LR unit effects", "statistic"] == pytest.approx(2315.7, abs=0.05)
    assert tests.loc["LR unit effects", "df"] == 46
    assert tests.loc["LR time effects", "statistic"] == pytest.approx(473.1, abs=0.05)
    assert tests.loc["LR time effects", "df"] == 30


def test_cigarettes_point_to_the_durbin_model_with_two_way_effects(cigarettes):
    data, weights = cigarettes
    choice = choose(data, "logc", X, weights, **PANEL)
    assert (choice.model, choice.effects_structure) == ("sdm", "two-way")


@pytest.mark.parametrize("model", ["sar", "sem"])
def test_unit_effects_equal_spreg_on_the_model_both_have(cigarettes, model):
    libpysal, spreg = pytest.importorskip("libpysal"), pytest.importorskip("spreg")
    data, weights = cigarettes
    stacked = data.sort_values(["year", "state"])  # spreg wants one period after the other
    theirs_w = libpysal.weights.WSP(sparse.csr_matrix(weights.matrix)).to_W(silence_warnings=True)
    theirs_w.transform = "r"
    estimator = spreg.Panel_FE_Lag if model == "sar" else spreg.Panel_FE_Error
    theirs = estimator(stacked[["logc"]].to_numpy(), stacked[X].to_numpy(), theirs_w)
    ours = panel(data, "logc", X, weights, model=model, effects="unit", bias_correction=None, **PANEL)
    np.testing.assert_allclose(ours.table["estimate"], np.ravel(theirs.betas), atol=2e-6)


@pytest.fixture(scope="module")
def homicides() -> tuple[pd.DataFrame, Weights]:
    """St. Louis as libpysal ships it."""
    examples = pytest.importorskip("libpysal").examples
    data = pd.read_csv(examples.get_path("stl_hom.csv")).assign(year=1990)
    data["place"] = range(1, len(data) + 1)
    lines = Path(examples.get_path("stl.gal")).read_text().split("\n")[1:]
    matrix = np.zeros((len(data), len(data)))
    for head, neighbours in zip(lines[::2], lines[1::2], strict=False):
        if head.strip():
            matrix[int(head.split()[0]) - 1, [int(j) - 1 for j in neighbours.split()]] = 1
    return data, Weights(sparse.csr_array(matrix), list(data["place"])).row_normalised()


def test_moran_of_the_st_louis_homicides(homicides):
    data, weights = homicides
    row = moran(data, "HR8893", weights, unit="place", time="year").table.iloc[0]
    assert row["i"] == pytest.approx(0.24365582621771659, rel=1e-10)
    assert row["p"] == pytest.approx(0.00013573931385468804, rel=1e-9)
    assert row["expected"] == pytest.approx(-0.012987012987, rel=1e-9)
    assert row["variance_normality"] == pytest.approx(0.004968139260, rel=1e-9)
    assert row["variance_randomisation"] == pytest.approx(0.002976102829, rel=1e-9)


def test_moran_geary_and_local_moran_equal_esda(homicides):
    esda, libpysal = pytest.importorskip("esda"), pytest.importorskip("libpysal")
    data, weights = homicides
    theirs_w = libpysal.weights.WSP(sparse.csr_matrix(weights.matrix)).to_W(silence_warnings=True)
    values = data["HR8893"].to_numpy()
    ours = moran(data, "HR8893", weights, unit="place", time="year", permutations=9999).table.iloc[0]
    theirs = esda.Moran(values, theirs_w, permutations=0, two_tailed=False)
    assert ours["i"] == pytest.approx(theirs.I, rel=1e-10)
    assert ours["z_randomisation"] == pytest.approx(theirs.z_rand, rel=1e-9)
    assert ours["p_randomisation"] == pytest.approx(theirs.p_rand, rel=1e-9)
    contrast = geary(data, "HR8893", weights, unit="place", time="year", permutations=9).table.iloc[0]
    theirs_c = esda.Geary(values, theirs_w, permutations=0)
    assert contrast["c"] == pytest.approx(theirs_c.C, rel=1e-10)
    assert contrast["variance_normality"] == pytest.approx(theirs_c.VC_norm, rel=1e-9)
    assert contrast["variance_randomisation"] == pytest.approx(theirs_c.VC_rand, rel=1e-9)
    local = local_moran(data, "HR8893", weights, unit="place", time="year", permutations=1999).table
    theirs_l = esda.Moran_Local(values, theirs_w, permutations=1999, seed=1)
    np.testing.assert_allclose(local["i"], theirs_l.Is, rtol=1e-9)
    names = np.array(["", "high-high", "low-high", "low-low", "high-low"])
    assert (local["quadrant"].to_numpy() == names[theirs_l.q]).all()
    # Pseudo p-values come from different draws: their Monte Carlo error is about sqrt(p / 2000).
    gap = np.abs(local["p"] - theirs_l.p_sim)
    assert (gap < 5 * np.sqrt(2 * np.maximum(local["p"], 1 / 2000) / 2000)).all()

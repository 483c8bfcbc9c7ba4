"""The two-way family against numbers from Stata and R: xtreg, plm, fixest, bacondecomp, did; and published arithmetic.

Staggered estimators (Callaway and Sant'Anna and after) are in their own file.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.did import adoption_from_treatment, bacon, event_study, two_way
from analysis.did.regression import design_matrix, fit

Reference = Callable[[str], Path]

XTREG = {
    "x1": (0.28022361411, 8.2791010289),
    "x2": (0.4385940643, 14.101839089),
    "x3": (0.53002552812, 16.69456826),
    "x4": (0.7463911872, 22.400384677),
    "x5": (0.79970892549, 26.507222888),
}


def stata_results(text: str, title: str) -> dict[str, tuple[float, float]]:
    """Coefficient and t by term from one block of estout's plain text."""
    rows = text.split(f"!{title}!####################\n")[1].split("rss\t")[0]
    found = re.findall(r"^(\S+)\t(\S+)\n\t(\S+)\n", rows, flags=re.M)
    return {term: (float(b), float(t)) for term, b, t in found}


@pytest.fixture(scope="module")
def simulated(reference: Reference) -> pd.DataFrame:
    return pd.read_stata(reference("stata_xtreg_linearmodels/simulated-panel.dta"))


def test_one_way_effects_equal_statas_xtreg(simulated: pd.DataFrame) -> None:
    result = two_way(simulated, "y", list(XTREG), unit="firm", time="time", fixed_effects="unit")
    assert result.table["estimate"].tolist() == pytest.approx([b for b, _ in XTREG.values()], rel=1e-9)
    assert result.table["t"].tolist() == pytest.approx([t for _, t in XTREG.values()], rel=1e-9)
    assert result.constant == pytest.approx(0.16350736191, rel=1e-9)
    assert result.r2_within == pytest.approx(0.48194518288, rel=1e-9)
    assert result.clusters == 1000


@pytest.mark.parametrize("suffix", ["_light", "_heavy"])
def test_unbalanced_panels_equal_statas_xtreg(simulated: pd.DataFrame, reference: Reference, suffix: str) -> None:
    text = reference("stata_xtreg_linearmodels/stata-panel-simulated-results.txt").read_text()
    expected = stata_results(text, f"fixed_effect-cluster--{suffix}")
    names = [f"x{j}{suffix}" for j in range(1, 6)]
    result = two_way(simulated, f"y{suffix}", names, unit="firm", time="time", fixed_effects="unit")
    assert result.table["estimate"].tolist() == pytest.approx([expected[name][0] for name in names], rel=1e-6)
    # xtreg keeps the firms seen once; they leave the coefficients alone and enter only the small-sample factor.
    frame = simulated.dropna(subset=[f"y{suffix}", *names])
    n, firms = len(frame), frame["firm"].nunique()
    k = len(names) + 1
    ours = (result.n - 1) / (result.n - k) * result.clusters / (result.clusters - 1)
    theirs = (n - 1) / (n - k) * firms / (firms - 1)
    t = result.table["t"] * np.sqrt(ours / theirs)
    assert t.tolist() == pytest.approx([expected[name][1] for name in names], rel=1e-6)


def test_pooled_least_squares_with_clusters_equals_statas_regress(
    simulated: pd.DataFrame, reference: Reference
) -> None:
    text = reference("stata_xtreg_linearmodels/stata-panel-simulated-results.txt").read_text()
    expected = stata_results(text, "pooled-cluster--")
    result = two_way(simulated, "y", list(XTREG), unit="firm", time="time", fixed_effects=())
    for name, (b, t) in expected.items():
        row = result.table.loc["const" if name == "_cons" else name]
        assert (row["estimate"], row["t"]) == pytest.approx((b, t), rel=1e-7)


@pytest.fixture(scope="module")
def grunfeld() -> pd.DataFrame:
    """The ten firms of R's plm; statsmodels adds American Steel."""
    from statsmodels.datasets import grunfeld

    data = grunfeld.load_pandas().data
    return data[data["firm"] != "American Steel"]


def test_grunfelds_two_way_effects_equal_plms(grunfeld: pd.DataFrame) -> None:
    result = two_way(grunfeld, "invest", ["value", "capital"], unit="firm", time="year", cluster=None)
    assert result.table["estimate"].tolist() == pytest.approx([0.1177158551, 0.3579162731], rel=1e-8)
    assert result.table["se"].tolist() == pytest.approx([0.0137512830, 0.0227190109], rel=1e-8)


def test_grunfelds_chow_tests_equal_plms(grunfeld: pd.DataFrame) -> None:
    """Pooled, or fixed effects, against one regression a firm: F from the residual sums of squares."""
    firms = grunfeld["firm"].unique()
    own = {f"{x} {f}": grunfeld[x] * (grunfeld["firm"] == f) for x in ("value", "capital") for f in firms}
    frame = grunfeld.assign(**own)

    def left(names: list[str], effects: tuple[str, ...]) -> float:
        return 1 - two_way(frame, "invest", names, unit="firm", time="year", fixed_effects=effects, cluster=None).r2

    separate = left(list(own), ("unit",))
    pooled, within = left(["value", "capital"], ()), left(["value", "capital"], ("unit",))
    assert (pooled - separate) / 27 / (separate / 170) == pytest.approx(27.748613, rel=1e-7)
    assert (within - separate) / 18 / (separate / 170) == pytest.approx(5.7804563, rel=1e-7)


@pytest.fixture(scope="module")
def castle(reference: Reference) -> pd.DataFrame:
    panel = pd.read_csv(reference("castle_bacon/castle.csv"))
    return panel.assign(adoption=adoption_from_treatment(panel, "post", unit="state", time="year"))


def test_the_castle_doctrine_pairs_equal_bacondecomps(castle: pd.DataFrame, reference: Reference) -> None:
    expected = json.loads(reference("castle_bacon/expected_bacondecomp.json").read_text())
    result = bacon(castle, "l_homicide", "adoption", unit="state", time="year")
    assert result.overall == pytest.approx(0.08181161693, rel=1e-9)
    ours = {(row.cohort, row.control): row for row in result.table.itertuples()}
    assert len(ours) == len(expected["no_controls"]) == 25
    for pair in expected["no_controls"]:
        row = ours[pair["treated"], "never" if pair["untreated"] == 99999 else pair["untreated"]]
        assert row.type == pair["type"]
        assert (row.weight, row.estimate) == pytest.approx((pair["weight"], pair["estimate"]), rel=1e-9)
    by_type = result.by_type[["weight", "estimate"]].round(3)
    assert by_type.loc["Earlier vs Later Treated"].tolist() == [0.060, -0.006]
    assert by_type.loc["Later vs Earlier Treated"].tolist() == [0.032, 0.070]
    assert by_type.loc["Treated vs Untreated"].tolist() == [0.908, 0.088]


def test_the_castle_doctrine_pairs_with_controls_equal_bacondecomps(castle: pd.DataFrame, reference: Reference) -> None:
    expected = json.loads(reference("castle_bacon/expected_bacondecomp.json").read_text())["controls"]
    result = bacon(castle, "l_homicide", "adoption", ["l_pop", "l_income"], unit="state", time="year")
    assert result.overall == pytest.approx(0.09058532274, rel=1e-9)
    assert result.omega == pytest.approx(0.01360499903, rel=1e-8)
    assert result.within == pytest.approx(0.5466262225, rel=1e-8)
    assert result.between == pytest.approx(0.08429531114, rel=1e-8)
    ours = {(row.cohort, row.control): row for row in result.table.itertuples()}
    assert len(ours) == len(expected["two_by_twos"]) == 15
    for pair in expected["two_by_twos"]:
        row = ours[pair["treated"], "never" if pair["untreated"] == 99999 else pair["untreated"]]
        assert row.type == pair["type"]
        assert (row.weight, row.estimate) == pytest.approx((pair["weight"], pair["estimate"]), rel=1e-9)


def panel_of(cohorts: dict[float, int], first: int, last: int) -> pd.DataFrame:
    """A balanced panel with so many units in each cohort and an outcome of noise."""
    adoption = np.repeat(list(cohorts), list(cohorts.values()))
    years = np.arange(first, last + 1)
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(len(adoption)), len(years)),
            "year": np.tile(years, len(adoption)),
            "adoption": np.repeat(adoption, len(years)),
            "y": generator.normal(size=len(adoption) * len(years)),
        }
    )


def test_goodman_bacons_figure_2_has_its_weights() -> None:
    panel = panel_of({34: 1, 85: 1, np.nan: 1}, 1, 100)
    table = bacon(panel, "y", "adoption", unit="unit", time="year").table.set_index(["cohort", "control"])["weight"]
    expected = {(34, "never"): 0.365, (85, "never"): 0.222, (34, 85): 0.278, (85, 34): 0.135}
    assert table.round(3).to_dict() == expected


def test_the_ai_papers_bacon_weights_follow_from_its_policy_dates() -> None:
    """Table 6: 7, 6 and 5 of 286 cities from 2019, 2020 and 2021, in 2015-2023."""
    panel = panel_of({2019: 7, 2020: 6, 2021: 5, np.nan: 268}, 2015, 2023)
    weight = bacon(panel, "y", "adoption", unit="unit", time="year").by_type["weight"]
    assert weight.round(3).tolist() == [0.006, 0.005, 0.989]
    assert weight.round(5).tolist() == [0.00630, 0.00493, 0.98876]


def test_mpdtas_two_way_estimate_equals_fixests(reference: Reference) -> None:
    panel = mpdta(reference)
    result = two_way(panel, "lemp", "treatment", unit="countyreal", time="year")
    assert result.table.loc["treatment", "estimate"] == pytest.approx(-0.03654893667, rel=1e-8)
    assert result.table.loc["treatment", "se"] == pytest.approx(0.01326515543, rel=1e-8)


def mpdta(reference: Reference) -> pd.DataFrame:
    panel = pd.read_csv(reference("mpdta/mpdta.csv"))
    adoption = panel["first.treat"].where(panel["first.treat"] > 0)
    return panel.assign(adoption=adoption, treatment=(panel["year"] >= adoption).astype(float))


@pytest.mark.parametrize("cohort", [2004, 2006, 2007])
def test_an_event_study_of_one_cohort_gives_its_group_time_effects(reference: Reference, cohort: int) -> None:
    """R's did, never-treated controls, no covariates: each effect is a change from the year before adoption."""
    panel = mpdta(reference)
    expected = json.loads(reference("mpdta/expected_R.json").read_text())["nevertreated|none|reg"]["attgt"]
    one = panel[panel["adoption"].isna() | (panel["adoption"] == cohort)]
    result = event_study(one, "lemp", "adoption", unit="countyreal", time="year", leads=4, lags=4)
    cells = {cell["t"]: cell["att"] for cell in expected if cell["g"] == cohort and cell["t"] >= cohort}
    for year, effect in cells.items():
        assert result.table.loc[year - cohort, "estimate"] == pytest.approx(effect, rel=1e-8)


def test_base_staggs_event_study_is_its_regression_on_dummies(reference: Reference) -> None:
    """fixest's base_stagg with one dummy a period, here against plain least squares on all dummies."""
    panel = pd.read_csv(reference("base_stagg/base_stagg.csv"))
    panel["adoption"] = panel["year_treated"].where(panel["year_treated"] < 1000)
    result = event_study(panel, "y", "adoption", ["x1"], unit="id", time="year", leads=9, lags=8)
    relative = panel["year"] - panel["adoption"]
    periods = [k for k in range(-9, 9) if k != -1]
    dummies = np.column_stack([relative == k for k in periods]).astype(float)
    effects = np.column_stack([pd.get_dummies(panel["id"]), pd.get_dummies(panel["year"]).iloc[:, 1:]]).astype(float)
    x = np.column_stack([dummies, panel["x1"], effects])
    beta = np.linalg.lstsq(x, panel["y"].to_numpy(), rcond=None)[0]
    assert result.table.loc[periods, "estimate"].tolist() == pytest.approx(beta[: len(periods)].tolist(), rel=1e-8)


def test_the_cluster_studys_treatment_has_its_printed_moments() -> None:
    """Table 3: 10, 19 and 26 of 281 cities from 2013, 2014 and 2017, in 2006-2021."""
    panel = panel_of({2013: 10, 2014: 19, 2017: 26, np.nan: 226}, 2006, 2021)
    treatment = (panel["year"] >= panel["adoption"]).astype(float)
    assert (round(treatment.mean(), 4), round(treatment.std(), 4)) == (0.0827, 0.2755)


def test_the_printed_constants_of_the_cluster_study_follow_from_the_convention() -> None:
    """Table 4, columns 1 and 3: mean(y) - mean(x)'b from the printed means, on data built to have them."""
    panel = panel_of({2013: 10, 2014: 19, 2017: 26, np.nan: 226}, 2006, 2021)
    treatment = (panel["year"] >= panel["adoption"]).astype(float)
    panel["did"] = treatment
    for mean, coefficient, constant in ((0.2364, 0.8314, 0.1676), (0.2625, 0.7962, 0.1967)):
        design = design_matrix(panel, "y", ["did"], unit="unit", time="year")
        noise = design.y - design.x[:, 0] * (design.x[:, 0] @ design.y) / (design.x[:, 0] @ design.x[:, 0])
        outcome = noise + coefficient * design.raw_x[:, 0]
        panel["shaped"] = outcome - outcome.mean() + mean
        result = fit(design_matrix(panel, "shaped", ["did"], unit="unit", time="year"))
        assert result.table.loc["did", "estimate"] == pytest.approx(coefficient, rel=1e-9)
        assert result.constant == pytest.approx(constant, abs=1e-4)  # the printed means are rounded
        assert round(mean - 0.0827 * coefficient, 4) == constant


@pytest.mark.parametrize(("cluster", "variance"), [("unit", 1.729146e-06), ((), 0.0006791837)])
def test_standard_error_of_the_constant_is_the_one_xtreg_prints(reference, cluster, variance):
    """The variance of _cons in Stata's matrix V, clustered by firm and conventional."""
    data = pd.read_stata(reference("stata_xtreg_linearmodels/simulated-panel.dta"))
    data["t"] = data.groupby("firm").cumcount()
    fitted = two_way(
        data, "y", ["x1", "x2", "x3", "x4", "x5"], unit="firm", time="t", fixed_effects="unit", cluster=cluster
    )
    assert fitted.constant_se**2 == pytest.approx(variance, rel=1e-6)

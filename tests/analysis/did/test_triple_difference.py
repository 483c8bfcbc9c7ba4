"""Triple differences: the eight means, a known effect under shocks to every pair of groups, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from analysis.did import triple_difference

KEYS = {"unit": "city", "time": "year"}


def panel(seed: int = 0, units: int = 80, effect: float = 2.0, share: float = 1.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    city, year = np.repeat(np.arange(units), 6), np.tile(np.arange(2010, 2016), units)
    policy, eligible, post = city % 2, (city // 2) % 2, (year >= 2013).astype(int)
    y = (
        generator.normal(size=units)[city]
        + 1.5 * policy * post
        - 0.7 * eligible * (year - 2010)
        + 3 * policy * eligible
        + effect * policy * eligible * post
        + 0.3 * generator.normal(size=len(city))
    )
    frame = pd.DataFrame({"city": city, "year": year, "对象": eligible, "policy": policy, "post": post, "y": y})
    return frame.sample(frac=share, random_state=seed)


def estimate(frame: pd.DataFrame, **options):
    return triple_difference(frame, "y", "policy", "对象", "post", **KEYS, **options)


def test_in_a_balanced_panel_it_is_the_difference_of_differences_of_the_eight_means():
    frame = panel()
    result = estimate(frame)
    mean = frame.groupby(["policy", "对象", "post"])["y"].mean()
    change = mean.xs(1, level="post") - mean.xs(0, level="post")
    by_hand = (change[1, 1] - change[1, 0]) - (change[0, 1] - change[0, 0])
    assert result.att == pytest.approx(by_hand, rel=1e-10)
    assert result.means["mean"].to_numpy() == pytest.approx(mean.to_numpy())
    assert result.means["n"].sum() == len(frame)


def test_the_error_is_that_of_the_regression_on_dummies_with_clusters():
    import statsmodels.formula.api as smf

    frame = panel(seed=3, units=24).rename(columns={"对象": "eligible"})
    formula = "y ~ policy:eligible:post + C(city) + policy:C(year) + eligible:C(year) + C(year)"
    fit = smf.ols(formula, frame).fit()
    # effects nested in clusters are not counted (reghdfe)
    scores = pd.DataFrame(fit.model.exog * fit.resid.to_numpy()[:, None]).groupby(frame["city"].to_numpy()).sum()
    bread = np.linalg.pinv(fit.model.exog.T @ fit.model.exog)
    at = fit.model.exog_names.index("policy:eligible:post")
    raw = (bread @ scores.T.to_numpy() @ scores.to_numpy() @ bread)[at, at]
    result = estimate(frame.rename(columns={"eligible": "对象"}))
    ratio = result.se**2 / raw
    n, groups = len(frame), 24  # parameters beside the nested city effects: found, not assumed
    counted = [(n - 1) / (n - k) * groups / (groups - 1) for k in range(2, 24)]
    assert result.att == pytest.approx(fit.params["policy:eligible:post"], rel=1e-8)
    assert min(abs(ratio / factor - 1) for factor in counted) < 1e-8


def test_a_known_effect_is_found_beside_shocks_to_each_pair_in_an_unbalanced_panel():
    result = estimate(panel(seed=1, units=200, share=0.85))
    assert abs(result.att - 2) < 3 * result.se
    assert result.se < 0.1
    assert "policy x 对象 x post" in result.table.index


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"policy": lambda f: f["policy"] * 2}, "'policy' must be 0 or 1; it holds 2"),
        ({"对象": lambda f: f["post"]}, "'对象' changes within unit 0"),
        ({"对象": lambda f: f["policy"]}, "No row has 'policy' = 0 and '对象' = 1"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(change, told):
    frame = panel()
    with pytest.raises(ValueError, match=told):
        estimate(frame.assign(**change))

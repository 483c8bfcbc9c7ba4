"""The wild cluster bootstrap's statistics equal regressions on bootstrap samples built by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, TREATED, UNIT, YEAR, Y, random_panel, shuffled_and_renamed

from analysis.did import two_way, wild_bootstrap
from analysis.estimation_sample import codes_of
from analysis.fixed_effects import FixedEffects


def run(panel: pd.DataFrame, **options: object):
    return wild_bootstrap(panel, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR, **options)


def fitted_under(panel: pd.DataFrame, value: float) -> np.ndarray:
    """Fitted outcome with the treatment's coefficient held at ``value``."""
    effects = FixedEffects([codes_of(panel[UNIT]), codes_of(panel[YEAR])], len(panel))
    rest = (panel[Y] - value * panel[TREATED]).to_numpy()
    return panel[Y].to_numpy() - effects.extended(panel[CONTROLS].to_numpy()).residualise(rest)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_all_sign_vectors_give_the_statistics_of_regressions_run_one_by_one(value: float) -> None:
    panel = random_panel(1, units=5).reset_index(drop=True)
    shifted = panel.assign(**{Y: panel[Y] - value * panel[TREATED]})
    result = run(shifted)
    fitted = fitted_under(panel, value)
    t = []
    for signs in itertools.product([-1, 1], repeat=5):
        sign = panel[UNIT].map(dict(zip(sorted(panel[UNIT].unique()), signs, strict=True)))
        sample = panel.assign(**{Y: fitted + sign * (panel[Y] - fitted) - value * panel[TREATED]})
        t.append(two_way(sample, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR).table.loc[TREATED, "t"])
    assert result.enumerated and len(result.draws) == 32
    assert np.allclose(np.sort(result.draws), np.sort(t), rtol=1e-8)
    actual = abs(result.table.loc[TREATED, "t"])
    assert result.p_value == pytest.approx(np.mean(np.abs(t) >= actual * (1 - 1e-9)))


def test_the_table_keeps_the_clustered_regression() -> None:
    panel = random_panel(2)
    own = two_way(panel, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR).table.loc[TREATED]
    row = run(panel).table.loc[TREATED]
    assert row[["estimate", "se", "t", "p_clustered"]].tolist() == pytest.approx(
        own[["estimate", "se", "t", "p"]].tolist()
    )


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_the_ends_of_the_interval_are_where_the_test_stops_rejecting(weights: str) -> None:
    panel = random_panel(3)
    row = run(panel, weights=weights).table.loc[TREATED]
    assert row["low"] < row["estimate"] < row["high"]
    for end in ("low", "high"):
        outward = 1e-6 if end == "high" else -1e-6
        for step, rejects in ((outward, True), (-outward, False)):
            null = panel.assign(**{Y: panel[Y] - (row[end] + step) * panel[TREATED]})
            assert (run(null, weights=weights).p_value < 0.05) == rejects


def test_with_many_clusters_it_agrees_with_the_clustered_p() -> None:
    panel = random_panel(4, units=150)
    result = run(panel, draws=1999)
    assert result.p_value == pytest.approx(result.table.loc[TREATED, "p_clustered"], abs=0.03)
    assert not result.enumerated


def test_one_projection_a_cluster_or_one_a_draw_gives_the_same_statistics() -> None:
    panel = random_panel(5)
    few = run(panel, draws=20).draws  # fewer draws than clusters: one projection a draw
    many = run(panel, draws=60).draws
    assert np.allclose(few, many.iloc[:20], rtol=1e-8)


def test_with_one_treated_cluster_the_clustered_test_over_rejects_and_the_bootstrap_hardly_rejects() -> None:
    """MacKinnon and Webb (2017), by simulation without any effect."""
    clustered, bootstrap = [], []
    for seed in range(20):
        panel = random_panel(seed, units=20)
        treated = panel[UNIT] == panel.loc[panel[TREATED] == 1, UNIT].iloc[0]
        panel = panel.assign(**{Y: panel[Y] - 0.5 * panel[TREATED], TREATED: panel[TREATED].where(treated, 0)})
        result = run(panel, draws=199)
        assert any("Only 1 of 20 clusters are ever treated" in note for note in result.notes)
        clustered.append(result.table.loc[TREATED, "p_clustered"] < 0.05)
        bootstrap.append(result.p_value < 0.05)
    assert np.mean(clustered) > 0.5
    assert np.mean(bootstrap) < 0.1


def test_row_order_labels_and_seed_fix_the_draws() -> None:
    panel = random_panel(7)
    first, second = run(panel), run(shuffled_and_renamed(panel))
    pd.testing.assert_series_equal(first.draws, second.draws, rtol=1e-7)
    assert first.p_value == second.p_value
    assert not np.allclose(first.draws, run(panel, seed=1).draws)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda p: p.assign(**{TREATED: 0.0}), {}, r"is not identified: .* is 0 in all"),
        (lambda p: p, {"weights": "normal"}, "weights is 'rademacher' or 'webb'"),
        (lambda p: p, {"draws": 0}, "draws must be a whole number, at least 1"),
        (lambda p: p, {"cluster": ("unit", "time")}, "needs one way of clustering, not 2"),
    ],
)
def test_what_cannot_be_bootstrapped_is_refused_in_a_sentence(change, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(change(random_panel(8)), **options)

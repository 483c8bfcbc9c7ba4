"""The placebo's draws equal regressions run one by one, and keep what the true adoption had."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, TREATED, UNIT, YEAR, Y, random_panel, shuffled_and_renamed
from scipy import stats

from analysis.did import placebo, two_way
from analysis.did.placebo import _deal, _regress_draws, _treated_design, other_times
from analysis.estimation_sample import unit_order

EFFECTS = [
    {},
    {"fixed_effects": ("unit",)},
    {"fixed_effects": ()},
    {"fixed_effects": ("unit", "time", "province"), "cluster": "province"},
    {"cluster": ("unit", "time")},
    {"cluster": None},
]


def run(panel: pd.DataFrame, **options: object):
    return placebo(panel, Y, FIRST, CONTROLS, unit=UNIT, time=YEAR, **{"draws": 40, **options})


@pytest.mark.parametrize("options", EFFECTS)
def test_every_draw_equals_its_own_regression(options: dict) -> None:
    panel = random_panel(1)
    both = {"fixed_effects": ("unit", "time"), "cluster": "unit", **options}
    design, treatment = _treated_design(panel, Y, FIRST, CONTROLS, unit=UNIT, time=YEAR, **both)
    frame = design.data
    order = unit_order(frame, UNIT, [YEAR, FIRST, Y, *CONTROLS])
    dealt = _deal(frame[FIRST].to_numpy(), order, 4, seed=0)
    draws = _regress_draws(design, treatment, frame[YEAR].to_numpy(), order, dealt)
    for draw in range(4):
        pretend = frame.assign(pretend=(frame[YEAR].to_numpy() >= dealt[order, draw]).astype(float))
        one = two_way(pretend, Y, "pretend", CONTROLS, unit=UNIT, time=YEAR, **both).table.loc["pretend"]
        assert np.allclose(draws.loc[draw, ["estimate", "se", "p"]], one[["estimate", "se", "p"]], rtol=1e-9)


def test_the_actual_estimate_is_the_two_way_estimate() -> None:
    panel = random_panel(2)
    expected = two_way(panel, Y, TREATED, CONTROLS, unit=UNIT, time=YEAR)
    result = run(panel)
    assert result.actual == pytest.approx(expected.table.loc[TREATED, "estimate"])
    assert result.regression.table["se"].tolist() == pytest.approx(expected.table["se"].tolist())


def test_cohort_sizes_and_dates_are_kept_and_units_drawn_from_all() -> None:
    adoption = np.array([np.nan, 2013, 2013, 2015, np.nan])
    dealt = _deal(adoption, np.arange(5), 400, seed=1)
    assert (np.sort(dealt, axis=0) == np.array([[2013], [2013], [2015], [np.inf], [np.inf]])).all()
    share = (dealt == 2015).mean(axis=1)
    assert np.all(np.abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 400))


def test_p_counts_the_actual_estimate_among_the_draws() -> None:
    result = run(random_panel(3), draws=99)
    extreme = (result.draws["estimate"].abs() >= abs(result.actual)).sum()
    assert result.p_value == (1 + extreme) / 100
    assert 0.01 <= result.p_value <= 1


def test_a_draw_that_repeats_the_true_assignment_counts_as_a_tie() -> None:
    """Four units, one treated: about a quarter of the draws are the true assignment, whatever the rounding."""
    generator = np.random.default_rng(0)
    panel = pd.DataFrame({"u": np.repeat(list("abcd"), 4), "t": np.tile(range(4), 4), "y": generator.normal(size=16)})
    panel["first"] = np.where(panel["u"] == "c", 2.0, np.nan)
    panel.loc[(panel["u"] == "c") & (panel["t"] >= 2), "y"] += 100
    result = placebo(panel, "y", "first", unit="u", time="t", draws=200)
    same = np.isclose(result.draws["estimate"], result.actual)
    assert same.sum() > 20
    assert result.p_value == pytest.approx((1 + same.sum()) / 201)


def test_under_no_effect_the_p_value_is_uniform() -> None:
    p_values = []
    for seed in range(60):
        panel = random_panel(seed, units=24)
        effect = 0.5 * panel[TREATED]
        p_values.append(run(panel.assign(**{Y: panel[Y] - effect}), draws=39, seed=seed).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_same_seed_gives_the_same_draws_and_another_gives_others() -> None:
    panel = random_panel(4)
    pd.testing.assert_frame_equal(run(panel).draws, run(panel).draws)
    assert not np.allclose(run(panel).draws["estimate"], run(panel, seed=1).draws["estimate"])


def test_row_order_and_labels_change_nothing() -> None:
    panel = random_panel(5)
    first, second = run(panel), run(shuffled_and_renamed(panel))
    pd.testing.assert_frame_equal(first.draws, second.draws, rtol=1e-8)
    assert first.p_value == second.p_value


def test_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    panel = random_panel(6)
    by_row = {"cluster": ("unit", "time")}
    whole = run(panel, **by_row).draws
    monkeypatch.setattr(sys.modules["analysis.did.placebo"], "BLOCK", 1)
    pd.testing.assert_frame_equal(run(panel, **by_row).draws, whole, rtol=1e-10)


def test_sums_by_unit_and_columns_of_rows_give_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    panel = random_panel(9)
    by_unit = run(panel).draws
    monkeypatch.setattr(sys.modules["analysis.did.placebo"], "_sums_by_unit_suffice", lambda *_: False)
    pd.testing.assert_frame_equal(run(panel).draws, by_unit, rtol=1e-9)


def test_a_draw_whose_treatment_the_effects_absorb_does_not_count() -> None:
    """Half the units are seen only before adoption: when they are drawn there is nothing to estimate."""
    generator = np.random.default_rng(1)
    years = {"a": 6, "b": 6, "c": 3, "d": 3}
    panel = pd.DataFrame([(u, t) for u, last in years.items() for t in range(last)], columns=["u", "t"])
    panel["y"] = generator.normal(size=len(panel))
    panel["first"] = np.where(panel["u"] == "a", 4.0, np.nan)
    result = placebo(panel, "y", "first", unit="u", time="t", draws=200)
    lost = int(result.draws["estimate"].isna().sum())
    assert 60 < lost < 140
    assert f"{lost} draws do not count: fixed effects absorb their treatment." in result.notes
    extreme = (result.draws["estimate"].abs() >= abs(result.actual) * (1 - 1e-9)).sum()
    assert result.p_value == (1 + extreme) / (1 + 200 - lost)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.assign(**{FIRST: np.nan}), r"no effect to estimate.*is 0 in all"),
        (lambda p: p.assign(**{FIRST: 2000.0}), r"no effect to estimate.*is 1 in all"),
        (lambda p: p.assign(**{FIRST: np.arange(len(p), dtype=float)}), "has several values of"),
        (lambda p: p.drop(columns=FIRST), "No column named 'first treated'"),
    ],
)
def test_what_cannot_be_permuted_is_refused_in_a_sentence(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(change(random_panel(7)))


def test_the_table_and_the_summary_hold_the_test_in_one_row() -> None:
    result = run(random_panel(8))
    assert result.table.loc["placebo", "p_value"] == result.p_value
    assert result.table.loc["placebo", "draws"] == 40
    assert "permutation p" in result.summary()


def test_in_time_each_row_is_the_regression_before_adoption_with_adoption_brought_forward() -> None:
    panel = random_panel(3, units=30)
    result = run(panel, kind="time")
    before = panel[~(panel[YEAR] >= panel[FIRST])]
    assert list(result.draws.index) == list(range(1, len(result.draws) + 1))
    for periods in result.draws.index:
        moved = before.assign(fake=(before[YEAR] >= before[FIRST] - periods).astype(float))
        alone = two_way(moved, Y, "fake", CONTROLS, unit=UNIT, time=YEAR).table.loc["fake"]
        assert result.draws.loc[periods, "estimate"] == pytest.approx(alone["estimate"], rel=1e-9)
        assert result.draws.loc[periods, "se"] == pytest.approx(alone["se"], rel=1e-9)
    assert result.p_value >= 1 / (1 + len(result.draws))
    assert "rows before adoption" in result.notes[-1]


def test_mixed_draws_keep_the_size_of_each_cohort_and_takeother_times() -> None:
    panel = random_panel(4, units=30, share=1.0)
    space, mixed, again = run(panel), run(panel, kind="mixed"), run(panel, kind="mixed")
    assert mixed.actual == space.actual
    pd.testing.assert_frame_equal(mixed.draws, again.draws)
    assert not np.allclose(mixed.draws["estimate"], space.draws["estimate"])
    # the first draw by hand
    first = panel.groupby(UNIT)[FIRST].first()
    ordered = panel.sort_values([UNIT, YEAR]).reset_index(drop=True)
    units = ordered[UNIT].astype("category").cat.codes.to_numpy()
    dealt = other_times(_deal(ordered[FIRST].to_numpy(), units, 40, 0), np.unique(panel[YEAR])[1:], 0)
    for draw in range(40):
        sizes = pd.Series(dealt[np.isfinite(dealt[:, draw]), draw]).value_counts()
        assert sizes.sum() == first.notna().sum()
        assert sizes.index.min() > panel[YEAR].min()


def test_a_placebo_of_no_known_kind_and_one_without_a_past_are_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'space', 'time' or 'mixed'"):
        run(random_panel(3), kind="elsewhere")
    panel = random_panel(3, share=1.0)
    early = panel.assign(**{FIRST: panel[FIRST].where(panel[FIRST].isna(), panel[YEAR].min() + 1)})
    with pytest.raises(ValueError, match="nothing can be brought forward"):
        run(early, kind="time")

"""The Bacon decomposition adds up to the two-way estimate and its parts are the comparisons they claim to be."""

import numpy as np
import pandas as pd
import pytest
from random_panel import CONTROLS, FIRST, TREATED, UNIT, X1, YEAR, Y, random_panel, shuffled_and_renamed

from analysis.did import bacon, two_way


def balanced(seed: int = 0, always: int = 0) -> pd.DataFrame:
    panel = random_panel(seed, share=1.0)
    panel.loc[panel[UNIT].isin(sorted(panel[UNIT].unique())[:always]), FIRST] = 2009
    panel[TREATED] = (panel[YEAR] >= panel[FIRST]).astype(float)
    return panel.sample(frac=1, random_state=seed)


def decompose(panel: pd.DataFrame, controls: tuple[str, ...] = ()):
    return bacon(panel, Y, FIRST, controls, unit=UNIT, time=YEAR)


def two_way_estimate(panel: pd.DataFrame, controls: tuple[str, ...] = ()) -> float:
    return two_way(panel, Y, TREATED, controls, unit=UNIT, time=YEAR).table.loc[TREATED, "estimate"]


@pytest.mark.parametrize("always", [0, 5])
@pytest.mark.parametrize("never", [True, False])
def test_weights_sum_to_one_and_the_weighted_sum_is_the_two_way_estimate(always: int, never: bool) -> None:
    panel = balanced(1, always)
    panel = panel if never else panel[panel[FIRST].notna()]
    result = decompose(panel)
    assert result.table["weight"].sum() == pytest.approx(1)
    assert (result.table["weight"] > 0).all()
    expected = two_way_estimate(panel)
    assert result.overall == pytest.approx(expected, rel=1e-10)
    assert result.between == pytest.approx(expected, rel=1e-10)
    assert (result.by_type["weight"] * result.by_type["estimate"]).sum() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("always", [0, 5])
@pytest.mark.parametrize("never", [True, False])
def test_with_controls_within_and_between_add_up_to_the_two_way_estimate(always: int, never: bool) -> None:
    panel = balanced(2, always)
    panel = panel if never else panel[panel[FIRST].notna()]
    result = decompose(panel, tuple(CONTROLS))
    expected = two_way_estimate(panel, tuple(CONTROLS))
    assert 0 < result.omega < 1
    assert result.table["weight"].sum() == pytest.approx(1)
    assert result.overall == pytest.approx(expected, rel=1e-10)
    assert result.omega * result.within + (1 - result.omega) * result.between == pytest.approx(expected, rel=1e-10)


def test_each_comparison_is_the_two_way_estimate_in_its_own_subsample() -> None:
    """Two cohorts, and for two treated ones only the years in which one of them does not change."""
    panel = balanced(3, always=5)
    for row in decompose(panel).table.itertuples():
        kept = {"never": panel[FIRST].isna(), "always": panel[FIRST] == 2009}
        control = kept.get(row.control, panel[FIRST] == row.control)
        sub = panel[(panel[FIRST] == row.cohort) | control]
        if row.type == "Earlier vs Later Treated":
            sub = sub[sub[YEAR] < row.control]
        if row.type == "Later vs Earlier Treated":
            sub = sub[sub[YEAR] >= row.control]
        assert row.estimate == pytest.approx(two_way_estimate(sub), rel=1e-9), row


def test_types_are_counted_from_the_timing() -> None:
    """Three cohorts, some never and some always treated: 6 comparisons among the treated, 3 with each other kind."""
    table = decompose(balanced(4, always=5)).table
    assert table["type"].value_counts().to_dict() == {
        "Earlier vs Later Treated": 3,
        "Later vs Earlier Treated": 3,
        "Treated vs Untreated": 3,
        "Later vs Always Treated": 3,
    }
    assert set(table["control"]) == {2013, 2014, 2016, "never", "always"}


def test_weights_follow_from_timing_alone() -> None:
    panel = balanced(5)
    other = panel.assign(**{Y: np.random.default_rng(0).normal(size=len(panel))})
    pd.testing.assert_series_equal(decompose(panel).table["weight"], decompose(other).table["weight"])


def test_adoption_outside_the_sample_is_never_or_always_and_said() -> None:
    panel = balanced(6)
    units = sorted(panel[panel[FIRST].isna()][UNIT].unique())
    late = panel.assign(**{FIRST: panel[FIRST].mask(panel[UNIT] == units[0], 2030)})
    pd.testing.assert_frame_equal(decompose(late).table, decompose(panel).table)
    assert "1 units adopt after 2018: never treated within the sample." in decompose(late).notes
    early = panel.assign(**{FIRST: panel[FIRST].mask(panel[UNIT] == units[0], 2010)})
    assert "1 units are treated from 2010 or before: they serve as controls only." in decompose(early).notes


def test_one_cohort_and_never_treated_units_are_one_comparison() -> None:
    panel = balanced(7)
    panel = panel[panel[FIRST].isna() | (panel[FIRST] == 2014)]
    table = decompose(panel).table
    assert table["weight"].tolist() == [1.0] and table["estimate"].iloc[0] == pytest.approx(two_way_estimate(panel))


def test_a_control_that_does_not_vary_within_cohorts_leaves_nothing_within() -> None:
    panel = balanced(8)
    panel["cohort trend"] = panel[FIRST].fillna(2011) * (panel[YEAR] - 2010) ** 2
    result = decompose(panel, ("cohort trend",))
    assert result.omega == 0 and np.isnan(result.within)
    assert result.overall == pytest.approx(result.between)


def test_row_order_and_labels_change_nothing() -> None:
    panel = balanced(9)
    first, second = decompose(panel, tuple(CONTROLS)), decompose(shuffled_and_renamed(panel), tuple(CONTROLS))
    pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-8)
    assert first.within == pytest.approx(second.within, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.iloc[3:], r"needs a balanced panel: \d of 40 units lack some of the 9 values of 'year\.'"),
        (lambda p: p.assign(**{X1: p[X1].where(p[X1] < 4)}), r"balanced panel.*rows dropped: 'x 1' is missing"),
        (lambda p: p.assign(**{FIRST: np.nan}), "No unit is treated"),
        (lambda p: p.assign(**{FIRST: 2013.0}), "all units change at the same time"),
        (lambda p: p.assign(**{Y: 1.0}), "is 1 in all 360 rows used"),
    ],
)
def test_what_cannot_be_decomposed_is_refused_in_a_sentence(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decompose(change(balanced(10)), (X1,))


def test_the_summary_shows_types_and_the_within_part() -> None:
    text = decompose(balanced(11), tuple(CONTROLS)).summary()
    assert "Both Treated" in text and "within cohorts" in text

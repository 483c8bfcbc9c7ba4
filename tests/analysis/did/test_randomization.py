"""Randomisation inference for staggered estimators: its p, its size, and what it does not depend on."""

import numpy as np
import pytest

from analysis.did import callaway_santanna, imputation, randomization
from tests.staggered_panel import shuffled_and_renamed, staggered_panel

KEYS = {"unit": "unit", "time": "time"}


@pytest.mark.parametrize("estimator", ["callaway_santanna", "stacked"])
def test_a_large_effect_lies_beyond_every_draw(estimator: str) -> None:
    panel = staggered_panel(1, units=36, times=7)
    found = randomization(panel, "y", "first", **KEYS, estimator=estimator, draws=19)
    assert found.p_value == found.p_value_t == 1 / 20
    assert abs(found.draws["estimate"].mean()) < 4 * found.draws["estimate"].std() / np.sqrt(19)


def test_p_is_the_rank_among_draws_with_one_added() -> None:
    panel = staggered_panel(2, units=36, times=7)
    panel["y"] -= panel["effect"]
    found = randomization(panel, "y", "first", **KEYS, estimator="callaway_santanna", draws=19, control="not_yet")
    actual = callaway_santanna(panel, "y", "first", **KEYS, control="not_yet")
    assert (found.actual.att, found.actual.se) == (actual.att, actual.se)
    further = (found.draws["estimate"].abs() >= abs(actual.att)).sum()
    assert found.p_value == (1 + further) / 20
    again = randomization(
        shuffled_and_renamed(panel), "y", "first", **KEYS, estimator="callaway_santanna", draws=19, control="not_yet"
    )
    assert again.p_value == found.p_value
    np.testing.assert_allclose(again.draws, found.draws, atol=1e-10)


def test_in_time_each_row_is_the_estimate_before_adoption_and_mixed_draws_take_other_times() -> None:
    panel = staggered_panel(2, units=36, times=7)
    options = {"estimator": "imputation", "leads": ()}
    found = randomization(panel, "y", "first", **KEYS, **options, kind="time")
    before = panel[~(panel["time"] >= panel["first"])]
    first = before["first"].where(before["first"] <= panel["time"].max())
    assert list(found.draws.index) == list(range(1, int((panel["first"] - panel["time"].min()).max())))
    for periods, row in found.draws.iterrows():
        hand = imputation(before.assign(first=first - periods), "y", "first", **KEYS, leads=())
        assert [row["estimate"], row["se"]] == pytest.approx([hand.att, hand.se], rel=1e-9)
    space, mixed = (randomization(panel, "y", "first", **KEYS, **options, kind=k, draws=9) for k in ("space", "mixed"))
    assert (space.draws["estimate"] - mixed.draws["estimate"]).abs().max() > 0.01
    assert mixed.actual.att == space.actual.att


def test_what_cannot_be_drawn_is_refused() -> None:
    panel = staggered_panel(3, units=24, times=6)
    with pytest.raises(ValueError, match="estimator is one of"):
        randomization(panel, "y", "first", **KEYS, estimator="two_way")
    with pytest.raises(ValueError, match="at least 1"):
        randomization(panel, "y", "first", **KEYS, estimator="imputation", draws=0)

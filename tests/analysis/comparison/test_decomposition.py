"""A change split over causes: parts are Shapley's values and add up; the influence of a cell is a derivative."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.comparison import decomposition
from analysis.comparison.influence import gradient
from analysis.did import two_way
from analysis.results import CannotEstimate

#: The airport game of Littlechild and Owen (1973): the cost of a runway is that of the largest aeroplane on it.
COSTS = {"small": 8.0, "medium": 11.0, "large": 13.0}


def runway(planes: frozenset[str]) -> float:
    return max((COSTS[plane] for plane in planes), default=0.0)


def test_a_handful_of_groups_gets_the_shapley_value():
    found = decomposition.split(runway, list(COSTS))
    assert found.method == "shapley"
    assert found.parts == pytest.approx({"small": 8 / 3, "medium": 8 / 3 + 3 / 2, "large": 8 / 3 + 3 / 2 + 2})
    assert found.remainder == 0
    assert math.fsum(found.parts.values()) == found.change == 13


def test_parts_and_remainder_add_up_to_the_change_for_any_number_of_groups():
    rng = np.random.default_rng(3)
    for count in (1, 2, 4, 7, 12):
        weights = rng.normal(size=count)
        groups = list(range(count))

        def value(kept: frozenset[int], weights: np.ndarray = weights) -> float:
            return math.exp(weights[list(kept)].sum()) if kept else 1.0

        found = decomposition.split(value, groups)
        assert math.fsum([*found.parts.values(), found.remainder]) == pytest.approx(found.change, rel=1e-14, abs=1e-14)
        assert (found.method == "shapley") == (count <= decomposition.HANDFUL)
        assert found.remainder == 0 or count > decomposition.HANDFUL


def test_many_groups_that_do_not_interact_leave_no_remainder():
    found = decomposition.split(lambda kept: float(sum(kept)), list(range(1, 10)))
    assert found.parts == {number: number for number in range(1, 10)}
    assert found.remainder == pytest.approx(0, abs=1e-12)


def test_a_part_is_split_over_its_members_and_what_they_did_only_with_others_is_named():
    found = decomposition.within(runway, ["small", "large"], 10.0)
    assert found.parts == pytest.approx({"small": 4, "large": 9})
    assert found.remainder == pytest.approx(-3)


def test_a_group_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="stands twice"):
        decomposition.split(runway, ["small", "small"])


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.MultiIndex.from_product([range(12), range(6)], names=["unit", "time"]).to_frame(index=False)
    frame["treated"] = ((frame["unit"] < 5) & (frame["time"] >= 3)).astype(float)
    frame["control"] = rng.normal(size=len(frame))
    frame["weight"] = rng.uniform(0.5, 2, size=len(frame))
    frame["y"] = 0.3 * frame["treated"] + 0.7 * frame["control"] + rng.normal(size=len(frame))
    frame.loc[7, "y"] = np.nan
    return frame


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("column", ["y", "control", "treated"])
def test_the_influence_of_a_cell_is_the_derivative_of_the_coefficient(panel, column, weights):
    keys = {"unit": "unit", "time": "time"}
    slopes = gradient(panel, "y", ["treated", "control"], "treated", **keys, weights=weights)
    assert len(slopes) == len(panel) - 1
    step = 1e-6
    for row in (3, 20, 66):
        found = []
        for sign in (1, -1):
            moved = panel.assign(**{column: panel[column] + sign * step * (panel.index == row)})
            fitted = two_way(moved, "y", "treated", ["control"], **keys, weights=weights)
            found.append(fitted.table.loc["treated", "estimate"])
        numeric = (found[0] - found[1]) / (2 * step)
        assert slopes.loc[(panel["unit"][row], panel["time"][row]), column] == pytest.approx(
            numeric, rel=1e-5, abs=1e-9
        )


def test_a_coefficient_that_is_not_identified_has_no_influence(panel):
    with pytest.raises(CannotEstimate):
        gradient(panel.assign(always=1.0), "y", ["always"], "always", unit="unit", time="time")

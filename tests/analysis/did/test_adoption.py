"""Adoption times and treatments say the same thing, and what cannot be said so is refused."""

import numpy as np
import pandas as pd
import pytest
from random_panel import FIRST, TREATED, UNIT, YEAR, random_panel

from analysis.did import adoption_from_treatment, treatment_from_adoption
from analysis.did.adoption import one_adoption


def test_treatment_and_adoption_give_each_other_back() -> None:
    panel = random_panel(1, share=1.0).sample(frac=1, random_state=3).set_index(YEAR, drop=False)
    treatment = treatment_from_adoption(panel[FIRST], panel[YEAR])
    assert np.array_equal(treatment, panel[TREATED]) and treatment.index.equals(panel.index)
    first = adoption_from_treatment(panel, TREATED, unit=UNIT, time=YEAR)
    assert np.array_equal(first, panel[FIRST], equal_nan=True) and first.index.equals(panel.index)


def test_missing_adoption_is_never_treated_whatever_its_type() -> None:
    time = pd.Series([2000, 2001])
    for adoption in (pd.Series([pd.NA, pd.NA], dtype="Int64"), pd.Series([None, None]), pd.Series([np.nan, np.nan])):
        assert treatment_from_adoption(adoption, time).tolist() == [0.0, 0.0]


def test_a_unit_that_leaves_treatment_is_named() -> None:
    panel = pd.DataFrame({"u": list("aaabbb"), "t": [1, 2, 3] * 2, "d": [0, 1, 1, 0, 1, 0]})
    with pytest.raises(ValueError, match=r"Unit 'b' leaves treatment 'd' in 3 \(one of 1 such units\)"):
        adoption_from_treatment(panel, "d", unit="u", time="t")


def test_a_treatment_other_than_zero_or_one_is_refused() -> None:
    panel = pd.DataFrame({"u": list("aab"), "t": [1, 2, 1], "d": [0, 0.5, 0]})
    with pytest.raises(ValueError, match=r"must be 0 or 1; it holds 0\.5"):
        adoption_from_treatment(panel, "d", unit="u", time="t")


@pytest.mark.parametrize("second", [2004, np.nan])
def test_two_adoption_times_in_one_unit_are_refused(second: float) -> None:
    panel = pd.DataFrame({"u": list("aabb"), "t": [1, 2, 1, 2], "first": [np.nan, np.nan, 2003, second]})
    with pytest.raises(ValueError, match=r"Unit 'b' has several values of 'first' \(2003, (2004|missing)\)"):
        one_adoption(panel, "first", unit="u", time="t")

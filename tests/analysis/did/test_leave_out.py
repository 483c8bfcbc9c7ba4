"""Leave one out: each row is the regression without those rows, and one city that makes the result is seen."""

import numpy as np
import pytest
from random_panel import CONTROLS, TREATED, UNIT, YEAR, Y, random_panel

from analysis.did import leave_out, two_way

KEYS = {"unit": UNIT, "time": YEAR}


@pytest.mark.parametrize("by", ["unit", "province"])
def test_every_row_is_the_regression_without_that_group(by):
    panel = random_panel(units=20)
    result = leave_out(panel, Y, TREATED, CONTROLS, **KEYS, by=by)
    column = UNIT if by == "unit" else by
    assert set(result.table.index) == set(panel[column])
    for value in list(result.table.index)[:4]:
        alone = two_way(panel[panel[column] != value], Y, TREATED, CONTROLS, **KEYS)
        assert result.table.loc[value, "estimate"] == pytest.approx(alone.table.loc[TREATED, "estimate"], rel=1e-12)
        assert result.table.loc[value, "se"] == pytest.approx(alone.table.loc[TREATED, "se"], rel=1e-12)
        assert result.table.loc[value, "n"] == alone.n


def test_the_city_that_makes_the_result_stands_out():
    panel = random_panel(units=40, share=1.0)
    city = panel.loc[panel[TREATED] == 1, UNIT].iloc[0]
    loud = panel.assign(**{Y: panel[Y] + 30 * ((panel[UNIT] == city) & (panel[TREATED] == 1))})
    result = leave_out(loud, Y, TREATED, **KEYS)
    assert result.table["change"].abs().idxmax() == city
    assert city in result.summary()


def test_a_group_without_which_nothing_is_identified_has_a_reason():
    panel = random_panel(units=20, share=1.0)
    panel["group"] = np.where(panel.groupby(UNIT)[TREATED].transform("max") == 1, "pilots", "others")
    result = leave_out(panel, Y, TREATED, **KEYS, by="group")
    assert np.isnan(result.table.loc["pilots", "estimate"])
    assert "is 0 in all" in result.reasons["pilots"]
    with pytest.raises(ValueError, match="two are needed"):
        leave_out(panel.assign(group=1), Y, TREATED, **KEYS, by="group")


@pytest.mark.parametrize("estimator", ["synthetic", "callaway_santanna"])
def test_other_estimators_are_repeated_without_each_city(estimator):
    from analysis.did import adoption_from_treatment, callaway_santanna, synthetic

    panel = random_panel(units=18, share=1.0)
    result = leave_out(panel, Y, TREATED, **KEYS, estimator=estimator)
    assert set(result.table.index) == set(panel[UNIT])
    for value in list(result.table.index)[:3]:
        rest = panel[panel[UNIT] != value]
        if estimator == "synthetic":
            alone = synthetic(rest, Y, TREATED, **KEYS, draws=2)
        else:
            first = adoption_from_treatment(rest, TREATED, **KEYS)
            alone = callaway_santanna(rest.assign(first=first), Y, "first", **KEYS)
        assert result.table.loc[value, "estimate"] == pytest.approx(alone.att, rel=1e-10)
    assert result.table["change"].abs().max() > 0
    with pytest.raises(ValueError, match="estimator is one of"):
        leave_out(panel, Y, TREATED, **KEYS, estimator="bacon")

"""Repeated cross-sections in Callaway and Sant'Anna: rows that are each seen once."""

import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.did import callaway_santanna
from analysis.did._comparison import change_of_sections
from tests.staggered_panel import staggered_panel

SECTIONS = {"unit": "city", "time": "year", "panel": False}


def persons(seed: int = 1, rows: int = 3000, cities: int = 60) -> pd.DataFrame:
    """Persons drawn anew each year in cities that adopt in 2003, 2005 or never; the effect is 1, x moves the trend."""
    generator = np.random.default_rng(seed)
    city, year = generator.integers(0, cities, rows), generator.integers(2001, 2007, rows)
    first = np.resize([2003.0, 2005.0, np.nan, np.nan], cities)[city]
    x = generator.normal(size=rows) + 0.5 * np.isfinite(first)
    y = city / 30 + 0.3 * x * (year - 2000) + (year >= first) + generator.normal(size=rows)
    return pd.DataFrame({"city": city, "year": year, "first": first, "x": x, "y": y, "person": np.arange(rows)})


@pytest.mark.parametrize(("method", "controls"), [("ipw", ["x"]), ("dr", ["x"]), ("reg", []), ("dr", [])])
def test_cells_and_their_errors_equal_those_of_diff_diff(method: str, controls: list[str]) -> None:
    from diff_diff import CallawaySantAnna

    frame = persons()
    ours = callaway_santanna(frame, "y", "first", controls, method=method, cluster=None, **SECTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = CallawaySantAnna(panel=False, estimation_method=method).fit(
            frame.assign(first=frame["first"].fillna(0)), "y", "person", "year", "first", covariates=controls or None
        )
    table = ours.table.set_index(["cohort", "time"])
    cells = pd.DataFrame(theirs.group_time_effects).T
    np.testing.assert_allclose(table.loc[list(cells.index), "estimate"], cells["effect"].astype(float), rtol=1e-9)
    np.testing.assert_allclose(table.loc[list(cells.index), "se"], cells["se"].astype(float), rtol=1e-9)
    assert (ours.att, ours.se) == pytest.approx((theirs.overall_att, theirs.overall_se), rel=1e-9)


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_the_error_of_a_cell_is_the_spread_of_its_estimate(method: str) -> None:
    """For "reg" too, where diff-diff gives four fifths of it."""
    found = []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        treated, after = generator.random(800) < 0.4, generator.random(800) < 0.5
        x = generator.normal(size=800) + 0.5 * treated
        y = x * (1 + after) + treated * after + generator.normal(size=800)
        effect, influence = change_of_sections(y, after, treated, x[:, None], np.ones(800), method)
        found.append((effect, influence.std() / np.sqrt(800)))
    effects, errors = np.array(found).T
    assert effects.mean() == pytest.approx(1, abs=4 * effects.std() / np.sqrt(300))
    assert errors.mean() == pytest.approx(effects.std(ddof=1), rel=0.12)


def test_a_balanced_panel_read_as_cross_sections_has_the_same_effects_and_other_errors() -> None:
    panel = staggered_panel(3)
    keys = {"unit": "unit", "time": "time"}
    whole, rows = (callaway_santanna(panel, "y", "first", **keys, panel=same) for same in (True, False))
    np.testing.assert_allclose(rows.table["estimate"], whole.table["estimate"], atol=1e-12)
    assert (rows.n, rows.units) == (whole.n, whole.units)
    # Clustered by unit, the levels of units cancel again.
    assert rows.se == pytest.approx(whole.se, rel=0.05)
    assert callaway_santanna(panel, "y", "first", **keys, panel=False, cluster=None).se > 2 * whole.se


def test_persons_cluster_by_city_and_their_order_does_not_matter() -> None:
    frame = persons(2)
    shock = np.random.default_rng(0).normal(size=(60, 7))[frame["city"], frame["year"] - 2000]
    frame["y"] += shock
    mixed = frame.sample(frac=1, random_state=1)
    city = callaway_santanna(frame, "y", "first", **SECTIONS)
    assert city.se > 1.3 * callaway_santanna(frame, "y", "first", cluster=None, **SECTIONS).se
    again = callaway_santanna(mixed, "y", "first", **SECTIONS)
    assert (again.att, again.se) == pytest.approx((city.att, city.se), rel=1e-10)


def test_what_cross_sections_cannot_be_is_refused() -> None:
    frame = persons(3, rows=400)
    with pytest.raises(ValueError, match="rows of one unit are not independent"):
        callaway_santanna(frame, "y", "first", unit="city", time="year", cluster=None)
    with pytest.raises(ValueError, match="several values of 'first'"):
        other = frame.assign(first=frame["first"].where(frame.index > 0, 2004.0))
        callaway_santanna(other, "y", "first", **SECTIONS)

"""Moran's I, Geary's C and local Moran against hand-worked cases and enumeration."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from analysis.spatial import Weights, geary, local_moran, moran, moran_scatter

PANEL = {"unit": "cell", "time": "year"}


def rook(side: int) -> Weights:
    place = np.array(list(itertools.product(range(side), repeat=2)))
    gap = np.abs(place[:, None, :] - place[None, :, :]).sum(axis=2)
    return Weights(sparse.csr_array((gap == 1).astype(float)), range(side**2))


def lattice(side: int = 3, years: int = 1) -> pd.DataFrame:
    cells = side**2
    return pd.DataFrame({"cell": np.tile(np.arange(cells), years), "year": np.repeat(np.arange(years), cells)}).assign(
        y=lambda f: (f["cell"] + 1.0) * np.where(f["year"] % 2, -1, 1)
    )


def test_variances_on_the_three_by_three_lattice():
    row = moran(lattice(), "y", rook(3), **PANEL).table.iloc[0]
    assert row["variance_normality"] == pytest.approx(0.053125, rel=1e-12)
    assert row["variance_randomisation"] == pytest.approx(0.0596875, rel=1e-12)
    assert row["expected"] == pytest.approx(-1 / 8)


@pytest.mark.parametrize("statistic", [moran, geary])
def test_moments_under_randomisation_are_those_of_all_permutations(statistic):
    weights = Weights(rook(3).matrix[:6, :6], range(6))
    data = lattice().iloc[:6].assign(y=[1.0, 5, 2, 9, 4, 4.5])
    letter = "i" if statistic is moran else "c"
    row = statistic(data, "y", weights, **PANEL).table.iloc[0]
    values, dense = data["y"].to_numpy(), weights.matrix.toarray()
    found = []
    for order in itertools.permutations(range(6)):
        z = values[list(order)] - values.mean()
        cross, square = z @ dense @ z, z @ z
        gaps = (dense * (z[:, None] - z[None, :]) ** 2).sum()
        found.append(6 * cross / dense.sum() / square if letter == "i" else 5 * gaps / 2 / dense.sum() / square)
    assert row["expected"] == pytest.approx(np.mean(found), rel=1e-10)
    assert row["variance_randomisation"] == pytest.approx(np.var(found), rel=1e-10)
    extreme = (
        np.mean(np.array(found) >= row["i"] - 1e-12) if letter == "i" else np.mean(np.array(found) <= row["c"] + 1e-12)
    )
    assert row["p_permutation"] == pytest.approx(extreme, abs=0.06)


def test_every_year_gets_its_own_row_under_the_name_of_its_column():
    table = moran(lattice(4, years=3), "y", rook(4), permutations=19, **PANEL).table
    assert table["year"].tolist() == [0, 1, 2]
    assert {"i", "expected", "z", "p"} <= set(table.columns)
    np.testing.assert_allclose(table["i"], table["i"].iloc[0])


def test_the_assumption_decides_z_and_p_and_the_alternative_the_tails():
    data, weights = lattice(4), rook(4)
    for assumption in ("normality", "randomisation", "permutation"):
        row = moran(data, "y", weights, assumption=assumption, **PANEL).table.iloc[0]
        assert row["z"] == row[f"z_{assumption}"]
        assert row["p"] == row[f"p_{assumption}"]
    both = moran(data, "y", weights, alternative="two-sided", **PANEL).table.iloc[0]
    one = moran(data, "y", weights, **PANEL).table.iloc[0]
    assert both["p"] == pytest.approx(2 * one["p"])


def test_permutation_p_cannot_be_zero():
    assert moran(lattice(5), "y", rook(5), permutations=9, **PANEL).table["p_permutation"].iloc[0] == pytest.approx(0.1)


def test_local_values_average_to_the_global_one():
    data = lattice(5).assign(y=np.random.default_rng(0).standard_normal(25))
    weights = rook(5).row_normalised()
    local = local_moran(data, "y", weights, permutations=99, **PANEL).table
    total = moran(data, "y", weights, permutations=0, **PANEL).table["i"].iloc[0]
    assert local["i"].sum() / 24 == pytest.approx(total, rel=1e-10)


def test_clusters_are_found_where_high_values_meet():
    values = np.zeros((9, 9))
    values[:3, :3] = 5
    values[6:, 6:] = -5
    values += 0.3 * np.random.default_rng(1).standard_normal((9, 9))
    data = lattice(9).assign(y=values.ravel())
    table = local_moran(data, "y", rook(9).row_normalised(), **PANEL).table
    assert table.loc[[0, 1, 9, 10], "cluster"].eq("high-high").all()
    assert table.loc[[80, 79, 71, 70], "cluster"].eq("low-low").all()
    assert table["cluster"].eq("not significant").mean() > 0.5


def test_the_slope_of_the_scatter_is_moran_with_row_normalised_weights():
    data, weights = lattice(4, years=2), rook(4).row_normalised()
    scatter = moran_scatter(data, "y", weights, **PANEL)
    np.testing.assert_allclose(scatter.slope, moran(data, "y", weights, permutations=0, **PANEL).table["i"])
    point = scatter.table.iloc[0]
    assert point["quadrant"] == ("high-high" if point["z"] > 0 and point["lag"] > 0 else "low-low")


def test_rows_in_any_order_give_the_same():
    data, weights = lattice(4, years=2), rook(4)
    usual = moran(data, "y", weights, **PANEL).table
    pd.testing.assert_frame_equal(moran(data.sample(frac=1, random_state=1), "y", weights, **PANEL).table, usual)


def test_one_cross_section_needs_no_year():
    one = moran(lattice().drop(columns="year"), "y", rook(3), unit="cell").table
    assert one["i"].iloc[0] == moran(lattice(), "y", rook(3), **PANEL).table["i"].iloc[0]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="same for every unit in year 0"):
        moran(lattice().assign(y=1.0), "y", rook(3), **PANEL)
    with pytest.raises(ValueError, match="cell 4, year 0"):
        moran(lattice(years=2).drop(index=4), "y", rook(3), **PANEL)
    with pytest.raises(ValueError, match="assumption is 'normal'"):
        moran(lattice(), "y", rook(3), assumption="normal", **PANEL)

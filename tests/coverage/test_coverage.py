"""The stored coverage study: made by the current design, within its bounds, and the same when drawn again.

The whole study takes half an hour (`make coverage`); here only the first panels of each cell are drawn.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
KEYS = ["cell", "panel", "estimator", "quantity", "estimand", "rule"]


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def cells(scripts: None) -> ModuleType:
    import cells

    return cells


@pytest.fixture(scope="module")
def coverage() -> pd.DataFrame:
    return pd.read_csv(HERE / "coverage.csv")


def test_the_stored_table_was_made_by_the_current_design(cells: ModuleType, coverage: pd.DataFrame) -> None:
    assert (coverage["design"] == cells.design_hash()).all(), "The design changed: run make coverage and commit."
    panels = coverage.groupby("cell", sort=False)["panels"].agg(["min", "max"])
    expected = {cell.name: cell.panels for cell in cells.CELLS}
    assert panels["min"].to_dict() == panels["max"].to_dict() == expected


def test_intervals_cover_their_own_estimand(coverage: pd.DataFrame) -> None:
    exact = coverage[coverage["rule"] == "exact"]
    error = np.sqrt(0.95 * 0.05 / exact["panels"])
    outside = exact[(exact["coverage"] - 0.95).abs() > 3 * error]
    assert outside.empty, outside.to_string()
    low = coverage[(coverage["rule"] == "conservative") & (coverage["coverage"] < 0.94)]
    assert low.empty, low.to_string()


def test_every_estimator_is_held_to_a_coverage(coverage: pd.DataFrame) -> None:
    asserted = coverage[coverage["rule"].isin(["exact", "conservative"])]
    names = set(asserted["estimator"].str.split(",").str[0])
    estimators = "two_way event_study callaway_santanna sun_abraham imputation group_difference placebo"
    assert names == {*estimators.split(), "wild_bootstrap", "honest", "synthetic", "match", "two_stage"}
    slow = {"wild_bootstrap", "synthetic", "honest"}
    most = asserted.assign(name=asserted["estimator"].str.split(",").str[0]).groupby("name")["panels"].max()
    assert (most.drop(list(slow)) >= 2000).all()


def test_two_way_is_biased_under_growing_effects_and_the_robust_estimators_are_not() -> None:
    bias = pd.read_csv(HERE / "bias.csv").query("cell == 'heterogeneous' and att == att").set_index("estimator")
    share = bias["bias"] / bias["att"]
    assert share["two_way"] < -0.1
    robust = share.drop("two_way")
    assert set(robust.index.str.split(",").str[0]) == {"callaway_santanna", "sun_abraham", "imputation"}
    assert (robust.abs() < 0.01).all()


def test_the_first_panels_drawn_again_give_the_stored_numbers(cells: ModuleType) -> None:
    stored = pd.read_csv(HERE / "slice.csv", keep_default_na=False, na_values={"estimate": "", "se": "", "truth": ""})
    again = pd.concat(
        [
            cells.run_panel(cell, panel)
            for cell in cells.CELLS
            for panel in range(1 if cell.name == "synthetic" else int(stored["panel"].max()) + 1)
        ]
    )
    found = again.merge(stored, on=KEYS, how="left", suffixes=("", "_stored"), validate="one_to_one", indicator=True)
    assert (found["_merge"] == "both").all()
    for name in ("estimate", "se", "truth"):
        # to the last digits, which another processor's arithmetic may change
        np.testing.assert_allclose(found[name], found[f"{name}_stored"], rtol=1e-7, atol=1e-9, err_msg=name)
    assert (found["covered"] == found["covered_stored"]).all()


def test_the_readme_shows_the_stored_tables(cells: ModuleType) -> None:
    import report

    assert (HERE / "README.md").read_text(encoding="utf-8") == report.readme(HERE)

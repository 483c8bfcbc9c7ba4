"""The stored coverage of further designs: within its bounds, and of every interval that the script draws."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def designs() -> Iterator[ModuleType]:
    sys.path.insert(0, str(HERE))
    import designs

    yield designs
    sys.path.remove(str(HERE))


def test_stored_intervals_cover_what_they_promise(designs: ModuleType) -> None:
    stored = pd.read_csv(designs.TABLE)
    held = stored[stored["rule"] != "reported"]
    assert (held["holds"] == "yes").all(), held.to_string()
    assert len(held) >= 15
    error = (0.95 * 0.05 / held["panels"]) ** 0.5
    assert ((held["coverage"] - 0.95).abs() <= 3 * error)[held["rule"] == "exact"].all()


def test_every_interval_that_is_drawn_is_stored_and_near_its_truth(designs: ModuleType) -> None:
    stored = pd.read_csv(designs.TABLE)
    drawn = pd.concat([designs.chunk(cell, [0]) for cell in designs.CELLS], ignore_index=True)
    assert list(drawn["estimator"]) == list(stored["estimator"])
    assert (drawn["truth"] == stored["truth"]).all()
    assert stored["monte_carlo_error"].max() < 0.025
    near = stored[(stored["rule"] != "reported") & stored["sd"].notna()]  # of tests there is no estimate
    bias = (near["mean_estimate"] - near["truth"]).abs()
    assert (bias <= 4 * near["sd"] / near["panels"] ** 0.5).all(), near.to_string()

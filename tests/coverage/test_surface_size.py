"""The stored worlds without an effect: all there, rejected as often as the size says, and the same when drawn again."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def worlds() -> Iterator[ModuleType]:
    sys.path.insert(0, str(HERE))
    import surface

    yield surface
    sys.path.remove(str(HERE))


def test_the_test_over_a_whole_surface_rejects_a_true_null_as_often_as_it_says(worlds: ModuleType) -> None:
    stored = worlds.read()
    assert len(stored) == worlds.WORLDS >= 1000
    sizes = (stored[list(worlds.P_VALUES)] <= 0.05).mean()
    error = np.sqrt(0.05 * 0.95 / len(stored))
    assert sizes["p"] == pytest.approx(0.05, abs=2 * error)
    assert sizes["median_p"] == pytest.approx(0.05, abs=3 * error)
    assert sizes["share_p"] <= 0.05 + 3 * error  # shares tie, which makes their own test conservative


def test_the_first_worlds_drawn_again_give_the_stored_numbers(worlds: ModuleType) -> None:
    stored = worlds.read()[list(worlds.P_VALUES)].to_numpy()
    np.testing.assert_allclose([worlds.run_world(number) for number in range(3)], stored[:3], atol=1e-6)

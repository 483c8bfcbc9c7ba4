"""Which rows break which rule of a suite, in one validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from expectations import runner


@pytest.fixture
def broken(tmp_path) -> Callable[..., dict[str, list[int]]]:
    """Rules that fail on a frame, each with the positions of the rows that break it."""

    def failing(frame: pd.DataFrame, rules: list[runner.Rule], keys: Sequence[str]) -> dict[str, list[int]]:
        outcomes = runner.validate("layer.test", frame, rules, keys=keys, store=tmp_path)
        return {found.rule: sorted(found.positions) for found in outcomes if not found.passed}

    return failing

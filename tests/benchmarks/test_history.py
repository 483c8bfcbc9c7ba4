"""The history of benchmarks: what is flagged as worse, and against what."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """The conftest beside this file with a history of its own."""
    spec = importlib.util.spec_from_file_location("benchmarks_conftest", Path(__file__).with_name("conftest.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # dataclasses look up the module they are made in
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HISTORY", tmp_path / "history.csv")
    monkeypatch.setenv("PILOTCITY_BENCHMARK_HISTORY", "1")
    return module


def session(benchmarks, ratio: float, machine: str = "this one") -> str:
    """What a session with one figure prints of it."""
    figure = benchmarks.Figure("2024-01-01", "abc", machine, "placebo", 1.0, "peer", ratio, ratio, 100.0)
    said: list[str] = []
    reporter = SimpleNamespace(section=said.append, write_line=said.append)
    config = SimpleNamespace(stash={benchmarks.FIGURES: [figure]}, getoption=lambda name: False)
    benchmarks.pytest_terminal_summary(reporter, config)
    (line,) = [text for text in said if text.startswith("placebo")]
    return line


def test_a_ratio_more_than_a_fifth_below_the_usual_one_is_flagged(benchmarks):
    assert "WORSE" not in session(benchmarks, 10.0)
    assert "WORSE" not in session(benchmarks, 8.1)
    assert "WORSE: was 9.05" in session(benchmarks, 7.0)
    assert len(benchmarks.HISTORY.read_text().splitlines()) == 4


def test_slow_decay_is_flagged_though_each_session_loses_little(benchmarks):
    ratios = [10.0, 10.0, 10.0, 9.0, 8.1, 7.3]
    flags = ["WORSE" in session(benchmarks, ratio) for ratio in ratios]
    assert flags == [False] * 5 + [True]


def test_another_machine_is_another_history(benchmarks):
    session(benchmarks, 10.0)
    assert "WORSE" not in session(benchmarks, 1.0, machine="a slower one")

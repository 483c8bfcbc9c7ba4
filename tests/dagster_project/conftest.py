"""Folders and a publication small enough to make many of. What they must do stands in the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from dagster_project import database, definitions, publication
from dagster_project.paths import Paths

ABOUT = {"version": "0123456789ab", "is_sample": True, "raw_sha256": "r", "code_sha256": "c", "lock_sha256": "l"}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An installation in a folder of its own, on the sample world."""
    return Paths(tmp_path / "data", tmp_path / "data" / "sample", is_sample=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The real definitions; whoever uses them is in the test group "definitions", as they take seconds to make."""
    data = tmp_path_factory.mktemp("data")
    return definitions.build(Paths(data, data / "sample", is_sample=True))


@pytest.fixture
def candidate(paths: Paths) -> Callable[[int], Path]:
    """Makes a candidate whose every file says which one it is."""

    def make(number: int) -> Path:
        folder = publication.begin(paths)
        (folder / "publication.json").write_text(json.dumps(ABOUT))
        (folder / "data" / "panels").mkdir(parents=True)
        panel = pd.DataFrame({"city_code": ["110000", "310000"], "year": [2010, 2010], "gdp": [float(number), None]})
        panel.to_parquet(folder / "data" / "panels" / "city_year.parquet", index=False)
        (folder / "site").mkdir()
        (folder / "site" / "index.html").write_text(f"publication {number}")
        database.write(folder)
        return folder

    return make

"""Fixtures with the committed lists, every cell as text. What the lists must satisfy stands in the tests."""

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture(scope="session")
def cities() -> pd.DataFrame:
    """The 297 cities of prefecture level and above in 2021."""
    return _read(DATA / "reference" / "cities.csv")


@pytest.fixture(scope="session")
def units() -> pd.DataFrame:
    """Every unit a source may report, in the roster or not."""
    return _read(DATA / "reference" / "units.csv")


@pytest.fixture(scope="session")
def city_names() -> pd.DataFrame:
    """The dated crosswalk from names and codes to units."""
    return _read(DATA / "reference" / "city_names.csv")


@pytest.fixture(scope="session")
def code_history() -> pd.DataFrame:
    """Merges, splits, transfers, renames."""
    return _read(DATA / "reference" / "code_history.csv")


@pytest.fixture(scope="session")
def pilots_outside() -> pd.DataFrame:
    """Pilots that are no city of the roster."""
    return _read(DATA / "reference" / "pilots_outside_roster.csv")


@pytest.fixture(scope="session")
def policies() -> dict[str, pd.DataFrame]:
    """Every policy list by its name."""
    return {path.stem: _read(path) for path in sorted((DATA / "policies").glob("*.csv"))}

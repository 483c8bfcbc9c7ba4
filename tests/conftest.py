"""Fixtures every test may use: the two optional folders with material that is not ours to commit."""

import os

# Before numpy is imported anywhere: workers that each start threads only get in each other's way.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# What a developer has in an own folder is no matter of the tests.
os.environ["PILOTCITY_OWN"] = "no own folder"
os.environ.pop("PILOTCITY_STUDIES", None)
# Tests name the engine that they are about.
os.environ.pop("DBT_TARGET", None)

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _optional_folder(variable: str, default: str) -> Callable[[str], Path]:
    folder = Path(os.environ.get(variable, ROOT / default))

    def locate(name: str = "") -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"{path} is absent: set {variable} to the folder that holds it")
        return path

    return locate


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Path]:
    """Locates a file with other software's data or numbers; skips the test where the folder is absent."""
    return _optional_folder("PILOTCITY_REFERENCE", "../shared/reference")


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """Locates a raw file as its publisher released it; skips the test where the folder is absent."""
    return _optional_folder("PILOTCITY_REAL", "../shared/real")


@pytest.fixture(scope="session")
def cases() -> Callable[[str], Path]:
    """Locates a folder of small files of known content, each hard in one way; skips the test where it is absent."""
    return _optional_folder("PILOTCITY_CASES", "../shared/cases")


COUNTY = "tests/pipeline/test_county_panel.py"
#: Groups that take longest, in the order in which they begin: a worker that comes to one last is waited for.
LONGEST = ("sample", "real", COUNTY, "dbt", "tiny", "by_file", "definitions", "team", "spark")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Tests of one ``xdist_group``, or else of one file, go to one worker: they share what takes long to make."""
    groups = {}
    for item in items:
        marker = item.get_closest_marker("xdist_group")
        groups[item] = marker.args[0] if marker else item.path.relative_to(ROOT).as_posix()
        if not marker:
            item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: LONGEST.index(groups[item]) if groups[item] in LONGEST else len(LONGEST))
    result = yield
    for item in items:  # xdist 3.8 names the group where pytest 9.2 no longer looks
        named = getattr(item, "_nodeid", None)
        if named and named != item.nodeid:
            item._id = type(item.id).parse(named)
    return result

"""Which modules a computation's version follows: all that run, and not the whole tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from dagster_project import exhibits
from dagster_project.code_version import GATHERED, Code
from dagster_project.paths import ROOT, Paths

FILES = {
    "analysis/__init__.py": "",
    "analysis/top.py": "from analysis.parts import thing\n",
    "analysis/parts/__init__.py": "from analysis.parts.one import thing\nfrom analysis.parts.two import other\n",
    "analysis/parts/one.py": "def thing():\n    from . import lazy\n    return lazy\n",
    "analysis/parts/two.py": "import analysis.typed\n",
    "analysis/parts/lazy.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import analysis.typed\n",
    "analysis/parts/words.csv": "a,b\n",
    "analysis/typed.py": "",
    "dagster_project/__init__.py": "",
    "expectations/__init__.py": "",
}


@pytest.fixture
def tree(tmp_path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_closure_goes_through_a_package_to_the_module_that_is_wanted(tree):
    closure = Code(root=tree).closure(["analysis.top"])
    assert closure == {"analysis", "analysis.top", "analysis.parts", "analysis.parts.one", "analysis.parts.lazy"}


@pytest.mark.parametrize(
    ("file", "moves"),
    [
        ("analysis/top.py", True),
        ("analysis/parts/one.py", True),
        ("analysis/parts/lazy.py", True),
        ("analysis/parts/__init__.py", True),
        ("analysis/parts/words.csv", True),
        ("analysis/parts/two.py", False),
        ("analysis/typed.py", False),
    ],
)
def test_a_version_moves_with_what_runs_and_with_nothing_else(tree, tmp_path, file, moves):
    memory = tmp_path / "imports.json"
    code = Code(memory, tree)
    before = code.version(["analysis.top"])
    code.remember()
    assert Code(memory, tree).version(["analysis.top"]) == before
    with (tree / file).open("a") as stream:
        stream.write("# more\n")
    assert (Code(memory, tree).version(["analysis.top"]) != before) == moves
    memory.write_text("{")
    assert (Code(memory, tree).version(["analysis.top"]) != before) == moves


def test_a_module_that_is_not_there_is_named(tree):
    with pytest.raises(ValueError, match="There is no module"):
        Code(root=tree).version(["analysis.gone"])


def test_packages_that_import_by_name_are_known():
    users = [path for path in (ROOT / "analysis").rglob("*.py") if "import_module(" in path.read_text()]
    gathered = {ROOT.joinpath(*name.split("."), "__init__.py") for name in GATHERED}
    assert set(users) <= gathered


@pytest.mark.parametrize("name", ["table_1", "figure_1"])
def test_whatever_runs_for_an_exhibit_is_in_its_version(tmp_path, name):
    from analysis.studies import spec

    study = spec.load(spec.catalogue()["low_carbon_cities"])
    candidate = tmp_path / "candidate"
    panel = _panel(study)
    exhibits.panel_file(candidate, study.name).parent.mkdir(parents=True)
    panel.to_parquet(exhibits.panel_file(candidate, study.name))
    computation = exhibits.computation(Paths(tmp_path, tmp_path / "raw", is_sample=False), candidate, study, name)
    ran: set[str] = set()

    def look(frame, event, argument):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(ROOT / "analysis")) and file.endswith(".py"):
            ran.add(file)

    # the first time imports, which runs what no number comes from
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    computation.make(tmp_path / "first")
    sys.setprofile(look)
    try:
        computation.make(tmp_path / "second")
    finally:
        sys.setprofile(None)
    closure = Code().closure(computation.modules, computation.without)
    files = {str(ROOT.joinpath(*module.split("."))) for module in closure}
    assert len(ran) > 5
    missed = {file for file in ran if file.removesuffix(".py").removesuffix("/__init__") not in files}
    assert missed == set()
    assert not any("spatial" in module for module in closure if name == "table_1" and "kinds" in module)


def _panel(study) -> pd.DataFrame:
    rows = []
    for city in range(12):
        for year in range(study.years[0], study.years[1] + 1):
            adoption = [2010, 2012, None][city % 3]
            values = {v.name: (city * 7 + year * 3 + len(v.name) * city * year) % 11 + city for v in study.variables}
            treated = int(adoption is not None and year >= adoption)
            key = {"city_code": f"{110000 + city * 100}", "year": year, "adoption": adoption}
            rows.append({**key, study.treatment: treated, **values})
    return pd.DataFrame(rows).astype({"adoption": "Int64"})

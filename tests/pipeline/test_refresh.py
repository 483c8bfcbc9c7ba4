"""Partial runs against runs from nothing: after every edit of a random series, the same bytes; and only what moved.

The series edits what a user edits: cells of a panel, pilots' years, the study's YAML, the printed figures. Contracts,
lists and formulas reach exhibits through the panels alone; that each of them makes the tables stale is tried by itself.
"""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from study_panel import make_panel

from analysis.studies import spec
from dagster_project import exhibits, overlay, tables
from dagster_project.assets.audits import kept_audit
from dagster_project.paths import CATALOGUE, Paths
from dagster_project.store import SEAL, Store

NAMES = ("one", "two")
WRITTEN: dict[str, Any] = {
    "title": {"en": "Pilots", "zh": "试点"},
    "policy": "low_carbon_cities",
    "treatment": "pilot",
    "treatment_label": {"en": "Pilot", "zh": "试点"},
    "sample": {"cities": "panel_286", "years": [2006, 2012]},
    "interpolate": "none",
    "winsorize": None,
    "fixed_effects": ["unit", "time"],
    "cluster": "unit",
    "variables": [
        {"name": name, "from": source, "role": role, "label": {"en": name.upper(), "zh": name}}
        for name, source, role in (
            ("y", "co2_ceads_tonne", "outcome"),
            ("x", "gdp_per_capita_yuan", "control"),
            ("z", "financial_depth", "control"),
        )
    ],
    "outcomes": ["y"],
    "controls": ["x", "z"],
    "exhibits": {
        "table_1": {"kind": "descriptive", "title": {"en": "Means", "zh": "均值"}, "variables": ["y", "x"]},
        "table_3": {
            "kind": "regression",
            "title": {"en": "More", "zh": "更多"},
            "columns": [{"label": "(1)", "outcome": "y"}],
        },
    },
}


@dataclass
class House:
    """Studies, their panels as a candidate has them, and what a refresh makes of them."""

    folder: Path
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    panels: dict[str, pd.DataFrame] = field(default_factory=dict)
    printed: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(NAMES))
    known: Any = None

    def paths(self, data: str) -> Paths:
        return Paths(
            self.folder / data, self.folder / "raw", is_sample=False, own=self.folder / "own", studies=tuple(NAMES)
        )

    def write(self, candidate: Path) -> None:
        studies = self.folder / "own" / "studies"
        (studies / "published").mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            text = yaml.safe_dump({"study": name, **self.written[name]}, allow_unicode=True, sort_keys=False)
            (studies / f"{name}.yaml").write_text(text, encoding="utf-8")
            if self.printed[name] is not None:
                terms = {"models": {"(1)": {"terms": {"pilot": [self.printed[name], 0.1, 2]}}}}
                text = yaml.safe_dump({"study": name, "exhibits": {"table_3": terms}})
                (studies / "published" / f"{name}.yaml").write_text(text)
        shutil.rmtree(candidate, ignore_errors=True)
        (candidate / "data" / "panels").mkdir(parents=True)
        for name, panel in self.panels.items():
            panel.to_parquet(candidate / "data" / "panels" / f"{name}.parquet", index=False)
        self.panels["one"][["city_code", "year", "x"]].to_parquet(candidate / "data" / "panels" / "city_year.parquet")
        (candidate / "publication.json").write_text('{"is_sample": false}')

    def refresh(self, data: str, audited: bool) -> tuple[dict[str, bytes], dict[str, str], set[str]]:
        """Every file, the version of every result, and the names of what was computed."""
        paths = self.paths(data)
        store = Store(paths)
        candidate = paths.candidate
        self.write(candidate)
        before = {path.parent for path in store.folder.rglob(SEAL)}
        self.known = self.known or overlay.known(paths)
        studies = [spec.load(path, self.known) for path in overlay.chosen(paths).values()]
        versions = exhibits.assemble(paths, store, candidate, studies)
        for study in studies if audited else ():
            versions[f"audit/{study.name}"], made = kept_audit(paths, store, candidate, study)
            shutil.copyfile(made / f"{study.name}.json", candidate / f"{study.name}.json")
        computed = {path.parent for path in store.folder.rglob(SEAL)} - before
        store.sweep(set(versions.items()))
        files = {str(path.relative_to(candidate)): path.read_bytes() for path in candidate.rglob("*") if path.is_file()}
        return files, versions, {folder.parent.relative_to(store.folder).as_posix() for folder in computed}


@pytest.fixture
def house(tmp_path) -> House:
    made = House(tmp_path, {name: copy.deepcopy(WRITTEN) for name in NAMES})
    studies = tmp_path / "own" / "studies"
    studies.mkdir(parents=True)
    for name in NAMES:
        text = yaml.safe_dump({"study": name, **made.written[name]}, allow_unicode=True, sort_keys=False)
        (studies / f"{name}.yaml").write_text(text, encoding="utf-8")
        study = spec.load(studies / f"{name}.yaml")
        panel = make_panel(study, seed=len(name))
        made.panels[name] = panel[panel["city_code"].isin(panel["city_code"].unique()[::20])].reset_index(drop=True)
    return made


def edits(house: House, chance: random.Random) -> Iterator[tuple[str, Callable[[], None], set[str]]]:
    """What is edited, the edit, and the names of what it may make anew."""

    def a_cell() -> None:
        panel = house.panels[name]
        panel.loc[chance.randrange(len(panel)), chance.choice(["y", "x", "z"])] += chance.choice([0.1, -0.2])

    def a_pilots_year() -> None:
        panel = house.panels[name]
        city = chance.choice(sorted(panel["city_code"].unique()))
        year = chance.choice([2008, 2010, float("nan")])
        rows = panel["city_code"] == city
        panel.loc[rows, "adoption"] = year
        panel.loc[rows, "pilot"] = (panel.loc[rows, "year"] >= year).astype(float)

    def a_title() -> None:
        house.written[name]["exhibits"][exhibit]["title"]["en"] = f"Title {chance.randrange(4)}"

    def a_column() -> None:
        columns = house.written[name]["exhibits"]["table_3"]["columns"]
        columns[0] = {"label": "(1)", "outcome": "y", **chance.choice([{}, {"drop": "all controls"}])}

    def the_controls() -> None:
        house.written[name]["controls"] = chance.choice([["x", "z"], ["x"], ["z"]])

    def a_label() -> None:
        house.written[name]["variables"][1]["label"]["en"] = f"Label {chance.randrange(4)}"

    def a_printed_figure() -> None:
        house.printed[name] = chance.choice([0.4, 0.5, 0.6])

    def nothing() -> None:
        return

    while True:
        name = chance.choice(NAMES)
        exhibit = chance.choice(list(WRITTEN["exhibits"]))
        every = {f"exhibits/{name}/{each}" for each in WRITTEN["exhibits"]}
        found: tuple[tuple[Callable[[], None], set[str]], ...] = (
            # the audit compares a panel with panels.city_year, which here is the first study's
            (a_cell, every | {"audit/one", "audit/two"}),
            (a_pilots_year, every),
            (a_title, {f"exhibits/{name}/{exhibit}"}),
            (a_column, {f"exhibits/{name}/table_3"}),
            (the_controls, every),
            (a_label, every),
            (a_printed_figure, every),
            (nothing, set()),
        )
        edit, moved = chance.choice(found)
        yield edit.__name__, edit, moved | ({f"audit/{name}"} if moved else set())


@pytest.mark.parametrize(
    ("count", "audited", "compared"),
    [(50, False, 16), pytest.param(500, True, 1, marks=[pytest.mark.torture])],
    ids=["50", "500"],
)
def test_after_every_edit_a_partial_run_ends_in_the_bytes_of_a_run_from_nothing(house, count, audited, compared):
    """Compared after each edit; in CI after every sixteenth, as what an edit leaves behind shows later too."""
    house.refresh("partial", audited)
    series = edits(house, random.Random(7))
    done: dict[str, int] = {}
    for number in range(count):
        what, edit, may_move = next(series)
        edit()
        files, versions, computed = house.refresh("partial", audited)
        if number % compared == 0 or number == count - 1:
            shutil.rmtree(house.folder / "nothing", ignore_errors=True)
            assert house.refresh("nothing", audited)[:2] == (files, versions), f"edit {number}: {what}"
        assert computed <= may_move, f"edit {number}: {what}"
        done[what] = done.get(what, 0) + len(computed)
    # each kind of edit was tried, and each but one computed something
    assert {what for what, computed in done.items() if not computed} == {"nothing"}
    assert len(done) == 8


def test_files_lists_contracts_and_formulas_each_make_the_tables_stale_and_nothing_else_does(tmp_path):
    paths = Paths(tmp_path / "data", tmp_path / "raw", is_sample=False, own=tmp_path / "own")
    (tmp_path / "raw").mkdir()
    studies = overlay.studies(paths)

    def version() -> str:
        return tables.version(paths, Store(paths), studies)

    seen = [version()]
    inputs = {
        "raw/book.xlsx": "cells",
        "own/contracts/more.yaml": "source: more",
        "own/policies/list.csv": "city_code,adoption",
        "own/indicators.csv": (CATALOGUE / "indicators.csv").read_text(encoding="utf-8").splitlines()[0],
        "own/variables.yaml": "- name: more",
    }
    for name, text in inputs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        seen.append(version())
        path.write_text(f"{text} ", encoding="utf-8")
        seen.append(version())
    assert len(set(seen)) == len(seen)
    for other in ("own/notes.txt", "data/warehouse/other.json"):
        path = tmp_path / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of no account")
    assert version() == seen[-1]


def test_an_exhibit_of_a_study_does_not_reach_the_warehouse_and_a_variable_does(tmp_path):
    paths = Paths(tmp_path / "data", tmp_path / "raw", is_sample=False, own=tmp_path / "own")
    (tmp_path / "raw").mkdir()
    study = next(study for study in overlay.studies(paths) if study.name == "low_carbon_cities")
    store = Store(paths)
    before = tables.version(paths, store, [study])
    shorter = replace(study, exhibits=study.exhibits[:1], controls=study.controls[:1])
    assert tables.version(paths, store, [shorter]) == before
    fewer = replace(study, variables=study.variables[:-1])
    assert tables.version(paths, store, [fewer]) != before

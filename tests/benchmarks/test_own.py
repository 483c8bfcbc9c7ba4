"""What a user's own files cost: checking all of them against importing pandas, and a study from a file against the same
estimators called by hand.

Processor seconds, not wall clock: other work on the machine must not decide.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processor import program

from analysis import did
from analysis.panel_from_file import assemble
from analysis.studies import spec
from analysis.studies.run import run_study

UNITS, YEARS = 281, range(2006, 2022)
KEYS = {"unit": "city", "time": "year"}


@pytest.mark.benchmark
def test_every_specification_is_checked_in_three_times_the_import_of_pandas(measured) -> None:
    ours = program("from dagster_project import cli; raise SystemExit(cli.main(['check']))")
    theirs = program("import pandas")
    measured("check of every study, contract and list", ours, "import pandas", theirs)
    assert ours < 3 * theirs


def panel() -> pd.DataFrame:
    """281 units and 16 years, 55 treated in three cohorts, an outcome and four controls."""
    rng = np.random.default_rng(0)
    rows = pd.MultiIndex.from_product([range(1, UNITS + 1), YEARS], names=["city", "year"]).to_frame(index=False)
    began = {unit: (2011, 2013, 2017)[unit % 3] for unit in range(1, 56)}
    rows["did"] = (rows["year"] >= rows["city"].map(began)).astype(int)
    for control in ("a", "b", "c", "d"):
        rows[control] = rng.normal(size=len(rows))
    effects = rng.normal(size=UNITS + 1)[rows["city"]]
    return rows.assign(y=effects + 0.2 * rows["did"] + 0.1 * rows["a"] + rng.normal(size=len(rows)))


@pytest.mark.benchmark
def test_a_study_from_a_file_costs_little_more_than_its_estimators(measured, tmp_path: Path) -> None:
    (tmp_path / "panels").mkdir()
    (tmp_path / "studies").mkdir()
    panel().to_stata(tmp_path / "panels" / "thesis.dta", write_index=False)
    path = tmp_path / "studies" / "thesis.yaml"
    path.write_text(
        "study: thesis\ntitle: Thesis\npanel: {file: panels/thesis.dta, unit: city, time: year, treatment: did}\n"
        "variables: all\noutcomes: [y]\ncontrols: [a, b, c, d]\nexhibits: standard\n"
    )
    names = spec.known()
    start = time.process_time()
    study = spec.load(path, names)
    results = run_study(study, assemble(study, names.places).panel, is_sample=False)
    ours = time.process_time() - start
    start = time.process_time()
    by_hand = _by_hand(pd.read_stata(tmp_path / "panels" / "thesis.dta"))
    theirs = time.process_time() - start
    measured("study from a file, 281 x 16, standard set", ours, "the same estimators by hand", theirs)
    estimate = results["table_2"].models["(2)"].table.loc["did", "estimate"]
    assert estimate == pytest.approx(by_hand, rel=1e-9)
    assert ours < 1.5 * theirs


def _by_hand(rows: pd.DataFrame) -> float:
    """The estimators of the standard set in a row, as a script calls them; the effect of the full regression."""
    rows["adoption"] = rows["year"].where(rows["did"] == 1).groupby(rows["city"]).transform("min")
    controls = ["a", "b", "c", "d"]
    rows[["y", "did", *controls]].describe()
    did.two_way(rows, "y", "did", **KEYS)
    full = did.two_way(rows, "y", "did", controls, **KEYS)
    did.event_study(rows, "y", "adoption", controls, **KEYS, leads=4, lags=4, base=-1)
    did.placebo(rows, "y", "adoption", controls, **KEYS, draws=500, seed=0)
    did.bacon(rows, "y", "adoption", **KEYS)
    did.two_way(rows, "y", "did", **KEYS)
    did.two_way(rows, "y", "did", controls, **KEYS)
    did.wild_bootstrap(rows, "y", "did", controls, **KEYS)
    did.callaway_santanna(rows, "y", "adoption", **KEYS)
    did.callaway_santanna(rows, "y", "adoption", controls, **KEYS)
    did.sun_abraham(rows, "y", "adoption", controls, **KEYS)
    did.imputation(rows, "y", "adoption", controls, **KEYS)
    did.synthetic(rows, "y", "did", **KEYS)
    return float(full.table.loc["did", "estimate"])

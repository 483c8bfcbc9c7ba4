"""A small study with a printed counterpart, its panel, and its results: enough for every kind of exhibit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.studies.published import Published, published
from analysis.studies.records import Known, Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_study
from analysis.studies.spec import load

NAMES = Known(
    columns={"trade_share": ("ratio", ""), "financial_depth": ("ratio", "")},
    city_columns=("city_code",),
    flags=("all",),
    cities=frozenset(),
    policies={"pilots": frozenset({"whole city"})},
)
STUDY = """\
study: trial
title: {en: "A trial of <pilots> & co", zh: 试验}
policy: pilots
treatment: did
sample: {cities: all, years: [2001, 2008]}
variables:
  - {name: y, from: trade_share, role: outcome, label: {en: 50% of y_1, zh: 结果}}
  - {name: x, from: financial_depth, role: control}
  - {name: twice, from: financial_depth, role: control}
  - {name: gone, from: financial_depth, role: control, label: {en: Absent, zh: 缺失}}
groups: [{name: large, at_least: {x: 0}, label: {en: Large city, zh: 大城市}}]
outcomes: [y]
controls: [x]
cluster: unit
fixed_effects: [unit, time]
exhibits:
  table_1: {kind: descriptive, variables: [y, did, gone], published: table_1}
  table_2:
    kind: regression
    title: {en: Baseline, zh: 基准回归}
    constant: true
    published: table_2
    columns:
      - {label: "(1)", outcome: y, drop: all controls}
      - {label: "(2)", outcome: y}
      - {label: "(3)", outcome: y, controls: [gone]}
  figure_1: {kind: event_study, outcomes: [y], base: -1, leads: 2, lags: 2}
  figure_2:
    kind: placebo
    baseline: {options: {draws: 60}}
    columns: [{label: y, outcome: y}, {label: gone, outcome: y, controls: [gone]}]
  table_3: {kind: bacon, published: table_3, columns: [{label: y, outcome: y, drop: all controls}]}
  table_3_both:
    kind: bacon
    columns: [{label: y, outcome: y, drop: all controls}, {label: "y, x", outcome: y}, {label: z, outcome: gone}]
  table_4: {kind: estimators, outcomes: [y], methods: [two_way, wild_bootstrap, callaway_santanna, imputation]}
  table_5:
    kind: honest
    baseline: {options: {leads: 3, lags: 2}}
    columns: [{label: y, outcome: y}, {label: gone, outcome: y, controls: [gone]}]
  table_6: {kind: balance, columns: [{label: kernel, options: {matching: kernel, covariates: [x]}}]}
  table_7:
    kind: regression
    published: table_7
    columns:
      - {label: "(1)", outcome: y, heading: {en: Large}, sample: {where: {large: 1}}}
      - {label: "(2)", outcome: y, heading: {en: Small}, sample: {where: {large: 0}}}
      - {label: "(3)", outcome: y, anticipation: [1], controls: [x, twice]}
      - {label: "(4)", outcome: y, interaction: {name: did_x_large, with: large, main_effect: false}}
    compare: {by: large, permutations: 19}
"""
PRINTED = """\
study: trial
exhibits:
  table_1:
    models:
      did: {exact: [mean], terms: {obs: 160, mean: 0.25, sd: 0.4343, min: 0, max: 1}}
  table_2:
    notes: [A note of the paper.]
    models:
      "(1)": {n: 160, r2: 0.5, exact: [n], terms: {did: [0.4, 0.1, 3], const: [0.2, 0.05]}}
      "(3)": {n: 150, terms: {did: [0.5, 0.2, 2], const: [0.3, 0.1]}}
  table_3:
    models:
      treated against never treated: {exact: [weight], terms: {weight: 1.0, estimate: 0.4}}
  table_7:
    models:
      "(1)": {terms: {did: [0.4, 0.1, 3]}}
"""


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("studies")
    (folder / "published").mkdir()
    (folder / "published" / "trial.yaml").write_text(PRINTED, encoding="utf-8")
    (folder / "trial.yaml").write_text(STUDY, encoding="utf-8")
    return load(folder / "trial.yaml", NAMES)


@pytest.fixture(scope="session")
def printed(study: Study) -> Published:
    return published("trial", study.file.parent / "published")


@pytest.fixture(scope="session")
def panel() -> pd.DataFrame:
    """20 cities, 8 years, half of them treated from the fifth year: a quarter of the rows."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [[f"{code}0000" for code in range(11, 31)], range(2001, 2009)], names=["city_code", "year"]
    )
    panel = index.to_frame(index=False)
    panel["adoption"] = np.where(panel["city_code"] < "210000", 2005.0, np.nan)
    panel["did"] = (panel["year"] >= panel["adoption"]).astype(float)
    panel["x"] = rng.normal(size=len(panel))
    panel["y"] = 0.5 * panel["did"] + 0.1 * panel["x"] + rng.normal(size=len(panel)) / 10
    panel["twice"] = 2 * panel["x"]
    panel["x__imputed"] = panel["year"] == 2003
    return panel


@pytest.fixture(scope="session")
def results(study: Study, panel: pd.DataFrame) -> dict[str, ExhibitResult]:
    return run_study(study, panel, is_sample=True)


@pytest.fixture(scope="session")
def observed(study: Study, panel: pd.DataFrame) -> dict[str, ExhibitResult]:
    return run_study(study, panel, is_sample=False)


@pytest.fixture(scope="session")
def truth() -> pd.DataFrame:
    return pd.DataFrame({"exhibit": ["table_2"], "model": ["(1)"], "term": ["did"], "truth": [0.5]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "site"

"""A clean study made on purpose: a simulated panel without faults, and printed figures that are its own, rounded.

The audit must be silent on it; each test of a rule breaks one thing.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.agreement import second_opinions
from analysis.audit import Inputs
from analysis.studies.published import Published, published
from analysis.studies.records import Known, Study
from analysis.studies.run import run_study
from analysis.studies.spec import load

CITIES, YEARS, FIRST = 300, 10, 2001
COLUMNS = (
    *("green_patents_granted", "new_firms_per_100", "industry_share", "information_employment_percent"),
    *("population_resident_10k", "landlines_1984_per_100", "real_gdp_per_capita_yuan"),
)
NAMES = Known(
    columns=dict.fromkeys(COLUMNS, ("ratio", "")),
    city_columns=("city_code", "region"),
    flags=("all",),
    cities=frozenset(),
    policies={"pilots": frozenset({"whole city", "county"}), "others": frozenset({"whole city"})},
)
STUDY = """\
study: calm
title: {en: A calm study, zh: 平静的研究}
policy: pilots
treatment: did
sample: {cities: all, years: [2001, 2010]}
winsorize: null
variables:
  - {name: y, from: green_patents_granted, role: outcome}
  - {name: y2, from: new_firms_per_100, role: mechanism}
  - {name: share, from: industry_share, role: control}
  - {name: percent, from: information_employment_percent, role: control}
  - {name: size, from: population_resident_10k, log: true, role: control}
  - {name: lines, from: landlines_1984_per_100, role: instrument}
efficiency:
  eff:
    inputs: [industry_share]
    outputs: [population_resident_10k]
    bad_outputs: [information_employment_percent, real_gdp_per_capita_yuan]
policies: [{name: other, policy: others}]
groups: [{name: large, at_least: {size: 3}}]
weights: {contiguity: {kind: contiguity}}
outcomes: [y]
controls: [share, percent, size]
cluster: unit
fixed_effects: [unit, time]
exhibits:
  table_1: {kind: descriptive, variables: [y, y2, did, share, percent, size], published: table_1}
  table_2:
    kind: regression
    constant: true
    show: all
    published: table_2
    columns: [{label: "(1)", outcome: y, drop: all controls}, {label: "(2)", outcome: y}]
  figure_1: {kind: event_study, outcomes: [y], base: -1, leads: 3, lags: 3, published: figure_1}
  table_3:
    kind: regression
    show: all
    published: table_3
    columns: [{label: "(1)", outcome: y, add: [other]}, {label: "(2)", outcome: y2, add: [other]}]
  table_4:
    kind: regression
    constant: true
    published: table_4
    columns:
      - {label: "(1)", outcome: y, sample: {where: {region: east}}}
      - {label: "(2)", outcome: y, sample: {where: {region: west}}}
  table_5: {kind: bacon, published: table_5, columns: [{label: y, outcome: y, drop: all controls}]}
  table_6: {kind: regression, published: table_6, constant: true, columns: [{label: "(1)", outcome: y2}]}
  table_7:
    kind: regression
    published: table_7
    columns: [{label: "(1)", outcome: y, interaction: {name: did_x_large, with: large}}]
  table_8: {kind: regression, published: table_8, columns: [{label: "(1)", outcome: y, anticipation: [1]}]}
  table_9:
    kind: regression
    published: table_9
    baseline: {outcome: y}
    columns:
      - {label: first, method: two_stage, options: {instrument: lines, since: 2005, stage: first}}
      - {label: second, method: two_stage, options: {instrument: lines, since: 2005, stage: second}}
  table_10:
    kind: regression
    published: table_10
    baseline: {outcome: y}
    columns: [{label: "(1)", options: {convention: within}}, {label: "(2)", options: {convention: absorbed}}]
  table_11: {kind: moran, published: table_11, columns: [{label: y, outcome: y, weights: [contiguity]}]}
  table_12:
    kind: spatial_panel
    published: table_12
    columns: [{label: sar, outcome: y, weights: contiguity, options: {model: sar}}]
  table_13:
    kind: spatial_effects
    published: table_13
    columns: [{label: sar, outcome: y, weights: contiguity, options: {model: sar}}]
"""
#: What is not estimated here: a Moran's I, a rho and its effects that agree with each other.
SPATIAL = """\
  table_11: {models: {"2001": {terms: {contiguity: 0.300, contiguity p: 0.000}}}}
  table_12:
    models: {sar: {n: 3000, terms: {did: [0.4988, 0.0300, 3], rho: [0.1000, 0.0310, 3]}}}
  table_13: {models: {sar: {terms: {direct: [0.5000, 0.0300, 3], indirect: [0.0501, 0.0200, 2], total: 0.5502}}}}
"""
TEXT = """\
text:
  cities: 300
  years: [2001, 2010]
  treated_cities: 40
  winsorized: [0.01, 0.99]
  event_studies: {figure_1: {base: -1, leads: 3, lags: 3}}
  definitions:
    - {variable: share, says: a share, scale: share, from: industry_share}
    - {variable: percent, says: a percentage, scale: percent, from: information_employment_percent}
    - {variable: size, says: ln of people, scale: log, from: population_resident_10k, unit: "10,000 people"}
  units: {information_employment_percent: 10 t, real_gdp_per_capita_yuan: 10 t}
  claims:
    - {says: it works, exhibit: table_2, terms: [did], level: 0.01, sign: 1, columns: 2}
    - {says: "it is BASE", exhibit: table_2, models: ["(2)"], terms: [did], estimate: BASE}
    - {says: Moran is between, exhibit: table_11, terms: [contiguity], within: [0.29, 0.31]}
    - says: larger than nothing
      exhibit: table_2
      models: ["(2)"]
      terms: [did]
      larger_than: {exhibit: table_6, model: "(1)", term: did}
    - says: like the baseline
      exhibit: table_3
      models: ["(1)"]
      terms: [did]
      close_to: {exhibit: table_2, model: "(2)", term: did}
"""


def simulate(
    *, noise: float = 0.3, adopters: tuple[tuple[int, int], ...] = ((2005, 20), (2006, 20)), seed: int = 1
) -> pd.DataFrame:
    """A panel with parallel trends, an effect of 0.5 on y and 0.2 on y2, and controls that nothing moves."""
    rng = np.random.default_rng(seed)
    codes = [f"{1000 + city}00" for city in range(CITIES)]
    panel = pd.MultiIndex.from_product([codes, range(FIRST, FIRST + YEARS)], names=["city_code", "year"])
    panel = panel.to_frame(index=False)
    first = np.repeat([year for year, _ in adopters], [count for _, count in adopters]).astype(float)
    adoption = rng.permutation(np.concatenate([first, np.full(CITIES - len(first), np.nan)]))
    # the other policy is likelier in treated cities, so that it moves the coefficient
    other = np.where(rng.random(CITIES) < np.where(np.isnan(adoption), 0.2, 0.6), 2006.0, np.inf)
    panel["adoption"] = np.repeat(adoption, YEARS)
    panel["did"] = (panel["year"] >= panel["adoption"]).astype(float)
    panel["other"] = (panel["year"] >= np.repeat(other, YEARS)).astype(float)
    level, size = np.repeat(rng.normal(size=CITIES), YEARS), np.repeat(rng.normal(3, 1, CITIES), YEARS)
    n = len(panel)
    panel["share"] = np.clip(0.4 + 0.05 * rng.normal(size=n), 0.3, 0.5)
    panel["percent"] = np.clip(5 + rng.normal(size=n), 3, 7)
    panel["size"] = np.clip(size + 0.2 * rng.normal(size=n), 1, 5)
    lines = np.where(np.isnan(adoption), 3.0, 8.0) + 4 * rng.normal(size=CITIES)
    panel["lines"] = np.repeat(lines, YEARS)
    common = 0.3 * panel["share"] + 0.02 * panel["percent"] + 0.1 * panel["size"] + 0.2 * panel["other"]
    panel["y"] = level + common + 0.5 * panel["did"] + noise * rng.normal(size=n)
    panel["y2"] = level + common + 0.2 * panel["did"] + noise * rng.normal(size=n)
    return panel


def city_year_of(panel: pd.DataFrame) -> pd.DataFrame:
    """What the panel's variables were drawn from."""
    return pd.DataFrame(
        {
            "city_code": panel["city_code"],
            "year": panel["year"],
            "green_patents_granted": panel["y"],
            "new_firms_per_100": panel["y2"],
            "industry_share": panel["share"],
            "information_employment_percent": panel["percent"],
            "population_resident_10k": np.exp(panel["size"]),
            "landlines_1984_per_100": panel["lines"],
            # as spread as size, on another level
            "real_gdp_per_capita_yuan": np.exp(panel["size"] + 2),
        }
    )


def places(panel: pd.DataFrame) -> pd.DataFrame:
    """Cities scattered over a square, half of them in the east."""
    rng = np.random.default_rng(5)
    codes = panel["city_code"].unique()
    frame = pd.DataFrame({"city_code": codes, "longitude": rng.uniform(100, 120, len(codes))})
    frame["latitude"] = rng.uniform(25, 40, len(codes))
    frame["region"] = np.where(np.arange(len(codes)) % 2, "east", "west")
    return frame


def lists(panel: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The policy lists behind the panel."""
    treated = panel.drop_duplicates("city_code").dropna(subset=["adoption"])
    pilots = pd.DataFrame({"city_code": treated["city_code"], "adoption": treated["adoption"], "scope": "whole city"})
    return {"pilots": pilots.reset_index(drop=True)}


def print_figures(study: Study, estimates: pd.DataFrame) -> str:
    """The estimates as a paper prints them: four digits, stars, and no R² for two stages."""
    lines = ["study: calm", "exhibits:"]
    terms = {"table_5": {"weight", "estimate"}, "table_9": {"iv", "did", "kp_rk_lm", "kp_rk_wald_f"}}
    for exhibit, rows in estimates.groupby("exhibit", sort=False):
        if exhibit == "figure_1":
            continue
        lines += [f"  {exhibit}:", "    models:"]
        for model, part in rows.groupby("model", sort=False):
            kept = part[part["term"].isin(terms.get(exhibit, set(part["term"]))) & part["estimate"].notna()]
            if model == "all comparisons" or kept.empty:
                continue
            numbers = ", ".join(f"{row.term}: {_number(row)}" for row in kept.itertuples())
            n, r2 = part["n"].iloc[0], part["r2"].iloc[0]
            facts = f"n: {n:.0f}, " if np.isfinite(n) and exhibit not in ("table_1", "table_5") else ""
            facts += f"r2: {r2:.4f}, " if np.isfinite(r2) and exhibit not in ("table_9", "table_10") else ""
            lines.append(f'      "{model}": {{{facts}terms: {{{numbers}}}}}')
    return "\n".join(lines) + "\n"


def _number(row) -> str:
    if np.isnan(row.se):
        return f"{row.estimate:.4f}"
    t = abs(row.estimate) / row.se
    stars = sum(t > bound for bound in (1.6502, 1.9679, 2.5924))  # t with 299 degrees of freedom
    return f"[{row.estimate:.4f}, {row.se:.4f}, {stars}]"


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Inputs]:
    """The clean study's inputs; another panel may be handed in, the printed figures stay those of the clean one."""
    folder: Path = tmp_path_factory.mktemp("calm")
    (folder / "published").mkdir()
    (folder / "published" / "calm.yaml").write_text(
        "exhibits: {" + ", ".join(f"table_{number}: {{}}" for number in range(1, 14)) + ", figure_1: {}}",
        encoding="utf-8",
    )
    (folder / "calm.yaml").write_text(STUDY, encoding="utf-8")
    study = load(folder / "calm.yaml", NAMES)
    panel = simulate()
    kinds = ("descriptive", "regression", "bacon")
    own = _only(study, kinds)
    results = run_study(own, panel, is_sample=False, cities=places(panel))
    estimates = pd.concat([result.estimates for result in results.values()], ignore_index=True)
    agreement = second_opinions(own, "table_2", panel, estimates, cities=places(panel))
    base = estimates.query("exhibit == 'table_2' and model == '(2)' and term == 'did'")["estimate"].iloc[0]
    text = TEXT.replace("BASE", f"{base:.4f}")
    figures = print_figures(own, estimates) + "  figure_1: {}\n" + SPATIAL + text
    (folder / "published" / "calm.yaml").write_text(figures, encoding="utf-8")
    printed: Published = published("calm", folder / "published")

    def inputs(panel: pd.DataFrame = panel, study: Study = study, printed: Published = printed) -> Inputs:
        return Inputs(
            study=study,
            printed=printed,
            panel=panel,
            estimates=estimates,
            city_year=city_year_of(panel),
            cities=places(panel),
            pilots=lists(panel),
            agreement=agreement,
        )

    inputs.simulate = simulate  # type: ignore[attr-defined]
    return inputs


def _only(study: Study, kinds: tuple[str, ...]) -> Study:
    return replace(study, exhibits=tuple(exhibit for exhibit in study.exhibits if exhibit.kind in kinds))


@pytest.fixture(scope="session")
def clean(make) -> Inputs:
    """The clean study."""
    return make()

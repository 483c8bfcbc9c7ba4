"""Writing a sample world to a folder, with its truth and its ledger of faults beside it.

What is true is decided in world.py; how each source looks in its own module. A further source is one more module and
one more step here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.simulation import cases, faults, patents, small_books, yearbook
from analysis.simulation.policy import AI_CONTROLS, ENERGY_CONTROLS
from analysis.simulation.truth import Truth, true_effect
from analysis.simulation.world import CONTROLS, MECHANISMS, OUTCOMES, World, draw_world

NOTICE = """SAMPLE DATA 样本数据

Everything in this folder was simulated by the project itself (analysis.simulation, seed {seed}). City names, codes and
policy dates are real; every number, applicant and address is made up. Do not cite, and do not mix with real files.
本文件夹内全部数字、申请人和地址均由程序生成，不是统计数据。
"""
TRUTH_NOTICE = """
This subfolder is the answer key, not a source: nothing of it is ingested.
truth.parquet   city_code, year, adoption (first treated year of the clusters, blank if never), ai_adoption (of the AI
                zones), and for each outcome _y0 in the twin world without its policy (same draws), _y1 as observed,
                _tau = y1 - y0. Clusters: gti1, gti2 (thousands of green applications), eship, techhum, fintech, eff
                (energy efficiency). AI zones: ulgue (land green use efficiency), lso (ln staff with a degree).
                Scores are those of the exact figures, missing outside a study's cities and years. A policy moves the
                frontier, so scores of cities without it change a little too: their _tau is not zero.
                In the world with spillovers _spilled is the part of _tau that comes from neighbours' policies.
faults.csv      every error planted in the yearbooks: file, sheet, row, column, the rule that must catch it, the value.
ip_cases.parquet
                where court cases are written: intellectual property cases concluded by city and year (100000: nation).
case_faults.csv, patent_faults.csv
                every row of the court cases and of the patents that must not count: file, row, the rule that must
                catch it.
True effect of an estimator: its own estimand, for the two-way regression the sum of w_it tau_it with w the residualised
treatment weights (analysis.simulation.true_effect). On the studies' own samples with their controls:
"""

#: Applies a function to the elements of sequences and yields in their order what it returned, as `map` does.
Spread = Callable[..., Iterable[Any]]


def write_sample(
    folder: Path,
    *,
    cities: pd.DataFrame,
    clusters: pd.DataFrame,
    seed: int = 0,
    progress: Callable[[str], None] = print,
    years: Sequence[int] | None = None,
    ai_zones: pd.DataFrame | None = None,
    courts: pd.DataFrame | None = None,
    spillover: float = 0.0,
    spread: Spread = map,
) -> Truth:
    """Write yearbooks, telephones of 1984, exchange rates, patents, court cases, the truth and the ledgers of faults.

    The same arguments give the same bytes. Files of the same names are replaced, others left alone.

    Parameters
    ----------
    folder
        Made if absent; gets yearbook/, patents/, cases/ and _truth/, each with a SAMPLE_DATA.txt, as the folder itself
        has.
    cities
        data/reference/cities.csv; some rows of it give a smaller world.
    clusters
        data/policies/innovative_clusters.csv: ``city_code`` and ``adoption``.
    progress
        Called with one line for each step.
    years
        Years to write yearly files for (when None, yearbooks of 2000-2023 and patents of 2005-2023); the world, and so
        the truth, is the same whatever the choice.
    ai_zones
        data/policies/ai_pilot_zones.csv: ``city_code`` and ``adoption``. None: that policy does not exist.
    courts
        data/reference/courts.csv, all as text. None: no court cases are written.
    spillover
        Share of the land and electricity that AI zones save which a city with only such neighbours saves too.
    spread
        How files are written, one a year: `map` in this process, that of a pool in several; the bytes are the same.

    Raises
    ------
    ValueError
        Years outside the world, or lists of cities that cannot be used.
    """
    world = draw_world(cities, clusters, seed, ai_zones, spillover)
    chosen = [int(year) for year in (world.years if years is None else years)]
    unknown = sorted(set(chosen) - set(world.years.tolist()))
    if unknown:
        raise ValueError(
            f"The sample world has no year {unknown[0]}; it runs from {world.years[0]} to {world.years[-1]}."
        )
    for part in ("", "yearbook", "patents", "_truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "SAMPLE_DATA.txt").write_text(NOTICE.format(seed=seed), encoding="utf-8")
    found = write_yearbooks(world, folder / "yearbook", chosen, progress, spread)
    planted = write_patents(world, folder / "patents", chosen, progress, spread)
    _write_ledger(planted, patents.PatentFault, folder / "_truth" / "patent_faults.csv")
    if courts is not None:
        write_cases(world, courts, folder, chosen, progress, spread)
    small_books.write_telephones(world, folder / "yearbook" / small_books.TELEPHONES)
    small_books.write_exchange_rate(folder / "yearbook" / small_books.EXCHANGE_RATE)
    truth = truth_of(world, faults.ledger(found))
    write_truth(truth, folder / "_truth")
    progress(truth.summary())
    return truth


def write_yearbooks(
    world: World, folder: Path, years: Sequence[int], progress: Callable[[str], None] = print, spread: Spread = map
) -> list[faults.Fault]:
    """One workbook a year, faults included; returns the faults, files named relative to the folder above."""
    found = []
    for name, sheets, planted in spread(partial(_write_yearbook, world, folder), years):
        found += planted
        progress(f"sample world: {name}, {sheets} sheets")
    return found


def _write_yearbook(world: World, folder: Path, year: int) -> tuple[str, int, list[faults.Fault]]:
    pages = yearbook.build(world, year)
    name = f"{year}年地级市统计年鉴.xlsx"
    found = faults.plant(world, pages, f"{folder.name}/{name}", faults.by_year(faults.plan(world)).get(year, []))
    yearbook.write(pages, folder / name)
    return name, len(pages), found


def write_patents(
    world: World, folder: Path, years: Sequence[int], progress: Callable[[str], None] = print, spread: Spread = map
) -> list[patents.PatentFault]:
    """One CSV a filing year; returns the planted rows, files named relative to the folder above."""
    found = []
    chosen = sorted(set(years) & set(patents.YEARS.tolist()))
    written = spread(partial(patents.write, world), chosen, [folder / f"{year}.csv" for year in chosen])
    for year, (count, planted) in zip(chosen, written, strict=True):
        found += planted
        progress(f"sample world: patents {year}, {count:,} records")
    return found


def write_cases(
    world: World,
    courts: pd.DataFrame,
    folder: Path,
    years: Sequence[int],
    progress: Callable[[str], None] = print,
    spread: Spread = map,
) -> pd.DataFrame:
    """cases/<year>.csv, and in _truth the counts by city and the planted rows; returns the counts.

    ``city_code`` (100000: the nation, with cases of courts that belong to no city), ``year``, ``ip_cases``.
    """
    for part in ("cases", "_truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "cases" / "SAMPLE_DATA.txt").write_text(NOTICE.format(seed=world.seed), encoding="utf-8")
    planted: list[cases.CaseFault] = []
    national: dict[int, int] = {}
    chosen = sorted(set(years) & set(cases.YEARS.tolist()))
    files = [folder / "cases" / f"{year}.csv" for year in chosen]
    written = spread(partial(cases.write, world, courts), chosen, files)
    for year, (rows, found, national[year]) in zip(chosen, written, strict=True):
        planted += found
        progress(f"sample world: cases {year}, {rows:,} judgments")
    counts = world.long({"ip_cases": cases.true_counts(world)[0]})[["city_code", "year", "ip_cases"]]
    nation = pd.DataFrame({"city_code": "100000", "year": list(national), "ip_cases": list(national.values())})
    counts = pd.concat([counts[counts.year.isin(list(national))], nation], ignore_index=True)
    counts.to_parquet(folder / "_truth" / "ip_cases.parquet", index=False)
    _write_ledger(planted, cases.CaseFault, folder / "_truth" / "case_faults.csv")
    return counts


def _write_ledger(faults: Sequence[Any], kind: type, path: Path) -> None:
    """One line a planted row (instances of the data class ``kind``), in the order of the files."""
    columns = [field.name for field in fields(kind)]
    frame = pd.DataFrame([asdict(fault) for fault in faults], columns=columns)
    frame.to_csv(path, index=False, lineterminator="\n")


def truth_of(world: World, ledger: pd.DataFrame) -> Truth:
    """The truth of a world, with the estimand of each outcome on the study's own panel."""
    columns = {}
    for name in OUTCOMES:
        columns[f"{name}_y0"] = world.without_policy[name] / 1000
        columns[f"{name}_y1"] = world.applications(name) / 1000
        columns[f"{name}_tau"] = world.effects[name] / 1000
    for name, (without, observed) in world.outcomes.items():
        columns[f"{name}_y0"], columns[f"{name}_y1"] = without, observed
        columns[f"{name}_tau"] = observed - without
    columns |= {f"{name}_spilled": values for name, values in world.spilled.items()}
    table = world.long(columns)
    table.insert(3, "ai_adoption", world.long({}, world.ai_adoption).adoption)
    panel, ai_panel = world.panel(), world.ai_panel()
    effects = {name: true_effect(panel, table, name, CONTROLS) for name in (*OUTCOMES, *MECHANISMS)}
    effects["eff"] = true_effect(panel, table, "eff", ENERGY_CONTROLS)
    for name in ("ulgue", "lso"):
        if name in world.outcomes:
            effects[name] = true_effect(ai_panel, table, name, AI_CONTROLS, treatment="ai")
    return Truth(table=table, panel=panel, ai_panel=ai_panel, effects=effects, faults=ledger, seed=world.seed)


def write_truth(truth: Truth, folder: Path) -> None:
    """truth.parquet, faults.csv and a README in ``folder``."""
    truth.table.to_parquet(folder / "truth.parquet", index=False)
    truth.faults.to_csv(folder / "faults.csv", index=False, lineterminator="\n")
    lines = "".join(f"  {name}: {value:.4f}\n" for name, value in truth.effects.items())
    lines += "Cities without the policy, change of their score: mean, mean of absolute values, largest\n"
    moved = truth.controls_moved()
    lines += "".join(
        f"  {row.Index}: {row.mean:.5f}, {row.absolute:.5f}, {row.largest:.4f}\n" for row in moved.itertuples()
    )
    (folder / "README.txt").write_text(NOTICE.format(seed=truth.seed) + TRUTH_NOTICE + lines, encoding="utf-8")

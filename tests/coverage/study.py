"""The coverage study: thousands of simulated panels, every estimator's interval against its own estimand.

Run by `make coverage`; an interrupted run goes on where it stopped. Writes coverage.csv, bias.csv, slice.csv and
README.md beside this file. What is drawn and estimated is in cells.py.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from cells import CELLS, CONSERVATIVE, DESCRIPTION, EXACT, design_hash, run_panel

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
#: Panels a process takes at a time, and panels of each cell that slice.csv keeps one by one.
CHUNK, SLICE = 50, 3
#: A finished chunk is used again as long as none of these changes.
CODE = (
    "analysis/did",
    "analysis/iv",
    "analysis/matching",
    "analysis/estimation_sample.py",
    "analysis/fixed_effects.py",
    "analysis/results.py",
    "analysis/simulation/panels.py",
    "tests/coverage/cells.py",
)
LABEL = ["cell", "estimator", "quantity", "estimand", "rule"]


def run(folder: Path, processes: int) -> pd.DataFrame:
    """All rows of all panels, `cells.Row` with ``cell`` and ``panel``."""
    folder.mkdir(exist_ok=True, parents=True)
    code, tasks, paths = _code_hash(), [], []
    for number, cell in enumerate(CELLS):
        for first in range(0, cell.panels, CHUNK):
            last = min(first + CHUNK, cell.panels)
            path = folder / f"{code}-{number:02d}-{first:05d}-{last:05d}.parquet"
            paths.append(path)
            if not path.exists():
                tasks.append((number, first, last, path))
    used: dict[str, tuple[int, float]] = {}
    with ProcessPoolExecutor(processes, initializer=os.nice, initargs=(10,)) as pool:
        for done in as_completed([pool.submit(_run_chunk, *task) for task in tasks]):
            name, panels, seconds = done.result()
            before, cpu = used.get(name, (0, 0.0))
            used[name] = before + panels, cpu + seconds
            print(f"{name}: {used[name][0]} panels, {used[name][1]:.0f} s", flush=True)
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


def _run_chunk(number: int, first: int, last: int, path: Path) -> tuple[str, int, float]:
    """Panels first..last - 1 of a cell, written to ``path`` once all are done."""
    start = time.process_time()
    rows = pd.concat([run_panel(CELLS[number], panel) for panel in range(first, last)], ignore_index=True)
    partial = path.with_suffix(".part")
    rows.to_parquet(partial)
    partial.rename(path)
    return CELLS[number].name, last - first, time.process_time() - start


def _code_hash() -> str:
    places = [ROOT / name for name in CODE]
    files = chain.from_iterable([place] if place.suffix else sorted(place.glob("*.py")) for place in places)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def coverage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a quantity: mean truth and estimate, spread, coverage, its Monte Carlo error, whether the rule holds."""
    rows = rows[rows["rule"] != DESCRIPTION]
    grouped = rows.assign(deviation=rows["estimate"] - rows["truth"]).groupby(LABEL, sort=False)
    table = pd.DataFrame(
        {
            "panels": grouped["covered"].size(),
            "truth": grouped["truth"].mean(),
            "estimate": grouped["estimate"].mean(),
            "bias": grouped["deviation"].mean(),
            "sd": grouped["deviation"].std(),
            "mean_se": grouped["se"].mean(),
            "coverage": grouped["covered"].mean(),
        }
    ).reset_index()
    table["error"] = np.sqrt(0.95 * 0.05 / table["panels"])
    table["holds"] = [holds(*line) for line in table[["rule", "coverage", "error"]].itertuples(index=False)]
    return table.assign(design=design_hash())


def holds(rule: str, coverage: float, error: float) -> str:
    """Yes or no for a rule that is asserted, empty for what is only reported."""
    if rule == EXACT:
        return "yes" if abs(coverage - 0.95) <= 3 * error else "no"
    if rule == CONSERVATIVE:
        return "yes" if coverage >= 0.94 else "no"
    return ""


def bias_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line an estimator of the average effect on the treated: its distance from it, and the distance's error.

    The numbers without an interval (weights and estimates of the Bacon decomposition, first-stage F) stand below.
    """
    aimed = rows[rows["att"].notna()].drop_duplicates(["cell", "panel", "estimator", "quantity"])
    grouped = aimed.assign(bias=aimed["estimate"] - aimed["att"]).groupby(["cell", "estimator"], sort=False)
    table = pd.DataFrame(
        {
            "quantity": "average effect on the treated",
            "panels": grouped.size(),
            "att": grouped["att"].mean(),
            "estimate": grouped["estimate"].mean(),
            "bias": grouped["bias"].mean(),
            "error": grouped["bias"].sem(),
        }
    ).reset_index()
    others = rows[rows["rule"] == DESCRIPTION].groupby(["cell", "estimator", "quantity"], sort=False)["estimate"]
    described = pd.DataFrame({"panels": others.size(), "estimate": others.mean(), "error": others.sem()}).reset_index()
    return pd.concat([table, described], ignore_index=True)


def slice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The first panels of each cell, one line a number, at full precision."""
    return rows.loc[rows["panel"] < SLICE, ["cell", "panel", *LABEL[1:], "estimate", "se", "truth", "covered"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=HERE / "chunks", help="where finished chunks are kept")
    arguments = parser.parse_args()
    rows = run(arguments.folder, arguments.processes)
    coverage_table(rows).to_csv(HERE / "coverage.csv", index=False, float_format="%.6g")
    bias_table(rows).to_csv(HERE / "bias.csv", index=False, float_format="%.6g")
    slice_table(rows).to_csv(HERE / "slice.csv", index=False)
    from report import write_readme

    write_readme(HERE)
    missed = int((coverage_table(rows)["holds"] == "no").sum())
    print(f"{missed} of the coverages asserted miss. See {HERE / 'README.md'}.")


if __name__ == "__main__":
    main()

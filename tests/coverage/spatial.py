"""The spatial simulation study: 2,000 panels a design, on matrices of the real 286 cities and on a ring.

Run by `make coverage` after the other study; finished designs are kept in `chunks/`. Writes spatial.csv and SPATIAL.md
beside this file. The panels themselves are those of `analysis.spatial.monte_carlo`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from analysis import spatial

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PANELS, SEED = 2000, 20240601
#: A finished design is used again as long as none of these changes.
CODE = ("analysis/spatial", "data/reference/cities.csv", "tests/coverage/spatial.py")


@dataclass(frozen=True)
class Design:
    """One line of panels: a matrix, a model, its correction, and whether the bounds are asserted.

    Where it is ``clustered``, x and the errors are autocorrelated within the unit, and standard errors are by unit.
    """

    name: str
    matrix: str
    model: str
    correction: str | None
    periods: int
    asserted: bool
    clustered: bool = False


DESIGNS = (
    Design("ring of 150, SAR", "ring", "sar", "transformation", 8, True),
    Design("ring of 150, SEM", "ring", "sem", "transformation", 8, True),
    Design("ring of 150, SDM", "ring", "sdm", "transformation", 8, True),
    Design("ring of 150, SLX", "ring", "slx", "transformation", 8, True),
    Design("ring of 150, SDM, direct correction", "ring", "sdm", "direct", 8, False),
    Design("ring of 150, SDM, no correction", "ring", "sdm", None, 8, False),
    Design("borders of 286 cities, SAR", "contiguity", "sar", "transformation", 9, True),
    Design("borders of 286 cities, SDM", "contiguity", "sdm", "transformation", 9, True),
    Design("500 km around 286 cities, SDM", "within 500 km", "sdm", "transformation", 9, False),
    Design("inverse distance of 286 cities, SAR", "inverse distance", "sar", "transformation", 9, False),
    Design("inverse distance of 286 cities, SDM", "inverse distance", "sdm", "transformation", 9, False),
    Design("ring of 150, SAR, by unit", "ring", "sar", "transformation", 8, True, clustered=True),
    Design("ring of 150, SEM, by unit", "ring", "sem", "transformation", 8, True, clustered=True),
    Design("ring of 150, SDM, by unit", "ring", "sdm", "transformation", 8, True, clustered=True),
)
#: Quantities whose coverage is asserted where the design is; indirect and total effects are nonlinear in rho.
DIRECT = ("x", "W:x", "rho", "lambda", "direct")


@cache
def matrix(name: str) -> spatial.Weights:
    """The weights matrix of a design, its rows summing to one."""
    if name == "ring":
        gap = np.abs(np.subtract.outer(np.arange(150), np.arange(150)))
        return spatial.Weights(sparse.csr_array((np.minimum(gap, 150 - gap) <= 2) * (gap > 0) / 4.0), range(150))
    cities = pd.read_csv(ROOT / "data" / "reference" / "cities.csv", dtype={"city_code": str})
    cities = cities[cities["panel_286"] == 1].set_index("city_code")
    if name == "contiguity":
        return spatial.contiguity(spatial.prefecture_polygons(list(cities.index)))
    if name == "within 500 km":
        return spatial.inverse_distance(cities, cutoff=500, isolated="nearest")
    return spatial.inverse_distance(cities)


def simulate(design: Design, panels: int) -> pd.DataFrame:
    """The table of one design, `MonteCarlo.table` with the design's name and how many panels gave no estimate."""
    found = spatial.monte_carlo(
        matrix(design.matrix),
        periods=design.periods,
        model=design.model,  # type: ignore[arg-type]
        bias_correction=design.correction,  # type: ignore[arg-type]
        panels=panels,
        autocorrelation=0.6 if design.clustered else 0.0,
        cluster="unit" if design.clustered else None,
        seed=SEED,
    )
    return found.table.assign(design=design.name, panels=found.panels, failed=found.failed)


def _kept(number: int, path: Path) -> str:
    partial = path.with_suffix(".part")
    simulate(DESIGNS[number], PANELS).to_parquet(partial)
    partial.rename(path)
    return DESIGNS[number].name


def _code_hash() -> str:
    places = [ROOT / name for name in CODE]
    files = [file for place in places for file in ([place] if place.suffix else sorted(place.glob("*.py")))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``rule`` (asserted or reported) and, where asserted, what ``holds``.

    Rho within 0.01 of the truth, direct effects within 2%, coverage of what is not a ratio within three Monte Carlo
    errors of 95%.
    """
    asserted = {design.name: design.asserted for design in DESIGNS}
    table = table.copy()
    table["rule"] = [
        "asserted" if asserted[name] and quantity in DIRECT else "reported"
        for name, quantity in table[["design", "quantity"]].itertuples(index=False)
    ]
    allowed = pd.Series(np.inf, index=table.index)
    allowed[table["quantity"].isin(["rho", "lambda"])] = 0.01
    allowed[table["quantity"] == "direct"] = 0.02 * table["truth"].abs()
    covered = (table["coverage"] - 0.95).abs() <= 3 * table["coverage_error"]
    holds = covered & (table["bias"].abs() <= allowed)
    table["holds"] = np.where(table["rule"] == "asserted", np.where(holds, "yes", "no"), "")
    return table


TEXT = """\
# Spatial panel models, where the truth is known

Written by `make coverage`; do not edit. {panels:,} panels a design: y = 0.4 W y + x + 0.3 W x + city + year + noise
(terms as the model has them), two-way effects, normal 95% intervals, effects with delta-method standard errors.
In designs *by unit* x and the noise have an autocorrelation of 0.6 within the unit, and standard errors are clustered
by it. *Asserted* (sparse matrices): rho within 0.01, direct effects within 2%, coverage within three Monte Carlo errors
(1.46 points) of 95%. Indirect and total effects, dense matrices and other corrections are *reported*.

## What this means for a reader

- Errors that are autocorrelated within a city need standard errors clustered by city, which hold what they promise.
- On borders or a ring the models find rho, and their intervals hold what they promise.
- Without the correction for the absorbed effects the error variance is estimated too small, and with it every standard
  error: the coverage of x falls below 95%. The direct correction mends the variance but counts n T observations for
  rho, whose standard error stays too small by about sqrt((T - 1) / T); the transformation, the default, has neither
  fault.
- An inverse distance matrix without a cutoff makes every row nearly the same average. Rho then has a standard error of
  about {dense_se:.2f} (borders: {sparse_se:.3f}): its interval is honest, but it says little. The indirect effect,
  which divides by 1 - rho, is off by {dense_bias:+.0%} on average; its standard deviation is {dense_sd:.0%} of it.
  A significant spillover from such a matrix deserves a second matrix beside it.

{tables}

## Run it again

`make coverage`. Panel k of a design has the seed {seed} + k.
"""


def readme(table: pd.DataFrame) -> str:
    """The text of SPATIAL.md."""
    dense = table[table["design"] == "inverse distance of 286 cities, SDM"].set_index("quantity")
    sparse_rho = table[table["design"] == "borders of 286 cities, SDM"].set_index("quantity").loc["rho"]
    shown = []
    for name, rows in table.groupby("design", sort=False):
        lost = int(rows["failed"].iloc[0])
        shown.append(f"## {name}\n" + (f"\n{lost} panels without an estimate (rho at the border).\n" if lost else ""))
        head = ["quantity", "truth", "mean", "bias", "sd", "mean_se", "coverage", "rule", "holds"]
        lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        for row in rows[head].itertuples(index=False):
            numbers = [f"{value:.4f}" for value in row[1:6]]
            lines.append("| " + " | ".join([row[0], *numbers, f"{row[6]:.2%}", row[7], row[8]]) + " |")
        shown.append("\n".join(lines) + "\n")
    indirect = dense.loc["indirect"]
    return TEXT.format(
        panels=PANELS,
        seed=SEED,
        dense_se=dense.loc["rho", "mean_se"],
        sparse_se=sparse_rho["mean_se"],
        dense_bias=indirect["bias"] / indirect["truth"],
        dense_sd=indirect["sd"] / indirect["truth"],
        tables="\n".join(shown).rstrip(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=HERE / "chunks", help="where finished designs are kept")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True, parents=True)
    code = _code_hash()
    paths = [arguments.folder / f"spatial-{code}-{number:02d}.parquet" for number in range(len(DESIGNS))]
    with ProcessPoolExecutor(arguments.processes, initializer=os.nice, initargs=(10,)) as pool:
        waiting = [pool.submit(_kept, number, path) for number, path in enumerate(paths) if not path.exists()]
        for done in as_completed(waiting):
            print(f"{done.result()}: {PANELS:,} panels", flush=True)
    table = verdicts(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))
    table.to_csv(HERE / "spatial.csv", index=False, float_format="%.6g")
    # from the stored digits, so that the page can be written again from the file
    (HERE / "SPATIAL.md").write_text(readme(read()), encoding="utf-8")
    print(f"{(table['holds'] == 'no').sum()} of what is asserted does not hold. See {HERE / 'SPATIAL.md'}.")


def read() -> pd.DataFrame:
    """The stored table."""
    return pd.read_csv(HERE / "spatial.csv", keep_default_na=False, na_values={"coverage": ""})


if __name__ == "__main__":
    main()

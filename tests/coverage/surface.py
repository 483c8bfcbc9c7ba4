"""The size of the test over a whole surface: worlds without an effect, and how often it finds one.

Run by `make coverage` after the other studies. Writes surface.csv beside this file: one row a world with the three p
values. What a world is stands in `world`; the surface is that of `analysis.studies.surface`.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from analysis.studies.records import Study

HERE = Path(__file__).resolve().parent
WORLDS, SEED, DRAWS = 1000, 20261130, 99
UNITS, YEARS = 40, 8
P_VALUES = ("median_p", "share_p", "p")


@cache
def study() -> Study:
    """A small study of the built-in sort: three controls, the choices that need no province or rank."""
    from analysis.studies import spec
    from analysis.studies.kinds.surface import Written
    from analysis.studies.records import Exhibit, Label

    whole = spec.load(spec.catalogue()["low_carbon_cities"])
    own = replace(whole, years=(2001, 2000 + YEARS), controls=("secondary", "fin", "fdi"))
    written = Written(
        outcomes=("co2_per_gdp",),
        scales=(),
        filling=(),
        longest_gap=(),
        listed=False,
        leave_out=("first_years", "last_years"),
        effects=(),
        clusters=(),
        estimators=(),
        draws=DRAWS,
    )
    exhibit = written.exhibit(Exhibit("surface", "surface", Label("", ""), None, None), own)
    return replace(own, exhibits=(exhibit,))


def world(number: int) -> pd.DataFrame:
    """A panel without an effect: twelve of forty units adopt in three batches, errors follow an autoregression of first
    order (0.5) whose spread differs between units, and controls move the outcome."""
    rng = np.random.default_rng([SEED, number])
    spread = np.exp(rng.normal(size=UNITS) / 2)
    errors = rng.normal(size=(UNITS, YEARS))
    for year in range(1, YEARS):
        errors[:, year] = 0.5 * errors[:, year - 1] + np.sqrt(0.75) * errors[:, year]
    controls = {
        name: rng.normal(size=(UNITS, 1)) + rng.normal(size=(UNITS, YEARS)) for name in ("secondary", "fin", "fdi")
    }
    y = rng.normal(size=(UNITS, 1)) + rng.normal(size=YEARS) + spread[:, None] * errors + 0.3 * sum(controls.values())
    adoption = np.full(UNITS, np.nan)
    adoption[rng.permutation(UNITS)[:12]] = np.repeat([2003, 2005, 2006], 4)
    panel = pd.DataFrame(
        {
            "city_code": np.repeat([f"{code:06d}" for code in range(UNITS)], YEARS),
            "year": np.tile(np.arange(2001, 2001 + YEARS), UNITS),
            "adoption": np.repeat(adoption, YEARS),
            "co2_per_gdp": y.ravel(),
            **{name: values.ravel() for name, values in controls.items()},
        }
    )
    return panel.assign(low_carbon=(panel["year"] >= panel["adoption"]).astype(float))


def run_world(number: int) -> tuple[float, float, float]:
    """The p values of one world: of the median, of the share of one sign, and of both."""
    from analysis.studies.surface.run import compute

    own = study()
    (surface,) = compute(own, own.exhibits[0].plan, world(number)).values()
    assert not isinstance(surface, str), surface
    return surface.joint.median_p, surface.joint.share_p, surface.joint.p


def read() -> pd.DataFrame:
    """The stored worlds."""
    return pd.read_csv(HERE / "surface.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--worlds", type=int, default=WORLDS)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes, initializer=os.nice, initargs=(10,)) as pool:
        found = list(pool.map(run_world, range(arguments.worlds), chunksize=20))
    table = pd.DataFrame(found, columns=list(P_VALUES)).rename_axis("world").reset_index()
    table.to_csv(HERE / "surface.csv", index=False, float_format="%.6g")
    sizes = ", ".join(f"{name} {(table[name] <= 0.05).mean():.1%}" for name in P_VALUES)
    print(f"{len(table)} worlds without an effect, rejected at 5%: {sizes}")


if __name__ == "__main__":
    main()

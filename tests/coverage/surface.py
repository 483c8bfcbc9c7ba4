"""The size of the test over a whole surface: worlds without an effect, and how often it finds one.

Run by `make coverage` after the other studies. Writes surface.csv beside this file: one row a world with the three p
values. What a world is stands in `world`; the surface is that of `analysis.studies.surface`.
"""

from __future__ import annotations

import argparse
import hashlib
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
ROOT = HERE.parent.parent
WORLDS, SEED, DRAWS = 1000, 20261130, 99
UNITS, YEARS = 40, 8
#: Worlds that are kept together once they are done.
CHUNK = 50
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
        winsorising=((0.05, 0.95),),
        dates=(1,),
        leave_out=("first_years",),
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


def _run_chunk(first: int, path: Path) -> None:
    if path.exists():
        return
    found = [run_world(number) for number in range(first, first + CHUNK)]
    table = pd.DataFrame(found, columns=list(P_VALUES), index=pd.RangeIndex(first, first + CHUNK, name="world"))
    partial = path.with_suffix(".part")
    table.reset_index().to_csv(partial, index=False, float_format="%.6g")
    partial.rename(path)


def _design() -> str:
    """A hash of the code that a world rests on: with another one everything is drawn anew."""
    places = [ROOT / "analysis" / "studies" / "surface", ROOT / "analysis" / "studies" / "kinds" / "surface.py"]
    places += [ROOT / "analysis" / "did" / "many.py", Path(__file__)]
    files = [file for place in places for file in (sorted(place.glob("*.py")) if place.is_dir() else [place])]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--worlds", type=int, default=WORLDS)
    arguments = parser.parse_args()
    folder = HERE / "chunks"
    folder.mkdir(exist_ok=True)
    # what is done is kept: a study that was stopped goes on
    chunks = {first: folder / f"surface-{_design()}-{first:05d}.csv" for first in range(0, arguments.worlds, CHUNK)}
    with ProcessPoolExecutor(arguments.processes) as pool:
        list(pool.map(_run_chunk, chunks, chunks.values()))
    table = pd.concat([pd.read_csv(path) for path in chunks.values()], ignore_index=True)
    table.to_csv(HERE / "surface.csv", index=False)
    sizes = ", ".join(f"{name} {(table[name] <= 0.05).mean():.1%}" for name in P_VALUES)
    print(f"{len(table)} worlds without an effect, rejected at 5%: {sizes}")


if __name__ == "__main__":
    main()

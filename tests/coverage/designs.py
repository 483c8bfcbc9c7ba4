"""The coverage of further designs: intervals of estimators that came after the first study, where the truth is known.

Run by `make coverage` after the others; ``--panels`` draws fewer. Writes designs.csv beside this file, with the number
of panels in every line. Panels are those of `analysis.simulation.panels`, numbered as there.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import did
from analysis.iv import two_stage
from analysis.simulation.panels import InstrumentDesign, PanelDesign, simulate_instrument, simulate_panel

HERE = Path(__file__).resolve().parent
TABLE = HERE / "designs.csv"
PANELS, SEED = 2000, 20261130
#: Panels in a file of `chunks/`; finished ones are used again as long as the code is the same.
STEP = 10
KEYS: dict[str, Any] = {"unit": "unit", "time": "time"}
#: Intervals that theory does not promise 95%: the reason.
REPORTED = {
    "mediation": "percentile intervals of a product are a little narrow",
    "two_stage, LIML, weak instruments": "weak instruments",
}
#: Intervals that are too wide: what their errors count that is no error.
CONSERVATIVE = {
    "stacked": "period dummies of the stack leave shocks of calendar years in the residuals, though not in the estimate"
}


class Line(NamedTuple):
    """One interval of one panel."""

    estimator: str
    estimate: float
    se: float
    low: float
    high: float
    truth: float


def _from_se(estimator: str, estimate: float, se: float, truth: float, freedom: float = np.inf) -> Line:
    margin = float(stats.t.ppf(0.975, freedom)) * se
    return Line(estimator, estimate, se, estimate - margin, estimate + margin, truth)


def _from_table(estimator: str, row: pd.Series, truth: float) -> Line:
    return Line(estimator, row["estimate"], row["se"], row["low"], row["high"], truth)


def lines(panel: int) -> Iterator[Line]:
    """Every interval of one panel."""
    frame = simulate_panel(PanelDesign(), [SEED, panel]).frame
    for name in ("extended_two_way", "stacked", "local_projections"):
        fit = getattr(did, name)(frame, "y", "adoption", **KEYS)
        yield _from_se(name, fit.att, fit.se, 1.0, fit.degrees_of_freedom)
    changed = did.switching(frame, "y", "treated", **KEYS, horizons=3).event.set_index("period")
    yield _from_table("switching, first period", changed.loc[0], 1.0)
    sections = did.callaway_santanna(frame, "y", "adoption", **KEYS, panel=False)
    yield _from_se("callaway_santanna, cross-sections", sections.att, sections.se, 1.0)

    generator = np.random.default_rng([SEED, panel, 1])
    eligible = generator.integers(0, 2, frame["unit"].max() + 1)[frame["unit"]]
    ever = frame["adoption"].notna().astype(float)
    shared = frame.assign(eligible=eligible, ever=ever, y=frame["y"] - (1 - eligible) * frame["treated"])
    triple = did.triple_difference(shared, "y", "ever", "eligible", "treated", **KEYS)
    yield _from_se("triple_difference", triple.att, triple.se, 1.0, triple.regression.degrees_of_freedom)

    strength = generator.uniform(0.5, 2, frame["unit"].max() + 1)[frame["unit"]]
    late = (frame["time"] >= 2005) & (ever == 1)
    doses = frame.assign(dose=strength * late, y=frame["y"] - frame["treated"] + strength * late)
    slope = did.dose(doses, "y", "dose", **KEYS)
    yield _from_se("dose, one more unit", slope.slope, slope.slope_se, 1.0)

    counts = frame.assign(
        y=generator.poisson(np.exp(1 + 0.2 * (frame["y"] - frame["treated"]) + 0.3 * frame["treated"]))
    )
    yield _from_table("poisson", did.poisson(counts, "y", "treated", **KEYS).table.loc["treated"], 0.3)

    mediator = 0.5 * frame["treated"] + generator.normal(size=len(frame))
    parts = did.mediation(
        frame.assign(m=mediator, y=frame["y"] + 0.6 * mediator), "y", "treated", "m", **KEYS, draws=199
    )
    yield _from_table("mediation", parts.table.loc["indirect"], 0.3)

    for name, design in (("", InstrumentDesign()), (", weak instruments", InstrumentDesign(strength=0.08))):
        instrumented = simulate_instrument(design, [SEED, panel, 2])
        fit = two_stage(instrumented, "y", ["treated"], ["z_post", "z2_post"], **KEYS)
        yield _from_table(f"two_stage, LIML{name}", fit.liml.loc["treated"], design.effect)


def chunk(numbers: range) -> pd.DataFrame:
    """Intervals of several panels."""
    return pd.DataFrame([line._asdict() for number in numbers for line in lines(number)])


def _kept(first: int, code: str) -> pd.DataFrame:
    """The intervals of ten panels, from the file that holds them or drawn and written there."""
    path = HERE / "chunks" / f"designs-{code}-{first:05d}.csv"
    if path.exists():
        return pd.read_csv(path)
    drawn = chunk(range(first, first + STEP))
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".part")
    drawn.to_csv(partial, index=False)
    partial.replace(path)
    return drawn


def _code_hash() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for folder in ("did", "iv", "simulation"):
        for path in sorted((HERE.parents[1] / "analysis" / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def table(drawn: pd.DataFrame) -> pd.DataFrame:
    """One row an estimator: coverage, what is asserted of it, and whether it holds within three Monte Carlo errors."""
    rows = []
    for name, part in drawn.groupby("estimator", sort=False):
        covered = ((part["low"] <= part["truth"]) & (part["truth"] <= part["high"])).mean()
        error = np.sqrt(0.95 * 0.05 / len(part))
        rule = "reported" if name in REPORTED else "conservative" if name in CONSERVATIVE else "exact"
        fine = covered >= 0.95 - 3 * error if rule == "conservative" else abs(covered - 0.95) <= 3 * error
        row = {
            "estimator": name,
            "panels": len(part),
            "truth": part["truth"].iloc[0],
            "mean_estimate": part["estimate"].mean(),
            "sd": part["estimate"].std(),
            "mean_se": part["se"].mean(),
            "coverage": covered,
            "monte_carlo_error": error,
            "rule": rule,
            "holds": "" if rule == "reported" else "yes" if fine else "no",
        }
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def main() -> None:
    """Draw, tabulate, write; with ``--seconds`` it stops in time and writes what it has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--panels", type=int, default=PANELS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=np.inf)
    given = parser.parse_args()
    started, parts, code = time.monotonic(), [], _code_hash()
    firsts = range(0, given.panels, STEP)
    with ProcessPoolExecutor(given.processes) as pool:
        for at in range(0, len(firsts), given.processes):
            some = firsts[at : at + given.processes]
            parts += pool.map(_kept, some, [code] * len(some))
            if time.monotonic() - started > given.seconds:
                break
    result = table(pd.concat(parts))
    result.to_csv(TABLE, index=False, lineterminator="\n")
    print(result.to_string())


if __name__ == "__main__":
    main()

"""The coverage of further designs: intervals of estimators that came after the first study, where the truth is known.

Run by `make coverage` after the others; ``--panels`` draws fewer. Writes designs.csv beside this file, with the number
of panels in every line. Panels are those of `analysis.simulation.panels`, numbered as there.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import did
from analysis.iv import two_stage
from analysis.simulation.panels import (
    Cohort,
    InstrumentDesign,
    PanelDesign,
    autoregression,
    simulate_instrument,
    simulate_panel,
)
from analysis.threshold import panel_threshold

HERE = Path(__file__).resolve().parent
TABLE = HERE / "designs.csv"
PANELS, SEED = 2000, 20261201
#: Panels in a file of `chunks/`; finished ones are used again as long as the code is the same.
STEP = 100
KEYS: dict[str, Any] = {"unit": "unit", "time": "time"}
#: Small, so that thousands can be drawn: forty units a cohort, eighty never treated.
DESIGN = PanelDesign(units=160, times=6, cohorts=(Cohort(3, 0.25), Cohort(5, 0.25)))
#: Intervals that theory does not promise 95%: the reason.
REPORTED = {
    "mediation": "percentile intervals of a product are a little narrow",
    "two_stage, LIML, weak instruments": "weak instruments",
    "two_way, by unit where neighbours share shocks": "the dependence is left out on purpose",
}
#: Intervals that are too wide: what their errors count that is no error.
CONSERVATIVE = {
    "stacked": "period dummies of the stack leave shocks of years in the residuals, though not in the estimate",
    "panel_threshold, threshold": "the likelihood ratio's limit is that of small breaks; others are found more surely",
}


class Line(NamedTuple):
    """One interval of one panel; of a test whose null is true, p in place of the estimate: it covers above 5%."""

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


def _from_test(estimator: str, rejects: bool) -> Line:
    nan = float("nan")
    return Line(estimator, nan, nan, nan if rejects else -np.inf, nan if rejects else np.inf, 0.0)


def _staggered(panel: int) -> pd.DataFrame:
    return simulate_panel(DESIGN, [SEED, panel]).frame


def staggered(name: str, panel: int) -> Iterator[Line]:
    """One of the estimators for staggered adoption, every effect 1."""
    fit = getattr(did, name)(_staggered(panel), "y", "adoption", **KEYS)
    yield _from_se(name, fit.att, fit.se, 1.0, fit.degrees_of_freedom)


def switching(panel: int) -> Iterator[Line]:
    """The effect in the first period of a change."""
    changed = did.switching(_staggered(panel), "y", "treated", **KEYS, horizons=2).event.set_index("period")
    yield _from_table("switching, first period", changed.loc[0], 1.0)


def sections(panel: int) -> Iterator[Line]:
    """The panel taken as repeated cross-sections of its units."""
    fit = did.callaway_santanna(_staggered(panel), "y", "adoption", **KEYS, panel=False)
    yield _from_se("callaway_santanna, cross-sections", fit.att, fit.se, 1.0)


def triple(panel: int) -> Iterator[Line]:
    """Half of the units are eligible, at random, and only they gain."""
    frame = _staggered(panel)
    eligible = np.random.default_rng([SEED, panel, 1]).integers(0, 2, DESIGN.units)[frame["unit"]]
    ever = frame["adoption"].notna().astype(float)
    shared = frame.assign(eligible=eligible, ever=ever, y=frame["y"] - (1 - eligible) * frame["treated"])
    fit = did.triple_difference(shared, "y", "ever", "eligible", "treated", **KEYS)
    yield _from_se("triple_difference", fit.att, fit.se, 1.0, fit.regression.degrees_of_freedom)


def dose(panel: int) -> Iterator[Line]:
    """Doses between one half and two from the fourth time on, each unit of dose adding 1."""
    frame = _staggered(panel)
    strength = np.random.default_rng([SEED, panel, 2]).uniform(0.5, 2, DESIGN.units)[frame["unit"]]
    given = strength * ((frame["time"] >= 2004) & frame["adoption"].notna())
    slope = did.dose(frame.assign(dose=given, y=frame["y"] - frame["treated"] + given), "y", "dose", **KEYS)
    yield _from_se("dose, one more unit", slope.slope, slope.slope_se, 1.0)


def poisson(panel: int) -> Iterator[Line]:
    """Counts whose log mean moves by 0.3."""
    frame = _staggered(panel)
    mean = np.exp(1 + 0.2 * (frame["y"] - frame["treated"]) + 0.3 * frame["treated"])
    counts = frame.assign(y=np.random.default_rng([SEED, panel, 3]).poisson(mean))
    yield _from_table("poisson", did.poisson(counts, "y", "treated", **KEYS).table.loc["treated"], 0.3)


def mediation(panel: int) -> Iterator[Line]:
    """Half of the effect moves a mediator that moves y by 0.6."""
    frame = _staggered(panel)
    mediator = 0.5 * frame["treated"] + np.random.default_rng([SEED, panel, 4]).normal(size=len(frame))
    whole = frame.assign(m=mediator, y=frame["y"] + 0.6 * mediator)
    parts = did.mediation(whole, "y", "treated", "m", **KEYS, draws=199)
    yield _from_table("mediation", parts.table.loc["indirect"], 0.3)


def instruments(name: str, strength: float, panel: int) -> Iterator[Line]:
    """Limited information maximum likelihood with two instruments."""
    design = InstrumentDesign(units=160, times=6, post=4, strength=strength)
    instrumented = simulate_instrument(design, [SEED, panel, 5])
    fit = two_stage(instrumented, "y", ["treated"], ["z_post", "z2_post"], **KEYS)
    yield _from_table(f"two_stage, LIML{name}", fit.liml.loc["treated"], design.effect)


def effective_f(panel: int) -> Iterator[Line]:
    """Two instruments just weak enough for a bias of 10% of the worst: called strong in one panel of twenty."""
    generator = np.random.default_rng([SEED, panel, 6])
    units, times = 160, 6
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), times), "time": np.tile(np.arange(times), units)})
    z, v, e = generator.normal(size=(units, times, 2)), *generator.normal(size=(2, units, times))
    left = z - z.mean(axis=1, keepdims=True)
    left = (left - left.mean(axis=0)).reshape(-1, 2)
    slope = np.linalg.solve(np.linalg.cholesky(left.T @ left).T, np.full(2, np.sqrt(10)))
    frame[["z", "z2"]], frame["x"] = z.reshape(-1, 2), (z @ slope + v).ravel()
    fit = two_stage(frame.assign(y=frame["x"] + (e + v).ravel()), "y", ["x"], ["z", "z2"], **KEYS)
    assert fit.effective_f is not None
    yield _from_test("two_stage, effective F at a bias of 10%", fit.effective_f.f > fit.effective_f.critical[0.1])


def neighbours(panel: int) -> Iterator[Line]:
    """Errors and policies shared with cities up to 90 km away, on a square of 1,500 km at the equator."""
    generator = np.random.default_rng([SEED, panel, 7])
    units, times = 160, 6
    place = generator.uniform(0, 1500, size=(units, 2))
    near = np.linalg.norm(place[:, None] - place, axis=2) <= 45
    mixed = near / np.sqrt(near.sum(axis=1))[:, None]
    error = mixed @ autoregression(generator, units, times, 0.5)
    pilot = mixed @ generator.normal(size=units) > 0
    treated = np.outer(pilot, np.arange(times) >= 3).astype(float)
    columns = {"latitude": place[:, 0] / 111.2, "longitude": place[:, 1] / 111.2, "unit": np.arange(units)}
    frame = pd.DataFrame({name: np.repeat(value, times) for name, value in columns.items()})
    frame = frame.assign(time=np.tile(np.arange(times), units), treated=treated.ravel(), y=(error + treated).ravel())
    options: dict[str, Any] = {"covariance": "conley", "coordinates": ("latitude", "longitude"), "cutoff_km": 95}
    fit = did.two_way(frame, "y", "treated", **KEYS, **options)
    yield _from_table("two_way, Conley", fit.table.loc["treated"], 1.0)
    alone = did.two_way(frame, "y", "treated", **KEYS)
    yield _from_table("two_way, by unit where neighbours share shocks", alone.table.loc["treated"], 1.0)


def learned(panel: int) -> Iterator[Line]:
    """The treatment and y both bend with a control."""
    generator = np.random.default_rng([SEED, panel, 8])
    units, times = 120, 4
    x, d, e = generator.normal(size=(3, units, times))
    d = d + 0.5 * x + 0.5 * x**2
    y = d + x**2 + generator.normal(size=(units, 1)) + e
    columns = {"y": y.ravel(), "d": d.ravel(), "x": x.ravel()}
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), times), "time": np.tile(np.arange(times), units)})
    fit = did.double_machine_learning(frame.assign(**columns), "y", "d", ["x"], **KEYS, folds=2, seed=panel)
    yield _from_table("double_machine_learning, lasso", fit.table.iloc[0], 1.0)


def threshold(panel: int) -> Iterator[Line]:
    """A slope of 1 that becomes 2 where q passes 0; and the test of one threshold where there is none."""
    generator = np.random.default_rng([SEED, panel, 9])
    units, times = 100, 5
    x, q, e = generator.normal(size=(3, units, times))
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), times), "time": np.tile(np.arange(times), units)})
    frame = frame.assign(x=x.ravel(), q=q.ravel(), none=(x + e).ravel(), y=(x * (1 + (q > 0)) + e).ravel())
    fit = panel_threshold(frame, "y", "x", "q", **KEYS, draws=1)
    yield Line(
        "panel_threshold, threshold",
        *fit.thresholds.loc[1, ["threshold"]],
        float("nan"),
        *fit.thresholds.loc[1, ["low", "high"]],
        0.0,
    )
    yield _from_table("panel_threshold, slope above it", fit.table.loc["x [2]"], 2.0)
    test = panel_threshold(frame, "none", "x", "q", **KEYS, draws=39)
    yield _from_test("panel_threshold, test of none against one", test.p_values[0] <= 0.05)


#: What is drawn together, the quickest first.
CELLS: dict[str, Callable[[int], Iterator[Line]]] = {
    "stacked": partial(staggered, "stacked"),
    "sections": sections,
    "neighbours": neighbours,
    "triple": triple,
    "threshold": threshold,
    "poisson": poisson,
    "extended_two_way": partial(staggered, "extended_two_way"),
    "mediation": mediation,
    "effective_f": effective_f,
    "switching": switching,
    "dose": dose,
    "learned": learned,
    "instruments": partial(instruments, "", 1.0),
    "weak": partial(instruments, ", weak instruments", 0.08),
    "local_projections": partial(staggered, "local_projections"),
}


def chunk(cell: str, numbers: Iterable[int]) -> pd.DataFrame:
    """Intervals of several panels of a cell."""
    return pd.DataFrame([line._asdict() for number in numbers for line in CELLS[cell](number)])


def _kept(cell: str, first: int, code: str) -> pd.DataFrame:
    """The intervals of a hundred panels, from the file that holds them or drawn and written there."""
    path = HERE / "chunks" / f"designs-{code}-{cell}-{first:05d}.csv"
    if path.exists():
        return pd.read_csv(path)
    drawn = chunk(cell, range(first, first + STEP))
    path.parent.mkdir(exist_ok=True)
    partly = path.with_suffix(".part")
    drawn.to_csv(partly, index=False)
    partly.replace(path)
    return drawn


def _code_hash(cell: str) -> str:
    """Of the estimators, the panels and the cell's own lines: with another one its panels are drawn anew."""
    function = getattr(CELLS[cell], "func", CELLS[cell])
    digest = hashlib.sha256(f"{inspect.getsource(function)} {DESIGN} {SEED} {cell}".encode())
    folder = HERE.parents[1] / "analysis"
    for path in sorted([*(file for part in ("did", "iv", "simulation") for file in (folder / part).glob("*.py"))]):
        digest.update(path.read_bytes())
    digest.update((folder / "threshold.py").read_bytes())
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


def _order(panels: int) -> list[tuple[str, int]]:
    """Two hundred panels of every cell, then all of one cell after the other: a study that is stopped has each."""
    some = [(cell, first) for cell in CELLS for first in range(0, min(200, panels), STEP)]
    return some + [(cell, first) for cell in CELLS for first in range(200, panels, STEP)]


def main() -> None:
    """Draw, tabulate, write; with ``--seconds`` it stops in time and writes what it has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=PANELS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=np.inf)
    given = parser.parse_args()
    started, order = time.monotonic(), _order(given.panels)
    codes, found = {cell: _code_hash(cell) for cell in CELLS}, {}
    with ProcessPoolExecutor(given.processes) as pool:
        for at in range(0, len(order), given.processes):
            some = order[at : at + given.processes]
            cells, firsts = zip(*some, strict=True)
            found |= dict(zip(some, pool.map(_kept, cells, firsts, [codes[cell] for cell in cells]), strict=True))
            if time.monotonic() - started > given.seconds:
                break
    result = table(pd.concat([found[key] for key in sorted(found, key=lambda key: [*CELLS].index(key[0]))]))
    result.to_csv(TABLE, index=False, lineterminator="\n")
    print(result.to_string())


if __name__ == "__main__":
    main()

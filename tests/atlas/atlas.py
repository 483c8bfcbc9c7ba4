"""Runs every estimator on every ugliness, judges what comes back against the truth, and writes docs/atlas.md.

`make atlas` calls it. The judge knows the truth and a tolerance, never another estimate.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType

import numpy as np
import pandas as pd
from engines import OWN, Answer, Cell, others, own
from worlds import UGLINESSES, Ugliness, World

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "atlas.md"
#: Distance from the truth that still counts as right; effects are 0.5 to 2.5, noise is 0.02.
TOLERANCE = 0.1
SECONDS = 30
SEED = 7
MARKS = {"right": "✓", "refused": "–", "told": "!", "wrong": "✗", "slow": "…", "killed": "†", "not offered": " "}


def judge(answer: Answer, world: World) -> bool | None:
    """Whether every number is within the tolerance of the truth; None where there is no number."""
    truth = world.truth
    if isinstance(answer, dict):
        known = {k: v for k, v in answer.items() if np.isfinite(v)}
        # A base period has no estimate of its own.
        if not any(k >= 0 for k in known) or not isinstance(truth, dict):
            return None
        last = max(truth)
        expected = {k: 0.0 if k < 0 else truth.get(k, truth[last]) for k in known}
        return all(abs(value - expected[k]) <= TOLERANCE for k, value in known.items())
    if answer is None or not np.isfinite(answer):
        return None
    assert not isinstance(truth, dict)
    return abs(answer - truth) <= TOLERANCE


class _SlowError(BaseException):
    """A cell that takes longer than it may."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _SlowError


def offered(cell: Cell, ugliness: Ugliness, world: World) -> bool:
    """Whether the estimator takes what the ugliness is about: weights, controls, a treatment, an adoption."""
    about_adoption = {"0 as never", "9999 as never", "half-filled adoption", "adoption beyond the panel"}
    about_treatment = {"boolean treatment", "missing treatment"}
    if cell.kind in ("scores", "counts") and ugliness.name == "far from zero":
        return False  # ratios are other ones then, and so is the truth
    if cell.kind == "scores" and ugliness.name == "constant outcome":
        return False
    if cell.kind in ("matched", "scores") and ugliness.name == "duplicate rows":
        return False  # their rows are observations, without a unit and a time that could stand twice
    if world.weights and not cell.weights:
        return False
    if world.controls and not cell.controls:
        return False
    if ugliness.name in about_adoption:
        return cell.adoption
    return cell.treatment if ugliness.name in about_treatment else True


def verdict(cell: Cell, ugliness: Ugliness, seed: int = SEED) -> tuple[str, str]:
    """One word of `MARKS`, and what was said or found."""
    world = ugliness.world(cell.kind, seed)
    if not offered(cell, ugliness, world):
        return "not offered", ""
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of CPU, so that a busy machine changes nothing
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            answer = cell.run(world)
    except _SlowError:
        return "slow", f"no answer in {SECONDS} s of CPU"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # any engine may refuse in its own way, Rust's panics included
        return "refused", " ".join(f"{type(error).__name__}: {error}".split())[:160]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    right = judge(answer, world)
    if right is None:
        return "refused", "no number"
    if right:
        return "right", ""
    said = [w for w in heard if issubclass(w.category, (UserWarning, RuntimeWarning))]
    found = answer if not isinstance(answer, dict) else {k: round(v, 2) for k, v in sorted(answer.items())}
    return ("told" if said else "wrong"), f"{found}"[:160]


#: Loaded once and not by every process that is forked; the parent calls nothing of theirs, because threads that a
#: library starts do not survive a fork.
LIBRARIES = (
    "analysis.did",
    "analysis.efficiency",
    "analysis.iv",
    "analysis.matching",
    "analysis.spatial",
    "analysis.threshold",
    "diff_diff",
    "linearmodels",
    "pyfixest",
    "spreg",
    "statsmodels.formula.api",
)


def apart(cells: list[Cell], ugliness: Ugliness) -> Iterator[tuple[str, str, float]]:
    """Verdicts in another process, with the seconds each took; some engines end Python itself, some never answer.

    Where that happens the cell says so, and a new process goes on with the next one.
    """
    place = 0
    while place < len(cells):
        inlet, outlet = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inlet)
            with os.fdopen(outlet, "w") as told:
                for cell in cells[place:]:
                    started = time.process_time()
                    word, said = verdict(cell, ugliness)
                    told.write(json.dumps([word, said, time.process_time() - started]) + "\n")
                    told.flush()
            os._exit(0)
        os.close(outlet)
        answered = True
        with os.fdopen(inlet) as pipe:
            while answered and place < len(cells):
                answered = bool(select.select([pipe], [], [], 20 * SECONDS)[0])
                line = pipe.readline() if answered else ""
                if not line:
                    break
                yield tuple(json.loads(line))
                place += 1
        if place < len(cells):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if place < len(cells):
            reason = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else status
            yield ("killed", f"ended Python ({reason})", 0.0) if answered else ("slow", "never answered", 0.0)
            place += 1


def rows(ugliness: Ugliness) -> list[dict[str, object]]:
    """Every cell of one ugliness."""
    for library in LIBRARIES:
        importlib.import_module(library)
    cells = [*own(), *others()]
    return [
        {
            "ugliness": ugliness.name,
            "engine": cell.engine,
            "estimator": cell.estimator,
            "verdict": word,
            "said": said,
            "seconds": seconds,
        }
        for cell, (word, said, seconds) in zip(cells, apart(cells, ugliness), strict=True)
    ]


def _rows_of(name: str) -> list[dict[str, object]]:
    return rows(next(ugliness for ugliness in UGLINESSES if ugliness.name == name))


def run(uglinesses: Iterable[Ugliness] = UGLINESSES, processes: int = 2) -> pd.DataFrame:
    """One row an ugliness, engine and estimator."""
    with ProcessPoolExecutor(processes) as pool:
        return pd.DataFrame(
            [row for part in pool.map(_rows_of, [ugliness.name for ugliness in uglinesses]) for row in part]
        )


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Cells by engine and verdict, those that are not offered left out."""
    given = table[table["verdict"] != "not offered"]
    order = [word for word in MARKS if word != "not offered"]
    wide = given.groupby(["engine", "verdict"]).size().unstack(fill_value=0).reindex(columns=order, fill_value=0)
    return wide.loc[[OWN, *sorted(set(wide.index) - {OWN})]]


def page(table: pd.DataFrame) -> str:
    """The guide in Markdown: what is held, the counts, a table of marks an engine, and what was wrong in silence."""
    lines = [TEXT, "## Counts", ""]
    totals = counts(table)
    lines += _markdown(
        ["engine", *totals.columns, "cells"],
        [[name, *row, sum(row)] for name, row in zip(totals.index, totals.to_numpy().tolist(), strict=True)],
    )
    lines += ["", "## The uglinesses", ""]
    lines += _markdown(["ugliness", "what it is"], [[u.name, u.meaning] for u in UGLINESSES])
    for engine in totals.index:
        part = table[table["engine"] == engine]
        names = list(dict.fromkeys(part["estimator"]))
        lines += ["", f"## {engine}", ""]
        marks = part.assign(mark=part["verdict"].map(MARKS)).pivot(index="ugliness", columns="estimator", values="mark")
        marks = marks.reindex(index=[u.name for u in UGLINESSES if u.name in marks.index], columns=names)
        numbered = [f"{number}" for number, _ in enumerate(names, start=1)]
        lines += ["; ".join(f"{number} {name}" for number, name in zip(numbered, names, strict=True)) + ".", ""]
        lines += _markdown(
            ["ugliness", *numbered],
            [[name, *row] for name, row in zip(marks.index, marks.to_numpy().tolist(), strict=True)],
        )
    off = table[table["verdict"].isin(["wrong", "told"])]
    lines += [
        "",
        "## What was found where it is wrong",
        "",
        "Effects by period where there are several; the truth is 1, or 1, 1.5, 2, 2.5 from the first year on.",
        "",
    ]
    lines += _markdown(
        ["engine", "estimator", "ugliness", "", "found"],
        [[r.engine, r.estimator, r.ugliness, MARKS[r.verdict], r.said] for r in off.itertuples()],
    )
    return "\n".join(lines) + "\n"


def _markdown(header: list[str], rows: list[list[object]]) -> list[str]:
    body = ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *body]


TEXT = f"""# Where engines part: an atlas of ugly panels

Written by `make atlas` (some five minutes of processor time, on two cores); do not edit.

{len(UGLINESSES)} panels with one ugliness each, against every public estimator of `analysis` and every estimator of
the other engines here that offers the same. Effects are known: 1 for estimators of one number (0.5 in logs of counts,
1.5 as a total with a mediator, a threshold at 0.5), and by period 1, 1.5, 2, then 2.5, with nothing before adoption.
Noise is two hundredths of the effect. **✓ right**: every number that came back lies within {TOLERANCE} of the truth.
**– refused**: an error, or no number. **! told**: off, with a warning. **† killed**: Python itself ended. **✗
wrong**: off, in silence. Blank: the estimator does not take what the ugliness is about, such as weights. The judge is
the truth and that tolerance, never another estimate. Engines are called as their own documentation shows, with never
treated as 0 for pyfixest and diff-diff, which ask for it. Where treatments end, `analysis` makes adoption from the
treatment by `adoption_from_treatment`, which refuses; the others get the first treated year.

What a ✗ means for you: look at the last table, and at your panel. Most are rows dropped, or units taken for never
treated, without a word. A refusal is no failing: eight cities that leave treatment have no year of adoption, and two
sources that part on forty rows have no mean.
"""


def main() -> None:
    """Run all, write the guide."""
    started = time.monotonic()
    table = run()
    DOCUMENT.write_text(page(table), encoding="utf-8")
    print(counts(table).to_string())
    print(
        f"{time.monotonic() - started:.0f} s, of which {table['seconds'].sum():.0f} s in estimators; wrote {DOCUMENT}"
    )
    wrong = table[(table["engine"] == OWN) & table["verdict"].isin(["wrong", "told", "slow"])]
    if len(wrong):
        print(wrong[["estimator", "ugliness", "verdict", "said"]].to_string())
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Panels with known effects and one ugliness each. What engines make of them is in `engines`, the table in `atlas`.

Noise is so small (two hundredths of the effect) that every estimator that reads the data rightly is near the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

YEARS = np.arange(2010, 2020)
NEVER = np.inf
#: Neighbours on a circle in the spatial world, and its parameter.
RHO = 0.4
#: Effect of a treatment in the year of its start, and what each of the next three years adds, in a dynamic world.
START, GROWTH, GROWS = 1.0, 0.5, 3


@dataclass(frozen=True)
class Structure:
    """Who is treated when: first treated year by unit (inf for never), the years, and how long a treatment lasts."""

    first: np.ndarray
    years: np.ndarray = field(default_factory=lambda: YEARS)
    lasts: np.ndarray | None = None


@dataclass(frozen=True)
class World:
    """One panel as a user would hold it.

    Attributes
    ----------
    frame : columns city, year, first (adoption), did (treatment), y, x (a control); others by kind; ``_index``, the
        unit's number, and ``_effect`` are the author's own.
    truth : the number to find, or effect by period since adoption.
    controls, weights : what the ugliness asks the estimator to use.
    scale : the outcome's unit; what is found is divided by it.
    """

    frame: pd.DataFrame
    truth: float | dict[int, float]
    controls: tuple[str, ...] = ()
    weights: str | None = None
    scale: float = 1.0

    def with_frame(self, frame: pd.DataFrame) -> World:
        return replace(self, frame=frame)

    @property
    def labels(self) -> list[Any]:
        """Names of units in the order of their numbers."""
        return self.frame.drop_duplicates("_index").sort_values("_index")["city"].tolist()


def usual() -> Structure:
    """Three cohorts of eight cities, and 24 never treated."""
    return Structure(np.repeat([2013.0, 2015.0, 2017.0, NEVER, NEVER, NEVER], 8))


def build(kind: str, structure: Structure, seed: int) -> World:
    """A tidy panel of a kind; truth is 1, or the path, or what the kind says."""
    generator = np.random.default_rng(seed)
    units, years = len(structure.first), structure.years
    index, year = np.repeat(np.arange(units), len(years)), np.tile(years, units)
    first = structure.first[index]
    since = np.where(np.isfinite(first), year - first, -1.0)
    treated = since >= 0
    if structure.lasts is not None:
        treated &= since < structure.lasts[index]
    did = treated.astype(float)
    level = generator.normal(size=units)[index]
    shock = dict(zip(years, generator.normal(size=len(years)), strict=True))
    common = level + np.array([shock[value] for value in year])
    noise = 0.02 * generator.normal(size=len(year))
    x = generator.normal(size=len(year))
    frame = pd.DataFrame(
        {
            "city": 110000 + index,
            "year": year,
            "first": np.where(np.isinf(first), np.nan, first),
            "did": did,
            "x": x,
            "_index": index,
        }
    )
    effect, truth = did, 1.0
    match kind:
        case "static":
            frame["y"] = common + did + noise
        case "dynamic":
            effect = did * (START + GROWTH * np.minimum(since, GROWS))
            frame["y"] = common + effect + noise
            known = pd.Series(effect)[np.isfinite(first) & (since >= 0)].groupby(
                since[np.isfinite(first) & (since >= 0)]
            )
            truth = {int(period): float(value) for period, value in known.mean().items()}
        case "counts":
            frame["y"] = np.exp(common / 2 + 0.5 * did + noise)
            truth = 0.5
        case "instrument":
            hidden, frame["z"] = 0.2 * generator.normal(size=len(year)), generator.normal(size=len(year))
            frame["endogenous"] = frame["z"] + hidden
            frame["y"] = common + frame["endogenous"] + 2 * hidden + noise
        case "dose":
            strength = np.where(np.isfinite(first), 1 + index % 8 / 4, 0.0)
            one = np.where(
                np.isfinite(first), structure.first[np.isfinite(structure.first)].min(initial=np.inf), np.inf
            )
            frame["dose"] = strength * (year >= one)
            frame["y"] = common + frame["dose"] + noise
            frame["first"] = np.where(np.isinf(one), np.nan, one)
        case "triple":
            start = structure.first[np.isfinite(structure.first)].min(initial=np.inf)
            frame["policy"], frame["eligible"] = np.isfinite(first) * 1.0, (index % 2) * 1.0
            frame["post"] = (year >= start) * 1.0
            product = frame["policy"] * frame["eligible"] * frame["post"]
            frame["y"] = (
                common + product + 0.3 * frame["policy"] * (year - 2010) + 0.2 * frame["eligible"] * (year - 2010)
            )
            frame["y"] += noise
        case "mediated":
            frame["mediator"] = 0.5 * did + 0.1 * generator.normal(size=len(year))
            frame["y"] = common + did + frame["mediator"] + noise
            truth = 1.5
        case "matched":
            frame["y"] = frame["x"] + did + noise
        case "threshold":
            frame["q"] = generator.uniform(size=len(year))
            frame["y"] = common + x * np.where(frame["q"] <= 0.5, 1.0, 2.0) + noise
            truth = 0.5
        case "spatial":
            matrix = circle(units)
            wide = (common + x + did + noise).reshape(units, len(years))
            frame["y"] = np.linalg.solve(np.eye(units) - RHO * matrix, wide).ravel()
        case "scores":
            # One input and one output: the score of every slacks-based measure is the ratio over the best ratio.
            ratio = generator.uniform(0.3, 1, size=len(year))
            frame["x"] = generator.uniform(1, 5, size=len(year))
            best = pd.Series(ratio).groupby(year).transform("max")
            frame["y"] = frame["x"] * ratio / best.to_numpy()
            effect = (ratio / best).to_numpy()
        case _:
            raise ValueError(kind)
    return World(frame.assign(_effect=effect), truth)


def circle(units: int) -> np.ndarray:
    """Row-normalised weights of the two neighbours on each side."""
    gap = np.abs(np.subtract.outer(np.arange(units), np.arange(units)))
    gap = np.minimum(gap, units - gap)
    links = ((gap > 0) & (gap <= 2)).astype(float)
    return links / np.maximum(links.sum(axis=1, keepdims=True), 1)


@dataclass(frozen=True)
class Ugliness:
    """One way in which panels are ugly: ``structure`` decides who is treated when, ``spoil`` what is written down."""

    name: str
    meaning: str
    structure: Callable[[], Structure] = usual
    spoil: Callable[[World, np.random.Generator], World] = lambda world, generator: world

    def world(self, kind: str, seed: int = 0) -> World:
        return self.spoil(build(kind, self.structure(), seed), np.random.default_rng([seed, 1]))


def _some(frame: pd.DataFrame, generator: np.random.Generator, share: float) -> np.ndarray:
    return generator.random(len(frame)) < share


def _rows(keep: Callable[[pd.DataFrame, np.random.Generator], np.ndarray]) -> Callable[..., World]:
    return lambda world, generator: world.with_frame(world.frame[keep(world.frame, generator)])


def _set(column: str, value: Any, share: float) -> Callable[..., World]:
    def spoil(world: World, generator: np.random.Generator) -> World:
        frame = world.frame.copy()
        frame.loc[_some(frame, generator, share), column] = value
        return world.with_frame(frame)

    return spoil


def _change(**columns: Callable[[pd.DataFrame], Any]) -> Callable[..., World]:
    return lambda world, generator: world.with_frame(
        world.frame.assign(**{name: change(world.frame) for name, change in columns.items()})
    )


def _missing_control(world: World, generator: np.random.Generator) -> World:
    return replace(_set("x", np.nan, 0.1)(world, generator), controls=("x",))


def _collinear(world: World, generator: np.random.Generator) -> World:
    return replace(world, frame=world.frame.assign(x2=2 * world.frame["x"]), controls=("x", "x2"))


def _singletons(frame: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    alone = (frame["_index"] % 8 == 7).to_numpy()
    return ~alone | (frame["year"] == frame["year"].max()).to_numpy()


def _weights(world: World, generator: np.random.Generator) -> World:
    """Rows of weight zero, and some without a weight, hold garbage."""
    frame = world.frame.assign(w=generator.uniform(0.5, 2, len(world.frame)))
    frame["w"] = frame.groupby("_index")["w"].transform("first")
    for value, remainder in ((0.0, 3), (np.nan, 6)):
        rows = (frame["_index"] % 8 == remainder).to_numpy()
        frame.loc[rows, "w"] = value
        frame.loc[rows, "y"] += 50 * generator.normal(size=int(rows.sum()))
    return replace(world, frame=frame, weights="w")


def _scaled(factor: float, offset: float) -> Callable[..., World]:
    def spoil(world: World, generator: np.random.Generator) -> World:
        return replace(world, frame=world.frame.assign(y=world.frame["y"] * factor + offset), scale=factor)

    return spoil


def _doubled(world: World, generator: np.random.Generator) -> World:
    """Forty rows stand twice, the second time with another source's outcome."""
    again = world.frame[(world.frame["did"] == 1)].head(40)
    return world.with_frame(pd.concat([world.frame, again.assign(y=again["y"] + 30)], ignore_index=True))


def _shuffled(world: World, generator: np.random.Generator) -> World:
    frame = world.frame.sample(frac=1, random_state=int(generator.integers(1e6)))
    return world.with_frame(frame.set_index(pd.Index([7] * len(frame))))


def _nullable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame["first"].astype("Int64")


def _constant(world: World, generator: np.random.Generator) -> World:
    truth = dict.fromkeys(world.truth, 0.0) if isinstance(world.truth, dict) else 0.0
    return replace(world, frame=world.frame.assign(y=7.0), truth=truth)


def _cohorts(*first: float) -> Callable[[], Structure]:
    return lambda: Structure(np.repeat(np.array(first, dtype=float), 8))


UGLINESSES: tuple[Ugliness, ...] = (
    Ugliness("clean", "nothing wrong: the yardstick"),
    Ugliness("gaps", "a fifth of the rows is not there", spoil=_rows(lambda f, g: ~_some(f, g, 0.2))),
    Ugliness("missing outcome", "a tenth of y is missing", spoil=_set("y", np.nan, 0.1)),
    Ugliness("missing control", "a tenth of a control is missing", spoil=_missing_control),
    Ugliness("singletons", "every eighth city has one row", spoil=_rows(_singletons)),
    Ugliness(
        "always treated", "eight cities adopt before the first year", _cohorts(2005, 2013, 2015, 2017, NEVER, NEVER)
    ),
    Ugliness("one treated city", "one city of 41", lambda: Structure(np.array([2015.0, *[NEVER] * 40]))),
    Ugliness("last cohort alone", "all treated cities adopt in the last year", _cohorts(2019, NEVER, NEVER, NEVER)),
    Ugliness("no never-treated", "every city adopts in the end", _cohorts(2012, 2014, 2016, 2018)),
    Ugliness(
        "reversals",
        "the first cohort leaves treatment after two years",
        lambda: replace(usual(), lasts=np.repeat([2.0, *[np.inf] * 5], 8)),
    ),
    Ugliness(
        "text years",
        "years and adoption are text",
        spoil=_change(
            year=lambda f: f["year"].astype(str),
            first=lambda f: f["first"].map(lambda v: f"{v:.0f}", na_action="ignore"),
        ),
    ),
    Ugliness(
        "dates as years",
        "datetimes, NaT for never",
        spoil=_change(
            year=lambda f: pd.to_datetime(f["year"].astype(str)),
            first=lambda f: pd.to_datetime(f["first"].map(lambda v: f"{v:.0f}", na_action="ignore")),
        ),
    ),
    Ugliness("weights", "rows of weight zero or no weight hold garbage", spoil=_weights),
    Ugliness("huge scale", "y in units of 1e-9", spoil=_scaled(1e9, 0.0)),
    Ugliness("tiny scale", "y in units of 1e9", spoil=_scaled(1e-9, 0.0)),
    Ugliness("far from zero", "a hundred million on every y", spoil=_scaled(1.0, 1e8)),
    Ugliness("duplicate rows", "forty rows stand twice with two values of y", spoil=_doubled),
    Ugliness("one period", "one year alone", lambda: replace(usual(), years=np.array([2016]))),
    Ugliness("constant outcome", "y is 7", spoil=_constant),
    Ugliness("collinear controls", "a control and its double", spoil=_collinear),
    Ugliness("infinite outcome", "one y in fifty is inf", spoil=_set("y", np.inf, 0.02)),
    Ugliness("unsorted rows", "shuffled, one index label for all", spoil=_shuffled),
    Ugliness(
        "adoption beyond the panel", "eight cities adopt two years after it", _cohorts(2013, 2015, 2021, NEVER, NEVER)
    ),
    Ugliness("0 as never", "adoption 0 for never treated", spoil=_change(first=lambda f: f["first"].fillna(0))),
    Ugliness(
        "9999 as never", "adoption 9999 for never treated", spoil=_change(first=lambda f: f["first"].fillna(9999))
    ),
    Ugliness(
        "half-filled adoption",
        "adoption stands in treated rows only",
        spoil=_change(first=lambda f: f["first"].where(f["did"] == 1)),
    ),
    Ugliness("tiny clusters", "six cities, two treated", lambda: Structure(np.array([2013.0, 2015.0, *[NEVER] * 4]))),
    Ugliness("boolean treatment", "True and False", spoil=_change(did=lambda f: f["did"] == 1)),
    Ugliness("missing treatment", "a twentieth of the treatment is missing", spoil=_set("did", np.nan, 0.05)),
    Ugliness(
        "non-consecutive years",
        "2001, 2002, 2004, 2007, 2008, 2010, 2011, 2014, 2015, 2018",
        lambda: Structure(
            np.repeat([2004.0, 2010.0, NEVER, NEVER], 8),
            np.array([2001, 2002, 2004, 2007, 2008, 2010, 2011, 2014, 2015, 2018]),
        ),
    ),
    Ugliness(
        "huge unit ids", "19 digits, equal as floats", spoil=_change(city=lambda f: 1234567890123456000 + f["_index"])
    ),
    Ugliness(
        "mixed unit ids",
        "numbers, and text in later files",
        spoil=_change(city=lambda f: f["city"].astype(object).where(f["year"] < 2015, f["city"].astype(str))),
    ),
    Ugliness("missing unit ids", "one row in fifty has none", spoil=_set("city", np.nan, 0.02)),
    Ugliness(
        "nullable integers",
        "Int64 with <NA> for never",
        spoil=_change(
            first=_nullable, year=lambda f: f["year"].astype("Int64"), did=lambda f: pd.array(f["did"], dtype="Float64")
        ),
    ),
)

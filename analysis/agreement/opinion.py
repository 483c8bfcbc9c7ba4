"""What another engine says of one published number, and whether the two agree. No engine stands here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd
from scipy import stats

from analysis.results import stars
from analysis.studies.records import Model

COLUMNS = [
    *("study", "exhibit", "model", "term", "engine", "version", "estimate", "se", "difference", "verdict", "reason"),
]
CONFIRMED, CONVENTION, DIFFERS, NONE = "confirmed", "differs by convention", "differs", "not possible"
#: Two numbers agree when they lie no farther apart than this share of the published one.
TOLERANCE = 1e-6
#: What lies below is rounding, which other machines do otherwise: it counts as no difference.
ROUNDING = 1e-12
#: How a reason begins where a difference changes how the number is read.
SIGN, STARS = "The sign turns:", "The stars turn:"


@dataclass(frozen=True)
class Opinion:
    """A number of another engine.

    Attributes
    ----------
    term, part : which published number; ``part`` names the comparison or year of a model that has several.
    engine : the package that computed it.
    estimate, se : its numbers; a missing ``se`` is not compared.
    convention : why it may differ, in a sentence; empty where it must not.
    within : how large a difference that convention explains, as a share; more than that is a difference.
    scale : what an estimate without an error is measured by where it lies near zero, such as an interval's by the
        error of its effect.
    """

    term: str
    engine: str
    estimate: float
    se: float = np.nan
    part: str | None = None
    convention: str = ""
    within: float = 0.0
    scale: float = 0.0


#: Computes a model again: (the panel as the model uses it, the model) -> opinions on its terms.
Engine = Callable[[pd.DataFrame, Model], Iterable[Opinion]]


class NoOpinion(Exception):
    """An engine has no second opinion on this model; the text says why."""


@cache
def version_of(engine: str) -> str:
    """The version of a package, or an empty text where it is not installed."""
    try:
        return version({"sklearn": "scikit-learn"}.get(engine, engine))
    except PackageNotFoundError:
        return ""


def relative_difference(published: pd.Series, opinion: Opinion) -> float:
    """The larger relative difference of estimate and error; an estimate near zero is measured by its error.

    Infinite where one number is missing or infinite and the other is not.
    """
    estimate, se = float(published["estimate"]), float(published["se"])
    size = max(abs(estimate), se if np.isfinite(se) else 0.0, opinion.scale)
    distance = _apart(estimate, opinion.estimate, size)
    if np.isfinite(se) and np.isfinite(opinion.se):
        distance = max(distance, _apart(se, opinion.se, abs(se)))
    return distance


def _apart(one: float, other: float, size: float) -> float:
    if one == other or (np.isnan(one) and np.isnan(other)):
        return 0.0
    if not (np.isfinite(one) and np.isfinite(other)):
        return np.inf
    return abs(one - other) / size if size > 0 else np.inf


def judge(published: pd.Series, opinion: Opinion) -> tuple[float, str, str]:
    """Relative difference, verdict and reason of an opinion on a published row (``estimate``, ``se``, ``p``)."""
    difference = relative_difference(published, opinion)
    difference = 0.0 if difference < ROUNDING else difference
    alone = np.isfinite(published["se"]) and not np.isfinite(opinion.se)
    said = "Of the estimate alone: the engine gives no standard error of this kind." if alone else ""
    if difference <= TOLERANCE:
        return difference, CONFIRMED, said
    if opinion.convention and difference <= opinion.within:
        return difference, CONVENTION, " ".join(filter(None, [opinion.convention, said]))
    return difference, DIFFERS, turned(published, opinion) or f"Apart by {difference:.1e} of the published number."


def turned(published: pd.Series, opinion: Opinion) -> str:
    """What the difference does to how the number is read: another sign, or other stars; empty where neither.

    Stars of the other engine follow from its t, put where the published p puts the published t.
    """
    estimate, se, p = (float(published[key]) for key in ("estimate", "se", "p"))
    if np.sign(estimate) != np.sign(opinion.estimate) and abs(estimate - opinion.estimate) > TOLERANCE * abs(estimate):
        return f"{SIGN} {estimate:.4g} is published, {opinion.estimate:.4g} found."
    if not (np.isfinite([se, p, opinion.se]).all() and se > 0 and opinion.se > 0 and estimate != 0):
        return ""
    scale = abs(opinion.estimate / opinion.se) / abs(estimate / se)
    other = float(2 * stats.norm.sf(stats.norm.isf(p / 2) * scale))
    if stars(p) == stars(other):
        return ""
    return f"{STARS} p = {p:.3g} is published, about {other:.3g} found."


def is_turned(reason: str) -> bool:
    """Whether a reason says that the difference turns a sign or stars."""
    return reason.startswith((SIGN, STARS))


def judged(rows: pd.DataFrame, opinions: Sequence[tuple[str, Opinion]], reasons: Callable[[pd.Series], str]) -> list:
    """One record an opinion on each published row, or one that says why there is none.

    Parameters
    ----------
    rows : published estimates of an exhibit that have a number.
    opinions : (model as published, opinion).
    reasons : a published row without any opinion -> a sentence.
    """
    by_row: dict[tuple[str, str], list[Opinion]] = {}
    for model, opinion in opinions:
        by_row.setdefault((model, opinion.term), []).append(opinion)
    return [record for _, row in rows.iterrows() for record in _records(row, by_row, reasons)]


def _records(
    row: pd.Series, by_row: dict[tuple[str, str], list[Opinion]], reasons: Callable[[pd.Series], str]
) -> Iterator[dict]:
    key = {name: row[name] for name in ("study", "exhibit", "model", "term")}
    # an engine that fails on one number may still have others: missing where the published one is not says nothing
    held = [o for o in by_row.get((row["model"], row["term"]), []) if not np.isnan(o.estimate)]
    for opinion in held:
        difference, verdict, reason = judge(row, opinion)
        numbers = {
            "estimate": _digits(opinion.estimate, 12),
            "se": _digits(opinion.se, 12),
            "difference": _digits(difference, 2),
        }
        yield {**key, "engine": opinion.engine, "version": version_of(opinion.engine), **numbers} | {
            "verdict": verdict,
            "reason": reason,
        }
    if not held:
        nothing = dict.fromkeys(("estimate", "se", "difference"), np.nan)
        yield {**key, "engine": "", "version": "", **nothing, "verdict": NONE, "reason": reasons(row)}


def _digits(value: float, digits: int) -> float:
    """The number with so many digits: what comes after is rounding."""
    return float(f"{value:.{digits - 1}e}")

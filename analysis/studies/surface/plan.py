"""The choices of a surface and the list of specifications that they make: from the study's own words, before any data.

Nothing here takes a panel, so that no outcome can have been read when the list stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.studies.records import Label, Model

#: What a specification chooses, in the order of the list. The first option of each is the study's own.
DIMENSIONS = {
    "measure": Label("Measure of the outcome", "结果变量的度量"),
    "scale": Label("Scale of the outcome", "结果变量的形式"),
    "filling": Label("Filling of gaps", "缺失值处理"),
    "winsorising": Label("Winsorising", "缩尾处理"),
    "dating": Label("First treated year", "政策起始年份"),
    "sample": Label("Sample", "样本"),
    "controls": Label("Controls", "控制变量"),
    "timing": Label("Timing of controls", "控制变量的取值时点"),
    "effects": Label("Fixed effects", "固定效应"),
    "cluster": Label("Clustering", "标准误聚类"),
    "estimator": Label("Estimator", "估计方法"),
}
#: Choices of which one at a time departs from the study's own; all others are crossed with each other and with these.
ONE_AT_A_TIME = ("filling", "winsorising", "dating", "sample")
COLUMNS = ("specification", "outcome", *DIMENSIONS)
NO_CONTROLS = "none"
SAME_YEAR, YEAR_BEFORE, FIRST_YEAR = "same year", "year before", "first year x trend"
TWO_WAY = "two_way"


@dataclass(frozen=True)
class Option:
    """One answer to a choice: the word of the list, what it is called, why it is defensible, and what it means."""

    key: str
    label: Label
    reason: Label
    value: Any = None


@dataclass(frozen=True)
class Plan:
    """A surface as a study states it.

    Attributes
    ----------
    outcomes : each has a surface of its own.
    baseline : the study's own model; its outcome is filled in.
    options : choice -> its options but for measure and scale, the study's own first.
    measures, scales : outcome -> options.
    controls : (set, timing) in order; the study's own first.
    estimators : word -> method, beside the two-way regression.
    draws, seed : of the joint test.
    """

    outcomes: tuple[str, ...]
    baseline: Model
    options: Mapping[str, tuple[Option, ...]]
    measures: Mapping[str, tuple[Option, ...]]
    scales: Mapping[str, tuple[Option, ...]]
    controls: tuple[tuple[tuple[str, ...], str], ...]
    estimators: Mapping[str, str] = field(default_factory=dict)
    draws: int = 99
    seed: int = 0

    def option(self, dimension: str, key: str, outcome: str) -> Option:
        """The option of that word."""
        held = {"measure": self.measures.get(outcome, ()), "scale": self.scales.get(outcome, ())}
        return next(each for each in held.get(dimension, self.options.get(dimension, ())) if each.key == key)

    @property
    def own(self) -> dict[str, str]:
        """What the study itself chooses, outcome apart."""
        first = {dimension: options[0].key for dimension, options in self.options.items()}
        names, timing = self.controls[0]
        return {
            "measure": "stated",
            "scale": "stated",
            **first,
            "controls": joined(names),
            "timing": timing,
            "estimator": TWO_WAY,
        }


def joined(controls: tuple[str, ...]) -> str:
    """A set of controls as a word of the list."""
    return " + ".join(controls) or NO_CONTROLS


def specifications(plan: Plan) -> pd.DataFrame:
    """The list: one row a specification, numbered from 1, with the word of every choice.

    Robust estimators stand once for each sample, with the study's own choices otherwise; every other combination is the
    two-way regression's.
    """
    rows = [(number, *row) for number, row in enumerate(_rows(plan), start=1)]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")
    return table.astype({"specification": "int64"}).astype(dict.fromkeys(COLUMNS[1:], "str"))


def _rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    effects, clusters = ([each.key for each in plan.options[name]] for name in ("effects", "cluster"))
    own = tuple(plan.own[dimension] for dimension in ONE_AT_A_TIME)
    for outcome in plan.outcomes:
        for made in _one_at_a_time(plan):
            for measure in plan.measures[outcome]:
                for scale in plan.scales[outcome]:
                    for names, timing in plan.controls:
                        for effect in effects:
                            for cluster in clusters:
                                words = (joined(names), timing, effect, cluster, TWO_WAY)
                                yield (outcome, measure.key, scale.key, *made, *words)
            if made[:-1] == own[:-1]:
                for word in plan.estimators:
                    words = (joined(plan.controls[0][0]), SAME_YEAR, effects[0], clusters[0], word)
                    yield (outcome, "stated", "stated", *made, *words)


def _one_at_a_time(plan: Plan) -> Iterator[tuple[str, ...]]:
    own = [plan.options[dimension][0].key for dimension in ONE_AT_A_TIME]
    yield tuple(own)
    for at, dimension in enumerate(ONE_AT_A_TIME):
        for option in plan.options[dimension][1:]:
            yield (*own[:at], option.key, *own[at + 1 :])


def sha256(table: pd.DataFrame) -> str:
    """The hash of a list: of its rows as CSV, lines ended by a line feed, in UTF-8."""
    text = table[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

"""What the audit reads, and the questions its rules ask of it again and again. Judging is left to the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.estimation_sample import model_frame
from analysis.studies.methods import METHODS
from analysis.studies.published import Published
from analysis.studies.published.text import Text
from analysis.studies.records import Exhibit, Model, Study

DESCRIPTIVE = "descriptive"


class NotAtHand(Exception):
    """A rule needs something that was not handed in; the text says what."""


@dataclass(frozen=True)
class Printed:
    """One printed coefficient with the model behind it.

    Attributes
    ----------
    exhibit, label, term : its place.
    estimate, se, stars, n, r2 : as printed; missing where nothing is printed.
    half : half a unit of the last digit printed: how far rounding may have moved estimate and standard error.
    model : the specification in the study, or None.
    """

    exhibit: str
    label: str
    term: str
    estimate: float
    se: float
    stars: float
    n: float
    r2: float
    half: float
    model: Model | None

    @property
    def t_range(self) -> tuple[float, float]:
        """Smallest and largest |t| that rounding allows."""
        low = max(abs(self.estimate) - self.half, 0.0) / (self.se + self.half)
        return low, (abs(self.estimate) + self.half) / max(self.se - self.half, 1e-12)

    def p_range(self, clusters: float = np.inf) -> tuple[float, float]:
        """Smallest and largest two-sided p that rounding allows, by t with ``clusters`` - 1 degrees or the normal."""
        low, high = self.t_range
        return float(2 * stats.norm.sf(high)), float(2 * stats.t.sf(low, clusters - 1))

    @property
    def where(self) -> str:
        """The number's place in words."""
        return f"{worded(self.exhibit)} {self.label}"


@dataclass(frozen=True)
class Inputs:
    """A study and all that is known of it.

    Attributes
    ----------
    study : the specification.
    printed : figures of the paper and its words; an empty one where there is no paper.
    panel : the study's panel, one row a city-year; None where it is not at hand, as may be all below.
    panels : its panels over other years, by name.
    estimates : the study's own estimates, as `analysis.studies.run` returns them.
    city_year : panels.city_year, the columns that variables are drawn from.
    cities : data/reference/cities.csv.
    pilots : name of a policy list -> its rows (``city_code``, ``adoption``, ``scope``).
    is_sample : whether the panels come from the sample world.
    agreement : what other engines make of the estimates, as `analysis.agreement.second_opinions` returns it.
    """

    study: Study
    printed: Published
    panel: pd.DataFrame | None = None
    panels: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    estimates: pd.DataFrame | None = None
    city_year: pd.DataFrame | None = None
    cities: pd.DataFrame | None = None
    pilots: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    is_sample: bool = False
    agreement: pd.DataFrame | None = None

    @property
    def text(self) -> Text:
        """What the paper says in words."""
        return self.printed.text

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The panel, sorted by city and year; raises `NotAtHand` without one."""
        if self.panel is None:
            raise NotAtHand("There is no panel at hand.")
        return self.panel.assign(**{UNIT: self.panel[UNIT].astype(str)}).sort_values([UNIT, TIME], ignore_index=True)

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Cities and years of the study: of its panel, or else of the text."""
        if self.panel is not None:
            return self.rows[UNIT].nunique(), self.rows[TIME].nunique()
        if self.text.cities and self.text.years:
            return self.text.cities, self.text.years[1] - self.text.years[0] + 1
        raise NotAtHand("Neither a panel nor the text says how many cities and years the study has.")

    @cached_property
    def adoption(self) -> pd.Series:
        """City code -> first treated year, missing for never; ordered by code."""
        return self.rows.drop_duplicates(UNIT).set_index(UNIT)[ADOPTION].astype(float)

    @cached_property
    def treated_cities(self) -> int:
        """Cities treated within the study's years."""
        return int(self.adoption.le(self.rows[TIME].max()).sum())

    @cached_property
    def exhibits(self) -> dict[str, Exhibit]:
        """Key in the published figures -> the study's exhibit."""
        return {exhibit.published: exhibit for exhibit in self.study.exhibits if exhibit.published}

    def model(self, exhibit: str, label: str) -> Model | None:
        """The specification behind a printed column."""
        found = self.exhibits.get(exhibit)
        models = found.models if found else ()
        return next((model for model in models if model.label == label), None)

    @cached_property
    def coefficients(self) -> tuple[Printed, ...]:
        """Every printed term, in the order of the paper."""
        table = self.printed.table
        usual = {str(key): _usual_decimals(rows) for key, rows in table.groupby("exhibit", sort=False)}
        found = []
        for row in table.to_dict("records"):
            exhibit, label, term = (str(row[key]) for key in ("exhibit", "model", "term"))
            estimate, se, stars, n, r2 = (float(row[key]) for key in ("estimate", "se", "stars", "n", "r2"))
            digits = max(usual[exhibit], _decimals(estimate), _decimals(se))
            model = self.model(exhibit, label)
            found.append(Printed(exhibit, label, term, estimate, se, stars, n, r2, 0.5 * 10.0**-digits, model))
        return tuple(found)

    @cached_property
    def effects(self) -> tuple[Printed, ...]:
        """Printed coefficients of the policy with a standard error."""
        return tuple(
            item
            for item in self.coefficients
            if item.model is not None and item.term in item.model.treatments and np.isfinite(item.se)
        )

    def value(self, exhibit: str, label: str, term: str) -> Printed | None:
        """One printed number."""
        return next(
            (item for item in self.coefficients if (item.exhibit, item.label, item.term) == (exhibit, label, term)),
            None,
        )

    @cached_property
    def moments(self) -> dict[str, dict[str, float]]:
        """Variable -> its printed obs, mean, sd, min and max, from the first descriptive table that has it."""
        found: dict[str, dict[str, float]] = {}
        for item in self.coefficients:
            exhibit = self.exhibits.get(item.exhibit)
            if exhibit is not None and exhibit.kind == DESCRIPTIVE:
                found.setdefault(item.label, {})[item.term] = item.estimate
        return found

    def moment_half(self, variable: str, term: str) -> float:
        """How far rounding may have moved a printed moment."""
        return next(
            item.half
            for item in self.coefficients
            if item.label == variable
            and item.term == term
            and item.exhibit in self.exhibits
            and self.exhibits[item.exhibit].kind == DESCRIPTIVE
        )

    def table_of_moments(self) -> str:
        """The key of the descriptive table, or empty text."""
        return next((key for key, exhibit in self.exhibits.items() if exhibit.kind == DESCRIPTIVE), "")

    @cached_property
    def memory(self) -> dict[str, Any]:
        """What one rule has computed and another needs again; filled by the rules."""
        return {}

    @cached_property
    def headlines(self) -> dict[str, Printed]:
        """Outcome -> its printed baseline: the whole panel, no other policy, and of those the most controls."""
        others = {policy.name for policy in self.study.policies}
        found: dict[str, Printed] = {}
        for item in self.effects:
            model = item.model
            if model is None or not self.is_full(model) or set(model.controls) & others:
                continue
            held = found.get(model.outcome)
            if held is None or held.model is None or len(model.controls) > len(held.model.controls):
                found[model.outcome] = item
        return found

    def is_full(self, model: Model | None) -> bool:
        """Whether a model is the two-way regression of the treatment alone on the whole panel."""
        return (
            model is not None
            and METHODS[model.method].estimand == "two-way"
            and model.treatments == (self.study.treatment,)
            and tuple(model.fixed_effects) == tuple(self.study.fixed_effects)
            and model.panel is None
            and not (model.sample.where or model.sample.years or model.sample.exclude_cities)
        )

    def baseline(self, model: Model, *, same_controls: bool = False) -> Printed | None:
        """The printed effect on the same outcome that a column is measured against: the whole panel, most controls.

        With ``same_controls`` only a regression with exactly the column's own controls, other policies apart.
        """
        others = {policy.name for policy in self.study.policies}
        own = set(model.controls) - others
        candidates = []
        for item in self.effects:
            spec = item.model
            if spec is None or spec is model or spec.outcome != model.outcome or not self.is_full(spec):
                continue
            if item.term != self.study.treatment or set(spec.controls) & others:
                continue
            if not same_controls or set(spec.controls) == own:
                candidates.append(item)
        preferred = [item for item in candidates if item.model and set(item.model.controls) == own]
        most = sorted(candidates, key=lambda item: -len(item.model.controls if item.model else ()))
        return next(iter([*preferred, *most]), None)

    def baselines(self) -> Iterator[Model]:
        """For each outcome of a regression on the whole panel, the first specification with the most controls."""
        best: dict[str, Model] = {}
        for exhibit in self.study.exhibits:
            for model in exhibit.models if exhibit.kind == "regression" else ():
                if self.is_full(model) and not set(model.controls) & {p.name for p in self.study.policies}:
                    held = best.get(model.outcome)
                    if held is None or len(model.controls) > len(held.controls):
                        best[model.outcome] = model
        yield from best.values()

    @cached_property
    def estimable(self) -> tuple[tuple[Model, pd.DataFrame], ...]:
        """Each baseline of the study with its rows; raises `NotAtHand` where no outcome has values."""
        found = []
        for model in self.baselines():
            frame = self.frame(model)
            if not isinstance(frame, str):
                found.append((model, frame))
        if not found:
            raise NotAtHand("No outcome of the study has values in the panel at hand.")
        return tuple(found)

    def frame(self, model: Model) -> pd.DataFrame | str:
        """The rows of a model as the study would estimate it, or why there are none."""
        own = self.rows if model.panel is None else self.panels.get(model.panel)
        if own is None:
            return f"The panel {model.panel} is not at hand."
        return model_frame(self.study, replace(model, weights=()), own, self.cities)

    def partitions(self) -> Iterator[tuple[str, str, tuple[Model, ...]]]:
        """Exhibit, column and models of one outcome that split the panel by the values of that column."""
        for exhibit in self.study.exhibits:
            split: dict[tuple[str, str], list[Model]] = {}
            for model in exhibit.models:
                if len(model.sample.where) == 1 and not model.sample.exclude_cities and not model.sample.years:
                    split.setdefault((next(iter(model.sample.where)), model.outcome), []).append(model)
            for (column, _), models in split.items():
                values = [value for model in models for value in model.sample.where[column]]
                if len(models) > 1 and len(set(values)) == len(values):
                    yield exhibit.published or exhibit.name, column, tuple(models)


def _usual_decimals(rows: pd.DataFrame) -> int:
    """Digits after the point to which an exhibit is printed; of many numbers, one with more digits does not count."""
    values = pd.concat([rows["estimate"], rows["se"]]).dropna()
    counts = Counter(_decimals(value) for value in values)
    return max((digits for digits, count in counts.items() if count > 1 or len(values) < 10), default=0)


def _decimals(value: float) -> int:
    """Digits after the point in the shortest form of a number."""
    if not np.isfinite(value) or float(value).is_integer():
        return 0
    return len(f"{value:.10f}".rstrip("0").partition(".")[2])


def worded(exhibit: str) -> str:
    """The key of an exhibit as a sentence has it: table_3 -> table 3."""
    return exhibit.replace("_", " ")


def said(value: float, digits: int = 4) -> str:
    """A number as a sentence quotes it."""
    if not np.isfinite(value):
        return "missing"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if abs(value) < 10.0**-digits else f"{value:,.{digits}f}".rstrip("0").rstrip(".")

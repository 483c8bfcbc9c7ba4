"""A surface computed: the list first, then the data under each way to make them, then every specification at once.

Two-way specifications that share rows and effects are fitted in one go, under the true treatment and under treatments
dealt at random; robust estimators run one by one, under the true treatment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.did.many import Effects, fit_many
from analysis.fixed_effects import drop_singletons
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.estimation_sample import model_frame, with_cities
from analysis.studies.methods import METHODS
from analysis.studies.records import TIMES, Study, factors
from analysis.studies.surface.data import Data
from analysis.studies.surface.plan import (
    DIMENSIONS,
    FIRST_YEAR,
    ONE_AT_A_TIME,
    SAME_YEAR,
    TWO_WAY,
    YEAR_BEFORE,
    Plan,
    joined,
    sha256,
    specifications,
)
from analysis.studies.surface.result import NOT_COMPUTED, NOT_IDENTIFIED, OK, Surface, joint_test

#: Timings of controls whose rows are the same.
TOGETHER = ((SAME_YEAR, FIRST_YEAR), (YEAR_BEFORE,))
SIZE = 0.05
#: A standard error below this share of the outcome's standard deviation is rounding.
TRIFLE = 1e-10


def compute(
    study: Study,
    plan: Plan,
    panel: pd.DataFrame,
    cities: pd.DataFrame | None = None,
    city_year: pd.DataFrame | None = None,
) -> dict[str, Surface | str]:
    """Every specification of each outcome, or the sentence that says why an outcome has none.

    Parameters
    ----------
    panel
        As `run_exhibit` takes it.
    cities
        data/reference/cities.csv, for provinces and ranks of cities.
    city_year
        panels.city_year, for values that the panel holds only filled or winsorised.
    """
    listed = specifications(plan)
    digest = sha256(listed)
    found: dict[str, Surface | str] = {}
    frames: dict[str, pd.DataFrame] = {}
    for outcome in plan.outcomes:
        frame = model_frame(study, replace(plan.baseline, outcome=outcome), panel, cities)
        if isinstance(frame, str):
            found[outcome] = frame
        elif not _stays(study, frame):
            found[outcome] = (
                f"{study.treatment!r} ends in some unit or has an intensity; a surface deals first years at random and "
                "needs a treatment that stays."
            )
        else:
            frames[outcome] = frame
    if frames:
        frame = next(iter(frames.values())).sort_values([UNIT, TIME], kind="stable").reset_index(drop=True)
        frame = with_cities(frame, _attributes(plan), cities).assign(**{UNIT: frame[UNIT].astype(str)})
        drawn = None if city_year is None else city_year.reset_index(drop=True)
        work = _Work.begun(plan, listed, Data(study, frame, drawn))
        for made in work.ways():
            work.fit(made, list(frames))
        for outcome in frames:
            found[outcome] = work.surface(outcome, digest)
    return {outcome: found[outcome] for outcome in plan.outcomes}


def _stays(study: Study, frame: pd.DataFrame) -> bool:
    treated = frame[study.treatment].astype(float)
    since = (frame[TIME] >= frame[ADOPTION].astype(float)).astype(float)
    return bool((treated[treated.notna()] == since[treated.notna()]).all())


def _attributes(plan: Plan) -> list[str]:
    """Columns of cities.csv that effects, clusters and samples read."""
    names = [
        name
        for dimension in ("effects", "cluster")
        for option in plan.options[dimension]
        for effect in (option.value if isinstance(option.value, tuple) else ())
        for name in factors(str(effect))
    ]
    for option in plan.options["sample"]:
        kind, value = option.value
        parts = [part.value for part in value] if kind == "own" else [(kind, value)]
        names += [held[0] for what, held in parts if what in ("without", "among")]
    return [name for name in dict.fromkeys(names) if name not in ("unit", "time", UNIT, TIME)]


@dataclass
class _Work:
    """What has been computed of a list so far."""

    plan: Plan
    listed: pd.DataFrame
    data: Data
    place: Mapping[tuple[str, ...], int]
    numbers: np.ndarray  # (specifications, estimate | se | p | n | sd of the outcome)
    status: list[str]
    reason: list[str | None]
    codes: dict[str, np.ndarray]  # effect -> codes (n,), -1 where a part of it is missing
    dealt: np.ndarray  # (treatments, units): whose record of treatment each unit gets; the first are their own
    standard: dict[str, list[np.ndarray]]  # outcome -> (cells, treatments) of estimates in standard deviations
    signed: dict[str, np.ndarray]  # outcome -> (significant and positive | negative | all, treatments)

    @classmethod
    def begun(cls, plan: Plan, listed: pd.DataFrame, data: Data) -> _Work:
        words = listed[["outcome", *DIMENSIONS]].itertuples(index=False, name=None)
        units = data.panel[UNIT].nunique()
        generator = np.random.default_rng(plan.seed)
        own = np.arange(units)
        dealt = np.vstack([own, *(generator.permutation(units) for _ in range(plan.draws))])
        return cls(
            plan,
            listed,
            data,
            {key: at for at, key in enumerate(words)},
            np.full((len(listed), 5), np.nan),
            [NOT_COMPUTED] * len(listed),
            [None] * len(listed),
            {},
            dealt,
            {outcome: [] for outcome in plan.outcomes},
            {outcome: np.zeros((3, len(dealt))) for outcome in plan.outcomes},
        )

    def ways(self) -> Iterator[dict[str, str]]:
        """Every way to make data and sample."""
        for words in self.listed[list(ONE_AT_A_TIME)].drop_duplicates().itertuples(index=False, name=None):
            yield dict(zip(ONE_AT_A_TIME, words, strict=True))

    def fit(self, made: dict[str, str], outcomes: Sequence[str]) -> None:
        """All specifications of one way to make data and sample."""
        plan, data = self.plan, self.data
        filling, winsorising, dating, sample = (plan.option(d, made[d], "") for d in ONE_AT_A_TIME)
        here = self.listed["outcome"].isin(outcomes)
        for dimension, word in made.items():
            here &= self.listed[dimension].eq(word)
        try:
            keep, first = data.rows(sample), data.first_years(dating)
            names = dict.fromkeys(name for names, _ in plan.controls for name in names)
            controls = {
                name: data.panel[name] if TIMES in name else data.column(name, filling, winsorising) for name in names
            }
        except CannotEstimate as error:
            self._refuse(np.flatnonzero(here), str(error))
            return
        forms: dict[tuple[str, str, str], np.ndarray] = {}
        for outcome in outcomes:
            for measure in plan.measures[outcome]:
                for scale in plan.scales[outcome]:
                    key = (outcome, measure.key, scale.key)
                    column = outcome if measure.value is None else str(measure.value)
                    try:
                        forms[key] = data.outcome(column, scale.key, filling, winsorising).to_numpy(dtype=float)
                    except CannotEstimate as error:
                        named = self.listed[["outcome", "measure", "scale"]].eq(list(key)).all(axis=1)
                        self._refuse(np.flatnonzero(here & named), str(error))
        for timings in TOGETHER:
            sets = [(chosen, timing) for chosen, timing in plan.controls if timing in timings]
            if not sets:
                continue
            plain = [name for name in controls if TIMES not in name]
            moved = {timing: data.controls(plain, timing, controls) for timing in dict.fromkeys(t for _, t in sets)}
            columns: dict[tuple[str, str], np.ndarray] = {
                (name, timing): moved[timing].get(name, controls[name]).to_numpy(dtype=float)
                for these, timing in sets
                for name in these
            }
            x = np.column_stack([np.empty((len(keep), 0)), *columns.values()])
            at = {key: position for position, key in enumerate(columns)}
            for mask, keys in _alike(keep & np.isfinite(x).all(axis=1), forms):
                rows = _balanced(data.panel, mask) if sample.value[0] == "balanced" else mask
                y = np.column_stack([forms[key] for key in keys])
                positions = [[at[name, timing] for name in these] for these, timing in sets]
                for effect in plan.options["effects"]:
                    self._block(made, keys, sets, positions, effect.key, rows, x, y, first)
        self._robust(made, here, keep, controls, forms, first, balanced=sample.value[0] == "balanced")

    def _block(
        self,
        made: dict[str, str],
        keys: list[tuple[str, str, str]],
        sets: list[tuple[tuple[str, ...], str]],
        chosen: list[list[int]],
        effect: str,
        rows: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        first: pd.Series,
    ) -> None:
        """The specifications that share rows and effects."""
        where = {
            (i, j, cluster.key): self.place[
                (*key, *(made[d] for d in ONE_AT_A_TIME), joined(names), timing, effect, cluster.key, TWO_WAY)
            ]
            for i, (names, timing) in enumerate(sets)
            for j, key in enumerate(keys)
            for cluster in self.plan.options["cluster"]
        }
        try:
            rows, effects, clusters = self._swept(effect, rows)
        except CannotEstimate as error:
            self._refuse(list(where.values()), str(error))
            return
        panel = self.data.panel
        units, labels = pd.factorize(panel[UNIT], sort=True)
        dealt = first.reindex(labels).to_numpy()[self.dealt].T
        time = panel[TIME].to_numpy(dtype=float)[rows]
        used = y[rows]
        fits = fit_many(used, x[rows], chosen, dealt, units[rows], time, effects, clusters)
        spread = used.std(axis=0, ddof=1)
        held = np.where(spread > 0, spread, np.nan)
        for outcome in dict.fromkeys(key[0] for key in keys):
            own = [j for j, key in enumerate(keys) if key[0] == outcome]
            part = fits.estimate[:, own]
            self.standard[outcome].append((part / held[own][:, None]).reshape(-1, part.shape[2]).astype(np.float32))
            for cluster in self.plan.options["cluster"]:
                critical = stats.t.ppf(1 - SIZE / 2, fits.degrees_of_freedom[cluster.key])
                errors = fits.se[cluster.key][:, own]
                outside = (np.abs(part) > critical * errors) & (errors > TRIFLE * held[own][:, None])
                counts = [(outside & (part > 0)), (outside & (part < 0)), np.isfinite(part)]
                self.signed[outcome] += np.array([each.sum(axis=(0, 1)) for each in counts])
        p_values = {}
        for word, errors in fits.se.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                t = np.abs(fits.estimate[:, :, 0] / errors[:, :, 0])
            p_values[word] = 2 * stats.t.sf(t, fits.degrees_of_freedom[word])
        for (i, j, word), row in where.items():
            estimate, se = fits.estimate[i, j, 0], fits.se[word][i, j, 0]
            if np.isfinite(estimate) and se > TRIFLE * held[j]:
                self.numbers[row] = estimate, se, p_values[word][i, j], rows.sum(), spread[j]
                self.status[row] = OK
            else:
                self.status[row] = NOT_IDENTIFIED
                self.reason[row] = (
                    "Its clustered variance is zero: too few clusters have treated and untreated rows to compare."
                    if np.isfinite(estimate)
                    else "Effects and controls leave nothing of the treatment."
                )

    def _swept(self, word: str, rows: np.ndarray) -> tuple[np.ndarray, Effects, dict[str, np.ndarray]]:
        """The rows without singletons, the projection off the effects, and the codes of clusters."""
        panel = self.data.panel
        option = self.plan.option("effects", word, "")
        trends = option.key == "own trends"
        named = [] if trends else list(option.value)
        columns = [self._codes(effect) for effect in (named or ["unit", "time"])]
        rows = rows.copy()
        for column in columns:
            rows &= column >= 0
        if not rows.any():
            raise CannotEstimate("No row has all that this specification needs.")
        codes = [_again(column[rows]) for column in columns]
        keep = drop_singletons(codes)
        rows[np.flatnonzero(rows)[~keep]] = False
        if not rows.any():
            raise CannotEstimate("Every row is alone in one of its fixed effects, so nothing can be estimated.")
        codes = [_again(column[rows]) for column in columns]
        clusters = {}
        for each in self.plan.options["cluster"]:
            column = self._codes(each.value[0])[rows]
            if (column < 0).any():
                raise CannotEstimate(f"Some units have no {each.value[0]!r}, by which errors are clustered.")
            clusters[each.key] = _again(column)
            if clusters[each.key].max() < 1:
                raise CannotEstimate("A clustered variance needs at least two clusters.")
        time = panel[TIME].to_numpy(dtype=float)[rows]
        return rows, Effects.of(codes, clusters, (codes[0], codes[1], time) if trends else None), clusters

    def _codes(self, effect: str) -> np.ndarray:
        """Codes (n,) of an effect or cluster, -1 where a part of it is missing."""
        if effect not in self.codes:
            found = np.zeros(len(self.data.panel), dtype=np.int64)
            gap = np.zeros(len(found), dtype=bool)
            for part in ({"unit": UNIT, "time": TIME}.get(name, name) for name in effect.split(TIMES)):
                if part not in self.data.panel.columns:
                    raise CannotEstimate(f"Units have no {part!r}, which this specification needs.")
                codes, values = pd.factorize(self.data.panel[part], sort=True)
                gap |= codes < 0
                found = found * (len(values) + 1) + codes
            self.codes[effect] = np.where(gap, -1, found)
        return self.codes[effect]

    def _robust(
        self,
        made: dict[str, str],
        here: pd.Series,
        keep: np.ndarray,
        controls: Mapping[str, pd.Series],
        forms: Mapping[tuple[str, str, str], np.ndarray],
        first: pd.Series,
        *,
        balanced: bool,
    ) -> None:
        """Estimators robust to staggered adoption, one by one."""
        plan, panel = self.plan, self.data.panel
        rows = self.listed[here & self.listed["estimator"].ne(TWO_WAY)]
        for row, words in rows.iterrows():
            key = (words["outcome"], "stated", "stated")
            if key not in forms:
                continue
            complete = keep & np.isfinite(forms[key]) & np.all([controls[n].notna() for n in controls] or True, axis=0)
            complete = _balanced(panel, complete) if balanced else complete
            names = plan.controls[0][0]
            adopted = panel[UNIT].map(first)
            columns: dict[str, Any] = {name: controls[name] for name in names}
            columns |= {words["outcome"]: forms[key], ADOPTION: adopted.where(np.isfinite(adopted))}
            columns |= {self.data.study.treatment: (panel[TIME] >= adopted).astype(float)}
            frame = panel.assign(**columns)[complete]
            method = METHODS[plan.estimators[words["estimator"]]]
            model = replace(plan.baseline, outcome=words["outcome"], controls=tuple(names), method=words["estimator"])
            try:
                result = method.run(frame, model)
            except CannotEstimate as error:
                self._refuse([int(str(row))], str(error))
                continue
            found = method.rows(result, model)[0]
            spread = float(np.std(forms[key][complete], ddof=1))
            self.numbers[int(str(row))] = found.estimate, found.se, found.p, complete.sum(), spread
            self.status[int(str(row))] = OK if np.isfinite(found.estimate) else NOT_IDENTIFIED

    def _refuse(self, rows: Sequence[int] | np.ndarray, why: str) -> None:
        for row in rows:
            self.status[row], self.reason[row] = NOT_COMPUTED, why

    def surface(self, outcome: str, digest: str) -> Surface:
        """What has been found for an outcome."""
        own = self.listed["outcome"].eq(outcome).to_numpy()
        numbers = pd.DataFrame(self.numbers[own], columns=["estimate", "se", "p", "n", "sd"])
        table = self.listed[own].reset_index(drop=True)
        table = pd.concat([table, numbers], axis=1)
        table["status"] = [status for status, is_own in zip(self.status, own, strict=True) if is_own]
        reasons = [reason for reason, is_own in zip(self.reason, own, strict=True) if is_own]
        table["reason"] = pd.Series(reasons, dtype="object")
        blocks = self.standard[outcome]
        drawn = np.concatenate(blocks) if blocks else np.full((0, len(self.dealt)), np.nan, dtype=np.float32)
        return Surface(outcome, self.plan, table, joint_test(drawn, *self.signed[outcome]), digest)


def _again(codes: np.ndarray) -> np.ndarray:
    """Codes numbered from 0 without gaps, in the same order."""
    return np.unique(codes, return_inverse=True)[1]


def _alike(
    keep: np.ndarray, forms: Mapping[tuple[str, str, str], np.ndarray]
) -> list[tuple[np.ndarray, list[tuple[str, str, str]]]]:
    """The outcomes in groups with the same rows, and those rows."""
    groups: dict[bytes, tuple[np.ndarray, list[Any]]] = {}
    for key, values in forms.items():
        mask = keep & np.isfinite(values)
        groups.setdefault(mask.tobytes(), (mask, []))[1].append(key)
    return [(mask, keys) for mask, keys in groups.values() if mask.any()]


def _balanced(panel: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """The rows of units that have every time that any unit has."""
    times = panel.loc[rows, TIME].nunique()
    counts = panel[rows].groupby(UNIT)[TIME].nunique()
    return rows & panel[UNIT].map(counts).eq(times).to_numpy()

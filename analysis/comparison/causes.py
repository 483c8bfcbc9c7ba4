"""Why an estimate moved: its change split over the raw files that changed, then over cities, years and single values.

The estimate is computed again from the panel with each group of values put back as it was; `decomposition` shares the
change out, `influence` says which single values weigh. What a panel's value was made of says which file it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison import decomposition
from analysis.comparison.influence import gradient
from analysis.comparison.panels import NO_ROW, changed_rows, changed_values, values
from analysis.did.regression import design_matrix
from analysis.lineage.evidence import NATION
from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.estimation_sample import columns_named, columns_used, model_frame
from analysis.studies.records import TIMES, Exhibit, Model, Study
from analysis.studies.result import OK
from analysis.studies.run import run_exhibit

#: Cities and years into which the part of a slow estimator's cause is split; of a regression, a handful.
FEW = 3
#: Single values that are told.
VALUES = 10
KEYS = [UNIT, TIME]
#: Between the files of a value that several of them feed.
AND = " and "
SPECIFICATION, TOGETHER, OTHERS = "specification or code", "together", "others"
UNTRACED = "values that no changed file feeds"


@dataclass(frozen=True)
class Part:
    """What one group brought about.

    ``level`` is "cause" (files, lists, the specification), "city", "year" or "value"; ``of`` is the cause that a city,
    year or value belongs to, ``group`` its name. Parts of a level and a cause add up to the cause's part; those of
    single values are first order and do not. ``method`` says how it was found.
    """

    level: str
    of: str
    group: str
    part: float
    method: str


@dataclass(frozen=True)
class Reason:
    """Why one estimate moved from ``before`` to ``now``; the parts of level "cause" add up to the change exactly.

    Without parts ``note`` says in a sentence why it could not be split.
    """

    study: str
    exhibit: str
    model: str
    term: str
    before: float
    now: float
    parts: tuple[Part, ...] = ()
    note: str = ""

    @property
    def causes(self) -> tuple[Part, ...]:
        """The parts that add up, the largest first."""
        return tuple(sorted((part for part in self.parts if part.level == "cause"), key=lambda part: -abs(part.part)))


@dataclass(frozen=True)
class Undoing:
    """A panel of which any part can be put back as it was.

    Attributes
    ----------
    before, now : under the names by which studies are estimated, one row a unit and time.
    cells : one row a value that changed: unit, time, ``column``, ``old``, ``new``, ``cause``.
    rows : one row a unit and time that only one of the two has: unit, time, ``change``, ``cause``.
    """

    before: pd.DataFrame
    now: pd.DataFrame
    cells: pd.DataFrame
    rows: pd.DataFrame

    def of(self, columns: Collection[str]) -> Undoing:
        """The same as far as it touches these columns."""
        return replace(self, cells=self.cells[self.cells["column"].isin(set(columns))].reset_index(drop=True))

    @cached_property
    def _base(self) -> pd.DataFrame:
        """Rows of both panels in order, as they are now; those that are gone as they were."""
        gone = self.rows.loc[self.rows["change"].eq(NO_ROW), KEYS]
        old = gone.merge(self.before, on=KEYS, how="left").reindex(columns=self.now.columns)
        both = pd.concat([self.now, old], ignore_index=True) if len(old) else self.now
        return both.sort_values(KEYS, kind="stable", ignore_index=True)

    @cached_property
    def _places(self) -> pd.Index:
        return pd.MultiIndex.from_frame(self._base[KEYS])

    @cached_property
    def _cell_places(self) -> np.ndarray:
        return self._places.get_indexer(pd.MultiIndex.from_frame(self.cells[KEYS]))

    @cached_property
    def _row_places(self) -> np.ndarray:
        return self._places.get_indexer(pd.MultiIndex.from_frame(self.rows[KEYS]))

    def panel(self, cells: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
        """The panel with the values (as many as ``cells``) and rows at which the masks are true put back."""
        panel = self._base.copy(deep=False)
        for column in self.cells.loc[cells, "column"].unique():
            those = cells & self.cells["column"].eq(column).to_numpy()
            content = values(panel[column]).copy()
            content[self._cell_places[those]] = self.cells.loc[those, "old"]
            panel[column] = content
        # a row that is new is left out where it is put back, one that is gone where it is not
        left_out = self._row_places[rows != self.rows["change"].eq(NO_ROW).to_numpy()]
        return panel.drop(index=left_out).reset_index(drop=True) if len(left_out) else panel


def undoing(
    before: pd.DataFrame,
    now: pd.DataFrame,
    raw: pd.DataFrame,
    behind: Mapping[str, Collection[str]],
    fixed: Mapping[str, str],
) -> Undoing:
    """The two panels with the cause of every difference.

    Parameters
    ----------
    raw
        One row a raw value that changed: ``file``, ``name`` (indicator or kind of records), ``city_code``, ``year``.
    behind
        Column of the panel -> indicators and kinds of records that it is made of.
    fixed
        Column -> cause, for those that no raw file feeds: the treatment, from a list of pilots.
    """
    cells = changed_values(before, now, KEYS)
    cells = cells.assign(cause=_causes(cells, raw, behind, fixed))
    rows = changed_rows(before, now, KEYS)
    files = AND.join(sorted(set(raw["file"]))[:3]) or UNTRACED
    return Undoing(before, now, cells, rows.assign(cause=files))


def explain(
    study: Study,
    exhibit: Exhibit,
    model: Model,
    term: str,
    change: Undoing,
    stated: tuple[float, float],
    *,
    cities: pd.DataFrame | None = None,
    panels: Mapping[str, pd.DataFrame] | None = None,
    is_sample: bool = False,
) -> Reason:
    """Split the change of one estimate; ``stated`` is what the two publications say of it.

    The first level is over causes; what is left between the earlier publication's number and the earlier panel's
    estimate by today's code is the part of the specification or the code. The second is over the cities and over the
    years of each cause, the third names single values.
    """
    said = (study.name, exhibit.name, model.label, term, *stated)
    change = change.of(_read(study, model))
    alone = replace(study, exhibits=(replace(exhibit, models=(model,), tests=()),))

    def estimate(panel: pd.DataFrame) -> float:
        if _is_plain(model):
            return _coefficient(study, model, term, panel, cities)
        found = run_exhibit(alone, exhibit.name, panel, is_sample=is_sample, cities=cities, panels=panels).estimates
        row = found[found["term"].eq(term) & found["status"].eq(OK)]
        if row.empty:
            raise CannotEstimate("With a part of the changes undone it cannot be computed.")
        return float(row["estimate"].iloc[0])

    causes = list(dict.fromkeys([*change.cells["cause"], *change.rows["cause"]]))
    of_cell, of_row = change.cells["cause"].to_numpy(), change.rows["cause"].to_numpy()
    try:
        nothing = np.zeros(len(of_cell), dtype=bool), np.zeros(len(of_row), dtype=bool)
        again = estimate(change.panel(*nothing))
        if abs(again - stated[1]) > 1e-8 * max(1.0, abs(stated[1])):
            return Reason(*said, note="The specification or the code is no longer the publication's: it is not split.")

        def of_causes(kept: frozenset[str]) -> float:
            undone = [cause for cause in causes if cause not in kept]
            return estimate(change.panel(np.isin(of_cell, undone), np.isin(of_row, undone)))

        found = decomposition.split(of_causes, causes)
        parts = [Part("cause", "", cause, part, found.method) for cause, part in found.parts.items()]
        parts = _adding_up(parts, found.remainder, stated)
        for part in list(parts):
            if part.group in causes:
                parts += _members(study, model, term, change, part, estimate, cities, again)
    except CannotEstimate as error:
        return Reason(*said, note=str(error))
    return Reason(*said, parts=tuple(parts))


def _adding_up(parts: list[Part], remainder: float, stated: tuple[float, float]) -> list[Part]:
    """The causes with what they did only together and what no value of the panel explains; they add up exactly."""
    if remainder:
        parts = [*parts, Part("cause", "", TOGETHER, remainder, "remainder")]
    rest = (stated[1] - stated[0]) - math.fsum(part.part for part in parts)
    # less than the last digits of both is rounding, and goes to the largest part
    if parts and abs(rest) <= 1e-9 * max(map(abs, stated)):
        largest = max(parts, key=lambda part: abs(part.part))
        return [replace(part, part=part.part + rest) if part is largest else part for part in parts]
    return [*parts, Part("cause", "", SPECIFICATION, rest, "remainder")]


def _members(
    study: Study,
    model: Model,
    term: str,
    change: Undoing,
    cause: Part,
    estimate: Callable[[pd.DataFrame], float],
    cities: pd.DataFrame | None,
    now: float,
) -> list[Part]:
    """A cause's part over its cities and over its years, and its values of the largest first-order effect."""
    cells = change.cells["cause"].eq(cause.group).to_numpy()
    rows = change.rows["cause"].eq(cause.group).to_numpy()
    effects = _first_order(study, model, term, change, cities)
    weight = effects.where(cells).abs() if effects is not None else _size(change).where(cells)
    parts = []
    for level, key in (("city", UNIT), ("year", TIME)):
        sizes = weight[cells].groupby(change.cells.loc[cells, key]).sum().to_dict()
        sizes |= dict.fromkeys(set(change.rows.loc[rows, key]) - set(sizes), 0.0)
        handful = decomposition.HANDFUL if _is_plain(model) else FEW
        named, others = decomposition.largest(sizes, handful - 1 if len(sizes) > handful else len(sizes))
        member = {name: str(name) for name in named} | {name: f"{len(others)} {OTHERS}" for name in others}
        of_cell = change.cells[key].map(member).where(cells, "").to_numpy(dtype=object)
        of_row = change.rows[key].map(member).where(rows, "").to_numpy(dtype=object)
        groups = list(dict.fromkeys(member.values()))

        def value(
            kept: frozenset[Hashable], groups: list[str] = groups, own: np.ndarray = of_cell, also: np.ndarray = of_row
        ) -> float:
            undone = [group for group in groups if group not in kept]
            return estimate(change.panel(np.isin(own, undone), np.isin(also, undone))) if undone else now

        if len(groups) == 1:
            parts.append(Part(level, cause.group, groups[0], cause.part, cause.method))
            continue
        found = decomposition.within(value, groups, cause.part)
        parts += [Part(level, cause.group, str(group), part, found.method) for group, part in found.parts.items()]
        if abs(found.remainder) > 1e-12 * abs(cause.part):
            parts.append(Part(level, cause.group, TOGETHER, found.remainder, "remainder"))
    if effects is not None:
        order = effects[cells].abs().sort_values(ascending=False, kind="stable").index[:VALUES]
        for at in order:
            if effects[at]:
                cell = change.cells.loc[at]
                name = f"{cell['column']}, {cell[UNIT]}, {cell[TIME]}"
                parts.append(Part("value", cause.group, name, float(effects[at]), "first order"))
    return parts


def _read(study: Study, model: Model) -> set[str]:
    """The columns of the panel that a model's estimate can depend on."""
    named = {*columns_used(model), *columns_named(model), *model.treatments, ADOPTION}
    named |= {group.column for group in study.groups if group.name in named and group.column}
    return named | {matrix.variable for matrix in model.weights if matrix.variable}


def _is_plain(model: Model) -> bool:
    """Whether it is a regression of columns of the panel, without products of them and without options."""
    products = any(TIMES in name for name in (*model.controls, *model.fixed_effects))
    return model.method == "two_way" and not (products or model.leads or model.interaction or model.options)


def _coefficient(study: Study, model: Model, term: str, panel: pd.DataFrame, cities: pd.DataFrame | None) -> float:
    """The coefficient of a plain regression, without its standard error, which is most of the work."""
    frame = model_frame(study, model, panel, cities)
    if isinstance(frame, str):
        raise CannotEstimate(frame)
    design = design_matrix(
        frame,
        model.outcome,
        [*model.treatments, *model.controls],
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
        cluster=model.cluster,
    )
    if term not in design.terms:
        raise CannotEstimate(design.not_identified[term])
    return float(np.linalg.lstsq(design.x, design.y, rcond=None)[0][design.terms.index(term)])


def _size(change: Undoing) -> pd.Series:
    """How far each value moved in standard deviations of its column."""
    spread = {column: float(np.nanstd(values(change.now[column]))) or 1.0 for column in change.cells["column"].unique()}
    moved = (change.cells["new"] - change.cells["old"]).abs().fillna(1.0)
    return moved / change.cells["column"].map(spread)


def _first_order(
    study: Study, model: Model, term: str, change: Undoing, cities: pd.DataFrame | None
) -> pd.Series | None:
    """What each value's change alone does to the coefficient, to first order; None where no regression is linear."""
    frame = model_frame(study, model, change.now, cities) if _is_plain(model) else ""
    if isinstance(frame, str):
        return None
    slopes = gradient(
        frame,
        model.outcome,
        [*model.treatments, *model.controls],
        term,
        unit=UNIT,
        time=TIME,
        fixed_effects=model.fixed_effects,
    ).stack()
    keys = pd.MultiIndex.from_frame(change.cells[[*KEYS, "column"]])
    by_cell = slopes.reindex(keys).fillna(0.0).to_numpy()
    return pd.Series(by_cell, index=change.cells.index) * (change.cells["new"] - change.cells["old"]).fillna(0.0)


def _causes(
    cells: pd.DataFrame, raw: pd.DataFrame, behind: Mapping[str, Collection[str]], fixed: Mapping[str, str]
) -> list[str]:
    """The files behind each changed value: of its own city and year, else of its city, else of its column."""
    found: dict[int, str] = {}
    for column, those in cells.groupby("column", sort=False):
        name = str(column)
        if name in fixed:
            found |= dict.fromkeys(those.index, fixed[name])
            continue
        own = raw[raw["name"].isin(set(behind.get(name, ())))]
        if own.empty:
            found |= dict.fromkeys(those.index, UNTRACED)
            continue
        exact = own.groupby(["city_code", "year"])["file"].agg(_joined).to_dict()
        near = own[own["city_code"].ne(NATION)].groupby("city_code")["file"].agg(_joined).to_dict()
        everywhere = _joined(own["file"])
        for at, city, year in zip(those.index, those[UNIT], those[TIME], strict=True):
            here = [exact[key] for key in ((city, year), (NATION, year)) if key in exact]
            found[at] = AND.join(here) if here else near.get(city, everywhere)
    return [found[at] for at in cells.index]


def _joined(files: Iterable[Any]) -> str:
    """The files behind a value, in order; beyond three how many."""
    names = sorted(set(files))
    return AND.join(names) if len(names) <= 3 else f"{len(names)} files together"

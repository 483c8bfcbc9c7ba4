"""The rows and columns a model is estimated on: city attributes, groups, leads and interactions added, rows selected.

Nothing is estimated here; what a study may ask for is read in `spec` and `exhibits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.studies.methods import METHODS
from analysis.studies.records import TIMES, TREND, Group, Model, Study, Subsample, factors, lead_name


def model_frame(study: Study, model: Model, panel: pd.DataFrame, cities: pd.DataFrame | None) -> pd.DataFrame | str:
    """The panel as the model uses it, or one sentence that says why it cannot be used."""
    frame = with_cities(panel, columns_named(model), cities)
    groups = {group.name: group for group in study.groups}
    for name in columns_named(model):
        if name in groups:
            values = city_groups(groups[name], panel, cities)
            if isinstance(values, str):
                return _explained(study, groups[name], panel) or values
            frame = frame.assign(**{name: frame[UNIT].astype(str).map(values).astype(float)})
    made = [name for name in model.treatments if name != model.treatment]
    needed = [name for name in (*columns_used(model), *columns_named(model)) if name not in made]
    why = missing(study, needed, frame)
    if why:
        return why
    if METHODS[model.method].stays and not _stays(frame, model.treatment):
        return (
            f"{model.treatment!r} is not 0 before a first year and 1 from it on: it ends in some city, or has an "
            f"intensity. {model.method!r} needs one that stays; two_way takes any, switching one that ends."
        )
    frame = _select(_with_products(study, model, _with_treatments(model, frame)), model.sample)
    if frame.empty:
        return "The panel has no row in the sample this column asks for."
    empty = [column for column in needed if frame[column].isna().all()]
    return f"{empty[0]!r} has no value in the sample this column asks for." if empty else frame


def with_made(study: Study, panel: pd.DataFrame, cities: pd.DataFrame | None) -> pd.DataFrame:
    """The study's panel with every column that its models on that panel make from it: groups, leads, interactions,
    attributes of cities; what cannot be made is left out. This is the panel that other programs are given."""
    made: dict[str, pd.Series] = {}
    for exhibit in study.exhibits:
        for model in exhibit.models:
            if model.panel is None:
                frames = [with_cities(panel, model.sample.where, cities)]
                whole = model_frame(study, replace(model, sample=Subsample()), panel, cities)
                frames += [] if isinstance(whole, str) else [whole]
                made |= {str(name): frame[name] for frame in frames for name in frame if name not in panel.columns}
    return pd.concat([panel, pd.DataFrame(made, index=panel.index)], axis=1)


def columns_used(model: Model) -> tuple[str, ...]:
    """Columns with the numbers of a model: outcome, treatment, controls and what its method needs beside."""
    outcome = (model.outcome,) if model.outcome else ()
    needs = METHODS[model.method].needs(model)
    controls = (name for control in model.controls for name in factors(control))
    return tuple(dict.fromkeys((*outcome, model.treatment, *controls, *needs)))


def columns_named(model: Model) -> tuple[str, ...]:
    """Columns that may come from cities.csv: effects, clusters, conditions, groups, and what the method reads there."""
    effects = [name for effect in (*model.fixed_effects, *model.cluster) for name in factors(effect)]
    grouping = [name for name in effects if name not in ("unit", "time")]
    grouping += [name for control in model.controls if TIMES in control for name in factors(control)]
    group = [model.interaction.group] if model.interaction else []
    by = [model.options["by"]] if "by" in model.options else []
    own = METHODS[model.method].city_columns
    return tuple(dict.fromkeys((*grouping, *model.sample.where, *group, *by, *own)))


def missing(study: Study, columns: Iterable[str], panel: pd.DataFrame) -> str | None:
    """Why the columns cannot all be used, or None."""
    for column in dict.fromkeys(columns):
        if column in panel.columns and panel[column].notna().any():
            continue
        variable = next((variable for variable in study.variables if variable.name == column), None)
        if variable is None:
            return f"The panel has no value of {column!r}."
        if variable.formula:
            uses = ", ".join(variable.uses)
            return f"{column!r} is {variable.formula}, and no raw source provides all of {uses} for any city and year."
        source = variable.source
        if study.panel is not None:
            return f"{column!r} is {source!r} of {study.panel.path.name}, which has no value of it in the sample."
        scored = next((made for made in study.efficiency if source in made.columns), None)
        if scored:
            return f"{column!r} is scored from {', '.join(scored.variables)}, and no raw source provides all of them."
        return f"{column!r} is {source} of panels.city_year, and no raw source provides {source}."
    return None


def city_groups(group: Group, panel: pd.DataFrame, cities: pd.DataFrame | None) -> pd.Series | str:
    """City code -> 1, 0 or missing: one group a city for all its years, from the whole panel; or why there is none."""
    if group.rule == "any_of":
        absent = [name for name in group.attributes if cities is None or name not in cities.columns]
        if absent or cities is None:
            return f"The group {group.name!r} needs {absent[0]!r} of data/reference/cities.csv, which is not at hand."
        hit = [cities[name].isin(list(values)) for name, values in group.attributes.items()]
        inside = pd.concat(hit, axis=1).any(axis=1).astype(float)
        return pd.Series(inside.to_numpy(), index=cities[UNIT].astype(str))
    if group.column not in panel.columns or not panel[group.column].notna().any():
        return f"The panel has no value of {group.column!r}, from which the group {group.name!r} is made."
    # Sorted first, so that sums do not depend on the order of the rows.
    rows = panel.sort_values([UNIT, TIME])
    values = rows[group.column].astype(float)
    city = rows[UNIT].astype(str)
    if group.rule == "ever":
        return values.fillna(0).ne(0).groupby(city).any().astype(float)
    means = values.groupby(city).mean()
    above = means > values.mean() if group.rule == "above_mean" else means >= float(group.threshold or 0.0)
    return above.astype(float).where(means.notna())


def _explained(study: Study, group: Group, panel: pd.DataFrame) -> str | None:
    """Where the column behind a group should have come from, in the words used for every column."""
    return missing(study, [group.column], panel) if group.column else None


def with_cities(panel: pd.DataFrame, names: Iterable[str], cities: pd.DataFrame | None) -> pd.DataFrame:
    """The panel with those of the named columns that only cities.csv has."""
    if cities is None:
        return panel
    wanted = [name for name in names if name in cities.columns and name not in panel.columns]
    if not wanted:
        return panel
    attributes = cities.assign(**{UNIT: cities[UNIT].astype(str)}).set_index(UNIT)[wanted]
    joined = attributes.reindex(panel[UNIT].astype(str)).set_index(panel.index)
    return pd.concat([panel, joined], axis=1)


def _with_treatments(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the regressors that the model makes from adoption and treatment."""
    made: Mapping[str, pd.Series] = {
        lead_name(model.treatment, years): (frame[TIME] >= frame[ADOPTION] - years).astype(float)
        for years in model.leads
    }
    if model.interaction:
        product = frame[model.treatment].astype(float) * frame[model.interaction.group]
        made = {**made, model.interaction.name: product}
    return frame.assign(**made)


def _stays(frame: pd.DataFrame, treatment: str) -> bool:
    """Whether a treatment is 0 before a first year and 1 from it on, as far as it has values."""
    held = frame[treatment].notna()
    since = (frame[TIME] >= frame[ADOPTION].astype(float)).astype(float)
    return bool((frame.loc[held, treatment].astype(float) == since[held]).all())


def _with_products(study: Study, model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with interacted effects, each a text for every combination, and interacted controls."""
    made: dict[str, pd.Series] = {}
    for effect in (name for name in (*model.fixed_effects, *model.cluster) if TIMES in name):
        parts = frame[[{"unit": UNIT, "time": TIME}.get(name, name) for name in effect.split(TIMES)]]
        made[effect] = parts.astype(str).agg(TIMES.join, axis=1).where(parts.notna().all(axis=1))
    for control in (name for name in model.controls if TIMES in name):
        product = pd.Series(1.0, index=frame.index)
        for name in control.split(TIMES):
            if name == TREND:
                product *= frame[TIME] - study.years[0]
            else:
                product *= (frame[TIME] == int(name) if name.isdigit() else frame[name]).astype(float)
        made[control] = product
    return frame.assign(**made)


def _select(panel: pd.DataFrame, sample: Subsample) -> pd.DataFrame:
    keep = np.ones(len(panel), dtype=bool)
    if sample.years:
        keep &= panel[TIME].between(*sample.years).to_numpy()
    if sample.exclude_cities:
        keep &= ~panel[UNIT].astype(str).isin(sample.exclude_cities).to_numpy()
    for column, values in sample.where.items():
        keep &= panel[column].isin(list(values)).to_numpy()
    return panel[keep]

"""Methods of space: weights, autocorrelation by year, spatial panel models, their effects, and which model to choose.

The estimators are in `analysis.spatial`; the matrices they use are built in `analysis.studies.matrices`. Every model
here needs balanced data, so `balanced` states what is left out and the matrix is built for the cities that remain.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.names import ADOPTION, TIME, UNIT
from analysis.results import CannotEstimate
from analysis.studies.matrices import LINKED, POSITION, build, columns_needed, described, size
from analysis.studies.methods.base import (
    Method,
    Row,
    effect_row,
    estimate_facts,
    integer,
    notes_facts,
    numbers,
    sample_facts,
    word,
)
from analysis.studies.records import Matrix, Model

if TYPE_CHECKING:
    from analysis.spatial import SpatialEstimate, Weights

#: Kilometres at which the reach of a spillover is cut into bands; the last holds every pair of cities.
BANDS = (0.0, 100.0, 200.0, 300.0, 500.0, 800.0, 1200.0, 6000.0)
LAG = "w "  # before a regressor's name: its spatial lag


def balanced(panel: pd.DataFrame, model: Model, columns: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows a spatial model can use, sorted by city and year, and what was left out.

    A year in which some column has no value in any city is left out, then every city with a gap in another year (or
    without a place, or a size in a nested matrix). Gaps inside a city's years were filled, or not, when the panel was
    made; here nothing is filled.
    """
    frame = panel.assign(**{UNIT: panel[UNIT].astype(str)}).sort_values([UNIT, TIME]).reset_index(drop=True)
    columns = list(dict.fromkeys(columns))
    notes = []
    empty = [(name, year) for name in columns for year, held in frame.groupby(TIME)[name] if held.isna().all()]
    if empty:
        frame = frame[~frame[TIME].isin({year for _, year in empty})]
        told = ", ".join(f"{name} in {year}" for name, year in empty[:5])
        notes.append(f"Years left out because a variable has no value in any city: {told}.")
    cities, years = frame[UNIT].nunique(), frame[TIME].nunique()
    gap = frame[columns].isna().any(axis=1) | frame[list(POSITION)].isna().any(axis=1)
    full = frame[UNIT].value_counts()
    kept = set(full.index[full >= years]) - set(frame.loc[gap, UNIT])
    for matrix in model.weights:
        if matrix.variable:
            sized = size(matrix, frame)
            kept &= set(sized.index[sized.notna()])
    if len(kept) < 4:
        short = {name: frame.loc[frame[name].isna(), UNIT].nunique() for name in columns}
        worst = max(short, key=lambda name: short[name])
        raise CannotEstimate(
            f"{len(kept)} of {cities} cities have every year complete, and spatial models need a balanced panel of at "
            f"least four; most cities miss {worst!r} in some year."
        )
    if len(kept) < cities:
        notes.append(
            f"{cities - len(kept)} of {cities} cities left out: a year is missing, and spatial models need a balanced "
            "panel. The weights are those among the remaining cities, normalised again."
        )
    return frame[frame[UNIT].isin(kept)].reset_index(drop=True), tuple(notes)


def _matrix(rows: pd.DataFrame, matrix: Matrix, cities: Sequence[str] | None = None) -> tuple[Weights, str]:
    """A matrix of the model over the cities of the rows, and how it is made."""
    weights = build(matrix, rows, cities)
    first = rows.drop_duplicates(UNIT)
    names = dict(zip(first[UNIT], first["name_en"].astype(str), strict=True))
    return weights, described(matrix, weights, names)


# Weights -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CityWeights:
    """A matrix over the study's cities.

    ``neighbours`` has a row a city: code, names, number of neighbours, their names (the twelve largest weights at most)
    and the sum of weights. ``places`` is indexed by code: longitude, latitude, adoption.
    """

    weights: Weights
    neighbours: pd.DataFrame
    places: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Cities."""
        return self.weights.n


#: Neighbours that a table names in a dense matrix, in which everybody is one.
NAMED = 12


def _city_weights(panel: pd.DataFrame, model: Model) -> CityWeights:
    frame = panel.assign(**{UNIT: panel[UNIT].astype(str)}).sort_values([UNIT, TIME])
    weights, note = _matrix(frame, model.weights[0])
    places = frame.drop_duplicates(UNIT).set_index(UNIT)
    names = places["name_en"].astype(str).to_dict()
    table = weights.neighbours(names)
    table["neighbours"] = [", ".join(cell.split(", ")[:NAMED]) for cell in table["neighbours"]]
    table.insert(1, "name_en", [names[code] for code in table["unit"]])
    table.insert(2, "name_zh", [places.loc[code, "name_zh"] for code in table["unit"]])
    table = table.rename(columns={"unit": UNIT})
    return CityWeights(weights, table, places[[*POSITION, ADOPTION]], (note,))


def _city_weights_rows(result: CityWeights, model: Model) -> list[Row]:
    weights, count = result.weights, result.neighbours["count"].to_numpy(dtype=float)
    numbers_found = {
        "cities": weights.n,
        "links": weights.matrix.nnz,
        "share of pairs linked": weights.matrix.nnz / (weights.n * (weights.n - 1)),
        "neighbours, mean": count.mean(),
        "neighbours, fewest": count.min(),
        "neighbours, most": count.max(),
        "symmetric": float(weights.is_symmetric),
        "neighbours both ways": float(weights.has_symmetric_pattern),
        "row sum, smallest": weights.row_sums.min(),
        "row sum, largest": weights.row_sums.max(),
        "cities linked with the nearest": sum(LINKED in note for note in weights.notes),
    }
    return [Row(term, float(value), n=float(weights.n)) for term, value in numbers_found.items()]


# Autocorrelation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MoranByYear:
    """Moran's I and Geary's C of each year under several matrices, and the points of the last year's scatter.

    ``table`` has a row a matrix and year: ``matrix``, ``year``, ``n``, ``i``, ``z``, ``p``, ``p_normality``,
    ``p_randomisation``, ``p_permutation``, ``c``, ``c_p``. ``points`` has a row a matrix and city: ``z``, ``lag``.
    """

    table: pd.DataFrame
    points: pd.DataFrame
    year: int
    assumption: str
    alternative: str
    permutations: int
    notes: tuple[str, ...]


def _moran(panel: pd.DataFrame, model: Model) -> MoranByYear:
    from analysis.spatial import geary, moran, moran_scatter

    options = {"assumption": "normality", "alternative": "greater", "permutations": 999} | dict(model.options)
    frame, notes = balanced(panel, model, [model.outcome])
    common = {"unit": UNIT, "time": TIME}
    last = int(frame[TIME].max())
    tables, points = [], []
    for matrix in model.weights:
        weights, made = _matrix(frame, matrix)
        found = moran(frame, model.outcome, weights, **common, **options).table  # type: ignore[arg-type]
        beside = geary(frame, model.outcome, weights, **common, **(options | {"permutations": 0})).table  # type: ignore[arg-type]
        found = found.assign(matrix=matrix.name, c=beside["c"], c_p=beside["p"])
        tables.append(found.rename(columns={TIME: "year"}))
        scatter = moran_scatter(frame[frame[TIME] == last], model.outcome, weights, **common)
        points.append(scatter.table.assign(matrix=matrix.name))
        notes = (*notes, f"{matrix.name}. {made}")
    columns = ["matrix", "year", "n", "i", "expected", "z", "p", "p_normality", "p_randomisation", "p_permutation"]
    table = pd.concat(tables, ignore_index=True)[[*columns, "variance_normality", "c", "c_p"]]
    return MoranByYear(
        table,
        pd.concat(points, ignore_index=True),
        last,
        str(options["assumption"]),
        str(options["alternative"]),
        int(options["permutations"]),  # type: ignore[call-overload]
        notes,
    )


def _moran_rows(result: MoranByYear, model: Model) -> list[Row]:
    """Year by year under each matrix: I with its p, that p as a number, the other two, and Geary's C."""
    rows = []
    for _, row in result.table.sort_values("year", kind="stable").iterrows():
        name, label, n = row["matrix"], str(row["year"]), float(row["n"])
        rows += [
            Row(name, row["i"], np.nan, row["p"], model=label, n=n),
            Row(f"{name} p", row["p"], model=label, n=n),
            Row(f"{name} z", row["z"], model=label, n=n),
            *(
                Row(f"{name} p, {kind}", row[f"p_{kind}"], model=label, n=n)
                for kind in ("normality", "randomisation", "permutation")
                if np.isfinite(row[f"p_{kind}"])
            ),
            Row(f"{name} Geary's C", row["c"], np.nan, row["c_p"], model=label, n=n),
        ]
    return rows


@dataclass(frozen=True)
class Clusters:
    """Local Moran's I of one year: a row a city, with code, names, ``z``, ``lag``, ``i``, ``p`` and ``cluster``."""

    table: pd.DataFrame
    year: int
    level: float
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Cities."""
        return len(self.table)


#: Classes of local Moran's I in the order of tables and legends.
CLASSES = ("high-high", "low-low", "high-low", "low-high", "not significant")


def _local_moran(panel: pd.DataFrame, model: Model) -> Clusters:
    from analysis.spatial import local_moran

    level = model.options.get("level", 0.05)
    year = int(model.options.get("year", panel.loc[panel[model.outcome].notna(), TIME].max()))
    frame, notes = balanced(panel[panel[TIME] == year], replace(model, weights=()), [model.outcome])
    whole = panel.assign(**{UNIT: panel[UNIT].astype(str)})
    weights, made = _matrix(whole, model.weights[0], sorted(frame[UNIT]))
    draws = model.options.get("permutations", 999)
    found = local_moran(frame, model.outcome, weights, unit=UNIT, time=TIME, level=level, permutations=draws).table
    names = frame.set_index(UNIT)
    table = found.assign(**{name: found[UNIT].map(names[name]) for name in ("name_en", "name_zh")})
    tested = (
        f"{draws} conditional permutations; classes at p < {level:g}, not corrected for {len(table)} tests at once."
    )
    return Clusters(table, year, level, (*notes, made, tested))


def _local_moran_rows(result: Clusters, model: Model) -> list[Row]:
    counts = result.table["cluster"].value_counts()
    return [Row(name, float(counts.get(name, 0)), n=float(result.n)) for name in CLASSES]


# Models --------------------------------------------------------------------------------------------------------------


def _structure(model: Model) -> str:
    """The study's fixed effects as the spatial models call them."""
    known = {(): "none", ("unit",): "unit", ("time",): "time", ("time", "unit"): "two-way"}
    effects = known.get(tuple(sorted(model.fixed_effects)))
    if effects is None:
        raise CannotEstimate(
            f"Spatial models take city and year effects only, not {', '.join(model.fixed_effects)}: choose among unit "
            "and time."
        )
    return effects


def _fit(panel: pd.DataFrame, model: Model) -> tuple[SpatialEstimate, pd.DataFrame]:
    """The model of a column on its balanced panel."""
    from analysis.spatial import panel as fit

    if len(model.cluster) > 1:
        raise CannotEstimate("Spatial models cluster by one column: name one, or none for the information matrix.")
    x = [*model.treatments, *model.controls]
    frame, notes = balanced(panel, model, [model.outcome, *x])
    weights, made = _matrix(frame, model.weights[0])
    options = {"model": "sar"} | dict(model.options)
    correction = options.get("bias_correction", "transformation")
    lagged = list(model.treatments) if options.get("lagged") == "treatment" else None
    cluster = next(({"unit": UNIT, "time": TIME}.get(name, name) for name in model.cluster), None)
    estimate = fit(
        frame,
        model.outcome,
        x,
        weights,
        model=options["model"],
        effects=_structure(model),  # type: ignore[arg-type]
        bias_correction=None if correction == "none" else correction,
        unit=UNIT,
        time=TIME,
        cluster=cluster,
        lagged=lagged,
    )
    own = [note for note in estimate.notes if note not in weights.notes]
    return replace(estimate, notes=(*notes, made, *own)), frame


def _spatial_panel(panel: pd.DataFrame, model: Model) -> SpatialEstimate:
    return _fit(panel, model)[0]


def _spatial_panel_rows(result: SpatialEstimate, model: Model) -> list[Row]:
    """Every coefficient, spatial lags of regressors as "w <name>", then the fit."""
    rows = [
        Row(_called(str(term)), row["estimate"], row["se"], row["p"], result.not_identified.get(str(term)))
        for term, row in result.table.iterrows()
    ]
    return [*rows, Row("r2_within", result.r2_within), Row("loglik", result.loglik), Row("sigma2", result.sigma2)]


def _called(term: str) -> str:
    return f"{LAG}{term[2:]}" if term.startswith("W:") else term


@dataclass(frozen=True)
class SpatialEffects:
    """Direct, indirect and total effects of one spatial model, and how far the indirect ones reach.

    ``table`` has a row a regressor and kind of effect, as `analysis.spatial.Effects`; ``bands`` a row a regressor and
    band of kilometres: ``estimate``, ``se`` and ``cities``, how many others a city has there on average.
    """

    table: pd.DataFrame
    bands: pd.DataFrame
    estimate: SpatialEstimate
    draws: int
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Observations."""
        return self.estimate.n


def _spatial_effects(panel: pd.DataFrame, model: Model) -> SpatialEffects:
    from analysis.spatial import great_circle

    options = dict(model.options)
    draws, edges = options.pop("draws", 1000), list(options.pop("bands", BANDS))
    estimate, frame = _fit(panel, replace(model, options=options))
    effects = estimate.effects(draws=draws)
    places = frame.drop_duplicates(UNIT).set_index(UNIT)[list(POSITION)]
    distance = great_circle(places.loc[list(estimate.weights.labels)])  # type: ignore[union-attr]
    bands = estimate.effects_by_distance(distance, edges, draws=draws)
    apart = distance[~np.eye(len(distance), dtype=bool)]
    inside = {
        f"{low:g}-{high:g}": float(((apart > low) & (apart <= high)).sum()) / len(distance)
        for low, high in itertools.pairwise(edges)
    }
    lost = [f"{effects.rejected} draws replaced: rho outside its interval."] if effects.rejected else []
    reach = bands.assign(cities=bands["band"].map(inside))
    return SpatialEffects(effects.table, reach, estimate, draws, (*estimate.notes, *lost))


def _spatial_effects_rows(result: SpatialEffects, model: Model) -> list[Row]:
    """The treatment's effects with the delta method's error, then with that of the draws, then by band."""
    rows = []
    for term in model.treatments:
        own = result.table[result.table["term"] == term]
        which = "" if term == model.treatment else f", {term}"
        for _, row in own.iterrows():
            rows.append(Row(f"{row['effect']}{which}", row["estimate"], row["se_delta"], row["p"]))
        for _, row in own.iterrows():
            rows.append(effect_row(f"{row['effect']}{which}, simulated", row["estimate"], row["se"]))
        for _, row in result.bands[result.bands["term"] == term].iterrows():
            rows.append(effect_row(f"{row['band']} km{which}", row["estimate"], row["se"]))
    return rows


@dataclass(frozen=True)
class Spillovers:
    """What each city receives from the pilots among the other cities, by one spatial model, in one year.

    ``table`` has a row a city: code, names, ``treated`` (0/1 in that year) and ``received`` (in the outcome's unit);
    ``direct`` is the model's direct effect, to hold it against.
    """

    table: pd.DataFrame
    year: int
    direct: float
    estimate: SpatialEstimate
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Observations of the model."""
        return self.estimate.n


def _spillovers(panel: pd.DataFrame, model: Model) -> Spillovers:
    options = dict(model.options)
    estimate, frame = _fit(panel, replace(model, options={k: v for k, v in options.items() if k != "year"}))
    year = int(options.get("year", frame[TIME].max()))
    if year not in set(frame[TIME]):
        raise CannotEstimate(f"The panel has no year {year}; it runs from {frame[TIME].min()} to {frame[TIME].max()}.")
    rows = frame[frame[TIME] == year].set_index(UNIT)
    received = estimate.received(rows[model.treatment], model.treatment)
    table = rows[["name_en", "name_zh"]].assign(treated=rows[model.treatment], received=received).reset_index()
    effects = estimate.effects(draws=2).table
    direct = effects[(effects["term"] == model.treatment) & (effects["effect"] == "direct")]["estimate"].iloc[0]
    return Spillovers(table, year, float(direct), estimate, estimate.notes)


def _spillover_rows(result: Spillovers, model: Model) -> list[Row]:
    """How much cities without the policy receive, and how many of them receive much of a direct effect."""
    others = result.table[result.table["treated"] == 0]["received"]
    found = {
        "direct effect": result.direct,
        "received by cities without the policy, mean": others.mean(),
        "received by cities without the policy, largest": others.max(),
        "cities without the policy": float(len(others)),
        "of them with a tenth of the direct effect or more": float((others >= 0.1 * abs(result.direct)).sum()),
    }
    return [Row(term, float(value)) for term, value in found.items()]


@dataclass(frozen=True)
class ModelChoice:
    """Tests between spatial models: ``table`` as `analysis.spatial.choose` gives it, and where they lead in words."""

    table: pd.DataFrame
    model: str
    recommendation: str
    n: int
    notes: tuple[str, ...]


def _spatial_choice(panel: pd.DataFrame, model: Model) -> ModelChoice:
    from analysis.spatial import choose

    x = [*model.treatments, *model.controls]
    frame, notes = balanced(panel, model, [model.outcome, *x])
    weights, made = _matrix(frame, model.weights[0])
    effects: Any = _structure(model)
    found = choose(frame, model.outcome, x, weights, effects=effects, unit=UNIT, time=TIME)
    return ModelChoice(found.table, found.model, found.recommendation, len(frame), (*notes, made))


def _spatial_choice_rows(result: ModelChoice, model: Model) -> list[Row]:
    """A row a test, its statistic under ``estimate``."""
    return [
        Row(f"{row['test']}, {row['effects']}", row["statistic"], np.nan, row["p"])
        for _, row in result.table.iterrows()
    ]


_MODEL = {
    "model": word("sar", "sem", "sdm", "slx", "sac"),
    "bias_correction": word("transformation", "direct", "none"),
    "lagged": word("all", "treatment"),
}
#: Names come along for the notes and tables that say which city is meant.
_PLACED: dict[str, Any] = {
    "needs": columns_needed,
    "clustered": False,
    "city_columns": (*POSITION, "name_en", "name_zh"),
}

#: Methods, which are kinds of exhibit under the same names.
SPATIAL: dict[str, Method] = {
    "spatial_weights": Method(_city_weights, _city_weights_rows, sample_facts, has_outcome=False, **_PLACED),
    "moran": Method(
        _moran,
        _moran_rows,
        notes_facts,
        {
            "assumption": word("normality", "randomisation", "permutation"),
            "alternative": word("greater", "two-sided"),
            "permutations": integer(0, 100_000),
        },
        **_PLACED,
    ),
    "local_moran": Method(
        _local_moran,
        _local_moran_rows,
        sample_facts,
        {"year": integer(1949, 2100), "permutations": integer(1, 100_000)},
        **_PLACED,
    ),
    "spatial_panel": Method(
        _spatial_panel,
        _spatial_panel_rows,
        estimate_facts,
        _MODEL,
        terms=("rho", "lambda"),
        statistics={"r2_within": "R² without the effects", "loglik": "Log-likelihood"},
        whole_sample=True,
        **_PLACED,
    ),
    "spatial_effects": Method(
        _spatial_effects,
        _spatial_effects_rows,
        sample_facts,
        _MODEL | {"draws": integer(2, 100_000), "bands": numbers(0, 20_000)},
        **_PLACED,
    ),
    "spatial_spillovers": Method(
        _spillovers, _spillover_rows, sample_facts, _MODEL | {"year": integer(1949, 2100)}, **_PLACED
    ),
    "spatial_choice": Method(_spatial_choice, _spatial_choice_rows, sample_facts, **_PLACED),
}
#: Methods without regressors on the right.
UNEXPLAINED = ("spatial_weights", "moran", "local_moran")

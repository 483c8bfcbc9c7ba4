"""Efficiency scores of a study's cities, as its YAML specifies them, from panels.city_year.

The estimator is `analysis.efficiency.super_sbm`; what stands here is which cities and years make a frontier, how gaps
in the inputs are filled, and what is kept of the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from analysis.names import TIME, UNIT
from analysis.studies.records import EfficiencySpecification, Study

FRONTIERS = ("contemporaneous", "global")
SCORES = ["study", "name", "frontier", UNIT, TIME, "score", "sbm", "efficient", "status", "imputed"]
SLACKS = ["study", "name", "frontier", UNIT, TIME, "variable", "slack"]
PROVENANCE = ["study", "name", "frontier", "period", "sha256", "rows", "specification"]


@dataclass(frozen=True)
class StudyScores:
    """Scores of one efficiency variable of a study, under its own frontier and the other one.

    Attributes
    ----------
    scores
        One row a frontier, city and year: ``score`` (missing where ``status`` says why), ``sbm``, ``efficient``,
        ``status``, ``imputed`` (whether an input was filled in).
    slacks
        One row a frontier, city, year and variable: what the unit has too much or too little, in the variable's unit.
    provenance
        One row a frontier and period: hash of the rows, specification and code that made it.
    computed
        (frontier, period) pairs solved in this call; the others were taken over.
    """

    scores: pd.DataFrame
    slacks: pd.DataFrame
    provenance: pd.DataFrame
    computed: tuple[tuple[str, str], ...]


def score(
    study: Study,
    specification: EfficiencySpecification,
    city_year: pd.DataFrame,
    *,
    code: str,
    earlier: Mapping[str, pd.DataFrame] | None = None,
    panel: str | None = None,
) -> StudyScores:
    """Score the study's cities; periods whose rows, specification and code are unchanged are taken from ``earlier``.

    Parameters
    ----------
    city_year
        The study's cities and years with the variables of the specification, one row each.
    code
        A hash of the code that scores; a changed one recomputes everything.
    earlier
        ``scores``, ``slacks`` and ``provenance`` of an earlier call, for any studies.
    panel
        The panel scored, where it is another than the study's own.

    Raises
    ------
    ValueError
        A variable that city_year does not have.
    """
    from analysis.efficiency import super_sbm

    units, imputed = units_scored(specification, city_year)
    kept: dict[str, list[pd.DataFrame]] = {"scores": [], "slacks": []}
    provenance, computed = [], []
    for frontier in FRONTIERS:
        for period, rows in _periods(units, frontier):
            key = {"study": panel or study.name, "name": specification.name, "frontier": frontier}
            stamp = _hash(rows, specification, frontier, code)
            provenance.append((*key.values(), period, stamp, len(rows), json.dumps(asdict(specification))))
            found = _earlier(earlier, key, period, stamp, rows[TIME].unique())
            if found is None:
                computed.append((frontier, period))
                result = super_sbm(
                    rows,
                    inputs=specification.inputs,
                    outputs=specification.outputs,
                    bad_outputs=specification.bad_outputs,
                    period=TIME,
                    frontier=frontier,
                    returns=specification.returns,
                    orientation=specification.orientation,
                    objective=specification.objective,
                )
                found = _tidy(key, rows, result.table, imputed)
            kept["scores"].append(found[0])
            kept["slacks"].append(found[1])
    return StudyScores(
        scores=pd.concat(kept["scores"], ignore_index=True),
        slacks=pd.concat(kept["slacks"], ignore_index=True),
        provenance=pd.DataFrame(provenance, columns=PROVENANCE),
        computed=tuple(computed),
    )


def units_scored(specification: EfficiencySpecification, city_year: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The rows to score, gaps filled as the specification says, sorted; and whether a row has a filled value."""
    from analysis.indices import IMPUTED, interpolate

    columns = list(specification.variables)
    absent = [column for column in columns if column not in city_year.columns]
    if absent:
        raise ValueError(f"{specification.name}: panels.city_year has no column {', '.join(map(repr, absent))}.")
    units = city_year[[UNIT, TIME, *columns]].sort_values([UNIT, TIME]).reset_index(drop=True)
    flags = pd.Series(False, index=units.index)
    if specification.interpolate != "none":
        filled = interpolate(
            units,
            columns,
            unit=UNIT,
            time=TIME,
            method=specification.interpolate,
            max_gap=specification.max_gap,
        )
        units[columns] = filled[columns]
        flags = filled[[column + IMPUTED for column in columns]].any(axis=1)
    return units, flags


def _periods(units: pd.DataFrame, frontier: str) -> list[tuple[str, pd.DataFrame]]:
    if frontier == "global":
        return [("all", units)]
    return [(str(year), rows) for year, rows in units.groupby(TIME)]


def _hash(rows: pd.DataFrame, specification: EfficiencySpecification, frontier: str, code: str) -> str:
    content = hashlib.sha256(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    content.update(json.dumps([asdict(specification), frontier, code]).encode())
    return content.hexdigest()


def _earlier(
    earlier: Mapping[str, pd.DataFrame] | None, key: dict[str, str], period: str, stamp: str, years: object
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Scores and slacks of an earlier call with the same stamp, or None."""
    if not earlier or not len(earlier["provenance"]):
        return None
    known = earlier["provenance"]
    if not ((known["sha256"] == stamp) & (known["period"] == period)).any():
        return None

    def mine(table: pd.DataFrame) -> pd.DataFrame:
        same = (table[list(key)] == pd.Series(key)).all(axis=1)
        return table[same & table[TIME].isin(years)]  # type: ignore[arg-type]

    return mine(earlier["scores"])[SCORES], mine(earlier["slacks"])[SLACKS]


def _tidy(
    key: dict[str, str], rows: pd.DataFrame, table: pd.DataFrame, imputed: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    named = pd.concat([rows[[UNIT, TIME]], table], axis=1).assign(**key, imputed=imputed.loc[rows.index])
    slack = [column for column in table.columns if column.startswith("slack_")]
    long = named.melt([*key, UNIT, TIME], slack, var_name="variable", value_name="slack")
    long["variable"] = long["variable"].str.removeprefix("slack_")
    long = long.sort_values([UNIT, TIME, "variable"]).dropna(subset="slack")
    return named[SCORES], long[SLACKS]

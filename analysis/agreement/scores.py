"""A second opinion on efficiency scores: a dense linear programme for a random fifth of them, by HiGHS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.agreement.exhibit import as_table
from analysis.agreement.opinion import CONFIRMED, DIFFERS, NONE, TOLERANCE, version_of
from analysis.names import TIME, UNIT
from analysis.studies.records import EfficiencySpecification, Study
from analysis.studies.scores import FRONTIERS, units_scored

HIGHSPY = "highspy"
#: The share of scores that is computed again, and the seed that draws it.
SHARE, SEED = 0.2, 0
#: The place of scores among the exhibits of a study.
SCORES = "scores"


def second_scores(
    study: Study, specification: EfficiencySpecification, city_year: pd.DataFrame, scores: pd.DataFrame
) -> pd.DataFrame:
    """A random fifth of the published scores of one efficiency variable, frontier by frontier.

    Parameters
    ----------
    city_year
        The study's cities and years with the variables of the specification.
    scores
        The published ``frontier``, ``city_code``, ``year``, ``score`` of this variable.

    Returns
    -------
    DataFrame
        A row a frontier, in the columns of `second_opinions`: ``estimate`` is the mean of the scores computed again,
        ``difference`` the largest relative difference of any of them.
    """
    units, _ = units_scored(specification, city_year)
    units[UNIT] = units[UNIT].astype(str)
    return as_table([_frontier(study, specification, units, scores, frontier) for frontier in FRONTIERS])


def _frontier(
    study: Study, specification: EfficiencySpecification, units: pd.DataFrame, scores: pd.DataFrame, frontier: str
) -> dict[str, Any]:
    key = {"study": study.name, "exhibit": SCORES, "model": f"{specification.name}, {frontier}", "term": "score"}
    nothing = dict.fromkeys(("estimate", "se", "difference"), np.nan)
    plain = (
        specification.objective == "slack" and specification.orientation == "none" and specification.returns == "crs"
    )
    own = scores[scores["frontier"].eq(frontier) & scores["score"].notna()]
    if not plain or own.empty:
        why = (
            "No score is published."
            if plain
            else "The dense programme is that of non-oriented slacks, constant returns."
        )
        return {**key, "engine": "", "version": "", **nothing, "verdict": NONE, "reason": why}
    published = own.assign(**{UNIT: own[UNIT].astype(str)}).set_index([UNIT, TIME])["score"]
    usable = units[(units[list(specification.variables)] > 0).all(axis=1)].reset_index(drop=True)
    drawn = np.random.default_rng(SEED).random(len(usable)) < SHARE
    found: dict[tuple[str, int], float] = {}
    periods = [usable] if frontier == "global" else [part for _, part in usable.groupby(TIME)]
    for rows in periods:
        programme = _Programme(rows, specification)
        for place in np.flatnonzero(drawn[rows.index]):
            found[(rows[UNIT].iloc[place], int(rows[TIME].iloc[place]))] = programme.score(int(place))
    again = pd.Series(found)
    both = pd.concat([again, published.reindex(again.index)], axis=1, keys=["again", "published"]).dropna()
    difference = float(((both["again"] - both["published"]).abs() / both["published"].abs()).max())
    return {
        **key,
        "engine": HIGHSPY,
        "version": version_of(HIGHSPY),
        "estimate": float(both["again"].mean()),
        "se": np.nan,
        "difference": difference,
        "verdict": CONFIRMED if difference <= TOLERANCE else DIFFERS,
        "reason": f"{len(both):,} of {len(published):,} scores, drawn at random.",
    }


class _Programme:
    """The slacks-based programmes of Tone (2001, 2002) with bad outputs after the Charnes-Cooper change of variables.

    Columns: an intensity for each unit, t, then a slack for each variable; rows: the norm, then a row a variable. What
    changes from unit to unit is written into one model, which goes on from its last basis.
    """

    def __init__(self, rows: pd.DataFrame, specification: EfficiencySpecification) -> None:
        values = rows[list(specification.variables)].to_numpy(dtype=float)
        self.data = values / values.mean(axis=0)  # (units, variables)
        self.inputs = len(specification.inputs)
        self.good = len(specification.outputs)
        self.plain, self.super = self._model(1.0), self._model(-1.0)

    def _model(self, sign: float) -> Any:
        """``sign`` 1: slacks are missing performance (SBM); -1: what a unit may lose (super-efficiency)."""
        import highspy

        n, k = self.data.shape
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("presolve", "off")
        solver.setOptionValue("threads", 1)
        for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            solver.setOptionValue(name, 1e-10)
        free = highspy.kHighsInf
        solver.addVars(n + 1 + k, np.zeros(n + 1 + k), np.full(n + 1 + k, free))
        solver.addRow(1.0, 1.0, 1, np.array([n], dtype=np.int32), np.ones(1))
        for j in range(k):
            output = self.inputs <= j < self.inputs + self.good
            columns = np.concatenate([np.arange(n), [n, n + 1 + j]]).astype(np.int32)
            # inputs and bad outputs: sum + slack = t x; good outputs: sum - slack = t y; the other way in super-SBM
            slack = (-1.0 if output else 1.0) * sign
            coefficients = np.concatenate([self.data[:, j], [-1.0, slack]])
            low, high = (0.0, 0.0) if sign > 0 else (0.0, free) if output else (-free, 0.0)
            solver.addRow(low, high, len(columns), columns, coefficients)
        return solver

    def score(self, unit: int) -> float:
        """The SBM score of a unit (its place), or its super-efficiency where that is one."""
        plain = self._solved(self.plain, unit, 1.0)
        if plain < 1 - 1e-9:
            return plain
        self.super.changeColBounds(unit, 0.0, 0.0)
        found = self._solved(self.super, unit, -1.0)
        self.super.changeColBounds(unit, 0.0, float("inf"))
        return found

    def _solved(self, solver: Any, unit: int, sign: float) -> float:
        n, k = self.data.shape
        own = self.data[unit]
        outputs = k - self.inputs
        solver.changeColCost(n, 1.0)
        for j in range(k):
            solver.changeCoeff(1 + j, n, -own[j])
            if j < self.inputs:
                solver.changeColCost(n + 1 + j, -sign / (self.inputs * own[j]))
            else:
                solver.changeCoeff(0, n + 1 + j, sign / (outputs * own[j]))
        solver.run()
        return float(solver.getInfo().objective_function_value)

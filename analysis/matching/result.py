"""What a matching returns: pairs, weights, balance, and effects with their standard errors. Nobody is matched here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse, stats

from analysis.estimation_sample import as_float, require_columns
from analysis.matching.neighbours import nearest
from analysis.results import CannotEstimate


@dataclass(frozen=True)
class TreatmentEffect:
    """A mean effect of the treatment over the units that were matched.

    Attributes
    ----------
    estimate, se, t, p, low, high
        Normal theory, 95% interval.
    se_kept
        The standard error with only the matched units in its denominator; differs from ``se`` where units were dropped.
    matched, dropped
        Units whose counterfactual was found, and those left without.
    comparison
        Distinct units they were compared with.
    method
        How the standard error was made, one sentence.
    """

    estimate: float
    se: float
    t: float
    p: float
    low: float
    high: float
    se_kept: float
    matched: int
    dropped: int
    comparison: int
    method: str

    @property
    def table(self) -> pd.DataFrame:
        """The numbers in one row."""
        names = ["estimate", "se", "t", "p", "low", "high", "se_kept", "matched", "dropped", "comparison"]
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def __float__(self) -> float:
        return self.estimate

    def summary(self) -> str:
        """The effect as text."""
        return (
            f"effect {self.estimate:.6g} (se {self.se:.6g}, p = {self.p:.4g}); {self.matched} units matched with "
            f"{self.comparison}, {self.dropped} dropped. {self.method}"
        )


@dataclass(frozen=True)
class Matching:
    """Who was matched with whom, and how alike they are.

    Attributes
    ----------
    table
        Indexed like the data: ``treated``, ``score``, ``support`` (has a match, or is offered as one), ``weight``.
    matches
        Sparse (rows, rows) in the order of the data: row i holds the weights of i's matches.
    balance, quality
        See `balance_table` and `quality_table`.
    logit
        Coefficients of the score: ``estimate``, ``se``, ``t``, ``p``, ``low``, ``high`` by term (by group and term with
        ``by``).
    notes
        What was left out and why, one sentence each.
    """

    table: pd.DataFrame
    matches: sparse.csr_array
    balance: pd.DataFrame
    quality: pd.DataFrame
    logit: pd.DataFrame
    method: str
    replace: bool
    estimand: str
    notes: tuple[str, ...]
    _data: pd.DataFrame = field(repr=False)
    _by: str | None = field(repr=False)
    _group: np.ndarray = field(repr=False)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row a pair: index labels ``treated``, ``control``, ``distance`` of their scores, ``weight``, ``seeks``.

        A unit's matches have weights that sum to one; ``seeks`` is the side whose counterfactual the pair serves. With
        ``by`` the group comes first.
        """
        links = self.matches.tocoo()
        forward = self.table["treated"].to_numpy()[links.row] == 1
        one, zero = np.where(forward, links.row, links.col), np.where(forward, links.col, links.row)
        score, index = self.scores.to_numpy(), self.table.index
        columns = {
            "treated": index.take(one),
            "control": index.take(zero),
            "distance": np.abs(score[one] - score[zero]),
            "weight": links.data,
            "seeks": np.where(forward, "treated", "control"),
        }
        if self._by is not None:
            columns = {self._by: self._data[self._by].to_numpy()[one], **columns}
        return pd.DataFrame(columns)

    @property
    def scores(self) -> pd.Series:
        """Propensity scores indexed like the data; missing for rows that could not be used."""
        return self.table["score"]

    @property
    def weights(self) -> pd.Series:
        """Weights indexed like the data: a matched unit counts 1, its matches share 1, everything else 0."""
        return self.table["weight"]

    @property
    def support(self) -> pd.Series:
        """Whether a row is on the common support, indexed like the data: treated units without a match are not."""
        return self.table["support"]

    def att(self, y: str, *, variance_neighbours: int = 0, dropped: str | None = None) -> TreatmentEffect:
        """Mean effect on the matched treated units.

        Nearest neighbours: the variance of Abadie and Imbens (2006, theorem 7), which takes the scores as known,

            V = [sum over treated of (effect_i - effect)^2 + sum over controls of (K_j^2 - K'_j) sigma_j^2] / N^2,

        with K_j the sum of j's weights, K'_j that of their squares. Radius and kernel: psmatch2's approximation
        var(y | treated) / N + var(y | control) sum of w_j^2 / N^2, which takes the weights as fixed.

        Parameters
        ----------
        y
            Outcome column of the data that were matched.
        variance_neighbours
            0: sigma^2 is one number, half the weighted mean square of pair differences less the effect (the default of
            R's Matching). J > 0: sigma_j^2 = J / (J + 1) (y_j - mean of j's J nearest in its own group)^2 (equation
            14).
        dropped
            Treated units without a match: "zero" counts them in N with a deviation equal to the effect, as R's Matching
            does under a caliper; "excluded" leaves them out of N, as psmatch2 does. None: "zero" with replacement,
            "excluded" without. With many units lost "zero" is too small; ``se_kept`` of the result always excludes
            them.

        Raises
        ------
        ValueError
            An absent outcome, or one that is missing in a matched row; a matching that sought no treated unit's match.
        """
        if self.estimand == "atu":
            raise ValueError("This matching sought matches for the untreated; call match with estimand='att' or 'ate'.")
        return self._effect(y, self.table["treated"].eq(1).to_numpy(), variance_neighbours, dropped)

    def effect(self, y: str, *, variance_neighbours: int = 0, dropped: str | None = None) -> TreatmentEffect:
        """Mean effect for the estimand asked of `match`: on the treated, the untreated or all; otherwise as `att`."""
        treated = self.table["treated"]
        seeks = {"att": treated.eq(1), "atu": treated.eq(0), "ate": treated.notna()}[self.estimand]
        return self._effect(y, seeks.to_numpy(), variance_neighbours, dropped)

    def summary(self) -> str:
        """Balance, its summary and what was left out, as text."""
        shown = self.balance.round(4).to_string()
        return "\n".join([shown, self.quality.round(4).to_string(), *self.notes])

    def _effect(self, y: str, seeks: np.ndarray, variance_neighbours: int, dropped: str | None) -> TreatmentEffect:
        if dropped not in (None, "zero", "excluded"):
            raise ValueError(f"dropped is 'zero' or 'excluded', not {dropped!r}.")
        outcome, matched = self._outcome(y), seeks & (np.diff(self.matches.indptr) > 0)
        links = self.matches[np.flatnonzero(matched)]
        sign = np.where(self.table["treated"].to_numpy()[matched] == 1, 1.0, -1.0)
        effects = sign * (outcome[matched] - links @ outcome)
        estimate, lost = float(effects.mean()), int(seeks.sum() - matched.sum())
        uses = np.asarray(links.sum(axis=0)).ravel()
        if self.method == "nearest":
            rule = dropped or ("zero" if self.replace else "excluded")
            total = self._abadie_imbens(outcome, matched, links, effects, variance_neighbours)
            kept = np.sqrt(total) / len(effects)
            se = np.sqrt(total + lost * estimate**2) / (len(effects) + lost) if rule == "zero" else kept
            method = "Abadie-Imbens standard error, scores taken as known."
            if lost:
                method += (
                    f" The {lost} dropped units count as in R's Matching; without them it is {kept:.6g}."
                    if rule == "zero"
                    else f" The {lost} dropped units are not counted."
                )
        else:
            kept = se = self._fixed_weights(outcome, matched, uses)
            method = "psmatch2's standard error, weights taken as fixed."
        t = estimate / se if se > 0 else float("nan")
        margin = stats.norm.ppf(0.975) * se
        return TreatmentEffect(
            estimate=estimate,
            se=float(se),
            t=float(t),
            p=float(2 * stats.norm.sf(abs(t))),
            low=float(estimate - margin),
            high=float(estimate + margin),
            se_kept=float(kept),
            matched=len(effects),
            dropped=lost,
            comparison=int((uses > 0).sum()),
            method=method,
        )

    def _outcome(self, y: str) -> np.ndarray:
        require_columns(self._data, [y])
        outcome = as_float(self._data[y]).to_numpy()
        absent = np.isnan(outcome) & (self.weights.to_numpy() > 0)
        if absent.any():
            raise CannotEstimate(
                f"Outcome {y!r} is missing in {int(absent.sum())} matched rows; drop these rows before matching, "
                "because their matches would differ."
            )
        return np.where(np.isnan(outcome), 0.0, outcome)

    def _abadie_imbens(
        self, outcome: np.ndarray, matched: np.ndarray, links: sparse.csr_array, effects: np.ndarray, neighbours: int
    ) -> float:
        """N^2 times the variance; a unit that is both matched and used as a match has K^2 + 2 K - K' (theorem 7)."""
        uses = np.asarray(links.sum(axis=0)).ravel()
        squares = np.asarray(links.multiply(links).sum(axis=0)).ravel()
        if neighbours > 0:
            noise = self._conditional_variance(outcome, neighbours, np.flatnonzero(uses > 0))
        else:
            pairs = links.tocoo()
            sign = np.where(self.table["treated"].to_numpy()[matched] == 1, 1.0, -1.0)
            gaps = sign[pairs.row] * (outcome[matched][pairs.row] - outcome[pairs.col]) - effects.mean()
            noise = np.full(len(outcome), 0.5 * float((pairs.data * gaps**2).sum() / pairs.data.sum()))
        return float(((effects - effects.mean()) ** 2).sum() + (noise * (uses**2 + 2 * uses * matched - squares)).sum())

    def _conditional_variance(self, outcome: np.ndarray, neighbours: int, wanted: np.ndarray) -> np.ndarray:
        """sigma^2 (rows,) of the wanted rows from their nearest neighbours on their own side of their own group."""
        noise = np.zeros(len(outcome))
        score, treated = self.scores.to_numpy(), self.table["treated"].to_numpy()
        for group in np.unique(self._group[wanted]):
            for side in (0.0, 1.0):
                arm = np.flatnonzero((self._group == group) & (treated == side))
                ask = np.intersect1d(arm, wanted)
                if not len(ask):
                    continue
                if len(arm) < 2:
                    raise CannotEstimate(
                        "A conditional variance needs two units on each side; use variance_neighbours=0."
                    )
                # The nearest neighbour of a unit in its own arm is itself: ask for one more and take it out.
                near = nearest(score[ask], score[arm], neighbours + 1, np.inf, "all", 0.0).tocoo()
                other = arm[near.col] != ask[near.row]
                count = np.bincount(near.row[other], minlength=len(ask))
                mean = np.bincount(near.row[other], outcome[arm[near.col[other]]], len(ask)) / count
                noise[ask] = count / (count + 1) * (outcome[ask] - mean) ** 2
        return noise

    def _fixed_weights(self, outcome: np.ndarray, matched: np.ndarray, uses: np.ndarray) -> float:
        treated, support = self.table["treated"].to_numpy(), self.support.to_numpy()
        weight = matched + uses
        total = 0.0
        for side in (0.0, 1.0):
            arm = (treated == side) & support
            total += float(np.var(outcome[arm], ddof=1) * (weight[arm] ** 2).sum()) if arm.sum() > 1 else np.nan
        return float(np.sqrt(total) / matched.sum())

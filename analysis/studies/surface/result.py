"""What a surface says: its curve, what each choice makes of it, what turns the conclusion, and the joint test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.studies.surface.plan import DIMENSIONS, ONE_AT_A_TIME, TWO_WAY, Plan

OK, NOT_COMPUTED, NOT_IDENTIFIED = "ok", "not computed", "not identified"
#: Below which a conclusion is drawn.
SIZE = 0.05
#: Single choices that are listed.
TURNING = 10


@dataclass(frozen=True)
class JointTest:
    """The whole surface under treatment dealt at random: cohort sizes and dates kept, units drawn, by the add-one rule.

    Attributes
    ----------
    median, median_p : of the estimates in standard deviations of their outcome, two-sided.
    share, share_p, sign : share significant at 5% of the sign that most of them have; that sign.
    p : of both together: the smaller of their two p values (then their sum), against its own distribution over draws.
    draws : how many.
    """

    median: float
    median_p: float
    share: float
    share_p: float
    sign: int
    p: float
    draws: int


def joint_test(standard: np.ndarray, positive: np.ndarray, negative: np.ndarray, computed: np.ndarray) -> JointTest:
    """Test that no specification has an effect (Simonsohn, Simmons and Nelson 2020).

    Parameters
    ----------
    standard
        (specifications, 1 + draws): estimates in standard deviations, those of the true treatment first.
    positive, negative, computed
        (1 + draws,): specifications that are significant with that sign, and all that are computed.
    """
    draws = len(computed) - 1
    if not len(standard) or not np.isfinite(standard[:, 0]).any():
        return JointTest(np.nan, np.nan, np.nan, np.nan, 0, np.nan, draws)
    median = _medians(standard)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.maximum(positive, negative) / computed
    # a draw without any estimate says nothing against the null: it is least extreme
    extreme = [_ranks(np.nan_to_num(np.abs(median))), _ranks(np.nan_to_num(shares))]
    # the smaller p decides, and where it is the same their sum: what ties less is less conservative
    together = np.minimum(*extreme) + (extreme[0] + extreme[1]) / (4 * len(computed))
    return JointTest(
        float(median[0]),
        float(extreme[0][0]),
        float(shares[0]),
        float(extreme[1][0]),
        1 if positive[0] >= negative[0] else -1,
        float((together <= together[0] * (1 + 1e-12)).mean()),
        draws,
    )


def _medians(standard: np.ndarray) -> np.ndarray:
    """Medians over specifications, one a treatment; missing ones do not count."""
    whole = np.isfinite(standard).all(axis=0)
    found = np.full(standard.shape[1], np.nan)
    if whole.any():
        found[whole] = np.median(standard[:, whole], axis=0)
    for at in np.flatnonzero(~whole):
        held = standard[np.isfinite(standard[:, at]), at]
        found[at] = np.median(held) if len(held) else np.nan
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """p of each value among all: the share that is as large, itself included; ties in rounding count as ties."""
    rounded = np.round(values / max(float(np.abs(values).max()), 1e-300), 9)
    return (len(values) - np.searchsorted(np.sort(rounded), rounded, side="left")) / len(values)


@dataclass(frozen=True)
class Surface:
    """Every specification of an outcome.

    Attributes
    ----------
    outcome : its column.
    plan : the choices.
    table
        One row a specification: its number, the outcome, the word of each choice, ``estimate``, ``se``, ``p``, ``n``,
        ``sd`` (of the outcome over the rows used), ``status`` and ``reason``.
    joint : the test over all two-way specifications.
    sha256 : of the list, over all outcomes, made before any outcome was read.
    """

    outcome: str
    plan: Plan
    table: pd.DataFrame
    joint: JointTest
    sha256: str

    @property
    def computed(self) -> pd.DataFrame:
        """The specifications that have an estimate, with it in standard deviations of the outcome."""
        rows = self.table[self.table["status"].eq(OK)]
        return rows.assign(standard=rows["estimate"] / rows["sd"], standard_se=rows["se"] / rows["sd"])

    @property
    def own(self) -> pd.Series | None:
        """The study's own specification; None where it has no estimate."""
        rows = self.computed
        for dimension, word in self.plan.own.items():
            rows = rows[rows[dimension].eq(word)]
        return rows.iloc[0] if len(rows) else None

    @property
    def not_computed(self) -> int:
        """How many have none."""
        return len(self.table) - len(self.computed)

    def shares(self) -> dict[str, float]:
        """Shares of the computed specifications by sign and by stars."""
        rows = self.computed
        above = rows["estimate"] > 0
        found = {"positive": float(above.mean()), "negative": float((rows["estimate"] < 0).mean())}
        for sign, side in (("positive", above), ("negative", ~above)):
            for level in (0.1, 0.05, 0.01):
                found[f"{sign}, p < {level:g}"] = float((side & (rows["p"] < level)).mean())
        return found

    def variance(self) -> pd.DataFrame:
        """Share of the variance of estimates, in standard deviations, that lies between the options of each choice.

        A choice that departs from the study's own one at a time counts the specifications in which the others of its
        kind do not depart.
        """
        rows = self.computed
        own = self.plan.own
        found = []
        for dimension in DIMENSIONS:
            here = rows if dimension == "estimator" else rows[rows["estimator"].eq(TWO_WAY)]
            for other in ONE_AT_A_TIME if dimension in ONE_AT_A_TIME else ():
                here = here if other == dimension else here[here[other].eq(own[other])]
            words = here[dimension].nunique()
            if words < 2:
                continue
            total = float(((here["standard"] - here["standard"].mean()) ** 2).sum())
            between = here.groupby(dimension)["standard"].transform("mean") - here["standard"].mean()
            found.append((dimension, words, float((between**2).sum()) / total if total > 0 else 0.0))
        table = pd.DataFrame(found, columns=["choice", "options", "share"])
        return table.sort_values("share", ascending=False, kind="stable").reset_index(drop=True)

    def turning(self, most: int = TURNING) -> pd.DataFrame:
        """Single departures from the study's own specification, those first that change its conclusion.

        The conclusion is the sign where p < 0.05, and none otherwise. One row a departure: ``choice``, ``option``,
        ``estimate``, ``se``, ``p``, ``turns``; ordered by how far the t statistic moves.
        """
        own = self.own
        columns = ["choice", "option", "estimate", "se", "p", "turns", "moved"]
        if own is None:
            return pd.DataFrame(columns=columns)
        rows = self.computed
        words = self.plan.own
        differs = np.column_stack([rows[dimension].ne(word) for dimension, word in words.items()])
        # another time of the controls is one departure, also where some sets exist at that time only
        single = rows[differs.sum(axis=1) == 1]
        which = np.array(list(words))[differs[differs.sum(axis=1) == 1].argmax(axis=1)] if len(single) else []
        before = own["estimate"] / own["se"]
        found = pd.DataFrame(
            {
                "choice": which,
                "option": [row[choice] for choice, (_, row) in zip(which, single.iterrows(), strict=True)],
                "estimate": single["estimate"].to_numpy(),
                "se": single["se"].to_numpy(),
                "p": single["p"].to_numpy(),
                "turns": [_concluded(row) != _concluded(own) for _, row in single.iterrows()],
                "moved": np.abs((single["estimate"] / single["se"]).to_numpy() - before),
            },
            columns=columns,
        )
        ordered = found.sort_values(["turns", "moved"], ascending=False, kind="stable")
        return ordered.head(most).reset_index(drop=True)

    def departures(self) -> int:
        """How many single departures change the conclusion."""
        return int(self.turning(len(self.table))["turns"].astype(bool).sum())


def _concluded(row: pd.Series) -> int:
    return int(np.sign(row["estimate"])) if row["p"] < SIZE else 0

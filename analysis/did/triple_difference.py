"""Triple differences: a policy that reaches a region, meant for one group within it, with the other group beside it.

Only the design is made here; it is solved by `regression.two_way`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.did.regression import two_way
from analysis.estimation_sample import as_float, codes_of, label, require_columns
from analysis.results import CannotEstimate, Estimate


@dataclass(frozen=True)
class TripleDifference:
    """The effect of a policy on the group it is for.

    Attributes
    ----------
    att, se
        Of policy x eligible x post.
    regression
        The whole regression.
    means
        Mean outcome of the eight cells: ``policy``, ``eligible``, ``post``, ``mean``, ``n``.
    """

    att: float
    se: float
    regression: Estimate
    means: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """Rows of the regression, the triple difference first under the name ``policy x eligible x post``."""
        return self.regression.table

    def summary(self) -> str:
        """The estimate and the eight means as text, for people."""
        return "\n".join([self.regression.summary(), self.means.to_string(index=False)])


def triple_difference(
    data: pd.DataFrame,
    y: str,
    policy: str,
    eligible: str,
    post: str,
    controls: Sequence[str] = (),
    *,
    unit: str,
    time: str,
    cluster: str | Sequence[str] | None = "unit",
) -> TripleDifference:
    """Regress ``y`` on policy x eligible x post with effects of unit, of policy by time and of eligible by time.

    The saturated form (Olden and Moen 2022, equation 4, with time in the place of post): whatever moves all units under
    the policy alike, or all eligible ones alike, is swept out year by year. In a balanced panel without controls the
    estimate is the difference of two differences-in-differences of the eight means. Standard errors as `two_way`.

    Parameters
    ----------
    policy
        0/1: the unit's region ever got the policy. ``eligible`` 0/1: the unit belongs to the group it is for. Both
        are constant within units. ``post`` 0/1: the policy is in force at that time in regions that have it.

    Raises
    ------
    ValueError
        Columns that are not 0/1 or change within a unit, one of the four groups without a unit, and what `two_way`
        raises.
    """
    require_columns(data, [policy, eligible, post, unit])
    flags = {}
    for name in (policy, eligible, post):
        value = as_float(data[name])
        other = value.notna() & ~value.isin((0.0, 1.0))
        if other.any():
            raise CannotEstimate(f"Column {name!r} must be 0 or 1; it holds {value[other].iloc[0]:g}.")
        flags[name] = value
    for name in (policy, eligible):
        different = flags[name].groupby(data[unit]).nunique() > 1
        if different.any():
            raise CannotEstimate(
                f"{name!r} changes within unit {label(different.index[different][0])}: it says which group a unit "
                "belongs to, and must be the same on all its rows."
            )
    groups = pd.crosstab(flags[policy], flags[eligible]).reindex(index=[0.0, 1.0], columns=[0.0, 1.0], fill_value=0)
    if (groups == 0).any(axis=None):
        empty = next((p, e) for p in (0, 1) for e in (0, 1) if groups.to_numpy()[p, e] == 0)
        raise CannotEstimate(
            f"No row has {policy!r} = {empty[0]:g} and {eligible!r} = {empty[1]:g}: all four are compared."
        )
    term = f"{policy} x {eligible} x {post}"
    when = codes_of(data[time])
    by_policy, by_eligible = (_free(data, f"{name} x {time}") for name in (policy, eligible))
    frame = data.assign(
        **{
            term: flags[policy] * flags[eligible] * flags[post],
            by_policy: when * 2 + flags[policy].to_numpy(),
            by_eligible: when * 2 + flags[eligible].to_numpy(),
        }
    )
    result = two_way(
        frame, y, term, controls, unit=unit, time=time, fixed_effects=("unit", by_policy, by_eligible), cluster=cluster
    )
    att, se = result.table[["estimate", "se"]].to_numpy()[result.table.index.get_loc(term)]
    cells = pd.DataFrame(flags | {"y": as_float(data[y])}).dropna()
    means = cells.groupby([policy, eligible, post])["y"].agg(["mean", "size"]).reset_index()
    means = means.rename(columns={"size": "n"}).set_axis(["policy", "eligible", "post", "mean", "n"], axis=1)
    return TripleDifference(float(att), float(se), result, means)


def _free(data: pd.DataFrame, name: str) -> str:
    while name in data.columns:
        name += "_"
    return name

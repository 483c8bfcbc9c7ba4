"""The change of a number split over what changed: how much of it each group brought about, adding up exactly.

A number is a function of which groups are at their new state (the others are undone). Shapley's value asks of every
order in which the groups could have changed; it is exact and fair, and costs 2^n evaluations, so it is for a handful.
Beyond, each group is undone alone, and what they did only together is named as the remainder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

Group = TypeVar("Group", bound=Hashable)

#: Groups up to which Shapley's value is computed: 2^5 = 32 estimates.
HANDFUL = 5
SHAPLEY, LEAVE_ONE_OUT = "shapley", "leave one out"


@dataclass(frozen=True)
class Split(Generic[Group]):
    """A change and its parts.

    Attributes
    ----------
    before, after : the number with every group undone, and with none.
    parts : group -> what it brought about, in the order of the groups.
    remainder : what the groups did only together; 0 where Shapley's value shares it out.
    method : "shapley" or "leave one out".
    """

    before: float
    after: float
    parts: Mapping[Group, float]
    remainder: float
    method: str

    @property
    def change(self) -> float:
        """What the parts and the remainder add up to."""
        return self.after - self.before


def split(
    value: Callable[[frozenset[Group]], float], groups: Sequence[Group], *, handful: int = HANDFUL
) -> Split[Group]:
    """Split value(all groups) - value(no group) over the groups.

    Parameters
    ----------
    value
        The number when these groups are at their new state and all others are undone.
    groups
        Each once.
    handful
        Groups up to which Shapley's value is computed, with 2^n evaluations; beyond, n + 2.

    Raises
    ------
    ValueError
        A group that stands twice.

    Notes
    -----
    Shapley, L. S. (1953), A value for n-person games: group i gets the mean, over all orders, of the change when it
    follows those before it: sum over S without i of |S|! (n - |S| - 1)! / n! (v(S and i) - v(S)). Leave-one-out gives
    v(all) - v(all but i). The last part takes up the rounding, so that the parts add up to the change to the last bit
    that a sum in their order shows.
    """
    groups = list(groups)
    if len(set(groups)) != len(groups):
        raise ValueError("A group stands twice among those that a change is split over.")
    everything = frozenset(groups)
    known: dict[frozenset[Group], float] = {}

    def at(those: frozenset[Group]) -> float:
        if those not in known:
            known[those] = float(value(those))
        return known[those]

    before, after = at(frozenset()), at(everything)
    if len(groups) <= handful:
        parts = {group: _shapley(at, group, [other for other in groups if other != group]) for group in groups}
        return Split(before, after, _adding_up(parts, after - before), 0.0, SHAPLEY)
    parts = {group: after - at(everything - {group}) for group in groups}
    return Split(before, after, parts, after - before - math.fsum(parts.values()), LEAVE_ONE_OUT)


def within(
    value: Callable[[frozenset[Group]], float],
    groups: Sequence[Group],
    part: float,
    *,
    handful: int = HANDFUL,
) -> Split[Group]:
    """Split the part that a group of groups got of a larger change over its members, the rest staying as it is now.

    ``value`` is as in `split`, of the members alone. The remainder is what the members did only together with what
    else changed: parts and remainder add up to ``part``.
    """
    found = split(value, groups, handful=handful)
    parts = math.fsum(found.parts.values())
    return Split(found.after - part, found.after, found.parts, part - parts, found.method)


def largest(sizes: Mapping[Group, float], kept: int) -> tuple[list[Group], list[Group]]:
    """The groups of the largest absolute size, and the others; those of equal size in their own order."""
    ordered = sorted(sizes, key=lambda group: -abs(sizes[group]))
    return ordered[:kept], ordered[kept:]


def _shapley(at: Callable[[frozenset[Group]], float], group: Group, others: Collection[Group]) -> float:
    count = len(others) + 1
    terms = []
    for size in range(count):
        weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
        terms += [
            weight * (at(frozenset(those) | {group}) - at(frozenset(those))) for those in combinations(others, size)
        ]
    return math.fsum(terms)


def _adding_up(parts: dict[Group, float], change: float) -> dict[Group, float]:
    """The parts with the rounding of their sum taken up by the largest of them."""
    if not parts:
        return parts
    largest_part = max(parts, key=lambda group: abs(parts[group]))
    others = math.fsum(value for group, value in parts.items() if group != largest_part)
    return parts | {largest_part: change - others}

"""Who is matched with whom: score arrays in, sparse weights out. No data frames, no outcomes.

Every function returns a sparse array (focal, pool): row i holds the weights of i's matches, which sum to one; a row
that found none is empty. Focal units are those whose counterfactual is sought, the pool is where it is looked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

#: Weights by distance / bandwidth, up to a factor that cancels.
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "epanechnikov": lambda u: 1 - u**2,
    "normal": lambda u: np.exp(-0.5 * u**2),
    "biweight": lambda u: (1 - u**2) ** 2,
    "uniform": np.ones_like,
    "tricube": lambda u: (1 - u**3) ** 3,
}


def nearest(
    focal: np.ndarray, pool: np.ndarray, neighbours: int, caliper: float, ties: str, tolerance: float
) -> sparse.csr_array:
    """The ``neighbours`` nearest in the pool, with replacement; none farther than ``caliper``.

    With ``ties="all"`` everyone whose squared distance exceeds that of the last neighbour by no more than ``tolerance``
    is matched too; with ``"first"`` exactly ``neighbours``, equal distances in the order of the pool.
    """
    order = np.argsort(pool, kind="stable")
    ranked = pool[order]
    count = min(neighbours, len(pool))
    place = np.searchsorted(ranked, focal)[:, None] + np.arange(-count, count)[None, :]
    outside = (place < 0) | (place >= len(pool))
    distance = np.abs(focal[:, None] - ranked[np.clip(place, 0, len(pool) - 1)])
    last = np.sort(np.where(outside, np.inf, distance), axis=1)[:, count - 1]
    slack = tolerance if ties == "all" else 0.0
    reach = np.minimum(np.sqrt(last**2 + slack), caliper)
    rows, columns = _within(focal, ranked, reach)
    gap = np.abs(focal[rows] - ranked[columns])
    keep = (gap**2 <= last[rows] ** 2 + slack) & (gap <= caliper)
    rows, columns, gap = rows[keep], order[columns[keep]], gap[keep]
    if ties == "first":
        sequence = np.lexsort((columns, gap, rows))
        rows, columns = rows[sequence], columns[sequence]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        rows, columns = rows[rank < count], columns[rank < count]
    return _normalised(rows, columns, np.ones(len(rows)), (len(focal), len(pool)))


def nearest_once(focal: np.ndarray, pool: np.ndarray, caliper: float, order: str) -> sparse.csr_array:
    """One neighbour each, every member of the pool used at most once, focal units served in ``order``.

    Greedy: "largest" serves the highest score first, "smallest" the lowest, "data" as they come. Of equal scores in the
    pool the one next to the focal score in the ranking is taken, where equals rank in the order given (as MatchIt
    does); of equal distances above and below, the one below.
    """
    sequence = {
        "largest": np.argsort(-focal, kind="stable"),
        "smallest": np.argsort(focal, kind="stable"),
        "data": np.arange(len(focal)),
    }[order]
    ranking = np.argsort(pool, kind="stable")
    ranked = pool[ranking]
    # Chains to the nearest free rank: up from k in above[k], down from k - 1 in below[k] (shifted to mark the end by
    # 0).
    below, above = list(range(len(pool) + 1)), list(range(len(pool) + 1))
    rows, columns = [], []
    for i, place in zip(sequence, np.searchsorted(ranked, focal[sequence]), strict=True):
        lower, upper = _root(below, int(place)) - 1, _root(above, int(place))
        left = focal[i] - ranked[lower] if lower >= 0 else np.inf
        right = ranked[upper] - focal[i] if upper < len(pool) else np.inf
        chosen = lower if left <= right else upper
        if min(left, right) <= caliper and np.isfinite(min(left, right)):
            rows.append(i)
            columns.append(ranking[chosen])
            below[chosen + 1], above[chosen] = chosen, chosen + 1
    return _normalised(np.array(rows, int), np.array(columns, int), np.ones(len(rows)), (len(focal), len(pool)))


def _root(parent: list[int], place: int) -> int:
    """The end of a chain of taken ranks, shortening the chain on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


def kernel_weights(focal: np.ndarray, pool: np.ndarray, bandwidth: float, kernel: str) -> sparse.csr_array:
    """Everyone in the pool, weighted by the kernel of distance / bandwidth (Heckman, Ichimura and Todd 1997).

    All kernels but the normal are zero beyond the bandwidth; "uniform" is radius matching.
    """
    order = np.argsort(pool, kind="stable")
    ranked = pool[order]
    reach = np.full(len(focal), np.inf if kernel == "normal" else bandwidth)
    rows, columns = _within(focal, ranked, reach)
    ratio = np.abs(focal[rows] - ranked[columns]) / bandwidth
    if kernel != "normal":
        keep = ratio <= 1
        rows, columns, ratio = rows[keep], columns[keep], ratio[keep]
    return _normalised(rows, order[columns], KERNELS[kernel](ratio), (len(focal), len(pool)))


def _within(focal: np.ndarray, ranked: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (row, rank) no farther apart than ``reach`` (focal,), and a hair more so that rounding loses none."""
    margin = 1e-12 + 1e-12 * np.abs(focal)
    low = np.searchsorted(ranked, focal - reach - margin, side="left")
    high = np.searchsorted(ranked, focal + reach + margin, side="right")
    size = np.maximum(high - low, 0)
    rows = np.repeat(np.arange(len(focal)), size)
    start = np.cumsum(size) - size
    return rows, np.arange(size.sum()) - np.repeat(start - low, size)


def _normalised(rows: np.ndarray, columns: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    total = np.bincount(rows, weights=weight, minlength=shape[0])
    positive = weight > 0
    if not positive.all():
        rows, columns, weight = rows[positive], columns[positive], weight[positive]
    return sparse.csr_array((weight / total[rows], (rows, columns)), shape=shape)

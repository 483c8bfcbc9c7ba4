"""The projection off fixed effects, singletons, nesting, and which columns are collinear: arrays in, arrays out.

Nothing here knows a data frame, and no statistics go beyond a projection.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph

from analysis.results import CannotEstimate

#: A column is collinear when what the others leave of it is smaller than this share of its own length.
COLLINEAR = 1e-9
#: Up to this many levels beside the largest effect, and cells of their dummies, are swept out by a dense basis.
NARROW, NARROW_CELLS = 64, 10_000_000
#: Up to this many levels their normal equations are factored; beyond, conjugate gradients solve them.
FACTORED = 1_000
#: Where conjugate gradients stop: this share of a column's length is left, or so many steps are done.
TOLERANCE, STEPS = 1e-12, 5_000
#: A level is a combination of others when they leave less than this share of its squared length.
DEPENDENT = 1e-10


def drop_singletons(effects: Sequence[np.ndarray], several: np.ndarray | None = None) -> np.ndarray:
    """Rows (n,) that stay when groups of one observation are removed until none is left (Correia 2015).

    ``several`` (n,) marks rows that stand for more than one observation.
    """
    n = len(effects[0]) if effects else 0
    keep = np.ones(n, dtype=bool)
    alone = keep if several is None else ~several
    while True:
        single = np.zeros(n, dtype=bool)
        for codes in effects:
            single |= np.bincount(codes[keep], minlength=codes.max() + 1)[codes] == 1
        single &= keep & alone
        if not single.any():
            return keep
        keep &= ~single


class FixedEffects:
    """The projection off any number of group effects, exact for unbalanced panels, computed once for many columns.

    The effect with most levels is swept out by group means (Frisch and Waugh 1933). Of the others, a few levels are
    removed by an orthonormal basis of their demeaned dummies; many by the normal equations of those dummies, whose
    matrix (levels x levels) is sparse and never needs a dense column of n rows: factored where it is small, solved by
    conjugate gradients where it is not. The constant lies in the span and is counted once. With weights everything
    happens in columns multiplied by the root of the weight, so that plain products are weighted ones.

    Attributes
    ----------
    rank : dimension of the span of all dummies and the constant.
    swept : codes (n,) of the effect swept out by group means.
    basis : orthonormal columns (n, r) of what the projection removes besides.
    explicit : whether group means and ``basis`` are all that is removed.
    """

    def __init__(self, effects: Sequence[np.ndarray], n: int, root: np.ndarray | None = None) -> None:
        ordered = sorted(effects, key=lambda codes: -int(codes.max())) or [np.zeros(n, dtype=np.int64)]
        self.swept, rest = ordered[0], ordered[1:]
        self._root = root
        self._group = _dummies(self.swept, root)
        self._sums = self._group.T
        self._size = np.maximum(self._group.power(2).sum(axis=0), 1e-300)
        self.basis = np.empty((n, 0))
        self._others: _Others | None = None
        width = sum(int(codes.max()) for codes in rest)
        if not width:
            self.rank = _levels(self.swept)
        elif width <= NARROW and n * width <= NARROW_CELLS:
            dummies = sparse.hstack([_dummies(codes, root)[:, 1:] for codes in rest]).toarray()
            self.basis = _orthonormal(self._centre(dummies))
            self.rank = _levels(self.swept) + self.basis.shape[1]
        else:
            self._others = _Others.of(rest, self._group, self._size, root)
            self.rank = dummies_rank(effects, self._others)

    @property
    def explicit(self) -> bool:
        return self._others is None

    def demean(self, values: np.ndarray) -> np.ndarray:
        """Each column (n, k) less its means by the swept effect, times the root of the weights if there are any."""
        return self._centre(values if self._root is None else values * self._root[:, None])

    def residualise(self, values: np.ndarray) -> np.ndarray:
        """What the effects leave of each column; values (n,) or (n, k), same shape back.

        With weights the result is multiplied by their root.
        """
        columns = values[:, None] if values.ndim == 1 else values
        left = self.demean(columns)
        if self._others is not None:
            length = (left**2).sum(axis=0)
            for _ in range(2):  # the second pass removes what rounding and the solver's tolerance left in the first
                left = self._centre(left - self._others.fitted(left, length))
        if self.basis.shape[1]:
            left -= self.basis @ (self.basis.T @ left)
        return left[:, 0] if values.ndim == 1 else left

    def extended(self, columns: np.ndarray) -> FixedEffects:
        """The projection off these effects and the given columns (n, k) as well: covariates that never change."""
        wider = copy.copy(self)
        left = self.residualise(columns)
        length = np.linalg.norm(left, axis=0)
        left = _orthonormal(left[:, length > 0] / length[length > 0])
        wider.basis = np.concatenate([self.basis, left], axis=1)
        wider.rank = self.rank + left.shape[1]
        return wider

    def _centre(self, values: np.ndarray) -> np.ndarray:
        """Weighted columns (n, k) less their projection on the swept effect's dummies."""
        return values - self._group @ ((self._sums @ values) / self._size[:, None])


class NoEffects:
    """The projection of a regression without effects: nothing is swept out, and the constant is a regressor."""

    rank = 0

    def __init__(self, root: np.ndarray | None = None) -> None:
        self._root = root

    def residualise(self, values: np.ndarray) -> np.ndarray:
        """The values as they are, times the root of the weights if there are any."""
        if self._root is None:
            return values
        return values * (self._root if values.ndim == 1 else self._root[:, None])


@dataclass(frozen=True)
class _Others:
    """Dummies of the effects that are not swept out by means, and the normal equations of what the means leave of them.

    Attributes
    ----------
    dummies, sums : sparse (n, r), the first level of each effect left out, and its transpose.
    matrix : sparse (r, r), D'D less what the means explain.
    kept, factor : columns that no others determine, and their Cholesky factor; None where conjugate gradients solve.
    """

    dummies: sparse.csr_array
    sums: sparse.csc_array
    matrix: sparse.csr_array
    kept: np.ndarray | None
    factor: np.ndarray | None

    @classmethod
    def of(
        cls, rest: Sequence[np.ndarray], group: sparse.csr_array, size: np.ndarray, root: np.ndarray | None
    ) -> _Others:
        dummies = sparse.csr_array(sparse.hstack([_dummies(codes, root)[:, 1:] for codes in rest]))
        across = sparse.csr_array(group.T @ dummies)
        scaled = sparse.csr_array(sparse.diags_array(1 / size) @ across)
        matrix = sparse.csr_array(dummies.T @ dummies - across.T @ scaled)
        if matrix.shape[0] > FACTORED:
            return cls(dummies, dummies.T, matrix, None, None)
        kept = _independent(matrix.toarray())
        factor = linalg.cholesky(matrix.toarray()[np.ix_(kept, kept)], lower=True)
        return cls(dummies, dummies.T, matrix, kept, factor)

    def fitted(self, columns: np.ndarray, length: np.ndarray) -> np.ndarray:
        """The part of centred columns (n, k) in the dummies; what the means take from it is still to be swept out.

        ``length`` (k,), squared norms of the columns before any of it was taken out, sets how exact the part is.
        """
        right = self.sums @ columns
        if self.factor is None:
            return self.dummies @ _conjugate_gradients(self.matrix, right, TOLERANCE**2 * length)
        solution = np.zeros_like(right)
        solution[self.kept] = linalg.cho_solve((self.factor, True), right[self.kept])
        return self.dummies @ solution


def _dummies(codes: np.ndarray, root: np.ndarray | None) -> sparse.csr_array:
    """Sparse (n, levels), one entry a row: 1, or the root of the row's weight."""
    n = len(codes)
    entries = np.ones(n) if root is None else root
    return sparse.csr_array((entries, codes, np.arange(n + 1)), shape=(n, int(codes.max()) + 1))


def _independent(matrix: np.ndarray) -> np.ndarray:
    """Rows of a positive semi-definite matrix that no others determine, by pivoted Cholesky."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    _, pivots, rank, _ = linalg.lapack.dpstrf(matrix * np.outer(scale, scale), tol=DEPENDENT, lower=1)
    return np.sort(pivots[:rank] - 1)


def _conjugate_gradients(matrix: sparse.csr_array, right: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solutions (r, k) of a consistent semi-definite system, all columns at once, preconditioned by the diagonal.

    A column is solved when its squared residual, over the diagonal, is at most its ``target`` (k,).

    Raises
    ------
    CannotEstimate
        A column is not solved within `STEPS` steps.
    """
    inverse = 1 / np.maximum(matrix.diagonal(), 1e-300)[:, None]
    solution, residual = np.zeros_like(right), right.copy()
    direction = inverse * residual
    product = (residual * direction).sum(axis=0)
    for _ in range(STEPS):
        going = product > target
        if not going.any():
            return solution
        image = matrix @ direction
        step = np.divide(product, (direction * image).sum(axis=0), out=np.zeros_like(product), where=going)
        solution += step * direction
        residual -= step * image
        preconditioned = inverse * residual
        before, product = product, (residual * preconditioned).sum(axis=0)
        direction *= np.divide(product, before, out=np.zeros_like(product), where=going)
        direction += preconditioned
    raise CannotEstimate(
        f"The {matrix.shape[0]:,} levels of the smaller fixed effects are too weakly connected with the larger one to "
        "be swept out; use coarser effects."
    )


def dummies_rank(effects: Sequence[np.ndarray], others: _Others | None = None) -> int:
    """Dimension of the span of all effects' dummies and the constant.

    Exact for one effect, for two (levels less connected components, Abowd, Creecy and Kramarz 2002), and for more as
    long as all but the largest have at most `FACTORED` levels. Beyond that a further effect is taken to lose one level
    for each component that it forms with the most connected effect before it, as reghdfe does: a lower bound.
    """
    ordered = sorted(effects, key=lambda codes: -int(codes.max()))
    levels = [_levels(codes) for codes in ordered]
    if len(ordered) < 3:
        return sum(levels) - (_components(*ordered) if len(ordered) == 2 else 0) if ordered else 1
    if sum(levels[1:]) <= FACTORED:
        if others is None or others.kept is None:
            group = _dummies(ordered[0], None)
            others = _Others.of(ordered[1:], group, np.maximum(group.sum(axis=0), 1e-300), None)
        assert others.kept is not None
        return levels[0] + len(others.kept)
    lost = [max(_components(codes, earlier) for earlier in ordered[:k]) for k, codes in enumerate(ordered) if k]
    return sum(levels) - sum(lost)


def _levels(codes: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(codes)))


def _components(one: np.ndarray, other: np.ndarray) -> int:
    """Connected components of the graph whose nodes are the levels of two effects and whose edges are the rows."""
    first = int(one.max()) + 1
    nodes = first + int(other.max()) + 1
    graph = sparse.csr_array((np.ones(len(one), dtype=np.int8), (one, first + other)), shape=(nodes, nodes))
    absent = nodes - _levels(one) - _levels(other)
    return int(csgraph.connected_components(graph, directed=False)[0]) - absent


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    q, r, _ = linalg.qr(columns, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return q[:, diagonal > COLLINEAR * max(diagonal.max(initial=0.0), 1e-300)]


def is_nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether every group of ``inner`` lies within one group of ``outer`` (codes, shape (n,))."""
    one = np.empty(int(inner.max()) + 1, dtype=outer.dtype)
    one[inner] = outer
    return bool((one[inner] == outer).all())


def lengths(columns: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Length (k,) of each column (n, k) around its mean, or a trifle of its own length if that is more."""
    around = columns - (columns.mean(axis=0) if weights is None else weights @ columns / weights.sum())
    root = 1.0 if weights is None else np.sqrt(weights)[:, None]
    return np.linalg.norm(around * root, axis=0) + 1e-12 * np.linalg.norm(columns * root, axis=0)


def identified(columns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which columns (n, k) are no combination of the ones before; ``lengths`` (k,) are their norms before projection.

    Earlier columns win, so a treatment listed first is dropped only when the effects themselves absorb it.
    """
    columns, kept = np.asfortranarray(columns), list[np.ndarray]()
    verdict = np.zeros(columns.shape[1], dtype=bool)
    for j in range(columns.shape[1]):
        left = columns[:, j].copy()
        for _ in range(2):  # twice is enough for orthogonality to machine precision
            for direction in kept:
                left -= direction * (direction @ left)
        norm = float(np.linalg.norm(left))
        if norm > COLLINEAR * max(float(lengths[j]), 1e-300):
            kept.append(left / norm)
            verdict[j] = True
    return verdict

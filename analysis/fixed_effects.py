"""The projection off fixed effects, singletons, nesting, and which columns are collinear: arrays in, arrays out.

Nothing here knows a data frame, and no statistics go beyond a projection.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from scipy import linalg, sparse

from analysis.results import CannotEstimate

#: A column is collinear when what the others leave of it is smaller than this share of its own length.
COLLINEAR = 1e-9


def drop_singletons(effects: Sequence[np.ndarray]) -> np.ndarray:
    """Rows (n,) that stay when groups of one observation are removed until none is left (Correia 2015)."""
    n = len(effects[0]) if effects else 0
    keep = np.ones(n, dtype=bool)
    while True:
        single = np.zeros(n, dtype=bool)
        for codes in effects:
            single |= np.bincount(codes[keep], minlength=codes.max() + 1)[codes] == 1
        single &= keep
        if not single.any():
            return keep
        keep &= ~single


class FixedEffects:
    """The projection off any number of group effects, exact for unbalanced panels, computed once for many columns.

    The effect with most levels is swept out by group means; the dummies of the others, demeaned the same way, by an
    orthonormal basis of their span (Frisch and Waugh 1933). The constant lies in that span and is counted once.

    Attributes
    ----------
    rank : dimension of the span of all dummies and the constant.
    swept : codes (n,) of the effect swept out by group means.
    basis : orthonormal columns (n, r) of what the projection removes besides.
    """

    def __init__(self, effects: Sequence[np.ndarray], n: int) -> None:
        ordered = sorted(effects, key=lambda codes: -int(codes.max())) or [np.zeros(n, dtype=np.int64)]
        first, rest = ordered[0], ordered[1:]
        self.swept = first
        levels = int(first.max()) + 1
        self._group = sparse.csr_array((np.ones(n), (np.arange(n), first)), shape=(n, levels))
        self._size = np.maximum(np.bincount(first, minlength=levels), 1).astype(float)
        self.basis = np.empty((n, 0))
        width = sum(int(codes.max()) for codes in rest)
        if width:
            if n * width > 250_000_000:
                raise CannotEstimate(
                    f"The smaller fixed effects have {width:,} levels over {n:,} rows, "
                    "too many to sweep out in memory; use coarser effects."
                )
            dummies = np.concatenate([np.eye(int(codes.max()) + 1)[codes][:, 1:] for codes in rest], axis=1)
            self.basis = _orthonormal(self.demean(dummies))
        self.rank = len(np.unique(first)) + self.basis.shape[1]

    def demean(self, values: np.ndarray) -> np.ndarray:
        """Each column (n, k) less its means by the swept effect."""
        return values - self._group @ ((self._group.T @ values) / self._size[:, None])

    def residualise(self, values: np.ndarray) -> np.ndarray:
        """What the effects leave of each column; values (n,) or (n, k), same shape back."""
        columns = values[:, None] if values.ndim == 1 else values
        left = self.demean(columns)
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


class NoEffects:
    """The projection of a regression without effects: nothing is swept out, and the constant is a regressor."""

    rank = 0

    def residualise(self, values: np.ndarray) -> np.ndarray:
        """The values as they are."""
        return values


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    q, r, _ = linalg.qr(columns, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return q[:, diagonal > COLLINEAR * max(diagonal.max(initial=0.0), 1e-300)]


def is_nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether every group of ``inner`` lies within one group of ``outer`` (codes, shape (n,))."""
    one = np.empty(int(inner.max()) + 1, dtype=outer.dtype)
    one[inner] = outer
    return bool((one[inner] == outer).all())


def identified(columns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which columns (n, k) are no combination of the ones before; ``lengths`` (k,) are their norms before projection.

    Earlier columns win, so a treatment listed first is dropped only when the effects themselves absorb it.
    """
    kept: list[np.ndarray] = []
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

"""What every panel estimator does first: check columns, drop what cannot be used and say so, sweep out fixed effects.

No estimator lives here, and no statistics beyond a projection.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, sparse

#: A column is collinear when what the others leave of it is smaller than this share of its own length.
COLLINEAR = 1e-9


@dataclass(frozen=True)
class Sample:
    """The rows an estimator uses, sorted by unit and time so that the order of the input cannot matter.

    Attributes
    ----------
    data
        The rows kept, indexed 0..n-1, sorted by unit and time; numeric columns as float64.
    positions
        Where each kept row stood in the caller's data, shape (n,).
    notes
        One sentence for each reason rows were left out.
    """

    data: pd.DataFrame
    positions: np.ndarray
    notes: tuple[str, ...]


def prepare(
    data: pd.DataFrame,
    *,
    unit: str,
    time: str,
    numeric: Sequence[str],
    keys: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Sample:
    """Rows of ``data`` with every ``numeric`` and ``keys`` column present; ``optional`` numeric columns may be missing.

    Raises ValueError for absent or non-numeric columns, infinite values, a missing unit or time, and a repeated
    unit-time pair.
    """
    wanted = list(dict.fromkeys([unit, time, *keys, *numeric, *optional]))
    absent = [column for column in wanted if column not in data.columns]
    if absent:
        raise ValueError(
            f"No column named {', '.join(map(repr, absent))}; the data has {', '.join(map(str, data.columns))}."
        )
    frame = data[wanted].reset_index(drop=True)
    for column in dict.fromkeys([*numeric, *optional]):
        frame[column] = as_float(frame[column])
    for column in (unit, time):
        if frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0])
            raise ValueError(f"Column {column!r} is missing in row {row}: every row needs a {unit!r} and a {time!r}.")
    repeated = frame.duplicated([unit, time])
    if repeated.any():
        first = frame.loc[repeated, [unit, time]].iloc[0]
        raise ValueError(
            f"{int(repeated.sum())} rows repeat a {unit!r} and {time!r} already present, "
            f"the first {first[unit]!r}, {first[time]!r}: keep one row for each."
        )
    notes = []
    needed = list(dict.fromkeys([*numeric, *keys]))
    keep = np.ones(len(frame), dtype=bool)
    for column in needed:
        missing = frame[column].isna().to_numpy() & keep
        if missing.any():
            notes.append(f"{int(missing.sum())} rows dropped: {column!r} is missing.")
            keep &= ~missing
    if not keep.any():
        raise ValueError(f"No row has a value in every one of {', '.join(map(repr, needed))}.")
    positions = np.flatnonzero(keep)
    order = (
        frame.loc[keep, [unit, time]].reset_index(drop=True).sort_values([unit, time], kind="stable").index.to_numpy()
    )
    positions = positions[order]
    return Sample(frame.iloc[positions].reset_index(drop=True), positions, tuple(notes))


def as_float(column: pd.Series) -> pd.Series:
    """A numeric or boolean column as float64; anything else is a ValueError that quotes the first offending value."""
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        parsed = pd.to_numeric(column, errors="coerce")
        wrong = parsed.isna() & column.notna()
        if wrong.any():
            raise ValueError(f"Column {column.name!r} must be numeric; it holds {column[wrong].iloc[0]!r}.")
        column = parsed
    values = column.astype("float64")
    if np.isinf(values.to_numpy()).any():
        raise ValueError(f"Column {column.name!r} holds an infinite value; replace or drop it first.")
    return values


def require_varying(frame: pd.DataFrame, y: str) -> None:
    """Raise ValueError when the outcome is the same number in every row: there is nothing to explain."""
    values = frame[y].to_numpy()
    if np.ptp(values) == 0:
        raise ValueError(f"Outcome {y!r} is {values[0]:g} in all {len(values)} rows used: there is nothing to explain.")


def unit_order(frame: pd.DataFrame, unit: str, columns: Sequence[str]) -> np.ndarray:
    """Codes (n,) of units, numbered by what their rows hold in ``columns`` rather than by their names.

    Random draws over units that are numbered this way do not change when units are renamed. Units that agree in every
    column are exchangeable: their order is no matter.
    """
    codes = codes_of(frame[unit])
    values = frame[list(columns)].to_numpy(dtype=float)
    order = np.lexsort([*values.T[::-1], codes])
    values, starts = values[order], np.flatnonzero(np.diff(codes[order], prepend=-1))
    content = [block.tobytes() for block in np.split(values, starts[1:])]
    rank = np.empty(len(content), dtype=np.int64)
    rank[sorted(range(len(content)), key=content.__getitem__)] = np.arange(len(content))
    return rank[codes]


def effect_columns(effects: str | Sequence[str] | None, *, unit: str, time: str) -> list[str]:
    """Column names behind a list of effects or clusters, where "unit" and "time" stand for the panel's own keys."""
    if effects is None:
        return []
    names = [effects] if isinstance(effects, str) else list(effects)
    return list(dict.fromkeys(unit if name == "unit" else time if name == "time" else name for name in names))


def codes_of(column: pd.Series) -> np.ndarray:
    """Integer codes 0..g-1 of a column's values, shape (n,), numbered by sorted value so that their order is stable."""
    codes, _ = pd.factorize(column, sort=True)
    return codes


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
                raise ValueError(
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

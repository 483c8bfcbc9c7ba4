"""Matching on the propensity score, from a data frame to a `Matching`.

Scores come from `propensity`, neighbours from `neighbours`, balance from `balance`, effects from `result`; regressions
on matched samples belong to `analysis.did`, which takes the weights or the support as a sample.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.estimation_sample import as_float, as_key, require_columns
from analysis.fixed_effects import identified
from analysis.matching.balance import balance_table, quality_table
from analysis.matching.neighbours import KERNELS, kernel_weights, nearest, nearest_once
from analysis.matching.propensity import Logit, logit
from analysis.matching.result import Matching
from analysis.results import CannotEstimate, inference_table


@dataclass(frozen=True)
class _Rule:
    """How to match once scores are there."""

    method: str
    caliper: float | None
    caliper_unit: str
    replace: bool
    neighbours: int
    ties: str
    tie_tolerance: float
    estimand: str
    support: str | None
    order: str
    kernel: str
    bandwidth: float

    def __post_init__(self) -> None:
        choices = {
            "method": ("nearest", "radius", "kernel"),
            "caliper_unit": ("score", "sd"),
            "ties": ("all", "first"),
            "estimand": ("att", "atu", "ate"),
            "support": (None, "common"),
            "order": ("largest", "smallest", "data"),
            "kernel": tuple(KERNELS),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(map(repr, allowed))}, not {getattr(self, name)!r}.")
        if self.method == "radius" and self.caliper is None:
            raise ValueError("Radius matching needs caliper, the radius.")
        if self.method == "kernel" and self.caliper is not None:
            raise ValueError("Kernel matching has no caliper; set bandwidth.")
        if (self.caliper is not None and self.caliper <= 0) or self.bandwidth <= 0 or self.neighbours < 1:
            raise ValueError("caliper and bandwidth must be above zero, neighbours at least one.")
        if self.method == "nearest" and not self.replace and self.neighbours > 1:
            raise ValueError("Several neighbours need replace=True: without replacement each unit gets one.")

    def weights(self, focal: np.ndarray, pool: np.ndarray, spread: float) -> sparse.csr_array:
        """Weights (focal, pool) from scores; ``spread`` is the scores' standard deviation over all rows."""
        unit = spread if self.caliper_unit == "sd" else 1.0
        caliper = np.inf if self.caliper is None else self.caliper * unit
        if self.method == "kernel":
            return kernel_weights(focal, pool, self.bandwidth, self.kernel)
        if self.method == "radius":
            return kernel_weights(focal, pool, caliper, "uniform")
        if self.replace:
            return nearest(focal, pool, self.neighbours, caliper, self.ties, self.tie_tolerance * spread**2)
        return nearest_once(focal, pool, caliper, self.order)


def match(
    data: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    *,
    method: str = "nearest",
    caliper: float | None = None,
    replace: bool = False,
    neighbours: int = 1,
    ties: str = "all",
    tie_tolerance: float = 1e-5,
    estimand: str = "att",
    by: str | None = None,
    support: str | None = None,
    order: str = "largest",
    kernel: str = "epanechnikov",
    bandwidth: float = 0.06,
    scale: str = "probability",
    caliper_unit: str = "score",
) -> Matching:
    """Match treated rows with untreated ones on a logit propensity score.

    Conventions are those of psmatch2 (Leuven and Sianesi 2003) with ``logit``. Where scores tie, rows count in the
    order of their names (index labels, or a column that names them), or of what they hold where nothing names them, so
    that shuffling changes nothing; MatchIt takes the order of the data.

    Parameters
    ----------
    data
        One row an observation, any index; never changed. Rows with a missing treatment or covariate are left out.
    treatment
        Column of 0 and 1. For a matching on ever-treated cities give that column.
    covariates
        Numeric columns of the score; a constant is added, columns that depend on earlier ones are left out.
    method
        "nearest"; "radius", everyone within ``caliper``, equally weighted; "kernel", everyone weighted by distance.
    caliper
        Greatest distance allowed, in the units of the score or, with ``caliper_unit="sd"``, in its standard deviations.
    replace
        Whether a unit can serve as a match more than once (nearest).
    neighbours
        How many nearest neighbours, with replacement. Under a caliper those of them within it, be they fewer, share the
        weight; a unit with none is left out (as psmatch2 and R's Matching have it).
    ties
        With replacement: "all" takes everyone as near as the last neighbour; "first" takes exactly ``neighbours``.
    tie_tolerance
        Squared distances in standard deviations of the score that differ by less count as equal (1e-5 as in R's
        Matching; 0 for exact ties).
    estimand
        "att" seeks matches for the treated, "atu" for the untreated, "ate" for both.
    by
        Column of groups, such as the year: scores and matches are made in each group alone.
    support
        "common" leaves out units that seek a match with a score outside the range of the other side (psmatch2's
        ``common``); None leaves out nobody.
    order
        Without replacement, who chooses first: the "largest" score, the "smallest", or the rows as in the "data".
    kernel, bandwidth
        "epanechnikov", "normal", "biweight", "uniform" or "tricube"; psmatch2's defaults.
    scale
        "probability", or "logit" to match on the linear predictor; scores are reported on that scale.

    Returns
    -------
    Matching

    Raises
    ------
    ValueError
        Absent, non-numeric or infinite columns; a treatment that is not 0/1 or has one side only; covariates that
        separate the sides; an option that does not exist or fit; nobody matched.

    References
    ----------
    Rosenbaum and Rubin (1983); Heckman, Ichimura and Todd (1997); Abadie and Imbens (2006).
    """
    rule = _Rule(
        method,
        caliper,
        caliper_unit,
        replace,
        neighbours,
        ties,
        tie_tolerance,
        estimand,
        support,
        order,
        kernel,
        bandwidth,
    )
    if scale not in ("probability", "logit"):
        raise ValueError(f"scale is 'probability' or 'logit', not {scale!r}.")
    sample = _sample(data, treatment, list(dict.fromkeys(covariates)), by, order == "data")
    fits, notes = [], list(sample.notes)
    score = np.full(len(data), np.nan)
    blocks: list[sparse.coo_array] = []
    for name, rows in sample.groups:
        where = "" if by is None else f" In {by!r} = {name}:"
        if len(np.unique(sample.treated[rows])) < 2:
            notes.append(
                f"{len(rows)} rows have only one side of {treatment!r} and are not matched.{where.rstrip(':')}"
            )
            continue
        fit, names, said = _score(sample, rows, where)
        notes += said
        score[rows] = fit.scores if scale == "probability" else fit.linear
        table = inference_table(names, fit.coefficients, fit.covariance, float("inf"))
        fits.append((name, table))
        blocks += _match_group(rule, rows, sample.treated, score)
    if not fits:
        raise CannotEstimate(
            f"Column {treatment!r} needs both treated (1) and untreated (0) rows with all covariates present."
        )
    return _result(data, sample, rule, score, blocks, fits, by, notes)


@dataclass(frozen=True)
class _Sample:
    """Treatment (rows,) with nan where a row cannot be used, covariates (rows, k), group codes, groups' positions."""

    treated: np.ndarray
    x: np.ndarray
    names: list[str]
    codes: np.ndarray
    groups: list[tuple[object, np.ndarray]]
    notes: list[str]


def _sample(data: pd.DataFrame, treatment: str, covariates: list[str], by: str | None, as_it_stands: bool) -> _Sample:
    wanted = [treatment, *covariates, *([by] if by is not None else [])]
    require_columns(data, wanted)
    if not covariates:
        raise ValueError("Matching needs at least one covariate.")
    treated = as_float(data[treatment]).to_numpy().copy()
    wrong = ~np.isnan(treated) & ~np.isin(treated, (0, 1))
    if wrong.any():
        raise CannotEstimate(f"Treatment {treatment!r} must hold 0 and 1; it holds {treated[wrong][0]:g}.")
    x = np.column_stack([as_float(data[name]).to_numpy() for name in covariates])
    usable, notes = np.ones(len(data), dtype=bool), []
    for name in wanted:
        missing = data[name].isna().to_numpy() & usable
        if missing.any():
            notes.append(f"{int(missing.sum())} rows left out: {name!r} is missing.")
            usable &= ~missing
    treated[~usable] = np.nan
    sequence = _order(data, as_it_stands)
    sequence = sequence[usable[sequence]]
    codes = np.zeros(len(data), dtype=np.int64)
    labels: pd.Index = pd.Index([None])
    if by is not None:
        codes, labels = pd.factorize(as_key(data[by]), sort=True)
    groups = [(label, sequence[codes[sequence] == code]) for code, label in enumerate(labels)]
    return _Sample(treated, x, covariates, codes, [(label, rows) for label, rows in groups if len(rows)], notes)


def _order(data: pd.DataFrame, as_it_stands: bool) -> np.ndarray:
    """Positions of rows in an order that shuffling does not change: by their name, else by all they hold.

    A row's name is its index label, or, under whole numbers as pandas gives to any frame, the first column of text or
    whole numbers in which no two rows are alike; numbers within names count as numbers (city 9 before city 10).
    ``as_it_stands`` asks for the rows as they come, by whole-number labels where the index has them.
    """
    index = data.index
    if as_it_stands:
        numbered = index.is_unique and pd.api.types.is_integer_dtype(index.dtype)
        return np.argsort(index.to_numpy(), kind="stable") if numbered else np.arange(len(index))
    if index.is_unique and not pd.api.types.is_integer_dtype(index.dtype):
        names = [pd.Series(index.get_level_values(level)) for level in range(index.nlevels)]
    else:
        columns = [data.iloc[:, place] for place in range(data.shape[1])]
        kinds = (pd.api.types.is_integer_dtype, pd.api.types.is_string_dtype)
        own = (column for column in columns if column.is_unique and any(kind(column.dtype) for kind in kinds))
        first = next(own, None)
        names = columns if first is None else [first]
    return np.lexsort([_rank(name) for name in names[::-1]]) if names else np.arange(len(data))


def _rank(values: pd.Series) -> np.ndarray:
    """The place (n,) of each value in sorted order, missing values first, numbers within text as numbers."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return pd.factorize(values, sort=True)[0]
    codes, different = pd.factorize(values.astype(str).where(values.notna()))
    parts = [[part.zfill(20) if part.isdigit() else part for part in re.split(r"(\d+)", name)] for name in different]
    rank = np.empty(len(different) + 1, dtype=np.int64)
    rank[sorted(range(len(different)), key=parts.__getitem__)] = np.arange(len(different))
    rank[-1] = -1
    return rank[codes]


def _score(sample: _Sample, rows: np.ndarray, where: str) -> tuple[Logit, list[str], list[str]]:
    x = np.column_stack([np.ones(len(rows)), sample.x[rows]])
    names = ["const", *sample.names]
    known = identified(x, np.linalg.norm(x, axis=0))
    notes = [
        f"{name!r} does not enter the score: it is a combination of the columns before it.{where.rstrip(':')}"
        for name, kept in zip(names, known, strict=True)
        if not kept
    ]
    names = [name for name, kept in zip(names, known, strict=True) if kept]
    try:
        return logit(sample.treated[rows], x[:, known], names), names, notes
    except CannotEstimate as error:
        raise CannotEstimate(f"{error}{where.rstrip(':')}") from None


def _match_group(rule: _Rule, rows: np.ndarray, treated: np.ndarray, score: np.ndarray) -> list[sparse.coo_array]:
    """Matches within one group as sparse (all rows, all rows)."""
    spread = float(np.std(score[rows], ddof=1))
    found = []
    for side in (1.0, 0.0):
        if rule.estimand == ("atu" if side == 1.0 else "att"):
            continue
        focal, pool = rows[treated[rows] == side], rows[treated[rows] != side]
        if rule.support == "common":
            focal = focal[(score[focal] >= score[pool].min()) & (score[focal] <= score[pool].max())]
        block = rule.weights(score[focal], score[pool], spread).tocoo()
        found.append(
            sparse.coo_array((block.data, (focal[block.row], pool[block.col])), shape=(len(score), len(score)))
        )
    return found


def _result(
    data: pd.DataFrame,
    sample: _Sample,
    rule: _Rule,
    score: np.ndarray,
    blocks: list[sparse.coo_array],
    fits: list[tuple[object, pd.DataFrame]],
    by: str | None,
    notes: list[str],
) -> Matching:
    matches = sparse.csr_array(sum(blocks[1:], start=blocks[0]))
    if not matches.nnz:
        raise CannotEstimate("Nobody found a match: widen the caliper or the bandwidth, or drop support='common'.")
    served = np.diff(matches.indptr) > 0
    weight = served + np.asarray(matches.sum(axis=0)).ravel()
    scored = ~np.isnan(score)
    seeks = scored & np.isin(sample.treated, {"att": [1], "atu": [0], "ate": [0, 1]}[rule.estimand])
    lost = int((seeks & ~served).sum())
    if lost:
        notes.append(
            f"{lost} of {int(seeks.sum())} units that seek a match found none"
            + (": the effect is that of a minority." if lost > seeks.sum() / 2 else ".")
        )
    rows = np.flatnonzero(scored)
    treated, x = sample.treated[rows] == 1, sample.x[rows]
    balance = balance_table(x, sample.names, treated, weight[rows])
    independent = identified(x - x.mean(axis=0), np.linalg.norm(x, axis=0))
    return Matching(
        table=pd.DataFrame(
            {"treated": sample.treated, "score": score, "support": np.where(seeks, served, scored), "weight": weight},
            index=data.index,
        ).astype({"support": bool}),
        matches=matches,
        balance=balance,
        quality=quality_table(
            x[:, independent],
            [name for name, kept in zip(sample.names, independent, strict=True) if kept],
            treated,
            weight[rows],
            balance,
        ),
        logit=fits[0][1] if by is None else pd.concat(dict(fits), names=[by, "term"]),
        method=rule.method,
        replace=rule.replace,
        estimand=rule.estimand,
        notes=tuple(notes),
        _data=data.copy(deep=False),
        _by=by,
        _group=sample.codes,
    )

"""The constructed variables of city panels: indices, capital stocks, winsorising, interpolation.

Each definition is stated so that it can be written in SQL word for word, because the warehouse does so and is compared
with this module. Functions take a data frame and column names and return a Series or DataFrame with the frame's index
and row order; the input is never changed. Nothing here estimates anything, and nothing decides which variable a study
uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.estimation_sample import Sample, as_float, prepare, require_columns
from analysis.names import IMPUTED
from analysis.results import CannotEstimate

#: Suffix of the column that says which values were filled in.


def entropy_weights(data: pd.DataFrame, positive: str | Sequence[str], negative: str | Sequence[str] = ()) -> pd.Series:
    """Weights of the entropy method, one an indicator, summing to 1.

    Over the n rows (all units and times pooled) in which every indicator is present:

    1. z = (x - min) / (max - min), for ``negative`` indicators (max - x) / (max - min);
    2. s = z / sum z;
    3. e = -(sum s ln s) / ln n, with 0 ln 0 = 0;
    4. weight = (1 - e) / sum over indicators of (1 - e).

    An indicator that does not vary has z = 0 and weight 0.

    Parameters
    ----------
    data
        One row an observation.
    positive, negative
        Columns of which more is better, and of which less is better.

    Returns
    -------
    Series
        Indexed by column name, the positive ones first.

    Raises
    ------
    ValueError
        Absent, repeated or non-numeric columns; no complete row; no indicator that varies.

    References
    ----------
    Shannon (1948), section 6; Zou, Yun and Sun (2006), Journal of Environmental Sciences 18(5).
    """
    return _entropy(data, positive, negative)[1]


def entropy_index(data: pd.DataFrame, positive: str | Sequence[str], negative: str | Sequence[str] = ()) -> pd.Series:
    """Index of the entropy method: sum over indicators of weight x z, between 0 and 1, pooled min-max.

    z and the weights are those of `entropy_weights`; a row that lacks an indicator has a missing index and counts in
    nothing. Arguments and errors as there.
    """
    scaled, weights = _entropy(data, positive, negative)
    values = np.full(len(data), np.nan)
    complete = ~np.isnan(scaled).any(axis=1)
    values[complete] = (scaled[complete] * weights.to_numpy()).sum(axis=1)
    return pd.Series(values, index=data.index, name="entropy_index")


def _entropy(
    data: pd.DataFrame, positive: str | Sequence[str], negative: str | Sequence[str]
) -> tuple[np.ndarray, pd.Series]:
    """z, shape (rows, indicators), missing in incomplete rows; and the weights."""
    more, less = _names(positive), _names(negative)
    columns = [*more, *less]
    if not columns or len(set(columns)) < len(columns):
        raise ValueError(f"An entropy index needs each indicator named once; it was given {columns!r}.")
    values = _numbers(data, columns)
    complete = ~np.isnan(values).any(axis=1)
    if not complete.any():
        raise CannotEstimate(f"No row has a value in every indicator: {', '.join(map(repr, columns))}.")
    low, high = values[complete].min(axis=0), values[complete].max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    scaled = np.where(np.arange(len(columns)) < len(more), values - low, high - values) / spread
    scaled[~complete] = np.nan
    varies = high > low
    if not varies.any():
        raise CannotEstimate(
            f"None of the indicators {', '.join(map(repr, columns))} varies, so they cannot be weighted."
        )
    # Sorting before summing makes the weights the same to the last bit whatever the order of the rows.
    ordered = np.sort(scaled[complete], axis=0)
    shares = ordered / np.where(varies, ordered.sum(axis=0), 1.0)
    terms = shares * np.log(np.where(shares > 0, shares, 1.0))
    information = np.where(varies, 1 + terms.sum(axis=0) / np.log(max(int(complete.sum()), 2)), 0.0)
    return scaled, pd.Series(information / information.sum(), index=pd.Index(columns, name="indicator"), name="weight")


def perpetual_inventory(
    data: pd.DataFrame,
    investment: str,
    *,
    unit: str,
    time: str,
    deflator: str | None = None,
    depreciation: float = 0.096,
    initial_rate: float = 0.10,
    start: int | None = None,
) -> pd.Series:
    """Capital stock by perpetual inventory, in the units and prices of real investment.

    For each unit, with t0 the first year (not before ``start``) that has investment:
    K[t0] = I[t0] / ``initial_rate``;  K[t] = (1 - ``depreciation``) K[t-1] + I[t] for t > t0.

    A year without investment (missing, or no row) leaves that year and every later one missing: a stock does not start
    twice. Years before t0 are missing.

    Parameters
    ----------
    data
        Long panel, one row a unit and year; years are whole numbers.
    investment
        Gross fixed investment: in constant prices, or in current prices with ``deflator``.
    deflator
        Price index of investment, base year = 1; real investment = investment / deflator.
    depreciation, initial_rate
        Shares a year; defaults 9.6% (Zhang, Wu and Zhang 2004) and 10% (Young 2000).
    start
        First year of the stock; investment before it is not used.

    Returns
    -------
    Series
        ``capital``, indexed like ``data``.

    Raises
    ------
    ValueError
        Absent or non-numeric columns, repeated unit-years, years that are not whole, a deflator of zero or less.
    """
    prices = [deflator] if deflator else []
    sample = prepare(data, unit=unit, time=time, numeric=[time], optional=[investment, *prices])
    frame, years = sample.data, _years(sample, time)
    real = frame[investment].to_numpy(dtype=float)
    if deflator:
        price = frame[deflator].to_numpy(dtype=float)
        if (price <= 0).any():
            raise CannotEstimate(f"Deflator {deflator!r} must be above zero; it is {price[price <= 0][0]:g} somewhere.")
        real = real / price
    units = pd.factorize(frame[unit])[0]
    first_year = int(years.min()) if start is None else int(start)
    used = years >= first_year
    grid = np.full((units.max() + 1, max(int(years.max()) - first_year + 1, 0)), np.nan)
    grid[units[used], years[used] - first_year] = real[used]
    stock = np.full_like(grid, np.nan)
    begun = np.zeros(len(grid), dtype=bool)
    for t in range(grid.shape[1]):
        before = stock[:, t - 1] if t else stock[:, 0]
        stock[:, t] = np.where(begun, (1 - depreciation) * before + grid[:, t], grid[:, t] / initial_rate)
        begun |= ~np.isnan(grid[:, t])
    values = np.full(len(frame), np.nan)
    values[used] = stock[units[used], years[used] - first_year]
    return _restore(values, sample, data, "capital")


def revealed_comparative_advantage(
    data: pd.DataFrame, cases: str, gdp: str, *, national_cases: str, national_gdp: str
) -> pd.Series:
    """(cases / GDP of the city) / (cases / GDP of the nation), row by row; 1 means the nation's own intensity.

    The national columns hold the nation's true totals for the row's year, never sums over the cities of the panel; GDP
    of both in one unit. Missing where a value is missing, where either GDP is zero or less, or where the nation has no
    cases.

    Raises
    ------
    ValueError
        Absent or non-numeric columns.

    References
    ----------
    Balassa (1965), The Manchester School 33(2), with cases in the place of exports.
    """
    city, product, nation, nation_product = _numbers(data, [cases, gdp, national_cases, national_gdp]).T
    defined = (product > 0) & (nation_product > 0) & (nation > 0)
    ratio = np.full(len(data), np.nan)
    ratio[defined] = (city[defined] / product[defined]) / (nation[defined] / nation_product[defined])
    return pd.Series(ratio, index=data.index, name="revealed_comparative_advantage")


def industrial_structure_angle(
    data: pd.DataFrame, sectors: Sequence[str], *, weights: Sequence[float] = (3, 2, 1)
) -> pd.Series:
    """Upgrading of industrial structure: weighted angles between the sector shares and the three axes, in radians.

    theta_j = arccos(x_j / sqrt(x_1^2 + x_2^2 + x_3^2)) for x = primary, secondary, tertiary; index = sum_j w_j theta_j.
    Shares and values of the sectors give the same angles. The default weights are the nested sum, over k = 1..3 of
    theta_1 + … + theta_k: pure primary gives 3 pi / 2, pure secondary 2 pi, pure tertiary 5 pi / 2. Missing where a
    sector is missing or all three are zero.

    Parameters
    ----------
    sectors
        Three columns: primary, secondary, tertiary, as shares of GDP or as value added.
    weights
        w_1, w_2, w_3.

    Raises
    ------
    ValueError
        Not three columns or weights; absent, non-numeric or negative columns.

    References
    ----------
    Fu (2010), Statistical Research 27(8).
    """
    if isinstance(sectors, str) or len(sectors) != 3 or len(weights) != 3:
        raise ValueError(
            "The angle index takes three sectors (primary, secondary, tertiary) and three weights; "
            f"it was given {sectors!r} and {weights!r}."
        )
    shares = _numbers(data, sectors)
    if (shares < 0).any():
        row, column = np.argwhere(shares < 0)[0]
        raise CannotEstimate(
            f"Sector {sectors[column]!r} is {shares[row, column]:g} in row {row}: shares cannot be negative."
        )
    length = np.sqrt((shares**2).sum(axis=1))
    cosine = shares / np.where(length > 0, length, np.nan)[:, None]
    angles = np.arccos(np.minimum(cosine, 1.0))
    return pd.Series(
        (angles * np.asarray(weights, dtype=float)).sum(axis=1), index=data.index, name="industrial_structure_angle"
    )


def percentile(values: np.ndarray, percent: float) -> float:
    """Percentile by the rule of Stata's ``_pctile`` (also ``summarize, detail``), missing values left out.

    With x_(1) <= … <= x_(n) and P = n percent / 100: x_(ceil P) when P is not whole, (x_(P) + x_(P+1)) / 2 when it is.
    """
    ordered = np.sort(values[~np.isnan(values)])
    n = len(ordered)
    if not n:
        return float("nan")
    rank = n * percent / 100
    whole = int(np.floor(rank))
    if rank == whole and 0 < whole < n:
        return float((ordered[whole - 1] + ordered[whole]) / 2)
    return float(ordered[min(max(int(np.ceil(rank)), 1), n) - 1])


def winsorize(
    data: pd.DataFrame, columns: str | Sequence[str] | None = None, *, low: float = 1, high: float = 99
) -> pd.DataFrame:
    """Copy of ``data`` with values below the ``low`` percentile raised to it and those above ``high`` lowered to it.

    Percentiles are taken over all rows of a column (all units and times pooled) by Stata's ``_pctile`` rule (see
    `percentile`), the rule of ``winsor2`` with its defaults. Missing values stay missing and count in nothing.

    Parameters
    ----------
    columns
        Columns to winsorise; None for every numeric column. The others are copied as they are.
    low, high
        Percentiles, 0 to 100.

    Raises
    ------
    ValueError
        Absent or non-numeric columns, percentiles out of order.
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"Winsorising needs 0 <= low < high <= 100, not low {low} and high {high}.")
    names = list(data.select_dtypes("number").columns) if columns is None else _names(columns)
    values = _numbers(data, names)
    copy = data.copy()
    for name, column in zip(names, values.T, strict=True):
        copy[name] = np.clip(column, percentile(column, low), percentile(column, high))
    return copy


def interpolate(
    data: pd.DataFrame,
    columns: str | Sequence[str],
    *,
    unit: str,
    time: str,
    method: str = "linear",
    max_gap: int | None = None,
) -> pd.DataFrame:
    """Fill missing values between a unit's observed years, never before its first or after its last.

    With (t0, x0) and (t1, x1) the unit's nearest observed years before and after a missing t:

    - ``"linear"``: x0 + (x1 - x0) (t - t0) / (t1 - t0);
    - ``"neighbour_mean"``: (x0 + x1) / 2.

    Only rows that exist are filled; a year without a row still counts in the distance.

    Parameters
    ----------
    data
        Long panel, one row a unit and year; years are whole numbers.
    columns
        One column or several.
    max_gap
        Fill only gaps of at most this many years, t1 - t0 - 1; None for any.

    Returns
    -------
    DataFrame
        Indexed like ``data``: each column with its values, and ``<column>__imputed``, True where a value was filled in.

    Raises
    ------
    ValueError
        Absent or non-numeric columns, repeated unit-years, years that are not whole, an unknown method.
    """
    if method not in ("linear", "neighbour_mean"):
        raise ValueError(f"method is 'linear' or 'neighbour_mean', not {method!r}.")
    names = _names(columns)
    sample = prepare(data, unit=unit, time=time, numeric=[time], optional=names)
    years = pd.Series(_years(sample, time).astype(float))
    units = sample.data[unit]
    filled: dict[str, pd.Series] = {}
    for name in names:
        values = sample.data[name]
        observed = years.where(values.notna())
        x0, x1 = values.groupby(units).ffill(), values.groupby(units).bfill()
        t0, t1 = observed.groupby(units).ffill(), observed.groupby(units).bfill()
        inside = values.isna() & x0.notna() & x1.notna()
        if max_gap is not None:
            inside &= t1 - t0 - 1 <= max_gap
        between = x0 + (x1 - x0) * (years - t0) / (t1 - t0) if method == "linear" else (x0 + x1) / 2
        filled[name] = _restore(values.where(~inside, between).to_numpy(), sample, data, name)
        filled[name + IMPUTED] = _restore(inside.to_numpy(), sample, data, name + IMPUTED)
    return pd.DataFrame(filled, index=data.index)


def _names(columns: str | Sequence[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _numbers(data: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Columns as floats, shape (rows, columns)."""
    require_columns(data, columns)
    if not len(columns):
        return np.empty((len(data), 0))
    return np.column_stack([as_float(data[name]).to_numpy() for name in columns])


def _years(sample: Sample, time: str) -> np.ndarray:
    """Years of the sorted sample as whole numbers, shape (n,)."""
    values = sample.data[time].to_numpy()
    if (values != np.floor(values)).any():
        raise CannotEstimate(
            f"Column {time!r} must hold whole years; it holds {values[values != np.floor(values)][0]:g}."
        )
    return values.astype(np.int64)


def _restore(values: np.ndarray, sample: Sample, data: pd.DataFrame, name: str) -> pd.Series:
    """Values in the sample's order back to the order and index of the caller's data."""
    ordered = np.empty(len(data), dtype=values.dtype)
    ordered[sample.positions] = values
    return pd.Series(ordered, index=data.index, name=name)

"""Estimates beside what the paper prints and, on sample data, beside the truth: one tidy table for every rendering."""

from __future__ import annotations

import numpy as np
import pandas as pd

KEYS = ["exhibit", "model", "term"]
TRUTH = [*KEYS, "truth"]
#: Status of a row that the paper prints and the study does not estimate.
PUBLISHED_ONLY = "published only"


def compare(estimates: pd.DataFrame, printed: pd.DataFrame, truth: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every estimate with its published counterpart, in the order of the estimates.

    Parameters
    ----------
    estimates
        As `analysis.studies.ExhibitResult.estimates`, of one or several exhibits of one study.
    printed
        The table of `analysis.studies.published.published`; may be empty.
    truth
        ``exhibit``, ``model``, ``term``, ``truth``: the value each estimator aims at in the sample world.

    Returns
    -------
    DataFrame
        The estimates' columns, then ``published_estimate``, ``published_se``, ``published_stars``, ``published_n``,
        ``published_r2``; ``difference``, estimate less published in published standard errors; ``exact``, whether the
        published figure follows from the pilot list alone, and ``reproduced``, whether it came out to the printed digit
        (missing where nothing is exact); ``truth``. Terms that only the paper has stand at the end with status
        "published only"; an exact sample size is a row with term ``n``.

    Raises
    ------
    ValueError
        A truth table without its columns or with a repeated key.
    """
    columns = ["estimate", "se", "stars", "n", "r2"]
    paper = printed[[*KEYS, *columns, "exact"]].rename(columns={c: f"published_{c}" for c in columns})
    table = _with_sizes(estimates, paper).merge(paper, on=KEYS, how="left", validate="one_to_one")
    table = pd.concat([table, _published_only(table, paper)], ignore_index=True)
    table["exact"] = table["exact"].eq(True)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["difference"] = (table["estimate"] - table["published_estimate"]) / table["published_se"]
    table["reproduced"] = [
        reproduced(value, figure) if exact and np.isfinite(value) else None
        for value, figure, exact in zip(table["estimate"], table["published_estimate"], table["exact"], strict=True)
    ]
    if truth is None:
        return table.assign(truth=np.nan)
    absent = [column for column in TRUTH if column not in truth.columns]
    if absent or truth.duplicated(KEYS).any():
        raise ValueError(f"The truth needs one row for each of {', '.join(KEYS)} and a column 'truth'.")
    return table.merge(truth[TRUTH], on=KEYS, how="left")


def _with_sizes(estimates: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The estimates, and a row with term ``n`` for each model whose printed size is exact."""
    sizes = paper.loc[paper["term"] == "n", ["exhibit", "model"]]
    first = estimates.drop_duplicates(["exhibit", "model"]).merge(sizes, on=["exhibit", "model"])
    rows = first.assign(term="n", estimate=first["n"], se=np.nan, p=np.nan)
    return pd.concat([estimates, rows], ignore_index=True) if len(rows) else estimates


def _published_only(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Printed terms of the models at hand that were not estimated, so that they still stand in the table."""
    models = table[["study", "exhibit", "model", "is_sample"]].drop_duplicates()
    known = pd.MultiIndex.from_frame(table[KEYS])
    rest = paper[~pd.MultiIndex.from_frame(paper[KEYS]).isin(known)].merge(models, on=["exhibit", "model"])
    return rest.assign(status=PUBLISHED_ONLY).reindex(columns=table.columns)


def reproduced(value: float, printed: float) -> bool:
    """Whether a value rounds to a printed figure, at the digits the figure has."""
    digits = len(repr(float(printed)).partition(".")[2]) if printed != int(printed) else 0
    return bool(np.isfinite(value) and abs(value - printed) <= 0.5 * 10.0**-digits + 1e-12)

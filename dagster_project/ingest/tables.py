"""Committed tables as staging reads them: text, empty cells null, the named columns numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from dagster_project.ingest.contracts import Contract
from dagster_project.paths import CATALOGUE, REFERENCE


def committed(path: Path, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """A committed CSV as text, empty cells as null, the named columns as numbers."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame = frame.mask(frame == "")
    return frame.assign(**{column: pd.to_numeric(frame[column]) for column in numbers})


def unit_texts() -> frozenset[str]:
    """The texts of units that can be converted."""
    with (CATALOGUE / "measurement_units.csv").open(encoding="utf-8", newline="") as stream:
        return frozenset(row["unit"] for row in csv.DictReader(stream))


def contract_columns(contracts: Iterable[Contract]) -> pd.DataFrame:
    """``raw.contract_columns``: one row a source and indicator, with the source's priority, the allowed range, and the
    levels of place that count, null for all."""
    rows = [
        (contract.source, column.indicator, contract.priority, *(column.range or (None, None)), levels)
        for contract in contracts
        for table in contract.tables
        for levels in [",".join(table.levels) or None]
        for column in table.columns
    ]
    columns = ["source", "indicator", "priority", "low", "high", "levels"]
    return pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float, "levels": "str"})


def of_staging(indicators: pd.DataFrame, contracts: Iterable[Contract]) -> dict[str, pd.DataFrame]:
    """The tables of schema raw, but for the cells, that staging's models of yearbooks read; ``indicators`` is one."""
    return {
        "city_names": committed(REFERENCE / "city_names.csv"),
        "geographic_units": committed(REFERENCE / "units.csv"),
        "measurement_units": committed(CATALOGUE / "measurement_units.csv", ["factor"]),
        "indicators": indicators,
        "contract_columns": contract_columns(contracts),
    }

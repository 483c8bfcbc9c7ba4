"""Rules as several layers state them. Which rules hold of what stands in one module per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expectations.runner import Rule


def between(
    name: str,
    column: str,
    low: float | None = None,
    high: float | None = None,
    *,
    blocking: bool = False,
    advice: str = "",
    columns: Sequence[str] = (),
    mostly: float = 1.0,
) -> Rule:
    """``low <= column <= high`` in every row that has a value, or in a share ``mostly``; a bound may be absent."""
    import great_expectations.expectations as gxe

    expectation = gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, mostly=mostly)
    return Rule(name, expectation, blocking, advice, tuple(columns))


def holds(name: str, column: str, *, blocking: bool = False, advice: str = "", columns: Sequence[str] = ()) -> Rule:
    """A true-or-false column is true in every row."""
    return one_of(name, column, [True], blocking=blocking, advice=advice, columns=columns)


def one_of(
    name: str,
    column: str,
    values: Sequence[Any],
    *,
    blocking: bool = False,
    advice: str = "",
    columns: Sequence[str] = (),
) -> Rule:
    """Every value is one of these."""
    import great_expectations.expectations as gxe

    return Rule(
        name, gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values)), blocking, advice, tuple(columns)
    )


def key(name: str, columns: Sequence[str], *, advice: str = "") -> Rule:
    """The columns together name each row once; a failure blocks."""
    import great_expectations.expectations as gxe

    if len(columns) == 1:
        return Rule(name, gxe.ExpectColumnValuesToBeUnique(column=columns[0]), advice=advice)
    return Rule(name, gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns)), advice=advice)


def rows(number: int, name: str = "", *, advice: str = "") -> Rule:
    """The table has that many rows; a failure blocks."""
    import great_expectations.expectations as gxe

    return Rule(name or f"{number} rows", gxe.ExpectTableRowCountToEqual(value=number), advice=advice)

"""Answers of the published database: what its tables and columns mean, and an answer as a file for another program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: Endings of the files that an answer can be written to.
FORMATS = (".csv", ".parquet", ".xlsx", ".dta", ".json")
_TABLES = """
select schema_name || '.' || table_name as name, comment from duckdb_tables() where not internal
union all select schema_name || '.' || view_name, comment from duckdb_views() where not internal order by all
"""
_COLUMNS = """
select schema_name || '.' || table_name as name, column_name, data_type, coalesce(comment, '') as comment
from duckdb_columns() where not internal order by schema_name, table_name, column_index
"""
_COMMENT = re.compile(r"^(?:SAMPLE DATA\. )?(?P<label>.*?)(?: \[(?P<unit>[^\]]*)\])?\. ?(?P<definition>.*)$", re.DOTALL)


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> pd.DataFrame:
    """The answer to one statement.

    Raises
    ------
    ValueError
        What the database holds against it, or that there is nothing to answer.
    """
    import duckdb

    try:
        executed = connection.execute(sql)
    except duckdb.Error as error:
        raise ValueError(str(error)) from error
    if executed is None:
        raise ValueError("The query is empty: write one SQL statement, for example from panels.publication.")
    return executed.df()


def is_sample(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the publication was made from the sample world."""
    return bool(connection.execute("select any_value(is_sample) from panels.publication").fetchall()[0][0])


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Schema and name of every table and view -> what a row is."""
    return {name: comment or "" for name, comment in connection.execute(_TABLES).fetchall()}


def columns(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row a column of every table and view: ``name`` of the table, ``column_name``, ``data_type``, ``comment``."""
    return connection.execute(_COLUMNS).df()


def described(connection: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """One row a column of a table or view: ``column``, ``type``, ``unit``, ``meaning``.

    Raises
    ------
    ValueError
        No table has this name, or several schemas have one.
    """
    found = table_named(connection, name)
    listed = columns(connection)
    rows = []
    for row in listed[listed["name"] == found].to_dict("records"):
        parts = _COMMENT.match(row["comment"])
        unit = (parts and parts["unit"]) or ""
        meaning = row["comment"].removeprefix("SAMPLE DATA. ")
        if parts and unit:
            meaning = ". ".join(part for part in (parts["label"], parts["definition"]) if part)
        rows.append({"column": row["column_name"], "type": row["data_type"].lower(), "unit": unit, "meaning": meaning})
    import pandas as pd

    return pd.DataFrame(rows, columns=["column", "type", "unit", "meaning"])


def table_named(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The schema and name of the table or view that is meant, with or without its schema."""
    from analysis.studies.reading import nearest

    known = tables(connection)
    wanted = name.strip().rstrip(";").replace('"', "").lower()
    found = [table for table in known if wanted in (table.lower(), table.rpartition(".")[2].lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name} is the name of {' and '.join(found)}: write it with its schema.")
    near = nearest(wanted, [*known, *(table.rpartition(".")[2] for table in known)])
    raise ValueError(f"There is no table {name}{f'; the nearest is {near}' if near else ''}. .tables lists them.")


def labels(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Column -> its label, for the columns of tables that a query names; one that several define apart has none."""
    words = {word.lower() for word in re.findall(r"\w+", sql)}
    said: dict[str, set[str]] = {}
    for row in columns(connection).to_dict("records"):
        if row["name"].rpartition(".")[2].lower() in words and row["comment"]:
            parts = _COMMENT.match(row["comment"])
            label = (
                row["comment"] if parts is None else parts["label"] + (f" [{parts['unit']}]" if parts["unit"] else "")
            )
            said.setdefault(row["column_name"], set()).add(label)
    return {column: found.pop() for column, found in said.items() if len(found) == 1}


def write(connection: duckdb.DuckDBPyConnection, answer: pd.DataFrame, path: Path, sql: str) -> str:
    """Write an answer in the format of a file's ending, marked where it is sample data; returns a sentence.

    Raises
    ------
    ValueError
        An ending that is none of `FORMATS`, or more rows than the format takes.
    """
    check(path)
    sample = is_sample(connection)
    path.write_bytes(_content(answer, path.suffix, sql, labels(connection, sql), sample=sample))
    return f"{len(answer):,} rows in {path}{' (SAMPLE DATA)' if sample else ''}"


def check(path: Path) -> None:
    """Refuse a file whose ending names no format."""
    if path.suffix not in FORMATS:
        raise ValueError(f"{path.name}: the name must end in {', '.join(FORMATS)}.")


def _content(answer: pd.DataFrame, suffix: str, sql: str, named: dict[str, str], *, sample: bool) -> bytes:
    from analysis.reporting import panel_files

    match suffix:
        case ".parquet":
            return panel_files.parquet(answer, is_sample=sample)
        case ".xlsx":
            return panel_files.excel(answer, is_sample=sample)
        case ".dta":
            return panel_files.stata(answer, named, " ".join(sql.split()), is_sample=sample)
        case ".json":
            return panel_files.json(answer, is_sample=sample).encode()
    return panel_files.csv(answer, is_sample=sample).encode()

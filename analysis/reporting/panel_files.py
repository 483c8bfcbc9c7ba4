"""A table as files for other programs: Stata, CSV, Parquet, Excel, JSON; the same bytes for the same rows.

Sample data are marked inside each file. What the columns mean comes from the data dictionary.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from analysis.printing.table import SAMPLE
from analysis.reporting.dictionary import IMPUTED
from analysis.reporting.tables import safe_csv

#: Longest name of a variable, and longest label, that Stata takes.
NAME, LABEL = 32, 80
#: Rows below the headings of a sheet of Excel.
ROWS_OF_A_SHEET = 1_048_575
#: A fixed time stamp: the file is to be the same for the same data.
STAMP = datetime.datetime(2000, 1, 1)
_RESERVED = frozenset(
    {"_all", "_b", "_coef", "_cons", "_n", "_N", "_pi", "_pred", "_rc", "_skip", "byte", "double", "float", "if", "in"}
    | {"int", "long", "strL", "using", "with"}
)


def stata(panel: pd.DataFrame, labels: Mapping[str, str], title: str, *, is_sample: bool) -> bytes:
    """The panel as a .dta file of format 118 (Stata 14 and later, UTF-8).

    Parameters
    ----------
    labels
        Column -> what it means, cut to 80 characters; a column whose name had to change says the old one there.
    title
        The file's own label; opens with SAMPLE DATA where the panel is from the sample world.
    """
    names = stata_names(panel.columns)
    frame = panel.rename(columns=names)
    values: dict[Any, dict[float, str]] = {}
    for column, name in names.items():
        if pd.api.types.is_bool_dtype(panel[column]) or panel[column].isin([0, 1]).all():
            frame[name] = panel[column].astype("int8")
            values[name] = {0: "measured", 1: "filled in"} if column.endswith(IMPUTED) else {0: "no", 1: "yes"}
        elif pd.api.types.is_integer_dtype(panel[column]):
            frame[name] = panel[column].astype("int32" if panel[column].abs().max() < 2**31 - 100 else "float64")
        elif not pd.api.types.is_numeric_dtype(panel[column]):
            frame[name] = panel[column].astype(object).where(panel[column].notna(), "")
    changed = {name: f"{column}: " for column, name in names.items() if name != column}
    described = {name: (changed.get(name, "") + labels.get(column, column))[:LABEL] for column, name in names.items()}
    file = io.BytesIO()
    frame.to_stata(
        file,
        write_index=False,
        version=118,
        time_stamp=STAMP,
        data_label=(f"{SAMPLE}: {title}" if is_sample else title)[:LABEL],
        variable_labels=described,
        value_labels=values,
    )
    return file.getvalue()


def stata_names(columns: Collection[str]) -> dict[str, str]:
    """Column -> a name that Stata takes: letters, digits and underscores, 32 at most, no reserved word, each once."""
    names: dict[str, str] = {}
    for column in map(str, columns):
        name = re.sub(r"\W", "_", column)
        name = f"_{name}" if name[:1].isdigit() or not name else name
        name = f"{name}_" if name in _RESERVED or re.fullmatch(r"str\d+", name) else name
        name = _shorter(name) if len(name) > NAME else name
        number = 2
        while name in names.values():
            suffix = f"_{number}"
            name, number = _shorter(name, NAME - len(suffix)) + suffix, number + 1
        names[column] = name
    return names


def _shorter(name: str, longest: int = NAME) -> str:
    """A name cut in its middle where it says what was filled in, else at its end."""
    if name.endswith(IMPUTED):
        return name.removesuffix(IMPUTED)[: longest - len("__imp")] + "__imp"
    return name[:longest]


def csv(panel: pd.DataFrame, *, is_sample: bool) -> str:
    """The panel as CSV; a column ``data`` marks sample rows."""
    return safe_csv(panel.assign(data=SAMPLE) if is_sample else panel)


def parquet(panel: pd.DataFrame, *, is_sample: bool) -> bytes:
    """The panel as Parquet; the file's own metadata mark sample data under the key "data"."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(panel, preserve_index=False)
    mark = {b"data": SAMPLE.encode()} if is_sample else {b"data": b"observed"}
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **mark}), file)
    return file.getvalue()


def excel(table: pd.DataFrame, *, is_sample: bool) -> bytes:
    """The table as .xlsx, whose sheet is called SAMPLE DATA where it is; no text in it runs as a formula.

    Raises
    ------
    ValueError
        More rows than a sheet holds.
    """
    if len(table) > ROWS_OF_A_SHEET:
        raise ValueError(f"{len(table):,} rows are more than a sheet of Excel holds ({ROWS_OF_A_SHEET:,}): use .csv.")
    file = io.BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
    with pd.ExcelWriter(file, engine="xlsxwriter", engine_kwargs={"options": options}) as writer:
        writer.book.set_properties({"created": STAMP})
        table.to_excel(writer, sheet_name=SAMPLE if is_sample else "data", index=False, freeze_panes=(1, 0))
    return file.getvalue()


def json(table: pd.DataFrame, *, is_sample: bool) -> str:
    """One JSON object a row, in an array; a key ``data`` marks sample rows."""
    marked = table.assign(data=SAMPLE) if is_sample else table
    return marked.to_json(orient="records", force_ascii=False, date_format="iso", double_precision=15) + "\n"

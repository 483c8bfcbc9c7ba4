"""A table as files for other programs: Stata, CSV, Parquet, Excel, JSON; the same bytes for the same rows.

Sample data are marked inside each file. What the columns mean comes from the data dictionary.
"""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.io.stata import StataWriterUTF8  # type: ignore[attr-defined]

from analysis.names import TIME, UNIT
from analysis.printing.table import SAMPLE, SAMPLE_NOTE
from analysis.reporting.dictionary import IMPUTED
from analysis.reporting.stata_names import stata_names
from analysis.reporting.tables import safe_csv

#: Column that a panel gets -> column of data/reference/cities.csv.
NAMES = {
    "city_zh": "name_zh",
    "city_en": "name_en",
    "province_zh": "province_zh",
    "province_en": "province_en",
    "region": "region",
}
#: Longest label that Stata takes.
LABEL = 80
#: Rows below the headings of a sheet of Excel.
ROWS_OF_A_SHEET = 1_048_575
#: A fixed time stamp: the file is to be the same for the same data.
STAMP = datetime.datetime(2000, 1, 1)


def named(panel: pd.DataFrame, cities: pd.DataFrame) -> pd.DataFrame:
    """The panel with names of city, province and region after its keys; columns that it has itself stay as they are.

    ``cities`` is data/reference/cities.csv with codes as text. A panel without ``city_code`` is returned as it is.
    """
    if UNIT not in panel.columns:
        return panel
    about = cities.set_index(UNIT)[list(NAMES.values())].rename(columns={old: new for new, old in NAMES.items()})
    joined = about.reindex(panel[UNIT].astype(str)).set_index(panel.index)
    new = joined[[column for column in joined.columns if column not in panel.columns]]
    keys = [column for column in (UNIT, TIME) if column in panel.columns]
    return pd.concat([panel[keys], new, panel.drop(columns=keys)], axis=1)


def stata(
    panel: pd.DataFrame,
    labels: Mapping[str, str],
    title: str,
    *,
    is_sample: bool,
    keys: tuple[str, str] | None = None,
    notes: Sequence[str] = (),
) -> bytes:
    """The panel as a .dta file of format 118 (Stata 14 and later, UTF-8).

    Parameters
    ----------
    labels
        Column -> what it means, cut to 80 characters; a column whose name had to change says the old one there.
    title
        The file's own label; opens with SAMPLE DATA where the panel is from the sample world.
    keys
        Unit and time, which the file is `xtset` to. A unit of text gets a number beside it (``city`` for cities, else
        ``unit``) whose value label is its name.
    notes
        Sentences that Stata's `notes` shows.
    """
    sets: dict[str, str] = {}
    values: dict[Any, dict[float, str]] = {}
    if keys is not None and set(keys) <= set(panel.columns) and pd.api.types.is_integer_dtype(panel[keys[1]]):
        panel, number, called = _numbered(panel, keys[0])
        if called:
            values[number] = called
            labels = {**labels, number: f"{labels.get(keys[0], keys[0])}, as a number for xtset"}
        unit, time = (stata_names(panel.columns)[name] for name in (number, keys[1]))
        sets = {"_TSpanel": unit, "_TStvar": time, "_TSdelta": "+1.0000000000000X+000", "_TSitrvl": "1"}
        sets |= {"iis": unit, "tis": time}
    names = stata_names(panel.columns)
    frame = panel.rename(columns=names)
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
    said = [*([SAMPLE_NOTE] if is_sample else []), *notes]
    sets |= {"note0": str(len(said)), **{f"note{at}": text for at, text in enumerate(said, start=1)}} if said else {}
    file = io.BytesIO()
    writer = _Writer(
        file,
        frame,
        write_index=False,
        version=118,
        time_stamp=STAMP,
        data_label=(f"{SAMPLE}: {title}" if is_sample else title)[:LABEL],
        variable_labels=described,
        value_labels=values,
    )
    writer.characteristics = sets
    writer.write_file()
    return file.getvalue()


class _Writer(StataWriterUTF8):
    """pandas' writer, with characteristics of the data set: what it is xtset to, and its notes.

    Format of .dta 118, section 5.10: the length, the variable (_dta) and the name in 129 bytes each, then the text.
    """

    characteristics: Mapping[str, str]

    def _write_characteristics(self) -> None:
        self._update_map("characteristics")
        written = []
        for name, text in self.characteristics.items():
            content = b"".join(
                [b"_dta".ljust(129, b"\0"), name.encode().ljust(129, b"\0"), text.encode()[:67_000] + b"\0"]
            )
            written.append(b"<ch>" + len(content).to_bytes(4, sys.byteorder) + content + b"</ch>")
        self._write_bytes(self._tag(b"".join(written), "characteristics"))


def _numbered(panel: pd.DataFrame, unit: str) -> tuple[pd.DataFrame, str, dict[float, str]]:
    """The panel with a number for each unit where that is text, the number's column, and what it stands for."""
    if pd.api.types.is_integer_dtype(panel[unit]):
        return panel, unit, {}
    texts = panel[unit].astype(str)
    name = "city" if unit == UNIT else "unit"
    while name in panel.columns:
        name += "_"
    digits = texts.str.fullmatch("[1-9][0-9]{0,8}").all()
    order = {text: at for at, text in enumerate(sorted(texts.unique()), start=1)}
    numbers = texts.astype("int64") if digits else texts.map(order).astype("int64")
    names = panel["city_en"].where(panel["city_en"].notna(), texts) if "city_en" in panel.columns else texts
    one = pd.DataFrame({"number": numbers, "name": names.astype(str), "text": texts}).drop_duplicates("number")
    # romanised names are shared by several cities
    shared = one["name"].duplicated(keep=False) & (one["name"] != one["text"])
    one["name"] = one["name"].where(~shared, one["name"] + " " + one["text"])
    called: dict[float, str] = {int(number): name for number, name in zip(one["number"], one["name"], strict=True)}
    place = list(panel.columns).index(unit) + 1
    columns = list(panel.columns)
    wide = panel.assign(**{name: numbers})[[*columns[:place], name, *columns[place:]]]
    return wide, name, called


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


def excel(table: pd.DataFrame, *, is_sample: bool, about: pd.DataFrame | None = None) -> bytes:
    """The table as .xlsx, whose sheet is called SAMPLE DATA where it is; no text in it runs as a formula.

    ``about`` says what the columns are, on a sheet of its own.

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
        if about is not None:
            about.to_excel(writer, sheet_name="columns", index=False, freeze_panes=(1, 0))
    return file.getvalue()


def json(table: pd.DataFrame, *, is_sample: bool) -> str:
    """One JSON object a row, in an array; a key ``data`` marks sample rows."""
    marked = table.assign(data=SAMPLE) if is_sample else table
    return marked.to_json(orient="records", force_ascii=False, date_format="iso", double_precision=15) + "\n"

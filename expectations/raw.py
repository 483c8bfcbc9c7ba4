"""What must hold of the raw files as they were read: places read once, promises of the contracts kept, nothing shrunk.

The frames are those of dbt/checks/raw_*.sql: one row a file, a column of a contract, a column of a file of records.
"""

from __future__ import annotations

import pandas as pd

from expectations.rules import between, key
from expectations.runner import Rule

FILE_KEYS = ("source", "file")
COLUMN_KEYS = ("source", "indicator")
RECORD_KEYS = ("source", "file", "column")
SOURCE_KEYS = ("source",)
#: Columns without which a record counts for nothing.
NEEDED = ("kind", "filing_date", "ipc", "address", "case_number", "court", "cause", "concluded")


def files() -> list[Rule]:
    """Rules of raw_files: one row a raw file."""
    return [
        key("a file is read once", FILE_KEYS, advice="Two contracts of one source claim it: narrow their patterns."),
        between(
            "no place of a file is read twice",
            "read_twice",
            high=0,
            blocking=True,
            advice="Two tables of the contract claim the same cells: narrow their sheets or headers.",
        ),
        between(
            "a file holds values",
            "cells",
            1,
            advice="Open the file: it is empty, or its sheets and headers are not those of the contract.",
        ),
        between(
            "a file holds what its contract promises",
            "not_as_promised",
            high=0,
            advice="The rejects of this file say which sheet, column or row; correct the file or its contract.",
        ),
        between(
            "no file has the content of another",
            "same_content",
            high=0,
            advice="Take one of them away: every value of the second is set aside as a duplicate.",
        ),
    ]


def columns() -> list[Rule]:
    """Rules of raw_columns: one row an indicator that the contract of a source with files names."""
    return [
        key("an indicator is named once a source", COLUMN_KEYS),
        between(
            "an indicator is in at least one file of its source",
            "files_with_it",
            1,
            advice="No file has a column under the headers of the contract: add the header that these files use.",
            columns=("files",),
        ),
        between(
            "a unit stands with every value",
            "share_without_unit",
            high=0,
            advice="State the unit in the contract, or where in the header it stands.",
        ),
        between(
            "at most half of the cells are marks for no figure",
            "share_blank",
            high=0.5,
            advice="Look into the file: the header may have been matched to an empty column.",
        ),
    ]


def records() -> list[Rule]:
    """Rules of raw_records as `needed` completes it: one row a file of records and column."""
    return [
        key("a column is counted once a file", RECORD_KEYS),
        between(
            "a column that counting needs is there in at least half of the records",
            "share_blank_needed",
            high=0.5,
            blocking=True,
            advice="Without it these records count for no city and year, and counts are too low: export it again.",
        ),
        between(
            "at most one record in twenty leaves a column blank",
            "share_blank",
            high=0.05,
            advice="Records without it are set aside; see the rejects of this file.",
            columns=("records", "blank"),
        ),
    ]


def needed(frame: pd.DataFrame) -> pd.DataFrame:
    """raw_records with ``share_blank_needed``: missing for columns that counting can do without."""
    return frame.assign(share_blank_needed=frame["share_blank"].where(frame["column"].isin(NEEDED)))


def by_source(files: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """Files and cells a source from raw_files, beside those of the last publication (quality.files) if there is one."""
    now = files.groupby("source").agg(files=("file", "size"), cells=("cells", "sum"))
    if published is None:
        return now.reset_index()
    last = published.groupby("source").agg(files_last=("file", "size"), cells_last=("cells", "sum"))
    both = now.join(last, how="outer").fillna({"files": 0, "cells": 0})
    return both.assign(times_last=both["cells"] / both["cells_last"]).reset_index()


def sources(compared: bool) -> list[Rule]:
    """Rules of `by_source`; those about the last publication only where it was ``compared``."""
    found = [key("a source is counted once", SOURCE_KEYS)]
    if compared:
        found.append(
            between(
                "a source has no fewer values than in the last publication",
                "times_last",
                0.99,
                advice="Files were taken away or their columns are no longer found: compare with the files of the last "
                "publication (quality.files).",
                columns=("files", "files_last", "cells", "cells_last"),
            )
        )
    return found

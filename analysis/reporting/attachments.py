"""Files beside a table, for those who want more than is printed: their names and bytes.

What they hold is decided by each kind of exhibit; tables and pictures are written in `tables` and `figures`.
"""

from __future__ import annotations

import io
import re

import pandas as pd

from analysis.printing.table import SAMPLE
from analysis.studies.kinds import KINDS
from analysis.studies.result import ExhibitResult


def attachments(result: ExhibitResult) -> dict[str, tuple[str, pd.DataFrame]]:
    """What the file holds, in a few words -> its name and its rows; empty for most kinds of exhibit.

    A name that ends in .parquet or .csv says how the rows are to be written. Files from sample data say so in a column.
    """
    files = {}
    for label, fitted in result.computed.items():
        for what, suffix, frame in KINDS[result.kind].files(fitted):
            slug = re.sub(r"\W+", "_", f"{label} {what}").strip("_").lower()
            marked = frame.assign(data=SAMPLE) if result.is_sample else frame
            files[f"{what}, {label} ({suffix})"] = (f"{result.exhibit}_{slug}.{suffix}", marked)
    return files


def parquet(frame: pd.DataFrame) -> bytes:
    """The rows as Parquet, the same bytes for the same rows."""
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()

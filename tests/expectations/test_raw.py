"""Each rule of the raw files fails on the row that breaks it, and on no other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations import raw


def files(**changes: dict[int, object]) -> pd.DataFrame:
    """Eight files of two sources without a fault, but for ``column={row: value}``."""
    frame = pd.DataFrame({"source": [*"aaaabbbb"], "file": [f"{n}.xlsx" for n in range(8)], "rows": 9, "cells": 90})
    frame = frame.assign(not_as_promised=0, read_twice=0, same_content=0)
    for column, values in changes.items():
        for row, value in values.items():
            frame.loc[row, column] = value
    return frame


def test_files_as_they_should_be_pass(broken):
    assert broken(files(), raw.files(), raw.FILE_KEYS) == {}


def test_each_fault_of_a_file_breaks_its_own_rule(broken):
    frame = files(
        file={1: "0.xlsx"}, read_twice={2: 3}, cells={3: 0}, not_as_promised={4: 1}, same_content={5: 1, 6: 1}
    )
    assert broken(frame, raw.files(), raw.FILE_KEYS) == {
        "a file is read once": [0, 1],
        "no place of a file is read twice": [2],
        "a file holds values": [3],
        "a file holds what its contract promises": [4],
        "no file has the content of another": [5, 6],
    }


def test_each_fault_of_a_column_breaks_its_own_rule(broken):
    frame = pd.DataFrame({"source": "a", "indicator": [*"vwxyz"], "files": 3, "files_with_it": [3, 0, 3, 3, 1]})
    frame = frame.assign(share_without_unit=[0, np.nan, 0.1, 0, 0], share_blank=[0.5, np.nan, 0, 0.6, 0])
    assert broken(frame, raw.columns(), raw.COLUMN_KEYS) == {
        "an indicator is in at least one file of its source": [1],
        "a unit stands with every value": [2],
        "at most half of the cells are marks for no figure": [3],
    }


def test_a_blank_column_blocks_only_where_counting_needs_it(broken):
    columns = ["application_number", "address", "address", "ipc"]
    frame = pd.DataFrame({"source": "p", "file": [*"abcd"], "column": columns, "records": 100})
    frame = frame.assign(blank=[100, 60, 6, 5], share_blank=[1.0, 0.6, 0.06, 0.05])
    found = broken(raw.needed(frame), raw.records(), raw.RECORD_KEYS)
    assert found == {
        "a column that counting needs is there in at least half of the records": [1],
        "at most one record in twenty leaves a column blank": [0, 1, 2],
    }
    assert [rule.blocking for rule in raw.records()] == [True, True, False]


def test_a_source_that_shrank_or_went_is_seen_and_a_new_one_is_not(broken):
    published = files()
    now = pd.concat([files(cells={0: 80}).iloc[:4], files().iloc[:1].assign(source="new", file="n.xlsx")])
    frame = raw.by_source(now, published)
    found = broken(frame, raw.sources(compared=True), raw.SOURCE_KEYS)
    (rows,) = found.values()
    assert frame.source[rows].tolist() == ["a", "b"]
    assert broken(raw.by_source(published, published), raw.sources(compared=True), raw.SOURCE_KEYS) == {}


def test_without_a_publication_there_is_no_rule_about_it():
    assert len(raw.sources(compared=False)) == 1
    assert "times_last" not in raw.by_source(files(), None)

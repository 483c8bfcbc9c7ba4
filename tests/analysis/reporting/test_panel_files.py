"""A panel for other programs: what it reads back as, under which names, and the same bytes every time."""

import io
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.reporting.panel_files import NAME, csv, parquet, stata, stata_names


@pytest.fixture
def panel() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "city_code": ["110000", "310000"],
            "name_zh": ["北京市", None],
            "year": np.array([2010, 2011], dtype="int64"),
            "adoption": [2011.0, np.nan],
            "did": np.array([0, 1], dtype="int32"),
            "did__imputed": [False, True],
            "a_variable_whose_name_is_longer_than_stata_takes": [0.1, np.nan],
            "log(x)": [-1.5, 2.5],
        }
    )


LABELS = {"did": "试点", "year": "Year", "log(x)": "x" * 100}


def read(content: bytes) -> tuple[pd.DataFrame, pd.io.stata.StataReader]:
    with pd.io.stata.StataReader(io.BytesIO(content)) as reader:
        return reader.read(convert_categoricals=False), reader


def test_stata_reads_back_the_same_values_under_names_it_takes(panel: pd.DataFrame) -> None:
    frame, _ = read(stata(panel, LABELS, "A title", is_sample=False))
    names = stata_names(panel.columns)
    assert list(frame.columns) == list(names.values())
    for column in ("year", "adoption", "did", "did__imputed", "log(x)"):
        np.testing.assert_array_equal(frame[names[column]].astype(float), panel[column].astype(float))
    assert frame["city_code"].tolist() == ["110000", "310000"]
    assert frame["name_zh"].tolist() == ["北京市", ""]


def test_stata_carries_labels_in_utf8_and_the_mark_of_sample_data(panel: pd.DataFrame) -> None:
    content = stata(panel, LABELS, "A title", is_sample=True)
    _, reader = read(content)
    assert content.startswith(b"<stata_dta><header><release>118")
    assert reader.data_label == "SAMPLE DATA: A title"
    labels = reader.variable_labels()
    assert labels["did"] == "试点"
    assert labels["log_x_"].startswith("log(x): xxx")
    assert max(map(len, labels.values())) == 80
    assert reader.value_labels()["did__imputed"] == {0: "measured", 1: "filled in"}
    assert reader.time_stamp == "01 Jan 2000 00:00"
    assert read(stata(panel, LABELS, "A title", is_sample=False))[1].data_label == "A title"
    assert read(stata(panel, LABELS, "long " * 40, is_sample=True))[1].data_label.startswith("SAMPLE DATA: long")


def test_names_are_valid_for_stata_and_differ() -> None:
    long = "x" * 40
    columns = ["a b", "a-b", "1st", "if", "str5", "_all", "对外开放", long, long + "y", f"{long}__imputed", ""]
    names = stata_names(columns)
    assert list(names) == columns
    assert len(set(names.values())) == len(columns)
    for name in names.values():
        assert re.fullmatch(r"[^\W\d]\w*", name), name
        assert len(name) <= NAME
        assert name not in ("if", "_all", "str5")
    assert names["对外开放"] == "对外开放"
    assert names[f"{long}__imputed"].endswith("__imp")


def test_every_file_is_the_same_bytes_for_the_same_rows(panel: pd.DataFrame) -> None:
    for write in (lambda: stata(panel, LABELS, "t", is_sample=True), lambda: parquet(panel, is_sample=True)):
        assert write() == write()


def test_parquet_and_csv_say_that_rows_are_a_sample_and_only_then(panel: pd.DataFrame) -> None:
    file = parquet(panel, is_sample=True)
    assert pq.read_schema(io.BytesIO(file)).metadata[b"data"] == b"SAMPLE DATA"
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(file)), panel)
    assert pq.read_schema(io.BytesIO(parquet(panel, is_sample=False))).metadata[b"data"] == b"observed"
    assert set(pd.read_csv(io.StringIO(csv(panel, is_sample=True)))["data"]) == {"SAMPLE DATA"}
    assert "SAMPLE" not in csv(panel, is_sample=False)


def test_numbers_of_a_csv_keep_their_minus_and_texts_cannot_run(panel: pd.DataFrame) -> None:
    frame = pd.read_csv(io.StringIO(csv(panel.assign(note="=1+1"), is_sample=False)))
    assert frame["log(x)"].tolist() == [-1.5, 2.5]
    assert frame["note"].tolist() == ["'=1+1", "'=1+1"]

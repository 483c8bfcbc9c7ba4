"""A panel for other programs: what it reads back as, under which names, and the same bytes every time."""

import io
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.reporting.panel_files import csv, named, parquet, stata
from analysis.reporting.stata_names import NAME, stata_names


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


CITIES = pd.DataFrame(
    {
        "city_code": ["110000", "310000"],
        "name_zh": ["北京市", "上海市"],
        "name_en": ["Beijing", "Beijing"],
        "province_zh": ["北京市", "上海市"],
        "province_en": ["Beijing", "Shanghai"],
        "region": ["east", "east"],
    }
)


def characteristics(content: bytes) -> dict[str, str]:
    """Name -> text of what a .dta says of the data set as a whole."""
    found = {}
    body = content[content.index(b"<characteristics>") : content.index(b"</characteristics>")]
    for part in body.split(b"<ch>")[1:]:
        length = int.from_bytes(part[:4], "little")
        inside = part[4 : 4 + length]
        assert inside[:5] == b"_dta\0"
        found[inside[129:258].rstrip(b"\0").decode()] = inside[258:].rstrip(b"\0").decode()
    return found


def test_a_panel_gets_names_after_its_keys_and_keeps_its_own_columns(panel: pd.DataFrame) -> None:
    wide = named(panel.assign(region="own"), CITIES)
    assert list(wide.columns[:6]) == ["city_code", "year", "city_zh", "city_en", "province_zh", "province_en"]
    assert wide["city_zh"].tolist() == ["北京市", "上海市"] and set(wide["region"]) == {"own"}
    pd.testing.assert_frame_equal(named(panel.drop(columns="city_code"), CITIES), panel.drop(columns="city_code"))


def test_stata_opens_the_panel_set_to_city_and_year_with_its_notes(panel: pd.DataFrame) -> None:
    wide = named(panel, CITIES)
    content = stata(wide, LABELS, "t", is_sample=True, keys=("city_code", "year"), notes=("Publication 3.", "甲"))
    frame, reader = read(content)
    assert frame["city"].tolist() == [110000, 310000]
    # a name that two cities share is told apart
    assert reader.value_labels()["city"] == {110000: "Beijing 110000", 310000: "Beijing 310000"}
    said = characteristics(content)
    assert (said["_TSpanel"], said["_TStvar"], said["iis"], said["tis"]) == ("city", "year", "city", "year")
    assert said["note0"] == "3" and said["note1"].startswith("SAMPLE DATA") and said["note3"] == "甲"
    assert content == stata(
        wide, LABELS, "t", is_sample=True, keys=("city_code", "year"), notes=("Publication 3.", "甲")
    )


def test_other_software_reads_a_panel_with_characteristics(panel: pd.DataFrame, tmp_path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    (tmp_path / "t.dta").write_bytes(
        stata(panel, LABELS, "t", is_sample=True, keys=("city_code", "year"), notes=("a",))
    )
    frame, about = pyreadstat.read_dta(str(tmp_path / "t.dta"))
    assert frame["city"].tolist() == [110000, 310000]
    assert about.notes[-1] == "a"

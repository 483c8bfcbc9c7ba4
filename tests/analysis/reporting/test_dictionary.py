"""The data dictionary: a row for every column, what was counted, where values come from, and what is made of it."""

import numpy as np
import pandas as pd
import pytest

from analysis import catalogue
from analysis.reporting.dictionary import Origin, comments, complete, descriptor

FORMULAS = pd.DataFrame(
    [
        ("panel", "trade_share", "formula", "trade / gdp"),
        ("panel", "financial_depth", "formula", "stock / gdp"),
        ("intermediate", "stock", "formula", "0.9 * stock[-1] + loans"),
        ("intermediate", "green", "records", "patents"),
        ("panel", "green_patents_granted", "formula", "green"),
        ("intermediate", "rate", "committed", "data/reference/rate.csv"),
        ("panel", "fdi_share", "formula", "rate * fdi"),
    ],
    columns=["layer", "name", "kind", "formula"],
)
ORIGIN = Origin(
    formulas=FORMULAS,
    sources={"trade": ["yearbook"], "gdp": ["yearbook", "other"], "loans": ["bank"], "patents": ["office"]},
    publishers={"yearbook": "Statistics", "bank": "A bank", "other": "Statistics"},
    columns=catalogue.load().columns,
)
BASE = pd.DataFrame(
    {
        "study": ["trial"] * 2,
        "position": [1, 2],
        "column_name": ["y", "x"],
        "label_en": ["Own label", None],
        "log": [False] * 2,
    }
)


@pytest.fixture(scope="module")
def dictionary(study, panel) -> pd.DataFrame:
    world = pd.DataFrame({"city_code": ["110000"] * 2, "year": [2001, 2002], "trade_share": [0.5, None]})
    return complete(BASE, {"city_year": world, "trial": panel}, [study], ORIGIN, is_sample=True)


def row(dictionary: pd.DataFrame, panel: str, column: str) -> pd.Series:
    return dictionary[(dictionary["study"] == panel) & (dictionary["column_name"] == column)].iloc[0]


def test_every_column_of_every_panel_has_one_row_with_label_definition_and_unit(dictionary, panel) -> None:
    own = dictionary[dictionary["study"] == "trial"]
    assert own["column_name"].tolist() == list(panel.columns)
    assert not dictionary.duplicated(["study", "column_name"]).any()
    assert (dictionary[["label_en", "label_zh", "definition", "unit"]] != "").all(axis=None)
    assert list(dictionary.columns[: len(BASE.columns)]) == list(BASE.columns)


def test_what_the_dbt_model_says_is_kept(dictionary) -> None:
    assert row(dictionary, "trial", "y")["label_en"] == "Own label"
    assert row(dictionary, "trial", "x")["position"] == 2
    assert row(dictionary, "trial", "y")["label_zh"] == "结果"


def test_values_are_counted_and_their_range_is_that_of_the_panel(dictionary, panel) -> None:
    x = row(dictionary, "trial", "x")
    assert (x["rows"], x["values"], x["imputed"]) == (160, 160, 20)
    assert x["share_imputed"] == 20 / 160
    assert (x["minimum"], x["maximum"]) == (panel["x"].min(), panel["x"].max())
    assert x["mean"] == pytest.approx(panel["x"].mean(), rel=1e-12)
    code = row(dictionary, "trial", "city_code")
    assert code[["minimum", "mean", "maximum"]].isna().all()
    assert pd.isna(row(dictionary, "trial", "y")["imputed"])
    assert row(dictionary, "city_year", "trade_share")["values"] == 1


def test_sources_are_found_through_the_formulas_down_to_the_contracts(dictionary) -> None:
    assert row(dictionary, "trial", "y")["sources"] == "other; yearbook"
    assert row(dictionary, "trial", "x")["sources"] == "bank; other; yearbook"
    assert row(dictionary, "trial", "y")["publishers"] == "Statistics"
    assert ORIGIN.of("green_patents_granted") == ("office",)
    assert ORIGIN.of("fdi_share") == ("data/reference/rate.csv",)
    assert row(dictionary, "trial", "adoption")["sources"] == "data/policies/pilots.csv"


def test_a_definition_says_what_was_done_to_the_values(study, panel, dictionary) -> None:
    assert row(dictionary, "trial", "y")["definition"] == "Imports and exports over GDP."
    assert row(dictionary, "trial", "x__imputed")["definition"] == "Whether x was filled in."
    made = "1 from the first treated year on (to the last, where the list says one), else 0."
    assert row(dictionary, "trial", "did")["definition"] == made


def test_completing_twice_changes_nothing(study, panel, dictionary) -> None:
    world = pd.DataFrame({"city_code": ["110000"] * 2, "year": [2001, 2002], "trade_share": [0.5, None]})
    again = complete(dictionary, {"city_year": world, "trial": panel}, [study], ORIGIN, is_sample=True)
    pd.testing.assert_frame_equal(again, dictionary)


def test_a_comment_is_one_line_with_both_labels_and_the_mark_of_sample_data(dictionary) -> None:
    said = comments(dictionary)
    assert said["city_year", "trade_share"] == (
        "SAMPLE DATA. Imports and exports / GDP / 进出口总额/地区生产总值 [ratio]. Imports and exports over GDP."
    )
    assert len(said) == len(dictionary)
    assert not any("\n" in text for text in said.values())
    assert not any("SAMPLE" in text for text in comments(dictionary.assign(is_sample=False)).values())


def test_the_descriptor_lists_every_table_with_hash_types_and_meanings(dictionary) -> None:
    tables = {
        "panels/trial.parquet": ([("city_code", "string"), ("year", "integer"), ("y", "number")], 10, "ab"),
        "estimates/estimates.parquet": ([("study", "string")], 20, "cd"),
    }
    package = descriptor(dictionary, tables, {"version": "7", "is_sample": True})
    assert "SAMPLE DATA" in package["title"]
    assert [resource["name"] for resource in package["resources"]] == ["estimates.estimates", "panels.trial"]
    trial = package["resources"][1]
    assert (trial["bytes"], trial["hash"]) == (10, "sha256:ab")
    assert trial["schema"]["primaryKey"] == ["city_code", "year"]
    assert trial["schema"]["fields"][2]["title"] == "Own label"
    assert trial["schema"]["fields"][2]["unit"] == "ratio"
    assert "primaryKey" not in package["resources"][0]["schema"]
    assert "SAMPLE" not in str(descriptor(dictionary, tables, {"version": "7", "is_sample": False}))


def test_a_panel_without_sources_or_values_still_has_its_rows(study, panel) -> None:
    bare = complete(BASE, {"trial": panel.assign(y=np.nan)}, [study], Origin(), is_sample=False)
    assert row(bare, "trial", "y")["values"] == 0
    assert row(bare, "trial", "y")["sources"] == ""
    assert np.isnan(row(bare, "trial", "y")["mean"])

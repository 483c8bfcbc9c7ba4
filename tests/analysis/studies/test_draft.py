"""Drafts from files of assembled panels: what is guessed, what is said to be unsure; they run as they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.panel_from_file import assemble
from analysis.studies import spec
from analysis.studies.draft import Draft
from analysis.studies.new import study_of_file
from analysis.studies.run import run_study


@pytest.fixture(scope="module")
def names() -> spec.Known:
    return spec.known()


def panel(units: int = 40, years: range = range(2008, 2018)) -> pd.DataFrame:
    """A panel with an outcome y, a control x, a trend that all share, and a treatment of two cohorts."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame([(unit, year) for unit in range(1, units + 1) for year in years], columns=["id", "year"])
    began = frame["id"].map(lambda unit: 2012 if unit % 4 == 1 else 2014 if unit % 4 == 2 else 0)
    frame["did"] = ((began > 0) & (frame["year"] >= began)).astype(int)
    frame["post"] = (frame["year"] >= 2012).astype(int)
    frame["treat"] = (began > 0).astype(int)
    frame["began"] = began
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = frame["id"] / 10 + frame["did"] + rng.normal(size=len(frame)) / 5
    return frame


def drafted(root: Path, names: spec.Known, frame: pd.DataFrame, file: str = "panel.dta", **stata: object) -> Draft:
    """The draft of a panel, which must give a study whose every table and figure can be computed."""
    path = root / file
    writers = {
        ".dta": lambda: frame.to_stata(path, write_index=False, version=118, **stata),
        ".csv": lambda: frame.to_csv(path, index=False),
        ".xlsx": lambda: frame.to_excel(path, index=False, engine="xlsxwriter"),
    }
    writers[path.suffix]()
    written, draft = study_of_file("thesis", root / "own", path, names)
    study = spec.load(written, names)
    made = assemble(study, names.places)
    results = run_study(study, made.panel, is_sample=False)
    effect = results["table_2"].estimates.set_index("term")["estimate"][study.treatment]
    assert abs(effect - 1) < 0.3
    assert (results["table_4"].estimates["status"] == "ok").any()
    return draft


def keys(draft: Draft) -> tuple[str, str, str | None, str]:
    return draft.unit, draft.time, draft.treatment or draft.adoption, draft.outcome


def test_usual_names_are_found_and_neither_the_group_nor_the_period_is_the_treatment(tmp_path, names) -> None:
    draft = drafted(tmp_path, names, panel())
    assert keys(draft) == ("id", "year", "did", "y")
    assert draft.unsure == ()
    assert draft.candidates == ("x",)


def test_names_in_chinese_with_spaces_and_signs_are_found(tmp_path, names) -> None:
    renamed = {"id": "城市代码", "year": "年份", "did": "试点 (0/1)", "x": "人均 GDP", "y": "被解释变量: 碳排放"}
    draft = drafted(tmp_path, names, panel().rename(columns=renamed).drop(columns=["post", "treat", "began"]), "p.xlsx")
    assert keys(draft) == ("城市代码", "年份", "试点 (0/1)", "被解释变量: 碳排放")


def test_numbered_cities_with_value_labels_are_cities(tmp_path, names) -> None:
    cities = pd.read_csv(spec.DATA / "reference" / "cities.csv", dtype=str)["name_zh"].head(40)
    draft = drafted(tmp_path, names, panel(), value_labels={"id": dict(enumerate(cities, start=1))})
    assert draft.unit == "id"
    assert "40 units are cities of China" in draft.facts


def test_labels_tell_where_names_do_not(tmp_path, names) -> None:
    frame = panel().rename(columns={"did": "v3", "y": "v8"})[["id", "year", "v3", "x", "v8"]]
    draft = drafted(tmp_path, names, frame, variable_labels={"v3": "双重差分", "v8": "被解释变量"})
    assert keys(draft) == ("id", "year", "v3", "v8")


def test_a_year_of_adoption_stands_in_where_no_column_of_0_and_1_begins(tmp_path, names) -> None:
    frame = panel().drop(columns=["did"]).rename(columns={"began": "pilot_year"})
    draft = drafted(tmp_path, names, frame)
    assert (draft.treatment, draft.adoption) == (None, "pilot_year")


def test_forty_columns_with_gaps_and_a_gap_in_the_outcome_are_no_obstacle(tmp_path, names) -> None:
    frame = panel()
    rng = np.random.default_rng(2)
    for number in range(33):
        frame[f"control {number}"] = np.where(rng.random(len(frame)) < 0.1, np.nan, rng.normal(size=len(frame)))
    frame.loc[rng.random(len(frame)) < 0.2, "y"] = np.nan
    draft = drafted(tmp_path, names, frame, "panel.csv")
    assert keys(draft) == ("id", "year", "did", "y")
    assert len(draft.candidates) == 34


def test_columns_that_cannot_be_variables_are_left_out_with_the_reason(tmp_path, names) -> None:
    frame = panel().assign(Y=lambda rows: rows["y"] * 2, dirty=lambda rows: rows["x"].astype(str))
    frame.loc[3, "dirty"] = "see note"
    draft = drafted(tmp_path, names, frame, "panel.csv")
    assert set(draft.left_out) == {"Y", "dirty"}
    assert draft.left_out["dirty"].startswith("panel.csv, row 5, column 'dirty': 'see note' is no number")


def test_what_could_be_meant_as_well_is_said(tmp_path, names) -> None:
    frame = panel().rename(columns={"y": "emission"}).assign(did2=lambda rows: rows["did"] * (rows["id"] < 20))
    draft = drafted(tmp_path, names, frame[["id", "year", "emission", "x", "did", "did2"]])
    assert keys(draft) == ("id", "year", "did", "emission")
    assert draft.unsure == (
        "the treatment is 'did'; 'did2' could be one as well.",
        "the outcome is 'emission', the first column of numbers that change over time; name the one the study is "
        "about.",
    )


def test_a_thesis_as_somebody_left_it_is_a_study_as_it_stands(tmp_path, names, cases) -> None:
    path = cases("strangers/毕业论文数据.dta")
    written, draft = study_of_file("thesis", tmp_path / "own", path, names)
    assert keys(draft) == ("city_id", "year", "did", "debt")
    study = spec.load(written, names)
    made = assemble(study, names.places)
    assert (len(made.panel), made.panel["did"].sum(), study.units.en) == (3120, 737, "cities")
    stated = pd.read_stata(path).groupby("city_id")["event_year"].first()
    assert made.panel.groupby("city_id")["adoption"].first().fillna(0).tolist() == stated.tolist()


REFUSED = {
    "no years": (lambda f: f.drop(columns=["year", "began"]), "no column holds years"),
    "rows twice": (
        lambda f: pd.concat([f, f.head(3)]).drop(columns=["began"]),
        "no column tells the rows of one 'year' apart; 'id' comes closest, but 1 stands twice in one period (3 such "
        "rows), first in row 402.",
    ),
    "no treatment": (lambda f: f.drop(columns=["did", "began"]), "no column can be the treatment"),
    "an ending treatment": (
        lambda f: f.assign(did=f["did"] * (f["year"] < 2016)).drop(columns="began"),
        "'did' begins and ends again, which estimators here do not take",
    ),
    "nothing to explain": (lambda f: f[["id", "year", "did"]], "is left to be the outcome"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_file_that_is_no_panel_is_refused_in_a_sentence_and_nothing_is_written(tmp_path, names, fault) -> None:
    change, expected = REFUSED[fault]
    path = tmp_path / "panel.csv"
    change(panel()).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"^panel\.csv: ") as error:
        study_of_file("thesis", tmp_path / "own", path, names)
    assert expected in str(error.value)
    assert not list((tmp_path / "own").rglob("*.*"))


def test_another_file_of_the_same_name_is_not_written_over(tmp_path, names) -> None:
    drafted(tmp_path, names, panel())
    panel(units=44).to_stata(tmp_path / "panel.dta", write_index=False)
    with pytest.raises(ValueError, match="is another file of that name"):
        study_of_file("other", tmp_path / "own", tmp_path / "panel.dta", names)

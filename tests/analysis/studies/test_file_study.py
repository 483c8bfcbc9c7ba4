"""A study whose panel comes from a file: any unit, any kind of file, and a sentence for each thing that is wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from analysis.panel_from_file import assemble
from analysis.studies import spec
from analysis.studies.file_panel import keyed
from analysis.studies.records import Study
from analysis.studies.run import run_exhibit

UNITS, YEARS = 12, range(2010, 2018)


@pytest.fixture(scope="module")
def names() -> spec.Known:
    return spec.known()


def counties() -> pd.DataFrame:
    """Counties 1 to 12, the first six treated in 2014 with an effect of 2 on y; x is noise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([(unit, year) for unit in range(1, UNITS + 1) for year in YEARS], columns=["county", "year"])
    frame["did"] = ((frame["county"] <= 6) & (frame["year"] >= 2014)).astype(int)
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = frame["county"] + 2.0 * frame["did"] + 0.1 * rng.normal(size=len(frame))
    return frame


def write(frame: pd.DataFrame, path: Path, **stata: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".parquet": lambda: frame.to_parquet(path, index=False),
        ".dta": lambda: frame.to_stata(path, write_index=False, **stata),
        ".xlsx": lambda: frame.to_excel(path, index=False, engine="xlsxwriter"),
        ".sav": lambda: pyreadstat.write_sav(frame, path),
    }
    writers[path.suffix]()
    return path


def study(root: Path, names: spec.Known, **lines: str) -> Study:
    """The study of a YAML in an own folder; lines replace or add top-level keys."""
    stated = {
        "study": "counties",
        "title": "Counties",
        "panel": "{file: panels/counties.csv, unit: county, time: year, treatment: did}",
        "variables": "all",
        "outcomes": "[y]",
        "exhibits": "standard",
        **lines,
    }
    path = root / "studies" / "counties.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"{key}: {value}" for key, value in stated.items() if value)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return spec.load(path, names)


def refused(root: Path, names: spec.Known, frame: pd.DataFrame, **lines: str) -> str:
    """The sentence for a panel that cannot be made."""
    write(frame, root / "panels" / "counties.csv")
    with pytest.raises(ValueError, match=r"\w") as error:
        assemble(study(root, names, **lines), names.places)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".dta", ".sav"])
def test_each_kind_of_file_gives_the_same_panel_under_the_files_own_names(tmp_path, names, suffix) -> None:
    frame = counties()
    write(frame, tmp_path / "panels" / f"counties{suffix}")
    declared = f"{{file: panels/counties{suffix}, unit: county, time: year, treatment: did}}"
    made = assemble(study(tmp_path, names, panel=declared), names.places)
    pd.testing.assert_frame_equal(
        made.panel[["county", "year", "did"]], frame[["county", "year", "did"]], check_dtype=False
    )
    assert made.panel["y"].to_numpy() == pytest.approx(frame["y"].to_numpy())
    assert made.panel.groupby("county")["adoption"].first().dropna().tolist() == [2014.0] * 6
    assert made.rows["file_row"].tolist() == [row + (1 if suffix == ".parquet" else 2) for row in range(len(frame))]
    assert made.notes == ()


@pytest.mark.parametrize("version", [114, 117, 118, 119])
def test_stata_files_of_any_age_keep_labels_and_numbers_behind_value_labels(tmp_path, names, version) -> None:
    frame = counties().rename(columns={"y": "收入"} if version > 117 else {})
    outcome = "收入" if version > 117 else "y"
    words = {"x": "Cultivated land, 千公顷" if version > 117 else "Cultivated land"}
    towns = {code: f"县{code}" if version > 117 else f"county {code}" for code in range(1, UNITS + 1)}
    path = tmp_path / "panels" / "counties.dta"
    write(frame, path, version=version, variable_labels=words, value_labels={"county": towns})
    declared = "{file: panels/counties.dta, unit: county, time: year, treatment: did}"
    found = study(tmp_path, names, panel=declared, outcomes=f"[{outcome}]")
    assert found.label("x").en == words["x"]
    assert assemble(found, names.places).panel["county"].tolist() == frame["county"].tolist()


def test_text_of_old_stata_files_is_read_as_gb18030_where_it_is_no_utf_8(tmp_path, names) -> None:
    def stored(text: str) -> str:
        return text.encode("gb18030").decode("latin-1")

    frame = counties().assign(town=lambda rows: rows["county"].map(lambda county: stored(f"县{county}")))
    write(frame, tmp_path / "panels" / "counties.dta", version=114, variable_labels={"x": stored("耕地面积")})
    declared = "{file: panels/counties.dta, unit: county, time: year, treatment: did}"
    found = study(tmp_path, names, panel=declared, cluster="town")
    assert found.label("x").zh == "耕地面积"
    assert set(assemble(found, names.places).panel["town"]) == {f"县{county}" for county in range(1, UNITS + 1)}


def test_units_that_are_cities_get_their_attributes_by_code_by_name_and_by_value_label(tmp_path, names) -> None:
    cities = pd.read_csv(spec.DATA / "reference" / "cities.csv", dtype=str).head(UNITS)
    by_code = dict(enumerate(cities["city_code"].astype(int), start=1))
    by_name = dict(enumerate(cities["name_zh"].str.removesuffix("市"), start=1))
    for number, units in enumerate((by_code, by_name, None)):
        frame = counties()
        root = tmp_path / str(number)
        if units:
            frame["county"] = frame["county"].map(units)
        write(
            frame,
            root / "panels" / "counties.dta",
            version=118,
            **({} if units else {"value_labels": {"county": by_name}}),
        )
        declared = "{file: panels/counties.dta, unit: county, time: year, treatment: did}"
        found = study(root, names, panel=declared, cluster="province_code")
        panel = keyed(found, assemble(found, names.places).panel)
        assert set(panel["city_code"]) == set(cities["city_code"])
        assert found.units.en == "cities"


def test_units_that_are_no_cities_have_no_attributes_of_cities(tmp_path, names) -> None:
    said = refused(tmp_path, names, counties(), cluster="province_code")
    assert said.startswith("counties.yaml, line 7, key 'cluster': 'province_code' is not 'unit', 'time'")


def test_codes_with_zeros_in_front_stay_what_they_are(tmp_path, names) -> None:
    frame = counties()
    frame["county"] = frame["county"].map(lambda unit: f"{unit:06d}")
    write(frame, tmp_path / "panels" / "counties.csv")
    panel = assemble(study(tmp_path, names), names.places).panel
    assert panel["county"].iloc[0] == "000001"


def test_a_column_called_like_a_key_of_cities_is_used_as_the_files_own(tmp_path, names) -> None:
    frame = counties().assign(city_code=lambda rows: rows["county"] % 4)
    write(frame, tmp_path / "panels" / "counties.csv")
    found = study(tmp_path, names, cluster="city_code", controls="[x]")
    made = assemble(found, names.places)
    assert made.panel["city_code"].tolist() == frame["city_code"].tolist()
    table = run_exhibit(found, "table_2", made.panel, is_sample=False).models["(2)"]
    assert table.clusters == 4


def test_effects_and_clusters_may_name_the_files_key_columns(tmp_path, names) -> None:
    write(counties(), tmp_path / "panels" / "counties.csv")
    found = study(tmp_path, names, fixed_effects="[county, year]", cluster="county")
    assert (found.fixed_effects, found.cluster) == (("unit", "time"), ("unit",))


def test_a_column_of_the_file_called_adoption_gives_way_to_the_panels_own(tmp_path, names) -> None:
    write(counties().assign(adoption=7.5), tmp_path / "panels" / "counties.csv")
    found = study(tmp_path, names)
    panel = assemble(found, names.places).panel
    assert set(panel["adoption"].dropna()) == {2014.0}
    assert set(keyed(found, panel)["adoption"].dropna()) == {2014.0}


def test_every_name_of_a_column_is_taken_as_it_is(tmp_path, names) -> None:
    renamed = {"county": "县 (code)", "year": "年份", "did": "did 1", "x": "log(人均GDP)", "y": "y: 万元"}
    write(counties().rename(columns=renamed), tmp_path / "panels" / "counties.csv")
    declared = "{file: panels/counties.csv, unit: 县 (code), time: 年份, treatment: did 1}"
    found = study(tmp_path, names, panel=declared, outcomes="['y: 万元']", controls="['log(人均GDP)']")
    made = assemble(found, names.places)
    assert list(made.panel.columns) == ["县 (code)", "年份", "adoption", "did 1", "log(人均GDP)", "y: 万元"]
    for exhibit in found.exhibits:
        result = run_exhibit(found, exhibit.name, made.panel, is_sample=False)
        assert not result.estimates.empty
    effect = run_exhibit(found, "table_2", made.panel, is_sample=False).models["(1)"].table.loc["did 1", "estimate"]
    assert effect == pytest.approx(2.0, abs=0.2)


def test_years_of_adoption_say_never_by_blank_by_zero_and_by_a_year_after_the_sample(tmp_path, names) -> None:
    frame = counties()
    began = {**dict.fromkeys(range(1, 7), 2014), 7: 0, 8: 2050}
    frame["began"] = frame["county"].map(began)
    write(frame.drop(columns="did"), tmp_path / "panels" / "counties.csv")
    declared = "{file: panels/counties.csv, unit: county, time: year, adoption: began}"
    panel = assemble(study(tmp_path, names, panel=declared), names.places).panel
    assert panel["treated"].tolist() == frame["did"].tolist()
    assert panel.loc[panel["county"] > 6, "adoption"].isna().all()


def test_years_may_be_dates_or_text(tmp_path, names) -> None:
    for number, years in enumerate((lambda y: f"{y}年", lambda y: pd.Timestamp(y, 12, 31))):
        frame = counties()
        frame["year"] = frame["year"].map(years)
        root = tmp_path / str(number)
        write(frame, root / "panels" / "counties.xlsx")
        declared = "{file: panels/counties.xlsx, unit: county, time: year, treatment: did}"
        panel = assemble(study(root, names, panel=declared), names.places).panel
        assert sorted(set(panel["year"])) == list(YEARS)


def test_rows_without_key_or_treatment_are_set_aside_by_their_row_in_the_file(tmp_path, names) -> None:
    frame = counties().astype({"did": float, "county": float})
    frame.loc[3, "did"] = np.nan
    frame.loc[5, "county"] = np.nan
    write(frame, tmp_path / "panels" / "counties.csv")
    made = assemble(study(tmp_path, names), names.places)
    assert made.aside[["rule", "row", "column"]].to_numpy().tolist() == [
        ["no_key", 7, "county"],
        ["no_treatment", 5, "did"],
    ]
    assert len(made.panel) == len(frame) - 2
    assert "2 of 96 rows of counties.csv are set aside" in made.notes[0]


def test_values_are_filled_logged_and_winsorised_as_the_list_of_variables_says(tmp_path, names) -> None:
    frame = counties().assign(x=lambda rows: rows["year"] - 2005.0)
    frame.loc[2, "x"] = np.nan
    write(frame, tmp_path / "panels" / "counties.csv")
    listed = "[y, {name: ln_x, from: x, log: true, interpolate: linear}, {name: cut, from: x, winsorize: [0.05, 0.95]}]"
    panel = assemble(study(tmp_path, names, variables=listed), names.places).panel
    assert panel.loc[2, "ln_x"] == pytest.approx(np.log(7.0))
    assert panel["ln_x__imputed"].tolist().index(True) == 2
    assert panel["cut"].isna().sum() == 1
    assert "x" not in panel.columns


def test_a_treatment_that_ends_is_refused_and_its_units_can_be_left_out(tmp_path, names) -> None:
    frame = counties()
    frame.loc[(frame["county"] == 3) & (frame["year"] == 2016), "did"] = 0
    said = refused(tmp_path, names, frame)
    assert said.startswith(
        "counties.csv, row 24, column 'did': the treatment of county 3 began in 2014 and is 0 again in 2016"
    )
    made = assemble(study(tmp_path, names, sample="{exclude: [3]}"), names.places)
    assert 3 not in set(made.panel["county"])


FAULTS = {
    "a pair twice": (
        lambda f: pd.concat([f, f.iloc[[4]]]),
        "counties.csv, row 98: county 1 and year 2014 stand in row 6 already (1 such rows)",
    ),
    "a treatment that is neither": (
        lambda f: f.assign(did=f["did"] * 2),
        "counties.csv, row 6, column 'did': the treatment is 2, neither 0 nor 1; give 0 or 1.",
    ),
    "a treatment that is a year": (
        lambda f: f.assign(did=f["did"] * 2014),
        "counties.csv, row 6, column 'did': the treatment is 2014, neither 0 nor 1; it looks like a year of adoption",
    ),
    "text for a number": (
        lambda f: f.assign(y=["n.a.?", *f["y"].astype(str)[1:]]),
        "counties.csv, row 2, column 'y': 'n.a.?' is no number; correct it or leave it blank.",
    ),
    "text for the treatment": (
        lambda f: f.assign(did=[*f["did"].astype(str)[:-1], "yes"]),
        "counties.csv, row 97, column 'did': 'yes' is no number",
    ),
    "no year": (
        lambda f: f.assign(year=[*f["year"][:-1], 2017.5]),
        "counties.yaml, line 3, key 'panel.time': counties.csv, row 97, column 'year': 2017.5 is no year",
    ),
    "months": (
        lambda f: f.assign(year=f["year"] * 100 + 1),
        "counties.yaml, line 3, key 'panel.time': counties.csv, column 'year': 201001 and the others are months",
    ),
    "no time column": (
        lambda f: f.drop(columns="year"),
        "counties.yaml, line 3, key 'panel.time': 'year' is no column of counties.csv",
    ),
    "another unit column": (
        lambda f: f.rename(columns={"county": "countyid"}),
        "counties.yaml, line 3, key 'panel.unit': 'county' is no column of counties.csv, which `unit` should be; the "
        "nearest is 'countyid'",
    ),
    "nobody treated": (lambda f: f.assign(did=0), "counties.csv: no row in the sample is treated by 'did'"),
    "two names alike": (
        lambda f: f.assign(Y=1.0),
        "counties.csv: the columns 'y' and 'Y' differ in capitals alone",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_make_numbers_wrong_is_refused_in_one_sentence_that_says_where(tmp_path, names, fault) -> None:
    change, expected = FAULTS[fault]
    assert refused(tmp_path, names, change(counties())).startswith(expected)


WORDS = {
    "an outcome": (
        {"outcomes": "[yy]"},
        "key 'outcomes[1]': 'yy' is not a variable of this study; the nearest is 'y'.",
    ),
    "a variable": (
        {"variables": "[y, z]"},
        "key 'variables[2]': 'z' is not a column of numbers in the panel's file",
    ),
    "a key": ({"panle": "x"}, "'panle' is not a key that is known here; the nearest is 'panel'."),
    "a policy": ({"policy": "smart_city"}, "a study from a file does not have this key"),
    "both": (
        {"panel": "{file: panels/counties.csv, unit: county, time: year, treatment: did, adoption: x}"},
        "key 'panel': a panel needs either `treatment`",
    ),
    "outside": (
        {"panel": "{file: ../counties.csv, unit: county, time: year, treatment: did}"},
        "key 'panel.file': '../counties.csv' lies outside the own folder",
    ),
    "no such file": (
        {"panel": "{file: panels/none.csv, unit: county, time: year, treatment: did}"},
        "key 'panel.file': There is no file",
    ),
    "another word": (
        {"exhibits": "usual"},
        "key 'exhibits': expected the study's tables and figures, 'standard' or 'referee'",
    ),
}


@pytest.mark.parametrize("fault", WORDS)
def test_a_word_that_the_file_does_not_have_is_told_with_line_and_key(tmp_path, names, fault) -> None:
    lines, expected = WORDS[fault]
    said = refused(tmp_path, names, counties(), **lines)
    assert said.startswith("counties.yaml, line ")
    assert expected in said


def test_the_standard_exhibits_follow_from_outcomes_and_controls(tmp_path, names) -> None:
    write(counties(), tmp_path / "panels" / "counties.csv")
    kinds = [exhibit.kind for exhibit in study(tmp_path, names, controls="[x]").exhibits]
    assert kinds == ["descriptive", "regression", "event_study", "placebo", "bacon", "estimators"]
    (alone,) = study(tmp_path, names).exhibit("table_2").models
    assert alone.controls == ()
    bare, full = study(tmp_path, names, controls="[x]").exhibit("table_2").models
    assert (bare.controls, full.controls) == ((), ("x",))

"""A study begun from the template: what is written, which names it takes, and that it can be computed as it stands."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.studies.new import TARGETS, new_study
from analysis.studies.policies import rows as policy_rows
from analysis.studies.policies import scopes
from analysis.studies.run import run_study
from analysis.studies.spec import DATA, known, load


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with its lists and reference files, and no studies."""
    for name in ("policies", "reference"):
        shutil.copytree(DATA / name, tmp_path / "data" / name)
    return tmp_path


def test_a_new_study_is_two_files_that_name_it_and_can_be_read_at_once(root: Path) -> None:
    written = new_study("carbon_market", root / "data")
    assert [path.relative_to(root / "data").as_posix() for path in written] == [
        target.format(name="carbon_market") for target in TARGETS.values()
    ]
    assert not any("NEW_" in path.read_text(encoding="utf-8") for path in written)
    study = load(written[0], known(root / "data"))
    assert (study.name, study.policy, study.title.en) == ("carbon_market", "carbon_market", "Carbon market")
    assert {exhibit.kind for exhibit in study.exhibits} >= {"descriptive", "regression", "event_study", "estimators"}


def test_every_table_and_figure_of_a_new_study_is_computed(root: Path) -> None:
    study = load(new_study("carbon_market", root / "data")[0], known(root / "data"))
    cities = pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})
    codes = cities.loc[study.takes(cities), "city_code"].iloc[::4]
    panel = pd.MultiIndex.from_product([codes, range(2006, 2016)], names=["city_code", "year"]).to_frame(index=False)
    rng = np.random.default_rng(0)
    adopted = dict(zip(codes.iloc[::3], rng.choice([2010, 2012], size=len(codes)), strict=False))
    panel["adoption"] = panel["city_code"].map(adopted)
    panel["treated"] = (panel["year"] >= panel["adoption"]).astype(int)
    for variable in study.variables:
        panel[variable.name] = rng.normal(size=len(panel))
    results = run_study(study, panel, is_sample=True, cities=cities)
    for name, result in results.items():
        own = result.estimates[result.estimates["term"].isin(["treated", "mean", "weight", "period 0"])]
        assert len(own), name
        assert (own["status"] == "ok").all(), own[["model", "term", "reason"]]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Carbon Market", "as in 'carbon_market'"),
        ("2nd_try", "a letter first, as in 'nd_try'"),
        ("碳市场", "lower-case letters a-z"),
        ("two__lines", "as in 'two_lines'"),
        ("../outside", "as in 'outside'"),
        ("", "cannot be a study's name"),
        ("x" * 41, "has 41 characters; 40 are the most"),
        ("city_year", "means something else in the warehouse"),
        ("select", "means something else in the warehouse"),
        ("stg_cases", "the dbt model stg_cases exists"),
        ("smart_city", "/policies/smart_city.csv exists"),
    ],
)
def test_a_name_that_will_not_do_is_refused_in_a_sentence(root: Path, name: str, says: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(ValueError, match=re.escape(says)):
        new_study(name, root / "data", reserved={"select"}, taken={"stg_cases": "the dbt model stg_cases"})
    assert sorted(root.rglob("*")) == before


def test_a_value_that_no_city_has_is_named_and_not_an_empty_table(root: Path) -> None:
    path = new_study("carbon_market", root / "data")[0]
    text = path.read_text(encoding="utf-8")
    column = "{label: a, outcome: ln_pgdp, sample: {where: {region: centrall}}}"
    exhibits = f"exhibits:\n  table_1:\n    kind: regression\n    columns: [{column}]\n"
    assert "\nexhibits: standard" in text
    path.write_text(text[: text.index("\nexhibits: standard") + 1] + exhibits, encoding="utf-8")
    line = text[: text.index("\nexhibits: standard")].count("\n") + 5
    with pytest.raises(ValueError, match=rf"line {line}, .*where\.region': 'centrall' .* the nearest is 'central'"):
        load(path, known(root / "data"))


def test_an_approval_is_a_year_a_month_or_a_date(tmp_path: Path) -> None:
    path = tmp_path / "pilots.csv"
    written = {"2013": "", "2013-07": "07", "2013/7/15": "7", "2013年7月15日": "7", "2013-12-01 00:00:00": "12"}
    rows = "".join(f"130100,石家庄市,,{when},{at},a,to be checked\n" for at, when in enumerate(written))
    path.write_text(HEADER + rows, encoding="utf-8")
    scopes(path, {"130100": "石家庄市"})
    assert [(row["adoption"], row["month"]) for row in policy_rows(path)] == [("2013", m) for m in written.values()]


HEADER = "city_code,name_zh,name_en,adoption,scope,source,certainty\n"
UNTIL = HEADER.replace("\n", ",until\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            HEADER + "13010,石家庄市,,2014,whole city,a,to be checked\n",
            "line 2, column 'city_code': '13010' is no city",
        ),
        (HEADER + "13010,石家庄市,,2014,whole city,a,to be checked\n", "the code of 石家庄市 is 130100"),
        (HEADER + "130100,,,2014年,whole city,a,to be checked\n", "line 2, column 'adoption': '2014年' is not a year"),
        (HEADER + "130100,,,2014-13,whole city,a,to be checked\n", "'2014-13' has no month from 1 to 12"),
        (UNTIL + "130100,,,2014,a,b,to be checked,2012\n", "'2012' is no year from 2014 on"),
        (UNTIL + "130100,,,2014,a,b,to be checked,\n130100,,,2018,a,b,to be checked,\n", "stands in line 2 already"),
        (HEADER + "130100,,,2014,whole city,a,sure\n", "column 'certainty': 'sure' is not one of"),
        (HEADER + "130100,,,2014,whole city,,to be checked\n", "column 'source': say who announced it"),
        (
            HEADER + 2 * "130100,,,2014,whole city,a,to be checked\n",
            "line 3, column 'city_code': 130100 stands in line 2",
        ),
        ("city_code,since\n130100,2014\n", "line 1: the column 'adoption' is missing"),
        (HEADER.replace("adoption", "adaption"), "the nearest there is 'adaption'"),
    ],
)
def test_a_fault_in_a_list_of_cities_is_named_by_file_line_and_column(root: Path, text: str, says: str) -> None:
    path = root / "data" / "policies" / "carbon_market.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^data/policies/carbon_market\.csv, line") as error:
        known(root / "data")
    assert says in str(error.value)


def test_a_list_saved_by_excel_is_read_or_refused_with_what_to_do(tmp_path: Path) -> None:
    text = HEADER + "130100,石家庄市,Shijiazhuang,2014,whole city,a,to be checked\n"
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8-sig")
    assert scopes(path, {"130100": "石家庄市"}) == {"whole city"}
    path.write_text(text, encoding="gb18030")
    with pytest.raises(ValueError, match=r"not UTF-8 text .* save it as 'CSV UTF-8'"):
        scopes(path, {"130100": "石家庄市"})

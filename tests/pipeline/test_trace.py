"""What `pilotcity trace` says of published values, held against the published tables and the raw files themselves."""

from __future__ import annotations

import csv
import itertools
import json
import math
import random

import duckdb
import numpy as np
import pandas as pd
import pytest

from analysis import catalogue
from analysis.lineage import formula
from analysis.lineage.evidence import Published
from analysis.lineage.request import explain
from analysis.lineage.trace import Trace
from analysis.studies import spec
from dagster_project.commands import trace as command
from dagster_project.ingest.files import open_sheets
from dagster_project.paths import REFERENCE

pytestmark = pytest.mark.xdist_group("sample")

#: Jinan took in Laiwu in 2019, Hefei a part of Chaohu in 2011.
JINAN, HEFEI = "370100", "340100"


@pytest.fixture(scope="module")
def read(sample):
    return command.reader(sample.paths.published.resolve())


@pytest.fixture(scope="module")
def told(sample, read):
    """The tree behind a value, by study, column, city and year."""
    names = pd.read_csv(REFERENCE / "city_names.csv", dtype=str, keep_default_na=False)
    panels = command.panels_of(sample.paths.published.resolve())
    return lambda *request: explain(read, panels, names, request)


def test_every_declared_formula_gives_the_published_value(read):
    cities = sorted(read("panels.city_year", ["city_code"], None).city_code.unique())
    compared = dict.fromkeys(read("lineage.formulas", None, None).query("layer == 'panel'").name, 0)
    for city in [JINAN, HEFEI, *random.Random(0).sample(cities, 6)]:
        published = Published(read, city)
        trace = Trace(published)
        for (layer, column), declared in published.formulas.items():
            for year in (1984, 2000, 2005, 2006, 2007, 2012, 2020, 2022) if layer == "panel" else ():
                expected = published.city_year.at[year, column]
                if declared.kind == "entropy":
                    told = trace.column(column, year)
                    assert not [line for line in told.lines if "NOT REPRODUCED" in line], told.lines
                    compared[column] += not pd.isna(expected)
                    continue
                found = formula.evaluate(declared.formula, year, trace.quantities.value).value
                if pd.isna(expected):
                    assert math.isnan(found), (column, city, year)
                else:
                    assert found == pytest.approx(float(expected), rel=1e-9), (column, city, year)
                    compared[column] += 1
    # the sample world has no carbon accounts, and files of neither deflators nor roads
    assert {column for column, times in compared.items() if not times} == {
        *("co2_ceads_tonne", "co2_edgar_tonne", "co2_ceads_per_gdp", "co2_edgar_per_gdp"),
        *("gdp_deflator", "road_area_per_person"),
    }


def test_every_step_into_a_panel_is_reproduced_also_where_a_value_was_filled_in_or_winsorised(sample, read):
    steps = {"imputed": 0, "winsorised": 0}
    for name, path in spec.catalogue().items():
        panel, variables = sample.panel(name), spec.load(path).variables
        flags = panel.columns[panel.columns.str.endswith("__imputed")]
        # the row with the most filled in, and one of extremes
        rows = [panel.index[panel[flags].sum(axis=1).argmax()], panel.index[panel.city_code == "110000"][-1]]
        for city, year in panel.loc[rows, ["city_code", "year"]].itertuples(index=False):
            trace = Trace(Published(read, city))
            for variable in variables:
                node = trace.panel(name, variable.name, int(year))
                assert not [line for found in node.walk() for line in found.lines if "NOT REPRODUCED" in line], node
                for step in steps:
                    steps[step] += bool(node.details[step])
                if node.details["imputed"] and len(node.inputs) == 2:
                    assert node.inputs[0].year < year < node.inputs[1].year
    assert steps["imputed"] >= 3
    assert steps["winsorised"] >= 3


def test_a_score_is_told_down_to_cells_that_stand_in_the_raw_files(sample, told):
    node = told("ai_pilot_zones", "ulgue", "330500", 2020)
    panel = sample.panel("ai_pilot_zones").set_index(["city_code", "year"])
    assert node.inputs[0].value == panel.loc[("330500", 2020), "ulgue"]
    study = spec.load(spec.catalogue()["ai_pilot_zones"])
    score = node.inputs[0].inputs[0]
    assert [found.name for found in score.inputs] == list(study.efficiency[0].variables)
    cells = [found.details for found in node.walk() if found.kind == "cell"]
    # capital since 2006: investment, growth and GDP of each year
    assert {(cell["file"][9:13]) for cell in cells} == {str(year) for year in range(2006, 2021)}
    recent = [cell for cell in cells if "2020" in cell["file"]]
    assert len(recent) >= 12
    sheets = {sheet.name: list(sheet.rows()) for sheet in open_sheets(sample.paths.raw / recent[0]["file"], None)}
    for cell in recent:
        row = sheets[cell["sheet"]][cell["row"] - 1]
        assert row[ord(cell["column"]) - ord("A")] == cell["text"]
        assert "湖州" in row[0]


def test_what_was_set_aside_is_told_with_its_rule(told, read):
    formulas = read("lineage.formulas", None, None).query("layer == 'panel'").set_index("formula").name
    rejects = read("quality.rejects", None, None)
    for rule in ("tenfold", "jump", "conflicting_duplicate", "not_a_number", "out_of_range"):
        reject = rejects[(rejects.rule == rule) & rejects.indicator.isin(formulas.index)].iloc[0]
        tree = told("city_year", formulas[reject.indicator], reject.city_code, int(reject.year))
        aside = [found for found in tree.walk() if found.kind == "set_aside"]
        assert f"set aside ({rule}): {reject.message}" in [line for found in aside for line in found.lines]
        assert math.isnan(tree.inputs[0].value)


def test_a_count_is_told_by_files_and_rows_that_hold_such_records(sample, told):
    tree = told("innovative_clusters", "gti1", "330500", 2012)
    records = [found for found in tree.walk() if found.kind == "records"]
    assert sum(found.value for found in records) / 1000 == tree.inputs[0].value
    file, rows = records[0].details["file"], [int(row) for row in records[0].details["first_rows"].split(", ")]
    with (sample.paths.raw / file).open(encoding="utf-8", newline="") as stream:
        lines = list(itertools.islice(csv.reader(stream), rows[-1]))
    for row in rows:
        record = dict(zip(lines[0], lines[row - 1], strict=True))
        assert record["申请日"].startswith("2012")
        assert "湖州" in record["地址"]
        assert "发明" in record["专利类型"]


def test_merged_units_are_named_and_changed_borders_are_flagged(sample, told):
    gdp = told("city_year", "gdp_10k_yuan", "济南", 2018)
    places = [found.details["place"] for found in gdp.walk() if found.kind == "cell"]
    assert len(places) == 2
    assert any("莱芜" in place for place in places)
    assert "the sum of units that were apart in that year" in gdp.text()
    income = told("city_year", "resident_income_yuan", JINAN, 2018).text()
    assert "without 莱芜市 (371200), which joined the city in 2019" in income
    panel = sample.panel("innovative_clusters").set_index(["city_code", "year"])
    assert panel.loc[JINAN].index[panel.loc[JINAN].borders_merged].tolist() == list(range(2006, 2019))
    assert panel.loc[JINAN].index[panel.loc[JINAN].borders_changed].tolist() == [2019]
    for city in (HEFEI, "340200", "340500"):
        assert panel.loc[city].index[panel.loc[city].borders_changed].tolist() == [2011]
        assert "巢湖市 (341400)" in told("innovative_clusters", "fin", city, 2015).lines[0]
    assert not panel.loc["330500", ["borders_merged", "borders_changed"]].any().any()


def test_another_definition_is_told_where_it_begins(told):
    tree = told("city_year", "soot_industrial_tonne", "330500", 2011).text()
    assert "change of caliber: soot_industrial is soot and dust; in 2010 it was soot without dust" in tree
    assert "change of caliber" not in told("city_year", "soot_industrial_tonne", "330500", 2012).text()


def test_a_treatment_is_told_by_its_policy_list(told):
    tree = told("innovative_clusters", "did", "110000", 2015)
    assert tree.inputs[0].value == 1
    assert "data/policies/innovative_clusters.csv: first treated 2013" in tree.text()
    assert "does not have this city" in told("innovative_clusters", "adoption", "330500", 2015).text()


def test_every_column_that_is_no_variable_is_told_too(sample, told):
    """First treated year, treatments, policies, flags, names: of each panel, of a city that changed its borders."""
    kinds: set[str] = set()
    for name in command.panels_of(sample.paths.published.resolve()):
        study = spec.load(spec.catalogue()[name.removesuffix("_long")]) if name != "city_year" else None
        variables = {variable.name for variable in study.variables} if study else set(catalogue.load().variables)
        columns = [name for name in sample.panel(name).columns if name.split("__")[0] not in variables]
        imputed = [name for name in sample.panel(name).columns if name.endswith("__imputed")]
        for column in {*columns, *imputed[:1]} - {"city_code", "year"}:
            node = told(name, column, HEFEI, 2015).inputs[0]
            text = node.text()
            assert not any(said in text for said in ("NOT REPRODUCED", "no formula is declared", "None")), text
            kinds.add(node.kind)
    assert kinds == {"panel", "policy", "column"}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (("ai_pilot_zone", "ulgue", "330500", 2020), "no study 'ai_pilot_zone'; the nearest: ai_pilot_zones"),
        (("ai_pilot_zones", "ulgu", "330500", 2020), "no column of panels.ai_pilot_zones 'ulgu'; the nearest: ulgue"),
        (("ai_pilot_zones", "ulgue", "Taizhou", 2020), "泰州市 Taizhou"),
        (("ai_pilot_zones", "ulgue", "540100", 2020), "none of the 286 cities of panels.ai_pilot_zones"),
        (("ai_pilot_zones", "ulgue", "330500", 2014), "holds the years 2015 to 2023, not 2014"),
    ],
)
def test_a_word_that_there_is_not_is_answered_in_a_sentence(told, request_, said):
    with pytest.raises(ValueError, match=said):
        told(*request_)


def test_the_command_answers_while_the_warehouse_is_held_by_a_run(sample):
    with duckdb.connect(str(sample.paths.warehouse)):
        lines = sample.run("trace", "ai_pilot_zones", "eco", "湖州市", "2020").out.splitlines()
        answer = sample.run("trace", "--json", "ai_pilot_zones", "eco", "330500", "2020")
    assert "SAMPLE DATA" in lines[0]
    assert "湖州市 Huzhou (330500, 浙江省)" in lines[1]
    assert any("logged: ln" in line for line in lines)
    tree = json.loads(answer.out)
    assert tree["is_sample"] is True
    panel = sample.panel("ai_pilot_zones").set_index(["city_code", "year"])
    np.testing.assert_allclose(tree["inputs"][0]["value"], panel.loc[("330500", 2020), "eco"], rtol=1e-15)
    assert sample.run("trace", "ai_pilot_zones", "eco", "Suzhou", "2020").code == 1


def test_sources_says_what_files_cover_and_which_tables_need_them(sample):
    lines = sample.run("sources").out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("city_yearbook"))
    assert "24 files" in lines[at]
    assert lines[at].endswith("2000-2023")
    assert "innovative_clusters tables 3-" in lines[at + 1]
    missing = next(n for n, line in enumerate(lines) if line.startswith("gdp_deflated"))
    assert lines[missing + 3].strip() == "nothing else here has gdp_real (gdp_growth stands in)"

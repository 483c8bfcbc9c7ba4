"""One whole run on real files that nobody here wrote: what can be computed is, the rest says why, errors are caught."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.studies import spec
from dagster_project.checks import checks_table

pytestmark = pytest.mark.xdist_group("real")

#: Column of city_year -> no file of the real folder holds it.
ABSENT = (
    *(
        "green_invention_applications_1000",
        "trade_share",
        "information_employment_percent",
        "science_share_of_spending",
    ),
    *("education_share_of_gdp", "fiscal_expenditure_to_revenue", "ipp_index", "degree_holders"),
)


@pytest.fixture(scope="session")
def finished(install, real):
    installation = install(real())
    return installation, installation.run("run")


@pytest.fixture(scope="session")
def run(finished):
    installation, done = finished
    assert done.code == 0, done.out + done.err
    return installation


def test_a_run_on_real_files_publishes(finished):
    _, done = finished
    assert done.code == 0, done.out + done.err
    assert "Published in" in done.out
    assert "Traceback" not in done.out + done.err


def test_no_raw_file_is_touched(run, real):
    assert not any(path.name.startswith("SAMPLE") for path in real().rglob("*"))
    assert not bool(run.query("select is_sample from panels.publication").is_sample[0])


def test_every_file_of_the_yearbooks_is_claimed_and_read(run, real):
    read = run.query("select file, cells from quality.files").set_index("file").cells
    for path in sorted((real() / "yearbook").iterdir()):
        assert read.get(f"yearbook/{path.name}", 0) > 0, path.name


def test_the_study_that_these_files_can_feed_is_computed_in_full(run):
    study = spec.load(spec.catalogue()["low_carbon_cities"])
    rows = run.query("select * from estimates.estimates where study = 'low_carbon_cities'")
    for exhibit in ("table_1", "table_2", "figure_1"):
        assert exhibit in {known.name for known in study.exhibits}
        mine = rows[rows.exhibit == exhibit]
        assert len(mine)
        assert (mine.status == "ok").all() or (mine.reason[mine.status != "ok"].str.contains("base|reference")).all()
    folder = run.paths.published / "exhibits" / "low_carbon_cities"
    for name in ("table_2.html", "table_2.tex", "table_2.csv", "figure_1.png"):
        assert (folder / name).stat().st_size > 500
    baseline = rows[(rows.exhibit == "table_2") & (rows.model == "(2)") & (rows.term == "low_carbon")].iloc[0]
    assert baseline.n > 2000
    assert 0 < baseline.se < 1


@pytest.mark.parametrize("study", ["innovative_clusters", "ai_pilot_zones"])
def test_a_table_whose_columns_no_file_provides_says_which(run, study):
    rows = run.query(f"select * from estimates.estimates where study = '{study}' and status != 'ok'")
    assert len(rows)
    assert rows.reason.notna().all()
    sources = {variable.source for variable in spec.load(spec.catalogue()[study]).variables}
    named = [source for source in ABSENT if source in sources]
    assert named
    for source in named:
        assert rows.reason.str.contains(source, regex=False).any(), source


def test_no_estimate_of_the_main_tables_is_made_from_what_is_not_there(run):
    rows = run.query(
        "select status from estimates.estimates "
        "where study = 'innovative_clusters' and exhibit in ('table_4', 'table_6')"
    )
    assert set(rows.status) == {"not computed"}


def rejects(run, where: str) -> pd.DataFrame:
    return run.query(f"select * from quality.rejects where {where}")


@pytest.mark.parametrize(
    ("value", "city", "year", "indicator", "rule"),
    [
        ("666.12", "440300", 2018, "population_resident", "jump"),
        ("23158.65", "150600", 2022, "gdp", "jump"),
    ],
)
def test_a_known_error_is_caught_where_it_stands(run, value, city, year, indicator, rule):
    found = rejects(run, f"value = '{value}' and city_code = '{city}' and year = {year} and indicator = '{indicator}'")
    assert rule in set(found.rule)
    assert found.message.str.contains(value, regex=False).all()
    panel = run.query(f"select * from panels.city_year where city_code = '{city}' and year = {year}").iloc[0]
    if indicator == "population_resident":
        assert panel.population_resident_10k > 1200
    else:
        assert panel.gdp_10k_yuan == pytest.approx(56_134_400, rel=0.01)


def test_populations_off_by_ten_are_caught(run):
    found = rejects(run, "rule = 'tenfold' and indicator = 'population_registered' and source = 'gdp_population_area'")
    assert len(found) > 100
    assert "110000" in set(found.city_code)


def test_the_urban_districts_gdp_of_2017_is_caught(run):
    found = rejects(
        run,
        "source = 'industrial_so2' and indicator = 'gdp' and year = 2017 "
        "and rule in ('jump', 'sources_disagree', 'tenfold')",
    )
    assert len(found) >= 150


def test_rows_that_are_no_observation_are_set_aside(run):
    found = rejects(run, "rule = 'stray_row' and source = 'industrial_structure'")
    assert len(found) >= 1
    assert found.message.str.contains("names no city and no year").all()


def test_a_city_that_became_a_district_is_the_same_place_and_the_country_is_no_city(run):
    # 开平, 昌邑, 栖霞 and 鹤山 stand beside the code of a district elsewhere; 吉林 beside that of the province is it
    differ = rejects(run, "rule = 'code_and_name_differ'").message.str.extract(r"than the name '(\w+)'")[0]
    assert set(differ) == {"开平", "昌邑", "栖霞", "鹤山"}
    assert rejects(run, "source = 'foreign_investment' and rule = 'out_of_range'").empty


def test_what_nobody_measured_anew_shows_in_the_checks(run):
    holds = checks_table(run.paths).set_index("rule").holds
    assert holds["at most one place in ten repeats its figure of the year before"] == "no (warning)"
    assert holds["at most one value in twenty is set aside"] == "no (warning)"


def test_few_values_are_set_aside_besides_the_known_ones(run):
    counts = (
        run.query(
            "select rule, count(*) as n from quality.rejects "
            "where not (indicator = 'population_registered' and rule = 'tenfold') "
            "and not (source in ('industrial_so2', 'gdp_population_area') and year = 2017) group by rule"
        )
        .set_index("rule")
        .n
    )
    cells = run.query("select sum(cells) as n from quality.files").n[0]
    assert counts.sum() < 0.01 * cells
    assert "unknown_city" not in counts
    assert "conflicting_duplicate" not in counts


def test_gdp_agrees_with_what_the_statistical_office_published(run):
    gdp = (
        run.query("select city_code, year, gdp_10k_yuan / 10000 as gdp from panels.city_year")
        .set_index(["city_code", "year"])
        .gdp
    )
    assert gdp["110000", 2013] == pytest.approx(21134.6, rel=1e-3)
    assert gdp["150600", 2021] == pytest.approx(4715.7, rel=0.02)


def test_a_renamed_and_a_merged_city_run_through(run):
    gdp = run.query(
        "select city_code, year, gdp_10k_yuan as gdp from panels.city_year where year between 2001 and 2023"
    )
    for city in ("420600", "370100"):
        series = gdp[gdp.city_code == city].sort_values("year").gdp
        assert series.notna().all()
        assert (series.pct_change().dropna().abs() < 0.5).all()


def test_files_that_nothing_claims_are_listed(run, real):
    finished = run.run("sources")
    assert finished.code == 0
    assert "no contract claims census/census_city_2010-2020_v1.csv" in finished.out
    assert "MISSING" in finished.out

"""The contracts of the sample's two sources describe its files fully: ingestion finds every column, in every year."""

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest

from analysis.simulation import cases, resources, small_books, yearbook
from analysis.simulation.draws import YEARS
from analysis.simulation.patents import HEADER, KINDS
from analysis.simulation.sample import write_yearbooks
from analysis.simulation.world import draw_world
from dagster_project.ingest import contracts, yearbooks

#: One worker writes the workbooks that all of these read.
pytestmark = pytest.mark.xdist_group("sample contracts")
ROOT = Path(__file__).resolve().parents[3]
UNITS = frozenset(unit for unit, _ in yearbook.SCALES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Workbooks of every year for a few cities."""
    text = {"city_code": str}
    cities = pd.read_csv(ROOT / "data/reference/cities.csv", dtype=text).iloc[::10]
    clusters = pd.read_csv(ROOT / "data/policies/innovative_clusters.csv", dtype=text)
    raw = tmp_path_factory.mktemp("raw")
    (raw / "yearbook").mkdir()
    write_yearbooks(draw_world(cities, clusters), raw / "yearbook", YEARS, lambda line: None)
    return raw


@pytest.mark.parametrize("year", YEARS)
def test_the_yearbook_contract_fits_the_workbook_of_every_year(folder, year):
    contract = contracts.load(ROOT / "data/contracts/city_yearbook.yaml")
    name = f"yearbook/{year}年地级市统计年鉴.xlsx"
    reading = yearbooks.read(folder / name, name, contract, UNITS)
    assert reading.rejects.empty
    columns = [column for plan in yearbook.SHEETS for column in plan.columns if column.since <= year]
    indicators = {name for column in columns for name in column.names}
    assert set(reading.cells.indicator) == indicators
    assert set(reading.cells.year) == {str(year)}
    assert (reading.cells.unit != "").all()


def test_every_printed_unit_converts_to_its_indicators_own_as_the_project_converts_it():
    units = pd.read_csv(ROOT / "data/catalogue/measurement_units.csv").set_index(["unit", "canonical"]).factor
    indicators = pd.read_csv(ROOT / "data/catalogue/indicators.csv").set_index("indicator")
    for plan in yearbook.SHEETS:
        for column in plan.columns:
            assert {column.canonical} == {indicators.unit[name] for name in column.names}
            for unit in (since.text for since in column.units):
                assert units[unit, column.canonical] == yearbook.SCALES[unit, column.canonical].factor


def test_only_cities_are_read_no_totals_notes_or_page_breaks(folder):
    contract = contracts.load(ROOT / "data/contracts/city_yearbook.yaml")
    name = "yearbook/2012年地级市统计年鉴.xlsx"
    cells = yearbooks.read(folder / name, name, contract, UNITS).cells
    assert cells.city.str.rstrip("①②③").str.fullmatch(".{2,5}(市|地区|盟)").all()
    assert max(Counter(zip(cells.sheet, cells.city, cells.indicator, strict=True)).values()) <= 2


def test_the_contract_ranges_hold_every_true_value():
    text = {"city_code": str}
    cities = pd.read_csv(ROOT / "data/reference/cities.csv", dtype=text)
    clusters = pd.read_csv(ROOT / "data/policies/innovative_clusters.csv", dtype=text)
    ai_zones = pd.read_csv(ROOT / "data/policies/ai_pilot_zones.csv", dtype=text)
    contract = contracts.load(ROOT / "data/contracts/city_yearbook.yaml")
    for seed in range(3):
        world = draw_world(cities, clusters, seed, ai_zones)
        found = dict(contracts.indicators_of(contract))
        assert set(found) == set(world.indicators)
        for indicator, column in found.items():
            low, high = column.range or (0, 0)
            values = world.indicators[indicator]
            assert low <= values.min(), indicator
            assert values.max() <= high, indicator


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The two small workbooks, read by their contracts; the units are the project's own."""
    text = {"city_code": str}
    lists = [
        pd.read_csv(ROOT / "data" / name, dtype=text)
        for name in ("reference/cities.csv", "policies/innovative_clusters.csv", "policies/ai_pilot_zones.csv")
    ]
    world = draw_world(lists[0], lists[1], 0, lists[2])
    raw = tmp_path_factory.mktemp("small")
    small_books.write_telephones(world, raw / small_books.TELEPHONES)
    small_books.write_exchange_rate(raw / small_books.EXCHANGE_RATE)
    units = frozenset(pd.read_csv(ROOT / "data/catalogue/measurement_units.csv").unit)
    readings = {}
    for source, name in (("telephones_1984", small_books.TELEPHONES), ("exchange_rate", small_books.EXCHANGE_RATE)):
        contract = contracts.load(ROOT / f"data/contracts/{source}.yaml")
        assert contract.matches(PurePosixPath("yearbook") / name)
        readings[source] = yearbooks.read(raw / name, name, contract, units)
    return world, readings


def test_the_telephones_of_1984_are_read_as_they_were_drawn(small):
    world, readings = small
    reading = readings["telephones_1984"]
    assert reading.rejects.empty
    assert set(reading.cells.year) == {"1984"}
    assert dict(reading.cells.groupby("indicator").unit.unique().str[0]) == {
        "landlines_1984": "部",
        "population_1984": "万人",
    }
    found = reading.cells[reading.cells.indicator == "landlines_1984"]
    phones, people = small_books.telephones(world)
    assert len(found) == 297
    known = found.value != "-"
    assert (found.value[known].astype(float).to_numpy() == phones[~np.isnan(phones)]).all()
    usual = world.cities.panel_286.astype(int).astype(bool).to_numpy()
    assert not np.isnan(phones[usual]).any()
    per_100 = phones / (people * 100)
    zones = ~np.isnan(world.ai_adoption)
    assert per_100[zones].mean() > 2 * per_100[usual & ~zones].mean()


def test_the_exchange_rate_is_the_public_record(small):
    cells = small[1]["exchange_rate"].cells
    assert small[1]["exchange_rate"].rejects.empty
    assert cells.year.tolist() == [str(year) for year in range(2007, 2024)]
    rates = dict(zip(cells.year, cells.value.astype(float), strict=True))
    assert (rates["2007"], rates["2015"], rates["2023"]) == (7.604, 6.2284, 7.0467)
    recorded = pd.read_csv(ROOT / "data/reference/exchange_rate.csv").set_index("year").yuan_per_usd
    np.testing.assert_array_equal(recorded, resources.YUAN_PER_USD[: len(recorded)])


def test_the_patent_contract_names_the_columns_and_kinds_of_the_files():
    contract = contracts.load(ROOT / "data/contracts/patent_records.yaml")
    assert ",".join(contract.columns.values()) == HEADER
    assert [kind in names for kind, names in zip(KINDS, contract.kinds.values(), strict=True)] == [True] * 3


def test_the_contract_of_court_cases_names_the_columns_of_the_files():
    contract = contracts.load(ROOT / "data/contracts/court_cases.yaml")
    assert tuple(contract.columns.values()) == cases.HEADER
    assert contract.matches(PurePosixPath("cases/2016.csv"))

"""The contracts of the sample's two sources describe its files fully: ingestion finds every column, in every year."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from analysis.simulation import yearbook
from analysis.simulation.draws import YEARS
from analysis.simulation.patents import HEADER, KINDS
from analysis.simulation.sample import write_yearbooks
from analysis.simulation.world import draw_world
from dagster_project.ingest import contracts, yearbooks

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
    indicators = {column.indicator for plan in yearbook.SHEETS for column in plan.columns}
    assert set(reading.cells.indicator) == indicators
    assert set(reading.cells.year) == {str(year)}
    assert (reading.cells.unit != "").all()


def test_every_printed_unit_converts_to_its_indicators_own_as_the_project_converts_it():
    units = pd.read_csv(ROOT / "data/contracts/measurement_units.csv").set_index(["unit", "canonical"]).factor
    indicators = pd.read_csv(ROOT / "data/contracts/indicators.csv").set_index("indicator")
    for plan in yearbook.SHEETS:
        for column in plan.columns:
            assert column.canonical == indicators.unit[column.indicator]
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
    contract = contracts.load(ROOT / "data/contracts/city_yearbook.yaml")
    for seed in range(4):
        world = draw_world(cities, clusters, seed)
        for indicator, column in contracts.indicators_of(contract):
            low, high = column.range or (0, 0)
            values = world.indicators[indicator]
            assert low <= values.min(), indicator
            assert values.max() <= high, indicator


def test_the_patent_contract_names_the_columns_and_kinds_of_the_files():
    contract = contracts.load(ROOT / "data/contracts/patent_records.yaml")
    assert ",".join(contract.columns.values()) == HEADER
    assert [kind in names for kind, names in zip(KINDS, contract.kinds.values(), strict=True)] == [True] * 3

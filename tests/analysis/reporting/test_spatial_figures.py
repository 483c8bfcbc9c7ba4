"""Pictures, tables and files of the spatial exhibits: grey, fixed bytes, words, weights that can be read back."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from analysis.printing import maps
from analysis.reporting.figures import describe, draw, write_figure
from analysis.reporting.tables import exhibit_table, markdown, write_table
from analysis.spatial import Weights
from analysis.spatial.geography import map_shapes
from analysis.studies.published import published
from analysis.studies.records import Study
from analysis.studies.result import ExhibitResult
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load

DATA = Path(__file__).resolve().parents[3] / "data"
DRAWN = ("table_9", "table_9_clusters", "table_11", "table_11_weights", "table_11_spillovers")
ALL = (*DRAWN, "table_10", "table_10_choice")


@pytest.fixture(scope="module")
def zones() -> Study:
    return load(catalogue()["ai_pilot_zones"])


@pytest.fixture(scope="module")
def cities() -> pd.DataFrame:
    return pd.read_csv(DATA / "reference" / "cities.csv", dtype={"city_code": str})


@pytest.fixture(scope="module")
def places(zones: Study, cities: pd.DataFrame) -> pd.DataFrame:
    """The cities of three provinces over nine years, noise for every variable, every fourth city adopting in 2019."""
    rng = np.random.default_rng(0)
    codes = cities.loc[cities["city_code"].str[:2].isin(["33", "34", "37"]) & cities["panel_286"].eq(1), "city_code"]
    index = pd.MultiIndex.from_product([codes, range(2015, 2024)], names=["city_code", "year"])
    panel = index.to_frame(index=False)
    panel["adoption"] = np.where(panel["city_code"].isin(codes[::4]), 2019.0, np.nan)
    panel["ai"] = (panel["year"] >= panel["adoption"]).astype(float)
    for name in ("ulgue", *zones.controls):
        panel[name] = rng.normal(size=len(panel))
    return panel


@pytest.fixture(scope="module")
def exhibits(zones: Study, places: pd.DataFrame, cities: pd.DataFrame) -> dict[str, ExhibitResult]:
    return {name: run_exhibit(zones, name, places, is_sample=True, cities=cities) for name in ALL}


def test_every_model_of_the_fixture_is_computed(exhibits) -> None:
    for name, result in exhibits.items():
        assert set(result.estimates["status"]) == {"ok"}, (name, set(result.estimates["reason"]))


@pytest.mark.parametrize("name", DRAWN)
def test_a_spatial_picture_has_the_same_bytes_each_time_and_is_grey(zones, exhibits, name) -> None:
    first = draw(exhibits[name], zones)
    assert first == draw(exhibits[name], zones)
    assert set(first) == {"svg", "png", "pdf"}
    text = first["svg"].decode()
    ElementTree.fromstring(text)
    colours = {piece[:6] for piece in text.split("#")[1:]}
    hexadecimal = {colour for colour in colours if len(colour) == 6 and set(colour) <= set("0123456789abcdef")}
    assert hexadecimal
    assert all(colour[0:2] == colour[2:4] == colour[4:6] for colour in hexadecimal)


def test_the_moran_scatter_has_a_panel_for_each_matrix(zones, exhibits) -> None:
    one = draw(exhibits["table_9"], zones)["svg"].decode()
    for name in ("distance", "nested", "contiguity"):
        assert f">Land green use efficiency (ulgue), {name}, 2023<" in one


def test_the_words_of_a_spatial_picture_carry_its_numbers(exhibits) -> None:
    rows = exhibits["table_9"].estimates.set_index(["model", "term"])["estimate"]
    assert f"contiguity, 2023: Moran's I {rows['2023', 'contiguity']:.3f}" in describe(exhibits["table_9"])
    counts = exhibits["table_9_clusters"].estimates.set_index(["model", "term"])["estimate"]
    found = int(counts["ulgue, contiguity", "high-high"])
    assert f"ulgue, contiguity: in 2023 {found} cities high-high" in describe(exhibits["table_9_clusters"])
    first = exhibits["table_11"].estimates.set_index(["model", "term"])["estimate"]["contiguity, sdm", "0-100 km"]
    assert f"{first:.3f} over 0-100 km" in describe(exhibits["table_11"])


def test_what_is_not_computed_is_not_drawn_but_printed_with_its_reason(zones, places, cities, tmp_path) -> None:
    for name in ("table_9", "table_9_clusters", "table_10", "table_10_choice", "table_11"):
        result = run_exhibit(zones, name, places.assign(ulgue=np.nan), is_sample=True, cities=cities)
        assert write_figure(result, zones, tmp_path) == {}
        text = markdown(exhibit_table(result, zones, printed=published(zones.name)))
        assert "not computed" in text
        assert "is scored from" in text


def test_table_9_stands_beside_the_printed_figures(zones, exhibits) -> None:
    table = exhibit_table(exhibits["table_9"], zones, printed=published(zones.name))
    panels = {panel.title: {line.label: line.cells for line in panel.lines} for panel in table.panels}
    cells = panels["Contiguity (queen) (contiguity)"]["2017"]
    assert table.headers[0][1] == "I, published"
    assert cells[1] == "0.003"
    assert cells[table.headers[0].index("p, published")] == "0.048"


def test_tables_10_and_11_carry_the_printed_figures_and_the_recommendation_stands_in_words(zones, exhibits) -> None:
    printed = published(zones.name)
    tenth = markdown(exhibit_table(exhibits["table_10"], zones, printed=printed))
    assert "| Spatial lag of AI pilot zone (ai) |  |  | 0.5825" in tenth
    assert "| Spatial lag of the outcome (rho) | 0.4310" in tenth
    eleventh = exhibit_table(exhibits["table_11"], zones, printed=printed)
    paper = next(panel for panel in eleventh.panels if panel.title == "As published")
    assert [line.cells[0] for line in paper.lines] == [
        "0.0829",
        "(0.0213)",
        "1.1545**",
        "(0.5140)",
        "1.2374**",
        "(0.5162)",
    ]
    choice = exhibit_table(exhibits["table_10_choice"], zones, printed=printed)
    for label, fitted in exhibits["table_10_choice"].models.items():
        assert f"{label}. {fitted.recommendation}" in choice.notes


def test_saved_weights_read_back_as_the_matrix_and_say_that_they_are_sample_data(zones, exhibits, tmp_path) -> None:
    paths = write_table(exhibits["table_11_weights"], zones, tmp_path, printed=published(zones.name))
    for label, fitted in exhibits["table_11_weights"].models.items():
        saved = pd.read_parquet(paths[f"weights, {label} (parquet)"])
        assert set(saved["data"]) == {"SAMPLE DATA"}
        links = saved.rename(columns={"city_code": "unit"})
        again = Weights.from_frame(links, fitted.weights.labels)
        assert (again.matrix != fitted.weights.matrix).nnz == 0
        with paths[f"neighbours, {label} (csv)"].open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["city_code"] for row in rows] == list(fitted.weights.labels)
    first = {path: path.read_bytes() for path in paths.values()}
    write_table(exhibits["table_11_weights"], zones, tmp_path, printed=published(zones.name))
    assert first == {path: path.read_bytes() for path in paths.values()}


def test_an_exhibit_that_is_a_table_only_has_no_files_beside_it(zones, exhibits, tmp_path) -> None:
    paths = write_table(exhibits["table_10"], zones, tmp_path, printed=published(zones.name))
    both = {"tex", "html", "docx", "xlsx"}
    assert set(paths) == {"csv", "md"} | both | {f"{name} Chinese" for name in both}


def test_a_map_shows_all_land_and_the_dashes_in_the_sea() -> None:
    codes = [code for code, _ in map_shapes()]
    assert {"710000", "810000", "820000", "429004", "460300", "540100"} <= set(codes)
    assert codes.count("") == 1


def test_a_map_of_a_value_does_not_depend_on_the_order_of_cities_and_stands_constants_and_nothing(cities) -> None:
    values = pd.Series(np.linspace(0, 1, len(cities)), index=cities["city_code"])
    drawn = maps.draw(values, title="A value")
    assert drawn == maps.draw(values.sample(frac=1, random_state=0), title="A value")
    assert drawn != maps.draw(-values, title="A value")
    assert maps.draw(values * 0, title="A value") != maps.draw(values * np.nan, title="A value")

"""docs/house_prices.md as it stands: a .csv through contract, indicator, formula and study to a table and the trace."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from analysis.lineage.request import explain
from analysis.studies import run
from dagster_project import models, overlay
from dagster_project.paths import REFERENCE, ROOT

pytestmark = pytest.mark.xdist_group("dbt")

PAGE = (ROOT / "docs" / "house_prices.md").read_text(encoding="utf-8")
#: What a pilot adds to the years of income that a home costs, in the rows that the test adds to the page's.
EFFECT = 1.5


def blocks() -> dict[str, str]:
    """File -> its text, as the page shows it."""
    found = re.findall(r"`(data/(?:own|raw)/[^`]+)`[^\n]*\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    found += re.findall(r"one row in `(data/own/[^`]+)`[^\n]*\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    found += re.findall(r"income, `(data/own/[^`]+)`:\n\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    return dict(found)


def more_rows(shown: str) -> str:
    """The page's rows, and every other city and year: the effect is known, income is as good as random."""
    header, *given = shown.strip().splitlines()
    taken = {tuple(line.split(",")[:2]) for line in given}
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype=str)
    pilots = pd.read_csv(ROOT / "data" / "policies" / "low_carbon_cities.csv", dtype=str)
    adoption = pilots.groupby("city_code")["adoption"].min().astype(int)
    rng = np.random.default_rng(0)
    lines = list(given)
    for code, name in zip(cities["city_code"], cities["name_zh"], strict=True):
        level = rng.uniform(8, 16)
        for year in range(2008, 2020):
            if (str(year), name) in taken:
                continue
            income = round(20_000 * 1.06 ** (year - 2008) * rng.uniform(0.97, 1.03))
            years = level + 0.1 * (year - 2008) + EFFECT * (year >= adoption.get(code, 9999)) + rng.normal(0, 0.2)
            lines.append(f"{year},{name},{round(years * income / 100, 2)},{income}")
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture(scope="module")
def house(make_warehouse, tmp_path_factory):
    """The page's files in an own folder, read, and the panel made of them."""
    built = make_warehouse()
    own = tmp_path_factory.mktemp("own")
    built = type(built)(built.paths.__class__(built.paths.data, built.paths.raw, is_sample=False, own=own))
    for name, text in blocks().items():
        kind, _, below = name.removeprefix("data/").partition("/")
        path = (own if kind == "own" else built.paths.raw) / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(more_rows(text) if kind == "raw" else text, encoding="utf-8")
    built.load(overlay.contracts(built.paths))
    models.write(built.paths, overlay.catalogue(built.paths), overlay.studies(built.paths))
    built.dbt("run", "--select", "+house_prices", "+path:models/lineage", "data_dictionary", "caliber_changes")
    return built


def test_the_page_shows_every_file_that_is_needed():
    assert set(blocks()) == {
        "data/raw/house_prices.csv",
        *("data/own/contracts/house_prices.yaml", "data/own/indicators.csv", "data/own/variables.yaml"),
        "data/own/studies/house_prices.yaml",
    }


def test_the_variable_is_a_column_of_city_year_with_its_unit_and_bounds(house):
    column = overlay.catalogue(house.paths).columns["home_in_years_of_income"]
    assert (column.unit, column.merge) == ("years", "none")
    row = house.query(
        "select house_price, home_in_years_of_income from panels.city_year where city_code = '320500' and year = 2019"
    ).iloc[0]
    assert row["house_price"] == 17_200
    assert row["home_in_years_of_income"] == pytest.approx(17_200 * 100 / 68_600, rel=1e-12)


def test_the_table_finds_the_effect(house):
    (study,) = [study for study in overlay.studies(house.paths) if study.name == "house_prices"]
    panel = house.query("select * from panels.house_prices order by city_code, year")
    assert len(panel) == 286 * 12
    cities = pd.read_csv(REFERENCE / "cities.csv", dtype={"city_code": str})
    result = run.run_exhibit(study, "table_1", panel, is_sample=False, cities=cities)
    found = result.estimates[result.estimates["term"] == "low_carbon"]
    assert found["status"].tolist() == ["ok", "ok"]
    assert found["estimate"].to_numpy() == pytest.approx([EFFECT, EFFECT], abs=0.05)


def test_a_number_goes_back_to_its_cell_as_the_page_shows(house):
    with_lineage = {"lineage", "panels", "quality"}
    tables = set(house.query("select table_schema || '.' || table_name as name from information_schema.tables").name)

    def read(table, columns, cities):
        if table not in tables and table.split(".")[0] not in with_lineage:
            return pd.DataFrame(columns=["study", "name", "frontier", "city_code", "year", "score"])
        frame = house.query(f"select * from {table}")
        frame = frame[frame["city_code"].isin(cities)] if cities is not None else frame
        return frame if columns is None else frame[list(columns)]

    names = pd.read_csv(REFERENCE / "city_names.csv", dtype=str, keep_default_na=False)
    told = explain(read, ["city_year", "house_prices"], names, ("house_prices", "home", "苏州", 2019)).text()
    shown = (
        PAGE.split("pilotcity trace house_prices home 苏州 2019\n```\n\n```\n")[1].split("```")[0].strip().splitlines()
    )
    for line in shown:
        assert line in told, told

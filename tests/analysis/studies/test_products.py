"""Interacted effects, traits times years or a trend, and lagged controls: a study against columns by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.did import two_way
from analysis.studies.records import Study
from analysis.studies.run import run_exhibit
from analysis.studies.spec import catalogue, load

PATH = catalogue()["low_carbon_cities"]
CONTROLS = "controls: [ln_pgdp, secondary, fin, ln_density, fdi]"
EFFECTS = "fixed_effects: [unit, time]"


@pytest.fixture
def changed(tmp_path: Path):
    """The study of low-carbon cities with some of its lines in other words."""

    def make(**lines: str) -> Study:
        text = PATH.read_text(encoding="utf-8")
        for key, new in lines.items():
            old = {"controls": CONTROLS, "fixed_effects": EFFECTS}[key]
            assert text.count(old) == 1
            text = text.replace(old, new)
        (tmp_path / PATH.name).write_text(text, encoding="utf-8")
        return load(tmp_path / PATH.name)

    return make


def estimated(study: Study, panel: pd.DataFrame) -> pd.Series:
    found = run_exhibit(study, "table_2", panel, is_sample=True, cities=CITIES).estimates
    return found[found["model"] == "(2)"].set_index("term").loc["low_carbon"]


def test_years_of_each_province_are_swept_out(changed) -> None:
    study = changed(fixed_effects="fixed_effects: [city, province x year]")
    assert study.fixed_effects == ("unit", "province_code x time")
    panel = make_panel(study)
    by_hand = panel.merge(CITIES[["city_code", "province_code"]], on="city_code")
    by_hand["both"] = by_hand["province_code"].astype(str) + "/" + by_hand["year"].astype(str)
    expected = two_way(
        *(by_hand, "ln_co2", "low_carbon", study.controls),
        unit="city_code",
        time="year",
        fixed_effects=["unit", "both"],
        cluster="unit",
    )
    row = estimated(study, panel)
    assert row["estimate"] == pytest.approx(expected.table.loc["low_carbon", "estimate"], rel=1e-9)
    assert row["se"] == pytest.approx(expected.table.loc["low_carbon", "se"], rel=1e-9)
    assert study.label("province_code x time").en == "province_code × year"


def test_a_trait_has_a_trend_or_a_slope_of_each_year(changed) -> None:
    study = changed(controls="controls: [fin, longitude x trend, secondary x year]")
    assert study.controls[:3] == ("fin", "longitude x trend", "secondary x 2007")
    assert len(study.controls) == 2 + 13
    panel = make_panel(study)
    by_hand = panel.merge(CITIES[["city_code", "longitude"]], on="city_code")
    by_hand["trend"] = by_hand["longitude"] * (by_hand["year"] - 2006)
    slopes = []
    for year in range(2007, 2020):
        by_hand[f"s{year}"] = by_hand["secondary"] * (by_hand["year"] == year)
        slopes.append(f"s{year}")
    expected = two_way(by_hand, "ln_co2", "low_carbon", ["fin", "trend", *slopes], unit="city_code", time="year")
    row = estimated(study, panel)
    assert row["estimate"] == pytest.approx(expected.table.loc["low_carbon", "estimate"], rel=1e-8)
    assert row["se"] == pytest.approx(expected.table.loc["low_carbon", "se"], rel=1e-8)


def test_controls_of_the_year_before_are_columns_of_the_panel(changed) -> None:
    study = changed(controls="controls: [ln_pgdp, fin]\ncontrols_lag: 2")
    assert study.controls == ("ln_pgdp_lag_2", "fin_lag_2")
    late = {variable.name: variable for variable in study.variables}["ln_pgdp_lag_2"]
    assert (late.lag, late.source, late.scale, late.label.en) == (
        2,
        "gdp_per_capita_yuan",
        "log",
        "GDP per head, ln, 2 years before",
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"fixed_effects": "fixed_effects: [unit, provinze x year]"}, "'provinze' is not 'unit', 'time'"),
        ({"controls": "controls: [fin x trent]"}, "'trent' is not 'trend', 'year'.*the nearest is 'trend'"),
        ({"controls": "controls: [region x trend]"}, "'region' is not 'trend', 'year'"),
        ({"controls": "controls: [trend]"}, "'trend' is not a variable of this study"),
    ],
)
def test_a_factor_that_does_not_exist_is_named(changed, line, said) -> None:
    with pytest.raises(ValueError, match=f"low_carbon_cities.yaml, line [0-9]+, key .*{said}"):
        changed(**line)

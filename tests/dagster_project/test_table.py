"""`pilotcity table` and `pilotcity panel` on a publication of one small study."""

from __future__ import annotations

import io

import docx
import pandas as pd
import pyreadstat
import pytest

from analysis.studies.records import Shown
from dagster_project import cli, overlay, publication
from dagster_project.commands import panel, table
from dagster_project.paths import Paths


@pytest.fixture
def published(paths, candidate, monkeypatch):
    """A publication with the panel of a study of an own folder, two of whose tables are short."""
    monkeypatch.setenv("PILOTCITY_DATA", str(paths.data))
    monkeypatch.setenv("PILOTCITY_STUDIES", "carbon_market")
    monkeypatch.setenv("PILOTCITY_OWN", str(paths.data / "own"))
    monkeypatch.delenv("PILOTCITY_RAW", raising=False)
    monkeypatch.setattr(publication, "fingerprint", lambda paths: {"raw": "there abc", "code": "d", "lock": "e"})
    from analysis.studies.new import new_study

    path = new_study("carbon_market", paths.data / "own")[0]
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("exhibits: standard")].replace("policy: carbon_market", "policy: ai_pilot_zones")
    text += """\
exhibits:
  table_2:
    kind: regression
    title: Baseline
    show: all
    table: {decimals: 2, errors: p}
    columns: [{label: "(1)", outcome: ln_pgdp, drop: all controls}]
"""
    path.write_text(text, encoding="utf-8")
    folder = candidate(1)
    (study,) = overlay.studies(Paths.from_environment())
    codes = pd.read_csv(table.REFERENCE / "cities.csv", dtype=str)["city_code"].head(30)
    frame = pd.MultiIndex.from_product([codes, range(2006, 2012)], names=["city_code", "year"]).to_frame(index=False)
    frame["adoption"] = frame["city_code"].map(lambda code: 2008.0 if code < codes[12] else None)
    frame[study.treatment] = (frame["year"] >= frame["adoption"]).astype(int)
    for number, variable in enumerate(study.variables):
        frame[variable.name] = (frame.index * (7 + 4 * number) % 31) / 31 + number
    frame.to_parquet(folder / "data" / "panels" / "carbon_market.parquet", index=False)
    dictionary = pd.DataFrame(
        {"study": "carbon_market", "column_name": ["year"], "label_en": ["Year"], "unit": ["year"]}
    )
    dictionary.to_parquet(folder / "data" / "panels" / "data_dictionary.parquet", index=False)
    publication.publish(paths)
    return paths


def test_a_table_is_printed_as_the_yaml_says_and_as_is_asked_for(published, capsys):
    assert cli.main(["table", "carbon_market", "table_2"]) == 0
    usual = capsys.readouterr().out
    assert "p values from standard errors clustered by city in brackets" in usual and "SAMPLE DATA" in usual
    assert cli.main(["table", "carbon_market", "table_2", "--show", "errors=se", "decimals=5", "rows=N"]) == 0
    asked = capsys.readouterr().out
    assert "180" in asked and "treated" not in asked.lower().split("standard errors")[0]


def test_a_table_is_written_in_each_format_that_is_asked_for(published, tmp_path, capsys):
    formats = ",".join(word for word in table.FORMATS if word != "text")
    assert cli.main(["table", "carbon_market", "table_2", "--format", formats, "-o", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"carbon_market_table_2.{suffix}" for suffix in table.FORMATS.values() if suffix}
    document = docx.Document(io.BytesIO((tmp_path / "out" / "carbon_market_table_2.docx").read_bytes()))
    assert document.tables[0].rows[0].cells[1].text == "(1)"
    assert "reghdfe ln_pgdp treated" in (tmp_path / "out" / "carbon_market_table_2.do").read_text()
    assert (
        cli.main(["table", "carbon_market", "table_2", "--format", "tex", "--language", "zh", "-o", str(tmp_path)]) == 0
    )
    assert "ctex" in (tmp_path / "carbon_market_table_2.zh.tex").read_text(encoding="utf-8")


def test_p_values_of_the_bootstrap_stand_below_where_they_are_asked_for(published, capsys, monkeypatch):
    assert cli.main(["table", "carbon_market", "table_2", "--show", "errors=bootstrap"]) == 0
    said = capsys.readouterr().out
    assert "p values of the wild cluster bootstrap in brackets" in said
    assert said.count("[0.") == 1 or "[1." in said


def test_what_cannot_be_shown_is_said_with_what_can(published, capsys):
    for arguments, said in (
        (["--show", "rows=absent"], "table_2 has no row 'absent'"),
        (["--format", "word"], "expected text, md, tex"),
    ):
        assert cli.main(["table", "carbon_market", "table_2", *arguments]) == 1
        assert said in capsys.readouterr().err
    for word, said in (
        ("errors=ses", "expected se, t, p, interval, bootstrap, none"),
        ("digits=3", "expected KEY=VALUE with a key of decimals, errors"),
        ("truth=maybe", "expected yes or no"),
        ("decimals=x", "expected a whole number from 0 to 8"),
    ):
        with pytest.raises(ValueError, match=said):
            table.choices(Shown(), [word])


def test_choices_replace_those_of_the_study_one_by_one():
    usual = Shown(rows=("did",), decimals=3)
    assert table.choices(usual, ["errors=t", "published=no"]) == Shown(("did",), 3, "t", False)


def test_a_panel_is_written_with_names_and_labels_for_each_program(published, tmp_path, capsys):
    assert cli.main(["panel", "carbon_market", "--format", ",".join(panel.FORMATS), "-o", str(tmp_path / "out")]) == 0
    assert "180 rows" in capsys.readouterr().out
    frame, about = pyreadstat.read_dta(str(tmp_path / "out" / "carbon_market.dta"))
    assert {"city", "city_zh", "province_en", "region"} <= set(frame.columns)
    assert about.column_names_to_labels["city_en"] == "City, romanised"
    assert about.column_names_to_labels["city"].endswith(", as a number for xtset")
    assert pd.read_excel(tmp_path / "out" / "carbon_market.xlsx", sheet_name="columns", engine="calamine").shape[1] == 2
    assert cli.main(["panel", "city_year", "-o", str(tmp_path / "out")]) == 0
    assert cli.main(["panel", "city_yaer"]) == 1
    assert "the nearest is 'city_year'" in capsys.readouterr().err

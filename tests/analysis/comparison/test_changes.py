"""Two publications beside each other: a planted correction is found in its cell and explains the estimate it moved."""

import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.comparison import COLUMNS, Snapshot, compare, headline
from analysis.comparison.changes import shaped
from analysis.studies import spec
from analysis.studies.records import FilePanel
from analysis.studies.run import run_exhibit

STUDY = spec.load(spec.catalogue()["low_carbon_cities"])
TABLE = headline(STUDY)
#: File -> cells of it that are corrected: indicator, column of the panel, city, year, by how much.
CORRECTIONS = {
    "2012.xlsx": [("co2_ceads", "ln_co2", "330500", 2012, 2.0), ("co2_ceads", "ln_co2", "110000", 2012, -1.5)],
    "2015.xlsx": [("co2_ceads", "ln_co2", "330500", 2015, 3.0), ("deposits", "fin", "440100", 2015, 4.0)],
}
FORMULAS = pd.DataFrame(
    [
        ("panel", "co2_ceads_tonne", "formula", "co2_ceads", "tonne", "CO2."),
        ("panel", "financial_depth", "formula", "deposits / gdp", "", "Depth."),
        ("indicator", "co2_ceads", "indicator", None, "tonne", "CO2 emissions (碳排放量)."),
        ("indicator", "deposits", "indicator", None, "10k_yuan", "Deposits (存款)."),
    ],
    columns=["layer", "name", "kind", "formula", "unit", "description"],
)
CELL = ["file", "sheet", "row", "column", "header", "indicator", "city_code", "unit_code", "year"]
FINDINGS = pd.DataFrame(columns=["study", "severity", "code", "exhibit", "model", "variable", "title", "title_zh"])


def tables(corrected: Collection[str] = (), dropped: str = "") -> dict[str, pd.DataFrame]:
    """The tables of a publication of the study, with some files corrected."""
    panel = make_panel(STUDY)
    cells = []
    for file, those in CORRECTIONS.items():
        for row, (indicator, column, city, year, by) in enumerate(those, start=7):
            at = panel["city_code"].eq(city) & panel["year"].eq(year)
            value = 10.0 + (by if file in corrected else 0)
            panel.loc[at, column] += by if file in corrected else 0
            place = (file, "Sheet1", row, "C", "header", indicator, city, city, year)
            cells.append((*place, f"{value:g}", value, None, None))
    files = pd.DataFrame(
        [(file, "yearbook", f"{file}{file in corrected}", 30, 2) for file in CORRECTIONS],
        columns=["file", "source", "sha256", "rows", "cells"],
    )
    panel = panel[panel["city_code"].ne(dropped)]
    return {
        "quality.files": files,
        "quality.rejects": pd.DataFrame(columns=["rule", "city_code", "year"]),
        "lineage.cells": pd.DataFrame(cells, columns=[*CELL, "text", "value", "rule", "message"]),
        "lineage.formulas": FORMULAS,
        "panels.low_carbon_cities": panel,
        "estimates.estimates": run_exhibit(STUDY, TABLE.name, panel, is_sample=True, cities=CITIES).estimates,
    }


def snapshot(version: str, held: dict[str, pd.DataFrame], broken: int = 0) -> Snapshot:
    def read(name: str, files: Collection[str] | None) -> pd.DataFrame:
        table = held.get(name, pd.DataFrame())
        return table if files is None or table.empty else table[table["file"].isin(list(files))]

    check = ("panels.low_carbon_cities", "a key is a key", True, not broken, broken, 100)
    checks = pd.DataFrame([check], columns=["layer", "rule", "blocking", "passed", "failing", "rows"])
    return Snapshot(version, True, read, FINDINGS, checks)


@pytest.fixture(scope="module")
def before() -> dict[str, pd.DataFrame]:
    return tables()


@pytest.fixture(scope="module")
def found(before):
    return compare(snapshot("old", before), snapshot("new", tables(CORRECTIONS), 3), [STUDY], CITIES)


def test_the_same_publication_has_not_changed(before):
    same = compare(snapshot("old", before), snapshot("new", before), [STUDY], CITIES)
    assert same.table.empty
    assert same.sentence.en == "Nothing that is published has changed."


def test_files_cells_values_and_checks_are_told_where_they_stand(found):
    assert found.part("file")["file"].tolist() == list(CORRECTIONS)
    cell = found.part("cell").query("file == '2012.xlsx' and city_code == '330500'").iloc[0]
    assert (cell["sheet"], cell["row"], cell["column"], cell["item"]) == ("Sheet1", 7, "C", "co2_ceads")
    assert (cell["old_text"], cell["new_text"], cell["change"]) == ("10", "12", "changed")
    assert len(found.part("cell")) == 4
    value = found.part("value").query("city_code == '440100'").iloc[0]
    assert (value["item"], value["change"]) == ("fin", "changed")
    assert value["new"] - value["old"] == pytest.approx(4)
    check = found.part("check").iloc[0]
    assert (check["change"], check["new"]) == ("newly broken", 3)
    assert found.sentence.en.startswith("2 files changed; 4 values of panels; ")
    assert found.sentence.en.endswith("1 check newly broken.")
    assert "2个文件有变化" in found.sentence.zh


def test_the_parts_of_every_estimate_add_up_to_its_change_on_each_level(found):
    assert {reason.model for reason in found.reasons} == {"(1)", "(2)", "(4)"}
    for reason in found.reasons:
        assert not reason.note
        change = reason.now - reason.before
        assert math.fsum(part.part for part in reason.causes) == pytest.approx(change, rel=1e-12)
        # column (4) has another outcome: only the control that one file corrects touches it
        assert {part.group for part in reason.causes} == (set(CORRECTIONS) if reason.model != "(4)" else {"2015.xlsx"})
        for cause in reason.causes:
            for level in ("city", "year"):
                members = [part.part for part in reason.parts if part.level == level and part.of == cause.group]
                assert math.fsum(members) == pytest.approx(cause.part, rel=1e-9)


def test_a_file_gets_what_undoing_it_alone_takes_away_where_files_do_not_interact(found):
    reason = next(reason for reason in found.reasons if reason.model == "(1)")
    alone = tables(["2012.xlsx"])["estimates.estimates"]
    with_it = alone.loc[alone["model"].eq("(1)") & alone["term"].eq(STUDY.treatment), "estimate"].iloc[0]
    part = next(part.part for part in reason.causes if part.group == "2012.xlsx")
    # a regression without controls is linear in its outcome
    assert part == pytest.approx(with_it - reason.before, rel=1e-9)
    values = [part.part for part in reason.parts if part.level == "value" and part.of == "2012.xlsx"]
    assert math.fsum(values) == pytest.approx(part, rel=1e-9)


def test_words_name_the_correction_its_city_and_its_file(before):
    held = tables()
    fresh = tables(["2015.xlsx"])
    held |= {name: fresh[name] for name in ("quality.files", "panels.low_carbon_cities", "estimates.estimates")}
    cells = held["lineage.cells"].copy()
    at = cells["file"].eq("2015.xlsx") & cells["indicator"].eq("co2_ceads")
    cells.loc[at, ["text", "value"]] = ["13", 13.0]
    found = compare(snapshot("old", before), snapshot("new", held | {"lineage.cells": cells}), [STUDY], CITIES)
    causes = found.part("reason").query("change == 'cause' and model == '(1)'")
    assert causes["message"].tolist() == ["the corrected CO2 emissions of Huzhou in 2015 (2015.xlsx)"]
    assert causes["message_zh"].tolist() == ["2015.xlsx中湖州市2015年碳排放量的更正"]


def test_cells_of_a_panels_own_file_are_told_with_their_row(before):
    own = FilePanel("panels/own.xlsx", Path("own.xlsx"), "Data", "firm", "period", None, "since")
    study = replace(STUDY, name="own", panel=own, exhibits=())
    file = pd.DataFrame([("panels/own.xlsx", "own", "a", 4, 12)], columns=["file", "source", "sha256", "rows", "cells"])
    rows = {"firm": ["a", "a", "b"], "period": [1, 2, 1], "file_row": [2, 3, 4], "y": ["1.0", None, "n/a"]}
    was = {**before, "quality.files": file, "lineage.panel_own": pd.DataFrame({**rows, "gone": "1"})}
    rows = {"firm": ["a", "a", "c"], "period": [1, 2, 1], "file_row": [2, 4, 9], "y": ["1.5", None, "7"]}
    new = {**was, "lineage.panel_own": pd.DataFrame({**rows, "fresh": "2"})}
    new["quality.files"] = file.assign(sha256="b")
    cells = compare(snapshot("old", was), snapshot("new", new), [study], CITIES).part("cell")
    shown = cells[["change", "file", "sheet", "row", "item", "city_code", "year", "old_text", "new_text"]]
    place = ("panels/own.xlsx", "Data")
    assert shown.fillna("").values.tolist() == [
        ["changed", *place, 2, "y", "a", 1, "1.0", "1.5"],
        ["removed", *place, 4, "y", "b", 1, "n/a", ""],
        ["new", *place, 9, "y", "c", 1, "", "7"],
    ]
    assert cells["new"].tolist()[0] == 1.5
    # the same file says the same
    new["quality.files"] = file
    assert compare(snapshot("old", was), snapshot("new", new), [study], CITIES).part("cell").empty


def test_rows_that_are_gone_take_their_part(before):
    found = compare(snapshot("old", before), snapshot("new", tables(dropped="330500")), [STUDY], CITIES)
    assert set(found.part("value")["change"]) == {"row gone"}
    for reason in found.reasons:
        assert math.fsum(part.part for part in reason.causes) == pytest.approx(reason.now - reason.before, rel=1e-12)


def test_a_p_that_moves_alone_is_told_with_both_values(before):
    other = before | {"estimates.estimates": before["estimates.estimates"].copy()}
    other["estimates.estimates"].loc[0, "p"] = 0.5
    table = compare(snapshot("old", before), snapshot("new", other), [STUDY], CITIES).table
    (row,) = table[table["part"].eq("estimate")].to_dict("records")
    was = before["estimates.estimates"].loc[0]
    assert (row["change"], row["model"], row["term"]) == ("moved", was["model"], was["term"])
    assert row["old"] == row["new"] == was["estimate"]
    assert row["old_text"].endswith(f", p = {was['p']:.4g}") and row["new_text"].endswith(", p = 0.5")


def test_what_no_value_explains_is_the_specification_or_the_code(before):
    other = before | {"estimates.estimates": before["estimates.estimates"].copy()}
    other["estimates.estimates"]["estimate"] += 0.125
    found = compare(snapshot("old", other), snapshot("new", tables(["2012.xlsx"])), [STUDY], CITIES)
    for reason in found.reasons:
        parts = {part.group: part.part for part in reason.causes}
        assert parts["specification or code"] == pytest.approx(-0.125)


def test_an_estimate_that_todays_code_does_not_reproduce_is_not_split(before):
    now = tables(["2012.xlsx"])
    now["estimates.estimates"]["estimate"] += 1
    found = compare(snapshot("old", before), snapshot("new", now), [STUDY], CITIES)
    assert all("not split" in reason.note for reason in found.reasons)
    assert (found.part("reason")["change"] == "not split").all()


def test_sample_and_real_data_are_never_compared(before):
    real = replace(snapshot("new", before), is_sample=False)
    found = compare(snapshot("old", before), real, [STUDY], CITIES)
    assert found.table["part"].tolist() == ["note"]
    assert "nothing is compared" in found.sentence.en


def test_the_table_has_its_columns_and_types_also_where_it_is_empty():
    assert list(shaped(pd.DataFrame()).columns) == list(COLUMNS)
    assert shaped(pd.DataFrame({"old": [1]}))["old"].dtype == np.float64

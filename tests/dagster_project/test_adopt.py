"""Unknown files: `pilotcity adopt` drafts their contract, `pilotcity read` shows each cell right or set aside."""

import json

import pandas as pd
import pytest

from dagster_project.cli import main

ROWS = {("130100", 2019): 5809.9, ("130200", 2019): 6890.0, ("130300", 2019): 1612.0}
ASIDE = "set aside"


@pytest.fixture
def cells(tmp_path, capsys):
    """Adopts a file into a folder of its own and reads it; what `adopt` said is in ``attrs``."""

    def read(path) -> pd.DataFrame:
        own = tmp_path / "own"
        assert main(["adopt", str(path), "--own", str(own), "--yes"]) == 0
        said = capsys.readouterr().out
        assert main(["read", str(path), "--own", str(own), "--json"]) == 0
        printed = capsys.readouterr()
        columns = ["source", "file", "sheet", "row", "column", "header", "city_code", "year", "indicator"]
        columns += ["text", "value", "unit", "rule", "message"]
        found = pd.DataFrame([json.loads(line) for line in printed.out.splitlines()], columns=columns, dtype=object)
        found.attrs = {"said": said, "missed": printed.err}
        return found

    return read


def accepted(found: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Values that are believed, by city and year; fails where one stands twice."""
    rows = found[found.rule.isna() & found.value.notna()]
    assert not rows.duplicated(["city_code", "year", "indicator"]).any()
    return {(row.city_code, row.year): row.value for row in rows.itertuples()}


def at(found: pd.DataFrame, row: int, column: int, sheet: str | None = None) -> tuple[object, ...]:
    """City, year, value and unit of a cell, or its rule if it is set aside."""
    rows = found[(found.row == row) & (found.column == column)]
    if sheet is not None:
        rows = rows[rows.sheet == sheet]
    (cell,) = rows.itertuples()
    if cell.rule:
        assert cell.message.endswith(".")
        return ASIDE, cell.rule
    return cell.city_code, cell.year, cell.value, cell.unit


@pytest.mark.parametrize(
    "name",
    [
        *("gbk.csv", "semicolon.csv", "tab_named.csv", "table.tsv", "utf16.csv", "unicode_text.txt", "tsv_named.xls"),
        *(
            "html_named.xls",
            "panel.sav",
            "stata14_utf8.dta",
            "stata13_gb18030.dta",
            "encoded_city.dta",
            "dup_labels.dta",
        ),
    ],
)
def test_a_file_is_read_by_what_is_in_it_whatever_its_name_and_encoding(cells, cases, name):
    found = cells(cases(f"intake/{name}"))
    assert accepted(found) == ROWS
    assert found[["row", "column"]].to_numpy().tolist() == [[2, 3], [3, 3], [4, 3]]
    assert found.unit.isna().all()
    assert "in which unit?" in found.attrs["said"]


LAYOUTS = {
    "biff_old.xls": {(2, 3): ("130100", 2019, 5809.9, "亿元")},
    "wide_years.xlsx": {
        (2, 2): ("130100", 2019, 5809.9, None),
        (2, 3): ("130100", 2020, 5935.1, None),
        (2, 4): ("130100", 2021, 6490.3, None),
        (3, 4): ("130200", 2021, 8230.6, None),
    },
    "indicator_in_rows.xlsx": {
        (2, 6): ("130100", 2019, 5809.9, "亿元"),
        (3, 6): ("130100", 2019, 1052.0, "万人"),
        (5, 6): ("130200", 2019, 1052.0, "万人"),
    },
    "city_merged_down.xlsx": {
        (2, 3): ("130100", 2019, 5809.9, "亿元"),
        (3, 3): ("130100", 2020, 5935.1, "亿元"),
        (4, 3): ("130200", 2019, 6890.0, "亿元"),
        (5, 3): ("130200", 2020, 7210.9, "亿元"),
    },
    "side_by_side.xlsx": dict.fromkeys([(2, 2), (3, 2), (2, 5), (3, 5)], (ASIDE, "unknown_year")),
    "two_tables_one_sheet.xlsx": {(row, 2): (ASIDE, "unknown_year") for row in (3, 4, 8, 9)},
    "merged_header_2019.xls": {
        (4, 2): ("130100", 2019, 5809.9, "亿元"),
        (4, 3): ("130100", 2019, 3900.0, "亿元"),
        (4, 4): ("130100", 2019, 1052.0, "万人"),
        (4, 5): ("130100", 2019, 430.0, "万人"),
    },
    "duplicate_headers.xlsx": {(2, column): (ASIDE, "equal_headers") for column in (3, 4, 5, 6)},
    "bilingual_names.xlsx": {(row, 2): (ASIDE, "unknown_year") for row in (3, 4, 6)},
    "formula_no_cache.xlsx": {(2, 3): (ASIDE, "formula_without_value"), (3, 3): ("130200", 2019, 6890.0, None)},
    "english_names.xlsx": {
        **{(row, 3): (ASIDE, "ambiguous_city") for row in (2, 3, 6, 7)},
        **{(row, 3): (ASIDE, "unknown_city") for row in (4, 5, 8, 9)},
    },
    "provinces.xlsx": {
        (2, 3): ("110000", 2019, 35000.0, "亿元"),
        (3, 3): ("130000", 2019, 35000.0, "亿元"),
        (4, 3): ("220000", 2019, 11700.0, "亿元"),
        (5, 3): ("460000", 2019, 5300.0, "亿元"),
    },
    "monthly.xlsx": {(row, 4): (ASIDE, "part_only") for row in range(2, 14)},
    "new_variable.xlsx": {
        (2, 3): ("130100", 2018, 8008.0, None),
        (5, 3): ("130200", 2019, 8009.0, None),
    },
}
LAYOUTS["merged_header_2019.csv"] = LAYOUTS["merged_header_2019.xls"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_right_or_set_aside(cells, cases, name):
    found = cells(cases(f"intake/{name}"))
    for (row, column), expected in LAYOUTS[name].items():
        assert at(found, row, column) == expected
    assert set(found[found.value.notna()][["row", "column"]].itertuples(index=False, name=None)) <= {
        *LAYOUTS[name],
        *([(3, 2), (3, 3)] if name == "wide_years.xlsx" else []),
        *([(4, 6)] if name == "indicator_in_rows.xlsx" else []),
        *([(3, 3), (4, 3)] if name == "new_variable.xlsx" else []),
    }


def test_columns_under_one_merged_header_are_indicators_of_their_own(cells, cases):
    assert cells(cases("intake/merged_header_2019.xls")).indicator.nunique() == 4


def test_two_tables_of_a_sheet_are_never_mixed(cells, cases):
    found = cells(cases("intake/two_tables_one_sheet.xlsx"))
    assert found[found.value.notna()].groupby("indicator").row.agg(list).tolist() == [[3, 4], [8, 9]]


def test_a_header_that_moves_is_found_on_each_sheet(cells, cases):
    found = cells(cases("intake/sheet_per_year_header_moves.xlsx"))
    assert at(found, 3, 2, "2019") == ("130100", 2019, 5809.9, "亿元")
    assert at(found, 4, 2, "2020") == ("130100", 2020, 5810.9, "亿元")
    assert len(found) == 2


GDP = {
    2: 5809.9,
    3: 6890.0,
    4: 1612.0,
    5: 3486.0,
    6: 2119.4,
    7: 3772.0,
    8: 1551.1,
    9: 1471.0,
    10: None,
    11: 3196.0,
    12: 1504.9,
    13: 4028.51,
}
SHARE = {2: 45.2, 3: 0.55, 4: None, 5: None, 6: 45.0, 7: None, 8: None, 9: None, 10: None, 11: None}


def test_numbers_are_read_however_they_are_written(cells, cases):
    found = cells(cases("intake/ugly_numbers.xlsx"))
    first = found[found.sheet == found.sheet.iloc[0]]
    values = {column: dict(zip(part.row, part.value, strict=True)) for column, part in first.groupby("column")}
    assert values[3] == GDP
    assert {row: value for row, value in values[4].items() if row < 12} == SHARE
    assert first[first.value.isna() & (first.row < 12)].rule.isna().all()
    assert at(first, 12, 4) == at(first, 13, 4) == (ASIDE, "not_a_number")
    assert at(first, 5, 3)[3] == "亿元"
    assert at(first, 2, 4)[3] == "%"
    assert at(found, 2, 3, "pct") == ("130100", 2019, 45.2, "%")


PLACES = {
    2: "ambiguous_city",
    3: ("341300", 2018),
    4: ("360900", 2016),
    5: ("610800", 2015),
    6: "city_and_province_differ",
    7: "city_and_province_differ",
    8: ("632500", 2019),
    9: "ambiguous_city",
    10: ("130100", 2012),
    11: ("130100", 2010),
    12: ("130100", 2019),
    13: ("130100", 2018),
    14: "unknown_year",
    15: "unknown_year",
    16: "unknown_year",
}


def test_a_place_and_a_year_are_believed_only_where_they_are_told(cells, cases):
    found = cells(cases("intake/places_and_years.csv"))
    assert {r.row: r.rule or (r.city_code, r.year) for r in found.itertuples()} == PLACES


LISTS = ["intake/pilots_by_name.xlsx", "strangers/试点城市名单.xlsx", "strangers/report2021.xlsx"]


@pytest.mark.parametrize("name", [*LISTS, "strangers/Chinese_City_Coordinate.dta"])
def test_lists_and_attributes_are_no_values_of_a_city_and_year(cells, cases, name):
    found = cells(cases(name))
    assert found.empty
    assert "nothing of it is drafted" in found.attrs["said"]


def test_a_list_of_pilots_by_name_becomes_a_policy_list_by_code(cells, cases, tmp_path):
    found = cells(cases("intake/pilots_by_name.xlsx"))
    assert "大兴安岭地区 (232700) is no city of the roster" in found.attrs["said"]
    (path,) = (tmp_path / "own" / "policies").iterdir()
    columns = ["city_code", "adoption", "batch"]
    assert pd.read_csv(path, dtype=str)[columns].to_numpy().tolist() == [
        ["130100", "2012", "第二批"],
        ["320500", "2012", "第二批"],
    ]
    from analysis.studies import policies

    cities = {"130100": "石家庄市", "320500": "苏州市"}
    assert policies.faults(path, cities) == []


def test_what_has_no_year_becomes_attributes_that_studies_may_name(cells, cases, tmp_path):
    from dagster_project import overlay
    from dagster_project.paths import Paths

    cells(cases("strangers/report2021.xlsx"))
    paths = Paths(tmp_path, tmp_path, is_sample=False, own=tmp_path / "own")
    tiers = overlay.cities(paths, dtype=str).set_index("city_code")["level2021"]
    assert (tiers["110000"], tiers["220200"], len(tiers)) == ("一线", "四线", 297)
    assert "level2021" in overlay.known(paths).city_columns
    own = tmp_path / "own" / "cities.csv"
    own.write_text("city_code,region,tier\n110000,x,1\n110001,x,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'region' is one of data/reference/cities.csv too") as told:
        overlay.cities_csv(paths)
    assert "line 3, column 'city_code': '110001' is no city" in str(told.value)


def test_a_new_indicator_never_takes_a_name_that_stands_already(cells, tmp_path):
    path = tmp_path / "growth.csv"
    path.write_text("城市,年份,地区生产总值,地区生产总值增长率(%)\n广州市,2018,22859,6.2\n深圳市,2018,24222,7.6\n")
    assert set(cells(path).indicator) == {"gdp_growth", "gdp_growth_2"}


LABELLED = ("panel.dta", {"pop": "年末户籍人口(万人)"})


def test_variable_labels_say_what_a_column_of_stata_is(cells, tmp_path):
    name, labels = LABELLED
    frame = pd.DataFrame({"city": ["济南市", "青岛市"], "yr": [2012, 2012], "pop": [600.5, 700.5]})
    frame.to_stata(tmp_path / name, version=118, write_index=False, variable_labels=labels)
    found = cells(tmp_path / name)
    assert set(found.indicator) == {"population_registered"}
    assert accepted(found) == {("370100", 2012): 600.5, ("370200", 2012): 700.5}
    (drafted,) = (tmp_path / "own" / "contracts").iterdir()
    assert drafted.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../schema/contract.json\n")


def test_places_of_another_kind_never_reach_a_city_of_the_roster(cells, cases, roster):
    found = cells(cases("strangers/58tongcheng_city_avg_price_annual_2010-2024.csv"))
    printed = pd.read_csv(cases("strangers/58tongcheng_city_avg_price_annual_2010-2024.csv"))
    believed = found[found.rule.isna() & found.city_code.isin(roster.index)]
    place = printed.iloc[believed.row.astype(int) - 2].reset_index(drop=True)
    code = believed.reset_index(drop=True).city_code
    assert (place.city == roster.loc[code, "short"].to_numpy()).all()
    assert (place.province == roster.loc[code, "province"].to_numpy()).all()
    assert code.nunique() == 294
    assert set(found[found.city_code == "632500"].row) == {
        n + 2 for n in printed.index[(printed.city == "海南") & (printed.province == "青海")]
    }


@pytest.fixture(scope="module")
def roster():
    from dagster_project.paths import REFERENCE

    cities = pd.read_csv(REFERENCE / "cities.csv", dtype=str).set_index("city_code")
    short = cities.province_zh.str.replace("(省|市|维吾尔自治区|壮族自治区|回族自治区|自治区)$", "", regex=True)
    return pd.DataFrame({"short": cities.name_zh.str.removesuffix("市"), "province": short})


def test_a_table_of_provinces_gives_provinces(cells, cases):
    found = cells(cases("strangers/31省存贷款.xlsx"))
    assert set(found.city_code.dropna().str[2:]) == {"0000"}
    assert found.city_code.nunique() == 31
    assert found.rule.isna().all()
    assert set(found.column) == {4, 5, 6, 7, 8}
    assert set(found[found.column == 7].indicator) == {"gdp"}


def test_two_sheets_of_the_same_numbers_agree_cell_by_cell(cells, cases):
    found = cells(cases("strangers/ceads_gp.xlsx"))
    assert set(found.sheet) == {"emission vector", "emission matrix"}
    assert set(found.unit) == {"百万吨"}
    believed = found[found.rule.isna() & found.value.notna()]
    vector, matrix = (part.set_index(["city_code", "year"]).value for _, part in believed.groupby("sheet", sort=True))
    both = pd.concat([vector, matrix], axis=1, keys=["v", "m"]).dropna()
    assert len(both) > 3900
    assert (both.v == both.m).all()
    assert ("220200", 2010) in both.index


def test_a_code_that_is_none_is_set_aside_with_its_name(cells, cases):
    found = cells(cases("strangers/china_urban_population.xlsx"))
    aside = found[found.rule.notna()]
    assert set(aside.rule) == {"unknown_code"}
    assert aside.message.str.contains("480900' beside '茂名").sum() == 3


def test_a_panel_of_stata_keeps_its_treatment_and_kinds_out_of_the_indicators(cells, cases):
    found = cells(cases("strangers/毕业论文数据.dta"))
    kept = set(found.header)
    assert not kept & {"city_id", "city", "year", "did", "event_year", "region_type", "autonomous_region"}
    assert {"debt", "lri_2", "lri_3"} <= kept
    assert found.rule.isna().all()
    assert found[found.header == "debt"].value.notna().all()
    assert found[found.header == "lri_2"].value.isna().sum() == 416


def test_a_file_that_is_claimed_is_left_alone(cells, cases, tmp_path, capsys):
    path = cases("intake/new_variable.xlsx")
    cells(path)
    before = {p: p.read_bytes() for p in (tmp_path / "own").rglob("*") if p.is_file()}
    assert main(["adopt", str(path), "--own", str(tmp_path / "own"), "--yes"]) == 0
    assert "claims it already" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in (tmp_path / "own").rglob("*") if p.is_file()} == before


def test_a_file_that_no_contract_claims_is_said(tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("city,year,gdp\n")
    assert main(["read", str(path), "--own", str(tmp_path / "own"), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "No contract claims x.csv" in printed.err

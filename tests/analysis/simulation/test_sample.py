"""The files of the sample world: they carry the truth exactly, look worn, and hold every fault of the ledger."""

import csv
import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from analysis.simulation import patents, yearbook
from analysis.simulation.draws import YEARS
from analysis.simulation.faults import plan
from analysis.simulation.sample import write_patents, write_sample, write_yearbooks
from analysis.simulation.truth import true_effect
from analysis.simulation.world import CONTROLS, draw_world
from analysis.simulation.yearbook import APART, FORMER_NAMES, SAMPLE_MARK

#: One worker writes the files that all of these read.
pytestmark = pytest.mark.xdist_group("sample files")
ROOT = Path(__file__).resolve().parents[3]
QUIET = {"progress": lambda line: None}
MISSING = {"", "-", "…"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def cities():
    return pd.read_csv(ROOT / "data/reference/cities.csv", dtype={"city_code": str})


def clusters():
    return pd.read_csv(ROOT / "data/policies/innovative_clusters.csv", dtype={"city_code": str})


def ai_zones():
    return pd.read_csv(ROOT / "data/policies/ai_pilot_zones.csv", dtype={"city_code": str})


def courts():
    return pd.read_csv(ROOT / "data/reference/courts.csv", dtype=str, keep_default_na=False)


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world():
    return draw_world(cities(), clusters(), seed=0, ai_zones=ai_zones())


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A whole sample of three years, and where it is."""
    folder = tmp_path_factory.mktemp("sample")
    lists = {"cities": cities(), "clusters": clusters(), "ai_zones": ai_zones(), "courts": courts()}
    return folder, write_sample(folder, **lists, years=(2007, 2016), **QUIET)


@pytest.fixture(scope="module")
def books(world, tmp_path_factory):
    """Every workbook as sheets of text (year, sheet) -> rows, and the faults planted in them."""
    folder = tmp_path_factory.mktemp("books") / "yearbook"
    folder.mkdir()
    faults = write_yearbooks(world, folder, YEARS, **QUIET)
    sheets = {}
    for year in YEARS:
        book = CalamineWorkbook.from_path(str(folder / f"{year}年地级市统计年鉴.xlsx"))
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            sheets[int(year), name] = [[text(cell) for cell in row] for row in rows]
    return sheets, faults


def text(cell):
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def number(cell):
    """A worn cell as a number, missing where it bears a mark."""
    plain = cell.translate(str.maketrans("０１２３４５６７８９．－", "0123456789.-")).replace(",", "")
    return np.nan if plain in MISSING else float(plain)


@pytest.fixture(scope="module")
def cells(books, world):
    """Every cell of the main columns but the faulty ones: place, text, canonical value, rounding step."""
    sheets, faults = books
    faulty = {(fault.year, fault.sheet, fault.row, fault.column) for fault in faults}
    whole = {place[:3] for place in faulty if place[3] == "A"}
    found = []
    for year in YEARS:
        for page in yearbook.build(world, int(year)):
            rows = sheets[int(year), page.name]
            for code, line in page.row_of.items():
                row = yearbook.FIRST_ROW + line
                if (int(year), page.name, row) in whole:
                    continue
                for column, name in [(each, name) for each in page.columns for name in each.names]:
                    at = page.position[name]
                    if (int(year), page.name, row, LETTERS[at]) not in faulty:
                        cell = rows[row - 1][at] if at < len(rows[row - 1]) else ""
                        scale = column.scale(int(year))
                        value = number(cell) * scale.factor
                        step = scale.factor * 10.0**-scale.decimals
                        found.append((int(year), code, name, column.unit(int(year)), cell, value, step))
    return pd.DataFrame(found, columns=["year", "code", "indicator", "unit", "text", "value", "step"])


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(sample, tmp_path):
    script = (
        "import sys; from pathlib import Path; import pandas as pd; from analysis.simulation import write_sample\n"
        "text = {'city_code': str}\n"
        "write_sample(Path(sys.argv[1]), cities=pd.read_csv('data/reference/cities.csv', dtype=text),\n"
        "    clusters=pd.read_csv('data/policies/innovative_clusters.csv', dtype=text),\n"
        "    ai_zones=pd.read_csv('data/policies/ai_pilot_zones.csv', dtype=text), years=(2007, 2016),\n"
        "    courts=pd.read_csv('data/reference/courts.csv', dtype=str, keep_default_na=False))"
    )
    changed = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT, env=changed)
    assert hashes(tmp_path) == hashes(sample[0])


def test_another_seed_gives_other_bytes(sample, tmp_path):
    write_sample(tmp_path, cities=cities(), clusters=clusters(), years=(2007,), seed=1, **QUIET)
    mine, other = hashes(sample[0]), hashes(tmp_path)
    assert all(mine[name] != other[name] for name in ("patents/2007.csv", "yearbook/2007年地级市统计年鉴.xlsx"))


def test_the_years_written_do_not_change_the_truth(sample, tmp_path):
    truth = write_sample(tmp_path, cities=cities(), clusters=clusters(), ai_zones=ai_zones(), years=(), **QUIET)
    pd.testing.assert_frame_equal(truth.table, sample[1].table)


def test_a_year_outside_the_world_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no year 1999; it runs from 2000 to 2023"):
        write_sample(tmp_path, cities=cities(), clusters=clusters(), years=(1999,), **QUIET)


def test_every_part_says_that_it_is_a_sample(sample, books):
    folder = sample[0]
    for name in (
        "SAMPLE_DATA.txt",
        "_truth/README.txt",
        "patents/SAMPLE_DATA.txt",
        "yearbook/SAMPLE_DATA.txt",
        "cases/SAMPLE_DATA.txt",
    ):
        assert "SAMPLE DATA" in (folder / name).read_text(encoding="utf-8")
    assert all(SAMPLE_MARK in rows[0][0] for rows in books[0].values())
    with (folder / "patents/2007.csv").open(encoding="utf-8") as stream:
        assert all("样例" in row["申请人"] for row in csv.DictReader(stream))


def test_the_truth_on_disk_is_the_truth_returned(sample):
    folder, truth = sample
    stored = pd.read_parquet(folder / "_truth/truth.parquet")
    pd.testing.assert_frame_equal(stored, truth.table)
    outcomes = ["gti1", "gti2", "eff", "ulgue", "lso", "eship", "techhum", "fintech"]
    columns = [f"{name}_{part}" for name in outcomes for part in ("y0", "y1", "tau")]
    assert list(stored.columns) == ["city_code", "year", "adoption", "ai_adoption", *columns]
    assert len(stored) == 297 * 24
    assert stored.adoption.notna().sum() == 55 * 24
    assert f"gti1: {truth.effects['gti1']:.4f}" in (folder / "_truth/README.txt").read_text(encoding="utf-8")
    ledger = pd.read_csv(folder / "_truth/faults.csv", dtype=str, keep_default_na=False)
    assert ledger.value.tolist() == truth.faults.value.tolist()
    assert set(ledger.file) <= {f"yearbook/{year}年地级市统计年鉴.xlsx" for year in (2007, 2016)}


def is_green(classes):
    return any(code.replace(" ", "").removesuffix("(2006.01)I") in patents.GREEN for code in classes.split(";"))


def in_inventory(code, inventory):
    """Whether a symbol is in the Green Inventory; subgroups order as decimals."""
    main, sub = code[4:].split("/")
    for row in inventory.itertuples():
        if not code.startswith(row.ipc_class):
            continue
        if row.group_from and not int(row.group_from) <= int(main) <= int(row.group_to):
            continue
        low, high, at = (float(f"0.{part}") if part else None for part in (row.subgroup_from, row.subgroup_to, sub))
        if low is None or high is None or low <= at <= high:
            return True
    return False


def test_green_classes_are_in_the_green_inventory_and_the_others_are_not():
    inventory = pd.read_csv(ROOT / "data/reference/green_ipc.csv", dtype=str, keep_default_na=False)
    assert [code for code in patents.GREEN if not in_inventory(code, inventory)] == []
    assert [code for code in patents.OTHER if in_inventory(code, inventory)] == []


def place_of(address, names):
    """City by the longest name at the start of an address, after the province."""
    for start in ("", *names["provinces"]):
        rest = address.removeprefix(start)
        if start == "" or rest != address:
            for length in (5, 4, 3, 6, 7):
                if rest[:length] in names["cities"]:
                    return names["cities"][rest[:length]]
    raise AssertionError(address)


def planted_patents(folder, year):
    """The ledger of a year's patents by row of the file, the header being 1."""
    ledger = pd.read_csv(folder / "_truth/patent_faults.csv", dtype=str)
    return ledger[ledger.file == f"patents/{year}.csv"].astype({"row": int}).set_index("row")


@pytest.mark.parametrize("year", [2007, 2016])
def test_patent_files_carry_exactly_the_true_counts(sample, year):
    folder, truth = sample
    place = cities()
    named = dict(zip(place.name_zh, place.city_code, strict=True))
    named |= {name: code for code, names in FORMER_NAMES.items() for _, name in names} | {"莱芜市": "370100"}
    short = [re_short(name) for name in place.province_zh.unique()]
    names = {"provinces": [*place.province_zh.unique(), *short], "cities": named}
    counts = Counter()
    known = {}
    planted = set(planted_patents(folder, year).index)
    with (folder / f"patents/{year}.csv").open(encoding="utf-8") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            if line not in planted and is_green(row["IPC分类号"]):
                address = row["地址"]
                if address not in known:
                    known[address] = place_of(address, names)
                counts[known[address], row["专利类型"]] += 1
    rows = truth.table[truth.table.year == year]
    for outcome, kind in (("gti1", "发明专利"), ("gti2", "实用新型")):
        expected = dict(zip(rows.city_code, (rows[f"{outcome}_y1"] * 1000).round().astype(int), strict=True))
        assert {code: counts[code, kind] for code in expected} == expected


def re_short(province):
    for ending in ("壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "省"):
        province = province.removesuffix(ending)
    return province


def test_patent_records_look_like_records(sample):
    frame = pd.read_csv(sample[0] / "patents/2007.csv", dtype=str)
    frame = frame.drop(index=planted_patents(sample[0], 2007).index - 2)
    assert frame.申请号.is_unique
    assert frame.申请号.str.fullmatch(r"CN2007[123]\d{7}\.[\dX]").all()
    kind = frame.申请号.str[6].map({"1": "发明专利", "2": "实用新型", "3": "外观设计"})
    assert (kind == frame.专利类型).all()
    assert frame.申请日.str.startswith("2007-").all()
    assert frame.申请日.is_monotonic_increasing
    granted = frame.授权公告日.notna()
    assert 0.4 < granted[kind == "发明专利"].mean() < 0.6
    assert (frame.授权公告日[granted] > frame.申请日[granted]).all()
    assert frame.授权公告日.max() <= "2023-12-31"
    green = frame.IPC分类号.map(is_green)
    assert 0.2 < 1 - green.mean() < 0.35
    assert not green[kind == "外观设计"].any()
    first = frame.IPC分类号[green].str.split(";").str[0].map(is_green)
    assert 0.05 < 1 - first.mean() < 0.4, "some are green by a later class only"
    assert frame.地址.str.contains("襄樊市").any()
    assert frame.地址.str.contains("莱芜市").any()


@pytest.mark.parametrize("year", [2007, 2016])
def test_each_planted_patent_is_what_its_rule_says(sample, year):
    frame = pd.read_csv(sample[0] / f"patents/{year}.csv", dtype=str, keep_default_na=False)
    planted = planted_patents(sample[0], year)
    again = "copy" if year % 2 else "listed_before_grant"
    kinds = [again, "bad_date", "bad_grant", "granted_before_filing", "no_city", "no_city", "garbled_class"]
    assert sorted(planted.kind) == sorted(kinds)
    assert (planted.rule == planted.kind.map(patents.RULES)).all()
    rows = frame.loc[planted.index - 2].set_axis(planted.index)
    assert rows.申请号.tolist() == planted.application_number.tolist()
    for line, row in rows.iterrows():
        kind = planted.kind[line]
        others = frame[(frame.申请号 == row.申请号) & (frame.index != line - 2)]
        assert len(others) == (kind == again), kind
        assert is_green(row.IPC分类号) == (kind != "garbled_class")
        readable = pd.to_datetime(row.申请日, format="%Y-%m-%d", errors="coerce")
        assert pd.isna(readable) == (kind == "bad_date")
        granted = pd.to_datetime(row.授权公告日, format="%Y-%m-%d", errors="coerce")
        assert (row.授权公告日 != "" and pd.isna(granted)) == (kind == "bad_grant")
        assert (granted < readable) == (kind == "granted_before_filing")
        if kind == "copy":
            assert (others.iloc[0] == row).all()
            assert others.index[0] < line - 2
        if kind == "listed_before_grant":
            assert row.授权公告日 == ""
            assert others.授权公告日.iloc[0] != ""
        if kind != "no_city":
            assert any(name in row.地址 for name in cities().name_zh) or "莱芜市" in row.地址 or "襄樊市" in row.地址
        else:
            assert not any(name in row.地址 for name in cities().name_zh)


def test_cities_stand_under_the_names_of_the_time(books):
    def names(year, sheet="综合"):
        return {row[0].rstrip("①②③") for row in books[0][year, sheet]}

    assert {"襄樊市", "毕节地区", "铜仁地区", "莱芜市", "巢湖市"} <= names(2010)
    assert not names(2010) & {"襄阳市", "毕节市", "铜仁市"}
    assert {"伊克昭盟", "思茅地区"} <= names(2000)
    assert not names(2000) & {"来宾市", "中卫市"}
    assert {"鄂尔多斯市", "思茅市"} <= names(2005)
    assert {"襄阳市", "毕节市", "铜仁市", "莱芜市"} <= names(2011)
    assert "巢湖市" not in names(2011)
    assert "莱芜市" in names(2018, "综合经济")
    assert "莱芜市" not in names(2019, "综合经济")


def test_yearbooks_are_as_worn_as_real_ones(books, cells):
    texts = set(cells.text)
    assert {"", "-", "…"} <= texts
    assert cells.text.str.contains(",").sum() > 500
    assert cells.text.str.contains("[０-９]").sum() > 50
    assert set(cells[cells.indicator == "gdp"].groupby("year").unit.first()) == {"万元", "亿元"}
    rows = [row[0] for row in books[0][2015, "综合经济"]]
    assert {"河北省", "广西壮族自治区", "地级及以上城市合计", "续表", "北京市①"} <= set(rows)
    assert any(row.startswith("资料来源") for row in rows)
    assert books[0][2015, "综合经济"][1][1] == "地区生产总值\n(亿元)"
    assert books[0][2015, "综合经济"][2][1:3] == ["全市", "市辖区"]
    assert books[0][2008, "综合"][1][1] == "地区生产总值（万元）"


def test_every_cell_that_is_no_planted_fault_holds_the_true_value(cells, world):
    place = {code: i for i, code in enumerate(world.cities.city_code)}
    whole = cells[cells.code.isin(place) & ~cells.code.isin([unit.model for unit in APART])]
    true = [
        world.indicators[name][place[code], year - 2000]
        for name, code, year in zip(whole.indicator, whole.code, whole.year, strict=True)
    ]
    assert whole.value.isna().mean() < 0.06
    assert (np.abs(whole.value - true) <= 0.5001 * whole.step)[whole.value.notna()].all()


def test_laiwu_and_jinan_of_the_time_add_up_to_jinan_of_today(cells, world):
    jinan = world.cities.index[world.cities.city_code == "370100"][0]
    averages = {column.indicator for plan in yearbook.SHEETS for column in plan.columns if column.average}
    chosen = cells[cells.code.isin(["370100", "371200"]) & ~cells.indicator.isin(averages)]
    sums = chosen.value.groupby([chosen.indicator, chosen.year]).agg(lambda parts: parts.sum(skipna=False))
    true = pd.Series({key: world.indicators[key[0]][jinan, key[1] - 2000] for key in sums.index})
    assert sums.notna().mean() > 0.95
    np.testing.assert_allclose(sums.dropna(), true[sums.notna()], rtol=2e-3, atol=1.1)
    assert (chosen[chosen.code == "371200"].year.max(), chosen[chosen.code == "370100"].year.max()) == (2018, 2023)


def test_what_is_missing_hardly_moves_the_true_effect(cells, world):
    """A panel built from the cells has the same estimand: gaps filled by neighbours, rows lost at the study's ends."""
    code = cells.code.replace({"371200": "370100"})
    wide = cells.value.groupby([code, cells.year, cells.indicator]).agg(lambda parts: parts.sum(skipna=False)).unstack()
    wide = wide[wide.index.get_level_values(1).isin(range(2006, 2022))]
    around = (wide.groupby(level=0).shift(1) + wide.groupby(level=0).shift(-1)) / 2
    wide = wide.fillna(around)
    built = pd.DataFrame(
        {
            "fin": (wide.deposits + wide.loans) / wide.gdp,
            "open": wide.trade / wide.gdp,
            "industry": wide.industrial_value_added / wide.gdp,
            "ln_pgdp": np.log(wide.gdp / wide.population_resident),
        }
    )
    built.index.names = ["city_code", "year"]
    panel = world.panel().drop(columns=list(CONTROLS)).merge(built.reset_index(), on=["city_code", "year"], how="left")
    truth = world.long({"gti1_tau": world.effects["gti1"] / 1000, "gti2_tau": world.effects["gti2"] / 1000})
    assert panel[list(CONTROLS)].isna().any(axis=1).sum() in range(1, 45)
    assert true_effect(panel, truth, "gti1", CONTROLS) == pytest.approx(0.5315, abs=0.005)
    assert true_effect(panel, truth, "gti2", CONTROLS) == pytest.approx(0.5256, abs=0.005)


def test_every_fault_of_the_ledger_is_in_its_cell(books):
    sheets, faults = books
    for fault in faults:
        assert fault.file == f"yearbook/{fault.year}年地级市统计年鉴.xlsx"
        row = sheets[fault.year, fault.sheet][fault.row - 1]
        assert row[0] == fault.city
        assert row[LETTERS.index(fault.column)] == fault.value
        assert fault.value != fault.true_value
    assert Counter(fault.rule for fault in faults) == {
        "jump": 6,
        "tenfold": 4,
        "unknown_city": 3,
        "not_a_number": 5,
        "duplicate_key": 2,
        "conflicting_duplicate": 2,
        "out_of_range": 6,
    }
    assert len({fault.city for fault in faults}) == 27


def test_each_fault_is_what_its_rule_says(books, world):
    sheets, faults = books
    known = (
        set(world.cities.name_zh)
        | {name for names in FORMER_NAMES.values() for _, name in names}
        | {unit.name for unit in APART}
    )
    for fault in faults:
        names = [row[0] for row in sheets[fault.year, fault.sheet]]
        if fault.rule == "unknown_city":
            assert fault.city not in known
        elif fault.rule in ("duplicate_key", "conflicting_duplicate"):
            first, second = (i for i, name in enumerate(names) if name == fault.city)
            rows = sheets[fault.year, fault.sheet]
            assert (rows[first] == rows[second]) == (fault.rule == "duplicate_key")
            assert fault.row - 1 in (first, second)[fault.rule == "duplicate_key" :]
        elif fault.rule == "not_a_number":
            with pytest.raises(ValueError, match="could not convert"):
                number(fault.value)
        elif fault.rule == "out_of_range":
            wrong, right = float(fault.value), float(fault.true_value)
            assert wrong == pytest.approx(right * 1e4) if fault.kind == "other_unit" else wrong < 0 or wrong > 1e12
        elif fault.kind == "district_figure":
            beside = sheets[fault.year, fault.sheet][fault.row - 1][LETTERS.index(fault.column) + 1]
            assert number(beside) == float(fault.value), "the figure beside it is that of the districts"
        else:
            ratio = float(fault.value) / float(fault.true_value)
            assert (
                ratio == pytest.approx(0.1, rel=0.01) or ratio == pytest.approx(10)
                if fault.rule == "tenfold"
                else ratio < 0.5
            )


def test_other_seeds_plan_the_same_number_of_faults():
    assert len(plan(draw_world(cities(), clusters(), seed=5))) == len(plan(draw_world(cities(), clusters(), seed=6)))


def test_some_cities_are_enough_for_a_small_sample(tmp_path):
    few = cities().iloc[::10]
    world = draw_world(few, clusters(), seed=0)
    (tmp_path / "patents").mkdir()
    planted = write_patents(world, tmp_path / "patents", (2010,), **QUIET)
    lines = (tmp_path / "patents/2010.csv").read_bytes().count(b"\n")
    assert len(planted) == 7
    assert all(1 < fault.row <= lines for fault in planted)

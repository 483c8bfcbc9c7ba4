"""Court cases of the sample world: the files tell the true counts once repeated and transferred cases are set aside."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.simulation import cases
from analysis.simulation.draws import YEARS
from analysis.simulation.sample import write_cases
from analysis.simulation.world import draw_world

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = (2010, 2016, 2017)


def table(name):
    return pd.read_csv(ROOT / "data" / name, dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def world():
    return draw_world(table("reference/cities.csv"), table("policies/innovative_clusters.csv"), seed=0)


@pytest.fixture(scope="module")
def written(world, tmp_path_factory):
    """The folder, every row of some years with file and line, and the counts that are true."""
    folder = tmp_path_factory.mktemp("raw")
    counts = write_cases(world, table("reference/courts.csv"), folder, WRITTEN, lambda line: None)
    frames = []
    for year in WRITTEN:
        frame = pd.read_csv(folder / f"cases/{year}.csv", dtype=str, keep_default_na=False)
        frames.append(frame.assign(file=f"cases/{year}.csv", row=np.arange(2, len(frame) + 2)))
    return folder, pd.concat(frames, ignore_index=True), counts


def day(texts):
    """Dates in any of the three forms; missing where there is none."""
    plain = texts.str.replace(r"[年/月]", "-", regex=True).str.rstrip("日")
    return pd.to_datetime(plain, format="%Y-%m-%d", errors="coerce")


def judged(rows):
    """Rows with the court's bare name, its city by the reference list, and the rule that a row breaks, if any."""
    courts = table("reference/courts.csv")
    provinces = sorted(set(table("reference/cities.csv").province_zh))
    start = pd.to_numeric(courts.valid_from).fillna(0)
    end = pd.to_numeric(courts.valid_to).fillna(9999)
    concluded, filed = day(rows.结案日期), day(rows.立案日期)
    known = {}
    for name, city, low, high in zip(courts.court, courts.city_code, start, end, strict=True):
        for year in WRITTEN:
            if low <= year <= high:
                assert (name, year) not in known, name
                known[name, year] = city
    names = {name for name, _ in known}
    bare = []
    for name in rows.法院.str.strip():
        short = [name.removeprefix(province) for province in provinces]
        bare.append(next((text for text in [name, *short] if text in names), name))
    rows = rows.assign(bare=bare, year=rows.file.str.extract(r"(\d{4})")[0].astype(int))
    rows["city"] = [known.get((name, year)) for name, year in zip(rows.bare, rows.year, strict=True)]
    rule = pd.Series("", index=rows.index)
    rule[rows.duplicated(["bare", "案号"])] = "duplicate_case"
    rule[rows.文书类型 == "移送管辖裁定书"] = "transferred_case"
    rule[rows.案由 == ""] = "no_cause"
    rule[concluded.notna() & (filed > concluded)] = "dates_out_of_order"
    rule[concluded.isna()] = "unknown_date"
    rule[rows.city.isna()] = "unknown_court"
    return rows.assign(rule=rule)


def test_the_files_carry_exactly_the_true_counts(written):
    rows, counts = judged(written[1]), written[2]
    causes = table("reference/ip_causes.csv").set_index("cause").is_ip
    fine = rows[(rows.rule == "") & (rows.案由.map(causes) == "1")]
    assert set(counts.year) == set(WRITTEN)
    nation = counts[counts.city_code == "100000"].set_index("year").ip_cases
    pd.testing.assert_series_equal(fine.groupby("year").size(), nation, check_names=False, check_index_type=False)
    city = fine.city.replace("371200", "370100")
    found = fine.groupby([city, "year"]).size()
    true = counts[counts.city_code != "100000"].set_index(["city_code", "year"]).ip_cases
    assert (found.reindex(true.index, fill_value=0) == true).all()


def test_the_rules_catch_the_planted_rows_and_no_others(written):
    """Which of two equal rows is the copy is a matter of order; which case they belong to is not."""
    rows = judged(written[1])
    ledger = pd.read_csv(written[0] / "_truth/case_faults.csv", dtype={"case_number": str})
    caught = rows[rows.rule != ""]
    assert caught.rule.value_counts().to_dict() == ledger.rule.value_counts().to_dict()
    assert set(ledger.rule) == set(cases.RULES.values())
    single = ledger[ledger.rule != "duplicate_case"]
    where = caught.set_index(["file", "row"]).rule
    assert (where.loc[pd.MultiIndex.from_frame(single[["file", "row"]])].to_numpy() == single.rule).all()
    repeated = ledger[ledger.rule == "duplicate_case"].case_number
    assert set(caught[caught.rule == "duplicate_case"].案号) == set(repeated)


def test_rows_look_like_records(written):
    rows = written[1]
    old, new = rows[rows.案号.str.startswith("（2009）")], rows[rows.案号.str.startswith("（2016）")]
    assert old.案号.str.contains("字第").all()
    assert not new.案号.str.contains("字第").any()
    assert {"判决书", "裁定书", "调解书", "移送管辖裁定书", "补正裁定书"} == set(rows.文书类型)
    assert rows.结案日期.str.contains("年").sum() > 1000
    assert rows.结案日期.str.contains("/").sum() > 500
    assert rows.法院.str.startswith("　").sum() > 100
    assert {"北京知识产权法院", "昆山市人民法院", "江苏省昆山市人民法院"} <= set(rows.法院.str.strip())


def test_every_cause_is_in_the_reference_list_with_its_kind():
    is_ip = table("reference/ip_causes.csv").set_index("cause").is_ip
    pools = {
        "1": {*cases.COPYRIGHT, *cases.BRANDS, *cases.PATENTS, *cases.OFFENCES, *cases.GRANTS},
        "0": set(cases.ORDINARY),
    }
    pools["1"] |= set(cases.EARLIER.values())
    for flag, words in pools.items():
        assert {is_ip.get(word) for word in words} == {flag}


def test_every_court_has_one_city_in_a_year_and_every_city_has_courts():
    courts = table("reference/courts.csv")
    units = set(table("reference/units.csv").city_code)
    assert set(courts.city_code) <= units
    cities = table("reference/cities.csv")
    usual = set(cities.city_code[cities.panel_286 == "1"])
    start = pd.to_numeric(courts.valid_from).fillna(0)
    end = pd.to_numeric(courts.valid_to).fillna(9999)
    for year in cases.YEARS:
        valid = courts[(start <= year) & (end >= year)]
        assert valid.court.is_unique
        for level in ("basic", "intermediate"):
            missing = usual - set(valid.city_code[valid.level == level])
            assert not missing, (year, missing)


@pytest.mark.parametrize("seed", [0, 1])
def test_protection_is_uneven_as_the_paper_has_it(seed):
    """85 of the 281 cities lie above the mean of the index; the index is cases over GDP, city over nation."""
    world = draw_world(table("reference/cities.csv"), table("policies/innovative_clusters.csv"), seed=seed)
    counts, others = cases.true_counts(world)
    years = (YEARS >= 2006) & (YEARS <= 2021)
    gdp = world.indicators["gdp"]
    index = (counts / gdp)[:, years] / (counts.sum(axis=0) / gdp.sum(axis=0))[years]
    means = index[world.cities["sample"].to_numpy()].mean(axis=1)
    assert 75 <= (means > means.mean()).sum() <= 95
    assert 250_000 < counts.sum() + others.sum() < 400_000

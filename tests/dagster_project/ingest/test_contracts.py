"""What a contract may say, and what its author is told when it says something else. Reading files is tested beside."""

import random
import time
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest

from dagster_project.ingest import contracts
from dagster_project.ingest.contracts import ContractError, clean_header, glob_match, split_unit

CONTRACTS = Path(__file__).resolve().parents[3] / "data" / "contracts"
CATALOGUE = CONTRACTS.with_name("catalogue")
GOOD = """\
source: roads
kind: yearbook
title: {en: Roads, zh: 道路}
publisher: nobody
covers: nothing
licence: none
obtain: nowhere
files: ["**/roads*.xlsx"]
tables:
  - sheets: ["Sheet1"]
    keys: {year: {from: file, pattern: '(\\d{4})年'}, city: {header: 城市}}
    columns:
      - {header: 道路面积, indicator: road_area, unit: {header: 单位}, range: [0, 200]}
"""


@pytest.fixture
def load(tmp_path):
    """Loads a contract given as text."""

    def read(text: str) -> contracts.Contract:
        path = tmp_path / "roads.yaml"
        path.write_text(text, encoding="utf-8")
        return contracts.load(path)

    return read


def test_a_good_contract_is_read_with_its_hash(load):
    contract = load(GOOD)
    assert contract.source == "roads"
    assert contract.tables[0].header_rows is None
    assert contract.tables[0].columns[0].range == (0, 200)
    assert contract.sha256 != load(GOOD.replace("200", "300")).sha256


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "said"),
    [
        ("obtain: nowhere", "obtain: nowhere\ncolour: red", 8, "colour", "is not a key that is known here"),
        ("kind: yearbook", "kind: yearbok", 2, "kind", "'yearbook', 'patents'"),
        ("title: {en: Roads", "title: {english: Roads", 3, "title.english", "is not a key that is known here"),
        ('files: ["**/roads*.xlsx"]\n', "", 1, "", "the key 'files' is missing"),
        ("source: roads", "source: Roads", 1, "source", "pattern"),
        ("files: [", "priority: high\nfiles: [", 8, "priority", "expected a whole number, found 'high'"),
        ("files: [", "encoding: klingon\nfiles: [", 8, "encoding", "klingon"),
        ('files: ["**/roads*.xlsx"]', "files: []", 8, "files", "at least 1"),
        ("    columns:", "    colums:", 12, "tables[1].colums", "is not a key that is known here"),
        (
            "{header: 道路面积,",
            "{heading: 道路面积,",
            13,
            "tables[1].columns[1].heading",
            "is not a key that is known here",
        ),
        (
            "unit: {header: 单位}",
            "unit: {heading: 单位}",
            13,
            "tables[1].columns[1].unit.heading",
            "is not a key that is known here",
        ),
        ("unit: {header: 单位}", "unit: {from: file}", 13, "tables[1].columns[1].unit", "a unit is a text"),
        ("range: [0, 200]", "range: [200, 0]", 13, "tables[1].columns[1].range", "above its end"),
        ("range: [0, 200]", "range: [0]", 13, "tables[1].columns[1].range", "the list is too short"),
        ("(\\d{4})年", "\\d{4}年", 11, "tables[1].keys.year.pattern", "group in parentheses"),
        ("(\\d{4})年", "(\\d{4}年", 11, "tables[1].keys.year.pattern", "no regular expression"),
        ("from: file", "from: header", 10, "tables[1]", "each header here needs {year}"),
        ("from: file", "from: nowhere", 11, "tables[1].keys.year.from", "'file'"),
        ("    columns:", "    skip: ['(注']\n    columns:", 12, "tables[1].skip", "no regular expression"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_what_is_expected(load, old, new, line, key, said):
    assert old in GOOD
    with pytest.raises(ContractError) as caught:
        load(GOOD.replace(old, new))
    message = str(caught.value)
    place = f", key {key!r}" if key else ""
    assert message.startswith(f"roads.yaml, line {line}{place}: ")
    assert said in message
    assert message.endswith(".")


def test_text_that_is_no_yaml_or_no_mapping_or_not_utf_8_is_named_with_its_file(load, tmp_path):
    with pytest.raises(ContractError, match=r"roads\.yaml, line \d+: not valid YAML"):
        load(GOOD.replace("publisher: nobody", "publisher: [nobody"))
    with pytest.raises(ContractError, match=r"roads\.yaml, line 1: expected keys and values, found a list"):
        load("- roads\n")
    (tmp_path / "roads.yaml").write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(ContractError, match=r"roads\.yaml: this is not UTF-8"):
        contracts.load(tmp_path / "roads.yaml")


def test_a_yearbook_contract_without_tables_is_refused(load):
    with pytest.raises(ContractError, match="needs `tables`"):
        load(GOOD.split("tables:")[0])


def test_a_contract_stands_in_the_file_of_its_name(tmp_path):
    (tmp_path / "streets.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ContractError, match=r"streets\.yaml.*roads.*streets"):
        contracts.load_all(tmp_path)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (" 地区 生产总值\n（万元） ", "地区生产总值(万元)"),
        ("常住人口①", "常住人口"),
        ("就业人数＊†", "就业人数"),
        ("ＧＤＰ", "GDP"),
        ("城市　名称", "城市名称"),
    ],
)
def test_headers_are_compared_without_spaces_marks_and_width(header, expected):
    assert clean_header(header) == expected


def test_a_known_unit_leaves_the_header_wherever_it_stands():
    units = frozenset({"万元", "万人"})
    assert split_unit("地区生产总值(万元)/全市", units) == ("地区生产总值/全市", "万元")
    assert split_unit("人口[万人]", units) == ("人口", "万人")
    assert split_unit("GDP(现价)(万元)", units) == ("GDP(现价)", "万元")
    assert split_unit("GDP(亿圆)", units) == ("GDP(亿圆)", "亿圆")
    assert split_unit("GDP", units) == ("GDP", "")


def test_patterns_match_at_any_depth():
    for place in ("汇率.xlsx", "yearbook/汇率.xlsx", "a/b/汇率 (1).xlsx"):
        assert glob_match(PurePosixPath(place), "**/汇率*.xlsx")
    assert glob_match(PurePosixPath("patents/2010.csv"), "**/patents/*.csv")
    assert not glob_match(PurePosixPath("2010.csv"), "**/patents/*.csv")


def test_every_contract_of_the_project_reads_and_keeps_to_the_projects_indicators_and_units():
    found = contracts.load_all(CONTRACTS)
    assert all(c.title.zh and c.publisher and c.covers and c.licence and c.obtain for c in found.values())
    indicators = pd.read_csv(CATALOGUE / "indicators.csv").set_index("indicator").unit
    units = pd.read_csv(CATALOGUE / "measurement_units.csv")
    converts = set(zip(units.unit, units.canonical, strict=True))
    assert len(found) >= 13
    for contract in found.values():
        for indicator, column in contracts.indicators_of(contract):
            assert indicator in indicators.index, contract.source
            if isinstance(column.unit, str):
                assert (column.unit, indicators[indicator]) in converts, (contract.source, indicator)
            assert column.range, f"{contract.source}: {indicator} has no range"


def test_no_file_of_the_real_folder_belongs_to_two_contracts(real):
    folder = real()
    found = contracts.load_all(CONTRACTS).values()
    for path in folder.rglob("*"):
        relative = PurePosixPath(path.relative_to(folder))
        assert sum(contract.matches(relative) for contract in found) <= 1, relative


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a?)*$", "((a*)b?)*", "a*a*a*a*a*$", "(a{0,50}){0,50}$"])
def test_a_pattern_that_may_take_for_ever_is_refused(pattern):
    with pytest.raises(ValueError, match="may take very long to match"):
        contracts._pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"(\d{4})年", "合计$|小计$", r"(?<!\d)(20\d\d)(?!\d)", r"^(?:.+市)?(.+?)统计年鉴(\d{4})", r"(?:\d{4}年)+", "(.*)"],
)
def test_patterns_as_contracts_have_them_are_taken(pattern):
    assert contracts._pattern(pattern).pattern == pattern


def test_the_slowest_pattern_that_is_taken_is_bounded_on_any_text():
    contracts._pattern("a*a*a*b")
    began = time.process_time()
    for length in (30, 255, 100_000):
        assert contracts.match_of("a*a*a*b", "a" * length) is None
    assert time.process_time() - began < 20
    assert contracts.match_of("^注", "注：" + "长" * 10_000)
    assert not contracts.match_of("长$", "注：" + "长" * 10_000)


def test_a_pattern_of_files_that_names_none_is_refused_with_its_line(tmp_path):
    path = tmp_path / "roads.yaml"
    path.write_text(GOOD.replace('files: ["**/roads*.xlsx"]', "files: ['']"), encoding="utf-8")
    with pytest.raises(ContractError, match=r"roads.yaml, line 8, .*'' names no file"):
        contracts.load(path)


FEW, MANY = 150, 2_000
PIECES = ["'", '"', ":", "- ", "{", "}", "[", "]", "*", "&a", "!", "\t", "\n", "\0", "(a+)+", "城市", "0", "null", "#"]


def fuzzed(folder: Path, times: int) -> tuple[int, int]:
    """Contracts with some characters changed: how many are taken, and how many refused by name."""
    chance = random.Random(14)
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONTRACTS.glob("*.yaml"))] + [GOOD] * 5
    path = folder / "roads.yaml"
    taken = refused = 0
    for _ in range(times):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(PIECES) * chance.randint(0, 2) + text[at + chance.randint(0, 12) :]
        path.write_text(text, encoding="utf-8")
        try:
            contract = contracts.load(path)
        except ContractError as error:
            assert "roads.yaml" in str(error)
            refused += 1
        else:
            contract.matches(PurePosixPath("a/roads2010年.xlsx"))
            for table in contract.tables:
                for pattern in table.skip:
                    contracts.match_of(pattern, "a" * 30 + "!")
            taken += 1
    return taken, refused


def test_contracts_with_slips_are_taken_or_refused_by_name(tmp_path):
    taken, refused = fuzzed(tmp_path, FEW)
    assert taken + refused == FEW
    assert min(taken, refused) > FEW / 10


@pytest.mark.torture
def test_many_contracts_with_slips(tmp_path):
    taken, refused = fuzzed(tmp_path, MANY)
    print(f"\ncontracts: {MANY} tried, {taken} taken, {refused} refused with a sentence, nothing else")

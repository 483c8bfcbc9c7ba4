"""The report in Chinese: what is translated, what stays, and that no number changes on the way."""

import csv
import re

import pytest
import yaml

from analysis.reporting.language import CATALOGUE, Chinese, study_labels, translate
from analysis.reporting.tables import exhibit_table
from analysis.studies import spec
from analysis.studies.published import published

GAP = re.compile(r"\{#?\d\}")


@pytest.fixture(scope="module")
def phrases() -> list[dict[str, str]]:
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts(table) -> list[str]:
    lines = [line for panel in table.panels for line in panel.lines]
    words = [table.caption, table.first_heading, *(cell for header in table.headers for cell in header)]
    words += [text for line in lines for text in (line.label, *line.cells)]
    return [*words, *(panel.title or "" for panel in table.panels), *table.notes]


def test_every_phrase_stands_once_and_its_chinese_has_the_same_gaps(phrases) -> None:
    english = [row["english"] for row in phrases]
    assert len(english) == len(set(english)) > 300
    for row in phrases:
        assert sorted(GAP.findall(row["english"])) == sorted(GAP.findall(row["chinese"])), row
        assert row["chinese"].strip()


def test_what_tables_say_is_in_the_catalogue(results, study, printed, truth) -> None:
    chinese = Chinese(study_labels(study))
    own = {"Large", "Small", "y", "x", "z", "gone", "kernel", "twice", "did", "A note of the paper.", "x, matched"}
    for result in results.values():
        for text in texts(exhibit_table(result, study, printed=printed, truth=truth)):
            assert chinese.knows(text) or own & {text, *text.replace("Of the paper: ", "").split(", ")}, text


def test_every_note_of_a_printed_exhibit_is_in_the_catalogue() -> None:
    chinese = Chinese()
    for study in ("ai_pilot_zones", "innovative_clusters"):
        for notes in published(study).notes.values():
            for note in notes:
                assert chinese.knows(f"Of the paper: {note}"), note
                assert not re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", chinese(f"Of the paper: {note}")), note


def test_every_text_of_a_built_in_study_is_in_both_languages() -> None:
    for path in spec.catalogue().values():
        study = spec.load(path)
        labels = study_labels(study)
        for exhibit in study.exhibits:
            for label in (exhibit.title, exhibit.note):
                assert label is None or label.en in labels, label
        assert {study.title.en, study.treatment_label.en, *(v.label.en for v in study.variables)} <= set(labels)


def test_every_variable_of_the_catalogue_is_described_in_both_languages() -> None:
    chinese = Chinese()
    described = yaml.safe_load((spec.DATA / "catalogue" / "variables.yaml").read_text(encoding="utf-8"))
    assert len(described) > 50
    for name, entry in described.items():
        assert not re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", chinese(entry.get("description") or "")), name


def test_a_table_in_chinese_has_the_same_numbers_in_the_same_places(results, study, printed, truth) -> None:
    chinese = Chinese(study_labels(study))
    for result in results.values():
        table = exhibit_table(result, study, printed=printed, truth=truth)
        turned = translate(table, chinese)
        assert len(turned.panels) == len(table.panels)
        assert len(turned.notes) == len(table.notes)
        for before, after in zip(table.panels, turned.panels, strict=True):
            for line, other in zip(before.lines, after.lines, strict=True):
                numeric = [cell for cell in line.cells if re.search(r"\d", cell)]
                assert [cell for cell in other.cells if re.search(r"\d", cell)] == numeric or "computed" in str(numeric)
                assert line.kind == other.kind
    caption = translate(exhibit_table(results["table_2"], study, printed=printed), chinese).caption
    assert caption == "表2 基准回归"


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("Large city (large)", "大城市（large）"),
        ("6 rows dropped: 'op' is missing. 1 rows dropped: 'ur' is missing.", "剔除6行：'op'缺失。剔除1行：'ur'缺失。"),
        ("(1); (2): 7 rows dropped: 'ais' is missing.", "(1)；(2)：剔除7行：'ais'缺失。"),
        ("Outcomes. a: Large city; b: Weight.", "被解释变量：a：大城市；b：权重。"),
        ("Equal effects by large city, p", "按大城市分组的效应相等，p值"),
        (
            "[a] 'x' is y of panels.city_year, and no raw source provides y.",
            "[a] 'x'取自panels.city_year的y，没有原始数据来源提供y。",
        ),
        ("not computed [b]", "未计算 [b]"),
        ("Table 6 (balance). Weight", "表6（平衡性）权重"),
        ("-0.5**", "-0.5**"),
        ("Nobody wrote this down.", "Nobody wrote this down."),
        # a short phrase never breaks a sentence that nobody has translated
        ("What belongs to no city is left.", "What belongs to no city is left."),
        # of two readings the one with the fewest words in English
        (
            "By key_city, R² is 0.3724, 0.2898 in (1), (3) and 0.6962 in table 4 (2).",
            "按key_city分组，R²为(1), (3)中为0.3724, 0.2898，表4第(2)列中为0.6962。",
        ),
        (
            "y: 500 draws lie around 0.1. x: maximum 5, 2 SD from the mean.",
            "y: 500 draws lie around 0.1. x：最大值5，距均值2个标准差。",
        ),
    ],
)
def test_a_text_is_taken_apart_as_far_as_its_parts_are_known(english: str, expected: str) -> None:
    assert Chinese({"Large city": "大城市"})(english) == expected

"""The first page of the Data Docs says what does not hold; a suite's page shows the rows and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations import pages


def rule(name: str, passed: bool, blocking: bool, **more: object) -> dict[str, object]:
    failing = {"columns": ["city_code", "share"], "data": [] if passed else [["110000", 1.23456], ["<b>", 12345.6]]}
    return {
        "rule": name, "passed": passed, "blocking": blocking, "observed": "2 of 9 rows", "advice": "Look there.",
        "broken": 25, "failing": failing, **more,
    }  # fmt: skip


SUITES = [
    {"name": "raw.files", "about": "One row a file.", "rows": 9, "rules": [rule("good", True, True)]},
    {
        "name": "panels.one",
        "about": "One row a city.",
        "rows": 1234,
        "rules": [rule("shares", False, False), rule("keys", False, True), rule("years", True, True)],
    },
]


@pytest.fixture
def written(tmp_path: Path) -> dict[str, str]:
    pages.write(SUITES, tmp_path, report="../index.html")
    return {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}


def test_the_first_page_counts_and_lists_what_does_not_hold_worst_first(written):
    index = written["index"]
    assert "4 rules in 2 suites: 2 hold, 1 warn, <strong>1 failed</strong>" in index
    listed = index[index.index("What does not hold") : index.index("Raw files")]
    assert listed.index("keys") < listed.index("shares")
    assert "good" not in listed
    assert "Look there." in listed
    assert index.index("Raw files") < index.index(">Panels<")
    assert 'href="../index.html"' in index


def test_a_page_without_trouble_lists_none(tmp_path):
    pages.write(SUITES[:1], tmp_path)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "What does not hold" not in index
    assert "Back to the report" not in index


def test_a_suites_page_shows_rows_numbers_and_advice(written):
    page = written["panels.one"]
    assert page.index("Failed") < page.index("Warning") < page.index("holds")
    assert "The first 2 of 25 rows" in page
    assert "<td>1.235</td>" in page
    assert "<td>12,346</td>" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "1,234 rows were checked" in page

"""Running a suite: outcomes in the order of the rules, results kept once a name, pages that open without a network."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest

from expectations import runner


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"city_code": ["110000"] * 30, "year": range(2000, 2030), "x": [float(n) for n in range(30)]})


def rules() -> list[runner.Rule]:
    import great_expectations.expectations as gxe

    return [
        runner.Rule("x stays below 5", gxe.ExpectColumnValuesToBeBetween(column="x", max_value=4)),
        runner.Rule("thirty rows", gxe.ExpectTableRowCountToEqual(value=30)),
        runner.Rule("x stays below 10", gxe.ExpectColumnValuesToBeBetween(column="x", max_value=9), blocking=False),
    ]


def test_outcomes_come_in_the_order_of_the_rules_with_what_was_seen(frame, tmp_path):
    found = runner.validate("t", frame, rules(), keys=("city_code", "year"), store=tmp_path)
    assert [(o.rule, o.blocking, o.passed, o.observed) for o in found] == [
        ("x stays below 5", True, False, "25 of 30 rows"),
        ("thirty rows", True, True, "30"),
        ("x stays below 10", False, False, "20 of 30 rows"),
    ]
    assert len(found[0].failing) == runner.QUOTED
    assert found[1].failing.empty


def test_rows_are_quoted_by_position_whatever_the_index(frame, tmp_path):
    shuffled = frame.set_axis([f"r{n}" for n in range(30)])
    found = runner.validate("t", shuffled, rules(), keys=("year",), store=tmp_path)
    assert found[2].failing.year.tolist() == list(range(2010, 2030))


def test_a_rule_about_a_column_that_is_not_there_fails_and_says_so(frame, tmp_path):
    found = runner.validate("t", frame.drop(columns="x"), rules(), store=tmp_path)
    assert not found[0].passed
    assert "x" in found[0].observed
    assert found[1].passed


def test_checking_a_frame_leaves_it_as_it_was(frame, tmp_path):
    before = frame.copy()
    runner.validate("t", frame, rules(), store=tmp_path)
    pd.testing.assert_frame_equal(frame, before)


def test_rows_that_held_are_not_checked_again_until_they_or_a_rule_change(frame, tmp_path):
    def checked(frame: pd.DataFrame, rules: list[runner.Rule], **how: bool) -> list[runner.Outcome]:
        runs = tmp_path / "gx" / "uncommitted" / "validations" / "t" / "__none__"
        before = set(runs.glob("*"))
        found = runner.validate("t", frame, rules, keys=("year",), store=tmp_path, **how)
        ran.append(bool(set(runs.glob("*")) - before))
        return found

    ran: list[bool] = []
    _, holds, _ = rules()
    first = checked(frame, [holds])
    again = checked(frame, [holds])
    assert [(o.rule, o.passed, o.observed) for o in again] == [(o.rule, o.passed, o.observed) for o in first]
    checked(frame.assign(x=frame["x"].where(frame["year"] > 2000, -1.0)), [holds])
    checked(frame, [holds])
    checked(frame, [dataclasses.replace(holds, blocking=False)])
    checked(frame, [dataclasses.replace(holds, blocking=False)], afresh=True)
    assert ran == [True, False, True, True, True, True]
    # what fails is checked each time, and said with its rows
    assert [len(checked(frame, rules())[0].failing) for _ in range(2)] == [runner.QUOTED] * 2
    assert ran[-2:] == [True, True]
    (tmp_path / "outcomes" / "t.json").write_text("{")
    assert checked(frame, [holds])[0].passed
    assert ran[-1]


@pytest.fixture
def pages(frame, tmp_path):
    """Data Docs of two suites, one of them run twice."""
    for name in ("panels.one", "panels.two", "panels.one"):
        runner.validate(name, frame, rules(), keys=("city_code", "year"), store=tmp_path / "store")
    index = runner.build_data_docs(tmp_path / "store", tmp_path / "docs")
    assert index == tmp_path / "docs" / "index.html"
    return {path: path.read_text(encoding="utf-8") for path in (tmp_path / "docs").rglob("*.html")}


def test_data_docs_fetch_nothing_from_elsewhere(pages):
    assert len(pages) >= 5
    for path, page in pages.items():
        fetched = re.findall(
            r"<(?:link|script|img|iframe|source)\b[^>]*?(?:href|src)=[\"']?(https?:)?//[^\s\"'>]*", page
        )
        assert not fetched, path
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", page), path
        for link in re.findall(r'<(?:link|script|img)\b[^>]*?(?:href|src)="([^"?]+)', page):
            assert (path.parent / link).resolve().is_file(), f"{path}: {link}"


def test_data_docs_name_what_failed(pages):
    text = "".join(pages.values())
    assert "panels.one" in text
    assert "panels.two" in text
    assert "Failed" in text


def test_no_page_of_data_docs_leads_to_a_page_that_is_not_there(pages, tmp_path):
    for path, page in pages.items():
        for link in re.findall(r'href="([^"#:?]+\.html)', page):
            assert (path.parent / link).resolve().exists(), f"{path}: {link}"


def test_a_notice_stands_on_every_page(frame, tmp_path):
    runner.validate("t", frame, rules(), store=tmp_path / "store")
    runner.build_data_docs(tmp_path / "store", tmp_path / "docs", notice="SAMPLE DATA & nothing else")
    for path in (tmp_path / "docs").rglob("*.html"):
        assert "<strong>SAMPLE DATA &amp; nothing else</strong>" in path.read_text(encoding="utf-8"), path


def test_a_suite_checked_again_shows_its_history(pages):
    validations = [path for path in pages if "validations" in path.parts]
    assert sorted(path.parts[path.parts.index("panels") + 1] for path in validations) == ["one", "one", "two"]


def test_the_store_does_not_grow_with_every_run(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "KEPT", 1)

    def count() -> int:
        return sum(path.is_file() for path in (tmp_path / "store").rglob("*"))

    sizes = []
    for _ in range(3):
        runner.validate("panels.one", frame, rules(), store=tmp_path / "store")
        runner.build_data_docs(tmp_path / "store", tmp_path / "docs")
        sizes.append(count())
    assert sizes[0] == sizes[1] == sizes[2]

"""The page of an audit: every finding with its evidence and advice, in both languages, marked on sample data."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis.audit import RULES, Audit, Finding, Line, Replication
from analysis.reporting import site
from analysis.reporting.audit_page import audit_page
from analysis.reporting.language import Chinese
from analysis.reporting.site import StudyReport, WarehouseReport
from analysis.studies.referee import answers

RULE = RULES[0]
EMPTY = pd.DataFrame()


def finding(severity: str, **changes: object) -> Finding:
    parts = {
        "code": RULE.code,
        "title": RULE.title,
        "title_zh": RULE.title_zh,
        "severity": severity,
        "exhibit": "table_2",
        "model": "(1)",
        "variable": "did",
        "evidence": "0.4 < 0.5 & more",
        "advice": RULE.advice,
        "advice_zh": RULE.advice_zh,
    }
    return Finding(**(parts | changes))  # type: ignore[arg-type]


AUDIT = Audit(
    "trial",
    (finding("error"), finding("warning", exhibit="", model="", variable="", sample_data=True)),
    silent=tuple(rule.code for rule in RULES[1:]),
    not_run={RULES[2].code: "There is no panel at hand."},
    is_sample=True,
)
REPLICATION = Replication(
    "trial",
    (
        Line("table_2", "(1)", "N", "160", "160", "cities of the sample x years", "reproduced exactly"),
        Line("table_2", "", "estimates", "3", "2", "1 of 2 within 1.96 published standard errors", "estimated here"),
        Line("figure_1", "", "picture", "", "drawn here", "", "cannot be reproduced", "The paper prints a picture."),
    ),
    is_sample=True,
)


@pytest.fixture
def page(tmp_path, study, panel, results) -> str:
    report = StudyReport.from_panel(study, panel, is_sample=True, results={"table_2": results["table_2"]})
    report = replace(report, audit=AUDIT, replication=REPLICATION)
    rejects = pd.DataFrame({"rule": []})
    warehouse = WarehouseReport(EMPTY, EMPTY, rejects, EMPTY, is_sample=True)
    site.build(tmp_path, studies=[report], warehouse=warehouse, publication={})
    return (tmp_path / "audit_trial.html").read_text(encoding="utf-8")


def test_the_page_shows_each_finding_where_it_belongs(page, tmp_path) -> None:
    assert page.index('id="error"') < page.index("0.4 &lt; 0.5 &amp; more") < page.index('id="warning"')
    assert '<a href="trial.html#table_2">' in page
    assert page.count(RULE.advice_zh) == 2
    assert page.count("Rests on sample data") == 1
    assert 'href="audit_trial.html"' in (tmp_path / "trial.html").read_text(encoding="utf-8")


def test_the_page_and_its_files_say_sample_data(page, tmp_path) -> None:
    assert "样本数据" in page
    assert "On sample data only" in page
    for name in ("audit", "replication"):
        rows = (tmp_path / "files" / "trial" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        assert all("SAMPLE DATA" in row for row in rows[1:])


def test_a_number_missed_shows_its_verdict(study, tmp_path) -> None:
    missed = replace(REPLICATION.lines[0], verdict="not reproduced")
    values = audit_page(study, AUDIT, replace(REPLICATION, lines=(missed,)), tmp_path, {})
    assert values["missed"] == 1
    assert "verdict" in values["exact"].headers
    assert "verdict" not in audit_page(study, AUDIT, REPLICATION, tmp_path, {})["exact"].headers


def test_every_word_around_the_findings_has_chinese(study, tmp_path) -> None:
    values = audit_page(study, AUDIT, REPLICATION, tmp_path, {})
    chinese = Chinese(values["labels"])
    words = [heading for heading, _, _ in values["counts"]]
    for table in (values["exact"], values["estimated"], values["cannot"]):
        words += [table.caption, *table.headers]
    asked = audit_page(study, replace(AUDIT, expected=answers(study)), REPLICATION, tmp_path, {})
    assert sum(count for _, count in asked["states"]) == len(asked["asked"]) == 35
    for item in asked["asked"]:
        words += [item["check"].title.en, item["check"].asks.en, item["state"], *filter(None, [item["why"]])]
    words += [text for rule in RULES for text in (rule.title, rule.advice)]
    assert [word for word in words if not chinese.knows(word)] == []

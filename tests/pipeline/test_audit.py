"""The audit of a run on the sample world: what needs the columns of panels.city_year, and where it is published."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.xdist_group("sample")


@pytest.fixture(scope="module")
def audits(sample) -> dict[str, dict]:
    folder = sample.paths.published / "audit"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def test_every_study_is_audited_and_no_rule_breaks(audits):
    assert {"ai_pilot_zones", "innovative_clusters", "low_carbon_cities"} <= set(audits)
    for name in ("ai_pilot_zones", "innovative_clusters"):
        assert audits[name]["not_run"] == {}, name
        assert audits[name]["is_sample"] is True


def test_definitions_that_the_printed_moments_do_not_fit_are_found(audits):
    def found(study: str, code: str) -> set[str]:
        return {f["variable"] for f in audits[study]["findings"] if f["code"] == code and f["sample_data"]}

    assert found("ai_pilot_zones", "other-definition") == {"eco", "fe", "edu"}
    assert found("ai_pilot_zones", "unit-not-stated") == {"op"}
    assert found("innovative_clusters", "other-definition") == {"fin"}
    mixed = next(f for f in audits["ai_pilot_zones"]["findings"] if f["code"] == "mixed-units")
    assert "does not matter" in mixed["evidence"]


def test_all_that_follows_from_lists_and_timing_is_reproduced_on_sample_data(audits):
    for name, least in (("ai_pilot_zones", 20), ("innovative_clusters", 13)):
        verdicts = [line["verdict"] for line in audits[name]["replication"]]
        assert verdicts.count("reproduced exactly") >= least
        assert "not reproduced" not in verdicts


def test_the_page_of_a_study_leads_to_its_audit(sample):
    site = sample.paths.reports
    for name in ("ai_pilot_zones", "innovative_clusters"):
        assert f'href="audit_{name}.html"' in (site / f"{name}.html").read_text(encoding="utf-8")
        page = (site / f"audit_{name}.html").read_text(encoding="utf-8")
        assert "SAMPLE DATA" in page and "样本数据" in page
        assert f'href="{name}.html#table_' in page
        assert (site / "files" / name / "audit.csv").read_text(encoding="utf-8").count("SAMPLE DATA") > 10

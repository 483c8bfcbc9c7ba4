"""What is reproduced exactly holds on any data, what is estimated is marked, and what cannot be says why."""

from dataclasses import replace

import pytest
from study_panel import CITIES, make_panel

from analysis.audit import Inputs, Replication, replicate
from analysis.audit.replication import CANNOT, ESTIMATED, EXACT, MISSED
from analysis.studies.published import published
from analysis.studies.spec import catalogue, load


def inputs(name: str) -> Inputs:
    """Noise on the real cities, years and pilots of a study."""
    study = load(catalogue()[name])
    panel = make_panel(study)
    panels = {key: make_panel(replace(study, years=years)) for key, years in study.other_panels.items()}
    return Inputs(study, published(name), panel, panels=panels, cities=CITIES, is_sample=True)


@pytest.fixture(scope="module")
def clusters() -> Replication:
    return replicate(inputs("innovative_clusters"))


@pytest.fixture(scope="module")
def zones() -> Replication:
    return replicate(inputs("ai_pilot_zones"))


def exact(report: Replication) -> set[tuple[str, str, str, str]]:
    return {(line.exhibit, line.model, line.what, line.published) for line in report.of(EXACT)}


def test_nothing_that_follows_from_lists_and_timing_is_missed(clusters, zones) -> None:
    assert clusters.of(MISSED) == ()
    assert zones.of(MISSED) == ()


def test_sizes_shares_constants_and_ratios_of_the_clusters_come_out_on_noise(clusters) -> None:
    found = exact(clusters)
    assert ("table_3", "did", "mean", "0.0827") in found
    assert ("table_3", "did", "sd", "0.2755") in found
    assert ("table_4", "(1), (3)", "N", "4,496") in found
    assert ("table_4", "(1)", "constant", "0.1676") in found
    assert ("table_4", "(3)", "constant", "0.1967") in found
    assert ("table_11", "(1), (2)", "ratio of standard errors 0.0138 / 0.0134", "1.030") in found
    assert ("text", "", "treated cities", "55") in found
    ratio = next(line for line in clusters.of(EXACT) if line.what.startswith("ratio"))
    assert ratio.ours == "1.033"


def test_sizes_shares_and_weights_of_the_zones_come_out_on_noise(zones) -> None:
    found = exact(zones)
    assert ("table_2", "ai", "mean", "0.0287") in found
    assert ("table_4", "(3)", "N", "2,538") in found
    assert ("table_5", "(4), (5)", "N", "3,718") in found
    weights = {line.model: (line.published, line.ours) for line in zones.of(EXACT) if line.what == "weight"}
    assert weights == {
        "earlier treated against later": ("0.006", "0.0063"),
        "later treated against earlier": ("0.005", "0.00493"),
        "treated against never treated": ("0.989", "0.98876"),
    }
    assert ("table_2", "ulgue", "maximum", "1.9379") in found


def test_a_wrong_list_is_missed() -> None:
    true = inputs("ai_pilot_zones")
    late = true.panel.assign(adoption=true.panel["adoption"] + 1)
    late["ai"] = (late["year"] >= late["adoption"]).astype(float)
    report = replicate(replace(true, panel=late))
    assert {"mean", "sd", "weight"} <= {line.what for line in report.of(MISSED)}


def test_sizes_that_rest_on_the_authors_data_cannot_be_reproduced_and_say_why(clusters) -> None:
    lines = {(line.exhibit, line.published): line.why for line in clusters.of(CANNOT) if line.what == "N"}
    assert "38 rows are missing" in lines["table_4", "4,458"]
    assert "psm_did" in lines["table_6", "1,297"]
    assert "depends on the data" in lines["table_9", "1,360"]
    assert "see the audit" in lines["table_8", "1,855"]
    assert all(line.why for line in clusters.of(CANNOT))


def test_estimates_are_counted_by_exhibit_and_marked_as_sample(clean: Inputs) -> None:
    report = replicate(replace(clean, is_sample=True))
    table = {line.exhibit: line for line in report.of(ESTIMATED)}
    # table 2: did and const alone, then did, const and three controls
    assert (table["table_2"].published, table["table_2"].ours) == ("7", "7")
    assert table["table_2"].rule == "7 of 7 within 1.96 published standard errors"
    assert "Sample data" in table["table_2"].why
    assert table["table_2"].why != {line.exhibit: line for line in replicate(clean).of(ESTIMATED)}["table_2"].why
    assert report.of(MISSED) == ()


def test_a_study_without_a_paper_has_no_lines() -> None:
    study = load(catalogue()["low_carbon_cities"])
    assert replicate(Inputs(study, published("low_carbon_cities"), make_panel(study))).lines == ()

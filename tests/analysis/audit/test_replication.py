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


def with_printed(true: Inputs, exhibit: str, model: str, term: str, **values: float) -> Inputs:
    """The inputs with numbers of one printed term replaced."""
    table = true.printed.table.copy()
    at = table["exhibit"].eq(exhibit) & table["model"].eq(model) & table["term"].eq(term)
    assert at.sum() == 1
    table.loc[at, list(values)] = list(values.values())
    return replace(true, printed=replace(true.printed, table=table))


def verdicts(changed: Inputs, exhibit: str, model: str, what: str) -> set[str]:
    lines = replicate(changed).lines
    return {line.verdict for line in lines if (line.exhibit, line.model) == (exhibit, model) and what in line.what}


def test_a_mean_is_reproduced_within_half_of_its_last_digit_and_no_further() -> None:
    true = inputs("ai_pilot_zones")
    ours = float(true.panel["ai"].mean())
    assert 0.0287 < ours < 0.02875
    assert verdicts(true, "table_2", "ai", "mean") == {EXACT}
    for printed in (0.0286, 0.0288):
        assert 0.5e-4 < abs(ours - printed) < 1.5e-4
        assert verdicts(with_printed(true, "table_2", "ai", "mean", estimate=printed), "table_2", "ai", "mean") == {
            MISSED
        }


@pytest.mark.parametrize(("printed", "verdict"), [(0.006, EXACT), (0.007, MISSED), (0.005, MISSED)])
def test_a_weight_is_reproduced_within_half_of_its_last_digit(printed: float, verdict: str) -> None:
    label = "earlier treated against later"  # 0.0063 by the list
    true = inputs("ai_pilot_zones")
    exhibit = next(line.exhibit for line in replicate(true).of(EXACT) if line.model == label)
    changed = with_printed(true, exhibit, label, "weight", estimate=printed)
    assert verdicts(changed, exhibit, label, "weight") == {verdict}


def test_a_constant_is_reproduced_within_the_rounding_of_the_three_figures_behind_it() -> None:
    true = inputs("innovative_clusters")
    table = true.printed.table.set_index(["exhibit", "model", "term"])["estimate"]
    share = float(true.panel["did"].mean())
    ours = table["table_3", "gti1", "mean"] - table["table_4", "(1)", "did"] * share
    allowed = 0.5e-4 * (1 + 1 + share)  # the constant, the mean and the slope have four decimals each
    tried = {round(ours + step * 1e-4, 4) for step in range(-3, 4)}
    found = {
        printed: verdicts(with_printed(true, "table_4", "(1)", "const", estimate=printed), "table_4", "(1)", "constant")
        for printed in tried
    }
    assert found == {printed: {EXACT if abs(ours - printed) <= allowed else MISSED} for printed in tried}
    assert any(allowed < abs(ours - printed) < 2 * allowed for printed in tried)


@pytest.mark.parametrize(("printed", "verdict"), [(0.0138, EXACT), (0.0137, MISSED), (0.0140, MISSED)])
def test_a_ratio_of_standard_errors_is_reproduced_within_the_rounding_of_both(printed: float, verdict: str) -> None:
    true = inputs("innovative_clusters")  # 1.033 by parameters counted, beside a printed 0.0138 / 0.0134
    changed = with_printed(true, "table_11", "(1)", "did", se=printed)
    assert verdicts(changed, "table_11", "(1), (2)", "ratio of standard errors") == {verdict}

"""The engine on panels made here: what it computes, and what it says where it cannot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_panel import CITIES, make_panel

from analysis.did import event_study, two_way
from analysis.studies.methods import METHODS
from analysis.studies.records import Study
from analysis.studies.result import COLUMNS
from analysis.studies.run import missing_columns, run_exhibit, run_study
from analysis.studies.spec import catalogue, load


@pytest.fixture(scope="module")
def clusters() -> Study:
    return load(catalogue()["innovative_clusters"])


@pytest.fixture(scope="module")
def panel(clusters: Study) -> pd.DataFrame:
    return make_panel(clusters)


def test_a_column_of_a_table_is_the_estimator_called_with_the_columns_choices(clusters, panel) -> None:
    result = run_exhibit(clusters, "table_4", panel, is_sample=True)
    direct = two_way(panel, "gti2", "did", ["fin", "open", "industry", "ln_pgdp"], unit="city_code", time="year")
    rows = result.estimates[result.estimates["model"] == "(4)"].set_index("term")
    assert rows.loc["did", "estimate"] == direct.table.loc["did", "estimate"]
    assert rows.loc["did", "se"] == direct.table.loc["did", "se"]
    assert rows.loc["const", "estimate"] == direct.constant
    assert (rows["n"] == 4496).all()
    assert (rows["r2"] == direct.r2).all()
    assert result.models["(4)"].n == 4496


def test_estimates_have_the_columns_of_the_warehouse_and_the_sample_flag(clusters, panel) -> None:
    quick = [exhibit for exhibit in clusters.exhibits if exhibit.kind not in ("estimators", "honest")]
    results = run_study(replace(clusters, exhibits=tuple(quick)), panel, is_sample=True, cities=CITIES)
    assert list(results) == [exhibit.name for exhibit in quick]
    for name, result in results.items():
        assert list(result.estimates.columns) == COLUMNS
        assert result.estimates["is_sample"].all()
        assert set(result.estimates["exhibit"]) == {name}
        assert set(result.estimates["status"]) == {"ok"}, name
    assert not run_exhibit(clusters, "table_3", panel, is_sample=False).estimates["is_sample"].any()


def test_the_descriptive_table_reproduces_the_treatment_shares_that_follow_from_the_pilot_list(clusters, panel) -> None:
    estimates = run_exhibit(clusters, "table_3", panel, is_sample=True).estimates
    did = estimates[estimates["model"] == "did"].set_index("term")["estimate"]
    assert did.round(4).to_dict() == {"obs": 4496, "mean": 0.0827, "sd": 0.2755, "min": 0, "max": 1}


def test_dropping_the_municipalities_leaves_the_printed_number_of_rows() -> None:
    study = load(catalogue()["ai_pilot_zones"])
    estimates = run_exhibit(study, "table_4", make_panel(study), is_sample=True).estimates
    assert set(estimates.loc[estimates["model"] == "(3)", "n"]) == {2538}


def test_a_figure_is_the_event_study_with_its_window_and_base() -> None:
    study = load(catalogue()["ai_pilot_zones"])
    panel = make_panel(study)
    result = run_exhibit(study, "figure_3", panel, is_sample=True)
    direct = event_study(
        panel, "ulgue", "adoption", study.controls, unit="city_code", time="year", leads=5, lags=4, base=-1
    )
    rows = result.estimates[result.estimates["model"] == "ulgue, base -1"].set_index("term")
    assert rows.loc["period 2", "estimate"] == direct.table.loc[2, "estimate"]
    assert rows.loc["period -1", "estimate"] == 0
    other = result.estimates[result.estimates["model"] == "ulgue, base 0"].set_index("term")
    assert other.loc["period 0", "estimate"] == 0
    assert other.loc["period -1", "estimate"] != 0
    assert rows.loc["pretrend F", "p"] == direct.pretrend.p


@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_column_no_source_fills_costs_only_the_columns_that_need_it_and_is_named(clusters, panel, how) -> None:
    poorer = panel.drop(columns="open") if how == "absent" else panel.assign(open=np.nan)
    estimates = run_exhibit(clusters, "table_4", poorer, is_sample=False).estimates
    status = estimates[estimates["term"] == "did"].set_index("model")
    assert list(status["status"]) == ["ok", "not computed", "ok", "not computed"]
    reason = status.loc["(2)", "reason"]
    assert reason == "'open' is trade_share of panels.city_year, and no raw source provides trade_share."
    assert missing_columns(clusters, poorer) == {"open": reason}


def test_a_treatment_without_a_treated_city_is_not_identified_and_says_so(clusters, panel) -> None:
    untreated = panel.assign(did=0.0, adoption=np.nan)
    row = run_exhibit(clusters, "table_4", untreated, is_sample=False).estimates.iloc[0]
    assert row["status"] == "not identified"
    assert "did" in row["reason"]
    assert np.isnan(row["estimate"])


def test_an_estimators_complaint_becomes_the_reason(clusters, panel) -> None:
    repeated = pd.concat([panel, panel.head(1)])
    estimates = run_exhibit(clusters, "table_4", repeated, is_sample=False).estimates
    assert set(estimates["status"]) == {"not computed"}
    assert "repeat" in estimates["reason"].iloc[0]


@pytest.mark.parametrize("error", [ValueError, np.linalg.LinAlgError, KeyError])
def test_any_other_error_ends_the_exhibit_and_says_where(clusters, panel, monkeypatch, error) -> None:
    def broken(frame: pd.DataFrame, model: object) -> None:
        raise error("operands could not be broadcast")

    monkeypatch.setitem(METHODS, "two_way", replace(METHODS["two_way"], run=broken))
    with pytest.raises(RuntimeError, match=r"'innovative_clusters', exhibit 'table_4', model '\(1\)' .*broadcast"):
        run_exhibit(clusters, "table_4", panel, is_sample=True)


def test_a_column_may_select_rows_by_an_attribute_of_the_city(tmp_path: Path) -> None:
    source = catalogue()["innovative_clusters"]
    text = source.read_text(encoding="utf-8").replace(
        '{label: "(4)", outcome: gti2}',
        '{label: "(4)", outcome: gti2, sample: {years: [2010, 2021], where: {region: west}}}',
    )
    (tmp_path / "published").mkdir()
    printed = source.parent / "published" / source.name
    (tmp_path / "published" / source.name).write_text(printed.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / source.name).write_text(text, encoding="utf-8")
    study = load(tmp_path / source.name)
    panel = make_panel(study)
    western = ((CITIES["region"] == "west") & (CITIES["panel_281"] == 1)).sum()
    with_cities = run_exhibit(study, "table_4", panel, is_sample=True, cities=CITIES).estimates
    assert with_cities.loc[with_cities["model"] == "(4)", "n"].iloc[0] == western * 12
    without = run_exhibit(study, "table_4", panel, is_sample=True).estimates
    assert without.loc[without["model"] == "(4)", "status"].iloc[0] == "not computed"


def test_results_do_not_depend_on_the_order_of_rows_and_leave_the_panel_alone(clusters, panel) -> None:
    before = panel.copy()
    shuffled = panel.sample(frac=1, random_state=1)
    for name in ("table_3", "table_4", "figure_2"):
        left = run_exhibit(clusters, name, panel, is_sample=True).estimates
        right = run_exhibit(clusters, name, shuffled, is_sample=True).estimates
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    pd.testing.assert_frame_equal(panel, before)


def test_a_panel_without_its_keys_and_an_unknown_exhibit_are_errors(clusters, panel) -> None:
    with pytest.raises(ValueError, match="'adoption'"):
        run_exhibit(clusters, "table_4", panel.drop(columns="adoption"), is_sample=True)
    with pytest.raises(ValueError, match="no exhibit 'table_44'; it has table_3"):
        run_exhibit(clusters, "table_44", panel, is_sample=True)

"""Every estimate side by side: which specifications count, what stands beside them, and the same picture twice."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.reporting.all_estimates import NORMAL, describe, draw, gather, write


@pytest.fixture(scope="module")
def table(study, results, printed):
    return gather(study, results, printed)


def test_every_regression_and_estimator_of_the_outcome_counts_once(table, results) -> None:
    names = table["name"].tolist()
    assert len(names) == len(set(names))
    assert {"Table 2 (1)", "Table 2 (2)", "Table 7 (1): Large", "Table 7 (3)"} <= set(names)
    assert "Table 4: Imputation (Borusyak-Jaravel-Spiess)" in names
    # not computed, an interaction's part, and the bootstrap that repeats the two-way estimate
    assert not {"Table 2 (3)", "Table 7 (4)", "Table 4: Two-way, wild cluster bootstrap"} & set(names)
    assert table["estimate"].is_monotonic_increasing


def test_estimates_bounds_and_printed_figures_are_those_of_the_tables(table, results) -> None:
    row = table.set_index("name").loc["Table 2 (1)"]
    fitted = results["table_2"].models["(1)"].table.loc["did"]
    assert row["estimate"] == fitted["estimate"]
    assert row["high"] - row["estimate"] == pytest.approx(NORMAL * fitted["se"])
    assert row["published"] == 0.4
    assert row["baseline"]
    assert np.isnan(table.set_index("name").loc["Table 2 (2)", "published"])
    assert set(table.loc[table["baseline"], "name"]) == {"Table 2 (1)", "Table 2 (2)"}


def test_the_picture_is_marked_and_the_same_bytes_twice(table, study) -> None:
    first = draw(table, study, is_sample=True)
    assert set(first) == {"svg", "png", "pdf"}
    assert first == draw(table, study, is_sample=True)
    assert first["svg"] != draw(table, study, is_sample=False)["svg"]


def test_words_count_what_the_picture_shows(table, study) -> None:
    above = (table["low"] > 0).sum()
    assert f"50% of y_1: {len(table)} estimates" in describe(table, study)
    assert f"{above} intervals above zero, 0 below." in describe(table, study)


def test_a_study_with_too_few_estimates_has_no_picture(study, results, printed, tmp_path) -> None:
    few = {"table_1": results["table_1"], "figure_1": results["figure_1"]}
    assert write(study, few, printed, tmp_path, is_sample=True) == ({}, "")
    assert gather(replace(study, outcomes=("gone",)), results, printed).empty

"""What stands where in the tables of each kind."""

import numpy as np
import pytest

from analysis.did import two_way, wild_bootstrap
from analysis.printing.table import Table, display_name, number
from analysis.reporting.latex import latex
from analysis.reporting.tables import exhibit_table, markdown


@pytest.fixture
def tables(results, study, printed, truth) -> dict[str, Table]:
    return {name: exhibit_table(result, study, printed=printed, truth=truth) for name, result in results.items()}


def cells(table: Table, panel: int, label: str) -> tuple[str, ...]:
    return next(line.cells for line in table.panels[panel].lines if line.label.startswith(label))


def test_every_line_of_every_table_has_a_cell_a_column_in_every_format(tables) -> None:
    for name, table in tables.items():
        width = len(table.headers[0])
        assert {len(header) for header in table.headers} == {width}, name
        assert {len(line.cells) for panel in table.panels for line in panel.lines} == {width}, name
        assert markdown(table)
        assert latex(table)


def test_a_decomposition_prints_weights_and_estimates_and_the_printed_ones_below(tables, results) -> None:
    table = tables["table_3"]
    assert table.headers == (("Weight", "Estimate"),)
    overall = results["table_3"].models["y"].bacon.overall
    assert cells(table, 0, "Treated against never treated") == ("1.0000", number(overall))
    assert cells(table, 0, "All comparisons") == ("1.0000", number(overall))
    assert cells(table, 1, "Treated against never treated") == ("1.0000†", "0.4000")


def test_decompositions_side_by_side_keep_their_columns_where_one_fails(tables) -> None:
    table = tables["table_3_both"]
    assert table.headers[0] == ("y", "", "y, x", "", "z", "")
    assert cells(table, 0, "Within cohorts")[:2] == ("", "")
    assert cells(table, 0, "Within cohorts")[2]
    assert cells(table, 0, "All")[:4] != ("", "", "", "")
    last = next(line for line in table.panels[0].lines if line.label == "All")
    assert last.cells == ("", "", "", "", "not computed [a]", "")


def test_a_placebo_table_prints_the_permutations_p(tables, results) -> None:
    table, fitted = tables["figure_2"], results["figure_2"].models["y"]
    assert cells(table, 0, "Permutation p") == (number(fitted.p_value), "")
    assert cells(table, 0, "Draws, mean")[0] == number(fitted.draws["estimate"].mean())
    assert cells(table, 0, "did")[1] == "not computed [a]"


def test_estimators_stand_below_each_other_with_their_own_p(tables, panel) -> None:
    table = tables["table_4"]
    direct = two_way(panel, "y", "did", ["x"], unit="city_code", time="year").table.loc["did"]
    bootstrap = wild_bootstrap(panel, "y", "did", ["x"], unit="city_code", time="year")
    assert cells(table, 0, "Two-way")[0].rstrip("*") == number(direct["estimate"])
    assert cells(table, 0, "Two-way, wild")[2] == number(bootstrap.p_value)
    assert len(table.panels[0].lines) == 4


def test_honest_intervals_stand_under_their_bounds_and_say_where_zero_enters(tables, results) -> None:
    table, fitted = tables["table_5"], results["table_5"].models["y"]
    first = fitted.relative.table.iloc[0]
    assert cells(table, 1, "0.5")[0] == f"[{number(first['low'])}, {number(first['high'])}]"
    holds = fitted.relative.breakdown
    assert cells(table, 1, "Largest")[0] == (number(holds, 2) if np.isfinite(holds) else "none")
    assert cells(table, 0, "Average effect") == (cells(table, 0, "Average effect")[0], "not computed [a]")


def test_a_balance_table_has_each_covariate_before_and_after(tables, results) -> None:
    table, fitted = tables["table_6"], results["table_6"].models["kernel"]
    for sample in ("unmatched", "matched"):
        bias = fitted.balance.loc[("x", sample), "bias"]
        assert cells(table, 0, f"x, {sample}")[2] == number(bias, 3)
    matched = int((fitted.weights.gt(0) & fitted.table["treated"].eq(1)).sum())
    assert any(f"kernel: {matched} of 80 rows of pilot cities" in note for note in table.notes)


def test_the_test_between_groups_stands_below_the_columns(tables, results) -> None:
    table, test = tables["table_7"], results["table_7"].models["equal effects, y"]
    assert table.headers[1][:2] == ("Large", "Small")
    assert cells(table, 0, "Equal effects by large city") == (number(test.chow.p),) * 4
    assert cells(table, 0, "by permutation") == (number(test.permutation_p),) * 4


def test_what_is_not_identified_but_not_printed_is_said_below(tables) -> None:
    assert any(note.startswith("(3): not identified: 'twice'") for note in tables["table_7"].notes)


def test_regressors_made_from_the_treatment_have_names_people_can_read(tables) -> None:
    labels = [line.label for line in tables["table_7"].panels[0].lines]
    assert "did, 1 year early (did_lead_1)" in labels
    assert "did × Large city (did_x_large)" in labels


@pytest.mark.parametrize(
    ("exhibit", "shown"), [("table_3", "Table 3"), ("table_3_both", "Table 3 (both)"), ("figure_1", "Figure 1")]
)
def test_an_exhibit_is_called_by_its_number(exhibit: str, shown: str) -> None:
    assert display_name(exhibit) == shown

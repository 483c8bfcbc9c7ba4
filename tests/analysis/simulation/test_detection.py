"""Faults and rejects are matched by place and rule: a miss, a wrong rule and a false alarm are told apart."""

import pandas as pd

from analysis.simulation.detection import COLUMNS, explain, planted_and_caught, read_ledgers


def faults(*rows):
    return pd.DataFrame(rows, columns=["file", "sheet", "row", "column", "rule", "kind"])


def rejects(*rows):
    return pd.DataFrame(rows, columns=["file", "sheet", "row", "column", "rule"])


PLANTED = faults(
    ("yearbook/a.xlsx", "s", "5", "K", "jump", "lost_digit"),
    ("yearbook/a.xlsx", "s", "9", "A", "duplicate_key", "copied_row"),
    ("yearbook/a.xlsx", "s", "12", "B", "jump", "lost_digit"),
    ("patents/1.csv", "", "7", "A", "unknown_city", "no_city"),
)


def counts(*rows):
    table = planted_and_caught(PLANTED, rejects(*rows)).set_index(["files", "rule"])
    return table[["planted", "caught", "set_aside", "false_alarms"]].T.to_dict("list")


def test_a_cell_is_caught_in_its_place_and_a_row_in_any_of_its_cells():
    found = counts(
        ("yearbook/a.xlsx", "s", 5, "K", "jump"),
        ("yearbook/a.xlsx", "s", 9, "B", "duplicate_key"),
        ("yearbook/a.xlsx", "s", 9, "C", "duplicate_key"),
        ("patents/1.csv", "", 7, "address", "unknown_city"),
    )
    assert found["yearbook", "jump"] == [2, 1, 1, 0]
    assert found["yearbook", "duplicate_key"] == [1, 1, 2, 0]
    assert found["patents", "unknown_city"] == [1, 1, 1, 0]


def test_what_stands_elsewhere_is_a_false_alarm():
    found = counts(("yearbook/a.xlsx", "s", 5, "L", "jump"), ("yearbook/a.xlsx", "t", 5, "K", "jump"))
    assert found["yearbook", "jump"] == [2, 0, 2, 2]


def test_the_wrong_rule_in_the_right_place_is_a_miss_and_a_false_alarm():
    found = counts(("yearbook/a.xlsx", "s", 5, "K", "tenfold"))
    assert found["yearbook", "jump"] == [2, 0, 0, 0]
    assert found["yearbook", "tenfold"] == [0, 0, 1, 1]


def test_nothing_set_aside_is_nothing_caught():
    table = planted_and_caught(PLANTED, rejects())
    assert list(table.columns) == COLUMNS
    assert table.planted.sum() == 4
    assert table[["caught", "set_aside", "false_alarms"]].to_numpy().sum() == 0


def test_a_reject_of_a_whole_file_has_no_row_and_no_fault():
    whole = rejects(("yearbook/a.xlsx", "s", None, "", "missing_sheet"))
    assert explain(PLANTED, whole).tolist() == [-1]


def test_ledgers_are_read_whatever_columns_they_have(tmp_path):
    (tmp_path / "a.csv").write_text("file,row,rule,kind\npatents/1.csv,7,unknown_city,no_city\n", encoding="utf-8")
    columns = "file,sheet,row,column,rule,kind,value"
    (tmp_path / "b.csv").write_text(f"{columns}\nyearbook/a.xlsx,s,5,K,jump,lost_digit,1\n", encoding="utf-8")
    found = read_ledgers([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert found.to_numpy().tolist() == [PLANTED.loc[3].tolist(), PLANTED.loc[0].tolist()]

"""How much of what was planted in the sample world the rules caught, and what they set aside besides.

Compares two tables of places; knows neither the warehouse nor how faults are planted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

#: The column of a ledger's entry that means the whole row.
WHOLE_ROW = "A"
ROW = ("file", "sheet", "row")
CELL = (*ROW, "column")
COLUMNS = ["files", "rule", "what_was_planted", "planted", "caught", "set_aside", "false_alarms"]


def read_ledgers(paths: Iterable[object]) -> pd.DataFrame:
    """The ledgers of a sample world one below the other: ``file``, ``sheet``, ``row``, ``column``, ``rule``, ``kind``.

    Everything is text; sheet is blank where a file has none, and a ledger without columns means whole rows.
    """
    ledgers = [pd.read_csv(str(path), dtype=str) for path in paths]
    wanted = ["file", "sheet", "row", "column", "rule", "kind"]
    return pd.concat(ledgers, ignore_index=True).reindex(columns=wanted).fillna({"sheet": "", "column": WHOLE_ROW})


def explain(planted: pd.DataFrame, rejects: pd.DataFrame) -> pd.Series:
    """For each row of ``rejects`` the position in ``planted`` of the fault that stands in its place, or -1.

    Parameters
    ----------
    planted
        As `read_ledgers` gives it.
    rejects
        Rows of quality.rejects: ``file``, ``sheet``, ``row``, ``column``. A fault planted in a cell stands in the place
        of a reject of that cell; one planted in a whole row, in that of every reject of the row.
    """
    whole = planted["column"] == WHOLE_ROW
    rows = dict(zip(_places(planted[whole], ROW), planted.index[whole], strict=True))
    cells = dict(zip(_places(planted[~whole], CELL), planted.index[~whole], strict=True))
    found = [
        cells.get(cell, rows.get(row, -1))
        for cell, row in zip(_places(rejects, CELL), _places(rejects, ROW), strict=True)
    ]
    return pd.Series(found, index=rejects.index, dtype=int)


def planted_and_caught(planted: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of file and rule: how many faults were planted for it, caught by it, and what else it set aside.

    A fault counts as caught when a reject in its place bears its rule. A false alarm is a reject without a fault of its
    rule in its place: also one that catches a fault by another rule than the one meant for it.

    Parameters
    ----------
    planted, rejects
        As for `explain`; ``rejects`` also with ``rule``.

    Returns
    -------
    DataFrame
        ``files`` (their folder), ``rule``, ``what_was_planted`` (kinds), ``planted`` and ``caught`` (faults),
        ``set_aside`` and ``false_alarms`` (rejects; a faulty row of a yearbook is one reject a value); by files
        and rule.
    """
    planted = planted.reset_index(drop=True).assign(files=planted["file"].str.split("/").str[0].to_numpy())
    at = explain(planted, rejects)
    right = (at >= 0) & (planted["rule"].reindex(at).to_numpy() == rejects["rule"].to_numpy())
    caught = planted.index.isin(at[right])
    faults = planted.assign(caught=caught).groupby(["files", "rule"])
    found = rejects.assign(files=rejects["file"].str.split("/").str[0], wrong=~right).groupby(["files", "rule"])
    table = pd.DataFrame(
        {
            "what_was_planted": faults["kind"].agg(lambda kinds: ", ".join(sorted(set(kinds))).replace("_", " ")),
            "planted": faults.size(),
            "caught": faults["caught"].sum(),
            "set_aside": found.size(),
            "false_alarms": found["wrong"].sum(),
        }
    )
    counts = COLUMNS[3:]
    table[counts] = table[counts].fillna(0).astype(int)
    return table.fillna({"what_was_planted": ""}).sort_index().reset_index()[COLUMNS]


def _places(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Places as comparable keys: whole numbers as text, missing as nothing."""
    parts = [frame[name].astype("string").str.removesuffix(".0").fillna("").tolist() for name in columns]
    return list(zip(*parts, strict=True))

"""Random tables through `adopt` and `read`: every cell right, or set aside; never wrong."""

import random
from collections import Counter

import pandas as pd
import pytest
from random_tables import Table, roster, table, write

from dagster_project import overlay
from dagster_project.commands.adopt import catalogue
from dagster_project.commands.read import number_of
from dagster_project.ingest import drafting, files, staging, tables, yearbooks
from dagster_project.ingest.contracts import Contract
from dagster_project.paths import DBT_PROJECT, Paths

TEXT = ("csv", "csv", "tsv", "txt", "html")


def read(folder, count: int, seed: int, kinds: tuple[str, ...]) -> tuple[Counter, list[str]]:
    """How many cells were right, aside or lost in ``count`` tables, and a line for each that was wrong."""
    draw = random.Random(seed)
    paths = Paths(folder, folder, is_sample=False, own=folder / "own")
    known, units, cities = catalogue(paths), tables.unit_texts(), roster()
    made: dict[str, Table] = {}
    cells, contracts = [], []
    indicators = overlay.catalogue(paths).indicators_table()
    new: dict[str, dict[str, str]] = {}
    for number in range(count):
        one = table(draw, cities)
        path = write(one, draw, folder, number, kinds)
        source = f"s{number}"
        drafted = drafting.draft(source, path.name, files.open_sheets(path), known)
        made[path.name] = one
        if not drafted.tables:
            continue
        contract = Contract.model_validate({"source": source, "files": [path.name], "tables": drafted.tables})
        contracts.append(contract)
        new |= drafted.indicators
        yearbooks.read(path, path.name, contract, units, cells.extend)
        path.unlink()
    added = pd.DataFrame(new.values())[indicators.columns].replace("", None)
    listed = pd.concat([indicators, added]).astype({"jump": float}).drop_duplicates("indicator")
    read = pd.DataFrame(cells, columns=yearbooks.COLUMNS)
    found = staging.judged(DBT_PROJECT, read, tables.of_staging(listed, contracts))
    found = found.astype(object).where(found.notna(), None)
    tally, wrong = Counter(cells=sum(len(one.truth) for one in made.values())), []
    for cell in found[found.rule.isna() & found.value.notna()].itertuples():
        one = made[cell.file]
        expected = one.truth.get((cell.row, number_of(cell.column)))
        if expected == (cell.city_code, cell.year, cell.value):
            tally["right"] += 1
        else:
            place = f"{one.layout} {cell.file} {cell.row} {cell.column}"
            believed = f"{cell.city_code} {cell.year} {cell.value}"
            wrong.append(f"{place}: {cell.text!r} as {believed}, not {expected}")
    tally["aside"] = int(found.rule.notna().sum())
    return tally, wrong


def test_random_tables_are_read_right_or_set_aside(tmp_path):
    tally, wrong = read(tmp_path, 5000, 0, TEXT)
    assert wrong == []
    assert tally["right"] > 0.95 * tally["cells"]


def test_random_workbooks_are_read_right_or_set_aside(tmp_path):
    tally, wrong = read(tmp_path, 8, 99, ("xlsx",))
    assert wrong == []
    assert tally["right"] > 0.7 * tally["cells"]


@pytest.mark.torture
def test_a_hundred_thousand_random_tables_are_read_right_or_set_aside(tmp_path):
    for seed in range(1000, 1100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _, wrong = read(folder, 1000, seed, TEXT)
        assert wrong == [], seed

"""Large and many yearbook files: memory within the stated bound, and little time a file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import pytest

from dagster_project.ingest import contracts, files
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import ROOT
from dagster_project.resources import TABLES


def contract(columns: int) -> contracts.Contract:
    """A contract of one year and so many columns of values."""
    return contracts.Contract.model_validate(
        {
            "source": "book",
            "kind": "yearbook",
            "title": {"en": "A book"},
            "publisher": "nobody",
            "covers": "cities",
            "licence": "none",
            "obtain": "by hand",
            "files": ["**/*.csv"],
            "tables": [
                {
                    "keys": {"year": {"from": "constant", "value": "2010"}, "city": {"header": "城市"}},
                    "columns": [
                        {"header": f"值{number}", "indicator": "gdp", "unit": "万元"} for number in range(columns)
                    ],
                }
            ],
        }
    )


def write(path: Path, megabytes: float, columns: int) -> None:
    """A yearbook of so many cities as fill so many megabytes."""
    line = f"北京市,{','.join(str(number) for number in range(columns))}\n"
    times = int(megabytes * 1e6) // len(line.encode())
    header = f"城市,{','.join(f'值{number}' for number in range(columns))}\n"
    path.write_text(header + line * times, encoding="utf-8")


GROWTH = """
    import resource, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import duckdb, pandas, pyarrow, test_sizes
    from dagster_project.ingest.refresh import refresh
    from dagster_project.resources import TABLES
    raw, columns = Path(sys.argv[2]), int(sys.argv[3])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with duckdb.connect(str(raw.parent / "w.duckdb"), config={"memory_limit": "256MB"}) as connection:
        connection.execute(TABLES)
        refresh(connection, raw, test_sizes.contract(columns), lambda text: None)
        print(connection.execute("select count(*) from raw.yearbook_cells").fetchall()[0][0])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def growth(folder: Path, megabytes: float, columns: int) -> tuple[int, float]:
    """Cells that a yearbook gave, and megabytes by which the process that read it grew."""
    (folder / "raw").mkdir()
    write(folder / "raw" / "book.csv", megabytes, columns)
    command = [sys.executable, "-c", textwrap.dedent(GROWTH), str(Path(__file__).parent), str(folder / "raw")]
    done = subprocess.run([*command, str(columns)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    cells, kilobytes = map(int, done.stdout.split())
    return cells, kilobytes / 1024


def test_a_yearbook_of_half_a_million_cells_takes_little_memory(tmp_path):
    cells, megabytes = growth(tmp_path, 1.5, columns=50)
    assert cells > 450_000
    assert megabytes < 170


@pytest.mark.torture
@pytest.mark.parametrize("columns", [1, 50])
def test_a_yearbook_of_twenty_megabytes_takes_half_of_the_bound(tmp_path, columns):
    cells, megabytes = growth(tmp_path, 20, columns)
    print(f"\na CSV yearbook of 20 MB and {cells:,} values: {megabytes:.0f} MB")
    assert megabytes * 1024**2 < files.TEXT_MEMORY_BOUND / 2


def test_more_cells_than_the_bound_is_made_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_TEXT_CELLS", 1000)
    for content in ("城市,值\n" + "北京市,1\n" * 600, "城市,值\n" + "\n" * 2000):
        (tmp_path / "book.csv").write_text(content, encoding="utf-8")
        (sheet,) = files.open_sheets(tmp_path / "book.csv")
        with pytest.raises(files.UnreadableFile, match="has more than 1,000 cells"):
            list(sheet.rows())


def test_more_rows_than_are_told_one_by_one_refuse_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_SET_ASIDE", 10)
    (tmp_path / "book.csv").write_text("城市,值\n" + '"北"京市,1\n' * 20, encoding="utf-8")
    (sheet,) = files.open_sheets(tmp_path / "book.csv")
    with pytest.raises(files.UnreadableFile, match=r"more than 10 rows that cannot be read, first row 2: it opens"):
        list(sheet.rows())


def test_a_hundred_changed_files_of_a_thousand_take_less_than_a_second_beyond_the_look(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()

    def change(count: int, value: int) -> None:
        for number in range(count):
            (raw / f"{number}.csv").write_text(f"城市,值0\n北京市,{value}\n", encoding="utf-8")

    def seconds(connection: duckdb.DuckDBPyConnection) -> float:
        began = time.process_time()
        refresh(connection, raw, contract(1), lambda text: None)
        return time.process_time() - began

    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(TABLES)
        change(1000, 1)
        first = seconds(connection)
        nothing = seconds(connection)
        change(100, 2)
        assert seconds(connection) - nothing < 1
        assert first < 10
        assert connection.execute("select count(*), sum(rows) from raw.ledger").fetchall() == [(1000, 1000)]
        found = connection.execute("select value, count(*) from raw.yearbook_cells group by value order by value")
        assert found.fetchall() == [("1", 900), ("2", 100)]

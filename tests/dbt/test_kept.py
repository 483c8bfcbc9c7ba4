"""What is built only where something has changed: after every edit of a random series the rows of a full build.

Run as a program it is the series, in a process of its own that reads dbt's project once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.paths import DBT_PROJECT, ROOT, Paths
from dagster_project.resources import dbt_environment

pytestmark = pytest.mark.xdist_group("dbt")

CHAIN = ("stg_provinces", "stg_yearbook_places", "stg_yearbook_parsed", "stg_yearbook_judged", "stg_yearbook")
TABLES = (*(f"staging.{model}" for model in CHAIN), "lineage.treatments", "lineage.committed")
CELLS = """
delete from raw.yearbook_cells;
insert into raw.yearbook_cells by name
select 's' as source, 'a.xlsx' as file, 'S' as sheet, row_number() over () + 1 as row, 'C' as "column", '值' as header,
    'gdp' as indicator, '万元' as unit, city_code as code, name_zh as city, '' as province, year::varchar as year,
    'A1' as block, '' as fault,
    (100 * year + city_code::integer % 97)::varchar as value
from (from raw.cities order by city_code limit 12), (select unnest(range(2010, 2016)) as year) order by all;
create or replace table raw.contract_columns as
select 's' as source, 'gdp' as indicator, 1::bigint as priority, 0::double as low, 1e9::double as high,
    null::varchar as levels;
"""


class Series:
    """A warehouse, what is done to it, and dbt on it."""

    def __init__(self, data: Path) -> None:
        self.paths = Paths(data, data / "raw", is_sample=False)
        os.environ.update(dbt_environment(self.paths))
        os.chdir(DBT_PROJECT)
        self.earlier = data / "earlier.duckdb"
        self.manifest = self.dbt("parse").result
        self.sql(CELLS)

    def dbt(self, *arguments: str) -> Any:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        quiet = ("--quiet", "--log-level-file", "none")
        folders = (f"--profiles-dir={DBT_PROJECT}", f"--target-path={self.paths.dbt_target}")
        try:
            return dbtRunner(manifest=getattr(self, "manifest", None)).invoke([*quiet, *arguments, *folders])
        finally:
            # dbt would keep the file open for its next command
            DuckDBConnectionManager.close_all_connections()

    def run(self, *arguments: str) -> list[str]:
        """Build the tables; which of them were."""
        before = self.builds()
        done = self.dbt("run", "--select", *(table.partition(".")[2] for table in TABLES), *arguments)
        assert done.success, done.exception or [result.message for result in done.result]
        after = self.builds()
        return [table for table in TABLES if after[table] != before.get(table)]

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.paths.warehouse)) as connection:
            return connection.execute(text).fetchall()

    def builds(self) -> dict[str, str]:
        """Table -> the run that built it."""
        if not self.sql("from duckdb_tables() where schema_name = 'builds'"):
            return {}
        return {
            name.partition(".")[2].replace('"', ""): run
            for name, run in self.sql("select relation, built_by from builds.relations where content != ''")
        }

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        return {table: self.sql(f"select * from {table} order by all") for table in TABLES}

    def killed(self, seconds: float) -> None:
        """A run that is killed after that time, wherever it is then."""
        child = os.fork()
        if not child:
            self.dbt("run", "--select", *CHAIN)
            os._exit(0)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def edits(self, chance: random.Random) -> dict[str, tuple[Callable[[], object], set[str]]]:
        """Name of an edit -> the edit, and which tables it may make anew."""
        yearbook = set(TABLES[1:5])
        row = chance.randrange(2, 74)

        def restore() -> None:
            shutil.copyfile(self.earlier, self.paths.warehouse)

        def kill() -> None:
            self.sql(f"update raw.yearbook_cells set value = '{chance.randrange(900)}' where row = {row}")
            self.killed(chance.uniform(0.1, 1.5))

        table = chance.choice(TABLES)
        return {
            "a cell": (
                lambda: self.sql(f"update raw.yearbook_cells set value = '{chance.randrange(900)}' where row = {row}"),
                yearbook,
            ),
            "the order of rows": (
                lambda: self.sql(
                    "create or replace table raw.yearbook_cells as from raw.yearbook_cells order by random()"
                ),
                set(),
            ),
            "a contract's line": (
                lambda: self.sql(f"update raw.contract_columns set high = {chance.randrange(200_000, 205_000)}"),
                yearbook,
            ),
            "a pilot's year": (
                lambda: self.sql(
                    f"update raw.policies set adoption = {chance.randrange(2000, 2020)} where policy = 'ai_pilot_zones'"
                ),
                {"lineage.treatments"},
            ),
            "a table by hand": (lambda: self.sql(f"delete from {table} where rowid = 0"), {table}),
            "a table that is gone": (lambda: self.sql(f"drop table {table}"), {table}),
            "a record that is gone": (
                lambda: self.sql(f"delete from builds.relations where relation like '%{table.partition('.')[2]}\"'"),
                {table},
            ),
            "all records": (lambda: self.sql("drop table builds.relations"), set(TABLES)),
            "an earlier warehouse": (restore, set(TABLES)),
            "a killed run": (kill, yearbook),
        }


def main(data: str, count: int, together: int, compared: int) -> None:
    """One JSON object a line: what was edited, which tables were built, which of them need not be, which are wrong."""
    series, chance = Series(Path(data)), random.Random(7)
    series.run()
    shutil.copyfile(series.paths.warehouse, series.earlier)
    names: list[str] = []
    for number in range(count):
        said: dict[str, Any] = {"edits": []}
        reached: set[str] = set()
        for _ in range(together):
            edits = series.edits(chance)
            names = names or chance.sample(list(edits), len(edits))
            said["edits"].append(names[-1])
            edit, may = edits[names.pop()]
            edit()
            reached |= may
        said["built"] = series.run()
        said["too many"] = sorted(set(said["built"]) - reached)
        if number % compared == compared - 1:
            partial = series.content()
            assert series.run("--full-refresh") == list(TABLES)
            said["wrong"] = [table for table, rows in series.content().items() if rows != partial[table]]
            said["empty"] = [table for table, rows in partial.items() if not rows]
        print(json.dumps(said), flush=True)
    # a test that held judges a table again that has changed
    judge = ("test", "--select", "committed")
    series.dbt(*judge)
    series.sql("insert into lineage.committed from lineage.committed")
    judged = [series.dbt(*judge).success, series.run(), series.dbt(*judge).success]
    print(json.dumps({"judged": judged}))


@pytest.mark.parametrize(
    ("count", "together", "compared"),
    [(2, 5, 2), pytest.param(500, 1, 1, marks=[pytest.mark.torture])],
    ids=["10", "500"],
)
def test_after_every_edit_only_what_it_reaches_is_built_and_comes_out_as_in_a_full_build(
    without_files, tmp_path, count, together, compared
):
    built, _ = without_files
    shutil.copytree(built.paths.data, tmp_path / "data")
    done = subprocess.run(
        [sys.executable, __file__, *map(str, (tmp_path / "data", count, together, compared))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stdout + done.stderr
    *runs, last = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(runs) == count
    assert [said for said in runs if said["too many"] or said.get("wrong") or said.get("empty")] == []
    # what cannot show, or may have been undone
    idle = {"the order of rows", "an earlier warehouse", "a killed run", "a contract's line"}
    assert [said for said in runs if not said["built"] and not idle.intersection(said["edits"])] == []
    assert last["judged"] == [False, ["lineage.committed"], True]


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

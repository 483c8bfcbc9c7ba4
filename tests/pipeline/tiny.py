"""A graph small enough to be killed many times: real readers, warehouse, gate, candidate and swap; a stand-in for dbt
and one exhibit. Run as a program it is the command line on that graph.
"""

import sys
import time
import types

import dagster as dg
import pandas as pd

from dagster_project import executor, exhibits, fingerprint, refresh, schedules, sensors, tables
from dagster_project.assets import publish, sources, studies, years
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.refresh import EVERYTHING, Plan
from dagster_project.resources import WAREHOUSE_POOL, warehouse
from dagster_project.store import Store

REFRESH = "refresh"
PANEL = """
create schema if not exists panels;
create schema if not exists quality;
create schema if not exists scores;
create or replace table panels.city_year as
    select left(address, 3) as city_code, year(filing_date::date) as year, count(*) as patents
    from raw.patents group by all order by all;
create or replace table quality.files as
    select file, source, sha256, bytes, rows from raw.ledger order by file;
create or replace table quality.rejects as select * from raw.reader_rejects order by all;
"""
#: Seconds that each step takes longer than it must, so that a moment to kill it at can be found.
PAUSE = 0.25


def build(paths: Paths, plan: Plan = EVERYTHING) -> dg.Definitions:
    """The definitions of the tiny graph, on the same executor as the real ones, whatever the plan."""
    found = contracts.load_all(CONTRACTS)
    names = ("patent_records", "exchange_rate")

    @dg.asset(key=["panels", "city_year"], deps=[["raw", name] for name in names], pool=WAREHOUSE_POOL)
    def panel() -> None:
        with warehouse(paths) as connection:
            if connection.execute("select count(*) from raw.patents where applicant = 'stop'").fetchall()[0][0]:
                raise ValueError("An applicant is called stop, and nothing may be published of one.")
            connection.execute("begin")
            connection.execute(PANEL)
            time.sleep(PAUSE)
            connection.execute("commit")

    @dg.asset(key=["tiny", "table"], deps=[studies.CANDIDATE])
    def table() -> None:
        candidate = studies.candidate_of_this_run(paths)
        frame = exhibits.read_panel(candidate, "city_year")
        folder = candidate / "exhibits" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        frame.groupby("year", as_index=False)["patents"].sum().to_parquet(folder / "table.parquet", index=False)
        time.sleep(PAUSE)

    @dg.asset(key=publish.ESTIMATES, deps=[table])
    def estimates() -> None:
        candidate = studies.candidate_of_this_run(paths)
        target = candidate / "data" / "estimates" / "estimates.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pd.read_parquet(candidate / "exhibits" / "tiny" / "table.parquet").to_parquet(target, index=False)

    @dg.asset(key=publish.SITE, deps=[estimates])
    def site() -> None:
        folder = studies.candidate_of_this_run(paths) / "site"
        folder.mkdir(exist_ok=True)
        for number in range(10):
            (folder / f"page{number}.html").write_text(f"page {number}")
            time.sleep(PAUSE / 10)
        (folder / "index.html").write_text("the report")

    by_year = years.by_year(paths, found["patent_records"])
    job = dg.define_asset_job(REFRESH, dg.AssetSelection.all() - dg.AssetSelection.assets(by_year))
    assets = [
        by_year,
        *(sources.source(paths, found[name]) for name in names),
        panel,
        publish.candidate(paths, []),
        table,
        estimates,
        site,
        publish.published(paths, []),
    ]
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: schedules.by_itself(spec, found), assets),
        jobs=[job],
        sensors=[
            sensors.raw_folder(paths, {name: found[name] for name in names}, job),
            sensors.failed_refresh(paths),
            schedules.automation(),
        ],
        executor=executor.one_at_a_time(paths),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev -m tiny` loads; its sensors look more often than they would."""
    _stand_in()
    sensors.EVERY_SECONDS = 3
    return build(Paths.from_environment())


def _stand_in() -> None:
    """Without what is not of this graph: no change of the project's code is a fault to try, and no study is read."""
    fingerprint.CODE = ()

    def set_out(paths: Paths, run: str) -> None:
        tables.begin(paths, run, tables.version(paths, Store(paths), []))

    refresh.set_out = set_out
    refresh.plan = lambda paths: EVERYTHING


def main() -> int:
    """`pilotcity` with this graph in the place of the real one."""
    _stand_in()
    stand_in = types.ModuleType("dagster_project.definitions")
    stand_in.__dict__.update(REFRESH=REFRESH, build=build)
    sys.modules["dagster_project.definitions"] = stand_in
    from dagster_project.cli import main as command_line

    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""Records at national size for benchmarks: an installation without its yearbooks, and each step as a child of its own,
whose time and peak memory are measured."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
from processor import ran

from analysis import catalogue
from analysis.studies import spec
from dagster_project import models
from dagster_project.assets import sources
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, DBT_PROJECT, REFERENCE, ROOT, Paths
from dagster_project.resources import DBT, dbt_environment, memory_limit

YEARS = range(2004, 2024)
#: Ours may take this many times as long as a bare query that judges the same.
LIMIT = 1.5
#: What a process may take at its peak: DuckDB's limit and what Python and dbt need beside it, in megabytes.
BESIDE = 1200

#: Reads a source as a run does: hash, ledger, bad rows, a Parquet file a raw file.
READ = """
import json, sys, time
from dagster_project.ingest import contracts
from dagster_project.ingest.refresh import refresh
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.resources import warehouse
paths = Paths.from_environment()
contract = contracts.load(CONTRACTS / f"{json.loads(sys.stdin.read())}.yaml")
with warehouse(paths) as connection:
    started = time.process_time()
    done = refresh(connection, paths.raw, contract, lambda line: None)
    print(json.dumps({"seconds": time.process_time() - started, "read": len(done.read)}))
"""
BARE = """
import json, sys, time
import duckdb
house, target, query, memory = json.loads(sys.stdin.read())
connection = duckdb.connect(config={"threads": 2, "memory_limit": memory, "temp_directory": target + ".tmp"})
connection.execute("set enable_progress_bar = false")
connection.execute(f"attach '{house}' as house (read_only)")
started = time.process_time()
connection.execute(query).df().to_parquet(target)
print(json.dumps({"seconds": time.process_time() - started}))
"""

PATENT_HEADER = ("申请号", "专利类型", "申请日", "授权公告日", "IPC分类号", "申请人", "地址")

#: A year's applications, drawn by hashes: 60,000 symbols of falling frequency in lists of one to three, every twelfth
#: of a subclass with green groups; addresses hardly repeat.
APPLICATIONS = """
select
    i,
    'CN{year}' || (1 + h % 3) || lpad(i::varchar, 7, '0') || '.' || (h // 7 % 10) as number,
    ['发明专利', '实用新型', '外观设计'][1 + (h % 3)::int] as kind,
    (date '{year}-01-01' + (i * 365 // {count})::int)::varchar as filed,
    case when h // 11 % 10 < 6
        then (date '{year}-01-01' + (i * 365 // {count})::int + (200 + h1 % 900)::int)::varchar end as granted,
    s.symbols[1 + (pow((h1 % 1000003) / 1000003.0, 4) * 59999)::int]
        || case when h2 % 10 < 6
            then ';' || s.symbols[1 + (pow((h2 % 1000003) / 1000003.0, 4) * 59999)::int] else '' end
        || case when h2 % 10 < 3
            then ';' || s.symbols[1 + (pow((h3 % 1000003) / 1000003.0, 4) * 59999)::int] else '' end
        as ipc,
    '样例' || (pow((h3 // 7 % 1000003) / 1000003.0, 3) * 500000)::int || '科技有限公司' as applicant,
    p.names[1 + (pow((h3 // 13 % 1000003) / 1000003.0, 2) * (len(p.names) - 1))::int]
        || '高新区科技路' || (h1 // 5 % 2000) || '号' as address
from (
    select i, hash(i, {year}) as h, hash(i, {year}, 1) as h1, hash(i, {year}, 2) as h2, hash(i, {year}, 3) as h3
    from range({count}) as numbers(i)
)
cross join (select list(symbol order by id) as symbols from symbols) as s
cross join (select list(name order by name) as names from places) as p
"""
#: With what is wrong in real files: repeated listings within a file and in the next, bad dates, foreign addresses.
PATENTS = f"""
with applications as ({APPLICATIONS}), before as ({APPLICATIONS.replace("{year}", "{before}")})
select * exclude (i) from (
    select * replace (
        case when i % 2000 = 3 then '待补' else filed end as filed,
        case when i % 500 = 7 then '日本东京都港区' else address end as address
    )
    from applications
    union all
    select * replace (null as granted) from applications where i % 1000 = 0
    union all
    select * replace (null as granted) from before where i % 5000 = 1
)
"""
SYMBOLS = """
create table symbols as
with drawn as (
    select
        i as id,
        chr(65 + (hash(i, 1) % 8)::int) || lpad((1 + hash(i, 2) % 60)::varchar, 2, '0')
            || chr(65 + (hash(i, 3) % 24)::int) as subclass,
        (1 + hash(i, 4) % 90) || '/' || lpad((hash(i, 5) % 100)::varchar, 2, '0') as main_group
    from range(60000) as numbers(i)
),
green as (
    select ipc_class, row_number() over (order by ipc_class) - 1 as place
    from (select distinct ipc_class from read_csv($1, all_varchar = true) where length(ipc_class) = 4)
)
select id, coalesce(ipc_class, subclass) || main_group as symbol
from drawn left join green on id % 12 = 0 and place = (id // 12) % (select count(*) from green)
"""

CASE_HEADER = ("案号", "法院", "案由", "案件类型", "审理程序", "立案日期", "结案日期", "文书类型")

#: A year's judgments: one in twelve on intellectual property, the others on causes that nothing here counts. With what
#: is wrong in real files: copies within a file and in the next, transfers, courts nobody knows, dates that are none.
JUDGMENTS = """
select
    '（' || year || '）' || left(c.courts[court], 3) || '民初' || i || '号' as number,
    case when i % 3000 = 11 then '云岭新市人民法院' else c.courts[court] end as court,
    case when h1 % 12 = 0 then k.causes[1 + (h1 // 12 % len(k.causes))::int] else '其他纠纷' || (h1 % 400) end as cause,
    '民事案件' as type,
    '民事一审' as procedure,
    (concluded - (20 + h % 200)::int)::varchar as filed,
    case when i % 2500 = 13 then year || '-02-31' when h % 5 = 0 then strftime(concluded, '%Y年%-m月%-d日')
        else concluded::varchar end as concluded,
    case when i % 40 = 17 then '移送管辖裁定书' else '判决书' end as document
from (
    select
        i,
        {of} as year,
        hash(i, {of}) as h,
        hash(i, {of}, 1) as h1,
        1 + (hash(i, {of}, 2) % (select len(courts) from known))::int as court,
        date '{of}-01-01' + (i * 365 // {count})::int as concluded
    from range({count}) as numbers(i)
)
cross join known as c
cross join asked as k
"""
CASES = f"""
with judged as ({JUDGMENTS.replace("{of}", "{year}")}), before as ({JUDGMENTS.replace("{of}", "{before}")})
select * from judged
union all
(select * from judged using sample 0.5 percent (system, 1))
union all
select * replace ('{{year}}-03-01' as concluded) from before where hash(number) % 1000 = 1
"""


@dataclass(frozen=True)
class Step:
    """Processor seconds without the start of Python and dbt, and peak memory in megabytes."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class Nation:
    """A raw folder of records, and a warehouse with the reference tables."""

    paths: Paths
    environment: dict[str, str]
    start: float = 0.0  # processor seconds of a dbt that has next to nothing to do

    def read(self, source: str) -> tuple[Step, int]:
        """Bring a source up to date; also how many files were opened."""
        made = ran([sys.executable, "-c", READ], self.environment, json.dumps(source))
        done = json.loads(made.out)
        return Step(done["seconds"], made.memory), done["read"]

    def dbt(self, *models: str) -> Step:
        """Build models on DuckDB."""
        folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
        folders += ["--log-path", str(self.paths.dbt_target / "logs")]
        made = ran([DBT, "run", "--target", "duckdb", *folders, "--select", *models], self.environment)
        results = json.loads((self.paths.dbt_target / "run_results.json").read_text())["results"]
        assert [result["status"] for result in results] == ["success"] * len(models)
        return Step(made.seconds - self.start, made.memory)

    def bare(self, kind: str, fields: Sequence[str], query: str) -> tuple[pd.DataFrame, Step]:
        """What a query on the CSV files alone gives; in it ``records`` are those of a kind, ``house`` the warehouse."""
        files = ", ".join(f"'{path}'" for path in sorted((self.paths.raw / kind).iterdir()))
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in fields)
        options = f"auto_detect = false, header = true, columns = {{{columns}}}, delim = ',', quote = '\"'"
        whole = f"with records as not materialized (select * from read_csv([{files}], {options})), {query}"
        target = self.paths.data / "bare.parquet"
        given = json.dumps([str(self.paths.warehouse), str(target), whole, memory_limit()])
        made = ran([sys.executable, "-c", BARE], self.environment, given)
        return pd.read_parquet(target), Step(json.loads(made.out.splitlines()[-1])["seconds"], made.memory)

    def query(self, sql: str) -> pd.DataFrame:
        """A query of the warehouse."""
        with duckdb.connect(str(self.paths.warehouse), read_only=True) as connection:
            return connection.execute(sql).df()


def write_patents(folder: Path, count: int) -> None:
    """The files of every year, ``count`` applications in all."""
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute(SYMBOLS, [str(REFERENCE / "green_ipc.csv")])
        connection.execute(
            "create table places as select distinct name_or_code as name from read_csv($1, all_varchar = true) "
            "where kind not in ('code', 'former code') and name_or_code like '%市'",
            [str(REFERENCE / "city_names.csv")],
        )
        headed = ", ".join(
            f'{name} as "{header}"'
            for name, header in zip(
                ("number", "kind", "filed", "granted", "ipc", "applicant", "address"), PATENT_HEADER, strict=True
            )
        )
        for year in YEARS:
            query = PATENTS.format(year=year, before=year - 1, count=count // len(YEARS))
            connection.execute(f"copy (select {headed} from ({query})) to '{folder / str(year)}.csv' (header true)")


def write_cases(folder: Path, count: int) -> None:
    """The files of every year, ``count`` judgments in all."""
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute(
            "create table known as select list(court order by court) as courts from read_csv($1, all_varchar = true) "
            "where valid_from is null and valid_to is null",
            [str(REFERENCE / "courts.csv")],
        )
        connection.execute(
            "create table asked as select list(cause order by cause) as causes from read_csv($1, all_varchar = true) "
            "where is_ip = '1'",
            [str(REFERENCE / "ip_causes.csv")],
        )
        names = ("number", "court", "cause", "type", "procedure", "filed", "concluded", "document")
        headed = ", ".join(f'{name} as "{header}"' for name, header in zip(names, CASE_HEADER, strict=True))
        for year in YEARS:
            query = CASES.format(year=year, before=year - 1, count=count // len(YEARS))
            connection.execute(f"copy (select {headed} from ({query})) to '{folder / str(year)}.csv' (header true)")


def nation(folder: Path) -> Nation:
    """An installation whose raw files stand in folder/raw."""
    paths = Paths(folder / "data", folder / "raw", is_sample=False)
    found = contracts.load_all(CONTRACTS)
    models.write(paths, catalogue.load(), [spec.load(path) for path in spec.catalogue().values()])
    loaders = [sources.reference(paths, found), sources.policies(paths), sources.studies(paths)]
    with dg.DagsterInstance.ephemeral() as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        assert dg.materialize(loaders, instance=instance, run_config=quiet).success
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PILOTCITY_")},
        **dbt_environment(paths),
        "PILOTCITY_DATA": str(paths.data),
        "PILOTCITY_RAW": str(paths.raw),
        "PYTHONPATH": str(ROOT),
    }
    made = Nation(paths, environment)
    return replace(made, start=made.dbt("stg_provinces", "int_geography").seconds)


def hold(ours: pd.DataFrame, bare: pd.DataFrame, steps: Sequence[Step], beside: Step) -> tuple[float, float]:
    """Assert that a bare query gives our counts, in two thirds of our processor time or more, and that memory suffices.

    ``ours`` and ``bare`` have city_code, year and counts; returns our seconds and peak memory.
    """
    years = ours.merge(bare, on=["city_code", "year"], how="left", suffixes=("", "_bare")).fillna(0)
    for column in ours.columns[2:]:
        assert (years[column] == years[f"{column}_bare"]).all(), column
    seconds, memory = sum(step.seconds for step in steps), max(step.memory for step in steps)
    told = ", ".join(f"{step.seconds:.1f} s ({step.memory:.0f} MB)" for step in steps)
    print(f"ours {told}; bare {beside.seconds:.1f} s ({beside.memory:.0f} MB), ratio {seconds / beside.seconds:.2f}")
    assert seconds <= LIMIT * beside.seconds
    assert memory <= most_memory()
    return seconds, memory


def most_memory() -> float:
    """What a process may take at its peak, in megabytes: DuckDB's limit and what Python and dbt need beside it."""
    return float(memory_limit().removesuffix("GB")) * 1000 + BESIDE

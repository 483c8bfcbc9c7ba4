"""Patents at national size: CSV files a year to counts by city and year, against a bare DuckDB query on the same files.

Ours is what a run does: `sources.refresh` (hash, ledger, bad rows, a Parquet file a year) and dbt's stg_patents and
int_green_patents (every record typed, located and judged; what is green or set aside kept with its file and row). The bare query gives the same counts and nothing else: repeated listings and dates are judged over all
records as ours are, but it keeps no record, no row number and no reason. A leaner one that trusts every row (no
repeated listings, no dates out of order), and so counts a little more, is recorded beside it; there ours takes several
times as long, for what it keeps.

PILOTCITY_BENCHMARK_PATENTS sets the number of records (20 million), PILOTCITY_MEMORY what DuckDB may take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest

from dagster_project.assets import sources
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, DBT_PROJECT, REFERENCE, ROOT, Paths
from dagster_project.resources import DBT, dbt_environment, memory_limit

RECORDS = int(os.environ.get("PILOTCITY_BENCHMARK_PATENTS", "20000000"))
YEARS = range(2004, 2024)
#: Ours may take this many times as long as the bare query.
LIMIT = 1.5
#: What a process may take at its peak: DuckDB's limit and what Python and dbt need beside it, in megabytes.
BESIDE = 1200
HEADER = ("申请号", "专利类型", "申请日", "授权公告日", "IPC分类号", "申请人", "地址")

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
FILE = f"""
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

OURS = """
import json, sys, time
from dagster_project.assets import sources
from dagster_project.ingest import contracts
from dagster_project.paths import CONTRACTS, Paths
from dagster_project.resources import warehouse
paths = Paths.from_environment()
contract = contracts.load(CONTRACTS / "patent_records.yaml")
with warehouse(paths) as connection:
    started = time.perf_counter()
    done = sources.refresh(connection, paths.raw, contract, lambda line: None)
    print(json.dumps({"seconds": time.perf_counter() - started, "read": len(done.read)}))
"""

#: Names and codes as dbt reads them; the rest is read from the CSV files alone.
PLACES = """
names as (
    select names.name_or_code as name, arg_max(coalesce(nullif(units.part_of, ''), names.city_code),
        coalesce(try_cast(names.valid_to as integer), 9999)) as unit_code
    from house.raw.city_names as names inner join house.raw.geographic_units as units using (city_code)
    where names.kind not in ('code', 'former code') group by names.name_or_code
),
places as (
    select place, arg_min(unit_code, trust) as unit_code from (
        select name as place, unit_code, 1 as trust from names
        union all
        select short_name || name, unit_code, 2 from names
        inner join house.staging.stg_provinces on left(unit_code, 2) = province
    ) group by place
)
"""
CLASSES = r"""
lists as (select distinct ipc from records),
symbols as (
    select symbol, regexp_extract(symbol, '^([A-H]\d\d[A-Z])(\d+)/(\d+)', ['subclass', 'main', 'sub']) as part
    from (select distinct unnest(string_split(ipc, ';')) as symbol from lists)
),
green_symbols as (
    select distinct symbol from symbols inner join house.raw.green_ipc as green
    on left(part.subclass, 3) = left(green.ipc_class, 3) and starts_with(part.subclass, green.ipc_class)
    and (group_from is null or try_cast(part.main as integer) between group_from and group_to)
    and (subgroup_from is null or try_cast('0.' || part.sub as double)
        between try_cast('0.' || subgroup_from as double) and try_cast('0.' || subgroup_to as double))
),
green_lists as (
    select distinct ipc from (select ipc, unnest(string_split(ipc, ';')) as symbol from lists)
    where symbol in (select symbol from green_symbols)
)
"""
PLACE = (
    r"^[\d０-９ 　]*(?:中国)?(?:[^省市]{2,3}省|(?:内蒙古|广西|西藏|宁夏|新疆)[^区市]{0,4}自治区)?"
    "(.{1,12}?(?:市|地区|自治州|盟)|北京|上海|天津|重庆)"
)
COUNTS = """
counted as (
    select
        regexp_extract(address, '%s', 1) as place,
        kind,
        year(try_cast(filed as date)) as application_year,
        year(try_cast(granted as date)) as grant_year,
        count(*) as n
    from kept where ipc in (select ipc from green_lists) and kind != '外观设计' group by all
),
located as (
    select city_code, counted.* from counted inner join places using (place)
    inner join house.intermediate.int_geography using (unit_code)
)
select
    city_code,
    year,
    coalesce(sum(n) filter (not granted and kind = '发明专利'), 0)::bigint as green_invention_applications,
    coalesce(sum(n) filter (not granted and kind = '实用新型'), 0)::bigint as green_utility_applications,
    coalesce(sum(n) filter (granted and kind = '发明专利'), 0)::bigint as green_invention_granted,
    coalesce(sum(n) filter (granted and kind = '实用新型'), 0)::bigint as green_utility_granted
from (
    select city_code, kind, application_year as year, false as granted, n from located
    union all
    select city_code, kind, grant_year, true, n from located
) where year is not null group by all
""".replace("%s", PLACE)
SAME = """
repeated as (select hash(number) as h from records where number is not null group by h having count(*) > 1),
single as not materialized (
    select * from records where hash(number) not in (select h from repeated)
    union all
    (select distinct on (number) * from records where hash(number) in (select h from repeated)
        order by number, coalesce(granted, '') = '')
),
kept as not materialized (
    select * from single where try_cast(filed as date) is not null
    and (granted is null or try_cast(granted as date) >= try_cast(filed as date))
)
"""
TRUSTING = "kept as not materialized (select * from records)"
BARE = """
import json, sys, time
import duckdb
house, target, query, memory = json.loads(sys.stdin.read())
connection = duckdb.connect(config={"threads": 2, "memory_limit": memory, "temp_directory": target + ".tmp"})
connection.execute("set enable_progress_bar = false")
connection.execute(f"attach '{house}' as house (read_only)")
started = time.perf_counter()
connection.execute(query).df().to_parquet(target)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""


def write(folder: Path, count: int) -> None:
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
                ("number", "kind", "filed", "granted", "ipc", "applicant", "address"), HEADER, strict=True
            )
        )
        for year in YEARS:
            query = FILE.format(year=year, before=year - 1, count=count // len(YEARS))
            connection.execute(f"copy (select {headed} from ({query})) to '{folder / str(year)}.csv' (header true)")


def child(command: list[str], environment: dict[str, str], given: str = "") -> tuple[str, float]:
    """What a command printed, and its peak memory in megabytes."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(given)
    process.stdin.close()
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, out + err
    return out, usage.ru_maxrss / 1024


def dbt(paths: Paths, environment: dict[str, str], *models: str) -> tuple[float, float]:
    """Seconds that the models took, without dbt's own start, and the peak memory of dbt."""
    command = [DBT, "run", "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--select", *models]
    _, memory = child([*command, "--log-path", str(paths.dbt_target / "logs")], environment)
    results = json.loads((paths.dbt_target / "run_results.json").read_text())["results"]
    assert [result["status"] for result in results] == ["success"] * len(models)
    return sum(result["execution_time"] for result in results), memory


@pytest.fixture(scope="module")
def national(tmp_path_factory) -> tuple[Paths, dict[str, str]]:
    """The raw files, and a warehouse with the reference tables."""
    folder = tmp_path_factory.mktemp("national")
    started = time.perf_counter()
    write(folder / "raw" / "patents", RECORDS)
    size = sum(path.stat().st_size for path in (folder / "raw" / "patents").iterdir())
    print(f"{RECORDS:,} patents written in {time.perf_counter() - started:.0f} s, {size / 1e9:.2f} GB")
    paths = Paths(folder / "data", folder / "raw", is_sample=False)
    found = contracts.load_all(CONTRACTS)
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
    dbt(paths, environment, "stg_provinces", "int_geography")
    yield paths, environment


def bare(paths: Paths, environment: dict[str, str], kept: str) -> tuple[pd.DataFrame, float, float]:
    """Counts by the bare query, seconds, and peak memory."""
    files = ", ".join(f"'{path}'" for path in sorted((paths.raw / "patents").iterdir()))
    columns = ", ".join(
        f"'{name}': 'VARCHAR'" for name in ("number", "kind", "filed", "granted", "ipc", "applicant", "address")
    )
    options = f"auto_detect = false, header = true, columns = {{{columns}}}, delim = ',', quote = '\"'"
    read = f"select * from read_csv([{files}], {options})"
    query = f"with records as not materialized ({read}), {PLACES}, {CLASSES}, {kept}, {COUNTS}"
    target = paths.data / "bare.parquet"
    given = json.dumps([str(paths.warehouse), str(target), query, memory_limit()])
    out, memory = child([sys.executable, "-c", BARE], environment, given)
    return pd.read_parquet(target), json.loads(out.splitlines()[-1])["seconds"], memory


@pytest.mark.benchmark
def test_patents_to_city_years_take_little_longer_than_a_bare_query_in_bounded_memory(national, measured):
    paths, environment = national
    read, reading_memory = child([sys.executable, "-c", OURS], environment)
    reading = json.loads(read)["seconds"]
    assert json.loads(read)["read"] == len(YEARS)
    judging, judging_memory = dbt(paths, environment, "stg_patents", "int_green_patents")
    again = json.loads(child([sys.executable, "-c", OURS], environment)[0])
    same, seconds, memory = bare(paths, environment, SAME)
    _, trusting, _ = bare(paths, environment, TRUSTING)

    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        ours = connection.execute("select * from intermediate.int_green_patents order by all").df()
    years = ours.merge(same, on=["city_code", "year"], how="left", suffixes=("", "_bare")).fillna(0)
    for column in ours.columns[2:]:
        assert (years[column] == years[f"{column}_bare"]).all(), column
    assert ours.iloc[:, 2:].to_numpy().sum() > RECORDS // 100
    total, peak = reading + judging, max(reading_memory, judging_memory)
    print(
        f"{RECORDS:,} patents: reading {reading:.1f} s ({reading_memory:.0f} MB), judging and counting {judging:.1f} s "
        f"({judging_memory:.0f} MB); bare {seconds:.1f} s ({memory:.0f} MB), ratio {total / seconds:.2f}; bare without "
        f"repeated listings and dates {trusting:.1f} s; nothing changed: {again['seconds']:.1f} s"
    )
    name = f"{RECORDS // 1_000_000}M patents, CSV to city-years"
    measured(name, total, "bare DuckDB", seconds, memory=peak)
    measured(f"{name}, every row trusted", total, "bare DuckDB", trusting, memory=peak)
    assert again["read"] == 0
    assert total <= LIMIT * seconds
    assert peak <= _megabytes(memory_limit()) + BESIDE


def _megabytes(limit: str) -> float:
    return float(limit.removesuffix("GB")) * 1000

"""Patents at national size: CSV files a year to counts by city and year, against a bare DuckDB query on the same files.

Ours is what a run does: `ingest.refresh` (hash, ledger, bad rows, a Parquet file a year) and dbt's stg_patents and
int_green_patents (every record typed, located and judged; what is green or set aside kept with its file and row). The
bare query gives the same counts and nothing else: repeated listings and dates are judged over all records as ours are,
but it keeps no record, no row number and no reason. A leaner one that trusts every row (no
repeated listings, no dates out of order), and so counts a little more, is recorded beside it; there ours takes several
times as long, for what it keeps.

PILOTCITY_BENCHMARK_PATENTS sets the number of records (20 million), PILOTCITY_MEMORY what DuckDB may take.
"""

from __future__ import annotations

import os

import pytest
from national import YEARS, hold, nation, write_patents

RECORDS = int(os.environ.get("PILOTCITY_BENCHMARK_PATENTS", "20000000"))
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


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The raw files of every year, and a warehouse with the reference tables."""
    folder = tmp_path_factory.mktemp("national")
    write_patents(folder / "raw" / "patents", RECORDS)
    return nation(folder)


@pytest.mark.benchmark
def test_patents_to_city_years_take_little_longer_than_a_bare_query_in_bounded_memory(records, measured):
    reading, opened = records.read("patent_records")
    judging = records.dbt("stg_patents", "int_green_patents")
    again, opened_again = records.read("patent_records")
    fields = ("number", "kind", "filed", "granted", "ipc", "applicant", "address")
    same, bare = records.bare("patents", fields, f"{PLACES}, {CLASSES}, {SAME}, {COUNTS}")
    _, trusting = records.bare("patents", fields, f"{PLACES}, {CLASSES}, {TRUSTING}, {COUNTS}")

    ours = records.query("select * from intermediate.int_green_patents order by all")
    assert ours.iloc[:, 2:].to_numpy().sum() > RECORDS // 100
    assert (opened, opened_again) == (len(YEARS), 0)
    seconds, memory = hold(ours, same, (reading, judging), bare)
    print(f"every row trusted {trusting.seconds:.1f} s; nothing changed {again.seconds:.1f} s")
    name = f"{RECORDS // 1_000_000}M patents, CSV to city-years"
    measured(name, seconds, "bare DuckDB", bare.seconds, memory=memory)
    measured(f"{name}, every row trusted", seconds, "bare DuckDB", trusting.seconds, memory=memory)

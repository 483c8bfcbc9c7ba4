"""Court judgments at national size: CSV files a year to counts by city and year, against a bare DuckDB query.

Ours is what a run does: reading, and dbt's stg_cases and int_ip_cases (court, cause and dates of every record, copies
of one case in whatever file; what is on intellectual property or set aside kept with its file and row). The bare query
judges the same and gives the counts alone.

PILOTCITY_BENCHMARK_CASES sets the number of judgments (5 million), PILOTCITY_MEMORY what DuckDB may take.
"""

from __future__ import annotations

import os

import pytest
from national import YEARS, hold, nation, write_cases

RECORDS = int(os.environ.get("PILOTCITY_BENCHMARK_CASES", "5000000"))
FIELDS = ("number", "court", "cause", "type", "procedure", "filed", "concluded", "document")
COUNTS = """
provinces as (select name as province from house.raw.geographic_units where type in ('province', 'municipality')),
courts as (
    select court as spelling, court, city_code from house.raw.courts where valid_from is null and valid_to is null
    union
    select province || court, court, city_code
    from house.raw.courts inner join provinces on not starts_with(court, province)
    where valid_from is null and valid_to is null
),
causes as (select distinct cause from house.raw.ip_causes where is_ip = '1'),
dated as not materialized (
    select *, coalesce(try_cast(concluded as date), try_strptime(concluded, '%Y年%-m月%-d日')::date) as day from records
),
counting as not materialized (
    select courts.court, courts.city_code, number, day, causes.cause is not null as counts
    from dated inner join courts on dated.court = spelling left join causes on dated.cause = causes.cause
    where day is not null and try_cast(filed as date) <= day and document not like '%移送%'
),
repeated as (select hash(court, number) as h from counting group by h having count(*) > 1),
single as (
    select city_code, day, counts from counting where hash(court, number) not in (select h from repeated)
    union all
    (select city_code, min(day), any_value(counts) from counting where hash(court, number) in (select h from repeated)
        group by court, number, city_code)
)
select geography.city_code, year(day) as year, count(*) as ip_cases
from single inner join house.intermediate.int_geography as geography on geography.unit_code = single.city_code
where counts group by all
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The raw files of every year, and a warehouse with the reference tables."""
    folder = tmp_path_factory.mktemp("national")
    write_cases(folder / "raw" / "cases", RECORDS)
    return nation(folder)


@pytest.mark.benchmark
def test_judgments_to_city_years_take_little_longer_than_a_bare_query_in_bounded_memory(records, measured):
    reading, opened = records.read("court_cases")
    judging = records.dbt("stg_cases", "int_ip_cases")
    same, bare = records.bare("cases", FIELDS, COUNTS)

    ours = records.query("select city_code, year, ip_cases from intermediate.int_ip_cases order by all")
    assert ours.ip_cases.sum() > RECORDS // 20
    assert opened == len(YEARS)
    seconds, memory = hold(ours, same, (reading, judging), bare)
    measured(
        f"{RECORDS // 1_000_000}M judgments, CSV to city-years", seconds, "bare DuckDB", bare.seconds, memory=memory
    )

-- one row a kind of record and year: records, how many were set aside, and how many cities they come from
with counted as (
    select 'patents' as data, application_year as year, sum(records)::bigint as records, count(rule) as set_aside,
        count(distinct unit_code) as cities
    from staging.stg_patents
    where application_year is not null
    group by application_year
    union all
    select 'court cases', year, sum(records)::bigint, count(rule), count(distinct unit_code)
    from staging.stg_cases
    where year is not null
    group by year
)

select
    *,
    set_aside / records as share_set_aside,
    -- 1 is what the years around it lead one to expect; missing at the ends
    records / sqrt(
        lag(records) over (partition by data order by year)::double * lead(records) over (partition by data order by year)
    ) as times_years_around,
    year - lag(year) over (partition by data order by year) as years_since_last
from counted
order by data, year

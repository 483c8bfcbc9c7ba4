-- one row an indicator and year that two sources give for the same cities: how far the less trusted one is from the other
with pairs as (
    select
        one.indicator,
        one.source as trusted,
        other.source as other,
        one.year,
        one.unit_code,
        other.value / one.value as times
    from staging.stg_yearbook as one
    inner join staging.stg_yearbook as other
        on one.unit_code = other.unit_code
        and one.year = other.year
        and one.indicator = other.indicator
        and (one.priority, one.source) < (other.priority, other.source)
    where one.value > 0 and other.value > 0
)

select
    indicator,
    trusted,
    other,
    year,
    count(*) as cities,
    median(times) as median_times,
    avg((abs(ln(times)) > 0.1)::integer) as share_apart,
    arg_max(unit_code || ' ' || names.name, (abs(ln(times)), unit_code)) as furthest_city,
    arg_max(times, (abs(ln(times)), unit_code)) as furthest_times
from pairs
inner join (select city_code, any_value(name order by name) as name from raw.geographic_units group by city_code) as names
    on pairs.unit_code = names.city_code
group by indicator, trusted, other, year
order by indicator, trusted, other, year

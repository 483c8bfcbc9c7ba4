-- one row a source, indicator and year, also years without a value between the first and the last: what was accepted and
-- what was set aside, beside the cities that the years around it lead one to expect and the range that the contract allows
with parsed as (
    select source, indicator, year, count(*) as printed, min(low) as low, max(high) as high
    from staging.stg_yearbook_parsed
    where year is not null
    group by source, indicator, year
),

accepted as (
    select
        source,
        indicator,
        year,
        count(*) as values,
        count(distinct unit_code) as units,
        min(value) as smallest,
        max(value) as largest
    from staging.stg_yearbook
    group by source, indicator, year
),

-- a figure that is exactly that of the year before was often carried forward by a compiler; land seldom changes
series as (
    select source, indicator, year, value, lag(value) over places as before, lag(year) over places as year_before
    from staging.stg_yearbook
    where indicator != 'land_area'
    window places as (partition by source, indicator, unit_code order by year)
),

repeated as (
    select source, indicator, year, avg((value = before)::integer) as share_unchanged
    from series
    where year - year_before = 1 and value > 0
    group by source, indicator, year
),

grid as (
    -- of what is printed: an indicator of which everything is set aside must show
    select source, indicator, unnest(generate_series(min(year), max(year)))::integer as year
    from parsed
    group by source, indicator
),

counted as (
    select
        grid.source,
        grid.indicator,
        grid.year,
        coalesce(parsed.printed, 0) as printed,
        coalesce(accepted.values, 0) as values,
        coalesce(accepted.units, 0) as units,
        coalesce(accepted.values, 0) - coalesce(accepted.units, 0) as repeated,
        (coalesce(parsed.printed, 0) - coalesce(accepted.values, 0)) / nullif(parsed.printed, 0) as share_set_aside,
        repeated.share_unchanged,
        accepted.smallest,
        accepted.largest,
        parsed.low,
        parsed.high
    from grid
    left join parsed using (source, indicator, year)
    left join accepted using (source, indicator, year)
    left join repeated using (source, indicator, year)
)

select
    * exclude (low, high),
    coalesce(smallest >= low, true) and coalesce(largest <= high, true) as in_range,
    -- what the two years before and the two after lead one to expect; a series may begin with few cities, not end so
    case when max(units) over before > 0 then least(max(units) over before, max(units) over after) end as units_expected,
    units / units_expected as coverage
from counted
window
    before as (partition by source, indicator order by year rows between 2 preceding and 1 preceding),
    after as (partition by source, indicator order by year rows between 1 following and 2 following)
order by source, indicator, year

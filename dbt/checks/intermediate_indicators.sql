-- one row an indicator and year, also years without a value between the first and the last: cities that have it, and those
-- whose value leaves the years before and after it in the same direction by more than the indicator's factor
with neighbours as (
    select
        city_code,
        indicator,
        year,
        value,
        lag(value) over series as before,
        lead(value) over series as after,
        lag(year) over series as year_before,
        lead(year) over series as year_after
    from intermediate.int_city_values
    window series as (partition by city_code, indicator order by year)
),

departures as (
    select
        neighbours.*,
        cities.name_zh,
        case
            when value > 0 and before > 0 and after > 0 and year - year_before = 1 and year_after - year = 1
                and sign(ln(value / before)) = sign(ln(value / after))
                then exp(least(abs(ln(value / before)), abs(ln(value / after))))
        end as times,
        indicators.jump
    from neighbours
    inner join raw.indicators as indicators on neighbours.indicator = indicators.indicator
    inner join raw.cities as cities on neighbours.city_code = cities.city_code
),

counted as (
    select
        indicator,
        year,
        count(*) as cities,
        count(*) filter (where times > jump) as jumps,
        arg_max(city_code || ' ' || name_zh, (times, city_code)) filter (where times > jump) as city_of_largest_jump,
        max(times) filter (where times > jump) as largest_jump
    from departures
    group by indicator, year
),

grid as (
    select indicator, unnest(generate_series(min(year), max(year)))::integer as year from counted group by indicator
)

select
    grid.indicator,
    grid.year,
    coalesce(counted.cities, 0) as cities,
    coalesce(counted.jumps, 0) as jumps,
    counted.city_of_largest_jump,
    counted.largest_jump,
    -- what the two years before and the two after lead one to expect; a series may begin with few cities, not end so
    case
        when max(counted.cities) over before > 0 then least(max(counted.cities) over before, max(counted.cities) over after)
    end as cities_expected,
    coalesce(counted.cities, 0) / cities_expected as coverage
from grid
left join counted using (indicator, year)
window
    before as (partition by grid.indicator order by grid.year rows between 2 preceding and 1 preceding),
    after as (partition by grid.indicator order by grid.year rows between 1 following and 2 following)
order by grid.indicator, grid.year

-- grain: one city of the roster and year of the data; one column an indicator, null where not measured
{%- set named = "select indicator from " ~ source('raw', 'indicators') ~ " order by indicator" %}
{%- set indicators = run_query(named).columns[0].values() if execute else [] %}

with observed as (
    select * from {{ ref('int_city_values') }}
),

years as (
    select unnest(generate_series(least(min(year), 2000), greatest(max(year), 2023))) as year from observed
),

grid as (
    select cities.city_code, years.year from {{ source('raw', 'cities') }} as cities cross join years
),

wide as (
    select
        city_code,
        year,
        {% for indicator in indicators -%}
        max(value) filter (where indicator = '{{ indicator }}') as {{ indicator }},
        {% endfor -%}
        bool_or(merged) as merged
    from observed
    group by city_code, year
),

-- a rate from the raw files counts before the committed one
national as (
    select
        coalesce(published.year, recorded.year) as year,
        coalesce(published.exchange_rate, recorded.yuan_per_usd) as exchange_rate
    from (
        select year, arg_min(value, priority) as exchange_rate
        from {{ ref('stg_yearbook') }}
        where indicator = 'exchange_rate'
        group by year
    ) as published
    full join {{ source('raw', 'recorded_exchange_rate') }} as recorded on published.year = recorded.year
),

final as (
    select grid.city_code, grid.year, wide.* exclude (city_code, year, exchange_rate), national.exchange_rate
    from grid
    left join wide on grid.city_code = wide.city_code and grid.year = wide.year
    left join national on grid.year = national.year
)

select * from final

-- grain: one city and year; GDP, its sectors and investment at 2006 prices, and the capital stock that investment built since 2006
{% set base = 2006 %}

with measured as (
    select * from {{ ref('int_city_wide') }}
),

-- a stock cannot skip a year: gaps inside a city's series lie on the line between the years around them
wide as (
    select
        * replace (
            {{ interpolate('gdp', 'linear') }} as gdp,
            {{ interpolate('gdp_growth', 'linear') }} as gdp_growth,
            {{ interpolate('fixed_investment', 'linear') }} as fixed_investment
        )
    from measured
),

-- real growth, from a published real series where there is one, else from published growth rates
measured_growth as (
    select
        *,
        coalesce(
            gdp_real / nullif(lag(gdp_real) over city, 0),
            1 + gdp_growth / 100
        ) as growth
    from wide
    window city as (partition by city_code order by year)
),

-- a city whose GDP vanishes has no volume to carry on
growth as (
    select * replace (case when growth > 0 then growth end as growth) from measured_growth
),

-- volume index, {{ base }} = 1: broken where a year between has no growth
indexed as (
    select
        *,
        case
            when year = {{ base }} then 1
            when year > {{ base }}
                and count(growth) filter (where year > {{ base }}) over (partition by city_code order by year) = year - {{ base }}
                then exp(sum(ln(growth)) filter (where year > {{ base }}) over (partition by city_code order by year))
        end as volume
    from growth
),

priced as (
    select
        *,
        max(gdp) filter (where year = {{ base }}) over (partition by city_code) * volume as real_gdp
    from indexed
),

deflated as (
    select *, gdp / nullif(real_gdp, 0) as deflator from priced
),

final as (
    select
        city_code,
        year,
        real_gdp as real_gdp_{{ base }},
        deflator as deflator_{{ base }},
        (gdp_secondary + gdp_tertiary) / nullif(deflator, 0) as real_nonprimary_{{ base }},
        fixed_investment / nullif(deflator, 0) as real_investment,
        {{ perpetual_inventory('fixed_investment / nullif(deflator, 0)', base) }} as capital_stock
    from deflated
)

select * from final

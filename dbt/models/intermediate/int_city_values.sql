-- grain: one value a city of the roster, year and indicator, from the most trusted source, in today's borders
with accepted as (
    select * from {{ ref('stg_yearbook') }}
),

-- the most trusted source for each unit
chosen as (
    select *
    from accepted
    qualify row_number() over (partition by unit_code, year, indicator order by priority, source) = 1
),

-- renamed units carry on; merged units are added where sums make sense
placed as (
    select chosen.*, geography.city_code, geography.treatment
    from chosen
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    inner join {{ source('raw', 'indicators') }} as indicators using (indicator)
    where geography.treatment != 'sum' or indicators.merge = 'sum'
),

-- where the old and the new code of one unit both report, the new one counts
current as (
    select *
    from placed
    qualify treatment = 'sum' or row_number() over (
        partition by city_code, year, indicator, treatment = 'sum' order by treatment = 'own' desc, priority, source
    ) = 1
),

final as (
    select
        city_code,
        year,
        indicator,
        sum(value order by unit_code) as value,
        any_value(unit) as unit,
        string_agg(distinct source, ', ' order by source) as sources,
        count(*) > 1 as merged,
        -- which raw cells: a reader can go back to each
        string_agg(file || case when sheet = '' then '' else '|' || sheet end || '|' || "column" || row, '; ' order by unit_code) as cells
    from current
    group by city_code, year, indicator
    -- a merged part alone is not the city
    having bool_or(treatment != 'sum')
)

select * from final

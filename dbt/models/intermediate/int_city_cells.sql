-- grain: one accepted cell that a city's value is made of: from the most trusted source, in today's borders
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
    select chosen.*, geography.city_code, geography.treatment, geography.changed_in
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

-- a source that counts a merged unit apart counts the city without it: before the merger only the parts together are the city
expected as (
    select source, city_code, indicator, count(distinct unit_code) as parts, max(changed_in) as until
    from placed
    where treatment = 'sum' and year < changed_in
    group by all
),

complete as (
    select
        current.*,
        count(*) filter (where current.treatment = 'sum' and current.year < current.changed_in) over city as parts_found,
        max(coalesce(expected.parts, 0)) over city as parts_expected,
        bool_or(current.treatment != 'sum') over city as city_found
    from current
    left join expected
        on current.source = expected.source
        and current.city_code = expected.city_code
        and current.indicator = expected.indicator
        and current.year < expected.until
    window city as (partition by current.city_code, current.year, current.indicator)
),

final as (
    select * exclude (parts_found, parts_expected, city_found)
    from complete
    -- a merged part alone is not the city
    where parts_found >= parts_expected and city_found
)

select * from final

-- grain: one city of the roster and year that the case files cover; intellectual property cases concluded, beside the nation's
with cases as (
    select * from {{ ref('stg_cases') }} where intellectual_property and rule is null
),

covered as (
    select distinct year from {{ ref('stg_cases') }} where rule is null
),

-- the nation's cases include those of courts that belong to no city of the roster
nation as (
    select year, sum(cases.records)::bigint as national_cases from cases group by year
),

counted as (
    select geography.city_code, cases.year, sum(cases.records)::bigint as ip_cases
    from cases
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    group by all
),

final as (
    select
        cities.city_code,
        covered.year,
        coalesce(counted.ip_cases, 0) as ip_cases,
        nation.national_cases,
        gdp.gdp_10k_yuan as national_gdp
    from {{ source('raw', 'cities') }} as cities
    cross join covered
    left join counted on cities.city_code = counted.city_code and covered.year = counted.year
    left join nation on covered.year = nation.year
    left join {{ source('raw', 'recorded_national_gdp') }} as gdp on covered.year = gdp.year
)

select * from final

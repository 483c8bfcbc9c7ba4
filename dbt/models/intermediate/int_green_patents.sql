-- grain: one city of the roster and year that the patent files cover; counts of green patents, zero where there are none
with patents as (
    select patents.*, geography.city_code
    from {{ ref('stg_patents') }} as patents
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    where patents.green and patents.rule is null
),

applications as (
    select
        city_code,
        application_year as year,
        coalesce(sum(records) filter (where kind = 'invention'), 0)::bigint as green_invention_applications,
        coalesce(sum(records) filter (where kind = 'utility_model'), 0)::bigint as green_utility_applications
    from patents
    group by all
),

grants as (
    select
        city_code,
        grant_year as year,
        coalesce(sum(records) filter (where kind = 'invention'), 0)::bigint as green_invention_granted,
        coalesce(sum(records) filter (where kind = 'utility_model'), 0)::bigint as green_utility_granted
    from patents
    where grant_year is not null
    group by all
),

covered as (
    select distinct application_year as year from {{ ref('stg_patents') }} where application_year is not null
),

final as (
    select
        cities.city_code,
        covered.year,
        coalesce(applications.green_invention_applications, 0) as green_invention_applications,
        coalesce(applications.green_utility_applications, 0) as green_utility_applications,
        coalesce(grants.green_invention_granted, 0) as green_invention_granted,
        coalesce(grants.green_utility_granted, 0) as green_utility_granted
    from {{ source('raw', 'cities') }} as cities
    cross join covered
    left join applications on cities.city_code = applications.city_code and covered.year = applications.year
    left join grants on cities.city_code = grants.city_code and covered.year = grants.year
)

select * from final

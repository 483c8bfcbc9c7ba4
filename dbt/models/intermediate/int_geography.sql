-- grain: one geographic unit that belongs to a city of today's roster: as itself, renamed, or merged into it in a year
with units as (
    select city_code as unit_code, roster_2021 = '1' as in_roster from {{ source('raw', 'geographic_units') }}
),

changes as (
    select from_code, to_code, treatment, try_cast("year" as integer) as year
    from {{ source('raw', 'code_history') }}
    where treatment in ('rename', 'sum')
),

-- a code may change more than once
followed as (
    select
        units.unit_code,
        units.in_roster,
        case when units.in_roster then units.unit_code else coalesce(second.to_code, first.to_code) end as city_code,
        case when units.in_roster then 'own' else coalesce(second.treatment, first.treatment) end as treatment,
        case when not units.in_roster then coalesce(second.year, first.year) end as changed_in
    from units
    left join changes as first on units.unit_code = first.from_code
    left join changes as second on first.to_code = second.from_code
),

final as (
    select distinct followed.unit_code, followed.city_code, followed.treatment, followed.changed_in
    from followed
    inner join {{ source('raw', 'cities') }} as cities on followed.city_code = cities.city_code
)

select * from final

-- grain: one distinct (code, city, province, year) text of the yearbooks, with the unit it stands for
with texts as (
    select distinct code, city, province, year as year_text from {{ source('raw', 'yearbook_cells') }}
),

keys as (
    select
        *,
        {{ clean_name('city') }} as name,
        {{ clean_name('province') }} as province_name,
        try_cast(regexp_extract({{ half_width('year_text') }}, '(?:^|\D)((?:19|20)\d\d)(?:\D|$)', 1) as integer) as year
    from texts
),

names as (
    select
        name_or_code,
        kind in ('code', 'former code') as is_code,
        coalesce(try_cast(valid_from as integer), 0) as valid_from,
        coalesce(try_cast(valid_to as integer), 9999) as valid_to,
        city_code
    from {{ source('raw', 'city_names') }}
),

provinces as (
    select * from {{ ref('stg_provinces') }}
),

-- a code, a name, or a name behind its province (安徽安庆): in that order of trust
matches as (
    select keys.*, names.city_code, names.valid_from, names.valid_to, 1 as trust
    from keys inner join names on names.is_code and names.name_or_code = trim(keys.code)
    union all
    select keys.*, names.city_code, names.valid_from, names.valid_to, 2
    from keys inner join names on not names.is_code and names.name_or_code = keys.name
    union all
    select keys.*, names.city_code, names.valid_from, names.valid_to, 3
    from keys
    inner join provinces on starts_with(keys.name, provinces.short_name)
    inner join names
        on not names.is_code
        and names.name_or_code = substr(keys.name, length(provinces.short_name) + 1)
        and left(names.city_code, 2) = provinces.province
),

-- names valid in the year come first; compilers also write today's names into old years
ranked as (
    select
        *,
        row_number() over (
            partition by code, city, province, year_text, trust
            order by
                (year between valid_from and valid_to) desc,
                coalesce(
                    starts_with(province_name, (select any_value(short_name) from provinces where province = left(city_code, 2))),
                    false
                ) desc,
                valid_to desc,
                city_code
        ) as choice
    from matches
),

chosen as (
    select
        code,
        city,
        province,
        year_text,
        max(city_code) filter (where trust = 1) as by_code,
        max(city_code) filter (where trust = 2) as by_name,
        max(city_code) filter (where trust = 3) as by_province_and_name
    from ranked
    where choice = 1
    group by all
),

-- a county-level city that became a district keeps its place and its name, but for the last character
units as (
    select city_code, part_of, regexp_replace(name, '[市区县]$', '') as stem from {{ source('raw', 'geographic_units') }}
),

final as (
    select
        keys.code,
        keys.city,
        keys.province,
        keys.year_text,
        keys.year,
        keys.name,
        coalesce(chosen.by_code, chosen.by_name, chosen.by_province_and_name) as unit_code,
        -- a code and a name that stand for different units cannot both be right
        chosen.by_code is not null and chosen.by_name is not null and chosen.by_code != chosen.by_name
            and not coalesce(coded.stem = named.stem and coded.part_of = named.part_of, false) as code_and_name_differ,
        chosen.by_name as unit_by_name
    from keys
    left join chosen using (code, city, province, year_text)
    left join units as coded on chosen.by_code = coded.city_code
    left join units as named on chosen.by_name = named.city_code
)

select * from final

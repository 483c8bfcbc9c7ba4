-- grain: one distinct (code, city, province, year) text of a block of a yearbook's sheet, with the unit it stands for
{%- set before_province = '^([A-Za-zÀ-ɏ0-9 &’.-]+)[,(] ?([A-Za-z ]+)\\)?$' | replace('&', "''") %}
with texts as (
    select distinct source, file, sheet, block, code, city, province, year as year_text from {{ source('raw', 'yearbook_cells') }}
),

units as (
    select
        city_code,
        name,
        part_of,
        left(city_code, 2) as province,
        type = 'province' as is_province,
        type in ('municipality', 'special administrative region') as is_municipality,
        -- a county-level city that became a district keeps its place and its name, but for the last character
        regexp_replace(name, '[市区县]$', '') as stem
    from {{ source('raw', 'geographic_units') }}
),

crosswalk as (
    select
        names.name_or_code,
        names.kind,
        coalesce(try_cast(names.valid_from as integer), 0) as valid_from,
        coalesce(try_cast(names.valid_to as integer), 9999) as valid_to,
        names.city_code as unit_code,
        units.is_province,
        units.is_municipality
    from {{ source('raw', 'city_names') }} as names
    left join units using (city_code)
),

provinces as (
    select * from {{ ref('stg_provinces') }}
),

-- every spelling of a province, as spelled_name writes it
province_names as (
    select province, {{ spelled_name('short_name') }} as spelling from provinces
    union
    select province, {{ spelled_name('name') }} from provinces
    union
    select province, province from provinces
    union
    select province, province || '0000' from provinces
    union
    select left(unit_code, 2), {{ spelled_name('name_or_code') }} from crosswalk
    inner join provinces on left(unit_code, 2) = provinces.province and crosswalk.unit_code = provinces.province || '0000'
    where kind not in ('code', 'former code')
),

-- every spelling of a unit; bare: without the word that says what kind of unit it is, which a province and a city may share
unit_names as (
    select {{ spelled_name('name_or_code') }} as spelling, unit_code, valid_from, valid_to, kind in ('short name', 'english') as bare, is_province,
        is_municipality
    from crosswalk
    where kind not in ('code', 'former code')
    union
    select {{ spelled_name('provinces.short_name') }}, units.city_code, 0, 9999, true, true, false
    from provinces
    inner join units on provinces.province || '0000' = units.city_code and units.is_province
    union
    -- 海南州 is 海南 too, but for the province of that name
    select regexp_replace(name_or_code, '州$', ''), unit_code, valid_from, valid_to, true, false, false
    from crosswalk
    where kind = 'short name' and name_or_code in (select short_name || '州' from provinces)
),

cities as (
    select
        city,
        {{ spelled_name("regexp_replace(" ~ plain_text('city') ~ ", '" ~ before_province ~ "', '\\1')") }} as name,
        nullif({{ spelled_name("regexp_extract(" ~ plain_text('city') ~ ", '" ~ before_province ~ "', 2)") }}, '') as behind,
        -- the Latin name beside a Chinese one must be that of the same place
        case when regexp_matches(city, '\p{Han}') then {{ latin_name('city') }} else '' end as beside
    from (select distinct city from texts) as once
),

-- a name, or a name behind or before its province (安徽安庆, 河北省石家庄市, Suzhou, Anhui): in that order of trust
named as (
    select cities.city, cities.beside, unit_names.*, provinces_behind.province as said_province
    from cities
    inner join unit_names on cities.name = unit_names.spelling
    left join province_names as provinces_behind on cities.behind = provinces_behind.spelling
    where cities.name != '' and (cities.behind is null or provinces_behind.province is not null)
),

behind_province as (
    select cities.city, cities.beside, unit_names.*, province_names.province as said_province
    from cities
    inner join province_names on length(province_names.spelling) > 1 and starts_with(cities.name, province_names.spelling)
    inner join unit_names
        on unit_names.spelling = substr(cities.name, length(province_names.spelling) + 1)
        and left(unit_names.unit_code, 2) = province_names.province
    where cities.name != '' and cities.city not in (select city from named)
),

candidates as (
    select *
    from (select * from named union select * from behind_province) as told
    where beside = '' or (beside, unit_code) in (select spelling, unit_code from unit_names)
),

-- what else stands in the same column of the file tells whether bare names are those of provinces or of cities
kinds as (
    select
        city,
        bool_or(is_province) as may_be_province,
        bool_or(not is_province and not is_municipality) as may_be_city,
        bool_and(bare) as bare,
        count(distinct unit_code) = 1 as clear
    from candidates
    group by city
),

blocks as (
    select
        source,
        file,
        sheet,
        block,
        code = '' and province = '' as alone,
        count(distinct city) filter (where clear and may_be_province) as provinces,
        count(distinct city) filter (where clear and may_be_province and bare) as bare_provinces,
        count(distinct city) filter (where clear and may_be_city) as cities,
        count(distinct city) filter (where clear and may_be_city and bare) as bare_cities,
        count(distinct city) filter (where clear is null and {{ looks_like_a_name('city') }}) as unknown
    from texts
    left join kinds using (city)
    group by source, file, sheet, block, code = '' and province = ''
),

keys as (
    select
        texts.*,
        {{ year_of('year_text') }} as year,
        {{ spelled_code("case when code = '' and regexp_full_match(city, '\\s*\\d{4,12}([.]0+)?\\s*') then city else code end") }} as plain_code,
        province_names.province as province_code,
        case
            when blocks.provinces > 0 and blocks.cities = 0 then 'provinces'
            when blocks.bare_provinces = 0 and (blocks.bare_cities >= 3 or (blocks.provinces > 0 and blocks.bare_cities > 0)) then 'cities'
        end as level,
        blocks.unknown >= 3 and blocks.unknown > blocks.cities + blocks.provinces as mostly_unknown
    from texts
    inner join blocks
        on texts.source = blocks.source
        and texts.file = blocks.file
        and texts.sheet = blocks.sheet
        and texts.block = blocks.block
        and (texts.code = '' and texts.province = '') = blocks.alone
    left join province_names on {{ spelled_name('texts.province') }} = province_names.spelling
),

-- places that a text may mean, and what speaks for each: its province, its years, its level
weighed as (
    select
        keys.*,
        candidates.unit_code,
        candidates.said_province,
        candidates.bare,
        coalesce(
            left(candidates.unit_code, 2) = keys.province_code
            -- Chongqing was in Sichuan until 1997, Hainan in Guangdong until 1988
            or (left(candidates.unit_code, 2) = '50' and keys.province_code = '51' and keys.year <= 1997)
            or (left(candidates.unit_code, 2) = '46' and keys.province_code = '44' and keys.year <= 1988),
            true
        )
        and coalesce(left(candidates.unit_code, 2) = candidates.said_province, true)
        and coalesce(keys.province_code = candidates.said_province, true) as in_province,
        coalesce(keys.year between candidates.valid_from and candidates.valid_to, true) as in_year,
        candidates.valid_to,
        coalesce(candidates.is_province = (keys.level = 'provinces'), false) as on_level
    from keys
    inner join candidates using (city)
),

in_province as (
    select
        *,
        bool_or(in_year) over text as any_in_year,
        max(valid_to) over text as last_year,
        bool_or(on_level) over text as any_on_level
    from weighed
    where in_province
    window text as (partition by source, file, sheet, block, code, city, province, year_text)
),

-- names valid in the year come first; compilers also write today's names into old years
meant as (
    select
        source,
        file,
        sheet,
        block,
        code,
        city,
        province,
        year_text,
        list(distinct unit_code order by unit_code) as units,
        bool_and(bare and mostly_unknown and province_code is null and said_province is null) as doubtful
    from in_province
    where (in_year or (not any_in_year and valid_to = last_year)) and (on_level or not any_on_level)
    group by all
),

possible as (
    select source, file, sheet, block, code, city, province, year_text, list(distinct unit_code order by unit_code) as units
    from weighed
    group by all
),

coded as (
    select keys.source, keys.file, keys.sheet, keys.block, keys.code, keys.city, keys.province, keys.year_text,
        arg_max(crosswalk.unit_code, ((keys.year between valid_from and valid_to), valid_to)) as unit_code
    from keys
    inner join crosswalk on crosswalk.kind in ('code', 'former code') and crosswalk.name_or_code = keys.plain_code
    group by all
),

found as (
    select
        keys.*,
        coded.unit_code as by_code,
        meant.units as by_name,
        possible.units as by_name_anywhere,
        meant.doubtful,
        case when keys.plain_code = '' and len(meant.units) = 1 and not meant.doubtful then meant.units[1] end as only_name
    from keys
    left join coded using (source, file, sheet, block, code, city, province, year_text)
    left join meant using (source, file, sheet, block, code, city, province, year_text)
    left join possible using (source, file, sheet, block, code, city, province, year_text)
),

final as (
    select
        found.source,
        found.file,
        found.sheet,
        found.block,
        found.code,
        found.city,
        found.province,
        found.year_text,
        found.year,
        coalesce(found.by_code, found.only_name) as unit_code,
        array_to_string(found.by_name_anywhere, ' or ') as unit_by_name,
        case
            when found.by_code is not null and found.by_name_anywhere is not null and not list_contains(found.by_name_anywhere, found.by_code)
                and not coalesce(coded.stem = named.stem and coded.part_of = named.part_of, false)
                then 'code_and_name_differ'
            when found.by_code is not null and found.province_code is not null and left(found.by_code, 2) != found.province_code
                and not (left(found.by_code, 2) = '50' and found.province_code = '51' and found.year <= 1997)
                and not (left(found.by_code, 2) = '46' and found.province_code = '44' and found.year <= 1988)
                then 'city_and_province_differ'
            when found.by_code is not null then null
            when found.plain_code != '' then 'unknown_code'
            when found.by_name is null and found.by_name_anywhere is not null then 'city_and_province_differ'
            when len(found.by_name) > 1 or found.doubtful then 'ambiguous_city'
        end as place_rule
    from found
    left join units as coded on found.by_code = coded.city_code
    left join units as named on len(found.by_name_anywhere) = 1 and found.by_name_anywhere[1] = named.city_code
)

select * from final

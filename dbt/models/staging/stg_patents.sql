-- grain: one patent application, typed, with its city; green when any of its IPC symbols is in the Green Inventory
with records as (
    select * from {{ source('raw', 'patents') }}
),

kinds as (
    select text, kind from {{ source('raw', 'patent_kinds') }}
),

-- the first place of an address that ends in city, prefecture, league or autonomous prefecture, behind a postal code and
-- province; straight on the text, because cleaning every address would take ten times as long as reading it
located as (
    select
        *,
        regexp_extract(
            address,
            '^[\d０-９ 　]*(?:中国)?(?:[^省市]{2,3}省|(?:内蒙古|广西|西藏|宁夏|新疆)[^区市]{0,4}自治区)?(.{1,12}?(?:市|地区|自治州|盟)|北京|上海|天津|重庆)',
            1
        ) as place
    from records
),

names as (
    select
        names.name_or_code as name,
        -- a county-level city stands for the prefecture it is part of
        arg_max(
            coalesce(nullif(units.part_of, ''), names.city_code), coalesce(try_cast(names.valid_to as integer), 9999)
        ) as unit_code
    from {{ source('raw', 'city_names') }} as names
    inner join {{ source('raw', 'geographic_units') }} as units on names.city_code = units.city_code
    where names.kind not in ('code', 'former code')
    group by names.name_or_code
),

-- a name, or a name behind its province without 省 (湖北武汉市): in that order of trust
cities as (
    select places.place, arg_min(candidates.unit_code, candidates.trust) as unit_code
    from (select distinct place from located) as places
    left join (
        select name, unit_code, 1 as trust from names
        union all
        select provinces.short_name || names.name, names.unit_code, 2
        from names
        inner join {{ ref('stg_provinces') }} as provinces on left(names.unit_code, 2) = provinces.province
    ) as candidates on places.place = candidates.name
    group by places.place
),

-- an application may be listed at its publication and again at its grant: the row that knows of the grant counts
repeated as (
    select application_number
    from records
    where application_number is not null
    group by application_number
    having count(*) > 1
),

surplus as (
    select file, row
    from records
    inner join repeated using (application_number)
    qualify row_number() over (partition by application_number order by coalesce(grant_date, '') = '', file, row) > 1
),

symbols as (
    select distinct unnest(string_split(ipc, ';')) as symbol from (select distinct ipc from records)
),

parsed_symbols as (
    select
        symbol,
        regexp_extract({{ clean_name('symbol') }}, '^([A-H]\d\d[A-Z])(\d+)/(\d+)', ['subclass', 'main', 'sub']) as part
    from symbols
),

green_symbols as (
    select distinct parsed_symbols.symbol
    from parsed_symbols
    inner join {{ source('raw', 'green_ipc') }} as green
        on starts_with(parsed_symbols.part.subclass, green.ipc_class)
        and (green.group_from is null or try_cast(parsed_symbols.part.main as integer) between green.group_from and green.group_to)
        -- subgroups order as decimals: 31/042 lies before 31/05
        and (
            green.subgroup_from is null
            or try_cast('0.' || parsed_symbols.part.sub as double)
            between try_cast('0.' || green.subgroup_from as double) and try_cast('0.' || green.subgroup_to as double)
        )
    where parsed_symbols.part.subclass != ''
),

green_lists as (
    select
        ipc,
        bool_or(green_symbols.symbol is not null) as green,
        bool_or(parsed_symbols.part.subclass != '') as readable
    from (select ipc, unnest(string_split(ipc, ';')) as symbol from (select distinct ipc from records)) as lists
    left join parsed_symbols using (symbol)
    left join green_symbols using (symbol)
    group by ipc
),

final as (
    select
        located.application_number,
        kinds.kind,
        year(try_cast(located.filing_date as date)) as application_year,
        year(try_cast(nullif(located.grant_date, '') as date)) as grant_year,
        coalesce(green_lists.green, false) as green,
        cities.unit_code,
        located.place,
        located.file,
        located.row,
        case
            when try_cast(located.filing_date as date) is null then 'unknown_year'
            when kinds.kind is null then 'unknown_kind'
            when try_cast(nullif(located.grant_date, '') as date) < try_cast(located.filing_date as date) then 'dates_out_of_order'
            -- designs have classes of their own (Locarno), none of which is green
            when kinds.kind != 'design' and not coalesce(green_lists.readable, false) then 'unknown_class'
            when cities.unit_code is null then 'unknown_city'
            when surplus.row is not null then 'duplicate_key'
        end as rule
    from located
    left join kinds on located.kind = kinds.text
    left join cities using (place)
    left join green_lists using (ipc)
    left join surplus on located.file = surplus.file and located.row = surplus.row
)

select * from final

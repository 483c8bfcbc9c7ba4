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
            '^[\d０-９ 　]*(?:[^省]{2,3}省|(?:内蒙古|广西|西藏|宁夏|新疆)[^区市]{0,4}自治区|中国)*([^省市州盟区县]{1,10}(?:市|地区|自治州|盟))',
            1
        ) as place
    from records
),

places as (
    select distinct place from located
),

names as (
    select
        names.name_or_code as place,
        -- a county-level city stands for the prefecture it is part of
        arg_max(
            coalesce(nullif(units.part_of, ''), names.city_code), coalesce(try_cast(names.valid_to as integer), 9999)
        ) as unit_code
    from {{ source('raw', 'city_names') }} as names
    inner join {{ source('raw', 'geographic_units') }} as units on names.city_code = units.city_code
    where names.kind not in ('code', 'former code')
    group by names.name_or_code
),

cities as (
    select places.place, names.unit_code from places left join names using (place)
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
    select ipc, bool_or(green_symbols.symbol is not null) as green
    from (select ipc, unnest(string_split(ipc, ';')) as symbol from (select distinct ipc from records)) as lists
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
            when cities.unit_code is null then 'unknown_city'
        end as rule
    from located
    left join kinds on located.kind = kinds.text
    left join cities using (place)
    left join green_lists using (ipc)
)

select * from final

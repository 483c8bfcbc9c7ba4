-- grain: one cell of a yearbook file that tells of a city of the roster and a year: what it became, or why it did not count
with parsed as (
    select * from {{ ref('stg_yearbook_parsed') }} where unit_code is not null and year is not null
),

judged as (
    select source, file, sheet, row, "column", indicator, rule from {{ ref('stg_yearbook_judged') }} where rule is not null
),

reasons as (
    select rule, source, file, sheet, row, "column", indicator, any_value(message) as message
    from {{ ref('rejects') }}
    where indicator is not null
    group by all
),

-- rates that hold for the nation stand under its own code
nation as (
    select unit_code, unit_code as city_code from (select distinct unit_code from parsed where indicator = 'exchange_rate')
),

placed as (
    select parsed.*, geography.city_code
    from parsed
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    union all by name
    select parsed.*, nation.city_code
    from parsed
    inner join nation using (unit_code)
    where parsed.indicator = 'exchange_rate'
),

final as (
    select
        placed.city_code,
        placed.year,
        placed.indicator,
        placed.unit_code,
        headers.header_id,
        placed.row,
        placed.city as place,
        placed.text,
        placed.value,
        coalesce(placed.rule, judged.rule) as rule,
        reasons.message,
        case
            when placed.indicator = 'exchange_rate' then coalesce(placed.rule, judged.rule) is null and row_number() over (
                partition by placed.indicator, placed.year order by coalesce(placed.rule, judged.rule) is null desc, placed.priority, placed.source
            ) = 1
            else used.row is not null
        end as used
    from placed
    inner join {{ ref('headers') }} as headers
        using (source, file, sheet, "column", header, indicator, unit_text)
    left join judged using (source, file, sheet, row, "column", indicator)
    left join reasons
        on coalesce(placed.rule, judged.rule) = reasons.rule
        and placed.source = reasons.source
        and placed.file = reasons.file
        and placed.sheet = reasons.sheet
        and placed.row = reasons.row
        and placed."column" = reasons."column"
        and placed.indicator = reasons.indicator
    left join {{ ref('int_city_cells') }} as used
        on placed.source = used.source
        and placed.file = used.file
        and placed.sheet = used.sheet
        and placed.row = used.row
        and placed."column" = used."column"
        and placed.indicator = used.indicator
)

select * from final

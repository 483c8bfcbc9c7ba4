-- grain: one cell of a yearbook file that holds something, parsed, with the first rule it breaks by itself
with cells as (
    select * from {{ source('raw', 'yearbook_cells') }}
),

-- a contract may hold an indicator in several layouts of sheet
columns as (
    select source, indicator, min(priority) as priority, min(low) as low, max(high) as high
    from {{ source('raw', 'contract_columns') }}
    group by source, indicator
),

-- a unit may convert to several canonical ones: 万人 to persons and to ten thousand persons
measures as (
    select unit, string_agg(canonical, ' or ' order by canonical) as canonicals
    from {{ source('raw', 'measurement_units') }}
    group by unit
),

parsed as (
    select
        cells.source,
        cells.file,
        cells.sheet,
        cells.row,
        cells."column",
        cells.header,
        cells.city,
        cells.indicator,
        cells.value as text,
        cells.unit as unit_text,
        places.year,
        places.year_text,
        places.unit_code,
        places.unit_by_name,
        places.code_and_name_differ,
        {{ clean_number('cells.value') }} as number_text,
        measures.canonicals as unit_measures,
        units.factor,
        indicators.unit as indicator_unit,
        columns.low,
        columns.high,
        columns.priority
    from cells
    inner join {{ ref('stg_yearbook_places') }} as places
        on cells.code = places.code
        and cells.city = places.city
        and cells.province = places.province
        and cells.year = places.year_text
    left join {{ source('raw', 'indicators') }} as indicators on cells.indicator = indicators.indicator
    left join {{ source('raw', 'measurement_units') }} as units
        on cells.unit = units.unit and indicators.unit = units.canonical
    left join measures on cells.unit = measures.unit
    left join columns
        on cells.source = columns.source and cells.indicator = columns.indicator
),

numbers as (
    select *, try_cast(number_text as double) as number from parsed where number_text is not null
),

final as (
    select
        * exclude (number),
        number * factor as value,
        case
            when city = '' and year is null then 'stray_row'
            when year is null then 'unknown_year'
            when city = '' and unit_code is null then 'no_city'
            when unit_code is null then 'unknown_city'
            when code_and_name_differ then 'code_and_name_differ'
            when indicator_unit is null then 'unknown_indicator'
            when unit_measures is null then 'unknown_unit'
            when factor is null then 'wrong_unit'
            when number is null then 'not_a_number'
            when number * factor not between coalesce(low, '-infinity'::double) and coalesce(high, 'infinity'::double)
                then 'out_of_range'
        end as rule
    from numbers
)

select * from final

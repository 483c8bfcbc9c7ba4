-- grain: one cell of a yearbook file that holds something, parsed, with the first rule it breaks by itself
with cells as (
    select *, {{ plain_text('value') }} as plain from {{ source('raw', 'yearbook_cells') }}
),

-- a contract may hold an indicator in several layouts of sheet
columns as (
    select source, indicator, min(priority) as priority, min(low) as low, max(high) as high,
        case when count(*) = count(levels) then string_split(string_agg(levels, ','), ',') end as levels
    from {{ source('raw', 'contract_columns') }}
    group by source, indicator
),

-- at what level a place stands; a municipality is a city and a province
places as (
    select
        places.*,
        case
            when units.type = 'municipality' then ['province', 'city']
            when units.type in ('country', 'province') then [units.type]
            when units.type = 'prefecture-level city' then ['city']
            when units.type in ('prefecture', 'autonomous prefecture', 'league', 'administrative region') then ['prefecture']
            when units.type is not null then ['county']
        end as unit_levels
    from {{ ref('stg_yearbook_places') }} as places
    left join {{ source('raw', 'geographic_units') }} as units on places.unit_code = units.city_code
),

-- a unit may convert to several canonical ones: 万人 to persons and to ten thousand persons
measures as (
    select unit, string_agg(canonical, ' or ' order by canonical) as canonicals
    from {{ source('raw', 'measurement_units') }}
    group by unit
),

-- a number, and behind it perhaps its own unit; footnote marks and the mark of a revised or preliminary value say nothing of it
split as (
    select
        *,
        regexp_extract(
            regexp_replace(plain, '^[\s{{ note_marks() }}]+|(\s*(\((r|R|p|P|e|E|修订|修订数|初步|初步数)\)|[{{ note_marks() }}]))+\s*$', '', 'g'),
            '^([-+]? ?[\d.,]*(?: \d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\d\s(][^\d]*)?$',
            ['digits', 'unit']
        ) as part
    from cells
    where not {{ says_missing('plain') }}
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
        cells.province,
        cells.code,
        cells.indicator,
        cells.value as text,
        coalesce(nullif(trim(cells.part['unit']), ''), cells.unit) as unit_text,
        trim(cells.part['unit']) != '' as own_unit,
        cells.fault,
        places.year,
        places.year_text,
        places.unit_code,
        places.unit_by_name,
        places.place_rule,
        coalesce(not list_has_any(columns.levels, places.unit_levels), false) as other_level,
        case
            when regexp_full_match(part['digits'], '[-+]? ?\d{1,3}(,\d{3})+(\.\d+)?') then replace(replace(part['digits'], ',', ''), ' ', '')
            when regexp_full_match(part['digits'], '[-+]?\d{1,3}( \d{3})+(\.\d+)?') then replace(part['digits'], ' ', '')
            when regexp_full_match(part['digits'], '[-+]? ?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?') then replace(part['digits'], ' ', '')
        end as number_text,
        indicators.unit as indicator_unit,
        columns.low,
        columns.high,
        columns.priority
    from split as cells
    inner join places
        on cells.source = places.source
        and cells.file = places.file
        and cells.sheet = places.sheet
        and cells.block = places.block
        and cells.code = places.code
        and cells.city = places.city
        and cells.province = places.province
        and cells.year = places.year_text
    left join {{ source('raw', 'indicators') }} as indicators on cells.indicator = indicators.indicator
    left join columns
        on cells.source = columns.source and cells.indicator = columns.indicator
),

-- a value as written under an indicator whose unit nobody has said yet is in whatever unit it is in
numbers as (
    select
        parsed.*,
        try_cast(number_text as double) as printed,
        case when indicator_unit = 'as written' and not own_unit then 'as written' else measures.canonicals end as unit_measures,
        case when indicator_unit = 'as written' then 1 else units.factor end as factor
    from parsed
    left join {{ source('raw', 'measurement_units') }} as units
        on parsed.unit_text = units.unit and parsed.indicator_unit = units.canonical
    left join measures on parsed.unit_text = measures.unit
),

ruled as (
    select
        * exclude (place_rule, own_unit, other_level),
        printed * factor as value,
        case
            when city = '' and code = '' and year is null then 'stray_row'
            when fault != '' then split_part(fault, ':', 1)
            when year is null then 'unknown_year'
            when city = '' and unit_code is null and place_rule is null then 'no_city'
            when place_rule is not null then place_rule
            when unit_code is null then 'unknown_city'
            when other_level then 'other_level'
            when indicator_unit is null then 'unknown_indicator'
            when starts_with(text, '=') then 'formula_without_value'
            when printed is null or isinf(printed) then 'not_a_number'
            when unit_measures is null then 'unknown_unit'
            when factor is null then 'wrong_unit'
            when printed * factor not between coalesce(low, '-infinity'::double) and coalesce(high, 'infinity'::double)
                then 'out_of_range'
        end as rule
    from numbers
),

final as (
    select
        * exclude (fault),
        file || case when sheet = '' then '' else ', sheet ''' || sheet || '''' end || ', row ' || row || ', column ' || "column"
            || ' (' || header || '): ''' || text || ''' ' || case when indicator_unit is null then '' else 'for ' || indicator || ' ' end
            || 'is set aside: ' || case rule
                when 'stray_row' then 'the row names no city and no year, so it is no observation'
                when 'unknown_year' then case when year_text = '' then 'no year is said; say it in the contract'
                    else 'the text ''' || year_text || ''' is not one year' end
                when 'part_only' then 'the row holds a part only (' || substr(fault, 11) || '); say in the contract which rows count, with `where`'
                when 'equal_headers' then 'other columns bear the same header and nothing tells them apart; say in the contract which is '
                    || 'which, by `position`'
                when 'no_city' then 'the row names no city'
                when 'unknown_city' then 'no crosswalk knows the city ''' || city || '''; correct it or add it to '
                    || 'data/reference/city_names.csv'
                when 'unknown_code' then 'no crosswalk knows the code ''' || code || ''' beside ''' || city || '''; correct the code or '
                    || 'leave it out'
                when 'ambiguous_city' then '''' || city || ''' may be another place too (' || coalesce(unit_by_name, '') || '); add a code '
                    || 'or the province'
                when 'code_and_name_differ' then 'the code stands for another unit than the name ''' || city || ''' (' || unit_code
                    || ' against ' || unit_by_name || ')'
                when 'city_and_province_differ' then 'the city ''' || city || ''' does not lie in the province ''' || province || ''' ('
                    || coalesce(unit_code, unit_by_name) || ')'
                when 'other_level' then 'the row is about a place of another level than those that its contract takes (`levels`)'
                when 'incomplete' then 'the value of the year is made of several rows, and ' || substr(fault, 12)
                when 'unknown_unit' then 'the unit ''' || unit_text || ''' is not known; add it to the measurement units'
                when 'unknown_indicator' then 'no list of indicators has ''' || indicator || ''''
                when 'wrong_unit' then 'the unit ''' || unit_text || ''' measures ' || unit_measures || ', the indicator needs ' || indicator_unit
                when 'formula_without_value' then 'it is a formula and the file holds no result; open the file in a spreadsheet and save it'
                when 'not_a_number' then 'the text is not a number'
                when 'out_of_range' then 'the value is outside ' || low || ' to ' || high || ' ' || indicator_unit || ', the range its '
                    || 'contract allows'
            end || '.' as message
    from ruled
)

select * from final

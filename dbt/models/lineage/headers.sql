-- grain: one column of a sheet of a raw file, with what its contract says it holds
with headers as (
    select distinct source, file, sheet, "column", header, indicator, unit_text, indicator_unit as unit, factor
    from {{ ref('stg_yearbook_parsed') }}
),

-- the header as its contract writes it: without the unit that stands in parentheses
defined as (
    select headers.*, definitions.definition
    from headers
    left join {{ source('raw', 'contract_headers') }} as definitions
        on headers.source = definitions.source
        and headers.indicator = definitions.indicator
        and list_contains(
            [headers.header, replace(headers.header, '(' || headers.unit_text || ')', ''), replace(headers.header, '[' || headers.unit_text || ']', '')],
            definitions.header
        )
    -- a header that is written with its unit and without it counts once
    qualify row_number() over (partition by headers.source, file, sheet, "column", headers.indicator, unit_text order by definitions.header) = 1
),

final as (
    select
        row_number() over (order by source, file, sheet, "column", indicator, unit_text) as header_id,
        *
    from defined
)

select * from final

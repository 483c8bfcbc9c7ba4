-- grain: one cell of a yearbook file that a contract claims, as staging reads it; `pilotcity read` runs this in memory
select
    cells.source,
    cells.file,
    cells.sheet,
    cells.row,
    cells."column",
    cells.header,
    coalesce(parsed.unit_code, places.unit_code) as city_code,
    places.year,
    cells.indicator,
    cells.value as text,
    parsed.printed as value,
    nullif(nullif(coalesce(parsed.unit_text, cells.unit), ''), 'as written') as unit,
    parsed.rule,
    parsed.message
from {{ source('raw', 'yearbook_cells') }} as cells
inner join {{ ref('stg_yearbook_places') }} as places
    on cells.source = places.source
    and cells.file = places.file
    and cells.sheet = places.sheet
    and cells.block = places.block
    and cells.code = places.code
    and cells.city = places.city
    and cells.province = places.province
    and cells.year = places.year_text
left join {{ ref('stg_yearbook_parsed') }} as parsed
    on cells.source = parsed.source
    and cells.file = parsed.file
    and cells.sheet = parsed.sheet
    and cells.row = parsed.row
    and cells."column" = parsed."column"
    and cells.indicator = parsed.indicator
order by cells.source, cells.file, cells.sheet, cells.row, length(cells."column"), cells."column", cells.indicator

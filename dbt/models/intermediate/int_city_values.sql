-- grain: one value a city of the roster, year and indicator, from the most trusted source, in today's borders
select
    city_code,
    year,
    indicator,
    sum(value order by unit_code) as value,
    any_value(unit) as unit,
    string_agg(distinct source, ', ' order by source) as sources,
    count(*) > 1 as merged,
    -- which raw cells: a reader can go back to each
    string_agg(file || case when sheet = '' then '' else '|' || sheet end || '|' || "column" || row, '; ' order by unit_code) as cells
from {{ ref('int_city_cells') }}
group by city_code, year, indicator

-- grain: one accepted value a source, geographic unit, year and indicator, in the indicator's canonical unit
select
    source,
    priority,
    unit_code,
    year,
    indicator,
    value,
    indicator_unit as unit,
    file,
    sheet,
    row,
    "column",
    text
from {{ ref('stg_yearbook_judged') }}
where rule is null

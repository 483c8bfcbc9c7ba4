-- grain: one column of city_year or of what it is made of, with the formula that its description declares, or where it stands
select layer, name, kind, formula, unit, description from {{ source('raw', 'declared_formulas') }}
union all
select 'indicator', indicator, 'indicator', null, unit, label_en || ' (' || label_zh || ').' from {{ source('raw', 'indicators') }}

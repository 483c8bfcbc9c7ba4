-- grain: one province, with its name and the name that is written where its kind is left out (安徽, 内蒙古)
{{ config(materialized='ephemeral' if target.type == 'spark' else 'table') }}
select distinct
    left(city_code, 2) as province,
    name,
    regexp_replace(name, '(省|市|维吾尔自治区|壮族自治区|回族自治区|自治区|特别行政区)$', '') as short_name
from {{ source('raw', 'geographic_units') }}
where type in ('province', 'municipality')

-- grain: one geographic unit that belongs to a city of the roster, with its name
select geography.unit_code, units.name, geography.city_code, geography.treatment, geography.changed_in
from {{ ref('int_geography') }} as geography
inner join {{ source('raw', 'geographic_units') }} as units on geography.unit_code = units.city_code

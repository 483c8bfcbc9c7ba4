-- grain: one committed figure that stands in for raw files, by name and year
select 'exchange_rate' as name, year::integer as year, yuan_per_usd as value, 'data/reference/exchange_rate.csv' as file, source, certainty
from {{ source('raw', 'recorded_exchange_rate') }}
union all
select 'national_gdp', year::integer, gdp_10k_yuan, 'data/reference/national_gdp.csv', source, certainty
from {{ source('raw', 'recorded_national_gdp') }}

-- grain: one city of the roster and year of the data; every name that a formula may use beside variables
{{ config(materialized='view') }}

with indicators as (
    select * from {{ ref('int_city_wide') }}
),

capital as (
    select * from {{ ref('int_capital') }}
),

patents as (
    select * from {{ ref('int_green_patents') }}
),

cases as (
    select * from {{ ref('int_ip_cases') }}
),

final as (
    select
        indicators.*,
        capital.* exclude (city_code, year),
        patents.* exclude (city_code, year),
        cases.* exclude (city_code, year)
    from indicators
    inner join capital on indicators.city_code = capital.city_code and indicators.year = capital.year
    left join patents on indicators.city_code = patents.city_code and indicators.year = patents.year
    left join cases on indicators.city_code = cases.city_code and indicators.year = cases.year
)

select * from final

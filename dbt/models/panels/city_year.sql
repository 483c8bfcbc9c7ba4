-- grain: one city of the roster and year; every variable a study may draw on, as measured: nothing filled, logged or winsorised
with wide as (
    select * from {{ ref('int_city_wide') }}
),

patents as (
    select * from {{ ref('int_green_patents') }}
),

-- one value a city, carried to every year
telephones as (
    select city_code, max(landlines_1984 / (population_1984 * 100)) as landlines_1984_per_100
    from wide
    group by city_code
),

cases as (
    select * from {{ ref('int_ip_cases') }}
),

capital as (
    select * from {{ ref('int_capital') }}
),

cities as (
    select city_code, name_zh, name_en, province_zh, region from {{ source('raw', 'cities') }}
),

caliber as (
    select
        city_code,
        year,
        bool_or(kind in ('borders', 'merger')) as borders_changed,
        string_agg(what, '; ' order by kind, indicator, what) as caliber_change
    from {{ ref('caliber_changes') }}
    group by city_code, year
),

measured as (
    select
        wide.city_code,
        wide.year,

        cities.name_zh,
        cities.name_en,
        cities.province_zh,
        cities.region,

        patents.green_invention_applications / 1000 as green_invention_applications_1000,
        patents.green_utility_applications / 1000 as green_utility_applications_1000,
        patents.green_invention_granted / 1000 as green_invention_granted_1000,
        patents.green_utility_granted / 1000 as green_utility_granted_1000,
        patents.green_invention_granted + patents.green_utility_granted as green_patents_granted,

        wide.gdp as gdp_10k_yuan,
        capital.real_gdp_2006 as real_gdp_10k_yuan,
        capital.real_nonprimary_2006 as real_nonprimary_10k_yuan,
        capital.capital_stock as capital_stock_10k_yuan,
        capital.real_gdp_2006 / wide.population_resident as real_gdp_per_capita_yuan,
        wide.population_resident as population_resident_10k,
        wide.population_registered as population_registered_10k,
        wide.land_area as land_area_km2,
        wide.gdp / wide.population_resident as gdp_per_capita_yuan,
        wide.population_resident * 10000 / wide.land_area as population_density,
        wide.industrial_value_added / wide.gdp as industry_share,
        wide.gdp_secondary / wide.gdp as secondary_share,
        wide.gdp_tertiary / wide.gdp_secondary as tertiary_to_secondary,
        {{ industrial_structure_angle('wide.gdp_primary', 'wide.gdp_secondary', 'wide.gdp_tertiary') }} as industrial_structure_angle,
        wide.deposits + wide.loans as credit_10k_yuan,
        (wide.deposits + wide.loans) / wide.gdp as financial_depth,
        wide.trade / wide.gdp as trade_share,
        wide.fdi * wide.exchange_rate / 100 as fdi_million_yuan,
        wide.fdi * wide.exchange_rate / wide.gdp as fdi_share,
        wide.science_expenditure / wide.fiscal_expenditure as science_share_of_spending,
        wide.education_expenditure / wide.gdp as education_share_of_gdp,
        wide.fiscal_expenditure / wide.fiscal_revenue as fiscal_expenditure_to_revenue,
        wide.employees_information / wide.employees * 100 as information_employment_percent,
        wide.new_firms / (wide.population_resident * 100) as new_firms_per_100,

        wide.co2_ceads as co2_ceads_tonne,
        wide.co2_edgar as co2_edgar_tonne,
        wide.co2_ceads / wide.gdp as co2_ceads_per_gdp,
        wide.co2_edgar / wide.gdp as co2_edgar_per_gdp,
        wide.so2_industrial as so2_industrial_tonne,
        wide.energy_use as energy_use_tce,

        wide.employees as employees,
        wide.employees_secondary + wide.employees_tertiary as employees_nonprimary,
        wide.built_up_area as built_up_area_km2,
        wide.electricity as electricity_10k_kwh,
        wide.soot_industrial as soot_industrial_tonne,
        wide.wastewater_industrial as wastewater_industrial_tonne,
        wide.resident_income as resident_income_yuan,
        wide.park_green_area_per_person as park_green_area_per_person_m2,
        wide.population_urban / wide.population_resident as urban_share,
        wide.population_urban_district as population_urban_district_10k,
        wide.degree_holders as degree_holders,
        wide.internet_users / (wide.population_resident * 100) as internet_users_per_100,
        wide.mobile_users / (wide.population_resident * 100) as mobile_users_per_100,
        wide.telecom_revenue / wide.population_resident as telecom_revenue_per_capita_yuan,
        telephones.landlines_1984_per_100,
        {{ revealed_comparative_advantage('cases.ip_cases', 'wide.gdp', 'cases.national_cases', 'cases.national_gdp') }}
            as ipp_index,

        coalesce(wide.merged, false) as borders_merged,
        coalesce(caliber.borders_changed, false) as borders_changed,
        caliber.caliber_change
    from wide
    inner join cities on wide.city_code = cities.city_code
    inner join capital on wide.city_code = capital.city_code and wide.year = capital.year
    left join patents on wide.city_code = patents.city_code and wide.year = patents.year
    left join cases on wide.city_code = cases.city_code and wide.year = cases.year
    left join telephones on wide.city_code = telephones.city_code
    left join caliber on wide.city_code = caliber.city_code and wide.year = caliber.year
),

{% for index, parts in entropy_parts().items() -%}
{{ index }}_weights as (
    {{ entropy_weights('measured', parts) }}
),

{% endfor -%}
-- over all rows: a study's panel builds these anew over its own
final as (
    select
        measured.*,
        {% for index, parts in entropy_parts().items() -%}
        {{ entropy_index(parts, index ~ '_weights') }} as {{ index }}{{ "," if not loop.last }}
        {% endfor %}
    from measured
    {% for index in entropy_parts() -%}
    cross join {{ index }}_weights
    {% endfor %}
)

select * from final order by city_code, year

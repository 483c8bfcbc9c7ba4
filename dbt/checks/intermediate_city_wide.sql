-- one row a city and year with the indicators that parts and wholes are compared in
select
    wide.city_code,
    cities.name_zh,
    wide.year,
    gdp, gdp_primary, gdp_secondary, gdp_tertiary, industrial_value_added,
    population_resident, population_urban, population_urban_district,
    employees, employees_secondary, employees_tertiary, employees_information, degree_holders,
    fiscal_expenditure, science_expenditure, education_expenditure,
    land_area, built_up_area
from intermediate.int_city_wide as wide
left join raw.cities as cities on wide.city_code = cities.city_code
order by wide.city_code, wide.year

-- grain: one file, city, year and rule of the patents and cases behind a count; the nation's, under 100000, say which years
-- the files cover
with patents as (
    select patents.*, geography.city_code
    from {{ ref('stg_patents') }} as patents
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    where patents.green and patents.kind in ('invention', 'utility_model')
),

kinds as (
    select *, case kind when 'invention' then 'green_invention' else 'green_utility' end as name from patents
),

cases as (
    select * from {{ ref('stg_cases') }}
),

records as (
    select name || '_applications' as measure, city_code, unit_code, application_year as year, file, rule, first_row as row from kinds
    union all
    select name || '_granted', city_code, unit_code, grant_year, file, rule, first_row from kinds
    union all
    select 'ip_cases', geography.city_code, cases.unit_code, cases.year, cases.file, cases.rule, cases.first_row
    from cases
    inner join {{ ref('int_geography') }} as geography using (unit_code)
    where cases.intellectual_property
    union all
    select 'national_cases', '100000', '100000', year, file, rule, first_row from cases where rule is null and intellectual_property
),

counted as (
    select
        measure,
        city_code,
        unit_code,
        year::integer as year,
        file,
        coalesce(rule, '') as rule,
        count(*) as records,
        array_to_string(min(row, 5), ', ') as first_rows,
        max(row) as last_row
    from records
    where year is not null
    group by measure, city_code, unit_code, year, file, rule
),

covered as (
    select 'patent_applications' as measure, file, application_year as year, sum(records)::bigint as records, min(first_row) as first_row, max(last_row) as last_row
    from {{ ref('stg_patents') }}
    where application_year is not null
    group by file, application_year
    union all
    select 'concluded_cases', file, year, sum(records)::bigint, min(first_row), max(last_row) from cases where rule is null group by file, year
),

final as (
    select * from counted
    union all
    select measure, '100000', '100000', year::integer, file, '', records, first_row::varchar, last_row from covered
)

select * from final

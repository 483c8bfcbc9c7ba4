-- grain: one table on the way from raw files to panels, with what goes in, what is set aside or left out, and what comes out
with counts as (
    select
        (select count(*) from {{ source('raw', 'yearbook_cells') }}) as cells,
        (select count(*) from {{ ref('stg_yearbook_parsed') }}) as parsed,
        (select count(*) from {{ ref('stg_yearbook_parsed') }} where rule is not null) as parsed_rejected,
        (select count(*) from {{ ref('stg_yearbook_judged') }}) as judged,
        (select count(*) from {{ ref('stg_yearbook_judged') }} where rule is not null) as judged_rejected,
        (select count(*) from {{ ref('stg_yearbook') }}) as accepted,
        (select count(*) from {{ ref('int_city_values') }}) as city_values,
        (select count(*) from {{ source('raw', 'patents') }}) as patents,
        (select coalesce(sum(records), 0)::bigint from {{ ref('stg_patents') }}) as patents_judged,
        (select count(*) from {{ ref('stg_patents') }} where rule is not null) as patents_rejected,
        (
            select coalesce(sum(green_invention_applications + green_utility_applications), 0)::bigint
            from {{ ref('int_green_patents') }}
        ) as patents_counted,
        (select count(*) from {{ ref('int_green_patents') }}) as patent_rows,
        (select count(*) from {{ source('raw', 'cases') }}) as cases,
        (select coalesce(sum(records), 0)::bigint from {{ ref('stg_cases') }}) as cases_judged,
        (select count(*) from {{ ref('stg_cases') }} where rule is not null) as cases_rejected,
        (select coalesce(sum(ip_cases), 0)::bigint from {{ ref('int_ip_cases') }}) as cases_counted,
        (select count(*) from {{ ref('int_ip_cases') }}) as case_rows,
        (select count(*) from {{ ref('city_year') }}) as city_years
),

-- what the reader of a file cannot read never becomes a row of schema raw
unreadable as (
    select
        count(*) filter (where sources.source in (select distinct source from {{ source('raw', 'patents') }})) as patents,
        count(*) filter (where sources.source in (select distinct source from {{ source('raw', 'cases') }})) as cases
    from {{ source('raw', 'reader_rejects') }} as sources
    where sources.rule = 'unreadable_row'
),

steps as (
    select unnest([
        {'files': 'yearbooks', 'layer': 'raw', 'table_name': 'yearbook_cells', 'unit': 'cells', 'rows': cells,
            'rows_in': cells, 'rejected': 0, 'rows_out': cells, 'what_is_left_out': ''},
        {'files': 'yearbooks', 'layer': 'staging', 'table_name': 'stg_yearbook_parsed', 'unit': 'cells', 'rows': parsed,
            'rows_in': cells, 'rejected': parsed_rejected, 'rows_out': parsed - parsed_rejected,
            'what_is_left_out': 'cells that print a mark in the place of a figure'},
        {'files': 'yearbooks', 'layer': 'staging', 'table_name': 'stg_yearbook_judged', 'unit': 'values', 'rows': judged,
            'rows_in': parsed - parsed_rejected, 'rejected': judged_rejected, 'rows_out': accepted, 'what_is_left_out': ''},
        {'files': 'yearbooks', 'layer': 'intermediate', 'table_name': 'int_city_values', 'unit': 'values of a city and year',
            'rows': city_values, 'rows_in': accepted, 'rejected': 0, 'rows_out': city_values,
            'what_is_left_out': 'the same value in a less trusted source, units outside the roster of cities, parts of a city added up'},
        {'files': 'patents', 'layer': 'raw', 'table_name': 'patents', 'unit': 'records', 'rows': counts.patents,
            'rows_in': counts.patents + unreadable.patents, 'rejected': unreadable.patents, 'rows_out': counts.patents,
            'what_is_left_out': ''},
        {'files': 'patents', 'layer': 'staging', 'table_name': 'stg_patents', 'unit': 'applications', 'rows': patents_judged,
            'rows_in': counts.patents, 'rejected': patents_rejected, 'rows_out': patents_judged - patents_rejected,
            'what_is_left_out': ''},
        {'files': 'patents', 'layer': 'intermediate', 'table_name': 'int_green_patents', 'unit': 'applications counted',
            'rows': patent_rows, 'rows_in': patents_judged - patents_rejected, 'rejected': 0, 'rows_out': patents_counted,
            'what_is_left_out': 'applications that are not green, and those from outside the roster of cities'},
        {'files': 'court cases', 'layer': 'raw', 'table_name': 'cases', 'unit': 'records', 'rows': counts.cases,
            'rows_in': counts.cases + unreadable.cases, 'rejected': unreadable.cases, 'rows_out': counts.cases,
            'what_is_left_out': ''},
        {'files': 'court cases', 'layer': 'staging', 'table_name': 'stg_cases', 'unit': 'cases', 'rows': cases_judged,
            'rows_in': counts.cases, 'rejected': cases_rejected, 'rows_out': cases_judged - cases_rejected,
            'what_is_left_out': ''},
        {'files': 'court cases', 'layer': 'intermediate', 'table_name': 'int_ip_cases', 'unit': 'cases counted',
            'rows': case_rows, 'rows_in': cases_judged - cases_rejected, 'rejected': 0, 'rows_out': cases_counted,
            'what_is_left_out': 'cases on other matters, and those of courts that belong to no city of the roster'},
        {'files': 'all', 'layer': 'panels', 'table_name': 'city_year', 'unit': 'cities and years', 'rows': city_years,
            'rows_in': null, 'rejected': null, 'rows_out': city_years, 'what_is_left_out': ''},
    ]) as step
    from counts
    cross join unreadable
),

final as (
    select
        (row_number() over ())::integer as position,
        step.files,
        step.layer,
        step.table_name,
        step.unit,
        step.rows_in,
        step.rejected,
        step.rows_in - step.rejected - step.rows_out as left_out,
        step.rows_out,
        step.what_is_left_out,
        step.rows
    from steps
)

select * from final order by position

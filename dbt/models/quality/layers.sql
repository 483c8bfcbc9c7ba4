-- grain: one table of the warehouse that carries data from raw files to panels, with its rows
{% set tables = [
    ('raw', source('raw', 'yearbook_cells')),
    ('raw', source('raw', 'patents')),
    ('raw', source('raw', 'cases')),
    ('staging', ref('stg_yearbook_parsed')),
    ('staging', ref('stg_yearbook')),
    ('staging', ref('stg_patents')),
    ('staging', ref('stg_cases')),
    ('quality', ref('rejects')),
    ('intermediate', ref('int_city_values')),
    ('intermediate', ref('int_green_patents')),
    ('intermediate', ref('int_ip_cases')),
    ('panels', ref('city_year')),
] %}

{% for layer, table in tables -%}
select {{ loop.index }} as position, '{{ layer }}' as layer, '{{ table.identifier }}' as table_name, count(*) as rows from {{ table }}
{{ "union all" if not loop.last }}
{% endfor -%}
order by position

{#
    panels.city_year: one row a city of the roster and year, every variable of the catalogue as measured. What the
    variables are, dagster_project/models.py says when it writes the model:

    steps     the variables in the order of what they are made of, column -> its SQL over int_quantities and earlier steps
    indices   the entropy indices among the steps' columns -> their parts
    columns   every column of the table, in order
#}
{% macro city_year(steps, indices, columns) %}
with step_0 as (
    select * from {{ ref('int_quantities') }}
),

{% for step in steps -%}
{%- set before = 'step_' ~ loop.index0 -%}
{%- for name in step if name in indices -%}
"{{ name }}__weights" as (
    {{ entropy_weights(before, indices[name]) }}
),

{% endfor -%}
step_{{ loop.index }} as (
    select
        {{ before }}.*
        {%- for name, sql in step.items() %},
        {% if name in indices %}{{ entropy_index(indices[name], '"' ~ name ~ '__weights"') }}{% else %}{{ sql }}{% endif %} as "{{ name }}"
        {%- endfor %}
    from {{ before }}
    {%- for name in step if name in indices %}
    cross join "{{ name }}__weights"
    {%- endfor %}
),

{% endfor -%}
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

complete as (
    select
        variables.*,
        cities.* exclude (city_code),
        coalesce(merged, false) as borders_merged,
        coalesce(caliber.borders_changed, false) as borders_changed,
        caliber.caliber_change
    from step_{{ steps | length }} as variables
    inner join cities on variables.city_code = cities.city_code
    left join caliber on variables.city_code = caliber.city_code and variables.year = caliber.year
),

final as (
    select
        {%- for column in columns %}
        "{{ column }}"{{ "," if not loop.last }}
        {%- endfor %}
    from complete
)

select * from final order by city_code, year
{% endmacro %}

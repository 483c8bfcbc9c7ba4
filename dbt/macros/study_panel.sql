{#
    A study's panel, as its YAML says (loaded into raw.studies and raw.study_variables): its cities and years, first treated
    year, treatment, and its variables drawn from city_year, then interpolated within the study's years, logged and winsorised.
    Each interpolated variable has a flag <name>__imputed. Other policies of the study (raw.study_policies) are 0/1 columns.
    borders_merged and borders_changed are those of city_year.
    A variable whose source is no column of city_year is empty: its study says "not computed", and why.
    A variable drawn from an entropy index is built anew from the index's parts, each interpolated, over the rows of the panel.
#}
{% macro study_panel(study) %}
{%- set city_year = ref('city_year') -%}
{%- set policies = source('raw', 'policies') -%}
{%- set cities = source('raw', 'cities') -%}
{%- set studies = source('raw', 'studies') -%}
{%- set scores_table = source('scores', 'efficiency') -%}
{%- set variables_table = source('raw', 'study_variables') -%}
{%- set others_table = source('raw', 'study_policies') -%}
{%- set efficiency_table = source('raw', 'study_efficiency') -%}
{%- if execute -%}
    {%- set about = run_query("select policy, treatment, cities, first_year, last_year, policy_scope from " ~ studies ~ " where study = '" ~ study ~ "'").rows -%}
    {%- if about | length == 0 -%}
        {{ exceptions.raise_compiler_error("No study is named " ~ study ~ ": analysis/studies has no " ~ study ~ ".yaml") }}
    {%- endif -%}
    {%- set policy, treatment, sample, first_year, last_year, scope = about[0].values() -%}
    {%- set others = run_query("select name, policy, scopes from " ~ others_table ~ " where study = '" ~ study ~ "' order by position").rows -%}
    {%- set scored = run_query("select name, score, frontier from " ~ efficiency_table ~ " where study = '" ~ study ~ "' order by name").rows -%}
    {%- set score_names = scored | map(attribute='name') | list -%}
    {%- set known = adapter.get_columns_in_relation(city_year) | map(attribute='name') | list -%}
    {%- set indices = entropy_parts() -%}
    {%- set variables = run_query("select name, source_column, log, interpolate, max_gap, winsorize_low, winsorize_high from " ~ variables_table ~ " where study = '" ~ study ~ "' order by position").rows -%}
with adoption as (
    select city_code, min(adoption::integer) as adoption
    from {{ policies }}
    where policy = '{{ policy }}'
    {%- if scope %} and list_contains(string_split('{{ scope }}', ','), scope){% endif %}
    group by city_code
),

{% if others -%}
other_policies as (
    select
        city_code,
        {% for other in others -%}
        min(adoption::integer) filter (where policy = '{{ other['policy'] }}'
            {%- if other['scopes'] %} and list_contains(string_split('{{ other['scopes'] }}', ','), scope){% endif %}) as "{{ other['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from {{ policies }}
    group by city_code
),

{% endif -%}
{% if scored -%}
scores as (
    select
        city_code,
        year,
        {% for score in scored -%}
        max(score) filter (where name = '{{ score['score'] }}' and frontier = '{{ score['frontier'] }}') as "{{ score['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from {{ scores_table }}
    where study = '{{ study }}'
    group by city_code, year
),

{% endif -%}
grid as (
    select cities.city_code, years.year, adoption.adoption
    from {{ cities }} as cities
    cross join (select unnest(generate_series({{ first_year }}, {{ last_year }}))::integer as year) as years
    left join adoption on cities.city_code = adoption.city_code
    where cities.{{ sample }} = '1'
),

measured as (
    select
        grid.city_code,
        grid.year,
        grid.adoption,
        coalesce(city_year.borders_merged, false) as borders_merged,
        coalesce(city_year.borders_changed, false) as borders_changed,
        {% for variable in variables -%}
        {% for part in indices.get(variable['source_column'], []) -%}
        city_year."{{ part }}"::double as "{{ variable['name'] }}__{{ part }}",
        {% endfor -%}
        {% if variable['source_column'] in score_names %}scores."{{ variable['source_column'] }}"{% elif variable['source_column'] in known or not known %}city_year."{{ variable['source_column'] }}"{% else %}null{% endif %}::double as "{{ variable['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from grid
    left join {{ city_year }} as city_year on grid.city_code = city_year.city_code and grid.year = city_year.year
    {%- if scored %}
    left join scores on grid.city_code = scores.city_code and grid.year = scores.year
    {%- endif %}
),

interpolated as (
    select
        city_code,
        year,
        adoption,
        borders_merged,
        borders_changed,
        {% for variable in variables -%}
        {% for part in indices.get(variable['source_column'], []) -%}
        {%- set column = '"' ~ variable['name'] ~ '__' ~ part ~ '"' -%}
        {{ interpolate(column, variable['interpolate'], max_gap=variable['max_gap']) }} as {{ column }},
        {% endfor -%}
        {{ interpolate('"' ~ variable['name'] ~ '"', variable['interpolate'], max_gap=variable['max_gap']) }} as "{{ variable['name'] }}",
        {% if variable['interpolate'] != 'none' -%}
        "{{ variable['name'] }}" is null as "{{ variable['name'] }}__missing",
        {% endif -%}
        {% endfor %}
    from measured
),

{% for variable in variables if variable['source_column'] in indices -%}
"{{ variable['name'] }}__weights" as (
    {{ entropy_weights('interpolated', parts_of(variable, indices)) }}
),

{% endfor -%}
indexed as (
    select
        interpolated.* replace (
            {% for variable in variables if variable['source_column'] in indices -%}
            {{ entropy_index(parts_of(variable, indices), '"' ~ variable['name'] ~ '__weights"') }} as "{{ variable['name'] }}",
            {% endfor -%}
            interpolated.year as year
        )
    from interpolated
    {% for variable in variables if variable['source_column'] in indices -%}
    cross join "{{ variable['name'] }}__weights"
    {% endfor %}
),

logged as (
    select
        * replace (
            {% for variable in variables -%}
            {%- if variable['log'] -%}
            case when "{{ variable['name'] }}" > 0 then ln("{{ variable['name'] }}") end as "{{ variable['name'] }}",
            {%- endif -%}
            {%- endfor %}
            year as year
        )
    from indexed
),

tails as (
    select
        {% for variable in variables -%}
        {%- if variable['winsorize_low'] is not none -%}
        {{ percentile('"' ~ variable['name'] ~ '"', variable['winsorize_low']) }} as "{{ variable['name'] }}__low",
        {{ percentile('"' ~ variable['name'] ~ '"', variable['winsorize_high']) }} as "{{ variable['name'] }}__high",
        {% endif -%}
        {%- endfor %}
        count(*) as row_count
    from logged
),

final as (
    select
        logged.city_code,
        logged.year,
        logged.adoption,
        (logged.adoption is not null and logged.year >= logged.adoption)::integer as "{{ treatment }}",
        {% for other in others -%}
        coalesce(logged.year >= other_policies."{{ other['name'] }}", false)::integer as "{{ other['name'] }}",
        {% endfor -%}
        logged.borders_merged,
        logged.borders_changed,
        {% for variable in variables -%}
        {%- set column = 'logged."' ~ variable['name'] ~ '"' -%}
        {%- if variable['winsorize_low'] is not none -%}
        case when {{ column }} is not null then least(greatest({{ column }}, tails."{{ variable['name'] }}__low"), tails."{{ variable['name'] }}__high") end as "{{ variable['name'] }}",
        {%- else -%}
        {{ column }} as "{{ variable['name'] }}",
        {%- endif %}
        {% if variable['interpolate'] != 'none' -%}
        logged."{{ variable['name'] }}__missing" and {{ column }} is not null as "{{ variable['name'] }}__imputed",
        {% endif -%}
        {%- endfor %}
    from logged
    cross join tails
    {%- if others %}
    left join other_policies on logged.city_code = other_policies.city_code
    {%- endif %}
)

select * from final order by city_code, year
{%- else -%}
select * from {{ city_year }}, {{ scores_table }}, {{ policies }}, {{ cities }}, {{ studies }}, {{ variables_table }}
{%- endif -%}
{% endmacro %}

{# The columns of a panel that hold the parts of an entropy index while it is made. #}
{% macro parts_of(variable, indices) -%}
    {%- set named = [] -%}
    {%- for part in indices[variable['source_column']] -%}{%- do named.append(variable['name'] ~ '__' ~ part) -%}{%- endfor -%}
    {{ return(named) }}
{%- endmacro %}

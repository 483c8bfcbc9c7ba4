{#
    A study's panel, as its YAML says (loaded into raw.studies and raw.study_variables): its cities and years, first treated
    year (the next one for approvals after the study's last month), treatment (1 while an entry of the list is in force, or
    the sum of an intensity over those that are), and its variables drawn from city_year or made of it by a formula (over all years of city_year), then, in
    this order and within the study's years: interpolated; logged (ln x, ln(1 + x) or asinh x); differenced or turned into
    growth; lagged; winsorised; standardised. Each interpolated variable has a flag <name>__imputed: of a difference, whether
    either year was filled in. Other policies of the study (raw.study_policies) are 0/1 columns.
    borders_merged and borders_changed are those of city_year.
    A variable whose source is no column of city_year is empty: its study says "not computed", and why.
    A variable that is drawn from an entropy index (of `indices`, with its parts) or is one is built anew from the index's parts, each
    interpolated, over the rows of the panel.
#}
{% macro study_panel(study, indices={}) %}
{%- set city_year = ref('city_year') -%}
{%- set policies = source('raw', 'policies') -%}
{%- set cities = source('raw', 'cities') -%}
{%- set studies = source('raw', 'studies') -%}
{%- set scores_table = source('scores', 'efficiency') -%}
{%- set variables_table = source('raw', 'study_variables') -%}
{%- set others_table = source('raw', 'study_policies') -%}
{%- set efficiency_table = source('raw', 'study_efficiency') -%}
{%- if execute -%}
    {%- set about = run_query("select policy, treatment, cities, first_year, last_year, policy_scope, city_codes, last_month, intensity from " ~ studies ~ " where study = '" ~ study ~ "'").rows -%}
    {%- if about | length == 0 -%}
        {{ exceptions.raise_compiler_error("No study is named " ~ study ~ ": analysis/studies has no " ~ study ~ ".yaml") }}
    {%- endif -%}
    {%- set policy, treatment, sample, first_year, last_year, scope, codes, last_month, intensity = about[0].values() -%}
    {%- set first_treated = "adoption::integer + (coalesce(month::integer, 1) > " ~ last_month ~ ")::integer" -%}
    {%- set others = run_query("select name, policy, scopes from " ~ others_table ~ " where study = '" ~ study ~ "' order by position").rows -%}
    {%- set scored = run_query("select name, score, frontier from " ~ efficiency_table ~ " where study = '" ~ study ~ "' order by name").rows -%}
    {%- set score_names = scored | map(attribute='name') | list -%}
    {%- set known = adapter.get_columns_in_relation(city_year) | map(attribute='name') | list -%}
    {%- set variables = run_query("select name, source_column, formula, formula_sql, uses, scale, interpolate, max_gap, change, lag, winsorize_low, winsorize_high, standardise from " ~ variables_table ~ " where study = '" ~ study ~ "' order by position").rows -%}
    {%- set parts = {} -%}
    {%- for variable in variables -%}
        {%- set uses = (variable['uses'] or '').split(',') -%}
        {%- do parts.update({variable['name']: uses if variable['formula'] and not variable['formula_sql'] else indices.get(variable['source_column'], [])}) -%}
    {%- endfor -%}
    {%- set made = [] -%}
    {%- for variable in variables if variable['formula_sql'] and (not known or not variable['uses'].split(',') | reject('in', known) | list) -%}
        {%- do made.append(variable) -%}
    {%- endfor -%}
    {%- set made_names = made | map(attribute='name') | list -%}
with events as (
    select
        city_code,
        {{ first_treated }} as first_year,
        coalesce(until::integer, 9999) as until_year,
        {% if intensity and intensity != 'count' %}try_cast("{{ intensity | replace('"', '""') }}" as double){% else %}1{% endif %}::double as amount
    from {{ policies }}
    where policy = {{ quoted(policy) }}
    {%- if scope %} and scope in ({{ quoted_words(scope) }}){% endif %}
),

adoption as (
    select city_code, min(first_year) as adoption from events group by city_code
),

{% if scored -%}
scores as (
    select
        city_code,
        year,
        {% for score in scored -%}
        max(score) filter (where name = {{ quoted(score['score']) }} and frontier = {{ quoted(score['frontier']) }}) as "{{ score['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from {{ scores_table }}
    where study = '{{ study }}'
    group by city_code, year
),

{% endif -%}
{% if made -%}
formulas as (
    select
        city_code,
        year,
        {% for variable in made -%}
        {{ variable['formula_sql'] }} as "{{ variable['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from {{ city_year }}
),

{% endif -%}
grid as (
    select cities.city_code, years.year, adoption.adoption
    from {{ cities }} as cities
    cross join (select unnest(generate_series({{ first_year }}, {{ last_year }}))::integer as year) as years
    left join adoption on cities.city_code = adoption.city_code
    where {% if codes %}list_contains(string_split({{ quoted(codes) }}, ','), cities.city_code){% else %}cities.{{ sample }} = '1'{% endif %}
),

-- what of the policy is in force, summed in order of size so that the order of the rows changes nothing
in_force as (
    select grid.city_code, grid.year, sum(events.amount order by events.amount) as amount
    from grid
    inner join events on grid.city_code = events.city_code and grid.year between events.first_year and events.until_year
    group by grid.city_code, grid.year
),

{% if others -%}
other_policies as (
    select
        grid.city_code,
        grid.year,
        {% for other in others -%}
        count(*) filter (where entries.policy = {{ quoted(other['policy']) }}
            {%- if other['scopes'] %} and scope in ({{ quoted_words(other['scopes']) }}){% endif %}) > 0 as "{{ other['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from grid
    inner join (select *, {{ first_treated }} as first_year, coalesce(until::integer, 9999) as until_year from {{ policies }}) as entries
        on grid.city_code = entries.city_code and grid.year between entries.first_year and entries.until_year
    group by grid.city_code, grid.year
),

{% endif -%}
measured as (
    select
        grid.city_code,
        grid.year,
        grid.adoption,
        coalesce(city_year.borders_merged, false) as borders_merged,
        coalesce(city_year.borders_changed, false) as borders_changed,
        {% for variable in variables -%}
        {% for part in parts[variable['name']] -%}
        city_year."{{ part }}"::double as "{{ variable['name'] }}__{{ part }}",
        {% endfor -%}
        {% if variable['name'] in made_names %}formulas."{{ variable['name'] }}"{% elif variable['formula'] and parts[variable['name']] %}case when {% for part in parts[variable['name']] %}city_year."{{ part }}" is not null{{ " and " if not loop.last }}{% endfor %} then 0 end{% elif variable['formula'] %}null{% elif variable['source_column'] in score_names %}scores."{{ variable['source_column'] }}"{% elif variable['source_column'] in known or not known %}city_year."{{ variable['source_column'] }}"{% else %}null{% endif %}::double as "{{ variable['name'] }}"{{ "," if not loop.last }}
        {% endfor %}
    from grid
    left join {{ city_year }} as city_year on grid.city_code = city_year.city_code and grid.year = city_year.year
    {%- if scored %}
    left join scores on grid.city_code = scores.city_code and grid.year = scores.year
    {%- endif %}
    {%- if made %}
    left join formulas on grid.city_code = formulas.city_code and grid.year = formulas.year
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
        {% for part in parts[variable['name']] -%}
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

{% for variable in variables if parts[variable['name']] -%}
"{{ variable['name'] }}__weights" as (
    {{ entropy_weights('interpolated', parts_of(variable, parts)) }}
),

{% endfor -%}
indexed as (
    select
        interpolated.* replace (
            {% for variable in variables if parts[variable['name']] -%}
            {{ entropy_index(parts_of(variable, parts), '"' ~ variable['name'] ~ '__weights"') }} as "{{ variable['name'] }}",
            {% endfor -%}
            interpolated.year as year
        )
    from interpolated
    {% for variable in variables if parts[variable['name']] -%}
    cross join "{{ variable['name'] }}__weights"
    {% endfor %}
),

logged as (
    select
        * replace (
            {% for variable in variables -%}
            {%- set column = '"' ~ variable['name'] ~ '"' -%}
            {%- if variable['scale'] == 'log' -%}
            case when {{ column }} > 0 then ln({{ column }}) end as {{ column }},
            {%- elif variable['scale'] == 'log1p' -%}
            case when {{ column }} > -1 then ln(1 + {{ column }}) end as {{ column }},
            {%- elif variable['scale'] == 'asinh' -%}
            asinh({{ column }}) as {{ column }},
            {%- endif -%}
            {%- endfor %}
            year as year
        )
    from indexed
),

{#- the grid holds every year of every city, so that the row before is the year before -#}
{% set before = 'over (partition by city_code order by year)' -%}
changed as (
    select
        * replace (
            {% for variable in variables if variable['change'] != 'none' -%}
            {%- set column = '"' ~ variable['name'] ~ '"' -%}
            {%- if variable['change'] == 'difference' -%}
            {{ column }} - lag({{ column }}) {{ before }} as {{ column }},
            {%- else -%}
            {{ column }} / nullif(lag({{ column }}) {{ before }}, 0) - 1 as {{ column }},
            {%- endif -%}
            {%- if variable['interpolate'] != 'none' -%}
            "{{ variable['name'] }}__missing" or lag("{{ variable['name'] }}__missing") {{ before }} as "{{ variable['name'] }}__missing",
            {%- endif -%}
            {%- endfor %}
            year as year
        )
    from logged
),

lagged as (
    select
        * replace (
            {% for variable in variables if variable['lag'] -%}
            {%- set column = '"' ~ variable['name'] ~ '"' -%}
            lag({{ column }}, {{ variable['lag'] | int }}) {{ before }} as {{ column }},
            {%- if variable['interpolate'] != 'none' -%}
            lag("{{ variable['name'] }}__missing", {{ variable['lag'] | int }}) {{ before }} as "{{ variable['name'] }}__missing",
            {%- endif -%}
            {%- endfor %}
            year as year
        )
    from changed
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
    from lagged
),

winsorised as (
    select
        lagged.* replace (
            {% for variable in variables if variable['winsorize_low'] is not none -%}
            {%- set column = 'lagged."' ~ variable['name'] ~ '"' -%}
            case when {{ column }} is not null then least(greatest({{ column }}, tails."{{ variable['name'] }}__low"), tails."{{ variable['name'] }}__high") end as "{{ variable['name'] }}",
            {% endfor -%}
            lagged.year as year
        )
    from lagged
    cross join tails
),

{% set scaled = variables | selectattr('standardise') | map(attribute='name') | list -%}
{% if scaled -%}
means as (
    select
        {% for name in scaled -%}
        sum("{{ name }}" order by "{{ name }}") / nullif(count("{{ name }}"), 0) as "{{ name }}"{{ "," if not loop.last }}
        {% endfor %}
    from winsorised
),

deviations as (
    select
        {% for name in scaled -%}
        sqrt(sum(pow(winsorised."{{ name }}" - means."{{ name }}", 2) order by winsorised."{{ name }}") / nullif(count(winsorised."{{ name }}") - 1, 0)) as "{{ name }}"{{ "," if not loop.last }}
        {% endfor %}
    from winsorised
    cross join means
),

{% endif -%}
final as (
    select
        winsorised.city_code,
        winsorised.year,
        winsorised.adoption,
        {% if intensity %}coalesce(in_force.amount, 0){% else %}(in_force.city_code is not null)::integer{% endif %} as "{{ treatment }}",
        {% for other in others -%}
        coalesce(other_policies."{{ other['name'] }}", false)::integer as "{{ other['name'] }}",
        {% endfor -%}
        winsorised.borders_merged,
        winsorised.borders_changed,
        {% for variable in variables -%}
        {%- set column = 'winsorised."' ~ variable['name'] ~ '"' -%}
        {%- if variable['standardise'] -%}
        ({{ column }} - means."{{ variable['name'] }}") / nullif(deviations."{{ variable['name'] }}", 0) as "{{ variable['name'] }}",
        {%- else -%}
        {{ column }} as "{{ variable['name'] }}",
        {%- endif %}
        {% if variable['interpolate'] != 'none' -%}
        winsorised."{{ variable['name'] }}__missing" and {{ column }} is not null as "{{ variable['name'] }}__imputed",
        {% endif -%}
        {%- endfor %}
    from winsorised
    left join in_force on winsorised.city_code = in_force.city_code and winsorised.year = in_force.year
    {%- if scaled %}
    cross join means
    cross join deviations
    {%- endif %}
    {%- if others %}
    left join other_policies on winsorised.city_code = other_policies.city_code and winsorised.year = other_policies.year
    {%- endif %}
)

select * from final order by city_code, year
{%- else -%}
select * from {{ city_year }}, {{ scores_table }}, {{ policies }}, {{ cities }}, {{ studies }}, {{ variables_table }}
{%- endif -%}
{% endmacro %}

{# The columns of a panel that hold the parts of an entropy index while it is made. #}
{% macro parts_of(variable, parts) -%}
    {%- set named = [] -%}
    {%- for part in parts[variable['name']] -%}{%- do named.append(variable['name'] ~ '__' ~ part) -%}{%- endfor -%}
    {{ return(named) }}
{%- endmacro %}


{# A value as SQL writes it: what a study's YAML says may hold a quote. #}
{% macro quoted(value) %}'{{ value | replace("'", "''") }}'{% endmacro %}


{# Words that raw.studies joins with the unit separator (character 31), as a list in SQL. #}
{% macro quoted_words(words) -%}
    {%- for word in words.split('\x1f') -%}{{ quoted(word) }}{{ ", " if not loop.last }}{%- endfor -%}
{%- endmacro %}
